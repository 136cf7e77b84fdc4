/*
 * Arithmetic and comparisons on quantised numbers.
 *
 * Sums bring both operands to twice the larger scale, with as many bits behind the
 * point as int32 has room for (HEADROOM_8, HEADROOM_16), and then to the output's
 * scale.  All factors are computed in the precision that TFLite uses.
 */
#include <math.h>

#include "ir/ops/infer.h"
#include "ir/ops/requant.h"

enum { HEADROOM_8 = 20, HEADROOM_16 = 15, SQUARE_HEADROOM_8 = 7, COMPARE_HEADROOM = 8 };

/* ---- What the rules and lowerings share ---- */

/* Inputs of one type, broadcast; the output, quantised too, has their element type. */
static bool
infer_binary(const Node *n, Type *out, Diag *d)
{
	return check_all_quantized(n, d) && infer_broadcast(n, out, d) &&
	       check_output_like_input(n, d) && check_symmetric_16(n, d);
}

static double
input_scale(const Node *n, int i)
{
	return (double)quant_scale(&n->in[i]->type);
}

static double
output_scale(const Node *n)
{
	return (double)quant_scale(&n->out[0]->type);
}

static bool
is_16_bit(const Node *n)
{
	return dtype_info[n->in[0]->type.dtype].bytes == 2;
}

static Expr *
load(LowerCtx *cx, const Node *n, int i, Expr *index)
{
	return q_load(cx, cx->in[i], index, quant_zero(&n->in[i]->type));
}

/* (x - zero) << left */
static Expr *
load_shifted(LowerCtx *cx, const Node *n, int i, Expr *index, int left)
{
	Expr *x = load(cx, n, i, index);

	return left == 0 ? x : loop_op2(&cx->b, KOP_SHL, x, q_int(cx, left));
}

static void
store(LowerCtx *cx, const Node *n, Expr *index, Expr *x)
{
	const Type *t = &n->out[0]->type;

	q_store(cx, cx->out[0], index, x, quant_zero(t), quant_range(t, node_activation(n)));
}

/* ---- Sums ---- */

/* TFLite computes those of a difference in single precision. */
SumFactors
q_sum_factors(const Node *n)
{
	float a = quant_scale(&n->in[0]->type), b = quant_scale(&n->in[1]->type);
	float twice = 2 * (a > b ? a : b);
	SumFactors f = {.left = is_16_bit(n) ? HEADROOM_16 : HEADROOM_8};

	if (n->op == OP_SUB) {
		float unit = (float)(1 << f.left) * quant_scale(&n->out[0]->type);

		f.in[0] = (double)(a / twice);
		f.in[1] = (double)(b / twice);
		f.out = (double)(twice / unit);
	} else {
		f.in[0] = (double)a / (2 * (double)(a > b ? a : b));
		f.in[1] = (double)b / (2 * (double)(a > b ? a : b));
		f.out = 2 * (double)(a > b ? a : b) / ((1 << f.left) * output_scale(n));
	}
	return f;
}

static bool
check_sum_factors(const Node *n, Diag *d, const SumFactors *f)
{
	return check_scale_factor(n, d, f->in[0], 1) && check_scale_factor(n, d, f->in[1], 1) &&
	       check_scale_factor(n, d, f->out, 1);
}

bool
qinfer_add(const Node *n, Type *out, Diag *d)
{
	SumFactors f;

	if (!infer_binary(n, out, d))
		return false;
	f = q_sum_factors(n);
	return check_sum_factors(n, d, &f);
}

void
qlower_add(LowerCtx *cx, const Node *n)
{
	SumFactors f = q_sum_factors(n);
	Expr *at[MAX_ELEMENTWISE + 1], *x[2];

	lower_elements(cx, n, at);
	for (int i = 0; i < 2; i++)
		x[i] = q_scale(cx, load_shifted(cx, n, i, at[i], f.left), f.in[i]);
	x[0] = n->op == OP_SUB ? loop_sub(&cx->b, x[0], x[1]) : loop_add(&cx->b, x[0], x[1]);
	store(cx, n, at[2], q_scale(cx, x[0], f.out));
	lower_end_to(cx, 0);
}

