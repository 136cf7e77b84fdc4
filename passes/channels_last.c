/*
 * channels-last: compute quantised convolutions in the layout nhwc.
 *
 *	%y = conv(%x, %w, %b)		=>	%1 = transpose(%x) {perm=[0,2,3,1]}
 *						%2 = conv(%1, %w', %b) {layout=nhwc}
 *						%y = transpose(%2) {perm=[0,3,1,2]}
 *
 * Fast kernels know that layout.  Pools, means over spatial axes, concats and elementwise
 * operators whose inputs were made so follow in the same layout, so that the transposes
 * before them have no users and go (dce).  Of a matrix product behind a flattening
 * reshape the columns of the constant matrix move instead.
 *
 * Only convolutions of i8 with constant weights start it.  Every bit is the same:
 * quantised sums are of integers.
 */
#include <string.h>

#include "passes/rewrite.h"

typedef struct {
	Rewrite r;
	VEC(Value *) last; /* by Value.id: the same value with its channels last, or NULL */
} ChannelsLast;

static const bool is_elementwise[OP_COUNT] = {
#define EOP(id, name, inputs, shape, traits) [OP_##id] = true,
#include "ir/ops.def"
	[OP_REQUANTIZE] = true,
};

/* ---- Values ---- */

static int64_t *
perm_of(Arena *a, int rank, bool to_last)
{
	int64_t *perm = ARENA_ARRAY(a, int64_t, rank);

	for (int i = 1; i < rank; i++)
		perm[i] = to_last ? (i < rank - 1 ? i + 1 : 1) : (i == 1 ? rank - 1 : i - 1);
	return perm;
}

static Value *
transposed(ChannelsLast *p, Node *at, Value *x, bool to_last)
{
	Node *n = rewrite_insert(&p->r, at, OP_TRANSPOSE, 1, &x);
	int rank = x->type.rank;

	((Attr_TRANSPOSE *)n->attr)->perm = (Ints){rank, perm_of(p->r.g->arena, rank, to_last)};
	n->loc = at->loc;
	n->out[0]->type.dtype = x->type.dtype;
	n->out[0]->type.q = x->type.q;
	return rewrite_infer(&p->r, n);
}

static Value *
last_of(const ChannelsLast *p, const Value *v)
{
	return v && v->id < p->last.n ? p->last.v[v->id] : NULL;
}

static void
set_last(ChannelsLast *p, const Value *v, Value *last)
{
	while (p->last.n <= v->id)
		VEC_PUSH(p->r.cx->scratch, &p->last, NULL);
	p->last.v[v->id] = last;
}

/* The value with its channels last, made where it does not exist. */
static Value *
make_last(ChannelsLast *p, Node *at, Value *v)
{
	if (!last_of(p, v))
		set_last(p, v, transposed(p, at, v, true));
	return last_of(p, v);
}

/* A copy of `n` with other inputs. */
static Node *
copy_of(ChannelsLast *p, Node *n, Value *const *in)
{
	Node *k = rewrite_insert(&p->r, n, n->op, n->nins, in);

	k->attr = arena_copy(p->r.g->arena, n->attr, op_info[n->op].attr_size);
	k->name = n->name;
	k->loc = n->loc;
	k->out[0]->type.dtype = n->out[0]->type.dtype;
	k->out[0]->type.q = n->out[0]->type.q;
	return k;
}

/* Lets the result of `k`, which has its channels last, stand for that of n. */
static void
replace(ChannelsLast *p, Node *n, Node *k)
{
	Value *y = rewrite_infer(&p->r, k), *back = transposed(p, n, y, false);

	set_last(p, back, y);
	rewrite_replace(&p->r, n, back);
}

/* ---- Constants ---- */

/* A constant of bytes with its channels, axis 1 of the shape [n, channels, inner], last. */
static void *
move_bytes(Arena *a, const int8_t *from, int32_t n, int32_t channels, int32_t inner)
{
	int8_t *to = arena_alloc(a, (size_t)n * (size_t)channels * (size_t)inner);

	for (int32_t i = 0; i < n; i++)
		for (int32_t c = 0; c < channels; c++)
			for (int32_t k = 0; k < inner; k++)
				to[((size_t)i * (size_t)inner + (size_t)k) * (size_t)channels + (size_t)c] =
					from[((size_t)i * (size_t)channels + (size_t)c) * (size_t)inner +
				             (size_t)k];
	return to;
}

static bool
is_i8_constant(const Value *v)
{
	return v && value_is_const(v) && v->type.dtype == DT_I8 && v->type.q &&
	       (v->type.q->n == 1 || v->type.q->axis == 0) && type_numel(&v->type) > 0;
}

static Value *
last_weights(ChannelsLast *p, const Value *w)
{
	Type t = w->type;
	int last = t.rank - 1;

	t.dim[last] = w->type.dim[1];
	for (int i = 1; i < last; i++)
		t.dim[i] = w->type.dim[i + 1];
	return graph_const(p->r.g, w->name, t,
	                   move_bytes(p->r.g->arena, w->data, t.dim[0], t.dim[last],
	                              type_product(&t, 1, last)));
}

/* ---- Operators ---- */

static bool
is_channels_first(const Node *n)
{
	return node_layout(n) == LAYOUT_nchw && n->nouts >= 1 && n->out[0] &&
	       n->out[0]->type.rank >= 3 && (n->nouts == 1 || !n->out[1]);
}

