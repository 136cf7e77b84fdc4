/*
 * Convolutions and matrix products with weights of 4 or 2 bits, for machines that
 * multiply pairs of 16-bit numbers.
 *
 * A word of the stream holds, in each of its halves, one weight for each of several
 * planes of 4 or 2 bits.  A shift and a mask bring a plane to the top of both halves:
 * two 16-bit numbers that are the weights times 2^12 (2^14), with the right sign, for
 * one `dot2` with two elements of x.  So two weights take one instruction to unpack, as
 * weights of 8 bits do.  The sums are 2^12 (2^14) times what they should be, which is
 * exact while the true ones have 20 (18) bits; they may wrap around on the way.
 *
 * A block is P pixels by D pairs of output channels.  The stream, read from its start
 * for every block of pixels:
 *
 *	[m, shift]	where all channels have the same multiplier
 *	for each D pairs of channels:
 *		the bias of each channel
 *		words of weights in the order of use: of a pair's two channels for as many
 *			words of x as have room
 *		[m and shift of each channel]
 */
#include <assert.h>

#include "codegen/kernels/blocks.h"
#include "codegen/kernels/generate.h"

enum { MAX_PIXELS = 4, MAX_PAIRS = 3, MAX_WORDS = 2 };

typedef struct {
	LowerCtx cx;
	const Conv *c;
	PackedShape shape;
	Scale scale;
	Rows rows;
	bool direct;
	bool late_bias;    /* a sum with its bias may have too many bits */
	int bits, step;    /* of a weight; words of x for a word of the stream */
	int32_t ic;        /* channels of a pixel, with padding */
	int32_t runs, run_words; /* of a row of the kernel: its pieces, their words of x */
	int32_t run_steps; /* of a piece: words of the stream for a pair of channels */
	int32_t groups, header, group_words;
	LBuf *stream, *x;
	LVar *sum[MAX_PIXELS][2 * MAX_PAIRS];
	Expr *m, *shift;   /* of all channels, or NULL */
	Expr *mask;        /* of a plane at the top: in a register, as the shift is part of the
	                    * `and` then */
} Packed;

/* ---- What fits ---- */

static int64_t
largest(int64_t lo, int64_t hi)
{
	return hi > -(lo + 1) ? hi : -(lo + 1);
}

/* Bounds of a channel's sum without the bias, for x as it is stored. */
static int64_t
largest_sum(const Conv *c, int32_t oc)
{
	int64_t taps = (int64_t)c->kh * c->kw * c->ic, lo = 0, hi = 0;

	for (int64_t i = 0; i < taps; i++) {
		int32_t w = conv_weight_at(c, oc * taps + i);

		lo += w > 0 ? w * INT8_MIN : w * INT8_MAX;
		hi += w > 0 ? w * INT8_MAX : w * INT8_MIN;
	}
	return largest(lo, hi);
}

bool
packed_dot2_fits(const Conv *c, int bits)
{
	if (c->groups != 1 || conv_weight_bits(c) > bits)
		return false;
	for (int32_t i = 0; i < c->oc; i++)
		if (largest_sum(c, i) >> (bits + 15) != 0)
			return false;
	return true;
}

static bool
needs_late_bias(const Conv *c, int bits)
{
	for (int32_t i = 0; i < c->oc; i++)
		if (largest(c->channel[i].lo, c->channel[i].hi) >> (bits + 15) != 0)
			return true;
	return false;
}

/* ---- The stream ---- */

/* Element `at` of a run of a row of the kernel; 0 where there is none. */
static uint32_t
run_weight(const Packed *d, int32_t oc, int32_t ky, int32_t run, int32_t at)
{
	const Conv *c = d->c;
	int32_t kx = d->runs > 1 ? run : at / d->ic, ic = d->runs > 1 ? at : at % d->ic;

	if (oc >= c->oc || kx >= c->kw || ic >= c->ic)
		return 0;
	return (uint32_t)conv_weight(c, oc, ky, kx, ic) & ((1u << d->bits) - 1);
}

