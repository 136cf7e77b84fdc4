/*
 * Items of the planner in several memories (regions.c).
 */
#ifndef MCC_CODEGEN_PROGRAM_REGIONS_H
#define MCC_CODEGEN_PROGRAM_REGIONS_H

#include "codegen/program/plan.h"
#include "codegen/program/program.h"

/* What came of it. */
typedef struct {
	PlanResult *region; /* one each */
	int *of;            /* by item: its region */
	size_t overflow;    /* bytes that do not fit: 0 unless nothing helps */
	int full;           /* the region that they do not fit in */
	double slow;        /* accesses, each times the number of its region */
} RegionPlan;

/*
 * Gives each item a region and a place in it, which is item[i].place.  `accesses` says how
 * often each is loaded from or stored to in a call: those with most for their bytes go to
 * the first region, as far as it has room, then to the next.
 */
RegionPlan regions_plan(Arena *a, const PlanProblem *p, const double *accesses,
                        const MemoryRegion *region, int n, long budget);

#endif
