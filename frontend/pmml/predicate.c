/*
 * Predicates: true, false, or unknown where a value that decides is missing.
 */
#include <string.h>

#include "frontend/pmml/pmml.h"

Expr *
truth_is_false(Pmml *p, const Truth *t)
{
	Expr *e = code_not(p, t->is_true);

	return t->is_unknown ? code_and(p, e, code_not(p, t->is_unknown)) : e;
}

static Truth
name_truth(Pmml *p, Truth t)
{
	t.is_true = code_let(p, "holds", t.is_true);
	if (t.is_unknown)
		t.is_unknown = code_let(p, "unknown", t.is_unknown);
	return t;
}

/* ---- Simple predicates ---- */

static Truth
truth_known_unless(Pmml *p, Expr *is_true, const Val *v)
{
	if (v->never_missing)
		return (Truth){is_true, NULL};
	return (Truth){is_true, value_is_missing(p, v)};
}

const char *const predicate_operators[] = {"equal", "notEqual", "lessThan", "lessOrEqual",
                                           "greaterThan", "greaterOrEqual", "isMissing",
                                           "isNotMissing", NULL};

static bool
read_simple(Pmml *p, const Xml *e, Truth *out)
{
	static const KOp kop[] = {KOP_EQ, KOP_NE, KOP_LT, KOP_LE, KOP_GT, KOP_GE};
	const char *field = pmml_need(p, e, "field"), *text;
	Val v, constant;
	Expr *is_true;
	int op;

	if (!field || !pmml_need(p, e, "operator") ||
	    !pmml_word(p, e, "operator", predicate_operators, 0, &op) ||
	    !field_value(p, e, field, &v))
		return false;
	if (op >= PREDICATE_IS_MISSING) {
		is_true = value_is_missing(p, &v);
		*out = (Truth){op == PREDICATE_IS_MISSING ? is_true : code_not(p, is_true), NULL};
		return true;
	}
	text = pmml_need(p, e, "value");
	if (!text || !value_constant(p, e, text, v.type, v.labels, &constant) ||
	    !value_compare(p, e, kop[op], v, constant, &is_true))
		return false;
	/* A label that is equal to one is there; so is a number that is less than one. */
	if (!v.never_missing && (op == PREDICATE_NOT_EQUAL || value_kind(&v) == KIND_BOOLEAN ||
	                         (value_kind(&v) == KIND_LABEL && op != PREDICATE_EQUAL)))
		is_true = code_and(p, is_true, code_not(p, value_is_missing(p, &v)));
	*out = truth_known_unless(p, is_true, &v);
	return true;
}

/* ---- Sets ---- */

enum { MASK_BITS = 32 };

/* A label's number in a set: bits of a word, or of a table of words. */
static Expr *
label_in_set(Pmml *p, const Val *v, const Words *words)
{
	int n = 0;
	LBuilder *b = code(p);
	Expr *inside, *bit, *word;
	double *table;

	for (int i = 0; i < words->n; i++) {
		int k = labels_add(p, v->labels, words->v[i]);

		n = k >= n ? k + 1 : n;
	}
	if (n == 0)
		return loop_bool(b, false);
	table = ARENA_ARRAY(p->a, double, n / MASK_BITS + 1);
	for (int i = 0; i < words->n; i++) {
		int k = labels_find(v->labels, words->v[i]);
		uint32_t bits = (uint32_t)table[k / MASK_BITS] | (uint32_t)1 << k % MASK_BITS;

		table[k / MASK_BITS] = (double)bits;
	}
	inside = code_and(p, code_op(p, KOP_GE, v->e, code_int(p, 0)),
	                  code_op(p, KOP_LT, v->e, code_int(p, n)));
	if (n <= MASK_BITS)
		word = loop_int(b, DT_U32, (int64_t)table[0]);
	else
		word = loop_load(b, kernel_table(p, "set", DT_U32, n / MASK_BITS + 1, table),
		                 loop_op2(b, KOP_DIV, loop_cvt(b, DT_IDX, v->e),
		                          loop_idx(b, MASK_BITS)));
	/* A shift takes the count modulo 32. */
	bit = loop_op2(b, KOP_AND, loop_op2(b, KOP_SHR, word, loop_cvt(b, DT_U32, v->e)),
	               loop_int(b, DT_U32, 1));
	return loop_select(b, inside, loop_op2(b, KOP_NE, bit, loop_int(b, DT_U32, 0)),
	                   loop_bool(b, false));
}

static bool
is_in_set(Pmml *p, const Xml *e, const Val *v, const Words *words, Expr **out)
{
	if (value_kind(v) == KIND_LABEL && v->e->kind != E_CONST) {
		*out = label_in_set(p, v, words);
		return true;
	}
	*out = loop_bool(code(p), false);
	for (int i = 0; i < words->n; i++) {
		Val constant;
		Expr *same;

		if (!value_constant(p, e, words->v[i], v->type, v->labels, &constant) ||
		    !value_compare(p, e, KOP_EQ, *v, constant, &same))
			return false;
		*out = code_link(p, "in", code_or(p, *out, same), i);
	}
	if (value_kind(v) == KIND_BOOLEAN && !v->never_missing)
		*out = code_and(p, *out, code_not(p, value_is_missing(p, v)));
	return true;
}

