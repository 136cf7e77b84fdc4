/*
 * The make rule of -MD.
 */
#ifndef MCC_DRIVER_DEPS_H
#define MCC_DRIVER_DEPS_H

#include "base/str.h"
#include "driver/options.h"

/*
 * "targets: files", wrapped.  Targets of -MT are taken as they are, as gcc does;
 * names of files are escaped for make.  With `phony` each file but the first
 * also gets an empty rule.
 */
void deps_print(Str *s, const Names *targets, const char *output, const PathList *files,
                bool phony);

#endif
