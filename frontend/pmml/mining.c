/*
 * MiningModel: several models, and what is made of their results.
 *
 * Sums, averages and votes over trees that are always asked are one ensemble, whose
 * leaves are the scores, probabilities or votes themselves.  Of all other models each
 * gives its result; trees among them share an ensemble that gives the numbers of leaves.
 * A model whose predicate is not true is computed too, but does not count.  Models
 * without a segment are in embedded.c, the choice of one in mining_choice.c.
 */
#include <math.h>
#include <string.h>

#include "frontend/pmml/embedded.h"
#include "frontend/pmml/link.h"
#include "frontend/pmml/mining.h"

/* Those behind the methods are other words for a chain. */
static const char *const method_words[] = {
	"majorityVote", "weightedMajorityVote", "average",   "weightedAverage", "median",
	"weightedMedian", "max",                "sum",       "weightedSum",     "selectFirst",
	"selectAll",    "modelChain",           "multiModelChain", "x-multiModelChain", NULL};

/* ---- Reading ---- */

static bool
add_part(Mining *m, const Xml *e)
{
	Part part = {.e = e, .predicate = predicate_child(e), .model = model_child(e),
	             .id = xml_attr(e, "id")};
	const Xml *variable = xml_child(e, "VariableWeight");

	if (!part.predicate)
		return pmml_error(m->p, e, "there is no predicate in it");
	if (!part.model)
		return pmml_error(m->p, e, "there is no model in it");
	if (!pmml_number_or(m->p, e, "weight", 1, &part.weight))
		return false;
	if (variable && !(part.weight_field = pmml_need(m->p, variable, "field")))
		return false;
	/* Without an id a segment is known by its number. */
	if (!part.id)
		part.id = arena_printf(m->p->a, "%d", m->parts.n + 1);
	VEC_PUSH(m->p->a, &m->parts, part);
	return true;
}

/* Attributes of version 4.4 that files had before, with x- in front. */
static const char *
own_or_early(const Xml *e, const char *early)
{
	return xml_attr(e, early) ? early : early + 2;
}

static bool
read_segments(Mining *m)
{
	static const char *const treatments[] = {"continue", "skipSegment", "returnMissing", NULL};
	const Xml *s = pmml_need_child(m->p, m->e, "Segmentation");
	int method, missing;

	if (!s || !pmml_need(m->p, s, "multipleModelMethod") ||
	    !pmml_word(m->p, s, "multipleModelMethod", method_words, 0, &method) ||
	    !pmml_word(m->p, s, own_or_early(s, "x-missingPredictionTreatment"), treatments, 0,
	               &missing) ||
	    !pmml_number_or(m->p, s, own_or_early(s, "x-missingThreshold"), 1, &m->threshold))
		return false;
	/* Every chain keeps its targets apart; these have the outputs of all segments. */
	m->keeps_all = method > METHOD_CHAIN;
	m->method = m->keeps_all ? METHOD_CHAIN : (Method)method;
	m->missing = (Treatment)missing;
	for (const Xml *c = xml_child(s, "Segment"); c; c = xml_same(c))
		if (!add_part(m, c))
			return false;
	return m->parts.n > 0 || pmml_error(m->p, s, "there is no <Segment> in it");
}

static bool
is_weighted(const Mining *m)
{
	return m->method == METHOD_WEIGHTED_MAJORITY || m->method == METHOD_WEIGHTED_AVERAGE ||
	       m->method == METHOD_WEIGHTED_MEDIAN || m->method == METHOD_WEIGHTED_SUM;
}

static double
weight_of(const Mining *m, const Part *part)
{
	return is_weighted(m) ? part->weight : 1;
}

/* ---- Trees ---- */

