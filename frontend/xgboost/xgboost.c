/*
 * XGBoost models (JSON and UBJSON of 1.0 and later).
 *
 * Everything is computed in float as XGBoost does: features are compared with float
 * thresholds, leaves are added in the order of the trees to the base margin.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/build.h"
#include "frontend/xgboost/doc.h"
#include "ir/trees.h"

/* ---- What a file looks like ---- */

static bool
contains(const uint8_t *bytes, size_t n, const char *word)
{
	size_t length = strlen(word), limit = n < 65536 ? n : 65536;

	for (size_t i = 0; i + length <= limit; i++)
		if (memcmp(bytes + i, word, length) == 0)
			return true;
	return false;
}

bool
xgboost_sniff(const uint8_t *bytes, size_t n)
{
	size_t i = 0;

	while (i < n && bytes[i] && strchr(" \t\r\n", bytes[i]))
		i++;
	return i < n && bytes[i] == '{' &&
	       (contains(bytes, n, "\"learner\"") ||
	        (ubjson_sniff(bytes + i, n - i) && contains(bytes, n, "learner")));
}

/* ---- The document ---- */

const Doc *
doc_get(const Doc *object, const char *key)
{
	for (int i = 0; object && object->kind == DOC_OBJECT && i < object->n; i++)
		if (strcmp(object->key[i], key) == 0)
			return &object->item[i];
	return NULL;
}

typedef struct {
	Builder b;
	const FrontendFile *file;
	Arena *a;
	const Doc *learner;
	const char *objective;
	int32_t features, groups;
	double *base; /* margins, one a group */
	const Doc *here; /* what is being read; NULL: nothing in particular */
	DocLines lines;
} Xgb;

/* The place of a part of the file, called `where` when there is no better word. */
static Loc
place_of(Xgb *x, const Doc *part, const char *where)
{
	Loc loc = doc_loc(x->b.d->arena, x->file->path, x->file->bytes, x->file->size,
	                  part ? part->at : 0, &x->lines);

	if (!loc.line && !loc.where)
		loc.where = where;
	return loc;
}

__attribute__((format(printf, 3, 4))) static bool
bad(Xgb *x, const char *where, const char *format, ...)
{
	va_list args;
	Loc loc = place_of(x, x->here, where);
	const char *text;

	va_start(args, format);
	text = arena_vprintf(x->b.d->arena, format, args);
	va_end(args);
	return diag_report(x->b.d, &loc, E_MALFORMED, "%s%s%s", where ? where : "", where ? ": " : "",
	                   text);
}

static bool
unsupported(Xgb *x, const char *what)
{
	Loc loc = place_of(x, x->here, "learner");

	return diag_report(x->b.d, &loc, E_UNSUPPORTED, "%s is not supported", what);
}

/* A number that begins at `s`; XGBoost writes those of parameters as strings, always
 * with a point. */
static bool
parse_number(const char *s, const char **end, double *out)
{
	char *e;

	errno = 0;
	*out = strtod(s, &e);
	*end = e;
	return e != s && errno == 0;
}

static bool
number_of(const Doc *v, double *out)
{
	const char *end;

	if (v && v->kind == DOC_NUMBER) {
		*out = v->number;
		return true;
	}
	return v && v->kind == DOC_STRING && parse_number(v->string, &end, out) && !*end;
}

/* A parameter that is a whole number in [lo, hi]. */
static bool
read_int(Xgb *x, const Doc *in, const char *key, double otherwise, int32_t lo, int32_t hi,
         int32_t *out)
{
	const Doc *v = doc_get(in, key);
	double number = otherwise;

	x->here = v ? v : in;
	if (v && !number_of(v, &number))
		return bad(x, key, "it is no number");
	if (!(number >= lo && number <= hi) || number != floor(number))
		return bad(x, key, "%g is not in [%d, %d]", number, (int)lo, (int)hi);
	*out = (int32_t)number;
	return true;
}

/* ---- Objectives ---- */

typedef enum { LINK_IDENTITY, LINK_LOGISTIC, LINK_LOG, LINK_RISING } Link;
typedef enum {
	OUT_MARGIN,
	OUT_SIGMOID,
	OUT_EXP,
	OUT_HINGE,
	OUT_SOFTMAX,
	OUT_CLASS,
	OUT_RISING
} Out;

