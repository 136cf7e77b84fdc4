/*
 * TFLite's integer arithmetic in plain C, for tests: the primitives as gemmlowp
 * defines them, with truncating division, not as mcc writes them.
 */
#ifndef MCC_TESTS_UNIT_QUANT_REFERENCE_H
#define MCC_TESTS_UNIT_QUANT_REFERENCE_H

#include "ir/ops/requant.h"
#include "tests/unit/run_node.h"

static inline int32_t
ref_srdhm(int32_t a, int32_t b)
{
	int64_t p = (int64_t)a * b, nudge = p >= 0 ? 1 << 30 : 1 - (1 << 30);

	if (a == INT32_MIN && b == INT32_MIN)
		return INT32_MAX;
	return (int32_t)((p + nudge) / ((int64_t)1 << 31));
}

static inline int32_t
ref_rdp(int32_t x, int n)
{
	int32_t mask = (int32_t)(((int64_t)1 << n) - 1), rest = x & mask;
	int32_t threshold = (mask >> 1) + (x < 0);

	return (x >> n) + (rest > threshold);
}

static inline int32_t
ref_sat_shift(int32_t x, int n)
{
	double wide = ldexp(x, n);

	if (n < 0)
		return ref_rdp(x, -n);
	return wide > INT32_MAX ? INT32_MAX : wide < INT32_MIN ? INT32_MIN : (int32_t)wide;
}

static inline int32_t
ref_half_sum(int32_t a, int32_t b)
{
	int64_t s = (int64_t)a + b;

	return (int32_t)((s + (s >= 0 ? 1 : -1)) / 2);
}

static inline int
ref_clz(int32_t x)
{
	int n = 0;

	while (n < 32 && !((uint32_t)x >> (31 - n)))
		n++;
	return n;
}

static inline void
ref_multiplier(double d, int32_t *m, int *shift)
{
	int64_t q;

	*shift = 0;
	q = (int64_t)round(frexp(d, shift) * 2147483648.0);
	if (q == (int64_t)1 << 31) {
		q /= 2;
		++*shift;
	}
	if (*shift < -31) {
		*shift = 0;
		q = 0;
	}
	*m = (int32_t)q;
}

static inline int32_t
ref_scale(int32_t x, double d)
{
	int32_t m;
	int shift;

	ref_multiplier(d, &m, &shift);
	if (shift > 0)
		return ref_srdhm((int32_t)((uint32_t)x << shift), m);
	return ref_rdp(ref_srdhm(x, m), -shift);
}

/* e^a in F0 for a <= 0 with i bits before the point. */
static inline int32_t
ref_exp(int32_t a, int i)
{
	static const int32_t factor[] = {1672461947, 1302514674, 790015084, 290630308,
	                                 39332535,   720401,     242};
	int32_t quarter = 1 << (31 - i - 2), m = (a & (quarter - 1)) - quarter;
	int32_t x = ref_sat_shift(m, i) + (1 << 28), rest = m - a;
	int32_t x2 = ref_srdhm(x, x), x3 = ref_srdhm(x2, x), x4 = ref_srdhm(x2, x2);
	int32_t u = ref_rdp(ref_srdhm(ref_rdp(x4, 2) + x3, 715827883) + x2, 1), r;

	r = 1895147668 + ref_srdhm(1895147668, x + u);
	for (int e = -2; e <= 4; e++)
		if (i > e && (rest & 1 << (31 - i + e)))
			r = ref_srdhm(r, factor[e + 2]);
	return a == 0 ? INT32_MAX : r;
}

static inline int32_t
ref_newton(int32_t a)
{
	int32_t h = ref_half_sum(a, INT32_MAX), x = 1515870810 + ref_srdhm(h, -1010580540);

	for (int k = 0; k < 3; k++)
		x += ref_sat_shift(ref_srdhm(x, (1 << 29) - ref_srdhm(h, x)), 2);
	return x;
}

static inline int32_t
ref_one_over_one_plus(int32_t a)
{
	return ref_sat_shift(ref_newton(a), 1);
}

static inline int32_t
ref_logistic(int32_t a)
{
	int32_t p = ref_one_over_one_plus(ref_exp(a > 0 ? -a : a, 4));

	return a == 0 ? 1 << 30 : a > 0 ? p : INT32_MAX - p;
}

