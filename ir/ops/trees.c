/*
 * Ensembles of decision trees: the shape rule, which checks all that ir/trees.h
 * demands of the constants, and the reference lowering, a walk over the arrays.
 */
#include "ir/trees.h"

#include "ir/lower.h"
#include "ir/ops/infer.h"
#include "ir/ops/trees.h"

Trees
trees_of(const Node *n)
{
	const Attr_TREES *a = n->attr;
	const Type *value = &n->in[TREES_VALUE]->type;
	const Value *const *in = (const Value *const *)n->in;
	Trees t = {.nodes = type_numel(&in[TREES_MODE]->type),
	           .trees = type_numel(&in[TREES_ROOT]->type),
	           .leaves = value->dim[0],
	           .width = value->dim[1],
	           .outputs = (int32_t)a->outputs,
	           .features = in[TREES_X]->type.dim[in[TREES_X]->type.rank - 1],
	           .rows = type_product(&in[TREES_X]->type, 0, in[TREES_X]->type.rank - 1),
	           .x_type = in[TREES_X]->type.dtype,
	           .keys = a->keys,
	           .aggregate = a->aggregate,
	           .feature = in[TREES_FEATURE]->data,
	           .yes = in[TREES_YES]->data,
	           .no = in[TREES_NO]->data,
	           .missing = in[TREES_MISSING]->data,
	           .root = in[TREES_ROOT]->data,
	           .mode = in[TREES_MODE]->data,
	           .threshold = in[TREES_THRESHOLD],
	           .value = in[TREES_VALUE]};

	if (n->nins > TREES_TARGET && in[TREES_TARGET])
		t.target = in[TREES_TARGET]->data;
	if (n->nins > TREES_SET_WORD && in[TREES_SET_START] && in[TREES_SET_WORD]) {
		t.set_start = in[TREES_SET_START]->data;
		t.set_word = in[TREES_SET_WORD]->data;
		t.sets = type_numel(&in[TREES_SET_START]->type) - 1;
		t.words = type_numel(&in[TREES_SET_WORD]->type);
	}
	for (int32_t i = 0; i < t.nodes; i++) {
		int mode = t.mode[i] & TREE_MODE_MASK;

		/* The shape rule looks at arrays that are not checked yet. */
		if (mode < TREE_MODE_COUNT)
			t.has_mode[mode] = true;
		t.has_zero_missing |= (t.mode[i] & TREE_ZERO_MISSING) != 0;
	}
	return t;
}

int32_t
trees_depth(Arena *a, const Trees *t, int32_t *depth)
{
	int32_t *below = ARENA_ARRAY(a, int32_t, t->nodes), deepest = 0;

	for (int32_t i = t->nodes - 1; i >= 0; i--) {
		int32_t most = 0;

		if (trees_mode(t, i) == TREE_LEAF)
			continue;
		most = below[t->yes[i]] > most ? below[t->yes[i]] : most;
		most = below[t->no[i]] > most ? below[t->no[i]] : most;
		most = below[t->missing[i]] > most ? below[t->missing[i]] : most;
		below[i] = most + 1;
	}
	for (int32_t i = 0; i < t->trees; i++) {
		int32_t here = below[t->root[i]];

		deepest = here > deepest ? here : deepest;
		if (depth)
			depth[i] = here;
	}
	return deepest;
}

/* ---- The shape rule ---- */

/* What each constant is. */
static const struct {
	unsigned dtypes;
	int rank;
	bool optional;
} rule[TREES_INPUTS] = {
	[TREES_FEATURE] = {1 << DT_I32, 1, false},
	[TREES_THRESHOLD] = {1 << DT_F32 | 1 << DT_F64, 1, false},
	[TREES_YES] = {1 << DT_I32, 1, false},
	[TREES_NO] = {1 << DT_I32, 1, false},
	[TREES_MISSING] = {1 << DT_I32, 1, false},
	[TREES_MODE] = {1 << DT_U8, 1, false},
	[TREES_ROOT] = {1 << DT_I32, 1, false},
	[TREES_VALUE] = {1 << DT_I8 | 1 << DT_I16 | 1 << DT_I32 | 1 << DT_F32 | 1 << DT_F64, 2,
	                 false},
	[TREES_TARGET] = {1 << DT_I32, 1, true},
	[TREES_SET_START] = {1 << DT_I32, 1, true},
	[TREES_SET_WORD] = {1 << DT_U32, 1, true},
};

