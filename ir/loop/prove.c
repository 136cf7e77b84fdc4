/*
 * Bounds of accesses, by ranges of all integers in the function.
 *
 * The function is walked once in the order of execution with the range of each
 * variable at hand:
 *
 *  - a loop variable is between the bounds of its loop, a let has the range of
 *    its value, a variable that of the last value it was given; at the head of a
 *    loop that assigns it, it falls back to its declared range (of other types
 *    than idx: to all values), since any number of iterations may have passed;
 *  - inside of `if c`, `select(c, …)` and `for … while c`, and behind an `if`
 *    one branch of which has returned, the condition narrows the ranges: those
 *    of variables, and through additions, multiplications by constants, min, max
 *    and lossless conversions those of what is inside of the compared values;
 *  - a narrowed expression without loads of mutable memory and without mutable
 *    variables is remembered as a fact, so that it is narrow wherever it stands
 *    again, also as the value of a let, and a let as its value;
 *  - what a condition excludes altogether is not looked at: it never runs.
 *
 * Where a range is not enough, comparisons of idx values and bounds of loops
 * serve as linear facts (ir/loop/linear.h).
 *
 * The time is linear in the size of the function times the depth of its loops;
 * narrowing is limited to NARROW_STEPS a condition.
 */
#include <assert.h>
#include <inttypes.h>

#include "ir/loop/linear.h"
#include "ir/loop/range.h"
#include "ir/num.h"

/* Expressions looked at while one condition narrows ranges. */
enum { NARROW_STEPS = 100 };

/* Expressions of more nodes are not remembered as facts. */
enum { FACT_NODES = 24 };

typedef struct {
	const Expr *e;
	Range r;
} Fact;

/* A variable with its range before it changed, or behind some statement. */
typedef struct {
	LVar *var;
	Range range;
} Change;

/* A point to which the state can be taken back. */
typedef struct {
	int changes, facts, linear;
} Mark;

typedef struct {
	const LFunc *f;
	Arena *arena;
	Range *env;       /* of each variable, now */
	Expr **def;       /* of each let, its value when that is pure; else NULL */
	Range *known;     /* of each constant buffer of integers, once it was asked for */
	bool *is_known;
	VEC(Change) changes;
	int joins;        /* branches joined so far */
	int *changed_in;  /* of each variable, by which join it was last touched */
	Range *other_end; /* and what it is behind the second branch of that */
	VEC(Fact) facts;
	VEC(Linear) linear;
	int steps;        /* left for the condition at hand */
	const Stmt *at;
	const char *error;
} Prover;

/* ---- State ---- */

static Mark
mark(const Prover *p)
{
	return (Mark){p->changes.n, p->facts.n, p->linear.n};
}

static void
undo(Prover *p, Mark m)
{
	while (p->changes.n > m.changes) {
		Change c = p->changes.v[--p->changes.n];

		p->env[c.var->index] = c.range;
	}
	p->facts.n = m.facts;
	p->linear.n = m.linear;
}

static void
set_range(Prover *p, LVar *v, Range r)
{
	Change c = {v, p->env[v->index]};

	VEC_PUSH(p->arena, &p->changes, c);
	p->env[v->index] = r;
}

static Range
declared_range(const LVar *v)
{
	return v->type == DT_IDX ? (Range){v->lo, v->hi} : range_of_type(v->type);
}

/* ---- Failures ---- */

static const char *
text_of(Prover *p, const Expr *e)
{
	Str s;

	str_init(&s, p->arena);
	expr_print(&s, e);
	return s.s;
}

__attribute__((format(printf, 2, 3))) static void
fail(Prover *p, const char *format, ...)
{
	va_list args;

	if (p->error)
		return;
	va_start(args, format);
	p->error = arena_vprintf(p->arena, format, args);
	va_end(args);
}

/* ---- Linear facts ---- */

static bool
is_truth(Range r, bool truth)
{
	return r.lo == truth && r.hi == truth;
}

static Range eval(Prover *p, const Expr *e);
static Range estimate(Prover *p, const Expr *e);

static Range
atom_range(void *user, const Expr *atom)
{
	return estimate(user, atom);
}

