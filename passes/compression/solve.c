#include "passes/compression/solve.h"

#include <math.h>
#include <string.h>

/* Part of the mean variance that is added to each; the answer hardly depends on it. */
static const double damping = 0.01;
enum { DAMPING_TRIES = 6, SWEEPS = 8, REFITS = 3 };

/* ---- Triangular matrices, stored by rows ---- */

/* L of m = L L' in the lower triangle of `l`; false when m is not positive. */
static bool
factor(const double *m, double *l, int32_t d)
{
	size_t n = (size_t)d;

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j <= i; j++) {
			double sum = m[i * n + j];

			for (size_t k = 0; k < j; k++)
				sum -= l[i * n + k] * l[j * n + k];
			if (i == j && !(sum > 0))
				return false;
			l[i * n + j] = i == j ? sqrt(sum) : sum / l[j * n + j];
		}
	return true;
}

/* x of L L' x = y, in place. */
static void
solve_factored(const double *l, int32_t d, double *y)
{
	size_t n = (size_t)d;

	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < i; k++)
			y[i] -= l[i * n + k] * y[k];
		y[i] /= l[i * n + i];
	}
	for (size_t i = n; i-- > 0;) {
		y[i] /= l[i * n + i];
		for (size_t k = 0; k < i; k++)
			y[k] -= l[i * n + k] * y[i];
	}
}

/* The inverse of the lower triangular l. */
static void
invert_lower(const double *l, double *out, int32_t d)
{
	size_t n = (size_t)d;

	memset(out, 0, n * n * sizeof *out);
	for (size_t i = 0; i < n; i++) {
		double *row = &out[i * n];

		for (size_t k = 0; k < i; k++) {
			double f = l[i * n + k];

			for (size_t j = 0; j <= k; j++)
				row[j] -= f * out[k * n + j];
		}
		for (size_t j = 0; j < i; j++)
			row[j] /= l[i * n + i];
		row[i] = 1 / l[i * n + i];
	}
}

/* The inverse of H. */
static double *
inverse_of(const Problem *p, Arena *a)
{
	size_t n = (size_t)p->d;
	double *l = arena_alloc(a, n * n * sizeof *l), *out = arena_calloc(a, n * n, sizeof *out);

	invert_lower(p->lower, l, p->d);
	for (size_t k = 0; k < n; k++)
		for (size_t i = 0; i <= k; i++)
			for (size_t j = 0; j <= k; j++)
				out[i * n + j] += l[k * n + i] * l[k * n + j];
	return out;
}

/* ---- The problem of a group ---- */

static void
sort_by_variance(Problem *p)
{
	for (int32_t i = 0; i < p->d; i++) {
		int32_t at = i;
		double v = p->h[(size_t)i * (size_t)p->d + (size_t)i];

		for (; at > 0; at--) {
			size_t before = (size_t)p->order[at - 1];

			if (p->h[before * (size_t)p->d + before] >= v)
				break;
			p->order[at] = p->order[at - 1];
		}
		p->order[at] = i;
	}
}

/*
 * U of H^-1 = U' U with the columns in p->order.  With the order turned round, H is L L';
 * turned back that is R R' with an upper triangular R, and U = R^-1.
 */
static bool
find_upper(Problem *p, Arena *scratch)
{
	size_t n = (size_t)p->d;
	double *m = arena_alloc(scratch, n * n * sizeof *m);
	double *l = arena_alloc(scratch, n * n * sizeof *l);

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
			m[i * n + j] = p->h[(size_t)p->order[n - 1 - i] * n +
			                    (size_t)p->order[n - 1 - j]];
	if (!factor(m, l, p->d))
		return false;
	invert_lower(l, m, p->d);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
			p->upper[i * n + j] = m[(n - 1 - i) * n + (n - 1 - j)];
	return true;
}

