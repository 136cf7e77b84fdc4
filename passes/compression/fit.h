/*
 * What shrinking an ensemble does on samples: which trees and leaves are worth keeping,
 * and which values leaves should have.
 */
#ifndef MCC_PASSES_COMPRESSION_FIT_H
#define MCC_PASSES_COMPRESSION_FIT_H

#include "passes/compression/forest.h"
#include "passes/compression/trees.h"

typedef struct {
	Arena *arena;
	Forest *f;
	const TreeSamples *s;
	double *base;    /* by output; sums begin with it */
	double *sum;     /* [n, outputs]: of the ensemble as it was */
	double *target;  /* [n, outputs]: what the sums should be */
	bool shares;     /* the ensemble gives shares of classes */
	bool to_labels;  /* and these are what it is to give */
	int32_t *leaf;   /* [n, trees] as it is now; see fit_walk() */
} Fit;

/* Runs the ensemble on the samples.  A base that is not the same for every row counts as
 * 0. */
void fit_begin(Fit *fit, Arena *a, Forest *f, const TreeSamples *s, const Value *base);

/* Leaves that share of the trees, or of the leaves. */
void fit_select(Fit *fit, double share);
void fit_prune(Fit *fit, double share);

/* Gives leaves better values; returns what held them where they were, or 0 when they
 * stayed. */
double fit_refine(Fit *fit);

/* Compares with the ensemble as it was; values are in units of `step`. */
void fit_measure(Fit *fit, double step, TreeShrinkReport *report);

#endif
