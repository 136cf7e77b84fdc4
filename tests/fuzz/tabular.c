/*
 * The readers of XGBoost and LightGBM models on arbitrary bytes: they must report an
 * error or make a graph that the verifier accepts, in bounded memory and time.
 */
#include <setjmp.h>
#include <stdlib.h>

#include "frontend/frontend.h"
#include "tests/fuzz/fuzz.h"

enum { MEMORY = 256 << 20 };

static jmp_buf out_of_memory;

static void
give_up(void *user, size_t bytes)
{
	(void)user;
	(void)bytes;
	longjmp(out_of_memory, 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FrontendOptions options = {.format = size > 0 && data[0] == '{' ? "xgboost" : "lightgbm"};
	Arena *a = arena_new(give_up, NULL);

	arena_set_limit(a, MEMORY);
	if (!setjmp(out_of_memory)) {
		Diag *d = ARENA_NEW(a, Diag);
		Graph *g;

		diag_init(d, a);
		g = frontend_read(a, "/nonexistent/fuzz", data, size, &options, d);
		if (!g && !d->errors)
			abort(); /* failed without a word */
		if (g && !graph_verify(g, d))
			abort(); /* the reader built what it must not */
	}
	arena_free(a);
	return 0;
}
