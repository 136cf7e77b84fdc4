/* base/npy.h: files as NumPy writes them, and files that nobody should write. */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/npy.h"
#include "tests/unit/unit.h"

static Arena *arena;
static Diag diag;
static Npy npy;

static void
set_up(void)
{
	arena = arena_new(NULL, NULL);
	diag_init(&diag, arena);
}

static void
tear_down(void)
{
	arena_free(arena);
}

/* A file of the given version, with exactly this header text. */
static Str
file_with(int version, const char *header, const void *data, size_t size)
{
	Str s;
	size_t n = strlen(header);

	str_init(&s, arena);
	str_write(&s, "\x93NUMPY", 6);
	str_putc(&s, (char)version);
	str_putc(&s, 0);
	for (int i = 0; i < (version == 1 ? 2 : 4); i++)
		str_putc(&s, (char)(n >> (8 * i)));
	str_puts(&s, header);
	str_write(&s, data, size);
	return s;
}

static bool
read_file(const Str *s)
{
	/* A copy of its own, so that a read behind the end is noticed by ASan. */
	void *copy = malloc(s->n);
	bool ok;

	memcpy(copy, s->s, s->n);
	ok = npy_read(arena, "x.npy", copy, s->n, &npy, &diag);
	if (ok && npy.count)
		npy.data = arena_copy(arena, npy.data, npy.count * (size_t)npy.size);
	free(copy);
	return ok;
}

static bool
reads(int version, const char *header, const void *data, size_t size)
{
	Str s = file_with(version, header, data, size);

	return read_file(&s);
}

START_TEST(a_matrix_is_read)
{
	static const int32_t v[6] = {1, 2, 3, 4, 5, 6};

	ck_assert(reads(_i, "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }  \n", v, 24));
	ck_assert_int_eq(npy.kind, 'i');
	ck_assert_int_eq(npy.size, 4);
	ck_assert_int_eq(npy.rank, 2);
	ck_assert_uint_eq(npy.dim[0], 2);
	ck_assert_uint_eq(npy.dim[1], 3);
	ck_assert_uint_eq(npy.count, 6);
	ck_assert_mem_eq(npy.data, v, 24);
}
END_TEST

START_TEST(fortran_order_is_transposed)
{
	static const int16_t file[24] = {0, 12, 4, 16, 8, 20, 1, 13, 5, 17, 9, 21,
	                                 2, 14, 6, 18, 10, 22, 3, 15, 7, 19, 11, 23};

	ck_assert(reads(1, "{'descr':'<i2','fortran_order':True,'shape':(2,3,4)}", file, 48));
	for (int i = 0; i < 24; i++)
		ck_assert_int_eq(((const int16_t *)npy.data)[i], i);
}
END_TEST

START_TEST(big_endian_is_swapped)
{
	static const unsigned char f8[8] = {0x3f, 0xf8, 0, 0, 0, 0, 0, 0};
	static const unsigned char c8[8] = {0x3f, 0xc0, 0, 0, 0xc0, 0, 0, 0};

	ck_assert(reads(1, "{'descr': '>f8', 'fortran_order': False, 'shape': (), }", f8, 8));
	ck_assert(*(const double *)npy.data == 1.5);
	ck_assert(reads(1, "{'descr': '>c8', 'fortran_order': False, 'shape': (1,), }", c8, 8));
	ck_assert(((const float *)npy.data)[0] == 1.5f && ((const float *)npy.data)[1] == -2.0f);
}
END_TEST

START_TEST(one_byte_elements_have_no_order)
{
	ck_assert(reads(1, "{'descr': '|b1', 'fortran_order': False, 'shape': (3L,), }", "\1\0\1", 3));
	ck_assert_int_eq(npy.kind, 'b');
	ck_assert_mem_eq(npy.data, "\1\0\1", 3);
}
END_TEST

START_TEST(an_axis_of_length_zero_has_no_elements)
{
	ck_assert(reads(1,
	                "{'descr': '<f4', 'fortran_order': True, "
	                "'shape': (18446744073709551615, 4, 0), }",
	                "", 0));
	ck_assert_uint_eq(npy.count, 0);
}
END_TEST

