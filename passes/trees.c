/*
 * trees: choose how decision trees are computed.
 *
 *	%y = trees(%x, ...)		=>	%y = trees(%x, ...) {code=interleaved}
 *
 * All ways give the same bits (ir/trees.h); what is chosen is speed or, with -Os and
 * -Oz, size:
 *
 *  - few nodes are fastest as conditions, which the branch predictor of a processor or
 *    the short pipeline of a microcontroller serves well;
 *  - many are fastest eight trees at a time, where no branch depends on data;
 *  - tables with a loop are smallest, but for a handful of nodes;
 *  - what tables cannot hold, as sets of categories, becomes conditions; compilers take
 *    much longer than linear time for long functions, so a node with many trees is
 *    split, each one going on from the result of the one before:
 *
 *	%1 = trees(%x, ..., root[0..9]) {code=branches}
 *	%y = trees(%x, ..., root[10..19], base=%1) {code=branches}
 *
 *  - and the largest of these remain a walk over the arrays.
 *
 * A node whose code is not `walk` has been chosen for and is left alone.
 */
#include "ir/trees.h"
#include "passes/pass.h"

enum {
	FEW_TESTS = 256,        /* conditions are faster up to here */
	VERY_FEW_TESTS = 12,    /* and not larger up to here */
	FUNCTION_TESTS = 400,   /* in one function of conditions */
	MOST_TESTS = 20000      /* in all of them */
};

/* Nodes of each tree that test. */
static int32_t
count_tests(Arena *a, const Trees *t, int32_t *by_tree)
{
	int32_t *below = ARENA_ARRAY(a, int32_t, t->nodes);
	int64_t all = 0;

	for (int32_t i = t->nodes - 1; i >= 0; i--) {
		int64_t n = 1;

		if (trees_mode(t, i) == TREE_LEAF)
			continue;
		n += below[t->yes[i]];
		n += below[t->no[i]];
		if (t->missing[i] != t->yes[i] && t->missing[i] != t->no[i])
			n += below[t->missing[i]];
		below[i] = n < INT32_MAX ? (int32_t)n : INT32_MAX;
	}
	for (int32_t i = 0; i < t->trees; i++) {
		by_tree[i] = below[t->root[i]];
		all += by_tree[i];
	}
	return all < INT32_MAX ? (int32_t)all : INT32_MAX;
}

static TreeCode
choose(const PassCtx *cx, const Trees *t, int32_t tests)
{
	bool branches = trees_have_branches(cx->scratch, t);

	if (branches && tests <= (cx->small ? VERY_FEW_TESTS : FEW_TESTS))
		return TREE_CODE_branches;
	if (trees_have_tables(t))
		return cx->small ? TREE_CODE_tables : TREE_CODE_interleaved;
	return branches && tests <= MOST_TESTS ? TREE_CODE_branches : TREE_CODE_walk;
}

static Value *
slice_of_roots(Graph *g, const Trees *t, int32_t from, int32_t to)
{
	int32_t count = to - from;

	return graph_const(g, NULL, type_make(DT_I32, 1, &count), t->root + from);
}

/* Trees [from, to) of n in a node of their own; `in` has their base. */
static Node *
make_part(Graph *g, Node *n, const Trees *t, Value **in, int32_t from, int32_t to)
{
	int nins = n->nins > TREES_BASE ? n->nins : TREES_BASE + 1;
	Node *part;

	in[TREES_ROOT] = slice_of_roots(g, t, from, to);
	part = graph_insert(g, n, OP_TREES, nins, in, 1, NULL);
	*(Attr_TREES *)part->attr = *(const Attr_TREES *)n->attr;
	part->loc = n->loc;
	part->name = n->name;
	return part;
}

/* Replaces n by parts that are not too long; each goes on from the one before. */
static bool
split(Graph *g, Node *n, const Trees *t, const int32_t *tests, Diag *d)
{
	Value *in[TREES_INPUTS] = {NULL};
	int32_t from = 0;
	int64_t sum = 0;

	for (int i = 0; i < n->nins; i++)
		in[i] = n->in[i];
	for (int32_t i = 0; i < t->trees; i++) {
		Node *part;

		sum += tests[i];
		if (i + 1 < t->trees ? sum + tests[i + 1] <= FUNCTION_TESTS : from == 0)
			continue;
		part = make_part(g, n, t, in, from, i + 1);
		if (!node_infer(part, d))
			return false;
		in[TREES_BASE] = part->out[0];
		from = i + 1;
		sum = 0;
	}
	if (from > 0) {
		graph_replace_uses(g, n->out[0], in[TREES_BASE]);
		graph_remove(g, n);
	}
	return true;
}

bool
pass_trees(Graph *g, PassCtx *cx)
{
	for (Node *n = g->first, *next; n; n = next) {
		Attr_TREES *a = n->attr;
		int32_t *by_tree, tests;
		Trees t;

		next = n->next;
		if (n->op != OP_TREES || a->code != TREE_CODE_walk)
			continue;
		t = trees_of(n);
		by_tree = ARENA_ARRAY(cx->scratch, int32_t, t.trees);
		tests = count_tests(cx->scratch, &t, by_tree);
		a->code = choose(cx, &t, tests);
		if (a->code != TREE_CODE_walk)
			cx->changed++;
		if (a->code == TREE_CODE_branches && !split(g, n, &t, by_tree, cx->diag))
			return false;
	}
	return true;
}
