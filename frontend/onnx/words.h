/*
 * Strings and maps of ai.onnx.ml.
 *
 * The generated code has no strings.  A string is the number of a word: those that come
 * in from outside, of one dictionary that the model's operators fill; those that an
 * operator makes, of the operator's own list.  Operators that move data move numbers.  A
 * map from outside is a row with an element for each key that a DictVectorizer knows.
 * All of these are fields of the graph.
 */
#ifndef MCC_FRONTEND_ONNX_WORDS_H
#define MCC_FRONTEND_ONNX_WORDS_H

#include "frontend/onnx/read.h"

typedef struct Words Words;

/* Whether an input is a map that can be read; then its row and the names of its keys. */
bool words_is_map(const TypeProto *t);
bool words_map_input(Onnx *r, const GraphProto *g, const ValueInfoProto *info, const Loc *loc,
                     Type *type, const char *const **names);
/* The value is that map; the names are of its elements. */
void words_add_map(Onnx *r, const Value *v, const char *const *names);
/* The value is an input of strings. */
void words_add_input(Onnx *r, const Value *v);

/* Whether the value is a map, or strings. */
bool words_are_map(const Onnx *r, const Value *v);
bool words_are_strings(Onnx *r, const Value *v);

/* Whether the node takes the strings that it is given; E_TYPE. */
bool words_may_be_taken(ONode *n);

/* The strings of an attribute as the numbers that they have in x; E_TYPE when x has no
 * strings. */
bool words_keys(ONode *n, const char *attr, const Value *x, Floats *out);

/* The first output of the node has the numbers that the strings of `attr`, and one more
 * word, get here: equal words have one number. */
bool words_result(ONode *n, const char *attr, const char *more, Floats *out, double *number_of_more);

/* Makes fields of what has words, and where an input has some, of all. */
void words_declare(Onnx *r);

#endif
