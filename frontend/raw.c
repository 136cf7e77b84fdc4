#include "frontend/raw.h"

#include <string.h>

static bool
host_is_little_endian(void)
{
	const uint16_t one = 1;
	uint8_t low;

	memcpy(&low, &one, 1);
	return low == 1;
}

/* Little-endian bytes as host numbers. */
static void
reverse_bytes(uint8_t *p, size_t count, size_t width)
{
	for (size_t i = 0; i < count; i++, p += width)
		for (size_t k = 0; k < width / 2; k++) {
			uint8_t t = p[k];

			p[k] = p[width - 1 - k];
			p[width - 1 - k] = t;
		}
}

/* Any byte that is not 0 means true; everybody else relies on 1. */
static const void *
clean_bools(Arena *a, const uint8_t *bytes, size_t n)
{
	uint8_t *clean = NULL;

	for (size_t i = 0; i < n; i++) {
		if (bytes[i] <= 1)
			continue;
		if (!clean)
			clean = arena_copy(a, bytes, n);
		clean[i] = 1;
	}
	return clean ? clean : bytes;
}

const void *
raw_elements(Arena *a, DType t, const uint8_t *bytes, size_t n)
{
	size_t width = (size_t)dtype_info[t].bytes;
	uint8_t *copy;

	if (n == 0)
		return arena_alloc(a, 1);
	if (t == DT_BOOL)
		return clean_bools(a, bytes, n);
	if (host_is_little_endian() && (uintptr_t)bytes % width == 0)
		return bytes;
	copy = arena_copy(a, bytes, n);
	if (!host_is_little_endian())
		reverse_bytes(copy, n / width, width);
	return copy;
}

void *
raw_nibbles(Arena *a, const uint8_t *bytes, size_t count, bool is_signed)
{
	uint8_t *out = arena_alloc(a, count);

	for (size_t i = 0; i < count; i++) {
		unsigned v = bytes[i / 2] >> (i % 2 * 4) & 15;

		out[i] = (uint8_t)(is_signed && v >= 8 ? v + 240 : v);
	}
	return out;
}
