/*
 * The same numbers in another element type or quantisation.
 *
 * Numbers that are not quantised count as quantised with scale 1 and zero point 0.
 */
#include <math.h>

#include "ir/ops/infer.h"
#include "ir/ops/requant.h"

enum { SET_STORED = SET_Q8 | SET_Q16 | 1 << DT_I32 };

static bool
is_float(const Type *t)
{
	return dtype_is_float(t->dtype);
}

static double
factor_of(const Node *n)
{
	return (double)quant_scale(&n->in[0]->type) / (double)quant_scale(&n->out[0]->type);
}

/* Scales along an axis are only taken off. */
static bool
check_scales(const Node *n, Diag *d, const Type *to)
{
	const Type *x = &n->in[0]->type;
	const Quant *q = n->out[0]->type.q;

	if (q && q->n != 1)
		return diag_report(d, &n->loc, E_UNSUPPORTED,
		                   "'%s' to scales along an axis is not supported",
		                   op_info[n->op].name);
	if (is_float(x) || is_float(to))
		return true;
	return check_quantized(n, d, 0) && check_scale_factor(n, d, factor_of(n), MAX_FACTOR);
}

bool
infer_requantize(const Node *n, Type *out, Diag *d)
{
	const Attr_REQUANTIZE *a = n->attr;
	const Type *y = &n->out[0]->type;

	out[0] = n->in[0]->type;
	out[0].dtype = y->q ? y->dtype : a->to;
	if (out[0].dtype >= DT_COUNT || !((SET_STORED | 1 << DT_F32) >> out[0].dtype & 1))
		return bad_attribute(n, d, "to", "not a type of quantised numbers, nor f32");
	return check_dtype(n, d, 0, SET_STORED | 1 << DT_F32) && check_scales(n, d, &out[0]);
}

bool
qinfer_requantize(const Node *n, Type *out, Diag *d)
{
	return infer_requantize(n, out, d);
}

/* A power of two whose inverse is a normal number. */
static bool
has_exact_inverse(float scale)
{
	int exponent;

	return frexpf(scale, &exponent) == 0.5f && exponent > -120 && exponent < 120;
}

/* round(x / scale) + zero.  What does not fit the output is cut off before the sum, or that is
 * taken in 64 bits.  Where the scale is a power of two, so is its inverse: the quotient and
 * the product with that are the same number. */
static void
quantize(LowerCtx *cx, const Type *to, bool half_even)
{
	LBuilder *b = &cx->b;
	QRange r = quant_limits(to->dtype);
	int32_t zero = quant_zero(to);
	Expr *i = lower_for(cx, "i", cx->in[0]->count), *x = loop_load(b, cx->in[0], i);
	double scale = (double)quant_scale(to);

	x = has_exact_inverse(quant_scale(to))
	            ? loop_mul(b, x, loop_float(b, DT_F32, 1 / scale))
	            : loop_op2(b, KOP_DIV, x, loop_float(b, DT_F32, scale));
	x = half_even ? loop_cvt(b, DT_I32, loop_call1(b, "rint", x)) : q_round_away(cx, x);
	if (dtype_info[to->dtype].bytes == 4) {
		q_store(cx, cx->out[0], i, loop_cvt(b, DT_I64, x), zero, r);
	} else {
		x = q_clamp(cx, x, (QRange){r.lo - zero, r.hi - zero});
		loop_store_cvt(b, cx->out[0], i, zero ? loop_add(b, x, q_int(cx, zero)) : x);
	}
	lower_end_to(cx, 0);
}

/* (x - zero) * scale along an axis. */
static void
dequantize_along(LowerCtx *cx, const Type *from)
{
	LBuilder *b = &cx->b;
	const Quant *q = from->q;
	int32_t inner = type_product(from, q->axis + 1, from->rank);
	LBuf *scale = lower_table(cx, "scale", DT_F32, q->n, q->scale);
	LBuf *zero = lower_table(cx, "zero", DT_I32, q->n, q->zero);
	Expr *at = lower_for(cx, "o", type_product(from, 0, q->axis)), *c, *x;

	c = lower_for(cx, "c", q->n);
	at = loop_add(b, loop_affine(b, at, (int64_t)q->n * inner, 0),
	              loop_affine(b, c, inner, 0));
	at = loop_add(b, at, lower_for(cx, "i", inner));
	x = loop_sub(b, loop_load_compute(b, cx->in[0], at), loop_load(b, zero, c));
	x = loop_mul(b, loop_cvt(b, DT_F32, x), loop_load(b, scale, c));
	loop_store(b, cx->out[0], at, x);
	lower_end_to(cx, 0);
}

static void
dequantize(LowerCtx *cx, const Type *from)
{
	LBuilder *b = &cx->b;
	Expr *i = lower_for(cx, "i", cx->in[0]->count);
	Expr *x = loop_cvt(b, DT_F32, q_load(cx, cx->in[0], i, quant_zero(from)));

	x = loop_mul(b, x, loop_float(b, DT_F32, (double)quant_scale(from)));
	loop_store(b, cx->out[0], i, x);
	lower_end_to(cx, 0);
}

/* Whether nothing but zero points differs, so that a sum does it. */
static bool
is_shift(const Node *n)
{
	return quant_scale(&n->in[0]->type) == quant_scale(&n->out[0]->type);
}

/* x where a shift to the left keeps it in int32, else the end of that range: there
 * the reference's result is undefined. */
static Expr *
keep_in_range(LowerCtx *cx, Expr *x, DType from, Multiplier by)
{
	int left = by.shift > 0 ? by.shift : 0;

	if (8 * dtype_info[from].bytes + 1 + left <= 32 || left == 0)
		return x;
	return q_clamp(cx, x, (QRange){INT32_MIN >> left, INT32_MAX >> left});
}

static void
requantize(LowerCtx *cx, const Node *n)
{
	const Type *from = &n->in[0]->type, *to = &n->out[0]->type;
	Expr *i = lower_for(cx, "i", cx->in[0]->count);
	Expr *x = q_load(cx, cx->in[0], i, quant_zero(from));

	if (!is_shift(n)) {
		Multiplier by = q_multiplier(cx, factor_of(n));

		x = q_mbqm(cx, keep_in_range(cx, x, from->dtype, by), by);
	}
	q_store(cx, cx->out[0], i, x, quant_zero(to), quant_limits(to->dtype));
	lower_end_to(cx, 0);
}

void
lower_requantize(LowerCtx *cx, const Node *n)
{
	const Type *from = &n->in[0]->type, *to = &n->out[0]->type;

	if (is_float(from))
		quantize(cx, to, ((const Attr_REQUANTIZE *)n->attr)->half_even);
	else if (!is_float(to))
		requantize(cx, n);
	else if (from->q && from->q->n != 1)
		dequantize_along(cx, from);
	else
		dequantize(cx, from);
}

void
qlower_requantize(LowerCtx *cx, const Node *n)
{
	lower_requantize(cx, n);
}