bool
solve_prepare(Problem *p, const double *h, const double *g, int32_t d, bool drops, Arena *a)
{
	size_t n = (size_t)d;
	Arena *scratch = arena_child(a);
	double mean = 0, more = damping;
	bool ok = false;

	*p = (Problem){.d = d};
	p->h = arena_alloc(a, n * n * sizeof *p->h);
	p->lower = arena_calloc(a, n * n, sizeof *p->lower);
	p->shift = arena_alloc(a, n * n * sizeof *p->shift);
	p->order = ARENA_ARRAY(a, int32_t, n + 1);
	p->upper = arena_alloc(a, n * n * sizeof *p->upper);
	for (size_t i = 0; i < n; i++)
		mean += h[i * n + i] / (double)n;
	for (int i = 0; i < DAMPING_TRIES && !ok; i++, more *= 10) {
		memcpy(p->h, h, n * n * sizeof *h);
		for (size_t k = 0; k < n; k++)
			p->h[k * n + k] += more * mean + 1e-10;
		ok = factor(p->h, p->lower, d);
	}
	for (size_t i = 0; i < n * n; i++)
		p->shift[i] = g[i] - h[i];
	if (ok) {
		sort_by_variance(p);
		ok = find_upper(p, scratch);
	}
	if (ok && drops)
		p->inverse = inverse_of(p, a);
	arena_free(scratch);
	return ok;
}

void
solve_target(const Problem *p, const float *w, double *target, Arena *scratch)
{
	size_t n = (size_t)p->d;
	double *t = ARENA_ARRAY(scratch, double, n + 1);

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
			t[j] += (double)w[i] * p->shift[i * n + j];
	solve_factored(p->lower, p->d, t);
	for (size_t j = 0; j < n; j++)
		target[j] = (double)w[j] + t[j];
}

/* ---- Rounding ---- */

double
grid_nearest(const Grid *g, double x)
{
	int lo = 0, hi = g->n - 1;

	if (g->n == 0)
		return fmin(fmax(rint(x), -g->most), g->most);
	while (hi - lo > 1) {
		int middle = (lo + hi) / 2;

		if (g->code[middle] <= x)
			lo = middle;
		else
			hi = middle;
	}
	return x - g->code[lo] <= g->code[hi] - x ? g->code[lo] : g->code[hi];
}

/* GPTQ: each column is rounded, and those behind it make up for the error. */
static void
round_in_order(const Problem *p, const double *start, const bool *keep, const Grid *grid,
               double scale, double *code, Arena *scratch)
{
	size_t n = (size_t)p->d;
	double *w = ARENA_ARRAY(scratch, double, n + 1);

	for (size_t i = 0; i < n; i++)
		w[i] = start[p->order[i]];
	for (size_t i = 0; i < n; i++) {
		size_t column = (size_t)p->order[i];
		const double *u = &p->upper[i * n];
		double e;

		code[column] = keep && !keep[column] ? 0 : grid_nearest(grid, w[i] / scale);
		e = (w[i] - scale * code[column]) / u[i];
		for (size_t j = i + 1; j < n; j++)
			w[j] -= e * u[j];
	}
}

/* gradient = H (scale * code - target) */
static void
find_gradient(const Problem *p, const double *target, double scale, const double *code,
              double *gradient)
{
	size_t n = (size_t)p->d;

	memset(gradient, 0, n * sizeof *gradient);
	for (size_t i = 0; i < n; i++) {
		double off = scale * code[i] - target[i];

		for (size_t j = 0; j < n && off != 0; j++)
			gradient[j] += off * p->h[i * n + j];
	}
}

/* Moves single codes while that makes the error less. */
static bool
improve_codes(const Problem *p, const bool *keep, const Grid *grid, double scale, double *code,
              double *gradient)
{
	size_t n = (size_t)p->d;
	bool moved = false;

	for (size_t i = 0; i < n; i++) {
		double hii = p->h[i * n + i], to, step;

		if (keep && !keep[i])
			continue;
		to = grid_nearest(grid, code[i] - gradient[i] / (scale * hii));
		step = scale * (to - code[i]);
		if (step == 0 || 2 * step * gradient[i] + step * step * hii >= 0)
			continue;
		code[i] = to;
		moved = true;
		for (size_t j = 0; j < n; j++)
			gradient[j] += step * p->h[i * n + j];
	}
	return moved;
}

/* The scale with the least error for the codes; `scale` where they are all 0. */
static double
best_scale(const Problem *p, const double *target, const double *code, double scale)
{
	size_t n = (size_t)p->d;
	double above = 0, below = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n && code[i] != 0; j++) {
			above += code[i] * p->h[i * n + j] * target[j];
			below += code[i] * p->h[i * n + j] * code[j];
		}
	return below > 0 && above > 0 ? above / below : scale;
}

