/*
 * mcc: from model files to C.
 */
#include <assert.h>
#include <string.h>

#include "base/file.h"
#include "base/sha256.h"
#include "codegen/c/c.h"
#include "codegen/llvm/llvm.h"
#include "codegen/program/program.h"
#include "driver/compression.h"
#include "driver/deps.h"
#include "driver/engine.h"
#include "driver/guard.h"
#include "driver/help.h"
#include "driver/job.h"
#include "driver/main.h"
#include "driver/names.h"
#include "driver/options.h"
#include "driver/pipeline.h"
#include "driver/report.h"
#include "driver/report_html.h"
#include "driver/shrink.h"
#include "driver/verify.h"

/* ---- Checks of the command line ---- */

#define USAGE(o, ...) diag_report((o)->diag, NULL, E_USAGE, __VA_ARGS__)

static bool
has_suffix(const char *path, const char *suffix)
{
	size_t n = strlen(path), m = strlen(suffix);

	return n > m && strcmp(path + n - m, suffix) == 0;
}

/* The suffix of the output decides what is written. */
static void
check_output(const Options *o)
{
	static const char *const libraries[] = {".a", ".so"};

	if (!o->output)
		return;
	if (!*o->output)
		USAGE(o, "the output's name is empty");
	for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++)
		if (has_suffix(o->output, libraries[i]))
			USAGE(o, "'%s': mcc does not link; write an object file with '-o FILE.o'",
			      o->output);
	if (!o->print_graph && has_suffix(o->output, ".h"))
		USAGE(o, "'%s' is the name of a header; name the C file, the header goes beside it",
		      o->output);
	if (o->inputs.n > 1)
		USAGE(o, "'-o' names one output, but there are %d models", o->inputs.n);
	for (int i = 0; i < o->inputs.n; i++)
		if (file_same(o->output, o->inputs.v[i].path))
			USAGE(o, "'%s' would overwrite the model", o->output);
}

static void
check_deps(const Options *o)
{
	const char *option = o->deps_file ? "-MF" : o->deps_targets.n ? "-MT" : "-MP";
	bool used = o->deps_file || o->deps_targets.n || o->deps_phony;
	bool no_name = (o->output && strcmp(o->output, "-") == 0) || (!o->output && o->print_graph);

	if (used && !o->deps)
		USAGE(o, "'%s' needs '-MD'", option);
	if (o->deps && !o->deps_file && no_name)
		USAGE(o, "'-MD' needs '-MF FILE' when the output is standard output");
	if (o->deps_file && o->inputs.n > 1)
		USAGE(o, "'-MF' names one file, but there are %d models", o->inputs.n);
}

static void
check_report(const Options *o)
{
	if (!o->report_file)
		return;
	if (strcmp(o->report_file, "-") == 0 && o->output && strcmp(o->output, "-") == 0)
		USAGE(o, "the code and the report cannot both go to standard output");
	if (strcmp(o->report_file, "-") != 0 && o->inputs.n > 1)
		USAGE(o, "'--report=' names one file, but there are %d models", o->inputs.n);
}

/* Warns of options that the action leaves no room for. */
static void
check_unused(const Options *o)
{
	const struct {
		bool given;
		const char *option;
		bool for_graph; /* has a meaning with -E */
	} uses[] = {
		{o->output != NULL, "-o", true},       {o->deps, "-MD", true},
		{o->save_temps, "-save-temps", true},  {o->prefix != NULL, "-fprefix=", false},
		{o->report_file != NULL, "--report", false}, {o->hosted, "-fhosted", false},
	};
	const char *action = o->syntax_only ? "-fsyntax-only" : "-E";

	if (o->syntax_only && o->print_graph)
		USAGE(o, "'-E' and '-fsyntax-only' exclude each other");
	for (size_t i = 0; i < sizeof uses / sizeof *uses; i++)
		if (uses[i].given && (o->syntax_only || (o->print_graph && !uses[i].for_graph)))
			diag_report(o->diag, NULL, W_UNUSED, "'%s' has no effect with '%s'",
			            uses[i].option, action);
}

