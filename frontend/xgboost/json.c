/*
 * JSON, through jansson: syntax errors have a line and a column.
 *
 * Jansson's memory comes from the arena of the reading while it runs, so that the
 * limits of the arena hold and nothing is left behind when one is hit.
 */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "frontend/xgboost/doc.h"

static Arena *json_arena;

static void *
allocate(size_t size)
{
	return arena_alloc(json_arena, size);
}

static void
release(void *p)
{
	(void)p;
}

/* Words that XGBoost writes for numbers, and what they are made for jansson. */
static const struct {
	const char *word, *string; /* equally long */
	double value;
} words[] = {
	{"NaN", "\"\" ", (double)NAN},
	{"-Infinity", "\"-\"      ", -HUGE_VAL},
	{"Infinity", "\"+\"     ", HUGE_VAL},
};
enum { WORDS = sizeof words / sizeof *words };

/* What the string stands for: an index of `words`, or WORDS. */
static int
find_string(const char *s, size_t n)
{
	int k = 0;

	while (k < WORDS && (strncmp(words[k].string + 1, s, n) != 0 || words[k].string[n + 1] != '"'))
		k++;
	return k;
}

typedef struct {
	Arena *a;
	Diag *d;
	Loc loc;
} Convert;

static bool convert(Convert *c, json_t *j, int depth, Doc *out);

static bool
is_plain(const json_t *j)
{
	if (json_is_string(j))
		return find_string(json_string_value(j), json_string_length(j)) < WORDS;
	return json_is_number(j) || json_is_boolean(j);
}

static double
plain_number(const json_t *j)
{
	if (json_is_string(j))
		return words[find_string(json_string_value(j), json_string_length(j))].value;
	return json_is_boolean(j) ? json_is_true(j) : json_number_value(j);
}

static bool
convert_array(Convert *c, json_t *j, int depth, Doc *out)
{
	size_t n = json_array_size(j);
	bool plain = true;
	Doc *item;
	double *v;

	if (n > INT32_MAX / 64)
		return diag_report(c->d, &c->loc, E_SIZE, "an array of %zu elements", n);
	out->n = (int)n;
	for (size_t i = 0; i < n && plain; i++)
		plain = is_plain(json_array_get(j, i));
	out->kind = plain ? DOC_NUMBERS : DOC_ARRAY;
	if (plain) {
		out->numbers = v = ARENA_ARRAY(c->a, double, n);
		for (size_t i = 0; i < n; i++)
			v[i] = plain_number(json_array_get(j, i));
		return true;
	}
	out->item = item = ARENA_ARRAY(c->a, Doc, n);
	for (size_t i = 0; i < n; i++)
		if (!convert(c, json_array_get(j, i), depth + 1, &item[i]))
			return false;
	return true;
}

static bool
convert_object(Convert *c, json_t *j, int depth, Doc *out)
{
	size_t n = json_object_size(j), i = 0;
	Doc *item = ARENA_ARRAY(c->a, Doc, n);
	const char **name = ARENA_ARRAY(c->a, const char *, n), *key;
	json_t *value;

	out->kind = DOC_OBJECT;
	out->n = (int)n;
	out->item = item;
	out->key = name;
	json_object_foreach(j, key, value) {
		name[i] = arena_strdup(c->a, key);
		if (!convert(c, value, depth + 1, &item[i++]))
			return false;
	}
	return true;
}

static bool
convert(Convert *c, json_t *j, int depth, Doc *out)
{
	if (depth > DOC_MAX_DEPTH)
		return diag_report(c->d, &c->loc, E_MALFORMED,
		                   "arrays and objects are nested more than %d deep",
		                   DOC_MAX_DEPTH);
	switch (json_typeof(j)) {
	case JSON_OBJECT: return convert_object(c, j, depth, out);
	case JSON_ARRAY: return convert_array(c, j, depth, out);
	case JSON_STRING:
		out->kind = DOC_STRING;
		out->string = arena_strndup(c->a, json_string_value(j), json_string_length(j));
		return true;
	case JSON_INTEGER:
	case JSON_REAL:
		out->kind = DOC_NUMBER;
		out->number = json_number_value(j);
		return true;
	case JSON_TRUE:
	case JSON_FALSE:
		out->kind = DOC_BOOL;
		out->number = json_is_true(j);
		return true;
	case JSON_NULL: break;
	}
	out->kind = DOC_NULL;
	return true;
}

/*
 * XGBoost writes NaN and infinities as words, which are no JSON: they become strings of
 * the same length.  The same walk over the bytes refuses what is nested too deep, since
 * jansson recurses.
 */
typedef struct {
	char *text;
	size_t n;
	Loc loc;
} Clean;

static size_t
replace_word(Clean *c, size_t i)
{
	for (int k = 0; k < WORDS; k++) {
		size_t n = strlen(words[k].word);

		if (n <= c->n - i && memcmp(c->text + i, words[k].word, n) == 0) {
			memcpy(c->text + i, words[k].string, n);
			return n;
		}
	}
	return 1;
}

/* The byte behind the string that begins at i, or the end. */
static size_t
skip_string(const Clean *c, size_t i)
{
	for (i++; i < c->n && c->text[i] != '"'; i++)
		if (c->text[i] == '\\')
			i++;
	return i < c->n ? i + 1 : c->n;
}