void
solve_round(const Problem *p, const double *target, const double *start, const bool *keep,
            const Grid *grid, bool refit, double *scale, double *code, Arena *scratch)
{
	double *gradient = ARENA_ARRAY(scratch, double, p->d + 1);

	round_in_order(p, start, keep, grid, *scale, code, scratch);
	for (int fit = 0; fit <= (refit ? REFITS : 0); fit++) {
		if (fit > 0)
			*scale = best_scale(p, target, code, *scale);
		find_gradient(p, target, *scale, code, gradient);
		for (int i = 0; i < SWEEPS; i++)
			if (!improve_codes(p, keep, grid, *scale, code, gradient))
				break;
	}
}

/* ---- Colors ---- */

void
solve_add_colors(const Problem *p, const double *target, const int *color, int n, double scale,
                 double *m, double *y, Arena *scratch)
{
	size_t d = (size_t)p->d;
	double *part = ARENA_ARRAY(scratch, double, n + 1); /* of a row of H, by color */

	for (size_t i = 0; i < d; i++) {
		double pull = 0;

		if (color[i] < 0)
			continue;
		memset(part, 0, (size_t)n * sizeof *part);
		for (size_t j = 0; j < d; j++) {
			pull += p->h[i * d + j] * target[j];
			if (color[j] >= 0)
				part[color[j]] += p->h[i * d + j];
		}
		for (int k = 0; k < n; k++)
			m[color[i] * n + k] += scale * scale * part[k];
		y[color[i]] += scale * pull;
	}
}

bool
solve_positive(const double *m, double *y, int32_t n, Arena *scratch)
{
	size_t size = (size_t)n * (size_t)n;
	double *copy = arena_copy(scratch, m, size * sizeof *m), mean = 0;
	double *l = ARENA_ARRAY(scratch, double, size + 1);

	for (int32_t i = 0; i < n; i++)
		mean += m[i * n + i] / n;
	for (int32_t i = 0; i < n; i++)
		copy[i * n + i] += 1e-6 * mean + 1e-30;
	if (!factor(copy, l, n))
		return false;
	solve_factored(l, n, y);
	return true;
}

/* ---- Dropping ---- */

/* A row from which weights are taken: what is left, and the inverse of its part of H. */
typedef struct {
	int32_t n, live;   /* columns that are held, and of them those that are not gone */
	int32_t *column;
	float *inverse;    /* n by n */
	double *w;
	bool *gone;
} Rest;

static Rest
begin_rest(const Problem *p, const double *target, Arena *scratch)
{
	size_t n = (size_t)p->d;
	Rest r = {.n = p->d, .live = p->d};

	r.column = ARENA_ARRAY(scratch, int32_t, n);
	r.inverse = arena_alloc(scratch, n * n * sizeof *r.inverse);
	r.w = arena_copy(scratch, target, n * sizeof *target);
	r.gone = ARENA_ARRAY(scratch, bool, n);
	for (size_t i = 0; i < n; i++)
		r.column[i] = (int32_t)i;
	for (size_t i = 0; i < n * n; i++)
		r.inverse[i] = (float)p->inverse[i];
	return r;
}

/* Forgets the columns that are gone. */
static void
compact(Rest *r)
{
	size_t n = (size_t)r->n, live = (size_t)r->live, to = 0;

	for (size_t i = 0; i < n; i++) {
		size_t k = 0;

		if (r->gone[i])
			continue;
		for (size_t j = 0; j < n; j++)
			if (!r->gone[j])
				r->inverse[to * live + k++] = r->inverse[i * n + j];
		to++;
	}
	to = 0;
	for (size_t i = 0; i < n; i++)
		if (!r->gone[i]) {
			r->w[to] = r->w[i];
			r->column[to++] = r->column[i];
		}
	r->n = r->live;
	memset(r->gone, 0, n * sizeof *r->gone);
}

/* What the error grows by when column i is dropped. */
static double
loss_of(const Rest *r, int32_t i)
{
	double v = (double)r->inverse[(size_t)i * (size_t)r->n + (size_t)i];

	return r->w[i] * r->w[i] / fmax(v, 1e-30);
}

