/*
 * Inside the OpenVINO frontend: what the functions that read operators work with.
 *
 * A reader ov_read_X() gets a Layer: its inputs as values of the graph IR, its attributes,
 * its opset.  It builds IR nodes with the layer's Builder and sets out[].  It returns false
 * after an error; then the outputs stay NULL, and what depends on them is skipped without
 * further errors.  Inputs that the operator requires are never NULL; optional ones may be.
 *
 * The functions that build accept the NULL of an earlier one that failed, so that readers
 * check only the last result.  No call has two arguments that both build.
 */
#ifndef MCC_FRONTEND_OPENVINO_READ_H
#define MCC_FRONTEND_OPENVINO_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/file.h"
#include "base/map.h"
#include "frontend/build.h"
#include "frontend/frontend.h"
#include "frontend/xml/xml.h"
#include "ir/graph.h"

/* Bounds on the work that one file can ask for. */
enum {
	OV_NEWEST_OPSET = 15,      /* whose rules are known */
	OV_MAX_NODES = 250000,     /* nodes of the graph IR */
	OV_MAX_READS = 500000,     /* layers that are read, those of bodies in every round */
	OV_MAX_LAYERS = 100000,    /* in one file */
	OV_MAX_PORTS = 400000,
	OV_MAX_DEPTH = 20,         /* bodies in each other */
	OV_MAX_TRIPS = 1000,       /* iterations of one unrolled loop */
	OV_FOLD_BUDGET = 1 << 26,  /* iterations of loops for all folded nodes */
	OV_CONST_BYTES = 64 << 20, /* constants that the frontend makes */
	OV_LIST = 1 << 20          /* elements of a constant that is read as a list */
};

typedef struct Layer Layer;
typedef struct Net Net;
typedef bool OvReadFn(Layer *l);

/* A row of ops.def. */
typedef struct {
	const char *name;
	int since; /* the opset that brought it in this form */
	int in_min, in_max, out_min, out_max;
	OvReadFn *read;
	Op op; /* what the reader makes, where one reads several operators */
} OvOp;

/* A state of the model, made by the first ReadValue of its name. */
typedef struct {
	const char *name;
	Value *held, *next; /* as the call begins, and at its end */
} Variable;

/* An operator that is not supported. */
typedef struct {
	const char *name;
	int count;
} Refused;

/* Constants of 8 bits behind Convert and Subtract, before Multiply makes them real. */
typedef struct {
	Value *codes, *zero; /* zero may be NULL; it has the elements that a scale may have */
} Codes;

/* The state of reading one file. */
typedef struct Ov {
	Arena *arena;
	Graph *g;
	Diag *d;
	const FrontendFile *file;
	FileBytes weights;
	enum { WEIGHTS_UNREAD, WEIGHTS_READ, WEIGHTS_MISSING } weights_state;
	Map refused; /* names to Refused */
	VEC(Refused *) refusals;
	Map variables; /* names to Variable */
	VEC(Variable *) variable_list;
	Map codes; /* "id" of a value to Codes */
	int layers_left, ports_left, nodes_left, reads_left;
	int64_t fold_left;
	size_t bytes_left;
	int depth;
	bool newer; /* than OV_NEWEST_OPSET: the warning was given */
} Ov;

/* A place where a layer takes or gives a value. */
typedef struct {
	const Xml *xml; /* <port> */
	Layer *from;    /* of an input: NULL when nothing is connected */
	int from_output;
} Port;

/* A list of layers that depend on each other: the model, or a body. */
struct Net {
	Ov *r;
	Layer **layer; /* in the order of the file */
	int nlayers;
	Layer **order; /* those that matter, each behind those that it needs */
	int norder;
	Map by_id;     /* of a layer, as written: to Layer */
	Map in_ports, out_ports; /* "layer:port" to Port */
	const char *prefix; /* of names: "" or "loop/3/" */
};

struct Layer {
	Net *net;
	Ov *r;
	const Xml *xml, *data; /* <layer>, and its <data>; NULL: it has none */
	const char *id, *name, *type;
	int opset; /* 0: none of those that are known */
	int nins, nouts;
	Port *in_port, *out_port;
	Value **in, **out;
	bool *wanted; /* outputs that an edge begins at; all others may stay NULL */
	const OvOp *info;
	Builder b;
	Net *body[2]; /* of layers that have some, once they are read */
	bool failed;
	enum { LAYER_NEW, LAYER_OPEN, LAYER_DONE } mark; /* while they are put in order */
};

/* ---- net.c ---- */

