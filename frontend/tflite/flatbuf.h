/*
 * The layout of FlatBuffers: tables, vectors and strings of a file that nobody
 * trusts.
 *
 * A table is read into a struct of tables.def.  Every offset, length and size is
 * checked when its table is read, so that what the structs refer to can be read
 * without further checks; vectors of tables give positions that are checked when
 * the table there is read.  Tables may be shared, so readers bound their own work
 * with fb_spend().
 */
#ifndef MCC_FRONTEND_TFLITE_FLATBUF_H
#define MCC_FRONTEND_TFLITE_FLATBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `count` elements from byte `at` of the file; 0 elements when absent. */
typedef struct {
	size_t at, count;
	bool present;
} FbVec;

/* Text, not terminated; length 0 when absent. */
typedef struct {
	const char *s;
	size_t n;
} FbString;

/* A table at byte `at`; 0: absent. */
typedef struct {
	size_t at;
} FbRef;

typedef int64_t Fb_bool, Fb_i8, Fb_u8, Fb_i32, Fb_u32, Fb_i64, Fb_u64;
typedef double Fb_f32;
typedef FbString Fb_string;
typedef FbRef Fb_table;
typedef FbVec Fb_vec_i8, Fb_vec_u8, Fb_vec_u16, Fb_vec_i32, Fb_vec_i64, Fb_vec_f32, Fb_vec_table;

#define FB_TABLE(name) typedef struct {
#define FIELD(table, slot, kind, field, init) Fb_##kind field;
#define FB_END(name) \
	char unused; \
	} \
	Fb##name;
#include "frontend/tflite/tables.def"

typedef enum {
#define FB_TABLE(name) FB_##name,
#include "frontend/tflite/tables.def"
	FB_COUNT
} FbKind;

typedef struct {
	const uint8_t *bytes;
	size_t size;
	int64_t work;      /* elements that may still be visited */
	const char *error; /* what is wrong with the file; NULL: nothing so far */
	size_t where;      /* and at which byte */
} Fb;

/* The table that the file starts with; false when that is no FlatBuffer with the
 * identifier of four letters. */
bool fb_begin(Fb *f, const uint8_t *bytes, size_t size, const char *identifier, FbRef *root);

/* Reads a table into the struct of its kind; an absent one gives the defaults.
 * False and f->error when it is malformed. */
bool fb_read(Fb *f, FbKind kind, FbRef table, void *out);

/* Takes `elements` from what may still be visited; false when that is too much. */
bool fb_spend(Fb *f, size_t elements);

/* Element i of a vector. */
int32_t fb_i32(const Fb *f, FbVec v, size_t i);
uint32_t fb_unsigned(const Fb *f, FbVec v, size_t i, int bytes); /* at most 4 of them */
int64_t fb_i64(const Fb *f, FbVec v, size_t i);
float fb_f32(const Fb *f, FbVec v, size_t i);
bool fb_ref(Fb *f, FbVec v, size_t i, FbRef *out);

#endif