/* Takes column q out; the others make up for it. */
static void
drop_column(Rest *r, int32_t q)
{
	size_t n = (size_t)r->n, at = (size_t)q;
	const float *row = &r->inverse[at * n];
	float v = fmaxf(row[at], 1e-30f);
	double f = r->w[q] / (double)v;

	for (size_t j = 0; j < n; j++)
		r->w[j] -= f * (double)row[j];
	r->w[q] = 0;
	r->gone[q] = true;
	for (size_t i = 0; i < n; i++) {
		float *to = &r->inverse[i * n];
		float g = to[at] / v;

		if (g == 0 || r->gone[i])
			continue;
		for (size_t j = 0; j < n; j++)
			to[j] -= g * row[j];
	}
	if (--r->live < r->n - r->n / 8)
		compact(r);
}

/* The column that costs least, or -1. */
static int32_t
cheapest(const Rest *r, const int32_t *block, const int32_t *left)
{
	int32_t best = -1;
	double least = HUGE_VAL;

	for (int32_t i = 0; i < r->n; i++) {
		double loss;

		if (r->gone[i] || (block && left[block[r->column[i]]] == 0))
			continue;
		loss = loss_of(r, i);
		if (loss < least) {
			least = loss;
			best = i;
		}
	}
	return best;
}

int32_t
solve_drop_order(const Problem *p, const double *target, const int32_t *block,
                 const int32_t *most, int32_t count, int32_t *order, double *loss, Arena *scratch)
{
	Rest r = begin_rest(p, target, scratch);
	int32_t *left = block ? arena_copy(scratch, most, (size_t)p->d * sizeof *most) : NULL;
	double sofar = 0;

	for (int32_t k = 0; k < count; k++) {
		int32_t q = cheapest(&r, block, left);

		if (q < 0)
			return k;
		sofar = fmax(sofar, loss_of(&r, q));
		order[k] = r.column[q];
		loss[k] = sofar;
		if (block)
			left[block[order[k]]]--;
		drop_column(&r, q);
	}
	return count;
}

/* Where the columns of each block are that is not gone. */
typedef struct {
	int32_t n; /* columns; 0: it is gone */
	int32_t at[SOLVE_MOST_BLOCK];
} Places;

static void
find_places(const Rest *r, const int32_t *block, Places *places, int32_t n)
{
	memset(places, 0, (size_t)n * sizeof *places);
	for (int32_t i = 0; i < r->n; i++) {
		Places *b = &places[block[r->column[i]]];

		if (!r->gone[i])
			b->at[b->n++] = i;
	}
}

/* What each of a block's columns costs when all of them are dropped. */
static double
loss_of_places(const Rest *r, const Places *b)
{
	double m[SOLVE_MOST_BLOCK * SOLVE_MOST_BLOCK] = {0}, y[SOLVE_MOST_BLOCK] = {0};
	double l[SOLVE_MOST_BLOCK * SOLVE_MOST_BLOCK], loss = 0;

	for (int32_t i = 0; i < b->n; i++) {
		y[i] = r->w[b->at[i]];
		for (int32_t j = 0; j < b->n; j++)
			m[i * b->n + j] = (double)r->inverse[(size_t)b->at[i] * (size_t)r->n +
			                                     (size_t)b->at[j]];
		m[i * b->n + i] += 1e-30;
	}
	/* A part of a positive matrix is positive, but for rounding. */
	if (!factor(m, l, b->n))
		return HUGE_VAL;
	solve_factored(l, b->n, y);
	for (int32_t i = 0; i < b->n; i++)
		loss += y[i] * r->w[b->at[i]];
	return loss / b->n;
}

/* Dropping its columns one after the other is dropping the block. */
static void
drop_places(Rest *r, const int32_t *block, int32_t k)
{
	for (int32_t i = 0; i < r->n; i++)
		if (!r->gone[i] && block[r->column[i]] == k) {
			drop_column(r, i);
			i = -1; /* columns may have moved */
		}
}

int32_t
solve_drop_block_order(const Problem *p, const double *target, const int32_t *block, int32_t n,
                       int32_t count, int32_t *order, double *loss, Arena *scratch)
{
	Rest r = begin_rest(p, target, scratch);
	Places *places = ARENA_ARRAY(scratch, Places, n + 1);
	double sofar = 0;

	for (int32_t k = 0; k < count; k++) {
		int32_t best = -1;
		double least = HUGE_VAL;

		find_places(&r, block, places, n);
		for (int32_t b = 0; b < n; b++) {
			double l = places[b].n ? loss_of_places(&r, &places[b]) : HUGE_VAL;

			if (l < least) {
				least = l;
				best = b;
			}
		}
		if (best < 0)
			return k;
		sofar = fmax(sofar, least);
		order[k] = best;
		loss[k] = sofar;
		drop_places(&r, block, best);
	}
	return count;
}

