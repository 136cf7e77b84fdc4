/*
 * Palettes: which few whole numbers stand best for many.
 */
#ifndef MCC_PASSES_COMPRESSION_CLUSTER_H
#define MCC_PASSES_COMPRESSION_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

/* Numbers from -most to most, and how much each counts, sorted into bins. */
typedef struct Cluster Cluster;

enum { CLUSTER_MOST = 127, CLUSTER_MOST_COLORS = 64 };

Cluster *cluster_new(int most, Arena *a);
void cluster_add(Cluster *c, double x, double weight);

/*
 * The palette of at most n colors with the least sum of weighted square errors when each
 * number gets the nearest one, found exactly: ascending, with a 0 where that is asked for.
 * Gives how many there are.
 */
int cluster_find(const Cluster *c, int n, bool zero, double *color, Arena *scratch);

/* Makes colors whole, ascending and different, with a 0 where that is asked for; gives how
 * many are left. */
int cluster_round(double *color, int n, int most, bool zero);

#endif
