/*
 * Fixed-point arithmetic of ir/ops/requant.h against formulas written another way:
 * with truncating divisions and 128-bit-safe ranges, as gemmlowp states them.
 */
#include "ir/ops/requant.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "tests/unit/run_node.h"
#include "tests/unit/unit.h"

/* ---- The formulas again ---- */

static int32_t
srdhm(int32_t a, int32_t b)
{
	int64_t p = (int64_t)a * b;
	int32_t nudge = p >= 0 ? 1 << 30 : 1 - (1 << 30);

	return a == INT32_MIN && b == INT32_MIN ? INT32_MAX
	                                        : (int32_t)((p + nudge) / ((int64_t)1 << 31));
}

/* Rounds half away from zero: by the remainder. */
static int32_t
rdp(int32_t x, int n)
{
	int64_t d = (int64_t)1 << n, q = x / d, r = x % d;

	return (int32_t)(2 * llabs(r) >= d ? q + (x < 0 ? -1 : 1) : q);
}

static int32_t
mbqm(int32_t x, Multiplier by)
{
	uint32_t up = (uint32_t)x << (by.shift > 0 ? by.shift : 0);

	return rdp(srdhm((int32_t)up, by.m), by.shift < 0 ? -by.shift : 0);
}

/* floor((x * m + half) / 2^n). */
static int32_t
floor_rounded(int64_t x, int64_t m, int n)
{
	int64_t d = (int64_t)1 << n, v = x * m + d / 2, q = v / d;

	return (int32_t)(uint32_t)(uint64_t)(v % d < 0 ? q - 1 : q);
}

static int32_t
mbqm_single(int32_t x, Multiplier by)
{
	return floor_rounded(x, by.m, 31 - by.shift);
}

static int32_t
mbqm64(int64_t x, Multiplier by)
{
	int64_t m = by.m < 0x7FFF0000 ? ((int64_t)by.m + 32768) / 65536 : 0x7FFF;

	return floor_rounded(x, m, 15 - by.shift);
}

/* ---- Running what the builders make ---- */

enum { COUNT = 600 };

static int32_t xs[COUNT], ys[COUNT];

static void
fill_inputs(void)
{
	static const int32_t edge[] = {0, 1, -1, 2, -2, 3, -3, INT32_MAX, INT32_MIN,
	                               INT32_MAX - 1, INT32_MIN + 1, 1 << 30, -(1 << 30),
	                               (1 << 30) - 1, 255, -256, 32767, -32768};
	uint32_t seed = 1;

	for (int i = 0; i < COUNT; i++) {
		int32_t v = random_int(&seed, -(1 << 20), 1 << 20);

		xs[i] = i < (int)(sizeof edge / sizeof *edge) ? edge[i] : i % 3 ? v : v * 1024;
		ys[i] = xs[(i * 7 + 3) % 18];
	}
}

typedef Expr *Body(LowerCtx *cx, Expr *x, Expr *y, Expr *i, const void *arg);

/* out[i] = body(xs[i], ys[i]) */
static void
run_body(Arena *a, Body *body, const void *arg, bool single, int32_t *out)
{
	LowerCtx cx = {.arena = a, .single_rounding = single};
	LBuilder *b = &cx.b;
	LBuf *x, *y, *z;
	LFunc *f;
	Expr *i;

	loop_begin(b, a, "test");
	x = loop_buf(b, "x", DT_I32, COUNT, LBUF_IN, NULL);
	y = loop_buf(b, "y", DT_I32, COUNT, LBUF_IN, NULL);
	z = loop_buf(b, "z", DT_I32, COUNT, LBUF_OUT, NULL);
	i = loop_for(b, "i", 0, COUNT);
	loop_store(b, z, i, body(&cx, loop_load(b, x, i), loop_load(b, y, i), i, arg));
	loop_end(b);
	f = loop_finish(b);
	ck_assert_msg(!lfunc_verify(f), "%s", lfunc_verify(f));
	/* Tables follow the three and need no memory. */
	void **bufs = ARENA_ARRAY(a, void *, f->bufs.n);
	bufs[0] = xs;
	bufs[1] = ys;
	bufs[2] = out;
	lfunc_run(a, f, bufs);
}

