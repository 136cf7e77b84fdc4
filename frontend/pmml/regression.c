/*
 * RegressionModel: sums of terms, one for a number or one for each class, and what turns
 * sums into probabilities.
 */
#include <math.h>
#include <string.h>

#include "frontend/pmml/link.h"
#include "frontend/pmml/pmml.h"

typedef enum {
	NORM_NONE,
	NORM_SIMPLEMAX,
	NORM_SOFTMAX,
	NORM_LOGIT,
	NORM_PROBIT,
	NORM_CLOGLOG,
	NORM_EXP,
	NORM_LOGLOG,
	NORM_CAUCHIT
} Norm;

static const char *const norm_words[] = {"none", "simplemax", "softmax", "logit", "probit",
                                         "cloglog", "exp", "loglog", "cauchit", NULL};

static const Link link_of[] = {
	[NORM_NONE] = LINK_IDENTITY,     [NORM_SIMPLEMAX] = LINK_IDENTITY,
	[NORM_SOFTMAX] = LINK_LOGIT,     [NORM_LOGIT] = LINK_LOGIT,
	[NORM_PROBIT] = LINK_PROBIT,     [NORM_CLOGLOG] = LINK_CLOGLOG,
	[NORM_EXP] = LINK_EXP,           [NORM_LOGLOG] = LINK_LOGLOG,
	[NORM_CAUCHIT] = LINK_CAUCHIT,
};

/* From here on many equal terms are a loop over a table. */
enum { LOOP_TERMS = 12 };

/* ---- Terms ---- */

/* Writers of version 4.4 call it `field`, as it is called everywhere else. */
static const char *
predictor_name(const Xml *e)
{
	const char *name = xml_attr(e, "name");

	return name ? name : xml_attr(e, "field");
}

static const char *
need_name(Pmml *p, const Xml *e)
{
	const char *name = predictor_name(e);

	return name ? name : pmml_need(p, e, "name");
}

static bool
numeric_term(Pmml *p, const Xml *e, Expr **out)
{
	const char *name = need_name(p, e);
	double coefficient, exponent;
	Expr *x;
	Val v;

	if (!name || !pmml_number(p, e, "coefficient", &coefficient) ||
	    !pmml_number_or(p, e, "exponent", 1, &exponent) || !field_value(p, e, name, &v) ||
	    !value_to_number(p, e, v, &x))
		return false;
	*out = code_mul(p, code_number(p, coefficient), link_power(p, x, exponent));
	return true;
}

/* All coefficients of one categorical field, of which e is the first: a table by label. */
static bool
categorical_terms(Pmml *p, const Xml *e, const char *name, Val v, Expr **out)
{
	double *coefficient, c;
	int n;

	for (const Xml *k = e; k; k = xml_same(k)) {
		const char *other = predictor_name(k), *text = pmml_need(p, k, "value");

		if (!text)
			return false;
		if (other && strcmp(other, name) == 0)
			labels_add(p, v.labels, text);
	}
	n = v.labels->v.n;
	coefficient = ARENA_ARRAY(p->a, double, n);
	for (const Xml *k = e; k; k = xml_same(k)) {
		const char *other = predictor_name(k);

		if (!other || strcmp(other, name) != 0)
			continue;
		if (!pmml_number(p, k, "coefficient", &c))
			return false;
		coefficient[labels_find(v.labels, xml_attr(k, "value"))] += c;
	}
	*out = code_lookup(p, kernel_table(p, name, DT_F64, n, coefficient), n, v.e,
	                   code_number(p, 0));
	return true;
}

static bool
is_repeated(const Xml *e, const char *name)
{
	for (const Xml *k = xml_child(e->parent, e->name); k != e; k = xml_same(k)) {
		const char *other = predictor_name(k);

		if (other && strcmp(other, name) == 0)
			return true;
	}
	return false;
}

static bool
categorical_term(Pmml *p, const Xml *e, Expr **out)
{
	const char *name = need_name(p, e), *text = pmml_need(p, e, "value");
	double coefficient;
	Val v, constant;
	Expr *same;

	*out = NULL;
	if (!name || !text || !field_value(p, e, name, &v) ||
	    !pmml_number(p, e, "coefficient", &coefficient))
		return false;
	if (value_kind(&v) == KIND_LABEL && v.e->kind != E_CONST)
		return is_repeated(e, name) || categorical_terms(p, e, name, v, out);
	if (!value_constant(p, e, text, v.type, v.labels, &constant) ||
	    !value_compare(p, e, KOP_EQ, v, constant, &same))
		return false;
	*out = code_select(p, same, code_number(p, coefficient), code_number(p, 0));
	return true;
}

