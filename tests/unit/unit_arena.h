/* The fixture of most unit tests: an arena and diagnostics, new for each test. */
#ifndef MCC_TESTS_UNIT_UNIT_ARENA_H
#define MCC_TESTS_UNIT_UNIT_ARENA_H

#include "base/diag.h"
#include "tests/unit/unit.h"

static Arena *arena;
static Diag diag;

static inline void
setup(void)
{
	arena = arena_new(NULL, NULL);
	diag_init(&diag, arena);
}

static inline void
teardown(void)
{
	arena_free(arena);
}

#endif