/* The factor that brings a sum of halves to the output's scale. */
static double
halves_factor(const Node *n)
{
	return 2 * input_scale(n, 0) / ((1 << HEADROOM_8) * output_scale(n));
}

/* How many terms of at most 255 * 2^19 have a sum that fits int32, with one that the
 * sum starts from. */
enum { MAX_TERMS = 15 };

bool
qinfer_add_n(const Node *n, Type *out, Diag *d)
{
	if (!check_all_quantized(n, d) || !infer_add_n(n, out, d) ||
	    !check_output_like_input(n, d))
		return false;
	for (int i = 1; i < n->nins; i++)
		if (!type_same_codes(&n->in[i]->type, &n->in[0]->type))
			return bad_input(n, d, E_UNSUPPORTED, i,
			                 "the quantisation must be that of input 0");
	if (n->nins > MAX_TERMS)
		return diag_report(d, &n->loc, E_UNSUPPORTED,
		                   "more than %d quantised inputs of '%s' are not supported",
		                   MAX_TERMS, op_info[n->op].name);
	return check_scale_factor(n, d, halves_factor(n), 1);
}

/* Half of (x - zero) << HEADROOM_8 for input 0 and a constant x of 0. */
static Expr *
half_of_zero(LowerCtx *cx, const Node *n)
{
	int64_t zero = quant_zero(&n->in[0]->type);

	return q_int(cx, -zero * (1 << (HEADROOM_8 - 1)));
}

/* The reference starts from what 0 stands for, not from the number 0. */
void
qlower_add_n(LowerCtx *cx, const Node *n)
{
	Expr *at = lower_for(cx, "i", cx->out[0]->count), *sum = half_of_zero(cx, n);

	for (int i = 0; i < n->nins; i++) {
		Expr *x = q_scale(cx, load_shifted(cx, n, i, at, HEADROOM_8), 0.5);

		sum = lower_let(cx, "sum", loop_add(&cx->b, sum, x));
	}
	store(cx, n, at, q_scale(cx, sum, halves_factor(n)));
	lower_end_to(cx, 0);
}

/* ---- Products ---- */

static double
product_factor(const Node *n)
{
	return input_scale(n, 0) * input_scale(n, 1) / output_scale(n);
}

bool
qinfer_mul(const Node *n, Type *out, Diag *d)
{
	return infer_binary(n, out, d) && check_scale_factor(n, d, product_factor(n), MAX_FACTOR);
}

void
qlower_mul(LowerCtx *cx, const Node *n)
{
	Expr *at[MAX_ELEMENTWISE + 1], *product;

	lower_elements(cx, n, at);
	product = loop_mul(&cx->b, load(cx, n, 0, at[0]), load(cx, n, 1, at[1]));
	store(cx, n, at[2], q_scale(cx, product, product_factor(n)));
	lower_end_to(cx, 0);
}

static double
square_factor(const Node *n)
{
	double a = input_scale(n, 0), b = input_scale(n, 1), twice = 2 * (a > b ? a : b);
	int left = is_16_bit(n) ? 0 : SQUARE_HEADROOM_8;

	return twice * twice / (double)((float)(1 << 2 * left) * quant_scale(&n->out[0]->type));
}

/* Of input i, to twice the larger scale. */
static double
half_factor(const Node *n, int i)
{
	double a = input_scale(n, 0), b = input_scale(n, 1);

	return input_scale(n, i) / (2 * (a > b ? a : b));
}

bool
qinfer_squared_difference(const Node *n, Type *out, Diag *d)
{
	return infer_binary(n, out, d) && check_scale_factor(n, d, half_factor(n, 0), 1) &&
	       check_scale_factor(n, d, half_factor(n, 1), 1) &&
	       check_scale_factor(n, d, square_factor(n), MAX_FACTOR);
}

void
qlower_squared_difference(LowerCtx *cx, const Node *n)
{
	LBuilder *b = &cx->b;
	int left = is_16_bit(n) ? 0 : SQUARE_HEADROOM_8;
	Expr *at[MAX_ELEMENTWISE + 1], *x[2], *t;

	lower_elements(cx, n, at);
	for (int i = 0; i < 2; i++)
		x[i] = q_scale(cx, load_shifted(cx, n, i, at[i], left), half_factor(n, i));
	t = lower_let(cx, "difference", loop_sub(b, x[0], x[1]));
	store(cx, n, at[2], q_scale(cx, loop_mul(b, t, t), square_factor(n)));
	lower_end_to(cx, 0);
}

