/*
 * How output files and public names are called.
 */
#ifndef MCC_DRIVER_NAMES_H
#define MCC_DRIVER_NAMES_H

#include <stdbool.h>

#include "driver/options.h"

typedef struct {
	const char *code;   /* "-": standard output */
	const char *header; /* NULL: stands at the top of the code */
	const char *deps;   /* of -MD; NULL when the code has no name to make it from */
	const char *temps;  /* of -save-temps: without suffix */
	const char *prefix; /* of all public names; see c_prefix() */
} OutputNames;

/* The names for one model, as cc would choose them. */
OutputNames output_names(Arena *a, const Options *o, const InputFile *input);

#endif
