/*
 * Nodes and constants that fuse-qdq makes.
 */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "ir/num.h"
#include "passes/qdq.h"

const Quant *
qdq_quant(Qdq *q, float scale, int32_t zero)
{
	Arena *a = q->r.g->arena;
	Quant *quant = ARENA_NEW(a, Quant);

	quant->n = 1;
	quant->scale = arena_copy(a, &scale, sizeof scale);
	quant->zero = arena_copy(a, &zero, sizeof zero);
	return quant;
}

/* ---- Nodes ---- */

Node *
qdq_node(Qdq *q, Node *at, Op op, const void *attr, int nins, Value *const *in, const Type *to)
{
	Node *n;

	for (int i = 0; i < op_info[op].inputs_min; i++)
		if (!in[i])
			return NULL;
	n = graph_insert(q->r.g, at, op, nins, in, 1, NULL);
	if (attr)
		n->attr = arena_copy(q->r.g->arena, attr, op_info[op].attr_size);
	if (to) {
		n->out[0]->type.dtype = to->dtype;
		n->out[0]->type.q = to->q;
	}
	return n;
}

Node *
qdq_node_like(Qdq *q, Node *at, const Node *like, const void *attr, int nins, Value *const *in,
              const Type *to)
{
	Node *n = qdq_node(q, at, like->op, attr, nins, in, to);

	if (n) {
		n->name = like->name;
		n->loc = like->loc;
	}
	return n;
}

Value *
qdq_try(Qdq *q, Node *n)
{
	if (n && node_infer(n, &q->quiet))
		return n->out[0];
	if (n)
		graph_remove(q->r.g, n);
	return NULL;
}

Value *
qdq_apply(Qdq *q, Node *at, const Node *like, int nins, Value *const *in, const Type *to)
{
	return qdq_try(q, qdq_node_like(q, at, like, like->attr, nins, in, to));
}

Value *
qdq_requantize(Qdq *q, Node *at, Value *x, const Type *to)
{
	if (!x || (x->type.dtype == to->dtype && type_same_quant(&x->type, to)))
		return x;
	return qdq_try(q, qdq_node(q, at, OP_REQUANTIZE, NULL, 1, &x, to));
}

Value *
qdq_below_transpose(Value *x, Ints *perm)
{
	*perm = (Ints)NO_INTS;
	if (!x->def || x->def->op != OP_TRANSPOSE)
		return x;
	*perm = ((const Attr_TRANSPOSE *)x->def->attr)->perm;
	return x->def->in[0];
}

/* ---- Clamps ---- */

int32_t
qdq_code(const Type *t, double x)
{
	QRange r = quant_limits(t->dtype);
	double code = rint(x / (double)quant_scale(t)) + quant_zero(t);

	return code <= r.lo ? r.lo : code >= r.hi ? r.hi : (int32_t)code;
}

/* The activation that leaves the same codes, or ACTIVATION_COUNT. */
static Activation
activation_for(const Type *t, int32_t lo, int32_t hi)
{
	for (int i = 0; i < ACTIVATION_COUNT; i++) {
		QRange r = quant_range(t, (Activation)i);

		if (r.lo == lo && r.hi == hi)
			return (Activation)i;
	}
	return ACTIVATION_COUNT;
}

Value *
qdq_clamp(Qdq *q, Node *at, Value *x, double lo, double hi, int fresh)
{
	const Type *t = &x->type;
	Ints perm;
	Value *base = qdq_below_transpose(x, &perm), *y;
	Activation a;

	if (isnan(lo) || isnan(hi) || lo > hi)
		return NULL;
	a = activation_for(t, qdq_code(t, lo), qdq_code(t, hi));
	if (a == ACTIVATION_none)
		return x;
	if (base->def && base->id >= fresh && a != ACTIVATION_COUNT &&
	    node_activation(base->def) == ACTIVATION_none && node_set_activation(base->def, a))
		return x;
	y = qdq_try(q, qdq_node(q, at, OP_CLAMP, &(Attr_CLAMP){.lo = lo, .hi = hi}, 1, &base,
	                        &base->type));
	return base == x ? y : qdq_transpose(q, at, y, perm.v);
}

/* ---- Axes ---- */

static bool
undoes(Ints first, const int64_t *second)
{
	for (int i = 0; i < first.n; i++)
		if (first.v[second[i]] != i)
			return false;
	return true;
}

Value *
qdq_transpose(Qdq *q, Node *at, Value *x, const int64_t *perm)
{
	Node *n;

	if (!x)
		return NULL;
	if (x->def && x->def->op == OP_TRANSPOSE &&
	    undoes(((const Attr_TRANSPOSE *)x->def->attr)->perm, perm))
		return x->def->in[0];
	n = qdq_node(q, at, OP_TRANSPOSE, NULL, 1, &x, &x->type);
	((Attr_TRANSPOSE *)n->attr)->perm = rewrite_ints(&q->r, x->type.rank, perm);
	return qdq_try(q, n);
}

