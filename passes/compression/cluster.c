#include "passes/compression/cluster.h"

#include <assert.h>
#include <math.h>

enum { FINE = 8, CENTERS = 2 * CLUSTER_MOST + 1, BINS = FINE * (CENTERS - 1) + 1 };

/* Sums over what lies below a bin: of weights, and those times numbers and squares. */
typedef struct {
	double w, x, xx;
} Below;

struct Cluster {
	int most;
	Below bin[BINS + 1]; /* not yet sums over those below */
};

Cluster *
cluster_new(int most, Arena *a)
{
	Cluster *c = ARENA_NEW(a, Cluster);

	assert(most <= CLUSTER_MOST);
	c->most = most;
	return c;
}

void
cluster_add(Cluster *c, double x, double weight)
{
	Below *b;

	x = fmin(fmax(x, -c->most), c->most);
	b = &c->bin[(int)rint(x * (double)FINE) + CLUSTER_MOST * FINE];
	b->w += weight;
	b->x += weight * x;
	b->xx += weight * x * x;
}

/* The error of what lies in bins from `first` to before `last` when it becomes `color`. */
static double
error_of(const Below *below, int first, int last, double color)
{
	double w = below[last].w - below[first].w, x = below[last].x - below[first].x;
	double xx = below[last].xx - below[first].xx;

	return fmax(xx - 2 * color * x + color * color * w, 0);
}

/* The same of what lies between two colors that are neighbours. */
static double
error_between(const Below *below, int i, int k)
{
	int middle = (i + k) * FINE / 2;

	return error_of(below, i * FINE, middle, i - CLUSTER_MOST) +
	       error_of(below, middle, k * FINE, k - CLUSTER_MOST);
}

/*
 * Centers are numbers from 0 to CENTERS - 1.  least[n][k] is the error of all below center
 * k when that is the n-th color, and from[n][k] the color before it.
 */
typedef struct {
	Below below[BINS + 2];
	double least[CLUSTER_MOST_COLORS][CENTERS];
	int from[CLUSTER_MOST_COLORS][CENTERS];
} Search;

static void
extend(Search *s, int n, int lo, int k, bool zero)
{
	s->least[n][k] = HUGE_VAL;
	for (int i = lo; i < k; i++) {
		double e;

		if (zero && i < CLUSTER_MOST && k > CLUSTER_MOST)
			continue;
		e = s->least[n - 1][i] + error_between(s->below, i, k);
		if (e < s->least[n][k]) {
			s->least[n][k] = e;
			s->from[n][k] = i;
		}
	}
}

int
cluster_find(const Cluster *c, int n, bool zero, double *color, Arena *scratch)
{
	Search *s = ARENA_NEW(scratch, Search);
	int lo = CLUSTER_MOST - c->most, hi = CLUSTER_MOST + c->most, best = lo, last = 0;
	double least = HUGE_VAL;

	assert(n >= 1 && n <= CLUSTER_MOST_COLORS);
	for (int i = 0; i < BINS; i++)
		s->below[i + 1] = (Below){s->below[i].w + c->bin[i].w, s->below[i].x + c->bin[i].x,
		                          s->below[i].xx + c->bin[i].xx};
	for (int k = 0; k < n; k++)
		for (int i = lo; i <= hi; i++) {
			double e;

			if (k > 0)
				extend(s, k, lo, i, zero);
			else
				s->least[0][i] = zero && i > CLUSTER_MOST
				                         ? HUGE_VAL
				                         : error_of(s->below, 0, i * FINE,
				                                    i - CLUSTER_MOST);
			e = s->least[k][i] + error_of(s->below, i * FINE, BINS, i - CLUSTER_MOST);
			if (e < least && !(zero && i < CLUSTER_MOST)) {
				least = e;
				best = i;
				last = k;
			}
		}
	for (int k = last; k >= 0; k--) {
		color[k] = best - CLUSTER_MOST;
		best = s->from[k][best];
	}
	return last + 1;
}

int
cluster_round(double *color, int n, int most, bool zero)
{
	int kept = 0, nearest = 0;

	for (int i = 0; i < n; i++) {
		color[i] = fmin(fmax(rint(color[i]), -most), most);
		if (fabs(color[i]) < fabs(color[nearest]))
			nearest = i;
	}
	if (zero)
		color[nearest] = 0;
	for (int i = 1; i < n; i++)
		for (int k = i; k > 0 && color[k] < color[k - 1]; k--) {
			double swap = color[k];

			color[k] = color[k - 1];
			color[k - 1] = swap;
		}
	for (int i = 0; i < n; i++)
		if (i == 0 || color[i] != color[kept - 1])
			color[kept++] = color[i];
	return kept;
}
