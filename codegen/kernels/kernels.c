/*
 * The chooser.
 */
#include "codegen/kernels/kernels.h"

#include <string.h>

#include "codegen/kernels/compressed.h"
#include "codegen/kernels/cost.h"
#include "codegen/kernels/generate.h"
#include "codegen/kernels/measure.h"
#include "codegen/kernels/vector.h"
#include "ir/lower.h"

/* Machines that get runs of products in a fixed order (codegen/target/arm_products.h). */
enum { HAS_RUNS = ISA_ARM_SINGLE | ISA_ARM_DUAL | ISA_ARM_MLA };

/* What is being listed for a node. */
typedef struct {
	Arena *arena;
	const KernelOptions *options;
	char level; /* that is listed for, which is that of the options, or with `every` all
	             * that differ; 0: any */
	const Costs *costs;
	const Conv *conv;
	int64_t reference; /* cycles of the reference lowering */
	NodeKernels all;
	int64_t apart;     /* of the kernel that is added next */
} Chooser;

static int64_t
buffer_bytes(const LFunc *f, bool scratch)
{
	int64_t bytes = 0;

	for (int i = 0; i < f->bufs.n; i++) {
		const LBuf *b = f->bufs.v[i];
		bool is_own = b->role == LBUF_TABLE || (b->role == LBUF_IN && b->data);

		if (scratch ? b->role == LBUF_SCRATCH : is_own && lfunc_uses(f, b))
			bytes += (int64_t)b->count * dtype_info[b->elem].bytes;
	}
	return bytes;
}

static bool
is_small(const Chooser *ch)
{
	return level_is_small(ch->level);
}

/* Whether another level has listed the same. */
static bool
is_listed(const Chooser *ch, const NodeKernel *k)
{
	for (int i = 0; i < ch->all.n; i++) {
		const NodeKernel *other = &ch->all.v[i];

		if (other->cycles == k->cycles && other->code == k->code &&
		    other->constants == k->constants && other->scratch == k->scratch)
			return true;
	}
	return false;
}

NodeKernel
kernel_of(const char *name, LFunc *fn, int64_t cycles, const KernelOptions *o)
{
	return (NodeKernel){
		.name = name, .fn = fn, .constants = buffer_bytes(fn, false),
		.cycles = cycles || !o ? cycles : measure_cycles(o->target, fn),
		.code = measure_code(o ? o->target : NULL, o ? o->level : '2', fn),
		.scratch = buffer_bytes(fn, true)};
}

static void
add_kernel(Chooser *ch, const char *name, LFunc *fn, int64_t cycles)
{
	const KernelOptions *o = ch->options;
	NodeKernel k;

	if (cycles > ch->reference)
		return;
	k = kernel_of(name, fn, cycles, o);
	k.apart = ch->apart;
	if (ch->level && is_listed(ch, &k))
		return;
	if (o && o->every && is_small(ch))
		k.name = arena_printf(ch->arena, "%s, small", name);
	VEC_PUSH(ch->arena, &ch->all, k);
	if (o && level_is_small(o->level))
		return;
	for (int i = ch->all.n - 1; i > 0 && ch->all.v[i - 1].cycles > k.cycles; i--) {
		ch->all.v[i] = ch->all.v[i - 1];
		ch->all.v[i - 1] = k;
	}
}

/* Without the first `n` kernels; the last one beside the reference lowering stays. */
static void
skip_kernels(Chooser *ch, int n)
{
	int most = ch->all.n > 2 ? ch->all.n - 2 : 0, skipped = n < most ? n : most;

	if (skipped == 0)
		return;
	ch->all.n -= skipped;
	memmove(ch->all.v, ch->all.v + skipped, (size_t)ch->all.n * sizeof *ch->all.v);
}

/* ---- Dense convolutions ---- */

static DenseShape
dense_shape(const Chooser *ch, int pixels, int pairs)
{
	bool small = is_small(ch);
	DenseShape s = {.pixels = pixels, .pairs = pairs, .step = 2, .body = small ? 2 : 8,
	                .unroll = small ? 0 : 72, .at_once = small ? 1 : ch->costs->dual_issue ? 4 : 2};

	s.split = ch->level == '3';
	s.packed = ch->level != '3';
	return s;
}

