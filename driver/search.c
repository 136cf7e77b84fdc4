#include "driver/search.h"

#include "codegen/program/program.h"
#include "driver/compression.h"
#include "driver/pipeline.h"
#include "passes/compression/survey.h"

/* Whether something has to be found that fits. */
static bool
has_budget(const Options *o)
{
	return o->budget.ram || o->budget.flash || o->budget.cycles;
}

void
search_check(const Options *o)
{
	if (o->prune_auto && !has_budget(o) && !o->has_max_drop)
		diag_report(o->diag, NULL, E_USAGE,
		            "'-fprune=auto' needs to know how far: add '--max-flash=', '--max-ram=', "
		            "'--max-cycles=' or '--max-drop='");
	if ((o->prune_auto || o->has_max_drop) && !o->calib)
		diag_report(o->diag, NULL, E_USAGE,
		            "'-fprune=auto' and '--max-drop=' need samples to measure on: add "
		            "'-fcalib='");
}

/* ---- What was lost ---- */

typedef enum { LOST_LABELS, LOST_CLASSES, LOST_ERROR } LossKind;

/* Without labels, outputs as many as inputs are no classes: the model gives back what it
 * was given. */
static LossKind
kind_of_loss(const Job *j)
{
	const CompressReport *r = j->compression;
	const Graph *g = j->float_graph;
	int32_t inputs = g->inputs.n ? type_numel(&g->inputs.v[0]->type) : 0;

	if (r->has_labels)
		return LOST_LABELS;
	return r->agreement.classes && r->agreement.elements != (size_t)inputs ? LOST_CLASSES
	                                                                       : LOST_ERROR;
}

/* Points of a hundred. */
static double
points_lost(const Job *j)
{
	const Agreement *a = &j->compression->agreement;
	double n = (double)(a->samples ? a->samples : 1);

	switch (kind_of_loss(j)) {
	case LOST_LABELS: return 100 * ((double)a->right_float - (double)a->right) / n;
	case LOST_CLASSES: return 100 * ((double)a->samples - (double)a->same_class) / n;
	case LOST_ERROR: break;
	}
	return a->float_rms > 0 ? 100 * a->rmse / a->float_rms : 0;
}

static const char *
loss_text(const Job *j)
{
	static const char *const what[] = {
		[LOST_LABELS] = "of right answers",
		[LOST_CLASSES] = "of largest outputs that stay the same",
		[LOST_ERROR] = "of root mean square error against the output",
	};

	return arena_printf(j->arena, "%.2f points %s, on %zu samples", points_lost(j),
	                    what[kind_of_loss(j)], j->compression->agreement.samples);
}

bool
search_check_drop(Job *j)
{
	const Options *o = j->options;

	return !o->has_max_drop || points_lost(j) <= o->max_drop ||
	       diag_report(&j->diag, &(Loc){.file = j->input->path}, E_BUDGET,
	                   "the compressed model loses %s; --max-drop= allows %g", loss_text(j),
	                   o->max_drop);
}

/* ---- One try ---- */

typedef struct {
	bool ok, fits;     /* it could be compressed; and fits the budgets */
	double points, error;
	size_t flash;
	const char *text;  /* what it would take and lose */
	WeightOptions weights;
} Try;

typedef struct {
	Job *j;
	const Samples *samples;
	Survey survey;
} Search;

static bool
is_within(const ProgramBudget *b, const ProgramCost *c)
{
	return (!b->ram || c->ram <= b->ram) && (!b->flash || program_flash(c) <= b->flash) &&
	       (!b->cycles || c->cycles <= b->cycles);
}

/* The program of job->graph that comes nearest to the budgets. */
static void
weigh(Search *s, Try *t, Arena *a)
{
	Job *j = s->j;
	KernelOptions kernels;
	ProgramOptions plan = options_program(j->options, &kernels);
	Program *p = program_build(a, j->graph, &plan, &j->diag);
	ProgramCost cost;

	t->fits = p != NULL;
	if (!p) {
		plan.budget = (ProgramBudget){0};
		p = program_build(a, j->graph, &plan, &j->diag);
	}
	t->ok = p != NULL;
	if (!p)
		return;
	cost = program_cost(p);
	t->fits = t->fits && is_within(&j->options->budget, &cost);
	t->flash = program_flash(&cost);
	t->text = arena_printf(j->arena, "%zu bytes of flash, %zu of RAM, %lld cycles, loses %s",
	                       t->flash, cost.ram, (long long)cost.cycles, loss_text(j));
}

