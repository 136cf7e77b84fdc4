#include "frontend/frontend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/num.h"

const FrontendFormat frontend_formats[] = {
#define FORMAT(id, name, suffixes, title) {name, suffixes, title, id##_sniff, id##_read},
#include "frontend/formats.def"
	{NULL, NULL, NULL, NULL, NULL},
};

/* ---- The graph IR's own text ---- */

/* Past blanks and comments. */
static size_t
skip_blanks(const uint8_t *bytes, size_t n)
{
	size_t i = 0;

	while (i < n && (strchr(" \t\r\n;", bytes[i]) && bytes[i])) {
		if (bytes[i] == ';')
			while (i < n && bytes[i] != '\n')
				i++;
		else
			i++;
	}
	return i;
}

bool
graph_sniff(const uint8_t *bytes, size_t n)
{
	static const char word[] = "graph @";
	size_t i = skip_blanks(bytes, n);

	return n - i >= sizeof word - 1 && memcmp(bytes + i, word, sizeof word - 1) == 0;
}

Graph *
graph_read(const FrontendFile *f, Diag *d)
{
	return graph_parse(f->arena, f->path, (const char *)f->bytes, f->size, d);
}

/* ---- Choosing the format ---- */

static bool
has_suffix(const char *path, const char *suffixes)
{
	const char *base = strrchr(path, '/');
	const char *dot = strrchr(base ? base + 1 : path, '.');
	size_t length = dot ? strlen(dot) : 0;

	for (const char *s = suffixes; dot && *s; s += strcspn(s, " "), s += *s == ' ')
		if (strcspn(s, " ") == length && memcmp(s, dot, length) == 0)
			return true;
	return false;
}

static const FrontendFormat *
forced_format(const char *name, Diag *d)
{
	for (const FrontendFormat *k = frontend_formats; k->name; k++)
		if (strcmp(k->name, name) == 0)
			return k;
	diag_report(d, NULL, E_USAGE, "unknown format '%s' after -x", name);
	return NULL;
}

const FrontendFormat *
frontend_find(const FrontendFile *f, Diag *d)
{
	const Loc loc = {.file = f->path};

	if (f->options->format)
		return forced_format(f->options->format, d);
	for (const FrontendFormat *k = frontend_formats; k->name; k++)
		if (k->sniff(f->bytes, f->size))
			return k;
	for (const FrontendFormat *k = frontend_formats; k->name; k++)
		if (has_suffix(f->path, k->suffixes))
			return k;
	diag_report(d, &loc, E_FORMAT,
	            "neither the contents nor the suffix are those of a format that is known; "
	            "-x forces one");
	return NULL;
}

/* ---- Inputs that have a value ---- */

static const InputValue *
given_value(const FrontendOptions *o, const char *name)
{
	for (int i = 0; i < o->nvalues; i++)
		if (strcmp(o->values[i].input, name) == 0)
			return &o->values[i];
	return NULL;
}

/* Whether a number is one of `t`; floating types round it. */
static bool
is_value_of(DType t, double value)
{
	double least, bits = dtype_info[t].bytes * 8;

	if (dtype_is_float(t))
		return true;
	if (t == DT_BOOL)
		return value == 0 || value == 1;
	least = dtype_info[t].class == CLASS_UNSIGNED ? 0 : -ldexp(1, (int)bits - 1);
	return value == floor(value) && value >= least && value < least + ldexp(1, (int)bits);
}

static bool
fill_constant(const InputValue *given, const Type *t, void *data, const Loc *loc, Diag *d)
{
	int32_t count = type_numel(t);

	if (given->n != 1 && given->n != count)
		return diag_report(d, loc, E_SHAPE,
		                   "-finput-value: '%s' has %d elements, and %d values are given",
		                   given->input, count, given->n);
	for (int i = 0; i < given->n; i++)
		if (!is_value_of(t->dtype, given->value[i]))
			return diag_report(d, loc, E_VALUE, "-finput-value: %g is no %s",
			                   given->value[i], dtype_info[t->dtype].name);
	for (int32_t i = 0; i < count; i++)
		num_store(t->dtype, data, (size_t)i, given->value[given->n == 1 ? 0 : i]);
	return true;
}

