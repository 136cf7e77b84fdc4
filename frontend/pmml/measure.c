#include "frontend/pmml/measure.h"

#include <math.h>
#include <string.h>

typedef enum {
	METRIC_EUCLIDEAN,
	METRIC_SQUARED,
	METRIC_CHEBYCHEV,
	METRIC_CITY_BLOCK,
	METRIC_MINKOWSKI,
	METRIC_MATCHING,
	METRIC_JACCARD,
	METRIC_TANIMOTO,
	METRIC_BINARY,
	METRICS
} Metric;

static const struct {
	const char *element;
	bool is_distance;
} metrics[METRICS] = {
	[METRIC_EUCLIDEAN] = {"euclidean", true},
	[METRIC_SQUARED] = {"squaredEuclidean", true},
	[METRIC_CHEBYCHEV] = {"chebychev", true},
	[METRIC_CITY_BLOCK] = {"cityBlock", true},
	[METRIC_MINKOWSKI] = {"minkowski", true},
	[METRIC_MATCHING] = {"simpleMatching", false},
	[METRIC_JACCARD] = {"jaccard", false},
	[METRIC_TANIMOTO] = {"tanimoto", false},
	[METRIC_BINARY] = {"binarySimilarity", false},
};

typedef enum { COMPARE_ABS, COMPARE_GAUSS, COMPARE_DELTA, COMPARE_EQUAL, COMPARE_TABLE } Compare;

static const char *const compare_words[] = {"absDiff", "gaussSim", "delta", "equal", "table", NULL};

typedef struct {
	Val v;
	double weight, missing_weight, scale;
	Compare compare;
	bool may_be_missing;
	int values;           /* COMPARE_TABLE: of the field, rows and columns of the table */
	const double *entry;
	LBuf *table;
} MField;

struct Measure {
	Pmml *p;
	Metric metric;
	double power; /* minkowski */
	double c[4], d[4]; /* binarySimilarity, by the two bits 11, 10, 01, 00 */
	VEC(MField) fields;
	LBuf *x, *weight;
	bool any_missing;
};

/* ---- Reading ---- */

static bool
read_metric(Measure *m, const Xml *e)
{
	static const char *const name[2][4] = {
		{"c11-parameter", "c10-parameter", "c01-parameter", "c00-parameter"},
		{"d11-parameter", "d10-parameter", "d01-parameter", "d00-parameter"}};

	for (int k = 0; k < METRICS; k++) {
		const Xml *c = xml_child(e, metrics[k].element);

		if (!c)
			continue;
		m->metric = (Metric)k;
		if (k == METRIC_MINKOWSKI)
			return pmml_number(m->p, c, "p-parameter", &m->power);
		for (int i = 0; k == METRIC_BINARY && i < 4; i++)
			if (!pmml_number(m->p, c, name[0][i], &m->c[i]) ||
			    !pmml_number(m->p, c, name[1][i], &m->d[i]))
				return false;
		return true;
	}
	return pmml_error(m->p, e, "there is no measure in it");
}

/* What any two values of a categorical field have in common, by the order of the data
 * dictionary. */
static bool
read_comparisons(Measure *m, const Xml *e, MField *f)
{
	Pmml *p = m->p;
	const Xml *list = pmml_need_child(p, e, "Comparisons");
	const Xml *matrix = list ? pmml_need_child(p, list, "Matrix") : NULL;
	int columns;
	double *entry;

	if (!matrix || !pmml_matrix(p, matrix, &f->values, &columns, &entry))
		return false;
	if (value_kind(&f->v) != KIND_LABEL || f->v.labels->v.n != columns ||
	    f->values != columns)
		return pmml_error(p, matrix,
		                  "it has %d rows and %d columns, which is not the number of "
		                  "values of the field",
		                  f->values, columns);
	f->entry = entry;
	return true;
}

