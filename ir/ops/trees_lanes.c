/*
 * The lowerings of `trees` that walk several trees at a time, so that the loads of one
 * hide behind those of the others, and without a branch that depends on data.
 *
 * TREE_CODE_complete makes every tree complete to the depth of the deepest.  Node i has
 * the children 2 i and 2 i + 1, so a step is
 *
 *	at = 2 * at + (key[slot[at]] < limit[at])
 *
 * TREE_CODE_interleaved has the children of a node side by side, the low one second, and
 * one word of 64 bits a node: the number of the low child, the greatest key that is low,
 * the slot of the key.  Taking the key from the word borrows from the number of the child
 * when the key is greater, so a step is
 *
 *	word = node[at]
 *	at = (word - (key[slot of word] << bits of a slot)) >> bits below the child
 *
 * Leaves are their own low child for all keys.  A group of trees makes as many steps as
 * the deepest of them needs.
 *
 * Leaves go into the result in the order of the trees.
 */
#include "ir/ops/trees.h"
#include "ir/ops/trees_keys.h"

enum { MAX_LANES = 16, MANY_TREES = 64 };

/* Complete trees have this many places at most, all together. */
enum { MAX_PLACES = 1 << 26, MAX_COMPLETE_DEPTH = 20 };

static bool
is_leaf(const Trees *t, int32_t node)
{
	return trees_mode(t, node) == TREE_LEAF;
}

static int32_t
lanes_of(const Trees *t)
{
	return t->trees >= MANY_TREES ? MAX_LANES : MAX_LANES / 2;
}

/* ---- complete ---- */

typedef struct {
	LowerCtx *cx;
	const Trees *t;
	const TreeKeys *k;
	int32_t depth, size; /* size: 2^depth */
	LBuf *keys, *slot, *limit;
} Complete;

/* A node of the ensemble at a place of its complete tree. */
typedef struct {
	int32_t node, place, level;
} Placed;

/* Fills in tree number `tree`; places that no test needs stay 0 and lead to the same
 * leaf either way. */
static void
place_tree(const Complete *s, int32_t tree, int32_t *slot, uint64_t *limit, int32_t *row)
{
	const Trees *t = s->t;
	size_t start = (size_t)tree * (size_t)s->size;
	VEC(Placed) todo = {0};

	VEC_PUSH(s->cx->arena, &todo, ((Placed){t->root[tree], 1, 0}));
	while (todo.n > 0) {
		Placed p = todo.v[--todo.n];
		int32_t up = s->depth - p.level;

		if (is_leaf(t, p.node)) {
			int32_t from = (p.place << up) - s->size;

			for (int32_t i = 0; i < 1 << up; i++)
				row[start + (size_t)(from + i)] = t->yes[p.node];
			continue;
		}
		slot[start + (size_t)p.place] = s->k->slot_of[p.node];
		limit[start + (size_t)p.place] = s->k->limit[p.node];
		VEC_PUSH(s->cx->arena, &todo,
		         ((Placed){trees_high(t, p.node), 2 * p.place, p.level + 1}));
		VEC_PUSH(s->cx->arena, &todo,
		         ((Placed){trees_low(t, p.node), 2 * p.place + 1, p.level + 1}));
	}
}

/* `count` trees from number `first` (idx) on. */
static void
walk_complete(Complete *s, TreeSum *sum, Expr *first, int32_t count)
{
	LBuilder *b = &s->cx->b;
	Expr *at[MAX_LANES], *start[MAX_LANES];

	for (int32_t i = 0; i < count; i++) {
		start[i] = loop_affine(b, loop_affine(b, first, 1, i), s->size, 0);
		at[i] = loop_idx(b, 1);
	}
	for (int32_t level = 0; level < s->depth; level++)
		for (int32_t i = 0; i < count; i++) {
			Expr *here = loop_add(b, start[i], at[i]);
			Expr *low = trees_is_low(b, s->keys, s->slot, s->limit, here);

			low = loop_cvt(b, DT_IDX, low);
			at[i] = loop_let(b, "at", loop_add(b, loop_affine(b, at[i], 2, 0), low));
		}
	for (int32_t i = 0; i < count; i++)
		trees_sum_add(sum, loop_add(b, start[i], loop_affine(b, at[i], 1, -s->size)),
		              loop_affine(b, first, 1, i));
}

static TreeSum
make_complete(Complete *s, const Node *n)
{
	const Trees *t = s->t;
	Arena *a = s->cx->arena;
	int32_t places = t->trees * s->size;
	int32_t *slot = ARENA_ARRAY(a, int32_t, places), *row = ARENA_ARRAY(a, int32_t, places);
	uint64_t *limit = ARENA_ARRAY(a, uint64_t, places);

	for (int32_t i = 0; i < t->trees; i++)
		place_tree(s, i, slot, limit, row);
	s->slot = trees_int_table(s->cx, "slot", places, slot);
	s->limit = trees_number_table(s->cx, "limit", s->k->type, places, limit);
	return trees_sum(s->cx, n, t, row, places, true);
}

