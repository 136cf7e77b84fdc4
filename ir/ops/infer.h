/*
 * What shape rules share: checks that report, and building the output's type.
 *
 * Attributes and input types come from foreign files.  Every check returns true
 * or reports and returns false, so that a rule reads
 *
 *	return check_rank(n, d, 0, 2, MAX_RANK) && check_axis(n, d, "axis", a->axis, rank);
 */
#ifndef MCC_IR_OPS_INFER_H
#define MCC_IR_OPS_INFER_H

#include "ir/graph.h"

/* Sets of element types, as bits 1 << DT_x. */
enum {
	SET_BOOL = 1 << DT_BOOL,
	SET_SIGNED = 1 << DT_I8 | 1 << DT_I16 | 1 << DT_I32 | 1 << DT_I64,
	SET_UNSIGNED = 1 << DT_U8 | 1 << DT_U16 | 1 << DT_U32 | 1 << DT_U64,
	SET_INTEGER = SET_SIGNED | SET_UNSIGNED,
	SET_FLOAT = 1 << DT_F16 | 1 << DT_BF16 | 1 << DT_F32 | 1 << DT_F64,
	SET_NUMBER = SET_INTEGER | SET_FLOAT,
	SET_INDICES = 1 << DT_I32 | 1 << DT_I64,
	SET_ANY = SET_NUMBER | SET_BOOL,
	/* Quantised numbers. */
	SET_Q8 = 1 << DT_I8 | 1 << DT_U8,
	SET_Q16 = 1 << DT_I16
};

/* Reports that input i does not fit: "input 1 of 'conv' (f32[3,4]): …". */
__attribute__((format(printf, 5, 6))) bool bad_input(const Node *n, Diag *d, DiagCode code, int i,
                                                     const char *format, ...);
/* Reports a bad attribute: "attribute 'axis' of 'conv': …". */
__attribute__((format(printf, 4, 5))) bool bad_attribute(const Node *n, Diag *d, const char *name,
                                                         const char *format, ...);

/* Input i is of one of the types of `set`; false only when it is present. */
bool check_dtype(const Node *n, Diag *d, int i, unsigned set);
/* Input i has the element type of input 0. */
bool check_same_dtype(const Node *n, Diag *d, int i);
/* Inputs 1 and on have the element type of input 0, which is in `set`. */
bool check_dtypes(const Node *n, Diag *d, unsigned set);
/* Input i has a rank in [lo, hi]. */
bool check_rank(const Node *n, Diag *d, int i, int lo, int hi);
/* Axis `axis` of input i has that length. */
bool check_dim(const Node *n, Diag *d, int i, int axis, int32_t length);
/* Input i is a vector of that length; an absent one is fine. */
bool check_vector(const Node *n, Diag *d, int i, int32_t length);
/* Input i broadcasts to the shape of `t` without changing it. */
bool check_broadcasts_to(const Node *n, Diag *d, int i, const Type *t);

/* 0 <= axis < rank. */
bool check_axis(const Node *n, Diag *d, const char *name, int64_t axis, int rank);
/* All of them, in rising order without repetition. */
bool check_axes(const Node *n, Diag *d, const char *name, const Ints *axes, int rank);
/* lo <= value <= hi. */
bool check_range(const Node *n, Diag *d, const char *name, int64_t value, int64_t lo, int64_t hi);
/* Exactly `count` entries, all in [lo, hi]. */
bool check_ints(const Node *n, Diag *d, const char *name, const Ints *v, int count, int64_t lo,
                int64_t hi);

/* Appends an axis to the type; reports ranks above MAX_RANK and lengths that are
 * negative or do not fit. */
bool push_dim(const Node *n, Diag *d, Type *t, int64_t length);
/* Appends the axes [from, to) of `shape`. */
bool push_dims(const Node *n, Diag *d, Type *t, const Type *shape, int from, int to);

/* Infers the types of a node that an expansion made, which cannot fail. */
void expand_infer(Graph *g, Node *n);

#endif
