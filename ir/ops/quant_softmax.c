/*
 * Softmax and its logarithm on quantised numbers.
 *
 * 8-bit numbers: the distance to the greatest of a line, times beta, in F5 (see
 * math_fixed.lir), its exponential in F0 and the sum of those in F12.  A distance
 * beyond what F5 holds counts as nothing.  16-bit numbers go by two tables.
 */
#include <math.h>

#include "ir/ops/infer.h"
#include "ir/ops/qtable.h"
#include "ir/ops/requant.h"

enum {
	DISTANCE_BITS = 5, /* before the point */
	SUM_BITS = 12,
	LOG_BITS = 4
};

/* Sums of longer lines do not fit F12, or int32 for 16 bits. */
enum { MAX_LINE_8 = 4095, MAX_LINE_16 = 65535 };

static int64_t
axis_of(const Node *n)
{
	return n->op == OP_SOFTMAX ? ((const Attr_SOFTMAX *)n->attr)->axis
	                           : ((const Attr_LOG_SOFTMAX *)n->attr)->axis;
}

static double
beta_of(const Node *n)
{
	return n->op == OP_SOFTMAX ? (double)(float)((const Attr_SOFTMAX *)n->attr)->beta : 1;
}

static Multiplier
distance_multiplier(const Node *n)
{
	double factor = beta_of(n) * (double)quant_scale(&n->in[0]->type) *
	                (1 << (31 - DISTANCE_BITS));

	return quantize_multiplier(factor < INT32_MAX ? factor : INT32_MAX, false);
}

/* The greatest distance that F5 holds once multiplied. */
static int32_t
radius(Multiplier by)
{
	double r = ldexp((1 << DISTANCE_BITS) - 1, 31 - DISTANCE_BITS - by.shift);

	return quant_round(floor(r));
}

/* ---- Shape rules ---- */

/* The output's scale and zero point are given by the operator. */
static bool
check_output(const Node *n, Diag *d, double scale, int32_t zero)
{
	const Type *t = &n->out[0]->type;

	if (!check_quantized_output(n, d))
		return false;
	if (fabs((double)quant_scale(t) / scale - 1) < 1e-3 && quant_zero(t) == zero)
		return true;
	return diag_report(d, &n->loc, E_UNSUPPORTED,
	                   "the output of '%s' must have the scale %g and the zero point %d",
	                   op_info[n->op].name, scale, zero);
}

static bool
check_line(const Node *n, Diag *d, int32_t longest)
{
	const Type *t = &n->in[0]->type;

	if (!check_quantized(n, d, 0) || !check_axis(n, d, "axis", axis_of(n), t->rank))
		return false;
	if (t->dim[axis_of(n)] <= longest)
		return true;
	return bad_input(n, d, E_UNSUPPORTED, 0, "more than %d elements along the axis", longest);
}

/* The scaled distance must be more than the plain one. */
static bool
check_distance(const Node *n, Diag *d)
{
	double factor = beta_of(n) * (double)quant_scale(&n->in[0]->type);

	return check_scale_factor(n, d, factor, MAX_FACTOR) &&
	       check_scale_factor(n, d, 1 / factor, 1 << (31 - DISTANCE_BITS));
}

/* What softmax16() brings distances to: units in which 10 is 65535. */
static double
table_factor(const Node *n)
{
	return (double)quant_scale(&n->in[0]->type) * beta_of(n) / (10.0 / 65535.0);
}

bool
qinfer_softmax(const Node *n, Type *out, Diag *d)
{
	DType from = n->in[0]->type.dtype, to = n->out[0]->type.dtype;

	out[0] = n->in[0]->type;
	if (from == DT_I16)
		return check_line(n, d, MAX_LINE_16) && check_output_like_input(n, d) &&
		       check_output(n, d, 0x1p-15, 0) &&
		       check_scale_factor(n, d, table_factor(n), 1 << 14);
	if (!check_line(n, d, MAX_LINE_8) || !check_distance(n, d))
		return false;
	if (from == DT_I8 && to == DT_I16)
		return check_output(n, d, 0x1p-16, INT16_MIN);
	return check_output_like_input(n, d) &&
	       check_output(n, d, 0x1p-8, quant_limits(to).lo);
}

bool
qinfer_log_softmax(const Node *n, Type *out, Diag *d)
{
	out[0] = n->in[0]->type;
	return check_line(n, d, MAX_LINE_8) && check_distance(n, d) &&
	       check_output_like_input(n, d) &&
	       check_output(n, d, 0x1p-4, quant_limits(n->out[0]->type.dtype).hi);
}

