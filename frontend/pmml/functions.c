/*
 * The built-in functions of numbers and truth values.
 *
 * A function of a missing value is missing, but for those that ask whether a value is,
 * `and` and `or` where the other argument decides, and the functions of many arguments
 * (min, max, sum, product, avg, median), which leave missing ones out.
 */
#include "frontend/pmml/functions.h"

#include <math.h>
#include <string.h>

#include "frontend/pmml/link.h"

bool
call_number(const Call *c, int i, Expr **out)
{
	return value_to_number(c->p, c->e, c->x[i], out);
}

/* ---- Arithmetic ---- */

/* The type of a result: float or integer only when all arguments are. */
static PType
result_type(const Call *c)
{
	bool all_integer = true, all_narrow = true;

	for (int i = 0; i < c->n; i++) {
		PKind kind = value_kind(&c->x[i]);

		all_integer = all_integer && kind == KIND_INTEGER;
		all_narrow = all_narrow && (kind == KIND_INTEGER || kind == KIND_FLOAT);
	}
	if (all_integer)
		return TYPE_INTEGER;
	return all_narrow ? TYPE_FLOAT : TYPE_DOUBLE;
}

/* A result of the type, rounded once to float. */
static Val
rounded(const Call *c, PType t, Expr *e)
{
	LBuilder *b = code(c->p);

	if (t == TYPE_FLOAT)
		e = loop_cvt(b, DT_F64, loop_cvt(b, DT_F32, e));
	return value_of(c->p, t, e);
}

static bool
function_arithmetic(const Call *c, Val *out)
{
	PType t = result_type(c);
	Expr *x, *y;

	if (!call_number(c, 0, &x))
		return false;
	if (c->n == 1) {
		*out = value_of(c->p, t, loop_op1(code(c->p), KOP_NEG, x));
		return true;
	}
	if (!call_number(c, 1, &y))
		return false;
	if (c->what == KOP_DIV && t == TYPE_INTEGER)
		t = TYPE_DOUBLE;
	*out = rounded(c, t, code_op(c->p, (KOp)c->what, x, y));
	return true;
}

/* Goes over the arguments that are not missing; NaN when all are. */
static bool
function_aggregate(const Call *c, Val *out)
{
	static const double start[] = {HUGE_VAL, -HUGE_VAL, 0, 1, 0};
	static const KOp op[] = {KOP_MIN, KOP_MAX, KOP_ADD, KOP_MUL, KOP_ADD};
	Pmml *p = c->p;
	Expr *sum = code_number(p, start[c->what]), *count = code_number(p, 0), *x;
	PType t = result_type(c);

	for (int i = 0; i < c->n; i++) {
		Expr *missing;

		if (!call_number(c, i, &x))
			return false;
		missing = value_is_missing(p, &c->x[i]);
		sum = code_select(p, missing, sum, code_op(p, op[c->what], sum, x));
		count = code_select(p, missing, count, code_add(p, count, code_number(p, 1)));
		sum = code_let(p, "sum", sum);
		count = code_let(p, "count", count);
	}
	x = c->what == AGGREGATE_AVG ? code_op(p, KOP_DIV, sum, count) : sum;
	if (c->what == AGGREGATE_AVG && t == TYPE_INTEGER)
		t = TYPE_DOUBLE;
	*out = rounded(c, t, code_select(p, code_op(p, KOP_EQ, count, code_number(p, 0)),
	                                 code_number(p, (double)NAN), x));
	return true;
}

static bool
function_median(const Call *c, Val *out)
{
	Pmml *p = c->p;
	LBuf *v = kernel_scratch(p, "values", DT_F64, c->n);
	Expr *x;

	for (int i = 0; i < c->n; i++) {
		if (!call_number(c, i, &x))
			return false;
		code_put(p, v, i, x);
	}
	*out = value_of(p, TYPE_DOUBLE, link_median(p, v, c->n));
	return true;
}

