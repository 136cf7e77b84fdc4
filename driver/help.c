#include "driver/help.h"

#include <string.h>

#include "driver/diagprint.h"

#ifndef MCC_VERSION
#error "MCC_VERSION is set by driver/CMakeLists.txt"
#endif

const char mcc_version[] = MCC_VERSION;

/* Columns of --help. */
enum { INDENT = 28, WIDTH = 80 };

typedef struct {
	Tool tool;
	const char *name, *synopsis, *summary, *description, *exit_1, *environment, *examples;
} ToolText;

static const ToolText texts[] = {
	{
		.tool = TOOL_MCC,
		.name = "mcc",
		.synopsis = "[options] MODEL...",
		.summary = "compile trained models to C",
		.description =
			"mcc reads a trained model and writes it as C: one source file and one "
			"header, without a run-time library, without heap and without writable "
			"globals. The code is C99 and C++11 and builds for any processor.\n"
			"Nothing is printed when all goes well. Output files appear complete or "
			"not at all, and the same model and options give the same bytes "
			"everywhere. A MODEL of - is standard input.\n"
			"The generated code belongs to whoever owns the model: mcc puts it under "
			"no licence of its own.",
		.exit_1 = "The model cannot be compiled; a message says why.",
		.environment =
			"NO_COLOR\nWhen set and not empty, diagnostics are not coloured.\n",
		.examples =
			"mcc digits.onnx -o digits.c\nWrites digits.c and digits.h.\n"
			"mcc -D batch=1 -finput-shape=image:1x3x48x192 model.onnx\n"
			"Gives a model with open dimensions its shape.\n"
			"mcc -E -O2 model.onnx\nPrints the graph after the passes.\n",
	},
	{
		.tool = TOOL_RUN,
		.name = "mcc-run",
		.synopsis = "[options] MODEL",
		.summary = "run a model on this machine",
		.description =
			"mcc-run compiles a model as mcc does and runs it on arrays in NumPy's "
			".npy format. An input file may have one more axis in front than the "
			"input: the model is then called once for each index of it, and the "
			"outputs get that axis as well. Inputs without a file are not allowed.",
		.exit_1 = "The model cannot be compiled or run, or --compare found a difference.",
		.environment =
			"CC\nThe C compiler of --engine=c, with options; cc when not set.\n"
			"TMPDIR\nWhere --engine=c makes its temporary folder; /tmp when not set.\n"
			"NO_COLOR\nWhen set and not empty, diagnostics are not coloured.\n",
		.examples =
			"mcc-run digits.onnx -i test_x.npy --compare=expected.npy\n"
			"Runs all test images and compares.\n"
			"mcc-run --engine=c model.onnx -i image=x.npy -o scores=y.npy\n"
			"Names the input and the output.\n",
	},
};

static const ToolText *
text_of(Tool tool)
{
	return &texts[tool == TOOL_MCC ? 0 : 1];
}

static bool
is_documented(const Option *option, Tool tool, OptionGroup group)
{
	return (option->programs & tool) && option->group == group && option->help;
}

static bool
group_is_used(Tool tool, OptionGroup group)
{
	for (const Option *t = option_table; t->spelling; t++)
		if (is_documented(t, tool, group))
			return true;
	return false;
}

/* ---- --help ---- */

static void
pad_to(Str *s, int column, int wanted)
{
	while (column++ < wanted)
		str_putc(s, ' ');
}

/* Words of `text` from column `indent` on, wrapped. */
static void
put_wrapped(Str *s, const char *text, int column, int indent)
{
	while (*text) {
		int n = (int)strcspn(text, " ");

		if (column > indent && column + 1 + n > WIDTH) {
			str_putc(s, '\n');
			pad_to(s, 0, indent);
			column = indent;
		} else if (column > indent) {
			str_putc(s, ' ');
			column++;
		}
		str_write(s, text, (size_t)n);
		column += n;
		text += n;
		text += *text == ' ';
	}
	str_putc(s, '\n');
}

