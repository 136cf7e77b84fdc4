/*
 * Numbers as they stand in files.
 */
#ifndef MCC_FRONTEND_TFLITE_BYTES_H
#define MCC_FRONTEND_TFLITE_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* An unsigned number of up to eight bytes, little endian. */
static inline uint64_t
bytes_number(const unsigned char *bytes, size_t n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | bytes[n];
	return v;
}

#endif
