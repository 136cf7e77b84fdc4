#include "driver/pipeline.h"

#include <string.h>

#include "codegen/kernels/kernels.h"
#include "driver/guard.h"
#include "passes/pass.h"

/*
 * The passes of each level.  fuse-qdq decides what a quantised model computes, and so
 * is part of all of them.  -O1 keeps every bit of the result, dead-channels as long
 * as floats are finite; from -O2 on factors and biases move into weights, which rounds
 * in another order.
 */
#define ALL_PASSES "expand,fuse-qdq,signed-codes,fold,simplify,fuse-batch-norm,fuse-bias," \
	"fuse-pad,fuse-activation,channels-last,dead-channels,fuse-lookups,trees,cse,dce"

static const struct {
	char level;
	const char *passes;
} pipelines[] = {
	{'0', "expand,fuse-qdq,dce"},
	{'1', "expand,fuse-qdq,signed-codes,fold,simplify,dead-channels,fuse-lookups,trees,cse,dce"},
	{'2', ALL_PASSES},
	{'3', ALL_PASSES},
	{'s', ALL_PASSES},
	{'z', ALL_PASSES},
};

/* At every level: what is compressed should be as simple as it can be. */
static const char before_compression[] =
	"expand,fold,simplify,fuse-batch-norm,fuse-bias,fuse-pad,recurrent,layers,"
	"fuse-activation,dead-channels,cse,dce";

/* The passes of a level are repeated until nothing changes, but not for ever;
 * those of -passes= run once. */
enum { MAX_ROUNDS = 20 };

const char *
pipeline_passes(const Options *o)
{
	size_t i = 0;

	if (o->passes)
		return o->passes;
	while (pipelines[i].level != o->level)
		i++;
	return pipelines[i].passes;
}

static bool
parse_passes(const Options *o, Arena *a, PassList *list, Diag *d)
{
	const char *text = pipeline_passes(o);

	return !*text || pass_parse_list(a, text, list, d);
}

static bool
names_pass(const Names *names, const char *pass)
{
	for (int i = 0; i < names->n; i++)
		if (strcmp(names->v[i], pass) == 0)
			return true;
	return false;
}

static void
note_passes(const Options *o, Diag *d)
{
	Str list;

	str_init(&list, o->arena);
	for (int i = 0; i < PASS_COUNT; i++)
		str_printf(&list, "%s%s", i ? ", " : "", pass_info[i].name);
	diag_note(d, NULL, "the passes are %s", list.s);
}

/* At every level too: channels are cut by making them useless. */
static const char after_cut[] = "dead-channels,cse,dce";

/* What -Rpass= can name besides passes. */
static const char pipeline_kernels[] = "kernels", pipeline_plan[] = "plan";

static bool
check_names(const char *option, const Names *names, bool or_all, Diag *d)
{
	for (int i = 0; i < names->n; i++)
		if (!pass_find(names->v[i]) &&
		    !(or_all && (strcmp(names->v[i], "all") == 0 ||
		                 strcmp(names->v[i], pipeline_kernels) == 0 ||
		                 strcmp(names->v[i], pipeline_plan) == 0)))
			return diag_report(d, NULL, E_PASS, "'%s%s': there is no such pass", option,
			                   names->v[i]);
	return true;
}

/* The passes that can tell what they missed. */
static bool
check_missed(const Options *o, Diag *d)
{
	for (int i = 0; i < o->missed.n; i++)
		if (strcmp(o->missed.v[i], pass_info[PASS_fuse_qdq].name) != 0)
			return diag_report(d, NULL, E_PASS, "'-Rpass-missed=%s': only '%s' can tell",
			                   o->missed.v[i], pass_info[PASS_fuse_qdq].name);
	return true;
}

bool
pipeline_check(const Options *o, Diag *d)
{
	PassList list = {0};
	bool ok = parse_passes(o, o->arena, &list, d) &&
	          check_names("-print-before=", &o->print_before, false, d) &&
	          check_names("-print-after=", &o->print_after, false, d) &&
	          check_names("-Rpass=", &o->remarks, true, d);

	if (!ok)
		note_passes(o, d);
	return ok && check_missed(o, d);
}

