/*
 * The mathematical library: its errors against the C library in more precision,
 * and that interpreter and generated C agree bit for bit.
 *
 *	unit_math                      the tests
 *	unit_math measure [STRIDE]     the greatest error of each function; of f32
 *	                               functions of one argument over every STRIDEth
 *	                               of all 2^32 values (1)
 *
 * The generated C is measured: math_emit.c makes it.  An error is the distance to
 * the true value in units of the result type's spacing there (ulp).
 */
#include <check.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/llvm/llvm.h"
#include "ir/graph.h"
#include "ir/loop/math.h"
#include "tests/math_compiled.h"
#include "tests/unit/float_bits.h"
#include "tests/unit/unit.h"

/* An assertion for inner loops: Check's own write to a file each time. */
#define expect(condition, ...) \
	do { \
		if (!(condition)) \
			ck_abort_msg(__VA_ARGS__); \
	} while (0)

typedef uint64_t Call(const uint64_t *arg);

enum { TEST_STRIDE = 3001 };

static const char *
type_suffix(bool is_double)
{
	return is_double ? "f64" : "f32";
}

/* ---- Bits and random numbers ---- */

static uint64_t
bits_of(double value, bool is_double)
{
	return is_double ? bits_of_double(value) : bits_of_float((float)value);
}

static double
value_of(uint64_t bits, bool is_double)
{
	return is_double ? double_of(bits) : (double)float_of(bits);
}

/* xorshift: the same numbers in every run. */
static uint64_t
random_bits(void)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x2545f4914f6cdd1du;
}

/* In [0, 1). */
static double
random_unit(void)
{
	return (double)(random_bits() >> 11) * 0x1p-53;
}

static const double special[] = {
	0, -0.0, 1, -1, 2, -2, 3, -3, 0.5, -0.5, 0.25, 0.75, 1.5, 4, 5, -5, 2.5, -2.5, 10,
	100, -10, 0x1p-1074, -0x1p-1074, 0x1p-1022, 0x1.fffffffffffffp1023,
	-0x1.fffffffffffffp1023, 0x1p-149, -0x1p-149, 0x1p-126, 0x1.fffffep127,
	-0x1.fffffep127, 0x1p22, 0x1.000002p22, 0x1p23, 0x1.000002p23, 0x1p24, 0x1p51,
	0x1.0000000000001p51, 0x1p52, 0x1.0000000000001p52, 0x1p53, 0x1.fffffffffffffp52,
	0x1p31, 0x1p32, 0x1p63, 0x1p64, 0x1p100, -0x1p1023, 0x1.000002p0, 0x1.fffffep-1,
	0x1.0000000000001p0, 0x1.fffffffffffffp-1, -0x1.0000000000001p0,
	-0x1.fffffffffffffp-1, 88.7228, 88.7229, -87.3365, -103.972, -103.973, 709.782,
	709.783, -745.133, -745.134, -708.4, 0x1p-25, 0x1p-54, 199.999, 200, 1599.99, 1600,
	0.92, 3.95, 6, 0x1.921fb6p0, 0x1.921fb54442d18p0, 0x1.921fb54442d18p1,
	0x1.6ac5b262ca1ffp849, 1e22, 1e300, HUGE_VAL, -HUGE_VAL, (double)NAN};
enum { SPECIALS = sizeof special / sizeof *special };

/* ---- Errors ---- */

typedef struct {
	int digits, least; /* bits of the significand; exponent of the least normal */
	long double limit; /* what infinity stands for: 2^128 */
} Format;

static const Format formats[] = {{24, -126, 0x1p128L}, {53, -1022, 2 * 0x1p1023L}};

/* What is wrong in kind, not by a distance. */
static const double wrong = 1e9;

