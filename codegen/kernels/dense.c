/*
 * Convolutions and matrix products for machines that multiply pairs of 16-bit numbers.
 *
 * A block is P pixels by D pairs of output channels.  The pixels come from a row
 * buffer (rows.h), or (shape.direct) from the input itself, four elements at a time; the
 * last four of a pixel are loaded again where their number is no multiple of four.
 * Weights are one stream of words that is read from its start for every block of pixels:
 *
 *	[m, shift]	where all channels have the same multiplier
 *	for each D pairs of channels:
 *		two words a pair: what the sums start with, or (shape.packed) that of each
 *		channel with its shift (scale.c)
 *		words of weights, in the order of use
 *		[m and shift of each channel, or only m]
 *
 * The weights of a pair (a, b) for two elements of x are one word: its lanes are
 * 256 * b + a, one for each element.  With T the sum of x times lanes, and A the sum of
 * x times a, which even8() takes out of the word, the sum of x times b is (T - A) / 256,
 * exact as long as it has 24 bits; T may wrap around.  So two channels take one load and
 * one instruction to unpack instead of two each.
 *
 * Where that is not possible (sums of more than 24 bits, weights of -128), a pair has
 * two words of two 16-bit weights each, or (shape.packed) one of bytes: (a, b) for one
 * element, then for the other.
 *
 * Weights of 9 bits that lie within 255 neighbours are stored less a number `more`.  What
 * that takes from every sum of a pixel is more times the sum of its x, which is computed
 * first, with words of weights (1, 0) that stand before the groups.
 *
 * Twice the sum is what scale_store() wants, and comes for nothing from elements that
 * are twice what they are in the buffer.
 */
#include <assert.h>
#include <string.h>

#include "codegen/kernels/generate.h"
#include "codegen/kernels/rows.h"

enum { MAX_PIXELS = 4, MAX_PAIRS = 4 };

/* The pair of channels whose weights are (1, 0). */
enum { SUM_OF_X = -2 };

typedef struct {
	LowerCtx cx;
	const Conv *c;
	DenseShape shape;
	Scale scale;
	Rows rows;
	bool twice;          /* elements, and so sums, are twice what they are */
	bool dual;           /* two channels in one word */
	bool bytes;          /* the same without sums of both */
	int32_t ic;          /* channels of a pixel, with padding */
	int32_t runs, run_words; /* of a row of the kernel: its pieces, their words */
	int32_t groups;      /* of D pairs of channels */
	int32_t header, group_words;
	int32_t more;        /* weights are stored less that */
	int32_t x_words;     /* of weights for the sum of x, behind the header */
	LBuf *stream, *x;    /* x: where the pixels come from */
	LVar *sum[MAX_PIXELS][MAX_PAIRS][2]; /* T and A, or those of b and of a */
	Expr *start[MAX_PIXELS][2]; /* more times the sum of x, as they start with it */
} Dense;

/* ---- The stream ---- */

/* Whether all sums have that many bits. */
static bool
have_bits(const Conv *c, int bits)
{
	int64_t most = INT64_C(1) << (bits - 1);

	for (int32_t i = 0; i < c->oc; i++)
		if (c->channel[i].lo < -most || c->channel[i].hi >= most)
			return false;
	return true;
}

/* The middle of all weights, where they are more than bytes. */
static int32_t
middle_weight(const Conv *c)
{
	int32_t n = c->kh * c->kw * c->ic * c->oc, lo = 0, hi = 0;

	for (int32_t i = 0; i < n && c->wide; i++) {
		int32_t w = conv_weight_at(c, i);

		lo = i == 0 || w < lo ? w : lo;
		hi = i == 0 || w > hi ? w : hi;
	}
	return (lo + hi) / 2;
}

/* Whether a weight and its neighbour fit a lane, and all sums 24 bits. */
bool
dense_is_dual(const Conv *c)
{
	int32_t n = c->kh * c->kw * c->ic * c->oc, middle = middle_weight(c);

	if (!have_bits(c, 24))
		return false;
	for (int32_t i = 0; i < n; i++) {
		int32_t w = conv_weight_at(c, i) - middle;

		if (w < -INT8_MAX || w > INT8_MAX)
			return false;
	}
	return true;
}

