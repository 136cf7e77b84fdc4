/*
 * Vectors lane by lane: the same function without vectors, which is what vectors mean.
 *
 * A vector variable becomes one variable a lane.  A store first computes all lanes, since
 * what it loads may lie where it stores.
 */
#include <assert.h>

#include "ir/loop/loop.h"

typedef struct {
	LBuilder b;
	LVar *(*var)[MAX_VECTOR_LANES]; /* by LVar.index: of assigned vector variables, */
	Expr *(*let)[MAX_VECTOR_LANES]; /* and the values of constant ones */
} Lanes;

static bool
block_has_lanes(const Stmt *s)
{
	for (; s; s = s->next)
		if ((s->value && s->value->lanes) || block_has_lanes(s->body) ||
		    block_has_lanes(s->other))
			return true;
	return false;
}

bool
lfunc_has_lanes(const LFunc *f)
{
	return block_has_lanes(f->body);
}

static Expr *lane_of(Lanes *x, const Expr *e, int lane);

static Expr *
loaded(Lanes *x, const Expr *e, int lane)
{
	LBuilder *b = &x->b;
	int each = load_elements_of_lane(e);
	Expr *at = loop_add(b, e->arg[0], loop_idx(b, lane * each));

	return each > 1 ? loop_load_wide(b, e->u.buf, at) : loop_load(b, e->u.buf, at);
}

static Expr *
computed(Lanes *x, const Expr *e, int lane)
{
	LBuilder *b = &x->b;
	Expr *arg[MAX_CALL_ARGS] = {NULL};

	for (int i = 0; i < e->nargs; i++)
		arg[i] = lane_of(x, e->arg[i], lane);
	switch (e->kind) {
	case E_KOP:
		return e->nargs == 1 ? loop_op1(b, e->op, arg[0]) : loop_op2(b, e->op, arg[0], arg[1]);
	case E_SELECT: return loop_select(b, arg[0], arg[1], arg[2]);
	case E_CVT: return loop_cvt(b, e->type, arg[0]);
	case E_PACKED: return loop_packed(b, e->u.pop, arg[0], arg[1], arg[2]);
	case E_SPLAT: return arg[0];
	case E_CONST:
	case E_VAR:
	case E_LOAD:
	case E_BITS:
	case E_CALL:
	case E_DOT: break;
	}
	assert(0 && "not an operation on vectors");
	return NULL;
}

/* A lane of a vector, and a scalar as it is. */
static Expr *
lane_of(Lanes *x, const Expr *e, int lane)
{
	if (e->lanes == 0)
		return arena_copy(x->b.arena, e, sizeof *e);
	if (e->kind == E_LOAD)
		return loaded(x, e, lane);
	if (e->kind != E_VAR)
		return computed(x, e, lane);
	if (e->u.var->is_const)
		return x->let[e->u.var->index][lane];
	return loop_get(&x->b, x->var[e->u.var->index][lane]);
}

static void
copy_vector(Lanes *x, const Stmt *s)
{
	LBuilder *b = &x->b;
	Expr *value[MAX_VECTOR_LANES];

	assert(s->kind == S_VAR || s->kind == S_SET || s->kind == S_STORE);
	for (int i = 0; i < s->value->lanes; i++) {
		Expr *v = lane_of(x, s->value, i);

		if (s->kind == S_STORE)
			value[i] = loop_let(b, "lane", loop_cvt(b, dtype_compute(s->buf->elem), v));
		else if (s->kind == S_SET)
			loop_set(b, x->var[s->var->index][i], v);
		else if (s->var->is_const)
			x->let[s->var->index][i] = loop_let(b, s->var->name, v);
		else
			x->var[s->var->index][i] = loop_var(b, s->var->name, v);
	}
	for (int i = 0; s->kind == S_STORE && i < s->value->lanes; i++)
		loop_store_cvt(b, s->buf, loop_add(b, s->index, loop_idx(b, i)), value[i]);
}

static void
copy_block(Lanes *x, const Stmt *s)
{
	LBuilder *b = &x->b;

	for (; s; s = s->next) {
		Stmt *copy;

		if (s->value && s->value->lanes) {
			copy_vector(x, s);
			continue;
		}
		copy = loop_copy(b, s);
		if (s->kind != S_FOR && s->kind != S_IF)
			continue;
		loop_open_copy(b, copy, false);
		copy_block(x, s->body);
		loop_end(b);
		loop_open_copy(b, copy, true);
		copy_block(x, s->other);
		loop_end(b);
	}
}

const LFunc *
lfunc_without_lanes(Arena *a, const LFunc *f)
{
	Lanes x;

	if (!lfunc_has_lanes(f))
		return f;
	loop_begin_version(&x.b, a, f);
	x.b.fn->params.v = f->params.v;
	x.b.fn->params.n = f->params.n;
	x.b.fn->result = f->result;
	x.var = arena_calloc(a, (size_t)f->vars.n, sizeof *x.var);
	x.let = arena_calloc(a, (size_t)f->vars.n, sizeof *x.let);
	copy_block(&x, f->body);
	return loop_finish(&x.b);
}
