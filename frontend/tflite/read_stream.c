/*
 * Operators of TFLite Micro that keep the last part of a stream between calls: framer,
 * stacker, delay, overlapping frames, circular buffer.
 */
#include <string.h>

#include "frontend/tflite/kernel.h"
#include "frontend/tflite/read.h"

enum { MAX_STREAM = 1 << 20 };

/* A variable of type `t` that starts with zeros, or its zero point. */
static Variable *
history(TNode *n, const Type *t)
{
	void *initial;

	if (!type_is_representable(t)) {
		tfl_error(n, E_SIZE, "what is kept between calls is larger than 2 GiB");
		return NULL;
	}
	if (!(initial = tfl_alloc(n, type_bytes(t) + 1)))
		return NULL;
	memset(initial, t->q && dtype_info[t->dtype].bytes == 1 ? t->q->zero[0] : 0, type_bytes(t));
	return tfl_own_variable(n, "history", t, initial);
}

/* ---- Rows: the last axis is time ---- */

/* [from, from + length) of the last axis. */
static Value *
part(TNode *n, Value *v, int64_t from, int64_t length)
{
	int64_t starts[MAX_RANK] = {0}, sizes[MAX_RANK];

	for (int i = 0; v && i < v->type.rank; i++)
		sizes[i] = v->type.dim[i];
	if (!v)
		return NULL;
	starts[v->type.rank - 1] = from;
	sizes[v->type.rank - 1] = length;
	return tfl_slice(n, v, starts, sizes);
}

/* The history and then x; what is kept of it is the end. */
static Value *
continued(TNode *n, Variable *state, Value *x)
{
	int axis = x->type.rank - 1;
	Node *node = tfl_node(n, OP_CONCAT, 2, (Value *[]){state->held, x});
	Value *all;

	if (node)
		((Attr_CONCAT *)node->attr)->axis = axis;
	all = tfl_value(n, node);
	if (all)
		state->value = part(n, all, x->type.dim[axis], state->held->type.dim[axis]);
	return state->value ? all : NULL;
}

/* x of i16 with at least one row that is not empty. */
static bool
check_rows(TNode *n, DType t)
{
	const Type *x = tfl_type(n, 0);

	if (x->dtype == t && x->rank > 0 && type_numel(x) > 0)
		return true;
	return tfl_error(n, E_TYPE, "the input must be rows of %s", dtype_info[t].name);
}

/* A history of `length` for each row of the input. */
static Variable *
row_history(TNode *n, int64_t length)
{
	Type t = *tfl_type(n, 0);

	t.dim[t.rank - 1] = (int32_t)length;
	return history(n, &t);
}

bool
tfl_read_signal_delay(TNode *n)
{
	Variable *state;
	int64_t length;
	Value *all;

	if (!check_rows(n, DT_I16) || !tfl_custom(n, "delay_length", 0, MAX_STREAM, &length))
		return false;
	if (length == 0)
		return tfl_bind(n, tfl_in(n, 0), 0);
	if (!(state = row_history(n, length)) || !(all = continued(n, state, tfl_in(n, 0))))
		return false;
	return tfl_bind(n, part(n, all, 0, tfl_type(n, 0)->dim[tfl_type(n, 0)->rank - 1]), 0);
}

/* ---- Framer ---- */

/* Frame i starts i steps after the first, which is `first` in `all`. */
static Value *
frames(TNode *n, Value *all, int64_t first, int64_t step, int64_t size, int32_t count)
{
	Type t = type_make(DT_I32, 2, (int32_t[]){count, (int32_t)size});
	int32_t *at;
	Node *node;

	if (!type_is_representable(&t)) {
		tfl_error(n, E_SIZE, "the frames are larger than 2 GiB");
		return NULL;
	}
	if (!(at = tfl_alloc(n, type_bytes(&t))))
		return NULL;
	for (int32_t i = 0; i < count; i++)
		for (int32_t k = 0; k < size; k++)
			at[i * size + k] = (int32_t)(first + i * step + k);
	node = tfl_node(n, OP_GATHER, 2, (Value *[]){all, graph_const(n->r->g, NULL, t, at)});
	if (node)
		((Attr_GATHER *)node->attr)->axis = all->type.rank - 1;
	return tfl_value(n, node);
}

