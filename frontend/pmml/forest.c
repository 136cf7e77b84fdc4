/*
 * Trees as an ensemble.
 *
 * The children of a node become a chain of tests, each of one child's predicate: `yes`
 * goes on in that child, `no` at the next test; behind the last test is what the tree
 * gives when no child is true.  Where a value is missing the strategy decides:
 *
 *	none             on at the next test: a predicate that is unknown is not true
 *	lastPrediction   the node itself is the result
 *	nullPrediction   there is none
 *	defaultChild     that child
 *
 * The last child needs no test when its predicate is true whenever those before are not.
 * A default child can only be reached from one place; that is enough when all tests are
 * of one field, so that they are unknown together.  Else the number of the child is
 * computed before, and tested.
 */
#include <math.h>
#include <string.h>

#include "frontend/pmml/tree.h"

enum { NO_RESULT = -1 };

typedef struct {
	Val v;   /* a number, a label */
	Expr *e; /* as f64, NaN where missing */
	Kernel *home;
	bool is_float; /* exact in f32 */
} Feature;

typedef struct {
	const char *name; /* of a field; NULL: no field */
	const Scope *scope;
	int feature;
} Known;

/* A set of a test, until the ensemble exists. */
typedef struct {
	const uint32_t *word;
	int n;
} Set;

struct Forest {
	Pmml *p;
	VEC(Feature) features;
	VEC(Known) known;
	VEC(TreeNode) node; /* of all trees; TreeNode.leaf is the tree's leaf */
	VEC(int) tree_of;   /* of each leaf node */
	VEC(Set) sets;
	VEC(int32_t) root;
	VEC(Tree *) trees;
	Tree *tree; /* that is being added */
};

Forest *
forest_new(Pmml *p)
{
	Forest *f = ARENA_NEW(p->a, Forest);

	f->p = p;
	return f;
}

/* ---- Features ---- */

static int
add_feature(Forest *f, Expr *e, bool is_float)
{
	Feature x = {.e = e, .home = kernel_current(f->p), .is_float = is_float};

	VEC_PUSH(f->p->a, &f->features, x);
	return f->features.n - 1;
}

static Expr *
label_as_number(Pmml *p, const Val *v)
{
	Expr *e = loop_cvt(code(p), DT_F64, v->e);

	return v->never_missing ? e
	                        : code_select(p, value_is_missing(p, v),
	                                      code_number(p, (double)NAN), e);
}

static bool
field_feature(Forest *f, const Xml *e, const char *name, Val *v, int *out)
{
	Pmml *p = f->p;
	Known k = {.name = name, .scope = p->scope};
	Expr *x;

	if (!field_value(p, e, name, v))
		return false;
	for (int i = 0; i < f->known.n; i++)
		if (f->known.v[i].scope == k.scope && strcmp(f->known.v[i].name, name) == 0) {
			*out = f->known.v[i].feature;
			return true;
		}
	if (value_kind(v) == KIND_LABEL)
		x = label_as_number(p, v);
	else if (!value_to_number(p, e, *v, &x))
		return false;
	*out = k.feature = add_feature(f, x, value_kind(v) == KIND_FLOAT ||
	                                             value_kind(v) == KIND_LABEL ||
	                                             value_kind(v) == KIND_BOOLEAN);
	VEC_PUSH(p->a, &f->known, k);
	return true;
}

/* Truth as 1, 0 and NaN. */
static int
truth_feature(Forest *f, const Truth *t)
{
	Pmml *p = f->p;
	Expr *x = code_select(p, t->is_true, code_number(p, 1), code_number(p, 0));

	if (t->is_unknown)
		x = code_select(p, t->is_unknown, code_number(p, (double)NAN), x);
	return add_feature(f, x, true);
}

/* ---- Tests ---- */

typedef enum { TEST_TRUE, TEST_FALSE, TEST_FEATURE, TEST_REST } TestKind;

/* What a predicate is where the value is missing. */
typedef enum { MISSING_IS_UNKNOWN, MISSING_IS_TRUE, MISSING_IS_FALSE } WhenMissing;

/* A predicate: `mode` of the feature holds, or with `negated` does not. */
typedef struct {
	TestKind kind; /* TEST_REST: it is true when the one before is not */
	TreeNode node; /* mode, feature, threshold, set */
	bool negated;
	WhenMissing missing;
	bool asks_missing; /* a missing value makes it true; else it is unknown */
	bool never_unknown;
} Test;

