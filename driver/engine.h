/*
 * Three ways to run a program on this machine.
 */
#ifndef MCC_DRIVER_ENGINE_H
#define MCC_DRIVER_ENGINE_H

#include "codegen/program/program.h"
#include "driver/arrays.h"

/* Compiles the program in memory and runs it, on several threads. */
bool engine_jit(const Program *p, const Arrays *x, Job *j);

/* Interprets the loop IR. */
bool engine_interpret(const Program *p, const Arrays *x, Job *j);

/* Prints the program as C, compiles that with $CC into a temporary folder, and
 * calls it. */
bool engine_compile(const Program *p, const Arrays *x, Job *j);

#endif
