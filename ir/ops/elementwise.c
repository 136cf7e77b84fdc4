/*
 * Elementwise operators: their shape rules and what they do to one element.
 *
 * Operands come in the compute type of their element type (see dtype_compute);
 * results of integers narrower than 32 bits wrap around when they are stored.
 * An expression is evaluated wherever it stands, so an operand that is used
 * more than once gets a name first.
 */
#include <math.h>

#include "ir/lower.h"
#include "ir/ops/infer.h"
#include "ir/ops/scalar.h"

/* ---- Shape rules ---- */

static bool
infer_unary(const Node *n, Type *out, Diag *d, unsigned set)
{
	out[0] = n->in[0]->type;
	return check_dtype(n, d, 0, set);
}

bool
infer_same(const Node *n, Type *out, Diag *d)
{
	return infer_unary(n, out, d, n->op == OP_IDENTITY ? SET_ANY : SET_NUMBER);
}

bool
infer_same_float(const Node *n, Type *out, Diag *d)
{
	return infer_unary(n, out, d, SET_FLOAT);
}

bool
infer_same_integer(const Node *n, Type *out, Diag *d)
{
	return infer_unary(n, out, d, SET_INTEGER);
}

bool
infer_same_bool(const Node *n, Type *out, Diag *d)
{
	return infer_unary(n, out, d, SET_BOOL);
}

bool
infer_to_bool(const Node *n, Type *out, Diag *d)
{
	out[0] = n->in[0]->type;
	out[0].dtype = DT_BOOL;
	return check_dtype(n, d, 0, SET_FLOAT);
}

bool
infer_clamp(const Node *n, Type *out, Diag *d)
{
	const Attr_CLAMP *a = n->attr;

	if (isnan(a->lo) || isnan(a->hi))
		return bad_attribute(n, d, isnan(a->lo) ? "lo" : "hi", "not a number");
	return infer_unary(n, out, d, SET_NUMBER);
}

bool
infer_cast(const Node *n, Type *out, Diag *d)
{
	const Attr_CAST *a = n->attr;

	if (a->to >= DT_COUNT || !(SET_ANY >> a->to & 1))
		return bad_attribute(n, d, "to", "not an element type of tensors");
	out[0] = n->in[0]->type;
	out[0].dtype = a->to;
	return true;
}

/* The broadcast of inputs [from, nins). */
static bool
broadcast_inputs(const Node *n, Type *out, Diag *d, int from)
{
	out[0] = n->in[from]->type;
	for (int i = from + 1; i < n->nins; i++) {
		Type sum = out[0];

		if (!type_broadcast(&out[0], &n->in[i]->type, &sum))
			return bad_input(n, d, E_SHAPE, i, "does not broadcast with %s",
			                 type_text(d->arena, &out[0]));
		out[0] = sum;
	}
	return true;
}

bool
infer_broadcast(const Node *n, Type *out, Diag *d)
{
	return check_dtypes(n, d, SET_NUMBER) && broadcast_inputs(n, out, d, 0);
}

bool
infer_broadcast_integer(const Node *n, Type *out, Diag *d)
{
	return check_dtypes(n, d, SET_INTEGER) && broadcast_inputs(n, out, d, 0);
}

bool
infer_broadcast_bool(const Node *n, Type *out, Diag *d)
{
	return check_dtypes(n, d, SET_BOOL) && broadcast_inputs(n, out, d, 0);
}

bool
infer_compare(const Node *n, Type *out, Diag *d)
{
	if (!check_dtypes(n, d, n->op == OP_EQUAL ? SET_ANY : SET_NUMBER) ||
	    !broadcast_inputs(n, out, d, 0))
		return false;
	out[0].dtype = DT_BOOL;
	return true;
}

bool
infer_where(const Node *n, Type *out, Diag *d)
{
	DType t = n->in[1]->type.dtype;

	if (!check_dtype(n, d, 0, SET_BOOL))
		return false;
	if (n->in[2]->type.dtype != t)
		return bad_input(n, d, E_TYPE, 2, "the element type must be %s, as that of input 1",
		                 dtype_info[t].name);
	if (!broadcast_inputs(n, out, d, 0))
		return false;
	out[0].dtype = t;
	return true;
}

/* ---- One float to one float ---- */

