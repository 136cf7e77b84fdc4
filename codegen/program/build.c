/*
 * From a graph to a program.
 *
 * Memory is decided in this order:
 *
 *  1. A result that is an output of the graph is computed in the caller's
 *     buffer, when it is an output once.
 *  2. Views, in the order of the nodes.
 *  3. Pieces of concats; what does not fit is copied.
 *  4. Results in place of inputs that die, in the order of the nodes.
 *  5. Groups of slots that are left without given memory, and scratch, are
 *     planned in the arena.
 *
 * Each decision is kept only when the groups of share.h allow it.  All of this is
 * done with every sharing, then without concats, then without any; the smallest
 * arena wins, and of equals the first, which copies least.
 *
 * Time is counted in nodes here; a program's buffers count in steps.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "codegen/program/plan.h"
#include "codegen/program/share.h"
#include "ir/lower.h"

enum { DEFAULT_ALIGN = 4 };

/* Into how small parts spare memory is divided for scratch. */
enum { MAX_PARTS = 4096 };

typedef struct {
	bool views, concat, in_place;
} Policy;

/* The decisions under one policy. */
typedef struct {
	Sharing sharing;
	bool *no_kernel; /* by node: its output is a view, a concat of pieces, or empty */
	int nitems;      /* groups first, then scratch by node */
	PlanItem *item;
	int *item_of;     /* by group: its item, or -1 */
	int64_t *origin;  /* by group: the place of its item's first byte */
	int *scratch_item; /* by node: the first item of its scratch */
	PlanResult result;
} Layout;

