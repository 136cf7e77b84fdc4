/*
 * What all reference lowerings share: buffers, loops over a shape, indices.
 */
#include "ir/lower.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "ir/op.h"
#include "ir/ops/scalar.h"
#include "ir/quant.h"

LBuf *
lower_scratch(LowerCtx *cx, const char *name, DType elem, int32_t count)
{
	return loop_buf(&cx->b, name, elem, count, LBUF_SCRATCH, NULL);
}

LBuf *
lower_constant(LowerCtx *cx, const char *name, DType elem, int32_t count, const void *data)
{
	return loop_buf(&cx->b, name, elem, count, LBUF_IN, data);
}

LBuf *
lower_table(LowerCtx *cx, const char *name, DType elem, int32_t count, const void *data)
{
	size_t bytes = (size_t)count * (size_t)dtype_info[elem].bytes;

	return loop_buf(&cx->b, name, elem, count, LBUF_TABLE, arena_copy(cx->arena, data, bytes));
}

void
lower_loops(LowerCtx *cx, const Type *t, const char *prefix, Expr *at[MAX_RANK])
{
	for (int i = 0; i < t->rank; i++)
		at[i] = t->dim[i] == 1
		                ? loop_idx(&cx->b, 0)
		                : loop_for(&cx->b, arena_printf(cx->arena, "%s%d", prefix, i), 0,
		                           t->dim[i]);
}

void
lower_end_loops(LowerCtx *cx, const Type *t)
{
	for (int i = 0; i < t->rank; i++)
		if (t->dim[i] != 1)
			loop_end(&cx->b);
}

Expr *
lower_broadcast_index(LowerCtx *cx, const Type *t, int rank, Expr *const at[MAX_RANK])
{
	LBuilder *b = &cx->b;
	Expr *index = loop_idx(b, 0);
	int32_t stride[MAX_RANK];

	assert(t->rank <= rank);
	type_strides(t, stride);
	for (int i = 0; i < t->rank; i++)
		if (t->dim[i] != 1)
			index = loop_add(b, index,
			                 loop_affine(b, at[rank - t->rank + i], stride[i], 0));
	return index;
}

Expr *
lower_index(LowerCtx *cx, const Type *t, Expr *const at[MAX_RANK])
{
	return lower_broadcast_index(cx, t, t->rank, at);
}

Expr *
lower_for(LowerCtx *cx, const char *name, int32_t count)
{
	return count == 1 ? loop_idx(&cx->b, 0) : loop_for(&cx->b, name, 0, count);
}

void
lower_end_to(LowerCtx *cx, int depth)
{
	while (cx->b.depth > depth)
		loop_end(&cx->b);
}

Line
lower_lines(LowerCtx *cx, const Type *t, int64_t axis)
{
	Line line = {.length = t->dim[axis],
	             .stride = type_product(t, (int)axis + 1, t->rank),
	             .depth = cx->b.depth};

	line.outer = lower_for(cx, "o", type_product(t, 0, (int)axis));
	line.inner = lower_for(cx, "i", line.stride);
	return line;
}

void
lower_end_lines(LowerCtx *cx, const Line *line)
{
	lower_end_to(cx, line->depth);
}

Expr *
lower_line_index(LowerCtx *cx, const Line *line, Expr *i)
{
	LBuilder *b = &cx->b;
	Expr *index = loop_affine(b, line->outer, (int64_t)line->length * line->stride, 0);

	index = loop_add(b, index, loop_affine(b, i, line->stride, 0));
	return loop_add(b, index, line->inner);
}

Expr *
lower_let(LowerCtx *cx, const char *name, Expr *value)
{
	bool has_name = value->kind == E_CONST || (value->kind == E_VAR && value->u.var->is_const);

	return has_name ? value : loop_let(&cx->b, name, value);
}

Expr *
lower_activation(LowerCtx *cx, const Node *n, Expr *x)
{
	switch (node_activation(n)) {
	case ACTIVATION_none:
	case ACTIVATION_COUNT: break;
	case ACTIVATION_relu: return scalar_clamp(&cx->b, x, 0, HUGE_VAL);
	case ACTIVATION_relu_n1_1: return scalar_clamp(&cx->b, x, -1, 1);
	case ACTIVATION_relu6: return scalar_clamp(&cx->b, x, 0, 6);
	}
	return x;
}

