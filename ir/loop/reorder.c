/*
 * The same kernel in another order, so that its output may lie elsewhere over its input:
 * loops over outputs backward, and the outputs of a pixel stored when all of them are
 * computed.
 *
 * A loop may run backward when no iteration can tell which ones went before it:
 *  - it has constant bounds and no condition of its own;
 *  - its body assigns no variable from outside and does not return;
 *  - the body loads no output, and scratch or local memory only where the same iteration
 *    stored before (see is_private()), and nobody else loads what it stores there;
 *  - iterations store to different elements of each output: all stores to it have the
 *    same factors of the variables outside of the loop's body, and the factor of the
 *    loop's variable is larger than what else is in the index can make up for.
 */
#include <assert.h>
#include <string.h>

#include "ir/loop/linear.h"

/* A store to an output, or an access to private memory. */
typedef struct {
	const LBuf *buf;
	bool is_store, is_certain; /* no condition, and no loop that may be empty, around it */
	Linear at;                 /* if known */
	bool is_known;
	bool is_guarded;           /* if is_certain, then only where */
	Linear guard;              /* this is not negative */
} Access;

/* Under which conditions a statement runs, as in Access. */
typedef struct {
	bool is_certain, is_guarded;
	Linear guard;
} When;

typedef struct {
	Arena *arena;
	const LFunc *f;
	LBuilder b;
	Expr **def;       /* by LVar.index, of idx variables that depend on constant ones only */
	Range *range;     /* by LVar.index */
	int32_t *step;    /* by LVar.index, of loops with constant bounds; 0: any other */
	bool *inside;     /* by LVar.index: declared in the block that is looked at */
	VEC(Access) accesses; /* of that block, in the order of the text */
	bool is_tied;     /* an iteration of the block depends on others, or is not understood */
} Reorder;

static void
start(Reorder *x, Arena *a, const LFunc *f)
{
	*x = (Reorder){.arena = a, .f = f};
	loop_begin_version(&x->b, a, f);
	x->def = ARENA_ARRAY(a, Expr *, f->vars.n);
	x->range = ARENA_ARRAY(a, Range, f->vars.n);
	x->step = ARENA_ARRAY(a, int32_t, f->vars.n);
	x->inside = ARENA_ARRAY(a, bool, f->vars.n);
	for (int i = 0; i < f->vars.n; i++)
		x->range[i] = (Range){f->vars.v[i]->lo, f->vars.v[i]->hi};
}

static bool
has_const_bounds(const Stmt *s)
{
	return s->lo->kind == E_CONST && s->hi->kind == E_CONST && s->hi->u.i > s->lo->u.i;
}

/* The last value of the variable of a loop with constant bounds. */
static int64_t
last_of(const Stmt *s)
{
	return s->lo->u.i + (s->hi->u.i - 1 - s->lo->u.i) / s->step * s->step;
}

/* Whether an expression has the same value wherever its variables are in scope. */
static bool
is_stable(const Expr *e)
{
	bool stable = e->kind != E_LOAD && (e->kind != E_VAR || e->u.var->is_const);

	for (int i = 0; i < e->nargs; i++)
		stable = stable && is_stable(e->arg[i]);
	return stable;
}

/* Notes the definitions and ranges of all variables. */
static void
note_vars(Reorder *x, const Stmt *s)
{
	for (; s; s = s->next) {
		if (s->kind == S_VAR && s->var->is_const && s->var->type == DT_IDX &&
		    is_stable(s->value))
			x->def[s->var->index] = s->value;
		if (s->kind == S_FOR && has_const_bounds(s) && !s->cond) {
			x->range[s->var->index] = (Range){s->lo->u.i, last_of(s)};
			x->step[s->var->index] = s->step;
		}
		note_vars(x, s->body);
		note_vars(x, s->other);
	}
}

/* ---- What a block accesses ---- */