/* In units of the spacing of numbers at `want`, which has more precision. */
static double
ulp_error(const Format *f, double result, long double want)
{
	long double got = (long double)result;
	int exponent;

	if (isnan(want) || isnan(got))
		return isnan(want) && isnan(got) ? 0 : wrong;
	if (!signbit(want) != !signbit(got))
		return wrong;
	if (want == got)
		return 0;
	if (want == 0 || isinf(want))
		return wrong;
	if (isinf(got)) {
		/* Right for all from half a spacing below 2^128 on. */
		if (fabsl(want) >= f->limit)
			return 0;
		got = copysignl(f->limit, got);
	}
	frexpl(want, &exponent);
	exponent--;
	if (exponent < f->least)
		exponent = f->least;
	return (double)ldexpl(fabsl(got - want), f->digits - 1 - exponent);
}

typedef struct {
	double ulps;
	double at[2];
	long count;
} Worst;

static void
note_error(Worst *w, double ulps, double x, double y)
{
	w->count++;
	if (ulps > w->ulps)
		*w = (Worst){ulps, {x, y}, w->count};
}

/* ---- Functions of one argument ---- */

static double
sigmoid(double x)
{
	return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

static long double
sigmoidl(long double x)
{
	return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x));
}

static double
softplus(double x)
{
	return x > 50 ? x : log1p(exp(x));
}

static long double
softplusl(long double x)
{
	return x > 50 ? x + expl(-x) : log1pl(expl(x));
}

/* The greatest error of each function, as docs/math.md promises. */
static const struct {
	const char *name;
	double (*of_double)(double);
	long double (*of_long)(long double);
	double ulps[2]; /* of f32 and f64; 0: exact */
	double lo, hi;  /* where many of the samples of f64 are */
} unary[] = {
	{"floor", floor, floorl, {0, 0}, -10, 10},
	{"ceil", ceil, ceill, {0, 0}, -10, 10},
	{"trunc", trunc, truncl, {0, 0}, -10, 10},
	{"rint", rint, rintl, {0, 0}, -10, 10},
	{"sqrt", sqrt, sqrtl, {0.5, 0.5}, 0, 10},
	{"exp", exp, expl, {0.77, 0.8}, -750, 711},
	{"expm1", expm1, expm1l, {0.91, 1.2}, -40, 40},
	{"log", log, logl, {0.85, 0.85}, 0, 4},
	{"log1p", log1p, log1pl, {0.92, 0.85}, -1, 3},
	{"sin", sin, sinl, {1.08, 1.05}, -2000, 2000},
	{"cos", cos, cosl, {1.08, 1.05}, -2000, 2000},
	{"tan", tan, tanl, {1.61, 2.7}, -2000, 2000},
	{"asin", asin, asinl, {1.68, 1.75}, -1, 1},
	{"acos", acos, acosl, {1.16, 1.25}, -1, 1},
	{"atan", atan, atanl, {1.40, 1.9}, -4, 4},
	{"sinh", sinh, sinhl, {1.88, 1.95}, -5, 5},
	{"cosh", cosh, coshl, {1.13, 1.2}, -5, 5},
	{"tanh", tanh, tanhl, {1.77, 1.8}, -3, 3},
	{"asinh", asinh, asinhl, {1.26, 1.8}, -4, 4},
	{"acosh", acosh, acoshl, {1.82, 2}, 1, 4},
	{"atanh", atanh, atanhl, {1.73, 1.75}, -1, 1},
	{"erf", erf, erfl, {1.31, 1.45}, -6.5, 6.5},
	{"sigmoid", sigmoid, sigmoidl, {1.66, 1.7}, -40, 40},
	{"softplus", softplus, softplusl, {1.55, 1.6}, -40, 40},
};
enum { UNARY = sizeof unary / sizeof *unary };

/* NULL: there is none. */
static Call *
find_compiled(const char *name)
{
	for (int i = 0; i < math_ncompiled; i++)
		if (strcmp(math_compiled[i].name, name) == 0)
			return math_compiled[i].call;
	return NULL;
}

