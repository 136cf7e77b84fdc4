/*
 * From a graph to a program: its kernels, then its memory (layout.c), then buffers and
 * steps from what was decided.
 *
 * Time is counted in nodes until the steps are known; a program's buffers count in steps.
 */
#include <assert.h>
#include <string.h>

#include "codegen/program/choose.h"
#include "codegen/program/tally.h"
#include "ir/lower.h"

enum { DEFAULT_ALIGN = 4 };




typedef struct {
	Choice choice;
	Diag *diag;
	Program *program;
	Buffer **buffer;      /* by slot */
	int *step_at;         /* by node, nnodes and nnodes + 1: steps before it */
} Build;

/* ---- Kernels ---- */

static LFunc *
copy_kernel(Build *b, const Type *t)
{
	int32_t n = type_numel(t);
	LBuilder lb;
	LBuf *x, *y;
	Expr *i;

	loop_begin(&lb, b->choice.plans.arena, "copy");
	x = loop_buf(&lb, "x", t->dtype, n, LBUF_IN, NULL);
	y = loop_buf(&lb, "y", t->dtype, n, LBUF_OUT, NULL);
	i = loop_for(&lb, "i", 0, n);
	loop_store(&lb, y, i, loop_load(&lb, x, i));
	loop_end(&lb);
	return loop_finish(&lb);
}

static bool
is_scratch(const LBuf *buf)
{
	return buf->role == LBUF_SCRATCH;
}

/* ---- Buffers ---- */

static Buffer *
new_buffer(Build *b, const char *name, const Type *type, BufferKind kind)
{
	Buffer *buffer = ARENA_NEW(b->choice.plans.arena, Buffer);

	buffer->index = b->program->buffers.n;
	buffer->name = name;
	buffer->type = *type;
	buffer->kind = kind;
	buffer->base = kind == BUFFER_ARENA ? NULL : buffer;
	VEC_PUSH(b->choice.plans.arena, &b->program->buffers, buffer);
	return buffer;
}

/* Whether a slot lies in the caller's state, but is not what the state held before. */
static bool
is_written_state(const Layout *l, int slot)
{
	const Slot *s = &l->sharing.slot[slot];
	const Group *g = &l->sharing.group[s->group];

	return g->kind == BUFFER_INPUT && g->next >= 0 &&
	       s->class != l->sharing.slot[g->base].class;
}

/* The buffer of a value; a base is made before what lies in it. */
static Buffer *
buffer_of(Build *b, const Value *v)
{
	const Layout *l = b->choice.layout;
	const Slot *slot = &l->sharing.slot[v->id];
	const Group *g = &l->sharing.group[slot->group];
	Buffer *base = NULL, *buffer;
	bool is_next = is_written_state(l, v->id);
	int given = is_next ? g->next : g->base;

	if (b->buffer[v->id])
		return b->buffer[v->id];
	if (given >= 0 && given != v->id)
		base = buffer_of(b, b->choice.plans.graph->values.v[given]);
	b->buffer[v->id] = buffer =
		new_buffer(b, v->name, &v->type, is_next ? BUFFER_OUTPUT : g->kind);
	buffer->value = v;
	buffer->data = v->data;
	if (base)
		buffer->base = base;
	if (base)
		buffer->offset = (size_t)slot->at;
	else if (g->kind == BUFFER_ARENA)
		buffer->offset = layout_place(l, v->id);
	if (is_next && !base)
		buffer->twin = buffer_of(b, b->choice.plans.graph->values.v[g->base]);
	buffer->first = slot->first;
	buffer->last = slot->last;
	buffer->share = slot->share;
	return buffer;
}

static const char *
buffer_name(const Build *b, int t, const LBuf *buf)
{
	const Node *n = b->choice.plans.node[t];
	const char *layer = n->name ? n->name : n->nouts && n->out[0] ? n->out[0]->name : "";

	return arena_printf(b->choice.plans.arena, "%s/%s", layer, buf->name);
}

/* Constants that a lowering made of the node's own. */
static Buffer *
constant_buffer(Build *b, int t, const LBuf *buf)
{
	Type type = type_make(buf->elem, 1, (int32_t[]){buf->count});
	Buffer *buffer = new_buffer(b, buffer_name(b, t, buf), &type, BUFFER_CONST);

	buffer->data = buf->data;
	buffer->first = -1;
	buffer->last = b->choice.plans.nnodes;
	return buffer;
}

