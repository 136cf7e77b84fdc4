/*
 * Smaller ensembles of decision trees that compute nearly the same.
 *
 * In this order, as far as it is asked for:
 *
 *  1. Selection: the trees that together come nearest to the ensemble, chosen one by
 *     one.
 *  2. Pruning by cost complexity: the subtree whose collapse to one leaf costs least for
 *     each leaf that it saves, over all trees, until few enough leaves are left.
 *  3. Refinement of the leaves that are left: the least squares of the ensemble's error on
 *     the samples, held near the values that the leaves have.  How near is chosen on
 *     samples that were held out; when nothing is gained the leaves stay.  They stay too
 *     when whole trees of a forest were selected: then equal leaves take no room.
 *  4. Values of the leaves as integers of 8 or 16 bits with one scale; the ensemble is
 *     then added in integers and scaled once.
 *  5. Thresholds on a grid of 255 or 65,535 points a feature.
 *
 * The first three work on samples and aim at what the ensemble gave, or, where it is a
 * forest that gives shares of classes and labels are known, at the labels.
 */
#ifndef MCC_PASSES_COMPRESSION_TREES_H
#define MCC_PASSES_COMPRESSION_TREES_H

#include <stdbool.h>

#include "base/str.h"
#include "ir/graph.h"

typedef struct {
	double trees;       /* share that selection leaves; 1: all */
	double leaves;      /* share that pruning leaves; 1: all */
	int value_bits;     /* 8, 16, or 0: as they are */
	int threshold_bits; /* likewise */
} TreeShrink;

/* What the ensemble sees.  One sample in five is held out. */
typedef struct {
	int32_t n;             /* 0: there are none */
	const double *x;       /* [n, features] */
	const int64_t *labels; /* numbers of classes, one a sample; NULL: not known */
} TreeSamples;

typedef struct {
	const char *name;      /* of the layer */
	int32_t trees[2], tests[2]; /* before and after */
	int64_t bytes[2];      /* of the smallest tables */
	int32_t samples;       /* on which the rest was measured: those held out, or all when
	                        * there are few; 0: none */
	int32_t same;          /* in which the same class has the greatest sum */
	int32_t right[2];      /* that have the class of their label; -1: no labels */
	double rms, error;     /* of the sums before, and of their difference */
	double ridge;          /* how near the leaves were held; 0: they were not refined */
} TreeShrinkReport;

/* Rewrites the node, an OP_TREES whose results are sums.  The first two steps need
 * samples.  False: an error was reported. */
bool trees_shrink(Graph *g, Node *n, const TreeShrink *how, const TreeSamples *samples,
                  TreeShrinkReport *report, Diag *d);

/* The report as text, and as one JSON object. */
void trees_shrink_report(Str *s, const TreeShrinkReport *r);
void trees_shrink_report_json(Str *s, const TreeShrinkReport *r);

#endif