/* Whether the last four elements of a pixel are loaded together. */
static bool
reads_fours(const Dense *d)
{
	return d->shape.direct && d->c->x_type != DT_I16;
}

/* Element `at` of a run of a row of the kernel; 0 where there is none. */
static int32_t
run_weight(const Dense *d, int32_t oc, int32_t ky, int32_t run, int32_t at)
{
	const Conv *c = d->c;
	int32_t kx, ic;

	/* The last four of a pixel: those that were not there before. */
	if (reads_fours(d) && at / 4 == (c->ic - 1) / 4) {
		int32_t first = at / 4 * 4;

		at += c->ic - 4 - first;
		if (at < first)
			return 0;
	}
	kx = d->runs > 1 ? run : at / d->ic;
	ic = d->runs > 1 ? at : at % d->ic;
	if (oc >= c->oc || kx >= c->kw || ic >= c->ic)
		return 0;
	return oc < 0 ? oc == SUM_OF_X : conv_weight(c, oc, ky, kx, ic) - d->more;
}

/* The two elements that are in a word. */
static void
word_elements(const Dense *d, int32_t word, int32_t at[2])
{
	at[0] = d->rows.form == ROWS_QUADS ? word / 2 * 4 + word % 2 : 2 * word;
	at[1] = at[0] + (d->rows.form == ROWS_QUADS ? 2 : 1);
}

static uint32_t
lanes(int32_t first, int32_t second)
{
	return ((uint32_t)first & 0xffff) | (uint32_t)second << 16;
}

/* Words of weights of a pair of channels for two elements. */
static int32_t
pair_words(const Dense *d)
{
	return d->dual || d->bytes ? 1 : 2;
}

static void
put_weights(const Dense *d, Stream *s, int32_t a, int32_t ky, int32_t run, int32_t word)
{
	int32_t at[2], w[2][2];

	word_elements(d, word, at);
	for (int i = 0; i < 2; i++)
		for (int lane = 0; lane < 2; lane++)
			w[i][lane] = run_weight(d, a + i, ky, run, at[lane]);
	if (d->dual) {
		stream_put(s, lanes(256 * w[1][0] + w[0][0], 256 * w[1][1] + w[0][1]));
		return;
	}
	if (d->bytes) {
		stream_put(s, (lanes(w[0][0], w[0][1]) & 0xff00ff) |
		                      (lanes(w[1][0], w[1][1]) & 0xff00ff) << 8);
		return;
	}
	stream_put(s, lanes(w[1][0], w[1][1]));
	stream_put(s, lanes(w[0][0], w[0][1]));
}

static void
put_start(const Dense *d, Stream *s, int32_t a)
{
	const Conv *c = d->c;
	uint32_t bias_a = (uint32_t)c->channel[a].bias;
	uint32_t bias_b = a + 1 < c->oc ? (uint32_t)c->channel[a + 1].bias : 0;

	if (d->scale.packed) {
		stream_put(s, a + 1 < c->oc ? scale_packed_word(&d->scale, c, a + 1, (int32_t)bias_b) : 0);
		stream_put(s, scale_packed_word(&d->scale, c, a, (int32_t)bias_a));
		return;
	}
	if (d->twice) {
		bias_a *= 2;
		bias_b *= 2;
	}

	stream_put(s, d->dual ? bias_b * 256 + bias_a : bias_b);
	stream_put(s, bias_a);
}

static void
put_group(const Dense *d, Stream *s, int32_t first)
{
	const Conv *c = d->c;
	int32_t pairs = d->shape.pairs;

	for (int32_t i = 0; i < pairs; i++)
		if (first + 2 * i < c->oc)
			put_start(d, s, first + 2 * i);
		else
			s->n += 2;
	for (int32_t ky = 0; ky < c->kh; ky++)
		for (int32_t run = 0; run < d->runs; run++)
			for (int32_t word = 0; word < d->run_words; word++)
				for (int32_t i = 0; i < pairs; i++)
					put_weights(d, s, first + 2 * i, ky, run, word);
	scale_put_channels(&d->scale, c, first, 2 * pairs, s);
}

