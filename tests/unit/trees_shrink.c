/*
 * Shrinking ensembles of trees: what comes out, against what goes in, on samples.
 */
#include "passes/compression/trees.h"

#include <string.h>

#include "ir/num.h"
#include "ir/trees.h"
#include "run_node.h"
#include "tests/run_graph.h"
#include "unit.h"

enum { SAMPLES = 300, FEATURES = 3, TREES = 12, DEPTH = 5, CLASSES = 3 };

/* A graph of one ensemble, its input and what it gives. */
typedef struct {
	Arena *arena;
	Diag diag;
	Graph *g;
	Node *node;
	bool forest; /* shares of classes; else one sum */
	int outputs;
	double x[SAMPLES * FEATURES];
	int64_t labels[SAMPLES];
	double y[SAMPLES * CLASSES];
} Case;

/* Grows a full tree.  Forests vote for the class that the sum of two features says, with
 * mistakes; other leaves are numbers that are smaller in later trees. */
static int32_t
grow(Case *c, Ensemble *e, TreeNode *node, int32_t *n, int depth, int tree, uint32_t *seed)
{
	int32_t at = (*n)++;
	double v[CLASSES] = {0};

	if (depth == 0) {
		node[at].mode = TREE_LEAF;
		if (c->forest)
			v[random_int(seed, 0, CLASSES - 1)] = 1.0 / (int)TREES;
		else
			v[0] = random_int(seed, -1000, 1000) / 1000.0 / (1 + tree);
		node[at].leaf = ensemble_leaf(e, v, 0);
		return at;
	}
	node[at].mode = random_int(seed, 0, 1) ? TREE_LT : TREE_GE;
	node[at].feature = random_int(seed, 0, FEATURES - 1);
	node[at].threshold = random_int(seed, -900, 900) / 1000.0;
	node[at].yes = grow(c, e, node, n, depth - 1, tree, seed);
	node[at].no = grow(c, e, node, n, depth - 1, tree, seed);
	node[at].missing = random_int(seed, 0, 1) ? node[at].yes : node[at].no;
	return at;
}

static void
run(Case *c)
{
	float x[SAMPLES * FEATURES];
	void *inputs[1] = {x}, **memory;
	int64_t iterations = (int64_t)1 << 40;
	const Value *y = c->g->outputs.v[0];

	for (int i = 0; i < SAMPLES * FEATURES; i++)
		x[i] = (float)c->x[i];
	ck_assert(graph_verify(c->g, &c->diag));
	memory = run_graph(c->arena, c->g, inputs, &iterations);
	for (int i = 0; i < SAMPLES * c->outputs; i++)
		c->y[i] = num_load(y->type.dtype, memory[y->id], (size_t)i);
}

static int
class_of(const Case *c, int sample)
{
	int best = 0;

	for (int k = 1; k < c->outputs; k++)
		if (c->y[sample * c->outputs + k] > c->y[sample * c->outputs + best])
			best = k;
	return best;
}

static Case *
make_case(bool forest, uint32_t seed)
{
	Arena *a = arena_new(NULL, NULL);
	Case *c = ARENA_NEW(a, Case);
	TreeNode node[2 << DEPTH];
	Loc loc = {.where = "here"};
	double base = 0.25;
	Ensemble *e;
	Value *x, *b = NULL;

	c->arena = a;
	c->forest = forest;
	c->outputs = forest ? CLASSES : 1;
	diag_init(&c->diag, a);
	c->g = graph_new(a, "g");
	x = graph_input(c->g, "x", type_make(DT_F32, 2, (int32_t[]){SAMPLES, FEATURES}));
	e = ensemble_new(a, DT_F32, DT_F32, FEATURES, c->outputs, c->outputs);
	for (int t = 0; t < TREES; t++) {
		int32_t n = 0;

		memset(node, 0, sizeof node);
		grow(c, e, node, &n, DEPTH, t, &seed);
		ck_assert(ensemble_tree(e, node, n, 0, "tree", &loc, &c->diag));
	}
	if (!forest)
		b = graph_const(c->g, "b", type_make(DT_F32, 1, (int32_t[]){1}),
		                arena_copy(a, (float[]){(float)base}, sizeof(float)));
	c->node = ensemble_finish(e, c->g, x, b, TREES_sum, "y");
	ck_assert(node_infer(c->node, &c->diag));
	graph_output(c->g, "y", c->node->out[0]);
	for (int i = 0; i < SAMPLES * FEATURES; i++)
		c->x[i] = random_int(&seed, 0, 20) ? random_int(&seed, -1000, 1000) / 1000.0
		                                   : NOT_A_NUMBER;
	run(c);
	for (int i = 0; i < SAMPLES; i++)
		c->labels[i] = forest ? class_of(c, i) : c->y[i] > 0;
	return c;
}

/* The same case, shrunk. */
static Case *
shrink(bool forest, uint32_t seed, TreeShrink how, bool labels, TreeShrinkReport *r)
{
	Case *c = make_case(forest, seed);
	TreeSamples s = {.n = SAMPLES, .x = c->x, .labels = labels ? c->labels : NULL};

	ck_assert(trees_shrink(c->g, c->node, &how, &s, r, &c->diag));
	run(c);
	return c;
}

/* The root of the mean square of the difference, and of the first. */
static double
difference(const Case *p, const Case *q, double *size)
{
	double sum = 0, square = 0;
	int n = SAMPLES * p->outputs;

	for (int i = 0; i < n; i++) {
		sum += (p->y[i] - q->y[i]) * (p->y[i] - q->y[i]);
		square += p->y[i] * p->y[i];
	}
	*size = sqrt(square / n);
	return sqrt(sum / n);
}

