/*
 * The source file, and the order in which both files are made.
 *
 * Kernels are printed first, to know which helpers, functions and constants they
 * use; equal text is one function.  All functions of layers are kept out of
 * line: each works on memory that another layer used as another type, and
 * compilers may reorder accesses of different types within one function.
 */
#include <string.h>

#include "codegen/c/emit.h"

static const char *
c_type_of(const Buffer *b)
{
	return dtype_info[b->type.dtype].c_type;
}

/* ---- Kernels ---- */

static bool
is_written(const LBuf *buf)
{
	return buf->role == LBUF_OUT || buf->role == LBUF_SCRATCH;
}

static size_t
arg_bytes(const LBuf *buf)
{
	return (size_t)buf->count * (size_t)dtype_info[buf->elem].bytes;
}

/* The array that a buffer lies in; NULL: the arena. */
static const Buffer *
memory_of(const Buffer *b)
{
	return b->base && b->base->twin ? b->base->twin : b->base;
}

/* Whether arguments i and j of a step share memory. */
static bool
args_overlap(const Step *step, int i, int j)
{
	const Arg *p = &step->arg[i], *q = &step->arg[j];
	size_t a, b;

	if (!p->buffer || !q->buffer || memory_of(p->buffer) != memory_of(q->buffer))
		return false;
	a = p->buffer->offset + p->offset;
	b = q->buffer->offset + q->offset;
	return a < b + arg_bytes(step->fn->bufs.v[j]) && b < a + arg_bytes(step->fn->bufs.v[i]);
}

/* The arguments that are not alone in their memory while it is written. */
static bool *
find_overlaps(Arena *a, const Step *step)
{
	int n = step->fn->bufs.n;
	bool *plain = ARENA_ARRAY(a, bool, n);

	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++)
			if (i != j && args_overlap(step, i, j) &&
			    (is_written(step->fn->bufs.v[i]) || is_written(step->fn->bufs.v[j])))
				plain[i] = true;
	return plain;
}

/* The same for all steps; those that have one function have its parameters too. */
static void
find_all_overlaps(Emit *e)
{
	const Program *p = e->program;

	for (int i = 0; i < program_all_steps(p); i++) {
		const Step *step = program_step(p, i);

		e->shared[i] = find_overlaps(e->file.arena, step);
		for (int k = 0; step->before && k < step->fn->bufs.n; k++)
			e->shared[i][k] = e->shared[i][k] || e->shared[step->before->index][k];
	}
	for (int i = p->steps.n - 1; i >= 0; i--)
		if (p->steps.v[i]->before)
			e->shared[p->steps.v[i]->before->index] = e->shared[i];
}

static Kernel *
find_kernel(const Emit *e, const char *params, const char *body, int *index)
{
	for (int i = 0; i < e->kernels.n; i++) {
		Kernel *k = e->kernels.v[i];

		if (strcmp(k->params, params) == 0 && strcmp(k->body, body) == 0) {
			*index = i;
			return k;
		}
	}
	return NULL;
}

static const char *
global_name(Emit *e, const char *text)
{
	Arena *a = e->file.arena;

	return names_add(&e->file.names,
	                 arena_printf(a, "%s_%s", e->file.prefix, name_stem(a, text)));
}

/* Layers that only have a number get the operator's name before it. */
static const char *
step_label(const Emit *e, const Step *step)
{
	if (*step->name < '0' || *step->name > '9')
		return step->name;
	return arena_printf(e->file.arena, "%s_%s",
	                    step->node ? op_info[step->node->op].name : "copy", step->name);
}

static void
print_kernel(Emit *e, int index)
{
	Arena *a = e->file.arena;
	const Step *step = program_step(e->program, index);
	bool *used = ARENA_ARRAY(a, bool, step->fn->bufs.n);
	Kernel *k;
	Str params, body;

	str_init(&params, a);
	str_init(&body, a);
	func_print(&e->file, step->fn, e->shared[index], used, &params, &body);
	e->used[index] = used;
	k = find_kernel(e, params.s, body.s, &e->kernel_of[index]);
	if (!k) {
		k = ARENA_NEW(a, Kernel);
		k->params = params.s;
		k->body = body.s;
		k->first = index;
		k->name = global_name(e, step_label(e, step));
		e->kernel_of[index] = e->kernels.n;
		VEC_PUSH(a, &e->kernels, k);
	}
	VEC_PUSH(a, &k->steps, step);
}

