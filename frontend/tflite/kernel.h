/*
 * Operators that become a kernel of their own: the node "kernel" with loop IR that the
 * reader writes.
 *
 *	TflKernel k;
 *
 *	tfl_kernel_begin(&k, n, "name");
 *	x = tfl_kernel_in(&k, "x", tfl_in(n, 0));     inputs first,
 *	y = tfl_kernel_out(&k, "y", 0);               then outputs, then scratch
 *	if (k.failed)
 *		return false;
 *	.. statements with k.b ..
 *	return tfl_kernel_finish(&k);
 *
 * Kernels work on stored numbers, whatever their quantisation.
 */
#ifndef MCC_FRONTEND_TFLITE_KERNEL_H
#define MCC_FRONTEND_TFLITE_KERNEL_H

#include "frontend/tflite/read.h"
#include "ir/loop/loop.h"

enum { TFL_KERNEL_BUFFERS = 8 };

typedef struct {
	TNode *n;
	LBuilder b;
	bool failed; /* an error has been reported */
	int nins, nouts;
	Value *in[TFL_KERNEL_BUFFERS];
	int out[TFL_KERNEL_BUFFERS];         /* which output of the operator, or */
	Variable *state[TFL_KERNEL_BUFFERS]; /* what the variable holds next */
} TflKernel;

void tfl_kernel_begin(TflKernel *k, TNode *n, const char *name);

/* A value, which may be NULL after an error. */
LBuf *tfl_kernel_in(TflKernel *k, const char *name, Value *v);

/* Output `number` of the operator; what a variable holds next. */
LBuf *tfl_kernel_out(TflKernel *k, const char *name, int number);
LBuf *tfl_kernel_next(TflKernel *k, const char *name, Variable *v);

/* Memory of the kernel's own. */
LBuf *tfl_kernel_scratch(TflKernel *k, const char *name, DType t, int32_t count);

/* Adds the node and binds the outputs. */
bool tfl_kernel_finish(TflKernel *k);

#endif
