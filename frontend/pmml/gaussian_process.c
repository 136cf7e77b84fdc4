/*
 * GaussianProcessModel: the mean of a Gaussian process, given its values at some rows.
 *
 * With the kernel matrix K of the rows and their values y, the mean at x is k(x)' a with
 * a = (K + noise)^-1 y, which is computed here; k(x) are the kernels of x and the rows.
 * The standard deviation is sqrt(k(x, x) - |L^-1 k(x)|^2) with the Cholesky factor L.
 */
#include <math.h>
#include <string.h>

#include "frontend/pmml/link.h"
#include "frontend/pmml/pmml.h"

typedef enum { GP_RADIAL, GP_ARD, GP_ABSOLUTE, GP_GENERAL, GP_KINDS } GpKind;

static const char *const kernel_element[GP_KINDS] = {
	"RadialBasisKernel", "ARDSquaredExponentialKernel", "AbsoluteExponentialKernel",
	"GeneralizedExponentialKernel"};

enum { MAX_ROWS = 4000 };

typedef struct {
	Pmml *p;
	const Xml *e;
	GpKind kind;
	double gamma, noise, degree;
	int n, fields;
	double *lambda; /* by field */
	double *rows, *y;
	VEC(const char *) names, columns; /* of the fields */
	const char *target;               /* the column */
} Gp;

/* ---- Reading ---- */

static bool
read_fields(Gp *m)
{
	const char *target = model_target(m->p, m->e);
	const Xml *instances = pmml_need_child(m->p, m->e, "TrainingInstances");

	for (const Xml *c = xml_child(xml_child(instances, "InstanceFields"), "InstanceField"); c;
	     c = xml_same(c)) {
		const char *name = pmml_need(m->p, c, "field"), *column = xml_attr(c, "column");

		if (!name)
			return false;
		column = column ? column : name;
		if (target && strcmp(name, target) == 0) {
			m->target = column;
			continue;
		}
		VEC_PUSH(m->p->a, &m->names, name);
		VEC_PUSH(m->p->a, &m->columns, column);
	}
	m->fields = m->names.n;
	if (instances && (!m->target || m->fields == 0))
		return pmml_error(m->p, instances, "it has no column of the target or of fields");
	return instances != NULL;
}

static bool
cell(Gp *m, const Xml *row, const char *column, double *out)
{
	const Xml *c = pmml_cell(row, column);

	if (!c)
		return pmml_error(m->p, row, "there is no <%.60s> in it", column);
	return pmml_parse_number(c->text, out) ||
	       pmml_error(m->p, c, "'%.60s' is no number", c->text);
}

static bool
read_rows(Gp *m)
{
	const Xml *table = xml_child(xml_child(m->e, "TrainingInstances"), "InlineTable");
	int i = 0;

	if (!table)
		return pmml_unsupported(m->p, m->e, "a table outside of the file");
	m->n = xml_count(table, "row");
	if (m->n == 0 || m->n > MAX_ROWS)
		return pmml_unsupported(m->p, table, "a Gaussian process of %d rows", m->n);
	m->rows = ARENA_ARRAY(m->p->a, double, m->n * m->fields);
	m->y = ARENA_ARRAY(m->p->a, double, m->n);
	for (const Xml *row = xml_child(table, "row"); row; row = xml_same(row), i++) {
		if (!cell(m, row, m->target, &m->y[i]))
			return false;
		for (int k = 0; k < m->fields; k++)
			if (!cell(m, row, m->columns.v[k], &m->rows[i * m->fields + k]))
				return false;
	}
	return true;
}

static bool
read_lambda(Gp *m, const Xml *e)
{
	const Xml *array = xml_child(xml_child(e, "Lambda"), "Array");
	double one, *v;
	int n;

	m->lambda = ARENA_ARRAY(m->p->a, double, m->fields);
	if (!pmml_number_or(m->p, e, "lambda", 1, &one))
		return false;
	for (int i = 0; i < m->fields; i++)
		m->lambda[i] = one;
	if (!array)
		return true;
	if (!pmml_numbers(m->p, array, &n, &v))
		return false;
	if (n != m->fields && n != 1)
		return pmml_error(m->p, array, "it has %d numbers for %d fields", n, m->fields);
	for (int i = 0; i < m->fields; i++)
		m->lambda[i] = v[n == 1 ? 0 : i];
	return true;
}

