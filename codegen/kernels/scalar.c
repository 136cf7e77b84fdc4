/*
 * Convolutions and matrix products that take elements as they are: one product at a
 * time, or sixteen at once from a vector of either side.  Blocks of pixels by output
 * channels, so that each element is loaded once for several products.
 *
 * Pixels come from the input where the kernel has one tap, else from a row buffer of
 * elements as they are.  Weights lie in the order of use, for vectors with zeros behind
 * the end of a run; what sums start with, and multipliers and shifts, in a second
 * constant, group by group.  Depthwise convolutions
 * have one channel a block, and columns that several pixels share are loaded once.
 *
 * Where registers are few (shape.dual) the weights of two channels (a, b) for two elements
 * are one word of lanes 256 b + a, as in dense.c: T sums x (256 b + a), A sums x a, and the
 * sum of x b is (T - A) / 256.
 */
#include <assert.h>

#include "codegen/kernels/blocks.h"
#include "codegen/kernels/generate.h"
#include "codegen/kernels/params.h"
#include "ir/num.h"

enum { MAX_PIXELS = 5, MAX_CHANNELS = 4, MAX_COLUMNS = 16 };

typedef struct {
	LowerCtx cx;
	const Conv *c;
	ScalarShape shape;
	Params params;
	Rows rows;
	bool depthwise, dual;
	int32_t x_channels; /* of a pixel */
	int32_t runs, run;  /* of a row of the kernel: pieces without gaps, and steps of one */
	int32_t step;       /* elements at once */
	int32_t group_weights;
	LBuf *x, *weights;
	LVar *sum[MAX_PIXELS][MAX_CHANNELS]; /* dual: A and T */
} Scalar;

static LBuilder *
builder(Scalar *d)
{
	return &d->cx.b;
}

/* ---- Constants ---- */

/* A weight by its element of a run; 0 where there is none. */
static int32_t
run_weight(const Scalar *d, int32_t oc, int32_t ky, int32_t run, int32_t e)
{
	const Conv *c = d->c;
	int32_t kx = d->runs > 1 ? run : e / c->ic, ic = d->runs > 1 ? e : e % c->ic;

	return oc < c->oc && kx < c->kw && ic < c->ic ? conv_weight(c, oc, ky, kx, ic) : 0;
}

/* Step k of a run of two channels: a lane for each of two elements. */
static void
put_lanes(const Scalar *d, Stream *to, int32_t oc, int32_t ky, int32_t run, int32_t k)
{
	uint32_t lane[2];

	for (int i = 0; i < 2; i++)
		lane[i] = (uint32_t)(256 * run_weight(d, oc + 1, ky, run, 2 * k + i) +
		                     run_weight(d, oc, ky, run, 2 * k + i));
	stream_put(to, (lane[0] & 0xffff) | lane[1] << 16);
}

static void
make_lanes(Scalar *d)
{
	int32_t n = params_groups(&d->params) * d->group_weights;
	Stream s = {.word = ARENA_ARRAY(d->cx.arena, int32_t, n)};

	for (int32_t g = 0; g < params_groups(&d->params); g++)
		for (int32_t ky = 0; ky < d->c->kh; ky++)
			for (int32_t run = 0; run < d->runs; run++)
				for (int32_t k = 0; k < d->run; k++)
					put_lanes(d, &s, 2 * g, ky, run, k);
	assert(s.n == n);
	d->weights = lower_constant(&d->cx, "weights", DT_I32, n, s.word);
}

static DType
weight_type(const Scalar *d)
{
	return d->c->wide ? DT_I16 : DT_I8;
}

/* Step k of a run, for all channels of a group. */
static void
put_step(const Scalar *d, void *to, int32_t *n, int32_t group, int32_t ky, int32_t run, int32_t k)
{
	DType t = weight_type(d);

	for (int i = 0; i < d->shape.channels; i++)
		for (int32_t e = k * d->step; e < (k + 1) * d->step; e++)
			num_store_int(t, to, (size_t)(*n)++,
			              run_weight(d, group * d->shape.channels + i, ky, run, e));
}

