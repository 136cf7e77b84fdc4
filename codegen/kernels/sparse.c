/*
 * Convolutions and matrix products with many weights of zero: only the others are stored
 * and computed.
 *
 * For each output channel and segment there is a list of positions and weights.  A
 * segment is a row of the kernel, or the whole of it (window), or what of that has at
 * most 255 positions, so that a position takes a byte:
 *
 *	counts		u8, of each channel and segment: the length of its list, in units
 *	places		u8, positions in the segment
 *	weights		of 8, 4 or 2 bits, packed in bytes
 *
 * or (mask) a bit for each position, of any number, which takes less where more than an
 * eighth of the weights are left:
 *
 *	masks		u8, of each channel, row of the kernel and run, from the lowest bit on
 *	weights		of 8 bits
 *
 * Lists follow each other; each is a whole number of units (of 1, 2 or 4 weights, zeros
 * at its end), which are what the loop over a list takes at a time.
 *
 * A block is P pixels by one channel.  Pixels come from the input or from a row buffer of
 * elements as they are; or (planes) from a row buffer in which the elements of a channel
 * lie side by side as 16-bit numbers, so that one load brings those of two pixels, which
 * two `mac` take.  A position becomes an address by a table, or by itself where that can
 * be.
 */
#include <assert.h>

#include "codegen/kernels/blocks.h"
#include "codegen/kernels/generate.h"
#include "codegen/kernels/params.h"

enum { MAX_PIXELS = 8, MAX_PLACES = 255 };

typedef struct {
	LowerCtx cx;
	const Conv *c;
	SparseShape shape;
	Params params;
	Rows rows;
	SparseLists lists;
	int32_t plane;  /* from a channel to the next, with planes */
	bool by_table;  /* positions are looked up: from the start of their run */
	int32_t x_row;  /* from a row to the next, of the buffer or the input */
	LBuf *x, *counts, *places, *masks, *weights, *table;
	LVar *sum[MAX_PIXELS], *at;
} Sparse;

static LBuilder *
builder(Sparse *d)
{
	return &d->cx.b;
}

/* ---- Lists ---- */

/* The elements of a window or run in their order: of a row of the kernel by planes,
 * channels with their columns, else columns with their channels. */
static int32_t
run_weight(const Conv *c, const SparseLists *l, int32_t oc, int32_t ky, int32_t run, int32_t at)
{
	int32_t ic = l->planes ? at / c->kw : at % c->ic, kx = l->planes ? at % c->kw : at / c->ic;

	if (l->window)
		return conv_weight_at(c, (int64_t)oc * l->run + at);
	return conv_weight(c, oc, ky, l->runs > 1 ? run : kx, ic);
}

SparseLists
sparse_lists(const Conv *c, const SparseShape *shape)
{
	SparseLists l = {.planes = shape->planes, .window = shape->strip > 0, .runs = 1};
	int32_t step = shape->planes && !l.window ? c->kw : 1, whole; /* stay together */

	if (!shape->planes && !l.window && c->dx > 1)
		l.runs = c->kw;
	l.run = l.runs > 1 ? c->ic : c->kw * c->ic;
	if (l.window)
		l.run *= c->kh;
	l.chunks = shape->mask ? 1 : (l.run / step - 1) / (MAX_PLACES / step) + 1;
	whole = (l.run / step - 1) / l.chunks + 1;
	l.chunk = whole * step;
	l.segments = (l.window ? 1 : c->kh) * l.runs * l.chunks;
	return l;
}

/* Where a chunk starts: the last one ends with the run. */
static int32_t
chunk_start(const SparseLists *l, int32_t chunk)
{
	int32_t at = chunk * l->chunk, last = l->run - l->chunk;

	return at < last ? at : last;
}

