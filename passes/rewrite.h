/*
 * Replacing values while walking once over the nodes.
 *
 * graph_replace_uses() looks at the whole graph each time.  A Rewrite instead
 * remembers what was replaced and tells each node when the walk comes to it:
 *
 *	Rewrite r = rewrite_begin(g, cx);
 *	for (Node *n = g->first; n; n = n->next) {
 *		rewrite_inputs(&r, n);
 *		if (…)
 *			rewrite_replace(&r, n, v);
 *	}
 *	rewrite_end(&r);
 *
 * Use counts of replaced values are too high until the end.
 */
#ifndef MCC_PASSES_REWRITE_H
#define MCC_PASSES_REWRITE_H

#include "passes/pass.h"

typedef struct {
	Graph *g;
	PassCtx *cx;
	VEC(Value *) to;   /* by Value.id: what stands for it, or NULL */
	VEC(Node *) dead;  /* nodes whose outputs were replaced */
} Rewrite;

Rewrite rewrite_begin(Graph *g, PassCtx *cx);

/* Puts the replacements into n's inputs. */
void rewrite_inputs(Rewrite *r, Node *n);

/* Lets `v` stand for one value, in all nodes that come later and in the outputs. */
void rewrite_value(Rewrite *r, const Value *from, Value *v);

/* Lets `v` stand for the only output of `n`, which is removed at the end, and
 * counts that as a change. */
void rewrite_replace(Rewrite *r, Node *n, Value *v);

void rewrite_end(Rewrite *r);

/* A new node before `at` with one output; set its attributes, then call
 * rewrite_infer(), which returns that output. */
Node *rewrite_insert(Rewrite *r, Node *at, Op op, int nins, Value *const *in);
Value *rewrite_infer(Rewrite *r, Node *n);

/* x in another shape, x itself when it has it. */
Value *rewrite_reshape(Rewrite *r, Node *at, Value *x, const Type *shape);

/* rewrite_infer() of a node that computes a constant, then folds it. */
Value *rewrite_constant(Rewrite *r, Node *n);

/*
 * The constant `c` as a vector of t->dim[axis] elements when it broadcasts to `t`
 * along that axis alone, or as a scalar when it is a single number; else NULL.
 */
Value *rewrite_channels(Rewrite *r, Node *at, Value *c, const Type *t, int axis);

/* A list in the graph's memory. */
Ints rewrite_ints(Rewrite *r, int n, const int64_t *v);

/* Whether a constant has the same value everywhere, not NaN, exact as a double. */
bool value_is_uniform(const Value *v, double *x);

#endif
