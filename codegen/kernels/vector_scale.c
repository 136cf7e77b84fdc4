/*
 * Requantisation of vectors, and sums of int8 tensors by it.  scale.c says why this is
 * what the reference lowering computes.
 */
#include "codegen/kernels/vector.h"
#include "ir/op.h"

static Expr *
number(LowerCtx *cx, int64_t v, int lanes)
{
	return loop_splat(&cx->b, loop_int(&cx->b, DT_I32, v), lanes);
}

static Expr *
shifted(LowerCtx *cx, KOp op, Expr *x, int by)
{
	return by == 0 ? x : loop_op2(&cx->b, op, x, number(cx, by, x->lanes));
}

static Expr *
plus(LowerCtx *cx, Expr *x, int64_t v)
{
	return v == 0 ? x : loop_add(&cx->b, x, number(cx, v, x->lanes));
}

Expr *
vector_scale(LowerCtx *cx, Expr *x2, Expr *m, Expr *less, int32_t zero)
{
	LBuilder *b = &cx->b;
	bool single = cx->single_rounding && less;
	Expr *v = loop_packed(b, single ? POP_MULH : POP_MULH_ROUND, x2, m, NULL);

	if (!less)
		return plus(cx, v, zero);
	if (!single) {
		v = loop_let(b, "v", v);
		v = loop_add(b, v, shifted(cx, KOP_SHR, v, 31));
	}
	v = plus(cx, loop_op2(b, KOP_SHR, v, less), 1 + 2 * zero);
	return shifted(cx, KOP_SHR, v, 1);
}

Expr *
vector_clamp(LowerCtx *cx, Expr *x, QRange r)
{
	LBuilder *b = &cx->b;

	x = loop_op2(b, KOP_MAX, x, number(cx, r.lo, x->lanes));
	return loop_op2(b, KOP_MIN, x, number(cx, r.hi, x->lanes));
}

/* ---- Sums ---- */

/* By one factor. */
static Expr *
scale_by(LowerCtx *cx, Expr *x2, Multiplier by, int32_t zero)
{
	Expr *m = number(cx, by.m, x2->lanes);

	return vector_scale(cx, x2, m, by.shift == 0 ? NULL : number(cx, -by.shift - 1, x2->lanes),
	                    zero);
}

static bool
has_shift(Multiplier by, int most)
{
	return by.shift <= most && by.shift >= -31;
}

static bool
is_int8(const Value *v, const Type *t)
{
	return v && v->type.dtype == DT_I8 && type_same_shape(&v->type, t);
}

/* Whether a node is such a sum, with shifts to the right alone. */
static bool
fits(const Node *n, Multiplier *by)
{
	const Type *y = n->out[0] ? &n->out[0]->type : NULL;
	SumFactors f;

	if ((n->op != OP_ADD && n->op != OP_SUB) || !y || !node_is_quantized(n) ||
	    y->dtype != DT_I8 || !is_int8(n->in[0], y) || !is_int8(n->in[1], y))
		return false;
	f = q_sum_factors(n);
	for (int i = 0; i < 2; i++)
		by[i] = quantize_multiplier(f.in[i], n->graph->single_rounding);
	by[2] = quantize_multiplier(f.out, n->graph->single_rounding);
	/* Terms have 9 + left - 1 bits, and twice their sum two more. */
	return f.left <= 20 && has_shift(by[0], 0) && has_shift(by[1], 0) && has_shift(by[2], -1);
}

/* Elements from i on. */
static void
add_elements(LowerCtx *cx, const Node *n, const Multiplier *by, Expr *i, int lanes)
{
	LBuilder *b = &cx->b;
	int left = q_sum_factors(n).left;
	const Type *y = &n->out[0]->type;
	Expr *x[2];

	for (int k = 0; k < 2; k++) {
		x[k] = loop_cvt(b, DT_I32, loop_load_lanes(b, cx->in[k], i, lanes));
		x[k] = shifted(cx, KOP_SHL, plus(cx, x[k], -quant_zero(&n->in[k]->type)), left + 1);
		x[k] = loop_let(b, "term", scale_by(cx, x[k], by[k], 0));
	}
	x[0] = n->op == OP_SUB ? loop_sub(b, x[0], x[1]) : loop_add(b, x[0], x[1]);
	x[0] = scale_by(cx, shifted(cx, KOP_SHL, x[0], 1), by[2], quant_zero(y));
	loop_store_cvt(b, cx->out[0], i, vector_clamp(cx, x[0], quant_range(y, node_activation(n))));
}

LFunc *
vector_sum_lower(Arena *a, const Node *n, int lanes)
{
	Multiplier by[3];
	LowerCtx cx;
	int32_t count;

	if (!fits(n, by))
		return NULL;
	count = type_numel(&n->out[0]->type);
	while (lanes > count)
		lanes /= 2;
	if (lanes < 4)
		return NULL;
	lower_begin(&cx, a, n);
	add_elements(&cx, n, by, loop_for_step(&cx.b, "i", 0, count / lanes * lanes, lanes), lanes);
	loop_end(&cx.b);
	if (count % lanes != 0) {
		add_elements(&cx, n, by, loop_for(&cx.b, "i", count / lanes * lanes, count), 0);
		loop_end(&cx.b);
	}
	return loop_finish(&cx.b);
}
