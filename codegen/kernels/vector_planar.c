/*
 * Convolutions of floats in the layout nchw: lanes are neighbouring pixels of a channel.
 *
 * Blocks of vectors of pixels by output channels: a vector of the input is loaded once for
 * all channels of the block, and a weight once for all vectors.  Where the kernel has one
 * tap and takes every pixel, vectors come from the input.  Else from planes in scratch
 * memory, with the padding; with strides there is a plane for each remainder of rows and
 * columns, so that neighbouring outputs take neighbouring elements for every tap.  All
 * rows of a plane are one line, along which blocks go; behind the outputs of a row there
 * are some lanes of no meaning, and what is computed goes to a tile first, from which
 * the rows are copied.  Where rows are whole vectors, blocks are whole rows or parts of
 * them instead.
 */
#include <assert.h>

#include "codegen/kernels/vector.h"
#include "ir/op.h"

enum { MAX_VECTORS = 8, MAX_BLOCK = 32, MAX_PHASES = 16, MAX_UNROLLED = 32 };

typedef struct {
	LowerCtx cx;
	const FloatConv *c;
	FloatShape shape;
	bool depthwise, direct, whole_rows;
	int32_t row;      /* elements from one row of a plane to the next */
	int32_t rows;     /* of a plane */
	int32_t phase_at[MAX_PHASES]; /* where a remainder's plane starts; -1: not needed */
	int32_t channel;  /* elements of the planes of a channel */
	int32_t line;     /* outputs along the planes, with those of no meaning */
	int32_t tile;     /* of a channel */
	LBuf *x, *weights, *bias, *tiles;
	LVar *sum[MAX_BLOCK];
} Planar;

static LBuilder *
builder(Planar *p)
{
	return &p->cx.b;
}

/* ---- Shapes ---- */

static bool
is_direct(const FloatConv *c)
{
	return c->kh == 1 && c->kw == 1 && c->sy == 1 && c->sx == 1 && !c->padded &&
	       c->in_h == c->out_h && c->in_w == c->out_w;
}

/* The distance of the last tap from the first in a plane. */
static int32_t
last_row(const FloatConv *c)
{
	return (c->kh - 1) * c->dy / c->sy;
}

static int32_t
last_column(const FloatConv *c)
{
	return (c->kw - 1) * c->dx / c->sx;
}

static int32_t
line_of(const FloatConv *c)
{
	int32_t row = is_direct(c) ? c->out_w : c->out_w + last_column(c);

	return (c->out_h - 1) * row + c->out_w;
}

/* Whether lines have no lanes without meaning. */
static bool
is_compact(const FloatConv *c)
{
	return is_direct(c) || last_column(c) == 0;
}

/* Whether blocks of so many pixels make up rows, or are made of them. */
static bool
fills_rows(const FloatConv *c, int lanes, int vectors)
{
	int32_t block = lanes * vectors;

	return c->out_w % lanes == 0 &&
	       (c->out_w % block == 0 ||
	        (block % c->out_w == 0 && c->out_h % (block / c->out_w) == 0));
}

/* Steps that a block takes for one tap of one channel: the products, or loads. */
static int64_t
tap_cost(int lanes, int vectors, int channels)
{
	int products = vectors * channels, loads = vectors + (channels + 1) / 2;

	if (lanes == 1)
		return float_scalar_step(products, vectors + channels);
	return products > loads ? products : loads;
}

static int64_t
block_cost(int64_t taps, const FloatShape *s, int channels)
{
	return taps * tap_cost(s->lanes, s->vectors, channels) +
	       (s->lanes == 1 ? float_scalar_ends((int64_t)s->vectors * channels) : 10);
}

static int64_t
shape_cost(const FloatConv *c, const FloatShape *s)
{
	int64_t block = (int64_t)s->lanes * s->vectors, taps = (int64_t)c->kh * c->kw * c->ic;
	int64_t line = fills_rows(c, s->lanes, s->vectors) && !is_direct(c)
	                       ? (int64_t)c->out_h * c->out_w
	                       : line_of(c);
	int64_t blocks = (line + block - 1) / block, cost;
	int last = c->oc % s->channels;

	cost = c->oc / s->channels * block_cost(taps, s, s->channels);
	if (last)
		cost += block_cost(taps, s, last);
	cost *= blocks;
	if (s->lanes == 1 && !is_direct(c))
		cost += 5 * (int64_t)c->in_h * c->in_w * c->ic * c->groups;
	return c->batch * cost;
}