static bool
is_by_quads(const Packed *d)
{
	return d->direct || d->rows.form == ROWS_QUADS;
}

static uint32_t
stream_weights(const Packed *d, int32_t oc, int32_t ky, int32_t run, int32_t word)
{
	uint32_t packed = 0;

	for (int32_t plane = 0; plane < 2 * d->step; plane++) {
		int32_t k = word * d->step + plane / 2, channel = oc + plane % 2;
		int32_t first = is_by_quads(d) ? k / 2 * 4 + k % 2 : 2 * k;
		int32_t second = first + (is_by_quads(d) ? 2 : 1);

		packed |= run_weight(d, channel, ky, run, first) << (plane * d->bits);
		packed |= run_weight(d, channel, ky, run, second) << (16 + plane * d->bits);
	}
	return packed;
}

static void
put_group(const Packed *d, Stream *s, int32_t first)
{
	const Conv *c = d->c;
	int32_t channels = 2 * d->shape.pairs, unit = d->late_bias ? 1 : 1 << (16 - d->bits);

	for (int32_t i = first; i < first + channels; i++)
		stream_put(s, i < c->oc ? (uint32_t)(c->channel[i].bias * (int64_t)unit) : 0);
	for (int32_t ky = 0; ky < c->kh; ky++)
		for (int32_t run = 0; run < d->runs; run++)
			for (int32_t word = 0; word < d->run_steps; word++)
				for (int32_t i = first; i < first + channels; i += 2)
					stream_put(s, stream_weights(d, i, ky, run, word));
	scale_put_channels(&d->scale, c, first, channels, s);
}

static void
make_stream(Packed *d)
{
	int32_t channels = 2 * d->shape.pairs;
	int32_t words = d->c->kh * d->runs * d->run_steps * d->shape.pairs;
	Stream s = {0};

	d->groups = (d->c->oc - 1) / channels + 1;
	d->header = scale_header_words(&d->scale);
	d->group_words = channels * (scale_is_by_channel(&d->scale) ? 3 : 1) + words;
	s.word = ARENA_ARRAY(d->cx.arena, int32_t, d->header + d->groups * d->group_words);
	scale_put_header(&d->scale, d->c, &s);
	for (int32_t g = 0; g < d->groups; g++)
		put_group(d, &s, g * channels);
	assert(s.n == d->header + d->groups * d->group_words);
	d->stream = lower_constant(&d->cx, "weights", DT_I32, s.n, s.word);
}

/* ---- Sums ---- */

static LBuilder *
builder(Packed *d)
{
	return &d->cx.b;
}

static Expr *
stream_word(Packed *d, Expr *at, int32_t more)
{
	LBuilder *b = builder(d);

	return loop_load(b, d->stream, loop_add(b, at, loop_idx(b, more)));
}

/* n words of x from word k of a run on, which starts at x_at. */
static void
load_x(Packed *d, Expr *x_at, Expr *k, int n, Expr *x[])
{
	LBuilder *b = builder(d);

	if (!d->direct) {
		for (int i = 0; i < n; i++)
			x[i] = loop_let(b, "xk", loop_load(b, d->x, loop_add(b, loop_add(b, x_at, k),
			                                                loop_idx(b, i))));
		return;
	}
	for (int i = 0; i < n; i += 2) {
		Expr *at = loop_add(b, loop_mul(b, k, loop_idx(b, 2)), loop_idx(b, 2 * i));
		Expr *four = loop_let(b, "four", loop_load_wide(b, d->x, loop_add(b, x_at, at)));

		x[i] = loop_let(b, "xk", loop_packed(b, POP_EVEN8, four, NULL, NULL));
		x[i + 1] = loop_let(b, "xk", loop_packed(b, POP_ODD8, four, NULL, NULL));
	}
}