static Buffer *
scratch_buffer(Build *b, int t, const LBuf *buf, int item)
{
	Type type = type_make(buf->elem, 1, (int32_t[]){buf->count});
	Buffer *buffer = new_buffer(b, buffer_name(b, t, buf), &type, BUFFER_ARENA);

	buffer->offset = b->choice.layout->item[item].place;
	buffer->first = buffer->last = t;
	return buffer;
}

/* ---- Steps ---- */

static Step *
new_step(Build *b, const char *name, const Node *n, LFunc *f)
{
	Step *step = ARENA_NEW(b->choice.plans.arena, Step);

	step->index = b->program->steps.n;
	step->name = name;
	step->node = n;
	step->fn = f;
	step->arg = ARENA_ARRAY(b->choice.plans.arena, Arg, f->bufs.n);
	VEC_PUSH(b->choice.plans.arena, &b->program->steps, step);
	return step;
}

static const char *
layer_name(const Node *n)
{
	if (n->name && *n->name)
		return n->name;
	for (int i = 0; i < n->nouts; i++)
		if (n->out[i])
			return n->out[i]->name;
	return op_info[n->op].name;
}

static void
kernel_step(Build *b, int t)
{
	const Node *n = b->choice.plans.node[t];
	Order order = b->choice.layout->order[t];
	LFunc *f = b->choice.plans.kernel[t]->fn[order];
	Step *step = new_step(b, layer_name(n), n, f);
	int at = 0, item = b->choice.layout->scratch_item[t];

	step->order = order;
	step->kernel = &b->choice.choices[t].v[b->choice.chosen[t]];
	step->macs = node_macs(n);
	for (int i = 0; i < n->nins; i++)
		if (n->in[i])
			step->arg[at++].buffer = buffer_of(b, n->in[i]);
	for (int i = 0; i < n->nouts; i++)
		if (n->out[i])
			step->arg[at++].buffer = buffer_of(b, n->out[i]);
	for (int i = 0; i < f->bufs.n; i++)
		if (is_scratch(f->bufs.v[i]))
			step->arg[i].buffer = scratch_buffer(b, t, f->bufs.v[i], item++);
		else if (i >= at && f->bufs.v[i]->role == LBUF_IN)
			step->arg[i].buffer = constant_buffer(b, t, f->bufs.v[i]);
}

static void
copy_step(Build *b, const char *name, const Node *n, const Buffer *from, Arg to)
{
	Step *step = new_step(b, name, n, copy_kernel(b, &from->type));

	step->arg[0].buffer = from;
	step->arg[1] = to;
}

/* Copies the pieces of a concat that do not lie in its output. */
static void
concat_steps(Build *b, const Node *n)
{
	int32_t *offset = ARENA_ARRAY(b->choice.plans.arena, int32_t, n->nins);

	if (!node_concat_offsets(n, offset))
		return;
	for (int i = 0; i < n->nins; i++) {
		Arg to = {buffer_of(b, n->out[0]), (size_t)layout_piece_offset(n, i, offset)};

		if (!layout_piece_is_in_place(b->choice.layout, n, i, offset))
			copy_step(b, layer_name(n), n, buffer_of(b, n->in[i]), to);
	}
}

/* Whether output i is a state that would be copied from another state's memory, which
 * may have been overwritten by then. */
static bool
is_clobbered(const Build *b, int i)
{
	const Graph *g = b->choice.plans.graph;
	const Slot *slot = b->choice.layout->sharing.slot;
	int own = i - graph_plain_outputs(g);

	for (int k = 0; k < g->states.n; k++)
		if (k != own && own >= 0 &&
		    slot[g->outputs.v[i]->id].class ==
		            slot[g->inputs.v[graph_plain_inputs(g) + k]->id].class)
			return true;
	return false;
}

static void
copy_output(Build *b, int i, const Buffer *from)
{
	const Graph *g = b->choice.plans.graph;

	if (type_numel(&g->outputs.v[i]->type) > 0)
		copy_step(b, g->output_names.v[i], NULL, from, (Arg){b->program->output[i], 0});
}