typedef struct {
	Arena *arena;
	const Graph *graph;
	const ProgramOptions *options;
	Diag *diag;
	size_t align;
	int nnodes;
	const Node **node;
	NodeKernels *choices; /* by node */
	int *chosen;          /* by node: which of them */
	LFunc **kernel;       /* by node: the chosen one */
	const Layout *layout; /* the chosen one */
	Program *program;
	Buffer **buffer;      /* by value */
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

	loop_begin(&lb, b->arena, "copy");
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

/* ---- Slots ---- */

static bool
is_graph_input(const Graph *g, const Value *v)
{
	for (int i = 0; i < g->inputs.n; i++)
		if (g->inputs.v[i] == v)
			return true;
	return false;
}

/* How often v is an output of the graph that is no state: states are overwritten at
 * the end, when nothing reads them any more. */
static int
count_outputs(const Graph *g, const Value *v)
{
	int n = 0;

	for (int i = 0; i < graph_plain_outputs(g); i++)
		n += g->outputs.v[i] == v;
	return n;
}

static void
set_lifetimes(const Build *b, Slot *slot)
{
	for (int t = 0; t < b->nnodes; t++) {
		const Node *n = b->node[t];

		for (int i = 0; i < n->nins; i++)
			if (n->in[i] && t > slot[n->in[i]->id].last)
				slot[n->in[i]->id].last = t;
		for (int i = 0; i < n->nouts; i++) {
			if (!n->out[i])
				continue;
			slot[n->out[i]->id].first = t;
			if (t > slot[n->out[i]->id].last)
				slot[n->out[i]->id].last = t;
		}
	}
}

static void
init_slots(const Build *b, Sharing *s)
{
	const Graph *g = b->graph;

	sharing_init(s, b->arena, g->values.n);
	for (int i = 0; i < s->n; i++) {
		s->slot[i].size = (int64_t)type_bytes(&g->values.v[i]->type);
		s->slot[i].first = s->slot[i].last = -1;
	}
	set_lifetimes(b, s->slot);
	for (int i = 0; i < g->outputs.n; i++)
		s->slot[g->outputs.v[i]->id].last = b->nnodes;
	for (int i = 0; i < s->n; i++) {
		const Value *v = g->values.v[i];

		if (v->data) {
			s->slot[i].last = b->nnodes;
			sharing_fix(s, i, BUFFER_CONST);
		} else if (is_graph_input(g, v)) {
			s->slot[i].last = b->nnodes;
			sharing_fix(s, i, BUFFER_INPUT);
		} else if (v->def && count_outputs(g, v) > 0) {
			sharing_fix(s, i, BUFFER_OUTPUT);
		}
	}
}

/* ---- Sharing ---- */

static void
share_views(const Build *b, Layout *l)
{
	for (int t = 0; t < b->nnodes; t++) {
		const Node *n = b->node[t];
		int32_t offset;

		if (!l->no_kernel[t] && node_is_view(n, &offset))
			l->no_kernel[t] = sharing_view(
				&l->sharing, n->in[0]->id,
				(int64_t)offset * dtype_info[n->in[0]->type.dtype].bytes,
				n->out[0]->id);
	}
}

/* Where input i of the concat n belongs: bytes from the start of its output. */
static int64_t
piece_offset(const Node *n, int i, const int32_t *offset)
{
	return (int64_t)offset[i] * dtype_info[n->out[0]->type.dtype].bytes;
}

/* Whether input i of the concat n lies where its output wants it. */
static bool
is_piece_in_place(const Sharing *s, const Node *n, int i, const int32_t *offset)
{
	const Slot *in = &s->slot[n->in[i]->id], *out = &s->slot[n->out[0]->id];

	return in->size == 0 ||
	       (in->group == out->group && in->at == out->at + piece_offset(n, i, offset));
}

static void
share_concats(const Build *b, Layout *l)
{
	for (int t = 0; t < b->nnodes; t++) {
		const Node *n = b->node[t];
		int32_t *offset = ARENA_ARRAY(b->arena, int32_t, n->nins);

		if (l->no_kernel[t] || !node_concat_offsets(n, offset))
			continue;
		for (int i = 0; i < n->nins; i++)
			if (sharing_piece(&l->sharing, n->out[0]->id, piece_offset(n, i, offset),
			                  n->in[i]->id))
				l->no_kernel[t] = true;
	}
}

/* Whether the kernel may write its output k over `v`, for every input that is v. */
static bool
kernel_may_overwrite(const Build *b, int t, const Value *v, int k)
{
	const Node *n = b->node[t];
	const LFunc *f = b->kernel[t];
	int nins = 0, out = 0;

	for (int i = 0; i < n->nins; i++)
		nins += n->in[i] != NULL;
	for (int i = 0; i < k; i++)
		out += n->out[i] != NULL;
	for (int i = 0, at = 0; i < n->nins; i++) {
		if (n->in[i] == v &&
		    !lfunc_may_share(f, f->bufs.v[at], f->bufs.v[nins + out]))
			return false;
		at += n->in[i] != NULL;
	}
	return true;
}

/* Elements keep their type: C compilers may assume that memory is not accessed
 * as two types in one function. */
static bool
can_try_in_place(const Sharing *s, int t, const Value *in, const Value *out)
{
	return in && in->type.dtype == out->type.dtype && s->slot[in->id].last == t &&
	       s->slot[in->id].size > 0 && s->slot[out->id].size > 0 &&
	       s->slot[in->id].size >= s->slot[out->id].size;
}

static void
share_in_place(const Build *b, Layout *l)
{
	Sharing *s = &l->sharing;

	for (int t = 0; t < b->nnodes; t++) {
		const Node *n = b->node[t];

		for (int k = 0; k < n->nouts && !l->no_kernel[t]; k++)
			for (int i = 0; i < n->nins && n->out[k]; i++)
				if (can_try_in_place(s, t, n->in[i], n->out[k]) &&
				    kernel_may_overwrite(b, t, n->in[i], k) &&
				    sharing_in_place(s, n->in[i]->id, n->out[k]->id))
					break;
	}
}

/* ---- Items of the planner ---- */

/* The rectangle of a slot, its bytes rounded outward to the alignment. */
static PlanRect
slot_rect(const Build *b, const Slot *slot, int64_t origin)
{
	size_t lo = (size_t)(slot->at - origin), hi = lo + (size_t)slot->size;

	lo &= ~(b->align - 1);
	return (PlanRect){lo, align_up(hi, b->align) - lo, slot->first, slot->last};
}

/* Makes b part of a when it adds nothing to it, or only time to the same bytes. */
static bool
absorb_rect(PlanRect *a, const PlanRect *b)
{
	bool same = a->offset == b->offset && a->size == b->size;

	if (same && a->first <= b->last + 1 && b->first <= a->last + 1) {
		a->first = a->first < b->first ? a->first : b->first;
		a->last = a->last > b->last ? a->last : b->last;
		return true;
	}
	return a->offset <= b->offset && b->offset + b->size <= a->offset + a->size &&
	       a->first <= b->first && b->last <= a->last;
}

static void
add_rect(PlanItem *item, PlanRect rect)
{
	for (int i = 0; i < item->nrects; i++) {
		PlanRect old = item->rect[i];

		if (!absorb_rect(&rect, &old) && !absorb_rect(&old, &rect))
			continue;
		/* Grown or replaced, it may take in others. */
		if (absorb_rect(&old, &rect))
			rect = old;
		item->rect[i] = item->rect[--item->nrects];
		i = -1;
	}
	item->rect[item->nrects++] = rect;
}

static int64_t
floor_to(int64_t x, size_t align)
{
	return x - (int64_t)((uint64_t)x & (align - 1));
}

static void
make_group_item(const Build *b, Layout *l, int group)
{
	const Group *g = &l->sharing.group[group];
	PlanItem *item = &l->item[l->nitems];
	int64_t lo = INT64_MAX;

	item->align = b->align;
	item->rect = ARENA_ARRAY(b->arena, PlanRect, g->slots.n);
	for (int i = 0; i < g->slots.n; i++) {
		const Slot *slot = &l->sharing.slot[g->slots.v[i]];
		const Type *t = &b->graph->values.v[g->slots.v[i]]->type;

		if (slot->size > 0 && slot->at < lo)
			lo = slot->at;
		if ((size_t)dtype_info[t->dtype].bytes > item->align)
			item->align = (size_t)dtype_info[t->dtype].bytes;
	}
	if (lo == INT64_MAX)
		return;
	l->origin[group] = floor_to(lo, item->align);
	for (int i = 0; i < g->slots.n; i++) {
		const Slot *slot = &l->sharing.slot[g->slots.v[i]];

		if (slot->size > 0)
			add_rect(item, slot_rect(b, slot, l->origin[group]));
	}
	l->item_of[group] = l->nitems++;
}

static void
make_scratch_item(const Build *b, Layout *l, const LBuf *buf, int t)
{
	size_t size = (size_t)buf->count * (size_t)dtype_info[buf->elem].bytes;
	size_t align = (size_t)dtype_info[buf->elem].bytes;
	PlanItem *item = &l->item[l->nitems++];

	item->align = align > b->align ? align : b->align;
	item->rect = ARENA_NEW(b->arena, PlanRect);
	*item->rect = (PlanRect){0, align_up(size, b->align), t, t};
	item->nrects = size > 0;
}

static void
make_items(const Build *b, Layout *l)
{
	int room = l->sharing.n;

	for (int t = 0; t < b->nnodes; t++)
		if (!l->no_kernel[t])
			room += b->kernel[t]->bufs.n;
	l->item = ARENA_ARRAY(b->arena, PlanItem, room);
	l->item_of = ARENA_ARRAY(b->arena, int, l->sharing.n);
	l->origin = ARENA_ARRAY(b->arena, int64_t, l->sharing.n);
	l->scratch_item = ARENA_ARRAY(b->arena, int, b->nnodes);
	for (int i = 0; i < l->sharing.n; i++) {
		const Group *g = &l->sharing.group[i];

		l->item_of[i] = -1;
		/* Values without a definition are left over from passes. */
		if (g->slots.n > 0 && g->kind == BUFFER_ARENA &&
		    b->graph->values.v[g->slots.v[0]]->def && l->sharing.slot[g->slots.v[0]].first >= 0)
			make_group_item(b, l, i);
	}
	for (int t = 0; t < b->nnodes; t++) {
		l->scratch_item[t] = l->nitems;
		for (int i = 0; !l->no_kernel[t] && i < b->kernel[t]->bufs.n; i++)
			if (is_scratch(b->kernel[t]->bufs.v[i]))
				make_scratch_item(b, l, b->kernel[t]->bufs.v[i], t);
	}
}

/* ---- Layouts ---- */

/* Whether n has nothing to compute: all its outputs are empty. */
static bool
has_no_elements(const Node *n)
{
	for (int i = 0; i < n->nouts; i++)
		if (n->out[i] && type_numel(&n->out[i]->type) > 0)
			return false;
	return true;
}

static Layout *
make_layout(const Build *b, Policy policy)
{
	Layout *l = ARENA_NEW(b->arena, Layout);

	l->no_kernel = ARENA_ARRAY(b->arena, bool, b->nnodes);
	init_slots(b, &l->sharing);
	for (int t = 0; t < b->nnodes; t++)
		l->no_kernel[t] = has_no_elements(b->node[t]);
	if (policy.views)
		share_views(b, l);
	if (policy.concat)
		share_concats(b, l);
	if (policy.in_place)
		share_in_place(b, l);
	make_items(b, l);
	l->result = plan_memory(b->arena, l->nitems, l->item, b->options->search_budget);
	return l;
}

static const Layout *
choose_layout(const Build *b)
{
	const ProgramOptions *o = b->options;
	Policy all = {!o->no_views, !o->no_concat, !o->no_in_place};
	const Policy policy[] = {all, {all.views, false, all.in_place}, {false, false, false}};
	const Layout *best = NULL;

	for (size_t i = 0; i < sizeof policy / sizeof *policy; i++) {
		const Layout *l = make_layout(b, policy[i]);

		if (!best || l->result.size < best->result.size)
			best = l;
	}
	return best;
}

/* ---- Buffers ---- */

static Buffer *
new_buffer(Build *b, const char *name, const Type *type, BufferKind kind)
{
	Buffer *buffer = ARENA_NEW(b->arena, Buffer);

	buffer->index = b->program->buffers.n;
	buffer->name = name;
	buffer->type = *type;
	buffer->kind = kind;
	buffer->base = kind == BUFFER_ARENA ? NULL : buffer;
	VEC_PUSH(b->arena, &b->program->buffers, buffer);
	return buffer;
}

/* The buffer of a value; a base is made before what lies in it. */
static Buffer *
buffer_of(Build *b, const Value *v)
{
	const Layout *l = b->layout;
	const Slot *slot = &l->sharing.slot[v->id];
	const Group *g = &l->sharing.group[slot->group];
	Buffer *base = NULL, *buffer;

	if (b->buffer[v->id])
		return b->buffer[v->id];
	if (g->base >= 0 && g->base != v->id)
		base = buffer_of(b, b->graph->values.v[g->base]);
	b->buffer[v->id] = buffer = new_buffer(b, v->name, &v->type, g->kind);
	buffer->value = v;
	buffer->data = v->data;
	if (base)
		buffer->base = base;
	if (base)
		buffer->offset = (size_t)slot->at;
	else if (g->kind == BUFFER_ARENA && slot->size > 0)
		buffer->offset = l->item[l->item_of[slot->group]].place +
		                 (size_t)(slot->at - l->origin[slot->group]);
	buffer->first = slot->first;
	buffer->last = slot->last;
	buffer->share = slot->share;
	return buffer;
}

static const char *
buffer_name(const Build *b, int t, const LBuf *buf)
{
	const Node *n = b->node[t];
	const char *layer = n->name ? n->name : n->nouts && n->out[0] ? n->out[0]->name : "";

	return arena_printf(b->arena, "%s/%s", layer, buf->name);
}

/* Constants that a lowering made of the node's own. */
static Buffer *
constant_buffer(Build *b, int t, const LBuf *buf)
{
	Type type = type_make(buf->elem, 1, (int32_t[]){buf->count});
	Buffer *buffer = new_buffer(b, buffer_name(b, t, buf), &type, BUFFER_CONST);

	buffer->data = buf->data;
	buffer->first = -1;
	buffer->last = b->nnodes;
	return buffer;
}

static Buffer *
scratch_buffer(Build *b, int t, const LBuf *buf, int item)
{
	Type type = type_make(buf->elem, 1, (int32_t[]){buf->count});
	Buffer *buffer = new_buffer(b, buffer_name(b, t, buf), &type, BUFFER_ARENA);

	buffer->offset = b->layout->item[item].place;
	buffer->first = buffer->last = t;
	return buffer;
}

/* ---- Steps ---- */

static Step *
new_step(Build *b, const char *name, const Node *n, LFunc *f)
{
	Step *step = ARENA_NEW(b->arena, Step);

	step->name = name;
	step->node = n;
	step->fn = f;
	step->arg = ARENA_ARRAY(b->arena, Arg, f->bufs.n);
	VEC_PUSH(b->arena, &b->program->steps, step);
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
	const Node *n = b->node[t];
	LFunc *f = b->kernel[t];
	Step *step = new_step(b, layer_name(n), n, f);
	int at = 0, item = b->layout->scratch_item[t];

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
	int32_t *offset = ARENA_ARRAY(b->arena, int32_t, n->nins);

	if (!node_concat_offsets(n, offset))
		return;
	for (int i = 0; i < n->nins; i++) {
		Arg to = {buffer_of(b, n->out[0]), (size_t)piece_offset(n, i, offset)};

		if (!is_piece_in_place(&b->layout->sharing, n, i, offset))
			copy_step(b, layer_name(n), n, buffer_of(b, n->in[i]), to);
	}
}

/* Whether output i is a state that would be copied from another state's memory, which
 * may have been overwritten by then. */
static bool
is_clobbered(const Build *b, int i, const Buffer *from)
{
	const Graph *g = b->graph;
	int own = i - graph_plain_outputs(g);

	for (int k = 0; k < g->states.n; k++)
		if (k != own && own >= 0 &&
		    from->base == b->program->input[graph_plain_inputs(g) + k])
			return true;
	return false;
}

/* Outputs that no step computes where the caller wants them. */
static bool
output_steps(Build *b)
{
	const Graph *g = b->graph;
	Program *p = b->program;

	for (int i = 0; i < g->outputs.n; i++) {
		const Value *v = g->outputs.v[i];
		Buffer *from = buffer_of(b, v);
		bool taken = from->kind != BUFFER_OUTPUT;

		for (int j = 0; j < i; j++)
			taken = taken || p->output[j] == from;
		if (!taken) {
			p->output[i] = from;
			continue;
		}
		if (is_clobbered(b, i, from))
			return diag_report(b->diag, v->def ? &v->def->loc : NULL, E_UNSUPPORTED,
			                   "a state that takes what another input holds");
		p->output[i] = new_buffer(b, g->output_names.v[i], &v->type, BUFFER_OUTPUT);
		p->output[i]->first = p->output[i]->last = b->nnodes;
		if (type_numel(&v->type) > 0)
			copy_step(b, g->output_names.v[i], NULL, from, (Arg){p->output[i], 0});
	}
	return true;
}

static bool
make_steps(Build *b)
{
	Program *p = b->program;

	for (int t = 0; t < b->nnodes; t++) {
		b->step_at[t] = p->steps.n;
		if (!b->layout->no_kernel[t])
			kernel_step(b, t);
		else if (b->node[t]->op == OP_CONCAT)
			concat_steps(b, b->node[t]);
	}
	b->step_at[b->nnodes] = p->steps.n;
	if (!output_steps(b))
		return false;
	b->step_at[b->nnodes + 1] = p->steps.n;
	return true;
}

/* From nodes to steps. */
static void
convert_lifetime(const Build *b, Buffer *buffer)
{
	int nsteps = b->program->steps.n;

	buffer->first = buffer->first < 0 ? -1 : b->step_at[buffer->first];
	if (buffer->kind == BUFFER_OUTPUT || buffer->last >= b->nnodes)
		buffer->last = nsteps;
	else if (buffer->last >= 0)
		buffer->last = b->step_at[buffer->last + 1] - 1;
	if (buffer->last < buffer->first)
		buffer->last = buffer->first;
}

/* What v shares memory with; a view of a view may have no other use. */
static const Buffer *
shared_buffer(Build *b, const Value *v)
{
	return buffer_of(b, b->graph->values.v[b->layout->sharing.slot[v->id].shares]);
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
		if (buffer->kind == BUFFER_ARENA &&
		    (size_t)dtype_info[buffer->type.dtype].bytes > p->arena_align)
			p->arena_align = (size_t)dtype_info[buffer->type.dtype].bytes;
	}
}

