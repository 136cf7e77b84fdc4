#include <math.h>
#include <string.h>

#include "base/date.h"
#include "base/hash.h"
#include "frontend/pmml/pmml.h"
#include "ir/num.h"

const PTypeInfo ptype_info[TYPE_COUNT] = {
#define TYPE(id, name, kind) [TYPE_##id] = {name, KIND_##kind},
#include "frontend/pmml/types.def"
};

/* What a label without a number is: behind all that any set has, and no number that a
 * table has an entry for. */
enum { OTHER_LABEL = INT32_MAX };

/* ---- Labels ---- */

Labels *
labels_new(Pmml *p)
{
	return ARENA_NEW(p->a, Labels);
}

static int *
label_slot(const Labels *l, const char *text)
{
	uint32_t mask = (uint32_t)l->nslots - 1, i = (uint32_t)hash_text(text) & mask;

	while (l->slot[i] && strcmp(l->v.v[l->slot[i] - 1], text) != 0)
		i = (i + 1) & mask;
	return &l->slot[i];
}

int
labels_find(const Labels *l, const char *text)
{
	return l->nslots ? *label_slot(l, text) - 1 : -1;
}

int
labels_add(Pmml *p, Labels *l, const char *text)
{
	int i = labels_find(l, text);

	if (i >= 0)
		return i;
	VEC_PUSH(p->a, &l->v, text);
	if (2 * l->v.n > l->nslots) {
		l->nslots = l->nslots ? 2 * l->nslots : 16;
		l->slot = ARENA_ARRAY(p->a, int, l->nslots);
		for (int k = 0; k < l->v.n; k++)
			*label_slot(l, l->v.v[k]) = k + 1;
	} else {
		*label_slot(l, text) = l->v.n;
	}
	return l->v.n - 1;
}

/* ---- Small code ---- */

Expr *
code_number(Pmml *p, double v)
{
	return loop_float(code(p), DT_F64, v);
}

Expr *
code_int(Pmml *p, int64_t v)
{
	return loop_int(code(p), DT_I32, v);
}

Expr *
code_op(Pmml *p, KOp op, Expr *x, Expr *y)
{
	return loop_op2(code(p), op, x, y);
}

Expr *
code_add(Pmml *p, Expr *x, Expr *y)
{
	return code_op(p, KOP_ADD, x, y);
}

Expr *
code_mul(Pmml *p, Expr *x, Expr *y)
{
	return code_op(p, KOP_MUL, x, y);
}

Expr *
code_call(Pmml *p, const char *name, Expr *x)
{
	return loop_call1(code(p), name, x);
}

Expr *
code_and(Pmml *p, Expr *x, Expr *y)
{
	return code_op(p, KOP_AND, x, y);
}

Expr *
code_or(Pmml *p, Expr *x, Expr *y)
{
	return code_op(p, KOP_OR, x, y);
}

/* The comparison that holds where this one does not; of floats a NaN makes all but
 * equality false, so they have no such pair. */
static bool
opposite(const Expr *x, KOp *out)
{
	static const KOp pair[][2] = {
		{KOP_EQ, KOP_NE}, {KOP_LT, KOP_GE}, {KOP_GT, KOP_LE},
	};

	for (int i = 0; i < 3 && x->kind == E_KOP; i++)
		for (int k = 0; k < 2; k++)
			if (x->op == pair[i][k]) {
				*out = pair[i][!k];
				return i == 0 || !dtype_is_float(x->arg[0]->type);
			}
	return false;
}

Expr *
code_not(Pmml *p, Expr *x)
{
	KOp op;

	if (opposite(x, &op))
		return code_op(p, op, x->arg[0], x->arg[1]);
	return loop_op1(code(p), KOP_NOT, x);
}

Expr *
code_select(Pmml *p, Expr *condition, Expr *x, Expr *y)
{
	return loop_select(code(p), condition, x, y);
}

Expr *
code_is_nan(Pmml *p, Expr *x)
{
	if (x->kind == E_CONST)
		return loop_bool(code(p), isnan(x->u.f));
	return code_op(p, KOP_NE, x, x);
}

Expr *
code_let(Pmml *p, const char *name, Expr *x)
{
	if (x->kind == E_CONST || (x->kind == E_VAR && x->u.var->is_const))
		return x;
	return loop_let(code(p), name, x);
}

/* How often a long chain is cut. */
enum { LINK_LENGTH = 32 };

Expr *
code_link(Pmml *p, const char *name, Expr *x, int i)
{
	return i % LINK_LENGTH == LINK_LENGTH - 1 ? code_let(p, name, x) : x;
}

