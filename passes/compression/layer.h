/*
 * Layers: nodes that sum products with constant weights, seen as a matrix.
 *
 * Output channel m (a row) is the sum over columns j of w[m][j] * x[j] and its bias,
 * where column j = c * taps + t stands for tap t of input channel c of the row's group.
 * What a column is at one output position, padding being 0, is gathered from the
 * layer's input.
 */
#ifndef MCC_PASSES_COMPRESSION_LAYER_H
#define MCC_PASSES_COMPRESSION_LAYER_H

#include "ir/ops/window.h"

typedef struct {
	const Node *n;
	int32_t groups, in, out;  /* channels of a group */
	int32_t rows, columns;    /* groups * out; in * taps */
	int32_t taps;
	int32_t positions;        /* of the output, in one call */
	const float *w, *bias;    /* bias: NULL where there is none */
	/* Private. */
	Window window;
	bool is_conv, nhwc, transposed;
	int32_t x_channels, x_pixels, y_pixels;
} Layer;

/* Reads a node of the kind KIND_LINEAR. */
Layer layer_read(const Node *n);

/* The element of the weights for row m and column j. */
size_t layer_weight(const Layer *l, int32_t m, int32_t j);

/* The axis of the weights along which rows lie, or -1 where they do not lie along one. */
int layer_row_axis(const Layer *l);

/* The columns of group g at an output position; `x` is the input of one call. */
void layer_gather(const Layer *l, const float *x, int32_t position, int32_t g, float *column);

/* The matrix with rows of `columns` elements. */
float *layer_matrix(const Layer *l, Arena *a);

#endif
