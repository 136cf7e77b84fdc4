/*
 * The graph IR: values and the nodes that make them.
 *
 * A value has a name, a tensor type and at most one definition: a node, constant
 * data, or the graph's input list.  Nodes stand in a list in execution order:
 * a node follows the nodes that define its inputs.
 *
 * The graph's arena owns everything, but the bytes of constants may be borrowed
 * from a file that lives at least as long.
 */
#ifndef MCC_IR_GRAPH_H
#define MCC_IR_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/str.h"
#include "ir/op.h"
#include "ir/type.h"

typedef struct Value {
	const char *name; /* unique in the graph; as in the user's file where it has one */
	Type type;
	Node *def;        /* NULL for inputs and constants */
	const void *data; /* constants: type_bytes() bytes, host byte order, row-major */
	int id;           /* counts up from 0 in the graph */
	int nuses;        /* as an input of nodes and as an output of the graph */
} Value;

struct Node {
	Node *prev, *next;
	const Graph *graph; /* that it stands in */
	Op op;
	int nins, nouts;
	Value **in;  /* NULL: an optional input that is absent */
	Value **out; /* NULL: an optional output that nobody wants */
	void *attr;  /* an Attr_ID, never NULL */
	const char *name; /* the layer's name in the user's file, or NULL */
	Loc loc;
};

/*
 * What one element of an input or output is to the user, where the model names it.
 *
 * A category is the number of its label; -1 is a value that is missing, and the number
 * of labels (or any other) one that has no label.  Of a number NaN is a missing value.
 * Dates are days and times seconds, since 1970-01-01 or midnight.
 */
typedef enum {
	FIELD_number,
	FIELD_category,
	FIELD_date,
	FIELD_time,
	FIELD_date_time,
	FIELD_KIND_COUNT
} FieldKind;

extern const char *const field_kind_name[FIELD_KIND_COUNT];

typedef struct {
	const char *name;
	int index;       /* of the graph's input or output */
	int32_t element; /* in it */
	FieldKind kind;
	int nlabels;     /* categories */
	const char *const *label;
	bool missing, other; /* such values may occur */
} Field;

/*
 * Rows of input fields and what the maker of the model got for them.  A result y agrees
 * with x when |y - x| <= zero, or |y - x| <= precision |x|.
 */
typedef struct {
	const double *in, *out; /* one entry a field; an output that is NaN was not recorded */
} Record;

struct Graph {
	Arena *arena;
	const char *name;
	Node *first, *last;
	VEC(Value *) inputs;
	VEC(Value *) outputs;
	/* The names under which inputs and outputs are known to the user; parallel to
	 * the vectors above.  An output's value may be shared or be an input. */
	VEC(const char *) output_names;
	VEC(Value *) values; /* all that were ever made, by id */
	/* Whether requantisation rounds once, as TFLite built with
	 * TFLITE_SINGLE_ROUNDING does, and not twice. */
	bool single_rounding;
	struct NameTable *names;
	/*
	 * What is kept between calls.  The last states.n inputs are what the states hold
	 * when a call begins and the last states.n outputs what they hold at its end, in
	 * the same order; states.v are constants: what they hold before the first call.
	 */
	VEC(Value *) states;
	VEC(Field) input_fields, output_fields;
	VEC(Record) records;
	const double *precision, *zero; /* one entry an output field; NULL without records */
};

Graph *graph_new(Arena *a, const char *name);

/* A new value.  `name` is made unique by a suffix when it is taken; NULL gives a
 * number.  The type must be representable. */
Value *graph_value(Graph *g, const char *name, Type type);

/* Gives `v` another name, made unique as above. */
void graph_rename(Graph *g, Value *v, const char *name);

/* A new value that is the graph's next input. */
Value *graph_input(Graph *g, const char *name, Type type);

/* A new state: the input that it is when a call begins.  All other inputs must have been
 * made.  Its output is added by graph_output() behind all others. */
Value *graph_state(Graph *g, const char *name, Type type, const void *initial);

/* Inputs and outputs but for the states. */
int graph_plain_inputs(const Graph *g);
int graph_plain_outputs(const Graph *g);

/* Whether it is one of the inputs, or of the states as they were. */
bool graph_is_input(const Graph *g, const Value *v);

/* A constant; `data` is borrowed. */
Value *graph_const(Graph *g, const char *name, Type type, const void *data);

/* Whether all elements of a constant have the same bytes. */
bool value_is_repeated(const Value *v);

/* Constants made from numbers, converted to `t` (which is not a half type). */
Value *graph_const_float(Graph *g, const char *name, DType t, double value);
Value *graph_const_ints(Graph *g, const char *name, int n, const int64_t *v);

