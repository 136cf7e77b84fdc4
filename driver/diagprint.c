#include "driver/diagprint.h"

#include <string.h>

/* Longer snippets (a node with many inputs) are cut around the caret. */
enum { SNIPPET_WIDTH = 100, SNIPPET_BEFORE = 50 };

static const struct {
	const char *word, *color;
} kind_text[] = {
	[DIAG_ERROR] = {"error", "\033[1;31m"},
	[DIAG_WARNING] = {"warning", "\033[1;35m"},
	[DIAG_NOTE] = {"note", "\033[1;36m"},
	[DIAG_REMARK] = {"remark", "\033[1;34m"},
};

static const char bold[] = "\033[1m", green[] = "\033[1;32m", normal[] = "\033[0m";

static void
paint(Str *s, const DiagStyle *style, const char *color)
{
	if (style->color)
		str_puts(s, color);
}

static bool
is_control(unsigned char c)
{
	return c < 0x20 || c == 0x7f;
}

static bool
is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* Text from a model may hold anything, but is not to steer the terminal. */
static void
put_harmless(Str *s, const char *text)
{
	for (; *text; text++)
		if (is_control((unsigned char)*text))
			str_printf(s, "\\x%02x", (unsigned)(unsigned char)*text);
		else
			str_putc(s, *text);
}

void
diagprint_code(Str *s, DiagCode code)
{
	static const char letter[] = {
		[DIAG_ERROR] = 'E', [DIAG_WARNING] = 'W', [DIAG_NOTE] = 'N', [DIAG_REMARK] = 'R'};

	str_printf(s, "%c%04d", letter[diag_info[code].kind], diag_info[code].number);
}

/* ---- Text ---- */

static void
put_place(Str *s, const Loc *loc, const DiagStyle *style)
{
	put_harmless(s, loc->file ? loc->file : style->program);
	if (loc->line > 0)
		str_printf(s, ":%d", loc->line);
	if (loc->line > 0 && loc->column > 0)
		str_printf(s, ":%d", loc->column);
	str_puts(s, ": ");
	if (loc->where) {
		put_harmless(s, loc->where);
		str_puts(s, ": ");
	}
}

/* [E0207], or with the option that steers it [W0601, -Wignored]. */
static void
put_code(Str *s, const Message *m)
{
	const DiagInfo *info = &diag_info[m->code];

	str_puts(s, " [");
	diagprint_code(s, m->code);
	if (info->option)
		str_printf(s, ", -W%s%s", m->kind == DIAG_ERROR ? "error=" : "", info->option);
	str_puts(s, "]");
}

static void
put_snippet(Str *s, const Message *m, const DiagStyle *style)
{
	int length = (int)strlen(m->snippet);
	int caret = m->caret < 0 ? 0 : m->caret > length ? length : m->caret;
	int from = 0, to = length, width = m->length > 1 ? m->length : 1;
	const char *p = m->snippet;

	if (length > SNIPPET_WIDTH) {
		from = caret > SNIPPET_BEFORE ? caret - SNIPPET_BEFORE : 0;
		to = length - from > SNIPPET_WIDTH ? from + SNIPPET_WIDTH : length;
		while (from > 0 && is_continuation(p[from]))
			from--;
		while (to < length && is_continuation(p[to]))
			to++;
	}
	str_puts(s, from ? "  ..." : "  ");
	for (int i = from; i < to; i++)
		str_putc(s, is_control((unsigned char)p[i]) && p[i] != '\t' ? '?' : p[i]);
	str_puts(s, to < length ? "...\n" : "\n");
	str_puts(s, from ? "     " : "  ");
	for (int i = from; i < caret; i++)
		if (!is_continuation(p[i]))
			str_putc(s, p[i] == '\t' ? '\t' : ' ');
	paint(s, style, green);
	for (int i = 0; i < width && (i == 0 || caret + i < to); i++)
		if (i == 0 || !is_continuation(p[caret + i]))
			str_putc(s, i ? '~' : '^');
	paint(s, style, normal);
	str_putc(s, '\n');
}

static void
put_text(Str *s, const Message *m, const DiagStyle *style)
{
	paint(s, style, bold);
	put_place(s, &m->loc, style);
	paint(s, style, kind_text[m->kind].color);
	str_printf(s, "%s: ", kind_text[m->kind].word);
	paint(s, style, normal);
	paint(s, style, m->kind == DIAG_NOTE ? "" : bold);
	put_harmless(s, m->text);
	paint(s, style, normal);
	if (m->kind != DIAG_NOTE)
		put_code(s, m);
	str_putc(s, '\n');
	if (m->snippet)
		put_snippet(s, m, style);
}

/* ---- JSON ---- */

static void
json_field(Str *s, const char *name, const char *value)
{
	str_printf(s, ",\"%s\":", name);
	str_put_json(s, value);
}

static void
put_json_fields(Str *s, const Message *m)
{
	str_puts(s, "\"kind\":");
	str_put_json(s, kind_text[m->kind].word);
	if (m->kind != DIAG_NOTE) {
		str_puts(s, ",\"code\":\"");
		diagprint_code(s, m->code);
		str_puts(s, "\"");
		json_field(s, "title", diag_info[m->code].title);
	}
	if (m->loc.file)
		json_field(s, "file", m->loc.file);
	if (m->loc.line > 0)
		str_printf(s, ",\"line\":%d", m->loc.line);
	if (m->loc.line > 0 && m->loc.column > 0)
		str_printf(s, ",\"column\":%d", m->loc.column);
	if (m->loc.where)
		json_field(s, "where", m->loc.where);
	json_field(s, "message", m->text);
	if (m->snippet) {
		json_field(s, "snippet", m->snippet);
		str_printf(s, ",\"caret\":%d,\"length\":%d", m->caret, m->length);
	}
}

/* Appends the message and its notes; returns the one after them. */
static const Message *
put_json(Str *s, const Message *m)
{
	const Message *note = m->next;

	str_putc(s, '{');
	put_json_fields(s, m);
	if (m->kind != DIAG_NOTE && note && note->kind == DIAG_NOTE) {
		const char *separator = ",\"notes\":[{";

		for (; note && note->kind == DIAG_NOTE; note = note->next) {
			str_puts(s, separator);
			put_json_fields(s, note);
			str_puts(s, "}");
			separator = ",{";
		}
		str_puts(s, "]");
	}
	str_puts(s, "}\n");
	return note;
}

/* ---- All of it ---- */

void
diagprint_messages(Str *s, const Diag *d, const DiagStyle *style)
{
	for (const Message *m = d->first; m;) {
		if (style->json) {
			m = put_json(s, m);
		} else {
			put_text(s, m, style);
			m = m->next;
		}
	}
	if (d->errors > DIAG_MAX_ERRORS && !style->json)
		str_printf(s, "%s: only the first %d errors are shown\n", style->program,
		           DIAG_MAX_ERRORS);
}

void
diagprint_total(Str *s, int errors, int warnings, const DiagStyle *style)
{
	if (style->json || (!errors && !warnings))
		return;
	if (warnings)
		str_printf(s, "%d warning%s", warnings, warnings == 1 ? "" : "s");
	if (warnings && errors)
		str_puts(s, " and ");
	if (errors)
		str_printf(s, "%d error%s", errors, errors == 1 ? "" : "s");
	str_puts(s, " generated.\n");
}
