/*
 * Choosing the weights of one output channel (a row), when they may not be what they
 * were: rounded to few codes, or many of them 0.
 *
 * With x the columns that the layer sees in the network compressed so far, x0 the same
 * places in the float network, means mu and mu0, and
 *
 *	H = E[(x - mu)(x - mu)'] + damping,   G = E[(x0 - mu0)(x - mu)'],
 *
 * a row w of the float network asks for the target
 *
 *	t = w + w (G - H) H^-1,
 *
 * which undoes as well as can be what earlier layers got wrong, and every choice v below
 * has a small (v - t) H (v - t)'.  The means are the bias's business (weights.c).
 *
 * The methods are GPTQ (Frantar and others, 2022), coordinate descent on codes, and
 * Optimal Brain Surgeon with least squares on what is kept (Frantar and others, 2022,
 * "Optimal Brain Compression").
 */
#ifndef MCC_PASSES_COMPRESSION_SOLVE_H
#define MCC_PASSES_COMPRESSION_SOLVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

/* The codes that weights may have: all whole numbers from -most to most, or n of them. */
typedef struct {
	int most;
	int n;              /* 0: all */
	const double *code; /* ascending */
} Grid;

double grid_nearest(const Grid *g, double x);

/* Wider layers than this are not worth their moments. */
enum { SOLVE_MOST_COLUMNS = 2048 };

/* What the rows of one group share. */
typedef struct {
	int32_t d;
	double *h;      /* d by d: H with its damping */
	double *lower;  /* d by d: L of H = L L' */
	double *shift;  /* d by d: G - H, by column of x0 */
	int32_t *order; /* columns, those with the greatest variance first */
	double *upper;  /* d by d in that order: U of H^-1 = U' U */
	double *inverse; /* d by d: H^-1, when weights are to be dropped */
} Problem;

/* Takes moments as moments_collect() gives them for one group; false when H has no
 * factor even with much damping, so that rows can only be rounded as they are. */
bool solve_prepare(Problem *p, const double *h, const double *g, int32_t d, bool drops,
                   Arena *a);

/* The target of a row. */
void solve_target(const Problem *p, const float *w, double *target, Arena *scratch);

/*
 * Codes of the grid for the row `target` on the scale *scale, 0 where `keep` is
 * false (NULL: nowhere).  `start` is the best row that is not rounded: the target, or with
 * `keep` what solve_kept() gives.  With `refit` the scale is improved too.
 */
void solve_round(const Problem *p, const double *target, const double *start, const bool *keep,
                 const Grid *grid, bool refit, double *scale, double *code, Arena *scratch);

/*
 * Adds what a row says about the best value of each of n colors: with values v, the sum of
 * the rows' errors is v M v' - 2 v y' and something that does not depend on v.  The row is
 * scale * v[color[j]] at column j, or 0 where color[j] is negative.
 */
void solve_add_colors(const Problem *p, const double *target, const int *color, int n,
                      double scale, double *m, double *y, Arena *scratch);

/* x of m x = y for a matrix that is made positive by a part of its diagonal; false when
 * it cannot be. */
bool solve_positive(const double *m, double *y, int32_t n, Arena *scratch);

/*
 * Which of a row's weights to drop, one after the other: order[k] is the k-th of `count`
 * to go, and loss[k] what the error grows by, made to never fall.  With `block`, the
 * number of each column's block, at most most[b] of block b go; the result is how many
 * went.
 */
int32_t solve_drop_order(const Problem *p, const double *target, const int32_t *block,
                         const int32_t *most, int32_t count, int32_t *order, double *loss,
                         Arena *scratch);

/* The same for whole blocks, of up to SOLVE_MOST_BLOCK columns each: block[j] is the number of
 * column j's, of n.  Losses are by column. */
enum { SOLVE_MOST_BLOCK = 8 };
int32_t solve_drop_block_order(const Problem *p, const double *target, const int32_t *block,
                               int32_t n, int32_t count, int32_t *order, double *loss,
                               Arena *scratch);

/* What the error of a row grows by without n of its columns, when the others make up for
 * them. */
double solve_loss_without(const Problem *p, const double *w, const int32_t *column, int32_t n,
                          Arena *scratch);

/* A layer, or a group of one, that can do without blocks of its columns. */
typedef struct {
	int32_t d, rows;
	const double *inverse; /* d by d: of H; NULL: columns are judged by their weights alone */
	const double *w;       /* rows by d */
	const int32_t *block;  /* the number of each column's; -1: the column stays */
	double weight;         /* of its error, in that of all readers */
} BlockReader;

/*
 * Which blocks of columns `drop` of n to do without in all rows of all readers at once; sets
 * `gone` for those.  Each time the one goes that the other columns make up for best.
 */
void solve_drop_blocks(const BlockReader *reader, int readers, int32_t n, int32_t drop, bool *gone,
                       Arena *scratch);

/* The best weights of a row that is 0 where `keep` is false. */
void solve_kept(const Problem *p, const double *target, const bool *keep, double *w,
                Arena *scratch);

#endif
