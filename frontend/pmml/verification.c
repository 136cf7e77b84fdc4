/*
 * <ModelVerification>: rows that the maker of the model recorded, with the results.
 */
#include <math.h>
#include <string.h>

#include "frontend/pmml/pmml.h"

/* A <VerificationField>. */
typedef struct {
	const char *column;
	int in, out; /* fields of the graph; -1: none */
	double precision, zero;
} Column;

static int
find_field(const Field *f, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(f[i].name, name) == 0)
			return i;
	return -1;
}

static bool
read_column(Pmml *p, const Xml *model, const Xml *e, Column *out)
{
	const char *name = pmml_need(p, e, "field"), *target = model_target(p, model);
	const Graph *g = p->g;

	if (!name || !pmml_number_or(p, e, "precision", 1e-6, &out->precision) ||
	    !pmml_number_or(p, e, "zeroThreshold", 1e-16, &out->zero))
		return false;
	out->column = xml_attr(e, "column") ? xml_attr(e, "column") : name;
	out->in = find_field(g->input_fields.v, g->input_fields.n, name);
	out->out = find_field(g->output_fields.v, g->output_fields.n, name);
	/* The target may be known by the name of an output. */
	if (out->out < 0 && target && strcmp(target, name) == 0)
		out->out = find_field(g->output_fields.v, g->output_fields.n, "prediction");
	return true;
}

/* A cell as the number that stands for it in the field. */
static bool
cell_number(Pmml *p, const Xml *row, const char *column, const Field *f, double *out)
{
	const Xml *c = pmml_cell(row, column);
	const char *text = c ? xml_trimmed(p->a, c) : "";
	double x;

	*out = f->kind == FIELD_category ? -1 : (double)NAN;
	if (!*text)
		return true;
	if (f->kind != FIELD_category) {
		Val v;
		PType t = f->kind == FIELD_date        ? TYPE_DATE
		          : f->kind == FIELD_time      ? TYPE_TIME
		          : f->kind == FIELD_date_time ? TYPE_DATE_TIME
		                                       : TYPE_DOUBLE;

		if (!value_constant(p, c, text, t, NULL, &v))
			return false;
		*out = v.e->u.f;
		return true;
	}
	for (int i = 0; i < f->nlabels; i++)
		if (strcmp(f->label[i], text) == 0 || strcmp(f->label[i], c->text) == 0) {
			*out = i;
			return true;
		}
	/* 1 and 1.0 are one class. */
	for (int i = 0; i < f->nlabels && pmml_parse_number(text, out); i++)
		if (pmml_parse_number(f->label[i], &x) && x == *out) {
			*out = i;
			return true;
		}
	*out = f->nlabels;
	return true;
}

static bool
read_row(Pmml *p, const Xml *row, const Column *column, int n)
{
	Graph *g = p->g;
	double *in = ARENA_ARRAY(p->a, double, g->input_fields.n);
	double *out = ARENA_ARRAY(p->a, double, g->output_fields.n);

	for (int i = 0; i < g->input_fields.n; i++)
		in[i] = g->input_fields.v[i].kind == FIELD_category ? -1 : (double)NAN;
	for (int i = 0; i < g->output_fields.n; i++)
		out[i] = (double)NAN;
	for (int i = 0; i < n; i++) {
		const Column *c = &column[i];

		if (c->in >= 0 &&
		    !cell_number(p, row, c->column, &g->input_fields.v[c->in], &in[c->in]))
			return false;
		if (c->out >= 0 && pmml_cell(row, c->column) &&
		    !cell_number(p, row, c->column, &g->output_fields.v[c->out], &out[c->out]))
			return false;
	}
	VEC_PUSH(p->a, &g->records, ((Record){in, out}));
	return true;
}

bool
verification_read(Pmml *p, const Xml *model)
{
	const Xml *e = xml_child(model, "ModelVerification");
	const Xml *fields = xml_child(e, "VerificationFields"),
		  *table = xml_child(e, "InlineTable");
	int n = xml_count(fields, "VerificationField"), i = 0;
	Column *column = ARENA_ARRAY(p->a, Column, n);
	double *precision = ARENA_ARRAY(p->a, double, p->g->output_fields.n);
	double *zero = ARENA_ARRAY(p->a, double, p->g->output_fields.n);

	if (!e)
		return true;
	if (!table || n == 0)
		return pmml_unsupported(p, e, "verification without fields and rows");
	for (const Xml *c = xml_child(fields, "VerificationField"); c; c = xml_same(c), i++) {
		if (!read_column(p, model, c, &column[i]))
			return false;
		if (column[i].out >= 0) {
			precision[column[i].out] = column[i].precision;
			zero[column[i].out] = column[i].zero;
		}
	}
	p->g->precision = precision;
	p->g->zero = zero;
	for (const Xml *row = xml_child(table, "row"); row; row = xml_same(row))
		if (!read_row(p, row, column, n))
			return false;
	return true;
}