static Arena *arena;
static int32_t out[COUNT];

static void
setup(void)
{
	arena = arena_new(NULL, NULL);
	fill_inputs();
}

static void
teardown(void)
{
	arena_free(arena);
}

/* ---- At compile time ---- */

START_TEST(a_multiplier_is_the_factor_in_31_bits)
{
	double d = ldexp(1.0 + _i / 97.0, _i % 41 - 31);
	Multiplier m = quantize_multiplier(d, false);

	if (d < 0x1p-32) {
		ck_assert_int_eq(m.m, 0);
		return;
	}
	ck_assert_int_ge(m.m, 1 << 30);
	ck_assert(fabs(ldexp(m.m, m.shift - 31) - d) <= d * 0x1p-31);
	m = quantize_multiplier(-d, false);
	ck_assert(fabs(ldexp(m.m, m.shift - 31) + d) <= d * 0x1p-31);
}
END_TEST

START_TEST(multipliers_at_the_edges)
{
	Multiplier m = quantize_multiplier(0, false);

	ck_assert(m.m == 0 && m.shift == 0);
	m = quantize_multiplier(1, false);
	ck_assert(m.m == 1 << 30 && m.shift == 1);
	m = quantize_multiplier(1 - 0x1p-40, false); /* rounds up to 1 */
	ck_assert(m.m == 1 << 30 && m.shift == 1);
	m = quantize_multiplier(0x1p-33, false);
	ck_assert(m.m == 0 && m.shift == 0);
	m = quantize_multiplier(0x1p-32, false);
	ck_assert(m.m == 1 << 30 && m.shift == -31);
	m = quantize_multiplier(0x1p31, true);
	ck_assert(m.m == INT32_MAX && m.shift == 30);
}
END_TEST

START_TEST(activations_bound_the_numbers)
{
	const float scale[] = {0.5F, 0.1F};
	const int32_t zero[] = {3, -128};
	Quant q = {0, 1, scale, zero};
	Type t = type_scalar(DT_I8);
	QRange r;

	t.q = &q;
	r = quant_range(&t, ACTIVATION_none);
	ck_assert(r.lo == -128 && r.hi == 127);
	r = quant_range(&t, ACTIVATION_relu);
	ck_assert(r.lo == 3 && r.hi == 127);
	r = quant_range(&t, ACTIVATION_relu6);
	ck_assert(r.lo == 3 && r.hi == 15);
	r = quant_range(&t, ACTIVATION_relu_n1_1);
	ck_assert(r.lo == 1 && r.hi == 5);
	q.scale = scale + 1;
	q.zero = zero + 1;
	r = quant_range(&t, ACTIVATION_relu6);
	ck_assert(r.lo == -128 && r.hi == -68);
}
END_TEST

START_TEST(headroom_counts_redundant_sign_bits)
{
	ck_assert_int_eq(quant_headroom(0), 31);
	ck_assert_int_eq(quant_headroom(-1), 31);
	ck_assert_int_eq(quant_headroom(INT32_MAX), 0);
	ck_assert_int_eq(quant_headroom(INT32_MIN), 0);
	for (int i = 0; i < 31; i++)
		ck_assert_int_eq(quant_headroom(1 << i), 30 - i);
}
END_TEST

/* ---- Builders ---- */

static Expr *
body_srdhm(LowerCtx *cx, Expr *x, Expr *y, Expr *i, const void *arg)
{
	(void)i;
	return q_srdhm(cx, x, arg ? q_int(cx, *(const int32_t *)arg) : y);
}

