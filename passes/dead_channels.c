/*
 * dead-channels: remove channels that are constant or that nobody looks at.
 *
 *	%1 = conv(%x, %w, %b)		%w, %b and %w2 lose the channels of %1
 *	%2 = conv(%1, %w2, %b2)		that are dead; %b2 takes the constant ones
 *
 * A channel of which every element is known to be the same number (ranges.c) adds the
 * same to each sum over it, which goes into the bias; its weights become zeros.  At the
 * border a convolution leaves out its padding, so that this is right only for the
 * number that adds nothing (the zero point), or where no tap is ever in the padding.
 * Of floats only zeros are taken, as other numbers round.
 *
 * Then a channel is dead when no sum has a weight for it that is not zero and nothing
 * else reads it.  Elementwise operators, pools, moves and groups of a convolution tie
 * channels to each other: these live or die together (channels.h).  Dead ones are cut
 * from the values, from weights, biases and scales, and from attributes that name sizes.
 *
 * Integers keep their bits; sums wrap around alike.  Floats do as long as no number is
 * infinite or NaN: zero times those is taken for zero.  Inputs and outputs of the graph
 * keep all their channels, and each value at least one.  Of many channels of bytes, a
 * multiple of four, a multiple of four stays: kernels read them by words.
 */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "ir/lower.h"
#include "ir/num.h"
#include "ir/ops/dot.h"
#include "passes/channel_ties.h"

/* ---- Constant channels ---- */

/* Whether input channel c of the sums is one number everywhere, and which. */
static bool
is_constant(const ChannelMap *m, const ChannelNode *n, int32_t c, double *x)
{
	const Channels *in = &m->of[n->n->in[0]->id];

	*x = in->lo[c];
	return in->lo[c] == in->hi[c];
}

static int32_t
weight_at(const Sums *s, int32_t k, int32_t t, int32_t c)
{
	return k * s->m_step + t * s->t_step + c * s->c_step;
}

static bool
has_weight(const Sums *s, int32_t k, int32_t c)
{
	for (int32_t t = 0; t < s->taps; t++)
		if (s->tap[t] != TAP_NEVER && sums_matters(s, weight_at(s, k, t, c)))
			return true;
	return false;
}

/* What the number x of channel c adds to the sum of quantised channel k; false when
 * that depends on the place. */
static bool
adds_constant(const Sums *s, int32_t k, int32_t c, int64_t x, int64_t *sum)
{
	for (int32_t t = 0; t < s->taps; t++) {
		int64_t w = sums_weight(s, weight_at(s, k, t, c));

		if (w == 0 || s->tap[t] == TAP_NEVER)
			continue;
		if (s->tap[t] == TAP_SOMETIMES || !s->takes_bias)
			return false;
		*sum += w * (x - s->x_zero);
	}
	return true;
}

/* The weights and sums that are being changed. */
typedef struct {
	void *w;
	int64_t *add; /* to the bias, by channel */
	int folded;
} Folded;

static void
clear_weights(const Sums *s, int32_t c, Folded *f)
{
	DType t = s->w->type.dtype;

	for (int32_t k = 0; k < s->out; k++) {
		for (int32_t i = 0; i < s->taps; i++) {
			size_t at = (size_t)weight_at(s, k, i, c);

			if (s->quantized)
				num_store_int(t, f->w, at, s->w_zero);
			else
				num_store(t, f->w, at, 0);
		}
	}
}

static void
fold_quantized(const ChannelMap *m, const Sums *s, int32_t c, double x, Folded *f)
{
	int64_t *add = ARENA_ARRAY(m->a, int64_t, s->out);

	for (int32_t k = 0; k < s->out && (int64_t)x != s->x_zero; k++)
		if (!adds_constant(s, k, c, (int64_t)x, &add[k]))
			return;
	clear_weights(s, c, f);
	for (int32_t k = 0; k < s->out; k++)
		f->add[k] += add[k];
	f->folded++;
}

/* Sums that start with -0 may depend on zeros. */
static bool
ignores_zeros(const Sums *s, int32_t c)
{
	for (int32_t k = 0; k < s->out; k++) {
		double start = s->bias ? value_float(s->bias, k) : 0;

		if (start == 0 && signbit(start))
			return false;
		for (int32_t t = 0; t < s->taps; t++)
			if (!isfinite(value_float(s->w, weight_at(s, k, t, c))))
				return false;
	}
	return true;
}

