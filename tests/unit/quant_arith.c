/*
 * Arithmetic, comparisons and conversions of quantised numbers against the formulas
 * of TFLite's reference kernels in plain C, over random scales and zero points.
 */
#include <string.h>

#include "tests/unit/quant_reference.h"

enum { TRIES = 24, COUNT = 200 };

static const DType types[] = {DT_I8, DT_U8, DT_I16};

static double
larger(double a, double b)
{
	return a > b ? a : b;
}

static int32_t
sum(const Run *r, int32_t i, bool is_difference, int left)
{
	float a = scale_of(r, 0), b = scale_of(r, 1), twice = 2 * fmaxf(a, b);
	double wide = 2 * larger((double)a, (double)b), fa = (double)a / wide,
	       fb = (double)b / wide, fo = wide / ((1 << left) * (double)scale_of(r, -1));
	int32_t x, y;

	if (is_difference) {
		fa = (double)(a / twice);
		fb = (double)(b / twice);
		fo = (double)(twice / ((float)(1 << left) * scale_of(r, -1)));
	}
	x = ref_scale(input_at(r, 0, i) * (1 << left), fa);
	y = ref_scale(input_at(r, 1, i) * (1 << left), fb);
	return ref_scale(is_difference ? x - y : x + y, fo);
}

static int32_t
squared_difference(const Run *r, int32_t i, int left)
{
	double a = (double)scale_of(r, 0), b = (double)scale_of(r, 1), wide = 2 * larger(a, b);
	int32_t t = ref_scale(input_at(r, 0, i) * (1 << left), a / wide) -
	            ref_scale(input_at(r, 1, i) * (1 << left), b / wide);

	return ref_scale(t * t, wide * wide / (double)((float)(1 << 2 * left) * scale_of(r, -1)));
}

static int32_t
quotient(const Run *r, int32_t i)
{
	int32_t a = input_at(r, 0, i), b = input_at(r, 1, i), m, inverse;
	int shift, bits, room = 0;

	ref_multiplier((double)(scale_of(r, 0) / (scale_of(r, 1) * scale_of(r, -1))), &m, &shift);
	if (b < 0) {
		a = -a;
		b = -b;
	}
	inverse = ref_reciprocal(b, 31, &bits);
	while (room < 31 && (a >= 0 ? a >> (30 - room) == 0 : a >> (30 - room) == -1))
		room++;
	a = ref_srdhm(ref_srdhm((int32_t)((uint32_t)a << room), inverse), m);
	shift = bits + room - shift;
	return shift <= 31 ? ref_rdp(a, shift) : 0;
}

static int32_t
expected(const Run *r, int32_t i)
{
	bool wide = dtype_info[r->in[0]->type.dtype].bytes == 2;
	double product = (double)scale_of(r, 0) * (double)scale_of(r, 1);

	switch ((int)r->node->op) {
	case OP_MUL:
		return ref_scale(input_at(r, 0, i) * input_at(r, 1, i),
		                 product / (double)scale_of(r, -1));
	case OP_DIV: return quotient(r, i);
	case OP_SQUARED_DIFFERENCE: return squared_difference(r, i, wide ? 0 : 7);
	default: return sum(r, i, r->node->op == OP_SUB, wide ? 15 : 20);
	}
}

static const Op arithmetic[] = {OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_SQUARED_DIFFERENCE};

START_TEST(arithmetic_is_that_of_the_reference)
{
	Op op = arithmetic[_i / 3];
	DType t = types[_i % 3];
	uint32_t seed = (uint32_t)_i + 5;

	if (op == OP_DIV && t == DT_I16)
		return;
	for (int k = 0; k < TRIES; k++) {
		Activation act = (Activation)random_int(&seed, 0, t == DT_U8 ? 1 : 3);
		QRange range;
		Run r;

		run_begin(&r);
		for (int i = 0; i < 2; i++)
			run_quantized(&r, t, COUNT, false,
			              quant_new(&r, random_scale(&seed, -9, -3), random_zero(t, &seed)),
			              &seed);
		run_quantized_node(&r, op, t, quant_new(&r, random_scale(&seed, -9, -1),
		                                        random_zero(t, &seed)));
		if (op != OP_SQUARED_DIFFERENCE)
			((Attr_ADD *)r.node->attr)->activation = act;
		run_compute(&r);
		range = quant_range(&r.node->out[0]->type, node_activation(r.node));
		for (int32_t i = 0; i < COUNT; i++) {
			int64_t zero = quant_zero(&r.node->out[0]->type);

			if (op != OP_DIV || input_at(&r, 1, i) != 0)
				expect_code(&r, i, ref_clamp(expected(&r, i) + zero, range));
		}
		run_end(&r);
	}
}
END_TEST

