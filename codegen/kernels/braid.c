/*
 * Convolutions and matrix products for machines that multiply one pair of numbers at a
 * time: the sums of n output channels in n - 1 words, so that n - 1 multiplications do
 * the work of n.
 *
 * Channels 0 to n - 2 have a word each, the low `bits` of it.  The last channel is shared
 * out over what is left above them: its weight is in word i shifted left by
 * q(i) = bits - i * (32 - bits).  With s(c) for the sum of channel c, all words are
 *
 *	word(i) = s(i) + (s(n - 1) << q(i))	modulo 2^32
 *
 * because products and sums are linear.  Where every s(c) has `bits` bits, the low bits of
 * word 0 are s(0), and what is above them is s(n - 1) modulo 2^(32 - bits).  Word 1 less
 * that, shifted, has the next 32 - bits of it above s(1), and so on; n - 1 times 32 - bits
 * are enough for all of it.  How many bits sums have is known from the weights.
 *
 * A set is n channels, a group so many sets as are summed at a time.  Constants: weights
 * in the order of use (group, tap, set, word); for each group what its words start with,
 * then multipliers and shifts of its channels.
 */
#include <assert.h>

#include "codegen/kernels/blocks.h"
#include "codegen/kernels/generate.h"

enum { MAX_PIXELS = 4, MAX_SETS = 3, MAX_SUMS = 4, MAX_WORDS = MAX_SUMS - 1, WORD_BITS = 32 };

typedef struct {
	LowerCtx cx;
	const Conv *c;
	BraidShape shape;
	Scale scale;
	Rows rows;
	int bits;          /* of a sum */
	int sums, words;   /* of a set */
	int channels;      /* of a group */
	int32_t runs, run; /* of a row of the kernel: pieces without gaps, and elements of one */
	int32_t group_weights, group_params;
	LBuf *x, *weights, *params;
	LVar *word[MAX_PIXELS][MAX_SETS][MAX_WORDS];
} Braid;

static LBuilder *
builder(Braid *d)
{
	return &d->cx.b;
}

static int32_t
groups_of(const Braid *d)
{
	return (d->c->oc - 1) / d->channels + 1;
}

/* ---- Which sums fit ---- */

/* Bits that every channel's sum has, its sign among them. */
static int
bits_of_sums(const Conv *c)
{
	int bits = 1;

	for (int32_t i = 0; i < c->oc; i++)
		while (c->channel[i].lo < -(INT64_C(1) << (bits - 1)) ||
		       c->channel[i].hi >= INT64_C(1) << (bits - 1))
			bits++;
	return bits;
}

/* The digits of the last sum have signs, so of several one bit is not used. */
static bool
has_room(int sums, int bits)
{
	int room = (sums - 1) * (WORD_BITS - bits);

	return sums == 2 ? room >= bits : room > bits;
}

int
braid_sums(const Conv *c)
{
	int bits = bits_of_sums(c);

	for (int sums = 2; sums <= MAX_SUMS && bits < WORD_BITS; sums++)
		if (has_room(sums, bits))
			return c->groups == 1 ? sums : 0;
	return 0;
}

/* Where the last sum of a set is in a word. */
static int
place(const Braid *d, int word)
{
	return d->bits - word * (WORD_BITS - d->bits);
}

/* A word from a number of its own and one of the last channel. */
static uint32_t
braided(const Braid *d, int word, int32_t own, int32_t last)
{
	return (uint32_t)own + ((uint32_t)last << place(d, word));
}

/* ---- Constants ---- */

/* The weight of a channel for an element of a run; 0 where there is no such channel. */
static int32_t
run_weight(const Braid *d, int32_t oc, int32_t ky, int32_t run, int32_t e)
{
	const Conv *c = d->c;
	bool gaps = d->runs > 1;

	return oc < c->oc ? conv_weight(c, oc, ky, gaps ? run : e / c->ic, gaps ? e : e % c->ic) : 0;
}

static void
put_tap(const Braid *d, Stream *to, int32_t group, int32_t ky, int32_t run, int32_t e)
{
	for (int set = 0; set < d->shape.sets; set++) {
		int32_t oc = group * d->channels + set * d->sums;
		int32_t last = run_weight(d, oc + d->words, ky, run, e);

		for (int i = 0; i < d->words; i++)
			stream_put(to, braided(d, i, run_weight(d, oc + i, ky, run, e), last));
	}
}

static void
make_weights(Braid *d)
{
	int32_t n = groups_of(d) * d->group_weights;
	Stream s = {.word = ARENA_ARRAY(d->cx.arena, int32_t, n)};

	for (int32_t g = 0; g < groups_of(d); g++)
		for (int32_t ky = 0; ky < d->c->kh; ky++)
			for (int32_t run = 0; run < d->runs; run++)
				for (int32_t e = 0; e < d->run; e++)
					put_tap(d, &s, g, ky, run, e);
	assert(s.n == n);
	d->weights = lower_constant(&d->cx, "weights", DT_I32, n, s.word);
}

static int32_t
bias_of(const Conv *c, int32_t oc)
{
	return oc < c->oc ? c->channel[oc].bias : 0;
}

