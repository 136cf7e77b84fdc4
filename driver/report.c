#include "driver/report.h"

#include <string.h>

#include "passes/compression/compress.h"

static ProgramSize
size_of(const Program *p)
{
	ProgramCost cost = program_cost(p);

	return (ProgramSize){
		.constants = cost.constants,
		.code = cost.code,
		.ram = cost.ram,
		.macs = program_macs(p),
		.cycles = cost.cycles,
	};
}

/* The steps of a layer have its name; one that was merged into another has none. */
static void
add_step(CompressReport *r, bool *taken, const Program *p, const Step *step)
{
	ProgramCost cost = program_step_cost(p, step);

	for (int i = 0; i < r->layers.n; i++) {
		LayerReport *l = &r->layers.v[i];

		if (taken[i] || strcmp(l->name, step->name) != 0)
			continue;
		taken[i] = true;
		l->form = step->kernel ? step->kernel->name : "copy";
		l->flash = cost.constants;
		l->cycles = cost.cycles;
		l->macs = step->macs;
		return;
	}
}

bool
report_add_program(Job *j, const Program *p, const ProgramOptions *plan)
{
	CompressReport *r = j->compression;
	ProgramOptions quiet = *plan;
	KernelOptions kernels;
	const Program *before;
	bool *taken;

	if (!r)
		return true;
	quiet.budget = (ProgramBudget){0};
	if (plan->kernels) {
		kernels = *plan->kernels;
		kernels.remarks = false;
		quiet.kernels = &kernels;
	}
	before = program_build(j->arena, j->float_graph, &quiet, &j->diag);
	if (!before)
		return false;
	taken = ARENA_ARRAY(j->arena, bool, r->layers.n + 1);
	for (int i = 0; i < p->steps.n; i++)
		add_step(r, taken, p, p->steps.v[i]);
	r->before = size_of(before);
	r->after = size_of(p);
	r->has_program = true;
	return true;
}
