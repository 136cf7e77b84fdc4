/*
 * Exact integer Winograd: 3x3 convolutions with stride 1 or 2 by fewer products.
 *
 * An axis has a form: `tile` outputs are made of products of transformed inputs and
 * weights, one for each point of a polynomial's argument (0, 1, -1, 2, -2, and infinity,
 * which is always the last one).  With integer matrices B, G and A of the form,
 *
 *	factor^2 y = A^T [(G g G^T) o (B^T d B)] A
 *
 * for a tile d of inputs and a kernel g.  With stride 1 that is F(tile, 3).  With stride 2
 * the even inputs meet the outer weights of a row, and the odd ones the middle weight:
 *
 *	y[i] = g0 even[i] + g2 even[i + 1] + g1 odd[i]
 *
 * so the even inputs take F(tile, 2), and the odd ones are points as they are.  An odd
 * input reaches one output, as points 0 (the first) and infinity (the last) do; so there
 * are two points with the same column of A at either end of a tile, and their products are
 * added up at once: of an axis the points are more than the sums.
 *
 * Transformed inputs (at most 100 * 128) and weights (at most 81 * 127) fit 16 bits;
 * everything else may wrap around in 32 bits, because only sums and products follow.
 * What comes out is multiplied by the inverse of the odd part of factor^2 modulo 2^32,
 * which divides exactly, and shifted.  Where factor^2 y has 32 bits nothing is lost.
 *
 * A strip is some rows of tiles.  For each strip the inputs of all its tiles are
 * transformed to scratch memory; then for each pair of output channels and each group of
 * tiles the products are summed over the input channels and points, and transformed back.
 *
 * Points and sums of an axis are in this order: those whose sums have one point ("single"),
 * then those of the first and of the last output ("double", if there are).  The sums of
 * two axes are in the order of rows.  A block of a sum has for each of its points (those of
 * the column first), for each word of channels, for each tile of the group what is
 * multiplied.
 *
 * With pairs (two products an instruction), a word is two channels, and a block has the sums
 * behind that, tiles by two output channels.  Constants:
 *
 *	[m, shift]	where all channels have the same multiplier
 *	for each pair of output channels:
 *		bias of both, times what reaches an output through the sum of point 1
 *		[m and shift of each]
 *		for each word of each block: weights of the first, of the second channel
 *
 * Without, inputs and weights are numbers of 16 bits one by one, in the same order, and
 * sums and weights have buffers of their own.
 */
#include <assert.h>
#include <string.h>

#include "codegen/kernels/generate.h"
#include "codegen/kernels/rows.h"

enum { MOST_POINTS = 9, MOST_TILE = 4, MOST_GROUP = 4, DOUBLES = 2 };

/* What undoes multiplication by 9. */
#define INVERSE_OF_9 0x38e38e39u

typedef struct {
	int stride, tile;
	int values;  /* inputs or even inputs of a tile, and as many points */
	int points;  /* with the odd inputs */
	int odd, shift; /* factor^2 is odd << shift */
	int late;    /* output i misses a factor of 2 to the power of i, at most `late` */
	int32_t bias;   /* what has to be added to the sum of point 1 for 1 in each output */
	int8_t g[MOST_POINTS][3]; /* the rows of G: of the values' points, of odd inputs */
} Form;

static const Form forms[] = {
	{1, 4, 6, 6, 9, 6, 2, 36,
	 {{3, 0, 0}, {1, 1, 1}, {1, -1, 1}, {1, 2, 4}, {1, -2, 4}, {0, 0, 3}}},
	{1, 3, 5, 5, 9, 2, 0, 36,
	 {{3, 0, 0}, {-3, -3, -3}, {-1, 1, -1}, {1, 2, 4}, {0, 0, 6}}},
	{1, 2, 4, 4, 1, 2, 0, 4, {{2, 0, 0}, {1, 1, 1}, {1, -1, 1}, {0, 0, 2}}},
	{2, 4, 5, 9, 9, 2, 0, 36,
	 {{3, 0, 0}, {-3, 0, -3}, {-1, 0, 1}, {1, 0, 2}, {0, 0, 6},
	  {0, 6, 0}, {0, 6, 0}, {0, 6, 0}, {0, 6, 0}}},
	{2, 3, 4, 7, 1, 2, 0, 4,
	 {{2, 0, 0}, {1, 0, 1}, {1, 0, -1}, {0, 0, 2}, {0, 2, 0}, {0, 2, 0}, {0, 2, 0}}},
	{2, 2, 3, 5, 1, 0, 0, 1, {{1, 0, 0}, {1, 0, 1}, {0, 0, 1}, {0, 1, 0}, {0, 1, 0}}},
};

static const Form *
form_of(const Conv *c, int tile)
{
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
		if (forms[i].stride == c->sx && forms[i].tile == tile)
			return &forms[i];
	return NULL;
}

