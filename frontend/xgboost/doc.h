/*
 * A document of XGBoost, which is written as JSON or as UBJSON: what is the same in
 * both.
 */
#ifndef MCC_FRONTEND_XGBOOST_DOC_H
#define MCC_FRONTEND_XGBOOST_DOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diag.h"

/* Objects and arrays in each other. */
enum { DOC_MAX_DEPTH = 64 };

typedef enum {
	DOC_NULL,
	DOC_BOOL,
	DOC_NUMBER,
	DOC_STRING,
	DOC_NUMBERS,
	DOC_ARRAY,
	DOC_OBJECT
} DocKind;

typedef struct Doc Doc;
struct Doc {
	DocKind kind;
	size_t at;             /* where it begins in the file: bytes, from 1; 0: not known */
	double number;         /* also of a bool */
	const char *string;    /* terminated */
	int n;                 /* elements or members */
	const double *numbers; /* DOC_NUMBERS: an array of nothing but numbers and bools */
	Doc *item;             /* DOC_ARRAY, DOC_OBJECT */
	const char *const *key; /* DOC_OBJECT */
};

/* Both report E_MALFORMED with the place in the file. */
bool json_read(Arena *a, const char *path, const uint8_t *bytes, size_t n, Doc *out, Diag *d);
bool ubjson_read(Arena *a, const char *path, const uint8_t *bytes, size_t n, Doc *out, Diag *d);

/* Whether the bytes begin like a UBJSON object. */
bool ubjson_sniff(const uint8_t *bytes, size_t n);

/* Lines that were counted, so that places further on need not start at the first. */
typedef struct {
	size_t at, start; /* where counting stopped, and where the line there begins */
	int line;
} DocLines;

/* The place of a byte of the file: line and column of JSON, else its number. */
Loc doc_loc(Arena *a, const char *path, const uint8_t *bytes, size_t n, size_t at,
            DocLines *lines);

/* The member of that name, or NULL. */
const Doc *doc_get(const Doc *object, const char *key);

#endif
