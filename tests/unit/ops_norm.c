/*
 * Normalisation, softmax and quantisation against their formulas in double.
 */
#include "tests/unit/run_node.h"

static const struct {
	DType t;
	double tolerance;
} types[] = {{DT_F32, 1e-5}, {DT_F64, 1e-12}, {DT_F16, 4e-3}, {DT_BF16, 3e-2}};
enum { TYPES = sizeof types / sizeof types[0] };

static double
mean(const double *x, int32_t n, int32_t stride)
{
	double sum = 0;

	for (int32_t i = 0; i < n; i++)
		sum += x[i * stride];
	return sum / n;
}

static double
variance(const double *x, int32_t n, int32_t stride)
{
	double m = mean(x, n, stride), sum = 0;

	for (int32_t i = 0; i < n; i++)
		sum += (x[i * stride] - m) * (x[i * stride] - m);
	return sum / n;
}

/* ---- Batch, instance, group ---- */

enum { BATCH = 2, CHANNELS = 6, SPACE = 5 };

/* x [2, 6, 5] and vectors of its channels; positive ones last. */
static void
add_channels(Run *r, DType t, int vectors, uint32_t *seed)
{
	run_random(r, t, DIMS(BATCH, CHANNELS, SPACE), seed);
	for (int i = 0; i < vectors; i++)
		run_random(r, t, DIMS(CHANNELS), seed);
}

SWEEP(batch_norm_expands_to_the_formula, TYPES)
{
	uint32_t seed = 1;
	double *x, *in[5], y[BATCH * CHANNELS * SPACE];
	Run r;

	run_begin(&r);
	add_channels(&r, types[_i].t, 4, &seed);
	for (int i = 0; i < 5; i++)
		in[i] = run_input(&r, i);
	x = in[0];
	for (int i = 0; i < CHANNELS; i++)
		num_store(types[_i].t, r.data[4], (size_t)i, in[4][i] = fabs(in[4][i]) + 1);
	((Attr_BATCH_NORM *)run_node(&r, OP_BATCH_NORM, 1))->epsilon = 0.25;
	run_expanded(&r);
	for (int i = 0; i < BATCH * CHANNELS * SPACE; i++) {
		int c = i / SPACE % CHANNELS;

		y[i] = (x[i] - in[3][c]) / sqrt(in[4][c] + 0.25) * in[1][c] + in[2][c];
	}
	expect_close(&r, 0, y, types[_i].tolerance);
	run_end(&r);
}

SWEEP(groups_are_normalised_alone, TYPES)
{
	static const int groups[] = {1, 2, 3, 6, 0}; /* 0: instance_norm */
	uint32_t seed = 2;

	for (int k = 0; k < 5; k++) {
		int32_t count = groups[k] ? groups[k] : CHANNELS, size = CHANNELS / count * SPACE;
		double *x, *scale, *bias, y[BATCH * CHANNELS * SPACE];
		Run r;

		run_begin(&r);
		add_channels(&r, types[_i].t, 2, &seed);
		x = run_input(&r, 0);
		scale = run_input(&r, 1);
		bias = run_input(&r, 2);
		run_node(&r, groups[k] ? OP_GROUP_NORM : OP_INSTANCE_NORM, 1);
		if (groups[k])
			*(Attr_GROUP_NORM *)r.node->attr =
				(Attr_GROUP_NORM){.groups = groups[k], .epsilon = 0.5};
		else
			((Attr_INSTANCE_NORM *)r.node->attr)->epsilon = 0.5;
		run_compute(&r);
		for (int i = 0; i < BATCH * CHANNELS * SPACE; i++) {
			const double *start = x + i / size * size;
			int c = i / SPACE % CHANNELS;

			y[i] = (x[i] - mean(start, size, 1)) /
			               sqrt(variance(start, size, 1) + 0.5) * scale[c] +
			       bias[c];
		}
		expect_close(&r, 0, y, types[_i].tolerance);
		run_end(&r);
	}
}

SWEEP(groups_must_divide_the_channels, 5)
{
	static const int64_t bad[] = {0, -1, 4, 7, INT64_MAX};
	uint32_t seed = 3;
	Run r;

	run_begin(&r);
	add_channels(&r, DT_F32, 2, &seed);
	((Attr_GROUP_NORM *)run_node(&r, OP_GROUP_NORM, 1))->groups = bad[_i];
	expect_error(&r, E_ATTRIBUTE);
	run_end(&r);
}

