/*
 * Random kernels against the verifier.
 *
 * A random index expression stands in a random nest of loops and conditions.  The
 * interpreter finds the smallest and the largest value that it really takes; a
 * buffer that is one element too small for it, on either end, must be rejected.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/loop/loop.h"
#include "tests/unit/unit.h"

enum { KERNELS = 4000 };

static Arena *arena;
static uint32_t state;

/* A number in [0, n). */
static int
pick(int n)
{
	state = state * 1664525 + 1013904223;
	return (int)((state >> 8) % (uint32_t)n);
}

static const char *const vars[] = {"%i", "%k", "%m", "%v", "3"};

static const char *
random_expr(int depth)
{
	const char *x, *y;

	if (depth == 0 || pick(4) == 0)
		return pick(3) ? vars[pick(5)] : arena_printf(arena, "%d", pick(12) - 3);
	x = random_expr(depth - 1);
	y = random_expr(depth - 1);
	switch (pick(11)) {
	case 0:
	case 1: return arena_printf(arena, "(%s + %s)", x, y);
	case 2:
	case 3: return arena_printf(arena, "(%s - %s)", x, y);
	case 4: return arena_printf(arena, "(%s * %d)", x, pick(5));
	case 5: return arena_printf(arena, "(%s / %d)", x, pick(4) + 1);
	case 6: return arena_printf(arena, "(%s %% %d)", x, pick(5) + 1);
	case 7: return arena_printf(arena, "min(%s, %s)", x, y);
	case 8: return arena_printf(arena, "max(%s, %s)", x, y);
	case 9: return arena_printf(arena, "abs(%s)", x);
	default: break;
	}
	return arena_printf(arena, "select(%s %s %s, %s, %s)", vars[pick(5)], pick(2) ? "<" : "!=",
	                    vars[pick(5)], x, y);
}

static const char *
random_condition(int depth)
{
	static const char *const op[] = {"<", "<=", ">", ">=", "==", "!="};
	const char *x, *y;

	if (depth > 0 && pick(2)) {
		x = random_condition(depth - 1);
		y = random_condition(depth - 1);
		return arena_printf(arena, "%s(%s %c %s)", pick(4) ? "" : "~", x,
		                    pick(3) ? '&' : '|', y);
	}
	x = random_expr(2);
	y = random_expr(1);
	return arena_printf(arena, "%s %s %s", x, op[pick(6)], y);
}

/* The nest with two holes: the bounds of the inner loop cannot use its variables. */
static const char *
random_nest(const char *body)
{
	static const char *const bound[] = {"0", "2", "%i", "%i - 2", "min(%i, 4)",
	                                    "max(0, 3 - %i)",
	                                    "9 - %i", "min(4, 12 - %i)", "5"};
	Str s;

	str_init(&s, arena);
	str_printf(&s, "var %%v: idx in [-20, 20] = %d\n", pick(9));
	str_printf(&s, "for %%i in %d..%d step %d {\n", pick(5) - 2, pick(9) + 2, pick(3) + 1);
	str_printf(&s, "for %%k in %s..%s {\n", bound[pick(9)], bound[pick(9)]);
	str_printf(&s, "let %%m: idx = %s\n",
	           pick(2) ? "%i * 2 + %k - 1" : pick(2) ? "%i - %k" : "%i * %k");
	if (pick(2))
		str_printf(&s, "if %s { %%v = %d }\n", "%k > 1", pick(9) - 4);
	if (pick(3))
		str_printf(&s, "if %s {\n%s\n} else {\n%s\n}\n", random_condition(2), body,
		           pick(2) ? body : "%v = min(max(%m, -5), 7)");
	else
		str_printf(&s, "%s\n", body);
	if (pick(2))
		str_printf(&s, "if %%v < 15 { %%v = %%v + %d }\n", pick(5));
	str_puts(&s, "}\n}\n");
	return s.s;
}

static LFunc *
parse(const char *text)
{
	LFuncs all = {0};
	Diag diag;

	diag_init(&diag, arena);
	if (!lfunc_parse(arena, "t.lir", text, strlen(text), &all, &diag))
		ck_abort_msg("line %d: %s\n%s", diag.first->loc.line, diag.first->text, text);
	return all.v[0];
}

/* The values that `index` takes in the nest; false when it is never reached. */
static bool
record(uint32_t seed, const char *index, int32_t range[2])
{
	const char *body = arena_printf(arena, "%%lo = min(%%lo, cvt.i32(%s))\n%%hi = "
	                                       "max(%%hi, cvt.i32(%s))", index, index);
	void *bufs[] = {range};
	const char *nest;
	const char *wrong;
	LFunc *f;

	state = seed;
	nest = random_nest(body);
	f = parse(arena_printf(arena, "kernel @k(%%y: i32[2] out) {\nvar %%lo: i32 = 999:i32\n"
	                              "var %%hi: i32 = -999:i32\n%s%%y[0] = %%lo\n%%y[1] = %%hi\n}",
	                       nest));
	wrong = lfunc_verify(f);
	ck_assert_msg(!wrong, "%s", wrong);
	lfunc_run(arena, f, bufs);
	return range[0] <= range[1];
}

/* Whether a buffer of `count` elements is proven to be enough for index + offset. */
static bool
is_accepted(uint32_t seed, const char *index, int offset, int count)
{
	const char *body = arena_printf(arena, "%%y[%s + %d] = 1.0f", index, offset);

	state = seed;
	return !lfunc_verify(parse(arena_printf(
		arena, "kernel @k(%%y: f32[%d] out) {\n%s}", count, random_nest(body))));
}

START_TEST(what_can_be_out_of_bounds_is_rejected)
{
	int accepted = 0, reached = 0;

	for (uint32_t k = 0; k < KERNELS; k++) {
		const char *index;
		uint32_t seed = k * 2654435761u;
		int32_t range[2];
		int lo, count;

		arena = arena_new(NULL, NULL);
		state = k;
		index = random_expr(3);
		if (record(seed, index, range)) {
			lo = range[0];
			count = range[1] - lo + 1;
			reached++;
			accepted += is_accepted(seed, index, -lo, count);
			if (count > 1 && is_accepted(seed, index, -lo, count - 1))
				ck_abort_msg("too high: kernel %u, index %s", k, index);
			if (is_accepted(seed, index, -lo - 1, count))
				ck_abort_msg("too low: kernel %u, index %s", k, index);
		}
		arena_free(arena);
	}
	/* The proof is not empty: many are accepted with exactly the room they need. */
	ck_assert_int_gt(reached, KERNELS / 3);
	ck_assert_int_gt(accepted, reached / 3);
	printf("%d of %d kernels need exactly what is proven\n", accepted, reached);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("loop_prove");
	TCase *tc = tcase_create("prove");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, what_can_be_out_of_bounds_is_rejected);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
