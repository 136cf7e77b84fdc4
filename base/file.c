#define _XOPEN_SOURCE 700

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Smaller files are read: a page of their own costs more than the copy. */
enum { SMALLEST_MAPPED = 256 << 10, READ_CHUNK = 64 << 10 };

/* ---- Reading ---- */

static bool
fail(const char *path, Diag *d, const char *what)
{
	Loc loc = {.file = path};

	return diag_report(d, &loc, E_FILE, "%s: %s", what, strerror(errno));
}

typedef struct {
	void *data;
	size_t size;
} Mapping;

static void
unmap(void *object)
{
	Mapping *m = object;

	munmap(m->data, m->size);
}

static bool
map_file(Arena *a, int fd, size_t size, FileBytes *out)
{
	void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	Mapping *m;

	if (data == MAP_FAILED)
		return false;
	m = ARENA_NEW(a, Mapping);
	*m = (Mapping){data, size};
	arena_defer(a, unmap, m);
	*out = (FileBytes){data, size};
	return true;
}

/* Reads until the end; `expected` is only the first guess of the size. */
static bool
read_all(Arena *a, int fd, size_t expected, FileBytes *out)
{
	size_t cap = expected + 1, n = 0;
	char *buffer = arena_alloc(a, cap);
	ssize_t got;

	while ((got = read(fd, buffer + n, cap - n)) != 0) {
		if (got < 0 && errno != EINTR)
			return false;
		n += got < 0 ? 0 : (size_t)got;
		if (n == cap) {
			buffer = arena_grow(a, buffer, n, 2 * cap, 1);
			cap *= 2;
		}
	}
	*out = (FileBytes){(unsigned char *)buffer, n};
	return true;
}

static bool
read_open_file(Arena *a, int fd, FileBytes *out)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return false;
	if (S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		return false;
	}
	if (!S_ISREG(st.st_mode))
		return read_all(a, fd, READ_CHUNK, out);
	if ((uintmax_t)st.st_size > SIZE_MAX / 2) {
		errno = EFBIG;
		return false;
	}
	if (st.st_size >= SMALLEST_MAPPED && map_file(a, fd, (size_t)st.st_size, out))
		return true;
	return read_all(a, fd, (size_t)st.st_size, out);
}

bool
file_read(Arena *a, const char *path, FileBytes *out, Diag *d)
{
	bool is_stdin = strcmp(path, "-") == 0;
	int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	bool ok;

	*out = (FileBytes){0};
	if (fd < 0)
		return fail(path, d, "cannot open");
	ok = read_open_file(a, fd, out);
	if (!ok)
		fail(path, d, "cannot read");
	if (!is_stdin)
		close(fd);
	return ok;
}

/* ---- Paths ---- */

bool
file_same(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

bool
file_is_special(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

bool
file_is_readable(const char *path)
{
	return access(path, R_OK) == 0;
}

const char *
file_basename(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

char *
file_with_suffix(Arena *a, const char *path, const char *suffix)
{
	const char *base = file_basename(path);
	const char *dot = strrchr(base, '.');
	size_t keep = dot && dot != base ? (size_t)(dot - path) : strlen(path);

	return arena_printf(a, "%.*s%s", (int)keep, path, suffix);
}

/* ---- Temporary files of the process ---- */

/* Read by a signal handler, so written only with signals blocked. */
enum { MAX_PENDING = 64 };
static struct {
	const char *path; /* NULL: free */
	bool folder;
} pending[MAX_PENDING];

static void
block_signals(sigset_t *old)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, old);
}

static void
restore_signals(const sigset_t *old)
{
	int saved = errno;

	sigprocmask(SIG_SETMASK, old, NULL);
	errno = saved;
}

/* With signals blocked.  False when the table is full. */
static bool
remember(const char *path, bool folder)
{
	for (int i = 0; i < MAX_PENDING; i++)
		if (!pending[i].path) {
			pending[i].folder = folder;
			pending[i].path = path;
			return true;
		}
	errno = EMFILE;
	return false;
}

static void
forget(const char *path)
{
	sigset_t old;

	block_signals(&old);
	for (int i = 0; i < MAX_PENDING; i++)
		if (pending[i].path == path)
			pending[i].path = NULL;
	restore_signals(&old);
}

void
file_remove_pending(void)
{
	for (int i = 0; i < MAX_PENDING; i++)
		if (pending[i].path && !pending[i].folder)
			unlink(pending[i].path);
	for (int i = 0; i < MAX_PENDING; i++)
		if (pending[i].path && pending[i].folder)
			rmdir(pending[i].path);
}

static void
remove_path(void *object)
{
	const char *path = object;

	if (unlink(path) != 0)
		rmdir(path);
	forget(path);
}

char *
file_temp_folder(Arena *a, Diag *d)
{
	const char *root = getenv("TMPDIR");
	char *path = arena_printf(a, "%s/mcc-XXXXXX", root && *root ? root : "/tmp");
	sigset_t old;
	bool ok;

	block_signals(&old);
	ok = mkdtemp(path) && remember(path, true);
	restore_signals(&old);
	if (!ok) {
		fail(path, d, "cannot make a temporary folder");
		return NULL;
	}
	arena_defer(a, remove_path, path);
	return path;
}

char *
file_temp_path(Arena *a, const char *folder, const char *name)
{
	char *path = arena_printf(a, "%s/%s", folder, name);
	sigset_t old;

	block_signals(&old);
	remember(path, false);
	restore_signals(&old);
	arena_defer(a, remove_path, path);
	return path;
}

/* ---- Outputs ---- */

typedef struct Output {
	struct Output *next;
	const char *path; /* as the user gave it */
	const char *dest; /* with symbolic links followed */
	const char *temp; /* NULL: written directly by the commit */
	const char *data; /* only then */
	size_t size;
	bool done;
} Output;

struct FileSet {
	Arena *arena;
	Output *first, *last;
};

static void
discard_set(void *object)
{
	file_set_discard(object);
}

FileSet *
file_set_new(Arena *a)
{
	FileSet *s = ARENA_NEW(a, FileSet);

	s->arena = a;
	arena_defer(a, discard_set, s);
	return s;
}

static bool
write_all(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t n = write(fd, data, size < INT_MAX ? size : INT_MAX);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			data += n;
			size -= (size_t)n;
		}
	}
	return true;
}