/* ---- Comments ---- */

/* The types of values, comma-separated.  A node with thousands of inputs may be
 * thousands of steps, each with this comment: the first few have to do. */
static void
list_types(Arena *a, Str *line, Value **values, int n)
{
	const int most = 8;
	int listed = 0;

	for (int i = 0; i < n && listed < most; i++)
		if (values[i])
			str_printf(line, "%s%s", listed++ ? ", " : "",
			           type_text(a, &values[i]->type));
	if (n > most)
		str_printf(line, " ... (%d in all)", n);
}

static void
describe_step(Emit *e, Str *s, const Step *step)
{
	Arena *a = e->file.arena;
	const Node *node = step->node;
	Str line;

	str_init(&line, a);
	str_printf(&line, "%s (%s", name_comment(a, step->name),
	           node ? op_info[node->op].name : "copy to an output");
	if (step->kernel && !step->kernel->is_reference)
		str_printf(&line, " by kernel %s", step->kernel->name);
	str_puts(&line, "): ");
	if (node) {
		list_types(a, &line, node->in, node->nins);
		str_puts(&line, " -> ");
		list_types(a, &line, node->out, node->nouts);
	} else {
		str_puts(&line, type_text(a, &step->arg[0].buffer->type));
	}
	comment_line(s, line.s);
}

/* ---- Constants ---- */

/* The array that holds the data of a constant, which is its own base. */
static const char *
constant_name(Emit *e, const Buffer *b)
{
	VEC_PUSH(e->file.arena, &e->constants, ((Constant){b, global_name(e, b->name)}));
	return e->constants.v[e->constants.n - 1].name;
}

static void
print_constants(Emit *e, Str *s)
{
	for (int i = 0; i < e->constants.n; i++) {
		const Constant *c = &e->constants.v[i];
		size_t n = (size_t)type_numel(&c->buffer->type);
		Arena *a = e->file.arena;

		str_printf(s, "\n/* %s: %s, %zu bytes */\n", name_comment(a, c->buffer->name),
		           type_text(a, &c->buffer->type), type_bytes(&c->buffer->type));
		str_printf(s, "static const %s %s[%zu] %s_CONST = {\n", c_type_of(c->buffer),
		           c->name, n ? n : 1, e->file.upper);
		data_print(&e->file, s, 1, c->buffer->type.dtype, c->buffer->data, n);
		str_puts(s, "};\n");
	}
}

/* ---- The run function ---- */

bool
emit_io_in_arena(const Emit *e)
{
	return e->program->io == IO_ARENA;
}

/* Names the buffers that a step's kernel takes. */
static void
name_buffers(Emit *e)
{
	const Program *p = e->program;
	Arena *a = e->file.arena;

	for (int i = 0; i < program_all_steps(p); i++) {
		const Step *step = program_step(p, i);

		for (int j = 0; j < step->fn->bufs.n; j++) {
			const Buffer *b = step->arg[j].buffer;

			if (!e->used[i][j])
				continue;
			if (b->kind != BUFFER_ARENA)
				b = b->base;
			if (e->name[b->index])
				continue;
			e->name[b->index] =
				b->kind == BUFFER_CONST
					? constant_name(e, b)
					: names_add(&e->run_names,
			                            name_local(a, b->name, e->file.prefix));
		}
	}
}

