/* The reader of .npy files; what it accepts is written and read again. */
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "base/npy.h"
#include "tests/fuzz/fuzz.h"

enum { MEMORY = 64 << 20 };

static jmp_buf out_of_memory;

static void
give_up(void *user, size_t bytes)
{
	(void)user;
	(void)bytes;
	longjmp(out_of_memory, 1);
}

static void
read_again(Arena *a, const Npy *n, Diag *d)
{
	Npy again;
	Str s;

	str_init(&s, a);
	npy_write(&s, n);
	if (!npy_read(a, "again", s.s, s.n, &again, d))
		abort(); /* wrote what cannot be read */
	if (again.kind != n->kind || again.size != n->size || again.rank != n->rank ||
	    again.count != n->count ||
	    memcmp(again.dim, n->dim, (size_t)n->rank * sizeof *n->dim) != 0 ||
	    (n->count && memcmp(again.data, n->data, n->count * (size_t)n->size) != 0))
		abort(); /* something changed on the way */
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Arena *a = arena_new(give_up, NULL);

	arena_set_limit(a, MEMORY);
	if (!setjmp(out_of_memory)) {
		Diag *d = ARENA_NEW(a, Diag);
		Npy n;

		diag_init(d, a);
		if (npy_read(a, "fuzz.npy", data, size, &n, d))
			read_again(a, &n, d);
		else if (!d->errors)
			abort(); /* failed without a word */
	}
	arena_free(a);
	return 0;
}
