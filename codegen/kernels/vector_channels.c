/*
 * Convolutions and products with lanes that are neighbouring output channels.
 *
 * Blocks of pixels by vectors of channels: a vector of weights is loaded once for all
 * pixels, and an element of the input once for all vectors.  Floats are taken one by one in
 * the reference order.  Of int8 a lane takes four products at once where the machine has
 * them (on x86 with 128 added to x and taken from the bias), or two of numbers of 16 bits.
 *
 * Where there are no vectors of floats, a vector has one lane: blocks save loads.
 *
 * In a depthwise convolution lanes of the input meet lanes of weights.  Of int8 those are
 * four or two taps: rows of the input are laid out beside each other for that, so that
 * each lane has a pixel and its neighbours, some rows at a time.  Neighbouring pixels of few
 * channels share a vector then, with weights as often as there are pixels: a pixel with
 * that many channels more ("folded").
 *
 * In the layout nchw outputs of a block go to a tile first, which is then turned: for
 * images of few pixels, which make no whole vectors (vector_planar.c).
 *
 * The input is read as it is where no window leaves it, else from a copy with padding.
 * Channels that make up no vector go into shorter ones; less than a shortest one overlaps
 * the vector before.
 */
#include <assert.h>
#include <string.h>

#include "codegen/kernels/vector.h"
#include "ir/num.h"
#include "ir/op.h"

enum { MAX_VECTORS = 4, MAX_PIXELS = 8, LEAST_LANES = 4, BODY = 4, STRIP_BYTES = 24576 };

/* Output channels from `first` on: `blocks` of so many vectors. */
typedef struct {
	int32_t first, blocks;
	int lanes, vectors;
	int32_t weights; /* where those of the first block start */
} Part;

typedef struct {
	LowerCtx cx;
	const FloatConv *c;
	const Conv *q;
	ChannelShape shape;
	bool depthwise, direct;
	bool taps;           /* lanes are neighbouring pixels of a channel */
	bool by_strips;      /* the input is copied for a strip at a time */
	int each;            /* elements of x that a lane takes at once */
	int32_t x_channels;  /* of all groups */
	int32_t oc, out_w;   /* as folded */
	int32_t strip;       /* rows of outputs that memory is filled for at a time */
	int32_t x_row;       /* of what `beside` is filled from, elements */
	int32_t outer, runs; /* a window: pieces in two loops, with distances, */
	int32_t outer_step, runs_step;
	int32_t run, step;   /* and the steps of a piece */
	int32_t pixel;       /* elements from pixel to pixel of what is read, */
	int32_t row, plane;  /* from row to row, and nchw: from channel to channel */
	int32_t y_pixel, y_channel;
	VEC(Part) parts;
	LBuf *x, *from, *weights, *bias, *multipliers, *shifts, *more, *tile;
	VectorScale scale;
	LVar *sum[MAX_PIXELS * MAX_VECTORS];
} Channels;

static LBuilder *
builder(Channels *d)
{
	return &d->cx.b;
}

/* All pixels in one line, where windows are pixels. */
static void
join_pixels(FloatConv *c)
{
	if (c->kh > 1 || c->kw > 1 || c->sy > 1 || c->sx > 1 || c->top || c->left ||
	    c->in_h != c->out_h || c->in_w != c->out_w)
		return;
	c->in_w = c->out_w = (c->planar ? 1 : c->batch) * c->in_h * c->in_w;
	c->batch = c->planar ? c->batch : 1;
	c->in_h = c->out_h = 1;
}

ChannelConv
channel_conv_of_floats(const FloatConv *c)
{
	ChannelConv d = {.c = *c};

	join_pixels(&d.c);
	return d;
}

ChannelConv
channel_conv_of_int8(const Conv *q)
{
	ChannelConv d = {.q = q};

	d.c = (FloatConv){.n = q->n, .batch = q->batch, .in_h = q->in_h, .in_w = q->in_w,
	                  .out_h = q->out_h, .out_w = q->out_w, .groups = q->groups, .ic = q->ic,
	                  .oc = q->oc, .kh = q->kh, .kw = q->kw, .sy = q->sy, .sx = q->sx,
	                  .dy = q->dy, .dx = q->dx, .top = q->top, .left = q->left};
	join_pixels(&d.c);
	return d;
}

/* ---- Shapes ---- */

static int32_t
columns_of(const FloatConv *c)
{
	return (c->out_w - 1) * c->sx + (c->kw - 1) * c->dx + 1;
}

static int32_t
rows_of(const FloatConv *c)
{
	return (c->out_h - 1) * c->sy + (c->kh - 1) * c->dy + 1;
}

static int
elements_at_once(LaneForm form)
{
	switch (form) {
	case LANES_F32:
	case LANES_HALVES:
	case LANES_WORDS: return 1;
	case LANES_PAIRS: return 2;
	case LANES_BYTES:
	case LANES_SIGNED: return 4;
	}
	assert(0 && "no such form");
	return 1;
}

static bool
takes_halves(LaneForm form)
{
	return form == LANES_PAIRS || form == LANES_HALVES;
}

static bool
has_taps(const FloatConv *c, LaneForm form)
{
	return float_conv_is_depthwise(c) && elements_at_once(form) > 1;
}

/* How many pixels make a vector: more than one where rows are laid out beside each other and
 * a vector has room for several. */
static int32_t
pixels_of_vector(const FloatConv *c, const ChannelShape *s)
{
	int32_t pixels = s->lanes / c->oc;

	if (!has_taps(c, s->form) || c->kw > elements_at_once(s->form) || pixels < 2 ||
	    s->lanes % c->oc != 0 || c->out_w % pixels != 0)
		return 1;
	return pixels;
}