/* Where output i belongs, when nothing computes it there. */
static Buffer *
copied_output(Build *b, int i)
{
	const Graph *g = b->choice.plans.graph;
	BufferKind kind = b->choice.plans.options->io == IO_ARENA ? BUFFER_ARENA : BUFFER_OUTPUT;
	Buffer *buffer = new_buffer(b, g->output_names.v[i], &g->outputs.v[i]->type, kind);

	if (b->choice.layout->copy_slot[i] >= 0)
		buffer->offset = layout_place(b->choice.layout, b->choice.layout->copy_slot[i]);
	buffer->first = buffer->last = b->choice.plans.nnodes;
	return buffer;
}

/* An output in the arena; what is an output twice lies there once. */
static bool
arena_output(Build *b, int i)
{
	const Graph *g = b->choice.plans.graph;
	Program *p = b->program;
	const Value *v = g->outputs.v[i];
	Buffer *from = buffer_of(b, v);
	int state = i - graph_plain_outputs(g);

	p->output[i] = from;
	if (state < 0) {
		if (b->choice.layout->copy_slot[i] < 0)
			return true;
		p->output[i] = copied_output(b, i);
		copy_output(b, i, from);
		return true;
	}
	p->output[i] = p->input[graph_plain_inputs(g) + state];
	if (from->kind == BUFFER_ARENA && from->offset == p->output[i]->offset)
		return true;
	if (is_clobbered(b, i))
		return diag_report(b->diag, v->def ? &v->def->loc : NULL, E_UNSUPPORTED,
		                   "a state that takes what another input holds");
	copy_output(b, i, from);
	return true;
}

/* An output in the caller's memory. */
static bool
caller_output(Build *b, int i)
{
	Program *p = b->program;
	const Value *v = b->choice.plans.graph->outputs.v[i];
	Buffer *from = buffer_of(b, v);
	bool taken = from->kind != BUFFER_OUTPUT;

	for (int j = 0; j < i; j++)
		taken = taken || p->output[j] == from;
	p->output[i] = from;
	if (!taken)
		return true;
	if (is_clobbered(b, i))
		return diag_report(b->diag, v->def ? &v->def->loc : NULL, E_UNSUPPORTED,
		                   "a state that takes what another input holds");
	p->output[i] = copied_output(b, i);
	copy_output(b, i, from);
	return true;
}

static bool
output_steps(Build *b)
{
	bool in_arena = b->choice.plans.options->io == IO_ARENA;

	for (int i = 0; i < b->choice.plans.graph->outputs.n; i++)
		if (!(in_arena ? arena_output(b, i) : caller_output(b, i)))
			return false;
	return true;
}

static bool
make_steps(Build *b)
{
	Program *p = b->program;

	for (int t = 0; t < b->choice.plans.nnodes; t++) {
		b->step_at[t] = p->steps.n;
		if (!b->choice.layout->no_kernel[t])
			kernel_step(b, t);
		else if (b->choice.plans.node[t]->op == OP_CONCAT)
			concat_steps(b, b->choice.plans.node[t]);
	}
	b->step_at[b->choice.plans.nnodes] = p->steps.n;
	if (!output_steps(b))
		return false;
	b->step_at[b->choice.plans.nnodes + 1] = p->steps.n;
	return true;
}

/* From nodes to steps. */
static void
convert_lifetime(const Build *b, Buffer *buffer)
{
	int nsteps = b->program->steps.n;

	buffer->first = buffer->first < 0 ? -1 : b->step_at[buffer->first];
	if (buffer->kind == BUFFER_OUTPUT || buffer->last >= b->choice.plans.nnodes)
		buffer->last = nsteps;
	else if (buffer->last >= 0)
		buffer->last = b->step_at[buffer->last + 1] - 1;
	if (buffer->last < buffer->first)
		buffer->last = buffer->first;
}

/* The region that has the bytes at `offset`. */
static int
region_at(const Program *p, size_t offset)
{
	int r = p->nregions - 1;

	while (r > 0 && offset < p->region[r].base)
		r--;
	/* Those that are empty start where another one does. */
	while (r > 0 && p->region[r].size == 0)
		r--;
	return r;
}

/* What v shares memory with; a view of a view may have no other use. */
static const Buffer *
shared_buffer(Build *b, const Value *v)
{
	return buffer_of(b, b->choice.plans.graph->values.v[b->choice.layout->sharing.slot[v->id].shares]);
}

