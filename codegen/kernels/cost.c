#include "codegen/kernels/cost.h"

#include <string.h>

#include "ir/graph.h"

static const Costs costs[] = {
#define COST(name, isa, load, op, loop, output, reference, dual, floats) \
	{name, isa, load, op, loop, output, reference, dual, floats},
#include "codegen/kernels/costs.def"
};

static bool
starts_with(const char *text, const char *start)
{
	return text && strncmp(text, start, strlen(start)) == 0;
}

const Costs *
costs_of(const Target *t)
{
	for (size_t i = 0; i < sizeof costs / sizeof *costs; i++)
		if ((t->isa & costs[i].isa) == costs[i].isa &&
		    (starts_with(t->cpu, costs[i].name) || starts_with(t->name, costs[i].name)))
			return &costs[i];
	return NULL;
}

static int64_t
outputs(const Conv *c)
{
	return (int64_t)c->batch * c->out_h * c->out_w * c->oc;
}

/* A tap costs as much as a product: its position is tested. */
int64_t
cost_reference(const Costs *k, const Conv *c)
{
	int64_t taps = (int64_t)c->kh * c->kw * (c->ic + 1);

	return (outputs(c) * taps * k->reference + outputs(c) * k->output) / 10;
}

/* Clearing a row buffer, and bringing the input into it, each row once. */
static int64_t
cost_rows(const Costs *k, const Conv *c)
{
	int64_t channels = (int64_t)c->groups * c->ic;
	int64_t elements = c->batch * c->in_h * c->in_w * channels;
	int64_t columns = (int64_t)c->out_w * c->sx + (int64_t)c->kw * c->dx;
	int64_t cleared = columns * c->kh * c->dy * channels;

	return elements / 4 * (k->load + 6 * k->op + k->loop / 2) + cleared / 4 * (k->op + k->loop);
}

/* Words of two elements that a window has in a row buffer, where pixels do not start between
 * words (rows.h). */
static int64_t
window_words(const Conv *c)
{
	bool between = c->sx % 2 != 0 || c->dx > 1;
	int64_t channels = c->ic + (between && c->ic % 2);

	return c->kh * divide_up(c->kw * channels, 2);
}

/* A load of a run (codegen/target/arm_products.h) beside as many as there are registers for
 * besides sums and addresses; of others one that stands alone. */
static int64_t
run_load(const Costs *k, int64_t sums)
{
	int64_t temps = 10 - sums;

	if (k->isa != ISA_ARM_DSP || k->dual_issue || temps < 2)
		return k->load;
	return k->op + 2 * (k->load - k->op) / temps;
}

/* The same of single products of `pixels` by `words`: a cycle more than its own for as many
 * as stand side by side, where what the pixels have stays for all words. */
static int64_t
single_load(const Costs *k, int64_t pixels, int64_t words)
{
	int64_t temps = 10 - pixels * words - (pixels - 1);

	return k->isa != ISA_ARM_MLA || temps < 1 ? k->load : 10 + 10 / temps;
}

/* What a run does with a word of each of its sides: loads, conversions and products, in
 * tenths.  Of two instructions that start at a time one can be a product. */
static int64_t
run_word(const Costs *k, int64_t sides, int64_t conversions, int64_t products)
{
	int64_t all = sides + conversions + products;

	if (k->dual_issue)
		return 2 * products > all ? 10 * products : 5 * all;
	return sides * run_load(k, products) + (conversions + products) * k->op;
}

/* A block of `pixels`, in tenths.  Elements of the input itself are unpacked for every
 * group of channels, which takes registers, too. */
