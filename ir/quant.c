#include "ir/quant.h"

#include "ir/ops/infer.h"

const QuantInfo quant_info[OP_COUNT] = {
#define QUANT(id, infer, lower, types) [OP_##id] = {qinfer_##infer, qlower_##lower, types},
#include "ir/quant.def"
};

/* A quantised node of another kind than those of the table. */
static bool
is_known(const Node *n, Diag *d)
{
	const QuantInfo *q = &quant_info[n->op];
	const Type *t = n->nins && n->in[0] ? &n->in[0]->type : NULL;

	if (!q->infer)
		return diag_report(d, &n->loc, E_UNSUPPORTED,
		                   "'%s' is not supported on quantised numbers", op_info[n->op].name);
	if (!t || q->types >> t->dtype & 1)
		return true;
	return diag_report(d, &n->loc, E_UNSUPPORTED,
	                   "'%s' is not supported on quantised numbers stored as %s",
	                   op_info[n->op].name, type_text(d->arena, t));
}

/* Unsigned numbers cannot be clamped to -1. */
static bool
activation_fits(const Node *n, Diag *d)
{
	if (node_activation(n) != ACTIVATION_relu_n1_1 ||
	    dtype_info[n->in[0]->type.dtype].class != CLASS_UNSIGNED)
		return true;
	return bad_attribute(n, d, "activation", "relu_n1_1 of unsigned numbers");
}

bool
node_infer_types(const Node *n, Type *out, Diag *d)
{
	if (!node_is_quantized(n))
		return op_info[n->op].infer(n, out, d) && activation_fits(n, d);
	if (!is_known(n, d) || !quant_info[n->op].infer(n, out, d))
		return false;
	for (int i = 0; i < n->nouts; i++)
		if (n->out[i] && n->out[i]->type.q)
			out[i].dtype = n->out[i]->type.dtype;
	return true;
}
