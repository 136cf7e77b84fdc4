/*
 * How far an output is from a reference.
 */
#ifndef MCC_DRIVER_COMPARE_H
#define MCC_DRIVER_COMPARE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/npy.h"
#include "ir/type.h"

typedef struct {
	size_t wrong;        /* elements outside of the tolerances */
	size_t first_wrong;  /* the first of them, as a flat index */
	double largest;      /* difference; infinite when one has a number and the other not */
	double largest_relative; /* to the reference, where that is not 0 */
	size_t different;    /* elements that are not equal */
	double rmse;         /* root of the mean of the squared differences */
	double cosine;       /* of the angle between both as vectors; 1 for two zeros */
} Difference;

/*
 * Element by element: floats are equal when |x - r| <= atol + rtol * |r|, as in
 * numpy.allclose, or both are NaN, or both the same infinity; all other types
 * when they are the same.
 */
Difference compare_arrays(DType t, const Npy *x, const Npy *reference, double rtol, double atol);

#endif
