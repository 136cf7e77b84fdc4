#include "ir/ops/requant.h"

#include <assert.h>
#include <math.h>

#include "ir/ops/infer.h"

/* ---- At compile time ---- */

Multiplier
quantize_multiplier(double factor, bool single)
{
	int shift;
	double q = frexp(factor, &shift);
	int64_t m = (int64_t)round(q * 0x1p31);

	if (factor == 0)
		return (Multiplier){0, 0};
	if (m == (int64_t)1 << 31) {
		m /= 2;
		shift++;
	}
	if (shift < -31)
		return (Multiplier){0, 0};
	if (single && shift > 30)
		return (Multiplier){INT32_MAX, 30};
	assert(m >= INT32_MIN && m <= INT32_MAX);
	return (Multiplier){(int32_t)m, shift};
}

float
quant_scale(const Type *t)
{
	return t->q ? t->q->scale[0] : 1;
}

int32_t
quant_zero(const Type *t)
{
	return t->q ? t->q->zero[0] : 0;
}

int32_t
quant_round(double x)
{
	double r = round(x);

	if (!(r > INT32_MIN))
		return INT32_MIN;
	return r >= INT32_MAX ? INT32_MAX : (int32_t)r;
}

QRange
quant_limits(DType t)
{
	int bits = 8 * dtype_info[t].bytes;

	if (bits >= 32)
		return (QRange){INT32_MIN, INT32_MAX};
	if (dtype_info[t].class == CLASS_UNSIGNED)
		return (QRange){0, (1 << bits) - 1};
	return (QRange){-(1 << (bits - 1)), (1 << (bits - 1)) - 1};
}

/* The number that stands for a real value, in float as TFLite computes it. */
static int32_t
quantized(const Type *t, float value)
{
	int64_t q = (int64_t)quant_zero(t) + quant_round((double)roundf(value / quant_scale(t)));

	return q < INT32_MIN ? INT32_MIN : q > INT32_MAX ? INT32_MAX : (int32_t)q;
}

static int32_t
larger(int32_t a, int32_t b)
{
	return a > b ? a : b;
}

static int32_t
smaller(int32_t a, int32_t b)
{
	return a < b ? a : b;
}

QRange
quant_range(const Type *t, Activation a)
{
	QRange r = quant_limits(t->dtype);

	switch (a) {
	case ACTIVATION_none:
	case ACTIVATION_COUNT: break;
	case ACTIVATION_relu: r.lo = larger(r.lo, quantized(t, 0)); break;
	case ACTIVATION_relu_n1_1:
		r.lo = larger(r.lo, quantized(t, -1));
		r.hi = smaller(r.hi, quantized(t, 1));
		break;
	case ACTIVATION_relu6:
		r.lo = larger(r.lo, quantized(t, 0));
		r.hi = smaller(r.hi, quantized(t, 6));
		break;
	}
	return r;
}

int
quant_headroom(int32_t x)
{
	uint32_t u = x < 0 ? ~(uint32_t)x : (uint32_t)x;
	int n = 0;

	while (n < 31 && !(u & 0x40000000u)) {
		u <<= 1;
		n++;
	}
	return n;
}

/* ---- Checks ---- */

bool
check_quantized(const Node *n, Diag *d, int i)
{
	const Value *v = i < n->nins ? n->in[i] : NULL;

	if (!v || (v->type.q && v->type.q->n == 1))
		return true;
	return bad_input(n, d, E_UNSUPPORTED, i,
	                 v->type.q ? "scales along an axis are not supported here"
	                           : "must be quantised, as the others are");
}

bool
check_all_quantized(const Node *n, Diag *d)
{
	for (int i = 0; i < n->nins; i++)
		if (!check_quantized(n, d, i))
			return false;
	return true;
}