static bool
read_field(Measure *m, const Xml *e, Compare otherwise, double missing_weight)
{
	Pmml *p = m->p;
	MField f = {.missing_weight = missing_weight};
	const char *name = pmml_need(p, e, "field");
	int compare;

	if (!name || !field_value(p, e, name, &f.v) ||
	    !pmml_number_or(p, e, "fieldWeight", 1, &f.weight) ||
	    !pmml_number_or(p, e, "similarityScale", 1, &f.scale) ||
	    !pmml_word(p, e, "compareFunction", compare_words, (int)otherwise,
	               &compare))
		return false;
	f.compare = (Compare)compare;
	if (f.compare == COMPARE_TABLE && !read_comparisons(m, e, &f))
		return false;
	f.may_be_missing = !f.v.never_missing;
	m->any_missing = m->any_missing || f.may_be_missing;
	VEC_PUSH(p->a, &m->fields, f);
	return true;
}

Measure *
measure_read(Pmml *p, const Xml *model, const Xml *list, const char *element,
             const double *missing_weights)
{
	const Xml *e = pmml_need_child(p, model, "ComparisonMeasure");
	Measure *m = ARENA_NEW(p->a, Measure);
	int compare, i = 0;

	m->p = p;
	if (!e || !pmml_word(p, e, "compareFunction", compare_words, COMPARE_ABS, &compare) ||
	    !read_metric(m, e))
		return NULL;
	for (const Xml *c = xml_child(list, element); c; c = xml_same(c)) {
		const char *center = xml_attr(c, "isCenterField");

		if (center && strcmp(center, "false") == 0)
			continue;
		if (!read_field(m, c, (Compare)compare, missing_weights ? missing_weights[i] : 1))
			return NULL;
		i++;
	}
	if (m->fields.n == 0) {
		pmml_error(p, list, "there is no <%s> in it", element);
		return NULL;
	}
	return m;
}

int
measure_fields(const Measure *m)
{
	return m->fields.n;
}

bool
measure_has_labels(const Measure *m, int field)
{
	return value_kind(&m->fields.v[field].v) == KIND_LABEL;
}

bool
measure_is_distance(const Measure *m)
{
	return metrics[m->metric].is_distance;
}

bool
measure_number(Measure *m, const Xml *e, int field, const char *text, double *out)
{
	Val *v = &m->fields.v[field].v, constant;

	if (!value_constant(m->p, e, text, v->type, v->labels, &constant))
		return false;
	if (constant.e->type == DT_F64)
		*out = constant.e->u.f;
	else
		*out = (double)constant.e->u.i;
	return true;
}

/* ---- The row ---- */

static bool
store_row(Measure *m)
{
	Pmml *p = m->p;
	int n = m->fields.n;

	m->x = kernel_scratch(p, "x", DT_F64, n);
	for (int i = 0; i < n; i++) {
		MField *f = &m->fields.v[i];
		Val v = value_here(p, f->v);
		Expr *x;

		if (value_kind(&v) != KIND_LABEL) {
			if (!value_to_number(p, p->root, v, &x))
				return false;
		} else {
			x = loop_cvt(code(p), DT_F64, v.e);
			if (f->may_be_missing)
				x = code_select(p, value_is_missing(p, &v),
				                code_number(p, (double)NAN), x);
		}
		code_put(p, m->x, i, x);
	}
	return true;
}

/* What the values of fields that are there must be multiplied by: the sum of the weights
 * for missing values by that of those that count. */
static Expr *
scale_for_missing(Measure *m)
{
	Pmml *p = m->p;
	double all = 0;
	Expr *there = code_number(p, 0);

	if (!m->any_missing)
		return NULL;
	for (int i = 0; i < m->fields.n; i++) {
		double w = m->fields.v[i].missing_weight;

		all += w;
		there = code_add(p, there,
		                 code_select(p, code_is_nan(p, code_at(p, m->x, i)),
		                             code_number(p, 0), code_number(p, w)));
		there = code_link(p, "there", there, i);
	}
	return code_let(p, "scale", code_op(p, KOP_DIV, code_number(p, all), there));
}

/* ---- One field ---- */

/* Of a value that the table does not know nothing is known. */
static Expr *
compare_by_table(Measure *m, const MField *f, Expr *x, Expr *y)
{
	Pmml *p = m->p;
	LBuilder *b = code(p);
	Expr *row, *column, *inside, *v;

	inside = code_and(p, code_op(p, KOP_GE, x, code_number(p, 0)),
	                  code_op(p, KOP_LT, x, code_number(p, f->values)));
	row = code_select(p, inside, x, code_number(p, 0));
	row = loop_clamp_idx(b, loop_cvt(b, DT_I32, row), 0, f->values - 1);
	column = loop_clamp_idx(b, loop_cvt(b, DT_I32, y), 0, f->values - 1);
	v = loop_load(b, f->table, loop_add(b, loop_affine(b, row, f->values, 0), column));
	return code_select(p, inside, v, code_number(p, (double)NAN));
}

