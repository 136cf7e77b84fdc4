/*
 * The operator table.
 *
 * Every operator of the graph IR is one record of ops.def; this header and
 * op.c expand it into the enum, the attribute structs, the descriptions of
 * attributes and the function tables.  A record without its functions fails to
 * link with the missing name.
 *
 * There are three kinds of records:
 *
 *	EOP	elementwise: scalar_ID() computes one element; the loops, the
 *		broadcast and the conversions around it are shared
 *	OP	any other primitive: lower_ID() writes its reference lowering
 *	SOP	sugar: expand_ID() rewrites it into other operators; it never
 *		reaches the code generator
 *
 * and all of them have infer_RULE(), which computes the types of the outputs.
 */
#ifndef MCC_IR_OP_H
#define MCC_IR_OP_H

#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "ir/type.h"

typedef enum {
#define EOP(id, name, inputs, infer, traits) OP_##id,
#define OP(id, name, lo, hi, outs_lo, outs_hi, infer, lower, traits) OP_##id,
#define SOP(id, name, lo, hi, outs_lo, outs_hi, infer, expand, traits) OP_##id,
#include "ir/ops.def"
	OP_COUNT
} Op;

/* Traits: bits. */
enum {
	COMMUTES = 1 << 0, /* the first two inputs may be swapped */
	VIEW = 1 << 1,     /* the output has the bytes of input 0 in their order */
	MOVES = 1 << 2     /* elements of the output are elements of input 0, whatever they mean */
};

/* What a record is; set by the kind of record. */
typedef enum { OP_ELEMENTWISE, OP_PRIMITIVE, OP_SUGAR } OpKind;

/* ---- Attributes ---- */

typedef struct {
	int n;
	const int64_t *v;
} Ints;

typedef struct {
	int n;
	const double *v;
} Floats;

#define NO_INTS \
	{ \
		0, NULL \
	}
#define NO_FLOATS \
	{ \
		0, NULL \
	}

typedef int64_t attr_int;
typedef double attr_float;
typedef bool attr_bool;
typedef Ints attr_ints;
typedef Floats attr_floats;
typedef DType attr_dtype;
typedef const char *attr_str;

/* Enumerations used by attributes; in text the words as written here. */
#define ENUM(type, prefix) typedef enum {
#define WORD(prefix, word) prefix##_##word,
#define END_ENUM(type, prefix) \
	prefix##_COUNT \
	} \
	type;
#include "ir/enums.def"

typedef enum {
	ATTR_KIND_int,
	ATTR_KIND_float,
	ATTR_KIND_bool,
	ATTR_KIND_ints,
	ATTR_KIND_floats,
	ATTR_KIND_dtype,
	ATTR_KIND_str,
	ATTR_KIND_enum
} AttrKind;

typedef struct {
	const char *name;
	AttrKind kind;
	size_t offset;           /* in the attribute struct */
	const char *const *word; /* ATTR_KIND_enum: its words, NULL at the end */
} AttrInfo;

/* The attribute structs: Attr_CONV and so on.  `unused` keeps structs of
 * operators without attributes non-empty. */
#define EOP(id, name, inputs, infer, traits) typedef struct {
#define OP(id, name, lo, hi, outs_lo, outs_hi, infer, lower, traits) typedef struct {
#define SOP(id, name, lo, hi, outs_lo, outs_hi, infer, expand, traits) typedef struct {
#define ATTR(id, type, field, init) attr_##type field;
#define ATTR_ENUM(id, type, field, init) type field;
#define END(id) \
	char unused; \
	} \
	Attr_##id;
#include "ir/ops.def"

typedef struct Node Node;
typedef struct Graph Graph;
typedef struct LowerCtx LowerCtx;
#ifndef MCC_EXPR_DECLARED
#define MCC_EXPR_DECLARED
typedef struct Expr Expr;
typedef struct LBuilder LBuilder;
#endif

/* Computes the types of n->out[] from inputs and attributes, into `out` (room
 * for n->nouts types, already zeroed).  Input types are valid.  Reports what
 * does not fit to `d` and returns false. */
typedef bool InferFn(const Node *n, Type *out, Diag *d);

/* Writes the reference lowering of `n`; see ir/lower.h. */
typedef void LowerFn(LowerCtx *cx, const Node *n);

/* One element of an elementwise operator.  `x` are the inputs in the compute
 * type of their element types (see dtype_compute), the result is in the
 * compute type of the output's. */
typedef Expr *ScalarFn(LBuilder *b, const Node *n, Expr *const *x);

/* Replaces `n` by nodes of other operators, inserted before it, and redirects
 * the uses of its outputs.  The caller removes `n`. */
typedef void ExpandFn(Graph *g, Node *n);

/* The functions that the table names; they are in ir/ops/. */
#define EOP(id, name, inputs, infer, traits) \
	InferFn infer_##infer; \
	ScalarFn scalar_##id;
#define OP(id, name, lo, hi, outs_lo, outs_hi, infer, lower, traits) \
	InferFn infer_##infer; \
	LowerFn lower_##lower;
#define SOP(id, name, lo, hi, outs_lo, outs_hi, infer, expand, traits) \
	InferFn infer_##infer; \
	ExpandFn expand_##expand;
#include "ir/ops.def"

typedef struct {
	const char *name;
	OpKind kind;
	int inputs_min, inputs_max; /* INT_MAX: any number */
	int outputs_min, outputs_max;
	unsigned traits;
	const AttrInfo *attrs; /* ends with a NULL name */
	size_t attr_size;
	const void *attr_default; /* an Attr_ID */
	InferFn *infer;
	ScalarFn *scalar; /* OP_ELEMENTWISE */
	LowerFn *lower;   /* OP_PRIMITIVE */
	ExpandFn *expand; /* OP_SUGAR */
} OpInfo;

extern const OpInfo op_info[OP_COUNT];

/* The operator of that name in the text form, or OP_COUNT. */
Op op_find(const char *name, size_t length);

/* The words of an attribute that is an enumeration, NULL at the end. */
const char *const *op_enum_words(Op op, const char *attr);

#endif