/* The convolution with so many pixels as one. */
static FloatConv
folded(const FloatConv *c, int32_t pixels)
{
	FloatConv f = *c;

	f.oc *= pixels;
	f.groups = c->groups > 1 ? c->groups * pixels : 1;
	f.out_w /= pixels;
	return f;
}

/* Cycles of a block: products one a cycle, loads two, but no step ends before the
 * additions of the last one; then outputs. */
static int64_t
block_cost(const FloatConv *c, const ChannelShape *s, int64_t pixels)
{
	enum { LATENCY = 4, START = 8, FLOAT_OUTPUT = 2, INT8_OUTPUT = 10 };
	bool depthwise = float_conv_is_depthwise(c);
	int64_t taps = (int64_t)c->kh * c->kw * c->ic, block = pixels * s->vectors;
	int64_t loads = ((depthwise ? block : pixels) + s->vectors + 1) / 2;
	int64_t step = block > loads ? block : loads;
	int each = elements_at_once(s->form);

	step = step > LATENCY ? step : LATENCY;
	return (taps + each - 1) / each * step + START +
	       block * (s->form == LANES_F32 ? FLOAT_OUTPUT : INT8_OUTPUT);
}

/* The same with MVE, where an instruction takes two cycles of its unit, and one of others. */
static int64_t
words_cost(const FloatConv *c, const ChannelShape *s, int64_t pixels)
{
	enum { START = 40, OUTPUT = 16 };
	int64_t block = pixels * s->vectors, loads = block + s->vectors, all = loads + 2 * block;
	int64_t step = 2 * loads > all ? 2 * loads : all;

	return (int64_t)c->kh * c->kw * step + START + block * OUTPUT;
}

/* Rows of the input that some rows of outputs take. */
static int32_t
rows_taken(const FloatConv *c, int32_t rows)
{
	return (rows - 1) * c->sy + (c->kh - 1) * c->dy + 1;
}

/* Windows end where pieces of them do, so that nothing behind the input is read. */
static bool
is_direct(const FloatConv *c, const ChannelShape *s)
{
	bool depthwise = float_conv_is_depthwise(c), taps = has_taps(c, s->form);
	int32_t length = c->dx > 1 && !depthwise ? c->ic : c->kw * c->ic;
	int each = elements_at_once(s->form);

	if (c->top > 0 || c->left > 0 || rows_of(c) > c->in_h || columns_of(c) > c->in_w)
		return false;
	if (taps)
		return c->kw <= each;
	return length % each == 0 && !takes_halves(s->form) && !s->copied;
}

/* Where there are no vectors there is little memory. */
static bool
is_copied_by_strips(const FloatConv *c, const ChannelShape *s)
{
	return s->lanes == 1 && !c->planar && !is_direct(c, s);
}

/* Rows of outputs of a strip: a few, of which whole strips can be made if that is possible. */
static int32_t
strip_rows(const FloatConv *c)
{
	enum { LEAST = 3, USUAL = 4, MOST = 8 };

	for (int32_t rows = MOST; rows >= LEAST; rows--)
		if (c->out_h % rows == 0)
			return rows;
	return c->out_h < MOST ? c->out_h : USUAL;
}

/* The same with floats one by one. */
static int64_t
scalar_cost(const FloatConv *c, const ChannelShape *s, int64_t pixels)
{
	int64_t block = pixels * s->vectors;
	int64_t loads = (float_conv_is_depthwise(c) ? block : pixels) + s->vectors;

	return (int64_t)c->kh * c->kw * c->ic * float_scalar_step(block, loads) +
	       float_scalar_ends(block);
}

static int64_t
shape_cost(const FloatConv *c, const ChannelShape *s)
{
	int64_t (*block_cost_of)(const FloatConv *, const ChannelShape *, int64_t) =
		s->form == LANES_WORDS ? words_cost : s->lanes == 1 ? scalar_cost : block_cost;
	int64_t groups = (c->oc - 1) / (s->lanes * s->vectors) + 1, last = c->out_w % s->pixels;
	int64_t line = c->out_w / s->pixels * block_cost_of(c, s, s->pixels);

	if (last)
		line += block_cost_of(c, s, last);
	if (c->planar)
		line += (int64_t)c->out_w * s->vectors * s->lanes;
	line *= c->out_h * groups;
	if (is_copied_by_strips(c, s))
		line += 5 * (int64_t)c->out_h * rows_taken(c, strip_rows(c)) / strip_rows(c) * c->in_w *
		        c->ic * c->groups;
	/* Four elements of the copy take five cycles. */
	if (s->form == LANES_WORDS)
		line += (int64_t)c->in_h * c->in_w * c->oc * 5 / 4;
	return line * c->batch;
}

static bool
fits_registers(const ChannelShape *s, const Target *t)
{
	/* Sums, weights, what meets them, and on hosts a product that is added apart. */
	bool host = t->vector_bytes >= 16 && !(t->isa & ISA_ARM_MVE);
	int others = s->vectors + (host ? 3 : 2);

	return float_fits_registers(t, s->lanes, s->pixels * s->vectors + others);
}

/* How sums of int8 become outputs; false where some factor does not fit. */
static bool
scale_of(const Conv *q, ScaleForm form, VectorScale *s)
{
	VectorFactor f;

	*s = (VectorScale){form, q->n->graph->single_rounding, q->y_zero, q->range};
	for (int32_t i = 0; i < q->oc; i++)
		if ((q->channel[i].by.m != 0 && q->channel[i].by.shift > -1) ||
		    !vector_factor(s, q->channel[i].by, &f))
			return false;
	return true;
}

