/* The memory planner: random items, against the rules and against brute force. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/program/plan.h"
#include "tests/unit/unit_arena.h"

static uint32_t seed;

static uint32_t
random_below(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)(seed >> 4) * n) >> 28);
}

static PlanRect
random_rect(size_t max_offset, size_t max_size, int times)
{
	PlanRect r = {.offset = random_below((uint32_t)max_offset + 1)};

	r.size = 1 + random_below((uint32_t)max_size);
	r.first = (int)random_below((uint32_t)times);
	r.last = r.first + (int)random_below((uint32_t)times / 3 + 1);
	return r;
}

static PlanItem *
random_items(int n, int max_rects, size_t max_size, int times)
{
	PlanItem *item = ARENA_ARRAY(arena, PlanItem, n);

	for (int i = 0; i < n; i++) {
		item[i].align = (size_t)1 << random_below(max_size > 8 ? 4 : 1);
		item[i].nrects = 1 + (int)random_below((uint32_t)max_rects);
		item[i].rect = ARENA_ARRAY(arena, PlanRect, item[i].nrects);
		for (int k = 0; k < item[i].nrects; k++)
			item[i].rect[k] = random_rect(max_rects > 1 ? max_size : 0, max_size, times);
	}
	return item;
}

static bool
rects_clash(const PlanItem *a, const PlanRect *p, const PlanItem *b, const PlanRect *q)
{
	size_t s = a->place + p->offset, t = b->place + q->offset;

	return p->first <= q->last && q->first <= p->last && s < t + q->size && t < s + p->size;
}

static bool
is_valid(int n, const PlanItem *item, size_t size)
{
	for (int i = 0; i < n; i++) {
		if (item[i].place % item[i].align || item[i].place + plan_item_size(&item[i]) > size)
			return false;
		for (int j = 0; j < i; j++)
			for (int k = 0; k < item[i].nrects; k++)
				for (int m = 0; m < item[j].nrects; m++)
					if (rects_clash(&item[i], &item[i].rect[k], &item[j],
					                &item[j].rect[m]))
						return false;
	}
	return true;
}

/* The bound by its definition: each item, and each byte of all of them at each time. */
static size_t
slow_bound(int n, const PlanItem *item, int times)
{
	size_t bound = 0;

	for (int i = 0; i < n; i++)
		if (plan_item_size(&item[i]) > bound)
			bound = plan_item_size(&item[i]);
	for (int t = 0; t < 2 * times; t++) {
		size_t sum = 0;

		for (int i = 0; i < n; i++) {
			for (size_t byte = 0; byte < plan_item_size(&item[i]); byte++) {
				bool live = false;

				for (int k = 0; k < item[i].nrects; k++) {
					const PlanRect *r = &item[i].rect[k];

					live = live || (t >= r->first && t <= r->last &&
					                byte >= r->offset && byte < r->offset + r->size);
				}
				sum += live;
			}
		}
		if (sum > bound)
			bound = sum;
	}
	return bound;
}

/* Of the exact search: whether it ends is of no matter to the rules. */
enum { FEW_NODES = 1000 };

START_TEST(plans_of_random_items_keep_the_rules)
{
	int n = 1 + _i % 40, times = 4 + _i % 30, max_rects = 1 + _i % 3;
	PlanItem *item;
	PlanResult r;

	seed = (uint32_t)_i + 1;
	item = random_items(n, max_rects, 60, times);
	r = plan_memory(arena, &(PlanProblem){n, item, 0, NULL}, FEW_NODES);
	ck_assert(is_valid(n, item, r.size));
	ck_assert_uint_eq(plan_bound(arena, &(PlanProblem){n, item, 0, NULL}),
	                  slow_bound(n, item, times));
	ck_assert_uint_ge(r.bound, slow_bound(n, item, times));
	ck_assert_uint_ge(r.size, r.bound);
	ck_assert(r.optimal == (r.size == r.bound));
	for (int order = 0; order < PLAN_ORDER_COUNT; order++) {
		size_t greedy = plan_greedy(arena, &(PlanProblem){n, item, 0, NULL}, (PlanOrder)order);

		ck_assert(is_valid(n, item, greedy));
		ck_assert_uint_le(r.size, greedy);
	}
}
END_TEST

/* All places of items k and up, lowest heights first. */
static void
try_places(int n, PlanItem *item, int k, size_t height, size_t *best)
{
	size_t size;

	if (height >= *best)
		return;
	if (k == n) {
		*best = height;
		return;
	}
	size = plan_item_size(&item[k]);
	for (item[k].place = 0; item[k].place + size < *best; item[k].place += item[k].align) {
		size_t end = item[k].place + size;

		if (is_valid(k + 1, item, SIZE_MAX))
			try_places(n, item, k + 1, end > height ? end : height, best);
	}
}

START_TEST(small_plans_are_optimal)
{
	int n = 2 + _i % 5, times = 3 + _i % 7;
	PlanItem *item;
	PlanResult r;
	size_t best;

	seed = (uint32_t)_i + 1;
	item = random_items(n, 1, 5, times);
	r = plan_memory(arena, &(PlanProblem){n, item, 0, NULL}, 0);
	ck_assert(is_valid(n, item, r.size));
	ck_assert(r.optimal);
	best = r.size + 1;
	try_places(n, item, 0, 0, &best);
	ck_assert_uint_eq(r.size, best);
}
END_TEST

