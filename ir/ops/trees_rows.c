/*
 * The lowering of `trees` for many rows side by side, one in each lane.
 *
 * All tests of a tree are made, in preorder with the low child first, and each is the
 * same few operations on all rows, which compilers turn into vector instructions on
 * bytes.  Of a row is known the first leaf that is still possible:
 *
 *	at += at == first leaf below the test && key >= limit ? leaves below the low child : 0
 *
 * A test that the walk does not come to changes nothing: when an ancestor sent the row
 * high past it, `at` is behind its leaves, and when one sent it low, `at` never gets as
 * far.  When all tests are made, `at` is the leaf.  That is QuickScorer (Lucchese and
 * others, SIGIR 2015) with a number for its bits: a byte holds 256 leaves instead of 8.
 *
 * Leaves go into the result in the order of the trees.
 */
#include "ir/ops/trees.h"
#include "ir/ops/trees_keys.h"

enum { LANES = TREE_LANES, MAX_LEAVES = UINT16_MAX + 1 };

typedef struct {
	LowerCtx *cx;
	LBuilder *b;
	const Node *n;
	const Trees *t;
	TreeKeys *k;
	int64_t out_stride, base_stride; /* elements from row to row */
	int32_t ntests, nplaces;
	int32_t *slot_of, *first_of, *skip_of; /* by test */
	uint64_t *limit_of;
	int32_t *test_of, *place_of; /* by tree, where its own begin, with an end */
	int32_t *row;                /* by place */
	DType leaf;                  /* of numbers of leaves */
	LBuf *keys, *at, *slot, *limit, *first, *skip, *test, *place, *fence;
} Rows;

static int32_t
most_tests(Arena *a, const Trees *t)
{
	const int32_t *below = trees_tests_below(a, t);
	int32_t most = 0;

	for (int32_t i = 0; i < t->trees; i++)
		most = below[t->root[i]] > most ? below[t->root[i]] : most;
	return most;
}

bool
trees_fit_rows(Arena *a, const Trees *t)
{
	return most_tests(a, t) < MAX_LEAVES;
}

/* ---- Tables ---- */

static void
add_tree(Rows *s, int32_t tree, const int32_t *below)
{
	const Trees *t = s->t;
	VEC(int32_t) todo = {0};

	VEC_PUSH(s->cx->arena, &todo, t->root[tree]);
	while (todo.n > 0) {
		int32_t i = todo.v[--todo.n];

		if (trees_mode(t, i) == TREE_LEAF) {
			s->row[s->nplaces++] = t->yes[i];
			continue;
		}
		s->slot_of[s->ntests] = s->k->slot_of[i];
		s->limit_of[s->ntests] = s->k->limit[i];
		s->first_of[s->ntests] = s->nplaces - s->place_of[tree];
		s->skip_of[s->ntests] = below[trees_low(t, i)] + 1;
		s->ntests++;
		VEC_PUSH(s->cx->arena, &todo, trees_high(t, i));
		VEC_PUSH(s->cx->arena, &todo, trees_low(t, i));
	}
}

/* Room behind the last place for every number that `at` can hold, so that it needs no
 * check. */
static int32_t
places_with_room(const Rows *s)
{
	return s->leaf == DT_U8 ? s->place_of[s->t->trees - 1] + UINT8_MAX + 1 : s->nplaces;
}

static TreeSum
make_tables(Rows *s)
{
	const Trees *t = s->t;
	Arena *a = s->cx->arena;
	const int32_t *below = trees_tests_below(a, t);
	int32_t tests = trees_count_tests(a, t, NULL), places;

	s->leaf = most_tests(a, t) <= UINT8_MAX ? DT_U8 : DT_U16;
	s->slot_of = ARENA_ARRAY(a, int32_t, tests);
	s->first_of = ARENA_ARRAY(a, int32_t, tests);
	s->skip_of = ARENA_ARRAY(a, int32_t, tests);
	s->limit_of = ARENA_ARRAY(a, uint64_t, tests);
	s->row = ARENA_ARRAY(a, int32_t, tests + t->trees + UINT8_MAX);
	s->test_of = ARENA_ARRAY(a, int32_t, t->trees + 1);
	s->place_of = ARENA_ARRAY(a, int32_t, t->trees + 1);
	for (int32_t i = 0; i < t->trees; i++) {
		add_tree(s, i, below);
		s->test_of[i + 1] = s->ntests;
		s->place_of[i + 1] = s->nplaces;
	}
	places = places_with_room(s);
	s->nplaces = places > s->nplaces ? places : s->nplaces;
	s->slot = trees_int_table(s->cx, "slot", tests, s->slot_of);
	s->limit = trees_number_table(s->cx, "limit", s->k->type, tests, s->limit_of);
	s->first = trees_typed_table(s->cx, "first", s->leaf, tests, s->first_of);
	s->skip = trees_typed_table(s->cx, "skip", s->leaf, tests, s->skip_of);
	s->test = trees_int_table(s->cx, "first_test", t->trees + 1, s->test_of);
	s->place = trees_int_table(s->cx, "first_place", t->trees, s->place_of);
	return trees_sum(s->cx, s->n, t, s->row, s->nplaces, true);
}

