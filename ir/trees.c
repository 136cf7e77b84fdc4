/*
 * Making the constants of an ensemble from the trees of a file.
 *
 * Nodes are numbered anew in the order of a walk that goes to `yes`, then `no`, then
 * to a `missing` of its own, so that children come behind their parents and what is
 * not reached is left out.
 */
#include "ir/trees.h"

#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "ir/num.h"

struct Ensemble {
	Arena *arena;
	DType decide, sum;
	int32_t features, outputs, width;
	VEC(int32_t) feature;
	VEC(int32_t) yes;
	VEC(int32_t) no;
	VEC(int32_t) missing;
	VEC(int32_t) root;
	VEC(int32_t) target;
	VEC(int32_t) set_start;
	VEC(uint8_t) mode;
	VEC(double) threshold;
	VEC(double) value;
	VEC(uint32_t) set_word;
	int32_t *slot; /* of rows by their hash: number + 1, or 0 */
	int32_t nslots;
	bool has_targets;
};

Ensemble *
ensemble_new(Arena *a, DType decide, DType sum, int32_t features, int32_t outputs, int32_t width)
{
	Ensemble *e = ARENA_NEW(a, Ensemble);

	assert(decide == DT_F32 || decide == DT_F64);
	e->arena = a;
	e->decide = decide;
	e->sum = sum;
	e->features = features;
	e->outputs = outputs;
	e->width = width;
	return e;
}

/* ---- Rows of values ---- */

static uint32_t
hash_row(const double *v, int32_t n, int32_t target)
{
	return (uint32_t)hash_bytes(HASH_START ^ (uint32_t)target, v, (size_t)n * sizeof *v);
}

/* Where the row is among the slots, or belongs. */
static int32_t *
row_slot(Ensemble *e, const double *v, int32_t target)
{
	uint32_t mask = (uint32_t)e->nslots - 1, i = hash_row(v, e->width, target) & mask;

	while (e->slot[i]) {
		int32_t row = e->slot[i] - 1;

		if (e->target.v[row] == target &&
		    memcmp(e->value.v + (size_t)row * (size_t)e->width, v,
		           (size_t)e->width * sizeof *v) == 0)
			break;
		i = (i + 1) & mask;
	}
	return &e->slot[i];
}

static void
grow_slots(Ensemble *e)
{
	e->nslots = e->nslots ? 2 * e->nslots : 64;
	e->slot = ARENA_ARRAY(e->arena, int32_t, e->nslots);
	for (int32_t i = 0; i < e->target.n; i++)
		*row_slot(e, e->value.v + (size_t)i * (size_t)e->width, e->target.v[i]) = i + 1;
}

int32_t
ensemble_leaf(Ensemble *e, const double *values, int32_t target)
{
	int32_t *slot;
	double *row = ARENA_ARRAY(e->arena, double, e->width);

	assert(target >= 0 && target <= e->outputs - e->width);
	for (int32_t i = 0; i < e->width; i++)
		row[i] = e->sum == DT_F32 ? (double)(float)values[i] : values[i];
	if (2 * (e->target.n + 1) > e->nslots)
		grow_slots(e);
	slot = row_slot(e, row, target);
	if (*slot)
		return *slot - 1;
	for (int32_t i = 0; i < e->width; i++)
		VEC_PUSH(e->arena, &e->value, row[i]);
	VEC_PUSH(e->arena, &e->target, target);
	e->has_targets = e->has_targets || target != 0;
	*slot = e->target.n;
	return *slot - 1;
}

/* ---- Sets ---- */

int32_t
ensemble_set(Ensemble *e, const uint32_t *word, int32_t nwords)
{
	while (nwords > 0 && word[nwords - 1] == 0)
		nwords--;
	if (e->set_start.n == 0)
		VEC_PUSH(e->arena, &e->set_start, 0);
	for (int32_t i = 0; i < nwords; i++)
		VEC_PUSH(e->arena, &e->set_word, word[i]);
	VEC_PUSH(e->arena, &e->set_start, e->set_word.n);
	return e->set_start.n - 2;
}

/* ---- Trees ---- */

/* A node that is to be numbered, and where its number goes. */
typedef struct {
	int32_t node;
	const TreeNode *parent; /* NULL: none */
	int32_t number;         /* the parent's */
	int branch;             /* 0 yes, 1 no, 2 missing */
} Visit;

typedef struct {
	Ensemble *e;
	const TreeNode *node;
	int32_t n;
	const char *what;
	const Loc *loc;
	Diag *d;
	bool *seen;
	VEC(Visit) todo;
} TreeWalk;

