/*
 * Convolutions and matrix products with weights of 4 or 2 bits, or with few different
 * weights, one product at a time: for machines without packed instructions, and for any
 * machine.
 *
 * Weights, or (palette) their numbers in a table, lie in words, the first in the lowest
 * bits, in the order of use: for each group of channels and run of a row of the kernel,
 * element by element those of all channels; a run starts with a new word.  What sums start with, and multipliers and
 * shifts, are a second constant, group by group.
 *
 * Pixels come from the input where the kernel has one tap, else from a row buffer of
 * elements as they are; or (tested) from the input throughout, one pixel at a time, with
 * a test of each tap, so that no memory is needed.
 */
#include <assert.h>
#include <string.h>

#include "codegen/kernels/blocks.h"
#include "codegen/kernels/generate.h"
#include "codegen/kernels/params.h"

enum { MAX_PIXELS = 4, MAX_CHANNELS = 4, WORD_BITS = 32 };

typedef struct {
	LowerCtx cx;
	const Conv *c;
	PackedShape shape;
	Params params;
	Rows rows;
	int32_t runs, run; /* of a row of the kernel: pieces without gaps, elements of one */
	int32_t step;      /* elements that a word has the weights of */
	int32_t run_words, group_words;
	int8_t color[CONV_MOST_COLORS]; /* the palette */
	int colors;
	LBuf *x, *weights, *palette;
	LVar *sum[MAX_PIXELS][MAX_CHANNELS];
} Packed;

static LBuilder *
builder(Packed *d)
{
	return &d->cx.b;
}

bool
packed_scalar_fits(const Conv *c, const PackedShape *shape)
{
	int8_t color[CONV_MOST_COLORS];
	int colors;

	if (c->groups != 1 || shape->bits * shape->channels > WORD_BITS)
		return false;
	if (!shape->palette)
		return conv_weight_bits(c) <= shape->bits;
	colors = conv_palette(c, color);
	return colors > 0 && shape->bits <= 6 && colors <= 1 << shape->bits;
}

/* ---- Constants ---- */

static uint32_t
run_weight(const Packed *d, int32_t oc, int32_t ky, int32_t run, int32_t at)
{
	const Conv *c = d->c;
	int32_t kx = d->runs > 1 ? run : at / c->ic, ic = d->runs > 1 ? at : at % c->ic, w;

	if (oc >= c->oc || at >= d->run)
		return 0;
	w = conv_weight(c, oc, ky, kx, ic);
	if (d->shape.palette)
		return (uint32_t)conv_color(d->color, d->colors, w);
	return (uint32_t)w & ((1u << d->shape.bits) - 1);
}

static uint32_t
weights_word(const Packed *d, int32_t group, int32_t ky, int32_t run, int32_t word)
{
	int channels = d->shape.channels;
	uint32_t packed = 0;

	for (int32_t k = 0; k < d->step; k++)
		for (int32_t i = 0; i < channels; i++)
			packed |= run_weight(d, group * channels + i, ky, run, word * d->step + k)
			          << (k * channels + i) * d->shape.bits;
	return packed;
}

static void
make_weights(Packed *d)
{
	int32_t n = params_groups(&d->params) * d->group_words;
	Stream s = {.word = ARENA_ARRAY(d->cx.arena, int32_t, n)};

	for (int32_t g = 0; g < params_groups(&d->params); g++)
		for (int32_t ky = 0; ky < d->c->kh; ky++)
			for (int32_t run = 0; run < d->runs; run++)
				for (int32_t word = 0; word < d->run_words; word++)
					stream_put(&s, weights_word(d, g, ky, run, word));
	assert(s.n == n);
	d->weights = lower_constant(&d->cx, "weights", DT_I32, n, s.word);
}

/* Where taps beyond the input are left out, the zero point is not in the bias. */
static uint32_t
start_of(void *user, int32_t first, int i)
{
	const Packed *d = user;
	int32_t taps = d->c->kh * d->c->kw * d->c->ic, sum = 0, oc = first + i;

	for (int32_t k = 0; k < taps; k++)
		sum += conv_weight_at(d->c, oc * taps + k);
	return (uint32_t)d->c->channel[oc].bias +
	       (d->shape.tested ? (uint32_t)sum * (uint32_t)d->c->x_zero : 0);
}

/* ---- Sums ---- */

/* The palette, with as many elements as there are numbers. */
static void
make_palette(Packed *d)
{
	int8_t *color = ARENA_ARRAY(d->cx.arena, int8_t, CONV_MOST_COLORS);

	memcpy(color, d->color, (size_t)d->colors);
	d->palette = lower_table(&d->cx, "palette", DT_I8, 1 << d->shape.bits, color);
}

static Expr *
color_of(Packed *d, Expr *word, int which)
{
	LBuilder *b = builder(d);
	int shift = d->shape.bits * which;

	if (shift > 0)
		word = loop_op2(b, KOP_SHR, word, loop_int(b, DT_I32, shift));
	word = loop_op2(b, KOP_AND, word, loop_int(b, DT_I32, (1 << d->shape.bits) - 1));
	word = loop_let(b, "number", word);
	return loop_let(b, "wk", params_load(&d->cx, d->palette, loop_cvt(b, DT_IDX, word), 0));
}