bool
trees_fit_complete(const Trees *t, int32_t depth)
{
	return depth > 0 && depth <= MAX_COMPLETE_DEPTH &&
	       (int64_t)t->trees << depth <= MAX_PLACES / t->width;
}

/* Opens a loop over whole groups of trees, calls `walk` in it, and once more for the
 * rest behind it. */
typedef void WalkTrees(void *s, TreeSum *sum, Expr *first, int32_t count);

static void
walk_groups(LowerCtx *cx, const Trees *t, WalkTrees *walk, void *s, TreeSum *sum)
{
	int32_t lanes = lanes_of(t), groups = t->trees / lanes;
	int depth = cx->b.depth;

	if (groups > 0) {
		Expr *g = lower_for(cx, "group", groups);

		walk(s, sum, lower_let(cx, "tree", loop_affine(&cx->b, g, lanes, 0)), lanes);
		lower_end_to(cx, depth);
	}
	if (t->trees % lanes)
		walk(s, sum, loop_idx(&cx->b, groups * lanes), t->trees % lanes);
}

static void
walk_some_complete(void *s, TreeSum *sum, Expr *first, int32_t count)
{
	walk_complete(s, sum, first, count);
}

void
trees_lower_complete(LowerCtx *cx, const Node *n, const Trees *t)
{
	Complete s = {.cx = cx, .t = t, .k = trees_keys(cx->arena, t, t->keys)};
	TreeSum sum;
	Expr *r;

	s.depth = trees_depth(cx->arena, t, NULL);
	s.size = 1 << s.depth;
	sum = make_complete(&s, n);
	s.keys = trees_keys_buffer(cx, s.k, 1);
	r = lower_for(cx, "r", t->rows);
	trees_fill_keys(cx, s.k, s.keys, r, 1);
	trees_sum_begin(&sum, loop_affine(&cx->b, r, t->outputs, 0));
	walk_groups(cx, t, walk_some_complete, &s, &sum);
	trees_sum_end(&sum);
	lower_end_to(cx, 0);
}

/* ---- interleaved ---- */

typedef struct {
	LowerCtx *cx;
	const Trees *t;
	const TreeKeys *k;
	int32_t nodes;
	int slot_bits;
	uint64_t *word;
	int32_t *row, *root; /* by node; by tree */
	const int32_t *depth; /* by tree */
	LBuf *keys, *node, *roots, *steps;
} Interleaved;

/* A node of the ensemble with its number in the table. */
typedef struct {
	int32_t node, number;
} Numbered;

/* How many bits numbers below n take. */
static int
bits_below(int64_t n)
{
	int bits = 1;

	while ((int64_t)1 << bits < n)
		bits++;
	return bits;
}

/* Whether slot and child fit beside a limit of 32 bits, and the word is positive. */
bool
trees_fit_words(const TreeKeys *k, int64_t nodes)
{
	return dtype_info[k->type].bytes <= 4 && bits_below(k->nslots) + bits_below(nodes) <= 31;
}

static uint64_t
make_word(const Interleaved *s, int32_t slot, uint64_t greatest, int32_t low)
{
	return ((uint64_t)low << 32 | greatest) << s->slot_bits | (uint64_t)slot;
}

/* Numbers nodes level by level, so that what most walks visit lies together. */
static void
number_tree(Interleaved *s, int32_t tree)
{
	const Trees *t = s->t;
	VEC(Numbered) queue = {0};

	s->root[tree] = s->nodes;
	VEC_PUSH(s->cx->arena, &queue, ((Numbered){t->root[tree], s->nodes++}));
	for (int i = 0; i < queue.n; i++) {
		Numbered q = queue.v[i];
		uint64_t limit;

		/* Any slot will do.  Words that differ in their low half only now and then make
		 * gcc slow, whose table of constants goes by that. */
		if (is_leaf(t, q.node)) {
			int32_t slot = s->k->nslots > 0 ? q.number % s->k->nslots : 0;

			s->row[q.number] = t->yes[q.node];
			s->word[q.number] = make_word(s, slot, UINT32_MAX, q.number);
			continue;
		}
		/* No key is below 0: then all take the high child. */
		limit = s->k->limit[q.node];
		s->word[q.number] = limit ? make_word(s, s->k->slot_of[q.node], limit - 1,
		                                      s->nodes + 1)
		                          : make_word(s, 0, UINT32_MAX, s->nodes);
		VEC_PUSH(s->cx->arena, &queue, ((Numbered){trees_high(t, q.node), s->nodes++}));
		VEC_PUSH(s->cx->arena, &queue, ((Numbered){trees_low(t, q.node), s->nodes++}));
	}
}

