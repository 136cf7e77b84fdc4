/*
 * Functions of one quantised number.
 *
 * What is curved is a table of all 256 codes for 8-bit numbers; what is straight,
 * also in parts, is computed.
 */
#include <math.h>

#include "ir/ops/infer.h"
#include "ir/ops/qtable.h"
#include "ir/ops/requant.h"

static float
in_scale(const Node *n)
{
	return quant_scale(&n->in[0]->type);
}

static float
out_scale(const Node *n)
{
	return quant_scale(&n->out[0]->type);
}

/* One quantised input and an output of its shape and element type, quantised too. */
static bool
infer_kept(const Node *n, Type *out, Diag *d)
{
	out[0] = n->in[0]->type;
	return check_all_quantized(n, d) && check_output_like_input(n, d);
}

/* TFLite's factor of activations: rounded to float. */
static double
scale_ratio(const Node *n)
{
	return (double)(in_scale(n) / out_scale(n));
}

/* x + zero of the output, clamped to its type. */
static Expr *
to_output(LowerCtx *cx, const Node *n, Expr *x)
{
	const Type *t = &n->out[0]->type;

	return q_clamp(cx, loop_add(&cx->b, x, q_int(cx, quant_zero(t))), quant_limits(t->dtype));
}

/* ---- Functions of real numbers, by table ---- */

/* Half away from zero. */
static Expr *
round_float(LowerCtx *cx, Expr *x)
{
	LBuilder *b = &cx->b;
	Expr *v = lower_let(cx, "v", x), *whole, *rest, *away;

	whole = loop_let(b, "whole", loop_call1(b, "trunc", v));
	rest = loop_op1(b, KOP_ABS, loop_sub(b, v, whole));
	away = loop_call2(b, "copysign", loop_float(b, DT_F32, 1), v);
	return loop_select(b, loop_op2(b, KOP_GE, rest, loop_float(b, DT_F32, 0.5)),
	                   loop_add(b, whole, away), whole);
}

/* x, which is the scaled number in f32, through the operator in double precision. */
static Expr *
apply(LowerCtx *cx, const Node *n, Expr *x)
{
	LBuilder *b = &cx->b;
	Expr *wide = loop_let(b, "real", loop_cvt(b, DT_F64, x));

	return loop_cvt(b, DT_F32, op_info[n->op].scalar(b, n, &wide));
}

/* e^x - 1 has two roundings in the reference. */
static Expr *
apply_elu(LowerCtx *cx, const Node *n, Expr *x)
{
	LBuilder *b = &cx->b;
	Expr *v = loop_let(b, "real", x), *e;

	if (((const Attr_ELU *)n->attr)->alpha != 1)
		return apply(cx, n, v);
	e = loop_cvt(b, DT_F32, loop_call1(b, "exp", loop_cvt(b, DT_F64, v)));
	e = loop_sub(b, e, loop_float(b, DT_F32, 1));
	return loop_select(b, loop_op2(b, KOP_LT, v, loop_float(b, DT_F32, 0)), e, v);
}

static Expr *
real_function(LowerCtx *cx, const Node *n, Expr *q)
{
	LBuilder *b = &cx->b;
	const Type *t = &n->out[0]->type;
	Expr *x = loop_sub(b, q, q_int(cx, quant_zero(&n->in[0]->type))), *y;

	x = loop_mul(b, loop_cvt(b, DT_F32, x), loop_float(b, DT_F32, (double)in_scale(n)));
	y = n->op == OP_ELU ? apply_elu(cx, n, x) : apply(cx, n, x);
	y = loop_mul(b, y, loop_float(b, DT_F32, (double)(1.0f / out_scale(n))));
	y = loop_add(b, round_float(cx, y), loop_float(b, DT_F32, quant_zero(t)));
	return q_clamp(cx, loop_cvt(b, DT_I32, y), quant_limits(t->dtype));
}

/* An inverse of the scale that is not finite would make a table of nothing. */
bool
qinfer_real_function(const Node *n, Type *out, Diag *d)
{
	return infer_kept(n, out, d) &&
	       check_scale_factor(n, d, (double)(1.0f / out_scale(n)), HUGE_VAL);
}