/* Sums, the input of a tap, a weight and a product. */
static bool
fits_registers(const FloatShape *s, const Target *t)
{
	return float_fits_registers(t, s->lanes, s->vectors * s->channels + s->vectors + 2);
}

int64_t
float_planar_shape(const FloatConv *c, const Target *t, FloatShape *best)
{
	int64_t least = 0;

	if (!c->planar || (c->groups != 1 && !float_conv_is_depthwise(c)) ||
	    (int64_t)c->sy * c->sx > MAX_PHASES)
		return 0;
	for (int lanes = float_lanes_most(t); lanes >= float_lanes_least(t); lanes /= 2)
		for (int vectors = 1; vectors <= MAX_VECTORS; vectors++)
			for (int channels = 1; channels <= MAX_BLOCK / vectors; channels++) {
				FloatShape s = {lanes, vectors, channels};
				int64_t cost = shape_cost(c, &s);

				if (!fits_registers(&s, t) || channels > (float_conv_is_depthwise(c) ? 1 : c->oc) ||
				    line_of(c) < (is_compact(c) ? lanes * vectors : lanes) ||
				    (least && cost >= least))
					continue;
				least = cost;
				*best = s;
			}
	return least;
}

static int32_t
phase_of(const FloatConv *c, int32_t ky, int32_t kx)
{
	return ky * c->dy % c->sy * c->sx + kx * c->dx % c->sx;
}

static void
plan_planes(Planar *p)
{
	const FloatConv *c = p->c;
	int32_t n = 0;

	p->row = c->out_w + last_column(c);
	p->rows = c->out_h + last_row(c);
	for (int i = 0; i < MAX_PHASES; i++)
		p->phase_at[i] = -1;
	for (int32_t ky = 0; ky < c->kh; ky++)
		for (int32_t kx = 0; kx < c->kw; kx++)
			if (p->phase_at[phase_of(c, ky, kx)] < 0)
				p->phase_at[phase_of(c, ky, kx)] = p->rows * p->row * n++;
	p->channel = n * p->rows * p->row;
}

static int32_t
tap_at(const Planar *p, int32_t ky, int32_t kx)
{
	const FloatConv *c = p->c;

	if (p->direct)
		return 0;
	return p->phase_at[phase_of(c, ky, kx)] + ky * c->dy / c->sy * p->row + kx * c->dx / c->sx;
}

/* ---- Planes ---- */

/* Copies neighbours, or with from NULL stores zeros; what makes no whole vector is done
 * by one that overlaps the last. */
static void
move_line(Planar *p, LBuf *to_buf, Expr *to, LBuf *from_buf, Expr *from, int32_t count)
{
	LBuilder *b = builder(p);
	int lanes = p->shape.lanes;
	Expr *i, *zero = loop_float(b, DT_F32, 0);

	while (lanes > count)
		lanes /= 2;
	if (count <= 0)
		return;
	for (int rest = 0; rest <= (count % lanes != 0); rest++) {
		int32_t whole = count / lanes * lanes, vector = lanes > 1 ? lanes : 0;

		i = rest ? loop_idx(b, count - lanes) : loop_for_step(b, "i", 0, whole, lanes);
		loop_store(b, to_buf, loop_add(b, to, i),
		           from ? loop_load_lanes(b, from_buf, loop_add(b, from, i), vector)
		                : loop_splat(b, zero, vector));
		if (!rest)
			loop_end(b);
	}
}

static void
fill_zero(Planar *p, Expr *from, int32_t count)
{
	move_line(p, p->x, from, NULL, NULL, count);
}

