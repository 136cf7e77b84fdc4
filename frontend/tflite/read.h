/*
 * Inside the TFLite frontend: what the functions that read operators work with.
 *
 * A reader tfl_read_X() gets a TNode: the operator's place in the file, its operands
 * as tensors, its options as a struct of tables.def.  It builds IR nodes and binds
 * the outputs with tfl_result().  Builders return NULL or false after an error and
 * accept the NULL of an earlier one.
 */
#ifndef MCC_FRONTEND_TFLITE_READ_H
#define MCC_FRONTEND_TFLITE_READ_H

#include "frontend/frontend.h"
#include "frontend/tflite/flatbuf.h"
#include "frontend/tflite/flexbuf.h"
#include "ir/graph.h"

/* What keeps its contents between calls: a resource of the file. */
typedef struct {
	FbString container, name;
	Value *value;     /* what it holds now; NULL: not looked at so far */
	Value *held;      /* the state that it is when a call begins */
	const void *initial;  /* set before the first call, or NULL: its zero point */
	const Type *initial_type;
} Variable;

/* A tensor of the file. */
typedef struct {
	const char *name;
	const char *layer; /* the name of the operator that makes it */
	Type type;        /* quantised where it is stored as integers with scales */
	const void *data; /* constants: as the graph wants them; else NULL */
	Value *value;     /* once it is defined or used */
	bool is_variable; /* keeps its value between calls */
	bool has_type;    /* its element type is one of ours */
	int file_type;    /* TensorType of the file */
	Variable *variable; /* of a resource, once it is known */
} Tensor;

enum { TFL_RESOURCE = 13 }; /* the TensorType */

typedef struct {
	Arena *arena;
	Graph *g;
	Diag *d;
	const FrontendFile *file;
	Fb fb;
	FbModel model;
	FbSubGraph graph;
	Tensor *tensors;
	int ntensors;
	VEC(Variable *) variables;
	bool initialising;  /* in the graph that runs once, before the first call */
	int depth;          /* of graphs that operators run */
	const char *where;  /* in front of places: the graph that is read */
	int64_t fold_left; /* iterations that folding may still take */
	size_t bytes_left; /* for constants that are unpacked */
} Tflite;

typedef struct TNode TNode;
typedef bool TfliteReadFn(TNode *n);

/* A row of ops.def. */
typedef struct {
	const char *name;
	int options;  /* number in the union BuiltinOptions; 0: none */
	FbKind table; /* of the options */
	int in_min, in_max, out_min, out_max;
	TfliteReadFn *read; /* NULL: not supported */
	Op op;
	bool takes_resources;
	enum { OPTIONS_TABLE, OPTIONS_MAP, OPTIONS_RAW } form;
} TfliteOp;

/* Room for the options of any operator. */
typedef union {
#define FB_TABLE(name) Fb##name as_##name;
#include "frontend/tflite/tables.def"
} Options;

struct TNode {
	Tflite *r;
	const TfliteOp *info;
	Loc loc;
	int nins, nouts;
	Tensor **in; /* NULL: absent */
	Tensor **out;
	Options options;
	FlexMap custom; /* the options of a custom operator: OPTIONS_MAP */
	const unsigned char *raw; /* OPTIONS_RAW */
	size_t nraw;
};

#define TFL_OP(code, name, options, table, lo, hi, outs_lo, outs_hi, reader, op) \
	TfliteReadFn tfl_read_##reader;
#define TFL_STATE(code, name, options, table, lo, hi, outs_lo, outs_hi, reader) \
	TfliteReadFn tfl_read_##reader;
#define TFL_CUSTOM(name, lo, hi, outs_lo, outs_hi, reader) TfliteReadFn tfl_read_##reader;
#define TFL_RAW(name, lo, hi, outs_lo, outs_hi, reader) TfliteReadFn tfl_read_##reader;
#include "frontend/tflite/ops.def"

/* The most elements of a result that the frontend makes itself. */
enum { TFL_MAX_PARTS = 4096 };

/* ---- Diagnostics ---- */

__attribute__((format(printf, 3, 4))) bool tfl_error(TNode *n, DiagCode code, const char *format,
                                                     ...);

/* ---- Other graphs of the file (model.c) ---- */

/* The graph that is read at the time. */
typedef struct {
	FbSubGraph graph;
	Tensor *tensors;
	int ntensors;
	const char *where;
} TflPlace;

/* Goes on with graph `index`, of which the tensors are read; when true tfl_leave() comes
 * back to where it was. */
bool tfl_enter(TNode *n, int64_t index, TflPlace *outer);
void tfl_leave(Tflite *r, const TflPlace *outer);

/* Reads the operators of the graph that was entered. */
bool tfl_read_operators(Tflite *r);

/* Reads the operators of graph `index`, which sets up variables. */
bool tfl_run_once(TNode *n, int64_t index);

/* Adds what the variables hold at the end to the graph's outputs (read_state.c). */
bool tfl_finish_variables(Tflite *r);

/* ---- Operands ---- */

