#include "passes/compression/weights.h"

#include <math.h>
#include <stdlib.h>

#include "ir/num.h"
#include "passes/compression/cluster.h"
#include "passes/compression/solve.h"

enum {
	EIGHT_BITS = 127,   /* the greatest code; codes are symmetric */
	FEW_CODES = 3,      /* up to here scales are fitted to the codes that were chosen */
	LEAST_COLUMNS = 16  /* of a row that has weights to spare */
};

/* Scales that do not hold the greatest weight are tried down to this part. */
static const double least_part = 0.7, least_part_of_few = 0.25, step = 0.02;

/* Far below any weight, so that a row of zeros has a scale too. */
#define LEAST_SCALE 0x1p-40

/* Codes of powers of 2. */
static const double powers[] = {-64, -32, -16, -8, -4, -2, -1, 0, 1, 2, 4, 8, 16, 32, 64};

static Grid
grid_of(const WeightOptions *o)
{
	int n = o->powers ? (int)(sizeof powers / sizeof *powers) : 0;

	return (Grid){.most = o->most, .n = n, .code = powers};
}

int
weights_bits(const WeightOptions *o)
{
	enum { POWER_BITS = 4 };
	int bits = 1;

	for (int most = o->most; most > 0; most >>= 1)
		bits++;
	bits = o->powers ? POWER_BITS : bits;
	return o->cluster && o->cluster < bits ? o->cluster : bits;
}

static double
error_of(const double *w, size_t n, const Grid *grid, double scale)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++) {
		double e = grid_nearest(grid, w[i] / scale) * scale - w[i];

		sum += e * e;
	}
	return sum;
}

/* The scale that rounds n weights with the least square error. */
static double
best_scale(const double *w, size_t n, const Grid *grid)
{
	double greatest = 0, best, least = HUGE_VAL;
	int most = grid->most;
	double down_to = most < EIGHT_BITS ? least_part_of_few : least_part;

	for (size_t i = 0; i < n; i++)
		greatest = fmax(greatest, fabs(w[i]));
	best = greatest / most;
	for (int i = 0; greatest > 0 && 1 - i * step >= down_to; i++) {
		double scale = greatest / most * (1 - i * step), e = error_of(w, n, grid, scale);

		if (e < least) {
			least = e;
			best = scale;
		}
	}
	return fmax(best, LEAST_SCALE);
}

/* The bias that keeps the mean of a row that becomes `v`: b + W mu0 - V mu. */
static double
matched_bias(const Layer *l, const Moments *m, int32_t row, const float *w, const double *v)
{
	const double *mu = m->mu + (size_t)(row / l->out) * (size_t)l->columns;
	const double *mu0 = m->mu0 + (size_t)(row / l->out) * (size_t)l->columns;
	double b = l->bias ? (double)l->bias[row] : 0;

	for (int32_t j = 0; j < l->columns; j++)
		b += (double)w[j] * mu0[j] - v[j] * mu[j];
	return b;
}

/* ---- A layer whose rows are chosen ---- */

typedef struct {
	const Layer *l;
	const Moments *m;
	const WeightOptions *o;
	const Cut *cut;
	size_t columns;
	const float *w;      /* rows of the float network */
	Problem *problem;    /* by group; NULL: rows are taken as they are */
	double *target;      /* rows as they should be */
	double *start;       /* rows as they are best without rounding */
	bool *keep;          /* by row and column; NULL: all */
	Grid grid;           /* of the codes */
	double *scale;       /* of each row, or of all */
	bool by_row;
	Arena *a;            /* of the work */
} Choice;

bool
weights_can_drop(const Layer *l)
{
	return l->columns >= LEAST_COLUMNS;
}

static bool
drops(const Layer *l, const WeightOptions *o)
{
	return (o->sparsity > 0 || o->of > 0) && weights_can_drop(l);
}