/* Row iy of the input, which exists: its columns remainder, remainder + sx, … */
static void
copy_row(Planar *p, Expr *x_row, Expr *to, int32_t remainder)
{
	const FloatConv *c = p->c;
	LBuilder *b = builder(p);
	int32_t first = (c->left - remainder + c->sx - 1) / c->sx, end, start;
	Expr *i;

	first = c->left <= remainder ? 0 : first < p->row ? first : p->row;
	start = first * c->sx + remainder - c->left;
	end = start < c->in_w ? first + (c->in_w - start - 1) / c->sx + 1 : first;
	end = end < p->row ? end : p->row;
	fill_zero(p, to, first);
	if (end > first && c->sx == 1) {
		move_line(p, p->x, loop_add(b, to, loop_idx(b, first)), p->cx.in[0],
		          loop_add(b, x_row, loop_idx(b, start)), end - first);
	} else if (end > first) {
		i = loop_for(b, "i", 0, end - first);
		loop_store(b, p->x, loop_add(b, loop_add(b, to, loop_idx(b, first)), i),
		           loop_load(b, p->cx.in[0],
		                     loop_add(b, x_row, loop_affine(b, i, c->sx, start))));
		loop_end(b);
	}
	fill_zero(p, loop_add(b, to, loop_idx(b, end)), p->row - end);
}

static void
fill_plane(Planar *p, Expr *x_at, Expr *to, int32_t phase)
{
	const FloatConv *c = p->c;
	LBuilder *b = builder(p);
	int32_t remainder = phase / c->sx;
	Expr *row = loop_for(b, "row", 0, p->rows), *iy;

	to = loop_add(b, to, loop_affine(b, row, p->row, p->phase_at[phase]));
	to = lower_let(&p->cx, "to", to);
	iy = lower_let(&p->cx, "iy", loop_affine(b, row, c->sy, remainder - c->top));
	loop_if(b, loop_op2(b, KOP_AND, loop_op2(b, KOP_GE, iy, loop_idx(b, 0)),
	                    loop_op2(b, KOP_LT, iy, loop_idx(b, c->in_h))));
	copy_row(p, lower_let(&p->cx, "x_iy", loop_add(b, x_at, loop_affine(b, iy, c->in_w, 0))),
	         to, phase % c->sx);
	loop_else(b);
	fill_zero(p, to, p->row);
	loop_end(b);
	loop_end(b);
}

/* The planes of `channels` channels from x_at on. */
static void
fill_planes(Planar *p, Expr *x_at, int32_t channels)
{
	const FloatConv *c = p->c;
	LBuilder *b = builder(p);
	int depth = b->depth;
	Expr *ic = lower_for(&p->cx, "ic", channels), *to;

	x_at = loop_add(b, x_at, loop_affine(b, ic, c->in_h * c->in_w, 0));
	x_at = lower_let(&p->cx, "x_ic", x_at);
	to = lower_let(&p->cx, "to_ic", loop_affine(b, ic, p->channel, 0));
	for (int32_t phase = 0; phase < c->sy * c->sx; phase++)
		if (p->phase_at[phase] >= 0)
			fill_plane(p, x_at, to, phase);
	lower_end_to(&p->cx, depth);
}

/* ---- Weights ---- */

/* By blocks of channels: a tap of all channels of a block side by side. */
static void
make_weights(Planar *p)
{
	const FloatConv *c = p->c;
	int32_t taps = c->ic * c->kh * c->kw, n = 0;
	float *w = ARENA_ARRAY(p->cx.arena, float, c->oc * taps);

	for (int32_t first = 0; first < c->oc; first += p->shape.channels)
		for (int32_t k = 0; k < taps; k++)
			for (int32_t oc = first; oc < c->oc && oc < first + p->shape.channels; oc++)
				w[n++] = c->w[oc * taps + k];
	p->weights = lower_constant(&p->cx, "weights", DT_F32, n, w);
}

/* ---- Blocks ---- */

/* Where vector v of a block starts in the planes, from where the block does. */
static int32_t
vector_at(const Planar *p, int v)
{
	int32_t at = v * p->shape.lanes;

	return p->whole_rows ? at / p->c->out_w * p->row + at % p->c->out_w : at;
}

