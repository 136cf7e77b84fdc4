/*
 * Regular expressions, as the functions `matches` and `replace` take them.
 *
 * What Java, XPath and Perl have in common: characters, `.`, classes, \d \s \w and their
 * opposites, \p of ASCII classes, groups, alternatives, greedy and lazy repetition, ^ $
 * \b \B, and (?i) at the beginning.  There are no references to groups within a pattern
 * and no looking around.  Time is linear in the text.
 */
#ifndef MCC_FRONTEND_PMML_PATTERN_H
#define MCC_FRONTEND_PMML_PATTERN_H

#include "base/arena.h"

typedef struct Pattern Pattern;

/* NULL: it is not understood, and *why says what. */
Pattern *pattern_new(Arena *a, const char *text, const char **why);

/* Whether it matches a part of the text. */
bool pattern_find(Pattern *p, const char *text);

/* All matches replaced by `by`, in which $1 to $9 stand for groups and \ takes the
 * meaning of what follows. */
const char *pattern_replace(Pattern *p, const char *text, const char *by);

#endif
