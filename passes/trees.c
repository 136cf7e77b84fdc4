/*
 * trees: choose how decision trees are computed.
 *
 *	%y = trees(%x, ...)		=>	%y = trees(%x, ...) {code=complete}
 *
 * All ways give the same bits (ir/trees.h); a model of what they cost says which is
 * taken.  With -Os and -Oz that is the smallest, then the fastest; else the fastest, and
 * of those that are nearly as fast the smallest.
 *
 *  - A large processor guesses branches well as long as there are few, and has some
 *    loads under way at a time: many tests are best done several trees at a time.  With
 *    many rows all tests of a tree are done in vectors; the attribute `batch` asks for that
 *    where NAME_run_batch has them, beside the way for one row.
 *  - A microcontroller does one thing after the other: nested conditions have the
 *    fewest instructions, and cost the most flash.
 *  - What has no keys (sets of many kinds, a third child) becomes conditions that compare
 *    floats; the largest of these remain a walk over the arrays.
 *
 * Before that equal subtrees are made one, and tests whose children are equal are left
 * out; tables and conditions have what is left, each use of a subtree counts in the others.
 *
 * Compilers take much longer than linear time for long functions, so a node with many
 * trees that becomes conditions is split, each part going on from the result of the one
 * before:
 *
 *	%1 = trees(%x, ..., root[0..9]) {code=branches}
 *	%y = trees(%x, ..., root[10..19], base=%1) {code=branches}
 *
 * A node whose code is not `walk`, or whose keys are `none`, has been chosen for and is
 * left alone.
 */
#include <math.h>
#include <string.h>

#include "ir/trees.h"
#include "passes/compression/forest.h"
#include "passes/pass.h"

enum {
	FUNCTION_TESTS = 400, /* in one function of conditions */
	MOST_TESTS = 20000    /* in all of them */
};

/* A way with its keys, and what it costs. */
typedef struct {
	TreeCode code;
	TreeKeyKind keys;
	int64_t bytes, scratch;
	double cycles;
	bool possible;
} Choice;

enum { MAX_CHOICES = (int)TREE_CODE_COUNT * (int)TREE_KEYS_COUNT };

/* ---- What a step costs ---- */

/* Cycles of a step, of making one key, and of taking a leaf into the result. */
typedef struct {
	double step[TREE_CODE_COUNT];
	double plain_branch; /* a condition on floats */
	double key, halving; /* halving: once more for ranks */
	double sum;
	double miss;         /* a branch that was not guessed, */
	double hard_tests;   /* how many tests make half of them so; 0: none are guessed */
	/* Many rows side by side: a test of a row by vectors of 16 bytes, a comparison that finds
	 * a rank, a leaf; 0: not known. */
	double lanes, level, sum_of_many;
} Machine;

/* Measured with tests/bench/trees.py on x86-64 and on the models of Cortex-M4 and M0. */
static const Machine large = {
	.step = {[TREE_CODE_walk] = 25, [TREE_CODE_tables] = 8, [TREE_CODE_packed] = 14,
	         [TREE_CODE_interleaved] = 1.6, [TREE_CODE_complete] = 1.9,
	         [TREE_CODE_vectors] = 3, [TREE_CODE_branches] = 1.5},
	.plain_branch = 1.6, .key = 2, .halving = 3, .sum = 2, .miss = 18, .hard_tests = 5000,
	.lanes = 0.16, .level = 2.6, .sum_of_many = 1.4};
static const Machine small = {
	.step = {[TREE_CODE_walk] = 60, [TREE_CODE_tables] = 19, [TREE_CODE_packed] = 28,
	         [TREE_CODE_interleaved] = 36, [TREE_CODE_complete] = 15,
	         [TREE_CODE_vectors] = 20, [TREE_CODE_branches] = 8},
	.plain_branch = 9, .key = 14, .halving = 9, .sum = 6};
static const Machine small_soft = {
	.step = {[TREE_CODE_walk] = 180, [TREE_CODE_tables] = 50, [TREE_CODE_packed] = 55,
	         [TREE_CODE_interleaved] = 90, [TREE_CODE_complete] = 40,
	         [TREE_CODE_vectors] = 50, [TREE_CODE_branches] = 20},
	.plain_branch = 75, .key = 30, .halving = 16, .sum = 75};

