/*
 * Reductions over every set of axes against a direct sum in double; extrema,
 * running sums and the k greatest against their definitions.
 */
#include <string.h>

#include "tests/unit/run_node.h"

typedef Attr_REDUCE_SUM Attr_REDUCE;

static const Op reductions[] = {OP_REDUCE_SUM,        OP_REDUCE_MEAN,       OP_REDUCE_MAX,
                                OP_REDUCE_MIN,        OP_REDUCE_PROD,       OP_REDUCE_L1,
                                OP_REDUCE_L2,         OP_REDUCE_SUM_SQUARE, OP_REDUCE_LOG_SUM,
                                OP_REDUCE_LOG_SUM_EXP};
enum { REDUCTIONS = sizeof reductions / sizeof reductions[0] };

static double
start(Op op)
{
	return op == OP_REDUCE_MAX    ? -HUGE_VAL
	       : op == OP_REDUCE_MIN  ? HUGE_VAL
	       : op == OP_REDUCE_PROD ? 1
	                              : 0;
}

static double
add(Op op, double sum, double x)
{
	switch ((int)op) {
	case OP_REDUCE_MAX: return x > sum ? x : sum;
	case OP_REDUCE_MIN: return x < sum ? x : sum;
	case OP_REDUCE_PROD: return sum * x;
	case OP_REDUCE_L1: return sum + fabs(x);
	case OP_REDUCE_L2:
	case OP_REDUCE_SUM_SQUARE: return sum + x * x;
	case OP_REDUCE_LOG_SUM_EXP: return sum + exp(x);
	default: return sum + x;
	}
}

static double
finish(Op op, double sum, int32_t count)
{
	switch ((int)op) {
	case OP_REDUCE_MEAN: return sum / count;
	case OP_REDUCE_L2: return sqrt(sum);
	case OP_REDUCE_LOG_SUM:
	case OP_REDUCE_LOG_SUM_EXP: return log(sum);
	default: return sum;
	}
}

/* Sets axes and keepdims; all reductions have the same attributes. */
static void
set_reduce(Run *r, int n, const int64_t *axes, bool keepdims)
{
	Attr_REDUCE a = {.axes = ints(r, n, axes), .keepdims = keepdims};

	memcpy(r->node->attr, &a, sizeof a);
}

static bool
is_in(unsigned set, int i)
{
	return set >> i & 1;
}

/* Fills in what x reduced over `set` is, in order of the output. */
static void
reduce(Op op, const Type *t, unsigned set, const double *x, double *y, int32_t outputs)
{
	int32_t count = 1;

	for (int i = 0; i < t->rank; i++)
		count *= is_in(set, i) ? t->dim[i] : 1;
	for (int32_t k = 0; k < outputs; k++)
		y[k] = start(op);
	for (int32_t k = 0; k < type_numel(t); k++) {
		int32_t at = 0, rest = k, stride = 1;

		for (int i = t->rank; i-- > 0; rest /= t->dim[i]) {
			if (is_in(set, i))
				continue;
			at += rest % t->dim[i] * stride;
			stride *= t->dim[i];
		}
		y[at] = add(op, y[at], x[k]);
	}
	for (int32_t k = 0; k < outputs; k++)
		y[k] = finish(op, y[k], count);
}

static void
reduce_all_sets(Op op, DType t, int rank, const int32_t *dim)
{
	uint32_t seed = (uint32_t)op;

	for (unsigned set = 0; set < 1u << rank; set++) {
		for (int keepdims = 0; keepdims < 2; keepdims++) {
			int64_t axes[MAX_RANK];
			int n = 0;
			int32_t count;
			double *x, *y;
			Run r;

			run_begin(&r);
			run_random(&r, t, rank, dim, &seed);
			x = run_input(&r, 0);
			for (int32_t k = 0;
			     op == OP_REDUCE_LOG_SUM && k < type_numel(&r.in[0]->type); k++)
				num_store(t, r.data[0], (size_t)k, x[k] = fabs(x[k]) + 1);
			for (int i = 0; i < rank; i++)
				if (is_in(set, i))
					axes[n++] = i;
			run_node(&r, op, 1);
			set_reduce(&r, n, axes, keepdims);
			run_compute(&r);
			ck_assert_int_eq(r.node->out[0]->type.rank, keepdims ? rank : rank - n);
			count = type_numel(&r.node->out[0]->type);
			y = ARENA_ARRAY(r.arena, double, count);
			reduce(op, &r.in[0]->type, set, x, y, count);
			for (int32_t k = 0; k < count && !dtype_is_float(t); k++)
				y[k] = trunc(y[k]);
			expect_close(&r, 0, y, t == DT_F16 ? 2e-3 : t == DT_BF16 ? 2e-2 : 1e-5);
			run_end(&r);
		}
	}
}

