/*
 * What a report says of the program beside what compression knows.
 */
#ifndef MCC_DRIVER_REPORT_H
#define MCC_DRIVER_REPORT_H

#include "codegen/program/program.h"
#include "driver/job.h"

/*
 * Adds to the report on compression what each layer becomes in the program `p`, which was
 * built with `plan`, and what the float model would take with the same options.  Without
 * compression there is nothing to do.  False when an error was reported.
 */
bool report_add_program(Job *j, const Program *p, const ProgramOptions *plan);

#endif
