#include "driver/report.h"

#include <string.h>

#include "passes/compression/compress.h"

static ProgramSize
size_of(const Program *p)
{
	return (ProgramSize){
		.constants = program_const_bytes(p),
		.code = program_code_bytes(p),
		.ram = p->arena_size,
		.macs = program_macs(p),
		.cycles = program_cycles(p),
	};
}

/* The steps of a layer have its name; one that was merged into another has none. */
static void
add_step(CompressReport *r, bool *taken, const Step *step)
{
	for (int i = 0; i < r->layers.n; i++) {
		LayerReport *l = &r->layers.v[i];

		if (taken[i] || strcmp(l->name, step->name) != 0)
			continue;
		taken[i] = true;
		l->form = step->kernel;
		l->flash = step_const_bytes(step);
		l->cycles = step->cycles;
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
		add_step(r, taken, p->steps.v[i]);
	r->before = size_of(before);
	r->after = size_of(p);
	r->has_program = true;
	return true;
}
