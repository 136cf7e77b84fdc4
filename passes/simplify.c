/*
 * simplify: remove operations without effect, merge chains of one kind.
 *
 *	reshape, transpose, slice, pad, tile, expand, cast, concat that change
 *	nothing, x * 1, x / 1, where of a constant	=>	their input
 *	reshape of reshape, transpose of transpose,
 *	slice of slice, concat of concat		=>	one of them
 *	transpose that moves only axes of length 1	=>	reshape
 *	gather of one constant index			=>	slice, reshape
 *	min, max with one number			=>	clamp, relu
 *	clamp of clamp (relu too)			=>	one clamp
 *	x / 2^k						=>	x * 2^-k
 *	neg of neg, not of not, abs of abs, a cast there and back
 *
 * Every rule gives the same bits for every input, up to the payload of NaNs.  That
 * is why x + 0 of floats stays (it turns -0 into 0) while x + -0 and x - 0 go, and
 * why clamps merge only when their intervals overlap: with the bounds a <= b and
 * c <= d and max(a, c) <= min(b, d), each of x < a, a <= x <= b, b < x leads to
 * min(max(x, max(a, c)), min(b, d)), where a bound that lies outside the other
 * interval is not reached.  Bounds must be numbers of the element type, else the
 * result in between would round.
 *
 * Slices, concats and clamps are merged into their user only when it is the only
 * one: else the operation would be done twice.
 */
#include <math.h>
#include <string.h>

#include "ir/num.h"
#include "passes/rewrite.h"

/* What stands for the output of `n`, or NULL. */
typedef Value *Rule(Rewrite *r, Node *n);

static Node *
defined_by(const Value *v, Op op)
{
	return v->def && v->def->op == op ? v->def : NULL;
}

static bool
changes_nothing(const Node *n)
{
	return type_equal(&n->in[0]->type, &n->out[0]->type);
}

/* ---- Moving data ---- */

static Value *
input(Rewrite *r, Node *n)
{
	(void)r;
	return n->in[0];
}

static Value *
input_if_same_type(Rewrite *r, Node *n)
{
	(void)r;
	return changes_nothing(n) ? n->in[0] : NULL;
}

static Value *
simplify_reshape(Rewrite *r, Node *n)
{
	const Node *before = defined_by(n->in[0], OP_RESHAPE);

	if (before) {
		node_set_input(n, 0, before->in[0]);
		r->cx->changed++;
	}
	return changes_nothing(n) ? n->in[0] : NULL;
}

static bool
is_identity_perm(Ints perm)
{
	for (int i = 0; i < perm.n; i++)
		if (perm.v[i] != i)
			return false;
	return true;
}

/* Whether the axes longer than 1 keep their order, so that the bytes do. */
static bool
keeps_order(const Type *t, Ints perm)
{
	int64_t last = -1;

	for (int i = 0; i < perm.n; i++) {
		if (t->dim[perm.v[i]] == 1)
			continue;
		if (perm.v[i] < last)
			return false;
		last = perm.v[i];
	}
	return true;
}

static Value *
simplify_transpose(Rewrite *r, Node *n)
{
	Attr_TRANSPOSE *a = n->attr;
	const Node *before = defined_by(n->in[0], OP_TRANSPOSE);

	if (before) {
		Ints first = ((const Attr_TRANSPOSE *)before->attr)->perm;
		int64_t perm[MAX_RANK];

		for (int i = 0; i < a->perm.n; i++)
			perm[i] = first.v[a->perm.v[i]];
		a->perm = rewrite_ints(r, a->perm.n, perm);
		node_set_input(n, 0, before->in[0]);
		r->cx->changed++;
	}
	if (is_identity_perm(a->perm))
		return n->in[0];
	if (keeps_order(&n->in[0]->type, a->perm))
		return rewrite_reshape(r, n, n->in[0], &n->out[0]->type);
	return NULL;
}

static bool
takes_all(const Node *n)
{
	const Attr_SLICE *a = n->attr;

	for (int i = 0; i < a->sizes.n; i++)
		if (a->starts.v[i] != 0 || a->sizes.v[i] != n->in[0]->type.dim[i] ||
		    (a->steps.v[i] != 1 && a->sizes.v[i] > 1))
			return false;
	return true;
}

/* Element i of the outer slice is element start + i * step of the inner one; with
 * one element or none the step does not matter and could be anything. */
