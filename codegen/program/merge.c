/*
 * Steps that share one function, for small code.
 *
 * Layers of one kind differ in their numbers: sizes, strides, zero points.  Functions that
 * are equal but for integer constants become one, which takes these numbers from an array
 * of constants that is one more argument:
 *
 *	for i in [0, 96)  y[i * 3 + 1] = …	=>	n0 = shape[0], n1 = shape[1]
 *	for i in [0, 32)  y[i * 5 + 1] = …		for i in [0, n0)  y[i * n1 + 1] = …
 *
 * The first function of a family is copied; each further one is laid beside the copy, and
 * where a constant is another one there, it becomes a hole.  x beside x + 3 or x * 3 is a
 * hole too, of 0 and 3 or 1 and 3: builders leave out what changes nothing.  A hole that
 * is a linear function of another one takes no element of its own.  Tables of contents
 * that differ become arguments as well.
 *
 * Where one step holds its outputs (lfunc_hold), because of where they lie, those that
 * could join it but for that do so too: what is safe as it is is safe later.
 *
 * Each function was proved in bounds before, with its own numbers; the shared one computes
 * the same accesses, so it is not proved again.  Divisors and the steps of loops have to
 * be equal.
 */
#include <string.h>

#include "codegen/program/layout.h"
#include "ir/num.h"

/* Families of one structure that a function is laid beside. */
enum { MOST_TRIES = 8 };

/* Bytes of code of a node of an expression or a statement, and of loading a number. */
enum { NODE_BYTES = 2, NUMBER_BYTES = 6, CALL_BYTES = 4 };

typedef VEC(int64_t) Values;

/* A number that differs. */
typedef struct {
	LVar *var;
	Expr *use;     /* the one that reads it */
	Values value;  /* by instance */
	int at;        /* its element of the shape; -1: factor * of + offset */
	int of;
	int64_t factor, offset;
} Hole;

typedef VEC(Hole) Holes;
typedef VEC(Step *) Steps;

typedef struct Family {
	struct Family *next; /* of the same structure */
	uint32_t hash;
	LFunc *fn;   /* the copy */
	Steps steps; /* its instances */
	Holes holes;
	bool *by_instance; /* by buffer: a table of contents that differ */
	int nodes;
} Family;

typedef struct {
	Program *program;
	Arena *arena;
	int cap;
	Family **table;
	VEC(Family *) all;
} Merge;

/* A function that is laid beside a family's copy: first to see whether it fits, then to
 * make the holes. */
typedef struct {
	Arena *arena;
	Family *family;
	const LFunc *fn;
	LVar **var; /* by its variables: those of the copy */
	bool apply;
} Beside;

/* ---- Structure ---- */

static uint32_t
hash_more(uint32_t h, uint32_t x)
{
	return (h ^ x) * 16777619u;
}

static uint32_t
hash_block(uint32_t h, const Stmt *s)
{
	for (; s; s = s->next) {
		h = hash_more(h, (uint32_t)s->kind + 1);
		if (s->kind == S_FOR)
			h = hash_more(h, (uint32_t)s->step);
		if (s->body)
			h = hash_block(hash_more(h, 100), s->body);
		if (s->other)
			h = hash_block(hash_more(h, 101), s->other);
	}
	return hash_more(h, 102);
}

/* Of what all functions of a family have in common. */
static uint32_t
hash_function(const LFunc *f)
{
	uint32_t h = hash_more(2166136261u, (uint32_t)f->bufs.n);

	for (int i = 0; i < f->bufs.n; i++) {
		h = hash_more(h, (uint32_t)f->bufs.v[i]->role);
		h = hash_more(h, (uint32_t)f->bufs.v[i]->elem);
	}
	return hash_block(h, f->body);
}

/* ---- The copy ---- */

static Expr *
copy_expr(Family *m, const LFunc *to, const Expr *e)
{
	Expr *c;

	if (!e)
		return NULL;
	c = arena_copy(to->arena, e, sizeof *e);
	m->nodes++;
	if (e->kind == E_VAR)
		c->u.var = to->vars.v[e->u.var->index];
	else if (e->kind == E_LOAD)
		c->u.buf = to->bufs.v[e->u.buf->index];
	for (int i = 0; i < e->nargs; i++)
		c->arg[i] = copy_expr(m, to, e->arg[i]);
	return c;
}

