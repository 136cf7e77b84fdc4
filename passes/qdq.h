/*
 * Inside the pass fuse-qdq: twins of values, and operators on them.
 *
 * The twin of a value is a quantised value with the same meaning: of floats the one
 * that gives them when dequantised, of plain 8- and 16-bit codes the one that they are
 * the codes of.  Twins are stored as i8 and i16, whatever the model stores: codes of
 * unsigned types move down by half of their range, zero points with them.
 */
#ifndef MCC_PASSES_QDQ_H
#define MCC_PASSES_QDQ_H

#include "ir/ops/requant.h"
#include "passes/rewrite.h"

typedef struct {
	Rewrite r;
	Diag quiet;               /* of nodes that are only tried */
	VEC(Value *) twin;        /* by Value.id, or NULL */
	VEC(int) quantizers;      /* by Value.id: uses by quantize, all with one quantisation */
	VEC(Value *) quantized;   /* by Value.id: what was made of it for these, or NULL */
} Qdq;

/* The twin of v, made where v is a constant; NULL where it has none. */
Value *qdq_twin(Qdq *q, Value *v);
void qdq_set_twin(Qdq *q, const Value *v, Value *twin);

/* The same for one scale only. */
Value *qdq_uniform_twin(Qdq *q, Value *v);

/* The type that a (de)quantize node's constant parameters mean, of a twin; false when
 * there is none. */
bool qdq_read_type(Qdq *q, const Node *n, Type *t);

/* ---- Building (qdq_build.c) ---- */

const Quant *qdq_quant(Qdq *q, float scale, int32_t zero);

/* A new node before `at` whose output has the element type and quantisation of `to`
 * (NULL: what the rule gives); NULL when it does not fit, then nothing is left. */
Node *qdq_node(Qdq *q, Node *at, Op op, const void *attr, int nins, Value *const *in,
               const Type *to);
Value *qdq_try(Qdq *q, Node *n);

/* The same with the operator and place of another node; with its attributes too. */
Node *qdq_node_like(Qdq *q, Node *at, const Node *like, const void *attr, int nins,
                    Value *const *in, const Type *to);
Value *qdq_apply(Qdq *q, Node *at, const Node *like, int nins, Value *const *in, const Type *to);

/* x in the quantisation of `to`, x itself where it has that. */
Value *qdq_requantize(Qdq *q, Node *at, Value *x, const Type *to);

/* The nearest code of a real number, saturated. */
int32_t qdq_code(const Type *t, double x);

/* Where x is transposed, what it was before and how; else x and no perm. */
Value *qdq_below_transpose(Value *x, Ints *perm);

/* The quantised x with [lo, hi] in real numbers.  Values from number `fresh` on were made
 * for this use alone. */
Value *qdq_clamp(Qdq *q, Node *at, Value *x, double lo, double hi, int fresh);

/* A constant moved as `like` moves its first input. */
Value *qdq_move_constant(Qdq *q, const Node *like, const Value *v, const Type *shape);

/* A constant transposed. */
Value *qdq_transpose_constant(Qdq *q, const Value *v, const int64_t *perm);

/* x with its axes in another order; undoes an order that x got this way. */
Value *qdq_transpose(Qdq *q, Node *at, Value *x, const int64_t *perm);

/* A bias in steps of x * w, from one in floats; false when there is none such. */
bool qdq_bias(Qdq *q, Value *bias, const Type *x, const Type *w, int32_t channels, Value **out);

/* ---- Operators (qdq_ops.c) ---- */

/* What quantize of x to `to` gives, computed on integers before `at`; NULL where x
 * is computed in floats for another reason too, or by an unknown operator. */
Value *qdq_quantized(Qdq *q, Node *at, Value *x, const Type *to);

/* Whether there are operators on integers for n, with some attributes and types. */
bool qdq_knows(const Node *n);

/* The twin of n's output where that needs no rounding; NULL where it may. */
Value *qdq_exact(Qdq *q, Node *n);

#endif