void
qlower_real_function(LowerCtx *cx, const Node *n)
{
	q_lower_table(cx, n, real_function);
}

/* ---- Sigmoid and tanh ---- */

enum { ARGUMENT_BITS = 4 }; /* before the point, of 8-bit numbers */

static bool
is_power_of_2(float scale, int *power)
{
	float log = logf(scale) * (1 / logf(2.0f));

	*power = (int)roundf(log);
	return fabsf(log - roundf(log)) < 1e-3f;
}

static double
output_unit(const Node *n)
{
	bool is_16_bit = dtype_info[n->in[0]->type.dtype].bytes == 2;

	return is_16_bit ? 0x1p-15 : n->op == OP_SIGMOID ? 0x1p-8 : 0x1p-7;
}

static int32_t
output_zero(const Node *n)
{
	QRange r = quant_limits(n->out[0]->type.dtype);

	if (dtype_info[n->in[0]->type.dtype].bytes == 2)
		return 0;
	return n->op == OP_SIGMOID ? r.lo : (r.lo + r.hi + 1) / 2;
}

/* Whether the output is quantised as the reference kernels have it. */
static bool
has_usual_output(const Node *n)
{
	return fabs((double)out_scale(n) / output_unit(n) - 1) <= 1e-3 &&
	       quant_zero(&n->out[0]->type) == output_zero(n);
}

/* 8-bit numbers may have any output, by the table of the real function. */
bool
qinfer_sigmoid(const Node *n, Type *out, Diag *d)
{
	if (!infer_kept(n, out, d) || !check_symmetric_16(n, d))
		return false;
	if (!has_usual_output(n) && dtype_info[n->in[0]->type.dtype].bytes == 1)
		return qinfer_real_function(n, out, d);
	if (!has_usual_output(n))
		return diag_report(d, &n->loc, E_UNSUPPORTED,
		                   "the output of '%s' must have the scale %g and the zero "
		                   "point %d",
		                   op_info[n->op].name, output_unit(n), output_zero(n));
	return check_scale_factor(n, d, (double)in_scale(n), 1 << 2) &&
	       check_scale_factor(n, d, 1 / (double)in_scale(n), 0x1p40);
}

/* The functions of F4 in F0; what F4 does not hold is at its end. */
static Expr *
fixed_sigmoid(LowerCtx *cx, const Node *n, Expr *q)
{
	LBuilder *b = &cx->b;
	const Type *t = &n->out[0]->type;
	QRange r = quant_limits(t->dtype);
	int shift;
	double m = frexp((double)in_scale(n) * (1 << (31 - ARGUMENT_BITS)), &shift);
	Multiplier by = {quant_round(fmin(round(m * 0x1p31), INT32_MAX)), shift};
	int32_t end = quant_round(floor(ldexp((1 << ARGUMENT_BITS) - 1,
	                                      31 - ARGUMENT_BITS - shift)));
	Expr *x = loop_let(b, "d", loop_sub(b, q, q_int(cx, quant_zero(&n->in[0]->type)))), *y;
	bool is_tanh = n->op == OP_TANH;

	y = loop_call1(b, is_tanh ? "tanhf4" : "logisticf4", q_mbqm(cx, x, by));
	y = to_output(cx, n, q_rdp(cx, y, is_tanh ? 24 : 23));
	y = loop_select(b, loop_op2(b, KOP_GE, x, q_int(cx, end)), q_int(cx, r.hi), y);
	y = loop_select(b, loop_op2(b, KOP_LE, x, q_int(cx, -(int64_t)end)), q_int(cx, r.lo), y);
	return y;
}

/* x in units of 1/12288, by a multiplier of 16 bits. */
static Expr *
scaled_argument(LowerCtx *cx, const Node *n, Expr *x)
{
	LBuilder *b = &cx->b;
	double m = (double)in_scale(n) * 4096 * 3;
	int power, shift = 0;

	if (is_power_of_2(in_scale(n), &power) && power >= -12 &&
	    power <= (n->op == OP_SIGMOID ? -12 : -11)) {
		m = 3 << (12 + power);
	} else {
		for (; m <= INT16_MAX / 2 && shift <= 30; shift++)
			m *= 2;
	}
	x = loop_mul(b, x, q_int(cx, (int32_t)m));
	if (shift == 0)
		return x;
	x = loop_add(b, x, q_int(cx, 1 << (shift - 1)));
	return loop_op2(b, KOP_SHR, x, q_int(cx, shift));
}