static const char *const bad_header[] = {
	"",
	"{",
	"}",
	"{}",
	"{'descr': '<f4'}",
	"{'descr': '<f4', 'descr': '<f4', 'shape': (1,)}",
	"{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
	"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)",
	"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x",
	"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
	"{'descr': '<f4', 'fortran_order': False, 'shape': (1",
	"{'descr': '<f4', 'fortran_order': False, 'shape': 1}",
	"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
	"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
	"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
	"{'descr': '<f4', 'fortran_order': False, 'shape': (6148914691236517206,)}",
	("{'descr': '<f4', 'fortran_order': False, 'shape': "
	 "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)}"),
	"{'descr': '<f3', 'fortran_order': False, 'shape': (1,)}",
	"{'descr': '<f', 'fortran_order': False, 'shape': (1,)}",
	"{'descr': '<i16', 'fortran_order': False, 'shape': (1,)}",
	"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
	"{'descr': '|S0', 'fortran_order': True, 'shape': (4294967296, 1)}",
	"{'descr': '<f99999999999999999999', 'fortran_order': False, 'shape': (1,)}",
	"{'descr': '', 'fortran_order': False, 'shape': (1,)}",
	"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
	"{'descr': '<f4, 'fortran_order': False, 'shape': (1,)}",
	"{'colour': '<f4', 'fortran_order': False, 'shape': (1,)}",
};

START_TEST(a_bad_header_is_an_error)
{
	ck_assert(!reads(1, bad_header[_i], "abcd", 4));
	ck_assert_int_eq(diag.errors, 1);
	ck_assert_int_eq(diag.first->code, E_NPY);
	ck_assert_str_eq(diag.first->loc.file, "x.npy");
}
END_TEST

START_TEST(every_truncation_is_an_error)
{
	Str s = file_with(1 + _i, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
	                  "abcdefgh", 8);

	ck_assert(read_file(&s));
	while (s.n-- > 1)
		ck_assert(!read_file(&s));
}
END_TEST

START_TEST(unknown_versions_are_errors)
{
	ck_assert(!reads(4, "{'descr': '<f4', 'fortran_order': False, 'shape': ()}", "abcd", 4));
	ck_assert(!reads(0, "{'descr': '<f4', 'fortran_order': False, 'shape': ()}", "abcd", 4));
}
END_TEST

START_TEST(what_is_written_is_read_back)
{
	static const char kind[] = "bufcSU", size[] = {1, 4, 2, 16, 3, 8};
	unsigned char data[6 * 16];
	Npy in = {.kind = kind[_i % 6], .size = size[_i % 6], .rank = _i / 6, .data = data};
	Str s;

	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (unsigned char)(i * 7);
	in.count = in.rank == 2 ? 6 : in.rank == 1 ? 3 : 1;
	in.dim[0] = 3;
	in.dim[1] = 2;
	str_init(&s, arena);
	npy_write(&s, &in);
	ck_assert_uint_eq((s.n - in.count * (size_t)in.size) % 64, 0);
	ck_assert(read_file(&s));
	ck_assert_int_eq(npy.kind, in.kind);
	ck_assert_int_eq(npy.size, in.size);
	ck_assert_int_eq(npy.rank, in.rank);
	ck_assert_uint_eq(npy.count, in.count);
	ck_assert_mem_eq(npy.data, data, in.count * (size_t)in.size);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("npy");
	TCase *tc = tcase_create("npy");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, a_matrix_is_read, 1, 4);
	tcase_add_test(tc, fortran_order_is_transposed);
	tcase_add_test(tc, big_endian_is_swapped);
	tcase_add_test(tc, one_byte_elements_have_no_order);
	tcase_add_test(tc, an_axis_of_length_zero_has_no_elements);
	tcase_add_loop_test(tc, a_bad_header_is_an_error, 0,
	                    (int)(sizeof bad_header / sizeof *bad_header));
	tcase_add_loop_test(tc, every_truncation_is_an_error, 0, 3);
	tcase_add_test(tc, unknown_versions_are_errors);
	tcase_add_loop_test(tc, what_is_written_is_read_back, 0, 18);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
