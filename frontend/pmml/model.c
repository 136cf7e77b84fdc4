/*
 * What all kinds of models have in common.
 */
#include <math.h>
#include <string.h>

#include "frontend/pmml/link.h"
#include "frontend/pmml/pmml.h"

static const ModelInfo models[] = {
#define MODEL(id, name) {name, model_##id, NULL},
#define NO_MODEL(name, why) {name, NULL, why},
#include "frontend/pmml/models.def"
};
enum { MODELS = sizeof models / sizeof *models };

const ModelInfo *
model_find(const Xml *e)
{
	for (int i = 0; i < MODELS; i++)
		if (xml_is(e, models[i].name))
			return &models[i];
	return NULL;
}

const Xml *
model_child(const Xml *e)
{
	const Xml *c = xml_first(e);

	while (c && !model_find(c))
		c = xml_next(c);
	return c;
}

bool
model_function(Pmml *p, const Xml *e, Function *out)
{
	static const char *const words[] = {"regression", "classification", "clustering", "mixed",
	                                    "associationRules", "sequences", "timeSeries", NULL};
	int word;

	if (!pmml_need(p, e, "functionName") ||
	    !pmml_word(p, e, "functionName", words, 0, &word))
		return false;
	*out = word > FN_OTHER ? FN_OTHER : (Function)word;
	return true;
}

/* ---- Targets ---- */

const char *
model_target(const Pmml *p, const Xml *e)
{
	const Xml *schema = xml_child(e, "MiningSchema");

	(void)p;
	for (const Xml *c = xml_child(schema, "MiningField"); c; c = xml_same(c)) {
		const char *usage = xml_attr(c, "usageType");

		if (usage && (strcmp(usage, "predicted") == 0 || strcmp(usage, "target") == 0))
			return xml_attr(c, "name");
	}
	return NULL;
}

Labels *
model_target_labels(Pmml *p, const Xml *e)
{
	const char *name = model_target(p, e);
	Labels *l = NULL;

	/* Models in others often leave the target to the outer one. */
	for (; !name && e; e = e->parent)
		name = model_find(e) ? model_target(p, e) : NULL;
	if (name)
		l = field_data_labels(p, name);
	return l ? l : labels_new(p);
}

/* ---- Results ---- */

static Expr *
entry_of(Pmml *p, const Result *r, LBuf *list, int i)
{
	Expr *load = loop_load(code(p), list, loop_idx(code(p), i));

	return kernel_import(p, r->home, load);
}

Expr *
result_probability(Pmml *p, const Result *r, int class)
{
	return entry_of(p, r, r->probability, class);
}


bool
result_from_probability(Pmml *p, Result *r)
{
	Expr *best = link_largest(p, r->probability, r->probability->count);

	r->home = kernel_current(p);
	r->predicted = value_label(p, r->classes, code_let(p, "class", best));
	r->predicted.labelled = true;
	return true;
}

/* ---- Reading one ---- */

/* Whether an output field asks for one of these features. */
static bool
asks_for(const Xml *model, const char *const *features)
{
	const Xml *output = xml_child(model, "Output");

	for (const Xml *e = xml_child(output, "OutputField"); e; e = xml_same(e)) {
		const char *feature = xml_attr(e, "feature");

		for (int i = 0; feature && features[i]; i++)
			if (strcmp(features[i], feature) == 0)
				return true;
	}
	return false;
}

static void
find_wishes(const Xml *e, bool is_top, Result *r)
{
	static const char *const probability[] = {"probability", "confidence", NULL};
	static const char *const entity[] = {"entityId", "clusterId", "ruleId", "entityAffinity",
	                                     "affinity", "clusterAffinity", NULL};

	static const char *const error[] = {"standardError", "standardDeviation", NULL};

	if (asks_for(e, error))
		r->want_error = true;
	if (asks_for(e, probability) || (is_top && !xml_child(e, "Output")))
		r->want_probability = true;
	if (asks_for(e, entity))
		r->want_entity = true;
}

static bool
read_inside(Pmml *p, const ModelInfo *info, const Xml *e, bool is_top, Result *out)
{
	bool scorable;

	if (!pmml_flag(p, e, "isScorable", true, &scorable) || !scope_read_schema(p, e, is_top))
		return false;
	if (!scorable)
		return pmml_unsupported(p, e, "a model that says it is not scorable");
	if (is_top) {
		p->top = p->scope;
		if (!field_declare_inputs(p))
			return false;
	}
	return scope_define_derived(p, xml_child(e, "LocalTransformations")) &&
	       info->read(p, e, out) && targets_apply(p, e, out) && output_read(p, e, is_top, out);
}

bool
model_read(Pmml *p, const Xml *e, bool is_top, Result *out)
{
	const ModelInfo *info = model_find(e);
	Scope *outer;
	bool ok;

	find_wishes(e, is_top, out);
	if (!info->read)
		return pmml_unsupported(p, e, "%s", info->unsupported);
	if (!pmml_enter(p, e))
		return false;
	outer = scope_open(p);
	ok = read_inside(p, info, e, is_top, out);
	scope_close(p, outer);
	pmml_leave(p);
	return ok;
}
