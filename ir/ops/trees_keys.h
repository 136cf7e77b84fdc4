/*
 * Keys: the features of a row as integers, so that every test of every tree is
 *
 *	key[slot] < limit
 *
 * whatever the mode of its node.  The child that is next then is the low one, else the
 * high one.  Keys are computed once a row, before the walks:
 *
 *  - The bits of a float are made an unsigned integer of the same order.  x < t is
 *    key(x) < key(t), x <= t is key(x) < key(t) + 1, and zeros of either sign are
 *    handled by the choice of the limit, so the order is exactly that of floats.
 *  - What is missing has the least or the greatest key, as the node sends it low or
 *    high.  Where nodes differ in that, the feature has two slots: the walk never asks.
 *  - Sets of categories and equality have slots of their own, with the key 0 for yes
 *    and 1 for no.
 *  - With TREE_KEYS_rank a key is the number of limits of its slot that are not above
 *    it, and limits are numbered: the fewest bits that keep every test as it is.
 *
 * Features that are floats, or short integers, are compared as such also where the trees
 * have doubles: thresholds are rounded to the float that splits floats in the same way.
 */
#ifndef MCC_IR_OPS_TREES_KEYS_H
#define MCC_IR_OPS_TREES_KEYS_H

#include "ir/lower.h"
#include "ir/trees.h"

typedef struct {
	int32_t feature;
	int32_t node;      /* of the test of a set or for equality; -1: the order of numbers */
	bool low;          /* what is missing goes low */
	bool zero_missing;
	int32_t first_cut, cuts; /* with ranks */
} TreeSlot;

typedef struct {
	const Trees *t;
	DType compare; /* what features are converted to */
	DType type;    /* of keys and limits */
	int32_t stride; /* elements from one row of x to the next */
	int32_t nslots;
	TreeSlot *slot; /* those of numbers first, by kind and feature */
	int32_t numbers;
	int32_t *slot_of; /* by node that tests */
	uint64_t *limit;
	int32_t ncuts;
	uint64_t *cut;    /* with ranks, by slot, ascending; of the type `cut_type` */
	DType cut_type;
} TreeKeys;

/* Which child is next when the key is below the limit, and which when not. */
int32_t trees_low(const Trees *t, int32_t node);
int32_t trees_high(const Trees *t, int32_t node);

/* NULL when there can be none; see trees_have_keys(). */
TreeKeys *trees_keys(Arena *a, const Trees *t, TreeKeyKind kind);

/* Bytes of the tables for ranks. */
int64_t trees_keys_bytes(const TreeKeys *k);

/* Comparisons that find a rank among so many cuts. */
int trees_levels(int32_t cuts);

/* A scratch buffer for the keys of `lanes` rows: key s of row i at s * lanes + i. */
LBuf *trees_keys_buffer(LowerCtx *cx, const TreeKeys *k, int32_t lanes);

/* Fills it for the rows from number `first_row` on. */
void trees_fill_keys(LowerCtx *cx, const TreeKeys *k, LBuf *keys, Expr *first_row, int32_t lanes);

#endif