SWEEP(every_set_of_axes_is_reduced, REDUCTIONS)
{
	static const DType types[] = {DT_F32, DT_F64, DT_F16, DT_BF16, DT_I32, DT_I64};

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		reduce_all_sets(reductions[_i], types[i], 0, NULL);
		reduce_all_sets(reductions[_i], types[i], DIMS(3));
		reduce_all_sets(reductions[_i], types[i], DIMS(2, 3, 2));
		reduce_all_sets(reductions[_i], types[i], DIMS(2, 1, 2, 1, 1, 1, 2, 1));
	}
}

SWEEP(nothing_reduces_to_the_identity, REDUCTIONS)
{
	Op op = reductions[_i];
	double expected = op == OP_REDUCE_MEAN ? NOT_A_NUMBER : finish(op, start(op), 1);
	Run r;

	run_begin(&r);
	run_zeros(&r, DT_F32, DIMS(2, 0, 3));
	run_node(&r, op, 1);
	set_reduce(&r, 1, (const int64_t[]){1}, true);
	run_compute(&r);
	ck_assert_int_eq(type_numel(&r.node->out[0]->type), 6);
	for (int i = 0; i < 6; i++) {
		double y = run_output(&r, 0)[i];

		ck_assert(y == expected || (isnan(y) && isnan(expected)));
	}
	run_end(&r);
}

/* The least and greatest of no integers are the ends of their type. */
START_TEST(no_integers_have_the_ends_of_their_type_as_extrema)
{
	for (DType t = DT_BOOL; t <= DT_U64; t++) {
		bool is_signed = dtype_info[t].class == CLASS_SIGNED;
		int bits = t == DT_BOOL ? 1 : 8 * dtype_info[t].bytes;
		double least = is_signed ? -ldexp(1, bits - 1) : 0;
		double greatest = ldexp(1, is_signed ? bits - 1 : bits) - 1;

		for (int max = 0; max < 2; max++) {
			Run r;

			run_begin(&r);
			run_zeros(&r, t, DIMS(0));
			run_node(&r, max ? OP_REDUCE_MAX : OP_REDUCE_MIN, 1);
			set_reduce(&r, 1, (const int64_t[]){0}, false);
			run_compute(&r);
			/* As doubles the 64-bit ends round up. */
			if (t == DT_U64)
				ck_assert(num_load_int(t, r.result[0], 0) == (max ? 0 : -1));
			else
				ck_assert(run_output(&r, 0)[0] == (max ? least : greatest));
			run_end(&r);
		}
	}
}
END_TEST

START_TEST(means_of_integers_truncate)
{
	Run r;

	run_begin(&r);
	run_numbers(&r, DT_I8, DIMS(2, 3), (const double[]){100, 100, 101, -1, -2, -2});
	run_node(&r, OP_REDUCE_MEAN, 1);
	set_reduce(&r, 1, (const int64_t[]){1}, false);
	run_compute(&r);
	expect_equal(&r, 0, (const double[]){100, -1});
	run_end(&r);
}
END_TEST

START_TEST(log_sum_exp_survives_large_and_infinite_elements)
{
	static const double x[] = {1000,      1000,     -1000, -1000,     -HUGE_VAL,
	                           -HUGE_VAL, HUGE_VAL, 1,     -HUGE_VAL, 3};
	double y[] = {1000 + log(2), -1000 + log(2), -HUGE_VAL, HUGE_VAL, 3};
	Run r;

	run_begin(&r);
	run_numbers(&r, DT_F32, DIMS(5, 2), x);
	run_node(&r, OP_REDUCE_LOG_SUM_EXP, 1);
	set_reduce(&r, 1, (const int64_t[]){1}, false);
	run_compute(&r);
	for (int i = 0; i < 5; i++) {
		double got = run_output(&r, 0)[i];

		ck_assert(got == y[i] || fabs(got - y[i]) < 1e-4);
	}
	run_end(&r);
}
END_TEST