static int64_t
dense_block(const Costs *k, const Conv *c, const DenseShape *s, int64_t pixels)
{
	int64_t groups = divide_up(c->oc, 2 * s->pairs), words, word, group;
	int64_t x = k->load / 2 + 2 * k->op;

	words = window_words(c);
	word = run_word(k, s->pairs + pixels, s->pairs, 2 * s->pairs * pixels);
	/* With as many sums as registers, something is loaded again for each pixel. */
	if (s->direct && s->uniform && pixels > 1)
		x += k->load / 2;
	if (s->direct)
		word = s->pairs * (k->load + k->op) + pixels * (x + 2 * s->pairs * k->op);
	group = words * word + s->pairs * (4 * k->load + pixels * 2 * k->output) + 2 * k->loop;
	/* Rows in a ring take a pointer each, so that registers are short, or a loop. */
	if (words > s->unroll && s->body <= 4 && !s->direct)
		group += (divide_up(words, s->body) + c->kh) * 2 * k->loop;
	else if (words > s->unroll)
		group += (divide_up(words, s->body) + c->kh) * k->loop;
	else if (!s->strip && c->kh > 1)
		group += words * 2 * k->load;
	return groups * group;
}

int64_t
cost_dense(const Costs *k, const Conv *c, const DenseShape *s)
{
	bool flat = conv_is_pointwise(c);
	int64_t pixels = conv_row_pixels(c);
	int64_t lines = flat ? 1 : c->batch * c->out_h, rest = pixels % s->pixels, line;

	line = pixels / s->pixels * dense_block(k, c, s, s->pixels);
	if (rest)
		line += dense_block(k, c, s, s->split ? rest : s->pixels);
	return (lines * line + (s->direct ? 0 : cost_rows(k, c))) / 10;
}

/* Blocks of whole pixels of a row, and what is left of it. */
static int64_t
rows_of_blocks(const Conv *c, int pixels, int64_t whole, int64_t rest)
{
	bool flat = conv_is_pointwise(c);
	int64_t width = conv_row_pixels(c);
	int64_t lines = flat ? 1 : c->batch * c->out_h;

	return lines * (width / pixels * whole + (width % pixels ? rest : 0));
}

/* A multiplier in parts takes three products instead of a long one of many steps. */
static int64_t
scaled(const Costs *k, bool parts)
{
	return parts ? k->output * 6 / 10 : k->output;
}

/* Rows of a depthwise kernel: columns are shared by the pixels. */
static int64_t
depthwise_window(const Costs *k, const Conv *c, int64_t pixels)
{
	int64_t apart = (pixels - 1) * c->sx + (c->kw - 1) * c->dx + 1;
	int64_t columns = apart < c->kw * pixels ? apart : c->kw * pixels;
	int64_t load = single_load(k, c->kw, 1 + pixels / c->kw);

	return c->kh * ((columns + c->kw) * load + c->kw * pixels * k->op + k->loop / 4) +
	       2 * k->loop;
}

/* A block of `pixels`, in tenths. */
static int64_t
scalar_block(const Costs *k, const Conv *c, const ScalarShape *s, int64_t pixels)
{
	int64_t taps = (int64_t)c->kh * c->kw * c->ic, group;

	if (s->vectors)
		taps = c->kh * divide_up(c->kw * c->ic, DOT_ELEMENTS);
	group = (s->channels + pixels) * single_load(k, pixels, s->channels);
	/* Weights of two channels share words there, which are taken apart. */
	group -= s->parts ? s->channels * k->load / 4 : 0;
	group = taps * (group + s->channels * pixels * k->op);
	/* Lanes are taken apart. */
	group += s->dual ? taps * 2 * k->op : 0;
	/* Where registers are few, the loop counts by an address that it has anyway. */
	group += divide_up(taps, s->body) * (s->parts ? k->loop / 3 : k->loop);
	if (c->groups > 1)
		group = depthwise_window(k, c, pixels);
	group += s->strip ? 0 : (c->kh - 1) * (k->load + 2 * k->op);
	group += s->channels * (3 * k->load + pixels * scaled(k, s->parts));
	return divide_up(c->oc, s->channels) * group;
}

int64_t
cost_scalar(const Costs *k, const Conv *c, const ScalarShape *s)
{
	int64_t blocks = rows_of_blocks(c, s->pixels, scalar_block(k, c, s, s->pixels),
	                                scalar_block(k, c, s, conv_row_pixels(c) % s->pixels));

	return (blocks + (conv_is_pointwise(c) ? 0 : cost_rows(k, c))) / 10;
}