/* Adds c * e, as a form over variables only. */
static bool
add_form(const Reorder *x, Linear *l, const Expr *e, int64_t c)
{
	if (!linear_add(l, e, c, x->def))
		return false;
	for (int i = 0; i < l->n; i++)
		if (l->atom[i]->kind != E_VAR)
			return false;
	return true;
}

/* An access to element index + more. */
static void
add_access(Reorder *x, const LBuf *buf, const Expr *index, int more, bool is_store,
           const When *when)
{
	Access a = {.buf = buf, .is_store = is_store, .is_certain = when->is_certain,
	            .is_guarded = when->is_guarded, .guard = when->guard};

	a.at.k = more;
	a.is_known = add_form(x, &a.at, index, 1);
	VEC_PUSH(x->arena, &x->accesses, a);
}

/* When the body of an `if` runs: the first condition on the way that is understood, which
 * is a < b, is the guard. */
static When
when_true(const Reorder *x, const Expr *cond, const When *outer)
{
	When when = {true, true, {.k = -1}};

	if (!outer->is_certain || outer->is_guarded || cond->kind != E_KOP || cond->op != KOP_LT ||
	    cond->arg[0]->type != DT_IDX || !add_form(x, &when.guard, cond->arg[1], 1) ||
	    !add_form(x, &when.guard, cond->arg[0], -1))
		return (When){0};
	return when;
}

static void
scan_expr(Reorder *x, const Expr *e, const When *when)
{
	if (!e)
		return;
	for (int i = 0; i < e->nargs; i++)
		scan_expr(x, e->arg[i], when);
	/* The first of the elements of either side has been added with the arguments. */
	for (int k = 1; e->kind == E_DOT && k <= 2; k++)
		for (int i = 1; !lbuf_is_read_only(e->arg[k]->u.buf) && i < dot_elements(e->arg[k]);
		     i++)
			add_access(x, e->arg[k]->u.buf, e->arg[k]->arg[0], i, false, when);
	if (e->kind != E_LOAD || lbuf_is_read_only(e->u.buf))
		return;
	for (int i = 0; i < load_elements(e); i++)
		add_access(x, e->u.buf, e->arg[0], i, false, when);
}

static void
scan(Reorder *x, const Stmt *s, const When *when)
{
	const When never = {0};
	When inner;

	for (; s; s = s->next) {
		scan_expr(x, s->lo, when);
		scan_expr(x, s->hi, when);
		scan_expr(x, s->cond, when);
		scan_expr(x, s->value, when);
		scan_expr(x, s->index, when);
		switch (s->kind) {
		case S_FOR:
			x->inside[s->var->index] = true;
			scan(x, s->body, has_const_bounds(s) && !s->cond ? when : &never);
			break;
		case S_IF:
			inner = when_true(x, s->cond, when);
			scan(x, s->body, &inner);
			scan(x, s->other, &never);
			break;
		case S_VAR: x->inside[s->var->index] = true; break;
		case S_SET: x->is_tied = x->is_tied || !x->inside[s->var->index]; break;
		case S_STORE:
			for (int i = 0; i < store_elements(s); i++)
				add_access(x, s->buf, s->index, i, true, when);
			break;
		case S_RETURN: x->is_tied = true; break;
		case S_COMMENT: break;
		}
	}
}

static void
scan_block(Reorder *x, const Stmt *block)
{
	memset(x->inside, 0, (size_t)x->f->vars.n * sizeof *x->inside);
	x->accesses.n = 0;
	x->is_tied = false;
	scan(x, block, &(When){.is_certain = true});
}

/* ---- Indices ---- */

/* What variables inside of the block add to an index, its constant included. */
static Range
inner_part(const Reorder *x, const Linear *l)
{
	Range r = {l->k, l->k};

	for (int i = 0; i < l->n; i++) {
		const LVar *v = l->atom[i]->u.var;
		bool exact;
		Range c = {l->c[i], l->c[i]};

		if (!x->inside[v->index])
			continue;
		c = range_kop(KOP_MUL, DT_I64, c, x->range[v->index], &exact);
		r = range_kop(KOP_ADD, DT_I64, r, c, &exact);
	}
	return r;
}

