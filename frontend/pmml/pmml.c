/*
 * The file as a whole.
 */
#include "frontend/pmml/pmml.h"

#include <string.h>

#include "frontend/pmml/output.h"

bool
pmml_sniff(const uint8_t *bytes, size_t n)
{
	const char *name;
	size_t length;

	/* Of the two bytes of UTF-16 one is 0. */
	if (n > 4 && (bytes[0] == 0xfe || bytes[0] == 0xff))
		return true;
	name = xml_root_name(bytes, n, &length);
	return name && length == 4 && memcmp(name, "PMML", 4) == 0;
}

static Value *
make_input(Pmml *p, Vec *v)
{
	return graph_input(p->g, v->name, type_make(v->type, 1, &v->n));
}

/* Inputs by type, and their fields in the order of the schema. */
static void
make_inputs(Pmml *p)
{
	Vec *const v[] = {p->numbers, p->floats, p->categories};
	int index[3] = {0}, n = 0;

	for (int i = 0; i < 3; i++)
		if (v[i]) {
			v[i]->value = make_input(p, v[i]);
			index[i] = n++;
		}
	for (int i = 0; i < p->input_fields.n; i++) {
		const InputField *in = &p->input_fields.v[i];
		Field f = in->field;
		static const char *const truth[] = {"false", "true"};

		for (int k = 0; k < 3; k++)
			if (in->vec == v[k])
				f.index = index[k];
		if (f.kind == FIELD_category) {
			f.nlabels = f.other ? in->labels->v.n : 2;
			f.label = f.other ? in->labels->v.v : truth;
		}
		VEC_PUSH(p->a, &p->g->input_fields, f);
	}
}

/* A file may hold several models; they do not know of each other. */
static void
report_more_models(Pmml *p, const Xml *model)
{
	Loc loc;

	for (model = xml_next(model); model; model = xml_next(model)) {
		if (!model_find(model))
			continue;
		loc = pmml_loc(p, model);
		diag_report(p->d, &loc, W_IGNORED, "only the first model of the file is read");
		return;
	}
}

static bool
read_document(Pmml *p)
{
	const Xml *model = model_child(p->root);
	Result r = {0};

	if (!xml_is(p->root, "PMML"))
		return pmml_error(p, p->root, "the file is no PMML");
	if (!model)
		return pmml_error(p, p->root, "there is no model in it");
	if (!pmml_read_dictionary(p, p->root) || !model_read(p, model, true, &r))
		return false;
	if (p->outputs.n == 0)
		return pmml_error(p, model, "the model gives nothing");
	if (!output_finish(p))
		return false;
	make_inputs(p);
	if (!kernel_finish(p))
		return false;
	output_declare(p);
	report_more_models(p, model);
	return verification_read(p, model);
}

static void
report_unused_options(const FrontendFile *f, Diag *d)
{
	const Loc loc = {.file = f->path};

	for (int i = 0; i < f->options->nshapes; i++)
		diag_report(d, &loc, W_UNUSED, "-finput-shape: a PMML model has no shapes");
	for (int i = 0; i < f->options->ndims; i++)
		diag_report(d, &loc, W_UNUSED, "-D: no input has a dimension '%s'",
		            f->options->dims[i].name);
}

Graph *
pmml_read(const FrontendFile *f, Diag *d)
{
	Pmml p = {.a = f->arena, .d = d, .file = f};

	p.g = graph_new(f->arena, "pmml");
	p.root = xml_parse(f->arena, f->path, f->bytes, f->size, d);
	if (!p.root || !read_document(&p))
		return NULL;
	report_unused_options(f, d);
	return p.g;
}