/* ---- Layer normalisation ---- */

/* Operands that broadcast to [2, 3, 4] in different ways. */
static const struct {
	int rank;
	int32_t dim[3];
} operands[] = {{3, {2, 3, 4}}, {2, {3, 4}}, {1, {4}},       {0, {0}},
                {3, {1, 3, 4}}, {2, {3, 1}}, {3, {2, 1, 1}}, {3, {1, 1, 1}}};
enum { OPERANDS = sizeof operands / sizeof operands[0] };

static double
seen(const double *v, const Type *t, int32_t at)
{
	int32_t place[3] = {at / 12, at / 4 % 3, at % 4}, k = 0;

	for (int i = 0; i < t->rank; i++)
		k = k * t->dim[i] + (t->dim[i] == 1 ? 0 : place[3 - t->rank + i]);
	return v[k];
}

SWEEP(layers_are_normalised_from_the_axis_on, 3 * OPERANDS * OPERANDS)
{
	int axis = _i % 3, s = _i / 3 % OPERANDS, b = _i / 3 / OPERANDS % OPERANDS;
	int type = _i % TYPES;
	int32_t size = axis == 0 ? 24 : axis == 1 ? 12 : 4;
	double *x, *scale, *bias, y[24], m[24], inverse[24];
	uint32_t seed = (uint32_t)_i;
	Attr_LAYER_NORM *a;
	Run r;

	run_begin(&r);
	run_random(&r, types[type].t, DIMS(2, 3, 4), &seed);
	run_random(&r, types[type].t, operands[s].rank, operands[s].dim, &seed);
	run_random(&r, types[type].t, operands[b].rank, operands[b].dim, &seed);
	x = run_input(&r, 0);
	scale = run_input(&r, 1);
	bias = run_input(&r, 2);
	a = run_node(&r, OP_LAYER_NORM, 3);
	a->axis = axis;
	a->epsilon = 0.125;
	run_compute(&r);
	for (int32_t i = 0; i < 24; i++) {
		double *start = x + i / size * size;

		m[i / size] = mean(start, size, 1);
		inverse[i / size] = 1 / sqrt(variance(start, size, 1) + 0.125);
		y[i] = (x[i] - m[i / size]) * inverse[i / size] * seen(scale, &r.in[1]->type, i) +
		       seen(bias, &r.in[2]->type, i);
	}
	expect_close(&r, 0, y, types[type].tolerance);
	expect_close(&r, 1, m, types[type].tolerance);
	expect_close(&r, 2, inverse, types[type].tolerance);
	ck_assert_int_eq(r.node->out[1]->type.dtype, dtype_compute(types[type].t));
	run_end(&r);
}

START_TEST(layer_norm_works_without_bias_and_statistics)
{
	Run r;

	run_begin(&r);
	run_numbers(&r, DT_F32, DIMS(1, 2), (const double[]){1, 3});
	run_numbers(&r, DT_F32, DIMS(2), (const double[]){1, 10});
	*(Attr_LAYER_NORM *)run_node(&r, OP_LAYER_NORM, 1) = (Attr_LAYER_NORM){.axis = 1};
	run_compute(&r);
	expect_close(&r, 0, (const double[]){-1, 10}, 1e-6);
	run_end(&r);
}
END_TEST

/* ---- Local response, Lp ---- */

SWEEP(local_response_sums_the_channels_around, 6)
{
	static const int64_t sizes[] = {1, 2, 3, 4, 9, INT32_MAX};
	int64_t size = sizes[_i];
	double *x, y[BATCH * CHANNELS * SPACE];
	uint32_t seed = 4;
	Run r;

	run_begin(&r);
	add_channels(&r, DT_F32, 0, &seed);
	x = run_input(&r, 0);
	*(Attr_LRN *)run_node(&r, OP_LRN, 1) =
		(Attr_LRN){.size = size, .alpha = 0.5, .beta = 0.75, .bias = 2};
	run_compute(&r);
	for (int i = 0; i < BATCH * CHANNELS * SPACE; i++) {
		int c = i / SPACE % CHANNELS;
		double sum = 0;

		for (int k = 0; k < CHANNELS; k++)
			if (k >= c - (size - 1) / 2 && k <= c + size / 2)
				sum += x[i + (k - c) * SPACE] * x[i + (k - c) * SPACE];
		y[i] = x[i] / pow(2 + 0.5 / (double)size * sum, 0.75);
	}
	expect_close(&r, 0, y, 1e-5);
	run_end(&r);
}

