#include "base/npy.h"

#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

enum { MAGIC = 6, ALIGN = 64 };

static const unsigned char magic[MAGIC] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

/* The header's text, a Python dictionary, while it is read. */
typedef struct {
	const char *file;
	const char *p, *end;
	Diag *d;
	bool big_endian;
	bool fortran;
} Header;

__attribute__((format(printf, 2, 3))) static bool
malformed(Header *h, const char *format, ...)
{
	Loc loc = {.file = h->file};
	Str s;
	va_list args;

	str_init(&s, h->d->arena);
	va_start(args, format);
	str_vprintf(&s, format, args);
	va_end(args);
	return diag_report(h->d, &loc, E_NPY, "%s", s.s);
}

/* ---- The header's grammar ---- */

static void
skip_space(Header *h)
{
	while (h->p < h->end && (*h->p == ' ' || *h->p == '\n' || *h->p == '\t' || *h->p == '\r'))
		h->p++;
}

/* Skips `c` if it comes next. */
static bool
accept(Header *h, char c)
{
	skip_space(h);
	if (h->p == h->end || *h->p != c)
		return false;
	h->p++;
	return true;
}

static bool
accept_word(Header *h, const char *word)
{
	size_t n = strlen(word);

	skip_space(h);
	if ((size_t)(h->end - h->p) < n || memcmp(h->p, word, n) != 0)
		return false;
	h->p += n;
	return true;
}

/* A quoted string without escapes, of at most 31 characters. */
static bool
read_string(Header *h, char text[32])
{
	const char *start;
	char quote;

	skip_space(h);
	if (h->p == h->end || (*h->p != '\'' && *h->p != '"'))
		return false;
	quote = *h->p++;
	start = h->p;
	while (h->p < h->end && *h->p != quote)
		h->p++;
	if (h->p == h->end || h->p - start > 31)
		return false;
	memcpy(text, start, (size_t)(h->p - start));
	text[h->p - start] = '\0';
	h->p++;
	return true;
}

static bool
read_size(Header *h, size_t *value)
{
	size_t v = 0;

	skip_space(h);
	if (h->p == h->end || *h->p < '0' || *h->p > '9')
		return false;
	for (; h->p < h->end && *h->p >= '0' && *h->p <= '9'; h->p++) {
		size_t digit = (size_t)(*h->p - '0');

		if (v > (SIZE_MAX - digit) / 10)
			return false;
		v = 10 * v + digit;
	}
	accept(h, 'L'); /* written by Python 2 */
	*value = v;
	return true;
}

static bool
read_shape(Header *h, Npy *out)
{
	if (!accept(h, '('))
		return malformed(h, "the header's 'shape' is not a tuple");
	while (!accept(h, ')')) {
		if (out->rank == NPY_MAX_RANK)
			return malformed(h, "more than %d dimensions", NPY_MAX_RANK);
		if (!read_size(h, &out->dim[out->rank++]))
			return malformed(h, "the header's 'shape' holds something other than a size");
		if (accept(h, ','))
			continue;
		if (accept(h, ')'))
			return true;
		return malformed(h, "the header's 'shape' does not end");
	}
	return true;
}

static bool
size_fits_kind(char kind, int size)
{
	bool power = size > 0 && (size & (size - 1)) == 0;

	switch (kind) {
	case 'b':
		return size == 1;
	case 'i':
	case 'u':
		return power && size <= 8;
	case 'f':
		return power && size >= 2 && size <= 16;
	case 'c':
		return power && size >= 8 && size <= 32;
	case 'S':
	case 'U':
	case 'V':
		return size > 0;
	}
	return false;
}

static bool
read_descr(Header *h, Npy *out)
{
	char text[32];
	const char *p = text;
	long size = 0;

	if (!read_string(h, text))
		return malformed(h, "the header's 'descr' is no simple element type");
	h->big_endian = *p == '>';
	if (*p == '<' || *p == '>' || *p == '|' || *p == '=')
		p++;
	out->kind = *p;
	if (*p)
		p++;
	while (*p >= '0' && *p <= '9' && size < INT_MAX / 100)
		size = 10 * size + (*p++ - '0');
	if (out->kind == 'U')
		size *= 4;
	out->size = (int)size;
	if (*p || !size_fits_kind(out->kind, out->size))
		return malformed(h, "element type '%s' is not supported", text);
	return true;
}

static bool
read_order(Header *h)
{
	h->fortran = accept_word(h, "True");
	return h->fortran || accept_word(h, "False") ||
	       malformed(h, "the header's 'fortran_order' is neither True nor False");
}

static bool
read_entry(Header *h, unsigned *seen, Npy *out)
{
	static const char *const key[] = {"descr", "fortran_order", "shape"};
	char text[32];
	unsigned i = 0;

	if (!read_string(h, text) || !accept(h, ':'))
		return malformed(h, "the header is not a dictionary with strings as keys");
	while (i < 3 && strcmp(text, key[i]) != 0)
		i++;
	if (i == 3 || (*seen & 1u << i))
		return malformed(h, "the header has an unexpected key '%s'", text);
	*seen |= 1u << i;
	return i == 0 ? read_descr(h, out) : i == 1 ? read_order(h) : read_shape(h, out);
}

static bool
read_dictionary(Header *h, Npy *out)
{
	unsigned seen = 0;

	if (!accept(h, '{'))
		return malformed(h, "the header is not a dictionary");
	while (!accept(h, '}')) {
		if (!read_entry(h, &seen, out))
			return false;
		if (!accept(h, ',') && (h->p == h->end || *h->p != '}'))
			return malformed(h, "the header's dictionary does not end");
	}
	skip_space(h);
	if (h->p != h->end)
		return malformed(h, "text behind the header's dictionary");
	if (seen != 7)
		return malformed(h, "the header lacks 'descr', 'fortran_order' or 'shape'");
	return true;
}