static void
make_params(Braid *d)
{
	const Conv *c = d->c;
	int32_t n = scale_header_words(&d->scale) + groups_of(d) * d->group_params;
	Stream s = {.word = ARENA_ARRAY(d->cx.arena, int32_t, n)};

	scale_put_header(&d->scale, c, &s);
	for (int32_t first = 0; first < groups_of(d) * d->channels; first += d->channels) {
		for (int32_t oc = first; oc < first + d->channels; oc += d->sums)
			for (int i = 0; i < d->words; i++)
				stream_put(&s, braided(d, i, bias_of(c, oc + i), bias_of(c, oc + d->words)));
		scale_put_channels(&d->scale, c, first, d->channels, &s);
	}
	assert(s.n == n);
	d->params = lower_constant(&d->cx, "params", DT_I32, n, s.word);
}

/* ---- Sums ---- */

static Expr *
load_i32(Braid *d, LBuf *buf, Expr *at, int32_t more)
{
	LBuilder *b = builder(d);

	return loop_load_compute(b, buf, loop_add(b, at, loop_idx(b, more)));
}

static void
add_product(Braid *d, LVar *sum, Expr *x, Expr *w)
{
	LBuilder *b = builder(d);
	Expr *next = loop_add(b, loop_get(b, sum), loop_mul(b, x, w));

	loop_set(b, sum, loop_packed(b, POP_KEEP, next, NULL, NULL));
}

/* Element e of a run, for all pixels and sets.  Loads stand side by side: some machines
 * take less time for them so. */
static void
add_tap(Braid *d, Expr *x_at, Expr *w_at, int32_t e, int pixels)
{
	LBuilder *b = builder(d);
	int32_t each = d->shape.sets * d->words, pixel = d->c->sx * d->c->ic;
	Expr *x[MAX_PIXELS];

	for (int p = 0; p < pixels; p++)
		x[p] = loop_let(b, "xk", load_i32(d, d->x, x_at, p * pixel + e));
	for (int set = 0; set < d->shape.sets; set++) {
		Expr *w[MAX_WORDS];

		for (int i = 0; i < d->words; i++)
			w[i] = loop_let(b, "wk",
			                load_i32(d, d->weights, w_at, e * each + set * d->words + i));
		for (int p = 0; p < pixels; p++)
			for (int i = 0; i < d->words; i++)
				add_product(d, d->word[p][set][i], x[p], w[i]);
	}
}

static void
add_run(Braid *d, Expr *x_at, Expr *w_at, int pixels)
{
	LBuilder *b = builder(d);
	int32_t body = d->shape.body, whole = d->run / body * body;

	if (whole > body) {
		Expr *k = loop_for_step(b, "k", 0, whole, body);
		Expr *x = lower_let(&d->cx, "x_k", loop_add(b, x_at, k)), *w;

		w = loop_add(b, w_at, loop_affine(b, k, d->shape.sets * d->words, 0));
		w = lower_let(&d->cx, "w_k", w);
		for (int32_t e = 0; e < body; e++)
			add_tap(d, x, w, e, pixels);
		loop_end(b);
	} else {
		whole = 0;
	}
	for (int32_t e = whole; e < d->run; e++)
		add_tap(d, x_at, w_at, e, pixels);
}

/* The whole window. */
static void
add_window(Braid *d, Expr *first, Expr *x_at, Expr *w_at, int pixels)
{
	LBuilder *b = builder(d);
	int depth = b->depth;
	int32_t each = d->run * d->shape.sets * d->words;
	Expr *ky = lower_for(&d->cx, "ky", d->c->kh), *kx;

	if (d->rows.buf)
		x_at = loop_add(b, rows_row(&d->cx, &d->rows, first, ky), x_at);
	w_at = loop_add(b, w_at, loop_affine(b, ky, d->runs * each, 0));
	kx = lower_for(&d->cx, "kx", d->runs);
	x_at = loop_add(b, x_at, loop_affine(b, kx, d->c->dx * d->c->ic, 0));
	w_at = loop_add(b, w_at, loop_affine(b, kx, each, 0));
	add_run(d, lower_let(&d->cx, "x_ky", x_at), lower_let(&d->cx, "w_ky", w_at), pixels);
	lower_end_to(&d->cx, depth);
}

/* ---- Outputs ---- */

static Expr *
shift(Braid *d, KOp op, Expr *x, int bits)
{
	LBuilder *b = builder(d);

	return bits ? loop_op2(b, op, x, loop_int(b, DT_I32, bits)) : x;
}

/* The sums of a set: what is above those of the words gives the last one, digit by digit. */
static void
take_apart(Braid *d, LVar *const word[MAX_WORDS], Expr *sum[MAX_SUMS])
{
	LBuilder *b = builder(d);
	int above = WORD_BITS - d->bits;
	Expr *last = NULL;

	for (int i = 0; i < d->words; i++) {
		Expr *all = loop_get(b, word[i]), *digit;

		if (last)
			all = loop_let(b, "all", loop_sub(b, all, shift(d, KOP_SHL, last, place(d, i))));
		sum[i] = loop_let(b, "sum",
		                  shift(d, KOP_SHR, shift(d, KOP_SHL, all, above), above));
		digit = shift(d, KOP_SHL,
		              shift(d, KOP_SHR, loop_sub(b, all, sum[i]), d->bits), i * above);
		last = loop_let(b, "last", last ? loop_add(b, last, digit) : digit);
	}
	sum[d->words] = last;
}

