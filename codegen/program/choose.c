/*
 * Which kernel each node gets.
 *
 * Memory binds first.  The layout of the kernels with the least scratch says how much is
 * free while each node runs; a kernel may take that much.  Where the layout with all of
 * them is too large after all, because kernels also bind what may lie over what, only a
 * part of the free memory is given away, and then single nodes get faster kernels, those
 * that save most first, as long as the layout fits.
 *
 * Without a budget of flash or cycles a node gets the best kernel that its memory allows.
 * With one, pick_ways() decides for all nodes together.  It adds up bytes; what nodes
 * share, and what the program needs besides, is known from a tally of the result, and the
 * limit is moved by the difference.
 */
#include "codegen/program/choose.h"

#include <stdlib.h>

#include "codegen/program/pick.h"
#include "codegen/program/tally.h"

enum {
	MAX_PARTS = 4096, /* into how small parts free memory is divided */
	MAX_ROUNDS = 4,   /* of moving the limit */
	MAX_TRIES = 20000 /* nodes in all layouts with one faster kernel */
};

static const ProgramBudget *
budget_of(const Choice *c)
{
	return &c->plans.options->budget;
}

static bool
is_small(const Choice *c)
{
	const KernelOptions *k = c->plans.options->kernels;

	return !k || level_is_small(k->level);
}

/* ---- Kernels ---- */

/* Takes one of the node's kernels; those that were asked about once are kept. */
static bool
take_kernel(Choice *c, int t, int choice)
{
	LFunc *f = c->choices[t].v[choice].fn;
	const char *problem;

	c->chosen[t] = choice;
	if (!c->versions[t][choice]) {
		problem = lfunc_verify(f);
		if (problem)
			return diag_report(c->diag, &c->plans.node[t]->loc, E_INTERNAL,
			                   "kernel '%s': %s", f->name, problem);
		c->versions[t][choice] = versions_new(c->plans.arena, c->plans.node[t], f);
	}
	c->plans.kernel[t] = c->versions[t][choice];
	return true;
}

static bool
take_all(Choice *c, const int *chosen)
{
	for (int t = 0; t < c->plans.nnodes; t++)
		if (!take_kernel(c, t, chosen[t]))
			return false;
	return true;
}

/* Of equal ones the last, which is the reference lowering. */
static int
least_scratch(const NodeKernels *all)
{
	int best = all->n - 1;

	for (int k = all->n - 2; k >= 0; k--)
		if (all->v[k].scratch < all->v[best].scratch)
			best = k;
	return best;
}

/* Lowers everything, also what sharing may make superfluous. */
static void
list_kernels(Choice *c)
{
	Arena *a = c->plans.arena;
	const ProgramBudget *b = budget_of(c);
	KernelOptions *o = NULL;

	if (c->plans.options->kernels) {
		o = arena_copy(a, c->plans.options->kernels, sizeof *o);
		o->every = b->ram || b->flash || b->cycles;
	}
	for (int t = 0; t < c->plans.nnodes; t++) {
		c->choices[t] = kernels_of(a, c->plans.node[t], o);
		c->versions[t] = ARENA_ARRAY(a, Versions *, c->choices[t].n);
	}
}

/* ---- Costs ---- */

/* Bytes of states that the caller keeps. */
static size_t
state_bytes(const Plans *p)
{
	size_t bytes = 0;

	for (int i = 0; i < p->graph->states.n && p->options->io == IO_CALLER; i++)
		bytes += type_bytes(&p->graph->states.v[i]->type);
	return bytes;
}

/* What the chosen kernels take together.  With the layout of other ones nothing is known
 * of their orders, which differ a little in code. */
