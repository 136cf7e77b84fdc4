/*
 * GeneralRegressionModel.
 *
 * A parameter is the product of its predictors: a factor is 1 where the field has the
 * value and else 0, or what its matrix of contrasts says, a covariate is the field to a power.  The model is a sum of
 * parameters times their coefficients, one for each class that has its own, and what its
 * type makes of that:
 *
 *	regression, generalLinear   the sum
 *	generalizedLinear           the inverse of a link function
 *	multinomialLogistic         softmax, with 0 for the reference class
 *	ordinalMultinomial          differences of a cumulative link
 *	CoxRegression               the cumulative hazard: that of the base at a time, times
 *	                            the exponential of what differs from the reference point
 */
#include <math.h>
#include <string.h>

#include "frontend/pmml/link.h"
#include "frontend/pmml/pmml.h"

typedef enum {
	TYPE_OF_REGRESSION,
	TYPE_OF_GENERAL_LINEAR,
	TYPE_OF_MULTINOMIAL,
	TYPE_OF_ORDINAL,
	TYPE_OF_GENERALIZED,
	TYPE_OF_COX
} ModelType;

typedef struct {
	const char *name;
	double reference;
	Val v; /* computed when it is first needed */
} Param;

/* A matrix of contrasts. */
typedef struct {
	const Xml *factor;
	int rows, cols;
	double *entry;
} Contrast;

typedef struct {
	Pmml *p;
	const Xml *e;
	ModelType type;
	VEC(Param) params;
	VEC(Contrast) contrasts; /* that were read */
} Glm;

static bool
read_params(Glm *m)
{
	const Xml *list = pmml_need_child(m->p, m->e, "ParameterList");

	for (const Xml *c = xml_child(list, "Parameter"); c; c = xml_same(c)) {
		Param param = {.name = pmml_need(m->p, c, "name")};

		if (!param.name || !pmml_number_or(m->p, c, "referencePoint", 0, &param.reference))
			return false;
		VEC_PUSH(m->p->a, &m->params, param);
	}
	return list != NULL;
}

static Param *
find_param(Glm *m, const char *name)
{
	for (int i = 0; i < m->params.n; i++)
		if (strcmp(m->params.v[i].name, name) == 0)
			return &m->params.v[i];
	return NULL;
}

/* The <Predictor> of that name in the list; NULL: it is not there. */
static const Xml *
find_predictor(const Xml *model, const char *list, const char *name)
{
	for (const Xml *c = xml_child(xml_child(model, list), "Predictor"); c; c = xml_same(c)) {
		const char *other = xml_attr(c, "name");

		if (other && strcmp(other, name) == 0)
			return c;
	}
	return NULL;
}

/* ---- Parameters ---- */

/* The cells of a parameter: those for this class, or for all. */
static bool
is_cell_of(const Xml *cell, const char *param, const char *class)
{
	const char *name = xml_attr(cell, "parameterName"),
		   *target = xml_attr(cell, "targetCategory");

	return name && strcmp(name, param) == 0 &&
	       (!target || !class || strcmp(target, class) == 0);
}

/* The categories of a factor with contrasts: rows of the matrix, in this order. */
static int
find_category(const Xml *factor, const char *text)
{
	int i = 0;

	for (const Xml *c = xml_child(xml_child(factor, "Categories"), "Category"); c;
	     c = xml_same(c), i++)
		if (xml_attr(c, "value") && strcmp(xml_attr(c, "value"), text) == 0)
			return i;
	return -1;
}

static bool
find_contrast(Glm *m, const Xml *factor, Contrast *out)
{
	int n = xml_count(xml_child(factor, "Categories"), "Category");

	for (int i = 0; i < m->contrasts.n; i++)
		if (m->contrasts.v[i].factor == factor) {
			*out = m->contrasts.v[i];
			return true;
		}
	*out = (Contrast){.factor = factor};
	if (!pmml_matrix(m->p, xml_child(factor, "Matrix"), &out->rows, &out->cols, &out->entry))
		return false;
	if (n != out->rows)
		return pmml_error(m->p, factor, "the matrix has %d rows for %d categories",
		                  out->rows, n);
	VEC_PUSH(m->p->a, &m->contrasts, *out);
	return true;
}

