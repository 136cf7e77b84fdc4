/*
 * Constants that are stored sparsely.
 */
#ifndef MCC_FRONTEND_TFLITE_SPARSE_H
#define MCC_FRONTEND_TFLITE_SPARSE_H

#include "frontend/tflite/read.h"

enum { TFL_LEVELS = 2 * MAX_RANK };

/*
 * The stored numbers are the leaves of a tree with a level for each dimension, in the
 * order of traversal, and then one for each dimension inside a block.  A node of a dense
 * level has a child for every index, one of the format CSR those that are listed.
 */
typedef struct {
	bool dense;
	int32_t size;       /* indices from 0 on */
	FbVec segments;     /* CSR: where the children of node p start; one more than nodes */
	FbVec indices;      /* and their indices */
	int segment_bytes, index_bytes;
	int32_t stride;     /* elements of the tensor between neighbours */
} SparseLevel;

typedef struct {
	int levels;
	SparseLevel level[TFL_LEVELS];
	int32_t count; /* stored numbers */
} Sparse;

/* Reads and checks what describes a tensor of type `t`; NULL, or what is wrong with it. */
const char *sparse_read(Tflite *r, const Type *t, FbRef sparsity, Sparse *out);

/* Puts the stored numbers, of `bytes` bytes each, at their places in `to`, which is
 * zeroed. */
void sparse_scatter(const Fb *f, const Sparse *s, const void *stored, size_t bytes, void *to);

#endif
