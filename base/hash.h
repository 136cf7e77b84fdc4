/*
 * Hashes of the tables: FNV-1a with 64 bits.  Not for keeping and not against adversaries
 * (base/sha256.h); tables stay correct whatever collides.
 */
#ifndef MCC_BASE_HASH_H
#define MCC_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* More bytes into a hash of those before; HASH_START at first. */
#define HASH_START UINT64_C(14695981039346656037)

static inline uint64_t
hash_bytes(uint64_t h, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * UINT64_C(1099511628211);
	return h;
}

static inline uint64_t
hash_text(const char *s)
{
	uint64_t h = HASH_START;

	for (; *s; s++)
		h = hash_bytes(h, s, 1);
	return h;
}

#endif