static bool
make_program(Build *b)
{
	const Graph *g = b->graph;
	Program *p = b->program;
	const PlanResult *r = &b->layout->result;

	for (int i = 0; i < g->inputs.n; i++)
		p->input[i] = buffer_of(b, g->inputs.v[i]);
	if (!make_steps(b))
		return false;
	p->arena_size = r->size;
	p->arena_bound = r->bound;
	p->arena_optimal = r->optimal;
	p->method = r->method;
	p->arena_align = b->align;
	finish_buffers(b);
	return true;
}

static bool
take_kernel(Build *b, int t, int choice)
{
	const char *problem;

	b->chosen[t] = choice;
	b->kernel[t] = b->choices[t].v[choice].fn;
	problem = lfunc_verify(b->kernel[t]);
	return !problem || diag_report(b->diag, &b->node[t]->loc, E_INTERNAL, "kernel '%s': %s",
	                               b->kernel[t]->name, problem);
}

/* Lowers and verifies everything, also what sharing may make superfluous. */
static bool
make_kernels(Build *b)
{
	for (int t = 0; t < b->nnodes; t++) {
		b->choices[t] = kernels_of(b->arena, b->node[t], b->options->kernels);
		b->chosen[t] = b->choices[t].n - 1;
		if (!take_kernel(b, t, b->chosen[t]))
			return false;
	}
	return true;
}

