/*
 * Exact integer Winograd F(4x4, 3x3): 3x3 convolutions with stride 1 by 36 products for
 * 16 outputs instead of 144.
 *
 * With B, G and A of the points 0, 1, -1, 2, -2 and infinity, scaled so that all three
 * are integers,
 *
 *	576 y = A^T [(G g G^T) o (B^T d B)] A
 *
 * for a tile d of 6x6 inputs and a kernel g.  Transformed inputs (at most 100 * 128) and
 * weights (at most 49 * 127) fit 16 bits; everything else may wrap around in 32 bits,
 * because only sums and products follow.  The factors 1, 2, 4, 4 of A's rows are left out
 * at first.  What comes out is multiplied by the inverse of 9 modulo 2^32, which divides
 * exactly, and shifted.  With |y| < 2^25 nothing is lost.
 *
 * A strip is some rows of tiles.  For each strip the inputs of all its tiles are
 * transformed to scratch memory; then for each pair of output channels and each group of
 * tiles the 36 products are summed over the input channels, and transformed back.
 *
 * With pairs (two products an instruction), scratch is, by group of G tiles and by point:
 * two channels a word, for each word G tiles; behind them the sums, G tiles by two
 * channels.  Constants:
 *
 *	[m, shift]	where all channels have the same multiplier
 *	for each pair of output channels:
 *		36 * bias of both, what reaches every output 16 times
 *		[m and shift of each]
 *		for each point and word: weights of the first, of the second channel
 *
 * Without, inputs and weights are numbers of 16 bits one by one, in the same order, and
 * sums and weights have buffers of their own.
 */
#include <assert.h>
#include <string.h>

#include "codegen/kernels/generate.h"
#include "codegen/kernels/rows.h"

enum { POINTS = 6, TILE = 4, MOST_TILES = 4 };

/* What undoes multiplication by 9. */
#define INVERSE_OF_9 0x38e38e39u

typedef struct {
	LowerCtx cx;
	const Conv *c;
	Conv view;      /* the strips as windows, for the row buffer */
	Scale scale;
	Rows rows;
	int32_t tiles_x, tile_rows; /* of a strip: tiles in a row, rows of tiles */
	int32_t group;              /* tiles at a time */
	int32_t groups;             /* of a strip */
	bool pairs;                 /* two input channels in a word */
	int32_t body;               /* words in the body of the loop over them */
	bool in_order;              /* the products of a tile behind those of the one before */
	int32_t words;              /* input channels, or pairs of them */
	int32_t block;              /* words of scratch of a group and point */
	int32_t sum_step;           /* from the sums of a point to those of the next */
	int32_t header, pair_words, params;
	LBuf *stream, *weights, *columns, *tiles, *sums, *back;
} Winograd;

static LBuilder *
builder(Winograd *d)
{
	return &d->cx.b;
}

static int32_t
divide_up(int32_t x, int32_t y)
{
	return (x - 1) / y + 1;
}

/* ---- Which tiles at a time ---- */

/* As few rows of tiles as make whole groups, of up to `most` tiles. */
static void
plan_strips(const Conv *c, int32_t most, int32_t *rows, int32_t *group)
{
	int32_t across = divide_up(c->out_w, TILE), down = divide_up(c->out_h, TILE);

	*rows = 1;
	while (*rows < down && across * *rows < most)
		++*rows;
	*group = 1;
	for (int32_t g = 2; g <= most; g++)
		if (divide_up(across * *rows, g) * (2 + 3 * g) <=
		    divide_up(across * *rows, *group) * (2 + 3 * *group))
			*group = g;
}

bool
winograd_fits(const Conv *c)
{
	const int64_t most = 1 << 25;

	if (c->groups != 1 || c->kh != 3 || c->kw != 3 || c->sy != 1 || c->sx != 1 ||
	    c->dy != 1 || c->dx != 1 || c->ic % 4 != 0 || c->ic < 8 || c->oc < 8)
		return false;
	for (int32_t i = 0; i < c->oc; i++)
		if (c->channel[i].lo <= -most || c->channel[i].hi >= most)
			return false;
	return true;
}

