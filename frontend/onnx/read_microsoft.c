/*
 * com.microsoft: fusions that ONNX Runtime's optimiser and quantiser write.
 */
#include <math.h>
#include <string.h>

#include "frontend/onnx/quant.h"
#include "frontend/onnx/window.h"

/* ---- Gelu ---- */

/* Gelu, BiasGelu (x + bias first), FastGelu (tanh; the bias is optional). */
bool
onnx_read_ms_gelu(ONode *n)
{
	bool fast = strcmp(n->info->name, "FastGelu") == 0;
	Value *x = onnx_in(n, 1) ? onnx_binary(n, OP_ADD, n->in[0], n->in[1]) : n->in[0];
	Node *k = x ? onnx_node(n, OP_GELU, 1, &x, 1) : NULL;

	if (k)
		((Attr_GELU *)k->attr)->approximate = fast ? GELU_tanh : GELU_erf;
	return onnx_result(n, onnx_finish(n, k));
}

/* ---- Matrix products and convolutions ---- */

/* The last two axes swapped. */
static Value *
swap_last(ONode *n, Value *x, bool swap)
{
	return swap && x && x->type.rank >= 2
	               ? onnx_move_axis(n, x, x->type.rank - 1, x->type.rank - 2)
	               : x;
}

bool
onnx_read_fused_matmul(ONode *n)
{
	double alpha = onnx_float(n, "alpha", 1);
	Value *a = swap_last(n, n->in[0], onnx_flag(n, "transA", false));
	Value *b = swap_last(n, n->in[1], onnx_flag(n, "transB", false)), *y;

	if (onnx_flag(n, "transBatchA", false) || onnx_flag(n, "transBatchB", false))
		return onnx_unsupported(n, "a transposed batch");
	y = onnx_matmul(n, a, b);
	return onnx_result(n, alpha == 1 ? y : onnx_with(n, OP_MUL, y, alpha));
}

typedef enum { ACT_RELU, ACT_TANH, ACT_SIGMOID, ACT_LEAKY_RELU, ACT_CLIP, ACT_HARD_SIGMOID } Act;

/* The attribute "activation" with its parameters. */
static Value *
activate(ONode *n, Value *x)
{
	static const char *const words[] = {"Relu",      "Tanh", "Sigmoid",
	                                    "LeakyRelu", "Clip", "HardSigmoid", NULL};
	static const double usual[][2] = {{0, 0},    {0, 0},  {0, 0},
	                                  {0.01, 0}, {-HUGE_VAL, HUGE_VAL}, {0.2, 0.5}};
	int act = onnx_word(n, "activation", words, -1);
	Floats given = onnx_floats(n, "activation_params");
	double a, b;

	if (act < 0 || n->failed)
		return x;
	a = given.n > 0 ? given.v[0] : usual[act][0];
	b = given.n > 1 ? given.v[1] : usual[act][1];
	switch ((Act)act) {
	case ACT_RELU: return onnx_unary(n, OP_RELU, x);
	case ACT_TANH: return onnx_unary(n, OP_TANH, x);
	case ACT_SIGMOID: return onnx_unary(n, OP_SIGMOID, x);
	case ACT_CLIP: return onnx_clamp(n, x, a, b);
	case ACT_LEAKY_RELU:
		/* x < 0 ? a * x : x */
		return onnx_binary(n, OP_PRELU, x, x ? onnx_scalar(n, x->type.dtype, a) : NULL);
	case ACT_HARD_SIGMOID: break;
	}
	return onnx_clamp(n, onnx_with(n, OP_ADD, onnx_with(n, OP_MUL, x, a), b), 0, 1);
}

/* Convolution, then a residual z, then an activation. */
bool
onnx_read_fused_conv(ONode *n)
{
	Value *x = n->in[0], *w = n->in[1], *y;
	int64_t group = onnx_int_in(n, "group", 1, 1, INT32_MAX);
	Window window;

	if (x->type.rank < 3 || w->type.rank != x->type.rank)
		return onnx_error_in(n, 1, E_SHAPE, "weights %s do not fit the input %s",
		                     type_text(n->r->arena, &w->type),
		                     type_text(n->r->arena, &x->type));
	if (!onnx_window(n, &x->type, w->type.dim + 2, false, &window))
		return false;
	y = onnx_conv(n, x, w, onnx_in(n, 2), &window, group);
	if (onnx_in(n, 3))
		y = onnx_binary(n, OP_ADD, y, n->in[3]);
	return onnx_result(n, activate(n, y));
}

/* ---- Normalisation of a sum ---- */