START_TEST(add_n_starts_from_what_zero_stands_for)
{
	uint32_t seed = (uint32_t)_i;
	float scale = random_scale(&seed, -7, -5), out = random_scale(&seed, -8, -3);
	int32_t zero = random_zero(DT_I8, &seed), n = random_int(&seed, 1, 9);
	Run r;

	run_begin(&r);
	for (int k = 0; k < n; k++)
		run_quantized(&r, DT_I8, COUNT, false, quant_new(&r, scale, zero), &seed);
	run_quantized_node(&r, OP_ADD_N, DT_I8, quant_new(&r, out, 3));
	run_compute(&r);
	for (int32_t i = 0; i < COUNT; i++) {
		int32_t acc = ref_scale(-zero * (1 << 20), 0.5);

		for (int k = 0; k < n; k++)
			acc += ref_scale(input_at(&r, k, i) * (1 << 20), 0.5);
		acc = ref_scale(acc, 2 * (double)scale / ((1 << 20) * (double)out));
		expect_code(&r, i, ref_clamp(acc + 3, quant_limits(DT_I8)));
	}
	run_end(&r);
}
END_TEST

static const Op comparisons[] = {OP_EQUAL, OP_LESS, OP_LESS_EQUAL, OP_GREATER, OP_GREATER_EQUAL};

static bool
compares(Op op, int32_t a, int32_t b)
{
	switch ((int)op) {
	case OP_EQUAL: return a == b;
	case OP_LESS: return a < b;
	case OP_LESS_EQUAL: return a <= b;
	case OP_GREATER: return a > b;
	default: return a >= b;
	}
}

START_TEST(comparisons_are_those_of_the_reference)
{
	uint32_t seed = (uint32_t)_i;

	for (int k = 0; k < TRIES; k++) {
		Run r;

		run_begin(&r);
		for (int i = 0; i < 2; i++)
			run_quantized(&r, DT_I8, COUNT, false,
			              quant_new(&r, random_scale(&seed, -6, -4),
			                        random_zero(DT_I8, &seed)),
			              &seed);
		run_node(&r, comparisons[_i], 1);
		run_compute(&r);
		for (int32_t i = 0; i < COUNT; i++) {
			int32_t a = ref_scale(input_at(&r, 0, i) * 256, (double)scale_of(&r, 0));
			int32_t b = ref_scale(input_at(&r, 1, i) * 256, (double)scale_of(&r, 1));

			expect_code(&r, i, compares(comparisons[_i], a, b));
		}
		run_end(&r);
	}
}
END_TEST

START_TEST(extrema_need_one_quantisation)
{
	uint32_t seed = 3;
	Run r;

	run_begin(&r);
	run_quantized(&r, DT_I8, 9, false, quant_new(&r, 0.5F, 0), &seed);
	run_quantized(&r, DT_I8, 9, false, quant_new(&r, 0.25F, 0), &seed);
	run_quantized_node(&r, OP_MAX, DT_I8, quant_new(&r, 0.5F, 0));
	expect_error(&r, E_UNSUPPORTED);
	run_end(&r);
}
END_TEST

START_TEST(a_sum_needs_room_in_the_output)
{
	uint32_t seed = 3;
	Run r;

	run_begin(&r);
	run_quantized(&r, DT_I8, 9, false, quant_new(&r, 1024, 0), &seed);
	run_quantized(&r, DT_I8, 9, false, quant_new(&r, 1, 0), &seed);
	run_quantized_node(&r, OP_ADD, DT_I8, quant_new(&r, 0x1p-10F, 0));
	expect_error(&r, E_UNSUPPORTED);
	run_end(&r);
}
END_TEST

/* ---- Conversions ---- */

