/*
 * Convolutions and matrix products in which many blocks of four weights, of neighbouring
 * input channels at one tap, are all zero: only the other blocks are stored and computed,
 * four products by two instructions, for machines that multiply pairs of 16-bit numbers.
 *
 *	counts	u8, of each channel, row of the kernel and run: how many units there are
 *	places	u8, of each block: which four elements of the run it is for
 *	weights	i32, four weights each
 *
 * or (window, where rows of the buffer are at constant distances) with one list for the whole
 * of the kernel: counts and places are u16, and places are words of the buffer from the
 * window's first on, which is a load and an addition less for each block and a loop less.
 *
 * Blocks follow each other; those of a run are a whole number of units (of 1, 2 or 4
 * blocks, zeros at the end), which are what the loop takes at a time.  A block of work is
 * P pixels by one channel.  Pixels come from a buffer of 16-bit numbers, in the order of
 * ROWS_QUADS, or straight from the input where the kernel has one tap.
 */
#include <assert.h>
#include <string.h>

#include "codegen/kernels/blocks.h"
#include "codegen/kernels/generate.h"
#include "codegen/kernels/params.h"

enum { MAX_PIXELS = 4, MAX_PLACES = 256 };

typedef struct {
	LowerCtx cx;
	const Conv *c;
	QuadShape shape;
	Params params;
	Rows rows;
	bool direct;
	int32_t runs, quads; /* of a row of the kernel: pieces, and fours of elements of one */
	int32_t lists;       /* of a channel */
	int32_t units;       /* of all channels */
	LBuf *counts, *places, *weights, *x;
	LVar *sum[MAX_PIXELS], *at;
} Quads;

static LBuilder *
builder(Quads *d)
{
	return &d->cx.b;
}

/* Where a row of the kernel has too many fours, or gaps, each tap is a run. */
static int32_t
runs_of(const Conv *c)
{
	return c->dx > 1 || c->kw * c->ic / 4 > MAX_PLACES ? c->kw : 1;
}

/* Units of a channel, and places of a window, are numbers of 16 bits. */
bool
quads_fits(const Conv *c, const QuadShape *s)
{
	Rows r;

	if (c->groups != 1 || c->ic % 4 != 0 || c->ic / 4 > MAX_PLACES)
		return false;
	if (!s->window)
		return true;
	if (s->strip == 0 || conv_is_pointwise(c))
		return false;
	r = rows_plan_wide(c, c->out_w, s->strip);
	return (int64_t)r.row_units * r.span <= UINT16_MAX;
}

/* ---- Constants ---- */

/* Four weights; 0 when all of them are. */
static uint32_t
quad_at(const Conv *c, int32_t oc, int32_t ky, int32_t run, int32_t quad)
{
	int32_t at = run * c->ic + 4 * quad;
	uint32_t word = 0;

	for (int32_t i = 0; i < 4; i++)
		word |= ((uint32_t)conv_weight(c, oc, ky, (at + i) / c->ic, (at + i) % c->ic) & 0xff)
		        << 8 * i;
	return word;
}

int64_t
quads_units(const Conv *c, const QuadShape *s)
{
	int32_t runs = runs_of(c), quads = c->kw * c->ic / 4 / runs, pieces = c->kh * runs, count = 0;
	int64_t units = 0;

	for (int32_t i = 0; i < c->oc * pieces; i++) {
		for (int32_t q = 0; q < quads; q++)
			count += quad_at(c, i / pieces, i / runs % c->kh, i % runs, q) != 0;
		if (s->window && (i + 1) % pieces != 0)
			continue;
		units += (count + s->unit - 1) / s->unit;
		count = 0;
	}
	return units;
}

/* The word of the buffer, from that of the window's first on. */
static int32_t
window_place(const Rows *r, int32_t ky, int32_t run, int32_t quad)
{
	const Conv *c = r->c;
	int32_t at = run * c->ic + 4 * quad, kx = at / c->ic;

	return ky * c->dy * r->row_units + (kx * c->dx * c->ic + at % c->ic) / 2;
}