static bool
check_constants(const Node *n, Diag *d)
{
	for (int i = TREES_FEATURE; i < n->nins; i++) {
		if (i == TREES_BASE || !n->in[i])
			continue;
		if (!check_dtype(n, d, i, rule[i].dtypes) ||
		    !check_rank(n, d, i, rule[i].rank, rule[i].rank))
			return false;
		if (!value_is_const(n->in[i]))
			return bad_input(n, d, E_DYNAMIC, i, "trees must be constant");
	}
	return true;
}

static bool
check_lengths(const Node *n, Diag *d)
{
	int32_t nodes = n->in[TREES_MODE]->type.dim[0];
	const Type *value = &n->in[TREES_VALUE]->type;

	for (int i = TREES_FEATURE; i <= TREES_MODE; i++)
		if (!check_vector(n, d, i, nodes))
			return false;
	if (value->dim[0] < 1 || value->dim[1] < 1)
		return bad_input(n, d, E_SHAPE, TREES_VALUE, "there are no values");
	if (nodes < 1 || n->in[TREES_ROOT]->type.dim[0] < 1)
		return bad_input(n, d, E_SHAPE, TREES_ROOT, "there are no trees");
	return n->nins <= TREES_TARGET || check_vector(n, d, TREES_TARGET, value->dim[0]);
}

static bool
is_child(const Trees *t, int32_t parent, int32_t child)
{
	return child > parent && child < t->nodes;
}

static bool
check_test(const Node *n, Diag *d, const Trees *t, int32_t i)
{
	double threshold = value_float(t->threshold, i);

	if (!is_child(t, i, t->yes[i]) || !is_child(t, i, t->no[i]) ||
	    !is_child(t, i, t->missing[i]))
		return bad_input(n, d, E_VALUE, TREES_YES, "node %d: a child is no later node", i);
	if (t->feature[i] < 0 || t->feature[i] >= t->features)
		return bad_input(n, d, E_VALUE, TREES_FEATURE, "node %d: feature %d of %d", i,
		                 t->feature[i], t->features);
	if (threshold != threshold)
		return bad_input(n, d, E_VALUE, TREES_THRESHOLD, "node %d: it is NaN", i);
	if (tree_mode_is_set(trees_mode(t, i)) &&
	    !(threshold >= 0 && threshold < t->sets && threshold == (double)(int32_t)threshold))
		return bad_input(n, d, E_VALUE, TREES_THRESHOLD, "node %d: no number of a set", i);
	return true;
}

static bool
check_nodes(const Node *n, Diag *d, const Trees *t)
{
	for (int32_t i = 0; i < t->nodes; i++) {
		if (t->mode[i] & ~(TREE_MODE_MASK | TREE_ZERO_MISSING) ||
		    trees_mode(t, i) >= TREE_MODE_COUNT || t->mode[i] == TREE_ZERO_MISSING)
			return bad_input(n, d, E_VALUE, TREES_MODE, "node %d: no mode", i);
		if (trees_mode(t, i) != TREE_LEAF) {
			if (!check_test(n, d, t, i))
				return false;
		} else if (t->yes[i] < 0 || t->yes[i] >= t->leaves) {
			return bad_input(n, d, E_VALUE, TREES_YES, "node %d: value %d of %d", i,
			                 t->yes[i], t->leaves);
		}
	}
	for (int32_t i = 0; i < t->trees; i++)
		if (t->root[i] < 0 || t->root[i] >= t->nodes)
			return bad_input(n, d, E_VALUE, TREES_ROOT, "tree %d: no node", i);
	return true;
}

/* Sets are not larger than what an i32 of a float can name. */
static bool
check_sets(const Node *n, Diag *d, const Trees *t)
{
	for (int32_t i = 0; i < t->sets; i++)
		if (t->set_start[i] < 0 || t->set_start[i] > t->set_start[i + 1] ||
		    t->set_start[i + 1] > t->words ||
		    t->set_start[i + 1] - t->set_start[i] > TREE_MAX_SET / 32)
			return bad_input(n, d, E_VALUE, TREES_SET_START, "set %d: no words", i);
	return true;
}