/* ---- 8-bit numbers ---- */

static Expr *
load(LowerCtx *cx, const Line *line, Expr *r)
{
	return loop_load_compute(&cx->b, cx->in[0], lower_line_index(cx, line, r));
}

static Expr *
find_greatest(LowerCtx *cx, const Line *line)
{
	LBuilder *b = &cx->b;
	LVar *top = loop_var(b, "top", q_int(cx, quant_limits(cx->in[0]->elem).lo));
	Expr *r = loop_for(b, "r", 0, line->length);

	loop_set(b, top, loop_op2(b, KOP_MAX, loop_get(b, top), load(cx, line, r)));
	loop_end(b);
	return loop_let(b, "greatest", loop_get(b, top));
}

/* The sum in F12 of e^distance over the line. */
static Expr *
sum_exponentials(LowerCtx *cx, const Line *line, Expr *top, Multiplier by)
{
	LBuilder *b = &cx->b;
	LVar *sum = loop_var(b, "sum", q_int(cx, 0));
	Expr *r = loop_for(b, "r", 0, line->length), *x, *e;
	int depth = b->depth;

	x = loop_let(b, "x", loop_sub(b, load(cx, line, r), top));
	if (radius(by) < UINT8_MAX)
		loop_if(b, loop_op2(b, KOP_GE, x, q_int(cx, -radius(by))));
	e = loop_call1(b, "expf5", q_mbqm(cx, x, by));
	loop_set(b, sum, loop_add(b, loop_get(b, sum), q_rdp(cx, e, SUM_BITS)));
	lower_end_to(cx, depth);
	loop_end(b);
	return loop_let(b, "total", loop_get(b, sum));
}

/* x / 2^(n + 1) for x >= 0, rounded half up. */
static Expr *
halve_up(LowerCtx *cx, Expr *x, Expr *n)
{
	LBuilder *b = &cx->b;
	Expr *half = loop_op2(b, KOP_SHR, x, n);

	return loop_op2(b, KOP_SHR, loop_add(b, half, q_int(cx, 1)), q_int(cx, 1));
}

static void
softmax8(LowerCtx *cx, const Line *line, Multiplier by)
{
	LBuilder *b = &cx->b;
	LBuf *y = cx->out[0];
	QRange range = quant_limits(y->elem);
	Expr *top = find_greatest(cx, line), *sum = sum_exponentials(cx, line, top, by);
	Expr *zeros, *inverse, *shift, *r, *x, *v;
	int depth;

	zeros = loop_let(b, "zeros", q_clz(cx, sum));
	inverse = loop_op2(b, KOP_AND, loop_op2(b, KOP_SHL, sum, zeros), q_int(cx, INT32_MAX));
	inverse = loop_let(b, "inverse", loop_call1(b, "inv1p", inverse));
	/* 1 / sum has SUM_BITS - zeros bits before the point, and the output none. */
	shift = q_int(cx, SUM_BITS + 31 - 8 * dtype_info[y->elem].bytes - 1);
	shift = loop_op2(b, KOP_MIN, loop_sub(b, shift, zeros), q_int(cx, 31));
	shift = loop_let(b, "shift", shift);
	r = loop_for(b, "r", 0, line->length);
	depth = b->depth;
	x = loop_let(b, "x", loop_sub(b, load(cx, line, r), top));
	if (radius(by) < UINT8_MAX) {
		loop_store_cvt(b, y, lower_line_index(cx, line, r), q_int(cx, range.lo));
		loop_if(b, loop_op2(b, KOP_GE, x, q_int(cx, -radius(by))));
	}
	v = q_srdhm(cx, inverse, loop_call1(b, "expf5", q_mbqm(cx, x, by)));
	q_store(cx, y, lower_line_index(cx, line, r), halve_up(cx, v, shift), range.lo, range);
	lower_end_to(cx, depth);
	loop_end(b);
}