/* Calls put() for each weight of a segment that is not 0. */
static int32_t
walk_segment(const Conv *c, const SparseLists *l, int32_t oc, int32_t segment,
             void (*put)(void *user, int32_t place, int32_t w), void *user)
{
	int32_t chunk = segment % l->chunks, run = segment / l->chunks % l->runs;
	int32_t ky = segment / l->chunks / l->runs, start = chunk_start(l, chunk), count = 0;
	int32_t end = (chunk + 1) * l->chunk < l->run ? (chunk + 1) * l->chunk : l->run;

	for (int32_t at = chunk * l->chunk; at < end; at++) {
		int32_t w = run_weight(c, l, oc, ky, run, at);

		if (w == 0)
			continue;
		count++;
		if (put)
			put(user, at - start, w);
	}
	return count;
}

int64_t
sparse_units(const Conv *c, const SparseLists *l, int unit)
{
	int64_t units = 0;

	for (int32_t oc = 0; oc < c->oc; oc++)
		for (int32_t s = 0; s < l->segments; s++)
			units += (walk_segment(c, l, oc, s, NULL, NULL) + unit - 1) / unit;
	return units;
}

typedef struct {
	uint8_t *places;
	int8_t *weights;
	int32_t n; /* weights so far */
	int bits;
} Lists;

static void
put_weight(void *user, int32_t place, int32_t w)
{
	Lists *l = user;
	int32_t each = 8 / l->bits, at = l->n / each;
	int shift = l->n % each * l->bits;
	uint32_t code = ((uint32_t)w & ((1u << l->bits) - 1)) << shift;

	l->places[l->n++] = (uint8_t)place;
	l->weights[at] = (int8_t)((uint8_t)l->weights[at] | code);
}

static void
make_lists(Sparse *d)
{
	const Conv *c = d->c;
	int unit = d->shape.unit, bits = d->shape.bits;
	int32_t n = d->lists.units * unit, segments = c->oc * d->lists.segments;
	Arena *a = d->cx.arena;
	uint8_t *counts = ARENA_ARRAY(a, uint8_t, segments);
	Lists l = {ARENA_ARRAY(a, uint8_t, n), ARENA_ARRAY(a, int8_t, n * bits / 8 + 1), 0, bits};

	for (int32_t i = 0; i < segments; i++) {
		int32_t count = walk_segment(c, &d->lists, i / d->lists.segments,
		                             i % d->lists.segments, put_weight, &l);

		counts[i] = (uint8_t)((count + unit - 1) / unit);
		while (l.n % unit != 0)
			put_weight(&l, 0, 0);
	}
	d->counts = lower_table(&d->cx, "counts", DT_U8, segments, counts);
	d->places = lower_table(&d->cx, "places", DT_U8, n, l.places);
	d->weights = lower_constant(&d->cx, "weights", DT_I8, (n * bits + 7) / 8, l.weights);
}

typedef struct {
	uint8_t *mask; /* of the segment at hand */
	int8_t *weights;
	int32_t n;
} Masks;

static void
put_masked(void *user, int32_t place, int32_t w)
{
	Masks *m = user;

	m->mask[place / 8] = (uint8_t)(m->mask[place / 8] | 1 << place % 8);
	m->weights[m->n++] = (int8_t)w;
}

/* Behind the weights there are some that a byte of a mask might take, for all that can be
 * known of it. */
static void
make_masks(Sparse *d)
{
	const Conv *c = d->c;
	Arena *a = d->cx.arena;
	int32_t segments = c->oc * d->lists.segments, bytes = (d->lists.run + 7) / 8;
	uint8_t *mask = ARENA_ARRAY(a, uint8_t, segments * bytes);
	Masks m = {mask, ARENA_ARRAY(a, int8_t, d->lists.units + 8), 0};

	for (int32_t i = 0; i < segments; i++, m.mask += bytes)
		walk_segment(c, &d->lists, i / d->lists.segments, i % d->lists.segments,
		             put_masked, &m);
	d->masks = lower_constant(&d->cx, "masks", DT_U8, segments * bytes, mask);
	d->weights = lower_constant(&d->cx, "weights", DT_I8, d->lists.units + 8, m.weights);
}

