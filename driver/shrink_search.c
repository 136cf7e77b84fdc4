#include "driver/shrink_search.h"

#include "codegen/program/program.h"
#include "driver/pipeline.h"
#include "driver/shrink.h"

/* One try: what was done, and what came of it. */
typedef struct {
	bool ok, fits;
	double points; /* lost, of a hundred */
	TreeShrink how;
	const char *text;
} Try;

static const TreeShrink fewer_bits[] = {{1, 1, 16, 0}, {1, 1, 16, 16}, {1, 1, 8, 0}, {1, 1, 8, 8}};
static const TreeShrink fewer_trees[] = {
	{0.9, 1, 8, 0},  {0.8, 1, 8, 0},  {0.7, 1, 8, 0},  {0.6, 1, 8, 0},   {0.5, 1, 8, 0},
	{0.4, 1, 8, 0},  {0.3, 1, 8, 0},  {0.2, 1, 8, 0},  {0.15, 1, 8, 0},  {0.1, 1, 8, 0},
	{0.07, 1, 8, 0}, {0.05, 1, 8, 0}, {0.03, 1, 8, 0}, {0.02, 1, 8, 0}};
static const TreeShrink fewer_leaves[] = {
	{1, 0.9, 8, 8},  {1, 0.8, 8, 8},  {1, 0.7, 8, 8},  {1, 0.6, 8, 8},   {1, 0.5, 8, 8},
	{1, 0.4, 8, 8},  {1, 0.3, 8, 8},  {1, 0.2, 8, 8},  {1, 0.15, 8, 8},  {1, 0.1, 8, 8},
	{1, 0.07, 8, 8}, {1, 0.05, 8, 8}, {1, 0.03, 8, 8}, {1, 0.02, 8, 8}};

static const struct {
	const TreeShrink *step;
	int n;
} ways[] = {
	{fewer_bits, sizeof fewer_bits / sizeof *fewer_bits},
	{fewer_trees, sizeof fewer_trees / sizeof *fewer_trees},
	{fewer_leaves, sizeof fewer_leaves / sizeof *fewer_leaves},
};
enum { WAYS = sizeof ways / sizeof *ways };

/* Points that an ensemble lost: of right answers, else of largest sums that stay the same,
 * else the error in percent of the sums. */
static double
points_of(const TreeShrinkReport *r)
{
	double n = r->samples ? r->samples : 1;

	if (r->right[0] >= 0)
		return 100 * (r->right[0] - r->right[1]) / n;
	if (r->same >= 0)
		return 100 * (r->samples - r->same) / n;
	return r->rms > 0 ? 100 * r->error / r->rms : 0;
}

static bool
is_within(const ProgramBudget *b, const ProgramCost *c)
{
	return (!b->ram || c->ram <= b->ram) && (!b->flash || program_flash(c) <= b->flash) &&
	       (!b->cycles || c->cycles <= b->cycles);
}

static void
weigh(Job *j, Try *t)
{
	KernelOptions kernels;
	ProgramOptions plan = options_program(j->options, &kernels);
	ProgramCost cost;
	Program *p;

	plan.budget = (ProgramBudget){0};
	p = program_build(j->arena, j->graph, &plan, &j->diag);
	t->ok = p != NULL;
	if (!p)
		return;
	cost = program_cost(p);
	t->fits = is_within(&j->options->budget, &cost);
	for (int i = 0; i < j->shrunk.n; i++)
		t->points += points_of(&j->shrunk.v[i]);
	t->text = arena_printf(j->arena, "%zu bytes of flash, %zu of RAM, loses %.2f points",
	                       program_flash(&cost), cost.ram, t->points);
}

/* On a copy of the graph, which its text makes, and with messages of its own. */
static Try
try_shrink(Job *j, const TreeShrink *how, const char *text, size_t length)
{
	Job kept = *j;
	Arena *a = arena_child(kept.arena);
	Try t = {.how = *how};

	j->arena = a;
	diag_init(&j->diag, a);
	j->shrunk.n = j->shrunk.cap = 0;
	j->shrunk.v = NULL;
	j->graph = graph_parse(a, kept.input->path, text, length, &j->diag);
	if (j->graph && (shrink_is_nothing(how) || shrink_graph(j, how)) && pipeline_run(j))
		weigh(j, &t);
	t.text = t.text ? arena_strdup(kept.arena, t.text) : NULL;
	kept.timing = j->timing;
	*j = kept;
	arena_free(a);
	return t;
}

static const char *
option_text(Job *j, const TreeShrink *how)
{
	Str s;

	str_init(&s, j->arena);
	if (how->trees < 1)
		str_printf(&s, "-fselect-trees=%g ", how->trees);
	if (how->leaves < 1)
		str_printf(&s, "-fprune-trees=%g ", how->leaves);
	if (how->value_bits)
		str_printf(&s, "-fquantize-trees=%d", how->value_bits);
	if (how->threshold_bits)
		str_printf(&s, ",%d", how->threshold_bits);
	return s.n ? s.s : "as it is";
}

static bool
is_answer(const Job *j, const Try *t)
{
	const Options *o = j->options;

	return t->ok && t->fits && (!o->has_max_drop || t->points <= o->max_drop);
}

static void
try_way(Job *j, int way, const Str *text, Try *best, Try *last)
{
	int lo = 0, hi = ways[way].n;

	while (lo < hi) {
		int k = (lo + hi) / 2;
		Try t = try_shrink(j, &ways[way].step[k], text->s, text->n);

		if (is_answer(j, &t) && (!is_answer(j, best) || t.points < best->points))
			*best = t;
		if (!is_answer(j, &t) && t.ok)
			*last = t;
		if (t.fits)
			hi = k;
		else
			lo = k + 1;
	}
}

bool
shrink_search(Job *j, TreeShrink *found)
{
	static const TreeShrink whole = {.trees = 1, .leaves = 1};
	Loc loc = {.file = j->input->path};
	Try best, last[WAYS + 1] = {{0}};
	Str text;

	str_init(&text, j->arena);
	graph_print(&text, j->graph);
	best = last[WAYS] = try_shrink(j, &whole, text.s, text.n);
	for (int way = 0; way < WAYS && !is_answer(j, &last[WAYS]); way++)
		try_way(j, way, &text, &best, &last[way]);
	*found = best.how;
	if (is_answer(j, &best))
		return true;
	diag_report(&j->diag, &loc, E_BUDGET,
	            "nothing that -fprune-trees=auto tried is within all limits");
	for (int i = WAYS; i >= 0; i--)
		if (last[i].text)
			diag_note(&j->diag, &loc, "%s: %s", option_text(j, &last[i].how), last[i].text);
	return false;
}
