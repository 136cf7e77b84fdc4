/*
 * Attributes, arrays and errors.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/pmml/pmml.h"

Loc
pmml_loc(const Pmml *p, const Xml *e)
{
	return (Loc){.file = p->file->path, .line = e->line, .column = e->column};
}

/* With `more` behind the text. */
__attribute__((format(printf, 5, 0))) static void
report(Pmml *p, const Xml *e, DiagCode code, const char *more, const char *format, va_list args)
{
	Loc loc = pmml_loc(p, e);
	const char *text = arena_vprintf(p->d->arena, format, args);

	diag_report(p->d, &loc, code, "<%.60s>: %s%s", e->name, text, more);
}

bool
pmml_error(Pmml *p, const Xml *e, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(p, e, E_MALFORMED, "", format, args);
	va_end(args);
	return false;
}

bool
pmml_unsupported(Pmml *p, const Xml *e, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(p, e, E_UNSUPPORTED, " is not supported", format, args);
	va_end(args);
	return false;
}

enum { MAX_NESTED = 400 };

bool
pmml_enter(Pmml *p, const Xml *e)
{
	if (p->depth == MAX_NESTED)
		return pmml_error(p, e, "expressions or models are nested too deep");
	p->depth++;
	return true;
}

void
pmml_leave(Pmml *p)
{
	p->depth--;
}

const char *
pmml_need(Pmml *p, const Xml *e, const char *name)
{
	const char *s = xml_attr(e, name);

	if (!s)
		pmml_error(p, e, "the attribute '%s' is missing", name);
	return s;
}

const Xml *
pmml_need_child(Pmml *p, const Xml *e, const char *name)
{
	const Xml *c = xml_child(e, name);

	if (!c)
		pmml_error(p, e, "there is no <%s> in it", name);
	return c;
}

/* ---- Numbers ---- */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool
pmml_parse_number(const char *text, double *out)
{
	static const struct {
		const char *word;
		double value;
	} special[] = {{"INF", HUGE_VAL}, {"-INF", -HUGE_VAL}, {"+INF", HUGE_VAL},
	               {"Infinity", HUGE_VAL}, {"-Infinity", -HUGE_VAL}, {"NaN", (double)NAN}};
	char *end;

	while (is_blank(*text))
		text++;
	for (size_t i = 0; i < sizeof special / sizeof *special; i++)
		if (strcmp(text, special[i].word) == 0) {
			*out = special[i].value;
			return true;
		}
	/* No hexadecimal numbers, no words of the C library. */
	if (!strchr("+-.0123456789", *text) || !*text || text[strcspn(text, "xXnNiI")])
		return false;
	errno = 0;
	*out = strtod(text, &end);
	while (is_blank(*end))
		end++;
	return !*end;
}

bool
pmml_number_or(Pmml *p, const Xml *e, const char *name, double otherwise, double *out)
{
	const char *s = xml_attr(e, name);

	*out = otherwise;
	if (!s)
		return true;
	return pmml_parse_number(s, out) ||
	       pmml_error(p, e, "%s=\"%.60s\" is no number", name, s);
}

bool
pmml_number(Pmml *p, const Xml *e, const char *name, double *out)
{
	return pmml_need(p, e, name) && pmml_number_or(p, e, name, 0, out);
}

bool
pmml_int_or(Pmml *p, const Xml *e, const char *name, int otherwise, int lo, int hi, int *out)
{
	double v;

	if (!pmml_number_or(p, e, name, otherwise, &v))
		return false;
	if (!(v >= lo && v <= hi) || v != floor(v))
		return pmml_error(p, e, "%s is %g; it must be a whole number in [%d, %d]", name, v,
		                  lo, hi);
	*out = (int)v;
	return true;
}

bool
pmml_word(Pmml *p, const Xml *e, const char *name, const char *const *words, int otherwise,
          int *out)
{
	const char *s = xml_attr(e, name);

	*out = otherwise;
	if (!s)
		return true;
	for (int i = 0; words[i]; i++)
		if (strcmp(s, words[i]) == 0) {
			*out = i;
			return true;
		}
	return pmml_unsupported(p, e, "%s=\"%.60s\"", name, s);
}