Expr *
code_at(Pmml *p, LBuf *buf, int32_t i)
{
	return loop_load(code(p), buf, loop_idx(code(p), i));
}

void
code_put(Pmml *p, LBuf *buf, int32_t i, Expr *x)
{
	loop_store_cvt(code(p), buf, loop_idx(code(p), i), x);
}

Expr *
code_lookup(Pmml *p, LBuf *table, int32_t n, Expr *index, Expr *otherwise)
{
	LBuilder *b = code(p);
	Expr *inside;

	/* What is proven of a long expression is not remembered. */
	index = code_let(p, "index", index);
	inside = code_and(p, code_op(p, KOP_GE, index, code_int(p, 0)),
	                        code_op(p, KOP_LT, index, code_int(p, n)));

	return loop_select(b, inside, loop_load(b, table, loop_cvt(b, DT_IDX, index)), otherwise);
}

/* ---- Making values ---- */

PKind
value_kind(const Val *v)
{
	return ptype_info[v->type].kind;
}

bool
value_has_number(const Val *v)
{
	return value_kind(v) != KIND_LABEL && value_kind(v) != KIND_BOOLEAN;
}

Val
value_number(Pmml *p, double v)
{
	return (Val){.type = TYPE_DOUBLE,
	             .e = code_number(p, v),
	             .is_set = true,
	             .never_missing = !isnan(v)};
}

Val
value_of(Pmml *p, PType t, Expr *e)
{
	return (Val){.type = t,
	             .home = e->kind == E_CONST ? NULL : kernel_current(p),
	             .e = e,
	             .is_set = true,
	             .never_missing = e->kind == E_CONST && !isnan(e->u.f)};
}

Val
value_bool(Pmml *p, Expr *is_true, Expr *missing)
{
	bool known = is_true->kind == E_CONST && (!missing || missing->kind == E_CONST);

	return (Val){.type = TYPE_BOOLEAN,
	             .home = known ? NULL : kernel_current(p),
	             .e = is_true,
	             .missing = missing,
	             .is_set = true,
	             .never_missing = !missing};
}

Val
value_label(Pmml *p, Labels *l, Expr *e)
{
	return (Val){.type = TYPE_STRING,
	             .home = e->kind == E_CONST ? NULL : kernel_current(p),
	             .e = e,
	             .labels = l,
	             .is_set = true,
	             .never_missing = e->kind == E_CONST && e->u.i >= 0};
}

Val
value_missing(Pmml *p, PType t, Labels *l)
{
	switch (ptype_info[t].kind) {
	case KIND_LABEL: return value_label(p, l ? l : labels_new(p), code_int(p, -1));
	case KIND_BOOLEAN:
		return value_bool(p, loop_bool(code(p), false), loop_bool(code(p), true));
	case KIND_NUMBER:
	case KIND_FLOAT:
	case KIND_INTEGER: break;
	}
	return value_of(p, t, code_number(p, (double)NAN));
}

bool
value_is_constant(const Val *v, double *number)
{
	if (!v->is_set || v->e->kind != E_CONST || !value_has_number(v))
		return false;
	*number = v->e->u.f;
	return true;
}

/* The text of a constant label; NULL: it is none. */
static const char *
constant_label(const Val *v)
{
	if (value_kind(v) != KIND_LABEL || v->e->kind != E_CONST || v->e->u.i < 0 ||
	    v->e->u.i >= v->labels->v.n)
		return NULL;
	return v->labels->v.v[v->e->u.i];
}

/* ---- Looking at values ---- */

Val
value_here(Pmml *p, Val v)
{
	if (!v.is_set || !v.home)
		return v;
	if (v.home == kernel_current(p))
		return v;
	v.e = kernel_import(p, v.home, v.e);
	if (v.missing)
		v.missing = kernel_import(p, v.home, v.missing);
	v.home = kernel_current(p);
	return v;
}

Expr *
value_is_missing(Pmml *p, const Val *v)
{
	Val x = value_here(p, *v);

	if (x.never_missing)
		return loop_bool(code(p), false);
	switch (value_kind(&x)) {
	case KIND_BOOLEAN: return x.missing ? x.missing : loop_bool(code(p), false);
	case KIND_LABEL: return code_op(p, KOP_LT, x.e, code_int(p, 0));
	case KIND_NUMBER:
	case KIND_FLOAT:
	case KIND_INTEGER: break;
	}
	return code_is_nan(p, x.e);
}

