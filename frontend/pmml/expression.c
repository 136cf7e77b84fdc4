/*
 * Expressions: what computes a derived field from others.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/pmml/pmml.h"

/* Where the expression's value is missing, what mapMissingTo says. */
static bool
map_missing(Pmml *p, const Xml *e, Expr *missing, Val *v)
{
	const char *text = xml_attr(e, "mapMissingTo");
	Val other;

	if (!text || (missing->kind == E_CONST && !missing->u.i))
		return true;
	return value_constant(p, e, text, v->type, v->labels, &other) &&
	       value_select(p, e, missing, other, *v, v);
}

/* ---- Constant, FieldRef ---- */

static PType
type_of_text(const char *text)
{
	double number;

	if (!pmml_parse_number(text, &number))
		return TYPE_STRING;
	return text[strcspn(text, ".eENI")] ? TYPE_DOUBLE : TYPE_INTEGER;
}

static bool
read_constant(Pmml *p, const Xml *e, Val *out)
{
	const char *text = e->text;
	bool missing;
	PType t;

	if (!pmml_flag(p, e, "missing", false, &missing) ||
	    !ptype_attr(p, e, "dataType", type_of_text(text), &t))
		return false;
	if (missing) {
		*out = value_missing(p, t, NULL);
		return true;
	}
	if (ptype_info[t].kind != KIND_LABEL)
		text = xml_trimmed(p->a, e);
	return value_constant(p, e, text, t, labels_new(p), out);
}

static bool
read_field_ref(Pmml *p, const Xml *e, Val *out)
{
	const char *name = pmml_need(p, e, "field");

	return name && field_value(p, e, name, out) &&
	       map_missing(p, e, value_is_missing(p, out), out);
}

/* ---- NormContinuous, NormDiscrete ---- */

typedef struct {
	double orig, norm;
} Point;

static int
compare_points(const void *x, const void *y)
{
	double a = ((const Point *)x)->orig, b = ((const Point *)y)->orig;

	return (a > b) - (a < b);
}

static bool
read_points(Pmml *p, const Xml *e, int *n, Point **out)
{
	*n = 0;
	*out = ARENA_ARRAY(p->a, Point, xml_count(e, "LinearNorm"));
	for (const Xml *c = xml_child(e, "LinearNorm"); c; c = xml_same(c), ++*n)
		if (!pmml_number(p, c, "orig", &(*out)[*n].orig) ||
		    !pmml_number(p, c, "norm", &(*out)[*n].norm))
			return false;
	if (*n < 2)
		return pmml_error(p, e, "it needs at least two <LinearNorm>");
	qsort(*out, (size_t)*n, sizeof **out, compare_points);
	for (int i = 1; i < *n; i++)
		if (!((*out)[i - 1].orig < (*out)[i].orig))
			return pmml_error(p, e, "two <LinearNorm> have the same orig");
	return true;
}

/* The line through two points, as the standard writes it. */
static Expr *
line_through(Pmml *p, Expr *x, const Point *a, const Point *b)
{
	Expr *y = code_op(p, KOP_SUB, x, code_number(p, a->orig));

	y = code_op(p, KOP_DIV, y, code_number(p, b->orig - a->orig));
	return code_add(p, code_number(p, a->norm),
	                code_mul(p, y, code_number(p, b->norm - a->norm)));
}

