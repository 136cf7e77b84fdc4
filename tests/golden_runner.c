/*
 * Runs golden files: golden_runner FILE...
 *
 *	; run: -passes=simplify,dce
 *	; what is to be seen here
 *	graph @g(%x: f32[4]) {
 *	  ...
 *	}
 *	----
 *	the graph that comes out, "unchanged", or the errors
 *
 * Where a graph comes out, both graphs are run in the interpreter on the same numbers
 * and have to give the same bits, or with a pass that changes roundings nearly so.
 *
 * With UPDATE_GOLDEN=1 in the environment the part below the line is rewritten; then
 * read the difference before you commit it.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/lower.h"
#include "ir/num.h"
#include "passes/pass.h"

static char *
read_file(Arena *a, const char *path)
{
	FILE *f = fopen(path, "rb");
	char buffer[4096];
	Str s;
	size_t n;

	if (!f)
		return NULL;
	str_init(&s, a);
	while ((n = fread(buffer, 1, sizeof buffer, f)) > 0)
		str_write(&s, buffer, n);
	fclose(f);
	return s.s;
}

static void
print_errors(Str *out, const Diag *d)
{
	for (const Message *m = d->first; m; m = m->next) {
		if (m->kind == DIAG_ERROR)
			str_printf(out, "error E%04d ", diag_info[m->code].number);
		else
			str_puts(out, "note ");
		if (m->loc.line)
			str_printf(out, "%d:%d: ", m->loc.line, m->loc.column);
		str_printf(out, "%s\n", m->text);
	}
}

static const char *
print(Arena *a, const Graph *g)
{
	Str s;

	str_init(&s, a);
	graph_print(&s, g);
	return s.s;
}

/* ---- Running graphs ---- */

/* Zeros, ones, numbers that round and overflow; to be within reach of a tolerance
 * only those that do not. */
static double
sample(uint32_t *seed, bool moderate)
{
	static const double special[] = {0, -0.0, 1, -1, 0.5, 6, -7, 3e38, 1e-40, (double)INFINITY,
	                                 -(double)INFINITY, (double)NAN};
	uint32_t r;

	*seed = *seed * 1664525u + 1013904223u;
	r = *seed >> 8;
	if (moderate || r % 3)
		return (double)(r % 4001) / 200 - 10;
	return special[r / 3 % (sizeof special / sizeof special[0])];
}

static void *
sample_input(Arena *a, const Type *t, uint32_t *seed, bool moderate)
{
	void *data = arena_alloc(a, type_bytes(t));

	for (int32_t i = 0; i < type_numel(t); i++) {
		double v = sample(seed, moderate);

		if (dtype_is_float(t->dtype))
			num_store(t->dtype, data, (size_t)i, v);
		else
			num_store_int(t->dtype, data, (size_t)i, fabs(v) < 100 ? (int64_t)v : 77);
	}
	return data;
}

/* Fills the memory of all values, by id. */
static void
run_node(Arena *a, const Node *n, void **memory)
{
	LFunc *f = node_lower(a, n);
	void **bufs = ARENA_ARRAY(a, void *, f->bufs.n);
	int k = 0;

	for (int i = 0; i < n->nins; i++)
		if (n->in[i])
			bufs[k++] = memory[n->in[i]->id];
	for (int i = 0; i < n->nouts; i++) {
		if (n->out[i]) {
			memory[n->out[i]->id] = arena_alloc(a, type_bytes(&n->out[i]->type));
			bufs[k++] = memory[n->out[i]->id];
		}
	}
	lfunc_run(a, f, bufs);
}

static void **
run_graph(Arena *a, const Graph *g, bool moderate)
{
	void **memory = ARENA_ARRAY(a, void *, g->values.n);
	uint32_t seed = 1;

	for (int i = 0; i < g->values.n; i++)
		if (value_is_const(g->values.v[i]))
			memory[i] = arena_copy(a, g->values.v[i]->data, type_bytes(&g->values.v[i]->type));
	for (int i = 0; i < g->inputs.n; i++)
		memory[g->inputs.v[i]->id] = sample_input(a, &g->inputs.v[i]->type, &seed, moderate);
	for (const Node *n = g->first; n; n = n->next)
		run_node(a, n, memory);
	return memory;
}

