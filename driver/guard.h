/*
 * The edges of the process: running out of memory, signals, and our own bugs.
 */
#ifndef MCC_DRIVER_GUARD_H
#define MCC_DRIVER_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

/*
 * Installs the signal handlers.  An interrupt removes temporary files; a crash
 * or failed assert also prints what to report, with the command line, and ends
 * with EXIT_INTERNAL.
 */
void guard_install(const char *program, int argc, char **argv);

/* What is being done, for the report of a crash, as in "pass fold" and
 * "model.onnx".  The strings must stay; NULL: nothing in particular. */
void guard_set_activity(const char *what, const char *file);

/* Ends the process as a crash does; for libraries that cannot go on. */
void guard_fatal(const char *reason);

/* An arena whose running out of memory ends the guard_call() around it. */
Arena *guard_arena(size_t limit);

/* Calls fn(arg).  False when memory ran out; *bytes then is how many were asked
 * for at last.  Calls do not nest. */
bool guard_call(void (*fn)(void *arg), void *arg, size_t *bytes);

/* Exit statuses. */
enum { EXIT_DONE = 0, EXIT_DIAGNOSED = 1, EXIT_USAGE = 2, EXIT_INTERNAL = 70 };

#endif
