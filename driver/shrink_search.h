/*
 * -fprune-trees=auto: how small ensembles of decision trees have to become for a program to
 * fit its budgets.
 *
 * Three ways are tried: integers of fewer bits alone, a growing share of trees left out, and
 * a growing share of leaves, both of the latter with leaves of 8 bits.  Halving finds the
 * first step of each way that fits; of all ways the one that loses least is taken.  Losses
 * are those on the samples that were held out.
 */
#ifndef MCC_DRIVER_SHRINK_SEARCH_H
#define MCC_DRIVER_SHRINK_SEARCH_H

#include "driver/job.h"

/* What shrink_run() is to do to the job's graph, which stays as it is; false: E_BUDGET was
 * reported. */
bool shrink_search(Job *j, TreeShrink *found);

#endif
