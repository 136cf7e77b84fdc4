/*
 * Which passes run at which level.
 */
#ifndef MCC_DRIVER_PIPELINE_H
#define MCC_DRIVER_PIPELINE_H

#include "driver/job.h"

/* The passes that the options ask for, separated by commas. */
const char *pipeline_passes(const Options *o);

/* Whether all passes that the options name exist; reports E_PASS. */
bool pipeline_check(const Options *o, Diag *d);

/* Whether -Rpass= asks about the choice of kernels. */
bool pipeline_remarks_kernels(const Options *o);

/* Whether the plan of the memory reports itself. */
bool pipeline_remarks_plan(const Options *o);

/* Runs the passes on the job's graph. */
bool pipeline_run(Job *j);

/* Runs those that make a float graph ready for compression. */
bool pipeline_run_before_compression(Job *j);

/* Runs those that take out channels that nobody looks at any more. */
bool pipeline_run_after_cut(Job *j);

#endif