SWEEP(extrema_keep_nan, 2)
{
	double x[3] = {1, 2, 3};

	for (int at = 0; at < 3; at++) {
		Run r;

		run_begin(&r);
		x[at] = NOT_A_NUMBER;
		run_numbers(&r, DT_F32, DIMS(3), x);
		x[at] = at + 1;
		run_node(&r, _i ? OP_REDUCE_MAX : OP_REDUCE_MIN, 1);
		set_reduce(&r, 1, (const int64_t[]){0}, false);
		run_compute(&r);
		ck_assert(isnan(run_output(&r, 0)[0]));
		run_end(&r);
	}
}

SWEEP(bad_axes_are_reported, 4)
{
	static const int64_t axes[][2] = {{1, 0}, {1, 1}, {0, 2}, {-1, 0}};
	Run r;

	run_begin(&r);
	run_zeros(&r, DT_F32, DIMS(2, 3));
	run_node(&r, OP_REDUCE_SUM, 1);
	set_reduce(&r, 2, axes[_i], true);
	expect_error(&r, E_ATTRIBUTE);
	run_end(&r);
}

/* ---- Along one axis ---- */

/* The flat index of element k of line `line` along an axis. */
static int32_t
place(const Type *t, int axis, int32_t line, int32_t k)
{
	int32_t inner = type_product(t, axis + 1, t->rank);

	return (line / inner * t->dim[axis] + k) * inner + line % inner;
}

static Run
random_line_run(uint32_t seed, int *axis, double **x)
{
	static const DType types[] = {DT_F32, DT_F64, DT_F16, DT_I8, DT_U8, DT_I32, DT_U64};
	int32_t dim[3];
	int rank = random_int(&seed, 1, 3);
	Run r;

	for (int i = 0; i < rank; i++)
		dim[i] = random_int(&seed, 1, 5);
	*axis = random_int(&seed, 0, rank - 1);
	run_begin(&r);
	run_random(&r, types[random_int(&seed, 0, 6)], rank, dim, &seed);
	*x = run_input(&r, 0);
	return r;
}

SWEEP(extrema_are_found_with_their_first_or_last_place, 400)
{
	double *x;
	int axis;
	bool max = _i & 1, last = _i & 2;
	Run r = random_line_run((uint32_t)_i, &axis, &x);
	const Type *t = &r.in[0]->type;
	Attr_ARG_MAX a = {.axis = axis, .keepdims = _i & 4, .select_last = last};

	run_node(&r, max ? OP_ARG_MAX : OP_ARG_MIN, 1);
	memcpy(r.node->attr, &a, sizeof a);
	run_compute(&r);
	ck_assert_int_eq(r.node->out[0]->type.rank, _i & 4 ? t->rank : t->rank - 1);
	for (int32_t line = 0; line < type_numel(t) / t->dim[axis]; line++) {
		int32_t best = 0;

		for (int32_t k = 1; k < t->dim[axis]; k++) {
			double v = x[place(t, axis, line, k)], w = x[place(t, axis, line, best)];

			if ((max ? v > w : v < w) || (last && v == w))
				best = k;
		}
		ck_assert_int_eq(num_load_int(DT_I64, r.result[0], (size_t)line), best);
	}
	run_end(&r);
}

SWEEP(running_sums_are_right, 400)
{
	double *x, *y;
	int axis;
	Run r = random_line_run((uint32_t)_i, &axis, &x);
	const Type *t = &r.in[0]->type;
	int32_t length = t->dim[axis];
	Attr_CUM_SUM *a = run_node(&r, OP_CUM_SUM, 1);

	a->axis = axis;
	a->exclusive = _i & 1;
	a->reverse = _i & 2;
	run_compute(&r);
	y = ARENA_ARRAY(r.arena, double, type_numel(t));
	for (int32_t line = 0; line < type_numel(t) / length; line++) {
		double sum = 0;

		for (int32_t k = 0; k < length; k++) {
			int32_t at = place(t, axis, line, a->reverse ? length - 1 - k : k);

			y[at] = a->exclusive ? sum : sum + x[at];
			sum += x[at];
		}
	}
	expect_equal(&r, 0, y);
	run_end(&r);
}

