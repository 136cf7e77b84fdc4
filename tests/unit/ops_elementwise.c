/*
 * Elementwise operators: functions against the C library, integers over the
 * whole domain of 8 bits, broadcasting against a direct computation of places.
 */
#include <stdbool.h>
#include <string.h>

#include "tests/unit/run_node.h"

/* ---- Functions of one float ---- */

static double
sign(double x)
{
	return x > 0 ? 1 : x < 0 ? -1 : x;
}

static double
reciprocal(double x)
{
	return 1 / x;
}

static double
sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

static double
softplus(double x)
{
	return log1p(exp(x));
}

static double
softsign(double x)
{
	return x / (1 + fabs(x));
}

static double
relu(double x)
{
	return x > 0 ? x : 0;
}

static double
leaky_relu(double x)
{
	return x < 0 ? 0.01 * x : x;
}

static double
elu(double x)
{
	return x < 0 ? expm1(x) : x;
}

static double
selu(double x)
{
	return 1.05070102214813232421875 * (x > 0 ? x : 1.67326319217681884765625 * expm1(x));
}

static double
celu(double x)
{
	return fmax(x, 0) + fmin(expm1(x), 0);
}

static double
thresholded_relu(double x)
{
	return x > 1 ? x : 0;
}

static double
hard_sigmoid(double x)
{
	return fmin(fmax(0.2 * x + 0.5, 0), 1);
}

static double
hard_swish(double x)
{
	return x * fmin(fmax(x / 6 + 0.5, 0), 1);
}

static double
gelu(double x)
{
	return 0.5 * x * (1 + erf(x / sqrt(2)));
}

static double
mish(double x)
{
	return x * tanh(softplus(x));
}

static double
rsqrt(double x)
{
	return 1 / sqrt(x);
}

static double
shrink(double x)
{
	return fabs(x) > 0.5 ? x : 0;
}

static const struct {
	Op op;
	double (*f)(double);
	double lo, hi;
} functions[] = {
	{OP_ABS, fabs, -9, 9},
	{OP_SIGN, sign, -2, 2},
	{OP_FLOOR, floor, -5, 5},
	{OP_CEIL, ceil, -5, 5},
	{OP_TRUNC, trunc, -5, 5},
	{OP_ROUND, rint, -5, 5},
	{OP_SQRT, sqrt, 0, 100},
	{OP_RSQRT, rsqrt, 0.1, 50},
	{OP_RECIPROCAL, reciprocal, 0.5, 9},
	{OP_EXP, exp, -10, 3},
	{OP_LOG, log, 0.1, 50},
	{OP_SIN, sin, -9, 9},
	{OP_COS, cos, -9, 9},
	{OP_TAN, tan, -1.5, 1.5},
	{OP_ASIN, asin, -1, 1},
	{OP_ACOS, acos, -1, 1},
	{OP_ATAN, atan, -9, 9},
	{OP_SINH, sinh, -3, 3},
	{OP_COSH, cosh, -3, 3},
	{OP_TANH, tanh, -9, 9},
	{OP_ASINH, asinh, -9, 9},
	{OP_ACOSH, acosh, 1, 9},
	{OP_ATANH, atanh, -0.9, 0.9},
	{OP_ERF, erf, -4, 4},
	{OP_SIGMOID, sigmoid, -9, 9},
	{OP_SOFTPLUS, softplus, -9, 9},
	{OP_SOFTSIGN, softsign, -9, 9},
	{OP_RELU, relu, -9, 9},
	{OP_LEAKY_RELU, leaky_relu, -9, 9},
	{OP_ELU, elu, -9, 9},
	{OP_SELU, selu, -9, 9},
	{OP_CELU, celu, -9, 9},
	{OP_THRESHOLDED_RELU, thresholded_relu, -9, 9},
	{OP_HARD_SIGMOID, hard_sigmoid, -9, 9},
	{OP_HARD_SWISH, hard_swish, -9, 9},
	{OP_GELU, gelu, -5, 5},
	{OP_MISH, mish, -9, 9},
	{OP_SHRINK, shrink, -2, 2},
};
enum { FUNCTIONS = sizeof functions / sizeof functions[0], POINTS = 1001 };

