/*
 * The verifier of the loop IR.
 *
 * First what each statement and expression says by itself: types, names and
 * scopes, assignments, roles of buffers, calls, returns.  When that holds,
 * lfunc_check_ranges() proves bounds (prove.c).
 *
 * A buffer that is not an input may be read only where a store to it comes
 * before in the text or stands in a loop around the read; whether that very
 * element was written is not proven.
 */
#include <assert.h>
#include <string.h>

#include "ir/loop/range.h"

/* Deeper trees would exhaust the stack of whoever walks them. */
enum { MAX_EXPR_DEPTH = 5000, MAX_BLOCK_DEPTH = 1000 };

typedef enum { VAR_UNKNOWN, VAR_VISIBLE, VAR_GONE } VarState;

typedef struct {
	const LFunc *f;
	Arena *arena;
	const Stmt *at;       /* NULL: the function as a whole */
	const char *error;
	VarState *var;        /* of each variable */
	int *first_store;     /* of each buffer: the number of the statement */
	int number;           /* of the statement at hand, in the order of the text */
	int loop_end;         /* number behind the outermost loop around it; 0: none */
	VEC(LVar *) visible;  /* innermost last */
	VEC(const LFunc *) callees; /* known not to come back to f */
} Verifier;

__attribute__((format(printf, 2, 3))) static bool
fail(Verifier *v, const char *format, ...)
{
	va_list args;

	if (v->error)
		return false;
	va_start(args, format);
	v->error = arena_vprintf(v->arena, format, args);
	va_end(args);
	return false;
}

static const char *
type_name(DType t)
{
	return t < DT_COUNT ? dtype_info[t].name : "no type";
}

/* A scalar of that type, or a vector. */
static bool
has_lane_type(Verifier *v, const Expr *e, DType want, const char *what)
{
	if (e && e->type == want)
		return true;
	return fail(v, "%s is %s and has to be %s", what, e ? type_name(e->type) : "missing",
	            type_name(want));
}

static bool
has_type(Verifier *v, const Expr *e, DType want, const char *what)
{
	if (e && e->lanes)
		return fail(v, "%s is a vector", what);
	return has_lane_type(v, e, want, what);
}

static bool
is_narrow(DType t)
{
	return !(KSET_ANY >> t & 1);
}

/* ---- Vectors ---- */

static bool
is_lane_type(DType t)
{
	return t == DT_I32 || t == DT_F32;
}

static bool
is_small_int(DType t)
{
	return t == DT_I8 || t == DT_U8 || t == DT_I16 || t == DT_U16;
}

/* A narrow vector is what a conversion takes from memory, or gives to it. */
static bool
is_memory_lane(const Expr *e)
{
	return is_small_int(e->type) &&
	       (e->kind == E_LOAD || (e->kind == E_CVT && e->arg[0]->type == DT_I32));
}

/* Arguments that are vectors have as many lanes as the value, which is one then. */
static bool
check_lanes(Verifier *v, const Expr *e)
{
	if (e->lanes < 0 || e->lanes == 1 || e->lanes > MAX_VECTOR_LANES || (e->lanes & (e->lanes - 1)))
		return fail(v, "an expression with %d lanes", e->lanes);
	for (int i = 0; i < e->nargs; i++) {
		bool scalar = e->kind == E_SPLAT || e->kind == E_LOAD ||
		              (e->kind == E_SELECT && i == 0 && e->arg[0]->lanes == 0);

		if (e->arg[i]->lanes != (scalar ? 0 : e->lanes))
			return fail(v, "an argument with %d lanes for a value with %d",
			            expr_lanes(e->arg[i]), expr_lanes(e));
	}
	if (e->kind == E_SPLAT && !e->lanes)
		return fail(v, "'splat' gives a vector");
	if (e->lanes && (e->kind == E_CONST || e->kind == E_BITS || e->kind == E_CALL ||
	                 e->kind == E_DOT))
		return fail(v, "there is no such vector");
	return true;
}

static bool
check_vector_conversion(Verifier *v, const Expr *e)
{
	DType from = e->arg[0]->type;

	return (from == DT_I32 && (e->type == DT_F32 || is_small_int(e->type))) ||
	       (e->type == DT_I32 && e->arg[0]->kind == E_LOAD && is_small_int(from)) ||
	       fail(v, "vectors of %s are not converted to %s", type_name(from),
	            type_name(e->type));
}

