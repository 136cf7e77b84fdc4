/*
 * NearestNeighborModel: what the k nearest of a list of rows have.
 *
 * The nearest are found one after the other; of equals the first is nearer.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/pmml/link.h"
#include "frontend/pmml/measure.h"

typedef enum { SCORE_MEDIAN, SCORE_AVERAGE, SCORE_WEIGHTED_AVERAGE } ContinuousScore;
typedef enum { SCORE_MAJORITY, SCORE_WEIGHTED_MAJORITY } CategoricalScore;

typedef struct {
	Pmml *p;
	const Xml *e;
	Measure *measure;
	int k, n;
	double threshold;
	int continuous, categorical;
	LBuf *nearest;  /* rows of the k nearest, i32 */
	LBuf *distance; /* by row */
} Knn;

/* ---- The rows ---- */

static const char *
column_of(const Xml *instances, const char *field)
{
	const Xml *fields = xml_child(instances, "InstanceFields");

	for (const Xml *c = xml_child(fields, "InstanceField"); c; c = xml_same(c)) {
		const char *name = xml_attr(c, "field"), *column = xml_attr(c, "column");

		if (name && strcmp(name, field) == 0)
			return column ? column : name;
	}
	return NULL;
}

/* The table; NULL and an error when it is not in the file. */
static const Xml *
table_of(Knn *m)
{
	const Xml *instances = pmml_need_child(m->p, m->e, "TrainingInstances");
	const Xml *table = xml_child(instances, "InlineTable");

	if (instances && !table)
		pmml_unsupported(m->p, instances, "a table outside of the file");
	return table;
}

static const char *
cell_text(Knn *m, const Xml *row, const char *column)
{
	const Xml *c = pmml_cell(row, column);

	if (!c) {
		pmml_error(m->p, row, "there is no <%.60s> in it", column);
		return NULL;
	}
	return xml_trimmed(m->p->a, c);
}

static bool
read_rows(Knn *m, double **out)
{
	const Xml *table = table_of(m), *instances = xml_child(m->e, "TrainingInstances");
	const Xml *inputs = xml_child(m->e, "KNNInputs");
	int fields = measure_fields(m->measure), f = 0, r;

	m->n = xml_count(table, "row");
	if (!table)
		return false;
	if (m->n == 0 || m->n > INT32_MAX / 8 / fields)
		return pmml_error(m->p, table, "there are no rows in it, or too many");
	*out = ARENA_ARRAY(m->p->a, double, m->n * fields);
	for (const Xml *c = xml_child(inputs, "KNNInput"); c; c = xml_same(c), f++) {
		const char *column = column_of(instances, xml_attr(c, "field"));

		if (!column && field_data(m->p, xml_attr(c, "field")))
			return pmml_error(m->p, c, "there is no <InstanceField> for it");
		if (!column)
			return pmml_unsupported(m->p, c, "a derived field that the rows do not have");
		r = 0;
		for (const Xml *row = xml_child(table, "row"); row; row = xml_same(row), r++) {
			const char *text = cell_text(m, row, column);

			if (!text ||
			    !measure_number(m->measure, row, f, text, &(*out)[r * fields + f]))
				return false;
		}
	}
	return true;
}

/* ---- The nearest ---- */

static void
find_nearest(Knn *m)
{
	Pmml *p = m->p;
	LBuilder *b = code(p);
	bool is_distance = measure_is_distance(m->measure);
	LBuf *left = kernel_scratch(p, "left", DT_F64, m->n);
	Expr *worst = code_number(p, is_distance ? HUGE_VAL : -HUGE_VAL), *i, *j;
	LVar *best, *at;

	i = loop_for(b, "i", 0, m->n);
	loop_store(b, left, i, loop_load(b, m->distance, i));
	loop_end(b);
	m->nearest = kernel_scratch(p, "nearest", DT_I32, m->k);
	i = loop_for(b, "i", 0, m->k);
	best = loop_var(b, "best", worst);
	at = loop_var_idx(b, "at", loop_idx(b, 0), 0, m->n - 1);
	j = loop_for(b, "j", 0, m->n);
	loop_if(b, code_op(p, is_distance ? KOP_LT : KOP_GT, loop_load(b, left, j),
	                   loop_get(b, best)));
	loop_set(b, best, loop_load(b, left, j));
	loop_set(b, at, j);
	loop_end(b);
	loop_end(b);
	loop_store(b, m->nearest, i, loop_cvt(b, DT_I32, loop_get(b, at)));
	loop_store(b, left, loop_get(b, at), worst);
	loop_end(b);
}

