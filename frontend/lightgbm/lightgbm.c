/*
 * LightGBM models in text form (versions v2 to v4).
 *
 * A file is lines of key=value in blocks: a header, then one block a tree that begins
 * with Tree=N, up to "end of trees".  Everything is computed in double as LightGBM does:
 * features are compared with double thresholds, leaves are added in the order of the
 * trees.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/build.h"
#include "ir/trees.h"

bool
lightgbm_sniff(const uint8_t *bytes, size_t n)
{
	static const char unix_text[] = "tree\nversion=v", dos_text[] = "tree\r\nversion=v";

	return (n >= sizeof unix_text && memcmp(bytes, unix_text, sizeof unix_text - 1) == 0) ||
	       (n >= sizeof dos_text && memcmp(bytes, dos_text, sizeof dos_text - 1) == 0);
}

/* ---- Lines ---- */

typedef struct {
	const char *key, *value;
	int line;
} Pair;

/* The header or a tree. */
typedef struct {
	VEC(Pair) pairs;
	int line;
	int number; /* of the tree, from 0 */
} Block;

typedef struct {
	Builder b;
	const FrontendFile *file;
	Arena *a;
	Block header;
	VEC(Block) trees;
	int32_t features, classes;
	int32_t width; /* numbers that a leaf gives */
	int last_line;
	bool is_whole; /* it has an end */
	Ensemble *e;
} Lgb;

__attribute__((format(printf, 3, 4))) static bool
bad(Lgb *m, int line, const char *format, ...)
{
	va_list args;
	Loc loc = {.file = m->file->path, .line = line, .column = line > 0};
	const char *text;

	va_start(args, format);
	text = arena_vprintf(m->b.d->arena, format, args);
	va_end(args);
	return diag_report(m->b.d, &loc, E_MALFORMED, "%s", text);
}

static bool
unsupported(Lgb *m, int line, const char *what)
{
	Loc loc = {.file = m->file->path, .line = line, .column = line > 0};

	return diag_report(m->b.d, &loc, E_UNSUPPORTED, "%s is not supported", what);
}

static void
add_pair(Lgb *m, Block *block, char *text, int line)
{
	char *equals = strchr(text, '=');
	Pair p = {text, "", line};

	if (equals) {
		*equals = 0;
		p.value = equals + 1;
	}
	VEC_PUSH(m->a, &block->pairs, p);
}

static void
split_blocks(Lgb *m)
{
	const char *s = (const char *)m->file->bytes, *end = s + m->file->size;
	int line = 0;

	while (s < end) {
		const char *stop = memchr(s, '\n', (size_t)(end - s));
		size_t n = (size_t)((stop ? stop : end) - s);
		char *text;

		if (n > 0 && s[n - 1] == '\r')
			n--;
		text = arena_strndup(m->a, s, n);
		line++;
		s = stop ? stop + 1 : end;
		m->last_line = line;
		/* Version 2 has no such line, but what follows it. */
		m->is_whole = strcmp(text, "end of trees") == 0 ||
		              strcmp(text, "feature importances:") == 0;
		if (m->is_whole)
			return;
		if (strncmp(text, "Tree=", 5) == 0) {
			Block block = {.line = line, .number = m->trees.n};

			VEC_PUSH(m->a, &m->trees, block);
		} else if (*text) {
			add_pair(m, m->trees.n ? &m->trees.v[m->trees.n - 1] : &m->header, text,
			         line);
		}
	}
}

static const Pair *
find(const Block *block, const char *key)
{
	for (int i = 0; i < block->pairs.n; i++)
		if (strcmp(block->pairs.v[i].key, key) == 0)
			return &block->pairs.v[i];
	return NULL;
}

/* ---- Numbers ---- */

