/*
 * NumPy's .npy files (format versions 1 to 3).
 *
 * Elements are described as NumPy does, by a kind and a size in bytes; what
 * they mean to mcc is decided by the reader's caller.  Arrays come out in host
 * byte order and C order, whatever the file had.
 */
#ifndef MCC_BASE_NPY_H
#define MCC_BASE_NPY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/str.h"

enum { NPY_MAX_RANK = 32 };

typedef struct {
	char kind;  /* b bool, i u integers, f float, c complex, S bytes, U text, V raw bytes */
	int size;   /* bytes of an element */
	int rank;
	size_t dim[NPY_MAX_RANK];
	size_t count; /* elements */
	const void *data;
} Npy;

/* Reads the file at [bytes, bytes + size), called `file` in messages.  The
 * elements may be borrowed from it. */
bool npy_read(Arena *a, const char *file, const void *bytes, size_t size, Npy *out, Diag *d);

/* Appends the array as a version 1 file. */
void npy_write(Str *s, const Npy *n);

#endif
