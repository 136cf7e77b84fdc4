/*
 * fold: compute what depends on constants only.
 *
 *	%1: f32[2] = const [1.0, 2.0]
 *	%2: f32[2] = add(%1, %1)		=>	%2: f32[2] = const [2.0, 4.0]
 *
 * The interpreter runs the operator's reference lowering, so the bits are those that
 * the compiled model would compute.
 *
 * Left alone is what would trade code for much memory: an output of more than 64 KiB
 * that is more than four times as large as the inputs (expand, tile, one_hot).  All
 * folding together has an allowance of loop iterations, about a few seconds.
 */
#include "passes/pass.h"

enum { SMALL = 64 << 10, GROWTH = 4 };

static bool
grows_too_much(const Node *n)
{
	size_t in = 0, out = 0;

	for (int i = 0; i < n->nins; i++)
		in += n->in[i] ? type_bytes(&n->in[i]->type) : 0;
	for (int i = 0; i < n->nouts; i++)
		out += n->out[i] ? type_bytes(&n->out[i]->type) : 0;
	return out > SMALL && out / GROWTH > in;
}

static bool
is_constant(const Node *n)
{
	for (int i = 0; i < n->nins; i++)
		if (n->in[i] && !value_is_const(n->in[i]))
			return false;
	return true;
}

/* No node takes more than its own part of the allowance. */
static bool
fold(Graph *g, Node *n, PassCtx *cx)
{
	int64_t part = cx->fold_iterations < FOLD_ITERATIONS ? cx->fold_iterations
	                                                     : FOLD_ITERATIONS;
	int64_t left = part;
	bool done = node_fold_within(g, n, &left);

	cx->fold_iterations -= part - left;
	return done;
}

bool
pass_fold(Graph *g, PassCtx *cx)
{
	for (Node *n = g->first, *next; n; n = next) {
		next = n->next;
		if (is_constant(n) && !grows_too_much(n) && fold(g, n, cx)) {
			graph_remove(g, n);
			cx->changed++;
		}
	}
	return true;
}