/* ---- Constants ---- */

/* G g G^T at a point. */
static int32_t
transformed_weight(const Conv *c, int32_t oc, int32_t ic, int i, int j)
{
	static const int g[POINTS][3] = {{3, 0, 0}, {1, 1, 1}, {1, -1, 1},
	                                 {1, 2, 4}, {1, -2, 4}, {0, 0, 3}};
	int32_t sum = 0;

	for (int ky = 0; ky < 3 && oc < c->oc; ky++)
		for (int kx = 0; kx < 3; kx++)
			sum += g[i][ky] * g[j][kx] * conv_weight(c, oc, ky, kx, ic);
	return sum;
}

static void
put_pair(const Winograd *d, Stream *s, int32_t first)
{
	const Conv *c = d->c;

	for (int32_t oc = first; oc < first + 2; oc++)
		stream_put(s, oc < c->oc ? 36 * (uint32_t)c->channel[oc].bias : 0);
	scale_put_channels(&d->scale, c, first, 2, s);
	for (int32_t point = 0; point < POINTS * POINTS && d->pairs; point++)
		for (int32_t word = 0; word < d->words; word++)
			for (int i = 0; i < 2; i++) {
				int32_t ic = word / 2 * 4 + word % 2, y = point / POINTS, x = point % POINTS;
				uint32_t low = (uint32_t)transformed_weight(c, first + i, ic, y, x);
				uint32_t high = (uint32_t)transformed_weight(c, first + i, ic + 2, y, x);

				stream_put(s, (low & 0xffff) | high << 16);
			}
}

/* The weights one by one. */
static void
make_weights(Winograd *d)
{
	const Conv *c = d->c;
	int32_t n = divide_up(c->oc, 2) * POINTS * POINTS * d->words * 2;
	int16_t *w = ARENA_ARRAY(d->cx.arena, int16_t, n), *at = w;

	for (int32_t first = 0; first < c->oc; first += 2)
		for (int32_t point = 0; point < POINTS * POINTS; point++)
			for (int32_t ic = 0; ic < c->ic; ic++)
				for (int i = 0; i < 2; i++)
					*at++ = (int16_t)transformed_weight(c, first + i, ic, point / POINTS,
					                                    point % POINTS);
	assert(at == w + n);
	d->weights = lower_constant(&d->cx, "weights", DT_I16, n, w);
}

static void
make_stream(Winograd *d)
{
	const Conv *c = d->c;
	int32_t pairs = divide_up(c->oc, 2), n;
	Stream s = {0};

	d->header = scale_header_words(&d->scale);
	d->params = scale_is_by_channel(&d->scale) ? 6 : 2;
	d->pair_words = d->params + (d->pairs ? POINTS * POINTS * d->words * 2 : 0);
	n = d->header + pairs * d->pair_words;
	s.word = ARENA_ARRAY(d->cx.arena, int32_t, n);
	scale_put_header(&d->scale, c, &s);
	for (int32_t i = 0; i < pairs; i++)
		put_pair(d, &s, 2 * i);
	assert(s.n == n);
	d->stream = lower_constant(&d->cx, d->pairs ? "weights" : "params", DT_I32, n, s.word);
	if (!d->pairs)
		make_weights(d);
}

/* ---- Inputs ---- */

static Expr *
add2(Winograd *d, Expr *x, Expr *y)
{
	if (!d->pairs)
		return loop_add(builder(d), x, y);
	return loop_packed(builder(d), POP_ADD2, x, y, NULL);
}

static Expr *
sub2(Winograd *d, Expr *x, Expr *y)
{
	if (!d->pairs)
		return loop_sub(builder(d), x, y);
	return loop_packed(builder(d), POP_SUB2, x, y, NULL);
}

static Expr *
twice2(Winograd *d, Expr *x)
{
	x = loop_let(builder(d), "s", x);
	return add2(d, x, x);
}