/* Without a word about the machine it is a large one. */
static const Machine *
machine_of(const Target *t)
{
	if (!t || t->pointer_bytes == 8 || strcmp(t->name, "generic") == 0)
		return &large;
	return t->isa & ISA_FLOAT ? &small : &small_soft;
}

/* Rows in lanes: a test is an instruction or two for as many as fit a vector. */
static double
vector_speedup(const PassCtx *cx, const Trees *t)
{
	int bytes = cx->target && cx->target->vector_bytes ? cx->target->vector_bytes : 16;

	if (t->rows < 8 || machine_of(cx->target) != &large)
		return 1;
	return bytes / 4.0;
}

static double
cycles_of(const PassCtx *cx, const Trees *t, const Choice *c, const TreeCost *cost)
{
	const Machine *m = machine_of(cx->target);
	double step = m->step[c->code], keys = cost->slots * m->key;
	int32_t tests = trees_count_tests(cx->scratch, t, NULL);

	if (c->code == TREE_CODE_branches && c->keys == TREE_KEYS_none)
		step = m->plain_branch;
	if (cost->cuts)
		keys += cost->slots * m->halving * (1 + log2(1 + (double)cost->cuts / cost->slots));
	if (c->code == TREE_CODE_branches) {
		keys *= 1 + tests / FUNCTION_TESTS; /* each function makes its own */
		if (m->hard_tests > 0)
			step += m->miss / 2 * fmin(1, tests / m->hard_tests);
	}
	if (c->code == TREE_CODE_vectors)
		step /= vector_speedup(cx, t);
	return cost->steps * step + keys + t->trees * m->sum;
}

/* Bytes of code that do not depend on the ensemble, at -Os. */
static int64_t
fixed_bytes(const Choice *c)
{
	static const int16_t bytes[TREE_CODE_COUNT] = {
		[TREE_CODE_walk] = 200, [TREE_CODE_tables] = 150, [TREE_CODE_packed] = 170,
		[TREE_CODE_interleaved] = 900, [TREE_CODE_complete] = 1400,
		[TREE_CODE_vectors] = 500, [TREE_CODE_branches] = 60};

	return bytes[c->code] + (c->keys == TREE_KEYS_rank ? 250 : c->keys == TREE_KEYS_order ? 60 : 0);
}

/* ---- Choosing ---- */

static Choice
weigh(const PassCtx *cx, const Trees *t, TreeCode code, TreeKeyKind keys)
{
	Choice c = {.code = code, .keys = keys};
	TreeCost cost;

	/* Only conditions and the walk can do without keys, and the walk has none. */
	if ((keys == TREE_KEYS_none) != (code == TREE_CODE_walk) && code != TREE_CODE_branches)
		return c;
	c.possible = trees_have_code(cx->scratch, t, code, keys);
	if (!c.possible)
		return c;
	cost = trees_cost(cx->scratch, t, code, keys);
	c.bytes = cost.bytes + fixed_bytes(&c);
	c.scratch = cost.scratch;
	c.cycles = cycles_of(cx, t, &c, &cost);
	if (code == TREE_CODE_branches && trees_count_tests(cx->scratch, t, NULL) > MOST_TESTS)
		c.possible = cx->tree_code == TREE_CODE_branches;
	return c;
}

static bool
is_wished(const PassCtx *cx, const Choice *c)
{
	return (cx->tree_code < 0 || cx->tree_code == (int)c->code) &&
	       (cx->tree_keys < 0 || cx->tree_keys == (int)c->keys);
}

/* All that are possible; returns how many. */
static int
list_choices(const PassCtx *cx, const Trees *t, Choice *list)
{
	int n = 0;

	for (int code = 0; code < TREE_CODE_COUNT; code++)
		for (int keys = 0; keys < TREE_KEYS_COUNT; keys++) {
			Choice c = weigh(cx, t, (TreeCode)code, (TreeKeyKind)keys);

			if (c.possible)
				list[n++] = c;
		}
	return n;
}

/* Speed that is given away for size. */
#define NEARLY 1.05

/* The budgets are those of the whole program: what is beside the trees is small. */
static bool
is_within(const PassCtx *cx, const Choice *c)
{
	return (!cx->max_flash || c->bytes <= cx->max_flash) &&
	       (!cx->max_ram || c->scratch <= cx->max_ram) &&
	       (!cx->max_cycles || c->cycles <= (double)cx->max_cycles);
}

