/*
 * The lowering of `trees` to nested conditions with the thresholds as literals, one
 * tree after the other.  A pass sees to it that a node has not too many trees for one
 * function, and the child that is told to be likely comes first.
 *
 * With keys (attribute `keys`, not `none`) conditions compare integers with literals,
 * which a processor without floats does in one instruction; else they compare what the
 * trees compare.
 */
#include "ir/ops/trees.h"

typedef struct {
	LowerCtx *cx;
	LBuilder *b;
	const Node *n;
	Trees t;
	const TreeKeys *k; /* NULL: none */
	LBuf *keys;
	Expr *row, *out;
	LVar *sum;  /* the only result, when there is one */
	LVar *leaf; /* of the tree at hand: its row of `value`; NULL: `v` has the value */
	LVar *v;
} Branches;

/* Levels of the builder that are left for rows and the like. */
enum { MAX_BRANCH_DEPTH = 40 };

bool
trees_fit_branches(Arena *a, const Trees *t)
{
	return trees_depth(a, t, NULL) <= MAX_BRANCH_DEPTH;
}

/* ---- Conditions ---- */

static Expr *
set_test(LowerCtx *cx, const Trees *t, int32_t node, Expr *x)
{
	LBuilder *b = &cx->b;
	int32_t set = (int32_t)value_float(t->threshold, node);
	int32_t start = t->set_start[set], count = t->set_start[set + 1] - start;
	TreeMode mode = trees_mode(t, node);
	Expr *c = loop_let(b, "c", loop_cvt(b, DT_I32, x)), *inside, *word, *bit;

	if (count == 0)
		return loop_bool(b, false);
	inside = loop_op2(b, KOP_LT, loop_cvt(b, DT_U32, c),
	                  loop_int(b, DT_U32, (int64_t)count * 32));
	if (mode == TREE_IN_EXACT)
		inside = loop_op2(b, KOP_AND, inside, loop_op2(b, KOP_EQ, loop_cvt(b, x->type, c), x));
	if (mode == TREE_IN_FLOOR)
		inside = loop_op2(b, KOP_AND, inside,
		                  loop_op2(b, KOP_GE, x, loop_float(b, x->type, 0)));
	if (count == 1) {
		word = loop_int(b, DT_U32, t->set_word[start]);
	} else {
		Expr *at = loop_op2(b, KOP_SHR, c, loop_int(b, DT_I32, 5));

		at = loop_add(b, loop_clamp_idx(b, at, 0, count - 1), loop_idx(b, start));
		word = loop_load(b, cx->in[TREES_SET_WORD], at);
	}
	bit = loop_op2(b, KOP_AND, loop_cvt(b, DT_U32, c), loop_int(b, DT_U32, 31));
	bit = loop_op2(b, KOP_AND, loop_op2(b, KOP_SHR, word, bit), loop_int(b, DT_U32, 1));
	return loop_select(b, inside, loop_op2(b, KOP_NE, bit, loop_int(b, DT_U32, 0)),
	                   loop_bool(b, false));
}

static Expr *
compare(LowerCtx *cx, const Trees *t, int32_t node, KOp op, Expr *x)
{
	return loop_op2(&cx->b, op, x,
	                loop_float(&cx->b, x->type, value_float(t->threshold, node)));
}

Expr *
trees_test(LowerCtx *cx, const Trees *t, int32_t node, Expr *x)
{
	static const KOp op[] = {[TREE_LE] = KOP_LE, [TREE_LT] = KOP_LT, [TREE_GE] = KOP_GE,
	                         [TREE_GT] = KOP_GT, [TREE_EQ] = KOP_EQ, [TREE_NE] = KOP_NE};
	TreeMode m = trees_mode(t, node);

	return tree_mode_is_set(m) ? set_test(cx, t, node, x) : compare(cx, t, node, op[m], x);
}

/* The same, but yes for NaN where that is as cheap; NULL where it is not. */
static Expr *
test_or_nan(Branches *s, int32_t node, Expr *x)
{
	static const KOp opposite[TREE_MODE_COUNT] = {
		[TREE_LE] = KOP_GT, [TREE_LT] = KOP_GE, [TREE_GE] = KOP_LT, [TREE_GT] = KOP_LE};
	TreeMode m = trees_mode(&s->t, node);

	if (m == TREE_NE)
		return trees_test(s->cx, &s->t, node, x);
	if (m < TREE_LE || m > TREE_GT)
		return NULL;
	return loop_op1(s->b, KOP_NOT, compare(s->cx, &s->t, node, opposite[m], x));
}

static Expr *
is_missing(Branches *s, int32_t node, Expr *x)
{
	LBuilder *b = s->b;
	Expr *nan = loop_op2(b, KOP_NE, x, x);

	if (!(s->t.mode[node] & TREE_ZERO_MISSING))
		return nan;
	return loop_op2(b, KOP_OR, nan,
	                loop_op2(b, KOP_LE, loop_op1(b, KOP_ABS, x),
	                         loop_float(b, x->type, TREE_ZERO)));
}

