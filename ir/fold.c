/*
 * Constant folding and the expansion of sugar.
 *
 * Folding has no arithmetic of its own: it runs the reference lowering, so that
 * a folded value has the bits that the compiled model would have computed.
 */
#include <assert.h>

#include "ir/lower.h"

static bool
can_fold(const Node *n)
{
	bool is_wanted = false;

	if (op_info[n->op].kind == OP_SUGAR)
		return false;
	for (int i = 0; i < n->nins; i++)
		if (n->in[i] && !value_is_const(n->in[i]))
			return false;
	for (int i = 0; i < n->nouts; i++)
		is_wanted |= n->out[i] != NULL;
	return is_wanted;
}

/* Computes the outputs into memory of `a`, one entry an output. */
static bool
compute(Arena *a, const Node *n, void **result, int64_t *iterations)
{
	LFunc *f = node_lower(a, n);
	void **bufs = ARENA_ARRAY(a, void *, f->bufs.n);
	int k = 0;

	/* Inputs come first and have their contents in the function. */
	for (int i = 0; i < n->nins; i++)
		k += n->in[i] != NULL;
	for (int i = 0; i < n->nouts; i++) {
		if (n->out[i]) {
			result[i] = arena_alloc(a, type_bytes(&n->out[i]->type));
			bufs[k++] = result[i];
		}
	}
	return lcode_run_within(lfunc_compile(a, f), bufs, iterations);
}

bool
node_fold_within(Graph *g, Node *n, int64_t *iterations)
{
	Arena *scratch;
	void **result;
	bool done;

	if (!can_fold(n))
		return false;
	if (op_info[n->op].traits & VIEW) {
		graph_make_const(g, n->out[0], n->in[0]->data);
		return true;
	}
	scratch = arena_child(g->arena);
	result = ARENA_ARRAY(scratch, void *, n->nouts);
	done = compute(scratch, n, result, iterations);
	for (int i = 0; done && i < n->nouts; i++) {
		Value *v = n->out[i];

		if (v)
			graph_make_const(g, v,
					 arena_copy(g->arena, result[i], type_bytes(&v->type)));
	}
	arena_free(scratch);
	return done;
}

bool
node_fold(Graph *g, Node *n)
{
	int64_t iterations = FOLD_ITERATIONS;

	return node_fold_within(g, n, &iterations);
}

void
node_expand(Graph *g, Node *n)
{
	Node *before = n->prev, *next;

	assert(op_info[n->op].kind == OP_SUGAR);
	op_info[n->op].expand(g, n);
	for (Node *k = before ? before->next : g->first; k != n; k = next) {
		next = k->next;
		if (op_info[k->op].kind == OP_SUGAR)
			node_expand(g, k);
	}
	graph_remove(g, n);
}