#define CALL(id, function) \
	Expr *scalar_##id(LBuilder *b, const Node *n, Expr *const *x) \
	{ \
		(void)n; \
		return loop_call1(b, function, x[0]); \
	}
CALL(SQRT, "sqrt")
CALL(EXP, "exp")
CALL(LOG, "log")
CALL(SIN, "sin")
CALL(COS, "cos")
CALL(TAN, "tan")
CALL(ASIN, "asin")
CALL(ACOS, "acos")
CALL(ATAN, "atan")
CALL(SINH, "sinh")
CALL(COSH, "cosh")
CALL(TANH, "tanh")
CALL(ASINH, "asinh")
CALL(ACOSH, "acosh")
CALL(ATANH, "atanh")
CALL(ERF, "erf")
CALL(SIGMOID, "sigmoid")
CALL(SOFTPLUS, "softplus")

/* Functions that change nothing of an integer. */
#define ROUNDING(id, function) \
	Expr *scalar_##id(LBuilder *b, const Node *n, Expr *const *x) \
	{ \
		(void)n; \
		return dtype_is_float(x[0]->type) ? loop_call1(b, function, x[0]) : x[0]; \
	}
ROUNDING(FLOOR, "floor")
ROUNDING(CEIL, "ceil")
ROUNDING(TRUNC, "trunc")
ROUNDING(ROUND, "rint")

Expr *
scalar_RECIPROCAL(LBuilder *b, const Node *n, Expr *const *x)
{
	(void)n;
	return scalar_div(b, scalar_number(b, x[0], 1), x[0]);
}

Expr *
scalar_RSQRT(LBuilder *b, const Node *n, Expr *const *x)
{
	(void)n;
	return scalar_div(b, scalar_number(b, x[0], 1), loop_call1(b, "sqrt", x[0]));
}

Expr *
scalar_SOFTSIGN(LBuilder *b, const Node *n, Expr *const *x)
{
	Expr *v = scalar_named(b, "v", x[0]);

	(void)n;
	return scalar_div(b, v, loop_add(b, scalar_number(b, v, 1), loop_op1(b, KOP_ABS, v)));
}

Expr *
scalar_LEAKY_RELU(LBuilder *b, const Node *n, Expr *const *x)
{
	const Attr_LEAKY_RELU *a = n->attr;
	Expr *v = scalar_named(b, "v", x[0]);

	return loop_select(b, scalar_compare(b, KOP_LT, v, 0),
	                   loop_mul(b, v, scalar_number(b, v, a->alpha)), v);
}

Expr *
scalar_ELU(LBuilder *b, const Node *n, Expr *const *x)
{
	const Attr_ELU *a = n->attr;
	Expr *v = scalar_named(b, "v", x[0]);

	return loop_select(b, scalar_compare(b, KOP_LT, v, 0),
	                   loop_mul(b, scalar_number(b, v, a->alpha), loop_call1(b, "expm1", v)),
	                   v);
}

Expr *
scalar_SELU(LBuilder *b, const Node *n, Expr *const *x)
{
	const Attr_SELU *a = n->attr;
	Expr *v = scalar_named(b, "v", x[0]);
	Expr *below =
		loop_mul(b, scalar_number(b, v, a->gamma * a->alpha), loop_call1(b, "expm1", v));

	return loop_select(b, scalar_compare(b, KOP_GT, v, 0),
	                   loop_mul(b, scalar_number(b, v, a->gamma), v), below);
}

Expr *
scalar_CELU(LBuilder *b, const Node *n, Expr *const *x)
{
	const Attr_CELU *a = n->attr;
	Expr *v = scalar_named(b, "v", x[0]);
	Expr *alpha = scalar_number(b, v, a->alpha);
	Expr *below = loop_mul(b, alpha, loop_call1(b, "expm1", scalar_div(b, v, alpha)));

	return loop_add(b, scalar_clamp(b, v, 0, HUGE_VAL), scalar_clamp(b, below, -HUGE_VAL, 0));
}

Expr *
scalar_THRESHOLDED_RELU(LBuilder *b, const Node *n, Expr *const *x)
{
	const Attr_THRESHOLDED_RELU *a = n->attr;
	Expr *v = scalar_named(b, "v", x[0]);

	return loop_select(b, scalar_compare(b, KOP_GT, v, a->alpha), v, scalar_number(b, v, 0));
}