/* The words for the sum of x. */
static void
put_ones(const Dense *d, Stream *s)
{
	for (int32_t ky = 0; ky < d->c->kh && d->more; ky++)
		for (int32_t run = 0; run < d->runs; run++)
			for (int32_t word = 0; word < d->run_words; word++)
				put_weights(d, s, SUM_OF_X, ky, run, word);
}

static void
make_stream(Dense *d)
{
	int32_t pairs = d->shape.pairs, scales = 2 * pairs * scale_channel_words(&d->scale);
	int32_t words = d->c->kh * d->runs * d->run_words * pair_words(d);
	Stream s = {0};

	d->groups = (d->c->oc - 1) / (2 * pairs) + 1;
	d->header = scale_header_words(&d->scale);
	d->x_words = d->more ? words : 0;
	d->group_words = (2 + words) * pairs + scales;
	s.word = ARENA_ARRAY(d->cx.arena, int32_t,
	                     d->header + d->x_words + d->groups * d->group_words);
	scale_put_header(&d->scale, d->c, &s);
	put_ones(d, &s);
	for (int32_t g = 0; g < d->groups; g++)
		put_group(d, &s, g * 2 * pairs);
	assert(s.n == d->header + d->x_words + d->groups * d->group_words);
	d->stream = lower_constant(&d->cx, "weights", DT_I32, s.n, s.word);
}

/* ---- Sums ---- */

static LBuilder *
builder(Dense *d)
{
	return &d->cx.b;
}

static Expr *
stream_word(Dense *d, Expr *at, int32_t more)
{
	LBuilder *b = builder(d);

	return loop_load(b, d->stream, loop_add(b, at, loop_idx(b, more)));
}

static void
add_product(Dense *d, LVar *sum, Expr *x, Expr *w)
{
	LBuilder *b = builder(d);

	loop_set(b, sum, loop_packed(b, POP_DOT2, x, w, loop_get(b, sum)));
}

/* Keeps compilers from loading words before those at hand are done with: there are
 * just enough registers for a block. */
static void
keep_sums(Dense *d, int pair)
{
	LBuilder *b = builder(d);

	for (int p = 0; p < d->shape.pixels; p++)
		for (int which = 0; which < 2; which++) {
			LVar *sum = d->sum[p][pair][which];

			loop_set(b, sum, loop_packed(b, POP_KEEP, loop_get(b, sum), NULL, NULL));
		}
}

/* The words of x for `n` words of the stream from word k of a run on, which is element
 * 2 * k of x but for the last four elements; x_at is where the run starts. */
static void
load_x(Dense *d, Expr *x_at, Expr *k, int n, Expr *x[])
{
	LBuilder *b = builder(d);

	if (!d->shape.direct) {
		for (int i = 0; i < n; i++)
			x[i] = loop_let(b, "xk", loop_load(b, d->x, loop_add(b, loop_add(b, x_at, k),
			                                                loop_idx(b, i))));
		return;
	}
	for (int i = 0; i < n && !reads_fours(d); i++) {
		Expr *at = loop_add(b, loop_mul(b, k, loop_idx(b, 2)), loop_idx(b, 2 * i));

		x[i] = loop_let(b, "xk", loop_load_wide(b, d->x, loop_add(b, x_at, at)));
	}
	for (int i = 0; i < n && reads_fours(d); i += 2) {
		Expr *at = k->kind == E_CONST && k->u.i + i >= d->run_words - 2
		               ? loop_idx(b, d->c->ic - 4)
		               : loop_add(b, loop_mul(b, k, loop_idx(b, 2)), loop_idx(b, 2 * i));
		Expr *four = loop_let(b, "four",
		                      loop_load_wide(b, d->x, loop_add(b, x_at, at)));

		x[i] = loop_let(b, "xk", rows_even(&d->cx, d->c, four));
		x[i + 1] = loop_let(b, "xk", rows_odd(&d->cx, d->c, four));
	}
}

enum { MAX_STEP = 4 }; /* words at a time */