/* A comparison is the condition of a choice between vectors of the type it compares. */
static bool
check_vector_choice(Verifier *v, const Expr *e)
{
	const Expr *c = e->arg[0];

	return !c->lanes || (c->kind == E_KOP && c->arg[0]->type == e->type) ||
	       fail(v, "a choice of %s by a comparison of another type", type_name(e->type));
}

/* What a vector may be, and of what. */
static bool
check_vector(Verifier *v, const Expr *e)
{
	bool compares = e->kind == E_KOP && kop_info[e->op].to_bool;

	if (!compares && !is_lane_type(e->type) && !is_memory_lane(e))
		return fail(v, "a vector of %s", type_name(e->type));
	if (e->kind == E_KOP && !kop_has_vectors(e->op, e->arg[0]->type))
		return fail(v, "'%s' of vectors of %s", kop_info[e->op].name,
		            type_name(e->arg[0]->type));
	for (int i = 0; i < e->nargs; i++)
		if (e->arg[i]->lanes && !is_lane_type(e->arg[i]->type) &&
		    !(e->kind == E_CVT && e->arg[i]->kind == E_LOAD) &&
		    !(e->kind == E_SELECT && i == 0))
			return fail(v, "a vector of %s is an operand", type_name(e->arg[i]->type));
	if (e->kind == E_SELECT)
		return check_vector_choice(v, e);
	return e->kind != E_CVT || check_vector_conversion(v, e);
}

/* ---- Expressions ---- */

static bool check_expr(Verifier *v, const Expr *e, int depth);

static bool
check_const(Verifier *v, const Expr *e)
{
	int64_t i = e->u.i;
	Range r = e->type == DT_F16 || e->type == DT_BF16 ? range_of_type(DT_U16)
	                                                  : range_of_type(e->type);

	if (e->type == DT_F32)
		return (double)(float)e->u.f == e->u.f || e->u.f != e->u.f ||
		       fail(v, "a constant is no f32");
	if (e->type != DT_F64 && (i < r.lo || i > r.hi))
		return fail(v, "a constant is out of range of %s", type_name(e->type));
	return true;
}

static bool
check_var(Verifier *v, const LVar *var, DType type, int lanes)
{
	if (!var || var->index < 0 || var->index >= v->f->vars.n ||
	    v->f->vars.v[var->index] != var)
		return fail(v, "a variable is not one of the function");
	if (v->var[var->index] == VAR_UNKNOWN)
		return fail(v, "'%s' is used before its declaration", var->name);
	if (v->var[var->index] == VAR_GONE)
		return fail(v, "'%s' is used outside of its block", var->name);
	return (var->type == type && var->lanes == lanes) ||
	       fail(v, "'%s' is used with a wrong type", var->name);
}

static bool
check_buf(Verifier *v, const LBuf *b, DType elem)
{
	if (!b || b->index < 0 || b->index >= v->f->bufs.n || v->f->bufs.v[b->index] != b)
		return fail(v, "a buffer is not one of the function");
	return b->elem == elem || fail(v, "'%s' is used with a wrong type", b->name);
}

static bool
check_load(Verifier *v, const Expr *e)
{
	const LBuf *b = e->u.buf;
	int limit = v->loop_end ? v->loop_end : v->number;

	bool is_wide = b && dtype_has_wide_load(b->elem) && e->type == DT_I32;

	if (!check_buf(v, b, is_wide ? b->elem : e->type) ||
	    !has_type(v, e->arg[0], DT_IDX, "an index"))
		return false;
	if (!lbuf_is_read_only(b) && v->first_store[b->index] >= limit)
		return fail(v, "'%s' is read before anything is stored there", b->name);
	return true;
}

static bool
check_kop(Verifier *v, const Expr *e)
{
	const KOpInfo *info = &kop_info[e->op];
	DType t = e->arg[0]->type;
	bool is_idx_division = t == DT_IDX && (e->op == KOP_DIV || e->op == KOP_REM);

	if (e->nargs != info->arity)
		return fail(v, "'%s' with %d operands", info->name, e->nargs);
	if (e->nargs == 2 && e->arg[1]->type != t)
		return fail(v, "'%s' of %s and %s", info->name, type_name(t),
		            type_name(e->arg[1]->type));
	if (!(info->operands >> t & 1))
		return fail(v, "'%s' of %s", info->name, type_name(t));
	if (e->type != (info->to_bool ? DT_BOOL : t))
		return fail(v, "'%s' of %s gives %s", info->name, type_name(t), type_name(e->type));
	if (is_idx_division && (e->arg[1]->kind != E_CONST || e->arg[1]->u.i <= 0))
		return fail(v, "'%s' of idx needs a constant positive divisor", info->name);
	return true;
}