/* clamp(alpha * v + beta, 0, 1) */
static Expr *
hard_sigmoid(LBuilder *b, Expr *v, double alpha, double beta)
{
	Expr *line =
		loop_add(b, loop_mul(b, scalar_number(b, v, alpha), v), scalar_number(b, v, beta));

	return scalar_clamp(b, line, 0, 1);
}

Expr *
scalar_HARD_SIGMOID(LBuilder *b, const Node *n, Expr *const *x)
{
	const Attr_HARD_SIGMOID *a = n->attr;

	return hard_sigmoid(b, x[0], a->alpha, a->beta);
}

Expr *
scalar_HARD_SWISH(LBuilder *b, const Node *n, Expr *const *x)
{
	Expr *v = scalar_named(b, "v", x[0]);

	(void)n;
	return loop_mul(b, v, hard_sigmoid(b, v, 1.0 / 6, 0.5));
}

/* 0.5 * v * (1 + erf(v / sqrt 2)), or its approximation
 * 0.5 * v * (1 + tanh(sqrt(2 / pi) * (v + 0.044715 * v^3))) */
Expr *
scalar_GELU(LBuilder *b, const Node *n, Expr *const *x)
{
	const Attr_GELU *a = n->attr;
	Expr *v = scalar_named(b, "v", x[0]), *bell;

	if (a->approximate == GELU_tanh) {
		Expr *square = loop_mul(b, scalar_number(b, v, 0.044715), loop_mul(b, v, v));
		Expr *z = loop_mul(b, v, loop_add(b, scalar_number(b, v, 1), square));

		bell = loop_call1(b, "tanh",
		                  loop_mul(b, scalar_number(b, v, 0.7978845608028654), z));
	} else {
		bell = loop_call1(b, "erf",
		                  loop_mul(b, scalar_number(b, v, 0.7071067811865476), v));
	}
	return loop_mul(b, loop_mul(b, scalar_number(b, v, 0.5), v),
	                loop_add(b, scalar_number(b, v, 1), bell));
}

Expr *
scalar_MISH(LBuilder *b, const Node *n, Expr *const *x)
{
	Expr *v = scalar_named(b, "v", x[0]);

	(void)n;
	return loop_mul(b, v, loop_call1(b, "tanh", loop_call1(b, "softplus", v)));
}

/* ---- One number to one number ---- */

Expr *
scalar_NEG(LBuilder *b, const Node *n, Expr *const *x)
{
	(void)n;
	return loop_op1(b, KOP_NEG, x[0]);
}

Expr *
scalar_ABS(LBuilder *b, const Node *n, Expr *const *x)
{
	DTypeClass class = dtype_info[n->in[0]->type.dtype].class;

	return class == CLASS_UNSIGNED ? x[0] : loop_op1(b, KOP_ABS, x[0]);
}

/* Zero and NaN stay what they are. */
Expr *
scalar_SIGN(LBuilder *b, const Node *n, Expr *const *x)
{
	Expr *v = scalar_named(b, "v", x[0]);
	Expr *other = v;

	if (dtype_info[n->in[0]->type.dtype].class != CLASS_UNSIGNED)
		other = loop_select(b, scalar_compare(b, KOP_LT, v, 0), scalar_number(b, v, -1), v);
	return loop_select(b, scalar_compare(b, KOP_GT, v, 0), scalar_number(b, v, 1), other);
}

Expr *
scalar_RELU(LBuilder *b, const Node *n, Expr *const *x)
{
	(void)n;
	return scalar_clamp(b, x[0], 0, HUGE_VAL);
}

/* The least and the greatest value of an integer type, as doubles. */
static void
integer_range(DType t, double *lo, double *hi)
{
	int bits = 8 * dtype_info[t].bytes;
	bool is_signed = dtype_info[t].class == CLASS_SIGNED;

	*lo = is_signed ? -ldexp(1, bits - 1) : 0;
	*hi = ldexp(1, is_signed ? bits - 1 : bits) - 1;
}