/* Weight `which` of a word, with its sign. */
static Expr *
weight_of(Packed *d, Expr *word, int which)
{
	LBuilder *b = builder(d);
	int bits = d->shape.bits, above = WORD_BITS - bits * (which + 1);

	if (d->shape.palette)
		return color_of(d, word, which);

	if (above > 0)
		word = loop_op2(b, KOP_SHL, word, loop_int(b, DT_I32, above));
	return loop_let(b, "wk", loop_op2(b, KOP_SHR, word, loop_int(b, DT_I32, WORD_BITS - bits)));
}

/* n elements, for all pixels and channels. */
static void
add_word(Packed *d, Expr *x_at, Expr *word, int32_t n, int pixels)
{
	LBuilder *b = builder(d);
	const Conv *c = d->c;
	int channels = d->shape.channels;

	for (int32_t k = 0; k < n; k++) {
		Expr *w[MAX_CHANNELS];

		for (int i = 0; i < channels; i++)
			w[i] = weight_of(d, word, k * channels + i);
		for (int p = 0; p < pixels; p++) {
			Expr *x = params_load(&d->cx, d->x, x_at, p * c->sx * c->ic + k);

			if (d->shape.tested)
				x = loop_sub(b, x, loop_int(b, DT_I32, c->x_zero));
			x = loop_let(b, "xk", x);
			for (int i = 0; i < channels; i++) {
				Expr *sum = loop_add(b, loop_get(b, d->sum[p][i]), loop_mul(b, x, w[i]));

				loop_set(b, d->sum[p][i], loop_packed(b, POP_KEEP, sum, NULL, NULL));
			}
		}
	}
}

static void
add_run(Packed *d, Expr *x_at, Expr *w_at, int pixels)
{
	LBuilder *b = builder(d);
	int32_t whole = d->run / d->step;

	if (whole > 1) {
		Expr *k = loop_for(b, "k", 0, whole);

		add_word(d, lower_let(&d->cx, "x_k", loop_add(b, x_at, loop_affine(b, k, d->step, 0))),
		         loop_let(b, "word", params_load(&d->cx, d->weights, loop_add(b, w_at, k), 0)), d->step,
		         pixels);
		loop_end(b);
	} else {
		whole = 0;
	}
	for (int32_t k = whole; k < d->run_words; k++) {
		int32_t left = d->run - k * d->step;

		add_word(d, loop_add(b, x_at, loop_idx(b, k * d->step)),
		         loop_let(b, "word", params_load(&d->cx, d->weights, w_at, k)),
		         left < d->step ? left : d->step, pixels);
	}
}

/* The whole window from a row buffer or of one tap; x_at is where the block starts. */
static void
add_window(Packed *d, Expr *first, Expr *x_at, Expr *w_at, int pixels)
{
	LBuilder *b = builder(d);
	int depth = b->depth;
	Expr *ky = lower_for(&d->cx, "ky", d->c->kh), *kx;

	if (d->rows.buf)
		x_at = loop_add(b, rows_row(&d->cx, &d->rows, first, ky), x_at);
	w_at = loop_add(b, w_at, loop_affine(b, ky, d->runs * d->run_words, 0));
	kx = lower_for(&d->cx, "kx", d->runs);
	x_at = loop_add(b, x_at, loop_affine(b, kx, d->c->dx * d->c->ic, 0));
	w_at = loop_add(b, w_at, loop_affine(b, kx, d->run_words, 0));
	add_run(d, lower_let(&d->cx, "x_k", x_at), lower_let(&d->cx, "w_k", w_at), pixels);
	lower_end_to(&d->cx, depth);
}

/* ---- Outputs ---- */

/* Starts the sums of a group; the result is where its params are. */
static Expr *
begin_group(Packed *d, Expr *group, int pixels)
{
	Expr *p_at = params_of_group(&d->params, group);

	for (int i = 0; i < d->shape.channels; i++)
		for (int p = 0; p < pixels; p++)
			d->sum[p][i] = loop_var(builder(d), "sum", params_start(&d->params, p_at, i));
	return p_at;
}

static void
end_group(Packed *d, Expr *group, Expr *p_at, Expr *y_at, int pixels)
{
	LBuilder *b = builder(d);
	int channels = d->shape.channels;

	y_at = lower_let(&d->cx, "y_g", loop_add(b, y_at, loop_affine(b, group, channels, 0)));
	for (int i = 0; i < channels && i < d->c->oc; i++) {
		Expr *sum[MAX_PIXELS];

		for (int p = 0; p < pixels; p++)
			sum[p] = params_sum(&d->params, loop_get(b, d->sum[p][i]));
		params_store(&d->params, group, p_at, y_at, i, sum, pixels);
	}
}

