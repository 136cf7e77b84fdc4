/*
 * Whether an output may lie over an input.
 *
 * Let S be a store to `out` and L a load of `in`, both with an index that is a
 * linear form of loop variables with constant bounds.  They are in conflict when
 * L is executed after S and has the same index.  Every pair of a load and a store
 * is shown to be free of conflicts; otherwise the answer is no.  Conditions are
 * ignored (anything may be executed), constant variables stand for their values.
 *
 * Take the loops that are around both.  When L runs after S, then either
 *
 *  (1) all common loops are in the same iteration.  Then the order of the text
 *      decides, since what is around only one of them lies in different
 *      statements of one block: L comes first when it stands before S or in the
 *      statement of S, whose value is computed before it is stored.  Otherwise the
 *      difference of the indices has to be without 0; or
 *
 *  (2) there is a common loop p that has gone on by d >= step from S to L, while
 *      the loops outside of it are in the same iteration.  The difference of the
 *      indices is bounded with the variables outside of p shared, that of p
 *      moved by d, and all others free; it has to be without 0 for each p.
 *      That is what permits y[i] = f(x[i]), a sum over the rows of x into y[row],
 *      and a softmax that walks a row several times.
 *
 *  (2') Instead of (2), when both indices have the same factors for the common
 *      variables: sorted by factor * step, each has to be larger than the reach
 *      of all smaller ones and of what differs inside of the loops.  Then
 *      different iterations have disjoint indices, in whatever order the loops
 *      are nested (a digit of a number in mixed radix each).
 *
 * Elements have to be of equal size, so that equal indices mean the same bytes.
 */
#include "ir/loop/linear.h"

enum { MAX_LOOPS = 64, MAX_PAIRS = 100000 };

typedef struct Loop {
	const struct Loop *outer;
	const LVar *var;
	Range range; /* of the variable; INT32_MIN..INT32_MAX when it is not constant */
	int32_t step;
	int depth;
} Loop;

typedef struct {
	Linear index;
	const Loop *loop; /* the innermost one; NULL: none */
	int order;        /* of the statement, in the text */
} Access;

typedef struct {
	Arena *arena;
	const LBuf *in, *out;
	Expr **def;       /* of each constant variable */
	const Loop *loop; /* around the statement at hand */
	int order;
	VEC(Access) loads, stores;
	bool unknown;     /* an index is no linear form of loop variables */
} Aliases;

/* ---- Arithmetic: what overflows is anything ---- */

static Range
plus(Range a, Range b)
{
	bool exact;

	return range_kop(KOP_ADD, DT_I64, a, b, &exact);
}

static Range
times(Range a, int64_t c)
{
	bool exact;

	return range_kop(KOP_MUL, DT_I64, a, (Range){c, c}, &exact);
}

static bool
has_zero(Range r)
{
	return r.lo <= 0 && r.hi >= 0;
}

/* ---- Collecting accesses ---- */

static const Loop *
loop_of(const Access *a, const Expr *atom)
{
	const Loop *l = a->loop;

	if (atom->kind != E_VAR)
		return NULL;
	while (l && l->var != atom->u.var)
		l = l->outer;
	return l;
}

/* The access of element index + more. */
static Access
access_at(Aliases *x, const Expr *index, int more)
{
	Access a = {.loop = x->loop, .order = x->order};

	a.index.k = more;
	if (!linear_add(&a.index, index, 1, x->def))
		x->unknown = true;
	for (int i = 0; i < a.index.n; i++)
		if (!loop_of(&a, a.index.atom[i]) || a.index.c[i] > INT32_MAX ||
		    a.index.c[i] < -INT32_MAX)
			x->unknown = true;
	return a;
}