static void
add_dense(Chooser *ch, const DenseShape *s)
{
	const char *name = arena_printf(ch->arena, "dot2 %dx%d%s%s", s->pixels, 2 * s->pairs,
	                                s->direct ? " direct" : "",
	                                s->strip ? " in strips" : "");

	add_kernel(ch, name, dense_lower(ch->arena, ch->conv, s),
	           cost_dense(ch->costs, ch->conv, s));
}

/* The fastest shape that fits the registers; one pixel alone takes more channels.  For size
 * windows take two pixels at most, which is a quarter slower at worst. */
static DenseShape
best_dense(const Chooser *ch, bool direct)
{
	const Conv *c = ch->conv;
	bool one = conv_row_pixels(c) == 1;
	bool has_runs = ch->options->target->isa & HAS_RUNS;
	DenseShape best = {0};

	for (int size = 1; size <= (is_small(ch) && !direct ? 2 : 3); size++) {
		DenseShape s = dense_shape(ch, one ? 1 : size, one ? size : 1);

		s.direct = direct;
		if (has_runs && !direct) {
			s.step = 1;
			s.body = is_small(ch) ? 4 : one ? 40 : 16;
		}
		if (direct && is_small(ch)) {
			s.split = true;
			s.uniform = true;
		}
		if (direct && !s.split && c->batch * c->out_h * c->out_w % s.pixels != 0)
			continue;
		/* Channels that do not exist have weights all the same. */
		if (is_small(ch) && s.pairs > 1 && (c->oc + 1) / 2 % s.pairs != 0)
			continue;
		if (!best.pixels || cost_dense(ch->costs, c, &s) < cost_dense(ch->costs, c, &best))
			best = s;
	}
	return best;
}

static void
add_winograd(Chooser *ch, const WinogradShape *s)
{
	const Conv *c = ch->conv;

	add_kernel(ch, arena_printf(ch->arena, "winograd %dx%d", s->tile, s->tile),
	           winograd_lower(ch->arena, c, s), cost_winograd(ch->costs, c, s));
}

/* Exact Winograd, where it is faster than another kernel; it takes flash.  Larger tiles take
 * fewer products and may be wasted at the edges. */
static void
list_winograd(Chooser *ch, bool pairs, int64_t cycles)
{
	const Conv *c = ch->conv;
	bool tiny = !(ch->options->target->isa & ISA_MUL_HIGH);
	bool has_runs = ch->options->target->isa & HAS_RUNS;
	WinogradShape s = {.pairs = pairs, .tiles = tiny || has_runs ? 2 : 4, .body = has_runs ? 32 : 4,
	                   .in_order = !ch->costs->dual_issue, .parts = tiny};

	if (ch->level != '3' || !conv_is_int8(c))
		return;
	for (s.tile = 2; s.tile <= 4; s.tile++)
		if (winograd_fits(c, s.tile) && cost_winograd(ch->costs, c, &s) < cycles)
			add_winograd(ch, &s);
}

/* As many output rows as a few kilobytes have room for: rows between strips are brought
 * in twice. */
static int32_t
strip_rows(const Conv *c)
{
	enum { MOST = 8192 };
	int64_t row = 2 * ((int64_t)c->out_w * c->sx + (int64_t)c->kw * c->dx) * (c->ic + 1);
	int64_t span = (int64_t)(c->kh - 1) * c->dy + 1, rows = (MOST / row - span) / c->sy + 1;
	int32_t strips;

	if (rows < 1)
		return 1;
	if (rows > c->out_h)
		return c->out_h;
	strips = (int32_t)((c->out_h - 1) / rows) + 1;
	return (c->out_h - 1) / strips + 1;
}

/* With a buffer, all rows of it where pixels are short, and without one where the
 * input can be read as it is: always for one pixel, else as the smaller choice. */
