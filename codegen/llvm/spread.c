/*
 * Sums of neighbouring outputs side by side.
 *
 *	for %v in 0..n {				for %v: acc[%v] = init
 *		lets						for %k … {
 *		var %acc = init			=>		lets
 *		for %k … { … %acc = %acc + … }			for %v: acc[%v] = acc[%v] + …
 *		store of %acc				}
 *	}					for %v: store of acc[%v]
 *
 * Each output is still summed in its own order, so no bit changes, but the innermost
 * loop now runs over independent sums, which LLVM can compute as vectors.  Conditions
 * that only say which part of 0..n takes part become the bounds of that loop.
 *
 * The sums take memory on the stack, so this is for code that runs on large machines.
 *
 * A loop further out takes the place of %v when it goes through constant weights and all
 * else is the same for its iterations, as that over the output channels of a convolution
 * does: then no condition depends on it.
 *
 *	for %oc {				for %oy, %ox {
 *		for %oy, %ox {				for %oc {
 *			a loop as above		=>		the same
 */
#include <string.h>

#include "codegen/llvm/module.h"

enum { LEAST_SUMS = 4, MOST_SUMS = 1024, MOST_STRIDE = 2 };

typedef struct {
	LlvmFunction *f;
	const Stmt *loop;   /* the one over %v */
	const Stmt *prefix; /* its first statement */
	const Stmt *acc;    /* the declaration of %acc */
	const Stmt *sum;    /* the loops that add */
	const Expr **def;   /* by LVar.index: of a let that depends on %v, or NULL */
	const LBuf *stored; /* where the outputs go */
	bool guarded;       /* in a part that not every %v takes */
	bool loads_beside;  /* there are loads whose place depends on %v, but not across */
	VEC(const Expr *) across; /* loads of weights that lie across: see is_across() */
	VEC(const Stmt *) pending; /* lets that depend on %v, built where it has a value */
	LLVMValueRef array; /* the sums */
	LLVMTypeRef array_type;
} Spread;

/* ---- What depends on %v ---- */

static bool
depends(const Spread *s, const Expr *e)
{
	if (e->kind == E_VAR && (e->u.var == s->loop->var || e->u.var == s->acc->var ||
	                         s->def[e->u.var->index]))
		return true;
	for (int i = 0; i < e->nargs; i++)
		if (depends(s, e->arg[i]))
			return true;
	return false;
}

/* The factor of %v in e, when e is that times %v plus what does not depend on it. */
static bool
factor_of(const Spread *s, const Expr *e, int64_t *factor)
{
	int64_t x, y;

	*factor = 0;
	if (!depends(s, e))
		return true;
	if (e->kind == E_VAR && e->u.var == s->loop->var) {
		*factor = 1;
		return true;
	}
	if (e->kind == E_VAR && s->def[e->u.var->index])
		return factor_of(s, s->def[e->u.var->index], factor);
	if (e->kind != E_KOP || e->type != DT_IDX || e->nargs != 2 ||
	    !factor_of(s, e->arg[0], &x) || !factor_of(s, e->arg[1], &y))
		return false;
	if (e->op == KOP_ADD || e->op == KOP_SUB) {
		*factor = e->op == KOP_ADD ? x + y : x - y;
		return true;
	}
	if (e->op != KOP_MUL || (e->arg[0]->kind != E_CONST && e->arg[1]->kind != E_CONST))
		return false;
	*factor = e->arg[0]->kind == E_CONST ? e->arg[0]->u.i * y : x * e->arg[1]->u.i;
	return *factor >= INT32_MIN && *factor <= INT32_MAX;
}

/*
 * Whether a load takes element %v * factor + rest of constants that are as many rows as
 * there are outputs, each of `factor` elements.  Every output takes it, so 0 <= rest <
 * factor, and with rows and columns exchanged neighbours lie side by side.
 */
static bool
is_across(const Spread *s, const Expr *e, int64_t factor)
{
	const LBuf *buf = e->u.buf;

	return buf->role == LBUF_IN && buf->data && !s->guarded && factor > MOST_STRIDE &&
	       factor * s->loop->hi->u.i == buf->count;
}

