/*
 * Quantisation: real = scale * (q - zero point).
 */
#include "frontend/onnx/quant.h"

#include "frontend/onnx/window.h"

/* ---- Pieces ---- */

/* A scale or zero point of one element is a scalar, whatever its rank. */
static Value *
plain(ONode *n, Value *v)
{
	if (v && v->type.rank > 0 && type_numel(&v->type) == 1)
		return onnx_reshape_to(n, v, &(Type){.rank = 0});
	return v;
}

static bool
fits_axis(ONode *n, const Value *x, const Value *v, int axis)
{
	if (!v || v->type.rank == 0 ||
	    (v->type.rank == 1 && axis < x->type.rank && v->type.dim[0] == x->type.dim[axis]))
		return true;
	return onnx_error(n, E_SHAPE, "'%s' of type %s does not fit axis %d of %s", v->name,
	                  type_text(n->r->arena, &v->type), axis,
	                  type_text(n->r->arena, &x->type));
}

/* The operator of x, a scale and perhaps a zero point, which may be vectors along the axis. */
static Node *
scaled(ONode *n, Op op, Value *x, Value *scale, Value *zero, int axis)
{
	if (!x || !scale)
		return NULL;
	scale = plain(n, scale);
	zero = plain(n, zero);
	if (!scale || !fits_axis(n, x, scale, axis) || !fits_axis(n, x, zero, axis))
		return NULL;
	return onnx_node(n, op, zero ? 3 : 2, (Value *[]){x, scale, zero}, 1);
}

Value *
onnx_quantize(ONode *n, Value *x, Value *scale, Value *zero, int axis, DType to)
{
	Node *k = scaled(n, OP_QUANTIZE, x, scale, zero, axis);

	if (k)
		*(Attr_QUANTIZE *)k->attr =
			(Attr_QUANTIZE){.axis = axis, .to = zero ? zero->type.dtype : to};
	return onnx_finish(n, k);
}

Value *
onnx_dequantize(ONode *n, Value *x, Value *scale, Value *zero, int axis)
{
	Node *k = scaled(n, OP_DEQUANTIZE, x, scale, zero, axis);

	if (k)
		((Attr_DEQUANTIZE *)k->attr)->axis = axis;
	return onnx_finish(n, k);
}

/* The axis of scales; only used when they are vectors. */
static int
scale_axis(ONode *n)
{
	const Type *scale = &n->in[1]->type;
	int rank = n->in[0]->type.rank;

	if (type_numel(scale) == 1 || n->opset < 13) {
		onnx_ignore(n, "axis");
		return n->opset < 13 && rank > 1;
	}
	return onnx_axis(n, "axis", 1, rank);
}

static bool
check_blocks(ONode *n)
{
	onnx_ignore(n, "saturate"); /* concerns float8 only */
	onnx_ignore(n, "precision");
	if (onnx_int(n, "block_size", 0) != 0)
		return onnx_unsupported(n, "blocked quantisation");
	return !n->failed;
}

/* com.microsoft's forms follow the rules of opset 21. */
bool
onnx_read_ms_quantize_linear(ONode *n)
{
	n->opset = 21;
	return onnx_read_quantize_linear(n);
}

bool
onnx_read_ms_dequantize_linear(ONode *n)
{
	n->opset = 21;
	return onnx_read_dequantize_linear(n);
}

bool
onnx_read_quantize_linear(ONode *n)
{
	Value *x = n->in[0], *zero = onnx_in(n, 2);
	DType to = onnx_dtype_attr(n, "output_dtype", DT_U8);
	int axis;

	if (!check_blocks(n))
		return false;
	axis = scale_axis(n);
	if (n->failed)
		return false;
	if (zero && onnx_int(n, "output_dtype", 0) != 0 && zero->type.dtype != to)
		return onnx_error_attr(n, "output_dtype", E_TYPE,
		                       "output_dtype is not the type of the zero point");
	if (!dtype_is_float(x->type.dtype))
		x = onnx_cast(n, x, n->in[1]->type.dtype);
	return onnx_result(n, onnx_quantize(n, x, n->in[1], zero, axis, to));
}

bool
onnx_read_dequantize_linear(ONode *n)
{
	Value *y;
	DType to;
	int axis;

	if (!check_blocks(n))
		return false;
	axis = scale_axis(n);
	if (n->failed)
		return false;
	to = onnx_int(n, "output_dtype", 0) ? onnx_dtype_attr(n, "output_dtype", DT_F32)
	                                    : n->in[1]->type.dtype;
	y = onnx_dequantize(n, n->in[0], n->in[1], onnx_in(n, 2), axis);
	return !n->failed && onnx_result(n, onnx_cast(n, y, to));
}

/*
 * uint8 over the range of x widened to hold 0: scale = (max - min) / 255, zero
 * point = saturate(round(-min / scale)).
 */