/* A constant bool. */
static Value *
truth(TNode *n, bool value)
{
	uint8_t *data = arena_alloc(n->r->arena, 1);

	*data = value;
	return graph_const(n->r->g, NULL, type_scalar(DT_BOOL), data);
}

/* Whether `needed` numbers of each row have been seen when the call's first frame is
 * made; counts them up to that. */
static bool
count_seen(TNode *n, int64_t step, int64_t more, int64_t needed, int k)
{
	Type t = type_make(DT_I32, 1, (int32_t[]){1});
	Variable *seen = history(n, &t);
	TflKernel kernel;
	LBuilder *b = &kernel.b;
	LBuf *before, *valid, *after;
	Expr *zero, *v, *enough = NULL;

	if (!seen)
		return false;
	tfl_kernel_begin(&kernel, n, "seen");
	before = tfl_kernel_in(&kernel, "before", seen->held);
	valid = tfl_kernel_out(&kernel, "valid", k);
	after = tfl_kernel_next(&kernel, "after", seen);
	if (kernel.failed)
		return false;
	enough = loop_int(b, DT_I32, needed);
	zero = loop_idx(b, 0);
	v = loop_let(b, "v", loop_load(b, before, zero));
	loop_store_cvt(b, valid, zero,
	               loop_op2(b, KOP_GE, loop_add(b, v, loop_int(b, DT_I32, step)), enough));
	loop_store(b, after, zero,
	           loop_op2(b, KOP_MIN, loop_add(b, v, loop_int(b, DT_I32, step + more)), enough));
	return tfl_kernel_finish(&kernel);
}

/* Cuts each row into frames that overlap.  Without zeros in front the frames are not
 * valid until enough numbers came; then each is the oldest that is left. */
bool
tfl_read_signal_framer(TNode *n)
{
	const Type *x = tfl_type(n, 0);
	int64_t size, step, prefill, kept;
	int32_t count;
	Variable *state;
	Value *all;

	if (!check_rows(n, DT_I16) || !tfl_custom(n, "frame_size", 1, MAX_STREAM, &size) ||
	    !tfl_custom(n, "frame_step", 1, MAX_STREAM, &step) ||
	    !tfl_custom(n, "prefill", 0, 1, &prefill))
		return false;
	if (x->dim[x->rank - 1] % step != 0 || (prefill && size < step))
		return tfl_error(n, E_SHAPE, "frames of %lld every %lld numbers do not fit rows of %d",
		                 (long long)size, (long long)step, x->dim[x->rank - 1]);
	count = x->dim[x->rank - 1] / (int32_t)step;
	/* What is there when a frame is made, and of that without the last step. */
	kept = (prefill ? size : (size + step - 1) / step * step) - step;
	all = tfl_in(n, 0);
	if (kept > 0 && (!(state = row_history(n, kept)) || !(all = continued(n, state, all))))
		return false;
	if (!tfl_bind(n, frames(n, all, 0, step, size, count), 0))
		return false;
	if (prefill || kept == 0)
		return tfl_bind(n, truth(n, true), 1);
	return count_seen(n, step, (count - 1) * step, kept + step, 1);
}

/* ---- Stacker ---- */

/* Stacks the last frames, every `step` of them; the first one stands for those before it.
 * The number of frames that are there is -1 before the first. */
