/*
 * Convolutions, pooling and matrix products.
 */
#include <string.h>

#include "frontend/tflite/bytes.h"
#include "frontend/tflite/read.h"
#include "ir/num.h"

enum { PADDING_SAME, PADDING_VALID };
enum { TYPE_INT32 = 2 };

/* ---- Windows ---- */

/* One spatial axis: padding before and after, as TFLite computes it. */
typedef struct {
	int64_t before, after;
} Pads;

static Pads
pads_of(int64_t padding, int64_t in, int64_t kernel, int64_t stride, int64_t dilation)
{
	int64_t extent = (kernel - 1) * dilation + 1;
	int64_t out = (in + stride - 1) / stride, total;

	if (padding != PADDING_SAME)
		return (Pads){0, 0};
	total = (out - 1) * stride + extent - in;
	if (total < 0)
		total = 0;
	return (Pads){total / 2, total - total / 2};
}

/* What all windows are described by; h before w. */
typedef struct {
	int64_t padding, kernel[2], stride[2], dilation[2];
} Window;

typedef struct {
	Ints strides, pads, dilations;
} WindowLists;

enum { MAX_STEP = 1 << 20 };

static bool
check_window(TNode *n, const Window *w)
{
	if (tfl_type(n, 0)->rank != 4)
		return tfl_error(n, E_SHAPE, "the rank of the input must be 4");
	if (w->padding != PADDING_SAME && w->padding != PADDING_VALID)
		return tfl_error(n, E_ATTRIBUTE, "unknown kind of padding %lld",
		                 (long long)w->padding);
	for (int i = 0; i < 2; i++)
		if (w->stride[i] < 1 || w->dilation[i] < 1 || w->kernel[i] < 1 ||
		    w->stride[i] > MAX_STEP || w->dilation[i] > MAX_STEP ||
		    w->kernel[i] > MAX_STEP)
			return tfl_error(n, E_ATTRIBUTE, "stride, dilation or kernel out of range");
	return true;
}

static bool
read_window(TNode *n, const Window *w, WindowLists *out)
{
	const Type *x = tfl_type(n, 0);
	int64_t pads[4];

	if (!check_window(n, w))
		return false;
	for (int i = 0; i < 2; i++) {
		Pads p = pads_of(w->padding, x->dim[1 + i], w->kernel[i], w->stride[i],
		                 w->dilation[i]);

		pads[i] = p.before;
		pads[2 + i] = p.after;
	}
	*out = (WindowLists){tfl_list(n, 2, w->stride), tfl_list(n, 4, pads),
	                     tfl_list(n, 2, w->dilation)};
	return true;
}

/* ---- Weights ---- */

/* The constant's real numbers; scales along its axis. */
Value *
tfl_dequantized(TNode *n, int i)
{
	const Tensor *w = n->in[i];
	const Quant *q = w->type.q;
	int32_t count = type_numel(&w->type);
	int32_t after = type_product(&w->type, q->axis + 1, w->type.rank);
	Type t = w->type;
	float *out;

	if (!w->data) {
		tfl_error(n, E_UNSUPPORTED, "quantised weights must be constant");
		return NULL;
	}
	out = tfl_alloc(n, (size_t)count * sizeof *out);
	for (int32_t k = 0; out && k < count; k++) {
		int32_t c = q->n == 1 ? 0 : k / after % q->n;
		int64_t v = num_load_int(w->type.dtype, w->data, (size_t)k) - q->zero[c];

		out[k] = q->scale[c] * (float)v;
	}
	t.dtype = DT_F32;
	t.q = NULL;
	return out ? graph_const(n->r->g, w->name, t, out) : NULL;
}

Value *
tfl_weights(TNode *n, int x, int i, bool has_hybrid)
{
	if (!dtype_is_float(tfl_type(n, x)->dtype) || !tfl_type(n, i)->q ||
	    (has_hybrid && tfl_is_hybrid(n, x, i)))
		return tfl_in(n, i);
	return tfl_dequantized(n, i);
}