static void
list_dense(Chooser *ch)
{
	const Conv *c = ch->conv;
	bool can_be_direct = conv_is_pointwise(c) && c->ic >= 4 &&
	                     c->ic % (c->x_type == DT_I16 ? 2 : is_small(ch) ? 1 : 4) == 0;
	DenseShape direct = best_dense(ch, true), s = best_dense(ch, false), strips = s;

	if (can_be_direct && c->batch * c->out_h * c->out_w == 1 &&
	    (is_small(ch) || !(ch->options->target->isa & HAS_RUNS))) {
		add_dense(ch, &direct);
		return;
	}
	list_winograd(ch, true, cost_dense(ch->costs, c, &s));
	strips.strip = strip_rows(c);
	if (c->kh > 1 && !is_small(ch))
		add_dense(ch, &strips);
	/* Without a buffer there is less code. */
	if (can_be_direct && is_small(ch))
		add_dense(ch, &direct);
	add_dense(ch, &s);
	if (can_be_direct && !is_small(ch))
		add_dense(ch, &direct);
}

/* ---- Vectors of output channels ---- */

/* Kernels of floats count cycles of vectors, or operations on floats one by one. */
static bool
counts_operations(const Chooser *ch)
{
	return float_lanes_most(ch->options->target) == 1;
}

static int64_t
float_cycles(const Chooser *ch, int64_t count)
{
	return counts_operations(ch) ? count * ch->costs->floats / 10 : count;
}

static int64_t
float_reference(const Chooser *ch, const Node *n)
{
	return counts_operations(ch) ? float_cycles(ch, 8 * node_macs(n)) : node_macs(n);
}

static void
list_channels(Chooser *ch, const ChannelConv *c)
{
	static const char *const form[] = {
		[LANES_F32] = "", [LANES_BYTES] = " of bytes", [LANES_SIGNED] = " of bytes",
		[LANES_PAIRS] = " of pairs", [LANES_HALVES] = " of halves", [LANES_WORDS] = ""};
	ChannelShape s;
	int64_t cycles = channel_shape(c, ch->options->target, &s);

	if (!c->q)
		cycles = float_cycles(ch, cycles);
	if (!c->q || !ch->costs)
		ch->reference = float_reference(ch, c->c.n);
	if (cycles > 0)
		add_kernel(ch, arena_printf(ch->arena, "channels %dx%dx%d%s", s.pixels, s.vectors,
		                            s.lanes, form[s.form]),
		           channel_lower(ch->arena, c, &s), cycles);
	if (cycles == 0 || !s.copied)
		return;
	/* With less memory. */
	s.copied = false;
	if (channel_is_direct(c, &s))
		add_kernel(ch, arena_printf(ch->arena, "channels %dx%dx%d%s in place", s.pixels,
		                            s.vectors, s.lanes, form[s.form]),
		           channel_lower(ch->arena, c, &s), cycles + cycles / 8);
}

/* ---- Depthwise convolutions ---- */

static void
list_planar(Chooser *ch)
{
	const Conv *c = ch->conv;
	PlanarShape s = {.most = 8192, .blocks = ch->level == '3' ? 3 : 1}, turned = s;
	bool fits = planar_fits(c, false);

	turned.turned = true;
	/* Channel by channel, outputs are not stored behind the inputs that are done with. */
	ch->apart = type_numel(&c->n->out[0]->type);
	if (planar_fits(c, true) &&
	    (!fits || cost_planar(ch->costs, c, &turned) < cost_planar(ch->costs, c, &s)))
		add_kernel(ch, "planar by columns", planar_lower(ch->arena, c, &turned),
		           cost_planar(ch->costs, c, &turned));
	else if (fits)
		add_kernel(ch, "planar", planar_lower(ch->arena, c, &s),
		           cost_planar(ch->costs, c, &s));
	ch->apart = 0;
}

static void
list_depthwise(Chooser *ch)
{
	const Conv *c = ch->conv;
	ChannelConv vectors = channel_conv_of_int8(c);
	ColumnsShape columns = {.body = c->out_w <= 6 ? c->out_w : 4};
	DepthwiseShape s = {.pixels = c->out_w > 1 ? 2 : 1, .unroll = ch->level == '3' ? 9 : 1,
	                    .bytes = is_small(ch) && !c->wide, .packed = ch->level != '3'};

	if (is_small(ch) && !c->wide && taps_fits(c)) {
		add_kernel(ch, "taps", taps_lower(ch->arena, c, false),
		           cost_taps(ch->costs, c, false));
		if (c->oc % 4 == 0)
			add_kernel(ch, "taps, whole fours", taps_lower(ch->arena, c, true),
			           cost_taps(ch->costs, c, true));
		return;
	}
	if (!is_small(ch) && !c->wide && (ch->options->target->isa & ISA_ARM_MVE)) {
		if (columns_fits(c))
			add_kernel(ch, "columns", columns_lower(ch->arena, c, &columns),
			           columns_cost(c));
		list_channels(ch, &vectors);
	}
	if (!is_small(ch))
		list_planar(ch);
	add_kernel(ch, arena_printf(ch->arena, "depthwise %dx4", s.pixels),
	           depthwise_lower(ch->arena, c, &s), cost_depthwise(ch->costs, c, &s));
}

