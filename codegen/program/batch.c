/*
 * What NAME_run_batch does with many rows at a time.
 *
 * Each of BATCH_ROWS rows has an arena as one call has it, one behind the other.  A step
 * that has a lowering for many rows does them all at once, all other steps are called
 * for one row after the other, so that nothing need be known of them.
 */
#include <assert.h>

#include "codegen/program/program.h"
#include "ir/lower.h"

/* Elements from where an argument has one row to where it has the next. */
static int32_t
stride_of(const Program *p, const Arg *arg)
{
	const Buffer *b = arg->buffer;
	int bytes = dtype_info[b->type.dtype].bytes;

	switch (b->kind) {
	case BUFFER_CONST: return 0;
	case BUFFER_ARENA: return (int32_t)(p->batch.stride / (size_t)bytes);
	case BUFFER_INPUT:
	case BUFFER_OUTPUT: break;
	}
	return (int32_t)(type_bytes(&b->base->type) / (size_t)bytes);
}

/* The arguments of a step that are the node's inputs and outputs, by their numbers. */
static RowStrides
strides_of(const Program *p, const Step *s)
{
	const Node *n = s->node;
	int32_t *in = ARENA_ARRAY(p->arena, int32_t, n->nins);
	int32_t *out = ARENA_ARRAY(p->arena, int32_t, n->nouts);
	int at = 0;

	for (int i = 0; i < n->nins; i++)
		if (n->in[i])
			in[i] = stride_of(p, &s->arg[at++]);
	for (int i = 0; i < n->nouts; i++)
		if (n->out[i])
			out[i] = stride_of(p, &s->arg[at++]);
	return (RowStrides){in, out};
}

/* Scratch memory behind the rows' arenas. */
static const Buffer *
scratch_buffer(Program *p, const LBuf *buf)
{
	Buffer *b = ARENA_NEW(p->arena, Buffer);
	Type type = type_make(buf->elem, 1, (int32_t[]){buf->count});
	size_t align = p->arena_align;

	*b = (Buffer){.index = p->buffers.n + p->batch.buffers.n, .name = buf->name, .type = type,
	              .kind = BUFFER_ARENA, .offset = p->batch.arena_size};
	p->batch.arena_size += (type_bytes(&type) + align - 1) / align * align;
	VEC_PUSH(p->arena, &p->batch.buffers, b);
	return b;
}

/* The step that does what `s` does, for all rows; NULL: there is none. */
static Step *
step_of_rows(Program *p, const Step *s)
{
	RowStrides strides;
	Step *rows;
	LFunc *f;

	if (!s->node || s->node->op != OP_TREES)
		return NULL;
	strides = strides_of(p, s);
	f = node_lower_rows(p->arena, s->node, BATCH_ROWS, &strides);
	if (!f)
		return NULL;
	assert(!lfunc_verify(f));
	rows = ARENA_NEW(p->arena, Step);
	*rows = (Step){.index = p->steps.n + p->batch.steps.n, .name = s->name, .node = s->node,
	               .fn = f, .arg = ARENA_ARRAY(p->arena, Arg, f->bufs.n)};
	for (int i = 0; i < f->bufs.n; i++)
		if (f->bufs.v[i]->role == LBUF_SCRATCH)
			rows->arg[i].buffer = scratch_buffer(p, f->bufs.v[i]);
		else if (lbuf_is_argument(f->bufs.v[i]))
			rows->arg[i] = s->arg[i];
	VEC_PUSH(p->arena, &p->batch.steps, rows);
	return rows;
}

void
program_plan_batch(Program *p)
{
	size_t align = p->arena_align > 8 ? p->arena_align : 8;

	if (p->io != IO_CALLER || p->nregions != 1 || p->clobbers_inputs || p->graph->states.n)
		return;
	p->batch.stride = (p->arena_size + align - 1) / align * align;
	p->batch.arena_size = BATCH_ROWS * p->batch.stride;
	p->batch.step_of = ARENA_ARRAY(p->arena, const Step *, p->steps.n);
	for (int i = 0; i < p->steps.n; i++)
		p->batch.step_of[i] = step_of_rows(p, p->steps.v[i]);
	p->batch.rows = p->batch.steps.n ? BATCH_ROWS : 0;
}