static bool
fits(const ChannelConv *d, int least_lanes)
{
	const FloatConv *c = &d->c;
	bool depthwise = float_conv_is_depthwise(c) && c->oc == c->groups;

	return c->oc >= least_lanes && (c->groups == 1 || (depthwise && !c->planar));
}

static LaneForm
form_of_int8(const Target *t)
{
	return t->isa & ISA_ARM_MVE ? LANES_WORDS
	       : t->isa & ISA_X86_VNNI ? LANES_BYTES
	       : t->isa & ISA_ARM_DOT  ? LANES_SIGNED
	       : t->isa & ISA_X86_SSE2 ? LANES_PAIRS
	                               : LANES_HALVES;
}

int64_t
channel_shape(const ChannelConv *d, const Target *t, ChannelShape *best)
{
	const FloatConv *c = &d->c;
	LaneForm form = !d->q ? LANES_F32 : form_of_int8(t);
	ScaleForm scale = vector_scale_form(t);
	int most = d->q ? t->vector_bytes / 4 : float_lanes_most(t);
	int fewest = d->q ? LEAST_LANES : float_lanes_least(t);
	VectorScale any;
	int64_t least = 0;

	if (!fits(d, fewest) || (form == LANES_WORDS && !float_conv_is_depthwise(c)))
		return 0;
	if (d->q && scale == SCALE_POWERS && !scale_of(d->q, scale, &any))
		scale = SCALE_TWICE;
	if (d->q && !scale_of(d->q, scale, &any))
		return 0;
	for (int lanes = most; lanes >= fewest; lanes /= 2)
		for (int vectors = 1; vectors <= MAX_VECTORS; vectors++)
			for (int pixels = 1; pixels <= MAX_PIXELS; pixels++) {
				ChannelShape s = {form, lanes, vectors, pixels, scale,
				                  form == LANES_BYTES};
				FloatConv f = folded(c, pixels_of_vector(c, &s));
				int64_t cost = shape_cost(&f, &s);

				if (!fits_registers(&s, t) || lanes > f.oc || pixels > f.out_w ||
				    (vectors > 1 && lanes * vectors > f.oc) ||
				    (least && cost >= least))
					continue;
				least = cost;
				*best = s;
			}
	return least;
}

/* ---- Constants ---- */

static int32_t
block_weights(const Channels *d, const Part *p)
{
	return d->outer * d->runs * d->run * p->lanes * p->vectors * d->each;
}

static void
add_part(Channels *d, int32_t first, int32_t blocks, int lanes, int vectors)
{
	Part p = {.first = first, .blocks = blocks, .lanes = lanes, .vectors = vectors};

	if (d->parts.n > 0) {
		const Part *before = &d->parts.v[d->parts.n - 1];

		p.weights = before->weights + before->blocks * block_weights(d, before);
	}
	if (blocks > 0)
		VEC_PUSH(d->cx.arena, &d->parts, p);
}

static void
split_channels(Channels *d)
{
	int lanes = d->shape.lanes, block = lanes * d->shape.vectors;
	int32_t oc = d->oc, at = oc / block * block, fewest = lanes == 1 ? 1 : LEAST_LANES;

	add_part(d, 0, oc / block, lanes, d->shape.vectors);
	for (; oc - at >= fewest; lanes /= 2) {
		int vectors = (int)(oc - at) / lanes;

		if (vectors == 0)
			continue;
		add_part(d, at, 1, lanes, vectors);
		at += vectors * lanes;
	}
	if (at < oc)
		add_part(d, oc - LEAST_LANES, 1, LEAST_LANES, 1);
}

/* The weight of element e of a run; 0 behind its end. */
static double
weight_of(const Channels *d, int32_t oc, int32_t outer, int32_t run, int32_t e)
{
	const FloatConv *c = d->c;
	int32_t ky = outer, kx = d->runs > 1 ? run : e / c->ic, ic = d->runs > 1 ? e : e % c->ic;

	oc %= c->oc;
	if (c->transposed)
		return (double)c->w[ic * c->oc + oc];
	/* A run is all channels of one tap, or a row of taps of one channel. */
	if (c->planar)
		return (double)c->w[((oc * c->ic + (d->outer > 1 ? outer : 0)) * c->kh + run) *
		                            c->kw + e];
	if (kx >= c->kw || ic >= c->ic)
		return 0;
	return d->q ? conv_weight(d->q, oc, ky, kx, ic)
	            : (double)c->w[((oc * c->kh + ky) * c->kw + kx) * c->ic + ic];
}

static void
make_weights(Channels *d)
{
	const Part *last = &d->parts.v[d->parts.n - 1];
	int32_t n = last->weights + last->blocks * block_weights(d, last), at = 0;
	DType t = d->shape.form == LANES_F32     ? DT_F32
	          : takes_halves(d->shape.form)  ? DT_I16
	                                         : DT_I8;
	void *w = arena_calloc(d->cx.arena, (size_t)n, (size_t)dtype_info[t].bytes);

	for (int i = 0; i < d->parts.n; i++) {
		const Part *p = &d->parts.v[i];
		int32_t block = p->lanes * p->vectors, steps = d->outer * d->runs * d->run;

		for (int32_t k = 0; k < p->blocks * steps * block * d->each; k++) {
			int32_t e = k % d->each, oc = k / d->each % block;
			int32_t step = k / d->each / block, run = step / d->run % d->runs;
			int32_t outer = step / (d->runs * d->run) % d->outer;
			double v = weight_of(d, p->first + step / steps * block + oc, outer, run,
			                     step % d->run * d->each + e);

			num_store(t, w, (size_t)at++, v);
		}
	}
	d->weights = lower_constant(&d->cx, "weights", t, n, w);
}

