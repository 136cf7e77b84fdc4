/*
 * mcc-run: runs a model on this machine.
 */
#include <string.h>

#include "codegen/program/program.h"
#include "driver/arrays.h"
#include "driver/compare.h"
#include "driver/compression.h"
#include "driver/engine.h"
#include "driver/guard.h"
#include "driver/job.h"
#include "driver/main.h"
#include "driver/pipeline.h"
#include "driver/score.h"
#include "driver/table.h"
#include "driver/tensor.h"

#define USAGE(o, ...) diag_report((o)->diag, NULL, E_USAGE, __VA_ARGS__)

static void
check_options(const Options *o)
{
	if (o->inputs.n == 0)
		USAGE(o, "no model is given");
	if (o->inputs.n > 1)
		USAGE(o, "only one model can be run; inputs are given with '-i FILE'");
	if (o->profile && o->engine != ENGINE_JIT)
		USAGE(o, "'--profile' needs '--engine=jit'");
	compression_check(o);
	pipeline_check(o, o->diag);
}

static void
print_arrays(Str *s, const Arrays *x)
{
	for (int i = 0; i < x->noutputs; i++) {
		const Array *a = &x->output[i];

		str_printf(s, "%s: %s\n", a->name, tensor_text(s->arena, &a->npy));
		tensor_print(s, &a->npy, a->type.dtype);
	}
}

/* Fields as a table, where the model names them. */
static void
print_results(Str *s, const Arrays *x, const Graph *g)
{
	if (graph_has_output_fields(g) && !g->states.n)
		table_print(s, x, g);
	else
		print_arrays(s, x);
}

/* The place of a flat index, as in [3,0,7]. */
static const char *
index_text(Arena *a, const Npy *n, size_t index)
{
	size_t at[NPY_MAX_RANK];
	Str s;

	for (int i = n->rank - 1; i >= 0; i--) {
		at[i] = index % n->dim[i];
		index /= n->dim[i];
	}
	str_init(&s, a);
	str_putc(&s, '[');
	for (int i = 0; i < n->rank; i++)
		str_printf(&s, i ? ",%zu" : "%zu", at[i]);
	str_putc(&s, ']');
	return s.s;
}

static void
compare_array(Str *s, Job *j, const Array *output, const Array *reference)
{
	const Options *o = j->options;
	Difference d = compare_arrays(output->type.dtype, &output->npy, &reference->npy, o->rtol,
	                              o->atol);
	Loc loc = {.file = reference->file};

	str_printf(s, "%s: largest difference %.3g, relative %.3g; RMSE %.3g, cosine %.9g, "
	              "%zu of %zu elements differ\n",
	           output->name, d.largest, d.largest_relative, d.rmse, d.cosine, d.different,
	           output->npy.count);
	if (d.wrong)
		diag_report(&j->diag, &loc, E_VALUE,
		            "'%s' differs in %zu of %zu elements, first at %s", output->name, d.wrong,
		            output->npy.count, index_text(s->arena, &output->npy, d.first_wrong));
}

/* ---- --dump-layer ---- */

static const Node *
find_layer(const Graph *g, const char *name)
{
	for (const Node *n = g->first; n; n = n->next)
		if (n->name && strcmp(n->name, name) == 0)
			return n;
	return NULL;
}

/* The value that a layer of this name makes, or that has the name itself. */
static Value *
find_layer_value(const Graph *g, const char *name)
{
	const Node *n = find_layer(g, name);

	for (int i = 0; n && i < n->nouts; i++)
		if (n->out[i])
			return n->out[i];
	return graph_find(g, name);
}

enum { LISTED_LAYERS = 20 };

static bool
report_no_layer(Job *j, const char *name)
{
	Loc loc = {.file = j->input->path};
	Str list;
	int n = 0;

	str_init(&list, j->arena);
	for (const Node *node = j->graph->first; node; node = node->next)
		if (node->name && n++ < LISTED_LAYERS)
			str_printf(&list, "%s'%s'", list.n ? ", " : "", node->name);
	return diag_report(&j->diag, &loc, E_NAME, "there is no layer or value '%s'%s%s%s", name,
	                   n ? "; layers are " : "", n ? list.s : "",
	                   n > LISTED_LAYERS ? ", ..." : "");
}

/* Layers that are asked for become outputs, so every engine computes them. */
static bool
add_layers(Job *j)
{
	const Names *names = &j->options->dump_layers;

	for (int i = 0; i < names->n; i++) {
		Value *v = find_layer_value(j->graph, names->v[i]);

		if (!v)
			return report_no_layer(j, names->v[i]);
		graph_further_output(j->graph, names->v[i], v);
	}
	return true;
}

static bool
run_program(const Program *p, const Arrays *x, Job *j)
{
	switch (j->options->engine) {
	case ENGINE_JIT:
		return engine_jit(p, x, j);
	case ENGINE_INTERP:
		return engine_interpret(p, x, j);
	case ENGINE_C:
		return engine_compile(p, x, j);
	}
	return false;
}

static void
run_model(Job *j)
{
	const Options *o = j->options;
	/* In memory speed counts: what lies over an input binds the order of its loops. */
	ProgramOptions plan = {.no_overlap = o->engine == ENGINE_JIT};
	Program *p;
	Arrays x;
	Str s;

	if (!job_read(j) || !add_layers(j) || !arrays_prepare(&x, j) || !job_optimise(j))
		return;
	guard_set_activity("planning", j->input->path);
	timing_begin(&j->timing, "plan");
	p = program_build(j->arena, j->graph, &plan, &j->diag);
	str_init(&s, j->arena);
	if (!p || !(o->profile ? engine_profile(p, &x, j, &s) : run_program(p, &x, j)))
		return;
	for (int i = 0; i < x.noutputs; i++)
		if (x.reference[i].file)
			compare_array(&s, j, &x.output[i], &x.reference[i]);
	if (o->labels_file && !score_outputs(&s, &x, j))
		return;
	if (!o->run_outputs.n && !o->run_references.n && !o->labels_file && !o->profile)
		print_results(&s, &x, j->graph);
	timing_begin(&j->timing, "write");
	arrays_write(&x, j, &s);
}

int
main(int argc, char **argv)
{
	return program_main(TOOL_RUN, argc, argv, check_options, run_model);
}