static Value *
simplify_slice(Rewrite *r, Node *n)
{
	Attr_SLICE *a = n->attr;
	const Node *before = defined_by(n->in[0], OP_SLICE);

	if (before && n->in[0]->nuses == 1) {
		const Attr_SLICE *b = before->attr;
		int64_t start[MAX_RANK], step[MAX_RANK];

		for (int i = 0; i < a->sizes.n; i++) {
			int64_t inner = b->sizes.v[i] > 1 ? b->steps.v[i] : 1;
			int64_t outer = a->sizes.v[i] > 1 ? a->steps.v[i] : 1;
			int64_t from = a->sizes.v[i] > 0 ? a->starts.v[i] : 0;

			start[i] = b->sizes.v[i] > 0 ? b->starts.v[i] + from * inner : 0;
			step[i] = inner * outer;
		}
		a->starts = rewrite_ints(r, a->sizes.n, start);
		a->steps = rewrite_ints(r, a->sizes.n, step);
		node_set_input(n, 0, before->in[0]);
		r->cx->changed++;
	}
	return takes_all(n) ? n->in[0] : NULL;
}

/* Puts the inputs of `inner` in the place of its output. */
static void
splice_inputs(Rewrite *r, Node *n, int at, const Node *inner)
{
	int count = n->nins - 1 + inner->nins;
	Value **in = ARENA_ARRAY(r->g->arena, Value *, count);

	memcpy(in, n->in, (size_t)at * sizeof *in);
	memcpy(in + at + inner->nins, n->in + at + 1, (size_t)(n->nins - 1 - at) * sizeof *in);
	node_set_input(n, at, NULL);
	n->in = in;
	n->nins = count;
	for (int i = 0; i < inner->nins; i++)
		node_set_input(n, at + i, inner->in[i]);
	r->cx->changed++;
}

static Value *
simplify_concat(Rewrite *r, Node *n)
{
	int64_t axis = ((const Attr_CONCAT *)n->attr)->axis;
	int kept = 0;

	for (int i = 0; i < n->nins; i++) {
		const Node *inner = defined_by(n->in[i], OP_CONCAT);

		if (inner && n->in[i]->nuses == 1 &&
		    ((const Attr_CONCAT *)inner->attr)->axis == axis)
			splice_inputs(r, n, i, inner);
	}
	/* What is empty adds nothing; one input is needed. */
	for (int i = 0; i < n->nins; i++) {
		Value *v = n->in[i];

		if (v->type.dim[axis] == 0 && n->out[0]->type.dim[axis] != 0) {
			node_set_input(n, i, NULL);
			r->cx->changed++;
		} else {
			n->in[kept++] = v;
		}
	}
	n->nins = kept;
	return n->nins == 1 ? n->in[0] : NULL;
}

static Value *
simplify_pad(Rewrite *r, Node *n)
{
	Ints pads = ((const Attr_PAD *)n->attr)->pads;

	(void)r;
	for (int i = 0; i < pads.n; i++)
		if (pads.v[i] != 0)
			return NULL;
	return n->in[0];
}

/* One known index selects a slice; the axis is dropped when the index is a scalar. */
static Value *
simplify_gather(Rewrite *r, Node *n)
{
	int64_t axis = ((const Attr_GATHER *)n->attr)->axis, index;
	const Value *indices = n->in[1];
	const Type *t = &n->in[0]->type;
	int64_t start[MAX_RANK] = {0}, size[MAX_RANK], step[MAX_RANK];
	Attr_SLICE *a;
	Node *slice;

	if (!value_is_const(indices) || type_numel(&indices->type) != 1 || t->dim[axis] == 0)
		return NULL;
	index = value_int(indices, 0);
	if (index < 0)
		index += t->dim[axis];
	for (int i = 0; i < t->rank; i++) {
		size[i] = t->dim[i];
		step[i] = 1;
	}
	start[axis] = index < 0 ? 0 : index < t->dim[axis] ? index : t->dim[axis] - 1;
	size[axis] = 1;
	slice = rewrite_insert(r, n, OP_SLICE, 1, n->in);
	a = slice->attr;
	a->starts = rewrite_ints(r, t->rank, start);
	a->sizes = rewrite_ints(r, t->rank, size);
	a->steps = rewrite_ints(r, t->rank, step);
	return rewrite_reshape(r, n, rewrite_infer(r, slice), &n->out[0]->type);
}

/* ---- Casts ---- */

/* Bits of magnitude that the type has exactly. */
static int
exact_bits(DType t)
{
	switch (t) {
	case DT_BOOL: return 1;
	case DT_I8: return 7;
	case DT_U8:
	case DT_BF16: return 8;
	case DT_F16: return 11;
	case DT_I16: return 15;
	case DT_U16: return 16;
	case DT_F32: return 24;
	case DT_I32: return 31;
	case DT_U32: return 32;
	case DT_F64: return 53;
	case DT_I64: return 63;
	case DT_U64: return 64;
	case DT_IDX:
	case DT_COUNT: break;
	}
	return 0;
}