static ProgramCost
cost_of(const Choice *c, const Layout *l)
{
	Arena *a = arena_child(c->plans.arena);
	ProgramCost cost;
	Tally tally;

	tally_init(&tally, a, c->plans.graph, c->plans.options->kernels);
	tally.merges = is_small(c);
	for (int t = 0; t < c->plans.nnodes; t++) {
		const NodeKernel *k = &c->choices[t].v[c->chosen[t]];
		bool has_order = l == c->layout && c->plans.kernel[t]->fn[l->order[t]];

		if (l->no_kernel[t])
			continue;
		tally_function(&tally, has_order ? c->plans.kernel[t]->fn[l->order[t]] : k->fn,
		               k->cycles);
		for (int i = 0; i < k->fn->bufs.n; i++) {
			const LBuf *b = k->fn->bufs.v[i];

			if (b->role == LBUF_IN && b->data && lfunc_uses(k->fn, b))
				tally_constant(&tally, b->data, (size_t)b->count *
				                                        (size_t)dtype_info[b->elem].bytes);
		}
	}
	cost = tally.cost;
	cost.ram = l->result.size + state_bytes(&c->plans);
	arena_free(a);
	return cost;
}

/* ---- What fits the memory ---- */

/* Bytes that the arena may have, when the smallest one has `least`.  Regions say by
 * themselves how much there is. */
static size_t
most_memory(const Choice *c, size_t least)
{
	size_t ram = budget_of(c)->ram, states = state_bytes(&c->plans);

	if (ram)
		return ram > states ? ram - states : 0;
	if (c->plans.options->nregions)
		return SIZE_MAX;
	switch (c->plans.options->kernels ? c->plans.options->kernels->level : 's') {
	case '3': return SIZE_MAX;
	case '2': return 2 * least;
	default: return least;
	}
}

/* The end of the memory that is taken at time t and begins at or before `at`; `at` where
 * there is none. */
static size_t
taken_from(const Layout *l, int t, size_t at)
{
	size_t end = at;

	for (int i = 0; i < l->nitems; i++)
		for (int k = 0; k < l->item[i].nrects; k++) {
			const PlanRect *r = &l->item[i].rect[k];
			size_t place = l->item[i].place + r->offset;

			if (r->first <= t && r->last >= t && place <= at && place + r->size > end)
				end = place + r->size;
		}
	return end;
}

/* Where memory that is taken at time t begins behind `at`; the arena's end where there is
 * none. */
static size_t
taken_behind(const Layout *l, int t, size_t at)
{
	size_t next = l->result.size;

	for (int i = 0; i < l->nitems; i++)
		for (int k = 0; k < l->item[i].nrects; k++) {
			const PlanRect *r = &l->item[i].rect[k];
			size_t place = l->item[i].place + r->offset;

			if (r->first <= t && r->last >= t && place > at && place < next)
				next = place;
		}
	return next;
}

/* Bytes of the arena that are taken while node t runs, which may be so by several values. */
static size_t
memory_at(const Layout *l, int t)
{
	size_t bytes = 0, at = 0;

	while (at < l->result.size) {
		size_t end = taken_from(l, t, at);

		bytes += end - at;
		at = end > at ? end : taken_behind(l, t, at);
	}
	return bytes;
}

static bool
layout_fits(const Layout *l, size_t most)
{
	return l->result.size <= most && !l->overflow;
}

/* Bytes of all regions. */
static size_t
region_bytes(const ProgramOptions *o)
{
	size_t sum = 0;

	for (int r = 0; r < o->nregions; r++)
		if (__builtin_add_overflow(sum, o->region[r].size, &sum))
			return SIZE_MAX;
	return o->nregions ? sum : SIZE_MAX;
}

/* Bytes that are free while each node runs. */
static size_t *
free_memory(const Choice *c, const Layout *l, size_t most)
{
	size_t *spare = ARENA_ARRAY(c->plans.arena, size_t, c->plans.nnodes);

	if (region_bytes(c->plans.options) < most)
		most = region_bytes(c->plans.options);
	for (int t = 0; t < c->plans.nnodes; t++) {
		size_t used;

		/* Where there is no choice nobody asks. */
		if (c->choices[t].n < 2)
			continue;
		used = memory_at(l, t);
		/* What the kernel has there for itself, another one may have. */
		spare[t] = used < most ? most - used : 0;
		spare[t] += (size_t)c->choices[t].v[c->chosen[t]].scratch;
	}
	return spare;
}

