/*
 * Quantised models: FakeQuantize, and constants of 8 bits that the graph makes real.
 *
 * FakeQuantize rounds to `levels` numbers between two bounds.  Where the bounds lie so that
 * 0 is one of the numbers (as quantisers take care of) they are codes of 8 bits with a
 * scale and a zero point: constants become such codes, and other values are quantised and
 * dequantised, from which the pass fuse-qdq makes integer kernels.  All else is computed as
 * the specification has it, in floats.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "frontend/openvino/read.h"
#include "ir/num.h"

enum { MAX_LEVELS = 256, CODE_LEAST = -128 };

/* ---- Numbers along one axis ---- */

/* The axis of x along which v, a constant that is broadcast, varies; -1: it is one number,
 * -2: it varies along several. */
static int
vector_axis(const Type *x, const Type *v)
{
	int axis = -1, skipped = x->rank - v->rank;

	if (skipped < 0)
		return type_numel(v) == 1 ? -1 : -2;
	for (int i = 0; i < v->rank; i++) {
		if (v->dim[i] == 1)
			continue;
		if (axis >= 0 || v->dim[i] != x->dim[skipped + i])
			return -2;
		axis = skipped + i;
	}
	return axis;
}

static Value *
parameter(Layer *l, DType t, int32_t n, const double *v)
{
	return n == 1 ? build_scalar(&l->b, t, v[0]) : build_vector(&l->b, t, n, v);
}

/* Codes, a scale and a zero point as real numbers; the parameters are one number or as many
 * as the axis is long. */
static Value *
dequantized(Layer *l, Value *codes, int axis, Value *scale, Value *zero)
{
	Node *n = build_node(&l->b, OP_DEQUANTIZE, zero ? 3 : 2, (Value *[]){codes, scale, zero});

	if (n)
		((Attr_DEQUANTIZE *)n->attr)->axis = axis;
	return build_finish(&l->b, n);
}

/* ---- Convert, Subtract, Multiply of codes ---- */

static const char *
key_of(Layer *l, const Value *v)
{
	return arena_printf(l->r->arena, "%d", v->id);
}

static Codes *
codes_of(Layer *l, const Value *v)
{
	return map_get(&l->r->codes, key_of(l, v));
}

static void
remember(Layer *l, const Value *v, Codes codes)
{
	map_set(&l->r->codes, key_of(l, v), arena_copy(l->r->arena, &codes, sizeof codes));
}

static bool
is_code(const Value *v)
{
	return value_is_const(v) && (v->type.dtype == DT_I8 || v->type.dtype == DT_U8);
}

void
ov_codes_cast(Layer *l, Value *x, Value *y)
{
	if (is_code(x) && dtype_is_float(y->type.dtype))
		remember(l, y, (Codes){.codes = x});
}

/* Whether the elements are whole numbers that the codes could be. */
static bool
is_zero_point(const Value *zero, DType t)
{
	for (int32_t i = 0; i < type_numel(&zero->type); i++) {
		double v = value_float(zero, i);

		if (v != floor(v) || fabs(v) > 255 || !quant_zero_fits(t, (int64_t)v))
			return false;
	}
	return true;
}

void
ov_codes_subtract(Layer *l, Value *x, Value *zero, Value *y)
{
	const Codes *k = codes_of(l, x);

	if (k && !k->zero && value_is_const(zero) && type_same_shape(&x->type, &y->type) &&
	    vector_axis(&x->type, &zero->type) >= -1 &&
	    is_zero_point(zero, k->codes->type.dtype))
		remember(l, y, (Codes){.codes = k->codes, .zero = zero});
}

static bool
is_scale(const Value *v)
{
	if (!value_is_const(v) || !dtype_is_float(v->type.dtype))
		return false;
	for (int32_t i = 0; i < type_numel(&v->type); i++) {
		float s = (float)value_float(v, i);

		if (!(s >= FLT_MIN && s <= FLT_MAX))
			return false;
	}
	return true;
}

