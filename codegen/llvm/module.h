/*
 * Between the files of codegen/llvm: building a module.
 */
#ifndef MCC_CODEGEN_LLVM_MODULE_H
#define MCC_CODEGEN_LLVM_MODULE_H

#include <llvm-c/Core.h>
#include <llvm-c/DebugInfo.h>
#include <llvm-c/TargetMachine.h>

#include "codegen/c/c.h"
#include "codegen/llvm/llvm.h"
#include "codegen/target/arm_products.h"

/* An LFunc of the mathematical library and what it became. */
typedef struct {
	const LFunc *fn;
	LLVMValueRef value;
} LlvmCallee;

typedef struct {
	Arena *arena;
	const Program *program;
	const LlvmOptions *options;
	CSymbols symbols; /* the same names as in C */
	bool has_sections; /* functions and constants get sections of their own */
	bool for_jit;
	bool spreads; /* sums side by side (spread.c), so each step has a function of its own */
	LLVMContextRef context;
	LLVMModuleRef module;
	LLVMBuilderRef builder;
	LLVMTypeRef ptr;
	LLVMTypeRef c_int;     /* C's int: 32 bits but for the smallest machines */
	LLVMTypeRef c_address; /* an integer of the size of a pointer */
	VEC(LlvmCallee) callees;
	LLVMValueRef *constant; /* by Buffer.index: the global, or NULL */
	LLVMValueRef *kernel;   /* by index in symbols.kernel; with `spreads` by step */
	LLVMDIBuilderRef di;    /* NULL without -g */
	LLVMMetadataRef di_unit, di_file, di_type;
} LlvmModule;

/* A load whose constants were laid out anew (spread.c): element var * columns + rest is
 * now rest * rows + var of the table. */
typedef struct {
	const Expr *load;
	const LVar *var;
	int64_t rows, columns;
	LLVMValueRef table;
} LlvmExchanged;

/* The state of one function under construction (function.c). */
typedef struct {
	LlvmModule *m;
	const LFunc *fn;
	const bool *used; /* by LBuf.index: it is a parameter */
	const bool *shared; /* the same: other parameters may overlap it; NULL: none does */
	LLVMValueRef value;
	LLVMBasicBlockRef entry; /* holds the stack slots of all variables */
	LLVMValueRef *slot;      /* by LVar.index; NULL: not a slot */
	LLVMValueRef *known;     /* by LVar.index: the value of a constant variable */
	LLVMValueRef *buf;       /* by LBuf.index: where its elements start; NULL: not used */
	VEC(LlvmExchanged) exchanged;
	ArmProducts *products;   /* NULL: runs of products are statements like others */
	int nruns;               /* that were made instructions */
} LlvmFunction;

/*
 * Builds a module in `context` for a machine: the kernels of the program, and either
 * NAME_run or, for the JIT, functions that take their arguments as arrays: mcc_run
 * and mcc_step_N (see jit.c).  Afterwards llvm_dispose_module() frees what the module
 * does not need; the module itself belongs to the context.
 */
void llvm_build_module(LlvmModule *m, Arena *a, const Program *p, const LlvmOptions *options,
                       LLVMContextRef context, LLVMTargetMachineRef machine, bool for_jit);
void llvm_dispose_builders(LlvmModule *m);

/* The machine that the options name; NULL and an error when LLVM has none (emit.c). */
LLVMTargetMachineRef llvm_target_machine(const LlvmOptions *options, bool for_jit, Diag *d);

/* Runs LLVM's passes and checks the result (emit.c). */
bool llvm_optimise(const LlvmModule *m, LLVMTargetMachineRef machine, Diag *d);

/* Reports LLVM's errors to `d` from now on (emit.c). */
void llvm_catch_errors(LLVMContextRef context, Diag *d);

/*
 * The function of the module for a scalar function or a kernel (function.c).  The
 * buffers with used[index] are its parameters, those with shared[index] may overlap
 * others; NULL: it has none but tables.  With a subprogram all its instructions lie in
 * `line`.
 */
LLVMValueRef llvm_build_function(LlvmModule *m, const LFunc *fn, const char *name,
                                 const bool *used, const bool *shared,
                                 LLVMMetadataRef subprogram, unsigned line);
LLVMValueRef llvm_find_callee(LlvmModule *m, const LFunc *fn);

/* ---- Pieces of functions (function.c) ---- */

/* A loop that counts, between opening and closing it. */
typedef struct {
	LLVMValueRef var, lo;
	LLVMBasicBlockRef before, head, end;
	int32_t step;
} LlvmCounted;

/* Opens for var = lo; var < hi; var += step; the builder is in its body. */
LlvmCounted llvm_open_counted(LlvmFunction *f, LLVMValueRef lo, LLVMValueRef hi, int32_t step,
                              const char *name);
LLVMValueRef llvm_close_counted(LlvmFunction *f, const LlvmCounted *loop); /* its last branch */

/* Tells LLVM's passes something about a loop: "llvm.loop.unroll.count" and the like. */
void llvm_hint_loop(const LlvmModule *m, LLVMValueRef last_branch, const char *name,
                    unsigned value);

LLVMBasicBlockRef llvm_new_block(LlvmFunction *f, const char *name);
/* Memory on the stack, in the entry block. */
LLVMValueRef llvm_new_slot(LlvmFunction *f, LLVMTypeRef type, const char *name);
void llvm_build_block(LlvmFunction *f, const Stmt *s);

/* Builds a loop over outputs with their sums side by side; false, and nothing built, when
 * it is no such loop (spread.c). */
bool llvm_build_spread(LlvmFunction *f, const Stmt *loop);

/* The value of an expression at the builder's place (expr.c).  Of type bool: i1. */
LLVMValueRef llvm_build_expr(LlvmFunction *f, const Expr *e);

/* A packed operation (packed.c). */
LLVMValueRef llvm_build_packed(LlvmFunction *f, const Expr *e);
LLVMValueRef llvm_build_dot(LlvmFunction *f, const Expr *e);

/* Calls the intrinsic of that name, which LLVM has; `types` are those that it is
 * overloaded on (expr.c). */
LLVMValueRef llvm_call_intrinsic(LlvmFunction *f, const char *name, int ntypes,
                                 LLVMTypeRef *types, int nargs, LLVMValueRef *args);

/* LLVM's type for a value, and for an element in memory (bool: i8). */
LLVMTypeRef llvm_type(const LlvmModule *m, DType t);
LLVMTypeRef llvm_memory_type(const LlvmModule *m, DType t);

/* The same for a vector where lanes is not 0, and an integer of such a type, in each lane. */
LLVMTypeRef llvm_lanes(LLVMTypeRef t, int lanes);
LLVMValueRef llvm_number(LLVMTypeRef t, uint64_t v);

/* An internal constant with these bytes. */
LLVMValueRef llvm_constant(LlvmModule *m, const char *name, DType t, size_t count,
                           const void *data);

/* The address of element `index` of an array. */
LLVMValueRef llvm_element(LlvmFunction *f, DType t, LLVMValueRef base, LLVMValueRef index);

/* Gives a function the attributes and the section that all of ours have. */
void llvm_finish_function(const LlvmModule *m, LLVMValueRef fn, const char *name);

/* Adds an attribute without value to a function or one of its parameters. */
void llvm_add_attribute(const LlvmModule *m, LLVMValueRef fn, LLVMAttributeIndex index,
                        const char *name);

#endif
