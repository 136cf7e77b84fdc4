/*
 * The typed interface of a model that names its fields (Graph.input_fields): an enum for
 * each field of categories, a struct of the inputs, one of the outputs, and a function
 * between them and the arrays of NAME_run.  It is all in the header, so that it serves
 * objects as well.
 */
#include <string.h>

#include "codegen/c/print.h"

/* An enum: the labels of one or more fields. */
typedef struct {
	const Field *field; /* the first with these labels */
	const char *name;
} Enum;

struct Interface {
	CFile *file;
	const Graph *graph;
	VEC(Enum) enums;
};

/* ---- Enums ---- */

static bool
same_labels(const Field *a, const Field *b)
{
	if (a->nlabels != b->nlabels)
		return false;
	for (int i = 0; i < a->nlabels; i++)
		if (strcmp(a->label[i], b->label[i]) != 0)
			return false;
	return true;
}

static bool
is_boolean(const Field *f)
{
	return f->nlabels == 2 && strcmp(f->label[0], "false") == 0 &&
	       strcmp(f->label[1], "true") == 0;
}

static bool
is_enum(const Field *f)
{
	return f->kind == FIELD_category && f->nlabels > 0;
}

/* The enum of the field, if there is one already: outputs share that of an input, and
 * all booleans are one. */
static const Enum *
find_enum(const Interface *x, const Field *f, bool is_output)
{
	for (int i = 0; i < x->enums.n; i++)
		if (x->enums.v[i].field == f ||
		    ((is_output || is_boolean(f)) && same_labels(x->enums.v[i].field, f)))
			return &x->enums.v[i];
	return NULL;
}

/* Whether a field with these labels may have no value. */
static bool
may_be_missing(const Graph *g, const Field *f)
{
	for (int i = 0; i < g->input_fields.n; i++)
		if (g->input_fields.v[i].missing && same_labels(&g->input_fields.v[i], f))
			return true;
	for (int i = 0; i < g->output_fields.n; i++)
		if (g->output_fields.v[i].missing && same_labels(&g->output_fields.v[i], f))
			return true;
	return false;
}

static const char *
enum_stem(const Interface *x, const Field *f)
{
	return is_boolean(f) ? "boolean" : name_stem(x->file->arena, f->name);
}

static void
print_enum(Interface *x, Str *s, const Enum *e)
{
	Arena *a = x->file->arena;
	const Field *f = e->field;
	const char *upper = name_upper(a, e->name);

	str_printf(s, "\n/* '%s' */\ntypedef enum {\n",
	           name_comment(a, is_boolean(f) ? "boolean" : f->name));
	if (may_be_missing(x->graph, f))
		str_printf(s, "\t%s = -1,\n",
		           names_add(&x->file->names, arena_printf(a, "%s_MISSING", upper)));
	for (int i = 0; i < f->nlabels; i++) {
		const char *label = name_upper(a, name_stem(a, f->label[i]));
		const char *member =
			names_add(&x->file->names, arena_printf(a, "%s_%s", upper, label));

		str_printf(s, "\t%s = %d%s", member, i, i + 1 < f->nlabels || f->other ? "," : "");
		if (strcmp(label, f->label[i]) != 0)
			str_printf(s, " /* '%s' */", name_comment(a, f->label[i]));
		str_putc(s, '\n');
	}
	if (f->other)
		str_printf(s, "\t%s = %d /* none of these */\n",
		           names_add(&x->file->names, arena_printf(a, "%s_OTHER", upper)),
		           f->nlabels);
	str_printf(s, "} %s;\n", e->name);
}

static void
name_enums(Interface *x, const Field *f, int n, bool is_output)
{
	Arena *a = x->file->arena;

	for (; n > 0; n--, f++)
		if (is_enum(f) && !find_enum(x, f, is_output))
			VEC_PUSH(a, &x->enums,
			         ((Enum){f, names_add(&x->file->names,
			                              arena_printf(a, "%s_%s", x->file->prefix,
			                                           enum_stem(x, f)))}));
}

/* ---- Structs ---- */

static Value *
value_of(const Interface *x, const Field *f, bool is_output)
{
	return is_output ? x->graph->outputs.v[f->index] : x->graph->inputs.v[f->index];
}

static const char *
type_of(const Interface *x, const Field *f, bool is_output)
{
	return is_enum(f) ? find_enum(x, f, is_output)->name
	                  : dtype_info[value_of(x, f, is_output)->type.dtype].c_type;
}

/* What a comment says about a member; NULL: nothing. */
static const char *
note_of(const Interface *x, const Field *f, const char *member)
{
	static const char *const unit[FIELD_KIND_COUNT] = {
		[FIELD_date] = "days since 1970-01-01",
		[FIELD_time] = "seconds since midnight",
		[FIELD_date_time] = "seconds since 1970-01-01T00:00:00",
	};
	Arena *a = x->file->arena;
	const char *name = strcmp(f->name, member) == 0
	                           ? NULL
	                           : arena_printf(a, "'%s'", name_comment(a, f->name));

	if (name && unit[f->kind])
		return arena_printf(a, "%s, %s", name, unit[f->kind]);
	return name ? name : unit[f->kind];
}