/* Whether the loads of an expression go through memory in small steps. */
static bool
loads_are_near(Spread *s, const Expr *e)
{
	bool guarded = s->guarded, near = true;
	int64_t factor;

	if (e->kind == E_PACKED || e->kind == E_DOT || e->lanes)
		return false;
	if (e->kind == E_LOAD) {
		if (load_elements(e) > 1 || !factor_of(s, e->arg[0], &factor) || factor < 0)
			return false;
		if (is_across(s, e, factor))
			VEC_PUSH(s->f->m->arena, &s->across, e);
		else if (factor > MOST_STRIDE)
			return false;
		else if (factor)
			s->loads_beside = true;
	}
	for (int i = 0; i < e->nargs && near; i++) {
		/* Of a select only one argument is computed. */
		s->guarded = guarded || (e->kind == E_SELECT && i > 0);
		near = loads_are_near(s, e->arg[i]);
	}
	s->guarded = guarded;
	return near;
}

static bool
loads_from(const Expr *e, const LBuf *buf)
{
	if (e->kind == E_LOAD && e->u.buf == buf)
		return true;
	for (int i = 0; i < e->nargs; i++)
		if (loads_from(e->arg[i], buf))
			return true;
	return false;
}

/* ---- Whether a loop is such a one ---- */

/* Remembers the definition of a let that depends on %v. */
static void
note_let(Spread *s, const Stmt *st)
{
	if (depends(s, st->value))
		s->def[st->var->index] = st->value;
}

static bool only_adds(Spread *s, const Stmt *st, const LBuf *stored);

static bool
guarded_only_adds(Spread *s, const Stmt *st, const LBuf *stored)
{
	bool guarded = s->guarded, ok;

	s->guarded = guarded || depends(s, st->cond);
	ok = !st->other && only_adds(s, st->body, stored);
	s->guarded = guarded;
	return ok;
}

/* Whether the statements only add to %acc, and read nothing that `stored` is. */
static bool
only_adds(Spread *s, const Stmt *st, const LBuf *stored)
{
	for (; st; st = st->next) {
		const Expr *e = st->kind == S_IF ? st->cond : st->value;

		if (st->kind == S_COMMENT)
			continue;
		if (st->kind == S_FOR) {
			if (st->cond || depends(s, st->lo) || depends(s, st->hi) ||
			    loads_from(st->lo, stored) || loads_from(st->hi, stored) ||
			    !only_adds(s, st->body, stored))
				return false;
			continue;
		}
		if ((st->kind == S_VAR && !st->var->is_const) ||
		    (st->kind == S_SET && st->var != s->acc->var) ||
		    (st->kind == S_IF && !guarded_only_adds(s, st, stored)) ||
		    st->kind == S_STORE || st->kind == S_RETURN)
			return false;
		if (loads_from(e, stored) || !loads_are_near(s, e))
			return false;
		if (st->kind == S_VAR)
			note_let(s, st);
	}
	return true;
}

/* Finds the parts of the loop's body; what is behind the sum are lets and one store. */
static bool
find_parts(Spread *s)
{
	const Stmt *st = s->prefix, *store = NULL;

	for (; st && (st->kind == S_COMMENT || (st->kind == S_VAR && st->var->is_const));
	     st = st->next)
		continue;
	if (!st || st->kind != S_VAR || st->var->type == DT_BOOL || st->var->lanes)
		return false;
	s->acc = st;
	s->sum = st->next;
	if (!s->sum || s->sum->kind != S_FOR)
		return false;
	for (st = s->sum->next; st; st = st->next) {
		if (st->kind == S_STORE && !store)
			store = st;
		else if (st->kind != S_COMMENT && (st->kind != S_VAR || !st->var->is_const))
			return false;
	}
	if (!store)
		return false;
	s->stored = store->buf;
	for (st = s->prefix; st != s->acc; st = st->next) {
		if (st->kind == S_VAR && loads_from(st->value, store->buf))
			return false;
		if (st->kind == S_VAR)
			note_let(s, st);
	}
	if (loads_from(s->acc->value, store->buf) || s->sum->cond || depends(s, s->sum->lo) ||
	    depends(s, s->sum->hi) || loads_from(s->sum->lo, store->buf) ||
	    loads_from(s->sum->hi, store->buf))
		return false;
	return only_adds(s, s->sum->body, store->buf);
}