static void
add_tap(Planar *p, Expr *x_at, Expr *w_at, int channels)
{
	LBuilder *b = builder(p);
	int lanes = p->shape.lanes, vectors = p->shape.vectors;
	Expr *x[MAX_VECTORS];

	for (int v = 0; v < vectors; v++)
		x[v] = loop_let(b, "xv",
		                loop_load_lanes(b, p->x,
		                                loop_add(b, x_at, loop_idx(b, vector_at(p, v))),
		                                lanes));
	for (int i = 0; i < channels; i++) {
		Expr *w = loop_load(b, p->weights, loop_add(b, w_at, loop_idx(b, i)));

		w = loop_let(b, "wv", loop_splat(b, w, lanes));
		for (int v = 0; v < vectors; v++) {
			LVar *sum = p->sum[i * vectors + v];

			loop_set(b, sum, loop_add(b, loop_get(b, sum), loop_mul(b, x[v], w)));
		}
	}
}

/* All taps of an input channel. */
static void
add_taps(Planar *p, Expr *x_at, Expr *w_at, int channels)
{
	const FloatConv *c = p->c;
	LBuilder *b = builder(p);
	bool by_row = c->kh * c->kw > MAX_UNROLLED;
	int depth = b->depth;
	Expr *kx;

	if (!by_row) {
		for (int32_t k = 0; k < c->kh * c->kw; k++)
			add_tap(p, loop_add(b, x_at, loop_idx(b, tap_at(p, k / c->kw, k % c->kw))),
			        loop_add(b, w_at, loop_idx(b, k * channels)), channels);
		return;
	}
	/* Large kernels: a loop over the taps of a row that lie in one plane. */
	for (int32_t ky = 0; ky < c->kh; ky++) {
		if (c->dx % c->sx != 0 && c->kw > 1) {
			for (int32_t k = 0; k < c->kw; k++)
				add_tap(p, loop_add(b, x_at, loop_idx(b, tap_at(p, ky, k))),
				        loop_add(b, w_at, loop_idx(b, (ky * c->kw + k) * channels)),
				        channels);
			continue;
		}
		kx = lower_for(&p->cx, "kx", c->kw);
		add_tap(p,
		        lower_let(&p->cx, "x_kx",
		                  loop_add(b, x_at, loop_affine(b, kx, c->dx / c->sx, tap_at(p, ky, 0)))),
		        lower_let(&p->cx, "w_kx",
		                  loop_add(b, w_at, loop_affine(b, kx, channels, ky * c->kw * channels))),
		        channels);
		lower_end_to(&p->cx, depth);
	}
}

/* A block: x_at is where it starts in the first plane, `first` its first channel, and
 * outputs go to `out` from `to` on, `step` elements from channel to channel. */
static void
lower_block(Planar *p, Expr *x_at, Expr *w_at, Expr *first, int channels, LBuf *out, Expr *to,
            int32_t step)
{
	const FloatConv *c = p->c;
	LBuilder *b = builder(p);
	int lanes = p->shape.lanes, vectors = p->shape.vectors, depth = b->depth;
	int32_t taps = c->kh * c->kw;
	Expr *ic;

	for (int i = 0; i < channels * vectors; i++) {
		Expr *at = loop_add(b, first, loop_idx(b, i / vectors));
		Expr *start = p->bias ? loop_load(b, p->bias, at) : loop_float(b, DT_F32, 0);

		p->sum[i] = loop_var(b, "sum", loop_splat(b, start, lanes));
	}
	ic = lower_for(&p->cx, "ic", c->ic);
	add_taps(p, lower_let(&p->cx, "x_k", loop_add(b, x_at, loop_affine(b, ic, p->channel, 0))),
	         lower_let(&p->cx, "w_k", loop_add(b, w_at, loop_affine(b, ic, taps * channels, 0))),
	         channels);
	lower_end_to(&p->cx, depth);
	for (int i = 0; i < channels * vectors; i++) {
		int32_t at = i / vectors * step + i % vectors * lanes;

		loop_store(b, out, loop_add(b, to, loop_idx(b, at)),
		           lower_activation(&p->cx, c->n, loop_get(b, p->sum[i])));
	}
}

