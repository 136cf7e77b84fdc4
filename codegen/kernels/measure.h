/*
 * What any kernel takes, from a look at its loops: code, and cycles.
 *
 * Both are estimates.  Bytes of code are sums over what the loops hold (sizes.def), times
 * what the target needs more than a Cortex-M4; cycles multiply that with how often the
 * loops run, at the prices of costs.def.  For convolutions cost.h knows better.
 */
#ifndef MCC_CODEGEN_KERNELS_MEASURE_H
#define MCC_CODEGEN_KERNELS_MEASURE_H

#include "ir/loop/loop.h"
#include "ir/target.h"

/* What is counted. */
typedef enum {
#define SIZE(id, small, fast, what) SIZE_##id,
#include "codegen/kernels/sizes.def"
	SIZE_COUNT
} SizeItem;

/* How often each of them stands in the kernel. */
typedef struct {
	int64_t n[SIZE_COUNT];
} SizeCounts;

SizeCounts measure_counts(const LFunc *f);

/* Bytes of the code of a function, without those that it calls.  t NULL: as on a
 * Cortex-M4. */
int64_t measure_code(const Target *t, char level, const LFunc *f);

/* The scalar functions that f calls, by itself or through others, each once. */
LFuncs measure_callees(Arena *a, const LFunc *f);

/* How often a call loads from each buffer and stores to it, added to accesses[]. */
void measure_accesses(const LFunc *f, double *accesses);

/* Cycles of a call; 0: nothing is known of the target. */
int64_t measure_cycles(const Target *t, const LFunc *f);

#endif
