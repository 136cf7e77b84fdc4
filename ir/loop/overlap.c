/*
 * How far an output may lie over an input.
 *
 * The kernel is walked through in the order of execution.  Let a store have ended `s`
 * bytes into the output and a later load begin `l` bytes into the input: the store
 * misses what is loaded when the output starts d <= l - s bytes after the input.  The
 * smallest l - s of all such pairs is `below`; the largest distance from where a store
 * begins to where a later load ends is `above`.  So it is enough to remember how far
 * stores have reached, and to look at each load once.
 *
 * Walking through each iteration would take too long, so loops are treated in three ways:
 *
 *  - concretely, iteration by iteration: outer loops around stores, as long as there are
 *    not more than MAX_ITERATIONS;
 *  - tracked: one loop around stores, usually the innermost.  Indices in it have the form
 *    c * k + r with k the number of the iteration and r in a range.  Pairs of a store and
 *    a load are looked at when it ends: the extremes of the difference of two linear
 *    forms over 0 <= k1 < k2 < n are at the corners of that triangle;
 *  - in the abstract: their variable is anything between its bounds.  Where such a loop
 *    stores, its body is walked through twice, so that its loads meet its stores.
 *
 * Whatever is not known is taken for all that it can be, and a branch that may be taken
 * is taken: that only adds events, and with more of them no distance gets smaller.
 */
#include <assert.h>

#include "ir/loop/range.h"

enum { MAX_ITERATIONS = 4096, MAX_PENDING = 512 };

/* What an integer expression is: c * k + r, with k the iteration of the tracked loop, and
 * also within `hull`. */
typedef struct {
	int64_t c;
	Range r, hull;
} Form;

/* An access in the tracked loop, by elements. */
typedef struct {
	bool is_store;
	Form at;
} Pending;

/* What is known about the loop of a variable. */
typedef enum { LOOP_UNSEEN, LOOP_PLAIN, LOOP_STORES, LOOP_NESTED_STORES } LoopKind;

typedef struct {
	Arena *arena;
	const LBuf *in, *out;
	int64_t in_bytes, out_bytes; /* an element */
	Form *var;                   /* by LVar.index */
	LoopKind *kind;              /* by LVar.index of the loop's variable */
	int64_t iterations;          /* product of the concrete loops around */
	bool tracking, abstract;
	int64_t trips;               /* of the tracked loop */
	VEC(Pending) pending;
	bool stored;                 /* so far, outside of the tracked loop: */
	int64_t from, to;            /* bytes of the output that stores reached */
	LDistance result;
	bool hopeless;
} Walk;

/* ---- Forms ---- */

static Form
range_form(Range r)
{
	return (Form){0, r, r};
}

static bool
is_single(Range r)
{
	return r.lo == r.hi;
}

static bool
is_small(int64_t v)
{
	return v >= -INT32_MAX && v <= INT32_MAX;
}

/* The sum of x and factor * y. */
static Form
combine(Form x, Form y, int64_t factor, Range hull)
{
	Form f = {.c = x.c + factor * y.c, .hull = hull};

	if (!is_small(y.r.lo) || !is_small(y.r.hi) || !is_small(x.r.lo) || !is_small(x.r.hi))
		return range_form(hull);
	f.r.lo = x.r.lo + factor * (factor < 0 ? y.r.hi : y.r.lo);
	f.r.hi = x.r.hi + factor * (factor < 0 ? y.r.lo : y.r.hi);
	if (!is_small(f.c) || !is_small(f.r.lo) || !is_small(f.r.hi))
		return range_form(hull);
	return f;
}

/* Whether the smaller, or the larger, of the two is always x. */
static bool
is_first(KOp op, Form x, Form y)
{
	return op == KOP_MIN ? x.hull.hi <= y.hull.lo : op == KOP_MAX && x.hull.lo >= y.hull.hi;
}

static Form
apply(KOp op, DType t, Form x, Form y)
{
	static const Form zero = {0};
	bool exact;
	Range hull = range_kop(op, t, x.hull, y.hull, &exact);

	if (is_first(op, x, y) || is_first(op, y, x))
		return is_first(op, x, y) ? x : y;

	if (!exact || (x.c == 0 && y.c == 0))
		return range_form(hull);
	switch ((int)op) {
	case KOP_ADD: return combine(x, y, 1, hull);
	case KOP_SUB: return combine(x, y, -1, hull);
	case KOP_NEG: return combine(zero, x, -1, hull);
	case KOP_MUL:
		if (is_single(y.hull) && is_small(y.hull.lo))
			return combine(zero, x, y.hull.lo, hull);
		if (is_single(x.hull) && is_small(x.hull.lo))
			return combine(zero, y, x.hull.lo, hull);
		return range_form(hull);
	default: return range_form(hull);
	}
}