static Call *
find_function(const char *name, bool is_double)
{
	char full[64];
	Call *call;

	snprintf(full, sizeof full, "%s_%s", name, type_suffix(is_double));
	call = find_compiled(full);
	ck_assert_msg(call != NULL, "no %s in the generated code", full);
	return call;
}

/* Every stride'th bit pattern. */
static Worst
measure_floats(int which, uint64_t stride)
{
	Call *call = find_function(unary[which].name, false);
	double (*of_double)(double) = unary[which].of_double;
	Worst w = {0};

	for (uint64_t bits = 0; bits <= UINT32_MAX; bits += stride) {
		double x = (double)float_of(bits), got = (double)float_of(call(&bits));

		note_error(&w, ulp_error(&formats[0], got, (long double)of_double(x)), x, 0);
	}
	for (int i = 0; i < SPECIALS; i++) {
		uint64_t bits = bits_of_float((float)special[i]);
		double x = (double)float_of(bits), got = (double)float_of(call(&bits));

		note_error(&w, ulp_error(&formats[0], got, (long double)of_double(x)), x, 0);
	}
	return w;
}

/* Next to a multiple of pi/4, where sin, cos and tan lose digits. */
static double
near_quarter(void)
{
	uint64_t n = (random_bits() >> (11 + random_bits() % 50)) + 1;
	double x = (double)n * 0x1.921fb54442d18p-1;

	return double_of(bits_of_double(x) + random_bits() % 3 - 1);
}

static double
sample(int which, int kind)
{
	double lo = unary[which].lo, hi = unary[which].hi, sign = random_bits() & 1 ? 1 : -1;

	switch (kind & 7) {
	case 0: /* over all magnitudes */
	case 1: return sign * ldexp(random_unit() + 1, (int)(random_bits() >> 58) - 56);
	case 2: return double_of(random_bits());
	case 3: return sign * (700 + 50 * random_unit()); /* where e^x overflows and underflows */
	case 4: return sign * (1 + ldexp(random_unit() - 0.5, -(int)(random_bits() % 53)));
	case 5: return near_quarter();
	default: return lo + random_unit() * (hi - lo);
	}
}

static Worst
measure_doubles(int which, long n)
{
	Call *call = find_function(unary[which].name, true);
	Worst w = {0};

	for (long i = 0; i < n + SPECIALS; i++) {
		double x = i < SPECIALS ? special[i] : sample(which, (int)(i % 8));
		uint64_t bits = bits_of_double(x);
		long double want = unary[which].of_long((long double)x);

		note_error(&w, ulp_error(&formats[1], double_of(call(&bits)), want), x, 0);
	}
	return w;
}

static void
expect_within(const char *name, bool is_double, const Worst *w, double ulps)
{
	ck_assert_msg(w->ulps <= ulps, "%s_%s(%a, %a) is wrong by %g ulp, of %g allowed", name,
	              type_suffix(is_double), w->at[0], w->at[1], w->ulps, ulps);
}

START_TEST(floats_are_as_accurate_as_promised)
{
	Worst w = measure_floats(_i, TEST_STRIDE);

	expect_within(unary[_i].name, false, &w, unary[_i].ulps[0]);
	if (unary[_i].ulps[0] > 0)
		ck_assert_msg(w.ulps > 0.4, "nothing was measured: %g", w.ulps);
}
END_TEST

START_TEST(doubles_are_as_accurate_as_promised)
{
	Worst w;

	if (LDBL_MANT_DIG < 64)
		return; /* no reference */
	w = measure_doubles(_i, 200000);
	expect_within(unary[_i].name, true, &w, unary[_i].ulps[1]);
}
END_TEST

/* ---- Functions of two arguments ---- */

static const struct {
	const char *name;
	double (*of_double)(double, double);
	long double (*of_long)(long double, long double);
	double ulps[2];
} binary[] = {
	{"pow", pow, powl, {0.86, 2}},
	{"atan2", atan2, atan2l, {1.58, 1.9}},
	{"fmod", fmod, fmodl, {0, 0}},
	{"copysign", copysign, copysignl, {0, 0}},
};
enum { BINARY = sizeof binary / sizeof *binary };

