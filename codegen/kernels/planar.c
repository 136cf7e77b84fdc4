/*
 * Depthwise convolutions channel by channel: weights and multiplier of a channel stay in
 * registers while its outputs are computed.
 *
 * Four channels of some rows of the input are taken apart into planes in scratch memory,
 * with the padding around them.  A word of a plane is four neighbours of a row; its even
 * and odd elements are pairs for one instruction with two products.  With stride 1 two
 * pixels share what they load: where e and o are the even and the odd elements from
 * column x on, pixel x takes (e0, e1) and (o0, o1) for its taps 0, 2 and 1, 3, and pixel
 * x + 1 takes o for taps 0, 2 and the even elements from x + 2 on for taps 1, 3.
 *
 * Constants are one stream of words:
 *
 *	[m, shift]	where all channels have the same multiplier
 *	for each channel:
 *		what the sum starts with
 *		weights of 16 bits: pairs for taps t and t + 2, row by row; then single
 *		ones, two in a word
 *		[m, shift]
 *
 * Weights and starts are twice what they are where twice the sum is wanted (scale.fast).
 * When the number of channels is no multiple of four, the last four overlap with those
 * before.
 *
 * Rows and columns may change places (`view`), so that neighbours are along the longer
 * side.
 */
#include <assert.h>

#include "codegen/kernels/generate.h"

enum { MOST_TAPS = 64, LANES = 4, PIXELS = 2 };

typedef struct {
	LowerCtx cx;
	const Conv *c;           /* rows are those of the planes: */
	Conv view;
	bool turned;             /* they are columns of the tensors */
	int32_t x_pixel, x_row, y_pixel, y_row; /* elements from one to the next */
	int32_t blocks;          /* pairs of pixels in the body of the loop */
	Scale scale;
	int32_t lanes;           /* channels at a time: four, or one */
	int32_t rows, strips;    /* output rows at a time, and how often */
	int32_t slots, pitch;    /* rows of a plane, and their bytes */
	int32_t pairs, singles;  /* weights of a row of the kernel */
	int32_t header, channel_words;
	LBuf *stream, *planes;
	Expr *w[MOST_TAPS];      /* words of weights of a channel */
	Expr *start, *m, *shift;
} Planar;

static LBuilder *
builder(Planar *d)
{
	return &d->cx.b;
}

bool
planar_fits(const Conv *c, bool turned)
{
	return c->ic == 1 && c->groups == c->oc && (turned ? c->dy : c->dx) == 1 && c->kh * c->kw <= MOST_TAPS;
}

/* ---- Constants ---- */

/* The tap of pair or single weight i of a row: of four taps 0 and 1 start a pair, of the
 * three, two or one behind all fours the first of three does. */
static int32_t
pair_tap(int32_t i)
{
	return i / 2 * 4 + i % 2;
}

static int32_t
single_tap(const Planar *d, int32_t i)
{
	int32_t kw = d->c->kw;

	return kw % 4 == 3 ? kw - 2 : kw / 4 * 4 + i;
}

static uint32_t
weight(const Planar *d, int32_t channel, int32_t ky, int32_t kx)
{
	/* Taps of the view lie as in the tensor. */
	int32_t w = d->turned ? conv_weight_at(d->c, (channel * d->c->kw + kx) * d->c->kh + ky)
	                      : conv_weight(d->c, channel, ky, kx, 0);

	return (uint32_t)(d->scale.fast ? 2 * w : w) & 0xffff;
}

static int32_t
weight_words(const Planar *d)
{
	return d->c->kh * d->pairs + (d->c->kh * d->singles + 1) / 2;
}

static void
put_channel(const Planar *d, Stream *s, int32_t channel)
{
	const Conv *c = d->c;
	uint32_t bias = (uint32_t)c->channel[channel].bias;

	stream_put(s, d->scale.fast ? 2 * bias : bias);
	for (int32_t ky = 0; ky < c->kh; ky++)
		for (int32_t i = 0; i < d->pairs; i++)
			stream_put(s, weight(d, channel, ky, pair_tap(i)) |
			                      weight(d, channel, ky, pair_tap(i) + 2) << 16);
	for (int32_t i = 0; i < c->kh * d->singles; i += 2) {
		uint32_t word = weight(d, channel, i / d->singles, single_tap(d, i % d->singles));
		int32_t next = i + 1;

		if (next < c->kh * d->singles)
			word |= weight(d, channel, next / d->singles,
			               single_tap(d, next % d->singles)) << 16;
		stream_put(s, word);
	}
	scale_put_channels(&d->scale, c, channel, 1, s);
}

