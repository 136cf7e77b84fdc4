/*
 * fuse-lookups: compute chains of functions of 8-bit numbers at once.
 *
 *	%1 = requantize(%x)
 *	%2 = requantize(%1)		=>	%2 = requantize(%x)
 *
 *	%1 = requantize(%x)			%1 = codes(%x)
 *	%2 = sigmoid(%1)		=>	%2 = kernel(%1) {a table of 256 numbers}
 *	%3 = requantize(%2)			%3 = codes(reshape(%2))
 *
 * A chain starts and ends with quantised numbers of 8 bits; what lies between may be wider,
 * or floats, and is used by nothing else.  As the first number has 256 values, all that
 * the chain does is known: the operators' reference lowerings compute it here.  Steps from
 * one quantisation to another become one step where that gives the same number for every
 * code (for 16 bits too); everything else becomes a table.  So the results are the same
 * bit for bit, and floats between integers need no floating point.
 *
 * In small programs two steps of plain integer arithmetic stay: a table is longer.
 */
#include <string.h>

#include "ir/loop/loop.h"
#include "ir/ops/requant.h"
#include "passes/rewrite.h"

enum { MAX_CHAIN = 16, BYTE_CODES = 256 };

/* The nodes from the last to the first. */
typedef struct {
	int n;
	Node *node[MAX_CHAIN];
	Value *x;
} Chain;

static bool
is_one_quant(const Type *t, int bytes)
{
	return t->q && t->q->n == 1 && dtype_info[t->dtype].bytes == bytes &&
	       dtype_is_integer(t->dtype);
}

/* One number from one number, whatever its place. */
static bool
is_function(const Node *n)
{
	const OpInfo *info = &op_info[n->op];

	if (n->nins != 1 || n->nouts != 1 || !type_same_shape(&n->in[0]->type, &n->out[0]->type))
		return false;
	if (n->out[0]->type.q && n->out[0]->type.q->n != 1)
		return false;
	return n->op == OP_REQUANTIZE || info->kind == OP_ELEMENTWISE;
}

/* The longest chain that ends with `last` and begins with numbers of `bytes` bytes. */
static Chain
find_chain(Node *last, int bytes)
{
	Chain c = {0}, best = {0};
	Node *n = last;

	while (n && c.n < MAX_CHAIN && is_function(n) && !value_is_const(n->in[0]) &&
	       (n == last || n->out[0]->nuses == 1)) {
		c.node[c.n++] = n;
		c.x = n->in[0];
		if (is_one_quant(&c.x->type, bytes))
			best = c;
		n = c.x->def;
	}
	return best;
}

/* ---- What a chain computes ---- */

/* All codes of a type. */
static Value *
all_codes(Rewrite *r, const Type *like)
{
	int32_t count = dtype_info[like->dtype].bytes == 1 ? BYTE_CODES : 1 << 16;
	Type t = type_make(like->dtype, 1, &count);
	QRange range = quant_limits(like->dtype);
	void *data = arena_alloc(r->g->arena, type_bytes(&t));

	for (int32_t i = 0; i < count; i++) {
		int32_t v = range.lo + i;

		/* Integers of one or two bytes, in the order of the numbers. */
		if (t.dtype == DT_I16)
			((int16_t *)data)[i] = (int16_t)v;
		else
			((uint8_t *)data)[i] = (uint8_t)v;
	}
	t.q = like->q;
	return graph_const(r->g, NULL, t, data);
}

/* A copy of `n` for the constant x, computed; NULL when that takes too long. */
static Value *
computed(Rewrite *r, Node *n, Value *x)
{
	Node *copy = graph_insert(r->g, n, n->op, 1, &x, 1, NULL);
	Value *y = copy->out[0];
	Diag quiet;
	bool ok;

	diag_init(&quiet, r->cx->scratch);
	memcpy(copy->attr, n->attr, op_info[n->op].attr_size);
	y->type.dtype = n->out[0]->type.dtype;
	y->type.q = n->out[0]->type.q;
	ok = node_infer(copy, &quiet) && node_fold_within(r->g, copy, &r->cx->fold_iterations);
	graph_remove(r->g, copy);
	return ok ? y : NULL;
}

/* What the chain gives for every code, or NULL. */
static Value *
results(Rewrite *r, const Chain *c)
{
	Value *v = all_codes(r, &c->x->type);

	for (int i = c->n; v && i-- > 0;)
		v = computed(r, c->node[i], v);
	return v;
}

/* ---- One step ---- */

/* The last step alone, where it does what all of them do; NULL: it does not. */
static Value *
single_step(Rewrite *r, const Chain *c, const Value *y)
{
	Value *direct, *x = c->x;
	Node *n;

	for (int i = 0; i < c->n; i++)
		if (c->node[i]->op != OP_REQUANTIZE)
			return NULL;
	direct = computed(r, c->node[0], all_codes(r, &x->type));
	if (!direct || memcmp(direct->data, y->data, type_bytes(&y->type)) != 0)
		return NULL;
	n = rewrite_insert(r, c->node[0], OP_REQUANTIZE, 1, &x);
	memcpy(n->attr, c->node[0]->attr, op_info[OP_REQUANTIZE].attr_size);
	n->out[0]->type = c->node[0]->out[0]->type;
	return rewrite_infer(r, n);
}

