#include "passes/compression/weights.h"

#include <math.h>

enum { MOST = 127 }; /* the greatest code; codes are symmetric */

/* Scales of less than 127ths of the greatest weight are tried down to this part. */
static const double least_part = 0.7, step = 0.02;

/* Far below any weight, so that a row of zeros has a scale too. */
#define LEAST_SCALE 0x1p-40

static double
code_of(double w, double scale)
{
	return fmin(fmax(rint(w / scale), -MOST), MOST);
}

static double
error_of(const float *w, size_t n, double scale)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++) {
		double e = code_of((double)w[i], scale) * scale - (double)w[i];

		sum += e * e;
	}
	return sum;
}

/* The scale that rounds n weights with the least square error. */
static double
best_scale(const float *w, size_t n)
{
	double most = 0, best, least = HUGE_VAL;

	for (size_t i = 0; i < n; i++)
		most = fmax(most, fabs((double)w[i]));
	best = most / MOST;
	for (int i = 0; most > 0 && 1 - i * step >= least_part; i++) {
		double scale = most / MOST * (1 - i * step), e = error_of(w, n, scale);

		if (e < least) {
			least = e;
			best = scale;
		}
	}
	return fmax(best, LEAST_SCALE);
}

/* The bias that keeps the mean of row m: b + W mu0 - W' mu, in numbers. */
static double
matched_bias(const Layer *l, const Moments *m, int32_t row, const float *w, const double *coded)
{
	const double *mu = m->mu + (size_t)(row / l->out) * (size_t)l->columns;
	const double *mu0 = m->mu0 + (size_t)(row / l->out) * (size_t)l->columns;
	double b = l->bias ? (double)l->bias[row] : 0;

	for (int32_t j = 0; j < l->columns; j++)
		b += (double)w[j] * mu0[j] - coded[j] * mu[j];
	return b;
}

/* A bias beyond int32 would have no code: then the scale must be larger. */
static double
scale_for_bias(double scale, double bias, double x_scale)
{
	return fmax(scale, fabs(bias) / x_scale / 0x1p30);
}

IntWeights
weights_quantize(const Layer *l, const Moments *m, double x_scale, Arena *a)
{
	size_t columns = (size_t)l->columns;
	bool by_row = layer_row_axis(l) >= 0;
	float *matrix = layer_matrix(l, a);
	int8_t *w = arena_alloc(a, (size_t)l->rows * columns + 1);
	int32_t *bias = ARENA_ARRAY(a, int32_t, l->rows + 1);
	int32_t n = by_row ? l->rows : 1;
	float *scale = ARENA_ARRAY(a, float, n + 1);
	double *coded = ARENA_ARRAY(a, double, columns + 1);
	size_t zeros = 0;
	Quant *q = ARENA_NEW(a, Quant);
	IntWeights out = {.type = l->n->in[1]->type, .w = w, .bias = bias};

	for (int32_t i = 0; i < n; i++)
		scale[i] = (float)best_scale(matrix + (size_t)i * columns,
		                             by_row ? columns : columns * (size_t)l->rows);
	for (int32_t r = 0; r < l->rows; r++) {
		float *s = &scale[by_row ? r : 0];

		*s = (float)scale_for_bias((double)*s, l->bias ? (double)l->bias[r] : 0, x_scale);
	}
	for (int32_t r = 0; r < l->rows; r++) {
		const float *row = matrix + (size_t)r * columns;
		double s = (double)scale[by_row ? r : 0], b;

		for (int32_t j = 0; j < l->columns; j++) {
			double c = code_of((double)row[j], s);

			w[layer_weight(l, r, j)] = (int8_t)c;
			coded[j] = c * s;
			zeros += c == 0;
		}
		b = matched_bias(l, m, r, row, coded) / (x_scale * s);
		bias[r] = (int32_t)fmin(fmax(rint(b), INT32_MIN), INT32_MAX);
	}
	*q = (Quant){.axis = by_row ? layer_row_axis(l) : 0, .n = n, .scale = scale};
	q->zero = ARENA_ARRAY(a, int32_t, n + 1);
	out.type.dtype = DT_I8;
	out.type.q = q;
	out.sparsity = l->rows > 0 && l->columns > 0
	                       ? (double)zeros / ((double)l->rows * (double)l->columns)
	                       : 0;
	return out;
}