static bool
function_math(const Call *c, Val *out)
{
	static const char *const name[] = {
		[MATH_LN] = "log",     [MATH_LN1P] = "log1p",   [MATH_SQRT] = "sqrt",
		[MATH_EXP] = "exp",    [MATH_EXPM1] = "expm1",  [MATH_SIN] = "sin",
		[MATH_COS] = "cos",    [MATH_TAN] = "tan",      [MATH_ASIN] = "asin",
		[MATH_ACOS] = "acos",  [MATH_ATAN] = "atan",    [MATH_SINH] = "sinh",
		[MATH_COSH] = "cosh",  [MATH_TANH] = "tanh",    [MATH_ERF] = "erf",
		[MATH_FLOOR] = "floor", [MATH_CEIL] = "ceil",   [MATH_RINT] = "rint",
	};
	PType t = value_kind(&c->x[0]) == KIND_FLOAT ? TYPE_FLOAT : TYPE_DOUBLE;
	Expr *x;

	if (!call_number(c, 0, &x))
		return false;
	*out = rounded(c, t, code_call(c->p, name[c->what], x));
	return true;
}

static bool
function_rounding(const Call *c, Val *out)
{
	if (!function_math(c, out))
		return false;
	out->type = TYPE_INTEGER;
	return true;
}

static bool
function_special(const Call *c, Val *out)
{
	Pmml *p = c->p;
	LBuilder *b = code(p);
	PType t = value_kind(&c->x[0]) == KIND_LABEL ? TYPE_DOUBLE : c->x[0].type;
	Expr *x, *y, *whole;

	if (!call_number(c, 0, &x))
		return false;
	switch (c->what) {
	case SPECIAL_LOG10: /* exact for powers of ten */
		x = code_let(p, "x", x);
		y = code_let(p, "y", code_mul(p, code_call(p, "log", x),
		                              code_number(p, 0.43429448190325182765)));
		whole = code_let(p, "whole", code_call(p, "rint", y));
		y = code_select(
			p, code_op(p, KOP_EQ, x, loop_call2(b, "pow", code_number(p, 10), whole)),
			whole, y);
		*out = rounded(c, t == TYPE_FLOAT ? t : TYPE_DOUBLE, y);
		return true;
	case SPECIAL_ROUND: /* halves up */
		*out = value_of(p, TYPE_INTEGER,
		                code_call(p, "floor", code_add(p, x, code_number(p, 0.5))));
		return true;
	default:
		*out = value_of(p, t, loop_op1(b, KOP_ABS, x));
		return true;
	}
}

static bool
function_special2(const Call *c, Val *out)
{
	Pmml *p = c->p;
	LBuilder *b = code(p);
	PType t = result_type(c);
	Expr *x, *y, *r = NULL;

	if (!call_number(c, 0, &x) || !call_number(c, 1, &y))
		return false;
	switch (c->what) {
	case SPECIAL_POW: r = loop_call2(b, "pow", x, y); break;
	case SPECIAL_MODULO: /* of the sign of y */
		r = code_call(p, "floor", code_op(p, KOP_DIV, x, y));
		r = code_op(p, KOP_SUB, x, code_mul(p, y, r));
		break;
	case SPECIAL_THRESHOLD:
		r = code_select(p, code_op(p, KOP_GT, x, y), code_number(p, 1), code_number(p, 0));
		r = code_select(p, code_or(p, code_is_nan(p, x), code_is_nan(p, y)),
		                code_number(p, (double)NAN), r);
		t = TYPE_INTEGER;
		break;
	case SPECIAL_HYPOT:
		r = code_call(p, "sqrt", code_add(p, code_mul(p, x, x), code_mul(p, y, y)));
		t = TYPE_DOUBLE;
		break;
	case SPECIAL_ATAN2:
		r = loop_call2(b, "atan2", x, y);
		t = TYPE_DOUBLE;
		break;
	}
	*out = rounded(c, t, r);
	return true;
}

/* ---- The normal distribution ---- */

static bool
function_normal(const Call *c, Val *out)
{
	Pmml *p = c->p;
	Expr *x, *mean = NULL, *deviation = NULL, *r;

	if (!call_number(c, 0, &x) ||
	    (c->n == 3 && (!call_number(c, 1, &mean) || !call_number(c, 2, &deviation))))
		return false;
	if (c->n == 3 && c->what != NORMAL_IDF)
		x = code_op(p, KOP_DIV, code_op(p, KOP_SUB, x, mean), deviation);
	x = code_let(p, "x", x);
	switch (c->what) {
	case NORMAL_CDF: r = link_normal_cdf(p, x); break;
	case NORMAL_PDF:
		r = code_call(p, "exp", code_mul(p, code_number(p, -0.5), code_mul(p, x, x)));
		r = code_mul(p, r, code_number(p, 0.39894228040143267794));
		if (c->n == 3)
			r = code_op(p, KOP_DIV, r, deviation);
		break;
	default:
		r = link_normal_idf(p, x);
		if (c->n == 3)
			r = code_add(p, mean, code_mul(p, deviation, r));
		break;
	}
	*out = value_of(p, TYPE_DOUBLE, r);
	return true;
}

