#include "frontend/pmml/link.h"

#include <math.h>

/*
 * 1/2 + erf(x / sqrt 2) / 2 cancels below 0, so the tail there is the exponential times
 * a continued fraction (Laplace), which has converged at 2 after 40 levels.
 */
Expr *
link_normal_cdf(Pmml *p, Expr *x)
{
	LBuilder *b = code(p);
	LVar *y, *f;
	Expr *k, *t;

	x = code_let(p, "x", x);
	t = code_call(p, "erf", code_mul(p, x, code_number(p, 0.70710678118654752440)));
	t = code_mul(p, code_number(p, 0.5), code_add(p, code_number(p, 1), t));
	y = loop_var(b, "cdf", t);
	loop_if(b, code_op(p, KOP_LT, x, code_number(p, -2)));
	f = loop_var(b, "tail", loop_op1(b, KOP_NEG, x));
	k = loop_for(b, "k", 0, 40);
	t = code_op(p, KOP_SUB, code_number(p, 40), loop_cvt(b, DT_F64, k));
	t = code_op(p, KOP_DIV, t, loop_get(b, f));
	loop_set(b, f, code_op(p, KOP_SUB, t, x));
	loop_end(b);
	t = code_call(p, "exp", code_mul(p, code_number(p, -0.5), code_mul(p, x, x)));
	t = code_mul(p, t, code_number(p, 0.39894228040143267794));
	loop_set(b, y, code_op(p, KOP_DIV, t, loop_get(b, f)));
	loop_end(b);
	return loop_get(b, y);
}

/* c[0] + c[1] x + ... */
static Expr *
polynomial(Pmml *p, Expr *x, const double *c, int n)
{
	Expr *y = code_number(p, c[n - 1]);

	for (int i = n - 2; i >= 0; i--)
		y = code_add(p, code_mul(p, y, x), code_number(p, c[i]));
	return y;
}

/*
 * A rational approximation in three pieces to about 1e-9 (Acklam's coefficients), and
 * one step of Newton's method with the distribution itself.
 */
Expr *
link_normal_idf(Pmml *p, Expr *x)
{
	static const double a[] = {2.506628277459239e+00,  -3.066479806614716e+01,
	                           1.383577518672690e+02,  -2.759285104469687e+02,
	                           2.209460984245205e+02,  -3.969683028665376e+01};
	static const double b[] = {1,
	                           -1.328068155288572e+01,
	                           6.680131188771972e+01,
	                           -1.556989798598866e+02,
	                           1.615858368580409e+02,
	                           -5.447609879822406e+01};
	static const double c[] = {2.938163982698783e+00,  4.374664141464968e+00,
	                           -2.549732539343734e+00, -2.400758277161838e+00,
	                           -3.223964580411365e-01, -7.784894002430293e-03};
	static const double d[] = {1, 3.754408661907416e+00, 2.445134137142996e+00,
	                           3.224671290700398e-01, 7.784695709041462e-03};
	Expr *q, *r, *middle, *tail, *low, *y, *error, *slope;

	x = code_let(p, "x", x);
	q = code_let(p, "q", code_op(p, KOP_SUB, x, code_number(p, 0.5)));
	r = code_let(p, "r", code_mul(p, q, q));
	middle =
		code_mul(p, q, code_op(p, KOP_DIV, polynomial(p, r, a, 6), polynomial(p, r, b, 6)));
	low = code_op(p, KOP_LT, q, code_number(p, 0));
	tail = code_select(p, low, x, code_op(p, KOP_SUB, code_number(p, 1), x));
	tail = code_mul(p, code_number(p, -2), code_call(p, "log", tail));
	tail = code_let(p, "tail", code_call(p, "sqrt", tail));
	tail = code_op(p, KOP_DIV, polynomial(p, tail, c, 6), polynomial(p, tail, d, 5));
	tail = code_select(p, low, tail, loop_op1(code(p), KOP_NEG, tail));
	y = code_select(p,
	                code_op(p, KOP_LE, loop_op1(code(p), KOP_ABS, q), code_number(p, 0.47575)),
	                middle, tail);
	y = code_let(p, "y", y);
	error = code_op(p, KOP_SUB, link_normal_cdf(p, y), x);
	slope = code_call(p, "exp", code_mul(p, code_number(p, 0.5), code_mul(p, y, y)));
	slope = code_mul(p, slope, code_number(p, 2.5066282746310005024));
	y = code_select(p, code_op(p, KOP_LT, loop_op1(code(p), KOP_ABS, y), code_number(p, 8)),
	                code_op(p, KOP_SUB, y, code_mul(p, error, slope)), y);
	return code_let(p, "idf", y);
}