/* ---- Pairs of a store and a later load ---- */

static void
require(Walk *w, int64_t below, int64_t above)
{
	if (below < w->result.below)
		w->result.below = below;
	if (above > w->result.above)
		w->result.above = above;
	w->hopeless = w->hopeless ||
	              (w->result.below <= -w->out->count * w->out_bytes &&
	               w->result.above >= w->in->count * w->in_bytes);
}

/* A load of elements in `r` after the stores that went before. */
static void
load_after_stores(Walk *w, Range r)
{
	if (w->stored)
		require(w, r.lo * w->in_bytes - w->to, (r.hi + 1) * w->in_bytes - w->from);
}

static void
add_stores(Walk *w, Range r)
{
	int64_t from = r.lo * w->out_bytes, to = (r.hi + 1) * w->out_bytes;

	if (!w->stored || from < w->from)
		w->from = from;
	if (!w->stored || to > w->to)
		w->to = to;
	w->stored = true;
}

/* The load in iteration `load_k` after the store in `store_k`. */
static LDistance
distance_between(const Walk *w, const Form *load, int64_t load_k, const Form *store,
                 int64_t store_k)
{
	int64_t l = load->c * load_k, s = store->c * store_k;

	return (LDistance){(l + load->r.lo) * w->in_bytes - (s + store->r.hi + 1) * w->out_bytes,
	                   (l + load->r.hi + 1) * w->in_bytes - (s + store->r.lo) * w->out_bytes};
}

static LDistance
wider(LDistance a, LDistance b)
{
	return (LDistance){a.below < b.below ? a.below : b.below,
	                   a.above > b.above ? a.above : b.above};
}

static void
pair_up(Walk *w, const Form *load, const Form *store, bool store_is_first)
{
	int64_t last = w->trips - 1;
	int64_t below = load->hull.lo * w->in_bytes - (store->hull.hi + 1) * w->out_bytes;
	int64_t above = (load->hull.hi + 1) * w->in_bytes - store->hull.lo * w->out_bytes;
	LDistance d = {INT64_MAX, INT64_MIN};

	if (store_is_first)
		d = wider(distance_between(w, load, 0, store, 0),
		          distance_between(w, load, last, store, last));
	if (last > 0) {
		d = wider(d, distance_between(w, load, 1, store, 0));
		d = wider(d, distance_between(w, load, last, store, last - 1));
		d = wider(d, distance_between(w, load, last, store, 0));
	} else if (!store_is_first) {
		return;
	}
	require(w, d.below > below ? d.below : below, d.above < above ? d.above : above);
}

static void
end_tracking(Walk *w)
{
	for (int i = 0; i < w->pending.n && !w->hopeless; i++)
		for (int k = 0; k < w->pending.n && !w->pending.v[i].is_store; k++)
			if (w->pending.v[k].is_store)
				pair_up(w, &w->pending.v[i].at, &w->pending.v[k].at, k < i);
	for (int i = 0; i < w->pending.n; i++)
		if (w->pending.v[i].is_store)
			add_stores(w, w->pending.v[i].at.hull);
	w->pending.n = 0;
	w->tracking = false;
}

static void
access_at(Walk *w, Form at, bool is_store)
{
	Pending p = {is_store, at};

	if (w->tracking && w->pending.n == MAX_PENDING)
		w->hopeless = true;
	if (!is_store)
		load_after_stores(w, at.hull);
	if (w->tracking)
		VEC_PUSH(w->arena, &w->pending, p);
	else if (is_store)
		add_stores(w, at.hull);
}

/* ---- Expressions: their values, and the loads in them ---- */

static Form value_of(Walk *w, const Expr *e);

static Form
select_value(Walk *w, const Expr *e)
{
	Range c = value_of(w, e->arg[0]).hull;
	Form x, y;

	if (is_single(c))
		return value_of(w, e->arg[c.lo ? 1 : 2]);
	x = value_of(w, e->arg[1]);
	y = value_of(w, e->arg[2]);
	return range_form(range_join(x.hull, y.hull));
}

static Form
converted(DType from, DType to, Form x)
{
	if (dtype_is_float(from) || dtype_is_float(to) || to == DT_BOOL ||
	    !range_within(x.hull, range_of_type(to)) || (from == DT_U64 && x.hull.lo < 0))
		return range_form(range_of_type(to));
	return x;
}

/* The places of `n` elements from x on. */
static Form
widened(Form x, int n)
{
	x.r.hi += n - 1;
	x.hull.hi += n - 1;
	return x;
}

