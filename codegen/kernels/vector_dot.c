/*
 * Convolutions with one group and matrix products for machines that add sixteen products
 * at once (MVE): the sums of a block of pixels by all channels first, then outputs of
 * them by vectors of channels.
 *
 * A block of some pixels by some channels takes a vector of either side for several
 * products; its sums go to scratch memory, for a chunk of channels at a time.  Weights lie
 * in the order of use, with zeros behind the end of a window.
 *
 * Where the kernel has one tap, elements come from the input itself.  Vectors read on into
 * the next pixel; the last pixels are copied to where they can.  Else the windows of a block
 * are packed, so that there are as few products as can be, from a ring of rows.  Where runs
 * are whole vectors, those of the pixels stand side by side, so that one address is enough.
 */
#include <assert.h>

#include "codegen/kernels/blocks.h"
#include "codegen/kernels/vector.h"

enum { MAX_PIXELS = 4, MAX_CHANNELS = 4, LANES = 4 };

typedef struct {
	LowerCtx cx;
	const Conv *c;
	DotsShape shape;
	ChannelOutputs outputs;
	Rows rows;
	bool direct;   /* from the input */
	int32_t steps; /* vectors of a window */
	int32_t pixel; /* elements of x from pixel to pixel, */
	int32_t step;  /* and from vector to vector */
	int32_t chunks, chunk, rest; /* of channels, and what is left of them */
	int32_t width; /* sums of a pixel, with those of channels that there are not */
	LBuf *x, *weights, *sums;
	LVar *sum[MAX_PIXELS][MAX_CHANNELS];
} Dots;

static LBuilder *
builder(Dots *d)
{
	return &d->cx.b;
}

static Expr *
plus(Dots *d, Expr *x, int64_t more)
{
	return loop_add(builder(d), x, loop_idx(builder(d), more));
}

/* ---- Constants ---- */

static int32_t
window_length(const Conv *c)
{
	return c->kh * c->kw * c->ic;
}

/* Element e of a window; 0 behind its end. */
static int8_t
window_weight(const Conv *c, int32_t oc, int32_t e)
{
	return oc < c->oc && e < window_length(c) ? c->w[oc * window_length(c) + e] : 0;
}

static void
make_weights(Dots *d)
{
	int32_t groups = divide_up(d->c->oc, d->shape.channels);
	int32_t n = groups * d->shape.channels * d->steps * DOT_ELEMENTS, at = 0;
	int8_t *w = ARENA_ARRAY(d->cx.arena, int8_t, n);

	for (int32_t first = 0; first < d->c->oc; first += d->shape.channels)
		for (int32_t k = 0; k < d->steps; k++)
			for (int i = 0; i < d->shape.channels; i++)
				for (int32_t e = 0; e < DOT_ELEMENTS; e++)
					w[at++] = window_weight(d->c, first + i, k * DOT_ELEMENTS + e);
	d->weights = lower_constant(&d->cx, "weights", DT_I8, n, w);
}

/* ---- Windows ---- */

/* Elements from a window to the next: its vectors, or what is stored of its last run. */
static int32_t
window_elements(const Conv *c)
{
	int32_t window = window_length(c), length = (c->dx > 1 ? 1 : c->kw) * c->ic;
	int32_t read = divide_up(window, DOT_ELEMENTS) * DOT_ELEMENTS;
	int32_t stored = window - length + divide_up(length, DOT_ELEMENTS) * DOT_ELEMENTS;

	return read > stored ? read : stored;
}

/* Whether the vectors of windows stand side by side. */
static bool
are_side_by_side(const Conv *c)
{
	return (c->dx > 1 ? c->ic : c->kw * c->ic) % DOT_ELEMENTS == 0;
}

/* Packs the windows of a block, row by row: vectors may take more than there is of a run,
 * since what comes behind it is stored later, or meets weights of zero. */