bool
onnx_read_dynamic_quantize(ONode *n)
{
	Value *x = n->in[0], *lo, *hi, *scale, *zero;
	Ints axes = onnx_range(n, 0, x->type.rank);

	lo = onnx_with(n, OP_MIN, onnx_reduce(n, OP_REDUCE_MIN, x, axes, false), 0);
	hi = onnx_with(n, OP_MAX, onnx_reduce(n, OP_REDUCE_MAX, x, axes, false), 0);
	scale = onnx_with(n, OP_DIV, onnx_binary(n, OP_SUB, hi, lo), 255);
	zero = onnx_unary(n, OP_NEG, onnx_binary(n, OP_DIV, lo, scale));
	zero = onnx_unary(n, OP_ROUND, onnx_clamp(n, zero, 0, 255));
	zero = onnx_cast(n, zero, DT_U8);
	n->out[1] = scale;
	n->out[2] = zero;
	return zero && onnx_result(n, onnx_quantize(n, x, scale, zero, 0, DT_U8));
}

/* ---- Integer arithmetic ---- */

/* x - zero point in 32 bits; the zero point is a scalar or a vector that lies
 * along `axis`. */
Value *
onnx_centered(ONode *n, Value *x, Value *zero, int axis)
{
	bool vector;

	if (!x)
		return NULL;
	if (!zero)
		return onnx_cast(n, x, DT_I32);
	zero = plain(n, zero);
	if (!zero)
		return NULL;
	vector = zero->type.rank == 1;
	if (vector && (axis < 0 || zero->type.dim[0] != x->type.dim[axis])) {
		onnx_error(n, E_SHAPE, "'%s' of type %s does not fit %s", zero->name,
		           type_text(n->r->arena, &zero->type), type_text(n->r->arena, &x->type));
		return NULL;
	}
	zero = onnx_cast(n, zero, DT_I32);
	if (vector)
		zero = onnx_channels(n, zero, axis, x->type.rank);
	if (zero && value_is_const(zero) && type_numel(&zero->type) == 1 &&
	    value_int(zero, 0) == 0)
		return onnx_cast(n, x, DT_I32);
	return onnx_binary(n, OP_SUB, onnx_cast(n, x, DT_I32), zero);
}

/* Whether a zero point is one number that is known. */
static bool
is_known_zero(const Value *zero)
{
	return !zero || (value_is_const(zero) && type_numel(&zero->type) == 1);
}

/* x, of 8 bits, as numbers of scale 1. */
static Value *
codes(ONode *n, Value *x, const Value *zero)
{
	Arena *a = n->r->g->arena;
	float scale = 1;
	int32_t place = zero ? (int32_t)value_int(zero, 0) : 0;
	Quant *q = ARENA_NEW(a, Quant);
	Node *k = x ? onnx_node(n, OP_CODES, 1, &x, 1) : NULL;

	if (!k)
		return NULL;
	q->n = 1;
	q->scale = arena_copy(a, &scale, sizeof scale);
	q->zero = arena_copy(a, &place, sizeof place);
	k->out[0]->type.dtype = x->type.dtype;
	k->out[0]->type.q = q;
	return onnx_finish(n, k);
}

/* Whether x and w can be multiplied as codes. */
static bool
are_codes(const Value *x, const Value *x_zero, const Value *w, const Value *w_zero)
{
	return dtype_info[x->type.dtype].bytes == 1 && dtype_info[w->type.dtype].bytes == 1 &&
	       is_known_zero(x_zero) && is_known_zero(w_zero);
}

static bool
is_conv_shaped(ONode *n, const Value *x, const Value *w)
{
	if (x->type.rank >= 3 && w->type.rank == x->type.rank)
		return true;
	return onnx_error(n, E_SHAPE, "weights %s do not fit the input %s",
	                  type_text(n->r->arena, &w->type), type_text(n->r->arena, &x->type));
}

static Value *
integer_conv(ONode *n, Value *x, Value *x_zero, Value *w, Value *w_zero, Value *bias)
{
	int64_t group = onnx_int_in(n, "group", 1, 1, INT32_MAX);
	Window window;

	if (!is_conv_shaped(n, x, w) ||
	    !onnx_window(n, &x->type, w->type.dim + 2, false, &window))
		return NULL;
	if (are_codes(x, x_zero, w, w_zero)) {
		x = codes(n, x, x_zero);
		w = codes(n, w, w_zero);
	} else {
		x = onnx_centered(n, x, x_zero, -1);
		w = onnx_centered(n, w, w_zero, 0);
	}
	return onnx_conv(n, x, w, bias, &window, group);
}

bool
onnx_read_conv_integer(ONode *n)
{
	return onnx_result(n, integer_conv(n, n->in[0], onnx_in(n, 2), n->in[1], onnx_in(n, 3),
	                                   NULL));
}

/* The sum over each column of b, a constant matrix, times `factor`. */
static Value *
column_sums(ONode *n, Value *b, Value *b_zero, Value *factor)
{
	Ints rows = onnx_range(n, 0, 1);

	b = onnx_centered(n, b, b_zero, -1);
	b = b ? onnx_reduce(n, OP_REDUCE_SUM, b, rows, false) : NULL;
	factor = onnx_cast(n, plain(n, factor), DT_I32);
	return onnx_binary(n, OP_MUL, b, factor);
}