bool
pmml_flag(Pmml *p, const Xml *e, const char *name, bool otherwise, bool *out)
{
	static const char *const words[] = {"false", "true", "0", "1", NULL};
	int word;

	if (!pmml_word(p, e, name, words, otherwise, &word))
		return false;
	*out = word & 1;
	return true;
}

bool
ptype_attr(Pmml *p, const Xml *e, const char *name, PType otherwise, PType *out)
{
	const char *s = xml_attr(e, name);

	*out = otherwise;
	if (!s)
		return true;
	for (int t = 0; t < TYPE_COUNT; t++)
		if (strcmp(ptype_info[t].name, s) == 0) {
			*out = (PType)t;
			return true;
		}
	return pmml_unsupported(p, e, "%s=\"%.60s\"", name, s);
}

/* ---- Arrays ---- */

/* One word at *s; quotes keep blanks in it, \" is a quote. */
static const char *
take_word(Pmml *p, const char **s)
{
	size_t n = 0, length;
	char *word;

	if (**s != '"') {
		length = strcspn(*s, " \t\r\n");
		*s += length;
		return arena_strndup(p->a, *s - length, length);
	}
	length = 1;
	while ((*s)[length] && (*s)[length] != '"')
		length += (*s)[length] == '\\' && (*s)[length + 1] ? 2 : 1;
	word = arena_alloc(p->a, length + 1);
	for (size_t i = 1; i < length; i++) {
		if ((*s)[i] == '\\' && ((*s)[i + 1] == '"' || (*s)[i + 1] == '\\'))
			i++;
		word[n++] = (*s)[i];
	}
	*s += length + ((*s)[length] == '"');
	return word;
}

bool
pmml_words(Pmml *p, const Xml *array, Words *out)
{
	const char *s = array->text;
	int n;

	*out = (Words){0};
	if (!pmml_int_or(p, array, "n", -1, -1, INT32_MAX, &n))
		return false;
	for (;;) {
		while (is_blank(*s))
			s++;
		if (!*s)
			break;
		VEC_PUSH(p->a, out, take_word(p, &s));
	}
	if (n >= 0 && n != out->n)
		return pmml_error(p, array, "n is %d, but there are %d elements", n, out->n);
	return true;
}

static bool
read_sparse(Pmml *p, const Xml *array, bool is_int, int *n, double **out)
{
	const Xml *indices = xml_child(array, "Indices");
	const Xml *entries = xml_child(array, is_int ? "INT-Entries" : "REAL-Entries");
	Words at = {0}, values = {0};
	double otherwise, index;

	if (!pmml_number_or(p, array, "defaultValue", 0, &otherwise) ||
	    (indices && !pmml_words(p, indices, &at)) ||
	    (entries && !pmml_words(p, entries, &values)))
		return false;
	if (at.n != values.n)
		return pmml_error(p, array, "%d indices, but %d entries", at.n, values.n);
	if (!pmml_int_or(p, array, "n", at.n, 0, 1 << 24, n))
		return false;
	*out = ARENA_ARRAY(p->a, double, *n);
	for (int i = 0; i < *n; i++)
		(*out)[i] = otherwise;
	for (int i = 0; i < at.n; i++) {
		if (!pmml_parse_number(at.v[i], &index) || !(index >= 1 && index <= *n) ||
		    index != floor(index))
			return pmml_error(p, array, "'%.60s' is no index", at.v[i]);
		if (!pmml_parse_number(values.v[i], &(*out)[(int)index - 1]))
			return pmml_error(p, array, "'%.60s' is no number", values.v[i]);
	}
	return true;
}

bool
pmml_numbers(Pmml *p, const Xml *array, int *n, double **out)
{
	Words words;

	if (xml_is(array, "REAL-SparseArray") || xml_is(array, "INT-SparseArray"))
		return read_sparse(p, array, xml_is(array, "INT-SparseArray"), n, out);
	if (!pmml_words(p, array, &words))
		return false;
	*n = words.n;
	*out = ARENA_ARRAY(p->a, double, words.n);
	for (int i = 0; i < words.n; i++)
		if (!pmml_parse_number(words.v[i], &(*out)[i]))
			return pmml_error(p, array, "'%.60s' is no number", words.v[i]);
	return true;
}