static bool
read_kernel(Gp *m)
{
	const Xml *e = NULL;

	for (int k = 0; k < GP_KINDS && !e; k++) {
		e = xml_child(m->e, kernel_element[k]);
		m->kind = (GpKind)k;
	}
	if (!e)
		return pmml_error(m->p, m->e, "there is no kernel in it");
	return pmml_number_or(m->p, e, "gamma", 1, &m->gamma) &&
	       pmml_number_or(m->p, e, "noiseVariance", 1, &m->noise) &&
	       pmml_number_or(m->p, e, "degree", 1, &m->degree) && read_lambda(m, e);
}

/* ---- The matrix ---- */

static double
term(const Gp *m, double d, double lambda)
{
	double q = d / lambda;

	switch (m->kind) {
	case GP_RADIAL:
	case GP_ARD: return 0.5 * q * q;
	case GP_ABSOLUTE: return fabs(q);
	case GP_GENERAL: return pow(fabs(q), m->degree);
	case GP_KINDS: break;
	}
	return 0;
}

static double
kernel_at(const Gp *m, int i, int j)
{
	double sum = 0;

	for (int k = 0; k < m->fields; k++)
		sum += term(m, m->rows[i * m->fields + k] - m->rows[j * m->fields + k],
		            m->lambda[k]);
	return m->gamma * exp(-sum);
}

/* The lower factor L of K + noise = L L'. */
static bool
factorize(Gp *m, double *l)
{
	int n = m->n;

	for (int i = 0; i < n; i++)
		for (int j = 0; j <= i; j++) {
			double sum = kernel_at(m, i, j) + (i == j ? m->noise : 0);

			for (int k = 0; k < j; k++)
				sum -= l[i * n + k] * l[j * n + k];
			if (i == j && !(sum > 0))
				return pmml_error(m->p, m->e,
				                  "the matrix of kernels is not positive");
			l[i * n + j] = i == j ? sqrt(sum) : sum / l[j * n + j];
		}
	return true;
}

/* L x = y, then L' x = y. */
static void
solve(const double *l, int n, double *y)
{
	for (int i = 0; i < n; i++) {
		for (int k = 0; k < i; k++)
			y[i] -= l[i * n + k] * y[k];
		y[i] /= l[i * n + i];
	}
	for (int i = n - 1; i >= 0; i--) {
		for (int k = i + 1; k < n; k++)
			y[i] -= l[k * n + i] * y[k];
		y[i] /= l[i * n + i];
	}
}

/* ---- Code ---- */

static Expr *
write_term(Gp *m, Expr *d)
{
	Pmml *p = m->p;

	d = code_let(p, "d", d);
	switch (m->kind) {
	case GP_RADIAL:
	case GP_ARD: return code_mul(p, code_number(p, 0.5), code_mul(p, d, d));
	case GP_ABSOLUTE: return loop_op1(code(p), KOP_ABS, d);
	case GP_GENERAL:
		return loop_call2(code(p), "pow", loop_op1(code(p), KOP_ABS, d),
		                  code_number(p, m->degree));
	case GP_KINDS: break;
	}
	return d;
}

static bool
write_row(Gp *m, LBuf **out)
{
	Pmml *p = m->p;

	*out = kernel_scratch(p, "x", DT_F64, m->fields);
	for (int i = 0; i < m->fields; i++) {
		Expr *x;
		Val v;

		if (!field_value(p, m->e, m->names.v[i], &v) || !value_to_number(p, m->e, v, &x))
			return false;
		code_put(p, *out, i, x);
	}
	return true;
}

