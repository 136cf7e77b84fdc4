#include "driver/shrink.h"

#include "driver/calibrate.h"
#include "driver/guard.h"
#include "driver/shrink_search.h"
#include "ir/num.h"
#include "ir/trees.h"

static bool
needs_samples(const Options *o)
{
	return o->shrink.leaves < 1 || o->shrink.trees < 1 || o->shrink_auto;
}

bool
shrink_is_wanted(const Options *o)
{
	return needs_samples(o) || o->shrink.value_bits || o->shrink.threshold_bits;
}

void
shrink_check(const Options *o)
{
	if (needs_samples(o) && !o->calib)
		diag_report(o->diag, NULL, E_USAGE,
		            "'-fprune-trees=' and '-fselect-trees=' need samples: add '-fcalib='");
	if (o->shrink_auto && !o->budget.ram && !o->budget.flash && !o->budget.cycles)
		diag_report(o->diag, NULL, E_USAGE,
		            "'-fprune-trees=auto' needs to know how far: add '--max-flash=', "
		            "'--max-ram=' or '--max-cycles='");
	if (o->shrink_auto && (o->shrink.leaves < 1 || o->shrink.trees < 1 || o->shrink.value_bits))
		diag_report(o->diag, NULL, E_USAGE,
		            "'-fprune-trees=auto' finds itself what '-fselect-trees=' and "
		            "'-fquantize-trees=' say");
}

/* ---- Samples ---- */

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

/* The samples as rows of numbers; all calls together have them one behind the other. */
static bool
get_samples(Job *j, const Node *n, TreeSamples *s)
{
	int32_t features = trees_of(n).features;
	const Type *type = &j->graph->inputs.v[0]->type;
	size_t each = (size_t)type_numel(type);
	Samples in;
	double *x;

	*s = (TreeSamples){0};
	if (!j->options->calib)
		return true;
	if (!sees_input(j, n->in[TREES_X]))
		return diag_report(&j->diag, &n->loc, E_UNSUPPORTED,
		                   "samples of the model's input are not what these trees see: there "
		                   "are other layers in between, or there are several inputs");
	if (!calibrate_read(&in, j))
		return false;
	if (each != (size_t)features || in.n > (size_t)INT32_MAX / each)
		return diag_report(&j->diag, &n->loc, E_UNSUPPORTED,
		                   "samples must be of one row of %d features", features);
	x = ARENA_ARRAY(j->arena, double, in.n * each);
	for (size_t i = 0; i < in.n * each; i++)
		x[i] = num_load(type->dtype,
		                (const char *)in.in[0].data + i / each * in.in[0].stride, i % each);
	*s = (TreeSamples){.n = (int32_t)in.n, .x = x, .labels = in.labels};
	return true;
}

/* ---- All ensembles ---- */

bool
shrink_graph(Job *j, const TreeShrink *how)
{
	bool any = false;

	for (Node *n = j->graph->first, *next; n; n = next) {
		TreeShrinkReport report;
		TreeSamples samples;

		next = n->next;
		if (n->op != OP_TREES)
			continue;
		any = true;
		if (!get_samples(j, n, &samples) ||
		    !trees_shrink(j->graph, n, how, &samples, &report, &j->diag))
			return false;
		VEC_PUSH(j->arena, &j->shrunk, report);
	}
	if (!any)
		return diag_report(&j->diag, &(Loc){.file = j->input->path}, E_UNSUPPORTED,
		                   "the model has no decision trees that could be compressed");
	return graph_verify(j->graph, &j->diag);
}

bool
shrink_is_nothing(const TreeShrink *how)
{
	return how->trees >= 1 && how->leaves >= 1 && !how->value_bits && !how->threshold_bits;
}

bool
shrink_run(Job *j)
{
	TreeShrink how = j->options->shrink;

	guard_set_activity("compression", j->input->path);
	timing_begin(&j->timing, "compress");
	if (j->options->shrink_auto && !shrink_search(j, &how))
		return false;
	if (!shrink_is_nothing(&how) && !shrink_graph(j, &how))
		return false;
	timing_begin(&j->timing, "passes");
	return true;
}

void
shrink_report(Str *s, const Job *j)
{
	for (int i = 0; i < j->shrunk.n; i++)
		trees_shrink_report(s, &j->shrunk.v[i]);
	if (j->shrunk.n)
		str_putc(s, '\n');
}

void
shrink_report_json(Str *s, const Job *j)
{
	for (int i = 0; i < j->shrunk.n; i++) {
		str_puts(s, i ? ", " : "");
		trees_shrink_report_json(s, &j->shrunk.v[i]);
	}
}
