/*
 * The arrays that mcc-run passes to a model: which file is which input, and
 * how often the model is called.
 */
#ifndef MCC_DRIVER_ARRAYS_H
#define MCC_DRIVER_ARRAYS_H

#include "base/npz.h"
#include "driver/job.h"

/*
 * One array of a run.  A batched array holds the values of all calls one after
 * the other, `stride` bytes apart; any other is the same in all calls.
 */
typedef struct {
	const char *name; /* of the input or output */
	Type type;        /* of one call */
	const char *file; /* NULL: none */
	Npy npy;
	void *memory; /* of an output: the elements of npy */
	size_t stride;
} Array;

typedef struct {
	int ninputs, noutputs, nreferences;
	bool reset_each; /* every call starts with the states' reset */
	int nstates; /* the last inputs and outputs; one without a file starts at its reset and
	              * goes on with what the call before left, but with reset_each */
	Array *input, *output;
	Array *reference; /* what outputs are compared with; .name is the output's */
	size_t calls;
	bool is_batched; /* the outputs get an axis for the calls */
	bool in_first_axis; /* the calls are the first axis, of length 1, of the model's */
	const char *table; /* a CSV file for all output fields; NULL: none */
	const char *archive_file; /* the .npz that was read last, and its arrays */
	Npz archive;
} Arrays;

/*
 * A CSV file with -i has all inputs, one with -o gets all outputs (driver/table.h).  Else
 * pairs the files of -i, -o and --compare with the graph's inputs and outputs,
 * reads them, checks element types and shapes, and makes room for the outputs.
 */
bool arrays_prepare(Arrays *x, Job *j);

/* The inputs alone: pairs the files of `names`, values of `option`, with the graph's. */
bool arrays_prepare_inputs(Arrays *x, Job *j, const char *option, const Names *names);

/* Writes the outputs that have a file, and `text` to standard output. */
bool arrays_write(const Arrays *x, Job *j, const Str *text);

#endif