static void
collect_expr(Aliases *x, const Expr *e)
{
	if (!e)
		return;
	/* The first element is collected with the arguments. */
	for (int k = 1; e->kind == E_DOT && k <= 2; k++)
		for (int i = 1; e->arg[k]->u.buf == x->in && i < dot_elements(e->arg[k]); i++)
			VEC_PUSH(x->arena, &x->loads, access_at(x, e->arg[k]->arg[0], i));
	for (int i = 0; i < e->nargs; i++)
		collect_expr(x, e->arg[i]);
	for (int i = 0; e->kind == E_LOAD && e->u.buf == x->in && i < load_elements(e); i++)
		VEC_PUSH(x->arena, &x->loads, access_at(x, e->arg[0], i));
}

static const Expr *
resolved(const Aliases *x, const Expr *e)
{
	while (e->kind == E_VAR && x->def[e->u.var->index])
		e = x->def[e->u.var->index];
	return e;
}

static Loop *
enter_loop(Aliases *x, const Stmt *s)
{
	const Expr *lo = resolved(x, s->lo), *hi = resolved(x, s->hi);
	Loop *l = ARENA_NEW(x->arena, Loop);

	*l = (Loop){.outer = x->loop, .var = s->var, .step = s->step,
	            .range = {INT32_MIN, INT32_MAX}};
	l->depth = x->loop ? x->loop->depth + 1 : 1;
	if (lo->kind == E_CONST && hi->kind == E_CONST) {
		int64_t last = hi->u.i - 1;

		l->range.lo = lo->u.i;
		l->range.hi = last < lo->u.i ? last : last - (last - lo->u.i) % s->step;
	}
	if (l->depth > MAX_LOOPS)
		x->unknown = true;
	return l;
}

static void
collect(Aliases *x, const Stmt *s)
{
	for (; s; s = s->next) {
		const Loop *outer = x->loop;
		Loop *l;

		x->order++;
		switch (s->kind) {
		case S_FOR:
			collect_expr(x, s->lo);
			collect_expr(x, s->hi);
			l = enter_loop(x, s);
			if (range_is_empty(l->range))
				break;
			x->loop = l;
			collect_expr(x, s->cond);
			collect(x, s->body);
			x->loop = outer;
			break;
		case S_IF:
			collect_expr(x, s->cond);
			collect(x, s->body);
			collect(x, s->other);
			break;
		case S_VAR:
			collect_expr(x, s->value);
			x->def[s->var->index] =
				s->var->is_const && s->var->type == DT_IDX ? s->value : NULL;
			break;
		case S_SET:
		case S_RETURN: collect_expr(x, s->value); break;
		case S_STORE:
			collect_expr(x, s->index);
			collect_expr(x, s->value);
			for (int i = 0; s->buf == x->out && i < store_elements(s); i++)
				VEC_PUSH(x->arena, &x->stores, access_at(x, s->index, i));
			break;
		case S_COMMENT: break;
		}
	}
}

/* ---- One load and one store ---- */

typedef struct {
	int n;                /* common loops, outermost first */
	Range range[MAX_LOOPS];
	int64_t step[MAX_LOOPS];
	int64_t load[MAX_LOOPS], store[MAX_LOOPS]; /* factors of their variables */
	Range rest;           /* of what else is in index of load - index of store */
	bool load_is_first;   /* in the text */
} Pair;

static const Loop *
common_loop(const Loop *a, const Loop *b)
{
	while (a && b && a->depth > b->depth)
		a = a->outer;
	while (a && b && b->depth > a->depth)
		b = b->outer;
	while (a && b && a != b) {
		a = a->outer;
		b = b->outer;
	}
	return a && b ? a : NULL;
}

/* Splits an index into factors of the common variables and the rest. */
static void
split(const Access *a, const Pair *p, int64_t factor[MAX_LOOPS], Range *rest)
{
	*rest = (Range){a->index.k, a->index.k};
	for (int i = 0; i < p->n; i++)
		factor[i] = 0;
	for (int i = 0; i < a->index.n; i++) {
		const Loop *l = loop_of(a, a->index.atom[i]);

		if (l->depth <= p->n)
			factor[l->depth - 1] = a->index.c[i];
		else
			*rest = plus(*rest, times(l->range, a->index.c[i]));
	}
}

