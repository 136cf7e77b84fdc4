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
	str_write(&scalar->text, body.s, body.n);
	VEC_PUSH(f->arena, &f->scalars, scalar);
	return scalar->name;
}