/* Whether x + k >= y can be proven. */
static bool
is_at_least(Prover *p, const Expr *x, int64_t k, const Expr *y)
{
	Linear l = {.k = k};

	if (x && !linear_add(&l, x, 1, p->def))
		return false;
	if (y && !linear_add(&l, y, -1, p->def))
		return false;
	return linear_is_positive(&l, p->linear.v, p->linear.n, atom_range, p);
}

/* Whether e is in `r`, from its range or else from linear facts. */
static bool
is_proven_in(Prover *p, const Expr *e, Range have, Range r)
{
	if (e->type != DT_IDX)
		return range_within(have, r);
	return (have.lo >= r.lo || is_at_least(p, e, -r.lo, NULL)) &&
	       (have.hi <= r.hi || is_at_least(p, NULL, r.hi, e));
}

/* Whether an expression has the same value until the block ends. */
static bool
is_pure(const Expr *e, int *nodes)
{
	if (--*nodes < 0)
		return false;
	if (e->kind == E_VAR && !e->u.var->is_const)
		return false;
	if (e->kind == E_LOAD && !lbuf_is_read_only(e->u.buf))
		return false;
	for (int i = 0; i < e->nargs; i++)
		if (!is_pure(e->arg[i], nodes))
			return false;
	return true;
}

static bool
is_small_and_pure(const Expr *e)
{
	int nodes = FACT_NODES;

	return is_pure(e, &nodes);
}

static const Expr *
definition(const Prover *p, const Expr *e)
{
	return e->kind == E_VAR ? p->def[e->u.var->index] : NULL;
}

/* Remembers x >= y + k.  A maximum on the right and a minimum on the left are
 * two facts; `steps` bounds how many. */
static void
add_linear(Prover *p, const Expr *x, const Expr *y, int64_t k, int steps)
{
	const Expr *dx = definition(p, x), *dy = definition(p, y);
	Linear l = {.k = -k};

	x = dx && dx->kind == E_KOP && dx->op == KOP_MIN ? dx : x;
	y = dy && dy->kind == E_KOP && dy->op == KOP_MAX ? dy : y;
	if (x->kind == E_KOP && x->op == KOP_MIN && steps > 0) {
		add_linear(p, x->arg[0], y, k, steps - 1);
		add_linear(p, x->arg[1], y, k, steps - 1);
	} else if (y->kind == E_KOP && y->op == KOP_MAX && steps > 0) {
		add_linear(p, x, y->arg[0], k, steps - 1);
		add_linear(p, x, y->arg[1], k, steps - 1);
	} else if (is_small_and_pure(x) && is_small_and_pure(y) && linear_add(&l, x, 1, p->def) &&
	           linear_add(&l, y, -1, p->def) && l.n > 1) {
		VEC_PUSH(p->arena, &p->linear, l);
	}
}

/* ---- Values ---- */

static Range
data_range(const LBuf *b)
{
	Range r = {INT64_MAX, INT64_MIN};

	for (int32_t i = 0; i < b->count; i++) {
		int64_t v = num_load_int(b->elem, b->data, (size_t)i);

		r = range_join(r, (Range){v, v});
	}
	return r;
}

/* What a load gives: constant contents are looked through, once. */
static Range
loaded(Prover *p, const LBuf *b)
{
	bool is_index = dtype_is_integer(b->elem) &&
	                (dtype_info[b->elem].bytes >= 4 || b->role == LBUF_TABLE);

	if (!b->data || !is_index || !lbuf_is_read_only(b) || b->count == 0)
		return range_of_type(b->elem);
	if (!p->is_known[b->index]) {
		p->known[b->index] = data_range(b);
		p->is_known[b->index] = true;
	}
	return p->known[b->index];
}

/* A conversion of a value in `r`; *exact tells whether every value stays the same. */
static Range
converted(DType from, DType to, Range r, bool *exact)
{
	bool is_wide = dtype_info[to].bytes == 8;

	*exact = false;
	if (dtype_is_float(from))
		return range_of_type(to);
	if (to == DT_BOOL) {
		*exact = from == DT_BOOL;
		return (Range){r.lo > 0 || r.hi < 0, r.lo != 0 || r.hi != 0};
	}
	if (dtype_is_float(to) || (!is_wide && !range_within(r, range_of_type(to))))
		return range_of_type(to);
	if (to == DT_IDX && from == DT_U64 && r.lo < 0)
		return range_of_type(to);
	*exact = (from != DT_U64 && to != DT_U64) || r.lo >= 0;
	return r;
}