Value *
frontend_input(const FrontendFile *f, Graph *g, const char *name, Type t, const Loc *loc, Diag *d)
{
	const InputValue *given = given_value(f->options, name);
	void *data;

	if (!given)
		return graph_input(g, name, t);
	data = arena_alloc(f->arena, type_bytes(&t));
	return fill_constant(given, &t, data, loc, d) ? graph_const(g, name, t, data) : NULL;
}

/* Every value must have found its input. */
static Graph *
check_values(Graph *g, const FrontendFile *f, const char *title, Diag *d)
{
	const Loc loc = {.file = f->path};

	for (int i = 0; g && i < f->options->nvalues; i++) {
		const char *name = f->options->values[i].input;
		const Value *v = graph_find(g, name);

		if (v && value_is_const(v))
			continue;
		if (v && graph_is_input(g, v))
			diag_report(d, &loc, E_UNSUPPORTED,
			            "-finput-value: inputs of %s models cannot be fixed", title);
		else
			diag_report(d, &loc, E_NAME, "-finput-value: the model has no input '%s'",
			            name);
		g = NULL;
	}
	return g;
}

Graph *
frontend_read(Arena *a, const char *path, const uint8_t *bytes, size_t n, const FrontendOptions *o,
              Diag *d)
{
	static const FrontendOptions none = {.format = NULL};
	const FrontendFile f = {a, path, bytes, n, o ? o : &none};
	const FrontendFormat *format = frontend_find(&f, d);

	return format ? check_values(format->read(&f, d), &f, format->title, d) : NULL;
}

/* ---- Arguments ---- */

/* A number from 0 to INT32_MAX at *s, which is moved behind it. */
static bool
parse_number(const char **s, int32_t *out)
{
	int64_t v = 0;
	const char *p = *s;

	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		v = 10 * v + (*p - '0');
		if (v > INT32_MAX)
			return false;
	}
	*s = p;
	*out = (int32_t)v;
	return true;
}

bool
frontend_parse_shape(Arena *a, const char *text, InputShape *out, Diag *d)
{
	const char *colon = strrchr(text, ':');
	const char *s = colon ? colon + 1 : NULL;

	*out = (InputShape){.rank = 0};
	if (!colon || colon == text)
		return diag_report(d, NULL, E_USAGE,
		                   "'%s': an input's shape is written NAME:1x3x48x192", text);
	out->input = arena_strndup(a, text, (size_t)(colon - text));
	while (*s) {
		if (out->rank == MAX_RANK)
			return diag_report(d, NULL, E_USAGE, "'%s': more than %d dimensions", text,
			                   MAX_RANK);
		if (!parse_number(&s, &out->dim[out->rank++]) || (*s == 'x' && !s[1]) ||
		    (*s && *s != 'x'))
			return diag_report(d, NULL, E_USAGE,
			                   "'%s': an input's shape is written NAME:1x3x48x192",
			                   text);
		s += *s == 'x';
	}
	return true;
}

bool
frontend_parse_value(Arena *a, const char *text, InputValue *out, Diag *d)
{
	const char *colon = strrchr(text, ':'), *s = colon;
	bool ok = colon && colon != text;
	VEC(double) list = {0};

	*out = (InputValue){.n = 0};
	do {
		char *end = NULL;
		double value = ok ? strtod(s + 1, &end) : 0;

		ok = ok && end != s + 1 && isfinite(value);
		VEC_PUSH(a, &list, value);
		s = end;
	} while (ok && *s == ',');
	if (!ok || *s)
		return diag_report(d, NULL, E_USAGE,
		                   "'%s': an input's value is written NAME:1 or NAME:0.5,-1,2", text);
	out->input = arena_strndup(a, text, (size_t)(colon - text));
	out->n = list.n;
	out->value = list.v;
	return true;
}

bool
frontend_parse_dim(Arena *a, const char *text, DimValue *out, Diag *d)
{
	const char *equals = strrchr(text, '=');
	const char *s = equals ? equals + 1 : NULL;

	*out = (DimValue){.value = 0};
	if (!equals || equals == text || !parse_number(&s, &out->value) || *s)
		return diag_report(d, NULL, E_USAGE, "'%s': a dimension is written NAME=8", text);
	out->name = arena_strndup(a, text, (size_t)(equals - text));
	return true;
}
