/*
 * Integer weights and biases of a layer.
 */
#ifndef MCC_PASSES_COMPRESSION_WEIGHTS_H
#define MCC_PASSES_COMPRESSION_WEIGHTS_H

#include "passes/compression/moments.h"

/* The constants of a quantised layer. */
typedef struct {
	Type type;        /* of the weights, with the scale of each row, or of all */
	const int8_t *w;
	const int32_t *bias; /* one a row */
	double sparsity;
} IntWeights;

/*
 * The weights of the layer on 8 bits, with the scales of the least square error.  The
 * bias takes up what the mean of each row would lose, from the means of what the layer
 * sees; its unit follows from `x_scale`, the scale of the layer's input.
 */
IntWeights weights_quantize(const Layer *l, const Moments *m, double x_scale, Arena *a);

#endif
