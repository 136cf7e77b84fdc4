/*
 * The lowerings of `trees` to small tables and a loop.
 *
 * TREE_CODE_tables numbers the nodes that test, then the rows of `value`, so that equal
 * leaves and subtrees that are used several times are there once.  A step is
 *
 *	at = child[2 * at + !(key[slot[at]] < limit[at])]
 *
 * and a walk ends at a number that is none of a test.
 *
 * TREE_CODE_packed has trees in preorder, the low child first, tests and leaves apart.
 * A test knows how many tests are below its low child; with the number of tests below
 * itself that says all about where its children are.  A walk keeps the number of leaves
 * before it, how much further on in the tests it is, and the number of tests below:
 *
 *	low:	ahead += 1, below = size
 *	high:	leaf += size + 1, below -= size + 1
 *
 * since there is one leaf more than there are tests.  It ends where no test is below.
 */
#include "ir/num.h"
#include "ir/ops/trees.h"
#include "ir/ops/trees_keys.h"

static bool
is_leaf(const Trees *t, int32_t node)
{
	return trees_mode(t, node) == TREE_LEAF;
}

LBuf *
trees_number_table(LowerCtx *cx, const char *name, DType type, int32_t n, const uint64_t *v)
{
	void *data = arena_calloc(cx->arena, (size_t)n, (size_t)dtype_info[type].bytes);

	for (int32_t i = 0; i < n; i++)
		num_store_int(type, data, (size_t)i, (int64_t)v[i]);
	return loop_buf(&cx->b, name, type, n, LBUF_TABLE, data);
}

Expr *
trees_is_low(LBuilder *b, LBuf *keys, LBuf *slot, LBuf *limit, Expr *at)
{
	Expr *key = loop_load_compute(b, keys, loop_cvt(b, DT_IDX, loop_load(b, slot, at)));

	return loop_op2(b, KOP_LT, key, loop_load_compute(b, limit, at));
}

/* ---- tables ---- */

typedef struct {
	LowerCtx *cx;
	const Trees *t;
	const TreeKeys *k;
	int32_t tests;
	int32_t *number; /* by node: among the tests, or tests + row */
	LBuf *keys, *slot, *limit, *child, *root;
} Tables;

static int32_t
number_nodes(Arena *a, const Trees *t, int32_t **number)
{
	int32_t tests = 0;

	*number = ARENA_ARRAY(a, int32_t, t->nodes);
	for (int32_t i = 0; i < t->nodes; i++)
		if (!is_leaf(t, i))
			(*number)[i] = tests++;
	for (int32_t i = 0; i < t->nodes; i++)
		if (is_leaf(t, i))
			(*number)[i] = tests + t->yes[i];
	return tests;
}

static void
make_tables(Tables *s)
{
	const Trees *t = s->t;
	Arena *a = s->cx->arena;
	int32_t *slot, *child, *root = ARENA_ARRAY(a, int32_t, t->trees), k = 0;
	uint64_t *limit;

	s->tests = number_nodes(a, t, &s->number);
	slot = ARENA_ARRAY(a, int32_t, s->tests);
	child = ARENA_ARRAY(a, int32_t, 2 * (size_t)s->tests);
	limit = ARENA_ARRAY(a, uint64_t, s->tests);
	for (int32_t i = 0; i < t->nodes; i++) {
		if (is_leaf(t, i))
			continue;
		slot[k] = s->k->slot_of[i];
		limit[k] = s->k->limit[i];
		child[2 * k] = s->number[trees_low(t, i)];
		child[2 * k + 1] = s->number[trees_high(t, i)];
		k++;
	}
	for (int32_t i = 0; i < t->trees; i++)
		root[i] = s->number[t->root[i]];
	s->root = trees_int_table(s->cx, "root", t->trees, root);
	if (s->tests == 0)
		return;
	s->slot = trees_int_table(s->cx, "slot", s->tests, slot);
	s->limit = trees_number_table(s->cx, "limit", s->k->type, s->tests, limit);
	s->child = trees_int_table(s->cx, "child", 2 * s->tests, child);
}

