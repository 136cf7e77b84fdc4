/*
 * Matrix products.
 */
#include <string.h>

#include "frontend/onnx/read.h"

bool
onnx_read_matmul(ONode *n)
{
	return onnx_result(n, onnx_matmul(n, n->in[0], n->in[1]));
}

bool
onnx_read_gemm(ONode *n)
{
	Attr_GEMM a = {.alpha = onnx_float(n, "alpha", 1.0),
	               .beta = onnx_float(n, "beta", 1.0),
	               .trans_a = onnx_flag(n, "transA", false),
	               .trans_b = onnx_flag(n, "transB", false)};
	Node *k = onnx_node(n, OP_GEMM, onnx_in(n, 2) ? 3 : 2, n->in, 1);

	onnx_ignore(n, "broadcast"); /* up to opset 6; numpy's rules include it */
	if (k)
		*(Attr_GEMM *)k->attr = a;
	return onnx_result(n, onnx_finish(n, k));
}

bool
onnx_read_det(ONode *n)
{
	return onnx_result(n, onnx_unary(n, OP_DET, n->in[0]));
}

/* ---- Einsum ---- */

enum { MAX_LABELS = 52, MAX_TERM = 64 };

typedef struct {
	char label[MAX_TERM]; /* letters; "..." is '.' */
	int n, ellipsis;      /* the place of the ellipsis, or -1 */
} Term;

/* One operand's labels, ending at ',', '-' or the end of the text. */
static bool
parse_term(ONode *n, const char **text, Term *t)
{
	const char *s = *text;

	*t = (Term){.ellipsis = -1};
	for (; *s && *s != ',' && *s != '-'; s++) {
		if (*s == ' ')
			continue;
		if (strncmp(s, "...", 3) == 0 && t->ellipsis < 0) {
			t->ellipsis = t->n;
			s += 2;
		} else if ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z')) {
			if (t->n == MAX_RANK)
				return onnx_error_attr(n, "equation", E_SIZE,
				                       "a term of more than %d axes", MAX_RANK);
			t->label[t->n++] = *s;
		} else {
			return onnx_error_attr(n, "equation", E_ATTRIBUTE,
			                       "'%c' does not belong into an equation", *s);
		}
	}
	*text = s;
	return true;
}

/* Letters that no term uses, for the axes behind the dots. */
static void
free_letters(const Term *terms, int nterms, char out[MAX_LABELS])
{
	static const char all[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	int k = 0;

	for (const char *c = all; *c; c++) {
		bool used = false;

		for (int i = 0; i < nterms; i++)
			used |= memchr(terms[i].label, *c, (size_t)terms[i].n) != NULL;
		if (!used)
			out[k++] = *c;
	}
	memset(out + k, 0, (size_t)(MAX_LABELS - k));
}

/* Puts the last `count` of the `total` letters of the dots into their place. */
static bool
fill_ellipsis(ONode *n, Term *t, const char *letters, int total, int count)
{
	if (t->ellipsis < 0 || count == 0)
		return true;
	if (t->n + count > MAX_RANK || !letters[total - 1])
		return onnx_error_attr(n, "equation", E_SIZE, "a term of more than %d axes",
		                       MAX_RANK);
	memmove(t->label + t->ellipsis + count, t->label + t->ellipsis,
	        (size_t)(t->n - t->ellipsis));
	memcpy(t->label + t->ellipsis, letters + total - count, (size_t)count);
	t->n += count;
	return true;
}

/* Without "->" the result has the dots, then the labels that occur once in
 * alphabetical order. */
static bool
implicit_result(ONode *n, const Term *terms, int nterms, Term *out)
{
	*out = (Term){.ellipsis = -1};
	for (int i = 0; i < nterms; i++)
		if (terms[i].ellipsis >= 0)
			out->ellipsis = 0;
	for (int c = 'A'; c <= 'z'; c++) {
		int count = 0;

		for (int i = 0; i < nterms; i++)
			for (int k = 0; k < terms[i].n; k++)
				count += terms[i].label[k] == c;
		if (count != 1)
			continue;
		if (out->n == MAX_RANK)
			return onnx_error_attr(n, "equation", E_SIZE, "a result of more than %d axes",
			                       MAX_RANK);
		out->label[out->n++] = (char)c;
	}
	return true;
}

static bool
parse_equation(ONode *n, const char *s, Term *terms)
{
	for (int i = 0; i < n->nins; i++) {
		if (!parse_term(n, &s, &terms[i]))
			return false;
		if (i + 1 < n->nins && *s++ != ',')
			return onnx_error_attr(n, "equation", E_ATTRIBUTE,
			                       "the equation has fewer terms than operands");
	}
	if (!*s)
		return implicit_result(n, terms, n->nins, &terms[n->nins]);
	if (strncmp(s, "->", 2) != 0)
		return onnx_error_attr(n, "equation", E_ATTRIBUTE,
		                       "the equation has more terms than operands");
	s += 2;
	if (!parse_term(n, &s, &terms[n->nins]))
		return false;
	return !*s || onnx_error_attr(n, "equation", E_ATTRIBUTE,
	                              "something follows the equation's result");
}

bool
onnx_read_einsum(ONode *n)
{
	const char *text = onnx_str(n, "equation", NULL);
	Term *terms = ARENA_ARRAY(n->r->arena, Term, n->nins + 1);
	char letters[MAX_LABELS];
	int dots = 0;
	Node *k;
	Str s;

	if (!text)
		return n->failed ? false
		                 : onnx_error(n, E_ATTRIBUTE,
		                              "'Einsum' needs the attribute 'equation'");
	if (!parse_equation(n, text, terms))
		return false;
	free_letters(terms, n->nins + 1, letters);
	for (int i = 0; i < n->nins; i++) {
		int count = n->in[i]->type.rank - terms[i].n;

		if (count < 0 || (count > 0 && terms[i].ellipsis < 0))
			return onnx_error_in(n, i, E_SHAPE, "'%s' has %d axes; its term has %d",
			                     n->in[i]->name, n->in[i]->type.rank, terms[i].n);
		dots = count > dots ? count : dots;
	}
	str_init(&s, n->r->arena);
	for (int i = 0; i <= n->nins; i++) {
		int count = i < n->nins ? n->in[i]->type.rank - terms[i].n : dots;

		if (!fill_ellipsis(n, &terms[i], letters, dots, count))
			return false;
		str_puts(&s, i == 0 ? "" : i < n->nins ? "," : "->");
		str_write(&s, terms[i].label, (size_t)terms[i].n);
	}
	k = onnx_node(n, OP_EINSUM, n->nins, n->in, 1);
	if (k)
		((Attr_EINSUM *)k->attr)->equation = s.s;
	return onnx_result(n, onnx_finish(n, k));
}
