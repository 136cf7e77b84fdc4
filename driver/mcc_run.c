/*
 * mcc-run: runs a model on this machine.
 */
#include "codegen/program/program.h"
#include "driver/arrays.h"
#include "driver/compare.h"
#include "driver/engine.h"
#include "driver/guard.h"
#include "driver/job.h"
#include "driver/main.h"
#include "driver/pipeline.h"
#include "driver/tensor.h"

#define USAGE(o, ...) diag_report((o)->diag, NULL, E_USAGE, __VA_ARGS__)

static void
check_options(const Options *o)
{
	if (o->inputs.n == 0)
		USAGE(o, "no model is given");
	if (o->inputs.n > 1)
		USAGE(o, "only one model can be run; inputs are given with '-i FILE'");
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

	str_printf(s, "%s: largest difference %.3g, relative %.3g\n", output->name, d.largest,
	           d.largest_relative);
	if (d.wrong)
		diag_report(&j->diag, &loc, E_VALUE,
		            "'%s' differs in %zu of %zu elements, first at %s", output->name, d.wrong,
		            output->npy.count, index_text(s->arena, &output->npy, d.first_wrong));
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
	ProgramOptions plan = {0};
	Program *p;
	Arrays x;
	Str s;

	if (!job_read(j) || !arrays_prepare(&x, j) || !job_optimise(j))
		return;
	guard_set_activity("planning", j->input->path);
	timing_begin(&j->timing, "plan");
	p = program_build(j->arena, j->graph, &plan, &j->diag);
	if (!p || !run_program(p, &x, j))
		return;
	str_init(&s, j->arena);
	for (int i = 0; i < x.noutputs; i++)
		if (x.reference[i].file)
			compare_array(&s, j, &x.output[i], &x.reference[i]);
	if (!o->run_outputs.n && !o->run_references.n)
		print_arrays(&s, &x);
	timing_begin(&j->timing, "write");
	arrays_write(&x, j, &s);
}

int
main(int argc, char **argv)
{
	return program_main(TOOL_RUN, argc, argv, check_options, run_model);
}
