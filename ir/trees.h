/*
 * Ensembles of decision trees: what the operator `trees` means, and how to make one.
 *
 * A node of a tree looks at one feature x of the row, converted to the type of the
 * thresholds:
 *
 *  - a NaN (and with TREE_ZERO_MISSING any |x| <= TREE_ZERO) is missing and goes on at
 *    `missing`, whatever the test says of it;
 *  - otherwise the test decides between `yes` and `no`;
 *  - a leaf ends the walk.  It names a row of `value`; the row's elements go to the
 *    outputs [target, target + width) of the row of the result.
 *
 * The result begins with `base` and takes in the leaves in the order of the trees,
 * with one rounding each: with TREES_sum y + v, with TREES_min v < y ? v : y, with
 * TREES_max y < v ? v : y.
 *
 * The operator's inputs, of which all but x and base are constants:
 *
 *	x          [.., F]     numbers
 *	feature    i32[n]      below F; of leaves anything
 *	threshold  f32|f64[n]  of set tests the number of a set; of leaves anything
 *	yes        i32[n]      greater than the node's own number; of leaves the row of value
 *	no         i32[n]      likewise; of leaves anything
 *	missing    i32[n]      likewise
 *	mode       u8[n]       a TreeMode, perhaps with TREE_ZERO_MISSING
 *	root       i32[t]      where the trees begin
 *	value      [l, width]  f32, f64, i32, i16 or i8; the result is of their compute type
 *	target     i32[l]      absent: 0
 *	base       [K] for every row, or as the result; absent: 0, or the neutral element
 *	set_start  i32[s + 1]  the words of set i are [set_start[i], set_start[i + 1])
 *	set_word   u32[w]      bit c % 32 of word c / 32: c is in the set
 *
 * Since children come behind their parents every walk ends.
 */
#ifndef MCC_IR_TREES_H
#define MCC_IR_TREES_H

#include <stdbool.h>
#include <stdint.h>

#include "ir/graph.h"

/* The inputs of the operator by number. */
enum {
	TREES_X,
	TREES_FEATURE,
	TREES_THRESHOLD,
	TREES_YES,
	TREES_NO,
	TREES_MISSING,
	TREES_MODE,
	TREES_ROOT,
	TREES_VALUE,
	TREES_TARGET,
	TREES_BASE,
	TREES_SET_START,
	TREES_SET_WORD,
	TREES_INPUTS
};

/* What a node does.  The set tests differ in what is in a set: numbers that are
 * integers; all numbers by their largest integer below; by what casting to int gives. */
typedef enum {
	TREE_LEAF,
	TREE_LE, /* x <= threshold */
	TREE_LT,
	TREE_GE,
	TREE_GT,
	TREE_EQ,
	TREE_NE,
	TREE_IN_EXACT,
	TREE_IN_FLOOR,
	TREE_IN_TRUNC,
	TREE_MODE_COUNT
} TreeMode;

/* Added to a mode: zero is missing too. */
enum { TREE_ZERO_MISSING = 0x10, TREE_MODE_MASK = 0x0f };
#define TREE_ZERO 1.0000000180025095e-35 /* 1e-35f, as LightGBM has it */

static inline bool
tree_mode_is_set(TreeMode m)
{
	return m >= TREE_IN_EXACT;
}

/* Elements of one set: bits in words of 32. */
enum { TREE_MAX_SET = 1 << 24 };

/* ---- Making one ---- */

/* A node as a file has it: numbers of nodes are those of the file's tree. */
typedef struct {
	TreeMode mode;
	bool zero_missing;
	int32_t feature;
	double threshold;
	int32_t yes, no, missing; /* missing may be yes, no, or a node of its own */
	int32_t set;              /* set tests: from ensemble_set() */
	int32_t leaf;             /* leaves: from ensemble_leaf() */
	double weight;            /* how often it is reached, in any unit; 0: not known */
} TreeNode;

typedef struct Ensemble Ensemble;

/*
 * Nothing yet.  `decide` is the type of the thresholds, f32 or f64, to which they are
 * rounded; `sum` that of values and result.  Leaves give `width` values; there are
 * `outputs` numbers in a row of the result and `features` in one of the input.
 */
Ensemble *ensemble_new(Arena *a, DType decide, DType sum, int32_t features, int32_t outputs,
                       int32_t width);

/* A row of values for leaves, for the outputs from `target` on; leaves may share it.
 * Equal rows are kept once. */
int32_t ensemble_leaf(Ensemble *e, const double *values, int32_t target);

/* A set by its bits; nothing behind the last word is in it. */
int32_t ensemble_set(Ensemble *e, const uint32_t *word, int32_t nwords);