static bool
fits(Spread *s)
{
	const Stmt *loop = s->loop;
	int64_t n = loop->hi->kind == E_CONST ? loop->hi->u.i : 0;

	return !loop->cond && loop->step == 1 && loop->lo->kind == E_CONST && loop->lo->u.i == 0 &&
	       n >= LEAST_SUMS && n <= MOST_SUMS && find_parts(s);
}

/* ---- Building ---- */

static LLVMBuilderRef
builder(const Spread *s)
{
	return s->f->m->builder;
}

/* The lets before %acc that are the same for all %v. */
static void
build_invariants(const Spread *s)
{
	for (const Stmt *st = s->prefix; st != s->acc; st = st->next)
		if (st->kind == S_VAR && !s->def[st->var->index])
			s->f->known[st->var->index] = llvm_build_expr(s->f, st->value);
}

/* Names the values of the other lets before %acc, and of those that wait, for the value of
 * %v at hand. */
static void
build_prefix(const Spread *s, LLVMValueRef v)
{
	s->f->known[s->loop->var->index] = v;
	for (const Stmt *st = s->prefix; st != s->acc; st = st->next)
		if (st->kind == S_VAR && s->def[st->var->index])
			s->f->known[st->var->index] = llvm_build_expr(s->f, st->value);
	for (int i = 0; i < s->pending.n; i++) {
		const Stmt *st = s->pending.v[i];

		s->f->known[st->var->index] = llvm_build_expr(s->f, st->value);
	}
}

/* Trip counts below this are worth a thought. */
enum { FEW_TRIPS = 48, MOST_LANES = 16 };

/* The width of vectors with which the fewest steps are left, those one by one counted. */
static unsigned
best_width(int64_t n)
{
	unsigned best = 1;

	for (unsigned w = 2; w <= MOST_LANES; w *= 2)
		if (n / w + n % w <= n / best + n % best)
			best = w;
	return best;
}

/* Tells LLVM how wide the vectors of a short loop should be. */
static void
choose_width(const Spread *s, LLVMValueRef branch, LLVMValueRef lo, LLVMValueRef hi)
{
	int64_t n;

	if (!LLVMIsAConstantInt(lo) || !LLVMIsAConstantInt(hi))
		return;
	n = LLVMConstIntGetSExtValue(hi) - LLVMConstIntGetSExtValue(lo);
	if (n >= 2 && n < FEW_TRIPS)
		llvm_hint_loop(s->f->m, branch, "llvm.loop.vectorize.width", best_width(n));
}

/* The constants with rows and columns exchanged. */
static LLVMValueRef
exchanged(const Spread *s, const LBuf *buf)
{
	size_t rows = (size_t)s->loop->hi->u.i, columns = (size_t)buf->count / rows;
	size_t size = (size_t)dtype_info[buf->elem].bytes;
	const char *from = buf->data;
	char *to = arena_alloc(s->f->m->arena, (size_t)buf->count * size);

	for (size_t i = 0; i < rows; i++)
		for (size_t k = 0; k < columns; k++)
			memcpy(to + (k * rows + i) * size, from + (i * columns + k) * size, size);
	return llvm_constant(s->f->m,
	                     arena_printf(s->f->m->arena, "%s_%s", s->f->m->options->prefix,
	                                  buf->name),
	                     buf->elem, (size_t)buf->count, to);
}

/* Tells the function where the loads that lie across find their constants. */
static void
exchange_constants(const Spread *s)
{
	for (int i = 0; i < s->across.n; i++) {
		const Expr *e = s->across.v[i];
		LlvmExchanged x = {.load = e, .var = s->loop->var, .rows = s->loop->hi->u.i,
		                   .columns = e->u.buf->count / s->loop->hi->u.i};

		for (int k = 0; k < i && !x.table; k++)
			if (s->across.v[k]->u.buf == e->u.buf)
				x.table = s->f->exchanged.v[s->f->exchanged.n - i + k].table;
		if (!x.table)
			x.table = exchanged(s, e->u.buf);
		VEC_PUSH(s->f->m->arena, &s->f->exchanged, x);
	}
}

