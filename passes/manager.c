/*
 * The table of passes and what runs them.
 */
#include <string.h>
#include <time.h>

#include "passes/pass.h"

const PassInfo pass_info[PASS_COUNT] = {
#define PASS(id, name, summary) [PASS_##id] = {PASS_##id, name, summary, pass_##id},
#include "passes/passes.def"
};

/* Folding a whole graph takes a few seconds at most. */
enum { FOLD_ALLOWANCE = 4 };

static const PassInfo *
find(const char *name, size_t length)
{
	for (int i = 0; i < PASS_COUNT; i++)
		if (strlen(pass_info[i].name) == length &&
		    memcmp(pass_info[i].name, name, length) == 0)
			return &pass_info[i];
	return NULL;
}

const PassInfo *
pass_find(const char *name)
{
	return find(name, strlen(name));
}

void
pass_init(PassCtx *cx, Arena *a, Diag *d)
{
	*cx = (PassCtx){
		.diag = d,
		.scratch = arena_child(a),
		.tree_code = -1,
		.tree_keys = -1,
		.fold_iterations = FOLD_ALLOWANCE * FOLD_ITERATIONS,
	};
}

static double
now(void)
{
	struct timespec t;

	timespec_get(&t, TIME_UTC);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool
verify(const PassInfo *p, const Graph *g, Diag *d)
{
	if (graph_verify(g, d))
		return true;
	diag_note(d, NULL, "the graph was broken by the pass '%s'", p->name);
	return false;
}

bool
pass_run(const PassInfo *p, Graph *g, PassCtx *cx)
{
	PassStats *stats = &cx->stats[p->id];
	double start;
	bool ok;

	if (cx->hooks.before)
		cx->hooks.before(cx->hooks.user, p, g);
	cx->changed = 0;
	start = now();
	ok = p->run(g, cx);
	stats->seconds += now() - start;
	stats->runs++;
	stats->changed += cx->changed;
	arena_reset(cx->scratch);
	if (!ok)
		return false;
	if (cx->hooks.after)
		cx->hooks.after(cx->hooks.user, p, g, cx->changed);
	return !cx->verify_each || verify(p, g, cx->diag);
}

bool
pass_parse_list(Arena *a, const char *text, PassList *list, Diag *d)
{
	for (;;) {
		size_t n = strcspn(text, ",");
		const PassInfo *p = find(text, n);

		if (!p)
			return diag_report(d, NULL, E_PASS, "there is no pass '%.*s'",
			                   n > 40 ? 40 : (int)n, text);
		VEC_PUSH(a, list, p);
		if (!text[n])
			return true;
		text += n + 1;
	}
}

bool
pass_run_list(const PassList *list, Graph *g, PassCtx *cx, int rounds)
{
	for (int round = 0; round < rounds; round++) {
		int changed = 0;

		for (int i = 0; i < list->n; i++) {
			if (!pass_run(list->v[i], g, cx))
				return false;
			changed += cx->changed;
		}
		if (!changed)
			break;
	}
	return true;
}