/* Parameters take the first choice of names. */
static void
name_parameters(Emit *e)
{
	const Program *p = e->program;
	const Graph *g = p->graph;
	Arena *a = e->file.arena;

	/* `state` is a parameter too. */
	if (g->states.n)
		names_add(&e->run_names, "state");
	e->size_name = ARENA_ARRAY(a, const char *, g->inputs.n + g->outputs.n);
	e->offset_name = ARENA_ARRAY(a, const char *, g->inputs.n + g->outputs.n);
	e->region_name = ARENA_ARRAY(a, const char *, g->inputs.n + g->outputs.n);
	for (int i = 0; i < g->inputs.n + g->outputs.n; i++) {
		bool is_input = i < g->inputs.n;
		const Buffer *b = is_input ? p->input[i] : p->output[i - g->inputs.n];
		const char *name = is_input ? g->inputs.v[i]->name
		                            : g->output_names.v[i - g->inputs.n];

		e->name[b->index] =
			names_add(&e->run_names, name_local(a, name, e->file.prefix));
		e->size_name[i] = names_add(
			&e->file.names,
			name_upper(a, arena_printf(a, "%s_%s_SIZE", e->file.prefix,
		                                   name_stem(a, name))));
		if (emit_io_in_arena(e) && p->nregions > 1)
			e->region_name[i] = names_add(
				&e->file.names,
				name_upper(a, arena_printf(a, "%s_%s_REGION", e->file.prefix,
			                                   name_stem(a, name))));
		if (emit_io_in_arena(e))
			e->offset_name[i] = names_add(
				&e->file.names,
				name_upper(a, arena_printf(a, "%s_%s_OFFSET", e->file.prefix,
			                                   name_stem(a, name))));
	}
	if (e->options->batch) {
		e->count = names_add(&e->run_names, "count");
		e->call = names_add(&e->run_names, "call");
		e->row = names_add(&e->run_names, "row");
		e->rows = global_name(e, "rows");
	}
}

/* The parameters of a function behind its first ones, in parentheses that are open. */
static void
put_parameters(const Emit *e, Str *line)
{
	const Program *p = e->program;
	const Graph *g = p->graph;

	for (int i = 0; i < graph_plain_inputs(g) && !emit_io_in_arena(e); i++)
		str_printf(line, "%s%s *%s, ", p->clobbers_inputs ? "" : "const ",
		           c_type_of(p->input[i]), e->name[p->input[i]->index]);
	for (int i = 0; i < graph_plain_outputs(g) && !emit_io_in_arena(e); i++)
		str_printf(line, "%s *%s, ", c_type_of(p->output[i]),
		           e->name[p->output[i]->index]);
	if (g->states.n && !emit_io_in_arena(e))
		str_printf(line, "%s_state *state, ", e->file.prefix);
	str_printf(line, "%s)", e->file.arena_params);
}

void
emit_prototype(const Emit *e, Str *s, bool batch)
{
	Str line;

	str_init(&line, e->file.arena);
	str_printf(&line, "int %s_run%s(", e->file.prefix, batch ? "_batch" : "");
	if (batch)
		str_printf(&line, "size_t %s, ", e->count);
	put_parameters(e, &line);
	line_print(s, 0, line.s, line.n);
	s->n--; /* the newline */
}

/* Elements from a row's memory to the next row's. */
static size_t
row_stride(const Emit *e, const Buffer *b)
{
	size_t bytes = (size_t)dtype_info[b->type.dtype].bytes;

	if (b->kind == BUFFER_CONST)
		return 0;
	return (b->kind == BUFFER_ARENA ? e->program->batch.stride : type_bytes(&b->type)) / bytes;
}

/* With `row` that of the row of this name. */
static void
print_arg(const Emit *e, Str *s, const Arg *arg, const char *row)
{
	const Buffer *b = arg->buffer;
	size_t offset = arg->offset;

	if (b->kind != BUFFER_ARENA) {
		offset += b->offset;
		b = b->base;
	}
	str_puts(s, e->name[b->index]);
	if (offset)
		str_printf(s, " + %zu", offset / (size_t)dtype_info[b->type.dtype].bytes);
	if (row && row_stride(e, b))
		str_printf(s, " + %s * %zu", row, row_stride(e, b));
}