/* ---- Choices without a budget of flash or cycles ---- */

/* Whether a kernel's scratch has room in a part of the free memory, and all that it takes
 * in the whole of it. */
static bool
has_room(const NodeKernel *k, size_t spare, size_t part)
{
	return (size_t)k->scratch <= spare / part && (size_t)(k->scratch + k->apart) <= spare;
}

/* For every node the best kernel that has room in spare[t]. */
static void
choose_best(const Choice *c, const size_t *spare, size_t part, int *chosen)
{
	for (int t = 0; t < c->plans.nnodes; t++) {
		const NodeKernels *all = &c->choices[t];
		int least = least_scratch(all), k = 0;

		while (k < all->n - 1 && !has_room(&all->v[k], spare[t], part))
			k++;
		chosen[t] = has_room(&all->v[k], spare[t], part) ? k : least;
	}
}

/* ---- Choices within a budget ---- */

/* Flash and cycles of all kernels as ways to pick from; `swapped`: bytes are the cost and
 * cycles the weight. */
static PickItem *
make_items(const Choice *c, Arena *a, const Layout *l, const size_t *spare, size_t part,
           bool swapped, int **kernel)
{
	PickItem *items = ARENA_ARRAY(a, PickItem, c->plans.nnodes);

	for (int t = 0; t < c->plans.nnodes; t++) {
		const NodeKernels *all = &c->choices[t];
		PickWay *way = ARENA_ARRAY(a, PickWay, all->n);
		int least = least_scratch(all), n = 0;

		kernel[t] = ARENA_ARRAY(a, int, all->n);
		for (int k = 0; k < all->n; k++) {
			const NodeKernel *x = &all->v[k];
			int64_t bytes = x->code + x->constants;

			if (k != least && (!has_room(x, spare[t], part) || l->no_kernel[t]))
				continue;
			if (l->no_kernel[t])
				way[n] = (PickWay){0};
			else
				way[n] = swapped ? (PickWay){bytes, x->cycles}
				                 : (PickWay){x->cycles, bytes};
			kernel[t][n++] = k;
		}
		items[t] = (PickItem){n, way};
	}
	return items;
}

static void
take_picked(const Choice *c, int *const *kernel, const int *picked, int *chosen)
{
	for (int t = 0; t < c->plans.nnodes; t++)
		chosen[t] = kernel[t][picked[t]];
}

/* The fastest kernels that take `flash` bytes, as a tally has them, or the smallest.  False
 * when an error was reported. */
static bool
pick_by_flash(Choice *c, Arena *a, const Layout *l, const PickItem *items, int *const *kernel,
              int64_t flash, int *best)
{
	int n = c->plans.nnodes, *picked = ARENA_ARRAY(a, int, n), *chosen = ARENA_ARRAY(a, int, n);
	int64_t limit = pick_least_weight(items, n), fastest = INT64_MAX;

	for (int round = 0; round <= MAX_ROUNDS; round++) {
		PickResult r;
		ProgramCost cost;
		int64_t moved;

		if (!pick_ways(a, items, n, limit, picked, &r))
			break;
		take_picked(c, kernel, picked, chosen);
		if (!take_all(c, chosen))
			return false;
		cost = cost_of(c, l);
		if (!round || ((int64_t)program_flash(&cost) <= flash && cost.cycles < fastest)) {
			for (int t = 0; t < n; t++)
				best[t] = chosen[t];
			fastest = cost.cycles;
		}
		if (!round && (int64_t)program_flash(&cost) > flash)
			break;
		moved = flash + r.weight - (int64_t)program_flash(&cost);
		if (moved == limit)
			break;
		limit = moved;
	}
	return true;
}

/* The least bytes of flash with enough speed, as pick_ways() adds them up, or the fastest
 * kernels. */
static void
pick_by_cycles(const Choice *c, Arena *a, const PickItem *items, int *const *kernel, int *best)
{
	int n = c->plans.nnodes, *picked = ARENA_ARRAY(a, int, n);
	int64_t limit = budget_of(c)->cycles, least = pick_least_weight(items, n);
	PickResult r;

	if (pick_ways(a, items, n, least <= limit ? limit : least, picked, &r))
		take_picked(c, kernel, picked, best);
}