/* Pairs with results in range: for pow, x^y = 2^±limit at most. */
static void
sample_pair(int which, bool is_double, int kind, double *x, double *y)
{
	double limit = is_double ? 1080 : 150;

	*x = value_of(is_double ? random_bits() : random_bits() >> 32, is_double);
	*y = value_of(is_double ? random_bits() : random_bits() >> 32, is_double);
	if ((kind & 3) == 0)
		return;
	if (which != 0) {
		*x = random_unit() * 4 - 2;
		*y = random_unit() * 4 - 2;
		return;
	}
	if ((kind & 3) == 1)
		*x = 0.5 + 1.5 * random_unit();
	if ((kind & 3) == 2)
		*x = 1 + ldexp(random_unit() - 0.5, -(int)(random_bits() % 30));
	*x = fabs(value_of(bits_of(*x, is_double), is_double));
	*y = (random_unit() * 2 - 1) * limit / log2(*x);
}

static void
note_pair(Worst *w, int which, bool is_double, Call *call, double x, double y)
{
	uint64_t arg[] = {bits_of(x, is_double), bits_of(y, is_double)};
	long double want;

	x = value_of(arg[0], is_double);
	y = value_of(arg[1], is_double);
	want = is_double ? binary[which].of_long((long double)x, (long double)y)
	                 : (long double)binary[which].of_double(x, y);
	note_error(w, ulp_error(&formats[is_double], value_of(call(arg), is_double), want), x, y);
}

static Worst
measure_pairs(int which, bool is_double, long n)
{
	Call *call = find_function(binary[which].name, is_double);
	Worst w = {0};

	for (int i = 0; i < SPECIALS * SPECIALS; i++)
		note_pair(&w, which, is_double, call, special[i % SPECIALS], special[i / SPECIALS]);
	for (long i = 0; i < n; i++) {
		double x, y;

		sample_pair(which, is_double, (int)(i % 4), &x, &y);
		note_pair(&w, which, is_double, call, x, y);
	}
	return w;
}

START_TEST(functions_of_two_are_as_accurate_as_promised)
{
	bool is_double = _i >= BINARY;
	int which = _i % BINARY;
	Worst w;

	if (is_double && LDBL_MANT_DIG < 64)
		return;
	w = measure_pairs(which, is_double, 200000);
	expect_within(binary[which].name, is_double, &w, binary[which].ulps[is_double]);
}
END_TEST

START_TEST(powers_that_are_numbers_are_exact)
{
	Call *f32 = find_function("pow", false), *f64 = find_function("pow", true);

	for (int x = -60; x <= 60; x++) {
		double product = 1;

		for (int y = 0; y <= 4 && fabs(product) <= 0x1p24; y++, product *= x) {
			uint64_t narrow[] = {bits_of_float((float)x), bits_of_float((float)y)};
			uint64_t wide[] = {bits_of_double(x), bits_of_double(y)};

			expect((double)float_of(f32(narrow)) == product, "pow_f32(%d, %d)", x, y);
			expect(double_of(f64(wide)) == product, "pow_f64(%d, %d)", x, y);
		}
	}
}
END_TEST

/* ---- Interpreter and generated code ---- */

static uint64_t
random_argument(DType t)
{
	static const double range[] = {4, 100, 1000};
	uint64_t r = random_bits();

	if (!dtype_is_float(t))
		return t == DT_U32 ? (uint32_t)r : t == DT_I32 ? (uint64_t)(int64_t)(int32_t)r : r;
	if (r % 4 == 0)
		return t == DT_F64 ? random_bits() : (uint32_t)(r >> 32);
	return bits_of((random_unit() * 2 - 1) * range[r % 4 - 1], t == DT_F64);
}

