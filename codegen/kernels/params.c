#include "codegen/kernels/params.h"

#include <assert.h>

Params
params_begin(LowerCtx *cx, const Conv *c, int channels)
{
	return (Params){.cx = cx, .c = c, .scale = scale_begin(cx, c), .channels = channels,
	                .has_starts = true};
}

int32_t
params_groups(const Params *p)
{
	return (p->c->oc - 1) / p->channels + 1;
}

static int32_t
group_words(const Params *p)
{
	return p->channels * (p->has_starts + scale_channel_words(&p->scale));
}

void
params_make(Params *p, uint32_t (*start)(void *user, int32_t first, int i), void *user)
{
	const Conv *c = p->c;
	int32_t n = scale_header_words(&p->scale) + params_groups(p) * group_words(p);
	Stream s = {.word = ARENA_ARRAY(p->cx->arena, int32_t, n)};

	scale_put_header(&p->scale, c, &s);
	for (int32_t first = 0; first < c->oc; first += p->channels) {
		for (int i = 0; i < p->channels && p->has_starts; i++) {
			int32_t oc = first + i;
			uint32_t bias = oc < c->oc ? (uint32_t)c->channel[oc].bias : 0;

			stream_put(&s, start && oc < c->oc ? start(user, first, i) : bias);
		}
		scale_put_channels(&p->scale, c, first, p->channels, &s);
	}
	assert(s.n == n);
	if (n > 0)
		p->buf = lower_constant(p->cx, "params", DT_I32, n, s.word);
}

Expr *
params_load(LowerCtx *cx, LBuf *buf, Expr *at, int32_t more)
{
	return loop_load_compute(&cx->b, buf, loop_add(&cx->b, at, loop_idx(&cx->b, more)));
}

Expr *
params_of_group(const Params *p, Expr *group)
{
	Expr *at = loop_affine(&p->cx->b, group, group_words(p), scale_header_words(&p->scale));

	return lower_let(p->cx, "p_g", at);
}

Expr *
params_start(const Params *p, Expr *p_at, int i)
{
	return params_load(p->cx, p->buf, p_at, i);
}

Expr *
params_sum(const Params *p, Expr *sum)
{
	LBuilder *b = &p->cx->b;

	return p->scale.twice ? loop_op2(b, KOP_SHL, sum, loop_int(b, DT_I32, 1)) : sum;
}

void
params_store(const Params *p, Expr *group, Expr *p_at, Expr *y_at, int i, Expr *const *sum,
             int pixels)
{
	LBuilder *b = &p->cx->b;
	int32_t oc = p->c->oc, channels = p->channels, at = (p->has_starts ? channels : 0) + 2 * i;
	int depth = b->depth;
	Expr *channel = loop_affine(b, group, channels, i), *m = NULL, *shift = NULL;

	if (oc % channels != 0 && (oc - 1) % channels < i)
		loop_if(b, loop_op2(b, KOP_LT, channel, loop_idx(b, oc)));
	if (!scale_is_by_channel(&p->scale)) {
		p_at = loop_idx(b, 0);
		at = 0;
	}
	if (p->scale.fast) {
		m = loop_let(b, "m", params_load(p->cx, p->buf, p_at, at));
		shift = loop_let(b, "shift", params_load(p->cx, p->buf, p_at, at + 1));
	}
	for (int k = 0; k < pixels; k++)
		scale_store(p->cx, &p->scale, loop_add(b, y_at, loop_idx(b, k * oc + i)), channel,
		            sum[k], m, shift);
	lower_end_to(p->cx, depth);
}
