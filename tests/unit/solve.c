/* passes/compression/solve.c: rows of few codes, rows with zeros. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "passes/compression/cluster.h"
#include "passes/compression/solve.h"
#include "tests/unit/unit_arena.h"

enum { D = 24, N = 200 };

static uint32_t seed;

static double
next(void)
{
	seed = seed * 1664525u + 1013904223u;
	return (double)(seed >> 8) / (1 << 23) - 1;
}

/* Moments of columns that depend on each other; x is x0 with noise. */
static void
make_moments(double *h, double *g, double noise)
{
	double mix[D][D];

	for (int i = 0; i < D; i++)
		for (int j = 0; j < D; j++)
			mix[i][j] = next() * (i == j ? 2 : 0.5);
	memset(h, 0, sizeof(double) * D * D);
	memset(g, 0, sizeof(double) * D * D);
	for (int n = 0; n < N; n++) {
		double base[D], x0[D] = {0}, x[D];

		for (int i = 0; i < D; i++)
			base[i] = next();
		for (int i = 0; i < D; i++) {
			for (int j = 0; j < D; j++)
				x0[i] += mix[i][j] * base[j];
			x[i] = x0[i] + noise * next();
		}
		for (int i = 0; i < D; i++)
			for (int j = 0; j < D; j++) {
				h[i * D + j] += x[i] * x[j] / (double)N;
				g[i * D + j] += x0[i] * x[j] / (double)N;
			}
	}
}

static Problem
make_problem(double noise)
{
	double h[D * D], g[D * D];
	Problem p;

	make_moments(h, g, noise);
	ck_assert(solve_prepare(&p, h, g, D, true, arena));
	return p;
}

static void
make_row(double *w)
{
	for (int i = 0; i < D; i++)
		w[i] = next();
}

/* (v - t) H (v - t)' */
static double
error_of(const Problem *p, const double *v, const double *t)
{
	double sum = 0;

	for (int i = 0; i < D; i++)
		for (int j = 0; j < D; j++)
			sum += (v[i] - t[i]) * p->h[i * D + j] * (v[j] - t[j]);
	return sum;
}

START_TEST(without_errors_before_the_target_is_the_row)
{
	Problem p = make_problem(0);
	float w[D];
	double t[D];

	for (int i = 0; i < D; i++)
		w[i] = (float)next();
	solve_target(&p, w, t, arena);
	for (int i = 0; i < D; i++)
		ck_assert_double_eq_tol(t[i], (double)w[i], 1e-9);
}
END_TEST

/* t solves t H = w H + w (G - H), H being damped. */
START_TEST(the_target_undoes_errors_before)
{
	double h[D * D], g[D * D], t[D];
	float w[D];
	Problem p;

	make_moments(h, g, 0.5);
	ck_assert(solve_prepare(&p, h, g, D, false, arena));
	for (int i = 0; i < D; i++)
		w[i] = (float)next();
	solve_target(&p, w, t, arena);
	for (int j = 0; j < D; j++) {
		double left = 0, right = 0;

		for (int i = 0; i < D; i++) {
			left += t[i] * p.h[i * D + j];
			right += (double)w[i] * (p.h[i * D + j] + g[i * D + j] - h[i * D + j]);
		}
		ck_assert_double_eq_tol(left, right, 1e-8);
	}
}
END_TEST

START_TEST(rounding_together_beats_rounding_each)
{
	static const int most[] = {1, 7, 127};
	Problem p = make_problem(0.1);
	double worse = 0, better = 0;

	for (int k = 0; k < 60; k++) {
		double t[D], code[D], each[D], v[D], scale = 1.0 / most[k % 3], fixed = scale;

		make_row(t);
		solve_round(&p, t, t, NULL, &(Grid){.most = most[k % 3]}, false, &scale, code, arena);
		ck_assert(scale == fixed);
		for (int i = 0; i < D; i++) {
			ck_assert(code[i] == rint(code[i]) && fabs(code[i]) <= most[k % 3]);
			v[i] = code[i] * scale;
			each[i] = fmin(fmax(rint(t[i] / scale), -most[k % 3]), most[k % 3]) * scale;
		}
		ck_assert_double_le(error_of(&p, v, t), error_of(&p, each, t) * (1 + 1e-9));
		better += error_of(&p, v, t);
		worse += error_of(&p, each, t);
	}
	ck_assert_double_le(better, worse / 2);
}
END_TEST