static void
make_stream(Planar *d)
{
	const Conv *c = d->c;
	Stream s = {0};
	int32_t n;

	d->header = scale_header_words(&d->scale);
	d->channel_words = 1 + weight_words(d) + (scale_is_by_channel(&d->scale) ? 2 : 0);
	n = d->header + c->oc * d->channel_words;
	s.word = ARENA_ARRAY(d->cx.arena, int32_t, n);
	scale_put_header(&d->scale, c, &s);
	for (int32_t i = 0; i < c->oc; i++)
		put_channel(d, &s, i);
	assert(s.n == n);
	d->stream = lower_constant(&d->cx, "weights", DT_I32, n, s.word);
}

/* ---- Planes ---- */

static void
fill_zero(Planar *d, Expr *from, int32_t count)
{
	LBuilder *b = builder(d);
	Expr *i = loop_for(b, "i", 0, count);

	loop_store(b, d->planes, loop_add(b, from, i), loop_int(b, DT_I8, d->c->x_zero));
	loop_end(b);
}

/* Columns of the input that windows reach. */
static int32_t
columns_of(const Planar *d)
{
	const Conv *c = d->c;
	int32_t room = (c->out_w - 1) * c->sx + c->kw - c->left;

	return room < 0 ? 0 : room < c->in_w ? room : c->in_w;
}

/* A pixel, of all lanes. */
static void
copy_pixel(Planar *d, Expr *x_at, Expr *to)
{
	LBuilder *b = builder(d);
	int32_t plane = d->slots * d->pitch;
	Expr *v;

	if (d->lanes == 1) {
		loop_store(b, d->planes, to, loop_load(b, d->cx.in[0], x_at));
		return;
	}
	v = loop_let(b, "v", loop_load_wide(b, d->cx.in[0], x_at));
	for (int i = 0; i < LANES; i++)
		loop_store_cvt(b, d->planes, loop_add(b, to, loop_idx(b, i * plane)),
		               i ? loop_op2(b, KOP_SHR, v, loop_int(b, DT_I32, 8 * i)) : v);
}

/* Pixels of a row, n at a time. */
static void
copy_pixels(Planar *d, Expr *x_at, Expr *to, int32_t from, int32_t past, int32_t n)
{
	LBuilder *b = builder(d);
	Expr *ix = loop_for_step(b, "ix", from, past, n);

	x_at = loop_add(b, x_at, loop_affine(b, ix, d->x_pixel, 0));
	to = loop_add(b, to, ix);
	for (int32_t k = 0; k < n; k++)
		copy_pixel(d, loop_add(b, x_at, loop_idx(b, k * d->x_pixel)),
		           loop_add(b, to, loop_idx(b, k)));
	loop_end(b);
}

static void
copy_row(Planar *d, Expr *x_at, Expr *to)
{
	int32_t columns = columns_of(d), whole = columns / 4 * 4;

	if (whole > 0)
		copy_pixels(d, x_at, to, 0, whole, 4);
	if (whole < columns)
		copy_pixels(d, x_at, to, whole, columns, 1);
}

/* The rows of a strip, for the channels from `first` on. */
static void
fill_planes(Planar *d, Expr *x_n, Expr *strip, Expr *first)
{
	const Conv *c = d->c;
	LBuilder *b = builder(d);
	int32_t lowest = d->strips > 1 ? 0 : c->top, past = d->strips > 1 ? d->slots : c->top + c->in_h;
	int depth = b->depth;
	Expr *row, *iy, *to;

	if (columns_of(d) == 0 || past <= lowest)
		return;
	row = loop_for(b, "row", lowest, past < d->slots ? past : d->slots);
	iy = loop_affine(b, strip, d->rows * c->sy, -c->top);
	iy = lower_let(&d->cx, "iy", loop_add(b, row, iy));
	to = lower_let(&d->cx, "to", loop_affine(b, row, d->pitch, c->left));
	if (d->strips > 1)
		loop_if(b, loop_op2(b, KOP_AND, loop_op2(b, KOP_GE, iy, loop_idx(b, 0)),
		                    loop_op2(b, KOP_LT, iy, loop_idx(b, c->in_h))));
	iy = loop_add(b, loop_affine(b, iy, d->x_row, 0), first);
	copy_row(d, lower_let(&d->cx, "x_y", loop_add(b, x_n, iy)), to);
	if (d->strips > 1) {
		loop_else(b);
		for (int i = 0; i < d->lanes; i++)
			fill_zero(d, loop_add(b, to, loop_idx(b, i * d->slots * d->pitch)),
			          columns_of(d));
	}
	lower_end_to(&d->cx, depth);
}