static bool
same_result(uint64_t a, uint64_t b, DType t)
{
	/* Which NaN is not part of the contract. */
	return a == b || (dtype_is_float(t) && isnan(value_of(a, t == DT_F64)) &&
	                  isnan(value_of(b, t == DT_F64)));
}

START_TEST(generated_code_has_the_bits_of_the_interpreter)
{
	Arena *a = arena_new(NULL, NULL);
	const LFunc *f = math_get(_i);
	LCode *code = lfunc_compile(a, f);
	int pairs = f->params.n > 1 ? SPECIALS * SPECIALS : SPECIALS;

	ck_assert_str_eq(math_compiled[_i].name, f->name);
	for (int i = 0; i < pairs + 20000; i++) {
		uint64_t arg[MAX_CALL_ARGS] = {0}, got, want;

		for (int k = 0; k < f->params.n; k++) {
			DType t = f->params.v[k]->type;
			int pick = k == 0 ? i % SPECIALS : i / SPECIALS;

			arg[k] = random_argument(t);
			if (i < pairs && k < 2 && dtype_is_float(t))
				arg[k] = bits_of(special[pick], t == DT_F64);
		}
		got = lcode_call(code, arg);
		want = math_compiled[_i].call(arg);
		expect(same_result(got, want, f->result),
		       "%s(0x%" PRIx64 ", 0x%" PRIx64 "): 0x%" PRIx64
		       " in the interpreter, 0x%" PRIx64 " in C",
		       f->name, arg[0], arg[1], got, want);
	}
	arena_free(a);
}
END_TEST

/* ---- Half types ---- */

typedef struct {
	bool is_bfloat;
	const char *name;
	int digits, least; /* bits of a fraction; exponent of the smallest step */
	uint32_t infinity; /* its bits */
} Half;

static const Half halves[] = {{false, "f16", 10, -24, 0x7c00}, {true, "bf16", 7, -133, 0x7f80}};

/* The value of the bits of a number that is not negative; infinity is the power of
 * two that would come next. */
static double
half_value(const Half *h, uint32_t bits)
{
	int exponent = (int)(bits >> h->digits);
	uint32_t one = UINT32_C(1) << h->digits, fraction = bits & (one - 1);

	if (exponent == 0)
		return ldexp(fraction, h->least);
	return ldexp(one + fraction, exponent - 1 + h->least);
}

/* One conversion in all its forms: generated code, interpreter, and the function of
 * the library, which other code generators call. */
typedef struct {
	const char *name;
	Call *compiled, *library; /* NULL: there is none */
	LCode *code;
} Conversion;

static Conversion
start_conversion(Arena *a, const char *from, const char *to)
{
	static const char text[] = CONVERSIONS;
	Conversion c = {.name = arena_printf(a, "cvt_%s_%s", from, to)};
	const char *library = strstr(to, "f16") ? arena_printf(a, "to_%s_%s", to, from)
	                      : strcmp(to, "f32") == 0 ? arena_printf(a, "from_%s_u32", from)
	                                               : "";
	LFuncs all = {0};
	Diag d;

	diag_init(&d, a);
	ck_assert(lfunc_parse(a, "test", text, sizeof text - 1, &all, &d));
	for (int i = 0; i < all.n; i++)
		if (strcmp(all.v[i]->name, c.name) == 0)
			c.code = lfunc_compile(a, all.v[i]);
	c.compiled = find_compiled(c.name);
	c.library = find_compiled(library);
	ck_assert(c.code && c.compiled);
	return c;
}

static void
expect_conversion(const Conversion *c, uint64_t x, uint64_t want)
{
	uint64_t interpreted = 0, compiled = c->compiled(&x);
	uint64_t called = c->library ? c->library(&x) : want;
	void *bufs[] = {&x, &interpreted};

	lcode_run(c->code, bufs);
	expect(interpreted == want && compiled == want && called == want,
	       "%s of 0x%" PRIx64 ": 0x%" PRIx64 " in the interpreter, 0x%" PRIx64
	       " in C, 0x%" PRIx64 " in the library; right is 0x%" PRIx64,
	       c->name, x, interpreted, compiled, called, want);
}