/* n words of a run, for all pixels and pairs. */
static void
add_words(Dense *d, Expr *const *x_at, Expr *k, Expr *w_at, int n)
{
	LBuilder *b = builder(d);
	int32_t pairs = d->shape.pairs, each = pair_words(d);
	Expr *x[MAX_STEP];

	if (d->shape.pixels == 1)
		load_x(d, x_at[0], k, n, x);
	w_at = loop_add(b, w_at, loop_mul(b, k, loop_idx(b, pairs * each)));
	for (int p = 0; p < pairs; p++) {
		Expr *w[MAX_STEP][2];

		for (int i = 0; i < n; i++)
			w[i][0] = loop_let(b, "wk", stream_word(d, w_at, (i * pairs + p) * each));
		for (int i = 0; i < n; i++)
			w[i][1] = loop_let(b, "w_a", each == 1 ? loop_packed(b, POP_EVEN8, w[i][0], NULL, NULL)
			                                       : stream_word(d, w_at, (i * pairs + p) * each + 1));
		for (int i = 0; i < n && d->bytes; i++)
			w[i][0] = loop_let(b, "w_b", loop_packed(b, POP_ODD8, w[i][0], NULL, NULL));
		for (int px = 0; px < d->shape.pixels; px++) {
			if (d->shape.pixels > 1)
				load_x(d, x_at[px], k, n, x);
			for (int i = 0; i < n; i++) {
				add_product(d, d->sum[px][p][0], x[i], w[i][0]);
				add_product(d, d->sum[px][p][1], x[i], w[i][1]);
			}
		}
		keep_sums(d, p);
	}
}

/* A run: a loop over most of its words, and the rest. */
static void
add_run(Dense *d, Expr *const *x_at, Expr *w_at)
{
	LBuilder *b = builder(d);
	int32_t step = d->shape.step, body = d->shape.body, whole = d->run_words / body * body;

	/* The last words are not like the others. */
	if (d->shape.direct && (d->c->ic % 4 != 0 || d->shape.uniform))
		whole = (d->run_words - step) / body * body;
	if (d->run_words <= d->shape.unroll)
		whole = 0;
	if (whole > 0) {
		Expr *k = loop_for_step(b, "k", 0, whole, body);

		for (int32_t i = 0; i < body; i += step)
			add_words(d, x_at, loop_add(b, k, loop_idx(b, i)), w_at, step);
		loop_end(b);
	}
	for (int32_t k = whole; k < d->run_words; k += step) {
		int32_t left = d->run_words - k;

		add_words(d, x_at, loop_idx(b, k), w_at, left < step ? left : step);
	}
}

/* Where the runs of a row of the kernel start, for each pixel of the block. */
static void
add_kernel_row(Dense *d, Expr *row_at, Expr *w_at)
{
	LBuilder *b = builder(d);
	const Conv *c = d->c;
	int depth = b->depth;
	Expr *run = lower_for(&d->cx, "kx", d->runs), *x_at[MAX_PIXELS];
	int32_t words = d->run_words * d->shape.pairs * pair_words(d);

	w_at = lower_let(&d->cx, "w_kx", loop_add(b, w_at, loop_affine(b, run, words, 0)));
	row_at = loop_add(b, row_at, loop_affine(b, run, c->dx * d->ic / 2, 0));
	if (d->runs > 1)
		row_at = lower_let(&d->cx, "x_kx", row_at);
	for (int p = 0; p < d->shape.pixels; p++)
		x_at[p] = loop_add(b, row_at, loop_idx(b, p * c->sx * d->ic / (d->shape.direct ? 1 : 2)));
	add_run(d, x_at, w_at);
	lower_end_to(&d->cx, depth);
}

/* All rows of the kernel.  `first` is the slot of the window's first row, `x_at` where
 * the block starts in a row. */
static void
add_window(Dense *d, Expr *first, Expr *x_at, Expr *w_at)
{
	LBuilder *b = builder(d);
	int32_t words = d->runs * d->run_words * d->shape.pairs * pair_words(d);
	int depth = b->depth;
	bool unroll = d->c->kh * d->runs * d->run_words <= d->shape.unroll;

	/* In a strip the rows are at constant distances, without pointers of their own. */
	if (unroll && d->rows.strip) {
		x_at = loop_add(b, x_at, rows_row(&d->cx, &d->rows, first, loop_idx(b, 0)));
		x_at = lower_let(&d->cx, "x_w", x_at);
		first = loop_idx(b, 0);
	}
	for (int32_t i = 0; i < (unroll ? d->c->kh : 1); i++) {
		Expr *ky = unroll ? loop_idx(b, i) : lower_for(&d->cx, "ky", d->c->kh), *row = x_at;

		if (!d->shape.direct)
			row = loop_add(b, row, rows_row(&d->cx, &d->rows, first, ky));
		if (!unroll || !d->rows.strip)
			row = lower_let(&d->cx, "x_ky", row);
		add_kernel_row(d, row,
		               lower_let(&d->cx, "w_ky",
		                         loop_add(b, w_at, loop_affine(b, ky, words, 0))));
	}
	lower_end_to(&d->cx, depth);
}