static const char **
print_struct(Interface *x, Str *s, const Field *f, int n, bool is_output)
{
	Arena *a = x->file->arena;
	const char **member = ARENA_ARRAY(a, const char *, n);
	Names names;

	names_init(&names, a);
	str_printf(s, "\n/* %s  Of a number NaN is a missing value. */\ntypedef struct {\n",
	           is_output ? "What the model gives for a row." : "A row for the model.");
	for (int i = 0; i < n; i++) {
		const char *note;

		member[i] = names_add(&names, name_local(a, f[i].name, x->file->prefix));
		note = note_of(x, &f[i], member[i]);
		str_printf(s, "\t%s %s;", type_of(x, &f[i], is_output), member[i]);
		if (note)
			str_printf(s, " /* %s */", note);
		str_putc(s, '\n');
	}
	str_printf(s, "} %s_%s;\n", x->file->prefix, is_output ? "output" : "input");
	return member;
}

/* ---- The function ---- */

static void
print_arrays(const Interface *x, Str *s, const char *stem, Value *const *v, int n)
{
	for (int i = 0; i < n; i++)
		str_printf(s, "\t%s %s%d[%d];\n", dtype_info[v[i]->type.dtype].c_type, stem, i,
		           (int)type_numel(&v[i]->type));
	(void)x;
}

static void
print_call(const Interface *x, Str *s)
{
	Str line;

	str_init(&line, x->file->arena);
	str_printf(&line, "status = %s_run(", x->file->prefix);
	for (int i = 0; i < x->graph->inputs.n; i++)
		str_printf(&line, "x%d, ", i);
	for (int i = 0; i < x->graph->outputs.n; i++)
		str_printf(&line, "y%d, ", i);
	str_printf(&line, "%s);", x->file->arena_args);
	line_print(s, 1, line.s, line.n);
}

static void
print_predict(Interface *x, Str *s, const char **in, const char **out)
{
	const Graph *g = x->graph;
	const char *prefix = x->file->prefix;

	str_printf(s, "\n/* %s_run() for one row. */\n", prefix);
	str_printf(s,
	           "static inline int %s_predict(const %s_input *in, %s_output *out, %s)"
	           "\n{\n",
	           prefix, prefix, prefix, x->file->arena_params);
	print_arrays(x, s, "x", g->inputs.v, g->inputs.n);
	print_arrays(x, s, "y", g->outputs.v, g->outputs.n);
	str_puts(s, "\tint status;\n\n");
	for (int i = 0; i < g->input_fields.n; i++) {
		const Field *f = &g->input_fields.v[i];
		const char *type = dtype_info[g->inputs.v[f->index]->type.dtype].c_type;

		str_printf(s, "\tx%d[%d] = ", f->index, (int)f->element);
		if (is_enum(f))
			str_printf(s, "(%s)", type);
		str_printf(s, "in->%s;\n", in[i]);
	}
	print_call(x, s);
	str_printf(s, "\tif (status != %s_OK) {\n\t\treturn status;\n\t}\n", x->file->upper);
	for (int i = 0; i < g->output_fields.n; i++) {
		const Field *f = &g->output_fields.v[i];

		str_printf(s, "\tout->%s = ", out[i]);
		if (is_enum(f))
			str_printf(s, "(%s)", find_enum(x, f, true)->name);
		str_printf(s, "y%d[%d];\n", f->index, (int)f->element);
	}
	str_puts(s, "\treturn status;\n}\n");
}

Interface *
interface_new(CFile *file, const Graph *g)
{
	static const char *const taken[] = {"_input", "_output", "_predict"};
	Interface *x = ARENA_NEW(file->arena, Interface);

	x->file = file;
	x->graph = g;
	for (size_t i = 0; i < sizeof taken / sizeof *taken && interface_is_whole(g); i++)
		names_add(&file->names, arena_printf(file->arena, "%s%s", file->prefix, taken[i]));
	name_enums(x, g->input_fields.v, g->input_fields.n, false);
	name_enums(x, g->output_fields.v, g->output_fields.n, true);
	return x;
}

void
interface_print(Interface *x, Str *types, Str *function)
{
	const Graph *g = x->graph;
	const char **in, **out;

	for (int i = 0; i < x->enums.n; i++)
		print_enum(x, types, &x->enums.v[i]);
	if (!interface_is_whole(g))
		return;
	in = print_struct(x, types, g->input_fields.v, g->input_fields.n, false);
	out = print_struct(x, types, g->output_fields.v, g->output_fields.n, true);
	print_predict(x, function, in, out);
}

bool
interface_is_whole(const Graph *g)
{
	return !g->states.n && graph_has_input_fields(g) && graph_has_output_fields(g);
}
