/*
 * The part of a compilation that mcc and mcc-run share: one model from its file
 * to the graph after the passes.
 */
#ifndef MCC_DRIVER_JOB_H
#define MCC_DRIVER_JOB_H

#include "base/diag.h"
#include "base/file.h"
#include "driver/options.h"
#include "driver/timing.h"
#include "ir/graph.h"
#include "passes/compression/trees.h"

typedef struct {
	const Options *options;
	const InputFile *input;
	Arena *arena;
	Diag diag;
	Timing timing;
	FileBytes file;
	PathList files; /* all that were read, the model first */
	Graph *graph;
	struct CompressReport *compression; /* what it cost; NULL: nothing was compressed */
	Graph *float_graph; /* what was compressed */
	bool has_trees; /* the model, before passes */
	VEC(TreeShrinkReport) shrunk; /* by ensemble */
	Str log; /* what goes to standard error beside diagnostics */
} Job;

void job_init(Job *j, const Options *o, const InputFile *input, Arena *a);

/* Reads the model and checks the graph. */
bool job_read(Job *j);

/* Runs the passes. */
bool job_optimise(Job *j);

/* Whether NAME_run_batch is generated. */
bool job_wants_batch(const Job *j);

/* The model's file as diagnostics and generated code name it: without folders. */
const char *job_model_name(const Job *j);

/*
 * Runs `work` on each input of the options with an arena and a diagnostic list
 * of its own, prints what it reported, and returns the exit status.
 */
typedef void JobFn(Job *j);
int jobs_run(const Options *o, JobFn *work);

/* Prints the messages of `d` to standard error, as the options say, and the
 * closing line; for mistakes in the command line. */
void print_diagnostics(const Options *o, const Diag *d);

/* Writes to standard output; the exit status. */
int print_output(const Options *o, const Str *s);

#endif
