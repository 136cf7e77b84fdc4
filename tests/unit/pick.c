/* Picking ways within a limit, against trying all of them. */
#include <stdlib.h>

#include "codegen/program/pick.h"
#include "tests/unit/unit_arena.h"

enum { MAX_ITEMS = 7, MAX_WAYS = 5 };

static uint32_t seed;

static uint32_t
draw(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)(seed >> 4) * n) >> 28);
}

static PickWay way[MAX_ITEMS][MAX_WAYS];
static PickItem items[MAX_ITEMS];

/* Random ways: costs and weights from a few numbers, so that many are equal, or from many. */
static int
draw_items(void)
{
	int n = 1 + (int)draw(MAX_ITEMS);
	uint32_t most = draw(2) ? 6 : 100000;

	for (int i = 0; i < n; i++) {
		items[i] = (PickItem){1 + (int)draw(MAX_WAYS), way[i]};
		for (int k = 0; k < items[i].n; k++)
			way[i][k] = (PickWay){(int64_t)draw(most), (int64_t)draw(most)};
	}
	return n;
}

/* The least cost of the items from i on; -1: too heavy. */
static int64_t
least_cost(int i, int n, int64_t limit)
{
	int64_t best = -1;

	if (i == n)
		return 0;
	for (int k = 0; k < items[i].n; k++) {
		int64_t rest = way[i][k].weight > limit
		                       ? -1
		                       : least_cost(i + 1, n, limit - way[i][k].weight);

		if (rest >= 0 && (best < 0 || rest + way[i][k].cost < best))
			best = rest + way[i][k].cost;
	}
	return best;
}

START_TEST(picks_cost_least_within_the_limit)
{
	seed = (uint32_t)_i + 1;
	for (int round = 0; round < 300; round++) {
		int n = draw_items(), picked[MAX_ITEMS];
		int64_t least = pick_least_weight(items, n), cost = 0, weight = 0, best;
		int64_t limit = least + (int64_t)draw(3) * (int64_t)draw((uint32_t)n * 60000 + 1) / 4;
		PickResult r;

		if (way[0][0].weight < 6)
			limit = least + (int64_t)draw(20);
		best = least_cost(0, n, limit);
		ck_assert(pick_ways(arena, items, n, limit, picked, &r));
		for (int i = 0; i < n; i++) {
			ck_assert(picked[i] >= 0 && picked[i] < items[i].n);
			cost += way[i][picked[i]].cost;
			weight += way[i][picked[i]].weight;
		}
		ck_assert_int_eq(cost, best);
		ck_assert_int_eq(r.cost, cost);
		ck_assert_int_eq(r.weight, weight);
		ck_assert_int_le(weight, limit);
		ck_assert(r.optimal);
	}
}
END_TEST

START_TEST(a_limit_below_the_lightest_ways_is_refused)
{
	seed = 7;
	for (int round = 0; round < 100; round++) {
		int n = draw_items(), picked[MAX_ITEMS];
		int64_t least = pick_least_weight(items, n);
		PickResult r;

		ck_assert_int_eq(least_cost(0, n, least - 1), -1);
		ck_assert_int_ge(least_cost(0, n, least), 0);
		ck_assert(!pick_ways(arena, items, n, least - 1, picked, &r));
	}
}
END_TEST

/* Hundreds of items, as networks have: still exact, which a coarser limit shows. */
START_TEST(many_items_are_picked_in_order_of_what_they_save)
{
	enum { N = 400 };
	PickWay two[N][2];
	PickItem many[N];
	int picked[N];
	PickResult r;

	for (int i = 0; i < N; i++) {
		two[i][0] = (PickWay){1000 + i, 0};
		two[i][1] = (PickWay){0, 100};
		many[i] = (PickItem){2, two[i]};
	}
	ck_assert(pick_ways(arena, many, N, 100 * 150 + 99, picked, &r));
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(picked[i], i >= N - 150);
	ck_assert(r.optimal);
	ck_assert_int_eq(r.weight, 100 * 150);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("pick");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, picks_cost_least_within_the_limit, 0, 10);
	tcase_add_test(tc, a_limit_below_the_lightest_ways_is_refused);
	tcase_add_test(tc, many_items_are_picked_in_order_of_what_they_save);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