/* x + skip (+ bias), layer-normalised: gamma, beta; the sum is output 3. */
bool
onnx_read_skip_layer_norm(ONode *n)
{
	double epsilon = onnx_float(n, "epsilon", (double)1e-12f);
	Value *sum = onnx_binary(n, OP_ADD, n->in[0], n->in[1]), *in[3], *out[3];
	Value *beta = onnx_in(n, 3);
	Node *k;

	if (onnx_in(n, 4))
		sum = onnx_binary(n, OP_ADD, sum, n->in[4]);
	if (!sum)
		return false;
	in[0] = sum;
	in[1] = n->in[2];
	in[2] = beta;
	k = onnx_node(n, OP_LAYER_NORM, beta ? 3 : 2, in, n->nouts < 3 ? n->nouts : 3);
	if (k)
		*(Attr_LAYER_NORM *)k->attr =
			(Attr_LAYER_NORM){.axis = sum->type.rank - 1, .epsilon = epsilon};
	if (!onnx_finish_all(n, k, out))
		return false;
	for (int i = 0; i < n->nouts; i++)
		n->out[i] = i < 3 ? out[i] : sum;
	return true;
}

/* ---- Operators on quantised tensors: dequantise, compute, quantise ---- */

/* Inputs i, i+1, i+2 as tensor, scale and zero point. */
static Value *
real(ONode *n, int i)
{
	return onnx_dequantize(n, n->in[i], n->in[i + 1], onnx_in(n, i + 2), 0);
}

/* y with the scale and zero point of inputs i and i+1. */
static bool
quantized(ONode *n, Value *y, int i)
{
	return onnx_result(n, onnx_quantize(n, y, n->in[i], onnx_in(n, i + 1), 0,
	                                    n->in[0]->type.dtype));
}

/* QLinearAdd, QLinearMul */
bool
onnx_read_qlinear_binary(ONode *n)
{
	Value *x = real(n, 0);

	return quantized(n, onnx_binary(n, n->info->op, x, real(n, 3)), 6);
}

/* QLinearSigmoid, QLinearLeakyRelu */
bool
onnx_read_qlinear_unary(ONode *n)
{
	Value *x = real(n, 0);

	if (n->info->op == OP_PRELU && x)
		x = onnx_binary(n, OP_PRELU, x,
		                onnx_scalar(n, x->type.dtype, onnx_float(n, "alpha", 0.01)));
	else
		x = onnx_unary(n, n->info->op, x);
	return quantized(n, x, 3);
}

/* QLinearSoftmax: the axes behind `axis` too in old opsets. */
bool
onnx_read_qlinear_softmax(ONode *n)
{
	Value *x = real(n, 0);
	bool flat = onnx_int(n, "opset", 13) < 13;
	int axis;

	if (!x)
		return false;
	axis = onnx_axis(n, "axis", flat ? 1 : -1, x->type.rank);
	if (n->failed)
		return false;
	if (flat && axis != x->type.rank - 1)
		return onnx_unsupported(n, "an axis before the last one in opsets below 13");
	return quantized(n, onnx_softmax(n, OP_SOFTMAX, x, axis), 3);
}

/* condition, x, scale, zero, y, scale, zero, result scale, zero */
bool
onnx_read_qlinear_where(ONode *n)
{
	Value *x = real(n, 1), *y = real(n, 4);

	return onnx_result(n, onnx_quantize(n, onnx_where(n, n->in[0], x, y), n->in[7],
	                                    onnx_in(n, 8), 0, n->in[1]->type.dtype));
}

/* Where the channels are the last axis, they become the second one; and back. */
static Value *
channels_second(ONode *n, Value *x, bool last)
{
	return x && last ? onnx_move_axis(n, x, x->type.rank - 1, 1) : x;
}

static Value *
channels_last(ONode *n, Value *x, bool last)
{
	return x && last ? onnx_move_axis(n, x, 1, x->type.rank - 1) : x;
}

bool
onnx_read_qlinear_global_average_pool(ONode *n)
{
	bool last = onnx_flag(n, "channels_last", false);
	Value *x = real(n, 0);

	if (x && x->type.rank < 3)
		return onnx_error_in(n, 0, E_SHAPE, "'%s' has no spatial axes", n->in[0]->name);
	x = channels_second(n, x, last);
	x = x ? onnx_reduce(n, OP_REDUCE_MEAN, x, onnx_range(n, 2, x->type.rank), true) : NULL;
	return quantized(n, channels_last(n, x, last), 3);
}

bool
onnx_read_qlinear_average_pool(ONode *n)
{
	bool ceil = onnx_flag(n, "ceil_mode", false);
	bool all = onnx_flag(n, "count_include_pad", false);
	bool last = onnx_flag(n, "channels_last", false);
	Value *x = real(n, 0);
	Window w;
	Node *k;

	if (x && x->type.rank < 3)
		return onnx_error_in(n, 0, E_SHAPE, "'%s' has no spatial axes", n->in[0]->name);
	x = channels_second(n, x, last);
	if (!x || !onnx_window(n, &x->type, NULL, false, &w))
		return false;
	k = onnx_node(n, OP_AVG_POOL, 1, &x, 1);
	if (k)
		*(Attr_AVG_POOL *)k->attr = (Attr_AVG_POOL){.kernel = w.kernel,
		                                            .strides = w.strides,
		                                            .pads = w.pads,
		                                            .dilations = w.dilations,
		                                            .ceil_mode = ceil,
		                                            .count_include_pad = all};
	return quantized(n, channels_last(n, onnx_finish(n, k), last), 3);
}