static Stmt *
copy_block(Family *m, const LFunc *to, const Stmt *s)
{
	Stmt *first = NULL, **tail = &first;

	for (; s; s = s->next) {
		Stmt *c = arena_copy(to->arena, s, sizeof *s);

		m->nodes++;
		c->next = NULL;
		if (s->var)
			c->var = to->vars.v[s->var->index];
		if (s->buf)
			c->buf = to->bufs.v[s->buf->index];
		c->lo = copy_expr(m, to, s->lo);
		c->hi = copy_expr(m, to, s->hi);
		c->cond = copy_expr(m, to, s->cond);
		c->value = copy_expr(m, to, s->value);
		c->index = copy_expr(m, to, s->index);
		c->body = copy_block(m, to, s->body);
		c->other = copy_block(m, to, s->other);
		*tail = c;
		tail = &c->next;
	}
	return first;
}

static Family *
new_family(Arena *a, Step *step, uint32_t hash)
{
	const LFunc *f = step->fn;
	Family *m = ARENA_NEW(a, Family);

	m->hash = hash;
	m->by_instance = ARENA_ARRAY(a, bool, f->bufs.n);
	m->fn = ARENA_NEW(a, LFunc);
	m->fn->arena = a;
	m->fn->name = f->name;
	m->fn->result = f->result;
	for (int i = 0; i < f->bufs.n; i++)
		VEC_PUSH(a, &m->fn->bufs, arena_copy(a, f->bufs.v[i], sizeof(LBuf)));
	for (int i = 0; i < f->vars.n; i++)
		VEC_PUSH(a, &m->fn->vars, arena_copy(a, f->vars.v[i], sizeof(LVar)));
	m->fn->body = copy_block(m, m->fn, f->body);
	VEC_PUSH(a, &m->steps, step);
	return m;
}

/* ---- Holes ---- */

static bool
is_number(const Expr *e)
{
	return e->kind == E_CONST && e->type != DT_BOOL && !dtype_is_float(e->type) &&
	       e->u.i >= INT32_MIN && e->u.i <= INT32_MAX;
}

/* The hole that stands for a number, narrow ones converted; NULL: it is none. */
static Hole *
hole_of(const Family *m, const Expr *e)
{
	if (e->kind == E_CVT)
		e = e->arg[0];
	for (int i = 0; e->kind == E_VAR && i < m->holes.n; i++)
		if (m->holes.v[i].var == e->u.var)
			return &m->holes.v[i];
	return NULL;
}

/* Makes a node of the copy a hole, which was `before` in all instances so far. */
static Hole *
make_hole(const Beside *s, Expr *e, DType type, int64_t before)
{
	Family *m = s->family;
	bool is_narrow = dtype_info[type].bytes < 4;
	LVar *var = ARENA_NEW(s->arena, LVar);
	Expr *value = is_narrow ? ARENA_NEW(s->arena, Expr) : e;
	Hole hole = {.var = var, .use = value};

	*var = (LVar){.type = is_narrow ? DT_I32 : type, .is_const = true};
	if (is_narrow)
		*e = (Expr){.kind = E_CVT, .type = type, .nargs = 1, .arg = {value}};
	*value = (Expr){.kind = E_VAR, .type = var->type, .u.var = var};
	for (int i = 0; i < m->steps.n; i++)
		VEC_PUSH(s->arena, &hole.value, before);
	VEC_PUSH(s->arena, &m->holes, hole);
	return &m->holes.v[m->holes.n - 1];
}

static void
add_value(const Beside *s, Hole *h, int64_t v)
{
	VEC_PUSH(s->arena, &h->value, v);
}

/* A number of the copy, or a hole, beside a number. */
static bool
beside_number(const Beside *s, Expr *e, const Expr *other)
{
	Hole *h = hole_of(s->family, e);

	if (!s->apply || (!h && e->u.i == other->u.i))
		return true;
	add_value(s, h ? h : make_hole(s, e, e->type, e->u.i), other->u.i);
	return true;
}

/* ---- Two functions side by side ---- */

static bool beside(const Beside *s, Expr *e, const Expr *other);

/* Whether it is x op a number, which is left out where it is neutral. */
static bool
is_step(const Family *m, const Expr *e, KOp op)
{
	return e->kind == E_KOP && e->op == op &&
	       (is_number(e->arg[1]) || (m && hole_of(m, e->arg[1])));
}