/* The weights of a depthwise convolution, [1, h, w, m], as [m, h, w, 1]. */
static Value *
depthwise_weights(TNode *n)
{
	Value *w = tfl_weights(n, 0, 1, true), *v;
	Type t;
	size_t bytes, taps, channels;
	const char *from;
	char *to;
	Quant *q;

	if (!w)
		return NULL;
	t = w->type;
	if (!value_is_const(w) || t.rank != 4 || t.dim[0] != 1) {
		tfl_error(n, E_UNSUPPORTED, "the weights must be a constant [1, h, w, channels]");
		return NULL;
	}
	bytes = (size_t)dtype_info[t.dtype].bytes;
	taps = (size_t)type_product(&t, 1, 3);
	channels = (size_t)t.dim[3];
	if (!(to = tfl_alloc(n, type_bytes(&t))))
		return NULL;
	from = w->data;
	for (size_t k = 0; k < taps; k++)
		for (size_t c = 0; c < channels; c++)
			memcpy(to + (c * taps + k) * bytes, from + (k * channels + c) * bytes,
			       bytes);
	t.dim[0] = t.dim[3];
	t.dim[3] = 1;
	if (t.q && t.q->n > 1) {
		q = arena_copy(n->r->arena, t.q, sizeof *q);
		q->axis = q->axis == 3 ? 0 : MAX_RANK;
		t.q = q;
		if (q->axis != 0) {
			tfl_error(n, E_UNSUPPORTED, "the scales of the weights must lie along the "
			          "channels");
			return NULL;
		}
	}
	v = graph_const(n->r->g, w->name, t, to);
	return v;
}

/* The bias, absent or not.  Without one 16-bit kernels sum in 64 bits, unless the file
 * asks for a bias of 32 bits. */
static bool
bias_of(TNode *n, int i, int32_t channels, int64_t bias_type, Value **out)
{
	Type t = type_make(DT_I32, 1, (int32_t[]){channels});
	void *zeros;

	*out = tfl_has(n, i) ? tfl_in(n, i) : NULL;
	if (*out || !tfl_is_quantized(n) || tfl_type(n, 0)->dtype != DT_I16 ||
	    bias_type != TYPE_INT32)
		return true;
	if (!(zeros = tfl_alloc(n, (size_t)channels * 4)))
		return false;
	*out = graph_const(n->r->g, NULL, t, zeros);
	return true;
}

/* ---- Convolutions ---- */

static bool
conv(TNode *n, const Window *w, int64_t group, Value *filter, int64_t activation,
     int64_t bias_type)
{
	Attr_CONV attr = *(const Attr_CONV *)op_info[OP_CONV].attr_default;
	WindowLists lists;
	Value *in[3] = {tfl_in(n, 0), filter, NULL};
	Node *node;

	if (!filter || !read_window(n, w, &lists) ||
	    !tfl_activation(n, activation, &attr.activation) ||
	    !bias_of(n, 2, filter->type.dim[0], bias_type, &in[2]))
		return false;
	attr.strides = lists.strides;
	attr.pads = lists.pads;
	attr.dilations = lists.dilations;
	attr.group = group;
	attr.layout = LAYOUT_nhwc;
	attr.float_scale = tfl_in(n, 0)->type.dtype == DT_U8;
	if (tfl_is_hybrid(n, 0, 1))
		return tfl_result(n, tfl_hybrid_conv(n, &attr, filter, in[2],
		                                     n->info->read == tfl_read_depthwise));
	node = tfl_node(n, OP_CONV, 3, in);
	if (node)
		*(Attr_CONV *)node->attr = attr;
	return tfl_result(n, node);
}

/* The spatial dimensions of a filter of rank 4. */
static bool
filter_size(TNode *n, const Type *f, int64_t kernel[2])
{
	if (f->rank != 4)
		return tfl_error(n, E_SHAPE, "the rank of the weights must be 4");
	kernel[0] = f->dim[1];
	kernel[1] = f->dim[2];
	return true;
}

/* The window with the size of the weights; how many groups of channels the input has, or
 * with `depthwise` how many outputs each of its channels; 0: an error. */
static int32_t
window_channels(TNode *n, Window *w, bool depthwise)
{
	const Type *f = tfl_type(n, 1), *x = tfl_type(n, 0);
	int32_t part, whole;

	if (!filter_size(n, f, w->kernel) || !check_window(n, w))
		return 0;
	part = depthwise ? x->dim[3] : f->dim[3];
	whole = depthwise ? f->dim[3] : x->dim[3];
	if (part >= 1 && whole >= 1 && whole % part == 0)
		return whole / part;
	tfl_error(n, E_SHAPE, "weights for %d channels do not fit %d of the input", f->dim[3],
	          x->dim[3]);
	return 0;
}

