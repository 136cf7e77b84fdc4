/*
 * Small scalar computations that operators share.
 */
#ifndef MCC_IR_OPS_SCALAR_H
#define MCC_IR_OPS_SCALAR_H

#include "ir/loop/loop.h"

/* loop_let() where it is of use: not for variables and constants. */
Expr *scalar_named(LBuilder *b, const char *name, Expr *x);

/* The constant v of the type of x. */
Expr *scalar_number(LBuilder *b, const Expr *x, double v);

/* x op v, for comparisons. */
Expr *scalar_compare(LBuilder *b, KOp op, Expr *x, double v);

Expr *scalar_div(LBuilder *b, Expr *x, Expr *y);

/* min(max(x, lo), hi); infinite bounds cost nothing, NaN stays. */
Expr *scalar_clamp(LBuilder *b, Expr *x, double lo, double hi);

/* The smaller and the greater one, NaN when one of them is; x should be cheap to
 * evaluate.  Of bools: and, or. */
Expr *scalar_min(LBuilder *b, Expr *x, Expr *y);
Expr *scalar_max(LBuilder *b, Expr *x, Expr *y);

/* The least and greatest value of an element type, in its compute type. */
Expr *scalar_least(LBuilder *b, DType t);
Expr *scalar_greatest(LBuilder *b, DType t);

#endif
