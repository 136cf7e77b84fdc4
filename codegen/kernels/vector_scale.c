/*
 * Requantisation of vectors, and sums of int8 tensors by it.  scale.c says why this is
 * what the reference lowering computes.
 */
#include <assert.h>

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

/*
 * One rounding is enough where the graph rounds once, and where a negative sum becomes the
 * zero point anyway: else the second rounding is one away from zero.  Then
 *
 *	((x m + 2^30) / 2^31 + 2^(n-1)) / 2^n + zero
 *
 * is (x m + 2^30 more) / 2^32 / 2^(n-1), all rounded down.
 */
static bool
rounds_once(const VectorScale *s)
{
	return s->single || s->range.lo >= s->zero;
}

static bool
is_wide(const VectorScale *s)
{
	return rounds_once(s) && (s->form == SCALE_WIDE || (s->form == SCALE_TWICE && s->single));
}

ScaleForm
vector_scale_form(const Target *t)
{
	return t->isa & ISA_ARM_MVE ? SCALE_POWERS : t->isa & ISA_ARM_NEON ? SCALE_TWICE : SCALE_WIDE;
}

bool
vector_factor(const VectorScale *s, Multiplier by, VectorFactor *f)
{
	enum { MOST = 21 }; /* so that zero * 2^n has less than 30 bits */
	/* A factor of 0 gives 0 after any shift. */
	int n = by.m == 0 ? 2 : -by.shift;
	int64_t power = (int64_t)1 << (n >= 0 && n <= 31 ? n : 0);

	*f = (VectorFactor){.m = by.m, .shift = n};
	if (s->form == SCALE_POWERS) {
		if (n < 2 || n > 31)
			return false;
		f->shift = (int32_t)(UINT32_C(1) << (32 - n));
		return true;
	}
	if (n < 0 || n > MOST || n == 0)
		return n == 0;
	if (is_wide(s)) {
		f->more = (int32_t)(power * (1 + 2 * s->zero) + !s->single);
		f->shift--;
	} else {
		f->more = (int32_t)(power / 2 + power * s->zero);
	}
	return true;
}

/* Doubled, and rounded unless it is rounded once more. */
static Expr *
doubled_product(LowerCtx *cx, const VectorScale *s, Expr *x, Expr *m, bool round)
{
	LBuilder *b = &cx->b;

	if (round && s->form != SCALE_WIDE)
		return loop_packed(b, POP_MULH_TWICE, x, m, NULL);
	return loop_packed(b, round ? POP_MULH_ROUND : POP_MULH, shifted(cx, KOP_SHL, x, 1), m, NULL);
}

Expr *
vector_scale(LowerCtx *cx, const VectorScale *s, Expr *x, Expr *m, Expr *shift, Expr *more)
{
	LBuilder *b = &cx->b;
	Expr *v;

	if (shift && is_wide(s)) {
		v = loop_op2(b, KOP_SHR, loop_packed(b, POP_MULH_WIDE, x, m, more), shift);
	} else {
		v = doubled_product(cx, s, x, m, !s->single || !shift);
		if (shift && !rounds_once(s)) {
			v = loop_let(b, "v", v);
			v = loop_add(b, v, shifted(cx, KOP_SHR, v, 31));
		}
		if (shift && s->form == SCALE_POWERS)
			v = loop_packed(b, POP_MULH_ROUND, v, shift, NULL);
		else if (shift)
			v = loop_op2(b, KOP_SHR, loop_add(b, v, more), shift);
		if (!shift || s->form == SCALE_POWERS)
			v = plus(cx, v, s->zero);
	}
	if (s->range.lo > INT32_MIN)
		v = loop_op2(b, KOP_MAX, v, number(cx, s->range.lo, v->lanes));
	if (s->range.hi < INT32_MAX)
		v = loop_op2(b, KOP_MIN, v, number(cx, s->range.hi, v->lanes));
	return v;
}

/* ---- Sums ---- */

/* By one factor; by a shift where it is no power. */
static Expr *
scale_by(LowerCtx *cx, VectorScale s, Expr *x, Multiplier by)
{
	VectorFactor f;
	bool fits;

	if (!vector_factor(&s, by, &f))
		s.form = SCALE_TWICE;
	fits = vector_factor(&s, by, &f);
	assert(fits);
	return vector_scale(cx, &s, x, number(cx, f.m, x->lanes),
	                    by.shift < 0 ? number(cx, f.shift, x->lanes) : NULL,
	                    number(cx, f.more, x->lanes));
}

/* Factors of less than 2^-21 are none that a network has. */
static bool
has_shift(Multiplier by, int most)
{
	return by.shift <= most && by.shift >= -21;
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
add_elements(LowerCtx *cx, const Node *n, const Multiplier *by, Expr *i, ScaleForm form, int lanes)
{
	LBuilder *b = &cx->b;
	int left = q_sum_factors(n).left;
	const Type *y = &n->out[0]->type;
	VectorScale term = {form, cx->single_rounding, 0, {INT32_MIN, INT32_MAX}};
	VectorScale out = {form, cx->single_rounding, quant_zero(y),
	                   quant_range(y, node_activation(n))};
	Expr *x[2];

	for (int k = 0; k < 2; k++) {
		x[k] = loop_cvt(b, DT_I32, loop_load_lanes(b, cx->in[k], i, lanes));
		x[k] = shifted(cx, KOP_SHL, plus(cx, x[k], -quant_zero(&n->in[k]->type)), left);
		x[k] = loop_let(b, "term", scale_by(cx, term, x[k], by[k]));
	}
	x[0] = n->op == OP_SUB ? loop_sub(b, x[0], x[1]) : loop_add(b, x[0], x[1]);
	x[0] = scale_by(cx, out, x[0], by[2]);
	loop_store_cvt(b, cx->out[0], i, x[0]);
}

LFunc *
vector_sum_lower(Arena *a, const Node *n, int lanes, ScaleForm form)
{
	Multiplier by[3];
	LowerCtx cx;
	int32_t count, whole;

	if (!fits(n, by))
		return NULL;
	count = type_numel(&n->out[0]->type);
	while (lanes > count)
		lanes /= 2;
	if (lanes < 4)
		return NULL;
	whole = count / lanes * lanes;
	lower_begin(&cx, a, n);
	add_elements(&cx, n, by, loop_for_step(&cx.b, "i", 0, whole, lanes), form, lanes);
	loop_end(&cx.b);
	if (whole < count) {
		add_elements(&cx, n, by, loop_for(&cx.b, "i", whole, count), form, 0);
		loop_end(&cx.b);
	}
	return loop_finish(&cx.b);
}