/* ---- Choosing kernels ---- */

/* Bytes that the arena may have, by the level, when the smallest one has `least`. */
static size_t
most_memory(const Build *b, size_t least)
{
	switch (b->options->kernels ? b->options->kernels->level : 's') {
	case '3': return SIZE_MAX;
	case '2': return 2 * least;
	default: return least;
	}
}

/* Bytes of the arena that are alive while node t runs. */
static size_t
memory_at(const Layout *l, int t)
{
	size_t bytes = 0;

	for (int i = 0; i < l->nitems; i++)
		for (int k = 0; k < l->item[i].nrects; k++)
			if (l->item[i].rect[k].first <= t && l->item[i].rect[k].last >= t)
				bytes += l->item[i].rect[k].size;
	return bytes;
}

/* Takes for every node the best kernel whose scratch is at most spare[t] / part. */
static bool
take_best(Build *b, const size_t *spare, size_t part)
{
	for (int t = 0; t < b->nnodes; t++) {
		const NodeKernels *all = &b->choices[t];
		int k = 0;

		while (k < all->n - 1 && (size_t)all->v[k].scratch > spare[t] / part)
			k++;
		if (k != b->chosen[t] && !take_kernel(b, t, k))
			return false;
	}
	return true;
}

/* The best kernels whose plan fits the level's memory; the layout with reference
 * lowerings sets what that is.  Where kernels spoil more than their scratch, less of it
 * is allowed, in the end none. */