/* ---- Sums ---- */

static Expr *
stream_word(Planar *d, Expr *at, int32_t more)
{
	LBuilder *b = builder(d);

	return loop_load(b, d->stream, loop_add(b, at, loop_idx(b, more)));
}

static void
load_channel(Planar *d, Expr *channel)
{
	LBuilder *b = builder(d);
	int32_t words = weight_words(d);
	Expr *at = loop_affine(b, channel, d->channel_words, d->header);

	at = lower_let(&d->cx, "w_c", at);
	d->start = loop_let(b, "start", stream_word(d, at, 0));
	for (int32_t i = 0; i < words; i++)
		d->w[i] = loop_let(b, "wk", stream_word(d, at, 1 + i));
	if (scale_is_by_channel(&d->scale)) {
		d->m = loop_let(b, "m", stream_word(d, at, 1 + words));
		d->shift = loop_let(b, "shift", stream_word(d, at, 2 + words));
	}
}

/* Even and odd elements from one column of a row on. */
typedef struct {
	Expr *even, *odd;
} Quad;

static Quad
load_quad(Planar *d, Expr *x_at, int32_t more)
{
	LBuilder *b = builder(d);
	Expr *at = loop_add(b, x_at, loop_idx(b, more));
	Expr *v = loop_let(b, "v", loop_load_wide(b, d->planes, at));

	return (Quad){loop_let(b, "even", loop_packed(b, POP_EVEN8, v, NULL, NULL)),
	              loop_let(b, "odd", loop_packed(b, POP_ODD8, v, NULL, NULL))};
}

/* sum += the first or second of x by single weight i of the kernel. */
static Expr *
add_single(Planar *d, Expr *sum, Expr *x, bool second, int32_t i)
{
	LBuilder *b = builder(d);
	Expr *w = d->w[d->c->kh * d->pairs + i / 2];

	if (i % 2 == 0)
		return loop_packed(b, second ? POP_MAC_TB : POP_MAC_BB, x, w, sum);
	if (second)
		return loop_packed(b, POP_MAC_TT, x, w, sum);
	return loop_packed(b, POP_MAC_TB, w, x, sum);
}

/* A pixel's products of row ky, x_at + more being where its window starts there. */
static Expr *
add_row(Planar *d, Expr *sum, int32_t ky, Expr *x_at, int32_t more)
{
	LBuilder *b = builder(d);
	Expr *const *pair = d->w + ky * d->pairs;
	int32_t kw = d->c->kw, t = 0, single = ky * d->singles;

	for (; t < kw; t += 4) {
		Quad q = load_quad(d, x_at, more + t);

		if (kw - t < 3) {
			sum = add_single(d, sum, q.even, false, single++);
			if (kw - t == 2)
				sum = add_single(d, sum, q.odd, false, single);
			break;
		}
		sum = loop_packed(b, POP_DOT2, q.even, *pair++, sum);
		if (kw - t == 3)
			sum = add_single(d, sum, q.odd, false, single);
		else
			sum = loop_packed(b, POP_DOT2, q.odd, *pair++, sum);
	}
	return sum;
}

/* The same for two neighbours that share what they load. */
static void
add_row_twice(Planar *d, Expr *sum[PIXELS], int32_t ky, Expr *x_at, int32_t more)
{
	LBuilder *b = builder(d);
	Expr *const *pair = d->w + ky * d->pairs;
	int32_t kw = d->c->kw, single = ky * d->singles;

	for (int32_t t = 0; t < kw; t += 4) {
		Quad q = load_quad(d, x_at, more + t), next;

		if (kw - t < 3) {
			sum[0] = add_single(d, sum[0], q.even, false, single);
			sum[1] = add_single(d, sum[1], q.odd, false, single);
			if (kw - t == 2) {
				sum[0] = add_single(d, sum[0], q.odd, false, single + 1);
				sum[1] = add_single(d, sum[1], q.even, true, single + 1);
			}
			return;
		}
		sum[0] = loop_packed(b, POP_DOT2, q.even, pair[0], sum[0]);
		sum[1] = loop_packed(b, POP_DOT2, q.odd, *pair++, sum[1]);
		if (kw - t == 3) {
			sum[0] = add_single(d, sum[0], q.odd, false, single);
			sum[1] = add_single(d, sum[1], q.even, true, single);
			return;
		}
		next = load_quad(d, x_at, more + t + 2);
		sum[0] = loop_packed(b, POP_DOT2, q.odd, pair[0], sum[0]);
		sum[1] = loop_packed(b, POP_DOT2, next.even, *pair++, sum[1]);
	}
}