/* A plane of a word at the top of its halves. */
static Expr *
plane_of(Packed *d, Expr *word, int plane)
{
	LBuilder *b = builder(d);
	int shift = 16 - d->bits * (plane + 1);

	if (shift > 0)
		word = loop_op2(b, KOP_SHL, word, loop_int(b, DT_I32, shift));
	return loop_let(b, "w_p", loop_op2(b, KOP_AND, d->mask, word));
}

static Expr *
make_mask(Packed *d)
{
	LBuilder *b = builder(d);
	uint32_t top = (0xffffu << (16 - d->bits)) & 0xffff;
	Expr *mask = loop_int(b, DT_I32, (int32_t)(top | top << 16));

	return loop_let(b, "mask", loop_packed(b, POP_KEEP, mask, NULL, NULL));
}

/* Compilers shall not load words before those at hand are done with. */
static void
keep_sums(Packed *d, int pair, int pixels)
{
	LBuilder *b = builder(d);

	for (int p = 0; p < pixels; p++)
		for (int i = 2 * pair; i < 2 * pair + 2; i++)
			loop_set(b, d->sum[p][i],
			         loop_packed(b, POP_KEEP, loop_get(b, d->sum[p][i]), NULL, NULL));
}

static void
add_products(Packed *d, LVar **sum, Expr *const *x, Expr *const *w, int n)
{
	LBuilder *b = builder(d);

	for (int i = 0; i < n; i++)
		for (int channel = 0; channel < 2; channel++)
			loop_set(b, sum[channel], loop_packed(b, POP_DOT2, x[i], w[2 * i + channel],
			                                      loop_get(b, sum[channel])));
}

/* Up to two words of x from word k of a run on, for all pixels and pairs: `plane` is the
 * first one of the words of weights that is theirs. */
static void
add_words(Packed *d, Expr *const *x_at, Expr *k, Expr *const *word, int plane, int n, int pixels)
{
	Expr *x[MAX_WORDS], *w[2 * MAX_WORDS];

	if (pixels == 1)
		load_x(d, x_at[0], k, n, x);
	for (int pair = 0; pair < d->shape.pairs; pair++) {
		for (int i = 0; i < 2 * n; i++)
			w[i] = plane_of(d, word[pair], plane + i);
		for (int p = 0; p < pixels; p++) {
			if (pixels > 1)
				load_x(d, x_at[p], k, n, x);
			add_products(d, d->sum[p] + 2 * pair, x, w, n);
		}
		keep_sums(d, pair, pixels);
	}
}

/* n words of x from word k of a run on, for which there is one word of weights a pair. */
static void
add_step(Packed *d, Expr *const *x_at, Expr *k, Expr *w_at, int n, int pixels)
{
	LBuilder *b = builder(d);
	Expr *word[MAX_PAIRS];

	for (int pair = 0; pair < d->shape.pairs; pair++)
		word[pair] = loop_let(b, "wk", stream_word(d, w_at, pair));
	for (int i = 0; i < n; i += MAX_WORDS)
		add_words(d, x_at, loop_add(b, k, loop_idx(b, i)), word, 2 * i,
		          n - i < MAX_WORDS ? n - i : MAX_WORDS, pixels);
}

/* A run: a loop over most of its steps, and the rest. */
static void
add_run(Packed *d, Expr *const *x_at, Expr *w_at, int pixels)
{
	LBuilder *b = builder(d);
	int32_t body = d->shape.body / d->step > 0 ? d->shape.body / d->step : 1, pairs = d->shape.pairs;
	int32_t whole = d->run_words / (body * d->step) * body;

	if (whole <= body || d->run_words <= d->shape.unroll)
		whole = 0;
	if (whole > 0) {
		Expr *k = loop_for_step(b, "k", 0, whole, body);
		Expr *w = loop_add(b, w_at, loop_affine(b, k, pairs, 0));

		for (int32_t i = 0; i < body; i++)
			add_step(d, x_at, loop_affine(b, k, d->step, i * d->step),
			         loop_add(b, w, loop_idx(b, i * pairs)), d->step, pixels);
		loop_end(b);
	}
	for (int32_t i = whole; i < d->run_steps; i++) {
		int32_t left = d->run_words - i * d->step;

		add_step(d, x_at, loop_idx(b, i * d->step), loop_add(b, w_at, loop_idx(b, i * pairs)),
		         left < d->step ? left : d->step, pixels);
	}
}

