#include "driver/score.h"

#include <math.h>

#include "driver/tensor.h"
#include "ir/num.h"

/* Element i of an array that a file brought, of any number type. */
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

/* ---- Classes ---- */

enum { TOP = 5, MOST_CONFUSED = 32 };

/* How many elements have more weight than the label's; equal ones before it too, as
 * argmax takes the first. */
static size_t
rank_of(DType t, const void *data, size_t first, size_t n, size_t label)
{
	double wanted = num_load(t, data, first + label);
	size_t before = 0;

	for (size_t i = 0; i < n; i++) {
		double x = num_load(t, data, first + i);

		before += x > wanted || (x == wanted && i < label);
	}
	/* A weight that is no number is never right. */
	return isnan(wanted) ? n : before;
}

static size_t
largest(DType t, const void *data, size_t first, size_t n)
{
	size_t best = 0;

	for (size_t i = 1; i < n; i++)
		if (num_load(t, data, first + i) > num_load(t, data, first + best))
			best = i;
	return best;
}

static void
print_confusion(Str *s, const size_t *count, size_t n)
{
	str_puts(s, "confusion matrix, a row for each label, a column for each answer:\n");
	for (size_t i = 0; i < n; i++) {
		str_printf(s, "%4zu:", i);
		for (size_t k = 0; k < n; k++)
			str_printf(s, " %6zu", count[i * n + k]);
		str_putc(s, '\n');
	}
}

static bool
score_classes(Str *s, const Arrays *x, Job *j, const Npy *labels, DType t)
{
	const Array *a = &x->output[0];
	size_t n = (size_t)type_numel(&a->type), first = 0, five = 0;
	size_t *confused = n <= MOST_CONFUSED ? ARENA_ARRAY(j->arena, size_t, n * n) : NULL;
	Loc loc = {.file = j->options->labels_file};

	for (size_t call = 0; call < x->calls; call++) {
		int64_t label = num_load_int(t, labels->data, call);
		size_t rank;

		if (label < 0 || (uint64_t)label >= n)
			return diag_report(&j->diag, &loc, E_VALUE,
			                   "label %zu is %lld, but '%s' has %zu classes", call,
			                   (long long)label, a->name, n);
		rank = rank_of(a->type.dtype, a->memory, call * n, n, (size_t)label);
		first += rank == 0;
		five += rank < TOP;
		if (confused)
			confused[(size_t)label * n +
			         largest(a->type.dtype, a->memory, call * n, n)]++;
	}
	str_printf(s, "top-1: %zu of %zu, %.2f %%\n", first, x->calls,
	           100 * (double)first / (double)x->calls);
	if (n > TOP)
		str_printf(s, "top-5: %zu of %zu, %.2f %%\n", five, x->calls,
		           100 * (double)five / (double)x->calls);
	if (confused)
		print_confusion(s, confused, n);
	return true;
}

/* ---- Numbers ---- */

static void
score_numbers(Str *s, const Array *a, const Npy *labels, DType t)
{
	double squares = 0, absolute = 0, sum = 0, spread = 0, n = (double)labels->count;

	for (size_t i = 0; i < labels->count; i++)
		sum += num_load(t, labels->data, i);
	for (size_t i = 0; i < labels->count; i++) {
		double y = num_load(t, labels->data, i);
		double off = num_load(a->type.dtype, a->memory, i) - y;

		squares += off * off;
		absolute += fabs(off);
		spread += (y - sum / n) * (y - sum / n);
	}
	str_printf(s, "mean absolute error: %.6g\nmean squared error: %.6g\n"
	              "root mean squared error: %.6g\n",
	           absolute / n, squares / n, sqrt(squares / n));
	if (spread > 0)
		str_printf(s, "R squared: %.6g\n", 1 - squares / spread);
}

bool
score_outputs(Str *s, const Arrays *x, Job *j)
{
	const Array *a = &x->output[0];
	Loc loc = {.file = j->options->labels_file};
	Npy labels;
	FileBytes bytes;
	DType t;

	if (x->noutputs == 0)
		return diag_report(&j->diag, &loc, E_ARITY, "the model has no output to score");
	if (!file_read(j->arena, loc.file, &bytes, &j->diag) ||
	    !npy_read(j->arena, loc.file, bytes.data, bytes.size, &labels, &j->diag))
		return false;
	if (x->calls == 0 || !find_type(&labels, &t))
		return diag_report(&j->diag, &loc, E_TYPE, "labels are %s, which cannot be scored",
		                   tensor_text(j->arena, &labels));
	if (!dtype_is_float(t) && labels.count == x->calls && type_numel(&a->type) > 1)
		return score_classes(s, x, j, &labels, t);
	if (labels.count != x->calls * (size_t)type_numel(&a->type))
		return diag_report(&j->diag, &loc, E_SHAPE,
		                   "labels are %s; %zu calls need as many integers, or %s",
		                   tensor_text(j->arena, &labels), x->calls,
		                   tensor_text(j->arena, &a->npy));
	score_numbers(s, a, &labels, t);
	return true;
}
