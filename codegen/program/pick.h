/*
 * One of several ways for each of a number of things, at the least cost, with a limit on
 * the weight of all together: a multiple-choice knapsack.
 */
#ifndef MCC_CODEGEN_PROGRAM_PICK_H
#define MCC_CODEGEN_PROGRAM_PICK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

/* Not negative; sums of all must fit. */
typedef struct {
	int64_t cost, weight;
} PickWay;

typedef struct {
	int n; /* at least 1 */
	const PickWay *way;
} PickItem;

typedef struct {
	int64_t cost, weight; /* of all that were picked */
	bool optimal;         /* nothing else costs less */
} PickResult;

/* The least weight that can be. */
int64_t pick_least_weight(const PickItem *items, int n);

/*
 * Sets picked[i] to a way of item i; of equal ones to the first.  Optimal unless more than
 * PICK_STATES partial choices would have to be kept.  False when even the lightest ways
 * are too heavy.
 */
bool pick_ways(Arena *scratch, const PickItem *items, int n, int64_t limit, int *picked,
               PickResult *result);

enum { PICK_STATES = 20000 };

#endif