bool
weights_need_moments(const Layer *l, const WeightOptions *o, const Cut *cut)
{
	return l->columns <= SOLVE_MOST_COLUMNS &&
	       (drops(l, o) || cut->drop > 0 || o->cluster > 0 ||
	        (o->most > 0 && o->most < EIGHT_BITS));
}

static const Problem *
problem_of(const Choice *c, int32_t row)
{
	return c->problem ? &c->problem[row / c->l->out] : NULL;
}

/* The problems of all groups, or none of them. */
static void
prepare_problems(Choice *c)
{
	const Layer *l = c->l;
	size_t square = c->columns * c->columns;
	Problem *p = ARENA_ARRAY(c->a, Problem, l->groups + 1);

	if (!c->m->h || c->m->n == 0)
		return;
	for (int32_t g = 0; g < l->groups; g++)
		if (!solve_prepare(&p[g], c->m->h + (size_t)g * square,
		                   c->m->g + (size_t)g * square, l->columns,
		                   drops(l, c->o) || c->cut->drop > 0, c->a))
			return;
	c->problem = p;
}

static void
find_targets(Choice *c)
{
	size_t n = (size_t)c->l->rows * c->columns;

	c->target = ARENA_ARRAY(c->a, double, n + 1);
	for (size_t i = 0; i < n; i++)
		c->target[i] = (double)c->w[i];
	for (int32_t r = 0; r < c->l->rows && c->problem; r++) {
		Arena *scratch = arena_child(c->a);

		solve_target(problem_of(c, r), c->w + (size_t)r * c->columns,
		             c->target + (size_t)r * c->columns, scratch);
		arena_free(scratch);
	}
	c->start = c->target;
}

/* ---- Dropping ---- */

/* Work of finding the best order to drop in, above which columns are judged once. */
static const double most_work = 1e11;

/* A weight that may be dropped. */
typedef struct {
	double loss;
	int32_t row, rank, column; /* rank: among those of the row */
} Candidate;

typedef struct {
	Candidate *v;
	size_t n;
	const int32_t *block; /* of each column; NULL: there is no rule for neighbours */
	const int32_t *most;  /* of each block: how many may go */
} Candidates;

static int
compare_candidates(const void *a, const void *b)
{
	const Candidate *x = a, *y = b;

	if (x->loss != y->loss)
		return x->loss < y->loss ? -1 : 1;
	if (x->row != y->row)
		return x->row < y->row ? -1 : 1;
	return (x->rank > y->rank) - (x->rank < y->rank);
}

/* Blocks of neighbours: `of` input channels at one tap, or as many as there are left. */
static void
find_blocks(const Choice *c, Candidates *all)
{
	int32_t *block = ARENA_ARRAY(c->a, int32_t, c->columns + 1);
	int32_t *most = ARENA_ARRAY(c->a, int32_t, c->columns + 1);
	int32_t taps = c->l->taps;

	for (int32_t j = 0; j < c->l->columns; j++) {
		block[j] = j / taps / c->o->of * taps + j % taps;
		most[block[j]]++;
	}
	for (int32_t b = 0; b < c->l->columns; b++)
		most[b] = most[b] > c->o->keep ? most[b] - c->o->keep : 0;
	all->block = block;
	all->most = most;
}

/* How many weights of a row may go at most. */
static int32_t
most_of_row(const Choice *c)
{
	double part = c->o->of ? 1 : (1 + c->o->sparsity) / 2;

	return (int32_t)ceil(part * (double)c->columns);
}

/* The weights of a row by what each costs alone. */
static void
judge_once(const Choice *c, Candidates *all, int32_t row)
{
	const Problem *p = problem_of(c, row);
	const double *w = c->target + (size_t)row * c->columns;

	for (size_t j = 0; j < c->columns; j++) {
		double weight = p ? fmax(p->inverse[j * c->columns + j], 1e-30) : 1;

		all->v[all->n++] = (Candidate){w[j] * w[j] / weight, row, (int32_t)j, (int32_t)j};
	}
}

