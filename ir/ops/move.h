/*
 * Strided copies, which operators that move data are made of.
 */
#ifndef MCC_IR_OPS_MOVE_H
#define MCC_IR_OPS_MOVE_H

#include "ir/lower.h"

/* Element (i, j, …) of the box `axis[].length` goes from index
 * from + i * axis[0].from + … of a buffer to index to + i * axis[0].to + … of
 * another.  Strides may be 0 (repeat) or negative (backwards). */
typedef struct {
	int n;
	struct {
		int32_t length, from, to;
	} axis[2 * MAX_RANK];
	int32_t from, to;
} Move;

/* Appends an axis, inside of those before. */
void move_axis(Move *m, int32_t length, int32_t from, int32_t to);

/* Writes the copy with as few loops as its strides allow. */
void lower_move(LowerCtx *cx, LBuf *in, LBuf *out, Move m);

/* Copies all elements of `out` from `in`. */
void lower_copy_all(LowerCtx *cx, LBuf *in, LBuf *out);

#endif
