/*
 * Functions of strings and dates.
 *
 * A string is the number of a label, so a function of strings is a table over the labels
 * of its one argument that varies; what that is for a string without a label nobody
 * knows, so the result is missing then.
 */
#include <math.h>
#include <string.h>

#include "frontend/pmml/functions.h"

/* ---- One string ---- */

static char *
mapped(Arena *a, const char *s, char from, char to, int shift)
{
	char *copy = arena_strdup(a, s);

	for (char *c = copy; *c; c++)
		if (*c >= from && *c <= to)
			*c = (char)(*c + shift);
	return copy;
}

static size_t
character_bytes(const char *s)
{
	size_t n = 1;

	while ((s[n] & 0xc0) == 0x80)
		n++;
	return n;
}

static int
count_characters(const char *s)
{
	int n = 0;

	for (; *s; s += character_bytes(s))
		n++;
	return n;
}

static const char *
skip_characters(const char *s, double n)
{
	for (; n >= 1 && *s; n--)
		s += character_bytes(s);
	return s;
}

/* From character `from`, counted from 1. */
static const char *
substring(Arena *a, const char *s, double from, double length)
{
	const char *start = skip_characters(s, from - 1), *end = skip_characters(start, length);

	return arena_strndup(a, start, (size_t)(end - start));
}

static const char *
trim(Arena *a, const char *s)
{
	size_t n;

	s += strspn(s, " \t\r\n");
	n = strlen(s);
	while (n > 0 && strchr(" \t\r\n", s[n - 1]))
		n--;
	return arena_strndup(a, s, n);
}

/* Only patterns that are plain text. */
static bool
is_plain_pattern(const char *s)
{
	return !s[strcspn(s, "\\[](){}.*+?^$|")];
}

static const char *
replace_all(Arena *a, const char *s, const char *what, const char *by)
{
	size_t n = strlen(what);
	Str out;

	str_init(&out, a);
	if (n == 0)
		return s;
	for (const char *at; (at = strstr(s, what)) != NULL; s = at + n) {
		str_write(&out, s, (size_t)(at - s));
		str_puts(&out, by);
	}
	str_puts(&out, s);
	return out.s;
}

/* ---- Over the labels ---- */

/* The text of a constant argument. */
static bool
constant_text(const Call *c, int i, const char **out)
{
	const Val *v = &c->x[i];
	double number;

	if (value_kind(v) == KIND_LABEL && v->e->kind == E_CONST && v->e->u.i >= 0) {
		*out = v->labels->v.v[v->e->u.i];
		return true;
	}
	if (!value_is_constant(v, &number))
		return false;
	*out = arena_printf(c->p->a, "%.17g", number);
	return true;
}

/* What the function gives for this string in place of the varying argument. */
static bool
text_of(const Call *c, int varying, const char *s, const char **text, double *number)
{
	const char *other[2] = {"", ""};
	double v[2] = {0, 0};
	Str all;

	for (int i = 1; i < c->n && i < 3 && c->what != TEXT_CONCAT; i++)
		if (!constant_text(c, i, &other[i - 1]))
			return pmml_unsupported(c->p, c->e, "an argument that is not constant");
	switch (c->what) {
	case TEXT_UPPER: *text = mapped(c->p->a, s, 'a', 'z', 'A' - 'a'); break;
	case TEXT_LOWER: *text = mapped(c->p->a, s, 'A', 'Z', 'a' - 'A'); break;
	case TEXT_TRIM: *text = trim(c->p->a, s); break;
	case TEXT_LENGTH: *number = count_characters(s); break;
	case TEXT_SUBSTRING:
		if (!pmml_parse_number(other[0], &v[0]) || !pmml_parse_number(other[1], &v[1]) ||
		    v[0] < 1 || v[1] < 0)
			return pmml_error(c->p, c->e, "a substring begins at 1 or later");
		*text = substring(c->p->a, s, v[0], v[1]);
		break;
	case TEXT_REPLACE:
	case TEXT_MATCHES:
		if (!is_plain_pattern(other[0]))
			return pmml_unsupported(c->p, c->e, "the pattern '%.60s'", other[0]);
		if (c->what == TEXT_REPLACE)
			*text = replace_all(c->p->a, s, other[0], other[1]);
		*number = strstr(s, other[0]) != NULL;
		break;
	case TEXT_CONCAT:
		str_init(&all, c->p->a);
		for (int i = 0; i < c->n; i++) {
			if (i != varying && !constant_text(c, i, &other[0]))
				return pmml_unsupported(c->p, c->e,
				                        "joining two strings that vary");
			str_puts(&all, i == varying ? s : other[0]);
		}
		*text = all.n ? all.s : "";
		break;
	}
	return true;
}