/* What the matrix of contrasts has for the field's category, in the column of `text`. */
static bool
contrast_value(Glm *m, const Xml *cell, const Xml *factor, const char *text, Val v, Expr **out)
{
	Pmml *p = m->p;
	const Xml *categories = pmml_need_child(p, factor, "Categories");
	int row = 0, column = find_category(factor, text);
	Contrast contrast;
	Expr *same = NULL;
	Val constant;

	if (!categories || !find_contrast(m, factor, &contrast))
		return false;
	if (column < 0 || column >= contrast.cols)
		return pmml_error(p, cell, "the contrasts have no column for '%.60s'", text);
	*out = code_number(p, (double)NAN);
	for (const Xml *c = xml_child(categories, "Category"); c; c = xml_same(c), row++) {
		const char *value = pmml_need(p, c, "value");

		if (!value || !value_constant(p, c, value, v.type, v.labels, &constant) ||
		    !value_compare(p, c, KOP_EQ, v, constant, &same))
			return false;
		*out = code_select(
			p, same,
			code_number(p, contrast.entry[row * contrast.cols + column]), *out);
		*out = code_link(p, "contrast", *out, row);
	}
	return true;
}

static bool
cell_value(Glm *m, const Xml *cell, Expr **out)
{
	Pmml *p = m->p;
	const char *name = pmml_need(p, cell, "predictorName"), *text = pmml_need(p, cell, "value");
	const Xml *factor = name ? find_predictor(m->e, "FactorList", name) : NULL;
	double exponent;
	Expr *x = NULL, *same;
	Val v, constant;

	if (!name || !text || !field_value(p, cell, name, &v))
		return false;
	if (factor && xml_child(factor, "Matrix"))
		return contrast_value(m, cell, factor, text, v, out);
	if (find_predictor(m->e, "CovariateList", name) ||
	    (!factor && value_kind(&v) != KIND_LABEL)) {
		if (!value_to_number(p, cell, v, &x) || !pmml_number(p, cell, "value", &exponent))
			return false;
		*out = link_power(p, x, exponent);
		return true;
	}
	if (!value_constant(p, cell, text, v.type, v.labels, &constant) ||
	    !value_compare(p, cell, KOP_EQ, v, constant, &same))
		return false;
	x = code_select(p, same, code_number(p, 1), code_number(p, 0));
	if (!v.never_missing)
		x = code_select(p, value_is_missing(p, &v), code_number(p, (double)NAN), x);
	*out = x;
	return true;
}

static bool
param_value(Glm *m, Param *param, const char *class, Expr **out)
{
	Pmml *p = m->p;
	bool by_class = false;

	if (param->v.is_set) {
		*out = value_here(p, param->v).e;
		return true;
	}
	*out = NULL;
	for (const Xml *c = xml_child(xml_child(m->e, "PPMatrix"), "PPCell"); c; c = xml_same(c)) {
		Expr *x = NULL;

		if (!is_cell_of(c, param->name, class))
			continue;
		by_class = by_class || xml_attr(c, "targetCategory");
		if (!cell_value(m, c, &x))
			return false;
		*out = *out ? code_mul(p, *out, x) : x;
	}
	if (!*out)
		*out = code_number(p, 1);
	*out = code_let(p, param->name, *out);
	if (!by_class)
		param->v = value_of(p, TYPE_DOUBLE, *out);
	return true;
}

/* The sum for a class (NULL: there is only one), at the reference point if asked for. */
static bool
linear_sum(Glm *m, const char *class, Expr **out, double *at_reference)
{
	Pmml *p = m->p;
	const Xml *matrix = pmml_need_child(p, m->e, "ParamMatrix");
	int n = 0;

	*out = code_number(p, 0);
	*at_reference = 0;
	for (const Xml *c = xml_child(matrix, "PCell"); c; c = xml_same(c)) {
		const char *name = pmml_need(p, c, "parameterName");
		Param *param = name ? find_param(m, name) : NULL;
		double beta;
		Expr *x;

		if (!param)
			return pmml_error(p, c, "there is no such parameter");
		if (!is_cell_of(c, name, class))
			continue;
		if (!pmml_number(p, c, "beta", &beta))
			return false;
		*at_reference += beta * param->reference;
		if (beta == 0)
			continue;
		if (!param_value(m, param, class, &x))
			return false;
		x = x->kind == E_CONST ? code_number(p, beta * x->u.f)
		                       : code_mul(p, code_number(p, beta), x);
		*out = code_link(p, "sum", code_add(p, *out, x), n++);
	}
	*out = code_let(p, "sum", *out);
	return matrix != NULL;
}