static bool
same_number(DType t, const void *x, const void *y, size_t i, bool nearly)
{
	double p = num_load(t, x, i), q = num_load(t, y, i);

	if (nearly)
		return fabs(p - q) <= 1e-5 * (1 + fabs(p));
	if (isnan(p) || isnan(q))
		return isnan(p) && isnan(q);
	if (dtype_is_float(t))
		return p == q && signbit(p) == signbit(q);
	return num_load_int(t, x, i) == num_load_int(t, y, i);
}

/* An error text, or NULL when the graphs compute the same. */
static const char *
compare(Arena *a, const Graph *before, const Graph *after, bool nearly)
{
	void **x = run_graph(a, before, nearly), **y = run_graph(a, after, nearly);

	for (int k = 0; k < before->outputs.n; k++) {
		const Value *v = before->outputs.v[k], *w = after->outputs.v[k];

		if (!type_equal(&v->type, &w->type))
			return arena_printf(a, "output %d has another type", k);
		for (int32_t i = 0; i < type_numel(&v->type); i++)
			if (!same_number(v->type.dtype, x[v->id], y[w->id], (size_t)i, nearly))
				return arena_printf(a, "element %d of output %d is %g, not %g\n", i, k,
				                    num_load(v->type.dtype, y[w->id], (size_t)i),
				                    num_load(v->type.dtype, x[v->id], (size_t)i));
	}
	return NULL;
}

/* Runs the graph of the text, its sugar expanded, against what became of it. */
static const char *
check_meaning(Arena *a, const char *passes, const char *text, size_t length, Graph *after,
              PassCtx *cx)
{
	bool nearly = strstr(passes, "fuse-batch-norm") || strstr(passes, "fuse-bias");
	Graph *before = graph_parse(a, "golden", text, length, cx->diag);

	if (!pass_run(pass_find("expand"), before, cx) || !pass_run(pass_find("expand"), after, cx))
		return "expansion failed\n";
	return compare(a, before, after, nearly);
}

/* What the passes make of the text. */
static const char *
result(Arena *a, const char *passes, const char *text, size_t length)
{
	PassList list = {0};
	PassCtx cx;
	Diag d;
	Str out;
	Graph *g;
	const char *before;

	str_init(&out, a);
	diag_init(&d, a);
	pass_init(&cx, a, &d);
	cx.verify_each = true;
	g = graph_parse(a, "golden", text, length, &d);
	if (g && graph_verify(g, &d)) {
		before = print(a, g);
		if (pass_parse_list(a, passes, &list, &d) && pass_run_list(&list, g, &cx, 1)) {
			const char *after = print(a, g);
			const char *difference = check_meaning(a, passes, text, length, g, &cx);

			if (difference)
				return difference;
			return strcmp(before, after) == 0 ? "unchanged\n" : after;
		}
	}
	print_errors(&out, &d);
	return out.s;
}

static bool
update(const char *path, const char *text, size_t input, const char *actual)
{
	FILE *f = fopen(path, "wb");
	bool ok;

	if (!f)
		return false;
	ok = fwrite(text, 1, input, f) == input && fputs(actual, f) >= 0;
	return fclose(f) == 0 && ok;
}

static bool
run_file(const char *path)
{
	static const char first[] = "; run: -passes=", line[] = "\n----\n";
	Arena *a = arena_new(NULL, NULL);
	const char *text = read_file(a, path), *expected, *passes, *actual;
	bool ok;

	if (!text || strncmp(text, first, sizeof first - 1) != 0 ||
	    !(expected = strstr(text, line))) {
		printf("%s: no golden file\n", path);
		arena_free(a);
		return false;
	}
	passes = text + sizeof first - 1;
	passes = arena_strndup(a, passes, strcspn(passes, "\n"));
	actual = result(a, passes, text, (size_t)(expected + 1 - text));
	expected += sizeof line - 1;
	ok = strcmp(actual, expected) == 0;
	if (!ok && getenv("UPDATE_GOLDEN"))
		ok = update(path, text, (size_t)(expected - text), actual);
	else if (!ok)
		printf("%s: expected\n%s\nbut got\n%s\n", path, expected, actual);
	arena_free(a);
	return ok;
}

int
main(int argc, char **argv)
{
	int failed = argc < 2;

	for (int i = 1; i < argc; i++)
		failed += !run_file(argv[i]);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