/* A new file beside `dest`, remembered as pending; its descriptor or -1. */
static int
open_temporary(Arena *a, const char *dest, mode_t mode, const char **temp)
{
	static int counter;
	int fd;

	do {
		char *path = arena_printf(a, "%s.tmp%ld-%d", dest, (long)getpid(), counter++);
		sigset_t old;

		block_signals(&old);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
		if (fd >= 0 && !remember(path, false)) {
			close(fd);
			unlink(path);
			fd = -1;
		} else if (fd >= 0) {
			*temp = path;
		}
		restore_signals(&old);
	} while (fd < 0 && errno == EEXIST && counter < INT_MAX);
	return fd;
}

/* More links than this lead in a circle: what kernels allow as well. */
enum { MOST_LINKS = 40 };

/* Where `path` leads through symbolic links, also to what does not exist yet; NULL, with
 * errno, when that cannot be found out. */
static const char *
follow_links(Arena *a, const char *path)
{
	for (int i = 0; i < MOST_LINKS; i++) {
		char target[PATH_MAX];
		ssize_t n = readlink(path, target, sizeof target);
		size_t folder = (size_t)(file_basename(path) - path);

		/* EINVAL: it is no link.  What else is wrong shows when the file is made. */
		if (n < 0)
			return path;
		if (n == (ssize_t)sizeof target) {
			errno = ENAMETOOLONG;
			return NULL;
		}
		if (target[0] == '/')
			folder = 0;
		path = arena_printf(a, "%.*s%.*s", (int)folder, path, (int)n, target);
	}
	errno = ELOOP;
	return NULL;
}

static bool
write_temporary(Arena *a, Output *o, const struct stat *old, const void *data, size_t size)
{
	int fd = open_temporary(a, o->dest, 0666, &o->temp);
	int saved;
	bool ok;

	if (fd < 0)
		return false;
	ok = write_all(fd, data, size);
	if (ok && old)
		ok = fchmod(fd, old->st_mode & 0777) == 0;
	saved = errno;
	if (close(fd) != 0 && ok)
		return false;
	errno = saved;
	return ok;
}

bool
file_set_add(FileSet *s, const char *path, const void *data, size_t size, Diag *d)
{
	Output *o = ARENA_NEW(s->arena, Output);
	bool is_stdout = strcmp(path, "-") == 0;
	struct stat st;
	bool exists;

	*o = (Output){.path = path, .dest = path};
	if (s->last)
		s->last->next = o;
	else
		s->first = o;
	s->last = o;
	exists = !is_stdout && stat(path, &st) == 0;
	if (is_stdout || file_is_special(path)) {
		o->data = data;
		o->size = size;
		return true;
	}
	if (exists && S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		return fail(path, d, "cannot write");
	}
	if (exists && access(path, W_OK) != 0)
		return fail(path, d, "cannot write");
	o->dest = follow_links(s->arena, path);
	if (!o->dest || !write_temporary(s->arena, o, exists ? &st : NULL, data, size))
		return fail(path, d, "cannot write");
	return true;
}

static bool
write_directly(const Output *o)
{
	bool is_stdout = strcmp(o->path, "-") == 0;
	int fd = is_stdout ? STDOUT_FILENO : open(o->path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write_all(fd, o->data, o->size);

	if (fd >= 0 && !is_stdout && close(fd) != 0)
		ok = false;
	return ok;
}

bool
file_set_commit(FileSet *s, Diag *d)
{
	for (Output *o = s->first; o; o = o->next) {
		if (o->done)
			continue;
		if (o->temp ? rename(o->temp, o->dest) != 0 : !write_directly(o))
			return fail(o->path, d, "cannot write");
		if (o->temp)
			forget(o->temp);
		o->done = true;
	}
	return true;
}

void
file_set_discard(FileSet *s)
{
	for (Output *o = s->first; o; o = o->next) {
		if (o->temp && !o->done) {
			unlink(o->temp);
			forget(o->temp);
		}
		o->done = true;
	}
}