/* ---- One product at a time ---- */

/* The smallest machines have 8 registers, RISC-V 31, others 13. */
static void
count_registers(const Chooser *ch, bool *many, bool *few)
{
	*many = strncmp(ch->options->target->name, "riscv", 5) == 0;
	*few = !*many && !(ch->options->target->isa & ISA_MUL_HIGH);
}

/* Blocks that the registers have room for. */
static ScalarShape
scalar_shape(const Chooser *ch)
{
	const Conv *c = ch->conv;
	bool many, few, one = conv_row_pixels(c) == 1, fast = ch->level == '3';
	ScalarShape s = {.body = is_small(ch) ? 1 : fast ? 8 : 4, .unroll = fast ? 9 : 0};

	count_registers(ch, &many, &few);
	s.parts = few;
	if (ch->options->target->int_bytes == 2) {
		/* Four registers a sum; products of 32 bits are no faster than a high one. */
		s.parts = false;
		s.narrow = scalar_narrow(c);
		s.pixels = 1;
		s.channels = c->groups > 1 || c->oc == 1 ? 1 : 2;
		s.body = s.narrow > 4 ? s.narrow : 4;
	} else if (c->groups > 1) {
		s.channels = 1;
		s.pixels = one ? 1 : few ? 2 : 4;
	} else {
		s.channels = one || few || many ? 4 : 2;
		s.pixels = one || few ? 1 : many ? 4 : 3;
		s.dual = few && scalar_fits_dual(c);
		s.channels = s.dual ? 2 : s.channels;
	}
	return s;
}

/* A number of sets, with as many pixels as the registers have room for. */
static BraidShape
braid_shape(const Chooser *ch, int sets)
{
	const Conv *c = ch->conv;
	bool many, few, one = conv_row_pixels(c) == 1;
	BraidShape s = {.sets = sets, .body = 8, .strip = strip_rows(c)};

	count_registers(ch, &many, &few);
	s.pixels = few || one ? 1 : many ? 4 : braid_sums(c) > 3 ? 2 : 3;
	s.one_by_one = few;
	s.parts = few || (!many && one);
	return s;
}

/* The fastest shape: channels that do not exist are summed, too. */
static BraidShape
best_braid(const Chooser *ch)
{
	const Conv *c = ch->conv;
	bool many, few, two;
	BraidShape best = braid_shape(ch, 1), s = braid_shape(ch, 2);

	count_registers(ch, &many, &few);
	two = few ? braid_sums(c) <= 3 : many || conv_row_pixels(c) == 1;
	return two && cost_braid(ch->costs, c, &s) < cost_braid(ch->costs, c, &best) ? s : best;
}

/* Sums of several channels in a word less, for flash. */
static void
list_braid(Chooser *ch)
{
	const Conv *c = ch->conv;
	BraidShape s;

	if (ch->level != '3' || !braid_sums(c))
		return;
	s = best_braid(ch);
	add_kernel(ch, arena_printf(ch->arena, "braid %dx%d", s.pixels, s.sets * braid_sums(c)),
	           braid_lower(ch->arena, c, &s), cost_braid(ch->costs, c, &s));
}

static void
add_scalar(Chooser *ch, const ScalarShape *s)
{
	const char *name = arena_printf(ch->arena, "scalar %dx%d%s", s->pixels, s->channels,
	                                s->strip ? " in strips" : "");

	add_kernel(ch, name, scalar_lower(ch->arena, ch->conv, s),
	           cost_scalar(ch->costs, ch->conv, s));
}

