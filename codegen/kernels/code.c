/*
 * How much code a kernel becomes: instructions of its operations, guessed for machines
 * with instructions of 2 and 4 bytes.
 */
#include "codegen/kernels/cost.h"

/* Bytes, by what gcc 12 and clang 19 make of the kernels for Cortex-M4 at -O2. */
enum { OPERATION = 3, LOOP = 14, BRANCH = 6, FRAME = 40 };

/* A constant, a variable, or one plus a constant: part of another instruction. */
static bool
is_address(const Expr *e)
{
	if (e->kind == E_CONST || e->kind == E_VAR)
		return true;
	return e->kind == E_KOP && e->op == KOP_ADD && e->type == DT_IDX &&
	       e->arg[1]->kind == E_CONST && is_address(e->arg[0]);
}

static int64_t
code_of(const Expr *e)
{
	int64_t bytes = OPERATION;

	if (!e || is_address(e))
		return 0;
	for (int i = 0; i < e->nargs; i++)
		bytes += code_of(e->arg[i]);
	return bytes;
}

static int64_t
code_of_block(const Stmt *s)
{
	int64_t bytes = 0;

	for (; s; s = s->next) {
		bytes += code_of(s->lo) + code_of(s->hi) + code_of(s->cond) + code_of(s->value) +
		         code_of(s->index) + code_of_block(s->body) + code_of_block(s->other);
		bytes += s->kind == S_FOR ? LOOP : s->kind == S_IF ? BRANCH : 0;
		bytes += s->kind == S_STORE ? OPERATION : 0;
	}
	return bytes;
}

int64_t
cost_code(const LFunc *f)
{
	return FRAME + code_of_block(f->body);
}
