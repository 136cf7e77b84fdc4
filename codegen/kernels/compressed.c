#include "codegen/kernels/compressed.h"

#include <string.h>

typedef struct {
	Arena *arena;
	const Conv *c;
	const KernelOptions *options;
	const Costs *costs;
	NodeKernels all;
} Lister;

static bool
is_small(const Lister *l)
{
	return level_is_small(l->options->level);
}

static void
add(Lister *l, const char *name, LFunc *fn, int64_t cycles)
{
	NodeKernel k = kernel_of(name, fn, cycles, l->options);

	VEC_PUSH(l->arena, &l->all, k);
}

/* As many output rows as `most` bytes have room for, with elements of so many bytes. */
static int32_t
strip_within(const Conv *c, int bytes, int64_t most)
{
	int64_t row = ((int64_t)c->out_w * c->sx + (int64_t)c->kw * c->dx) * c->ic * bytes;
	int64_t rows = (most / row - (int64_t)(c->kh - 1) * c->dy - 1) / c->sy + 1, strips;

	rows = rows < 1 ? 1 : rows > c->out_h ? c->out_h : rows;
	strips = (c->out_h - 1) / rows + 1;
	return (int32_t)((c->out_h - 1) / strips) + 1;
}

/* Of a few kilobytes. */
static int32_t
strip_of(const Conv *c, int bytes)
{
	return strip_within(c, bytes, 4096);
}

/* ---- Packed weights ---- */

static const char *
packed_name(const Lister *l, const PackedShape *s, int channels)
{
	return arena_printf(l->arena, "%s%d %dx%d%s", s->palette ? "palette" : "int", s->bits,
	                    s->pixels, channels,
	                    s->tested ? " without buffer" : s->strip ? " in strips" : "");
}

static void
list_packed_dot2(Lister *l, int bits)
{
	bool one = conv_row_pixels(l->c) == 1;
	PackedShape best = {0};

	/* The mask takes a register that three pixels would need. */
	for (int size = 1; size <= (one ? 3 : 2); size++) {
		PackedShape s = {.bits = bits, .pixels = one ? 1 : size, .pairs = one ? size : 1,
		                 .body = is_small(l) ? 4 : 8, .unroll = is_small(l) ? 8 : one ? 16 : 72};

		/* Channels that do not exist have weights all the same. */
		if (is_small(l) && s.pairs > 1 && (l->c->oc + 1) / 2 % s.pairs != 0)
			continue;
		if (!best.bits || cost_packed_dot2(l->costs, l->c, &s) <
		                          cost_packed_dot2(l->costs, l->c, &best))
			best = s;
	}
	add(l, packed_name(l, &best, 2 * best.pairs), packed_dot2_lower(l->arena, l->c, &best),
	    cost_packed_dot2(l->costs, l->c, &best));
	if (is_small(l) || conv_is_pointwise(l->c) || l->c->out_h == 1)
		return;
	best.strip = strip_of(l->c, 2);
	add(l, packed_name(l, &best, 2 * best.pairs), packed_dot2_lower(l->arena, l->c, &best),
	    cost_packed_dot2(l->costs, l->c, &best));
}

/* Blocks that the registers have room for, as of the scalar kernels. */
static void
list_packed_scalar(Lister *l, int bits, bool palette)
{
	const Target *t = l->options->target;
	bool many = t && strncmp(t->name, "riscv", 5) == 0;
	bool few = !many && !(t && t->isa & ISA_MUL_HIGH), one = conv_row_pixels(l->c) == 1;
	PackedShape s = {.bits = bits, .palette = palette, .pixels = 1,
	                 .channels = one || few || many ? 4 : 2, .tested = !conv_is_pointwise(l->c)};

	if (l->c->oc < s.channels)
		s.channels = l->c->oc == 1 ? 1 : 2;
	add(l, packed_name(l, &s, s.channels), packed_scalar_lower(l->arena, l->c, &s),
	    l->costs ? cost_packed_scalar(l->costs, l->c, &s) : 0);
	if (!l->costs)
		return;
	s.tested = false;
	s.pixels = one || few ? 1 : many ? 4 : 3;
	if (s.pixels > 1 || !conv_is_pointwise(l->c))
		add(l, packed_name(l, &s, s.channels), packed_scalar_lower(l->arena, l->c, &s),
		    cost_packed_scalar(l->costs, l->c, &s));
}

