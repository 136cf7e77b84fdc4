/*
 * Activations on quantised numbers.
 */
#include <math.h>

#include "ir/ops/infer.h"
#include "ir/ops/requant.h"

/* One input and an output of its shape and, quantised, of its element type. */
bool
qinfer_same(const Node *n, Type *out, Diag *d)
{
	out[0] = n->in[0]->type;
	return check_all_quantized(n, d) && check_output_like_input(n, d);
}

/* z_out + (x - z_in) * (s_in / s_out), not below the output's zero. */
void
qlower_relu(LowerCtx *cx, const Node *n)
{
	const Type *x = &n->in[0]->type, *y = &n->out[0]->type;
	QRange r = quant_limits(y->dtype);
	Expr *i = lower_for(cx, "i", type_numel(x));
	Expr *v = q_load(cx, cx->in[0], i, quant_zero(x));

	if (quant_zero(y) > r.lo)
		r.lo = quant_zero(y);
	v = q_scale(cx, v, (double)(quant_scale(x) / quant_scale(y)));
	q_store(cx, cx->out[0], i, v, quant_zero(y), r);
	lower_end_to(cx, 0);
}