static Form
dot_value(Walk *w, const Expr *e)
{
	value_of(w, e->arg[0]);
	for (int k = 1; k <= 2; k++) {
		Form at = value_of(w, e->arg[k]->arg[0]);

		if (e->arg[k]->u.buf == w->in)
			access_at(w, widened(at, dot_elements(e->arg[k])), false);
	}
	return range_form(range_of_type(e->type));
}

static Form
value_of(Walk *w, const Expr *e)
{
	Form x = {0}, y = {0};

	switch (e->kind) {
	case E_CONST:
		return range_form(dtype_is_float(e->type) ? range_of_type(e->type)
		                                          : (Range){e->u.i, e->u.i});
	case E_VAR: return w->var[e->u.var->index];
	case E_SELECT: return select_value(w, e);
	case E_LOAD:
		x = value_of(w, e->arg[0]);
		if (e->u.buf == w->in)
			access_at(w, widened(x, load_elements(e)), false);
		return range_form(range_of_type(e->type));
	case E_KOP:
		x = value_of(w, e->arg[0]);
		if (e->nargs > 1)
			y = value_of(w, e->arg[1]);
		return apply(e->op, e->arg[0]->type, x, y);
	case E_CVT: return converted(e->arg[0]->type, e->type, value_of(w, e->arg[0]));
	case E_DOT: return dot_value(w, e);
	case E_BITS:
	case E_CALL:
	case E_PACKED:
	case E_SPLAT: break;
	}
	for (int i = 0; i < e->nargs; i++)
		value_of(w, e->arg[i]);
	return range_form(range_of_type(e->type));
}

/* ---- Conditions ---- */

/* Variables that a condition narrowed, to be put back. */
typedef struct {
	const LVar *var;
	Form old;
} Narrowed;

typedef VEC(Narrowed) NarrowedVec;

/* The value without the events of its loads, which have been seen. */
static Range
bounds_of(Walk *w, const Expr *e)
{
	if (e->kind == E_CONST && !dtype_is_float(e->type))
		return (Range){e->u.i, e->u.i};
	return e->kind == E_VAR ? w->var[e->u.var->index].hull : range_of_type(e->type);
}

static void
narrow_var(Walk *w, const Expr *e, KOp op, Range other, NarrowedVec *old)
{
	Form *f;

	if (e->kind != E_VAR || !e->u.var->is_const || dtype_is_float(e->type))
		return;
	f = &w->var[e->u.var->index];
	VEC_PUSH(w->arena, old, ((Narrowed){e->u.var, *f}));
	f->hull = range_if_compared(op, e->type, f->hull, other);
	if (f->c == 0)
		f->r = f->hull;
}

static bool
is_comparison(const Expr *e)
{
	return e->kind == E_KOP && kop_info[e->op].to_bool && e->nargs == 2;
}

static void
narrow(Walk *w, const Expr *cond, NarrowedVec *old)
{
	if (cond->kind == E_KOP && cond->op == KOP_AND) {
		narrow(w, cond->arg[0], old);
		narrow(w, cond->arg[1], old);
	} else if (is_comparison(cond)) {
		Range x = bounds_of(w, cond->arg[0]), y = bounds_of(w, cond->arg[1]);

		narrow_var(w, cond->arg[0], cond->op, y, old);
		narrow_var(w, cond->arg[1], kop_swapped(cond->op), x, old);
	}
}

static bool
is_possible(const Walk *w, const NarrowedVec *narrowed)
{
	for (int i = 0; i < narrowed->n; i++)
		if (range_is_empty(w->var[narrowed->v[i].var->index].hull))
			return false;
	return true;
}

static void walk(Walk *w, const Stmt *s);

static void
walk_if(Walk *w, const Stmt *s)
{
	Range c = value_of(w, s->cond).hull;
	NarrowedVec old = {0};

	if (c.hi != 0) {
		narrow(w, s->cond, &old);
		if (is_possible(w, &old))
			walk(w, s->body);
		while (old.n > 0) {
			old.n--;
			w->var[old.v[old.n].var->index] = old.v[old.n].old;
		}
	}
	if (c.lo == 0)
		walk(w, s->other);
}

/* ---- Loops ---- */

static LoopKind kind_of_block(Walk *w, const Stmt *s);

static LoopKind
kind_of_loop(Walk *w, const Stmt *s)
{
	LoopKind *kind = &w->kind[s->var->index];

	if (*kind == LOOP_UNSEEN)
		*kind = kind_of_block(w, s->body);
	return *kind;
}