static void
name_bufs(LBuf **bufs, int count, const char *const *names)
{
	for (int i = 0; i < count; i++)
		if (bufs[i])
			bufs[i]->name = names[i];
}

void
lower_name_inputs(LowerCtx *cx, const Node *n, const char *const *names)
{
	name_bufs(cx->in, n->nins, names);
}

void
lower_name_outputs(LowerCtx *cx, const Node *n, const char *const *names)
{
	name_bufs(cx->out, n->nouts, names);
}

/* The loops of an elementwise operator: the axes of its output, joined where they
 * are one axis for every input.  Strides are those of the inputs, 0 where one
 * repeats, then that of the output. */
typedef struct {
	int n;
	struct {
		int32_t length, stride[MAX_ELEMENTWISE + 1];
	} axis[MAX_RANK];
} Nest;

static int32_t
broadcast_stride(const Type *t, int axis)
{
	return axis < 0 || t->dim[axis] == 1 ? 0 : type_product(t, axis + 1, t->rank);
}

static Nest
make_nest(const Node *n)
{
	const Type *out = &n->out[0]->type;
	Nest nest = {0};

	for (int i = 0; i < out->rank; i++) {
		int32_t stride[MAX_ELEMENTWISE + 1], length = out->dim[i];
		bool join = nest.n > 0;

		if (length == 1)
			continue;
		for (int k = 0; k <= n->nins; k++) {
			const Type *t = k < n->nins ? &n->in[k]->type : out;

			stride[k] = broadcast_stride(t, i - (out->rank - t->rank));
			join = join && nest.axis[nest.n - 1].stride[k] == stride[k] * length;
		}
		if (join)
			length *= nest.axis[--nest.n].length;
		nest.axis[nest.n].length = length;
		memcpy(nest.axis[nest.n++].stride, stride, sizeof stride);
	}
	return nest;
}

void
lower_elements(LowerCtx *cx, const Node *n, Expr *index[MAX_ELEMENTWISE + 1])
{
	LBuilder *b = &cx->b;
	Nest nest = make_nest(n);

	for (int k = 0; k <= n->nins; k++)
		index[k] = loop_idx(b, 0);
	for (int i = 0; i < nest.n; i++) {
		const char *name = nest.n == 1 ? "i" : arena_printf(cx->arena, "i%d", i);
		Expr *at = loop_for(b, name, 0, nest.axis[i].length);

		for (int k = 0; k <= n->nins; k++)
			index[k] = loop_add(b, index[k],
			                    loop_affine(b, at, nest.axis[i].stride[k], 0));
	}
}

/* The loops, loads and conversions around one scalar_ID() function. */
static void
lower_elementwise(LowerCtx *cx, const Node *n)
{
	LBuilder *b = &cx->b;
	Expr *index[MAX_ELEMENTWISE + 1], *x[MAX_ELEMENTWISE], *y;

	lower_elements(cx, n, index);
	for (int k = 0; k < n->nins; k++)
		x[k] = loop_load_compute(b, cx->in[k], index[k]);
	y = lower_activation(cx, n, op_info[n->op].scalar(b, n, x));
	loop_store_cvt(b, cx->out[0], index[n->nins], y);
	lower_end_to(cx, 0);
}

/* One step of the loop over the last axis of a nest: `lanes` elements, or with 0 one. */
static void
lower_step(LowerCtx *cx, const Node *n, const Nest *nest, Expr *const *outer, Expr *at, int lanes)
{
	LBuilder *b = &cx->b;
	Expr *x[MAX_ELEMENTWISE], *y, *index;

	for (int k = 0; k < n->nins; k++) {
		int32_t stride = nest->axis[nest->n - 1].stride[k];

		index = stride ? loop_add(b, outer[k], at) : outer[k];
		x[k] = stride ? loop_load_lanes(b, cx->in[k], index, lanes)
		              : loop_splat(b, loop_load(b, cx->in[k], index), lanes);
	}
	y = lower_activation(cx, n, op_info[n->op].scalar(b, n, x));
	loop_store(b, cx->out[0], loop_add(b, outer[n->nins], at), y);
}