static Expr *
compare(Measure *m, const MField *f, Expr *x, Expr *y)
{
	Pmml *p = m->p;
	LBuilder *b = code(p);
	Expr *one = code_number(p, 1), *zero = code_number(p, 0), *d;

	switch (f->compare) {
	case COMPARE_ABS: return loop_op1(b, KOP_ABS, code_op(p, KOP_SUB, x, y));
	case COMPARE_GAUSS: /* exp(-ln 2 d^2 / s^2) */
		d = code_let(p, "d", code_op(p, KOP_SUB, x, y));
		d = code_mul(p, d, d);
		d = code_mul(p, d, code_number(p, -0.69314718055994530942 / (f->scale * f->scale)));
		return code_call(p, "exp", d);
	case COMPARE_DELTA: return code_select(p, code_op(p, KOP_EQ, x, y), zero, one);
	case COMPARE_EQUAL: return code_select(p, code_op(p, KOP_EQ, x, y), one, zero);
	case COMPARE_TABLE: return compare_by_table(m, f, x, y);
	}
	return zero;
}

static Expr *
add_field(Measure *m, const MField *f, Expr *sum, Expr *weight, Expr *x, Expr *y)
{
	Pmml *p = m->p;
	Expr *c = compare(m, f, x, y), *with;

	switch (m->metric) {
	case METRIC_EUCLIDEAN:
	case METRIC_SQUARED:
		c = code_let(p, "c", c);
		c = code_mul(p, c, c);
		break;
	case METRIC_MINKOWSKI:
		c = loop_call2(code(p), "pow", c, code_number(p, m->power));
		break;
	case METRIC_CHEBYCHEV:
	case METRIC_CITY_BLOCK:
	case METRIC_MATCHING:
	case METRIC_JACCARD:
	case METRIC_TANIMOTO:
	case METRIC_BINARY:
	case METRICS: break;
	}
	if (weight)
		c = code_mul(p, weight, c);
	with = m->metric == METRIC_CHEBYCHEV ? loop_op2(code(p), KOP_MAX, sum, c)
	                                     : code_add(p, sum, c);
	return m->any_missing ? code_select(p, code_is_nan(p, x), sum, with) : with;
}

static Expr *
finish_distance(Measure *m, Expr *sum, Expr *scale)
{
	Pmml *p = m->p;

	if (scale)
		sum = code_mul(p, sum, scale);
	if (m->metric == METRIC_EUCLIDEAN)
		return code_call(p, "sqrt", sum);
	if (m->metric == METRIC_MINKOWSKI)
		return loop_call2(code(p), "pow", sum, code_number(p, 1 / m->power));
	return sum;
}

/* Whether all fields are compared in one way, so that they can be a loop. */
static bool
is_uniform(const Measure *m)
{
	const MField *first = &m->fields.v[0];

	for (int i = 0; i < m->fields.n; i++)
		if (m->fields.v[i].compare != first->compare ||
		    (first->compare == COMPARE_TABLE && m->fields.n > 1) ||
		    (first->compare == COMPARE_GAUSS && m->fields.v[i].scale != first->scale))
			return false;
	return true;
}

static bool
has_weights(const Measure *m)
{
	for (int i = 0; i < m->fields.n; i++)
		if (m->fields.v[i].weight != 1)
			return true;
	return false;
}

