/*
 * What the lowerings of `trees` share.
 */
#ifndef MCC_IR_OPS_TREES_H
#define MCC_IR_OPS_TREES_H

#include "ir/lower.h"
#include "ir/trees.h"

/* Stores base, or what stands for it, to the row of the result that begins at `row`. */
void trees_store_base(LowerCtx *cx, const Node *n, Expr *row);

/* y with v taken in. */
Expr *trees_take_in(LBuilder *b, TreeAggregate how, Expr *y, Expr *v);

#endif