typedef struct {
	LowerCtx cx;
	const Conv *c;
	const Form *form;
	Conv view;      /* the strips as windows, for the row buffer */
	Scale scale;
	Rows rows;
	int32_t singles, sums; /* of an axis */
	int32_t tiles_x, tile_rows; /* of a strip: tiles in a row, rows of tiles */
	int32_t width;              /* columns of inputs of a row of tiles */
	int32_t group;              /* tiles at a time */
	int32_t groups;             /* of a strip */
	bool pairs;                 /* two input channels in a word */
	int32_t body;               /* words in the body of the loop over them */
	bool in_order;              /* the products of a tile behind those of the one before */
	int32_t words;              /* input channels, or pairs of them */
	int32_t group_size;         /* of scratch */
	int32_t header, pair_words, params;
	LBuf *stream, *weights, *columns, *tiles, *sum_buf, *back;
} Winograd;

static LBuilder *
builder(Winograd *d)
{
	return &d->cx.b;
}

/* ---- Which tiles at a time ---- */

/* As few rows of tiles as make whole groups, of up to `most` tiles. */
static void
plan_strips(Winograd *d, int32_t most)
{
	int32_t down = divide_up(d->c->out_h, d->form->tile), total;

	d->tiles_x = divide_up(d->c->out_w, d->form->tile);
	d->tile_rows = 1;
	while (d->tile_rows < down && d->tiles_x * d->tile_rows < most)
		d->tile_rows++;
	total = d->tiles_x * d->tile_rows;
	d->group = 1;
	for (int32_t g = 2; g <= most; g++)
		if (divide_up(total, g) * (2 + 3 * g) <= divide_up(total, d->group) * (2 + 3 * d->group))
			d->group = g;
	d->groups = divide_up(total, d->group);
}

bool
winograd_fits(const Conv *c, int tile)
{
	const Form *f = form_of(c, tile);
	int64_t most;

	if (!f || c->groups != 1 || c->kh != 3 || c->kw != 3 || c->sy != c->sx || c->dy != 1 ||
	    c->dx != 1 || c->ic % 4 != 0 || c->ic < 8 || c->oc < 8)
		return false;
	most = (int64_t)1 << (31 - f->shift);
	for (int32_t i = 0; i < c->oc; i++)
		if (c->channel[i].lo <= -most || c->channel[i].hi >= most)
			return false;
	return true;
}

int32_t
winograd_sums(const Conv *c, int tile)
{
	return c->sx == 1 ? tile + 2 : 2 * tile - 1;
}

int32_t
winograd_points(const Conv *c, int tile)
{
	return form_of(c, tile)->points;
}

/* ---- Where sums and their points are ---- */

/* Points of the sums of a row, or column, from number `first` on. */
static int
points_of(const Winograd *d, int32_t first)
{
	return first < d->singles ? 1 : 2;
}

/* Words of scratch of a block of so many points. */
static int32_t
block_of(const Winograd *d, int points)
{
	return d->group * (points * d->words + (d->pairs ? 2 : 0));
}

/* Where sum k of a row is, in one whose own sums have so many points. */
static int32_t
column_at(const Winograd *d, int points, int32_t k)
{
	int32_t first = k < d->singles ? k : d->singles;

	return first * block_of(d, points) + (k - first) * block_of(d, 2 * points);
}

static int32_t
row_size(const Winograd *d, int points)
{
	return column_at(d, points, d->sums);
}

/* Where the row of sum k is. */
static int32_t
row_at(const Winograd *d, int32_t k)
{
	int32_t first = k < d->singles ? k : d->singles;

	return first * row_size(d, 1) + (k - first) * row_size(d, 2);
}

/* The place in the order of an axis of value k's point, and of odd input k. */
static int32_t
place_of_value(const Winograd *d, int k)
{
	int32_t last = d->form->values - 1;

	if (d->singles == d->sums)
		return k;
	return k == 0 ? d->singles : k == last ? d->singles + 2 : k - 1;
}

static int32_t
place_of_odd(const Winograd *d, int k)
{
	int32_t last = d->form->tile - 1;

	return k == 0 ? d->singles + 1 : k == last ? d->singles + 3 : d->form->values - 3 + k;
}

/* ---- Constants ---- */

/* The row of G of a place in the order of an axis. */
static const int8_t *
row_of_g(const Winograd *d, int32_t place)
{
	const Form *f = d->form;

	for (int k = 0; k < f->values; k++)
		if (place_of_value(d, k) == place)
			return f->g[k];
	return f->g[f->values];
}

/* G g G^T at two places. */
static uint32_t
transformed_weight(const Winograd *d, int32_t oc, int32_t ic, const int8_t *y, const int8_t *x)
{
	const Conv *c = d->c;
	int32_t sum = 0;

	for (int ky = 0; ky < 3 && oc < c->oc; ky++)
		for (int kx = 0; kx < 3; kx++)
			sum += y[ky] * x[kx] * conv_weight(c, oc, ky, kx, ic);
	return (uint32_t)sum & 0xffff;
}

