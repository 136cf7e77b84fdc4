/*
 * --verify: whether what was generated computes what the interpreter does.
 */
#ifndef MCC_DRIVER_VERIFY_H
#define MCC_DRIVER_VERIFY_H

#include "codegen/llvm/llvm.h"
#include "driver/job.h"

/*
 * Runs the program on the data of --verify=, on the rows that the model comes with
 * (Graph.records), whose results must be the recorded ones, or on made-up data: in the interpreter, as C,
 * and with `options` as an object file, when that is for this machine.  A bit that differs
 * is reported with the first layer where one does.
 */
bool verify_program(Job *j, const Program *p, const LlvmOptions *options);

#endif
