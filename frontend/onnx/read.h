/*
 * Inside the ONNX frontend: what the functions that read operators work with.
 *
 * A reader onnx_read_X() gets an ONode: the node's inputs as values of the graph
 * IR, its attributes, its opset.  It builds IR nodes and sets out[].  It returns
 * false after an error; then the outputs are poisoned, and what depends on them
 * is skipped without further errors.
 *
 * The functions that build (build.c) return NULL after an error and accept the
 * NULL of an earlier one, so that readers check only the last result.  Inputs
 * that the operator requires are never NULL; optional ones may be.
 *
 * C does not say in which order arguments are evaluated, so no call has two
 * arguments that both build: the graph would depend on the compiler.
 */
#ifndef MCC_FRONTEND_ONNX_READ_H
#define MCC_FRONTEND_ONNX_READ_H

#include <onnx/onnx.pb-c.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "frontend/frontend.h"
#include "frontend/onnx/tensor.h"
#include "ir/graph.h"

typedef Onnx__AttributeProto AttributeProto;
typedef Onnx__FunctionProto FunctionProto;
typedef Onnx__GraphProto GraphProto;
typedef Onnx__ModelProto ModelProto;
typedef Onnx__NodeProto NodeProto;
typedef Onnx__SparseTensorProto SparseTensorProto;
typedef Onnx__TensorProto TensorProto;
typedef Onnx__TypeProto TypeProto;
typedef Onnx__ValueInfoProto ValueInfoProto;

typedef struct ONode ONode;

/* Bounds on the work that one file can ask for. */
enum {
	ONNX_MAX_NODES = 250000,      /* IR nodes and ONNX nodes, unrolled and inlined */
	ONNX_MAX_DEPTH = 40,          /* subgraphs and functions in each other */
	ONNX_MAX_TRIPS = 1000,        /* iterations of one unrolled loop */
	ONNX_FOLD_BUDGET = 1 << 26,   /* iterations of loops for all folded nodes */
	ONNX_MAX_BRANCH = 1000,       /* IR nodes of both branches of an If that is computed */
	ONNX_CONST_BYTES = 64 << 20,  /* constants that the frontend makes */
	ONNX_SMALL = 4096             /* elements: larger fills are computed, not stored */
};

/* A sequence exists only while reading: its length is known. */
typedef struct {
	Value **v;
	int n;
} Sequence;

/* What a name stands for. */
typedef struct {
	Value *value; /* NULL: it could not be read, which was reported */
	bool absent;  /* in a function: an input that the caller left out */
	const Sequence *sequence; /* or NULL */
} Binding;

/* A function of the model, with the attributes that have defaults. */
typedef struct {
	const FunctionProto *proto;
	const AttributeProto **defaults;
	int ndefaults;
} Function;

/* The operator sets that a model or function imports. */
typedef struct {
	const char *domain; /* "" is ai.onnx */
	int version;
} Opset;
typedef VEC(Opset) Opsets;

/* Names and context of one graph: the model's, a subgraph's, a function's. */
typedef struct Scope {
	const struct Scope *outer;   /* whose names are seen too; NULL: none */
	const Opsets *opsets;
	ONode *call;                 /* in a function: its caller, for attributes */
	const Function *function;    /* and the function itself */
	const char *prefix;          /* for names of values: "" or "loop/3/" */
	const char *where;           /* for locations: "" or "node 3 'f' (If), " */
	int node;                    /* for locations: 0, or that of the node it belongs to */
	NodeProto *const *nodes;
	size_t nnodes;
	Map names;                   /* to Binding */
	Map declared;                /* to ValueInfoProto: stated types */
	int depth;
} Scope;

/* The state of reading one model. */
typedef struct Onnx {
	Arena *arena;
	Graph *g;
	Diag *d;
	const FrontendFile *file;
	const ModelProto *model;
	TensorReader tensors;
	Map dims;      /* names of dimensions to int32_t */
	Map functions; /* "domain:name" to Function */
	Map refused;   /* operators that are not supported, to Refused */
	VEC(struct Refused *) refusals;
	int nodes_left;
	int64_t fold_left;
	bool exhausted; /* the budget of nodes; reported */
	VEC(struct Labelled) labelled;
	struct Words *words; /* words.h; NULL: there are no strings */
} Onnx;

/* A value whose elements are the numbers of these words. */
typedef struct Labelled {
	const Value *value;
	int n;
	const char *const *word;
} Labelled;

typedef struct Refused {
	const char *name;
	int count;
} Refused;

typedef bool OnnxReadFn(ONode *n);

/* A row of ops.def. */
typedef struct {
	const char *name, *domain;
	int first, last; /* opset versions; last 0: it still exists */
	int in_min, in_max, out_min, out_max;
	OnnxReadFn *read;
	Op op; /* what the reader makes, where one reads several operators */
} OnnxOp;

