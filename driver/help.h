/*
 * What is written about the command line, made from the tables.
 */
#ifndef MCC_DRIVER_HELP_H
#define MCC_DRIVER_HELP_H

#include "driver/options.h"

extern const char mcc_version[];

/* --help. */
void help_print(Str *s, Tool tool);

/* The manual page, in man(7) format. */
void help_man(Str *s, Tool tool);

/* docs/options.md and docs/diagnostics.md. */
void help_options_page(Str *s);
void help_diagnostics_page(Str *s);

#endif
