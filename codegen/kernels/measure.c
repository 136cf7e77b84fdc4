#include "codegen/kernels/measure.h"

#include <string.h>

#include "codegen/kernels/cost.h"
#include "codegen/kernels/kernels.h"

/* ---- Counting ---- */

/* Prices of one of each in tenths of cycles, and where counts are gathered. */
typedef struct {
	SizeCounts *counts;     /* NULL: not wanted */
	const int *price;       /* by SizeItem; NULL: not wanted */
	double *accesses;       /* by buffer; NULL: not wanted */
	double tenths;
} Meter;

static void
count(Meter *m, SizeItem item, double times)
{
	if (m->counts)
		m->counts->n[item]++;
	if (m->price)
		m->tenths += times * m->price[item];
}

static bool
is_float(DType t)
{
	return t == DT_F32 || t == DT_F64;
}

static SizeItem
item_of_type(DType t)
{
	if (t == DT_IDX)
		return SIZE_INDEX;
	if (is_float(t))
		return t == DT_F32 ? SIZE_FLOAT : SIZE_DOUBLE;
	return dtype_info[t].bytes == 8 ? SIZE_LONG : SIZE_WORD;
}

static double call_tenths(const Meter *m, const LFunc *callee);

static void
count_expr(Meter *m, const Expr *e, double times)
{
	switch (e->kind) {
	case E_CONST:
	case E_VAR:
	case E_BITS:
		break;
	case E_LOAD:
		count(m, SIZE_LOAD, times);
		if (m->accesses)
			m->accesses[e->u.buf->index] += times;
		break;
	case E_KOP:
		/* Comparisons are of what they compare. */
		count(m, item_of_type(e->arg[0]->type), times);
		break;
	case E_SELECT:
		count(m, SIZE_SELECT, times);
		break;
	case E_CVT:
		if (is_float(e->type) || is_float(e->arg[0]->type))
			count(m, SIZE_CONVERT, times);
		else
			count(m, item_of_type(e->type), times);
		break;
	case E_CALL:
		count(m, SIZE_CALL, times);
		if (m->price)
			m->tenths += times * call_tenths(m, e->u.callee);
		break;
	case E_PACKED:
	case E_DOT:
	case E_SPLAT:
		count(m, SIZE_PACKED, times);
		break;
	}
	for (int i = 0; i < e->nargs; i++)
		count_expr(m, e->arg[i], times);
}

/* A loop that compilers unroll takes code but no time. */
static void
count_loop(Meter *m, double trips, double times)
{
	enum { UNROLLED = 4 };

	if (m->price && trips <= UNROLLED)
		return;
	count(m, SIZE_LOOP, times);
}

/* How often a loop runs, at most. */
static double
trips(const Stmt *s)
{
	int64_t lo = s->lo->kind == E_CONST ? s->lo->u.i : s->var->lo;
	int64_t hi = s->hi->kind == E_CONST ? s->hi->u.i : s->var->hi + 1;

	return hi > lo ? (double)((hi - lo - 1) / s->step + 1) : 0;
}

static void
count_stmts(Meter *m, const Stmt *s, double times)
{
	for (; s; s = s->next) {
		double inside = times;

		if (s->kind == S_FOR) {
			inside *= trips(s);
			count_loop(m, trips(s), inside);
			count_expr(m, s->lo, times);
			count_expr(m, s->hi, times);
		} else if (s->kind == S_IF) {
			count(m, SIZE_IF, times);
		} else if (s->kind == S_STORE) {
			count(m, SIZE_STORE, times);
			if (m->accesses)
				m->accesses[s->buf->index] += times;
			count_expr(m, s->index, times);
		}
		if (s->cond)
			count_expr(m, s->cond, inside);
		if (s->value)
			count_expr(m, s->value, times);
		count_stmts(m, s->body, inside);
		count_stmts(m, s->other, inside);
	}
}

static void
count_function(Meter *m, const LFunc *f)
{
	count(m, SIZE_FUNCTION, 1);
	for (int i = 0; i < f->bufs.n; i++)
		if (lbuf_is_argument(f->bufs.v[i]))
			count(m, SIZE_ARGUMENT, 1);
	for (int i = 0; i < f->params.n; i++)
		count(m, SIZE_ARGUMENT, 1);
	count_stmts(m, f->body, 1);
}

SizeCounts
measure_counts(const LFunc *f)
{
	SizeCounts counts = {0};
	Meter m = {.counts = &counts};

	count_function(&m, f);
	return counts;
}

