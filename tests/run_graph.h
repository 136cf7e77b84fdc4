/*
 * Running graphs in the interpreter to compare what they compute.
 */
#ifndef MCC_TESTS_RUN_GRAPH_H
#define MCC_TESTS_RUN_GRAPH_H

#include "ir/graph.h"

/* How the numbers are chosen and the results compared. */
typedef enum {
	RUN_EXACT,  /* any numbers; the same bits, up to the payload of NaNs */
	RUN_FINITE, /* moderate numbers; the same bits */
	RUN_NEARLY  /* moderate numbers; the same to a tolerance */
} RunHow;

/* Runs a graph without sugar.  `inputs` are the elements of its inputs; the result is
 * the memory of all values, by id, or NULL when loops would run more than *iterations
 * times. */
void **run_graph(Arena *a, const Graph *g, void *const *inputs, int64_t *iterations);

/*
 * Runs two graphs without sugar on the same numbers, which are made up.  Returns what
 * differs, or NULL.  Also NULL when loops would run more than *iterations times.
 */
const char *run_compare(Arena *a, const Graph *before, const Graph *after, RunHow how,
                        int64_t *iterations);

#endif
