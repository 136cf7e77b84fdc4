/*
 * The lowering of `trees` to vectors of bits, after QuickScorer (Lucchese and others,
 * SIGIR 2015).
 *
 * A tree has one bit for each of its leaves, from the lowest child to the highest.  All
 * are set at first.  A test that sends a row high takes out the leaves below its low
 * child; whether the walk would have come to the test does not matter, since a leaf
 * further up the order is the answer only when all before it are out.  The lowest bit
 * that is left is the leaf.
 *
 * Tests are sorted by slot and limit, and those of a slot end at the first limit above the
 * key.  Many rows are done side by side (trees_rows.c).
 */
#include <stdlib.h>

#include "ir/ops/trees.h"
#include "ir/ops/trees_keys.h"

enum { MAX_BITS = 64 };

/* A test of all trees. */
typedef struct {
	int32_t slot, tree;
	uint64_t limit, mask;
} Test;

typedef struct {
	LowerCtx *cx;
	LBuilder *b;
	const Trees *t;
	const TreeKeys *k;
	int32_t ntests, nplaces;
	Test *test;
	int32_t *row, *first_place; /* by place; by tree, with an end */
	int bits;  /* 32 or 64 */
	DType type;
	LBuf *keys, *limit, *mask, *tree, *place, *leaf, *left;
} Vectors;

/* A subtree and the bit of its first leaf. */
typedef struct {
	int32_t node, bit;
} Visit;

static bool
is_leaf(const Trees *t, int32_t node)
{
	return trees_mode(t, node) == TREE_LEAF;
}

bool
trees_fit_vectors(Arena *a, const Trees *t)
{
	const int32_t *below = trees_tests_below(a, t);

	for (int32_t i = 0; i < t->trees; i++)
		if (below[t->root[i]] >= MAX_BITS)
			return false;
	return true;
}

static void
add_tests(Vectors *s, int32_t tree, const int32_t *below)
{
	const Trees *t = s->t;
	VEC(Visit) todo = {0};

	VEC_PUSH(s->cx->arena, &todo, ((Visit){t->root[tree], 0}));
	while (todo.n > 0) {
		Visit v = todo.v[--todo.n];
		int32_t low, leaves;

		if (is_leaf(t, v.node)) {
			s->row[s->nplaces++] = t->yes[v.node];
			continue;
		}
		low = trees_low(t, v.node);
		leaves = below[low] + 1;
		s->test[s->ntests++] =
			(Test){.slot = s->k->slot_of[v.node], .tree = tree, .limit = s->k->limit[v.node],
			       .mask = ~((((uint64_t)1 << leaves) - 1) << v.bit)};
		VEC_PUSH(s->cx->arena, &todo, ((Visit){trees_high(t, v.node), v.bit + leaves}));
		VEC_PUSH(s->cx->arena, &todo, ((Visit){low, v.bit}));
	}
}

static void
collect_tests(Vectors *s, int32_t tests)
{
	const Trees *t = s->t;
	Arena *a = s->cx->arena;
	const int32_t *below = trees_tests_below(a, t);

	s->test = ARENA_ARRAY(a, Test, tests);
	s->row = ARENA_ARRAY(a, int32_t, tests + t->trees);
	s->first_place = ARENA_ARRAY(a, int32_t, t->trees + 1);
	s->bits = 32;
	for (int32_t i = 0; i < t->trees; i++) {
		add_tests(s, i, below);
		s->first_place[i + 1] = s->nplaces;
		if (below[t->root[i]] >= 32)
			s->bits = 64;
	}
	s->type = s->bits == 32 ? DT_U32 : DT_U64;
}

static int
by_slot_and_limit(const void *p, const void *q)
{
	const Test *a = p, *b = q;

	if (a->slot != b->slot)
		return (a->slot > b->slot) - (a->slot < b->slot);
	if (a->limit != b->limit)
		return (a->limit > b->limit) - (a->limit < b->limit);
	return (a->tree > b->tree) - (a->tree < b->tree);
}

static void
make_tables(Vectors *s)
{
	Arena *a = s->cx->arena;
	int32_t *tree = ARENA_ARRAY(a, int32_t, s->ntests);
	uint64_t *limit = ARENA_ARRAY(a, uint64_t, s->ntests);
	uint64_t *mask = ARENA_ARRAY(a, uint64_t, s->ntests);

	for (int32_t i = 0; i < s->ntests; i++) {
		tree[i] = s->test[i].tree;
		limit[i] = s->test[i].limit;
		mask[i] = s->bits == 32 ? s->test[i].mask & UINT32_MAX : s->test[i].mask;
	}
	s->limit = trees_number_table(s->cx, "limit", s->k->type, s->ntests, limit);
	s->mask = trees_number_table(s->cx, "mask", s->type, s->ntests, mask);
	s->place = trees_int_table(s->cx, "first_place", s->t->trees, s->first_place);
	s->tree = trees_int_table(s->cx, "tree", s->ntests, tree);
}

/* ---- The lowest bit ---- */

/* Products of single bits with this have different highest bits. */
static uint64_t
de_bruijn(int bits)
{
	return bits == 32 ? 0x077cb531u : 0x03f79d71b4cb0a89u;
}

static void
make_leaf_table(Vectors *s)
{
	int32_t number[MAX_BITS];
	int top = s->bits == 32 ? 27 : 58;

	for (int i = 0; i < s->bits; i++) {
		uint64_t product = de_bruijn(s->bits) << i;

		if (s->bits == 32)
			product &= UINT32_MAX;
		number[product >> top] = i;
	}
	s->leaf = trees_int_table(s->cx, "bit", s->bits, number);
}