static bool
read_norm_continuous(Pmml *p, const Xml *e, Val *out)
{
	static const char *const words[] = {"asIs", "asMissingValues", "asExtremeValues", NULL};
	const char *name = pmml_need(p, e, "field");
	Point *point;
	Expr *x, *y, *low, *high;
	int n, how;
	Val v;

	if (!name || !field_value(p, e, name, &v) || !value_to_number(p, e, v, &x) ||
	    !read_points(p, e, &n, &point) || !pmml_word(p, e, "outliers", words, 0, &how))
		return false;
	x = code_let(p, name, x);
	y = line_through(p, x, &point[n - 2], &point[n - 1]);
	for (int i = n - 3; i >= 0; i--) {
		y = code_select(p, code_op(p, KOP_LE, x, code_number(p, point[i + 1].orig)),
		                line_through(p, x, &point[i], &point[i + 1]), y);
		y = code_link(p, "norm", y, i);
	}
	low = code_op(p, KOP_LT, x, code_number(p, point[0].orig));
	high = code_op(p, KOP_GT, x, code_number(p, point[n - 1].orig));
	if (how == 1)
		y = code_select(p, code_or(p, low, high), code_number(p, (double)NAN), y);
	if (how == 2)
		y = code_select(p, low, code_number(p, point[0].norm),
		                code_select(p, high, code_number(p, point[n - 1].norm), y));
	*out = value_of(p, TYPE_DOUBLE, y);
	out->never_missing = v.never_missing && how != 1;
	return map_missing(p, e, value_is_missing(p, &v), out);
}

static bool
read_norm_discrete(Pmml *p, const Xml *e, Val *out)
{
	const char *name = pmml_need(p, e, "field"), *text = pmml_need(p, e, "value");
	Expr *same, *y, *missing;
	Val v, constant;

	if (!name || !text || !field_value(p, e, name, &v) ||
	    !value_constant(p, e, text, v.type, v.labels, &constant) ||
	    !value_compare(p, e, KOP_EQ, v, constant, &same))
		return false;
	missing = value_is_missing(p, &v);
	y = code_select(p, same, code_number(p, 1), code_number(p, 0));
	*out = value_of(p, TYPE_DOUBLE, y);
	out->never_missing = v.never_missing;
	if (xml_attr(e, "mapMissingTo"))
		return map_missing(p, e, missing, out);
	out->e = code_select(p, missing, code_number(p, (double)NAN), y);
	return true;
}

/* ---- Discretize ---- */

/* The type of the results where the file does not say it. */
static PType
common_type(const Xml *parent, const char *child, const char *attr)
{
	for (const Xml *c = xml_child(parent, child); c; c = xml_same(c)) {
		const char *text = xml_attr(c, attr);

		if (text && type_of_text(text) == TYPE_STRING)
			return TYPE_STRING;
	}
	return TYPE_DOUBLE;
}

static PType
target_type(const Xml *e, PType otherwise)
{
	/* A derived field's own type says what its constants are. */
	const char *s = xml_is(e->parent, "DerivedField") ? xml_attr(e->parent, "dataType") : NULL;

	for (int t = 0; s && t < TYPE_COUNT; t++)
		if (strcmp(ptype_info[t].name, s) == 0)
			return (PType)t;
	return otherwise;
}

static bool
default_value(Pmml *p, const Xml *e, PType t, Labels *l, Val *out)
{
	const char *text = xml_attr(e, "defaultValue");

	*out = value_missing(p, t, l);
	return !text || value_constant(p, e, text, t, l, out);
}

static bool
read_discretize(Pmml *p, const Xml *e, Val *out)
{
	const char *name = pmml_need(p, e, "field");
	PType t = target_type(e, common_type(e, "DiscretizeBin", "binValue"));
	Labels *l = labels_new(p);
	VEC(const Xml *) bins = {0};
	Expr *x;
	Val v;

	if (!name || !field_value(p, e, name, &v) || !value_to_number(p, e, v, &x) ||
	    !ptype_attr(p, e, "dataType", t, &t) || !default_value(p, e, t, l, out))
		return false;
	x = code_let(p, name, x);
	for (const Xml *c = xml_child(e, "DiscretizeBin"); c; c = xml_same(c))
		VEC_PUSH(p->a, &bins, c);
	for (int i = bins.n - 1; i >= 0; i--) {
		const char *text = pmml_need(p, bins.v[i], "binValue");
		const Xml *interval = pmml_need_child(p, bins.v[i], "Interval");
		Expr *inside;
		Val bin;

		if (!text || !interval || !interval_contains(p, interval, x, &inside) ||
		    !value_constant(p, bins.v[i], text, t, l, &bin) ||
		    !value_select(p, e, inside, bin, *out, out))
			return false;
		*out = value_link(p, "bin", *out, i);
	}
	if (!v.never_missing &&
	    !value_select(p, e, value_is_missing(p, &v), value_missing(p, t, l), *out, out))
		return false;
	return map_missing(p, e, value_is_missing(p, &v), out);
}