/* The number that makes no step. */
static Expr
neutral_of(KOp op, DType type)
{
	return (Expr){.kind = E_CONST, .type = type, .u.i = op == KOP_MUL};
}

/* The copy lacks a step that the other has. */
static bool
beside_more(const Beside *s, Expr *e, const Expr *other)
{
	const Expr none = neutral_of(other->op, other->type);
	Expr *inner;

	if (!s->apply)
		return beside(s, e, other->arg[0]);
	inner = arena_copy(s->arena, e, sizeof *e);
	*e = (Expr){.kind = E_KOP, .type = other->type, .op = other->op, .nargs = 2, .arg = {inner}};
	e->arg[1] = arena_copy(s->arena, &none, sizeof none);
	beside_number(s, e->arg[1], other->arg[1]);
	return beside(s, inner, other->arg[0]);
}

/* A step that one of them lacks; in *fits whether all else is the same.  False: there is
 * no such step. */
static bool
beside_step(const Beside *s, Expr *e, const Expr *other, bool *fits)
{
	static const KOp ops[] = {KOP_ADD, KOP_SUB, KOP_MUL};

	for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
		bool has = is_step(s->family, e, ops[i]), wants = is_step(NULL, other, ops[i]);
		const Expr none = neutral_of(ops[i], e->type);

		if (has == wants)
			continue;
		if (wants)
			*fits = beside_more(s, e, other);
		else
			*fits = beside(s, e->arg[0], other) &&
			        beside_number(s, e->arg[1], &none);
		return true;
	}
	return false;
}

/* What has to be equal, whatever the arguments are. */
static bool
is_same_node(const Beside *s, const Expr *e, const Expr *other)
{
	if (e->kind != other->kind || e->type != other->type || e->lanes != other->lanes ||
	    e->nargs != other->nargs)
		return false;
	switch (e->kind) {
	case E_CONST: return expr_equal(e, other);
	case E_VAR: return s->var[other->u.var->index] == e->u.var;
	case E_LOAD: return e->u.buf->index == other->u.buf->index;
	case E_KOP: return e->op == other->op;
	case E_CALL: return strcmp(e->u.callee->name, other->u.callee->name) == 0;
	case E_PACKED: return e->u.pop == other->u.pop;
	case E_SELECT:
	case E_CVT:
	case E_BITS:
	case E_DOT:
	case E_SPLAT: break;
	}
	return true;
}

static bool
is_division(const Expr *e)
{
	return e->kind == E_KOP && (e->op == KOP_DIV || e->op == KOP_REM);
}

static bool
beside(const Beside *s, Expr *e, const Expr *other)
{
	bool fits;

	if (!e || !other)
		return !e && !other;
	if (is_number(other) && e->type == other->type && (is_number(e) || hole_of(s->family, e)))
		return beside_number(s, e, other);
	if ((e->type == DT_IDX || e->type == DT_I32) && e->type == other->type && !e->lanes &&
	    !other->lanes && beside_step(s, e, other, &fits))
		return fits;
	if (!is_same_node(s, e, other))
		return false;
	if (is_division(e) && is_number(e->arg[1]))
		return expr_equal(e->arg[1], other->arg[1]) && beside(s, e->arg[0], other->arg[0]);
	for (int i = 0; i < e->nargs; i++)
		if (!beside(s, e->arg[i], other->arg[i]))
			return false;
	return true;
}

static bool
beside_variable(const Beside *s, LVar *v, const LVar *other)
{
	if (!v || !other)
		return !v && !other;
	if (v->type != other->type || v->lanes != other->lanes || v->is_const != other->is_const)
		return false;
	if (s->var[other->index] && s->var[other->index] != v)
		return false;
	s->var[other->index] = v;
	if (s->apply && other->lo < v->lo)
		v->lo = other->lo;
	if (s->apply && other->hi > v->hi)
		v->hi = other->hi;
	return true;
}