static LoopKind
kind_of_block(Walk *w, const Stmt *s)
{
	LoopKind kind = LOOP_PLAIN, inner = LOOP_PLAIN;

	for (; s; s = s->next) {
		if (s->kind == S_FOR && kind_of_loop(w, s) != LOOP_PLAIN)
			return LOOP_NESTED_STORES;
		if (s->kind == S_IF) {
			LoopKind other = kind_of_block(w, s->other);

			inner = kind_of_block(w, s->body);
			inner = inner > other ? inner : other;
		}
		if (s->kind == S_STORE && s->buf == w->out)
			inner = LOOP_STORES;
		kind = inner > kind ? inner : kind;
	}
	return kind;
}

static void
walk_concrete(Walk *w, const Stmt *s, int64_t lo, int64_t trips)
{
	w->iterations *= trips;
	for (int64_t k = 0; k < trips && !w->hopeless; k++) {
		int64_t v = lo + k * s->step;

		w->var[s->var->index] = range_form((Range){v, v});
		if (s->cond)
			value_of(w, s->cond);
		walk(w, s->body);
	}
	w->iterations /= trips;
}

static void
walk_tracked(Walk *w, const Stmt *s, Range lo, int64_t trips)
{
	w->tracking = true;
	w->trips = trips;
	w->var[s->var->index] =
		(Form){s->step, lo, {lo.lo, lo.hi + (trips - 1) * s->step}};
	if (s->cond)
		value_of(w, s->cond);
	walk(w, s->body);
	end_tracking(w);
}

/* In the abstract; loads may come after any store of the loop. */
static void
walk_abstract(Walk *w, const Stmt *s, Range var, bool twice)
{
	for (int i = 0; i < (twice ? 2 : 1) && !w->hopeless; i++) {
		w->var[s->var->index] = range_form(var);
		if (s->cond)
			value_of(w, s->cond);
		walk(w, s->body);
	}
}

static void
walk_for(Walk *w, const Stmt *s)
{
	Range lo = value_of(w, s->lo).hull, hi = value_of(w, s->hi).hull;
	LoopKind kind = kind_of_loop(w, s);
	int64_t trips = (hi.hi - lo.lo + s->step - 1) / s->step;

	if (hi.hi <= lo.lo)
		return;
	if (kind == LOOP_PLAIN || w->tracking)
		walk_abstract(w, s, (Range){lo.lo, hi.hi - 1}, kind != LOOP_PLAIN && trips > 1);
	else if (kind == LOOP_NESTED_STORES && is_single(lo) &&
	         trips * w->iterations <= MAX_ITERATIONS)
		walk_concrete(w, s, lo.lo, trips);
	else
		walk_tracked(w, s, lo, trips);
}

static void
walk(Walk *w, const Stmt *s)
{
	for (; s && !w->hopeless; s = s->next) {
		switch (s->kind) {
		case S_FOR: walk_for(w, s); break;
		case S_IF: walk_if(w, s); break;
		case S_VAR: {
			Form f = value_of(w, s->value);

			if (s->var->is_const)
				w->var[s->var->index] = f;
			break;
		}
		case S_SET:
		case S_RETURN: value_of(w, s->value); break;
		case S_STORE:
			value_of(w, s->value);
			if (s->buf == w->out)
				access_at(w, widened(value_of(w, s->index), store_elements(s)),
				          true);
			else
				value_of(w, s->index);
			break;
		case S_COMMENT: break;
		}
	}
}

LDistance
lfunc_distance(const LFunc *f, const LBuf *in, const LBuf *out)
{
	Walk w = {.arena = arena_child(f->arena), .in = in, .out = out, .iterations = 1,
	          .in_bytes = dtype_info[in->elem].bytes, .out_bytes = dtype_info[out->elem].bytes};
	LDistance apart, d;

	apart = (LDistance){-out->count * w.out_bytes, in->count * w.in_bytes};
	/* Closer than this the two are apart on the other side. */
	w.result = (LDistance){apart.above, apart.below};
	w.var = ARENA_ARRAY(w.arena, Form, f->vars.n);
	w.kind = ARENA_ARRAY(w.arena, LoopKind, f->vars.n);
	for (int i = 0; i < f->vars.n; i++) {
		const LVar *v = f->vars.v[i];

		w.var[i] = range_form(v->type == DT_IDX ? (Range){v->lo, v->hi}
		                                        : range_of_type(v->type));
	}
	walk(&w, f->body);
	d = w.hopeless ? apart : w.result;
	arena_free(w.arena);
	if (d.below < apart.below)
		d.below = apart.below;
	if (d.above > apart.above)
		d.above = apart.above;
	return d;
}