/* ---- Elements ---- */

/* Bytes that are swapped as one when the byte order changes. */
static size_t
swap_unit(const Npy *n)
{
	switch (n->kind) {
	case 'S':
	case 'V':
		return 1;
	case 'U':
		return 4;
	case 'c':
		return (size_t)n->size / 2;
	}
	return (size_t)n->size;
}

static void
swap_bytes(unsigned char *data, size_t bytes, size_t unit)
{
	for (unsigned char *p = data; p < data + bytes; p += unit)
		for (size_t i = 0; i < unit / 2; i++) {
			unsigned char t = p[i];

			p[i] = p[unit - 1 - i];
			p[unit - 1 - i] = t;
		}
}

/* Copies from column-major to row-major order. */
static void
transpose(const Npy *n, unsigned char *to, const unsigned char *from)
{
	size_t at[NPY_MAX_RANK] = {0}, stride[NPY_MAX_RANK], size = (size_t)n->size;
	size_t index = 0;

	for (int i = 0; i < n->rank; i++)
		stride[i] = i ? stride[i - 1] * n->dim[i - 1] : 1;
	for (size_t k = 0; k < n->count; k++) {
		memcpy(to + k * size, from + index * size, size);
		for (int i = n->rank - 1; i >= 0; i--) {
			index += stride[i];
			if (++at[i] < n->dim[i])
				break;
			index -= stride[i] * n->dim[i];
			at[i] = 0;
		}
	}
}

static bool
host_is_big_endian(void)
{
	const uint16_t one = 1;

	return *(const unsigned char *)&one == 0;
}

/* Counts the elements; false when the array is larger than the address space. */
static bool
count_elements(Npy *n, size_t *bytes)
{
	n->count = 1;
	for (int i = 0; i < n->rank; i++)
		if (n->dim[i] == 0) {
			n->count = 0;
			*bytes = 0;
			return true;
		}
	for (int i = 0; i < n->rank; i++)
		if (__builtin_mul_overflow(n->count, n->dim[i], &n->count))
			return false;
	return !__builtin_mul_overflow(n->count, (size_t)n->size, bytes);
}

static void
take_elements(Arena *a, const Header *h, Npy *out, const unsigned char *data, size_t bytes)
{
	size_t unit = swap_unit(out);
	bool swap = unit > 1 && h->big_endian != host_is_big_endian();
	bool transposed = h->fortran && out->rank > 1;
	unsigned char *copy;

	out->data = data;
	if (!swap && !transposed && (uintptr_t)data % 16 == 0)
		return;
	copy = arena_alloc(a, bytes);
	out->data = copy;
	if (!bytes)
		return;
	if (transposed)
		transpose(out, copy, data);
	else
		memcpy(copy, data, bytes);
	if (swap)
		swap_bytes(copy, bytes, unit);
}

/* Finds the header's text behind magic and version; moves *p behind it. */
static bool
find_header(Header *h, const unsigned char **p, const unsigned char *end)
{
	const unsigned char *q = *p;
	size_t width, length = 0;

	if (end - q < MAGIC + 2 || memcmp(q, magic, MAGIC) != 0)
		return malformed(h, "this is not a .npy file");
	if (q[MAGIC] < 1 || q[MAGIC] > 3)
		return malformed(h, "version %d.%d of the format is unknown", q[MAGIC], q[MAGIC + 1]);
	width = q[MAGIC] == 1 ? 2 : 4;
	q += MAGIC + 2;
	if ((size_t)(end - q) < width)
		return malformed(h, "the file ends in its header");
	for (size_t i = 0; i < width; i++)
		length |= (size_t)q[i] << (8 * i);
	q += width;
	if ((size_t)(end - q) < length)
		return malformed(h, "the file ends in its header");
	h->p = (const char *)q;
	h->end = (const char *)q + length;
	*p = q + length;
	return true;
}

bool
npy_read(Arena *a, const char *file, const void *bytes, size_t size, Npy *out, Diag *d)
{
	Header h = {.file = file, .d = d};
	const unsigned char *p = bytes, *end = p + size;
	size_t need;

	*out = (Npy){0};
	if (!find_header(&h, &p, end) || !read_dictionary(&h, out))
		return false;
	if (!count_elements(out, &need))
		return malformed(&h, "the array is larger than the address space");
	if ((size_t)(end - p) != need)
		return malformed(&h, "%zu bytes of elements where the shape asks for %zu",
		                 (size_t)(end - p), need);
	take_elements(a, &h, out, p, need);
	return true;
}

void
npy_write(Str *s, const Npy *n)
{
	char order = swap_unit(n) == 1 ? '|' : host_is_big_endian() ? '>' : '<';
	size_t unpadded, length;
	Str header;

	str_init(&header, s->arena);
	str_printf(&header, "{'descr': '%c%c%d', 'fortran_order': False, 'shape': (", order, n->kind,
	           n->kind == 'U' ? n->size / 4 : n->size);
	for (int i = 0; i < n->rank; i++)
		str_printf(&header, i ? ", %zu" : "%zu", n->dim[i]);
	str_puts(&header, n->rank == 1 ? ",), }" : "), }");
	unpadded = MAGIC + 4 + header.n + 1;
	for (length = unpadded; length % ALIGN; length++)
		str_putc(&header, ' ');
	str_putc(&header, '\n');
	str_write(s, (const char *)magic, MAGIC);
	str_putc(s, 1);
	str_putc(s, 0);
	str_putc(s, (char)(header.n & 0xff));
	str_putc(s, (char)(header.n >> 8));
	str_write(s, header.s, header.n);
	if (n->count)
		str_write(s, n->data, n->count * (size_t)n->size);
}