/* Where element `at` of a window is. */
static int32_t
window_place(const Sparse *d, int32_t at)
{
	const Conv *c = d->c;
	int32_t ic = at % c->ic, kx = at / c->ic % c->kw, ky = at / c->ic / c->kw;
	int32_t row = ky * c->dy * d->x_row;

	if (!d->shape.planes)
		return row + kx * c->dx * c->ic + ic;
	return row + ic * d->plane + rows_column(&d->rows, kx * c->dx);
}

/* Addresses of the positions of a window, or of those of a segment with planes. */
static void
make_table(Sparse *d)
{
	const Conv *c = d->c;
	int32_t n = d->lists.window ? d->lists.run : d->lists.chunk;
	uint16_t *place = ARENA_ARRAY(d->cx.arena, uint16_t, n);

	for (int32_t i = 0; i < n; i++) {
		int32_t column = i % c->kw * c->dx;

		if (d->lists.window)
			place[i] = (uint16_t)window_place(d, i);
		else
			place[i] = (uint16_t)(i / c->kw * d->plane + rows_column(&d->rows, column));
	}
	d->table = lower_table(&d->cx, "offsets", DT_U16, n, place);
}

/* ---- Sums ---- */

static Expr *
load_index(Sparse *d, LBuf *buf, Expr *at)
{
	LBuilder *b = builder(d);

	return loop_cvt(b, DT_IDX, loop_load_compute(b, buf, at));
}

/* Weight k of a unit. */
static Expr *
load_weight(Sparse *d, Expr *unit, int k, Expr *bytes[])
{
	LBuilder *b = builder(d);
	int bits = d->shape.bits, each = 8 / bits, above = 32 - bits * (k % each + 1);
	Expr *w;

	if (bits == 8)
		return params_load(&d->cx, d->weights, loop_affine(b, unit, d->shape.unit, k), 0);
	if (k % each == 0)
		bytes[k / each] = loop_let(b, "w_b",
		                           params_load(&d->cx, d->weights,
		                                    loop_affine(b, unit, d->shape.unit / each, k / each), 0));
	w = loop_op2(b, KOP_SHL, bytes[k / each], loop_int(b, DT_I32, above));
	return loop_op2(b, KOP_SHR, w, loop_int(b, DT_I32, 32 - bits));
}

/* Where a position of the segment is that starts `start` positions behind x_at. */
static Expr *
address_of(Sparse *d, Expr *x_at, Expr *start, Expr *place)
{
	LBuilder *b = builder(d);

	if (d->by_table)
		place = load_index(d, d->table, loop_add(b, place, start));
	else if (d->shape.planes)
		place = loop_affine(b, place, d->plane, 0);
	return loop_let(b, "x_p", loop_add(b, x_at, place));
}

static void
set_sum(Sparse *d, LVar *sum, Expr *value, bool keep)
{
	LBuilder *b = builder(d);

	loop_set(b, sum, keep ? loop_packed(b, POP_KEEP, value, NULL, NULL) : value);
}

static void
add_pairs(Sparse *d, Expr *x_at, Expr *w, int pixels)
{
	LBuilder *b = builder(d);
	Expr *high = loop_let(b, "w_h", loop_op2(b, KOP_SHL, w, loop_int(b, DT_I32, 16)));

	for (int p = 0; p < pixels; p += 2) {
		Expr *two = loop_load_wide(b, d->x, loop_add(b, x_at, loop_idx(b, p)));

		two = loop_let(b, "xk", two);
		set_sum(d, d->sum[p], loop_packed(b, POP_MAC_BB, two, w, loop_get(b, d->sum[p])),
		        false);
		set_sum(d, d->sum[p + 1],
		        loop_packed(b, POP_MAC_TT, two, high, loop_get(b, d->sum[p + 1])),
		        p + 2 >= pixels);
	}
}