/* A loop over %v in lo..hi around statements; without `body` it starts the sums. */
static void
build_over(const Spread *s, LLVMValueRef lo, LLVMValueRef hi, const Stmt *body)
{
	LlvmCounted loop = llvm_open_counted(s->f, lo, hi, 1, s->loop->var->name);
	LLVMValueRef index[] = {LLVMConstInt(LLVMTypeOf(loop.var), 0, 0), loop.var};
	int acc = s->acc->var->index;

	build_prefix(s, loop.var);
	s->f->slot[acc] =
		LLVMBuildInBoundsGEP2(builder(s), s->array_type, s->array, index, 2, "");
	if (body)
		llvm_build_block(s->f, body);
	else
		LLVMBuildStore(builder(s), llvm_build_expr(s->f, s->acc->value), s->f->slot[acc]);
	choose_width(s, llvm_close_counted(s->f, &loop), lo, hi);
}

static LLVMValueRef
smaller(const Spread *s, LLVMValueRef x, LLVMValueRef y)
{
	return LLVMBuildSelect(builder(s), LLVMBuildICmp(builder(s), LLVMIntSLT, y, x, ""), y, x, "");
}

static LLVMValueRef
larger(const Spread *s, LLVMValueRef x, LLVMValueRef y)
{
	return LLVMBuildSelect(builder(s), LLVMBuildICmp(builder(s), LLVMIntSLT, x, y, ""), y, x, "");
}

/* m / factor, rounded down; the numerator is moved to where all numbers are positive. */
static LLVMValueRef
divide_down(const Spread *s, LLVMValueRef m, int64_t factor)
{
	LLVMTypeRef t = LLVMTypeOf(m);
	LLVMValueRef by, offset;

	if (factor == 1)
		return m;
	by = LLVMConstInt(t, (unsigned long long)factor, 0);
	offset = LLVMConstInt(t, 1ull << 32, 0);
	m = LLVMBuildAdd(builder(s), m,
	                 LLVMConstInt(t, (1ull << 32) * (unsigned long long)factor, 0), "");
	return LLVMBuildSub(builder(s), LLVMBuildUDiv(builder(s), m, by, ""), offset, "");
}

/* Narrows [*lo, *hi) to where a comparison holds; %v is 0 at the moment. */
static bool
narrow(const Spread *s, const Expr *e, LLVMValueRef *lo, LLVMValueRef *hi)
{
	LLVMBuilderRef b = builder(s);
	LLVMTypeRef wide = LLVMInt64TypeInContext(s->f->m->context);
	LLVMValueRef m, bound;
	int64_t x, y;

	if (e->kind == E_KOP && e->type == DT_BOOL && e->op == KOP_AND)
		return narrow(s, e->arg[0], lo, hi) && narrow(s, e->arg[1], lo, hi);
	if (e->kind != E_KOP || e->nargs != 2 || e->arg[0]->type != DT_IDX ||
	    !factor_of(s, e->arg[0], &x) || !factor_of(s, e->arg[1], &y) || x - y <= 0 ||
	    x - y > INT32_MAX)
		return false;
	if (e->op != KOP_GE && e->op != KOP_LT && e->op != KOP_GT && e->op != KOP_LE)
		return false;
	/* factor * v + p OP q, so v OP (q - p) / factor. */
	m = LLVMBuildSub(b, LLVMBuildSExt(b, llvm_build_expr(s->f, e->arg[1]), wide, ""),
	                 LLVMBuildSExt(b, llvm_build_expr(s->f, e->arg[0]), wide, ""), "");
	if (e->op == KOP_GE || e->op == KOP_LT)
		m = LLVMBuildAdd(b, m, LLVMConstInt(wide, (unsigned long long)(x - y - 1), 0), "");
	bound = divide_down(s, m, x - y);
	if (e->op == KOP_GT || e->op == KOP_LE)
		bound = LLVMBuildAdd(b, bound, LLVMConstInt(wide, 1, 0), "");
	if (e->op == KOP_GE || e->op == KOP_GT)
		*lo = larger(s, *lo, bound);
	else
		*hi = smaller(s, *hi, bound);
	return true;
}

/* Statements of which the first depends on %v.  A condition becomes bounds of the loop
 * where it can. */
