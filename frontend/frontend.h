/*
 * Frontends: from a model file to the graph IR.
 *
 * Every format is a row of formats.def with two functions
 *
 *	bool FORMAT_sniff(const uint8_t *bytes, size_t n)
 *		whether the contents look like the format; cheap, never reads past n
 *	Graph *FORMAT_read(const FrontendFile *f, Diag *d)
 *		reads it; NULL when an error was reported
 *
 * Nothing after the frontend may ask where a graph came from.
 */
#ifndef MCC_FRONTEND_FRONTEND_H
#define MCC_FRONTEND_FRONTEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diag.h"
#include "ir/graph.h"

/* -finput-shape=NAME:1x3x48x192 */
typedef struct {
	const char *input;
	int rank;
	int32_t dim[MAX_RANK];
} InputShape;

/* -finput-value=sr:16000, or a list with a value for each element */
typedef struct {
	const char *input;
	int n;
	const double *value;
} InputValue;

/* -D batch=1 */
typedef struct {
	const char *name;
	int32_t value;
} DimValue;

/* As many iterations as early stopping found to be best. */
enum { TREE_LIMIT_BEST = -1 };

/* Paths of files. */
typedef VEC(const char *) PathList;

typedef struct {
	const char *format; /* -x: a name of formats.def; NULL: look at the file */
	const InputShape *shapes;
	int nshapes;
	const InputValue *values;
	int nvalues;
	const DimValue *dims;
	int ndims;
	int tree_limit;  /* iterations of boosting that count; 0: all, TREE_LIMIT_BEST */
	bool plain_weights; /* weights of 8 bits for layers of floats become floats, as they are
	                     * about to be chosen again */
	PathList *files; /* gets the files that are read beside the model; NULL: nobody asks */
} FrontendOptions;

/* What a reader gets.  The bytes and the path outlive the graph. */
typedef struct {
	Arena *arena;
	const char *path; /* as the user gave it; other files are found beside it */
	const uint8_t *bytes;
	size_t size;
	const FrontendOptions *options; /* never NULL */
} FrontendFile;

typedef struct {
	const char *name, *suffixes, *title;
	bool (*sniff)(const uint8_t *bytes, size_t n);
	Graph *(*read)(const FrontendFile *f, Diag *d);
} FrontendFormat;

#define FORMAT(id, name, suffixes, title) \
	bool id##_sniff(const uint8_t *bytes, size_t n); \
	Graph *id##_read(const FrontendFile *f, Diag *d);
#include "frontend/formats.def"

/* All formats; ends with a NULL name. */
extern const FrontendFormat frontend_formats[];

/* The format of a file: the one that the options force, else by content, else
 * by suffix.  NULL and E_FORMAT or E_USAGE when there is none. */
const FrontendFormat *frontend_find(const FrontendFile *f, Diag *d);

/*
 * Reads a model.  `bytes` are borrowed and must live as long as the graph (its
 * constants may point into them); `o` may be NULL.  NULL when an error was
 * reported; then every problem that could be found was reported.
 */
Graph *frontend_read(Arena *a, const char *path, const uint8_t *bytes, size_t n,
                     const FrontendOptions *o, Diag *d);

/* The argument of -finput-shape: NAME:1x3x48x192, or NAME: for a scalar.  The
 * name may contain colons.  Reports E_USAGE. */
bool frontend_parse_shape(Arena *a, const char *text, InputShape *out, Diag *d);

/* The argument of -finput-value: NAME:1, NAME:0.5,-1,2.  Reports E_USAGE. */
bool frontend_parse_value(Arena *a, const char *text, InputValue *out, Diag *d);

/* For readers: the next input of the graph or, when -finput-value names it, a constant in
 * its place.  NULL when an error was reported, at `loc`. */
Value *frontend_input(const FrontendFile *f, Graph *g, const char *name, Type t, const Loc *loc,
                      Diag *d);

/* The argument of -D: NAME=VALUE. */
bool frontend_parse_dim(Arena *a, const char *text, DimValue *out, Diag *d);

#endif
