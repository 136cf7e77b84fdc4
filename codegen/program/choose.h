/*
 * Which kernel each node gets, and with them the layout (choose.c).
 */
#ifndef MCC_CODEGEN_PROGRAM_CHOOSE_H
#define MCC_CODEGEN_PROGRAM_CHOOSE_H

#include "codegen/program/layout.h"

typedef struct {
	Plans plans;
	Diag *diag;
	size_t flash;         /* what the kernels are to take at most; 0: any */
	NodeKernels *choices; /* by node; NULL: not listed yet */
	int *chosen;          /* by node: which of them */
	Versions ***versions; /* by node and choice; NULL: not asked for yet */
	const Layout *layout; /* the chosen one */
} Choice;

/* Lists the kernels of all nodes and chooses; plans.arena, .graph, .options, .align and
 * .node are set.  Kernels that together take more than .flash are the smallest that there
 * are.  May be called again.  False when an error was reported: also that there is no
 * layout for the budget of memory. */
bool choose_kernels(Choice *c);

/* Whether a program of the chosen kernels keeps the budgets of flash and cycles; reports
 * where it does not. */
bool choose_check(const Choice *c, const ProgramCost *cost);

/* Reports each choice, where that is wanted. */
void choose_report(const Choice *c);

#endif