static void
make_weights(Scalar *d)
{
	const Conv *c = d->c;
	int32_t n = params_groups(&d->params) * d->group_weights, at = 0;
	void *w = arena_alloc(d->cx.arena, (size_t)n * (size_t)dtype_info[weight_type(d)].bytes);

	for (int32_t g = 0; g < params_groups(&d->params); g++)
		for (int32_t ky = 0; ky < c->kh; ky++)
			for (int32_t run = 0; run < d->runs; run++)
				for (int32_t k = 0; k < d->run; k++)
					put_step(d, w, &at, g, ky, run, k);
	assert(at == n);
	d->weights = lower_constant(&d->cx, "weights", weight_type(d), n, w);
}

/* Of two channels that share words, T is both. */
static uint32_t
start_of(void *user, int32_t first, int i)
{
	const Scalar *d = user;
	const ConvChannel *channel = &d->c->channel[first];
	uint32_t bias = (uint32_t)channel[i].bias;

	return d->dual && i == 1 ? bias * 256 + (uint32_t)channel[0].bias : bias;
}

/* ---- Sums ---- */

/* A product, and what more there is, in 16 bits. */
static Expr *
narrow_sum(Scalar *d, Expr *more, Expr *x, Expr *w)
{
	LBuilder *b = builder(d);
	Expr *sum = loop_mul(b, x, w);

	sum = more ? loop_add(b, more, sum) : sum;
	return loop_let(b, "part", loop_cvt(b, DT_I32, loop_cvt(b, DT_I16, sum)));
}

static void
add_product(Scalar *d, LVar *sum, Expr *x, Expr *w)
{
	LBuilder *b = builder(d);
	Expr *next = d->shape.narrow ? narrow_sum(d, NULL, x, w) : loop_mul(b, x, w);

	next = loop_add(b, loop_get(b, sum), next);
	loop_set(b, sum, loop_packed(b, POP_KEEP, next, NULL, NULL));
}

/* Sixteen elements of a run, for all pixels and channels. */
static void
add_vector(Scalar *d, Expr *x_at, Expr *w_at, int32_t k, int pixels)
{
	LBuilder *b = builder(d);
	int channels = d->shape.channels;

	for (int p = 0; p < pixels; p++)
		for (int i = 0; i < channels; i++) {
			LVar *sum = d->sum[p][i];
			int32_t x_more = p * d->c->sx * d->x_channels + k * d->step;
			int32_t w_more = (k * channels + i) * d->step;

			loop_set(b, sum, loop_dot(b, loop_get(b, sum), d->x,
			                          loop_add(b, x_at, loop_idx(b, x_more)), d->weights,
			                          loop_add(b, w_at, loop_idx(b, w_more))));
		}
}

static Expr *
shift(Scalar *d, KOp op, Expr *x, int32_t bits)
{
	LBuilder *b = builder(d);

	return loop_op2(b, op, x, loop_int(b, DT_I32, bits));
}

/* One element for one lane: low bits to T, the lowest eight to A. */
static void
add_lane(Scalar *d, int pixel, Expr *x, Expr *lane)
{
	LBuilder *b = builder(d);
	Expr *a;

	lane = loop_let(b, "lane", lane);
	a = loop_let(b, "w_a", shift(d, KOP_SHR, shift(d, KOP_SHL, lane, 24), 24));
	add_product(d, d->sum[pixel][1], x, lane);
	add_product(d, d->sum[pixel][0], x, a);
}

/* Two elements of a run, of which the second may not exist, for two channels. */
static void
add_lanes(Scalar *d, Expr *x_at, Expr *w_at, int32_t k, int pixels)
{
	LBuilder *b = builder(d);
	int32_t elements = d->runs > 1 ? d->c->ic : d->c->kw * d->c->ic;
	Expr *w = loop_let(b, "wk", params_load(&d->cx, d->weights, w_at, k));

	for (int p = 0; p < pixels; p++) {
		int32_t more = p * d->c->sx * d->x_channels + 2 * k;
		Expr *x = loop_let(b, "xk", params_load(&d->cx, d->x, x_at, more));

		add_lane(d, p, x, shift(d, KOP_SHR, shift(d, KOP_SHL, w, 16), 16));
		if (2 * k + 1 == elements)
			continue;
		x = loop_let(b, "xk", params_load(&d->cx, d->x, x_at, more + 1));
		add_lane(d, p, x, shift(d, KOP_SHR, w, 16));
	}
}