static bool
check_bits(Verifier *v, const Expr *e)
{
	DType from = e->arg[0]->type;

	if (from == DT_IDX || e->type == DT_IDX || is_narrow(from) || is_narrow(e->type) ||
	    dtype_info[from].bytes != dtype_info[e->type].bytes || dtype_info[from].bytes < 4)
		return fail(v, "the bits of %s are not those of %s", type_name(from),
		            type_name(e->type));
	return true;
}

/* Looks for `f` in what `e` or the statements call. */
static bool calls_back(Verifier *v, const LFunc *callee);

static bool
expr_calls_back(Verifier *v, const Expr *e)
{
	if (!e)
		return false;
	if (e->kind == E_CALL && calls_back(v, e->u.callee))
		return true;
	for (int i = 0; i < e->nargs; i++)
		if (expr_calls_back(v, e->arg[i]))
			return true;
	return false;
}

static bool
block_calls_back(Verifier *v, const Stmt *s)
{
	for (; s; s = s->next)
		if (expr_calls_back(v, s->lo) || expr_calls_back(v, s->hi) ||
		    expr_calls_back(v, s->cond) || expr_calls_back(v, s->value) ||
		    expr_calls_back(v, s->index) || block_calls_back(v, s->body) ||
		    block_calls_back(v, s->other))
			return true;
	return false;
}

/* Each callee is looked at once, so functions that call each other end this too. */
static bool
calls_back(Verifier *v, const LFunc *callee)
{
	if (callee == v->f)
		return true;
	for (int i = 0; i < v->callees.n; i++)
		if (v->callees.v[i] == callee)
			return false;
	VEC_PUSH(v->arena, &v->callees, callee);
	return block_calls_back(v, callee->body);
}

static bool
check_call(Verifier *v, const Expr *e)
{
	const LFunc *f = e->u.callee;

	if (!f || !lfunc_is_scalar(f))
		return fail(v, "a call of what is no scalar function");
	if (f->params.n != e->nargs)
		return fail(v, "'%s' is called with %d arguments", f->name, e->nargs);
	for (int i = 0; i < e->nargs; i++)
		if (!has_type(v, e->arg[i], f->params.v[i]->type, "an argument"))
			return false;
	if (f->result != e->type)
		return fail(v, "'%s' gives %s", f->name, type_name(f->result));
	return !calls_back(v, f) || fail(v, "'%s' calls this function: recursion", f->name);
}

static bool
check_packed(Verifier *v, const Expr *e)
{
	const POpInfo *info = &pop_info[e->u.pop];

	if (e->nargs != info->nargs)
		return fail(v, "'%s' with %d operands", info->name, e->nargs);
	for (int i = 0; i < e->nargs; i++)
		if (!has_lane_type(v, e->arg[i], info->arg[i], "an operand"))
			return false;
	return e->type == info->result || fail(v, "'%s' gives %s", info->name,
	                                       type_name(e->type));
}

static bool
check_dot(Verifier *v, const Expr *e)
{
	for (int i = 1; i <= 2; i++)
		if (e->arg[i]->kind != E_LOAD || load_elements_of_lane(e->arg[i]) > 1 ||
		    (e->arg[i]->type != DT_I8 && (i == 2 || e->arg[i]->type != DT_I32)))
			return fail(v, "a factor of 'dot' is no load of i8");
	return has_type(v, e->arg[0], DT_I32, "the sum of 'dot'") &&
	       has_type(v, e, DT_I32, "'dot'");
}

/* Narrow values are only loaded, chosen, converted and stored. */
static bool
check_args(Verifier *v, const Expr *e, int nargs, int depth)
{
	if (e->nargs != nargs || nargs > MAX_CALL_ARGS)
		return fail(v, "an expression with %d arguments", e->nargs);
	for (int i = 0; i < nargs; i++)
		if (!check_expr(v, e->arg[i], depth))
			return false;
	return true;
}