static void
make_params(Channels *d)
{
	const FloatConv *c = d->c;
	int32_t *bias, *m, *shift, *more, taps = c->kh * c->kw * c->ic;

	if (!d->q) {
		d->bias = c->n->nins > 2 ? d->cx.in[2] : NULL;
		return;
	}
	bias = ARENA_ARRAY(d->cx.arena, int32_t, d->oc);
	m = ARENA_ARRAY(d->cx.arena, int32_t, d->oc);
	shift = ARENA_ARRAY(d->cx.arena, int32_t, d->oc);
	more = ARENA_ARRAY(d->cx.arena, int32_t, d->oc);
	scale_of(d->q, d->shape.scale, &d->scale);
	for (int32_t i = 0; i < d->oc; i++) {
		const ConvChannel *channel = &d->q->channel[i % c->oc];
		VectorFactor f;
		uint32_t start;
		int32_t sum = 0;

		for (int32_t k = 0; d->shape.form == LANES_BYTES && k < taps; k++)
			sum += d->q->w[i % c->oc * taps + k];
		start = (uint32_t)channel->bias - 128u * (uint32_t)sum;
		memcpy(&bias[i], &start, sizeof start);
		vector_factor(&d->scale, channel->by, &f);
		m[i] = f.m;
		shift[i] = f.shift;
		more[i] = f.more;
	}
	d->bias = lower_constant(&d->cx, "start", DT_I32, d->oc, bias);
	d->multipliers = lower_constant(&d->cx, "multipliers", DT_I32, d->oc, m);
	d->shifts = lower_constant(&d->cx, "shifts", DT_I32, d->oc, shift);
	d->more = lower_constant(&d->cx, "more", DT_I32, d->oc, more);
}

/* ---- A copy with padding ---- */

/* Whether the copy has the upper bits of bytes flipped, as products want them. */
static bool
flips_copy(const Channels *d)
{
	return d->shape.form == LANES_BYTES && !d->taps;
}

/* `count` elements, by vectors and one by one. */
static void
copy_elements(Channels *d, Expr *from, Expr *to, int32_t count)
{
	LBuilder *b = builder(d);
	int lanes = d->shape.lanes;
	int32_t whole = count / lanes * lanes;

	for (int rest = 0; rest < 2; rest++) {
		int32_t lo = rest ? whole : 0, hi = rest ? count : whole;
		int vector = rest ? 0 : lanes;
		Expr *i, *v;

		if (lo == hi)
			continue;
		i = loop_for_step(b, "i", lo, hi, rest ? 1 : lanes);
		v = loop_load_lanes(b, d->cx.in[0], loop_add(b, from, i), vector);
		v = loop_cvt(b, d->q ? DT_I32 : DT_F32, v);
		if (flips_copy(d))
			v = loop_op2(b, KOP_XOR, v, loop_splat(b, loop_int(b, DT_I32, 128), vector));
		loop_store_cvt(b, d->from, loop_add(b, to, i), v);
		loop_end(b);
	}
}

static void
fill_image(Channels *d)
{
	LBuilder *b = builder(d);
	int lanes = d->shape.lanes;
	int32_t count = d->from->count, whole = count / lanes * lanes;
	int32_t none = d->q ? d->q->x_zero ^ (flips_copy(d) ? 128 : 0) : 0;
	Expr *zero = d->q ? loop_int(b, DT_I32, none) : loop_float(b, DT_F32, 0), *i;

	for (int rest = 0; rest < 2; rest++) {
		int32_t lo = rest ? whole : 0, hi = rest ? count : whole;

		if (lo == hi)
			continue;
		i = loop_for_step(b, "i", lo, hi, rest ? 1 : lanes);
		loop_store_cvt(b, d->from, i, loop_splat(b, zero, rest ? 0 : lanes));
		loop_end(b);
	}
}

static void
copy_image(Channels *d, Expr *x_at)
{
	const FloatConv *c = d->c;
	LBuilder *b = builder(d);
	int32_t rows = rows_of(c) - c->top, columns = columns_of(c) - c->left;
	int32_t planes = c->planar ? c->ic : 1, width = c->planar ? 1 : d->x_channels;
	int depth = b->depth;
	Expr *iy, *plane, *to;

	rows = rows < c->in_h ? rows : c->in_h;
	columns = columns < c->in_w ? columns : c->in_w;
	if (rows <= 0 || columns <= 0)
		return;
	plane = lower_for(&d->cx, "ic", planes);
	iy = lower_for(&d->cx, "iy", rows);
	x_at = loop_add(b, x_at, loop_affine(b, plane, c->in_h * c->in_w, 0));
	x_at = loop_add(b, x_at, loop_affine(b, iy, c->in_w * width, 0));
	to = loop_affine(b, iy, d->x_row, c->top * d->x_row + c->left * width);
	to = loop_add(b, loop_affine(b, plane, d->plane, 0), to);
	copy_elements(d, lower_let(&d->cx, "from", x_at), lower_let(&d->cx, "to", to),
	              columns * width);
	lower_end_to(&d->cx, depth);
}

