/*
 * Functions of the mathematical library: printed once, in the order in which
 * they need each other, or taken from <math.h>.
 */
#include <string.h>

#include "codegen/c/print.h"

/* Our names that <math.h> has with the same meaning; for float with an f. */
static const char *const hosted[] = {
	"acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "cos", "cosh", "erf",
	"exp", "expm1", "floor", "fmod", "log", "log1p", "pow", "rint", "sin", "sinh", "sqrt",
	"tan", "tanh", "trunc"};

/* The name in <math.h>, or NULL. */
static const char *
hosted_name(Arena *a, const LFunc *fn)
{
	const char *suffix = strrchr(fn->name, '_');
	bool is_double;

	if (!suffix || (strcmp(suffix, "_f32") != 0 && strcmp(suffix, "_f64") != 0))
		return NULL;
	is_double = strcmp(suffix, "_f64") == 0;
	for (size_t i = 0; i < sizeof hosted / sizeof *hosted; i++)
		if (strlen(hosted[i]) == (size_t)(suffix - fn->name) &&
		    strncmp(hosted[i], fn->name, strlen(hosted[i])) == 0)
			return is_double ? hosted[i] : arena_printf(a, "%sf", hosted[i]);
	return NULL;
}

/* ---- Square roots by instruction ---- */

/* Machines with an instruction for the square root, which rounds as IEEE 754 says and so
 * gives the bits of the function of the library. */
static const struct {
	const char *condition[2], *instruction[2], *constraint[2]; /* of float and double */
} roots[] = {
	{{"defined(__x86_64__)", "defined(__x86_64__)"},
	 {"sqrtss {%1, %0|%0, %1}", "sqrtsd {%1, %0|%0, %1}"},
	 {"x", "x"}},
	{{"defined(__aarch64__) && defined(__ARM_FP)", "defined(__aarch64__) && defined(__ARM_FP)"},
	 {"fsqrt %s0, %s1", "fsqrt %d0, %d1"},
	 {"w", "w"}},
	{{"defined(__arm__) && defined(__ARM_FP) && (__ARM_FP & 4)",
	  "defined(__arm__) && defined(__ARM_FP) && (__ARM_FP & 8)"},
	 {"vsqrt.f32 %0, %1", "vsqrt.f64 %P0, %P1"},
	 {"t", "w"}},
	{{"defined(__riscv_fdiv) && defined(__riscv_flen) && __riscv_flen >= 32",
	  "defined(__riscv_fdiv) && defined(__riscv_flen) && __riscv_flen >= 64"},
	 {"fsqrt.s %0, %1", "fsqrt.d %0, %1"},
	 {"f", "f"}},
};

static bool
is_root(const LFunc *fn)
{
	return strcmp(fn->name, "sqrt_f32") == 0 || strcmp(fn->name, "sqrt_f64") == 0;
}

/* The body of a square root: an instruction, or the function in C.  What is below 0 gives
 * the same NaN everywhere. */
static void
put_root(CFile *f, Str *s, const LFunc *fn, const char *portable)
{
	DType t = fn->result;
	int wide = t == DT_F64;

	str_printf(s, "\t(void)%s; /* where there is no instruction */\n\t(void)%s;\n",
	           helper_name(f, HELPER_BITS_OF, t, t), helper_name(f, HELPER_FROM_BITS, t, t));
	for (size_t i = 0; i < sizeof roots / sizeof *roots; i++)
		str_printf(s,
		           "#%s defined(__GNUC__) && %s\n"
		           "\t%s r;\n\n"
		           "\t__asm__(\"%s\" : \"=%s\"(r) : \"%s\"(x));\n"
		           "\treturn x < %s ? %s%s_NAN : r;\n",
		           i ? "elif" : "if", roots[i].condition[wide],
		           dtype_info[t].c_type, roots[i].instruction[wide],
		           roots[i].constraint[wide], roots[i].constraint[wide],
		           wide ? "0.0" : "0.0f", wide ? "(double)" : "", f->upper);
	str_printf(s, "#else\n%s#endif\n", portable);
}

/* Prints the body of a function behind its head. */
static void
put_scalar_body(CFile *f, Str *s, const LFunc *fn, const Str *body)
{
	static const char open[] = "{\n", close[] = "}\n";
	size_t inside = body->n - strlen(open) - strlen(close);

	if (!is_root(fn)) {
		str_write(s, body->s, body->n);
		return;
	}
	str_puts(s, open);
	put_root(f, s, fn, arena_strndup(f->arena, body->s + strlen(open), inside));
	str_puts(s, close);
}

const char *
scalar_name(CFile *f, const LFunc *fn)
{
	ScalarFunc *scalar;
	Str head, body;
	const char *name = f->hosted ? hosted_name(f->arena, fn) : NULL;

	if (name) {
		f->uses.math = true;
		return name;
	}
	for (int i = 0; i < f->scalars.n; i++)
		if (f->scalars.v[i]->fn == fn)
			return f->scalars.v[i]->name;
	if (f->is_trial)
		return fn->name;
	scalar = ARENA_NEW(f->arena, ScalarFunc);
	scalar->fn = fn;
	scalar->name = names_add(&f->names, arena_printf(f->arena, "%s_%s", f->prefix,
	                                                 name_stem(f->arena, fn->name)));
	str_init(&head, f->arena);
	str_init(&body, f->arena);
	str_init(&scalar->text, f->arena);
	str_printf(&head, "static %s %s", dtype_info[fn->result].c_type, scalar->name);
	/* Functions do not call themselves, so what this one calls is appended first. */
	func_print(f, fn, NULL, NULL, &head, &body);
	line_print(&scalar->text, 0, head.s, head.n);
	put_scalar_body(f, &scalar->text, fn, &body);
	VEC_PUSH(f->arena, &f->scalars, scalar);
	return scalar->name;
}