SWEEP(functions_agree_with_the_c_library, FUNCTIONS)
{
	static const struct {
		DType t;
		double tolerance;
	} types[] = {{DT_F32, 2e-6}, {DT_F64, 1e-13}, {DT_F16, 1e-3}, {DT_BF16, 8e-3}};
	double x[POINTS], y[POINTS];

	for (int k = 0; k < 4; k++) {
		Run r;

		run_begin(&r);
		for (int i = 0; i < POINTS; i++) {
			double lo = functions[_i].lo, hi = functions[_i].hi;

			x[i] = rounded(types[k].t, lo + (hi - lo) * i / (POINTS - 1));
			y[i] = functions[_i].f(x[i]);
		}
		run_numbers(&r, types[k].t, DIMS(POINTS), x);
		run_node(&r, functions[_i].op, 1);
		run_compute(&r);
		expect_close(&r, 0, y, types[k].tolerance);
		run_end(&r);
	}
}

static void
expect_one(Run *r, double expected)
{
	double got;

	run_compute(r);
	got = run_output(r, 0)[0];
	if (!(got == expected || (isnan(got) && isnan(expected))))
		ck_abort_msg("%s gives %g, not %g", op_info[r->node->op].name, got, expected);
}

START_TEST(gelu_with_tanh_is_the_approximation)
{
	for (double x = -4; x <= 4; x += 0.25) {
		Attr_GELU *a;
		Run r;
		double y = 0.5 * x *
		           (1 + tanh(sqrt(2 / 3.14159265358979) * (x + 0.044715 * x * x * x)));

		run_begin(&r);
		run_numbers(&r, DT_F64, 0, NULL, &x);
		a = run_node(&r, OP_GELU, 1);
		a->approximate = GELU_tanh;
		run_compute(&r);
		expect_close(&r, 0, &y, 1e-12);
		run_end(&r);
	}
}
END_TEST

START_TEST(nan_passes_through)
{
	static const Op ops[] = {OP_NEG,   OP_ABS,   OP_SIGN,      OP_RELU,
	                         OP_CLAMP, OP_FLOOR, OP_LEAKY_RELU};
	double x = NOT_A_NUMBER;

	for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
		Run r;

		run_begin(&r);
		run_numbers(&r, DT_F32, DIMS(1), &x);
		run_node(&r, ops[i], 1);
		if (ops[i] == OP_CLAMP)
			*(Attr_CLAMP *)r.node->attr = (Attr_CLAMP){.lo = -1, .hi = 1};
		expect_one(&r, NOT_A_NUMBER);
		run_end(&r);
	}
}
END_TEST

/* Also when one operand is a constant, where the check may be left out. */
SWEEP(the_extremum_of_nan_is_nan, 32)
{
	double x[2] = {_i & 1 ? NOT_A_NUMBER : 2, _i & 2 ? NOT_A_NUMBER : 3};
	double expected = _i & 3 ? NOT_A_NUMBER : _i & 4 ? 3 : 2;
	Run r;

	run_begin(&r);
	for (int k = 0; k < 2; k++) {
		run_numbers(&r, DT_F32, DIMS(1), &x[k]);
		if (_i >> (3 + k) & 1)
			r.in[k]->data = r.data[k];
	}
	run_node(&r, _i & 4 ? OP_MAX : OP_MIN, 1);
	expect_one(&r, expected);
	run_end(&r);
}

