/*
 * SupportVectorMachineModel: sums of kernels between the row and support vectors.
 *
 * The kernel of every vector of the dictionary is computed once, then each machine sums
 * those of its own vectors.
 */
#include <math.h>
#include <string.h>

#include "frontend/pmml/link.h"
#include "frontend/pmml/pmml.h"

typedef enum {
	KERNEL_LINEAR,
	KERNEL_POLYNOMIAL,
	KERNEL_RADIAL,
	KERNEL_SIGMOID,
	KERNELS
} KernelKind;

static const char *const kernel_element[KERNELS] = {"LinearKernelType", "PolynomialKernelType",
                                                    "RadialBasisKernelType",
                                                    "SigmoidKernelType"};

typedef struct {
	Pmml *p;
	const Xml *e;
	KernelKind kind;
	double gamma, coef0, degree;
	int fields, vectors;
	LBuf *x;       /* the row */
	LBuf *kernel;  /* of each vector; NULL: machines have coefficients of the fields */
	Labels *ids;   /* of vectors */
} Svm;

/* ---- The row ---- */

static bool
read_fields(Svm *m, const Xml *fields)
{
	Pmml *p = m->p;
	VEC(Expr *) x = {0};

	for (const Xml *c = xml_first(fields); c; c = xml_next(c)) {
		const char *name, *text;
		double coefficient;
		Val v, constant;
		Expr *e;

		if (xml_is(c, "FieldRef")) {
			if (!expression_read(p, c, &v) || !value_to_number(p, c, v, &e))
				return false;
		} else {
			name = pmml_need(p, c, "name");
			text = pmml_need(p, c, "value");
			if (!name || !text || !field_value(p, c, name, &v) ||
			    !pmml_number_or(p, c, "coefficient", 1, &coefficient) ||
			    !value_constant(p, c, text, v.type, v.labels, &constant) ||
			    !value_compare(p, c, KOP_EQ, v, constant, &e))
				return false;
			e = code_select(p, e, code_number(p, coefficient), code_number(p, 0));
		}
		VEC_PUSH(p->a, &x, e);
	}
	m->fields = x.n;
	if (x.n == 0)
		return pmml_error(p, fields, "there are no fields in it");
	m->x = kernel_scratch(p, "x", DT_F64, x.n);
	for (int i = 0; i < x.n; i++)
		code_put(p, m->x, i, x.v[i]);
	return true;
}

/* ---- Kernels ---- */

static bool
read_kernel(Svm *m)
{
	const Xml *e = NULL;

	for (int k = 0; k < KERNELS && !e; k++) {
		e = xml_child(m->e, kernel_element[k]);
		m->kind = (KernelKind)k;
	}
	if (!e)
		return pmml_error(m->p, m->e, "there is no kernel in it");
	return pmml_number_or(m->p, e, "gamma", 1, &m->gamma) &&
	       pmml_number_or(m->p, e, "coef0", 1, &m->coef0) &&
	       pmml_number_or(m->p, e, "degree", 1, &m->degree);
}

/* From the dot product, or of a radial kernel the squared distance. */
static Expr *
kernel_of(Svm *m, Expr *sum)
{
	Pmml *p = m->p;
	Expr *z = code_add(p, code_mul(p, code_number(p, m->gamma), sum), code_number(p, m->coef0));

	switch (m->kind) {
	case KERNEL_LINEAR: return sum;
	case KERNEL_POLYNOMIAL: return link_power(p, z, m->degree);
	case KERNEL_RADIAL:
		return code_call(p, "exp", code_mul(p, code_number(p, -m->gamma), sum));
	case KERNEL_SIGMOID: return code_call(p, "tanh", z);
	case KERNELS: break;
	}
	return sum;
}