/* Zero points along the rows of a and the columns of b.  A zero point of a that is one
 * unknown number comes off the sums. */
Value *
onnx_integer_matmul(ONode *n, Value *a, Value *a_zero, Value *b, Value *b_zero)
{
	bool constant = value_is_const(b) && b->type.rank == 2;

	if (are_codes(a, a_zero, b, b_zero)) {
		a = codes(n, a, a_zero);
		return onnx_matmul(n, a, codes(n, b, b_zero));
	}
	if (constant && are_codes(a, NULL, b, b_zero) && type_numel(&a_zero->type) == 1) {
		Value *sums = column_sums(n, b, b_zero, a_zero);

		a = codes(n, a, NULL);
		a = onnx_matmul(n, a, codes(n, b, b_zero));
		return onnx_binary(n, OP_SUB, a, sums);
	}
	a = onnx_centered(n, a, a_zero, a->type.rank - 2);
	b = onnx_centered(n, b, b_zero, b->type.rank - 1);
	return onnx_matmul(n, a, b);
}

bool
onnx_read_matmul_integer(ONode *n)
{
	return onnx_result(n, onnx_integer_matmul(n, n->in[0], onnx_in(n, 2), n->in[1],
	                                          onnx_in(n, 3)));
}

/* int32 sums in steps of a_scale * b_scale become y. */
Value *
onnx_requantize(ONode *n, Value *sum, Value *a_scale, Value *b_scale, Value *y_scale, Value *y_zero,
                int axis)
{
	Value *scale = plain(n, a_scale);

	scale = onnx_binary(n, OP_MUL, scale, plain(n, b_scale));
	sum = onnx_dequantize(n, sum, scale, NULL, axis);
	return onnx_quantize(n, sum, y_scale, y_zero, axis, DT_U8);
}

/* Whether inputs `from` to `to` - 1 are constants, where they are there. */
static bool
are_known(ONode *n, int from, int to)
{
	for (int i = from; i < to; i++)
		if (onnx_in(n, i) && !onnx_is_const(n, i))
			return false;
	return true;
}

/* A bias in steps of x_scale * w_scale as real numbers; NULL without one. */
Value *
onnx_real_bias(ONode *n, Value *bias, Value *x_scale, Value *w_scale)
{
	Value *scale;

	if (!bias)
		return NULL;
	x_scale = plain(n, x_scale);
	scale = onnx_binary(n, OP_MUL, x_scale, plain(n, w_scale));
	return onnx_dequantize(n, bias, scale, NULL, 0);
}

/* The convolution of real numbers: what the pass fuse-qdq makes an integer kernel. */
static bool
read_real_conv(ONode *n)
{
	Value **in = n->in, *x, *w, *bias;
	int64_t group = onnx_int_in(n, "group", 1, 1, INT32_MAX);
	Window window;

	if (!is_conv_shaped(n, in[0], in[3]) ||
	    !onnx_window(n, &in[0]->type, in[3]->type.dim + 2, false, &window))
		return false;
	bias = onnx_real_bias(n, onnx_in(n, 8), in[1], in[4]);
	x = onnx_dequantize(n, in[0], in[1], in[2], 0);
	w = onnx_dequantize(n, in[3], in[4], in[5], 0);
	x = onnx_conv(n, x, w, bias, &window, group);
	return !n->failed && onnx_result(n, onnx_quantize(n, x, in[6], in[7], 1, DT_U8));
}

/* x, scale, zero, w, scale, zero, y scale, zero, bias in int32 */
bool
onnx_read_qlinear_conv(ONode *n)
{
	Value **in = n->in, *sum;

	if (are_known(n, 1, 9))
		return read_real_conv(n);
	sum = integer_conv(n, in[0], in[2], in[3], in[5], onnx_in(n, 8));
	return onnx_result(n, onnx_requantize(n, sum, in[1], in[4], in[6], in[7], 1));
}

bool
onnx_read_qlinear_matmul(ONode *n)
{
	Value **in = n->in, *sum, *b;

	if (are_known(n, 1, 3) && are_known(n, 4, 8)) {
		b = onnx_dequantize(n, in[3], in[4], in[5], in[3]->type.rank - 1);
		sum = onnx_dequantize(n, in[0], in[1], in[2], in[0]->type.rank - 2);
		sum = onnx_matmul(n, sum, b);
		return sum && onnx_result(n, onnx_quantize(n, sum, in[6], in[7],
		                                           sum->type.rank - 1, DT_U8));
	}
	sum = onnx_integer_matmul(n, in[0], in[2], in[3], in[5]);
	return sum && onnx_result(n, onnx_requantize(n, sum, in[1], in[4], in[6], in[7],
	                                             sum->type.rank - 1));
}