/* B^T of six values, with two lanes each where there are pairs. */
static void
transform_input(Winograd *d, Expr *const *x, Expr *y[POINTS])
{
	LBuilder *b = builder(d);
	Expr *p = loop_let(b, "p", sub2(d, x[4], x[2])), *q, *t;

	q = loop_let(b, "q", twice2(d, sub2(d, x[3], x[1])));
	y[0] = add2(d, twice2(d, twice2(d, sub2(d, x[0], x[2]))), p);
	y[3] = add2(d, p, q);
	y[4] = sub2(d, p, q);
	y[5] = sub2(d, sub2(d, x[5], x[3]), add2(d, q, q));
	t = twice2(d, twice2(d, add2(d, x[1], x[2])));
	y[1] = sub2(d, add2(d, x[3], x[4]), t);
	t = twice2(d, twice2(d, sub2(d, x[1], x[2])));
	y[2] = add2(d, sub2(d, x[4], x[3]), t);
}

/* One column of a row of tiles: a channel, or two of four: to columns[][column]. */
static void
transform_column(Winograd *d, Expr *const *row, Expr *at, Expr *column, POp half)
{
	LBuilder *b = builder(d);
	int32_t width = d->tiles_x * TILE + 2;
	Expr *x[POINTS], *y[POINTS];

	for (int i = 0; i < POINTS; i++) {
		Expr *four = loop_load(b, d->rows.buf, loop_add(b, row[i], at));

		if (!d->pairs)
			x[i] = loop_let(b, "d", loop_cvt(b, DT_I32, four));
		else
			x[i] = loop_let(b, "d", loop_packed(b, half, four, NULL, NULL));
	}
	transform_input(d, x, y);
	for (int i = 0; i < POINTS; i++)
		loop_store(b, d->columns, loop_add(b, column, loop_idx(b, i * width)), y[i]);
}

/* One tile: from columns to its place among the tiles. */
static void
transform_tile(Winograd *d, Expr *tile, Expr *tx, Expr *word)
{
	LBuilder *b = builder(d);
	int32_t width = d->tiles_x * TILE + 2;
	Expr *group = loop_op2(b, KOP_DIV, tile, loop_idx(b, d->group));
	Expr *to = loop_affine(b, group, POINTS * POINTS * d->block, 0), *from, *i, *x[POINTS];
	Expr *y[POINTS];

	to = loop_add(b, to, loop_op2(b, KOP_REM, tile, loop_idx(b, d->group)));
	to = loop_add(b, to, loop_affine(b, word, d->group, 0));
	to = loop_let(b, "to", to);
	i = loop_for(b, "i", 0, POINTS);
	from = loop_add(b, loop_affine(b, i, width, 0), loop_affine(b, tx, TILE, 0));
	from = loop_let(b, "from", from);
	to = loop_let(b, "to_i", loop_add(b, to, loop_affine(b, i, POINTS * d->block, 0)));
	for (int k = 0; k < POINTS; k++)
		x[k] = loop_let(b, "d", loop_load(b, d->columns, loop_add(b, from, loop_idx(b, k))));
	transform_input(d, x, y);
	for (int k = 0; k < POINTS; k++)
		loop_store_cvt(b, d->tiles, loop_add(b, to, loop_idx(b, k * d->block)), y[k]);
	loop_end(b);
}

/* All tiles of a strip. */
static void
transform_strip(Winograd *d, Expr *first)
{
	LBuilder *b = builder(d);
	int depth = b->depth;
	int32_t pixel = d->pairs ? d->c->ic / 4 : d->c->ic, halves = d->pairs ? 2 : 1;
	Expr *u = lower_for(&d->cx, "ty", d->tile_rows), *row[POINTS], *quad, *column, *tx;

	for (int i = 0; i < POINTS; i++)
		row[i] = lower_let(&d->cx, "row",
		                   rows_row(&d->cx, &d->rows, first, loop_affine(b, u, TILE, i)));
	quad = lower_for(&d->cx, d->pairs ? "four" : "ic", pixel);
	for (int half = 0; half < halves; half++) {
		Expr *word = loop_affine(b, quad, halves, half), *tile;

		column = loop_for(b, "column", 0, d->tiles_x * TILE + 2);
		transform_column(d, row,
		                 loop_let(b, "at", loop_add(b, loop_affine(b, column, pixel, 0), quad)),
		                 column, half ? POP_ODD8 : POP_EVEN8);
		loop_end(b);
		tx = lower_for(&d->cx, "tx", d->tiles_x);
		tile = lower_let(&d->cx, "tile", loop_add(b, loop_affine(b, u, d->tiles_x, 0), tx));
		transform_tile(d, tile, tx, word);
		if (d->tiles_x > 1)
			loop_end(b);
	}
	lower_end_to(&d->cx, depth);
}

