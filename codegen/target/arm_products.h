/*
 * Runs of products as Arm instructions.
 *
 * An inner loop of sums of products has just as many registers as it needs when words are
 * loaded side by side (a load behind a load takes one cycle instead of two on Cortex-M4), or
 * beside products (Cortex-M7 starts two instructions at a time), and each is used up soon.
 * Compilers order such code by other rules, and spill.  So the
 * printers of C and of LLVM IR put what is found here into one piece of inline assembly,
 * where every register but those of sums and addresses is accounted for.
 *
 * A run is a stretch of statements of one block that does nothing but load words, unpack
 * them (even8, odd8), add and subtract them (also by halves: add2, sub2; one of two shifted to the
 * left), add products of pairs (dot2) to variables, and store these and other values at its end.
 * On machines without pairs (ISA_ARM_MLA) it loads elements of any width, and adds products
 * of two of them, kept (keep) one by one.
 * Variables that start with 0 in a run and that nothing reads behind it are registers of its
 * own.  The statements themselves stay the definition, and what every other machine gets.
 */
#ifndef MCC_CODEGEN_TARGET_ARM_PRODUCTS_H
#define MCC_CODEGEN_TARGET_ARM_PRODUCTS_H

#include "ir/loop/loop.h"

enum {
	ARM_RUN_REGISTERS = 12, /* of 14, less a frame pointer and one to spare */
	ARM_RUN_BASES = 4,
	ARM_RUN_LENGTH = 1200 /* instructions */
};

/* An address: &buf[index]. */
typedef struct {
	LBuf *buf;
	Expr *index;
} ArmBase;

/*
 * Operands are numbered: first the sums, which are read and written (those that are not
 * the run's own), then its own registers, then the bases.
 */
typedef struct {
	const Stmt *past;   /* behind the run */
	int nsums, ntemps, nbases;
	LVar *sum[ARM_RUN_REGISTERS];
	ArmBase base[ARM_RUN_BASES];
	VEC(const Stmt *) lets; /* declarations of indices that bases are made of, and of sums
	                         * that are read later: to be made before */
	Str text;           /* instructions, a line each, with '%' before the number of an operand */
	bool is_unaligned;  /* some loads may be */
} ArmRun;

/* What has to be known of a function to find its runs. */
typedef struct ArmProducts ArmProducts;

/* NULL: they are statements like others on a machine with these instructions. */
ArmProducts *arm_products_new(Arena *a, const LFunc *fn, unsigned isa);

/* Whether a run of some length starts with the statement. */
bool arm_products_find(ArmProducts *p, const Stmt *s, ArmRun *out);

#endif