START_TEST(every_half_is_widened_exactly)
{
	Arena *a = arena_new(NULL, NULL);
	const Half *h = &halves[_i];
	Conversion to_f32 = start_conversion(a, h->name, "f32");
	Conversion to_f64 = start_conversion(a, h->name, "f64");

	ck_assert(to_f32.library);
	for (uint32_t bits = 0; bits <= 0xffff; bits++) {
		uint32_t rest = bits & 0x7fff, sign = bits & 0x8000;
		double value = rest < h->infinity ? half_value(h, rest) : HUGE_VAL;

		if (rest > h->infinity) { /* NaN keeps its payload */
			expect_conversion(&to_f32, bits, (uint64_t)sign << 16 | 0x7f800000 |
			                  (uint64_t)(rest - h->infinity) << (23 - h->digits));
			continue;
		}
		value = sign ? -value : value;
		expect_conversion(&to_f32, bits, bits_of_float((float)value));
		expect_conversion(&to_f64, bits, bits_of_double(value));
	}
	arena_free(a);
}
END_TEST

/* Numbers next to each other and to the middle between two halves. */
static void
check_boundary(const Conversion *c, const Half *h, bool is_double, uint32_t bits)
{
	uint32_t even = bits + (bits & 1);
	double low = half_value(h, bits), middle = (low + half_value(h, bits + 1)) / 2;

	for (int negative = 0; negative < 2; negative++) {
		uint64_t sign = negative ? UINT64_C(1) << (is_double ? 63 : 31) : 0;
		uint32_t half_sign = negative ? 0x8000 : 0;
		uint64_t x = bits_of(low, is_double), m = bits_of(middle, is_double);

		expect_conversion(c, x | sign, bits | half_sign);
		expect_conversion(c, (x + 1) | sign, (m == x + 1 ? even : bits) | half_sign);
		expect_conversion(c, (m - 1) | sign, bits | half_sign);
		expect_conversion(c, m | sign, even | half_sign);
		expect_conversion(c, (m + 1) | sign, (bits + 1) | half_sign);
	}
}

START_TEST(floats_are_rounded_to_halves_once)
{
	Arena *a = arena_new(NULL, NULL);
	const Half *h = &halves[_i & 1];
	bool is_double = _i >= 2;
	Conversion c = start_conversion(a, type_suffix(is_double), h->name);
	uint64_t infinity = bits_of(HUGE_VAL, is_double);

	ck_assert(c.library);
	/* bf16 has the range of f32: its least half step is 2^-134, still a number. */
	for (uint32_t bits = 0; bits < h->infinity - (!is_double && h->is_bfloat); bits++)
		check_boundary(&c, h, is_double, bits);
	expect_conversion(&c, bits_of(1e300, is_double), h->infinity);
	expect_conversion(&c, bits_of(0x1.fffffffffffffp1023, is_double), h->infinity);
	expect_conversion(&c, infinity, h->infinity);
	expect_conversion(&c, 1, 0);
	for (int i = 0; i < 100; i++) {
		uint64_t payloads = is_double ? UINT64_C(0xfffffffffffff) : 0x7fffff;
		uint64_t nan = infinity + 1 + random_bits() % payloads, got = c.compiled(&nan);

		ck_assert_uint_gt(got & 0x7fff, h->infinity);
		expect_conversion(&c, nan, got);
	}
	arena_free(a);
}
END_TEST