static const DType pairs[][2] = {{DT_I8, DT_I8},  {DT_I8, DT_U8},  {DT_I8, DT_I16},
                                 {DT_I8, DT_I32}, {DT_I16, DT_I8}, {DT_I16, DT_I16},
                                 {DT_U8, DT_I8},  {DT_I32, DT_I8}, {DT_I32, DT_I16}};
enum { PAIRS = sizeof pairs / sizeof pairs[0] };

START_TEST(requantising_is_that_of_the_reference)
{
	DType from = pairs[_i][0], to = pairs[_i][1];
	uint32_t seed = (uint32_t)_i;

	for (int k = 0; k < TRIES; k++) {
		Run r;

		run_begin(&r);
		run_quantized(&r, DT_I8, 256, true, NULL, &seed);
		r.in[0]->type = type_make(from, 1, (const int32_t[]){256});
		r.data[0] = arena_alloc(r.arena, type_bytes(&r.in[0]->type));
		for (int i = 0; i < 256; i++)
			num_store_int(from, r.data[0], (size_t)i, from == DT_U8 ? i : i - 128);
		r.in[0]->type.q = quant_new(&r, random_scale(&seed, -6, 0), random_zero(from, &seed));
		run_quantized_node(&r, OP_REQUANTIZE, to,
		                   quant_new(&r, k % 6 ? random_scale(&seed, -6, 0)
		                                       : scale_of(&r, 0),
		                             random_zero(to, &seed)));
		run_compute(&r);
		for (int32_t i = 0; i < 256; i++) {
			double d = (double)scale_of(&r, 0) / (double)scale_of(&r, -1);
			int64_t y = (int64_t)ref_scale(input_at(&r, 0, i), d) +
			            quant_zero(&r.node->out[0]->type);

			expect_code(&r, i, ref_clamp(y, quant_limits(to)));
		}
		run_end(&r);
	}
}
END_TEST

START_TEST(quantising_rounds_half_away_from_zero_and_saturates)
{
	static const double x[] = {0,    0.24, 0.25, -0.25, 0.75, -0.75, 1e30, -1e30,
	                           63.5, 64,   -64,  -64.3, NOT_A_NUMBER, 0.2499999850988388};
	static const double y[] = {3, 3, 4, 2, 5, 1, 127, -128, 127, 127, -125, -126, 3, 3};
	Run r;

	run_begin(&r);
	run_numbers(&r, DT_F32, DIMS(14), x);
	run_quantized_node(&r, OP_REQUANTIZE, DT_I8, quant_new(&r, 0.5F, 3));
	run_compute(&r);
	expect_equal(&r, 0, y);
	run_end(&r);
}
END_TEST

START_TEST(taking_quantisation_off_along_an_axis_uses_its_scales)
{
	static const float scale[] = {0.5F, 2, 0.25F};
	static const int32_t zero[] = {1, 0, -1};
	static const double x[] = {1, 2, 3, 4, 5, 6}, y[] = {0, 0.5, 6, 8, 1.5, 1.75};
	const Quant q = {.axis = 0, .n = 3, .scale = scale, .zero = zero};
	Run r;

	run_begin(&r);
	run_numbers(&r, DT_I8, DIMS(3, 2), x);
	r.in[0]->type.q = &q;
	run_node(&r, OP_REQUANTIZE, 1);
	run_compute(&r);
	expect_equal(&r, 0, y);
	run_end(&r);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("quantised arithmetic");

	tcase_add_loop_test(tc, arithmetic_is_that_of_the_reference, 0, 3 * 5);
	tcase_add_loop_test(tc, add_n_starts_from_what_zero_stands_for, 0, 20);
	tcase_add_loop_test(tc, comparisons_are_those_of_the_reference, 0, 5);
	tcase_add_test(tc, extrema_need_one_quantisation);
	tcase_add_test(tc, a_sum_needs_room_in_the_output);
	tcase_add_loop_test(tc, requantising_is_that_of_the_reference, 0, PAIRS);
	tcase_add_test(tc, quantising_rounds_half_away_from_zero_and_saturates);
	tcase_add_test(tc, taking_quantisation_off_along_an_axis_uses_its_scales);
	return run_suite(tc, "quantised arithmetic");
}