static int64_t
factor_of(const Linear *l, const LVar *v)
{
	for (int i = 0; i < l->n; i++)
		if (l->atom[i]->u.var == v)
			return l->c[i];
	return 0;
}

/* What they add where an access takes place: an index is not above the sum of itself and
 * a guard. */
static Range
access_part(const Reorder *x, const Access *a)
{
	Range r = inner_part(x, &a->at);
	Linear sum = a->at;
	int64_t most;

	if (!a->is_guarded)
		return r;
	for (int i = 0; i < a->guard.n; i++)
		if (!x->inside[a->guard.atom[i]->u.var->index] ||
		    !linear_add(&sum, a->guard.atom[i], a->guard.c[i], x->def))
			return r;
	if (__builtin_add_overflow(sum.k, a->guard.k, &sum.k))
		return r;
	most = inner_part(x, &sum).hi;
	return (Range){r.lo, most < r.hi && most >= r.lo ? most : r.hi};
}

/* Whether the variables outside of the block have the same factors in both. */
static bool
same_outer_part(const Reorder *x, const Linear *a, const Linear *b)
{
	for (int i = 0; i < a->n; i++) {
		const LVar *v = a->atom[i]->u.var;

		if (!x->inside[v->index] && factor_of(b, v) != a->c[i])
			return false;
	}
	for (int i = 0; i < b->n; i++) {
		const LVar *v = b->atom[i]->u.var;

		if (!x->inside[v->index] && factor_of(a, v) != b->c[i])
			return false;
	}
	return true;
}

/* Whether all accesses of that kind to `buf` in the block start at the same place, which
 * the variables outside say, and what they cover from there; none: an empty range. */
static bool
common_part(const Reorder *x, const LBuf *buf, bool stores, const Linear **first, Range *inner)
{
	*first = NULL;
	*inner = (Range){0, -1};
	for (int i = 0; i < x->accesses.n; i++) {
		const Access *a = &x->accesses.v[i];

		if (a->buf != buf || a->is_store != stores)
			continue;
		if (!a->is_known || (*first && !same_outer_part(x, *first, &a->at)))
			return false;
		*inner = *first ? range_join(*inner, access_part(x, a)) : access_part(x, a);
		*first = *first ? *first : &a->at;
	}
	return true;
}

/* ---- What stores cover ---- */

enum { MAX_COVER = 65536 };

/* Marks the elements that a store reaches over all iterations of the loops inside the
 * block, from the atom `i` of its index on; the guard is `guard` by then. */
static void
mark(const Reorder *x, const Access *a, int i, int64_t at, int64_t guard, const Range *all,
     char *seen)
{
	const Linear *l = &a->at;
	const LVar *var;
	Range r;

	while (i < l->n && !x->inside[l->atom[i]->u.var->index])
		i++;
	if (i == l->n) {
		if (at >= all->lo && at <= all->hi && guard >= 0)
			seen[at - all->lo] = 1;
		return;
	}
	var = l->atom[i]->u.var;
	r = x->range[var->index];
	for (int64_t v = r.lo; v <= r.hi; v += x->step[var->index])
		mark(x, a, i + 1, at + l->c[i] * v, guard + factor_of(&a->guard, var) * v, all,
		     seen);
}

/* Whether the index of an access has all that its guard depends on. */
static bool
has_guard_variables(const Reorder *x, const Access *a)
{
	for (int i = 0; a->is_guarded && i < a->guard.n; i++) {
		const LVar *v = a->guard.atom[i]->u.var;

		if (!x->inside[v->index] || factor_of(&a->at, v) == 0)
			return false;
	}
	return true;
}

