/*
 * The builder of the loop IR.
 *
 * Simplification while building is limited to what is exact and local: constant
 * operands of idx, integer and bool operations fold, neutral elements of idx
 * arithmetic vanish.  Float operations are never touched.
 */
#include <assert.h>
#include <limits.h>
#include <string.h>

#include "base/hash.h"
#include "ir/loop/loop.h"
#include "ir/loop/math.h"
#include "ir/num.h"

const KOpInfo kop_info[KOP_COUNT] = {
#define SAME false
#define BOOL true
#define KOP(id, name, arity, infix, operands, result) \
	[KOP_##id] = {name, arity, infix, KSET_##operands, result},
#include "ir/loop/kops.def"
#undef SAME
#undef BOOL
};

bool
kop_has_vectors(KOp op, DType t)
{
	bool is_division = op == KOP_DIV || op == KOP_REM;

	if (t != DT_I32 && t != DT_F32)
		return false;
	return (kop_info[op].operands >> t & 1) && !(is_division && t == DT_I32);
}

/* ---- Functions, buffers, variables ---- */

void
loop_begin_scalar(LBuilder *b, Arena *a, const char *name, DType result)
{
	*b = (LBuilder){.arena = a, .fn = ARENA_NEW(a, LFunc)};
	b->fn->arena = a;
	b->fn->name = arena_strdup(a, name);
	b->fn->result = result;
	b->open[0].tail = &b->fn->body;
}

void
loop_begin(LBuilder *b, Arena *a, const char *name)
{
	loop_begin_scalar(b, a, name, DT_COUNT);
}

LFunc *
loop_finish(LBuilder *b)
{
	assert(b->depth == 0);
	return b->fn;
}

/* A name in use, and the first number that might make it a new one. */
struct LName {
	const char *name;
	int next;
};

/* Where the name is in the table, or belongs. */
static struct LName *
name_slot(struct LName *table, int cap, const char *name)
{
	int i = (int)(hash_text(name) & (uint64_t)(cap - 1));

	while (table[i].name && strcmp(table[i].name, name) != 0)
		i = (i + 1) & (cap - 1);
	return &table[i];
}

static void
grow_names(LBuilder *b)
{
	int cap = b->names_cap ? 2 * b->names_cap : 64;
	struct LName *table = ARENA_ARRAY(b->arena, struct LName, cap);

	for (int i = 0; i < b->names_cap; i++)
		if (b->names[i].name)
			*name_slot(table, cap, b->names[i].name) = b->names[i];
	b->names = table;
	b->names_cap = cap;
}

/* The name, with a number where it is taken. */
static const char *
unique_name(LBuilder *b, const char *name)
{
	struct LName *taken, *slot;
	const char *unique = name;

	if (2 * (b->nnames + 1) > b->names_cap)
		grow_names(b);
	taken = slot = name_slot(b->names, b->names_cap, name);
	while (slot->name) {
		unique = arena_printf(b->arena, "%s_%d", name, taken->next++);
		slot = name_slot(b->names, b->names_cap, unique);
	}
	*slot = (struct LName){arena_strdup(b->arena, unique), 2};
	b->nnames++;
	return slot->name;
}

LBuf *
loop_buf(LBuilder *b, const char *name, DType elem, int32_t count, LBufRole role, const void *data)
{
	LBuf *buf = ARENA_NEW(b->arena, LBuf);

	assert(elem != DT_IDX && count >= 0);
	buf->name = unique_name(b, name);
	buf->elem = elem;
	buf->count = count;
	buf->role = role;
	buf->data = data;
	buf->index = b->fn->bufs.n;
	VEC_PUSH(b->arena, &b->fn->bufs, buf);
	return buf;
}

static LVar *
new_var(LBuilder *b, const char *name, DType type, bool is_const, int64_t lo, int64_t hi)
{
	LVar *v = ARENA_NEW(b->arena, LVar);

	v->name = unique_name(b, name);
	v->type = type;
	v->is_const = is_const;
	v->lo = lo;
	v->hi = hi;
	v->index = b->fn->vars.n;
	VEC_PUSH(b->arena, &b->fn->vars, v);
	return v;
}

Expr *
loop_param(LBuilder *b, const char *name, DType type)
{
	LVar *v = new_var(b, name, type, true, INT32_MIN, INT32_MAX);

	VEC_PUSH(b->arena, &b->fn->params, v);
	return loop_get(b, v);
}

void
loop_begin_version(LBuilder *b, Arena *a, const LFunc *f)
{
	loop_begin(b, a, f->name);
	for (int i = 0; i < f->bufs.n; i++) {
		unique_name(b, f->bufs.v[i]->name);
		VEC_PUSH(a, &b->fn->bufs, f->bufs.v[i]);
	}
	for (int i = 0; i < f->vars.n; i++) {
		unique_name(b, f->vars.v[i]->name);
		VEC_PUSH(a, &b->fn->vars, f->vars.v[i]);
	}
}

/* ---- Expressions ---- */

static Expr *
new_expr(LBuilder *b, ExprKind kind, DType type)
{
	Expr *e = ARENA_NEW(b->arena, Expr);

	e->kind = kind;
	e->type = type;
	return e;
}

Expr *
loop_int(LBuilder *b, DType t, int64_t v)
{
	Expr *e;

	if (dtype_is_float(t))
		return loop_const(b, t, (double)v);
	e = new_expr(b, E_CONST, t);
	e->u.i = num_wrap(t, v);
	return e;
}

Expr *
loop_idx(LBuilder *b, int64_t v)
{
	assert(v >= INT32_MIN && v <= INT32_MAX);
	return loop_int(b, DT_IDX, v);
}

Expr *
loop_float(LBuilder *b, DType t, double v)
{
	Expr *e = new_expr(b, E_CONST, t);

	assert(t == DT_F32 || t == DT_F64);
	e->u.f = t == DT_F32 ? (double)(float)v : v;
	return e;
}

Expr *
loop_const(LBuilder *b, DType t, double v)
{
	if (t == DT_F32 || t == DT_F64)
		return loop_float(b, t, v);
	if (t == DT_F16 || t == DT_BF16) {
		Expr *e = new_expr(b, E_CONST, t);
		uint16_t bits = 0;

		num_store(t, &bits, 0, v);
		e->u.i = bits;
		return e;
	}
	/* Saturate as cvt does. */
	if (v != v)
		return loop_int(b, t, 0);
	if (t == DT_U64)
		return loop_int(b, t, v <= 0             ? 0
		                      : v >= 0x1p64 ? -1
		                                    : (int64_t)(uint64_t)v);
	if (v >= 0x1p63)
		return loop_int(b, t, INT64_MAX);
	return loop_int(b, t, v <= -0x1p63 ? INT64_MIN : (int64_t)v);
}

Expr *
loop_bool(LBuilder *b, bool v)
{
	return loop_int(b, DT_BOOL, v);
}

static bool
is_int_const(const Expr *e)
{
	return e->kind == E_CONST && !dtype_is_float(e->type);
}

static bool
is_idx(const Expr *e, int64_t v)
{
	return e->kind == E_CONST && e->type == DT_IDX && e->u.i == v;
}

static Expr *
fold_compare(LBuilder *b, KOp op, const Expr *x, const Expr *y)
{
	bool is_u64 = x->type == DT_U64;
	int64_t p = x->u.i, q = y->u.i;
	bool less = is_u64 ? (uint64_t)p < (uint64_t)q : p < q;

	switch ((int)op) {
	case KOP_EQ: return loop_bool(b, p == q);
	case KOP_NE: return loop_bool(b, p != q);
	case KOP_LT: return loop_bool(b, less);
	case KOP_LE: return loop_bool(b, less || p == q);
	case KOP_GT: return loop_bool(b, !less && p != q);
	case KOP_GE: return loop_bool(b, !less);
	default: return NULL;
	}
}

/* The value of an operation on integer constants, or NULL to leave it. */
static Expr *
fold_ints(LBuilder *b, KOp op, const Expr *x, const Expr *y)
{
	uint64_t p = (uint64_t)x->u.i, q = (uint64_t)y->u.i;
	int64_t sp = x->u.i, sq = y->u.i, r;

	if (kop_info[op].to_bool)
		return fold_compare(b, op, x, y);
	switch ((int)op) {
	case KOP_ADD: r = (int64_t)(p + q); break;
	case KOP_SUB: r = (int64_t)(p - q); break;
	case KOP_MUL: r = (int64_t)(p * q); break;
	case KOP_AND: r = (int64_t)(p & q); break;
	case KOP_OR: r = (int64_t)(p | q); break;
	case KOP_XOR: r = (int64_t)(p ^ q); break;
	case KOP_MIN: r = x->type == DT_U64 ? (int64_t)(q < p ? q : p) : sq < sp ? sq : sp; break;
	case KOP_MAX: r = x->type == DT_U64 ? (int64_t)(p < q ? q : p) : sp < sq ? sq : sp; break;
	case KOP_DIV:
	case KOP_REM:
		if (x->type != DT_IDX || sq <= 0)
			return NULL;
		r = op == KOP_DIV ? sp / sq : sp % sq;
		break;
	default: return NULL;
	}
	if (x->type == DT_IDX && (r < INT32_MIN || r > INT32_MAX))
		return NULL;
	return loop_int(b, x->type, r);
}

static Expr *
neutral(LBuilder *b, KOp op, Expr *x, Expr *y)
{
	if (x->type == DT_IDX) {
		if (is_idx(y, 0) && (op == KOP_ADD || op == KOP_SUB))
			return x;
		if (is_idx(x, 0) && op == KOP_ADD)
			return y;
		if (is_idx(y, 1) && (op == KOP_MUL || op == KOP_DIV))
			return x;
		if (is_idx(x, 1) && op == KOP_MUL)
			return y;
		if ((is_idx(x, 0) || is_idx(y, 0)) && op == KOP_MUL)
			return loop_idx(b, 0);
		if (is_idx(x, 0) && (op == KOP_DIV || op == KOP_REM))
			return x;
		if (is_idx(y, 1) && op == KOP_REM)
			return loop_idx(b, 0);
	}
	if (x->type == DT_BOOL && (op == KOP_AND || op == KOP_OR)) {
		if (is_int_const(x))
			return (x->u.i != 0) == (op == KOP_AND) ? y : x;
		if (is_int_const(y))
			return (y->u.i != 0) == (op == KOP_AND) ? x : y;
	}
	return NULL;
}

Expr *
loop_op2(LBuilder *b, KOp op, Expr *x, Expr *y)
{
	const KOpInfo *info = &kop_info[op];
	Expr *e = NULL;

	assert(info->arity == 2);
	assert(x->type == y->type);
	assert(info->operands >> x->type & 1);
	if (is_int_const(x) && is_int_const(y))
		e = fold_ints(b, op, x, y);
	if (!e)
		e = neutral(b, op, x, y);
	if (e)
		return e;
	assert(x->lanes == y->lanes);
	e = new_expr(b, E_KOP, info->to_bool ? DT_BOOL : x->type);
	e->op = op;
	e->lanes = x->lanes;
	e->nargs = 2;
	e->arg[0] = x;
	e->arg[1] = y;
	return e;
}

Expr *
loop_op1(LBuilder *b, KOp op, Expr *x)
{
	Expr *e;

	assert(kop_info[op].arity == 1);
	assert(kop_info[op].operands >> x->type & 1);
	if (is_int_const(x) && op == KOP_NEG && x->u.i != INT64_MIN &&
	    !(x->type == DT_IDX && x->u.i == INT32_MIN))
		return loop_int(b, x->type, -x->u.i);
	if (is_int_const(x) && op == KOP_NOT)
		return loop_int(b, x->type, x->type == DT_BOOL ? !x->u.i : ~x->u.i);
	e = new_expr(b, E_KOP, x->type);
	e->op = op;
	e->lanes = x->lanes;
	e->nargs = 1;
	e->arg[0] = x;
	return e;
}

Expr *
loop_add(LBuilder *b, Expr *x, Expr *y)
{
	return loop_op2(b, KOP_ADD, x, y);
}

Expr *
loop_sub(LBuilder *b, Expr *x, Expr *y)
{
	return loop_op2(b, KOP_SUB, x, y);
}

Expr *
loop_mul(LBuilder *b, Expr *x, Expr *y)
{
	return loop_op2(b, KOP_MUL, x, y);
}

Expr *
loop_affine(LBuilder *b, Expr *x, int64_t factor, int64_t offset)
{
	Expr *scaled = loop_mul(b, x, loop_idx(b, factor));

	if (offset < 0)
		return loop_sub(b, scaled, loop_idx(b, -offset));
	return loop_add(b, scaled, loop_idx(b, offset));
}

Expr *
loop_select(LBuilder *b, Expr *cond, Expr *x, Expr *y)
{
	Expr *e;

	assert(cond->type == DT_BOOL && x->type == y->type && x->lanes == y->lanes);
	if (is_int_const(cond))
		return cond->u.i ? x : y;
	assert(cond->lanes == 0 || cond->lanes == x->lanes);
	e = new_expr(b, E_SELECT, x->type);
	e->lanes = x->lanes;
	e->nargs = 3;
	e->arg[0] = cond;
	e->arg[1] = x;
	e->arg[2] = y;
	return e;
}

Expr *
loop_cvt(LBuilder *b, DType to, Expr *x)
{
	Expr *e;

	if (x->type == to)
		return x;
	/* Back from the compute type of an unchanged narrow value; of vectors there are none. */
	if (x->kind == E_CVT && !x->lanes && x->arg[0]->type == to && x->type == dtype_compute(to))
		return x->arg[0];
	if (is_int_const(x) && dtype_info[to].class != CLASS_FLOAT &&
	    (to != DT_IDX || (x->u.i >= INT32_MIN && x->u.i <= INT32_MAX)))
		return loop_int(b, to, x->u.i);
	e = new_expr(b, E_CVT, to);
	e->lanes = x->lanes;
	e->nargs = 1;
	e->arg[0] = x;
	return e;
}

Expr *
loop_bits(LBuilder *b, DType to, Expr *x)
{
	Expr *e;

	assert(dtype_info[x->type].bytes == dtype_info[to].bytes && dtype_info[to].bytes >= 4);
	assert(x->type != DT_IDX && to != DT_IDX);
	if (x->type == to)
		return x;
	e = new_expr(b, E_BITS, to);
	e->nargs = 1;
	e->arg[0] = x;
	return e;
}

Expr *
loop_clamp_idx(LBuilder *b, Expr *x, int64_t lo, int64_t hi)
{
	Expr *e = loop_op2(b, KOP_MAX, x, loop_int(b, x->type, lo));

	return loop_cvt(b, DT_IDX, loop_op2(b, KOP_MIN, e, loop_int(b, x->type, hi)));
}

Expr *
loop_load(LBuilder *b, LBuf *buf, Expr *index)
{
	Expr *e = new_expr(b, E_LOAD, buf->elem);

	assert(index->type == DT_IDX);
	e->u.buf = buf;
	e->nargs = 1;
	e->arg[0] = index;
	return e;
}

Expr *
loop_load_wide(LBuilder *b, LBuf *buf, Expr *index)
{
	Expr *e = loop_load(b, buf, index);

	assert(dtype_has_wide_load(buf->elem));
	e->type = DT_I32;
	return e;
}

Expr *
loop_load_lanes(LBuilder *b, LBuf *buf, Expr *index, int lanes)
{
	Expr *e = loop_load(b, buf, index);

	if (lanes == 1)
		return e;
	assert(lanes == 0 || (lanes >= 2 && lanes <= MAX_VECTOR_LANES && (lanes & (lanes - 1)) == 0));
	e->lanes = lanes;
	return e;
}

Expr *
loop_load_wide_lanes(LBuilder *b, LBuf *buf, Expr *index, int lanes)
{
	Expr *e = loop_load_lanes(b, buf, index, lanes);

	assert(dtype_has_wide_load(buf->elem));
	e->type = DT_I32;
	return e;
}

Expr *
loop_splat(LBuilder *b, Expr *x, int lanes)
{
	Expr *e;

	assert(x->lanes == 0 && (x->type == DT_I32 || x->type == DT_F32));
	if (lanes <= 1)
		return x;
	assert(lanes >= 2 && lanes <= MAX_VECTOR_LANES && (lanes & (lanes - 1)) == 0);
	e = new_expr(b, E_SPLAT, x->type);
	e->lanes = lanes;
	e->nargs = 1;
	e->arg[0] = x;
	return e;
}

Expr *
loop_packed(LBuilder *b, POp op, Expr *x, Expr *y, Expr *z)
{
	const POpInfo *info = &pop_info[op];
	Expr *e = new_expr(b, E_PACKED, info->result), *const arg[MAX_POP_ARGS] = {x, y, z};

	e->u.pop = op;
	e->nargs = info->nargs;
	e->lanes = x->lanes;
	for (int i = 0; i < MAX_POP_ARGS; i++) {
		assert((arg[i] != NULL) == (i < info->nargs));
		assert(!arg[i] || (arg[i]->type == info->arg[i] && arg[i]->lanes == x->lanes));
		e->arg[i] = arg[i];
	}
	return e;
}

Expr *
loop_dot(LBuilder *b, Expr *sum, LBuf *x, Expr *x_at, LBuf *w, Expr *w_at)
{
	Expr *e = new_expr(b, E_DOT, DT_I32);

	assert(sum->type == DT_I32 && (x->elem == DT_I8 || x->elem == DT_I32) && w->elem == DT_I8);
	e->nargs = 3;
	e->arg[0] = sum;
	e->arg[1] = loop_load(b, x, x_at);
	e->arg[2] = loop_load(b, w, w_at);
	return e;
}

Expr *
loop_load_compute(LBuilder *b, LBuf *buf, Expr *index)
{
	return loop_cvt(b, dtype_compute(buf->elem), loop_load(b, buf, index));
}

Expr *
loop_call(LBuilder *b, const char *name, int nargs, Expr *const *args)
{
	LFunc *callee = math_find(name, args[0]->type);
	Expr *e;

	assert(callee && callee->params.n == nargs && nargs <= MAX_CALL_ARGS);
	e = new_expr(b, E_CALL, callee->result);
	e->u.callee = callee;
	e->nargs = nargs;
	for (int i = 0; i < nargs; i++) {
		assert(args[i]->type == callee->params.v[i]->type);
		e->arg[i] = args[i];
	}
	return e;
}

Expr *
loop_call1(LBuilder *b, const char *name, Expr *x)
{
	return loop_call(b, name, 1, &x);
}

Expr *
loop_call2(LBuilder *b, const char *name, Expr *x, Expr *y)
{
	return loop_call(b, name, 2, (Expr *[]){x, y});
}

Expr *
loop_get(LBuilder *b, LVar *v)
{
	Expr *e = new_expr(b, E_VAR, v->type);

	e->lanes = v->lanes;
	e->u.var = v;
	return e;
}

/* ---- Statements ---- */

static Stmt *
add_stmt(LBuilder *b, StmtKind kind)
{
	Stmt *s = ARENA_NEW(b->arena, Stmt);

	s->kind = kind;
	*b->open[b->depth].tail = s;
	b->open[b->depth].tail = &s->next;
	return s;
}

static void
open_block(LBuilder *b, Stmt *s)
{
	b->depth++;
	assert(b->depth < (int)(sizeof b->open / sizeof b->open[0]));
	b->open[b->depth].stmt = s;
	b->open[b->depth].tail = &s->body;
}

static Expr *
open_for(LBuilder *b, const char *name, Expr *lo, Expr *hi, int32_t step, Expr *cond)
{
	Stmt *s = add_stmt(b, S_FOR);

	assert(step > 0 && lo->type == DT_IDX && hi->type == DT_IDX);
	s->var = new_var(b, name, DT_IDX, true, INT32_MIN, INT32_MAX);
	s->lo = lo;
	s->hi = hi;
	s->step = step;
	s->cond = cond;
	open_block(b, s);
	return loop_get(b, s->var);
}

Expr *
loop_for_step(LBuilder *b, const char *name, int64_t lo, int64_t hi, int32_t step)
{
	return open_for(b, name, loop_idx(b, lo), loop_idx(b, hi), step, NULL);
}

Expr *
loop_for(LBuilder *b, const char *name, int64_t lo, int64_t hi)
{
	return loop_for_step(b, name, lo, hi, 1);
}

Expr *
loop_for_expr(LBuilder *b, const char *name, Expr *lo, Expr *hi)
{
	return open_for(b, name, lo, hi, 1, NULL);
}

Expr *
loop_for_while(LBuilder *b, const char *name, int64_t lo, int64_t hi, Expr *cond)
{
	assert(cond->type == DT_BOOL);
	return open_for(b, name, loop_idx(b, lo), loop_idx(b, hi), 1, cond);
}

void
loop_if(LBuilder *b, Expr *cond)
{
	Stmt *s = add_stmt(b, S_IF);

	assert(cond->type == DT_BOOL);
	s->cond = cond;
	open_block(b, s);
}

void
loop_else(LBuilder *b)
{
	Stmt *s = b->open[b->depth].stmt;

	assert(b->depth > 0 && s->kind == S_IF && !s->other);
	b->open[b->depth].tail = &s->other;
}

void
loop_end(LBuilder *b)
{
	assert(b->depth > 0);
	b->depth--;
}

Expr *
loop_let(LBuilder *b, const char *name, Expr *value)
{
	Stmt *s;

	if (value->kind == E_CONST)
		return value;
	s = add_stmt(b, S_VAR);
	s->var = new_var(b, name, value->type, true, INT32_MIN, INT32_MAX);
	s->var->lanes = value->lanes;
	s->value = value;
	return loop_get(b, s->var);
}

void
loop_let_var(LBuilder *b, LVar *v, Expr *value)
{
	Stmt *s = add_stmt(b, S_VAR);

	assert(v->is_const && v->type == value->type && v->lanes == value->lanes);
	s->var = v;
	s->value = value;
}

LVar *
loop_var_idx(LBuilder *b, const char *name, Expr *init, int64_t lo, int64_t hi)
{
	Stmt *s = add_stmt(b, S_VAR);

	s->var = new_var(b, name, init->type, false, lo, hi);
	s->var->lanes = init->lanes;
	s->value = init;
	return s->var;
}

LVar *
loop_var(LBuilder *b, const char *name, Expr *init)
{
	assert(init->type != DT_IDX);
	return loop_var_idx(b, name, init, INT32_MIN, INT32_MAX);
}

void
loop_set(LBuilder *b, LVar *v, Expr *value)
{
	Stmt *s = add_stmt(b, S_SET);

	assert(!v->is_const && v->type == value->type && v->lanes == value->lanes);
	s->var = v;
	s->value = value;
}

void
loop_store(LBuilder *b, LBuf *buf, Expr *index, Expr *value)
{
	Stmt *s = add_stmt(b, S_STORE);

	assert(!lbuf_is_read_only(buf));
	assert(index->type == DT_IDX && value->type == buf->elem);
	s->buf = buf;
	s->index = index;
	s->value = value;
}

Stmt *
loop_copy(LBuilder *b, const Stmt *s)
{
	Stmt *copy = add_stmt(b, s->kind);

	*copy = *s;
	copy->next = copy->body = copy->other = NULL;
	return copy;
}

void
loop_open_copy(LBuilder *b, Stmt *s, bool other)
{
	open_block(b, s);
	if (other)
		b->open[b->depth].tail = &s->other;
}

void
loop_store_cvt(LBuilder *b, LBuf *buf, Expr *index, Expr *value)
{
	loop_store(b, buf, index, loop_cvt(b, buf->elem, value));
}

void
loop_return(LBuilder *b, Expr *value)
{
	Stmt *s = add_stmt(b, S_RETURN);

	assert(value->type == b->fn->result);
	s->value = value;
}

void
loop_comment(LBuilder *b, const char *format, ...)
{
	va_list args;
	Stmt *s = add_stmt(b, S_COMMENT);

	va_start(args, format);
	s->text = arena_vprintf(b->arena, format, args);
	va_end(args);
}

static bool
expr_uses(const Expr *e, const LBuf *buf)
{
	if (!e)
		return false;
	if (e->kind == E_LOAD && e->u.buf == buf)
		return true;
	for (int i = 0; i < e->nargs; i++)
		if (expr_uses(e->arg[i], buf))
			return true;
	return false;
}

static bool
block_uses(const Stmt *s, const LBuf *buf)
{
	for (; s; s = s->next)
		if ((s->kind == S_STORE && s->buf == buf) || expr_uses(s->lo, buf) ||
		    expr_uses(s->hi, buf) || expr_uses(s->cond, buf) || expr_uses(s->value, buf) ||
		    expr_uses(s->index, buf) || block_uses(s->body, buf) ||
		    block_uses(s->other, buf))
			return true;
	return false;
}

bool
lfunc_uses(const LFunc *f, const LBuf *buf)
{
	return block_uses(f->body, buf);
}

bool
expr_equal(const Expr *a, const Expr *b)
{
	if (a == b)
		return true;
	if (a->kind != b->kind || a->type != b->type || a->lanes != b->lanes ||
	    a->nargs != b->nargs)
		return false;
	switch (a->kind) {
	case E_CONST:
		if (dtype_is_float(a->type) && a->type != DT_F16 && a->type != DT_BF16) {
			if (memcmp(&a->u.f, &b->u.f, sizeof a->u.f) != 0)
				return false;
		} else if (a->u.i != b->u.i) {
			return false;
		}
		break;
	case E_VAR:
		if (a->u.var != b->u.var)
			return false;
		break;
	case E_LOAD:
		if (a->u.buf != b->u.buf)
			return false;
		break;
	case E_CALL:
		if (a->u.callee != b->u.callee)
			return false;
		break;
	case E_KOP:
		if (a->op != b->op)
			return false;
		break;
	case E_PACKED:
		if (a->u.pop != b->u.pop)
			return false;
		break;
	case E_SELECT:
	case E_CVT:
	case E_BITS:
	case E_DOT:
	case E_SPLAT: break;
	}
	for (int i = 0; i < a->nargs; i++)
		if (!expr_equal(a->arg[i], b->arg[i]))
			return false;
	return true;
}
