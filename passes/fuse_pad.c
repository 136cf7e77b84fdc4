/*
 * fuse-pad: let convolutions and pools do their own padding.
 *
 *	%1 = pad(%x) {pads=[0,0,1,1,0,0,1,1]}
 *	%2 = conv(%1, %w)			=>	%2 = conv(%x, %w) {pads=[1,1,1,1]}
 *
 * The padding is with zeros, of spatial axes only, and not negative.
 *
 * A convolution leaves out the products with padding instead of adding them.  They
 * are zeros if the weights are finite, and adding a zero changes a sum only when that
 * is -0, which a sum that starts with anything else never becomes.  So this is exact
 * when the weights and the bias are constants, the weights finite and the bias not
 * -0; of integers always.
 *
 * An average pool that counts its padding, or has none of its own, adds and counts
 * the zeros likewise.  In ceil mode windows may leave the padded input, where nothing
 * counts: then it is left alone.
 */
#include <math.h>

#include "passes/rewrite.h"

/* The spatial pads of a pad node that others can do, or false. */
static bool
reads_pads(const Node *pad, int64_t *pads)
{
	const Attr_PAD *a = pad->attr;
	int rank = pad->in[0]->type.rank;
	double value = 0;

	if (a->mode != PAD_constant || rank < 3)
		return false;
	if (pad->nins > 1 && pad->in[1] &&
	    (!value_is_const(pad->in[1]) || !value_is_uniform(pad->in[1], &value) || value != 0))
		return false;
	for (int i = 0; i < 2 * rank; i++) {
		int axis = i % rank;

		if (a->pads.v[i] < 0 || (axis < 2 && a->pads.v[i] != 0))
			return false;
		if (axis >= 2)
			pads[(i / rank) * (rank - 2) + axis - 2] = a->pads.v[i];
	}
	return true;
}

static bool
all_elements(const Value *v, bool (*holds)(double))
{
	for (int32_t i = 0; i < type_numel(&v->type); i++)
		if (!holds(value_float(v, i)))
			return false;
	return true;
}

static bool
is_finite(double x)
{
	return isfinite(x);
}

static bool
is_not_minus_zero(double x)
{
	return x != 0 || !signbit(x);
}

static bool
conv_ignores_zeros(const Node *n)
{
	const Value *w = n->in[1], *b = n->nins > 2 ? n->in[2] : NULL;

	if (!dtype_is_float(w->type.dtype))
		return true;
	return value_is_const(w) && all_elements(w, is_finite) &&
	       (!b || (value_is_const(b) && all_elements(b, is_not_minus_zero)));
}

static bool
has_pads(Ints pads)
{
	for (int i = 0; i < pads.n; i++)
		if (pads.v[i] != 0)
			return true;
	return false;
}

static bool
pool_counts_zeros(const Node *n)
{
	const Attr_AVG_POOL *a = n->attr;

	return !a->ceil_mode && (a->count_include_pad || !has_pads(a->pads));
}

/* Moves the padding of `pad` into the list `own` of n. */
static void
take_pads(Rewrite *r, Node *n, const Node *pad, Ints *own)
{
	int64_t pads[2 * MAX_RANK];
	int count = 2 * (n->in[0]->type.rank - 2);

	if (!reads_pads(pad, pads))
		return;
	for (int i = 0; i < own->n; i++)
		pads[i] += own->v[i];
	*own = rewrite_ints(r, count, pads);
	if (n->op == OP_AVG_POOL)
		((Attr_AVG_POOL *)n->attr)->count_include_pad = true;
	node_set_input(n, 0, pad->in[0]);
	r->cx->changed++;
}

bool
pass_fuse_pad(Graph *g, PassCtx *cx)
{
	Rewrite r = rewrite_begin(g, cx);

	for (Node *n = g->first; n; n = n->next) {
		const Node *pad = n->nins > 0 && n->in[0] ? n->in[0]->def : NULL;

		if (!pad || pad->op != OP_PAD || !node_is_plain(n))
			continue;
		if (n->op == OP_CONV && conv_ignores_zeros(n))
			take_pads(&r, n, pad, &((Attr_CONV *)n->attr)->pads);
		else if (n->op == OP_AVG_POOL && pool_counts_zeros(n))
			take_pads(&r, n, pad, &((Attr_AVG_POOL *)n->attr)->pads);
	}
	rewrite_end(&r);
	return true;
}