/* ---- Products ---- */

static void
add_product(Winograd *d, LVar *sum, Expr *v, Expr *w)
{
	LBuilder *b = builder(d);
	Expr *next;

	if (d->pairs) {
		loop_set(b, sum, loop_packed(b, POP_DOT2, v, w, loop_get(b, sum)));
		return;
	}
	next = loop_add(b, loop_get(b, sum), loop_mul(b, v, w));
	loop_set(b, sum, loop_packed(b, POP_KEEP, next, NULL, NULL));
}

static void
keep_sum(Winograd *d, LVar *sum)
{
	LBuilder *b = builder(d);

	loop_set(b, sum, loop_packed(b, POP_KEEP, loop_get(b, sum), NULL, NULL));
}

/* Word k of a tile. */
static Expr *
tile_word(Winograd *d, Expr *v_at, int32_t k, int tile)
{
	LBuilder *b = builder(d);
	Expr *at = loop_add(b, v_at, loop_idx(b, k * d->group + tile));

	return loop_let(b, "vk", loop_load_compute(b, d->tiles, at));
}

/* Words k and on of a point. */
static void
add_words(Winograd *d, LVar *sum[MOST_TILES][2], Expr *w_at, Expr *v_at, int32_t k, int n)
{
	LBuilder *b = builder(d);

	for (int i = 0; i < n; i++) {
		Expr *w[2];

		for (int o = 0; o < 2; o++)
			w[o] = loop_let(b, "wk",
			                loop_load_compute(b, d->weights,
			                                  loop_add(b, w_at, loop_idx(b, 2 * (k + i) + o))));
		for (int t = 0; t < d->group; t++) {
			Expr *v = tile_word(d, v_at, k + i, t);

			for (int o = 0; o < 2; o++)
				add_product(d, sum[t][o], v, w[o]);
			for (int o = 0; o < 2 && d->pairs && d->in_order; o++)
				keep_sum(d, sum[t][o]);
		}
		if (d->pairs && !d->in_order)
			keep_sum(d, sum[0][0]);
	}
}

/* The sums of all points for a group of tiles and a pair of channels. */
static void
sum_products(Winograd *d, Expr *w_at, Expr *v_at)
{
	LBuilder *b = builder(d);
	int32_t words = d->words, body = d->body;
	LVar *sum[MOST_TILES][2];
	Expr *point = loop_for(b, "point", 0, POINTS * POINTS), *w, *v, *k, *to;

	w = loop_let(b, "w_point", loop_add(b, w_at, loop_affine(b, point, 2 * words, 0)));
	v = loop_let(b, "v_point", loop_add(b, v_at, loop_affine(b, point, d->block, 0)));
	for (int t = 0; t < d->group; t++)
		for (int o = 0; o < 2; o++)
			sum[t][o] = loop_var(b, "sum", loop_int(b, DT_I32, 0));
	if (words <= body || (words <= 8 && d->pairs)) {
		add_words(d, sum, w, v, 0, words);
	} else {
		k = loop_for_step(b, "k", 0, words, body);
		add_words(d, sum, loop_let(b, "w_k", loop_add(b, w, loop_affine(b, k, 2, 0))),
		          loop_let(b, "v_k", loop_add(b, v, loop_affine(b, k, d->group, 0))), 0, body);
		loop_end(b);
	}
	to = d->pairs ? loop_add(b, v, loop_idx(b, words * d->group))
	              : loop_let(b, "to", loop_affine(b, point, d->sum_step, 0));
	for (int t = 0; t < d->group; t++)
		for (int o = 0; o < 2; o++)
			loop_store(b, d->sums, loop_add(b, to, loop_idx(b, 2 * t + o)),
			           loop_get(b, sum[t][o]));
	loop_end(b);
}