bool
check_quantized_output(const Node *n, Diag *d)
{
	const Type *t = &n->out[0]->type;

	if (t->q && t->q->n == 1)
		return true;
	return diag_report(d, &n->loc, E_UNSUPPORTED, "the output of '%s' must be quantised with "
	                   "one scale, as its inputs are", op_info[n->op].name);
}

bool
check_output_like_input(const Node *n, Diag *d)
{
	const Type *x = &n->in[0]->type, *y = &n->out[0]->type;

	if (!check_quantized_output(n, d))
		return false;
	if (x->dtype == y->dtype ||
	    (dtype_info[x->dtype].bytes == 1 && dtype_info[y->dtype].bytes == 1))
		return true;
	return diag_report(d, &n->loc, E_UNSUPPORTED,
	                   "'%s' from elements of type %s to %s is not supported",
	                   op_info[n->op].name, dtype_info[x->dtype].name,
	                   dtype_info[y->dtype].name);
}

bool
check_symmetric(const Node *n, Diag *d, int i)
{
	const Value *v = i < 0 ? n->out[0] : i < n->nins ? n->in[i] : NULL;

	for (int32_t k = 0; v && v->type.q && k < v->type.q->n; k++)
		if (v->type.q->zero[k] != 0)
			return diag_report(d, &n->loc, E_UNSUPPORTED,
			                   "'%s' needs the zero point 0 here, not %d",
			                   op_info[n->op].name, v->type.q->zero[k]);
	return true;
}

bool
check_scale_factor(const Node *n, Diag *d, double factor, double limit)
{
	if (factor > 0 && factor < limit)
		return true;
	return diag_report(d, &n->loc, E_UNSUPPORTED,
	                   "the scales of '%s' do not fit each other: a factor of %g must be "
	                   "positive and less than %g",
	                   op_info[n->op].name, factor, limit);
}

bool
check_plain_output(const Node *n, Diag *d)
{
	if (!n->out[0]->type.q)
		return true;
	return diag_report(d, &n->loc, E_UNSUPPORTED, "the output of '%s' cannot be quantised",
	                   op_info[n->op].name);
}

bool
check_symmetric_16(const Node *n, Diag *d)
{
	for (int i = 0; i < n->nins; i++)
		if (dtype_info[n->in[i]->type.dtype].bytes == 2 && !check_symmetric(n, d, i))
			return false;
	return dtype_info[n->out[0]->type.dtype].bytes != 2 || check_symmetric(n, d, -1);
}

/* ---- Fixed point ---- */

Expr *
q_int(LowerCtx *cx, int64_t v)
{
	return loop_int(&cx->b, DT_I32, v);
}

Expr *
q_int64(LowerCtx *cx, int64_t v)
{
	return loop_int(&cx->b, DT_I64, v);
}

static Expr *
shift_left(LowerCtx *cx, Expr *x, int n)
{
	return n == 0 ? x : loop_op2(&cx->b, KOP_SHL, x, loop_int(&cx->b, x->type, n));
}

static Expr *
shift_right(LowerCtx *cx, Expr *x, int n)
{
	return n == 0 ? x : loop_op2(&cx->b, KOP_SHR, x, loop_int(&cx->b, x->type, n));
}

static Expr *
plus(LowerCtx *cx, Expr *x, int64_t v)
{
	return v == 0 ? x : loop_add(&cx->b, x, loop_int(&cx->b, x->type, v));
}

static Expr *
product64(LowerCtx *cx, Expr *a, Expr *b)
{
	return loop_mul(&cx->b, loop_cvt(&cx->b, DT_I64, a), loop_cvt(&cx->b, DT_I64, b));
}

/* Whether x may be INT32_MIN as far as one can see. */
static bool
may_be_least(const Expr *x)
{
	return x->kind != E_CONST || x->u.i == INT32_MIN;
}

