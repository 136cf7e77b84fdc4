/*
 * NaiveBayesModel: for each class the sum of the logarithms of its count and of the
 * likelihood of every input that is not missing.
 *
 * The likelihood of a value is its part of the counts of the class, or the density of a
 * distribution.  A value that was never counted with a class has the model's threshold.
 */
#include <math.h>
#include <string.h>

#include "frontend/pmml/link.h"
#include "frontend/pmml/pmml.h"

typedef struct {
	Pmml *p;
	const Xml *e;
	double threshold;
	Labels *classes;
	int n;         /* classes */
	LBuf *list;    /* logarithms by class */
} Bayes;

/* Old files of R wrap inputs with distributions in <Extension>. */
static const Xml *
input_in(const Xml *c)
{
	return xml_is(c, "BayesInput")  ? c
	       : xml_is(c, "Extension") ? xml_child(c, "BayesInput")
	                                : NULL;
}

static bool
read_counts(Bayes *m, const Xml *counts, double *out)
{
	for (int i = 0; i < m->n; i++)
		out[i] = 0;
	for (const Xml *c = xml_child(counts, "TargetValueCount"); c; c = xml_same(c)) {
		const char *text = pmml_need(m->p, c, "value");
		int k = text ? labels_find(m->classes, text) : -1;

		if (!text || !pmml_number(m->p, c, "count", &out[k]))
			return false;
	}
	return true;
}

/* Classes are those that the output counts. */
static bool
collect_classes(Bayes *m)
{
	const Xml *output = pmml_need_child(m->p, m->e, "BayesOutput");
	const Xml *counts = output ? pmml_need_child(m->p, output, "TargetValueCounts") : NULL;
	const Xml *inputs = pmml_need_child(m->p, m->e, "BayesInputs");

	if (!counts || !inputs)
		return false;
	for (const Xml *c = xml_child(counts, "TargetValueCount"); c; c = xml_same(c)) {
		const char *text = pmml_need(m->p, c, "value");

		if (!text)
			return false;
		labels_add(m->p, m->classes, text);
	}
	/* Values that only inputs name would be unknown later. */
	for (const Xml *c = inputs->first; c; c = c->next) {
		const Xml *input = input_in(c);

		for (const Xml *s = xml_child(input, "PairCounts"); s; s = xml_same(s))
			for (const Xml *v = xml_child(xml_child(s, "TargetValueCounts"),
			                              "TargetValueCount");
			     v; v = xml_same(v))
				if (xml_attr(v, "value"))
					labels_add(m->p, m->classes, xml_attr(v, "value"));
		for (const Xml *v =
		             xml_child(xml_child(input, "TargetValueStats"), "TargetValueStat");
		     v; v = xml_same(v))
			if (xml_attr(v, "value"))
				labels_add(m->p, m->classes, xml_attr(v, "value"));
	}
	m->n = m->classes->v.n;
	return m->n > 0 || pmml_error(m->p, m->e, "there are no classes");
}

static void
start_list(Bayes *m, const double *count)
{
	m->list = kernel_scratch(m->p, "probability", DT_F64, m->n);
	for (int i = 0; i < m->n; i++)
		code_put(m->p, m->list, i, code_number(m->p, log(count[i])));
}

/* list[class] += x where the input is there. */
static void
add_log(Bayes *m, int class, Expr *x)
{
	Pmml *p = m->p;

	code_put(p, m->list, class, code_add(p, code_at(p, m->list, class), x));
}

/* ---- Counts ---- */

/* The rows of counts by value: logarithms of the likelihoods, by value and class. */
static bool
read_pairs(Bayes *m, const Xml *input, int *n, double **out)
{
	double *sum = ARENA_ARRAY(m->p->a, double, m->n), *v;
	int i = 0;

	*n = xml_count(input, "PairCounts");
	v = *out = ARENA_ARRAY(m->p->a, double, *n * m->n);
	for (const Xml *c = xml_child(input, "PairCounts"); c; c = xml_same(c), i++) {
		const Xml *counts = pmml_need_child(m->p, c, "TargetValueCounts");

		if (!counts || !read_counts(m, counts, v + (ptrdiff_t)i * m->n))
			return false;
		for (int k = 0; k < m->n; k++)
			sum[k] += v[i * m->n + k];
	}
	for (int j = 0; j < *n * m->n; j++) {
		double part = sum[j % m->n] > 0 ? v[j] / sum[j % m->n] : 0;

		v[j] = log(part > 0 ? part : m->threshold);
	}
	return true;
}

static bool
add_pairs(Bayes *m, const Xml *input, Val v)
{
	Pmml *p = m->p;
	LBuilder *b;
	double *table;
	int n, i = 0;
	Expr *row = NULL, *same, *at, *k;
	LBuf *buf;

	if (!read_pairs(m, input, &n, &table))
		return false;
	for (const Xml *c = xml_child(input, "PairCounts"); c; c = xml_same(c), i++) {
		const char *text = pmml_need(p, c, "value");
		Val constant;

		if (!text || !value_constant(p, c, text, v.type, v.labels, &constant) ||
		    !value_compare(p, c, KOP_EQ, v, constant, &same))
			return false;
		row = code_select(p, same, code_int(p, i), row ? row : code_int(p, -1));
		row = code_link(p, "row", row, i);
	}
	b = code(p);
	row = code_let(p, "row", row);
	buf = kernel_table(p, "likelihood", DT_F64, n * m->n, table);
	loop_if(b, code_op(p, KOP_GE, row, code_int(p, 0)));
	at = loop_let(b, "at", loop_clamp_idx(b, row, 0, n - 1));
	k = loop_for(b, "k", 0, m->n);
	loop_store(b, m->list, k,
	           code_add(p, loop_load(b, m->list, k),
	                    loop_load(b, buf, loop_add(b, loop_affine(b, at, m->n, 0), k))));
	loop_end(b);
	loop_end(b);
	return true;
}