/* ---- Outputs ---- */

/* Twice a sum, or the sum itself where that is wanted. */
static Expr *
sum_of(Dense *d, int pixel, int pair, int which)
{
	LBuilder *b = builder(d);
	Expr *a = loop_get(b, d->sum[pixel][pair][1]), *t = loop_get(b, d->sum[pixel][pair][0]);

	if (which == 1 && d->dual)
		return loop_op2(b, KOP_SHR, loop_sub(b, t, a),
		                loop_int(b, DT_I32, d->scale.twice && !d->twice ? 7 : 8));
	a = which ? t : a;
	return d->scale.twice && !d->twice ? loop_op2(b, KOP_SHL, a, loop_int(b, DT_I32, 1)) : a;
}

typedef struct {
	Expr *left; /* pixels from the block's first one on; NULL: all of them exist */
	Expr *y_at; /* of its first pixel and channel */
	Expr *channel;
	Expr *start; /* of the group's words */
	Expr *w_at; /* behind the weights */
	Expr *m, *shift; /* of all channels, or NULL */
} Outputs;

/* The multiplier and the shift of channel `i` of the group. */
static void
load_scale(Dense *d, const Outputs *o, int i, Expr **m, Expr **shift)
{
	LBuilder *b = builder(d);
	int32_t each = scale_channel_words(&d->scale);

	*m = loop_let(b, "m", stream_word(d, o->w_at, each * i));
	if (d->scale.packed)
		*shift = scale_packed_shift(&d->cx, &d->scale, stream_word(d, o->start, i ^ 1));
	else
		*shift = stream_word(d, o->w_at, each * i + 1);
	*shift = loop_let(b, "shift", *shift);
}

/* Whether the last group may have no channel `i`: with other sizes, at least. */
static bool
may_end_before(const Dense *d, int i)
{
	int32_t each = 2 * d->shape.pairs;

	if (d->shape.uniform && d->groups > 1)
		return i > 0;
	return d->c->oc % each != 0 && (d->c->oc - 1) % each < i;
}

/* Channel `i` of the group, for all pixels. */
static void
store_channel(Dense *d, const Outputs *o, int i)
{
	LBuilder *b = builder(d);
	Expr *more = loop_idx(b, i), *channel = loop_add(b, o->channel, more);
	Expr *m = o->m, *shift = o->shift;
	int depth = b->depth;

	if (may_end_before(d, i))
		loop_if(b, loop_op2(b, KOP_LT, channel, loop_idx(b, d->c->oc)));
	if (d->scale.fast && !m)
		load_scale(d, o, i, &m, &shift);
	for (int p = 0; p < d->shape.pixels; p++) {
		bool may_end = o->left && p > 0;

		if (may_end)
			loop_if(b, loop_op2(b, KOP_GT, o->left, loop_idx(b, p)));
		scale_store(&d->cx, &d->scale,
		            loop_add(b, o->y_at, loop_idx(b, p * d->c->oc + i)), channel,
		            sum_of(d, p, i / 2, i % 2), m, shift);
		if (may_end)
			loop_end(b);
	}
	lower_end_to(&d->cx, depth);
}

/* What the two sums of a pair start with. */
static void
load_start(Dense *d, Expr *w_at, int pair, Expr *start[2])
{
	LBuilder *b = builder(d);

	for (int which = 0; which < 2; which++)
		start[which] = stream_word(d, w_at, 2 * pair + which);
	if (!d->scale.packed)
		return;
	start[1] = loop_let(b, "start", scale_packed_start(&d->cx, start[1]));
	/* The shift below the start is less than 256, so that it is lost with A (sum_of()). */
	if (d->dual)
		start[0] = loop_add(b, start[0], start[1]);
	else
		start[0] = scale_packed_start(&d->cx, start[0]);
	start[0] = loop_let(b, "start", start[0]);
}

