/*
 * What the fuzz targets of the readers share: bytes that must give an error or a graph
 * that the verifier accepts, in bounded memory and time.
 */
#ifndef MCC_TESTS_FUZZ_READER_H
#define MCC_TESTS_FUZZ_READER_H

#include <setjmp.h>
#include <stdlib.h>

#include "frontend/frontend.h"
#include "tests/fuzz/fuzz.h"

enum { FUZZ_READER_MEMORY = 256 << 20 };

static jmp_buf fuzz_out_of_memory;

static inline void
fuzz_give_up(void *user, size_t bytes)
{
	(void)user;
	(void)bytes;
	longjmp(fuzz_out_of_memory, 1);
}

/* Reads `data` as if it were the file `path`. */
static inline void
fuzz_reader(const char *path, const FrontendOptions *options, const uint8_t *data, size_t size)
{
	Arena *a = arena_new(fuzz_give_up, NULL);

	arena_set_limit(a, FUZZ_READER_MEMORY);
	if (!setjmp(fuzz_out_of_memory)) {
		Diag *d = ARENA_NEW(a, Diag);
		Graph *g;

		diag_init(d, a);
		g = frontend_read(a, path, data, size, options, d);
		if (!g && !d->errors)
			abort(); /* failed without a word */
		if (g && !graph_verify(g, d))
			abort(); /* the reader built what it must not */
	}
	arena_free(a);
}

#endif
