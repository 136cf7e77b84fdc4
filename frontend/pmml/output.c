/*
 * <Output>: the fields that a model gives, each a feature of its result.
 *
 * Those of the top model are outputs of the graph, behind the target itself; those of
 * segments are fields for what comes later.
 */
#include <math.h>
#include <string.h>

#include "frontend/pmml/output.h"

/* A row: the value that the <OutputField> asks for. */
typedef bool Feature(Pmml *p, const Xml *e, const Xml *model, const Result *r, Val *out);

static Feature feature_predicted, feature_display, feature_transformed, feature_probability,
	feature_confidence, feature_entity, feature_affinity, feature_reason, feature_residual,
	feature_warning, feature_error;

static const struct {
	const char *name;
	Feature *read;
} features[] = {
#define FEATURE(name, how) {name, feature_##how},
#include "frontend/pmml/features.def"
};
enum { FEATURES = sizeof features / sizeof *features };

static bool
has_no(Pmml *p, const Xml *e, const char *what)
{
	return pmml_unsupported(p, e, "%s, which this model does not give,", what);
}

static bool
feature_predicted(Pmml *p, const Xml *e, const Xml *model, const Result *r, Val *out)
{
	(void)model;
	*out = r->predicted;
	return r->predicted.is_set || has_no(p, e, "a predicted value");
}

/* The target that the field is about. */
static const char *
target_of(const Pmml *p, const Xml *e, const Xml *model)
{
	const char *target = xml_attr(e, "targetField");

	return target ? target : model_target(p, model);
}

/* The words that are to be shown for the classes. */
static bool
feature_display(Pmml *p, const Xml *e, const Xml *model, const Result *r, Val *out)
{
	const char *target = target_of(p, e, model);
	const Xml *field = target ? field_data(p, target) : NULL;
	const Xml *targets = xml_child(xml_child(model, "Targets"), "Target");
	Labels *shown = labels_new(p);
	Val v = value_here(p, r->predicted);
	double *code_of;

	*out = v;
	if (!v.is_set)
		return has_no(p, e, "a predicted value");
	if (value_kind(&v) != KIND_LABEL || v.labels->v.n == 0)
		return true;
	code_of = ARENA_ARRAY(p->a, double, v.labels->v.n);
	for (int i = 0; i < v.labels->v.n; i++) {
		const char *text = v.labels->v.v[i], *display = NULL;

		if (r->display && i < r->ndisplay)
			display = r->display[i];

		for (const Xml *c = xml_child(field, "Value"); c && !display; c = xml_same(c))
			if (xml_attr(c, "value") && strcmp(xml_attr(c, "value"), text) == 0)
				display = xml_attr(c, "displayValue");
		for (const Xml *c = xml_child(targets, "TargetValue"); c; c = xml_same(c))
			if (xml_attr(c, "value") && strcmp(xml_attr(c, "value"), text) == 0 &&
			    xml_attr(c, "displayValue"))
				display = xml_attr(c, "displayValue");
		code_of[i] = labels_add(p, shown, display ? display : text);
	}
	*out = value_label(p, shown,
	                   code_lookup(p,
	                               kernel_table(p, "display", DT_I32, v.labels->v.n, code_of),
	                               v.labels->v.n, v.e, code_int(p, -1)));
	out->labelled = true;
	return true;
}

static bool
feature_transformed(Pmml *p, const Xml *e, const Xml *model, const Result *r, Val *out)
{
	const Xml *expression = expression_child(e);

	(void)model;
	(void)r;
	if (!expression)
		return pmml_error(p, e, "there is no expression in it");
	return expression_read(p, expression, out);
}

/* The number of the class in attribute `value`, -1: it is left out, -2: there is none. */
static int
class_of(const Xml *e, const Labels *classes)
{
	const char *text = xml_attr(e, "value");
	int i;

	if (!text)
		return -1;
	i = classes ? labels_find(classes, text) : -1;
	return i < 0 ? -2 : i;
}