START_TEST(infinities_and_nan_are_told_apart)
{
	static const double x[] = {HUGE_VAL, -HUGE_VAL, 0, 1e38};
	double nan = NOT_A_NUMBER;

	for (int mode = 0; mode < 4; mode++) {
		for (int i = 0; i < 5; i++) {
			Attr_IS_INF *a;
			Run r;

			run_begin(&r);
			run_numbers(&r, DT_F32, DIMS(1), i < 4 ? &x[i] : &nan);
			a = run_node(&r, OP_IS_INF, 1);
			a->positive = mode & 1;
			a->negative = mode & 2;
			expect_one(&r, (i == 0 && mode & 1) || (i == 1 && mode & 2));
			run_node(&r, OP_IS_NAN, 1);
			expect_one(&r, i == 4);
			run_end(&r);
		}
	}
}
END_TEST

SWEEP(common_powers_are_products, 2)
{
	static const double exponents[] = {2, 3};
	double x = 1.1, p = exponents[_i];
	float v = (float)x;
	Run r;

	run_begin(&r);
	run_numbers(&r, DT_F32, DIMS(1), &x);
	run_numbers(&r, DT_F32, DIMS(1), &p);
	r.in[1]->data = r.data[1];
	run_node(&r, OP_POW, 1);
	expect_one(&r, _i ? (double)(v * v * v) : (double)(v * v));
	run_end(&r);
}

/* ---- Integers ---- */

/* v as a store to `t` keeps it. */
static int64_t
wrapped(DType t, int64_t v)
{
	int64_t storage = 0;

	num_store_int(t, &storage, 0, v);
	return num_load_int(t, &storage, 0);
}

static int64_t
integer_power(int64_t x, int64_t n)
{
	uint64_t p = 1, base = (uint64_t)x;

	if (n < 0)
		return x == 1 ? 1 : x == -1 ? (n % 2 ? -1 : 1) : 0;
	for (; n; n--)
		p *= base;
	return (int64_t)p;
}

static int64_t
floor_mod(int64_t x, int64_t y)
{
	int64_t m = y ? x % y : x;

	return m && (m < 0) != (y < 0) ? m + y : m;
}

static int64_t
square(uint64_t x)
{
	return (int64_t)(x * x);
}

static int64_t
shifted(Op op, DType t, int64_t x, int64_t n)
{
	if (n < 0 || n >= 8 * dtype_info[t].bytes)
		return 0;
	return op == OP_SHL ? (int64_t)((uint64_t)x << n) : x >> n;
}

static int64_t
binary(Op op, DType t, int64_t x, int64_t y)
{
	switch ((int)op) {
	case OP_ADD: return x + y;
	case OP_SUB: return x - y;
	case OP_MUL: return (int64_t)((uint64_t)x * (uint64_t)y);
	case OP_DIV: return y ? x / y : 0;
	case OP_FLOOR_DIV: return y ? (x - floor_mod(x, y)) / y : 0;
	case OP_SQUARED_DIFFERENCE: return square((uint64_t)x - (uint64_t)y);
	case OP_MOD: return floor_mod(x, y);
	case OP_POW: return integer_power(x, y);
	case OP_MIN: return x < y ? x : y;
	case OP_MAX: return x > y ? x : y;
	case OP_PRELU: return x < 0 ? (int64_t)((uint64_t)x * (uint64_t)y) : x;
	case OP_BIT_AND: return x & y;
	case OP_BIT_OR: return x | y;
	case OP_BIT_XOR: return x ^ y;
	case OP_SHL:
	case OP_SHR: return shifted(op, t, x, y);
	case OP_EQUAL: return x == y;
	case OP_LESS: return x < y;
	case OP_LESS_EQUAL: return x <= y;
	case OP_GREATER: return x > y;
	default: return x >= y;
	}
}

static const Op binary_ops[] = {OP_ADD,    OP_SUB,        OP_MUL,     OP_DIV,          OP_MOD,
                                OP_POW,    OP_MIN,        OP_MAX,     OP_PRELU,        OP_BIT_AND,
                                OP_BIT_OR, OP_BIT_XOR,    OP_SHL,     OP_SHR,          OP_EQUAL,
                                OP_LESS,   OP_LESS_EQUAL, OP_GREATER, OP_GREATER_EQUAL,
                                OP_FLOOR_DIV, OP_SQUARED_DIFFERENCE};