/* A block of `pixels`, in tenths. */
static int64_t
braid_block(const Costs *k, const Conv *c, const BraidShape *s, int64_t pixels)
{
	int64_t taps = (int64_t)c->kh * c->kw * c->ic, runs = c->kh * (c->dx > 1 ? c->kw : 1);
	int64_t sums = s->sets * braid_sums(c), words = sums - s->sets, group;

	group = taps * ((words + pixels) * single_load(k, pixels, words) + words * pixels * k->op);
	group += (runs > 1 ? runs : 0) * k->loop + taps / s->body * k->loop;
	group += (words + 2 * sums) * k->load;
	group += pixels * (3 * words * k->op / 2 + sums * scaled(k, s->parts));
	return divide_up(c->oc, sums) * group;
}

int64_t
cost_braid(const Costs *k, const Conv *c, const BraidShape *s)
{
	int64_t blocks = rows_of_blocks(c, s->pixels, braid_block(k, c, s, s->pixels),
	                                braid_block(k, c, s, conv_row_pixels(c) % s->pixels));

	return (blocks + (conv_is_pointwise(c) ? 0 : cost_rows(k, c))) / 10;
}

/* A block of `pixels`, in tenths. */
static int64_t
packed_block(const Costs *k, const Conv *c, const PackedShape *s, int64_t pixels)
{
	bool direct = conv_is_pointwise(c) && c->ic % 4 == 0;
	int64_t groups = divide_up(c->oc, 2 * s->pairs), step = 8 / s->bits, steps, each, group;

	steps = c->kh * divide_up(divide_up(c->kw * c->ic, 2), step);
	each = s->pairs * (k->load + (2 * step + 1) * k->op);
	each += pixels * step * ((direct ? k->load / 2 + k->op : k->load) + 2 * s->pairs * k->op);
	group = steps * each + divide_up(steps * step, s->body) * k->loop + c->kh * k->loop;
	/* The slot of a row in a ring, and a pointer to it. */
	group += s->strip || c->kh == 1 ? 0 : c->kh * (4 * k->load + 12 * k->op);
	group += s->pairs * (2 * k->load + pixels * 2 * k->output);
	return groups * group;
}

int64_t
cost_packed_dot2(const Costs *k, const Conv *c, const PackedShape *s)
{
	bool direct = conv_is_pointwise(c) && c->ic % 4 == 0;
	int64_t pixels = conv_row_pixels(c);
	int64_t blocks = rows_of_blocks(c, s->pixels, packed_block(k, c, s, s->pixels),
	                                packed_block(k, c, s, pixels % s->pixels));

	return (blocks + (direct ? 0 : cost_rows(k, c))) / 10;
}

/* A block of `pixels`, in tenths. */
static int64_t
palette_block(const Costs *k, const Conv *c, const PackedShape *s, int64_t pixels)
{
	bool direct = conv_is_pointwise(c) && c->ic % 4 == 0;
	int64_t each = s->bits > 2 ? 1 : 4 / s->bits, words, word, group;

	words = window_words(c);
	word = pixels * (direct ? k->load / 2 + k->op : k->load);
	word += s->channels * (k->load + (each > 1 ? 2 : 0) * k->op + pixels * k->op + k->load / each);
	group = words * word + divide_up(words, (each > 2 ? each : 2) * s->body) * k->loop;
	group += c->kh * k->loop + (s->strip || c->kh == 1 ? 0 : c->kh * (4 * k->load + 12 * k->op));
	group += s->channels * (3 * k->load + pixels * k->output);
	return divide_up(c->oc, s->channels) * group;
}