/* (x - top) - log(sum of e^(x - top)) */
static void
log_softmax8(LowerCtx *cx, const Line *line, Multiplier by)
{
	LBuilder *b = &cx->b;
	LBuf *y = cx->out[0];
	QRange range = quant_limits(y->elem);
	Multiplier back = quantize_multiplier(ldexp(1, 31 - by.shift) / by.m, false);
	Expr *top = find_greatest(cx, line), *sum = sum_exponentials(cx, line, top, by);
	Expr *log = loop_let(b, "log", loop_call1(b, "logf12", sum)), *least, *r, *x, *v;

	/* Where the result is below what the output holds. */
	least = q_mbqm(cx, loop_add(b, log, q_int(cx, INT32_MIN)), back);
	least = loop_op2(b, KOP_MAX, least, q_int(cx, -radius(by) - 1));
	least = loop_let(b, "least", least);
	r = loop_for(b, "r", 0, line->length);
	x = loop_let(b, "x", loop_sub(b, load(cx, line, r), top));
	v = loop_sub(b, q_mbqm(cx, x, by), log);
	v = q_rdp(cx, v, 31 - DISTANCE_BITS - LOG_BITS);
	v = q_clamp(cx, loop_add(b, v, q_int(cx, range.hi)), range);
	v = loop_select(b, loop_op2(b, KOP_GT, x, least), v, q_int(cx, range.lo));
	loop_store_cvt(b, y, lower_line_index(cx, line, r), v);
	loop_end(b);
}

void
qlower_log_softmax(LowerCtx *cx, const Node *n)
{
	Line line = lower_lines(cx, &n->in[0]->type, axis_of(n));

	log_softmax8(cx, &line, distance_multiplier(n));
	lower_end_lines(cx, &line);
}

/* ---- 16-bit numbers ---- */

static float
inverse_of_1_plus(Arena *a, float x)
{
	(void)a;
	return 1.0f / (1.0f + x);
}

/* The output holds the exponentials, whose unit is 2 / 65535, until their sum is known.
 * That is scaled to [1, 2) and inverted. */
static void
softmax16(LowerCtx *cx, const Line *line, double factor)
{
	LBuilder *b = &cx->b;
	LBuf *y = cx->out[0], *exponentials, *inverses;
	Expr *top, *r, *at, *x, *e, *total, *zeros, *inverse, *shift, *half;
	LVar *sum;

	exponentials = q_table16(cx, "exponentials", qtable_exp, (float)(10.0 / 65535.0),
	                         INT16_MAX, (float)(2.0 / 65535.0), 0);
	inverses = q_table16(cx, "inverses", inverse_of_1_plus, (float)(1.0 / 65535.0), INT16_MIN,
	                     (float)(2.0 / 65535.0), 0);
	top = find_greatest(cx, line);
	sum = loop_var(b, "sum", q_int(cx, 0));
	r = loop_for(b, "r", 0, line->length);
	at = lower_line_index(cx, line, r);
	x = q_scale(cx, loop_sub(b, load(cx, line, r), top), factor);
	x = q_sat16(cx, loop_add(b, x, q_int(cx, INT16_MAX)));
	e = loop_let(b, "e", q_interpolate(cx, exponentials, x));
	loop_store_cvt(b, y, at, e);
	loop_set(b, sum, loop_add(b, loop_get(b, sum), e));
	loop_end(b);
	total = loop_let(b, "total", loop_get(b, sum));
	zeros = loop_let(b, "zeros", q_clz(cx, total));
	x = loop_op2(b, KOP_SHL, total, loop_sub(b, zeros, q_int(cx, 1)));
	x = loop_op2(b, KOP_SHR, loop_add(b, x, q_int(cx, 1 << 13)), q_int(cx, 14));
	x = q_sat16(cx, loop_sub(b, x, q_int(cx, (1 << 15) + (1 << 16))));
	inverse = loop_let(b, "inverse", q_interpolate(cx, inverses, x));
	shift = loop_let(b, "shift", loop_sub(b, q_int(cx, 31), zeros));
	half = loop_op2(b, KOP_SHL, q_int(cx, 1), loop_sub(b, shift, q_int(cx, 1)));
	half = loop_let(b, "half", half);
	r = loop_for(b, "r", 0, line->length);
	at = lower_line_index(cx, line, r);
	e = loop_add(b, loop_mul(b, loop_load_compute(b, y, at), inverse), half);
	e = q_clamp(cx, loop_op2(b, KOP_SHR, e, shift), (QRange){0, INT16_MAX});
	loop_store_cvt(b, y, at, e);
	loop_end(b);
}

void
qlower_softmax(LowerCtx *cx, const Node *n)
{
	Line line = lower_lines(cx, &n->in[0]->type, axis_of(n));

	if (n->in[0]->type.dtype == DT_I16)
		softmax16(cx, &line, table_factor(n));
	else
		softmax8(cx, &line, distance_multiplier(n));
	lower_end_lines(cx, &line);
}