static void
add_singles(Sparse *d, Expr *x_at, Expr *w, int pixels)
{
	LBuilder *b = builder(d);

	for (int p = 0; p < pixels; p++) {
		Expr *x = params_load(&d->cx, d->x, x_at, p * d->c->sx * d->c->ic);

		/* Compilers that see sums in it add products of two weights up by themselves. */
		if (d->shape.dsp)
			x = loop_packed(b, POP_MAC_BB, x, w, loop_get(b, d->sum[p]));
		else
			x = loop_add(b, loop_get(b, d->sum[p]), loop_mul(b, x, w));
		set_sum(d, d->sum[p], x, pixels > 1 && p + 1 == pixels);
	}
}

/* A unit of a list. */
static void
add_unit(Sparse *d, Expr *unit, Expr *x_at, Expr *start, int pixels)
{
	LBuilder *b = builder(d);
	Expr *bytes[4], *place[4];

	for (int k = 0; k < d->shape.unit; k++)
		place[k] = loop_let(b, "place",
		                    load_index(d, d->places, loop_affine(b, unit, d->shape.unit, k)));
	for (int k = 0; k < d->shape.unit; k++) {
		Expr *at = address_of(d, x_at, start, place[k]);
		Expr *w = loop_let(b, "wk", load_weight(d, unit, k, bytes));

		if (d->shape.planes)
			add_pairs(d, at, w, pixels);
		else
			add_singles(d, at, w, pixels);
	}
}

/* The list of a segment, which begins where the one before ended. */
static void
add_list(Sparse *d, Expr *segment, Expr *x_at, Expr *start, int pixels)
{
	LBuilder *b = builder(d);
	Expr *end = loop_add(b, loop_get(b, d->at), load_index(d, d->counts, segment)), *unit;

	end = loop_op2(b, KOP_MIN, end, loop_idx(b, d->lists.units));
	end = loop_let(b, "end", end);
	unit = loop_for_expr(b, "unit", loop_get(b, d->at), end);
	add_unit(d, unit, x_at, start, pixels);
	loop_end(b);
	loop_set(b, d->at, end);
}

/* The first `n` positions of a byte of a mask. */
static void
add_byte(Sparse *d, Expr *mask_at, Expr *x_at, int n, int pixels)
{
	LBuilder *b = builder(d);
	Expr *mask = loop_let(b, "mask", params_load(&d->cx, d->masks, mask_at, 0));
	LVar *at = loop_var_idx(b, "w_at", loop_get(b, d->at), 0, d->lists.units + 8);

	for (int k = 0; k < n; k++) {
		Expr *bit = loop_op2(b, KOP_AND, mask, loop_int(b, DT_I32, 1 << k)), *w;

		loop_if(b, loop_op2(b, KOP_NE, bit, loop_int(b, DT_I32, 0)));
		w = loop_let(b, "wk", params_load(&d->cx, d->weights, loop_get(b, at), 0));
		loop_set(b, at, loop_add(b, loop_get(b, at), loop_idx(b, 1)));
		add_singles(d, loop_add(b, x_at, loop_idx(b, k)), w, pixels);
		loop_end(b);
	}
	loop_set(b, d->at, loop_op2(b, KOP_MIN, loop_get(b, at), loop_idx(b, d->lists.units)));
}

static void
add_mask(Sparse *d, Expr *segment, Expr *x_at, int pixels)
{
	LBuilder *b = builder(d);
	int32_t run = d->lists.run, whole = run / 8;
	Expr *mask_at = lower_let(&d->cx, "m_at", loop_affine(b, segment, (run + 7) / 8, 0));

	x_at = lower_let(&d->cx, "x_k", x_at);
	if (whole > 0) {
		int depth = b->depth;
		Expr *i = lower_for(&d->cx, "byte", whole), *at = loop_add(b, x_at, loop_affine(b, i, 8, 0));

		add_byte(d, loop_add(b, mask_at, i), lower_let(&d->cx, "x_b", at), 8, pixels);
		lower_end_to(&d->cx, depth);
	}
	if (run % 8 != 0)
		add_byte(d, loop_add(b, mask_at, loop_idx(b, whole)),
		         loop_add(b, x_at, loop_idx(b, 8 * whole)), run % 8, pixels);
}

