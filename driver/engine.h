/*
 * Ways to run a program on this machine.
 */
#ifndef MCC_DRIVER_ENGINE_H
#define MCC_DRIVER_ENGINE_H

#include "codegen/program/program.h"
#include "driver/arrays.h"

/*
 * A program that was made ready to be called many times: compiled in memory, or where
 * mcc was built without LLVM, for the interpreter.  It lives as long as `a`; NULL when an
 * error was reported.
 */
typedef struct EngineModel EngineModel;
EngineModel *engine_prepare(const Program *p, Arena *a, Job *j);

/* All calls of `x`, on several threads. */
void engine_call(const EngineModel *m, const Arrays *x, int threads, Arena *scratch);

/* Shows on a terminal how far the work is, from 0 to 1, once it takes longer. */
void engine_show_progress(Job *j, const char *what, double part);

/* Compiles the program in memory and runs it, on several threads. */
bool engine_jit(const Program *p, const Arrays *x, Job *j);

/* The same layer by layer; appends how long each took. */
bool engine_profile(const Program *p, const Arrays *x, Job *j, Str *s);

/* Interprets the loop IR. */
bool engine_interpret(const Program *p, const Arrays *x, Job *j);

/* The memory of each input and output in call number `call`; states without a file are
 * what the call before left, or start again. */
void engine_memory_of_call(const Arrays *x, size_t call, const void **in, void **out);

/* Memory for the arena of one call at a time, aligned as the program asks. */
void *engine_arena(const Program *p, Arena *a);

/* Prints the program as C, compiles that with $CC into a temporary folder, and
 * calls it. */
bool engine_compile(const Program *p, const Arrays *x, Job *j);

/* The same for an object file of the program with the prefix ENGINE_PREFIX, which $CC
 * links. */
#define ENGINE_PREFIX "model"
bool engine_object(const Program *p, const Str *object, const Arrays *x, Job *j);

#endif
