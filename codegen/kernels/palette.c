/*
 * Convolutions and matrix products with few different weights, for machines that
 * multiply pairs of 16-bit numbers.
 *
 * The different weights are the palette; a weight is stored as its number there, of 1 to
 * 4 bits.  What is looked up is two weights at once, for two elements of x: a table has
 * the pairs of all pairs of numbers, 4 to 256 words, so that one load gives what a `dot2`
 * takes and nothing is to be unpacked.
 *
 *	numbers	u8, for each group of channels, row of the kernel and run, in the order of
 *		use: of each channel as many pairs as a byte has room for
 *	pairs	i32, by the pair of numbers
 *
 * A block is P pixels by D output channels.  Pixels come from a buffer of 16-bit numbers,
 * or straight from the input where the kernel has one tap and a multiple of four
 * channels.
 */
#include <assert.h>
#include <string.h>

#include "codegen/kernels/blocks.h"
#include "codegen/kernels/generate.h"
#include "codegen/kernels/params.h"

enum { MAX_PIXELS = 4, MAX_CHANNELS = 6, MAX_WORDS = 4 };

typedef struct {
	LowerCtx cx;
	const Conv *c;
	PackedShape shape;
	Params params;
	Rows rows;
	bool direct;
	int colors;        /* in the palette */
	int8_t color[CONV_MOST_COLORS];
	int each;          /* words of x, and pairs of weights, for a byte */
	int32_t ic;        /* channels of a pixel, with padding */
	int32_t runs, run_words, run_bytes; /* of a row of the kernel: pieces, their words of x,
	                                     * bytes of a channel for one */
	int32_t group_bytes;
	LBuf *numbers, *pairs, *x;
	LVar *sum[MAX_PIXELS][MAX_CHANNELS];
} Palette;

static LBuilder *
builder(Palette *d)
{
	return &d->cx.b;
}

/* The palette, with a 0 where pixels or rows may end within a word; the number of its
 * colors, or 0 when there are too many. */
static int
find_palette(const Conv *c, int8_t *color)
{
	int colors = conv_palette(c, color);

	if (colors == 0 || c->ic % 4 == 0 || conv_color(color, colors, 0) >= 0)
		return colors;
	if (colors == CONV_MOST_COLORS)
		return 0;
	color[colors] = 0;
	return colors + 1;
}

bool
palette_fits(const Conv *c, int bits)
{
	int8_t color[CONV_MOST_COLORS];
	int colors = find_palette(c, color);

	return c->groups == 1 && bits <= 4 && colors > 0 && colors <= 1 << bits;
}

/* ---- Constants ---- */

/* Element `at` of a run of a row of the kernel, by its number: of a 0 where there is none,
 * and of channels that are not stored any. */
static uint32_t
number_at(const Palette *d, int32_t oc, int32_t ky, int32_t run, int32_t at)
{
	const Conv *c = d->c;
	int32_t kx = d->runs > 1 ? run : at / d->ic, ic = d->runs > 1 ? at : at % d->ic;

	if (oc >= c->oc)
		return 0;
	if (kx >= c->kw || ic >= c->ic)
		return (uint32_t)conv_color(d->color, d->colors, 0);
	return (uint32_t)conv_color(d->color, d->colors, conv_weight(c, oc, ky, kx, ic));
}

/* Pair number `word` of a run. */
static uint32_t
pair_at(const Palette *d, int32_t oc, int32_t ky, int32_t run, int32_t word)
{
	bool quads = d->direct || d->rows.form == ROWS_QUADS;
	int32_t first = quads ? word / 2 * 4 + word % 2 : 2 * word, step = quads ? 2 : 1;

	return number_at(d, oc, ky, run, first) |
	       number_at(d, oc, ky, run, first + step) << d->shape.bits;
}

static uint8_t
byte_at(const Palette *d, int32_t oc, int32_t ky, int32_t run, int32_t byte)
{
	uint32_t all = 0;

	for (int i = 0; i < d->each; i++)
		all |= pair_at(d, oc, ky, run, byte * d->each + i) << (2 * i * d->shape.bits);
	return (uint8_t)all;
}

static void
make_numbers(Palette *d)
{
	int32_t n = params_groups(&d->params) * d->group_bytes, channels = d->shape.channels;
	uint8_t *number = ARENA_ARRAY(d->cx.arena, uint8_t, n), *at = number;

	for (int32_t first = 0; first < d->c->oc; first += channels)
		for (int32_t ky = 0; ky < d->c->kh; ky++)
			for (int32_t run = 0; run < d->runs; run++)
				for (int32_t byte = 0; byte < d->run_bytes; byte++)
					for (int i = 0; i < channels; i++)
						*at++ = byte_at(d, first + i, ky, run, byte);
	assert(at == number + n);
	d->numbers = lower_table(&d->cx, "numbers", DT_U8, n, number);
}