/* ---- Constants ---- */

/* The axis of the scales behind `like`, whose output has the type `shape`; -1 where it
 * is torn. */
static int
moved_axis(const Node *like, const Type *from, const Type *shape)
{
	int axis = from->q->axis;

	if (from->q->n == 1)
		return 0;
	if (like->op == OP_TRANSPOSE) {
		Ints perm = ((const Attr_TRANSPOSE *)like->attr)->perm;

		for (int i = 0; i < perm.n; i++)
			if (perm.v[i] == axis)
				return i;
	}
	if (like->op == OP_RESHAPE)
		for (int i = 0; i < shape->rank; i++)
			if (shape->dim[i] == from->q->n &&
			    type_product(shape, 0, i) == type_product(from, 0, axis))
				return i;
	return -1;
}

Value *
qdq_move_constant(Qdq *q, const Node *like, const Value *v, const Type *shape)
{
	Graph *g = q->r.g;
	Type plain = v->type, moved = *shape;
	int axis = moved_axis(like, &v->type, shape);
	Value *in, *out;
	Quant *quant;
	Node *n;

	if (axis < 0)
		return NULL;
	plain.q = NULL;
	in = graph_const(g, NULL, plain, v->data);
	n = qdq_node(q, g->first, like->op, like->attr, 1, &in, NULL);
	out = qdq_try(q, n);
	if (!out || !node_fold(g, n))
		return NULL;
	graph_remove(g, n);
	quant = arena_copy(g->arena, v->type.q, sizeof *quant);
	quant->axis = axis;
	moved.dtype = v->type.dtype;
	moved.q = quant;
	return graph_const(g, NULL, moved, out->data);
}

Value *
qdq_transpose_constant(Qdq *q, const Value *v, const int64_t *perm)
{
	Attr_TRANSPOSE attr = {.perm = rewrite_ints(&q->r, v->type.rank, perm)};
	Node like = {.op = OP_TRANSPOSE, .attr = &attr};
	Type shape = v->type;

	for (int i = 0; i < shape.rank; i++)
		shape.dim[i] = v->type.dim[perm[i]];
	return qdq_move_constant(q, &like, v, &shape);
}

/* ---- Bias ---- */

/* Element i of a bias in real numbers: a float constant, or dequantised i32. */
typedef struct {
	const Value *v, *scale, *zero;
} Bias;

static bool
read_bias(const Value *v, Bias *b)
{
	const Node *n = v->def;

	*b = (Bias){.v = v};
	if (value_is_const(v))
		return dtype_is_float(v->type.dtype);
	if (!n || n->op != OP_DEQUANTIZE)
		return false;
	*b = (Bias){n->in[0], n->in[1], n->nins > 2 ? n->in[2] : NULL};
	return value_is_const(b->v) && value_is_const(b->scale) &&
	       (!b->zero || value_is_const(b->zero));
}

static int32_t
clamped_index(const Value *v, int32_t i)
{
	return type_numel(&v->type) == 1 ? 0 : i;
}

/* The number in steps of `unit`; integers whose steps are these stay as they are. */
static double
bias_steps(const Bias *b, int32_t i, double unit)
{
	double x = value_float(b->v, clamped_index(b->v, i)), scale;

	if (!b->scale)
		return rint(x / unit);
	if (b->zero)
		x -= value_float(b->zero, clamped_index(b->zero, i));
	scale = value_float(b->scale, clamped_index(b->scale, i)) / unit;
	return fabs(scale - 1) < 1e-6 ? x : rint(x * scale);
}

static bool
fits_channels(const Value *v, int32_t channels)
{
	int32_t count = v ? type_numel(&v->type) : 1;

	return count == 1 || count == channels;
}

bool
qdq_bias(Qdq *q, Value *bias, const Type *x, const Type *w, int32_t channels, Value **out)
{
	bool wide = x->dtype == DT_I16;
	Type t = type_make(wide ? DT_I64 : DT_I32, 1, &channels);
	double limit = wide ? 0x1p47 : INT32_MAX;
	void *data;
	Bias b;

	*out = NULL;
	if (!bias)
		return true;
	if (!read_bias(bias, &b) || !fits_channels(b.v, channels) ||
	    !fits_channels(b.scale, channels) || !fits_channels(b.zero, channels))
		return false;
	data = arena_alloc(q->r.g->arena, type_bytes(&t));
	for (int32_t i = 0; i < channels; i++) {
		float scale = w->q->scale[w->q->n == 1 ? 0 : i];
		double steps = bias_steps(&b, i, (double)quant_scale(x) * (double)scale);

		if (!(fabs(steps) <= limit))
			return false;
		num_store_int(t.dtype, data, (size_t)i, (int64_t)steps);
	}
	*out = graph_const(q->r.g, NULL, t, data);
	return true;
}
