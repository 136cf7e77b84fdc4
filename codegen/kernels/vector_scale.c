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

/* v / 2^n, rounded half up, plus the zero point. */
static Expr *
shift_rounded(LowerCtx *cx, const VectorScale *s, Expr *v, Expr *shift)
{
	LBuilder *b = &cx->b;

	if (s->powers)
		return plus(cx, loop_packed(b, POP_MULH_ROUND, v, shift, NULL), s->zero);
	v = plus(cx, loop_op2(b, KOP_SHR, v, shift), 1 + 2 * s->zero);
	return shifted(cx, KOP_SHR, v, 1);
}

Expr *
vector_scale(LowerCtx *cx, const VectorScale *s, Expr *x2, Expr *m, Expr *shift)
{
	LBuilder *b = &cx->b;
	bool single = cx->single_rounding && shift;
	Expr *v = loop_packed(b, single ? POP_MULH : POP_MULH_ROUND, x2, m, NULL);

	if (!single && shift && s->range.lo < s->zero) {
		v = loop_let(b, "v", v);
		v = loop_add(b, v, shifted(cx, KOP_SHR, v, 31));
	}
	v = shift ? shift_rounded(cx, s, v, shift) : plus(cx, v, s->zero);
	if (s->range.lo > INT32_MIN)
		v = loop_op2(b, KOP_MAX, v, number(cx, s->range.lo, v->lanes));
	if (s->range.hi < INT32_MAX)
		v = loop_op2(b, KOP_MIN, v, number(cx, s->range.hi, v->lanes));
	return v;
}

int32_t
vector_scale_shift(const VectorScale *s, Multiplier by)
{
	/* A factor of 0 gives 0 after any shift. */
	if (by.m == 0)
		return 0;
	return s->powers ? (int32_t)(UINT32_C(1) << (32 + by.shift)) : -by.shift - 1;
}

/* ---- Channels ---- */

enum { LEAST_LANES = 4 };

bool
channel_outputs_fit(const Conv *c)
{
	for (int32_t i = 0; i < c->oc; i++)
		if (c->channel[i].by.m != 0 &&
		    (c->channel[i].by.shift > -1 || c->channel[i].by.shift < -31))
			return false;
	return c->oc >= LEAST_LANES;
}

static bool
is_uniform(const Conv *c)
{
	for (int32_t i = 1; i < c->oc; i++)
		if (c->channel[i].by.m != c->channel[0].by.m ||
		    c->channel[i].by.shift != c->channel[0].by.shift)
			return false;
	return true;
}

ChannelOutputs
channel_outputs_begin(LowerCtx *cx, const Conv *c, int lanes)
{
	ChannelOutputs o = {.cx = cx, .c = c, .lanes = lanes,
	                    .scale = {c->y_zero, c->range, true}};
	int32_t *start = ARENA_ARRAY(cx->arena, int32_t, c->oc);
	int32_t *m = ARENA_ARRAY(cx->arena, int32_t, c->oc);
	int32_t *shift = ARENA_ARRAY(cx->arena, int32_t, c->oc);

	for (int32_t i = 0; i < c->oc; i++)
		o.scale.powers &= c->channel[i].by.m == 0 || c->channel[i].by.shift <= -2;
	for (int32_t i = 0; i < c->oc; i++) {
		start[i] = c->channel[i].bias;
		m[i] = c->channel[i].by.m;
		shift[i] = vector_scale_shift(&o.scale, c->channel[i].by);
	}
	o.start = lower_constant(cx, "start", DT_I32, c->oc, start);
	if (is_uniform(c))
		return o;
	o.multipliers = lower_constant(cx, "multipliers", DT_I32, c->oc, m);
	o.shifts = lower_constant(cx, "shifts", DT_I32, c->oc, shift);
	return o;
}