static bool
read_vector(Svm *m, const Xml *e, double *out)
{
	const Xml *array = NULL;
	double *v;
	int n;

	for (const Xml *c = xml_first(e); c && !array; c = xml_next(c))
		if (xml_is(c, "Array") || xml_is(c, "REAL-SparseArray") ||
		    xml_is(c, "INT-SparseArray"))
			array = c;
	if (!array)
		return pmml_error(m->p, e, "there is no array in it");
	if (!pmml_numbers(m->p, array, &n, &v))
		return false;
	/* A sparse one may leave zeros at its end out. */
	if (n > m->fields || (xml_is(array, "Array") && n != m->fields))
		return pmml_error(m->p, array, "it has %d numbers, not %d", n, m->fields);
	memcpy(out, v, (size_t)n * sizeof *v);
	return true;
}

static bool
compute_kernels(Svm *m, const Xml *dictionary)
{
	Pmml *p = m->p;
	int n = xml_count(dictionary, "VectorInstance"), i = 0;
	double *v;
	LBuf *table;
	LBuilder *b = code(p);
	Expr *at, *k, *d;
	LVar *sum;

	if (n == 0)
		return true;
	if (n > INT32_MAX / 8 / m->fields)
		return pmml_error(p, dictionary, "there are too many vectors");
	v = ARENA_ARRAY(p->a, double, n * m->fields);
	for (const Xml *c = xml_child(dictionary, "VectorInstance"); c; c = xml_same(c), i++) {
		const char *id = pmml_need(p, c, "id");

		if (!id || !read_vector(m, c, v + (ptrdiff_t)i * m->fields))
			return false;
		if (labels_add(p, m->ids, id) != i)
			return pmml_error(p, c, "there is another vector '%.60s'", id);
	}
	m->vectors = n;
	table = kernel_table(p, "vectors", DT_F64, n * m->fields, v);
	m->kernel = kernel_scratch(p, "kernel", DT_F64, n);
	at = loop_for(b, "i", 0, n);
	sum = loop_var(b, "sum", code_number(p, 0));
	k = loop_for(b, "k", 0, m->fields);
	d = loop_load(b, table, loop_add(b, loop_affine(b, at, m->fields, 0), k));
	if (m->kind == KERNEL_RADIAL) {
		d = code_let(p, "d", code_op(p, KOP_SUB, loop_load(b, m->x, k), d));
		d = code_mul(p, d, d);
	} else {
		d = code_mul(p, loop_load(b, m->x, k), d);
	}
	loop_set(b, sum, code_add(p, loop_get(b, sum), d));
	loop_end(b);
	loop_store(b, m->kernel, at, kernel_of(m, loop_get(b, sum)));
	loop_end(b);
	return true;
}

/* ---- Machines ---- */

static bool
read_coefficients(Svm *m, const Xml *machine, int *n, double **out, double *constant)
{
	const Xml *list = pmml_need_child(m->p, machine, "Coefficients");

	*n = 0;
	*out = ARENA_ARRAY(m->p->a, double, xml_count(list, "Coefficient"));
	if (!list || !pmml_number_or(m->p, list, "absoluteValue", 0, constant))
		return false;
	for (const Xml *c = xml_child(list, "Coefficient"); c; c = xml_same(c), ++*n)
		if (!pmml_number_or(m->p, c, "value", 0, &(*out)[*n]))
			return false;
	return true;
}

/* The numbers of the machine's vectors; *first is where they start when they are
 * consecutive, else -1. */
static bool
read_vector_ids(Svm *m, const Xml *machine, int n, double *index, int *first)
{
	const Xml *list = pmml_need_child(m->p, machine, "SupportVectors");
	int i = 0;

	*first = -1;
	if (!list)
		return false;
	if (xml_count(list, "SupportVector") != n)
		return pmml_error(m->p, list, "there are %d vectors, but %d coefficients",
		                  xml_count(list, "SupportVector"), n);
	for (const Xml *c = xml_child(list, "SupportVector"); c; c = xml_same(c), i++) {
		const char *id = pmml_need(m->p, c, "vectorId");
		int k = id ? labels_find(m->ids, id) : -1;

		if (k < 0)
			return id && pmml_error(m->p, c, "there is no vector '%.60s'", id);
		index[i] = k;
		if (i == 0)
			*first = k;
		else if (*first >= 0 && k != *first + i)
			*first = -1;
	}
	return true;
}