int64_t
cost_palette(const Costs *k, const Conv *c, const PackedShape *s)
{
	bool direct = conv_is_pointwise(c) && c->ic % 4 == 0;
	int64_t pixels = conv_row_pixels(c);
	int64_t blocks = rows_of_blocks(c, s->pixels, palette_block(k, c, s, s->pixels),
	                                palette_block(k, c, s, pixels % s->pixels));

	return (blocks + (direct ? 0 : cost_rows(k, c))) / 10;
}

/* Unpacking takes two shifts, or one where fields of bits can be taken out: about as long
 * as a product where there are no fast ones; a palette takes its address and a load more. */
int64_t
cost_packed_scalar(const Costs *k, const Conv *c, const PackedShape *s)
{
	bool flat = conv_is_pointwise(c);
	int64_t step = 32 / (s->bits * s->channels), runs = s->tested ? c->kw : 1;
	int64_t run = divide_up(c->kw * c->ic, runs), words = c->kh * runs * divide_up(run, step);
	int64_t taps = c->kh * runs * run, unpack = k->op + (s->palette ? 2 * k->load : 0), block;

	block = words * (k->load + k->loop) + taps * s->channels * unpack;
	block += taps * s->pixels * (k->load + s->channels * k->op);
	block += s->tested ? c->kh * runs * (4 * k->op + k->loop) + taps * k->op : 0;
	block += s->channels * (3 * k->load + s->pixels * k->output);
	block = rows_of_blocks(c, s->pixels, block, block) * divide_up(c->oc, s->channels);
	return (block + (flat || s->tested ? 0 : cost_rows(k, c))) / 10;
}

/* A block of `pixels`, in tenths. */
static int64_t
sparse_block(const Costs *k, const Conv *c, const SparseShape *s, const SparseLists *l,
             int64_t pixels)
{
	bool dsp = k->isa & ISA_ARM_DSP;
	int64_t bits = (int64_t)c->oc * l->segments * l->run;
	int64_t sums = s->planes ? pixels + pixels % 2 : pixels, each, lists;

	/* Loads that do not need each other overlap in part. */
	each = 3 * k->load / 2 + (s->bits < 8 ? (dsp ? 1 : 2) * k->op : 0);
	each += l->window || (s->planes && c->kw > 1) ? 5 * k->load / 2 : 0;
	each += s->planes ? 4 * k->op : dsp ? 0 : k->op;
	each += !s->planes && sums > 1 ? 3 * k->load / 2 : 0;
	/* Ten more registers than sums are wanted; of the 13 that there are, the missing ones are
	 * loaded again for each weight. */
	each += s->planes && sums > 3 ? (sums - 3) * k->load : 0;
	each += s->planes ? sums / 2 * k->load + sums * k->op : sums * (k->load + k->op);
	lists = (int64_t)c->oc * l->segments * (2 * k->load + 5 * k->op + k->loop);
	/* The slot of a row in a ring, and what does not stay in registers for that. */
	if (!s->planes && !l->window && c->kh > 1)
		lists += (int64_t)c->oc * l->segments * (10 * k->load + 28 * k->op);
	/* A test and a branch for each bit; a load, the end and the loop for each byte. */
	if (s->mask)
		return lists + bits * 2 * k->op + bits / 8 * (k->load + 3 * k->op + k->loop) +
		       l->units * (2 * k->op + each) + c->oc * (3 * k->load + pixels * k->output);
	return lists + l->units * (k->loop + s->unit * each) +
	       c->oc * (3 * k->load + pixels * k->output);
}

int64_t
cost_sparse(const Costs *k, const Conv *c, const SparseShape *s, const SparseLists *l)
{
	int64_t elements = (int64_t)c->batch * c->in_h * c->in_w * c->ic;
	int64_t pixels = conv_row_pixels(c);
	int64_t blocks = rows_of_blocks(c, s->pixels, sparse_block(k, c, s, l, s->pixels),
	                                sparse_block(k, c, s, l, pixels % s->pixels));

	if (s->planes)
		blocks += elements * (k->load + 3 * k->op + k->loop);
	else if (!conv_is_pointwise(c) && !(l->window && conv_is_unpadded(c)))
		blocks += cost_rows(k, c) + elements * 3 * k->op;
	return blocks / 10;
}

