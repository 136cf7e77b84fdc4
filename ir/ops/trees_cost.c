/*
 * What the ways to compute `trees` take, and which are possible.
 */
#include "ir/ops/trees.h"

static bool
is_leaf(const Trees *t, int32_t node)
{
	return trees_mode(t, node) == TREE_LEAF;
}

static bool
has_own_missing(const Trees *t, int32_t i)
{
	return t->missing[i] != t->yes[i] && t->missing[i] != t->no[i];
}

const int32_t *
trees_tests_below(Arena *a, const Trees *t)
{
	int32_t *below = ARENA_ARRAY(a, int32_t, t->nodes);

	for (int32_t i = t->nodes - 1; i >= 0; i--) {
		int64_t n = 1;

		if (is_leaf(t, i))
			continue;
		n += (int64_t)below[t->yes[i]] + below[t->no[i]];
		if (has_own_missing(t, i))
			n += below[t->missing[i]];
		below[i] = n < INT32_MAX ? (int32_t)n : INT32_MAX;
	}
	return below;
}

int32_t
trees_count_tests(Arena *a, const Trees *t, int32_t *by_tree)
{
	const int32_t *below = trees_tests_below(a, t);
	int64_t all = 0;

	for (int32_t i = 0; i < t->trees; i++) {
		all += below[t->root[i]];
		if (by_tree)
			by_tree[i] = below[t->root[i]];
	}
	return all < INT32_MAX ? (int32_t)all : INT32_MAX;
}

bool
trees_have_code(Arena *a, const Trees *t, TreeCode code, TreeKeyKind keys)
{
	int32_t tests = trees_count_tests(a, t, NULL);
	bool all = keys != TREE_KEYS_none && trees_have_keys(t);
	bool some = all && tests > 0 && tests < TREE_MAX_TESTS;

	switch (code) {
	case TREE_CODE_walk: return true;
	case TREE_CODE_tables: return all;
	case TREE_CODE_packed: return some;
	case TREE_CODE_interleaved:
		return some && trees_fit_words(trees_keys(a, t, keys), 2 * (int64_t)tests + t->trees);
	case TREE_CODE_complete: return some && trees_fit_complete(t, trees_depth(a, t, NULL));
	case TREE_CODE_vectors:
		return some && (t->rows < TREE_VECTOR_ROWS ? trees_fit_vectors(a, t)
		                                           : trees_fit_rows(a, t));
	case TREE_CODE_branches:
		return tests < TREE_MAX_TESTS && trees_fit_branches(a, t) &&
		       (keys == TREE_KEYS_none || all);
	case TREE_CODE_COUNT: break;
	}
	return false;
}

/* ---- Costs ---- */

static int
bytes_of(DType t)
{
	return dtype_info[t].bytes;
}

/* Steps of walks to leaves that are as deep as the average. */
static double
steps_to_leaves(Arena *a, const Trees *t)
{
	double *depth = ARENA_ARRAY(a, double, t->nodes), sum = 0;

	for (int32_t i = t->nodes - 1; i >= 0; i--)
		if (!is_leaf(t, i))
			depth[i] = 1 + (depth[t->yes[i]] + depth[t->no[i]]) / 2;
	for (int32_t i = 0; i < t->trees; i++)
		sum += depth[t->root[i]];
	return sum;
}

static double
steps_to_depth(Arena *a, const Trees *t)
{
	int32_t *depth = ARENA_ARRAY(a, int32_t, t->trees);
	double sum = 0;

	trees_depth(a, t, depth);
	for (int32_t i = 0; i < t->trees; i++)
		sum += depth[i];
	return sum;
}

/* Different tests: those of shared subtrees once. */
static int64_t
own_tests(const Trees *t)
{
	int64_t n = 0;

	for (int32_t i = 0; i < t->nodes; i++)
		n += !is_leaf(t, i);
	return n;
}