/* ---- What happens around a pass ---- */

bool
pipeline_remarks_kernels(const Options *o)
{
	return names_pass(&o->remarks, pipeline_kernels) || names_pass(&o->remarks, "all");
}

bool
pipeline_remarks_plan(const Options *o)
{
	return names_pass(&o->remarks, pipeline_plan) || names_pass(&o->remarks, "all");
}

static void
log_graph(Job *j, const char *when, const PassInfo *p, const Graph *g)
{
	str_printf(&j->log, "; %s %s\n", when, p->name);
	graph_print(&j->log, g);
}

static void
before_pass(void *user, const PassInfo *p, const Graph *g)
{
	Job *j = user;

	guard_set_activity(arena_printf(j->arena, "pass %s", p->name), j->input->path);
	if (names_pass(&j->options->print_before, p->name))
		log_graph(j, "before", p, g);
}

static void
after_pass(void *user, const PassInfo *p, const Graph *g, int changed)
{
	Job *j = user;
	const Options *o = j->options;
	Loc loc = {.file = j->input->path};

	if (o->print_after_all || names_pass(&o->print_after, p->name))
		log_graph(j, "after", p, g);
	if (changed && (names_pass(&o->remarks, p->name) || names_pass(&o->remarks, "all")))
		diag_report(&j->diag, &loc, R_PASS, "%s: %d change%s", p->name, changed,
		            changed == 1 ? "" : "s");
}

static void
log_stats(Job *j, const PassCtx *cx)
{
	str_puts(&j->log, "pass                 runs    changes    seconds\n");
	for (int i = 0; i < PASS_COUNT; i++)
		if (cx->stats[i].runs)
			str_printf(&j->log, "%-18s %6d %10d %10.3f\n", pass_info[i].name,
			           cx->stats[i].runs, cx->stats[i].changed, cx->stats[i].seconds);
}

static bool
run_passes(Job *j, const PassList *list, int rounds)
{
	const Options *o = j->options;
	PassCtx cx;
	bool ok;

	pass_init(&cx, j->arena, &j->diag);
	cx.verify_each = o->verify_each;
	cx.small = level_is_small(o->level);
	cx.target = &o->machine.facts;
	cx.tree_code = o->tree_code;
	cx.tree_keys = o->tree_keys;
	cx.batch = job_wants_batch(j);
	cx.max_flash = (int64_t)o->budget.flash;
	cx.max_ram = (int64_t)o->budget.ram;
	cx.max_cycles = o->budget.cycles;
	for (int i = 0; i < PASS_COUNT; i++)
		cx.remarks[i] = names_pass(&o->remarks, pass_info[i].name) ||
		                names_pass(&o->remarks, "all");
	cx.hooks = (PassHooks){before_pass, after_pass, j};
	ok = pass_run_list(list, j->graph, &cx, rounds);
	if (o->pass_stats)
		log_stats(j, &cx);
	guard_set_activity("verification", j->input->path);
	return ok && graph_verify(j->graph, &j->diag);
}

bool
pipeline_run(Job *j)
{
	PassList list = {0};

	if (!parse_passes(j->options, j->arena, &list, &j->diag) ||
	    !run_passes(j, &list, j->options->passes ? 1 : MAX_ROUNDS))
		return false;
	for (int i = 0; i < list.n && j->options->missed.n; i++)
		if (list.v[i] == &pass_info[PASS_fuse_qdq]) {
			fuse_qdq_report_missed(j->graph, &j->diag);
			break;
		}
	return true;
}

static bool
run_list(Job *j, const char *passes)
{
	PassList list = {0};

	return pass_parse_list(j->arena, passes, &list, &j->diag) &&
	       run_passes(j, &list, MAX_ROUNDS);
}

bool
pipeline_run_before_compression(Job *j)
{
	return run_list(j, before_compression);
}

bool
pipeline_run_after_cut(Job *j)
{
	return run_list(j, after_cut);
}
