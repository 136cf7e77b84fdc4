/*
 * Runs a program in the interpreter, in the memory that was planned.
 */
#include <string.h>

#include "codegen/program/program.h"

static void
run_step(Arena *a, const Step *step, unsigned char *const *memory)
{
	void **bufs = ARENA_ARRAY(a, void *, step->fn->bufs.n);

	for (int i = 0; i < step->fn->bufs.n; i++) {
		const Arg *arg = &step->arg[i];

		if (arg->buffer)
			bufs[i] = memory[arg->buffer->index] + arg->offset;
	}
	lfunc_run(a, step->fn, bufs);
}

/* Copies what the interpreter may only read into memory of our own. */
static void *
private_copy(Arena *a, const void *data, size_t size)
{
	return arena_copy(a, data, size);
}

/* The memory of the buffers that are their own base. */
static void
set_bases(Arena *a, const Program *p, const void *const *in, void *const *out,
          unsigned char **memory)
{
	for (int i = 0; i < p->graph->inputs.n && p->io == IO_CALLER; i++)
		memory[p->input[i]->index] =
			private_copy(a, in[i], type_bytes(&p->input[i]->type));
	for (int i = 0; i < p->graph->outputs.n && p->io == IO_CALLER; i++)
		memory[p->output[i]->index] = out[i];
	for (int i = 0; i < p->buffers.n; i++) {
		const Buffer *b = p->buffers.v[i];

		if (b->data && b->base == b)
			memory[i] = private_copy(a, b->data, type_bytes(&b->type));
	}
}

void
program_put_inputs(const Program *p, const void *const *in, void *arena)
{
	for (int i = 0; i < p->graph->inputs.n && p->io == IO_ARENA; i++) {
		size_t n = type_bytes(&p->input[i]->type);

		if (n)
			memcpy((char *)arena + p->input[i]->offset, in[i], n);
	}
}

void
program_get_outputs(const Program *p, void *const *out, const void *arena)
{
	for (int i = 0; i < p->graph->outputs.n && p->io == IO_ARENA; i++) {
		size_t n = type_bytes(&p->output[i]->type);

		if (n)
			memcpy(out[i], (const char *)arena + p->output[i]->offset, n);
	}
}

void
program_run(const Program *p, const void *const *in, void *const *out)
{
	Arena *a = arena_child(p->arena);
	unsigned char **memory = ARENA_ARRAY(a, unsigned char *, p->buffers.n);
	unsigned char *base = arena_alloc(a, p->arena_size);

	program_put_inputs(p, in, base);
	set_bases(a, p, in, out, memory);
	for (int i = 0; i < p->buffers.n; i++) {
		const Buffer *b = p->buffers.v[i];

		if (b->kind == BUFFER_ARENA)
			memory[i] = base + b->offset;
		else if (b->base != b)
			memory[i] = memory[b->base->index] + b->offset;
	}
	for (int i = 0; i < p->steps.n; i++)
		run_step(a, p->steps.v[i], memory);
	program_get_outputs(p, out, base);
	arena_free(a);
}
