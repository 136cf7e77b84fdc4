#include "codegen/kernels/rows.h"

int32_t
rows_per_unit(const Rows *r)
{
	switch (r->form) {
	case ROWS_PAIRS:
	case ROWS_QUADS: return 2;
	case ROWS_BYTES: return 4;
	case ROWS_SINGLE:
	case ROWS_PLANES: break;
	}
	return 1;
}

static Rows
plan(const Conv *c, RowsForm form, int32_t padded, int32_t columns, int32_t strip)
{
	Rows r = {.c = c, .form = form, .channels = c->groups * c->ic, .padded = padded,
	          .strip = strip};
	int32_t pixels = (columns - 1) * c->sx + (c->kw - 1) * c->dx + 1;

	/* An odd run of elements ends within a word. */
	r.row_units = (pixels * padded - 1) / rows_per_unit(&r) + 1;
	r.span = (c->kh - 1) * c->dy + 1;
	r.slots = strip ? (strip - 1) * c->sy + r.span : r.span;
	return r;
}

Rows
rows_plan_wide(const Conv *c, int32_t columns, int32_t strip)
{
	int32_t channels = c->groups * c->ic;
	bool between = c->sx % 2 != 0 || c->dx > 1, is_wide = c->x_type == DT_I16;

	return plan(c, channels % 4 == 0 && !is_wide ? ROWS_QUADS : ROWS_PAIRS,
	            between ? channels + channels % 2 : channels, columns, strip);
}

Rows
rows_plan_bytes(const Conv *c, int32_t columns, int32_t strip)
{
	int32_t channels = c->groups * c->ic;

	return plan(c, channels % 4 == 0 ? ROWS_BYTES : ROWS_SINGLE, channels, columns, strip);
}

Rows
rows_plan_single(const Conv *c, int32_t columns, int32_t strip)
{
	return plan(c, ROWS_SINGLE, c->groups * c->ic, columns, strip);
}

Rows
rows_plan_planes(const Conv *c, int32_t columns, int32_t strip, int32_t pixels)
{
	Rows r = plan(c, ROWS_PLANES, c->groups * c->ic, columns, strip);
	int32_t span = (columns - 1) * c->sx + (c->kw - 1) * c->dx + 1;

	r.plane = pixels ? pixels : ((span - 1) / c->sx + 1) * c->sx;
	r.is_block = pixels != 0;
	r.row_units = r.channels * r.plane;
	return r;
}

int32_t
rows_column(const Rows *r, int32_t column)
{
	int32_t s = r->c->sx;

	return column % s * (r->plane / s) + column / s;
}

static DType
unit_type(const Rows *r)
{
	return r->form == ROWS_SINGLE ? r->c->x_type : r->form == ROWS_PLANES ? DT_I16 : DT_I32;
}

/* The zero point in every element of a unit. */
static Expr *
zero_unit(LowerCtx *cx, const Rows *r)
{
	uint32_t zero = (uint32_t)r->c->x_zero * (r->twice ? 2 : 1);

	switch (r->form) {
	case ROWS_PAIRS:
	case ROWS_QUADS: zero = (zero & 0xffff) * 0x10001u; break;
	case ROWS_BYTES: zero = (zero & 0xff) * 0x1010101u; break;
	case ROWS_SINGLE:
	case ROWS_PLANES: return loop_int(&cx->b, unit_type(r), r->c->x_zero);
	}
	return loop_int(&cx->b, DT_I32, (int32_t)zero);
}

static void
fill_zero(LowerCtx *cx, const Rows *r, Expr *from, int32_t units)
{
	LBuilder *b = &cx->b;
	Expr *i = loop_for(b, "i", 0, units);

	loop_store(b, r->buf, loop_add(b, from, i), zero_unit(cx, r));
	loop_end(b);
}

void
rows_begin(LowerCtx *cx, Rows *r)
{
	int32_t units = r->slots * r->row_units, more = r->form == ROWS_SINGLE ? DOT_ELEMENTS - 1 : 0;

	r->buf = lower_scratch(cx, "rows", unit_type(r), units + more);
	fill_zero(cx, r, loop_idx(&cx->b, 0), units + more);
}

/* An element as a number. */
static Expr *
element(LowerCtx *cx, const Rows *r, Expr *at)
{
	Expr *x = loop_load_compute(&cx->b, cx->in[0], at);

	return r->twice ? loop_op2(&cx->b, KOP_SHL, x, loop_int(&cx->b, DT_I32, 1)) : x;
}

/* Two numbers in a word. */
static Expr *
numbers(LowerCtx *cx, const Rows *r, Expr *x)
{
	if (!r->twice)
		return x;
	x = loop_let(&cx->b, "x_1", x);
	return loop_packed(&cx->b, POP_ADD2, x, x, NULL);
}