static bool
check_kind(Verifier *v, const Expr *e, int depth)
{
	switch (e->kind) {
	case E_CONST: return check_args(v, e, 0, depth) && check_const(v, e);
	case E_VAR: return check_args(v, e, 0, depth) && check_var(v, e->u.var, e->type, e->lanes);
	case E_LOAD: return check_args(v, e, 1, depth) && check_load(v, e);
	case E_KOP:
		return check_args(v, e, e->nargs == 1 ? 1 : 2, depth) && check_kop(v, e);
	case E_SELECT:
		return check_args(v, e, 3, depth) &&
		       has_lane_type(v, e->arg[0], DT_BOOL, "a condition") &&
		       has_lane_type(v, e->arg[1], e->type, "a choice") &&
		       has_lane_type(v, e->arg[2], e->type, "a choice");
	case E_CVT: return check_args(v, e, 1, depth);
	case E_BITS: return check_args(v, e, 1, depth) && check_bits(v, e);
	case E_CALL: return check_args(v, e, e->nargs, depth) && check_call(v, e);
	case E_PACKED: return check_args(v, e, e->nargs, depth) && check_packed(v, e);
	case E_DOT: return check_args(v, e, 3, depth) && check_dot(v, e);
	case E_SPLAT:
		return check_args(v, e, 1, depth) && has_type(v, e->arg[0], e->type, "a lane");
	}
	return fail(v, "an expression of unknown kind");
}

static bool
check_expr(Verifier *v, const Expr *e, int depth)
{
	if (!e)
		return fail(v, "an expression is missing");
	if (depth == MAX_EXPR_DEPTH)
		return fail(v, "an expression is nested too deeply");
	if (e->type >= DT_COUNT)
		return fail(v, "an expression has no type");
	return check_kind(v, e, depth + 1) && check_lanes(v, e) && (!e->lanes || check_vector(v, e));
}

static bool
check_typed(Verifier *v, const Expr *e, DType want, const char *what)
{
	return check_expr(v, e, 0) && has_type(v, e, want, what);
}

/* ---- Statements ---- */

static bool check_block(Verifier *v, const Stmt *s, int depth, bool *returns);

static bool
declare(Verifier *v, LVar *var, const char *what)
{
	if (!var || var->index < 0 || var->index >= v->f->vars.n ||
	    v->f->vars.v[var->index] != var)
		return fail(v, "a variable is not one of the function");
	if (v->var[var->index] != VAR_UNKNOWN)
		return fail(v, "'%s' is declared twice", var->name);
	if (is_narrow(var->type))
		return fail(v, "%s '%s' cannot be %s", what, var->name, type_name(var->type));
	if (var->lanes && !is_lane_type(var->type))
		return fail(v, "'%s' is a vector of %s", var->name, type_name(var->type));
	if (var->type == DT_IDX &&
	    (var->lo > var->hi || var->lo < INT32_MIN || var->hi > INT32_MAX))
		return fail(v, "'%s' has an impossible range", var->name);
	v->var[var->index] = VAR_VISIBLE;
	VEC_PUSH(v->arena, &v->visible, var);
	return true;
}

static void
close_scope(Verifier *v, int n)
{
	while (v->visible.n > n)
		v->var[v->visible.v[--v->visible.n]->index] = VAR_GONE;
}

static int
count_stmts(const Stmt *s)
{
	int n = 0;

	for (; s; s = s->next)
		n += 1 + count_stmts(s->body) + count_stmts(s->other);
	return n;
}

static bool
check_for(Verifier *v, const Stmt *s, int depth)
{
	int visible = v->visible.n;
	bool outermost = v->loop_end == 0, returns;

	if (!check_typed(v, s->lo, DT_IDX, "the lower bound") ||
	    !check_typed(v, s->hi, DT_IDX, "the upper bound"))
		return false;
	if (s->step < 1)
		return fail(v, "the step is not positive");
	if (outermost)
		v->loop_end = v->number + 1 + count_stmts(s->body);
	if (s->cond && !check_typed(v, s->cond, DT_BOOL, "the condition"))
		return false;
	if (!declare(v, s->var, "the loop variable"))
		return false;
	if (s->var->type != DT_IDX || !s->var->is_const)
		return fail(v, "the loop variable '%s' is no constant idx", s->var->name);
	if (!check_block(v, s->body, depth, &returns))
		return false;
	close_scope(v, visible);
	if (outermost)
		v->loop_end = 0;
	return true;
}