/* Whether bytes are to be few, as far as cycles allow. */
static bool
wants_small(const Choice *c)
{
	return is_small(c) && budget_of(c)->cycles > 0;
}

/* Kernels that have room in spare[t], and, with a budget of flash, that take
 * `flash` bytes together.  False when an error was reported. */
static bool
choose_within(Choice *c, const Layout *l, const size_t *spare, size_t part, int64_t flash)
{
	Arena *a = arena_child(c->plans.arena);
	int *chosen = ARENA_ARRAY(a, int, c->plans.nnodes);
	int **kernel = ARENA_ARRAY(a, int *, c->plans.nnodes);
	bool small = wants_small(c), ok = true;

	if (c->flash || small) {
		PickItem *items = make_items(c, a, l, spare, part, small, kernel);

		if (small)
			pick_by_cycles(c, a, items, kernel, chosen);
		else
			ok = pick_by_flash(c, a, l, items, kernel, flash, chosen);
	} else {
		choose_best(c, spare, part, chosen);
	}
	ok = ok && take_all(c, chosen);
	arena_free(a);
	return ok;
}

/* ---- Single nodes that may still get faster ---- */

typedef struct {
	int node, kernel;
	int64_t saved;
} Upgrade;

static int
compare_upgrades(const void *pa, const void *pb)
{
	const Upgrade *a = pa, *b = pb;

	if (a->saved != b->saved)
		return a->saved > b->saved ? -1 : 1;
	if (a->node != b->node)
		return a->node < b->node ? -1 : 1;
	return (a->kernel > b->kernel) - (a->kernel < b->kernel);
}

/* Bytes of flash above the budget; the layout is that of the chosen kernels. */
static size_t
flash_excess(const Choice *c)
{
	size_t flash = c->flash;
	ProgramCost cost;

	if (!flash)
		return 0;
	cost = cost_of(c, c->layout);
	return program_flash(&cost) > flash ? program_flash(&cost) - flash : 0;
}

/* Cycles that kernel k of a node saves; 0: it is no better.  At -Os the first in the list
 * is best, for its size, and what that saves counts for all. */
static int64_t
saved_by(const Choice *c, int t, int k)
{
	const NodeKernels *all = &c->choices[t];
	int64_t saved;

	if (is_small(c) && k >= c->chosen[t])
		return 0;
	saved = all->v[c->chosen[t]].cycles - all->v[is_small(c) ? 0 : k].cycles;
	return is_small(c) && saved <= 0 ? 1 : saved;
}

/* Tries better kernels, whatever saves most first. */
static bool
upgrade_nodes(Choice *c, size_t most)
{
	Arena *a = c->plans.arena;
	VEC(Upgrade) all = {0};

	for (int t = 0; t < c->plans.nnodes; t++)
		for (int k = 0; k < c->choices[t].n; k++) {
			int64_t saved = saved_by(c, t, k);

			if (saved > 0 && !c->layout->no_kernel[t])
				VEC_PUSH(a, &all, ((Upgrade){t, k, saved}));
		}
	if (all.n)
		qsort(all.v, (size_t)all.n, sizeof *all.v, compare_upgrades);
	for (int i = 0, tries = MAX_TRIES / (c->plans.nnodes + 1); i < all.n && tries > 0; i++) {
		int t = all.v[i].node, old = c->chosen[t];
		const Layout *before = c->layout;

		if (saved_by(c, t, all.v[i].kernel) <= 0)
			continue;
		if (!take_kernel(c, t, all.v[i].kernel))
			return false;
		c->layout = layout_choose(&c->plans);
		tries--;
		if (layout_fits(c->layout, most) && !flash_excess(c))
			continue;
		c->layout = before;
		if (!take_kernel(c, t, old))
			return false;
	}
	return true;
}

/* ---- Budgets that cannot be met ---- */