bool
tfl_read_signal_stacker(TNode *n)
{
	int64_t channels, left, right, step, frame_count;
	Type counter = type_make(DT_I32, 1, (int32_t[]){1}), stack;
	int32_t start = -1, size;
	Variable *seen, *held;
	TflKernel k;
	LBuilder *b = &k.b;
	LBuf *x, *seen_before, *before, *y, *valid, *seen_after, *after;
	Expr *zero, *v, *first, *i, *c, *from, *enough;

	if (!check_rows(n, DT_I16) || !tfl_custom(n, "num_channels", 1, MAX_STREAM, &channels) ||
	    !tfl_custom(n, "stacker_left_context", 0, 1024, &left) ||
	    !tfl_custom(n, "stacker_right_context", 0, 1024, &right) ||
	    !tfl_custom(n, "stacker_step", 1, left + right + 1, &step))
		return false;
	frame_count = left + right + 1;
	size = (int32_t)(channels * frame_count);
	if (type_numel(tfl_type(n, 0)) != channels || channels * frame_count > MAX_STREAM ||
	    n->out[0]->type.dtype != DT_I16 || type_numel(&n->out[0]->type) != size)
		return tfl_error(n, E_SHAPE, "the input is no frame, or the output no stack of them");
	stack = type_make(DT_I16, 1, &size);
	if (!(held = history(n, &stack)) ||
	    !(seen = tfl_own_variable(n, "frames", &counter,
	                              arena_copy(n->r->arena, &start, sizeof start))))
		return false;
	tfl_kernel_begin(&k, n, "stacker");
	x = tfl_kernel_in(&k, "x", tfl_in(n, 0));
	before = tfl_kernel_in(&k, "before", held->held);
	seen_before = tfl_kernel_in(&k, "seen_before", seen->held);
	y = tfl_kernel_out(&k, "y", 0);
	valid = tfl_kernel_out(&k, "valid", 1);
	after = tfl_kernel_next(&k, "after", held);
	seen_after = tfl_kernel_next(&k, "seen_after", seen);
	if (k.failed)
		return false;
	zero = loop_idx(b, 0);
	v = loop_let(b, "v", loop_load(b, seen_before, zero));
	first = loop_let(b, "first", loop_op2(b, KOP_LT, v, loop_int(b, DT_I32, 0)));
	v = loop_select(b, first, loop_int(b, DT_I32, left + 1),
	                loop_add(b, v, loop_int(b, DT_I32, 1)));
	v = loop_let(b, "seen", v);
	enough = loop_let(b, "enough", loop_op2(b, KOP_GE, v, loop_int(b, DT_I32, frame_count)));
	loop_store_cvt(b, valid, zero, enough);
	loop_store(b, seen_after, zero,
	           loop_select(b, enough, loop_sub(b, v, loop_int(b, DT_I32, step)), v));
	i = loop_for(b, "i", 0, frame_count);
	c = loop_for(b, "c", 0, channels);
	from = loop_op2(b, KOP_MIN, loop_add(b, loop_affine(b, i, channels, channels), c),
	                loop_idx(b, size - 1));
	v = loop_load_compute(b, x, c);
	v = loop_select(b, loop_op2(b, KOP_OR, first,
	                            loop_op2(b, KOP_EQ, i, loop_idx(b, frame_count - 1))),
	                v, loop_load_compute(b, before, from));
	v = loop_let(b, "number", v);
	from = loop_let(b, "to", loop_add(b, loop_affine(b, i, channels, 0), c));
	loop_store_cvt(b, after, from, v);
	loop_store_cvt(b, y, from, v);
	loop_end(b);
	loop_end(b);
	return tfl_kernel_finish(&k);
}

/* ---- Overlapping frames added up ---- */

/* One frame: adds it to `sum`, gives the first numbers, and moves the others there. */
static void
overlap_frame(LBuilder *b, LBuf *const buf[3], Expr *row, Expr *frame_at, Expr *y_at, int32_t size,
              int32_t step)
{
	LBuf *x = buf[0], *y = buf[1], *sum = buf[2];
	bool fixed = x->elem == DT_I16;
	Expr *sum_at = loop_let(b, "sum_at", loop_affine(b, row, size, 0)), *i, *v, *at;

	i = loop_for(b, "i", 0, size);
	at = loop_let(b, "at", loop_add(b, sum_at, i));
	v = loop_add(b, loop_load_compute(b, x, loop_add(b, frame_at, i)),
	             loop_load_compute(b, sum, at));
	if (fixed)
		v = loop_op2(b, KOP_MAX,
		             loop_op2(b, KOP_MIN, v, loop_int(b, DT_I32, INT16_MAX)),
		             loop_int(b, DT_I32, INT16_MIN));
	loop_store_cvt(b, sum, at, v);
	loop_end(b);
	i = loop_for(b, "i", 0, step);
	loop_store(b, y, loop_add(b, y_at, i), loop_load(b, sum, loop_add(b, sum_at, i)));
	loop_end(b);
	if (size > step) {
		i = loop_for(b, "i", 0, size - step);
		at = loop_add(b, sum_at, i);
		loop_store(b, sum, at, loop_load(b, sum, loop_affine(b, at, 1, step)));
		loop_end(b);
	}
	i = loop_for(b, "i", size - step, size);
	loop_store(b, sum, loop_add(b, sum_at, i), loop_const(b, x->elem, 0));
	loop_end(b);
}