/* A block of `pixels`, in tenths. */
static int64_t
quads_block(const Costs *k, const Conv *c, const QuadShape *s, int64_t units, int64_t pixels)
{
	bool direct = conv_is_pointwise(c);
	int64_t lists = (int64_t)c->oc * (s->window ? 1 : c->kh * (c->dx > 1 ? c->kw : 1)), each, sum;

	each = 4 * k->load + (s->window ? 3 : 5) * k->op;
	each += pixels * (direct ? k->load + 4 * k->op : 2 * k->load + 2 * k->op);
	sum = units * (s->unit * each + k->load + k->loop);
	sum += lists * (6 * k->load + 10 * k->op + k->loop);
	/* The slot of a row in a ring, and a pointer to it. */
	sum += s->strip || c->kh == 1 ? 0 : lists * (3 * k->load + 9 * k->op);
	return sum + c->oc * (3 * k->load + pixels * k->output);
}

int64_t
cost_quads(const Costs *k, const Conv *c, const QuadShape *s, int64_t units)
{
	int64_t rest = conv_row_pixels(c) % s->pixels;
	int64_t blocks = rows_of_blocks(c, s->pixels, quads_block(k, c, s, units, s->pixels),
	                                quads_block(k, c, s, units, rest));

	return (blocks + (conv_is_pointwise(c) ? 0 : cost_rows(k, c))) / 10;
}

/* A block of `pixels`, in tenths, without what brings weights to RAM. */
static int64_t
unpacked_block(const Costs *k, const Conv *c, const UnpackedShape *s, int64_t pixels)
{
	int64_t load = (run_load(k, 2 * pixels) + k->load) / 2, words = window_words(c), block;

	block = words * ((1 + pixels) * load + (1 + 2 * pixels) * k->op);
	block += divide_up(words, s->body) * k->loop + c->kh * (k->loop + 6 * k->op);
	return block + 6 * k->load + pixels * 2 * k->output;
}

/* A field takes two operations, a color a load besides, a bit of a mask a product, too; and
 * lanes are put together and stored. */
int64_t
cost_unpacked(const Costs *k, const Conv *c, const UnpackedShape *s)
{
	int64_t elements = (int64_t)c->oc * c->kh * c->kw * c->ic, weight = k->load / 4 + 4 * k->op;
	int64_t pairs = divide_up(c->oc, 2), rest = c->out_w % s->pixels, row;

	weight += s->form == UNPACK_FIELDS ? 0 : k->load + (s->form == UNPACK_MASK ? k->op : 0);
	row = c->out_w / s->pixels * unpacked_block(k, c, s, s->pixels);
	row += rest ? unpacked_block(k, c, s, rest) : 0;
	row = c->batch * (c->out_h * pairs * row + divide_up(c->out_h, s->strip) * elements * weight);
	return (row + cost_rows(k, c)) / 10;
}

/* A weight that is no power of two is brought to a register first. */
int64_t
cost_unrolled(const Costs *k, const Conv *c, const UnrolledShape *s)
{
	int64_t pixels = (int64_t)c->batch * c->out_h * c->out_w, pixel;
	UnrolledCount n = unrolled_count(c, s->channels);

	pixel = n.loads * k->load + n.powers * k->op + n.products * 2 * k->op + k->loop;
	pixel += c->oc * (2 * k->load + k->output);
	return (pixels * pixel + (conv_is_unpadded(c) ? 0 : cost_rows(k, c))) / 10;
}

/* Additions take half as long as products with additions where those are two steps.  With
 * few registers some of everything is kept in memory. */
