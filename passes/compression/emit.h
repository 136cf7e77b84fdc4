/*
 * Writing the nodes of a float graph into another graph, on integers.
 */
#ifndef MCC_PASSES_COMPRESSION_EMIT_H
#define MCC_PASSES_COMPRESSION_EMIT_H

#include "passes/compression/plan.h"
#include "passes/compression/weights.h"

typedef struct Emit {
	Graph *to;
	Diag *d;
	const Type *plan;  /* by Value.id of the float graph; see plan_make() */
	Value **map;       /* by the same: what stands for the value, or NULL */
	Value **plain, **coded; /* copies of constants, and other forms of values, or NULL */
	size_t bytes;      /* of the constants made so far */
	/* Called for a value that is not in `map`; its result is put there.  NULL: there is no
	 * other. */
	Value *(*missing)(struct Emit *e, const Value *v);
	void *user;
} Emit;

void emit_init(Emit *e, Graph *to, const Graph *from, const Type *plan, Diag *d);

/*
 * Writes n and puts its outputs into the map.  `weights` is for a node of KIND_LINEAR;
 * with `in_float` it computes on floats, and `weights` may be NULL, so that it keeps its
 * own.  False when the operator's rule does not
 * accept it, which has been reported to e->d.
 */
bool emit_node(Emit *e, const Node *n, const NewWeights *weights, bool in_float);

/* Writes a node of KIND_LINEAR that computes on floats, with these weights and biases. */
bool emit_float_linear(Emit *e, const Node *n, Value *w, Value *bias);

/* The value as a number of the type that the plan has for it, as a float, or as it is. */
Value *emit_coded(Emit *e, Value *v);
Value *emit_plain(Emit *e, Value *v);
Value *emit_as_is(Emit *e, Value *v);

/* x in another element type and quantisation, before the nodes that follow. */
Value *emit_convert(Emit *e, Value *x, DType t, const Quant *q);

/* Codes of n floats. */
void emit_encode(const Type *type, const float *v, void *out);

#endif
