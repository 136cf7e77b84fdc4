/*
 * Printing the graph IR; parse.c reads it back, and docs/ir.md is its manual.
 *
 *	graph @kws(%mel: f32[1,49,10]) {
 *	  %w: f32[2] = const [1.0, 2.5]
 *	  %3: f32[1,8,25,5] = conv(%x, %w, _) {strides=[2,2]} as "conv1"   ; at kws.onnx: node 3
 *	  return %3 as "prob"
 *	}
 *
 * What is printed is the whole graph, so that reading it back gives the same
 * text: attributes that are not the default, names that the model file gave to
 * nodes and outputs, the place in it as a comment.  A constant stands before the
 * first node that uses it; one that nobody uses is not printed.
 *
 * Any graph can be printed, also one that breaks the rules.
 */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "ir/graph.h"
#include "ir/num.h"

/* Constants of more elements are printed as bytes. */
enum { LIST_LENGTH = 16 };

static bool
is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '.' || c == '/' || c == '-';
}

static void
print_quoted(Str *s, const char *text)
{
	str_putc(s, '"');
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			str_printf(s, "\\%c", c);
		else if (c < ' ' || c == 127)
			str_printf(s, "\\x%02x", (unsigned)c);
		else
			str_putc(s, *text);
	}
	str_putc(s, '"');
}

/* A name behind its sigil, quoted when it has other than plain characters. */
static void
print_name(Str *s, char sigil, const char *name)
{
	bool plain = *name != '\0';

	for (const char *p = name; *p; p++)
		plain = plain && is_plain(*p);
	str_putc(s, sigil);
	if (plain)
		str_puts(s, name);
	else
		print_quoted(s, name);
}

static void
print_value(Str *s, const Value *v)
{
	if (v)
		print_name(s, '%', v->name);
	else
		str_putc(s, '_');
}

static void
print_typed(Str *s, const Value *v)
{
	print_value(s, v);
	if (v) {
		str_puts(s, ": ");
		type_print(s, &v->type);
	}
}

/* ---- Attributes ---- */

static void
print_double(Str *s, double v)
{
	char text[NUM_TEXT];

	num_double_text(text, v);
	str_puts(s, text);
}

static void
print_ints(Str *s, const Ints *v)
{
	str_putc(s, '[');
	for (int i = 0; i < v->n; i++)
		str_printf(s, i ? ",%lld" : "%lld", (long long)v->v[i]);
	str_putc(s, ']');
}

static void
print_floats(Str *s, const Floats *v)
{
	str_putc(s, '[');
	for (int i = 0; i < v->n; i++) {
		if (i)
			str_putc(s, ',');
		print_double(s, v->v[i]);
	}
	str_putc(s, ']');
}

static bool
is_default(const AttrInfo *a, const void *x, const void *standard)
{
	switch (a->kind) {
	case ATTR_KIND_int: return memcmp(x, standard, sizeof(int64_t)) == 0;
	case ATTR_KIND_float: return memcmp(x, standard, sizeof(double)) == 0;
	case ATTR_KIND_bool: return *(const bool *)x == *(const bool *)standard;
	case ATTR_KIND_ints: return ((const Ints *)x)->n == 0;
	case ATTR_KIND_floats: return ((const Floats *)x)->n == 0;
	case ATTR_KIND_dtype:
	case ATTR_KIND_enum: return memcmp(x, standard, sizeof(int)) == 0;
	case ATTR_KIND_str:
		return strcmp(*(const char *const *)x, *(const char *const *)standard) == 0;
	}
	return false;
}

static void
print_attr(Str *s, const AttrInfo *a, const void *x)
{
	int word;

	switch (a->kind) {
	case ATTR_KIND_int: str_printf(s, "%lld", (long long)*(const int64_t *)x); break;
	case ATTR_KIND_float: print_double(s, *(const double *)x); break;
	case ATTR_KIND_bool: str_puts(s, *(const bool *)x ? "true" : "false"); break;
	case ATTR_KIND_ints: print_ints(s, x); break;
	case ATTR_KIND_floats: print_floats(s, x); break;
	case ATTR_KIND_dtype: str_puts(s, dtype_info[*(const DType *)x].name); break;
	case ATTR_KIND_str: print_quoted(s, *(const char *const *)x); break;
	case ATTR_KIND_enum:
		memcpy(&word, x, sizeof word);
		str_puts(s, a->word[word]);
		break;
	}
}