static const struct {
	const char *name;
	Link link;
	Out out;
} objectives[] = {
	{"reg:squarederror", LINK_IDENTITY, OUT_MARGIN},
	{"reg:linear", LINK_IDENTITY, OUT_MARGIN},
	{"reg:squaredlogerror", LINK_IDENTITY, OUT_MARGIN},
	{"reg:absoluteerror", LINK_IDENTITY, OUT_MARGIN},
	{"reg:quantileerror", LINK_IDENTITY, OUT_MARGIN},
	{"reg:expectileerror", LINK_RISING, OUT_RISING},
	{"reg:pseudohubererror", LINK_IDENTITY, OUT_MARGIN},
	{"reg:logistic", LINK_LOGISTIC, OUT_SIGMOID},
	{"binary:logistic", LINK_LOGISTIC, OUT_SIGMOID},
	{"binary:logitraw", LINK_IDENTITY, OUT_MARGIN},
	{"binary:hinge", LINK_IDENTITY, OUT_HINGE},
	{"count:poisson", LINK_LOG, OUT_EXP},
	{"reg:gamma", LINK_LOG, OUT_EXP},
	{"reg:tweedie", LINK_LOG, OUT_EXP},
	{"survival:cox", LINK_LOG, OUT_EXP},
	{"survival:aft", LINK_LOG, OUT_EXP},
	{"rank:pairwise", LINK_IDENTITY, OUT_MARGIN},
	{"rank:ndcg", LINK_IDENTITY, OUT_MARGIN},
	{"rank:map", LINK_IDENTITY, OUT_MARGIN},
	{"multi:softprob", LINK_IDENTITY, OUT_SOFTMAX},
	{"multi:softmax", LINK_IDENTITY, OUT_CLASS},
};
enum { OBJECTIVES = sizeof objectives / sizeof *objectives };

static int
find_objective(const Xgb *x)
{
	int i = 0;

	while (i < OBJECTIVES && strcmp(objectives[i].name, x->objective) != 0)
		i++;
	return i;
}

/* From the space of the output to that of the sum, in float as XGBoost computes it. */
static double
to_margin(Link link, double base)
{
	float p = (float)base;

	switch (link) {
	case LINK_IDENTITY:
	case LINK_RISING: break;
	case LINK_LOGISTIC: return (double)-logf(1.0f / p - 1.0f);
	case LINK_LOG: return (double)logf(p);
	}
	return (double)p;
}

/* Expectiles rise: each is the one before and something positive. */
#define RISING_LEAST 1e-6f

static void
to_rising_margins(Xgb *x)
{
	for (int32_t i = x->groups - 1; i > 0; i--) {
		float step = (float)x->base[i] - (float)x->base[i - 1] - RISING_LEAST;

		x->base[i] = step > 20 ? (double)step : (double)logf(expm1f(step));
	}
}

/* base_score is a number, or from 3.1 on a list in brackets; both in a string. */
static bool
read_base(Xgb *x, const Doc *param, Link link)
{
	const Doc *v = doc_get(param, "base_score");
	const char *s = v && v->kind == DOC_STRING ? v->string : NULL;
	double number = v && v->kind == DOC_NUMBER ? v->number : 0.5;
	int32_t n = 0;
	bool list = s && *s == '[';

	x->here = v ? v : param;

	x->base = ARENA_ARRAY(x->a, double, x->groups);
	for (s += list; s && *s && *s != ']'; s += *s == ',') {
		if (!parse_number(s, &s, &number) || (*s && *s != ',' && *s != ']') ||
		    n == x->groups)
			return bad(x, "base_score", "it is no number, nor a list of %d", x->groups);
		x->base[n++] = to_margin(link, number);
	}
	if (n > 1 && n != x->groups)
		return bad(x, "base_score", "there are %d for %d outputs", n, x->groups);
	for (int32_t i = n; i < x->groups; i++)
		x->base[i] = to_margin(link, number);
	if (link == LINK_RISING)
		to_rising_margins(x);
	for (int32_t i = 0; i < x->groups; i++)
		if (!isfinite(x->base[i]))
			return bad(x, "base_score", "%g is no result of '%s'", number, x->objective);
	return true;
}

