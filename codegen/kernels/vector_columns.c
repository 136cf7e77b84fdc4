/*
 * Depthwise convolutions for machines that add sixteen products at once (MVE).
 *
 * The rows of a strip of outputs are laid out column by column for each of four channels: a
 * column is one or two words, whose bytes are its rows.  So a vector has the next columns of
 * a channel, which with those weights makes an output, and with the weights a row further
 * down one of the next row.  Sums go to scratch memory, and from there to outputs by vectors
 * of channels.  The last channels overlap those before.
 *
 *	rows of a strip, a letter each:  abc…      columns:  a0 b0 c0 d0  a1 b1 c1 d1 …
 */
#include <assert.h>

#include "codegen/kernels/rows.h"
#include "codegen/kernels/vector.h"

enum { LANES = 4, MOST_ROWS = 8, MAX_PIXELS = 4 };

typedef struct {
	LowerCtx cx;
	const Conv *c;
	ColumnsShape shape;
	ChannelOutputs outputs;
	Rows rows;
	int32_t words;   /* of a column */
	int32_t strip;   /* output rows at a time */
	int32_t columns; /* of a row that windows cover */
	int32_t plane;   /* words of a channel */
	int32_t vectors; /* of a window */
	LBuf *beside, *weights, *sums;
} Columns;

static LBuilder *
builder(Columns *d)
{
	return &d->cx.b;
}

static Expr *
plus(Columns *d, Expr *x, int64_t more)
{
	return loop_add(builder(d), x, loop_idx(builder(d), more));
}

static void
plan(Columns *d)
{
	const Conv *c = d->c;
	int32_t all, most, window;

	d->words = c->kh > 4 ? 2 : 1;
	d->strip = c->dy > 1 ? 1 : (4 * d->words - c->kh) / c->sy + 1;
	d->strip = d->strip < c->out_h ? d->strip : c->out_h;
	d->columns = (c->out_w - 1) * c->sx + (c->kw - 1) * c->dx + 1;
	window = (c->kw - 1) * c->dx + 1;
	d->vectors = divide_up(window * d->words, 4);
	/* Vectors read on behind the last window. */
	all = (c->out_w - 1) * c->sx * d->words + d->vectors * 4;
	most = d->columns * d->words;
	d->plane = all > most ? all : most;
}

/* ---- Constants ---- */

/* The weight of output row `row` of a strip at byte `e` of its window; 0 where there is none. */
static int8_t
window_weight(const Columns *d, int32_t channel, int32_t row, int32_t e)
{
	const Conv *c = d->c;
	int32_t column = e / (4 * d->words), ky = e % (4 * d->words) - row * c->sy;

	if (column % c->dx != 0 || column / c->dx >= c->kw || ky < 0 || ky >= c->kh)
		return 0;
	return (int8_t)conv_weight(c, channel, ky, column / c->dx, 0);
}

static void
make_weights(Columns *d)
{
	int32_t each = d->vectors * DOT_ELEMENTS, n = d->c->oc * d->strip * each, at = 0;
	int8_t *w = ARENA_ARRAY(d->cx.arena, int8_t, n);

	for (int32_t channel = 0; channel < d->c->oc; channel++)
		for (int32_t row = 0; row < d->strip; row++)
			for (int32_t e = 0; e < each; e++)
				w[at++] = window_weight(d, channel, row, e);
	d->weights = lower_constant(&d->cx, "weights", DT_I8, n, w);
}

/* ---- Columns ---- */

/* Byte `odd` and the one two further of either, one after the other: {a, b, a', b'}. */
static Expr *
zipped(Columns *d, Expr *a, Expr *b, bool odd)
{
	LBuilder *to = builder(d);
	Expr *mask = loop_int(to, DT_I32, 0x00ff00ff), *high = loop_int(to, DT_I32, ~0x00ff00ff);
	Expr *eight = loop_int(to, DT_I32, 8);

	if (odd)
		a = loop_op2(to, KOP_AND, loop_op2(to, KOP_SHR, a, eight), mask);
	else
		a = loop_op2(to, KOP_AND, a, mask);
	if (odd)
		b = loop_op2(to, KOP_AND, b, high);
	else
		b = loop_op2(to, KOP_SHL, loop_op2(to, KOP_AND, b, mask), eight);
	return loop_let(to, "pair", loop_op2(to, KOP_OR, a, b));
}

/* A word of four channels of a row; 0 where no window of the strip has that row. */
static Expr *
load_row(Columns *d, Expr *at, int32_t row)
{
	const Conv *c = d->c;
	LBuilder *b = builder(d);

	if (row >= (d->strip - 1) * c->sy + c->kh)
		return loop_int(b, DT_I32, 0);
	at = plus(d, at, row * c->dy * d->rows.row_units);
	return loop_let(b, "row", loop_load_wide(b, d->rows.buf, at));
}

