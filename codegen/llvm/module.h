/*
 * Between the files of codegen/llvm: building a module.
 */
#ifndef MCC_CODEGEN_LLVM_MODULE_H
#define MCC_CODEGEN_LLVM_MODULE_H

#include <llvm-c/Core.h>
#include <llvm-c/DebugInfo.h>

#include "codegen/llvm/llvm.h"

/* An LFunc of the mathematical library and what it became. */
typedef struct {
	const LFunc *fn;
	LLVMValueRef value;
} LlvmCallee;

typedef struct {
	Arena *arena;
	const Program *program;
	const LlvmOptions *options;
	LLVMContextRef context;
	LLVMModuleRef module;
	LLVMBuilderRef builder;
	LLVMTypeRef ptr;
	VEC(LlvmCallee) callees;
	LLVMValueRef *constant; /* by Buffer.index: the global, or NULL */
	LLVMValueRef *step;     /* the function of each step */
	LLVMDIBuilderRef di;    /* NULL without -g */
	LLVMMetadataRef di_unit, di_file, di_type;
} LlvmModule;

/* The state of one function under construction (function.c). */
typedef struct {
	LlvmModule *m;
	const LFunc *fn;
	LLVMValueRef value;
	LLVMBasicBlockRef entry; /* holds the stack slots of all variables */
	LLVMValueRef *slot;      /* by LVar.index; NULL: not a slot */
	LLVMValueRef *known;     /* by LVar.index: the value of a constant variable */
	LLVMValueRef *buf;       /* by LBuf.index: where its elements start */
} LlvmFunction;

/* Builds the whole module; the caller disposes of it and of the context. */
void llvm_build_module(LlvmModule *m, Arena *a, const Program *p, const LlvmOptions *options);

/* The function of the module for a scalar function or a kernel (function.c). */
LLVMValueRef llvm_build_function(LlvmModule *m, const LFunc *fn, const char *name,
                                 LLVMMetadataRef scope, unsigned line);
LLVMValueRef llvm_find_callee(LlvmModule *m, const LFunc *fn);

/* The value of an expression at the builder's place (expr.c).  Of type bool: i1. */
LLVMValueRef llvm_build_expr(LlvmFunction *f, const Expr *e);

/* LLVM's type for a value, and for an element in memory (bool: i8). */
LLVMTypeRef llvm_type(const LlvmModule *m, DType t);
LLVMTypeRef llvm_memory_type(const LlvmModule *m, DType t);

/* A private or internal constant with these bytes. */
LLVMValueRef llvm_constant(LlvmModule *m, const char *name, DType t, size_t count,
                           const void *data);

/* The address of element `index` of an array. */
LLVMValueRef llvm_element(LlvmFunction *f, DType t, LLVMValueRef base, LLVMValueRef index);

/* Gives a function the attributes that all of ours have. */
void llvm_add_attributes(const LlvmModule *m, LLVMValueRef fn);

#endif
