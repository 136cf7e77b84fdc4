/* The interpreter against C's own arithmetic, over whole small domains. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/loop/loop.h"
#include "ir/num.h"
#include "tests/unit/float_bits.h"
#include "tests/unit/unit_arena.h"

/* An assertion for inner loops: Check's own write to a file each time. */
#define expect(condition) \
	do { \
		if (!(condition)) \
			ck_abort_msg("%s", #condition); \
	} while (0)

static LBuilder b;

static uint64_t
bits_of_int(int64_t v)
{
	return (uint64_t)v;
}

/* A scalar function of `arity` parameters of type `t`: one operation. */
static LCode *
operation(KOp op, DType t)
{
	Expr *x, *e;

	loop_begin_scalar(&b, arena, "f", kop_info[op].to_bool ? DT_BOOL : t);
	x = loop_param(&b, "x", t);
	if (kop_info[op].arity == 2)
		e = loop_op2(&b, op, x, loop_param(&b, "y", t));
	else
		e = loop_op1(&b, op, x);
	loop_return(&b, e);
	return lfunc_compile(arena, loop_finish(&b));
}

static LCode *
conversion(DType to, DType from)
{
	loop_begin_scalar(&b, arena, "f", to);
	loop_return(&b, loop_cvt(&b, to, loop_param(&b, "x", from)));
	return lfunc_compile(arena, loop_finish(&b));
}

/* x converted to `narrow` and back to its type. */
static LCode *
through(DType narrow, DType t)
{
	loop_begin_scalar(&b, arena, "f", t);
	loop_return(&b, loop_cvt(&b, t, loop_cvt(&b, narrow, loop_param(&b, "x", t))));
	return lfunc_compile(arena, loop_finish(&b));
}

static uint64_t
call1(LCode *code, uint64_t x)
{
	return lcode_call(code, &x);
}

static uint64_t
call2(LCode *code, uint64_t x, uint64_t y)
{
	return lcode_call(code, (uint64_t[]){x, y});
}

static const int64_t ints[] = {
	0,          1,         -1,        2,       -2,          3,           7,
	-7,         31,        32,        33,      63,          64,          100,
	-100,       255,       256,       65535,   INT32_MAX,   INT32_MIN,   INT32_MIN + 1,
	0xffffffff, INT64_MAX, INT64_MIN, 1 << 30, 0x123456789, -0x123456789};
enum { NINTS = sizeof ints / sizeof ints[0] };

/* ---- Integer arithmetic ---- */

/* What kops.def says, in wide arithmetic; x and y are in the range of the type. */
static int64_t
int_result(KOp op, DType t, int64_t x, int64_t y)
{
	uint64_t ux = (uint64_t)x, uy = (uint64_t)y;
	unsigned width = dtype_info[t].bytes == 8 ? 64 : 32;
	bool is_unsigned = dtype_info[t].class == CLASS_UNSIGNED;
	bool less = is_unsigned ? ux < uy : x < y, more = is_unsigned ? ux > uy : x > y;

	switch (op) {
	case KOP_ADD: return (int64_t)(ux + uy);
	case KOP_SUB: return (int64_t)(ux - uy);
	case KOP_MUL: return (int64_t)(ux * uy);
	case KOP_DIV:
		if (y == 0)
			return 0;
		if (is_unsigned)
			return (int64_t)(ux / uy);
		return y == -1 ? (int64_t)(0 - ux) : x / y;
	case KOP_REM:
		return (int64_t)(ux - uy * (uint64_t)int_result(KOP_DIV, t, x, y));
	case KOP_MIN: return less ? x : y;
	case KOP_MAX: return more ? x : y;
	case KOP_NEG: return (int64_t)(0 - ux);
	case KOP_ABS: return !is_unsigned && x < 0 ? (int64_t)(0 - ux) : x;
	case KOP_AND: return x & y;
	case KOP_OR: return x | y;
	case KOP_XOR: return x ^ y;
	case KOP_NOT: return ~x;
	case KOP_SHL: return (int64_t)(ux << (uy % width));
	case KOP_SHR:
		if (is_unsigned)
			return (int64_t)(ux >> (uy % width));
		return x < 0 ? ~(int64_t)(~ux >> (uy % width)) : (int64_t)(ux >> (uy % width));
	case KOP_EQ: return x == y;
	case KOP_NE: return x != y;
	case KOP_LT: return less;
	case KOP_LE: return !more;
	case KOP_GT: return more;
	case KOP_GE: return !less;
	case KOP_COUNT: break;
	}
	return 0;
}

static int64_t
wrap(DType t, int64_t v)
{
	if (t == DT_I32 || t == DT_IDX)
		return (int32_t)v;
	return t == DT_U32 ? (int64_t)(uint32_t)v : v;
}

START_TEST(integer_operations_wrap_around_and_are_total)
{
	static const DType types[] = {DT_I32, DT_U32, DT_I64, DT_U64};
	DType t = types[_i % 4];
	KOp op = (KOp)(_i / 4);
	LCode *code = operation(op, t);

	for (int i = 0; i < NINTS; i++) {
		for (int k = 0; k < NINTS; k++) {
			int64_t x = wrap(t, ints[i]), y = wrap(t, ints[k]);
			int64_t expected = int_result(op, t, x, y);

			if (!kop_info[op].to_bool)
				expected = wrap(t, expected);
			expect((int64_t)call2(code, bits_of_int(x), bits_of_int(y)) == expected);
		}
	}
}
END_TEST

START_TEST(bool_operations_have_only_two_results)
{
	static const KOp ops[] = {KOP_AND, KOP_OR, KOP_XOR, KOP_EQ, KOP_NE};

	for (size_t k = 0; k < sizeof ops / sizeof ops[0]; k++)
		for (int x = 0; x < 2; x++)
			for (int y = 0; y < 2; y++)
				ck_assert_int_eq((int64_t)call2(operation(ops[k], DT_BOOL),
								(uint64_t)x, (uint64_t)y),
						 int_result(ops[k], DT_BOOL, x, y));
	ck_assert_int_eq((int64_t)call1(operation(KOP_NOT, DT_BOOL), 0), 1);
	ck_assert_int_eq((int64_t)call1(operation(KOP_NOT, DT_BOOL), 1), 0);
}
END_TEST

/* ---- Float arithmetic ---- */

static const double floats[] = {0.0, -0.0, 1, -1, 0.1, 1.5, 2.5, -2.5, 3e38, -3e38, 1e-45, 1e-40,
                                16777217, 0x1p31, 0x1p63, 255.5, -128.5, (double)INFINITY,
                                -(double)INFINITY, (double)NAN};
enum { NFLOATS = sizeof floats / sizeof floats[0] };

static bool
same_float(float x, float y)
{
	return bits_of_float(x) == bits_of_float(y) || (isnan(x) && isnan(y));
}

static bool
same_double(double x, double y)
{
	return bits_of_double(x) == bits_of_double(y) || (isnan(x) && isnan(y));
}

#define FLOAT_RESULT(name, T) \
	static T name(KOp op, T x, T y) \
	{ \
		switch ((int)op) { \
		case KOP_ADD: return x + y; \
		case KOP_SUB: return x - y; \
		case KOP_MUL: return x * y; \
		case KOP_DIV: return x / y; \
		case KOP_MIN: return y < x ? y : x; \
		case KOP_MAX: return x < y ? y : x; \
		case KOP_NEG: return -x; \
		default: return x < 0 || (x == 0 && signbit(x)) ? -x : x; \
		} \
	}
FLOAT_RESULT(float_result, float)
FLOAT_RESULT(double_result, double)

static bool
comparison(KOp op, double x, double y)
{
	switch ((int)op) {
	case KOP_EQ: return x == y;
	case KOP_NE: return x != y;
	case KOP_LT: return x < y;
	case KOP_LE: return x <= y;
	case KOP_GT: return x > y;
	default: return x >= y;
	}
}

START_TEST(float_operations_round_once_and_order_nan)
{
	KOp op = (KOp)_i;
	LCode *f32, *f64;

	if (!(kop_info[op].operands >> DT_F32 & 1))
		return;
	f32 = operation(op, DT_F32);
	f64 = operation(op, DT_F64);
	for (int i = 0; i < NFLOATS; i++) {
		for (int k = 0; k < NFLOATS; k++) {
			double x = floats[i], y = floats[k];
			float fx = (float)x, fy = (float)y;
			uint64_t single = call2(f32, bits_of_float(fx), bits_of_float(fy));
			uint64_t twice = call2(f64, bits_of_double(x), bits_of_double(y));

			if (kop_info[op].to_bool) {
				expect((int)single == comparison(op, (double)fx, (double)fy));
				expect((int)twice == comparison(op, x, y));
				continue;
			}
			expect(same_float(float_of(single), float_result(op, fx, fy)));
			expect(same_double(double_of(twice), double_result(op, x, y)));
		}
	}
}
END_TEST

START_TEST(negation_and_magnitude_keep_the_payload_of_nan)
{
	LCode *neg = operation(KOP_NEG, DT_F32), *magnitude = operation(KOP_ABS, DT_F32);

	ck_assert_uint_eq(call1(neg, 0x7fc12345), 0xffc12345);
	ck_assert_uint_eq(call1(neg, 0xffc12345), 0x7fc12345);
	ck_assert_uint_eq(call1(magnitude, 0xffc12345), 0x7fc12345);
	ck_assert_uint_eq(call1(operation(KOP_NEG, DT_F64), 0), 0x8000000000000000u);
}
END_TEST

/* (1 + 2^-12)^2 = 1 + 2^-11 + 2^-24: fused, the last bit would survive. */
START_TEST(multiply_and_add_is_not_fused)
{
	float x = 1 + 0x1p-12f;
	Expr *p, *q;

	for (int swap = 0; swap < 2; swap++) {
		LCode *code;

		loop_begin_scalar(&b, arena, "f", DT_F32);
		p = loop_param(&b, "x", DT_F32);
		q = loop_float(&b, DT_F32, -(1 + 0x1p-11));
		code = NULL;
		loop_return(&b, swap ? loop_add(&b, q, loop_mul(&b, p, p))
		                     : loop_add(&b, loop_mul(&b, p, p), q));
		code = lfunc_compile(arena, loop_finish(&b));
		ck_assert(same_float(float_of(call1(code, bits_of_float(x))), 0.0f));
	}
}
END_TEST

/* ---- Conversions ---- */

static const DType narrow[] = {DT_I8, DT_U8, DT_I16, DT_U16};
static const int64_t lowest[] = {INT8_MIN, 0, INT16_MIN, 0};
static const int64_t highest[] = {INT8_MAX, UINT8_MAX, INT16_MAX, UINT16_MAX};

START_TEST(integers_wrap_to_narrower_ones)
{
	int64_t span = highest[_i] - lowest[_i] + 1;
	LCode *from32 = through(narrow[_i], DT_I32), *from64 = through(narrow[_i], DT_I64);
	LCode *unsigned32 = through(narrow[_i], DT_U32);

	for (int64_t x = -70000; x <= 70000; x++) {
		int64_t expected = ((x - lowest[_i]) % span + span) % span + lowest[_i];

		expect((int64_t)call1(from32, bits_of_int(x)) == expected);
		expect((int64_t)call1(from64, bits_of_int(x)) == expected);
		expect((int64_t)call1(from64, bits_of_int(x + (1ll << 40))) == expected);
		expect(call1(unsigned32, bits_of_int(x)) == (uint32_t)expected);
	}
}
END_TEST

START_TEST(floats_saturate_to_narrow_integers)
{
	LCode *single, *twice;

	loop_begin_scalar(&b, arena, "f", DT_I32);
	loop_return(&b,
		    loop_cvt(&b, DT_I32, loop_cvt(&b, narrow[_i], loop_param(&b, "x", DT_F32))));
	single = lfunc_compile(arena, loop_finish(&b));
	loop_begin_scalar(&b, arena, "f", DT_I32);
	loop_return(&b,
		    loop_cvt(&b, DT_I32, loop_cvt(&b, narrow[_i], loop_param(&b, "x", DT_F64))));
	twice = lfunc_compile(arena, loop_finish(&b));
	for (int k = -280000; k <= 280000; k++) {
		double x = k * 0.25;
		double t = trunc(x);
		int64_t expected = t < (double)lowest[_i]    ? lowest[_i]
		                   : t > (double)highest[_i] ? highest[_i]
		                                             : (int64_t)t;

		expect((int64_t)call1(single, bits_of_float((float)x)) == expected);
		expect((int64_t)call1(twice, bits_of_double(x)) == expected);
	}
	ck_assert_int_eq((int64_t)call1(single, bits_of_float(NAN)), 0);
	ck_assert_int_eq((int64_t)call1(single, bits_of_float(INFINITY)), highest[_i]);
	ck_assert_int_eq((int64_t)call1(single, bits_of_float(-INFINITY)), lowest[_i]);
}
END_TEST

START_TEST(floats_saturate_to_wide_integers)
{
	static const struct {
		double x;
		int64_t i32;
		uint32_t u32;
		int64_t i64;
		uint64_t u64;
	} cases[] = {
		{0.99, 0, 0, 0, 0},
		{-0.99, 0, 0, 0, 0},
		{-1, -1, 0, -1, 0},
		{0x1p31, INT32_MAX, 1u << 31, 1ll << 31, 1ull << 31},
		{-0x1p31, INT32_MIN, 0, -(1ll << 31), 0},
		{0x1p32, INT32_MAX, UINT32_MAX, 1ll << 32, 1ull << 32},
		{0x1p63, INT32_MAX, UINT32_MAX, INT64_MAX, 1ull << 63},
		{-0x1p63, INT32_MIN, 0, INT64_MIN, 0},
		{0x1p64, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX},
		{-1e30, INT32_MIN, 0, INT64_MIN, 0},
		{(double)INFINITY, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX},
		{(double)NAN, 0, 0, 0, 0},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint64_t d = bits_of_double(cases[i].x), f = bits_of_float((float)cases[i].x);

		ck_assert_int_eq((int64_t)call1(conversion(DT_I32, DT_F64), d), cases[i].i32);
		ck_assert_int_eq((int64_t)call1(conversion(DT_I32, DT_F32), f), cases[i].i32);
		ck_assert_uint_eq(call1(conversion(DT_U32, DT_F64), d), cases[i].u32);
		ck_assert_uint_eq(call1(conversion(DT_U32, DT_F32), f), cases[i].u32);
		ck_assert_int_eq((int64_t)call1(conversion(DT_I64, DT_F64), d), cases[i].i64);
		ck_assert_int_eq((int64_t)call1(conversion(DT_I64, DT_F32), f), cases[i].i64);
		ck_assert_uint_eq(call1(conversion(DT_U64, DT_F64), d), cases[i].u64);
		ck_assert_uint_eq(call1(conversion(DT_U64, DT_F32), f), cases[i].u64);
	}
}
END_TEST

START_TEST(integers_round_to_float)
{
	LCode *i32 = conversion(DT_F32, DT_I32), *u32 = conversion(DT_F32, DT_U32);
	LCode *i64 = conversion(DT_F32, DT_I64), *u64 = conversion(DT_F32, DT_U64);

	for (int i = 0; i < NINTS; i++) {
		int64_t x = ints[i];

		ck_assert(same_float(float_of(call1(i32, bits_of_int(x))), (float)(int32_t)x));
		ck_assert(same_float(float_of(call1(u32, bits_of_int(x))), (float)(uint32_t)x));
		ck_assert(same_float(float_of(call1(i64, bits_of_int(x))), (float)x));
		ck_assert(same_float(float_of(call1(u64, bits_of_int(x))), (float)(uint64_t)x));
	}
}
END_TEST

/* All halves through a kernel that loads, converts, converts back and stores. */
START_TEST(every_half_survives_a_kernel)
{
	DType t = _i ? DT_BF16 : DT_F16;
	static uint16_t in[65536], out[65536];
	static float wide[65536];
	LBuf *x, *y, *z;
	Expr *i;

	for (int k = 0; k < 65536; k++)
		in[k] = (uint16_t)k;
	loop_begin(&b, arena, "halves");
	x = loop_buf(&b, "x", t, 65536, LBUF_IN, NULL);
	y = loop_buf(&b, "y", t, 65536, LBUF_OUT, NULL);
	z = loop_buf(&b, "z", DT_F32, 65536, LBUF_OUT, NULL);
	i = loop_for(&b, "i", 0, 65536);
	loop_store_cvt(&b, y, i, loop_load_compute(&b, x, i));
	loop_store_cvt(&b, z, i, loop_load(&b, x, i));
	loop_end(&b);
	lfunc_run(arena, loop_finish(&b), (void *[]){in, out, wide});
	for (int k = 0; k < 65536; k++) {
		float f = _i ? num_bfloat_to_float(in[k]) : num_half_to_float(in[k]);

		expect(same_float(wide[k], f));
		expect(out[k] == in[k] || isnan(f));
	}
}
END_TEST

START_TEST(copies_keep_the_bits_of_halves)
{
	uint16_t in = 0x7d01, out = 0; /* a NaN with a payload */
	LBuf *x, *y;

	loop_begin(&b, arena, "copy");
	x = loop_buf(&b, "x", DT_F16, 1, LBUF_IN, NULL);
	y = loop_buf(&b, "y", DT_F16, 1, LBUF_OUT, NULL);
	loop_store(&b, y, loop_idx(&b, 0), loop_load(&b, x, loop_idx(&b, 0)));
	lfunc_run(arena, loop_finish(&b), (void *[]){&in, &out});
	ck_assert_uint_eq(out, in);
}
END_TEST

/* Just above the middle of two halves, by less than a float can say. */
START_TEST(double_to_half_rounds_once)
{
	LCode *f16, *bf16, *i64;

	loop_begin_scalar(&b, arena, "f", DT_F32);
	loop_return(&b, loop_cvt(&b, DT_F32, loop_cvt(&b, DT_F16, loop_param(&b, "x", DT_F64))));
	f16 = lfunc_compile(arena, loop_finish(&b));
	loop_begin_scalar(&b, arena, "f", DT_F32);
	loop_return(&b, loop_cvt(&b, DT_F32, loop_cvt(&b, DT_BF16, loop_param(&b, "x", DT_F64))));
	bf16 = lfunc_compile(arena, loop_finish(&b));
	loop_begin_scalar(&b, arena, "f", DT_F32);
	loop_return(&b, loop_cvt(&b, DT_F32, loop_cvt(&b, DT_BF16, loop_param(&b, "x", DT_I64))));
	i64 = lfunc_compile(arena, loop_finish(&b));
	ck_assert(same_float(float_of(call1(f16, bits_of_double(1 + 0x1p-11))), 1.0f));
	ck_assert(same_float(float_of(call1(f16, bits_of_double(1 + 0x1p-11 + 0x1p-40))),
			     1 + 0x1p-10f));
	ck_assert(same_float(float_of(call1(f16, bits_of_double(1 + 0x3p-11 - 0x1p-40))),
			     1 + 0x1p-10f));
	ck_assert(same_float(float_of(call1(f16, bits_of_double(1e300))), INFINITY));
	ck_assert(same_float(float_of(call1(bf16, bits_of_double(1 + 0x1p-8 + 0x1p-40))),
			     1 + 0x1p-7f));
	ck_assert(same_float(float_of(call1(i64, (1ull << 62) + (1ull << 54) + 1)),
	                     0x1p62f + 0x1p55f));
	ck_assert(same_float(float_of(call1(i64, (1ull << 62) + (1ull << 54))), 0x1p62f));
}
END_TEST

/* ---- Statements ---- */

/* y[i] = the sum of x[k] for k < i, k % 2 == 1, with a loop whose bound varies. */
START_TEST(loops_and_conditions_nest)
{
	int32_t x[10], y[10];
	LBuf *in, *out;
	LVar *sum;
	Expr *i, *k;

	loop_begin(&b, arena, "sums");
	in = loop_buf(&b, "x", DT_I32, 10, LBUF_IN, NULL);
	out = loop_buf(&b, "y", DT_I32, 10, LBUF_OUT, NULL);
	i = loop_for(&b, "i", 0, 10);
	sum = loop_var(&b, "sum", loop_int(&b, DT_I32, 0));
	k = loop_for_expr(&b, "k", loop_idx(&b, 0), i);
	loop_if(&b,
		loop_op2(&b, KOP_EQ, loop_op2(&b, KOP_REM, k, loop_idx(&b, 2)), loop_idx(&b, 1)));
	loop_set(&b, sum, loop_add(&b, loop_get(&b, sum), loop_load(&b, in, k)));
	loop_else(&b);
	loop_set(&b, sum, loop_add(&b, loop_get(&b, sum), loop_int(&b, DT_I32, 1000)));
	loop_end(&b);
	loop_end(&b);
	loop_store(&b, out, i, loop_get(&b, sum));
	loop_end(&b);
	for (int n = 0; n < 10; n++)
		x[n] = n * n + 1;
	lfunc_run(arena, loop_finish(&b), (void *[]){x, y});
	for (int n = 0; n < 10; n++) {
		int expected = 0;

		for (int m = 0; m < n; m++)
			expected += m % 2 ? x[m] : 1000;
		ck_assert_int_eq(y[n], expected);
	}
}
END_TEST

START_TEST(a_loop_stops_when_its_condition_fails)
{
	int32_t x[8] = {5, 6, 7, 0, 9, 9, 9, 9}, y = 0;
	LBuf *in, *out;
	LVar *go, *n;
	Expr *i;

	loop_begin(&b, arena, "find");
	in = loop_buf(&b, "x", DT_I32, 8, LBUF_IN, NULL);
	out = loop_buf(&b, "y", DT_I32, 1, LBUF_OUT, NULL);
	go = loop_var(&b, "go", loop_bool(&b, true));
	n = loop_var(&b, "n", loop_int(&b, DT_I32, 0));
	i = loop_for_while(&b, "i", 0, 8, loop_get(&b, go));
	loop_set(&b, n, loop_add(&b, loop_get(&b, n), loop_int(&b, DT_I32, 1)));
	loop_set(&b, go, loop_op2(&b, KOP_NE, loop_load(&b, in, i), loop_int(&b, DT_I32, 0)));
	loop_end(&b);
	loop_store(&b, out, loop_idx(&b, 0), loop_get(&b, n));
	lfunc_run(arena, loop_finish(&b), (void *[]){x, &y});
	ck_assert_int_eq(y, 4);
}
END_TEST

START_TEST(a_loop_over_nothing_runs_never)
{
	int32_t y = 7;
	LBuf *out;

	loop_begin(&b, arena, "nothing");
	out = loop_buf(&b, "y", DT_I32, 1, LBUF_OUT, NULL);
	loop_for(&b, "i", 3, 3);
	loop_store(&b, out, loop_idx(&b, 0), loop_int(&b, DT_I32, 1));
	loop_end(&b);
	loop_for(&b, "j", 3, -3);
	loop_store(&b, out, loop_idx(&b, 0), loop_int(&b, DT_I32, 2));
	loop_end(&b);
	lfunc_run(arena, loop_finish(&b), (void *[]){&y});
	ck_assert_int_eq(y, 7);
}
END_TEST

START_TEST(a_loop_may_end_at_the_largest_index)
{
	int32_t y = 0;
	LBuf *out;
	LVar *n;

	loop_begin(&b, arena, "far");
	out = loop_buf(&b, "y", DT_I32, 1, LBUF_OUT, NULL);
	n = loop_var(&b, "n", loop_int(&b, DT_I32, 0));
	loop_for_step(&b, "i", INT32_MAX - 10, INT32_MAX, 7);
	loop_set(&b, n, loop_add(&b, loop_get(&b, n), loop_int(&b, DT_I32, 1)));
	loop_end(&b);
	loop_store(&b, out, loop_idx(&b, 0), loop_get(&b, n));
	lfunc_run(arena, loop_finish(&b), (void *[]){&y});
	ck_assert_int_eq(y, 2);
}
END_TEST

/* A named value keeps what a variable was when it was named, also when it is
 * only another view of the variable's bits. */
START_TEST(a_named_value_does_not_follow_its_variable)
{
	uint64_t args[] = {5};
	Expr *first, *same;
	LVar *v;

	loop_begin_scalar(&b, arena, "f", DT_U32);
	v = loop_var(&b, "v", loop_param(&b, "x", DT_U32));
	first = loop_let(&b, "first", loop_get(&b, v));
	same = loop_let(&b, "same", loop_bits(&b, DT_I32, loop_get(&b, v)));
	loop_set(&b, v, loop_int(&b, DT_U32, 100));
	loop_return(&b, loop_add(&b, loop_mul(&b, first, loop_int(&b, DT_U32, 10)),
	                         loop_bits(&b, DT_U32, same)));
	ck_assert_uint_eq(lfunc_call(arena, loop_finish(&b), args), 55);
}
END_TEST

/* A load guarded by a condition does not happen when that is false. */
START_TEST(select_loads_only_what_it_chooses)
{
	float x[3] = {1, 2, 3}, y[7];
	LBuf *in, *out;
	Expr *i, *k, *inside;

	loop_begin(&b, arena, "pad");
	in = loop_buf(&b, "x", DT_F32, 3, LBUF_IN, NULL);
	out = loop_buf(&b, "y", DT_F32, 7, LBUF_OUT, NULL);
	i = loop_for(&b, "i", 0, 7);
	k = loop_sub(&b, i, loop_idx(&b, 2));
	inside = loop_op2(&b, KOP_AND, loop_op2(&b, KOP_GE, k, loop_idx(&b, 0)),
	                  loop_op2(&b, KOP_LT, k, loop_idx(&b, 3)));
	loop_store(&b, out, i,
	           loop_select(&b, inside, loop_load(&b, in, k), loop_float(&b, DT_F32, -1)));
	loop_end(&b);
	lfunc_run(arena, loop_finish(&b), (void *[]){x, y});
	for (int n = 0; n < 7; n++)
		ck_assert(same_float(y[n], n >= 2 && n < 5 ? x[n - 2] : -1));
}
END_TEST

START_TEST(scratch_tables_and_constant_inputs_need_no_memory)
{
	static const int16_t table[] = {10, 20, 30}, constant[] = {1, 2, 3};
	int16_t y[3];
	LBuf *t, *x, *s, *out;
	Expr *i;

	loop_begin(&b, arena, "sum");
	x = loop_buf(&b, "x", DT_I16, 3, LBUF_IN, constant);
	out = loop_buf(&b, "y", DT_I16, 3, LBUF_OUT, NULL);
	s = loop_buf(&b, "s", DT_I32, 3, LBUF_SCRATCH, NULL);
	t = loop_buf(&b, "t", DT_I16, 3, LBUF_TABLE, table);
	i = loop_for(&b, "i", 0, 3);
	loop_store(&b, s, i,
		   loop_add(&b, loop_load_compute(&b, x, i), loop_load_compute(&b, t, i)));
	loop_end(&b);
	i = loop_for(&b, "k", 0, 3);
	loop_store_cvt(&b, out, i, loop_load(&b, s, i));
	loop_end(&b);
	lfunc_run(arena, loop_finish(&b), (void *[]){NULL, y, NULL, NULL});
	for (int n = 0; n < 3; n++)
		ck_assert_int_eq(y[n], table[n] + constant[n]);
}
END_TEST

START_TEST(running_stops_when_the_allowance_is_used_up)
{
	int64_t enough = 100, scarce = 99;
	int8_t y;
	LBuf *out;
	LCode *code;

	loop_begin(&b, arena, "count");
	out = loop_buf(&b, "y", DT_I8, 1, LBUF_OUT, NULL);
	loop_for(&b, "i", 0, 100);
	loop_store(&b, out, loop_idx(&b, 0), loop_int(&b, DT_I8, 1));
	loop_end(&b);
	code = lfunc_compile(arena, loop_finish(&b));
	ck_assert(lcode_run_within(code, (void *[]){&y}, &enough));
	ck_assert_int_eq(enough, 0);
	ck_assert(!lcode_run_within(code, (void *[]){&y}, &scarce));
	ck_assert_int_eq(scarce, 0);
}
END_TEST

/* ---- Packed operations ---- */

START_TEST(packed_operations_have_their_definitions)
{
	static const struct {
		POp op;
		int64_t a, b, c, want;
	} of[] = {
		{POP_DOT2, 0x0003fffe, 0x00050007, 100, 3 * 5 - 2 * 7 + 100},
		{POP_DOT2, 0x80008000, 0x80008000, 0, INT32_MIN},
		{POP_DOT2, 0x00010000, 0x00010000, INT32_MAX, INT32_MIN},
		{POP_MAC_BB, 0x7fffffff, 0x1234fffe, 5, 7},
		{POP_MAC_TT, 0xffff1234, 0x00105678, 5, -11},
		{POP_MAC_TB, 0xffff1234, 0x00100005, 5, 0},
		{POP_EVEN8, 0x7f80ff01, 0, 0, 0xff800001},
		{POP_ODD8, 0x7f80ff01, 0, 0, 0x007fffff},
		{POP_PACK_LO, 0x11112222, 0x33334444, 0, 0x44442222},
		{POP_PACK_HI, 0x11112222, 0x33334444, 0, 0x33331111},
		{POP_ADD2, 0x7fffffff, 0x00010001, 0, 0x80000000},
		{POP_SUB2, 0x80000000, 0x00010001, 0, 0x7fffffff},
		{POP_MULH, -1, 1, 0, -1},
		{POP_MULH, INT32_MIN, INT32_MIN, 0, 0x40000000},
		{POP_MULH_ROUND, 0x40000000, 2, 0, 1},
		{POP_MULH_ROUND, -0x40000000, 2, 0, 0},
		{POP_MULH_ROUND, -0x40000000, 3, 0, -1},
		{POP_MULH_ROUND_ADD, -0x40000000, 3, -7, -8},
		{POP_MULH_ROUND_ADD, 0x40000000, 2, INT32_MAX, INT32_MIN},
		{POP_MULH_WIDE, 0x10000, 0x30000, 0, 3},
		{POP_MULH_WIDE, -1, 1, 0, -1},
		{POP_MULH_WIDE, -1, 1, 1, 0},
		{POP_MULH_WIDE, 0x10000, -0x30000, -5, -5},
		{POP_MULH_WIDE, INT32_MIN, INT32_MIN, INT32_MIN, 0x20000000},
		{POP_MULH_TWICE, 0x40000000, 1, 0, 1},
		{POP_MULH_TWICE, -0x40000000, 1, 0, 0},
		{POP_MULH_TWICE, -0x40000000, 2, 0, -1},
		{POP_MULH_TWICE, INT32_MIN, INT32_MAX, 0, -INT32_MAX},
		{POP_MULH_TWICE, INT32_MIN, INT32_MIN, 0, INT32_MAX},
		{POP_SAT8, 127, 0, 0, 127},
		{POP_SAT8, 128, 0, 0, 127},
		{POP_SAT8, INT32_MIN, 0, 0, -128},
		{POP_KEEP, -5, 0, 0, -5},
	};

	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		const POpInfo *info = &pop_info[of[i].op];
		Expr *arg[MAX_POP_ARGS] = {NULL};
		const int64_t value[] = {of[i].a, of[i].b, of[i].c};

		loop_begin_scalar(&b, arena, "f", DT_I32);
		for (int k = 0; k < info->nargs; k++)
			arg[k] = loop_int(&b, DT_I32, value[k]);
		loop_return(&b, loop_packed(&b, of[i].op, arg[0], arg[1], arg[2]));
		ck_assert_msg((int32_t)lfunc_call(arena, loop_finish(&b), NULL) ==
		                      (int32_t)(uint32_t)of[i].want,
		              "%s, case %zu", info->name, i);
	}
}
END_TEST