START_TEST(high_products_are_rounded_and_saturated)
{
	const int32_t constant[] = {INT32_MIN, INT32_MAX, 1 << 30, -7, 0};

	run_body(arena, body_srdhm, NULL, false, out);
	for (int i = 0; i < COUNT; i++)
		ck_assert_int_eq(out[i], srdhm(xs[i], ys[i]));
	for (int k = 0; k < 5; k++) {
		run_body(arena, body_srdhm, &constant[k], false, out);
		for (int i = 0; i < COUNT; i++)
			ck_assert_int_eq(out[i], srdhm(xs[i], constant[k]));
	}
}
END_TEST

static Expr *
body_rdp(LowerCtx *cx, Expr *x, Expr *y, Expr *i, const void *arg)
{
	(void)i;
	(void)y;
	return q_rdp(cx, x, *(const int *)arg);
}

START_TEST(divisions_by_powers_round_half_away_from_zero)
{
	run_body(arena, body_rdp, &_i, false, out);
	for (int i = 0; i < COUNT; i++)
		ck_assert_int_eq(out[i], rdp(xs[i], _i));
}
END_TEST

static Expr *
body_pot(LowerCtx *cx, Expr *x, Expr *y, Expr *i, const void *arg)
{
	(void)i;
	(void)y;
	return q_sat_mul_pot(cx, x, *(const int *)arg);
}

START_TEST(multiplications_by_powers_saturate)
{
	int n = _i - 31;

	run_body(arena, body_pot, &n, false, out);
	for (int i = 0; i < COUNT; i++) {
		int64_t v = n <= 0 ? rdp(xs[i], -n) : (int64_t)xs[i] * ((int64_t)1 << n);

		v = v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : v;
		ck_assert_int_eq(out[i], v);
	}
}
END_TEST

static Expr *
body_half_sum(LowerCtx *cx, Expr *x, Expr *y, Expr *i, const void *arg)
{
	(void)i;
	(void)arg;
	return q_half_sum(cx, x, y);
}

START_TEST(half_sums_round_half_away_from_zero)
{
	run_body(arena, body_half_sum, NULL, false, out);
	for (int i = 0; i < COUNT; i++) {
		int64_t sum = (int64_t)xs[i] + ys[i];

		ck_assert_int_eq(out[i], (sum + (sum >= 0 ? 1 : -1)) / 2);
	}
}
END_TEST

static Expr *
body_clz(LowerCtx *cx, Expr *x, Expr *y, Expr *i, const void *arg)
{
	(void)i;
	(void)y;
	(void)arg;
	return q_clz(cx, x);
}

START_TEST(leading_zeros_are_counted)
{
	run_body(arena, body_clz, NULL, false, out);
	for (int i = 0; i < COUNT; i++) {
		int n = 0;

		while (n < 32 && !((uint32_t)xs[i] >> (31 - n) & 1))
			n++;
		ck_assert_int_eq(out[i], n);
	}
}
END_TEST

static Expr *
body_mbqm(LowerCtx *cx, Expr *x, Expr *y, Expr *i, const void *arg)
{
	(void)i;
	(void)y;
	return q_mbqm(cx, x, *(const Multiplier *)arg);
}

static Expr *
body_mbqm64(LowerCtx *cx, Expr *x, Expr *y, Expr *i, const void *arg)
{
	(void)i;
	(void)y;
	return q_mbqm64(cx, loop_cvt(&cx->b, DT_I64, x), *(const Multiplier *)arg);
}