/* Whether fields mean the same in the segment's model as around it. */
static bool
has_plain_fields(const Xml *model)
{
	if (xml_child(model, "Output") || xml_child(model, "Targets") ||
	    xml_child(xml_child(model, "LocalTransformations"), "DerivedField"))
		return false;
	for (const Xml *f = xml_child(xml_child(model, "MiningSchema"), "MiningField"); f;
	     f = xml_same(f)) {
		const char *outliers = xml_attr(f, "outliers"),
			   *treat = xml_attr(f, "missingValueTreatment");

		if (xml_attr(f, "missingValueReplacement") ||
		    (outliers && strcmp(outliers, "asIs") != 0) ||
		    (treat && strcmp(treat, "returnInvalid") == 0))
			return false;
	}
	return true;
}

/* Reads the trees of segments that can go into one ensemble; others keep no tree. */
static bool
read_trees(Mining *m)
{
	Pmml *p = m->p;

	for (int i = 0; i < m->parts.n; i++) {
		Part *part = &m->parts.v[i];
		Tree *t;

		if (!xml_is(part->model, "TreeModel") || !has_plain_fields(part->model))
			continue;
		t = ARENA_NEW(p->a, Tree);
		if (!tree_read(p, part->model, t))
			return false;
		if (t->function == FN_CLASSIFICATION) {
			part->result.classes = model_target_labels(p, part->model);
			if (!tree_collect_classes(p, t, part->result.classes))
				return false;
		}
		if (tree_is_walk(t) && !t->has_models)
			part->tree = t;
	}
	return true;
}

/* Whether the method is a sum over trees that are always asked. */
static bool
is_sum_of_trees(const Mining *m)
{
	bool classes = m->function == FN_CLASSIFICATION;

	switch (m->method) {
	case METHOD_MAJORITY:
	case METHOD_WEIGHTED_MAJORITY:
		if (!classes)
			return false;
		break;
	case METHOD_SUM:
	case METHOD_WEIGHTED_SUM:
		if (classes)
			return false;
		break;
	case METHOD_AVERAGE:
	case METHOD_WEIGHTED_AVERAGE: break;
	case METHOD_MEDIAN:
	case METHOD_WEIGHTED_MEDIAN:
	case METHOD_MAX:
	case METHOD_FIRST:
	case METHOD_ALL:
	case METHOD_CHAIN: return false;
	}
	if (m->missing != TREAT_CONTINUE || m->threshold < 1)
		return false;
	for (int i = 0; i < m->parts.n; i++) {
		const Part *part = &m->parts.v[i];

		if (!part->tree || part->weight_field || !xml_is(part->predicate, "True") ||
		    (part->tree->function == FN_CLASSIFICATION) != classes)
			return false;
	}
	return true;
}

/* What the leaves of the ensemble give. */
typedef struct {
	Mining *m;
	Labels *classes; /* NULL: numbers */
	int n;           /* of outputs */
	double *confidence;
	bool failed;
} Give;

static void
give_sum(void *user, int tree, int leaf, double *values, int32_t *target)
{
	Give *g = user;
	const Part *part = &g->m->parts.v[tree];
	double w = weight_of(g->m, part);
	bool votes = g->m->method == METHOD_MAJORITY || g->m->method == METHOD_WEIGHTED_MAJORITY;
	int class = -1;

	*target = 0;
	for (int i = 0; i < g->n; i++)
		values[i] = g->classes ? 0 : (double)NAN;
	if (leaf < 0)
		return;
	if (!g->classes)
		g->failed |= !tree_score(g->m->p, part->tree, leaf, values);
	else if (votes)
		g->failed |= !tree_class(g->m->p, part->tree, leaf, g->classes, &class);
	else
		g->failed |= !tree_distribution(g->m->p, part->tree, leaf, g->classes, g->n, values,
		                                g->confidence);
	if (class >= 0)
		values[class] = 1;
	for (int i = 0; i < g->n; i++)
		values[i] *= w;
}

static double
sum_of_weights(const Mining *m)
{
	double sum = 0;

	for (int i = 0; i < m->parts.n; i++)
		sum += weight_of(m, &m->parts.v[i]);
	return sum;
}

/* XGBoost's sums are of floats, and its files say so. */
static bool
is_float_sum(const Xml *e)
{
	const char *s = xml_attr(e, "x-mathContext");

	return s && strcmp(s, "float") == 0;
}

