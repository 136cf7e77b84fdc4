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
	for (int k = 0; k < x->nstates && call > 0 && !x->reset_each; k++) {
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
	bool batch;        /* there is model_run_batch, and all calls are one of it */
} Build;

/*
 * The entry point of the library has this type, whatever the model looks like.  States
 * are the last of `in` and `out`; the library keeps them between calls, and those whose
 * `in` is not NULL are set to that.  With a `count` other than 1 it calls model_run_batch.
 */
typedef int CallModel(const void *const *in, void *const *out, void *arena, int reset,
                      size_t count);

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

/* The states as a struct whose members have names that we know; C lays it out as that of
 * the model. */
static void
put_state_struct(Str *s, const Arrays *x)
{
	if (!x->nstates)
		return;
	str_puts(s, "static struct {\n");
	for (int i = x->ninputs - x->nstates; i < x->ninputs; i++) {
		const Type *t = &x->input[i].type;
		int n = type_numel(t);

		str_printf(s, "\t%s m%d[%d];\n", dtype_info[t->dtype].c_type, i, n ? n : 1);
	}
	str_puts(s, "} state;\n");
}

/* The arguments are copied into the arena and out of it. */
/* The memory of all regions, of one piece here, as arguments. */
static const char *
arena_args(Arena *a, const Program *p)
{
	Str s;

	str_init(&s, a);
	for (int r = 0; r < p->nregions; r++)
		str_printf(&s, "%s(char *)arena + %zu", r ? ", " : "", p->region[r].base);
	return s.s;
}

static void
put_arena_call(Str *s, const Program *p, const Arrays *x)
{
	int nin = x->ninputs - x->nstates;
	const char *arena = arena_args(s->arena, p);

	if (x->nstates)
		str_printf(s, "\tif (reset)\n\t\tmodel_reset(%s);\n", arena);
	else
		str_puts(s, "\t(void)reset;\n");
	for (int i = 0; i < x->ninputs; i++)
		str_printf(s, "\tif (in[%d])\n\t\tmemcpy((char *)arena + %zu, in[%d], %zuu);\n", i,
		           p->input[i]->offset, i, type_bytes(&x->input[i].type));
	str_printf(s, "\t(void)count;\n\tstatus = model_run(%s);\n", arena);
	for (int i = 0; i < x->noutputs; i++)
		str_printf(s, "\tmemcpy(out[%d], (char *)arena + %zu, %zuu);\n", i,
		           i < x->noutputs - x->nstates
		                   ? p->output[i]->offset
		                   : p->input[nin + i - (x->noutputs - x->nstates)]->offset,
		           type_bytes(&x->output[i].type));
	str_puts(s, "\treturn status;\n}\n");
}

/* An input, or a copy where the model may overwrite it. */
static void
put_input(Str *s, const Program *p, int i)
{
	size_t bytes = type_bytes(&p->input[i]->type);

	if (p->clobbers_inputs && bytes)
		str_printf(s, "memcpy(copy%d, in[%d], %zuu), ", i, i, bytes);
	else
		str_printf(s, p->clobbers_inputs ? "(void *)copy%d, " : "in[%d], ", i);
}

/* A function that takes the arguments as arrays. */
static void
put_wrapper(Str *s, const Program *p, const Arrays *x, bool batch)
{
	int nin = x->ninputs - x->nstates, nout = x->noutputs - x->nstates;

	str_puts(s, "#include <string.h>\n#include \"model.h\"\n");
	if (p->io == IO_CALLER)
		put_state_struct(s, x);
	for (int i = 0; i < nin && p->clobbers_inputs; i++)
		str_printf(s, "static union { long long align; char at[%zu]; } memory%d;\n"
		              "static char *const copy%d = memory%d.at;\n",
		           type_bytes(&p->input[i]->type) + 1, i, i, i);
	str_puts(s, "int mcc_call_model(const void *const *in, void *const *out, void *arena, "
	            "int reset, size_t count)\n{\n\tint status;\n\n");
	if (p->io == IO_ARENA) {
		put_arena_call(s, p, x);
		return;
	}
	str_puts(s, x->nstates ? "\tif (reset)\n\t\tmodel_reset((model_state *)(void *)&state);\n"
	                       : "\t(void)reset;\n");
	for (int i = nin; i < x->ninputs; i++)
		str_printf(s, "\tif (in[%d])\n\t\tmemcpy(state.m%d, in[%d], %zuu);\n", i, i, i,
		           type_bytes(&x->input[i].type));
	str_puts(s, batch ? "\tstatus = model_run_batch(count, "
	                  : "\t(void)count;\n\tstatus = model_run(");
	for (int i = 0; i < nin; i++)
		put_input(s, p, i);
	for (int i = 0; i < nout; i++)
		str_printf(s, "out[%d], ", i);
	str_printf(s, "%s%s);\n", x->nstates ? "(model_state *)(void *)&state, " : "",
	           arena_args(s->arena, p));
	for (int i = 0; i < x->nstates; i++)
		str_printf(s, "\tmemcpy(out[%d], state.m%d, %zuu);\n", nout + i, nin + i,
		           type_bytes(&x->input[nin + i].type));
	str_puts(s, "\treturn status;\n}\n");
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
		.batch = b->batch,
	};
	FileSet *set = file_set_new(j->arena);
	Str source, header, wrapper;

	str_init(&source, j->arena);
	str_init(&header, j->arena);
	str_init(&wrapper, j->arena);
	put_wrapper(&wrapper, p, x, b->batch);
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

/* Whether the memory of the calls is what run_batch takes. */
static bool
is_one_behind_the_other(const Arrays *x)
{
	for (int i = 0; i < x->ninputs; i++)
		if (x->input[i].stride != type_bytes(&x->input[i].type))
			return false;
	return x->calls > 0 && x->nstates == 0;
}

/* Calls the model for `count` calls of the arrays from number `call` on. */
static bool
call_some(CallModel *call_model, const Arrays *x, size_t call, size_t count, void *memory, Job *j)
{
	const void **in = ARENA_ARRAY(j->arena, const void *, x->ninputs);
	void **out = ARENA_ARRAY(j->arena, void *, x->noutputs);
	int status;

	engine_memory_of_call(x, call, in, out);
	for (int i = x->ninputs - x->nstates; i < x->ninputs; i++)
		if (!x->input[i].file)
			in[i] = NULL;
	status = call_model(in, out, memory, call == 0 || x->reset_each, count);
	return status == 0 ||
	       diag_report(&j->diag, NULL, E_TOOL, "the compiled model returned %d", status);
}

static bool
build_and_run(Build *b, const Program *p, const Arrays *x, Job *j)
{
	void *memory = engine_arena(p, j->arena);
	CallModel *call_model;

	b->batch = job_wants_batch(j) && is_one_behind_the_other(x) && !p->clobbers_inputs;
	guard_set_activity("compiling C", j->input->path);
	timing_begin(&j->timing, "compile");
	if (!name_files(b, j) || !write_sources(b, p, x, j) || !build_library(b, j))
		return false;
	call_model = load_library(b, j);
	if (!call_model)
		return false;
	guard_set_activity("running compiled C", j->input->path);
	timing_begin(&j->timing, "run");
	if (b->batch)
		return call_some(call_model, x, 0, x->calls, memory, j);
	for (size_t call = 0; call < x->calls; call++)
		if (!call_some(call_model, x, call, 1, memory, j))
			return false;
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