/* A row of the kernel; `row` is where it starts. */
static void
add_kernel_row(Packed *d, Expr *row, Expr *w_at, int pixels)
{
	LBuilder *b = builder(d);
	const Conv *c = d->c;
	int32_t words = d->run_steps * d->shape.pairs;
	int depth = b->depth;
	Expr *run = lower_for(&d->cx, "kx", d->runs), *at[MAX_PIXELS];

	row = loop_add(b, row, loop_affine(b, run, c->dx * d->ic / 2, 0));
	if (d->runs > 1)
		row = lower_let(&d->cx, "x_k", row);
	w_at = lower_let(&d->cx, "w_k", loop_add(b, w_at, loop_affine(b, run, words, 0)));
	for (int p = 0; p < pixels; p++)
		at[p] = loop_add(b, row, loop_idx(b, p * c->sx * d->ic / (d->direct ? 1 : 2)));
	add_run(d, at, w_at, pixels);
	lower_end_to(&d->cx, depth);
}

static void
add_window(Packed *d, Expr *first, Expr *x_at, Expr *w_at, int pixels)
{
	LBuilder *b = builder(d);
	int32_t words = d->runs * d->run_steps * d->shape.pairs;
	int depth = b->depth;
	bool unroll = d->c->kh * d->runs * d->run_words <= d->shape.unroll;

	/* In a strip the rows are at constant distances, without pointers of their own. */
	if (unroll && d->rows.strip && !d->direct) {
		x_at = loop_add(b, x_at, rows_row(&d->cx, &d->rows, first, loop_idx(b, 0)));
		x_at = lower_let(&d->cx, "x_w", x_at);
		first = loop_idx(b, 0);
	}
	for (int32_t i = 0; i < (unroll ? d->c->kh : 1); i++) {
		Expr *ky = unroll ? loop_idx(b, i) : lower_for(&d->cx, "ky", d->c->kh), *row = x_at;

		if (!d->direct)
			row = loop_add(b, row, rows_row(&d->cx, &d->rows, first, ky));
		if (!unroll || !d->rows.strip)
			row = lower_let(&d->cx, "x_ky", row);
		add_kernel_row(d, row, loop_add(b, w_at, loop_affine(b, ky, words, 0)), pixels);
	}
	lower_end_to(&d->cx, depth);
}

/* ---- Outputs ---- */

/* Twice a sum, or the sum itself where that is wanted. */
static Expr *
true_sum(Packed *d, Expr *sum, Expr *bias)
{
	LBuilder *b = builder(d);
	int twice = d->scale.fast, shift = 16 - d->bits;

	if (!d->late_bias)
		return loop_op2(b, KOP_SHR, sum, loop_int(b, DT_I32, shift - twice));
	sum = loop_op2(b, KOP_SHR, sum, loop_int(b, DT_I32, shift));
	sum = loop_add(b, sum, bias);
	return twice ? loop_op2(b, KOP_SHL, sum, loop_int(b, DT_I32, 1)) : sum;
}