/* ---- Outputs ---- */

static Expr *
shift_left(Winograd *d, Expr *x, int n)
{
	LBuilder *b = builder(d);

	return n ? loop_op2(b, KOP_SHL, x, loop_int(b, DT_I32, n)) : x;
}

/* A^T of six sums, but for the factors 1, 2, 4, 4. */
static void
transform_back(Winograd *d, Expr *const *m, Expr *y[TILE])
{
	LBuilder *b = builder(d);
	Expr *s = loop_let(b, "s12", loop_add(b, m[1], m[2]));
	Expr *e = loop_let(b, "d12", loop_sub(b, m[1], m[2]));
	Expr *t = loop_let(b, "s34", loop_add(b, m[3], m[4]));
	Expr *f = loop_let(b, "d34", loop_sub(b, m[3], m[4]));

	y[0] = loop_add(b, loop_sub(b, shift_left(d, m[0], 1), shift_left(d, s, 2)), t);
	y[1] = loop_sub(b, f, shift_left(d, e, 1));
	y[2] = loop_sub(b, t, s);
	y[3] = loop_sub(b, shift_left(d, loop_add(b, f, m[5]), 1), e);
}

/* Where a tile's outputs go, and what is known of its channel. */
typedef struct {
	Expr *y_at;        /* of its first pixel */
	Expr *oy, *ox;     /* of the same */
	Expr *channel, *bias, *m, *shift;
} Output;

/* The columns of sums of a tile and channel: rows with their factors, to back[]. */
static void
back_columns(Winograd *d, const Output *o, Expr *sums)
{
	static const int factor[TILE] = {0, 1, 2, 2};
	LBuilder *b = builder(d);
	Expr *j, *m[POINTS], *y[TILE], *all;

	/* Point (1, 1) reaches every output. */
	all = loop_add(b, sums, loop_idx(b, (POINTS + 1) * d->sum_step));
	loop_store(b, d->sums, all, loop_add(b, loop_load(b, d->sums, all), o->bias));
	j = loop_for(b, "j", 0, POINTS);
	sums = loop_let(b, "m_j", loop_add(b, sums, loop_affine(b, j, d->sum_step, 0)));
	for (int i = 0; i < POINTS; i++)
		m[i] = loop_let(b, "mi",
		                loop_load(b, d->sums,
		                          loop_add(b, sums, loop_idx(b, i * POINTS * d->sum_step))));
	transform_back(d, m, y);
	for (int i = 0; i < TILE; i++)
		loop_store(b, d->back, loop_affine(b, j, 1, i * POINTS), shift_left(d, y[i], factor[i]));
	loop_end(b);
}

static void
store_pixel(Winograd *d, const Output *o, Expr *y_at, Expr *y, int j)
{
	static const int shift[TILE] = {5, 4, 3, 3};
	LBuilder *b = builder(d);
	const Conv *c = d->c;
	bool may_end = c->out_w % TILE != 0 && (c->out_w - 1) % TILE < j;

	if (may_end)
		loop_if(b, loop_op2(b, KOP_LT, o->ox, loop_idx(b, c->out_w - j)));
	y = loop_mul(b, y, loop_int(b, DT_I32, (int32_t)INVERSE_OF_9));
	y = loop_op2(b, KOP_SHR, y, loop_int(b, DT_I32, shift[j] + (d->scale.twice ? 0 : 1)));
	scale_store(&d->cx, &d->scale, loop_add(b, y_at, loop_idx(b, j * c->oc)), o->channel, y,
	            o->m, o->shift);
	if (may_end)
		loop_end(b);
}