struct ONode {
	Onnx *r;
	Scope *scope;
	const NodeProto *proto;
	const OnnxOp *info;
	const char *name;  /* the user's, or made from an output */
	int opset;         /* of the operator's domain */
	Loc loc;
	int nins, nouts;   /* as written, trailing absent ones left out */
	Value **in;        /* NULL: absent */
	Value **out;       /* to be set by the reader; those that nobody named may stay NULL */
	const Sequence **in_sequence;  /* NULL: a tensor; only where takes_sequences() says so */
	const Sequence **out_sequence; /* to be set instead of out[] */
	bool *attr_used;
	bool failed;       /* an error was reported */
	int nlabels;       /* what the numbers of the first output stand for; 0: for themselves */
	const char *const *label;
};

/* ---- Diagnostics (attr.c) ---- */

/* All return false.  The caret goes under the operator, input i, output i or an
 * attribute. */
#define ONNX_PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
ONNX_PRINTF(3, 4) bool onnx_error(ONode *n, DiagCode code, const char *format, ...);
ONNX_PRINTF(4, 5) bool onnx_error_in(ONode *n, int i, DiagCode code, const char *format, ...);
ONNX_PRINTF(4, 5) bool onnx_error_out(ONode *n, int i, DiagCode code, const char *format, ...);
ONNX_PRINTF(4, 5)
bool onnx_error_attr(ONode *n, const char *attr, DiagCode code, const char *format, ...);

/* A feature that is there but not supported; `what` completes "… is not supported". */
bool onnx_unsupported(ONode *n, const char *what);

/* Shows the node below an error that the IR's own rules reported. */
void onnx_show_node(ONode *n, Message *m);

/* ---- Attributes (attr.c) ---- */

/* Each returns the default when the attribute is absent.  A wrong type is an
 * error, marked in n->failed. */
bool onnx_has(ONode *n, const char *name);
int64_t onnx_int(ONode *n, const char *name, int64_t otherwise);
bool onnx_flag(ONode *n, const char *name, bool otherwise);
double onnx_float(ONode *n, const char *name, double otherwise);
const char *onnx_str(ONode *n, const char *name, const char *otherwise);
Ints onnx_ints(ONode *n, const char *name);
Floats onnx_floats(ONode *n, const char *name);
const GraphProto *onnx_graph(ONode *n, const char *name);
/* The strings as they are, not terminated; NULL when absent. */
const ProtobufCBinaryData *onnx_strings(ONode *n, const char *name, int *count);
/* The strings joined by commas; NULL when absent. */
const char *onnx_strs(ONode *n, const char *name);
bool onnx_tensor_attr(ONode *n, const char *name, Type *type, const void **data);
bool onnx_sparse_attr(ONode *n, const char *name, Type *type, const void **data);

/* The index of the attribute's text in `words` (ends with NULL). */
int onnx_word(ONode *n, const char *name, const char *const *words, int otherwise);

/* An element type; `otherwise` may be DT_COUNT. */
DType onnx_dtype_attr(ONode *n, const char *name, DType otherwise);

/* An axis in [-rank, rank), made non-negative. */
int onnx_axis(ONode *n, const char *name, int64_t otherwise, int rank);

/* An integer that must lie in [lo, hi]. */
int64_t onnx_int_in(ONode *n, const char *name, int64_t otherwise, int64_t lo, int64_t hi);

/* An attribute that has no effect on the result. */
void onnx_ignore(ONode *n, const char *name);

/* The attribute of that name with references of functions resolved, or NULL. */
const AttributeProto *onnx_find_attr(ONode *n, const char *name);

/* ---- Operands (build.c) ---- */

static inline Value *
onnx_in(const ONode *n, int i)
{
	return i < n->nins ? n->in[i] : NULL;
}

/* Whether output i is wanted. */
bool onnx_wants(const ONode *n, int i);

/* Whether input i is there and constant. */
bool onnx_is_const(const ONode *n, int i);

/* The elements of constant integer input i; E_DYNAMIC when it is not constant. */
bool onnx_const_ints(ONode *n, int i, Ints *out);
bool onnx_const_floats(ONode *n, int i, Floats *out);
bool onnx_const_int(ONode *n, int i, int64_t *out);

/* The type that the file states for output i, if it does so completely. */
bool onnx_declared(const ONode *n, int i, Type *out);

/* E_DYNAMIC for an operand that has to be constant. */
bool onnx_dynamic(ONode *n, int i);

/* Checks axes and makes them non-negative, distinct and sorted; they come from
 * attribute `attr` or, where that is NULL, from input i. */
bool onnx_norm_axes(ONode *n, Ints axes, int rank, const char *attr, int i, Ints *out);

/* The axes of an operator that has them as an attribute up to opset `moved` - 1
 * and as input i from then on.  Present says whether there are any. */
bool onnx_axes(ONode *n, int moved, int i, int rank, bool *present, Ints *out);

/* ---- Building (build.c) ---- */

Node *onnx_node(ONode *n, Op op, int nins, Value *const *in, int nouts);

