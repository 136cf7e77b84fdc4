/*
 * The lowering of `trees` to nested conditions with the thresholds as literals, one
 * tree after the other.  A pass sees to it that a node has not too many trees for one
 * function.
 */
#include "ir/ops/trees.h"

typedef struct {
	LowerCtx *cx;
	LBuilder *b;
	const Node *n;
	Trees t;
	Expr *row, *out;
	LVar *sum;  /* the only result, when there is one */
	LVar *leaf; /* of the tree at hand: its row of `value`; NULL: `v` has the value */
	LVar *v;
} Branches;

/* Levels of the builder that are left for rows and the like. */
enum { MAX_BRANCH_DEPTH = 40 };

bool
trees_have_branches(Arena *a, const Trees *t)
{
	return trees_depth(a, t, NULL) <= MAX_BRANCH_DEPTH;
}

/* ---- Conditions ---- */

static Expr *
set_test(Branches *s, int32_t node, Expr *x)
{
	LBuilder *b = s->b;
	int32_t set = (int32_t)value_float(s->t.threshold, node);
	int32_t start = s->t.set_start[set], count = s->t.set_start[set + 1] - start;
	TreeMode mode = trees_mode(&s->t, node);
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
		word = loop_int(b, DT_U32, s->t.set_word[start]);
	} else {
		Expr *at = loop_op2(b, KOP_SHR, c, loop_int(b, DT_I32, 5));

		at = loop_add(b, loop_clamp_idx(b, at, 0, count - 1), loop_idx(b, start));
		word = loop_load(b, s->cx->in[TREES_SET_WORD], at);
	}
	bit = loop_op2(b, KOP_AND, loop_cvt(b, DT_U32, c), loop_int(b, DT_U32, 31));
	bit = loop_op2(b, KOP_AND, loop_op2(b, KOP_SHR, word, bit), loop_int(b, DT_U32, 1));
	return loop_select(b, inside, loop_op2(b, KOP_NE, bit, loop_int(b, DT_U32, 0)),
	                   loop_bool(b, false));
}

static Expr *
compare(Branches *s, int32_t node, KOp op, Expr *x)
{
	return loop_op2(s->b, op, x,
	                loop_float(s->b, x->type, value_float(s->t.threshold, node)));
}

/* Whether the test of the node says yes to x, where NaN is a no.  (Not equal says yes.) */
static Expr *
test(Branches *s, int32_t node, Expr *x)
{
	switch (trees_mode(&s->t, node)) {
	case TREE_LE: return compare(s, node, KOP_LE, x);
	case TREE_LT: return compare(s, node, KOP_LT, x);
	case TREE_GE: return compare(s, node, KOP_GE, x);
	case TREE_GT: return compare(s, node, KOP_GT, x);
	case TREE_EQ: return compare(s, node, KOP_EQ, x);
	case TREE_NE: return compare(s, node, KOP_NE, x);
	case TREE_IN_EXACT:
	case TREE_IN_FLOOR:
	case TREE_IN_TRUNC: return set_test(s, node, x);
	case TREE_LEAF:
	case TREE_MODE_COUNT: break;
	}
	return loop_bool(s->b, false);
}