static void
judge_in_order(const Choice *c, Candidates *all, int32_t row)
{
	Arena *scratch = arena_child(c->a);
	int32_t *order = ARENA_ARRAY(scratch, int32_t, c->columns + 1);
	double *loss = ARENA_ARRAY(scratch, double, c->columns + 1);
	int32_t n = solve_drop_order(problem_of(c, row), c->target + (size_t)row * c->columns,
	                             all->block, all->most, most_of_row(c), order, loss, scratch);

	for (int32_t k = 0; k < n; k++)
		all->v[all->n++] = (Candidate){loss[k], row, k, order[k]};
	arena_free(scratch);
}

/* Drops this share of the weights, the cheapest ones; neighbours, as many as must go. */
static void
drop_cheapest(Choice *c, const Candidates *all, double share)
{
	size_t n = (size_t)c->l->rows * c->columns, dropped = 0;
	size_t wanted = c->o->of ? n : (size_t)(share * (double)n + 0.5);
	int32_t *gone = ARENA_ARRAY(c->a, int32_t, n + 1); /* by row and block */

	c->keep = ARENA_ARRAY(c->a, bool, n + 1);
	for (size_t i = 0; i < n; i++)
		c->keep[i] = true;
	for (size_t i = 0; i < all->n && dropped < wanted; i++) {
		const Candidate *x = &all->v[i];
		size_t row = (size_t)x->row * c->columns;
		int32_t b = all->block ? all->block[x->column] : 0;

		if (all->block && gone[row + (size_t)b]++ >= all->most[b])
			continue;
		c->keep[row + (size_t)x->column] = false;
		dropped++;
	}
}

/* What the rows become without the weights that were dropped. */
static void
fit_kept(Choice *c)
{
	double *start = ARENA_ARRAY(c->a, double, (size_t)c->l->rows * c->columns + 1);

	for (int32_t r = 0; r < c->l->rows; r++) {
		size_t at = (size_t)r * c->columns;
		Arena *scratch = arena_child(c->a);

		if (c->problem)
			solve_kept(problem_of(c, r), c->target + at, c->keep + at, start + at, scratch);
		for (size_t j = at; j < at + c->columns && !c->problem; j++)
			start[j] = c->keep[j] ? c->target[j] : 0;
		arena_free(scratch);
	}
	c->start = start;
}

static bool
has_time_for_order(const Choice *c)
{
	double d = (double)c->columns;

	return c->problem && (double)c->l->rows * d * d * d / 3 <= most_work;
}

/* All weights in the order in which they should go. */
static Candidates
judge_weights(const Choice *c)
{
	bool in_order = has_time_for_order(c);
	Candidates all = {0};

	if (c->o->of)
		find_blocks(c, &all);
	all.v = ARENA_ARRAY(c->a, Candidate, (size_t)c->l->rows * c->columns + 1);
	for (int32_t r = 0; r < c->l->rows; r++)
		(in_order ? judge_in_order : judge_once)(c, &all, r);
	qsort(all.v, all.n, sizeof *all.v, compare_candidates);
	return all;
}

/* ---- Dropping blocks ---- */

enum { BLOCK = 4 }; /* input channels at one tap, or as many as there are left */

/* The columns of block b; how many there are. */
static int32_t
columns_of_block(const Layer *l, int32_t b, int32_t column[BLOCK])
{
	int32_t first = b / l->taps * BLOCK, tap = b % l->taps, n = 0;

	for (int32_t c = first; c < first + BLOCK && c < l->in; c++)
		column[n++] = c * l->taps + tap;
	return n;
}