Expr *
q_srdhm(LowerCtx *cx, Expr *a, Expr *b)
{
	Expr *p = shift_right(cx, plus(cx, product64(cx, a, b), 1 << 30), 31);

	if (may_be_least(a) && may_be_least(b))
		p = loop_op2(&cx->b, KOP_MIN, p, q_int64(cx, INT32_MAX));
	return loop_cvt(&cx->b, DT_I32, p);
}

/*
 * x / 2^n rounded half away from zero is (t + 2^(n-1)) >> n with t = x - (x < 0),
 * which is ((t >> (n-1)) + 1) >> 1: that does not overflow.  t is x + (x >> 31); it
 * does not wrap around where x is not INT32_MIN.
 */
static Expr *
rdp_not_least(LowerCtx *cx, Expr *x, int n)
{
	Expr *t;

	if (n == 0)
		return x;
	x = lower_let(cx, "v", x);
	t = loop_add(&cx->b, x, shift_right(cx, x, 31));
	return shift_right(cx, plus(cx, shift_right(cx, t, n - 1), 1), 1);
}

Expr *
q_rdp(LowerCtx *cx, Expr *x, int n)
{
	LBuilder *b = &cx->b;
	Expr *wide;

	assert(n >= 0 && n <= 31);
	if (n == 0)
		return x;
	x = lower_let(cx, "v", x);
	wide = loop_add(b, loop_cvt(b, DT_I64, x),
	                loop_cvt(b, DT_I64, shift_right(cx, x, 31)));
	wide = shift_right(cx, plus(cx, wide, (int64_t)1 << (n - 1)), n);
	return loop_cvt(b, DT_I32, wide);
}

Expr *
q_sat_mul_pot(LowerCtx *cx, Expr *x, int n)
{
	LBuilder *b = &cx->b;
	Expr *wide;

	if (n <= 0)
		return q_rdp(cx, x, -n);
	wide = shift_left(cx, loop_cvt(b, DT_I64, x), n);
	wide = loop_op2(b, KOP_MIN, wide, q_int64(cx, INT32_MAX));
	wide = loop_op2(b, KOP_MAX, wide, q_int64(cx, INT32_MIN));
	return loop_cvt(b, DT_I32, wide);
}

Expr *
q_half_sum(LowerCtx *cx, Expr *a, Expr *b)
{
	LBuilder *lb = &cx->b;
	Expr *sum = lower_let(cx, "sum", loop_add(lb, loop_cvt(lb, DT_I64, a),
	                                          loop_cvt(lb, DT_I64, b)));
	Expr *t = plus(cx, loop_add(lb, sum, shift_right(cx, sum, 63)), 1);

	return loop_cvt(lb, DT_I32, shift_right(cx, t, 1));
}

Expr *
q_clz(LowerCtx *cx, Expr *x)
{
	return loop_call1(&cx->b, "clz", x);
}

Expr *
q_inverse_root_shift(LowerCtx *cx, Expr *x)
{
	LBuilder *b = &cx->b;
	Expr *shift = shift_right(cx, plus(cx, q_clz(cx, x), -1), 1);

	shift = loop_sub(b, q_int(cx, 12), shift);
	shift = loop_op2(b, KOP_MAX, shift, q_int(cx, 0));
	return loop_select(b, loop_op2(b, KOP_LE, x, q_int(cx, 1)), q_int(cx, 0), shift);
}

Expr *
q_sat16(LowerCtx *cx, Expr *x)
{
	return q_clamp(cx, x, quant_limits(DT_I16));
}

Expr *
q_mbqm(LowerCtx *cx, Expr *x, Multiplier by)
{
	LBuilder *b = &cx->b;
	int left = by.shift > 0 ? by.shift : 0, right = by.shift < 0 ? -by.shift : 0;
	Expr *m = q_int(cx, by.m), *y;

	if (by.m == 0)
		return q_int(cx, 0);
	if (cx->single_rounding) {
		y = plus(cx, product64(cx, x, m), (int64_t)1 << (30 - by.shift));
		return loop_cvt(b, DT_I32, shift_right(cx, y, 31 - by.shift));
	}
	y = q_srdhm(cx, shift_left(cx, x, left), m);
	/* |m| is below 2^31, so the product is not INT32_MIN. */
	return by.m == INT32_MIN ? q_rdp(cx, y, right) : rdp_not_least(cx, y, right);
}