/* Step k of a run, for all pixels and channels. */
static void
add_element(Scalar *d, Expr *x_at, Expr *w_at, int32_t k, int pixels)
{
	LBuilder *b = builder(d);
	int channels = d->shape.channels;
	Expr *w[MAX_CHANNELS];

	if (d->dual) {
		add_lanes(d, x_at, w_at, k, pixels);
		return;
	}
	if (d->step > 1) {
		add_vector(d, x_at, w_at, k, pixels);
		return;
	}
	for (int i = 0; i < channels; i++)
		w[i] = loop_let(b, "wk", params_load(&d->cx, d->weights, w_at, k * channels + i));
	for (int p = 0; p < pixels; p++) {
		Expr *x = loop_let(b, "xk", params_load(&d->cx, d->x, x_at,
		                                     p * d->c->sx * d->x_channels + k));

		for (int i = 0; i < channels; i++)
			add_product(d, d->sum[p][i], x, w[i]);
	}
}

/* `n` steps of a run from k on, whose sums have 16 bits, for all pixels and channels. */
static void
add_narrow(Scalar *d, Expr *x_at, Expr *w_at, int32_t k, int32_t n, int pixels)
{
	LBuilder *b = builder(d);
	int channels = d->shape.channels;
	Expr *part[MAX_PIXELS][MAX_CHANNELS] = {{NULL}};

	for (int32_t e = k; e < k + n; e++)
		for (int p = 0; p < pixels; p++) {
			Expr *x = params_load(&d->cx, d->x, x_at, p * d->c->sx * d->x_channels + e);

			x = loop_let(b, "xk", x);
			for (int i = 0; i < channels; i++) {
				Expr *w = params_load(&d->cx, d->weights, w_at, e * channels + i);

				part[p][i] = narrow_sum(d, part[p][i], x, loop_let(b, "wk", w));
			}
		}
	for (int p = 0; p < pixels; p++)
		for (int i = 0; i < channels; i++)
			loop_set(b, d->sum[p][i], loop_add(b, loop_get(b, d->sum[p][i]), part[p][i]));
}

/* Steps k to k + n of a run. */
static void
add_steps(Scalar *d, Expr *x_at, Expr *w_at, int32_t k, int32_t n, int pixels)
{
	int32_t narrow = d->shape.narrow;

	for (int32_t i = k; i < k + n; i += narrow ? narrow : 1) {
		if (narrow)
			add_narrow(d, x_at, w_at, i, k + n - i < narrow ? k + n - i : narrow, pixels);
		else
			add_element(d, x_at, w_at, i, pixels);
	}
}

static void
add_run(Scalar *d, Expr *x_at, Expr *w_at, int pixels)
{
	LBuilder *b = builder(d);
	int32_t body = d->shape.body, whole = d->run / body * body;
	int32_t each = d->dual ? 1 : d->shape.channels * d->step;

	/* The last word may have one lane. */
	if (d->dual)
		whole = (d->run - 1) / body * body;
	if (whole > body) {
		Expr *k = loop_for_step(b, "k", 0, whole, body);
		Expr *x = lower_let(&d->cx, "x_k", loop_add(b, x_at, loop_affine(b, k, d->step, 0)));
		Expr *w = lower_let(&d->cx, "w_k",
		                    loop_add(b, w_at, loop_affine(b, k, each, 0)));

		add_steps(d, x, w, 0, body, pixels);
		loop_end(b);
	} else {
		whole = 0;
	}
	add_steps(d, x_at, w_at, whole, d->run - whole, pixels);
}

/* A row of a depthwise kernel. */
static void
add_columns(Scalar *d, Expr *x_at, Expr *w_at, int pixels)
{
	const Conv *c = d->c;
	LBuilder *b = builder(d);
	int32_t columns = (pixels - 1) * c->sx + (c->kw - 1) * c->dx + 1;
	Expr *w[MAX_COLUMNS];

	for (int32_t kx = 0; kx < c->kw; kx++)
		w[kx] = loop_let(b, "wk", params_load(&d->cx, d->weights, w_at, kx));
	for (int32_t column = 0; column < columns; column++) {
		Expr *x = NULL;

		for (int p = 0; p < pixels; p++) {
			int32_t at = column - p * c->sx;

			if (at < 0 || at % c->dx != 0 || at / c->dx >= c->kw)
				continue;
			if (!x)
				x = loop_let(b, "xk", params_load(&d->cx, d->x, x_at, column * d->x_channels));
			add_product(d, d->sum[p][0], x, w[at / c->dx]);
		}
	}
}

