/*
 * Passes over the graph IR, and what runs them.
 *
 * A pass rewrites the graph in place.  It works or leaves the graph as it was,
 * never prints, and does the same to the same graph every time.  Each pass stands
 * on its own; the usual order, which repeats until nothing changes, is
 *
 *	expand, fuse-qdq, fold, simplify, fuse-batch-norm, fuse-bias, fuse-pad,
 *	channels-last, dead-channels, trees, cse, dce
 *
 * Code generation needs `expand`: it does not know sugar.  All others are optional.
 * All but fuse-qdq, fuse-batch-norm and fuse-bias keep every bit of the result; those
 * change roundings.  dead-channels takes zero times any float for zero.
 */
#ifndef MCC_PASSES_PASS_H
#define MCC_PASSES_PASS_H

#include "ir/graph.h"
#include "ir/target.h"

typedef enum {
#define PASS(id, name, summary) PASS_##id,
#include "passes/passes.def"
	PASS_COUNT
} PassId;

typedef struct PassCtx PassCtx;

/* False: an error was reported. */
typedef bool PassFn(Graph *g, PassCtx *cx);

#define PASS(id, name, summary) PassFn pass_##id;
#include "passes/passes.def"

typedef struct {
	PassId id;
	const char *name;    /* as in -passes= */
	const char *summary; /* one line for --help */
	PassFn *run;
} PassInfo;

extern const PassInfo pass_info[PASS_COUNT];

/* The pass of that name, or NULL. */
const PassInfo *pass_find(const char *name);

/* What the runs of one pass did. */
typedef struct {
	int runs;
	int changed;    /* rewrites, in the pass's own units */
	double seconds;
} PassStats;

/* Called around every run of a pass; NULL: not. */
typedef struct {
	void (*before)(void *user, const PassInfo *p, const Graph *g);
	void (*after)(void *user, const PassInfo *p, const Graph *g, int changed);
	void *user;
} PassHooks;

struct PassCtx {
	Diag *diag;
	Arena *scratch; /* of the pass that runs; emptied behind it */
	int changed;    /* the running pass counts its rewrites here */
	int64_t fold_iterations; /* that folding may still take; see node_fold_within() */
	bool verify_each;
	bool small;     /* prefer small programs to fast ones */
	const Target *target; /* NULL: any */
	int tree_code, tree_keys; /* a TreeCode and a TreeKeyKind that the pass trees is to
	                           * take; -1: as it likes */
	int64_t max_flash, max_ram, max_cycles; /* budgets of a program; 0: none */
	bool batch;     /* rows come by the hundred too: NAME_run_batch */
	bool remarks[PASS_COUNT]; /* passes that are to report R_PASS for each node */
	PassHooks hooks;
	PassStats stats[PASS_COUNT];
};

/* `scratch` becomes a child of `a`. */
void pass_init(PassCtx *cx, Arena *a, Diag *d);

/* Runs one pass with hooks, statistics and the verifier when asked for; cx->changed
 * says what it did.  A graph that does not verify is an error that names the pass. */
bool pass_run(const PassInfo *p, Graph *g, PassCtx *cx);

/* Passes to run one after the other. */
typedef VEC(const PassInfo *) PassList;

/* Appends the passes that a text as in -passes= names, separated by commas. */
bool pass_parse_list(Arena *a, const char *text, PassList *list, Diag *d);

/* Reports (R_PASS) each operator that works on floats between a dequantize and a quantize,
 * and why fuse-qdq left it so. */
void fuse_qdq_report_missed(const Graph *g, Diag *d);

/* Runs the list once, or again and again until nothing changes, at most `rounds`
 * times. */
bool pass_run_list(const PassList *list, Graph *g, PassCtx *cx, int rounds);

#endif