static void
make_pairs(Palette *d)
{
	int32_t n = 1 << 2 * d->shape.bits, last = (1 << d->shape.bits) - 1;
	int32_t *pair = ARENA_ARRAY(d->cx.arena, int32_t, n);

	for (int32_t i = 0; i < n; i++) {
		int32_t first = i & last, second = i >> d->shape.bits;
		uint32_t word = first < d->colors ? (uint32_t)d->color[first] & 0xffff : 0;

		word |= second < d->colors ? (uint32_t)d->color[second] << 16 : 0;
		memcpy(&pair[i], &word, sizeof word);
	}
	d->pairs = lower_table(&d->cx, "pairs", DT_I32, n, pair);
}

/* ---- Sums ---- */

/* n words of x from word k of a run on, which starts at x_at; directly, an even number. */
static void
load_x(Palette *d, Expr *x_at, Expr *k, int n, Expr *x[])
{
	LBuilder *b = builder(d);

	for (int i = 0; i < n && !d->direct; i++)
		x[i] = loop_let(b, "xk", params_load(&d->cx, d->x, loop_add(b, x_at, k), i));
	for (int i = 0; i < n && d->direct; i += 2) {
		Expr *at = loop_add(b, loop_mul(b, k, loop_idx(b, 2)), loop_idx(b, 2 * i));
		Expr *four = loop_let(b, "four", loop_load_wide(b, d->x, loop_add(b, x_at, at)));

		x[i] = loop_let(b, "xk", loop_packed(b, POP_EVEN8, four, NULL, NULL));
		x[i + 1] = loop_let(b, "xk", loop_packed(b, POP_ODD8, four, NULL, NULL));
	}
}

/* Pair i of a byte. */
static Expr *
load_pair(Palette *d, Expr *byte, int i)
{
	LBuilder *b = builder(d);
	int bits = 2 * d->shape.bits;

	if (i > 0)
		byte = loop_op2(b, KOP_SHR, byte, loop_int(b, DT_I32, i * bits));
	if (d->each > 1 && i + 1 < d->each)
		byte = loop_op2(b, KOP_AND, byte, loop_int(b, DT_I32, (1 << bits) - 1));
	return loop_let(b, "pair", loop_load(b, d->pairs, loop_cvt(b, DT_IDX, byte)));
}

/* Compilers shall not load what follows before that. */
static void
add_product(Palette *d, LVar *sum, Expr *x, Expr *w)
{
	LBuilder *b = builder(d);
	Expr *next = loop_packed(b, POP_DOT2, x, w, loop_get(b, sum));

	loop_set(b, sum, loop_packed(b, POP_KEEP, next, NULL, NULL));
}

/* As many words of x as a step has, n of which exist, from word k of a run on; their bytes
 * start at c_at. */
static void
add_step(Palette *d, Expr *const *x_at, Expr *k, Expr *c_at, int n, int pixels)
{
	LBuilder *b = builder(d);
	int channels = d->shape.channels;
	Expr *x[MAX_PIXELS][MAX_WORDS], *byte[MAX_CHANNELS], *w[MAX_CHANNELS];

	for (int p = 0; p < pixels; p++)
		load_x(d, x_at[p], k, n, x[p]);
	for (int word = 0; word < n; word++) {
		int at = word / d->each * channels;

		for (int i = 0; i < channels && word % d->each == 0; i++)
			byte[i] = loop_let(b, "byte", params_load(&d->cx, d->numbers, c_at, at + i));
		for (int i = 0; i < channels; i++)
			w[i] = load_pair(d, byte[i], word % d->each);
		for (int i = 0; i < channels; i++)
			for (int p = 0; p < pixels; p++)
				add_product(d, d->sum[p][i], x[p][word], w[i]);
	}
}

/* A run: a loop over most of its steps, and the rest. */
static void
add_run(Palette *d, Expr *const *x_at, Expr *c_at, int pixels)
{
	LBuilder *b = builder(d);
	int32_t step = d->each > 2 ? d->each : 2, words = step * d->shape.body;
	int32_t step_bytes = step / d->each * d->shape.channels;
	int32_t whole = d->run_words / words * words;

	if (whole > words) {
		Expr *k = loop_for_step(b, "k", 0, whole, words);
		Expr *at = loop_mul(b, loop_op2(b, KOP_DIV, k, loop_idx(b, d->each)),
		                    loop_idx(b, d->shape.channels));

		at = lower_let(&d->cx, "c_k", loop_add(b, c_at, at));
		for (int32_t i = 0; i < d->shape.body; i++)
			add_step(d, x_at, loop_add(b, k, loop_idx(b, i * step)),
			         loop_add(b, at, loop_idx(b, i * step_bytes)), step, pixels);
		loop_end(b);
	} else {
		whole = 0;
	}
	for (int32_t k = whole; k < d->run_words; k += step) {
		int32_t left = d->run_words - k;

		add_step(d, x_at, loop_idx(b, k),
		         loop_add(b, c_at, loop_idx(b, k / d->each * d->shape.channels)),
		         left < step ? left : step, pixels);
	}
}