/* Rows of the tile to the output. */
static void
copy_tile(Planar *p, Expr *y_at, int channels)
{
	const FloatConv *c = p->c;
	LBuilder *b = builder(p);
	int depth = b->depth;
	Expr *i = lower_for(&p->cx, "channel", channels), *oy = lower_for(&p->cx, "oy", c->out_h);
	Expr *from = loop_add(b, loop_affine(b, i, p->tile, 0), loop_affine(b, oy, p->row, 0));

	y_at = loop_add(b, y_at, loop_affine(b, i, c->out_h * c->out_w, 0));
	y_at = lower_let(&p->cx, "y_oy", loop_add(b, y_at, loop_affine(b, oy, c->out_w, 0)));
	from = lower_let(&p->cx, "from", from);
	move_line(p, p->cx.out[0], y_at, p->tiles, from, c->out_w);
	lower_end_to(&p->cx, depth);
}

static void
lower_rows(Planar *p, Expr *w_at, Expr *first, int channels, Expr *y_at)
{
	const FloatConv *c = p->c;
	LBuilder *b = builder(p);
	int32_t block = p->shape.lanes * p->shape.vectors;
	int32_t rows = block > c->out_w ? block / c->out_w : 1;
	int32_t part = block < c->out_w ? block : c->out_w;
	Expr *oy = loop_for_step(b, "oy", 0, c->out_h, rows);
	Expr *ox = loop_for_step(b, "ox", 0, c->out_w, part);
	Expr *x_at = loop_add(b, loop_affine(b, oy, p->row, 0), ox);

	y_at = loop_add(b, y_at, loop_add(b, loop_affine(b, oy, c->out_w, 0), ox));
	lower_block(p, lower_let(&p->cx, "x_ox", x_at), w_at, first, channels, p->cx.out[0],
	            lower_let(&p->cx, "y_ox", y_at), c->out_h * c->out_w);
	loop_end(b);
	loop_end(b);
}

/* A block that would end behind the line starts earlier where there is no room. */
static void
lower_line(Planar *p, Expr *x_at, Expr *w_at, Expr *first, int channels, Expr *y_at)
{
	const FloatConv *c = p->c;
	LBuilder *b = builder(p);
	int32_t block = p->shape.lanes * p->shape.vectors;
	int32_t whole = (p->tiles ? p->tile : p->line) / block * block;
	LBuf *out = p->tiles ? p->tiles : p->cx.out[0];
	int32_t step = p->tiles ? p->tile : c->out_h * c->out_w;
	Expr *q = loop_for_step(b, "q", 0, whole, block), *to = p->tiles ? loop_idx(b, 0) : y_at;

	lower_block(p, lower_let(&p->cx, "x_q", loop_add(b, x_at, q)), w_at, first, channels, out,
	            lower_let(&p->cx, "to_q", loop_add(b, to, q)), step);
	loop_end(b);
	if (!p->tiles && whole < p->line)
		lower_block(p, loop_add(b, x_at, loop_idx(b, p->line - block)), w_at, first, channels,
		            out, loop_add(b, to, loop_idx(b, p->line - block)), step);
	if (p->tiles)
		copy_tile(p, y_at, channels);
}

/* Output channels from `first` on. */
static void
lower_channels(Planar *p, Expr *x_at, Expr *first, int channels, Expr *y_at)
{
	const FloatConv *c = p->c;
	LBuilder *b = builder(p);
	Expr *w_at = lower_let(&p->cx, "w_oc", loop_affine(b, first, c->ic * c->kh * c->kw, 0));

	y_at = lower_let(&p->cx, "y_oc",
	                 loop_add(b, y_at, loop_affine(b, first, c->out_h * c->out_w, 0)));
	if (p->whole_rows)
		lower_rows(p, w_at, first, channels, y_at);
	else
		lower_line(p, x_at, w_at, first, channels, y_at);
}