/* ---- Truth ---- */

static bool
function_missing(const Call *c, Val *out)
{
	Expr *missing = value_is_missing(c->p, &c->x[0]);

	*out = value_bool(c->p, c->what ? missing : code_not(c->p, missing), NULL);
	return true;
}

static Expr *
any_missing(Pmml *p, const Val *x, const Val *y)
{
	if (x->never_missing && y->never_missing)
		return NULL;
	return code_or(p, value_is_missing(p, x), value_is_missing(p, y));
}

/* A boolean is false where it is missing. */
static Val
known(Pmml *p, Expr *is_true, Expr *missing)
{
	return value_bool(p, missing ? code_and(p, is_true, code_not(p, missing)) : is_true,
	                  missing);
}

static bool
function_compare(const Call *c, Val *out)
{
	Expr *e;

	if (!value_compare(c->p, c->e, (KOp)c->what, c->x[0], c->x[1], &e))
		return false;
	*out = known(c->p, e, any_missing(c->p, &c->x[0], &c->x[1]));
	return true;
}

static bool
truth_of(const Call *c, int i, Truth *out)
{
	Val v;

	if (!value_cast(c->p, c->e, c->x[i], TYPE_BOOLEAN, &v))
		return false;
	v = value_here(c->p, v);
	*out = (Truth){v.e, v.missing};
	return true;
}

static bool
function_logic(const Call *c, Val *out)
{
	Truth t, next;

	if (!truth_of(c, 0, &t))
		return false;
	for (int i = 1; i < c->n; i++) {
		if (!truth_of(c, i, &next))
			return false;
		t = c->what == KOP_AND ? truth_and(c->p, t, next) : truth_or(c->p, t, next);
	}
	*out = value_bool(c->p, t.is_true, t.is_unknown);
	return true;
}

static bool
function_negation(const Call *c, Val *out)
{
	Truth t;

	if (!truth_of(c, 0, &t))
		return false;
	*out = known(c->p, code_not(c->p, t.is_true), t.is_unknown);
	return true;
}

static bool
function_member(const Call *c, Val *out)
{
	Pmml *p = c->p;
	Expr *in = loop_bool(code(p), false), *same;

	for (int i = 1; i < c->n; i++) {
		if (!value_compare(p, c->e, KOP_EQ, c->x[0], c->x[i], &same))
			return false;
		in = code_link(p, "in", code_or(p, in, same), i);
	}
	*out = known(p, c->what ? code_not(p, in) : in,
	             c->x[0].never_missing ? NULL : value_is_missing(p, &c->x[0]));
	return true;
}

static bool
function_choice(const Call *c, Val *out)
{
	Pmml *p = c->p;
	Val no, missing;
	Truth t;

	if (!truth_of(c, 0, &t))
		return false;
	missing = value_missing(p, c->x[1].type, c->x[1].labels);
	no = c->n == 3 ? c->x[2] : missing;
	if (!value_select(p, c->e, t.is_true, c->x[1], no, out))
		return false;
	if (!t.is_unknown)
		return true;
	missing = value_missing(p, out->type, out->labels);
	return value_select(p, c->e, t.is_unknown, missing, *out, out);
}

/* ---- The table ---- */

static const struct {
	const char *name;
	int least, most;
	FunctionCode *write;
	int what;
} functions[] = {
#define FUNCTION(name, least, most, how, what) {name, least, most, function_##how, what},
#include "frontend/pmml/functions.def"
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

bool
function_apply(Pmml *p, const Xml *e, const char *name, int n, const Val *x, bool *is_known,
               Val *out)
{
	for (int i = 0; i < FUNCTIONS; i++) {
		Call c = {p, e, n, x, functions[i].what};

		if (strcmp(functions[i].name, name) != 0)
			continue;
		if (n < functions[i].least || (functions[i].most && n > functions[i].most))
			return pmml_error(p, e, "'%s' cannot have %d arguments", name, n);
		return functions[i].write(&c, out);
	}
	*is_known = false;
	return false;
}