/* One vector of channels of some pixels, whose sums are at s_at. */
static void
store_channels(const ChannelOutputs *o, LBuf *sums, int32_t width, Expr *y_at, Expr *channel,
               Expr *s_at, int pixels)
{
	LowerCtx *cx = o->cx;
	LBuilder *b = &cx->b;
	Multiplier by = o->c->channel[0].by;
	Expr *start = loop_let(b, "start", loop_load_lanes(b, o->start, channel, o->lanes));
	Expr *m = o->multipliers ? loop_load_lanes(b, o->multipliers, channel, o->lanes)
	                         : number(cx, by.m, o->lanes);
	Expr *shift = o->shifts ? loop_load_lanes(b, o->shifts, channel, o->lanes)
	                        : number(cx, vector_scale_shift(&o->scale, by), o->lanes);

	if (o->multipliers) {
		m = loop_let(b, "m", m);
		shift = loop_let(b, "shift", shift);
	}
	y_at = loop_add(b, y_at, channel);
	for (int p = 0; p < pixels; p++) {
		Expr *at = loop_add(b, s_at, loop_idx(b, p * width));
		Expr *sum = loop_add(b, loop_load_lanes(b, sums, at, o->lanes), start);

		sum = vector_scale(cx, &o->scale, shifted(cx, KOP_SHL, sum, 1), m, shift);
		loop_store_cvt(b, cx->out[0], loop_add(b, y_at, loop_idx(b, p * o->c->oc)), sum);
	}
}

void
channel_outputs_store(const ChannelOutputs *o, LBuf *sums, int32_t width, Expr *y_at,
                      Expr *first, int32_t count, int pixels)
{
	LBuilder *b = &o->cx->b;
	int32_t whole = count / o->lanes * o->lanes, last = count - o->lanes;
	int depth = b->depth;
	Expr *i = whole > o->lanes ? loop_for_step(b, "i", 0, whole, o->lanes) : loop_idx(b, 0);

	store_channels(o, sums, width, y_at, lower_let(o->cx, "oc", loop_add(b, first, i)), i,
	               pixels);
	lower_end_to(o->cx, depth);
	/* The last ones overlap those before. */
	if (whole < count)
		store_channels(o, sums, width, y_at, loop_add(b, first, loop_idx(b, last)),
		               loop_idx(b, last), pixels);
}

/* ---- Sums ---- */

/* By one factor. */
static Expr *
scale_by(LowerCtx *cx, VectorScale s, Expr *x2, Multiplier by)
{
	Expr *m = number(cx, by.m, x2->lanes), *shift = NULL;

	s.powers = s.powers && by.shift <= -2;
	if (by.shift < 0)
		shift = number(cx, vector_scale_shift(&s, by), x2->lanes);
	return vector_scale(cx, &s, x2, m, shift);
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
add_elements(LowerCtx *cx, const Node *n, const Multiplier *by, Expr *i, const SumShape *shape,
             int lanes)
{
	LBuilder *b = &cx->b;
	int left = q_sum_factors(n).left;
	const Type *y = &n->out[0]->type;
	VectorScale term = {.range = {INT32_MIN, INT32_MAX}, .powers = shape->powers};
	VectorScale out = {quant_zero(y), quant_range(y, node_activation(n)), shape->powers};
	Expr *x[2];

	for (int k = 0; k < 2; k++) {
		x[k] = loop_cvt(b, DT_I32, loop_load_lanes(b, cx->in[k], i, lanes));
		x[k] = shifted(cx, KOP_SHL, plus(cx, x[k], -quant_zero(&n->in[k]->type)), left + 1);
		x[k] = loop_let(b, "term", scale_by(cx, term, x[k], by[k]));
	}
	x[0] = n->op == OP_SUB ? loop_sub(b, x[0], x[1]) : loop_add(b, x[0], x[1]);
	x[0] = scale_by(cx, out, shifted(cx, KOP_SHL, x[0], 1), by[2]);
	loop_store_cvt(b, cx->out[0], i, x[0]);
}

LFunc *
vector_sum_lower(Arena *a, const Node *n, const SumShape *shape)
{
	Multiplier by[3];
	LowerCtx cx;
	int lanes = shape->at_once;
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
	add_elements(&cx, n, by, loop_for_step(&cx.b, "i", 0, whole, lanes), shape, lanes);
	loop_end(&cx.b);
	if (whole < count) {
		add_elements(&cx, n, by, loop_for(&cx.b, "i", whole, count), shape, 0);
		loop_end(&cx.b);
	}
	return loop_finish(&cx.b);
}
