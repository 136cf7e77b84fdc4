/*
 * Tree ensembles of ai.onnx.ml.
 *
 * Up to version 3 nodes are named by (tree, node), and leaves have any number of
 * weights for classes or targets.  Version 5 has one array of nodes for all trees and
 * one weight a leaf.
 */
#include <stdlib.h>
#include <string.h>

#include "frontend/onnx/ml.h"
#include "ir/trees.h"

/* Numbers of the dense table of leaf values. */
enum { MAX_LEAF_VALUES = 1 << 26 };

/* Members of sets are whole numbers below. */
enum { MAX_MEMBER = 1 << 16 };

/* ---- Attributes ---- */

/* An attribute of floats, or the tensor that stands for it when thresholds are
 * doubles. */
static Floats
floats_or_tensor(ONode *n, const char *name)
{
	const char *tensor = arena_printf(n->r->arena, "%s_as_tensor", name);
	Floats f = onnx_floats(n, name);
	const void *data;
	double *v;
	Type t;

	if (f.n > 0 || !onnx_has(n, tensor) || !onnx_tensor_attr(n, tensor, &t, &data))
		return f;
	v = ARENA_ARRAY(n->r->arena, double, type_numel(&t));
	for (int32_t i = 0; i < type_numel(&t); i++)
		v[i] = value_float(&(Value){.type = t, .data = data}, i);
	return (Floats){type_numel(&t), v};
}

/* A node by its names, in an order in which it can be found. */
typedef struct {
	int64_t tree, node;
	int index; /* in the file's arrays */
} Key;

