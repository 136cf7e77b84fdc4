/*
 * A kernel that a frontend wrote: rules and expressions on single numbers, for which
 * an operator each would be a function each.
 *
 * The text is untrusted like any other attribute, so the shape rule reads it, lets the
 * verifier of the loop IR prove that it stays in its buffers, and compares those with
 * the inputs.  The lowering is the kernel itself.
 */
#include <string.h>

#include "ir/lower.h"
#include "ir/ops/infer.h"

/* The only kernel of the text; NULL when an error was reported. */
static LFunc *
parse_kernel(Arena *a, const Node *n, Diag *d)
{
	const Attr_KERNEL *attr = n->attr;
	LFuncs list = {0};

	if (!lfunc_parse(a, "kernel", attr->code, strlen(attr->code), &list, d))
		return NULL;
	if (list.n == 1 && !lfunc_is_scalar(list.v[0]))
		return list.v[0];
	bad_attribute(n, d, "code", "it has to be one kernel");
	return NULL;
}

/* The place of buffer i: inputs, outputs, and then those of the function alone. */
static bool
has_role(const Node *n, const LBuf *buf, int i)
{
	if (i < n->nins)
		return buf->role == LBUF_IN && !buf->data;
	if (i < n->nins + n->nouts)
		return buf->role == LBUF_OUT;
	return buf->role == LBUF_SCRATCH || buf->role == LBUF_TABLE;
}

static bool
check_buffers(const Node *n, const LFunc *f, Diag *d)
{
	if (f->bufs.n < n->nins + n->nouts)
		return bad_attribute(n, d, "code", "%d buffers for %d inputs and %d outputs",
		                     f->bufs.n, n->nins, n->nouts);
	for (int i = 0; i < f->bufs.n; i++)
		if (!has_role(n, f->bufs.v[i], i))
			return bad_attribute(n, d, "code",
			                     "buffer '%s' is not where its role wants it",
			                     f->bufs.v[i]->name);
	for (int i = 0; i < n->nins; i++) {
		const LBuf *buf = f->bufs.v[i];

		if (!n->in[i])
			return bad_attribute(n, d, "code", "input %d is absent", i);
		if (n->in[i]->type.q || n->in[i]->type.dtype != buf->elem ||
		    type_numel(&n->in[i]->type) != buf->count)
			return bad_input(n, d, E_TYPE, i, "the kernel takes %d elements of %s",
			                 (int)buf->count, dtype_info[buf->elem].name);
	}
	return true;
}

bool
infer_kernel(const Node *n, Type *out, Diag *d)
{
	Arena *scratch = arena_child(n->graph->arena);
	LFunc *f = parse_kernel(scratch, n, d);
	const char *wrong = NULL;
	bool ok = f && check_buffers(n, f, d);

	if (ok)
		wrong = lfunc_verify(f);
	for (int i = 0; ok && i < n->nouts; i++) {
		const LBuf *buf = f->bufs.v[n->nins + i];

		out[i] = type_make(buf->elem, 1, &buf->count);
	}
	if (wrong)
		ok = bad_attribute(n, d, "code", "%s", wrong);
	arena_free(scratch);
	return ok;
}

/* The parsed function's buffers take the places of those that stand for inputs and
 * outputs; an output that nobody wants is memory of the kernel's own. */
void
lower_kernel(LowerCtx *cx, const Node *n)
{
	Diag ignored;
	LFunc *f, *to = cx->b.fn;
	int ninputs = n->nins, k = 0;

	diag_init(&ignored, cx->arena);
	f = parse_kernel(cx->arena, n, &ignored);
	for (int i = 0; i < ninputs; i++)
		f->bufs.v[i]->data = n->in[i]->data;
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < f->bufs.n; i++) {
			LBuf *buf = f->bufs.v[i];
			bool unwanted =
				i >= ninputs && i < ninputs + n->nouts && !n->out[i - ninputs];
			bool own = i >= ninputs + n->nouts || unwanted;

			if (own != (pass == 1))
				continue;
			if (unwanted)
				buf->role = LBUF_SCRATCH;
			buf->index = k++;
			if (buf->index < to->bufs.n)
				to->bufs.v[buf->index] = buf;
			else
				VEC_PUSH(cx->arena, &to->bufs, buf);
		}
	to->vars.v = f->vars.v;
	to->vars.n = f->vars.n;
	to->vars.cap = f->vars.cap;
	to->body = f->body;
}