static void
list_packed(Lister *l)
{
	int bits = conv_weight_bits(l->c);
	bool pairs = l->costs && (l->options->target->isa & ISA_ARM_DSP);

	if (bits == 8 || l->c->groups != 1)
		return;
	if (bits == 2 && pairs && !packed_dot2_fits(l->c, 2) && packed_dot2_fits(l->c, 4))
		list_packed_dot2(l, 4);
	if (pairs && packed_dot2_fits(l->c, bits))
		list_packed_dot2(l, bits);
	list_packed_scalar(l, bits, false);
}

/* ---- Palettes ---- */

static int
bits_for(int colors)
{
	int bits = 1;

	while (1 << bits < colors)
		bits++;
	return bits;
}

static void
list_palette_dot2(Lister *l, int bits)
{
	bool one = conv_row_pixels(l->c) == 1;
	PackedShape best = {0};

	for (int size = 1; size <= (one ? 4 : 2); size++) {
		PackedShape s = {.bits = bits, .palette = true, .pixels = one ? 1 : size,
		                 .channels = one ? size : 2, .body = is_small(l) ? 1 : 2};

		/* Channels that do not exist have weights all the same. */
		if (l->c->oc % s.channels != 0 && s.channels > 2)
			continue;
		if (!best.bits ||
		    cost_palette(l->costs, l->c, &s) < cost_palette(l->costs, l->c, &best))
			best = s;
	}
	add(l, packed_name(l, &best, best.channels), palette_lower(l->arena, l->c, &best),
	    cost_palette(l->costs, l->c, &best));
	if (is_small(l) || conv_is_pointwise(l->c) || l->c->out_h == 1)
		return;
	best.strip = strip_of(l->c, 2);
	add(l, packed_name(l, &best, best.channels), palette_lower(l->arena, l->c, &best),
	    cost_palette(l->costs, l->c, &best));
}

/* Where numbers have fewer bits than weights. */
static void
list_palette(Lister *l)
{
	int8_t color[CONV_MOST_COLORS];
	int colors = conv_palette(l->c, color), bits = bits_for(colors);

	if (colors == 0 || l->c->groups != 1 || bits >= conv_weight_bits(l->c))
		return;
	for (int k = bits; k <= 4 && l->costs && (l->options->target->isa & ISA_ARM_DSP); k++)
		if (palette_fits(l->c, k)) {
			list_palette_dot2(l, k);
			break;
		}
	list_packed_scalar(l, bits, true);
}

/* ---- Weights that are unpacked to RAM ---- */

static void
add_unpacked(Lister *l, UnpackForm form, int bits)
{
	static const char *const name[] = {[UNPACK_FIELDS] = "fields", [UNPACK_PALETTE] = "palette",
	                                   [UNPACK_MASK] = "mask"};
	UnpackedShape best = {0};

	for (int pixels = 2; pixels <= 3 && pixels <= l->c->out_w; pixels++) {
		UnpackedShape s = {.form = form, .bits = bits, .pixels = pixels,
		                   .body = is_small(l) ? 4 : 24,
		                   .strip = strip_within(l->c, 2, 8192)};

		if (unpacked_fits(l->c, &s) &&
		    (!best.pixels || cost_unpacked(l->costs, l->c, &s) <
		                             cost_unpacked(l->costs, l->c, &best)))
			best = s;
	}
	if (!best.pixels)
		return;
	add(l, arena_printf(l->arena, "unpacked %dx2 from %s", best.pixels, name[form]),
	    unpacked_lower(l->arena, l->c, &best), cost_unpacked(l->costs, l->c, &best));
}