void
qlower_sigmoid(LowerCtx *cx, const Node *n)
{
	LBuf *table;
	Expr *i, *x;

	if (dtype_info[n->in[0]->type.dtype].bytes == 1) {
		q_lower_table(cx, n, has_usual_output(n) ? fixed_sigmoid : real_function);
		return;
	}
	table = q_logistic_table(cx);
	i = lower_for(cx, "i", cx->in[0]->count);
	x = scaled_argument(cx, n, loop_load_compute(&cx->b, cx->in[0], i));
	x = n->op == OP_SIGMOID ? q_logistic16(cx, table, x) : q_tanh16(cx, table, x);
	loop_store_cvt(&cx->b, cx->out[0], i, x);
	lower_end_to(cx, 0);
}

/* ---- Hard swish ---- */

/* A multiplier in 16 bits. */
static int16_t
multiplier16(Multiplier by)
{
	return (int16_t)(by.m >= INT32_MAX - (1 << 15) ? INT16_MAX : (by.m + (1 << 15)) >> 16);
}

/* x times m in 16 bits with 7 more behind the point. */
static float
fine_scale(const Node *n)
{
	return (1 / 128.0f) * in_scale(n);
}

bool
qinfer_hard_swish(const Node *n, Type *out, Diag *d)
{
	double range = (double)(fine_scale(n) / (3 / 32768.0f));

	return infer_kept(n, out, d) &&
	       check_scale_factor(n, d, (double)(fine_scale(n) / out_scale(n)), 1) &&
	       check_scale_factor(n, d, range, 1 << 14);
}

static Expr *
product16(LowerCtx *cx, Expr *x, int16_t m)
{
	LBuilder *b = &cx->b;
	Expr *p = loop_add(b, loop_mul(b, x, q_int(cx, m)), q_int(cx, 1 << 14));

	p = loop_op2(b, KOP_SHR, p, q_int(cx, 15));
	return loop_op2(b, KOP_MIN, p, q_int(cx, INT16_MAX));
}

/* v * clamp(v / 6 + 1/2, 0, 1), all in 16 bits. */
static Expr *
hard_swish(LowerCtx *cx, const Node *n, Expr *q)
{
	LBuilder *b = &cx->b;
	Multiplier out = quantize_multiplier((double)(fine_scale(n) / out_scale(n)), false);
	Multiplier relu = quantize_multiplier((double)(fine_scale(n) / (3 / 32768.0f)), false);
	Expr *v = loop_sub(b, q, q_int(cx, quant_zero(&n->in[0]->type))), *scaled, *r, *p;

	v = loop_let(b, "v", loop_op2(b, KOP_SHL, v, q_int(cx, 7)));
	scaled = loop_let(b, "scaled", product16(cx, v, multiplier16(out)));
	r = v;
	if (relu.shift > 0)
		r = q_sat16(cx, loop_op2(b, KOP_SHL, r, q_int(cx, relu.shift - 1)));
	r = product16(cx, r, multiplier16(relu));
	if (relu.shift > 0)
		r = q_sat16(cx, loop_op2(b, KOP_SHL, r, q_int(cx, 1)));
	if (relu.shift < 0)
		r = q_rdp(cx, r, -relu.shift);
	r = loop_op2(b, KOP_SHR, loop_add(b, r, q_int(cx, 1 << 15)), q_int(cx, 1));
	p = loop_op2(b, KOP_DIV, loop_mul(b, r, scaled), q_int(cx, 1 << 15));
	p = loop_op2(b, KOP_MIN, p, q_int(cx, INT16_MAX));
	return to_output(cx, n, q_rdp(cx, p, -out.shift));
}

void
qlower_hard_swish(LowerCtx *cx, const Node *n)
{
	q_lower_table(cx, n, hard_swish);
}

/* ---- 1 / sqrt(x) ---- */

