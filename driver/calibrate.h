/*
 * Samples of a model's inputs: from files, or made up.
 */
#ifndef MCC_DRIVER_CALIBRATE_H
#define MCC_DRIVER_CALIBRATE_H

#include "driver/job.h"
#include "passes/compression/compress.h"

/*
 * Reads what -fcalib= names, and the labels of --labels for mcc.  Without data makes up
 * some numbers, the same ones each time.
 */
bool calibrate_read(Samples *out, Job *j);

#endif