static void
start_sums(Dense *d, Expr *w_at)
{
	for (int pair = 0; pair < d->shape.pairs; pair++) {
		Expr *start[2];

		load_start(d, w_at, pair, start);
		for (int which = 0; which < 2; which++)
			for (int p = 0; p < d->shape.pixels; p++)
				d->sum[p][pair][which] =
					loop_var(builder(d), which ? "a" : "t",
				                 d->more ? loop_add(builder(d), start[which],
				                                    d->start[p][which])
				                         : start[which]);
	}
}

/* More times the sum of x of each pixel, and 257 times that for T, which is 256 times one
 * sum and another one. */
static void
sum_x(Dense *d, Expr *first, Expr *x_at)
{
	LBuilder *b = builder(d);
	int pairs = d->shape.pairs;

	d->shape.pairs = 1;
	for (int p = 0; p < d->shape.pixels; p++)
		for (int which = 0; which < 2; which++)
			d->sum[p][0][which] = loop_var(b, "x_sum", loop_int(b, DT_I32, 0));
	add_window(d, first, x_at, loop_idx(b, d->header));
	d->shape.pairs = pairs;
	for (int p = 0; p < d->shape.pixels; p++)
		for (int which = 0; which < 2; which++) {
			int32_t factor = d->more * (which == 0 && d->dual ? 257 : 1);
			Expr *sum = loop_get(b, d->sum[p][0][1]);

			d->start[p][which] = loop_let(
				b, "more", loop_mul(b, sum, loop_int(b, DT_I32, factor)));
		}
}

/* All channels of a block of pixels. */
static void
lower_block(Dense *d, Outputs *o, Expr *first, Expr *x_at)
{
	LBuilder *b = builder(d);
	int32_t pairs = d->shape.pairs;
	int depth = b->depth;
	Expr *g, *w_at, *y_at = o->y_at;

	if (d->more)
		sum_x(d, first, x_at);
	g = d->shape.uniform ? loop_for(b, "group", 0, d->groups)
	                     : lower_for(&d->cx, "group", d->groups);
	w_at = lower_let(&d->cx, "w_g",
	                 loop_affine(b, g, d->group_words, d->header + d->x_words));
	o->start = w_at;
	start_sums(d, w_at);
	add_window(d, first, x_at, lower_let(&d->cx, "w_0", loop_add(b, w_at, loop_idx(b, 2 * pairs))));
	o->channel = loop_affine(b, g, 2 * pairs, 0);
	o->y_at = lower_let(&d->cx, "y_g", loop_add(b, y_at, o->channel));
	o->w_at = loop_add(b, w_at, loop_idx(b, d->group_words -
	                                        2 * pairs * scale_channel_words(&d->scale)));
	for (int i = 0; i < 2 * pairs && i < d->c->oc; i++)
		store_channel(d, o, i);
	o->y_at = y_at;
	lower_end_to(&d->cx, depth);
}

static void
load_uniform(Dense *d, Outputs *o)
{
	LBuilder *b = builder(d);

	if (!d->header)
		return;
	o->m = loop_let(b, "m", stream_word(d, loop_idx(b, 0), 0));
	o->shift = loop_let(b, "shift", stream_word(d, loop_idx(b, 0), 1));
}

/* ---- Pointwise: blocks of pixels one after the other ---- */