/* Of n numbers by class the one of a class, or of the class that won. */
static bool
number_of_class(Pmml *p, const Xml *e, const Result *r, LBuf *list, Val winner,
                const Labels *labels, Val *out)
{
	int i = class_of(e, labels), n = list->count;
	Expr *x, *w;

	if (i >= n || i == -2) {
		*out = value_number(p, 0);
		return true;
	}
	if (i >= 0) {
		x = kernel_import(p, r->home, loop_load(code(p), list, loop_idx(code(p), i)));
	} else {
		winner = value_here(p, winner);
		if (r->home != kernel_current(p)) {
			w = code_number(p, (double)NAN);
			for (int k = n - 1; k >= 0; k--) {
				x = kernel_import(p, r->home,
				                  loop_load(code(p), list, loop_idx(code(p), k)));
				w = code_select(p, code_op(p, KOP_EQ, winner.e, code_int(p, k)), x,
				                w);
			}
			x = w;
		} else {
			x = code_lookup(p, list, n, winner.e, code_number(p, (double)NAN));
		}
	}
	*out = value_of(p, TYPE_DOUBLE, x);
	return true;
}

static bool
feature_probability(Pmml *p, const Xml *e, const Xml *model, const Result *r, Val *out)
{
	(void)model;
	if (!r->probability)
		return has_no(p, e, "a probability");
	return number_of_class(p, e, r, r->probability, r->predicted, r->classes, out);
}

static bool
feature_confidence(Pmml *p, const Xml *e, const Xml *model, const Result *r, Val *out)
{
	LBuf *list = r->confidence ? r->confidence : r->probability;

	(void)model;
	if (!list)
		return has_no(p, e, "a confidence");
	return number_of_class(p, e, r, list, r->predicted, r->classes, out);
}

static bool
rank_of(Pmml *p, const Xml *e, int *rank)
{
	return pmml_int_or(p, e, "rank", 1, 1, 1 << 20, rank);
}

static bool
feature_entity(Pmml *p, const Xml *e, const Xml *model, const Result *r, Val *out)
{
	int rank;

	(void)model;
	if (!rank_of(p, e, &rank))
		return false;
	*out = r->entity;
	if (!r->ranked_is_reason && r->nranked) {
		*out = rank <= r->nranked ? r->ranked[rank - 1]
		                          : value_missing(p, TYPE_STRING, r->entities);
		return true;
	}
	if (r->entity.is_set && rank > 1) /* there is but one */
		*out = value_missing(p, TYPE_STRING, r->entities);
	return r->entity.is_set || has_no(p, e, "an entity");
}

static bool
feature_affinity(Pmml *p, const Xml *e, const Xml *model, const Result *r, Val *out)
{
	int rank;

	(void)model;
	if (!rank_of(p, e, &rank))
		return false;
	if (xml_attr(e, "value") && r->affinities)
		return number_of_class(p, e, r, r->affinities, r->entity, r->entities, out);
	if (r->ranked_affinity && rank <= r->nranked)
		*out = r->ranked_affinity[rank - 1];
	else
		*out = r->affinity;
	if (out->is_set && rank > (r->nranked > 1 ? r->nranked : 1))
		*out = value_number(p, (double)NAN);
	return out->is_set || has_no(p, e, "an affinity");
}

static bool
feature_reason(Pmml *p, const Xml *e, const Xml *model, const Result *r, Val *out)
{
	int rank;

	(void)model;
	if (!rank_of(p, e, &rank))
		return false;
	if (!r->ranked_is_reason)
		return has_no(p, e, "a reason code");
	*out = rank <= r->nranked ? r->ranked[rank - 1] : value_missing(p, TYPE_STRING, NULL);
	return true;
}

/* What the row should have been; it is an input then.  A schema may say what stands for a
 * missing one. */
