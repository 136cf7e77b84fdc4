/* base/file.h and base/sha256.h. */
#define _POSIX_C_SOURCE 200809L

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/sha256.h"
#include "base/str.h"
#include "tests/unit/unit.h"

static Arena *arena;
static Diag diag;
static char *folder;

static void
set_up(void)
{
	arena = arena_new(NULL, NULL);
	diag_init(&diag, arena);
	folder = file_temp_folder(arena, &diag);
	ck_assert_ptr_nonnull(folder);
}

static void
tear_down(void)
{
	arena_free(arena);
	ck_assert_int_ne(access(folder, F_OK), 0);
}

static int
files_in_folder(void)
{
	DIR *dir = opendir(folder);
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2; /* "." and ".." */
}

static void
expect_content(const char *path, const char *text)
{
	FileBytes b;

	ck_assert(file_read(arena, path, &b, &diag));
	ck_assert_uint_eq(b.size, strlen(text));
	ck_assert_mem_eq(b.data, text, b.size);
}

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	fputs(text, f);
	fclose(f);
}

START_TEST(a_missing_file_is_an_error)
{
	FileBytes b;

	ck_assert(!file_read(arena, file_temp_path(arena, folder, "x"), &b, &diag));
	ck_assert_int_eq(diag.first->code, E_FILE);
	ck_assert_str_eq(diag.first->text, "cannot open: No such file or directory");
	ck_assert(!file_read(arena, folder, &b, &diag));
	ck_assert_str_eq(diag.last->text, "cannot read: Is a directory");
}
END_TEST

START_TEST(files_of_every_size_are_read_whole)
{
	static const size_t sizes[] = {0, 1, 4096, 65536, (256 << 10) - 1, 256 << 10, 1 << 20};
	char *path = file_temp_path(arena, folder, "x");
	char *data = arena_alloc(arena, sizes[_i] + 1);
	FileBytes b;

	memset(data, 'a', sizes[_i]);
	write_file(path, data);
	ck_assert(file_read(arena, path, &b, &diag));
	ck_assert_uint_eq(b.size, sizes[_i]);
	ck_assert(b.size == 0 || memcmp(b.data, data, b.size) == 0);
}
END_TEST

START_TEST(nothing_is_seen_before_the_commit)
{
	char *x = file_temp_path(arena, folder, "x"), *y = file_temp_path(arena, folder, "y");
	FileSet *s = file_set_new(arena);

	write_file(x, "old");
	ck_assert(file_set_add(s, x, "new", 3, &diag));
	ck_assert(file_set_add(s, y, "why", 3, &diag));
	expect_content(x, "old");
	ck_assert_int_ne(access(y, F_OK), 0);
	ck_assert(file_set_commit(s, &diag));
	expect_content(x, "new");
	expect_content(y, "why");
	ck_assert_int_eq(files_in_folder(), 2);
}
END_TEST

START_TEST(what_is_discarded_leaves_nothing)
{
	char *x = file_temp_path(arena, folder, "x");
	FileSet *s = file_set_new(arena);

	write_file(x, "old");
	ck_assert(file_set_add(s, x, "new", 3, &diag));
	ck_assert_int_eq(files_in_folder(), 2);
	if (_i == 0) {
		file_set_discard(s);
		ck_assert_int_eq(files_in_folder(), 1);
	} else {
		file_remove_pending(); /* x and the folder are temporary as well */
		ck_assert_int_ne(access(folder, F_OK), 0);
	}
}
END_TEST