static bool
product_term(Pmml *p, const Xml *e, Expr **out)
{
	double coefficient;
	int n = 0;

	if (!pmml_number(p, e, "coefficient", &coefficient))
		return false;
	*out = code_number(p, coefficient);
	for (const Xml *c = xml_child(e, "FieldRef"); c; c = xml_same(c), n++) {
		Expr *x;
		Val v;

		if (!expression_read(p, c, &v) || !value_to_number(p, c, v, &x))
			return false;
		*out = code_link(p, "product", code_mul(p, *out, x), n);
	}
	return true;
}

static const struct {
	const char *name;
	bool (*read)(Pmml *p, const Xml *e, Expr **out);
} terms[] = {
	{"NumericPredictor", numeric_term},
	{"CategoricalPredictor", categorical_term},
	{"PredictorTerm", product_term},
};
enum { TERMS = sizeof terms / sizeof *terms };

/* ---- Tables ---- */

/* The numeric predictors that all tables have in one order, without exponents. */
typedef struct {
	int n;
	LBuf *x; /* their values; NULL: none, terms are written out */
} Shared;

static bool
same_predictors(const Xml *a, const Xml *b)
{
	const Xml *x = xml_child(a, "NumericPredictor"), *y = xml_child(b, "NumericPredictor");

	for (; x && y; x = xml_same(x), y = xml_same(y)) {
		const char *nx = predictor_name(x), *ny = predictor_name(y);
		double one;

		if (!nx || !ny || strcmp(nx, ny) != 0)
			return false;
		if (xml_attr(x, "exponent") &&
		    (!pmml_parse_number(xml_attr(x, "exponent"), &one) || one != 1))
			return false;
		if (xml_attr(y, "exponent") &&
		    (!pmml_parse_number(xml_attr(y, "exponent"), &one) || one != 1))
			return false;
	}
	return !x && !y;
}

static bool
share_predictors(Pmml *p, const Xml *first, Shared *out)
{
	int tables = 0, n = xml_count(first, "NumericPredictor"), i = 0;

	*out = (Shared){0};
	for (const Xml *t = first; t; t = xml_same(t)) {
		/* A table of constants alone is what is left over in a binary model. */
		if (xml_count(t, "NumericPredictor") == 0 && tables > 0)
			continue;
		if (!same_predictors(first, t))
			return true;
		tables++;
	}
	if (n * tables < LOOP_TERMS || n < 4)
		return true;
	out->n = n;
	out->x = kernel_scratch(p, "predictors", DT_F64, n);
	for (const Xml *e = xml_child(first, "NumericPredictor"); e; e = xml_same(e)) {
		Expr *x;
		Val v;

		if (!field_value(p, e, predictor_name(e), &v) || !value_to_number(p, e, v, &x))
			return false;
		code_put(p, out->x, i++, x);
	}
	return true;
}

/* sum += the products of a loop. */
static bool
loop_terms(Pmml *p, const Xml *table, const Shared *shared, LVar *sum)
{
	double *coefficient = ARENA_ARRAY(p->a, double, shared->n);
	LBuilder *b = code(p);
	LBuf *buf;
	Expr *i;
	int n = 0;

	for (const Xml *e = xml_child(table, "NumericPredictor"); e; e = xml_same(e))
		if (!pmml_number(p, e, "coefficient", &coefficient[n++]))
			return false;
	if (n == 0)
		return true;
	buf = kernel_table(p, "coefficients", DT_F64, n, coefficient);
	i = loop_for(b, "i", 0, n);
	loop_set(b, sum, code_add(p, loop_get(b, sum),
	                          code_mul(p, loop_load(b, buf, i), loop_load(b, shared->x, i))));
	loop_end(b);
	return true;
}

static bool
read_table(Pmml *p, const Xml *table, const Shared *shared, Expr **out)
{
	double intercept;
	Expr *sum, *term;
	LVar *y;
	int n = 0;

	if (!pmml_number_or(p, table, "intercept", 0, &intercept))
		return false;
	sum = code_number(p, intercept);
	for (const Xml *e = xml_first(table); e; e = xml_next(e))
		for (int k = 0; k < TERMS; k++) {
			if (!xml_is(e, terms[k].name) || (k == 0 && shared->x))
				continue;
			if (!terms[k].read(p, e, &term))
				return false;
			if (term)
				sum = code_link(p, "sum", code_add(p, sum, term), n++);
		}
	if (!shared->x) {
		*out = code_let(p, "sum", sum);
		return true;
	}
	y = loop_var(code(p), "sum", sum);
	*out = loop_get(code(p), y);
	return loop_terms(p, table, shared, y);
}

/* ---- Classification ---- */

typedef struct {
	int n;
	Expr **y;    /* of each table */
	int *class;  /* of each table */
} Scores;

