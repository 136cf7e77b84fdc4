/*
 * Files: reading a whole one, and writing so that nobody ever sees half of one.
 *
 * Outputs are collected in a FileSet.  Each is written to a temporary file in
 * the folder of its destination; file_set_commit() renames them all.  Whatever
 * was not committed is removed by file_set_discard(), when the arena is freed,
 * or from a signal handler by file_remove_pending().
 */
#ifndef MCC_BASE_FILE_H
#define MCC_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/diag.h"

typedef struct {
	const unsigned char *data;
	size_t size;
} FileBytes;

/* The contents of `path` ("-": standard input), mapped or read; they live as
 * long as the arena and are aligned for any scalar type. */
bool file_read(Arena *a, const char *path, FileBytes *out, Diag *d);

/* Whether both paths name one existing file. */
bool file_same(const char *a, const char *b);

/* Whether the path names something that is written to and not replaced: a
 * device, a pipe, a socket. */
bool file_is_special(const char *path);

/* Whether the path names something that can be read. */
bool file_is_readable(const char *path);

/* The part of a path behind the last '/'. */
const char *file_basename(const char *path);

/* `path` with the suffix of its last part (from the last '.', if that is not
 * its first character) replaced by `suffix`, which may be empty. */
char *file_with_suffix(Arena *a, const char *path, const char *suffix);

/* ---- Outputs ---- */

typedef struct FileSet FileSet;

FileSet *file_set_new(Arena *a);

/*
 * Writes the future contents of `path` to a temporary file.  A path of "-"
 * (standard output) or one that exists and is no regular file (a device, a
 * pipe) is kept in memory and written by the commit; `data` must live until
 * then.  Symbolic links are followed, also to what does not exist yet.
 */
bool file_set_add(FileSet *s, const char *path, const void *data, size_t size, Diag *d);

/* Puts all files in their places.  False when one cannot be; those before it
 * then are in place. */
bool file_set_commit(FileSet *s, Diag *d);

/* Removes what is not in its place. */
void file_set_discard(FileSet *s);

/* ---- Temporary files ---- */

/* A new empty folder in $TMPDIR or /tmp that is removed with the files of
 * file_temp_path() when the arena is freed; NULL when there is none to be had. */
char *file_temp_folder(Arena *a, Diag *d);

/* The path of `name` in a temporary folder; the file is removed with it. */
char *file_temp_path(Arena *a, const char *folder, const char *name);

/* Removes every temporary file and folder of the process.  May be called from a
 * signal handler. */
void file_remove_pending(void);

#endif