/* The row of neighbour i. */
static Expr *
neighbour(Knn *m, Expr *i)
{
	LBuilder *b = code(m->p);

	return loop_let(b, "row", loop_clamp_idx(b, loop_load(b, m->nearest, i), 0, m->n - 1));
}

/* Of near ones 1 / (distance + threshold), or the similarity itself. */
static Expr *
weight_of(Knn *m, Expr *row)
{
	Pmml *p = m->p;
	Expr *d = loop_load(code(p), m->distance, row);

	if (!measure_is_distance(m->measure))
		return d;
	return code_op(p, KOP_DIV, code_number(p, 1), code_add(p, d, code_number(p, m->threshold)));
}

/* ---- Targets ---- */

static bool
target_numbers(Knn *m, const char *column, double *out)
{
	int r = 0;

	for (const Xml *row = xml_child(table_of(m), "row"); row; row = xml_same(row), r++) {
		const char *text = cell_text(m, row, column);

		if (!text)
			return false;
		if (!pmml_parse_number(text, &out[r]))
			return pmml_error(m->p, row, "'%.60s' is no number", text);
	}
	return true;
}

static bool
regress(Knn *m, const char *column, Val *out)
{
	Pmml *p = m->p;
	LBuilder *b = code(p);
	double *v = ARENA_ARRAY(p->a, double, m->n);
	LBuf *table, *own;
	LVar *sum, *weights;
	Expr *i, *row, *w;

	if (!target_numbers(m, column, v))
		return false;
	table = kernel_table(p, "targets", DT_F64, m->n, v);
	if (m->continuous == SCORE_MEDIAN) {
		own = kernel_scratch(p, "values", DT_F64, m->k);
		i = loop_for(b, "i", 0, m->k);
		loop_store(b, own, i, loop_load(b, table, neighbour(m, i)));
		loop_end(b);
		*out = value_of(p, TYPE_DOUBLE, link_median(p, own, m->k));
		return true;
	}
	sum = loop_var(b, "sum", code_number(p, 0));
	weights = loop_var(b, "weights", code_number(p, 0));
	i = loop_for(b, "i", 0, m->k);
	row = neighbour(m, i);
	w = m->continuous == SCORE_WEIGHTED_AVERAGE ? code_let(p, "weight", weight_of(m, row))
	                                            : code_number(p, 1);
	loop_set(b, sum, code_add(p, loop_get(b, sum), code_mul(p, w, loop_load(b, table, row))));
	loop_set(b, weights, code_add(p, loop_get(b, weights), w));
	loop_end(b);
	*out = value_of(p, TYPE_DOUBLE,
	                code_let(p, "predicted",
	                         code_op(p, KOP_DIV, loop_get(b, sum), loop_get(b, weights))));
	return true;
}

/* A class, by what decides between equal votes. */
typedef struct {
	int class, rows;
	const char *text;
} Rival;

/* The class with more rows goes first, then the smaller number, then the first word. */
static int
compare_rivals(const void *a, const void *b)
{
	const Rival *x = a, *y = b;
	double nx = 0, ny = 0;
	bool is_x = pmml_parse_number(x->text, &nx), is_y = pmml_parse_number(y->text, &ny);

	if (x->rows != y->rows)
		return x->rows > y->rows ? -1 : 1;
	if (is_x != is_y)
		return is_x ? -1 : 1;
	if (is_x && nx != ny)
		return nx < ny ? -1 : 1;
	return strcmp(x->text, y->text);
}