/* ---- Code ---- */

/* Element `at` of a table as a value of its own. */
static Expr *
number_of(Rows *s, const char *name, LBuf *table, Expr *at)
{
	return loop_let(s->b, name, loop_cvt(s->b, DT_U32, loop_load(s->b, table, at)));
}

static Expr *
as_bit(LBuilder *b, const char *name, Expr *condition)
{
	return loop_let(b, name, loop_cvt(b, DT_U32, condition));
}

/*
 * One test of all lanes.  In arithmetic, since clang makes branches of conditions.  The
 * store to `fence` keeps gcc from fusing the loops of several tests
 * (-floop-unroll-and-jam), which then are no vectors any more: 15 times slower.
 */
static void
make_test(Rows *s, Expr *test, int32_t lanes)
{
	LBuilder *b = s->b;
	int depth = b->depth;
	Expr *slot = loop_let(b, "slot", loop_cvt(b, DT_IDX, loop_load(b, s->slot, test)));
	Expr *limit = loop_let(b, "limit", loop_load_compute(b, s->limit, test));
	Expr *first = number_of(s, "first", s->first, test);
	Expr *skip = number_of(s, "skip", s->skip, test), *lane, *key, *at, *high, *here;
	Expr *keys = loop_let(b, "first_key", loop_affine(b, slot, lanes, 0));

	loop_store(b, s->fence, slot, loop_load(b, s->first, test));
	lane = lower_for(s->cx, "lane", lanes);
	key = loop_load_compute(b, s->keys, loop_add(b, keys, lane));
	at = loop_cvt(b, DT_U32, loop_load(b, s->at, lane));
	high = as_bit(b, "high", loop_op2(b, KOP_GE, key, limit));
	here = as_bit(b, "here", loop_op2(b, KOP_EQ, at, first));
	skip = loop_op2(b, KOP_AND, skip,
	                loop_op1(b, KOP_NEG, loop_op2(b, KOP_AND, high, here)));
	loop_store_cvt(b, s->at, lane, loop_add(b, at, skip));
	lower_end_to(s->cx, depth);
}

/* Starts the results of all lanes. */
static void
store_base(Rows *s, Expr *first_row, int32_t lanes)
{
	LBuilder *b = s->b;
	int depth = b->depth;
	Expr *lane = lower_for(s->cx, "lane", lanes);
	Expr *row = lower_let(s->cx, "row", loop_add(b, first_row, lane));
	Expr *k = lower_for(s->cx, "k", s->t->outputs);

	loop_store(b, s->cx->out[0], loop_add(b, loop_affine(b, row, s->out_stride, 0), k),
	           trees_base(s->cx, s->n, loop_affine(b, row, s->base_stride, 0), k));
	lower_end_to(s->cx, depth);
}

static void
add_leaves(Rows *s, TreeSum *sum, Expr *first_row, Expr *tree, int32_t lanes)
{
	LBuilder *b = s->b;
	int depth = b->depth;
	Expr *from = loop_let(b, "from", loop_cvt(b, DT_IDX, loop_load(b, s->place, tree)));
	Expr *lane = lower_for(s->cx, "lane", lanes);
	Expr *at = loop_cvt(b, DT_IDX, loop_load(b, s->at, lane)), *place = loop_add(b, from, at);

	if (s->leaf != DT_U8)
		place = loop_op2(b, KOP_MIN, place, loop_idx(b, s->nplaces - 1));
	place = lower_let(s->cx, "place", place);
	sum->out = lower_let(s->cx, "out",
	                     loop_affine(b, loop_add(b, first_row, lane), s->out_stride, 0));
	trees_sum_add(sum, place, tree);
	lower_end_to(s->cx, depth);
}