static void
build_dependent(const Spread *s, const Stmt *first)
{
	LLVMTypeRef wide = LLVMInt64TypeInContext(s->f->m->context);
	LLVMTypeRef type = llvm_type(s->f->m, DT_IDX);
	LLVMValueRef zero = LLVMConstInt(type, 0, 0);
	LLVMValueRef lo = LLVMConstInt(wide, 0, 0);
	LLVMValueRef hi = LLVMConstInt(wide, (unsigned long long)s->loop->hi->u.i, 0);

	build_prefix(s, zero);
	if (first->kind != S_IF || first->next || !narrow(s, first->cond, &lo, &hi)) {
		build_over(s, zero, llvm_build_expr(s->f, s->loop->hi), first);
		return;
	}
	/* Within 0..n they fit the type of %v. */
	lo = smaller(s, lo, LLVMConstInt(wide, (unsigned long long)s->loop->hi->u.i, 0));
	hi = larger(s, hi, LLVMConstInt(wide, 0, 0));
	build_over(s, LLVMBuildTrunc(builder(s), lo, type, ""),
	           LLVMBuildTrunc(builder(s), hi, type, ""), first->body);
}

/* ---- A short loop inside %v ---- */

enum { MOST_TAPS = 16, MOST_PRODUCTS = 4 };

/* The condition that a short innermost loop starts with, behind its lets; NULL: it is no
 * such loop. */
static const Stmt *
find_guard(const Spread *s, const Stmt *loop)
{
	const Stmt *st = loop->body;
	int64_t n;

	if (loop->cond || loop->lo->kind != E_CONST || loop->hi->kind != E_CONST)
		return NULL;
	n = (loop->hi->u.i - loop->lo->u.i + loop->step - 1) / loop->step;
	while (st && (st->kind == S_VAR || st->kind == S_COMMENT))
		st = st->next;
	if (n < 2 || n > MOST_TAPS || !st || st->kind != S_IF || st->next || !depends(s, st->cond))
		return NULL;
	for (const Stmt *in = st->body; in; in = in->next)
		if (in->kind == S_FOR || in->kind == S_IF)
			return NULL;
	return st;
}

/* Whether it is a short loop of lets and sums only, which all %v go through. */
static bool
is_short(const Stmt *loop)
{
	if (loop->cond || loop->lo->kind != E_CONST || loop->hi->kind != E_CONST ||
	    loop->hi->u.i - loop->lo->u.i > (int64_t)MOST_PRODUCTS * loop->step)
		return false;
	for (const Stmt *st = loop->body; st; st = st->next)
		if (st->kind == S_FOR || st->kind == S_IF)
			return false;
	return true;
}

static Stmt *
copy_of(const Spread *s, const Stmt *st)
{
	Stmt *copy = arena_copy(s->f->m->arena, st, sizeof *st);

	copy->next = NULL;
	return copy;
}

/* The loop with what the guard protects, but not the guard. */
static const Stmt *
without_guard(const Spread *s, const Stmt *loop, const Stmt *guard)
{
	Stmt *copy = copy_of(s, loop), **tail = &copy->body;

	for (const Stmt *st = loop->body; st != guard; st = st->next) {
		*tail = copy_of(s, st);
		tail = &(*tail)->next;
	}
	*tail = guard->body;
	return copy;
}

/* Narrows [*lo, *hi) to where the guard holds in the iteration `at` of the loop. */
static bool
narrow_at(const Spread *s, const Stmt *loop, const Stmt *guard, int64_t at, LLVMValueRef *lo,
          LLVMValueRef *hi)
{
	LLVMTypeRef type = llvm_type(s->f->m, DT_IDX);

	s->f->known[loop->var->index] = LLVMConstInt(type, (unsigned long long)at, 1);
	for (const Stmt *st = loop->body; st != guard; st = st->next)
		if (st->kind == S_VAR)
			s->f->known[st->var->index] = llvm_build_expr(s->f, st->value);
	return narrow(s, guard->cond, lo, hi);
}

/*
 * Puts a short loop inside that over %v, so that a sum is loaded and stored once for
 * all of it: where the guard holds for the first and the last iteration it does for
 * all, as it is linear; the outputs left and right of there keep it.
 */
