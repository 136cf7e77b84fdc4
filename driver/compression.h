/*
 * Compression as the options ask for it: reads the samples, runs graphs with an engine.
 */
#ifndef MCC_DRIVER_COMPRESSION_H
#define MCC_DRIVER_COMPRESSION_H

#include "driver/job.h"

/* Whether the options ask for any. */
bool compression_is_wanted(const Options *o);

/* Checks the options against each other; reports E_USAGE and W_UNUSED. */
void compression_check(const Options *o);

/* Compresses the job's graph, and sets job->compression. */
bool compression_run(Job *j);

#endif
