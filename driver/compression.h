/*
 * Compression as the options ask for it: reads the samples, runs graphs with an engine.
 */
#ifndef MCC_DRIVER_COMPRESSION_H
#define MCC_DRIVER_COMPRESSION_H

#include "driver/job.h"
#include "passes/compression/compress.h"

/* Whether the options ask for any. */
bool compression_is_wanted(const Options *o);

/* Checks the options against each other; reports E_USAGE and W_UNUSED. */
void compression_check(const Options *o);

/*
 * Compresses job->float_graph so, into job->graph, and sets job->compression.  What `survey`
 * has is used and what it gets kept, unless it is NULL; `with_shares` as measure_shares of
 * CompressOptions.
 */
bool compression_try(Job *j, const WeightOptions *weights, const Samples *samples,
                     struct Survey *survey, bool with_shares);

/* Compresses the job's graph, and sets job->compression. */
bool compression_run(Job *j);

#endif