static void
print_attrs(Str *s, const Node *n)
{
	const OpInfo *info = &op_info[n->op];
	bool any = false;

	for (const AttrInfo *a = info->attrs; a->name; a++) {
		const char *x = (const char *)n->attr + a->offset;

		if (is_default(a, x, (const char *)info->attr_default + a->offset))
			continue;
		str_printf(s, "%s%s=", any ? ", " : " {", a->name);
		print_attr(s, a, x);
		any = true;
	}
	if (any)
		str_putc(s, '}');
}

/* ---- Constants ---- */

static bool
has_list_form(const Value *v, int32_t count)
{
	if (count > LIST_LENGTH)
		return false;
	for (int32_t i = 0; i < count; i++) {
		/* Of a NaN only the bytes say all. */
		if (dtype_is_float(v->type.dtype) && isnan(value_float(v, i)))
			return false;
		if (v->type.dtype == DT_BOOL && value_int(v, i) != 0 && value_int(v, i) != 1)
			return false;
	}
	return true;
}

static void
print_element(Str *s, const Value *v, int32_t i)
{
	char text[NUM_TEXT];

	if (v->type.dtype == DT_F64) {
		print_double(s, value_float(v, i));
	} else if (dtype_is_float(v->type.dtype)) {
		num_float_text(text, (float)value_float(v, i));
		str_puts(s, text);
	} else if (v->type.dtype == DT_BOOL) {
		str_puts(s, value_int(v, i) ? "true" : "false");
	} else if (v->type.dtype == DT_U64) {
		str_printf(s, "%llu", (unsigned long long)value_int(v, i));
	} else {
		str_printf(s, "%lld", (long long)value_int(v, i));
	}
}

/* The bytes, each element's lowest first. */
static void
print_bytes(Str *s, const Value *v, int32_t count)
{
	static const char digit[] = "0123456789abcdef";
	const unsigned char *p = v->data;
	const uint16_t one = 1;
	int width = dtype_info[v->type.dtype].bytes;
	int flip = *(const unsigned char *)&one ? 0 : width - 1;
	char text[16];

	str_puts(s, "x\"");
	for (int32_t i = 0; i < count; i++, p += width) {
		for (int k = 0; k < width; k++) {
			text[2 * k] = digit[p[k ^ flip] >> 4];
			text[2 * k + 1] = digit[p[k ^ flip] & 15];
		}
		str_write(s, text, 2 * (size_t)width);
	}
	str_putc(s, '"');
}

static void
print_const(Str *s, const Value *v)
{
	int32_t count = type_numel(&v->type);

	str_puts(s, "  ");
	print_typed(s, v);
	str_puts(s, " = const ");
	if (!has_list_form(v, count)) {
		print_bytes(s, v, count);
	} else if (v->type.rank == 0) {
		print_element(s, v, 0);
	} else {
		str_putc(s, '[');
		for (int32_t i = 0; i < count; i++) {
			str_puts(s, i ? ", " : "");
			print_element(s, v, i);
		}
		str_putc(s, ']');
	}
	str_putc(s, '\n');
}

static void
print_const_once(Str *s, const Value *v, bool *printed)
{
	if (v && value_is_const(v) && !printed[v->id]) {
		printed[v->id] = true;
		print_const(s, v);
	}
}

/* ---- Nodes and graphs ---- */

/* Text formats know lines; they are not repeated unless the format adds a word.  The file
 * is without folders, so that the text does not depend on how its path was typed. */
static void
print_loc(Str *s, const Loc *loc)
{
	size_t start;

	if (!loc->where && (!loc->file || loc->line))
		return;
	str_puts(s, "   ; at ");
	start = s->n;
	if (loc->file)
		str_puts(s, file_basename(loc->file));
	if (loc->file && loc->line)
		str_printf(s, ":%d:%d", loc->line, loc->column);
	if (loc->file && loc->where)
		str_puts(s, ": ");
	if (loc->where)
		str_puts(s, loc->where);
	for (size_t i = start; i < s->n; i++)
		if ((unsigned char)s->s[i] < ' ' || s->s[i] == 127)
			s->s[i] = '?';
}