/* How often mark() would be called; too often where a variable is no loop's. */
static int64_t
mark_count(const Reorder *x, const Linear *l)
{
	int64_t n = 1;

	for (int i = 0; i < l->n; i++) {
		const LVar *v = l->atom[i]->u.var;
		Range r = x->range[v->index];

		if (!x->inside[v->index])
			continue;
		if (x->step[v->index] == 0 || r.hi - r.lo >= MAX_COVER)
			return MAX_COVER + 1;
		n *= r.hi - r.lo + 1;
		if (n > MAX_COVER)
			return n;
	}
	return n;
}

/* Whether the stores to `buf` that are certain, among the first `n` accesses, reach all
 * elements of a range that starts at what the variables outside say. */
static bool
stores_cover(const Reorder *x, const LBuf *buf, int n, Range all)
{
	int64_t count = all.hi - all.lo + 1;
	char *seen;

	if (count <= 0 || count > MAX_COVER)
		return count <= 0;
	seen = ARENA_ARRAY(x->arena, char, (int)count);
	for (int i = 0; i < n; i++) {
		const Access *a = &x->accesses.v[i];

		if (a->buf == buf && a->is_store && a->is_certain && a->is_known &&
		    has_guard_variables(x, a) && mark_count(x, &a->at) <= MAX_COVER)
			mark(x, a, 0, a->at.k, a->is_guarded ? a->guard.k : 0, &all, seen);
	}
	return memchr(seen, 0, (size_t)count) == NULL;
}

static int
count_loads_in(const Expr *e, const LBuf *buf)
{
	int n = e && e->kind == E_LOAD && e->u.buf == buf ? load_elements(e) : 0;

	for (int i = 0; e && i < e->nargs; i++)
		n += count_loads_in(e->arg[i], buf);
	for (int k = 1; e && e->kind == E_DOT && k <= 2; k++)
		n += e->arg[k]->u.buf == buf ? dot_elements(e->arg[k]) - 1 : 0;
	return n;
}

static int
count_loads(const Stmt *s, const LBuf *buf)
{
	int n = 0;

	for (; s; s = s->next)
		n += count_loads_in(s->lo, buf) + count_loads_in(s->hi, buf) +
		     count_loads_in(s->cond, buf) + count_loads_in(s->value, buf) +
		     count_loads_in(s->index, buf) + count_loads(s->body, buf) +
		     count_loads(s->other, buf);
	return n;
}

/* Whether the block has all the loads of `buf`, or does not touch it. */
static bool
has_all_loads(const Reorder *x, const LBuf *buf)
{
	int n = 0, loads = 0;

	for (int i = 0; i < x->accesses.n; i++) {
		n += x->accesses.v[i].buf == buf;
		loads += x->accesses.v[i].buf == buf && !x->accesses.v[i].is_store;
	}
	return n == 0 || loads == count_loads(x->f->body, buf);
}

/* Whether each iteration finds in `buf` only what it stored itself: before the first load
 * it stores to all elements that are loaded. */
static bool
is_private(const Reorder *x, const LBuf *buf)
{
	const Linear *load, *store;
	Range loads, stores;
	int first = 0;

	while (first < x->accesses.n &&
	       (x->accesses.v[first].buf != buf || x->accesses.v[first].is_store))
		first++;
	if (first == x->accesses.n)
		return true;
	return common_part(x, buf, false, &load, &loads) &&
	       common_part(x, buf, true, &store, &stores) && store &&
	       same_outer_part(x, load, store) && stores_cover(x, buf, first, loads);
}

/* ---- Backward ---- */

/* Whether iterations of the loop over `var`, whose body was scanned, store to different
 * elements of an output, and nothing loads from there. */