static void
list_unpacked(Lister *l)
{
	const Conv *c = l->c;
	int8_t color[CONV_MOST_COLORS];
	int64_t weights = (int64_t)c->oc * c->kh * c->kw * c->ic;
	int bits = conv_weight_bits(c), colors = conv_palette(c, color), palette;

	if (!(l->options->target->isa & ISA_ARM_DSP))
		return;
	if (bits < 8)
		add_unpacked(l, UNPACK_FIELDS, bits);
	if (colors > 0) {
		colors += conv_color(color, colors, 0) < 0;
		/* Of 3 bits there are no whole words. */
		palette = bits_for(colors) == 3 ? 4 : bits_for(colors);
		if (palette < bits)
			add_unpacked(l, UNPACK_PALETTE, palette);
	}
	/* Where more are left, masks save little. */
	if (10 * conv_nonzeros(c) <= 7 * weights)
		add_unpacked(l, UNPACK_MASK, 0);
}

/* ---- Zeros left out ---- */

/* Constants, and about as much code as a block of so many pixels takes. */
static int64_t
sparse_bytes(const Lister *l, const SparseShape *s, const SparseLists *lists)
{
	enum { FRAME = 200, PIXEL = 45 };
	int64_t weights = (int64_t)lists->units * s->unit;

	if (s->mask)
		return FRAME + 8 * PIXEL * s->pixels + weights +
		       (int64_t)l->c->oc * lists->segments * ((lists->run + 7) / 8);
	return FRAME + PIXEL * s->pixels + weights + weights * s->bits / 8 + (int64_t)l->c->oc * lists->segments +
	       (lists->window ? 2 * lists->run : 0);
}

/* Less is better, by what the level wants. */
static double
merit(char level, double cycles, double bytes)
{
	switch (level) {
	case '3': return cycles;
	case '2': return cycles * bytes;
	case 's': return cycles * bytes * bytes;
	default: return bytes;
	}
}

/* The best unit and number of pixels of a way; false where there is none. */
static bool
best_sparse(const Lister *l, SparseShape way, SparseShape *best, SparseLists *best_lists)
{
	int step = way.planes ? 2 : 1, most = way.planes ? 8 : 4;
	int64_t width = conv_row_pixels(l->c);
	double least = 0;

	for (int unit = 8 / way.bits; unit <= (way.mask ? 1 : 4); unit *= 2)
		for (int pixels = step; pixels <= most; pixels += step) {
			SparseShape s = way;
			SparseLists lists;
			double m;

			s.unit = unit;
			s.pixels = pixels;
			if ((pixels > 1 && pixels >= width + 2) || !sparse_fits(l->c, &s))
				continue;
			lists = sparse_lists(l->c, &s);
			lists.units = (int32_t)sparse_units(l->c, &lists, unit);
			m = merit(l->options->level, (double)cost_sparse(l->costs, l->c, &s, &lists),
			          (double)sparse_bytes(l, &s, &lists));
			if (least == 0 || m < least) {
				least = m;
				*best = s;
				*best_lists = lists;
			}
		}
	return least > 0;
}

static void
add_sparse(Lister *l, const SparseShape *way)
{
	SparseShape s;
	SparseLists lists;

	if (!best_sparse(l, *way, &s, &lists))
		return;
	add(l, arena_printf(l->arena, "sparse %dx1%s%s%s", s.pixels, s.planes ? " by planes" : "",
	                    s.strip > 0 ? ", windows" : "", s.mask ? " by mask" : ""),
	    sparse_lower(l->arena, l->c, &s), cost_sparse(l->costs, l->c, &s, &lists));
	l->all.v[l->all.n - 1].is_sparse = true;
}

static void
list_sparse(Lister *l)
{
	bool dsp = l->options->target->isa & ISA_ARM_DSP;
	int64_t weights = (int64_t)l->c->oc * l->c->kh * l->c->kw * l->c->ic;
	SparseShape mask = {.mask = true, .bits = 8, .dsp = dsp};

	/* Where more are left, lists are neither smaller nor faster. */
	if (l->c->groups != 1 || 10 * conv_nonzeros(l->c) > 7 * weights)
		return;
	for (int way = 0; way < (dsp ? 4 : 2); way++) {
		SparseShape s = {.planes = way / 2, .bits = conv_weight_bits(l->c), .dsp = dsp};

		if (way % 2)
			s.strip = strip_of(l->c, s.planes ? 2 : 1);
		add_sparse(l, &s);
	}
	add_sparse(l, &mask);
}