/* Compresses with messages of its own: only those of the result matter. */
static Try
try_weights(Search *s, const WeightOptions *weights)
{
	Job *j = s->j;
	Diag kept = j->diag;
	Arena *a = arena_child(j->arena);
	Try t = {.weights = *weights};

	diag_init(&j->diag, j->arena);
	if (compression_try(j, weights, s->samples, &s->survey, false) && pipeline_run(j)) {
		t.points = points_lost(j);
		t.error = j->compression->agreement.rmse;
		weigh(s, &t, a);
	}
	j->diag = kept;
	arena_free(a);
	return t;
}

/* ---- Halving ---- */

/* As options say, with nothing dropped. */
static WeightOptions
unpruned(const Options *o)
{
	WeightOptions w = o->weights;

	w.sparsity = w.channels = 0;
	w.of = 0;
	return w;
}

typedef struct {
	const double *share;
	int n;
	bool channels;
} Way;

static const double weight_shares[] = {0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98};
static const double channel_shares[] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};

static const Way ways[] = {
	{weight_shares, sizeof weight_shares / sizeof *weight_shares, false},
	{channel_shares, sizeof channel_shares / sizeof *channel_shares, true},
};

enum { WAYS = sizeof ways / sizeof *ways };

static Try
try_share(Search *s, const Way *w, int k)
{
	WeightOptions weights = unpruned(s->j->options);

	*(w->channels ? &weights.channels : &weights.sparsity) = w->share[k];
	return try_weights(s, &weights);
}

/* Whether a greater share is worth trying, and whether this one may be the answer. */
static bool
goes_on(const Search *s, const Try *t)
{
	const Options *o = s->j->options;

	return has_budget(o) ? !t->fits : t->ok && t->points <= o->max_drop;
}

static bool
is_answer(const Search *s, const Try *t)
{
	const Options *o = s->j->options;

	return t->ok && t->fits && (!o->has_max_drop || t->points <= o->max_drop);
}

static bool
is_better(const Search *s, const Try *t, const Try *than)
{
	if (!is_answer(s, than))
		return true;
	if (!has_budget(s->j->options))
		return t->flash < than->flash;
	return t->points != than->points ? t->points < than->points : t->error < than->error;
}

/* The share at which the answer changes is found by halving; `last` is the one that was
 * tried last and did not do. */
static void
try_way(Search *s, const Way *w, Try *best, Try *last)
{
	int lo = 0, hi = w->n;

	while (lo < hi) {
		int k = (lo + hi) / 2;
		Try t = try_share(s, w, k);

		if (is_answer(s, &t) && is_better(s, &t, best))
			*best = t;
		if (!is_answer(s, &t) && t.ok)
			*last = t;
		if (goes_on(s, &t))
			lo = k + 1;
		else
			hi = k;
	}
}

static const char *
option_text(const Job *j, const WeightOptions *w)
{
	if (w->channels > 0)
		return arena_printf(j->arena, "-fprune=channel:%g", w->channels);
	return w->sparsity > 0 ? arena_printf(j->arena, "-fprune=%g", w->sparsity)
	                       : "no pruning";
}

static bool
report_failure(const Search *s, const Try *last)
{
	Job *j = s->j;
	Loc loc = {.file = j->input->path};

	diag_report(&j->diag, &loc, E_BUDGET,
	            "no share of weights or channels that -fprune=auto tried is within all limits");
	for (int i = 0; i <= WAYS; i++)
		if (last[i].text)
			diag_note(&j->diag, &loc, "%s: %s", option_text(j, &last[i].weights),
			          last[i].text);
	return false;
}

bool
search_run(Job *j, const Samples *samples)
{
	const Options *o = j->options;
	Search s = {.j = j, .samples = samples};
	WeightOptions whole = unpruned(o);
	Try best = try_weights(&s, &whole), last[WAYS + 1] = {best};

	if (!has_budget(o) || !is_answer(&s, &best))
		for (int i = 0; i < WAYS; i++)
			try_way(&s, &ways[i], &best, &last[i + 1]);
	if (!is_answer(&s, &best))
		return report_failure(&s, last);
	/* Once more, with its messages. */
	if (!compression_try(j, &best.weights, samples, &s.survey, o->report_file != NULL))
		return false;
	j->compression->found = option_text(j, &best.weights);
	return true;
}