/* A number in a table of the width that lists of this shape have. */
static void
put(const Quads *d, void *table, int32_t at, int32_t value)
{
	if (d->shape.window)
		((uint16_t *)table)[at] = (uint16_t)value;
	else
		((uint8_t *)table)[at] = (uint8_t)value;
}

static void
make_lists(Quads *d)
{
	const Conv *c = d->c;
	Arena *a = d->cx.arena;
	DType type = d->shape.window ? DT_U16 : DT_U8;
	int unit = d->shape.unit;
	int32_t pieces = c->kh * d->runs, n = d->units * unit, at = 0, first = 0;
	uint16_t *counts = ARENA_ARRAY(a, uint16_t, c->oc * d->lists);
	uint16_t *places = ARENA_ARRAY(a, uint16_t, n);
	int32_t *weights = ARENA_ARRAY(a, int32_t, n);

	for (int32_t i = 0; i < c->oc * pieces; i++) {
		int32_t ky = i / d->runs % c->kh, run = i % d->runs;

		for (int32_t q = 0; q < d->quads; q++) {
			uint32_t w = quad_at(c, i / pieces, ky, run, q);

			if (w == 0)
				continue;
			put(d, places, at, d->shape.window ? window_place(&d->rows, ky, run, q) : q);
			memcpy(&weights[at++], &w, sizeof w);
		}
		if (d->shape.window && (i + 1) % pieces != 0)
			continue;
		at += (unit - (at - first) % unit) % unit;
		put(d, counts, d->shape.window ? i / pieces : i, (at - first) / unit);
		first = at;
	}
	assert(at <= n);
	d->counts = lower_table(&d->cx, "counts", type, c->oc * d->lists, counts);
	d->places = lower_table(&d->cx, "places", type, n, places);
	d->weights = lower_constant(&d->cx, "weights", DT_I32, n, weights);
}

/* ---- Sums ---- */

static Expr *
load_index(Quads *d, LBuf *buf, Expr *at)
{
	return loop_cvt(builder(d), DT_IDX, loop_load_compute(builder(d), buf, at));
}

static Expr *
dot(Quads *d, LVar *sum, Expr *x, Expr *w)
{
	LBuilder *b = builder(d);

	return loop_packed(b, POP_DOT2, x, w, loop_get(b, sum));
}

/* Block number `at`; the run starts at x_at. */
static void
add_quad(Quads *d, Expr *at, Expr *x_at, int pixels)
{
	LBuilder *b = builder(d);
	const Conv *c = d->c;
	Expr *w = loop_let(b, "wk", params_load(&d->cx, d->weights, at, 0)), *even, *odd;
	Expr *place = load_index(d, d->places, at);

	if (!d->shape.window)
		place = loop_mul(b, place, loop_idx(b, d->direct ? 4 : 2));
	x_at = loop_let(b, "x_p", loop_add(b, x_at, place));
	even = loop_let(b, "even", loop_packed(b, POP_EVEN8, w, NULL, NULL));
	odd = loop_let(b, "odd", loop_packed(b, POP_ODD8, w, NULL, NULL));
	for (int p = 0; p < pixels; p++) {
		Expr *from = loop_add(b, x_at, loop_idx(b, p * c->sx * c->ic / (d->direct ? 1 : 2)));
		Expr *x[2];

		if (d->direct) {
			Expr *four = loop_let(b, "four", loop_load_wide(b, d->x, from));

			x[0] = loop_packed(b, POP_EVEN8, four, NULL, NULL);
			x[1] = loop_packed(b, POP_ODD8, four, NULL, NULL);
		} else {
			x[0] = params_load(&d->cx, d->x, from, 0);
			x[1] = params_load(&d->cx, d->x, from, 1);
		}
		loop_set(b, d->sum[p], dot(d, d->sum[p], x[0], even));
		loop_set(b, d->sum[p], dot(d, d->sum[p], x[1], odd));
	}
}