/* Calls fn for every line of a tensor of type t along `axis`. */
typedef void OnLine(const double *x, double *y, int32_t n, int32_t stride);

static void
on_all_lines(OnLine *fn, const Type *t, int axis, const double *x, double *y)
{
	int32_t inner = type_product(t, axis + 1, t->rank), n = t->dim[axis];

	for (int32_t line = 0; line < type_numel(t) / n; line++) {
		int32_t start = line / inner * n * inner + line % inner;

		fn(x + start, y + start, n, inner);
	}
}

static void
l1(const double *x, double *y, int32_t n, int32_t stride)
{
	double sum = 0;

	for (int32_t i = 0; i < n; i++)
		sum += fabs(x[i * stride]);
	for (int32_t i = 0; i < n; i++)
		y[i * stride] = sum == 0 ? 0 : x[i * stride] / sum;
}

static void
l2(const double *x, double *y, int32_t n, int32_t stride)
{
	double sum = 0;

	for (int32_t i = 0; i < n; i++)
		sum += x[i * stride] * x[i * stride];
	for (int32_t i = 0; i < n; i++)
		y[i * stride] = sum == 0 ? 0 : x[i * stride] / sqrt(sum);
}

static void
softmax(const double *x, double *y, int32_t n, int32_t stride)
{
	double sum = 0;

	for (int32_t i = 0; i < n; i++)
		sum += exp(x[i * stride]);
	for (int32_t i = 0; i < n; i++)
		y[i * stride] = exp(x[i * stride]) / sum;
}

static void
log_softmax(const double *x, double *y, int32_t n, int32_t stride)
{
	softmax(x, y, n, stride);
	for (int32_t i = 0; i < n; i++)
		y[i * stride] = log(y[i * stride]);
}

static void
hardmax(const double *x, double *y, int32_t n, int32_t stride)
{
	int32_t best = 0;

	for (int32_t i = 1; i < n; i++)
		best = x[i * stride] > x[best * stride] ? i : best;
	for (int32_t i = 0; i < n; i++)
		y[i * stride] = i == best;
}

SWEEP(lines_are_normalised_along_any_axis, 500)
{
	static OnLine *const functions[] = {l1, l2, softmax, log_softmax, hardmax};
	static const Op ops[] = {OP_LP_NORM, OP_LP_NORM, OP_SOFTMAX, OP_LOG_SOFTMAX, OP_HARDMAX};
	uint32_t seed = (uint32_t)_i;
	int op = _i % 5, type = _i / 5 % TYPES;
	int32_t dim[4];
	int rank = random_int(&seed, 1, 4), axis = random_int(&seed, 0, rank - 1);
	double *x, *y;
	Run r;

	for (int i = 0; i < rank; i++)
		dim[i] = random_int(&seed, 1, 4);
	run_begin(&r);
	run_random(&r, types[type].t, rank, dim, &seed);
	x = run_input(&r, 0);
	y = ARENA_ARRAY(r.arena, double, type_numel(&r.in[0]->type));
	run_node(&r, ops[op], 1);
	switch ((int)ops[op]) {
	case OP_LP_NORM:
		*(Attr_LP_NORM *)r.node->attr = (Attr_LP_NORM){.axis = axis, .p = op + 1};
		break;
	case OP_SOFTMAX: ((Attr_SOFTMAX *)r.node->attr)->axis = axis; break;
	case OP_LOG_SOFTMAX: ((Attr_LOG_SOFTMAX *)r.node->attr)->axis = axis; break;
	default: ((Attr_HARDMAX *)r.node->attr)->axis = axis; break;
	}
	run_compute(&r);
	on_all_lines(functions[op], &r.in[0]->type, axis, x, y);
	expect_close(&r, 0, y, types[type].tolerance);
	run_end(&r);
}

START_TEST(softmax_is_stable)
{
	Run r;

	run_begin(&r);
	run_numbers(&r, DT_F32, DIMS(3, 2),
	            (const double[]){1000, 1000, -1000, -999, -HUGE_VAL, 5});
	((Attr_SOFTMAX *)run_node(&r, OP_SOFTMAX, 1))->axis = 1;
	run_compute(&r);
	expect_close(&r, 0, (const double[]){0.5, 0.5, 0.2689414213, 0.7310585786, 0, 1}, 1e-6);
	((Attr_LOG_SOFTMAX *)run_node(&r, OP_LOG_SOFTMAX, 1))->axis = 1;
	run_compute(&r);
	ck_assert(run_output(&r, 0)[4] == -HUGE_VAL);
	ck_assert_double_eq_tol(run_output(&r, 0)[2], -1.3132616875, 1e-5);
	run_end(&r);
}
END_TEST