static bool
expected_value(Pmml *p, const Xml *e, const Xml *model, Val *out)
{
	const char *target = target_of(p, e, model), *text = NULL;
	Val instead;

	if (!target)
		return has_no(p, e, "a residual");
	if (!field_given(p, e, target, out))
		return false;
	for (const Xml *c = xml_child(xml_child(model, "MiningSchema"), "MiningField"); c;
	     c = xml_same(c))
		if (xml_attr(c, "name") && strcmp(xml_attr(c, "name"), target) == 0)
			text = xml_attr(c, "missingValueReplacement");
	if (!text)
		return true;
	return value_constant(p, e, text, out->type, out->labels, &instead) &&
	       value_select(p, e, value_is_missing(p, out), instead, *out, out);
}

/* 1 for the class that was expected and else 0, less its probability: of the class that
 * is asked for, or of the one that won. */
static bool
residual_of_class(Pmml *p, const Xml *e, const Result *r, Val expected, Val *out)
{
	const char *text = xml_attr(e, "value");
	Val class = r->predicted, probability;
	Expr *same, *x;

	if (!r->probability)
		return has_no(p, e, "a residual");
	if (!number_of_class(p, e, r, r->probability, r->predicted, r->classes, &probability) ||
	    (text && !value_constant(p, e, text, expected.type, expected.labels, &class)) ||
	    !value_compare(p, e, KOP_EQ, expected, class, &same))
		return false;
	x = code_select(p, same, code_number(p, 1), code_number(p, 0));
	x = code_op(p, KOP_SUB, x, value_here(p, probability).e);
	x = code_select(p, value_is_missing(p, &expected), code_number(p, (double)NAN), x);
	*out = value_of(p, TYPE_DOUBLE, x);
	return true;
}

static bool
feature_residual(Pmml *p, const Xml *e, const Xml *model, const Result *r, Val *out)
{
	Expr *x, *y;
	Val v;

	if (!r->predicted.is_set)
		return has_no(p, e, "a residual");
	if (!expected_value(p, e, model, &v))
		return false;
	if (!value_has_number(&r->predicted))
		return residual_of_class(p, e, r, v, out);
	if (!value_to_number(p, e, v, &x) || !value_to_number(p, e, r->predicted, &y))
		return false;
	*out = value_of(p, TYPE_DOUBLE, code_op(p, KOP_SUB, x, y));
	return true;
}

/* Nothing that the generated code does gives cause for one. */
static bool
feature_warning(Pmml *p, const Xml *e, const Xml *model, const Result *r, Val *out)
{
	(void)e;
	(void)model;
	(void)r;
	*out = value_missing(p, TYPE_STRING, NULL);
	return true;
}

static bool
feature_error(Pmml *p, const Xml *e, const Xml *model, const Result *r, Val *out)
{
	(void)model;
	*out = r->standard_error;
	return out->is_set || has_no(p, e, "a standard error");
}

/* ---- What is asked for ---- */

enum { LAST_RANK = 1000 };

static bool
is_one_of(const char *text, const char *const *words)
{
	for (int i = 0; words[i]; i++)
		if (strcmp(words[i], text) == 0)
			return true;
	return false;
}

void
output_find_wishes(const Xml *parent, const char *element, Result *r)
{
	static const char *const probability[] = {"probability", "confidence", "residual", NULL};
	static const char *const entity[] = {"entityId", "clusterId", "ruleId", "entityAffinity",
	                                     "affinity", "clusterAffinity", NULL};
	static const char *const error[] = {"standardError", "standardDeviation", NULL};

	for (const Xml *e = xml_child(parent, element); e; e = xml_same(e)) {
		const char *feature = xml_attr(e, "feature");
		double rank;

		if (!feature)
			continue;
		r->want_error = r->want_error || is_one_of(feature, error);
		r->want_probability = r->want_probability || is_one_of(feature, probability);
		r->want_entity = r->want_entity || is_one_of(feature, entity);
		if (is_one_of(feature, entity) && xml_attr(e, "rank") &&
		    pmml_parse_number(xml_attr(e, "rank"), &rank) && rank > r->want_ranks &&
		    rank < (double)LAST_RANK)
			r->want_ranks = (int)rank;
	}
}