static void
back_rows(Winograd *d, const Output *o)
{
	LBuilder *b = builder(d);
	const Conv *c = d->c;
	int depth = b->depth;
	Expr *i = loop_for(b, "i", 0, TILE), *from, *m[POINTS], *y[TILE], *y_at;

	if (c->out_h % TILE != 0 || d->view.out_h * d->tile_rows * TILE > c->out_h)
		loop_if(b, loop_op2(b, KOP_LT, loop_add(b, o->oy, i), loop_idx(b, c->out_h)));
	from = loop_let(b, "back_i", loop_affine(b, i, POINTS, 0));
	for (int k = 0; k < POINTS; k++)
		m[k] = loop_let(b, "mi", loop_load(b, d->back, loop_add(b, from, loop_idx(b, k))));
	transform_back(d, m, y);
	for (int j = 0; j < TILE; j++)
		y[j] = loop_let(b, "yj", y[j]);
	y_at = loop_let(b, "y_i", loop_add(b, o->y_at, loop_affine(b, i, c->out_w * c->oc, 0)));
	for (int j = 0; j < TILE; j++)
		store_pixel(d, o, y_at, y[j], j);
	lower_end_to(&d->cx, depth);
}

/* A group of tiles, for a pair of channels. */
static void
store_group(Winograd *d, Expr *y_n, Expr *strip, Expr *group, Expr *pair, Expr *p_at)
{
	const Conv *c = d->c;
	LBuilder *b = builder(d);
	int32_t total = d->tiles_x * d->tile_rows;
	int depth = b->depth;
	Expr *t = lower_for(&d->cx, "t", d->group), *tile, *o, *sums, *pixel;
	Output out;

	tile = lower_let(&d->cx, "tile", loop_add(b, loop_affine(b, group, d->group, 0), t));
	if (total % d->group != 0)
		loop_if(b, loop_op2(b, KOP_LT, tile, loop_idx(b, total)));
	out.oy = loop_op2(b, KOP_DIV, tile, loop_idx(b, d->tiles_x));
	out.oy = loop_add(b, loop_affine(b, strip, d->tile_rows * TILE, 0),
	                  loop_affine(b, out.oy, TILE, 0));
	out.oy = lower_let(&d->cx, "oy", out.oy);
	out.ox = loop_op2(b, KOP_REM, tile, loop_idx(b, d->tiles_x));
	out.ox = lower_let(&d->cx, "ox", loop_affine(b, out.ox, TILE, 0));
	o = loop_for(b, "o", 0, 2);
	out.channel = loop_let(b, "oc", loop_add(b, loop_affine(b, pair, 2, 0), o));
	if (c->oc % 2 != 0)
		loop_if(b, loop_op2(b, KOP_LT, out.channel, loop_idx(b, c->oc)));
	pixel = loop_add(b, loop_affine(b, out.oy, c->out_w, 0), out.ox);
	out.y_at = loop_let(b, "y_t", loop_add(b, loop_add(b, y_n, loop_affine(b, pixel, c->oc, 0)),
	                                       out.channel));
	out.bias = loop_let(b, "bias36", loop_load(b, d->stream, loop_add(b, p_at, o)));
	out.m = out.shift = NULL;
	if (d->scale.fast) {
		Expr *at = d->header ? loop_idx(b, 0) : loop_add(b, p_at, loop_affine(b, o, 2, 2));

		out.m = loop_let(b, "m", loop_load(b, d->stream, at));
		at = loop_add(b, at, loop_idx(b, 1));
		out.shift = loop_let(b, "shift", loop_load(b, d->stream, at));
	}
	sums = d->pairs ? loop_affine(b, group, POINTS * POINTS * d->block, d->words * d->group)
	                : loop_idx(b, 0);
	sums = loop_add(b, loop_add(b, sums, loop_affine(b, t, 2, 0)), o);
	back_columns(d, &out, loop_let(b, "sums", sums));
	back_rows(d, &out);
	lower_end_to(&d->cx, depth);
}