static void
pair_up(const Access *load, const Access *store, Pair *p)
{
	const Loop *common = common_loop(load->loop, store->loop);
	Range load_rest, store_rest;

	p->n = common ? common->depth : 0;
	for (const Loop *l = common; l; l = l->outer) {
		p->range[l->depth - 1] = l->range;
		p->step[l->depth - 1] = l->step;
	}
	split(load, p, p->load, &load_rest);
	split(store, p, p->store, &store_rest);
	p->rest = plus(load_rest, times(store_rest, -1));
	p->load_is_first = load->order <= store->order;
}

/* (1) */
static bool
conflicts_in_iteration(const Pair *p)
{
	Range d = p->rest;

	if (p->load_is_first)
		return false;
	for (int i = 0; i < p->n; i++)
		d = plus(d, times(p->range[i], p->load[i] - p->store[i]));
	return has_zero(d);
}

static bool
repeats(const Pair *p, int loop)
{
	return p->range[loop].hi - p->range[loop].lo >= p->step[loop];
}

/* (2): the load is in a later iteration of loop `at`. */
static bool
conflicts_later(const Pair *p, int at)
{
	Range r = p->range[at];
	Range before = {r.lo, r.hi - p->step[at]}, moved = {p->step[at], r.hi - r.lo};
	Range d = plus(p->rest, plus(times(before, p->load[at] - p->store[at]),
	                             times(moved, p->load[at])));

	for (int i = 0; i < at; i++)
		d = plus(d, times(p->range[i], p->load[i] - p->store[i]));
	for (int i = at + 1; i < p->n; i++)
		d = plus(d, plus(times(p->range[i], p->load[i]), times(p->range[i], -p->store[i])));
	return has_zero(d);
}

static int64_t
magnitude(int64_t v)
{
	return v < 0 ? -v : v;
}

/* The loop with the smallest factor * step among those that are not done. */
static int
next_digit(const Pair *p, const bool *done)
{
	int best = -1;

	for (int i = 0; i < p->n; i++)
		if (!done[i] && repeats(p, i) &&
		    (best < 0 || magnitude(p->load[i]) * p->step[i] <
		                         magnitude(p->load[best]) * p->step[best]))
			best = i;
	return best;
}

/* (2') */
static bool
is_mixed_radix(const Pair *p)
{
	bool done[MAX_LOOPS] = {false};
	Range reach = p->rest;

	for (int i = 0; i < p->n; i++)
		if (p->load[i] != p->store[i])
			return false;
	for (int i; (i = next_digit(p, done)) >= 0; done[i] = true) {
		int64_t c = magnitude(p->load[i]), span = p->range[i].hi - p->range[i].lo;

		if (reach.lo <= -c * p->step[i] || reach.hi >= c * p->step[i])
			return false;
		reach = plus(reach, times((Range){-span, span}, c));
	}
	return true;
}

static bool
is_free_of_conflicts(const Pair *p)
{
	bool later = false;

	if (conflicts_in_iteration(p))
		return false;
	for (int i = 0; i < p->n && !later; i++)
		later = repeats(p, i) && conflicts_later(p, i);
	return !later || is_mixed_radix(p);
}

bool
lfunc_may_share(const LFunc *f, const LBuf *in, const LBuf *out)
{
	Aliases x = {.arena = f->arena, .in = in, .out = out};

	if (in == out || dtype_info[in->elem].bytes != dtype_info[out->elem].bytes)
		return false;
	x.def = ARENA_ARRAY(x.arena, Expr *, f->vars.n);
	collect(&x, f->body);
	if (x.unknown || (int64_t)x.loads.n * x.stores.n > MAX_PAIRS)
		return x.loads.n == 0 || x.stores.n == 0;
	for (int i = 0; i < x.loads.n; i++)
		for (int k = 0; k < x.stores.n; k++) {
			Pair p;

			pair_up(&x.loads.v[i], &x.stores.v[k], &p);
			if (!is_free_of_conflicts(&p))
				return false;
		}
	return true;
}