START_TEST(wide_loads_take_the_first_element_lowest)
{
	static const int8_t x[] = {9, -1, 2, -3, 4};
	static const int16_t z[] = {7, -2, 3};
	int32_t y[2];
	LBuf *in, *halves, *out;

	loop_begin(&b, arena, "wide");
	in = loop_buf(&b, "x", DT_I8, 5, LBUF_IN, NULL);
	halves = loop_buf(&b, "z", DT_I16, 3, LBUF_IN, NULL);
	out = loop_buf(&b, "y", DT_I32, 2, LBUF_OUT, NULL);
	loop_store(&b, out, loop_idx(&b, 0), loop_load_wide(&b, in, loop_idx(&b, 1)));
	loop_store(&b, out, loop_idx(&b, 1), loop_load_wide(&b, halves, loop_idx(&b, 1)));
	ck_assert_ptr_null(lfunc_verify(loop_finish(&b)));
	lfunc_run(arena, loop_finish(&b), (void *[]){(void *)(uintptr_t)x, (void *)(uintptr_t)z, y});
	ck_assert_uint_eq((uint32_t)y[0], 0x04fd02ff);
	ck_assert_uint_eq((uint32_t)y[1], 0x0003fffe);
}
END_TEST

/* A store takes effect after all loads of its value. */
START_TEST(vectors_are_computed_lane_by_lane)
{
	static const int8_t x[] = {1, -2, 3, -4, 5, 6, 7, 8};
	int32_t y[5] = {10, 20, 30, 40, 50};
	LBuf *in, *out;
	Expr *v;
	LVar *sum;

	loop_begin(&b, arena, "vectors");
	in = loop_buf(&b, "x", DT_I8, 8, LBUF_IN, NULL);
	out = loop_buf(&b, "y", DT_I32, 5, LBUF_OUT, NULL);
	v = loop_cvt(&b, DT_I32, loop_load_lanes(&b, in, loop_idx(&b, 0), 4));
	v = loop_let(&b, "v", loop_mul(&b, v, loop_splat(&b, loop_int(&b, DT_I32, 100), 4)));
	sum = loop_var(&b, "sum", v);
	loop_set(&b, sum, loop_add(&b, loop_get(&b, sum), loop_get(&b, sum)));
	loop_store(&b, out, loop_idx(&b, 0), loop_get(&b, sum));
	loop_store(&b, out, loop_idx(&b, 1), loop_load_lanes(&b, out, loop_idx(&b, 0), 4));
	v = loop_load_wide_lanes(&b, in, loop_idx(&b, 0), 2);
	loop_store(&b, out, loop_idx(&b, 3), loop_packed(&b, POP_EVEN8, v, NULL, NULL));
	ck_assert_ptr_null(lfunc_verify(loop_finish(&b)));
	lfunc_run(arena, loop_finish(&b), (void *[]){(void *)(uintptr_t)x, y});
	ck_assert_int_eq(y[0], 200);
	ck_assert_int_eq(y[1], 200);
	ck_assert_int_eq(y[2], -400);
	ck_assert_uint_eq((uint32_t)y[3], 0x00030001);
	ck_assert_uint_eq((uint32_t)y[4], 0x00070005);
}
END_TEST