START_TEST(softmax_takes_beta_times_its_input)
{
	Run r;

	run_begin(&r);
	run_numbers(&r, DT_F32, DIMS(2), (const double[]){0, 2});
	*(Attr_SOFTMAX *)run_node(&r, OP_SOFTMAX, 1) = (Attr_SOFTMAX){.axis = 0, .beta = 0.5};
	run_compute(&r);
	expect_close(&r, 0, (const double[]){0.2689414213, 0.7310585786}, 1e-6);
	run_end(&r);
}
END_TEST

START_TEST(a_norm_is_at_least_epsilon)
{
	Run r;

	run_begin(&r);
	run_numbers(&r, DT_F32, DIMS(3, 2), (const double[]){3, 4, 0, 0.25, 0, 0});
	*(Attr_LP_NORM *)run_node(&r, OP_LP_NORM, 1) =
		(Attr_LP_NORM){.axis = 1, .p = 2, .epsilon = 0.5};
	run_compute(&r);
	expect_close(&r, 0, (const double[]){0.6, 0.8, 0, 0.5, 0, 0}, 1e-6);
	run_end(&r);
}
END_TEST

/* ---- Quantisation ---- */

static double
saturated(DType t, double v)
{
	int bits = 8 * dtype_info[t].bytes;
	bool is_signed = dtype_info[t].class == CLASS_SIGNED;

	return fmin(fmax(v, is_signed ? -ldexp(1, bits - 1) : 0),
	            ldexp(1, is_signed ? bits - 1 : bits) - 1);
}

/* Ties, values beyond both ends, infinities. */
SWEEP(quantising_rounds_to_even_and_saturates, 8)
{
	enum { N = 405 };
	DType t = (DType)(DT_I8 + _i % 4);
	double scale = 0.5, zero = _i < 4 ? 0 : 3, x[N], y[N];
	Attr_QUANTIZE *a;
	Run r;

	for (int i = 0; i < N; i++) {
		x[i] = i < 400 ? (i - 200) / 4.0
		               : (double[]){1e9, -1e9, HUGE_VAL, -HUGE_VAL, 127}[i - 400];
		y[i] = saturated(t, rint(x[i] / scale) + zero);
	}
	run_begin(&r);
	run_numbers(&r, DT_F32, DIMS(N), x);
	run_numbers(&r, DT_F32, 0, NULL, &scale);
	if (_i >= 4)
		run_numbers(&r, t, 0, NULL, &zero);
	a = run_node(&r, OP_QUANTIZE, 1);
	a->to = t;
	run_compute(&r);
	expect_equal(&r, 0, y);
	run_end(&r);
}

SWEEP(parameters_go_along_an_axis, 3)
{
	int axis = _i;
	double *x, y[24], *back;
	uint32_t seed = (uint32_t)_i;
	int32_t dim[] = {2, 3, 4};
	Run r, s;

	run_begin(&r);
	run_random(&r, DT_F32, 3, dim, &seed);
	run_numbers(&r, DT_F32, 1, &dim[axis], (const double[]){0.25, 0.5, 1, 2});
	run_numbers(&r, DT_I8, 1, &dim[axis], (const double[]){1, -2, 3, -4});
	x = run_input(&r, 0);
	*(Attr_QUANTIZE *)run_node(&r, OP_QUANTIZE, 1) = (Attr_QUANTIZE){.axis = axis, .to = DT_I8};
	run_compute(&r);
	for (int i = 0; i < 24; i++) {
		int k = (int[]){i / 12, i / 4 % 3, i % 4}[axis];

		y[i] = rint(x[i] / run_input(&r, 1)[k]) + run_input(&r, 2)[k];
	}
	expect_equal(&r, 0, y);

	back = run_output(&r, 0);
	run_begin(&s);
	run_numbers(&s, DT_I8, 3, dim, back);
	run_numbers(&s, DT_F32, 1, &dim[axis], (const double[]){0.25, 0.5, 1, 2});
	run_numbers(&s, DT_I8, 1, &dim[axis], (const double[]){1, -2, 3, -4});
	((Attr_DEQUANTIZE *)run_node(&s, OP_DEQUANTIZE, 1))->axis = axis;
	run_compute(&s);
	for (int i = 0; i < 24; i++) {
		int k = (int[]){i / 12, i / 4 % 3, i % 4}[axis];

		y[i] = (back[i] - run_input(&s, 2)[k]) * run_input(&s, 1)[k];
	}
	expect_equal(&s, 0, y);
	run_end(&s);
	run_end(&r);
}

