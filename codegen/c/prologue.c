/*
 * What stands in front of the code: who made it, and what compilers have to be told.
 */
#include <string.h>

#include "codegen/c/emit.h"

void
comment_line(Str *s, const char *text)
{
	Str lines;
	const char *line;

	str_init(&lines, s->arena);
	if (!*text) {
		str_puts(s, " *\n");
		return;
	}
	line_print(&lines, 0, text, strlen(text));
	for (line = lines.s; *line;) {
		size_t n = strcspn(line, "\n");
		const char *start = line;

		/* Continuations are indented by tabs. */
		while (*start == '\t')
			start++;
		str_puts(s, start > line ? " *   " : " * ");
		str_write(s, start, n - (size_t)(start - line));
		str_putc(s, '\n');
		line += n + (line[n] == '\n');
	}
}

void
emit_banner(const Emit *e, Str *s, const char *what)
{
	const CEmitOptions *o = e->options;
	Arena *a = e->file.arena;

	str_puts(s, "/*\n");
	comment_line(s, arena_printf(a, "%s, made by mcc %s from %s", what, name_comment(a, o->version),
	                             name_comment(a, o->model_name)));
	if (*o->model_sha256)
		comment_line(s, arena_printf(a, "SHA-256 of the model: %s",
		                             name_comment(a, o->model_sha256)));
	comment_line(s, arena_printf(a, "Command: %s", name_comment(a, o->command)));
	comment_line(s, "");
	comment_line(s, "This file is the property of whoever owns the model: mcc and its authors claim");
	comment_line(s, "no right in it, and it comes without any warranty.");
}

void
emit_checks(const Emit *e, Str *s)
{
	const char *u = e->file.upper;
	const Uses *uses = &e->file.uses;

	if (uses->floats) {
		str_puts(s, "\n#if defined(__FAST_MATH__)\n"
		            "#error \"compile without -ffast-math: it changes results\"\n"
		            "#endif\n"
		            "#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0 && "
		            "__FLT_EVAL_METHOD__ != 16\n"
		            "#error \"float must be evaluated in float (x87: -msse2 -mfpmath=sse)\"\n"
		            "#endif\n"
		            "\n/* No multiply and add in one rounding. */\n"
		            "#if defined(__GNUC__) && !defined(__clang__)\n"
		            "#pragma GCC optimize (\"fp-contract=off\")\n"
		            "#elif defined(_MSC_VER) && !defined(__clang__)\n"
		            "#pragma fp_contract (off)\n"
		            "#else\n"
		            "#pragma STDC FP_CONTRACT OFF\n"
		            "#endif\n");
	}
	if (uses->doubles)
		str_printf(s,
		           "\n/* double must have 64 bits. */\n"
		           "typedef char %s_needs_64_bit_double[sizeof(double) == 8 ? 1 : -1];\n",
		           e->file.prefix);
	if (uses->packed)
		str_puts(s, "\n/* Statements stand in an order that needs few registers. */\n"
		            "#if defined(__GNUC__) && !defined(__clang__)\n"
		            "#if defined(__OPTIMIZE_SIZE__)\n"
		            "#pragma GCC optimize (\"O2\") /* -Os lets inner loops spill registers. */\n"
		            "#endif\n"
		            "#pragma GCC optimize (\"no-schedule-insns\")\n"
		            "#endif\n"
		            "\n/* Instructions of Arm's DSP extension, where there is one. */\n"
		            "#if defined(__ARM_FEATURE_DSP)\n"
		            "#include <arm_acle.h>\n"
		            "#endif\n");
	if (uses->products)
		str_printf(s, "\n/* Sums of products in a fixed order of instructions. */\n"
		              "#if defined(__GNUC__) && %s\n"
		              "#define %s_PRODUCTS 1\n"
		              "#pragma GCC diagnostic ignored \"-Woverlength-strings\"\n"
		              "#pragma GCC diagnostic ignored \"-Wunused-function\"\n"
		              "#endif\n",
		           e->file.isa & ISA_ARM_MLA
		                   ? "defined(__thumb2__)"
		                   : "defined(__ARM_FEATURE_DSP) && defined(__ARM_FEATURE_UNALIGNED) \\\n"
		                     "	&& !defined(__ARM_BIG_ENDIAN)",
		           u);
	if (uses->dot)
		str_puts(s, "\n#if defined(__ARM_FEATURE_MVE)\n#include <arm_mve.h>\n#endif\n");
	if (uses->signed_shift)
		str_puts(s, "\n#if (-1 >> 1) != -1\n"
		            "#error \"shifting a negative number right must keep its sign\"\n"
		            "#endif\n");
	str_printf(s,
	           "\n/* Put in front of the data of constants, for example a section attribute. */\n"
	           "#ifndef %s_CONST\n#define %s_CONST\n#endif\n",
	           u, u);
	str_printf(s,
	           "\n#if defined(__cplusplus) && (defined(__GNUC__) || defined(_MSC_VER))\n"
	           "#define %s_RESTRICT __restrict\n"
	           "#elif defined(__cplusplus)\n"
	           "#define %s_RESTRICT\n"
	           "#else\n"
	           "#define %s_RESTRICT restrict\n"
	           "#endif\n",
	           u, u, u);
	str_printf(s,
	           "\n/* Layers share memory that they use as different types; that is sound as long\n"
	           " * as they stay functions of their own. */\n"
	           "#if defined(__GNUC__)\n"
	           "#define %s_LAYER static __attribute__((noinline)) void\n"
	           "#elif defined(_MSC_VER)\n"
	           "#define %s_LAYER static __declspec(noinline) void\n"
	           "#else\n"
	           "#define %s_LAYER static void\n"
	           "#endif\n",
	           u, u, u);
}

void
emit_special_values(const Emit *e, Str *s)
{
	const char *u = e->file.upper;

	if (!e->file.uses.infinity && !e->file.uses.nan)
		return;
	str_puts(s, "\n#if defined(__GNUC__)\n");
	if (e->file.uses.infinity)
		str_printf(s, "#define %s_INFINITY __builtin_inff()\n", u);
	if (e->file.uses.nan)
		str_printf(s, "#define %s_NAN __builtin_nanf(\"\")\n", u);
	str_puts(s, "#else\n");
	if (e->file.uses.infinity)
		str_printf(s, "#define %s_INFINITY ((float)(1e300 * 1e300))\n", u);
	if (e->file.uses.nan)
		str_printf(s, "#define %s_NAN ((float)(1e300 * 1e300) * 0.0f)\n", u);
	str_puts(s, "#endif\n");
}