static void
check_options(const Options *o)
{
	if (o->inputs.n == 0)
		USAGE(o, "no model is given");
	if (o->prefix && !c_prefix_is_valid(o->prefix))
		USAGE(o, "'-fprefix=%s': the prefix must be an identifier that C and C++ do not reserve",
		      o->prefix);
	check_output(o);
	check_deps(o);
	check_report(o);
	check_unused(o);
	shrink_check(o);
	if (o->batch > 0 && o->io == IO_ARENA)
		diag_report(o->diag, NULL, E_USAGE,
		            "'-fbatch' is of no use with '-fio=arena': there is room for one input");
	compression_check(o);
	pipeline_check(o, o->diag);
}

/* ---- One model ---- */

typedef struct {
	Job *job;
	OutputNames names;
	FileSet *set;
} Output;

/* The command in a form that is the same on every machine: files without folders. */
static const char *
command_text(const Job *j, const OutputNames *names)
{
	Str s;

	str_init(&s, j->arena);
	str_puts(&s, "mcc");
	options_print_code(&s, j->options);
	str_putc(&s, ' ');
	quote_word(&s, strcmp(j->input->path, "-") == 0 ? "-" : file_basename(j->input->path));
	str_puts(&s, " -o ");
	quote_word(&s, file_basename(names->code));
	return s.s;
}

/* For -v and -###: what is to be done, as a command that does the same. */
static void
log_command(Job *j, const OutputNames *names)
{
	const Options *o = j->options;
	Str *s = &j->log;

	str_puts(s, "mcc");
	options_print_code(s, o);
	if (!o->prefix && !o->print_graph && !o->syntax_only)
		str_printf(s, " -fprefix=%s", names->prefix);
	options_print_rest(s, o);
	if (o->deps && !o->deps_file) {
		str_puts(s, " -MF ");
		quote_word(s, names->deps);
	}
	if (j->input->format) {
		str_puts(s, " -x ");
		quote_word(s, j->input->format);
	}
	str_putc(s, ' ');
	quote_word(s, j->input->path);
	if (!o->syntax_only) {
		str_puts(s, " -o ");
		quote_word(s, names->code);
	}
	str_putc(s, '\n');
}

static bool
add_text(Output *out, const char *path, const Str *s)
{
	return file_set_add(out->set, path, s->s, s->n, &out->job->diag);
}

static bool
add_graph(Output *out, const char *path)
{
	Str s;

	str_init(&s, out->job->arena);
	graph_print(&s, out->job->graph);
	return add_text(out, path, &s);
}

static bool
save_graph(Output *out, const char *suffix)
{
	Arena *a = out->job->arena;

	return !out->job->options->save_temps ||
	       add_graph(out, arena_printf(a, "%s%s", out->names.temps, suffix));
}

/* The kernels in the order of their calls. */
static bool
save_loops(Output *out, const Program *p)
{
	Str s;

	if (!out->job->options->save_temps)
		return true;
	str_init(&s, out->job->arena);
	for (int i = 0; i < p->steps.n; i++)
		lfunc_print(&s, p->steps.v[i]->fn);
	return add_text(out, arena_printf(out->job->arena, "%s.loops", out->names.temps), &s);
}

static bool
add_deps(Output *out)
{
	const Options *o = out->job->options;
	Str s;

	if (!o->deps)
		return true;
	str_init(&s, out->job->arena);
	deps_print(&s, &o->deps_targets, out->names.code, &out->job->files, o->deps_phony);
	return add_text(out, out->names.deps, &s);
}

static void
put_json_report(Str *s, const Job *j, const Program *p)
{
	str_puts(s, "{\"program\": ");
	program_report_json(s, p);
	if (j->compression) {
		str_puts(s, ",\n \"compression\": ");
		compress_report_json(s, j->compression);
	}
	if (j->shrunk.n) {
		str_puts(s, ",\n \"trees\": [");
		shrink_report_json(s, j);
		str_puts(s, "]");
	}
	str_puts(s, "}\n");
}

static bool
add_report(Output *out, const Program *p)
{
	const Options *o = out->job->options;
	Str s;

	if (!o->report_file)
		return true;
	str_init(&s, out->job->arena);
	if (has_suffix(o->report_file, ".json")) {
		put_json_report(&s, out->job, p);
		return add_text(out, o->report_file, &s);
	}
	if (has_suffix(o->report_file, ".html")) {
		report_html(&s, out->job, p);
		return add_text(out, o->report_file, &s);
	}
	shrink_report(&s, out->job);
	if (out->job->compression) {
		compress_report_text(&s, out->job->compression);
		str_putc(&s, '\n');
	}
	program_report(&s, p);
	return add_text(out, o->report_file, &s);
}

