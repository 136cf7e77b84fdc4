/*
 * Building a graph in a frontend: nodes by function calls.
 *
 * All functions return NULL after an error, which was reported, and accept the NULL of
 * an earlier one.  C does not say in which order arguments are evaluated, so no call
 * should have two arguments that both build.
 */
#ifndef MCC_FRONTEND_BUILD_H
#define MCC_FRONTEND_BUILD_H

#include "frontend/frontend.h"
#include "ir/graph.h"

typedef struct {
	Graph *g;
	Diag *d;
	Loc loc;          /* of all nodes that are made from now on */
	const char *name; /* their layer's name, or NULL */
	/* Iterations of loops that folding constants may still take, and nodes that may still
	 * be made.  NULL: nothing is folded, and there is no limit. */
	int64_t *fold_left;
	int *nodes_left;
} Builder;

/* A node with `nins` inputs at the end of the graph, without types of its outputs. */
Node *build_node(Builder *b, Op op, int nins, Value *const *in);
Node *build_node_outputs(Builder *b, Op op, int nins, Value *const *in, int nouts);
/* Infers the types of its outputs, and returns the first one.  A node whose inputs are all
 * constants becomes constants, if the builder folds. */
Value *build_finish(Builder *b, Node *n);
/* All outputs into out[]. */
bool build_finish_all(Builder *b, Node *n, Value **out);

/* Whether the result of a node, if it is constant, is better stored than computed by the
 * program. */
bool build_worth_storing(const Node *n);

Value *build_unary(Builder *b, Op op, Value *x);
Value *build_binary(Builder *b, Op op, Value *x, Value *y);
/* With the number y in x's type as the second operand. */
Value *build_with(Builder *b, Op op, Value *x, double y);
Value *build_where(Builder *b, Value *condition, Value *x, Value *y);
Value *build_cast(Builder *b, Value *x, DType to);
Value *build_softmax(Builder *b, Value *x, int axis);
Value *build_arg_max(Builder *b, Value *x, int axis); /* without the axis, i64 */
Value *build_reshape(Builder *b, Value *x, int rank, const int32_t *dim);
Value *build_reshape_to(Builder *b, Value *x, const Type *shape); /* no node if it has it */
Value *build_unsqueeze(Builder *b, Value *x, int axis);
Value *build_squeeze(Builder *b, Value *x, int axis);
/* A vector as a tensor of `rank` axes, along `axis`. */
Value *build_channels(Builder *b, Value *x, int axis, int rank);
Value *build_transpose(Builder *b, Value *x, int rank, const int *perm);
Value *build_move_axis(Builder *b, Value *x, int from, int to);
Value *build_expand(Builder *b, Value *x, const Type *shape);
Value *build_slice(Builder *b, Value *x, int axis, int64_t start, int64_t size, int64_t step);
/* All begins, then all ends; `value` may be NULL. */
Value *build_pad(Builder *b, Value *x, const int64_t *pads, PadMode mode, Value *value);
Value *build_gather(Builder *b, Value *x, Value *indices, int axis);
Value *build_clamp(Builder *b, Value *x, double lo, double hi);
/* Any of the reductions over axes, which are sorted and distinct. */
Value *build_reduce(Builder *b, Op op, Value *x, Ints axes, bool keepdims);
/* numpy's product: a vector is a row before and a column behind. */
Value *build_matmul(Builder *b, Value *x, Value *y);
Value *build_concat(Builder *b, int n, Value *const *x, int axis);
Value *build_columns(Builder *b, Value *x, int32_t from, int32_t count); /* of a matrix */
Value *build_reduce_sum(Builder *b, Value *x, int axis); /* without the axis */
Value *build_cum_sum(Builder *b, Value *x, int axis);
/* a b' + c; c may be NULL. */
Value *build_linear(Builder *b, Value *x, Value *weights, Value *bias);

/* A list in the graph's arena. */
Ints build_ints(Builder *b, int n, const int64_t *v);

/* Constants. */
Value *build_scalar(Builder *b, DType t, double v);
Value *build_vector(Builder *b, DType t, int32_t n, const double *v);
Value *build_matrix(Builder *b, DType t, int32_t rows, int32_t columns, const double *v);

/* The one input of a model of rows of features: [1, features], or with as many rows as
 * -finput-shape says. */
Value *build_rows(Builder *b, const FrontendOptions *o, const char *name, DType t,
                  int32_t features);

/* Names the features of a model of one row, and its results, as fields of the graph;
 * does nothing for several rows.  `name` has one entry a feature. */
void build_name_row(Builder *b, const char *const *name);

#endif
