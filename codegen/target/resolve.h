/*
 * Between the files of codegen/target.
 */
#ifndef MCC_CODEGEN_TARGET_RESOLVE_H
#define MCC_CODEGEN_TARGET_RESOLVE_H

#include "codegen/target/target.h"

typedef enum {
	FAMILY_ARM,
	FAMILY_AARCH64,
	FAMILY_RISCV,
	FAMILY_AVR,
	FAMILY_MSP430,
	FAMILY_XTENSA,
	FAMILY_X86,
	FAMILY_WASM,
	FAMILY_COUNT
} Family;

typedef enum {
#define TARGET(id, name, family, triple, cpu, isa, vector_bytes, llvm, text) TARGET_##id,
#include "codegen/target/targets.def"
	TARGET_COUNT
} TargetId;

typedef struct {
	const char *name;
	Family family;
	const char *triple, *cpu;
	unsigned isa;
	int vector_bytes, llvm;
	const char *text;
} TargetInfo;

extern const TargetInfo target_info[TARGET_COUNT];

/* Extensions of ARM CPUs. */
enum { EXT_DSP = 1, EXT_MVE = 2, EXT_MVE_FP = 4 };

typedef struct {
	TargetId target;
	const char *name; /* NULL at the end of the table */
	const char *unit; /* ARM: the floating-point unit, or NULL; RISCV: the ISA */
	unsigned extensions;
	int llvm;
} CpuInfo;

extern const CpuInfo cpu_table[];

typedef struct {
	Family family;
	const char *name; /* NULL at the end of the table */
	unsigned isa;
	int llvm;
} FeatureInfo;

extern const FeatureInfo feature_table[];

/* A choice under construction. */
typedef struct {
	Arena *arena;
	const TargetRequest *request;
	Diag *d;
	TargetId id;
	const char *triple; /* as the user gave it, or the target's */
	bool is_hosted;     /* the triple names an operating system */
	Str features;
	Machine *out;
} Resolver;

/* Each family decides on CPU, features, ABI and triple, and reports what cannot be. */
bool target_resolve_arm(Resolver *r);
bool target_resolve_riscv(Resolver *r);

/* The target that an -march word belongs to, or TARGET_COUNT. */
TargetId target_of_arm_arch(const char *arch);
TargetId target_of_riscv_arch(const char *arch);

/* ---- Shared (target.c) ---- */

const CpuInfo *target_find_cpu(const char *name, size_t length);

/* The CPU of that name if the target has it; reports when not. */
const CpuInfo *target_cpu(Resolver *r, const char *option, const char *name, size_t length);

/* Whether this LLVM is new enough; reports when not. */
bool target_needs_llvm(Resolver *r, const char *what, int version);

/* Appends features, separated by commas. */
void target_add_features(Resolver *r, const char *features);

/* The features of -mattr and of further -m options; reports those that are not known. */
bool target_apply_attrs(Resolver *r);
bool target_apply_flags(Resolver *r); /* flags.c */

/* One of them, +NAME or -NAME; adds what it brings. */
bool target_apply_feature(Resolver *r, const char *word, size_t length);

bool target_equal(const char *text, size_t length, const char *name);

#endif