static Range
reinterpreted(DType from, DType to, Range r)
{
	if (dtype_is_float(from) || dtype_is_float(to))
		return range_of_type(to);
	return range_within(r, range_of_type(to)) ? r : range_of_type(to);
}

/* Facts that contradict what is known otherwise mean that this never runs. */
static Range
meet_facts(const Prover *p, const Expr *e, Range r)
{
	for (int i = 0; i < p->facts.n; i++)
		if (expr_equal(p->facts.v[i].e, e)) {
			Range both = range_meet(r, p->facts.v[i].r);

			r = range_is_empty(both) ? r : both;
		}
	return r;
}

/* The range from those of the arguments, without any check. */
static Range
combine(Prover *p, const Expr *e, const Range *arg)
{
	const Expr *def = definition(p, e);
	Range r = range_of_type(e->type);
	bool exact;

	switch (e->kind) {
	case E_CONST:
		if (!dtype_is_float(e->type))
			r = (Range){e->u.i, e->u.i};
		return r;
	case E_VAR:
		r = p->env[e->u.var->index];
		return def ? meet_facts(p, def, r) : r;
	case E_LOAD:
		if (load_elements_of_lane(e) == 1)
			r = loaded(p, e->u.buf);
		break;
	case E_KOP:
		r = range_kop(e->op, e->arg[0]->type, arg[0], arg[e->nargs - 1], &exact);
		break;
	case E_SELECT: r = range_join(arg[1], arg[2]); break;
	case E_CVT: r = converted(e->arg[0]->type, e->type, arg[0], &exact); break;
	case E_BITS: r = reinterpreted(e->arg[0]->type, e->type, arg[0]); break;
	case E_SPLAT: r = arg[0]; break;
	case E_CALL:
	case E_PACKED:
	case E_DOT: break;
	}
	return dtype_is_float(e->type) ? r : meet_facts(p, e, r);
}

/* The range of an expression that has been evaluated, or will be. */
static Range
estimate(Prover *p, const Expr *e)
{
	Range arg[MAX_CALL_ARGS] = {{0, 0}};

	if (e->kind != E_LOAD && e->kind != E_CALL)
		for (int i = 0; i < e->nargs; i++)
			arg[i] = estimate(p, e->arg[i]);
	return combine(p, e, arg);
}

/* ---- Conditions ---- */

/* What must hold for arguments when `e` is in `r`. */
static bool narrow(Prover *p, const Expr *e, Range r);

static bool
narrow_operands(Prover *p, const Expr *e, Range r)
{
	Range x = estimate(p, e->arg[0]), y = estimate(p, e->arg[e->nargs - 1]);
	bool exact;

	range_kop(e->op, e->type, x, y, &exact);
	if (!exact && e->type != DT_IDX)
		return true;
	if (!narrow(p, e->arg[0], range_first_operand(e->op, r, y)))
		return false;
	return e->nargs == 1 || narrow(p, e->arg[1], range_second_operand(e->op, r, x));
}

/* Uses that `e` is in `r`; false when that cannot be. */
static bool
narrow(Prover *p, const Expr *e, Range r)
{
	Range have = estimate(p, e), both = range_meet(have, r), x;
	const Expr *def = definition(p, e);
	Fact fact = {e, both};
	bool exact;

	if (range_is_empty(both))
		return false;
	if (range_within(have, both) || --p->steps < 0)
		return true;
	switch (e->kind) {
	case E_VAR:
		set_range(p, e->u.var, both);
		return !def || narrow(p, def, both);
	case E_KOP:
	case E_CVT:
	case E_LOAD:
		if (is_small_and_pure(e))
			VEC_PUSH(p->arena, &p->facts, fact);
		break;
	case E_CONST:
	case E_SELECT:
	case E_BITS:
	case E_CALL:
	case E_PACKED:
	case E_DOT:
	case E_SPLAT: break;
	}
	if (e->kind == E_KOP && !dtype_is_float(e->type) && e->type != DT_BOOL)
		return narrow_operands(p, e, both);
	if (e->kind == E_CVT && !dtype_is_float(e->arg[0]->type)) {
		x = estimate(p, e->arg[0]);
		converted(e->arg[0]->type, e->type, x, &exact);
		return !exact || narrow(p, e->arg[0], both);
	}
	return true;
}

