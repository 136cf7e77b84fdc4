/*
 * Words of the loop IR's text form, for its parser.
 *
 * After an error, which is reported once with its place, there is only T_END.
 */
#ifndef MCC_IR_LOOP_LEX_H
#define MCC_IR_LOOP_LEX_H

#include "base/diag.h"
#include "ir/loop/loop.h"

typedef enum {
	T_END,
	T_WORD,    /* let, f32, cvt.f32, exp_f32 */
	T_VAR,     /* %name; `name` has it */
	T_FUNC,    /* @name; `name` has it */
	T_NUMBER,  /* without sign and type */
	T_COMMENT, /* `name` has the text */
	T_PUNCT    /* operators and brackets */
} TokenKind;

typedef struct {
	TokenKind kind;
	const char *s; /* in the text */
	size_t n;
	const char *name; /* unescaped, in the arena */
} Token;

typedef struct {
	Arena *arena;
	Diag *diag;
	const char *file;
	const char *text, *end; /* all of it */
	const char *p;          /* behind the token */
	Token tok;              /* the one that is looked at */
	bool failed;
} Lexer;

/* Starts at the first token. */
void lex_init(Lexer *x, Arena *a, const char *file, const char *text, size_t length, Diag *d);

/* Goes on to the next token. */
void lex_next(Lexer *x);

/* Reports an error at a token; returns false. */
__attribute__((format(printf, 4, 5))) bool lex_fail(Lexer *x, const Token *at, DiagCode code,
                                                    const char *format, ...);

/* Whether this punctuation or word is there. */
bool lex_is(const Lexer *x, const char *s);
/* Skips it if it is there. */
bool lex_accept(Lexer *x, const char *s);
/* Skips it, or fails. */
bool lex_expect(Lexer *x, const char *s);

/* The type that the token names; skips it, or fails. */
bool lex_type(Lexer *x, DType *t);

/* The same of a variable, which may be a vector: f32x8. */
bool lex_var_type(Lexer *x, DType *t, int *lanes);

/* The number of lanes that `at` has behind its first `skip` characters: the 8 of splat.8. */
bool lex_lanes(Lexer *x, const Token *at, size_t skip, int *lanes);

/* A whole number in [lo, hi] with an optional sign. */
bool lex_int(Lexer *x, int64_t lo, int64_t hi, int64_t *value);

/* Whether a literal starts here: a number, inf, nan, true or false. */
bool lex_at_literal(const Lexer *x);

/* A literal as a constant expression.  `negative`: a minus stood before it.
 * `type` is what a literal without type has, DT_COUNT: it tells its type. */
bool lex_literal(Lexer *x, bool negative, DType type, Expr *e);

#endif