Expr *
scalar_CLAMP(LBuilder *b, const Node *n, Expr *const *x)
{
	const Attr_CLAMP *a = n->attr;
	DType t = n->in[0]->type.dtype;
	double lo = a->lo, hi = a->hi, least, greatest;

	if (dtype_is_float(t))
		return scalar_clamp(b, x[0], lo, hi);
	/* Bounds beyond the type do nothing, or take all to its end. */
	integer_range(t, &least, &greatest);
	lo = lo <= least ? -HUGE_VAL : lo >= greatest ? greatest : ceil(lo);
	hi = hi >= greatest ? HUGE_VAL : hi <= least ? least : floor(hi);
	return scalar_clamp(b, x[0], lo, hi);
}

/* Integers take the way over f64, as their bounds need not be whole. */
Expr *
scalar_SHRINK(LBuilder *b, const Node *n, Expr *const *x)
{
	const Attr_SHRINK *a = n->attr;
	bool is_float = dtype_is_float(x[0]->type);
	Expr *v = scalar_named(b, "v", is_float ? x[0] : loop_cvt(b, DT_F64, x[0]));
	Expr *bias = scalar_number(b, v, a->bias), *y;

	y = loop_select(b, scalar_compare(b, KOP_GT, v, a->lambd), loop_sub(b, v, bias),
	                scalar_number(b, v, 0));
	y = loop_select(b, scalar_compare(b, KOP_LT, v, -a->lambd), loop_add(b, v, bias), y);
	return loop_cvt(b, x[0]->type, y);
}

Expr *
scalar_NOT(LBuilder *b, const Node *n, Expr *const *x)
{
	(void)n;
	return loop_op1(b, KOP_NOT, x[0]);
}

Expr *
scalar_BIT_NOT(LBuilder *b, const Node *n, Expr *const *x)
{
	(void)n;
	return loop_op1(b, KOP_NOT, x[0]);
}

Expr *
scalar_IS_NAN(LBuilder *b, const Node *n, Expr *const *x)
{
	Expr *v = scalar_named(b, "v", x[0]);

	(void)n;
	return loop_op2(b, KOP_NE, v, v);
}

Expr *
scalar_IS_INF(LBuilder *b, const Node *n, Expr *const *x)
{
	const Attr_IS_INF *a = n->attr;

	if (a->negative && a->positive)
		return scalar_compare(b, KOP_EQ, loop_op1(b, KOP_ABS, x[0]), HUGE_VAL);
	if (!a->negative && !a->positive)
		return loop_bool(b, false);
	return scalar_compare(b, KOP_EQ, x[0], a->positive ? HUGE_VAL : -HUGE_VAL);
}

Expr *
scalar_CAST(LBuilder *b, const Node *n, Expr *const *x)
{
	const Attr_CAST *a = n->attr;
	DType via = dtype_compute(a->to);

	/* What does not wrap around must round or saturate once, at the narrow type. */
	if (via != a->to && (dtype_is_float(a->to) || dtype_is_float(x[0]->type)))
		return loop_cvt(b, via, loop_cvt(b, a->to, x[0]));
	return loop_cvt(b, via, x[0]);
}

/* ---- Two operands ---- */

#define BINARY(id, op) \
	Expr *scalar_##id(LBuilder *b, const Node *n, Expr *const *x) \
	{ \
		(void)n; \
		return loop_op2(b, op, x[0], x[1]); \
	}
BINARY(ADD, KOP_ADD)
BINARY(SUB, KOP_SUB)
BINARY(MUL, KOP_MUL)
BINARY(DIV, KOP_DIV)
BINARY(AND, KOP_AND)
BINARY(OR, KOP_OR)
BINARY(XOR, KOP_XOR)
BINARY(BIT_AND, KOP_AND)
BINARY(BIT_OR, KOP_OR)
BINARY(BIT_XOR, KOP_XOR)
BINARY(EQUAL, KOP_EQ)
BINARY(LESS, KOP_LT)
BINARY(LESS_EQUAL, KOP_LE)
BINARY(GREATER, KOP_GT)
BINARY(GREATER_EQUAL, KOP_GE)

/* Whether a nonzero remainder and the divisor have different signs. */
static Expr *
rounds_up(LBuilder *b, Expr *r, Expr *y)
{
	Expr *signs_differ = loop_op2(b, KOP_NE, scalar_compare(b, KOP_LT, r, 0),
	                              scalar_compare(b, KOP_LT, y, 0));

	return loop_op2(b, KOP_AND, scalar_compare(b, KOP_NE, r, 0), signs_differ);
}

