/*
 * fuse-batch-norm: multiply factors of channels into weights.
 *
 *	%1 = conv(%x, %w, %b)
 *	%2 = mul(%1, %s)		=>	%2 = conv(%x, %w * %s, %b * %s)
 *
 * Also for div, and for conv_transpose, gemm and matmul.  %s, the weights and the
 * bias are constants, %s is a number or varies along the axis of the output channels
 * only, and nobody else sees %1.  Batch normalisation expands to mul and add; the add
 * is for fuse-bias.
 *
 * The real result is the same.  Rounding differs: the product of a weight and its
 * factor is rounded once here, instead of the product of the sum and the factor, an
 * error of the same size as any one multiplication of the sum.  For f32 and f64 only:
 * in the narrower types the rounding of weights would show.
 */
#include "passes/rewrite.h"

/* The scaled shape of the weights: where the output channels are; false when they
 * are not along one axis. */
static bool
weight_shape(const Node *p, Type *shape)
{
	const Type *w = &p->in[1]->type;
	int axis = -1;

	switch ((int)p->op) {
	case OP_CONV: axis = 0; break;
	case OP_CONV_TRANSPOSE: {
		int64_t group = ((const Attr_CONV_TRANSPOSE *)p->attr)->group;

		if (group == 1)
			axis = 1;
		else if (w->dim[0] == group && w->dim[1] == 1)
			axis = 0;
		break;
	}
	case OP_GEMM: axis = ((const Attr_GEMM *)p->attr)->trans_b ? 0 : 1; break;
	case OP_MATMUL:
		if (w->rank == 2)
			axis = 1;
		break;
	default: break;
	}
	if (axis < 0)
		return false;
	*shape = *w;
	for (int i = 0; i < w->rank; i++)
		shape->dim[i] = i == axis ? w->dim[i] : 1;
	return true;
}

static bool
is_linear(const Node *p)
{
	return p->op == OP_CONV || p->op == OP_CONV_TRANSPOSE || p->op == OP_GEMM ||
	       p->op == OP_MATMUL;
}

/* Whether a matrix added by gemm stays as large as it is when its columns are scaled. */
static bool
has_columns(const Node *p)
{
	const Type *c = &p->in[2]->type;

	return p->op != OP_GEMM || type_numel(c) == 1 ||
	       c->dim[c->rank - 1] == p->out[0]->type.dim[1];
}

static bool
has_constant_weights(const Node *p)
{
	DType t = p->out[0]->type.dtype;

	if ((t != DT_F32 && t != DT_F64) || !value_is_const(p->in[1]))
		return false;
	return p->nins < 3 || !p->in[2] || (value_is_const(p->in[2]) && has_columns(p));
}

/* v * s or v / s, as n does it. */
static Value *
scaled(Rewrite *r, const Node *n, Node *at, Value *v, Value *s)
{
	return rewrite_constant(r, rewrite_insert(r, at, n->op, 2, (Value *[]){v, s}));
}

/* Tries to put the factor `c` of n into the node behind y. */
static bool
fuse(Rewrite *r, Node *n, Value *y, Value *c)
{
	Node *p = y->def;
	Type shape;
	Value *s, *w;

	if (!p || !node_is_plain(p) || !is_linear(p) || y->nuses != 1 ||
	    !type_equal(&y->type, &n->out[0]->type) ||
	    !has_constant_weights(p) || !weight_shape(p, &shape))
		return false;
	s = rewrite_channels(r, p, c, &y->type,
			     p->op == OP_CONV || p->op == OP_CONV_TRANSPOSE ? 1 : y->type.rank - 1);
	if (!s)
		return false;
	w = s->type.rank == 0 ? s : rewrite_reshape(r, p, s, &shape);
	if (w->def)
		w = rewrite_constant(r, w->def);
	node_set_input(p, 1, scaled(r, n, p, p->in[1], w));
	if (p->nins > 2 && p->in[2])
		node_set_input(p, 2, scaled(r, n, p, p->in[2], s));
	rewrite_replace(r, n, y);
	return true;
}

bool
pass_fuse_batch_norm(Graph *g, PassCtx *cx)
{
	Rewrite r = rewrite_begin(g, cx);

	for (Node *n = g->first; n; n = n->next) {
		rewrite_inputs(&r, n);
		if (!node_is_plain(n))
			continue;
		if (n->op != OP_MUL && n->op != OP_DIV)
			continue;
		if (!fuse(&r, n, n->in[0], n->in[1]) && n->op == OP_MUL)
			fuse(&r, n, n->in[1], n->in[0]);
	}
	rewrite_end(&r);
	return true;
}