static void
print_call(const Emit *e, Str *s, int depth, const Step *step, const char *row)
{
	const Kernel *k = e->kernels.v[e->kernel_of[step->index]];
	bool first = true;
	Str line;

	str_init(&line, e->file.arena);
	str_printf(&line, "%s(", k->name);
	for (int j = 0; j < step->fn->bufs.n; j++) {
		if (!e->used[step->index][j])
			continue;
		if (!first)
			str_puts(&line, ", ");
		print_arg(e, &line, &step->arg[j], row);
		first = false;
	}
	str_puts(&line, ");");
	if (step != k->steps.v[0]) {
		const char *layer = name_comment(e->file.arena, step->name);

		str_printf(&line, " /* %s */", layer);
	}
	line_print(s, depth, line.s, line.n);
}

static void
print_calls(const Emit *e, Str *s)
{
	for (int i = 0; i < e->program->steps.n; i++)
		print_call(e, s, 1, e->program->steps.v[i], NULL);
}

/* Steps that follow each other and are for one row share a loop. */
static void
print_calls_of_rows(const Emit *e, Str *s)
{
	const Program *p = e->program;

	for (int i = 0, end; i < p->steps.n; i = end) {
		end = i + 1;
		if (p->batch.step_of[i]) {
			print_call(e, s, 1, p->batch.step_of[i], NULL);
			continue;
		}
		while (end < p->steps.n && !p->batch.step_of[end])
			end++;
		str_printf(s, "\tfor (size_t %s = 0; %s < %du; %s++) {\n", e->row, e->row,
		           p->batch.rows, e->row);
		for (int k = i; k < end; k++)
			print_call(e, s, 2, p->steps.v[k], e->row);
		str_puts(s, "\t}\n");
	}
}

/* The step that run() calls as number i, or with `rows` what stands for it there. */
static const Step *
step_called(const Emit *e, int i, bool rows)
{
	const Program *p = e->program;

	return rows && p->batch.step_of[i] ? p->batch.step_of[i] : p->steps.v[i];
}

/* Whether a step takes the buffer itself. */
static bool
is_buffer_used(const Emit *e, const Buffer *b, bool rows)
{
	for (int i = 0; i < e->program->steps.n; i++) {
		const Step *step = step_called(e, i, rows);

		for (int j = 0; j < step->fn->bufs.n; j++)
			if (e->used[step->index][j] && step->arg[j].buffer == b)
				return true;
	}
	return false;
}

/* Variables that point into the arena; empty tensors may do so even when it has
 * no bytes. */
static void
print_pointers(const Emit *e, Str *s, bool rows)
{
	bool *known = ARENA_ARRAY(e->file.arena, bool, e->program->nregions);

	for (int i = 0; i < program_all_buffers(e->program); i++) {
		const Buffer *b = program_buffer(e->program, i);
		const RegionNames *r = &e->region[b->region];
		Str line;

		if (b->kind != BUFFER_ARENA || !e->name[i] || !is_buffer_used(e, b, rows))
			continue;
		if (!known[b->region])
			str_printf(s, "\tuint8_t *const %s = (uint8_t *)%s;\n", r->mem, r->arena);
		known[b->region] = true;
		str_init(&line, e->file.arena);
		str_printf(&line, "%s *const %s = (%s *)(void *)(%s + %zu);", c_type_of(b), e->name[i],
		           c_type_of(b), r->mem, program_in_region(e->program, b));
		line_print(s, 1, line.s, line.n);
	}
}

/* By buffer, whether a step takes it, or one within it. */
static bool *
find_used_bases(const Emit *e)
{
	bool *used = ARENA_ARRAY(e->file.arena, bool, e->program->buffers.n);

	for (int i = 0; i < e->program->steps.n; i++) {
		const Step *step = e->program->steps.v[i];

		for (int j = 0; j < step->fn->bufs.n; j++)
			if (e->used[i][j] && step->arg[j].buffer->base)
				used[step->arg[j].buffer->base->index] = true;
	}
	return used;
}

static void
print_unused(const Emit *e, Str *s)
{
	const Program *p = e->program;
	const bool *used = find_used_bases(e);

	for (int i = 0; i < p->graph->inputs.n && !emit_io_in_arena(e); i++)
		if (!used[p->input[i]->index])
			str_printf(s, "\t(void)%s;\n", e->name[p->input[i]->index]);
	for (int i = 0; i < p->graph->outputs.n && !emit_io_in_arena(e); i++)
		if (!used[p->output[i]->index])
			str_printf(s, "\t(void)%s;\n", e->name[p->output[i]->index]);
	for (int r = 0; r < p->nregions; r++)
		if (!p->region[r].size)
			str_printf(s, "\t(void)%s;\n", e->region[r].arena);
}