START_TEST(a_file_keeps_its_mode_and_its_link)
{
	char *x = file_temp_path(arena, folder, "x"), *link = file_temp_path(arena, folder, "l");
	FileSet *s = file_set_new(arena);
	struct stat st;

	write_file(x, "old");
	chmod(x, 0640);
	ck_assert_int_eq(symlink("x", link), 0);
	ck_assert(file_set_add(s, link, "new", 3, &diag));
	ck_assert(file_set_commit(s, &diag));
	expect_content(x, "new");
	ck_assert_int_eq(stat(x, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0640);
	ck_assert_int_eq(lstat(link, &st), 0);
	ck_assert(S_ISLNK(st.st_mode));
}
END_TEST

START_TEST(links_are_followed_to_what_does_not_exist)
{
	char *sub = file_temp_path(arena, folder, "sub"), *link = file_temp_path(arena, folder, "l");
	char *second = file_temp_path(arena, folder, "sub/m");
	char *real = file_temp_path(arena, folder, "sub/real");
	FileSet *s = file_set_new(arena);
	struct stat st;

	ck_assert_int_eq(mkdir(sub, 0755), 0);
	ck_assert_int_eq(symlink("sub/m", link), 0);
	ck_assert_int_eq(symlink("real", second), 0);
	ck_assert(file_set_add(s, link, "new", 3, &diag));
	ck_assert(file_set_commit(s, &diag));
	expect_content(real, "new");
	ck_assert_int_eq(lstat(link, &st), 0);
	ck_assert(S_ISLNK(st.st_mode));
	unlink(real);
	unlink(second);
	rmdir(sub);
}
END_TEST

START_TEST(links_in_a_circle_are_an_error)
{
	char *one = file_temp_path(arena, folder, "one"), *two = file_temp_path(arena, folder, "two");
	FileSet *s = file_set_new(arena);

	ck_assert_int_eq(symlink("two", one), 0);
	ck_assert_int_eq(symlink("one", two), 0);
	ck_assert(!file_set_add(s, one, "new", 3, &diag));
	ck_assert_int_eq(diag.errors, 1);
	ck_assert_int_eq(files_in_folder(), 2);
}
END_TEST

START_TEST(a_device_is_written_and_not_replaced)
{
	FileSet *s = file_set_new(arena);
	struct stat st;

	ck_assert(file_set_add(s, "/dev/null", "new", 3, &diag));
	ck_assert(file_set_commit(s, &diag));
	ck_assert_int_eq(stat("/dev/null", &st), 0);
	ck_assert(S_ISCHR(st.st_mode));
}
END_TEST

START_TEST(a_place_that_cannot_be_written_is_an_error)
{
	FileSet *s = file_set_new(arena);

	ck_assert(!file_set_add(s, arena_printf(arena, "%s/no/x", folder), "x", 1, &diag));
	ck_assert(!file_set_add(s, folder, "x", 1, &diag));
	ck_assert_int_eq(diag.errors, 2);
	ck_assert_int_eq(files_in_folder(), 0);
}
END_TEST

START_TEST(paths_are_taken_apart)
{
	ck_assert_str_eq(file_basename("a/b/c.d"), "c.d");
	ck_assert_str_eq(file_basename("c"), "c");
	ck_assert_str_eq(file_with_suffix(arena, "a.b/c.d", ".h"), "a.b/c.h");
	ck_assert_str_eq(file_with_suffix(arena, "a.b/c", ".h"), "a.b/c.h");
	ck_assert_str_eq(file_with_suffix(arena, "a/.c", ".h"), "a/.c.h");
	ck_assert_str_eq(file_with_suffix(arena, "c.d.onnx", ""), "c.d");
}
END_TEST

/* FIPS 180-4's examples, and lengths around the end of a block. */
static const struct {
	const char *text;
	int times;
	const char *digest;
} hashes[] = {
	{"", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
	{"abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
	 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	{"a", 55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"},
	{"a", 64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"},
	{"a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
};

START_TEST(sha256_gives_the_known_digests)
{
	char text[SHA256_HEX];
	Str s;

	str_init(&s, arena);
	for (int i = 0; i < hashes[_i].times; i++)
		str_puts(&s, hashes[_i].text);
	sha256_hex(s.s, s.n, text);
	ck_assert_str_eq(text, hashes[_i].digest);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("file");
	TCase *tc = tcase_create("file");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_missing_file_is_an_error);
	tcase_add_loop_test(tc, files_of_every_size_are_read_whole, 0, 7);
	tcase_add_test(tc, nothing_is_seen_before_the_commit);
	tcase_add_loop_test(tc, what_is_discarded_leaves_nothing, 0, 2);
	tcase_add_test(tc, a_file_keeps_its_mode_and_its_link);
	tcase_add_test(tc, links_are_followed_to_what_does_not_exist);
	tcase_add_test(tc, links_in_a_circle_are_an_error);
	tcase_add_test(tc, a_device_is_written_and_not_replaced);
	tcase_add_test(tc, a_place_that_cannot_be_written_is_an_error);
	tcase_add_test(tc, paths_are_taken_apart);
	tcase_add_loop_test(tc, sha256_gives_the_known_digests, 0,
	                    (int)(sizeof hashes / sizeof *hashes));
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