static bool
same_text(const Xml *a, const Xml *b, const char *attr)
{
	const char *x = xml_attr(a, attr), *y = xml_attr(b, attr);

	return x && y && strcmp(x, y) == 0;
}

static bool
opposite(const char *x, const char *y)
{
	static const char *const pair[][2] = {
		{"equal", "notEqual"},          {"lessThan", "greaterOrEqual"},
		{"lessOrEqual", "greaterThan"}, {"isMissing", "isNotMissing"},
		{"isIn", "isNotIn"},
	};

	for (size_t i = 0; x && y && i < sizeof pair / sizeof *pair; i++)
		for (int k = 0; k < 2; k++)
			if (strcmp(x, pair[i][k]) == 0 && strcmp(y, pair[i][!k]) == 0)
				return true;
	return false;
}

/* Whether b holds exactly where a does not, and both are unknown together. */
static bool
are_complements(const Xml *a, const Xml *b)
{
	const Xml *x, *y;

	if ((xml_is(a, "True") && xml_is(b, "False")) || (xml_is(a, "False") && xml_is(b, "True")))
		return true;
	if (strcmp(a->name, b->name) != 0)
		return false;
	if (xml_is(a, "SimplePredicate"))
		return same_text(a, b, "field") &&
		       opposite(xml_attr(a, "operator"), xml_attr(b, "operator")) &&
		       (!xml_attr(a, "value") || same_text(a, b, "value"));
	if (xml_is(a, "SimpleSetPredicate")) {
		x = xml_child(a, "Array");
		y = xml_child(b, "Array");
		return same_text(a, b, "field") && x && y && strcmp(x->text, y->text) == 0 &&
		       opposite(xml_attr(a, "booleanOperator"), xml_attr(b, "booleanOperator"));
	}
	if (!xml_is(a, "CompoundPredicate") || !same_text(a, b, "booleanOperator") ||
	    strcmp(xml_attr(a, "booleanOperator"), "surrogate") != 0)
		return false;
	for (x = xml_first(a), y = xml_first(b); x && y; x = xml_next(x), y = xml_next(y))
		if (!are_complements(x, y))
			return false;
	return !x && !y;
}

static bool
whole_predicate(Forest *f, const Xml *e, Test *out)
{
	Truth t;

	if (!predicate_read(f->p, e, &t))
		return false;
	out->node.mode = TREE_GT;
	out->node.threshold = 0.5;
	out->node.feature = truth_feature(f, &t);
	out->never_unknown = !t.is_unknown;
	return true;
}

static bool
simple_test(Forest *f, const Xml *e, Test *out)
{
	static const TreeMode mode[] = {TREE_EQ, TREE_NE, TREE_LT, TREE_LE, TREE_GT, TREE_GE};
	const char *name = pmml_need(f->p, e, "field"), *text = xml_attr(e, "value");
	Val v, constant;
	Expr *number;
	int op;

	if (!name || !pmml_need(f->p, e, "operator") ||
	    !pmml_word(f->p, e, "operator", predicate_operators, 0, &op) ||
	    !field_feature(f, e, name, &v, &out->node.feature))
		return false;
	if (op >= PREDICATE_IS_MISSING) {
		out->asks_missing = true;
		out->negated = op == PREDICATE_IS_NOT_MISSING;
		out->never_unknown = true;
		out->node.mode = TREE_LT;
		out->node.threshold = -HUGE_VAL;
		return true;
	}
	if (!text)
		return pmml_need(f->p, e, "value") != NULL;
	if (!value_constant(f->p, e, text, v.type, v.labels, &constant))
		return false;
	if (value_kind(&v) == KIND_LABEL && op > PREDICATE_NOT_EQUAL && !v.labels->ordered)
		return pmml_unsupported(f->p, e, "comparing strings that are not ordinal");
	if (value_kind(&v) == KIND_LABEL)
		number = code_number(f->p, (double)constant.e->u.i);
	else if (value_kind(&v) == KIND_BOOLEAN)
		number = code_number(f->p, constant.e->u.i ? 1 : 0);
	else
		number = constant.e;
	out->node.mode = mode[op];
	out->node.threshold = number->u.f;
	out->never_unknown = v.never_missing;
	if (isnan(out->node.threshold))
		return pmml_error(f->p, e, "it compares with NaN");
	return true;
}

/* Numbers of a set are its bits, so only small whole ones can be. */
enum { MAX_SET_NUMBER = 1 << 16 };