static bool
choose_kernels(Build *b)
{
	size_t *spare = ARENA_ARRAY(b->arena, size_t, b->nnodes), most;
	const Layout *least = choose_layout(b);

	b->layout = least;
	most = most_memory(b, least->result.size);
	for (int t = 0; t < b->nnodes; t++) {
		size_t used = memory_at(least, t);

		spare[t] = used < most ? most - used : 0;
	}
	for (size_t part = 1; part <= MAX_PARTS; part *= 4) {
		if (!take_best(b, spare, part))
			return false;
		b->layout = choose_layout(b);
		if (b->layout->result.size <= most)
			return true;
	}
	for (int t = 0; t < b->nnodes; t++)
		if (!take_kernel(b, t, b->choices[t].n - 1))
			return false;
	b->layout = least;
	return true;
}

static void
report_choices(const Build *b)
{
	for (int t = 0; t < b->nnodes && b->options->kernels && b->options->kernels->remarks; t++) {
		const NodeKernels *all = &b->choices[t];
		const NodeKernel *k = &all->v[b->chosen[t]], *last = &all->v[all->n - 1];

		if (all->n > 1)
			diag_report(b->diag, &b->node[t]->loc, R_PASS,
			            "kernels: %s: about %lld cycles (reference lowering %lld), %lld "
			            "bytes of constants, %lld of scratch%s",
			            k->name, (long long)k->cycles, (long long)last->cycles,
			            (long long)k->constants, (long long)k->scratch,
			            b->chosen[t] ? "; faster ones need too much memory" : "");
	}
}

