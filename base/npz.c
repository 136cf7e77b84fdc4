#include "base/npz.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>

#include <zlib.h>

/* Sizes of zip's records without what varies. */
enum { LOCAL = 30, CENTRAL = 46, END = 22, COMMENT = 65535 };

static const char local_magic[] = "PK\3\4", central_magic[] = "PK\1\2", end_magic[] = "PK\5\6";

enum { STORED = 0, DEFLATED = 8 };

typedef struct {
	Arena *arena;
	const char *file;
	const unsigned char *data;
	size_t size;
	Diag *d;
} Archive;

/* An entry of the archive's directory. */
typedef struct {
	const char *name;
	int method, flags;
	uint64_t packed, size, offset;
	uint32_t crc;
} Member;

#define BAD(z, ...) diag_report((z)->d, &(Loc){.file = (z)->file}, E_NPY, __VA_ARGS__)

static uint64_t
number(const unsigned char *p, int bytes)
{
	uint64_t x = 0;

	for (int i = bytes - 1; i >= 0; i--)
		x = x << 8 | p[i];
	return x;
}

bool
npz_is_archive(const void *bytes, size_t size)
{
	return size >= 4 && (memcmp(bytes, local_magic, 4) == 0 || memcmp(bytes, end_magic, 4) == 0);
}

/* ---- Reading ---- */

/* The record at the end, which only a comment may follow. */
static const unsigned char *
find_end(const Archive *z)
{
	size_t first = z->size > END + COMMENT ? z->size - END - COMMENT : 0;

	if (z->size < END)
		return NULL;
	for (size_t at = z->size - END + 1; at-- > first;)
		if (memcmp(z->data + at, end_magic, 4) == 0)
			return z->data + at;
	return NULL;
}

/* Sizes that do not fit 32 bits stand in an extra field, in this order. */
static void
read_zip64(Member *m, const unsigned char *extra, size_t n)
{
	uint64_t *field[] = {&m->size, &m->packed, &m->offset};

	while (n >= 4) {
		size_t length = (size_t)number(extra + 2, 2), at = 4;

		if (length > n - 4)
			return;
		for (int i = 0; i < 3 && number(extra, 2) == 1; i++) {
			if (*field[i] != UINT32_MAX)
				continue;
			if (at + 8 > length + 4)
				return;
			*field[i] = number(extra + at, 8);
			at += 8;
		}
		extra += 4 + length;
		n -= 4 + length;
	}
}

static bool
read_member(const Archive *z, size_t *at, Member *m)
{
	const unsigned char *p = z->data + *at;
	size_t name, extra, comment, room = z->size - *at;

	if (*at > z->size || room < CENTRAL || memcmp(p, central_magic, 4) != 0)
		return BAD(z, "the directory of the archive is damaged");
	name = (size_t)number(p + 28, 2);
	extra = (size_t)number(p + 30, 2);
	comment = (size_t)number(p + 32, 2);
	if (name + extra + comment > room - CENTRAL)
		return BAD(z, "the directory of the archive is cut off");
	*m = (Member){.name = arena_strndup(z->arena, (const char *)p + CENTRAL, name),
	              .flags = (int)number(p + 8, 2),
	              .method = (int)number(p + 10, 2),
	              .crc = (uint32_t)number(p + 16, 4),
	              .packed = number(p + 20, 4),
	              .size = number(p + 24, 4),
	              .offset = number(p + 42, 4)};
	read_zip64(m, p + CENTRAL + name, extra);
	*at += CENTRAL + name + extra + comment;
	return true;
}

/* Deflate makes at most 1032 bytes of one, so a size that is larger is a lie. */
enum { MOST_DEFLATED = 1032 };

static bool
inflate_member(const Archive *z, const Member *m, const unsigned char *from, void *to)
{
	z_stream s = {0};
	int status;

	if (m->packed > UINT_MAX || m->size > UINT_MAX)
		return BAD(z, "'%s' is too large", m->name);
	if (inflateInit2(&s, -MAX_WBITS) != Z_OK)
		return BAD(z, "'%s': zlib is out of memory", m->name);
	/* zlib's declaration lacks a const. */
	memcpy(&s.next_in, &from, sizeof from);
	s.avail_in = (uInt)m->packed;
	s.next_out = to;
	s.avail_out = (uInt)m->size;
	status = inflate(&s, Z_FINISH);
	inflateEnd(&s);
	return (status == Z_STREAM_END && s.avail_out == 0) ||
	       BAD(z, "the compressed data of '%s' are damaged", m->name);
}