/* y scale, y zero point, then a tensor, scale and zero point each. */
bool
onnx_read_qlinear_concat(ONode *n)
{
	int count = (n->nins - 2) / 3, axis;
	Value **v = ARENA_ARRAY(n->r->arena, Value *, count);

	if (n->nins != 2 + 3 * count)
		return onnx_error(n, E_ARITY, "'QLinearConcat' cannot have %d inputs", n->nins);
	for (int i = 2; i < n->nins; i++)
		if (!n->in[i])
			return onnx_error(n, E_ARITY, "input %d of 'QLinearConcat' is missing", i);
	axis = onnx_axis(n, "axis", 0, n->in[2]->type.rank);
	for (int i = 0; i < count; i++)
		v[i] = real(n, 2 + 3 * i);
	return !n->failed &&
	       onnx_result(n, onnx_quantize(n, onnx_concat(n, count, v, axis), n->in[0],
	                                    n->in[1], 0, DT_U8));
}

static bool
all_known(ONode *n, int from)
{
	for (int i = from; i < n->nins; i++)
		if (n->in[i] && !value_is_const(n->in[i]))
			return false;
	return true;
}

/* The product of real numbers: what the pass fuse-qdq makes an integer kernel. */
static bool
read_real_gemm(ONode *n)
{
	Attr_GEMM attr = {.alpha = 1, .beta = 1};
	Value **in = n->in, *v[3];
	Node *k;

	attr.trans_a = onnx_flag(n, "transA", false);
	attr.trans_b = onnx_flag(n, "transB", false);
	v[0] = real(n, 0);
	v[1] = onnx_dequantize(n, in[3], in[4], in[5], attr.trans_b ? 0 : 1);
	v[2] = onnx_real_bias(n, in[6], in[1], in[4]);
	if (!v[0] || !v[1] || n->failed)
		return false;
	k = onnx_node(n, OP_GEMM, v[2] ? 3 : 2, v, 1);
	if (k)
		*(Attr_GEMM *)k->attr = attr;
	return onnx_result(n, onnx_quantize(n, onnx_finish(n, k), in[7], onnx_in(n, 8), 1, DT_U8));
}

/* a, scale, zero, b, scale, zero, bias (int32), y scale, y zero; without a y scale
 * the result is float. */
bool
onnx_read_qgemm(ONode *n)
{
	double alpha = onnx_float(n, "alpha", 1);
	bool trans_a = onnx_flag(n, "transA", false), trans_b = onnx_flag(n, "transB", false);
	Value *a = swap_last(n, n->in[0], trans_a), *b = swap_last(n, n->in[3], trans_b), *sum;

	if (!a || !b)
		return false;
	if (a->type.rank != 2 || b->type.rank != 2)
		return onnx_error(n, E_SHAPE, "'QGemm' needs matrices");
	if (alpha == 1 && onnx_in(n, 7) && all_known(n, 4) && value_is_const(n->in[1]) &&
	    value_is_const(n->in[2]))
		return read_real_gemm(n);
	sum = onnx_integer_matmul(n, a, n->in[2], b, n->in[5]);
	if (onnx_in(n, 6))
		sum = onnx_binary(n, OP_ADD, sum, n->in[6]);
	if (onnx_in(n, 7) && alpha == 1)
		return onnx_result(n, onnx_requantize(n, sum, n->in[1], n->in[4], n->in[7],
		                                      onnx_in(n, 8), 1));
	sum = onnx_dequantize(n, sum, onnx_binary(n, OP_MUL, n->in[1], n->in[4]), NULL, 1);
	if (alpha != 1)
		sum = onnx_with(n, OP_MUL, sum, alpha);
	if (!onnx_in(n, 7))
		return onnx_result(n, sum);
	return onnx_result(n, onnx_quantize(n, sum, n->in[7], onnx_in(n, 8), 1, DT_U8));
}

/* a, b, a scale, b scale, a zero, b zero, bias */
bool
onnx_read_matmul_integer_to_float(ONode *n)
{
	Value *y = onnx_integer_matmul(n, n->in[0], onnx_in(n, 4), n->in[1], onnx_in(n, 5));
	Value *scale = onnx_binary(n, OP_MUL, n->in[2], n->in[3]);

	y = y && scale ? onnx_binary(n, OP_MUL, onnx_cast(n, y, scale->type.dtype), scale) : NULL;
	if (onnx_in(n, 6))
		y = onnx_binary(n, OP_ADD, y, n->in[6]);
	return onnx_result(n, y);
}