static bool
check_if(Verifier *v, const Stmt *s, int depth, bool *returns)
{
	bool other_returns;

	if (!check_typed(v, s->cond, DT_BOOL, "the condition") ||
	    !check_block(v, s->body, depth, returns) ||
	    !check_block(v, s->other, depth, &other_returns))
		return false;
	*returns &= other_returns;
	return true;
}

/* As many lanes as the variable. */
static bool
has_var_type(Verifier *v, const Expr *e, const LVar *var)
{
	if (e->lanes != var->lanes)
		return fail(v, "a value with %d lanes for '%s' with %d", expr_lanes(e), var->name,
		            var->lanes ? var->lanes : 1);
	return has_lane_type(v, e, var->type, "the value");
}

static bool
check_declaration(Verifier *v, const Stmt *s)
{
	return check_expr(v, s->value, 0) && declare(v, s->var, "the variable") &&
	       has_var_type(v, s->value, s->var);
}

static bool
check_set(Verifier *v, const Stmt *s)
{
	if (!s->var || !check_var(v, s->var, s->var->type, s->var->lanes))
		return fail(v, "an assignment to no variable");
	if (s->var->is_const)
		return fail(v, "'%s' cannot be assigned", s->var->name);
	return check_expr(v, s->value, 0) && has_var_type(v, s->value, s->var);
}

/* A copy of bytes to memory of the function's own, which the source does not overlap. */
static bool
may_copy(const Expr *load, const LBuf *to)
{
	return load->type == DT_I8 && load->lanes == DOT_ELEMENTS && load->u.buf != to &&
	       (to->role == LBUF_SCRATCH || to->role == LBUF_LOCAL);
}

static bool
check_store(Verifier *v, const Stmt *s)
{
	if (!s->buf || !check_buf(v, s->buf, s->buf->elem))
		return fail(v, "a store to no buffer");
	if (lbuf_is_read_only(s->buf))
		return fail(v, "'%s' is read only and cannot be stored to", s->buf->name);
	return check_typed(v, s->index, DT_IDX, "the index") &&
	       check_expr(v, s->value, 0) && has_lane_type(v, s->value, s->buf->elem, "the value") &&
	       (!s->value->lanes || s->value->kind != E_LOAD || is_lane_type(s->value->type) ||
	        may_copy(s->value, s->buf) ||
	        fail(v, "a vector of %s is copied", type_name(s->value->type)));
}

static bool
check_stmt(Verifier *v, const Stmt *s, int depth, bool *returns)
{
	*returns = false;
	switch (s->kind) {
	case S_FOR: return check_for(v, s, depth);
	case S_IF: return check_if(v, s, depth, returns);
	case S_VAR: return check_declaration(v, s);
	case S_SET: return check_set(v, s);
	case S_STORE: return check_store(v, s);
	case S_RETURN:
		*returns = true;
		if (!lfunc_is_scalar(v->f))
			return fail(v, "a kernel returns nothing");
		return check_typed(v, s->value, v->f->result, "the result");
	case S_COMMENT: return s->text || fail(v, "a comment without text");
	}
	return fail(v, "a statement of unknown kind");
}

/* *returns tells whether nothing comes behind the block. */
static bool
check_block(Verifier *v, const Stmt *s, int depth, bool *returns)
{
	int visible = v->visible.n;

	*returns = false;
	if (depth == MAX_BLOCK_DEPTH)
		return fail(v, "blocks are nested too deeply");
	for (; s; s = s->next) {
		bool ends = *returns;

		v->at = s;
		if (ends && s->kind != S_COMMENT)
			return fail(v, "this is never reached");
		v->number++;
		if (!check_stmt(v, s, depth + 1, returns))
			return false;
		*returns |= ends;
	}
	close_scope(v, visible);
	return true;
}

/* ---- Functions ---- */

static size_t
hash(const char *name)
{
	size_t h = 5381;

	for (; *name; name++)
		h = h * 33 + (unsigned char)*name;
	return h;
}

/* Adds to a hash table of 2^k names; false when it is there already. */
static bool
add_name(const char **table, size_t cap, const char *name)
{
	size_t i = hash(name) & (cap - 1);

	for (; table[i]; i = (i + 1) & (cap - 1))
		if (strcmp(table[i], name) == 0)
			return false;
	table[i] = name;
	return true;
}

