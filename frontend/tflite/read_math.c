/*
 * Arithmetic, activations, comparisons and reductions.
 */
#include <math.h>

#include "frontend/tflite/read.h"

/* ---- One input ---- */

bool
tfl_read_unary(TNode *n)
{
	return tfl_result(n, tfl_node(n, n->info->op, 1, (Value *[]){tfl_in(n, 0)}));
}

static bool
clamp(TNode *n, double lo, double hi)
{
	Node *node = tfl_node(n, OP_CLAMP, 1, (Value *[]){tfl_in(n, 0)});

	if (node)
		*(Attr_CLAMP *)node->attr = (Attr_CLAMP){lo, hi, 0};
	return tfl_result(n, node);
}

bool
tfl_read_relu6(TNode *n)
{
	return clamp(n, 0, 6);
}

bool
tfl_read_relu_n1_to_1(TNode *n)
{
	return clamp(n, -1, 1);
}

bool
tfl_read_relu_0_to_1(TNode *n)
{
	return clamp(n, 0, 1);
}

bool
tfl_read_leaky_relu(TNode *n)
{
	Node *node = tfl_node(n, OP_LEAKY_RELU, 1, (Value *[]){tfl_in(n, 0)});

	if (node)
		((Attr_LEAKY_RELU *)node->attr)->alpha = n->options.as_LeakyReluOptions.alpha;
	return tfl_result(n, node);
}

bool
tfl_read_gelu(TNode *n)
{
	Node *node = tfl_node(n, OP_GELU, 1, (Value *[]){tfl_in(n, 0)});

	if (node && n->options.as_GeluOptions.approximate)
		((Attr_GELU *)node->attr)->approximate = GELU_tanh;
	return tfl_result(n, node);
}

bool
tfl_read_square(TNode *n)
{
	return tfl_result(n, tfl_node(n, OP_MUL, 2, (Value *[]){tfl_in(n, 0), tfl_in(n, 0)}));
}

/* The types of the tensors say from what to what. */
bool
tfl_read_cast(TNode *n)
{
	Value *x = tfl_in(n, 0);
	Node *node = tfl_node(n, OP_CAST, 1, &x);

	if (node)
		((Attr_CAST *)node->attr)->to = tfl_out_type(n)->dtype;
	return tfl_folded_result(n, node);
}

/* ---- Two inputs ---- */

bool
tfl_read_binary(TNode *n)
{
	Value *x = tfl_in(n, 0);

	return tfl_result(n, tfl_node(n, n->info->op, 2, (Value *[]){x, tfl_in(n, 1)}));
}

/* ADD, SUB, MUL and DIV with their activation; ADD of integers ignores it. */
bool
tfl_read_arithmetic(TNode *n)
{
	Value *x = tfl_in(n, 0);
	Node *node = tfl_node(n, n->info->op, 2, (Value *[]){x, tfl_in(n, 1)});
	bool is_plain_integer = !dtype_is_float(tfl_type(n, 0)->dtype) && !tfl_is_quantized(n);
	Activation a;

	if (!node || !tfl_activation(n, n->options.as_ActivationOptions.activation, &a))
		return false;
	if (n->info->op == OP_ADD && is_plain_integer)
		a = ACTIVATION_none;
	/* The four have the same attributes. */
	((Attr_ADD *)node->attr)->activation = a;
	return tfl_result(n, node);
}

bool
tfl_read_add_n(TNode *n)
{
	Value **in = ARENA_ARRAY(n->r->arena, Value *, n->nins);

	for (int i = 0; i < n->nins; i++)
		if (!(in[i] = tfl_in(n, i)))
			return tfl_error(n, E_ARITY, "input %d is missing", i);
	return tfl_result(n, tfl_node(n, OP_ADD_N, n->nins, in));
}

bool
tfl_read_not_equal(TNode *n)
{
	Value *x = tfl_in(n, 0);
	Value *equal = tfl_binary(n, OP_EQUAL, x, tfl_in(n, 1));

	return tfl_result(n, tfl_node(n, OP_NOT, 1, &equal));
}

/* ---- Along an axis ---- */

bool
tfl_read_log_softmax(TNode *n)
{
	int rank = tfl_type(n, 0)->rank;
	Node *node = tfl_node(n, OP_LOG_SOFTMAX, 1, (Value *[]){tfl_in(n, 0)});

	if (rank < 1)
		return tfl_error(n, E_SHAPE, "the rank must be at least 1");
	if (node)
		((Attr_LOG_SOFTMAX *)node->attr)->axis = rank - 1;
	return tfl_result(n, node);
}

