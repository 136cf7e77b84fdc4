/*
 * Which kernel each node gets, and with them the layout (choose.c).
 */
#ifndef MCC_CODEGEN_PROGRAM_CHOOSE_H
#define MCC_CODEGEN_PROGRAM_CHOOSE_H

#include "codegen/program/layout.h"

typedef struct {
	Plans plans;
	Diag *diag;
	NodeKernels *choices; /* by node */
	int *chosen;          /* by node: which of them */
	Versions ***versions; /* by node and choice; NULL: not asked for yet */
	const Layout *layout; /* the chosen one */
} Choice;

/* Lists the kernels of all nodes and chooses; plans.arena, .graph, .options and .align are
 * set.  False when an error was reported. */
bool choose_kernels(Choice *c, Diag *d);

#endif
