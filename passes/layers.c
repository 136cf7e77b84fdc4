/*
 * layers: write products with constant matrices in one form.
 *
 *	%1: f32[2,3,5] = matmul(%x, %w)		=>	%a = reshape(%x) {shape=[6,4]}
 *	%2 = add(%1, %b)				%1 = gemm(%a, %w, %b)
 *							%2 = reshape(%1) {shape=[2,3,5]}
 *
 *	gemm with alpha, beta or trans_a	=>	the factors in the constants, a transpose
 *	gemm with a bias of another shape	=>	a vector of one number a column, or an add
 *	avg_pool that counts its padding	=>	pad, avg_pool without padding
 *	pow(%x, 2)				=>	mul(%x, %x)
 *
 * The result is what quantisation knows as a layer: a matrix of constants, a bias a column,
 * no factors.  A factor in the constants rounds earlier, and a bias starts the sum instead
 * of ending it, so that bits of floats change; those of the pool do not.
 */
#include <assert.h>

#include "ir/num.h"
#include "passes/rewrite.h"

static void
take_name(Node *n, const Node *from)
{
	n->name = from->name;
	n->loc = from->loc;
}

static bool
is_float_constant(const Value *v)
{
	return value_is_const(v) && v->type.dtype == DT_F32 && !v->type.q;
}

/* v times a factor. */
static Value *
scaled(Graph *g, Value *v, double factor)
{
	size_t n = (size_t)type_numel(&v->type);
	float *data;

	if (factor == 1)
		return v;
	data = ARENA_ARRAY(g->arena, float, n + 1);
	for (size_t i = 0; i < n; i++)
		data[i] = (float)((double)((const float *)v->data)[i] * factor);
	return graph_const(g, v->name, v->type, data);
}

/* A constant that broadcasts along columns alone, as a vector of n; or NULL. */
static Value *
as_vector(Graph *g, Value *v, int32_t n)
{
	int32_t count = type_numel(&v->type);
	float *data;

	if (!is_float_constant(v) || (count != 1 && count != n) ||
	    (count == n && n > 1 && v->type.dim[v->type.rank - 1] != n))
		return NULL;
	if (count == n && v->type.rank == 1)
		return v;
	data = ARENA_ARRAY(g->arena, float, (size_t)n + 1);
	for (int32_t i = 0; i < n; i++)
		data[i] = ((const float *)v->data)[count == 1 ? 0 : i];
	return graph_const(g, v->name, type_make(DT_F32, 1, &n), data);
}

/* ---- matmul ---- */

/* The add of a vector that alone uses v, or NULL. */
static Node *
only_add_behind(const Value *v)
{
	for (Node *n = v->def->next; n && v->nuses == 1; n = n->next)
		for (int i = 0; i < n->nins; i++)
			if (n->in[i] == v)
				return n->op == OP_ADD && node_is_plain(n) ? n : NULL;
	return NULL;
}

static void
rewrite_matmul(Rewrite *r, Node *n)
{
	Value *x = n->in[0], *w = n->in[1], *y = n->out[0], *bias = NULL, *in[3], *v;
	int32_t k = w->type.dim[0], columns = w->type.dim[1];
	int32_t rows[2] = {k ? type_numel(&x->type) / k : 0, k};
	Type flat = type_make(DT_F32, 2, rows);
	Node *add = only_add_behind(y), *gemm;

	if (add && type_same_shape(&add->out[0]->type, &y->type))
		bias = as_vector(r->g, add->in[add->in[0] == y], columns);
	in[0] = rewrite_reshape(r, n, x, &flat);
	in[1] = w;
	in[2] = bias;
	gemm = rewrite_insert(r, n, OP_GEMM, bias ? 3 : 2, in);
	take_name(gemm, n);
	v = rewrite_reshape(r, n, rewrite_infer(r, gemm), &y->type);
	if (bias)
		rewrite_replace(r, add, v);
	rewrite_replace(r, n, v);
}

static bool
is_matrix_product(const Node *n)
{
	const Type *w;

	if (n->op != OP_MATMUL || node_is_quantized(n) || !is_float_constant(n->in[1]) ||
	    value_is_const(n->in[0]))
		return false;
	w = &n->in[1]->type;
	return w->rank == 2 && w->dim[0] > 0;
}

/* ---- gemm ---- */

static Value *
transposed(Rewrite *r, Node *at, Value *x)
{
	static const int64_t perm[] = {1, 0};
	Node *n = rewrite_insert(r, at, OP_TRANSPOSE, 1, &x);

	((Attr_TRANSPOSE *)n->attr)->perm = rewrite_ints(r, 2, perm);
	return rewrite_infer(r, n);
}

