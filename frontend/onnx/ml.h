/*
 * What the operators of ai.onnx.ml share.
 *
 * Where the specification is silent or vague they do what ONNX Runtime does.
 */
#ifndef MCC_FRONTEND_ONNX_ML_H
#define MCC_FRONTEND_ONNX_ML_H

#include "frontend/onnx/read.h"

typedef enum {
	POST_NONE,
	POST_SOFTMAX,
	POST_LOGISTIC,
	POST_SOFTMAX_ZERO,
	POST_PROBIT
} PostTransform;

PostTransform ml_post_attr(ONode *n);

/* Transforms rows of scores [N, C]. */
Value *ml_post(ONode *n, Value *scores, PostTransform how);

/* The first input as rows of numbers [N, F] of type `t`; a vector is one row. */
Value *ml_rows(ONode *n, DType t);

/* Integers of an attribute. */
Floats ml_ints(ONode *n, const char *name);

/* A constant [rows, columns] of type `t`. */
Value *ml_matrix(ONode *n, DType t, int rows, int columns, const double *v);
/* Or [columns]. */
Value *ml_vector(ONode *n, DType t, int columns, const double *v);

/* Columns [from, from + count) of rows. */
Value *ml_columns(ONode *n, Value *rows, int from, int count);

/* The labels of a classifier: numbers, or names, for which the result is their number. */
typedef struct {
	int n;
	const int64_t *number; /* NULL: names */
} Labels;

/* Reads both attributes, of which one must be there. */
bool ml_labels(ONode *n, const char *numbers, const char *names, Labels *out);

/* From numbers of classes (i64 [N]) to what the operator puts out. */
Value *ml_label(ONode *n, const Labels *labels, Value *number);

/* The label of the largest score of each row. */
Value *ml_best_label(ONode *n, const Labels *labels, Value *scores);

/* The label `yes` where the condition (bool [N]) holds, else `no`. */
Value *ml_choose_label(ONode *n, Value *condition, int64_t yes, int64_t no);

#endif