static bool
build_inside(const Spread *s, const Stmt *loop)
{
	LLVMTypeRef wide = LLVMInt64TypeInContext(s->f->m->context);
	LLVMTypeRef type = llvm_type(s->f->m, DT_IDX);
	LLVMValueRef zero = LLVMConstInt(type, 0, 0), first = LLVMConstInt(wide, 0, 0);
	LLVMValueRef n = LLVMConstInt(wide, (unsigned long long)s->loop->hi->u.i, 0);
	LLVMValueRef lo = first, hi = n;
	const Stmt *guard = find_guard(s, loop);
	int64_t last;

	if (!guard && is_short(loop)) {
		build_over(s, zero, LLVMBuildTrunc(builder(s), n, type, ""), copy_of(s, loop));
		return true;
	}
	if (!guard)
		return false;
	build_prefix(s, zero);
	last = loop->lo->u.i + (loop->hi->u.i - loop->lo->u.i - 1) / loop->step * loop->step;
	if (!narrow_at(s, loop, guard, loop->lo->u.i, &lo, &hi) ||
	    !narrow_at(s, loop, guard, last, &lo, &hi))
		return false;
	lo = smaller(s, lo, n);
	hi = smaller(s, larger(s, hi, lo), n);
	lo = LLVMBuildTrunc(builder(s), lo, type, "");
	hi = LLVMBuildTrunc(builder(s), hi, type, "");
	n = LLVMBuildTrunc(builder(s), n, type, "");
	build_over(s, zero, lo, copy_of(s, loop));
	build_over(s, lo, hi, without_guard(s, loop, guard));
	build_over(s, hi, n, copy_of(s, loop));
	return true;
}

/* The loops that add, down to where %v plays a part. */
static void
build_sums(Spread *s, const Stmt *st)
{
	int pending = s->pending.n;

	for (; st; st = st->next) {
		if (st->kind == S_COMMENT)
			continue;
		if (st->kind == S_FOR && build_inside(s, st))
			continue;
		if (st->kind == S_FOR) {
			LlvmCounted loop = llvm_open_counted(s->f, llvm_build_expr(s->f, st->lo),
			                                     llvm_build_expr(s->f, st->hi),
			                                     st->step, st->var->name);

			s->f->known[st->var->index] = loop.var;
			build_sums(s, st->body);
			llvm_close_counted(s->f, &loop);
		} else if (st->kind == S_VAR && !depends(s, st->value)) {
			s->f->known[st->var->index] = llvm_build_expr(s->f, st->value);
		} else if (st->kind == S_IF && !depends(s, st->cond)) {
			LLVMBasicBlockRef then = llvm_new_block(s->f, "then");
			LLVMBasicBlockRef end = llvm_new_block(s->f, "end");

			LLVMBuildCondBr(builder(s), llvm_build_expr(s->f, st->cond), then, end);
			LLVMPositionBuilderAtEnd(builder(s), then);
			build_sums(s, st->body);
			LLVMBuildBr(builder(s), end);
			LLVMPositionBuilderAtEnd(builder(s), end);
		} else if (st->kind == S_VAR) {
			VEC_PUSH(s->f->m->arena, &s->pending, st);
		} else {
			build_dependent(s, st);
			break;
		}
	}
	s->pending.n = pending;
}

static void
build_spread(Spread *s)
{
	LlvmFunction *f = s->f;
	LLVMValueRef zero = llvm_build_expr(f, s->loop->lo), n = llvm_build_expr(f, s->loop->hi);

	exchange_constants(s);
	s->array_type = LLVMArrayType(llvm_type(f->m, s->acc->var->type),
	                              (unsigned)s->loop->hi->u.i);
	s->array = llvm_new_slot(f, s->array_type, "sums");
	build_invariants(s);
	build_over(s, zero, n, NULL);
	build_sums(s, copy_of(s, s->sum));
	build_over(s, zero, n, s->sum->next);
	f->slot[s->acc->var->index] = NULL;
}

/* ---- A loop further out ---- */

enum { MOST_DEPTH = 4, LEAST_CHANNELS = 8 };

