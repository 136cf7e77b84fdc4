/*
 * TFLite models: facts of the file format that more than one file needs.
 */
#ifndef MCC_FRONTEND_TFLITE_TFLITE_H
#define MCC_FRONTEND_TFLITE_TFLITE_H

#include "frontend/tflite/read.h"

/* What formats.def names; see frontend/frontend.h. */
bool tflite_sniff(const uint8_t *bytes, size_t n);
Graph *tflite_read(const FrontendFile *f, Diag *d);

/* Reads all tensors of the main graph. */
bool tfl_read_tensors(Tflite *r);

/* The operator of that number, or NULL. */
const TfliteOp *tfl_op(int64_t code);

#endif
