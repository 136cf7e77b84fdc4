/*
 * The graph's text form on arbitrary bytes: it must be refused with an error, or make
 * a graph that the verifier accepts, that prints and reads back to the same text, that
 * every pass leaves correct, and that computes the same after the exact passes.
 *
 * What follows a line of four dashes is not looked at, so that the golden files are
 * the corpus.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "passes/pass.h"
#include "tests/fuzz/fuzz.h"
#include "tests/run_graph.h"

enum { MEMORY = 64 << 20, ITERATIONS = 1 << 14 };

static jmp_buf out_of_memory;

static void
give_up(void *user, size_t bytes)
{
	(void)user;
	(void)bytes;
	longjmp(out_of_memory, 1);
}

static void
fail(const char *what, const char *text)
{
	fprintf(stderr, "%s:\n%s\n", what, text);
	abort();
}

static const char *
print(Arena *a, const Graph *g)
{
	Str s;

	str_init(&s, a);
	graph_print(&s, g);
	return s.s;
}

static Graph *
read(Arena *a, const char *text, size_t size)
{
	Diag *d = ARENA_NEW(a, Diag);
	Graph *g;

	diag_init(d, a);
	g = graph_parse(a, "fuzz", text, size, d);
	if (!g && !d->errors)
		fail("failed without a word", text);
	if (g && !graph_verify(g, d))
		fail(d->first->text, print(a, g));
	return g;
}

static void
run_passes(Arena *a, Graph *g, const char *names, const char *text)
{
	Diag *d = ARENA_NEW(a, Diag);
	PassCtx *cx = ARENA_NEW(a, PassCtx);
	PassList *list = ARENA_NEW(a, PassList);

	diag_init(d, a);
	pass_init(cx, a, d);
	cx->verify_each = true;
	cx->fold_iterations = ITERATIONS;
	if (!pass_parse_list(a, names, list, d) || !pass_run_list(list, g, cx, 2))
		fail(d->first->text, text);
}

/* Floats make infinities, for which dead-channels is not exact. */
static bool
has_floats(const Graph *g)
{
	for (int i = 0; i < g->values.n; i++)
		if (dtype_is_float(g->values.v[i]->type.dtype))
			return true;
	return false;
}

static size_t
graph_length(const char *text, size_t size)
{
	static const char line[] = "\n----\n";
	size_t n = sizeof line - 1;

	for (size_t i = 0; i + n <= size; i++)
		if (memcmp(text + i, line, n) == 0)
			return i;
	return size;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Arena *a = arena_new(give_up, NULL);
	const char *start = (const char *)data;

	arena_set_limit(a, MEMORY);
	if (!setjmp(out_of_memory)) {
		Graph *g = read(a, start, graph_length(start, size));

		if (g) {
			const char *text = print(a, g), *difference;
			Graph *again = read(a, text, strlen(text));
			int64_t iterations = ITERATIONS;

			if (!again || strcmp(print(a, again), text) != 0)
				fail("does not read back to the same text", text);
			run_passes(a, g, "expand", text);
			run_passes(a, again, "expand,fold,simplify,fuse-pad,cse,dce", text);
			if (!has_floats(again))
				run_passes(a, again, "dead-channels,dce", text);
			difference = run_compare(a, g, again, RUN_EXACT, &iterations);
			if (difference)
				fail(difference, text);
			run_passes(a, g, "fuse-batch-norm,fuse-bias,simplify,dead-channels,dce", text);
			print(a, g);
		}
	}
	arena_free(a);
	return 0;
}