/* By class its rank among equals; `v` has the class of each row. */
static double *
rank_classes(Knn *m, const Labels *classes, const double *v)
{
	int n = classes->v.n;
	Rival *rival = ARENA_ARRAY(m->p->a, Rival, n);
	double *rank = ARENA_ARRAY(m->p->a, double, n);

	for (int i = 0; i < n; i++)
		rival[i] = (Rival){.class = i, .text = classes->v.v[i]};
	for (int i = 0; i < m->n; i++)
		rival[(int)v[i]].rows++;
	qsort(rival, (size_t)n, sizeof *rival, compare_rivals);
	for (int i = 0; i < n; i++)
		rank[rival[i].class] = i;
	return rank;
}

/* The class with the most votes; `v` has the class of each row. */
static Val
winner_of(Knn *m, Labels *classes, LBuf *votes, const double *v)
{
	Pmml *p = m->p;
	LBuilder *b = code(p);
	int n = classes->v.n;
	Expr *i, *x, *r, *wins;
	LBuf *table = kernel_table(p, "rank", DT_I32, n, rank_classes(m, classes, v));
	LVar *best, *at, *place;
	Val out;

	best = loop_var(b, "most", code_number(p, -1));
	place = loop_var(b, "place", code_int(p, n));
	at = loop_var(b, "class", code_int(p, -1));
	i = loop_for(b, "i", 0, n);
	x = loop_let(b, "x", loop_load(b, votes, i));
	r = loop_let(b, "rank", loop_load(b, table, i));
	wins = code_and(p, code_op(p, KOP_EQ, x, loop_get(b, best)),
	                code_op(p, KOP_LT, r, loop_get(b, place)));
	loop_if(b, code_or(p, code_op(p, KOP_GT, x, loop_get(b, best)), wins));
	loop_set(b, best, x);
	loop_set(b, place, r);
	loop_set(b, at, loop_cvt(b, DT_I32, i));
	loop_end(b);
	loop_end(b);
	out = value_label(p, classes, code_let(p, "winner", loop_get(b, at)));
	out.labelled = true;
	return out;
}

static bool
classify(Knn *m, const char *column, Labels *classes, LBuf **votes, Val *winner)
{
	Pmml *p = m->p;
	LBuilder *b = code(p);
	double *v = ARENA_ARRAY(p->a, double, m->n);
	LBuf *table;
	Expr *i, *row, *at, *w;
	int r = 0;

	for (const Xml *e = xml_child(table_of(m), "row"); e; e = xml_same(e), r++) {
		const char *text = cell_text(m, e, column);

		if (!text)
			return false;
		v[r] = labels_add(p, classes, text);
	}
	table = kernel_table(p, "targets", DT_I32, m->n, v);
	*votes = kernel_scratch(p, "probability", DT_F64, classes->v.n);
	for (int c = 0; c < classes->v.n; c++)
		code_put(p, *votes, c, code_number(p, 0));
	i = loop_for(b, "i", 0, m->k);
	row = neighbour(m, i);
	at = loop_let(b, "at", loop_clamp_idx(b, loop_load(b, table, row), 0, classes->v.n - 1));
	w = m->categorical == SCORE_WEIGHTED_MAJORITY ? weight_of(m, row) : code_number(p, 1);
	loop_store(b, *votes, at, code_add(p, loop_load(b, *votes, at), w));
	loop_end(b);
	*winner = winner_of(m, classes, *votes, v);
	link_simplemax(p, *votes, classes->v.n);
	return true;
}

/* ---- Neighbours as entities ---- */

static bool
name_neighbours(Knn *m, Result *r)
{
	Pmml *p = m->p;
	const char *id = xml_attr(m->e, "instanceIdVariable");
	const char *column = id ? column_of(xml_child(m->e, "TrainingInstances"), id) : NULL;
	Labels *l = labels_new(p);
	double *code_of = ARENA_ARRAY(p->a, double, m->n);
	LBuf *table;
	int i = 0;

	if (!r->want_entity)
		return true;
	for (const Xml *row = xml_child(table_of(m), "row"); row; row = xml_same(row), i++) {
		const char *text =
			column ? cell_text(m, row, column) : arena_printf(p->a, "%d", i + 1);

		if (!text)
			return false;
		code_of[i] = labels_add(p, l, text);
	}
	table = kernel_table(p, "ids", DT_I32, m->n, code_of);
	r->entities = l;
	r->nranked = m->k;
	r->ranked = ARENA_ARRAY(p->a, Val, m->k);
	r->ranked_affinity = ARENA_ARRAY(p->a, Val, m->k);
	for (int k = 0; k < m->k; k++) {
		Expr *row = neighbour(m, loop_idx(code(p), k));

		r->ranked[k] = value_label(p, l, code_let(p, "id", loop_load(code(p), table, row)));
		r->ranked[k].labelled = true;
		r->ranked_affinity[k] =
			value_of(p, TYPE_DOUBLE,
		                 code_let(p, "affinity", loop_load(code(p), m->distance, row)));
	}
	r->entity = r->ranked[0];
	r->affinity = r->ranked_affinity[0];
	return true;
}

