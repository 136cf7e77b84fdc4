/*
 * Means and second moments of what a layer sees.
 *
 * x is a column of the layer in the network that is compressed so far, x0 the one at the
 * same place of the float network.
 */
#ifndef MCC_PASSES_COMPRESSION_MOMENTS_H
#define MCC_PASSES_COMPRESSION_MOMENTS_H

#include "passes/compression/executor.h"
#include "passes/compression/layer.h"

typedef struct {
	size_t n;         /* columns that were looked at, of each group */
	double *mu, *mu0; /* by group and column: means of x and x0 */
	/* By group, columns by columns, or NULL: H = E[(x - mu)(x - mu)'] and
	 * G = E[(x0 - mu0)(x - mu)'], where G has a row for each column of x0. */
	double *h, *g;
} Moments;

/* Looks at the inputs of the layer in `calls` calls: x0 of floats, x of elements of
 * `type`. */
Moments moments_collect(const Layer *l, size_t calls, const CallArray *x0, const CallArray *x,
                        const Type *type, bool second, Arena *a);

/* The elements of a call as numbers. */
void moments_read(const Type *type, const void *data, float *out);

#endif
