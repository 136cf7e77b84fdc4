/*
 * Einstein summation.
 *
 * The equation names each axis of each operand by a letter: "ij,jk->ik".  The
 * letters of the output are its axes, all others are summed over.  A letter that
 * occurs twice in an operand takes its diagonal; an axis of length 1 broadcasts.
 * Sums run over the letters in the order in which they first occur, the last
 * one fastest; each term is the product of the operands from left to right.
 */
#include <assert.h>
#include <string.h>

#include "ir/lower.h"
#include "ir/ops/infer.h"

enum { LETTERS = 52 };

static int
letter_index(char c)
{
	if (c >= 'a' && c <= 'z')
		return c - 'a';
	return c >= 'A' && c <= 'Z' ? c - 'A' + 26 : -1;
}

/* The number of letters at `s`. */
static int
count_letters(const char *s)
{
	int n = 0;

	while (n < INT16_MAX && letter_index(s[n]) >= 0)
		n++;
	return n;
}

/* Takes the axes of operand i into `length`; -1 stands for a letter not met yet. */
static bool
reads_operand(const Node *n, int i, const char *letters, int32_t length[LETTERS], Diag *d)
{
	const Type *t = &n->in[i]->type;

	for (int k = 0; k < t->rank; k++) {
		int32_t *known = &length[letter_index(letters[k])];

		if (*known == -1 || *known == 1)
			*known = t->dim[k];
		else if (t->dim[k] != *known && t->dim[k] != 1)
			return bad_input(n, d, E_SHAPE, i, "axis '%c' has length %d and %d",
			                 letters[k], *known, t->dim[k]);
	}
	return true;
}

static bool
reads_output(const Node *n, const char *s, const int32_t length[LETTERS], Type *out, Diag *d)
{
	int count = count_letters(s);

	if (s[count] != '\0')
		return bad_attribute(n, d, "equation", "character %d of the output is not a letter",
		                     count);
	for (int k = 0; k < count; k++) {
		int letter = letter_index(s[k]);

		assert(letter >= 0); /* count_letters() stopped at the first other one */
		if (memchr(s, s[k], (size_t)k))
			return bad_attribute(n, d, "equation", "'%c' occurs twice in the output",
			                     s[k]);
		if (length[letter] == -1)
			return bad_attribute(n, d, "equation", "'%c' is an axis of no input", s[k]);
		if (!push_dim(n, d, out, length[letter]))
			return false;
	}
	return true;
}

/* Reads operands up to the arrow; gives the output's letters. */
static bool
reads_operands(const Node *n, int32_t length[LETTERS], const char **output, Diag *d)
{
	const char *s = ((const Attr_EINSUM *)n->attr)->equation;

	for (int i = 0; i < LETTERS; i++)
		length[i] = -1;
	for (int i = 0; i < n->nins; i++) {
		int count = count_letters(s);
		const char *separator = i + 1 < n->nins ? "," : "->";

		if (count != n->in[i]->type.rank)
			return bad_input(n, d, E_SHAPE, i, "the equation has %d letters for it",
			                 count);
		if (!reads_operand(n, i, s, length, d))
			return false;
		s += count;
		if (strncmp(s, separator, strlen(separator)) != 0)
			return bad_attribute(n, d, "equation", "'%s' is missing after operand %d",
			                     separator, i);
		s += strlen(separator);
	}
	*output = s;
	return true;
}

bool
infer_einsum(const Node *n, Type *out, Diag *d)
{
	int32_t length[LETTERS];
	const char *output;

	for (int i = 0; i < n->nins; i++)
		if (!n->in[i])
			return bad_input(n, d, E_ARITY, i, "every operand must be there");
	if (!check_dtypes(n, d, SET_NUMBER) || !reads_operands(n, length, &output, d))
		return false;
	out->dtype = n->in[0]->type.dtype;
	return reads_output(n, output, length, out, d);
}

static Expr *
open_letter(LowerCtx *cx, char letter, int32_t length)
{
	return lower_for(cx, arena_strndup(cx->arena, &letter, 1), length);
}

/* The element of operand i at the letters' current values. */
static Expr *
load_operand(LowerCtx *cx, const Node *n, int i, const char *letters, Expr *const at[LETTERS])
{
	Expr *axis[MAX_RANK];

	for (int k = 0; k < n->in[i]->type.rank; k++)
		axis[k] = at[letter_index(letters[k])];
	return loop_load_compute(&cx->b, cx->in[i], lower_index(cx, &n->in[i]->type, axis));
}

static bool
has_empty_operand(const LowerCtx *cx, const Node *n)
{
	for (int i = 0; i < n->nins; i++)
		if (cx->in[i]->count == 0)
			return true;
	return false;
}

/* Opens the loops over the letters that have no value yet. */
static void
open_sums(LowerCtx *cx, const char *equation, const int32_t length[LETTERS], Expr *at[LETTERS])
{
	for (const char *s = equation; *s; s++) {
		int letter = letter_index(*s);

		if (letter >= 0 && !at[letter])
			at[letter] = open_letter(cx, *s, length[letter]);
	}
}

static Expr *
product_of_operands(LowerCtx *cx, const Node *n, const char *equation, Expr *const at[LETTERS])
{
	Expr *product = NULL;

	for (int i = 0; i < n->nins; i++) {
		Expr *x = load_operand(cx, n, i, equation, at);

		product = product ? loop_mul(&cx->b, product, x) : x;
		equation += n->in[i]->type.rank + 1;
	}
	return product;
}

void
lower_einsum(LowerCtx *cx, const Node *n)
{
	const char *equation = ((const Attr_EINSUM *)n->attr)->equation, *output;
	LBuilder *b = &cx->b;
	int32_t length[LETTERS];
	Expr *at[LETTERS] = {NULL}, *index[MAX_RANK];
	LVar *acc;

	reads_operands(n, length, &output, NULL);
	for (int k = 0; output[k]; k++) {
		int letter = letter_index(output[k]);

		index[k] = at[letter] = open_letter(cx, output[k], length[letter]);
	}
	acc = loop_var(b, "acc", loop_const(b, dtype_compute(n->out[0]->type.dtype), 0));
	if (!has_empty_operand(cx, n)) {
		int depth = b->depth;

		open_sums(cx, equation, length, at);
		loop_set(b, acc,
		         loop_add(b, loop_get(b, acc), product_of_operands(cx, n, equation, at)));
		lower_end_to(cx, depth);
	}
	loop_store_cvt(b, cx->out[0], lower_index(cx, &n->out[0]->type, index),
	               loop_get(b, acc));
	lower_end_to(cx, 0);
}