Expr *
scalar_FLOOR_DIV(LBuilder *b, const Node *n, Expr *const *x)
{
	DType t = x[0]->type;
	Expr *y = scalar_named(b, "divisor", x[1]), *v, *r, *adjust;

	if (dtype_is_float(t))
		return loop_call1(b, "floor", scalar_div(b, x[0], y));
	if (dtype_info[n->in[0]->type.dtype].class == CLASS_UNSIGNED)
		return scalar_div(b, x[0], y);
	v = scalar_named(b, "v", x[0]);
	r = scalar_named(b, "r", loop_op2(b, KOP_REM, v, y));
	adjust = loop_op2(b, KOP_AND, rounds_up(b, r, y), scalar_compare(b, KOP_NE, y, 0));
	return loop_sub(b, scalar_div(b, v, y), loop_cvt(b, t, adjust));
}

Expr *
scalar_SQUARED_DIFFERENCE(LBuilder *b, const Node *n, Expr *const *x)
{
	Expr *v = scalar_named(b, "difference", loop_sub(b, x[0], x[1]));

	(void)n;
	return loop_mul(b, v, v);
}

Expr *
scalar_MOD(LBuilder *b, const Node *n, Expr *const *x)
{
	const Attr_MOD *a = n->attr;
	bool is_float = dtype_is_float(x[0]->type);
	Expr *y = a->fmod ? x[1] : scalar_named(b, "divisor", x[1]);
	Expr *r = is_float ? loop_call2(b, "fmod", x[0], y) : loop_op2(b, KOP_REM, x[0], y);

	if (a->fmod || dtype_info[n->in[0]->type.dtype].class == CLASS_UNSIGNED)
		return r;
	r = scalar_named(b, "r", r);
	return loop_select(b, rounds_up(b, r, y), loop_add(b, r, y), r);
}

/* Powers of integers by squaring; a negative exponent gives the integer part of
 * the fraction, and 0 for the power of 0. */
static Expr *
integer_power(LBuilder *b, Expr *x, Expr *y, bool is_signed)
{
	Expr *base = scalar_named(b, "base", x), *exponent = scalar_named(b, "exponent", y);
	Expr *odd, *fraction;
	DType t = x->type;
	LVar *power = loop_var(b, "power", loop_int(b, t, 1));
	LVar *square = loop_var(b, "square", base);
	LVar *rest = loop_var(b, "rest", exponent);

	loop_for_while(b, "bit", 0, 8 * dtype_info[t].bytes,
	               scalar_compare(b, KOP_GT, loop_get(b, rest), 0));
	odd = loop_op2(b, KOP_AND, loop_get(b, rest), loop_int(b, t, 1));
	loop_if(b, scalar_compare(b, KOP_NE, odd, 0));
	loop_set(b, power, loop_mul(b, loop_get(b, power), loop_get(b, square)));
	loop_end(b);
	loop_set(b, square, loop_mul(b, loop_get(b, square), loop_get(b, square)));
	loop_set(b, rest, loop_op2(b, KOP_SHR, loop_get(b, rest), loop_int(b, t, 1)));
	loop_end(b);
	if (!is_signed)
		return loop_get(b, power);
	odd = loop_op2(b, KOP_AND, exponent, loop_int(b, t, 1));
	fraction = loop_select(b, scalar_compare(b, KOP_NE, odd, 0), base, loop_int(b, t, 1));
	fraction = loop_select(b, scalar_compare(b, KOP_EQ, loop_op1(b, KOP_ABS, base), 1),
	                       fraction, loop_int(b, t, 0));
	return loop_select(b, scalar_compare(b, KOP_LT, exponent, 0), fraction, loop_get(b, power));
}

/* Whether `v` is a constant with that value everywhere. */
static bool
is_always(const Value *v, double x)
{
	if (!value_is_const(v))
		return false;
	for (int32_t i = 0; i < type_numel(&v->type); i++)
		if (value_float(v, i) != x)
			return false;
	return true;
}