/* Without an activation the addend may be added by another node. */
static void
rewrite_gemm(Rewrite *r, Node *n)
{
	Attr_GEMM *a = n->attr;
	Value *c = n->nins > 2 ? n->in[2] : NULL, *bias = NULL;
	int32_t columns = n->out[0]->type.dim[1];

	if (c && a->beta != 0)
		bias = as_vector(r->g, c, columns);
	if (c && a->beta != 0 && !bias)
		return;
	if (a->trans_a)
		node_set_input(n, 0, transposed(r, n, n->in[0]));
	if (bias != c || a->alpha != 1 || a->beta != 1 || a->trans_a)
		r->cx->changed++;
	node_set_input(n, 1, scaled(r->g, n->in[1], a->alpha));
	if (c)
		node_set_input(n, 2, bias ? scaled(r->g, bias, a->beta) : NULL);
	a->alpha = a->beta = 1;
	a->trans_a = false;
}

static bool
is_layer(const Node *n)
{
	return n->op == OP_GEMM && !node_is_quantized(n) && is_float_constant(n->in[1]) &&
	       !value_is_const(n->in[0]) && n->in[0]->type.dtype == DT_F32;
}

/* gemm(a, w, c) with a c that is no vector: gemm(a, w) + beta * c */
static bool
has_odd_addend(Rewrite *r, const Node *n)
{
	const Attr_GEMM *a = n->attr;
	Value *c = n->nins > 2 ? n->in[2] : NULL;

	return c && a->beta != 0 && a->activation == ACTIVATION_none &&
	       (a->beta == 1 || is_float_constant(c)) &&
	       !as_vector(r->g, c, n->out[0]->type.dim[1]);
}

static void
split_addend(Rewrite *r, Node *n)
{
	Attr_GEMM *a = n->attr;
	Value *in[2] = {n->in[0], n->in[1]}, *sum[2];
	Node *product = rewrite_insert(r, n, OP_GEMM, 2, in), *add;
	Attr_GEMM *b = product->attr;

	*b = *a;
	b->beta = 1;
	take_name(product, n);
	sum[0] = rewrite_infer(r, product);
	sum[1] = a->beta == 1 ? n->in[2] : scaled(r->g, n->in[2], a->beta);
	add = rewrite_insert(r, n, OP_ADD, 2, sum);
	take_name(add, n);
	rewrite_replace(r, n, rewrite_infer(r, add));
	rewrite_gemm(r, product);
}

/* ---- avg_pool ---- */

static bool
counts_padding(const Node *n)
{
	const Attr_AVG_POOL *a = n->attr;

	if (n->op != OP_AVG_POOL || node_is_quantized(n) || !a->count_include_pad ||
	    a->ceil_mode || n->in[0]->type.dtype != DT_F32)
		return false;
	for (int i = 0; i < a->pads.n; i++)
		if (a->pads.v[i] != 0)
			return true;
	return false;
}

static void
split_padding(Rewrite *r, Node *n)
{
	Attr_AVG_POOL *a = n->attr;
	int rank = n->in[0]->type.rank, first = a->layout == LAYOUT_nhwc ? 1 : 2;
	int spatial = rank - 2;
	int64_t pads[2 * MAX_RANK] = {0};
	Value *in[2] = {n->in[0], graph_const_float(r->g, NULL, DT_F32, 0)};
	Node *pad = rewrite_insert(r, n, OP_PAD, 2, in);

	for (int i = 0; i < spatial; i++) {
		pads[first + i] = a->pads.v[i];
		pads[rank + first + i] = a->pads.v[spatial + i];
	}
	((Attr_PAD *)pad->attr)->pads = rewrite_ints(r, 2 * rank, pads);
	take_name(pad, n);
	node_set_input(n, 0, rewrite_infer(r, pad));
	a->pads = (Ints)NO_INTS;
	a->count_include_pad = false;
	r->cx->changed++;
}

/* ---- Squares ---- */

static bool
is_square(const Node *n)
{
	return n->op == OP_POW && is_float_constant(n->in[1]) && type_numel(&n->in[1]->type) == 1 &&
	       *(const float *)n->in[1]->data == 2 &&
	       type_same_shape(&n->in[0]->type, &n->out[0]->type);
}

static void
rewrite_square(Rewrite *r, Node *n)
{
	Value *x[] = {n->in[0], n->in[0]};
	Node *k = rewrite_insert(r, n, OP_MUL, 2, x);

	take_name(k, n);
	rewrite_replace(r, n, rewrite_infer(r, k));
}

bool
pass_layers(Graph *g, PassCtx *cx)
{
	Rewrite r = rewrite_begin(g, cx);

	for (Node *n = g->first, *next; n; n = next) {
		next = n->next;
		rewrite_inputs(&r, n);
		if (is_matrix_product(n))
			rewrite_matmul(&r, n);
		else if (is_layer(n) && has_odd_addend(&r, n))
			split_addend(&r, n);
		else if (is_layer(n))
			rewrite_gemm(&r, n);
		else if (counts_padding(n))
			split_padding(&r, n);
		else if (is_square(n))
			rewrite_square(&r, n);
	}
	rewrite_end(&r);
	return true;
}