/* How many elements of the line come before element k. */
static int32_t
rank_of(const Type *t, int axis, int32_t line, int32_t k, const double *x, bool largest)
{
	double v = x[place(t, axis, line, k)];
	int32_t rank = 0;

	for (int32_t j = 0; j < t->dim[axis]; j++) {
		double w = x[place(t, axis, line, j)];

		rank += (largest ? w > v : w < v) || (w == v && j < k);
	}
	return rank;
}

SWEEP(the_k_greatest_come_in_order, 400)
{
	double *x;
	int axis;
	Run r = random_line_run((uint32_t)_i, &axis, &x);
	const Type *t = &r.in[0]->type;
	Attr_TOP_K *a = run_node(&r, OP_TOP_K, 2);
	Type out = *t;

	a->axis = axis;
	a->k = _i % (t->dim[axis] + 1);
	a->largest = _i & 1;
	out.dim[axis] = (int32_t)a->k;
	run_compute(&r);
	ck_assert(type_equal(&out, &r.node->out[0]->type));
	for (int32_t line = 0; line < type_numel(t) / t->dim[axis]; line++) {
		for (int32_t k = 0; k < t->dim[axis]; k++) {
			int32_t rank = rank_of(t, axis, line, k, x, a->largest), at;

			if (rank >= a->k)
				continue;
			at = place(&out, axis, line, rank);
			ck_assert_int_eq(num_load_int(DT_I64, r.result[1], (size_t)at), k);
			ck_assert(run_output(&r, 0)[at] == x[place(t, axis, line, k)]);
		}
	}
	run_end(&r);
}

/* NaN is the greatest of all, and every output is one of the inputs. */
SWEEP(top_k_sorts_nan_too, 2)
{
	static const int64_t order[2][4] = {{3, 0, 2, 1}, {1, 2, 0, 3}};
	double x[] = {-1, NOT_A_NUMBER, 5, -HUGE_VAL};
	Attr_TOP_K *a;
	Run r;

	run_begin(&r);
	run_numbers(&r, DT_F32, DIMS(4), x);
	a = run_node(&r, OP_TOP_K, 2);
	a->k = 4;
	a->largest = _i;
	run_compute(&r);
	for (size_t k = 0; k < 4; k++)
		ck_assert_int_eq(num_load_int(DT_I64, r.result[1], k), order[_i][k]);
	run_end(&r);
}

START_TEST(extrema_of_nothing_are_reported)
{
	Run r;

	run_begin(&r);
	run_zeros(&r, DT_F32, DIMS(2, 0));
	((Attr_ARG_MAX *)run_node(&r, OP_ARG_MAX, 1))->axis = 1;
	expect_error(&r, E_SHAPE);
	run_end(&r);

	run_begin(&r);
	run_zeros(&r, DT_F32, DIMS(2, 2));
	((Attr_TOP_K *)run_node(&r, OP_TOP_K, 1))->k = 3;
	expect_error(&r, E_ATTRIBUTE);
	run_end(&r);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("reduce");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, every_set_of_axes_is_reduced);
	tcase_add_test(tc, nothing_reduces_to_the_identity);
	tcase_add_test(tc, no_integers_have_the_ends_of_their_type_as_extrema);
	tcase_add_test(tc, means_of_integers_truncate);
	tcase_add_test(tc, log_sum_exp_survives_large_and_infinite_elements);
	tcase_add_test(tc, extrema_keep_nan);
	tcase_add_test(tc, bad_axes_are_reported);
	tcase_add_test(tc, extrema_are_found_with_their_first_or_last_place);
	tcase_add_test(tc, running_sums_are_right);
	tcase_add_test(tc, the_k_greatest_come_in_order);
	tcase_add_test(tc, top_k_sorts_nan_too);
	tcase_add_test(tc, extrema_of_nothing_are_reported);
	return run_suite(tc, "reductions");
}