static void
fold_channel(const ChannelMap *m, const ChannelNode *n, int32_t c, Folded *f)
{
	const Sums *s = n->sums;
	bool any = false;
	double x;

	for (int32_t k = 0; k < s->out && !any; k++)
		any = has_weight(s, k, c);
	if (!any || !is_constant(m, n, c, &x))
		return;
	if (s->quantized) {
		fold_quantized(m, s, c, x, f);
	} else if (x == 0 && ignores_zeros(s, c)) {
		clear_weights(s, c, f);
		f->folded++;
	}
}

static bool
adds_something(const Folded *f, int32_t n)
{
	for (int32_t k = 0; k < n; k++)
		if (f->add[k] != 0)
			return true;
	return false;
}

/* The bias with what was added, wrapping around. */
static Value *
fold_bias(const ChannelMap *m, const ChannelNode *n, const Folded *f)
{
	const Sums *s = n->sums;
	bool wide = n->n->in[0]->type.dtype == DT_I16;
	Type t = s->bias ? s->bias->type
	                 : type_make(wide ? DT_I64 : DT_I32, 1, &s->out);
	void *data = arena_alloc(m->g->arena, type_bytes(&t));

	for (int32_t k = 0; k < s->out; k++) {
		uint64_t sum = (uint64_t)f->add[k];

		sum += s->bias ? (uint64_t)value_int(s->bias, k) : 0;
		num_store_int(t.dtype, data, (size_t)k,
		              t.dtype == DT_I32 ? (int32_t)(uint32_t)sum : (int64_t)sum);
	}
	return graph_const(m->g, s->bias ? s->bias->name : NULL, t, data);
}

static void
set_bias(Graph *g, Node *n, Value *bias)
{
	if (n->nins < 3) {
		n->in = arena_grow(g->arena, n->in, (size_t)n->nins, 3, sizeof(Value *));
		n->nins = 3;
	}
	node_set_input(n, 2, bias);
}

/* Takes the constant channels of the input out of the sums; returns how many. */
static int
fold_constants(ChannelMap *m, ChannelNode *n)
{
	Sums *s = n->sums;
	Folded f = {0};
	Value *w;

	if (s->groups != 1 || m->of[n->n->in[0]->id].axis != s->x_axis)
		return 0;
	f.w = arena_copy(m->g->arena, s->w->data, type_bytes(&s->w->type));
	f.add = ARENA_ARRAY(m->a, int64_t, s->out);
	for (int32_t c = 0; c < s->in; c++)
		fold_channel(m, n, c, &f);
	if (!f.folded)
		return 0;
	w = graph_const(m->g, s->w->name, s->w->type, f.w);
	node_set_input(n->n, 1, w);
	s->w = w;
	if (adds_something(&f, s->out)) {
		Value *bias = fold_bias(m, n, &f);

		set_bias(m->g, n->n, bias);
		s->bias = bias;
	}
	return f.folded;
}

/* ---- What is alive ---- */

/* Keeps the input channels that a living sum has a weight for. */
static void
keep_weighted(ChannelTies *l, const ChannelNode *n)
{
	const Sums *s = n->sums;
	const Value *x = n->n->in[0];

	for (int32_t c = 0; c < l->m->of[x->id].n && s->groups == 1; c++) {
		if (ties_alive(l, x, c))
			continue;
		for (int32_t k = 0; k < s->out; k++) {
			if (ties_alive(l, n->n->out[0], k) && has_weight(s, k, c)) {
				ties_keep(l, x, c);
				break;
			}
		}
	}
}

/*
 * How many channels must stay.  Scales by channel are multiplied in another precision
 * than a single one may be.
 */
static int32_t
least_channels(const ChannelNode *n)
{
	const Quant *q = n->use == USES_SUMS ? n->sums->w->type.q : NULL;

	return q && q->n > 1 && dot_rounds_scales(n->n) ? 2 : 1;
}

static void
keep_least(ChannelTies *l, const ChannelNode *n)
{
	for (int i = 0; i < n->n->nouts; i++) {
		const Value *y = n->n->out[i];
		int32_t channels = y ? l->m->of[y->id].n : 0, alive = 0;
		int32_t least = least_channels(n);

		for (int32_t c = 0; c < channels; c++)
			alive += ties_alive(l, y, c);
		for (int32_t c = 0; c < channels && alive < least; c++) {
			if (!ties_alive(l, y, c)) {
				ties_keep(l, y, c);
				alive++;
			}
		}
	}
}