static void
pack_windows(Dots *d, Expr *first, Expr *x_at, int pixels)
{
	const Conv *c = d->c;
	LBuilder *b = builder(d);
	int32_t taps = c->dx > 1 ? c->kw : 1, length = c->kw / taps * c->ic;
	int depth = b->depth;
	Expr *ky = lower_for(&d->cx, "ky", c->kh), *from, *to;

	from = loop_add(b, rows_row(&d->cx, &d->rows, first, ky), x_at);
	from = lower_let(&d->cx, "from", from);
	to = loop_affine(b, ky, c->kw * c->ic * d->step / DOT_ELEMENTS, 0);
	to = lower_let(&d->cx, "to", to);
	for (int p = 0; p < pixels; p++)
		for (int32_t kx = 0; kx < taps; kx++)
			for (int32_t e = 0; e < length; e += DOT_ELEMENTS) {
				Expr *at = plus(d, from, (p * c->sx + kx * c->dx) * c->ic + e);

				int32_t more = (kx * length + e) * d->step / DOT_ELEMENTS;

				loop_store(b, d->x, plus(d, to, p * d->pixel + more),
				           loop_load_lanes(b, d->rows.buf, at, DOT_ELEMENTS));
			}
	lower_end_to(&d->cx, depth);
}

/* ---- Sums ---- */

/* Vector `k` of the weights at w_at with those of the elements at x_at. */
static void
add_step(Dots *d, Expr *x_at, Expr *w_at, int32_t k, int pixels, bool is_first)
{
	LBuilder *b = builder(d);
	int channels = d->shape.channels;

	for (int i = 0; i < channels; i++)
		for (int p = 0; p < pixels; p++) {
			Expr *w = plus(d, w_at, (k * channels + i) * DOT_ELEMENTS);
			Expr *old = is_first ? loop_int(b, DT_I32, 0) : loop_get(b, d->sum[p][i]);
			Expr *sum = loop_dot(b, old, d->x, plus(d, x_at, p * d->pixel), d->weights, w);

			if (is_first)
				d->sum[p][i] = loop_var(b, "sum", sum);
			else
				loop_set(b, d->sum[p][i], sum);
		}
}

/* A window without a loop, or with one over some of its vectors. */
static void
add_window(Dots *d, Expr *x_at, Expr *w_at, int pixels)
{
	LBuilder *b = builder(d);
	int32_t body = d->shape.body, whole = d->steps / body * body;
	Expr *k, *x, *w;

	if (d->steps <= d->shape.unroll) {
		for (int32_t i = 0; i < d->steps; i++)
			add_step(d, plus(d, x_at, i * d->step), w_at, i, pixels, i == 0);
		return;
	}
	for (int i = 0; i < d->shape.channels; i++)
		for (int p = 0; p < pixels; p++)
			d->sum[p][i] = loop_var(b, "sum", loop_int(b, DT_I32, 0));
	k = loop_for_step(b, "k", 0, whole, body);
	x = lower_let(&d->cx, "x_k", loop_add(b, x_at, loop_affine(b, k, d->step, 0)));
	w = loop_affine(b, k, d->shape.channels * DOT_ELEMENTS, 0);
	w = lower_let(&d->cx, "w_k", loop_add(b, w_at, w));
	for (int32_t i = 0; i < body; i++)
		add_step(d, plus(d, x, i * d->step), w, i, pixels, false);
	loop_end(b);
	for (int32_t i = whole; i < d->steps; i++)
		add_step(d, plus(d, x_at, i * d->step), w_at, i, pixels, false);
}

/* ---- Blocks ---- */

/* `count` channels from `first` on, of a block of pixels. */
static void
lower_chunk(Dots *d, Expr *x_at, Expr *y_at, Expr *first, int32_t count, int pixels)
{
	LBuilder *b = builder(d);
	int channels = d->shape.channels, depth = b->depth;
	int32_t weights = d->steps * DOT_ELEMENTS;
	Expr *g = lower_for(&d->cx, "group", divide_up(count, channels)), *w_at, *sums;

	w_at = loop_affine(b, g, channels * weights, 0);
	w_at = lower_let(&d->cx, "w_g", loop_add(b, loop_affine(b, first, weights, 0), w_at));
	add_window(d, x_at, w_at, pixels);
	sums = lower_let(&d->cx, "s_g", loop_affine(b, g, channels, 0));
	for (int p = 0; p < pixels; p++)
		for (int i = 0; i < channels; i++)
			loop_store(b, d->sums, plus(d, sums, p * d->width + i),
			           loop_get(b, d->sum[p][i]));
	lower_end_to(&d->cx, depth);
	channel_outputs_store(&d->outputs, d->sums, d->width, y_at, first, count, pixels);
}