/* Infers the types of k's outputs and folds it when that is cheap.  Returns its
 * first output; the second stores `nouts` of them. */
Value *onnx_finish(ONode *n, Node *k);
bool onnx_finish_all(ONode *n, Node *k, Value **out);

Value *onnx_unary(ONode *n, Op op, Value *x);
Value *onnx_binary(ONode *n, Op op, Value *x, Value *y);
Value *onnx_with(ONode *n, Op op, Value *x, double y); /* y in x's type */
Value *onnx_where(ONode *n, Value *c, Value *x, Value *y);
Value *onnx_wrapped(ONode *n, Value *i, Value *length); /* i, or i + length when negative */
Value *onnx_cast(ONode *n, Value *x, DType to);
Value *onnx_reshape(ONode *n, Value *x, Ints shape);
Value *onnx_reshape_to(ONode *n, Value *x, const Type *shape);
Value *onnx_transpose(ONode *n, Value *x, Ints perm);
Value *onnx_expand(ONode *n, Value *x, const Type *shape);
Value *onnx_reduce(ONode *n, Op op, Value *x, Ints axes, bool keepdims);
Value *onnx_slice(ONode *n, Value *x, int axis, int64_t start, int64_t size, int64_t step);
Value *onnx_concat(ONode *n, int count, Value *const *v, int axis);
Value *onnx_gather(ONode *n, Value *x, Value *indices, int axis);
Value *onnx_pad(ONode *n, Value *x, Ints pads, PadMode mode, Value *value);
Value *onnx_matmul(ONode *n, Value *a, Value *b);
Value *onnx_softmax(ONode *n, Op op, Value *x, int axis);
Value *onnx_clamp(ONode *n, Value *x, double lo, double hi);

/* x with axis `from` moved to `to`. */
Value *onnx_move_axis(ONode *n, Value *x, int from, int to);
/* x with axes of length 1 inserted before `axis`, or axis `axis` of length 1 removed. */
Value *onnx_unsqueeze(ONode *n, Value *x, int axis);
Value *onnx_squeeze(ONode *n, Value *x, int axis);
/* x of shape [C] as [1, C, 1, ...] of that rank. */
Value *onnx_channels(ONode *n, Value *x, int axis, int rank);

/* Constants.  The memory counts against the reader's budget; NULL when it is
 * exhausted. */
void *onnx_const_data(ONode *n, Type type);
Value *onnx_const(ONode *n, Type type, const void *data);
Value *onnx_scalar(ONode *n, DType t, double value);
Value *onnx_int64s(ONode *n, Ints v);
Value *onnx_full(ONode *n, const Type *type, double value);
/* 0, 1, … count-1 times step plus start, as a vector. */
Value *onnx_iota(ONode *n, DType t, int64_t count, double start, double step);

/* Lists of numbers in the arena. */
int64_t *onnx_new_ints(ONode *n, int count);
Ints onnx_list(ONode *n, int count, const int64_t *v);
Ints onnx_range(ONode *n, int from, int to);
Ints onnx_filled(ONode *n, int count, int64_t value);
Ints onnx_shape(ONode *n, const Value *x);

/* One result. */
bool onnx_result(ONode *n, Value *v);

/* ---- Scopes and nodes (scope.c) ---- */

void onnx_read_opsets(Onnx *r, Onnx__OperatorSetIdProto *const *v, size_t n, Opsets *out);
void onnx_scope_init(Scope *s, Onnx *r, const Scope *outer);
bool onnx_bind(Onnx *r, Scope *s, const char *name, Value *v, const Loc *loc);
const Binding *onnx_lookup(const Scope *s, const char *name);
void onnx_declare(Onnx *r, Scope *s, ValueInfoProto *const *infos, size_t n);

/* Reads initialisers, then all nodes.  Errors are left behind as poison; false
 * when reading must stop. */
bool onnx_read_nodes(Onnx *r, Scope *s);
bool onnx_read_initializers(Onnx *r, Scope *s, const GraphProto *g, const Loc *loc);

/* A subgraph with its inputs bound to in[] (NULL: poison); writes its outputs.
 * `tag` tells copies apart, as in "body/3". */
bool onnx_read_subgraph(ONode *n, const GraphProto *g, const char *tag, int nins, Value *const *in,
                        int nouts, Value **out);

/* A stated type with dimensions resolved; false when it is not complete. */
bool onnx_resolve_type(Onnx *r, const TypeProto *t, Type *out);

const OnnxOp *onnx_find_op(const char *domain, const char *name, int opset, bool *other_version);
int onnx_opset(const Scope *s, const char *domain);
const char *onnx_domain(const char *domain);

/* The newest opset of ai.onnx whose rules are known. */
enum { ONNX_NEWEST_OPSET = 24 };

#define ONNX_OP(name, domain, first, last, in_min, in_max, out_min, out_max, reader, op) \
	OnnxReadFn onnx_read_##reader;
#include "frontend/onnx/ops.def"

#endif
