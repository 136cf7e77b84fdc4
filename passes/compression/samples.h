/*
 * Parts of samples, and whether samples are fit to be looked at.
 */
#ifndef MCC_PASSES_COMPRESSION_SAMPLES_H
#define MCC_PASSES_COMPRESSION_SAMPLES_H

#include "passes/compression/compress.h"

/* Samples, below which there is none to spare. */
enum { SAMPLES_TO_SPLIT = 10 };

/*
 * One sample in `every`, or with `others` all but those; of a model with states, whose
 * samples are one sequence, the end of it or the beginning.  All samples when there are
 * too few to split.
 */
Samples samples_part(const Samples *s, const Graph *g, size_t every, bool others, Arena *a);

/* The samples from the first on, n at most. */
Samples samples_first(const Samples *s, size_t n);

/* Reports samples that cannot be used, and warns of those that are worth little. */
bool samples_check(const Samples *s, const Graph *g, Diag *d);

#endif
