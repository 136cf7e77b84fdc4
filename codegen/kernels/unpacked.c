/*
 * Convolutions whose weights are stored small, and brought to RAM to be used for many
 * pixels: for machines that multiply pairs of 16-bit numbers.
 *
 * Each time a strip of output rows is computed, the weights of a pair of output channels
 * (a, b) become words, so that what it takes to unpack them is shared by all pixels of the
 * strip.  A word is what dense.c has, 256 * b + a for two elements of x, so that products
 * are as fast as there; sums have to have 24 bits for that.  Weights are stored in the order
 * in which they are unpacked, those of a and b side by side, with zeros where pixels or rows
 * end within a word, in one of these forms:
 *
 *	UNPACK_FIELDS	numbers with sign of 2 or 4 bits
 *	UNPACK_PALETTE	numbers of colors, of 1, 2 or 4 bits, and a table of the colors
 *	UNPACK_MASK	a bit for each weight, and those that are not 0 as bytes: 5 bits a weight
 *			where two of four are left, whichever those are
 *
 * Fields are in 32-bit words.  Pixels come from a buffer of 16-bit numbers.
 */
#include <assert.h>

#include "codegen/kernels/blocks.h"
#include "codegen/kernels/generate.h"
#include "codegen/kernels/params.h"

enum { MAX_PIXELS = 4, PAIR = 2 };

typedef struct {
	LowerCtx cx;
	const Conv *c;
	UnpackedShape shape;
	Params params;
	Rows rows;
	int32_t ic;              /* channels of a pixel, with padding */
	int32_t runs, run_words; /* of a row of the kernel: pieces, their words of x */
	int32_t words;           /* of a pair */
	int bits;                /* of what stands for a weight */
	int32_t each, units;     /* words that an element stands for, and elements of a pair */
	int32_t kept;            /* weights that are not 0 */
	LBuf *stored, *color, *weights, *ram;
	LVar *at;                /* of the weights that are not 0 */
	Expr *group;             /* the pair that is in RAM */
	LVar *sum[MAX_PIXELS][PAIR]; /* of x times words, and of x times a */
} Unpacked;

static LBuilder *
builder(Unpacked *d)
{
	return &d->cx.b;
}

/* Whether sums have 24 bits, and a weight and its neighbour fit a lane. */
static bool
fits_words(const Conv *c)
{
	enum { MOST = 1 << 23 };

	for (int32_t i = 0; i < c->oc; i++)
		if (c->channel[i].lo < -MOST || c->channel[i].hi >= MOST)
			return false;
	for (int32_t i = 0; i < c->oc * c->kh * c->kw * c->ic; i++)
		if (c->w[i] == INT8_MIN)
			return false;
	return true;
}

/* The colors with a zero, of which there may be some besides; 0: too many. */
static int
find_colors(const Conv *c, int8_t *color)
{
	int n = conv_palette(c, color);

	if (n > 0 && n < CONV_MOST_COLORS && conv_color(color, n, 0) < 0)
		color[n++] = 0;
	return n;
}

bool
unpacked_fits(const Conv *c, const UnpackedShape *s)
{
	int8_t color[CONV_MOST_COLORS];
	int64_t elements = (int64_t)c->kh * c->kw * (c->ic + 3), most = INT32_MAX / 64;
	bool whole = s->bits == 1 || s->bits == 2 || s->bits == 4;
	int n;

	if (c->groups != 1 || c->out_w < 2 || elements * (c->oc + 1) > most || !fits_words(c))
		return false;
	switch (s->form) {
	case UNPACK_FIELDS: return whole && s->bits > 1 && conv_weight_bits(c) <= s->bits;
	case UNPACK_PALETTE:
		n = find_colors(c, color);
		return whole && n > 0 && n <= 1 << s->bits;
	case UNPACK_MASK: break;
	}
	return true;
}

/* ---- Constants ---- */

/* The weight of a channel in a word of its pair; 0 where there is none. */
static int32_t
weight_at(const Unpacked *d, int32_t oc, int32_t word, int lane)
{
	const Conv *c = d->c;
	int32_t run = word / d->run_words, ky = run / d->runs, at, kx, ic;

	if (word >= d->words || oc >= c->oc)
		return 0;
	word %= d->run_words;
	at = d->rows.form == ROWS_QUADS ? word / 2 * 4 + word % 2 + 2 * lane : 2 * word + lane;
	kx = d->runs > 1 ? run % d->runs : at / d->ic;
	ic = d->runs > 1 ? at : at % d->ic;
	return kx < c->kw && ic < c->ic ? conv_weight(c, oc, ky, kx, ic) : 0;
}