/* Of unsigned bytes some bits of the word. */
static Expr *
two_of_four(LowerCtx *cx, const Conv *c, Expr *four, bool odd)
{
	LBuilder *b = &cx->b;

	if (c->x_type == DT_I8)
		return loop_packed(b, odd ? POP_ODD8 : POP_EVEN8, four, NULL, NULL);
	if (odd)
		four = loop_op2(b, KOP_SHR, four, loop_int(b, DT_I32, 8));
	return loop_op2(b, KOP_AND, four, loop_int(b, DT_I32, 0xff00ff));
}

Expr *
rows_even(LowerCtx *cx, const Conv *c, Expr *four)
{
	return two_of_four(cx, c, four, false);
}

Expr *
rows_odd(LowerCtx *cx, const Conv *c, Expr *four)
{
	return two_of_four(cx, c, four, true);
}

/* Four elements of 8 bits, of all forms but ROWS_SINGLE. */
static void
convert_four(LowerCtx *cx, const Rows *r, Expr *from, Expr *to)
{
	LBuilder *b = &cx->b;
	Expr *v = loop_load_wide(b, cx->in[0], from), *even, *odd;
	Expr *next = loop_add(b, to, loop_idx(b, 1));

	if (r->form == ROWS_BYTES) {
		loop_store(b, r->buf, to, v);
		return;
	}
	v = loop_let(b, "v", v);
	even = loop_let(b, "even", numbers(cx, r, rows_even(cx, r->c, v)));
	odd = numbers(cx, r, rows_odd(cx, r->c, v));
	if (r->form == ROWS_PAIRS)
		odd = loop_let(b, "odd", odd);
	loop_store(b, r->buf, to, r->form == ROWS_QUADS ? even : loop_packed(b, POP_PACK_LO, even, odd, NULL));
	loop_store(b, r->buf, next,
	           r->form == ROWS_QUADS ? odd : loop_packed(b, POP_PACK_HI, even, odd, NULL));
}

/* Elements that one load brings. */
static int32_t
elements_at_once(const Rows *r)
{
	return r->c->x_type == DT_I16 ? 2 : 4;
}

static void
convert_load(LowerCtx *cx, const Rows *r, Expr *from, Expr *to)
{
	if (r->c->x_type == DT_I16)
		loop_store(&cx->b, r->buf, to, loop_load_wide(&cx->b, cx->in[0], from));
	else
		convert_four(cx, r, from, to);
}

/* n times as many elements as a load brings. */
static void
convert_loads(LowerCtx *cx, const Rows *r, Expr *x_at, Expr *to, int32_t n)
{
	LBuilder *b = &cx->b;
	int32_t step = r->at_once ? r->at_once : 1, whole = n / step * step;
	int32_t each = elements_at_once(r), units = each / rows_per_unit(r);
	Expr *i = whole > step ? loop_for_step(b, "i", 0, whole, step) : loop_idx(b, 0);

	for (int32_t k = 0; k < n; k++) {
		if (k == step && whole > step) {
			loop_end(b);
			i = loop_idx(b, 0);
			k = whole;
		}
		if (k < n)
			convert_load(cx, r, loop_add(b, x_at, loop_affine(b, i, each, each * k)),
			             loop_add(b, to, loop_affine(b, i, units, k * units)));
	}
}

/* Elements as they are, `lanes` at a time or one by one (0), from `lo` to `hi`. */
static void
copy_elements(LowerCtx *cx, const Rows *r, Expr *x_at, Expr *to, int32_t lo, int32_t hi, int lanes)
{
	LBuilder *b = &cx->b;
	int depth = b->depth, step = lanes ? lanes : 1;
	Expr *i = hi - lo > step ? loop_for_step(b, "i", lo, hi, step) : loop_idx(b, lo);

	loop_store(b, r->buf, loop_add(b, to, i),
	           loop_load_lanes(b, cx->in[0], loop_add(b, x_at, i), lanes));
	lower_end_to(cx, depth);
}

/* The last vector of them overlaps the one before. */
static void
copy_single(LowerCtx *cx, const Rows *r, Expr *x_at, Expr *to, int32_t count)
{
	int32_t whole = r->vectors ? count / DOT_ELEMENTS * DOT_ELEMENTS : 0;

	if (whole > 0)
		copy_elements(cx, r, x_at, to, 0, whole, DOT_ELEMENTS);
	if (whole > 0 && whole < count)
		copy_elements(cx, r, x_at, to, count - DOT_ELEMENTS, count, DOT_ELEMENTS);
	else if (whole < count)
		copy_elements(cx, r, x_at, to, 0, count, 0);
}