/* Whether `yes` is next, where x is missing too; the node has no third child. */
static Expr *
goes_to_yes(Branches *s, int32_t node, Expr *x)
{
	bool zero = s->t.mode[node] & TREE_ZERO_MISSING;
	bool missing_yes = s->t.missing[node] == s->t.yes[node];
	Expr *e = missing_yes && !zero ? test_or_nan(s, node, x) : NULL;

	if (e)
		return e;
	e = trees_test(s->cx, &s->t, node, x);
	if (missing_yes)
		return loop_op2(s->b, KOP_OR, is_missing(s, node, x), e);
	/* What casting makes of NaN is in a set, perhaps. */
	if (!zero && trees_mode(&s->t, node) >= TREE_LE && trees_mode(&s->t, node) <= TREE_EQ)
		return e;
	return loop_op2(s->b, KOP_AND, loop_op1(s->b, KOP_NOT, is_missing(s, node, x)), e);
}

/* Whether the key of the node sends the row to `yes`. */
static Expr *
key_goes_to_yes(Branches *s, int32_t node)
{
	LBuilder *b = s->b;
	Expr *key = loop_load_compute(b, s->keys, loop_idx(b, s->k->slot_of[node]));
	bool low = trees_low(&s->t, node) == s->t.yes[node];

	return loop_op2(b, low ? KOP_LT : KOP_GE, key,
	                loop_int(b, key->type, (int64_t)s->k->limit[node]));
}

/* ---- Trees ---- */

static void
print_node(Branches *s, int32_t node)
{
	LBuilder *b = s->b;
	const Trees *t = &s->t;
	Expr *x;

	if (trees_mode(t, node) == TREE_LEAF) {
		if (s->leaf)
			loop_set(b, s->leaf, loop_idx(b, t->yes[node]));
		else
			loop_set(b, s->v, loop_const(b, s->v->type, value_float(t->value, t->yes[node])));
		return;
	}
	if (s->k) {
		loop_if(b, key_goes_to_yes(s, node));
		print_node(s, t->yes[node]);
		loop_else(b);
		print_node(s, t->no[node]);
		loop_end(b);
		return;
	}
	x = loop_load_compute(b, s->cx->in[TREES_X],
	                      loop_add(b, s->row, loop_idx(b, t->feature[node])));
	x = loop_let(b, "x", loop_cvt(b, t->threshold->type.dtype, x));
	if (t->missing[node] != t->yes[node] && t->missing[node] != t->no[node]) {
		loop_if(b, is_missing(s, node, x));
		print_node(s, t->missing[node]);
		loop_else(b);
		loop_if(b, trees_test(s->cx, t, node, x));
		print_node(s, t->yes[node]);
		loop_else(b);
		print_node(s, t->no[node]);
		loop_end(b);
		loop_end(b);
		return;
	}
	loop_if(b, goes_to_yes(s, node, x));
	print_node(s, t->yes[node]);
	loop_else(b);
	print_node(s, t->no[node]);
	loop_end(b);
}

static void
take_number(Branches *s, int32_t target)
{
	const Attr_TREES *a = s->n->attr;
	LBuilder *b = s->b;
	Expr *v = loop_get(b, s->v), *to;

	if (s->sum) {
		loop_set(b, s->sum, trees_take_in(b, a->aggregate, loop_get(b, s->sum), v));
		return;
	}
	to = loop_affine(b, s->out, 1, target);
	loop_store(b, s->cx->out[0], to,
	           trees_take_in(b, a->aggregate, loop_load(b, s->cx->out[0], to), v));
}

static void
print_tree(Branches *s, int32_t tree)
{
	LBuilder *b = s->b;
	int32_t target = trees_only_target(s->cx->arena, &s->t, tree);

	s->leaf = NULL;
	if (target >= 0)
		s->v = loop_var(b, "v", loop_const(b, s->cx->out[0]->elem, 0));
	else
		s->leaf = loop_var_idx(b, "leaf", loop_idx(b, 0), 0, s->t.leaves - 1);
	print_node(s, s->t.root[tree]);
	if (s->leaf)
		trees_add_leaf(s->cx, s->n, &s->t, s->out, loop_get(s->b, s->leaf));
	else
		take_number(s, target);
}

void
trees_lower_branches(LowerCtx *cx, const Node *n, const Trees *t)
{
	LBuilder *b = &cx->b;
	Branches s = {.cx = cx, .b = b, .n = n, .t = *t};
	Expr *r;

	if (t->keys != TREE_KEYS_none)
		s.k = trees_keys(cx->arena, t, t->keys);
	if (s.k)
		s.keys = trees_keys_buffer(cx, s.k, 1);
	r = lower_for(cx, "r", t->rows);
	s.out = lower_let(cx, "out", loop_affine(b, r, t->outputs, 0));
	s.row = lower_let(cx, "row", loop_affine(b, r, t->features, 0));
	if (s.k)
		trees_fill_keys(cx, s.k, s.keys, r, 1);
	if (t->outputs == 1)
		s.sum = loop_var(b, "sum", trees_base(cx, n, s.out, loop_idx(b, 0)));
	else
		trees_store_base(cx, n, s.out);
	for (int32_t i = 0; i < t->trees; i++)
		print_tree(&s, i);
	if (s.sum)
		loop_store(b, cx->out[0], s.out, loop_get(b, s.sum));
	lower_end_to(cx, 0);
}