START_TEST(nothing_asked_changes_nothing)
{
	TreeShrinkReport r;
	Case *was = make_case(_i % 2, (uint32_t)_i);
	Case *is = shrink(_i % 2, (uint32_t)_i, (TreeShrink){.trees = 1, .leaves = 1}, false, &r);

	for (int i = 0; i < SAMPLES * was->outputs; i++)
		ck_assert(was->y[i] == is->y[i]);
	ck_assert(r.error < 1e-6);
	arena_free(was->arena);
	arena_free(is->arena);
}
END_TEST

START_TEST(integers_are_as_near_as_their_step)
{
	int bits = _i % 4 < 2 ? 8 : 16;
	TreeShrinkReport r;
	TreeShrink how = {.trees = 1, .leaves = 1, .value_bits = bits};
	Case *was = make_case(_i % 2, (uint32_t)_i), *is = shrink(_i % 2, (uint32_t)_i, how, true, &r);
	double largest = was->forest ? 1.0 / (int)TREES : 1.0, step = largest / ((1 << (bits - 1)) - 1);

	ck_assert(is->node->in[TREES_VALUE]->type.dtype == (bits == 8 ? DT_I8 : DT_I16));
	ck_assert(is->node->out[0]->type.dtype == DT_I32);
	for (int i = 0; i < SAMPLES * was->outputs; i++)
		ck_assert_msg(fabs(was->y[i] - is->y[i]) <= (int)TREES * step / 2 + 1e-6,
		              "%g became %g", was->y[i], is->y[i]);
	ck_assert(r.bytes[1] < r.bytes[0]);
	arena_free(was->arena);
	arena_free(is->arena);
}
END_TEST

START_TEST(thresholds_are_few)
{
	TreeShrinkReport r;
	TreeShrink how = {.trees = 1, .leaves = 1, .threshold_bits = 8};
	Case *was = make_case(_i % 2, (uint32_t)_i), *is = shrink(_i % 2, (uint32_t)_i, how, false, &r);
	double size, d = difference(was, is, &size);

	ck_assert(d < 0.3 * size);
	ck_assert(r.tests[1] <= r.tests[0]);
	arena_free(was->arena);
	arena_free(is->arena);
}
END_TEST

START_TEST(pruning_leaves_as_many_leaves_as_asked)
{
	static const double share[] = {0.75, 0.5, 0.25};
	TreeShrinkReport r;
	TreeShrink how = {.trees = 1, .leaves = share[_i % 3]};
	Case *was = make_case(_i % 2, (uint32_t)_i);
	Case *is = shrink(_i % 2, (uint32_t)_i, how, _i % 4 > 1, &r);
	double size, d = difference(was, is, &size);
	int leaves = r.tests[1] + r.trees[1], all = r.tests[0] + r.trees[0];

	ck_assert_int_le(leaves, (int)(how.leaves * all) + 1);
	/* With labels it is these that are aimed at. */
	ck_assert_msg(_i % 4 > 1 || d < (_i % 3 == 2 ? 0.9 : 0.6) * size, "%g of %g", d, size);
	ck_assert_int_eq(r.trees[1], TREES);
	arena_free(was->arena);
	arena_free(is->arena);
}
END_TEST

START_TEST(selection_takes_the_trees_that_matter)
{
	TreeShrinkReport r;
	TreeShrink how = {.trees = 0.5, .leaves = 1};
	Case *was = make_case(_i % 2, (uint32_t)_i), *is = shrink(_i % 2, (uint32_t)_i, how, false, &r);
	double size, d = difference(was, is, &size);

	ck_assert_int_eq(r.trees[1], TREES / 2);
	ck_assert_msg(d < 0.6 * size, "%g of %g", d, size);
	arena_free(was->arena);
	arena_free(is->arena);
}
END_TEST

START_TEST(refinement_does_not_make_it_worse)
{
	TreeShrinkReport r;
	TreeShrink how = {.trees = 1, .leaves = 0.3};
	Case *is = shrink(true, (uint32_t)_i, how, true, &r);

	ck_assert_int_ge(r.right[0], 0);
	ck_assert_int_eq(r.right[0], r.samples);
	ck_assert_int_ge(r.right[1], r.samples / 2);
	arena_free(is->arena);
}
END_TEST

START_TEST(what_cannot_be_is_reported)
{
	Case *c = make_case(false, 1);
	TreeSamples none = {0};
	TreeShrinkReport r;

	ck_assert(!trees_shrink(c->g, c->node, &(TreeShrink){.trees = 1, .leaves = 0.5}, &none, &r,
	                        &c->diag));
	ck_assert_int_eq((int)c->diag.first->code, (int)E_UNSUPPORTED);
	arena_free(c->arena);
	c = make_case(false, 1);
	((Attr_TREES *)c->node->attr)->aggregate = TREES_max;
	ck_assert(!trees_shrink(c->g, c->node, &(TreeShrink){.trees = 1, .leaves = 1, .value_bits = 8},
	                        &none, &r, &c->diag));
	arena_free(c->arena);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("all");

	tcase_add_loop_test(tc, nothing_asked_changes_nothing, 0, 6);
	tcase_add_loop_test(tc, integers_are_as_near_as_their_step, 0, 8);
	tcase_add_loop_test(tc, thresholds_are_few, 0, 6);
	tcase_add_loop_test(tc, pruning_leaves_as_many_leaves_as_asked, 0, 12);
	tcase_add_loop_test(tc, selection_takes_the_trees_that_matter, 0, 6);
	tcase_add_loop_test(tc, refinement_does_not_make_it_worse, 0, 4);
	tcase_add_test(tc, what_cannot_be_is_reported);
	return run_suite(tc, "trees_shrink");
}
