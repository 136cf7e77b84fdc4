/*
 * dce: remove what nobody uses.
 *
 *	%1 = relu(%x)				=>
 *	%v, %i = top_k(%x) {k=3}		=>	%v, _ = top_k(%x) {k=3}
 *
 * Operators have no effect but their outputs, so a node of which no output is used
 * goes, and with it what only it used; an unused one of several outputs is no longer
 * asked for, where the operator has optional ones.  Inputs of the graph stay: they are its
 * interface.
 */
#include "passes/pass.h"

/* Drops unused outputs; whether a used one is left. */
static bool
drop_unused_outputs(Node *n, PassCtx *cx)
{
	const OpInfo *info = &op_info[n->op];
	bool is_used = false, has_optional = info->outputs_min < info->outputs_max;

	for (int i = 0; i < n->nouts; i++)
		is_used |= n->out[i] && n->out[i]->nuses > 0;
	for (int i = 0; is_used && has_optional && i < n->nouts; i++) {
		if (n->out[i] && n->out[i]->nuses == 0) {
			n->out[i]->def = NULL;
			n->out[i] = NULL;
			cx->changed++;
		}
	}
	return is_used;
}

bool
pass_dce(Graph *g, PassCtx *cx)
{
	/* From the end, so that users go before what they use. */
	for (Node *n = g->last, *prev; n; n = prev) {
		prev = n->prev;
		if (!drop_unused_outputs(n, cx)) {
			graph_remove(g, n);
			cx->changed++;
		}
	}
	return true;
}