START_TEST(fitting_the_scale_does_not_make_it_worse)
{
	Problem p = make_problem(0.1);

	for (int k = 0; k < 20; k++) {
		double t[D], code[D], v[D], fitted[D], scale = 0.6, fit = 0.6;

		make_row(t);
		solve_round(&p, t, t, NULL, &(Grid){.most = 1}, false, &scale, code, arena);
		for (int i = 0; i < D; i++)
			v[i] = code[i] * scale;
		solve_round(&p, t, t, NULL, &(Grid){.most = 1}, true, &fit, code, arena);
		for (int i = 0; i < D; i++)
			fitted[i] = code[i] * fit;
		ck_assert_double_le(error_of(&p, fitted, t), error_of(&p, v, t) * (1 + 1e-9));
	}
}
END_TEST

/* At the least, single weights that are kept cannot be moved for the better. */
START_TEST(kept_weights_are_the_best_ones)
{
	Problem p = make_problem(0.1);
	double t[D], w[D];
	bool keep[D];

	make_row(t);
	for (int i = 0; i < D; i++)
		keep[i] = i % 3 != 0;
	solve_kept(&p, t, keep, w, arena);
	for (int j = 0; j < D; j++) {
		double slope = 0;

		for (int i = 0; i < D; i++)
			slope += (w[i] - t[i]) * p.h[i * D + j];
		if (keep[j])
			ck_assert_double_eq_tol(slope, 0, 1e-9);
		else
			ck_assert(w[j] == 0);
	}
}
END_TEST

/* The loss that the order states is what dropping costs. */
START_TEST(weights_are_dropped_for_what_they_cost)
{
	Problem p = make_problem(0.1);

	for (int k = 0; k < 10; k++) {
		int32_t order[D];
		double t[D], w[D], loss[D], sum = 0, least = HUGE_VAL;
		bool keep[D];

		make_row(t);
		ck_assert_int_eq(solve_drop_order(&p, t, NULL, NULL, D, order, loss, arena), D);
		for (int i = 0; i < D; i++)
			keep[i] = true;
		for (int i = 0; i < D / 2; i++) {
			ck_assert(keep[order[i]]);
			ck_assert(i == 0 || loss[i] >= loss[i - 1]);
			keep[order[i]] = false;
			sum += loss[i];
		}
		solve_kept(&p, t, keep, w, arena);
		/* The running maximum makes the sum an upper bound, floats a rough one. */
		ck_assert_double_le(error_of(&p, w, t), sum * 1.01);
		for (int i = 0; i < D; i++) {
			bool all_but[D];

			for (int j = 0; j < D; j++)
				all_but[j] = j != i;
			solve_kept(&p, t, all_but, w, arena);
			least = fmin(least, error_of(&p, w, t));
		}
		ck_assert_double_eq_tol(loss[0], least, least * 1e-3 + 1e-12);
	}
}
END_TEST

START_TEST(blocks_keep_as_many_as_they_must)
{
	Problem p = make_problem(0.1);
	int32_t block[D], most[D] = {0}, order[D], left[D] = {0}, n;
	double t[D], loss[D];

	make_row(t);
	for (int i = 0; i < D; i++) {
		block[i] = i / 4;
		left[block[i]]++;
	}
	for (int b = 0; b < D / 4; b++)
		most[b] = b == 2 ? 0 : 2;
	n = solve_drop_order(&p, t, block, most, D, order, loss, arena);
	ck_assert_int_eq(n, 2 * (D / 4 - 1));
	for (int i = 0; i < n; i++)
		left[block[order[i]]]--;
	for (int b = 0; b < D / 4; b++)
		ck_assert_int_eq(left[b], b == 2 ? 4 : 2);
}
END_TEST

/* Columns that were never seen, or always together, have no factor without damping. */
START_TEST(degenerate_moments_are_damped)
{
	double h[D * D] = {0}, t[D], code[D], scale = 0.1;
	Problem p;

	for (int i = 0; i < D / 2; i++)
		for (int j = 0; j < D / 2; j++)
			h[i * D + j] = 1;
	ck_assert(solve_prepare(&p, h, h, D, true, arena));
	make_row(t);
	solve_round(&p, t, t, NULL, &(Grid){.most = 7}, false, &scale, code, arena);
	for (int i = 0; i < D; i++)
		ck_assert(isfinite(code[i]));
	memset(h, 0, sizeof h);
	ck_assert(solve_prepare(&p, h, h, D, true, arena));
}
END_TEST