/* ---- MapValues ---- */

enum { MAX_PAIRS = 16, MAX_TABLE = 1 << 16 };

typedef struct {
	Pmml *p;
	const Xml *e;
	int n; /* fields */
	Val v[MAX_PAIRS];
	const char *column[MAX_PAIRS];
	const char *output;
	PType type;
	Labels *labels; /* of the result */
	Val otherwise;
} Map;

static const char *
cell(Pmml *p, const Xml *row, const char *column)
{
	const Xml *c = pmml_cell(row, column);

	return c ? xml_trimmed(p->a, c) : NULL;
}

static bool
read_pairs(Map *m)
{
	for (const Xml *c = xml_child(m->e, "FieldColumnPair"); c; c = xml_same(c)) {
		const char *field = pmml_need(m->p, c, "field");

		if (m->n == MAX_PAIRS)
			return pmml_unsupported(m->p, c, "a map from more than %d fields",
			                        MAX_PAIRS);
		m->column[m->n] = pmml_need(m->p, c, "column");
		if (!field || !m->column[m->n] || !field_value(m->p, c, field, &m->v[m->n]))
			return false;
		m->v[m->n] = value_let(m->p, field, m->v[m->n]);
		m->n++;
	}
	return m->n > 0 || pmml_error(m->p, m->e, "there is no <FieldColumnPair> in it");
}

/* The type of the output column where nothing says it. */
static PType
column_type(Pmml *p, const Xml *table, const char *column)
{
	for (const Xml *row = xml_child(table, "row"); row; row = xml_same(row)) {
		const char *text = cell(p, row, column);

		if (text && type_of_text(text) == TYPE_STRING)
			return TYPE_STRING;
	}
	return TYPE_DOUBLE;
}

/* Entries of a table over all labels of the fields; 0: not by table. */
static int32_t
table_size(const Map *m)
{
	int32_t size = 1;

	for (int i = 0; i < m->n; i++) {
		if (value_kind(&m->v[i]) != KIND_LABEL || m->v[i].labels->v.n == 0 ||
		    m->v[i].labels->v.n > MAX_TABLE / size)
			return 0;
		size *= m->v[i].labels->v.n;
	}
	return size;
}

/* Labels that rows have must be known before a table is made. */
static void
collect_labels(const Map *m, const Xml *table)
{
	for (const Xml *row = xml_child(table, "row"); row; row = xml_same(row))
		for (int i = 0; i < m->n; i++) {
			const char *text = cell(m->p, row, m->column[i]);

			if (text && value_kind(&m->v[i]) == KIND_LABEL)
				labels_add(m->p, m->v[i].labels, text);
		}
}

/* The number or label that a cell is; without one the row maps to nothing. */
static bool
cell_value(Map *m, const Xml *row, Val *out)
{
	const char *text = cell(m->p, row, m->output);

	*out = value_missing(m->p, m->type, m->labels);
	return !text || value_constant(m->p, row, text, m->type, m->labels, out);
}

static double
constant_entry(const Val *v)
{
	return v->e->type == DT_F64 ? v->e->u.f : (double)v->e->u.i;
}