/* ---- Calls ---- */

static Expr *
call(const LFunc *callee, Expr *x, Expr *y)
{
	Expr *e = ARENA_NEW(arena, Expr);

	e->kind = E_CALL;
	e->type = callee->result;
	memcpy(&e->u.callee, &callee, sizeof callee);
	e->nargs = y ? 2 : 1;
	e->arg[0] = x;
	e->arg[1] = y;
	return e;
}

/* sub(sub(a, b), sub(b, a)) and returns out of a loop. */
START_TEST(calls_nest_and_return_from_loops)
{
	uint64_t args[] = {50, 8};
	Expr *x, *y, *i;
	LFunc *sub, *f;

	loop_begin_scalar(&b, arena, "sub", DT_I32);
	x = loop_param(&b, "x", DT_I32);
	y = loop_param(&b, "y", DT_I32);
	i = loop_for(&b, "i", 0, 1000000);
	loop_if(&b, loop_op2(&b, KOP_EQ, i, loop_idx(&b, 3)));
	loop_return(&b, loop_sub(&b, x, y));
	loop_end(&b);
	loop_end(&b);
	loop_return(&b, loop_int(&b, DT_I32, -1));
	sub = loop_finish(&b);
	loop_begin_scalar(&b, arena, "f", DT_I32);
	x = loop_param(&b, "x", DT_I32);
	y = loop_param(&b, "y", DT_I32);
	loop_return(&b, loop_add(&b, call(sub, call(sub, x, y), call(sub, y, x)), call(sub, x, y)));
	f = loop_finish(&b);
	ck_assert_int_eq((int64_t)lfunc_call(arena, f, args), 42 + 42 + 42);
}
END_TEST