/* The node with the most memory. */
static int
worst_node(const Choice *c, const Layout *l)
{
	int worst = 0;
	size_t most = 0;

	for (int t = 0; t < c->plans.nnodes; t++)
		if (memory_at(l, t) > most) {
			most = memory_at(l, t);
			worst = t;
		}
	return worst;
}

static bool
has_floats(const Graph *g)
{
	for (const Node *n = g->first; n; n = n->next)
		for (int i = 0; i < n->nins; i++)
			if (n->in[i] && n->in[i]->data && n->in[i]->type.dtype == DT_F32)
				return true;
	return false;
}

/* Bytes of the arena if inputs might be overwritten. */
static size_t
clobbered_size(const Choice *c)
{
	ProgramOptions options = *c->plans.options;
	Plans p = c->plans;

	options.clobber_input = true;
	p.options = &options;
	return layout_choose(&p)->result.size;
}

static bool
report_ram(const Choice *c, const Layout *l)
{
	size_t states = state_bytes(&c->plans), ram = l->result.size + states;
	const ProgramOptions *o = c->plans.options;
	int worst = worst_node(c, l);
	size_t clobbered = o->io == IO_CALLER && !o->clobber_input ? clobbered_size(c) : SIZE_MAX;

	diag_report(c->diag, c->plans.nnodes ? &c->plans.node[worst]->loc : NULL, E_BUDGET,
	            "'--max-ram=%zu': the arena takes %zu bytes%s, %zu more than allowed; most "
	            "of it is needed here", o->budget.ram, l->result.size,
	            states ? arena_printf(c->plans.arena, " and states %zu", states) : "",
	            ram - o->budget.ram);
	if (clobbered < l->result.size)
		diag_note(c->diag, NULL, "with '-fclobber-input' the arena takes %zu bytes",
		          clobbered);
	if (has_floats(c->plans.graph))
		diag_note(c->diag, NULL, "with '-fquantize=int8' float tensors take a quarter");
	if (clobbered >= l->result.size && !has_floats(c->plans.graph))
		diag_note(c->diag, NULL, "no choice of kernels takes less; smaller inputs or fewer "
		                         "channels in that layer would");
	return false;
}

static bool
report_regions(const Choice *c, const Layout *l)
{
	const ProgramOptions *o = c->plans.options;
	const Region *full = &l->region[l->full];
	ProgramOptions one = *o;
	Plans p = c->plans;

	one.nregions = 0;
	p.options = &one;
	diag_report(c->diag, c->plans.nnodes ? &c->plans.node[worst_node(c, l)]->loc : NULL, E_BUDGET,
	            "'-mregion=%s:%zu': what fits no other region takes %zu bytes there, %zu more "
	            "than it has; most memory is needed here", full->memory.name,
	            full->memory.size, full->size, full->size - full->memory.size);
	diag_note(c->diag, NULL, "in one piece the arena would take %zu bytes; all regions have %zu",
	          layout_choose(&p)->result.size, region_bytes(o));
	return false;
}

/* What all nodes would take if each had its fastest kernel, or its smallest. */
static ProgramCost
cost_without_limits(const Choice *c, bool fastest)
{
	Choice all = *c;
	Layout other = *c->layout;

	all.chosen = ARENA_ARRAY(c->plans.arena, int, c->plans.nnodes);
	for (int t = 0; t < c->plans.nnodes; t++)
		for (int k = 1; k < c->choices[t].n; k++) {
			const NodeKernel *x = &c->choices[t].v[k], *best = &c->choices[t].v[all.chosen[t]];

			if (fastest ? x->cycles < best->cycles
			            : x->code + x->constants < best->code + best->constants)
				all.chosen[t] = k;
		}
	return cost_of(&all, &other);
}