/* ---- The fields of an <Output> ---- */

void
result_add_output(Pmml *p, Result *r, const char *name, Val v)
{
	if (!r->outputs)
		r->outputs = ARENA_NEW(p->a, ModelOutputs);
	for (int i = 0; i < r->outputs->n; i++)
		if (strcmp(r->outputs->v[i].name, name) == 0) {
			r->outputs->v[i].v = v;
			return;
		}
	VEC_PUSH(p->a, r->outputs, ((ModelOutput){name, v}));
}

const Val *
output_find(const Result *r, const char *name)
{
	for (int i = 0; r->outputs && i < r->outputs->n; i++)
		if (strcmp(r->outputs->v[i].name, name) == 0)
			return &r->outputs->v[i].v;
	return NULL;
}

/* The result that the field is about: of a segment, of another target, or r. */
static const Result *
result_of(Pmml *p, const Xml *e, const Result *r)
{
	const char *segment = xml_attr(e, "segmentId");

	if (!segment)
		return r;
	for (int i = 0; i < r->nsegments; i++)
		if (r->segment[i].id && strcmp(r->segment[i].id, segment) == 0)
			return r->segment[i].result;
	pmml_error(p, e, "there is no segment '%.60s'", segment);
	return NULL;
}

/* Whether it is a target of the model behind the first one. */
static bool
is_beside(const Pmml *p, const Xml *model, const char *target)
{
	return model_has_target(model, target) && strcmp(model_target(p, model), target) != 0;
}

/* A segment's own outputs are known by name: that of the field, or for a field that says
 * it is transformed, the name in `value`.  NULL: the field is something else. */
static const Val *
output_of_segment(const Xml *e, const Result *segment, const Result *r)
{
	const char *feature = xml_attr(e, "feature"), *name = xml_attr(e, "name");

	if (segment == r || expression_child(e))
		return NULL;
	if (feature && strcmp(feature, "transformedValue") != 0)
		return NULL;
	if (feature && xml_attr(e, "value"))
		name = xml_attr(e, "value");
	return name ? output_find(segment, name) : NULL;
}

static bool
read_field(Pmml *p, const Xml *e, const Xml *model, const Result *r, Val *out)
{
	const char *feature = xml_attr(e, "feature"), *target = xml_attr(e, "targetField");
	const Result *from = result_of(p, e, r);
	const Val *other;
	PType t;

	if (!from)
		return false;
	if (target && result_of_target(from, target))
		from = result_of_target(from, target);
	else if (target && from->ntargets)
		return pmml_error(p, e, "nothing is known of the target '%.60s'", target);
	other = target && is_beside(p, model, target) ? output_find(from, target) : NULL;
	if (other) {
		*out = *other;
		return !feature || strcmp(feature, "predictedValue") == 0 ||
		       has_no(p, e, "of a target beside the first anything but its value");
	}
	if ((other = output_of_segment(e, from, r)) != NULL) {
		*out = *other;
		return true;
	}
	if (!feature)
		feature = expression_child(e) ? "transformedValue" : "predictedValue";
	for (int i = 0; i < FEATURES; i++) {
		if (strcmp(features[i].name, feature) != 0)
			continue;
		if (!features[i].read(p, e, model, from, out))
			return false;
		if (!xml_attr(e, "dataType") || !out->is_set)
			return true;
		/* A class stays one, whatever type its field has. */
		if (value_kind(out) == KIND_LABEL && out->labelled &&
		    features[i].read == feature_predicted)
			return true;
		return ptype_attr(p, e, "dataType", out->type, &t) &&
		       value_cast(p, e, *out, t, out);
	}
	return pmml_unsupported(p, e, "the feature '%.60s'", feature);
}

static bool
has_field(const Xml *output, const char *name)
{
	for (const Xml *e = xml_child(output, "OutputField"); e; e = xml_same(e))
		if (xml_attr(e, "name") && strcmp(xml_attr(e, "name"), name) == 0)
			return true;
	return false;
}