static void
spread(ChannelTies *l)
{
	do {
		l->changed = false;
		for (int i = l->m->nodes.n; i-- > 0;) {
			keep_least(l, &l->m->nodes.v[i]);
			if (l->m->nodes.v[i].use == USES_SUMS)
				keep_weighted(l, &l->m->nodes.v[i]);
		}
	} while (l->changed);
}

/* Whether channel c and those tied to it have biases that kernels can add to sums without
 * another thought.  A dead channel often has a scale near 0, and then an enormous bias. */
static bool
has_moderate_bias(const ChannelTies *l, const Value *y, int32_t c)
{
	enum { MOST = 1 << 24 };
	int32_t wanted = ties_root(l, l->m->of[y->id].first + c);

	for (int i = 0; i < l->m->nodes.n; i++) {
		const ChannelNode *n = &l->m->nodes.v[i];
		const Value *bias = n->use == USES_SUMS ? n->sums->bias : NULL;
		const Value *sum = n->n->out[0];

		for (int32_t k = 0; bias && k < l->m->of[sum->id].n; k++)
			if (ties_root(l, l->m->of[sum->id].first + k) == wanted &&
			    (value_int(bias, k) <= -MOST || value_int(bias, k) >= MOST))
				return false;
	}
	return true;
}

/* Keeps so many dead channels more of a multiple of four bytes that one stays, unless that
 * is much. */
static void
keep_words(ChannelTies *l, const Value *y)
{
	enum { FEW_CHANNELS = 12 };
	int32_t channels = y ? l->m->of[y->id].n : 0, alive = 0;

	if (channels % 4 != 0 || !y->type.q || dtype_info[y->type.dtype].bytes != 1)
		return;
	for (int32_t c = 0; c < channels; c++)
		alive += ties_alive(l, y, c);
	for (int32_t c = 0; c < channels && alive > FEW_CHANNELS && alive % 4 != 0; c++)
		if (!ties_alive(l, y, c) && has_moderate_bias(l, y, c)) {
			ties_keep(l, y, c);
			alive++;
		}
}

static ChannelTies
find_alive(ChannelMap *m)
{
	ChannelTies l = ties_of(m);

	spread(&l);
	for (int i = m->nodes.n; i-- > 0;)
		if (m->nodes.v[i].use == USES_SUMS) {
			keep_words(&l, m->nodes.v[i].n->out[0]);
			spread(&l);
		}
	return l;
}

/* ---- Cutting ---- */

/* Which places along an axis stay. */
typedef struct {
	int32_t n, kept;
	bool *keep;
} Cut;

static Cut
cut_new(Arena *a, int32_t n)
{
	return (Cut){.n = n, .keep = ARENA_ARRAY(a, bool, n)};
}

static void
cut_keep(Cut *c, int32_t i)
{
	c->kept += !c->keep[i];
	c->keep[i] = true;
}

/* Of the axis of `length` places of v along which it is divided, or else of another. */
static Cut
cut_of(const ChannelTies *l, const Value *v, int axis, int32_t length)
{
	Cut c = cut_new(l->m->a, length);
	bool divided = l->m->of[v->id].axis == axis;

	for (int32_t i = 0; i < length; i++)
		if (!divided || ties_alive(l, v, i))
			cut_keep(&c, i);
	return c;
}

/* Scales by channel; a zero point that counted for nothing must not begin to. */
static const Quant *
cut_quant(Arena *a, const Quant *q, int axis, const Cut *c)
{
	Quant *r;
	float *scale;
	int32_t *zero, n = 0;

	if (!q || q->n == 1 || q->axis != axis)
		return q;
	r = ARENA_NEW(a, Quant);
	scale = ARENA_ARRAY(a, float, c->kept);
	zero = ARENA_ARRAY(a, int32_t, c->kept);
	for (int32_t i = 0; i < c->n; i++) {
		if (c->keep[i]) {
			scale[n] = q->scale[i];
			zero[n++] = c->kept == 1 ? 0 : q->zero[i];
		}
	}
	*r = (Quant){.axis = n == 1 ? 0 : axis, .n = n, .scale = scale, .zero = zero};
	return r;
}