static bool
check_names(Verifier *v)
{
	const LFunc *f = v->f;
	size_t cap = 16;
	const char **table;

	while (cap < 2 * ((size_t)f->vars.n + (size_t)f->bufs.n))
		cap *= 2;
	table = ARENA_ARRAY(v->arena, const char *, cap);
	for (int i = 0; i < f->vars.n; i++)
		if (!add_name(table, cap, f->vars.v[i]->name))
			return fail(v, "the name '%s' is used twice", f->vars.v[i]->name);
	for (int i = 0; i < f->bufs.n; i++)
		if (!add_name(table, cap, f->bufs.v[i]->name))
			return fail(v, "the name '%s' is used twice", f->bufs.v[i]->name);
	return true;
}

static bool
check_bufs(Verifier *v)
{
	const LFunc *f = v->f;

	for (int i = 0; i < f->bufs.n; i++) {
		const LBuf *b = f->bufs.v[i];

		if (b->index != i || b->elem >= DT_COUNT || b->elem == DT_IDX || b->count < 0)
			return fail(v, "the buffer '%s' is malformed", b->name);
		if (b->count > INT32_MAX / dtype_info[b->elem].bytes)
			return fail(v, "the buffer '%s' is too large", b->name);
		if (lfunc_is_scalar(f) && b->role != LBUF_TABLE)
			return fail(v, "a scalar function with the buffer '%s'", b->name);
		if (b->role == LBUF_TABLE && !b->data)
			return fail(v, "the table '%s' has no contents", b->name);
	}
	return true;
}

static bool
check_outputs(Verifier *v)
{
	for (int i = 0; i < v->f->bufs.n; i++) {
		const LBuf *b = v->f->bufs.v[i];

		if (b->role == LBUF_OUT && b->count && v->first_store[i] == INT32_MAX)
			return fail(v, "nothing is stored to the output '%s'", b->name);
	}
	return true;
}

static bool
check_params(Verifier *v)
{
	const LFunc *f = v->f;

	if (!lfunc_is_scalar(f) && f->params.n)
		return fail(v, "a kernel with scalar parameters");
	if (f->params.n > MAX_CALL_ARGS)
		return fail(v, "too many parameters");
	if (lfunc_is_scalar(f) && (f->result > DT_COUNT || is_narrow(f->result)))
		return fail(v, "the result cannot be %s", type_name(f->result));
	for (int i = 0; i < f->params.n; i++)
		if (!declare(v, f->params.v[i], "the parameter"))
			return false;
	return true;
}

/* Numbers the statements from 1 as check_block() does. */
static int
find_first_stores(Verifier *v, const Stmt *s, int number)
{
	for (; s; s = s->next) {
		number++;
		if (s->kind == S_STORE && s->buf && s->buf->index >= 0 &&
		    s->buf->index < v->f->bufs.n && number < v->first_store[s->buf->index])
			v->first_store[s->buf->index] = number;
		number = find_first_stores(v, s->body, number);
		number = find_first_stores(v, s->other, number);
	}
	return number;
}

static bool
check_function(Verifier *v)
{
	const LFunc *f = v->f;
	bool returns;

	for (int i = 0; i < f->bufs.n; i++)
		v->first_store[i] = INT32_MAX;
	find_first_stores(v, f->body, 0);
	if (!check_names(v) || !check_bufs(v) || !check_params(v) ||
	    !check_block(v, f->body, 0, &returns))
		return false;
	v->at = NULL;
	if (lfunc_is_scalar(f) && !returns)
		return fail(v, "no return on some path");
	if (!check_outputs(v))
		return false;
	v->error = lfunc_check_ranges(f, v->arena, &v->at);
	return !v->error;
}

static const char *
message(const Verifier *v)
{
	const LFunc *f = v->f;
	Str s;

	str_init(&s, f->arena);
	str_printf(&s, "%s '%s': ", lfunc_is_scalar(f) ? "function" : "kernel", f->name);
	if (v->at) {
		str_putc(&s, '`');
		stmt_print_head(&s, v->at);
		str_puts(&s, "`: ");
	}
	str_puts(&s, v->error);
	return s.s;
}

const char *
lfunc_verify(const LFunc *f)
{
	Verifier v = {.f = f, .arena = f->arena};

	v.var = ARENA_ARRAY(v.arena, VarState, f->vars.n);
	v.first_store = ARENA_ARRAY(v.arena, int, f->bufs.n);
	return check_function(&v) ? NULL : message(&v);
}
