/*
 * Which machine the user means: from the words that gcc and clang have for it to
 * facts for our passes and to what LLVM wants to hear.
 *
 * LLVM only prints a line when it does not know a CPU or a feature and may abort
 * later, so everything is checked against tables of ours first: targets.def, cpus.def,
 * features.def, fpus.def.
 */
#ifndef MCC_CODEGEN_TARGET_TARGET_H
#define MCC_CODEGEN_TARGET_TARGET_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/str.h"
#include "codegen/llvm/llvm.h"
#include "ir/target.h"

/* What the command line says; NULL where it says nothing. */
typedef struct {
	const char *target;     /* -target: a name of targets.def, a triple, "generic" */
	const char *cpu;        /* -mcpu, -mmcu: "cortex-m4+nofp", "native" */
	const char *arch;       /* -march: "armv7e-m+fp", "rv32imac", "x86-64-v3" */
	const char *tune;       /* -mtune */
	const char *fpu;        /* -mfpu */
	const char *float_abi;  /* -mfloat-abi */
	const char *abi;        /* -mabi */
	const char *code_model; /* -mcmodel */
	const char *const *attrs; /* -mattr: each "+NAME,-NAME" */
	int nattrs;
	const char *const *flags; /* other -m options, without -m: "no-unaligned-access" */
	int nflags;
	bool thumb, arm;        /* -mthumb, -marm */
	LlvmReloc reloc;
	bool only_c;            /* LLVM is not asked for code: what it does not know can be */
} TargetRequest;

typedef struct {
	Target facts;
	LlvmTarget llvm; /* of generic: this host */
} Machine;

/* Reports what is unknown or impossible as E_USAGE, with what would be possible. */
bool target_resolve(Arena *a, const TargetRequest *r, Machine *out, Diag *d);

/* Whether any target has the option -mFLAG; the text needs memory of `a` only. */
bool target_knows_flag(Arena *a, const char *flag);

/* The table of targets, and the CPUs of those that fit the request. */
void target_print_all(Str *s);
bool target_print_cpus(Str *s, const TargetRequest *r, Diag *d);

#endif