/* Four rows of a column from row `first` on: to a word of each channel. */
static void
turn_rows(Columns *d, Expr *from, Expr *to, int32_t first)
{
	LBuilder *b = builder(d);
	Expr *row[4];

	for (int i = 0; i < 4; i++)
		row[i] = load_row(d, from, first + i);
	for (int odd = 0; odd < 2; odd++) {
		Expr *above = zipped(d, row[0], row[1], odd), *below = zipped(d, row[2], row[3], odd);

		loop_store(b, d->beside, plus(d, to, odd * d->plane),
		           loop_packed(b, POP_PACK_LO, above, below, NULL));
		loop_store(b, d->beside, plus(d, to, (odd + 2) * d->plane),
		           loop_packed(b, POP_PACK_HI, above, below, NULL));
	}
}

static void
fill_columns(Columns *d, Expr *channel)
{
	LBuilder *b = builder(d);
	int depth = b->depth;
	Expr *x = lower_for(&d->cx, "column", d->columns), *from, *to;

	from = loop_add(b, loop_affine(b, x, d->c->groups, 0), channel);
	from = lower_let(&d->cx, "from", from);
	to = lower_let(&d->cx, "to", loop_affine(b, x, d->words, 0));
	for (int32_t k = 0; k < d->words; k++)
		turn_rows(d, from, plus(d, to, k), 4 * k);
	lower_end_to(&d->cx, depth);
}

/* ---- Sums ---- */

/* Those of `rows` outputs of a column, from the word at x_at on, to s_at. */
static void
sum_column(Columns *d, Expr *x_at, Expr *w_at, Expr *s_at, int32_t rows)
{
	LBuilder *b = builder(d);

	for (int32_t row = 0; row < rows; row++) {
		Expr *sum = loop_int(b, DT_I32, 0);

		for (int32_t v = 0; v < d->vectors; v++)
			sum = loop_dot(b, sum, d->beside, plus(d, x_at, v * 4), d->weights,
			               plus(d, w_at, (row * d->vectors + v) * DOT_ELEMENTS));
		loop_store(b, d->sums, plus(d, s_at, row * d->c->out_w * LANES), sum);
	}
}

/* All outputs of a strip of `rows` for four channels, from `channel` on. */
static void
sum_channels(Columns *d, Expr *channel, int32_t rows)
{
	const Conv *c = d->c;
	LBuilder *b = builder(d);
	int32_t weights = d->strip * d->vectors * DOT_ELEMENTS, body = d->shape.body;
	int32_t whole = c->out_w / body * body;
	int depth = b->depth;
	Expr *i = loop_for(b, "i", 0, LANES), *x_at, *w_at, *ox;

	x_at = lower_let(&d->cx, "x_i", loop_affine(b, i, d->plane, 0));
	w_at = loop_affine(b, loop_add(b, channel, i), weights, 0);
	w_at = lower_let(&d->cx, "w_i", w_at);
	if (whole > body) {
		Expr *x, *s;

		ox = loop_for_step(b, "ox", 0, whole, body);
		x = loop_add(b, x_at, loop_affine(b, ox, c->sx * d->words, 0));
		x = lower_let(&d->cx, "x_ox", x);
		s = lower_let(&d->cx, "s_ox", loop_add(b, i, loop_affine(b, ox, LANES, 0)));
		for (int32_t k = 0; k < body; k++)
			sum_column(d, plus(d, x, k * c->sx * d->words), w_at, plus(d, s, k * LANES),
			           rows);
		loop_end(b);
	} else {
		whole = 0;
	}
	for (int32_t k = whole; k < c->out_w; k++)
		sum_column(d, plus(d, x_at, k * c->sx * d->words), w_at, plus(d, i, k * LANES), rows);
	lower_end_to(&d->cx, depth);
}

/* ---- Outputs ---- */

/* Four channels of all pixels of a row, whose sums are from s_at on. */
static void
store_row(Columns *d, Expr *s_at, Expr *y_at, Expr *channel)
{
	const Conv *c = d->c;
	LBuilder *b = builder(d);
	int32_t pixels = c->out_w < MAX_PIXELS ? c->out_w : MAX_PIXELS;
	int32_t whole = c->out_w / pixels * pixels;
	int depth = b->depth;
	Expr *ox = whole > pixels ? loop_for_step(b, "ox", 0, whole, pixels) : loop_idx(b, 0);
	Expr *s = loop_add(b, s_at, loop_affine(b, ox, LANES, 0));
	Expr *y = loop_add(b, y_at, loop_affine(b, ox, c->oc, 0));

	channel_vector_store(&d->outputs, d->sums, lower_let(&d->cx, "s_o", s), LANES,
	                     lower_let(&d->cx, "y_o", y), channel, pixels);
	lower_end_to(&d->cx, depth);
	if (whole < c->out_w)
		channel_vector_store(&d->outputs, d->sums, plus(d, s_at, whole * LANES), LANES,
		                     plus(d, y_at, whole * c->oc), channel, c->out_w - whole);
}