static bool
beside_block(const Beside *s, Stmt *st, const Stmt *other)
{
	for (; st && other; st = st->next, other = other->next) {
		if (st->kind != other->kind || (st->kind == S_FOR && st->step != other->step) ||
		    (st->buf && st->buf->index != other->buf->index) ||
		    !beside(s, st->lo, other->lo) || !beside(s, st->hi, other->hi) ||
		    (st->kind == S_VAR && !beside(s, st->value, other->value)) ||
		    !beside_variable(s, st->var, other->var) || !beside(s, st->cond, other->cond) ||
		    (st->kind != S_VAR && !beside(s, st->value, other->value)) ||
		    !beside(s, st->index, other->index) ||
		    !beside_block(s, st->body, other->body) ||
		    !beside_block(s, st->other, other->other))
			return false;
	}
	return !st && !other;
}

/* Buffers get the largest size of all instances. */
static void
beside_buffer(Family *m, LBuf *buf, const LBuf *other)
{
	size_t bytes = (size_t)buf->count * (size_t)dtype_info[buf->elem].bytes;

	if (buf->role == LBUF_TABLE &&
	    (buf->count != other->count || memcmp(buf->data, other->data, bytes) != 0))
		m->by_instance[buf->index] = true;
	if (other->count > buf->count)
		buf->count = other->count;
}

static bool
have_same_buffers(const LFunc *f, const LFunc *other)
{
	if (f->bufs.n != other->bufs.n || f->result != other->result)
		return false;
	for (int i = 0; i < f->bufs.n; i++)
		if (f->bufs.v[i]->elem != other->bufs.v[i]->elem ||
		    f->bufs.v[i]->role != other->bufs.v[i]->role)
			return false;
	return true;
}

/* Whether a function fits a family. */
static bool
fits(Arena *a, Family *m, const LFunc *fn)
{
	Beside s = {.arena = a, .family = m, .fn = fn,
	            .var = ARENA_ARRAY(a, LVar *, fn->vars.n)};

	return have_same_buffers(m->fn, fn) && beside_block(&s, m->fn->body, fn->body);
}

/* Takes a step into a family; false: it does not fit. */
static bool
join(Arena *a, Family *m, Step *step)
{
	Beside s = {.arena = a, .family = m, .fn = step->fn,
	            .var = ARENA_ARRAY(a, LVar *, step->fn->vars.n), .apply = true};

	if (!fits(a, m, step->fn))
		return false;
	beside_block(&s, m->fn->body, step->fn->body);
	for (int i = 0; i < m->fn->bufs.n; i++)
		beside_buffer(m, m->fn->bufs.v[i], step->fn->bufs.v[i]);
	VEC_PUSH(a, &m->steps, step);
	return true;
}

/* ---- Shapes ---- */

/* Whether x is factor * y + offset in all instances, with integers. */
static bool
is_linear(Hole *x, const Hole *y)
{
	int64_t step = 0, factor = 0;

	if (x->var->type != y->var->type)
		return false;
	for (int i = 1; i < x->value.n && !step; i++) {
		step = y->value.v[i] - y->value.v[0];
		factor = step ? (x->value.v[i] - x->value.v[0]) / step : 0;
	}
	x->factor = factor;
	x->offset = x->value.v[0] - factor * y->value.v[0];
	if (!factor || x->offset < INT32_MIN || x->offset > INT32_MAX)
		return false;
	for (int i = 0; i < x->value.n; i++) {
		int64_t product = factor * y->value.v[i];

		if (product < INT32_MIN || product > INT32_MAX ||
		    product + x->offset != x->value.v[i])
			return false;
	}
	return x->var->type == DT_IDX || (x->factor == 1 && x->offset == 0);
}

/* Whether it is another one, which stands for both. */
static bool
is_same(const Hole *h)
{
	return h->at < 0 && h->factor == 1 && h->offset == 0;
}

/* The hole before number `i` that it is linear in, if possible the same; -1: none. */
static int
find_linear(Family *m, int i)
{
	Hole *h = &m->holes.v[i], linear = *h;

	linear.of = -1;
	for (h->of = 0; h->of < i; h->of++) {
		if (is_same(&m->holes.v[h->of]) || !is_linear(h, &m->holes.v[h->of]))
			continue;
		if (h->factor == 1 && h->offset == 0)
			return h->of;
		if (linear.of < 0 && m->holes.v[h->of].at >= 0)
			linear = *h;
	}
	*h = linear;
	return linear.of;
}

/* Gives each hole its element of the shape, or finds it to be linear in one that has.
 * Small numbers come first, as large ones are multiples of them.  Returns how many
 * elements there are. */
