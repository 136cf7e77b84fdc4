/*
 * The mathematical library, read from its text form.
 *
 * The text is embedded by the build (ir/CMakeLists.txt).  At first use only the
 * names of the functions are looked up; a function is parsed when somebody asks
 * for it, and so are those that it calls.  The state is shared by the process
 * and not meant for several threads at once.
 */
#include "ir/loop/math.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
	const char *name; /* in the text */
	size_t length;
	const char *text; /* "func @name(…" up to the next function */
	size_t size;
	LFunc *fn;        /* NULL: not parsed yet */
	bool busy;        /* being parsed: a call of it now would be recursion */
} Entry;

/* The files; written by cmake/embed.cmake. */
extern const unsigned char math_f32_lir[];
extern const size_t math_f32_lir_size;
extern const unsigned char math_f64_lir[];
extern const size_t math_f64_lir_size;
extern const unsigned char math_fixed_lir[];
extern const size_t math_fixed_lir_size;

static struct {
	Arena *arena;
	VEC(Entry) all; /* in the order of the text */
	int *sorted;    /* indices of `all` by name */
	const char *error;
} lib;

static const char start[] = "func @";
enum { START = sizeof start - 1 };

/* The next line that starts a function, or `end`. */
static const char *
next_function(const char *p, const char *end)
{
	while (end - p > START && memcmp(p, start, START) != 0) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));

		if (!newline)
			return end;
		p = newline + 1;
	}
	return end - p > START ? p : end;
}

static void
index_text(const unsigned char *bytes, size_t size)
{
	const char *text = (const char *)bytes, *end = text + size;
	const char *p = next_function(text, end);

	while (p < end) {
		const char *next = next_function(p + START, end);
		const char *paren = memchr(p, '(', (size_t)(next - p));
		Entry e = {.name = p + START, .text = p, .size = (size_t)(next - p)};

		assert(paren);
		e.length = (size_t)(paren - e.name);
		VEC_PUSH(lib.arena, &lib.all, e);
		p = next;
	}
}

static int
compare_names(const char *p, size_t n, const char *q, size_t m)
{
	int order = memcmp(p, q, n < m ? n : m);

	return order ? order : (n > m) - (n < m);
}

static int
by_name(const void *p, const void *q)
{
	const Entry *a = &lib.all.v[*(const int *)p], *b = &lib.all.v[*(const int *)q];

	return compare_names(a->name, a->length, b->name, b->length);
}

static void
load_index(void)
{
	if (lib.arena)
		return;
	lib.arena = arena_new(NULL, NULL);
	index_text(math_f32_lir, math_f32_lir_size);
	index_text(math_f64_lir, math_f64_lir_size);
	index_text(math_fixed_lir, math_fixed_lir_size);
	lib.sorted = ARENA_ARRAY(lib.arena, int, lib.all.n);
	for (int i = 0; i < lib.all.n; i++)
		lib.sorted[i] = i;
	qsort(lib.sorted, (size_t)lib.all.n, sizeof *lib.sorted, by_name);
}

/* The function of an entry; NULL when its text is wrong, which is our bug. */
static LFunc *
parse_entry(Entry *e)
{
	LFuncs one = {0};
	Diag diag;

	if (e->fn || e->busy)
		return e->fn;
	e->busy = true;
	diag_init(&diag, lib.arena);
	if (lfunc_parse(lib.arena, "the mathematical library", e->text, e->size, &one, &diag))
		e->fn = one.v[0];
	else if (!lib.error)
		lib.error = arena_printf(lib.arena, "%.*s, line %d: %s", (int)e->length, e->name,
		                         diag.first->loc.line, diag.first->text);
	e->busy = false;
	return e->fn;
}

LFunc *
math_find_full(const char *name, size_t length)
{
	int lo = 0, hi;

	load_index();
	for (hi = lib.all.n; lo < hi;) {
		int middle = lo + (hi - lo) / 2;
		Entry *e = &lib.all.v[lib.sorted[middle]];
		int order = compare_names(name, length, e->name, e->length);

		if (order == 0)
			return parse_entry(e);
		if (order < 0)
			hi = middle;
		else
			lo = middle + 1;
	}
	return NULL;
}

LFunc *
math_find(const char *name, DType t)
{
	char full[64];
	size_t n = strlen(name), m = strlen(dtype_info[t].name);

	if (n + m + 1 > sizeof full)
		return NULL;
	memcpy(full, name, n);
	full[n] = '_';
	memcpy(full + n + 1, dtype_info[t].name, m);
	return math_find_full(full, n + 1 + m);
}

int
math_count(void)
{
	load_index();
	return lib.all.n;
}

LFunc *
math_get(int i)
{
	load_index();
	assert(i >= 0 && i < lib.all.n);
	return parse_entry(&lib.all.v[i]);
}

const char *
math_error(void)
{
	return lib.error;
}