/* The best of those in the list that have `worth`; NULL: none has. */
static const Choice *
best_worth(const PassCtx *cx, const Choice *list, const bool *worth, int n)
{
	const Choice *best = NULL;
	double fastest = HUGE_VAL;

	for (int i = 0; i < n; i++)
		if (worth[i])
			fastest = fmin(fastest, list[i].cycles);
	for (int i = 0; i < n; i++) {
		const Choice *c = &list[i];

		if (!worth[i] || (!cx->small && c->cycles > fastest * NEARLY))
			continue;
		if (!best || c->bytes < best->bytes ||
		    (c->bytes == best->bytes && c->cycles < best->cycles))
			best = c;
	}
	return best;
}

/* The best of the list, of which `wished` takes those that the user asks for; NULL: none.
 * When nothing is within the budgets it is the smallest, which says how far they are off. */
static const Choice *
best_of(const PassCtx *cx, const Choice *list, int n, bool wished)
{
	const Choice *best = NULL;
	bool worth[MAX_CHOICES];

	for (int i = 0; i < n; i++)
		worth[i] = (!wished || is_wished(cx, &list[i])) && is_within(cx, &list[i]);
	best = best_worth(cx, list, worth, n);
	for (int i = 0; i < n && !best; i++)
		worth[i] = !wished || is_wished(cx, &list[i]);
	if (!best)
		for (int i = 0; i < n; i++)
			if (worth[i] && (!best || list[i].bytes < best->bytes))
				best = &list[i];
	return best;
}

static const char *
name_of(Arena *a, const Choice *c)
{
	const char *code = op_enum_words(OP_TREES, "code")[c->code];

	switch (c->keys) {
	case TREE_KEYS_order: return arena_printf(a, "%s on integers", code);
	case TREE_KEYS_rank: return arena_printf(a, "%s on ranks", code);
	case TREE_KEYS_none:
	case TREE_KEYS_COUNT: break;
	}
	return code;
}

/* What was chosen, and what else there was. */
static void
remark(const PassCtx *cx, const Node *n, const Trees *t, const Choice *list, int count,
       const Choice *best)
{
	Arena *a = cx->scratch;

	if (!cx->remarks[PASS_trees])
		return;
	diag_report(cx->diag, &n->loc, R_PASS,
	            "trees: %d trees with %d tests, %d deep, as %s: about %lld bytes and %.0f cycles "
	            "a row",
	            t->trees, trees_count_tests(a, t, NULL), trees_depth(a, t, NULL), name_of(a, best),
	            (long long)best->bytes, best->cycles);
	for (int i = 0; i < count; i++)
		if (&list[i] != best)
			diag_note(cx->diag, &n->loc, "%s would be about %lld bytes and %.0f cycles",
			          name_of(a, &list[i]), (long long)list[i].bytes, list[i].cycles);
}

/* What to take for the ensemble.  A wish that cannot be is a warning. */
static Choice
choose(const PassCtx *cx, const Node *n, const Trees *t)
{
	Choice list[MAX_CHOICES];
	int count = list_choices(cx, t, list);
	const Choice *best = best_of(cx, list, count, true);

	if (!best) {
		best = best_of(cx, list, count, false);
		diag_report(cx->diag, &n->loc, W_MODEL,
		            "these trees cannot be computed as asked; they become %s",
		            name_of(cx->scratch, best));
	}
	remark(cx, n, t, list, count, best);
	return *best;
}

/* ---- Many rows ---- */

/* The share of the time that is left has to be below this for rows side by side to be worth
 * their bytes; of conditions, whose time depends most on the data, by more. */
static double
worth_it(const Choice *single)
{
	return single->code == TREE_CODE_branches ? 0.5 : 0.8;
}

/* Cycles of a row among many; `parts` nodes compute the ensemble, each with keys of its
 * own. */
static double
cycles_of_many(const PassCtx *cx, const Trees *t, const TreeCost *cost, int parts)
{
	const Machine *m = machine_of(cx->target);
	int bytes = cx->target && cx->target->vector_bytes ? cx->target->vector_bytes : 16;

	return cost->steps * m->lanes * cost->key_bytes * 16 / bytes + cost->cuts * m->level * parts +
	       t->trees * m->sum_of_many * (t->outputs > 1 ? 1.5 : 1);
}