Expr *
link_inverse(Pmml *p, Link link, Expr *x)
{
	Expr *one = code_number(p, 1);

	switch (link) {
	case LINK_IDENTITY: return x;
	case LINK_LOGIT: return code_call(p, "sigmoid", x);
	case LINK_PROBIT: return link_normal_cdf(p, x);
	case LINK_CLOGLOG: /* 1 - exp(-exp(x)) */
		x = loop_op1(code(p), KOP_NEG, code_call(p, "exp", x));
		return loop_op1(code(p), KOP_NEG, code_call(p, "expm1", x));
	case LINK_LOGLOG: /* exp(-exp(-x)) */
		x = code_call(p, "exp", loop_op1(code(p), KOP_NEG, x));
		return code_call(p, "exp", loop_op1(code(p), KOP_NEG, x));
	case LINK_CAUCHIT: /* 1/2 + atan(x) / pi; of large negative x by the other angle */
		return code_op(p, KOP_DIV,
		               loop_call2(code(p), "atan2", one, loop_op1(code(p), KOP_NEG, x)),
		               code_number(p, 3.14159265358979323846));
	case LINK_EXP: return code_call(p, "exp", x);
	}
	return x;
}

Expr *
link_power(Pmml *p, Expr *x, double exponent)
{
	Expr *y = x;

	if (exponent != floor(exponent) || exponent < 1 || exponent > 4)
		return loop_call2(code(p), "pow", x, code_number(p, exponent));
	if (exponent > 1)
		x = y = code_let(p, "x", x);
	for (int i = 1; i < (int)exponent; i++)
		y = code_mul(p, y, x);
	return y;
}

/* Insertion of each number into those before it. */
Expr *
link_median(Pmml *p, LBuf *v, int n)
{
	LBuilder *b = code(p);
	LBuf *sorted = kernel_scratch(p, "sorted", DT_F64, n);
	LVar *count = loop_var_idx(b, "count", loop_idx(b, 0), 0, n), *carry;
	Expr *i = loop_for(b, "i", 0, n), *k, *half, *x, *here;

	x = code_let(p, "x", loop_load(b, v, i));
	loop_store(b, sorted, i, code_number(p, HUGE_VAL));
	loop_if(b, code_op(p, KOP_EQ, x, x));
	carry = loop_var(b, "carry", x);
	k = loop_for_expr(b, "k", loop_idx(b, 0), loop_add(b, i, loop_idx(b, 1)));
	here = code_let(p, "here", loop_load(b, sorted, k));
	loop_if(b, code_op(p, KOP_LT, loop_get(b, carry), here));
	loop_store(b, sorted, k, loop_get(b, carry));
	loop_set(b, carry, here);
	loop_end(b);
	loop_end(b);
	loop_set(b, count, loop_op2(b, KOP_MIN, loop_add(b, loop_get(b, count), loop_idx(b, 1)),
	                            loop_idx(b, n)));
	loop_end(b);
	loop_end(b);
	half = loop_op2(b, KOP_DIV, loop_get(b, count), loop_idx(b, 2));
	half = loop_let(b, "half", loop_op2(b, KOP_MIN, half, loop_idx(b, n - 1)));
	x = loop_load(b, sorted, half);
	here = loop_load(b, sorted,
	                 loop_op2(b, KOP_MAX, loop_sub(b, half, loop_idx(b, 1)), loop_idx(b, 0)));
	here = code_mul(p, code_number(p, 0.5), code_add(p, here, x));
	x = code_select(p,
	                code_op(p, KOP_EQ, loop_op2(b, KOP_REM, loop_get(b, count), loop_idx(b, 2)),
	                        loop_idx(b, 0)),
	                here, x);
	x = code_select(p, code_op(p, KOP_EQ, loop_get(b, count), loop_idx(b, 0)),
	                code_number(p, (double)NAN), x);
	return code_let(p, "median", x);
}