static bool
machine_sum(Svm *m, const Xml *machine, Expr **out)
{
	Pmml *p = m->p;
	LBuilder *b = code(p);
	double *coefficient, *index, constant;
	LBuf *table, *source = m->kernel ? m->kernel : m->x;
	Expr *i, *at;
	LVar *sum;
	int n, first = 0;

	if (!read_coefficients(m, machine, &n, &coefficient, &constant))
		return false;
	index = ARENA_ARRAY(p->a, double, n);
	if (m->kernel && !read_vector_ids(m, machine, n, index, &first))
		return false;
	if (!m->kernel && n != m->fields)
		return pmml_error(p, machine, "there are %d coefficients for %d fields", n,
		                  m->fields);
	sum = loop_var(b, "sum", code_number(p, 0));
	*out = loop_get(b, sum);
	if (n > 0) {
		table = kernel_table(p, "coefficients", DT_F64, n, coefficient);
		i = loop_for(b, "i", 0, n);
		at = first >= 0
		             ? loop_affine(b, i, 1, first)
		             : loop_clamp_idx(
				       b,
				       loop_load(b, kernel_table(p, "index", DT_I32, n, index), i),
				       0, source->count - 1);
		loop_set(b, sum,
		         code_add(p, loop_get(b, sum),
		                  code_mul(p, loop_load(b, table, i), loop_load(b, source, at))));
		loop_end(b);
	}
	*out = code_let(p, "f", code_add(p, *out, code_number(p, constant)));
	return true;
}

/* ---- Classes ---- */

/* The class that the machine is for when its sum is below the threshold, or with
 * maxWins above it; the other one otherwise. */
static bool
read_sides(Svm *m, const Xml *machine, Labels *classes, int *low, int *high)
{
	const char *target = xml_attr(machine, "targetCategory");
	const char *other = xml_attr(machine, "alternateTargetCategory");

	if (!other)
		other = xml_attr(m->e, "alternateBinaryTargetCategory");
	if (!target)
		return pmml_need(m->p, machine, "targetCategory") != NULL;
	if (!other)
		return pmml_need(m->p, machine, "alternateTargetCategory") != NULL;
	*low = labels_add(m->p, classes, target);
	*high = labels_add(m->p, classes, other);
	return true;
}

/* In version 3 a single machine gives about 1 for its class and 0 for the other one, which
 * the model names. */
static bool
is_zero_or_one(const Svm *m, const Xml *first)
{
	return xml_attr(m->e, "alternateBinaryTargetCategory") &&
	       !xml_attr(first, "alternateTargetCategory") && !xml_attr(m->e, "threshold") &&
	       !xml_attr(first, "threshold") && !xml_same(first);
}

static bool
vote(Svm *m, const Xml *first, bool max_wins, Result *r)
{
	Pmml *p = m->p;
	LBuilder *b = code(p);
	LBuf *list;
	double threshold, own;
	int low, high;

	for (const Xml *c = first; c; c = xml_same(c))
		if (!read_sides(m, c, r->classes, &low, &high))
			return false;
	if (!pmml_number_or(p, m->e, "threshold", 0, &threshold))
		return false;
	if (is_zero_or_one(m, first)) {
		threshold = 0.5;
		max_wins = true;
	}
	list = kernel_scratch(p, "votes", DT_F64, r->classes->v.n);
	r->home = kernel_current(p);
	for (int i = 0; i < list->count; i++)
		code_put(p, list, i, code_number(p, 0));
	for (const Xml *c = first; c; c = xml_same(c)) {
		Expr *f, *is_low, *at;

		if (!machine_sum(m, c, &f) || !read_sides(m, c, r->classes, &low, &high) ||
		    !pmml_number_or(p, c, "threshold", threshold, &own))
			return false;
		is_low = code_op(p, max_wins ? KOP_GT : KOP_LT, f, code_number(p, own));
		at = loop_cvt(b, DT_IDX,
		              code_select(p, is_low, code_int(p, low), code_int(p, high)));
		at = loop_let(b, "at", at);
		loop_store(b, list, at,
		           code_add(p, loop_load(b, list, at),
		                    code_select(p, code_is_nan(p, f), code_number(p, (double)NAN),
		                                code_number(p, 1))));
	}
	r->probability = list;
	if (r->want_probability)
		link_simplemax(p, list, list->count);
	return result_from_probability(p, r);
}

