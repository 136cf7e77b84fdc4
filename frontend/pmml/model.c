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

/* The name of the target that the <MiningField> is; NULL: it is none. */
static const char *
target_name(const Xml *field)
{
	const char *usage = xml_attr(field, "usageType");

	if (!usage || (strcmp(usage, "predicted") != 0 && strcmp(usage, "target") != 0))
		return NULL;
	return xml_attr(field, "name");
}

static const Xml *
first_field(const Xml *model)
{
	return xml_child(xml_child(model, "MiningSchema"), "MiningField");
}

void
model_targets(const Pmml *p, const Xml *e, Words *out)
{
	for (const Xml *c = first_field(e); c; c = xml_same(c))
		if (target_name(c))
			VEC_PUSH(p->a, out, target_name(c));
}

bool
model_has_target(const Xml *e, const char *name)
{
	for (const Xml *c = first_field(e); c; c = xml_same(c))
		if (target_name(c) && strcmp(target_name(c), name) == 0)
			return true;
	return false;
}

const char *
model_target(const Pmml *p, const Xml *e)
{
	(void)p;
	for (const Xml *c = first_field(e); c; c = xml_same(c))
		if (target_name(c))
			return target_name(c);
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

const Result *
result_of_target(const Result *r, const char *name)
{
	for (int i = 0; i < r->ntargets; i++)
		if (strcmp(r->target[i].name, name) == 0)
			return &r->target[i].result;
	return NULL;
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

/* The list of both, by class, where `first` holds that of x. */
static LBuf *
blend_list(Pmml *p, Expr *first, const Result *x, LBuf *lx, const Result *y, LBuf *ly, int n)
{
	LBuf *out = kernel_scratch(p, "list", DT_F64, n);

	for (int i = 0; i < n; i++) {
		Expr *a = code_number(p, x->predicted.is_set ? 0 : (double)NAN), *b = a;

		if (lx && i < lx->count)
			a = kernel_import(p, x->home, loop_load(code(p), lx, loop_idx(code(p), i)));
		if (ly && i < ly->count)
			b = kernel_import(p, y->home, loop_load(code(p), ly, loop_idx(code(p), i)));
		code_put(p, out, i, code_select(p, first, a, b));
	}
	return out;
}

bool
result_blend(Pmml *p, const Xml *e, Expr *first, const Result *x, const Result *y, Result *out)
{
	int n = x->classes ? x->classes->v.n : 0;
	LBuf *cx = x->confidence ? x->confidence : x->probability;
	LBuf *cy = y->confidence ? y->confidence : y->probability;

	*out = *x;
	if (x->predicted.is_set && y->predicted.is_set &&
	    !value_select(p, e, first, x->predicted, y->predicted, &out->predicted))
		return false;
	out->predicted.labelled = x->predicted.labelled && y->predicted.labelled;
	if (x->entity.is_set && y->entity.is_set &&
	    !value_select(p, e, first, x->entity, y->entity, &out->entity))
		return false;
	if (x->classes != y->classes)
		out->probability = out->confidence = NULL;
	else if (x->probability || y->probability) {
		out->probability = blend_list(p, first, x, x->probability, y, y->probability, n);
		if (x->confidence || y->confidence)
			out->confidence = blend_list(p, first, x, cx, y, cy, n);
		out->home = kernel_current(p);
	}
	return true;
}

/* ---- Reading one ---- */

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

	output_find_wishes(xml_child(e, "Output"), "OutputField", out);
	if (is_top && !xml_child(e, "Output"))
		out->want_probability = true;
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