static bool
result_of_sum(Mining *m, Vec *sums, int n)
{
	Pmml *p = m->p;
	LBuf *buf = kernel_vec(p, sums);
	bool average = m->method == METHOD_AVERAGE || m->method == METHOD_WEIGHTED_AVERAGE;
	Expr *x;

	if (!m->r->classes) {
		x = loop_cvt(code(p), DT_F64, code_at(p, buf, 0));
		if (average)
			x = code_op(p, KOP_DIV, x, code_number(p, sum_of_weights(m)));
		m->r->predicted = value_of(p, is_float_sum(m->e) ? TYPE_FLOAT : TYPE_DOUBLE,
		                           code_let(p, "predicted", x));
		return true;
	}
	m->r->home = kernel_current(p);
	m->r->probability = kernel_scratch(p, "probability", DT_F64, n);
	x = loop_for(code(p), "i", 0, n);
	loop_store(code(p), m->r->probability, x, loop_load(code(p), buf, x));
	loop_end(code(p));
	if (m->r->want_probability)
		link_simplemax(p, m->r->probability, n);
	return result_from_probability(p, m->r);
}

static bool
sum_trees(Mining *m)
{
	Pmml *p = m->p;
	Forest *f = forest_new(p);
	Loc loc = pmml_loc(p, m->e);
	Give g = {.m = m, .n = 1};
	DType t = is_float_sum(m->e) ? DT_F32 : DT_F64;
	Vec *sums;

	if (m->function == FN_CLASSIFICATION) {
		m->r->classes = g.classes = model_target_labels(p, m->e);
		for (int i = 0; i < m->parts.n; i++)
			if (!tree_collect_classes(p, m->parts.v[i].tree, g.classes))
				return false;
		g.n = g.classes->v.n;
		if (g.n == 0)
			return pmml_error(p, m->e, "there are no classes");
	}
	g.confidence = ARENA_ARRAY(p->a, double, g.n);
	for (int i = 0; i < m->parts.n; i++)
		if (!forest_add(f, m->parts.v[i].tree))
			return false;
	sums = forest_finish(f, t, g.n, g.n, give_sum, &g, &loc);
	return sums && !g.failed && result_of_sum(m, sums, g.n);
}

/* ---- Results of all segments ---- */

static void
give_leaf(void *user, int tree, int leaf, double *values, int32_t *target)
{
	(void)user;
	*values = leaf;
	*target = tree;
}

/* All trees that can be in one ensemble; chains go one after the other. */
static bool
walk_trees(Mining *m, Vec **leaves)
{
	Forest *f = forest_new(m->p);
	Loc loc = pmml_loc(m->p, m->e);
	int n = 0;

	*leaves = NULL;
	for (int i = 0; i < m->parts.n; i++) {
		Part *part = &m->parts.v[i];

		if (m->method == METHOD_CHAIN)
			part->tree = NULL;
		if (!part->tree)
			continue;
		part->number = n++;
		if (!forest_add(f, part->tree))
			return false;
	}
	if (n > 0)
		*leaves = forest_finish(f, DT_I32, n, 1, give_leaf, NULL, &loc);
	return n == 0 || *leaves;
}

static bool
read_active(Mining *m, Part *part)
{
	Truth t;

	if (!predicate_read(m->p, part->predicate, &t))
		return false;
	if (t.is_true->kind == E_CONST && t.is_true->u.i)
		return true;
	part->active = code_let(m->p, "active", t.is_true);
	part->home = kernel_current(m->p);
	return true;
}

/* Outputs of the segment are fields for what comes later; missing when it is passed over. */
static bool
publish_outputs(Mining *m, Part *part)
{
	Pmml *p = m->p;

	for (int i = 0; part->result.outputs && i < part->result.outputs->n; i++) {
		ModelOutput *o = &part->result.outputs->v[i];

		if (part->active &&
		    !value_select(p, part->e, mining_active(m, part), o->v,
		                  value_missing(p, o->v.type, o->v.labels), &o->v))
			return false;
		scope_define(p, o->name, o->v);
	}
	return true;
}

