/*
 * The lowering of `trees` to small tables.
 *
 * Nodes that test and leaves share one numbering: tests first, then the rows of
 * `value`, so that equal leaves are one node.  A test is
 *
 *	at = child[2 * at + !(x[feature[at]] < threshold[at])]
 *
 * with `<=` instead of `<` when that is what all nodes do, and with a bit of the feature
 * that sends NaN to the first child where nodes differ in that.  All types are the
 * smallest that do.
 *
 * TREE_CODE_tables goes through the trees one by one up to their leaves and has no
 * entries for leaves.  TREE_CODE_interleaved takes eight trees at a time, as many steps
 * as the deepest of them needs: leaves lead to themselves, so there is no branch to
 * mispredict, and the loads of one tree hide behind those of the others.
 *
 * Where nodes differ in where NaN goes, a row is first searched for NaN, if that is little
 * work beside the walk: a row without one need not look at the bit.
 *
 * The leaves are taken into the result in the order of the trees, so that both give the
 * bits of the reference lowering.
 */
#include <math.h>

#include "ir/num.h"
#include "ir/ops/trees.h"

enum { LANES = 8 };

typedef struct {
	LowerCtx *cx;
	LBuilder *b;
	const Node *n;
	Trees t;
	int32_t tests;   /* nodes that are no leaves */
	int32_t *number; /* by node: among the tests, or tests + row */
	KOp op;          /* KOP_LT or KOP_LE */
	bool any_nan_yes, all_nan_yes;
	LBuf *threshold, *feature, *child, *root, *value, *target;
	int32_t flag;    /* in the feature, 0: none */
	bool no_nan;     /* the row has none: the flag does not matter */
	Expr *row, *out; /* where the row's features and results begin */
	LVar *sum;       /* the only result, when there is one */
} Tables;

/* ---- Which ensembles this can do ---- */

static bool
is_upward(TreeMode m)
{
	return m == TREE_GE || m == TREE_GT;
}

/* The comparison that all nodes can do, or KOP_COUNT.  x > t is not x <= t, for numbers. */
static KOp
common_op(const Trees *t)
{
	bool less = t->has_mode[TREE_LT] || t->has_mode[TREE_GE];
	bool equal = t->has_mode[TREE_LE] || t->has_mode[TREE_GT];

	for (TreeMode m = TREE_EQ; m < TREE_MODE_COUNT; m++)
		if (t->has_mode[m])
			return KOP_COUNT;
	return less && equal ? KOP_COUNT : less ? KOP_LT : KOP_LE;
}

/* The smallest unsigned type for numbers up to `most`. */
static DType
small_type(int64_t most)
{
	return most <= UINT8_MAX ? DT_U8 : most <= UINT16_MAX ? DT_U16 : DT_I32;
}

bool
trees_have_tables(const Trees *t)
{
	if (common_op(t) == KOP_COUNT || t->has_zero_missing || t->features > 1 << 20)
		return false;
	for (int32_t i = 0; i < t->nodes; i++)
		if (trees_mode(t, i) != TREE_LEAF && t->missing[i] != t->yes[i] &&
		    t->missing[i] != t->no[i])
			return false;
	return t->nodes < INT32_MAX / 4 && t->leaves < INT32_MAX / 4;
}

int64_t
trees_table_bytes(const Trees *t)
{
	int64_t tests = 0, rows = (int64_t)t->leaves * t->width;
	int64_t entry = dtype_info[t->threshold->type.dtype].bytes;

	for (int32_t i = 0; i < t->nodes; i++)
		tests += trees_mode(t, i) != TREE_LEAF;
	entry += dtype_info[small_type(2 * (int64_t)t->features)].bytes +
	         2 * dtype_info[small_type(tests + t->leaves)].bytes;
	return tests * entry + rows * dtype_info[t->value->type.dtype].bytes +
	       t->trees * dtype_info[small_type(tests + t->leaves)].bytes;
}

/* ---- The tables ---- */

/* Whether the test of node i is the other way round: then `no` is the first child. */
static bool
is_swapped(const Tables *s, int32_t i)
{
	return is_upward(trees_mode(&s->t, i));
}

