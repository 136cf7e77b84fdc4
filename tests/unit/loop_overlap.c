/* How far an output may lie over an input: the analysis, and the other orders of a kernel,
 * by running kernels in memory that overlaps as much as the analysis allows. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "ir/graph.h"
#include "ir/loop/loop.h"
#include "ir/lower.h"
#include "tests/unit/unit_arena.h"

enum { NOTHING = INT32_MAX };

static LFunc *
kernel(const char *body)
{
	const char *text = arena_printf(arena,
	                                "kernel @k(%%x: i8[240] in, %%w: i8[240] in, "
	                                "%%y: i8[240] out, %%t: i8[240] scratch) {\n%s\n}\n",
	                                body);
	LFuncs all = {0};

	if (!lfunc_parse(arena, "t.lir", text, strlen(text), &all, &diag))
		ck_abort_msg("line %d: %s\n%s", diag.first->loc.line, diag.first->text, text);
	return all.v[0];
}

/* The reference lowering of the only node of a graph. */
static LFunc *
lowered(const char *text)
{
	Graph *g = graph_parse(arena, "t", text, strlen(text), &diag);

	if (!g || !graph_verify(g, &diag))
		ck_abort_msg("%s", diag.first ? diag.first->text : "no graph");
	return node_lower(arena, g->first);
}

/* ---- Running ---- */

static size_t
bytes_of(const LBuf *b)
{
	return (size_t)b->count * (size_t)dtype_info[b->elem].bytes;
}

static const LBuf *
first_with(const LFunc *f, LBufRole role)
{
	for (int i = 0; i < f->bufs.n; i++)
		if (f->bufs.v[i]->role == role)
			return f->bufs.v[i];
	return NULL;
}

/* Runs with the output d bytes from the first input, or in memory of its own; elements
 * that are not stored keep what is there, so they are told apart by `stored`. */
static unsigned char *
run(const LFunc *f, int64_t d, bool overlapped, unsigned char fill)
{
	const LBuf *in = first_with(f, LBUF_IN), *out = first_with(f, LBUF_OUT);
	int64_t room = (int64_t)(bytes_of(in) + bytes_of(out));
	unsigned char *memory = arena_alloc(arena, (size_t)(3 * room));
	void **bufs = ARENA_ARRAY(arena, void *, f->bufs.n);

	memset(memory, fill, (size_t)(3 * room));
	for (int i = 0; i < f->bufs.n; i++) {
		const LBuf *b = f->bufs.v[i];
		unsigned char *own = arena_calloc(arena, bytes_of(b) + 1, 1);

		memset(own, b == out ? fill : 0, bytes_of(b));
		bufs[i] = b == in ? memory + room : own;
		if (b == out && overlapped)
			bufs[i] = memory + room + d;
		for (size_t k = 0; b->role == LBUF_IN && k < bytes_of(b); k++)
			((unsigned char *)bufs[i])[k] = (unsigned char)((k * k + k / 7 + 3) % 101);
	}
	lfunc_run(arena, f, bufs);
	return bufs[out->index];
}

/* Whether the results are the right ones at that distance. */
static bool
is_right(const LFunc *reference, const LFunc *f, int64_t d)
{
	const LBuf *out = first_with(f, LBUF_OUT);
	const unsigned char *a = run(reference, 0, false, 0x55), *b = run(reference, 0, false, 0xaa);
	const unsigned char *got = run(f, d, true, 0x55);

	for (size_t i = 0; i < bytes_of(out); i++)
		if (a[i] == b[i] && got[i] != a[i])
			return false;
	return true;
}

static LDistance
distance(const LFunc *f)
{
	return lfunc_distance(f, first_with(f, LBUF_IN), first_with(f, LBUF_OUT));
}

