#define _XOPEN_SOURCE 700

#include "driver/engine.h"

#include <dlfcn.h>
#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "codegen/c/c.h"
#include "driver/guard.h"
#include "driver/help.h"

extern char **environ;

void
engine_memory_of_call(const Arrays *x, size_t call, const void **in, void **out)
{
	for (int i = 0; i < x->ninputs; i++)
		in[i] = (const char *)x->input[i].npy.data + call * x->input[i].stride;
	for (int k = 0; k < x->nstates && call > 0; k++) {
		const Array *next = &x->output[x->noutputs - x->nstates + k];
		int i = x->ninputs - x->nstates + k;

		if (!x->input[i].file)
			in[i] = (const char *)next->memory + (call - 1) * next->stride;
	}
	for (int i = 0; i < x->noutputs; i++)
		out[i] = (char *)x->output[i].memory + call * x->output[i].stride;
}

bool
engine_interpret(const Program *p, const Arrays *x, Job *j)
{
	const void **in = ARENA_ARRAY(j->arena, const void *, x->ninputs);
	void **out = ARENA_ARRAY(j->arena, void *, x->noutputs);

	guard_set_activity("interpretation", j->input->path);
	timing_begin(&j->timing, "run");
	for (size_t call = 0; call < x->calls; call++) {
		engine_memory_of_call(x, call, in, out);
		program_run(p, in, out);
	}
	return true;
}

void *
engine_arena(const Program *p, Arena *a)
{
	size_t align = p->arena_align ? p->arena_align : 1;
	char *memory = arena_alloc(a, p->arena_size + align);

	return memory + (align - (size_t)((uintptr_t)memory % align)) % align;
}

/* ---- Compiled as C, or an object file ---- */

/* The files of one build. */
typedef struct {
	const char *folder, *source, *header, *wrapper, *library;
	const Str *object; /* stands in for the source; NULL: none */
} Build;

/* The entry point of the library has this type, whatever the model looks like. */
typedef int CallModel(const void *const *in, void *const *out, void *arena);

static bool
name_files(Build *b, Job *j)
{
	b->folder = file_temp_folder(j->arena, &j->diag);
	if (!b->folder)
		return false;
	b->source = file_temp_path(j->arena, b->folder, b->object ? "model.o" : "model.c");
	b->header = file_temp_path(j->arena, b->folder, "model.h");
	b->wrapper = file_temp_path(j->arena, b->folder, "call.c");
	b->library = file_temp_path(j->arena, b->folder, "model.so");
	return true;
}

/* A function that takes the arguments as arrays. */
static void
put_wrapper(Str *s, const Arrays *x)
{
	str_puts(s, "#include \"model.h\"\n"
	            "int mcc_call_model(const void *const *in, void *const *out, void *arena)\n"
	            "{\n\treturn model_run(");
	for (int i = 0; i < x->ninputs; i++)
		str_printf(s, "in[%d], ", i);
	for (int i = 0; i < x->noutputs; i++)
		str_printf(s, "out[%d], ", i);
	str_puts(s, "arena);\n}\n");
}

static bool
add_source(const Build *b, FileSet *set, const Str *source, Diag *d)
{
	const Str *s = b->object ? b->object : source;

	return file_set_add(set, b->source, s->s, s->n, d);
}

static bool
write_sources(const Build *b, const Program *p, const Arrays *x, Job *j)
{
	CEmitOptions emit = {
		.prefix = "model",
		.header_name = "model.h",
		.model_name = job_model_name(j),
		.model_sha256 = "",
		.command = "mcc-run",
		.version = mcc_version,
		.hosted = j->options->hosted,
	};
	FileSet *set = file_set_new(j->arena);
	Str source, header, wrapper;

	str_init(&source, j->arena);
	str_init(&header, j->arena);
	str_init(&wrapper, j->arena);
	put_wrapper(&wrapper, x);
	return c_emit(p, &emit, &source, &header, &j->diag) &&
	       add_source(b, set, &source, &j->diag) &&
	       file_set_add(set, b->header, header.s, header.n, &j->diag) &&
	       file_set_add(set, b->wrapper, wrapper.s, wrapper.n, &j->diag) &&
	       file_set_commit(set, &j->diag);
}