/* The layers and edges in `e`, a <net> or <body>; NULL after an error. */
Net *ov_net(Ov *r, const Xml *e, const char *prefix);

/* Reads the layers in their order; the outputs of parameters have been set.  False after an
 * error. */
bool ov_run(Net *net);

/* Forgets what the layers gave, for another round; names then begin with `prefix`. */
void ov_reset(Net *net, const char *prefix);

Layer *ov_find_layer(const Net *net, const char *id);

/* ---- layer.c ---- */

/* Report at the layer; all return false and mark it as failed. */
__attribute__((format(printf, 3, 4))) bool ov_error(Layer *l, DiagCode code, const char *format,
                                                    ...);
__attribute__((format(printf, 4, 5))) bool ov_error_in(Layer *l, int i, DiagCode code,
                                                       const char *format, ...);

/* Whether somebody uses output i. */
bool ov_wants(const Layer *l, int i);

/* Drops outputs of a node that has the layer's outputs from `first` on, when nobody uses
 * them: before its types are inferred. */
void ov_drop_outputs(const Layer *l, Node *n, int first);

/* Input i, or NULL. */
Value *ov_in(const Layer *l, int i);

/* Sets output 0; false when v is NULL. */
bool ov_result(Layer *l, Value *v);

/* The operator of that name in an opset, or NULL. */
const OvOp *ov_find_op(const char *name, int opset);

/* The element type that an attribute or a port names, or DT_COUNT. */
DType ov_dtype(const char *name);

/* ---- Attributes; an absent one gives `otherwise`, a bad one an error ---- */

const char *ov_attr(const Layer *l, const char *name); /* or NULL */
int64_t ov_int(Layer *l, const char *name, int64_t otherwise, int64_t lo, int64_t hi);
double ov_float(Layer *l, const char *name, double otherwise);
bool ov_bool(Layer *l, const char *name, bool otherwise);
/* The number of one of the words, which end with NULL. */
int ov_word(Layer *l, const char *name, const char *const *words, int otherwise);
/* A list; when it is absent, of no elements. */
Ints ov_ints(Layer *l, const char *name);
Floats ov_floats(Layer *l, const char *name);
DType ov_dtype_attr(Layer *l, const char *name, DType otherwise);

/* Lists of numbers separated by commas or blanks; false when something else is there. */
bool ov_parse_ints(Arena *a, const char *text, Ints *out);

/* ---- Inputs that must be constants ---- */

bool ov_const_ints(Layer *l, int i, Ints *out);
bool ov_const_floats(Layer *l, int i, Floats *out);
bool ov_const_int(Layer *l, int i, int64_t lo, int64_t hi, int64_t *out);
/* Axes of a tensor of that rank, made non-negative, in their order. */
bool ov_norm_axes(Layer *l, Ints axes, int rank, Ints *out);
/* The same, sorted. */
bool ov_sorted_axes(Layer *l, Ints axes, int rank, Ints *out);
/* One axis: of an attribute, or of a constant input. */
bool ov_norm_axis(Layer *l, int64_t axis, int rank, int *out);

/* ---- Building, see frontend/build.h ---- */

Value *ov_cast(Layer *l, Value *x, DType to); /* no node if it is of that type */
Value *ov_not_equal(Layer *l, Value *x, Value *y);
/* A constant of the type with memory for its elements; NULL after an error. */
void *ov_const_data(Layer *l, const Type *t);
Value *ov_const_list(Layer *l, DType t, int n, const int64_t *v);
/* Axes [from, to). */
Ints ov_range(Layer *l, int from, int to);

/* ---- weights.c ---- */

bool ov_read_const(Layer *l);

/* ---- read_quant.c: constants that stay codes ---- */

void ov_codes_cast(Layer *l, Value *x, Value *y);
void ov_codes_subtract(Layer *l, Value *x, Value *zero, Value *y);
/* codes * scale as a dequantisation; NULL when x is no such thing. */
Value *ov_codes_multiply(Layer *l, Value *x, Value *scale);
/* Reshapes or transposes; dequantised constants stay codes where they can. */
Value *ov_reshape_weights(Layer *l, Value *x, const Type *shape);
Value *ov_transpose_weights(Layer *l, Value *x, const int *perm);

/* ---- read_control.c ---- */

bool ov_finish_variables(Ov *r);

#define OV_OP(name, since, in_min, in_max, out_min, out_max, reader, op) \
	bool ov_read_##reader(Layer *l);
#include "frontend/openvino/ops.def"

#endif