/* Runs a version at the distances that are allowed. */
static void
check_version(const LFunc *reference, const LFunc *f, const char *what)
{
	LDistance d = distance(f);
	const char *wrong = lfunc_verify(f);
	Str s;

	str_init(&s, arena);
	lfunc_print(&s, f);
	ck_assert_msg(!wrong, "%s: %s\n%s", what, wrong, s.s);
	for (int64_t k = 0; k < 9; k++) {
		ck_assert_msg(is_right(reference, f, d.below - k), "%s: %d below\n%s", what,
		              (int)(d.below - k), s.s);
		ck_assert_msg(is_right(reference, f, d.above + k), "%s: %d above\n%s", what,
		              (int)(d.above + k), s.s);
	}
	ck_assert_int_ge(d.below, -(int64_t)bytes_of(first_with(f, LBUF_OUT)));
	ck_assert_int_le(d.above, (int64_t)bytes_of(first_with(f, LBUF_IN)));
}

static void
check_all_versions(const LFunc *f)
{
	const LFunc *backward = lfunc_backward(arena, f), *held = lfunc_hold(arena, f), *both;

	check_version(f, f, "forward");
	if (backward)
		check_version(f, backward, "backward");
	if (!held)
		return;
	check_version(f, held, "held");
	both = lfunc_backward(arena, held);
	if (both)
		check_version(f, both, "held, backward");
}

/* ---- Kernels of which the distances are known ---- */

/* Of a version that does not exist: NOTHING. */
typedef struct {
	int below, above;
} Known;

static const struct {
	const char *body;
	Known forward, backward;
} cases[] = {
	{"for %i in 0..240 { %y[%i] = %x[%i] }", {0, 240}, {-240, 0}},
	{"for %i in 0..240 { %y[%i] = %x[239 - %i] }", {-239, 239}, {-239, 239}},
	{"for %i in 0..239 { %y[%i] = %x[%i + 1] }", {1, 240}, {-238, 1}},
	{"for %i in 0..120 { %y[%i] = %x[%i * 2 + 1] }", {2, 240}, {-119, 119}},
	{"for %i in 0..120 { %y[%i * 2] = %x[%i] }", {-118, 120}, {-239, -1}},
	{"for %i in 0..30 { %y[%i * 8, 8] = cvt.i8(cvt.i32(%x[%i * 8, 8])) }", {0, 240}, {-240, 0}},
	{"for %i in 0..29 { %y[%i * 8, 8] = cvt.i8(cvt.i32(%x[%i * 8 + 1, 8])) }", {1, 233},
	 {-231, 1}},
	/* two dimensions, of which the inner one is read as a whole */
	{"for %r in 0..24 { for %a in 0..10 {\n"
	 "var %s: i32 = 0:i32\n for %b in 0..10 { %s = %s + cvt.i32(%x[%r * 10 + %b]) }\n"
	 "%y[%r * 10 + %a] = cvt.i8(%s) } }", {-9, 240}, {-240, 9}},
	/* a border that a condition leaves out */
	{"for %i in 0..240 { var %s: i32 = 0:i32\n"
	 "for %k in 0..3 {\n let %j: idx = %i + %k - 1\n"
	 "if %j >= 0 & %j < 240 { %s = %s + cvt.i32(%x[%j]) } }\n%y[%i] = cvt.i8(%s) }",
	 {-1, 240}, {-240, 1}},
	/* accumulation in the output: no other order, and read again at once */
	{"for %r in 0..24 { %y[%r] = cvt.i8(0:i32)\n for %a in 0..10 {\n"
	 "%y[%r] = cvt.i8(cvt.i32(%y[%r]) + cvt.i32(%x[%r * 10 + %a])) } }", {-1, 240}, {NOTHING, 0}},
	/* a sum over all that goes before */
	{"var %s: i32 = 0:i32\nfor %i in 0..240 { %s = %s + cvt.i32(%x[%i])\n"
	 "%y[%i] = cvt.i8(%s) }", {0, 240}, {NOTHING, 0}},
	/* through scratch that an iteration fills before it reads it */
	{"for %r in 0..24 { for %a in 0..10 { %t[%a] = %x[%r * 10 + 9 - %a] }\n"
	 "for %b in 0..10 { %y[%r * 10 + %b] = %t[%b] } }", {0, 240}, {-240, 0}},
	/* through scratch that keeps what the iteration before left */
	{"%t[0] = %w[0]\nfor %r in 0..24 { %y[%r] = %t[0]\n %t[0] = %x[%r] }",
	 {-1, 24}, {NOTHING, 0}},
	/* scratch that is read at the end: who stored last is seen */
	{"for %r in 0..24 { %t[0] = %x[%r]\n %y[%r] = %w[%r] }\n%y[30] = %t[0]",
	 {0, 24}, {NOTHING, 0}},
	/* iterations that store to the same places */
	{"for %r in 0..20 { for %a in 0..11 { %y[%r * 10 + %a] = %x[%r + %a] } }",
	 {-172, 30}, {-182, 30}},
	/* an index that is looked up */
	{"for %i in 0..24 { %y[%i] = %x[min(max(cvt.idx(%w[%i]), 0), 23)] }",
	 {-23, 24}, {-24, 23}},
	/* a bound that no iteration reaches */
	{"for %i in 0..240 { let %j: idx = min(%i, 239)\n%y[%j] = %x[max(0, %j)] }", {0, 240},
	 {NOTHING, 0}},
	/* the second of a pair, if there is one */
	{"for %r in 0..24 { for %g in 0..3 {\n%y[%r * 5 + %g * 2] = %x[%r * 5 + %g * 2]\n"
	 "if %g * 2 + 1 < 5 { %y[%r * 5 + %g * 2 + 1] = %x[%r * 5 + %g * 2 + 1] } } }",
	 {-1, 121}, {-121, 2}},
	/* all is read first */
	{"var %s: i32 = 0:i32\nfor %i in 0..240 { %s = %s + cvt.i32(%x[%i]) }\n"
	 "for %k in 0..240 { %y[%k] = cvt.i8(%s) }", {240, -240}, {240, -240}},
};

