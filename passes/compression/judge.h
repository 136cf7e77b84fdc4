/*
 * What the network loses when the weights of one layer are others: a float network
 * compiled once, with the weights of all layers as inputs.
 */
#ifndef MCC_PASSES_COMPRESSION_JUDGE_H
#define MCC_PASSES_COMPRESSION_JUDGE_H

#include "passes/compression/compress.h"

typedef struct {
	/* Private. */
	const Graph *g;
	const Executor *exec;
	Arena *a;
	size_t calls;
	void *model;
	CallArray *in, *result, *expected; /* of the model; what it should give */
	int first; /* of the inputs that are weights and biases, in turn, by layer */
	const Node **layer;
	int nlayers;
} Judge;

/* Takes the first of the samples, as many as `runs` runs for each layer have time for.
 * False when an error was reported. */
bool judge_begin(Judge *j, const Graph *g, const Samples *s, int runs, const Executor *exec,
                 Arena *a, Diag *d);

/* How far the outputs are off when a layer has these weights and biases: mean square
 * errors, each against the output's variance. */
double judge_layer(const Judge *j, const Node *n, const float *w, const float *bias);

#endif