static double
loss_of_block(const Choice *c, int32_t row, const int32_t *column, int32_t n)
{
	const double *w = c->target + (size_t)row * c->columns;
	Arena *scratch;
	double loss = 0;

	if (c->problem) {
		scratch = arena_child(c->a);
		loss = solve_loss_without(problem_of(c, row), w, column, n, scratch);
		arena_free(scratch);
		return loss;
	}
	for (int32_t i = 0; i < n; i++)
		loss += w[column[i]] * w[column[i]];
	return loss;
}

/* The blocks of a row, each judged alone. */
static void
judge_blocks_once(const Choice *c, Candidates *all, int32_t row, int32_t each)
{
	int32_t column[BLOCK];

	for (int32_t b = 0; b < each; b++) {
		int32_t count = columns_of_block(c->l, b, column);

		all->v[all->n++] = (Candidate){loss_of_block(c, row, column, count) / count, row, b, b};
	}
}

/* The blocks of a row in the order in which they should go, each judged when those before it
 * are gone and the others have made up for them. */
static void
judge_blocks_in_order(const Choice *c, Candidates *all, int32_t row, int32_t each)
{
	Arena *scratch = arena_child(c->a);
	int32_t *block = ARENA_ARRAY(scratch, int32_t, c->columns + 1), column[BLOCK], n;
	int32_t *order = ARENA_ARRAY(scratch, int32_t, each + 1);
	double *loss = ARENA_ARRAY(scratch, double, each + 1);

	for (int32_t b = 0; b < each; b++)
		for (int32_t k = columns_of_block(c->l, b, column); k-- > 0;)
			block[column[k]] = b;
	n = solve_drop_block_order(problem_of(c, row), c->target + (size_t)row * c->columns, block,
	                           each, (int32_t)ceil((1 + c->o->sparsity) / 2 * each), order, loss,
	                           scratch);
	for (int32_t k = 0; k < n; k++)
		all->v[all->n++] = (Candidate){loss[k], row, k, order[k]};
	arena_free(scratch);
}

/* Drops the blocks of all rows that cost least. */
static void
drop_row_blocks(Choice *c)
{
	const Layer *l = c->l;
	int32_t each = ((l->in - 1) / BLOCK + 1) * l->taps, column[BLOCK];
	size_t n = (size_t)l->rows * c->columns, dropped = 0;
	Candidates all = {.v = ARENA_ARRAY(c->a, Candidate, (size_t)l->rows * (size_t)each + 1)};
	bool in_order = has_time_for_order(c);

	for (int32_t r = 0; r < l->rows; r++)
		(in_order ? judge_blocks_in_order : judge_blocks_once)(c, &all, r, each);
	qsort(all.v, all.n, sizeof *all.v, compare_candidates);
	c->keep = ARENA_ARRAY(c->a, bool, n + 1);
	for (size_t i = 0; i < n; i++)
		c->keep[i] = true;
	for (size_t i = 0; i < all.n && (double)dropped < c->o->sparsity * (double)n; i++) {
		int32_t count = columns_of_block(l, all.v[i].column, column);

		for (int32_t k = 0; k < count; k++)
			c->keep[(size_t)all.v[i].row * c->columns + (size_t)column[k]] = false;
		dropped += (size_t)count;
	}
	fit_kept(c);
}

static void
drop_weights(Choice *c)
{
	Candidates all;

	if (c->o->blocks) {
		drop_row_blocks(c);
		return;
	}
	all = judge_weights(c);

	drop_cheapest(c, &all, c->o->sparsity);
	fit_kept(c);
}

/* ---- Cutting channels ---- */

/* Without moments those go that have the smallest weights. */
static const bool *
choose_channels(const Choice *c)
{
	const Cut *cut = c->cut;
	bool *gone = ARENA_ARRAY(c->a, bool, cut->n + 1);
	BlockReader r = {.d = c->l->columns, .rows = c->l->rows, .w = c->target,
	                 .inverse = c->problem ? c->problem->inverse : NULL, .block = cut->block,
	                 .weight = 1};

	solve_drop_blocks(&r, 1, cut->n, cut->drop, gone, c->a);
	return gone;
}