static void
lower_block(void *user, Expr *first, Expr *x_at, Expr *y_at, int pixels)
{
	Dots *d = user;
	LBuilder *b = builder(d);
	int depth = b->depth;
	Expr *chunk;

	if (!d->direct) {
		pack_windows(d, first, x_at, pixels);
		x_at = loop_idx(b, 0);
	}
	if (d->chunks > 0) {
		chunk = lower_for(&d->cx, "chunk", d->chunks);
		chunk = lower_let(&d->cx, "first", loop_affine(b, chunk, d->chunk, 0));
		lower_chunk(d, x_at, y_at, chunk, d->chunk, pixels);
		lower_end_to(&d->cx, depth);
	}
	if (d->rest > 0)
		lower_chunk(d, x_at, y_at, loop_idx(b, d->chunks * d->chunk), d->rest, pixels);
}

/* Pixels from `first` on, of elements that start at 0. */
static void
lower_pixels(Dots *d, int32_t first, int32_t count)
{
	const Conv *c = d->c;
	LBuilder *b = builder(d);
	int pixels = d->shape.pixels, depth = b->depth;
	int32_t whole = count / pixels * pixels;
	Expr *zero = loop_idx(b, 0), *i;

	if (whole > 0) {
		i = whole > pixels ? loop_for_step(b, "i", 0, whole, pixels) : zero;
		lower_block(d, zero, lower_let(&d->cx, "x_i", loop_affine(b, i, c->ic, 0)),
		            lower_let(&d->cx, "y_i", loop_affine(b, i, c->oc, first * c->oc)), pixels);
		lower_end_to(&d->cx, depth);
	}
	if (whole < count)
		lower_block(d, zero, loop_idx(b, whole * c->ic), loop_idx(b, (first + whole) * c->oc),
		            count - whole);
}

/* The input as it is, but for its last pixels, behind which there is not enough. */
static void
lower_input(Dots *d)
{
	const Conv *c = d->c;
	LBuilder *b = builder(d);
	int32_t count = c->batch * c->out_h * c->out_w, read = d->steps * DOT_ELEMENTS;
	int32_t last = (read - 1) / c->ic;
	LBuf *tail;
	Expr *i;

	last = last < count ? last : count;
	lower_pixels(d, 0, count - last);
	if (last == 0)
		return;
	tail = lower_scratch(&d->cx, "tail", DT_I8, (last - 1) * c->ic + read);
	i = loop_for(b, "i", 0, last * c->ic);
	loop_store(b, tail, i, loop_load(b, d->x, plus(d, i, (count - last) * c->ic)));
	loop_end(b);
	for (int32_t k = last * c->ic; k < tail->count; k++)
		loop_store(b, tail, loop_idx(b, k), loop_int(b, DT_I8, 0));
	d->x = tail;
	lower_pixels(d, count - last, last);
}

static void
lower_rows(Dots *d)
{
	const Conv *c = d->c;
	Blocks bl = {.cx = &d->cx, .c = c, .rows = &d->rows, .pixels = d->shape.pixels,
	             .pixel_units = c->sx * c->ic, .user = d, .block = lower_block};

	d->rows = rows_plan_single(c, c->out_w, 0);
	d->rows.vectors = true;
	rows_begin(&d->cx, &d->rows);
	d->x = lower_scratch(&d->cx, "windows", DT_I8, d->shape.pixels * window_elements(c));
	blocks_lower(&bl);
}