static bool
read_results(Mining *m)
{
	Pmml *p = m->p;
	bool lists = m->r->want_probability || m->method == METHOD_AVERAGE ||
	             m->method == METHOD_WEIGHTED_AVERAGE || m->method == METHOD_MAX ||
	             m->method == METHOD_MEDIAN || m->method == METHOD_WEIGHTED_MEDIAN;
	Vec *leaves;

	if (!walk_trees(m, &leaves))
		return false;
	for (int i = 0; i < m->parts.n; i++) {
		Part *part = &m->parts.v[i];
		Labels *classes = part->result.classes;
		LBuf *buf;
		Expr *leaf;

		part->result = (Result){.want_probability = lists && m->function != FN_REGRESSION,
		                        .want_entity = m->r->want_entity};
		if (m->method == METHOD_ALL || m->method == METHOD_CHAIN)
			part->result.want_probability = m->r->want_probability;
		if (!read_active(m, part))
			return false;
		if (!part->tree) {
			if (!model_read(p, part->model, false, &part->result) ||
			    !publish_outputs(m, part))
				return false;
			continue;
		}
		part->result.classes = classes;
		buf = kernel_vec(p, leaves);
		leaf = code_let(p, "leaf", code_at(p, buf, part->number));
		if (!tree_result(p, part->tree, leaf, NULL, &part->result))
			return false;
	}
	return true;
}

/* ---- Sums, medians and votes ---- */

/* Numbers and votes are of one target, which segments may leave to the outer model. */
static bool
check_targets(Mining *m)
{
	const char *name = NULL;

	for (int i = 0; i < m->parts.n; i++) {
		const char *own = model_target(m->p, m->parts.v[i].model);

		if (own && name && strcmp(own, name) != 0)
			return pmml_unsupported(m->p, m->parts.v[i].e,
			                        "putting together results of the targets '%.60s' "
			                        "and '%.60s'",
			                        name, own);
		name = own ? own : name;
	}
	return true;
}

/* What a segment adds, with its weight; 0 where it does not count. */
static bool
part_weight(Mining *m, const Part *part, Expr **out)
{
	Pmml *p = m->p;
	Val v;

	*out = code_number(p, weight_of(m, part));
	if (!part->weight_field || !is_weighted(m))
		return true;
	return field_value(p, part->e, part->weight_field, &v) &&
	       value_to_number(p, part->e, v, out);
}

/* Weights of all segments that are asked, and of those without a result. */
typedef struct {
	Expr *asked, *missing;
} Tally;

static bool
count_part(Mining *m, const Part *part, Expr *weight, Expr *is_missing, Tally *t)
{
	Pmml *p = m->p;
	Expr *zero = code_number(p, 0), *active = mining_active(m, part), *w = weight;

	if (active)
		w = code_select(p, active, weight, zero);
	t->asked = code_let(p, "asked", code_add(p, t->asked, w));
	if (is_missing->kind == E_CONST && !is_missing->u.i)
		return true;
	t->missing = code_let(p, "missing",
	                      code_add(p, t->missing, code_select(p, is_missing, w, zero)));
	return true;
}

/* Whether so much is missing that there is no result. */
static Expr *
too_much_missing(Mining *m, const Tally *t)
{
	Pmml *p = m->p;
	double threshold = m->missing == TREAT_RETURN ? 0 : m->threshold;

	return code_or(
		p, code_op(p, KOP_EQ, t->asked, code_number(p, 0)),
		code_op(p, KOP_GT, t->missing, code_mul(p, t->asked, code_number(p, threshold))));
}