/* ---- Tables ---- */

const Xml *
pmml_cell(const Xml *row, const char *column)
{
	const char *local = strchr(column, ':');

	return xml_child(row, local ? local + 1 : column);
}

/* ---- <Matrix> ---- */

enum { MAX_MATRIX = 1 << 10 }; /* rows or columns */

typedef struct {
	const Xml *e;
	bool is_symmetric;
	int rows, cols;
	double *v;
} MatrixReader;

static void
put_entry(MatrixReader *m, int row, int col, double v)
{
	m->v[row * m->cols + col] = v;
	if (m->is_symmetric)
		m->v[col * m->cols + row] = v;
}

/* Entries one by one, counted from 1. */
static bool
read_matrix_cells(Pmml *p, MatrixReader *m)
{
	for (const Xml *c = xml_child(m->e, "MatCell"); c; c = xml_same(c)) {
		int row, col;
		double v;

		if (!pmml_need(p, c, "row") || !pmml_need(p, c, "col") ||
		    !pmml_int_or(p, c, "row", 1, 1, m->rows, &row) ||
		    !pmml_int_or(p, c, "col", 1, 1, m->cols, &col))
			return false;
		if (!pmml_parse_number(c->text, &v))
			return pmml_error(p, c, "'%.60s' is no number", c->text);
		put_entry(m, row - 1, col - 1, v);
	}
	return true;
}

/* A row each; of a symmetric matrix up to the diagonal, of a diagonal one that alone. */
static bool
read_matrix_arrays(Pmml *p, MatrixReader *m, bool is_diagonal)
{
	int row = 0;

	for (const Xml *c = xml_child(m->e, "Array"); c; c = xml_same(c), row++) {
		int n, want = m->is_symmetric ? row + 1 : is_diagonal ? m->rows : m->cols;
		double *v;

		if (!pmml_numbers(p, c, &n, &v))
			return false;
		if (n != want || row >= (is_diagonal ? 1 : m->rows))
			return pmml_error(p, c, "the matrix has %d rows and %d columns", m->rows,
			                  m->cols);
		for (int i = 0; i < n; i++)
			put_entry(m, is_diagonal ? i : row, i, v[i]);
	}
	return true;
}

bool
pmml_matrix(Pmml *p, const Xml *e, int *rows, int *cols, double **out)
{
	static const char *const kinds[] = {"any", "diagonal", "symmetric", NULL};
	const Xml *first = xml_child(e, "Array");
	MatrixReader m = {.e = e};
	int kind, n = 0, arrays = xml_count(e, "Array");
	double on, off, *v;

	if (!pmml_word(p, e, "kind", kinds, 0, &kind) ||
	    !pmml_number_or(p, e, "diagDefault", 0, &on) ||
	    !pmml_number_or(p, e, "offDiagDefault", 0, &off) ||
	    (first && !pmml_numbers(p, first, &n, &v)))
		return false;
	m.is_symmetric = kind == 2;
	if (!pmml_int_or(p, e, "nbRows", kind == 1 ? n : arrays, 1, MAX_MATRIX, &m.rows) ||
	    !pmml_int_or(p, e, "nbCols", kind == 0 ? n : m.rows, 1, MAX_MATRIX, &m.cols))
		return false;
	if (kind != 0 && m.rows != m.cols)
		return pmml_error(p, e, "it is not square");
	m.v = ARENA_ARRAY(p->a, double, m.rows * m.cols);
	for (int i = 0; i < m.rows * m.cols; i++)
		m.v[i] = i / m.cols == i % m.cols ? on : off;
	*rows = m.rows;
	*cols = m.cols;
	*out = m.v;
	return read_matrix_arrays(p, &m, kind == 1) && read_matrix_cells(p, &m);
}