/* Exactly `n` numbers separated by blanks. */
static bool
read_numbers(Lgb *m, const Block *block, const char *key, int32_t n, double **out)
{
	const Pair *p = find(block, key);
	const char *s;

	*out = ARENA_ARRAY(m->a, double, n);
	if (!p)
		return n == 0 || bad(m, block->line, "tree %d has no '%s'", block->number, key);
	s = p->value;
	for (int32_t i = 0; i < n; i++) {
		char *end;

		errno = 0;
		(*out)[i] = strtod(s, &end);
		/* A number that is too small is 0 or denormal, which is right. */
		if (end == s || (*end && *end != ' '))
			return bad(m, p->line, "'%s' must be %d numbers", key, n);
		s = end;
	}
	s += strspn(s, " ");
	return !*s || bad(m, p->line, "'%s' has more than %d numbers", key, n);
}

static bool
read_int(Lgb *m, const Block *block, const char *key, int64_t otherwise, int32_t lo, int32_t hi,
         int32_t *out)
{
	const Pair *p = find(block, key);
	int64_t v = otherwise;
	char *end;

	if (p) {
		errno = 0;
		v = strtoll(p->value, &end, 10);
		if (end == p->value || *end || errno)
			return bad(m, p->line, "'%s' must be a number", key);
	}
	if (v < lo || v > hi)
		return bad(m, p ? p->line : block->line, "'%s' is %lld; it must be in [%d, %d]", key,
		           (long long)v, (int)lo, (int)hi);
	*out = (int32_t)v;
	return true;
}

/* ---- Trees ---- */

enum { IS_CATEGORICAL = 1, DEFAULT_LEFT = 2 };
enum { MISSING_NONE, MISSING_ZERO, MISSING_NAN };

typedef struct {
	const Block *block;
	int32_t leaves, categorical;
	double *feature, *threshold, *decision, *left, *right, *value;
	double *inner_count, *leaf_count; /* samples; 0: not known */
	double *bounds, *words;
	int32_t *set; /* by number of a categorical node */
	/* Linear models in the leaves: `part` numbers of `used` and `coeff` are of each. */
	int32_t linear;
	double *constant, *part, *used, *coeff;
} Tree;

static bool
read_sets(Lgb *m, Tree *t)
{
	int32_t nwords;

	if (!read_numbers(m, t->block, "cat_boundaries", t->categorical + 1, &t->bounds))
		return false;
	for (int32_t i = 0; i < t->categorical; i++)
		if (!(t->bounds[i] >= 0 && t->bounds[i] <= t->bounds[i + 1] &&
		      t->bounds[i + 1] <= (double)(TREE_MAX_SET / 32)) ||
		    t->bounds[i] != floor(t->bounds[i]) ||
		    t->bounds[i + 1] != floor(t->bounds[i + 1]))
			return bad(m, t->block->line, "tree %d: 'cat_boundaries' must rise",
			           t->block->number);
	nwords = (int32_t)t->bounds[t->categorical];
	if (!read_numbers(m, t->block, "cat_threshold", nwords, &t->words))
		return false;
	t->set = ARENA_ARRAY(m->a, int32_t, t->categorical);
	for (int32_t i = 0; i < t->categorical; i++) {
		int32_t from = (int32_t)t->bounds[i], count = (int32_t)t->bounds[i + 1] - from;
		uint32_t *word = ARENA_ARRAY(m->a, uint32_t, count);

		for (int32_t k = 0; k < count; k++) {
			double v = t->words[from + k];

			if (!(v >= 0 && v <= (double)UINT32_MAX))
				return bad(m, t->block->line, "tree %d: %g is no word of a set",
				           t->block->number, v);
			word[k] = (uint32_t)v;
		}
		t->set[i] = ensemble_set(m->e, word, count);
	}
	return true;
}

/* The number of a child: leaves follow the nodes. */
static int32_t
child(const Tree *t, double c)
{
	int32_t nodes = t->leaves - 1;

	if (c >= 0)
		return c < nodes && c == floor(c) ? (int32_t)c : -1;
	return c >= -(double)t->leaves && c == floor(c) ? nodes - 1 - (int32_t)c : -1;
}

