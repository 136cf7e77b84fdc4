#include "driver/main.h"

#include <stdio.h>

#include "codegen/llvm/llvm.h"
#include "driver/guard.h"
#include "driver/help.h"
#include "driver/names.h"
#include "frontend/onnx/onnx.h"
#include "frontend/openvino/openvino.h"

typedef struct {
	Options options;
	Diag diag;
	Tool tool;
	int argc;
	char **argv;
	Arena *arena;
	void (*check)(const Options *o);
	bool ok;
} CommandLine;

/* Questions are answered without a model. */
static bool
is_question(const Options *o)
{
	return o->help || o->version || o->print_ops || o->print_targets || o->print_cpus;
}

/* -v without a model asks for the version. */
static bool
is_only_verbose(const Options *o)
{
	return o->verbose && o->inputs.n == 0 && !is_question(o);
}

static void
read_command_line(void *arg)
{
	CommandLine *c = arg;

	diag_init(&c->diag, c->arena);
	c->ok = options_parse(&c->options, c->tool, c->argc, c->argv, c->arena, &c->diag);
	if (!c->ok || is_question(&c->options) || is_only_verbose(&c->options))
		return;
	/* Warnings about options obey the options, wherever they stand. */
	options_init_diag(&c->options, &c->diag, c->arena);
	c->options.request.only_c = output_kind(&c->options) == OUTPUT_C;
	target_resolve(c->arena, &c->options.request, &c->options.machine, &c->diag);
	c->check(&c->options);
	c->ok = c->diag.errors == 0;
}

static void
put_supported_ops(Str *s)
{
	OnnxSupported op;
	OvSupported layer;

	str_puts(s, "ONNX operators and the opsets whose rules are known:\n");
	for (int i = 0; onnx_supported(i, &op); i++) {
		str_printf(s, "  %s%s%s %d", op.domain, *op.domain ? "." : "", op.name, op.first);
		if (op.last)
			str_printf(s, " to %d\n", op.last);
		else
			str_puts(s, " and later\n");
	}
	str_puts(s, "OpenVINO layers and the opsets that brought them in a form that is known:\n");
	for (int i = 0; ov_supported(i, &layer); i++)
		str_printf(s, "  %s %d\n", layer.name, layer.since);
}

static void
put_version(Str *s, const Options *o)
{
	const char *llvm = llvm_version(s->arena);

	str_printf(s, "%s %s\n", o->tool_name, mcc_version);
	if (*llvm)
		str_printf(s, "LLVM %s\n", llvm);
	else
		str_puts(s, "without LLVM\n");
}

static int
answer(const Options *o)
{
	Str s;

	str_init(&s, o->arena);
	if (o->help)
		help_print(&s, o->tool);
	else if (o->version)
		put_version(&s, o);
	else if (o->print_targets)
		target_print_all(&s);
	else if (o->print_cpus)
		target_print_cpus(&s, &o->request, o->diag);
	else
		put_supported_ops(&s);
	if (o->diag->errors) {
		print_diagnostics(o, o->diag);
		return EXIT_USAGE;
	}
	return print_output(o, &s);
}

static int
show_version(const Options *o)
{
	Str s;

	str_init(&s, o->arena);
	put_version(&s, o);
	return fputs(s.s, stderr) < 0 ? EXIT_DIAGNOSED : EXIT_DONE;
}

int
program_main(Tool tool, int argc, char **argv, void (*check)(const Options *o),
             JobFn *work)
{
	static CommandLine c; /* not a local: setjmp is near */
	size_t bytes;
	int status;

	guard_install(tool == TOOL_MCC ? "mcc" : "mcc-run", argc, argv);
	llvm_set_fatal_handler(guard_fatal);
	c = (CommandLine){.tool = tool, .argc = argc, .argv = argv, .check = check};
	c.arena = guard_arena(0);
	if (!guard_call(read_command_line, &c, &bytes)) {
		fprintf(stderr, "out of memory\n");
		return EXIT_DIAGNOSED;
	}
	if (c.diag.first)
		print_diagnostics(&c.options, &c.diag);
	if (!c.ok)
		status = EXIT_USAGE;
	else if (is_question(&c.options))
		status = answer(&c.options);
	else if (is_only_verbose(&c.options))
		status = show_version(&c.options);
	else
		status = jobs_run(&c.options, work);
	arena_free(c.arena);
	return status;
}