static bool
read_params(Xgb *x)
{
	const Doc *param = doc_get(x->learner, "learner_model_param");
	const Doc *name = doc_get(doc_get(x->learner, "objective"), "name");
	int32_t classes, targets;
	int k;

	if (!param || !name || name->kind != DOC_STRING)
		return bad(x, "learner", "there is no objective, or there are no parameters");
	x->objective = name->string;
	x->here = name;
	k = find_objective(x);
	if (k == OBJECTIVES)
		return unsupported(x, arena_printf(x->a, "the objective '%s'", x->objective));
	if (!read_int(x, param, "num_feature", 0, 1, 1 << 24, &x->features) ||
	    !read_int(x, param, "num_class", 0, 0, 1 << 16, &classes) ||
	    !read_int(x, param, "num_target", 1, 0, 1 << 16, &targets))
		return false;
	x->groups = classes > targets ? classes : targets > 1 ? targets : 1;
	return read_base(x, param, objectives[k].link);
}

/* ---- Trees ---- */

/* The arrays of a tree; all have `n` elements. */
typedef struct {
	const char *where;
	const Doc *doc;
	int32_t n, width;
	const double *left, *right, *feature, *condition, *default_left, *type, *weights;
	const double *leaf; /* rows of `width`, by node, or by what `right` has at leaves */
	int32_t leaves;     /* rows by leaf; 0: by node */
	int32_t *set; /* of categorical nodes; NULL: none */
	double weight;
	int32_t group;
} Tree;

static bool
read_array(Xgb *x, const Tree *t, const char *key, int32_t n, bool optional, const double **out)
{
	const Doc *v = doc_get(t->doc, key);

	x->here = v ? v : t->doc;
	*out = NULL;
	if (optional && (!v || v->n == 0))
		return true;
	if (!v || v->kind != DOC_NUMBERS || v->n != n)
		return bad(x, t->where, "'%s' must be %d numbers", key, n);
	*out = v->numbers;
	return true;
}

static const Doc *
numbers(const Tree *t, const char *key)
{
	static const Doc none = {.kind = DOC_NUMBERS};
	const Doc *v = doc_get(t->doc, key);

	return v && v->kind == DOC_NUMBERS ? v : &none;
}

/* Makes the set of one node from categories [from, from + count). */
static bool
read_set(Xgb *x, Ensemble *e, const Tree *t, double from, double count, int32_t *out)
{
	const Doc *c = numbers(t, "categories");
	double most = 0;
	uint32_t *word;
	int32_t nwords;

	x->here = c->at ? c : t->doc;
	if (!(from >= 0 && count >= 0 && from + count <= c->n))
		return bad(x, t->where, "categories [%g, %g) of %d", from, from + count, c->n);
	for (int i = (int)from; i < (int)(from + count); i++) {
		if (!(c->numbers[i] >= 0 && c->numbers[i] < (double)TREE_MAX_SET))
			return bad(x, t->where, "category %g", c->numbers[i]);
		most = c->numbers[i] > most ? c->numbers[i] : most;
	}
	nwords = (int32_t)most / 32 + 1;
	word = ARENA_ARRAY(x->a, uint32_t, nwords);
	for (int i = (int)from; i < (int)(from + count); i++)
		word[(uint32_t)c->numbers[i] / 32] |= (uint32_t)1 << (uint32_t)c->numbers[i] % 32;
	*out = ensemble_set(e, word, nwords);
	return true;
}

static bool
read_sets(Xgb *x, Ensemble *e, Tree *t)
{
	const Doc *node = numbers(t, "categories_nodes"), *at = numbers(t, "categories_segments");
	const Doc *size = numbers(t, "categories_sizes");

	if (node->n == 0)
		return true;
	x->here = node;
	if (at->n != node->n || size->n != node->n)
		return bad(x, t->where, "there are %d segments and %d sizes of %d categories", at->n,
		           size->n, node->n);
	t->set = ARENA_ARRAY(x->a, int32_t, t->n);
	memset(t->set, -1, (size_t)t->n * sizeof *t->set);
	for (int i = 0; i < node->n; i++) {
		if (!(node->numbers[i] >= 0 && node->numbers[i] < t->n))
			return bad(x, t->where, "categories of node %g", node->numbers[i]);
		if (!read_set(x, e, t, at->numbers[i], size->numbers[i],
		              &t->set[(int)node->numbers[i]]))
			return false;
	}
	return true;
}

