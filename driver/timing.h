/*
 * -ftime-report: how long the steps of one compilation took.
 */
#ifndef MCC_DRIVER_TIMING_H
#define MCC_DRIVER_TIMING_H

#include "base/str.h"

enum { TIMING_MAX_STEPS = 16 };

typedef struct {
	int nsteps;
	const char *name[TIMING_MAX_STEPS];
	double start[TIMING_MAX_STEPS + 1]; /* seconds; [nsteps] is the end */
} Timing;

/* Ends the step before and begins the next one. */
void timing_begin(Timing *t, const char *name);

/* Ends the last step and appends the table. */
void timing_report(Str *s, Timing *t);

#endif