static bool
map_by_table(Map *m, const Xml *table, int32_t size, Val *out)
{
	Pmml *p = m->p;
	double *entry = ARENA_ARRAY(p->a, double, size);
	bool *set = ARENA_ARRAY(p->a, bool, size);
	bool numbers = ptype_info[m->type].kind != KIND_LABEL;
	DType t = numbers ? DT_F64 : DT_I32;
	Expr *index = NULL, *inside = NULL, *e;
	LBuf *buf;

	for (int32_t i = 0; i < size; i++)
		entry[i] = constant_entry(&m->otherwise);
	for (const Xml *row = xml_child(table, "row"); row; row = xml_same(row)) {
		int32_t at = 0;
		bool complete = true;
		Val v;

		for (int i = 0; i < m->n; i++) {
			const char *text = cell(p, row, m->column[i]);

			complete = complete && text;
			at = at * m->v[i].labels->v.n +
			     (text ? labels_find(m->v[i].labels, text) : 0);
		}
		if (!complete || set[at])
			continue;
		if (!cell_value(m, row, &v))
			return false;
		entry[at] = constant_entry(&v);
		set[at] = true;
	}
	for (int i = 0; i < m->n; i++) {
		Expr *k = m->v[i].e;
		int n = m->v[i].labels->v.n;
		Expr *ok = code_and(p, code_op(p, KOP_GE, k, code_int(p, 0)),
		                    code_op(p, KOP_LT, k, code_int(p, n)));

		index = index ? code_add(p, code_mul(p, index, code_int(p, n)), k) : k;
		inside = inside ? code_and(p, inside, ok) : ok;
	}
	buf = kernel_table(p, "map", t, size, entry);
	e = loop_load(code(p), buf, loop_clamp_idx(code(p), index, 0, size - 1));
	e = code_select(p, inside, e, m->otherwise.e);
	*out = numbers ? value_of(p, m->type, e) : value_label(p, m->labels, e);
	return true;
}

static bool
map_by_rows(Map *m, const Xml *table, Val *out)
{
	Pmml *p = m->p;
	VEC(const Xml *) rows = {0};

	*out = m->otherwise;
	for (const Xml *row = xml_child(table, "row"); row; row = xml_same(row))
		VEC_PUSH(p->a, &rows, row);
	for (int r = rows.n - 1; r >= 0; r--) {
		Expr *match = loop_bool(code(p), true), *same;
		Val v, constant;

		for (int i = 0; i < m->n; i++) {
			const char *text = cell(p, rows.v[r], m->column[i]);

			if (!text) {
				match = loop_bool(code(p), false);
				break;
			}
			if (!value_constant(p, rows.v[r], text, m->v[i].type, m->v[i].labels,
			                    &constant) ||
			    !value_compare(p, rows.v[r], KOP_EQ, m->v[i], constant, &same))
				return false;
			match = code_and(p, match, same);
		}
		if (!cell_value(m, rows.v[r], &v) || !value_select(p, m->e, match, v, *out, out))
			return false;
		*out = value_link(p, m->output, *out, r);
	}
	return true;
}

static bool
read_map_values(Pmml *p, const Xml *e, Val *out)
{
	Map m = {.p = p, .e = e, .output = pmml_need(p, e, "outputColumn"),
	         .labels = labels_new(p)};
	const Xml *table = xml_child(e, "InlineTable");
	Expr *missing = NULL;
	int32_t size;

	if (!m.output || !read_pairs(&m))
		return false;
	if (!table)
		return pmml_unsupported(p, e, "a table outside of the file");
	m.type = target_type(e, column_type(p, table, m.output));
	if (!ptype_attr(p, e, "dataType", m.type, &m.type) ||
	    !default_value(p, e, m.type, m.labels, &m.otherwise))
		return false;
	collect_labels(&m, table);
	size = table_size(&m);
	if (ptype_info[m.type].kind == KIND_BOOLEAN)
		size = 0;
	if (size ? !map_by_table(&m, table, size, out) : !map_by_rows(&m, table, out))
		return false;
	for (int i = 0; i < m.n; i++) {
		Expr *one = value_is_missing(p, &m.v[i]);

		missing = missing ? code_or(p, missing, one) : one;
	}
	if ((missing->kind != E_CONST || missing->u.i) &&
	    !value_select(p, e, missing, value_missing(p, m.type, m.labels), *out, out))
		return false;
	return map_missing(p, e, missing, out);
}

/* ---- Apply ---- */

static const Xml *
find_function(const Pmml *p, const char *name)
{
	for (int i = 0; i < p->functions.n; i++) {
		const char *have = xml_attr(p->functions.v[i], "name");

		if (have && strcmp(have, name) == 0)
			return p->functions.v[i];
	}
	return NULL;
}