/* The leaves of several targets: by node, or since version 3.1 in a list of their own. */
static bool
read_vectors(Xgb *x, Tree *t)
{
	const Doc *list = doc_get(t->doc, "leaf_weights");

	if (!list || list->n == 0)
		return read_array(x, t, "base_weights", t->n * t->width, false, &t->leaf);
	x->here = list;
	if (list->kind != DOC_NUMBERS || list->n % t->width != 0)
		return bad(x, t->where, "'leaf_weights' must be rows of %d numbers", t->width);
	t->leaves = list->n / t->width;
	t->leaf = list->numbers;
	return true;
}

static bool
read_tree(Xgb *x, Tree *t)
{
	const Doc *left = doc_get(t->doc, "left_children");

	x->here = left ? left : t->doc;
	if (!left || left->kind != DOC_NUMBERS || left->n < 1)
		return bad(x, t->where, "it has no 'left_children'");
	t->n = left->n;
	t->left = left->numbers;
	if ((int64_t)t->n * t->width > INT32_MAX / 64)
		return bad(x, t->where, "%d nodes with %d numbers each are too many", t->n, t->width);
	return read_array(x, t, "right_children", t->n, false, &t->right) &&
	       read_array(x, t, "split_indices", t->n, false, &t->feature) &&
	       read_array(x, t, "split_conditions", t->n, false, &t->condition) &&
	       read_array(x, t, "default_left", t->n, false, &t->default_left) &&
	       read_array(x, t, "split_type", t->n, true, &t->type) &&
	       read_array(x, t, "sum_hessian", t->n, true, &t->weights) &&
	       (t->width == 1 || read_vectors(x, t));
}

/* An index that may be anything. */
static int32_t
index_of(double v)
{
	return v >= 0 && v <= INT32_MAX && v == floor(v) ? (int32_t)v : -1;
}

static bool
make_leaf(Xgb *x, Ensemble *e, const Tree *t, int32_t i, double *row, int32_t *out)
{
	int32_t at = t->leaves ? index_of(t->right[i]) : i;

	if (t->leaves && (at < 0 || at >= t->leaves))
		return bad(x, t->where, "the leaf at node %d has no row of 'leaf_weights'", i);
	for (int32_t k = 0; k < t->width; k++) {
		float v = (float)(t->width == 1 ? t->condition[i] : t->leaf[at * t->width + k]);

		row[k] = (double)(v * (float)t->weight);
		if (!isfinite(row[k]))
			return bad(x, t->where, "the leaf at node %d is not finite", i);
	}
	*out = ensemble_leaf(e, row, t->group);
	return true;
}

static bool
add_tree(Xgb *x, Ensemble *e, Tree *t, double *row)
{
	TreeNode *node;
	Loc loc;

	if (!read_tree(x, t) || !read_sets(x, e, t))
		return false;
	x->here = t->doc;
	loc = place_of(x, doc_get(t->doc, "left_children"), t->where);
	node = ARENA_ARRAY(x->a, TreeNode, t->n);
	for (int32_t i = 0; i < t->n; i++) {
		TreeNode *o = &node[i];
		bool set = t->type && t->type[i] == 1;
		bool left = t->default_left[i] != 0;

		o->weight = t->weights ? t->weights[i] : 0;
		if (t->left[i] == -1) {
			o->mode = TREE_LEAF;
			if (!make_leaf(x, e, t, i, row, &o->leaf))
				return false;
			continue;
		}
		if (set && (!t->set || t->set[i] < 0))
			return bad(x, t->where, "node %d has no categories", i);
		/* What is in a set goes right. */
		o->mode = set ? TREE_IN_FLOOR : TREE_LT;
		o->feature = index_of(t->feature[i]);
		o->threshold = (double)(float)t->condition[i];
		o->set = set ? t->set[i] : 0;
		o->yes = index_of(set ? t->right[i] : t->left[i]);
		o->no = index_of(set ? t->left[i] : t->right[i]);
		o->missing = index_of(left ? t->left[i] : t->right[i]);
	}
	return ensemble_tree(e, node, t->n, 0, t->where, &loc, x->b.d);
}

/* How many of `all` trees count.  An iteration makes as many as the limits between them
 * say, which older files leave out. */
