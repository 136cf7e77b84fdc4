/*
 * What is known about integers without knowing variables: as much as compilers
 * find out when they warn.
 */
#ifndef MCC_CODEGEN_C_RANGE_H
#define MCC_CODEGEN_C_RANGE_H

#include "ir/loop/loop.h"

/* Both ends included.  INT64_MAX stands for all that is larger, too (u64). */
typedef struct {
	int64_t lo, hi;
} CRange;

/* The values that an expression of an integer type, bool or idx can have. */
CRange c_range(const Expr *e);

/* The result of a comparison when it is always the same, else -1: compilers warn
 * about many of these. */
int c_decided(const Expr *e);

/* Whether an integer expression cannot be 0, as far as compilers see that. */
bool c_never_zero(const Expr *e);

#endif
