/*
 * fuse-bias: add constants of channels to the bias.
 *
 *	%1 = conv(%x, %w, %b)
 *	%2 = add(%1, %c)			=>	%2 = conv(%x, %w, %b + %c)
 *	%1 = matmul(%a, %b)
 *	%2 = add(%1, %c)			=>	%2 = gemm(%a, %b, %c)
 *
 * Also for sub, and for conv_transpose and gemm.  %c is a constant; what is added to
 * a convolution varies along the channels only.  The second matrix of matmul has rank
 * 2; if the first is a batch, all its rows become one matrix, which takes reshapes
 * that move nothing, and %c must be the same for each row.  Nobody else sees %1.
 *
 * The real result is the same; of floats the order of roundings is not, as the sum
 * starts with the bias.  Integers wrap around, so for them it is exact.  Halves are
 * left alone, where the sum of two biases would round.
 */
#include "passes/rewrite.h"

static bool
is_accurate(DType t)
{
	return t != DT_F16 && t != DT_BF16;
}

/* a + b or a - b, as n does it; `a` may be absent. */
static Value *
combined(Rewrite *r, const Node *n, Node *at, Value *a, Value *b)
{
	if (a)
		return rewrite_constant(r, rewrite_insert(r, at, n->op, 2, (Value *[]){a, b}));
	if (n->op == OP_ADD)
		return b;
	return rewrite_constant(r, rewrite_insert(r, at, OP_NEG, 1, &b));
}

/* Makes `v` input 2. */
static void
set_bias(Rewrite *r, Node *p, Value *v)
{
	if (p->nins < 3) {
		Value **in = ARENA_ARRAY(r->g->arena, Value *, 3);

		in[0] = p->in[0];
		in[1] = p->in[1];
		p->in = in;
		p->nins = 3;
	}
	node_set_input(p, 2, v);
}

static Value *
bias_of(const Node *p)
{
	return p->nins > 2 ? p->in[2] : NULL;
}

static bool
add_to_conv(Rewrite *r, Node *n, Node *p, Value *c)
{
	const Type *y = &p->out[0]->type;
	Value *b = bias_of(p), *v;

	if (b && !value_is_const(b))
		return false;
	v = rewrite_channels(r, p, c, y, 1);
	if (!v)
		return false;
	v = combined(r, n, p, b, v);
	if (v->type.rank == 0) {
		Node *expand = rewrite_insert(r, p, OP_EXPAND, 1, &v);

		((Attr_EXPAND *)expand->attr)->shape = rewrite_ints(r, 1, (int64_t[]){y->dim[1]});
		v = rewrite_constant(r, expand);
	}
	set_bias(r, p, v);
	rewrite_replace(r, n, p->out[0]);
	return true;
}

/* Whether the sum of the constants is not larger than the larger one. */
static bool
does_not_grow(const Type *a, const Type *b)
{
	Type sum = *a;
	bool fits = type_broadcast(a, b, &sum);

	return fits && (type_numel(&sum) == type_numel(a) || type_numel(&sum) == type_numel(b));
}

static bool
add_to_gemm(Rewrite *r, Node *n, Node *p, Value *c)
{
	Attr_GEMM *a = p->attr;
	Value *b = bias_of(p);

	if (b && (!value_is_const(b) || a->beta != 1 || !does_not_grow(&b->type, &c->type)))
		return false;
	a->beta = 1;
	set_bias(r, p, combined(r, n, p, b, c));
	rewrite_replace(r, n, p->out[0]);
	return true;
}

static bool
add_to_matmul(Rewrite *r, Node *n, Node *p, Value *c)
{
	Value *a = p->in[0], *b = p->in[1];
	const Type *y = &p->out[0]->type;
	Type rows = a->type;

	if (b->type.rank != 2 || a->type.rank < 2 || type_numel(&a->type) == 0)
		return false;
	if (a->type.rank > 2) {
		int32_t length = a->type.dim[a->type.rank - 1];

		c = rewrite_channels(r, n, c, y, y->rank - 1);
		if (!c)
			return false;
		rows = type_make(rows.dtype, 2, (int32_t[]){type_numel(&rows) / length, length});
	}
	a = rewrite_reshape(r, n, a, &rows);
	c = combined(r, n, n, NULL, c);
	a = rewrite_infer(r, rewrite_insert(r, n, OP_GEMM, 3, (Value *[]){a, b, c}));
	rewrite_replace(r, n, rewrite_reshape(r, n, a, y));
	return true;
}

/* Tries to let the node behind y add `c`. */
static bool
fuse(Rewrite *r, Node *n, Value *y, Value *c)
{
	Node *p = y->def;

	if (!p || !node_is_plain(p) || y->nuses != 1 || !value_is_const(c) ||
	    !is_accurate(y->type.dtype) ||
	    !type_equal(&y->type, &n->out[0]->type))
		return false;
	switch ((int)p->op) {
	case OP_CONV:
	case OP_CONV_TRANSPOSE: return add_to_conv(r, n, p, c);
	case OP_GEMM: return add_to_gemm(r, n, p, c);
	case OP_MATMUL: return add_to_matmul(r, n, p, c);
	default: return false;
	}
}

bool
pass_fuse_bias(Graph *g, PassCtx *cx)
{
	Rewrite r = rewrite_begin(g, cx);

	for (Node *n = g->first; n; n = n->next) {
		rewrite_inputs(&r, n);
		if (!node_is_plain(n))
			continue;
		if (n->op != OP_ADD && n->op != OP_SUB)
			continue;
		if (!fuse(&r, n, n->in[0], n->in[1]) && n->op == OP_ADD)
			fuse(&r, n, n->in[1], n->in[0]);
	}
	rewrite_end(&r);
	return true;
}
