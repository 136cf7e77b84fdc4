/*
 * An ensemble that can be changed: trees as nodes with values of their own.
 */
#ifndef MCC_PASSES_COMPRESSION_FOREST_H
#define MCC_PASSES_COMPRESSION_FOREST_H

#include "ir/trees.h"

typedef struct {
	const Trees *t;    /* features, width, outputs, sets */
	int32_t nodes, trees;
	int32_t *root;     /* by tree */
	int32_t *yes, *no, *missing, *feature;
	double *threshold;
	uint8_t *mode;     /* TREE_LEAF: a leaf */
	double *value;     /* [nodes, width], of leaves */
	int32_t *target;   /* of leaves: the first output they go to */
	bool *gone;        /* not reached any more */
} Forest;

/* A copy in which every use of a subtree or of a row of values is one of its own; NULL
 * when that would be too large. */
Forest *forest_copy(Arena *a, const Trees *t);

/* The leaf that a row of features comes to in a tree. */
int32_t forest_leaf(const Forest *f, int32_t tree, const double *row);

/* The node and all below it are not reached any more. */
void forest_drop(Arena *a, Forest *f, int32_t node);

/* Gives the node the forest's constants: tests whose children are all the same are left
 * out, equal subtrees and rows of values are there once.  Values are stored as `value`. */
void forest_store(const Forest *f, Graph *g, Node *n, DType value);

#endif