static bool
is_bad(TreeWalk *w, int32_t i, const char *why)
{
	return diag_report(w->d, w->loc, E_MALFORMED, "%s: node %d %s", w->what, i, why);
}

static bool
check_node(TreeWalk *w, int32_t i)
{
	const Ensemble *e = w->e;
	const TreeNode *t = &w->node[i];

	if (t->mode == TREE_LEAF) {
		assert(t->leaf >= 0 && t->leaf < e->target.n);
		return true;
	}
	if (t->feature < 0 || t->feature >= e->features)
		return is_bad(w, i, "tests a feature that there is not");
	if (!tree_mode_is_set(t->mode) && t->threshold != t->threshold)
		return is_bad(w, i, "compares with NaN");
	assert(!tree_mode_is_set(t->mode) || (t->set >= 0 && t->set + 1 < e->set_start.n));
	return true;
}

static bool
push(TreeWalk *w, int32_t node, const TreeNode *parent, int32_t number, int branch)
{
	Visit v = {node, parent, number, branch};

	if (node < 0 || node >= w->n)
		return is_bad(w, (int32_t)(parent - w->node), "has a child that there is not");
	if (w->seen[node])
		return is_bad(w, node, "is reached twice");
	w->seen[node] = true;
	VEC_PUSH(w->e->arena, &w->todo, v);
	return true;
}

/* Tells the parent the new number of its child. */
static void
link_parent(Ensemble *e, Visit v, int32_t number)
{
	const TreeNode *parent = v.parent;

	if (v.branch == 0)
		e->yes.v[v.number] = number;
	if (v.branch == 1)
		e->no.v[v.number] = number;
	if (v.branch == 2 || (v.branch == 0 && parent->missing == parent->yes) ||
	    (v.branch == 1 && parent->missing == parent->no))
		e->missing.v[v.number] = number;
}

static void
append_node(Ensemble *e, const TreeNode *t)
{
	double threshold = tree_mode_is_set(t->mode) ? t->set : t->threshold;
	bool leaf = t->mode == TREE_LEAF;

	VEC_PUSH(e->arena, &e->mode,
	         (uint8_t)(t->mode | (!leaf && t->zero_missing ? TREE_ZERO_MISSING : 0)));
	VEC_PUSH(e->arena, &e->feature, leaf ? 0 : t->feature);
	VEC_PUSH(e->arena, &e->threshold, leaf ? 0 : threshold);
	VEC_PUSH(e->arena, &e->yes, leaf ? t->leaf : 0);
	VEC_PUSH(e->arena, &e->no, 0);
	VEC_PUSH(e->arena, &e->missing, 0);
}

static bool
visit(TreeWalk *w, Visit v)
{
	Ensemble *e = w->e;
	const TreeNode *t = &w->node[v.node];
	int32_t number = e->mode.n;

	if (number == INT32_MAX / 16)
		return diag_report(w->d, w->loc, E_SIZE, "there are too many nodes");
	if (!check_node(w, v.node))
		return false;
	append_node(e, t);
	if (v.parent)
		link_parent(e, v, number);
	if (t->mode == TREE_LEAF)
		return true;
	if (t->missing != t->yes && t->missing != t->no && !push(w, t->missing, t, number, 2))
		return false;
	return push(w, t->no, t, number, 1) && push(w, t->yes, t, number, 0);
}

/* The test that says yes where this one says no, of numbers; TREE_LEAF: there is none. */
static TreeMode
opposite(TreeMode m)
{
	static const TreeMode to[TREE_MODE_COUNT] = {
		[TREE_LE] = TREE_GT, [TREE_LT] = TREE_GE, [TREE_GE] = TREE_LT,
		[TREE_GT] = TREE_LE, [TREE_EQ] = TREE_NE, [TREE_NE] = TREE_EQ};

	return to[m];
}

/* A copy of the nodes with the likely children first. */
static const TreeNode *
likely_first(Ensemble *e, const TreeNode *node, int32_t n)
{
	TreeNode *copy = arena_copy(e->arena, node, (size_t)n * sizeof *node);

	for (int32_t i = 0; i < n; i++) {
		TreeNode *t = &copy[i];
		int32_t yes = t->yes;

		if (opposite(t->mode) == TREE_LEAF || t->yes < 0 || t->yes >= n || t->no < 0 ||
		    t->no >= n || !(node[t->no].weight > node[t->yes].weight))
			continue;
		t->mode = opposite(t->mode);
		t->yes = t->no;
		t->no = yes;
	}
	return copy;
}

