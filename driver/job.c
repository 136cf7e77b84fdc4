#define _POSIX_C_SOURCE 200809L

#include "driver/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "driver/compression.h"
#include "driver/diagprint.h"
#include "driver/guard.h"
#include "driver/pipeline.h"
#include "driver/shrink.h"

/* ---- Output ---- */

static bool
wants_color(const Options *o)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	switch (o->color) {
	case COLOR_ALWAYS:
		return true;
	case COLOR_NEVER:
		return false;
	case COLOR_AUTO:
		break;
	}
	return isatty(STDERR_FILENO) && !(no_color && *no_color) && term &&
	       strcmp(term, "dumb") != 0;
}

static DiagStyle
style_of(const Options *o)
{
	return (DiagStyle){.program = o->tool_name, .json = o->json, .color = wants_color(o)};
}

/* Standard error is the last resort: there is nowhere to report its failure. */
static void
write_error_text(const Str *s)
{
	fwrite(s->s, 1, s->n, stderr);
	fflush(stderr);
}

static void
put_diagnostics(const Options *o, const Diag *d, Arena *scratch)
{
	DiagStyle style = style_of(o);
	Str s;

	str_init(&s, scratch);
	diagprint_messages(&s, d, &style);
	write_error_text(&s);
}

static void
put_total(const Options *o, int errors, int warnings)
{
	Arena *a = arena_new(NULL, NULL);
	DiagStyle style = style_of(o);
	Str s;

	str_init(&s, a);
	diagprint_total(&s, errors, warnings, &style);
	write_error_text(&s);
	arena_free(a);
}

void
print_diagnostics(const Options *o, const Diag *d)
{
	put_diagnostics(o, d, o->arena);
	put_total(o, d->errors, d->warnings);
}

int
print_output(const Options *o, const Str *s)
{
	if (fwrite(s->s, 1, s->n, stdout) == s->n && fflush(stdout) == 0)
		return EXIT_DONE;
	fprintf(stderr, "%s: cannot write to standard output\n", o->tool_name);
	return EXIT_DIAGNOSED;
}

/* ---- One model ---- */

void
job_init(Job *j, const Options *o, const InputFile *input, Arena *a)
{
	*j = (Job){.options = o, .input = input, .arena = a};
	options_init_diag(o, &j->diag, a);
	str_init(&j->log, a);
}

const char *
job_model_name(const Job *j)
{
	return strcmp(j->input->path, "-") == 0 ? "<stdin>" : file_basename(j->input->path);
}

static bool
has_trees(const Graph *g)
{
	for (const Node *n = g->first; n; n = n->next)
		if (n->op == OP_TREES)
			return true;
	return false;
}

bool
job_wants_batch(const Job *j)
{
	int wish = j->options->batch;

	return (wish < 0 ? j->has_trees : wish) && j->graph->states.n == 0 &&
	       j->options->io == IO_CALLER;
}

bool
job_read(Job *j)
{
	const Options *o = j->options;
	FrontendOptions frontend = {
		.format = j->input->format,
		.shapes = o->shapes.v,
		.nshapes = o->shapes.n,
		.values = o->values.v,
		.nvalues = o->values.n,
		.dims = o->dims.v,
		.ndims = o->dims.n,
		.tree_limit = o->tree_limit,
		.plain_weights = o->weights.most > 0,
		.files = &j->files,
	};

	guard_set_activity("reading", j->input->path);
	timing_begin(&j->timing, "read");
	if (!file_read(j->arena, j->input->path, &j->file, &j->diag))
		return false;
	VEC_PUSH(j->arena, &j->files, j->input->path);
	timing_begin(&j->timing, "import");
	j->graph = frontend_read(j->arena, j->input->path, j->file.data, j->file.size, &frontend,
	                         &j->diag);
	if (!j->graph)
		return false;
	j->has_trees = has_trees(j->graph);
	j->graph->single_rounding = j->options->single_rounding;
	guard_set_activity("verification", j->input->path);
	timing_begin(&j->timing, "verify");
	return graph_verify(j->graph, &j->diag) && j->diag.errors == 0;
}

bool
job_optimise(Job *j)
{
	timing_begin(&j->timing, "passes");
	if (shrink_is_wanted(j->options) && !shrink_run(j))
		return false;
	if (compression_is_wanted(j->options) && !compression_run(j))
		return false;
	return pipeline_run(j) && j->diag.errors == 0;
}

/* ---- All models ---- */

typedef struct {
	Job *job;
	JobFn *work;
	Arena *arena;
	const Options *options;
	const InputFile *input;
} JobCall;

static void
call_work(void *arg)
{
	JobCall *call = arg;

	job_init(call->job, call->options, call->input, call->arena);
	call->work(call->job);
}

static void
report_out_of_memory(JobCall *call, size_t bytes)
{
	Arena *a = arena_new(NULL, NULL);
	Loc loc = {.file = call->input->path};
	Diag d;

	diag_init(&d, a);
	diag_report(&d, &loc, E_SIZE, "out of memory: %zu bytes more are needed", bytes);
	if (call->options->max_memory)
		diag_note(&d, &loc, "-fmax-memory=%zu is the limit that is set",
		          call->options->max_memory);
	put_diagnostics(call->options, &d, a);
	arena_free(a);
}

/* Adds to the counts what the job reported. */
static void
run_job(const Options *o, const InputFile *input, JobFn *work, int *errors, int *warnings)
{
	Job job = {0};
	JobCall call = {&job, work, guard_arena(o->max_memory), o, input};
	Arena *scratch = arena_new(NULL, NULL);
	size_t bytes;
	bool finished = guard_call(call_work, &call, &bytes);

	write_error_text(&job.log);
	put_diagnostics(o, &job.diag, scratch);
	if (!finished) {
		report_out_of_memory(&call, bytes);
		++*errors;
	} else if (o->time_report) {
		Str s;

		str_init(&s, scratch);
		timing_report(&s, &job.timing);
		write_error_text(&s);
	}
	*errors += job.diag.errors;
	*warnings += job.diag.warnings;
	guard_set_activity(NULL, NULL);
	arena_free(scratch);
	arena_free(call.arena);
}

int
jobs_run(const Options *o, JobFn *work)
{
	int errors = 0, warnings = 0;

	for (int i = 0; i < o->inputs.n; i++)
		run_job(o, &o->inputs.v[i], work, &errors, &warnings);
	put_total(o, errors, warnings);
	return errors ? EXIT_DIAGNOSED : EXIT_DONE;
}
