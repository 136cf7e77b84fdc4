/*
 * Ranges of integers: what an expression of the loop IR can be.
 *
 * A range has both ends included.  Values of u64 are taken as their bits in an
 * int64, so a range of them with a negative end says only what the bits are.
 */
#ifndef MCC_IR_LOOP_RANGE_H
#define MCC_IR_LOOP_RANGE_H

#include "ir/loop/loop.h"

typedef struct {
	int64_t lo, hi;
} Range;

/* All values of a type (of a float type: no information). */
Range range_of_type(DType t);

static inline bool
range_within(Range r, Range outer)
{
	return r.lo >= outer.lo && r.hi <= outer.hi;
}

static inline bool
range_is_empty(Range r)
{
	return r.lo > r.hi;
}

Range range_join(Range a, Range b);
Range range_meet(Range a, Range b); /* may be empty */

/*
 * The result of an operation on operands of type `t` in these ranges; `y` is
 * ignored for operators of one operand.  *exact becomes false when the result
 * may wrap around (or, of idx, may overflow); then it is the type's range.
 */
Range range_kop(KOp op, DType t, Range x, Range y, bool *exact);

/* What x can be when the result of `x op y` is in `r` and no operation wraps;
 * nothing is known about an operator that is not handled. */
Range range_first_operand(KOp op, Range r, Range y);
/* The same for y. */
Range range_second_operand(KOp op, Range r, Range x);

/* What x can be when `x op y` holds, for a comparison of type `t`. */
Range range_if_compared(KOp op, DType t, Range x, Range y);

/* The comparison with the opposite result, and the one with swapped operands. */
KOp kop_negated(KOp op);
KOp kop_swapped(KOp op);

/*
 * Proves that every access of `f` is inside its buffer, that idx arithmetic
 * stays in int32, and that idx variables keep their ranges.  `f` has passed all
 * other checks of the verifier.  NULL, or the reason with the statement in *at.
 */
const char *lfunc_check_ranges(const LFunc *f, Arena *a, const Stmt **at);

#endif