/* v's elements, or `count` times its only one. */
static const double *
elements(Layer *l, const Value *v, int32_t count)
{
	double *out = ARENA_ARRAY(l->r->arena, double, count);

	for (int32_t i = 0; i < count; i++)
		out[i] = value_float(v, type_numel(&v->type) == 1 ? 0 : i);
	return out;
}

/* The product is computed in f32 also where the file says f16, as runtimes do. */
Value *
ov_codes_multiply(Layer *l, Value *x, Value *scale)
{
	const Codes *k = codes_of(l, x);
	Value *s, *z = NULL, *y;
	int axis, zero_axis = -1;
	int32_t count;

	if (!k || l->r->file->options->plain_weights || !is_scale(scale))
		return NULL;
	axis = vector_axis(&x->type, &scale->type);
	if (k->zero)
		zero_axis = vector_axis(&x->type, &k->zero->type);
	if (axis == -2 || (axis >= 0 && zero_axis >= 0 && axis != zero_axis))
		return NULL;
	if (axis < 0)
		axis = zero_axis;
	count = axis < 0 ? 1 : x->type.dim[axis];
	s = parameter(l, DT_F32, count, elements(l, scale, count));
	if (k->zero)
		z = parameter(l, k->codes->type.dtype, count, elements(l, k->zero, count));
	y = dequantized(l, k->codes, axis < 0 ? 0 : axis, s, z);
	return ov_cast(l, y, x->type.dtype);
}

/* ---- Dequantised constants that are moved ---- */

/* The node that makes x from constant codes with parameters of n elements at most, or NULL. */
static const Node *
dequantized_constant(const Value *x)
{
	const Node *n = x->def;

	return n && n->op == OP_DEQUANTIZE && value_is_const(n->in[0]) ? n : NULL;
}

static Value *
dequantized_like(Layer *l, const Node *n, Value *codes, int axis)
{
	return dequantized(l, codes, axis, n->in[1], n->nins > 2 ? n->in[2] : NULL);
}

static bool
has_axis(const Node *n)
{
	return n->in[1]->type.rank > 0;
}

/* The axis of `to` that is axis `axis` of `from`, with as many elements before and in it;
 * -1: none. */
static int
kept_axis(const Type *from, int axis, const Type *to)
{
	int32_t before = type_product(from, 0, axis);

	for (int i = 0; i < to->rank; i++)
		if (to->dim[i] == from->dim[axis] && type_product(to, 0, i) == before)
			return i;
	return -1;
}

/* As GroupConvolution takes the groups apart that a Reshape has made, both vanish. */
Value *
ov_reshape_weights(Layer *l, Value *x, const Type *shape)
{
	const Node *n = dequantized_constant(x);
	int axis = 0;

	if (x->def && x->def->op == OP_RESHAPE && type_same_shape(&x->def->in[0]->type, shape))
		return x->def->in[0];
	if (n && has_axis(n))
		axis = kept_axis(&x->type, (int)((const Attr_DEQUANTIZE *)n->attr)->axis, shape);
	if (!n || axis < 0)
		return build_reshape_to(&l->b, x, shape);
	return dequantized_like(l, n, build_reshape_to(&l->b, n->in[0], shape), axis);
}

Value *
ov_transpose_weights(Layer *l, Value *x, const int *perm)
{
	const Node *n = dequantized_constant(x);
	int axis = 0, rank = x->type.rank;

	if (!n)
		return build_transpose(&l->b, x, rank, perm);
	for (int i = 0; has_axis(n) && i < rank; i++)
		if (perm[i] == ((const Attr_DEQUANTIZE *)n->attr)->axis)
			axis = i;
	return dequantized_like(l, n, build_transpose(&l->b, n->in[0], rank, perm), axis);
}

/* ---- FakeQuantize ---- */

enum { X, IN_LOW, IN_HIGH, OUT_LOW, OUT_HIGH, INPUTS };

typedef struct {
	int levels;
	int axis;      /* along which the bounds vary; -1: they are numbers */
	int32_t count; /* of bounds */
	const double *bound[INPUTS];
} Fake;

/* Codes with a scale and a zero point for each of the bounds. */
typedef struct {
	double *scale, *zero; /* of codes that count from 0 */
} Grid;