/* ---- Code ---- */

/* Where the header stands inside the code: instead of the line that includes it. */
static void
put_header_inside(Str *all, const Str *source, const Str *header, const char *name)
{
	const char *line = arena_printf(all->arena, "#include \"%s\"\n", name);
	const char *at = strstr(source->s, line);

	assert(at);
	str_write(all, source->s, (size_t)(at - source->s));
	str_puts(all, header->s);
	str_puts(all, at + strlen(line));
}

static CEmitOptions
c_options(const Output *out)
{
	Job *j = out->job;
	const OutputNames *names = &out->names;
	char *hash = arena_alloc(j->arena, SHA256_HEX);

	sha256_hex(j->file.data, j->file.size, hash);
	return (CEmitOptions){
		.prefix = names->prefix,
		.header_name = names->header ? file_basename(names->header) : "model.h",
		.model_name = job_model_name(j),
		.model_sha256 = hash,
		.command = command_text(j, names),
		.version = mcc_version,
		.hosted = j->options->hosted,
		.isa = j->options->machine.facts.isa,
		.batch = job_wants_batch(j),
	};
}

static bool
add_c(Output *out, const Program *p)
{
	Job *j = out->job;
	const OutputNames *names = &out->names;
	CEmitOptions emit = c_options(out);
	Str source, header, all;

	guard_set_activity("printing C", j->input->path);
	str_init(&source, j->arena);
	str_init(&header, j->arena);
	if (!c_emit(p, &emit, &source, &header, &j->diag))
		return false;
	timing_begin(&j->timing, "write");
	if (names->header)
		return add_text(out, names->code, &source) && add_text(out, names->header, &header);
	str_init(&all, j->arena);
	put_header_inside(&all, &source, &header, emit.header_name);
	return add_text(out, names->code, &all);
}

static const char *
llvm_producer(Arena *a)
{
	return arena_printf(a, "mcc %s with LLVM %s", mcc_version, llvm_version(a));
}

/* Whether machine code may take stack and memory to use vectors; generic is this machine. */
static bool
has_room_for_vectors(const Target *t)
{
	return strcmp(t->name, "generic") == 0 || (t->pointer_bytes == 8 && t->vector_bytes);
}

static LlvmOptions
llvm_options(const Job *j, const char *prefix)
{
	char level = j->options->level;

	return (LlvmOptions){
		.target = j->options->machine.llvm,
		.opt_level = level >= '0' && level <= '3' ? level - '0' : 2,
		.size_level = level == 's' ? 1 : level == 'z' ? 2 : 0,
		.spreads = has_room_for_vectors(&j->options->machine.facts) && level > '1' &&
		           level <= '3',
		.batch = job_wants_batch(j),
		.debug = j->options->debug,
		.prefix = prefix,
		.model_name = job_model_name(j),
		.producer = llvm_producer(j->arena),
	};
}

static bool
emit_llvm(Output *out, const Program *p, OutputKind kind, Str *code)
{
	static const LlvmOutput outputs[] = {[OUTPUT_IR] = LLVM_IR,
	                                     [OUTPUT_BITCODE] = LLVM_BITCODE,
	                                     [OUTPUT_ASSEMBLY] = LLVM_ASSEMBLY,
	                                     [OUTPUT_OBJECT] = LLVM_OBJECT};
	Job *j = out->job;
	LlvmOptions options = llvm_options(j, out->names.prefix);

	guard_set_activity("generating code with LLVM", j->input->path);
	str_init(code, j->arena);
	return llvm_emit(p, &options, outputs[kind], code, &j->diag);
}

/* The smallest machines cannot address more than their pointers reach. */
static bool
fits_address_space(const Output *out, const Program *p)
{
	const Target *t = &out->job->options->machine.facts;
	size_t bytes = p->arena_size + program_const_bytes(p);
	Loc loc = {.file = out->job->input->path};

	for (int i = 0; i < p->graph->inputs.n; i++)
		bytes += type_bytes(&p->input[i]->type);
	for (int i = 0; i < p->graph->outputs.n; i++)
		bytes += type_bytes(&p->output[i]->type);
	return !t->address_space || bytes <= t->address_space ||
	       diag_report(&out->job->diag, &loc, E_SIZE,
	                   "tensors, arena and constants take %zu bytes, but %s can address "
	                   "only %zu", bytes, t->name, t->address_space);
}