/* What stands for a weight in a stored element. */
static uint32_t
code_of(const Unpacked *d, const int8_t *color, int colors, int32_t w)
{
	switch (d->shape.form) {
	case UNPACK_FIELDS: return (uint32_t)w & ((1u << d->bits) - 1);
	case UNPACK_PALETTE: return (uint32_t)conv_color(color, colors, w);
	case UNPACK_MASK: break;
	}
	return w != 0;
}

/* Code k of an element: of its words one after the other, of each both lanes of a, then both
 * of b; of a mask all lanes of a, then all of b. */
static int32_t
weight_of_code(const Unpacked *d, int32_t group, int32_t unit, int32_t k)
{
	int32_t half = 2 * d->each, channel = k / 2 % 2, word = k / 4;

	if (d->shape.form == UNPACK_MASK) {
		channel = k / half;
		word = k % half / 2;
	}
	return weight_at(d, 2 * group + channel, unit * d->each + word, k % 2);
}

static void
make_stored(Unpacked *d)
{
	bool is_mask = d->shape.form == UNPACK_MASK;
	int32_t n = params_groups(&d->params) * d->units, all = 4 * d->each;
	uint8_t *mask = ARENA_ARRAY(d->cx.arena, uint8_t, n);
	uint32_t *fields = ARENA_ARRAY(d->cx.arena, uint32_t, n);
	int8_t *weights = ARENA_ARRAY(d->cx.arena, int8_t, conv_nonzeros(d->c) + all);
	int8_t *color = ARENA_ARRAY(d->cx.arena, int8_t, CONV_MOST_COLORS);
	int colors = d->shape.form == UNPACK_PALETTE ? find_colors(d->c, color) : 0;

	for (int32_t i = 0; i < n; i++)
		for (int32_t k = 0; k < all; k++) {
			int32_t w = weight_of_code(d, i / d->units, i % d->units, k);

			fields[i] |= code_of(d, color, colors, w) << k * d->bits;
			mask[i] = (uint8_t)fields[i];
			if (is_mask && w != 0)
				weights[d->kept++] = (int8_t)w;
		}
	d->stored = is_mask ? lower_constant(&d->cx, "stored", DT_U8, n, mask)
	                    : lower_constant(&d->cx, "stored", DT_I32, n, fields);
	/* Behind the weights there are some that a mask might take, for all that can be known. */
	if (is_mask)
		d->weights = lower_constant(&d->cx, "weights", DT_I8, d->kept + all, weights);
	if (colors > 0)
		d->color = lower_table(&d->cx, "colors", DT_I8, 1 << d->bits, color);
}

/* ---- To RAM ---- */

/* Weight k of an element of fields. */
static Expr *
field(Unpacked *d, Expr *element, int k)
{
	LBuilder *b = builder(d);
	int bits = d->bits;

	if (d->shape.form == UNPACK_FIELDS) {
		if (bits * (k + 1) < 32)
			element = loop_op2(b, KOP_SHL, element, loop_int(b, DT_I32, 32 - bits * (k + 1)));
		return loop_op2(b, KOP_SHR, element, loop_int(b, DT_I32, 32 - bits));
	}
	if (k > 0)
		element = loop_op2(b, KOP_SHR, element, loop_int(b, DT_I32, k * bits));
	element = loop_op2(b, KOP_AND, element, loop_int(b, DT_I32, (1 << bits) - 1));
	return loop_load_compute(b, d->color, loop_cvt(b, DT_IDX, element));
}

/* A lane of a word. */
static Expr *
lane(Unpacked *d, Expr *a, Expr *w)
{
	LBuilder *b = builder(d);

	return loop_add(b, loop_op2(b, KOP_SHL, w, loop_int(b, DT_I32, 8)), a);
}

static void
store_word(Unpacked *d, Expr *to, int32_t word, Expr *const a[2], Expr *const w[2])
{
	LBuilder *b = builder(d);

	loop_store(b, d->ram, loop_add(b, to, loop_idx(b, word)),
	           loop_packed(b, POP_PACK_LO, lane(d, a[0], w[0]), lane(d, a[1], w[1]), NULL));
}