/* The predicted value goes first, unless there is a field of its name, or it has no name
 * and there are other fields. */
static bool
add_predicted(Pmml *p, const Xml *model, Result *r)
{
	const Xml *output = xml_child(model, "Output");
	const char *name = model_target(p, model);

	for (int i = 0; i < r->ntargets; i++)
		if (!has_field(output, r->target[i].name) &&
		    !output_add(p, model, r->target[i].name, r->target[i].result.predicted))
			return false;
	if (r->ntargets || !r->predicted.is_set ||
	    (name ? has_field(output, name) : xml_child(output, "OutputField") != NULL))
		return true;
	return output_add(p, model, name ? name : "prediction", r->predicted);
}

/* Without <Output> a class comes with its confidence. */
static bool
add_confidence(Pmml *p, const Xml *model, Result *r)
{
	Val v;

	if (!r->probability || !r->predicted.is_set || r->ntargets)
		return true;
	return feature_confidence(p, model, model, r, &v) &&
	       output_add(p, model, "confidence", v);
}

/* The children of `list` with that name become fields. */
static bool
define_fields(Pmml *p, const Xml *list, const Xml *model, const char *element, Result *r)
{
	for (const Xml *e = xml_child(list, element); e; e = xml_same(e)) {
		const char *name = pmml_need(p, e, "name");
		Val v;

		if (!name || !read_field(p, e, model, r, &v))
			return false;
		v = value_let(p, name, v);
		scope_define(p, name, v);
		result_add_output(p, r, name, v);
	}
	return true;
}

static bool
is_added(const Pmml *p, const char *name)
{
	for (int i = 0; i < p->outputs.n; i++)
		if (strcmp(p->outputs.v[i].name, name) == 0)
			return true;
	return false;
}

/* Targets beside the first one, outputs of segments. */
static bool
add_inner_outputs(Pmml *p, const Xml *model, const Result *r)
{
	for (int i = 0; r->outputs && i < r->outputs->n; i++) {
		const ModelOutput *o = &r->outputs->v[i];

		if (!is_added(p, o->name) && !has_field(xml_child(model, "Output"), o->name) &&
		    !output_add(p, model, o->name, o->v))
			return false;
	}
	return true;
}

bool
output_read(Pmml *p, const Xml *model, bool is_top, Result *r)
{
	const Xml *output = xml_child(model, "Output");
	const char *target = model_target(p, model);

	if (is_top && !add_predicted(p, model, r))
		return false;
	if (is_top && !add_inner_outputs(p, model, r))
		return false;
	if (is_top && !output)
		return add_confidence(p, model, r);
	/* The target is a field of its own outputs, as later segments see it. */
	for (int i = 0; i < r->ntargets; i++)
		if (!field_exists_here(p, r->target[i].name))
			scope_define(p, r->target[i].name, r->target[i].result.predicted);
	if (target && r->predicted.is_set && !r->ntargets && !field_exists_here(p, target))
		scope_define(p, target, r->predicted);
	if (!define_fields(p, output, model, "OutputField", r))
		return false;
	for (const Xml *e = xml_child(output, "OutputField"); is_top && e; e = xml_same(e)) {
		const char *name = xml_attr(e, "name");

		if (!output_add(p, e, name, *output_find(r, name)))
			return false;
	}
	return true;
}

bool
output_define_fields(Pmml *p, const Xml *model, const char *element, Result *r)
{
	return define_fields(p, model, model, element, r);
}

/* ---- Outputs of the graph ---- */

bool
output_add(Pmml *p, const Xml *e, const char *name, Val v)
{
	GraphOutput o = {.name = name, .v = v};

	for (int i = 0; i < p->outputs.n; i++)
		if (strcmp(p->outputs.v[i].name, name) == 0)
			return pmml_error(p, e, "there are two outputs '%.60s'", name);
	VEC_PUSH(p->a, &p->outputs, o);
	return true;
}

