/*
 * Attributes of a node, and the node as a line of text for diagnostics:
 *
 *	y = Conv(x, w, b) {strides=[0,1]}
 *	                   ^~~~~~~~~~~~~
 */
#include <stdarg.h>
#include <string.h>

#include "frontend/onnx/read.h"

/* ---- The node as text ---- */

typedef enum { AT_OP, AT_IN, AT_OUT, AT_ATTR } PlaceKind;

typedef struct {
	PlaceKind kind;
	int index;
	const char *attr;
} NodePlace;

typedef struct {
	Str s;
	int caret, length;
} Snippet;

enum { MAX_ELEMENTS = 8, MAX_NAME = 60 };

/* Columns that `n` bytes of UTF-8 take. */
static int
columns(const char *s, size_t n)
{
	int count = 0;

	for (size_t i = 0; i < n; i++)
		count += ((unsigned char)s[i] & 0xc0) != 0x80;
	return count;
}

/* How many bytes the character at `c` has, 0 when it is not to be printed. */
static size_t
character(const unsigned char *c, size_t n)
{
	size_t length = c[0] < 0x80 ? 1 : c[0] < 0xc2 ? 0 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;

	if (c[0] < ' ' || c[0] == 127 || c[0] > 0xf4 || length > n)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((c[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

/* The beginning of a text, without what would spoil the line. */
static void
put_limited(Str *s, const char *text, size_t n)
{
	for (size_t i = 0, shown = 0; i < n; shown++) {
		size_t length = character((const unsigned char *)text + i, n - i);

		if (shown == MAX_NAME) {
			str_puts(s, "...");
			return;
		}
		str_write(s, length ? text + i : "?", length ? length : 1);
		i += length ? length : 1;
	}
}

static void
put_text(Str *s, const char *text)
{
	put_limited(s, text, strlen(text));
}

static void
put_attr(Str *s, const AttributeProto *a)
{
	put_text(s, a->name ? a->name : "");
	str_putc(s, '=');
	if (a->ref_attr_name && *a->ref_attr_name) {
		str_putc(s, '@');
		put_text(s, a->ref_attr_name);
	} else if (a->t || a->sparse_tensor) {
		str_puts(s, "<tensor>");
	} else if (a->g || a->n_graphs) {
		str_puts(s, "<graph>");
	} else if (a->n_ints || a->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS) {
		str_putc(s, '[');
		for (size_t i = 0; i < a->n_ints && i < MAX_ELEMENTS; i++)
			str_printf(s, i ? ",%lld" : "%lld", (long long)a->ints[i]);
		str_puts(s, a->n_ints > MAX_ELEMENTS ? ",...]" : "]");
	} else if (a->n_floats || a->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS) {
		str_putc(s, '[');
		for (size_t i = 0; i < a->n_floats && i < MAX_ELEMENTS; i++)
			str_printf(s, i ? ",%g" : "%g", (double)a->floats[i]);
		str_puts(s, a->n_floats > MAX_ELEMENTS ? ",...]" : "]");
	} else if (a->n_strings) {
		str_puts(s, "[...]");
	} else if (a->has_s) {
		str_putc(s, '"');
		put_limited(s, (const char *)a->s.data, a->s.len);
		str_putc(s, '"');
	} else if (a->has_f) {
		str_printf(s, "%g", (double)a->f);
	} else if (a->has_i) {
		str_printf(s, "%lld", (long long)a->i);
	} else {
		str_puts(s, "?");
	}
}

/* Notes the columns from byte `from` on as the ones that are meant. */
static void
mark(Snippet *t, size_t from)
{
	t->caret = columns(t->s.s, from);
	t->length = columns(t->s.s + from, t->s.n - from);
}

static void
put_names(Snippet *t, char *const *names, size_t n, bool meant, int index)
{
	for (size_t i = 0; i < n; i++) {
		size_t from;

		if (i)
			str_puts(&t->s, ", ");
		from = t->s.n;
		put_text(&t->s, *names[i] ? names[i] : "_");
		if (meant && (int)i == index)
			mark(t, from);
	}
}

static void
put_node(Snippet *t, const NodeProto *p, NodePlace at)
{
	size_t from;

	put_names(t, p->output, p->n_output, at.kind == AT_OUT, at.index);
	str_puts(&t->s, p->n_output ? " = " : "");
	from = t->s.n;
	put_text(&t->s, p->op_type ? p->op_type : "?");
	mark(t, from);
	str_putc(&t->s, '(');
	put_names(t, p->input, p->n_input, at.kind == AT_IN, at.index);
	str_putc(&t->s, ')');
	for (size_t i = 0; i < p->n_attribute; i++) {
		const AttributeProto *a = p->attribute[i];

		str_puts(&t->s, i ? ", " : " {");
		from = t->s.n;
		put_attr(&t->s, a);
		if (at.kind == AT_ATTR && a->name && strcmp(a->name, at.attr) == 0)
			mark(t, from);
	}
	str_puts(&t->s, p->n_attribute ? "}" : "");
}

/* ---- Diagnostics ---- */

__attribute__((format(printf, 4, 0))) static bool
report_at(ONode *n, NodePlace at, DiagCode code, const char *format, va_list args)
{
	const char *text = arena_vprintf(n->r->arena, format, args);
	Snippet t = {.caret = 0};

	n->failed = true;
	if (diag_full(n->r->d)) /* only counted */
		return diag_report(n->r->d, &n->loc, code, "%s", text);
	str_init(&t.s, n->r->arena);
	put_node(&t, n->proto, at);
	return diag_report_at(n->r->d, &n->loc, code, t.s.s, t.caret, t.length, "%s", text);
}

bool
onnx_error(ONode *n, DiagCode code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report_at(n, (NodePlace){AT_OP, 0, NULL}, code, format, args);
	va_end(args);
	return false;
}

bool
onnx_error_in(ONode *n, int i, DiagCode code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report_at(n, (NodePlace){AT_IN, i, NULL}, code, format, args);
	va_end(args);
	return false;
}

bool
onnx_error_out(ONode *n, int i, DiagCode code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report_at(n, (NodePlace){AT_OUT, i, NULL}, code, format, args);
	va_end(args);
	return false;
}

bool
onnx_error_attr(ONode *n, const char *attr, DiagCode code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report_at(n, (NodePlace){AT_ATTR, 0, attr}, code, format, args);
	va_end(args);
	return false;
}

bool
onnx_unsupported(ONode *n, const char *what)
{
	return onnx_error(n, E_UNSUPPORTED, "%s of '%s' is not supported", what, n->info->name);
}

void
onnx_show_node(ONode *n, Message *m)
{
	Snippet t = {.caret = 0};

	if (m->snippet)
		return;
	str_init(&t.s, n->r->arena);
	put_node(&t, n->proto, (NodePlace){AT_OP, 0, NULL});
	m->snippet = t.s.s;
	m->caret = t.caret;
	m->length = t.length;
}

/* ---- Attributes ---- */

/* The attribute of the node that calls the function that `s` is part of, or the
 * function's default for it. */
static const AttributeProto *
caller_attr(const Scope *s, const char *name)
{
	const AttributeProto *a = s->call ? onnx_find_attr(s->call, name) : NULL;

	for (int i = 0; !a && s->function && i < s->function->ndefaults; i++)
		if (strcmp(s->function->defaults[i]->name, name) == 0)
			a = s->function->defaults[i];
	return a;
}

/* Looks up `name`; inside a function a reference to the caller's attribute is
 * followed, which may be absent there. */
const AttributeProto *
onnx_find_attr(ONode *n, const char *name)
{
	for (size_t i = 0; i < n->proto->n_attribute; i++) {
		const AttributeProto *a = n->proto->attribute[i];

		if (!a->name || strcmp(a->name, name) != 0)
			continue;
		n->attr_used[i] = true;
		if (!a->ref_attr_name || !*a->ref_attr_name)
			return a;
		return caller_attr(n->scope, a->ref_attr_name);
	}
	return NULL;
}

static const char *
type_word(int type)
{
	static const char *const words[] = {"undefined", "a float",  "an int",  "a string",
	                                    "a tensor",  "a graph",  "floats",  "ints",
	                                    "strings",   "tensors",  "graphs",  "a sparse tensor",
	                                    "sparse tensors", "a type", "types"};

	return type >= 0 && type < (int)(sizeof words / sizeof words[0]) ? words[type] : "unknown";
}

/* The attribute, checked for its type; files of IR version 1 do not state it. */
static const AttributeProto *
typed(ONode *n, const char *name, int type)
{
	const AttributeProto *a = onnx_find_attr(n, name);

	if (a && a->has_type && a->type != ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED &&
	    (int)a->type != type) {
		onnx_error_attr(n, name, E_ATTRIBUTE, "attribute '%s' of '%s' must be %s, not %s",
		                name, n->info->name, type_word(type), type_word((int)a->type));
		return NULL;
	}
	return a;
}

#define TYPE(T) ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__##T

bool
onnx_has(ONode *n, const char *name)
{
	return onnx_find_attr(n, name) != NULL;
}

int64_t
onnx_int(ONode *n, const char *name, int64_t otherwise)
{
	const AttributeProto *a = typed(n, name, TYPE(INT));

	return a ? a->i : otherwise;
}

bool
onnx_flag(ONode *n, const char *name, bool otherwise)
{
	return onnx_int(n, name, otherwise) != 0;
}

double
onnx_float(ONode *n, const char *name, double otherwise)
{
	const AttributeProto *a = typed(n, name, TYPE(FLOAT));

	return a ? (double)a->f : otherwise;
}

const char *
onnx_str(ONode *n, const char *name, const char *otherwise)
{
	const AttributeProto *a = typed(n, name, TYPE(STRING));

	return a ? arena_strndup(n->r->arena, (const char *)a->s.data, a->s.len) : otherwise;
}

Ints
onnx_ints(ONode *n, const char *name)
{
	const AttributeProto *a = typed(n, name, TYPE(INTS));

	if (!a)
		return (Ints)NO_INTS;
	if (a->n_ints > 1 << 20) {
		onnx_error_attr(n, name, E_SIZE, "attribute '%s' has %zu elements", name, a->n_ints);
		return (Ints)NO_INTS;
	}
	return (Ints){(int)a->n_ints, a->ints};
}

Floats
onnx_floats(ONode *n, const char *name)
{
	const AttributeProto *a = typed(n, name, TYPE(FLOATS));
	double *v;

	if (!a)
		return (Floats)NO_FLOATS;
	if (a->n_floats > 1 << 20) {
		onnx_error_attr(n, name, E_SIZE, "attribute '%s' has %zu elements", name,
		                a->n_floats);
		return (Floats)NO_FLOATS;
	}
	v = ARENA_ARRAY(n->r->arena, double, a->n_floats);
	for (size_t i = 0; i < a->n_floats; i++)
		v[i] = (double)a->floats[i];
	return (Floats){(int)a->n_floats, v};
}

const ProtobufCBinaryData *
onnx_strings(ONode *n, const char *name, int *count)
{
	const AttributeProto *a = typed(n, name, TYPE(STRINGS));

	*count = 0;
	if (!a)
		return NULL;
	if (a->n_strings > 1 << 20) {
		onnx_error_attr(n, name, E_SIZE, "attribute '%s' has %zu elements", name,
		                a->n_strings);
		return NULL;
	}
	*count = (int)a->n_strings;
	return a->strings;
}

const char *
onnx_strs(ONode *n, const char *name)
{
	const AttributeProto *a = typed(n, name, TYPE(STRINGS));
	Str s;

	if (!a)
		return NULL;
	str_init(&s, n->r->arena);
	for (size_t i = 0; i < a->n_strings; i++) {
		str_puts(&s, i ? "," : "");
		if (a->strings[i].len)
			str_write(&s, (const char *)a->strings[i].data, a->strings[i].len);
	}
	return s.s;
}

const GraphProto *
onnx_graph(ONode *n, const char *name)
{
	const AttributeProto *a = typed(n, name, TYPE(GRAPH));

	if (!n->failed && (!a || !a->g))
		onnx_error(n, E_ATTRIBUTE, "'%s' needs the attribute '%s'", n->info->name, name);
	return a ? a->g : NULL;
}

bool
onnx_tensor_attr(ONode *n, const char *name, Type *type, const void **data)
{
	const AttributeProto *a = typed(n, name, TYPE(TENSOR));

	if (!a || !a->t)
		return n->failed ? false
		                 : onnx_error_attr(n, name, E_ATTRIBUTE,
		                                   "attribute '%s' has no tensor", name);
	if (!onnx_tensor(&n->r->tensors, a->t, &n->loc, type, data)) {
		n->failed = true;
		return false;
	}
	return true;
}

bool
onnx_sparse_attr(ONode *n, const char *name, Type *type, const void **data)
{
	const AttributeProto *a = typed(n, name, TYPE(SPARSE_TENSOR));

	if (!a || !a->sparse_tensor)
		return n->failed ? false
		                 : onnx_error_attr(n, name, E_ATTRIBUTE,
		                                   "attribute '%s' has no tensor", name);
	if (!onnx_sparse_tensor(&n->r->tensors, a->sparse_tensor, &n->loc, type, data)) {
		n->failed = true;
		return false;
	}
	return true;
}

int
onnx_word(ONode *n, const char *name, const char *const *words, int otherwise)
{
	const char *s = onnx_str(n, name, NULL);
	Str all;

	if (!s)
		return otherwise;
	for (int i = 0; words[i]; i++)
		if (strcmp(s, words[i]) == 0)
			return i;
	str_init(&all, n->r->arena);
	for (int i = 0; words[i]; i++)
		str_printf(&all, i ? ", %s" : "%s", words[i]);
	onnx_error_attr(n, name, E_ATTRIBUTE, "attribute '%s' of '%s' cannot be '%s'; it is one of: %s",
	                name, n->info->name, s, all.s);
	return otherwise;
}

DType
onnx_dtype_attr(ONode *n, const char *name, DType otherwise)
{
	int64_t v;
	DType t;

	if (!onnx_has(n, name))
		return otherwise;
	v = onnx_int(n, name, 0);
	if (n->failed)
		return otherwise;
	t = v < INT32_MIN || v > INT32_MAX ? DT_COUNT : onnx_dtype((int32_t)v);
	if (t == DT_COUNT)
		onnx_error_attr(n, name, E_UNSUPPORTED, "element type %s is not supported",
		                v < 0 || v > INT32_MAX ? "?"
		                                       : onnx_type_name(n->r->arena, (int32_t)v));
	return t;
}

int
onnx_axis(ONode *n, const char *name, int64_t otherwise, int rank)
{
	int64_t v = onnx_int(n, name, otherwise);

	if (n->failed)
		return 0;
	if (v < -rank || v >= rank) {
		onnx_error_attr(n, name, E_VALUE, "axis %lld is outside of a tensor of rank %d",
		                (long long)v, rank);
		return 0;
	}
	return (int)(v < 0 ? v + rank : v);
}

int64_t
onnx_int_in(ONode *n, const char *name, int64_t otherwise, int64_t lo, int64_t hi)
{
	int64_t v = onnx_int(n, name, otherwise);

	if (v >= lo && v <= hi)
		return v;
	if (!n->failed)
		onnx_error_attr(n, name, E_VALUE, "attribute '%s' is %lld; it must be in [%lld, %lld]",
		                name, (long long)v, (long long)lo, (long long)hi);
	return lo;
}

void
onnx_ignore(ONode *n, const char *name)
{
	onnx_find_attr(n, name);
}