/* ---- The model ---- */

static bool
is_categorical(const Pmml *p, const char *target, Function function)
{
	const Xml *field = field_data(p, target);
	const char *optype = field ? xml_attr(field, "optype") : NULL;

	if (function != FN_MIXED)
		return function == FN_CLASSIFICATION;
	return !optype || strcmp(optype, "continuous") != 0;
}

static bool
read_target(Knn *m, const Xml *field, Function function, bool is_first, Result *r)
{
	Pmml *p = m->p;
	const char *name = xml_attr(field, "name");
	const char *column = column_of(xml_child(m->e, "TrainingInstances"), name);
	Result own = {0};

	if (!column)
		return pmml_error(p, field, "there is no <InstanceField> for it");
	if (!is_categorical(p, name, function)) {
		if (!regress(m, column, &own.predicted))
			return false;
	} else {
		own.classes = field_data_labels(p, name);
		if (!own.classes)
			return pmml_error(p, field, "there is no such field");
		own.home = kernel_current(p);
		if (!classify(m, column, own.classes, &own.probability, &own.predicted))
			return false;
	}
	if (!is_first) {
		result_add_output(p, r, name, own.predicted);
		return true;
	}
	r->predicted = own.predicted;
	r->classes = own.classes;
	r->probability = own.probability;
	r->home = own.home;
	return true;
}

static bool
read_targets(Knn *m, Function function, Result *r)
{
	const Xml *schema = xml_child(m->e, "MiningSchema");
	bool first = true;

	for (const Xml *c = xml_child(schema, "MiningField"); c; c = xml_same(c)) {
		const char *usage = xml_attr(c, "usageType");

		if (!usage || (strcmp(usage, "predicted") != 0 && strcmp(usage, "target") != 0))
			continue;
		if (!read_target(m, c, function, first, r))
			return false;
		first = false;
	}
	return true;
}

bool
model_nearest_neighbor(Pmml *p, const Xml *e, Result *r)
{
	static const char *const continuous[] = {"median", "average", "weightedAverage", NULL};
	static const char *const categorical[] = {"majorityVote", "weightedMajorityVote", NULL};
	const Xml *inputs = pmml_need_child(p, e, "KNNInputs");
	Knn m = {.p = p, .e = e};
	Function function;
	double *rows = NULL;

	if (!inputs || !pmml_need(p, e, "numberOfNeighbors") ||
	    !pmml_int_or(p, e, "numberOfNeighbors", 1, 1, 1 << 16, &m.k) ||
	    !pmml_number_or(p, e, "threshold", 0.001, &m.threshold) ||
	    !pmml_word(p, e, "continuousScoringMethod", continuous, SCORE_AVERAGE, &m.continuous) ||
	    !pmml_word(p, e, "categoricalScoringMethod", categorical, SCORE_MAJORITY,
	               &m.categorical) ||
	    !model_function(p, e, &function))
		return false;
	m.measure = measure_read(p, e, inputs, "KNNInput", NULL);
	if (!m.measure || !read_rows(&m, &rows))
		return false;
	if (m.k > m.n)
		return pmml_error(p, e, "there are only %d rows for %d neighbours", m.n, m.k);
	m.distance = measure_compute(m.measure, m.n, rows);
	if (!m.distance)
		return false;
	find_nearest(&m);
	r->home = kernel_current(p);
	return read_targets(&m, function, r) && name_neighbours(&m, r);
}