static bool
make_node(Lgb *m, const Tree *t, int32_t i, TreeNode *o)
{
	int32_t left = child(t, t->left[i]), right = child(t, t->right[i]);
	double threshold = t->threshold[i];
	int decision = t->decision[i] >= 0 && t->decision[i] < 16 ? (int)t->decision[i] : 0;
	int missing = decision >> 2;

	o->feature = t->feature[i] >= 0 && t->feature[i] < INT32_MAX ? (int32_t)t->feature[i] : -1;
	o->yes = left;
	o->no = right;
	if (decision & IS_CATEGORICAL) {
		if (!(threshold >= 0 && threshold < t->categorical))
			return bad(m, t->block->line, "tree %d: node %d tests set %g of %d",
			           t->block->number, i, threshold, t->categorical);
		o->mode = TREE_IN_TRUNC;
		o->set = t->set[(int32_t)threshold];
		o->missing = right;
		return true;
	}
	o->mode = TREE_LE;
	o->threshold = threshold;
	o->zero_missing = missing == MISSING_ZERO;
	o->missing = decision & DEFAULT_LEFT ? left : right;
	if (missing == MISSING_NONE) /* NaN counts as 0 */
		o->missing = 0 <= threshold ? left : right;
	return true;
}

static bool
read_linear(Lgb *m, Tree *t)
{
	double all = 0;

	if (!read_numbers(m, t->block, "leaf_const", t->leaves, &t->constant) ||
	    !read_numbers(m, t->block, "num_features", t->leaves, &t->part))
		return false;
	for (int32_t i = 0; i < t->leaves; i++) {
		if (!(t->part[i] >= 0 && t->part[i] <= m->features) ||
		    t->part[i] != floor(t->part[i]))
			return bad(m, t->block->line, "tree %d: leaf %d has %g features",
			           t->block->number, i, t->part[i]);
		all += t->part[i];
	}
	if (all > (double)(1 << 24))
		return bad(m, t->block->line, "tree %d: there are %g coefficients", t->block->number,
		           all);
	if (!read_numbers(m, t->block, "leaf_features", (int32_t)all, &t->used) ||
	    !read_numbers(m, t->block, "leaf_coeff", (int32_t)all, &t->coeff))
		return false;
	for (int32_t i = 0; i < (int32_t)all; i++)
		if (!(t->used[i] >= 0 && t->used[i] < m->features) ||
		    t->used[i] != floor(t->used[i]) || !isfinite(t->coeff[i]))
			return bad(m, t->block->line, "tree %d: %g times feature %g", t->block->number,
			           t->coeff[i], t->used[i]);
	return true;
}

/* Numbers that a file need not have. */
static bool
read_counts(Lgb *m, const Block *block, const char *key, int32_t n, double **out)
{
	if (find(block, key))
		return read_numbers(m, block, key, n, out);
	*out = ARENA_ARRAY(m->a, double, n);
	return true;
}

static bool
read_tree(Lgb *m, Tree *t)
{
	int32_t nodes;

	if (!read_int(m, t->block, "num_leaves", 0, 1, 1 << 24, &t->leaves) ||
	    !read_int(m, t->block, "num_cat", 0, 0, 1 << 24, &t->categorical) ||
	    !read_int(m, t->block, "is_linear", 0, 0, 1, &t->linear) ||
	    !read_numbers(m, t->block, "leaf_value", t->leaves, &t->value) ||
	    (t->linear && !read_linear(m, t)))
		return false;
	nodes = t->leaves - 1;
	if (!read_counts(m, t->block, "leaf_count", t->leaves, &t->leaf_count) ||
	    !read_counts(m, t->block, "internal_count", nodes, &t->inner_count))
		return false;
	return nodes == 0 ||
	       (read_numbers(m, t->block, "split_feature", nodes, &t->feature) &&
	        read_numbers(m, t->block, "threshold", nodes, &t->threshold) &&
	        read_numbers(m, t->block, "decision_type", nodes, &t->decision) &&
	        read_numbers(m, t->block, "left_child", nodes, &t->left) &&
	        read_numbers(m, t->block, "right_child", nodes, &t->right) &&
	        (t->categorical == 0 || read_sets(m, t)));
}

