/*
 * What the lowerings of `trees` share.
 */
#ifndef MCC_IR_OPS_TREES_H
#define MCC_IR_OPS_TREES_H

#include "ir/lower.h"
#include "ir/trees.h"

/* What element k of the row of the result that begins at `row` starts with. */
Expr *trees_base(LowerCtx *cx, const Node *n, Expr *row, Expr *k);

/* Stores base, or what stands for it, to the row of the result that begins at `row`. */
void trees_store_base(LowerCtx *cx, const Node *n, Expr *row);

/* y with v taken in. */
Expr *trees_take_in(LBuilder *b, TreeAggregate how, Expr *y, Expr *v);

/* The lowerings that TreeCode names, but the reference one.  They give the same bits, and
 * each has ensembles that it is not for: see trees_have_tables() and
 * trees_have_branches(). */
void trees_lower_tables(LowerCtx *cx, const Node *n, bool interleaved);
void trees_lower_branches(LowerCtx *cx, const Node *n);

#endif