static bool
is_plain_f32(const Node *n)
{
	for (int k = 0; k < n->nins; k++)
		if (!n->in[k] || n->in[k]->type.dtype != DT_F32)
			return false;
	return n->out[0] && n->out[0]->type.dtype == DT_F32 && !node_is_quantized(n) &&
	       op_info[n->op].kind == OP_ELEMENTWISE;
}

LFunc *
node_lower_lanes(Arena *a, const Node *n, int lanes)
{
	LowerCtx cx;
	LBuilder *b = &cx.b;
	Expr *index[MAX_ELEMENTWISE + 1], *at;
	Nest nest;
	int32_t length, whole;

	if (!is_plain_f32(n) || type_numel(&n->out[0]->type) == 0)
		return NULL;
	nest = make_nest(n);
	length = nest.n ? nest.axis[nest.n - 1].length : 1;
	while (lanes > length)
		lanes /= 2;
	if (lanes < 2)
		return NULL;
	whole = length / lanes * lanes;
	lower_begin(&cx, a, n);
	for (int k = 0; k <= n->nins; k++)
		index[k] = loop_idx(b, 0);
	for (int i = 0; i < nest.n - 1; i++) {
		at = loop_for(b, arena_printf(a, "i%d", i), 0, nest.axis[i].length);
		for (int k = 0; k <= n->nins; k++)
			index[k] = loop_add(b, index[k], loop_affine(b, at, nest.axis[i].stride[k], 0));
	}
	lower_step(&cx, n, &nest, index, loop_for_step(b, "i", 0, whole, lanes), lanes);
	loop_end(b);
	if (whole < length) {
		lower_step(&cx, n, &nest, index, loop_for(b, "i", whole, length), 0);
		loop_end(b);
	}
	lower_end_to(&cx, 0);
	return loop_finish(b);
}

/* Whether no output has an element, so that there is nothing to do. */
static bool
outputs_are_empty(const LowerCtx *cx, const Node *n)
{
	for (int i = 0; i < n->nouts; i++)
		if (cx->out[i] && cx->out[i]->count > 0)
			return false;
	return true;
}

void
lower_begin(LowerCtx *cx, Arena *a, const Node *n)
{
	const OpInfo *info = &op_info[n->op];

	*cx = (LowerCtx){.arena = a, .single_rounding = n->graph->single_rounding};
	loop_begin(&cx->b, a,
	           arena_printf(a, "%s_%s", info->name, n->out[0] ? n->out[0]->name : "none"));
	cx->in = ARENA_ARRAY(a, LBuf *, n->nins);
	cx->out = ARENA_ARRAY(a, LBuf *, n->nouts);
	for (int i = 0; i < n->nins; i++)
		if (n->in[i])
			cx->in[i] = loop_buf(&cx->b, n->nins == 1 ? "x" : arena_printf(a, "x%d", i),
			                     n->in[i]->type.dtype, type_numel(&n->in[i]->type),
			                     LBUF_IN, n->in[i]->data);
	for (int i = 0; i < n->nouts; i++)
		if (n->out[i])
			cx->out[i] = loop_buf(&cx->b, n->nouts == 1 ? "y" : arena_printf(a, "y%d", i),
			                      n->out[i]->type.dtype,
			                      type_numel(&n->out[i]->type), LBUF_OUT, NULL);
}

LFunc *
node_lower(Arena *a, const Node *n)
{
	const OpInfo *info = &op_info[n->op];
	LowerCtx cx;

	assert(info->kind != OP_SUGAR);
	lower_begin(&cx, a, n);
	if (outputs_are_empty(&cx, n))
		return loop_finish(&cx.b);
	if (node_is_quantized(n))
		quant_info[n->op].lower(&cx, n);
	else if (info->kind == OP_ELEMENTWISE)
		lower_elementwise(&cx, n);
	else
		info->lower(&cx, n);
	return loop_finish(&cx.b);
}
