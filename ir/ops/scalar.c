#include "ir/ops/scalar.h"

#include <math.h>

Expr *
scalar_named(LBuilder *b, const char *name, Expr *x)
{
	return x->kind == E_VAR || x->kind == E_CONST ? x : loop_let(b, name, x);
}

Expr *
scalar_number(LBuilder *b, const Expr *x, double v)
{
	Expr *c = loop_const(b, x->type, v);

	return x->lanes ? loop_splat(b, c, x->lanes) : c;
}

Expr *
scalar_compare(LBuilder *b, KOp op, Expr *x, double v)
{
	return loop_op2(b, op, x, scalar_number(b, x, v));
}

Expr *
scalar_div(LBuilder *b, Expr *x, Expr *y)
{
	return loop_op2(b, KOP_DIV, x, y);
}

Expr *
scalar_clamp(LBuilder *b, Expr *x, double lo, double hi)
{
	if (lo > -HUGE_VAL)
		x = loop_op2(b, KOP_MAX, x, scalar_number(b, x, lo));
	if (hi < HUGE_VAL)
		x = loop_op2(b, KOP_MIN, x, scalar_number(b, x, hi));
	return x;
}

/* The loop IR's operations keep a NaN of their first operand only. */
static Expr *
extremum(LBuilder *b, KOp op, Expr *x, Expr *y)
{
	if (!dtype_is_float(x->type))
		return loop_op2(b, op, x, y);
	y = scalar_named(b, "v", y);
	return loop_select(b, loop_op2(b, KOP_NE, y, y), y, loop_op2(b, op, x, y));
}

Expr *
scalar_min(LBuilder *b, Expr *x, Expr *y)
{
	return extremum(b, x->type == DT_BOOL ? KOP_AND : KOP_MIN, x, y);
}

Expr *
scalar_max(LBuilder *b, Expr *x, Expr *y)
{
	return extremum(b, x->type == DT_BOOL ? KOP_OR : KOP_MAX, x, y);
}

Expr *
scalar_least(LBuilder *b, DType t)
{
	DType compute = dtype_compute(t);

	if (dtype_is_float(t))
		return loop_const(b, compute, -HUGE_VAL);
	if (dtype_info[t].class != CLASS_SIGNED)
		return loop_int(b, compute, 0);
	return loop_int(b, compute, INT64_MIN >> (64 - 8 * dtype_info[t].bytes));
}

Expr *
scalar_greatest(LBuilder *b, DType t)
{
	DType compute = dtype_compute(t);
	int unused = 64 - 8 * dtype_info[t].bytes;

	if (dtype_is_float(t))
		return loop_const(b, compute, HUGE_VAL);
	if (t == DT_BOOL)
		return loop_bool(b, true);
	if (dtype_info[t].class == CLASS_SIGNED)
		return loop_int(b, compute, INT64_MAX >> unused);
	return loop_int(b, compute, (int64_t)(UINT64_MAX >> unused));
}