void
node_print(Str *s, const Node *n)
{
	for (int i = 0; i < n->nouts; i++) {
		str_puts(s, i ? ", " : "");
		print_typed(s, n->out[i]);
	}
	str_printf(s, " = %s(", op_info[n->op].name);
	for (int i = 0; i < n->nins; i++) {
		str_puts(s, i ? ", " : "");
		print_value(s, n->in[i]);
	}
	str_putc(s, ')');
	print_attrs(s, n);
	if (n->name) {
		str_puts(s, " as ");
		print_quoted(s, n->name);
	}
	print_loc(s, &n->loc);
}

static void
print_return(Str *s, const Graph *g)
{
	str_puts(s, "  return");
	for (int i = 0; i < g->outputs.n; i++) {
		const Value *v = g->outputs.v[i];
		const char *name = g->output_names.v[i];

		str_puts(s, i ? ", " : " ");
		print_value(s, v);
		if (strcmp(name, v->name) != 0) {
			str_puts(s, " as ");
			print_quoted(s, name);
		}
	}
	for (int i = 0; i < g->states.n; i++) {
		str_puts(s, i ? ", " : "\n  states ");
		print_value(s, g->states.v[i]);
	}
	str_putc(s, '\n');
}

/* ---- Fields and records ---- */

static void
print_fields(Str *s, const char *word, const Field *v, int n)
{
	for (int k = 0; k < n; k++) {
		const Field *f = &v[k];

		str_printf(s, "  %s %d[%d] ", word, f->index, (int)f->element);
		print_quoted(s, f->name);
		str_printf(s, " %s%s%s", field_kind_name[f->kind], f->missing ? " missing" : "",
		           f->other ? " other" : "");
		for (int i = 0; i < f->nlabels; i++) {
			str_puts(s, i ? ", " : " {");
			print_quoted(s, f->label[i]);
		}
		str_puts(s, f->nlabels ? "}\n" : "\n");
	}
}

static void
print_two_lists(Str *s, const char *word, Floats x, Floats y)
{
	str_printf(s, "  %s ", word);
	print_floats(s, &x);
	str_putc(s, ' ');
	print_floats(s, &y);
	str_putc(s, '\n');
}

static void
print_records(Str *s, const Graph *g)
{
	int nin = g->input_fields.n, nout = g->output_fields.n;

	if (g->records.n)
		print_two_lists(s, "tolerance", (Floats){nout, g->precision},
		                (Floats){nout, g->zero});
	for (int i = 0; i < g->records.n; i++)
		print_two_lists(s, "record", (Floats){nin, g->records.v[i].in},
		                (Floats){nout, g->records.v[i].out});
}

void
graph_print(Str *s, const Graph *g)
{
	Arena *scratch = arena_child(s->arena);
	bool *printed = ARENA_ARRAY(scratch, bool, g->values.n);

	str_puts(s, "graph ");
	print_name(s, '@', g->name);
	str_putc(s, '(');
	for (int i = 0; i < g->inputs.n; i++) {
		str_puts(s, i ? ", " : "");
		print_typed(s, g->inputs.v[i]);
	}
	str_puts(s, ") {\n");
	for (const Node *n = g->first; n; n = n->next) {
		for (int i = 0; i < n->nins; i++)
			print_const_once(s, n->in[i], printed);
		str_puts(s, "  ");
		node_print(s, n);
		str_putc(s, '\n');
	}
	for (int i = 0; i < g->outputs.n; i++)
		print_const_once(s, g->outputs.v[i], printed);
	for (int i = 0; i < g->states.n; i++)
		print_const_once(s, g->states.v[i], printed);
	print_return(s, g);
	print_fields(s, "input", g->input_fields.v, g->input_fields.n);
	print_fields(s, "output", g->output_fields.v, g->output_fields.n);
	print_records(s, g);
	str_puts(s, "}\n");
	arena_free(scratch);
}