static void
drop_channels(Choice *c)
{
	const Cut *cut = c->cut;
	size_t n = (size_t)c->l->rows * c->columns;
	const bool *gone = cut->gone ? cut->gone : choose_channels(c);

	c->keep = ARENA_ARRAY(c->a, bool, n + 1);
	for (size_t i = 0; i < n; i++) {
		int32_t block = cut->block[i % c->columns];

		c->keep[i] = block < 0 || !gone[block];
	}
	fit_kept(c);
}

/* ---- Codes ---- */

/* A bias beyond int32, or with 16-bit inputs beyond what their sums may be, would have no
 * code: then the scale must be larger. */
static double
scale_for_bias(double scale, double bias, const Type *x)
{
	double most = x->dtype == DT_I16 ? 0x1p40 : 0x1p30;

	return fmax(scale, fabs(bias) / (double)x->q->scale[0] / most);
}

static double *
scale_of(const Choice *c, int32_t row)
{
	return &c->scale[c->by_row ? row : 0];
}

/* The codes of a row, on its scale, which may become better. */
static void
choose_codes(const Choice *c, int32_t row, bool refit, double *code)
{
	size_t at = (size_t)row * c->columns;
	double *scale = scale_of(c, row);
	Arena *scratch = arena_child(c->a);

	if (c->problem && weights_need_moments(c->l, c->o, c->cut))
		solve_round(problem_of(c, row), c->target + at, c->start + at,
		            c->keep ? c->keep + at : NULL, &c->grid, refit, scale, code, scratch);
	else
		for (size_t j = 0; j < c->columns; j++)
			code[j] = grid_nearest(&c->grid, c->start[at + j] / *scale);
	arena_free(scratch);
}

static double
bias_of(const Layer *l, int32_t row)
{
	return l->bias ? (double)l->bias[row] : 0;
}

/* Rows of zeros get the scale of others: kernels do not take just any factor. */
static void
use_usual_scales(double *scale, int32_t n)
{
	double most = LEAST_SCALE;

	for (int32_t i = 0; i < n; i++)
		most = fmax(most, scale[i]);
	for (int32_t i = 0; i < n; i++)
		if (scale[i] <= LEAST_SCALE)
			scale[i] = most;
}

/* The scale of each row, or one for all. */
static void
choose_scales(Choice *c, const Type *x)
{
	const Layer *l = c->l;
	int32_t n = c->by_row ? l->rows : 1;
	size_t of_each = c->by_row ? c->columns : c->columns * (size_t)l->rows;

	c->scale = ARENA_ARRAY(c->a, double, n + 1);
	for (int32_t i = 0; i < n; i++)
		c->scale[i] = best_scale(c->start + (size_t)i * of_each, of_each, &c->grid);
	use_usual_scales(c->scale, n);
	for (int32_t r = 0; r < l->rows; r++)
		*scale_of(c, r) = scale_for_bias(*scale_of(c, r), bias_of(l, r), x);
}

/* ---- Palettes ---- */

/* The palette for the weights as they are before they are rounded, which count as much as
 * what they meet varies. */
static int
first_palette(const Choice *c, double *color)
{
	Cluster *all = cluster_new(c->o->most, c->a);

	for (int32_t r = 0; r < c->l->rows; r++) {
		const Problem *p = problem_of(c, r);
		double scale = *scale_of(c, r);

		for (size_t j = 0; j < c->columns; j++) {
			size_t at = (size_t)r * c->columns + j;
			double h = p ? p->h[j * c->columns + j] : 1;

			if (!c->keep || c->keep[at])
				cluster_add(all, c->start[at] / scale, scale * scale * h);
		}
	}
	return cluster_find(all, 1 << c->o->cluster, c->keep != NULL, color, c->a);
}

