/* Archives of arrays: what is written is read back, and damage is an error. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/npz.h"
#include "tests/unit/unit_arena.h"

static const float three[] = {1, 2, 3};
static const unsigned char two[] = {7, 9};

static Str
archive(void)
{
	Npy a = {.kind = 'f', .size = 4, .rank = 1, .dim = {3}, .count = 3, .data = three};
	Npy b = {.kind = 'u', .size = 1, .rank = 2, .dim = {1, 2}, .count = 2, .data = two};
	NpzEntry e[] = {{"a", a}, {"b c", b}};
	Npz z = {.v = e, .n = 2, .cap = 2};
	Str s;

	str_init(&s, arena);
	ck_assert(npz_write(&s, &z));
	return s;
}

START_TEST(what_is_written_is_read_back)
{
	Str s = archive();
	Npz z;

	ck_assert(npz_is_archive(s.s, s.n));
	ck_assert(npz_read(arena, "x.npz", s.s, s.n, &z, &diag));
	ck_assert_int_eq(z.n, 2);
	ck_assert_str_eq(z.v[0].name, "a");
	ck_assert_str_eq(z.v[1].name, "b c");
	ck_assert_int_eq(z.v[1].npy.rank, 2);
	ck_assert(memcmp(z.v[0].npy.data, three, sizeof three) == 0);
	ck_assert(memcmp(z.v[1].npy.data, two, sizeof two) == 0);
}
END_TEST

START_TEST(an_empty_archive_has_no_arrays)
{
	Npz z = {0};
	Str s;

	str_init(&s, arena);
	ck_assert(npz_write(&s, &z));
	ck_assert(npz_is_archive(s.s, s.n));
	ck_assert(npz_read(arena, "x.npz", s.s, s.n, &z, &diag));
	ck_assert_int_eq(z.n, 0);
}
END_TEST

/* The bytes in memory of their own, so that sanitizers see where they end. */
static bool
read_bytes(const char *bytes, size_t n)
{
	Arena *a = arena_new(NULL, NULL);
	Diag d;
	Npz z;
	bool ok;

	diag_init(&d, a);
	ok = npz_read(a, "x.npz", arena_copy(a, bytes, n), n, &z, &d);
	ck_assert(ok || (d.errors > 0 && d.first->code == E_NPY));
	arena_free(a);
	return ok;
}

START_TEST(a_part_of_an_archive_is_an_error)
{
	Str s = archive();

	for (size_t n = 0; n < s.n; n++)
		ck_assert_msg(!read_bytes(s.s, n), "%zu bytes were enough", n);
}
END_TEST

START_TEST(damage_is_found_or_harmless)
{
	Str s = archive();
	int found = 0;

	for (size_t i = 0; i < s.n; i++)
		for (int bit = 0; bit < 8; bit++) {
			s.s[i] = (char)(s.s[i] ^ 1 << bit);
			found += !read_bytes(s.s, s.n);
			s.s[i] = (char)(s.s[i] ^ 1 << bit);
		}
	/* All of the arrays' bytes have a checksum. */
	ck_assert_int_ge(found, 8 * 2 * 128);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("npz");
	TCase *tc = tcase_create("npz");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_is_written_is_read_back);
	tcase_add_test(tc, an_empty_archive_has_no_arrays);
	tcase_add_test(tc, a_part_of_an_archive_is_an_error);
	tcase_add_test(tc, damage_is_found_or_harmless);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