/* Whether NAME_run_batch had better do rows side by side. */
static bool
choose_batch(const PassCtx *cx, const Node *n, const Trees *t, const Choice *single)
{
	int32_t tests = trees_count_tests(cx->scratch, t, NULL);
	int parts = single->code == TREE_CODE_branches ? 1 + tests / FUNCTION_TESTS : 1;
	TreeCost cost;
	double cycles;

	if (!cx->batch || cx->small || t->rows != 1 || !(machine_of(cx->target)->lanes > 0) ||
	    cx->tree_code >= 0 || !trees_have_many_rows(cx->scratch, t))
		return false;
	cost = trees_cost_of_rows(cx->scratch, t, TREE_KEYS_rank);
	cycles = cycles_of_many(cx, t, &cost, parts);
	if (cx->remarks[PASS_trees])
		diag_note(cx->diag, &n->loc,
		          "many rows side by side are about %lld more bytes and %.0f cycles a row: %s",
		          (long long)cost.bytes, cycles,
		          cycles < worth_it(single) * single->cycles ? "chosen" : "not worth it");
	return cycles < worth_it(single) * single->cycles;
}

/* ---- Parts ---- */

static Value *
slice_of_roots(Graph *g, const Trees *t, int32_t from, int32_t to)
{
	int32_t count = to - from;

	return graph_const(g, NULL, type_make(DT_I32, 1, &count), t->root + from);
}

/* Trees [from, to) of n in a node of their own; `in` has their base. */
static Node *
make_part(Graph *g, Node *n, const Trees *t, Value **in, int32_t from, int32_t to)
{
	int nins = n->nins > TREES_BASE ? n->nins : TREES_BASE + 1;
	Node *part;

	in[TREES_ROOT] = slice_of_roots(g, t, from, to);
	part = graph_insert(g, n, OP_TREES, nins, in, 1, NULL);
	*(Attr_TREES *)part->attr = *(const Attr_TREES *)n->attr;
	part->loc = n->loc;
	part->name = n->name;
	return part;
}

/* Replaces n by parts that are not too long; each goes on from the one before. */
static bool
split(Graph *g, Node *n, const Trees *t, const int32_t *tests, Diag *d)
{
	Value *in[TREES_INPUTS] = {NULL};
	int32_t from = 0;
	int64_t sum = 0;

	for (int i = 0; i < n->nins; i++)
		in[i] = n->in[i];
	for (int32_t i = 0; i < t->trees; i++) {
		Node *part;

		sum += tests[i];
		if (i + 1 < t->trees ? sum + tests[i + 1] <= FUNCTION_TESTS : from == 0)
			continue;
		part = make_part(g, n, t, in, from, i + 1);
		if (!node_infer(part, d))
			return false;
		in[TREES_BASE] = part->out[0];
		from = i + 1;
		sum = 0;
	}
	if (from > 0) {
		graph_replace_uses(g, n->out[0], in[TREES_BASE]);
		graph_remove(g, n);
	}
	return true;
}

/* Makes equal subtrees one. */
static void
merge_equal(Graph *g, Node *n, PassCtx *cx)
{
	Trees t = trees_of(n);
	Forest *f = forest_copy(cx->scratch, &t);

	if (f)
		forest_store(f, g, n, t.value->type.dtype);
}

bool
pass_trees(Graph *g, PassCtx *cx)
{
	for (Node *n = g->first, *next; n; n = next) {
		Attr_TREES *a = n->attr;
		int32_t *by_tree;
		Choice c;
		Trees t;

		next = n->next;
		if (n->op != OP_TREES || a->code != TREE_CODE_walk || a->keys == TREE_KEYS_none)
			continue;
		merge_equal(g, n, cx);
		t = trees_of(n);
		c = choose(cx, n, &t);
		a->code = c.code;
		a->keys = c.keys;
		a->batch = choose_batch(cx, n, &t, &c);
		cx->changed++;
		if (a->code != TREE_CODE_branches)
			continue;
		by_tree = ARENA_ARRAY(cx->scratch, int32_t, t.trees);
		trees_count_tests(cx->scratch, &t, by_tree);
		if (!split(g, n, &t, by_tree, cx->diag))
			return false;
	}
	return true;
}
