/*
 * The header: what the functions take, how much memory they need and where things are.
 */
#include <string.h>

#include "codegen/c/emit.h"

static void
describe_tensor(const Emit *e, Str *s, const char *role, const char *name, const Buffer *b)
{
	Arena *a = e->file.arena;
	DType t = b->type.dtype;
	const char *note = t == DT_F16    ? ", bits of IEEE half precision"
	                   : t == DT_BF16 ? ", bits of bfloat16"
	                   : t == DT_BOOL ? ", 0 or 1"
	                                  : "";

	if (strcmp(name, e->name[b->index]) != 0)
		note = arena_printf(a, "%s, '%s' in the model", note, name_comment(a, name));
	comment_line(s, arena_printf(a, "  %-6s %s: %s, %zu bytes%s", role, e->name[b->index],
	                             type_text(a, &b->type), type_bytes(&b->type), note));
}

static size_t
constant_bytes(const Emit *e)
{
	size_t sum = 0;

	for (int i = 0; i < e->constants.n; i++)
		sum += type_bytes(&e->constants.v[i].buffer->type);
	return sum;
}

/* What is kept between calls. */
static const char *
state_text(const Emit *e)
{
	const Graph *g = e->program->graph;
	size_t bytes = 0;

	for (int i = 0; i < g->states.n; i++)
		bytes += type_bytes(&g->states.v[i]->type);
	return bytes ? arena_printf(e->file.arena, "%zu bytes of state between calls", bytes)
	             : "no state between calls";
}

static void
print_manual(const Emit *e, Str *s)
{
	const Program *p = e->program;
	const Graph *g = p->graph;
	Arena *a = e->file.arena;

	comment_line(s, "");
	comment_line(s, "Tensors are arrays in row-major order: the last index runs fastest.");
	for (int i = 0; i < g->inputs.n; i++)
		describe_tensor(e, s, i < graph_plain_inputs(g) ? "input" : "state",
		                g->inputs.v[i]->name, p->input[i]);
	for (int i = 0; i < graph_plain_outputs(g); i++)
		describe_tensor(e, s, "output", g->output_names.v[i], p->output[i]);
	comment_line(s, "");
	comment_line(s, arena_printf(a, "RAM: %s%s; no heap, %s", regions_text(e),
	                             emit_io_in_arena(e) ? ", tensors included" : "",
	                             state_text(e)));
	comment_line(s, arena_printf(a, "Constants: %zu bytes", constant_bytes(e)));
	comment_line(s, arena_printf(a, "Multiply-accumulates of one call: %lld",
	                             (long long)program_macs(p)));
	str_puts(s, " */\n");
}

static void
print_arena_manual(const Emit *e, Str *s)
{
	str_puts(s, "\n/* Memory of all tensors.  Inputs are written to their places before a call, which\n"
	            " * uses that memory for other things; outputs are in theirs behind it, until the\n"
	            " * next input is written");
	if (e->program->graph->states.n)
		str_printf(s, ".  States are kept there between calls and are set by\n * %s_reset()",
		           e->file.prefix);
	str_puts(s, ". */\n");
}

static void
print_offsets(const Emit *e, Str *s)
{
	const Program *p = e->program;
	const Graph *g = p->graph;

	str_puts(s, p->nregions > 1
	                    ? "\n/* Where the tensors are: the number of the arena, from 0 in the order of\n"
	                      " * arguments, and bytes from its start. */\n"
	                    : "\n/* Where the tensors are: bytes from the start of the arena. */\n");
	for (int i = 0; i < g->inputs.n + graph_plain_outputs(g); i++) {
		const Buffer *b = i < g->inputs.n ? p->input[i] : p->output[i - g->inputs.n];

		if (p->nregions > 1)
			str_printf(s, "#define %s %d\n", e->region_name[i], b->region);
		str_printf(s, "#define %s %zuu\n", e->offset_name[i], program_in_region(p, b));
	}
}

static void
print_macros(const Emit *e, Str *s)
{
	const Program *p = e->program;
	const Graph *g = p->graph;
	const char *u = e->file.upper;

	if (emit_io_in_arena(e))
		print_arena_manual(e, s);
	else
		str_puts(s, "\n/* Memory that a call needs; its contents need not be kept between calls. */\n");
	regions_print_macros(e, s);
	str_puts(s, "\n/* Elements of the tensors. */\n");
	for (int i = 0; i < g->inputs.n + g->outputs.n; i++) {
		const Buffer *b = i < g->inputs.n ? p->input[i] : p->output[i - g->inputs.n];

		if (i >= g->inputs.n + graph_plain_outputs(g) ||
		    (i < g->inputs.n && i >= graph_plain_inputs(g)))
			continue;
		str_printf(s, "#define %s %du\n", e->size_name[i], (int)type_numel(&b->type));
	}
	if (emit_io_in_arena(e))
		print_offsets(e, s);
	str_puts(s, "\n/* Results of the function. */\n");
	str_printf(s, "#define %s_OK 0\n", u);
	str_printf(s, "#define %s_ERROR_ARENA 1 /* %s arena is NULL or not aligned */\n", u,
	           p->nregions > 1 ? "an" : "the");
}

static void
print_state_type(const Emit *e, Str *s)
{
	const Graph *g = e->program->graph;

	if (!g->states.n || emit_io_in_arena(e))
		return;
	str_puts(s, "\n/* What is kept between calls. */\ntypedef struct {\n");
	for (int i = 0; i < g->states.n; i++) {
		const Type *t = &g->states.v[i]->type;
		int n = type_numel(t);

		str_printf(s, "\t%s %s[%d];\n", dtype_info[t->dtype].c_type, emit_state_member(e, i),
		           n ? n : 1);
	}
	str_printf(s, "} %s_state;\n", e->file.prefix);
}

static void
print_reset_prototype(const Emit *e, Str *s)
{
	if (!e->program->graph->states.n)
		return;
	str_puts(s, "/* Prepares a state for the first call of a sequence. */\n");
	emit_reset_head(e, s);
	str_puts(s, ";\n\n");
}

static void
print_batch_prototype(const Emit *e, Str *s)
{
	if (!e->options->batch)
		return;
	str_printf(s, "\n/* The same for `%s` inputs that lie one behind the other in memory; so do the\n"
	              " * outputs.  Stops at the first call that fails. */\n", e->count);
	emit_prototype(e, s, true);
	str_puts(s, ";\n");
}

void
emit_header(Emit *e, Str *s)
{
	const char *u = e->file.upper;
	Str types, function;

	str_init(&types, e->file.arena);
	str_init(&function, e->file.arena);
	interface_print(e->interface, &types, &function);

	emit_banner(e, s, e->options->header_name);
	print_manual(e, s);
	str_printf(s, "#ifndef %s_H\n#define %s_H\n\n", u, u);
	str_puts(s, "#include <stddef.h>\n#include <stdint.h>\n");
	print_macros(e, s);
	print_state_type(e, s);
	str_write(s, types.s, types.n);
	str_puts(s, "\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
	print_reset_prototype(e, s);
	str_puts(s, emit_io_in_arena(e)
	                    ? "/* Computes the outputs. */\n"
	                    : "/* Computes the outputs.  The arrays must not overlap; an arena may be NULL when "
	                      "its\n * size is 0. */\n");
	if (e->program->clobbers_inputs && !emit_io_in_arena(e))
		str_puts(s, "/* The inputs are overwritten. */\n");
	emit_prototype(e, s, false);
	str_puts(s, ";\n");
	print_batch_prototype(e, s);
	str_write(s, function.s, function.n);
	str_puts(s, "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n");
}