/* A value that is a field or a constant of the model's attributes. */
static bool
attribute_value(Glm *m, const char *variable, const char *value, double otherwise, Expr **out)
{
	const char *name = xml_attr(m->e, variable);
	double number;
	Val v;

	if (name)
		return field_value(m->p, m->e, name, &v) && value_to_number(m->p, m->e, v, out);
	if (!pmml_number_or(m->p, m->e, value, otherwise, &number))
		return false;
	*out = number == otherwise ? NULL : code_number(m->p, number);
	return true;
}

/* ---- Link functions ---- */

typedef enum {
	GLINK_CLOGLOG,
	GLINK_IDENTITY,
	GLINK_LOG,
	GLINK_LOGC,
	GLINK_LOGIT,
	GLINK_LOGLOG,
	GLINK_NEGBIN,
	GLINK_ODDSPOWER,
	GLINK_POWER,
	GLINK_PROBIT,
	GLINK_CAUCHIT
} GLink;

static const char *const link_words[] = {"cloglog", "identity", "log",     "logc",
                                         "logit",   "loglog",   "negbin",  "oddspower",
                                         "power",   "probit",   "cauchit", NULL};

static bool
inverse_link(Glm *m, const Xml *e, Expr *x, Expr **out)
{
	Pmml *p = m->p;
	double d = 0;
	Expr *y = x;
	int link;

	if (!pmml_word(p, e, "linkFunction", link_words, GLINK_IDENTITY, &link))
		return false;
	if ((link == GLINK_NEGBIN || link == GLINK_ODDSPOWER || link == GLINK_POWER) &&
	    !pmml_number(p, e, link == GLINK_NEGBIN && !xml_attr(e, "linkParameter")
	                               ? "distParameter"
	                               : "linkParameter",
	                 &d))
		return false;
	switch ((GLink)link) {
	case GLINK_IDENTITY: break;
	case GLINK_LOG: y = link_inverse(p, LINK_EXP, x); break;
	case GLINK_LOGC: y = loop_op1(code(p), KOP_NEG, code_call(p, "expm1", x)); break;
	case GLINK_LOGIT: y = link_inverse(p, LINK_LOGIT, x); break;
	case GLINK_CLOGLOG: y = link_inverse(p, LINK_CLOGLOG, x); break;
	case GLINK_LOGLOG: y = link_inverse(p, LINK_LOGLOG, x); break;
	case GLINK_PROBIT: y = link_inverse(p, LINK_PROBIT, x); break;
	case GLINK_CAUCHIT: y = link_inverse(p, LINK_CAUCHIT, x); break;
	case GLINK_NEGBIN: /* 1 / (d (exp(-x) - 1)) */
		y = code_call(p, "expm1", loop_op1(code(p), KOP_NEG, x));
		y = code_op(p, KOP_DIV, code_number(p, 1), code_mul(p, code_number(p, d), y));
		break;
	case GLINK_ODDSPOWER: /* 1 / (1 + (1 + d x)^(-1/d)) */
		if (d == 0) {
			y = link_inverse(p, LINK_LOGIT, x);
			break;
		}
		y = code_add(p, code_number(p, 1), code_mul(p, code_number(p, d), x));
		y = loop_call2(code(p), "pow", y, code_number(p, -1 / d));
		y = code_op(p, KOP_DIV, code_number(p, 1), code_add(p, code_number(p, 1), y));
		break;
	case GLINK_POWER:
		y = d == 0 ? link_inverse(p, LINK_EXP, x)
		           : loop_call2(code(p), "pow", x, code_number(p, 1 / d));
		break;
	}
	*out = code_let(p, "mean", y);
	return true;
}

/* ---- Cox regression ---- */

/* The cells by stratum; without strata those of the tables themselves. */
static bool
base_hazard(Glm *m, const Xml *cells, double max_time, Expr *time, Expr **out)
{
	Pmml *p = m->p;
	Expr *y = code_number(p, 0);
	double t, h, before = -HUGE_VAL;

	for (const Xml *c = xml_child(cells, "BaselineCell"); c; c = xml_same(c)) {
		if (!pmml_number(p, c, "time", &t) || !pmml_number(p, c, "cumHazard", &h))
			return false;
		if (!(t > before))
			return pmml_error(p, c, "times have to rise");
		before = t;
		y = code_select(p, code_op(p, KOP_GE, time, code_number(p, t)), code_number(p, h),
		                y);
		y = code_let(p, "hazard", y);
	}
	/* Of a missing time nothing is known. */
	*out = code_select(p, code_op(p, KOP_LE, time, code_number(p, max_time)), y,
	                   code_number(p, (double)NAN));
	return true;
}

