/*
 * How long any kernel takes, and how long its code is, counted from its loops.
 *
 * Every load and every operation on numbers costs what the target's table says; indices
 * are free, as compilers step through memory with pointers.  Both branches of a choice
 * count half.  Loops are as long as their variable's range allows.
 */
#include "codegen/kernels/cost.h"

/* Operations that stand for one in software, or for a slow one. */
enum { SOFT_FLOAT = 40, DIVISION = 10, WIDE = 3 };

typedef struct {
	const Costs *costs;
	unsigned isa;
} Counting;

static double count_block(const Counting *c, const Stmt *s);

/* How many times as long an operation takes on numbers of the type. */
static double
weight_of(const Counting *c, DType t)
{
	switch (t) {
	case DT_IDX: return 0;
	case DT_F32: return c->isa & ISA_FLOAT ? 1 : (double)SOFT_FLOAT;
	case DT_F64: return c->isa & ISA_DOUBLE ? 1 : 2 * (double)SOFT_FLOAT;
	case DT_I64:
	case DT_U64: return WIDE;
	default: return 1;
	}
}

static double
operation(const Counting *c, const Expr *e)
{
	double weight = weight_of(c, e->nargs ? e->arg[0]->type : e->type);

	if (e->kind == E_KOP && (e->op == KOP_DIV || e->op == KOP_REM))
		weight *= (double)DIVISION;
	return weight * c->costs->op;
}

/* Tenths of a cycle. */
static double
count_expr(const Counting *c, const Expr *e)
{
	double own = 0, args = 0;

	for (int i = 0; i < e->nargs; i++)
		args += count_expr(c, e->arg[i]);
	switch (e->kind) {
	case E_CONST:
	case E_VAR:
	case E_BITS: break;
	case E_LOAD: own = c->costs->load; break;
	case E_CVT: own = e->type == DT_IDX ? 0 : weight_of(c, e->type) * c->costs->op / 2; break;
	case E_KOP: own = operation(c, e); break;
	case E_PACKED: own = c->costs->op; break;
	case E_DOT: own = c->isa & ISA_ARM_MVE ? c->costs->op : DOT_ELEMENTS * c->costs->op; break;
	case E_CALL: own = c->costs->loop + count_block(c, e->u.callee->body); break;
	case E_SELECT: {
		double cond = count_expr(c, e->arg[0]);

		return cond + (args - cond) / 2 + c->costs->op;
	}
	}
	return own + args;
}

static double
times_of(const Stmt *s)
{
	int64_t lo = s->var->lo, hi = s->var->hi;

	if (s->lo->kind == E_CONST && s->hi->kind == E_CONST) {
		lo = s->lo->u.i;
		hi = s->hi->u.i - 1;
	}
	return hi < lo ? 0 : (double)((hi - lo) / s->step + 1);
}

static double
count_stmt(const Counting *c, const Stmt *s)
{
	switch (s->kind) {
	case S_FOR: return times_of(s) * (c->costs->loop + count_block(c, s->body));
	case S_IF:
		return count_expr(c, s->cond) + c->costs->op +
		       (count_block(c, s->body) + count_block(c, s->other)) / 2;
	case S_VAR:
	case S_SET:
	case S_RETURN: return s->value ? count_expr(c, s->value) : 0;
	case S_STORE: return c->costs->load + count_expr(c, s->value);
	case S_COMMENT: break;
	}
	return 0;
}

static double
count_block(const Counting *c, const Stmt *s)
{
	double sum = 0;

	for (; s; s = s->next)
		sum += count_stmt(c, s);
	return sum;
}

int64_t
cost_loops(const Costs *k, const Target *t, const LFunc *f)
{
	Counting c = {k, t->isa};
	double cycles = count_block(&c, f->body) / 10;

	return cycles < 0x1p62 ? (int64_t)cycles : INT64_MAX / 2;
}

/* ---- Code ---- */

/* Bytes of an instruction, of what a function begins and ends with, and of a loop. */
enum { INSTRUCTION = 4, FRAME = 40, LOOP = 16 };

static int64_t code_of_block(const Stmt *s);

static int64_t
code_of_expr(const Expr *e)
{
	int64_t bytes = 0;

	for (int i = 0; i < e->nargs; i++)
		bytes += code_of_expr(e->arg[i]);
	switch (e->kind) {
	case E_CONST:
	case E_VAR:
	case E_BITS: return bytes;
	case E_LOAD:
	case E_CVT:
	case E_PACKED:
	case E_KOP: return bytes + (e->type == DT_IDX ? INSTRUCTION / 2 : INSTRUCTION);
	case E_SELECT: return bytes + 2 * INSTRUCTION;
	case E_DOT:
	case E_CALL: return bytes + (1 + e->nargs) * INSTRUCTION;
	}
	return bytes;
}

static int64_t
code_of_stmt(const Stmt *s)
{
	switch (s->kind) {
	case S_FOR: return LOOP + code_of_block(s->body);
	case S_IF:
		return code_of_expr(s->cond) + 2 * INSTRUCTION + code_of_block(s->body) +
		       code_of_block(s->other);
	case S_VAR:
	case S_SET:
	case S_RETURN: return s->value ? code_of_expr(s->value) : 0;
	case S_STORE: return INSTRUCTION + code_of_expr(s->index) + code_of_expr(s->value);
	case S_COMMENT: break;
	}
	return 0;
}

static int64_t
code_of_block(const Stmt *s)
{
	int64_t bytes = 0;

	for (; s; s = s->next)
		bytes += code_of_stmt(s);
	return bytes;
}

int64_t
cost_code(const LFunc *f)
{
	return FRAME + code_of_block(f->body);
}