bool
tfl_read_softmax(TNode *n)
{
	int rank = tfl_type(n, 0)->rank;
	Node *node = tfl_node(n, OP_SOFTMAX, 1, (Value *[]){tfl_in(n, 0)});
	Attr_SOFTMAX *a;

	if (rank < 1)
		return tfl_error(n, E_SHAPE, "the rank must be at least 1");
	if (!node)
		return false;
	a = node->attr;
	a->axis = rank - 1;
	a->beta = n->options.as_SoftmaxOptions.beta;
	return tfl_result(n, node);
}

bool
tfl_read_l2_normalization(TNode *n)
{
	int rank = tfl_type(n, 0)->rank;
	Node *node = tfl_node(n, OP_LP_NORM, 1, (Value *[]){tfl_in(n, 0)});
	Attr_LP_NORM *a;

	if (rank < 1)
		return tfl_error(n, E_SHAPE, "the rank must be at least 1");
	if (n->options.as_ActivationOptions.activation != 0)
		return tfl_error(n, E_UNSUPPORTED, "a fused activation");
	if (!node)
		return false;
	a = node->attr;
	a->axis = rank - 1;
	a->epsilon = 1e-6;
	return tfl_result(n, node);
}

/* Sorted and without repetition, as the IR wants them. */
static bool
read_axes(TNode *n, Ints *out)
{
	int rank = tfl_type(n, 0)->rank, count = 0;
	bool wanted[MAX_RANK] = {false};
	int64_t list[MAX_RANK], axis;
	Ints axes;

	if (!tfl_ints(n, 1, &axes))
		return false;
	for (int i = 0; i < axes.n; i++) {
		if (!tfl_axis(n, axes.v[i], rank, &axis))
			return false;
		wanted[axis] = true;
	}
	for (int i = 0; i < rank; i++)
		if (wanted[i])
			list[count++] = i;
	*out = tfl_list(n, count, list);
	return true;
}

bool
tfl_read_reduce(TNode *n)
{
	bool keep = n->options.as_ReducerOptions.keep_dims;
	Node *node;
	Ints axes;

	if (!read_axes(n, &axes))
		return false;
	node = tfl_node(n, n->info->op, 1, (Value *[]){tfl_in(n, 0)});
	if (node)
		/* All reductions have the same attributes. */
		*(Attr_REDUCE_SUM *)node->attr = (Attr_REDUCE_SUM){axes, keep, 0};
	return tfl_result(n, node);
}

/* Whether all (or any) are true: the least (greatest) of them. */
bool
tfl_read_reduce_bool(TNode *n)
{
	if (tfl_type(n, 0)->dtype != DT_BOOL)
		return tfl_error(n, E_TYPE, "the input must be BOOL");
	return tfl_read_reduce(n);
}

/* The output's type says in which type places are counted. */
bool
tfl_read_arg(TNode *n)
{
	int64_t axis;
	Node *node;
	Value *v;

	if (!tfl_int(n, 1, &axis) || !tfl_axis(n, axis, tfl_type(n, 0)->rank, &axis))
		return false;
	node = tfl_node(n, n->info->op, 1, (Value *[]){tfl_in(n, 0)});
	if (!node)
		return false;
	/* ARG_MAX and ARG_MIN have the same attributes. */
	*(Attr_ARG_MAX *)node->attr = (Attr_ARG_MAX){axis, false, false, 0};
	if (!(v = tfl_value(n, node)))
		return false;
	node = tfl_node(n, OP_CAST, 1, &v);
	if (node)
		((Attr_CAST *)node->attr)->to = tfl_out_type(n)->dtype;
	return tfl_result(n, node);
}

bool
tfl_read_cumsum(TNode *n)
{
	const FbCumsumOptions *o = &n->options.as_CumsumOptions;
	int64_t axis;
	Node *node;

	if (!tfl_int(n, 1, &axis) || !tfl_axis(n, axis, tfl_type(n, 0)->rank, &axis))
		return false;
	node = tfl_node(n, OP_CUM_SUM, 1, (Value *[]){tfl_in(n, 0)});
	if (node)
		*(Attr_CUM_SUM *)node->attr =
			(Attr_CUM_SUM){axis, o->exclusive != 0, o->reverse != 0, 0};
	return tfl_result(n, node);
}

/* ---- Selection ---- */

bool
tfl_read_select(TNode *n)
{
	Value *in[3];

	for (int i = 0; i < 3; i++)
		in[i] = tfl_in(n, i);
	return tfl_result(n, tfl_node(n, OP_WHERE, 3, in));
}