static bool
check_targets(const Node *n, Diag *d, const Trees *t)
{
	for (int32_t i = 0; i < t->leaves; i++) {
		int32_t target = t->target ? t->target[i] : 0;

		if (target < 0 || target > t->outputs - t->width)
			return bad_input(n, d, E_VALUE, t->target ? TREES_TARGET : TREES_VALUE,
			                 "value %d does not fit %d outputs", i, t->outputs);
	}
	return true;
}

static bool
check_base(const Node *n, Diag *d, const Type *out)
{
	const Type *base;

	if (n->nins <= TREES_BASE || !n->in[TREES_BASE])
		return true;
	base = &n->in[TREES_BASE]->type;
	if (!check_dtype(n, d, TREES_BASE, 1u << out->dtype))
		return false;
	if (type_same_shape(base, out) || (base->rank == 1 && base->dim[0] == out->dim[out->rank - 1]))
		return true;
	return bad_input(n, d, E_SHAPE, TREES_BASE, "neither a row nor the shape of the result");
}

bool
infer_trees(const Node *n, Type *out, Diag *d)
{
	const Attr_TREES *a = n->attr;
	const Type *x = &n->in[TREES_X]->type;
	Trees t;

	if (!check_rank(n, d, TREES_X, 1, MAX_RANK) || !check_dtype(n, d, TREES_X, SET_NUMBER) ||
	    !check_constants(n, d) || !check_lengths(n, d) ||
	    !check_range(n, d, "outputs", a->outputs, 1, INT32_MAX))
		return false;
	out[0].dtype = dtype_compute(n->in[TREES_VALUE]->type.dtype);
	if (!push_dims(n, d, &out[0], x, 0, x->rank - 1) || !push_dim(n, d, &out[0], a->outputs))
		return false;
	t = trees_of(n);
	return check_sets(n, d, &t) && check_nodes(n, d, &t) && check_targets(n, d, &t) &&
	       check_base(n, d, &out[0]);
}

/* ---- The reference lowering ---- */

typedef struct {
	LowerCtx *cx;
	LBuilder *b;
	const Node *n;
	Trees t;
	Expr *row; /* the first feature of the row */
} Walk;

static Expr *
load(Walk *w, int input, Expr *at)
{
	return loop_load(w->b, w->cx->in[input], at);
}

/* Whether the mode is one of those that the table has, as a condition. */
static Expr *
is_mode(Walk *w, Expr *mode, TreeMode m)
{
	return loop_op2(w->b, KOP_EQ, mode, loop_int(w->b, DT_I32, m));
}

/* Whether bit `c` (i32) is in the set whose number is the threshold. */
static Expr *
bit_is_set(Walk *w, Expr *threshold, Expr *c)
{
	LBuilder *b = w->b;
	Expr *set = loop_let(b, "set", loop_clamp_idx(b, loop_cvt(b, DT_I32, threshold), 0,
	                                              w->t.sets - 1));
	Expr *start = loop_let(b, "start", load(w, TREES_SET_START, set));
	Expr *end = load(w, TREES_SET_START, loop_affine(b, set, 1, 1));
	Expr *at = loop_let(b, "word", loop_op2(b, KOP_SHR, c, loop_int(b, DT_I32, 5)));
	Expr *inside = loop_op2(b, KOP_AND,
	                        loop_op2(b, KOP_GE, c, loop_int(b, DT_I32, 0)),
	                        loop_op2(b, KOP_LT, at, loop_sub(b, end, start)));
	Expr *word = load(w, TREES_SET_WORD, loop_clamp_idx(b, loop_add(b, start, at), 0,
	                                                    w->t.words - 1));
	Expr *low = loop_op2(b, KOP_AND, loop_cvt(b, DT_U32, c), loop_int(b, DT_U32, 31));
	Expr *bit = loop_op2(b, KOP_AND, loop_op2(b, KOP_SHR, word, low),
	                     loop_int(b, DT_U32, 1));

	return loop_select(b, inside, loop_op2(b, KOP_NE, bit, loop_int(b, DT_U32, 0)),
	                   loop_bool(b, false));
}

/* Whether x is in the set, by the rule of the mode. */
static Expr *
is_member(Walk *w, Expr *mode, Expr *x, Expr *threshold)
{
	LBuilder *b = w->b;
	Expr *c = loop_let(b, "c", loop_cvt(b, DT_I32, x));
	Expr *in = loop_let(b, "in", bit_is_set(w, threshold, c));
	Expr *exact = loop_op2(b, KOP_EQ, loop_cvt(b, x->type, c), x);
	Expr *positive = loop_op2(b, KOP_GE, x, loop_float(b, x->type, 0));
	Expr *ok = loop_select(b, is_mode(w, mode, TREE_IN_EXACT), exact,
	                       loop_select(b, is_mode(w, mode, TREE_IN_FLOOR), positive,
	                                   loop_bool(b, true)));

	return loop_op2(b, KOP_AND, ok, in);
}