Multiplier
requant_narrowed(Multiplier by)
{
	Multiplier r = {by.m < 0x7FFF0000 ? (by.m + (1 << 15)) >> 16 : 0x7FFF, 15 - by.shift};

	return r;
}

Expr *
q_mbqm64(LowerCtx *cx, Expr *x, Multiplier by)
{
	Multiplier r = requant_narrowed(by);
	Expr *y = loop_mul(&cx->b, loop_cvt(&cx->b, DT_I64, x), q_int64(cx, r.m));

	assert(r.shift > 0);
	y = shift_right(cx, plus(cx, y, (int64_t)1 << (r.shift - 1)), r.shift);
	return loop_cvt(&cx->b, DT_I32, y);
}

Multiplier
q_multiplier(const LowerCtx *cx, double factor)
{
	return quantize_multiplier(factor, cx->single_rounding);
}

Expr *
q_scale(LowerCtx *cx, Expr *x, double factor)
{
	Multiplier by = q_multiplier(cx, factor);

	return x->type == DT_I64 ? q_mbqm64(cx, x, by) : q_mbqm(cx, x, by);
}

/* ---- Factors by channel ---- */

static bool
all_equal(int n, const Multiplier *m)
{
	for (int i = 1; i < n; i++)
		if (m[i].m != m[0].m || m[i].shift != m[0].shift)
			return false;
	return true;
}

/* The tables of i64 accumulators, or of one rounding: multiplier and full shift to
 * the right. */
static void
make_plain_tables(LowerCtx *cx, Multipliers *t, int n, const Multiplier *m)
{
	int32_t *factor = ARENA_ARRAY(cx->arena, int32_t, n);
	int8_t *right = ARENA_ARRAY(cx->arena, int8_t, n);

	for (int i = 0; i < n; i++) {
		Multiplier r = t->wide ? requant_narrowed(m[i]) : (Multiplier){m[i].m, 31 - m[i].shift};

		factor[i] = r.m;
		right[i] = (int8_t)r.shift;
	}
	t->m = lower_table(cx, "multiplier", DT_I32, n, factor);
	t->right = lower_table(cx, "shift", DT_I8, n, right);
}

static void
make_tables(LowerCtx *cx, Multipliers *t, int n, const Multiplier *m)
{
	int32_t *factor = ARENA_ARRAY(cx->arena, int32_t, n);
	int8_t *left = ARENA_ARRAY(cx->arena, int8_t, n), *right = ARENA_ARRAY(cx->arena, int8_t, n);
	bool any_left = false;

	t->never_zero = true;
	for (int i = 0; i < n; i++) {
		/* A factor of 0 gives 0 after any shift. */
		int shift = m[i].m == 0 ? -1 : m[i].shift;

		factor[i] = m[i].m;
		left[i] = (int8_t)(shift > 0 ? shift : 0);
		right[i] = (int8_t)(shift < 0 ? -shift : 0);
		any_left = any_left || shift > 0;
		t->never_zero = t->never_zero && shift < 0;
	}
	for (int i = 0; i < n && t->never_zero; i++)
		right[i]--;
	t->m = lower_table(cx, "multiplier", DT_I32, n, factor);
	t->right = lower_table(cx, "shift", DT_I8, n, right);
	if (any_left)
		t->left = lower_table(cx, "left", DT_I8, n, left);
}

