/*
 * Identifiers of the generated code: from the model's names, made legal in C99
 * and C++11 and unique in their scope.
 */
#ifndef MCC_CODEGEN_C_NAMES_H
#define MCC_CODEGEN_C_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

typedef struct {
	const char *name; /* NULL: free */
	int next;         /* the suffix to try next when it is asked for again; 0: none yet */
} NameSlot;

/* The names that are taken in one scope. */
typedef struct {
	Arena *arena;
	NameSlot *slot;
	size_t size, used;
} Names;

void names_init(Names *n, Arena *a);

/* `name` itself, or with a suffix when it is taken; taken from now on. */
const char *names_add(Names *n, const char *name);

/* Letters and digits of `text` with single underscores between them; "x" when
 * nothing is left. */
const char *name_stem(Arena *a, const char *text);

/* The same for a local name: no keyword, no name of a header, no digit first,
 * nothing that starts with the prefix of global names. */
const char *name_local(Arena *a, const char *text, const char *prefix);

const char *name_upper(Arena *a, const char *text);

/* `text` for use inside a block comment. */
const char *name_comment(Arena *a, const char *text);

#endif
