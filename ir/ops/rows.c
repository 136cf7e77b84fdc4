/*
 * The order and precision of operations are those of TFLite's portable kernels, so that
 * the codes are the same bit for bit.
 */
#include "ir/ops/rows.h"

/* The range [-127, 127] for the largest number of the row; a row of zeros has scale 1. */
static RowScale
symmetric_scale(LowerCtx *cx, Expr *least, Expr *greatest)
{
	LBuilder *b = &cx->b;
	Expr *one = loop_float(b, DT_F32, 1), *limit = loop_float(b, DT_F32, 127);
	Expr *none, *range = loop_op2(b, KOP_MAX, loop_op1(b, KOP_ABS, least),
	                              loop_op1(b, KOP_ABS, greatest));

	range = loop_let(b, "range", range);
	none = loop_op2(b, KOP_EQ, range, loop_float(b, DT_F32, 0));
	return (RowScale){
		loop_let(b, "scale", loop_select(b, none, one, loop_op2(b, KOP_DIV, range, limit))),
		loop_let(b, "inverse", loop_select(b, none, one, loop_op2(b, KOP_DIV, limit, range))),
		q_int(cx, 0), true};
}

/* The zero point that fits the end of the range where it is off by less. */
static Expr *
nudged_zero(LowerCtx *cx, Expr *least, Expr *greatest, Expr *scale)
{
	LBuilder *b = &cx->b;
	Expr *lo = loop_float(b, DT_F64, -128), *hi = loop_float(b, DT_F64, 127);
	Expr *below = loop_let(b, "below", loop_op2(b, KOP_DIV, least, scale));
	Expr *above = loop_let(b, "above", loop_op2(b, KOP_DIV, greatest, scale));
	Expr *from_least = loop_add(b, loop_float(b, DT_F64, 128), loop_op1(b, KOP_ABS, below));
	Expr *from_greatest = loop_add(b, hi, loop_op1(b, KOP_ABS, above));
	Expr *zero = loop_select(b, loop_op2(b, KOP_LT, from_least, from_greatest),
	                         loop_sub(b, lo, below), loop_sub(b, hi, above));

	zero = q_round_away(cx, zero);
	return q_clamp(cx, zero, (QRange){-128, 127});
}

/* The range [-128, 127] for all numbers of the row and 0, in double precision. */
static RowScale
asymmetric_scale(LowerCtx *cx, Expr *least, Expr *greatest)
{
	LBuilder *b = &cx->b;
	Expr *nothing = loop_float(b, DT_F64, 0), *none, *scale, *zero;

	least = loop_op2(b, KOP_MIN, nothing, loop_cvt(b, DT_F64, least));
	least = loop_let(b, "least", least);
	greatest = loop_op2(b, KOP_MAX, nothing, loop_cvt(b, DT_F64, greatest));
	greatest = loop_let(b, "greatest", greatest);
	none = loop_let(b, "none", loop_op2(b, KOP_EQ, least, greatest));
	scale = loop_op2(b, KOP_DIV, loop_sub(b, greatest, least), loop_float(b, DT_F64, 255));
	scale = loop_let(b, "wide_scale", loop_select(b, none, loop_float(b, DT_F64, 1), scale));
	zero = nudged_zero(cx, least, greatest, scale);
	zero = loop_let(b, "zero", loop_select(b, none, q_int(cx, 0), zero));
	scale = loop_let(b, "scale", loop_cvt(b, DT_F32, scale));
	return (RowScale){scale,
	                  loop_let(b, "inverse", loop_op2(b, KOP_DIV, loop_float(b, DT_F32, 1), scale)),
	                  zero, false};
}

/* Finds the ends of the row. */
RowScale
rows_scale(LowerCtx *cx, LBuf *buf, Expr *at, int32_t length, bool symmetric)
{
	LBuilder *b = &cx->b;
	Expr *first = length > 0 ? loop_load(b, buf, at) : loop_float(b, DT_F32, 0), *v;
	LVar *least = loop_var(b, "lo", first), *greatest = loop_var(b, "hi", first);
	int depth = b->depth;

	if (length > 1) {
		v = loop_add(b, at, loop_for(b, "i", 1, length));
		v = loop_let(b, "v", loop_load(b, buf, v));
		loop_set(b, least, loop_op2(b, KOP_MIN, loop_get(b, least), v));
		loop_set(b, greatest, loop_op2(b, KOP_MAX, loop_get(b, greatest), v));
		lower_end_to(cx, depth);
	}
	return (symmetric ? symmetric_scale : asymmetric_scale)(cx, loop_get(b, least),
	                                                        loop_get(b, greatest));
}

Expr *
rows_code(LowerCtx *cx, const RowScale *s, Expr *x)
{
	LBuilder *b = &cx->b;
	Expr *v = loop_mul(b, x, s->inverse);

	if (!s->symmetric)
		v = loop_add(b, loop_cvt(b, DT_F32, s->zero), v);
	v = q_round_away(cx, v);
	return q_clamp(cx, v, (QRange){s->symmetric ? -127 : -128, 127});
}
