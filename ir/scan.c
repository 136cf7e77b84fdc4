#include "ir/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Errors ---- */

enum { SNIPPET_BEFORE = 70, SNIPPET_AFTER = 50 };

static const char *
line_of(const Scan *p, const char *at)
{
	while (at > p->text && at[-1] != '\n')
		at--;
	return at;
}

Loc
scan_place(const Scan *p, const char *at)
{
	Loc loc = {.file = p->file, .line = p->line_number};

	if (at >= p->line) {
		loc.column = (int)(at - p->line) + 1;
		return loc;
	}
	for (const char *c = at; c < p->line; c++)
		loc.line -= *c == '\n';
	loc.column = (int)(at - line_of(p, at)) + 1;
	return loc;
}

const char *
scan_snippet(const Scan *p, const char *at, int *caret)
{
	const char *line = line_of(p, at);
	const char *from = at - line > SNIPPET_BEFORE ? at - SNIPPET_BEFORE : line;
	const char *to = p->end - at > SNIPPET_AFTER ? at + SNIPPET_AFTER : p->end;
	const char *stop = to > at ? memchr(at, '\n', (size_t)(to - at)) : NULL;
	char *text;

	if (stop)
		to = stop;
	text = arena_strndup(p->d->arena, from, (size_t)(to - from));
	for (char *c = text; c < text + (to - from); c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = ' ';
	*caret = (int)(at - from);
	return text;
}

bool
scan_fail(Scan *p, const char *at, int length, DiagCode code, const char *format, ...)
{
	Loc loc = scan_place(p, at);
	const char *text, *snippet;
	va_list args;
	int caret;

	va_start(args, format);
	text = arena_vprintf(p->d->arena, format, args);
	va_end(args);
	snippet = scan_snippet(p, at, &caret);
	return diag_report_at(p->d, &loc, code, snippet, caret, length, "%s", text);
}

bool
scan_expected_here(Scan *p, const char *what)
{
	if (p->p == p->end)
		return scan_fail(p, p->p, 1, E_SYNTAX, "expected %s, but the text ends here", what);
	return scan_fail(p, p->p, 1, E_SYNTAX, "expected %s", what);
}

/* ---- Tokens ---- */

void
scan_blanks(Scan *p)
{
	for (; p->p < p->end; p->p++) {
		if (*p->p == '\n') {
			p->line = p->p + 1;
			p->line_number++;
		} else if (*p->p == ';') {
			const char *stop = memchr(p->p, '\n', (size_t)(p->end - p->p));

			p->p = stop ? stop - 1 : p->end - 1;
		} else if (*p->p != ' ' && *p->p != '\t' && *p->p != '\r') {
			break;
		}
	}
}

bool
scan_expected(Scan *p, const char *what)
{
	scan_blanks(p);
	return scan_expected_here(p, what);
}

bool
scan_is(Scan *p, char c)
{
	const Scan before = *p;

	scan_blanks(p);
	if (p->p < p->end && *p->p == c)
		return true;
	*p = before;
	return false;
}

bool
scan_accept(Scan *p, char c)
{
	if (!scan_is(p, c))
		return false;
	p->p++;
	return true;
}

bool
scan_expect(Scan *p, char c)
{
	return scan_accept(p, c) || scan_expected(p, (char[]){'\'', c, '\'', '\0'});
}

bool
scan_is_word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

static bool
is_name_char(char c)
{
	return scan_is_word_char(c) || c == '.' || c == '/' || c == '-';
}

static bool
is_number_char(char c)
{
	return scan_is_word_char(c) || c == '.' || c == '+' || c == '-';
}

size_t
scan_span(Scan *p, bool (*belongs)(char), const char **start)
{
	scan_blanks(p);
	*start = p->p;
	while (p->p < p->end && belongs(*p->p))
		p->p++;
	return (size_t)(p->p - *start);
}

bool
scan_accept_word(Scan *p, const char *word)
{
	const Scan before = *p;
	const char *start;
	size_t n = scan_span(p, scan_is_word_char, &start);

	if (n == strlen(word) && memcmp(start, word, n) == 0)
		return true;
	*p = before;
	return false;
}

int
scan_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* What stands behind a backslash in a string. */
static bool
parse_escape(Scan *p, char *c)
{
	int hi, lo;

	if (p->p < p->end && (*p->p == '"' || *p->p == '\\')) {
		*c = *p->p++;
		return true;
	}
	if (p->end - p->p < 3 || *p->p != 'x')
		return scan_expected_here(p, "'\"', '\\' or 'x' and two hexadecimal digits");
	hi = scan_hex_digit(p->p[1]);
	lo = scan_hex_digit(p->p[2]);
	if (hi < 0 || lo < 0 || hi + lo == 0)
		return scan_expected_here(p, "'x' and two hexadecimal digits other than 00");
	*c = (char)(hi << 4 | lo);
	p->p += 3;
	return true;
}

const char *
scan_string(Scan *p)
{
	const char *start, *stop;
	char *text;
	size_t n = 0;

	if (!scan_expect(p, '"'))
		return NULL;
	start = p->p;
	for (stop = start; stop < p->end && *stop != '"' && *stop != '\n'; stop++)
		if (*stop == '\\' && stop + 1 < p->end)
			stop++;
	text = arena_alloc(p->arena, (size_t)(stop - start) + 1);
	while (p->p < p->end && *p->p != '"') {
		char c = *p->p++;

		if ((unsigned char)c < ' ') {
			p->p--;
			return scan_expected_here(p, "the string's end on its line"), NULL;
		}
		if (c == '\\' && !parse_escape(p, &c))
			return NULL;
		text[n++] = c;
	}
	return scan_expect(p, '"') ? text : NULL;
}

const char *
scan_name(Scan *p, char sigil, const char *what)
{
	const char *start;
	size_t n;

	if (!scan_accept(p, sigil))
		return scan_expected(p, what), NULL;
	if (p->p < p->end && *p->p == '"')
		return scan_string(p);
	start = p->p;
	while (p->p < p->end && is_name_char(*p->p))
		p->p++;
	n = (size_t)(p->p - start);
	if (n == 0)
		return scan_expected(p, "a name"), NULL;
	return arena_strndup(p->arena, start, n);
}

/* ---- Numbers ---- */

enum { NUMBER_LENGTH = 64 };

static bool
take_number(Scan *p, char text[NUMBER_LENGTH], const char **start)
{
	size_t n = scan_span(p, is_number_char, start);

	if (n == 0 || n >= NUMBER_LENGTH) {
		p->p = *start;
		return scan_expected(p, "a number");
	}
	memcpy(text, *start, n);
	text[n] = '\0';
	return true;
}

bool
scan_int(Scan *p, int64_t *v)
{
	char text[NUMBER_LENGTH], *stop;
	const char *start;

	if (!take_number(p, text, &start))
		return false;
	errno = 0;
	*v = strtoll(text, &stop, 10);
	if (*stop || errno)
		return scan_fail(p, start, (int)strlen(text), E_SYNTAX,
				"'%s' is not an integer of 64 bits", text);
	return true;
}

bool
scan_uint(Scan *p, uint64_t *v)
{
	char text[NUMBER_LENGTH], *stop;
	const char *start;

	if (!take_number(p, text, &start))
		return false;
	errno = 0;
	*v = strtoull(text, &stop, 10);
	if (*stop || errno || *text == '-')
		return scan_fail(p, start, (int)strlen(text), E_SYNTAX,
		                "'%s' is not an unsigned integer of 64 bits", text);
	return true;
}

bool
scan_float(Scan *p, DType t, double *v)
{
	char text[NUMBER_LENGTH], *stop;
	const char *start;

	if (!take_number(p, text, &start))
		return false;
	*v = t == DT_F32 ? (double)strtof(text, &stop) : strtod(text, &stop);
	if (*stop)
		return scan_fail(p, start, (int)strlen(text), E_SYNTAX, "'%s' is not a number",
				text);
	return true;
}

bool
scan_double(Scan *p, double *v)
{
	return scan_float(p, DT_F64, v);
}

bool
scan_bool(Scan *p, bool *v)
{
	*v = scan_accept_word(p, "true");
	return *v || scan_accept_word(p, "false") || scan_expected(p, "'true' or 'false'");
}
