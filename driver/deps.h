/*
 * The make rule of -MD.
 */
#ifndef MCC_DRIVER_DEPS_H
#define MCC_DRIVER_DEPS_H

#include "base/str.h"
#include "driver/options.h"

/*
 * "targets: files", wrapped.  Targets are taken as they are, as gcc does with those of
 * -MT; names of files are escaped for make.  With `phony` each file but the first
 * also gets an empty rule.
 */
void deps_print(Str *s, const Names *targets, const char *output, const PathList *files,
                bool phony);

/* A name with what is special to make quoted. */
const char *deps_escaped(Arena *a, const char *name);

#endif
