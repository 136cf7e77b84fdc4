/*
 * How near two networks are: their first outputs on samples.
 */
#ifndef MCC_PASSES_COMPRESSION_AGREEMENT_H
#define MCC_PASSES_COMPRESSION_AGREEMENT_H

#include "passes/compression/compress.h"

/* Runs both graphs on the samples, which are floats as `g` takes them; inputs of `q` are
 * coded as their types say.  False when an error was reported. */
bool agreement_measure(Agreement *out, const Graph *g, const Graph *q, const Samples *s,
                       const Executor *exec, Arena *a);

#endif
