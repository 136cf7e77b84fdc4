#include "driver/compression.h"

#include <string.h>

#include "driver/arrays.h"
#include "driver/calibrate.h"
#include "driver/engine.h"
#include "driver/guard.h"
#include "driver/pipeline.h"
#include "driver/search.h"
#include "driver/shrink.h"
#include "passes/compression/survey.h"

bool
compression_is_wanted(const Options *o)
{
	return o->weights.most > 0 || o->weights.sparsity > 0 || o->weights.of > 0 ||
	       o->weights.channels > 0 || o->prune_auto;
}

static void
check_palette(const Options *o)
{
	WeightOptions plain = o->weights;

	plain.cluster = 0;
	if (!o->weights.cluster)
		return;
	if (!o->weights.most)
		diag_report(o->diag, NULL, E_USAGE, "'-fcluster=' needs '-fquantize='");
	else if (o->weights.powers)
		diag_report(o->diag, NULL, E_USAGE,
		            "'-fcluster=' and '-fquantize=pow2' each say which weights there may be");
	else if (weights_bits(&plain) <= o->weights.cluster)
		diag_report(o->diag, NULL, W_UNUSED,
		            "'-fcluster=%d' has no effect: weights have %d bits without it",
		            o->weights.cluster, weights_bits(&plain));
}

void
compression_check(const Options *o)
{
	enum { CALIB, KEEP_FLOAT, LABELS, MAX_DROP };
	const struct {
		bool given;
		const char *option, *needs;
	} uses[] = {
		[CALIB] = {o->calib != NULL, "-fcalib=", "-fquantize=' or '-fprune="},
		[KEEP_FLOAT] = {o->keep_float.n > 0, "-fkeep-float=", "-fquantize=' or '-fprune="},
		[LABELS] = {o->tool == TOOL_MCC && o->labels_file, "--labels", "-fquantize=' or '-fprune="},
		[MAX_DROP] = {o->has_max_drop, "--max-drop=", "-fquantize=' or '-fprune="},
	};

	search_check(o);
	check_palette(o);
	for (size_t i = 0; i < sizeof uses / sizeof *uses; i++)
		if (uses[i].given && !compression_is_wanted(o) &&
		    (i == KEEP_FLOAT || (i == MAX_DROP && !o->shrink_auto) || !shrink_is_wanted(o)))
			diag_report(o->diag, NULL, W_UNUSED, "'%s' has no effect without '%s'",
			            uses[i].option, uses[i].needs);
	if (o->tool == TOOL_MCC && o->labels_file && !o->calib &&
	    (compression_is_wanted(o) || shrink_is_wanted(o)))
		diag_report(o->diag, NULL, E_USAGE, "'--labels' needs '-fcalib='");
}

/* ---- The executor ---- */

typedef struct {
	EngineModel *model;
	const Graph *g;
} Ready;

static void *
compile(void *user, Arena *a, const Graph *g)
{
	Job *j = user;
	Ready *r = ARENA_NEW(a, Ready);
	Program *p = program_build(a, g, &(ProgramOptions){0}, &j->diag);

	guard_set_activity("compression", j->input->path);
	if (!p)
		return NULL;
	r->g = g;
	r->model = engine_prepare(p, a, j);
	return r->model ? r : NULL;
}

static void
run(void *user, void *model, size_t calls, const CallArray *in, const CallArray *out)
{
	const Ready *r = model;
	const Graph *g = r->g;
	Job *j = user;
	Arena *scratch = arena_child(j->arena);
	Arrays x = {.ninputs = g->inputs.n, .noutputs = g->outputs.n, .nstates = g->states.n,
	            .calls = calls};

	x.input = ARENA_ARRAY(scratch, Array, g->inputs.n + 1);
	x.output = ARENA_ARRAY(scratch, Array, g->outputs.n + 1);
	for (int i = 0; i < g->inputs.n; i++) {
		x.input[i].npy.data = in[i].data;
		x.input[i].stride = in[i].stride;
	}
	for (int i = 0; i < g->outputs.n; i++) {
		x.output[i].memory = out[i].data;
		x.output[i].stride = out[i].stride;
	}
	engine_call(r->model, &x, 0, scratch);
	arena_free(scratch);
}

static void
progress(void *user, const char *what, double part)
{
	engine_show_progress(user, what, part);
}

/* ---- Compression ---- */

static void
warn_of_made_up(Job *j)
{
	Loc loc = {.file = j->input->path};

	diag_report(&j->diag, &loc, W_CALIBRATION,
	            "without '-fcalib=' the ranges of values are those of made-up inputs (half of "
	            "them from 0 to 1, half spread around 0 with deviation 1): real inputs beyond "
	            "are clipped, and the loss is unknown");
}

static DType
outer_type(const Options *o, DType asked)
{
	if (!o->weights.most)
		return DT_F32;
	return asked == DT_COUNT ? o->codes : asked;
}

bool
compression_try(Job *j, const WeightOptions *weights, const Samples *samples, Survey *survey,
                bool with_shares)
{
	const Options *o = j->options;
	Executor exec = {compile, run, progress, j};
	CompressOptions options = {
		.ranges = o->calib ? o->ranges : RANGE_MIN_MAX,
		.weights = *weights,
		.survey = survey,
		.codes = o->codes,
		.input = outer_type(o, o->input_type),
		.output = outer_type(o, o->output_type),
		.measure_shares = with_shares,
		.nkeep = o->keep_float.n,
		.keep = o->keep_float.v,
	};
	CompressReport *report = ARENA_NEW(j->arena, CompressReport);
	Graph *g = compress_graph(j->float_graph, &options, samples, &exec, report, &j->diag);

	if (!g || !graph_verify(g, &j->diag))
		return false;
	j->graph = g;
	j->compression = report;
	if (weights->channels > 0 && !pipeline_run_after_cut(j))
		return false;
	report->bytes = compress_constant_bytes(j->graph);
	return true;
}

bool
compression_run(Job *j)
{
	const Options *o = j->options;
	Samples samples;

	/* Samples fit the inputs as the file has them: no pass changes those. */
	if (!calibrate_read(&samples, j))
		return false;
	if (!o->calib)
		warn_of_made_up(j);
	if (!pipeline_run_before_compression(j) || j->diag.errors)
		return false;
	timing_begin(&j->timing, "compress");
	guard_set_activity("compression", j->input->path);
	j->float_graph = j->graph;
	if (o->prune_auto ? !search_run(j, &samples)
	                  : !compression_try(j, &o->weights, &samples, NULL,
	                                     o->report_file != NULL))
		return false;
	timing_begin(&j->timing, "passes");
	return search_check_drop(j);
}