/* The field that is element `element` of input `index`, or of the output; NULL: none. */
const Field *graph_input_field(const Graph *g, int index, int32_t element);
const Field *graph_output_field(const Graph *g, int index, int32_t element);

/* Whether every element of the plain inputs, or outputs, is a field. */
bool graph_has_input_fields(const Graph *g);
bool graph_has_output_fields(const Graph *g);

/* Adds `v` to the outputs, known to the user as `name`. */
void graph_output(Graph *g, const char *name, Value *v);

/* The same in front of the states, in a graph that is complete. */
void graph_further_output(Graph *g, const char *name, Value *v);

/* The value of that name, or NULL. */
Value *graph_find(const Graph *g, const char *name);

/*
 * A new node before `at` (NULL: at the end), with default attributes and
 * without types of its outputs: set the attributes, then call node_infer().
 * `in` is copied.  Makes `nouts` output values, named out_names[i] (out_names
 * and its entries may be NULL).
 */
Node *graph_insert(Graph *g, Node *at, Op op, int nins, Value *const *in, int nouts,
                   const char *const *out_names);

/* graph_insert() at the end for one output. */
Node *graph_add(Graph *g, Op op, int nins, Value *const *in, const char *out_name);

/* Computes the types of n's outputs with the operator's shape rule, after
 * checking the number of inputs.  Reports what does not fit.  The quantisation of
 * an output is a fact of the file, not of the rule, and stays as it was set. */
bool node_infer(Node *n, Diag *d);

/* The types of n's outputs alone, into `out` (zeroed): by the operator's shape rule, or
 * by that of quant.def.  The number of inputs has been checked. */
bool node_infer_types(const Node *n, Type *out, Diag *d);

/* Whether an input or output of n is quantised. */
bool node_has_quantized(const Node *n);

/* Whether the output has the quantisation of input 0, if n only moves elements. */
bool node_keeps_quant(const Node *n);

/* Whether n computes on quantised numbers: it has some and the operator does more than
 * move elements.  Rewriting rules about plain numbers do not
 * hold for it. */
bool node_is_quantized(const Node *n);

/* The attributes of these names, or their defaults where the operator has none. */
Activation node_activation(const Node *n);
TensorLayout node_layout(const Node *n);

/* Set them; false where the operator has none. */
bool node_set_activation(Node *n, Activation a);
bool node_set_layout(Node *n, TensorLayout layout);

/* Whether n computes on plain numbers, in the layout nchw and without a fused
 * activation: what rules about the operators' formulas take for granted. */
bool node_is_plain(const Node *n);

/* Takes `n` out of the graph; its outputs must not be in use. */
void graph_remove(Graph *g, Node *n);

/* Everybody that used `from`, also as a graph output, uses `to` instead. */
void graph_replace_uses(Graph *g, Value *from, Value *to);

/* Changes input i of n, keeping the use counts. */
void node_set_input(Node *n, int i, Value *v);

/* Turns a node's output into a constant: the definition is cut, `data` is
 * borrowed.  The node keeps a fresh unused value in its place. */
void graph_make_const(Graph *g, Value *v, const void *data);

static inline bool
value_is_const(const Value *v)
{
	return v->data != NULL;
}

/* Element i of an integer, bool or index constant. */
int64_t value_int(const Value *v, int32_t i);

/* Element i of any constant as a double. */
double value_float(const Value *v, int32_t i);

/* ---- Text form (text.c) ---- */

/* Prints the graph; also an invalid one. */
void graph_print(Str *s, const Graph *g);

/* One node as one line without newline, with its location as a comment. */
void node_print(Str *s, const Node *n);

/* Reads the text form; NULL and errors in `d` when it is malformed. */
Graph *graph_parse(Arena *a, const char *file, const char *text, size_t length, Diag *d);

/* ---- Verifier (verify.c) ---- */

/* Checks every rule that the comments above state, and that the types are the
 * ones that the shape rules give. */
bool graph_verify(const Graph *g, Diag *d);

/* ---- Folding and expansion (fold.c) ---- */

/* When all inputs of `n` are constants, computes it with its reference lowering
 * and turns its outputs into constants; the node remains, without uses.  Sugar is
 * not folded, nor what takes more than FOLD_ITERATIONS.  Returns whether it did. */
bool node_fold(Graph *g, Node *n);

/* Iterations of loops that folding one node may take: about a second. */
#define FOLD_ITERATIONS ((int64_t)1 << 28)

/* The same with another allowance; what is left of it is stored there. */
bool node_fold_within(Graph *g, Node *n, int64_t *iterations);

/* Rewrites n into the operators that its expansion names, recursively, and
 * removes it.  n must be sugar. */
void node_expand(Graph *g, Node *n);

#endif