/* What the test of a node says of x, which is not missing. */
static Expr *
outcome(Walk *w, Expr *mode, Expr *x, Expr *threshold)
{
	static const KOp op[] = {[TREE_LE] = KOP_LE, [TREE_LT] = KOP_LT, [TREE_GE] = KOP_GE,
	                         [TREE_GT] = KOP_GT, [TREE_EQ] = KOP_EQ, [TREE_NE] = KOP_NE};
	bool sets = w->t.has_mode[TREE_IN_EXACT] || w->t.has_mode[TREE_IN_FLOOR] ||
	            w->t.has_mode[TREE_IN_TRUNC];
	Expr *e = sets ? is_member(w, mode, x, threshold) : NULL;

	for (TreeMode m = TREE_LE; m <= TREE_NE; m++) {
		Expr *test;

		if (!w->t.has_mode[m])
			continue;
		test = loop_op2(w->b, op[m], x, threshold);
		e = e ? loop_select(w->b, is_mode(w, mode, m), test, e) : test;
	}
	return e;
}

static Expr *
is_missing(Walk *w, Expr *mode, Expr *x)
{
	LBuilder *b = w->b;
	Expr *nan = loop_op2(b, KOP_NE, x, x);
	Expr *flag, *zero;

	if (!w->t.has_zero_missing)
		return nan;
	flag = loop_op2(b, KOP_NE,
	                loop_op2(b, KOP_AND, mode, loop_int(b, DT_I32, TREE_ZERO_MISSING)),
	                loop_int(b, DT_I32, 0));
	zero = loop_op2(b, KOP_LE, loop_op1(b, KOP_ABS, x), loop_float(b, x->type, TREE_ZERO));
	return loop_op2(b, KOP_OR, nan, loop_op2(b, KOP_AND, flag, zero));
}

/* One step: from the node at `at` to its child. */
static void
step(Walk *w, LVar *at)
{
	LBuilder *b = w->b;
	Expr *here = loop_get(b, at);
	Expr *flags = loop_let(b, "flags", loop_cvt(b, DT_I32, load(w, TREES_MODE, here)));
	Expr *mode = loop_let(b, "mode", loop_op2(b, KOP_AND, flags,
	                                          loop_int(b, DT_I32, TREE_MODE_MASK)));
	Expr *feature = loop_clamp_idx(b, load(w, TREES_FEATURE, here), 0, w->t.features - 1);
	Expr *threshold = loop_let(b, "threshold", load(w, TREES_THRESHOLD, here));
	Expr *x = load(w, TREES_X, loop_add(b, w->row, feature)), *test, *next;

	x = loop_let(b, "value", loop_cvt(b, threshold->type,
	                                  loop_cvt(b, dtype_compute(x->type), x)));
	test = outcome(w, mode, x, threshold);
	next = loop_select(b, is_missing(w, flags, x), load(w, TREES_MISSING, here),
	                   loop_select(b, test, load(w, TREES_YES, here), load(w, TREES_NO, here)));
	loop_set(b, at, loop_clamp_idx(b, next, 0, w->t.nodes - 1));
}

Expr *
trees_take_in(LBuilder *b, TreeAggregate how, Expr *y, Expr *v)
{
	switch (how) {
	case TREES_sum: return loop_add(b, y, v);
	case TREES_min: return loop_op2(b, KOP_MIN, y, v);
	case TREES_max: return loop_op2(b, KOP_MAX, y, v);
	case TREES_COUNT: break;
	}
	return y;
}

/* What the result begins with where there is no base. */
static Expr *
neutral(LBuilder *b, TreeAggregate how, DType t)
{
	bool is_float = dtype_is_float(t);

	if (how == TREES_min)
		return is_float ? loop_float(b, t, HUGE_VAL) : loop_int(b, t, INT32_MAX);
	if (how == TREES_max)
		return is_float ? loop_float(b, t, -HUGE_VAL) : loop_int(b, t, INT32_MIN);
	return loop_const(b, t, 0);
}

