/*
 * A target as plain facts: what a pass or a lowering may want to know of the machine
 * that code is made for.  codegen/target finds out which one the user means.
 */
#ifndef MCC_IR_TARGET_H
#define MCC_IR_TARGET_H

#include <stddef.h>

/* Families of instructions: bits of Target.isa. */
enum {
	ISA_MUL = 1 << 0,        /* multiplies 32-bit integers */
	ISA_MUL_HIGH = 1 << 1,   /* and gives all 64 bits */
	ISA_DIVIDE = 1 << 2,     /* divides 32-bit integers */
	ISA_FLOAT = 1 << 3,      /* computes with floats */
	ISA_DOUBLE = 1 << 4,     /* and with doubles */
	ISA_ARM_DSP = 1 << 5,    /* pairs of 16-bit integers: SMLAD and the like */
	ISA_ARM_MVE = 1 << 6,    /* vectors of integers */
	ISA_ARM_MVE_FLOAT = 1 << 7, /* vectors of floats */
	ISA_ARM_DOT = 1 << 8,    /* SDOT, UDOT on vectors of int8 */
	ISA_VECTOR = 1 << 9,     /* any vector unit for integers; see vector_bytes */
	ISA_X86_AVX2 = 1 << 10,  /* vectors of 32 bytes */
	ISA_X86_AVX512 = 1 << 11, /* and of 64: AVX-512 F, BW, DQ and VL */
	ISA_X86_VNNI = 1 << 12,  /* sums of four products of bytes */
	ISA_ARM_SINGLE = 1 << 13, /* ISA_ARM_DSP one instruction at a time, so that what counts is
	                           * their number, and loads that stand side by side */
	ISA_ARM_NEON = 1 << 14,  /* vectors of AArch64 */
	ISA_ARM_DUAL = 1 << 15,  /* two at a time, in their order: a product beside a load */
	ISA_ARM_MLA = 1 << 16,   /* as ISA_ARM_SINGLE, but without ISA_ARM_DSP: products one by one */
	ISA_X86_SSE2 = 1 << 17   /* sums of two products of 16 bits, as all x86-64 have */
};

typedef struct {
	const char *name;     /* of targets.def; "generic" is any C compiler */
	const char *cpu;      /* as LLVM names it; NULL or "": any of the target */
	int int_bytes;        /* of C's int */
	int pointer_bytes;
	size_t address_space; /* bytes that data and code can have together; 0: plenty */
	int vector_bytes;     /* of a vector register; 0: none */
	int vector_registers; /* how many of them */
	unsigned isa;
} Target;

#endif