static bool
read_set(Forest *f, const Val *v, const Words *words, int *number, int *n)
{
	double x;

	*n = 0;
	for (int i = 0; i < words->n; i++) {
		if (value_kind(v) == KIND_LABEL)
			number[i] = labels_add(f->p, v->labels, words->v[i]);
		else if (value_kind(v) == KIND_BOOLEAN || !pmml_parse_number(words->v[i], &x) ||
		         !(x >= 0 && x < (double)MAX_SET_NUMBER) || x != floor(x))
			return false;
		else
			number[i] = (int)x;
		*n = number[i] >= *n ? number[i] + 1 : *n;
	}
	return true;
}

static bool
set_test(Forest *f, const Xml *e, Test *out)
{
	const char *name = pmml_need(f->p, e, "field"), *op = pmml_need(f->p, e, "booleanOperator");
	const Xml *array = pmml_need_child(f->p, e, "Array");
	uint32_t *word;
	Words words;
	int *number, n;
	Val v;

	if (!name || !op || !array || !field_value(f->p, e, name, &v) ||
	    !pmml_words(f->p, array, &words))
		return false;
	number = ARENA_ARRAY(f->p->a, int, words.n);
	if (!read_set(f, &v, &words, number, &n))
		return whole_predicate(f, e, out);
	if (!field_feature(f, e, name, &v, &out->node.feature))
		return false;
	word = ARENA_ARRAY(f->p->a, uint32_t, n / 32 + 1);
	for (int i = 0; i < words.n; i++)
		word[number[i] / 32] |= (uint32_t)1 << number[i] % 32;
	out->node.mode = TREE_IN_EXACT;
	out->node.set = f->sets.n;
	out->negated = strcmp(op, "isNotIn") == 0;
	out->never_unknown = v.never_missing;
	if (!out->negated && strcmp(op, "isIn") != 0)
		return pmml_error(f->p, e, "booleanOperator is \"%.60s\"", op);
	VEC_PUSH(f->p->a, &f->sets, ((Set){word, n / 32 + 1}));
	return true;
}

/* Whether e asks if this field is missing, or is not. */
static bool
asks_for_missing(const Xml *e, const Xml *of, const char *operator)
{
	const char *op = xml_attr(e, "operator");

	return xml_is(e, "SimplePredicate") && same_text(e, of, "field") && op &&
	       strcmp(op, operator) == 0;
}

/* What `other`, joined to `test` by the operator, says about a missing value alone. */
static WhenMissing
when_missing(const char *op, const Xml *test, const Xml *other)
{
	if (strcmp(op, "surrogate") == 0)
		return xml_is(other, "True")    ? MISSING_IS_TRUE
		       : xml_is(other, "False") ? MISSING_IS_FALSE
		                                : MISSING_IS_UNKNOWN;
	if (strcmp(op, "or") == 0 && asks_for_missing(other, test, "isMissing"))
		return MISSING_IS_TRUE;
	if (strcmp(op, "and") == 0 && asks_for_missing(other, test, "isNotMissing"))
		return MISSING_IS_FALSE;
	return MISSING_IS_UNKNOWN;
}

static bool
is_value_test(const Xml *e)
{
	return xml_is(e, "SimpleSetPredicate") ||
	       (xml_is(e, "SimplePredicate") && xml_attr(e, "value"));
}

/* Two predicates of which one is a test and the other only says what a missing value
 * means are one test. */
static bool
compound_test(Forest *f, const Xml *e, Test *out)
{
	const Xml *a = xml_first(e), *b = a ? xml_next(a) : NULL, *test = NULL;
	const char *op = xml_attr(e, "booleanOperator");

	if (op && b && !xml_next(b) && is_value_test(a) &&
	    (out->missing = when_missing(op, a, b)) != MISSING_IS_UNKNOWN)
		test = a;
	else if (op && b && !xml_next(b) && is_value_test(b) && strcmp(op, "surrogate") != 0 &&
	         (out->missing = when_missing(op, b, a)) != MISSING_IS_UNKNOWN)
		test = b;
	if (!test)
		return whole_predicate(f, e, out);
	if (xml_is(test, "SimplePredicate") ? !simple_test(f, test, out) : !set_test(f, test, out))
		return false;
	out->never_unknown = true;
	return true;
}

