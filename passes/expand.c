/*
 * expand: rewrite sugar into primitive operators.
 *
 *	%y = batch_norm(%x, %scale, %bias, %mean, %variance)
 *		=>	%3 = mul(%x, %1); %4 = add(%3, %2)		(and what computes %1, %2)
 *
 * What an operator means is the expansion that ir/ops/ defines, so this is right by
 * definition.  Afterwards the graph has no sugar.
 */
#include "passes/pass.h"

bool
pass_expand(Graph *g, PassCtx *cx)
{
	for (Node *n = g->first, *next; n; n = next) {
		next = n->next;
		if (op_info[n->op].kind == OP_SUGAR) {
			node_expand(g, n);
			cx->changed++;
		}
	}
	return true;
}
