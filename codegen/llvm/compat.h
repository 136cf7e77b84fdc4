/*
 * What differs between the C APIs of LLVM 16 to 22.
 */
#ifndef MCC_CODEGEN_LLVM_COMPAT_H
#define MCC_CODEGEN_LLVM_COMPAT_H

#include <string.h>

#include <llvm-c/Core.h>
#include <llvm-c/Orc.h>
#include <llvm-c/TargetMachine.h>
#include <llvm/Config/llvm-config.h>

#include "codegen/llvm/llvm.h"

#if LLVM_VERSION_MAJOR < 16 || LLVM_VERSION_MAJOR > 22
#error "mcc needs LLVM 16 to 22"
#endif

/* LLVM 16 and 17 have no way to name the ABI here; the module flag "target-abi"
 * says it too. */
static inline LLVMTargetMachineRef
compat_target_machine(LLVMTargetRef target, const LlvmTarget *t, LLVMCodeGenOptLevel level,
                      LLVMRelocMode reloc, LLVMCodeModel model)
{
#if LLVM_VERSION_MAJOR < 18
	return LLVMCreateTargetMachine(target, t->triple, t->cpu, t->features, level, reloc, model);
#else
	LLVMTargetMachineOptionsRef o = LLVMCreateTargetMachineOptions();
	LLVMTargetMachineRef machine;

	LLVMTargetMachineOptionsSetCPU(o, t->cpu);
	LLVMTargetMachineOptionsSetFeatures(o, t->features);
	LLVMTargetMachineOptionsSetABI(o, t->abi);
	LLVMTargetMachineOptionsSetCodeGenOptLevel(o, level);
	LLVMTargetMachineOptionsSetRelocMode(o, reloc);
	LLVMTargetMachineOptionsSetCodeModel(o, model);
	machine = LLVMCreateTargetMachineWithOptions(target, t->triple, o);
	LLVMDisposeTargetMachineOptions(o);
	return machine;
#endif
}

/* Features that only say what is slow: LLVM would turn copies of rows into gathers and
 * scatters, one element at a time.  LLVM 16 has no words for it. */
static inline const char *
compat_tuning(const char *triple)
{
#if LLVM_VERSION_MAJOR < 17
	(void)triple;
	return "";
#else
	return strncmp(triple, "x86_64", 6) == 0 ? "+prefer-no-gather,+prefer-no-scatter" : "";
#endif
}

/* A context for the JIT: until LLVM 20 the thread-safe one makes it, from 21 on it
 * takes ours. */
static inline LLVMOrcThreadSafeContextRef
compat_thread_safe_context(LLVMContextRef *context)
{
#if LLVM_VERSION_MAJOR < 21
	LLVMOrcThreadSafeContextRef safe = LLVMOrcCreateNewThreadSafeContext();

	*context = LLVMOrcThreadSafeContextGetContext(safe);
	return safe;
#else
	*context = LLVMContextCreate();
	return LLVMOrcCreateNewThreadSafeContextFromLLVMContext(*context);
#endif
}

#endif