/* So many rows from row `first` of the image at x_at on; those outside of it are padding, as
 * is what is never written to at the sides. */
static void
copy_rows(Channels *d, Expr *x_at, Expr *first, int32_t rows)
{
	const FloatConv *c = d->c;
	LBuilder *b = builder(d);
	int32_t columns = columns_of(c) - c->left, count;
	int depth = b->depth;
	Expr *row = lower_for(&d->cx, "row", rows), *iy, *from, *to, *i;

	columns = columns < c->in_w ? columns : c->in_w;
	count = columns > 0 ? columns * d->x_channels : 0;
	iy = lower_let(&d->cx, "iy", loop_add(b, first, row));
	to = loop_affine(b, row, d->x_row, c->left * d->x_channels);
	to = lower_let(&d->cx, "to", to);
	loop_if(b, loop_op2(b, KOP_AND, loop_op2(b, KOP_GE, iy, loop_idx(b, 0)),
	                    loop_op2(b, KOP_LT, iy, loop_idx(b, c->in_h))));
	from = loop_add(b, x_at, loop_affine(b, iy, c->in_w * d->x_channels, 0));
	copy_elements(d, lower_let(&d->cx, "from", from), to, count);
	loop_else(b);
	i = loop_for(b, "i", 0, count);
	loop_store(b, d->from, loop_add(b, to, i), loop_float(b, DT_F32, 0));
	lower_end_to(&d->cx, depth);
}

/* ---- Rows beside each other ---- */

/* The taps of a lane: of the pixel at `at` and its neighbours. */
static Expr *
load_taps(Channels *d, Expr *at, int lanes)
{
	LBuilder *b = builder(d);
	int32_t n = d->c->kw < d->each ? d->c->kw : d->each;
	int bits = 32 / d->each;
	Expr *x = NULL;

	for (int32_t k = 0; k < n; k++) {
		Expr *tap = loop_load_lanes(b, d->from,
		                            loop_add(b, at, loop_idx(b, k * d->c->dx * d->x_channels)),
		                            lanes);

		tap = loop_cvt(b, DT_I32, tap);
		if (k < d->each - 1)
			tap = loop_op2(b, KOP_AND, tap,
			               loop_splat(b, loop_int(b, DT_I32, (1 << bits) - 1), lanes));
		if (k > 0)
			tap = loop_op2(b, KOP_SHL, tap,
			               loop_splat(b, loop_int(b, DT_I32, k * bits), lanes));
		x = x ? loop_op2(b, KOP_OR, x, tap) : tap;
	}
	if (d->shape.form != LANES_BYTES)
		return x;
	return loop_op2(b, KOP_XOR, x,
	                loop_splat(b, loop_int(b, DT_I32, (int32_t)-0x7f7f7f80), lanes));
}

static void
lay_out(Channels *d, Expr *from, Expr *to, int32_t count)
{
	LBuilder *b = builder(d);
	int lanes = d->shape.lanes;
	int32_t whole = count / lanes * lanes;

	for (int rest = 0; rest < 2; rest++) {
		int32_t lo = rest ? whole : 0, hi = rest ? count : whole;
		Expr *i;

		if (lo == hi)
			continue;
		i = loop_for_step(b, "i", lo, hi, rest ? 1 : lanes);
		loop_store(b, d->x, loop_add(b, to, i),
		           load_taps(d, loop_add(b, from, i), rest ? 0 : lanes));
		loop_end(b);
	}
}

/* All pixels of rows that lie side by side, or those that are the first of a window. */
static void
lay_out_rows(Channels *d, Expr *x_at, int32_t rows)
{
	const FloatConv *c = d->c;
	LBuilder *b = builder(d);
	int depth = b->depth;
	int32_t columns = d->row / d->x_channels;
	bool apart = c->kw <= d->each && c->sx > 1;
	Expr *y = lower_for(&d->cx, "row", rows), *from, *to, *column;

	from = lower_let(&d->cx, "from", loop_add(b, x_at, loop_affine(b, y, d->x_row, 0)));
	to = lower_let(&d->cx, "to", loop_affine(b, y, d->row, 0));
	if (!apart) {
		lay_out(d, from, to, columns * d->x_channels);
	} else {
		column = lower_for(&d->cx, "column", columns);
		from = loop_add(b, from, loop_affine(b, column, c->sx * d->x_channels, 0));
		to = loop_add(b, to, loop_affine(b, column, d->x_channels, 0));
		lay_out(d, lower_let(&d->cx, "x_column", from), lower_let(&d->cx, "to_column", to),
		        d->x_channels);
	}
	lower_end_to(&d->cx, depth);
}

/* ---- Sums ---- */

static Expr *
plus(Channels *d, Expr *x, int64_t more)
{
	return loop_add(builder(d), x, loop_idx(builder(d), more));
}

static Expr *
load_weights(Channels *d, Expr *at, int lanes)
{
	LBuilder *b = builder(d);

	if (d->each > 1)
		return loop_load_wide_lanes(b, d->weights, at, lanes);
	return loop_cvt(b, d->q ? DT_I32 : DT_F32, loop_load_lanes(b, d->weights, at, lanes));
}

/* What meets the weights, of the elements from `at` on. */
static Expr *
load_x(Channels *d, Expr *at, int lanes)
{
	LBuilder *b = builder(d);
	Expr *x;

	if (d->depthwise)
		return loop_cvt(b, d->q ? DT_I32 : DT_F32, loop_load_lanes(b, d->x, at, lanes));
	x = d->each > 1 ? loop_load_wide(b, d->x, at) : loop_load(b, d->x, at);
	x = loop_splat(b, loop_cvt(b, d->q ? DT_I32 : DT_F32, x), lanes);
	if (d->shape.form != LANES_BYTES || !d->direct)
		return x;
	return loop_op2(b, KOP_XOR, x,
	                loop_splat(b, loop_int(b, DT_I32, (int32_t)-0x7f7f7f80), lanes));
}