/* Blocks of different widths; the error of all rows without block b, fitted anew. */
enum { ROWS = 3, BLOCKS = 5 };
static const int32_t block_of[D] = {0, 0, 0, 0, 1, 1, 2, 2, 2, 2, 2, 2, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 1};

static double
error_without(const Problem *p, const double *target, const bool *gone)
{
	double sum = 0, v[D];
	bool keep[D];

	for (int j = 0; j < D; j++)
		keep[j] = !gone[block_of[j]];
	for (int r = 0; r < ROWS; r++) {
		solve_kept(p, target + r * D, keep, v, arena);
		sum += error_of(p, v, target + r * D);
	}
	return sum;
}

enum { READERS = 2 };

/* One after the other, each time the best of those that are left: of one reader, or of two
 * whose errors count differently. */
START_TEST(blocks_go_for_what_they_cost_all_rows)
{
	static const double weight[READERS] = {1, 3};
	Problem p[READERS] = {make_problem(0.3), make_problem(0.6)};
	bool gone[BLOCKS], greedy[BLOCKS] = {false};
	double target[READERS][ROWS * D];
	BlockReader r[READERS];
	int readers = 1 + _i % READERS;

	seed += (uint32_t)_i * 77u;
	for (int k = 0; k < READERS; k++) {
		for (int i = 0; i < ROWS; i++)
			make_row(target[k] + i * D);
		r[k] = (BlockReader){.d = D, .rows = ROWS, .inverse = p[k].inverse, .w = target[k],
		                     .block = block_of, .weight = weight[k]};
	}
	for (int drop = 1; drop < BLOCKS; drop++) {
		double least = HUGE_VAL;
		int best = -1;

		for (int b = 0; b < BLOCKS; b++) {
			double e = 0;

			if (greedy[b])
				continue;
			greedy[b] = true;
			for (int k = 0; k < readers; k++)
				e += weight[k] * error_without(&p[k], target[k], greedy);
			greedy[b] = false;
			if (e < least) {
				least = e;
				best = b;
			}
		}
		greedy[best] = true;
		solve_drop_blocks(r, readers, BLOCKS, drop, gone, arena);
		for (int b = 0; b < BLOCKS; b++)
			ck_assert_int_eq(gone[b], greedy[b]);
	}
}
END_TEST

/* Of one row: blocks in order are those that the greedy choice takes, by column. */
START_TEST(blocks_of_a_row_go_one_after_the_other)
{
	enum { FOURS = D / 4 };
	Problem p = make_problem(0.4);
	int32_t block[D], order[FOURS], n;
	double target[D], loss[FOURS], v[D], before = 0;
	bool keep[D];

	seed += (uint32_t)_i * 91u;
	make_row(target);
	for (int j = 0; j < D; j++) {
		block[j] = j % FOURS;
		keep[j] = true;
	}
	n = solve_drop_block_order(&p, target, block, FOURS, FOURS, order, loss, arena);
	ck_assert_int_eq(n, FOURS);
	for (int k = 0; k < n; k++) {
		double least = HUGE_VAL, e;
		int best = -1;

		for (int b = 0; b < FOURS; b++) {
			if (!keep[b])
				continue;
			for (int j = b; j < D; j += FOURS)
				keep[j] = false;
			solve_kept(&p, target, keep, v, arena);
			e = error_of(&p, v, target);
			if (e < least) {
				least = e;
				best = b;
			}
			for (int j = b; j < D; j += FOURS)
				keep[j] = true;
		}
		ck_assert_int_eq(order[k], best);
		ck_assert(loss[k] >= (k ? loss[k - 1] : 0));
		ck_assert(fabs(4 * loss[k] - (least - before)) < 1e-3 * least || k > 0);
		before = least;
		for (int j = best; j < D; j += FOURS)
			keep[j] = false;
	}
}
END_TEST

/* Without moments the smallest weights go, and columns without a block stay. */
START_TEST(blocks_without_moments_go_by_their_weights)
{
	static const double w[6] = {0.1, 3, 0.5, 0.5, 0.2, 9};
	static const int32_t block[6] = {0, 0, 1, 1, 2, -1};
	BlockReader r = {.d = 6, .rows = 1, .w = w, .block = block, .weight = 1};
	bool gone[3];

	solve_drop_blocks(&r, 1, 3, 2, gone, arena);
	ck_assert(!gone[0]);
	ck_assert(gone[1]);
	ck_assert(gone[2]);
}
END_TEST