static int32_t
first_child(const Tables *s, int32_t i)
{
	return is_swapped(s, i) ? s->t.no[i] : s->t.yes[i];
}

static int32_t
second_child(const Tables *s, int32_t i)
{
	return is_swapped(s, i) ? s->t.yes[i] : s->t.no[i];
}

static void
number_nodes(Tables *s)
{
	const Trees *t = &s->t;

	s->number = ARENA_ARRAY(s->cx->arena, int32_t, t->nodes);
	s->all_nan_yes = true;
	for (int32_t i = 0; i < t->nodes; i++) {
		bool nan_yes;

		if (trees_mode(t, i) == TREE_LEAF)
			continue;
		nan_yes = t->missing[i] == first_child(s, i);
		s->any_nan_yes = s->any_nan_yes || nan_yes;
		s->all_nan_yes = s->all_nan_yes && nan_yes;
		s->number[i] = s->tests++;
	}
	for (int32_t i = 0; i < t->nodes; i++)
		if (trees_mode(t, i) == TREE_LEAF)
			s->number[i] = s->tests + t->yes[i];
}

static LBuf *
int_table(Tables *s, const char *name, DType t, int32_t count, const int32_t *v)
{
	void *data = arena_calloc(s->cx->arena, (size_t)count, (size_t)dtype_info[t].bytes);

	for (int32_t i = 0; i < count; i++)
		num_store_int(t, data, (size_t)i, v[i]);
	return loop_buf(s->b, name, t, count, LBUF_TABLE, data);
}

/* The tables of nodes; those of leaves only with `leaves`. */
static void
make_node_tables(Tables *s, bool leaves)
{
	const Trees *t = &s->t;
	Arena *a = s->cx->arena;
	int32_t all = s->tests + t->leaves, n = leaves ? all : s->tests;
	int32_t *feature = ARENA_ARRAY(a, int32_t, n), *child = ARENA_ARRAY(a, int32_t, 2 * n);
	DType decide = t->threshold->type.dtype, child_type = small_type(all - 1);
	DType feature_type;
	void *threshold = arena_calloc(a, (size_t)n, (size_t)dtype_info[decide].bytes);

	for (int32_t i = s->tests; i < n; i++)
		child[2 * i] = child[2 * i + 1] = i;
	s->flag = s->any_nan_yes && !s->all_nan_yes ? 1 : 0;
	while (s->flag && s->flag < t->features)
		s->flag *= 2;
	feature_type = small_type(s->flag ? 2 * s->flag - 1 : t->features - 1);
	/* The highest bit is the cheapest to test for. */
	if (s->flag && feature_type != DT_I32)
		s->flag = feature_type == DT_U8 ? 0x80 : 0x8000;
	for (int32_t i = 0; i < t->nodes; i++) {
		int32_t k = s->number[i];

		if (trees_mode(t, i) == TREE_LEAF)
			continue;
		feature[k] = t->feature[i];
		if (t->missing[i] == first_child(s, i))
			feature[k] |= s->flag;
		child[2 * k] = s->number[first_child(s, i)];
		child[2 * k + 1] = s->number[second_child(s, i)];
		num_store(decide, threshold, (size_t)k, value_float(t->threshold, i));
	}
	s->threshold = loop_buf(s->b, "threshold", decide, n, LBUF_TABLE, threshold);
	s->feature = int_table(s, "feature", feature_type, n, feature);
	s->child = int_table(s, "child", child_type, 2 * n, child);
}

static void
make_tables(Tables *s, bool leaves)
{
	const Trees *t = &s->t;
	Arena *a = s->cx->arena;
	int32_t *root = ARENA_ARRAY(a, int32_t, t->trees);

	number_nodes(s);
	if (s->tests > 0)
		make_node_tables(s, leaves);
	for (int32_t i = 0; i < t->trees; i++)
		root[i] = s->number[t->root[i]];
	s->root = int_table(s, "root", small_type(s->tests + t->leaves - 1), t->trees, root);
	s->value = s->cx->in[TREES_VALUE];
	if (t->target)
		s->target = int_table(s, "target", small_type(t->outputs - t->width), t->leaves,
		                      t->target);
}

/* ---- The walk ---- */

