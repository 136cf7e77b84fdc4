/*
 * A program as code in memory, through LLVM's ORC.
 *
 * The module has mcc_run for the whole program and mcc_step_N for each step; all
 * take the pointers to inputs and outputs as arrays.
 */
#include <assert.h>
#include <string.h>

#include <llvm-c/LLJIT.h>

#include "codegen/llvm/compat.h"
#include "codegen/llvm/module.h"

typedef void JitFn(const void *const *in, void *const *out, void *arena);

struct LlvmJit {
	LLVMOrcLLJITRef lljit;
	JitFn *run;
	JitFn **step;
};

static bool
failed(LLVMErrorRef error, Diag *d)
{
	char *message;

	if (!error)
		return false;
	message = LLVMGetErrorMessage(error);
	diag_report(d, NULL, E_TARGET, "cannot compile in memory: %s", message);
	LLVMDisposeErrorMessage(message);
	return true;
}

static void
dispose(void *object)
{
	LLVMErrorRef error = LLVMOrcDisposeLLJIT(object);

	if (error)
		LLVMConsumeError(error);
}

/* The compiler in memory for a target; takes the machine. */
static LLVMOrcLLJITRef
new_lljit(LLVMTargetMachineRef machine, Diag *d)
{
	LLVMOrcLLJITBuilderRef builder = LLVMOrcCreateLLJITBuilder();
	LLVMOrcDefinitionGeneratorRef process;
	LLVMOrcLLJITRef lljit;

	LLVMOrcLLJITBuilderSetJITTargetMachineBuilder(
		builder, LLVMOrcJITTargetMachineBuilderCreateFromTargetMachine(machine));
	if (failed(LLVMOrcCreateLLJIT(&lljit, builder), d))
		return NULL;
	/* The host's C library and compiler support: 64-bit division where it is a call. */
	if (failed(LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess(
			   &process, LLVMOrcLLJITGetGlobalPrefix(lljit), NULL, NULL),
	           d)) {
		dispose(lljit);
		return NULL;
	}
	LLVMOrcJITDylibAddGenerator(LLVMOrcLLJITGetMainJITDylib(lljit), process);
	return lljit;
}

/* Builds, optimises and hands over the module. */
static bool
add_module(LlvmJit *jit, Arena *a, const Program *p, const LlvmOptions *options,
           LLVMTargetMachineRef machine, Diag *d)
{
	LLVMContextRef context;
	LLVMOrcThreadSafeContextRef safe = compat_thread_safe_context(&context);
	LlvmModule m;
	bool ok;

	llvm_catch_errors(context, d);
	llvm_build_module(&m, a, p, options, context, machine, true);
	llvm_dispose_builders(&m);
	ok = llvm_optimise(&m, machine, d);
	if (ok)
		ok = !failed(LLVMOrcLLJITAddLLVMIRModule(
				     jit->lljit, LLVMOrcLLJITGetMainJITDylib(jit->lljit),
				     LLVMOrcCreateNewThreadSafeModule(m.module, safe)),
		             d);
	else
		LLVMDisposeModule(m.module);
	LLVMOrcDisposeThreadSafeContext(safe);
	return ok;
}

static JitFn *
find(const LlvmJit *jit, const char *name, Diag *d)
{
	LLVMOrcExecutorAddress address;
	uintptr_t bits;
	JitFn *fn;

	if (failed(LLVMOrcLLJITLookup(jit->lljit, &address, name), d))
		return NULL;
	bits = (uintptr_t)address;
	memcpy(&fn, &bits, sizeof fn);
	return fn;
}

LlvmJit *
llvm_jit(Arena *a, const Program *p, int opt_level, Diag *d)
{
	LlvmOptions options = {
		.target = {.triple = llvm_host_triple(a),
	                   .cpu = llvm_host_cpu(a),
	                   .tune = "",
	                   .features = llvm_host_features(a),
	                   .abi = "",
	                   .code_model = ""},
		.opt_level = opt_level,
		.prefix = "model",
		.model_name = "model",
		.producer = "mcc",
	};
	LlvmJit *jit = ARENA_NEW(a, LlvmJit);
	LLVMTargetMachineRef machine = llvm_target_machine(&options, true, d);
	bool ok;

	if (!machine)
		return NULL;
	/* The machine below is taken by the JIT, so the passes get one of their own. */
	jit->lljit = new_lljit(llvm_target_machine(&options, true, d), d);
	if (jit->lljit)
		arena_defer(a, dispose, jit->lljit);
	ok = jit->lljit && add_module(jit, a, p, &options, machine, d);
	LLVMDisposeTargetMachine(machine);
	if (!ok)
		return NULL;
	jit->run = find(jit, "mcc_run", d);
	jit->step = ARENA_ARRAY(a, JitFn *, p->steps.n);
	for (int i = 0; jit->run && i < p->steps.n; i++)
		jit->step[i] = find(jit, arena_printf(a, "mcc_step_%d", i), d);
	return d->errors == 0 ? jit : NULL;
}

void
llvm_jit_run(const LlvmJit *jit, const void *const *in, void *const *out, void *arena)
{
	jit->run(in, out, arena);
}

void
llvm_jit_run_step(const LlvmJit *jit, int step, const void *const *in, void *const *out,
                  void *arena)
{
	jit->step[step](in, out, arena);
}