/* The place of the lowest bit of `left` in the places of the tree. */
static Expr *
place_of(Vectors *s, Expr *left, Expr *tree)
{
	LBuilder *b = s->b;
	Expr *lowest, *at, *place;

	left = loop_let(b, "left", left);
	lowest = loop_op2(b, KOP_AND, left, loop_op1(b, KOP_NEG, left));
	at = loop_mul(b, lowest, loop_int(b, s->type, (int64_t)de_bruijn(s->bits)));
	at = loop_op2(b, KOP_SHR, at, loop_int(b, s->type, s->bits == 32 ? 27 : 58));
	if (s->bits == 64) /* for the prover */
		at = loop_op2(b, KOP_AND, at, loop_int(b, s->type, s->bits - 1));
	at = loop_cvt(b, DT_IDX, loop_load(b, s->leaf, loop_cvt(b, DT_IDX, at)));
	place = loop_add(b, loop_cvt(b, DT_IDX, loop_load(b, s->place, tree)), at);
	return loop_let(b, "place", loop_op2(b, KOP_MIN, place, loop_idx(b, s->nplaces - 1)));
}

static Expr *
all_leaves(Vectors *s)
{
	return loop_int(s->b, s->type, s->bits == 32 ? (int64_t)UINT32_MAX : -1);
}

/* ---- The walk ---- */

static int32_t *
starts_of_slots(Vectors *s, int32_t *most)
{
	int32_t *start = ARENA_ARRAY(s->cx->arena, int32_t, s->k->nslots + 1);

	qsort(s->test, (size_t)s->ntests, sizeof *s->test, by_slot_and_limit);
	for (int32_t i = 0; i < s->ntests; i++)
		start[s->test[i].slot + 1]++;
	for (int32_t i = 0; i < s->k->nslots; i++) {
		*most = start[i + 1] > *most ? start[i + 1] : *most;
		start[i + 1] += start[i];
	}
	return start;
}

/* The tests of one slot, up to the first that sends the row low. */
static void
walk_slot(Vectors *s, LBuf *start, Expr *slot, int32_t most)
{
	LBuilder *b = s->b;
	Expr *key = loop_let(b, "key", loop_load_compute(b, s->keys, slot));
	Expr *end = loop_let(b, "end", loop_cvt(b, DT_IDX,
	                                        loop_load(b, start, loop_affine(b, slot, 1, 1))));
	LVar *at = loop_var_idx(b, "at", loop_cvt(b, DT_IDX, loop_load(b, start, slot)), 0, s->ntests);
	Expr *here = loop_op2(b, KOP_MIN, loop_get(b, at), loop_idx(b, s->ntests - 1)), *go, *tree;

	go = loop_op2(b, KOP_LE, loop_load_compute(b, s->limit, here), key);
	go = loop_op2(b, KOP_AND, loop_op2(b, KOP_LT, loop_get(b, at), end), go);
	loop_for_while(b, "test", 0, most, go);
	here = loop_let(b, "here", here);
	tree = loop_let(b, "tree", loop_cvt(b, DT_IDX, loop_load(b, s->tree, here)));
	loop_store(b, s->left, tree, loop_op2(b, KOP_AND, loop_load(b, s->left, tree),
	                                      loop_load(b, s->mask, here)));
	loop_set(b, at, loop_affine(b, here, 1, 1));
	loop_end(b);
}

static void
walk_tests(Vectors *s, TreeSum *sum)
{
	LBuilder *b = s->b;
	int32_t most = 0;
	int32_t *start = starts_of_slots(s, &most);
	Expr *r, *i;
	LBuf *starts;
	int open;

	make_tables(s);
	starts = trees_int_table(s->cx, "first_test", s->k->nslots + 1, start);
	s->keys = trees_keys_buffer(s->cx, s->k, 1);
	s->left = lower_scratch(s->cx, "leaves", s->type, s->t->trees);
	r = lower_for(s->cx, "r", s->t->rows);
	open = b->depth;
	trees_fill_keys(s->cx, s->k, s->keys, r, 1);
	i = lower_for(s->cx, "i", s->t->trees);
	loop_store(b, s->left, i, all_leaves(s));
	lower_end_to(s->cx, open);
	walk_slot(s, starts, lower_for(s->cx, "slot", s->k->nslots), most);
	lower_end_to(s->cx, open);
	trees_sum_begin(sum, loop_affine(b, r, s->t->outputs, 0));
	i = lower_for(s->cx, "tree", s->t->trees);
	trees_sum_add(sum, place_of(s, loop_load(b, s->left, i), i), i);
	lower_end_to(s->cx, open);
	trees_sum_end(sum);
}

void
trees_lower_vectors(LowerCtx *cx, const Node *n, const Trees *t)
{
	Arena *a = cx->arena;
	int32_t tests = trees_count_tests(a, t, NULL);
	Vectors s = {.cx = cx, .b = &cx->b, .t = t, .k = trees_keys(a, t, t->keys)};
	TreeSum sum;

	if (t->rows >= TREE_VECTOR_ROWS) {
		trees_lower_rows(cx, n, t);
		return;
	}
	collect_tests(&s, tests);
	make_leaf_table(&s);
	sum = trees_sum(cx, n, t, s.row, s.nplaces, true);
	walk_tests(&s, &sum);
	lower_end_to(cx, 0);
}