/* ---- Quantisation ---- */

Value *
tfl_requantized(TNode *n, Value *x, const Type *to)
{
	Node *node;

	if (!x || type_same_quant(&x->type, to) || !x->type.q || !to->q)
		return x;
	node = tfl_node(n, OP_REQUANTIZE, 1, &x);
	if (node) {
		node->out[0]->type.q = to->q;
		node->out[0]->type.dtype = to->dtype;
	}
	return tfl_value(n, node);
}

/* QUANTIZE and DEQUANTIZE: numbers keep their value, as far as it fits the output's
 * type.  Half floats become floats. */
bool
tfl_read_requantize(TNode *n)
{
	Value *x = tfl_in(n, 0);
	const Type *y = tfl_out_type(n);
	Node *node;

	if (!x->type.q && !y->q) {
		if (!dtype_is_float(x->type.dtype) || !dtype_is_float(y->dtype))
			return tfl_error(n, E_UNSUPPORTED, "neither input nor output is quantised");
		return tfl_read_cast(n);
	}
	node = tfl_node(n, OP_REQUANTIZE, 1, &x);
	if (node)
		((Attr_REQUANTIZE *)node->attr)->to = y->dtype;
	return tfl_folded_result(n, node);
}

/* ---- Resizing ---- */

static Node *
resize(TNode *n, bool align, bool half, Interpolation mode)
{
	const Type *x = tfl_type(n, 0), *y = tfl_out_type(n);
	int64_t shape[MAX_RANK];
	double scale[MAX_RANK];
	Attr_RESIZE *a;
	Node *node;

	if (x->rank != 4 || y->rank != 4) {
		tfl_error(n, E_SHAPE, "the rank of input and output must be 4");
		return NULL;
	}
	node = tfl_node(n, OP_RESIZE, 1, (Value *[]){tfl_in(n, 0)});
	if (!node)
		return NULL;
	for (int i = 0; i < 4; i++) {
		shape[i] = y->dim[i];
		scale[i] = x->dim[i] ? (double)y->dim[i] / x->dim[i] : 1;
	}
	a = node->attr;
	a->shape = tfl_list(n, 4, shape);
	a->scales = (Floats){4, arena_copy(n->r->arena, scale, sizeof scale)};
	a->mode = mode;
	a->coordinates = align ? COORD_align_corners : half ? COORD_half_pixel : COORD_asymmetric;
	if (mode == INTERP_nearest)
		a->nearest = align ? NEAREST_round_prefer_ceil : NEAREST_floor;
	return node;
}

bool
tfl_read_resize_bilinear(TNode *n)
{
	const FbResizeBilinearOptions *o = &n->options.as_ResizeBilinearOptions;

	if (!type_same_quant(tfl_type(n, 0), tfl_out_type(n)))
		return tfl_error(n, E_UNSUPPORTED, "resizing to another quantisation is not supported");
	return tfl_result(n, resize(n, o->align_corners, o->half_pixel_centers, INTERP_linear));
}

/* Places as TFLite finds them, in float. */
static int64_t
nearest(int32_t in, int32_t out, int32_t v, bool align, bool half)
{
	float scale = align && out > 1 ? (float)(in - 1) / (float)(out - 1)
	                               : (float)in / (float)out;
	float at = ((float)v + (half ? 0.5F : 0.0F)) * scale;
	int64_t i = (int64_t)(align ? roundf(at) : floorf(at));

	if (i > in - 1)
		i = in - 1;
	return i < 0 ? 0 : i;
}

/* Elements are moved, so that it is one operator for every type. */
bool
tfl_read_resize_nearest(TNode *n)
{
	const FbResizeNearestOptions *o = &n->options.as_ResizeNearestOptions;
	const Type *x = tfl_type(n, 0), *y = tfl_out_type(n);
	Value *v = tfl_in(n, 0);

	if (x->rank != 4 || y->rank != 4)
		return tfl_error(n, E_SHAPE, "the rank of input and output must be 4");
	for (int a = 1; a < 3; a++) {
		int64_t *at = tfl_alloc(n, (size_t)y->dim[a] * sizeof *at);

		if (!at)
			return false;
		if (x->dim[a] == 0)
			return tfl_error(n, E_SHAPE, "the input is empty");
		for (int32_t k = 0; k < y->dim[a]; k++)
			at[k] = nearest(x->dim[a], y->dim[a], k, o->align_corners,
			                o->half_pixel_centers);
		v = tfl_gather(n, v, a, y->dim[a], at);
	}
	return tfl_result(n, tfl_node(n, OP_IDENTITY, 1, &v));
}
