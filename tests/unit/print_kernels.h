/*
 * What the tests of the C printer share: an arena, random numbers, and programs made
 * of kernels without a graph behind them.
 */
#ifndef MCC_TESTS_UNIT_PRINT_KERNELS_H
#define MCC_TESTS_UNIT_PRINT_KERNELS_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/c/c.h"
#include "tests/unit/unit_arena.h"

static const CEmitOptions standard = {
	.prefix = "kws",
	.header_name = "kws.h",
	.model_name = "kws.onnx",
	.model_sha256 = "0123",
	.command = "mcc kws.onnx",
	.version = "1.2.3",
};

typedef struct {
	Str source, header;
} Files;

static inline Files
emit(const Program *p, const CEmitOptions *o)
{
	Files f;

	str_init(&f.source, arena);
	str_init(&f.header, arena);
	ck_assert(c_emit(p, o, &f.source, &f.header, &diag));
	return f;
}

/* A buffer for an argument of kernel k, which becomes an input or output of the
 * program. */
static inline Buffer *
add_buffer(Program *p, Graph *g, const LBuf *buf, int k)
{
	Buffer *buffer = ARENA_NEW(arena, Buffer);
	Type t = type_make(buf->elem, 1, (int32_t[]){buf->count});

	buffer->name = arena_printf(arena, "%s%d", buf->name, k);
	buffer->type = t;
	buffer->kind = buf->role == LBUF_IN ? BUFFER_INPUT : BUFFER_OUTPUT;
	buffer->base = buffer;
	buffer->index = p->buffers.n;
	VEC_PUSH(arena, &p->buffers, buffer);
	if (buf->role == LBUF_IN) {
		graph_input(g, buffer->name, t);
		p->input[g->inputs.n - 1] = buffer;
	} else {
		graph_output(g, buffer->name, graph_value(g, buffer->name, t));
		p->output[g->outputs.n - 1] = buffer;
	}
	return buffer;
}

/* A program that calls kernels whose buffers are inputs, outputs and tables.  All
 * take the inputs of the first, which they must have, too. */
static inline Program *
wrap_kernels(LFunc *const *fn, int n)
{
	Program *p = ARENA_NEW(arena, Program);
	Graph *g = graph_new(arena, "g");

	p->arena = arena;
	p->graph = g;
	p->arena_align = 4;
	p->nregions = 1;
	p->region = ARENA_NEW(arena, Region);
	p->input = ARENA_ARRAY(arena, Buffer *, fn[0]->bufs.n);
	p->output = ARENA_ARRAY(arena, Buffer *, n * fn[0]->bufs.n);
	for (int k = 0; k < n; k++) {
		Step *step = ARENA_NEW(arena, Step);
		int inputs = 0;

		step->fn = fn[k];
		step->name = fn[k]->name;
		step->arg = ARENA_ARRAY(arena, Arg, fn[k]->bufs.n);
		step->index = p->steps.n;
		VEC_PUSH(arena, &p->steps, step);
		for (int i = 0; i < fn[k]->bufs.n; i++) {
			const LBuf *buf = fn[k]->bufs.v[i];

			if (buf->role == LBUF_TABLE)
				continue;
			if (k && buf->role == LBUF_IN)
				step->arg[i].buffer = p->input[inputs++];
			else
				step->arg[i].buffer = add_buffer(p, g, buf, k);
		}
	}
	return p;
}

#endif
