#include "frontend/frontend.h"

#include <stdlib.h>
#include <string.h>

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

Graph *
frontend_read(Arena *a, const char *path, const uint8_t *bytes, size_t n, const FrontendOptions *o,
              Diag *d)
{
	static const FrontendOptions none = {.format = NULL};
	const FrontendFile f = {a, path, bytes, n, o ? o : &none};
	const FrontendFormat *format = frontend_find(&f, d);

	return format ? format->read(&f, d) : NULL;
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