static bool
read_set(Pmml *p, const Xml *e, Truth *out)
{
	static const char *const operators[] = {"isIn", "isNotIn", NULL};
	const char *field = pmml_need(p, e, "field");
	const Xml *array = pmml_need_child(p, e, "Array");
	Words words;
	Expr *in;
	Val v;
	int op;

	if (!field || !array || !pmml_need(p, e, "booleanOperator") ||
	    !pmml_word(p, e, "booleanOperator", operators, 0, &op) ||
	    !field_value(p, e, field, &v) || !pmml_words(p, array, &words) ||
	    !is_in_set(p, e, &v, &words, &in))
		return false;
	if (op == 1) {
		in = code_not(p, in);
		if (!v.never_missing)
			in = code_and(p, in, code_not(p, value_is_missing(p, &v)));
	}
	*out = truth_known_unless(p, in, &v);
	return true;
}

/* ---- Compound predicates ---- */

typedef enum { BOOL_OR, BOOL_AND, BOOL_XOR, BOOL_SURROGATE } BoolOp;

Truth
truth_and(Pmml *p, Truth x, Truth y)
{
	Truth t = {code_and(p, x.is_true, y.is_true), NULL};

	if (x.is_unknown || y.is_unknown)
		t.is_unknown = code_not(p, code_or(p, code_or(p, t.is_true, truth_is_false(p, &x)),
		                                   truth_is_false(p, &y)));
	return t;
}

Truth
truth_or(Pmml *p, Truth x, Truth y)
{
	Truth t = {code_or(p, x.is_true, y.is_true), NULL};

	if (x.is_unknown || y.is_unknown)
		t.is_unknown = code_not(p, code_or(p, t.is_true,
		                                   code_and(p, truth_is_false(p, &x),
		                                            truth_is_false(p, &y))));
	return t;
}

static Truth
truth_xor(Pmml *p, Truth x, Truth y)
{
	Truth t = {code_op(p, KOP_XOR, x.is_true, y.is_true), NULL};
	Expr *never = loop_bool(code(p), false);

	if (x.is_unknown || y.is_unknown) {
		t.is_unknown = code_or(p, x.is_unknown ? x.is_unknown : never,
		                       y.is_unknown ? y.is_unknown : never);
		t.is_true = code_and(p, t.is_true, code_not(p, t.is_unknown));
	}
	return t;
}

/* The second where the first is unknown. */
static Truth
truth_surrogate(Pmml *p, Truth x, Truth y)
{
	Expr *never = loop_bool(code(p), false);

	if (!x.is_unknown)
		return x;
	return (Truth){code_select(p, x.is_unknown, y.is_true, x.is_true),
	               code_and(p, x.is_unknown, y.is_unknown ? y.is_unknown : never)};
}

static bool
read_compound(Pmml *p, const Xml *e, Truth *out)
{
	static const char *const operators[] = {"or", "and", "xor", "surrogate", NULL};
	int op, n = 0;

	if (!pmml_need(p, e, "booleanOperator") ||
	    !pmml_word(p, e, "booleanOperator", operators, 0, &op))
		return false;
	for (const Xml *c = xml_first(e); c; c = xml_next(c), n++) {
		Truth t;

		if (!predicate_read(p, c, &t))
			return false;
		t = name_truth(p, t);
		if (n == 0) {
			*out = t;
			continue;
		}
		switch ((BoolOp)op) {
		case BOOL_OR: *out = truth_or(p, *out, t); break;
		case BOOL_AND: *out = truth_and(p, *out, t); break;
		case BOOL_XOR: *out = truth_xor(p, *out, t); break;
		case BOOL_SURROGATE: *out = truth_surrogate(p, *out, t); break;
		}
		*out = name_truth(p, *out);
	}
	return n > 0 || pmml_error(p, e, "there is no predicate in it");
}

/* ---- All of them ---- */

typedef struct {
	const char *name;
	bool (*read)(Pmml *p, const Xml *e, Truth *out);
} PredicateInfo;

static bool
read_true(Pmml *p, const Xml *e, Truth *out)
{
	(void)e;
	*out = (Truth){loop_bool(code(p), true), NULL};
	return true;
}

static bool
read_false(Pmml *p, const Xml *e, Truth *out)
{
	(void)e;
	*out = (Truth){loop_bool(code(p), false), NULL};
	return true;
}

static const PredicateInfo predicates[] = {
	{"SimplePredicate", read_simple}, {"SimpleSetPredicate", read_set},
	{"CompoundPredicate", read_compound}, {"True", read_true}, {"False", read_false},
};
enum { PREDICATES = sizeof predicates / sizeof *predicates };

static const PredicateInfo *
find_predicate(const Xml *e)
{
	for (int i = 0; i < PREDICATES; i++)
		if (xml_is(e, predicates[i].name))
			return &predicates[i];
	return NULL;
}

bool
predicate_is(const Xml *e)
{
	return find_predicate(e) != NULL;
}

const Xml *
predicate_child(const Xml *e)
{
	const Xml *c = xml_first(e);

	while (c && !predicate_is(c))
		c = xml_next(c);
	return c;
}

bool
predicate_read(Pmml *p, const Xml *e, Truth *out)
{
	const PredicateInfo *info = find_predicate(e);
	bool ok;

	if (!info)
		return pmml_error(p, e, "it is no predicate");
	if (!pmml_enter(p, e))
		return false;
	ok = info->read(p, e, out);
	pmml_leave(p);
	return ok;
}
