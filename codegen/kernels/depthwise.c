/*
 * Depthwise convolutions for machines that multiply 16-bit halves of registers.
 *
 * A block is P pixels of a row by four channels.  The pixels come from a row buffer of
 * elements as they are; the four channels of a pixel are one load and two instructions
 * that take out the even and the odd ones.  With stride 1 a column that two pixels of
 * the block share is loaded once.  Weights are one stream of words, read from its start
 * for every block of pixels:
 *
 *	[m, shift]	where all channels have the same multiplier
 *	for each four channels:
 *		what the sums start with, four words, (shape.packed) with the shifts
 *		for each tap two words: weights of channels 0 and 2, of 1 and 3; or
 *		(shape.bytes) one word of four weights
 *		[m and shift of each, or only m]
 */
#include <assert.h>
#include <string.h>

#include "codegen/kernels/generate.h"
#include "codegen/kernels/rows.h"

enum { MAX_PIXELS = 2, FOUR = 4 };

typedef struct {
	LowerCtx cx;
	const Conv *c;
	DepthwiseShape shape;
	Scale scale;
	Rows rows;
	int32_t quads;  /* groups of four channels */
	int32_t header, group_words;
	int32_t four_units; /* of four channels in the row buffer */
	LBuf *stream;
	LVar *sum[MAX_PIXELS][FOUR];
} Depthwise;

/* ---- The stream ---- */

static uint32_t
lanes(int32_t first, int32_t second)
{
	return ((uint32_t)first & 0xffff) | (uint32_t)second << 16;
}

static int32_t
weight(const Conv *c, int32_t channel, int32_t tap)
{
	return channel < c->oc ? conv_weight(c, channel, 0, tap, 0) : 0;
}

static void
put_tap(const Depthwise *d, Stream *s, int32_t first, int32_t tap)
{
	uint32_t even = lanes(weight(d->c, first, tap), weight(d->c, first + 2, tap));
	uint32_t odd = lanes(weight(d->c, first + 1, tap), weight(d->c, first + 3, tap));

	if (d->shape.bytes) {
		stream_put(s, (even & 0xff00ff) | (odd & 0xff00ff) << 8);
		return;
	}
	stream_put(s, even);
	stream_put(s, odd);
}

static void
put_four(const Depthwise *d, Stream *s, int32_t first)
{
	const Conv *c = d->c;

	for (int32_t i = first; i < first + FOUR; i++) {
		int32_t bias = i < c->oc ? c->channel[i].bias : 0;

		stream_put(s, d->scale.packed && i < c->oc ? scale_packed_word(&d->scale, c, i, bias)
		                                           : (uint32_t)bias);
	}
	for (int32_t tap = 0; tap < c->kh * c->kw; tap++)
		put_tap(d, s, first, tap);
	scale_put_channels(&d->scale, c, first, FOUR, s);
}

static void
make_stream(Depthwise *d)
{
	const Conv *c = d->c;
	Stream s = {0};
	int32_t n;

	d->quads = (c->oc - 1) / FOUR + 1;
	d->header = scale_header_words(&d->scale);
	d->group_words = FOUR + (d->shape.bytes ? 1 : 2) * c->kh * c->kw +
	                 FOUR * scale_channel_words(&d->scale);
	n = d->header + d->quads * d->group_words;
	s.word = ARENA_ARRAY(d->cx.arena, int32_t, n);
	scale_put_header(&d->scale, c, &s);
	for (int32_t i = 0; i < d->quads; i++)
		put_four(d, &s, FOUR * i);
	assert(s.n == n);
	d->stream = lower_constant(&d->cx, "weights", DT_I32, n, s.word);
}

/* ---- Sums ---- */

static LBuilder *
builder(Depthwise *d)
{
	return &d->cx.b;
}

static Expr *
stream_word(Depthwise *d, Expr *at, int32_t more)
{
	LBuilder *b = builder(d);

	return loop_load(b, d->stream, loop_add(b, at, loop_idx(b, more)));
}

/* Four bytes: the even and the odd ones. */
static void
unpack(Depthwise *d, Expr *four, Expr *x[2])
{
	LBuilder *b = builder(d);

	four = loop_let(b, "four", four);
	x[0] = loop_let(b, "even", loop_packed(b, POP_EVEN8, four, NULL, NULL));
	x[1] = loop_let(b, "odd", loop_packed(b, POP_ODD8, four, NULL, NULL));
}

/* The weights of tap kx of a row. */
static void
load_weights(Depthwise *d, Expr *w_at, int32_t kx, Expr *w[2])
{
	LBuilder *b = builder(d);

	if (d->shape.bytes) {
		unpack(d, stream_word(d, w_at, kx), w);
		return;
	}
	for (int i = 0; i < 2; i++)
		w[i] = loop_let(b, "wk", stream_word(d, w_at, 2 * kx + i));
}