/* The contents of a member, in the archive's memory when they are stored. */
static bool
unpack(const Archive *z, const Member *m, const void **out)
{
	const unsigned char *local;
	uint64_t head;
	void *copy;

	if (m->flags & 1)
		return BAD(z, "'%s' is encrypted", m->name);
	if (m->offset > z->size || z->size - m->offset < LOCAL ||
	    memcmp(z->data + m->offset, local_magic, 4) != 0)
		return BAD(z, "'%s' does not lie where the directory says", m->name);
	local = z->data + m->offset;
	head = LOCAL + number(local + 26, 2) + number(local + 28, 2);
	if (head > z->size - m->offset || m->packed > z->size - m->offset - head)
		return BAD(z, "'%s' is cut off", m->name);
	if (m->method == STORED ? m->size != m->packed
	                        : m->method != DEFLATED || m->size / MOST_DEFLATED > m->packed)
		return BAD(z, "'%s' is compressed in a way that mcc does not know, or damaged",
		           m->name);
	*out = local + head;
	if (m->method == DEFLATED) {
		copy = arena_alloc(z->arena, (size_t)m->size);
		if (!inflate_member(z, m, local + head, copy))
			return false;
		*out = copy;
	}
	return crc32_z(0, *out, (size_t)m->size) == m->crc ||
	       BAD(z, "the contents of '%s' are damaged", m->name);
}

static bool
ends_in_npy(const char *name)
{
	size_t n = strlen(name);

	return n > 4 && strcmp(name + n - 4, ".npy") == 0;
}

static bool
read_array(const Archive *z, const Member *m, Npz *out)
{
	NpzEntry e = {.name = arena_strndup(z->arena, m->name, strlen(m->name) - 4)};
	const void *bytes = NULL;

	if (!unpack(z, m, &bytes) ||
	    !npy_read(z->arena, arena_printf(z->arena, "%s:%s", z->file, m->name), bytes,
	              (size_t)m->size, &e.npy, z->d))
		return false;
	/* Stored arrays lie anywhere in the archive. */
	e.npy.data = arena_copy(z->arena, e.npy.data, e.npy.count * (size_t)e.npy.size);
	VEC_PUSH(z->arena, out, e);
	return true;
}

bool
npz_read(Arena *a, const char *file, const void *bytes, size_t size, Npz *out, Diag *d)
{
	Archive z = {a, file, bytes, size, d};
	const unsigned char *end = find_end(&z);
	size_t at, count;

	*out = (Npz){0};
	if (!end)
		return BAD(&z, "the archive has no end; is the file complete?");
	count = (size_t)number(end + 10, 2);
	at = (size_t)number(end + 16, 4);
	if (at > size)
		return BAD(&z, "the directory of the archive lies outside of the file");
	for (size_t i = 0; i < count; i++) {
		Member m = {0};

		if (!read_member(&z, &at, &m))
			return false;
		if (ends_in_npy(m.name) && !read_array(&z, &m, out))
			return false;
	}
	return true;
}

/* ---- Writing ---- */

static void
put(Str *s, uint64_t x, int bytes)
{
	for (int i = 0; i < bytes; i++)
		str_putc(s, (char)(x >> 8 * i & 0xff));
}

/* What local and central records have in common: version to checksum and sizes. */
static void
put_common(Str *s, uint32_t crc, size_t size, size_t name)
{
	put(s, 20, 2); /* the version that is needed */
	put(s, 0x800, 2); /* names are UTF-8 */
	put(s, STORED, 2);
	put(s, 0, 2);      /* 00:00:00 */
	put(s, 0x21, 2);   /* 1980-01-01, the first day of zip */
	put(s, crc, 4);
	put(s, size, 4);
	put(s, size, 4);
	put(s, name, 2);
	put(s, 0, 2);
}

bool
npz_write(Str *s, const Npz *npz)
{
	size_t start = s->n, directory;
	Str central;

	str_init(&central, s->arena);
	for (int i = 0; i < npz->n; i++) {
		const char *name = arena_printf(s->arena, "%s.npy", npz->v[i].name);
		size_t offset = s->n - start;
		uint32_t crc;
		Str npy;

		str_init(&npy, s->arena);
		npy_write(&npy, &npz->v[i].npy);
		if (npy.n >= UINT32_MAX || offset >= UINT32_MAX || strlen(name) > 65535)
			return false;
		crc = (uint32_t)crc32_z(0, (const unsigned char *)npy.s, npy.n);
		str_write(s, local_magic, 4);
		put_common(s, crc, npy.n, strlen(name));
		str_puts(s, name);
		str_write(s, npy.s, npy.n);
		str_write(&central, central_magic, 4);
		put(&central, 20, 2);
		put_common(&central, crc, npy.n, strlen(name));
		put(&central, 0, 6); /* no comment, first disk, no internal attributes */
		put(&central, 0, 4); /* nor external ones */
		put(&central, offset, 4);
		str_puts(&central, name);
	}
	directory = s->n - start;
	if (directory >= UINT32_MAX || npz->n > 65535)
		return false;
	if (central.n)
		str_write(s, central.s, central.n);
	str_write(s, end_magic, 4);
	put(s, 0, 4);
	put(s, (uint64_t)npz->n, 2);
	put(s, (uint64_t)npz->n, 2);
	put(s, central.n, 4);
	put(s, directory, 4);
	put(s, 0, 2);
	return true;
}