const char *
emit_state_member(const Emit *e, int i)
{
	const Program *p = e->program;

	return e->name[p->input[graph_plain_inputs(p->graph) + i]->index];
}

/* Variables that point to the states: as they are read and as they are written.  They
 * are written when nothing is read any more. */
static void
print_state_pointers(const Emit *e, Str *s)
{
	const Program *p = e->program;
	const Graph *g = p->graph;

	for (int i = 0; i < g->states.n && !emit_io_in_arena(e); i++) {
		const Buffer *next = p->output[graph_plain_outputs(g) + i];
		const char *type = c_type_of(next), *member = emit_state_member(e, i);

		str_printf(s, "\tconst %s *const %s = state->%s;\n", type, member, member);
		str_printf(s, "\t%s *const %s = state->%s;\n", type, e->name[next->index], member);
	}
}

/* Every element the same is a loop, else there is a table. */
static void
print_reset_of(Emit *e, Str *s, int i)
{
	const Value *c = e->program->graph->states.v[i];
	const char *member = emit_state_member(e, i);
	DType t = c->type.dtype;
	size_t n = (size_t)type_numel(&c->type);
	const char *data = c->data;
	bool same = value_is_repeated(c);
	int at = graph_plain_inputs(e->program->graph) + i;

	str_puts(s, "\t{\n");
	if (!same)
		str_printf(s, "\t\tstatic const %s initial[%zu] = {\n", dtype_info[t].c_type, n);
	if (!same) {
		data_print(&e->file, s, 3, t, data, n);
		str_puts(s, "\t\t};\n");
	}
	if (emit_io_in_arena(e))
		str_printf(s, "\t\t%s *const %s = (%s *)(void *)((uint8_t *)%s + %s);\n",
		           dtype_info[t].c_type, member, dtype_info[t].c_type,
		           e->region[e->program->input[at]->region].arena, e->offset_name[at]);
	str_printf(s, "\t\tsize_t i;\n\n\t\tfor (i = 0; i < %zuu; i++) {\n\t\t\t%s%s[i] = ", n,
	           emit_io_in_arena(e) ? "" : "state->", member);
	if (same && n)
		const_print(&e->file, s, t, data, 0);
	else
		str_puts(s, same ? "0" : "initial[i]");
	str_puts(s, ";\n\t\t}\n\t}\n");
}

void
emit_reset_head(const Emit *e, Str *s)
{
	if (emit_io_in_arena(e))
		str_printf(s, "void %s_reset(%s)", e->file.prefix, e->file.arena_params);
	else
		str_printf(s, "void %s_reset(%s_state *state)", e->file.prefix, e->file.prefix);
}

/* Regions without a state are of no use to reset(). */
static void
print_stateless_regions(const Emit *e, Str *s)
{
	const Program *p = e->program;
	bool *used = ARENA_ARRAY(e->file.arena, bool, p->nregions);

	for (int i = 0; i < p->graph->states.n; i++)
		used[p->input[graph_plain_inputs(p->graph) + i]->region] = true;
	for (int r = 0; r < p->nregions && emit_io_in_arena(e); r++)
		if (!used[r])
			str_printf(s, "\t(void)%s;\n", e->region[r].arena);
}

static void
print_reset(Emit *e, Str *s)
{
	if (!e->program->graph->states.n)
		return;
	str_putc(s, '\n');
	emit_reset_head(e, s);
	str_puts(s, "\n{\n");
	print_stateless_regions(e, s);
	for (int i = 0; i < e->program->graph->states.n; i++)
		print_reset_of(e, s, i);
	str_puts(s, "}\n");
}

