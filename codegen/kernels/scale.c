/*
 * The cheapest exact form of requantisation with multipliers known at compile time.
 *
 * With v the rounded high product, TFLite rounds v / 2^n half away from zero, which is
 * (((v + (v >> 31)) >> (n - 1)) + 1) >> 1 for n >= 1.  The zero point is added before
 * the last shift.  v is (2 * sum * m + 2^31) >> 32, one instruction on some machines;
 * 2 * sum does not wrap around, as conv_read() has seen to.  With one rounding it is
 * ((mulh(2 * sum, m) >> (n - 1)) + 1) >> 1.
 *
 * A sum is negative where v is, and then so is what is rounded: with an activation that
 * starts at the zero point it becomes that, however it is rounded, and v >> 31 is left
 * out.
 *
 * For n >= 2 the last steps are also the high half, rounded, of v * 2^(32 - n), plus the
 * zero point: one instruction on machines with DSP.
 *
 * Without a high product m is taken apart, its lowest bits first, into parts so short that
 * a sum times a part has 32 bits.  Rounding down commutes with adding whole numbers, so
 * that what a part gives is shifted and added to the next one's product, and no bits are
 * lost.  The shift after the last part is made together with that by n - 1.
 *
 * Factors of a half and more (n < 1) take the form of the reference lowering.
 */
#include "codegen/kernels/conv.h"

#include <string.h>

static bool
is_uniform(const Conv *c)
{
	for (int32_t i = 1; i < c->oc; i++)
		if (c->channel[i].by.m != c->channel[0].by.m ||
		    c->channel[i].by.shift != c->channel[0].by.shift)
			return false;
	return true;
}

static bool
is_fast(const Conv *c)
{
	for (int32_t i = 0; i < c->oc; i++)
		if (c->channel[i].by.m != 0 &&
		    (c->channel[i].by.shift > -1 || c->channel[i].by.shift < -31))
			return false;
	return true;
}

Scale
scale_begin(LowerCtx *cx, const Conv *c)
{
	bool single = cx->single_rounding || dot_sum_type(c->n) == DT_I64;
	Scale s = {.fast = is_fast(c), .single = single, .uniform = is_uniform(c),
	           .y_zero = c->y_zero, .range = c->range};

	s.doubled = dot_sum_type(c->n) == DT_I64;
	s.twice = s.fast && !s.doubled;
	if (!s.fast)
		s.dot = dot_begin(cx, c->n);
	return s;
}

/* ---- Multipliers in parts ---- */

enum { MULTIPLIER_BITS = 31, LEAST_PART = 8 };

/* Bits of the highest of all parts. */
static int
top_part(const Scale *s)
{
	int above = MULTIPLIER_BITS % s->part;

	/* A short rest joins the part below. */
	return above == 0 ? s->part : above <= 1 ? s->part + above : above;
}

/* Whether sums times numbers of so many bits, and what is added to that, have 32 bits. */
static bool
fits_part(const Conv *c, int bits)
{
	for (int32_t i = 0; i < c->oc; i++) {
		const ConvChannel *channel = &c->channel[i];
		int64_t most = channel->hi > -channel->lo ? channel->hi : -channel->lo;

		if ((most + 2) << bits > INT32_MAX)
			return false;
	}
	return true;
}

void
scale_use_parts(Scale *s, const Conv *c)
{
	Scale parts = *s;

	parts.part = 0;
	for (int bits = 10; bits >= LEAST_PART && s->fast && !parts.part; bits -= 2) {
		parts.part = bits;
		if (!fits_part(c, top_part(&parts) > bits ? top_part(&parts) : bits))
			parts.part = 0;
	}
	if (!parts.part)
		return;
	for (int32_t i = 0; i < c->oc; i++)
		if (c->channel[i].by.m != 0 &&
		    top_part(&parts) - c->channel[i].by.shift - 1 + s->doubled > MULTIPLIER_BITS)
			return;
	parts.twice = false;
	*s = parts;
}

void
scale_use_powers(Scale *s, const Conv *c)
{
	s->powers = s->fast;
	for (int32_t i = 0; i < c->oc; i++)
		s->powers &= c->channel[i].by.m == 0 || c->channel[i].by.shift <= -2;
}

static bool
is_short(int32_t start)
{
	return start >= -(1 << 23) && start < 1 << 23;
}

void
scale_pack(Scale *s, const Conv *c)
{
	s->packed = scale_is_by_channel(s);
	for (int32_t i = 0; i < c->oc; i++)
		s->packed &= is_short(c->channel[i].bias) && is_short(c->channel[i].plain);
}

bool
scale_fits_packed(const Conv *c)
{
	return is_fast(c);
}

/* Of a power of two its exponent is kept. */
uint32_t
scale_packed_shift_of(const Scale *s, const Conv *c, int32_t channel)
{
	int32_t shift = -c->channel[channel].by.shift - 1;

	if (c->channel[channel].by.m == 0)
		return 0;
	return (uint32_t)(s->powers ? 31 - shift : shift);
}

uint32_t
scale_packed_word(const Scale *s, const Conv *c, int32_t channel, int32_t start)
{
	return (uint32_t)start << 8 | scale_packed_shift_of(s, c, channel);
}

Expr *
scale_packed_start(LowerCtx *cx, Expr *word)
{
	return loop_op2(&cx->b, KOP_SHR, word, loop_int(&cx->b, DT_I32, 8));
}

Expr *
scale_packed_shift(LowerCtx *cx, const Scale *s, Expr *word)
{
	LBuilder *b = &cx->b;
	Expr *shift = loop_op2(b, KOP_AND, word, loop_int(b, DT_I32, 31));

	return s->powers ? loop_op2(b, KOP_SHL, loop_int(b, DT_I32, 1), shift) : shift;
}