static void
lower_block(void *user, Expr *first, Expr *x_at, Expr *y_at, int pixels)
{
	Packed *d = user;
	LBuilder *b = builder(d);
	int depth = b->depth;
	Expr *g = lower_for(&d->cx, "group", params_groups(&d->params)), *p_at = begin_group(d, g, pixels);

	add_window(d, first, x_at,
	           lower_let(&d->cx, "w_g", loop_affine(b, g, d->group_words, 0)), pixels);
	end_group(d, g, p_at, y_at, pixels);
	lower_end_to(&d->cx, depth);
}

/* ---- Without a row buffer ---- */

/* Opens a block that runs where position `at` of an axis of the input exists. */
static void
if_inside(Packed *d, Expr *at, int32_t length)
{
	LBuilder *b = builder(d);

	loop_if(b, loop_op2(b, KOP_AND, loop_op2(b, KOP_GE, at, loop_idx(b, 0)),
	                    loop_op2(b, KOP_LT, at, loop_idx(b, length))));
}

static void
add_tested_window(Packed *d, Expr *image, Expr *oy, Expr *ox, Expr *w_at)
{
	LBuilder *b = builder(d);
	const Conv *c = d->c;
	int depth = b->depth;
	Expr *ky = lower_for(&d->cx, "ky", c->kh), *kx, *iy, *ix, *x_at;

	iy = loop_add(b, loop_affine(b, oy, c->sy, -c->top), loop_affine(b, ky, c->dy, 0));
	iy = lower_let(&d->cx, "iy", iy);
	if_inside(d, iy, c->in_h);
	kx = lower_for(&d->cx, "kx", c->kw);
	ix = loop_add(b, loop_affine(b, ox, c->sx, -c->left), loop_affine(b, kx, c->dx, 0));
	ix = lower_let(&d->cx, "ix", ix);
	if_inside(d, ix, c->in_w);
	x_at = loop_add(b, loop_affine(b, image, c->in_h * c->in_w * c->ic, 0),
	                loop_affine(b, iy, c->in_w * c->ic, 0));
	x_at = lower_let(&d->cx, "x_k", loop_add(b, x_at, loop_affine(b, ix, c->ic, 0)));
	w_at = loop_add(b, w_at, loop_affine(b, ky, c->kw * d->run_words, 0));
	w_at = loop_add(b, w_at, loop_affine(b, kx, d->run_words, 0));
	add_run(d, x_at, lower_let(&d->cx, "w_k", w_at), 1);
	lower_end_to(&d->cx, depth);
}

static void
lower_tested(Packed *d)
{
	LBuilder *b = builder(d);
	const Conv *c = d->c;
	Expr *image = lower_for(&d->cx, "n", c->batch), *oy = lower_for(&d->cx, "oy", c->out_h);
	Expr *ox = lower_for(&d->cx, "ox", c->out_w), *g = lower_for(&d->cx, "group", params_groups(&d->params));
	Expr *p_at = begin_group(d, g, 1), *y_at;

	add_tested_window(d, image, oy, ox,
	                  lower_let(&d->cx, "w_g", loop_affine(b, g, d->group_words, 0)));
	y_at = loop_add(b, loop_affine(b, image, c->out_h * c->out_w * c->oc, 0),
	                loop_affine(b, oy, c->out_w * c->oc, 0));
	end_group(d, g, p_at, loop_add(b, y_at, loop_affine(b, ox, c->oc, 0)), 1);
	lower_end_to(&d->cx, 0);
}

LFunc *
packed_scalar_lower(Arena *a, const Conv *c, const PackedShape *shape)
{
	Packed d = {.c = c, .shape = *shape};
	Blocks bl = {.cx = &d.cx, .c = c, .pixels = shape->pixels, .pixel_units = c->sx * c->ic,
	             .user = &d, .block = lower_block};

	assert(packed_scalar_fits(c, shape) && shape->pixels <= MAX_PIXELS);
	assert(shape->channels == 1 || shape->channels == 2 || shape->channels == 4);
	lower_begin(&d.cx, a, c->n);
	d.params = params_begin(&d.cx, c, shape->channels);
	d.runs = c->dx > 1 || shape->tested ? c->kw : 1;
	d.run = d.runs > 1 || c->kw == 1 ? c->ic : c->kw * c->ic;
	d.step = WORD_BITS / (shape->bits * shape->channels);
	d.run_words = (d.run - 1) / d.step + 1;
	d.group_words = c->kh * d.runs * d.run_words;
	if (shape->palette) {
		d.colors = conv_palette(c, d.color);
		make_palette(&d);
	}
	make_weights(&d);
	params_make(&d.params, start_of, &d);
	lower_name_inputs(&d.cx, c->n, (const char *const[]){"x", "w", "bias"});
	d.x = d.cx.in[0];
	if (shape->tested) {
		lower_tested(&d);
		return loop_finish(&d.cx.b);
	}
	if (!conv_is_pointwise(c)) {
		d.rows = rows_plan_single(c, c->out_w, 0);
		rows_begin(&d.cx, &d.rows);
		bl.rows = &d.rows;
		d.x = d.rows.buf;
	}
	blocks_lower(&bl);
	return loop_finish(&d.cx.b);
}