static int
place_holes(Family *m)
{
	int n = 0;

	for (int i = 0; i < m->holes.n; i++)
		for (int k = i; k > 0; k--) {
			Hole *h = &m->holes.v[k], swapped = *h;

			if (h[-1].value.v[0] <= h->value.v[0])
				break;
			*h = h[-1];
			h[-1] = swapped;
		}
	for (int i = 0; i < m->holes.n; i++) {
		Hole *h = &m->holes.v[i];

		h->of = find_linear(m, i);
		h->at = h->of < 0 ? n++ : -1;
	}
	return n;
}

static DType
shape_type(const Family *m)
{
	for (int i = 0; i < m->holes.n; i++)
		for (int k = 0; k < m->steps.n; k++) {
			int64_t v = m->holes.v[i].value.v[k];

			if (m->holes.v[i].at >= 0 && (v < INT16_MIN || v > INT16_MAX))
				return DT_I32;
		}
	return DT_I16;
}

/* The values of an instance, in the order of the shape. */
static void *
shape_data(Arena *a, const Family *m, int instance, int n, DType type)
{
	void *data = arena_alloc(a, (size_t)n * (size_t)dtype_info[type].bytes);

	for (int i = 0; i < m->holes.n; i++)
		if (m->holes.v[i].at >= 0)
			num_store_int(type, data, (size_t)m->holes.v[i].at,
			              m->holes.v[i].value.v[instance]);
	return data;
}

/* Declares the variable of a hole. */
static void
declare(LBuilder *b, const Family *m, Hole *h, LBuf *shape)
{
	Expr *value;

	if (is_same(h)) {
		h->use->u.var = m->holes.v[h->of].var;
		return;
	}
	h->var->lo = h->var->hi = h->value.v[0];
	for (int i = 1; i < h->value.n; i++) {
		h->var->lo = h->value.v[i] < h->var->lo ? h->value.v[i] : h->var->lo;
		h->var->hi = h->value.v[i] > h->var->hi ? h->value.v[i] : h->var->hi;
	}
	if (h->at >= 0)
		value = loop_cvt(b, h->var->type, loop_load_compute(b, shape, loop_idx(b, h->at)));
	else
		value = loop_affine(b, loop_get(b, m->holes.v[h->of].var), h->factor, h->offset);
	loop_let_var(b, h->var, value);
}

/* The family's function, which starts with the numbers. */
static LFunc *
finish_function(Arena *a, const Family *m, int n, DType type)
{
	LFunc *f = m->fn;
	Stmt *body = f->body;
	LBuilder b;
	LBuf *shape;

	for (int i = 0; i < f->bufs.n; i++)
		if (m->by_instance[i]) {
			f->bufs.v[i]->role = LBUF_IN;
			f->bufs.v[i]->data = NULL;
		} else if (f->bufs.v[i]->role == LBUF_IN) {
			f->bufs.v[i]->data = NULL;
		}
	for (int i = 0; i < m->holes.n; i++) {
		m->holes.v[i].var->index = f->vars.n;
		m->holes.v[i].var->name = arena_printf(a, "shape%d", i);
		VEC_PUSH(a, &f->vars, m->holes.v[i].var);
	}
	loop_begin_version(&b, a, f);
	f = b.fn;
	if (n) {
		shape = loop_buf(&b, "shape", type, n, LBUF_IN, NULL);
		for (int i = 0; i < m->holes.n; i++)
			declare(&b, m, &m->holes.v[i], shape);
	}
	*b.open[0].tail = body;
	return f;
}

/* ---- Programs ---- */

/* Whether a function for all is smaller than one for each; n numbers a call. */
static bool
is_smaller(const Family *m, int n, DType type)
{
	int64_t saved = (int64_t)(m->steps.n - 1) * m->nodes * NODE_BYTES;
	int64_t numbers = (int64_t)m->steps.n * (n * dtype_info[type].bytes + CALL_BYTES);

	return saved > numbers + (int64_t)m->holes.n * NUMBER_BYTES;
}

static Buffer *
constant(Program *p, const Step *step, const char *name, DType elem, int32_t count,
         const void *data)
{
	Buffer *b = ARENA_NEW(p->arena, Buffer);

	b->index = p->buffers.n;
	b->name = arena_printf(p->arena, "%s/%s", step->name, name);
	b->type = type_make(elem, 1, (int32_t[]){count});
	b->kind = BUFFER_CONST;
	b->base = b;
	b->data = data;
	b->first = -1;
	b->last = p->steps.n;
	VEC_PUSH(p->arena, &p->buffers, b);
	return b;
}