static void
lower_dense(Planar *p, Expr *x_at, Expr *y_at)
{
	const FloatConv *c = p->c;
	LBuilder *b = builder(p);
	int channels = p->shape.channels;
	int32_t whole = c->oc / channels * channels;
	int depth = b->depth;
	Expr *oc;

	if (!p->direct) {
		fill_planes(p, x_at, c->ic);
		x_at = loop_idx(b, 0);
	}
	oc = whole > channels ? loop_for_step(b, "oc", 0, whole, channels) : loop_idx(b, 0);
	lower_channels(p, x_at, oc, channels, y_at);
	lower_end_to(&p->cx, depth);
	if (whole < c->oc)
		lower_channels(p, x_at, loop_idx(b, whole), c->oc - whole, y_at);
}

static void
lower_depthwise(Planar *p, Expr *x_at, Expr *y_at)
{
	const FloatConv *c = p->c;
	LBuilder *b = builder(p);
	int32_t each = c->oc / c->groups;
	int depth = b->depth;
	Expr *g = lower_for(&p->cx, "group", c->groups), *oc;

	x_at = lower_let(&p->cx, "x_g", loop_add(b, x_at, loop_affine(b, g, c->in_h * c->in_w, 0)));
	if (!p->direct) {
		fill_planes(p, x_at, 1);
		x_at = loop_idx(b, 0);
	}
	oc = lower_for(&p->cx, "m", each);
	oc = lower_let(&p->cx, "oc", loop_add(b, loop_affine(b, g, each, 0), oc));
	lower_channels(p, x_at, oc, 1, y_at);
	lower_end_to(&p->cx, depth);
}

/* Scratch memory for planes, with room behind them for lanes of no meaning, and a tile. */
static void
make_buffers(Planar *p)
{
	const FloatConv *c = p->c;
	int32_t block = p->shape.lanes * p->shape.vectors;

	p->tile = (p->line + block - 1) / block * block;
	if (p->direct) {
		p->x = p->cx.in[0];
		return;
	}
	p->x = lower_scratch(&p->cx, "planes", DT_F32,
	                     p->channel * (p->depthwise ? 1 : c->ic) + p->tile - p->line);
	if (!p->whole_rows && !is_compact(c))
		p->tiles = lower_scratch(&p->cx, "tile", DT_F32, p->tile * p->shape.channels);
}

LFunc *
float_planar_lower(Arena *a, const FloatConv *c, const FloatShape *shape)
{
	Planar p = {.c = c, .shape = *shape, .depthwise = float_conv_is_depthwise(c),
	            .direct = is_direct(c)};
	Expr *image, *x_at, *y_at;

	assert(shape->vectors <= MAX_VECTORS && shape->vectors * shape->channels <= MAX_BLOCK);
	lower_begin(&p.cx, a, c->n);
	lower_name_inputs(&p.cx, c->n, (const char *const[]){"x", "w", "bias"});
	plan_planes(&p);
	p.line = line_of(c);
	p.whole_rows = !p.direct && fills_rows(c, shape->lanes, shape->vectors);
	if (p.direct)
		p.channel = c->in_h * c->in_w;
	make_buffers(&p);
	make_weights(&p);
	p.bias = c->n->nins > 2 ? p.cx.in[2] : NULL;
	/* What stands there does not matter, but denormal numbers would take time. */
	if (!p.direct)
		fill_zero(&p, loop_idx(&p.cx.b, p.x->count - (p.tile - p.line)), p.tile - p.line);
	image = lower_for(&p.cx, "n", c->batch);
	x_at = loop_affine(&p.cx.b, image, c->groups * c->ic * c->in_h * c->in_w, 0);
	y_at = loop_affine(&p.cx.b, image, c->oc * c->out_h * c->out_w, 0);
	x_at = lower_let(&p.cx, "x_n", x_at);
	y_at = lower_let(&p.cx, "y_n", y_at);
	if (p.depthwise)
		lower_depthwise(&p, x_at, y_at);
	else
		lower_dense(&p, x_at, y_at);
	lower_end_to(&p.cx, 0);
	return loop_finish(&p.cx.b);
}