/* The error of numbers that become the nearest color. */
static double
error_of_palette(const double *x, const double *weight, int n, const double *color, int colors)
{
	double sum = 0;

	for (int i = 0; i < n; i++) {
		double least = HUGE_VAL;

		for (int k = 0; k < colors; k++)
			least = fmin(least, (x[i] - color[k]) * (x[i] - color[k]));
		sum += weight[i] * least;
	}
	return sum;
}

/* Against every set of three whole numbers. */
START_TEST(no_palette_is_better_than_the_one_that_is_found)
{
	enum { NUMBERS = 30, MOST = 9, COLORS = 3 };
	double x[NUMBERS], weight[NUMBERS], color[COLORS], found;
	Cluster *c = cluster_new(MOST, arena);
	bool zero = _i % 2;

	seed = 500u + (uint32_t)_i;
	for (int i = 0; i < NUMBERS; i++) {
		x[i] = rint((next() + 0.3) * 6 * 8) / 8;
		weight[i] = 1 + next();
		cluster_add(c, x[i], weight[i]);
	}
	ck_assert_int_eq(cluster_find(c, COLORS, zero, color, arena), COLORS);
	found = error_of_palette(x, weight, NUMBERS, color, COLORS);
	ck_assert(!zero || color[0] == 0 || color[1] == 0 || color[2] == 0);
	for (int i = -MOST; i <= MOST; i++)
		for (int k = i; k <= MOST; k++)
			for (int m = k; m <= MOST; m++) {
				const double other[] = {i, k, m};

				if (!zero || i == 0 || k == 0 || m == 0)
					ck_assert_double_le(found, error_of_palette(x, weight, NUMBERS, other,
					                                            COLORS) + 1e-9);
			}
}
END_TEST

START_TEST(rounded_colors_are_few_and_ascending)
{
	double color[] = {3.4, -200, 0.6, 2.6, 1.2};

	ck_assert_int_eq(cluster_round(color, 5, 127, true), 4);
	ck_assert(color[0] == -127 && color[1] == 0 && color[2] == 1 && color[3] == 3);
}
END_TEST

/* With the codes given, no other values are better. */
START_TEST(colors_are_the_best_for_their_codes)
{
	enum { COLORS = 3 };
	Problem p;
	double t[D], w[D], m[COLORS * COLORS] = {0}, v[COLORS] = {0}, best;
	int color[D];

	seed = 77;
	p = make_problem(0.2);
	for (int i = 0; i < D; i++) {
		t[i] = next();
		color[i] = i % (COLORS + 1) - 1;
	}
	solve_add_colors(&p, t, color, COLORS, 0.5, m, v, arena);
	ck_assert(solve_positive(m, v, COLORS, arena));
	for (int i = 0; i < D; i++)
		w[i] = color[i] < 0 ? 0 : 0.5 * v[color[i]];
	best = error_of(&p, t, w);
	for (int k = 0; k < COLORS; k++)
		for (int up = -1; up <= 1; up += 2) {
			double other[D];

			for (int i = 0; i < D; i++)
				other[i] = w[i] + (color[i] == k ? 0.05 * up : 0);
			ck_assert_double_gt(error_of(&p, t, other), best);
		}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("solve");
	TCase *tc = tcase_create("solve");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, without_errors_before_the_target_is_the_row);
	tcase_add_test(tc, the_target_undoes_errors_before);
	tcase_add_test(tc, rounding_together_beats_rounding_each);
	tcase_add_test(tc, fitting_the_scale_does_not_make_it_worse);
	tcase_add_test(tc, kept_weights_are_the_best_ones);
	tcase_add_test(tc, weights_are_dropped_for_what_they_cost);
	tcase_add_test(tc, blocks_keep_as_many_as_they_must);
	tcase_add_loop_test(tc, blocks_go_for_what_they_cost_all_rows, 0, 8);
	tcase_add_loop_test(tc, blocks_of_a_row_go_one_after_the_other, 0, 10);
	tcase_add_test(tc, blocks_without_moments_go_by_their_weights);
	tcase_add_test(tc, degenerate_moments_are_damped);
	tcase_add_loop_test(tc, no_palette_is_better_than_the_one_that_is_found, 0, 6);
	tcase_add_test(tc, rounded_colors_are_few_and_ascending);
	tcase_add_test(tc, colors_are_the_best_for_their_codes);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