static int
compare_keys(const void *a, const void *b)
{
	const Key *x = a, *y = b;

	if (x->tree != y->tree)
		return x->tree < y->tree ? -1 : 1;
	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

/* A weight that a leaf gives to an output. */
typedef struct {
	int key; /* of the leaf: its place among the sorted ones */
	int order;
	int64_t output;
	double weight;
} Weight;

static int
compare_weights(const void *a, const void *b)
{
	const Weight *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

typedef struct {
	ONode *n;
	int count;
	Ints tree, node, feature, yes, no, missing;
	TreeMode *mode;
	Floats value;
	Key *key;           /* sorted */
	int nweights;
	Weight *weight;     /* sorted by leaf */
	int *first;         /* by key: its weights are [first[k], first[k + 1]) */
	int outputs, width;
	double absent;      /* what a leaf gives to an output that it has no weight for */
	bool *scored;       /* by output: some leaf has a weight for it */
	bool covers_all;    /* every leaf gives something to every output */
	bool one_class, all_positive;
	Ensemble *e;
} Ens;

static bool
read_modes(Ens *f)
{
	static const char *const words[] = {"LEAF",       "BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE",
	                                    "BRANCH_GT",  "BRANCH_EQ",  "BRANCH_NEQ"};
	ONode *n = f->n;
	int count;
	const ProtobufCBinaryData *s = onnx_strings(n, "nodes_modes", &count);

	if (n->failed || count != f->count)
		return n->failed ? false : onnx_error_attr(n, "nodes_modes", E_ATTRIBUTE,
		                                           "there are %d modes for %d nodes",
		                                           count, f->count);
	f->mode = ARENA_ARRAY(n->r->arena, TreeMode, count);
	for (int i = 0; i < count; i++) {
		int k = 0;

		while (k < (int)(sizeof words / sizeof *words) &&
		       (strlen(words[k]) != s[i].len || memcmp(words[k], s[i].data, s[i].len) != 0))
			k++;
		if (k == (int)(sizeof words / sizeof *words))
			return onnx_error_attr(n, "nodes_modes", E_ATTRIBUTE, "'%.*s' is no mode",
			                       s[i].len < 40 ? (int)s[i].len : 40,
			                       (const char *)s[i].data);
		f->mode[i] = (TreeMode)k;
	}
	return true;
}

static bool
has_count(ONode *n, const char *name, int count, int wanted)
{
	return count == wanted || onnx_error_attr(n, name, E_ATTRIBUTE, "'%s' has %d entries, not %d",
	                                          name, count, wanted);
}

static bool
read_nodes(Ens *f)
{
	ONode *n = f->n;

	f->tree = onnx_ints(n, "nodes_treeids");
	f->node = onnx_ints(n, "nodes_nodeids");
	f->feature = onnx_ints(n, "nodes_featureids");
	f->yes = onnx_ints(n, "nodes_truenodeids");
	f->no = onnx_ints(n, "nodes_falsenodeids");
	f->missing = onnx_ints(n, "nodes_missing_value_tracks_true");
	f->value = floats_or_tensor(n, "nodes_values");
	f->count = f->tree.n;
	onnx_ignore(n, "nodes_hitrates");
	onnx_ignore(n, "nodes_hitrates_as_tensor");
	if (n->failed)
		return false;
	if (f->count == 0)
		return onnx_error(n, E_ATTRIBUTE, "'%s' has no nodes", n->info->name);
	return has_count(n, "nodes_nodeids", f->node.n, f->count) &&
	       has_count(n, "nodes_featureids", f->feature.n, f->count) &&
	       has_count(n, "nodes_truenodeids", f->yes.n, f->count) &&
	       has_count(n, "nodes_falsenodeids", f->no.n, f->count) &&
	       has_count(n, "nodes_values", f->value.n, f->count) &&
	       (f->missing.n == 0 ||
	        has_count(n, "nodes_missing_value_tracks_true", f->missing.n, f->count)) &&
	       read_modes(f);
}

static bool
sort_keys(Ens *f)
{
	f->key = ARENA_ARRAY(f->n->r->arena, Key, f->count);
	for (int i = 0; i < f->count; i++)
		f->key[i] = (Key){f->tree.v[i], f->node.v[i], i};
	qsort(f->key, (size_t)f->count, sizeof *f->key, compare_keys);
	for (int i = 1; i < f->count; i++)
		if (f->key[i].tree == f->key[i - 1].tree && f->key[i].node == f->key[i - 1].node)
			return onnx_error(f->n, E_MALFORMED, "tree %lld has node %lld twice",
			                  (long long)f->key[i].tree, (long long)f->key[i].node);
	return true;
}

/* The place of a node among the sorted ones, or -1. */
static int
find_key(const Ens *f, int64_t tree, int64_t node)
{
	int lo = 0, hi = f->count;

	while (lo < hi) {
		int mid = lo + (hi - lo) / 2;
		const Key *k = &f->key[mid];

		if (k->tree < tree || (k->tree == tree && k->node < node))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < f->count && f->key[lo].tree == tree && f->key[lo].node == node ? lo : -1;
}

/* Reads PREFIX_treeids and so on, where `weights` is their name. */
static bool
read_weights(Ens *f, const char *prefix)
{
	ONode *n = f->n;
	Arena *a = n->r->arena;
	const char *ids = arena_printf(a, "%s_ids", prefix);
	const char *trees = arena_printf(a, "%s_treeids", prefix);
	const char *nodes = arena_printf(a, "%s_nodeids", prefix);
	const char *weights = arena_printf(a, "%s_weights", prefix);
	Ints id = onnx_ints(n, ids), tree = onnx_ints(n, trees), node = onnx_ints(n, nodes);
	Floats weight = floats_or_tensor(n, weights);

	if (n->failed || !has_count(n, trees, tree.n, id.n) || !has_count(n, nodes, node.n, id.n) ||
	    !has_count(n, weights, weight.n, id.n))
		return false;
	f->nweights = 0;
	f->weight = ARENA_ARRAY(a, Weight, id.n);
	f->one_class = f->all_positive = true;
	for (int i = 0; i < id.n; i++) {
		int key = find_key(f, tree.v[i], node.v[i]);

		if (key < 0)
			return onnx_error_attr(n, nodes, E_MALFORMED,
			                       "a weight is for node %lld of tree %lld, which there "
			                       "is not", (long long)node.v[i], (long long)tree.v[i]);
		if (id.v[i] < 0 || id.v[i] >= f->outputs)
			return onnx_error_attr(n, ids, E_VALUE, "%lld is none of %d outputs",
			                       (long long)id.v[i], f->outputs);
		f->one_class = f->one_class && id.v[i] == id.v[0];
		f->all_positive = f->all_positive && weight.v[i] >= 0;
		if (f->mode[f->key[key].index] == TREE_LEAF)
			f->weight[f->nweights++] = (Weight){key, i, id.v[i], weight.v[i]};
	}
	qsort(f->weight, (size_t)f->nweights, sizeof *f->weight, compare_weights);
	return true;
}

/* Which leaf has which weights, and how many of them a leaf has at most. */
static bool
group_weights(Ens *f)
{
	Arena *a = f->n->r->arena;
	int leaves = 0;

	f->scored = ARENA_ARRAY(a, bool, f->outputs);
	f->first = ARENA_ARRAY(a, int, f->count + 1);
	f->width = 1;
	f->covers_all = true;
	for (int k = 0, w = 0; k < f->count; k++) {
		bool leaf = f->mode[f->key[k].index] == TREE_LEAF;

		f->first[k] = w;
		while (w < f->nweights && f->weight[w].key == k)
			f->scored[f->weight[w++].output] = true;
		leaves += leaf;
		if (w - f->first[k] > 1)
			f->width = f->outputs;
		f->covers_all = f->covers_all && (!leaf || w - f->first[k] == f->outputs);
	}
	f->first[f->count] = f->nweights;
	if ((int64_t)leaves * f->width > MAX_LEAF_VALUES)
		return onnx_error(f->n, E_SIZE, "%d leaves with %d values each are too many", leaves,
		                  f->width);
	return true;
}

/* The row of values of the leaf at key k. */
static bool
make_leaf(Ens *f, int k, double *row, bool *given, int32_t *leaf)
{
	int count = f->first[k + 1] - f->first[k];
	const Weight *w = f->weight + f->first[k];

	for (int i = 0; i < f->width; i++) {
		row[i] = f->absent;
		given[i] = false;
	}
	for (int i = 0; i < count; i++) {
		int64_t at = f->width == 1 ? 0 : w[i].output;

		if (given[at])
			return onnx_error(f->n, E_UNSUPPORTED,
			                  "a leaf of tree %lld has two weights for one output",
			                  (long long)f->key[k].tree);
		given[at] = true;
		row[at] = w[i].weight;
	}
	*leaf = ensemble_leaf(f->e, row, f->width == 1 && count ? (int32_t)w[0].output : 0);
	return true;
}

/* A tree: its nodes are the sorted keys [lo, hi). */
typedef struct {
	int lo, hi, first; /* first: where it begins in the file */
} Span;

static int
compare_spans(const void *a, const void *b)
{
	const Span *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/* The number of a child in its tree, -1 when there is no such node. */
static int32_t
child(const Ens *f, const Span *s, int64_t node)
{
	int k = find_key(f, f->key[s->lo].tree, node);

	return k < 0 ? -1 : k - s->lo;
}

static bool
add_tree(Ens *f, const Span *s, double *row, bool *given)
{
	ONode *n = f->n;
	TreeNode *node = ARENA_ARRAY(n->r->arena, TreeNode, s->hi - s->lo);
	const char *what;
	int32_t root = 0;

	for (int k = s->lo; k < s->hi; k++) {
		int i = f->key[k].index;
		TreeNode *t = &node[k - s->lo];

		if (i == s->first)
			root = k - s->lo;
		t->mode = f->mode[i];
		if (t->mode == TREE_LEAF) {
			if (!make_leaf(f, k, row, given, &t->leaf))
				return false;
			continue;
		}
		t->feature = f->feature.v[i] < 0 || f->feature.v[i] > INT32_MAX
		                     ? -1
		                     : (int32_t)f->feature.v[i];
		t->threshold = f->value.v[i];
		t->yes = child(f, s, f->yes.v[i]);
		t->no = child(f, s, f->no.v[i]);
		/* No comparison holds for NaN but "not equal". */
		t->missing = t->mode == TREE_NE || (f->missing.n && f->missing.v[i]) ? t->yes
		                                                                     : t->no;
	}
	what = arena_printf(n->r->arena, "tree %lld", (long long)f->key[s->lo].tree);
	return ensemble_tree(f->e, node, s->hi - s->lo, root, what, &n->loc, n->r->d);
}

/* All trees in the order of the file; returns their number, or -1. */
static int
add_trees(Ens *f)
{
	Arena *a = f->n->r->arena;
	Span *span = ARENA_ARRAY(a, Span, f->count);
	double *row = ARENA_ARRAY(a, double, f->width);
	bool *given = ARENA_ARRAY(a, bool, f->width);
	int count = 0;

	for (int k = 0; k < f->count; k++) {
		if (k == 0 || f->key[k].tree != f->key[k - 1].tree)
			span[count++] = (Span){k, k, f->key[k].index};
		if (f->key[k].index < span[count - 1].first)
			span[count - 1].first = f->key[k].index;
		span[count - 1].hi = k + 1;
	}
	qsort(span, (size_t)count, sizeof *span, compare_spans);
	for (int i = 0; i < count; i++)
		if (!add_tree(f, &span[i], row, given))
			return -1;
	return count;
}

/* ---- Scores ---- */

typedef enum { AGGREGATE_AVERAGE, AGGREGATE_SUM, AGGREGATE_MIN, AGGREGATE_MAX } Aggregate;

static TreeAggregate
tree_aggregate(Aggregate how)
{
	return how == AGGREGATE_MIN ? TREES_min : how == AGGREGATE_MAX ? TREES_max : TREES_sum;
}

static double
neutral(Aggregate how)
{
	return how == AGGREGATE_MIN ? HUGE_VAL : how == AGGREGATE_MAX ? -HUGE_VAL : -0.0;
}

/* Features are compared as floats, but doubles as doubles. */
static DType
decision_type(const ONode *n)
{
	return n->in[0]->type.dtype == DT_F64 ? DT_F64 : DT_F32;
}

static Value *
finish_trees(ONode *n, Ensemble *e, Value *x, Aggregate how, int ntrees, bool covers_all)
{
	Node *k;
	Value *y;

	if (!x || n->failed)
		return NULL;
	k = ensemble_finish(e, n->r->g, x, NULL, tree_aggregate(how), NULL);
	k->loc = n->loc;
	k->name = n->name;
	y = onnx_finish(n, k);
	if (y && how == AGGREGATE_AVERAGE)
		y = onnx_with(n, OP_DIV, y, ntrees);
	/* An output that no tree has given anything is 0. */
	if (y && (how == AGGREGATE_MIN || how == AGGREGATE_MAX) && !covers_all)
		y = onnx_where(n, onnx_unary(n, OP_IS_INF, y), onnx_scalar(n, y->type.dtype, 0), y);
	return y;
}

/* Reads everything but what follows the sum. */
static Value *
read_scores(Ens *f, const char *prefix, Aggregate how)
{
	ONode *n = f->n;
	DType t = decision_type(n);
	Value *x = ml_rows(n, n->in[0]->type.dtype);
	int ntrees;

	f->absent = neutral(how);
	if (!x || !read_nodes(f) || !sort_keys(f) || !read_weights(f, prefix) || !group_weights(f))
		return NULL;
	f->e = ensemble_new(n->r->arena, t, t, x->type.dim[1], f->outputs, f->width);
	ntrees = add_trees(f);
	if (ntrees < 0) {
		n->failed = true;
		return NULL;
	}
	return finish_trees(n, f->e, x, how, ntrees, f->covers_all);
}

/* ---- Regression ---- */

static Value *
finish_regression(ONode *n, Value *y, Floats base, int targets, PostTransform post)
{
	if (y && base.n == targets)
		y = onnx_binary(n, OP_ADD, y, ml_vector(n, y->type.dtype, base.n, base.v));
	/* A single target takes no other transformation. */
	return ml_post(n, y, targets > 1 || post == POST_PROBIT ? post : POST_NONE);
}

bool
onnx_read_tree_regressor(ONode *n)
{
	static const char *const words[] = {"AVERAGE", "SUM", "MIN", "MAX", NULL};
	Aggregate how = (Aggregate)onnx_word(n, "aggregate_function", words, AGGREGATE_SUM);
	PostTransform post = ml_post_attr(n);
	Floats base = floats_or_tensor(n, "base_values");
	Ens f = {.n = n, .outputs = (int)onnx_int_in(n, "n_targets", 1, 1, 1 << 20)};
	Value *y;

	if (n->failed)
		return false;
	if (base.n > 1 && base.n != f.outputs)
		return onnx_error_attr(n, "base_values", E_ATTRIBUTE,
		                       "there are %d base values for %d targets", base.n, f.outputs);
	y = finish_regression(n, read_scores(&f, "target", how), base, f.outputs, post);
	return onnx_result(n, y && y->type.dtype != DT_F32 ? onnx_cast(n, y, DT_F32) : y);
}

/* ---- Classification ---- */

/* What two classes become: see ml.h. */
typedef struct {
	Value *scores;   /* [N, 2] or, when `single`, [N, 1] */
	Value *positive; /* [N]: what decides about the label */
	bool single;
} Binary;

/* Weights for the first class only give one score; base values complete it or not. */
static Binary
binary_scores(Ens *f, Value *y, Floats base)
{
	ONode *n = f->n;
	DType t = y->type.dtype;
	Value *s0 = ml_columns(n, y, 0, 1), *s1 = ml_columns(n, y, 1, 1);
	Binary b = {.single = !f->scored[1] && base.n != 2};

	if (base.n == 2 && f->scored[1]) {
		s1 = onnx_with(n, OP_ADD, s0, base.v[1]);
		s0 = onnx_unary(n, OP_NEG, s1);
	} else if (base.n == 2) {
		s0 = onnx_with(n, OP_ADD, s0, base.v[0]);
		s1 = onnx_with(n, OP_ADD, s1, base.v[1]);
	} else if (base.n == 1) {
		s0 = onnx_with(n, OP_ADD, s0, base.v[0]);
	}
	if (!s0 || !s1)
		return b;
	/* The score of a class that no leaf has a weight for is 0, whatever its base. */
	if (!b.single && !f->scored[0])
		s0 = onnx_full(n, &s0->type, 0);
	if (!b.single && !f->scored[1])
		s1 = onnx_full(n, &s1->type, 0);
	if (!s0 || !s1)
		return b;
	b.positive = onnx_squeeze(n, f->scored[1] ? s1 : s0, 1);
	b.scores = b.single ? s0 : onnx_concat(n, 2, (Value *[]){s0, s1}, 1);
	if (b.scores && t != DT_F32)
		b.scores = onnx_cast(n, b.scores, DT_F32);
	return b;
}

/* From one score to two probabilities. */
static Value *
expand_single(Ens *f, Value *s, PostTransform post)
{
	ONode *n = f->n;
	Value *other = onnx_unary(n, OP_NEG, s);

	if (post == POST_PROBIT)
		return onnx_concat(n, 2, (Value *[]){ml_post(n, s, post), onnx_with(n, OP_MUL, s, 0)},
		                   1);
	if (post == POST_LOGISTIC) {
		other = onnx_unary(n, OP_SIGMOID, other);
		s = onnx_unary(n, OP_SIGMOID, s);
	} else if (f->all_positive) {
		other = onnx_with(n, OP_ADD, other, 1);
	}
	return s && other ? onnx_concat(n, 2, (Value *[]){other, s}, 1) : NULL;
}

static bool
classify_binary(Ens *f, Value *y, Floats base, const Labels *labels, PostTransform post)
{
	ONode *n = f->n;
	Binary b = binary_scores(f, y, base);
	double least = f->one_class && f->all_positive ? 0.5 : 0;
	Value *positive = b.positive ? onnx_with(n, OP_GREATER, b.positive, least) : NULL;
	int64_t label[2] = {0, 1};

	for (int i = 0; labels->number && i < 2; i++)
		label[i] = labels->number[i];
	n->out[0] = ml_choose_label(n, positive, label[1], label[0]);
	n->out[1] = b.single ? expand_single(f, b.scores, post) : ml_post(n, b.scores, post);
	return n->out[0] && n->out[1];
}

/* Classes that no leaf ever scores are not chosen. */
static Value *
eligible(Ens *f, Value *y, Floats base)
{
	double *low = ARENA_ARRAY(f->n->r->arena, double, f->outputs);
	bool any = false;

	for (int i = 0; i < f->outputs; i++) {
		bool counts = f->scored[i] || i < base.n;

		low[i] = counts ? 0 : -HUGE_VAL;
		any = any || !counts;
	}
	return any ? onnx_binary(f->n, OP_ADD, y, ml_vector(f->n, y->type.dtype, f->outputs, low))
	           : y;
}

static bool
classify(Ens *f, Value *y, Floats base, const Labels *labels, PostTransform post)
{
	ONode *n = f->n;
	double *all = ARENA_ARRAY(n->r->arena, double, f->outputs);

	for (int i = 0; i < base.n; i++)
		all[i] = base.v[i];
	if (base.n > 0)
		y = onnx_binary(n, OP_ADD, y, ml_vector(n, y->type.dtype, f->outputs, all));
	if (!y)
		return false;
	n->out[0] = ml_best_label(n, labels, eligible(f, y, base));
	n->out[1] = ml_post(n, y->type.dtype == DT_F32 ? y : onnx_cast(n, y, DT_F32), post);
	return n->out[0] && n->out[1];
}

bool
onnx_read_tree_classifier(ONode *n)
{
	PostTransform post = ml_post_attr(n);
	Floats base = floats_or_tensor(n, "base_values");
	Ens f = {.n = n};
	Labels labels;
	Value *y;

	if (!ml_labels(n, "classlabels_int64s", "classlabels_strings", &labels))
		return false;
	f.outputs = labels.n;
	if (base.n > labels.n)
		return onnx_error_attr(n, "base_values", E_ATTRIBUTE,
		                       "there are %d base values for %d classes", base.n, labels.n);
	y = read_scores(&f, "class", AGGREGATE_SUM);
	if (!y)
		return false;
	if (labels.n == 2)
		return classify_binary(&f, y, base, &labels, post);
	return classify(&f, y, base, &labels, post);
}

/* ---- Version 5 ---- */

typedef struct {
	ONode *n;
	int count, leaves;
	Ints feature, yes, no, missing, yes_leaf, no_leaf, target, root;
	Floats split, weight, members;
	int member; /* the next one of `members` */
	Ints mode;
	Ensemble *e;
	TreeNode *node; /* the nodes, then a leaf for each reference of one */
	int used;
	bool covers_all;
} Ens5;

static Floats
tensor_floats(ONode *n, const char *name)
{
	const void *data;
	double *v;
	Type t;

	if (!onnx_tensor_attr(n, name, &t, &data))
		return (Floats)NO_FLOATS;
	v = ARENA_ARRAY(n->r->arena, double, type_numel(&t));
	for (int32_t i = 0; i < type_numel(&t); i++)
		v[i] = value_float(&(Value){.type = t, .data = data}, i);
	return (Floats){type_numel(&t), v};
}

static Ints
tensor_ints(ONode *n, const char *name)
{
	const void *data;
	int64_t *v;
	Type t;

	if (!onnx_tensor_attr(n, name, &t, &data))
		return (Ints)NO_INTS;
	if (dtype_is_float(t.dtype)) {
		onnx_error_attr(n, name, E_TYPE, "'%s' must be integers", name);
		return (Ints)NO_INTS;
	}
	v = ARENA_ARRAY(n->r->arena, int64_t, type_numel(&t));
	for (int32_t i = 0; i < type_numel(&t); i++)
		v[i] = value_int(&(Value){.type = t, .data = data}, i);
	return (Ints){type_numel(&t), v};
}

static bool
read_nodes5(Ens5 *f)
{
	ONode *n = f->n;

	f->feature = onnx_ints(n, "nodes_featureids");
	f->yes = onnx_ints(n, "nodes_truenodeids");
	f->no = onnx_ints(n, "nodes_falsenodeids");
	f->yes_leaf = onnx_ints(n, "nodes_trueleafs");
	f->no_leaf = onnx_ints(n, "nodes_falseleafs");
	f->missing = onnx_ints(n, "nodes_missing_value_tracks_true");
	f->target = onnx_ints(n, "leaf_targetids");
	f->root = onnx_ints(n, "tree_roots");
	f->split = tensor_floats(n, "nodes_splits");
	f->weight = tensor_floats(n, "leaf_weights");
	f->mode = tensor_ints(n, "nodes_modes");
	if (onnx_has(n, "membership_values"))
		f->members = tensor_floats(n, "membership_values");
	onnx_ignore(n, "nodes_hitrates");
	if (n->failed)
		return false;
	f->count = f->feature.n;
	f->leaves = f->target.n;
	return has_count(n, "nodes_truenodeids", f->yes.n, f->count) &&
	       has_count(n, "nodes_falsenodeids", f->no.n, f->count) &&
	       has_count(n, "nodes_trueleafs", f->yes_leaf.n, f->count) &&
	       has_count(n, "nodes_falseleafs", f->no_leaf.n, f->count) &&
	       has_count(n, "nodes_splits", f->split.n, f->count) &&
	       has_count(n, "nodes_modes", f->mode.n, f->count) &&
	       has_count(n, "leaf_weights", f->weight.n, f->leaves) &&
	       (f->missing.n == 0 ||
	        has_count(n, "nodes_missing_value_tracks_true", f->missing.n, f->count));
}

/* The next set of the list, which NaN separates. */
static bool
read_set(Ens5 *f, int32_t *set)
{
	uint32_t word[MAX_MEMBER / 32] = {0};

	for (; f->member < f->members.n; f->member++) {
		double v = f->members.v[f->member];

		if (v != v)
			break;
		if (!(v >= 0 && v < (double)MAX_MEMBER && v == (double)(uint32_t)v))
			return onnx_error_attr(f->n, "membership_values", E_UNSUPPORTED,
			                       "members of sets other than whole numbers from 0 to "
			                       "65535 are not supported");
		word[(uint32_t)v / 32] |= (uint32_t)1 << (uint32_t)v % 32;
	}
	f->member++;
	*set = ensemble_set(f->e, word, MAX_MEMBER / 32);
	return true;
}

/* The number of a child; a leaf becomes a node of its own. */
static bool
child5(Ens5 *f, int64_t id, bool leaf, int outputs, int32_t *out)
{
	TreeNode *t;

	if (!leaf) {
		*out = id < 0 || id >= f->count ? -1 : (int32_t)id;
		return true;
	}
	if (id < 0 || id >= f->leaves)
		return onnx_error(f->n, E_MALFORMED, "leaf %lld is none of %d", (long long)id,
		                  f->leaves);
	if (f->target.v[id] < 0 || f->target.v[id] >= outputs)
		return onnx_error_attr(f->n, "leaf_targetids", E_VALUE, "%lld is none of %d targets",
		                       (long long)f->target.v[id], outputs);
	t = &f->node[f->used];
	t->mode = TREE_LEAF;
	t->leaf = ensemble_leaf(f->e, &f->weight.v[id], (int32_t)f->target.v[id]);
	*out = f->used++;
	return true;
}

static bool
add_nodes5(Ens5 *f, int outputs)
{
	static const TreeMode modes[] = {TREE_LE, TREE_LT, TREE_GE,      TREE_GT,
	                                 TREE_EQ, TREE_NE, TREE_IN_EXACT};

	f->node = ARENA_ARRAY(f->n->r->arena, TreeNode, 3 * (size_t)f->count);
	f->used = f->count;
	for (int i = 0; i < f->count; i++) {
		TreeNode *t = &f->node[i];

		if (f->mode.v[i] < 0 || f->mode.v[i] > 6)
			return onnx_error_attr(f->n, "nodes_modes", E_VALUE, "%lld is no mode",
			                       (long long)f->mode.v[i]);
		t->mode = modes[f->mode.v[i]];
		t->feature = f->feature.v[i] < 0 || f->feature.v[i] > INT32_MAX
		                     ? -1
		                     : (int32_t)f->feature.v[i];
		t->threshold = f->split.v[i];
		if ((t->mode == TREE_IN_EXACT && !read_set(f, &t->set)) ||
		    !child5(f, f->yes.v[i], f->yes_leaf.v[i], outputs, &t->yes) ||
		    !child5(f, f->no.v[i], f->no_leaf.v[i], outputs, &t->no))
			return false;
		t->missing = t->mode == TREE_NE || (f->missing.n && f->missing.v[i]) ? t->yes
		                                                                     : t->no;
	}
	return true;
}

bool
onnx_read_tree_ensemble(ONode *n)
{
	Aggregate how = (Aggregate)onnx_int_in(n, "aggregate_function", AGGREGATE_SUM, 0, 3);
	/* ONNX Runtime has the numbers of softmax and logistic the other way round than the
	 * specification, and models are made for it. */
	static const PostTransform posts[] = {POST_NONE, POST_LOGISTIC, POST_SOFTMAX,
	                                      POST_SOFTMAX_ZERO, POST_PROBIT};
	PostTransform post = posts[onnx_int_in(n, "post_transform", 0, 0, 4)];
	int outputs = (int)onnx_int_in(n, "n_targets", 1, 1, 1 << 20);
	DType t = decision_type(n);
	Value *x = ml_rows(n, n->in[0]->type.dtype), *y;
	Ens5 f = {.n = n};
	int32_t *root;

	if (!x || n->failed || !read_nodes5(&f))
		return false;
	f.e = ensemble_new(n->r->arena, t, t, x->type.dim[1], outputs, 1);
	if (!add_nodes5(&f, outputs))
		return false;
	root = ARENA_ARRAY(n->r->arena, int32_t, f.root.n);
	for (int i = 0; i < f.root.n; i++)
		root[i] = f.root.v[i] < 0 || f.root.v[i] >= f.count ? -1 : (int32_t)f.root.v[i];
	if (!ensemble_trees(f.e, f.node, f.used, root, f.root.n, "trees", &n->loc, n->r->d))
		return false;
	y = finish_trees(n, f.e, x, how, f.root.n > 0 ? f.root.n : 1, outputs == 1);
	y = finish_regression(n, y, (Floats)NO_FLOATS, outputs, post);
	return onnx_result(n, y);
}