/* A random expression tree over loop variables, loads and a running variable gives
 * what evaluating it in C gives: whatever moves out of loops keeps its value. */
static uint32_t seed;

static uint32_t
random_below(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

typedef struct {
	Expr *at[3], *named[3];
	LVar *sum;
	LBuf *in;
} Scope;

static Expr *
random_expr(const Scope *s, int depth)
{
	static const KOp ops[] = {KOP_ADD, KOP_SUB, KOP_MUL, KOP_ADD,
				  KOP_MUL, KOP_XOR, KOP_MIN, KOP_DIV};
	uint32_t leaf = random_below(5);
	Expr *e;

	if (depth == 0 || random_below(5) == 0) {
		switch (leaf) {
		case 0: return loop_int(&b, DT_I32, (int64_t)random_below(9) - 4);
		case 1: return loop_get(&b, s->sum);
		case 2: return s->named[random_below(3)];
		case 3: return loop_load(&b, s->in, s->at[random_below(3)]);
		default: return loop_cvt(&b, DT_I32, s->at[random_below(3)]);
		}
	}
	e = random_expr(s, depth - 1);
	if (random_below(6) == 0)
		return loop_select(&b, loop_op2(&b, KOP_LT, e, random_expr(s, depth - 1)),
		                   random_expr(s, depth - 1), random_expr(s, depth - 1));
	return loop_op2(&b, ops[random_below(8)], e, random_expr(s, depth - 1));
}

typedef struct {
	int32_t at[3], named[3], sum;
	const int32_t *in;
	const LVar *vars[8]; /* of the three indices, three names and the sum */
} State;

static int32_t
evaluate(const State *s, const Expr *e)
{
	int64_t x = e->nargs > 0 ? evaluate(s, e->arg[0]) : 0;

	switch (e->kind) {
	case E_CONST: return (int32_t)e->u.i;
	case E_VAR:
		for (int i = 0; i < 3; i++) {
			if (s->vars[i] == e->u.var)
				return s->at[i];
			if (s->vars[3 + i] == e->u.var)
				return s->named[i];
		}
		return s->sum;
	case E_LOAD: return s->in[x];
	case E_KOP:
		return (int32_t)int_result(e->op, DT_I32, x, evaluate(s, e->arg[1]));
	case E_SELECT: return evaluate(s, e->arg[x ? 1 : 2]);
	case E_CVT: return (int32_t)x;
	case E_BITS:
	case E_PACKED:
	case E_DOT:
	case E_SPLAT:
	case E_CALL: break;
	}
	ck_abort();
}

START_TEST(values_that_move_out_of_loops_keep_their_meaning)
{
	static const int32_t in[4] = {3, -7, 100000, 12345};
	int32_t result = 0;
	Expr *name[3], *step, *guard;
	Scope s = {0};
	State at = {.in = in};
	LBuf *out;

	seed = (uint32_t)_i;
	loop_begin(&b, arena, "random");
	s.in = loop_buf(&b, "x", DT_I32, 4, LBUF_IN, NULL);
	out = loop_buf(&b, "y", DT_I32, 1, LBUF_OUT, NULL);
	s.sum = loop_var(&b, "sum", loop_int(&b, DT_I32, 1));
	for (int i = 0; i < 3; i++)
		s.at[i] = s.named[i] = loop_idx(&b, 0);
	for (int i = 0; i < 3; i++)
		s.named[i] = loop_int(&b, DT_I32, i);
	for (int i = 0; i < 3; i++) {
		s.at[i] = loop_for(&b, "i", 0, 4);
		name[i] = random_expr(&s, 3);
		s.named[i] = loop_let(&b, "n", name[i]);
		at.vars[i] = s.at[i]->u.var;
		at.vars[3 + i] = s.named[i]->kind == E_VAR ? s.named[i]->u.var : NULL;
	}
	guard = loop_op2(&b, KOP_LT, random_expr(&s, 2), random_expr(&s, 2));
	step = random_expr(&s, 4);
	loop_if(&b, guard);
	loop_set(&b, s.sum, step);
	loop_end(&b);
	for (int i = 0; i < 3; i++)
		loop_end(&b);
	loop_store(&b, out, loop_idx(&b, 0), loop_get(&b, s.sum));
	lfunc_run(arena, loop_finish(&b), (void *[]){arena_copy(arena, in, sizeof in), &result});

	at.sum = 1;
	for (at.at[0] = 0; at.at[0] < 4; at.at[0]++) {
		at.named[0] = evaluate(&at, name[0]);
		for (at.at[1] = 0; at.at[1] < 4; at.at[1]++) {
			at.named[1] = evaluate(&at, name[1]);
			for (at.at[2] = 0; at.at[2] < 4; at.at[2]++) {
				at.named[2] = evaluate(&at, name[2]);
				if (evaluate(&at, guard))
					at.sum = evaluate(&at, step);
			}
		}
	}
	ck_assert_int_eq(result, at.sum);
}
END_TEST

/* Each function of a program finds its own. */
START_TEST(functions_may_have_tables)
{
	static const char text[] =
		"func @odd(%i: i32, %t: i16[3] table = {1, 3, 5}) -> i32 {\n"
		"  return cvt.i32(%t[cvt.idx(min(max(%i, 0:i32), 2:i32))])\n"
		"}\n"
		"func @prime(%i: i32, %t: i32[3] table = {20, 30, 50}, %u: i32[1] table = {700}) "
		"-> i32 {\n"
		"  return %t[cvt.idx(min(max(%i, 0:i32), 2:i32))] + odd(%i) + %u[0]\n"
		"}\n"
		"kernel @k(%x: i32[3] in, %t: i32[3] table = {1000, 2000, 3000}, %y: i32[3] out) "
		"{\n"
		"  for %i in 0..3 {\n"
		"    %y[%i] = %t[%i] + prime(%x[%i]) + odd(%x[2 - %i])\n"
		"  }\n"
		"}\n";
	int32_t x[3] = {2, 1, 0}, y[3] = {0};
	LFuncs all = {0};

	ck_assert(lfunc_parse(arena, "t.lir", text, sizeof text - 1, &all, &diag));
	for (int i = 0; i < 3; i++)
		ck_assert_ptr_null(lfunc_verify(all.v[i]));
	lfunc_run(arena, all.v[2], (void *[]){x, NULL, y});
	ck_assert_int_eq(y[0], 1000 + 750 + 5 + 1);
	ck_assert_int_eq(y[1], 2000 + 730 + 3 + 3);
	ck_assert_int_eq(y[2], 3000 + 720 + 1 + 5);
	ck_assert_int_eq((int64_t)call1(lfunc_compile(arena, all.v[1]), 1), 733);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("interp");
	TCase *tc = tcase_create("interp");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, integer_operations_wrap_around_and_are_total, 0, 4 * KOP_COUNT);
	tcase_add_test(tc, bool_operations_have_only_two_results);
	tcase_add_loop_test(tc, float_operations_round_once_and_order_nan, 0, KOP_COUNT);
	tcase_add_test(tc, negation_and_magnitude_keep_the_payload_of_nan);
	tcase_add_test(tc, multiply_and_add_is_not_fused);
	tcase_add_test(tc, functions_may_have_tables);
	tcase_add_loop_test(tc, integers_wrap_to_narrower_ones, 0, 4);
	tcase_add_loop_test(tc, floats_saturate_to_narrow_integers, 0, 4);
	tcase_add_test(tc, floats_saturate_to_wide_integers);
	tcase_add_test(tc, integers_round_to_float);
	tcase_add_loop_test(tc, every_half_survives_a_kernel, 0, 2);
	tcase_add_test(tc, copies_keep_the_bits_of_halves);
	tcase_add_test(tc, double_to_half_rounds_once);
	tcase_add_test(tc, loops_and_conditions_nest);
	tcase_add_test(tc, a_loop_stops_when_its_condition_fails);
	tcase_add_test(tc, a_loop_over_nothing_runs_never);
	tcase_add_test(tc, a_loop_may_end_at_the_largest_index);
	tcase_add_test(tc, a_named_value_does_not_follow_its_variable);
	tcase_add_test(tc, select_loads_only_what_it_chooses);
	tcase_add_test(tc, scratch_tables_and_constant_inputs_need_no_memory);
	tcase_add_test(tc, packed_operations_have_their_definitions);
	tcase_add_test(tc, wide_loads_take_the_first_element_lowest);
	tcase_add_test(tc, vectors_are_computed_lane_by_lane);
	tcase_add_test(tc, running_stops_when_the_allowance_is_used_up);
	tcase_add_test(tc, calls_nest_and_return_from_loops);
	tcase_add_loop_test(tc, values_that_move_out_of_loops_keep_their_meaning, 0, 2000);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