/* A row of the kernel; x_at is where the block starts in its row. */
static void
add_kernel_row(Scalar *d, Expr *first, Expr *ky, Expr *x_at, Expr *w_at, int pixels)
{
	const Conv *c = d->c;
	LBuilder *b = builder(d);
	Expr *row = x_at, *kx;
	int32_t each = d->depthwise ? 1 : d->dual ? d->run : d->run * d->shape.channels * d->step;

	if (d->rows.buf)
		row = loop_add(b, rows_row(&d->cx, &d->rows, first, ky), x_at);
	w_at = loop_add(b, w_at, loop_affine(b, ky, (d->depthwise ? c->kw : d->runs) * each, 0));
	if (d->depthwise) {
		add_columns(d, lower_let(&d->cx, "x_ky", row), lower_let(&d->cx, "w_ky", w_at),
		            pixels);
		return;
	}
	kx = lower_for(&d->cx, "kx", d->runs);
	row = loop_add(b, row, loop_affine(b, kx, c->dx * d->x_channels, 0));
	w_at = loop_add(b, w_at, loop_affine(b, kx, each, 0));
	add_run(d, lower_let(&d->cx, "x_ky", row), lower_let(&d->cx, "w_ky", w_at), pixels);
}

/* The whole window. */
static void
add_window(Scalar *d, Expr *first, Expr *x_at, Expr *w_at, int pixels)
{
	const Conv *c = d->c;
	LBuilder *b = builder(d);
	int depth = b->depth;
	bool unroll = d->depthwise && c->kh * c->kw <= d->shape.unroll;

	/* Rows of a strip are at constant distances from the first one. */
	if (d->rows.strip) {
		x_at = loop_add(b, x_at, loop_affine(b, first, d->rows.row_units, 0));
		x_at = lower_let(&d->cx, "x_first", x_at);
		first = loop_idx(b, 0);
	}
	for (int32_t i = 0; i < (unroll ? c->kh : 1); i++) {
		Expr *ky = unroll ? loop_idx(b, i) : lower_for(&d->cx, "ky", c->kh);

		add_kernel_row(d, first, ky, x_at, w_at, pixels);
		lower_end_to(&d->cx, depth);
	}
}

/* ---- Outputs ---- */

/* The sum of channel i of the group, as params_store() wants it. */
static Expr *
sum_of(Scalar *d, int pixel, int i)
{
	LBuilder *b = builder(d);
	Expr *sum = loop_get(b, d->sum[pixel][i]);

	if (d->dual && i == 1)
		return shift(d, KOP_SHR, loop_sub(b, sum, loop_get(b, d->sum[pixel][0])),
		             d->params.scale.twice ? 7 : 8);
	return params_sum(&d->params, sum);
}

/* All channels of a block of pixels. */
static void
lower_block(void *user, Expr *first, Expr *x_at, Expr *y_at, int pixels)
{
	Scalar *d = user;
	LBuilder *b = builder(d);
	int channels = d->shape.channels, depth = b->depth;
	Expr *g = lower_for(&d->cx, "group", params_groups(&d->params));
	Expr *p_at = params_of_group(&d->params, g), *sum[MAX_PIXELS];

	for (int i = 0; i < channels; i++)
		for (int p = 0; p < pixels; p++)
			d->sum[p][i] = loop_var(b, "sum", params_start(&d->params, p_at, i));
	if (d->depthwise)
		x_at = lower_let(&d->cx, "x_g", loop_add(b, x_at, g));
	add_window(d, first, x_at,
	           lower_let(&d->cx, "w_g", loop_affine(b, g, d->group_weights, 0)), pixels);
	y_at = lower_let(&d->cx, "y_g", loop_add(b, y_at, loop_affine(b, g, channels, 0)));
	for (int i = 0; i < channels && i < d->c->oc; i++) {
		for (int p = 0; p < pixels; p++)
			sum[p] = sum_of(d, p, i);
		params_store(&d->params, g, p_at, y_at, i, sum, pixels);
	}
	lower_end_to(&d->cx, depth);
}