static Expr *
load_idx(Tables *s, LBuf *table, Expr *at)
{
	return loop_cvt(s->b, DT_IDX, loop_load(s->b, table, at));
}

/* 0 when the first child is next, else 1. */
static Expr *
branch(Tables *s, Expr *at)
{
	LBuilder *b = s->b;
	Expr *f = loop_let(b, "f", loop_load_compute(b, s->feature, at)), *feature = f, *x, *t, *no;
	int32_t mask = s->flag - 1;

	if (s->flag)
		feature = loop_op2(b, KOP_AND, f, loop_int(b, DT_I32, mask));
	feature = loop_clamp_idx(b, feature, 0, s->t.features - 1);
	x = loop_load_compute(b, s->cx->in[TREES_X], loop_add(b, s->row, feature));
	t = loop_load(b, s->threshold, at);
	x = loop_let(b, "x", loop_cvt(b, t->type, x));
	if (s->all_nan_yes)
		no = loop_op2(b, s->op == KOP_LT ? KOP_GE : KOP_GT, x, t);
	else
		no = loop_op1(b, KOP_NOT, loop_op2(b, s->op, x, t));
	if (s->flag && !s->no_nan) {
		Expr *here = loop_op2(b, KOP_LT, f, loop_int(b, DT_I32, s->flag));
		Expr *number = loop_op2(b, KOP_EQ, x, x);

		no = loop_op2(b, KOP_AND, no, loop_op2(b, KOP_OR, number, here));
	}
	return loop_cvt(b, DT_IDX, no);
}

static void
step(Tables *s, LVar *at)
{
	LBuilder *b = s->b;
	Expr *here = loop_get(b, at), *no = branch(s, here);

	loop_set(b, at, load_idx(s, s->child, loop_add(b, loop_affine(b, here, 2, 0), no)));
}

/* Takes the leaf at node `at` into the result. */
static void
add_leaf(Tables *s, Expr *at)
{
	const Attr_TREES *a = s->n->attr;
	LBuilder *b = s->b;
	LBuf *y = s->cx->out[0];
	int depth = b->depth;
	Expr *leaf = lower_let(s->cx, "leaf", loop_sub(b, at, loop_idx(b, s->tests)));
	Expr *first = s->out, *k, *v, *to;

	if (s->sum) {
		v = loop_load(b, s->value, leaf);
		loop_set(b, s->sum, trees_take_in(b, a->aggregate, loop_get(b, s->sum), v));
		return;
	}
	if (s->target)
		first = lower_let(s->cx, "first", loop_add(b, first, load_idx(s, s->target, leaf)));
	k = lower_for(s->cx, "k", s->t.width);
	v = loop_load(b, s->value, loop_add(b, loop_affine(b, leaf, s->t.width, 0), k));
	to = loop_add(b, first, k);
	loop_store(b, y, to, trees_take_in(b, a->aggregate, loop_load(b, y, to), v));
	lower_end_to(s->cx, depth);
}

/* An index known to be that of a leaf, for the prover. */
static Expr *
as_leaf(Tables *s, Expr *at)
{
	LBuilder *b = s->b;
	Expr *low = loop_idx(b, s->tests), *high = loop_idx(b, s->tests + s->t.leaves - 1);

	return s->tests == 0 ? at : loop_op2(b, KOP_MIN, loop_op2(b, KOP_MAX, at, low), high);
}

/* Trees [from, trees) one by one. */
static void
walk_each(Tables *s, int32_t from, int32_t depth)
{
	LBuilder *b = s->b;
	int32_t last = s->tests + s->t.leaves - 1;
	int open = b->depth;
	Expr *tree;
	LVar *at;

	if (from == s->t.trees)
		return;
	tree = loop_for(b, "tree", from, s->t.trees);
	at = loop_var_idx(b, "at", load_idx(s, s->root, tree), 0, last);
	if (depth > 0) {
		loop_for_while(b, "level", 0, depth,
		               loop_op2(b, KOP_LT, loop_get(b, at), loop_idx(b, s->tests)));
		step(s, at);
		loop_end(b);
	}
	add_leaf(s, as_leaf(s, loop_get(b, at)));
	lower_end_to(s->cx, open);
}