enum { BINARY_OPS = sizeof binary_ops / sizeof binary_ops[0] };

static void
expect_pairs(Run *r, Op op)
{
	DType t = r->in[0]->type.dtype, result = r->node->out[0]->type.dtype;
	int32_t n = r->in[0]->type.dim[0], m = r->in[1]->type.dim[1];

	for (int32_t i = 0; i < n; i++) {
		for (int32_t j = 0; j < m; j++) {
			int64_t x = num_load_int(t, r->data[0], (size_t)i);
			int64_t y = num_load_int(t, r->data[1], (size_t)j);
			int64_t got = num_load_int(result, r->result[0], (size_t)(i * m + j));

			if (got != wrapped(result, binary(op, t, x, y)))
				ck_abort_msg("%s of %lld and %lld (%s) gives %lld",
				             op_info[op].name, (long long)x, (long long)y,
				             dtype_info[t].name, (long long)got);
		}
	}
}

SWEEP(all_pairs_of_8_bits_are_right, BINARY_OPS)
{
	for (DType t = DT_I8; t <= DT_U8; t++) {
		Run r;

		run_begin(&r);
		run_zeros(&r, t, DIMS(256, 1));
		run_zeros(&r, t, DIMS(1, 256));
		for (int i = 0; i < 256; i++) {
			num_store_int(t, r.data[0], (size_t)i, t == DT_I8 ? i - 128 : i);
			num_store_int(t, r.data[1], (size_t)i, t == DT_I8 ? i - 128 : i);
		}
		run_node(&r, binary_ops[_i], 1);
		run_compute(&r);
		expect_pairs(&r, binary_ops[_i]);
		run_end(&r);
	}
}

SWEEP(wider_integers_are_right, BINARY_OPS)
{
	static const int64_t values[] = {0,  1,   2,   3,    7,     15,    31,    32,    63,
	                                 64, 100, 255, 1000, 32767, 40000, 65535, 46340, -1,
	                                 -2, -3,  -7,  -64,  -100,  -1000, -32768};
	enum { N = sizeof values / sizeof values[0] };

	for (DType t = DT_I16; t <= DT_I64; t++) {
		Run r;

		run_begin(&r);
		run_zeros(&r, t, DIMS(N, 1));
		run_zeros(&r, t, DIMS(1, N));
		for (size_t i = 0; i < N; i++) {
			num_store_int(t, r.data[0], i, wrapped(t, values[i]));
			num_store_int(t, r.data[1], i, wrapped(t, values[i]));
		}
		/* Four billion multiplications would be too many for the reference. */
		if (binary_ops[_i] == OP_POW && t == DT_U32)
			num_store_int(t, r.data[1], 17, 5);
		for (size_t i = 18; i < N && binary_ops[_i] == OP_POW && t == DT_U32; i++)
			num_store_int(t, r.data[1], i, 9);
		run_node(&r, binary_ops[_i], 1);
		run_compute(&r);
		expect_pairs(&r, binary_ops[_i]);
		run_end(&r);
	}
}

START_TEST(fmod_takes_the_sign_of_the_dividend)
{
	Attr_MOD *a;
	Run r;

	run_begin(&r);
	run_numbers(&r, DT_I32, DIMS(4), (const double[]){7, -7, 7, -7});
	run_numbers(&r, DT_I32, DIMS(4), (const double[]){4, 4, -4, -4});
	a = run_node(&r, OP_MOD, 1);
	run_compute(&r);
	expect_equal(&r, 0, (const double[]){3, 1, -1, -3});
	a->fmod = true;
	run_compute(&r);
	expect_equal(&r, 0, (const double[]){3, -3, 3, -3});
	run_end(&r);
}
END_TEST