void
rows_convert(LowerCtx *cx, const Rows *r, Expr *x_at, Expr *to, int32_t count)
{
	LBuilder *b = &cx->b;
	int32_t each = elements_at_once(r), whole = count / each * each, zero = r->c->x_zero * (r->twice ? 2 : 1);

	if (r->form == ROWS_SINGLE) {
		copy_single(cx, r, x_at, to, count);
		return;
	}
	convert_loads(cx, r, x_at, to, whole / each);
	for (int32_t i = whole; i < count; i += 2) {
		Expr *second = i + 1 < count ? element(cx, r, loop_add(b, x_at, loop_idx(b, i + 1)))
		                             : loop_int(b, DT_I32, zero);

		loop_store(b, r->buf, loop_add(b, to, loop_idx(b, i / 2)),
		           loop_packed(b, POP_PACK_LO,
		                       element(cx, r, loop_add(b, x_at, loop_idx(b, i))), second,
		                       NULL));
	}
}

/* Pixels of the input that a row of the buffer has room for. */
static int32_t
pixels_of(const Rows *r)
{
	int32_t columns = r->form == ROWS_PLANES ? r->plane
	                                         : rows_per_unit(r) * r->row_units / r->padded;
	int32_t room = columns - r->c->left;

	return room < r->c->in_w ? room : r->c->in_w;
}

/* The first element is the second of its word, behind padding. */
static void
copy_from_middle(LowerCtx *cx, const Rows *r, Expr *from, Expr *to, int32_t count)
{
	LBuilder *b = &cx->b;
	Expr *zero = loop_int(b, DT_I32, r->c->x_zero * (r->twice ? 2 : 1)), *one = loop_idx(b, 1);

	loop_store(b, r->buf, to, loop_packed(b, POP_PACK_LO, zero, element(cx, r, from), NULL));
	rows_convert(cx, r, loop_add(b, from, one), loop_add(b, to, one), count - 1);
}

/* `count` pixels of x from x_at on to the planes that start at `to`, from column `left` on. */
static void
copy_to_planes(LowerCtx *cx, const Rows *r, Expr *x_at, Expr *to, int32_t count, int32_t left)
{
	LBuilder *b = &cx->b;
	int32_t s = r->is_block ? 1 : r->c->sx;
	int depth = b->depth;
	Expr *i = lower_for(cx, "ix", count), *column = loop_affine(b, i, 1, left), *channel;

	if (s > 1) {
		column = lower_let(cx, "column", column);
		column = loop_add(b, loop_affine(b, loop_op2(b, KOP_REM, column, loop_idx(b, s)),
		                                 r->plane / s, 0),
		                  loop_op2(b, KOP_DIV, column, loop_idx(b, s)));
	}
	x_at = lower_let(cx, "x_i", loop_add(b, x_at, loop_affine(b, i, r->channels, 0)));
	to = lower_let(cx, "to_i", loop_add(b, to, column));
	channel = lower_for(cx, "c", r->channels);
	loop_store_cvt(b, r->buf, loop_add(b, to, loop_affine(b, channel, r->plane, 0)),
	               element(cx, r, loop_add(b, x_at, channel)));
	lower_end_to(cx, depth);
}

void
rows_fill_block(LowerCtx *cx, const Rows *r, Expr *x_at, int32_t pixels)
{
	copy_to_planes(cx, r, x_at, loop_idx(&cx->b, 0), pixels, 0);
}

/* Row iy of the input, which exists, to the slot that starts at word `to`. */
static void
copy_row(LowerCtx *cx, const Rows *r, Expr *image, Expr *iy, Expr *to)
{
	const Conv *c = r->c;
	LBuilder *b = &cx->b;
	Expr *from = loop_affine(b, iy, c->in_w * r->channels, 0), *i;

	if (pixels_of(r) <= 0)
		return;
	from = lower_let(cx, "from", loop_add(b, image, from));
	if (r->form == ROWS_PLANES) {
		copy_to_planes(cx, r, from, to, pixels_of(r), c->left);
		return;
	}
	to = lower_let(cx, "to", loop_add(b, to, loop_idx(b, c->left * r->padded / rows_per_unit(r))));
	if (c->left * r->padded % rows_per_unit(r) != 0) {
		copy_from_middle(cx, r, from, to, pixels_of(r) * r->channels);
		return;
	}
	if (r->padded == r->channels) {
		rows_convert(cx, r, from, to, pixels_of(r) * r->channels);
		return;
	}
	i = lower_for(cx, "ix", pixels_of(r));
	rows_convert(cx, r, lower_let(cx, "x_i", loop_add(b, from, loop_affine(b, i, r->channels, 0))),
	             lower_let(cx, "to_i", loop_add(b, to, loop_affine(b, i, r->padded / rows_per_unit(r), 0))),
	             r->channels);
	if (pixels_of(r) > 1)
		loop_end(b);
}

