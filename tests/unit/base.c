/* Arenas, strings and diagnostics. */
#include <check.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/str.h"
#include "tests/unit/unit.h"

static jmp_buf boundary;

static void
jump(void *user, size_t bytes)
{
	(void)bytes;
	*(int *)user += 1;
	longjmp(boundary, 1);
}

START_TEST(allocations_are_zeroed_aligned_and_distinct)
{
	Arena *a = arena_new(NULL, NULL);
	char *last = NULL;

	for (size_t size = 0; size < 3000; size += 7) {
		char *p = arena_alloc(a, size);

		ck_assert_uint_eq((uintptr_t)p % 16, 0);
		ck_assert_ptr_ne(p, last);
		for (size_t i = 0; i < size; i++)
			ck_assert_int_eq(p[i], 0);
		memset(p, 0xff, size);
		last = p;
	}
	arena_free(a);
}
END_TEST

START_TEST(a_limit_calls_the_oom_hook)
{
	volatile int calls = 0;
	int count = 0;
	Arena *a = arena_new(jump, &count);

	arena_set_limit(a, 1000);
	arena_alloc(a, 900);
	if (setjmp(boundary) == 0) {
		arena_alloc(a, 200);
		ck_abort_msg("the allocation succeeded");
	}
	if (setjmp(boundary) == 0) {
		arena_calloc(a, SIZE_MAX / 2, 3);
		ck_abort_msg("the overflow went unnoticed");
	}
	calls = count;
	ck_assert_int_eq(calls, 2);
	arena_free(a);
}
END_TEST

static int order[2], norder;

static void
note(void *object)
{
	order[norder++] = *(int *)object;
}

START_TEST(deferred_functions_run_last_first)
{
	Arena *a = arena_new(NULL, NULL);
	int one = 1, two = 2;

	norder = 0;
	arena_defer(a, note, &one);
	arena_defer(a, note, &two);
	arena_free(a);
	ck_assert_int_eq(norder, 2);
	ck_assert_int_eq(order[0], 2);
	ck_assert_int_eq(order[1], 1);
}
END_TEST

static void
count_end(void *object)
{
	++*(int *)object;
}

START_TEST(children_end_with_their_parent_or_before)
{
	int ends = 0;
	Arena *a = arena_new(NULL, NULL);
	Arena *child[4];

	for (int i = 0; i < 4; i++) {
		child[i] = arena_child(a);
		arena_defer(child[i], count_end, &ends);
		arena_alloc(child[i], 100000);
	}
	arena_defer(arena_child(child[0]), count_end, &ends);
	arena_free(child[1]);
	ck_assert_int_eq(ends, 1);
	arena_free(child[3]);
	ck_assert_int_eq(ends, 2);
	arena_reset(a);
	ck_assert_int_eq(ends, 5);
	arena_defer(arena_child(a), count_end, &ends);
	arena_free(a);
	ck_assert_int_eq(ends, 6);
}
END_TEST

START_TEST(children_have_the_hook_and_the_rest_of_the_limit)
{
	int count = 0;
	Arena *a = arena_new(jump, &count), *child;

	arena_set_limit(a, 1000);
	arena_alloc(a, 900);
	child = arena_child(a);
	arena_alloc(child, 60);
	if (setjmp(boundary) == 0) {
		arena_alloc(child, 60);
		ck_abort_msg("the allocation succeeded");
	}
	ck_assert_int_eq(count, 1);
	arena_free(a);
}
END_TEST

START_TEST(vectors_grow_and_keep_their_contents)
{
	Arena *a = arena_new(NULL, NULL);
	VEC(int) v = {0};

	for (int i = 0; i < 1000; i++)
		VEC_PUSH(a, &v, i);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(v.v[i], i);
	arena_free(a);
}
END_TEST

START_TEST(strings_of_any_length_are_formatted)
{
	Arena *a = arena_new(NULL, NULL);
	Str s;
	char expected[1200];

	for (int n = 0; n < 1000; n += 83) {
		str_init(&s, a);
		str_printf(&s, "<%*d>", n + 1, 7);
		snprintf(expected, sizeof expected, "<%*d>", n + 1, 7);
		ck_assert_str_eq(s.s, expected);
	}
	arena_free(a);
}
END_TEST

START_TEST(errors_are_counted_and_capped)
{
	Arena *a = arena_new(NULL, NULL);
	Diag d;
	int shown = 0;

	diag_init(&d, a);
	for (int i = 0; i < 50; i++)
		ck_assert(!diag_report(&d, NULL, E_SHAPE, "error %d", i));
	for (Message *m = d.first; m; m = m->next)
		shown++;
	ck_assert_int_eq(d.errors, 50);
	ck_assert_int_eq(shown, DIAG_MAX_ERRORS);
	ck_assert(diag_full(&d));
	arena_free(a);
}
END_TEST

START_TEST(warnings_follow_their_options)
{
	Arena *a = arena_new(NULL, NULL);
	Diag d;

	diag_init(&d, a);
	d.disabled[W_IGNORED] = true;
	diag_report(&d, NULL, W_IGNORED, "never shown");
	ck_assert_ptr_null(d.first);
	d.disabled[W_IGNORED] = false;
	d.warnings_are_errors = true;
	diag_report(&d, NULL, W_IGNORED, "an error");
	ck_assert_int_eq(d.errors, 1);
	ck_assert_int_eq((int)d.first->kind, DIAG_ERROR);
	ck_assert_int_eq((int)diag_find_option("model"), W_MODEL);
	ck_assert_int_eq((int)diag_find_option("nonsense"), DIAG_COUNT);
	arena_free(a);
}
END_TEST

START_TEST(diagnostic_numbers_are_unique)
{
	for (int i = 0; i < DIAG_COUNT; i++)
		for (int k = 0; k < i; k++)
			ck_assert_int_ne(diag_info[i].number, diag_info[k].number);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("base");
	TCase *tc = tcase_create("base");

	tcase_add_test(tc, allocations_are_zeroed_aligned_and_distinct);
	tcase_add_test(tc, a_limit_calls_the_oom_hook);
	tcase_add_test(tc, deferred_functions_run_last_first);
	tcase_add_test(tc, children_end_with_their_parent_or_before);
	tcase_add_test(tc, children_have_the_hook_and_the_rest_of_the_limit);
	tcase_add_test(tc, vectors_grow_and_keep_their_contents);
	tcase_add_test(tc, strings_of_any_length_are_formatted);
	tcase_add_test(tc, errors_are_counted_and_capped);
	tcase_add_test(tc, warnings_follow_their_options);
	tcase_add_test(tc, diagnostic_numbers_are_unique);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