/* Converts the pixels of a block, all of which exist when it is full. */
static void
convert_block(Dense *d, Expr *x_at, Expr *pixel, bool is_full)
{
	const Conv *c = d->c;
	LBuilder *b = builder(d);
	int32_t each = d->rows.form == ROWS_QUADS ? 4 : 2, total = c->batch * c->out_h * c->out_w;
	int depth = b->depth;
	Expr *zero = loop_idx(b, 0), *left, *i;

	if (is_full && c->ic % 2 == 0) {
		rows_convert(&d->cx, &d->rows, x_at, zero, d->shape.pixels * c->ic);
		return;
	}
	if (c->ic % each == 0) {
		int32_t groups = c->ic / each;

		left = loop_sub(b, loop_idx(b, total * groups), loop_affine(b, pixel, groups, 0));
		left = lower_let(&d->cx, "left",
		                 loop_op2(b, KOP_MIN, left, loop_idx(b, d->shape.pixels * groups)));
		i = loop_for_expr(b, "i", zero, left);
		rows_convert(&d->cx, &d->rows, loop_add(b, x_at, loop_affine(b, i, each, 0)),
		             loop_affine(b, i, each / 2, 0), each);
		loop_end(b);
		return;
	}
	left = loop_op2(b, KOP_MIN, loop_sub(b, loop_idx(b, total), pixel),
	                loop_idx(b, d->shape.pixels));
	i = loop_for_expr(b, "p", zero, lower_let(&d->cx, "left", left));
	rows_convert(&d->cx, &d->rows,
	             lower_let(&d->cx, "x_p", loop_add(b, x_at, loop_affine(b, i, c->ic, 0))),
	             lower_let(&d->cx, "to", loop_affine(b, i, d->ic / 2, 0)), c->ic);
	lower_end_to(&d->cx, depth);
}

/* A block that starts at a pixel. */
static void
pointwise_block(Dense *d, Outputs o, Expr *pixel, bool is_full)
{
	const Conv *c = d->c;
	LBuilder *b = builder(d);
	int32_t total = c->batch * c->out_h * c->out_w;
	Expr *x_at = lower_let(&d->cx, "x_p", loop_affine(b, pixel, c->ic, 0));

	if (!d->shape.direct)
		convert_block(d, x_at, pixel, is_full);
	if (!is_full)
		o.left = loop_sub(b, loop_idx(b, total), pixel);
	o.y_at = lower_let(&d->cx, "y_p", loop_affine(b, pixel, c->oc, 0));
	lower_block(d, &o, loop_idx(b, 0), d->shape.direct ? x_at : loop_idx(b, 0));
}

static void
lower_pointwise(Dense *d)
{
	const Conv *c = d->c;
	LBuilder *b = builder(d);
	int32_t total = c->batch * c->out_h * c->out_w, pixels = d->shape.pixels;
	int32_t rest = total % pixels, looped = d->shape.split ? total - rest : total;
	Outputs o = {0};

	if (!d->shape.direct)
		d->rows.buf = lower_scratch(&d->cx, "pixels", DT_I32, pixels * d->ic / 2);
	d->x = d->shape.direct ? d->cx.in[0] : d->rows.buf;
	load_uniform(d, &o);
	if (looped > 0) {
		Expr *pixel = looped > pixels ? loop_for_step(b, "pixel", 0, looped, pixels)
		                              : loop_idx(b, 0);

		pointwise_block(d, o, pixel, looped % pixels == 0);
		lower_end_to(&d->cx, 0);
	}
	if (looped < total) {
		d->shape.pixels = rest;
		pointwise_block(d, o, loop_idx(b, looped), true);
	}
}

/* ---- Windows: blocks along output rows ---- */

/* A block that starts at position ox of an output row. */
static void
window_block(Dense *d, Outputs o, Expr *first, Expr *ox, bool is_full)
{
	const Conv *c = d->c;
	LBuilder *b = builder(d);

	if (!is_full)
		o.left = loop_sub(b, loop_idx(b, c->out_w), ox);
	o.y_at = lower_let(&d->cx, "y_ox", loop_add(b, o.y_at, loop_affine(b, ox, c->oc, 0)));
	lower_block(d, &o, first,
	            lower_let(&d->cx, "x_ox", loop_affine(b, ox, c->sx * d->ic / 2, 0)));
}

static void
lower_row(Dense *d, Outputs o, Expr *first)
{
	LBuilder *b = builder(d);
	int32_t width = d->c->out_w, pixels = d->shape.pixels, rest = width % pixels;
	int32_t looped = d->shape.split ? width - rest : width;
	int depth = b->depth;

	if (looped > 0) {
		Expr *ox = looped > pixels ? loop_for_step(b, "ox", 0, looped, pixels)
		                           : loop_idx(b, 0);

		window_block(d, o, first, ox, looped % pixels == 0);
		lower_end_to(&d->cx, depth);
	}
	if (looped < width) {
		d->shape.pixels = rest;
		window_block(d, o, first, loop_idx(b, looped), true);
		d->shape.pixels = pixels;
	}
}

