#include "driver/verify.h"

#include <math.h>
#include <string.h>

#include "driver/engine.h"
#include "ir/num.h"

typedef enum { WAY_C, WAY_OBJECT, WAY_COUNT } Way;

static const char *const way_name[] = {"the generated C", "the object file"};

typedef struct {
	Job *job;
	const LlvmOptions *options; /* of the object file; NULL: none */
	Options run_options;
	Arrays data;
} Verify;

/* ---- Data ---- */

/* Small numbers: floats in [-1, 1), integers that are good as indices. */
static void
make_up(Type *t, void *data, uint32_t seed)
{
	for (int32_t i = 0; i < type_numel(t); i++) {
		double unit;

		seed = seed * 1664525u + 1013904223u;
		unit = (double)(seed >> 8) / 0x1p24;
		if (dtype_is_float(t->dtype))
			num_store(t->dtype, data, (size_t)i, 2 * unit - 1);
		else if (t->dtype == DT_I8 || t->dtype == DT_U8)
			num_store_int(t->dtype, data, (size_t)i,
			              (int64_t)(256 * unit) - (t->dtype == DT_I8 ? 128 : 0));
		else
			num_store_int(t->dtype, data, (size_t)i,
			              (int64_t)((t->dtype == DT_BOOL ? 2 : 8) * unit));
	}
}

/* Calls of which each goes on from the state that the one before left. */
enum { STATE_CALLS = 3 };

static void
make_inputs(Verify *v, const Graph *g)
{
	Arena *a = v->job->arena;
	size_t calls = g->states.n ? STATE_CALLS : 1;

	v->data = (Arrays){.ninputs = g->inputs.n, .nstates = g->states.n, .calls = calls};
	v->data.input = ARENA_ARRAY(a, Array, g->inputs.n);
	for (int i = 0; i < g->inputs.n; i++) {
		Array *x = &v->data.input[i];
		Type t = g->inputs.v[i]->type;
		char *data = arena_calloc(a, calls, type_bytes(&t));

		*x = (Array){.name = g->inputs.v[i]->name, .type = t, .npy.data = data};
		if (i >= graph_plain_inputs(g)) {
			x->npy.data = g->states.v[i - graph_plain_inputs(g)]->data;
			continue;
		}
		x->stride = type_bytes(&t);
		for (size_t call = 0; call < calls; call++)
			make_up(&t, data + call * x->stride,
			        (uint32_t)i + 1 + 1000 * (uint32_t)call);
	}
}

/* The rows that the model comes with. */
static void
take_records(Verify *v, const Graph *g)
{
	Arena *a = v->job->arena;

	v->data = (Arrays){.ninputs = g->inputs.n, .calls = (size_t)g->records.n,
	                   .is_batched = true};
	v->data.input = ARENA_ARRAY(a, Array, g->inputs.n);
	for (int i = 0; i < g->inputs.n; i++) {
		Array *x = &v->data.input[i];

		*x = (Array){.name = g->inputs.v[i]->name, .type = g->inputs.v[i]->type};
		x->stride = type_bytes(&x->type);
		x->memory = arena_calloc(a, v->data.calls, x->stride);
		x->npy.data = x->memory;
	}
	for (int k = 0; k < g->input_fields.n; k++) {
		const Field *f = &g->input_fields.v[k];
		const Array *x = &v->data.input[f->index];
		size_t n = (size_t)type_numel(&x->type);

		for (size_t row = 0; row < v->data.calls; row++) {
			double value = g->records.v[row].in[k];
			size_t at = row * n + (size_t)f->element;

			if (dtype_is_float(x->type.dtype))
				num_store(x->type.dtype, x->memory, at, value);
			else
				num_store_int(x->type.dtype, x->memory, at, (int64_t)value);
		}
	}
}

static bool
agrees(const Graph *g, int field, double value, double recorded)
{
	if (isnan(recorded))
		return true;
	if (g->output_fields.v[field].kind == FIELD_category)
		return value == recorded;
	return fabs(value - recorded) <= g->zero[field] ||
	       fabs(value - recorded) <= g->precision[field] * fabs(recorded);
}

/* Whether the results are those that the model comes with. */
static bool
check_records(Verify *v, const Arrays *results)
{
	const Graph *g = v->job->graph;
	Loc loc = {.file = v->job->input->path};
	size_t wrong = 0, row_of = 0;
	int field_of = 0;

	for (size_t row = 0; row < (size_t)g->records.n; row++)
		for (int k = 0; k < g->output_fields.n; k++) {
			const Field *f = &g->output_fields.v[k];
			const Array *y = &results->output[f->index];
			size_t at = row * (size_t)type_numel(&y->type) + (size_t)f->element;

			if (agrees(g, k, num_load(y->type.dtype, y->memory, at),
			           g->records.v[row].out[k]))
				continue;
			if (wrong++ == 0) {
				row_of = row;
				field_of = k;
			}
		}
	return !wrong || diag_report(&v->job->diag, &loc, E_VERIFY_OUTPUT,
	                             "%zu results are not those that the model comes with, the "
	                             "first is '%s' of row %zu", wrong,
	                             g->output_fields.v[field_of].name, row_of + 1);
}