Expr *
trees_base(LowerCtx *cx, const Node *n, Expr *row, Expr *k)
{
	const Attr_TREES *a = n->attr;
	LBuilder *b = &cx->b;
	LBuf *base = n->nins > TREES_BASE ? cx->in[TREES_BASE] : NULL;

	if (!base)
		return neutral(b, a->aggregate, cx->out[0]->elem);
	if (n->in[TREES_BASE]->type.rank == 1 && n->out[0]->type.rank != 1)
		return loop_load(b, base, k);
	return loop_load(b, base, loop_add(b, row, k));
}

void
trees_store_base(LowerCtx *cx, const Node *n, Expr *row)
{
	LBuilder *b = &cx->b;
	int depth = b->depth;
	Expr *k = lower_for(cx, "k", (int32_t)((const Attr_TREES *)n->attr)->outputs);

	loop_store(b, cx->out[0], loop_add(b, row, k), trees_base(cx, n, row, k));
	lower_end_to(cx, depth);
}

void
trees_add_leaf(LowerCtx *cx, const Node *n, const Trees *t, Expr *row, Expr *leaf)
{
	const Attr_TREES *a = n->attr;
	LBuilder *b = &cx->b;
	LBuf *y = cx->out[0];
	int depth = b->depth;
	Expr *first = row, *k, *at, *v;

	if (t->target)
		first = loop_add(b, row, loop_clamp_idx(b, loop_load(b, cx->in[TREES_TARGET], leaf), 0,
		                                        t->outputs - t->width));
	first = lower_let(cx, "first", first);
	k = lower_for(cx, "k", t->width);
	v = loop_load_compute(b, cx->in[TREES_VALUE],
	                      loop_add(b, loop_affine(b, leaf, t->width, 0), k));
	at = loop_add(b, first, k);
	loop_store(b, y, at, trees_take_in(b, a->aggregate, loop_load(b, y, at), v));
	lower_end_to(cx, depth);
}

static void
lower_walk(LowerCtx *cx, const Node *n)
{
	LBuilder *b = &cx->b;
	Walk w = {cx, b, n, trees_of(n), NULL};
	const Type *x = &n->in[TREES_X]->type;
	int32_t depth = trees_depth(cx->arena, &w.t, NULL);
	Expr *r = lower_for(cx, "r", type_product(x, 0, x->rank - 1));
	Expr *out_row = lower_let(cx, "out", loop_affine(b, r, w.t.outputs, 0)), *tree, *go;
	LVar *at;

	w.row = lower_let(cx, "row", loop_affine(b, r, w.t.features, 0));
	trees_store_base(cx, n, out_row);
	tree = lower_for(cx, "tree", w.t.trees);
	at = loop_var_idx(b, "at", loop_clamp_idx(b, load(&w, TREES_ROOT, tree), 0, w.t.nodes - 1),
	                  0, w.t.nodes - 1);
	if (depth > 0) {
		go = loop_op2(b, KOP_NE,
		              loop_cvt(b, DT_I32, load(&w, TREES_MODE, loop_get(b, at))),
		              loop_int(b, DT_I32, TREE_LEAF));
		loop_for_while(b, "level", 0, depth, go);
		step(&w, at);
		loop_end(b);
	}
	trees_add_leaf(cx, n, &w.t, out_row,
	         loop_let(b, "leaf", loop_clamp_idx(b, load(&w, TREES_YES, loop_get(b, at)), 0,
	                                            w.t.leaves - 1)));
	lower_end_to(cx, 0);
}

void
lower_trees(LowerCtx *cx, const Node *n)
{
	const Attr_TREES *a = n->attr;
	Trees t = trees_of(n);

	static void (*const lower[TREE_CODE_COUNT])(LowerCtx *, const Node *, const Trees *) = {
		[TREE_CODE_tables] = trees_lower_tables,
		[TREE_CODE_packed] = trees_lower_packed,
		[TREE_CODE_interleaved] = trees_lower_interleaved,
		[TREE_CODE_complete] = trees_lower_complete,
		[TREE_CODE_vectors] = trees_lower_vectors,
		[TREE_CODE_branches] = trees_lower_branches,
	};

	/* What a pass has chosen, unless the text of a graph asks for the impossible. */
	if (lower[a->code] && trees_have_code(cx->arena, &t, a->code, a->keys))
		lower[a->code](cx, n, &t);
	else
		lower_walk(cx, n);
}
