/*
 * Between the files of codegen/program: the kernels of a graph's nodes, and how memory is
 * shared and placed.  Time is counted in nodes here.
 */
#ifndef MCC_CODEGEN_PROGRAM_LAYOUT_H
#define MCC_CODEGEN_PROGRAM_LAYOUT_H

#include "codegen/program/plan.h"
#include "codegen/program/share.h"

/* ---- Kernels and their versions (versions.c) ---- */

/* A node's kernel in all orders of its loops. */
typedef struct {
	LFunc *fn[ORDER_COUNT]; /* NULL: there is none */
	int nins, nouts;        /* arguments: inputs first, then outputs */
	/* By order, then input argument * nouts + output argument. */
	LDistance *distance[ORDER_COUNT];
	bool *known[ORDER_COUNT];
	signed char *may_share; /* of ORDER_FORWARD, the same index: -1 not known yet */
	double *accesses; /* by buffer: loads and stores of a call; NULL: not known yet */
} Versions;

/* An input argument that an output argument may lie over. */
typedef struct {
	int in, out;      /* arguments, as in Versions */
	int value, result; /* their values' ids */
} ArgPair;

typedef VEC(ArgPair) ArgPairs;

/* The versions of a verified kernel of `n`. */
Versions *versions_new(Arena *a, const Node *n, LFunc *f);

bool versions_has(Versions *v, Order order);

/* Whether the output may start d bytes after the input when the kernel runs in that
 * order. */
bool versions_allow(Versions *v, Order order, int in, int out, int64_t d);

LDistance versions_distance(Versions *v, Order order, int in, int out);

/* Whether they may start at the same place, forward. */
bool versions_may_share(Versions *v, int in, int out);

/* Loads and stores of a call by buffer of the kernel. */
const double *versions_accesses(Versions *v);

/* The input and output arguments of n that are no constants. */
ArgPairs versions_pairs(Arena *a, const Node *n);

/* ---- Functions for several steps (merge.c) ---- */

/* Steps whose functions differ in numbers only get one function, where that is smaller. */
void program_merge_functions(Program *p);

/* ---- Constants within constants (constants.c) ---- */

/* Constants that have the bytes of others, or of parts of others, lie in those. */
void program_share_constants(Program *p);

/* ---- Layouts (layout.c) ---- */

/* What a layout may make use of. */
typedef struct {
	bool views, concat, in_place, overlap, hold;
} Policy;

/* Where a program's memory comes from. */
typedef struct {
	Arena *arena;
	const Graph *graph;
	const ProgramOptions *options;
	size_t align;
	int nnodes;
	const Node **node;
	Versions **kernel; /* by node */
	Order *last_order; /* by node, for layout_choose(): those behind it are not taken */
} Plans;

/* All decisions about memory under one policy.  Slots are those of the graph's values by
 * id, then one for each output that has to be copied to the arena. */
typedef struct {
	Policy policy;
	Sharing sharing;
	bool *no_kernel; /* by node: its output is a view, a concat of pieces, or empty */
	int *copy_slot;  /* by output of the graph: its own slot, or -1 */
	int nitems;      /* groups first, then scratch by node */
	PlanItem *item;
	int *item_of;     /* by group: its item, or -1 */
	int64_t *origin;  /* by group: the place of its item's first byte */
	int *scratch_item; /* by node: the first item of its scratch */
	VEC(PlanRelation) relations;
	Order *order;    /* by node */
	PlanResult result; /* of all regions together */
	Region *region;  /* at least one */
	int nregions;
	size_t overflow; /* bytes that the region `full` is too small */
	int full;
	double slow;     /* accesses, each times the number of its region */
} Layout;

const Layout *layout_choose(const Plans *p);

/* Bytes from the start of the arena to a slot in it. */
size_t layout_place(const Layout *l, int slot);

/* Where input i of the concat n belongs: bytes from the start of its output. */
int64_t layout_piece_offset(const Node *n, int i, const int32_t *offset);

/* Whether input i of the concat n lies where its output wants it. */
bool layout_piece_is_in_place(const Layout *l, const Node *n, int i, const int32_t *offset);

#endif
