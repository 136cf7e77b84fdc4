/*
 * A program: the kernels of a graph in the order of their calls, and the memory
 * that they work on.
 *
 * Memory is the caller's inputs and outputs, constants, and one arena for all
 * the rest; with IO_ARENA inputs, outputs and states lie in the arena too.  Every value
 * that has bytes is a Buffer; buffers may lie in each other's memory:
 *
 *  - a reshape, a contiguous slice and the like is a view of its input;
 *  - a constant lies in another one that has its bytes;
 *  - the inputs of a concat whose pieces are contiguous are computed where the
 *    concat's output wants them;
 *  - a result is computed in place of an input that dies there, when its kernel
 *    allows it (lfunc_may_share), and the next state in place of the last one;
 *  - in the arena a result may lie partly over an input that dies there, as far apart as
 *    the order of its kernel's loops asks for (lfunc_distance); the plan chooses the
 *    order.
 *
 * The arena may lie in several regions of memory.  Then offsets are those in an arena of
 * one piece, in which the regions follow each other: that is how the interpreter and the
 * JIT have it.  Code for a machine takes a pointer a region (program_in_region).
 *
 * Where that is not possible a step copies.  The kernels of all steps are
 * verified; see layout.c for the order of decisions.
 */
#ifndef MCC_CODEGEN_PROGRAM_PROGRAM_H
#define MCC_CODEGEN_PROGRAM_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/str.h"
#include "codegen/kernels/kernels.h"
#include "ir/graph.h"
#include "ir/loop/loop.h"

/* The order of a kernel's loops over its outputs. */
typedef enum {
	ORDER_FORWARD,       /* as lowered */
	ORDER_BACKWARD,      /* lfunc_backward() */
	ORDER_HELD,          /* lfunc_hold(): a pixel's outputs are stored when all are known */
	ORDER_HELD_BACKWARD,
	ORDER_COUNT
} Order;

/* Where inputs, outputs and states are. */
typedef enum {
	IO_CALLER, /* in the caller's arrays and state */
	IO_ARENA   /* in the arena, at offsets that the caller is told */
} ProgramIo;

typedef enum {
	BUFFER_INPUT,  /* the caller's, read only unless it may be clobbered */
	BUFFER_OUTPUT, /* the caller's */
	BUFFER_CONST,  /* data of the model */
	BUFFER_ARENA
} BufferKind;

/* How a buffer came to lie in another one's memory. */
typedef enum {
	SHARE_NONE,
	SHARE_VIEW,    /* has bytes of `shares` */
	SHARE_PIECE,   /* is a piece of `shares`, the output of a concat */
	SHARE_IN_PLACE /* overwrites `shares` */
} Share;

typedef struct Buffer {
	int index; /* in Program.buffers */
	const char *name;
	Type type;
	const Value *value; /* NULL: scratch of one step, or a second copy of an output */
	BufferKind kind;
	/* Where it lies: `offset` bytes from the start of the arena, or of `base`,
	 * which is an input, output or constant (itself, most of the time). */
	struct Buffer *base;
	size_t offset;
	const struct Buffer *twin; /* the base that is the same memory for the caller: of a
	                            * state as it is next, the state as it was; or NULL */
	const void *data; /* BUFFER_CONST: its bytes, wherever it lies */
	int region;       /* BUFFER_ARENA: in Program.region */
	int first, last;  /* the steps between which its bytes are needed; -1 and
	                   * nsteps stand for before and after the call */
	Share share;
	const struct Buffer *shares;
} Buffer;

/* An argument of a kernel: memory that starts `offset` bytes into a buffer. */
typedef struct {
	const Buffer *buffer;
	size_t offset;
} Arg;

typedef struct Step {
	int index;        /* in Program.steps */
	const char *name; /* the layer's, or its output's */
	const Node *node; /* NULL: a copy into an output at the end */
	const NodeKernel *kernel; /* NULL: a copy */
	LFunc *fn;
	const struct Step *before; /* the one that has the same fn, made for both; or NULL */
	Order order;
	Arg *arg;         /* one for each of fn->bufs */
	int64_t macs;     /* multiply-accumulates of the operator's formula */
} Step;

/* Memory that is there for the arena. */
typedef struct {
	const char *name;
	size_t size; /* bytes */
} MemoryRegion;

/* A part of the arena, which has memory of its own. */
typedef struct {
	MemoryRegion memory; /* the name is NULL where no regions were asked for */
	size_t base; /* where it starts in an arena of one piece */
	size_t size; /* bytes that are used */
} Region;

/* Limits for what is chosen; 0: none. */
typedef struct {
	size_t ram;     /* bytes of the arena and of what is kept between calls */
	size_t flash;   /* bytes of constants and code, as estimated */
	int64_t cycles; /* of a call, as estimated */
} ProgramBudget;

/* What a program takes.  docs/kernels.md says how far the estimates are off. */
typedef struct {
	size_t ram;       /* bytes of the arena and of states in the caller's memory */
	size_t constants; /* bytes of constants, equal ones once */
	size_t code;      /* bytes of machine code, an estimate */
	int64_t cycles;   /* of a call, an estimate; 0: not known of the target */
} ProgramCost;

static inline size_t
program_flash(const ProgramCost *c)
{
	return c->constants + c->code;
}

/* How many rows are done at a time (batch.c): that of row r begins r * stride bytes into the
 * arena. */
typedef struct {
	int rows;          /* 0: one by one */
	size_t stride;
	size_t arena_size; /* bytes of all of them, and of scratch behind */
	VEC(Step *) steps; /* that do all rows at once; numbered behind Program.steps */
	VEC(Buffer *) buffers; /* their scratch; numbered behind Program.buffers */
	const Step **step_of; /* by step: the one of `steps` that does the same; NULL: the step
	                       * itself, for one row after the other */
} ProgramBatch;