static void
lower_strip(Winograd *d, Expr *y_n, Expr *strip)
{
	LBuilder *b = builder(d);
	Expr *pair = lower_for(&d->cx, "pair", divide_up(d->c->oc, 2)), *group, *p_at, *v_at;
	Expr *w_at;

	p_at = lower_let(&d->cx, "p_pair", loop_affine(b, pair, d->pair_words, d->header));
	group = lower_for(&d->cx, "group", d->groups);
	v_at = lower_let(&d->cx, "v_g", loop_affine(b, group, POINTS * POINTS * d->block, 0));
	if (d->pairs)
		w_at = loop_add(b, p_at, loop_idx(b, d->params));
	else
		w_at = loop_affine(b, pair, POINTS * POINTS * d->words * 2, 0);
	sum_products(d, lower_let(&d->cx, "w_pair", w_at), v_at);
	store_group(d, y_n, strip, group, pair, p_at);
}

static void
lower_images(Winograd *d)
{
	const Conv *c = d->c;
	LBuilder *b = builder(d);
	Expr *image, *y_n, *strip, *first;

	rows_begin(&d->cx, &d->rows);
	d->columns = lower_scratch(&d->cx, "columns", DT_I32, POINTS * (d->tiles_x * TILE + 2));
	d->back = lower_scratch(&d->cx, "back", DT_I32, TILE * POINTS);
	d->tiles = d->sums = lower_scratch(&d->cx, "tiles", d->pairs ? DT_I32 : DT_I16,
	                                   d->groups * POINTS * POINTS * d->block);
	if (!d->pairs)
		d->sums = lower_scratch(&d->cx, "sums", DT_I32, POINTS * POINTS * d->sum_step);
	image = lower_for(&d->cx, "n", c->batch);
	y_n = lower_let(&d->cx, "y_n", loop_affine(b, image, c->out_h * c->out_w * c->oc, 0));
	image = lower_let(&d->cx, "x_n", loop_affine(b, image, c->in_h * c->in_w * c->ic, 0));
	strip = lower_for(&d->cx, "strip", d->view.out_h);
	rows_fill(&d->cx, &d->rows, image, strip);
	first = rows_first_slot(&d->cx, &d->rows, strip);
	transform_strip(d, first);
	lower_strip(d, y_n, strip);
	lower_end_to(&d->cx, 0);
}

LFunc *
winograd_lower(Arena *a, const Conv *c, const WinogradShape *shape)
{
	Winograd d = {.c = c, .view = *c, .pairs = shape->pairs,
	              .in_order = shape->in_order};

	assert(winograd_fits(c) && shape->tiles <= MOST_TILES);
	plan_strips(c, shape->tiles, &d.tile_rows, &d.group);
	d.tiles_x = divide_up(c->out_w, TILE);
	d.groups = divide_up(d.tiles_x * d.tile_rows, d.group);
	d.words = d.pairs ? c->ic / 2 : c->ic;
	d.body = shape->body ? shape->body : 4;
	while (d.words % d.body != 0)
		d.body /= 2;
	d.block = d.words * d.group + (d.pairs ? 2 * d.group : 0);
	d.sum_step = d.pairs ? d.block : 2 * d.group;
	d.view.kh = d.tile_rows * TILE + 2;
	d.view.sy = d.tile_rows * TILE;
	d.view.out_h = divide_up(c->out_h, d.tile_rows * TILE);
	lower_begin(&d.cx, a, c->n);
	d.scale = scale_begin(&d.cx, c);
	if (d.pairs)
		scale_use_powers(&d.scale, c);
	if (shape->parts)
		scale_use_parts(&d.scale, c);
	d.rows = d.pairs ? rows_plan_bytes(&d.view, d.tiles_x * TILE, false)
	                 : rows_plan_single(&d.view, d.tiles_x * TILE, false);
	make_stream(&d);
	if (d.pairs)
		d.weights = d.stream;
	lower_name_inputs(&d.cx, c->n, (const char *const[]){"x", "w", "bias"});
	lower_images(&d);
	return loop_finish(&d.cx.b);
}