static bool
report_flash(const Choice *c, const ProgramCost *cost)
{
	size_t flash = budget_of(c)->flash;
	ProgramCost least = cost_without_limits(c, false);

	diag_report(c->diag, &(Loc){.file = c->plans.nnodes ? c->plans.node[0]->loc.file : NULL},
	            E_BUDGET,
	            "'--max-flash=%zu': constants take %zu bytes and code about %zu, %zu more in "
	            "all than allowed", flash, cost->constants, cost->code,
	            program_flash(cost) - flash);
	if (program_flash(&least) < program_flash(cost))
		diag_note(c->diag, NULL, "with more memory for the arena it could be about %zu bytes",
		          program_flash(&least));
	if (has_floats(c->plans.graph))
		diag_note(c->diag, NULL, "with '-fquantize=int8' constants take about a quarter");
	else
		diag_note(c->diag, NULL, "this is the smallest choice of kernels; '-fprune=channel:' "
		                         "or '-fquantize=int4' of the float model make it smaller");
	return false;
}

static bool
report_cycles(const Choice *c, const ProgramCost *cost)
{
	int64_t cycles = budget_of(c)->cycles;
	ProgramCost fastest = cost_without_limits(c, true);
	Loc loc = {.file = c->plans.nnodes ? c->plans.node[0]->loc.file : NULL};

	if (!cost->cycles)
		return diag_report(c->diag, &loc, E_BUDGET,
		                   "'--max-cycles=%lld': nothing is known of how long instructions "
		                   "take on this target; name a processor with '-mcpu='",
		                   (long long)cycles);
	diag_report(c->diag, &loc, E_BUDGET,
	            "'--max-cycles=%lld': a call takes about %lld cycles, %lld more than allowed",
	            (long long)cycles, (long long)cost->cycles, (long long)(cost->cycles - cycles));
	if (fastest.cycles < cost->cycles)
		diag_note(c->diag, NULL, "with more memory and flash it could be about %lld cycles, "
		                         "with %zu bytes of flash", (long long)fastest.cycles,
		          program_flash(&fastest));
	else
		diag_note(c->diag, NULL, "these are the fastest kernels there are");
	return false;
}

bool
choose_check(const Choice *c, const ProgramCost *cost)
{
	const ProgramBudget *b = budget_of(c);

	if (b->flash && program_flash(cost) > b->flash)
		return report_flash(c, cost);
	if (b->cycles && (!cost->cycles || cost->cycles > b->cycles))
		return report_cycles(c, cost);
	return true;
}

/* ---- Remarks ---- */

/* What the fastest kernel that was not taken would have saved, and cost. */
static const char *
missed(const Choice *c, int t)
{
	const NodeKernels *all = &c->choices[t];
	const NodeKernel *k = &all->v[c->chosen[t]], *best = &all->v[0];

	for (int i = 1; i < all->n; i++)
		if (all->v[i].cycles < best->cycles)
			best = &all->v[i];
	if (best->cycles >= k->cycles)
		return "";
	return arena_printf(c->plans.arena, "; %s would save %lld cycles, with %lld bytes more of "
	                                    "flash and %lld of scratch",
	                    best->name, (long long)(k->cycles - best->cycles),
	                    (long long)(best->code + best->constants - k->code - k->constants),
	                    (long long)(best->scratch - k->scratch));
}

void
choose_report(const Choice *c)
{
	const ProgramBudget *b = budget_of(c);
	const KernelOptions *o = c->plans.options->kernels;
	ProgramCost cost;

	if (!o || !o->remarks)
		return;
	for (int t = 0; t < c->plans.nnodes; t++) {
		const NodeKernels *all = &c->choices[t];
		const NodeKernel *k = &all->v[c->chosen[t]], *last = &all->v[all->n - 1];

		if (all->n > 1)
			diag_report(c->diag, &c->plans.node[t]->loc, R_PASS,
			            "kernels: %s: about %lld cycles (reference lowering %lld) and "
			            "%lld bytes of code, %lld bytes of constants, %lld of scratch%s",
			            k->name, (long long)k->cycles, (long long)last->cycles,
			            (long long)k->code, (long long)k->constants,
			            (long long)k->scratch, missed(c, t));
	}
	if (!b->ram && !b->flash && !b->cycles)
		return;
	cost = cost_of(c, c->layout);
	diag_report(c->diag, &(Loc){.file = c->plans.nnodes ? c->plans.node[0]->loc.file : NULL},
	            R_PASS, "kernels: within the budget: %zu bytes of memory, %zu bytes of constants, "
	            "about %zu of code and %lld cycles", cost.ram, cost.constants, cost.code,
	            (long long)cost.cycles);
}