/* Puts the weights of a pair of channels at two places: to the stream, or one by one. */
static void
put_weights(const Winograd *d, int32_t first, const int8_t *y, const int8_t *x, Stream *s,
            int16_t **at)
{
	for (int32_t word = 0; word < d->words; word++)
		for (int32_t oc = first; oc < first + 2; oc++) {
			int32_t ic = d->pairs ? word / 2 * 4 + word % 2 : word;
			uint32_t low = transformed_weight(d, oc, ic, y, x);

			if (d->pairs)
				stream_put(s, low | transformed_weight(d, oc, ic + 2, y, x) << 16);
			else
				*(*at)++ = (int16_t)low;
		}
}

static void
put_pair(const Winograd *d, int32_t first, Stream *s, int16_t **at)
{
	const Conv *c = d->c;

	for (int32_t oc = first; oc < first + 2; oc++)
		stream_put(s, oc < c->oc ? (uint32_t)d->form->bias * (uint32_t)c->channel[oc].bias : 0);
	scale_put_channels(&d->scale, c, first, 2, s);
	for (int32_t i = 0; i < d->sums; i++)
		for (int32_t j = 0; j < d->sums; j++)
			for (int k = 0; k < points_of(d, i) * points_of(d, j); k++) {
				int32_t y = i < d->singles ? i : 2 * i - d->singles + k % 2;
				int32_t x = j < d->singles ? j : 2 * j - d->singles + k / points_of(d, i);

				put_weights(d, first, row_of_g(d, y), row_of_g(d, x), s, at);
			}
}

static void
make_stream(Winograd *d)
{
	const Conv *c = d->c;
	int32_t pairs = divide_up(c->oc, 2), n, points = d->form->points * d->form->points;
	int16_t *w = NULL, *at;
	Stream s = {0};

	d->header = scale_header_words(&d->scale);
	d->params = scale_is_by_channel(&d->scale) ? 6 : 2;
	d->pair_words = d->params + (d->pairs ? points * d->words * 2 : 0);
	n = d->header + pairs * d->pair_words;
	s.word = ARENA_ARRAY(d->cx.arena, int32_t, n);
	if (!d->pairs)
		w = ARENA_ARRAY(d->cx.arena, int16_t, pairs * points * d->words * 2);
	at = w;
	scale_put_header(&d->scale, c, &s);
	for (int32_t i = 0; i < pairs; i++)
		put_pair(d, 2 * i, &s, &at);
	assert(s.n == n);
	d->stream = d->weights =
		lower_constant(&d->cx, d->pairs ? "weights" : "params", DT_I32, n, s.word);
	if (!d->pairs)
		d->weights = lower_constant(&d->cx, "weights", DT_I16, (int32_t)(at - w), w);
}

/* ---- Inputs ---- */

/* Each operation has a name, so that it can be an instruction of a run
 * (codegen/target/arm_products.h). */
static Expr *
named(Winograd *d, Expr *x)
{
	return loop_let(builder(d), "s", x);
}

static Expr *
add2(Winograd *d, Expr *x, Expr *y)
{
	LBuilder *b = builder(d);

	return named(d, d->pairs ? loop_packed(b, POP_ADD2, x, y, NULL) : loop_add(b, x, y));
}

static Expr *
sub2(Winograd *d, Expr *x, Expr *y)
{
	LBuilder *b = builder(d);

	return named(d, d->pairs ? loop_packed(b, POP_SUB2, x, y, NULL) : loop_sub(b, x, y));
}

static Expr *
twice2(Winograd *d, Expr *x)
{
	return add2(d, x, x);
}

/* B^T of six values, with two lanes each where there are pairs. */
static void
transform_six(Winograd *d, Expr *const *x, Expr **y)
{
	Expr *p = sub2(d, x[4], x[2]), *q, *even, *odd;

	y[0] = add2(d, twice2(d, twice2(d, sub2(d, x[0], x[2]))), p);
	even = sub2(d, x[4], twice2(d, twice2(d, x[2])));
	q = twice2(d, sub2(d, x[3], x[1]));
	y[3] = add2(d, p, q);
	y[4] = sub2(d, p, q);
	odd = sub2(d, x[3], twice2(d, twice2(d, x[1])));
	y[1] = add2(d, even, odd);
	y[2] = sub2(d, even, odd);
	y[5] = sub2(d, sub2(d, x[5], x[3]), twice2(d, q));
}

static void
transform_five(Winograd *d, Expr *const *x, Expr **y)
{
	Expr *p = sub2(d, x[3], x[1]), *t = sub2(d, x[3], x[2]);

	y[0] = add2(d, twice2(d, sub2(d, x[0], x[2])), p);
	y[1] = sub2(d, t, twice2(d, x[1]));
	y[2] = add2(d, t, twice2(d, sub2(d, x[1], x[2])));
	y[3] = p;
	y[4] = sub2(d, sub2(d, x[4], x[2]), twice2(d, p));
}

