/*
 * FlexBuffers: the options of custom operators, a map of names to numbers.  The bytes are
 * read from their end.
 */
#ifndef MCC_FRONTEND_TFLITE_FLEXBUF_H
#define MCC_FRONTEND_TFLITE_FLEXBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
	const uint8_t *bytes;
	size_t size;
	size_t values, count; /* where the values start */
	int width;            /* bytes of a value */
	size_t keys;          /* where the offsets of the names start; 0: a vector */
	int key_width;
} FlexMap;

/* Whether the bytes are a map or a vector. */
bool flex_read(FlexMap *m, const uint8_t *bytes, size_t size);

/* Number i, an integer or a bool; false when there is none. */
bool flex_number(const FlexMap *m, size_t i, int64_t *out);

/* The number of that name. */
bool flex_find(const FlexMap *m, const char *name, int64_t *out);

#endif