/* The value of operand i, which is there; NULL after an error, or when absent. */
Value *tfl_in(TNode *n, int i);
bool tfl_has(const TNode *n, int i);

/* The type of operand i, which is there, and of output 0. */
const Type *tfl_type(const TNode *n, int i);
const Type *tfl_out_type(const TNode *n);

/* Operand i as a list of integers; it must be a constant. */
bool tfl_ints(TNode *n, int i, Ints *out);

/* A single integer; axes, which may be counted from the end. */
bool tfl_int(TNode *n, int i, int64_t *out);
bool tfl_axis(TNode *n, int64_t axis, int rank, int64_t *out);

/* The option of a custom operator, which is in [lo, hi]. */
bool tfl_custom(TNode *n, const char *name, int64_t lo, int64_t hi, int64_t *out);

/* A variable of the operator's own, which starts with `initial`; NULL after an error. */
Variable *tfl_own_variable(TNode *n, const char *name, const Type *t, const void *initial);

/* Copies into the graph's memory. */
Ints tfl_list(TNode *n, int count, const int64_t *v);

/* An Activation of the file; false for those that no operator fuses. */
bool tfl_activation(TNode *n, int64_t code, Activation *out);

/* Whether the operator computes on quantised numbers: operand 0 or the output is. */
bool tfl_is_quantized(const TNode *n);

/* ---- Building ---- */

/* A new node with default attributes; set them, then call one of the next two.  NULL
 * when an input is.  Absent inputs at the end are left out. */
Node *tfl_node(TNode *n, Op op, int nins, Value *const *in);

/* Infers a node within the reading of one operator; gives its output. */
Value *tfl_value(TNode *n, Node *node);

/* The same for a value that has the quantisation and element type of output k. */
Value *tfl_value_like(TNode *n, Node *node, int k);

/* Infers the node that computes output k: names it, gives it the type of the tensor
 * and checks the shape. */
bool tfl_result_of(TNode *n, Node *node, int k);
bool tfl_result(TNode *n, Node *node);

/* The same, computed now where the inputs are constants: weights are often stored as
 * other numbers than those that the next operator takes. */
bool tfl_folded_result(TNode *n, Node *node);

/* Output k is a value that exists already, of the right type. */
bool tfl_bind(TNode *n, Value *v, int k);

/* Nodes that are used all over. */
Value *tfl_unary(TNode *n, Op op, Value *x);
Value *tfl_binary(TNode *n, Op op, Value *x, Value *y);
Value *tfl_reshape(TNode *n, Value *x, int rank, const int32_t *dim);
Value *tfl_transpose(TNode *n, Value *x, const int64_t *perm);
Value *tfl_cast(TNode *n, Value *x, DType to);

/* A constant of one number like x, which is plain. */
Value *tfl_number(TNode *n, const Value *x, double v);

/* x[.., index[i], ..] along an axis; the places are kept. */
Value *tfl_gather(TNode *n, Value *x, int axis, int32_t count, const int64_t *index);

/* x in the quantisation of `to`. */
Value *tfl_requantized(TNode *n, Value *x, const Type *to);

/* The last two axes of x exchanged, where `wanted`. */
Value *tfl_adjoint(TNode *n, Value *x, bool wanted);

/* x[starts, starts + sizes): one entry an axis. */
Value *tfl_slice(TNode *n, Value *x, const int64_t *starts, const int64_t *sizes);

/* The places of x along axis 0 that `indices` name. */
Value *tfl_gather_by(TNode *n, Value *x, Value *indices);

/* The last step of an operator whose result has the right elements in another shape. */
bool tfl_result_reshaped(TNode *n, Value *x, int k);

/* ---- Weights of 8 bits for floats (read_hybrid.c) ---- */

/* Whether operand x is of floats and operand i holds constant weights of 8 bits, with
 * which TFLite has hybrid operators, and these are wanted. */
bool tfl_is_hybrid(const TNode *n, int x, int i);

/* Operand i, by which operand x is multiplied: where x is of floats, floats, or with
 * `has_hybrid` codes if these are wanted. */
Value *tfl_weights(TNode *n, int x, int i, bool has_hybrid);

/* x [rows, k] times w [m, k]; a convolution; x [.., m, k] times operand 1.  The node of
 * the result is not inferred so far. */
Node *tfl_hybrid_product(TNode *n, Value *x, Value *w, Value *bias, bool asymmetric,
                         Activation a);
Node *tfl_hybrid_conv(TNode *n, const Attr_CONV *attr, Value *w, Value *bias, bool depthwise);
Node *tfl_hybrid_matmul(TNode *n, Value *x, bool adj_y, bool asymmetric);

/* The result of rows of operand 1, a table. */
bool tfl_hybrid_lookup(TNode *n, Value *indices);

/* Operand i, quantised and constant, as floats. */
Value *tfl_dequantized(TNode *n, int i);

/* `count` bytes for a constant that a reader makes; NULL after an error. */
void *tfl_alloc(TNode *n, size_t count);

#endif