/* Bounds beyond the type, between its values, and in the wrong order. */
SWEEP(integers_are_clamped_to_any_bounds, 12 * 12)
{
	static const double bounds[] = {-HUGE_VAL, -1e30, -300, -128, -3.5, 0,
	                                2.5,       127,   255,  300,  1e30, HUGE_VAL};
	enum { N = sizeof bounds / sizeof bounds[0] };
	double lo = bounds[_i % N], hi = bounds[_i / N];

	for (DType t = DT_I8; t <= DT_U8; t++) {
		int64_t least = t == DT_I8 ? -128 : 0;
		Attr_CLAMP *a;
		Run r;

		run_begin(&r);
		run_zeros(&r, t, DIMS(256));
		for (int i = 0; i < 256; i++)
			num_store_int(t, r.data[0], (size_t)i, least + i);
		a = run_node(&r, OP_CLAMP, 1);
		a->lo = lo;
		a->hi = hi;
		run_compute(&r);
		for (int i = 0; i < 256; i++) {
			double y = fmin(fmax((double)(least + i), ceil(lo)), floor(hi));

			y = fmin(fmax(y, (double)least), (double)(least + 255));
			ck_assert(num_load_int(t, r.result[0], (size_t)i) == (int64_t)y);
		}
		run_end(&r);
	}
}

/* ---- Types ---- */

SWEEP(casts_convert_between_all_types, DT_IDX *DT_IDX)
{
	static const double v[] = {0, 1, 2.75, 100, 127};
	DType from = (DType)(_i % DT_IDX), to = (DType)(_i / DT_IDX);
	double x[5], y[5];
	Attr_CAST *a;
	Run r;

	for (int i = 0; i < 5; i++) {
		x[i] = dtype_is_float(from) ? rounded(from, v[i])
		       : from == DT_BOOL    ? v[i] != 0
		                            : trunc(v[i]);
		y[i] = dtype_is_float(to) ? x[i] : to == DT_BOOL ? x[i] != 0 : trunc(x[i]);
	}
	run_begin(&r);
	run_numbers(&r, from, DIMS(5), x);
	a = run_node(&r, OP_CAST, 1);
	a->to = to;
	run_compute(&r);
	expect_equal(&r, 0, y);
	run_end(&r);
}

START_TEST(casts_saturate_or_wrap_as_the_loop_ir_does)
{
	static const double v[] = {300, -300, 1e20, -1e20};
	double nan = NOT_A_NUMBER;
	Run r;

	run_begin(&r);
	run_numbers(&r, DT_F32, DIMS(4), v);
	((Attr_CAST *)run_node(&r, OP_CAST, 1))->to = DT_I8;
	run_compute(&r);
	expect_equal(&r, 0, (const double[]){127, -128, 127, -128});
	run_end(&r);

	run_begin(&r);
	run_numbers(&r, DT_F16, DIMS(1), &nan);
	((Attr_CAST *)run_node(&r, OP_CAST, 1))->to = DT_U16;
	expect_one(&r, 0);
	run_end(&r);

	run_begin(&r);
	run_numbers(&r, DT_I32, DIMS(2), v);
	((Attr_CAST *)run_node(&r, OP_CAST, 1))->to = DT_U8;
	run_compute(&r);
	expect_equal(&r, 0, (const double[]){44, 212});
	run_end(&r);
}
END_TEST

/* In f32 this is the middle between two halves, and would go to the lower one. */
START_TEST(casts_round_once)
{
	double x = 1 + 0x1p-11 + 0x1p-40;
	Run r;

	run_begin(&r);
	run_numbers(&r, DT_F64, DIMS(1), &x);
	((Attr_CAST *)run_node(&r, OP_CAST, 1))->to = DT_F16;
	expect_one(&r, 1 + 0x1p-10);
	run_end(&r);
}
END_TEST

