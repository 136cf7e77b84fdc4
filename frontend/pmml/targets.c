/*
 * <Targets>: what is done to a model's result.
 *
 * Of a number, in this order: bounds, factor, constant, rounding.  A missing result
 * becomes the default of the target: a number, or the class with the largest prior.
 */
#include <math.h>
#include <string.h>

#include "frontend/pmml/pmml.h"

static const Xml *
find_target(const Xml *model, const char *name)
{
	for (const Xml *t = xml_child(xml_child(model, "Targets"), "Target"); t; t = xml_same(t)) {
		const char *field = xml_attr(t, "field");

		/* Since version 4.1 the field may be left out when there is but one. */
		if (!field || !name || strcmp(field, name) == 0)
			return t;
	}
	return NULL;
}

static bool
rescale(Pmml *p, const Xml *t, Result *r)
{
	static const char *const casts[] = {"round", "ceiling", "floor", NULL};
	double lo, hi, factor, constant;
	Expr *x = value_here(p, r->predicted).e;
	int cast;

	if (!pmml_number_or(p, t, "min", -HUGE_VAL, &lo) ||
	    !pmml_number_or(p, t, "max", HUGE_VAL, &hi) ||
	    !pmml_number_or(p, t, "rescaleFactor", 1, &factor) ||
	    !pmml_number_or(p, t, "rescaleConstant", 0, &constant) ||
	    !pmml_word(p, t, "castInteger", casts, -1, &cast))
		return false;
	/* min(a, b) and max(a, b) keep a NaN in a. */
	if (lo > -HUGE_VAL)
		x = code_op(p, KOP_MAX, x, code_number(p, lo));
	if (hi < HUGE_VAL)
		x = code_op(p, KOP_MIN, x, code_number(p, hi));
	if (factor != 1)
		x = code_mul(p, x, code_number(p, factor));
	if (constant != 0)
		x = code_add(p, x, code_number(p, constant));
	switch (cast) {
	case 0: x = code_call(p, "floor", code_add(p, x, code_number(p, 0.5))); break;
	case 1: x = code_call(p, "ceil", x); break;
	case 2: x = code_call(p, "floor", x); break;
	}
	r->predicted = value_of(p, cast >= 0 ? TYPE_INTEGER : r->predicted.type, x);
	return true;
}

static bool
default_number(Pmml *p, const Xml *t, Result *r)
{
	const Xml *value = xml_child(t, "TargetValue");
	double number;

	if (!value || !xml_attr(value, "defaultValue"))
		return true;
	if (!pmml_number(p, value, "defaultValue", &number))
		return false;
	return value_select(p, t, value_is_missing(p, &r->predicted), value_number(p, number),
	                    r->predicted, &r->predicted);
}

/* A missing class becomes the one with the largest prior probability; all classes get
 * theirs then. */
static bool
default_class(Pmml *p, const Xml *t, Result *r)
{
	double most = -1, prior;
	Expr *missing = value_is_missing(p, &r->predicted);
	int best = 0;
	bool known = missing->kind == E_CONST && !missing->u.i;
	Val label;

	for (const Xml *v = xml_child(t, "TargetValue"); v && !known; v = xml_same(v)) {
		const char *text = xml_attr(v, "value");

		if (!text || !xml_attr(v, "priorProbability"))
			continue;
		if (!pmml_number(p, v, "priorProbability", &prior))
			return false;
		if (prior > most)
			best = labels_add(p, r->classes, text);
		most = prior > most ? prior : most;
		if (r->probability && labels_find(r->classes, text) < r->probability->count) {
			loop_if(code(p), missing);
			code_put(p, r->probability, labels_find(r->classes, text),
			         code_number(p, prior));
			loop_end(code(p));
		}
	}
	if (most < 0)
		return true;
	label = value_label(p, r->classes, code_int(p, best));
	return value_select(p, t, missing, label, r->predicted, &r->predicted);
}

static bool
apply_to(Pmml *p, const Xml *t, Result *r)
{
	if (!t || !r->predicted.is_set)
		return true;
	if (value_has_number(&r->predicted))
		return default_number(p, t, r) && rescale(p, t, r);
	if (r->probability && r->home != kernel_current(p))
		return true;
	return r->classes ? default_class(p, t, r) : true;
}

bool
targets_apply(Pmml *p, const Xml *model, Result *r)
{
	if (r->ntargets == 0)
		return apply_to(p, find_target(model, model_target(p, model)), r);
	/* What is not of a certain target is not known behind them. */
	if (xml_child(xml_child(model, "Targets"), "Target"))
		r->predicted = (Val){0};
	for (int i = 0; i < r->ntargets; i++)
		if (!apply_to(p, find_target(model, r->target[i].name), &r->target[i].result))
			return false;
	return true;
}