/* A table that gives row i at place i. */
static const int32_t *
every_row(Arena *a, const Trees *t)
{
	int32_t *row = ARENA_ARRAY(a, int32_t, t->leaves);

	for (int32_t i = 0; i < t->leaves; i++)
		row[i] = i;
	return row;
}

static Expr *
as_index(LBuilder *b, LBuf *table, Expr *at)
{
	return loop_cvt(b, DT_IDX, loop_load(b, table, at));
}

static void
walk_tables(Tables *s, TreeSum *sum, int32_t depth)
{
	LBuilder *b = &s->cx->b;
	int open = b->depth;
	int32_t last = s->tests + s->t->leaves - 1;
	Expr *tree = lower_for(s->cx, "tree", s->t->trees), *leaf;
	LVar *at = loop_var_idx(b, "at", as_index(b, s->root, tree), 0, last);

	if (depth > 0) {
		Expr *here, *low;

		loop_for_while(b, "level", 0, depth,
		               loop_op2(b, KOP_LT, loop_get(b, at), loop_idx(b, s->tests)));
		here = loop_get(b, at);
		low = trees_is_low(b, s->keys, s->slot, s->limit, here);
		low = loop_cvt(b, DT_IDX, loop_op1(b, KOP_NOT, low));
		loop_set(b, at, as_index(b, s->child, loop_add(b, loop_affine(b, here, 2, 0), low)));
		loop_end(b);
	}
	leaf = loop_op2(b, KOP_MAX, loop_affine(b, loop_get(b, at), 1, -s->tests), loop_idx(b, 0));
	trees_sum_add(sum, loop_let(b, "place", leaf), tree);
	lower_end_to(s->cx, open);
}

void
trees_lower_tables(LowerCtx *cx, const Node *n, const Trees *t)
{
	Tables s = {.cx = cx, .t = t, .k = trees_keys(cx->arena, t, t->keys)};
	int32_t depth = trees_depth(cx->arena, t, NULL);
	TreeSum sum;
	Expr *r;

	make_tables(&s);
	sum = trees_sum(cx, n, t, every_row(cx->arena, t), t->leaves, false);
	s.keys = trees_keys_buffer(cx, s.k, 1);
	r = lower_for(cx, "r", t->rows);
	trees_fill_keys(cx, s.k, s.keys, r, 1);
	trees_sum_begin(&sum, loop_affine(&cx->b, r, t->outputs, 0));
	walk_tables(&s, &sum, depth);
	trees_sum_end(&sum);
	lower_end_to(cx, 0);
}

/* ---- packed ---- */

typedef struct {
	int32_t ntests, nplaces;
	int32_t *slot, *size, *row; /* by test, by test, by place */
	int32_t *first, *below;     /* by tree: its first test, and how many it has */
	uint64_t *limit;
} Preorder;

/* Subtrees that are used several times are there as often. */
static void
append_tree(Arena *a, const Trees *t, const TreeKeys *k, int32_t root, const int32_t *below,
            Preorder *p)
{
	VEC(int32_t) todo = {0};

	VEC_PUSH(a, &todo, root);
	while (todo.n > 0) {
		int32_t i = todo.v[--todo.n];

		if (is_leaf(t, i)) {
			p->row[p->nplaces++] = t->yes[i];
			continue;
		}
		p->slot[p->ntests] = k->slot_of[i];
		p->limit[p->ntests] = k->limit[i];
		p->size[p->ntests++] = below[trees_low(t, i)];
		VEC_PUSH(a, &todo, trees_high(t, i));
		VEC_PUSH(a, &todo, trees_low(t, i));
	}
}

static Preorder
make_preorder(Arena *a, const Trees *t, const TreeKeys *k, int32_t tests)
{
	Preorder p = {.slot = ARENA_ARRAY(a, int32_t, tests),
	              .size = ARENA_ARRAY(a, int32_t, tests),
	              .row = ARENA_ARRAY(a, int32_t, tests + t->trees),
	              .first = ARENA_ARRAY(a, int32_t, t->trees),
	              .below = ARENA_ARRAY(a, int32_t, t->trees),
	              .limit = ARENA_ARRAY(a, uint64_t, tests)};
	const int32_t *below = trees_tests_below(a, t);

	for (int32_t i = 0; i < t->trees; i++) {
		p.first[i] = p.ntests;
		append_tree(a, t, k, t->root[i], below, &p);
		p.below[i] = p.ntests - p.first[i];
	}
	return p;
}

