/*
 * Printing a program as C: NAME.c and NAME.h, C99 that is also C++11,
 * freestanding.  docs/generated-code.md describes the result.
 */
#ifndef MCC_CODEGEN_C_C_H
#define MCC_CODEGEN_C_C_H

#include <stdbool.h>

#include "base/diag.h"
#include "base/str.h"
#include "codegen/program/program.h"

typedef struct {
	const char *prefix;      /* of all names; see c_prefix() */
	const char *header_name; /* as the source includes it */
	const char *model_name;  /* the model's file name, for comments */
	const char *model_sha256; /* its hash as text; "": not known */
	const char *command;     /* the command line that made the files */
	const char *version;     /* of mcc */
	bool hosted;             /* call <math.h> where it has the function */
	unsigned isa;            /* of the machine: ISA_ of ir/target.h */
	bool batch;              /* NAME_run_batch too; not of a graph with states */
} CEmitOptions;

/* A prefix for the names of a model from its file name: without folders and
 * suffix, made an identifier. */
const char *c_prefix(Arena *a, const char *file_name);

/* Whether `prefix` can start identifiers in C and C++ without making reserved ones. */
bool c_prefix_is_valid(const char *prefix);

/* Prints source and header; either may be NULL.  The result depends on the arguments
 * only. */
bool c_emit(const Program *p, const CEmitOptions *options, Str *source, Str *header, Diag *d);

/* A function that one or more steps call. */
typedef struct {
	const char *name;
	int index; /* of the first of them */
} CKernel;

/* What the parts of the generated code are called, for other outputs than C. */
typedef struct {
	CKernel *kernel;
	int nkernels;
	const int *kernel_of;        /* by step */
	bool *const *used;           /* by step and buffer of its function: it is an argument */
	bool *const *shared;         /* the same: other arguments may overlap it */
	const char *const *constant; /* by Buffer.index; NULL: not used, no constant, or one
	                              * that lies in another */
} CSymbols;

void c_symbols(Arena *a, const Program *p, const char *prefix, CSymbols *out);

#endif