static inline int32_t
ref_tanh(int32_t a)
{
	int32_t t = ref_sat_shift(ref_newton(ref_exp(a > 0 ? -a : a, 5)) - (1 << 29), 2);

	return a == 0 ? 0 : a > 0 ? t : -t;
}

/* 1 / x for x with i bits before the point: in F0, and how many bits more that are. */
static inline int32_t
ref_reciprocal(int32_t x, int i, int *bits)
{
	int h = ref_clz(x);

	*bits = i - h;
	return ref_one_over_one_plus((int32_t)(((uint32_t)x << h) - (1u << 31)));
}

static inline int32_t
ref_inverse_root(int32_t x, int *left)
{
	int n = 11, p;
	int32_t half, y = 1 << 28;

	*left = 0;
	if (x <= 1)
		return INT32_MAX;
	while (x >= 1 << 29) {
		x /= 4;
		n++;
	}
	p = (ref_clz(x) - 1) / 2 - 1;
	n -= p;
	x <<= 2 * p;
	half = ref_rdp(x >> 1, 1);
	for (int k = 0; k < 5; k++) {
		int32_t y3 = ref_sat_shift(ref_srdhm(ref_srdhm(y, y), y), 6);

		y = ref_sat_shift(ref_srdhm(402653184, y) - ref_srdhm(half, y3), 3);
	}
	y = ref_srdhm(y, 1518500250);
	if (n < 0) {
		y = (int32_t)((uint32_t)y << -n);
		n = 0;
	}
	*left = -n;
	return y;
}

static inline int32_t
ref_clamp(int64_t x, QRange r)
{
	return (int32_t)(x < r.lo ? r.lo : x > r.hi ? r.hi : x);
}

/* ---- Quantised nodes ---- */

static inline const Quant *
quant_new(Run *r, float scale, int32_t zero)
{
	Quant *q = ARENA_NEW(r->arena, Quant);

	*q = (Quant){.n = 1,
	             .scale = arena_copy(r->arena, &scale, sizeof scale),
	             .zero = arena_copy(r->arena, &zero, sizeof zero)};
	return q;
}

/* A scale from 2^lo to 2^hi. */
static inline float
random_scale(uint32_t *seed, double lo, double hi)
{
	return (float)exp2(lo + (hi - lo) * random_int(seed, 0, 1 << 20) / (1 << 20));
}

static inline int32_t
random_zero(DType t, uint32_t *seed)
{
	QRange r = quant_limits(t);

	return dtype_info[t].bytes == 1 ? random_int(seed, r.lo, r.hi) : 0;
}

/* An input of a vector of `count` numbers from the whole range of `t`; all of them in
 * turn where `sweep`. */
static inline void
run_quantized(Run *r, DType t, int32_t count, bool sweep, const Quant *q, uint32_t *seed)
{
	QRange range = quant_limits(t);
	void *data = run_zeros(r, t, 1, &count);

	r->in[r->nins - 1]->type.q = q;
	for (int32_t i = 0; i < count; i++) {
		int32_t v = random_int(seed, range.lo, range.hi);

		if (sweep)
			v = range.lo + i % (range.hi - range.lo + 1);
		num_store_int(t, data, (size_t)i, v);
	}
}

static inline void *
run_quantized_node(Run *r, Op op, DType t, const Quant *q)
{
	void *attr = run_node(r, op, 1);

	r->node->out[0]->type.dtype = t;
	r->node->out[0]->type.q = q;
	return attr;
}

/* Element i of input k less its zero point; of the output as it is. */
static inline int32_t
input_at(const Run *r, int k, int32_t i)
{
	const Type *t = &r->in[k]->type;

	return (int32_t)num_load_int(t->dtype, r->data[k], (size_t)i) - quant_zero(t);
}

static inline int32_t
output_at(const Run *r, int32_t i)
{
	return (int32_t)num_load_int(r->node->out[0]->type.dtype, r->result[0], (size_t)i);
}

static inline float
scale_of(const Run *r, int k)
{
	return quant_scale(k < 0 ? &r->node->out[0]->type : &r->in[k]->type);
}

static inline void
expect_code(Run *r, int32_t i, int32_t expected)
{
	if (output_at(r, i) != expected)
		ck_abort_msg("element %d of %s is %d, not %d", i, op_info[r->node->op].name,
		             output_at(r, i), expected);
}

#endif
