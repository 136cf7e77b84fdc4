/*
 * math_emit FILE.c: writes the table of math_compiled.h.
 *
 * The functions are printed by the C printer, so the tests see the code that
 * models get.  Each has a wrapper that takes bits.
 */
#include <stdio.h>
#include <string.h>

#include "codegen/c/print.h"
#include "ir/loop/math.h"
#include "tests/math_compiled.h"

static const char conversions[] = CONVERSIONS;

static const char preamble[] =
	"/* Written by the build: see tests/math_emit.c. */\n"
	"#include <stdint.h>\n"
	"#include <string.h>\n"
	"\n"
	"#include \"tests/math_compiled.h\"\n"
	"\n"
	"#define M_CONST\n"
	"#define M_RESTRICT restrict\n"
	"#define M_INFINITY __builtin_inff()\n"
	"#define M_NAN __builtin_nanf(\"\")\n";

typedef struct {
	CFile file;
	Str wrappers, table;
	int count;
} Emitter;

static void
add_to_table(Emitter *e, const char *name)
{
	str_printf(&e->table, "\t{\"%s\", call_%s},\n", name, name);
	e->count++;
}

/* A variable with the value of argument i. */
static void
put_argument(Str *s, int i, DType t)
{
	str_printf(s, "\t%s x%d;\n", dtype_info[t].c_type, i);
	str_printf(s, "\tmemcpy(&x%d, arg + %d, sizeof x%d);\n", i, i, i);
}

/* Little endian: the value's bytes are the lowest of its word. */
static void
put_result(Str *s, DType t)
{
	if (t == DT_I32)
		str_puts(s, "\treturn (uint64_t)(int64_t)y;\n}\n");
	else
		str_puts(s, "\tuint64_t bits = 0;\n"
		            "\tmemcpy(&bits, &y, sizeof y);\n"
		            "\treturn bits;\n}\n");
}

static void
start_wrapper(Str *s, const char *name)
{
	str_printf(s, "\nstatic uint64_t\ncall_%s(const uint64_t *arg)\n{\n", name);
}

static void
emit_function(Emitter *e, const LFunc *f)
{
	const char *name = scalar_name(&e->file, f);
	Str *s = &e->wrappers;

	start_wrapper(s, f->name);
	for (int i = 0; i < f->params.n; i++)
		put_argument(s, i, f->params.v[i]->type);
	str_printf(s, "\t%s y = %s(", dtype_info[f->result].c_type, name);
	for (int i = 0; i < f->params.n; i++)
		str_printf(s, "%sx%d", i ? ", " : "", i);
	str_puts(s, ");\n");
	put_result(s, f->result);
	add_to_table(e, f->name);
}

static void
emit_conversion(Emitter *e, const LFunc *f)
{
	Str *s = &e->wrappers;
	Str params, body;

	str_init(&params, e->file.arena);
	str_init(&body, e->file.arena);
	func_print(&e->file, f, NULL, NULL, &params, &body);
	str_printf(s, "\nstatic void %s%s\n%s", f->name, params.s, body.s);
	start_wrapper(s, f->name);
	put_argument(s, 0, f->bufs.v[0]->elem);
	str_printf(s, "\t%s y;\n\t%s(&x0, &y);\n", dtype_info[f->bufs.v[1]->elem].c_type, f->name);
	put_result(s, f->bufs.v[1]->elem);
	add_to_table(e, f->name);
}

static void
emit_all(Emitter *e, const LFuncs *kernels)
{
	for (int i = 0; i < math_count(); i++)
		emit_function(e, math_get(i));
	for (int i = 0; i < kernels->n; i++)
		emit_conversion(e, kernels->v[i]);
}

static void
start(Emitter *e, Arena *a)
{
	*e = (Emitter){.file = {.arena = a, .prefix = "m", .upper = "M"}};
	names_init(&e->file.names, a);
	helpers_reserve(&e->file);
	str_init(&e->wrappers, a);
	str_init(&e->table, a);
}

static void
finish(const Emitter *e, Str *s)
{
	str_puts(s, preamble);
	helpers_print(s, &e->file);
	for (int i = 0; i < e->file.scalars.n; i++)
		str_printf(s, "\n%s", e->file.scalars.v[i]->text.s);
	str_puts(s, e->wrappers.s);
	str_printf(s, "\nconst MathCompiled math_compiled[] = {\n%s};\n", e->table.s);
	str_printf(s, "const int math_ncompiled = %d;\n", e->count);
}

static bool
write_file(const char *name, const Str *s)
{
	FILE *f = fopen(name, "w");
	bool ok = f && fwrite(s->s, 1, s->n, f) == s->n;

	return f && fclose(f) == 0 && ok;
}

int
main(int argc, char **argv)
{
	Arena *a = arena_new(NULL, NULL);
	LFuncs kernels = {0};
	Emitter e;
	Diag d;
	Str s;
	bool ok;

	diag_init(&d, a);
	str_init(&s, a);
	ok = argc == 2 &&
	     lfunc_parse(a, "conversions", conversions, sizeof conversions - 1, &kernels, &d);
	if (ok) {
		start(&e, a);
		emit_all(&e, &kernels);
		finish(&e, &s);
		ok = write_file(argv[1], &s);
	}
	arena_free(a);
	return !ok;
}
