/*
 * The LLVM backend: a program as LLVM IR, assembly or an object file for a
 * target, or as code in memory for the host.
 *
 * It builds on the LLVM C API only and takes the same loop IR as the C printer,
 * so that both give the same bits: no fast-math, no contraction, and the
 * definitions of kops.def wherever LLVM would leave a result undefined.
 *
 * No LLVM type crosses this header.  A build without LLVM has the same functions;
 * those that need it report E_UNSUPPORTED.
 */
#ifndef MCC_CODEGEN_LLVM_LLVM_H
#define MCC_CODEGEN_LLVM_LLVM_H

#include <stdbool.h>

#include "base/diag.h"
#include "base/str.h"
#include "codegen/program/program.h"

typedef enum { LLVM_IR, LLVM_BITCODE, LLVM_ASSEMBLY, LLVM_OBJECT } LlvmOutput;

typedef enum { RELOC_DEFAULT, RELOC_STATIC, RELOC_PIC } LlvmReloc;

/* What code is made for.  The strings are LLVM's and must be known to it:
 * codegen/target checks them, since LLVM only prints and goes on. */
typedef struct {
	const char *triple;   /* "thumbv7em-none-eabihf" */
	const char *cpu;      /* "cortex-m4"; "": the triple's default */
	const char *tune;     /* the CPU to schedule for; "": cpu */
	const char *features; /* "+fp-only-sp,-d32"; "" */
	const char *abi;      /* of RISC-V: "ilp32f"; "": the default */
	LlvmReloc reloc;
	const char *code_model; /* "small", …; "": the default */
	unsigned isa;           /* families of instructions it has: ISA_ of ir/target.h */
} LlvmTarget;

typedef struct {
	LlvmTarget target;
	int opt_level;          /* 0 to 3 */
	int size_level;         /* 0, 1 (-Os), 2 (-Oz) */
	bool spreads;           /* vectors of neighbouring sums, which take stack (spread.c); in
	                         * memory always */
	bool batch;             /* NAME_run_batch too; not of a graph with states */
	bool debug;             /* line tables: file = model, line = number of the node */
	const char *prefix;     /* of all names, as in C */
	const char *model_name; /* the model's file name */
	const char *producer;   /* "mcc 0.1.0" */
} LlvmOptions;

/* Emits the program; errors are those of impossible targets. */
bool llvm_emit(const Program *p, const LlvmOptions *options, LlvmOutput kind, Str *out, Diag *d);

/* ---- In memory ---- */

/* A program compiled for the host.  Lives as long as the arena. */
typedef struct LlvmJit LlvmJit;

/* NULL and an error in `d` when it cannot be. */
LlvmJit *llvm_jit(Arena *a, const Program *p, int opt_level, Diag *d);

/* Runs it; `in` and `out` are parallel to the graph's inputs and outputs, `arena`
 * is memory of p->arena_size bytes, aligned to p->arena_align.  May be called from
 * several threads. */
void llvm_jit_run(const LlvmJit *jit, const void *const *in, void *const *out, void *arena);

/* Runs one step of the program only, with the same arguments. */
void llvm_jit_run_step(const LlvmJit *jit, int step, const void *const *in, void *const *out,
                       void *arena);

/* ---- About LLVM and this machine ---- */

/* The triple of this machine, and its CPU and features, as LLVM names them; ""
 * without LLVM. */
const char *llvm_host_triple(Arena *a);
const char *llvm_host_cpu(Arena *a);
const char *llvm_host_features(Arena *a);

/* LLVM's version, "19.1.7", and its first number; "" and 0 without LLVM. */
const char *llvm_version(Arena *a);
int llvm_major_version(void);

/* Whether LLVM was built with the processor family of the triple. */
bool llvm_has_target(const char *triple);

/* Called with what went wrong when LLVM cannot go on; must not return. */
void llvm_set_fatal_handler(void (*handler)(const char *reason));

#endif