/* Cuts input i of a node, a constant, along an axis. */
static void
cut_const(ChannelMap *m, Node *n, int i, int axis, const Cut *c)
{
	const Value *v = n->in[i];
	Type t = v->type;
	size_t inner = (size_t)type_product(&t, axis + 1, t.rank) *
	               (size_t)dtype_info[t.dtype].bytes;
	int32_t outer = type_product(&t, 0, axis);
	const char *from = v->data;
	char *data, *to;

	if (c->kept == c->n)
		return;
	t.dim[axis] = c->kept;
	t.q = cut_quant(m->g->arena, t.q, axis, c);
	data = to = arena_alloc(m->g->arena, type_bytes(&t));
	for (int32_t o = 0; o < outer; o++) {
		for (int32_t k = 0; k < c->n; k++, from += inner) {
			if (c->keep[k]) {
				memcpy(to, from, inner);
				to += inner;
			}
		}
	}
	node_set_input(n, i, graph_const(m->g, v->name, t, data));
}

static void
cut_sums(const ChannelTies *l, const ChannelNode *n)
{
	const Sums *s = n->sums;
	Cut out = cut_of(l, n->n->out[0], l->m->of[n->n->out[0]->id].axis, s->groups * s->out);

	cut_const(l->m, n->n, 1, s->m_axis, &out);
	if (s->bias)
		cut_const(l->m, n->n, 2, s->bias->type.rank - 1, &out);
	if (s->groups == 1) {
		Cut in = cut_of(l, n->n->in[0], s->x_axis, s->in);

		cut_const(l->m, n->n, 1, s->c_axis, &in);
	} else {
		((Attr_CONV *)n->n->attr)->group = out.kept / s->out;
	}
}

/* A list of an attribute with another number for an axis. */
static Ints
with_entry(const ChannelTies *l, Ints list, int axis, int64_t x)
{
	int64_t *v = arena_copy(l->m->g->arena, list.v, (size_t)list.n * sizeof *v);

	v[axis] = x;
	return (Ints){list.n, v};
}

/* What is cut before the slice moves it. */
static void
cut_slice(const ChannelTies *l, Node *n, int axis, const Cut *out)
{
	Attr_SLICE *a = n->attr;
	Cut in = cut_of(l, n->in[0], axis, n->in[0]->type.dim[axis]);
	int64_t before = 0;

	for (int64_t i = 0; i < a->starts.v[axis]; i++)
		before += in.keep[i];
	a->starts = with_entry(l, a->starts, axis, before);
	a->sizes = with_entry(l, a->sizes, axis, out->kept);
}

static void
cut_attributes(const ChannelTies *l, Node *n, int axis, const Cut *out)
{
	if (n->op == OP_RESHAPE) {
		Attr_RESHAPE *a = n->attr;

		a->shape = with_entry(l, a->shape, axis, out->kept);
	} else if (n->op == OP_RESIZE) {
		Attr_RESIZE *a = n->attr;

		a->shape = with_entry(l, a->shape, axis, out->kept);
	} else if (n->op == OP_SLICE) {
		cut_slice(l, n, axis, out);
	}
}

/* What stays of input i; empty when nothing is to be cut from it here. */
static Cut
cut_input(const ChannelTies *l, const ChannelNode *n, int i, const Cut *out)
{
	const Value *v = n->n->in[i];
	int axis = v && value_is_const(v)
	                   ? channel_source_axis(l->m, n, i, l->m->of[n->n->out[0]->id].axis)
	                   : -1;
	Cut c = cut_new(l->m->a, axis < 0 ? 0 : v->type.dim[axis]);

	for (int32_t k = 0; k < out->n && axis >= 0; k++) {
		int32_t from = channel_source(l->m, n, i, k);

		if (from >= 0 && out->keep[k])
			cut_keep(&c, from);
	}
	return c;
}

/* Takes away the constants of which nothing is left. */
static void
drop_inputs(Node *n, const Cut *in)
{
	int left = 0;

	for (int i = 0; i < n->nins; i++) {
		Value *v = n->in[i];

		if (in[i].n > 0 && in[i].kept == 0) {
			node_set_input(n, i, NULL);
		} else {
			n->in[i] = NULL;
			n->in[left++] = v;
		}
	}
	n->nins = left;
}