static double
rsqrt_factor(const Node *n)
{
	return 1 / (double)(sqrtf(in_scale(n)) * out_scale(n));
}

bool
qinfer_rsqrt(const Node *n, Type *out, Diag *d)
{
	return infer_kept(n, out, d) && check_scale_factor(n, d, rsqrt_factor(n), 0x1p20) &&
	       check_scale_factor(n, d, 1 / rsqrt_factor(n), 0x1p10);
}

/* m * 2^(-31 - shift) * 2^20 for the inverse square root's m and shift. */
static Expr *
inverse_root(LowerCtx *cx, Expr *x)
{
	LBuilder *b = &cx->b;
	Expr *v = loop_let(b, "x", x), *shift, *left, *m;

	shift = q_inverse_root_shift(cx, v);
	left = loop_op2(b, KOP_SHL, q_int(cx, 1), loop_sub(b, q_int(cx, 20), shift));
	m = loop_call1(b, "invsqrt", v);
	return q_srdhm(cx, left, m);
}

/* 0 is the greatest; what is below has no root, and counts as 0. */
static Expr *
rsqrt(LowerCtx *cx, const Node *n, Expr *q)
{
	LBuilder *b = &cx->b;
	Multiplier by = q_multiplier(cx, rsqrt_factor(n));
	Expr *x = loop_let(b, "v", loop_sub(b, q, q_int(cx, quant_zero(&n->in[0]->type)))), *y;

	by.shift -= 20;
	y = to_output(cx, n, q_mbqm(cx, inverse_root(cx, x), by));
	return loop_select(b, loop_op2(b, KOP_LE, x, q_int(cx, 0)),
	                   q_int(cx, quant_limits(n->out[0]->type.dtype).hi), y);
}

void
qlower_rsqrt(LowerCtx *cx, const Node *n)
{
	q_lower_table(cx, n, rsqrt);
}

/* ---- Straight functions ---- */

/* Opens the loop and gives x - zero, named. */
static Expr *
open_elements(LowerCtx *cx, const Node *n, Expr **i)
{
	*i = lower_for(cx, "i", cx->in[0]->count);
	return loop_let(&cx->b, "v", q_load(cx, cx->in[0], *i, quant_zero(&n->in[0]->type)));
}

static void
close_elements(LowerCtx *cx, const Node *n, Expr *i, Expr *y)
{
	const Type *t = &n->out[0]->type;

	q_store(cx, cx->out[0], i, y, quant_zero(t), quant_limits(t->dtype));
	lower_end_to(cx, 0);
}

bool
qinfer_scaled(const Node *n, Type *out, Diag *d)
{
	return infer_kept(n, out, d) && check_scale_factor(n, d, scale_ratio(n), MAX_FACTOR);
}

/* Not below the output's zero. */
void
qlower_relu(LowerCtx *cx, const Node *n)
{
	const Type *t = &n->out[0]->type;
	QRange r = quant_limits(t->dtype);
	Expr *i, *v = q_scale(cx, open_elements(cx, n, &i), scale_ratio(n));

	if (quant_zero(t) > r.lo)
		r.lo = quant_zero(t);
	q_store(cx, cx->out[0], i, v, quant_zero(t), r);
	lower_end_to(cx, 0);
}

void
qlower_abs(LowerCtx *cx, const Node *n)
{
	Expr *i, *v = loop_op1(&cx->b, KOP_ABS, open_elements(cx, n, &i));

	if (in_scale(n) != out_scale(n))
		v = q_scale(cx, v, scale_ratio(n));
	close_elements(cx, n, i, v);
}

void
qlower_neg(LowerCtx *cx, const Node *n)
{
	Expr *i, *v = loop_op1(&cx->b, KOP_NEG, open_elements(cx, n, &i));

	if (in_scale(n) != out_scale(n))
		v = q_scale(cx, v, scale_ratio(n));
	close_elements(cx, n, i, v);
}

static double
alpha_ratio(const Node *n)
{
	float alpha = (float)((const Attr_LEAKY_RELU *)n->attr)->alpha;

	return (double)(in_scale(n) * alpha / out_scale(n));
}