static bool
assume_comparison(Prover *p, KOp op, const Expr *x, const Expr *y)
{
	DType t = x->type;
	Range xr = estimate(p, x), yr = estimate(p, y);

	if (dtype_is_float(t))
		return true;
	if (t == DT_IDX) {
		int64_t k = op == KOP_LT || op == KOP_GT;

		if (op == KOP_GE || op == KOP_GT || op == KOP_EQ)
			add_linear(p, x, y, k, 2);
		if (op == KOP_LE || op == KOP_LT || op == KOP_EQ)
			add_linear(p, y, x, k, 2);
	}
	return narrow(p, x, range_if_compared(op, t, xr, yr)) &&
	       narrow(p, y, range_if_compared(kop_swapped(op), t, yr, xr));
}

/* Narrows ranges by a condition; false when it cannot come out so. */
static bool
assume(Prover *p, const Expr *e, bool truth)
{
	const Expr *def = definition(p, e);

	if (is_truth(estimate(p, e), !truth))
		return false;
	if (--p->steps < 0)
		return true;
	if (def)
		return assume(p, def, truth);
	if (e->kind != E_KOP)
		return true;
	if (e->op == KOP_NOT)
		return assume(p, e->arg[0], !truth);
	if (e->op == (truth ? KOP_AND : KOP_OR))
		return assume(p, e->arg[0], truth) && assume(p, e->arg[1], truth);
	if (!kop_info[e->op].to_bool || e->arg[0]->type == DT_BOOL)
		return true;
	return assume_comparison(p, truth ? e->op : kop_negated(e->op), e->arg[0], e->arg[1]);
}

static bool
assume_anew(Prover *p, const Expr *e, bool truth)
{
	p->steps = NARROW_STEPS;
	return assume(p, e, truth);
}

/* ---- Expressions ---- */

/* `count` elements from `index` on. */
static void
check_index(Prover *p, const LBuf *b, const Expr *index, int count)
{
	Range r = eval(p, index);

	if (!p->error && !is_proven_in(p, index, r, (Range){0, (int64_t)b->count - count}))
		fail(p, "the index %s is in [%" PRId64 ", %" PRId64 "], but '%s' has %" PRId32
		        " elements%s", text_of(p, index), r.lo, r.hi + count - 1, b->name, b->count,
		     count > 1 ? ", several of which are taken" : "");
}

static Range
eval_select(Prover *p, const Expr *e)
{
	Range r = {INT64_MAX, INT64_MIN};

	eval(p, e->arg[0]);
	for (int i = 1; i <= 2; i++) {
		Mark m = mark(p);

		if (assume_anew(p, e->arg[0], i == 1))
			r = range_join(r, eval(p, e->arg[i]));
		undo(p, m);
	}
	return range_is_empty(r) ? range_of_type(e->type) : meet_facts(p, e, r);
}

/* Whether linear_add() looks into the operation.  If it does not, its result has
 * the range of idx there only because this has been proven. */
static bool
is_linear(const Expr *e)
{
	return e->op == KOP_ADD || e->op == KOP_SUB || e->op == KOP_NEG ||
	       (e->op == KOP_MUL &&
	        (e->arg[0]->kind == E_CONST || e->arg[1]->kind == E_CONST));
}

/* An idx operation must not leave int32. */
static void
check_idx_kop(Prover *p, const Expr *e, const Range *arg)
{
	bool exact;

	if (e->arg[0]->type != DT_IDX || kop_info[e->op].to_bool)
		return;
	range_kop(e->op, DT_IDX, arg[0], arg[e->nargs - 1], &exact);
	if (exact)
		return;
	if (!is_linear(e) || !(is_at_least(p, e, -(int64_t)INT32_MIN, NULL) &&
	                       is_at_least(p, NULL, INT32_MAX, e)))
		fail(p, "%s may leave the range of idx", text_of(p, e));
}