/* Groups of eight trees, as far as there are whole ones; returns how many trees. */
static int32_t
walk_groups(Tables *s, const int32_t *depth)
{
	LBuilder *b = s->b;
	int32_t groups = s->t.trees / LANES, last = s->tests + s->t.leaves - 1;
	int32_t *most = ARENA_ARRAY(s->cx->arena, int32_t, groups);
	LVar *at[LANES];
	Expr *group, *steps;
	int open = b->depth;

	if (groups == 0 || s->tests == 0)
		return 0;
	for (int32_t i = 0; i < groups * LANES; i++)
		most[i / LANES] = depth[i] > most[i / LANES] ? depth[i] : most[i / LANES];
	steps = load_idx(s, int_table(s, "depth", small_type(s->tests), groups, most),
	                 group = lower_for(s->cx, "group", groups));
	for (int k = 0; k < LANES; k++)
		at[k] = loop_var_idx(b, arena_printf(s->cx->arena, "at%d", k),
		                     load_idx(s, s->root, loop_affine(b, group, LANES, k)), 0, last);
	loop_for_expr(b, "level", loop_idx(b, 0), steps);
	for (int k = 0; k < LANES; k++)
		step(s, at[k]);
	loop_end(b);
	for (int k = 0; k < LANES; k++)
		add_leaf(s, as_leaf(s, loop_get(b, at[k])));
	lower_end_to(s->cx, open);
	return groups * LANES;
}

/* Whether a search for NaN is less than a quarter of the steps of all walks. */
static bool
is_search_worth_it(const Tables *s, const int32_t *depth)
{
	int64_t steps = 0;

	for (int32_t i = 0; i < s->t.trees; i++)
		steps += depth[i];
	return s->flag && s->t.features < steps / 4;
}

static Expr *
has_nan(Tables *s)
{
	LBuilder *b = s->b;
	LVar *found = loop_var(b, "has_nan", loop_bool(b, false));
	int depth = b->depth;
	Expr *i = lower_for(s->cx, "i", s->t.features);
	Expr *x = loop_load_compute(b, s->cx->in[TREES_X], loop_add(b, s->row, i));

	x = loop_let(b, "x", x);
	loop_set(b, found, loop_op2(b, KOP_OR, loop_get(b, found), loop_op2(b, KOP_NE, x, x)));
	lower_end_to(s->cx, depth);
	return loop_get(b, found);
}

/* All trees for one row. */
static void
walk_row(Tables *s, bool interleaved, const int32_t *depth, int32_t deepest)
{
	bool search = interleaved && is_search_worth_it(s, depth);

	if (search) {
		loop_if(s->b, has_nan(s));
		walk_each(s, 0, deepest);
		loop_else(s->b);
		s->no_nan = true;
	}
	walk_each(s, interleaved ? walk_groups(s, depth) : 0, deepest);
	if (search)
		loop_end(s->b);
	s->no_nan = false;
}

void
trees_lower_tables(LowerCtx *cx, const Node *n, bool interleaved)
{
	LBuilder *b = &cx->b;
	Tables s = {.cx = cx, .b = b, .n = n, .t = trees_of(n)};
	const Type *x = &n->in[TREES_X]->type;
	int32_t *depth = ARENA_ARRAY(cx->arena, int32_t, s.t.trees);
	int32_t deepest = trees_depth(cx->arena, &s.t, depth);
	Expr *r;

	s.op = common_op(&s.t);
	make_tables(&s, interleaved);
	r = lower_for(cx, "r", type_product(x, 0, x->rank - 1));
	s.out = lower_let(cx, "out", loop_affine(b, r, s.t.outputs, 0));
	s.row = lower_let(cx, "row", loop_affine(b, r, s.t.features, 0));
	if (s.t.outputs == 1)
		s.sum = loop_var(b, "sum", trees_base(cx, n, s.out, loop_idx(b, 0)));
	else
		trees_store_base(cx, n, s.out);
	walk_row(&s, interleaved, depth, deepest);
	if (s.sum)
		loop_store(b, cx->out[0], s.out, loop_get(b, s.sum));
	lower_end_to(cx, 0);
}