int64_t
cost_winograd(const Costs *k, const Conv *c, const WinogradShape *s)
{
	int64_t tiles = (int64_t)divide_up(c->out_w, s->tile) * divide_up(c->out_h, s->tile) * c->batch;
	int64_t points = winograd_points(c, s->tile), sums = winograd_sums(c, s->tile);
	int64_t words = s->pairs ? divide_up(c->ic, 2) : c->ic, products, line, in, out;
	bool few = s->tiles <= 2 && k->isa != ISA_ARM_MLA;
	int64_t add = s->pairs || few ? k->op : k->op / 2;
	int64_t load = s->pairs ? run_load(k, 2 * s->tiles) : single_load(k, 2, s->tiles);

	products = (2 + s->tiles) * load + 2 * s->tiles * k->op;
	products = s->pairs ? run_word(k, 2 + s->tiles, 0, 2 * s->tiles) : products * (few ? 3 : 2) / 2;
	products *= words * points * points;
	products += sums * sums * (2 * s->tiles * k->load + 2 * k->loop);
	products = divide_up(c->oc, 2) * products / s->tiles;
	/* Each line: elements are loaded, transformed and stored. */
	line = points * (k->load + 7 * add) + k->loop;
	in = words * (points + c->sx * s->tile) * line;
	line = sums * (k->load + 2 * add) + s->tile * 3 * add + k->loop;
	out = c->oc * ((sums + s->tile) * line + s->tile * s->tile * scaled(k, s->parts));
	return tiles * (products + in + out) / 10;
}

/* Four channels at a time: two loads, unpacked, four products. */
int64_t
cost_taps(const Costs *k, const Conv *c, bool whole)
{
	int64_t pixels = (int64_t)c->batch * c->out_h * c->out_w;
	int64_t group = c->kh * c->kw * (2 * k->load + 14 * k->op + k->loop) + c->kh * k->loop;

	group += 4 * (3 * k->load + 4 * k->op + k->output);
	/* Outputs are tested, and distances between constants are no constants. */
	if (!whole)
		group = group * 3 / 2;
	return pixels * divide_up(c->oc, 4) * group / 10;
}

int64_t
cost_depthwise(const Costs *k, const Conv *c, const DepthwiseShape *s)
{
	int64_t blocks = divide_up(c->out_w, s->pixels) * c->batch * c->out_h;
	int64_t columns = c->sx == 1 && c->dx == 1 ? c->kw + s->pixels - 1 : c->kw * s->pixels;
	int64_t group = c->kh * (columns * (k->load + 2 * k->op) + c->kw * 2 * k->load);

	group += c->kh * c->kw * s->pixels * 4 * k->op + k->loop;
	/* Four channels by two pixels leave no registers for what is taken apart. */
	group = group * 8 / 5 + 4 * (3 * k->load + s->pixels * k->output);
	return (blocks * divide_up(c->oc, 4) * group + cost_rows(k, c)) / 10;
}

int64_t
cost_lstm_reference(const Costs *k, const Node *n)
{
	return node_macs(n) * k->reference / 10;
}

/* For four elements of four gates: lanes and weights are loaded, weights unpacked. */
int64_t
cost_lstm(const Costs *k, const Node *n)
{
	return node_macs(n) / 16 * (6 * k->load + 16 * k->op + k->loop) / 10;
}

/* Each input is taken apart once; two outputs at a time, with nothing but elements to
 * load. */
int64_t
cost_planar(const Costs *k, const Conv *c, const PlanarShape *s)
{
	int64_t elements = (int64_t)c->batch * c->in_h * c->in_w * c->oc, words, block, row;
	int32_t width = s->turned ? c->out_h : c->out_w, kw = s->turned ? c->kh : c->kw;
	int32_t kh = s->turned ? c->kw : c->kh, stride = s->turned ? c->sy : c->sx;

	words = stride == 1 ? divide_up(kw, 4) + kw / 4 : 2 * divide_up(kw, 4);
	block = kh * (words * (k->load + 2 * k->op) + 2 * ((kw + 1) / 2) * k->op);
	block += 2 * k->output + k->loop / s->blocks;
	/* A pixel alone costs more than half as much as two. */
	row = width / 2 * block + width % 2 * (block * 3 / 4) + k->loop;
	return (elements * (k->load / 4 + 2 * k->op) + outputs(c) / width * row) / 10;
}