/* ---- Code ---- */

static const struct {
	int small, fast; /* tenths of bytes */
} sizes[SIZE_COUNT] = {
#define SIZE(id, small, fast, what) [SIZE_##id] = {small, fast},
#include "codegen/kernels/sizes.def"
};

/* What code takes on other machines, in percent of a Cortex-M4. */
static int
density(const Target *t)
{
	static const struct {
		const char *target;
		int percent;
	} rows[] = {
		{"armv6m", 115}, {"armv8m.base", 115}, {"armv", 100},  {"riscv", 125},
		{"avr", 250},    {"msp430", 200},      {"aarch64", 160}, {"x86", 170},
	};

	for (size_t i = 0; t && i < sizeof rows / sizeof *rows; i++)
		if (strncmp(t->name, rows[i].target, strlen(rows[i].target)) == 0)
			return rows[i].percent;
	return 100;
}

int64_t
measure_code(const Target *t, char level, const LFunc *f)
{
	SizeCounts counts = measure_counts(f);
	bool small = level_is_small(level);
	int64_t tenths = 0;

	for (int i = 0; i < SIZE_COUNT; i++)
		tenths += counts.n[i] * (small ? sizes[i].small : sizes[i].fast);
	return tenths * density(t) / 1000;
}

/* ---- Calls ---- */

static void
add_callees(Arena *a, LFuncs *all, const Stmt *s);

static void
add_callees_of(Arena *a, LFuncs *all, const Expr *e)
{
	bool known = e->kind != E_CALL;

	for (int i = 0; i < e->nargs; i++)
		add_callees_of(a, all, e->arg[i]);
	for (int i = 0; i < all->n && !known; i++)
		known = all->v[i] == e->u.callee;
	if (known)
		return;
	VEC_PUSH(a, all, e->u.callee);
	add_callees(a, all, e->u.callee->body);
}

static void
add_callees(Arena *a, LFuncs *all, const Stmt *s)
{
	for (; s; s = s->next) {
		const Expr *const parts[] = {s->lo, s->hi, s->cond, s->value, s->index};

		for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
			if (parts[i])
				add_callees_of(a, all, parts[i]);
		add_callees(a, all, s->body);
		add_callees(a, all, s->other);
	}
}

LFuncs
measure_callees(Arena *a, const LFunc *f)
{
	LFuncs all = {0};

	add_callees(a, &all, f->body);
	return all;
}

/* ---- Cycles ---- */

static double
call_tenths(const Meter *m, const LFunc *callee)
{
	Meter inner = {.price = m->price};

	count_function(&inner, callee);
	return inner.tenths;
}

void
measure_accesses(const LFunc *f, double *accesses)
{
	Meter m = {.accesses = accesses};

	count_stmts(&m, f->body, 1);
}

int64_t
measure_cycles(const Target *t, const LFunc *f)
{
	const Costs *k = t ? costs_of(t) : NULL;
	/* What libraries take where there is no instruction. */
	enum { SOFT_FLOAT = 500, SOFT_DOUBLE = 900, SOFT_LONG = 6 };
	int price[SIZE_COUNT];
	Meter m = {.price = price};

	if (!k)
		return 0;
	for (int i = 0; i < SIZE_COUNT; i++)
		price[i] = k->op;
	price[SIZE_LOAD] = k->load;
	price[SIZE_STORE] = k->load;
	/* Most of it is part of an address, or moves out of the loop. */
	price[SIZE_INDEX] = k->op / 4;
	/* Less than in kernels, which are short of registers. */
	price[SIZE_LOOP] = 3 * k->loop / 4;
	price[SIZE_IF] = k->loop / 2;
	price[SIZE_LONG] = SOFT_LONG * k->op;
	price[SIZE_FLOAT] = t->isa & (ISA_FLOAT | ISA_ARM_MVE_FLOAT) ? k->op : SOFT_FLOAT;
	price[SIZE_DOUBLE] = t->isa & ISA_DOUBLE ? 2 * k->op : SOFT_DOUBLE;
	price[SIZE_CONVERT] = price[SIZE_FLOAT];
	price[SIZE_SELECT] = 2 * k->op;
	price[SIZE_CALL] = 10 * k->op;
	price[SIZE_FUNCTION] = 10 * k->op;
	count_function(&m, f);
	return (int64_t)(m.tenths / 10);
}