bool
qinfer_leaky_relu(const Node *n, Type *out, Diag *d)
{
	double alpha = fabs(alpha_ratio(n));

	return qinfer_scaled(n, out, d) &&
	       (alpha == 0 || check_scale_factor(n, d, alpha, MAX_FACTOR));
}

void
qlower_leaky_relu(LowerCtx *cx, const Node *n)
{
	LBuilder *b = &cx->b;
	double alpha = alpha_ratio(n);
	Expr *i, *v = open_elements(cx, n, &i), *y, *z;

	y = loop_let(b, "plus", q_scale(cx, v, scale_ratio(n)));
	z = q_scale(cx, v, fabs(alpha));
	z = alpha < 0 ? loop_op1(b, KOP_NEG, z) : z;
	close_elements(cx, n, i,
	               loop_select(b, loop_op2(b, KOP_GE, v, q_int(cx, 0)), y, z));
}

/* The code of a real number as the input has it. */
static int32_t
code_of(const Node *n, double x)
{
	const Type *t = &n->in[0]->type;
	QRange r = quant_limits(t->dtype);
	double q = (double)roundf((float)x / in_scale(n)) + quant_zero(t);

	return q <= r.lo ? r.lo : q >= r.hi ? r.hi : (int32_t)q;
}

/* The reference clamps the stored number, so that input and output mean the same. */
bool
qinfer_clamp(const Node *n, Type *out, Diag *d)
{
	if (!infer_kept(n, out, d) || !infer_clamp(n, out, d))
		return false;
	if (type_same_codes(&n->in[0]->type, &n->out[0]->type))
		return true;
	return diag_report(d, &n->loc, E_UNSUPPORTED,
	                   "input and output of '%s' must have one quantisation",
	                   op_info[n->op].name);
}

void
qlower_clamp(LowerCtx *cx, const Node *n)
{
	const Attr_CLAMP *a = n->attr;
	Expr *i = lower_for(cx, "i", cx->in[0]->count);
	Expr *x = loop_load_compute(&cx->b, cx->in[0], i);

	x = q_clamp(cx, x, (QRange){code_of(n, a->lo), code_of(n, a->hi)});
	loop_store_cvt(&cx->b, cx->out[0], i, x);
	lower_end_to(cx, 0);
}

/* ---- PRELU ---- */

static double
slope_factor(const Node *n)
{
	return (double)in_scale(n) * (double)quant_scale(&n->in[1]->type) / (double)out_scale(n);
}

static double
exact_ratio(const Node *n)
{
	return (double)in_scale(n) / (double)out_scale(n);
}

bool
qinfer_prelu(const Node *n, Type *out, Diag *d)
{
	const Type *x = &n->in[0]->type, *slope = &n->in[1]->type;

	if (!check_all_quantized(n, d) || !check_dtype(n, d, 1, SET_Q8 | SET_Q16) ||
	    !check_output_like_input(n, d) || !check_symmetric_16(n, d))
		return false;
	out[0].dtype = x->dtype;
	if (!type_broadcast(x, slope, out))
		return bad_input(n, d, E_SHAPE, 1, "does not broadcast to %s",
		                 type_text(d->arena, x));
	return check_scale_factor(n, d, exact_ratio(n), MAX_FACTOR) &&
	       check_scale_factor(n, d, slope_factor(n), MAX_FACTOR);
}

void
qlower_prelu(LowerCtx *cx, const Node *n)
{
	LBuilder *b = &cx->b;
	const Type *t = &n->out[0]->type;
	Expr *at[MAX_ELEMENTWISE + 1], *v, *y, *z;

	lower_elements(cx, n, at);
	v = loop_let(b, "v", q_load(cx, cx->in[0], at[0], quant_zero(&n->in[0]->type)));
	z = q_load(cx, cx->in[1], at[1], quant_zero(&n->in[1]->type));
	y = loop_let(b, "plus", q_scale(cx, v, exact_ratio(n)));
	z = q_scale(cx, loop_mul(b, v, z), slope_factor(n));
	y = loop_select(b, loop_op2(b, KOP_GE, v, q_int(cx, 0)), y, z);
	q_store(cx, cx->out[0], at[2], y, quant_zero(t), quant_limits(t->dtype));
	lower_end_to(cx, 0);
}
