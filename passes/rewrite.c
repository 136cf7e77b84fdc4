#include "passes/rewrite.h"

#include <assert.h>
#include <math.h>
#include <string.h>

Rewrite
rewrite_begin(Graph *g, PassCtx *cx)
{
	Rewrite r = {.g = g, .cx = cx};

	r.to.cap = r.to.n = g->values.n;
	r.to.v = ARENA_ARRAY(cx->scratch, Value *, g->values.n);
	return r;
}

/* A replacement may have been replaced itself, but never by a later value, so
 * that one step is enough: what stands in `to` was current when it was put there
 * and is never replaced afterwards, as its node is behind the walk. */
static Value *
current(const Rewrite *r, Value *v)
{
	if (v && v->id < r->to.n && r->to.v[v->id])
		return r->to.v[v->id];
	return v;
}

void
rewrite_inputs(Rewrite *r, Node *n)
{
	for (int i = 0; i < n->nins; i++) {
		Value *v = current(r, n->in[i]);

		if (v != n->in[i])
			node_set_input(n, i, v);
	}
}

void
rewrite_value(Rewrite *r, const Value *from, Value *v)
{
	assert(from != v && type_equal(&from->type, &v->type));
	while (r->to.n <= from->id)
		VEC_PUSH(r->cx->scratch, &r->to, NULL);
	r->to.v[from->id] = current(r, v);
}

void
rewrite_replace(Rewrite *r, Node *n, Value *v)
{
	assert(n->nouts == 1);
	rewrite_value(r, n->out[0], v);
	VEC_PUSH(r->cx->scratch, &r->dead, n);
	r->cx->changed++;
}

void
rewrite_end(Rewrite *r)
{
	Graph *g = r->g;

	for (int i = 0; i < g->outputs.n; i++) {
		Value *v = g->outputs.v[i], *to = current(r, v);

		v->nuses--;
		to->nuses++;
		g->outputs.v[i] = to;
	}
	for (int i = 0; i < r->dead.n; i++)
		graph_remove(g, r->dead.v[i]);
}

Node *
rewrite_insert(Rewrite *r, Node *at, Op op, int nins, Value *const *in)
{
	return graph_insert(r->g, at, op, nins, in, 1, NULL);
}

Value *
rewrite_infer(Rewrite *r, Node *n)
{
	bool fits = node_infer(n, r->cx->diag);

	assert(fits);
	(void)fits;
	return n->out[0];
}

Ints
rewrite_ints(Rewrite *r, int n, const int64_t *v)
{
	return (Ints){n, arena_copy(r->g->arena, v, (size_t)n * sizeof *v)};
}

Value *
rewrite_reshape(Rewrite *r, Node *at, Value *x, const Type *shape)
{
	int64_t dim[MAX_RANK];
	Node *n;

	if (type_same_shape(&x->type, shape))
		return x;
	for (int i = 0; i < shape->rank; i++)
		dim[i] = shape->dim[i];
	n = rewrite_insert(r, at, OP_RESHAPE, 1, &x);
	((Attr_RESHAPE *)n->attr)->shape = rewrite_ints(r, shape->rank, dim);
	return rewrite_infer(r, n);
}

Value *
rewrite_constant(Rewrite *r, Node *n)
{
	Value *v = rewrite_infer(r, n);

	if (node_fold(r->g, n))
		graph_remove(r->g, n);
	return v;
}

Value *
rewrite_channels(Rewrite *r, Node *at, Value *c, const Type *t, int axis)
{
	Type vector = type_make(t->dtype, 1, &t->dim[axis]);
	Type scalar = type_scalar(t->dtype);
	int first = t->rank - c->type.rank; /* axes are aligned at the end */

	if (!value_is_const(c) || first < 0 || c->type.dtype != t->dtype)
		return NULL;
	for (int i = 0; i < c->type.rank; i++)
		if (c->type.dim[i] != 1 && (first + i != axis || c->type.dim[i] != t->dim[axis]))
			return NULL;
	c = rewrite_reshape(r, at, c, type_numel(&c->type) == 1 ? &scalar : &vector);
	return c->def ? rewrite_constant(r, c->def) : c;
}

bool
value_is_uniform(const Value *v, double *x)
{
	size_t bytes = type_bytes(&v->type), width = (size_t)dtype_info[v->type.dtype].bytes;
	const char *p = v->data;

	if (!p || bytes == 0)
		return false;
	/* All elements are like the one before. */
	if (memcmp(p, p + width, bytes - width) != 0)
		return false;
	*x = value_float(v, 0);
	if (dtype_is_float(v->type.dtype))
		return !isnan(*x);
	return fabs(*x) <= 0x1p53;
}
