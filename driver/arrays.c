#include "driver/arrays.h"

#include <string.h>

#include "driver/table.h"
#include "driver/tensor.h"
#include "ir/num.h"

/* ---- Names ---- */

static Array *
find_array(Array *v, int n, const char *name, size_t length)
{
	for (int i = 0; i < n; i++)
		if (strlen(v[i].name) == length && memcmp(v[i].name, name, length) == 0)
			return &v[i];
	return NULL;
}

/* Names of inputs may hold '=' themselves: the first place that gives one counts. */
static Array *
split_name(Array *v, int n, const char *argument, const char **file)
{
	for (const char *p = strchr(argument, '='); p; p = strchr(p + 1, '=')) {
		Array *found = find_array(v, n, argument, (size_t)(p - argument));

		if (found) {
			*file = p + 1;
			return found;
		}
	}
	return NULL;
}

static bool
report_unknown(Job *j, const char *option, const char *argument, const Array *v, int n)
{
	Str list;

	str_init(&list, j->arena);
	for (int i = 0; i < n; i++)
		str_printf(&list, "%s'%s'", i ? ", " : "", v[i].name);
	return diag_report(&j->diag, NULL, E_NAME, "'%s %s': the model has no such name, but %s",
	                   option, argument, n ? list.s : "none at all");
}

static bool
is_npz(const char *file)
{
	size_t n = strlen(file);

	return n > 4 && strcmp(file + n - 4, ".npz") == 0;
}

/* Gives each of `names` to an array, by name or to the next one without; an archive
 * is for all that are without. */
static bool
assign_files(Job *j, const char *option, const Names *names, Array *v, int n)
{
	for (int i = 0; i < names->n; i++) {
		const char *file = names->v[i];
		Array *a = split_name(v, n, file, &file);

		if (!a && strchr(file, '=') && !file_is_readable(file))
			return report_unknown(j, option, names->v[i], v, n);
		for (int k = 0; !a && k < n; k++)
			if (!v[k].file)
				a = &v[k];
		for (int k = 0; a && file == names->v[i] && is_npz(file) && k < n; k++)
			if (!v[k].file && &v[k] != a)
				v[k].file = file;
		if (!a)
			return diag_report(&j->diag, NULL, E_ARITY,
			                   "'%s %s': the model has only %d of these", option,
			                   names->v[i], n);
		if (a->file)
			return diag_report(&j->diag, NULL, E_NAME, "'%s' is given twice with '%s'",
			                   a->name, option);
		a->file = file;
	}
	return true;
}

/* ---- Shapes ---- */

static bool
shape_fits(const Npy *n, int from, const Type *t)
{
	if (n->rank - from != t->rank)
		return false;
	for (int i = 0; i < t->rank; i++)
		if (n->dim[from + i] != (size_t)t->dim[i])
			return false;
	return true;
}

/* The same but for a first axis that is 1 in the model. */
static bool
shape_fits_but_first(const Npy *n, const Type *t)
{
	Type rest = *t;

	if (t->rank == 0 || t->dim[0] != 1 || n->rank != t->rank)
		return false;
	rest.rank--;
	memmove(rest.dim, rest.dim + 1, (size_t)rest.rank * sizeof *rest.dim);
	return shape_fits(n, 1, &rest);
}

/* Finds out how many calls the array is for. */
static bool
take_shape(Arrays *x, Job *j, Array *a)
{
	Loc loc = {.file = a->file};
	bool first = shape_fits_but_first(&a->npy, &a->type);
	size_t calls = a->npy.rank ? a->npy.dim[0] : 1;

	if (!tensor_elements_fit(&a->npy, a->type.dtype) ||
	    !(shape_fits(&a->npy, 0, &a->type) || shape_fits(&a->npy, 1, &a->type) || first))
		return diag_report(&j->diag, &loc, E_SHAPE, "this is %s, but '%s' is %s",
		                   tensor_text(j->arena, &a->npy), a->name,
		                   type_text(j->arena, &a->type));
	if (shape_fits(&a->npy, 0, &a->type))
		return true;
	if (x->is_batched && (x->calls != calls || x->in_first_axis != first))
		return diag_report(&j->diag, &loc, E_SHAPE,
		                   "this has values for %zu calls, another file for %zu", calls,
		                   x->calls);
	x->is_batched = true;
	x->in_first_axis = first;
	x->calls = calls;
	a->stride = type_bytes(&a->type);
	return true;
}

