/*
 * The memory plan as text, for people, and as JSON.
 */
#include "codegen/program/program.h"

static const char *
kind_name(BufferKind kind)
{
	switch (kind) {
	case BUFFER_INPUT: return "input";
	case BUFFER_OUTPUT: return "output";
	case BUFFER_CONST: return "const";
	case BUFFER_ARENA: return "arena";
	}
	return "";
}

static const char *
share_name(Share share)
{
	switch (share) {
	case SHARE_NONE: return "";
	case SHARE_VIEW: return "view of";
	case SHARE_PIECE: return "piece of";
	case SHARE_IN_PLACE: return "in place of";
	}
	return "";
}

static void
report_buffer(Str *s, const Program *p, const Buffer *b)
{
	int last = b->last < p->steps.n ? b->last : p->steps.n;

	str_printf(s, "%-6s %10zu %10zu  %5d..%-5d %s %s", kind_name(b->kind), b->offset,
	           type_bytes(&b->type), b->first, last, b->name, type_text(p->arena, &b->type));
	if (b->base && b->base != b)
		str_printf(s, ", in %s", b->base->name);
	if (b->kind == BUFFER_ARENA && p->region[b->region].memory.name)
		str_printf(s, ", in %s", p->region[b->region].memory.name);
	if (b->share != SHARE_NONE)
		str_printf(s, ", %s %s", share_name(b->share), b->shares->name);
	str_putc(s, '\n');
}

/* Constants that kernels hold in another form are in no memory. */
static bool
is_somewhere(const Buffer *b, const bool *used)
{
	return b->kind != BUFFER_CONST || used[b->index];
}

/* What each kernel is and takes. */
static void
report_steps(Str *s, const Program *p)
{
	str_puts(s, "\n   cycles       code  constants    scratch kernel\n");
	for (int i = 0; i < p->steps.n; i++) {
		const Step *step = p->steps.v[i];
		ProgramCost cost = program_step_cost(p, step);

		str_printf(s, "%9lld %10zu %10zu %10zu %s: %s\n", (long long)cost.cycles, cost.code,
		           cost.constants, cost.ram, step->name,
		           step->kernel ? step->kernel->name : "copy");
	}
}

void
program_report(Str *s, const Program *p)
{
	const bool *used = program_used(p, p->arena);
	ProgramCost cost = program_cost(p);

	str_printf(s, "memory plan of %s: %d steps\n", p->graph->name, p->steps.n);
	str_printf(s, "arena %zu bytes, aligned to %zu; lower bound %zu; %s (%s)\n", p->arena_size,
	           p->arena_align, p->arena_bound,
	           p->arena_optimal ? "optimal" : "not proved optimal", p->method);
	for (int r = 0; r < p->nregions && p->region[r].memory.name; r++)
		str_printf(s, "region %s: %zu of %zu bytes, from %zu on\n", p->region[r].memory.name,
		           p->region[r].size, p->region[r].memory.size, p->region[r].base);
	str_printf(s, "constants %zu bytes, %lld multiply-accumulates\n", program_const_bytes(p),
	           (long long)program_macs(p));
	str_printf(s, "flash about %zu bytes: %zu of constants, about %zu of code", program_flash(&cost),
	           cost.constants, cost.code);
	if (cost.cycles)
		str_printf(s, "; about %lld cycles", (long long)cost.cycles);
	str_puts(s, "\n\n");
	str_puts(s, "where      offset      bytes        steps buffer\n");
	for (int kind = BUFFER_INPUT; kind <= BUFFER_ARENA; kind++)
		for (int i = 0; i < p->buffers.n; i++)
			if (p->buffers.v[i]->kind == (BufferKind)kind &&
			    is_somewhere(p->buffers.v[i], used))
				report_buffer(s, p, p->buffers.v[i]);
	report_steps(s, p);
}

/* ---- JSON ---- */

static void
put_buffer(Str *s, const Program *p, const Buffer *b)
{
	int last = b->last < p->steps.n ? b->last : p->steps.n;

	str_puts(s, "{\"name\": ");
	str_put_json(s, b->name);
	str_printf(s, ", \"where\": \"%s\", \"offset\": %zu, \"bytes\": %zu, \"first\": %d, "
	              "\"last\": %d, \"type\": ",
	           kind_name(b->kind), b->offset, type_bytes(&b->type), b->first, last);
	str_put_json(s, type_text(p->arena, &b->type));
	if (b->kind == BUFFER_ARENA && p->region[b->region].memory.name) {
		str_puts(s, ", \"region\": ");
		str_put_json(s, p->region[b->region].memory.name);
	}
	if (b->share != SHARE_NONE) {
		str_printf(s, ", \"share\": \"%s\", \"shares\": ", share_name(b->share));
		str_put_json(s, b->shares->name);
	}
	str_putc(s, '}');
}

static void
put_step(Str *s, const Program *p, const Step *step)
{
	ProgramCost cost = program_step_cost(p, step);

	str_puts(s, "{\"name\": ");
	str_put_json(s, step->name);
	str_printf(s, ", \"operator\": \"%s\", \"macs\": %lld, \"kernel\": ",
	           step->node ? op_info[step->node->op].name : "copy", (long long)step->macs);
	str_put_json(s, step->kernel ? step->kernel->name : "copy");
	str_printf(s, ", \"cycles\": %lld, \"code\": %zu, \"constants\": %zu, "
	              "\"scratch\": %zu}",
	           (long long)cost.cycles, cost.code, cost.constants, cost.ram);
}

static void
put_regions(Str *s, const Program *p)
{
	str_puts(s, "\"regions\": [");
	for (int r = 0; r < p->nregions && p->region[r].memory.name; r++) {
		str_puts(s, r ? ", {\"name\": " : "{\"name\": ");
		str_put_json(s, p->region[r].memory.name);
		str_printf(s, ", \"bytes\": %zu, \"size\": %zu, \"base\": %zu}", p->region[r].size,
		           p->region[r].memory.size, p->region[r].base);
	}
	str_puts(s, "], ");
}

void
program_report_json(Str *s, const Program *p)
{
	const bool *used = program_used(p, p->arena);
	ProgramCost cost = program_cost(p);
	bool comma = false;

	str_puts(s, "{\"name\": ");
	str_put_json(s, p->graph->name);
	str_printf(s, ", \"arena_bytes\": %zu, \"arena_align\": %zu, \"arena_bound\": %zu, "
	              "\"arena_optimal\": %s, \"constant_bytes\": %zu, \"macs\": %lld, "
	              "\"ram_bytes\": %zu, \"flash_bytes\": %zu, \"code_bytes\": %zu, "
	              "\"cycles\": %lld, ",
	           p->arena_size, p->arena_align, p->arena_bound,
	           p->arena_optimal ? "true" : "false", program_const_bytes(p),
	           (long long)program_macs(p), cost.ram, program_flash(&cost), cost.code,
	           (long long)cost.cycles);
	put_regions(s, p);
	str_puts(s, "\"steps\": [");
	for (int i = 0; i < p->steps.n; i++) {
		str_puts(s, i ? ",\n  " : "\n  ");
		put_step(s, p, p->steps.v[i]);
	}
	str_puts(s, "],\n \"buffers\": [");
	for (int i = 0; i < p->buffers.n; i++) {
		if (!is_somewhere(p->buffers.v[i], used))
			continue;
		str_puts(s, comma ? ",\n  " : "\n  ");
		comma = true;
		put_buffer(s, p, p->buffers.v[i]);
	}
	str_puts(s, "]}");
}