/* `pixels` outputs from y_at on; x_at is where the first one's window starts. */
static void
lower_block(Planar *d, Expr *y_at, Expr *x_at, Expr *channel, int pixels)
{
	const Conv *c = d->c;
	LBuilder *b = builder(d);
	LVar *var[PIXELS];

	for (int p = 0; p < pixels; p++)
		var[p] = loop_var(b, "sum", d->start);
	for (int32_t ky = 0; ky < c->kh; ky++) {
		int32_t more = ky * c->dy * d->pitch;
		Expr *sum[PIXELS];

		for (int p = 0; p < pixels; p++)
			sum[p] = loop_get(b, var[p]);
		if (pixels == PIXELS && c->sx == 1)
			add_row_twice(d, sum, ky, x_at, more);
		for (int p = 0; p < pixels; p++) {
			if (pixels != PIXELS || c->sx != 1)
				sum[p] = add_row(d, sum[p], ky, x_at, more + p * c->sx);
			loop_set(b, var[p], loop_packed(b, POP_KEEP, sum[p], NULL, NULL));
		}
	}
	for (int p = 0; p < pixels; p++)
		scale_store(&d->cx, &d->scale, loop_add(b, y_at, loop_idx(b, p * d->y_pixel)), channel,
		            loop_get(b, var[p]), d->m, d->shift);
}

/* The pixels from `from` on of a row, `step` of them at a time. */
static void
lower_blocks(Planar *d, Expr *y_at, Expr *x_at, Expr *channel, int32_t from, int32_t past,
             int32_t step)
{
	LBuilder *b = builder(d);
	Expr *ox = loop_for_step(b, "ox", from, past, step);

	y_at = loop_add(b, y_at, loop_affine(b, ox, d->y_pixel, 0));
	x_at = loop_add(b, x_at, loop_affine(b, ox, d->c->sx, 0));
	for (int32_t k = 0; k < step; k += PIXELS)
		lower_block(d, loop_add(b, y_at, loop_idx(b, k * d->y_pixel)),
		            loop_add(b, x_at, loop_idx(b, k * d->c->sx)), channel,
		            step < PIXELS ? step : PIXELS);
	loop_end(b);
}

/* The rows of a strip of one channel, whose plane starts at plane_at. */
static void
lower_channel(Planar *d, Expr *y_n, Expr *strip, Expr *plane_at, Expr *channel)
{
	const Conv *c = d->c;
	LBuilder *b = builder(d);
	int32_t step = PIXELS * d->blocks, whole = c->out_w / step * step;
	int32_t pairs = c->out_w / PIXELS * PIXELS;
	int depth = b->depth;
	Expr *left, *oy, *y_at, *x_at, *row;

	load_channel(d, channel);
	if (c->out_h % d->rows != 0) {
		left = loop_sub(b, loop_idx(b, c->out_h), loop_affine(b, strip, d->rows, 0));
		left = loop_op2(b, KOP_MIN, left, loop_idx(b, d->rows));
		oy = loop_for_expr(b, "oy", loop_idx(b, 0), lower_let(&d->cx, "left", left));
	} else {
		oy = lower_for(&d->cx, "oy", d->rows);
	}
	row = loop_add(b, loop_affine(b, strip, d->rows, 0), oy);
	y_at = loop_add(b, loop_add(b, y_n, loop_affine(b, row, d->y_row, 0)), channel);
	y_at = lower_let(&d->cx, "y_y", y_at);
	x_at = loop_add(b, plane_at, loop_affine(b, oy, c->sy * d->pitch, 0));
	x_at = lower_let(&d->cx, "x_y", x_at);
	if (whole > 0)
		lower_blocks(d, y_at, x_at, channel, 0, whole, step);
	if (whole < pairs)
		lower_blocks(d, y_at, x_at, channel, whole, pairs, PIXELS);
	if (pairs < c->out_w)
		lower_blocks(d, y_at, x_at, channel, pairs, c->out_w, 1);
	lower_end_to(&d->cx, depth);
}