typedef struct {
	Arena *arena;
	const Graph *graph;
	const KernelOptions *kernels; /* NULL: reference lowerings only */
	VEC(Buffer *) buffers;
	VEC(Step *) steps;
	Buffer **input;  /* parallel to graph->inputs */
	Buffer **output; /* parallel to graph->outputs */
	ProgramIo io;
	bool clobbers_inputs;
	int nregions;
	Region *region;     /* at least one */
	size_t arena_size;  /* bytes, of all regions one behind the other */
	size_t arena_align; /* what the start of the arena must be aligned to */
	size_t arena_bound; /* no plan with this sharing is smaller */
	bool arena_optimal; /* no smaller plan exists */
	const char *method; /* how the plan was found */
	ProgramBatch batch; /* with ProgramOptions.batch */
} Program;

/* Steps with those of the batch, by their numbers; likewise buffers. */
static inline int
program_all_steps(const Program *p)
{
	return p->steps.n + p->batch.steps.n;
}

static inline const Step *
program_step(const Program *p, int i)
{
	return i < p->steps.n ? p->steps.v[i] : p->batch.steps.v[i - p->steps.n];
}

static inline int
program_all_buffers(const Program *p)
{
	return p->buffers.n + p->batch.buffers.n;
}

static inline const Buffer *
program_buffer(const Program *p, int i)
{
	return i < p->buffers.n ? p->buffers.v[i] : p->batch.buffers.v[i - p->buffers.n];
}

typedef struct {
	size_t align;        /* of all buffers in the arena, a power of two; 0: 4 bytes, which
	                      * elements of 8 bytes raise */
	bool no_views;       /* compute or copy instead of sharing: for tests and for the */
	bool no_concat;      /* baseline that the plan is compared with */
	bool no_in_place;
	bool no_overlap;     /* results lie in place of inputs or apart from them */
	ProgramIo io;
	bool clobber_input;  /* the caller's inputs may be overwritten */
	int nregions;        /* 0: the arena is one, of any size */
	const MemoryRegion *region; /* the fastest first */
	long search_budget;  /* of the exact planner, 0: the default */
	const KernelOptions *kernels; /* NULL: reference lowerings only */
	bool remarks;        /* report what the memory plan came to (R_PASS) */
	bool batch;          /* there is to be a NAME_run_batch: plan it, where nodes ask for many
	                      * rows at a time */
	ProgramBudget budget; /* where it names memory, instead of what the level allows */
} ProgramOptions;

/*
 * Lowers every node of a graph without sugar and plans the memory.  With kernels for a
 * target each node gets its fastest, as far as memory allows: at -O3 any, at -O2 twice
 * the arena of the reference lowerings, else just that.  With a budget it is the fastest
 * combination within it, or at -Os and -Oz with a budget of cycles the smallest one.
 * The sharing named above is used unless the plan is smaller without a part of it, so
 * that the arena is never larger than what an ordinary planner needs.  Reports E_BUDGET
 * and returns NULL when a budget cannot be met, E_INTERNAL when a kernel breaks a rule of
 * the loop IR.
 */
Program *program_build(Arena *a, const Graph *g, const ProgramOptions *options, Diag *d);

/*
 * What a program takes; for whoever weighs graphs against each other (compression):
 *
 *	p = program_build(scratch, g, &options, d);
 *	cost = program_cost(p);
 *	fits = program_flash(&cost) <= flash && cost.ram <= ram;
 */
ProgramCost program_cost(const Program *p);

/* What a step takes, as in ProgramCost; equal functions count in each. */
ProgramCost program_step_cost(const Program *p, const Step *step);

/* Bytes that the caller keeps in the arena between calls or finds there are at
 * p->input[i]->offset and p->output[i]->offset with IO_ARENA.  These copy plain inputs and
 * states there, and all outputs back; nothing with IO_CALLER. */
void program_put_inputs(const Program *p, const void *const *in, void *arena);
void program_get_outputs(const Program *p, void *const *out, const void *arena);

/* Bytes from the start of its region to a buffer in the arena. */
size_t program_in_region(const Program *p, const Buffer *b);

/* The most local memory on the stack that a kernel takes. */
size_t program_local_bytes(const Program *p);

/* Of each buffer whether kernels of steps use it or what lies in it. */
bool *program_used(const Program *p, Arena *a);

/* Bytes of constants that the steps use. */
size_t program_const_bytes(const Program *p);

/* Multiply-accumulates of one call. */
int64_t program_macs(const Program *p);

/* The memory plan as text: all buffers but unused constants with place, size and
 * lifetime, and the lower bound. */
void program_report(Str *s, const Program *p);

/* Sizes, steps and buffers as one JSON object. */
void program_report_json(Str *s, const Program *p);

/*
 * Runs the program in the interpreter.  `in` and `out` are parallel to the
 * graph's inputs and outputs.
 */
void program_run(const Program *p, const void *const *in, void *const *out);

/* ---- Between the files of codegen/program ---- */

/* Fills in p->batch (batch.c). */
void program_plan_batch(Program *p);

/* Whether n's output has bytes of its first input in their order, from element
 * *offset on, so that it needs no memory of its own (view.c). */
bool node_is_view(const Node *n, int32_t *offset);

/* Whether n is a concat whose inputs are contiguous in its output; offset[i] is
 * the element of the output at which input i starts. */
bool node_concat_offsets(const Node *n, int32_t *offset);

#endif