static void
list_nodes(Build *b)
{
	int t = 0;

	for (const Node *n = b->graph->first; n; n = n->next)
		b->nnodes++;
	b->node = ARENA_ARRAY(b->arena, const Node *, b->nnodes);
	for (const Node *n = b->graph->first; n; n = n->next)
		b->node[t++] = n;
}

Program *
program_build(Arena *a, const Graph *g, const ProgramOptions *options, Diag *d)
{
	Build b = {.arena = a, .graph = g, .options = options, .diag = d};

	b.align = options->align ? options->align : DEFAULT_ALIGN;
	assert((b.align & (b.align - 1)) == 0);
	list_nodes(&b);
	b.kernel = ARENA_ARRAY(a, LFunc *, b.nnodes);
	b.choices = ARENA_ARRAY(a, NodeKernels, b.nnodes);
	b.chosen = ARENA_ARRAY(a, int, b.nnodes);
	if (!make_kernels(&b) || !choose_kernels(&b))
		return NULL;
	report_choices(&b);
	b.program = ARENA_NEW(a, Program);
	b.program->arena = a;
	b.program->graph = g;
	b.program->input = ARENA_ARRAY(a, Buffer *, g->inputs.n);
	b.program->output = ARENA_ARRAY(a, Buffer *, g->outputs.n);
	b.buffer = ARENA_ARRAY(a, Buffer *, g->values.n);
	b.step_at = ARENA_ARRAY(a, int, b.nnodes + 2);
	return make_program(&b) ? b.program : NULL;
}

size_t
program_const_bytes(const Program *p)
{
	Arena *a = arena_child(p->arena);
	bool *used = ARENA_ARRAY(a, bool, p->buffers.n);
	size_t bytes = 0;

	for (int t = 0; t < p->steps.n; t++) {
		const Step *step = p->steps.v[t];

		for (int i = 0; i < step->fn->bufs.n; i++)
			if (step->arg[i].buffer && lfunc_uses(step->fn, step->fn->bufs.v[i]))
				used[step->arg[i].buffer->base ? step->arg[i].buffer->base->index
				                               : step->arg[i].buffer->index] = true;
	}
	for (int i = 0; i < p->buffers.n; i++)
		if (p->buffers.v[i]->kind == BUFFER_CONST && used[i])
			bytes += type_bytes(&p->buffers.v[i]->type);
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