/* A strip of `rows` output rows, whose first output is at y_at. */
static void
lower_strip(Columns *d, Expr *y_at, int32_t rows)
{
	const Conv *c = d->c;
	LBuilder *b = builder(d);
	int32_t row_sums = c->out_w * LANES;
	int depth = b->depth, inner;
	Expr *four = lower_for(&d->cx, "four", divide_up(c->oc, LANES)), *channel, *row;

	channel = loop_affine(b, four, LANES, 0);
	if (c->oc % LANES != 0)
		channel = loop_op2(b, KOP_MIN, channel, loop_idx(b, c->oc - LANES));
	channel = lower_let(&d->cx, "channel", channel);
	fill_columns(d, channel);
	sum_channels(d, channel, rows);
	inner = b->depth;
	row = lower_for(&d->cx, "row", rows);
	store_row(d, lower_let(&d->cx, "s_row", loop_affine(b, row, row_sums, 0)),
	          lower_let(&d->cx, "y_row",
	                    loop_add(b, y_at, loop_affine(b, row, c->out_w * c->oc, 0))),
	          channel);
	lower_end_to(&d->cx, inner);
	lower_end_to(&d->cx, depth);
}

static void
lower_image(Columns *d, Expr *x_at, Expr *y_at)
{
	const Conv *c = d->c;
	LBuilder *b = builder(d);
	int32_t whole = c->out_h / d->strip * d->strip;
	int depth = b->depth;
	Expr *oy = whole > d->strip ? loop_for_step(b, "oy", 0, whole, d->strip) : loop_idx(b, 0);
	Expr *y = loop_add(b, y_at, loop_affine(b, oy, c->out_w * c->oc, 0));

	rows_fill(&d->cx, &d->rows, x_at, oy);
	lower_strip(d, lower_let(&d->cx, "y_oy", y), d->strip);
	lower_end_to(&d->cx, depth);
	if (whole < c->out_h) {
		rows_fill(&d->cx, &d->rows, x_at, loop_idx(b, whole));
		lower_strip(d, plus(d, y_at, whole * c->out_w * c->oc), c->out_h - whole);
	}
}

bool
columns_fits(const Conv *c)
{
	return conv_is_int8(c) && c->groups > 1 && c->ic == 1 && c->groups == c->oc &&
	       c->kh <= MOST_ROWS && channel_outputs_fit(c, LANES);
}

LFunc *
columns_lower(Arena *a, const Conv *c, const ColumnsShape *shape)
{
	Columns d = {.c = c, .shape = *shape};
	LBuilder *b = &d.cx.b;
	Expr *image, *x_at, *y_at;

	assert(columns_fits(c) && shape->body > 0);
	lower_begin(&d.cx, a, c->n);
	lower_name_inputs(&d.cx, c->n, (const char *const[]){"x", "w", "bias"});
	plan(&d);
	make_weights(&d);
	d.outputs = channel_outputs_begin(&d.cx, c, LANES);
	d.rows = rows_plan_single(c, c->out_w, d.strip);
	d.rows.vectors = true;
	rows_begin(&d.cx, &d.rows);
	d.beside = lower_scratch(&d.cx, "columns", DT_I32, LANES * d.plane);
	d.sums = lower_scratch(&d.cx, "sums", DT_I32, d.strip * c->out_w * LANES);
	image = lower_for(&d.cx, "n", c->batch);
	x_at = loop_affine(b, image, c->in_h * c->in_w * c->groups, 0);
	x_at = lower_let(&d.cx, "x_n", x_at);
	y_at = loop_affine(b, image, c->out_h * c->out_w * c->oc, 0);
	lower_image(&d, x_at, lower_let(&d.cx, "y_n", y_at));
	lower_end_to(&d.cx, 0);
	return loop_finish(b);
}

/* ---- Cost ---- */

int64_t
columns_cost(const Conv *c)
{
	enum { ROW = 20, COPY = 5, COLUMN = 24, CHANNEL = 10, OUTPUT = 10, FOUR = 20 };
	Columns d = {.c = c};
	int64_t strips, fill, sums, fours = divide_up(c->oc, LANES), outputs;

	plan(&d);
	strips = divide_up(c->out_h, d.strip);
	fill = ((d.strip - 1) * c->sy + (c->kh - 1) * c->dy + 1) *
	       (ROW + (int64_t)c->in_w * c->oc / DOT_ELEMENTS * COPY);
	outputs = (int64_t)d.strip * c->out_w;
	sums = c->out_w * (int64_t)d.vectors * 2 + outputs * (2 * d.vectors + 1) + CHANNEL;
	outputs *= OUTPUT + (c->range.lo < c->y_zero ? 4 : 0);
	return c->batch * strips *
	       (fill + fours * (d.columns * d.words * COLUMN + LANES * sums + outputs + FOUR));
}
