/*
 * Diagnostics as the user sees them.
 *
 *	kws.onnx: node 12 'conv1' (Conv): error: shapes do not fit [E0207]
 *	  %7: f32[1,8,5,8] = conv(%3, %w1) {strides=[1,1]}
 *	                             ^~~
 *	kws.onnx: note: …
 *
 * or one JSON object a line, notes inside the message that they belong to.
 */
#ifndef MCC_DRIVER_DIAGPRINT_H
#define MCC_DRIVER_DIAGPRINT_H

#include <stdbool.h>

#include "base/diag.h"
#include "base/str.h"

typedef struct {
	const char *program; /* stands for the file where there is none */
	bool json, color;
} DiagStyle;

/* Appends all messages of `d`. */
void diagprint_messages(Str *s, const Diag *d, const DiagStyle *style);

/* Appends the closing line, "2 errors generated.", unless there is nothing to
 * count or the style is JSON. */
void diagprint_total(Str *s, int errors, int warnings, const DiagStyle *style);

/* Appends the code as it is printed: E0207. */
void diagprint_code(Str *s, DiagCode code);

#endif
