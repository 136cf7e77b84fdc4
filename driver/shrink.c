#include "driver/shrink.h"

#include <math.h>

#include "base/npy.h"
#include "driver/guard.h"
#include "driver/tensor.h"
#include "ir/num.h"
#include "ir/trees.h"

static bool
needs_samples(const Options *o)
{
	return o->shrink.leaves < 1 || o->shrink.trees < 1;
}

bool
shrink_is_wanted(const Options *o)
{
	return needs_samples(o) || o->shrink.value_bits || o->shrink.threshold_bits;
}

void
shrink_check(const Options *o)
{
	const char *labels = o->tool == TOOL_MCC ? o->labels_file : NULL;

	if (needs_samples(o) && !o->calib)
		diag_report(o->diag, NULL, E_USAGE,
		            "'-fprune-trees=' and '-fselect-trees=' need samples: add '-fcalib='");
	else if (labels && !o->calib)
		diag_report(o->diag, NULL, E_USAGE, "'--labels' needs '-fcalib='");
	else if (o->calib && !shrink_is_wanted(o))
		diag_report(o->diag, NULL, W_UNUSED,
		            "'-fcalib=' has no effect without an option that compresses");
}

/* ---- Samples ---- */

static bool
find_type(const Npy *n, DType *out)
{
	for (int i = 0; i < DT_COUNT; i++) {
		*out = (DType)i;
		if (tensor_elements_fit(n, *out))
			return true;
	}
	return false;
}

static bool
read_numbers(Job *j, const char *path, Npy *out, DType *type)
{
	FileBytes bytes;
	Loc loc = {.file = path};

	if (!file_read(j->arena, path, &bytes, &j->diag) ||
	    !npy_read(j->arena, path, bytes.data, bytes.size, out, &j->diag))
		return false;
	VEC_PUSH(j->arena, &j->files, path);
	return find_type(out, type) || diag_report(&j->diag, &loc, E_TYPE,
	                                           "this is %s; numbers are needed",
	                                           tensor_text(j->arena, out));
}

/* Rows of as many numbers as the trees have features. */
static bool
read_samples(Job *j, int32_t features, TreeSamples *s)
{
	const char *path = j->options->calib;
	Loc loc = {.file = path};
	double *x;
	DType type;
	Npy n;

	if (!read_numbers(j, path, &n, &type))
		return false;
	if (n.rank < 1 || n.count == 0 || n.count % (size_t)features != 0 ||
	    n.count / (size_t)features != n.dim[0] || n.dim[0] > (size_t)INT32_MAX / 64)
		return diag_report(&j->diag, &loc, E_SHAPE,
		                   "this is %s; rows of %d features are needed",
		                   tensor_text(j->arena, &n), features);
	x = ARENA_ARRAY(j->arena, double, n.count);
	for (size_t i = 0; i < n.count; i++)
		x[i] = dtype_is_float(type) ? num_load(type, n.data, i)
		                            : (double)num_load_int(type, n.data, i);
	s->n = (int32_t)n.dim[0];
	s->x = x;
	return true;
}

static bool
read_labels(Job *j, TreeSamples *s)
{
	const char *path = j->options->labels_file;
	Loc loc = {.file = path};
	int64_t *label;
	DType type;
	Npy n;

	if (!path || j->options->tool != TOOL_MCC)
		return true;
	if (!read_numbers(j, path, &n, &type))
		return false;
	if (dtype_is_float(type) || n.count != (size_t)s->n)
		return diag_report(&j->diag, &loc, E_SHAPE,
		                   "this is %s; %d integers are needed, one for each sample",
		                   tensor_text(j->arena, &n), (int)s->n);
	label = ARENA_ARRAY(j->arena, int64_t, n.count);
	for (size_t i = 0; i < n.count; i++)
		label[i] = num_load_int(type, n.data, i);
	s->labels = label;
	return true;
}

/* Samples are what the trees see when nothing but a cast or a reshape is in between. */
static bool
sees_input(const Job *j, const Value *x)
{
	while (x->def && (x->def->op == OP_CAST || x->def->op == OP_RESHAPE))
		x = x->def->in[0];
	for (int i = 0; i < j->graph->inputs.n; i++)
		if (j->graph->inputs.v[i] == x)
			return j->graph->inputs.n == 1;
	return false;
}

static bool
get_samples(Job *j, const Node *n, TreeSamples *s)
{
	*s = (TreeSamples){0};
	if (!j->options->calib)
		return true;
	if (!sees_input(j, n->in[TREES_X]))
		return diag_report(&j->diag, &n->loc, E_UNSUPPORTED,
		                   "samples of the model's input are not what these trees see: there "
		                   "are other layers in between, or there are several inputs");
	return read_samples(j, trees_of(n).features, s) && read_labels(j, s);
}

/* ---- All ensembles ---- */

bool
shrink_run(Job *j)
{
	bool any = false;

	guard_set_activity("compression", j->input->path);
	timing_begin(&j->timing, "compress");
	for (Node *n = j->graph->first, *next; n; n = next) {
		TreeShrinkReport report;
		TreeSamples samples;

		next = n->next;
		if (n->op != OP_TREES)
			continue;
		any = true;
		if (!get_samples(j, n, &samples) ||
		    !trees_shrink(j->graph, n, &j->options->shrink, &samples, &report, &j->diag))
			return false;
		VEC_PUSH(j->arena, &j->shrunk, report);
	}
	if (!any)
		return diag_report(&j->diag, &(Loc){.file = j->input->path}, E_UNSUPPORTED,
		                   "the model has no decision trees that could be compressed");
	timing_begin(&j->timing, "passes");
	return graph_verify(j->graph, &j->diag);
}

void
shrink_report(Str *s, const Job *j)
{
	for (int i = 0; i < j->shrunk.n; i++)
		trees_shrink_report(s, &j->shrunk.v[i]);
	if (j->shrunk.n)
		str_putc(s, '\n');
}
