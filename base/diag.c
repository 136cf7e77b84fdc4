#include "base/diag.h"

#include <string.h>

const DiagInfo diag_info[DIAG_COUNT] = {
#define DIAG(id, number, kind, option, title) [id] = {id, number, kind, option, title},
#include "base/diag.def"
};

void
diag_init(Diag *d, Arena *a)
{
	*d = (Diag){.arena = a};
}

static void
append(Diag *d, Message *m)
{
	if (d->last)
		d->last->next = m;
	else
		d->first = m;
	d->last = m;
}

__attribute__((format(printf, 5, 0))) static Message *
new_message(Diag *d, const Loc *loc, DiagCode code, DiagKind kind, const char *format, va_list args)
{
	Message *m = ARENA_NEW(d->arena, Message);

	m->code = code;
	m->kind = kind;
	if (loc)
		m->loc = *loc;
	m->text = arena_vprintf(d->arena, format, args);
	append(d, m);
	return m;
}

/* The message, or NULL when options say that it is not to be shown. */
__attribute__((format(printf, 4, 0))) static Message *
report(Diag *d, const Loc *loc, DiagCode code, const char *format, va_list args)
{
	DiagKind kind = diag_info[code].kind;

	if (kind == DIAG_WARNING) {
		if (d->quiet || d->disabled[code])
			return NULL;
		if (d->warnings_are_errors || d->as_error[code])
			kind = DIAG_ERROR;
	}
	if (kind == DIAG_ERROR)
		d->errors++;
	if (kind == DIAG_WARNING)
		d->warnings++;
	if (kind == DIAG_ERROR && d->errors > DIAG_MAX_ERRORS)
		return NULL;
	return new_message(d, loc, code, kind, format, args);
}

bool
diag_report(Diag *d, const Loc *loc, DiagCode code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(d, loc, code, format, args);
	va_end(args);
	return false;
}

bool
diag_report_at(Diag *d, const Loc *loc, DiagCode code, const char *snippet, int caret, int length,
               const char *format, ...)
{
	va_list args;
	Message *m;

	va_start(args, format);
	m = report(d, loc, code, format, args);
	va_end(args);
	if (m) {
		m->snippet = arena_strdup(d->arena, snippet);
		m->caret = caret;
		m->length = length;
	}
	return false;
}

void
diag_note(Diag *d, const Loc *loc, const char *format, ...)
{
	va_list args;

	if (diag_full(d))
		return;
	va_start(args, format);
	new_message(d, loc, E_INTERNAL, DIAG_NOTE, format, args);
	va_end(args);
}

void
diag_summary(Diag *d, const Loc *loc, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	new_message(d, loc, E_INTERNAL, DIAG_NOTE, format, args);
	va_end(args);
}

bool
diag_full(const Diag *d)
{
	return d->errors >= DIAG_MAX_ERRORS;
}

DiagCode
diag_find_option(const char *word)
{
	for (int i = 0; i < DIAG_COUNT; i++)
		if (diag_info[i].option && strcmp(diag_info[i].option, word) == 0)
			return (DiagCode)i;
	return DIAG_COUNT;
}