static bool
writes_apart(const Reorder *x, const LBuf *out, const LVar *var, int32_t step)
{
	const Linear *first, *load;
	Range inner, loads;
	int64_t c;

	if (!common_part(x, out, true, &first, &inner) ||
	    !common_part(x, out, false, &load, &loads) || load)
		return false;
	if (!first)
		return true;
	c = factor_of(first, var);
	return (c < 0 ? -c : c) * step > inner.hi - inner.lo;
}

static bool
may_reverse(Reorder *x, const Stmt *s)
{
	bool stores = false;

	if (!has_const_bounds(s) || s->cond || last_of(s) == s->lo->u.i)
		return false;
	scan_block(x, s->body);
	for (int i = 0; i < x->f->bufs.n && !x->is_tied; i++) {
		const LBuf *b = x->f->bufs.v[i];

		if (b->role == LBUF_OUT)
			x->is_tied = !writes_apart(x, b, s->var, s->step);
		else if (!lbuf_is_read_only(b))
			x->is_tied = !is_private(x, b) || !has_all_loads(x, b);
	}
	for (int i = 0; i < x->accesses.n; i++)
		stores = stores || x->accesses.v[i].buf->role == LBUF_OUT;
	return !x->is_tied && stores;
}

/* Copies a block with its loops reversed; returns whether there were any. */
static bool
copy_backward(Reorder *x, const Stmt *s)
{
	LBuilder *b = &x->b;
	bool any = false;

	for (; s; s = s->next) {
		if (s->kind == S_FOR && may_reverse(x, s)) {
			int64_t last = last_of(s);
			Expr *down = loop_for_step(b, arena_printf(x->arena, "down_%s", s->var->name),
			                           0, last - s->lo->u.i + 1, s->step);

			loop_let_var(b, s->var, loop_sub(b, loop_idx(b, last), down));
			copy_backward(x, s->body);
			loop_end(b);
			any = true;
		} else {
			Stmt *copy = loop_copy(b, s);

			loop_open_copy(b, copy, false);
			any |= copy_backward(x, s->body);
			loop_end(b);
			loop_open_copy(b, copy, true);
			any |= copy_backward(x, s->other);
			loop_end(b);
		}
	}
	return any;
}

LFunc *
lfunc_backward(Arena *a, const LFunc *f)
{
	Reorder x;

	start(&x, a, f);
	note_vars(&x, f->body);
	return copy_backward(&x, f->body) ? loop_finish(&x.b) : NULL;
}

/* ---- Holding the outputs of a pixel ---- */

static bool
stores_to(const Stmt *s, const LBuf *out)
{
	for (; s; s = s->next)
		if ((s->kind == S_STORE && s->buf == out) || stores_to(s->body, out) ||
		    stores_to(s->other, out))
			return true;
	return false;
}

/* The only statement of a block that stores to `out`, or NULL. */
static const Stmt *
only_storing(const Stmt *block, const LBuf *out)
{
	const Stmt *found = NULL;

	for (const Stmt *s = block; s; s = s->next) {
		bool stores = (s->kind == S_STORE && s->buf == out) || stores_to(s->body, out) ||
		              stores_to(s->other, out);

		if (stores && found)
			return NULL;
		found = stores ? s : found;
	}
	return found;
}

static bool
has_storing_loop(const Stmt *s, const LBuf *out)
{
	for (; s; s = s->next)
		if ((s->kind == S_FOR && stores_to(s->body, out)) || has_storing_loop(s->body, out) ||
		    has_storing_loop(s->other, out))
			return true;
	return false;
}

/* The loop whose body is a pixel: the innermost one around all stores whose body has
 * another loop around stores.  NULL: the body of the function. */
static const Stmt *
pixel_loop(const LFunc *f, const LBuf *out)
{
	const Stmt *pixel = NULL, *s = only_storing(f->body, out);

	while (s && s->kind == S_FOR && has_storing_loop(s->body, out)) {
		pixel = s;
		s = only_storing(s->body, out);
	}
	return pixel;
}