SWEEP(wrong_types_are_reported, 11)
{
	static const struct {
		Op op;
		DType t, u;
	} cases[] = {{OP_ADD, DT_F32, DT_F64},      {OP_ADD, DT_BOOL, DT_BOOL},
	             {OP_AND, DT_I32, DT_I32},      {OP_BIT_AND, DT_F32, DT_F32},
	             {OP_SHL, DT_BOOL, DT_BOOL},    {OP_LESS, DT_BOOL, DT_BOOL},
	             {OP_EXP, DT_I32, DT_COUNT},    {OP_NEG, DT_BOOL, DT_COUNT},
	             {OP_NOT, DT_I8, DT_COUNT},     {OP_IS_NAN, DT_I8, DT_COUNT},
	             {OP_BIT_NOT, DT_F16, DT_COUNT}};
	Run r;

	run_begin(&r);
	run_zeros(&r, cases[_i].t, DIMS(2));
	if (cases[_i].u != DT_COUNT)
		run_zeros(&r, cases[_i].u, DIMS(2));
	run_node(&r, cases[_i].op, 1);
	expect_error(&r, E_TYPE);
	run_end(&r);
}

/* ---- Broadcasting ---- */

/* The element of a tensor of type t that place `at` of a tensor of type `of` sees. */
static size_t
seen(const Type *t, const Type *of, int32_t at)
{
	size_t index = 0, stride = 1;

	for (int i = of->rank, k = t->rank; k > 0; at /= of->dim[i]) {
		i--;
		k--;
		index += (t->dim[k] == 1 ? 0 : (size_t)(at % of->dim[i])) * stride;
		stride *= (size_t)t->dim[k];
	}
	return index;
}

SWEEP(operands_broadcast_both_ways, 500)
{
	uint32_t seed = (uint32_t)_i;
	Type x = type_scalar(DT_F32), y = x, c = type_scalar(DT_BOOL), *all[] = {&c, &x, &y};
	int rank = random_int(&seed, 0, MAX_RANK);
	Run r;

	for (int k = 0; k < 3; k++)
		all[k]->rank = random_int(&seed, 0, rank);
	for (int i = 1; i <= rank; i++) {
		int32_t length = random_int(&seed, 0, 9) ? random_int(&seed, 1, 3) : 0;

		for (int k = 0; k < 3; k++)
			if (all[k]->rank >= i)
				all[k]->dim[all[k]->rank - i] =
					random_int(&seed, 0, 1) ? length : 1;
	}
	run_begin(&r);
	run_random(&r, DT_BOOL, c.rank, c.dim, &seed);
	run_random(&r, DT_F32, x.rank, x.dim, &seed);
	run_random(&r, DT_F32, y.rank, y.dim, &seed);
	run_node(&r, OP_WHERE, 1);
	run_compute(&r);
	for (int32_t i = 0; i < type_numel(&r.node->out[0]->type); i++) {
		const Type *out = &r.node->out[0]->type;
		bool first = num_load_int(DT_BOOL, r.data[0], seen(&c, out, i));
		const Type *t = first ? &x : &y;
		double v = num_load(DT_F32, r.data[first ? 1 : 2], seen(t, out, i));

		ck_assert(num_load(DT_F32, r.result[0], (size_t)i) == v);
	}
	run_end(&r);
}

/* Batch and channels of one factor each: the spatial axes are one loop. */
START_TEST(loops_are_joined_where_the_inputs_allow)
{
	Str s;
	Run r;

	run_begin(&r);
	run_zeros(&r, DT_F32, DIMS(1, 3, 4, 5));
	run_zeros(&r, DT_F32, DIMS(3, 1, 1));
	run_node(&r, OP_MUL, 1);
	str_init(&s, r.arena);
	lfunc_print(&s, run_lower(&r));
	ck_assert_str_eq(s.s, "kernel @mul_2(%x0: f32[60] in, %x1: f32[3] in, %y: f32[60] out) {\n"
	                      "  for %i0 in 0..3 {\n"
	                      "    for %i1 in 0..20 {\n"
	                      "      %y[%i0 * 20 + %i1] = %x0[%i0 * 20 + %i1] * %x1[%i0]\n"
	                      "    }\n"
	                      "  }\n"
	                      "}\n");
	run_end(&r);
}
END_TEST