/* ---- Distributions ---- */

static Expr *
quotient(Pmml *p, Expr *x, double y)
{
	return code_op(p, KOP_DIV, x, code_number(p, y));
}

/* The logarithm of a density at x; NULL after an error. */
static Expr *
log_density(Bayes *m, const Xml *e, Expr *x)
{
	Pmml *p = m->p;
	double mean, variance, lower, upper;
	Expr *d;

	if (xml_is(e, "GaussianDistribution")) {
		if (!pmml_number(p, e, "mean", &mean) || !pmml_number(p, e, "variance", &variance))
			return NULL;
		d = code_let(p, "d", code_op(p, KOP_SUB, x, code_number(p, mean)));
		d = quotient(p, code_mul(p, d, d), -2 * variance);
		return code_op(p, KOP_SUB, d,
		               code_number(p, 0.5 * log(6.28318530717958647693 * variance)));
	}
	if (xml_is(e, "UniformDistribution")) {
		if (!pmml_number(p, e, "lower", &lower) || !pmml_number(p, e, "upper", &upper))
			return NULL;
		d = code_and(p, code_op(p, KOP_GE, x, code_number(p, lower)),
		             code_op(p, KOP_LE, x, code_number(p, upper)));
		return code_select(p, d, code_number(p, -log(upper - lower)),
		                   code_number(p, -HUGE_VAL));
	}
	if (xml_is(e, "PoissonDistribution")) {
		/* Without log(x!), which all classes have. */
		if (!pmml_number(p, e, "mean", &mean))
			return NULL;
		return code_op(p, KOP_SUB, code_mul(p, x, code_number(p, log(mean))),
		               code_number(p, mean));
	}
	pmml_unsupported(p, e, "this distribution");
	return NULL;
}

/* Densities below the threshold are taken for it.  Files from before version 4.2 have
 * distributions as extensions, and mean them as they are; so is Poisson's, of which a
 * factor is left out. */
static bool
has_floor(const Xml *stats, const Xml *distribution)
{
	return !xml_is(stats->parent->parent, "Extension") &&
	       !xml_is(distribution, "PoissonDistribution");
}

static bool
add_stats(Bayes *m, const Xml *stats, Val v)
{
	Pmml *p = m->p;
	Expr *x;

	if (!value_to_number(p, stats, v, &x))
		return false;
	x = code_let(p, "x", x);
	for (const Xml *c = xml_child(stats, "TargetValueStat"); c; c = xml_same(c)) {
		const char *text = pmml_need(p, c, "value");
		const Xml *distribution = xml_first(c);
		Expr *y;

		if (!text || !distribution)
			return text && pmml_error(p, c, "there is no distribution in it");
		y = log_density(m, distribution, x);
		if (!y)
			return false;
		if (has_floor(stats, distribution))
			y = code_op(p, KOP_MAX, y, code_number(p, log(m->threshold)));
		/* A missing value says nothing, so it adds nothing. */
		y = code_select(p, code_is_nan(p, x), code_number(p, 0), y);
		add_log(m, labels_find(m->classes, text), y);
	}
	return true;
}

/* ---- The model ---- */

/* The field, perhaps discretised for this model. */
static bool
input_value(Bayes *m, const Xml *input, Val *out)
{
	const Xml *derived = xml_child(input, "DerivedField");
	const char *name = pmml_need(m->p, input, "fieldName");
	const Xml *e = derived ? expression_child(derived) : NULL;

	if (!name)
		return false;
	if (derived && !e)
		return pmml_error(m->p, derived, "there is no expression in it");
	if (e ? !expression_read(m->p, e, out) : !field_value(m->p, input, name, out))
		return false;
	*out = value_let(m->p, name, *out);
	return true;
}

static bool
add_input(Bayes *m, const Xml *input)
{
	const Xml *stats = xml_child(input, "TargetValueStats");
	Val v;

	if (!input_value(m, input, &v))
		return false;
	if (stats)
		return add_stats(m, stats, v);
	if (!xml_child(input, "PairCounts"))
		return pmml_error(m->p, input, "there are no counts in it");
	return add_pairs(m, input, v);
}

bool
model_naive_bayes(Pmml *p, const Xml *e, Result *r)
{
	Bayes m = {.p = p, .e = e, .classes = model_target_labels(p, e)};
	double *count;
	const Xml *inputs;

	if (!pmml_number(p, e, "threshold", &m.threshold) || !collect_classes(&m))
		return false;
	inputs = xml_child(e, "BayesInputs");
	count = ARENA_ARRAY(p->a, double, m.n);
	if (!read_counts(&m, xml_child(xml_child(e, "BayesOutput"), "TargetValueCounts"), count))
		return false;
	/* Fields first: they may start another kernel. */
	for (const Xml *c = inputs->first; c; c = c->next) {
		Val v;

		if (input_in(c) && !input_value(&m, input_in(c), &v))
			return false;
	}
	start_list(&m, count);
	for (const Xml *c = inputs->first; c; c = c->next)
		if (input_in(c) && !add_input(&m, input_in(c)))
			return false;
	r->classes = m.classes;
	r->home = kernel_current(p);
	r->probability = m.list;
	link_softmax(p, m.list, m.n);
	return result_from_probability(p, r);
}