/*
 * Where trees have linear models, a leaf gives 1 + features numbers: its constant, and
 * what each feature is multiplied by.  They are added over all trees and then multiplied
 * once.  A leaf some features of which are missing gives its value alone: tests for that
 * stand in front of it.
 */
typedef struct {
	const Tree *t;
	TreeNode *node;
	int32_t n, target;
	double *row;
	int32_t first; /* in used and coeff, of the leaf at hand */
} Leaves;

static int32_t
leaf_row(Lgb *m, Leaves *l, double constant, int32_t parts)
{
	memset(l->row, 0, (size_t)m->width * sizeof *l->row);
	l->row[0] = constant;
	for (int32_t k = l->first; k < l->first + parts; k++)
		l->row[1 + (int32_t)l->t->used[k]] += l->t->coeff[k];
	return ensemble_leaf(m->e, l->row, l->target * m->width);
}

/* Leaf i at its node, behind tests whether its features are there. */
static void
put_leaf(Lgb *m, Leaves *l, int32_t i, int32_t at)
{
	int32_t parts = l->t->linear ? (int32_t)l->t->part[i] : 0;
	double constant = l->t->linear ? l->t->constant[i] : l->t->value[i];
	int32_t alone = leaf_row(m, l, l->t->value[i], 0), whole = leaf_row(m, l, constant, parts);

	for (int32_t k = l->first; k < l->first + parts; k++) {
		int32_t next = l->n++, instead = l->n++;

		l->node[instead] = (TreeNode){.mode = TREE_LEAF, .leaf = alone};
		l->node[at] = (TreeNode){.mode = TREE_LE,
		                         .feature = (int32_t)l->t->used[k],
		                         .threshold = HUGE_VAL,
		                         .yes = next,
		                         .no = instead,
		                         .missing = instead};
		at = next;
	}
	l->node[at] = (TreeNode){.mode = TREE_LEAF, .leaf = whole};
	l->first += parts;
}

static bool
add_tree(Lgb *m, const Block *block)
{
	Tree t = {.block = block};
	int32_t nodes, more = 0;
	Leaves l = {.t = &t, .target = block->number % m->classes};
	Loc loc = {.file = m->file->path, .line = block->line, .column = 1};

	if (!read_tree(m, &t))
		return false;
	nodes = t.leaves - 1;
	for (int32_t i = 0; t.linear && i < t.leaves; i++)
		more += 2 * (int32_t)t.part[i];
	l.row = ARENA_ARRAY(m->a, double, m->width);
	l.node = ARENA_ARRAY(m->a, TreeNode, nodes + t.leaves + more);
	l.n = nodes + t.leaves;
	for (int32_t i = 0; i < nodes; i++) {
		if (!make_node(m, &t, i, &l.node[i]))
			return false;
		l.node[i].weight = t.inner_count[i];
	}
	for (int32_t i = 0; i < t.leaves; i++) {
		if (!isfinite(t.value[i]) || (t.linear && !isfinite(t.constant[i])))
			return bad(m, block->line, "tree %d: leaf %d is not finite", block->number, i);
		put_leaf(m, &l, i, nodes + i);
		l.node[nodes + i].weight = t.leaf_count[i];
	}
	return ensemble_tree(m->e, l.node, l.n, 0, arena_printf(m->a, "tree %d", block->number),
	                     &loc, m->b.d);
}

/* ---- Objectives ---- */

typedef enum { OUT_SUM, OUT_SIGMOID, OUT_SOFTMAX, OUT_SQUARE, OUT_EXP, OUT_LOG1P_EXP } Out;

