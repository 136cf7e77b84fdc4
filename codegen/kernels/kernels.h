/*
 * Lowerings for a target: faster than the reference lowering, with the same bits.
 *
 * A generator builds loop IR for a node in some shape.  For each node the chooser lists
 * the shapes that the target has instructions for, with what the cost table of the
 * target (costs.def) says they take, and picks one by the level: fewest cycles, as far
 * as the program's memory and constants allow.  docs/kernels.md says more.
 */
#ifndef MCC_CODEGEN_KERNELS_KERNELS_H
#define MCC_CODEGEN_KERNELS_KERNELS_H

#include "ir/graph.h"
#include "ir/loop/loop.h"
#include "ir/target.h"

/* One way to compute a node. */
typedef struct {
	const char *name; /* "reference", "dot2 3x2", … */
	LFunc *fn;        /* verified by whoever takes it */
	int64_t cycles;   /* an estimate; 0: not known */
	int64_t code;     /* bytes, an estimate */
	int64_t constants; /* bytes that it keeps */
	int64_t scratch;   /* bytes of RAM while it runs */
	bool is_reference; /* the operator's meaning as it is written, for no target */
	bool is_sparse;    /* leaves out weights of zero */
	int64_t apart;     /* bytes of outputs that cannot lie over the input, as those of other
	                    * kernels of the node can */
} NodeKernel;

typedef VEC(NodeKernel) NodeKernels;

typedef struct {
	const Target *target;
	char level; /* '0' to '3', 's', 'z' */
	bool every;   /* list what any level would, for a choice by budgets */
	bool remarks; /* report each choice (R_PASS) */
	int skip;     /* leave out so many kernels of each node, if others stay: to measure them */
} KernelOptions;

/* Whether a level asks for few bytes before speed. */
static inline bool
level_is_small(char level)
{
	return level == 's' || level == 'z';
}

/* A kernel with all that is known of it; with 0 cycles they are estimated too. */
NodeKernel kernel_of(const char *name, LFunc *fn, int64_t cycles, const KernelOptions *o);

/*
 * All lowerings of n that make sense on the target, best first, with `every` the best of
 * each level; the last one is the reference lowering.  Without a target (NULL) that is all.
 */
NodeKernels kernels_of(Arena *a, const Node *n, const KernelOptions *o);

#endif