static void
add_product(Channels *d, LVar *sum, Expr *x, Expr *w)
{
	LBuilder *b = builder(d);
	Expr *old = loop_get(b, sum);

	switch (d->shape.form) {
	case LANES_F32:
	case LANES_HALVES:
	case LANES_WORDS: loop_set(b, sum, loop_add(b, old, loop_mul(b, x, w))); break;
	case LANES_BYTES: loop_set(b, sum, loop_packed(b, POP_DOT4U, x, w, old)); break;
	case LANES_SIGNED: loop_set(b, sum, loop_packed(b, POP_DOT4, x, w, old)); break;
	case LANES_PAIRS:
		/* Compilers exchange sums, and then have too few registers. */
		old = loop_packed(b, POP_DOT2, x, w, old);
		loop_set(b, sum, loop_packed(b, POP_KEEP, old, NULL, NULL));
		break;
	}
}

/* Step k of a run. */
static void
add_step(Channels *d, const Part *p, Expr *x_at, Expr *w_at, int32_t k, int pixels)
{
	LBuilder *b = builder(d);
	Expr *w[MAX_VECTORS];

	for (int v = 0; v < p->vectors; v++) {
		Expr *at = plus(d, w_at, (k * p->vectors + v) * p->lanes * d->each);

		w[v] = loop_let(b, "wv", load_weights(d, at, p->lanes));
	}
	for (int i = 0; i < pixels; i++) {
		Expr *x = NULL;

		for (int v = 0; v < p->vectors; v++) {
			int32_t at = i * d->pixel + k * d->step + (d->depthwise ? v * p->lanes : 0);

			if (v == 0 || d->depthwise)
				x = loop_let(b, "xv", load_x(d, plus(d, x_at, at), p->lanes));
			add_product(d, d->sum[i * p->vectors + v], x, w[v]);
		}
	}
}

static void
add_run(Channels *d, const Part *p, Expr *x_at, Expr *w_at, int pixels)
{
	LBuilder *b = builder(d);
	int32_t whole = d->run / BODY * BODY, block = p->vectors * p->lanes * d->each;

	if (whole > BODY) {
		Expr *k = loop_for_step(b, "k", 0, whole, BODY);
		Expr *x = loop_add(b, x_at, loop_affine(b, k, d->step, 0));
		Expr *w = loop_add(b, w_at, loop_affine(b, k, block, 0));

		x = lower_let(&d->cx, "x_k", x);
		w = lower_let(&d->cx, "w_k", w);

		for (int32_t i = 0; i < BODY; i++)
			add_step(d, p, x, w, i, pixels);
		loop_end(b);
	} else {
		whole = 0;
	}
	for (int32_t i = whole; i < d->run; i++)
		add_step(d, p, x_at, w_at, i, pixels);
}

/* ---- Outputs ---- */

static Expr *
scaled(Channels *d, Expr *sum, Expr *channel, int lanes)
{
	LBuilder *b = builder(d);
	Expr *m = loop_load_lanes(b, d->multipliers, channel, lanes);
	Expr *shift = loop_load_lanes(b, d->shifts, channel, lanes);
	Expr *more = loop_load_lanes(b, d->more, channel, lanes);

	return vector_scale(&d->cx, &d->scale, sum, m, shift, more);
}

/* The tile of a block to the output, a channel after the other. */
static void
turn_tile(Channels *d, const Part *p, Expr *y_at, int pixels)
{
	LBuilder *b = builder(d);
	int32_t block = p->lanes * p->vectors;
	Expr *c = loop_for(b, "c", 0, block);

	y_at = lower_let(&d->cx, "y_c", loop_add(b, y_at, loop_affine(b, c, d->y_channel, 0)));
	for (int i = 0; i < pixels; i++)
		loop_store(b, d->cx.out[0], plus(d, y_at, i),
		           loop_load(b, d->tile, plus(d, c, i * block)));
	loop_end(b);
}

static void
store_block(Channels *d, const Part *p, Expr *y_at, Expr *channel, int pixels)
{
	LBuilder *b = builder(d);

	for (int i = 0; i < pixels; i++)
		for (int v = 0; v < p->vectors; v++) {
			Expr *sum = loop_get(b, d->sum[i * p->vectors + v]);
			Expr *y = d->q ? scaled(d, sum, plus(d, channel, v * p->lanes), p->lanes)
			               : lower_activation(&d->cx, d->c->n, sum);

			if (d->tile)
				loop_store(b, d->tile,
				           loop_idx(b, (i * p->vectors + v) * p->lanes), y);
			else
				loop_store_cvt(b, d->cx.out[0],
				               plus(d, y_at, i * d->y_pixel + v * p->lanes), y);
		}
	if (d->tile)
		turn_tile(d, p, y_at, pixels);
}

