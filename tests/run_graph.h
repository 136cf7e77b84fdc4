/*
 * Running graphs in the interpreter to compare what they compute.
 */
#ifndef MCC_TESTS_RUN_GRAPH_H
#define MCC_TESTS_RUN_GRAPH_H

#include "ir/graph.h"

/*
 * Runs two graphs without sugar on the same numbers, which are made up.  Returns what
 * differs, or NULL: the same bits, up to the payload of NaNs, or with `nearly` the same
 * to a tolerance.  Also NULL when loops would run more than *iterations times.
 */
const char *run_compare(Arena *a, const Graph *before, const Graph *after, bool nearly,
                        int64_t *iterations);

#endif
