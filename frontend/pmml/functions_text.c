/*
 * Functions of strings and dates.
 *
 * A string is the number of a label, so a function of strings is a table over the labels
 * of its arguments that vary; what that is for a string without a label nobody knows, so
 * the result is missing then.
 */
#include <math.h>
#include <string.h>

#include "frontend/pmml/functions.h"
#include "frontend/pmml/pattern.h"

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

/* ---- Over the labels ---- */

enum { MAX_ARGUMENTS = 16, MAX_ENTRIES = 1 << 16 };

/* A call for one string for each argument. */
typedef struct {
	const Call *c;
	Val v[MAX_ARGUMENTS];
	const char *text[MAX_ARGUMENTS]; /* of this entry */
	Pattern *pattern;
} TextCall;

static bool
is_constant(const Val *v)
{
	return v->e->kind == E_CONST && v->e->u.i >= 0;
}

static bool
read_pattern(TextCall *t)
{
	const Call *c = t->c;
	const char *why;

	if (c->what != TEXT_REPLACE && c->what != TEXT_MATCHES)
		return true;
	if (!is_constant(&t->v[1]))
		return pmml_unsupported(c->p, c->e, "a pattern that is not constant");
	t->pattern = pattern_new(c->p->a, t->text[1], &why);
	return t->pattern || pmml_unsupported(c->p, c->e, "the pattern '%.60s' (%s)", t->text[1],
	                                      why);
}

/* What the function gives for these strings. */
static bool
text_of(TextCall *t, const char **text, double *number)
{
	const Call *c = t->c;
	Arena *a = c->p->a;
	double from, length;
	Str all;

	switch (c->what) {
	case TEXT_UPPER: *text = mapped(a, t->text[0], 'a', 'z', 'A' - 'a'); break;
	case TEXT_LOWER: *text = mapped(a, t->text[0], 'A', 'Z', 'a' - 'A'); break;
	case TEXT_TRIM: *text = trim(a, t->text[0]); break;
	case TEXT_LENGTH: *number = count_characters(t->text[0]); break;
	case TEXT_SUBSTRING:
		if (!pmml_parse_number(t->text[1], &from) ||
		    !pmml_parse_number(t->text[2], &length) || from < 1 || length < 0)
			return pmml_error(c->p, c->e, "a substring begins at 1 or later");
		*text = substring(a, t->text[0], from, length);
		break;
	case TEXT_REPLACE: *text = pattern_replace(t->pattern, t->text[0], t->text[2]); break;
	case TEXT_MATCHES: *number = pattern_find(t->pattern, t->text[0]); break;
	case TEXT_CONCAT:
		str_init(&all, a);
		for (int i = 0; i < c->n; i++)
			str_puts(&all, t->text[i]);
		*text = all.n ? all.s : "";
		break;
	}
	return true;
}

/* The arguments as labels, and how many combinations of them there are. */
static bool
read_arguments(TextCall *t, int *entries)
{
	const Call *c = t->c;

	if (c->n > MAX_ARGUMENTS)
		return pmml_unsupported(c->p, c->e, "more than %d arguments", MAX_ARGUMENTS);
	*entries = 1;
	for (int i = 0; i < c->n; i++) {
		Val *v = &t->v[i];

		if (!value_cast(c->p, c->e, c->x[i], TYPE_STRING, v))
			return false;
		*v = value_let(c->p, "text", *v);
		if (value_kind(v) != KIND_LABEL)
			return pmml_unsupported(c->p, c->e, "a function of the text of a number");
		if (is_constant(v)) {
			t->text[i] = v->labels->v.v[v->e->u.i];
			continue;
		}
		if (v->labels->v.n > MAX_ENTRIES / (*entries ? *entries : 1))
			return pmml_unsupported(c->p, c->e, "a function of more than %d strings",
			                        MAX_ENTRIES);
		*entries *= v->labels->v.n;
	}
	return true;
}

/* The strings of entry number `at`: the last argument varies fastest. */
static void
choose_entry(TextCall *t, int at)
{
	for (int i = t->c->n - 1; i >= 0; i--) {
		const Labels *l = t->v[i].labels;

		if (is_constant(&t->v[i]))
			continue;
		t->text[i] = l->v.v[at % l->v.n];
		at /= l->v.n;
	}
}

/* The number of the entry, -1 where an argument is no label that is known. */
static Expr *
entry_index(TextCall *t)
{
	Pmml *p = t->c->p;
	Expr *index = code_int(p, 0);

	for (int i = 0; i < t->c->n; i++) {
		int n = t->v[i].labels->v.n;
		Expr *e = t->v[i].e, *inside;

		if (is_constant(&t->v[i]))
			continue;
		inside = code_and(p, code_op(p, KOP_GE, e, code_int(p, 0)),
		                  code_op(p, KOP_LT, e, code_int(p, n)));
		inside = code_and(p, inside, code_op(p, KOP_GE, index, code_int(p, 0)));
		e = code_add(p, code_mul(p, index, code_int(p, n)), e);
		index = code_let(p, "index", code_select(p, inside, e, code_int(p, -1)));
	}
	return index;
}

bool
function_text(const Call *c, Val *out)
{
	Pmml *p = c->p;
	bool numbers = c->what == TEXT_LENGTH || c->what == TEXT_MATCHES;
	DType type = numbers ? DT_F64 : DT_I32;
	TextCall t = {.c = c};
	Labels *l = labels_new(p);
	Expr *e = numbers ? code_number(p, (double)NAN) : code_int(p, -1), *index;
	double *entry;
	int n = 0;

	if (!read_arguments(&t, &n) || !read_pattern(&t))
		return false;
	entry = ARENA_ARRAY(p->a, double, n);
	for (int i = 0; i < n; i++) {
		const char *text = "";

		choose_entry(&t, i);
		if (!text_of(&t, &text, &entry[i]))
			return false;
		if (!numbers)
			entry[i] = labels_add(p, l, text);
	}
	index = entry_index(&t);
	if (index->kind == E_CONST && n == 1) /* all arguments are constants */
		e = numbers ? code_number(p, entry[0]) : code_int(p, (int64_t)entry[0]);
	else if (n > 0)
		e = code_lookup(p, kernel_table(p, "text", type, n, entry), n, index, e);
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
