/*
 * Response files: @FILE on a command line stands for the words in FILE.
 */
#ifndef MCC_DRIVER_RESPONSE_H
#define MCC_DRIVER_RESPONSE_H

#include "driver/options.h"

/*
 * Appends the arguments to `out` with all @FILE replaced, in files too.  As with
 * gcc, an @FILE that does not exist stays as it is, words end at white space,
 * quotes protect it and a backslash protects the next character.
 */
bool response_expand(Names *out, int argc, char *const *argv, Arena *a, Diag *d);

#endif