/* The inputs: from the file that is given, those of the model, or made up. */
static bool
prepare(Verify *v)
{
	Job *j = v->job;
	const char *file = j->options->verify_data;

	v->run_options = *j->options;
	v->run_options.run_inputs = v->run_options.run_outputs = (Names){0};
	v->run_options.run_references = (Names){0};
	if (!file && j->graph->records.n)
		take_records(v, j->graph);
	else if (!file)
		make_inputs(v, j->graph);
	if (!file)
		return true;
	VEC_PUSH(j->arena, &v->run_options.run_inputs, file);
	return arrays_prepare(&v->data, j);
}

/* The same inputs with fresh memory for the outputs of a program. */
static Arrays
with_outputs(const Verify *v, const Program *p)
{
	const Graph *g = p->graph;
	Arrays x = v->data;

	x.noutputs = g->outputs.n;
	x.output = ARENA_ARRAY(v->job->arena, Array, g->outputs.n);
	for (int i = 0; i < g->outputs.n; i++) {
		Type t = g->outputs.v[i]->type;

		x.output[i] = (Array){.name = g->output_names.v[i], .type = t};
		x.output[i].stride = type_bytes(&t);
		x.output[i].memory = arena_calloc(v->job->arena, x.calls, type_bytes(&t));
	}
	return x;
}

/* ---- Running ---- */

static bool
run(Verify *v, Way way, const Program *p, const Arrays *x)
{
	Job *j = v->job;
	Str object;

	if (way == WAY_C)
		return engine_compile(p, x, j);
	str_init(&object, j->arena);
	return llvm_emit(p, v->options, LLVM_OBJECT, &object, &j->diag) &&
	       engine_object(p, &object, x, j);
}

/* NaN is NaN, whatever its bits. */
static bool
same_element(DType t, const void *x, const void *y, size_t i)
{
	size_t size = (size_t)dtype_info[t].bytes;

	return memcmp((const char *)x + i * size, (const char *)y + i * size, size) == 0 ||
	       (dtype_is_float(t) && isnan(num_load(t, x, i)) && isnan(num_load(t, y, i)));
}

static size_t
count_differences(const Array *x, const Array *y, size_t calls)
{
	size_t n = 0;

	for (size_t i = 0; i < calls * (size_t)type_numel(&x->type); i++)
		n += !same_element(x->type.dtype, x->memory, y->memory, i);
	return n;
}

/* The first output that differs; -1: none. */
static int
first_difference(const Arrays *x, const Arrays *y)
{
	for (int i = 0; i < x->noutputs; i++)
		if (count_differences(&x->output[i], &y->output[i], x->calls))
			return i;
	return -1;
}

/* ---- Which layer ---- */

static const char *
layer_of(const Value *value)
{
	return value->def && value->def->name ? value->def->name : value->name;
}

/* Makes every value an output and runs again: the first that differs, in the order of
 * execution, or NULL when all agree. */
static const char *
find_layer(Verify *v, Way way)
{
	Job *j = v->job;
	Graph *g = j->graph;
	int first = graph_plain_outputs(g), at;
	Arrays x, y;
	Program *p;

	for (const Node *n = g->first; n; n = n->next)
		for (int i = 0; i < n->nouts; i++)
			if (n->out[i])
				graph_further_output(g, n->out[i]->name, n->out[i]);
	p = program_build(j->arena, g, &(ProgramOptions){0}, &j->diag);
	if (!p)
		return NULL;
	x = with_outputs(v, p);
	y = with_outputs(v, p);
	if (!engine_interpret(p, &x, j) || !run(v, way, p, &y))
		return NULL;
	for (at = first; at < graph_plain_outputs(g); at++)
		if (count_differences(&x.output[at], &y.output[at], x.calls))
			return layer_of(g->outputs.v[at]);
	return NULL;
}

static bool
check(Verify *v, Way way, const Program *p, const Arrays *expected)
{
	Arrays x = with_outputs(v, p);
	Job *j = v->job;
	Loc loc = {.file = j->input->path};
	const char *layer, *name;
	size_t n;
	int i;

	if (!run(v, way, p, &x))
		return false;
	i = first_difference(expected, &x);
	if (i < 0)
		return true;
	n = count_differences(&expected->output[i], &x.output[i], x.calls);
	name = x.output[i].name;
	layer = find_layer(v, way);
	diag_report(&j->diag, &loc, E_VERIFY_OUTPUT,
	            "%s computes something else than the interpreter: %zu of %zu elements of '%s'",
	            way_name[way], n, x.calls * (size_t)type_numel(&x.output[i].type), name);
	diag_note(&j->diag, &loc, layer ? "the first layer that differs is '%s'"
	                                : "no layer differs when all of them are outputs%s",
	          layer ? layer : "");
	return false;
}

bool
verify_program(Job *j, const Program *p, const LlvmOptions *options)
{
	Verify v = {.job = j, .options = options};
	const Options *own = j->options;
	const char *target = own->machine.facts.name;
	const char *request = own->request.target;
	bool is_host =
		strcmp(target, "generic") == 0 || (request && strcmp(request, "native") == 0);
	Arrays expected;
	bool ok;

	/* The engines look at the job's options. */
	j->options = &v.run_options;
	v.run_options = *own;
	ok = prepare(&v);
	if (ok) {
		expected = with_outputs(&v, p);
		ok = engine_interpret(p, &expected, j) &&
		     (own->verify_data || check_records(&v, &expected)) &&
		     check(&v, WAY_C, p, &expected) &&
		     (!options || !is_host || check(&v, WAY_OBJECT, p, &expected));
	}
	j->options = own;
	return ok;
}