static void
unpack_fields(Unpacked *d, Expr *element, Expr *to)
{
	for (int32_t word = 0; word < d->each; word++) {
		Expr *w[4];

		for (int k = 0; k < 4; k++)
			w[k] = field(d, element, 4 * word + k);
		store_word(d, to, word, w, w + 2);
	}
}

/* A weight that is 0 takes none of the others: no jumps. */
static void
unpack_mask(Unpacked *d, Expr *mask, Expr *to)
{
	LBuilder *b = builder(d);
	Expr *at = loop_let(b, "w_0", loop_get(b, d->at)), *w[8];
	int n = 4 * d->each, half = n / 2;

	for (int k = 0; k < n; k++) {
		Expr *bit = k > 0 ? loop_op2(b, KOP_SHR, mask, loop_int(b, DT_I32, k)) : mask;

		bit = loop_let(b, "bit", loop_op2(b, KOP_AND, bit, loop_int(b, DT_I32, 1)));
		w[k] = loop_let(b, "wk", loop_mul(b, loop_load_compute(b, d->weights, at), bit));
		at = loop_let(b, "w_at", loop_add(b, at, loop_cvt(b, DT_IDX, bit)));
		if (k > half && k % 2)
			store_word(d, to, (k - half) / 2, w + k - half - 1, w + k - 1);
	}
	loop_set(b, d->at, loop_op2(b, KOP_MIN, at, loop_idx(b, d->kept)));
}

static void
unpack_group(Unpacked *d)
{
	LBuilder *b = builder(d);
	int depth = b->depth;
	Expr *from = lower_let(&d->cx, "from", loop_affine(b, d->group, d->units, 0));
	Expr *unit = lower_for(&d->cx, "unit", d->units), *to = loop_affine(b, unit, d->each, 0);
	Expr *element = loop_load_compute(b, d->stored, loop_add(b, from, unit));

	element = loop_let(b, "element", element);
	if (d->shape.form == UNPACK_MASK)
		unpack_mask(d, element, to);
	else
		unpack_fields(d, element, to);
	lower_end_to(&d->cx, depth);
}

/* ---- Sums ---- */

/* Word `word` of a run, for all pixels.  Nothing but loads and products: printers know what
 * to do with such a run (codegen/target/arm_products.h). */
static void
add_word(Unpacked *d, Expr *x_at, Expr *w_at, int32_t word, int pixels)
{
	LBuilder *b = builder(d);
	Expr *w = loop_let(b, "wk", params_load(&d->cx, d->ram, w_at, word));
	Expr *a = loop_let(b, "w_a", loop_packed(b, POP_EVEN8, w, NULL, NULL));

	for (int p = 0; p < pixels; p++) {
		int32_t at = p * d->c->sx * d->ic / 2 + word;
		Expr *x = loop_let(b, "xk", params_load(&d->cx, d->rows.buf, x_at, at));

		for (int i = 0; i < PAIR; i++)
			loop_set(b, d->sum[p][i],
			         loop_packed(b, POP_DOT2, x, i ? w : a, loop_get(b, d->sum[p][i])));
	}
}

/* A run: a loop over most of its words, and the rest. */
static void
add_run(Unpacked *d, Expr *x_at, Expr *w_at, int pixels)
{
	LBuilder *b = builder(d);
	int32_t body = d->shape.body, whole = d->run_words / body * body;

	if (whole > body) {
		Expr *k = loop_for_step(b, "k", 0, whole, body), *w_k, *x_k;

		x_k = loop_let(b, "x_k", loop_add(b, x_at, k));
		w_k = loop_let(b, "w_k", loop_add(b, w_at, k));
		for (int32_t i = 0; i < body; i++)
			add_word(d, x_k, w_k, i, pixels);
		loop_end(b);
	} else {
		whole = 0;
	}
	for (int32_t word = whole; word < d->run_words; word++)
		add_word(d, x_at, w_at, word, pixels);
}