/* Four channels after the other, in strips. */
static void
lower_images(Planar *d)
{
	const Conv *c = d->c;
	LBuilder *b = builder(d);
	int32_t plane = d->slots * d->pitch;
	Expr *image, *x_n, *y_n, *strip, *group, *first, *lane;

	d->planes = lower_scratch(&d->cx, "planes", DT_I8, d->lanes * plane);
	fill_zero(d, loop_idx(b, 0), d->lanes * plane);
	if (d->header) {
		d->m = loop_let(b, "m", stream_word(d, loop_idx(b, 0), 0));
		d->shift = loop_let(b, "shift", stream_word(d, loop_idx(b, 0), 1));
	}
	image = lower_for(&d->cx, "n", c->batch);
	x_n = lower_let(&d->cx, "x_n", loop_affine(b, image, c->in_h * c->in_w * c->oc, 0));
	y_n = lower_let(&d->cx, "y_n", loop_affine(b, image, c->out_h * c->out_w * c->oc, 0));
	strip = lower_for(&d->cx, "strip", d->strips);
	group = lower_for(&d->cx, "group", divide_up(c->oc, d->lanes));
	first = loop_affine(b, group, d->lanes, 0);
	if (c->oc % d->lanes != 0)
		first = loop_op2(b, KOP_MIN, first, loop_idx(b, c->oc - d->lanes));
	first = lower_let(&d->cx, "first", first);
	fill_planes(d, x_n, strip, first);
	lane = lower_for(&d->cx, "lane", d->lanes);
	lower_channel(d, y_n, strip, lower_let(&d->cx, "plane", loop_affine(b, lane, plane, 0)),
	              lower_let(&d->cx, "oc", loop_add(b, first, lane)));
	lower_end_to(&d->cx, 0);
}

/* As many rows at a time as `most` bytes have room for, at least one, and all strips of
 * about one height. */
static void
plan_strips(Planar *d, int32_t most)
{
	const Conv *c = d->c;
	int32_t span = (c->kh - 1) * c->dy + 1, row;

	d->pitch = (c->out_w - 1) * c->sx + c->kw;
	if (d->pitch < c->left + columns_of(d))
		d->pitch = c->left + columns_of(d);
	/* Words reach three elements beyond the last that is wanted, and a second pixel's
	 * one more. */
	d->pitch = (d->pitch + 4 + 3) / 4 * 4;
	row = d->lanes * d->pitch;
	d->rows = most / row < span ? 1 : (most / row - span) / c->sy + 1;
	if (d->rows > c->out_h)
		d->rows = c->out_h;
	d->strips = divide_up(c->out_h, d->rows);
	d->rows = divide_up(c->out_h, d->strips);
	d->strips = divide_up(c->out_h, d->rows);
	d->slots = (d->rows - 1) * c->sy + span;
}

static void
turn(Planar *d)
{
	const Conv *c = d->c;
	Conv *v = &d->view;

	v->in_h = c->in_w, v->in_w = c->in_h;
	v->out_h = c->out_w, v->out_w = c->out_h;
	v->kh = c->kw, v->kw = c->kh;
	v->sy = c->sx, v->sx = c->sy;
	v->dy = c->dx, v->dx = c->dy;
	v->top = c->left, v->left = c->top;
	d->x_pixel = c->in_w * c->oc, d->x_row = c->oc;
	d->y_pixel = c->out_w * c->oc, d->y_row = c->oc;
}

LFunc *
planar_lower(Arena *a, const Conv *c, const PlanarShape *shape)
{
	Planar d = {.c = c, .view = *c, .turned = shape->turned, .blocks = shape->blocks,
	            .x_pixel = c->oc, .x_row = c->in_w * c->oc, .y_pixel = c->oc,
	            .y_row = c->out_w * c->oc, .lanes = c->oc < LANES ? 1 : LANES};

	assert(planar_fits(c, shape->turned));
	if (d.turned)
		turn(&d);
	d.c = c = &d.view;
	lower_begin(&d.cx, a, c->n);
	d.scale = scale_begin(&d.cx, c);
	scale_use_powers(&d.scale, c);
	d.pairs = c->kw / 4 * 2 + (c->kw % 4 == 3);
	d.singles = c->kw % 4 == 3 ? 1 : c->kw % 4;
	plan_strips(&d, shape->most);
	make_stream(&d);
	lower_name_inputs(&d.cx, c->n, (const char *const[]){"x", "w", "bias"});
	lower_images(&d);
	return loop_finish(&d.cx.b);
}