/* Channel i of the group, whose constants start at w_at, for all pixels. */
static void
store_channel(Packed *d, Expr *y_at, Expr *channel, Expr *w_at, int i, int pixels)
{
	LBuilder *b = builder(d);
	int32_t channels = 2 * d->shape.pairs, oc = d->c->oc;
	int32_t scales = d->group_words - 2 * channels;
	int depth = b->depth;
	Expr *m = d->m, *shift = d->shift, *bias = NULL;

	channel = loop_add(b, channel, loop_idx(b, i));
	if (oc % channels != 0 && (oc - 1) % channels < i)
		loop_if(b, loop_op2(b, KOP_LT, channel, loop_idx(b, oc)));
	if (d->late_bias)
		bias = loop_let(b, "start", stream_word(d, w_at, i));
	if (d->scale.fast && !m) {
		m = loop_let(b, "m", stream_word(d, w_at, scales + 2 * i));
		shift = loop_let(b, "shift", stream_word(d, w_at, scales + 2 * i + 1));
	}
	for (int p = 0; p < pixels; p++)
		scale_store(&d->cx, &d->scale, loop_add(b, y_at, loop_idx(b, p * oc + i)), channel,
		            true_sum(d, loop_get(b, d->sum[p][i]), bias), m, shift);
	lower_end_to(&d->cx, depth);
}

static void
lower_block(void *user, Expr *first, Expr *x_at, Expr *y_at, int pixels)
{
	Packed *d = user;
	LBuilder *b = builder(d);
	int channels = 2 * d->shape.pairs, depth = b->depth;
	Expr *g = lower_for(&d->cx, "group", d->groups), *w_at, *channel;

	w_at = lower_let(&d->cx, "w_g", loop_affine(b, g, d->group_words, d->header));
	for (int i = 0; i < channels; i++)
		for (int p = 0; p < pixels; p++)
			d->sum[p][i] = loop_var(b, "sum", d->late_bias ? loop_int(b, DT_I32, 0)
			                                               : stream_word(d, w_at, i));
	add_window(d, first, x_at, loop_add(b, w_at, loop_idx(b, channels)), pixels);
	channel = loop_affine(b, g, channels, 0);
	y_at = lower_let(&d->cx, "y_g", loop_add(b, y_at, channel));
	for (int i = 0; i < channels && i < d->c->oc; i++)
		store_channel(d, y_at, channel, w_at, i, pixels);
	lower_end_to(&d->cx, depth);
}

LFunc *
packed_dot2_lower(Arena *a, const Conv *c, const PackedShape *shape)
{
	Packed d = {.c = c, .shape = *shape, .bits = shape->bits, .step = 8 / shape->bits,
	            .direct = conv_is_pointwise(c) && c->ic % 4 == 0};
	Blocks bl = {.cx = &d.cx, .c = c, .pixels = shape->pixels, .user = &d, .block = lower_block};

	assert(packed_dot2_fits(c, shape->bits) && shape->pixels <= MAX_PIXELS);
	assert(shape->pairs <= MAX_PAIRS && (shape->bits == 4 || shape->bits == 2));
	lower_begin(&d.cx, a, c->n);
	d.scale = scale_begin(&d.cx, c);
	scale_use_powers(&d.scale, c);
	d.late_bias = needs_late_bias(c, shape->bits);
	d.rows = rows_plan_wide(c, c->out_w, shape->strip);
	d.ic = d.direct ? c->ic : d.rows.padded;
	d.runs = c->dx > 1 ? c->kw : 1;
	d.run_words = ((d.runs > 1 ? d.ic : c->kw * d.ic) + 1) / 2;
	d.run_steps = (d.run_words - 1) / d.step + 1;
	make_stream(&d);
	lower_name_inputs(&d.cx, c->n, (const char *const[]){"x", "w", "bias"});
	if (!d.direct) {
		rows_begin(&d.cx, &d.rows);
		bl.rows = &d.rows;
	}
	d.x = d.direct ? d.cx.in[0] : d.rows.buf;
	bl.pixel_units = c->sx * d.ic / (d.direct ? 1 : 2);
	d.mask = make_mask(&d);
	if (d.header) {
		d.m = loop_let(&d.cx.b, "m", stream_word(&d, loop_idx(&d.cx.b, 0), 0));
		d.shift = loop_let(&d.cx.b, "shift", stream_word(&d, loop_idx(&d.cx.b, 0), 1));
	}
	blocks_lower(&bl);
	return loop_finish(&d.cx.b);
}
