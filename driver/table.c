#include "driver/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/date.h"
#include "ir/num.h"

bool
table_is_csv(const char *file)
{
	size_t n = strlen(file);

	return n > 4 && strcmp(file + n - 4, ".csv") == 0;
}

/* ---- Cells ---- */

typedef struct {
	Job *job;
	const char *file, *p, *end, *line;
	int line_number;
	Str cell; /* the last one */
	const char *raw; /* the same with the blanks around it */
	int column; /* where it started in its line, from 1 */
	bool was_last; /* of its line */
} Csv;

__attribute__((format(printf, 2, 3))) static bool
bad_cell(Csv *c, const char *format, ...)
{
	Loc loc = {.file = c->file, .line = c->line_number, .column = c->column};
	const char *text;
	va_list args;

	va_start(args, format);
	text = arena_vprintf(c->job->diag.arena, format, args);
	va_end(args);
	return diag_report(&c->job->diag, &loc, E_VALUE, "%s", text);
}

/* The text between quotes; two of them are one. */
static bool
read_quoted(Csv *c)
{
	for (c->p++; c->p < c->end; c->p++) {
		if (*c->p == '"') {
			c->p++;
			if (c->p == c->end || *c->p != '"')
				return true;
		}
		str_putc(&c->cell, *c->p);
	}
	return bad_cell(c, "the quoted cell does not end");
}

static bool
is_end_of_cell(const Csv *c)
{
	return c->p == c->end || *c->p == ',' || *c->p == '\n' || *c->p == '\r';
}

/* The next cell, without blanks around it. */
static bool
read_cell(Csv *c)
{
	const char *start = c->p;

	str_init(&c->cell, c->job->arena);
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\t'))
		c->p++;
	c->column = (int)(c->p - c->line) + 1;
	if (c->p < c->end && *c->p == '"') {
		if (!read_quoted(c))
			return false;
		while (c->p < c->end && (*c->p == ' ' || *c->p == '\t'))
			c->p++;
		if (!is_end_of_cell(c))
			return bad_cell(c, "there is something behind the quotes");
	}
	while (!is_end_of_cell(c))
		str_putc(&c->cell, *c->p++);
	c->raw = arena_strndup(c->job->arena, start, (size_t)(c->p - start));
	while (c->cell.n > 0 && strchr(" \t", c->cell.s[c->cell.n - 1]))
		c->cell.s[--c->cell.n] = 0;
	c->was_last = c->p == c->end || *c->p != ',';
	if (c->p < c->end && *c->p == '\r')
		c->p++;
	if (c->p < c->end)
		c->p++;
	return true;
}

static void
start_line(Csv *c)
{
	c->line = c->p;
	c->line_number++;
}

/* ---- Values ---- */

static bool
is_number(const char *s, double *out)
{
	char *end;

	*out = strtod(s, &end);
	return end != s && !*end;
}

/* The number of a label: by its text, or by the number that both are. */
static int
find_label(const Field *f, const char *text)
{
	double x, y;

	for (int i = 0; i < f->nlabels; i++)
		if (strcmp(f->label[i], text) == 0)
			return i;
	for (int i = 0; i < f->nlabels && is_number(text, &x); i++)
		if (is_number(f->label[i], &y) && x == y)
			return i;
	if (f->nlabels != 2 || strcmp(f->label[0], "false") != 0 ||
	    strcmp(f->label[1], "true") != 0)
		return -1;
	if (strcmp(text, "1") == 0 || strcmp(text, "True") == 0 || strcmp(text, "TRUE") == 0)
		return 1;
	return strcmp(text, "0") == 0 || strcmp(text, "False") == 0 || strcmp(text, "FALSE") == 0
	               ? 0
	               : -1;
}

static bool
is_missing(const Field *f, const char *s)
{
	return !*s || ((strcmp(s, "NA") == 0 || strcmp(s, "N/A") == 0) && find_label(f, s) < 0);
}

static bool
read_value(Csv *c, const Field *f, double *out)
{
	const char *s = c->cell.n ? c->cell.s : "";
	int label;

	if (is_missing(f, s)) {
		*out = f->kind == FIELD_category ? -1 : (double)NAN;
		return true;
	}
	switch (f->kind) {
	case FIELD_category:
		/* Labels may have blanks of their own. */
		label = find_label(f, c->raw);
		label = label >= 0 ? label : find_label(f, s);
		*out = label >= 0 ? label : f->nlabels;
		return label >= 0 || f->other || bad_cell(c, "'%.60s' is no %s", s, f->name);
	case FIELD_date:
		if (date_parse(s, out))
			return true;
		break;
	case FIELD_time:
		if (date_parse_time(s, out))
			return true;
		break;
	case FIELD_date_time:
		if (date_parse_both(s, out))
			return true;
		break;
	case FIELD_number:
	case FIELD_KIND_COUNT: break;
	}
	return is_number(s, out) || bad_cell(c, "'%.60s' is no number", s);
}

static void
store(Arrays *x, const Field *f, size_t row, double v)
{
	Array *a = &x->input[f->index];
	size_t i = row * (size_t)type_numel(&a->type) + (size_t)f->element;

	if (dtype_is_float(a->type.dtype))
		num_store(a->type.dtype, a->memory, i, v);
	else
		num_store_int(a->type.dtype, a->memory, i, (int64_t)v);
}

/* ---- Reading ---- */

/* Lines behind the first, but for empty ones. */
static size_t
count_lines(const Csv *c)
{
	size_t n = 1;

	for (const char *s = c->p; s < c->end; s++)
		n += *s == '\n';
	return n;
}