/* A block: x_at and y_at are where its first pixel is. */
static void
lower_block(Channels *d, const Part *p, Expr *x_at, Expr *w_at, Expr *channel, Expr *y_at,
            int pixels)
{
	LBuilder *b = builder(d);
	int32_t run = d->run * p->vectors * p->lanes * d->each;
	int depth = b->depth;
	Expr *outer, *runs;

	for (int i = 0; i < pixels * p->vectors; i++) {
		Expr *at = plus(d, channel, i % p->vectors * p->lanes);
		Expr *start = d->bias ? loop_load_lanes(b, d->bias, at, p->lanes)
		                      : loop_splat(b, loop_float(b, DT_F32, 0), p->lanes);

		d->sum[i] = loop_var(b, "sum", start);
	}
	if (d->depthwise)
		x_at = loop_add(b, x_at, channel);
	outer = lower_for(&d->cx, "outer", d->outer);
	runs = lower_for(&d->cx, "runs", d->runs);
	x_at = loop_add(b, x_at, loop_affine(b, outer, d->outer_step, 0));
	x_at = loop_add(b, x_at, loop_affine(b, runs, d->runs_step, 0));
	w_at = loop_add(b, w_at, loop_affine(b, outer, d->runs * run, 0));
	w_at = loop_add(b, w_at, loop_affine(b, runs, run, 0));
	add_run(d, p, lower_let(&d->cx, "x_run", x_at), lower_let(&d->cx, "w_run", w_at), pixels);
	lower_end_to(&d->cx, depth);
	store_block(d, p, y_at, channel, pixels);
}

static void
lower_line(Channels *d, const Part *p, Expr *x_at, Expr *w_at, Expr *channel, Expr *y_at)
{
	LBuilder *b = builder(d);
	int pixels = d->shape.pixels;
	int32_t whole = d->out_w / pixels * pixels, step = d->pixel;
	Expr *ox = loop_for_step(b, "ox", 0, whole, pixels);

	lower_block(d, p, lower_let(&d->cx, "x_ox", loop_add(b, x_at, loop_affine(b, ox, step, 0))),
	            w_at, channel,
	            lower_let(&d->cx, "y_ox", loop_add(b, y_at, loop_affine(b, ox, d->y_pixel, 0))),
	            pixels);
	loop_end(b);
	if (whole < d->out_w)
		lower_block(d, p, plus(d, x_at, whole * step), w_at, channel,
		            plus(d, y_at, whole * d->y_pixel), (int)(d->out_w - whole));
}

/* So many rows of outputs. */
static void
lower_part(Channels *d, const Part *p, Expr *x_at, Expr *y_at, int32_t rows)
{
	const FloatConv *c = d->c;
	LBuilder *b = builder(d);
	int depth = b->depth;
	Expr *block = lower_for(&d->cx, "block", p->blocks), *oy, *channel, *w_at;

	channel = lower_let(&d->cx, "oc", loop_affine(b, block, p->lanes * p->vectors, p->first));
	w_at = lower_let(&d->cx, "w_oc", loop_affine(b, block, block_weights(d, p), p->weights));
	oy = lower_for(&d->cx, "oy", rows);
	x_at = loop_add(b, x_at, loop_affine(b, oy, c->sy * d->row, 0));
	y_at = loop_add(b, y_at, loop_affine(b, oy, d->out_w * d->y_pixel, 0));
	lower_line(d, p, lower_let(&d->cx, "x_oy", x_at), w_at, channel,
	           lower_let(&d->cx, "y_oy",
	                     loop_add(b, y_at, loop_affine(b, channel, d->y_channel, 0))));
	lower_end_to(&d->cx, depth);
}

static void
lower_rows(Channels *d, Expr *x_at, Expr *y_at, int32_t rows)
{
	for (int i = 0; i < d->parts.n; i++)
		lower_part(d, &d->parts.v[i], x_at, y_at, rows);
}

/* What `rows` rows of outputs from row `first` on take, to memory. */
static void
fill_rows(Channels *d, Expr *x_at, Expr *first, int32_t rows)
{
	const FloatConv *c = d->c;
	LBuilder *b = builder(d);

	if (d->by_strips) {
		copy_rows(d, x_at, lower_let(&d->cx, "first", loop_affine(b, first, c->sy, -c->top)),
		          rows_taken(c, rows));
		return;
	}
	x_at = loop_add(b, x_at, loop_affine(b, first, c->sy * d->x_row, 0));
	lay_out_rows(d, lower_let(&d->cx, "x_strip", x_at), rows_taken(c, rows));
}

static void
lower_strips(Channels *d, Expr *x_at, Expr *y_at)
{
	const FloatConv *c = d->c;
	LBuilder *b = builder(d);
	int32_t rest = c->out_h % d->strip, line = d->out_w * d->y_pixel;
	int depth = b->depth;
	Expr *s = lower_for(&d->cx, "strip", c->out_h / d->strip), *y;

	fill_rows(d, x_at, loop_affine(b, s, d->strip, 0), d->strip);
	y = loop_add(b, y_at, loop_affine(b, s, d->strip * line, 0));
	lower_rows(d, loop_idx(b, 0), lower_let(&d->cx, "y_strip", y), d->strip);
	lower_end_to(&d->cx, depth);
	if (rest == 0)
		return;
	fill_rows(d, x_at, loop_idx(b, c->out_h - rest), rest);
	lower_rows(d, loop_idx(b, 0), plus(d, y_at, (c->out_h - rest) * line), rest);
}

/* The pieces of a window in the order of the reference lowering: of nhwc rows of taps, or
 * with gaps single taps, of all channels; of nchw rows of taps of a channel, or all
 * channels of one tap. */