static bool
stratified_hazard(Glm *m, const Xml *tables, const char *variable, Expr *time, Expr **out)
{
	Pmml *p = m->p;
	Val v, constant;
	Expr *same, *y;

	*out = code_number(p, (double)NAN);
	if (!field_value(p, m->e, variable, &v))
		return false;
	for (const Xml *s = xml_child(tables, "BaselineStratum"); s; s = xml_same(s)) {
		const char *text = pmml_need(p, s, "value");
		double max_time;

		if (!text || !pmml_number(p, s, "maxTime", &max_time) ||
		    !base_hazard(m, s, max_time, time, &y) ||
		    !value_constant(p, s, text, v.type, v.labels, &constant) ||
		    !value_compare(p, s, KOP_EQ, v, constant, &same))
			return false;
		*out = code_let(p, "hazard", code_select(p, same, y, *out));
	}
	return true;
}

static bool
cox(Glm *m, Result *r)
{
	Pmml *p = m->p;
	const Xml *tables = pmml_need_child(p, m->e, "BaseCumHazardTables");
	const char *end = pmml_need(p, m->e, "endTimeVariable");
	const char *strata = xml_attr(m->e, "baselineStrataVariable");
	Expr *sum, *time, *hazard;
	double reference, max_time = 0;
	Val v;

	if (!tables || !end || !linear_sum(m, NULL, &sum, &reference) ||
	    !field_value(p, m->e, end, &v) || !value_to_number(p, m->e, v, &time))
		return false;
	time = code_let(p, "time", time);
	if (!strata && !pmml_number(p, tables, "maxTime", &max_time))
		return false;
	if (strata ? !stratified_hazard(m, tables, strata, time, &hazard)
	           : !base_hazard(m, tables, max_time, time, &hazard))
		return false;
	sum = code_op(p, KOP_SUB, sum, code_number(p, reference));
	hazard = code_mul(p, hazard, code_call(p, "exp", sum));
	r->predicted = value_of(p, TYPE_DOUBLE, code_let(p, "cumulative_hazard", hazard));
	return true;
}

/* ---- Classes ---- */

/* The classes that have coefficients of their own. */
static bool
collect_classes(Glm *m, Labels *own)
{
	const Xml *matrix = pmml_need_child(m->p, m->e, "ParamMatrix");

	for (const Xml *c = xml_child(matrix, "PCell"); c; c = xml_same(c)) {
		const char *text = xml_attr(c, "targetCategory");

		if (text)
			labels_add(m->p, own, text);
	}
	return matrix != NULL;
}

/* The class without coefficients. */
static const char *
reference_class(Glm *m, const Labels *all, const Labels *own)
{
	const char *text = xml_attr(m->e, "targetReferenceCategory");

	for (int i = all->v.n - 1; i >= 0 && !text; i--)
		if (labels_find(own, all->v.v[i]) < 0)
			text = all->v.v[i];
	return text;
}

/* In the order of the labels: of ordinal classes the order is their meaning. */
static bool
class_sums(Glm *m, const Labels *all, const Labels *own, Expr **y)
{
	double reference;
	Expr *offset;

	if (!attribute_value(m, "offsetVariable", "offsetValue", 0, &offset))
		return false;
	for (int i = 0; i < all->v.n; i++) {
		y[i] = NULL;
		if (labels_find(own, all->v.v[i]) < 0)
			continue;
		if (!linear_sum(m, all->v.v[i], &y[i], &reference))
			return false;
		if (offset)
			y[i] = code_let(m->p, "sum", code_add(m->p, y[i], offset));
	}
	return true;
}

static bool
ordinal(Glm *m, LBuf *list, Expr *const *y)
{
	static const char *const words[] = {"logit",  "probit",  "cloglog",
	                                    "loglog", "cauchit", NULL};
	static const Link links[] = {LINK_LOGIT, LINK_PROBIT, LINK_CLOGLOG, LINK_LOGLOG,
	                             LINK_CAUCHIT};
	Pmml *p = m->p;
	Expr *before = code_number(p, 0), *up_to;
	int link;

	if (!pmml_word(p, m->e, "cumulativeLink", words, 0, &link))
		return false;
	for (int i = 0; i < list->count; i++) {
		up_to = y[i] ? code_let(p, "up_to", link_inverse(p, links[link], y[i]))
		             : code_number(p, 1);
		code_put(p, list, i, code_op(p, KOP_SUB, up_to, before));
		before = up_to;
	}
	return true;
}

