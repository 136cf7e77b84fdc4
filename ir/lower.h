/*
 * Lowering: from a node of the graph to a function of the loop IR.
 *
 * Buffers of the function are, in this order: the inputs that are present, the
 * outputs that are wanted, then scratch and tables.
 */
#ifndef MCC_IR_LOWER_H
#define MCC_IR_LOWER_H

#include "ir/graph.h"
#include "ir/loop/loop.h"

/* What a lower_ID() function works with. */
struct LowerCtx {
	Arena *arena;
	LBuilder b;
	LBuf **in;  /* as Node.in; NULL where that is NULL */
	LBuf **out; /* as Node.out; NULL where that is NULL */
};

/* The reference lowering of `n`, which must not be sugar.  The function is named
 * after the operator and the node's first output. */
LFunc *node_lower(Arena *a, const Node *n);

/* A scratch buffer. */
LBuf *lower_scratch(LowerCtx *cx, const char *name, DType elem, int32_t count);

/* A table of constants, which are copied (role LBUF_TABLE). */
LBuf *lower_table(LowerCtx *cx, const char *name, DType elem, int32_t count, const void *data);

/* ---- Helpers for lowerings (ir/ops/lower.c) ---- */

/* Opens one loop an axis of `t` named prefix0, prefix1, … and writes the
 * variables' values to `at`; close them with lower_end_loops(cx, t).
 * Axes of length 1 get the constant 0 and no loop; they count as open. */
void lower_loops(LowerCtx *cx, const Type *t, const char *prefix, Expr *at[MAX_RANK]);
void lower_end_loops(LowerCtx *cx, const Type *t);

/* The flat index of the element at `at` of a row-major tensor of type `t`. */
Expr *lower_index(LowerCtx *cx, const Type *t, Expr *const at[MAX_RANK]);

/* The same when `t` is broadcast to rank `rank`: axes are aligned at the end,
 * axes of length 1 stay at 0. */
Expr *lower_broadcast_index(LowerCtx *cx, const Type *t, int rank, Expr *const at[MAX_RANK]);

#endif