static void
lower_windows(Dense *d)
{
	const Conv *c = d->c;
	LBuilder *b = builder(d);
	int32_t strip = d->rows.strip ? d->rows.strip : 1;
	Expr *image, *first, *oy, *y_at, *left;
	Outputs o = {0};

	rows_begin(&d->cx, &d->rows);
	d->x = d->rows.buf;
	load_uniform(d, &o);
	image = lower_for(&d->cx, "n", c->batch);
	y_at = loop_affine(b, image, c->out_h * c->out_w * c->oc, 0);
	image = lower_let(&d->cx, "x_n", loop_affine(b, image, c->in_h * c->in_w * c->ic, 0));
	first = (c->out_h - 1) / strip > 0 ? loop_for_step(b, "oy", 0, c->out_h, strip)
	                                   : loop_idx(b, 0);
	rows_fill(&d->cx, &d->rows, image, first);
	oy = loop_idx(b, 0);
	if (c->out_h % strip != 0) {
		left = loop_op2(b, KOP_MIN, loop_sub(b, loop_idx(b, c->out_h), first),
		                loop_idx(b, strip));
		oy = loop_for_expr(b, "row", oy, lower_let(&d->cx, "rows", left));
	} else {
		oy = lower_for(&d->cx, "row", strip);
	}
	y_at = loop_add(b, y_at, loop_affine(b, loop_add(b, first, oy), c->out_w * c->oc, 0));
	o.y_at = lower_let(&d->cx, "y_oy", y_at);
	lower_row(d, o, rows_first_slot(&d->cx, &d->rows, d->rows.strip ? oy : first));
	lower_end_to(&d->cx, 0);
}

LFunc *
dense_lower(Arena *a, const Conv *c, const DenseShape *shape)
{
	Dense d = {.c = c, .shape = *shape, .dual = dense_is_dual(c)};
	int32_t blocks = (c->out_w - 1) / shape->pixels + 1;
	int32_t columns = shape->split ? c->out_w : blocks * shape->pixels;

	assert(c->groups == 1 && shape->pixels <= MAX_PIXELS && shape->pairs <= MAX_PAIRS);
	assert(!shape->direct || (conv_is_pointwise(c) && c->ic >= 4 && shape->step == 2));
	assert(!shape->direct || c->x_type != DT_I16 || c->ic % 2 == 0);
	if (d.dual)
		d.more = middle_weight(c);
	d.bytes = !d.dual && !c->wide && shape->packed;
	lower_begin(&d.cx, a, c->n);
	d.scale = scale_begin(&d.cx, c);
	scale_use_powers(&d.scale, c);
	if (shape->packed)
		scale_pack(&d.scale, c);
	d.rows = rows_plan_wide(c, columns, shape->strip);
	d.rows.at_once = shape->at_once;
	/* Converting costs an addition for two inputs of a pixel, and the sum of every second
	 * output one less. */
	d.twice = d.scale.twice && !d.scale.packed && !shape->direct && c->x_type != DT_I16 &&
	          (!d.dual || have_bits(c, 23)) && (!conv_is_pointwise(c) || c->oc > c->ic);
	d.rows.twice = d.twice;
	d.ic = conv_is_pointwise(c) ? c->ic + c->ic % 2 : d.rows.padded;
	d.runs = c->dx > 1 ? c->kw : 1;
	d.run_words = ((d.runs > 1 ? d.ic : c->kw * d.ic) + 1) / 2;
	if (shape->direct) {
		d.ic = c->ic;
		d.rows.form = reads_fours(&d) ? ROWS_QUADS : ROWS_PAIRS;
		d.run_words = reads_fours(&d) ? (c->ic + 3) / 4 * 2 : c->ic / 2;
	}
	make_stream(&d);
	lower_name_inputs(&d.cx, c->n, (const char *const[]){"x", "w", "bias"});
	if (conv_is_pointwise(c))
		lower_pointwise(&d);
	else
		lower_windows(&d);
	return loop_finish(&d.cx.b);
}