static bool
count_trees(Xgb *x, const Doc *model, int all, int32_t width, int *out)
{
	const Doc *ends = doc_get(model, "iteration_indptr");
	const Doc *best = doc_get(doc_get(x->learner, "attributes"), "best_iteration");
	int64_t limit = x->file->options->tree_limit;
	int32_t parallel;
	double number;

	*out = all;
	if (limit == TREE_LIMIT_BEST) {
		x->here = best;
		if (best && (!number_of(best, &number) || !(number >= 0 && number < INT32_MAX)))
			return bad(x, "best_iteration", "it is no number");
		limit = best ? (int64_t)number + 1 : 0;
	}
	if (!read_int(x, doc_get(model, "gbtree_model_param"), "num_parallel_tree", 1, 0, 1 << 24,
	              &parallel))
		return false;
	if (limit == 0)
		return true;
	if (ends && ends->kind == DOC_NUMBERS && ends->n > 0) {
		if (limit < ends->n && ends->numbers[limit] >= 0 && ends->numbers[limit] < all)
			*out = (int)ends->numbers[limit];
		return true;
	}
	limit *= (parallel > 1 ? parallel : 1) * (int64_t)(width > 1 ? 1 : x->groups);
	*out = limit < all ? (int)limit : all;
	return true;
}

/* The sum of all trees: [N, groups]. */
static Value *
sum_trees(Xgb *x, const Doc *model, const Doc *drop)
{
	const Doc *trees = doc_get(model, "trees"), *info = doc_get(model, "tree_info");
	int32_t width = 1;
	double *row = ARENA_ARRAY(x->a, double, x->groups);
	Value *in = build_rows(&x->b, x->file->options, "features", DT_F32, x->features);
	Value *base = build_vector(&x->b, DT_F32, x->groups, x->base);
	Ensemble *e;
	Node *n;
	int count;

	x->here = model;
	if (!trees || (trees->kind != DOC_ARRAY && trees->n > 0) || !info ||
	    info->kind != DOC_NUMBERS || info->n != trees->n) {
		bad(x, "model", "there are no 'trees', or not as many in 'tree_info'");
		return NULL;
	}
	if (drop && (drop->kind != DOC_NUMBERS || drop->n != trees->n)) {
		bad(x, "weight_drop", "there must be one for each of %d trees", trees->n);
		return NULL;
	}
	if (trees->n > 0 &&
	    !read_int(x, doc_get(&trees->item[0], "tree_param"), "size_leaf_vector", 1, 0, 1 << 16,
	              &width))
		return NULL;
	width = width > 1 ? width : 1;
	if (width > 1 && width != x->groups) {
		bad(x, "size_leaf_vector", "leaves of %d numbers for %d outputs", width, x->groups);
		return NULL;
	}
	if (!count_trees(x, model, trees->n, width, &count))
		return NULL;
	e = ensemble_new(x->a, DT_F32, DT_F32, x->features, x->groups, width);
	for (int i = 0; i < count; i++) {
		Tree t = {.where = arena_printf(x->a, "tree %d", i), .doc = &trees->item[i],
		          .width = width, .weight = drop ? drop->numbers[i] : 1};

		x->here = info;
		t.group = width > 1 ? 0 : index_of(info->numbers[i]);
		if (t.group < 0 || t.group >= x->groups) {
			bad(x, t.where, "it is for output %g of %d", info->numbers[i], x->groups);
			return NULL;
		}
		if (!add_tree(x, e, &t, row))
			return NULL;
	}
	if (!in || !base)
		return NULL;
	n = ensemble_finish(e, x->b.g, in, base, TREES_sum, "margin");
	n->loc = x->b.loc;
	return build_finish(&x->b, n);
}

/* ---- gblinear ---- */

/* Weights of features by output, the biases last; missing features add nothing. */
static Value *
sum_linear(Xgb *x, const Doc *model)
{
	const Doc *w = doc_get(model, "weights");
	int32_t k = x->groups;
	double *weight, *bias;
	Value *in = build_rows(&x->b, x->file->options, "features", DT_F32, x->features), *c, *m;

	if (!w || w->kind != DOC_NUMBERS || w->n != (int64_t)(x->features + 1) * k) {
		bad(x, "weights", "there must be %lld",
		    (long long)(x->features + 1) * (long long)k);
		return NULL;
	}
	weight = ARENA_ARRAY(x->a, double, (size_t)x->features * (size_t)k);
	bias = ARENA_ARRAY(x->a, double, k);
	for (int32_t j = 0; j < k; j++) {
		bias[j] = (double)((float)w->numbers[x->features * k + j] + (float)x->base[j]);
		for (int32_t i = 0; i < x->features; i++)
			weight[j * x->features + i] = w->numbers[i * k + j];
	}
	m = build_unary(&x->b, OP_IS_NAN, in);
	in = build_where(&x->b, m, build_scalar(&x->b, DT_F32, 0), in);
	m = build_matrix(&x->b, DT_F32, k, x->features, weight);
	c = build_vector(&x->b, DT_F32, k, bias);
	return m ? build_linear(&x->b, in, m, c) : NULL;
}

