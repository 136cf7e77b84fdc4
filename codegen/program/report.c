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
	if (b->share != SHARE_NONE)
		str_printf(s, ", %s %s", share_name(b->share), b->shares->name);
	str_putc(s, '\n');
}

static void
report_steps(Str *s, const Program *p)
{
	bool timed = program_cycles(p) > 0;

	str_printf(s, "step %10s %11s %11s  kernel                   layer\n", "constants", "MACs",
	           timed ? "cycles" : "");
	for (int i = 0; i < p->steps.n; i++) {
		const Step *step = p->steps.v[i];

		str_printf(s, "%4d %10zu %11lld", i, step_const_bytes(step), (long long)step->macs);
		if (timed)
			str_printf(s, " %11lld", (long long)step->cycles);
		else
			str_printf(s, " %11s", "");
		str_printf(s, "  %-24s %s\n", step->kernel, step->name);
	}
	str_putc(s, '\n');
}

void
program_report(Str *s, const Program *p)
{
	str_printf(s, "memory plan of %s: %d steps\n", p->graph->name, p->steps.n);
	str_printf(s, "arena %zu bytes, aligned to %zu; lower bound %zu; %s (%s)\n", p->arena_size,
	           p->arena_align, p->arena_bound,
	           p->arena_optimal ? "optimal" : "not proved optimal", p->method);
	str_printf(s, "constants %zu bytes, code about %zu, %lld multiply-accumulates",
	           program_const_bytes(p), program_code_bytes(p), (long long)program_macs(p));
	if (program_cycles(p))
		str_printf(s, ", about %lld cycles", (long long)program_cycles(p));
	str_puts(s, "\n\n");
	report_steps(s, p);
	str_puts(s, "where      offset      bytes        steps buffer\n");
	for (int kind = BUFFER_INPUT; kind <= BUFFER_ARENA; kind++)
		for (int i = 0; i < p->buffers.n; i++)
			if (p->buffers.v[i]->kind == (BufferKind)kind)
				report_buffer(s, p, p->buffers.v[i]);
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
	if (b->share != SHARE_NONE) {
		str_printf(s, ", \"share\": \"%s\", \"shares\": ", share_name(b->share));
		str_put_json(s, b->shares->name);
	}
	str_putc(s, '}');
}

static void
put_step(Str *s, const Step *step)
{
	str_puts(s, "{\"name\": ");
	str_put_json(s, step->name);
	str_printf(s, ", \"operator\": \"%s\", \"kernel\": ",
	           step->node ? op_info[step->node->op].name : "copy");
	str_put_json(s, step->kernel);
	str_printf(s, ", \"macs\": %lld, \"constants\": %zu", (long long)step->macs,
	           step_const_bytes(step));
	if (step->cycles)
		str_printf(s, ", \"cycles\": %lld", (long long)step->cycles);
	str_putc(s, '}');
}

void
program_report_json(Str *s, const Program *p)
{
	str_puts(s, "{\"name\": ");
	str_put_json(s, p->graph->name);
	str_printf(s, ", \"arena_bytes\": %zu, \"arena_align\": %zu, \"arena_bound\": %zu, "
	              "\"arena_optimal\": %s, \"constant_bytes\": %zu, \"code_bytes\": %zu, \"macs\": %lld, "
	              "\"cycles\": %lld, \"steps\": [",
	           p->arena_size, p->arena_align, p->arena_bound,
	           p->arena_optimal ? "true" : "false", program_const_bytes(p), program_code_bytes(p),
	           (long long)program_macs(p), (long long)program_cycles(p));
	for (int i = 0; i < p->steps.n; i++) {
		str_puts(s, i ? ",\n  " : "\n  ");
		put_step(s, p->steps.v[i]);
	}
	str_puts(s, "],\n \"buffers\": [");
	for (int i = 0; i < p->buffers.n; i++) {
		str_puts(s, i ? ",\n  " : "\n  ");
		put_buffer(s, p, p->buffers.v[i]);
	}
	str_puts(s, "]}");
}