Expr *
scalar_POW(LBuilder *b, const Node *n, Expr *const *x)
{
	Expr *v;

	if (!dtype_is_float(x[0]->type))
		return integer_power(b, x[0], x[1],
		                     dtype_info[n->in[0]->type.dtype].class == CLASS_SIGNED);
	/* The common powers are as exact as products. */
	if (!is_always(n->in[1], 2) && !is_always(n->in[1], 3))
		return loop_call2(b, "pow", x[0], x[1]);
	v = scalar_named(b, "v", x[0]);
	return is_always(n->in[1], 2) ? loop_mul(b, v, v) : loop_mul(b, loop_mul(b, v, v), v);
}

/* Whether no element of `v` can be NaN. */
static bool
is_never_nan(const Value *v)
{
	if (!dtype_is_float(v->type.dtype))
		return true;
	if (!value_is_const(v))
		return false;
	for (int32_t i = 0; i < type_numel(&v->type); i++)
		if (isnan(value_float(v, i)))
			return false;
	return true;
}

/* A known number goes second: only there a NaN needs extra care. */
static Expr *
extremum(LBuilder *b, const Node *n, KOp op, Expr *const *x)
{
	if (is_never_nan(n->in[1]))
		return loop_op2(b, op, x[0], x[1]);
	if (is_never_nan(n->in[0]))
		return loop_op2(b, op, x[1], x[0]);
	return op == KOP_MIN ? scalar_min(b, x[0], x[1]) : scalar_max(b, x[0], x[1]);
}

Expr *
scalar_MIN(LBuilder *b, const Node *n, Expr *const *x)
{
	return extremum(b, n, KOP_MIN, x);
}

Expr *
scalar_MAX(LBuilder *b, const Node *n, Expr *const *x)
{
	return extremum(b, n, KOP_MAX, x);
}

Expr *
scalar_PRELU(LBuilder *b, const Node *n, Expr *const *x)
{
	Expr *v = scalar_named(b, "v", x[0]);

	if (dtype_info[n->in[0]->type.dtype].class == CLASS_UNSIGNED)
		return v;
	return loop_select(b, scalar_compare(b, KOP_LT, v, 0), loop_mul(b, x[1], v), v);
}

/* Whether a count, taken as unsigned, is less than the width of the elements. */
static Expr *
shift_is_short(LBuilder *b, const Node *n, Expr *count)
{
	DType as = dtype_info[count->type].bytes == 8 ? DT_U64 : DT_U32;
	int width = 8 * dtype_info[n->in[0]->type.dtype].bytes;

	return loop_op2(b, KOP_LT, loop_bits(b, as, count), loop_int(b, as, width));
}

static Expr *
shift(LBuilder *b, const Node *n, KOp op, Expr *const *x)
{
	Expr *count = scalar_named(b, "count", x[1]);

	return loop_select(b, shift_is_short(b, n, count), loop_op2(b, op, x[0], count),
	                   loop_int(b, x[0]->type, 0));
}

Expr *
scalar_SHL(LBuilder *b, const Node *n, Expr *const *x)
{
	return shift(b, n, KOP_SHL, x);
}

Expr *
scalar_SHR(LBuilder *b, const Node *n, Expr *const *x)
{
	return shift(b, n, KOP_SHR, x);
}

Expr *
scalar_WHERE(LBuilder *b, const Node *n, Expr *const *x)
{
	(void)n;
	return loop_select(b, x[0], x[1], x[2]);
}

/* ---- Any number of operands ---- */

bool
infer_add_n(const Node *n, Type *out, Diag *d)
{
	out[0] = n->in[0]->type;
	for (int i = 1; i < n->nins; i++) {
		if (!n->in[i])
			return bad_input(n, d, E_ARITY, i, "missing");
		if (!type_same_shape(&n->in[i]->type, out))
			return bad_input(n, d, E_SHAPE, i, "the shape must be that of input 0");
	}
	return check_dtypes(n, d, SET_NUMBER);
}

void
lower_add_n(LowerCtx *cx, const Node *n)
{
	Expr *at = lower_for(cx, "i", cx->out[0]->count);
	Expr *sum = loop_load_compute(&cx->b, cx->in[0], at);

	for (int i = 1; i < n->nins; i++)
		sum = loop_add(&cx->b, lower_let(cx, "sum", sum),
		               loop_load_compute(&cx->b, cx->in[i], at));
	loop_store_cvt(&cx->b, cx->out[0], at, sum);
	lower_end_to(cx, 0);
}