static void
print_run(const Emit *e, Str *s)
{
	str_putc(s, '\n');
	emit_prototype(e, s, false);
	str_puts(s, "\n{\n");
	print_state_pointers(e, s);
	print_pointers(e, s, false);
	regions_print_checks(e, s);
	print_unused(e, s);
	print_calls(e, s);
	str_puts(s, "\treturn 0;\n}\n");
}

/* Inputs and outputs from call number `call` on, and the arenas. */
static void
put_arguments_of_call(const Emit *e, Str *line)
{
	const Program *p = e->program;
	const Graph *g = p->graph;

	for (int i = 0; i < g->inputs.n + g->outputs.n; i++) {
		const Buffer *b = i < g->inputs.n ? p->input[i] : p->output[i - g->inputs.n];

		str_printf(line, "%s + %s * %s, ", e->name[b->index], e->call, e->size_name[i]);
	}
	str_printf(line, "%s);", e->file.arena_args);
}

/* The function that does a block of rows, where there are such blocks. */
static void
print_rows(const Emit *e, Str *s)
{
	Str line;

	if (!e->program->batch.rows)
		return;
	str_printf(s, "\n/* %d calls of %s_run() at a time. */\n", e->program->batch.rows,
	           e->file.prefix);
	str_init(&line, e->file.arena);
	str_printf(&line, "static void %s(", e->rows);
	put_parameters(e, &line);
	line_print(s, 0, line.s, line.n);
	str_puts(s, "{\n");
	print_pointers(e, s, true);
	str_putc(s, '\n');
	print_unused(e, s);
	print_calls_of_rows(e, s);
	str_puts(s, "}\n");
}

static void
print_blocks_of_rows(const Emit *e, Str *s)
{
	const RegionNames *r = &e->region[0];
	int rows = e->program->batch.rows;
	Str line;

	if (!rows)
		return;
	str_printf(s, "\tif (%s == NULL || ((uintptr_t)%s & (%s - 1u)) != 0u) {\n"
	              "\t\treturn %s_ERROR_ARENA;\n\t}\n",
	           r->arena, r->arena, r->align, e->file.upper);
	str_printf(s, "\tfor (; %s - %s >= %du; %s += %du) {\n", e->count, e->call, rows, e->call,
	           rows);
	str_init(&line, e->file.arena);
	str_printf(&line, "%s(", e->rows);
	put_arguments_of_call(e, &line);
	line_print(s, 2, line.s, line.n);
	str_puts(s, "\t}\n");
}

static void
print_run_batch(const Emit *e, Str *s)
{
	Str line;

	if (!e->options->batch)
		return;
	print_rows(e, s);
	str_putc(s, '\n');
	emit_prototype(e, s, true);
	str_printf(s, "\n{\n\tsize_t %s = 0;\n\n", e->call);
	print_blocks_of_rows(e, s);
	str_printf(s, "\tfor (; %s < %s; %s++) {\n", e->call, e->count, e->call);
	str_init(&line, e->file.arena);
	str_printf(&line, "const int status = %s_run(", e->file.prefix);
	put_arguments_of_call(e, &line);
	line_print(s, 2, line.s, line.n);
	str_printf(s, "\n\t\tif (status != %s_OK) {\n\t\t\treturn status;\n\t\t}\n\t}\n"
	              "\treturn %s_OK;\n}\n", e->file.upper, e->file.upper);
}

/* ---- Source ---- */

static void
print_kernels(Emit *e, Str *s)
{
	for (int i = 0; i < e->kernels.n; i++) {
		const Kernel *k = e->kernels.v[i];
		Str head;

		str_puts(s, "\n/*\n");
		for (int j = 0; j < k->steps.n; j++)
			describe_step(e, s, k->steps.v[j]);
		str_puts(s, " */\n");
		str_init(&head, e->file.arena);
		str_printf(&head, "%s_LAYER %s%s", e->file.upper, k->name, k->params);
		line_print(s, 0, head.s, head.n);
		str_puts(s, k->body);
	}
}