START_TEST(shapes_that_do_not_broadcast_are_reported)
{
	Run r;

	run_begin(&r);
	run_zeros(&r, DT_F32, DIMS(2, 3));
	run_zeros(&r, DT_F32, DIMS(2));
	run_node(&r, OP_MUL, 1);
	expect_error(&r, E_SHAPE);
	ck_assert_str_eq(r.diag.last->text,
	                 "input 1 of 'mul' (f32[2]): does not broadcast with f32[2,3]");
	run_end(&r);
}
END_TEST

START_TEST(clamping_to_nan_is_reported)
{
	Run r;

	run_begin(&r);
	run_zeros(&r, DT_F32, DIMS(2));
	((Attr_CLAMP *)run_node(&r, OP_CLAMP, 1))->hi = NOT_A_NUMBER;
	expect_error(&r, E_ATTRIBUTE);
	run_end(&r);
}
END_TEST

START_TEST(floor_div_of_floats_rounds_down)
{
	Run r;

	run_begin(&r);
	run_numbers(&r, DT_F32, DIMS(5), (const double[]){7, -7, 7, -6, 0.5});
	run_numbers(&r, DT_F32, DIMS(5), (const double[]){2, 2, -2, 3, -0.25});
	run_node(&r, OP_FLOOR_DIV, 1);
	run_compute(&r);
	expect_equal(&r, 0, (const double[]){3, -4, -4, -2, -2});
	run_end(&r);
}
END_TEST

START_TEST(add_n_adds_all_inputs)
{
	Run r;

	run_begin(&r);
	for (int i = 0; i < 3; i++)
		run_numbers(&r, DT_F32, DIMS(2), (const double[]){i + 0.5, -i});
	run_node(&r, OP_ADD_N, 1);
	run_compute(&r);
	expect_equal(&r, 0, (const double[]){4.5, -3});
	run_end(&r);
}
END_TEST

START_TEST(add_n_does_not_broadcast)
{
	Run r;

	run_begin(&r);
	run_numbers(&r, DT_F32, DIMS(2), (const double[]){1, 2});
	run_numbers(&r, DT_F32, DIMS(1), (const double[]){1});
	run_node(&r, OP_ADD_N, 1);
	expect_error(&r, E_SHAPE);
	run_end(&r);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("elementwise");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, functions_agree_with_the_c_library);
	tcase_add_test(tc, gelu_with_tanh_is_the_approximation);
	tcase_add_test(tc, nan_passes_through);
	tcase_add_test(tc, the_extremum_of_nan_is_nan);
	tcase_add_test(tc, infinities_and_nan_are_told_apart);
	tcase_add_test(tc, common_powers_are_products);
	tcase_add_test(tc, all_pairs_of_8_bits_are_right);
	tcase_add_test(tc, wider_integers_are_right);
	tcase_add_test(tc, fmod_takes_the_sign_of_the_dividend);
	tcase_add_test(tc, integers_are_clamped_to_any_bounds);
	tcase_add_test(tc, casts_convert_between_all_types);
	tcase_add_test(tc, casts_saturate_or_wrap_as_the_loop_ir_does);
	tcase_add_test(tc, casts_round_once);
	tcase_add_test(tc, wrong_types_are_reported);
	tcase_add_test(tc, operands_broadcast_both_ways);
	tcase_add_test(tc, loops_are_joined_where_the_inputs_allow);
	tcase_add_test(tc, shapes_that_do_not_broadcast_are_reported);
	tcase_add_test(tc, clamping_to_nan_is_reported);
	tcase_add_test(tc, floor_div_of_floats_rounds_down);
	tcase_add_test(tc, add_n_adds_all_inputs);
	tcase_add_test(tc, add_n_does_not_broadcast);
	return run_suite(tc, "elementwise operators");
}