/* Runs a program and waits for it; its messages go where ours go. */
static bool
run_tool(const Names *words, Job *j)
{
	char **argv = ARENA_ARRAY(j->arena, char *, words->n + 1);
	pid_t child;
	int status, error;

	for (int i = 0; i < words->n; i++)
		argv[i] = arena_strdup(j->arena, words->v[i]);
	error = posix_spawnp(&child, argv[0], NULL, NULL, argv, environ);
	if (error)
		return diag_report(&j->diag, NULL, E_TOOL, "cannot run '%s': %s", argv[0],
		                   strerror(error));
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return diag_report(&j->diag, NULL, E_TOOL, "lost '%s': %s", argv[0],
			                   strerror(errno));
	if (WIFSIGNALED(status))
		return diag_report(&j->diag, NULL, E_TOOL, "'%s' was ended by signal %d", argv[0],
		                   WTERMSIG(status));
	return WEXITSTATUS(status) == 0 ||
	       diag_report(&j->diag, NULL, E_TOOL, "'%s' failed with exit status %d", argv[0],
	                   WEXITSTATUS(status));
}

/* $CC may hold options, as in "gcc -m32". */
static void
add_words(Names *words, Arena *a, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, " \t");

		if (n) {
			char *word = arena_strndup(a, text, n);

			VEC_PUSH(a, words, word);
		}
		text += n;
		text += strspn(text, " \t");
	}
}

static bool
build_library(const Build *b, Job *j)
{
	const char *cc = getenv("CC");
	Names words = {0};

	add_words(&words, j->arena, cc && cc[strspn(cc, " \t")] ? cc : "cc");
	add_words(&words, j->arena,
	          j->options->level == '0' ? "-O0 -std=c99 -ffp-contract=off -shared -fPIC -o"
	                                   : "-O2 -std=c99 -ffp-contract=off -shared -fPIC -o");
	VEC_PUSH(j->arena, &words, b->library);
	VEC_PUSH(j->arena, &words, b->source);
	VEC_PUSH(j->arena, &words, b->wrapper);
	if (j->options->hosted)
		VEC_PUSH(j->arena, &words, "-lm");
	return run_tool(&words, j);
}

static void
close_library(void *library)
{
	dlclose(library);
}

static CallModel *
load_library(const Build *b, Job *j)
{
	void *library = dlopen(b->library, RTLD_NOW | RTLD_LOCAL);
	CallModel *call;
	void *symbol;

	if (library)
		arena_defer(j->arena, close_library, library);
	symbol = library ? dlsym(library, "mcc_call_model") : NULL;
	if (!symbol) {
		diag_report(&j->diag, NULL, E_TOOL, "cannot load the compiled model: %s",
		            dlerror());
		return NULL;
	}
	/* POSIX's way around the lack of a conversion to a function pointer. */
	memcpy(&call, &symbol, sizeof call);
	return call;
}

static bool
build_and_run(Build *b, const Program *p, const Arrays *x, Job *j)
{
	const void **in = ARENA_ARRAY(j->arena, const void *, x->ninputs);
	void **out = ARENA_ARRAY(j->arena, void *, x->noutputs);
	void *memory = engine_arena(p, j->arena);
	CallModel *call_model;

	if (x->nstates)
		return diag_report(&j->diag, NULL, E_UNSUPPORTED,
		                   "a model with a state runs with --engine=jit or interp");
	guard_set_activity("compiling C", j->input->path);
	timing_begin(&j->timing, "compile");
	if (!name_files(b, j) || !write_sources(b, p, x, j) || !build_library(b, j))
		return false;
	call_model = load_library(b, j);
	if (!call_model)
		return false;
	guard_set_activity("running compiled C", j->input->path);
	timing_begin(&j->timing, "run");
	for (size_t call = 0; call < x->calls; call++) {
		int status;

		engine_memory_of_call(x, call, in, out);
		status = call_model(in, out, memory);
		if (status)
			return diag_report(&j->diag, NULL, E_TOOL, "the compiled model returned %d",
			                   status);
	}
	return true;
}

bool
engine_compile(const Program *p, const Arrays *x, Job *j)
{
	Build b = {0};

	return build_and_run(&b, p, x, j);
}

bool
engine_object(const Program *p, const Str *object, const Arrays *x, Job *j)
{
	Build b = {.object = object};

	return build_and_run(&b, p, x, j);
}