/* Rows of frames [.., frames, size] become rows of numbers. */
bool
tfl_read_signal_overlap_add(TNode *n)
{
	const Type *x = tfl_type(n, 0), *y = tfl_out_type(n);
	int32_t size = x->rank >= 2 ? x->dim[x->rank - 1] : 0, count, rows;
	Type t = {.dtype = x->dtype, .rank = 2};
	Variable *state;
	int64_t step;
	TflKernel k;
	LBuilder *b = &k.b;
	LBuf *buf[3], *before;
	Expr *row, *frame, *i;

	if (size < 1 || !check_rows(n, x->dtype == DT_F32 ? DT_F32 : DT_I16) ||
	    !tfl_custom(n, "frame_step", 1, size, &step))
		return size >= 1 ? false : tfl_error(n, E_SHAPE, "the input must be rows of frames");
	count = x->dim[x->rank - 2];
	rows = type_numel(x) / (size * count);
	if (y->dtype != x->dtype || type_numel(y) != rows * count * step)
		return tfl_error(n, E_SHAPE, "the output does not fit %d frames of %lld new numbers",
		                 rows * count, (long long)step);
	t.dim[0] = rows;
	t.dim[1] = size;
	if (!(state = history(n, &t)))
		return false;
	tfl_kernel_begin(&k, n, "overlap_add");
	buf[0] = tfl_kernel_in(&k, "x", tfl_in(n, 0));
	before = tfl_kernel_in(&k, "before", state->held);
	buf[1] = tfl_kernel_out(&k, "y", 0);
	buf[2] = tfl_kernel_next(&k, "sum", state);
	if (k.failed)
		return false;
	i = loop_for(b, "i", 0, rows * size);
	loop_store(b, buf[2], i, loop_load(b, before, i));
	loop_end(b);
	row = loop_for(b, "row", 0, rows);
	frame = loop_for(b, "frame", 0, count);
	frame = loop_let(b, "frame_at", loop_add(b, loop_affine(b, row, count, 0), frame));
	overlap_frame(b, buf, row, loop_affine(b, frame, size, 0), loop_affine(b, frame, step, 0),
	              size, (int32_t)step);
	loop_end(b);
	loop_end(b);
	return tfl_kernel_finish(&k);
}

/* ---- Circular buffer ---- */

/* [1, slots, 1, c]: the last inputs.  TFLite Micro ends the whole call in all but every
 * cycles_max-th one. */
bool
tfl_read_circular_buffer(TNode *n)
{
	const Type *x = tfl_type(n, 0), *y = tfl_out_type(n);
	Variable *state;
	int64_t cycles;
	Value *all;
	Node *node;
	Type t;

	if (!flex_number(&n->custom, 0, &cycles))
		return tfl_error(n, E_MALFORMED, "the option 'cycles_max' is missing");
	if (cycles != 1)
		return tfl_error(n, E_UNSUPPORTED, "cycles_max is %lld: calls that end in the middle "
		                 "of the graph", (long long)cycles);
	if (x->rank != 4 || y->rank != 4 || x->dim[0] != 1 || x->dim[1] != 1 || y->dim[1] < 2)
		return tfl_error(n, E_SHAPE, "input and output must be [1, 1, 1, c] and [1, n, 1, c]");
	t = *x;
	t.dim[1] = y->dim[1] - 1;
	if (!(state = history(n, &t)))
		return false;
	node = tfl_node(n, OP_CONCAT, 2, (Value *[]){state->held, tfl_in(n, 0)});
	if (node)
		((Attr_CONCAT *)node->attr)->axis = 1;
	if (!node || !tfl_result(n, node))
		return false;
	all = node->out[0];
	state->value = tfl_slice(n, all, (int64_t[]){0, 1, 0, 0},
	                         (int64_t[]){1, t.dim[1], t.dim[2], t.dim[3]});
	return state->value != NULL;
}