static void
make_words(Interleaved *s, int32_t nodes)
{
	const Trees *t = s->t;
	Arena *a = s->cx->arena;

	s->slot_bits = bits_below(s->k->nslots);
	s->word = ARENA_ARRAY(a, uint64_t, nodes);
	s->row = ARENA_ARRAY(a, int32_t, nodes);
	s->root = ARENA_ARRAY(a, int32_t, t->trees);
	for (int32_t i = 0; i < t->trees; i++)
		number_tree(s, i);
	s->node = lower_table(s->cx, "node", DT_U64, nodes, s->word);
	s->roots = trees_int_table(s->cx, "root", t->trees, s->root);
}

static void
step_lane(Interleaved *s, LVar *at)
{
	LBuilder *b = &s->cx->b;
	Expr *word = loop_let(b, "word", loop_load(b, s->node, loop_get(b, at))), *slot, *key;

	slot = loop_op2(b, KOP_AND, word, loop_int(b, DT_U64, ((int64_t)1 << s->slot_bits) - 1));
	key = loop_cvt(b, DT_U64, loop_load_compute(b, s->keys, loop_cvt(b, DT_IDX, slot)));
	key = loop_op2(b, KOP_SHL, key, loop_int(b, DT_U64, s->slot_bits));
	word = loop_op2(b, KOP_SHR, loop_sub(b, word, key),
	                loop_int(b, DT_U64, 32 + s->slot_bits));
	loop_set(b, at, loop_cvt(b, DT_IDX, word));
}

static int32_t
deepest_of(const Interleaved *s, int32_t first, int32_t count)
{
	int32_t most = 0;

	for (int32_t i = first; i < first + count; i++)
		most = s->depth[i] > most ? s->depth[i] : most;
	return most;
}

/* Steps that the group at hand makes. */
static Expr *
steps_of(Interleaved *s, Expr *first, int32_t count)
{
	LBuilder *b = &s->cx->b;
	int32_t groups = s->t->trees / count, *most;

	if (first->kind == E_CONST)
		return loop_idx(b, deepest_of(s, (int32_t)first->u.i, count));
	most = ARENA_ARRAY(s->cx->arena, int32_t, groups);
	for (int32_t i = 0; i < groups; i++)
		most[i] = deepest_of(s, i * count, count);
	s->steps = trees_int_table(s->cx, "steps", groups, most);
	return loop_cvt(b, DT_IDX, loop_load(b, s->steps, loop_op2(b, KOP_DIV, first,
	                                                          loop_idx(b, count))));
}

static void
walk_interleaved(void *state, TreeSum *sum, Expr *first, int32_t count)
{
	Interleaved *s = state;
	LBuilder *b = &s->cx->b;
	LVar *at[MAX_LANES];
	Expr *steps = steps_of(s, first, count);

	for (int32_t i = 0; i < count; i++)
		at[i] = loop_var_idx(b, arena_printf(s->cx->arena, "at%d", (int)i),
		                     loop_cvt(b, DT_IDX,
		                              loop_load(b, s->roots, loop_affine(b, first, 1, i))),
		                     0, s->nodes - 1);
	loop_for_expr(b, "level", loop_idx(b, 0), steps);
	for (int32_t i = 0; i < count; i++)
		step_lane(s, at[i]);
	loop_end(b);
	for (int32_t i = 0; i < count; i++)
		trees_sum_add(sum, loop_get(b, at[i]), loop_affine(b, first, 1, i));
}

void
trees_lower_interleaved(LowerCtx *cx, const Node *n, const Trees *t)
{
	Arena *a = cx->arena;
	int32_t tests = trees_count_tests(a, t, NULL), *depth = ARENA_ARRAY(a, int32_t, t->trees);
	Interleaved s = {.cx = cx, .t = t, .k = trees_keys(a, t, t->keys), .depth = depth};
	int64_t nodes = 2 * (int64_t)tests + t->trees;
	TreeSum sum;
	Expr *r;

	trees_depth(a, t, depth);
	make_words(&s, (int32_t)nodes);
	sum = trees_sum(cx, n, t, s.row, s.nodes, true);
	s.keys = lower_scratch(cx, "keys", s.k->type, 1 << s.slot_bits);
	r = lower_for(cx, "r", t->rows);
	trees_fill_keys(cx, s.k, s.keys, r, 1);
	trees_sum_begin(&sum, loop_affine(&cx->b, r, t->outputs, 0));
	walk_groups(cx, t, walk_interleaved, &s, &sum);
	trees_sum_end(&sum);
	lower_end_to(cx, 0);
}
