/*
 * cse: compute equal things once.
 *
 *	%1 = relu(%x)
 *	%2 = relu(%x)				=>	%2 is %1
 *
 * Nodes are equal when operator, attributes, inputs and element types are; constants
 * when type and bytes are.  The first of the equal ones stays.  Operators have no
 * state and the same inputs give the same bits, so this is exact.
 *
 * Equality is found by hashing, in the order of the graph: nothing depends on
 * addresses.
 */
#include <string.h>

#include "passes/rewrite.h"

/* Open addressing; entries are nodes or constants. */
typedef struct {
	const void **slot;
	size_t size; /* a power of two */
} Table;

static Table
new_table(PassCtx *cx, int entries)
{
	Table t = {.size = 16};

	while (t.size < 2 * (size_t)entries)
		t.size *= 2;
	t.slot = ARENA_ARRAY(cx->scratch, const void *, t.size);
	return t;
}

static uint64_t
mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 29;
}

static uint64_t
mix_bytes(uint64_t h, const void *data, size_t n)
{
	const char *p = data;

	for (; n >= 8; n -= 8, p += 8) {
		uint64_t word;

		memcpy(&word, p, 8);
		h = mix(h, word);
	}
	for (; n > 0; n--, p++)
		h = mix(h, (unsigned char)*p);
	return h;
}

/* The slot of an equal entry, or the empty one for this. */
static const void **
find(const Table *t, uint64_t hash, const void *entry, bool (*equal)(const void *, const void *))
{
	size_t i = (size_t)hash & (t->size - 1);

	while (t->slot[i] && !equal(t->slot[i], entry))
		i = (i + 1) & (t->size - 1);
	return &t->slot[i];
}

/* ---- Constants ---- */

static bool
equal_constants(const void *a, const void *b)
{
	const Value *x = a, *y = b;

	return type_equal(&x->type, &y->type) && type_same_quant(&x->type, &y->type) &&
	       (x->data == y->data || memcmp(x->data, y->data, type_bytes(&x->type)) == 0);
}

static void
merge_constants(Rewrite *r)
{
	const Graph *g = r->g;
	Table t = new_table(r->cx, g->values.n);

	for (int i = 0; i < g->values.n; i++) {
		Value *v = g->values.v[i];
		const void **slot;
		uint64_t h;

		if (!value_is_const(v) || v->nuses == 0)
			continue;
		h = mix_bytes((uint64_t)v->type.dtype, v->data, type_bytes(&v->type));
		slot = find(&t, h, v, equal_constants);
		if (*slot) {
			rewrite_value(r, v, g->values.v[((const Value *)*slot)->id]);
			r->cx->changed++;
		} else {
			*slot = v;
		}
	}
}

/* ---- Nodes ---- */

static bool
equal_attr(const AttrInfo *a, const void *x, const void *y)
{
	const Ints *xi = x, *yi = y;
	const Floats *xf = x, *yf = y;

	switch (a->kind) {
	case ATTR_KIND_int: return memcmp(x, y, sizeof(int64_t)) == 0;
	case ATTR_KIND_float: return memcmp(x, y, sizeof(double)) == 0;
	case ATTR_KIND_bool: return *(const bool *)x == *(const bool *)y;
	case ATTR_KIND_dtype:
	case ATTR_KIND_enum: return memcmp(x, y, sizeof(int)) == 0;
	case ATTR_KIND_str:
		return strcmp(*(const char *const *)x, *(const char *const *)y) == 0;
	case ATTR_KIND_ints:
		return xi->n == yi->n &&
		       (xi->n == 0 || memcmp(xi->v, yi->v, (size_t)xi->n * sizeof *xi->v) == 0);
	case ATTR_KIND_floats:
		return xf->n == yf->n &&
		       (xf->n == 0 || memcmp(xf->v, yf->v, (size_t)xf->n * sizeof *xf->v) == 0);
	}
	return false;
}

static bool
equal_nodes(const void *a, const void *b)
{
	const Node *x = a, *y = b;

	if (x->op != y->op || x->nins != y->nins || x->nouts != y->nouts)
		return false;
	for (int i = 0; i < x->nins; i++)
		if (x->in[i] != y->in[i])
			return false;
	for (int i = 0; i < x->nouts; i++)
		if ((x->out[i] == NULL) != (y->out[i] == NULL) ||
		    (x->out[i] && !type_same_quant(&x->out[i]->type, &y->out[i]->type)))
			return false;
	for (const AttrInfo *k = op_info[x->op].attrs; k->name; k++)
		if (!equal_attr(k, (const char *)x->attr + k->offset,
		                (const char *)y->attr + k->offset))
			return false;
	return true;
}

/* Lists are what tells many nodes on one input apart. */
static uint64_t
hash_attrs(const Node *n)
{
	uint64_t h = 0;

	for (const AttrInfo *k = op_info[n->op].attrs; k->name; k++) {
		const char *x = (const char *)n->attr + k->offset;

		if (k->kind == ATTR_KIND_ints) {
			Ints list;

			memcpy(&list, x, sizeof list);
			for (int i = 0; i < list.n; i++)
				h = mix(h, (uint64_t)list.v[i]);
		} else if (k->kind == ATTR_KIND_int) {
			h = mix_bytes(h, x, sizeof(int64_t));
		}
	}
	return h;
}

static uint64_t
hash_node(const Node *n)
{
	uint64_t h = mix(hash_attrs(n), (uint64_t)n->op);

	for (int i = 0; i < n->nins; i++)
		h = mix(h, n->in[i] ? (uint64_t)n->in[i]->id + 1 : 0);
	for (int i = 0; i < n->nouts; i++)
		h = mix(h, n->out[i] != NULL);
	return h;
}

bool
pass_cse(Graph *g, PassCtx *cx)
{
	Rewrite r = rewrite_begin(g, cx);
	Table t;
	int count = 0;

	for (const Node *n = g->first; n; n = n->next)
		count++;
	t = new_table(cx, count);
	merge_constants(&r);
	for (Node *n = g->first; n; n = n->next) {
		const void **slot;

		rewrite_inputs(&r, n);
		slot = find(&t, hash_node(n), n, equal_nodes);
		if (!*slot) {
			*slot = n;
			continue;
		}
		for (int i = 0; i < n->nouts; i++)
			if (n->out[i])
				rewrite_value(&r, n->out[i], ((const Node *)*slot)->out[i]);
		VEC_PUSH(cx->scratch, &r.dead, n);
		cx->changed++;
	}
	rewrite_end(&r);
	return true;
}