static Expr *
all_invalid(Pmml *p)
{
	Expr *e = NULL;

	for (int i = 0; i < p->invalid.n; i++) {
		Expr *one = value_here(p, p->invalid.v[i]).e;

		e = code_link(p, "invalid", e ? code_or(p, e, one) : one, i);
	}
	return e;
}

/* Which vector the value goes to. */
enum { TO_NUMBERS, TO_FLOATS, TO_LABELS, TO_COUNT };

static int
place_of(const Val *v)
{
	switch (value_kind(v)) {
	case KIND_LABEL:
	case KIND_BOOLEAN: return TO_LABELS;
	case KIND_FLOAT: return TO_FLOATS;
	case KIND_NUMBER:
	case KIND_INTEGER: break;
	}
	return TO_NUMBERS;
}

static Expr *
stored_form(Pmml *p, const Val *v)
{
	Expr *x;

	if (value_kind(v) != KIND_BOOLEAN)
		return v->e;
	x = code_select(p, v->e, code_int(p, 1), code_int(p, 0));
	return v->missing ? code_select(p, v->missing, code_int(p, -1), x) : x;
}

static Field
field_of(Pmml *p, const GraphOutput *o, bool may_be_invalid)
{
	Field f = {.name = o->name, .missing = !o->v.never_missing || may_be_invalid};
	static const char *const truth[] = {"false", "true"};

	(void)p;
	if (place_of(&o->v) != TO_LABELS)
		return f;
	f.kind = FIELD_category;
	f.nlabels = o->v.labels ? o->v.labels->v.n : 2;
	f.label = o->v.labels ? o->v.labels->v.v : truth;
	f.other = o->v.labels && !o->v.labelled;
	return f;
}

bool
output_finish(Pmml *p)
{
	static const char *const name[TO_COUNT] = {"results", "float_results", "labels"};
	static const DType type[TO_COUNT] = {DT_F64, DT_F32, DT_I32};
	Expr *invalid, **x = ARENA_ARRAY(p->a, Expr *, p->outputs.n);
	int n[TO_COUNT] = {0};

	/* All of them, so that the kernel is the last one before anything is stored. */
	for (int i = 0; i < p->outputs.n; i++)
		value_here(p, p->outputs.v[i].v);
	invalid = all_invalid(p);
	for (int i = 0; i < p->outputs.n; i++) {
		Val v = value_here(p, p->outputs.v[i].v);

		p->outputs.v[i].v = v;
		p->outputs.v[i].place = place_of(&v);
		p->outputs.v[i].element = n[place_of(&v)]++;
		x[i] = stored_form(p, &v);
	}
	for (int k = 0; k < TO_COUNT; k++)
		if (n[k])
			p->result[k] = kernel_output(p, name[k], type[k], n[k]);
	if (invalid)
		invalid = code_let(p, "invalid_row", invalid);
	for (int i = 0; i < p->outputs.n; i++) {
		const GraphOutput *o = &p->outputs.v[i];
		Expr *missing = o->place == TO_LABELS ? code_int(p, -1)
		                                      : code_number(p, (double)NAN);

		if (invalid)
			x[i] = code_select(p, invalid, missing, x[i]);
		code_put(p, kernel_output_buf(p, p->result[o->place]), o->element, x[i]);
	}
	return true;
}

void
output_declare(Pmml *p)
{
	int at[TO_COUNT] = {0}, n = 0;

	for (int k = 0; k < TO_COUNT; k++) {
		if (!p->result[k])
			continue;
		at[k] = n++;
		graph_output(p->g, p->result[k]->name, p->result[k]->value);
	}
	for (int i = 0; i < p->outputs.n; i++) {
		Field f = field_of(p, &p->outputs.v[i], p->invalid.n > 0);

		f.index = at[p->outputs.v[i].place];
		f.element = p->outputs.v[i].element;
		VEC_PUSH(p->a, &p->g->output_fields, f);
	}
}