/* Whether every value of `from` is one of `to`. */
static bool
holds_all(DType to, DType from)
{
	bool to_float = dtype_is_float(to);

	if (dtype_is_float(from))
		return to == from || to == DT_F64 || (to == DT_F32 && from != DT_F64);
	if (dtype_info[from].class == CLASS_SIGNED && !to_float &&
	    dtype_info[to].class != CLASS_SIGNED)
		return false;
	return exact_bits(to) >= exact_bits(from);
}

/* The way back from a type that holds all values changes none. */
static Value *
simplify_cast(Rewrite *r, Node *n)
{
	const Node *before = defined_by(n->in[0], OP_CAST);

	(void)r;
	if (changes_nothing(n))
		return n->in[0];
	if (before && type_equal(&before->in[0]->type, &n->out[0]->type) &&
	    holds_all(n->in[0]->type.dtype, n->out[0]->type.dtype))
		return before->in[0];
	return NULL;
}

/* ---- Arithmetic ---- */

static bool
is_number(const Value *v, double x)
{
	double u;

	return value_is_const(v) && value_is_uniform(v, &u) && u == x && signbit(u) == signbit(x);
}

/* Input `i` when the other one is `x` everywhere and the result has its type. */
static Value *
without_neutral(const Node *n, int i, double x)
{
	return is_number(n->in[1 - i], x) && type_equal(&n->in[i]->type, &n->out[0]->type)
	               ? n->in[i]
	               : NULL;
}

static Value *
simplify_mul(Rewrite *r, Node *n)
{
	Value *v = without_neutral(n, 0, 1);

	(void)r;
	return v ? v : without_neutral(n, 1, 1);
}

static Value *
simplify_add(Rewrite *r, Node *n)
{
	double zero = dtype_is_float(n->out[0]->type.dtype) ? -0.0 : 0;
	Value *v = without_neutral(n, 0, zero);

	(void)r;
	return v ? v : without_neutral(n, 1, zero);
}

static Value *
simplify_sub(Rewrite *r, Node *n)
{
	(void)r;
	return without_neutral(n, 0, 0);
}

/* Whether all elements are powers of two with a normal reciprocal: then both
 * quotient and product are the same real number, rounded once. */
static bool
are_powers_of_two(const Value *v)
{
	DType t = v->type.dtype;

	if (!value_is_const(v) || (t != DT_F32 && t != DT_F64))
		return false;
	for (int32_t i = 0; i < type_numel(&v->type); i++) {
		double x = fabs(value_float(v, i));
		int e;

		if (!(x > 0) || isinf(x) || frexp(x, &e) != 0.5 || e < -100 || e > 100)
			return false;
	}
	return true;
}

static Value *
simplify_div(Rewrite *r, Node *n)
{
	const Value *d = n->in[1];
	DType t = d->type.dtype;
	Value *v = without_neutral(n, 0, 1), *in[2] = {n->in[0], NULL};
	char *data;

	if (v || !are_powers_of_two(d))
		return v;
	data = arena_alloc(r->g->arena, type_bytes(&d->type));
	for (int32_t i = 0; i < type_numel(&d->type); i++)
		num_store(t, data, (size_t)i, 1 / value_float(d, i));
	in[1] = graph_const(r->g, NULL, d->type, data);
	return rewrite_infer(r, rewrite_insert(r, n, OP_MUL, 2, in));
}

static Value *
simplify_twice(Rewrite *r, Node *n)
{
	const Node *before = defined_by(n->in[0], n->op);

	(void)r;
	return before ? before->in[0] : NULL;
}

static Value *
simplify_again(Rewrite *r, Node *n)
{
	(void)r;
	return defined_by(n->in[0], n->op) ? n->in[0] : NULL;
}

static Value *
simplify_where(Rewrite *r, Node *n)
{
	double condition;
	Value *v;

	(void)r;
	if (!value_is_const(n->in[0]) || !value_is_uniform(n->in[0], &condition))
		return NULL;
	v = n->in[condition != 0 ? 1 : 2];
	return type_equal(&v->type, &n->out[0]->type) ? v : NULL;
}

/* ---- Clamps ---- */

typedef struct {
	double lo, hi;
} Interval;

static Interval
interval_of(const Node *n)
{
	if (n->op == OP_RELU)
		return (Interval){0, HUGE_VAL};
	return (Interval){((const Attr_CLAMP *)n->attr)->lo, ((const Attr_CLAMP *)n->attr)->hi};
}