static LBuf *
compute_distances(Measure *m, int n, const double *rows)
{
	Pmml *p = m->p;
	int k = m->fields.n;
	Expr *scale = scale_for_missing(m), *i, *j, *y, *w = NULL;
	LBuf *table = kernel_table(p, "rows", DT_F64, n * k, rows);
	LBuf *out = kernel_scratch(p, "distance", DT_F64, n), *weights = NULL;
	double *weight = ARENA_ARRAY(p->a, double, k);
	LBuilder *b = code(p);
	LVar *sum;

	for (int f = 0; f < k; f++) {
		MField *field = &m->fields.v[f];

		weight[f] = field->weight;
		if (field->compare == COMPARE_TABLE)
			field->table = kernel_table(p, "comparisons", DT_F64,
			                            field->values * field->values, field->entry);
	}
	if (has_weights(m))
		weights = kernel_table(p, "weights", DT_F64, k, weight);
	i = loop_for(b, "i", 0, n);
	sum = loop_var(b, "sum", code_number(p, 0));
	if (is_uniform(m)) {
		j = loop_for(b, "j", 0, k);
		y = loop_load(b, table, loop_add(b, loop_affine(b, i, k, 0), j));
		if (weights)
			w = loop_load(b, weights, j);
		loop_set(b, sum, add_field(m, &m->fields.v[0], loop_get(b, sum), w,
		                           loop_load(b, m->x, j), y));
		loop_end(b);
	}
	for (int f = 0; f < k && !is_uniform(m); f++) {
		y = loop_load(b, table, loop_affine(b, i, k, f));
		w = weight[f] == 1 ? NULL : code_number(p, weight[f]);
		loop_set(
			b, sum,
			add_field(m, &m->fields.v[f], loop_get(b, sum), w, code_at(p, m->x, f), y));
	}
	loop_store(b, out, i, finish_distance(m, loop_get(b, sum), scale));
	loop_end(b);
	return out;
}

/* ---- Similarities: of fields that are 0 or not ---- */

/* The weights of the counts of 11, 10, 01 and 00: above and below the line. */
static void
similarity_weights(const Measure *m, double *c, double *d)
{
	static const double known[][8] = {
		[METRIC_MATCHING] = {1, 0, 0, 1, 1, 1, 1, 1},
		[METRIC_JACCARD] = {1, 0, 0, 0, 1, 1, 1, 0},
		[METRIC_TANIMOTO] = {1, 0, 0, 1, 1, 2, 2, 1},
	};

	for (int i = 0; i < 4; i++) {
		c[i] = m->metric == METRIC_BINARY ? m->c[i] : known[m->metric][i];
		d[i] = m->metric == METRIC_BINARY ? m->d[i] : known[m->metric][4 + i];
	}
}

static LBuf *
compute_similarities(Measure *m, int n, const double *rows)
{
	Pmml *p = m->p;
	int k = m->fields.n;
	LBuf *table = kernel_table(p, "rows", DT_F64, n * k, rows);
	LBuf *out = kernel_scratch(p, "similarity", DT_F64, n);
	LBuilder *b = code(p);
	double c[4], d[4];
	LVar *above, *below;
	Expr *i, *j, *x, *y, *zero = code_number(p, 0);

	similarity_weights(m, c, d);
	i = loop_for(b, "i", 0, n);
	above = loop_var(b, "above", zero);
	below = loop_var(b, "below", zero);
	j = loop_for(b, "j", 0, k);
	x = code_let(p, "value", loop_load(b, m->x, j));
	y = loop_load(b, table, loop_add(b, loop_affine(b, i, k, 0), j));
	y = loop_let(b, "is_set", code_op(p, KOP_NE, y, zero));
	loop_if(b, code_op(p, KOP_EQ, x, x));
	for (int t = 0; t < 2; t++) {
		const double *w = t ? d : c;
		LVar *sum = t ? below : above;
		Expr *e =
			code_select(p, code_op(p, KOP_NE, x, zero),
		                    code_select(p, y, code_number(p, w[0]), code_number(p, w[1])),
		                    code_select(p, y, code_number(p, w[2]), code_number(p, w[3])));

		loop_set(b, sum, code_add(p, loop_get(b, sum), e));
	}
	loop_end(b);
	loop_end(b);
	loop_store(b, out, i, code_op(p, KOP_DIV, loop_get(b, above), loop_get(b, below)));
	loop_end(b);
	return out;
}

LBuf *
measure_compute(Measure *m, int n, const double *rows)
{
	if (!store_row(m))
		return NULL;
	return measure_is_distance(m) ? compute_distances(m, n, rows)
	                              : compute_similarities(m, n, rows);
}