/* The blocks of a run, which begin where those before ended. */
static void
add_run(Quads *d, Expr *list, Expr *x_at, int pixels)
{
	LBuilder *b = builder(d);
	int unit = d->shape.unit;
	Expr *end = loop_add(b, loop_get(b, d->at), load_index(d, d->counts, list)), *i;

	end = loop_let(b, "end", loop_op2(b, KOP_MIN, end, loop_idx(b, d->units)));
	i = loop_for_expr(b, "unit", loop_get(b, d->at), end);
	for (int k = 0; k < unit; k++)
		add_quad(d, loop_affine(b, i, unit, k), x_at, pixels);
	loop_end(b);
	loop_set(b, d->at, end);
}

static void
add_window(Quads *d, Expr *channel, Expr *first, Expr *x_at, int pixels)
{
	LBuilder *b = builder(d);
	const Conv *c = d->c;
	int depth = b->depth;
	Expr *ky, *run, *list;

	if (d->shape.window) {
		x_at = loop_add(b, x_at, rows_row(&d->cx, &d->rows, first, loop_idx(b, 0)));
		add_run(d, channel, lower_let(&d->cx, "x_k", x_at), pixels);
		return;
	}
	ky = lower_for(&d->cx, "ky", c->kh);
	if (!d->direct)
		x_at = loop_add(b, x_at, rows_row(&d->cx, &d->rows, first, ky));
	run = lower_for(&d->cx, "kx", d->runs);
	x_at = loop_add(b, x_at, loop_affine(b, run, c->dx * c->ic / 2, 0));
	list = loop_add(b, loop_affine(b, channel, c->kh * d->runs, 0),
	                loop_affine(b, ky, d->runs, 0));
	add_run(d, loop_add(b, list, run), lower_let(&d->cx, "x_k", x_at), pixels);
	lower_end_to(&d->cx, depth);
}

static void
lower_block(void *user, Expr *first, Expr *x_at, Expr *y_at, int pixels)
{
	Quads *d = user;
	LBuilder *b = builder(d);
	int depth = b->depth;
	Expr *channel, *p_at, *sum[MAX_PIXELS];

	d->at = loop_var_idx(b, "at", loop_idx(b, 0), 0, d->units);
	channel = lower_for(&d->cx, "channel", d->c->oc);
	p_at = params_of_group(&d->params, channel);
	for (int p = 0; p < pixels; p++)
		d->sum[p] = loop_var(b, "sum", params_start(&d->params, p_at, 0));
	add_window(d, channel, first, x_at, pixels);
	for (int p = 0; p < pixels; p++)
		sum[p] = params_sum(&d->params, loop_get(b, d->sum[p]));
	y_at = lower_let(&d->cx, "y_c", loop_add(b, y_at, channel));
	params_store(&d->params, channel, p_at, y_at, 0, sum, pixels);
	lower_end_to(&d->cx, depth);
}

LFunc *
quads_lower(Arena *a, const Conv *c, const QuadShape *shape)
{
	Quads d = {.c = c, .shape = *shape, .direct = conv_is_pointwise(c), .runs = runs_of(c)};
	Blocks bl = {.cx = &d.cx, .c = c, .pixels = shape->pixels, .user = &d, .block = lower_block};

	assert(quads_fits(c, shape) && shape->pixels <= MAX_PIXELS && shape->unit >= 1);
	lower_begin(&d.cx, a, c->n);
	d.params = params_begin(&d.cx, c, 1);
	scale_use_powers(&d.params.scale, c);
	d.quads = c->kw * c->ic / 4 / d.runs;
	d.lists = shape->window ? 1 : c->kh * d.runs;
	d.units = (int32_t)quads_units(c, shape);
	/* Buffers have some elements: a block of zeros is as good as none. */
	if (d.units == 0)
		d.units = 1;
	if (!d.direct)
		d.rows = rows_plan_wide(c, c->out_w, shape->strip);
	make_lists(&d);
	params_make(&d.params, NULL, NULL);
	lower_name_inputs(&d.cx, c->n, (const char *const[]){"x", "w", "bias"});
	d.x = d.cx.in[0];
	if (!d.direct) {
		rows_begin(&d.cx, &d.rows);
		bl.rows = &d.rows;
		d.x = d.rows.buf;
	}
	bl.pixel_units = c->sx * c->ic / (d.direct ? 1 : 2);
	blocks_lower(&bl);
	return loop_finish(&d.cx.b);
}