static void
put_help_line(Str *s, const Option *option)
{
	const char *usage = option_usage(s->arena, option);
	int column = 2 + (int)strlen(usage);

	str_printf(s, "  %s", usage);
	if (column + 1 > INDENT) {
		str_putc(s, '\n');
		column = 0;
	}
	pad_to(s, column, INDENT);
	put_wrapped(s, option->help, INDENT, INDENT);
}

void
help_print(Str *s, Tool tool)
{
	const ToolText *text = text_of(tool);

	str_printf(s, "usage: %s %s\n%s: %s\n", text->name, text->synopsis, text->name,
	           text->summary);
	for (int g = 0; g < GROUP_COUNT; g++) {
		if (!group_is_used(tool, (OptionGroup)g))
			continue;
		str_printf(s, "\n%s:\n", option_group_title[g]);
		for (const Option *t = option_table; t->spelling; t++)
			if (is_documented(t, tool, (OptionGroup)g))
				put_help_line(s, t);
	}
	str_puts(s, "\nExit status: 0 done, 1 error in the model, 2 in the command, 70 in mcc.\n");
}

/* ---- Manual page ---- */

static void
put_roff(Str *s, const char *text)
{
	for (const char *p = text; *p; p++)
		if (*p == '-')
			str_puts(s, "\\-");
		else if (*p == '\\')
			str_puts(s, "\\e");
		else if ((*p == '.' || *p == '\'') && (p == text || p[-1] == '\n'))
			str_printf(s, "\\&%c", *p);
		else
			str_putc(s, *p);
}

/* A .TP for each pair of lines of `pairs`. */
static void
put_roff_pairs(Str *s, const char *pairs)
{
	while (*pairs) {
		size_t head = strcspn(pairs, "\n");
		size_t body = strcspn(pairs + head + 1, "\n");

		str_puts(s, ".TP\n.B ");
		put_roff(s, arena_strndup(s->arena, pairs, head));
		str_putc(s, '\n');
		put_roff(s, arena_strndup(s->arena, pairs + head + 1, body));
		str_putc(s, '\n');
		pairs += head + 1 + body + 1;
	}
}

static void
put_roff_paragraphs(Str *s, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		put_roff(s, arena_strndup(s->arena, text, n));
		str_puts(s, "\n");
		text += n;
		if (*text) {
			str_puts(s, ".PP\n");
			text++;
		}
	}
}

static void
put_roff_option(Str *s, const Option *option)
{
	bool space = option->kind == OPTION_SEPARATE || option->kind == OPTION_EITHER;

	str_puts(s, ".TP\n\\fB");
	put_roff(s, option->spelling);
	str_puts(s, "\\fR");
	if (option->metavar) {
		str_puts(s, space ? " \\fI" : "\\fI");
		put_roff(s, option->metavar);
		str_puts(s, "\\fR");
	}
	str_putc(s, '\n');
	put_roff(s, option->help);
	str_putc(s, '\n');
}

void
help_man(Str *s, Tool tool)
{
	const ToolText *text = text_of(tool);

	str_printf(s, ".TH %s 1 \"\" \"mcc %s\"\n.SH NAME\n", text->name, mcc_version);
	put_roff(s, text->name);
	str_printf(s, " \\- %s\n.SH SYNOPSIS\n.B ", text->summary);
	put_roff(s, text->name);
	str_printf(s, "\n%s\n.SH DESCRIPTION\n", text->synopsis);
	put_roff_paragraphs(s, text->description);
	str_puts(s, ".SH OPTIONS\n");
	for (int g = 0; g < GROUP_COUNT; g++) {
		if (!group_is_used(tool, (OptionGroup)g))
			continue;
		str_printf(s, ".SS %s\n", option_group_title[g]);
		for (const Option *t = option_table; t->spelling; t++)
			if (is_documented(t, tool, (OptionGroup)g))
				put_roff_option(s, t);
	}
	str_puts(s, ".SH EXIT STATUS\n.TP\n.B 0\nDone.\n.TP\n.B 1\n");
	put_roff(s, text->exit_1);
	str_puts(s, "\n.TP\n.B 2\nThe command line is wrong.\n.TP\n.B 70\n"
	            "An internal error: a bug in the compiler.\n.SH ENVIRONMENT\n");
	put_roff_pairs(s, text->environment);
	str_puts(s, ".SH EXAMPLES\n");
	put_roff_pairs(s, text->examples);
	str_printf(s, ".SH SEE ALSO\n.BR %s (1)\n",
	           tool == TOOL_MCC ? "mcc\\-run" : "mcc");
}