typedef struct {
	LowerCtx *cx;
	const Trees *t;
	const Preorder *p;
	LBuf *keys, *slot, *limit, *size, *below;
} Packed;

/* One step of the walk; see the top of the file. */
static void
step_packed(Packed *s, LVar *leaf, LVar *ahead, LVar *below)
{
	LBuilder *b = &s->cx->b;
	Expr *at = loop_add(b, loop_get(b, leaf), loop_get(b, ahead)), *size, *one;

	at = loop_let(b, "at", loop_clamp_idx(b, at, 0, s->p->ntests - 1));
	size = loop_let(b, "size", loop_cvt(b, DT_I32, loop_load(b, s->size, at)));
	one = loop_int(b, DT_I32, 1);
	loop_if(b, trees_is_low(b, s->keys, s->slot, s->limit, at));
	loop_set(b, ahead, loop_add(b, loop_get(b, ahead), one));
	loop_set(b, below, size);
	loop_else(b);
	size = loop_let(b, "skip", loop_add(b, size, one));
	loop_set(b, leaf, loop_add(b, loop_get(b, leaf), size));
	loop_set(b, below, loop_sub(b, loop_get(b, below), size));
	loop_end(b);
}

static void
walk_packed(Packed *s, TreeSum *sum, int32_t depth)
{
	LBuilder *b = &s->cx->b;
	int open = b->depth;
	Expr *zero = loop_int(b, DT_I32, 0), *tree, *place;
	LVar *next = loop_var(b, "next", zero), *leaf, *ahead, *below;

	/* Tree number i has i leaves more before it than tests. */
	tree = lower_for(s->cx, "tree", s->t->trees);
	leaf = loop_var(b, "leaf_at", loop_get(b, next));
	ahead = loop_var(b, "ahead", loop_sub(b, zero, loop_cvt(b, DT_I32, tree)));
	below = loop_var(b, "below", loop_cvt(b, DT_I32, loop_load(b, s->below, tree)));
	loop_set(b, next, loop_add(b, loop_add(b, loop_get(b, next), loop_get(b, below)),
	                           loop_int(b, DT_I32, 1)));
	loop_for_while(b, "level", 0, depth, loop_op2(b, KOP_GT, loop_get(b, below), zero));
	step_packed(s, leaf, ahead, below);
	loop_end(b);
	place = loop_clamp_idx(b, loop_get(b, leaf), 0, s->p->nplaces - 1);
	trees_sum_add(sum, loop_let(b, "place", place), tree);
	lower_end_to(s->cx, open);
}

void
trees_lower_packed(LowerCtx *cx, const Node *n, const Trees *t)
{
	Arena *a = cx->arena;
	int32_t tests = trees_count_tests(a, t, NULL), depth = trees_depth(a, t, NULL);
	Packed s = {.cx = cx, .t = t};
	TreeKeys *k = trees_keys(a, t, t->keys);
	Preorder p;
	TreeSum sum;
	Expr *r;

	p = make_preorder(a, t, k, tests);
	s.p = &p;
	s.slot = trees_int_table(cx, "slot", tests, p.slot);
	s.limit = trees_number_table(cx, "limit", k->type, tests, p.limit);
	s.size = trees_int_table(cx, "size", tests, p.size);
	s.below = trees_int_table(cx, "below", t->trees, p.below);
	sum = trees_sum(cx, n, t, p.row, p.nplaces, false);
	s.keys = trees_keys_buffer(cx, k, 1);
	r = lower_for(cx, "r", t->rows);
	trees_fill_keys(cx, k, s.keys, r, 1);
	trees_sum_begin(&sum, loop_affine(&cx->b, r, t->outputs, 0));
	walk_packed(&s, &sum, depth);
	trees_sum_end(&sum);
	lower_end_to(cx, 0);
}