/*
 * Adds a tree.  Where weights are known, the likely child of a node becomes `yes`, by the
 * opposite test if need be, so that conditions have the cold path last.  The nodes come from a foreign file: numbers that are out of range, a
 * threshold that is NaN and a node that is reached twice (so every cycle) are reported
 * at `loc` as node i of `what`, for example "tree 3".  Nodes that are not reached do not
 * matter.
 */
bool ensemble_tree(Ensemble *e, const TreeNode *node, int32_t n, int32_t root, const char *what,
                   const Loc *loc, Diag *d);

/* The same for several trees of one array; no two may share a node. */
bool ensemble_trees(Ensemble *e, const TreeNode *node, int32_t n, const int32_t *root,
                    int32_t nroots, const char *what, const Loc *loc, Diag *d);

/* The operator, without types of its outputs, at the end of the graph; `base` may be
 * NULL.  An ensemble without trees gives base alone. */
Node *ensemble_finish(Ensemble *e, Graph *g, Value *x, Value *base, TreeAggregate aggregate,
                      const char *out_name);

/* ---- Looking at one ---- */

/* The constants of a node of the graph. */
typedef struct {
	int32_t nodes, trees, leaves, width, outputs, features, sets, words;
	int32_t rows;  /* of x */
	DType x_type;  /* its elements */
	TreeKeyKind keys; /* attributes of the node */
	TreeAggregate aggregate;
	const int32_t *feature, *yes, *no, *missing, *root;
	const int32_t *target; /* NULL: 0 */
	const uint8_t *mode;
	const Value *threshold, *value; /* value_float() gives an element */
	const int32_t *set_start;       /* NULL: no sets */
	const uint32_t *set_word;
	bool has_mode[TREE_MODE_COUNT];
	bool has_zero_missing;
} Trees;

Trees trees_of(const Node *n);

/* How many nodes the longest walk visits, the leaf not counted; one number a tree in
 * `depth` unless that is NULL. */
int32_t trees_depth(Arena *a, const Trees *t, int32_t *depth);

/*
 * How the operator can be computed: its attribute `code` says which way is taken.  All
 * give the same bits.
 *
 *	walk         the reference lowering, over the constants as they are
 *	tables       a loop over compact tables, in which equal subtrees are one
 *	packed       a loop over trees in preorder, without numbers of children: the smallest
 *	interleaved  tables, several trees at a time without branches that depend on data
 *	complete     trees of one depth, several at a time, without numbers of children
 *	vectors      for each tree a set of leaves that can be the one, as bits: all tests
 *	             are made, each takes leaves out.  From TREE_VECTOR_ROWS rows on these
 *	             are side by side, each with the number of its first leaf instead
 *	branches     nested conditions
 *
 * All but walk compare keys (ir/ops/trees_keys.h): integers that have the order of
 * floats, or ranks among the thresholds of a feature, as the attribute `keys` says;
 * branches may also compare floats.
 */

enum { TREE_VECTOR_ROWS = 8 };

/* Whether there can be keys: nodes have no third child, and not too many of them test
 * sets or for equality. */
bool trees_have_keys(const Trees *t);

/* Whether the way is possible for the ensemble. */
bool trees_have_code(Arena *a, const Trees *t, TreeCode code, TreeKeyKind keys);

/* Whether many rows can be done side by side, as NAME_run_batch does (the attribute
 * `batch`; node_lower_rows()). */
bool trees_have_many_rows(Arena *a, const Trees *t);

/* What a way takes. */
typedef struct {
	int64_t bytes; /* of constants, and of code where that depends on the ensemble */
	int64_t scratch;
	double steps;  /* nodes that a row visits, or tests that are made for it */
	int32_t slots; /* keys of a row */
	int32_t cuts;  /* numbers that ranks are found in */
	int key_bytes; /* of one */
} TreeCost;

TreeCost trees_cost(Arena *a, const Trees *t, TreeCode code, TreeKeyKind keys);

/* What many rows side by side take: steps of a row are tests, cuts the comparisons that
 * find its ranks. */
TreeCost trees_cost_of_rows(Arena *a, const Trees *t, TreeKeyKind keys);

/* Nodes that test, with each tree's own in by_tree unless that is NULL.  A subtree that
 * is used several times counts as often; INT32_MAX when there are more. */
int32_t trees_count_tests(Arena *a, const Trees *t, int32_t *by_tree);

static inline TreeMode
trees_mode(const Trees *t, int32_t node)
{
	return (TreeMode)(t->mode[node] & TREE_MODE_MASK);
}

#endif