static void
check_to_idx(Prover *p, const Expr *e, Range r)
{
	DType from = e->arg[0]->type;
	bool huge = from == DT_U64 && r.lo < 0;

	if (dtype_is_float(from))
		fail(p, "%s: a float may not fit idx; convert to i32 and clamp", text_of(p, e));
	else if (huge || !range_within(r, range_of_type(DT_IDX)))
		fail(p, "%s: the value may not fit idx", text_of(p, e));
}

static Range
eval_dot(Prover *p, const Expr *e)
{
	eval(p, e->arg[0]);
	for (int i = 1; i <= 2; i++)
		check_index(p, e->arg[i]->u.buf, e->arg[i]->arg[0], dot_elements(e->arg[i]));
	return range_of_type(e->type);
}

/* The range of an expression; proves what is in it. */
static Range
eval(Prover *p, const Expr *e)
{
	Range arg[MAX_CALL_ARGS] = {{0, 0}};

	if (e->kind == E_SELECT)
		return eval_select(p, e);
	if (e->kind == E_DOT)
		return eval_dot(p, e);
	if (e->kind == E_LOAD)
		check_index(p, e->u.buf, e->arg[0], load_elements(e));
	else
		for (int i = 0; i < e->nargs; i++)
			arg[i] = eval(p, e->arg[i]);
	if (p->error)
		return range_of_type(e->type);
	if (e->kind == E_KOP)
		check_idx_kop(p, e, arg);
	if (e->kind == E_CVT && e->type == DT_IDX)
		check_to_idx(p, e, arg[0]);
	return combine(p, e, arg);
}

/* ---- Statements ---- */

static bool run_block(Prover *p, const Stmt *s);

/* The value of an assignment must be in the declared range of an idx variable. */
static Range
eval_for(Prover *p, const LVar *v, const Expr *value)
{
	Range r = eval(p, value), want = declared_range(v);

	if (v->type != DT_IDX || p->error)
		return r;
	if (!is_proven_in(p, value, r, want))
		fail(p, "the value is in [%" PRId64 ", %" PRId64 "], '%s' may be in [%" PRId64
		        ", %" PRId64 "]", r.lo, r.hi, v->name, v->lo, v->hi);
	return range_is_empty(range_meet(r, want)) ? want : range_meet(r, want);
}

/* Anything may have happened to the variables that a loop assigns. */
static void
forget_assigned(Prover *p, const Stmt *s)
{
	for (; s; s = s->next) {
		if (s->kind == S_SET)
			set_range(p, s->var, declared_range(s->var));
		if (s->kind == S_FOR || s->kind == S_IF)
			forget_assigned(p, s->body);
		if (s->kind == S_IF)
			forget_assigned(p, s->other);
	}
}

/* The largest value of a loop variable. */
static int64_t
last_value(const Stmt *s, Range lo, Range hi)
{
	int64_t last = hi.hi - 1;

	if (lo.lo == lo.hi)
		last -= (last - lo.lo) % s->step;
	return last;
}

static void
run_for(Prover *p, const Stmt *s)
{
	Range lo = eval(p, s->lo), hi = eval(p, s->hi);
	Expr var = {.kind = E_VAR, .type = DT_IDX, .u.var = s->var}, *v;
	Mark m;

	if (p->error || lo.lo >= hi.hi)
		return;
	if (last_value(s, lo, hi) + s->step > INT32_MAX) {
		fail(p, "'%s' may leave the range of idx at the end of the loop", s->var->name);
		return;
	}
	forget_assigned(p, s->body);
	m = mark(p);
	p->env[s->var->index] = (Range){lo.lo, last_value(s, lo, hi)};
	v = arena_copy(p->arena, &var, sizeof var);
	if (lo.lo != lo.hi)
		add_linear(p, v, s->lo, 0, 3);
	if (hi.lo != hi.hi)
		add_linear(p, s->hi, v, 1, 3);
	if (s->cond)
		eval(p, s->cond);
	if (!s->cond || assume_anew(p, s->cond, true))
		run_block(p, s->body);
	undo(p, m);
}