bool
tfl_read_conv(TNode *n)
{
	const FbConv2DOptions *o = &n->options.as_Conv2DOptions;
	Window w = {o->padding, {1, 1}, {o->stride_h, o->stride_w},
	            {o->dilation_h, o->dilation_w}};
	int32_t groups = window_channels(n, &w, false);

	return groups && conv(n, &w, groups, tfl_weights(n, 0, 1, true), o->activation,
	                      o->quantized_bias_type);
}

bool
tfl_read_depthwise(TNode *n)
{
	const FbDepthwiseConv2DOptions *o = &n->options.as_DepthwiseConv2DOptions;
	Window w = {o->padding, {1, 1}, {o->stride_h, o->stride_w},
	            {o->dilation_h, o->dilation_w}};

	return window_channels(n, &w, true) &&
	       conv(n, &w, tfl_type(n, 0)->dim[3], depthwise_weights(n), o->activation, 0);
}

/* Padding that gives an output of that length: what the output lacks is output
 * padding. */
static bool
transposed_axis(TNode *n, int64_t padding, int64_t in, int64_t out, int64_t kernel,
                int64_t stride, Pads *pads, int64_t *more)
{
	int64_t inside = padding == PADDING_SAME ? (out + stride - 1) / stride
	                                         : (out + stride - kernel) / stride;
	int64_t total = (inside - 1) * stride + kernel - out;
	int64_t full = (in - 1) * stride + kernel;

	pads->before = total > 0 ? total / 2 : 0;
	pads->after = full - pads->before - out;
	*more = pads->after < 0 ? -pads->after : 0;
	if (pads->after < 0)
		pads->after = 0;
	return in > 0 || tfl_error(n, E_SHAPE, "the input is empty");
}

/* A transpose convolution of input `x` by input 1; attr has its paddings. */
static bool
transpose_conv(TNode *n, int x, Value *bias, const int64_t *stride, Attr_CONV_TRANSPOSE *attr)
{
	Value *in[3] = {tfl_in(n, x), tfl_weights(n, x, 1, false), bias};
	Node *node;

	if (!in[1])
		return false;
	attr->strides = tfl_list(n, 2, stride);
	attr->layout = LAYOUT_nhwc;
	attr->float_scale = in[0]->type.dtype == DT_U8;
	node = tfl_node(n, OP_CONV_TRANSPOSE, 3, in);
	if (node)
		*(Attr_CONV_TRANSPOSE *)node->attr = *attr;
	return tfl_result(n, node);
}

/* Whether weights (input 1), input `x` and output are those of a transpose convolution. */
static bool
check_transposed(TNode *n, int x, const int64_t *stride, int64_t *kernel)
{
	if (!filter_size(n, tfl_type(n, 1), kernel))
		return false;
	if (tfl_type(n, x)->rank != 4 || tfl_out_type(n)->rank != 4)
		return tfl_error(n, E_SHAPE, "the rank of input and output must be 4");
	for (int i = 0; i < 2; i++)
		if (stride[i] < 1 || stride[i] > MAX_STEP || kernel[i] < 1)
			return tfl_error(n, E_ATTRIBUTE, "stride or kernel out of range");
	return true;
}

/* Operands: the output's shape, weights, input, bias. */
bool
tfl_read_transpose_conv(TNode *n)
{
	const FbTransposeConvOptions *o = &n->options.as_TransposeConvOptions;
	Attr_CONV_TRANSPOSE attr =
		*(const Attr_CONV_TRANSPOSE *)op_info[OP_CONV_TRANSPOSE].attr_default;
	int64_t stride[2] = {o->stride_h, o->stride_w}, kernel[2], pads[4], more[2];

	if (!check_transposed(n, 2, stride, kernel) ||
	    !tfl_activation(n, o->activation, &attr.activation))
		return false;
	for (int i = 0; i < 2; i++) {
		Pads p;

		if (!transposed_axis(n, o->padding, tfl_type(n, 2)->dim[1 + i],
		                     tfl_out_type(n)->dim[1 + i], kernel[i], stride[i], &p,
		                     &more[i]))
			return false;
		pads[i] = p.before;
		pads[2 + i] = p.after;
	}
	attr.pads = tfl_list(n, 4, pads);
	attr.output_padding = tfl_list(n, 2, more);
	return transpose_conv(n, 2, tfl_has(n, 3) ? tfl_in(n, 3) : NULL, stride, &attr);
}