/* The best colors for the codes that all rows choose from the palette. */
static int
better_palette(const Choice *c, double *color)
{
	int n = c->grid.n;
	double *m = ARENA_ARRAY(c->a, double, n * n + 1), *y = ARENA_ARRAY(c->a, double, n + 1);
	double *code = ARENA_ARRAY(c->a, double, c->columns + 1);
	int *number = ARENA_ARRAY(c->a, int, c->columns + 1);

	for (int32_t r = 0; r < c->l->rows; r++) {
		size_t at = (size_t)r * c->columns;
		Arena *scratch = arena_child(c->a);

		choose_codes(c, r, false, code);
		for (size_t j = 0; j < c->columns; j++) {
			number[j] = c->keep && !c->keep[at + j] ? -1 : 0;
			while (number[j] >= 0 && color[number[j]] != code[j])
				number[j]++;
		}
		solve_add_colors(problem_of(c, r), c->target + at, number, n, *scale_of(c, r), m, y,
		                 scratch);
		arena_free(scratch);
	}
	/* A color that nothing has any more stays. */
	for (int i = 0; i < n; i++)
		if (!(m[i * n + i] > 0)) {
			m[i * n + i] = 1;
			y[i] = color[i];
		}
	if (solve_positive(m, y, n, c->a))
		for (int i = 0; i < n; i++)
			color[i] = y[i];
	return cluster_round(color, n, c->o->most, c->keep != NULL);
}

static void
choose_palette(Choice *c)
{
	enum { ROUNDS = 2 };
	double *color = ARENA_ARRAY(c->a, double, CLUSTER_MOST_COLORS);

	c->grid = (Grid){.most = c->o->most, .n = first_palette(c, color), .code = color};
	for (int i = 0; i < ROUNDS && c->problem; i++)
		c->grid.n = better_palette(c, color);
}

/* ---- Layers of codes ---- */

/* The greatest that a sum of products of codes with inputs of 16 bits can be. */
static double
greatest_sum(const double *code, int32_t n)
{
	double sum = 0;

	for (int32_t i = 0; i < n; i++)
		sum += fabs(code[i]);
	return sum * -INT16_MIN;
}

static void
store_biases(NewWeights *out, const double *b, int32_t n, DType t, Arena *a)
{
	void *bias = arena_calloc(a, (size_t)n + 1, (size_t)dtype_info[t].bytes);
	double lo = t == DT_I64 ? -0x1p62 : INT32_MIN, hi = t == DT_I64 ? 0x1p62 : INT32_MAX;

	for (int32_t r = 0; r < n; r++)
		num_store_int(t, bias, (size_t)r, (int64_t)fmin(fmax(rint(b[r]), lo), hi));
	out->bias_type = t;
	out->bias = bias;
}

/* 16-bit inputs have sums of 32 bits where these are sure to be enough, as they are shorter. */
static NewWeights
as_codes(Choice *c, const Type *x, Arena *a)
{
	const Layer *l = c->l;
	bool by_row = layer_row_axis(l) >= 0, refit;
	int32_t n = by_row ? l->rows : 1;
	double *code = ARENA_ARRAY(c->a, double, c->columns + 1);
	float *scales = ARENA_ARRAY(a, float, n + 1);
	int8_t *w = arena_alloc(a, (size_t)l->rows * c->columns + 1);
	double *bias = ARENA_ARRAY(c->a, double, l->rows + 1), most = 0;
	Quant *q = ARENA_NEW(a, Quant);
	NewWeights out = {.type = l->n->in[1]->type, .w = w, .x_scale = (double)x->q->scale[0]};

	c->by_row = by_row;
	c->grid = grid_of(c->o);
	choose_scales(c, x);
	if (c->o->cluster)
		choose_palette(c);
	refit = by_row && (c->o->most <= FEW_CODES || c->o->powers);
	for (int32_t r = 0; r < l->rows; r++) {
		double *s = scale_of(c, r), sum;

		choose_codes(c, r, refit, code);
		*s = scale_for_bias(*s, bias_of(l, r), x);
		scales[by_row ? r : 0] = (float)*s;
		sum = greatest_sum(code, l->columns);
		for (int32_t j = 0; j < l->columns; j++) {
			w[layer_weight(l, r, j)] = (int8_t)code[j];
			code[j] *= (double)(float)*s;
		}
		bias[r] = matched_bias(l, c->m, r, c->w + (size_t)r * c->columns, code) /
		          (out.x_scale * (double)(float)*s);
		most = fmax(most, sum + fabs(bias[r]));
	}
	store_biases(&out, bias, l->rows,
	             x->dtype == DT_I16 && most >= INT32_MAX ? DT_I64 : DT_I32, a);
	*q = (Quant){.axis = by_row ? layer_row_axis(l) : 0, .n = n, .scale = scales};
	q->zero = ARENA_ARRAY(a, int32_t, n + 1);
	out.type.dtype = DT_I8;
	out.type.q = q;
	return out;
}

