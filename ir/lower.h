/*
 * Lowering: from a node of the graph to a function of the loop IR.
 *
 * Buffers of the function are, in this order: the inputs that are present, the
 * outputs that are wanted, then scratch, tables, and constants that a lowering made
 * of the node's own and takes as an argument (role LBUF_IN, with data).  So functions
 * that differ in constants only are the same.
 *
 * A node has a reference lowering, which says what it means; codegen/kernels has
 * others with the same results.
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
	bool single_rounding; /* Graph.single_rounding */
};

/* Starts the function of a lowering of `n`: its name, and the buffers of inputs and
 * outputs. */
void lower_begin(LowerCtx *cx, Arena *a, const Node *n);

/* The reference lowering of `n`, which must not be sugar.  The function is named
 * after the operator and the node's first output.  Where all outputs are empty its
 * body is, so a lower_ID() function only meets empty inputs. */
LFunc *node_lower(Arena *a, const Node *n);

/* Elements from one row to the next of each input and output. */
typedef struct {
	const int32_t *in, *out;
} RowStrides;

/* A lowering that does `rows` rows at a time of what `n` does with one, with the same
 * results: its inputs and outputs have the strides.  It stores nothing to outputs before
 * it has read what it needs of the input.  NULL: there is none (ir/ops/trees_rows.c). */
enum { BATCH_ROWS = 128 };
LFunc *node_lower_rows(Arena *a, const Node *n, int32_t rows, const RowStrides *stride);

/* The same in other forms, with the same results; NULL where there is no such form.
 * Elementwise operators on f32 with vectors: the operator's scalar function has to make do
 * with operations that vectors have.  Sums and means along the last axes with so many
 * outputs side by side. */
LFunc *node_lower_lanes(Arena *a, const Node *n, int lanes);
LFunc *node_lower_beside(Arena *a, const Node *n, int outputs);

/* How many multiply-accumulates the operator takes by its formula (macs.c). */
int64_t node_macs(const Node *n);

/* A scratch buffer. */
LBuf *lower_scratch(LowerCtx *cx, const char *name, DType elem, int32_t count);

/* Constants that become an argument; the data must live as long as the function. */
LBuf *lower_constant(LowerCtx *cx, const char *name, DType elem, int32_t count,
                     const void *data);

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

/* One line of a tensor along an axis: the elements that differ only there. */
typedef struct {
	Expr *outer, *inner; /* where it is in the axes before and after */
	int32_t length, stride;
	int depth; /* blocks that were open before */
} Line;

/* Opens loops over all lines of `t` along `axis`; lower_end_lines() closes them. */
Line lower_lines(LowerCtx *cx, const Type *t, int64_t axis);
void lower_end_lines(LowerCtx *cx, const Line *line);

/* The flat index of element i of the line.  A copy of the line with another
 * length is the line of a tensor that differs in the length of the axis. */
Expr *lower_line_index(LowerCtx *cx, const Line *line, Expr *i);

/* Opens a loop over [0, count) and returns its variable; a loop of one trip is
 * left out and gives 0. */
Expr *lower_for(LowerCtx *cx, const char *name, int32_t count);

/* Closes blocks until `depth` of them (cx->b.depth at some time before) are open. */
void lower_end_to(LowerCtx *cx, int depth);

/* Opens loops over all elements of an elementwise operator's output, with the inputs
 * broadcast: index[k] is that of the element of input k, index[n->nins] that of the
 * output.  lower_end_to() closes them. */
enum { MAX_ELEMENTWISE = 3 }; /* inputs */
void lower_elements(LowerCtx *cx, const Node *n, Expr *index[MAX_ELEMENTWISE + 1]);

/* Names a value that is used more than once; constants and variables need no
 * further name and come back as they are. */
Expr *lower_let(LowerCtx *cx, const char *name, Expr *value);

/* x with the fused activation of `n`, in plain numbers. */
Expr *lower_activation(LowerCtx *cx, const Node *n, Expr *x);

/* The names of the buffers of inputs and outputs, in their order, instead of the
 * numbered ones; absent ones are passed over. */
void lower_name_inputs(LowerCtx *cx, const Node *n, const char *const *names);
void lower_name_outputs(LowerCtx *cx, const Node *n, const char *const *names);

#endif