static int32_t
most_tests(Arena *a, const Trees *t)
{
	int32_t *tests = ARENA_ARRAY(a, int32_t, t->trees), most = 0;

	trees_count_tests(a, t, tests);
	for (int32_t i = 0; i < t->trees; i++)
		most = tests[i] > most ? tests[i] : most;
	return most;
}

/* A condition and its part of the leaves as machine code, whose instructions have 2 to 4
 * bytes: a load, a literal, a comparison, a branch; and the same for the leaf. */
enum { BRANCH_BYTES = 30 };

TreeCost
trees_cost_of_rows(Arena *a, const Trees *t, TreeKeyKind keys)
{
	const TreeKeys *k = trees_keys(a, t, keys);
	int64_t tests = trees_count_tests(a, t, NULL);
	int64_t leaf = bytes_of(trees_small_type(most_tests(a, t)));
	TreeCost c = {.steps = (double)tests, .slots = k->nslots, .key_bytes = bytes_of(k->type)};

	for (int32_t i = 0; i < k->numbers; i++)
		c.cuts += k->ncuts ? trees_levels(k->slot[i].cuts) : 0;
	c.bytes = tests * (bytes_of(trees_small_type(k->nslots)) + bytes_of(k->type) + 2 * leaf) +
	          2 * trees_keys_bytes(k) +
	          trees_sum_bytes(a, t, (int32_t)tests + t->trees + UINT8_MAX, true);
	c.scratch = TREE_LANES * (k->nslots * (int64_t)bytes_of(k->type) + leaf);
	return c;
}

TreeCost
trees_cost(Arena *a, const Trees *t, TreeCode code, TreeKeyKind keys)
{
	TreeKeys *k = keys == TREE_KEYS_none ? NULL : trees_keys(a, t, keys);
	int64_t tests = trees_count_tests(a, t, NULL), leaves = tests + t->trees;
	int64_t slot = k ? bytes_of(trees_small_type(k->nslots)) : 4, key = k ? bytes_of(k->type) : 4;
	int32_t depth = trees_depth(a, t, NULL), own = (int32_t)own_tests(t);
	TreeCost c = {.steps = steps_to_leaves(a, t), .slots = k ? k->nslots : 0, .key_bytes = (int)key,
	              .cuts = k ? k->ncuts : 0};

	c.bytes = k ? trees_keys_bytes(k) : 0;
	c.scratch = k ? k->nslots * key : 0;
	switch (code) {
	case TREE_CODE_walk: c.bytes += 17 * (int64_t)t->nodes; break;
	case TREE_CODE_tables:
		c.bytes += own * (slot + key + 2 * bytes_of(trees_small_type(own + t->leaves))) +
		           t->trees * bytes_of(trees_small_type(own + t->leaves)) +
		           trees_sum_bytes(a, t, t->leaves, false);
		break;
	case TREE_CODE_packed:
		c.bytes += tests * (slot + key + bytes_of(trees_small_type(most_tests(a, t)))) +
		           t->trees * bytes_of(trees_small_type(most_tests(a, t))) +
		           trees_sum_bytes(a, t, (int32_t)leaves, false);
		break;
	case TREE_CODE_interleaved:
		c.bytes += 8 * (tests + leaves) + trees_sum_bytes(a, t, (int32_t)(tests + leaves), true);
		c.steps = steps_to_depth(a, t);
		break;
	case TREE_CODE_complete:
		c.bytes += ((int64_t)t->trees << depth) * (slot + key) +
		           trees_sum_bytes(a, t, t->trees << depth, true);
		c.steps = (double)t->trees * depth;
		break;
	case TREE_CODE_vectors:
		c.bytes += tests * (slot + key + 8) + trees_sum_bytes(a, t, (int32_t)leaves, true);
		c.scratch += 8 * (int64_t)t->trees;
		c.steps = (double)tests;
		break;
	case TREE_CODE_branches: c.bytes += BRANCH_BYTES * tests; break;
	case TREE_CODE_COUNT: break;
	}
	return c;
}