static void
divide_by_sum(Pmml *p, LBuf *v, int n)
{
	LBuilder *b = code(p);
	LVar *sum = loop_var(b, "sum", code_number(p, 0));
	Expr *i = loop_for(b, "i", 0, n);

	loop_set(b, sum, code_add(p, loop_get(b, sum), loop_load(b, v, i)));
	loop_end(b);
	i = loop_for(b, "i", 0, n);
	loop_store(b, v, i, code_op(p, KOP_DIV, loop_load(b, v, i), loop_get(b, sum)));
	loop_end(b);
}

void
link_simplemax(Pmml *p, LBuf *v, int n)
{
	divide_by_sum(p, v, n);
}

void
link_softmax(Pmml *p, LBuf *v, int n)
{
	LBuilder *b = code(p);
	LVar *most = loop_var(b, "most", code_at(p, v, 0));
	Expr *i = loop_for(b, "i", 1, n);

	loop_set(b, most, loop_op2(b, KOP_MAX, loop_get(b, most), loop_load(b, v, i)));
	loop_end(b);
	i = loop_for(b, "i", 0, n);
	loop_store(b, v, i,
	           code_call(p, "exp", loop_sub(b, loop_load(b, v, i), loop_get(b, most))));
	loop_end(b);
	divide_by_sum(p, v, n);
}

static Expr *
extreme(Pmml *p, LBuf *v, int n, KOp better, const char *name)
{
	LBuilder *b = code(p);
	Expr *first = code_at(p, v, 0), *i;
	LVar *best = loop_var(b, name, code_select(p, code_op(p, KOP_EQ, first, first),
	                                           code_int(p, 0), code_int(p, -1)));
	LVar *value = loop_var(b, "best", first);

	if (n > 1) {
		i = loop_for(b, "i", 1, n);
		loop_if(b, code_op(p, better, loop_load(b, v, i), loop_get(b, value)));
		loop_set(b, value, loop_load(b, v, i));
		loop_set(b, best, loop_cvt(b, DT_I32, i));
		loop_end(b);
		loop_end(b);
	}
	return loop_get(b, best);
}

Expr *
link_largest(Pmml *p, LBuf *v, int n)
{
	return extreme(p, v, n, KOP_GT, "largest");
}

Expr *
link_smallest(Pmml *p, LBuf *v, int n)
{
	return extreme(p, v, n, KOP_LT, "smallest");
}

LBuf *
link_order(Pmml *p, LBuf *v, int n, bool largest_first)
{
	LBuilder *b = code(p);
	LBuf *order = kernel_scratch(p, "order", DT_I32, n);
	Expr *i, *j, *x, *y, *before;
	LVar *place;

	i = loop_for(b, "i", 0, n);
	x = loop_let(b, "x", loop_load(b, v, i));
	place = loop_var(b, "place", code_int(p, 0));
	j = loop_for(b, "j", 0, n);
	y = loop_let(b, "y", loop_load(b, v, j));
	before = code_and(p, code_op(p, KOP_EQ, y, x), code_op(p, KOP_LT, j, i));
	before = code_or(p, code_op(p, largest_first ? KOP_GT : KOP_LT, y, x), before);
	loop_if(b, before);
	loop_set(b, place, code_add(p, loop_get(b, place), code_int(p, 1)));
	loop_end(b);
	loop_end(b);
	loop_store(b, order, loop_clamp_idx(b, loop_get(b, place), 0, n - 1),
	           loop_cvt(b, DT_I32, i));
	loop_end(b);
	return order;
}
