/*
 * From a module to text or bytes.
 */
#include <assert.h>
#include <string.h>

#include <llvm-c/Analysis.h>
#include <llvm-c/BitWriter.h>
#include <llvm-c/ErrorHandling.h>
#include <llvm-c/Target.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include "codegen/llvm/compat.h"
#include "codegen/llvm/module.h"

/* ---- LLVM itself ---- */

static void
initialise(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	LLVMInitializeAllTargetInfos();
	LLVMInitializeAllTargets();
	LLVMInitializeAllTargetMCs();
	LLVMInitializeAllAsmPrinters();
	LLVMInitializeAllAsmParsers();
}

int
llvm_major_version(void)
{
	unsigned major, minor, patch;

	LLVMGetVersion(&major, &minor, &patch);
	return (int)major;
}

const char *
llvm_version(Arena *a)
{
	unsigned major, minor, patch;

	LLVMGetVersion(&major, &minor, &patch);
	return arena_printf(a, "%u.%u.%u", major, minor, patch);
}

bool
llvm_has_target(const char *triple)
{
	LLVMTargetRef target;
	char *message = NULL;
	bool ok;

	initialise();
	ok = !LLVMGetTargetFromTriple(triple, &target, &message);
	if (!ok)
		LLVMDisposeMessage(message);
	return ok;
}

void
llvm_set_fatal_handler(void (*handler)(const char *reason))
{
	LLVMInstallFatalErrorHandler(handler);
}

/* A message of LLVM in the arena; frees the original. */
static const char *
take_message(Arena *a, char *message)
{
	const char *copy = arena_strdup(a, message ? message : "");

	LLVMDisposeMessage(message);
	return copy;
}

const char *
llvm_host_triple(Arena *a)
{
	return take_message(a, LLVMGetDefaultTargetTriple());
}

const char *
llvm_host_cpu(Arena *a)
{
	return take_message(a, LLVMGetHostCPUName());
}

const char *
llvm_host_features(Arena *a)
{
	return take_message(a, LLVMGetHostCPUFeatures());
}

/* ---- Errors ---- */

/* A message without the newline that some of them end in. */
static const char *
take_line(Arena *a, char *message)
{
	const char *copy = take_message(a, message);
	size_t n = strlen(copy);

	while (n && copy[n - 1] == '\n')
		n--;
	return arena_strndup(a, copy, n);
}

static void
on_diagnostic(LLVMDiagnosticInfoRef info, void *user)
{
	Diag *d = user;
	char *message;

	/* Remarks come here too. */
	if (LLVMGetDiagInfoSeverity(info) != LLVMDSError)
		return;
	message = LLVMGetDiagInfoDescription(info);
	diag_report(d, NULL, E_TARGET, "LLVM: %s", take_line(d->arena, message));
}

void
llvm_catch_errors(LLVMContextRef context, Diag *d)
{
	LLVMContextSetDiagnosticHandler(context, on_diagnostic, d);
}

/* ---- Machines ---- */

static LLVMCodeModel
code_model(const LlvmTarget *t, bool for_jit)
{
	static const struct {
		const char *name;
		LLVMCodeModel model;
	} models[] = {{"tiny", LLVMCodeModelTiny},
	              {"small", LLVMCodeModelSmall},
	              {"kernel", LLVMCodeModelKernel},
	              {"medium", LLVMCodeModelMedium},
	              {"large", LLVMCodeModelLarge},
	              /* RISC-V's words for small and medium. */
	              {"medlow", LLVMCodeModelSmall},
	              {"medany", LLVMCodeModelMedium}};

	for (size_t i = 0; i < sizeof models / sizeof *models; i++)
		if (strcmp(t->code_model, models[i].name) == 0)
			return models[i].model;
	return for_jit ? LLVMCodeModelJITDefault : LLVMCodeModelDefault;
}

LLVMTargetMachineRef
llvm_target_machine(const LlvmOptions *options, bool for_jit, Diag *d)
{
	static const LLVMRelocMode relocs[] = {[RELOC_DEFAULT] = LLVMRelocDefault,
	                                       [RELOC_STATIC] = LLVMRelocStatic,
	                                       [RELOC_PIC] = LLVMRelocPIC};
	static const LLVMCodeGenOptLevel levels[] = {LLVMCodeGenLevelNone, LLVMCodeGenLevelLess,
	                                             LLVMCodeGenLevelDefault,
	                                             LLVMCodeGenLevelAggressive};
	LlvmTarget t = options->target;
	LLVMTargetMachineRef machine;
	LLVMTargetRef target;
	char *message = NULL;

	initialise();
	/* LLVM takes the parts of a triple by their place. */
	t.triple = take_message(d->arena, LLVMNormalizeTargetTriple(t.triple));
	if (LLVMGetTargetFromTriple(t.triple, &target, &message)) {
		diag_report(d, NULL, E_TARGET, "LLVM has no target '%s': %s", t.triple,
		            take_message(d->arena, message));
		return NULL;
	}
	machine = compat_target_machine(target, &t, levels[options->opt_level], relocs[t.reloc],
	                                code_model(&t, for_jit));
	if (!machine)
		diag_report(d, NULL, E_TARGET, "LLVM cannot generate code for '%s'", t.triple);
	return machine;
}

