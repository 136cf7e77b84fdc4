/*
 * What kernels take together: constants that are equal count once, and so do functions
 * that are.
 */
#ifndef MCC_CODEGEN_PROGRAM_TALLY_H
#define MCC_CODEGEN_PROGRAM_TALLY_H

#include "base/map.h"
#include "codegen/program/program.h"

/* Bytes that are somewhere. */
typedef struct {
	const void *data;
	size_t size;
} Bytes;

typedef struct {
	Arena *arena;
	const KernelOptions *options; /* may be NULL */
	bool merges;     /* functions that differ in numbers only will become one */
	Map functions;   /* by their text */
	Bytes *constant; /* a hash table */
	size_t nconstants, room;
	ProgramCost cost;
} Tally;

/* An empty one, but for what calls and the interface take. */
void tally_init(Tally *t, Arena *scratch, const Graph *g, const KernelOptions *o);

/* Adds a call of a function that takes so many cycles, with the function. */
void tally_function(Tally *t, const LFunc *f, int64_t cycles);

/* Adds constants. */
void tally_constant(Tally *t, const void *data, size_t size);

#endif
