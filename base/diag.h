/*
 * Diagnostics: errors, warnings and notes about the user's model or command.
 *
 * Library code never prints or exits.  It reports to a Diag and returns false;
 * the driver shows what was collected.  A diagnostic has a stable code (see
 * diag.def), a place in the user's file and, where it helps, a line of text
 * with a caret under the part that is meant.
 */
#ifndef MCC_BASE_DIAG_H
#define MCC_BASE_DIAG_H

#include <stdarg.h>
#include <stdbool.h>

#include "base/arena.h"

typedef enum { DIAG_ERROR, DIAG_WARNING, DIAG_NOTE, DIAG_REMARK } DiagKind;

typedef enum {
#define DIAG(id, number, kind, option, title) id,
#include "base/diag.def"
	DIAG_COUNT
} DiagCode;

typedef struct {
	DiagCode code;
	int number;         /* as in E0207: stable, never reused */
	DiagKind kind;      /* what it is unless options change it */
	const char *option; /* for warnings, the word behind -W; NULL: always on */
	const char *title;
} DiagInfo;

extern const DiagInfo diag_info[DIAG_COUNT];

/*
 * A place in the user's input.  All strings are borrowed and outlive the Diag.
 *
 * Text formats set line and column (from 1; 0: unknown).  Binary formats set
 * `where`, for example "node 12 'conv1' (Conv)".
 */
typedef struct {
	const char *file;  /* as the user gave it; NULL: the command line */
	int line, column;
	const char *where; /* NULL: the file as a whole */
	int node;          /* the same for debug information: number of the node, from 1; 0:
	                    * unknown */
} Loc;

/* A diagnostic as it was reported. */
typedef struct Message {
	struct Message *next;
	DiagCode code;
	DiagKind kind;
	Loc loc;
	const char *text;
	const char *snippet; /* NULL, or a line to show below the message */
	int caret, length;   /* where the caret goes in it, from 0, and how many columns */
} Message;

/* Errors are counted up to this many; then reading stops with a note. */
enum { DIAG_MAX_ERRORS = 20 };

typedef struct Diag {
	Arena *arena;
	Message *first, *last;
	int errors, warnings;
	bool warnings_are_errors;     /* -Werror */
	bool quiet;                   /* -w: drop warnings */
	bool disabled[DIAG_COUNT];    /* -Wno-option */
	bool as_error[DIAG_COUNT];    /* -Werror=option */
} Diag;

void diag_init(Diag *d, Arena *a);

/* Report; the code decides whether it is an error, a warning or a remark.
 * Returns false, so that `return diag_report(…)` reports a failure in one line. */
__attribute__((format(printf, 4, 5))) bool diag_report(Diag *d, const Loc *loc, DiagCode code,
                                                       const char *format, ...);

/* The same with a line of text below and a caret from column `caret` (from 0)
 * over `length` columns. */
__attribute__((format(printf, 7, 8))) bool diag_report_at(Diag *d, const Loc *loc, DiagCode code,
                                                          const char *snippet, int caret,
                                                          int length, const char *format, ...);

/* Adds a note to the message before it. */
__attribute__((format(printf, 3, 4))) void diag_note(Diag *d, const Loc *loc, const char *format,
                                                     ...);

/* A closing word that is shown in any case, however many errors there were. */
__attribute__((format(printf, 3, 4))) void diag_summary(Diag *d, const Loc *loc, const char *format,
                                                        ...);

/* True once so many errors were reported that going on helps nobody. */
bool diag_full(const Diag *d);

/* The code that belongs to a -W option's word, or DIAG_COUNT. */
DiagCode diag_find_option(const char *word);

#endif