/* The nearest half of a whole number by comparing with all of them. */
static uint32_t
round_integer(const Half *h, uint64_t x)
{
	uint32_t lo = 0, hi = h->infinity;
	double limit = half_value(h, h->infinity), middle;

	if ((double)x >= limit)
		return h->infinity;
	while (hi - lo > 1) { /* lo <= x < hi; halves up to 2^64 are whole or the least */
		uint32_t at = lo + (hi - lo) / 2;
		double value = half_value(h, at);

		if (value < 0x1p64 && (uint64_t)ceil(value) <= x)
			lo = at;
		else
			hi = at;
	}
	middle = (half_value(h, lo) + half_value(h, lo + 1)) / 2;
	if ((double)(uint64_t)middle != middle)
		return lo; /* x is lo, as there is no whole number between them */
	if (middle < 0x1p64 && x == (uint64_t)middle)
		return lo + (lo & 1);
	return middle < 0x1p64 && x > (uint64_t)middle ? lo + 1 : lo;
}

/* Few bits set, at random places, and their neighbours: often close to the middle
 * between two halves.  Below 2^places. */
static uint64_t
random_integer(int places)
{
	uint64_t x = (random_bits() >> 54 | 1) << random_bits() % (uint64_t)places;

	x += random_bits() % 3 - 1;
	return places < 64 ? x & ((UINT64_C(1) << places) - 1) : x;
}

START_TEST(integers_are_rounded_to_halves_once)
{
	static const char *const types[] = {"i32", "u32", "i64", "u64"};
	Arena *a = arena_new(NULL, NULL);
	const Half *h = &halves[_i & 1];
	const char *type = types[_i / 2];
	bool is_signed = type[0] == 'i';
	int width = type[1] == '3' ? 32 : 64;
	Conversion c = start_conversion(a, type, h->name);

	ck_assert_int_eq(c.library != NULL, width == 64);
	for (int i = 0; i < 40000; i++) {
		uint64_t x = random_integer(width - is_signed);
		uint32_t want = round_integer(h, x);

		expect_conversion(&c, x, want);
		/* Of 32 bits only the lower half of the word is read. */
		if (is_signed && x)
			expect_conversion(&c, 0 - x, want | 0x8000);
	}
	if (is_signed) {
		uint64_t least = UINT64_C(1) << (width - 1);

		expect_conversion(&c, 0 - least, round_integer(h, least) | 0x8000);
	}
	arena_free(a);
}
END_TEST

/* LLVM's code, compiled in memory; false without LLVM. */
static bool
run_jit(Arena *a, const char *text, const void *in, void *out)
{
	const void *const inputs[] = {in};
	void *const outputs[] = {out};
	ProgramOptions options = {0};
	Diag d;
	const Program *p;
	const Graph *g;

	if (llvm_major_version() == 0)
		return false;
	diag_init(&d, a);
	g = graph_parse(a, "test", text, strlen(text), &d);
	ck_assert(g);
	p = program_build(a, g, &options, &d);
	ck_assert(p && p->arena_size == 0);
	llvm_jit_run(llvm_jit(a, p, 2, &d), inputs, outputs, NULL);
	return true;
}

START_TEST(machine_code_rounds_integers_to_halves_once)
{
	enum { N = 20000 };
	static uint64_t x[N];
	static uint16_t y[N];
	Arena *a = arena_new(NULL, NULL);
	const Half *h = &halves[_i & 1];
	bool is_signed = _i >= 2;
	const char *text = arena_printf(a, "graph @g(%%x: %s[%d]) {\n"
	                                   "  %%y = cast(%%x) {to=%s}\n"
	                                   "  return %%y\n"
	                                   "}\n",
	                                is_signed ? "i64" : "u64", N, h->name);

	for (int i = 0; i < N; i++)
		x[i] = random_integer(64 - is_signed);
	for (int i = 1; is_signed && i < N; i += 2)
		x[i] = 0 - x[i - 1];
	if (run_jit(a, text, x, y)) {
		for (int i = 0; i < N; i++) {
			bool negative = is_signed && x[i] >> 63;
			uint32_t want = round_integer(h, negative ? 0 - x[i] : x[i]);

			expect(y[i] == (want | (negative ? 0x8000 : 0)), "0x%" PRIx64 " gives 0x%x",
			       x[i], (unsigned)y[i]);
		}
	}
	arena_free(a);
}
END_TEST