START_TEST(small_plans_of_interlocking_items_are_optimal)
{
	int n = 2 + _i % 4;
	PlanItem *item;
	PlanResult r;
	size_t best;

	seed = (uint32_t)_i + 1;
	item = random_items(n, 3, 4, 6);
	r = plan_memory(arena, &(PlanProblem){n, item, 0, NULL}, 0);
	ck_assert(is_valid(n, item, r.size));
	ck_assert(r.optimal);
	best = r.size + 1;
	try_places(n, item, 0, 0, &best);
	ck_assert_uint_eq(r.size, best);
}
END_TEST

START_TEST(the_exact_search_beats_greedy_plans_somewhere)
{
	int better = 0, proved = 0;

	for (int i = 0; i < 150; i++) {
		int n = 10 + i % 10;
		PlanItem *item;
		size_t greedy = SIZE_MAX;
		PlanResult r;

		seed = (uint32_t)i + 1;
		item = random_items(n, 1, 30, 12);
		/* As buffers are: multiples of 4, a few of them of 8-byte elements. */
		for (int k = 0; k < n; k++) {
			item[k].rect[0].size *= 4;
			item[k].align = random_below(8) ? 4 : 8;
		}
		for (int order = 0; order < PLAN_ORDER_COUNT; order++) {
			size_t size = plan_greedy(arena, &(PlanProblem){n, item, 0, NULL}, (PlanOrder)order);

			greedy = size < greedy ? size : greedy;
		}
		r = plan_memory(arena, &(PlanProblem){n, item, 0, NULL}, 0);
		ck_assert(is_valid(n, item, r.size));
		better += r.size < greedy;
		proved += r.optimal;
	}
	ck_assert_int_gt(better, 8);
	ck_assert_int_gt(proved, 146);
}
END_TEST

/* a and b are alive together, c only after a: c goes where a was. */
START_TEST(memory_of_the_dead_is_used_again)
{
	PlanRect rect[] = {{0, 16, 0, 1, 0}, {0, 32, 0, 2, 0}, {0, 16, 2, 3, 0}};
	PlanItem item[] = {{1, &rect[0], 4, 0}, {1, &rect[1], 4, 0}, {1, &rect[2], 4, 0}};
	PlanResult r = plan_memory(arena, &(PlanProblem){3, item, 0, NULL}, 0);

	ck_assert_uint_eq(r.size, 48);
	ck_assert_uint_eq(r.bound, 48);
	ck_assert(r.optimal);
	ck_assert_uint_eq(item[0].place, item[2].place);
}
END_TEST

/* The notch that the first item leaves when its larger part dies. */
START_TEST(items_fit_into_the_shape_of_others)
{
	PlanRect corner[] = {{0, 8, 0, 5, 0}, {8, 8, 0, 2, 0}}, small[] = {{0, 8, 3, 5, 0}};
	PlanItem item[] = {{2, corner, 4, 0}, {1, small, 4, 0}};
	PlanResult r = plan_memory(arena, &(PlanProblem){2, item, 0, NULL}, 0);

	ck_assert_uint_eq(r.size, 16);
	ck_assert_uint_eq(item[1].place, item[0].place + 8);
}
END_TEST

/* As the outputs of a network are: made one after the other, all there at the end.  Pairs
 * of them are too many to look at. */
START_TEST(thousands_of_outputs_lie_side_by_side)
{
	enum { N = 30000 };
	PlanItem *item = ARENA_ARRAY(arena, PlanItem, N);
	size_t sum = 0, size;
	bool *taken;

	seed = 1;
	for (int i = 0; i < N; i++) {
		item[i] = (PlanItem){1, ARENA_NEW(arena, PlanRect), 4, 0};
		*item[i].rect = (PlanRect){0, 4 + 4 * random_below(30), i, N, 0};
		sum += item[i].rect->size;
	}
	size = plan_memory(arena, &(PlanProblem){N, item, 0, NULL}, 0).size;
	ck_assert_uint_eq(size, sum);
	taken = ARENA_ARRAY(arena, bool, size);
	for (int i = 0; i < N; i++)
		for (size_t k = 0; k < item[i].rect->size; k++) {
			ck_assert(!taken[item[i].place + k]);
			taken[item[i].place + k] = true;
		}
}
END_TEST

START_TEST(nothing_needs_no_memory)
{
	PlanItem empty = {0, NULL, 4, 0};

	ck_assert_uint_eq(plan_memory(arena, &(PlanProblem){0, &empty, 0, NULL}, 0).size, 0);
	ck_assert_uint_eq(plan_memory(arena, &(PlanProblem){1, &empty, 0, NULL}, 0).size, 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("plan");
	TCase *tc = tcase_create("plan");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, plans_of_random_items_keep_the_rules, 0, 240);
	tcase_add_loop_test(tc, small_plans_are_optimal, 0, 80);
	tcase_add_loop_test(tc, small_plans_of_interlocking_items_are_optimal, 0, 60);
	tcase_add_test(tc, the_exact_search_beats_greedy_plans_somewhere);
	tcase_add_test(tc, memory_of_the_dead_is_used_again);
	tcase_add_test(tc, items_fit_into_the_shape_of_others);
	tcase_add_test(tc, thousands_of_outputs_lie_side_by_side);
	tcase_add_test(tc, nothing_needs_no_memory);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