static bool
make_test(Forest *f, const Xml *predicate, const Xml *before, Test *out)
{
	*out = (Test){.kind = TEST_FEATURE};
	if (before && are_complements(before, predicate)) {
		out->kind = TEST_REST;
		return true;
	}
	if (xml_is(predicate, "True")) {
		out->kind = TEST_TRUE;
		return true;
	}
	if (xml_is(predicate, "False")) {
		out->kind = TEST_FALSE;
		return true;
	}
	if (xml_is(predicate, "SimplePredicate"))
		return simple_test(f, predicate, out);
	if (xml_is(predicate, "SimpleSetPredicate"))
		return set_test(f, predicate, out);
	return compound_test(f, predicate, out);
}

/* ---- Nodes ---- */

static int32_t
push_node(Forest *f, TreeNode n)
{
	VEC_PUSH(f->p->a, &f->node, n);
	VEC_PUSH(f->p->a, &f->tree_of, f->trees.n);
	return f->node.n - 1;
}

/* The end of a walk: a node of the file, or no result. */
static int32_t
push_leaf(Forest *f, int node)
{
	TreeNode n = {.mode = TREE_LEAF, .leaf = NO_RESULT};

	if (node < 0)
		f->tree->can_be_null = true;
	else
		n.leaf = tree_leaf(f->p, f->tree, node);
	return push_node(f, n);
}

/* Where no child is true. */
static int32_t
push_no_child(Forest *f, int node)
{
	return push_leaf(f, f->tree->last_without_child ? node : -1);
}

/* Where it is unknown whether a child is true; `next` is the next test. */
static int32_t
push_unknown(Forest *f, int node, const Test *t, int child, int32_t next, int32_t yes,
             bool before_rest)
{
	const PNode *n = &f->tree->node.v[node];

	if (t->never_unknown)
		return next;
	switch (f->tree->missing) {
	case MISSING_LAST: return push_leaf(f, node);
	case MISSING_NULL: return push_leaf(f, -1);
	case MISSING_DEFAULT:
		if (n->default_child < 0)
			return push_leaf(f, -1);
		return n->default_child == child ? yes : next;
	case MISSING_NONE:
	case MISSING_WEIGHTED:
	case MISSING_AGGREGATE: break;
	}
	/* The rest is not tested, but would be unknown too. */
	return before_rest ? push_no_child(f, node) : next;
}

static TreeNode
test_node(const Test *t, int32_t yes, int32_t no, int32_t missing)
{
	TreeNode n = t->node;

	n.yes = t->negated ? no : yes;
	n.no = t->negated ? yes : no;
	n.missing = t->missing == MISSING_IS_TRUE    ? yes
	            : t->missing == MISSING_IS_FALSE ? no
	                                             : missing;
	if (t->asks_missing) {
		/* The test itself never holds; negated, it asks whether there is a value. */
		n.missing = t->negated ? no : yes;
		n.yes = n.missing;
		n.no = t->negated ? yes : no;
	}
	return n;
}

static bool make_node(Forest *f, int node, int32_t *out);

/* Whether the chain does what the strategy says; see the top of the file. */
static bool
chain_is_enough(const Forest *f, const PNode *n, const Test *test)
{
	int feature = -1;

	if (f->tree->missing != MISSING_DEFAULT || n->default_child < 0)
		return true;
	for (int i = 0; i < n->children; i++) {
		if (test[i].kind != TEST_FEATURE || test[i].never_unknown)
			continue;
		if (feature >= 0 && test[i].node.feature != feature)
			return false;
		feature = test[i].node.feature;
	}
	/* A test that is always known might come true before the one that is not. */
	for (int i = 0; feature >= 0 && i < n->children; i++)
		if (test[i].kind == TEST_TRUE ||
		    (test[i].kind == TEST_FEATURE && test[i].never_unknown))
			return false;
	return true;
}

static bool
make_chain(Forest *f, int node, const Test *test, int32_t *out)
{
	const PNode n = f->tree->node.v[node];
	int32_t next = -1;

	for (int i = n.children - 1; i >= 0; i--) {
		bool before_rest = i + 1 < n.children && test[i + 1].kind == TEST_REST;
		int32_t child, missing;

		if (test[i].kind == TEST_FALSE)
			continue;
		if (!make_node(f, n.first + i, &child))
			return false;
		if (test[i].kind != TEST_FEATURE) {
			next = child;
			continue;
		}
		if (next < 0)
			next = push_no_child(f, node);
		missing = push_unknown(f, node, &test[i], n.first + i, next, child, before_rest);
		next = push_node(f, test_node(&test[i], child, next, missing));
	}
	*out = next >= 0 ? next : push_no_child(f, node);
	return true;
}