/* As many pixels of a depthwise convolution as registers have room for and fit its rows. */
static int
depthwise_pixels(const Chooser *ch, ScalarShape s)
{
	static const int pixels[] = {4, 5, 3};
	int best = 0;
	int64_t least = INT64_MAX;

	for (size_t i = 0; i < sizeof pixels / sizeof *pixels; i++) {
		int64_t cycles;

		s.pixels = pixels[i];
		cycles = cost_scalar(ch->costs, ch->conv, &s);
		if (cycles < least) {
			best = s.pixels;
			least = cycles;
		}
	}
	return best;
}

/* Rows in a ring take an address each. */
static void
list_scalar(Chooser *ch)
{
	const Conv *c = ch->conv;
	ScalarShape s = scalar_shape(ch), strips;

	if (!scalar_fits(c))
		return;
	/* All else is made of products of 32 bits, or takes much memory. */
	if (ch->options->target->int_bytes == 2) {
		add_scalar(ch, &s);
		return;
	}
	if (c->groups > 1 && s.pixels > 2)
		s.pixels = depthwise_pixels(ch, s);
	strips = s;
	list_winograd(ch, false, cost_scalar(ch->costs, c, &s));
	list_braid(ch);
	strips.strip = strip_rows(c);
	if (c->kh > 1 && !is_small(ch))
		add_scalar(ch, &strips);
	add_scalar(ch, &s);
}

/* ---- Vectors ---- */

/* The block that fits the pixels best. */
static DotsShape
best_dots(const Chooser *ch)
{
	const Conv *c = ch->conv;
	bool one = conv_row_pixels(c) == 1;
	DotsShape best = {0};

	for (int pixels = one ? 1 : 2; pixels <= (one ? 1 : 4); pixels++) {
		DotsShape s = {.pixels = pixels, .channels = one ? 4 : 2, .chunk = 64,
		               .unroll = is_small(ch) ? 1 : 9, .body = is_small(ch) ? 1 : 2};

		if (!best.pixels || dots_cost(c, &s) < dots_cost(c, &best))
			best = s;
	}
	return best;
}

/* Blocks by sums first, or one by one where outputs make no vectors. */
static void
list_vectors(Chooser *ch)
{
	const Conv *c = ch->conv;
	bool one = conv_row_pixels(c) == 1;
	ScalarShape s = {.pixels = one ? 1 : 4, .channels = one ? 4 : 1, .body = is_small(ch) ? 1 : 2,
	                 .vectors = true};

	if (dots_fits(c)) {
		DotsShape d = best_dots(ch);

		add_kernel(ch, arena_printf(ch->arena, "dots %dx%d", d.pixels, d.channels),
		           dots_lower(ch->arena, c, &d), dots_cost(c, &d));
	}
	add_kernel(ch, arena_printf(ch->arena, "dot16 %dx%d", s.pixels, s.channels),
	           scalar_lower(ch->arena, c, &s), cost_scalar(ch->costs, c, &s));
}

/* ---- Floats ---- */

static void
list_floats(Chooser *ch, const FloatConv *c)
{
	const Target *t = ch->options->target;
	FloatShape s;
	int64_t cycles = float_cycles(ch, float_planar_shape(c, t, &s));

	ch->reference = float_reference(ch, c->n);
	if (cycles > 0)
		add_kernel(ch, arena_printf(ch->arena, "planar %dx%dx%d", s.vectors, s.lanes,
		                            s.channels),
		           float_planar_lower(ch->arena, c, &s), cycles);
}

/* Of the layout nchw: along pixels or along channels, the better one first. */
static void
list_planes(Chooser *ch, const FloatConv *f, const ChannelConv *c)
{
	const Target *t = ch->options->target;
	FloatShape along;
	ChannelShape across;
	int64_t cycles = float_planar_shape(f, t, &along), other = channel_shape(c, t, &across);
	bool is_better = other && (!cycles || other < cycles);

	if (is_better)
		list_channels(ch, c);
	list_floats(ch, f);
	if (!is_better)
		list_channels(ch, c);
}

/* Operators that are made of operations on vectors. */
static bool
has_lanes(Op op)
{
	switch ((int)op) {
	case OP_ADD:
	case OP_SUB:
	case OP_MUL:
	case OP_DIV:
	case OP_MIN:
	case OP_MAX:
	case OP_NEG:
	case OP_ABS:
	case OP_RELU:
	case OP_CLAMP:
	case OP_LEAKY_RELU:
	case OP_PRELU:
	case OP_HARD_SIGMOID:
	case OP_HARD_SWISH: return true;
	default: return false;
	}
}

