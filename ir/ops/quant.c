/*
 * Quantisation: real = scale * (q - zero point).
 *
 * Scale and zero point are one number, or one for each place along an axis.
 */
#include "ir/lower.h"
#include "ir/ops/infer.h"
#include "ir/ops/rows.h"
#include "ir/ops/scalar.h"

enum {
	SET_QUANTIZED = 1 << DT_I8 | 1 << DT_U8 | 1 << DT_I16 | 1 << DT_U16,
};

/* Scale (input 1) and zero point (input 2) fit each other and input 0. */
static bool
check_parameters(const Node *n, Diag *d, int64_t axis)
{
	const Type *t = &n->in[0]->type, *scale = &n->in[1]->type;

	if (!check_dtype(n, d, 1, SET_FLOAT))
		return false;
	if (n->nins > 2 && n->in[2] && type_numel(&n->in[2]->type) != type_numel(scale))
		return bad_input(n, d, E_SHAPE, 2, "must have as many elements as the scale, %d",
		                 type_numel(scale));
	if (type_numel(scale) == 1)
		return true;
	return check_axis(n, d, "axis", axis, t->rank) && check_vector(n, d, 1, t->dim[axis]);
}

bool
infer_quantize(const Node *n, Type *out, Diag *d)
{
	const Attr_QUANTIZE *a = n->attr;

	if (!check_dtype(n, d, 0, SET_FLOAT | 1 << DT_I32) || !check_parameters(n, d, a->axis))
		return false;
	if (a->to >= DT_COUNT || !(SET_QUANTIZED >> a->to & 1))
		return bad_attribute(n, d, "to", "not an integer type of 8 or 16 bits");
	if (n->nins > 2 && n->in[2] && n->in[2]->type.dtype != a->to)
		return bad_input(n, d, E_TYPE, 2, "the element type must be %s",
		                 dtype_info[a->to].name);
	out[0] = n->in[0]->type;
	out[0].dtype = a->to;
	return true;
}

bool
infer_dequantize(const Node *n, Type *out, Diag *d)
{
	const Attr_DEQUANTIZE *a = n->attr;

	out[0] = n->in[0]->type;
	out[0].dtype = n->in[1]->type.dtype;
	return check_dtype(n, d, 0, SET_QUANTIZED | 1 << DT_I32) && check_same_dtype(n, d, 2) &&
	       check_parameters(n, d, a->axis);
}

/* Opens loops over all elements; `at` is the index of an element and `parameter`
 * the one of its scale.  Returns how many loops are open. */
static int
open_loops(LowerCtx *cx, const Node *n, int64_t axis, Expr **at, Expr **parameter)
{
	LBuilder *b = &cx->b;
	const Type *t = &n->in[0]->type;
	int32_t after;

	*parameter = loop_idx(b, 0);
	if (type_numel(&n->in[1]->type) == 1) {
		*at = loop_for(b, "i", 0, type_numel(t));
		return 1;
	}
	after = type_product(t, (int)axis + 1, t->rank);
	*at = loop_for(b, "o", 0, type_product(t, 0, (int)axis));
	*parameter = loop_for(b, "c", 0, t->dim[axis]);
	*at = loop_add(b, loop_affine(b, *at, (int64_t)t->dim[axis] * after, 0),
	               loop_affine(b, *parameter, after, 0));
	*at = loop_add(b, *at, loop_for(b, "i", 0, after));
	return 3;
}

static void
close_loops(LowerCtx *cx, int open)
{
	while (open-- > 0)
		loop_end(&cx->b);
}

/* saturate(round half even(x / scale) + zero point); the conversion saturates. */
void
lower_quantize(LowerCtx *cx, const Node *n)
{
	const Attr_QUANTIZE *a = n->attr;
	LBuilder *b = &cx->b;
	DType t = cx->in[0]->elem == DT_F64 || cx->in[1]->elem == DT_F64 ? DT_F64 : DT_F32;
	Expr *at, *parameter, *v, *scale;
	int open = open_loops(cx, n, a->axis, &at, &parameter);

	v = loop_cvt(b, t, loop_load_compute(b, cx->in[0], at));
	scale = loop_cvt(b, t, loop_load_compute(b, cx->in[1], parameter));
	v = loop_call1(b, "rint", scalar_div(b, v, scale));
	if (n->nins > 2 && cx->in[2])
		v = loop_add(b, v, loop_cvt(b, t, loop_load_compute(b, cx->in[2], parameter)));
	loop_store_cvt(b, cx->out[0], at, v);
	close_loops(cx, open);
}

void
lower_dequantize(LowerCtx *cx, const Node *n)
{
	const Attr_DEQUANTIZE *a = n->attr;
	LBuilder *b = &cx->b;
	Expr *at, *parameter, *v, *scale;
	int open = open_loops(cx, n, a->axis, &at, &parameter);

	v = loop_load_compute(b, cx->in[0], at);
	if (n->nins > 2 && cx->in[2])
		v = loop_sub(b, v, loop_load_compute(b, cx->in[2], parameter));
	scale = loop_load_compute(b, cx->in[1], parameter);
	loop_store_cvt(b, cx->out[0], at, loop_mul(b, loop_cvt(b, scale->type, v), scale));
	close_loops(cx, open);
}

/* ---- quantize_rows ---- */

bool
infer_quantize_rows(const Node *n, Type *out, Diag *d)
{
	const Attr_QUANTIZE_ROWS *a = n->attr;
	const Type *x = &n->in[0]->type;

	if (!check_dtype(n, d, 0, 1 << DT_F32) || !check_range(n, d, "axis", a->axis, 0, x->rank))
		return false;
	out[0] = type_make(DT_I8, x->rank, x->dim);
	out[1] = type_make(DT_F32, (int)a->axis, x->dim);
	if (n->nouts > 2) {
		out[2] = out[1];
		out[2].dtype = DT_I32;
	}
	return true;
}

void
lower_quantize_rows(LowerCtx *cx, const Node *n)
{
	const Attr_QUANTIZE_ROWS *a = n->attr;
	const Type *x = &n->in[0]->type;
	LBuilder *b = &cx->b;
	int32_t length = type_product(x, (int)a->axis, x->rank);
	Expr *row = lower_for(cx, "row", type_product(x, 0, (int)a->axis)), *at;
	RowScale s;

	at = lower_let(cx, "at", loop_affine(b, row, length, 0));
	s = rows_scale(cx, cx->in[0], at, length, a->symmetric);
	if (cx->out[1])
		loop_store(b, cx->out[1], row, s.scale);
	if (n->nouts > 2 && cx->out[2])
		loop_store(b, cx->out[2], row, s.zero);
	if (cx->out[0] && length > 0) {
		at = loop_add(b, at, lower_for(cx, "k", length));
		loop_store_cvt(b, cx->out[0], at,
		               rows_code(cx, &s, loop_load(b, cx->in[0], at)));
	}
	lower_end_to(cx, 0);
}