/* The bounds, when they are constants along one axis. */
static bool
read_bounds(Layer *l, Fake *f)
{
	const Type *x = &l->in[X]->type;

	f->axis = -1;
	for (int i = IN_LOW; i < INPUTS; i++) {
		const Value *v = l->in[i];
		int axis = vector_axis(x, &v->type);

		if (!value_is_const(v) || axis == -2 || (axis >= 0 && f->axis >= 0 && axis != f->axis))
			return false;
		if (axis >= 0)
			f->axis = axis;
	}
	f->count = f->axis < 0 ? 1 : x->dim[f->axis];
	for (int i = IN_LOW; i < INPUTS; i++)
		f->bound[i] = elements(l, l->in[i], f->count);
	return true;
}

/* Bounds are stored as floats, so that a zero point is whole up to their rounding. */
static bool
make_grid(Layer *l, const Fake *f, int low, Grid *g)
{
	g->scale = ARENA_ARRAY(l->r->arena, double, f->count);
	g->zero = ARENA_ARRAY(l->r->arena, double, f->count);
	for (int32_t i = 0; i < f->count; i++) {
		double lo = f->bound[low][i], hi = f->bound[low + 1][i];
		double scale = (hi - lo) / (f->levels - 1), zero = -lo / scale;

		if (!(scale >= (double)FLT_MIN && scale <= (double)FLT_MAX))
			return false;
		g->scale[i] = scale;
		g->zero[i] = round(zero);
		if (fabs(zero - g->zero[i]) > 1e-3 || g->zero[i] < 0 ||
		    g->zero[i] > f->levels - 1)
			return false;
	}
	return true;
}

/* What comes off codes that count from 0 to make them i8: the zero point if all fit then,
 * as multiplication is cheapest with none. */
static int
code_offset(const Fake *f, const Grid *g)
{
	int zero = (int)g->zero[0];

	for (int32_t i = 1; i < f->count; i++)
		if (g->zero[i] != zero)
			return -CODE_LEAST;
	return zero <= -CODE_LEAST && f->levels - 1 - zero <= 127 ? zero : -CODE_LEAST;
}

static Value *
zero_points(Layer *l, const Fake *f, const Grid *g, int offset)
{
	double *v = ARENA_ARRAY(l->r->arena, double, f->count);

	for (int32_t i = 0; i < f->count; i++)
		v[i] = g->zero[i] - offset;
	return parameter(l, DT_I8, f->count, v);
}

static Value *
real_numbers(Layer *l, const Fake *f, const Grid *g, Value *codes, int offset)
{
	Value *scale = parameter(l, DT_F32, f->count, g->scale);
	Value *zero = zero_points(l, f, g, offset);

	return dequantized(l, codes, f->axis < 0 ? 0 : f->axis, scale, zero);
}

/* The code of a number, counted from 0, in the arithmetic of the specification. */
static int
code_of(const Fake *f, float x, int32_t i)
{
	float lo = (float)f->bound[IN_LOW][i], hi = (float)f->bound[IN_HIGH][i];
	float last = (float)(f->levels - 1), code;

	if (x <= fminf(lo, hi))
		return 0;
	if (x > fmaxf(lo, hi))
		return f->levels - 1;
	code = nearbyintf((x - lo) / (hi - lo) * last);
	return code >= 0 && code <= last ? (int)code : 0;
}

/* Constant numbers as codes. */
static Value *
constant_codes(Layer *l, const Fake *f, const Value *x, int offset)
{
	Type t = type_make(DT_I8, x->type.rank, x->type.dim);
	int32_t inner = f->axis < 0 ? 1 : type_product(&t, f->axis + 1, t.rank);
	int8_t *data = ov_const_data(l, &t);

	for (int32_t i = 0; data && i < type_numel(&t); i++)
		data[i] = (int8_t)(code_of(f, (float)value_float(x, i), i / inner % f->count) -
		                   offset);
	return data ? graph_const(l->r->g, NULL, t, data) : NULL;
}

