/*
 * Running graphs on data: what compression asks of its caller.
 *
 * Compression measures the network that it works on: the ranges of values, the moments
 * of what a layer sees, how far a compressed layer is off.  Whoever calls it says how
 * graphs are run, so that nothing here knows of code generation; mcc compiles them in
 * memory.  Any value of a graph is seen by making it an output.
 */
#ifndef MCC_PASSES_COMPRESSION_EXECUTOR_H
#define MCC_PASSES_COMPRESSION_EXECUTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "ir/graph.h"

/* The elements of one input or output in all calls: those of call c start c * stride
 * bytes behind `data`; a stride of 0 means the same ones each time. */
typedef struct {
	void *data;
	size_t stride;
} CallArray;

typedef struct {
	/*
	 * Makes `g`, which is free of sugar, ready to run; NULL when an error was reported.
	 * The result and all that belongs to it lives as long as `a`.
	 */
	void *(*compile)(void *user, Arena *a, const Graph *g);

	/*
	 * Calls it `calls` times; `in` and `out` are parallel to the graph's inputs and
	 * outputs.  A state starts with the elements that `in` gives for it; from the second
	 * call on it holds what the call before left.  Inputs are not written to.
	 */
	void (*run)(void *user, void *model, size_t calls, const CallArray *in,
	            const CallArray *out);

	/* Says how far the work is, from 0 to 1. */
	void (*progress)(void *user, const char *what, double part);

	void *user;
} Executor;

#endif