/* The same, but yes for NaN where that is as cheap; NULL where it is not. */
static Expr *
test_or_nan(Branches *s, int32_t node, Expr *x)
{
	static const KOp opposite[TREE_MODE_COUNT] = {
		[TREE_LE] = KOP_GT, [TREE_LT] = KOP_GE, [TREE_GE] = KOP_LT, [TREE_GT] = KOP_LE};
	TreeMode m = trees_mode(&s->t, node);

	if (m == TREE_NE)
		return test(s, node, x);
	if (m < TREE_LE || m > TREE_GT)
		return NULL;
	return loop_op1(s->b, KOP_NOT, compare(s, node, opposite[m], x));
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
	e = test(s, node, x);
	if (missing_yes)
		return loop_op2(s->b, KOP_OR, is_missing(s, node, x), e);
	/* What casting makes of NaN is in a set, perhaps. */
	if (!zero && trees_mode(&s->t, node) >= TREE_LE && trees_mode(&s->t, node) <= TREE_EQ)
		return e;
	return loop_op2(s->b, KOP_AND, loop_op1(s->b, KOP_NOT, is_missing(s, node, x)), e);
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
	x = loop_load_compute(b, s->cx->in[TREES_X],
	                      loop_add(b, s->row, loop_idx(b, t->feature[node])));
	x = loop_let(b, "x", loop_cvt(b, t->threshold->type.dtype, x));
	if (t->missing[node] != t->yes[node] && t->missing[node] != t->no[node]) {
		loop_if(b, is_missing(s, node, x));
		print_node(s, t->missing[node]);
		loop_else(b);
		loop_if(b, test(s, node, x));
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

/* Whether all leaves below the node go to one output; *target is that, or -1 at first. */
static bool
has_one_target(const Trees *t, int32_t node, int32_t *target)
{
	int32_t to;

	if (trees_mode(t, node) != TREE_LEAF)
		return has_one_target(t, t->yes[node], target) &&
		       has_one_target(t, t->no[node], target) &&
		       (t->missing[node] == t->yes[node] || t->missing[node] == t->no[node] ||
		        has_one_target(t, t->missing[node], target));
	to = t->target ? t->target[t->yes[node]] : 0;
	if (*target >= 0 && *target != to)
		return false;
	*target = to;
	return true;
}

/* The output that the numbers of the tree's leaves go to, or -1 where it depends. */
static int32_t
only_target(const Trees *t, int32_t tree)
{
	int32_t target = -1;

	return t->width == 1 && has_one_target(t, t->root[tree], &target) ? target : -1;
}

static void
take_row(Branches *s)
{
	const Attr_TREES *a = s->n->attr;
	LBuilder *b = s->b;
	LBuf *y = s->cx->out[0];
	int depth = b->depth;
	Expr *leaf = loop_get(b, s->leaf), *first = s->out, *k, *v, *to;

	if (s->t.target)
		first = loop_add(b, first,
		                 loop_clamp_idx(b, loop_load(b, s->cx->in[TREES_TARGET], leaf), 0,
		                                s->t.outputs - s->t.width));
	first = lower_let(s->cx, "first", first);
	k = lower_for(s->cx, "k", s->t.width);
	v = loop_load(b, s->cx->in[TREES_VALUE], loop_add(b, loop_affine(b, leaf, s->t.width, 0), k));
	to = loop_add(b, first, k);
	loop_store(b, y, to, trees_take_in(b, a->aggregate, loop_load(b, y, to), v));
	lower_end_to(s->cx, depth);
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
	int32_t target = only_target(&s->t, tree);

	s->leaf = NULL;
	if (target >= 0)
		s->v = loop_var(b, "v", loop_const(b, s->t.value->type.dtype, 0));
	else
		s->leaf = loop_var_idx(b, "leaf", loop_idx(b, 0), 0, s->t.leaves - 1);
	print_node(s, s->t.root[tree]);
	if (s->leaf)
		take_row(s);
	else
		take_number(s, target);
}

void
trees_lower_branches(LowerCtx *cx, const Node *n)
{
	LBuilder *b = &cx->b;
	Branches s = {.cx = cx, .b = b, .n = n, .t = trees_of(n)};
	const Type *x = &n->in[TREES_X]->type;
	Expr *r = lower_for(cx, "r", type_product(x, 0, x->rank - 1));

	s.out = lower_let(cx, "out", loop_affine(b, r, s.t.outputs, 0));
	s.row = lower_let(cx, "row", loop_affine(b, r, s.t.features, 0));
	if (s.t.outputs == 1)
		s.sum = loop_var(b, "sum", trees_base(cx, n, s.out, loop_idx(b, 0)));
	else
		trees_store_base(cx, n, s.out);
	for (int32_t i = 0; i < s.t.trees; i++)
		print_tree(&s, i);
	if (s.sum)
		loop_store(b, cx->out[0], s.out, loop_get(b, s.sum));
	lower_end_to(cx, 0);
}