/* ---- Names ---- */

START_TEST(the_library_has_all_functions)
{
	static const struct {
		const char *name;
		DType type, result;
	} conversions[] = {
		{"from_f16", DT_U32, DT_F32}, {"from_bf16", DT_U32, DT_F32},
		{"to_f16", DT_F32, DT_U32}, {"to_bf16", DT_F32, DT_U32},
		{"to_f16", DT_F64, DT_U32}, {"to_bf16", DT_F64, DT_U32},
		{"to_f16", DT_I64, DT_U32}, {"to_bf16", DT_I64, DT_U32},
		{"to_f16", DT_U64, DT_U32}, {"to_bf16", DT_U64, DT_U32}};

	for (int i = 0; i < 2 * UNARY; i++) {
		DType t = i % 2 ? DT_F64 : DT_F32;
		const LFunc *f = math_find(unary[i / 2].name, t);

		ck_assert_msg(f && f->params.n == 1 && f->result == t, "%s", unary[i / 2].name);
	}
	for (int i = 0; i < 2 * BINARY; i++) {
		DType t = i % 2 ? DT_F64 : DT_F32;
		const LFunc *f = math_find(binary[i / 2].name, t);

		ck_assert_msg(f && f->params.n == 2 && f->result == t, "%s", binary[i / 2].name);
	}
	for (size_t i = 0; i < sizeof conversions / sizeof *conversions; i++) {
		const LFunc *f = math_find(conversions[i].name, conversions[i].type);

		ck_assert_msg(f && f->params.n == 1 && f->result == conversions[i].result, "%s",
		              conversions[i].name);
	}
}
END_TEST

/* ---- Measuring ---- */

static void
print_worst(const char *name, bool is_double, const Worst *w)
{
	printf("%-8s %s  %.4f ulp at %a, %a  (%ld cases)\n", name, type_suffix(is_double), w->ulps,
	       w->at[0], w->at[1], w->count);
	fflush(stdout);
}

static int
measure(uint64_t stride)
{
	long samples = 1000000000 / (long)stride;

	samples = samples > 16000000 ? 16000000 : samples;
	for (int i = 0; i < UNARY; i++) {
		Worst narrow = measure_floats(i, stride), wide = measure_doubles(i, samples);

		print_worst(unary[i].name, false, &narrow);
		print_worst(unary[i].name, true, &wide);
	}
	for (int i = 0; i < BINARY; i++) {
		Worst narrow = measure_pairs(i, false, samples);
		Worst wide = measure_pairs(i, true, samples);

		print_worst(binary[i].name, false, &narrow);
		print_worst(binary[i].name, true, &wide);
	}
	return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	Suite *s = suite_create("math");
	TCase *tc = tcase_create("math");

	if (argc > 1 && strcmp(argv[1], "measure") == 0) {
		unsigned long stride = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;

		return measure(stride ? stride : 1);
	}
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, the_library_has_all_functions);
	tcase_add_loop_test(tc, floats_are_as_accurate_as_promised, 0, UNARY);
	tcase_add_loop_test(tc, doubles_are_as_accurate_as_promised, 0, UNARY);
	tcase_add_loop_test(tc, functions_of_two_are_as_accurate_as_promised, 0, 2 * BINARY);
	tcase_add_test(tc, powers_that_are_numbers_are_exact);
	tcase_add_loop_test(tc, generated_code_has_the_bits_of_the_interpreter, 0, math_count());
	tcase_add_loop_test(tc, every_half_is_widened_exactly, 0, 2);
	tcase_add_loop_test(tc, floats_are_rounded_to_halves_once, 0, 4);
	tcase_add_loop_test(tc, integers_are_rounded_to_halves_once, 0, 8);
	tcase_add_loop_test(tc, machine_code_rounds_integers_to_halves_once, 0, 4);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
