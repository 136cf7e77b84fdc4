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

/* Rows from a buffer, or of the input. */
static void
lower_windows(const Blocks *bl)
{
	const Conv *c = bl->c;
	LBuilder *b = &bl->cx->b;
	int32_t channels = c->groups * c->ic;
	Expr *image, *oy, *y_at, *x_at, *first = loop_idx(b, 0);

	image = lower_for(bl->cx, "n", c->batch);
	y_at = loop_affine(b, image, c->out_h * c->out_w * c->oc, 0);
	x_at = lower_let(bl->cx, "x_n", loop_affine(b, image, c->in_h * c->in_w * channels, 0));
	if (bl->rows && bl->rows->all)
		rows_fill(bl->cx, bl->rows, x_at, NULL);
	oy = lower_for(bl->cx, "oy", c->out_h);
	if (bl->rows && !bl->rows->all)
		rows_fill(bl->cx, bl->rows, x_at, oy);
	if (bl->rows)
		first = rows_first_slot(bl->cx, bl->rows, oy);
	x_at = loop_add(b, x_at, loop_affine(b, oy, c->sy * c->in_w * channels, 0));
	y_at = loop_add(b, y_at, loop_affine(b, oy, c->out_w * c->oc, 0));
	lower_line(bl, first, bl->rows ? loop_idx(b, 0) : lower_let(bl->cx, "x_oy", x_at),
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