START_TEST(distances_of_kernels_are_the_known_ones)
{
	const LFunc *f = kernel(cases[_i].body), *b = lfunc_backward(arena, f);
	LDistance d = distance(f);

	ck_assert_msg(d.below == cases[_i].forward.below && d.above == cases[_i].forward.above,
	              "%d %d\n%s", (int)d.below, (int)d.above, cases[_i].body);
	ck_assert_msg((b == NULL) == (cases[_i].backward.below == NOTHING), "%s", cases[_i].body);
	if (!b)
		return;
	d = distance(b);
	ck_assert_msg(d.below == cases[_i].backward.below && d.above == cases[_i].backward.above,
	              "backward %d %d\n%s", (int)d.below, (int)d.above, cases[_i].body);
}
END_TEST

/* Rows of five outputs in pairs, of which `guard` has the second. */
static const LFunc *
held_pairs(const char *guard)
{
	return lfunc_hold(arena, kernel(arena_printf(arena,
		"for %%r in 0..24 { for %%g in 0..3 {\n%%y[%%r * 5 + %%g * 2] = %%x[%%r * 5]\n"
		"if %s { %%y[%%r * 5 + %%g * 2 + 1] = %%x[%%r * 5 + %%g] } } }", guard)));
}

START_TEST(outputs_are_held_where_conditions_leave_none_out)
{
	ck_assert_ptr_nonnull(held_pairs("%g * 2 + 1 < 5"));
	ck_assert_ptr_nonnull(held_pairs("%g < 5"));
	ck_assert_ptr_null(held_pairs("%g * 2 + 1 < 3"));
	ck_assert_ptr_null(held_pairs("%r * 2 + 1 < 5"));
	ck_assert_ptr_null(held_pairs("cvt.i32(%x[%g]) < 5:i32"));
	ck_assert_int_eq(lfunc_local_bytes(held_pairs("%g * 2 + 1 < 5")), 5);
}
END_TEST

START_TEST(kernels_give_the_same_where_distances_allow_it)
{
	check_all_versions(kernel(cases[_i].body));
}
END_TEST

/* ---- Lowerings ---- */