double
solve_loss_without(const Problem *p, const double *w, const int32_t *column, int32_t n,
                   Arena *scratch)
{
	double *m = ARENA_ARRAY(scratch, double, n * n + 1), *y = ARENA_ARRAY(scratch, double, n + 1);
	double loss = 0;

	for (int32_t i = 0; i < n; i++) {
		y[i] = w[column[i]];
		for (int32_t j = 0; j < n; j++)
			m[i * n + j] = p->inverse[(size_t)column[i] * (size_t)p->d + (size_t)column[j]];
	}
	if (!solve_positive(m, y, n, scratch))
		return HUGE_VAL;
	for (int32_t i = 0; i < n; i++)
		loss += y[i] * w[column[i]];
	return loss;
}

/* ---- Dropping blocks of all rows ---- */

/* Work of judging blocks, above which several go at a time. */
static const double most_judging = 2e10;

/* A reader without some of its columns. */
typedef struct {
	size_t d, rows, blocks;
	double *inverse;   /* d by d: of H on what is left, zero elsewhere; or NULL */
	double *w;         /* rows by d */
	size_t *first, *at; /* of each block: its columns are at[first[b]] to at[first[b + 1]] */
	double *m, *l, *y; /* room for one block */
	double weight;
} Blocks;

static Blocks
begin_blocks(const BlockReader *from, int32_t n, Arena *a)
{
	Blocks b = {.d = (size_t)from->d, .rows = (size_t)from->rows, .blocks = (size_t)n,
	            .weight = from->weight};
	size_t widest = 0, used = 0;

	if (from->inverse)
		b.inverse = arena_copy(a, from->inverse, b.d * b.d * sizeof *b.inverse);
	b.w = arena_copy(a, from->w, b.rows * b.d * sizeof *b.w);
	b.first = ARENA_ARRAY(a, size_t, b.blocks + 1);
	b.at = ARENA_ARRAY(a, size_t, b.d + 1);
	for (size_t k = 0; k < b.blocks; k++) {
		b.first[k] = used;
		for (size_t j = 0; j < b.d; j++)
			if (from->block[j] == (int32_t)k)
				b.at[used++] = j;
		widest = used - b.first[k] > widest ? used - b.first[k] : widest;
	}
	b.first[b.blocks] = used;
	b.m = ARENA_ARRAY(a, double, widest * widest + 1);
	b.l = ARENA_ARRAY(a, double, widest * widest + 1);
	b.y = ARENA_ARRAY(a, double, widest + 1);
	return b;
}

/* Factors what the inverse has of a block; its number of columns, 0 where there is no
 * factor. */
static size_t
factor_block(const Blocks *b, size_t k)
{
	size_t n = b->first[k + 1] - b->first[k];
	const size_t *at = &b->at[b->first[k]];

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
			b->m[i * n + j] = b->inverse ? b->inverse[at[i] * b->d + at[j]] : i == j;
	return factor(b->m, b->l, (int32_t)n) ? n : 0;
}

/* b->y becomes the block's part of the inverse's inverse times that of a row. */
static void
solve_block(const Blocks *b, size_t k, size_t n, const double *row)
{
	for (size_t i = 0; i < n; i++)
		b->y[i] = row[b->at[b->first[k] + i]];
	solve_factored(b->l, (int32_t)n, b->y);
}

/* What the error of all rows grows by without block k; nothing where the block does
 * nothing. */
static double
loss_of_block(const Blocks *b, size_t k)
{
	size_t n = factor_block(b, k);
	double sum = 0;

	for (size_t r = 0; r < b->rows && n > 0; r++) {
		const double *row = &b->w[r * b->d];

		solve_block(b, k, n, row);
		for (size_t i = 0; i < n; i++)
			sum += b->y[i] * row[b->at[b->first[k] + i]];
	}
	return b->weight * sum;
}

/* v becomes v less what the columns of block k have in common with it. */
static void
take_block_off(const Blocks *b, size_t k, size_t n, double *v)
{
	solve_block(b, k, n, v);
	for (size_t i = 0; i < n; i++) {
		const double *from = &b->inverse[b->at[b->first[k] + i] * b->d];

		for (size_t j = 0; j < b->d; j++)
			v[j] -= b->y[i] * from[j];
	}
}