int32_t
scale_multiplier(const Conv *c, int32_t channel)
{
	return c->channel[channel].by.m;
}

int32_t
scale_shift(const Scale *s, const Conv *c, int32_t channel)
{
	int shift = -c->channel[channel].by.shift;

	/* A factor of 0 gives 0 after any shift. */
	if (c->channel[channel].by.m == 0)
		return 0;
	if (s->part)
		return shift - 1 + top_part(s) + s->doubled;
	return s->powers ? (int32_t)(UINT32_C(1) << (32 - shift)) : shift - 1;
}

static Expr *
plus(LBuilder *b, Expr *x, int32_t v)
{
	return v == 0 ? x : loop_add(b, x, loop_int(b, DT_I32, v));
}

static Expr *
shifted(LBuilder *b, KOp op, Expr *x, int bits)
{
	return bits ? loop_op2(b, op, x, loop_int(b, x->type, bits)) : x;
}

/* The high product in units of its last bit and as many below as the highest part has. */
static Expr *
product_by_parts(LBuilder *b, const Scale *s, Expr *sum, Expr *m)
{
	int top = top_part(s), bits = s->part;
	Expr *v = NULL;

	for (int low = 0; low < MULTIPLIER_BITS; low += bits) {
		bool last = low + top == MULTIPLIER_BITS;
		Expr *part = loop_bits(b, DT_U32, m), *product;

		part = shifted(b, KOP_SHL, part, last ? 0 : 32 - low - bits);
		part = loop_bits(b, DT_I32, shifted(b, KOP_SHR, part, last ? low : 32 - bits));
		product = loop_mul(b, sum, part);
		v = v ? loop_add(b, shifted(b, KOP_SHR, v, bits), product) : product;
		if (last)
			return s->single ? v : plus(b, v, 1 << (top - 1));
		v = loop_let(b, "part", v);
	}
	return v;
}

static Expr *
scale_by_parts(LowerCtx *cx, const Scale *s, Expr *sum, Expr *m, Expr *shift)
{
	LBuilder *b = &cx->b;
	Expr *v = product_by_parts(b, s, sum, m);

	if (!s->single && s->range.lo < s->y_zero) {
		v = loop_let(b, "v", v);
		v = loop_add(b, v, shifted(b, KOP_SHL, shifted(b, KOP_SHR, v, 31), top_part(s)));
	}
	v = plus(b, loop_op2(b, KOP_SHR, v, shift), 1 + 2 * s->y_zero);
	return shifted(b, KOP_SHR, v, 1);
}

static Expr *
scale_fast(LowerCtx *cx, const Scale *s, Expr *sum2, Expr *m, Expr *shift)
{
	LBuilder *b = &cx->b;
	Expr *v;

	if (s->part)
		return scale_by_parts(cx, s, sum2, m, shift);
	v = loop_packed(b, s->single ? POP_MULH : POP_MULH_ROUND, sum2, m, NULL);

	if (!s->single && s->range.lo < s->y_zero) {
		v = loop_let(b, "v", v);
		v = loop_add(b, v, loop_op2(b, KOP_SHR, v, loop_int(b, DT_I32, 31)));
	}
	if (s->powers)
		return loop_packed(b, POP_MULH_ROUND_ADD, v, shift, loop_int(b, DT_I32, s->y_zero));
	v = plus(b, loop_op2(b, KOP_SHR, v, shift), 1 + 2 * s->y_zero);
	return loop_op2(b, KOP_SHR, v, loop_int(b, DT_I32, 1));
}

void
scale_store(LowerCtx *cx, const Scale *s, Expr *y_at, Expr *channel, Expr *sum2, Expr *m,
            Expr *shift)
{
	LBuilder *b = &cx->b;

	if (s->fast && s->range.lo == INT8_MIN && s->range.hi == INT8_MAX)
		loop_store_cvt(b, cx->out[0], y_at,
		               loop_packed(b, POP_SAT8, scale_fast(cx, s, sum2, m, shift), NULL,
		                           NULL));
	else if (s->fast)
		q_store(cx, cx->out[0], y_at, scale_fast(cx, s, sum2, m, shift), 0, s->range);
	else
		dot_store(cx, &s->dot, y_at, channel, sum2);
}

/* ---- Constants ---- */

bool
scale_is_by_channel(const Scale *s)
{
	return s->fast && !s->uniform;
}

int32_t
scale_channel_words(const Scale *s)
{
	return !scale_is_by_channel(s) ? 0 : s->packed ? 1 : 2;
}

int32_t
scale_header_words(const Scale *s)
{
	return s->fast && s->uniform ? 2 : 0;
}

void
stream_put(Stream *to, uint32_t word)
{
	memcpy(&to->word[to->n++], &word, sizeof word);
}

void
scale_put_header(const Scale *s, const Conv *c, Stream *to)
{
	if (!scale_header_words(s))
		return;
	stream_put(to, (uint32_t)scale_multiplier(c, 0));
	stream_put(to, (uint32_t)scale_shift(s, c, 0));
}

void
scale_put_channels(const Scale *s, const Conv *c, int32_t first, int32_t count, Stream *to)
{
	if (!scale_is_by_channel(s))
		return;
	for (int32_t i = first; i < first + count; i++) {
		stream_put(to, i < c->oc ? (uint32_t)scale_multiplier(c, i) : 0);
		if (!s->packed)
			stream_put(to, i < c->oc ? (uint32_t)scale_shift(s, c, i) : 0);
	}
}