/* One sum alone is that of two classes: the other one is what it leaves. */
static bool
generalized_classes(Glm *m, LBuf *list, Expr *const *y, int reference)
{
	Pmml *p = m->p;
	int event = -1, n = 0;
	Expr *x;

	for (int i = 0; i < list->count; i++)
		if (y[i]) {
			event = i;
			n++;
		}
	if (n != 1 || reference < 0 || reference >= list->count)
		return pmml_unsupported(p, m->e,
		                        "a generalizedLinear model of more than two classes");
	if (!inverse_link(m, m->e, y[event], &x))
		return false;
	for (int i = 0; i < list->count; i++)
		code_put(p, list, i, code_number(p, 0));
	code_put(p, list, event, x);
	code_put(p, list, reference, code_op(p, KOP_SUB, code_number(p, 1), x));
	return true;
}

/* Without a class of their own coefficients are for the first that is no reference. */
static bool
name_only_class(Glm *m, Labels *all, Labels *own)
{
	const char *reference = xml_attr(m->e, "targetReferenceCategory");

	for (int i = 0; i < all->v.n && own->v.n == 0; i++)
		if (!reference || strcmp(all->v.v[i], reference) != 0)
			labels_add(m->p, own, all->v.v[i]);
	return own->v.n > 0 || pmml_error(m->p, m->e, "there are no classes");
}

static bool
classify(Glm *m, Result *r)
{
	Pmml *p = m->p;
	Labels *own = labels_new(p), *all = model_target_labels(p, m->e);
	const char *reference;
	LBuf *list;
	Expr **y;
	int at, n;

	if (!collect_classes(m, own))
		return false;
	for (int i = 0; i < own->v.n; i++)
		labels_add(p, all, own->v.v[i]);
	if (xml_attr(m->e, "targetReferenceCategory"))
		labels_add(p, all, xml_attr(m->e, "targetReferenceCategory"));
	if (own->v.n == 0 && !name_only_class(m, all, own))
		return false;
	reference = reference_class(m, all, own);
	at = reference ? labels_find(all, reference) : -1;
	n = all->v.n;
	y = ARENA_ARRAY(p->a, Expr *, n);
	if (!class_sums(m, all, own, y))
		return false;
	r->classes = all;
	r->home = kernel_current(p);
	r->probability = list = kernel_scratch(p, "probability", DT_F64, n);
	if (m->type == TYPE_OF_ORDINAL) {
		if (!ordinal(m, list, y))
			return false;
	} else if (m->type == TYPE_OF_GENERALIZED) {
		if (!generalized_classes(m, list, y, at))
			return false;
	} else {
		for (int i = 0; i < n; i++)
			code_put(p, list, i, y[i] ? y[i] : code_number(p, i == at ? 0 : -HUGE_VAL));
		link_softmax(p, list, n);
	}
	return result_from_probability(p, r);
}

/* ---- Numbers ---- */

static bool
regress(Glm *m, Result *r)
{
	Pmml *p = m->p;
	double reference;
	Expr *y, *offset, *trials;

	if (!linear_sum(m, NULL, &y, &reference) ||
	    !attribute_value(m, "offsetVariable", "offsetValue", 0, &offset) ||
	    !attribute_value(m, "trialsVariable", "trialsValue", 1, &trials))
		return false;
	if (offset)
		y = code_add(p, y, offset);
	if (m->type == TYPE_OF_GENERALIZED) {
		if (!inverse_link(m, m->e, y, &y))
			return false;
		if (trials)
			y = code_mul(p, y, trials);
	}
	r->predicted = value_of(p, TYPE_DOUBLE, code_let(p, "predicted", y));
	return true;
}

bool
model_general_regression(Pmml *p, const Xml *e, Result *r)
{
	static const char *const types[] = {"regression", "generalLinear", "multinomialLogistic",
	                                    "ordinalMultinomial", "generalizedLinear",
	                                    "CoxRegression", NULL};
	Glm m = {.p = p, .e = e};
	Function function;
	int type;

	if (!pmml_need(p, e, "modelType") || !pmml_word(p, e, "modelType", types, 0, &type) ||
	    !model_function(p, e, &function) || !read_params(&m))
		return false;
	m.type = (ModelType)type;
	if (m.type == TYPE_OF_COX)
		return cox(&m, r);
	if (function == FN_CLASSIFICATION)
		return classify(&m, r);
	return regress(&m, r);
}