/* Fewer codes than i8 has are cut off before. */
static Value *
bounded(Layer *l, const Fake *f, Value *x)
{
	Builder *b = &l->b;
	Value *lo, *hi;

	if (f->levels == MAX_LEVELS)
		return x;
	if (f->count == 1)
		return build_clamp(b, x, f->bound[IN_LOW][0], f->bound[IN_HIGH][0]);
	lo = build_vector(b, DT_F32, f->count, f->bound[IN_LOW]);
	lo = build_channels(b, lo, f->axis, x->type.rank);
	hi = build_vector(b, DT_F32, f->count, f->bound[IN_HIGH]);
	hi = build_channels(b, hi, f->axis, x->type.rank);
	return build_binary(b, OP_MIN, build_binary(b, OP_MAX, x, lo), hi);
}

static Value *
run_time_codes(Layer *l, const Fake *f, const Grid *g, int offset)
{
	Value *x = bounded(l, f, l->in[X]);
	Value *scale = parameter(l, DT_F32, f->count, g->scale);
	Value *zero = zero_points(l, f, g, offset);
	Node *n = build_node(&l->b, OP_QUANTIZE, 3, (Value *[]){x, scale, zero});

	if (n)
		*(Attr_QUANTIZE *)n->attr =
			(Attr_QUANTIZE){.axis = f->axis < 0 ? 0 : f->axis, .to = DT_I8};
	return build_finish(&l->b, n);
}

/* The numbers before they are made real, if they are constants. */
static const Value *
constant_input(Layer *l)
{
	const Codes *k = codes_of(l, l->in[X]);

	if (value_is_const(l->in[X]))
		return l->in[X];
	return k && !k->zero ? k->codes : NULL;
}

/* As codes; NULL when the bounds do not allow it. */
static Value *
as_codes(Layer *l, const Fake *f)
{
	const Value *constant = constant_input(l);
	Grid in, out;
	int offset;

	if (f->levels > MAX_LEVELS || l->in[X]->type.dtype != DT_F32 || f->count == 0 ||
	    !make_grid(l, f, OUT_LOW, &out))
		return NULL;
	if (constant && l->r->file->options->plain_weights)
		return NULL;
	if (constant) {
		offset = code_offset(f, &out);
		return real_numbers(l, f, &out, constant_codes(l, f, constant, offset), offset);
	}
	if (!make_grid(l, f, IN_LOW, &in))
		return NULL;
	offset = code_offset(f, &in);
	return real_numbers(l, f, &out, run_time_codes(l, f, &in, offset), offset);
}

/* round((x - lo) / (hi - lo) * last) / last * (out hi - out lo) + out lo, and the bounds of
 * the output outside. */
static Value *
as_floats(Layer *l, int levels)
{
	Builder *b = &l->b;
	Value **in = l->in, *least, *most, *v, *span;

	least = build_binary(b, OP_MIN, in[IN_LOW], in[IN_HIGH]);
	most = build_binary(b, OP_MAX, in[IN_LOW], in[IN_HIGH]);
	v = build_binary(b, OP_SUB, in[X], in[IN_LOW]);
	span = build_binary(b, OP_SUB, in[IN_HIGH], in[IN_LOW]);
	v = build_with(b, OP_MUL, build_binary(b, OP_DIV, v, span), levels - 1);
	v = build_with(b, OP_DIV, build_unary(b, OP_ROUND, v), levels - 1);
	span = build_binary(b, OP_SUB, in[OUT_HIGH], in[OUT_LOW]);
	v = build_binary(b, OP_MUL, v, span);
	v = build_binary(b, OP_ADD, v, in[OUT_LOW]);
	most = build_binary(b, OP_GREATER, in[X], most);
	v = build_where(b, most, in[OUT_HIGH], v);
	least = build_binary(b, OP_LESS_EQUAL, in[X], least);
	return build_where(b, least, in[OUT_LOW], v);
}

bool
ov_read_fake_quantize(Layer *l)
{
	Fake f = {.levels = (int)ov_int(l, "levels", 256, 2, 1 << 24)};
	Value *y = NULL;

	if (l->failed)
		return false;
	if (read_bounds(l, &f))
		y = as_codes(l, &f);
	if (!y && !l->failed)
		y = as_floats(l, f.levels);
	return ov_result(l, y);
}