bool
ensemble_trees(Ensemble *e, const TreeNode *node, int32_t n, const int32_t *root, int32_t nroots,
               const char *what, const Loc *loc, Diag *d)
{
	TreeWalk w = {e, likely_first(e, node, n), n, what, loc, d,
	              ARENA_ARRAY(e->arena, bool, n), {0}};

	for (int32_t i = 0; i < nroots; i++) {
		if (root[i] < 0 || root[i] >= n)
			return diag_report(d, loc, E_MALFORMED, "%s: root %d is no node", what, i);
		VEC_PUSH(e->arena, &e->root, e->mode.n);
		if (!push(&w, root[i], NULL, 0, 0))
			return false;
		while (w.todo.n > 0)
			if (!visit(&w, w.todo.v[--w.todo.n]))
				return false;
	}
	return true;
}

bool
ensemble_tree(Ensemble *e, const TreeNode *node, int32_t n, int32_t root, const char *what,
              const Loc *loc, Diag *d)
{
	return ensemble_trees(e, node, n, &root, 1, what, loc, d);
}

/* ---- The operator ---- */

static Value *
vector(Graph *g, const char *name, DType t, int32_t n, const void *data)
{
	return graph_const(g, name, type_make(t, 1, &n), data);
}

/* The numbers in the type. */
static void *
converted(Arena *a, DType t, const double *v, int32_t n)
{
	void *data = arena_calloc(a, (size_t)n, (size_t)dtype_info[t].bytes);

	for (int32_t i = 0; i < n; i++)
		num_store(t, data, (size_t)i, v[i]);
	return data;
}

/* Without a tree the result is base alone: that of one that changes nothing.  Returns
 * the number of nodes. */
static int32_t
add_neutral_tree(Ensemble *e, TreeAggregate aggregate)
{
	TreeNode leaf = {.mode = TREE_LEAF};
	double *v = ARENA_ARRAY(e->arena, double, e->width);

	if (e->root.n > 0)
		return e->mode.n;
	for (int32_t i = 0; i < e->width; i++)
		v[i] = aggregate == TREES_sum   ? -0.0
		       : aggregate == TREES_min ? HUGE_VAL
		                                : -HUGE_VAL;
	leaf.leaf = ensemble_leaf(e, v, 0);
	VEC_PUSH(e->arena, &e->root, e->mode.n);
	append_node(e, &leaf);
	return e->mode.n;
}

Node *
ensemble_finish(Ensemble *e, Graph *g, Value *x, Value *base, TreeAggregate aggregate,
                const char *out_name)
{
	Arena *a = g->arena;
	int32_t n = add_neutral_tree(e, aggregate), shape[2] = {e->target.n, e->width};
	Value *in[TREES_INPUTS] = {x};
	int nins = TREES_INPUTS;
	Attr_TREES *attr;
	Node *node;

	in[TREES_FEATURE] = vector(g, "feature", DT_I32, n, e->feature.v);
	in[TREES_THRESHOLD] = vector(g, "threshold", e->decide, n,
	                             converted(a, e->decide, e->threshold.v, n));
	in[TREES_YES] = vector(g, "yes", DT_I32, n, e->yes.v);
	in[TREES_NO] = vector(g, "no", DT_I32, n, e->no.v);
	in[TREES_MISSING] = vector(g, "missing", DT_I32, n, e->missing.v);
	in[TREES_MODE] = vector(g, "mode", DT_U8, n, e->mode.v);
	in[TREES_ROOT] = vector(g, "root", DT_I32, e->root.n, e->root.v);
	in[TREES_VALUE] = graph_const(g, "value", type_make(e->sum, 2, shape),
	                              converted(a, e->sum, e->value.v, e->value.n));
	if (e->has_targets)
		in[TREES_TARGET] = vector(g, "target", DT_I32, e->target.n, e->target.v);
	in[TREES_BASE] = base;
	if (e->set_start.n > 0) {
		/* There may be no bits at all. */
		VEC_PUSH(a, &e->set_word, 0);
		in[TREES_SET_START] = vector(g, "set_start", DT_I32, e->set_start.n, e->set_start.v);
		in[TREES_SET_WORD] = vector(g, "set_word", DT_U32, e->set_word.n, e->set_word.v);
	}
	while (!in[nins - 1])
		nins--;
	node = graph_add(g, OP_TREES, nins, in, out_name);
	attr = node->attr;
	attr->outputs = e->outputs;
	attr->aggregate = aggregate;
	return node;
}