static void
drop_block(Blocks *b, size_t k, Arena *scratch)
{
	size_t n = b->inverse ? factor_block(b, k) : 0;
	const size_t *at = &b->at[b->first[k]];
	Blocks old = *b;

	/* The rows of the inverse change while others still need them. */
	if (n > 0)
		old.inverse = arena_copy(scratch, b->inverse, b->d * b->d * sizeof *b->inverse);
	for (size_t r = 0; r < b->rows && n > 0; r++)
		take_block_off(&old, k, n, &b->w[r * b->d]);
	for (size_t i = 0; i < b->d && n > 0; i++)
		take_block_off(&old, k, n, &b->inverse[i * b->d]);
	for (size_t i = 0; i < b->first[k + 1] - b->first[k]; i++) {
		for (size_t r = 0; r < b->rows; r++)
			b->w[r * b->d + at[i]] = 0;
		for (size_t j = 0; j < b->d && b->inverse; j++)
			b->inverse[at[i] * b->d + j] = b->inverse[j * b->d + at[i]] = 0;
	}
}

/* Work of judging all blocks of a reader once. */
static double
work_of(const Blocks *b)
{
	double width = (double)b->d / (double)b->blocks;

	return (double)b->blocks * width * width * (width + (double)b->rows);
}

/* How many blocks go each time they are judged. */
static int32_t
drops_at_once(const Blocks *b, int n, int32_t drop)
{
	double work = 0, rounds;

	for (int i = 0; i < n; i++)
		work += work_of(&b[i]);
	rounds = most_judging / fmax(work, 1);
	return rounds >= drop ? 1 : (int32_t)(drop / fmax(rounds, 1)) + 1;
}

void
solve_drop_blocks(const BlockReader *reader, int readers, int32_t n, int32_t drop, bool *gone,
                  Arena *scratch)
{
	Blocks *b = ARENA_ARRAY(scratch, Blocks, readers + 1);
	double *loss = ARENA_ARRAY(scratch, double, n + 1);
	int32_t at_once;

	for (int i = 0; i < readers; i++)
		b[i] = begin_blocks(&reader[i], n, scratch);
	at_once = drops_at_once(b, readers, drop);
	memset(gone, 0, (size_t)n * sizeof *gone);
	for (int32_t done = 0; done < drop;) {
		for (int32_t k = 0; k < n; k++) {
			loss[k] = gone[k] ? HUGE_VAL : 0;
			for (int i = 0; i < readers && !gone[k]; i++)
				loss[k] += loss_of_block(&b[i], (size_t)k);
		}
		for (int32_t i = 0; i < at_once && done < drop; i++, done++) {
			Arena *copy = arena_child(scratch);
			int32_t best = 0;

			for (int32_t k = 1; k < n; k++)
				best = loss[k] < loss[best] ? k : best;
			for (int r = 0; r < readers; r++)
				drop_block(&b[r], (size_t)best, copy);
			gone[best] = true;
			loss[best] = HUGE_VAL;
			arena_free(copy);
		}
	}
}

void
solve_kept(const Problem *p, const double *target, const bool *keep, double *w, Arena *scratch)
{
	size_t n = (size_t)p->d, kept = 0;
	int32_t *at = ARENA_ARRAY(scratch, int32_t, n);
	double *m, *l, *y;

	for (size_t i = 0; i < n; i++)
		if (keep[i])
			at[kept++] = (int32_t)i;
	m = arena_alloc(scratch, kept * kept * sizeof *m + 1);
	l = arena_alloc(scratch, kept * kept * sizeof *l + 1);
	y = ARENA_ARRAY(scratch, double, kept + 1);
	for (size_t i = 0; i < kept; i++) {
		const double *row = &p->h[(size_t)at[i] * n];

		for (size_t j = 0; j < kept; j++)
			m[i * kept + j] = row[at[j]];
		for (size_t j = 0; j < n; j++)
			y[i] += row[j] * target[j];
	}
	memset(w, 0, n * sizeof *w);
	/* A part of a positive matrix is positive, but for rounding. */
	if (!factor(m, l, (int32_t)kept)) {
		for (size_t i = 0; i < n; i++)
			w[i] = keep[i] ? target[i] : 0;
		return;
	}
	solve_factored(l, (int32_t)kept, y);
	for (size_t i = 0; i < kept; i++)
		w[at[i]] = y[i];
}
