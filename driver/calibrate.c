#define _POSIX_C_SOURCE 200809L

#include "driver/calibrate.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "driver/arrays.h"
#include "driver/tensor.h"
#include "ir/num.h"

/* ---- Made-up samples ---- */

enum { MADE_UP = 64 };

static double
next_unit(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (double)(*seed >> 8) / 0x1p24;
}

/* Uniform in [0, 1) or, near enough, normal with deviation 1. */
static double
next_number(uint32_t *seed, bool uniform)
{
	double sum = 0;

	if (uniform)
		return next_unit(seed);
	for (int i = 0; i < 12; i++)
		sum += next_unit(seed);
	return sum - 6;
}

static void
make_up(const Type *t, void *data, uint32_t seed, bool uniform)
{
	for (int32_t i = 0; i < type_numel(t); i++) {
		double x = next_number(&seed, uniform);

		if (dtype_is_float(t->dtype))
			num_store(t->dtype, data, (size_t)i, x);
		else
			num_store_int(t->dtype, data, (size_t)i,
			              (int64_t)(next_unit(&seed) * (t->dtype == DT_BOOL ? 2 : 8)));
	}
}

static void
make_up_samples(Samples *out, Job *j)
{
	const Graph *g = j->graph;
	CallArray *in = ARENA_ARRAY(j->arena, CallArray, g->inputs.n + 1);

	for (int i = 0; i < graph_plain_inputs(g); i++) {
		const Type *t = &g->inputs.v[i]->type;

		in[i].stride = type_bytes(t);
		in[i].data = arena_calloc(j->arena, MADE_UP, in[i].stride);
		for (size_t c = 0; c < MADE_UP; c++)
			make_up(t, (char *)in[i].data + c * in[i].stride,
			        (uint32_t)(c * 1000 + (size_t)i) * 2654435761u, c % 2 == 0);
	}
	*out = (Samples){.n = MADE_UP, .in = in};
}

/* ---- Files ---- */

/* The samples of one file, or of one file an input. */
static bool
read_group(Samples *out, Job *j, const Names *files)
{
	int n = graph_plain_inputs(j->graph);
	CallArray *in = ARENA_ARRAY(j->arena, CallArray, n + 1);
	Arrays x;

	if (!arrays_prepare_inputs(&x, j, "-fcalib=", files))
		return false;
	for (int i = 0; i < n; i++) {
		const void *data = x.input[i].npy.data;

		/* Samples are never written to. */
		memcpy(&in[i].data, &data, sizeof data);
		in[i].stride = x.input[i].stride;
	}
	*out = (Samples){.file = j->options->calib, .n = x.calls, .in = in};
	return true;
}

/* Puts groups of samples one behind the other. */
static bool
join_groups(Samples *out, Job *j, const Samples *group, int ngroups)
{
	const Graph *g = j->graph;
	int n = graph_plain_inputs(g);
	CallArray *in = ARENA_ARRAY(j->arena, CallArray, n + 1);
	size_t total = 0;

	for (int k = 0; k < ngroups; k++)
		total += group[k].n;
	for (int i = 0; i < n; i++) {
		size_t at = 0, bytes = type_bytes(&g->inputs.v[i]->type);

		in[i].stride = bytes;
		in[i].data = arena_calloc(j->arena, total, bytes);
		for (int k = 0; k < ngroups; k++)
			for (size_t c = 0; c < group[k].n; c++) {
				const CallArray *from = &group[k].in[i];

				memcpy((char *)in[i].data + at++ * bytes,
				       (const char *)from->data + c * from->stride, bytes);
			}
	}
	*out = (Samples){.file = j->options->calib, .n = total, .in = in};
	return true;
}

static bool
is_data_file(const char *name)
{
	size_t n = strlen(name);

	return n > 4 && name[0] != '.' &&
	       (strcmp(name + n - 4, ".npy") == 0 || strcmp(name + n - 4, ".npz") == 0);
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool
list_folder(Names *out, const char *path, Job *j)
{
	DIR *d = opendir(path);
	const struct dirent *entry;

	if (!d)
		return diag_report(&j->diag, &(Loc){.file = path}, E_FILE, "cannot be listed");
	while ((entry = readdir(d)) != NULL)
		if (is_data_file(entry->d_name))
			VEC_PUSH(j->arena, out, arena_strdup(j->arena, entry->d_name));
	closedir(d);
	if (out->n == 0)
		return diag_report(&j->diag, &(Loc){.file = path}, E_CALIBRATION,
		                   "the folder has no .npy or .npz files");
	qsort(out->v, (size_t)out->n, sizeof *out->v, compare_names);
	return true;
}

/* "NAME=FOLDER/NAME.npy" for each input; empty when one is not there. */
static Names
files_by_input(const Names *files, const char *path, Job *j)
{
	const Graph *g = j->graph;
	Names named = {0};

	for (int i = 0; i < graph_plain_inputs(g); i++) {
		const char *name = g->inputs.v[i]->name;
		const char *file = arena_printf(j->arena, "%s.npy", name);

		for (int k = 0; k < files->n; k++)
			if (strcmp(files->v[k], file) == 0)
				VEC_PUSH(j->arena, &named,
				         arena_printf(j->arena, "%s=%s/%s", name, path, file));
	}
	if (named.n != graph_plain_inputs(g))
		named.n = 0;
	return named;
}

static bool
read_folder(Samples *out, Job *j, const char *path)
{
	Names files = {0}, named;
	Samples *group;

	if (!list_folder(&files, path, j))
		return false;
	named = files_by_input(&files, path, j);
	if (named.n > 0)
		return read_group(out, j, &named);
	group = ARENA_ARRAY(j->arena, Samples, files.n);
	for (int i = 0; i < files.n; i++) {
		Names one = {0};

		VEC_PUSH(j->arena, &one, arena_printf(j->arena, "%s/%s", path, files.v[i]));
		if (!read_group(&group[i], j, &one))
			return false;
	}
	return join_groups(out, j, group, files.n);
}

static bool
is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* ---- Labels ---- */

static bool
read_labels(Samples *s, Job *j, const char *path)
{
	Loc loc = {.file = path};
	FileBytes bytes;
	Npy npy;
	int64_t *labels;
	DType t = DT_BOOL;

	if (!file_read(j->arena, path, &bytes, &j->diag) ||
	    !npy_read(j->arena, path, bytes.data, bytes.size, &npy, &j->diag))
		return false;
	while (t < DT_COUNT && !(dtype_is_integer(t) && tensor_elements_fit(&npy, t)))
		t = (DType)(t + 1);
	if (t == DT_COUNT)
		return diag_report(&j->diag, &loc, E_TYPE, "labels are %s, not integers",
		                   tensor_text(j->arena, &npy));
	if (npy.count != s->n)
		return diag_report(&j->diag, &loc, E_SHAPE,
		                   "there are %zu labels, but %zu samples in '%s'", npy.count, s->n,
		                   s->file);
	labels = ARENA_ARRAY(j->arena, int64_t, s->n + 1);
	for (size_t i = 0; i < s->n; i++)
		labels[i] = num_load_int(t, npy.data, i);
	s->labels = labels;
	return true;
}

bool
calibrate_read(Samples *out, Job *j)
{
	const Options *o = j->options;
	Names files = {0};
	bool ok;

	if (!o->calib) {
		make_up_samples(out, j);
		return true;
	}
	VEC_PUSH(j->arena, &files, o->calib);
	ok = is_folder(o->calib) ? read_folder(out, j, o->calib) : read_group(out, j, &files);
	return ok && (o->tool != TOOL_MCC || !o->labels_file || read_labels(out, j, o->labels_file));
}