typedef VEC(const Field *) Columns;

static bool
read_names(Csv *c, const Graph *g, Columns *columns)
{
	bool *seen = ARENA_ARRAY(c->job->arena, bool, g->input_fields.n);

	start_line(c);
	do {
		const Field *f = NULL;

		if (!read_cell(c))
			return false;
		for (int i = 0; i < g->input_fields.n; i++)
			if (c->cell.n && !seen[i] &&
			    strcmp(g->input_fields.v[i].name, c->cell.s) == 0) {
				f = &g->input_fields.v[i];
				seen[i] = true;
			}
		VEC_PUSH(c->job->arena, columns, f);
	} while (!c->was_last);
	for (int i = 0; i < g->input_fields.n; i++)
		if (!seen[i])
			diag_report(&c->job->diag, &(Loc){.file = c->file, .line = 1, .column = 1},
			            W_MODEL, "there is no column '%s'; it is missing in every row",
			            g->input_fields.v[i].name);
	return true;
}

static bool
read_row(Csv *c, Arrays *x, const Graph *g, const Columns *columns, size_t row)
{
	int n = 0;
	double v;

	for (int i = 0; i < g->input_fields.n; i++)
		store(x, &g->input_fields.v[i], row,
		      g->input_fields.v[i].kind == FIELD_category ? -1 : (double)NAN);
	do {
		if (!read_cell(c))
			return false;
		if (n == columns->n)
			return bad_cell(c, "there are more cells than the %d of the first line", n);
		if (columns->v[n]) {
			if (!read_value(c, columns->v[n], &v))
				return false;
			store(x, columns->v[n], row, v);
		}
		n++;
	} while (!c->was_last);
	return n == columns->n ||
	       bad_cell(c, "there are %d cells, but %d in the first line", n, columns->n);
}

static bool
make_room(Arrays *x, Job *j, const char *file, size_t rows)
{
	for (int i = 0; i < x->ninputs; i++) {
		Array *a = &x->input[i];
		size_t bytes;

		a->file = file;
		a->stride = type_bytes(&a->type);
		if (!size_mul(rows, a->stride, &bytes))
			return diag_report(&j->diag, &(Loc){.file = file}, E_SIZE,
			                   "the file has too many rows");
		a->memory = arena_alloc(j->arena, bytes);
		a->npy.data = a->memory;
	}
	return true;
}

bool
table_read(Arrays *x, Job *j, const char *file)
{
	const Graph *g = j->graph;
	Csv c = {.job = j, .file = file};
	Columns columns = {0};
	FileBytes bytes;
	size_t row = 0;

	if (!graph_has_input_fields(g))
		return diag_report(&j->diag, &(Loc){.file = file}, E_NAME,
		                   "the model does not name its fields, so it needs .npy files");
	if (!file_read(j->arena, file, &bytes, &j->diag))
		return false;
	c.p = (const char *)bytes.data;
	c.end = c.p + bytes.size;
	if (bytes.size >= 3 && memcmp(c.p, "\xef\xbb\xbf", 3) == 0)
		c.p += 3;
	if (!read_names(&c, g, &columns) || !make_room(x, j, file, count_lines(&c)))
		return false;
	while (c.p < c.end) {
		start_line(&c);
		/* One column of which a cell is missing looks like an empty line. */
		if (columns.n > 1 && (*c.p == '\n' || *c.p == '\r')) {
			c.p += *c.p == '\r' && c.p + 1 < c.end && c.p[1] == '\n' ? 2 : 1;
			continue;
		}
		if (!read_row(&c, x, g, &columns, row++))
			return false;
	}
	x->calls = row;
	x->is_batched = true;
	return true;
}

/* ---- Writing ---- */

static void
print_cell(Str *s, const char *text)
{
	if (!text[strcspn(text, "\",\n\r")] && *text != ' ') {
		str_puts(s, text);
		return;
	}
	str_putc(s, '"');
	for (; *text; text++) {
		if (*text == '"')
			str_putc(s, '"');
		str_putc(s, *text);
	}
	str_putc(s, '"');
}

static void
print_value(Str *s, const Arrays *x, const Field *f, size_t row)
{
	const Array *a = &x->output[f->index];
	size_t i = row * (size_t)type_numel(&a->type) + (size_t)f->element;
	char text[NUM_TEXT];
	double v = num_load(a->type.dtype, a->memory, i);
	size_t n;

	if (f->kind == FIELD_category && (f->nlabels > 0 || (f->missing && v < 0))) {
		if (v >= 0 && v < f->nlabels)
			print_cell(s, f->label[(int)v]);
		return;
	}
	if (isnan(v))
		return;
	if (a->type.dtype == DT_F32)
		num_float_text(text, (float)v);
	else
		num_double_text(text, v);
	n = strlen(text);
	if (n > 2 && strcmp(text + n - 2, ".0") == 0)
		text[n - 2] = 0;
	str_puts(s, text);
}

void
table_print(Str *s, const Arrays *x, const Graph *g)
{
	for (int i = 0; i < g->output_fields.n; i++) {
		str_puts(s, i ? "," : "");
		print_cell(s, g->output_fields.v[i].name);
	}
	str_putc(s, '\n');
	for (size_t row = 0; row < x->calls; row++)
		for (int i = 0; i < g->output_fields.n; i++) {
			print_value(s, x, &g->output_fields.v[i], row);
			str_putc(s, i + 1 < g->output_fields.n ? ',' : '\n');
		}
}