/* The lists of the parts of a run, whose first one is `segment`. */
static void
add_parts(Sparse *d, Expr *segment, Expr *x_at, int pixels)
{
	LBuilder *b = builder(d);
	const SparseLists *l = &d->lists;
	int32_t unit = d->shape.planes ? d->plane : 1;
	int32_t step = d->shape.planes && !d->lists.window ? d->c->kw : 1;
	Expr *part = lower_for(&d->cx, "part", l->chunks), *start = loop_idx(b, 0);

	if (l->chunks > 1)
		start = loop_op2(b, KOP_MIN, loop_affine(b, part, l->chunk / step, 0),
		                 loop_idx(b, (l->run - l->chunk) / step));
	segment = loop_add(b, segment, part);
	if (d->lists.window) {
		add_list(d, segment, x_at, lower_let(&d->cx, "start", start), pixels);
		return;
	}
	x_at = loop_add(b, x_at, loop_affine(b, start, unit, 0));
	add_list(d, segment, lower_let(&d->cx, "x_k", x_at), loop_idx(b, 0), pixels);
}

/* All lists of a channel. */
static void
add_window(Sparse *d, Expr *channel, Expr *first, Expr *x_at, int pixels)
{
	LBuilder *b = builder(d);
	const SparseLists *l = &d->lists;
	int depth = b->depth;
	Expr *segment = loop_affine(b, channel, l->segments, 0), *ky, *run;

	if (d->lists.window) {
		add_parts(d, segment, x_at, pixels);
		lower_end_to(&d->cx, depth);
		return;
	}
	ky = lower_for(&d->cx, "ky", d->c->kh);
	segment = loop_add(b, segment, loop_affine(b, ky, l->runs * l->chunks, 0));
	if (d->rows.buf && !d->rows.is_block)
		x_at = loop_add(b, rows_row(&d->cx, &d->rows, first, ky), x_at);
	run = lower_for(&d->cx, "kx", l->runs);
	segment = loop_add(b, segment, loop_affine(b, run, l->chunks, 0));
	x_at = loop_add(b, x_at, loop_affine(b, run, d->c->dx * d->c->ic, 0));
	if (d->shape.mask)
		add_mask(d, segment, x_at, pixels);
	else
		add_parts(d, segment, x_at, pixels);
	lower_end_to(&d->cx, depth);
}

/* ---- Outputs ---- */

static void
store_sums(Sparse *d, Expr *channel, Expr *p_at, Expr *y_at, int pixels)
{
	LBuilder *b = builder(d);
	Expr *sum[MAX_PIXELS];

	for (int p = 0; p < pixels; p++)
		sum[p] = params_sum(&d->params, loop_get(b, d->sum[p]));
	y_at = lower_let(&d->cx, "y_c", loop_add(b, y_at, channel));
	params_store(&d->params, channel, p_at, y_at, 0, sum, pixels);
}

static void
lower_block(void *user, Expr *first, Expr *x_at, Expr *y_at, int pixels)
{
	Sparse *d = user;
	LBuilder *b = builder(d);
	int sums = d->shape.planes ? pixels + pixels % 2 : pixels, depth = b->depth;
	Expr *channel, *p_at;

	if (d->rows.is_block) {
		rows_fill_block(&d->cx, &d->rows, x_at, pixels);
		x_at = loop_idx(b, 0);
	}
	if (d->lists.window && d->rows.buf)
		x_at = lower_let(&d->cx, "x_w", loop_add(b, loop_mul(b, first, loop_idx(b, d->x_row)), x_at));
	d->at = loop_var_idx(b, "at", loop_idx(b, 0), 0, d->lists.units);
	channel = lower_for(&d->cx, "channel", d->c->oc);
	p_at = params_of_group(&d->params, channel);
	for (int p = 0; p < sums; p++)
		d->sum[p] = loop_var(b, "sum", params_start(&d->params, p_at, 0));
	add_window(d, channel, first, x_at, sums);
	store_sums(d, channel, p_at, y_at, pixels);
	lower_end_to(&d->cx, depth);
}

