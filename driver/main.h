/*
 * What the main() of mcc and mcc-run have in common.
 */
#ifndef MCC_DRIVER_MAIN_H
#define MCC_DRIVER_MAIN_H

#include "driver/job.h"

/*
 * Reads the command line, answers --help and the like, or else lets `check`
 * look for options that do not fit (it reports to o->diag) and does `work` for
 * each model.  Returns the exit status.
 */
int program_main(Tool tool, int argc, char **argv, void (*check)(const Options *o),
                 JobFn *work);

#endif
