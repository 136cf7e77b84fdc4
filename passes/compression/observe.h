/*
 * What values are on calibration samples: extremes, and a part of their elements.
 */
#ifndef MCC_PASSES_COMPRESSION_OBSERVE_H
#define MCC_PASSES_COMPRESSION_OBSERVE_H

#include "passes/compression/compress.h"

typedef struct {
	bool seen;
	double lo, hi;
	int n, cap;
	float *v; /* elements, the same number of each call */
} Observed;

/* A range that quantised numbers are to hold; 0 is in it. */
typedef struct {
	double lo, hi;
} Range;

/*
 * Runs g on the samples and looks at all its float values; the result is by Value.id.
 * `states` is by the number of a state and gets what that holds when each call begins.
 * NULL: an error was reported.
 */
Observed *observe_values(Graph *g, const Samples *s, const CallArray *states,
                         const Executor *exec, Arena *a, Diag *d);

/* Looks at elements that are known. */
void observe_constant(Observed *o, Arena *a, const float *v, int32_t n);

/* Adds what was seen of another value. */
void observe_join(Observed *to, Arena *a, const Observed *from);

/* The range that `method` finds for numbers of `levels` codes. */
Range observe_range(const Observed *o, RangeMethod method, int levels, Arena *scratch);

#endif