#define X(dims) "graph @g(%x: i8[" dims "] q(0.5, 0)) {\n"
#define W(dims, data) "  %w: i8[" dims "] q(0.25, 0) = const [" data "]\n"
#define Y(dims, op) "  %y: i8[" dims "] q(1.0, 0) = " op "\n  return %y\n}\n"
#define NINE "1, 2, 3, 4, 5, 6, 7, 8, 9"
#define EIGHTEEN NINE ", " NINE

/* The distances of the best version, below and above. */
static const struct {
	const char *graph;
	Known best;
} nodes[] = {
	/* pointwise: pixels of 2 channels become pixels of 4, and the other way round */
	{X("1,6,5,2") W("4,1,1,2", "1, 2, 3, 4, 5, 6, 7, 8")
	 Y("1,6,5,4", "conv(%x, %w) {layout=nhwc}"), {-58, -2}},
	{X("1,6,5,4") W("2,1,1,4", "1, 2, 3, 4, 5, 6, 7, 8")
	 Y("1,6,5,2", "conv(%x, %w) {layout=nhwc}"), {2, 58}},
	/* 3x3 with padding: a row and a pixel, or with one channel, where rows are held, a row */
	{X("1,6,5,1") W("1,3,3,1", NINE)
	 Y("1,6,5,1", "conv(%x, %w) {layout=nhwc, pads=[1,1,1,1]}"), {-5, 5}},
	{X("1,6,5,2") W("2,3,3,1", EIGHTEEN)
	 Y("1,6,5,2", "conv(%x, %w) {layout=nhwc, group=2, pads=[1,1,1,1]}"), {-12, 12}},
	{X("1,6,5,2") W("2,3,3,2", EIGHTEEN ", " EIGHTEEN)
	 Y("1,6,5,2", "conv(%x, %w) {layout=nhwc, pads=[1,1,1,1]}"), {-12, 12}},
	/* without padding the window runs ahead */
	{X("1,6,5,2") W("2,3,3,2", EIGHTEEN ", " EIGHTEEN)
	 Y("1,4,3,2", "conv(%x, %w) {layout=nhwc}"), {0, 36}},
	/* steps of two */
	{X("1,6,6,1") W("1,3,3,1", NINE)
	 Y("1,3,3,1", "conv(%x, %w) {layout=nhwc, strides=[2,2], pads=[1,1,0,0]}"), {3, 18}},
	/* the layout nchw: each output channel reads all inputs */
	{X("1,2,6,5") W("2,2,3,3", EIGHTEEN ", " EIGHTEEN)
	 Y("1,2,6,5", "conv(%x, %w) {pads=[1,1,1,1]}"), {-35, 35}},
	{X("1,2,6,5") W("2,1,3,3", EIGHTEEN)
	 Y("1,2,6,5", "conv(%x, %w) {group=2, pads=[1,1,1,1]}"), {-5, 5}},
};

START_TEST(versions_of_lowerings_give_the_same)
{
	const LFunc *f = lowered(nodes[_i].graph), *held = lfunc_hold(arena, f);
	const LFunc *version[] = {f, lfunc_backward(arena, f), held,
	                          held ? lfunc_backward(arena, held) : NULL};
	LDistance best = {INT64_MIN, INT64_MAX};

	check_all_versions(f);
	for (size_t i = 0; i < sizeof version / sizeof *version; i++) {
		LDistance d = version[i] ? distance(version[i]) : best;

		best.below = d.below > best.below ? d.below : best.below;
		best.above = d.above < best.above ? d.above : best.above;
	}
	ck_assert_msg(best.below == nodes[_i].best.below && best.above == nodes[_i].best.above,
	              "%d %d\n%s", (int)best.below, (int)best.above, nodes[_i].graph);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("overlap");
	TCase *tc = tcase_create("overlap");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, outputs_are_held_where_conditions_leave_none_out);
	tcase_add_loop_test(tc, distances_of_kernels_are_the_known_ones, 0,
	                    sizeof cases / sizeof *cases);
	tcase_add_loop_test(tc, kernels_give_the_same_where_distances_allow_it, 0,
	                    sizeof cases / sizeof *cases);
	tcase_add_loop_test(tc, versions_of_lowerings_give_the_same, 0,
	                    sizeof nodes / sizeof *nodes);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
