/*
 * NumPy's .npz files: zip archives of .npy files.
 *
 * Entries may be stored or deflated, with the sizes of classic zip or zip64.  What is
 * written is stored, in one order and without dates, so that the same arrays give
 * the same bytes.
 */
#ifndef MCC_BASE_NPZ_H
#define MCC_BASE_NPZ_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/npy.h"
#include "base/str.h"

typedef struct {
	const char *name; /* without .npy */
	Npy npy;
} NpzEntry;

typedef VEC(NpzEntry) Npz;

/* Whether the bytes start as a zip archive does. */
bool npz_is_archive(const void *bytes, size_t size);

/* Reads all arrays of the archive, called `file` in messages. */
bool npz_read(Arena *a, const char *file, const void *bytes, size_t size, Npz *out, Diag *d);

/* Appends the arrays as an archive; false when it would be too large for one. */
bool npz_write(Str *s, const Npz *npz);

#endif
