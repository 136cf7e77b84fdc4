/*
 * Linear forms over idx values, to prove what needs more than ranges:
 *
 *	for %k in max(0, 1 - %i)..3 { … %x[%i + %k - 1] … }
 *
 * Neither %i nor %k alone says that the index is not negative; k - (1 - i) >= 0
 * does.
 */
#ifndef MCC_IR_LOOP_LINEAR_H
#define MCC_IR_LOOP_LINEAR_H

#include "ir/loop/range.h"

enum { LINEAR_TERMS = 8 };

/* k + sum of c[i] * atom[i]; the atoms are different from each other. */
typedef struct {
	int n;
	int64_t c[LINEAR_TERMS];
	const Expr *atom[LINEAR_TERMS];
	int64_t k;
} Linear;

/* Adds c * e; false when it has too many terms or too large numbers.  A constant
 * variable v with def[v->index] stands for that expression. */
bool linear_add(Linear *l, const Expr *e, int64_t c, Expr *const *def);

typedef Range LinearRange(void *user, const Expr *atom);

/* Proves l >= 0 from the ranges of its atoms and from facts, each of which is a
 * form that is known to be >= 0. */
bool linear_is_positive(const Linear *l, const Linear *fact, int nfacts, LinearRange *range,
                        void *user);

#endif