static void
finish_buffers(Build *b)
{
	Program *p = b->program;

	for (int i = 0; i < p->buffers.n; i++) {
		Buffer *buffer = p->buffers.v[i];

		convert_lifetime(b, buffer);
		if (buffer->share != SHARE_NONE)
			buffer->shares = shared_buffer(b, buffer->value);
		if (buffer->kind == BUFFER_ARENA)
			buffer->region = region_at(p, buffer->offset);
		if (buffer->kind == BUFFER_ARENA &&
		    (size_t)dtype_info[buffer->type.dtype].bytes > p->arena_align)
			p->arena_align = (size_t)dtype_info[buffer->type.dtype].bytes;
	}
}

static bool
is_for_size(const Build *b)
{
	const KernelOptions *o = b->choice.plans.options->kernels;

	return o && (o->level == 's' || o->level == 'z');
}

static bool
make_program(Build *b)
{
	const Graph *g = b->choice.plans.graph;
	Program *p = b->program;
	const PlanResult *r = &b->choice.layout->result;

	for (int i = 0; i < g->inputs.n; i++)
		p->input[i] = buffer_of(b, g->inputs.v[i]);
	if (!make_steps(b))
		return false;
	p->nregions = b->choice.layout->nregions;
	p->region = b->choice.layout->region;
	p->arena_size = r->size;
	p->arena_bound = r->bound;
	p->arena_optimal = r->optimal;
	p->method = r->method;
	p->arena_align = b->choice.plans.align;
	finish_buffers(b);
	if (is_for_size(b))
		program_merge_functions(p);
	program_share_constants(p);
	if (b->choice.plans.options->batch && !is_for_size(b))
		program_plan_batch(p);
	return true;
}

static void
list_nodes(Plans *p)
{
	int t = 0;

	for (const Node *n = p->graph->first; n; n = n->next)
		p->nnodes++;
	p->node = ARENA_ARRAY(p->arena, const Node *, p->nnodes);
	for (const Node *n = p->graph->first; n; n = n->next)
		p->node[t++] = n;
}

/* What was done for a small arena. */
static void
report_plan(const Program *p, Diag *d)
{
	int shared[SHARE_IN_PLACE + 1] = {0}, turned = 0;

	for (int i = 0; i < p->buffers.n; i++)
		shared[p->buffers.v[i]->share]++;
	for (int i = 0; i < p->steps.n; i++)
		turned += p->steps.v[i]->order != ORDER_FORWARD;
	diag_report(d, &(Loc){.file = p->graph->first ? p->graph->first->loc.file : NULL}, R_PASS,
	            "plan: %zu bytes of arena, at least %zu for any plan of these buffers, %s (%s); "
	            "%d in place of inputs, %d views, %d pieces of concats, %d kernels in another "
	            "order of loops", p->arena_size, p->arena_bound,
	            p->arena_optimal ? "the least there are" : "not proved to be the least",
	            p->method, shared[SHARE_IN_PLACE], shared[SHARE_VIEW], shared[SHARE_PIECE],
	            turned);
}

/* Makes the program of the choice; NULL: an error was reported. */
static Program *
build_program(const Choice *choice)
{
	const Plans *plans = &choice->plans;
	const ProgramOptions *o = plans->options;
	const Graph *g = plans->graph;
	Arena *a = plans->arena;
	Build b = {.choice = *choice, .diag = choice->diag, .program = ARENA_NEW(a, Program)};

	b.program->arena = a;
	b.program->graph = g;
	b.program->io = o->io;
	b.program->clobbers_inputs = o->clobber_input;
	if (o->kernels)
		b.program->kernels = arena_copy(a, o->kernels, sizeof *o->kernels);
	b.program->input = ARENA_ARRAY(a, Buffer *, g->inputs.n);
	b.program->output = ARENA_ARRAY(a, Buffer *, g->outputs.n);
	b.buffer = ARENA_ARRAY(a, Buffer *, g->values.n);
	b.step_at = ARENA_ARRAY(a, int, plans->nnodes + 2);
	return make_program(&b) ? b.program : NULL;
}

/* What copies and the like take, and what functions that were merged save, is only known
 * of the program; when it is too large the next choice has to be smaller by as much. */