static void
add_window(Palette *d, Expr *first, Expr *x_at, Expr *c_at, int pixels)
{
	LBuilder *b = builder(d);
	const Conv *c = d->c;
	int32_t bytes = d->run_bytes * d->shape.channels;
	int depth = b->depth;
	Expr *ky = lower_for(&d->cx, "ky", c->kh), *run, *at[MAX_PIXELS];

	if (!d->direct)
		x_at = loop_add(b, x_at, rows_row(&d->cx, &d->rows, first, ky));
	run = lower_for(&d->cx, "kx", d->runs);
	x_at = loop_add(b, x_at, loop_affine(b, run, c->dx * d->ic / 2, 0));
	x_at = lower_let(&d->cx, "x_k", x_at);
	c_at = loop_add(b, c_at, loop_affine(b, ky, d->runs * bytes, 0));
	c_at = lower_let(&d->cx, "c_k", loop_add(b, c_at, loop_affine(b, run, bytes, 0)));
	for (int p = 0; p < pixels; p++)
		at[p] = loop_add(b, x_at, loop_idx(b, p * c->sx * d->ic / (d->direct ? 1 : 2)));
	add_run(d, at, c_at, pixels);
	lower_end_to(&d->cx, depth);
}

static void
lower_block(void *user, Expr *first, Expr *x_at, Expr *y_at, int pixels)
{
	Palette *d = user;
	LBuilder *b = builder(d);
	int channels = d->shape.channels, depth = b->depth;
	Expr *g = lower_for(&d->cx, "group", params_groups(&d->params));
	Expr *p_at = params_of_group(&d->params, g), *sum[MAX_PIXELS];

	for (int i = 0; i < channels; i++)
		for (int p = 0; p < pixels; p++)
			d->sum[p][i] = loop_var(b, "sum", params_start(&d->params, p_at, i));
	add_window(d, first, x_at,
	           lower_let(&d->cx, "c_g", loop_affine(b, g, d->group_bytes, 0)), pixels);
	y_at = lower_let(&d->cx, "y_g", loop_add(b, y_at, loop_affine(b, g, channels, 0)));
	for (int i = 0; i < channels && i < d->c->oc; i++) {
		for (int p = 0; p < pixels; p++)
			sum[p] = params_sum(&d->params, loop_get(b, d->sum[p][i]));
		params_store(&d->params, g, p_at, y_at, i, sum, pixels);
	}
	lower_end_to(&d->cx, depth);
}

LFunc *
palette_lower(Arena *a, const Conv *c, const PackedShape *shape)
{
	Palette d = {.c = c, .shape = *shape, .each = shape->bits > 2 ? 1 : 4 / shape->bits,
	             .direct = conv_is_pointwise(c) && c->ic % 4 == 0};
	Blocks bl = {.cx = &d.cx, .c = c, .pixels = shape->pixels, .user = &d, .block = lower_block};

	assert(palette_fits(c, shape->bits) && shape->pixels <= MAX_PIXELS);
	assert(shape->channels <= MAX_CHANNELS && shape->body >= 1);
	lower_begin(&d.cx, a, c->n);
	d.params = params_begin(&d.cx, c, shape->channels);
	scale_use_powers(&d.params.scale, c);
	d.colors = find_palette(c, d.color);
	d.rows = rows_plan_wide(c, c->out_w, shape->strip);
	d.ic = d.direct ? c->ic : d.rows.padded;
	d.runs = c->dx > 1 ? c->kw : 1;
	d.run_words = ((d.runs > 1 ? d.ic : c->kw * d.ic) + 1) / 2;
	d.run_bytes = (d.run_words - 1) / d.each + 1;
	d.group_bytes = c->kh * d.runs * d.run_bytes * shape->channels;
	make_numbers(&d);
	make_pairs(&d);
	params_make(&d.params, NULL, NULL);
	lower_name_inputs(&d.cx, c->n, (const char *const[]){"x", "w", "bias"});
	if (!d.direct) {
		rows_begin(&d.cx, &d.rows);
		bl.rows = &d.rows;
	}
	d.x = d.direct ? d.cx.in[0] : d.rows.buf;
	bl.pixel_units = c->sx * d.ic / (d.direct ? 1 : 2);
	blocks_lower(&bl);
	return loop_finish(&d.cx.b);
}