static bool
clean(Clean *c, Diag *d)
{
	int depth = 0;
	size_t line = 0; /* where it starts */

	c->loc.line = 1;
	for (size_t i = 0, step; i < c->n; i += step) {
		char t = c->text[i];

		step = t == '"' ? skip_string(c, i) - i : 1;
		if (t == '\n') {
			c->loc.line++;
			line = i + 1;
		} else if (t == 'N' || t == 'I' || t == '-') {
			step = replace_word(c, i);
		} else if (t == ']' || t == '}') {
			depth--;
		} else if ((t == '[' || t == '{') && ++depth > DOC_MAX_DEPTH) {
			c->loc.column = i - line < INT32_MAX ? (int)(i - line) + 1 : 0;
			return diag_report(d, &c->loc, E_MALFORMED,
			                   "arrays and objects are nested more than %d deep",
			                   DOC_MAX_DEPTH);
		}
	}
	return true;
}

/* ---- Where values are ---- */

/* Jansson does not tell, so the text, which is known to be JSON, is walked once more. */
typedef struct {
	const Clean *text;
	size_t at;
} Cursor;

static char
next_char(Cursor *c)
{
	while (c->at < c->text->n && strchr(" \t\r\n,:", c->text->text[c->at]) && c->text->text[c->at])
		c->at++;
	return c->at < c->text->n ? c->text->text[c->at] : '\0';
}

/* Behind the value that begins at the cursor. */
static void
skip_value(Cursor *c)
{
	int depth = 0;

	do {
		char t = next_char(c);

		if (t == '\0')
			return;
		depth += (t == '{' || t == '[') - (t == '}' || t == ']');
		if (t == '"')
			c->at = skip_string(c->text, c->at);
		else if (strchr("{}[]", t))
			c->at++;
		else
			while (c->at < c->text->n && !strchr(" \t\r\n,:{}[]\"", c->text->text[c->at]))
				c->at++;
	} while (depth > 0);
}

static void place_value(Cursor *c, Doc *d);

/* The member whose key is the string at the cursor, as it is written; NULL: none. */
static Doc *
find_member(const Cursor *c, Doc *d, size_t end)
{
	const char *key = c->text->text + c->at + 1;
	size_t n = end - c->at - 2;

	for (int i = 0; i < d->n; i++)
		if (strlen(d->key[i]) == n && memcmp(d->key[i], key, n) == 0)
			return &d->item[i];
	return NULL;
}

static void
place_object(Cursor *c, Doc *d)
{
	for (c->at++; next_char(c) == '"';) {
		size_t end = skip_string(c->text, c->at);
		Doc *member = find_member(c, d, end);

		c->at = end;
		next_char(c);
		if (member)
			place_value(c, member);
		else
			skip_value(c);
	}
	c->at++;
}

static void
place_array(Cursor *c, Doc *d)
{
	c->at++;
	for (int i = 0; i < d->n; i++) {
		next_char(c);
		place_value(c, &d->item[i]);
	}
	next_char(c);
	c->at++;
}

/* Deep documents have been refused. */
static void
place_value(Cursor *c, Doc *d)
{
	next_char(c);
	d->at = c->at + 1;
	if (d->kind == DOC_OBJECT)
		place_object(c, d);
	else if (d->kind == DOC_ARRAY)
		place_array(c, d);
	else
		skip_value(c);
}

Loc
doc_loc(Arena *a, const char *path, const uint8_t *bytes, size_t n, size_t at, DocLines *lines)
{
	Loc loc = {.file = path};

	if (at == 0 || at > n)
		return loc;
	if (ubjson_sniff(bytes, n)) {
		loc.where = arena_printf(a, "byte %zu", at - 1);
		return loc;
	}
	if (lines->line == 0 || lines->at >= at)
		*lines = (DocLines){.line = 1};
	for (; lines->at + 1 < at; lines->at++)
		if (bytes[lines->at] == '\n') {
			lines->line++;
			lines->start = lines->at + 1;
		}
	loc.line = lines->line;
	loc.column = at - lines->start < INT32_MAX ? (int)(at - lines->start) : 0;
	return loc;
}

bool
json_read(Arena *a, const char *path, const uint8_t *bytes, size_t n, Doc *out, Diag *d)
{
	Arena *scratch = arena_child(a);
	Clean text = {.text = arena_copy(scratch, bytes, n), .n = n, .loc = {.file = path}};
	Convert c = {.a = a, .d = d, .loc = {.file = path}};
	json_error_t error;
	json_t *root;
	bool ok = clean(&text, d);

	json_arena = scratch;
	json_set_alloc_funcs(allocate, release);
	root = ok ? json_loadb(text.text, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error) : NULL;
	if (ok && !root) {
		c.loc.line = error.line > 0 ? error.line : 1;
		c.loc.column = error.column > 0 ? error.column : 1;
		ok = diag_report(d, &c.loc, E_MALFORMED, "%s",
		                 arena_strdup(d->arena, error.text));
	}
	ok = ok && convert(&c, root, 0, out);
	if (ok)
		place_value(&(Cursor){.text = &text}, out);
	arena_free(scratch);
	return ok;
}
