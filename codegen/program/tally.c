#include "codegen/program/tally.h"

#include <string.h>

#include "base/hash.h"
#include "codegen/kernels/measure.h"

/* ---- Constants ---- */

/* Its place, or the free one where it belongs. */
static Bytes *
place_of(const Tally *t, const Bytes *b)
{
	size_t i = (size_t)hash_bytes(HASH_START, b->data, b->size) & (t->room - 1);

	while (t->constant[i].data &&
	       (t->constant[i].size != b->size ||
	        memcmp(t->constant[i].data, b->data, b->size) != 0))
		i = (i + 1) & (t->room - 1);
	return &t->constant[i];
}

static void
grow(Tally *t)
{
	Tally old = *t;

	t->room = old.room ? 2 * old.room : 64;
	t->constant = ARENA_ARRAY(t->arena, Bytes, t->room);
	for (size_t i = 0; i < old.room; i++)
		if (old.constant[i].data)
			*place_of(t, &old.constant[i]) = old.constant[i];
}

void
tally_constant(Tally *t, const void *data, size_t size)
{
	Bytes b = {data, size}, *place;

	if (size == 0)
		return;
	if (2 * t->nconstants >= t->room)
		grow(t);
	place = place_of(t, &b);
	if (place->data)
		return;
	*place = b;
	t->nconstants++;
	t->cost.constants += size;
}

/* ---- Functions ---- */

static size_t
table_size(const LBuf *b)
{
	return (size_t)b->count * (size_t)dtype_info[b->elem].bytes;
}

static void
add_function(Tally *t, const LFunc *f, const char *key)
{
	const KernelOptions *o = t->options;

	if (map_get(&t->functions, key))
		return;
	map_set(&t->functions, key, t);
	t->cost.code += (size_t)measure_code(o ? o->target : NULL, o ? o->level : '2', f);
	for (int i = 0; i < f->bufs.n; i++)
		if (f->bufs.v[i]->role == LBUF_TABLE && lfunc_uses(f, f->bufs.v[i]))
			t->cost.constants += table_size(f->bufs.v[i]);
}

/* Makes all numbers equal. */
static void
hide_numbers(char *text)
{
	char *to = text;

	for (const char *p = text; *p; p++)
		if (*p < '0' || *p > '9')
			*to++ = *p;
	*to = 0;
}

/* The text of a function without its name and its arguments' contents: equal ones are one
 * function. */
static const char *
text_of(const Tally *t, const LFunc *f)
{
	LFunc copy = *f;
	Str s;

	copy.name = "";
	copy.bufs.v = ARENA_ARRAY(t->arena, LBuf *, f->bufs.n);
	for (int i = 0; i < f->bufs.n; i++) {
		LBuf *b = arena_copy(t->arena, f->bufs.v[i], sizeof *b);

		if (b->role != LBUF_TABLE)
			b->data = NULL;
		copy.bufs.v[i] = b;
	}
	str_init(&s, t->arena);
	lfunc_print(&s, &copy);
	if (t->merges)
		hide_numbers(s.s);
	return s.s;
}

void
tally_function(Tally *t, const LFunc *f, int64_t cycles)
{
	LFuncs callees = measure_callees(t->arena, f);

	for (int i = 0; i < callees.n; i++)
		add_function(t, callees.v[i], callees.v[i]->name);
	add_function(t, f, text_of(t, f));
	t->cost.cycles += cycles;
}

void
tally_init(Tally *t, Arena *scratch, const Graph *g, const KernelOptions *o)
{
	*t = (Tally){.arena = scratch, .options = o};
	map_init(&t->functions, scratch);
	for (int i = 0; i < g->states.n; i++)
		if (!value_is_repeated(g->states.v[i]))
			t->cost.constants += type_bytes(&g->states.v[i]->type);
}