static LBuf *
only_output(const LFunc *f)
{
	LBuf *out = NULL;

	for (int i = 0; i < f->bufs.n; i++) {
		if (f->bufs.v[i]->role != LBUF_OUT)
			continue;
		if (out)
			return NULL;
		out = f->bufs.v[i];
	}
	return out;
}

typedef struct {
	LBuf *out, *held;
	const Stmt *pixel; /* NULL: the whole function */
	Range part;        /* of the output that is held, from where the pixel starts */
	Linear start;      /* where that is: with the variables outside only */
} Hold;

/* The part of an index that variables inside the pixel, or outside, make. */
static Expr *
part_of_index(Reorder *x, const Linear *l, bool inside, int64_t offset)
{
	LBuilder *b = &x->b;
	Expr *sum = loop_idx(b, offset);

	for (int i = 0; i < l->n; i++) {
		Expr *v = loop_get(b, l->atom[i]->u.var);

		if (x->inside[l->atom[i]->u.var->index] == inside)
			sum = loop_add(b, loop_affine(b, v, l->c[i], 0), sum);
	}
	return sum;
}

static void copy_held(Reorder *x, const Hold *h, const Stmt *s);

static void
copy_pixel(Reorder *x, const Hold *h, const Stmt *body)
{
	LBuilder *b = &x->b;
	Expr *i, *at;

	copy_held(x, h, body);
	i = loop_for(b, "held", 0, h->part.hi - h->part.lo + 1);
	at = loop_add(b, part_of_index(x, &h->start, false, h->part.lo), i);
	loop_store(b, h->out, at, loop_load(b, h->held, i));
	loop_end(b);
}

static void
copy_held(Reorder *x, const Hold *h, const Stmt *s)
{
	LBuilder *b = &x->b;

	for (; s; s = s->next) {
		Stmt *copy = loop_copy(b, s);

		if (s->kind == S_STORE && s->buf == h->out) {
			Linear l = {0};

			linear_add(&l, s->index, 1, x->def);
			copy->buf = h->held;
			copy->index = part_of_index(x, &l, true, l.k - h->part.lo);
		}
		loop_open_copy(b, copy, false);
		if (s == h->pixel)
			copy_pixel(x, h, s->body);
		else
			copy_held(x, h, s->body);
		loop_end(b);
		loop_open_copy(b, copy, true);
		copy_held(x, h, s->other);
		loop_end(b);
	}
}

LFunc *
lfunc_hold(Arena *a, const LFunc *f)
{
	Hold h = {.out = only_output(f)};
	const Linear *store, *load;
	Range loads;
	Reorder x;
	int64_t n;

	if (!h.out)
		return NULL;
	start(&x, a, f);
	note_vars(&x, f->body);
	h.pixel = pixel_loop(f, h.out);
	scan_block(&x, h.pixel ? h.pixel->body : f->body);
	if (x.is_tied || !common_part(&x, h.out, false, &load, &loads) || load ||
	    !common_part(&x, h.out, true, &store, &h.part) || !store)
		return NULL;
	n = h.part.hi - h.part.lo + 1;
	if (n < 2 || n * dtype_info[h.out->elem].bytes > LFUNC_HOLD_BYTES ||
	    !stores_cover(&x, h.out, x.accesses.n, h.part))
		return NULL;
	h.start = *store;
	h.held = loop_buf(&x.b, "held", h.out->elem, (int32_t)n, LBUF_LOCAL, NULL);
	if (h.pixel)
		copy_held(&x, &h, f->body);
	else
		copy_pixel(&x, &h, f->body);
	return loop_finish(&x.b);
}

int64_t
lfunc_local_bytes(const LFunc *f)
{
	int64_t bytes = 0;

	for (int i = 0; i < f->bufs.n; i++)
		if (f->bufs.v[i]->role == LBUF_LOCAL)
			bytes += (int64_t)f->bufs.v[i]->count * dtype_info[f->bufs.v[i]->elem].bytes;
	return bytes;
}
