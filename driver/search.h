/*
 * -fprune=auto: how much has to go for a program to fit its budgets, or may go before it
 * loses too much.
 *
 * Two ways are tried, single weights (-fprune=SHARE) and channels (-fprune=channel:SHARE),
 * each at growing shares.  Halving finds, with a few compressions, the least share whose
 * program fits the budgets, or with no budget the greatest one that loses no more than
 * --max-drop=.  Of both ways the one that loses less is taken, or without a budget the one
 * with less flash.  Losses are those on the samples that were held out.
 */
#ifndef MCC_DRIVER_SEARCH_H
#define MCC_DRIVER_SEARCH_H

#include "driver/job.h"
#include "passes/compression/compress.h"

/* Checks the options against each other; reports E_USAGE. */
void search_check(const Options *o);

/* Compresses job->float_graph as compression_try() does, by what the search finds; reports
 * E_BUDGET when there is nothing. */
bool search_run(Job *j, const Samples *samples);

/* Whether what was lost is within --max-drop=; reports E_BUDGET. */
bool search_check_drop(Job *j);

#endif