static void
turn_conv(ChannelsLast *p, Node *n)
{
	Value *in[3];
	Node *k;

	if (!is_channels_first(n) || !node_is_quantized(n) || n->in[0]->type.dtype != DT_I8 ||
	    value_is_const(n->in[0]) || !is_i8_constant(n->in[1]) || type_numel(&n->in[0]->type) == 0)
		return;
	in[0] = make_last(p, n, n->in[0]);
	in[1] = last_weights(p, n->in[1]);
	in[2] = n->nins > 2 ? n->in[2] : NULL;
	k = copy_of(p, n, in);
	node_set_layout(k, LAYOUT_nhwc);
	replace(p, n, k);
}

static void
turn_pool(ChannelsLast *p, Node *n)
{
	Value *x = last_of(p, n->in[0]);
	Node *k;

	if (!x || !is_channels_first(n))
		return;
	k = copy_of(p, n, &x);
	node_set_layout(k, LAYOUT_nhwc);
	replace(p, n, k);
}

/* All inputs of a convolution's rank have their channels last, others are single numbers. */
static bool
find_inputs(const ChannelsLast *p, const Node *n, Value **in)
{
	bool any = false;

	for (int i = 0; i < n->nins; i++) {
		Value *x = n->in[i], *last = last_of(p, x);

		if (last && x->type.rank == n->out[0]->type.rank)
			any = true;
		else if (x && type_numel(&x->type) != 1)
			return false;
		in[i] = last ? last : x;
	}
	return any;
}

static void
turn_elementwise(ChannelsLast *p, Node *n)
{
	Value **in = ARENA_ARRAY(p->r.cx->scratch, Value *, n->nins + 1);

	if (n->nouts == 1 && n->out[0] && find_inputs(p, n, in))
		replace(p, n, copy_of(p, n, in));
}

static void
turn_concat(ChannelsLast *p, Node *n)
{
	Value **in = ARENA_ARRAY(p->r.cx->scratch, Value *, n->nins + 1);
	int64_t axis = ((const Attr_CONCAT *)n->attr)->axis, rank = n->out[0]->type.rank;
	Node *k;

	for (int i = 0; i < n->nins; i++) {
		in[i] = last_of(p, n->in[i]);
		if (!in[i])
			return;
	}
	k = copy_of(p, n, in);
	((Attr_CONCAT *)k->attr)->axis = axis == 0 ? 0 : axis == 1 ? rank - 1 : axis - 1;
	replace(p, n, k);
}

/* A mean over all spatial axes; without them in the result it is [n, channels] as before. */
static void
turn_mean(ChannelsLast *p, Node *n)
{
	const Attr_REDUCE_MEAN *a = n->attr;
	Value *x = last_of(p, n->in[0]);
	int axes = n->in[0]->type.rank - 2;
	int64_t list[MAX_RANK];
	Node *k;

	if (!x || a->axes.n != axes || a->axes.v[0] != 2)
		return;
	for (int i = 0; i < axes; i++)
		list[i] = i + 1;
	k = copy_of(p, n, &x);
	((Attr_REDUCE_MEAN *)k->attr)->axes = rewrite_ints(&p->r, axes, list);
	if (a->keepdims)
		replace(p, n, k);
	else
		rewrite_replace(&p->r, n, rewrite_infer(&p->r, k));
}

/* The value with its channels last that a reshape flattens to [n, all]. */
static Value *
flattened(const ChannelsLast *p, const Value *v)
{
	Value *x = v->def && v->def->op == OP_RESHAPE ? last_of(p, v->def->in[0]) : NULL;

	return x && v->type.rank == 2 && v->type.dim[0] == x->type.dim[0] ? x : NULL;
}

static void
turn_product(ChannelsLast *p, Node *n)
{
	const Attr_GEMM *a = n->attr;
	Value *x = flattened(p, n->in[0]), *w = n->in[1], *in[3];
	int last;

	if (!x || a->trans_a || !a->trans_b || !is_i8_constant(w) || w->type.rank != 2)
		return;
	last = x->type.rank - 1;
	in[0] = rewrite_reshape(&p->r, n, x, &n->in[0]->type);
	in[1] = w;
	if (type_product(&x->type, 1, last) != 1)
		in[1] = graph_const(p->r.g, w->name, w->type,
		                    move_bytes(p->r.g->arena, w->data, w->type.dim[0],
		                               x->type.dim[last], type_product(&x->type, 1, last)));
	in[2] = n->nins > 2 ? n->in[2] : NULL;
	rewrite_replace(&p->r, n, rewrite_infer(&p->r, copy_of(p, n, in)));
}

static void
turn(ChannelsLast *p, Node *n)
{
	switch ((int)n->op) {
	case OP_CONV: turn_conv(p, n); break;
	case OP_MAX_POOL:
	case OP_AVG_POOL: turn_pool(p, n); break;
	case OP_CONCAT: turn_concat(p, n); break;
	case OP_REDUCE_MEAN: turn_mean(p, n); break;
	case OP_GEMM: turn_product(p, n); break;
	default:
		if (is_elementwise[n->op])
			turn_elementwise(p, n);
	}
}

bool
pass_channels_last(Graph *g, PassCtx *cx)
{
	ChannelsLast p = {.r = rewrite_begin(g, cx)};

	for (Node *n = g->first, *next; n; n = next) {
		next = n->next;
		rewrite_inputs(&p.r, n);
		turn(&p, n);
	}
	rewrite_end(&p.r);
	return true;
}