static const struct {
	const char *name;
	Out out;
} objectives[] = {
	{"regression", OUT_SUM},          {"regression_l2", OUT_SUM},
	{"regression_l1", OUT_SUM},       {"huber", OUT_SUM},
	{"fair", OUT_SUM},                {"quantile", OUT_SUM},
	{"mape", OUT_SUM},                {"lambdarank", OUT_SUM},
	{"rank_xendcg", OUT_SUM},         {"custom", OUT_SUM},
	{"none", OUT_SUM},                {"binary", OUT_SIGMOID},
	{"multiclassova", OUT_SIGMOID},   {"cross_entropy", OUT_SIGMOID},
	{"multiclass", OUT_SOFTMAX},      {"poisson", OUT_EXP},
	{"gamma", OUT_EXP},               {"tweedie", OUT_EXP},
	{"cross_entropy_lambda", OUT_LOG1P_EXP},
};
enum { OBJECTIVES = sizeof objectives / sizeof *objectives };

/* Whether the words of the objective have this one; `sigmoid:` is followed by a number. */
static const char *
find_word(const char *words, const char *word)
{
	size_t n = strlen(word);

	for (const char *s = words; *s; s += strcspn(s, " "), s += strspn(s, " "))
		if (strncmp(s, word, n) == 0)
			return s + n;
	return NULL;
}

static bool
find_objective(Lgb *m, const char *words, int line, Out *out, double *slope)
{
	size_t n = strcspn(words, " ");
	const char *sigmoid = find_word(words, "sigmoid:");
	int i = 0;

	while (i < OBJECTIVES && (strlen(objectives[i].name) != n ||
	                          memcmp(objectives[i].name, words, n) != 0))
		i++;
	if (i == OBJECTIVES)
		return unsupported(m, line, arena_printf(m->a, "the objective '%s'", words));
	*out = objectives[i].out;
	*slope = sigmoid ? strtod(sigmoid, NULL) : 1;
	if (*out == OUT_SUM && find_word(words, "sqrt"))
		*out = OUT_SQUARE;
	return true;
}

static Value *
transform(Lgb *m, Value *sum)
{
	Builder *b = &m->b;
	const Pair *p = find(&m->header, "objective");
	Out out = OUT_SUM;
	double slope = 1;
	Value *v;

	if (p && !find_objective(m, p->value, p->line, &out, &slope))
		return NULL;
	switch (out) {
	case OUT_SUM: return sum;
	case OUT_SIGMOID:
		return build_unary(b, OP_SIGMOID,
		                   slope == 1 ? sum : build_with(b, OP_MUL, sum, slope));
	case OUT_SOFTMAX: return build_softmax(b, sum, 1);
	case OUT_SQUARE:
		v = build_unary(b, OP_ABS, sum);
		return build_binary(b, OP_MUL, sum, v);
	case OUT_EXP: return build_unary(b, OP_EXP, sum);
	case OUT_LOG1P_EXP: return build_unary(b, OP_SOFTPLUS, sum);
	}
	return NULL;
}

/* ---- The model ---- */

static bool
has_linear_trees(const Lgb *m)
{
	for (int i = 0; i < m->trees.n; i++) {
		const Pair *p = find(&m->trees.v[i], "is_linear");

		if (p && strcmp(p->value, "1") == 0)
			return true;
	}
	return false;
}

/* The sums of linear models, [N, classes * width], applied to the features.  What is
 * multiplied by 0 does not count, whatever it is. */
static Value *
apply_linear(Lgb *m, Value *x, Value *sums)
{
	Builder *b = &m->b;
	int32_t rows = x ? x->type.dim[0] : 1, three[3] = {rows, 1, m->width};
	double *one = ARENA_ARRAY(m->a, double, rows);
	Value *product, *unused;

	for (int32_t i = 0; i < rows; i++)
		one[i] = 1;
	x = build_concat(b, 2, (Value *[]){build_matrix(b, DT_F64, rows, 1, one), x}, 1);
	x = x ? build_reshape(b, x, 3, three) : NULL;
	three[1] = m->classes;
	sums = sums ? build_reshape(b, sums, 3, three) : NULL;
	product = x && sums ? build_binary(b, OP_MUL, sums, x) : NULL;
	unused = sums ? build_with(b, OP_EQUAL, sums, 0) : NULL;
	product = product && unused ? build_where(b, unused, build_scalar(b, DT_F64, 0), product)
	                            : NULL;
	return product ? build_reduce_sum(b, product, 2) : NULL;
}