/* A function of the file: its expression with the parameters as fields. */
static bool
call_function(Pmml *p, const Xml *e, const Xml *function, int n, const Val *x, Val *out)
{
	const Xml *body = expression_child(function);
	Scope *before = p->scope;
	bool ok = true;
	int i = 0;
	PType t;

	if (!body)
		return pmml_error(p, function, "there is no expression in it");
	if (xml_count(function, "ParameterField") != n)
		return pmml_error(p, e, "it has %d arguments, not %d", n,
		                  xml_count(function, "ParameterField"));
	scope_open(p);
	for (const Xml *c = xml_child(function, "ParameterField"); ok && c; c = xml_same(c), i++) {
		const char *name = pmml_need(p, c, "name");
		Val v = x[i];

		ok = name && ptype_attr(p, c, "dataType", v.type, &t) &&
		     value_cast(p, c, v, t, &v);
		if (ok)
			scope_define(p, name, v);
	}
	ok = ok && scope_define_derived(p, function) && expression_read(p, body, out) &&
	     ptype_attr(p, function, "dataType", out->type, &t) &&
	     value_cast(p, function, *out, t, out);
	scope_close(p, before);
	return ok;
}

static bool
read_apply(Pmml *p, const Xml *e, Val *out)
{
	const char *name = pmml_need(p, e, "function"), *text = xml_attr(e, "defaultValue");
	VEC(Val) x = {0};
	Expr *missing = loop_bool(code(p), false);
	const Xml *function;
	bool known = true;
	Val other;

	if (!name)
		return false;
	for (const Xml *c = xml_first(e); c; c = xml_next(c)) {
		Val v;

		if (!expression_read(p, c, &v))
			return false;
		v = value_let(p, "term", v);
		missing = code_or(p, missing, value_is_missing(p, &v));
		VEC_PUSH(p->a, &x, v);
	}
	function = find_function(p, name);
	if (function ? !call_function(p, e, function, x.n, x.v, out)
	             : !function_apply(p, e, name, x.n, x.v, &known, out))
		return known ? false : pmml_unsupported(p, e, "the function '%.60s'", name);
	if (!map_missing(p, e, missing, out))
		return false;
	if (!text)
		return true;
	return value_constant(p, e, text, out->type, out->labels, &other) &&
	       value_select(p, e, value_is_missing(p, out), other, *out, out);
}

/* ---- All of them ---- */

typedef struct {
	const char *name;
	bool (*read)(Pmml *p, const Xml *e, Val *out); /* NULL: not supported */
} ExpressionInfo;

static const ExpressionInfo expressions[] = {
	{"Constant", read_constant},
	{"FieldRef", read_field_ref},
	{"NormContinuous", read_norm_continuous},
	{"NormDiscrete", read_norm_discrete},
	{"Discretize", read_discretize},
	{"MapValues", read_map_values},
	{"Apply", read_apply},
	{"TextIndex", NULL},
	{"Aggregate", NULL},
	{"Lag", NULL},
};
enum { EXPRESSIONS = sizeof expressions / sizeof *expressions };

static const ExpressionInfo *
find_expression(const Xml *e)
{
	for (int i = 0; i < EXPRESSIONS; i++)
		if (xml_is(e, expressions[i].name))
			return &expressions[i];
	return NULL;
}

bool
expression_is(const Xml *e)
{
	return find_expression(e) != NULL;
}

const Xml *
expression_child(const Xml *e)
{
	const Xml *c = xml_first(e);

	while (c && !expression_is(c))
		c = xml_next(c);
	return c;
}

bool
expression_read(Pmml *p, const Xml *e, Val *out)
{
	const ExpressionInfo *info = find_expression(e);
	bool ok;

	if (!info)
		return pmml_error(p, e, "it is no expression");
	if (!info->read)
		return pmml_unsupported(p, e, "this expression");
	if (!pmml_enter(p, e))
		return false;
	ok = info->read(p, e, out);
	pmml_leave(p);
	return ok;
}