/* ---- Passes ---- */

static const char *
pipeline(const LlvmOptions *o)
{
	static const char *const levels[] = {"default<O0>", "default<O1>", "default<O2>",
	                                     "default<O3>"};

	return o->size_level == 1 ? "default<Os>" : o->size_level == 2 ? "default<Oz>"
	                                                               : levels[o->opt_level];
}

static bool
verify(const LlvmModule *m, Diag *d)
{
	char *message = NULL;
	bool broken = LLVMVerifyModule(m->module, LLVMReturnStatusAction, &message);
	const char *copy = take_message(d->arena, message);

	return !broken || diag_report(d, NULL, E_INTERNAL, "malformed LLVM IR: %s", copy);
}

bool
llvm_optimise(const LlvmModule *m, LLVMTargetMachineRef machine, Diag *d)
{
	LLVMPassBuilderOptionsRef options;
	LLVMErrorRef error;

	if (!verify(m, d))
		return false;
	options = LLVMCreatePassBuilderOptions();
	error = LLVMRunPasses(m->module, pipeline(m->options), machine, options);
	LLVMDisposePassBuilderOptions(options);
	if (error) {
		char *message = LLVMGetErrorMessage(error);

		diag_report(d, NULL, E_INTERNAL, "LLVM's passes: %s", message);
		LLVMDisposeErrorMessage(message);
	}
	return d->errors == 0;
}

/* ---- Output ---- */

static bool
write_machine_code(const LlvmModule *m, LLVMTargetMachineRef machine, LlvmOutput kind, Str *out,
                   Diag *d)
{
	LLVMCodeGenFileType type = kind == LLVM_ASSEMBLY ? LLVMAssemblyFile : LLVMObjectFile;
	LLVMMemoryBufferRef buffer = NULL;
	char *message = NULL;

	if (LLVMTargetMachineEmitToMemoryBuffer(machine, m->module, type, &message, &buffer))
		return diag_report(d, NULL, E_TARGET, "LLVM: %s", take_message(d->arena, message));
	str_write(out, LLVMGetBufferStart(buffer), LLVMGetBufferSize(buffer));
	LLVMDisposeMemoryBuffer(buffer);
	return d->errors == 0;
}

static bool
write_module(const LlvmModule *m, LLVMTargetMachineRef machine, LlvmOutput kind, Str *out, Diag *d)
{
	LLVMMemoryBufferRef buffer;
	char *ir;

	switch (kind) {
	case LLVM_IR:
		ir = LLVMPrintModuleToString(m->module);
		str_puts(out, ir);
		LLVMDisposeMessage(ir);
		return true;
	case LLVM_BITCODE:
		buffer = LLVMWriteBitcodeToMemoryBuffer(m->module);
		str_write(out, LLVMGetBufferStart(buffer), LLVMGetBufferSize(buffer));
		LLVMDisposeMemoryBuffer(buffer);
		return true;
	case LLVM_ASSEMBLY:
	case LLVM_OBJECT:
		return write_machine_code(m, machine, kind, out, d);
	}
	return false;
}

bool
llvm_emit(const Program *p, const LlvmOptions *options, LlvmOutput kind, Str *out, Diag *d)
{
	LLVMTargetMachineRef machine;
	Arena *a;
	LLVMContextRef context;
	LlvmModule m;
	bool ok;

	machine = llvm_target_machine(options, false, d);
	if (!machine)
		return false;
	a = arena_child(out->arena);
	context = LLVMContextCreate();
	llvm_catch_errors(context, d);
	llvm_build_module(&m, a, p, options, context, machine, false);
	llvm_dispose_builders(&m);
	ok = llvm_optimise(&m, machine, d) && write_module(&m, machine, kind, out, d);
	LLVMDisposeModule(m.module);
	LLVMContextDispose(context);
	LLVMDisposeTargetMachine(machine);
	arena_free(a);
	return ok;
}
