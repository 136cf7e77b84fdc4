/*
 * Words and numbers of the graph IR's text form, for its parser.
 *
 * All functions that read pass over blanks and comments first.  Those that return bool
 * or a pointer return false or NULL behind an error, which they report with its place.
 */
#ifndef MCC_IR_SCAN_H
#define MCC_IR_SCAN_H

#include "base/diag.h"
#include "ir/type.h"

typedef struct {
	Arena *arena;
	const char *text, *p, *end; /* all of it, and what comes next */
	const char *line;           /* the start of the current line */
	int line_number;
	const char *file;
	Diag *d;
} Scan;

/* The place of `at`, which is here or in a line before. */
Loc scan_place(const Scan *p, const char *at);

/* The part of its line around `at`, which is *caret characters behind the part's start:
 * lines of constants are long. */
const char *scan_snippet(const Scan *p, const char *at, int *caret);

/* ---- Errors; return false ---- */

/* At `at`, which is here or in a line before, with `length` characters underlined. */
__attribute__((format(printf, 5, 6))) bool scan_fail(Scan *p, const char *at, int length,
                                                     DiagCode code, const char *format, ...);

/* Something else than `what` is exactly here, or is the next token. */
bool scan_expected_here(Scan *p, const char *what);
bool scan_expected(Scan *p, const char *what);

/* ---- Tokens ---- */

void scan_blanks(Scan *p);

/* Goes to the next token when that starts with `c`, else stays where it is. */
bool scan_is(Scan *p, char c);
/* Passes over `c` when it comes next. */
bool scan_accept(Scan *p, char c);
bool scan_expect(Scan *p, char c);

/* The characters from here on of which `belongs` is true; they are passed over. */
size_t scan_span(Scan *p, bool (*belongs)(char), const char **start);
bool scan_is_word_char(char c);

/* Passes over the word when it comes next. */
bool scan_accept_word(Scan *p, const char *word);

/* The value of a hexadecimal digit, or -1. */
int scan_hex_digit(char c);

/* A string in quotes, unescaped, in the arena. */
const char *scan_string(Scan *p);

/* A name behind `sigil`, plain characters or a string; `what` is said when there is none. */
const char *scan_name(Scan *p, char sigil, const char *what);

/* ---- Values ---- */

bool scan_int(Scan *p, int64_t *v);
bool scan_uint(Scan *p, uint64_t *v);

/* Rounded to t once: by way of double the nearest float could be missed. */
bool scan_float(Scan *p, DType t, double *v);
bool scan_double(Scan *p, double *v);
bool scan_bool(Scan *p, bool *v);

#endif
