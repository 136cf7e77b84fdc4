/*
 * What the lowerings of `trees` share.
 */
#ifndef MCC_IR_OPS_TREES_H
#define MCC_IR_OPS_TREES_H

#include "ir/lower.h"
#include "ir/ops/trees_keys.h"
#include "ir/trees.h"

/* What element k of the row of the result that begins at `row` starts with. */
Expr *trees_base(LowerCtx *cx, const Node *n, Expr *row, Expr *k);

/* Stores base, or what stands for it, to the row of the result that begins at `row`. */
void trees_store_base(LowerCtx *cx, const Node *n, Expr *row);

/* y with v taken in. */
Expr *trees_take_in(LBuilder *b, TreeAggregate how, Expr *y, Expr *v);

/* Takes the row of `value` that is the leaf's into the row of the result at `row`, from the
 * leaf's target on. */
void trees_add_leaf(LowerCtx *cx, const Node *n, const Trees *t, Expr *row, Expr *leaf);

/* A table of the smallest type that holds the numbers, which are not negative. */
LBuf *trees_int_table(LowerCtx *cx, const char *name, int32_t n, const int32_t *v);
DType trees_small_type(int64_t most);

/* The same of that type, which holds them. */
LBuf *trees_typed_table(LowerCtx *cx, const char *name, DType t, int32_t n, const int32_t *v);

/* A table of numbers of the unsigned type. */
LBuf *trees_number_table(LowerCtx *cx, const char *name, DType type, int32_t n,
                         const uint64_t *v);

/* Whether key[slot[at]] < limit[at]. */
Expr *trees_is_low(LBuilder *b, LBuf *keys, LBuf *slot, LBuf *limit, Expr *at);

/* How many nodes below each node test, itself included; INT32_MAX when there are more. */
const int32_t *trees_tests_below(Arena *a, const Trees *t);

/* More tests than this, counted as often as their subtree is used, are for walk and
 * tables only. */
enum { TREE_MAX_TESTS = 1 << 25 };

/* Whether the test of the node says yes to x, where NaN is a no.  (Not equal says yes.) */
Expr *trees_test(LowerCtx *cx, const Trees *t, int32_t node, Expr *x);

/* The output that the numbers of the tree's leaves go to, or -1 where it depends. */
int32_t trees_only_target(Arena *a, const Trees *t, int32_t tree);

/* ---- Leaves and sums ---- */

/*
 * What a lowering finds behind its walks: places, each with a row of values that goes
 * into the result.  Values are where the places are, or places have numbers of rows,
 * whatever takes less room or, for speed, less time.
 */
typedef struct {
	LowerCtx *cx;
	const Node *n;
	const Trees *t;
	LBuf *value;   /* by place, or by row */
	LBuf *row;     /* of the place; NULL: values are by place */
	LBuf *target;  /* of the row, or of the tree; NULL: 0 */
	bool of_tree;  /* the target is the tree's */
	int32_t period; /* the target is the tree's number modulo this; 0: no */
	Expr *out;     /* where the row of the result begins */
	LVar *sum;     /* the only result, when there is one */
} TreeSum;

/* `row_at` says which row of values each of the places has. */
TreeSum trees_sum(LowerCtx *cx, const Node *n, const Trees *t, const int32_t *row_at,
                  int32_t places, bool fast);
/* Bytes of its tables. */
int64_t trees_sum_bytes(Arena *a, const Trees *t, int32_t places, bool fast);

/* Starts a row of the result, and ends it. */
void trees_sum_begin(TreeSum *s, Expr *out_row);
void trees_sum_end(TreeSum *s);

/* Takes the values of the place into the result; both are idx. */
void trees_sum_add(TreeSum *s, Expr *place, Expr *tree);

/* ---- Lowerings ---- */

/* Whether the way has room for the ensemble, beside what keys ask for. */
bool trees_fit_complete(const Trees *t, int32_t depth);
bool trees_fit_words(const TreeKeys *k, int64_t nodes);
bool trees_fit_vectors(Arena *a, const Trees *t);
bool trees_fit_branches(Arena *a, const Trees *t);

/* `vectors` for many rows, TREE_LANES at a time. */
enum { TREE_LANES = BATCH_ROWS };
bool trees_fit_rows(Arena *a, const Trees *t);
void trees_lower_rows(LowerCtx *cx, const Node *n, const Trees *t);

/* Those that TreeCode names, but the reference one, for ensembles for which
 * trees_have_code() holds. */
void trees_lower_tables(LowerCtx *cx, const Node *n, const Trees *t);
void trees_lower_packed(LowerCtx *cx, const Node *n, const Trees *t);
void trees_lower_interleaved(LowerCtx *cx, const Node *n, const Trees *t);
void trees_lower_complete(LowerCtx *cx, const Node *n, const Trees *t);
void trees_lower_vectors(LowerCtx *cx, const Node *n, const Trees *t);
void trees_lower_branches(LowerCtx *cx, const Node *n, const Trees *t);

#endif