static void
store_channel(Braid *d, Expr *y_at, Expr *group, Expr *p_at, int i, Expr *const *sum, int pixels)
{
	LBuilder *b = builder(d);
	const Conv *c = d->c;
	int depth = b->depth;
	Expr *channel = loop_affine(b, group, d->channels, i), *m = NULL, *factor_shift = NULL;

	if (c->oc % d->channels != 0 && (c->oc - 1) % d->channels < i)
		loop_if(b, loop_op2(b, KOP_LT, channel, loop_idx(b, c->oc)));
	if (d->scale.fast) {
		bool own = scale_is_by_channel(&d->scale);
		Expr *at = own ? p_at : loop_idx(b, 0);
		int32_t more = own ? d->shape.sets * d->words + 2 * i : 0;

		m = loop_let(b, "m", load_i32(d, d->params, at, more));
		factor_shift = loop_let(b, "shift", load_i32(d, d->params, at, more + 1));
	}
	for (int p = 0; p < pixels; p++)
		scale_store(&d->cx, &d->scale, loop_add(b, y_at, loop_idx(b, p * c->oc + i)),
		            channel, shift(d, KOP_SHL, sum[p], d->scale.fast ? 1 : 0), m,
		            factor_shift);
	lower_end_to(&d->cx, depth);
}

static void
store_set(Braid *d, Expr *y_at, Expr *group, Expr *p_at, int set, int pixels)
{
	Expr *sum[MAX_PIXELS][MAX_SUMS], *of_channel[MAX_PIXELS];

	for (int p = 0; p < pixels; p++)
		take_apart(d, d->word[p][set], sum[p]);
	for (int i = 0; i < d->sums && set * d->sums + i < d->c->oc; i++) {
		for (int p = 0; p < pixels; p++)
			of_channel[p] = sum[p][i];
		store_channel(d, y_at, group, p_at, set * d->sums + i, of_channel, pixels);
	}
}

/* All channels of a block of pixels. */
static void
lower_block(void *user, Expr *first, Expr *x_at, Expr *y_at, int pixels)
{
	Braid *d = user;
	LBuilder *b = builder(d);
	int depth = b->depth, sets = d->shape.sets;
	Expr *g = lower_for(&d->cx, "group", groups_of(d)), *p_at;

	p_at = loop_affine(b, g, d->group_params, scale_header_words(&d->scale));
	p_at = lower_let(&d->cx, "p_g", p_at);
	for (int set = 0; set < sets; set++)
		for (int i = 0; i < d->words; i++)
			for (int p = 0; p < pixels; p++)
				d->word[p][set][i] = loop_var(
					b, "word", load_i32(d, d->params, p_at, set * d->words + i));
	add_window(d, first, x_at,
	           lower_let(&d->cx, "w_g", loop_affine(b, g, d->group_weights, 0)), pixels);
	y_at = lower_let(&d->cx, "y_g", loop_add(b, y_at, loop_affine(b, g, d->channels, 0)));
	for (int set = 0; set < sets && set * d->sums < d->c->oc; set++)
		store_set(d, y_at, g, p_at, set, pixels);
	lower_end_to(&d->cx, depth);
}

LFunc *
braid_lower(Arena *a, const Conv *c, const BraidShape *shape)
{
	Braid d = {.c = c, .shape = *shape, .bits = bits_of_sums(c), .sums = braid_sums(c)};
	Blocks bl = {.cx = &d.cx, .c = c, .pixels = shape->pixels, .pixel_units = c->sx * c->ic,
	             .user = &d, .block = lower_block};

	assert(d.sums && shape->pixels <= MAX_PIXELS && shape->sets <= MAX_SETS);
	d.words = d.sums - 1;
	d.channels = shape->sets * d.sums;
	lower_begin(&d.cx, a, c->n);
	d.scale = scale_begin(&d.cx, c);
	d.runs = c->dx > 1 ? c->kw : 1;
	d.run = d.runs > 1 ? c->ic : c->kw * c->ic;
	d.group_weights = c->kh * d.runs * d.run * shape->sets * d.words;
	d.group_params = shape->sets * d.words + d.channels * scale_channel_words(&d.scale);
	make_weights(&d);
	make_params(&d);
	lower_name_inputs(&d.cx, c->n, (const char *const[]){"x", "w", "bias"});
	d.x = d.cx.in[0];
	if (!conv_is_pointwise(c)) {
		d.rows = rows_plan_single(c, c->out_w, shape->strip);
		rows_begin(&d.cx, &d.rows);
		bl.rows = &d.rows;
		d.x = d.rows.buf;
	}
	blocks_lower(&bl);
	return loop_finish(&d.cx.b);
}