Val
value_let(Pmml *p, const char *name, Val v)
{
	v = value_here(p, v);
	if (!v.is_set || v.e->kind == E_CONST)
		return v;
	v.e = code_let(p, name, v.e);
	v.home = kernel_current(p);
	if (v.missing && v.missing->kind != E_CONST)
		v.missing = code_let(p, arena_printf(p->a, "%s_missing", name), v.missing);
	return v;
}

Val
value_link(Pmml *p, const char *name, Val v, int i)
{
	return i % LINK_LENGTH == LINK_LENGTH - 1 ? value_let(p, name, v) : v;
}

bool
value_to_number(Pmml *p, const Xml *e, Val v, Expr **out)
{
	Expr *x;

	v = value_here(p, v);
	switch (value_kind(&v)) {
	case KIND_LABEL:
		return pmml_error(p, e, "a string stands where a number is needed");
	case KIND_BOOLEAN:
		x = code_select(p, v.e, code_number(p, 1), code_number(p, 0));
		*out = v.missing ? code_select(p, v.missing, code_number(p, (double)NAN), x) : x;
		return true;
	case KIND_NUMBER:
	case KIND_FLOAT:
	case KIND_INTEGER: break;
	}
	*out = v.e;
	return true;
}

/* ---- Conversions ---- */

Expr *
value_relabel(Pmml *p, const Val *v, Labels *to, int other)
{
	Val x = value_here(p, *v);
	const char *text = constant_label(&x);
	int n = x.labels ? x.labels->v.n : 0;
	double *code_of = ARENA_ARRAY(p->a, double, n);
	bool same = to == x.labels, table;
	Expr *otherwise;

	if (same)
		return x.e;
	if (text)
		return code_int(p, labels_add(p, to, text));
	if (x.e->kind == E_CONST)
		return x.e;
	same = true;
	for (int i = 0; i < n; i++) {
		int k = labels_find(to, x.labels->v.v[i]);

		code_of[i] = k >= 0 ? k : other;
		same = same && k == i;
	}
	table = !same;
	otherwise = code_select(p, code_op(p, KOP_LT, x.e, code_int(p, 0)), code_int(p, -1),
	                        code_int(p, other));
	if (n == 0)
		return otherwise;
	if (table)
		return code_lookup(p, kernel_table(p, "label", DT_I32, n, code_of), n, x.e,
		                   otherwise);
	return code_select(p, code_op(p, KOP_LT, x.e, code_int(p, n)), x.e, code_int(p, other));
}

/* A table with a number for each label; NaN elsewhere. */
static bool
number_of_label(Pmml *p, const Val *v, PType t, Val *out)
{
	int n = v->labels->v.n;
	double *number = ARENA_ARRAY(p->a, double, n);
	const char *text = constant_label(v);
	Expr *e, *nan = code_number(p, (double)NAN);

	for (int i = 0; i < n; i++)
		if (!pmml_parse_number(v->labels->v.v[i], &number[i]))
			number[i] = (double)NAN;
	if (text || n == 0 || v->e->kind == E_CONST)
		e = text ? code_number(p, number[v->e->u.i]) : nan;
	else
		e = code_lookup(p, kernel_table(p, "number", DT_F64, n, number), n, v->e, nan);
	*out = value_of(p, t, e);
	return true;
}

static bool
parse_bool(const char *text, bool *out)
{
	static const char *const yes[] = {"true", "True", "TRUE", "1", "1.0"};
	static const char *const no[] = {"false", "False", "FALSE", "0", "0.0"};

	for (int i = 0; i < 5; i++) {
		*out = strcmp(text, yes[i]) == 0;
		if (*out || strcmp(text, no[i]) == 0)
			return true;
	}
	return false;
}

/* Labels that are words for true; all that are not words for either are missing. */
static Val
bool_of_label(Pmml *p, const Val *v)
{
	LBuilder *b = code(p);
	Expr *is_true = loop_bool(b, false), *is_false = loop_bool(b, false);

	for (int i = 0; i < v->labels->v.n; i++) {
		Expr *same = code_op(p, KOP_EQ, v->e, code_int(p, i));
		bool value;

		if (!parse_bool(v->labels->v.v[i], &value))
			continue;
		if (value)
			is_true = code_link(p, "is_true", code_or(p, is_true, same), i);
		else
			is_false = code_link(p, "is_false", code_or(p, is_false, same), i);
	}
	return value_bool(p, is_true, code_not(p, code_or(p, is_true, is_false)));
}