/* ---- All ---- */

/* Chooses with a part of the free memory.  Orders that the plan asks for may take more
 * code than was thought: then less flash is given away. */
static bool
choose_part(Choice *c, const Layout *least, const size_t *spare, size_t part)
{
	/* Sums with it have to stay in range; nothing is as large. */
	const uint64_t most = INT64_MAX / 4;
	int64_t flash = (int64_t)(c->flash < most ? c->flash : most);

	for (int round = 0; round < MAX_ROUNDS; round++) {
		size_t excess;

		if (!choose_within(c, least, spare, part, flash))
			return false;
		c->layout = layout_choose(&c->plans);
		excess = flash_excess(c);
		if (!excess)
			return true;
		flash -= (int64_t)excess;
	}
	return true;
}

/* Whether it was said how much memory there is. */
static bool
is_bound(const Choice *c)
{
	return budget_of(c)->ram || c->plans.options->nregions;
}

/* The layout with the best kernels that fits `most` bytes; that of the smallest, `least`,
 * where there is none. */
static bool
choose_layout(Choice *c, const Layout *least, size_t most)
{
	const size_t *spare = free_memory(c, least, most);
	int *smallest = arena_copy(c->plans.arena, c->chosen,
	                           (size_t)c->plans.nnodes * sizeof *c->chosen);

	for (size_t part = 1; part <= MAX_PARTS; part *= 4) {
		if (!choose_part(c, least, spare, part))
			return false;
		if (layout_fits(c->layout, most))
			return part == 1 || upgrade_nodes(c, most);
	}
	c->layout = least;
	return take_all(c, smallest) && upgrade_nodes(c, most);
}

/* How fast the chosen kernels are, as far as a budget of cycles asks for it. */
static bool
is_fast_enough(const Choice *c)
{
	int64_t cycles = budget_of(c)->cycles;

	return !cycles || cost_of(c, c->layout).cycles <= cycles;
}

/* Without a budget of memory, one of cycles gets more than the level allows. */
static bool
choose_for_cycles(Choice *c, const Layout *least, size_t most)
{
	const size_t more[] = {most, 2 * least->result.size, SIZE_MAX};
	int n = is_bound(c) ? 1 : (int)(sizeof more / sizeof *more);
	int *smallest = arena_copy(c->plans.arena, c->chosen,
	                           (size_t)c->plans.nnodes * sizeof *c->chosen);

	for (int i = 0; i < n; i++) {
		if (!take_all(c, smallest) || !choose_layout(c, least, more[i]))
			return false;
		if (is_fast_enough(c))
			break;
	}
	return true;
}

static void
make_room(Choice *c)
{
	Arena *a = c->plans.arena;

	c->plans.kernel = ARENA_ARRAY(a, Versions *, c->plans.nnodes);
	c->plans.last_order = ARENA_ARRAY(a, Order, c->plans.nnodes);
	c->choices = ARENA_ARRAY(a, NodeKernels, c->plans.nnodes);
	c->chosen = ARENA_ARRAY(a, int, c->plans.nnodes);
	c->versions = ARENA_ARRAY(a, Versions **, c->plans.nnodes);
}

bool
choose_kernels(Choice *c)
{
	const Layout *least;
	size_t most;

	if (!c->choices) {
		make_room(c);
		list_kernels(c);
	}
	for (int t = 0; t < c->plans.nnodes; t++)
		if (!take_kernel(c, t, least_scratch(&c->choices[t])))
			return false;
	c->layout = least = layout_choose(&c->plans);
	most = most_memory(c, least->result.size);
	if (least->overflow)
		return report_regions(c, least);
	if (least->result.size > most)
		return report_ram(c, least);
	return choose_for_cycles(c, least, most);
}