static bool
sum_numbers(Mining *m)
{
	Pmml *p = m->p;
	Expr *sum = code_number(p, m->method == METHOD_MAX ? -HUGE_VAL : 0), *x, *w, *is_missing;
	Tally t = {code_number(p, 0), code_number(p, 0)};
	bool average = m->method == METHOD_AVERAGE || m->method == METHOD_WEIGHTED_AVERAGE;

	for (int i = 0; i < m->parts.n; i++) {
		Part *part = &m->parts.v[i];
		Expr *with;

		if (!part_weight(m, part, &w) ||
		    !value_to_number(p, part->e, part->result.predicted, &x))
			return false;
		is_missing = value_is_missing(p, &part->result.predicted);
		if (!count_part(m, part, w, is_missing, &t))
			return false;
		with = m->method == METHOD_MAX ? code_select(p, code_op(p, KOP_LT, x, sum), sum, x)
		       : is_weighted(m)        ? code_add(p, sum, code_mul(p, w, x))
		                               : code_add(p, sum, x);
		if (m->missing == TREAT_SKIP)
			with = code_select(p, is_missing, sum, with);
		if (part->active)
			with = code_select(p, mining_active(m, part), with, sum);
		sum = code_let(p, "sum", with);
	}
	if (average) {
		Expr *count = m->missing == TREAT_SKIP ? code_op(p, KOP_SUB, t.asked, t.missing)
		                                       : t.asked;

		sum = code_op(p, KOP_DIV, sum, count);
	}
	sum = code_select(p, too_much_missing(m, &t), code_number(p, (double)NAN), sum);
	m->r->predicted = value_of(p, TYPE_DOUBLE, code_let(p, "predicted", sum));
	return true;
}

/* The middle of the numbers of segments that count; the list takes x(i) of each. */
static bool
median_numbers(Mining *m, Expr **out, int class)
{
	Pmml *p = m->p;
	LBuf *v = kernel_scratch(p, "values", DT_F64, m->parts.n);

	for (int i = 0; i < m->parts.n; i++) {
		Part *part = &m->parts.v[i];
		Expr *x;

		if (class >= 0) {
			x = class < part->result.probability->count
			            ? result_probability(p, &part->result, class)
			            : code_number(p, 0);
		} else if (!value_to_number(p, part->e, part->result.predicted, &x)) {
			return false;
		}
		if (part->active)
			x = code_select(p, mining_active(m, part), x, code_number(p, (double)NAN));
		code_put(p, v, i, x);
	}
	*out = link_median(p, v, m->parts.n);
	return true;
}

/* The smallest number up to which half of the weight lies. */
static bool
weighted_median(Mining *m, Expr **out, int class)
{
	Pmml *p = m->p;
	LBuilder *b = code(p);
	int n = m->parts.n;
	LBuf *v = kernel_scratch(p, "values", DT_F64, n),
	     *w = kernel_scratch(p, "weights", DT_F64, n);
	LVar *best, *below, *all;
	Expr *i, *k, *x, *weight;

	for (int j = 0; j < n; j++) {
		Part *part = &m->parts.v[j];

		if (!part_weight(m, part, &weight))
			return false;
		if (class >= 0)
			x = class < part->result.probability->count
			            ? result_probability(p, &part->result, class)
			            : code_number(p, 0);
		else if (!value_to_number(p, part->e, part->result.predicted, &x))
			return false;
		x = code_let(p, "x", x);
		weight = code_select(p, code_is_nan(p, x), code_number(p, 0), weight);
		if (part->active)
			weight = code_select(p, mining_active(m, part), weight, code_number(p, 0));
		code_put(p, v, j, x);
		code_put(p, w, j, weight);
	}
	b = code(p);
	all = loop_var(b, "all", code_number(p, 0));
	i = loop_for(b, "i", 0, n);
	loop_set(b, all, code_add(p, loop_get(b, all), loop_load(b, w, i)));
	loop_end(b);
	best = loop_var(b, "median", code_number(p, HUGE_VAL));
	i = loop_for(b, "i", 0, n);
	below = loop_var(b, "below", code_number(p, 0));
	k = loop_for(b, "k", 0, n);
	loop_if(b, code_op(p, KOP_LE, loop_load(b, v, k), loop_load(b, v, i)));
	loop_set(b, below, code_add(p, loop_get(b, below), loop_load(b, w, k)));
	loop_end(b);
	loop_end(b);
	x = code_mul(p, code_number(p, 0.5), loop_get(b, all));
	loop_if(b, code_and(p, code_op(p, KOP_GE, loop_get(b, below), x),
	                    code_op(p, KOP_GT, loop_load(b, w, i), code_number(p, 0))));
	loop_set(b, best, loop_op2(b, KOP_MIN, loop_get(b, best), loop_load(b, v, i)));
	loop_end(b);
	loop_end(b);
	*out = code_select(p, code_op(p, KOP_EQ, loop_get(b, all), code_number(p, 0)),
	                   code_number(p, (double)NAN), loop_get(b, best));
	*out = code_let(p, "result", *out);
	return true;
}