/* The array of that name, the only one, or when there are as many as the model has,
 * the one at that place. */
static bool
pick_array(const Arrays *x, Job *j, Array *a, int index, int n)
{
	Loc loc = {.file = a->file};
	const Npz *z = &x->archive;
	Str list;

	str_init(&list, j->arena);
	for (int i = 0; i < z->n; i++) {
		if (strcmp(z->v[i].name, a->name) == 0) {
			a->npy = z->v[i].npy;
			return true;
		}
		str_printf(&list, "%s'%s'", i ? ", " : "", z->v[i].name);
	}
	if (z->n == 1 || z->n == n) {
		a->npy = z->v[z->n == 1 ? 0 : index].npy;
		return true;
	}
	return diag_report(&j->diag, &loc, E_NAME, "the archive has no '%s', but %s", a->name,
	                   z->n ? list.s : "nothing");
}

/* Reads the file of the array that is number `index` of n. */
static bool
read_array(Arrays *x, Job *j, Array *a, int index, int n)
{
	FileBytes bytes;

	if (x->archive_file && strcmp(x->archive_file, a->file) == 0)
		return pick_array(x, j, a, index, n);
	if (!file_read(j->arena, a->file, &bytes, &j->diag))
		return false;
	if (!npz_is_archive(bytes.data, bytes.size))
		return npy_read(j->arena, a->file, bytes.data, bytes.size, &a->npy, &j->diag);
	x->archive_file = NULL;
	if (!npz_read(j->arena, a->file, bytes.data, bytes.size, &x->archive, &j->diag))
		return false;
	x->archive_file = a->file;
	return pick_array(x, j, a, index, n);
}

/* ---- Outputs ---- */

/* The array that all calls together make of an output. */
static bool
make_room(const Arrays *x, Job *j, Array *a)
{
	size_t bytes, one = type_bytes(&a->type);
	Npy *n = &a->npy;
	bool replaced = x->in_first_axis && a->type.rank > 0 && a->type.dim[0] == 1;

	*n = (Npy){.rank = 0};
	tensor_set_elements(n, a->type.dtype);
	if (x->is_batched)
		n->dim[n->rank++] = x->calls;
	for (int i = x->is_batched && replaced; i < a->type.rank; i++)
		n->dim[n->rank++] = (size_t)a->type.dim[i];
	if (!size_mul(x->calls, one, &bytes))
		return diag_report(&j->diag, NULL, E_SIZE, "the output '%s' of %zu calls is too large",
		                   a->name, x->calls);
	n->count = x->calls * (size_t)type_numel(&a->type);
	a->memory = arena_alloc(j->arena, bytes);
	n->data = a->memory;
	a->stride = one;
	return true;
}

static bool
check_reference(Job *j, const Array *reference, const Array *output)
{
	const Npy *r = &reference->npy, *o = &output->npy;
	Loc loc = {.file = reference->file};
	bool same = tensor_elements_fit(r, output->type.dtype) && r->rank == o->rank;

	for (int i = 0; same && i < r->rank; i++)
		same = r->dim[i] == o->dim[i];
	return same || diag_report(&j->diag, &loc, E_SHAPE, "this is %s, but '%s' is %s",
	                           tensor_text(j->arena, r), output->name,
	                           tensor_text(j->arena, o));
}

static Array *
arrays_of_outputs(Job *j)
{
	const Graph *g = j->graph;
	Array *v = ARENA_ARRAY(j->arena, Array, g->outputs.n);

	for (int i = 0; i < g->outputs.n; i++)
		v[i] = (Array){.name = g->output_names.v[i], .type = g->outputs.v[i]->type};
	return v;
}

/* The CSV file among the files of an option, and the others. */
static bool
take_table(Job *j, const char *option, const Names *names, Names *others, const char **table)
{
	*table = NULL;
	*others = (Names){0};
	for (int i = 0; i < names->n; i++) {
		if (!table_is_csv(names->v[i])) {
			VEC_PUSH(j->arena, others, names->v[i]);
			continue;
		}
		if (*table)
			return diag_report(&j->diag, NULL, E_ARITY, "two CSV files with '%s'", option);
		*table = names->v[i];
	}
	return true;
}

