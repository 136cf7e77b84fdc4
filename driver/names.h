/*
 * How output files and public names are called.
 */
#ifndef MCC_DRIVER_NAMES_H
#define MCC_DRIVER_NAMES_H

#include <stdbool.h>

#include "driver/options.h"

typedef struct {
	OutputKind kind;    /* never OUTPUT_AUTO */
	const char *code;   /* "-": standard output */
	const char *header; /* NULL: stands at the top of C code, or is not written */
	const char *deps;   /* of -MD; NULL when the code has no name to make it from */
	const char *temps;  /* of -save-temps: without suffix */
	const char *prefix; /* of all public names; see c_prefix() */
} OutputNames;

/* What the options ask for: -c and the like, else the suffix of -o decides. */
OutputKind output_kind(const Options *o);

/* The suffix of a kind, as in ".s". */
const char *output_suffix(OutputKind kind);

/* The names for one model, as cc would choose them. */
OutputNames output_names(Arena *a, const Options *o, const InputFile *input);

#endif