static LBuf *
write_kernels(Gp *m, LBuf *x)
{
	Pmml *p = m->p;
	LBuf *rows = kernel_table(p, "rows", DT_F64, m->n * m->fields, m->rows);
	LBuf *lambda = kernel_table(p, "lambda", DT_F64, m->fields, m->lambda);
	LBuf *out = kernel_scratch(p, "kernel", DT_F64, m->n);
	LBuilder *b = code(p);
	Expr *i = loop_for(b, "i", 0, m->n), *k, *d;
	LVar *sum = loop_var(b, "sum", code_number(p, 0));

	k = loop_for(b, "k", 0, m->fields);
	d = loop_load(b, rows, loop_add(b, loop_affine(b, i, m->fields, 0), k));
	d = code_op(p, KOP_DIV, code_op(p, KOP_SUB, loop_load(b, x, k), d),
	            loop_load(b, lambda, k));
	loop_set(b, sum, code_add(p, loop_get(b, sum), write_term(m, d)));
	loop_end(b);
	d = code_call(p, "exp", loop_op1(b, KOP_NEG, loop_get(b, sum)));
	loop_store(b, out, i, code_mul(p, code_number(p, m->gamma), d));
	loop_end(b);
	return out;
}

static Expr *
write_mean(Gp *m, LBuf *kernel, const double *alpha)
{
	Pmml *p = m->p;
	LBuf *a = kernel_table(p, "alpha", DT_F64, m->n, alpha);
	LBuilder *b = code(p);
	LVar *mean = loop_var(b, "mean", code_number(p, 0));
	Expr *i = loop_for(b, "i", 0, m->n);

	loop_set(b, mean, code_add(p, loop_get(b, mean),
	                           code_mul(p, loop_load(b, a, i), loop_load(b, kernel, i))));
	loop_end(b);
	return loop_get(b, mean);
}

/* v = L^-1 k row by row; sqrt(gamma - |v|^2). */
static Expr *
write_deviation(Gp *m, LBuf *kernel, const double *l)
{
	Pmml *p = m->p;
	int n = m->n;
	LBuf *table = kernel_table(p, "factor", DT_F64, n * n, l);
	LBuf *v = kernel_scratch(p, "v", DT_F64, n);
	LBuilder *b = code(p);
	LVar *left = loop_var(b, "left", code_number(p, m->gamma)), *sum;
	Expr *i = loop_for(b, "i", 0, n), *k, *x;

	sum = loop_var(b, "sum", loop_load(b, kernel, i));
	loop_store(b, v, i, code_number(p, 0));
	k = loop_for_expr(b, "k", loop_idx(b, 0), i);
	x = code_mul(p, loop_load(b, table, loop_add(b, loop_affine(b, i, n, 0), k)),
	             loop_load(b, v, k));
	loop_set(b, sum, code_op(p, KOP_SUB, loop_get(b, sum), x));
	loop_end(b);
	x = loop_load(b, table, loop_add(b, loop_affine(b, i, n, 0), i));
	x = code_let(p, "x", code_op(p, KOP_DIV, loop_get(b, sum), x));
	loop_store(b, v, i, x);
	loop_set(b, left, code_op(p, KOP_SUB, loop_get(b, left), code_mul(p, x, x)));
	loop_end(b);
	return code_call(p, "sqrt", loop_op2(b, KOP_MAX, loop_get(b, left), code_number(p, 0)));
}

bool
model_gaussian_process(Pmml *p, const Xml *e, Result *r)
{
	Gp m = {.p = p, .e = e};
	double *l, *alpha;
	LBuf *x, *kernel;

	if (!read_fields(&m) || !read_rows(&m) || !read_kernel(&m))
		return false;
	l = ARENA_ARRAY(p->a, double, m.n * m.n);
	alpha = arena_copy(p->a, m.y, (size_t)m.n * sizeof *m.y);
	if (!factorize(&m, l) || !write_row(&m, &x))
		return false;
	solve(l, m.n, alpha);
	kernel = write_kernels(&m, x);
	r->predicted = value_of(p, TYPE_DOUBLE, write_mean(&m, kernel, alpha));
	if (r->want_error)
		r->standard_error = value_of(
			p, TYPE_DOUBLE, code_let(p, "deviation", write_deviation(&m, kernel, l)));
	return true;
}
