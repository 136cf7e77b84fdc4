/*
 * Running sums and norms of quantised numbers along an axis.
 */
#include <math.h>

#include "ir/ops/infer.h"
#include "ir/ops/requant.h"

/* ---- Running sums ---- */

enum { HEADROOM = 20 };

/* From half of the input's unit with HEADROOM bits more to the output's. */
static double
halves_factor(const Node *n)
{
	double out = (double)quant_scale(&n->out[0]->type);

	return 2 * (double)quant_scale(&n->in[0]->type) / ((1 << HEADROOM) * out);
}

bool
qinfer_cum_sum(const Node *n, Type *out, Diag *d)
{
	return check_all_quantized(n, d) && infer_cum_sum(n, out, d) &&
	       check_output_like_input(n, d) && check_scale_factor(n, d, halves_factor(n), 1);
}

/* The reference starts from what 0 stands for.  Sums wrap around. */
void
qlower_cum_sum(LowerCtx *cx, const Node *n)
{
	LBuilder *b = &cx->b;
	const Attr_CUM_SUM *a = n->attr;
	const Type *t = &n->in[0]->type, *y = &n->out[0]->type;
	Line line = lower_lines(cx, t, a->axis);
	LVar *sum = loop_var(b, "sum",
	                     q_int(cx, -(int64_t)quant_zero(t) * (1 << (HEADROOM - 1))));
	Expr *r = loop_for(b, "r", 0, line.length), *at, *x, *v;

	if (a->reverse)
		r = loop_sub(b, loop_idx(b, line.length - 1), r);
	at = lower_line_index(cx, &line, r);
	x = loop_op2(b, KOP_SHL, q_load(cx, cx->in[0], at, quant_zero(t)), q_int(cx, HEADROOM));
	x = loop_let(b, "x", q_scale(cx, x, 0.5));
	if (!a->exclusive)
		loop_set(b, sum, loop_add(b, loop_get(b, sum), x));
	v = q_scale(cx, loop_get(b, sum), halves_factor(n));
	q_store(cx, cx->out[0], at, v, quant_zero(y), quant_limits(y->dtype));
	if (a->exclusive)
		loop_set(b, sum, loop_add(b, loop_get(b, sum), x));
	loop_end(b);
	lower_end_lines(cx, &line);
}

/* ---- Norms ---- */

/* Squares of longer lines do not fit int32. */
enum { MAX_LINE = 33025 };

bool
qinfer_lp_norm(const Node *n, Type *out, Diag *d)
{
	const Attr_LP_NORM *a = n->attr;
	const Type *t = &n->in[0]->type, *y = &n->out[0]->type;
	QRange r = quant_limits(y->dtype);

	out[0] = *t;
	if (!check_all_quantized(n, d) || !check_axis(n, d, "axis", a->axis, t->rank) ||
	    !check_range(n, d, "p", a->p, 2, 2) || !check_output_like_input(n, d))
		return false;
	if (t->dim[a->axis] > MAX_LINE)
		return bad_input(n, d, E_UNSUPPORTED, 0, "more than %d elements along the axis",
		                 MAX_LINE);
	if (fabs((double)quant_scale(y) * 128 - 1) < 1e-3 &&
	    quant_zero(y) == (r.lo + r.hi + 1) / 2)
		return true;
	return diag_report(d, &n->loc, E_UNSUPPORTED,
	                   "the output of '%s' must have the scale %g and the zero point %d",
	                   op_info[n->op].name, 1.0 / 128, (r.lo + r.hi + 1) / 2);
}

static Expr *
sum_of_squares(LowerCtx *cx, const Line *line, int32_t zero)
{
	LBuilder *b = &cx->b;
	LVar *sum = loop_var(b, "sum", q_int(cx, 0));
	Expr *r = loop_for(b, "r", 0, line->length), *v;

	v = loop_let(b, "v", q_load(cx, cx->in[0], lower_line_index(cx, line, r), zero));
	loop_set(b, sum, loop_add(b, loop_get(b, sum), loop_mul(b, v, v)));
	loop_end(b);
	return loop_let(b, "total", loop_get(b, sum));
}

/* x * m * 2^(shift - 31) for a named shift that is not a constant. */
static Expr *
scale_by(LowerCtx *cx, Expr *x, Expr *m, Expr *shift)
{
	LBuilder *b = &cx->b;
	Expr *right, *t, *y;

	if (cx->single_rounding) {
		right = loop_let(b, "right", loop_sub(b, q_int64(cx, 31),
		                                      loop_cvt(b, DT_I64, shift)));
		y = loop_mul(b, loop_cvt(b, DT_I64, x), loop_cvt(b, DT_I64, m));
		t = loop_op2(b, KOP_SHL, q_int64(cx, 1), loop_sub(b, right, q_int64(cx, 1)));
		return loop_cvt(b, DT_I32, loop_op2(b, KOP_SHR, loop_add(b, y, t), right));
	}
	x = loop_op2(b, KOP_SHL, x, loop_op2(b, KOP_MAX, shift, q_int(cx, 0)));
	y = loop_let(b, "y", q_srdhm(cx, x, m));
	right = loop_sub(b, q_int(cx, -1), shift);
	t = loop_add(b, y, loop_op2(b, KOP_SHR, y, q_int(cx, 31)));
	t = loop_add(b, loop_op2(b, KOP_SHR, t, right), q_int(cx, 1));
	t = loop_op2(b, KOP_SHR, t, q_int(cx, 1));
	return loop_select(b, loop_op2(b, KOP_LT, shift, q_int(cx, 0)), t, y);
}

enum { NORM_BITS = 7 }; /* behind the point */

void
qlower_lp_norm(LowerCtx *cx, const Node *n)
{
	LBuilder *b = &cx->b;
	const Type *t = &n->in[0]->type, *y = &n->out[0]->type;
	Line line = lower_lines(cx, t, ((const Attr_LP_NORM *)n->attr)->axis);
	Expr *sum = sum_of_squares(cx, &line, quant_zero(t)), *m, *shift, *r, *at, *x;

	m = loop_let(b, "m", loop_call1(b, "invsqrt", sum));
	shift = loop_sub(b, q_int(cx, NORM_BITS), q_inverse_root_shift(cx, sum));
	shift = loop_let(b, "shift", shift);
	r = loop_for(b, "r", 0, line.length);
	at = lower_line_index(cx, &line, r);
	x = scale_by(cx, q_load(cx, cx->in[0], at, quant_zero(t)), m, shift);
	q_store(cx, cx->out[0], at, x, quant_zero(y), quant_limits(y->dtype));
	loop_end(b);
	lower_end_lines(cx, &line);
}
