/*
 * Row buffers: rows of the input in scratch memory, with the padding around them.
 *
 * The elements lie in one of these forms:
 *
 *	ROWS_PAIRS	two elements of 16 bits in a word (i32): (0, 1), (2, 3), …
 *	ROWS_QUADS	the same, but (0, 2), (1, 3), (4, 6), … which costs less to make;
 *			pixels start at multiples of four elements
 *	ROWS_BYTES	four elements as they are in a word
 *	ROWS_SINGLE	elements as they are (i8), and some more behind the last, so that what
 *			starts at an element can be loaded by fours or sixteens
 *	ROWS_PLANES	numbers of 16 bits, those of each channel side by side: of a row, with
 *			a stride of s first every s-th column, then those behind them, …
 *
 * For pairs, pixels get a channel more where they would otherwise start between words.
 * Positions and sizes are counted in units: words, or elements of ROWS_SINGLE and
 * ROWS_PLANES.
 *
 * A buffer holds as many rows as a window covers, in a ring: padded row r is in slot
 * r mod slots.  Or it holds those of a strip of output rows, one after the other; then a
 * window's rows are at constant distances.
 */
#ifndef MCC_CODEGEN_KERNELS_ROWS_H
#define MCC_CODEGEN_KERNELS_ROWS_H

#include "codegen/kernels/conv.h"

typedef enum { ROWS_PAIRS, ROWS_QUADS, ROWS_BYTES, ROWS_SINGLE, ROWS_PLANES } RowsForm;

typedef struct {
	const Conv *c;
	LBuf *buf;
	RowsForm form;
	int32_t channels;  /* of a pixel in the input, */
	int32_t padded;    /* and in the buffer */
	int32_t row_units, slots;
	int32_t span;      /* rows that a window covers, with gaps */
	int32_t plane;     /* ROWS_PLANES: from a channel to the next */
	bool is_block;     /* ROWS_PLANES: a block of pixels of a kernel with one tap */
	int32_t strip;     /* output rows of a strip; 0: a ring */
	bool twice;        /* elements twice as large; for pairs and quads */
	int32_t at_once;   /* conversions of four in the body of a loop; 0: one */
	bool vectors;      /* ROWS_SINGLE: sixteen elements are copied at once */
} Rows;

/* Elements of a unit. */
int32_t rows_per_unit(const Rows *r);

/* Plans a buffer for windows that start at up to `columns` positions of a row, for a
 * strip of output rows or 0.  As numbers of 16 bits, as they are, in words where that can
 * be, or as they are. */
Rows rows_plan_wide(const Conv *c, int32_t columns, int32_t strip);
Rows rows_plan_bytes(const Conv *c, int32_t columns, int32_t strip);
Rows rows_plan_single(const Conv *c, int32_t columns, int32_t strip);

/* Planes for the same, or, with `pixels`, for a block of them (rows_fill_block()). */
Rows rows_plan_planes(const Conv *c, int32_t columns, int32_t strip, int32_t pixels);

/* Where column `column` of a channel is in its plane. */
int32_t rows_column(const Rows *r, int32_t column);

/* Makes the buffer, and code that fills it with the zero point. */
void rows_begin(LowerCtx *cx, Rows *r);

/* The even or the odd ones of four elements of 8 bits, as pairs of numbers. */
Expr *rows_even(LowerCtx *cx, const Conv *c, Expr *four);
Expr *rows_odd(LowerCtx *cx, const Conv *c, Expr *four);

/* Code that brings in the rows of an output row, or those of the strip that starts there. */
void rows_fill(LowerCtx *cx, const Rows *r, Expr *image, Expr *oy);

/* Code that brings in up to as many pixels as a block has, from x_at on. */
void rows_fill_block(LowerCtx *cx, const Rows *r, Expr *x_at, int32_t pixels);

/* The slot of the first row of an output row's window (of row oy of a strip), and where
 * a row of it starts. */
Expr *rows_first_slot(LowerCtx *cx, const Rows *r, Expr *oy);
Expr *rows_row(LowerCtx *cx, const Rows *r, Expr *first, Expr *ky);

/* Code that converts `count` elements of x from x_at on, to units from `to` on; the
 * rest of the last word is the zero point.  For ROWS_QUADS and ROWS_BYTES count is a
 * multiple of 4. */
void rows_convert(LowerCtx *cx, const Rows *r, Expr *x_at, Expr *to, int32_t count);

#endif
