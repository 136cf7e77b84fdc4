/*
 * The quantisation of every float value of a graph.
 *
 * Values that operators tie together (rules.def) get one quantisation, from what was
 * seen of all of them that do not only repeat others.
 */
#ifndef MCC_PASSES_COMPRESSION_PLAN_H
#define MCC_PASSES_COMPRESSION_PLAN_H

#include "passes/compression/observe.h"

typedef enum {
	KIND_FLOAT, /* an operator that is not in rules.def */
	KIND_LINEAR,
	KIND_KEEP,
	KIND_JOIN,
	KIND_ALIKE,
	KIND_FREE,
	KIND_FIXED,
	KIND_PLAIN,
	KIND_LSTM
} RuleKind;

/* The kind of n; an operator that is linear only with constant weights is judged by
 * them.  Nodes without float inputs and outputs have no kind: KIND_FLOAT. */
RuleKind plan_kind(const Node *n);

/* Whether v is a float value, which can be quantised. */
bool plan_is_float(const Value *v);

/* Whether a node has a float input or output. */
bool plan_has_float(const Node *n);

/*
 * By Value.id: the type that the value gets, with its quantisation; of values that are
 * not float the type that it has.  `codes` is what float values become: DT_I8, with a zero
 * point, or DT_I16, without one.
 */
Type *plan_make(const Graph *g, Observed *of, RangeMethod method, DType codes, Arena *a);

/* The same where all values stay as they are. */
Type *plan_floats(const Graph *g, Arena *a);

/* A quantisation with one scale. */
const Quant *plan_quant(Arena *a, double scale, int32_t zero);

/* An affine quantisation of the range in 8 bits with sign. */
const Quant *plan_affine(Arena *a, Range r);

/* A quantisation of the range in 16 bits with sign, whose zero point is 0. */
const Quant *plan_symmetric(Arena *a, Range r);

/* The same numbers as those of the plan, in another element type: DT_I8, DT_U8, DT_I16. */
Type plan_outer(Arena *a, const Type *plan, DType t);

#endif
