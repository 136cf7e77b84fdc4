#include "frontend/tflite/flexbuf.h"

#include <string.h>

#include "frontend/tflite/bytes.h"

enum {
	FLEX_INT = 1, FLEX_UINT = 2, FLEX_INDIRECT_INT = 6, FLEX_INDIRECT_UINT = 7,
	FLEX_MAP = 9, FLEX_VECTOR = 10, FLEX_BOOL = 26
};

static bool
has(const FlexMap *m, size_t at, uint64_t count)
{
	return at <= m->size && count <= m->size - at;
}

/* In bounds. */
static uint64_t
number(const FlexMap *m, size_t at, int bytes)
{
	return bytes_number(m->bytes + at, (size_t)bytes);
}

static int64_t
extended(uint64_t v, int bytes)
{
	int unused = 64 - 8 * bytes;

	return unused == 0 ? (int64_t)v : (int64_t)(v << unused) >> unused;
}

/* Follows the distance back that stands at `at`. */
static bool
follow(const FlexMap *m, size_t at, int bytes, size_t *to)
{
	uint64_t back;

	if (!has(m, at, (uint64_t)bytes))
		return false;
	back = number(m, at, bytes);
	if (back > at)
		return false;
	*to = at - (size_t)back;
	return true;
}

/* The number of elements stands in front of them, the offset and the width of a map's
 * keys before that. */
static bool
read_parts(FlexMap *m, bool is_map)
{
	size_t width = (size_t)m->width, before = is_map ? 3 * width : width;
	uint64_t count, key_width;

	if (m->values < before)
		return false;
	count = number(m, m->values - width, m->width);
	if (count > m->size || !has(m, m->values, count * (width + 1)))
		return false;
	m->count = (size_t)count;
	if (!is_map)
		return true;
	key_width = number(m, m->values - 2 * width, m->width);
	if (key_width != 1 && key_width != 2 && key_width != 4 && key_width != 8)
		return false;
	m->key_width = (int)key_width;
	return follow(m, m->values - 3 * width, m->width, &m->keys) &&
	       has(m, m->keys, count * key_width);
}

bool
flex_read(FlexMap *m, const uint8_t *bytes, size_t size)
{
	int root_width, type;

	*m = (FlexMap){.bytes = bytes, .size = size};
	if (size < 3)
		return false;
	root_width = bytes[size - 1];
	type = bytes[size - 2] >> 2;
	m->width = 1 << (bytes[size - 2] & 3);
	if (root_width != 1 && root_width != 2 && root_width != 4 && root_width != 8)
		return false;
	if ((type != FLEX_MAP && type != FLEX_VECTOR) || size < 2 + (size_t)root_width)
		return false;
	return follow(m, size - 2 - (size_t)root_width, root_width, &m->values) &&
	       read_parts(m, type == FLEX_MAP);
}

bool
flex_number(const FlexMap *m, size_t i, int64_t *out)
{
	size_t at;
	int type, width = m->width;

	if (i >= m->count)
		return false;
	at = m->values + i * (size_t)m->width;
	type = m->bytes[m->values + m->count * (size_t)m->width + i];
	if (type >> 2 == FLEX_INDIRECT_INT || type >> 2 == FLEX_INDIRECT_UINT) {
		width = 1 << (type & 3);
		if (!follow(m, at, m->width, &at) || !has(m, at, (uint64_t)width))
			return false;
	}
	switch (type >> 2) {
	case FLEX_INT:
	case FLEX_INDIRECT_INT: *out = extended(number(m, at, width), width); return true;
	case FLEX_UINT:
	case FLEX_BOOL:
	case FLEX_INDIRECT_UINT: *out = (int64_t)number(m, at, width); return true;
	}
	return false;
}

bool
flex_find(const FlexMap *m, const char *name, int64_t *out)
{
	size_t length = strlen(name) + 1, at;

	for (size_t i = 0; m->keys && i < m->count; i++)
		if (follow(m, m->keys + i * (size_t)m->key_width, m->key_width, &at) &&
		    has(m, at, length) && memcmp(m->bytes + at, name, length) == 0)
			return flex_number(m, i, out);
	return false;
}
