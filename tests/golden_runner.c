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
 * and have to give the same bits, or with a pass that changes roundings nearly so; the
 * numbers are finite for a pass that asks for it.
 *
 * With UPDATE_GOLDEN=1 in the environment the part below the line is rewritten; then
 * read the difference before you commit it.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "passes/pass.h"
#include "tests/run_graph.h"

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

/* Runs the graph of the text, its sugar expanded, against what became of it. */
static const char *
check_meaning(Arena *a, const char *passes, const char *text, size_t length, Graph *after,
              PassCtx *cx)
{
	bool nearly = strstr(passes, "fuse-batch-norm") || strstr(passes, "fuse-bias") ||
	              strstr(passes, "recurrent") || strstr(passes, "layers");
	RunHow how = nearly ? RUN_NEARLY : strstr(passes, "dead-channels") ? RUN_FINITE : RUN_EXACT;
	Graph *before = graph_parse(a, "golden", text, length, cx->diag);
	int64_t iterations = FOLD_ITERATIONS;

	if (!pass_run(pass_find("expand"), before, cx) || !pass_run(pass_find("expand"), after, cx))
		return "expansion failed\n";
	return run_compare(a, before, after, how, &iterations);
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