/* MediaPipe's operator: input, weights, bias.  The options are a struct of TFLite's C
 * interface: padding, stride in x and y, and in newer files the activation, 32 bits each.
 * The padding says how large the output is. */
bool
tfl_read_transpose_conv_bias(TNode *n)
{
	enum { RAW_SAME = 1, RAW_VALID = 2, RAW_BYTES = 12 };
	Attr_CONV_TRANSPOSE attr =
		*(const Attr_CONV_TRANSPOSE *)op_info[OP_CONV_TRANSPOSE].attr_default;
	int64_t option[4] = {0}, stride[2], kernel[2], pads[4];

	for (size_t i = 0; i < 4 && 4 * i + 4 <= n->nraw; i++)
		option[i] = (int32_t)bytes_number(n->raw + 4 * i, 4);
	if (n->nraw < RAW_BYTES || (option[0] != RAW_SAME && option[0] != RAW_VALID))
		return tfl_error(n, E_MALFORMED, "its options cannot be read");
	stride[0] = option[2];
	stride[1] = option[1];
	if (!check_transposed(n, 0, stride, kernel) ||
	    !tfl_activation(n, option[3], &attr.activation))
		return false;
	if (tfl_type(n, 0)->dtype != DT_F32)
		return tfl_error(n, E_UNSUPPORTED, "its input must be f32");
	for (int i = 0; i < 2; i++) {
		int64_t in = tfl_type(n, 0)->dim[1 + i], total;

		if (in < 1)
			return tfl_error(n, E_SHAPE, "the input is empty");
		total = option[0] == RAW_SAME ? kernel[i] - (in - 1) % stride[i] - 1 : 0;
		pads[i] = total > 0 ? total / 2 : 0;
		pads[2 + i] = total > 0 ? total - total / 2 : 0;
	}
	attr.pads = tfl_list(n, 4, pads);
	return transpose_conv(n, 0, tfl_in(n, 2), stride, &attr);
}

/* ---- Pooling ---- */

static bool
pool_window(TNode *n, WindowLists *lists, Ints *kernel, Activation *activation)
{
	const FbPool2DOptions *o = &n->options.as_Pool2DOptions;
	Window w = {o->padding, {o->filter_height, o->filter_width}, {o->stride_h, o->stride_w},
	            {1, 1}};

	if (!read_window(n, &w, lists) || !tfl_activation(n, o->activation, activation))
		return false;
	*kernel = tfl_list(n, 2, w.kernel);
	return true;
}

static Node *
average_pool(TNode *n, Value *x, Activation activation)
{
	WindowLists lists;
	Activation unused;
	Ints kernel;
	Node *node = NULL;
	Attr_AVG_POOL *a;

	if (!pool_window(n, &lists, &kernel, &unused) ||
	    !(node = tfl_node(n, OP_AVG_POOL, 1, &x)))
		return NULL;
	a = node->attr;
	a->kernel = kernel;
	a->strides = lists.strides;
	a->pads = lists.pads;
	a->layout = LAYOUT_nhwc;
	a->activation = activation;
	return node;
}

/* The reference averages the stored numbers, whatever the output's scale. */
static bool
check_average(TNode *n)
{
	const Type *x = tfl_type(n, 0), *y = tfl_out_type(n);

	if (!x->q || !y->q || x->q->n != 1 || y->q->n != 1 ||
	    (x->q->zero[0] == y->q->zero[0] &&
	     fabs((double)x->q->scale[0] - (double)y->q->scale[0]) <= 1e-6))
		return true;
	return tfl_error(n, E_UNSUPPORTED, "pooling to another quantisation is not supported");
}

bool
tfl_read_average_pool(TNode *n)
{
	Activation a;

	return check_average(n) && tfl_activation(n, n->options.as_Pool2DOptions.activation, &a) &&
	       tfl_result(n, average_pool(n, tfl_in(n, 0), a));
}

bool
tfl_read_max_pool(TNode *n)
{
	WindowLists lists;
	Activation activation;
	Ints kernel;
	Node *node = NULL;
	Attr_MAX_POOL *a;

	if (!pool_window(n, &lists, &kernel, &activation) ||
	    !(node = tfl_node(n, OP_MAX_POOL, 1, (Value *[]){tfl_in(n, 0)})))
		return false;
	a = node->attr;
	a->kernel = kernel;
	a->strides = lists.strides;
	a->pads = lists.pads;
	a->layout = LAYOUT_nhwc;
	a->activation = activation;
	return tfl_result(n, node);
}