Multipliers
q_multipliers(LowerCtx *cx, int n, const double *factor, bool wide)
{
	Multipliers t = {.n = n, .wide = wide};
	Multiplier *m = ARENA_ARRAY(cx->arena, Multiplier, n);

	for (int i = 0; i < n; i++)
		m[i] = q_multiplier(cx, factor[i]);
	if (n <= 1 || all_equal(n, m)) {
		t.n = 1;
		t.one = n > 0 ? m[0] : (Multiplier){0, 0};
	} else if (wide || cx->single_rounding) {
		make_plain_tables(cx, &t, n, m);
	} else {
		make_tables(cx, &t, n, m);
	}
	return t;
}

/* (x * m + 2^(right-1)) >> right */
static Expr *
scale_plain(LowerCtx *cx, const Multipliers *by, Expr *channel, Expr *x)
{
	LBuilder *b = &cx->b;
	Expr *right = loop_let(b, "shift",
	                       loop_cvt(b, DT_I64, loop_load(b, by->right, channel)));
	Expr *half = loop_op2(b, KOP_SHL, q_int64(cx, 1), plus(cx, right, -1));
	Expr *y = loop_add(b, product64(cx, x, loop_load(b, by->m, channel)), half);

	return loop_cvt(b, DT_I32, loop_op2(b, KOP_SHR, y, right));
}

Expr *
q_scale_channel(LowerCtx *cx, const Multipliers *by, Expr *channel, Expr *x)
{
	LBuilder *b = &cx->b;
	Expr *right, *less, *y, *t;

	if (by->n == 1)
		return by->wide ? q_mbqm64(cx, x, by->one) : q_mbqm(cx, x, by->one);
	if (by->wide || cx->single_rounding)
		return scale_plain(cx, by, channel, x);
	if (by->left)
		x = loop_op2(b, KOP_SHL, x, loop_load_compute(b, by->left, channel));
	y = loop_let(b, "v", q_srdhm(cx, x, loop_load(b, by->m, channel)));
	right = loop_let(b, "shift", loop_load_compute(b, by->right, channel));
	less = by->never_zero ? right : plus(cx, right, -1);
	t = loop_op2(b, KOP_SHR, loop_add(b, y, shift_right(cx, y, 31)), less);
	t = shift_right(cx, plus(cx, t, 1), 1);
	return by->never_zero ? t
	                      : loop_select(b, loop_op2(b, KOP_GT, right, q_int(cx, 0)), t, y);
}

/* ---- Elements ---- */

Expr *
q_load(LowerCtx *cx, LBuf *buf, Expr *index, int32_t zero)
{
	Expr *x = loop_load_compute(&cx->b, buf, index);

	return zero == 0 ? x : loop_sub(&cx->b, x, q_int(cx, zero));
}

Expr *
q_clamp(LowerCtx *cx, Expr *x, QRange r)
{
	LBuilder *b = &cx->b;

	x = loop_op2(b, KOP_MAX, x, loop_int(b, x->type, r.lo));
	return loop_op2(b, KOP_MIN, x, loop_int(b, x->type, r.hi));
}

void
q_store(LowerCtx *cx, LBuf *buf, Expr *index, Expr *x, int32_t zero, QRange r)
{
	loop_store_cvt(&cx->b, buf, index, q_clamp(cx, plus(cx, x, zero), r));
}

/* ---- Rounding of floats ---- */

/*
 * trunc(x + h) for x >= 0, with h the number before a half.  Where x is k + 1/2, which is
 * exact below 2^23 (doubles: 2^52), the sum is half way between k + 1 and its neighbour, or
 * nearer to k + 1, and rounds to k + 1, which is even there or nearer; with the number before
 * that x it stays below k + 1.  Tried for every float.
 */
Expr *
q_round_away(LowerCtx *cx, Expr *x)
{
	LBuilder *b = &cx->b;
	Expr *v = loop_let(b, "v", x);
	double below_half = v->type == DT_F32 ? 0x1.fffffep-2 : 0x1.fffffffffffffp-2;

	x = loop_call2(b, "copysign", loop_float(b, v->type, below_half), v);
	return loop_cvt(b, DT_I32, loop_add(b, v, x));
}