/* ---- A table ---- */

/* The text of y[i] = table[x[i]]; the index is the number's bits. */
static const char *
lookup_text(Rewrite *r, const Type *x, const Value *y)
{
	int32_t count = type_numel(x), least = quant_limits(x->dtype).lo;
	Arena *a = r->cx->scratch;
	uint8_t table[BYTE_CODES];
	LBuf *from, *to, *buf;
	LBuilder b = {0};
	Expr *i, *at;
	Str s;

	for (int32_t k = 0; k < BYTE_CODES; k++)
		table[(uint8_t)(least + k)] = ((const uint8_t *)y->data)[k];
	loop_begin(&b, a, "lookup");
	from = loop_buf(&b, "x", x->dtype, count, LBUF_IN, NULL);
	to = loop_buf(&b, "y", y->type.dtype, count, LBUF_OUT, NULL);
	buf = loop_buf(&b, "table", y->type.dtype, BYTE_CODES, LBUF_TABLE, table);
	i = loop_for(&b, "i", 0, count);
	at = loop_cvt(&b, DT_IDX, loop_cvt(&b, DT_U8, loop_load(&b, from, i)));
	loop_store(&b, to, i, loop_load(&b, buf, at));
	loop_end(&b);
	str_init(&s, r->g->arena);
	lfunc_print(&s, loop_finish(&b));
	return s.s;
}

static Value *
lookup(Rewrite *r, const Chain *c, const Value *y)
{
	Node *at = c->node[0], *n = rewrite_insert(r, at, OP_CODES, 1, (Value *[]){c->x});
	const Type *t = &at->out[0]->type;
	Value *v = rewrite_infer(r, n);

	n = rewrite_insert(r, at, OP_KERNEL, 1, &v);
	((Attr_KERNEL *)n->attr)->code = lookup_text(r, &v->type, y);
	v = rewrite_reshape(r, at, rewrite_infer(r, n), t);
	n = rewrite_insert(r, at, OP_CODES, 1, &v);
	n->out[0]->type = *t;
	return rewrite_infer(r, n);
}

/* Whether a few instructions do it. */
static bool
is_short(const Node *n)
{
	switch ((int)n->op) {
	case OP_REQUANTIZE:
	case OP_RELU:
	case OP_CLAMP:
	case OP_ABS:
	case OP_NEG:
	case OP_LEAKY_RELU: return n->in[0]->type.q && n->out[0]->type.q;
	}
	return false;
}

static bool
is_worth_a_table(const Chain *c, bool small)
{
	int shorts = 0;

	for (int i = 0; i < c->n; i++)
		shorts += is_short(c->node[i]);
	return !small || shorts < c->n || c->n > 2;
}

static const char *
name_of(const Node *n)
{
	return n->name ? n->name : n->out[0]->name;
}

static Value *
fused(Rewrite *r, Node *last)
{
	bool bytes = is_one_quant(&last->out[0]->type, 1);
	Chain c = find_chain(last, 1);
	Value *y, *v;
	bool one;

	if (c.n < 2)
		c = find_chain(last, 2);
	if (c.n < 2 || type_numel(&last->out[0]->type) == 0 || !(y = results(r, &c)))
		return NULL;
	one = (v = single_step(r, &c, y)) != NULL;
	if (!v && bytes && is_one_quant(&c.x->type, 1) && is_worth_a_table(&c, r->cx->small))
		v = lookup(r, &c, y);
	if (v && r->cx->remarks[PASS_fuse_lookups])
		diag_report(r->cx->diag, &last->loc, R_PASS, "fuse-lookups: %d operators up to '%s' "
		            "become %s", c.n, name_of(last), one ? "one requantize" : "a table");
	return v;
}

/* The last user of each value, by id. */
static Node **
find_users(const Graph *g, Arena *a)
{
	Node **user = ARENA_ARRAY(a, Node *, g->values.n);

	for (Node *n = g->first; n; n = n->next)
		for (int i = 0; i < n->nins; i++)
			if (n->in[i])
				user[n->in[i]->id] = n;
	return user;
}

/* Whether functions go on from here to 8-bit numbers, so that the chain is longer. */
static bool
goes_on(const Node *n, Node *const *user)
{
	for (int i = 0; i < MAX_CHAIN && n->out[0]->nuses == 1; i++) {
		n = user[n->out[0]->id];
		if (!n || !is_function(n))
			return false;
		if (is_one_quant(&n->out[0]->type, 1))
			return true;
	}
	return false;
}

bool
pass_fuse_lookups(Graph *g, PassCtx *cx)
{
	Node **user = find_users(g, cx->scratch);
	int count = g->values.n;
	Rewrite r = rewrite_begin(g, cx);

	for (Node *n = g->first; n; n = n->next) {
		Value *v;

		rewrite_inputs(&r, n);
		/* Values from `count` on are what this pass made. */
		if (!is_function(n) || !n->out[0]->type.q || n->out[0]->nuses == 0 ||
		    n->out[0]->id >= count || goes_on(n, user))
			continue;
		if ((v = fused(&r, n)))
			rewrite_replace(&r, n, v);
	}
	rewrite_end(&r);
	return true;
}