/* list[class] = op(list[class], x). */
static void
add_to_list(Pmml *p, LBuf *list, int class, KOp op, Expr *x)
{
	code_put(p, list, class, code_op(p, op, code_at(p, list, class), x));
}

static void
add_vote(Mining *m, const Part *part, LBuf *list, Expr *weight)
{
	Pmml *p = m->p;
	LBuilder *b = code(p);
	Val v = part->result.predicted;
	Expr *class = code_let(p, "vote", value_relabel(p, &v, m->r->classes, -1));
	Expr *counts = code_and(p, code_op(p, KOP_GE, class, code_int(p, 0)),
	                        code_op(p, KOP_LT, class, code_int(p, list->count)));
	Expr *at;

	if (part->active)
		counts = code_and(p, counts, mining_active(m, part));
	loop_if(b, counts);
	at = loop_let(b, "at", loop_clamp_idx(b, class, 0, list->count - 1));
	loop_store(b, list, at, code_add(p, loop_load(b, list, at), weight));
	loop_end(b);
}

static void
add_probabilities(Mining *m, const Part *part, LBuf *list, Expr *weight)
{
	Pmml *p = m->p;
	Expr *counts = code_not(p, value_is_missing(p, &part->result.predicted));

	if (part->active)
		counts = code_and(p, counts, mining_active(m, part));
	for (int i = 0; i < list->count && i < part->result.probability->count; i++) {
		Expr *x = result_probability(p, &part->result, i);

		if (m->method == METHOD_MAX) {
			add_to_list(p, list, i, KOP_MAX,
			            code_select(p, counts, x, code_number(p, 0)));
			continue;
		}
		x = is_weighted(m) ? code_mul(p, weight, x) : x;
		add_to_list(p, list, i, KOP_ADD, code_select(p, counts, x, code_number(p, 0)));
	}
}

static bool
has_probabilities(Mining *m, const Part *part)
{
	if (!part->result.probability)
		return pmml_unsupported(m->p, part->e, "averaging models without probabilities");
	return part->result.classes == m->r->classes ||
	       pmml_unsupported(m->p, part->e, "models with different targets");
}

