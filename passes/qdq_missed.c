/*
 * What fuse-qdq left in floats, and why.
 *
 * Looked at when all passes are done: an operator on floats that come from a dequantize
 * and go to a quantize, through whatever other floats, should have been one on integers.
 * Floats that a model takes, gives or works on without quantising them are its own affair.
 */
#include "ir/graph.h"
#include "passes/qdq.h"

typedef struct {
	const Graph *g;
	Diag *d;
	bool *from; /* by Value.id: comes from a dequantize */
	bool *to;   /* by Value.id: goes to a quantize */
} Missed;

static bool
is_float(const Value *v)
{
	return v && dtype_is_float(v->type.dtype);
}

/* quantize or dequantize, or what became of it. */
static bool
is_change(const Node *n)
{
	return n->op == OP_QUANTIZE || n->op == OP_DEQUANTIZE || n->op == OP_REQUANTIZE;
}

static bool
is_dequantize(const Node *n)
{
	return is_change(n) && !is_float(n->in[0]) && is_float(n->out[0]);
}

static bool
is_quantize(const Node *n)
{
	return is_change(n) && is_float(n->in[0]) && !is_float(n->out[0]);
}

static void
follow_forward(Missed *m)
{
	for (const Node *n = m->g->first; n; n = n->next) {
		bool from = is_dequantize(n);

		for (int i = 0; i < n->nins && !is_change(n); i++)
			from = from || (is_float(n->in[i]) && m->from[n->in[i]->id]);
		for (int i = 0; i < n->nouts; i++)
			if (is_float(n->out[i]))
				m->from[n->out[i]->id] = from;
	}
}

static void
follow_backward(Missed *m)
{
	for (const Node *n = m->g->last; n; n = n->prev) {
		bool to = is_quantize(n);

		for (int i = 0; i < n->nouts && !is_change(n); i++)
			to = to || (is_float(n->out[i]) && m->to[n->out[i]->id]);
		for (int i = 0; i < (is_change(n) ? 1 : n->nins) && to; i++)
			if (is_float(n->in[i]))
				m->to[n->in[i]->id] = true;
	}
}

/* ---- Reasons ---- */

static bool
has_constant_parameters(const Node *n)
{
	for (int i = 1; i < n->nins; i++)
		if (n->in[i] && !value_is_const(n->in[i]))
			return false;
	return true;
}

/* Why a (de)quantize node next to floats is none for integers; NULL: it might be one. */
static const char *
why_not_change(const Node *n)
{
	const Value *codes = n->op == OP_QUANTIZE ? n->out[0] : n->in[0];
	int bytes = dtype_info[codes->type.dtype].bytes;

	if (n->op == OP_REQUANTIZE)
		return NULL;
	if (!has_constant_parameters(n))
		return "computes its scale or zero point while running";
	if (n->nins > 1 && type_numel(&n->in[1]->type) > 1 && !value_is_const(codes))
		return "has a scale for each channel";
	if (bytes > 2)
		return "has codes of more than 16 bits";
	return bytes == 2 && n->nins > 2 ? "has codes of 16 bits with a zero point" : NULL;
}

static const char *
input_reason(const Missed *m, const Node *n, int i)
{
	const Value *v = n->in[i];
	const char *why, *name = v->name ? v->name : "";

	if (!is_float(v) || value_is_const(v))
		return NULL;
	if (!m->from[v->id])
		return arena_printf(m->d->arena, "its input '%s' was never quantised", name);
	if (!is_dequantize(v->def))
		return arena_printf(m->d->arena, "its input '%s' stays in floats", name);
	why = why_not_change(v->def);
	return why ? arena_printf(m->d->arena, "what dequantises its input '%s' %s", name, why)
	           : NULL;
}

/* Who takes the output for something else than quantising it. */
static const Node *
other_user(const Missed *m, const Value *v)
{
	for (const Node *n = m->g->first; n; n = n->next)
		for (int i = 0; i < n->nins; i++)
			if (n->in[i] == v && !is_quantize(n))
				return n;
	return NULL;
}

static const char *
output_reason(const Missed *m, const Value *v)
{
	const Node *user = other_user(m, v);
	const char *why;

	for (int i = 0; i < m->g->outputs.n; i++)
		if (m->g->outputs.v[i] == v)
			return "its result is an output in floats too";
	if (user)
		return arena_printf(m->d->arena, "'%s' takes its result in floats",
		                    op_info[user->op].name);
	for (const Node *n = m->g->first; n; n = n->next)
		if (is_quantize(n) && n->in[0] == v && (why = why_not_change(n)) != NULL)
			return arena_printf(m->d->arena, "what quantises its result %s", why);
	return v->nuses > 1 ? "its result is quantised in more than one way" : NULL;
}

static const char *
why_missed(const Missed *m, const Node *n)
{
	const char *why = qdq_knows(n) ? NULL : "there are no kernels for it on integers";

	for (int i = 0; i < n->nins && !why; i++)
		if (n->in[i])
			why = input_reason(m, n, i);
	for (int i = 0; i < n->nouts && !why; i++)
		if (n->out[i])
			why = output_reason(m, n->out[i]);
	return why ? why : "not with these attributes and types";
}

/* Whether a node is between a dequantize and a quantize. */
static bool
is_missed(const Missed *m, const Node *n)
{
	bool from = false, to = false;

	for (int i = 0; i < n->nins; i++)
		from = from || (is_float(n->in[i]) && m->from[n->in[i]->id]);
	for (int i = 0; i < n->nouts; i++)
		to = to || (is_float(n->out[i]) && m->to[n->out[i]->id]);
	return from && to && !is_change(n);
}

void
fuse_qdq_report_missed(const Graph *g, Diag *d)
{
	Missed m = {.g = g, .d = d, .from = ARENA_ARRAY(d->arena, bool, g->values.n),
	            .to = ARENA_ARRAY(d->arena, bool, g->values.n)};

	follow_forward(&m);
	follow_backward(&m);
	for (const Node *n = g->first; n; n = n->next)
		if (is_missed(&m, n))
			diag_report(d, &n->loc, R_PASS, "fuse-qdq: '%s' stays in floats: %s",
			            op_info[n->op].name, why_missed(&m, n));
}
