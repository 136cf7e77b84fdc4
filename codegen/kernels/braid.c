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
 * A set is n channels, a group so many sets as are summed at a time.  Weights are in the
 * order of use: group, tap, set, word.
 */
#include <assert.h>

#include "codegen/kernels/blocks.h"
#include "codegen/kernels/generate.h"
#include "codegen/kernels/params.h"

enum { MAX_PIXELS = 4, MAX_SETS = 3, MAX_SUMS = 4, MAX_WORDS = MAX_SUMS - 1, WORD_BITS = 32 };

typedef struct {
	LowerCtx cx;
	const Conv *c;
	BraidShape shape;
	Params params;
	Rows rows;
	int bits;          /* of a sum */
	int sums, words;   /* of a set */
	int32_t runs, run; /* of a row of the kernel: pieces without gaps, and elements of one */
	int32_t group_weights;
	LBuf *x, *weights;
	LVar *word[MAX_PIXELS][MAX_SETS][MAX_WORDS];
} Braid;

static LBuilder *
builder(Braid *d)
{
	return &d->cx.b;
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
		int32_t oc = group * d->params.channels + set * d->sums;
		int32_t last = run_weight(d, oc + d->words, ky, run, e);

		for (int i = 0; i < d->words; i++)
			stream_put(to, braided(d, i, run_weight(d, oc + i, ky, run, e), last));
	}
}

static void
make_weights(Braid *d)
{
	int32_t n = params_groups(&d->params) * d->group_weights;
	Stream s = {.word = ARENA_ARRAY(d->cx.arena, int32_t, n)};

	for (int32_t g = 0; g < params_groups(&d->params); g++)
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

/* What a word starts with stands where that of its own channel would. */
static uint32_t
start_of(void *user, int32_t first, int i)
{
	const Braid *d = user;
	int word = i % d->sums;
	int32_t oc = first + i;

	if (word == d->words)
		return 0;
	return braided(d, word, bias_of(d->c, oc), bias_of(d->c, oc - word + d->words));
}

/* ---- Sums ---- */

static void
add_product(Braid *d, LVar *sum, Expr *x, Expr *w)
{
	LBuilder *b = builder(d);
	Expr *next = loop_add(b, loop_get(b, sum), loop_mul(b, x, w));

	loop_set(b, sum, loop_packed(b, POP_KEEP, next, NULL, NULL));
}

/* A word of a set's weights for all pixels. */
static void
add_word(Braid *d, Expr *const *x, Expr *w, int set, int word, int pixels)
{
	for (int p = 0; p < pixels; p++)
		add_product(d, d->word[p][set][word], x[p], w);
}

/* Element e of a run, for all pixels and sets.  Loads that stand side by side take less
 * time on some machines, and registers that others do not have. */
static void
add_tap(Braid *d, Expr *x_at, Expr *w_at, int32_t e, int pixels)
{
	LBuilder *b = builder(d);
	int32_t each = d->shape.sets * d->words, pixel = d->c->sx * d->c->ic;
	Expr *x[MAX_PIXELS], *w[MAX_WORDS];

	for (int p = 0; p < pixels; p++)
		x[p] = loop_let(b, "xk", params_load(&d->cx, d->x, x_at, p * pixel + e));
	for (int set = 0; set < d->shape.sets; set++) {
		for (int i = 0; i < d->words; i++) {
			w[i] = loop_let(b, "wk",
			                params_load(&d->cx, d->weights, w_at, e * each + set * d->words + i));
			if (d->shape.one_by_one)
				add_word(d, x, w[i], set, i, pixels);
		}
		for (int i = 0; i < d->words && !d->shape.one_by_one; i++)
			add_word(d, x, w[i], set, i, pixels);
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
store_set(Braid *d, Expr *y_at, Expr *group, Expr *p_at, int set, int pixels)
{
	Expr *sum[MAX_PIXELS][MAX_SUMS], *of_channel[MAX_PIXELS];

	for (int p = 0; p < pixels; p++)
		take_apart(d, d->word[p][set], sum[p]);
	for (int i = 0; i < d->sums && set * d->sums + i < d->c->oc; i++) {
		for (int p = 0; p < pixels; p++)
			of_channel[p] = params_sum(&d->params, sum[p][i]);
		params_store(&d->params, group, p_at, y_at, set * d->sums + i, of_channel, pixels);
	}
}

/* All channels of a block of pixels. */
static void
lower_block(void *user, Expr *first, Expr *x_at, Expr *y_at, int pixels)
{
	Braid *d = user;
	LBuilder *b = builder(d);
	int depth = b->depth, sets = d->shape.sets;
	Expr *g = lower_for(&d->cx, "group", params_groups(&d->params));
	Expr *p_at = params_of_group(&d->params, g);

	for (int set = 0; set < sets; set++)
		for (int i = 0; i < d->words; i++)
			for (int p = 0; p < pixels; p++)
				d->word[p][set][i] = loop_var(
					b, "word", params_start(&d->params, p_at, set * d->sums + i));
	add_window(d, first, x_at,
	           lower_let(&d->cx, "w_g", loop_affine(b, g, d->group_weights, 0)), pixels);
	y_at = lower_let(&d->cx, "y_g", loop_add(b, y_at, loop_affine(b, g, d->params.channels, 0)));
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
	lower_begin(&d.cx, a, c->n);
	d.params = params_begin(&d.cx, c, shape->sets * d.sums);
	if (shape->parts)
		scale_use_parts(&d.params.scale, c);
	d.runs = c->dx > 1 ? c->kw : 1;
	d.run = d.runs > 1 ? c->ic : c->kw * c->ic;
	d.group_weights = c->kh * d.runs * d.run * shape->sets * d.words;
	make_weights(&d);
	params_make(&d.params, start_of, &d);
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
