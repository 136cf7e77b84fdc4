/*
 * The memory that the caller hands over: one arena, or one a region of -mregion.
 */
#include <ctype.h>
#include <string.h>

#include "codegen/c/emit.h"

/* In front of "arena": "dtcm_", or nothing where there are no regions. */
static const char *
stem_of(const Emit *e, int r, bool upper)
{
	Arena *a = e->file.arena;
	const char *name = e->program->region[r].memory.name;
	char *stem;

	if (!name)
		return "";
	stem = arena_printf(a, "%s_", name);
	for (char *p = stem; *p; p++)
		*p = (char)(upper ? toupper((unsigned char)*p) : tolower((unsigned char)*p));
	return stem;
}

static const char *
macro_name(Emit *e, int r, const char *what)
{
	Arena *a = e->file.arena;

	return names_add(&e->file.names, arena_printf(a, "%s_%sARENA_%s", e->file.upper,
	                                              stem_of(e, r, true), what));
}

void
regions_name(Emit *e)
{
	Arena *a = e->file.arena;
	int n = e->program->nregions;
	Str params, args;

	str_init(&params, a);
	str_init(&args, a);
	e->region = ARENA_ARRAY(a, RegionNames, n);
	for (int r = 0; r < n; r++) {
		const char *stem = stem_of(e, r, false);
		RegionNames *names = &e->region[r];

		/* What has no regions has these names to itself (names.c). */
		names->arena = !*stem ? "arena"
		                      : names_add(&e->run_names, arena_printf(a, "%sarena", stem));
		names->mem = !*stem ? "mem"
		                    : names_add(&e->run_names, arena_printf(a, "%smem", stem));
		names->size = macro_name(e, r, "SIZE");
		names->align = macro_name(e, r, "ALIGN");
		str_printf(&params, "%svoid *%s", r ? ", " : "", names->arena);
		str_printf(&args, "%s%s", r ? ", " : "", names->arena);
	}
	e->file.arena_params = params.s;
	e->file.arena_args = args.s;
}

void
regions_print_macros(const Emit *e, Str *s)
{
	for (int r = 0; r < e->program->nregions; r++) {
		const Region *region = &e->program->region[r];

		str_printf(s, "#define %s %zuu /* bytes%s%s */\n", e->region[r].size,
		           e->program->batch.rows ? e->program->batch.arena_size : region->size,
		           region->memory.name ? " in " : "",
		           region->memory.name ? region->memory.name : "");
		str_printf(s, "#define %s %zuu\n", e->region[r].align, e->program->arena_align);
	}
}

const char *
regions_text(const Emit *e)
{
	const Program *p = e->program;
	Str s;

	str_init(&s, e->file.arena);
	for (int r = 0; r < p->nregions; r++)
		str_printf(&s, "%s%zu bytes of arena%s%s", r ? ", " : "", p->region[r].size,
		           p->region[r].memory.name ? " in " : "",
		           p->region[r].memory.name ? p->region[r].memory.name : "");
	return s.s;
}

void
regions_print_checks(const Emit *e, Str *s)
{
	bool first = true;

	for (int r = 0; r < e->program->nregions; r++) {
		const RegionNames *n = &e->region[r];

		if (!e->program->region[r].size)
			continue;
		str_printf(s, "%s\tif (%s == NULL || ((uintptr_t)%s & (%s - 1u)) != 0u) {\n"
		              "\t\treturn %s_ERROR_ARENA;\n\t}\n",
		           first ? "\n" : "", n->arena, n->arena, n->align, e->file.upper);
		first = false;
	}
}