static bool
vote(Mining *m)
{
	Pmml *p = m->p;
	bool by_vote = m->method == METHOD_MAJORITY || m->method == METHOD_WEIGHTED_MAJORITY;
	bool median = m->method == METHOD_MEDIAN || m->method == METHOD_WEIGHTED_MEDIAN;
	Tally t = {code_number(p, 0), code_number(p, 0)};
	LBuf *list;
	Expr *w, *x, *lost;
	int n;

	m->r->classes = model_target_labels(p, m->e);
	for (int i = 0; i < m->parts.n; i++) {
		const Val *v = &m->parts.v[i].result.predicted;

		if (!v->is_set || value_kind(v) != KIND_LABEL)
			return pmml_error(p, m->parts.v[i].e, "its model gives no class");
		for (int k = 0; k < v->labels->v.n; k++)
			labels_add(p, m->r->classes, v->labels->v.v[k]);
		/* All results are there before the list is made in the last kernel. */
		value_here(p, *v);
		if (!by_vote && !has_probabilities(m, &m->parts.v[i]))
			return false;
	}
	n = m->r->classes->v.n;
	m->r->home = kernel_current(p);
	m->r->probability = list = kernel_scratch(p, "votes", DT_F64, n);
	for (int i = 0; i < n; i++)
		code_put(p, list, i, code_number(p, 0));
	for (int i = 0; i < m->parts.n; i++) {
		Part *part = &m->parts.v[i];

		if (!part_weight(m, part, &w) ||
		    !count_part(m, part, w, value_is_missing(p, &part->result.predicted), &t))
			return false;
		if (by_vote)
			add_vote(m, part, list, w);
		else if (!median)
			add_probabilities(m, part, list, w);
	}
	for (int i = 0; median && i < n; i++) {
		if (m->method == METHOD_MEDIAN ? !median_numbers(m, &x, i)
		                               : !weighted_median(m, &x, i))
			return false;
		code_put(p, list, i, x);
	}
	lost = code_let(p, "lost", too_much_missing(m, &t));
	link_simplemax(p, list, n);
	for (int i = 0; i < n && lost->kind != E_CONST; i++)
		code_put(p, list, i, code_select(p, lost, code_number(p, (double)NAN),
		                                 code_at(p, list, i)));
	return result_from_probability(p, m->r);
}

static bool
combine(Mining *m)
{
	Expr *x;

	if (m->function == FN_CLASSIFICATION || m->function == FN_CLUSTERING) {
		if (m->method == METHOD_SUM || m->method == METHOD_WEIGHTED_SUM)
			return pmml_error(m->p, m->e, "classes cannot be summed");
		return vote(m);
	}
	for (int i = 0; i < m->parts.n; i++)
		if (!m->parts.v[i].result.predicted.is_set)
			return pmml_error(m->p, m->parts.v[i].e, "its model gives no number");
	if (m->method == METHOD_MEDIAN || m->method == METHOD_WEIGHTED_MEDIAN) {
		for (int i = 0; i < m->parts.n; i++)
			value_here(m->p, m->parts.v[i].result.predicted);
		if (m->method == METHOD_MEDIAN ? !median_numbers(m, &x, -1)
		                               : !weighted_median(m, &x, -1))
			return false;
		m->r->predicted = value_of(m->p, TYPE_DOUBLE, x);
		return true;
	}
	if (m->method == METHOD_MAJORITY || m->method == METHOD_WEIGHTED_MAJORITY)
		return pmml_error(m->p, m->e, "numbers cannot be voted on");
	return sum_numbers(m);
}

static void
remember_segments(Mining *m)
{
	Segment *s = ARENA_ARRAY(m->p->a, Segment, m->parts.n);

	for (int i = 0; i < m->parts.n; i++)
		s[i] = (Segment){m->parts.v[i].id, &m->parts.v[i].result};
	m->r->segment = s;
	m->r->nsegments = m->parts.n;
}

bool
model_mining(Pmml *p, const Xml *e, Result *r)
{
	Mining m = {.p = p, .e = e, .r = r};
	Result before = *r;

	if (!model_function(p, e, &m.function) || !embedded_read_all(p, e, &before))
		return false;
	if (embedded_child(e) && !xml_child(e, "Segmentation")) {
		*r = before;
		return true;
	}
	if (!read_segments(&m) || !read_trees(&m))
		return false;
	if (m.method != METHOD_FIRST && m.method != METHOD_CHAIN && m.method != METHOD_ALL &&
	    !check_targets(&m))
		return false;
	if (is_sum_of_trees(&m))
		return sum_trees(&m);
	if (!read_results(&m))
		return false;
	if (m.method == METHOD_FIRST || m.method == METHOD_CHAIN) {
		if (!mining_choose(&m))
			return false;
	} else if (m.method == METHOD_ALL) {
		if (!xml_child(xml_child(e, "Output"), "OutputField"))
			return pmml_unsupported(p, xml_child(e, "Segmentation"),
			                        "selectAll without an <OutputField> that has a "
			                        "segmentId");
	} else if (!combine(&m)) {
		return false;
	}
	remember_segments(&m);
	return true;
}