/* The child by number: one behind the last stands for none, one more for unknown. */
static bool
make_selector(Forest *f, int node, int32_t *out)
{
	Pmml *p = f->p;
	const PNode n = f->tree->node.v[node];
	Expr *number = code_number(p, n.children);
	Test t = {.kind = TEST_FEATURE, .node = {.mode = TREE_LE}};
	int32_t next, child;

	for (int i = n.children - 1; i >= 0; i--) {
		Truth truth;

		if (!predicate_read(p, f->tree->node.v[n.first + i].predicate, &truth))
			return false;
		number = code_select(p, truth.is_true, code_number(p, i), number);
		if (truth.is_unknown)
			number = code_select(p, truth.is_unknown,
			                     code_number(p, n.default_child - n.first), number);
		number = code_let(p, "child", number);
	}
	t.node.feature = add_feature(f, number, true);
	next = push_no_child(f, node);
	for (int i = n.children - 1; i >= 0; i--) {
		if (!make_node(f, n.first + i, &child))
			return false;
		t.node.threshold = i + 0.5;
		next = push_node(f, test_node(&t, child, next, next));
	}
	*out = next;
	return true;
}

static bool
make_node(Forest *f, int node, int32_t *out)
{
	const PNode n = f->tree->node.v[node];
	Test *test = ARENA_ARRAY(f->p->a, Test, n.children);
	const Xml *before = NULL;
	bool ok = true;

	if (n.children == 0) {
		*out = push_leaf(f, node);
		return true;
	}
	if (!pmml_enter(f->p, n.e))
		return false;
	for (int i = 0; ok && i < n.children; i++) {
		const Xml *predicate = f->tree->node.v[n.first + i].predicate;

		ok = make_test(f, predicate, i + 1 == n.children ? before : NULL, &test[i]);
		before = predicate;
	}
	ok = ok && (chain_is_enough(f, &n, test) ? make_chain(f, node, test, out)
	                                         : make_selector(f, node, out));
	pmml_leave(f->p);
	return ok;
}

bool
forest_add(Forest *f, Tree *t)
{
	int32_t root, no;
	Test test;

	f->tree = t;
	if (!make_test(f, t->node.v[0].predicate, NULL, &test) || !make_node(f, 0, &root))
		return false;
	if (test.kind == TEST_FALSE)
		root = push_leaf(f, -1);
	if (test.kind == TEST_FEATURE) {
		no = push_leaf(f, -1);
		root = push_node(f, test_node(&test, root, no, no));
	}
	VEC_PUSH(f->p->a, &f->root, root);
	VEC_PUSH(f->p->a, &f->trees, t);
	return true;
}

/* ---- The ensemble ---- */

static Vec *
store_features(Forest *f, DType t)
{
	Pmml *p = f->p;
	Vec *v;
	LBuf *buf;

	for (int i = 0; i < f->features.n; i++)
		f->features.v[i].e = kernel_import(p, f->features.v[i].home, f->features.v[i].e);
	v = kernel_output(p, "features", t, f->features.n ? f->features.n : 1);
	buf = kernel_output_buf(p, v);
	for (int i = 0; i < f->features.n; i++)
		code_put(p, buf, i, f->features.v[i].e);
	if (f->features.n == 0)
		code_put(p, buf, 0, code_number(p, 0));
	return v;
}

Vec *
forest_finish(Forest *f, DType sum, int32_t outputs, int32_t width, ForestLeaf *give,
              void *user, const Loc *loc)
{
	Pmml *p = f->p;
	bool narrow = true;
	double *values = ARENA_ARRAY(p->a, double, width);
	int32_t nfeatures = f->features.n ? f->features.n : 1;
	Ensemble *e;
	DType decide;

	for (int i = 0; i < f->features.n; i++)
		narrow = narrow && f->features.v[i].is_float;
	decide = narrow ? DT_F32 : DT_F64;
	e = ensemble_new(p->a, decide, sum, nfeatures, outputs, width);
	for (int i = 0; i < f->sets.n; i++)
		ensemble_set(e, f->sets.v[i].word, f->sets.v[i].n);
	for (int i = 0; i < f->node.n; i++) {
		TreeNode *n = &f->node.v[i];
		int32_t target = 0;

		if (n->mode != TREE_LEAF)
			continue;
		give(user, f->tree_of.v[i], n->leaf, values, &target);
		n->leaf = ensemble_leaf(e, values, target);
	}
	if (!ensemble_trees(e, f->node.v, f->node.n, f->root.v, f->root.n, "trees", loc, p->d))
		return NULL;
	return kernel_trees(p, e, store_features(f, decide), sum, outputs, "trees", loc);
}