/* Whether a bound is infinite or a number of the type. */
static bool
is_exact(DType t, double bound)
{
	int64_t memory = 0;

	if (isinf(bound))
		return true;
	if (isnan(bound))
		return false;
	if (!dtype_is_float(t) && (bound != trunc(bound) || fabs(bound) > 0x1p53))
		return false;
	if (t == DT_U64)
		return bound >= 0;
	num_store(t, &memory, 0, bound);
	return num_load(t, &memory, 0) == bound;
}

static bool
is_exact_interval(DType t, Interval i)
{
	return is_exact(t, i.lo) && is_exact(t, i.hi) && i.lo <= i.hi;
}

static Value *
make_clamp(Rewrite *r, Node *at, Value *x, Interval i)
{
	bool is_relu = i.lo == 0 && !signbit(i.lo) && i.hi >= HUGE_VAL;
	Node *n;

	if (i.lo <= -HUGE_VAL && i.hi >= HUGE_VAL)
		return x;
	if (is_relu && at->op == OP_RELU && at->in[0] == x)
		return NULL;
	n = rewrite_insert(r, at, is_relu ? OP_RELU : OP_CLAMP, 1, &x);
	if (!is_relu) {
		((Attr_CLAMP *)n->attr)->lo = i.lo;
		((Attr_CLAMP *)n->attr)->hi = i.hi;
	}
	return rewrite_infer(r, n);
}

static Value *
simplify_clamp(Rewrite *r, Node *n)
{
	Value *x = n->in[0];
	DType t = x->type.dtype;
	Interval outer = interval_of(n), inner, both;
	const Node *before = x->nuses == 1 && x->def &&
	                                     (x->def->op == OP_RELU || x->def->op == OP_CLAMP)
	                             ? x->def
	                             : NULL;

	if (before && is_exact_interval(t, outer) &&
	    is_exact_interval(t, inner = interval_of(before))) {
		/* As the operations themselves decide between equal bounds. */
		both.lo = inner.lo < outer.lo ? outer.lo : inner.lo;
		both.hi = outer.hi < inner.hi ? outer.hi : inner.hi;
		if (both.lo <= both.hi)
			return make_clamp(r, n, before->in[0], both);
	}
	if (n->op == OP_CLAMP && outer.hi >= HUGE_VAL &&
	    (outer.lo <= -HUGE_VAL || (outer.lo == 0 && !signbit(outer.lo))))
		return make_clamp(r, n, x, outer);
	return NULL;
}

static Value *
simplify_min_max(Rewrite *r, Node *n)
{
	DType t = n->out[0]->type.dtype;

	if (t == DT_BOOL)
		return NULL;
	for (int i = 0; i < 2; i++) {
		Value *x = n->in[i];
		double bound;

		if (!type_equal(&x->type, &n->out[0]->type) || value_is_const(x) ||
		    !value_is_const(n->in[1 - i]) || !value_is_uniform(n->in[1 - i], &bound))
			continue;
		if (n->op == OP_MAX)
			return make_clamp(r, n, x, (Interval){bound, HUGE_VAL});
		return make_clamp(r, n, x, (Interval){-HUGE_VAL, bound});
	}
	return NULL;
}

/* ---- The pass ---- */

static Rule *const rules[OP_COUNT] = {
	[OP_IDENTITY] = input,
	[OP_RESHAPE] = simplify_reshape,
	[OP_TRANSPOSE] = simplify_transpose,
	[OP_SLICE] = simplify_slice,
	[OP_CONCAT] = simplify_concat,
	[OP_PAD] = simplify_pad,
	[OP_EXPAND] = input_if_same_type,
	[OP_TILE] = input_if_same_type,
	[OP_GATHER] = simplify_gather,
	[OP_CAST] = simplify_cast,
	[OP_ADD] = simplify_add,
	[OP_SUB] = simplify_sub,
	[OP_MUL] = simplify_mul,
	[OP_DIV] = simplify_div,
	[OP_NEG] = simplify_twice,
	[OP_NOT] = simplify_twice,
	[OP_BIT_NOT] = simplify_twice,
	[OP_ABS] = simplify_again,
	[OP_WHERE] = simplify_where,
	[OP_RELU] = simplify_clamp,
	[OP_CLAMP] = simplify_clamp,
	[OP_MIN] = simplify_min_max,
	[OP_MAX] = simplify_min_max,
};

bool
pass_simplify(Graph *g, PassCtx *cx)
{
	Rewrite r = rewrite_begin(g, cx);

	for (Node *n = g->first; n; n = n->next) {
		Rule *rule = rules[n->op];
		Value *v;

		rewrite_inputs(&r, n);
		v = rule && n->out[0]->nuses > 0 && node_is_plain(n) ? rule(&r, n) : NULL;
		if (v)
			rewrite_replace(&r, n, v);
	}
	rewrite_end(&r);
	return true;
}