/* ---- Quotients ---- */

static double
quotient_factor(const Node *n)
{
	float unit = quant_scale(&n->in[1]->type) * quant_scale(&n->out[0]->type);

	return (double)(quant_scale(&n->in[0]->type) / unit);
}

/* The shift that brings the quotient to the output's scale must fit 64 bits. */
bool
qinfer_div(const Node *n, Type *out, Diag *d)
{
	return infer_binary(n, out, d) && check_scale_factor(n, d, quotient_factor(n), MAX_FACTOR) &&
	       check_scale_factor(n, d, 1 / quotient_factor(n), 0x1p20);
}

/* x / 2^count, rounded half away from zero, where count is a value from -31 to 64; a
 * negative one shifts to the left. */
static Expr *
divide_by_power(LowerCtx *cx, Expr *x, Expr *count)
{
	LBuilder *b = &cx->b;
	Expr *wide = lower_let(cx, "wide", loop_cvt(b, DT_I64, x)), *n, *left, *t;

	n = lower_let(cx, "n", loop_cvt(b, DT_I64, count));
	left = loop_op2(b, KOP_SHL, wide, loop_op1(b, KOP_NEG, n));
	t = loop_add(b, wide, loop_op2(b, KOP_SHR, wide, q_int64(cx, 63)));
	t = loop_op2(b, KOP_SHR, t, loop_sub(b, n, q_int64(cx, 1)));
	t = loop_op2(b, KOP_SHR, loop_add(b, t, q_int64(cx, 1)), q_int64(cx, 1));
	t = loop_select(b, loop_op2(b, KOP_GT, n, q_int64(cx, 0)), t, left);
	return loop_cvt(b, DT_I32, t);
}

/* x * m / 2^(31 + count), rounded once: half up. */
static Expr *
scale_once(LowerCtx *cx, Expr *x, int32_t m, Expr *count)
{
	LBuilder *b = &cx->b;
	Expr *right = loop_add(b, loop_cvt(b, DT_I64, count), q_int64(cx, 31)), *half;
	Expr *y = loop_mul(b, loop_cvt(b, DT_I64, x), q_int64(cx, m));

	/* With 63 bits off and more nothing is left of any product. */
	right = loop_op2(b, KOP_MIN, right, q_int64(cx, 63));
	right = lower_let(cx, "right", loop_op2(b, KOP_MAX, right, q_int64(cx, 1)));
	half = loop_op2(b, KOP_SHL, q_int64(cx, 1), loop_sub(b, right, q_int64(cx, 1)));
	return loop_cvt(b, DT_I32, loop_op2(b, KOP_SHR, loop_add(b, y, half), right));
}

/*
 * a / b with b made positive: the inverse of b, scaled to [1, 2), times a, scaled up as
 * far as it goes.  x / 0, undefined in the reference, is what comes out.
 */
void
qlower_div(LowerCtx *cx, const Node *n)
{
	LBuilder *b = &cx->b;
	Multiplier by = q_multiplier(cx, quotient_factor(n));
	Expr *at[MAX_ELEMENTWISE + 1], *x, *y, *negative, *zeros, *inverse, *room, *q;

	lower_elements(cx, n, at);
	x = loop_let(b, "a", load(cx, n, 0, at[0]));
	y = loop_let(b, "b", load(cx, n, 1, at[1]));
	negative = loop_let(b, "negative", loop_op2(b, KOP_LT, y, q_int(cx, 0)));
	x = loop_let(b, "num", loop_select(b, negative, loop_op1(b, KOP_NEG, x), x));
	y = loop_let(b, "den", loop_op1(b, KOP_ABS, y));
	zeros = loop_let(b, "zeros", q_clz(cx, y));
	inverse = loop_op2(b, KOP_AND, loop_op2(b, KOP_SHL, y, zeros), q_int(cx, INT32_MAX));
	inverse = loop_call1(b, "inv1p", inverse);
	room = loop_op2(b, KOP_XOR, x, loop_op2(b, KOP_SHR, x, q_int(cx, 31)));
	room = loop_let(b, "room", loop_sub(b, q_clz(cx, room), q_int(cx, 1)));
	q = q_srdhm(cx, loop_op2(b, KOP_SHL, x, room), inverse);
	/* The inverse has 31 - zeros bits before the point. */
	room = loop_sub(b, loop_add(b, room, q_int(cx, 31 - by.shift)), zeros);
	q = cx->single_rounding ? scale_once(cx, q, by.m, room)
	                        : divide_by_power(cx, q_srdhm(cx, q, q_int(cx, by.m)), room);
	store(cx, n, at[2], q);
	lower_end_to(cx, 0);
}