static void
walk_lanes(Rows *s, TreeSum *sum, Expr *first_row, int32_t lanes)
{
	LBuilder *b = s->b;
	int open = b->depth, inside;
	Expr *tree, *test, *lane;

	trees_fill_keys(s->cx, s->k, s->keys, first_row, lanes);
	store_base(s, first_row, lanes);
	tree = lower_for(s->cx, "tree", s->t->trees);
	inside = b->depth;
	lane = lower_for(s->cx, "lane", lanes);
	loop_store(b, s->at, lane, loop_const(b, s->leaf, 0));
	lower_end_to(s->cx, inside);
	test = loop_for_expr(b, "test", loop_cvt(b, DT_IDX, loop_load(b, s->test, tree)),
	                     loop_cvt(b, DT_IDX,
	                              loop_load(b, s->test, loop_affine(b, tree, 1, 1))));
	make_test(s, test, lanes);
	lower_end_to(s->cx, inside);
	add_leaves(s, sum, first_row, tree, lanes);
	lower_end_to(s->cx, open);
}

static void
walk_rows(Rows *s, int32_t rows)
{
	int32_t blocks = rows / LANES, rest = rows % LANES, most = blocks ? LANES : rest;
	TreeSum sum = make_tables(s);

	s->keys = trees_keys_buffer(s->cx, s->k, most);
	s->at = lower_scratch(s->cx, "leaf", s->leaf, most);
	s->fence = lower_scratch(s->cx, "fence", s->leaf, s->k->nslots);
	if (blocks) {
		Expr *block = lower_for(s->cx, "block", blocks);

		walk_lanes(s, &sum, lower_let(s->cx, "rows", loop_affine(s->b, block, LANES, 0)),
		           LANES);
		lower_end_to(s->cx, 0);
	}
	if (rest)
		walk_lanes(s, &sum, loop_idx(s->b, (int64_t)blocks * LANES), rest);
	lower_end_to(s->cx, 0);
}

void
trees_lower_rows(LowerCtx *cx, const Node *n, const Trees *t)
{
	Rows s = {.cx = cx, .b = &cx->b, .n = n, .t = t, .k = trees_keys(cx->arena, t, t->keys),
	          .out_stride = t->outputs, .base_stride = t->outputs};

	walk_rows(&s, t->rows);
}

/* ---- For NAME_run_batch ---- */

bool
trees_have_many_rows(Arena *a, const Trees *t)
{
	int32_t tests = trees_count_tests(a, t, NULL);

	return tests > 0 && tests < TREE_MAX_TESTS && trees_have_keys(t) && trees_fit_rows(a, t);
}

/* Makes a buffer that has one row have `rows`. */
static void
stretch(LBuf *buf, int32_t rows, int32_t stride)
{
	if (buf)
		buf->count += (rows - 1) * stride;
}

LFunc *
node_lower_rows(Arena *a, const Node *n, int32_t rows, const RowStrides *stride)
{
	LowerCtx cx;
	Trees t;
	Rows s = {.cx = &cx, .b = &cx.b, .n = n, .t = &t};
	bool base;

	if (n->op != OP_TREES || !((const Attr_TREES *)n->attr)->batch)
		return NULL;
	t = trees_of(n);
	if (t.rows != 1 || !trees_have_many_rows(a, &t))
		return NULL;
	base = n->nins > TREES_BASE && n->in[TREES_BASE] && !n->in[TREES_BASE]->data;
	if (base && n->in[TREES_BASE]->type.rank != n->out[0]->type.rank)
		return NULL;
	lower_begin(&cx, a, n);
	stretch(cx.in[TREES_X], rows, stride->in[TREES_X]);
	stretch(cx.out[0], rows, stride->out[0]);
	if (base) {
		stretch(cx.in[TREES_BASE], rows, stride->in[TREES_BASE]);
		s.base_stride = stride->in[TREES_BASE];
	}
	s.k = trees_keys(a, &t, TREE_KEYS_rank);
	s.k->stride = stride->in[TREES_X];
	s.out_stride = stride->out[0];
	walk_rows(&s, rows);
	return loop_finish(&cx.b);
}