/* ---- Pages of docs/ ---- */

static const char generated[] = "<!-- Generated by mcc-docs from %s; do not edit. -->\n\n";

static void
put_table_text(Str *s, const char *text)
{
	for (; *text; text++)
		if (*text == '|')
			str_puts(s, "\\|");
		else if (*text == '<')
			str_puts(s, "&lt;");
		else
			str_putc(s, *text);
}

void
help_options_page(Str *s)
{
	str_printf(s, generated, "driver/options.def");
	str_puts(s, "# Options\n\n"
	            "`-o FILE` may also be written `-oFILE`; an option with `=` is one word. "
	            "`--` ends the options.\n");
	for (int g = 0; g < GROUP_COUNT; g++) {
		str_printf(s, "\n## %s\n\n| option | of | meaning |\n|---|---|---|\n",
		           option_group_title[g]);
		for (const Option *t = option_table; t->spelling; t++) {
			if (t->group != (OptionGroup)g || !t->help)
				continue;
			str_puts(s, "| `");
			put_table_text(s, option_usage(s->arena, t));
			str_printf(s, "` | %s | ",
			           t->programs == TOOL_MCC   ? "mcc"
			           : t->programs == TOOL_RUN ? "mcc-run"
			                                        : "both");
			put_table_text(s, t->help);
			str_puts(s, " |\n");
		}
	}
	str_puts(s, "\n## Exit status\n\n| status | meaning |\n|---|---|\n| 0 | done |\n"
	            "| 1 | the model cannot be compiled or run; a message says why |\n"
	            "| 2 | the command line is wrong |\n"
	            "| 70 | an internal error: a bug in mcc |\n");
}

static void
put_diagnostics(Str *s, DiagKind kind, const char *title)
{
	str_printf(s, "\n## %s\n\n| code | %smeaning |\n|---|%s---|\n", title,
	           kind == DIAG_WARNING ? "option | " : "", kind == DIAG_WARNING ? "---|" : "");
	for (int i = 0; i < DIAG_COUNT; i++) {
		if (diag_info[i].kind != kind)
			continue;
		str_puts(s, "| ");
		diagprint_code(s, (DiagCode)i);
		str_puts(s, " | ");
		if (kind == DIAG_WARNING)
			str_printf(s, "`-W%s` | ", diag_info[i].option);
		str_printf(s, "%s |\n", diag_info[i].title);
	}
}

void
help_diagnostics_page(Str *s)
{
	str_printf(s, generated, "base/diag.def");
	str_puts(s, "# Diagnostics\n\n"
	            "Each message ends with a code that never changes its meaning.  Errors stop the "
	            "compilation\nof the model, and nothing is written.  A warning can be switched "
	            "off (`-Wno-NAME`) or made\nan error (`-Werror=NAME`).  "
	            "`-fdiagnostics-format=json` prints one JSON object a line.\n");
	put_diagnostics(s, DIAG_ERROR, "Errors");
	put_diagnostics(s, DIAG_WARNING, "Warnings");
	put_diagnostics(s, DIAG_REMARK, "Remarks");
}