/* The variables that changed since `m` with their ranges now, some repeatedly. */
typedef VEC(Change) Changes;

static Changes
changes_since(Prover *p, Mark m)
{
	Changes all = {0};

	for (int i = m.changes; i < p->changes.n; i++) {
		Change now = {p->changes.v[i].var, p->env[p->changes.v[i].var->index]};

		VEC_PUSH(p->arena, &all, now);
	}
	return all;
}

/* The state behind an `if` whose branches both come to their end; now it is that
 * behind the second.  A variable that a branch left alone is as before there. */
static void
join_branches(Prover *p, Mark m, const Changes *then)
{
	Changes other = changes_since(p, m);

	undo(p, m);
	p->joins++;
	for (int i = 0; i < other.n; i++) {
		int v = other.v[i].var->index;

		p->other_end[v] = other.v[i].range;
		p->changed_in[v] = p->joins;
	}
	for (int i = 0; i < then->n; i++) {
		LVar *v = then->v[i].var;
		bool both = p->changed_in[v->index] == p->joins;

		if (p->changed_in[v->index] == -p->joins)
			continue;
		p->changed_in[v->index] = -p->joins;
		set_range(p, v, range_join(then->v[i].range, both ? p->other_end[v->index]
		                                                  : p->env[v->index]));
	}
	for (int i = 0; i < other.n; i++) {
		LVar *v = other.v[i].var;

		if (p->changed_in[v->index] == -p->joins)
			continue;
		p->changed_in[v->index] = -p->joins;
		set_range(p, v, range_join(p->env[v->index], other.v[i].range));
	}
}

static bool
run_if(Prover *p, const Stmt *s)
{
	Mark m = mark(p);
	bool then_ends, other_ends;
	Changes then;

	eval(p, s->cond);
	then_ends = assume_anew(p, s->cond, true) && run_block(p, s->body);
	then = changes_since(p, m);
	undo(p, m);
	other_ends = assume_anew(p, s->cond, false) && run_block(p, s->other);
	if (then_ends && other_ends) {
		join_branches(p, m, &then);
	} else if (then_ends) {
		undo(p, m);
		assume_anew(p, s->cond, true);
		for (int i = 0; i < then.n; i++)
			set_range(p, then.v[i].var, then.v[i].range);
	}
	return then_ends || other_ends;
}

/* Runs one statement; false when nothing behind it is reached. */
static bool
run_stmt(Prover *p, const Stmt *s)
{
	Range r;

	switch (s->kind) {
	case S_FOR: run_for(p, s); return true;
	case S_IF: return run_if(p, s);
	case S_VAR:
		p->env[s->var->index] = eval_for(p, s->var, s->value);
		p->def[s->var->index] =
			s->var->is_const && is_small_and_pure(s->value) ? s->value : NULL;
		return true;
	case S_SET:
		r = eval_for(p, s->var, s->value);
		set_range(p, s->var, r);
		return true;
	case S_STORE:
		check_index(p, s->buf, s->index, store_elements(s));
		eval(p, s->value);
		return true;
	case S_RETURN: eval(p, s->value); return false;
	case S_COMMENT: break;
	}
	return true;
}

static bool
run_block(Prover *p, const Stmt *s)
{
	for (; s && !p->error; s = s->next) {
		p->at = s;
		if (!run_stmt(p, s))
			return false;
	}
	return true;
}

const char *
lfunc_check_ranges(const LFunc *f, Arena *a, const Stmt **at)
{
	Prover p = {.f = f, .arena = a};

	p.env = ARENA_ARRAY(a, Range, f->vars.n);
	p.def = ARENA_ARRAY(a, Expr *, f->vars.n);
	p.changed_in = ARENA_ARRAY(a, int, f->vars.n);
	p.other_end = ARENA_ARRAY(a, Range, f->vars.n);
	p.known = ARENA_ARRAY(a, Range, f->bufs.n);
	p.is_known = ARENA_ARRAY(a, bool, f->bufs.n);
	for (int i = 0; i < f->params.n; i++)
		p.env[f->params.v[i]->index] = declared_range(f->params.v[i]);
	run_block(&p, f->body);
	*at = p.at;
	return p.error;
}