static void
plan_window(Channels *d)
{
	const FloatConv *c = d->c;
	bool is_pixel = c->kh == 1 && c->kw == 1;
	int32_t length;

	if (c->planar) {
		d->outer = is_pixel ? 1 : c->ic;
		d->outer_step = d->plane;
		d->runs = c->kh;
		d->runs_step = c->dy * d->row;
		d->run = is_pixel ? c->ic : c->kw;
		d->step = is_pixel ? d->plane : c->dx;
		return;
	}
	d->outer = c->kh;
	d->outer_step = c->dy * d->row;
	d->runs = c->dx > 1 && !d->depthwise ? c->kw : 1;
	d->runs_step = c->dx * d->x_channels;
	length = d->runs > 1 ? c->ic : c->kw * c->ic;
	d->run = (length - 1) / d->each + 1;
	d->step = d->depthwise ? d->each * c->dx * d->x_channels : d->each;
}

bool
channel_is_direct(const ChannelConv *d, const ChannelShape *shape)
{
	return is_direct(&d->c, shape);
}

/* Lines of words that have each a pixel and its neighbours: all pixels where a window takes
 * several, else the first ones of windows. */
static void
plan_lines(Channels *d)
{
	const FloatConv *c = d->c;
	bool few = c->kw <= d->each;
	int32_t strips, rows, columns = few ? c->out_w : (c->out_w - 1) * c->sx + 1;

	d->x_row = d->row;
	if (!few)
		columns += (d->run - 1) * d->each * c->dx;
	d->row = columns * d->x_channels;
	d->pixel = (few ? c->out_w / d->out_w : c->sx) * d->x_channels;
	rows = STRIP_BYTES / (4 * (int64_t)d->row) > c->out_h * c->sy + c->kh * c->dy
	               ? c->out_h
	               : (int32_t)(STRIP_BYTES / (4 * (int64_t)d->row));
	rows = (rows - (c->kh - 1) * c->dy - 1) / c->sy + 1;
	rows = rows < 1 ? 1 : rows > c->out_h ? c->out_h : rows;
	strips = (c->out_h - 1) / rows + 1;
	d->strip = (c->out_h - 1) / strips + 1;
	plan_window(d);
}

static void
plan(Channels *d)
{
	const FloatConv *c = d->c;
	FloatConv f = folded(c, pixels_of_vector(c, &d->shape));

	d->oc = f.oc;
	d->out_w = f.out_w;
	d->taps = has_taps(c, d->shape.form);
	d->x_channels = c->groups * c->ic;
	d->each = elements_at_once(d->shape.form);
	d->direct = is_direct(c, &d->shape);
	d->pixel = c->sx * (c->planar ? 1 : d->x_channels);
	d->row = (d->direct ? c->in_w : columns_of(c)) * (c->planar ? 1 : d->x_channels);
	d->x_row = d->row;
	d->plane = (d->direct ? c->in_h : rows_of(c)) * d->row;
	d->y_pixel = c->planar ? 1 : d->oc;
	d->y_channel = c->planar ? c->out_h * c->out_w : 1;
	plan_window(d);
	if (d->taps)
		plan_lines(d);
	d->by_strips = is_copied_by_strips(c, &d->shape);
	if (d->by_strips)
		d->strip = strip_rows(c);
	split_channels(d);
}

static void
make_copy(Channels *d)
{
	const FloatConv *c = d->c;
	DType t = !d->q ? DT_F32 : takes_halves(d->shape.form) && !d->taps ? DT_I16 : DT_I8;
	int32_t behind = d->taps ? (d->each - 1) * c->dx * d->x_channels : d->each - 1;

	d->from = d->cx.in[0];
	if (d->by_strips)
		d->from = lower_scratch(&d->cx, "rows", t, rows_taken(c, d->strip) * d->row);
	else if (!d->direct)
		d->from = lower_scratch(&d->cx, "image", t,
		                        d->plane * (c->planar ? c->ic : 1) + behind);
	d->x = d->from;
	if (d->taps)
		d->x = lower_scratch(&d->cx, "beside", DT_I32, rows_taken(c, d->strip) * d->row);
	if (c->planar)
		d->tile = lower_scratch(&d->cx, "tile", DT_F32,
		                        d->shape.pixels * d->shape.vectors * d->shape.lanes);
}

LFunc *
channel_lower(Arena *a, const ChannelConv *conv, const ChannelShape *shape)
{
	const FloatConv *c = &conv->c;
	Channels d = {.c = c, .q = conv->q, .shape = *shape};
	Expr *image, *x_at, *y_at;
	LBuilder *b = &d.cx.b;

	assert(shape->pixels <= MAX_PIXELS && shape->vectors <= MAX_VECTORS);
	d.depthwise = float_conv_is_depthwise(c);
	lower_begin(&d.cx, a, c->n);
	lower_name_inputs(&d.cx, c->n, (const char *const[]){"x", "w", "bias"});
	plan(&d);
	make_copy(&d);
	make_weights(&d);
	make_params(&d);
	image = lower_for(&d.cx, "n", c->batch);
	x_at = loop_affine(b, image, c->in_h * c->in_w * d.x_channels, 0);
	x_at = lower_let(&d.cx, "x_n", x_at);
	y_at = lower_let(&d.cx, "y_n", loop_affine(b, image, c->out_h * c->out_w * c->oc, 0));
	if (!d.direct)
		fill_image(&d);
	if (!d.direct && !d.by_strips) {
		copy_image(&d, x_at);
		x_at = loop_idx(b, 0);
	}
	if (d.taps || d.by_strips)
		lower_strips(&d, x_at, y_at);
	else
		lower_rows(&d, x_at, y_at, c->out_h);
	lower_end_to(&d.cx, 0);
	return loop_finish(b);
}