/* Outputs by vectors, or sums side by side. */
static void
list_lanes(Chooser *ch, const Node *n)
{
	int lanes = ch->options->target->vector_bytes / 4;
	bool floats = ch->options->target->isa & ISA_FLOAT;
	LFunc *f = floats && has_lanes(n->op) ? node_lower_lanes(ch->arena, n, lanes) : NULL;
	LFunc *sum = vector_sum_lower(ch->arena, n, lanes, vector_scale_form(ch->options->target));
	int64_t count = n->out[0] ? type_numel(&n->out[0]->type) : 0;

	if (f) {
		ch->reference = count;
		add_kernel(ch, "vectors", f, (count + lanes - 1) / lanes);
	}
	if (sum) {
		ch->reference = count * 4;
		add_kernel(ch, "sum by vectors", sum, count * 4 / lanes);
	}
	f = node_lower_beside(ch->arena, n, 8);
	if (f) {
		ch->reference = type_numel(&n->in[0]->type) * 4;
		add_kernel(ch, "side by side", f, ch->reference / 4);
	}
}

/* Whether there are vectors that take any number of lanes, and of floats. */
static bool
has_vectors(const Target *t)
{
	return t->vector_bytes >= 16 && !(t->isa & ISA_ARM_MVE);
}

static void
list_vectors_of(Chooser *ch, const Node *n)
{
	FloatConv f;
	ChannelConv c;
	Conv q;

	if (float_conv_read(&f, n)) {
		if (!(ch->options->target->isa & ISA_FLOAT))
			return;
		c = channel_conv_of_floats(&f);
		if (f.planar)
			list_planes(ch, &f, &c);
		else
			list_channels(ch, &c);
	} else if (conv_read(&q, ch->arena, n) && conv_is_int8(&q)) {
		c = channel_conv_of_int8(&q);
		list_channels(ch, &c);
	} else {
		list_lanes(ch, n);
	}
}

/* Floats one by one. */
static void
list_scalar_floats(Chooser *ch, const Node *n)
{
	ChannelConv c;
	FloatConv f;

	if (!float_conv_read(&f, n) && !float_product_read(&f, n))
		return;
	c = channel_conv_of_floats(&f);
	if (f.planar)
		list_planes(ch, &f, &c);
	else
		list_channels(ch, &c);
}

/* ---- Sums ---- */

/* Cycles for an element, in tenths: two values, two terms, the output; and without tables,
 * two values scaled. */
static void
list_sum(Chooser *ch, const Node *n)
{
	const Costs *k = ch->costs;
	int64_t count = type_numel(&n->out[0]->type);
	SumShape s = {.at_once = ch->level == '3' ? 4 : 1,
	              .powers = ch->options->target->isa & ISA_ARM_DSP};
	LFunc *f = is_small(ch) ? NULL : sum_lower(ch->arena, n, &s), *vectors = NULL;

	ch->reference = count * (2 * k->load + 3 * k->output + k->loop) / 10;
	if (!is_small(ch) && (ch->options->target->isa & ISA_ARM_MVE))
		vectors = vector_sum_lower(ch->arena, n, 4, vector_scale_form(ch->options->target));
	if (vectors)
		add_kernel(ch, "sum by vectors", vectors, count * (6 * k->load + k->loop) / 10);
	if (f)
		add_kernel(ch, "sum by tables", f,
		           count * (4 * k->load + k->output + k->loop) / 10);
}

/* ---- Functions of one number ---- */

/* Where that is fewer cycles: a few operations are faster than loads on some machines.  Floats
 * have tables of 1 KB where arithmetic on them takes a library. */
static void
list_lookups(Chooser *ch, const Node *n)
{
	const Target *t = ch->options->target;
	bool has_floats = t->isa & (ISA_FLOAT | ISA_ARM_MVE_FLOAT);
	bool from_float = dtype_is_float(n->in[0]->type.dtype);
	LFunc *f = NULL;

	if (from_float || dtype_is_float(n->out[0]->type.dtype)) {
		if (!has_floats)
			f = from_float ? thresholds_lower(ch->arena, n)
			               : lookup_lower(ch->arena, n);
	} else {
		f = lookup_lower(ch->arena, n);
	}
	if (!f)
		return;
	ch->reference = measure_cycles(t, node_lower(ch->arena, n));
	add_kernel(ch, from_float ? "thresholds" : "table", f, measure_cycles(t, f));
}