/* B^T of as many values as the form has. */
static void
transform_input(Winograd *d, Expr *const *x, Expr **y)
{
	int n = d->form->values;

	if (n == 6) {
		transform_six(d, x, y);
	} else if (n == 5) {
		transform_five(d, x, y);
	} else if (n == 4) {
		y[0] = sub2(d, x[0], x[2]);
		y[1] = add2(d, x[1], x[2]);
		y[2] = sub2(d, x[2], x[1]);
		y[3] = sub2(d, x[3], x[1]);
	} else {
		y[0] = sub2(d, x[0], x[1]);
		y[1] = x[1];
		y[2] = sub2(d, x[2], x[1]);
	}
}

/* A line of inputs: element k is at from[at + k * step]. */
typedef struct {
	LBuf *buf;
	Expr *at;
	int32_t step;
	bool is_packed; /* four bytes, of which those that `half` takes are wanted */
	POp half;
} Inputs;

static Expr *
line_value(Winograd *d, const Inputs *l, int32_t k)
{
	LBuilder *b = builder(d);
	Expr *x = loop_load(b, l->buf, loop_add(b, l->at, loop_idx(b, k * l->step)));

	if (l->buf->elem != DT_I32)
		x = loop_cvt(b, DT_I32, x);
	x = loop_let(b, "d", x);
	return l->is_packed ? loop_let(b, "half", loop_packed(b, l->half, x, NULL, NULL)) : x;
}

/* Transforms a line: what belongs to a place of its axis goes to[at + place[that]]. */
static void
transform_line(Winograd *d, const Inputs *l, LBuf *to, Expr *at, const int32_t *place)
{
	LBuilder *b = builder(d);
	const Form *f = d->form;
	int odd = f->points - f->values;
	Expr *x[MOST_POINTS] = {0}, *y[MOST_POINTS] = {0};

	for (int k = 0; k < f->values; k++)
		x[k] = line_value(d, l, k * f->stride);
	for (int k = 0; k < odd; k++)
		y[f->values + k] = line_value(d, l, 2 * k + 1);
	transform_input(d, x, y);
	for (int k = 0; k < f->points; k++) {
		int32_t at_place = place[k < f->values ? place_of_value(d, k)
		                                       : place_of_odd(d, k - f->values)];

		loop_store_cvt(b, to, loop_add(b, at, loop_idx(b, at_place)), y[k]);
	}
}

/* The columns of a row of tiles: of a channel, or two of four. */
static void
transform_columns(Winograd *d, Expr *ty, Expr *quad, POp half)
{
	LBuilder *b = builder(d);
	int32_t pixel = d->pairs ? d->c->ic / 4 : d->c->ic, row = d->rows.row_units;
	int32_t place[MOST_POINTS];
	Expr *column = loop_for(b, "column", 0, d->width), *at;
	Inputs l = {.buf = d->rows.buf, .step = row, .is_packed = d->pairs, .half = half};

	for (int32_t i = 0; i < d->form->points; i++)
		place[i] = i * d->width;
	at = loop_add(b, loop_affine(b, column, pixel, 0), quad);
	at = loop_add(b, at, loop_affine(b, ty, d->form->tile * d->form->stride * row, 0));
	l.at = loop_let(b, "at", at);
	transform_line(d, &l, d->columns, column, place);
	loop_end(b);
}

/* The rows of a tile from number `first` on that are made in `count` places each. */
static void
transform_rows(Winograd *d, Expr *tx, Expr *to, int32_t first, int32_t count, int points)
{
	LBuilder *b = builder(d);
	int32_t ahead = d->form->tile * d->form->stride, place[MOST_POINTS];
	int depth = b->depth;
	Expr *i = lower_for(&d->cx, "i", count), *q = lower_for(&d->cx, "q", points), *from;
	Inputs l = {.buf = d->columns, .step = 1};

	for (int32_t k = 0; k < d->singles; k++)
		place[k] = column_at(d, points, k);
	for (int32_t k = d->singles; k < d->form->points; k++)
		place[k] = column_at(d, points, d->singles + (k - d->singles) / 2) +
		           (k - d->singles) % 2 * points * d->words * d->group;
	from = loop_add(b, loop_affine(b, i, points * d->width, first * d->width),
	                loop_affine(b, q, d->width, 0));
	l.at = loop_let(b, "from", loop_add(b, from, loop_affine(b, tx, ahead, 0)));
	to = loop_add(b, to, loop_affine(b, i, row_size(d, points), row_at(d, first)));
	to = loop_let(b, "to_i", loop_add(b, to, loop_affine(b, q, d->words * d->group, 0)));
	transform_line(d, &l, d->tiles, to, place);
	lower_end_to(&d->cx, depth);
}