static Val
label_of_bool(Pmml *p, const Val *v)
{
	Labels *l = labels_new(p);
	Expr *e;

	labels_add(p, l, "false");
	labels_add(p, l, "true");
	e = code_select(p, v->e, code_int(p, 1), code_int(p, 0));
	return value_label(p, l, v->missing ? code_select(p, v->missing, code_int(p, -1), e) : e);
}

/* A whole number without a point, as a file would have it. */
static const char *
number_text(Pmml *p, double v)
{
	char text[NUM_TEXT];
	size_t n;

	num_double_text(text, v);
	n = strlen(text);
	if (n > 2 && strcmp(text + n - 2, ".0") == 0)
		text[n - 2] = 0;
	return arena_strdup(p->a, text);
}

/* A number that varies stays one: what it is compared with is read as a number then,
 * which is the same question. */
static Val
label_of_number(Pmml *p, const Val *v)
{
	Labels *l = labels_new(p);
	double number;

	if (!value_is_constant(v, &number))
		return *v;
	return isnan(number)
	               ? value_missing(p, TYPE_STRING, l)
	               : value_label(p, l, code_int(p, labels_add(p, l, number_text(p, number))));
}

static double
round_to(PKind kind, double v)
{
	switch (kind) {
	case KIND_FLOAT: return (double)(float)v;
	case KIND_INTEGER: return rint(v);
	case KIND_NUMBER:
	case KIND_BOOLEAN:
	case KIND_LABEL: break;
	}
	return v;
}

static Val
round_number(Pmml *p, const Val *v, PType t)
{
	PKind to = ptype_info[t].kind, from = value_kind(v);
	Val out = *v;
	double number;

	out.type = t;
	if (value_is_constant(v, &number))
		out = value_of(p, t, code_number(p, round_to(to, number)));
	else if (to == KIND_FLOAT && from != KIND_FLOAT)
		out.e = loop_cvt(code(p), DT_F64, loop_cvt(code(p), DT_F32, v->e));
	else if (to == KIND_INTEGER && from != KIND_INTEGER)
		out.e = code_call(p, "rint", v->e);
	return out;
}

bool
value_cast(Pmml *p, const Xml *e, Val v, PType t, Val *out)
{
	PKind to = ptype_info[t].kind;
	Expr *number;

	v = value_here(p, v);
	*out = v;
	if (!v.is_set || v.type == t)
		return true;
	if (to == KIND_LABEL) {
		if (value_kind(&v) == KIND_BOOLEAN)
			*out = label_of_bool(p, &v);
		else if (value_kind(&v) != KIND_LABEL)
			*out = label_of_number(p, &v);
		return true;
	}
	if (to == KIND_BOOLEAN) {
		if (value_kind(&v) == KIND_LABEL)
			*out = bool_of_label(p, &v);
		else
			*out = value_bool(p, code_op(p, KOP_NE, v.e, code_number(p, 0)),
			                  value_is_missing(p, &v));
		if (value_kind(&v) != KIND_LABEL)
			out->e = code_and(p, out->e, code_not(p, out->missing));
		return true;
	}
	if (value_kind(&v) == KIND_LABEL) {
		if (!number_of_label(p, &v, TYPE_DOUBLE, &v))
			return false;
	} else if (value_kind(&v) == KIND_BOOLEAN) {
		if (!value_to_number(p, e, v, &number))
			return false;
		v = value_of(p, TYPE_INTEGER, number);
	}
	*out = round_number(p, &v, t);
	return true;
}

/* ---- Two values ---- */

/* Makes two values of one kind of them, as constants are written without a type. */
static bool
unify(Pmml *p, const Xml *e, Val *x, Val *y)
{
	PKind kx = value_kind(x), ky = value_kind(y);

	if (kx == KIND_BOOLEAN && ky == KIND_BOOLEAN)
		return true;
	if (kx == KIND_LABEL && ky == KIND_LABEL)
		return true;
	if (kx == KIND_BOOLEAN && ky == KIND_LABEL)
		return value_cast(p, e, *y, TYPE_BOOLEAN, y);
	if (kx == KIND_LABEL && ky == KIND_BOOLEAN)
		return value_cast(p, e, *x, TYPE_BOOLEAN, x);
	if (kx == KIND_LABEL || ky == KIND_LABEL) {
		Val *label = kx == KIND_LABEL ? x : y, *number = kx == KIND_LABEL ? y : x;

		if (number->e->kind == E_CONST && !constant_label(label))
			return value_cast(p, e, *number, TYPE_STRING, number);
		return value_cast(p, e, *label, number->type, label);
	}
	if (kx == KIND_BOOLEAN)
		return value_cast(p, e, *x, TYPE_INTEGER, x);
	return ky != KIND_BOOLEAN || value_cast(p, e, *y, TYPE_INTEGER, y);
}

