/*
 * Sums of output channels that lie in memory become outputs, a vector of neighbouring
 * channels at a time, for several pixels that share what the channels are scaled by.
 */
#include "codegen/kernels/vector.h"

static Expr *
number(LowerCtx *cx, int32_t v, int lanes)
{
	return loop_splat(&cx->b, loop_int(&cx->b, DT_I32, v), lanes);
}

static bool
fits_form(const Conv *c, const VectorScale *s)
{
	VectorFactor f;

	for (int32_t i = 0; i < c->oc; i++)
		if ((c->channel[i].by.m != 0 && c->channel[i].by.shift > -1) ||
		    !vector_factor(s, c->channel[i].by, &f))
			return false;
	return true;
}

static bool
choose_scale(const Conv *c, VectorScale *s)
{
	static const ScaleForm form[] = {SCALE_POWERS, SCALE_TWICE};

	for (int i = 0; i < 2; i++) {
		*s = (VectorScale){form[i], c->n->graph->single_rounding, c->y_zero, c->range};
		if (fits_form(c, s))
			return true;
	}
	return false;
}

bool
channel_outputs_fit(const Conv *c, int lanes)
{
	VectorScale s;

	return c->oc >= lanes && choose_scale(c, &s);
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
	ChannelOutputs o = {.cx = cx, .c = c, .lanes = lanes};
	int32_t *word[4]; /* starts, multipliers, shifts, and what is added before those */

	choose_scale(c, &o.scale);
	for (int k = 0; k < 4; k++)
		word[k] = ARENA_ARRAY(cx->arena, int32_t, c->oc);
	for (int32_t i = 0; i < c->oc; i++) {
		VectorFactor f;

		vector_factor(&o.scale, c->channel[i].by, &f);
		word[0][i] = c->channel[i].bias;
		word[1][i] = f.m;
		word[2][i] = f.shift;
		word[3][i] = f.more;
	}
	o.start = lower_constant(cx, "start", DT_I32, c->oc, word[0]);
	if (is_uniform(c))
		return o;
	o.multipliers = lower_constant(cx, "multipliers", DT_I32, c->oc, word[1]);
	o.shifts = lower_constant(cx, "shifts", DT_I32, c->oc, word[2]);
	if (o.scale.form != SCALE_POWERS)
		o.more = lower_constant(cx, "more", DT_I32, c->oc, word[3]);
	return o;
}

/* From a constant, or for all channels. */
static Expr *
factor(const ChannelOutputs *o, const char *name, LBuf *buf, Expr *channel, int32_t otherwise)
{
	LBuilder *b = &o->cx->b;

	return buf ? loop_let(b, name, loop_load_lanes(b, buf, channel, o->lanes))
	           : number(o->cx, otherwise, o->lanes);
}

void
channel_vector_store(const ChannelOutputs *o, LBuf *sums, Expr *s_at, int32_t width, Expr *y_at,
                     Expr *channel, int pixels)
{
	LowerCtx *cx = o->cx;
	LBuilder *b = &cx->b;
	VectorFactor f;
	Expr *start = factor(o, "start", o->start, channel, 0), *m, *shift, *more;

	vector_factor(&o->scale, o->c->channel[0].by, &f);
	m = factor(o, "m", o->multipliers, channel, f.m);
	shift = factor(o, "shift", o->shifts, channel, f.shift);
	more = factor(o, "more", o->more, channel, f.more);
	y_at = loop_add(b, y_at, channel);
	for (int p = 0; p < pixels; p++) {
		Expr *at = loop_add(b, s_at, loop_idx(b, p * width));
		Expr *sum = loop_add(b, loop_load_lanes(b, sums, at, o->lanes), start);

		loop_store_cvt(b, cx->out[0], loop_add(b, y_at, loop_idx(b, p * o->c->oc)),
		               vector_scale(cx, &o->scale, sum, m, shift, more));
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

	channel_vector_store(o, sums, i, width, y_at,
	                     lower_let(o->cx, "oc", loop_add(b, first, i)), pixels);
	lower_end_to(o->cx, depth);
	/* The last ones overlap those before. */
	if (whole < count)
		channel_vector_store(o, sums, loop_idx(b, last), width, y_at,
		                     loop_add(b, first, loop_idx(b, last)), pixels);
}