/* ---- Blocks of zeros left out ---- */

/* The fastest number of pixels and unit, of rows in a ring or a strip, or of windows. */
static void
add_quads(Lister *l, int32_t strip, bool window)
{
	const Conv *c = l->c;
	int64_t most = conv_row_pixels(c), least = 0;
	QuadShape best = {0};

	for (int pixels = 1; pixels <= (most < 4 ? most : 4); pixels++)
		for (int unit = 1; unit <= 4; unit *= 2) {
			QuadShape s = {.pixels = pixels, .unit = unit, .strip = strip, .window = window};
			int64_t cycles;

			if (!quads_fits(c, &s))
				return;
			cycles = cost_quads(l->costs, c, &s, quads_units(c, &s));
			if (best.pixels && cycles >= least)
				continue;
			best = s;
			least = cycles;
		}
	add(l, arena_printf(l->arena, "blocks %dx1%s", best.pixels, window ? ", windows" : ""),
	    quads_lower(l->arena, c, &best), least);
	l->all.v[l->all.n - 1].is_sparse = true;
}

static void
list_quads(Lister *l)
{
	const Conv *c = l->c;
	int64_t all = (int64_t)c->oc * c->kh * c->kw * c->ic / 4;
	QuadShape one = {.pixels = 1, .unit = 1};

	if (!(l->options->target->isa & ISA_ARM_DSP) || !quads_fits(c, &one) ||
	    10 * quads_units(c, &one) > 9 * all)
		return;
	add_quads(l, c->kh > 1 && !is_small(l) ? strip_of(c, 2) : 0, false);
	add_quads(l, strip_of(c, 2), true);
}

/* ---- Weights in the code ---- */

static void
list_unrolled(Lister *l)
{
	UnrolledShape best = {0};
	bool dsp = l->options->target->isa & ISA_ARM_DSP;

	if (!unrolled_fits(l->c))
		return;
	for (int channels = 1; channels <= 8; channels *= 2) {
		UnrolledShape s = {.channels = channels, .dsp = dsp};

		/* Registers for sums, of the smallest machines too. */
		if (channels > 4 && !(l->options->target->isa & ISA_MUL_HIGH))
			continue;
		if (!best.channels || cost_unrolled(l->costs, l->c, &s) <
		                              cost_unrolled(l->costs, l->c, &best))
			best = s;
	}
	add(l, arena_printf(l->arena, "unrolled 1x%d", best.channels),
	    unrolled_lower(l->arena, l->c, &best), cost_unrolled(l->costs, l->c, &best));
	l->all.v[l->all.n - 1].is_sparse = true;
}

NodeKernels
compressed_list(Arena *a, const Conv *c, const KernelOptions *o, const Costs *costs)
{
	Lister l = {.arena = a, .c = c, .options = o, .costs = costs};

	list_packed(&l);
	list_palette(&l);
	if (costs) {
		list_unpacked(&l);
		list_sparse(&l);
		list_quads(&l);
		list_unrolled(&l);
	}
	return l.all;
}

/* ---- The choice ---- */

static int64_t
bytes_of(const NodeKernel *k)
{
	return k->constants + k->code;
}

bool
compressed_is_better(const NodeKernel *k, const NodeKernel *than, char level)
{
	double bytes = (double)bytes_of(k), other_bytes = (double)bytes_of(than);
	bool known = k->cycles > 0 && than->cycles > 0;
	double cycles = known ? (double)k->cycles : 1, other = known ? (double)than->cycles : 1;

	switch (level) {
	case '3': return cycles < 0.95 * other;
	case '2':
		return bytes <= other_bytes && cycles <= (k->is_sparse ? 1 : 1.125) * other &&
		       merit(level, cycles, bytes) < 0.95 * merit(level, other, other_bytes);
	case 's':
		return bytes < other_bytes &&
		       merit(level, cycles, bytes) < merit(level, other, other_bytes);
	default: return bytes < other_bytes;
	}
}