bool
arrays_prepare_inputs(Arrays *x, Job *j, const char *option, const Names *names)
{
	const Graph *g = j->graph;
	Names files;
	const char *table;

	*x = (Arrays){.ninputs = g->inputs.n, .noutputs = g->outputs.n,
	              .nstates = g->states.n, .reset_each = j->options->reset_each, .calls = 1};
	x->input = ARENA_ARRAY(j->arena, Array, g->inputs.n);
	for (int i = 0; i < g->inputs.n; i++)
		x->input[i] = (Array){.name = g->inputs.v[i]->name, .type = g->inputs.v[i]->type};
	if (!take_table(j, option, names, &files, &table) ||
	    !assign_files(j, option, &files, x->input, x->ninputs) ||
	    (table && !table_read(x, j, table)))
		return false;
	for (int i = 0; i < x->ninputs && !table; i++) {
		Array *a = &x->input[i];

		if (!a->file && i >= graph_plain_inputs(g))
			a->npy.data = g->states.v[i - graph_plain_inputs(g)]->data;
		else if (!a->file)
			diag_report(&j->diag, NULL, E_ARITY, "the input '%s' (%s) has no file; add %s",
			            a->name, type_text(j->arena, &a->type), option);
		else if (read_array(x, j, a, i, x->ninputs))
			take_shape(x, j, a);
	}
	return j->diag.errors == 0;
}

bool
arrays_prepare(Arrays *x, Job *j)
{
	const Options *o = j->options;
	Names outputs;

	if (!arrays_prepare_inputs(x, j, "-i", &o->run_inputs))
		return false;
	x->output = arrays_of_outputs(j);
	x->reference = arrays_of_outputs(j);
	if (!take_table(j, "-o", &o->run_outputs, &outputs, &x->table) ||
	    !assign_files(j, "-o", &outputs, x->output, x->noutputs) ||
	    !assign_files(j, "--compare", &o->run_references, x->reference, x->noutputs))
		return false;
	if (x->table && !graph_has_output_fields(j->graph))
		return diag_report(&j->diag, &(Loc){.file = x->table}, E_NAME,
		                   "the model does not name its results, so they are .npy files");
	for (int i = 0; i < x->noutputs; i++)
		if (!make_room(x, j, &x->output[i]) ||
		    (x->reference[i].file && (!read_array(x, j, &x->reference[i], i, x->noutputs) ||
		                              !check_reference(j, &x->reference[i], &x->output[i]))))
			return false;
	return true;
}

/* Whether an output before goes to the same archive. */
static bool
is_written_before(const Arrays *x, int index)
{
	const char *file = x->output[index].file;

	for (int i = 0; i < index && is_npz(file); i++)
		if (x->output[i].file && strcmp(x->output[i].file, file) == 0)
			return true;
	return false;
}

/* All outputs that go to the archive of output `first`. */
static bool
put_archive(Str *s, const Arrays *x, int first)
{
	const char *file = x->output[first].file;
	Npz z = {0};

	for (int i = first; i < x->noutputs; i++) {
		const Array *a = &x->output[i];

		if (a->file && strcmp(a->file, file) == 0)
			VEC_PUSH(s->arena, &z, ((NpzEntry){a->name, a->npy}));
	}
	return npz_write(s, &z);
}

bool
arrays_write(const Arrays *x, Job *j, const Str *text)
{
	FileSet *set = file_set_new(j->arena);

	for (int i = 0; i < x->noutputs; i++) {
		Str s;

		if (!x->output[i].file || is_written_before(x, i))
			continue;
		str_init(&s, j->arena);
		if (!is_npz(x->output[i].file))
			npy_write(&s, &x->output[i].npy);
		else if (!put_archive(&s, x, i))
			return diag_report(&j->diag, &(Loc){.file = x->output[i].file}, E_SIZE,
			                   "the arrays are too large for one archive");
		if (!file_set_add(set, x->output[i].file, s.s, s.n, &j->diag))
			return false;
	}
	if (x->table) {
		Str s;

		str_init(&s, j->arena);
		table_print(&s, x, j->graph);
		if (!file_set_add(set, x->table, s.s, s.n, &j->diag))
			return false;
	}
	return file_set_add(set, "-", text->s, text->n, &j->diag) &&
	       file_set_commit(set, &j->diag);
}