/* The root of the average of squares. */
bool
tfl_read_l2_pool(TNode *n)
{
	Value *x = tfl_in(n, 0);
	Activation activation;
	double lo[] = {0, 0, -1, 0}, hi[] = {0, HUGE_VAL, 1, 6};
	Node *node;

	if (!tfl_activation(n, n->options.as_Pool2DOptions.activation, &activation))
		return false;
	x = tfl_binary(n, OP_MUL, x, x);
	x = tfl_value(n, average_pool(n, x, ACTIVATION_none));
	if (activation == ACTIVATION_none)
		return tfl_result(n, tfl_node(n, OP_SQRT, 1, &x));
	x = tfl_unary(n, OP_SQRT, x);
	node = tfl_node(n, OP_CLAMP, 1, &x);
	if (node)
		*(Attr_CLAMP *)node->attr = (Attr_CLAMP){lo[activation], hi[activation], 0};
	return tfl_result(n, node);
}

/* ---- Matrix products ---- */

/* x as rows of `depth` numbers. */
static Value *
as_rows(TNode *n, Value *x, int32_t depth)
{
	int32_t count = type_numel(&x->type);

	if (depth < 1 || count % depth != 0) {
		tfl_error(n, E_SHAPE, "%d numbers are no rows of %d", count, depth);
		return NULL;
	}
	if (x->type.rank == 2 && x->type.dim[1] == depth)
		return x;
	return tfl_reshape(n, x, 2, (int32_t[]){count / depth, depth});
}

static Node *
fully_connected(TNode *n, Value *x, Activation activation)
{
	const FbFullyConnectedOptions *o = &n->options.as_FullyConnectedOptions;
	Value *in[3] = {x, tfl_weights(n, 0, 1, true), NULL};
	Attr_GEMM *a;
	Node *node;

	if (!x || !in[1] ||
	    !bias_of(n, 2, in[1]->type.dim[0], o->quantized_bias_type, &in[2]))
		return NULL;
	if (tfl_is_hybrid(n, 0, 1))
		return tfl_hybrid_product(n, x, in[1], in[2], o->asymmetric, activation);
	if (!(node = tfl_node(n, OP_GEMM, 3, in)))
		return NULL;
	a = node->attr;
	a->trans_b = true;
	a->activation = activation;
	return node;
}

bool
tfl_read_fully_connected(TNode *n)
{
	const FbFullyConnectedOptions *o = &n->options.as_FullyConnectedOptions;
	const Type *f = tfl_type(n, 1), *y = tfl_out_type(n);
	Activation activation;
	Value *x;
	Node *node;

	if (o->weights_format != 0)
		return tfl_error(n, E_UNSUPPORTED, "weights in a shuffled order");
	if (f->rank != 2)
		return tfl_error(n, E_SHAPE, "the rank of the weights must be 2");
	if (!tfl_activation(n, o->activation, &activation) ||
	    !(x = as_rows(n, tfl_in(n, 0), f->dim[1])) ||
	    !(node = fully_connected(n, x, activation)))
		return false;
	if (y->rank == 2 && y->dim[0] == x->type.dim[0])
		return tfl_result(n, node);
	return tfl_result_reshaped(n, tfl_value_like(n, node, 0), 0);
}

Value *
tfl_adjoint(TNode *n, Value *x, bool wanted)
{
	int64_t perm[MAX_RANK];
	int rank;

	if (!x || !wanted)
		return x;
	rank = x->type.rank;
	if (rank < 2) {
		tfl_error(n, E_SHAPE, "the rank must be at least 2");
		return NULL;
	}
	for (int i = 0; i < rank; i++)
		perm[i] = i;
	perm[rank - 2] = rank - 1;
	perm[rank - 1] = rank - 2;
	return tfl_transpose(n, x, perm);
}

bool
tfl_read_batch_matmul(TNode *n)
{
	const FbBatchMatMulOptions *o = &n->options.as_BatchMatMulOptions;
	Value *x = tfl_adjoint(n, tfl_in(n, 0), o->adj_x), *y;

	if (tfl_is_hybrid(n, 0, 1))
		return tfl_result(n, tfl_hybrid_matmul(n, x, o->adj_y, o->asymmetric));
	y = tfl_adjoint(n, tfl_weights(n, 0, 1, false), o->adj_y);
	return tfl_result(n, tfl_node(n, OP_MATMUL, 2, (Value *[]){x, y}));
}