/* ---- Extrema and comparisons ---- */

/* The stored numbers are compared, so that all must mean the same. */
bool
qinfer_extremum(const Node *n, Type *out, Diag *d)
{
	if (!check_all_quantized(n, d) || !infer_broadcast(n, out, d) ||
	    !check_output_like_input(n, d))
		return false;
	if (!type_same_codes(&n->in[1]->type, &n->in[0]->type) ||
	    !type_same_codes(&n->out[0]->type, &n->in[0]->type))
		return diag_report(d, &n->loc, E_UNSUPPORTED,
		                   "inputs and output of '%s' must have one quantisation",
		                   op_info[n->op].name);
	return true;
}

void
qlower_extremum(LowerCtx *cx, const Node *n)
{
	LBuilder *b = &cx->b;
	Expr *at[MAX_ELEMENTWISE + 1], *x, *y;

	lower_elements(cx, n, at);
	x = loop_load_compute(b, cx->in[0], at[0]);
	y = loop_load_compute(b, cx->in[1], at[1]);
	x = loop_op2(b, n->op == OP_MIN ? KOP_MIN : KOP_MAX, x, y);
	loop_store_cvt(b, cx->out[0], at[2], x);
	lower_end_to(cx, 0);
}

/* The stored numbers are chosen from. */
bool
qinfer_where(const Node *n, Type *out, Diag *d)
{
	if (!check_quantized(n, d, 1) || !check_quantized(n, d, 2) || !infer_where(n, out, d))
		return false;
	if (n->out[0]->type.q && type_same_codes(&n->in[1]->type, &n->in[2]->type) &&
	    type_same_codes(&n->in[1]->type, &n->out[0]->type))
		return true;
	return diag_report(d, &n->loc, E_UNSUPPORTED,
	                   "inputs and output of '%s' must have one quantisation",
	                   op_info[n->op].name);
}

void
qlower_where(LowerCtx *cx, const Node *n)
{
	Expr *at[MAX_ELEMENTWISE + 1], *x[3];

	lower_elements(cx, n, at);
	for (int i = 0; i < 3; i++)
		x[i] = loop_load(&cx->b, cx->in[i], at[i]);
	loop_store(&cx->b, cx->out[0], at[3], loop_select(&cx->b, x[0], x[1], x[2]));
	lower_end_to(cx, 0);
}

bool
qinfer_compare(const Node *n, Type *out, Diag *d)
{
	return check_all_quantized(n, d) && check_plain_output(n, d) && infer_compare(n, out, d) &&
	       check_scale_factor(n, d, input_scale(n, 0), 1) &&
	       check_scale_factor(n, d, input_scale(n, 1), 1);
}

static KOp
comparison(Op op)
{
	switch ((int)op) {
	case OP_LESS: return KOP_LT;
	case OP_LESS_EQUAL: return KOP_LE;
	case OP_GREATER: return KOP_GT;
	case OP_GREATER_EQUAL: return KOP_GE;
	default: return KOP_EQ;
	}
}

/* Both in units of 2^-8, where numbers that differ little may be equal. */
void
qlower_compare(LowerCtx *cx, const Node *n)
{
	Expr *at[MAX_ELEMENTWISE + 1], *x[2];

	lower_elements(cx, n, at);
	for (int i = 0; i < 2; i++)
		x[i] = q_scale(cx, load_shifted(cx, n, i, at[i], COMPARE_HEADROOM),
		               input_scale(n, i));
	loop_store(&cx->b, cx->out[0], at[2], loop_op2(&cx->b, comparison(n->op), x[0], x[1]));
	lower_end_to(cx, 0);
}
