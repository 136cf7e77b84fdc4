/*
 * The backend of a build without LLVM (MCC_LLVM=OFF): it says so.
 */
#include "codegen/llvm/llvm.h"

static const char missing[] = "this mcc was built without LLVM";

bool
llvm_emit(const Program *p, const LlvmOptions *options, LlvmOutput kind, Str *out, Diag *d)
{
	(void)p;
	(void)options;
	(void)kind;
	(void)out;
	return diag_report(d, NULL, E_UNSUPPORTED,
	                   "%s; write C with '-o FILE.c' and compile that", missing);
}

LlvmJit *
llvm_jit(Arena *a, const Program *p, int opt_level, Diag *d)
{
	(void)a;
	(void)p;
	(void)opt_level;
	diag_report(d, NULL, E_UNSUPPORTED, "%s, so it cannot compile in memory", missing);
	return NULL;
}

void
llvm_jit_run(const LlvmJit *jit, const void *const *in, void *const *out, void *arena)
{
	(void)jit;
	(void)in;
	(void)out;
	(void)arena;
}

void
llvm_jit_run_step(const LlvmJit *jit, int step, const void *const *in, void *const *out,
                  void *arena)
{
	(void)step;
	llvm_jit_run(jit, in, out, arena);
}

const char *
llvm_host_triple(Arena *a)
{
	(void)a;
	return "";
}

const char *
llvm_host_cpu(Arena *a)
{
	(void)a;
	return "";
}

const char *
llvm_host_features(Arena *a)
{
	(void)a;
	return "";
}

const char *
llvm_version(Arena *a)
{
	(void)a;
	return "";
}

int
llvm_major_version(void)
{
	return 0;
}

bool
llvm_has_target(const char *triple)
{
	(void)triple;
	return false;
}

void
llvm_set_fatal_handler(void (*handler)(const char *reason))
{
	(void)handler;
}
