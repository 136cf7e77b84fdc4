/* The fixture of tests of passes: an arena, diagnostics, and a context that verifies the
 * graph behind each pass. */
#ifndef MCC_TESTS_UNIT_UNIT_PASSES_H
#define MCC_TESTS_UNIT_UNIT_PASSES_H

#include "passes/pass.h"
#include "tests/unit/unit_arena.h"

static PassCtx cx;

static inline void
setup_passes(void)
{
	setup();
	pass_init(&cx, arena, &diag);
	cx.verify_each = true;
}

#endif