/* The buffer that a shape wants. */
static Rows
rows_of(const Conv *c, const SparseShape *shape)
{
	bool flat = conv_is_pointwise(c);

	if (shape->planes)
		return rows_plan_planes(c, c->out_w + c->out_w % 2, shape->strip,
		                        flat ? shape->pixels : 0);
	return rows_plan_single(c, c->out_w, shape->strip);
}

static bool
reads_input(const Conv *c, const SparseShape *shape)
{
	return !shape->planes && (conv_is_pointwise(c) || (shape->strip > 0 && conv_is_unpadded(c)));
}

bool
sparse_fits(const Conv *c, const SparseShape *shape)
{
	int64_t weights = (int64_t)c->oc * c->kh * c->kw * c->ic;
	int64_t row = reads_input(c, shape) ? (int64_t)c->in_w * c->ic : rows_of(c, shape).row_units;

	if (c->groups != 1 || weights > 1 << 24 || conv_weight_bits(c) > shape->bits)
		return false;
	if (shape->strip > 0 && (conv_is_pointwise(c) || row * ((c->kh - 1) * c->dy + 1) > UINT16_MAX))
		return false;
	return !shape->planes || (c->kw <= MAX_PLACES && row <= UINT16_MAX);
}

/* Where pixels come from. */
static void
plan_rows(Sparse *d, Blocks *bl)
{
	const Conv *c = d->c;

	bl->pixel_units = d->shape.planes && !conv_is_pointwise(c) ? 1 : c->sx * c->ic;
	d->x = d->cx.in[0];
	d->x_row = c->in_w * c->ic;
	if (reads_input(c, &d->shape))
		return;
	d->rows = rows_of(c, &d->shape);
	rows_begin(&d->cx, &d->rows);
	bl->rows = d->rows.is_block ? NULL : &d->rows;
	d->x = d->rows.buf;
	d->x_row = d->rows.row_units;
	d->plane = d->rows.plane;
}

LFunc *
sparse_lower(Arena *a, const Conv *c, const SparseShape *shape)
{
	Sparse d = {.c = c, .shape = *shape, .lists = sparse_lists(c, shape)};
	Blocks bl = {.cx = &d.cx, .c = c, .pixels = shape->pixels, .user = &d, .block = lower_block};

	assert(sparse_fits(c, shape) && shape->pixels <= MAX_PIXELS);
	assert(shape->unit * shape->bits % 8 == 0 && shape->unit <= 4);
	assert(!shape->planes || shape->pixels % 2 == 0);
	assert(!shape->mask || (!shape->planes && shape->strip == 0 && shape->unit == 1));
	lower_begin(&d.cx, a, c->n);
	d.params = params_begin(&d.cx, c, 1);
	if (shape->dsp)
		scale_use_powers(&d.params.scale, c);
	d.lists.units = (int32_t)sparse_units(c, &d.lists, shape->unit);
	/* A list of all zeros is as good as none, and buffers have some elements. */
	if (d.lists.units == 0)
		d.lists.units = 1;
	d.by_table = d.lists.window || (shape->planes && c->kw > 1);
	lower_name_inputs(&d.cx, c->n, (const char *const[]){"x", "w", "bias"});
	params_make(&d.params, NULL, NULL);
	plan_rows(&d, &bl);
	if (shape->mask)
		make_masks(&d);
	else
		make_lists(&d);
	if (d.by_table)
		make_table(&d);
	blocks_lower(&bl);
	return loop_finish(&d.cx.b);
}
