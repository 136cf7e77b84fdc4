/*
 * The interpreter's own code: registers and instructions.
 *
 * All functions of one LCode, the compiled one and those that it calls, share
 * one register file.  Functions cannot recurse, so each owns a fixed part of it:
 * a call needs no frame.  Constants are registers that nothing writes.
 *
 * In a register, bool, i8, u8, i16, u16, i32, u32 and idx are 32 bits wide,
 * narrow ones sign- or zero-extended; f16 and bf16 are their bits.
 */
#ifndef MCC_IR_LOOP_BYTECODE_H
#define MCC_IR_LOOP_BYTECODE_H

#include "ir/loop/loop.h"

typedef enum {
#define BC(name) BC_##name,
#include "ir/loop/bytecode.def"
	BC_COUNT
} Bytecode;

typedef union {
	int32_t i32;
	uint32_t u32;
	int64_t i64;
	uint64_t u64;
	float f32;
	double f64;
} Reg;

typedef struct {
	Bytecode op;
	int32_t a, b, c, d;
} Insn;

typedef VEC(Insn) Insns;

struct LCode {
	const LFunc *fn;
	Insns insns;
	int entry;   /* the instruction to start at */
	Reg *regs;
	int nregs;
	int params;  /* register of the first parameter; the others follow */
	int result;  /* register of a scalar function's result */
	VEC(const LBuf *) buf; /* those of fn in their order, then the tables of callees */
	void **bufs; /* their memory; of scratch and tables it is set */
};

#endif
