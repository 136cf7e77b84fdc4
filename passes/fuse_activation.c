/*
 * fuse-activation: let the node before a clamp do it.
 *
 *	%1 = conv(%x, %w)
 *	%2 = relu(%1)			=>	%2 = conv(%x, %w) {activation=relu}
 *
 * for relu and clamps to [0, inf], [0, 6] and [-1, 1], behind a node that has the
 * attribute and is not used otherwise.  Exact for floats, since both are lowered to the
 * same operations; on quantised numbers it is not done, since their ranges would change.
 *
 * It saves a walk through memory, and before quantisation codes: a value that is clamped
 * anyway needs none for what the clamp takes off.
 */
#include <string.h>

#include "passes/rewrite.h"

static Activation
activation_of(const Node *n)
{
	const Attr_CLAMP *a = n->attr;

	if (n->op == OP_RELU)
		return ACTIVATION_relu;
	if (n->op != OP_CLAMP)
		return ACTIVATION_none;
	if (a->lo == 0 && a->hi == HUGE_VAL)
		return ACTIVATION_relu;
	if (a->lo == 0 && a->hi == 6)
		return ACTIVATION_relu6;
	return a->lo == -1 && a->hi == 1 ? ACTIVATION_relu_n1_1 : ACTIVATION_none;
}

/* Where n keeps its activation, or NULL. */
static Activation *
place_of_activation(Node *n)
{
	for (const AttrInfo *a = op_info[n->op].attrs; a->name; a++)
		if (strcmp(a->name, "activation") == 0)
			return (Activation *)(void *)((char *)n->attr + a->offset);
	return NULL;
}

/* The node whose only output is used by its clamp alone. */
static Activation *
place_behind(const Value *v)
{
	Node *n = v->def;
	Activation *place;

	if (!n || v->nuses != 1 || n->nouts != 1 || v->type.dtype != DT_F32 ||
	    node_is_quantized(n))
		return NULL;
	place = place_of_activation(n);
	return place && *place == ACTIVATION_none ? place : NULL;
}

bool
pass_fuse_activation(Graph *g, PassCtx *cx)
{
	Rewrite r = rewrite_begin(g, cx);

	for (Node *n = g->first; n; n = n->next) {
		Activation wanted = activation_of(n), *place;

		rewrite_inputs(&r, n);
		if (wanted == ACTIVATION_none || node_is_quantized(n))
			continue;
		place = place_behind(n->in[0]);
		if (place) {
			*place = wanted;
			rewrite_replace(&r, n, n->in[0]);
		}
	}
	rewrite_end(&r);
	return true;
}