Program *
program_build(Arena *a, const Graph *g, const ProgramOptions *options, Diag *d)
{
	enum { MAX_TRIES = 4 };
	Choice c = {.plans = {.arena = a, .graph = g, .options = options}, .diag = d};
	const ProgramBudget *budget = &options->budget;
	ProgramCost cost;
	Program *p;

	c.plans.align = options->align ? options->align : DEFAULT_ALIGN;
	assert((c.plans.align & (c.plans.align - 1)) == 0);
	list_nodes(&c.plans);
	c.flash = budget->flash;
	for (int i = 0;; i++) {
		size_t excess;

		if (!choose_kernels(&c) || !(p = build_program(&c)))
			return NULL;
		if (!budget->flash && !budget->cycles)
			break;
		cost = program_cost(p);
		if (i == MAX_TRIES || !budget->flash || program_flash(&cost) <= budget->flash) {
			if (!choose_check(&c, &cost))
				return NULL;
			break;
		}
		excess = program_flash(&cost) - budget->flash;
		c.flash = excess < c.flash ? c.flash - excess : 1;
	}
	choose_report(&c);
	if (options->remarks)
		report_plan(p, d);
	return p;
}

/* Adds what a step takes; its constants may be parts of larger ones. */
static void
add_step(Tally *tally, const Step *step)
{
	tally_function(tally, step->fn, step->kernel ? step->kernel->cycles : 0);
	for (int i = 0; i < step->fn->bufs.n; i++) {
		const Buffer *b = step->arg[i].buffer;

		if (b && b->kind == BUFFER_CONST && lfunc_uses(step->fn, step->fn->bufs.v[i]))
			tally_constant(tally, b->base->data, type_bytes(&b->base->type));
	}
}

ProgramCost
program_cost(const Program *p)
{
	Arena *a = arena_child(p->arena);
	ProgramCost cost;
	Tally tally;

	tally_init(&tally, a, p->graph, p->kernels);
	for (int i = 0; i < p->steps.n; i++)
		add_step(&tally, p->steps.v[i]);
	cost = tally.cost;
	for (int r = 0; r < p->nregions; r++)
		cost.ram += p->region[r].size;
	for (int i = 0; i < p->graph->states.n && p->io == IO_CALLER; i++)
		cost.ram += type_bytes(&p->graph->states.v[i]->type);
	arena_free(a);
	return cost;
}

ProgramCost
program_step_cost(const Program *p, const Step *step)
{
	Arena *a = arena_child(p->arena);
	Graph none = {0};
	ProgramCost cost;
	Tally tally;

	tally_init(&tally, a, &none, p->kernels);
	add_step(&tally, step);
	cost = tally.cost;
	for (int i = 0; i < step->fn->bufs.n; i++) {
		const LBuf *b = step->fn->bufs.v[i];

		if (b->role == LBUF_SCRATCH)
			cost.ram += (size_t)b->count * (size_t)dtype_info[b->elem].bytes;
	}
	arena_free(a);
	return cost;
}

size_t
program_in_region(const Program *p, const Buffer *b)
{
	return b->offset - p->region[b->region].base;
}

size_t
program_local_bytes(const Program *p)
{
	int64_t most = 0;

	for (int i = 0; i < p->steps.n; i++)
		if (lfunc_local_bytes(p->steps.v[i]->fn) > most)
			most = lfunc_local_bytes(p->steps.v[i]->fn);
	return (size_t)most;
}

bool *
program_used(const Program *p, Arena *a)
{
	bool *used = ARENA_ARRAY(a, bool, p->buffers.n);

	for (int t = 0; t < p->steps.n; t++) {
		const Step *step = p->steps.v[t];

		for (int i = 0; i < step->fn->bufs.n; i++) {
			const Buffer *b = step->arg[i].buffer;

			if (!b || !lfunc_uses(step->fn, step->fn->bufs.v[i]))
				continue;
			used[b->index] = true;
			if (b->base)
				used[b->base->index] = true;
		}
	}
	return used;
}

size_t
program_const_bytes(const Program *p)
{
	Arena *a = arena_child(p->arena);
	const bool *used = program_used(p, a);
	size_t bytes = 0;

	for (int i = 0; i < p->buffers.n; i++) {
		const Buffer *b = p->buffers.v[i];

		if (b->kind == BUFFER_CONST && used[i] && (!b->base || b->base == b))
			bytes += type_bytes(&b->type);
	}
	arena_free(a);
	return bytes;
}

int64_t
program_macs(const Program *p)
{
	int64_t macs = 0;

	for (int i = 0; i < p->steps.n; i++)
		macs += p->steps.v[i]->macs;
	return macs;
}