/* By TFLite's definition, for rows of zeros, of one sign, and of both. */
SWEEP(rows_are_quantised_by_their_range, 2)
{
	static const float row[4][3] = {{0, 0, -0.0f}, {0.5f, 2, 1}, {-3, -1, -2}, {-1, 0.25f, 3}};
	static const float scale[2][4] = {{1, 2 / 255.0f, 3 / 255.0f, 4 / 255.0f},
	                                  {1, 2 / 127.0f, 3 / 127.0f, 3 / 127.0f}};
	static const int zero[2][4] = {{0, -128, 127, -64}, {0}};
	static const int code[2][4][3] = {{{0}, {-64, 127, -1}, {-128, 42, -43}, {-128, -48, 127}},
	                                  {{0}, {32, 127, 64}, {-127, -42, -85}, {-42, 11, 127}}};
	double numbers[12];
	Run r;

	run_begin(&r);
	for (int i = 0; i < 12; i++)
		numbers[i] = (double)row[i / 3][i % 3];
	run_numbers(&r, DT_F32, DIMS(2, 2, 3), numbers);
	*(Attr_QUANTIZE_ROWS *)run_node(&r, OP_QUANTIZE_ROWS, 3) =
		(Attr_QUANTIZE_ROWS){.axis = 2, .symmetric = _i == 1};
	run_compute(&r);
	for (int i = 0; i < 12; i++)
		ck_assert_int_eq(((const int8_t *)r.result[0])[i], code[_i][i / 3][i % 3]);
	for (int i = 0; i < 4; i++) {
		ck_assert(((const float *)r.result[1])[i] == scale[_i][i]);
		ck_assert_int_eq(((const int32_t *)r.result[2])[i], zero[_i][i]);
	}
	run_end(&r);
}

START_TEST(bad_parameters_are_reported)
{
	Run r;

	run_begin(&r);
	run_zeros(&r, DT_F32, DIMS(2, 3));
	run_zeros(&r, DT_F32, DIMS(3));
	run_node(&r, OP_QUANTIZE, 1);
	expect_error(&r, E_SHAPE); /* axis 0 has 2 places */
	run_end(&r);

	run_begin(&r);
	run_zeros(&r, DT_F32, DIMS(2, 3));
	run_zeros(&r, DT_F32, DIMS(1));
	((Attr_QUANTIZE *)run_node(&r, OP_QUANTIZE, 1))->to = DT_F32;
	expect_error(&r, E_ATTRIBUTE);
	run_end(&r);

	run_begin(&r);
	run_zeros(&r, DT_U8, DIMS(2, 3));
	run_zeros(&r, DT_F32, DIMS(1));
	run_zeros(&r, DT_I8, DIMS(1));
	run_node(&r, OP_DEQUANTIZE, 1);
	expect_error(&r, E_TYPE);
	run_end(&r);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("norm");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, batch_norm_expands_to_the_formula);
	tcase_add_test(tc, groups_are_normalised_alone);
	tcase_add_test(tc, groups_must_divide_the_channels);
	tcase_add_test(tc, layers_are_normalised_from_the_axis_on);
	tcase_add_test(tc, layer_norm_works_without_bias_and_statistics);
	tcase_add_test(tc, local_response_sums_the_channels_around);
	tcase_add_test(tc, lines_are_normalised_along_any_axis);
	tcase_add_test(tc, softmax_is_stable);
	tcase_add_test(tc, softmax_takes_beta_times_its_input);
	tcase_add_test(tc, a_norm_is_at_least_epsilon);
	tcase_add_test(tc, quantising_rounds_to_even_and_saturates);
	tcase_add_test(tc, parameters_go_along_an_axis);
	tcase_add_test(tc, rows_are_quantised_by_their_range);
	tcase_add_test(tc, bad_parameters_are_reported);
	return run_suite(tc, "normalisation and quantisation");
}