/* Four channels of a pixel. */
static void
load_pixel(Depthwise *d, Expr *at, Expr *x[2])
{
	LBuilder *b = builder(d);

	unpack(d, d->rows.form == ROWS_BYTES ? loop_load(b, d->rows.buf, at)
	                                     : loop_load_wide(b, d->rows.buf, at), x);
}

static void
add_products(Depthwise *d, int pixel, Expr *const *x, Expr *const *w)
{
	LBuilder *b = builder(d);

	for (int i = 0; i < FOUR; i++) {
		LVar *sum = d->sum[pixel][i];

		loop_set(b, sum, loop_packed(b, i < 2 ? POP_MAC_BB : POP_MAC_TT, x[i % 2],
		                             w[i % 2], loop_get(b, sum)));
	}
}

/* A row of the kernel; x_at is where the first pixel's window starts in its row. */
static void
add_row(Depthwise *d, Expr *x_at, Expr *w_at)
{
	const Conv *c = d->c;
	LBuilder *b = builder(d);
	int32_t step = c->oc / rows_per_unit(&d->rows); /* to the next column */
	bool slides = c->sx == 1 && c->dx == 1;
	Expr *x[2];

	if (slides)
		load_pixel(d, x_at, x);
	for (int32_t kx = 0; kx < c->kw; kx++) {
		Expr *w[2];

		load_weights(d, w_at, kx, w);
		for (int p = 0; p < d->shape.pixels; p++) {
			int32_t column = p * c->sx + kx * c->dx;

			if (!slides || p > 0 || (d->shape.pixels == 1 && kx > 0))
				load_pixel(d, loop_add(b, x_at, loop_idx(b, column * step)), x);
			add_products(d, p, x, w);
		}
	}
}

/* Keeps compilers from computing the sums of a row later, where its elements would
 * have to be remembered. */
static void
keep_sums(Depthwise *d)
{
	LBuilder *b = builder(d);

	for (int p = 0; p < d->shape.pixels; p++)
		for (int i = 0; i < FOUR; i++) {
			LVar *sum = d->sum[p][i];

			loop_set(b, sum, loop_packed(b, POP_KEEP, loop_get(b, sum), NULL, NULL));
		}
}

static void
add_window(Depthwise *d, Expr *first, Expr *x_at, Expr *w_at)
{
	LBuilder *b = builder(d);
	const Conv *c = d->c;
	int32_t words = (d->shape.bytes ? 1 : 2) * c->kw;
	bool unroll = c->kh * c->kw <= d->shape.unroll;
	int depth = b->depth;

	for (int32_t i = 0; i < (unroll ? c->kh : 1); i++) {
		Expr *ky = unroll ? loop_idx(b, i) : lower_for(&d->cx, "ky", c->kh);
		Expr *row = loop_add(b, rows_row(&d->cx, &d->rows, first, ky), x_at);

		row = lower_let(&d->cx, "x_ky", row);
		add_row(d, row, lower_let(&d->cx, "w_ky",
		                          loop_add(b, w_at, loop_affine(b, ky, words, 0))));
		keep_sums(d);
	}
	lower_end_to(&d->cx, depth);
}

/* ---- Outputs ---- */

typedef struct {
	Expr *left; /* pixels from the block's first one on; NULL: all of them exist */
	Expr *y_at;
	Expr *channel;
	Expr *start; /* of the group's words */
	Expr *w_at; /* of the multipliers */
	Expr *m, *shift; /* of all channels, or NULL */
} Outputs;

/* The multiplier and the shift of channel `i` of the group. */
static void
load_scale(Depthwise *d, const Outputs *o, int i, Expr **m, Expr **shift)
{
	LBuilder *b = builder(d);
	int32_t each = scale_channel_words(&d->scale);

	*m = loop_let(b, "m", stream_word(d, o->w_at, each * i));
	if (d->scale.packed)
		*shift = scale_packed_shift(&d->cx, &d->scale, stream_word(d, o->start, i));
	else
		*shift = stream_word(d, o->w_at, each * i + 1);
	*shift = loop_let(b, "shift", *shift);
}