START_TEST(numbers_are_rescaled_as_gemmlowp_does)
{
	double d = ldexp(1.0 + (_i * 37 % 101) / 101.0, _i - 31) * (_i % 5 == 4 ? -1 : 1);
	Multiplier two = quantize_multiplier(d, false), one = quantize_multiplier(d, true);

	run_body(arena, body_mbqm, &two, false, out);
	for (int i = 0; i < COUNT; i++)
		ck_assert_int_eq(out[i], mbqm(xs[i], two));
	run_body(arena, body_mbqm, &one, true, out);
	for (int i = 0; i < COUNT; i++)
		ck_assert_int_eq(out[i], mbqm_single(xs[i], one));
	if (d < 0 || two.shift >= 8)
		return;
	run_body(arena, body_mbqm64, &two, false, out);
	for (int i = 0; i < COUNT; i++)
		ck_assert_int_eq(out[i], mbqm64(xs[i], two));
}
END_TEST

/* ---- Factors by channel ---- */

typedef struct {
	double factor[COUNT];
	bool wide;
} Factors;

static Expr *
body_channel(LowerCtx *cx, Expr *x, Expr *y, Expr *i, const void *arg)
{
	const Factors *f = arg;
	Multipliers by = q_multipliers(cx, COUNT, f->factor, f->wide);

	(void)y;
	return q_scale_channel(cx, &by, i, f->wide ? loop_cvt(&cx->b, DT_I64, x) : x);
}

/* Case 0: factors below 1/2 alone; 1: some up to 8; 2: all the same. */
START_TEST(every_channel_has_its_own_factor)
{
	static Factors f;

	for (int i = 0; i < COUNT; i++)
		f.factor[i] = _i == 2 ? 0.3 : i % 50 == 7 ? 0 : ldexp(1.0 + i / 1000.0,
		                                                     -2 - i % 20 + 4 * _i);
	run_body(arena, body_channel, &f, false, out);
	for (int i = 0; i < COUNT; i++)
		ck_assert_int_eq(out[i], mbqm(xs[i], quantize_multiplier(f.factor[i], false)));
	run_body(arena, body_channel, &f, true, out);
	for (int i = 0; i < COUNT; i++)
		ck_assert_int_eq(out[i],
		                 mbqm_single(xs[i], quantize_multiplier(f.factor[i], true)));
	f.wide = true;
	run_body(arena, body_channel, &f, false, out);
	for (int i = 0; i < COUNT; i++)
		ck_assert_int_eq(out[i], mbqm64(xs[i], quantize_multiplier(f.factor[i], false)));
	f.wide = false;
}
END_TEST

/* ---- Refusals ---- */

START_TEST(operators_without_a_quantised_meaning_are_refused)
{
	static const float scale[] = {0.5F};
	static const int32_t zero[] = {0};
	static const Quant q = {0, 1, scale, zero};
	Run r;

	run_begin(&r);
	run_zeros(&r, DT_I8, 1, (int32_t[]){4});
	r.in[0]->type.q = &q;
	r.node = graph_add(r.g, OP_ACOSH, 1, r.in, NULL);
	r.node->out[0]->type.q = &q;
	ck_assert(!node_infer(r.node, &r.diag));
	ck_assert_int_eq(r.diag.first->code, E_UNSUPPORTED);
	run_end(&r);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("requant");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, a_multiplier_is_the_factor_in_31_bits, 0, 97);
	tcase_add_test(t, multipliers_at_the_edges);
	tcase_add_test(t, activations_bound_the_numbers);
	tcase_add_test(t, headroom_counts_redundant_sign_bits);
	tcase_add_test(t, high_products_are_rounded_and_saturated);
	tcase_add_loop_test(t, divisions_by_powers_round_half_away_from_zero, 0, 32);
	tcase_add_loop_test(t, multiplications_by_powers_saturate, 0, 62);
	tcase_add_test(t, half_sums_round_half_away_from_zero);
	tcase_add_test(t, leading_zeros_are_counted);
	tcase_add_loop_test(t, numbers_are_rescaled_as_gemmlowp_does, 0, 60);
	tcase_add_loop_test(t, every_channel_has_its_own_factor, 0, 3);
	tcase_add_test(t, operators_without_a_quantised_meaning_are_refused);
	suite_add_tcase(s, t);
	return unit_run(s);
}