/* Each machine is for one class: the smallest sum wins, with maxWins the largest. */
static bool
against_all(Svm *m, const Xml *first, bool max_wins, Result *r)
{
	Pmml *p = m->p;
	LBuf *list;
	Expr *f, *best;

	for (const Xml *c = first; c; c = xml_same(c)) {
		const char *target = pmml_need(p, c, "targetCategory");

		if (!target)
			return false;
		labels_add(p, r->classes, target);
	}
	r->home = kernel_current(p);
	list = kernel_scratch(p, "sums", DT_F64, r->classes->v.n);
	for (int i = 0; i < list->count; i++)
		code_put(p, list, i, code_number(p, max_wins ? -HUGE_VAL : HUGE_VAL));
	for (const Xml *c = first; c; c = xml_same(c)) {
		if (!machine_sum(m, c, &f))
			return false;
		code_put(p, list, labels_find(r->classes, xml_attr(c, "targetCategory")), f);
	}
	best = max_wins ? link_largest(p, list, list->count) : link_smallest(p, list, list->count);
	r->predicted = value_label(p, r->classes, code_let(p, "class", best));
	r->predicted.labelled = true;
	r->affinities = list;
	r->entities = r->classes;
	r->entity = r->predicted;
	return true;
}

bool
model_support_vector_machine(Pmml *p, const Xml *e, Result *r)
{
	static const char *const representations[] = {"SupportVectors", "Coefficients", NULL};
	static const char *const methods[] = {"OneAgainstAll", "OneAgainstOne", NULL};
	const Xml *first = pmml_need_child(p, e, "SupportVectorMachine");
	const Xml *dictionary = pmml_need_child(p, e, "VectorDictionary");
	const Xml *fields = dictionary ? pmml_need_child(p, dictionary, "VectorFields") : NULL;
	Svm m = {.p = p, .e = e, .ids = labels_new(p)};
	int coefficients, method;
	Function function;
	bool max_wins;
	Expr *f;

	if (!first || !fields || !model_function(p, e, &function) ||
	    !pmml_word(p, e, "svmRepresentation", representations, 0, &coefficients) ||
	    !pmml_word(p, e, "classificationMethod", methods, -1, &method) ||
	    !pmml_flag(p, e, "maxWins", false, &max_wins) || !read_kernel(&m) ||
	    !read_fields(&m, fields))
		return false;
	if (!coefficients && !compute_kernels(&m, dictionary))
		return false;
	if (function != FN_CLASSIFICATION) {
		if (!machine_sum(&m, first, &f))
			return false;
		r->predicted = value_of(p, TYPE_DOUBLE, f);
		return true;
	}
	r->classes = model_target_labels(p, e);
	/* Files before version 4.0 have no method: two sides speak for pairs. */
	if (method < 0)
		method = xml_attr(first, "alternateTargetCategory") ||
		         xml_attr(e, "alternateBinaryTargetCategory");
	return method == 1 || !xml_same(first) ? vote(&m, first, max_wins, r)
	                                       : against_all(&m, first, max_wins, r);
}