/* One tile: from columns to its place among the tiles. */
static void
transform_tile(Winograd *d, Expr *tile, Expr *tx, Expr *word)
{
	LBuilder *b = builder(d);
	Expr *group = loop_op2(b, KOP_DIV, tile, loop_idx(b, d->group));
	Expr *to = loop_affine(b, group, d->group_size, 0);

	to = loop_add(b, to, loop_op2(b, KOP_REM, tile, loop_idx(b, d->group)));
	to = loop_add(b, to, loop_affine(b, word, d->group, 0));
	to = loop_let(b, "to", to);
	transform_rows(d, tx, to, 0, d->singles, 1);
	if (d->singles < d->sums)
		transform_rows(d, tx, to, d->singles, DOUBLES, 2);
}

/* All tiles of a strip. */
static void
transform_strip(Winograd *d)
{
	LBuilder *b = builder(d);
	int depth = b->depth;
	int32_t pixel = d->pairs ? d->c->ic / 4 : d->c->ic, halves = d->pairs ? 2 : 1;
	Expr *ty = lower_for(&d->cx, "ty", d->tile_rows), *quad, *tx;

	quad = lower_for(&d->cx, d->pairs ? "four" : "ic", pixel);
	for (int half = 0; half < halves; half++) {
		Expr *tile;

		transform_columns(d, ty, quad, half ? POP_ODD8 : POP_EVEN8);
		tx = lower_for(&d->cx, "tx", d->tiles_x);
		tile = lower_let(&d->cx, "tile", loop_add(b, loop_affine(b, ty, d->tiles_x, 0), tx));
		transform_tile(d, tile, tx, loop_affine(b, quad, halves, half));
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

/* The first n words of a point. */
static void
add_words(Winograd *d, LVar *sum[MOST_GROUP][2], Expr *w_at, Expr *v_at, int n)
{
	LBuilder *b = builder(d);

	for (int i = 0; i < n; i++) {
		Expr *w[2];

		for (int o = 0; o < 2; o++)
			w[o] = loop_let(b, "wk",
			                loop_load_compute(b, d->weights,
			                                  loop_add(b, w_at, loop_idx(b, 2 * i + o))));
		for (int t = 0; t < d->group; t++) {
			Expr *v = tile_word(d, v_at, i, t);

			for (int o = 0; o < 2; o++)
				add_product(d, sum[t][o], v, w[o]);
			for (int o = 0; o < 2 && d->pairs && d->in_order; o++)
				keep_sum(d, sum[t][o]);
		}
		if (d->pairs && !d->in_order)
			keep_sum(d, sum[0][0]);
	}
}

/* The products of so many words for each of `count` sums. */
static void
sum_blocks(Winograd *d, Expr *w_at, Expr *v_at, Expr *sum_at, int32_t count, int points)
{
	LBuilder *b = builder(d);
	int32_t words = points * d->words, body = d->body;
	int depth = b->depth;
	LVar *sum[MOST_GROUP][2];
	Expr *sums = lower_for(&d->cx, "sums", count), *w, *v, *k, *to;

	w = loop_let(b, "w_point", loop_add(b, w_at, loop_affine(b, sums, 2 * words, 0)));
	v = loop_let(b, "v_point", loop_add(b, v_at, loop_affine(b, sums, block_of(d, points), 0)));
	for (int t = 0; t < d->group; t++)
		for (int o = 0; o < 2; o++)
			sum[t][o] = loop_var(b, "sum", loop_int(b, DT_I32, 0));
	if (words <= body || (words <= 8 && d->pairs)) {
		add_words(d, sum, w, v, words);
	} else {
		k = loop_for_step(b, "k", 0, words, body);
		add_words(d, sum, loop_let(b, "w_k", loop_add(b, w, loop_affine(b, k, 2, 0))),
		          loop_let(b, "v_k", loop_add(b, v, loop_affine(b, k, d->group, 0))), body);
		loop_end(b);
	}
	to = d->pairs ? loop_add(b, v, loop_idx(b, words * d->group))
	              : loop_let(b, "to", loop_add(b, sum_at, loop_affine(b, sums, 2 * d->group, 0)));
	for (int t = 0; t < d->group; t++)
		for (int o = 0; o < 2; o++)
			loop_store(b, d->sum_buf, loop_add(b, to, loop_idx(b, 2 * t + o)),
			           loop_get(b, sum[t][o]));
	lower_end_to(&d->cx, depth);
}

/* Sums of `count` rows from number `first` on. */
static void
sum_rows(Winograd *d, Expr *w_at, Expr *v_at, int32_t first, int32_t count)
{
	LBuilder *b = builder(d);
	int depth = b->depth, points = points_of(d, first);
	int32_t words = 2 * d->words, singles = d->singles, all = singles + 2 * (d->sums - singles);
	int32_t before = first * all;
	Expr *i = lower_for(&d->cx, "row", count), *sum_at;

	w_at = lower_let(&d->cx, "w_row",
	                 loop_add(b, w_at, loop_affine(b, i, points * all * words, before * words)));
	v_at = lower_let(&d->cx, "v_row",
	                 loop_add(b, v_at, loop_affine(b, i, row_size(d, points), row_at(d, first))));
	sum_at = loop_affine(b, i, 2 * d->group * d->sums, 2 * d->group * first * d->sums);
	sum_blocks(d, w_at, v_at, sum_at, singles, points);
	if (singles < d->sums)
		sum_blocks(d, loop_add(b, w_at, loop_idx(b, singles * points * words)),
		           loop_add(b, v_at, loop_idx(b, column_at(d, points, singles))),
		           loop_add(b, sum_at, loop_idx(b, 2 * d->group * singles)), DOUBLES,
		           2 * points);
	lower_end_to(&d->cx, depth);
}

/* All sums for a group of tiles and a pair of channels. */
static void
sum_products(Winograd *d, Expr *w_at, Expr *v_at)
{
	if (d->singles == d->sums) {
		sum_blocks(d, w_at, v_at, loop_idx(builder(d), 0), d->sums * d->sums, 1);
		return;
	}
	sum_rows(d, w_at, v_at, 0, d->singles);
	sum_rows(d, w_at, v_at, d->singles, DOUBLES);
}

/* ---- Outputs ---- */

static Expr *
shift_left(Winograd *d, Expr *x, int n)
{
	LBuilder *b = builder(d);

	return n ? loop_op2(b, KOP_SHL, x, loop_int(b, DT_I32, n)) : x;
}

static Expr *
plus(Winograd *d, Expr *x, Expr *y)
{
	return named(d, loop_add(builder(d), x, y));
}

static Expr *
minus(Winograd *d, Expr *x, Expr *y)
{
	return named(d, loop_sub(builder(d), x, y));
}

/* A^T of the sums of points 1, -1, …, but for late factors. */
static void
transform_points(Winograd *d, Expr *const *m, Expr **y)
{
	const Form *f = d->form;
	Expr *s, *e, *t;

	for (int i = 0; i < f->tile && f->values == 3; i++)
		y[i] = m[0];
	if (f->values == 3)
		return;
	s = plus(d, m[0], m[1]);
	e = minus(d, m[0], m[1]);
	if (f->values == 6) {
		t = plus(d, m[2], m[3]);
		y[0] = minus(d, t, shift_left(d, s, 2));
		y[2] = minus(d, t, s);
		t = minus(d, m[2], m[3]);
		y[1] = minus(d, t, shift_left(d, e, 1));
		y[3] = minus(d, shift_left(d, t, 1), e);
		return;
	}
	for (int i = 0; i < f->tile; i++) {
		y[i] = i % 2 ? e : s;
		if (f->values == 5)
			y[i] = plus(d, y[i], shift_left(d, m[2], i));
	}
}

/* The same with what reaches one output alone: all sums of an axis. */
static void
transform_back(Winograd *d, Expr *const *sum, Expr **y)
{
	const Form *f = d->form;
	bool has_odd = d->singles < d->sums;
	int32_t first = has_odd ? d->singles : 0, last = d->sums - 1, up = f->late ? 1 : 0;

	transform_points(d, has_odd ? sum : sum + 1, y);
	y[0] = plus(d, y[0], shift_left(d, sum[first], up));
	y[f->tile - 1] = plus(d, y[f->tile - 1], shift_left(d, sum[last], up));
	for (int i = 1; i < f->tile - 1 && has_odd; i++)
		y[i] = plus(d, y[i], sum[place_of_odd(d, i)]);
}

/* The power of two that output i of an axis misses. */
static int
late_shift(const Form *f, int i)
{
	return i < f->late ? i : f->late;
}

/* Where a tile's outputs go, and what is known of its channel. */
typedef struct {
	Expr *y_at;        /* of its first pixel */
	Expr *oy, *ox;     /* of the same */
	Expr *channel, *bias_at, *m, *shift;
} Output;

/* Where sum k of column j is in back[]: loads that are put side by side are not to be made
 * loads of two words. */
static int32_t
back_at(const Winograd *d, int32_t j, int32_t k)
{
	return d->in_order ? k * d->form->tile + j : j * d->sums + k;
}

/* Row i of the sums of a tile and channel: to back[]. */
static void
back_row(Winograd *d, const Output *o, Expr *sums, int32_t i)
{
	LBuilder *b = builder(d);
	int points = points_of(d, i);
	int32_t one = d->singles == d->sums ? 1 : 0; /* point 1 */
	Expr *m[MOST_POINTS], *y[MOST_TILE];

	for (int32_t k = 0; k < d->sums; k++) {
		int32_t at = 2 * d->group * (i * d->sums + k);

		if (d->pairs)
			at = row_at(d, i) + column_at(d, points, k) +
			     points_of(d, k) * points * d->words * d->group;
		m[k] = loop_let(b, "mi", loop_load(b, d->sum_buf, loop_add(b, sums, loop_idx(b, at))));
	}
	if (i == one)
		m[one] = plus(d, m[one], loop_let(b, "bias_t", loop_load(b, d->stream, o->bias_at)));
	transform_back(d, m, y);
	for (int j = 0; j < d->form->tile; j++)
		if (late_shift(d->form, j))
			y[j] = named(d, shift_left(d, y[j], late_shift(d->form, j)));
	for (int j = 0; j < d->form->tile; j++)
		loop_store(b, d->back, loop_idx(b, back_at(d, j, i)), y[j]);
}

/* Twice the sum of an output, or the sum, whichever the scale wants. */
static Expr *
undo_factor(Winograd *d, Expr *y, int late)
{
	LBuilder *b = builder(d);
	int shift = d->form->shift - late - (d->scale.twice ? 1 : 0);

	if (d->form->odd != 1)
		y = loop_mul(b, y, loop_int(b, DT_I32, (int32_t)INVERSE_OF_9));
	if (shift < 0)
		return shift_left(d, y, -shift);
	return shift > 0 ? loop_op2(b, KOP_SHR, y, loop_int(b, DT_I32, shift)) : y;
}

static void
store_pixel(Winograd *d, const Output *o, Expr *y_at, Expr *y, int i)
{
	LBuilder *b = builder(d);
	const Conv *c = d->c;
	int32_t rows = d->view.out_h * d->tile_rows * d->form->tile;
	bool may_end = rows - d->form->tile + i >= c->out_h;

	if (may_end)
		loop_if(b, loop_op2(b, KOP_LT, o->oy, loop_idx(b, c->out_h - i)));
	scale_store(&d->cx, &d->scale, loop_add(b, y_at, loop_idx(b, i * c->out_w * c->oc)),
	            o->channel, undo_factor(d, y, late_shift(d->form, i)), o->m, o->shift);
	if (may_end)
		loop_end(b);
}

static void
back_columns(Winograd *d, const Output *o)
{
	LBuilder *b = builder(d);
	const Conv *c = d->c;
	int depth = b->depth, tile = d->form->tile;
	Expr *j = loop_for(b, "j", 0, tile), *from, *m[MOST_POINTS], *y[MOST_TILE], *y_at;

	if (c->out_w % tile != 0)
		loop_if(b, loop_op2(b, KOP_LT, loop_add(b, o->ox, j), loop_idx(b, c->out_w)));
	from = loop_let(b, "back_j", loop_affine(b, j, back_at(d, 1, 0), 0));
	for (int k = 0; k < d->sums; k++)
		m[k] = loop_let(b, "mi", loop_load(b, d->back,
		                                   loop_add(b, from, loop_idx(b, back_at(d, 0, k)))));
	if (d->in_order)
		m[d->sums - 1] = loop_let(b, "last", loop_packed(b, POP_KEEP, m[d->sums - 1], NULL, NULL));
	transform_back(d, m, y);
	y_at = loop_let(b, "y_j", loop_add(b, o->y_at, loop_affine(b, j, c->oc, 0)));
	for (int i = 0; i < tile; i++)
		store_pixel(d, o, y_at, y[i], i);
	lower_end_to(&d->cx, depth);
}

/* A group of tiles, for a pair of channels. */
static void
store_group(Winograd *d, Expr *y_n, Expr *strip, Expr *group, Expr *pair, Expr *p_at)
{
	const Conv *c = d->c;
	LBuilder *b = builder(d);
	int32_t total = d->tiles_x * d->tile_rows, size = d->form->tile;
	int depth = b->depth;
	Expr *t = lower_for(&d->cx, "t", d->group), *tile, *o, *sums, *pixel;
	Output out;

	tile = lower_let(&d->cx, "tile", loop_add(b, loop_affine(b, group, d->group, 0), t));
	if (total % d->group != 0)
		loop_if(b, loop_op2(b, KOP_LT, tile, loop_idx(b, total)));
	out.oy = loop_op2(b, KOP_DIV, tile, loop_idx(b, d->tiles_x));
	out.oy = loop_add(b, loop_affine(b, strip, d->tile_rows * size, 0),
	                  loop_affine(b, out.oy, size, 0));
	out.oy = lower_let(&d->cx, "oy", out.oy);
	out.ox = loop_op2(b, KOP_REM, tile, loop_idx(b, d->tiles_x));
	out.ox = lower_let(&d->cx, "ox", loop_affine(b, out.ox, size, 0));
	o = loop_for(b, "o", 0, 2);
	out.channel = loop_let(b, "oc", loop_add(b, loop_affine(b, pair, 2, 0), o));
	if (c->oc % 2 != 0)
		loop_if(b, loop_op2(b, KOP_LT, out.channel, loop_idx(b, c->oc)));
	pixel = loop_add(b, loop_affine(b, out.oy, c->out_w, 0), out.ox);
	out.y_at = loop_let(b, "y_t", loop_add(b, loop_add(b, y_n, loop_affine(b, pixel, c->oc, 0)),
	                                       out.channel));
	out.bias_at = loop_add(b, p_at, o);
	out.m = out.shift = NULL;
	if (d->scale.fast) {
		Expr *at = d->header ? loop_idx(b, 0) : loop_add(b, p_at, loop_affine(b, o, 2, 2));

		out.m = loop_let(b, "m", loop_load(b, d->stream, at));
		at = loop_add(b, at, loop_idx(b, 1));
		out.shift = loop_let(b, "shift", loop_load(b, d->stream, at));
	}
	sums = d->pairs ? loop_affine(b, group, d->group_size, 0) : loop_idx(b, 0);
	sums = loop_add(b, loop_add(b, sums, loop_affine(b, t, 2, 0)), o);
	sums = loop_let(b, "sums", sums);
	for (int32_t i = 0; i < d->sums; i++)
		back_row(d, &out, sums, i);
	back_columns(d, &out);
	lower_end_to(&d->cx, depth);
}

static void
lower_strip(Winograd *d, Expr *y_n, Expr *strip)
{
	LBuilder *b = builder(d);
	int32_t points = d->form->points * d->form->points;
	Expr *pair = lower_for(&d->cx, "pair", divide_up(d->c->oc, 2)), *group, *p_at, *v_at;
	Expr *w_at;

	p_at = lower_let(&d->cx, "p_pair", loop_affine(b, pair, d->pair_words, d->header));
	group = lower_for(&d->cx, "group", d->groups);
	v_at = lower_let(&d->cx, "v_g", loop_affine(b, group, d->group_size, 0));
	if (d->pairs)
		w_at = loop_add(b, p_at, loop_idx(b, d->params));
	else
		w_at = loop_affine(b, pair, points * d->words * 2, 0);
	sum_products(d, lower_let(&d->cx, "w_pair", w_at), v_at);
	store_group(d, y_n, strip, group, pair, p_at);
}

static void
lower_images(Winograd *d)
{
	const Conv *c = d->c;
	LBuilder *b = builder(d);
	Expr *image, *y_n, *strip;

	rows_begin(&d->cx, &d->rows);
	d->columns = lower_scratch(&d->cx, "columns", DT_I32, d->form->points * d->width);
	d->back = lower_scratch(&d->cx, "back", DT_I32, d->form->tile * d->sums);
	d->tiles = d->sum_buf = lower_scratch(&d->cx, "tiles", d->pairs ? DT_I32 : DT_I16,
	                                      d->groups * d->group_size);
	if (!d->pairs)
		d->sum_buf = lower_scratch(&d->cx, "sums", DT_I32, d->sums * d->sums * 2 * d->group);
	image = lower_for(&d->cx, "n", c->batch);
	y_n = lower_let(&d->cx, "y_n", loop_affine(b, image, c->out_h * c->out_w * c->oc, 0));
	image = lower_let(&d->cx, "x_n", loop_affine(b, image, c->in_h * c->in_w * c->ic, 0));
	strip = lower_for(&d->cx, "strip", d->view.out_h);
	rows_fill(&d->cx, &d->rows, image, strip);
	transform_strip(d);
	lower_strip(d, y_n, strip);
	lower_end_to(&d->cx, 0);
}

/* The strips as windows that are as wide as ever. */
static void
plan_rows(Winograd *d)
{
	const Conv *c = d->c;
	int32_t outputs = d->tile_rows * d->form->tile, columns = d->tiles_x * d->form->tile;

	d->view.kh = (outputs - 1) * c->sy + 3;
	d->view.sy = outputs * c->sy;
	d->view.out_h = divide_up(c->out_h, outputs);
	d->width = (columns - 1) * c->sx + 3;
	d->rows = d->pairs ? rows_plan_bytes(&d->view, columns, 1)
	                   : rows_plan_single(&d->view, columns, 1);
}

LFunc *
winograd_lower(Arena *a, const Conv *c, const WinogradShape *shape)
{
	Winograd d = {.c = c, .form = form_of(c, shape->tile), .view = *c, .pairs = shape->pairs,
	              .in_order = shape->in_order};

	assert(winograd_fits(c, shape->tile) && shape->tiles <= MOST_GROUP);
	d.sums = winograd_sums(c, shape->tile);
	d.singles = c->sx == 1 ? d.sums : d.sums - DOUBLES;
	plan_strips(&d, shape->tiles);
	d.words = d.pairs ? c->ic / 2 : c->ic;
	d.body = shape->body ? shape->body : 4;
	while (d.words % d.body != 0)
		d.body /= 2;
	d.group_size = row_at(&d, d.sums);
	plan_rows(&d);
	lower_begin(&d.cx, a, c->n);
	d.scale = scale_begin(&d.cx, c);
	if (d.pairs)
		scale_use_powers(&d.scale, c);
	if (shape->parts)
		scale_use_parts(&d.scale, c);
	make_stream(&d);
	lower_name_inputs(&d.cx, c->n, (const char *const[]){"x", "w", "bias"});
	lower_images(&d);
	return loop_finish(&d.cx.b);
}
