/*
 * The two files that are being printed: emit.c has the source, header.c the header,
 * prologue.c what stands in front of the code.
 */
#ifndef MCC_CODEGEN_C_EMIT_H
#define MCC_CODEGEN_C_EMIT_H

#include "codegen/c/print.h"

/* A printed kernel and the steps that call it. */
typedef struct {
	const char *name, *params, *body;
	VEC(const Step *) steps;
	int first;    /* the number of the first */
} Kernel;

/* A constant array. */
typedef struct {
	const Buffer *buffer;
	const char *name;
} Constant;

/* What the caller's memory is called: its argument, the bytes that it points to, and the
 * macros. */
typedef struct {
	const char *arena, *mem, *size, *align;
} RegionNames;

typedef struct {
	CFile file;
	const Program *program;
	const CEmitOptions *options;
	VEC(Kernel *) kernels;
	int *kernel_of; /* by step */
	bool **used;    /* by step and buffer of its function: it is a parameter, */
	bool **shared;  /* it may overlap with others */
	VEC(Constant) constants;
	const char **name;      /* by buffer: in run(), or of the constant; NULL: unused */
	const char **size_name; /* inputs, then outputs: the macros of their sizes */
	const char **offset_name; /* the same: of their places, with IO_ARENA */
	const char **region_name; /* the same: of their regions, where there are several */
	RegionNames *region;    /* by region */
	Names run_names;        /* parameters and variables of run() */
	Interface *interface;
	const char *count, *call, *row; /* more of them in run_batch() */
	const char *rows;       /* the function that does many rows */
} Emit;

/* ---- emit.c ---- */

/* Whether inputs and outputs live in the arena. */
bool emit_io_in_arena(const Emit *e);

/* The member of the state struct that a state's input is called after. */
const char *emit_state_member(const Emit *e, int i);

/* The head of run(), or with `batch` of run_batch(). */
void emit_prototype(const Emit *e, Str *s, bool batch);

/* The head of reset(). */
void emit_reset_head(const Emit *e, Str *s);

/* ---- regions.c ---- */

/* Names all regions, before anything else in run(). */
void regions_name(Emit *e);

/* The macros of size and alignment. */
void regions_print_macros(const Emit *e, Str *s);

/* "32000 bytes of arena", for all of them. */
const char *regions_text(const Emit *e);

/* Where run() refuses memory that is not there. */
void regions_print_checks(const Emit *e, Str *s);

/* ---- header.c ---- */

/* Prints the whole header, behind the kernels: their constants are counted. */
void emit_header(Emit *e, Str *s);

/* ---- prologue.c ---- */

/* A line of a block comment, broken where it is too long. */
void comment_line(Str *s, const char *text);

/* Opens the comment at the top of a file, which is called `what`. */
void emit_banner(const Emit *e, Str *s, const char *what);

/* What the arithmetic relies on, and macros for compilers that differ. */
void emit_checks(const Emit *e, Str *s);

/* Macros of infinity and NaN, where they are used. */
void emit_special_values(const Emit *e, Str *s);

#endif