bool
scalar_fits(const Conv *c)
{
	bool depthwise = c->groups > 1 && c->ic == 1 && c->groups == c->oc;
	int32_t columns = (MAX_PIXELS - 1) * c->sx + (c->kw - 1) * c->dx + 1;

	return c->groups == 1 || (depthwise && c->kw <= MAX_COLUMNS && columns <= 64);
}

bool
scalar_fits_dual(const Conv *c)
{
	int32_t n = c->kh * c->kw * c->ic * c->oc;

	for (int32_t i = 0; i < c->oc; i++)
		if (c->channel[i].lo < -(1 << 23) || c->channel[i].hi >= 1 << 23)
			return false;
	for (int32_t i = 0; i < n; i++)
		if (conv_weight_at(c, i) < -INT8_MAX || conv_weight_at(c, i) > INT8_MAX)
			return false;
	return c->groups == 1;
}

/* Whether the sums of the products of each `n` steps of a run have 16 bits. */
static bool
has_narrow_sums(const Conv *c, int32_t n)
{
	int32_t run = c->dx > 1 ? c->ic : c->kw * c->ic, all = c->oc * c->kh * c->kw * c->ic;
	QRange x = quant_limits(c->x_type);

	for (int32_t start = 0; start < all; start += run)
		for (int32_t first = 0; first < run; first += n) {
			int64_t lo = 0, hi = 0;

			for (int32_t k = first; k < run && k < first + n; k++) {
				int64_t w = conv_weight_at(c, start + k);

				lo += w > 0 ? w * x.lo : w * x.hi;
				hi += w > 0 ? w * x.hi : w * x.lo;
			}
			if (lo < INT16_MIN || hi > INT16_MAX)
				return false;
		}
	return true;
}

int
scalar_narrow(const Conv *c)
{
	enum { MOST = 8 };
	int n = 1;

	if (!has_narrow_sums(c, 1))
		return 0;
	/* Rows of a depthwise kernel are added column by column. */
	while (n < MOST && c->groups == 1 && has_narrow_sums(c, 2 * n))
		n *= 2;
	return n;
}

/* Weights of a group, for all rows of the kernel. */
static int32_t
count_weights(const Scalar *d)
{
	int32_t steps = d->c->kh * d->runs * d->run;

	return d->dual ? steps : steps * d->step * d->shape.channels;
}

LFunc *
scalar_lower(Arena *a, const Conv *c, const ScalarShape *shape)
{
	Scalar d = {.c = c, .shape = *shape, .depthwise = c->groups > 1, .dual = shape->dual,
	            .x_channels = c->groups * c->ic, .runs = c->dx > 1 ? c->kw : 1};
	Blocks bl = {.cx = &d.cx, .c = c, .pixels = shape->pixels, .user = &d, .block = lower_block,
	             .pixel_units = c->sx * d.x_channels};

	assert(scalar_fits(c) && shape->pixels <= MAX_PIXELS && shape->channels <= MAX_CHANNELS);
	assert(!d.depthwise || (shape->channels == 1 && !shape->vectors));
	assert(!shape->vectors || (c->x_type == DT_I8 && !c->wide));
	assert(!shape->dual || (shape->channels == 2 && !shape->vectors && scalar_fits_dual(c)));
	lower_begin(&d.cx, a, c->n);
	d.params = params_begin(&d.cx, c, shape->channels);
	if (shape->parts)
		scale_use_parts(&d.params.scale, c);
	d.step = shape->vectors ? DOT_ELEMENTS : shape->dual ? 2 : 1;
	d.run = ((d.runs > 1 ? c->ic : c->kw * c->ic) - 1) / d.step + 1;
	d.group_weights = count_weights(&d);
	if (d.dual)
		make_lanes(&d);
	else
		make_weights(&d);
	params_make(&d.params, start_of, &d);
	lower_name_inputs(&d.cx, c->n, (const char *const[]){"x", "w", "bias"});
	d.x = d.cx.in[0];
	if (!conv_is_pointwise(c) || (!d.dual && c->ic % d.step != 0)) {
		d.rows = rows_plan_single(c, c->out_w, shape->strip);
		rows_begin(&d.cx, &d.rows);
		bl.rows = &d.rows;
		d.x = d.rows.buf;
	}
	blocks_lower(&bl);
	return loop_finish(&d.cx.b);
}