/* Machine code or LLVM IR, and its header. */
static bool
add_llvm(Output *out, const Program *p)
{
	Job *j = out->job;
	const OutputNames *names = &out->names;
	CEmitOptions c = c_options(out);
	Str code, header;

	if (!fits_address_space(out, p) || !emit_llvm(out, p, names->kind, &code))
		return false;
	timing_begin(&j->timing, "write");
	if (!add_text(out, names->code, &code) || !names->header)
		return j->diag.errors == 0;
	str_init(&header, j->arena);
	return c_emit(p, &c, NULL, &header, &j->diag) && add_text(out, names->header, &header);
}

/* -save-temps: what lies between the model and an object file, so also LLVM IR and
 * assembly. */
static bool
save_llvm(Output *out, const Program *p)
{
	static const OutputKind steps[] = {OUTPUT_IR, OUTPUT_BITCODE, OUTPUT_ASSEMBLY};
	const Options *o = out->job->options;

	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		const char *path = arena_printf(out->job->arena, "%s%s", out->names.temps,
		                                output_suffix(steps[i]));
		Str code;

		if (!o->save_temps || out->names.kind != OUTPUT_OBJECT)
			return true;
		if (!emit_llvm(out, p, steps[i], &code) || !add_text(out, path, &code))
			return false;
	}
	return true;
}

static bool
add_code(Output *out, const Program *p)
{
	if (out->names.kind == OUTPUT_C)
		return add_c(out, p);
	return save_llvm(out, p) && add_llvm(out, p);
}

static bool
verify(Output *out, const Program *p)
{
	Job *j = out->job;
	LlvmOptions options = llvm_options(j, ENGINE_PREFIX);

	if (!j->options->verify)
		return true;
	timing_begin(&j->timing, "verify");
	return verify_program(j, p, out->names.kind == OUTPUT_C ? NULL : &options);
}

/* The program and all that is made from it. */
static bool
add_program(Output *out)
{
	Job *j = out->job;
	const Options *o = j->options;
	KernelOptions kernels;
	ProgramOptions plan = options_program(o, &kernels);
	Program *p;

	kernels.remarks = pipeline_remarks_kernels(o);
	plan.remarks = pipeline_remarks_plan(o);
	plan.batch = job_wants_batch(j);
	if (o->batch > 0 && j->graph->states.n)
		return diag_report(&j->diag, &(Loc){.file = j->input->path}, E_UNSUPPORTED,
		                   "a model with a state cannot have -fbatch");
	if (o->io == IO_ARENA && (j->graph->input_fields.n || j->graph->output_fields.n))
		return diag_report(&j->diag, &(Loc){.file = j->input->path}, E_UNSUPPORTED,
		                   "a model whose inputs or outputs are members of a struct cannot have "
		                   "-fio=arena");
	guard_set_activity("planning", j->input->path);
	timing_begin(&j->timing, "plan");
	p = program_build(j->arena, j->graph, &plan, &j->diag);
	if (!p)
		return false;
	if (o->report_file && !report_add_program(j, p, &plan))
		return false;
	timing_begin(&j->timing, "emit");
	return save_loops(out, p) && add_report(out, p) && add_code(out, p) && verify(out, p);
}

static void
compile(Job *j)
{
	const Options *o = j->options;
	Output out = {
		.job = j,
		.names = output_names(j->arena, o, j->input),
		.set = file_set_new(j->arena),
	};

	if (o->verbose)
		str_printf(&j->log, "mcc version %s\npasses: %s%s\n", mcc_version,
		           pipeline_passes(o), o->passes ? "" : ", until nothing changes");
	if (o->verbose || o->only_show)
		log_command(j, &out.names);
	if (o->only_show || !job_read(j) || o->syntax_only)
		return;
	if (!save_graph(&out, ".in.mcc") || !job_optimise(j) || !save_graph(&out, ".opt.mcc"))
		return;
	if (!(o->print_graph ? add_graph(&out, out.names.code) : add_program(&out)) ||
	    !add_deps(&out) || j->diag.errors)
		return;
	file_set_commit(out.set, &j->diag);
}

int
main(int argc, char **argv)
{
	return program_main(TOOL_MCC, argc, argv, check_options, compile);
}