static void
add_window(Unpacked *d, Expr *first, Expr *x_at, int pixels)
{
	LBuilder *b = builder(d);
	const Conv *c = d->c;
	int depth = b->depth;
	Expr *ky = lower_for(&d->cx, "ky", c->kh), *run, *w_at;

	x_at = loop_add(b, x_at, rows_row(&d->cx, &d->rows, first, ky));
	run = lower_for(&d->cx, "kx", d->runs);
	x_at = lower_let(&d->cx, "x_r", loop_add(b, x_at, loop_affine(b, run, c->dx * d->ic / 2, 0)));
	w_at = loop_add(b, loop_affine(b, ky, d->runs * d->run_words, 0),
	                loop_affine(b, run, d->run_words, 0));
	add_run(d, x_at, lower_let(&d->cx, "w_r", w_at), pixels);
	lower_end_to(&d->cx, depth);
}

/* ---- Outputs ---- */

/* Opens the loop over pairs. */
static void
lower_group(void *user)
{
	Unpacked *d = user;
	LBuilder *b = builder(d);

	if (d->shape.form == UNPACK_MASK)
		d->at = loop_var_idx(b, "at", loop_idx(b, 0), 0, d->kept);
	d->group = lower_for(&d->cx, "group", params_groups(&d->params));
	unpack_group(d);
}

/* Of channel i of a pair: a as it is, b above it. */
static uint32_t
start_of(void *user, int32_t first, int i)
{
	const Unpacked *d = user;
	uint32_t a = (uint32_t)d->c->channel[first].bias;

	return i ? 256 * (uint32_t)d->c->channel[first + 1].bias + a : a;
}

static Expr *
sum_of(Unpacked *d, int pixel, int i)
{
	LBuilder *b = builder(d);
	Expr *a = loop_get(b, d->sum[pixel][0]), *all = loop_get(b, d->sum[pixel][1]);

	return i ? loop_op2(b, KOP_SHR, loop_sub(b, all, a), loop_int(b, DT_I32, 8)) : a;
}

static void
lower_block(void *user, Expr *first, Expr *x_at, Expr *y_at, int pixels)
{
	Unpacked *d = user;
	LBuilder *b = builder(d);
	Expr *p_at = params_of_group(&d->params, d->group), *sum[MAX_PIXELS];

	for (int i = 0; i < PAIR; i++)
		for (int p = 0; p < pixels; p++)
			d->sum[p][i] = loop_var(b, i ? "t" : "a", params_start(&d->params, p_at, i));
	add_window(d, first, x_at, pixels);
	y_at = lower_let(&d->cx, "y_g", loop_add(b, y_at, loop_affine(b, d->group, PAIR, 0)));
	for (int i = 0; i < PAIR && i < d->c->oc; i++) {
		for (int p = 0; p < pixels; p++)
			sum[p] = params_sum(&d->params, sum_of(d, p, i));
		params_store(&d->params, d->group, p_at, y_at, i, sum, pixels);
	}
}

LFunc *
unpacked_lower(Arena *a, const Conv *c, const UnpackedShape *shape)
{
	Unpacked d = {.c = c, .shape = *shape, .bits = shape->form == UNPACK_MASK ? 1 : shape->bits};
	Blocks bl = {.cx = &d.cx, .c = c, .pixels = shape->pixels, .user = &d, .rows = &d.rows,
	             .group = lower_group, .block = lower_block};

	assert(unpacked_fits(c, shape) && shape->strip > 0 && shape->pixels <= MAX_PIXELS);
	lower_begin(&d.cx, a, c->n);
	d.params = params_begin(&d.cx, c, PAIR);
	scale_use_powers(&d.params.scale, c);
	d.rows = rows_plan_wide(c, c->out_w, shape->strip);
	d.ic = d.rows.padded;
	d.runs = c->dx > 1 ? c->kw : 1;
	d.run_words = ((d.runs > 1 ? d.ic : c->kw * d.ic) + 1) / 2;
	d.words = c->kh * d.runs * d.run_words;
	d.each = shape->form == UNPACK_MASK ? 2 : 8 / d.bits;
	d.units = (d.words - 1) / d.each + 1;
	lower_name_inputs(&d.cx, c->n, (const char *const[]){"x", "w", "bias"});
	make_stored(&d);
	params_make(&d.params, start_of, &d);
	d.ram = lower_scratch(&d.cx, "words", DT_I32, d.units * d.each);
	rows_begin(&d.cx, &d.rows);
	bl.pixel_units = c->sx * d.ic / 2;
	blocks_lower(&bl);
	return loop_finish(&d.cx.b);
}