static Expr *
is_inside(LowerCtx *cx, const Conv *c, Expr *iy)
{
	LBuilder *b = &cx->b;

	return loop_op2(b, KOP_AND, loop_op2(b, KOP_GE, iy, loop_idx(b, 0)),
	                loop_op2(b, KOP_LT, iy, loop_idx(b, c->in_h)));
}

/* Of a ring the rows that the output row before did not use: copied, or zero. */
static void
fill_ring(LowerCtx *cx, const Rows *r, Expr *image, Expr *oy)
{
	const Conv *c = r->c;
	LBuilder *b = &cx->b;
	int32_t kept = r->span > c->sy ? r->span - c->sy : 0;
	Expr *is_first = loop_op2(b, KOP_EQ, oy, loop_idx(b, 0));
	Expr *lo = loop_select(b, is_first, loop_idx(b, 0), loop_idx(b, kept));
	Expr *row = loop_affine(b, oy, c->sy, 0), *iy, *slot;

	if (c->out_h == 1 || kept == 0)
		lo = loop_idx(b, 0);
	row = loop_add(b, row, loop_for_expr(b, "row", lo, loop_idx(b, r->span)));
	iy = lower_let(cx, "iy", loop_affine(b, row, 1, -c->top));
	slot = loop_op2(b, KOP_REM, row, loop_idx(b, r->slots));
	slot = lower_let(cx, "slot", loop_affine(b, slot, r->row_units, 0));
	loop_if(b, is_inside(cx, c, iy));
	copy_row(cx, r, image, iy, slot);
	loop_else(b);
	fill_zero(cx, r, slot, r->row_units);
	loop_end(b);
	loop_end(b);
}

static void
fill_all(LowerCtx *cx, const Rows *r, Expr *image)
{
	const Conv *c = r->c;
	LBuilder *b = &cx->b;
	int32_t room = r->slots - c->top, rows = room < c->in_h ? room : c->in_h;
	int depth = b->depth;
	Expr *iy;

	if (rows <= 0)
		return;
	iy = lower_for(cx, "iy", rows);
	copy_row(cx, r, image, iy, loop_affine(b, iy, r->row_units, c->top * r->row_units));
	lower_end_to(cx, depth);
}

/* The rows of the strip that starts at an output row: copied, or zero. */
static void
fill_strip(LowerCtx *cx, const Rows *r, Expr *image, Expr *oy)
{
	const Conv *c = r->c;
	LBuilder *b = &cx->b;
	int depth = b->depth;
	Expr *row = lower_for(cx, "row", r->slots), *iy, *slot;

	iy = loop_add(b, loop_affine(b, oy, c->sy, -c->top), row);
	iy = lower_let(cx, "iy", iy);
	slot = lower_let(cx, "slot", loop_affine(b, row, r->row_units, 0));
	loop_if(b, is_inside(cx, c, iy));
	copy_row(cx, r, image, iy, slot);
	loop_else(b);
	fill_zero(cx, r, slot, r->row_units);
	lower_end_to(cx, depth);
}

void
rows_fill(LowerCtx *cx, const Rows *r, Expr *image, Expr *oy)
{
	if (!r->strip)
		fill_ring(cx, r, image, oy);
	else if (r->strip == r->c->out_h)
		fill_all(cx, r, image);
	else
		fill_strip(cx, r, image, oy);
}

Expr *
rows_first_slot(LowerCtx *cx, const Rows *r, Expr *oy)
{
	LBuilder *b = &cx->b;
	Expr *row = loop_affine(b, oy, r->c->sy, 0);

	return lower_let(cx, "first",
	                 r->strip ? row : loop_op2(b, KOP_REM, row, loop_idx(b, r->slots)));
}

Expr *
rows_row(LowerCtx *cx, const Rows *r, Expr *first, Expr *ky)
{
	LBuilder *b = &cx->b;
	Expr *slot = loop_affine(b, ky, r->c->dy, 0), *past;

	if (r->strip)
		return loop_add(b, loop_affine(b, first, r->row_units, 0),
		                loop_affine(b, slot, r->row_units, 0));
	slot = loop_add(b, first, slot);
	if (r->slots > 1) {
		slot = lower_let(cx, "slot", slot);
		past = loop_op2(b, KOP_GE, slot, loop_idx(b, r->slots));
		slot = loop_select(b, past, loop_sub(b, slot, loop_idx(b, r->slots)), slot);
	}
	return loop_mul(b, slot, loop_idx(b, r->row_units));
}