/* The argument that varies; the first when none does. */
static int
varying_argument(const Call *c)
{
	for (int i = 0; i < c->n; i++)
		if (c->x[i].e->kind != E_CONST)
			return i;
	return 0;
}

bool
function_text(const Call *c, Val *out)
{
	Pmml *p = c->p;
	int varying = c->what == TEXT_CONCAT ? varying_argument(c) : 0;
	bool numbers = c->what == TEXT_LENGTH || c->what == TEXT_MATCHES;
	Labels *l = labels_new(p);
	double *entry;
	Val v;
	Expr *e, *otherwise;

	if (!value_cast(p, c->e, c->x[varying], TYPE_STRING, &v))
		return false;
	v = value_here(p, v);
	if (value_kind(&v) != KIND_LABEL)
		return pmml_unsupported(p, c->e, "a function of the text of a number");
	entry = ARENA_ARRAY(p->a, double, v.labels->v.n);
	for (int i = 0; i < v.labels->v.n; i++) {
		const char *text = "";

		if (!text_of(c, varying, v.labels->v.v[i], &text, &entry[i]))
			return false;
		if (!numbers)
			entry[i] = labels_add(p, l, text);
	}
	otherwise = numbers ? code_number(p, (double)NAN) : code_int(p, -1);
	e = v.labels->v.n == 0
	            ? otherwise
	            : code_lookup(p, kernel_table(p, "text", numbers ? DT_F64 : DT_I32,
	                                          v.labels->v.n, entry),
	                          v.labels->v.n, v.e, otherwise);
	*out = numbers ? value_of(p, TYPE_INTEGER, e) : value_label(p, l, e);
	return c->what != TEXT_MATCHES || value_cast(p, c->e, *out, TYPE_BOOLEAN, out);
}

/* ---- Dates ---- */

/* Days from 1970-01-01 to the first of January of a year. */
static double
days_to_year(double year)
{
	double y = year - 1;

	return 365 * (year - 1970) + floor(y / 4) - floor(y / 100) + floor(y / 400) - 477;
}

bool
function_date(const Call *c, Val *out)
{
	Pmml *p = c->p;
	double year = 1970;
	Expr *x;

	if (!call_number(c, 0, &x))
		return false;
	if (c->n == 2 && (!value_is_constant(&c->x[1], &year) || year != floor(year) ||
	                  !(year > 0 && year < 10000)))
		return pmml_unsupported(p, c->e, "a year that is no constant");
	switch (c->what) {
	case DATE_DAYS:
		if (c->x[0].type == TYPE_DATE_TIME)
			x = code_call(p, "floor", code_op(p, KOP_DIV, x, code_number(p, 86400)));
		x = code_op(p, KOP_SUB, x, code_number(p, days_to_year(year)));
		break;
	case DATE_SECONDS:
		if (c->x[0].type == TYPE_DATE)
			x = code_mul(p, x, code_number(p, 86400));
		x = code_op(p, KOP_SUB, x, code_number(p, days_to_year(year) * 86400));
		break;
	case DATE_MIDNIGHT:
		if (c->x[0].type == TYPE_DATE_TIME) {
			Expr *days = code_call(p, "floor",
			                       code_op(p, KOP_DIV, x, code_number(p, 86400)));

			x = code_op(p, KOP_SUB, x, code_mul(p, days, code_number(p, 86400)));
		}
		break;
	}
	*out = value_of(p, TYPE_INTEGER, x);
	return true;
}
