/*
 * Random small graphs of quantised numbers, with every operator of quant.def, and of
 * floats, for tests that compute them in more than one way.
 *
 * Weights are zero for whole input and output channels, and biases drive outputs into an
 * end of their range, often enough that most graphs lose something to dead-channels.
 */
#ifndef MCC_TESTS_QUANTIZED_GRAPH_H
#define MCC_TESTS_QUANTIZED_GRAPH_H

#include "ir/graph.h"

/* Graph `number`; always the same for a number.  Its only input is the first. */
Graph *quantized_graph(Arena *a, int number);

/* Kinds of inputs: random numbers; only the least, only the greatest, both in turn, the
 * zero points. */
enum { QUANTIZED_INPUTS = 5 };

void *quantized_input(Arena *a, const Type *t, int kind, uint32_t *seed);

#endif