static void
use_family(Program *p, Family *m)
{
	int n = place_holes(m);
	DType type = shape_type(m);
	LFunc *f;

	if (m->steps.n < 2 || !is_smaller(m, n, type))
		return;
	f = finish_function(p->arena, m, n, type);
	for (int i = 0; i < m->steps.n; i++) {
		Step *step = m->steps.v[i];
		Arg *arg = ARENA_ARRAY(p->arena, Arg, f->bufs.n);

		for (int k = 0; k < step->fn->bufs.n; k++) {
			const LBuf *buf = step->fn->bufs.v[k];

			arg[k] = step->arg[k];
			if (m->by_instance[k])
				arg[k].buffer = constant(p, step, buf->name, buf->elem, buf->count,
				                         buf->data);
		}
		if (n)
			arg[f->bufs.n - 1].buffer = constant(p, step, "shape", type, n,
			                                     shape_data(p->arena, m, i, n, type));
		step->arg = arg;
		step->fn = f;
		step->before = i ? m->steps.v[i - 1] : NULL;
	}
}

static void
add_step(Merge *c, Step *step)
{
	uint32_t hash = hash_function(step->fn);
	Family **first = &c->table[hash & (uint32_t)(c->cap - 1)], *m = *first;
	int tries = 0;

	for (; m && tries < MOST_TRIES; m = m->next)
		if (m->hash == hash && ++tries && join(c->arena, m, step))
			return;
	m = new_family(c->arena, step, hash);
	m->next = *first;
	*first = m;
	VEC_PUSH(c->arena, &c->all, m);
}

/* ---- Holding what others hold ---- */

/* The functions of all steps of a family with their outputs held, if they fit one that
 * does so already; else NULL. */
static LFunc **
held_functions(Arena *a, const Family *m, Family *held)
{
	LFunc **fn = ARENA_ARRAY(a, LFunc *, m->steps.n);

	if (m->steps.v[0]->order != ORDER_FORWARD || held->steps.v[0]->order != ORDER_HELD)
		return NULL;
	for (int i = 0; i < m->steps.n; i++) {
		fn[i] = lfunc_hold(a, m->steps.v[i]->fn);
		if (!fn[i] || hash_function(fn[i]) != held->hash || !fits(a, held, fn[i]))
			return NULL;
	}
	return fn;
}

/* Gives a step the version of its function that holds the outputs, in a further buffer. */
static void
hold_step(Arena *a, Step *step, LFunc *held)
{
	Arg *arg = ARENA_ARRAY(a, Arg, held->bufs.n);

	for (int i = 0; i < step->fn->bufs.n; i++)
		arg[i] = step->arg[i];
	step->arg = arg;
	step->fn = held;
	step->order = ORDER_HELD;
}

/* Has the steps of family `m` hold their outputs, if another family does; false: none
 * does that they fit. */
static bool
hold_family(Merge *c, Family *m)
{
	for (int k = 0; k < c->all.n; k++) {
		LFunc **fn = held_functions(c->arena, m, c->all.v[k]);

		for (int i = 0; fn && i < m->steps.n; i++)
			hold_step(c->arena, m->steps.v[i], fn[i]);
		if (fn)
			return true;
	}
	return false;
}

static bool
hold_families(Merge *c)
{
	bool any = false;

	for (int i = 0; i < c->all.n; i++)
		any |= hold_family(c, c->all.v[i]);
	return any;
}

/* Sorts the steps into families, each in the order of the steps. */
static void
find_families(Merge *c, Program *p)
{
	*c = (Merge){.program = p, .arena = p->arena, .cap = 64};
	while (c->cap < p->steps.n)
		c->cap *= 2;
	c->table = ARENA_ARRAY(c->arena, Family *, c->cap);
	for (int i = 0; i < p->steps.n; i++)
		add_step(c, p->steps.v[i]);
}

void
program_merge_functions(Program *p)
{
	Merge c;

	find_families(&c, p);
	if (hold_families(&c))
		find_families(&c, p);
	for (int i = 0; i < c.all.n; i++)
		use_family(p, c.all.v[i]);
}