/* Chunks are whole vectors, and what is left is no less than one. */
static void
plan_chunks(Dots *d)
{
	int32_t oc = d->c->oc, most;

	d->chunk = divide_up(divide_up(oc, divide_up(oc, d->shape.chunk)), LANES) * LANES;
	d->chunks = oc / d->chunk;
	d->rest = oc % d->chunk;
	if (d->rest > 0 && d->rest < LANES) {
		d->chunks--;
		d->rest += d->chunk;
	}
	most = d->chunks == 0 || d->rest > d->chunk ? d->rest : d->chunk;
	d->width = divide_up(most, d->shape.channels) * d->shape.channels;
}

static void
plan(Dots *d)
{
	const Conv *c = d->c;

	d->direct = conv_is_pointwise(c);
	d->steps = divide_up(window_length(c), DOT_ELEMENTS);
	d->pixel = d->direct ? c->ic : window_elements(c);
	d->step = DOT_ELEMENTS;
	if (!d->direct && are_side_by_side(c)) {
		d->pixel = DOT_ELEMENTS;
		d->step = d->shape.pixels * DOT_ELEMENTS;
	}
	plan_chunks(d);
}

bool
dots_fits(const Conv *c)
{
	return conv_is_int8(c) && c->groups == 1 && channel_outputs_fit(c, LANES);
}

LFunc *
dots_lower(Arena *a, const Conv *c, const DotsShape *shape)
{
	Dots d = {.c = c, .shape = *shape};

	assert(dots_fits(c) && shape->pixels <= MAX_PIXELS);
	assert(shape->channels <= MAX_CHANNELS && LANES % shape->channels == 0);
	assert(shape->chunk > 0 && shape->body <= shape->unroll + 1);
	lower_begin(&d.cx, a, c->n);
	lower_name_inputs(&d.cx, c->n, (const char *const[]){"x", "w", "bias"});
	plan(&d);
	make_weights(&d);
	d.outputs = channel_outputs_begin(&d.cx, c, LANES);
	d.sums = lower_scratch(&d.cx, "sums", DT_I32, shape->pixels * d.width);
	d.x = d.cx.in[0];
	if (d.direct)
		lower_input(&d);
	else
		lower_rows(&d);
	return loop_finish(&d.cx.b);
}

/* ---- Cost ---- */

/* Cycles of a block: of a unit an instruction takes two, units take turns, and one
 * instruction starts a cycle. */
static int64_t
block_cost(const Conv *c, const DotsShape *s, int64_t pixels)
{
	enum { GROUP = 5, LOOP = 4, ROW = 12, OUTPUT = 10, OUTPUTS = 8 };
	int64_t sums = pixels * s->channels, loads = pixels + s->channels;
	int64_t step = 2 * (sums > loads ? sums : loads), group, block;
	int64_t steps = divide_up(window_length(c), DOT_ELEMENTS);
	int64_t length = c->kw * c->ic;

	step = step > sums + loads ? step : sums + loads;
	group = steps * step + sums / 2 + GROUP;
	group += steps > s->unroll ? divide_up(steps, s->body) * LOOP : 0;
	block = divide_up(c->oc, s->channels) * group;
	block += divide_up(c->oc, LANES) *
	         (OUTPUTS + pixels * (OUTPUT + (c->range.lo < c->y_zero ? 4 : 0)));
	if (!conv_is_pointwise(c))
		block += c->kh * (ROW + pixels * 4 * divide_up(length, DOT_ELEMENTS));
	return block;
}

int64_t
dots_cost(const Conv *c, const DotsShape *s)
{
	enum { ROW = 20, COPY = 5 };
	bool direct = conv_is_pointwise(c);
	int64_t pixels = direct ? (int64_t)c->batch * c->out_h * c->out_w : c->out_w;
	int64_t lines = direct ? 1 : (int64_t)c->batch * c->out_h, rest = pixels % s->pixels;
	int64_t line = pixels / s->pixels * block_cost(c, s, s->pixels);

	line += rest ? block_cost(c, s, rest) : 0;
	if (!direct)
		line += c->sy * (ROW + (int64_t)c->in_w * c->ic / DOT_ELEMENTS * COPY);
	return lines * line;
}