/* ---- Weights that were made small ---- */

/* Adds each in front of the first one that it is better than. */
static void
list_compressed(Chooser *ch)
{
	NodeKernels more = compressed_list(ch->arena, ch->conv, ch->options, ch->costs);
	char level = ch->level;

	for (int i = 0; i < more.n; i++) {
		int at = 0, last = ch->all.n;

		while (at < last && !compressed_is_better(&more.v[i], &ch->all.v[at], level))
			at++;
		if (at == last)
			continue;
		VEC_PUSH(ch->arena, &ch->all, more.v[i]);
		for (int k = last; k > at; k--)
			ch->all.v[k] = ch->all.v[k - 1];
		ch->all.v[at] = more.v[i];
	}
}

/* ---- LSTM layers ---- */

static void
list_lstm(Chooser *ch, const Node *n)
{
	ch->reference = cost_lstm_reference(ch->costs, n);
	if ((ch->options->target->isa & ISA_ARM_DSP) && lstm_fits(n))
		add_kernel(ch, "lstm dot2", lstm_lower(ch->arena, n), cost_lstm(ch->costs, n));
}

/* ---- All ---- */

/* Those of ch->level. */
static void
list_kernels(Chooser *ch, const Node *n)
{
	const Conv *c = ch->conv;
	bool has_dsp = ch->options->target->isa & ISA_ARM_DSP;

	if ((n->op == OP_ADD || n->op == OP_SUB) && n->out[0])
		list_sum(ch, n);
	else if (n->op == OP_SEQUENCE_LSTM)
		list_lstm(ch, n);
	else if (n->nins == 1 && n->in[0] && n->out[0] && !is_small(ch))
		list_lookups(ch, n);
	else if (c && c->wide && is_small(ch) && !(has_dsp && c->groups == 1 && dense_is_dual(c)))
		return;
	else if (c && !has_dsp)
		list_scalar(ch);
	else if (c && c->groups == 1 && (ch->options->target->isa & ISA_ARM_MVE) && conv_is_int8(c))
		list_vectors(ch);
	else if (c && c->groups == 1)
		list_dense(ch);
	else if (c && c->groups == c->oc && c->ic == 1 && conv_has_int8_tensors(c))
		list_depthwise(ch);
	else if (c)
		list_scalar(ch);
}

NodeKernels
kernels_of(Arena *a, const Node *n, const KernelOptions *o)
{
	static const char every[] = "32s"; /* levels that list different kernels */
	Chooser ch = {.arena = a, .options = o};
	bool wanted = o && o->target && o->level != '0' && o->level != '1';
	LFunc *reference = node_lower(a, n);
	bool is_dot;
	Conv c;

	ch.costs = wanted ? costs_of(o->target) : NULL;
	is_dot = wanted && (n->op == OP_CONV || n->op == OP_GEMM || n->op == OP_MATMUL) &&
	         conv_read(&c, a, n);
	ch.conv = is_dot ? &c : NULL;
	if (ch.costs && is_dot)
		ch.reference = cost_reference(ch.costs, &c);
	ch.level = wanted ? (o->every ? '3' : o->level) : 0;
	if (wanted && !is_small(&ch) && has_vectors(o->target))
		list_vectors_of(&ch, n);
	else if (ch.costs && !is_small(&ch) && ch.options->target->isa & ISA_FLOAT)
		list_scalar_floats(&ch, n);
	for (size_t i = 0; ch.costs && i < (o->every ? strlen(every) : 1); i++) {
		ch.level = o->every ? every[i] : o->level;
		list_kernels(&ch, n);
	}
	ch.level = 0;
	add_kernel(&ch, "reference", reference, ch.reference);
	ch.level = o ? o->level : 0;
	if (is_dot && (ch.costs || is_small(&ch)) && conv_is_int8(&c))
		list_compressed(&ch);
	if (o)
		skip_kernels(&ch, o->skip);
	for (int i = 0; i < ch.all.n; i++)
		ch.all.v[i].is_reference = ch.all.v[i].fn == reference;
	return ch.all;
}
