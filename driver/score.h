/*
 * How good a model is: its first output against labels.
 */
#ifndef MCC_DRIVER_SCORE_H
#define MCC_DRIVER_SCORE_H

#include "driver/arrays.h"

/*
 * Reads the file of --labels and appends the score.  Integers, one a call, are classes:
 * the output's elements are taken as their weights.  Numbers in the shape of the output
 * of all calls are what it should be.
 */
bool score_outputs(Str *s, const Arrays *x, Job *j);

#endif