/* Constants among the inputs lose what the output loses. */
static void
cut_channels(const ChannelTies *l, const ChannelNode *n)
{
	const Channels *y = &l->m->of[n->n->out[0]->id];
	Cut out = cut_of(l, n->n->out[0], y->axis, y->n);
	Cut *in = ARENA_ARRAY(l->m->a, Cut, n->n->nins);

	/* All sources are found before the shapes change. */
	for (int i = 0; i < n->n->nins; i++)
		in[i] = cut_input(l, n, i, &out);
	for (int i = 0; i < n->n->nins; i++)
		if (in[i].kept > 0)
			cut_const(l->m, n->n, i, channel_source_axis(l->m, n, i, y->axis), &in[i]);
	if (n->n->op == OP_CONCAT)
		drop_inputs(n->n, in);
	cut_attributes(l, n->n, y->axis, &out);
}

/* Removes the dead channels; returns how many. */
static int
cut_dead(ChannelTies *l, Diag *d)
{
	ChannelMap *m = l->m;
	int removed = 0;

	for (int32_t i = 0; i < m->total; i++)
		removed += !l->alive[ties_root(l, i)];
	if (!removed)
		return 0;
	for (int i = 0; i < m->nodes.n; i++) {
		const ChannelNode *n = &m->nodes.v[i];

		if (n->use == USES_SUMS)
			cut_sums(l, n);
		else if (n->use == USES_CHANNELS)
			cut_channels(l, n);
	}
	for (Node *n = m->g->first; n; n = n->next) {
		bool fits = node_infer(n, d);

		assert(fits);
		(void)fits;
	}
	return removed;
}

/* ---- Remarks ---- */

/* A sum as it was before the pass. */
typedef struct {
	Node *n;
	int32_t in, out; /* channels */
	int64_t macs, bytes;
} Layer;

typedef VEC(Layer) Layers;

static Layer
measure(Node *n)
{
	const Type *w = &n->in[1]->type;
	int channel = node_layout(n) == LAYOUT_nhwc ? n->in[0]->type.rank - 1 : 1;
	bool is_conv = n->op == OP_CONV || n->op == OP_CONV_TRANSPOSE;
	Layer l = {.n = n, .macs = node_macs(n), .bytes = (int64_t)type_bytes(w)};

	if (!is_conv)
		channel = n->in[0]->type.rank - 1;
	l.in = n->in[0]->type.dim[channel];
	l.out = n->out[0]->type.dim[is_conv ? channel : n->out[0]->type.rank - 1];
	if (n->nins > 2 && n->in[2])
		l.bytes += (int64_t)type_bytes(&n->in[2]->type);
	return l;
}

static void
remark(Diag *d, const Layer *was)
{
	Layer is = measure(was->n);

	if (is.in == was->in && is.out == was->out)
		return;
	diag_report(d, &was->n->loc, R_PASS,
	            "dead-channels: '%s' goes from %d to %d input and from %d to %d output "
	            "channels, %lld fewer multiplications, %lld fewer bytes of weights",
	            was->n->name ? was->n->name : was->n->out[0]->name, was->in, is.in, was->out,
	            is.out, (long long)(was->macs - is.macs), (long long)(was->bytes - is.bytes));
}

/* ---- The pass ---- */

/* One round; returns whether it changed anything. */
static bool
remove_channels(Graph *g, PassCtx *cx, Layers *layers)
{
	Arena *a = arena_child(cx->scratch);
	ChannelMap m = channels_of(g, a);
	ChannelTies l;
	int before = cx->changed;

	for (int i = 0; i < m.nodes.n && layers; i++)
		if (m.nodes.v[i].use == USES_SUMS)
			VEC_PUSH(cx->scratch, layers, measure(m.nodes.v[i].n));
	channels_find_ranges(&m);
	for (int i = 0; i < m.nodes.n; i++)
		if (m.nodes.v[i].use == USES_SUMS)
			cx->changed += fold_constants(&m, &m.nodes.v[i]);
	l = find_alive(&m);
	cx->changed += cut_dead(&l, cx->diag);
	arena_free(a);
	return cx->changed != before;
}

bool
pass_dead_channels(Graph *g, PassCtx *cx)
{
	Layers layers = {0};
	bool changed = remove_channels(g, cx, &layers);

	while (changed)
		changed = remove_channels(g, cx, NULL);
	for (int i = 0; i < layers.n && cx->remarks[PASS_dead_channels]; i++)
		remark(cx->diag, &layers.v[i]);
	return true;
}
