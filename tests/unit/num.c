/* Numbers in memory and as text, element and tensor types. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/num.h"
#include "tests/unit/unit.h"

static float
float_of(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof f);
	return f;
}

START_TEST(every_half_survives_the_way_through_float)
{
	for (uint32_t h = 0; h < 0x10000; h++) {
		float f = num_half_to_float((uint16_t)h);

		if (isnan(f))
			ck_assert(isnan(num_half_to_float(num_float_to_half(f))));
		else
			ck_assert_uint_eq(num_float_to_half(f), h);
	}
}
END_TEST

/* Between two neighbouring halves the nearer one is taken, at the middle the even one. */
START_TEST(floats_round_to_the_nearest_even_half)
{
	for (uint16_t h = 0; h < 0x7bff; h++) {
		float lo = num_half_to_float(h), hi = num_half_to_float((uint16_t)(h + 1));
		float middle = (lo + hi) / 2;

		ck_assert_uint_eq(num_float_to_half(middle), h % 2 ? h + 1 : h);
		ck_assert_uint_eq(num_float_to_half(nextafterf(middle, 0)), h);
		ck_assert_uint_eq(num_float_to_half(nextafterf(middle, hi)), h + 1);
		ck_assert_uint_eq(num_float_to_half(-middle), 0x8000 | (h % 2 ? h + 1 : h));
	}
	ck_assert_uint_eq(num_float_to_half(65519.996f), 0x7bff);
	ck_assert_uint_eq(num_float_to_half(65520.0f), 0x7c00);
}
END_TEST

START_TEST(floats_round_to_the_nearest_even_bfloat)
{
	for (uint32_t h = 0; h < 0x7f7f; h++) {
		float lo = num_bfloat_to_float((uint16_t)h);
		float middle = float_of((h << 16) + 0x8000);

		ck_assert_uint_eq(num_float_to_bfloat(lo), h);
		ck_assert_uint_eq(num_float_to_bfloat(middle), h + h % 2);
	}
	ck_assert(isnan(num_bfloat_to_float(num_float_to_bfloat(float_of(0x7f800001)))));
}
END_TEST

START_TEST(float_text_reads_back_and_is_a_literal)
{
	uint32_t bits = 12345;

	for (int i = 0; i < 60000; i++) {
		char text[NUM_TEXT];
		float f, again;
		int n;

		bits = bits * 1664525u + 1013904223u;
		/* Half of the samples are numbers as weights have them. */
		f = i % 2 ? float_of(bits) : (float)((double)(int32_t)bits * 0x1p-31);
		if (isnan(f))
			continue;
		n = num_float_text(text, f);
		again = strtof(text, NULL);
		ck_assert_int_eq(n, (int)strlen(text));
		ck_assert_mem_eq(&again, &f, sizeof f);
		if (!isinf(f))
			ck_assert_ptr_nonnull(strpbrk(text, ".e"));
		ck_assert_int_le(n, 16);
	}
}
END_TEST

START_TEST(double_text_reads_back)
{
	uint64_t bits = 99;

	for (int i = 0; i < 20000; i++) {
		char text[NUM_TEXT];
		double f, again;

		bits = bits * 6364136223846793005u + 1442695040888963407u;
		memcpy(&f, &bits, sizeof f);
		if (isnan(f))
			continue;
		num_double_text(text, f);
		again = strtod(text, NULL);
		ck_assert_mem_eq(&again, &f, sizeof f);
	}
}
END_TEST

START_TEST(short_numbers_have_short_texts)
{
	static const struct {
		float value;
		const char *text;
	} sample[] = {{0.0f, "0.0"}, {-0.0f, "-0.0"},   {1.0f, "1.0"},         {0.1f, "0.1"},
	              {-2.5f, "-2.5"}, {1e10f, "1e+10"}, {16777216.0f, "16777216.0"}, {1e-7f, "1e-07"}};

	for (size_t i = 0; i < sizeof sample / sizeof sample[0]; i++) {
		char text[NUM_TEXT];

		num_float_text(text, sample[i].value);
		ck_assert_str_eq(text, sample[i].text);
	}
}
END_TEST

/* Of all floats of tiny exponents, some of each, and powers of ten. */
START_TEST(tiny_floats_have_the_shortest_texts)
{
	for (uint32_t bits = 1; bits < 0x38d1b717; bits += bits < 5000 ? 1 : 40009) {
		char text[NUM_TEXT], best[400];
		float f = float_of(bits);
		int digits = 1;

		do
			snprintf(best, sizeof best, "%.*g", digits++, (double)f);
		while (strtof(best, NULL) != f);
		num_float_text(text, -f);
		ck_assert_uint_eq(strlen(text), strlen(best) + 1);
		ck_assert(strtof(text, NULL) == -f);
	}
}
END_TEST

START_TEST(types_that_overflow_are_not_representable)
{
	Type t = type_make(DT_F32, 3, (int32_t[]){1 << 15, 1 << 14, 1});

	ck_assert(!type_is_representable(&t));
	t.dim[1] = 1 << 13;
	ck_assert(type_is_representable(&t));
	t.dim[2] = 0; /* a zero must not hide the overflow of the others */
	t.dim[1] = 1 << 20;
	ck_assert(!type_is_representable(&t));
	t.dim[1] = -1;
	ck_assert(!type_is_representable(&t));
}
END_TEST

START_TEST(shapes_broadcast_as_in_numpy)
{
	Type a = type_make(DT_F32, 3, (int32_t[]){5, 1, 3}), b = type_make(DT_F32, 2, (int32_t[]){4, 1});
	Type out = {.dtype = DT_F32};

	ck_assert(type_broadcast(&a, &b, &out));
	ck_assert_int_eq(out.rank, 3);
	ck_assert_int_eq(out.dim[0], 5);
	ck_assert_int_eq(out.dim[1], 4);
	ck_assert_int_eq(out.dim[2], 3);
	b.dim[1] = 2;
	ck_assert(!type_broadcast(&a, &b, &out));
	b.dim[1] = 0;
	a.dim[2] = 1;
	ck_assert(type_broadcast(&a, &b, &out));
	ck_assert_int_eq(out.dim[2], 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("num");
	TCase *tc = tcase_create("num");

	tcase_add_test(tc, every_half_survives_the_way_through_float);
	tcase_add_test(tc, floats_round_to_the_nearest_even_half);
	tcase_add_test(tc, floats_round_to_the_nearest_even_bfloat);
	tcase_add_test(tc, float_text_reads_back_and_is_a_literal);
	tcase_add_test(tc, double_text_reads_back);
	tcase_add_test(tc, short_numbers_have_short_texts);
	tcase_add_test(tc, tiny_floats_have_the_shortest_texts);
	tcase_add_test(tc, types_that_overflow_are_not_representable);
	tcase_add_test(tc, shapes_broadcast_as_in_numpy);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
