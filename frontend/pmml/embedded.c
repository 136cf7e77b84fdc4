/*
 * <Regression> and <DecisionTree>: models within a MiningModel or a node of a tree.
 *
 * They have no schema of their own and see the fields around them.  In a MiningModel they
 * are computed one after the other: what their <ResultField>s give are fields for those
 * behind, and the last one has the result.  In a node of a tree the model gives what the
 * node would.
 */
#include "frontend/pmml/embedded.h"

static const struct {
	const char *name;
	bool (*read)(Pmml *p, const Xml *e, Result *out);
} embedded[] = {
	{"Regression", model_regression},
	{"DecisionTree", model_tree},
};
enum { EMBEDDED = sizeof embedded / sizeof *embedded };

static const Xml *
find_from(const Xml *e)
{
	for (; e; e = xml_next(e))
		for (int i = 0; i < EMBEDDED; i++)
			if (xml_is(e, embedded[i].name))
				return e;
	return NULL;
}

const Xml *
embedded_child(const Xml *e)
{
	return find_from(xml_first(e));
}

static bool
read_inside(Pmml *p, const Xml *e, Result *out)
{
	int i = 0;

	while (!xml_is(e, embedded[i].name))
		i++;
	output_find_wishes(e, "ResultField", out);
	return scope_define_derived(p, xml_child(e, "LocalTransformations")) &&
	       embedded[i].read(p, e, out) && targets_apply(p, e, out);
}

bool
embedded_read(Pmml *p, const Xml *e, Result *out)
{
	Scope *outer;
	bool ok;

	if (!pmml_enter(p, e))
		return false;
	outer = scope_open(p);
	ok = read_inside(p, e, out);
	scope_close(p, outer);
	pmml_leave(p);
	return ok;
}

bool
embedded_read_all(Pmml *p, const Xml *model, Result *out)
{
	Result wish = *out;

	for (const Xml *e = embedded_child(model); e; e = find_from(xml_next(e))) {
		*out = wish;
		if (!embedded_read(p, e, out) || !output_define_fields(p, e, "ResultField", out))
			return false;
	}
	return true;
}
