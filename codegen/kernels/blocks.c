#include "codegen/kernels/blocks.h"

/* Blocks along `count` pixels: a loop over whole ones, and what is left. */
static void
lower_line(const Blocks *bl, Expr *first, Expr *x_at, Expr *y_at, int32_t count)
{
	LBuilder *b = &bl->cx->b;
	int32_t pixels = bl->pixels, whole = count / pixels * pixels, oc = bl->c->oc;

	if (whole > 0) {
		int depth = b->depth;
		Expr *ox = whole > pixels ? loop_for_step(b, "ox", 0, whole, pixels)
		                          : loop_idx(b, 0);
		Expr *x = loop_add(b, x_at, loop_affine(b, ox, bl->pixel_units, 0));
		Expr *y = loop_add(b, y_at, loop_affine(b, ox, oc, 0));

		bl->block(bl->user, first, lower_let(bl->cx, "x_ox", x),
		          lower_let(bl->cx, "y_ox", y), pixels);
		lower_end_to(bl->cx, depth);
	}
	if (whole < count)
		bl->block(bl->user, first, loop_add(b, x_at, loop_idx(b, whole * bl->pixel_units)),
		          loop_add(b, y_at, loop_idx(b, whole * oc)), count - whole);
}

/* Opens the loops over output rows, strip by strip, and brings their rows in; gives the
 * output row, and the slot of its window's first row. */
static Expr *
begin_row(const Blocks *bl, Expr *x_at, Expr **slot)
{
	const Conv *c = bl->c;
	LBuilder *b = &bl->cx->b;
	int32_t strip = bl->rows && bl->rows->strip ? bl->rows->strip : 1;
	Expr *first, *row = loop_idx(b, 0), *left;

	first = c->out_h > strip ? loop_for_step(b, "oy", 0, c->out_h, strip) : loop_idx(b, 0);
	if (bl->rows)
		rows_fill(bl->cx, bl->rows, x_at, first);
	if (bl->group)
		bl->group(bl->user);
	if (c->out_h % strip != 0) {
		left = loop_op2(b, KOP_MIN, loop_sub(b, loop_idx(b, c->out_h), first),
		                loop_idx(b, strip));
		row = loop_for_expr(b, "row", row, lower_let(bl->cx, "rows", left));
	} else {
		row = lower_for(bl->cx, "row", strip);
	}
	*slot = loop_idx(b, 0);
	if (bl->rows)
		*slot = rows_first_slot(bl->cx, bl->rows, bl->rows->strip ? row : first);
	return loop_add(b, first, row);
}

/* Rows from a buffer, or of the input. */
static void
lower_windows(const Blocks *bl)
{
	const Conv *c = bl->c;
	LBuilder *b = &bl->cx->b;
	int32_t channels = c->groups * c->ic;
	Expr *image, *oy, *y_at, *x_at, *slot;

	image = lower_for(bl->cx, "n", c->batch);
	y_at = loop_affine(b, image, c->out_h * c->out_w * c->oc, 0);
	x_at = lower_let(bl->cx, "x_n", loop_affine(b, image, c->in_h * c->in_w * channels, 0));
	oy = begin_row(bl, x_at, &slot);
	x_at = loop_add(b, x_at, loop_affine(b, oy, c->sy * c->in_w * channels, 0));
	y_at = loop_add(b, y_at, loop_affine(b, oy, c->out_w * c->oc, 0));
	lower_line(bl, slot, bl->rows ? loop_idx(b, 0) : lower_let(bl->cx, "x_oy", x_at),
	           lower_let(bl->cx, "y_oy", y_at), c->out_w);
	lower_end_to(bl->cx, 0);
}

void
blocks_lower(const Blocks *bl)
{
	const Conv *c = bl->c;
	Expr *zero = loop_idx(&bl->cx->b, 0);

	if (bl->rows || !conv_is_pointwise(c))
		lower_windows(bl);
	else
		lower_line(bl, zero, zero, zero, c->batch * c->out_h * c->out_w);
}