/* Loops around each other, the first of which can become the innermost. */
typedef struct {
	Spread s;
	const Stmt *loop[MOST_DEPTH];
	int depth;
	Stmt *inner; /* the first one, around the innermost body */
} Nest;

/* The only loop of a body of lets. */
static const Stmt *
only_loop(const Stmt *body)
{
	const Stmt *st = body;

	while (st && (st->kind == S_COMMENT || (st->kind == S_VAR && st->var->is_const)))
		st = st->next;
	return st && st->kind == S_FOR && !st->cond && !st->next ? st : NULL;
}

/* Puts the lets that depend on the first loop in front of the innermost body; the others
 * stay where they are. */
static void
make_inner(Nest *nest)
{
	Spread *s = &nest->s;
	Stmt **tail;

	nest->inner = copy_of(s, nest->loop[0]);
	tail = &nest->inner->body;
	for (int i = 0; i + 1 < nest->depth; i++) {
		for (const Stmt *st = nest->loop[i]->body; st; st = st->next) {
			if (st->kind != S_VAR || !depends(s, st->value))
				continue;
			s->def[st->var->index] = st->value;
			*tail = copy_of(s, st);
			tail = &(*tail)->next;
		}
	}
	*tail = nest->loop[nest->depth - 1]->body;
	s->loop = nest->inner;
	s->prefix = nest->inner->body;
}

/* Whether nothing of the outer loops reads what is stored, or needs the first one. */
static bool
outer_loops_allow(const Nest *nest)
{
	const Spread *s = &nest->s;

	for (int i = 1; i < nest->depth; i++)
		if (depends(s, nest->loop[i]->lo) || depends(s, nest->loop[i]->hi) ||
		    loads_from(nest->loop[i]->lo, s->stored) ||
		    loads_from(nest->loop[i]->hi, s->stored))
			return false;
	for (int i = 0; i + 1 < nest->depth; i++)
		for (const Stmt *st = nest->loop[i]->body; st; st = st->next)
			if (st->kind == S_VAR && loads_from(st->value, s->stored))
				return false;
	return true;
}

static bool
find_nest(Nest *nest, LlvmFunction *f, const Stmt *loop)
{
	Spread *s = &nest->s;

	*s = (Spread){.f = f, .loop = loop};
	s->def = ARENA_ARRAY(f->m->arena, const Expr *, f->fn->vars.n);
	for (const Stmt *at = loop; at && nest->depth < MOST_DEPTH; at = only_loop(at->body))
		nest->loop[nest->depth++] = at;
	if (nest->depth < 2 || loop->hi->kind != E_CONST || loop->hi->u.i < LEAST_CHANNELS)
		return false;
	/* `acc` is looked at before it is found. */
	s->acc = loop;
	make_inner(nest);
	return fits(s) && s->across.n && !s->loads_beside && outer_loops_allow(nest) &&
	       !f->shared[s->stored->index];
}

static void
build_nest(Nest *nest, int depth)
{
	LlvmFunction *f = nest->s.f;
	const Stmt *loop = nest->loop[depth];
	LlvmCounted counted;

	if (depth > 0) {
		counted = llvm_open_counted(f, llvm_build_expr(f, loop->lo),
		                            llvm_build_expr(f, loop->hi), loop->step,
		                            loop->var->name);
		f->known[loop->var->index] = counted.var;
	}
	for (const Stmt *st = loop->body; depth + 1 < nest->depth && st; st = st->next)
		if (st->kind == S_VAR && !depends(&nest->s, st->value))
			f->known[st->var->index] = llvm_build_expr(f, st->value);
	if (depth + 1 < nest->depth)
		build_nest(nest, depth + 1);
	else
		build_spread(&nest->s);
	if (depth > 0)
		llvm_close_counted(f, &counted);
}

bool
llvm_build_spread(LlvmFunction *f, const Stmt *loop)
{
	Spread s = {.f = f, .loop = loop, .prefix = loop->body};
	Nest nest = {.depth = 0};

	if (find_nest(&nest, f, loop)) {
		build_nest(&nest, 0);
		return true;
	}
	s.def = ARENA_ARRAY(f->m->arena, const Expr *, f->fn->vars.n);
	if (!fits(&s))
		return false;
	build_spread(&s);
	return true;
}