static void
store_channel(Depthwise *d, const Outputs *o, int i)
{
	LBuilder *b = builder(d);
	Expr *channel = loop_add(b, o->channel, loop_idx(b, i)), *m = o->m, *shift = o->shift;
	int depth = b->depth;

	if (d->c->oc % FOUR != 0 && (d->c->oc - 1) % FOUR < i)
		loop_if(b, loop_op2(b, KOP_LT, channel, loop_idx(b, d->c->oc)));
	if (d->scale.fast && !m)
		load_scale(d, o, i, &m, &shift);
	for (int p = 0; p < d->shape.pixels; p++) {
		bool may_end = o->left && p > 0;
		Expr *sum = loop_get(b, d->sum[p][i]);

		if (may_end)
			loop_if(b, loop_op2(b, KOP_GT, o->left, loop_idx(b, p)));
		if (d->scale.fast)
			sum = loop_op2(b, KOP_SHL, sum, loop_int(b, DT_I32, 1));
		scale_store(&d->cx, &d->scale, loop_add(b, o->y_at, loop_idx(b, p * d->c->oc + i)),
		            channel, sum, m, shift);
		if (may_end)
			loop_end(b);
	}
	lower_end_to(&d->cx, depth);
}

/* All channels of a block of pixels. */
static void
lower_block(Depthwise *d, Outputs o, Expr *first, Expr *x_at)
{
	LBuilder *b = builder(d);
	int depth = b->depth;
	Expr *g = lower_for(&d->cx, "group", d->quads), *w_at;

	w_at = lower_let(&d->cx, "w_g", loop_affine(b, g, d->group_words, d->header));
	o.start = w_at;
	for (int p = 0; p < d->shape.pixels; p++)
		for (int i = 0; i < FOUR; i++) {
			Expr *start = stream_word(d, w_at, i);

			d->sum[p][i] = loop_var(b, "sum", d->scale.packed ? scale_packed_start(&d->cx, start)
			                                                  : start);
		}
	x_at = loop_add(b, x_at, loop_affine(b, g, d->four_units, 0));
	add_window(d, first, lower_let(&d->cx, "x_g", x_at), loop_add(b, w_at, loop_idx(b, FOUR)));
	o.channel = loop_affine(b, g, FOUR, 0);
	o.y_at = lower_let(&d->cx, "y_g", loop_add(b, o.y_at, o.channel));
	o.w_at = loop_add(b, w_at, loop_idx(b, d->group_words -
	                                       FOUR * scale_channel_words(&d->scale)));
	for (int i = 0; i < FOUR && i < d->c->oc; i++)
		store_channel(d, &o, i);
	lower_end_to(&d->cx, depth);
}

static void
lower_rows(Depthwise *d)
{
	const Conv *c = d->c;
	LBuilder *b = builder(d);
	int32_t pixels = d->shape.pixels, step = c->oc / rows_per_unit(&d->rows);
	Expr *image, *oy, *ox, *first, *y_at;
	Outputs o = {0};

	rows_begin(&d->cx, &d->rows);
	if (d->header) {
		o.m = loop_let(b, "m", stream_word(d, loop_idx(b, 0), 0));
		o.shift = loop_let(b, "shift", stream_word(d, loop_idx(b, 0), 1));
	}
	image = lower_for(&d->cx, "n", c->batch);
	y_at = loop_affine(b, image, c->out_h * c->out_w * c->oc, 0);
	image = lower_let(&d->cx, "x_n", loop_affine(b, image, c->in_h * c->in_w * c->oc, 0));
	oy = lower_for(&d->cx, "oy", c->out_h);
	rows_fill(&d->cx, &d->rows, image, oy);
	first = rows_first_slot(&d->cx, &d->rows, oy);
	y_at = loop_add(b, y_at, loop_affine(b, oy, c->out_w * c->oc, 0));
	y_at = lower_let(&d->cx, "y_oy", y_at);
	ox = c->out_w > pixels ? loop_for_step(b, "ox", 0, c->out_w, pixels) : loop_idx(b, 0);
	if (c->out_w % pixels != 0)
		o.left = loop_sub(b, loop_idx(b, c->out_w), ox);
	o.y_at = lower_let(&d->cx, "y_ox", loop_add(b, y_at, loop_affine(b, ox, c->oc, 0)));
	lower_block(d, o, first, lower_let(&d->cx, "x_ox", loop_affine(b, ox, c->sx * step, 0)));
	lower_end_to(&d->cx, 0);
}

LFunc *
depthwise_lower(Arena *a, const Conv *c, const DepthwiseShape *shape)
{
	Depthwise d = {.c = c, .shape = *shape};
	int32_t columns = (c->out_w - 1) / shape->pixels * shape->pixels + shape->pixels;

	assert(c->ic == 1 && c->groups == c->oc && shape->pixels <= MAX_PIXELS);
	lower_begin(&d.cx, a, c->n);
	d.scale = scale_begin(&d.cx, c);
	scale_use_powers(&d.scale, c);
	if (shape->packed)
		scale_pack(&d.scale, c);
	d.rows = rows_plan_bytes(c, columns, false);
	d.four_units = FOUR / rows_per_unit(&d.rows);
	make_stream(&d);
	lower_name_inputs(&d.cx, c->n, (const char *const[]){"x", "w", "bias"});
	lower_rows(&d);
	return loop_finish(&d.cx.b);
}