static void
print_source(Emit *e, Str *s)
{
	Str constants, rest;

	str_init(&constants, e->file.arena);
	str_init(&rest, e->file.arena);
	print_constants(e, &constants);
	print_kernels(e, &rest);
	print_reset(e, &rest);
	print_run(e, &rest);
	print_run_batch(e, &rest);
	emit_banner(e, s, e->file.prefix);
	str_puts(s, " */\n");
	str_printf(s, "#include \"%s\"\n", e->options->header_name);
	if (e->file.uses.math)
		str_puts(s, "\n#include <math.h>\n");
	emit_checks(e, s);
	emit_special_values(e, s);
	helpers_print(s, &e->file);
	vectors_print(s, &e->file);
	for (int i = 0; i < e->file.scalars.n; i++) {
		str_putc(s, '\n');
		str_write(s, e->file.scalars.v[i]->text.s, e->file.scalars.v[i]->text.n);
	}
	str_write(s, constants.s, constants.n);
	str_write(s, rest.s, rest.n);
}

/* ---- Both ---- */

static void
start(Emit *e, const Program *p, const CEmitOptions *o, Arena *a)
{
	static const char *const taken[] = {
		"_run", "_run_batch", "_reset", "_state", "_H",
		"_OK", "_ERROR_ARENA", "_CONST", "_RESTRICT", "_LAYER", "_INFINITY", "_NAN",
		"_needs_64_bit_double"};

	e->program = p;
	e->options = o;
	e->file = (CFile){.arena = a, .prefix = o->prefix, .upper = name_upper(a, o->prefix),
	                  .isa = o->isa};
	e->file.hosted = o->hosted;
	names_init(&e->file.names, a);
	for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
		const char *name = arena_printf(a, "%s%s", o->prefix, taken[i]);
		const char *upper = arena_printf(a, "%s%s", e->file.upper, taken[i]);

		names_add(&e->file.names, name);
		if (strcmp(name, upper) != 0)
			names_add(&e->file.names, upper);
	}
	names_init(&e->run_names, a);
	regions_name(e);
	e->interface = interface_new(&e->file, p->graph);
	e->name = ARENA_ARRAY(a, const char *, program_all_buffers(p));
	e->kernel_of = ARENA_ARRAY(a, int, program_all_steps(p));
	e->used = ARENA_ARRAY(a, bool *, program_all_steps(p));
	e->shared = ARENA_ARRAY(a, bool *, program_all_steps(p));
}

/* Prints the kernels, which names all parts of the code. */
static void
prepare(Emit *e, const Program *p, const CEmitOptions *options, Arena *a)
{
	start(e, p, options, a);
	helpers_reserve(&e->file);
	vectors_reserve(&e->file);
	name_parameters(e);
	find_all_overlaps(e);
	for (int i = 0; i < program_all_steps(p); i++)
		print_kernel(e, i);
	name_buffers(e);
}

bool
c_emit(const Program *p, const CEmitOptions *options, Str *source, Str *header, Diag *d)
{
	Emit e = {0};

	if (!c_prefix_is_valid(options->prefix))
		return diag_report(d, &(Loc){0}, E_NAME,
		                   "'%s' cannot be a prefix of C names: it must be letters, digits "
		                   "and single underscores between them",
		                   options->prefix);
	prepare(&e, p, options, source ? source->arena : header->arena);
	if (source)
		print_source(&e, source);
	if (header)
		emit_header(&e, header);
	return true;
}

void
c_symbols(Arena *a, const Program *p, const char *prefix, CSymbols *out)
{
	CEmitOptions options = {.prefix = prefix};
	const char **constant = ARENA_ARRAY(a, const char *, p->buffers.n);
	Emit e = {0};

	prepare(&e, p, &options, a);
	*out = (CSymbols){.nkernels = e.kernels.n, .kernel_of = e.kernel_of, .used = e.used,
	                  .shared = e.shared, .constant = constant};
	out->kernel = ARENA_ARRAY(a, CKernel, e.kernels.n);
	for (int i = 0; i < e.kernels.n; i++) {
		const Kernel *k = e.kernels.v[i];

		out->kernel[i] = (CKernel){k->name, k->first};
	}
	for (int i = 0; i < p->buffers.n; i++)
		if (p->buffers.v[i]->kind == BUFFER_CONST)
			constant[i] = e.name[i];
}