/* ---- The model ---- */

/* The first margin, then each one's softplus and a little more than what is before it. */
static Value *
add_rising(Xgb *x, Value *margin)
{
	Builder *b = &x->b;
	Value *part[2];

	if (!margin || x->groups == 1)
		return margin;
	part[0] = build_columns(b, margin, 0, 1);
	part[1] = build_unary(b, OP_SOFTPLUS, build_columns(b, margin, 1, x->groups - 1));
	part[1] = build_with(b, OP_ADD, part[1], (double)RISING_LEAST);
	return build_cum_sum(b, build_concat(b, 2, part, 1), 1);
}

static Value *
transform(Xgb *x, Value *margin)
{
	Builder *b = &x->b;

	switch (objectives[find_objective(x)].out) {
	case OUT_MARGIN: return margin;
	case OUT_SIGMOID: return build_unary(b, OP_SIGMOID, margin);
	case OUT_EXP: return build_unary(b, OP_EXP, margin);
	case OUT_HINGE: return build_cast(b, build_with(b, OP_GREATER, margin, 0), DT_F32);
	case OUT_SOFTMAX: return build_softmax(b, margin, 1);
	case OUT_CLASS: return build_cast(b, build_arg_max(b, margin, 1), DT_F32);
	case OUT_RISING: return add_rising(x, margin);
	}
	return NULL;
}

static Value *
sum_booster(Xgb *x)
{
	const Doc *booster = doc_get(x->learner, "gradient_booster"), *name, *model, *drop;

	name = doc_get(booster, "name");
	x->here = name ? name : booster;
	if (!name || name->kind != DOC_STRING) {
		bad(x, "gradient_booster", "it has no name");
		return NULL;
	}
	if (strcmp(name->string, "gblinear") == 0)
		return sum_linear(x, doc_get(booster, "model"));
	if (strcmp(name->string, "gbtree") == 0)
		return sum_trees(x, doc_get(booster, "model"), NULL);
	if (strcmp(name->string, "dart") != 0) {
		unsupported(x, arena_printf(x->a, "the booster '%s'", name->string));
		return NULL;
	}
	model = doc_get(doc_get(booster, "gbtree"), "model");
	drop = doc_get(booster, "weight_drop");
	if (!model)
		model = doc_get(booster, "model");
	return sum_trees(x, model, drop ? drop : doc_get(model, "weight_drop"));
}

/* The names of the features, where the file has one for each. */
static void
name_features(Xgb *x)
{
	const Doc *list = doc_get(x->learner, "feature_names");
	const char **name;

	if (!list || list->kind != DOC_ARRAY || list->n != x->features)
		return;
	name = ARENA_ARRAY(x->a, const char *, list->n);
	for (int i = 0; i < list->n; i++) {
		if (list->item[i].kind != DOC_STRING)
			return;
		name[i] = list->item[i].string;
	}
	build_name_row(&x->b, name);
}

static Graph *
read_model(Xgb *x, const Doc *root)
{
	Value *y;

	x->learner = doc_get(root, "learner");
	if (!x->learner) {
		bad(x, NULL, "there is no 'learner'");
		return NULL;
	}
	x->b.g = graph_new(x->a, "xgboost");
	if (!read_params(x))
		return NULL;
	y = transform(x, sum_booster(x));
	if (!y)
		return NULL;
	/* One number a row has no axis of its own. */
	if (y->type.rank == 2 && x->groups == 1)
		y = build_reshape(&x->b, y, 1, y->type.dim);
	if (!y)
		return NULL;
	graph_output(x->b.g, "prediction", y);
	name_features(x);
	return x->b.g;
}

Graph *
xgboost_read(const FrontendFile *f, Diag *d)
{
	Doc root = {0};
	Xgb x = {.file = f, .a = f->arena, .b = {.d = d, .loc = {.file = f->path}}};
	bool ok = ubjson_sniff(f->bytes, f->size)
	                  ? ubjson_read(f->arena, f->path, f->bytes, f->size, &root, d)
	                  : json_read(f->arena, f->path, f->bytes, f->size, &root, d);

	return ok ? read_model(&x, &root) : NULL;
}