static Labels *
union_of(Pmml *p, const Labels *x, const Labels *y)
{
	Labels *l = labels_new(p);

	for (int i = 0; i < x->v.n; i++)
		labels_add(p, l, x->v.v[i]);
	for (int i = 0; i < y->v.n; i++)
		labels_add(p, l, y->v.v[i]);
	return l;
}

static Val
select_labels(Pmml *p, Expr *condition, Val x, Val y)
{
	Labels *l = x.labels;

	if (x.labels != y.labels) {
		l = union_of(p, x.labels, y.labels);
		x.e = value_relabel(p, &x, l, OTHER_LABEL);
		y.e = value_relabel(p, &y, l, OTHER_LABEL);
	}
	return value_label(p, l, code_select(p, condition, x.e, y.e));
}

bool
value_select(Pmml *p, const Xml *e, Expr *condition, Val x, Val y, Val *out)
{
	Expr *never = loop_bool(code(p), false);

	x = value_here(p, x);
	y = value_here(p, y);
	if (!x.is_set || !y.is_set)
		return pmml_error(p, e, "there is no value to choose");
	if (!unify(p, e, &x, &y))
		return false;
	switch (value_kind(&x)) {
	case KIND_LABEL: *out = select_labels(p, condition, x, y); break;
	case KIND_BOOLEAN:
		*out = value_bool(p, code_select(p, condition, x.e, y.e),
		                  x.missing || y.missing
		                          ? code_select(p, condition, x.missing ? x.missing : never,
		                                        y.missing ? y.missing : never)
		                          : NULL);
		break;
	case KIND_NUMBER:
	case KIND_FLOAT:
	case KIND_INTEGER:
		*out = value_of(p, x.type == y.type ? x.type : TYPE_DOUBLE,
		                code_select(p, condition, x.e, y.e));
		break;
	}
	out->never_missing = out->never_missing || (x.never_missing && y.never_missing);
	return true;
}

static bool
compare_labels(Pmml *p, const Xml *e, KOp op, const Val *x, const Val *y, Expr **out)
{
	Labels *to = constant_label(x) && !constant_label(y) ? y->labels : x->labels;
	bool equality = op == KOP_EQ || op == KOP_NE;

	if (!equality && !to->ordered)
		return pmml_unsupported(p, e, "comparing strings that are not ordinal");
	*out = code_op(p, op, value_relabel(p, x, to, -2), value_relabel(p, y, to, -3));
	return true;
}

bool
value_compare(Pmml *p, const Xml *e, KOp op, Val x, Val y, Expr **out)
{
	Expr *a, *b;

	x = value_here(p, x);
	y = value_here(p, y);
	if (!unify(p, e, &x, &y))
		return false;
	if (value_kind(&x) == KIND_LABEL)
		return compare_labels(p, e, op, &x, &y, out);
	if (value_kind(&x) == KIND_BOOLEAN && (op == KOP_EQ || op == KOP_NE)) {
		*out = code_op(p, op, x.e, y.e);
		return true;
	}
	if (!value_to_number(p, e, x, &a) || !value_to_number(p, e, y, &b))
		return false;
	*out = code_op(p, op, a, b);
	return true;
}

/* ---- Constants ---- */

static bool
parse_as(const char *text, PType t, double *out)
{
	return (t == TYPE_DATE && date_parse(text, out)) ||
	       (t == TYPE_DATE_TIME && date_parse_both(text, out)) ||
	       (t == TYPE_TIME && date_parse_time(text, out)) || pmml_parse_number(text, out);
}

bool
value_constant(Pmml *p, const Xml *e, const char *text, PType t, Labels *l, Val *out)
{
	double number;
	bool truth;

	switch (ptype_info[t].kind) {
	case KIND_LABEL:
		*out = value_label(p, l, code_int(p, labels_add(p, l, text)));
		out->type = t;
		return true;
	case KIND_BOOLEAN:
		if (!parse_bool(text, &truth))
			return pmml_error(p, e, "'%.60s' is no boolean", text);
		*out = value_bool(p, loop_bool(code(p), truth), NULL);
		return true;
	case KIND_NUMBER:
	case KIND_FLOAT:
	case KIND_INTEGER: break;
	}
	if (!parse_as(text, t, &number))
		return pmml_error(p, e, "'%.60s' is no %s", text, ptype_info[t].name);
	if (ptype_info[t].kind == KIND_FLOAT)
		number = (double)(float)number;
	*out = value_of(p, t, code_number(p, number));
	return true;
}