/* How many trees count: whole iterations, as many as the user wants.  LightGBM saves those
 * that early stopping found to be best. */
static int
count_trees(const Lgb *m)
{
	int limit = m->file->options->tree_limit, iterations = m->trees.n / m->classes;

	return limit > 0 && limit < iterations ? limit * m->classes : m->trees.n;
}

static Value *
sum_trees(Lgb *m)
{
	Value *x = build_rows(&m->b, m->file->options, "features", DT_F64, m->features), *y;
	bool linear = has_linear_trees(m);
	int n = count_trees(m), iterations = n / m->classes;
	Node *k;

	m->width = linear ? 1 + m->features : 1;
	if ((int64_t)m->classes * m->width > 1 << 20) {
		bad(m, 1, "%d features are too many for linear trees of %d classes", m->features,
		    m->classes);
		return NULL;
	}
	m->e = ensemble_new(m->a, DT_F64, DT_F64, m->features, m->classes * m->width, m->width);
	for (int i = 0; i < n; i++)
		if (!add_tree(m, &m->trees.v[i]))
			return NULL;
	if (!x)
		return NULL;
	k = ensemble_finish(m->e, m->b.g, x, NULL, TREES_sum, "sum");
	k->loc = m->b.loc;
	y = build_finish(&m->b, k);
	if (linear)
		y = apply_linear(m, x, y);
	if (find(&m->header, "average_output") && iterations > 1)
		y = build_with(&m->b, OP_DIV, y, iterations);
	return y;
}

/* The names of the features, where the file has one for each. */
static void
name_features(Lgb *m)
{
	const Pair *p = find(&m->header, "feature_names");
	const char **name = ARENA_ARRAY(m->a, const char *, m->features);
	const char *s = p ? p->value : "";
	int32_t n = 0;

	for (; *s && n < m->features; n++) {
		size_t length = strcspn(s, " ");

		name[n] = arena_strndup(m->a, s, length);
		s += length;
		s += strspn(s, " ");
	}
	if (n == m->features && !*s)
		build_name_row(&m->b, name);
}

Graph *
lightgbm_read(const FrontendFile *f, Diag *d)
{
	Lgb m = {.file = f, .a = f->arena, .b = {.d = d, .loc = {.file = f->path}}};
	int32_t last, classes;
	Value *y;

	m.header.line = 1;
	if (!lightgbm_sniff(f->bytes, f->size)) {
		bad(&m, 1, "a model of LightGBM begins with the lines 'tree' and 'version=v4'");
		return NULL;
	}
	split_blocks(&m);
	m.b.g = graph_new(f->arena, "lightgbm");
	if (!read_int(&m, &m.header, "max_feature_idx", -1, 0, 1 << 24, &last) ||
	    !read_int(&m, &m.header, "num_class", 1, 1, 1 << 16, &classes) ||
	    !read_int(&m, &m.header, "num_tree_per_iteration", classes, 1, 1 << 16, &m.classes))
		return NULL;
	m.features = last + 1;
	y = transform(&m, sum_trees(&m));
	/* A file that ends early would be another model, with fewer trees. */
	if (y && !m.is_whole) {
		bad(&m, m.last_line, "the file ends before the line 'end of trees'");
		return NULL;
	}
	/* One number a row has no axis of its own. */
	if (y && m.classes == 1)
		y = build_reshape(&m.b, y, 1, y->type.dim);
	if (!y)
		return NULL;
	graph_output(m.b.g, "prediction", y);
	name_features(&m);
	return m.b.g;
}