static bool
read_scores(Pmml *p, const Xml *first, const Shared *shared, Labels *classes, Scores *out)
{
	int n = xml_count(first->parent, "RegressionTable");

	*out = (Scores){0, ARENA_ARRAY(p->a, Expr *, n), ARENA_ARRAY(p->a, int, n)};
	for (const Xml *t = first; t; t = xml_same(t), out->n++) {
		const char *category = pmml_need(p, t, "targetCategory");

		if (!category || !read_table(p, t, shared, &out->y[out->n]))
			return false;
		out->class[out->n] = labels_add(p, classes, category);
	}
	return true;
}

/* Of two classes the second is what the first leaves. */
static void
binary_probabilities(Pmml *p, const Scores *s, Norm norm, LBuf *list)
{
	Expr *first = code_let(p, "probability", link_inverse(p, link_of[norm], s->y[0]));

	code_put(p, list, s->class[0], first);
	if (s->n > 1)
		code_put(p, list, s->class[1], code_op(p, KOP_SUB, code_number(p, 1), first));
}

/* Cumulative: class j has what F(y_j) adds, the last one the rest. */
static void
ordinal_probabilities(Pmml *p, const Scores *s, Norm norm, LBuf *list)
{
	Expr *before = code_number(p, 0), *up_to;

	for (int i = 0; i < s->n; i++) {
		up_to = i + 1 < s->n
		                ? code_let(p, "up_to", link_inverse(p, link_of[norm], s->y[i]))
		                : code_number(p, 1);
		code_put(p, list, s->class[i], code_op(p, KOP_SUB, up_to, before));
		before = up_to;
	}
}

static bool
is_ordinal_target(const Pmml *p, const Xml *model)
{
	const char *target = model_target(p, model);
	const Xml *field = target ? field_data(p, target) : NULL;
	const char *optype = field ? xml_attr(field, "optype") : NULL;

	return optype && strcmp(optype, "ordinal") == 0;
}

static bool
classify(Pmml *p, const Xml *model, const Xml *first, const Shared *shared, Norm norm, Result *r)
{
	Scores s;
	bool direct = norm == NORM_SIMPLEMAX || norm == NORM_SOFTMAX;
	LBuf *list;

	r->classes = model_target_labels(p, model);
	if (!read_scores(p, first, shared, r->classes, &s))
		return false;
	r->home = kernel_current(p);
	r->probability = list = kernel_scratch(p, "probability", DT_F64, r->classes->v.n);
	for (int i = s.n; i < list->count; i++)
		for (int k = 0; k < list->count; k++)
			code_put(p, list, k, code_number(p, 0));
	if (is_ordinal_target(p, model) && !direct) {
		ordinal_probabilities(p, &s, norm, list);
	} else if (s.n <= 2 && !direct) {
		binary_probabilities(p, &s, norm, list);
	} else if (s.n == list->count || !direct) {
		for (int i = 0; i < s.n; i++)
			code_put(p, list, s.class[i],
			         direct ? s.y[i] : link_inverse(p, link_of[norm], s.y[i]));
		if (norm == NORM_SOFTMAX)
			link_softmax(p, list, list->count);
		if (norm == NORM_SIMPLEMAX)
			link_simplemax(p, list, list->count);
	} else {
		/* Classes without a table do not take part. */
		LBuf *own = kernel_scratch(p, "scores", DT_F64, s.n);

		for (int i = 0; i < s.n; i++)
			code_put(p, own, i, s.y[i]);
		if (norm == NORM_SOFTMAX)
			link_softmax(p, own, s.n);
		else
			link_simplemax(p, own, s.n);
		for (int i = 0; i < s.n; i++)
			code_put(p, list, s.class[i], code_at(p, own, i));
	}
	return result_from_probability(p, r);
}

/* ---- The model ---- */

bool
model_regression(Pmml *p, const Xml *e, Result *r)
{
	const Xml *first = pmml_need_child(p, e, "RegressionTable");
	Function function;
	Shared shared;
	int norm;
	Expr *y;

	if (!first || !model_function(p, e, &function) ||
	    !pmml_word(p, e, "normalizationMethod", norm_words, NORM_NONE, &norm) ||
	    !share_predictors(p, first, &shared))
		return false;
	if (function == FN_CLASSIFICATION)
		return classify(p, e, first, &shared, (Norm)norm, r);
	if (xml_same(first))
		return pmml_error(p, xml_same(first), "a regression has one table only");
	if (!read_table(p, first, &shared, &y))
		return false;
	y = link_inverse(p, link_of[norm], y);
	r->predicted = value_of(p, TYPE_DOUBLE, code_let(p, "predicted", y));
	return true;
}