static NewWeights
as_floats(const Choice *c, Arena *a)
{
	const Layer *l = c->l;
	float *w = ARENA_ARRAY(a, float, (size_t)l->rows * c->columns + 1);
	float *bias = ARENA_ARRAY(a, float, l->rows + 1);

	for (int32_t r = 0; r < l->rows; r++) {
		size_t at = (size_t)r * c->columns;

		for (int32_t j = 0; j < l->columns; j++)
			w[layer_weight(l, r, j)] = (float)c->start[at + (size_t)j];
		bias[r] = (float)matched_bias(l, c->m, r, c->w + at, c->start + at);
	}
	return (NewWeights){.type = l->n->in[1]->type, .w = w, .bias_type = DT_F32, .bias = bias};
}

static double
part_of_zeros(const NewWeights *w)
{
	size_t n = (size_t)type_numel(&w->type), zeros = 0;

	for (size_t i = 0; i < n; i++)
		zeros += w->type.q ? ((const int8_t *)w->w)[i] == 0 : ((const float *)w->w)[i] == 0;
	return n > 0 ? (double)zeros / (double)n : 0;
}

NewWeights
weights_choose(const Layer *l, const Moments *m, const WeightOptions *o, const Cut *cut,
               const Type *x, Arena *a)
{
	Arena *scratch = arena_child(a);
	Choice c = {.l = l, .m = m, .o = o, .cut = cut, .columns = (size_t)l->columns,
	            .a = scratch};
	NewWeights out;

	c.w = layer_matrix(l, scratch);
	if (weights_need_moments(l, o, cut))
		prepare_problems(&c);
	find_targets(&c);
	if (cut->drop > 0)
		drop_channels(&c);
	else if (drops(l, o))
		drop_weights(&c);
	out = o->most ? as_codes(&c, x, a) : as_floats(&c, a);
	out.sparsity = part_of_zeros(&out);
	arena_free(scratch);
	return out;
}

void
weights_try_shares(const Layer *l, const Moments *m, const double *share, int n,
                   void (*look)(void *user, int k, const float *w, const float *bias),
                   void *user, Arena *a)
{
	Arena *scratch = arena_child(a);
	WeightOptions o = {.sparsity = share[n - 1]};
	Cut no_cut = {0};
	Choice c = {.l = l, .m = m, .o = &o, .cut = &no_cut, .columns = (size_t)l->columns,
	            .a = scratch};
	Candidates all;

	c.w = layer_matrix(l, scratch);
	prepare_problems(&c);
	find_targets(&c);
	all = judge_weights(&c);
	for (int k = 0; k < n; k++) {
		NewWeights w;

		c.a = arena_child(scratch);
		drop_cheapest(&c, &all, share[k]);
		fit_kept(&c);
		w = as_floats(&c, c.a);
		look(user, k, w.w, w.bias);
		arena_free(c.a);
	}
	arena_free(scratch);
}
