/*
 * Names and what they stand for.
 *
 * Scopes lie in each other: the data dictionary with the global derived fields; the
 * schema, derived fields and segment results of each model; parameters of a function.
 * A name is computed when it is first asked for, and once.
 *
 * Global derived fields are computed with the fields as the top model's schema treats
 * them.  The treatment of a field, in this order: values that the dictionary says are
 * missing, invalid values, outliers, replacement of missing values.
 */
#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "frontend/pmml/pmml.h"

typedef enum { ENTRY_VALUE, ENTRY_DATA, ENTRY_MINING, ENTRY_DERIVED } EntryKind;

typedef struct {
	const char *name;
	EntryKind kind;
	const Xml *e;
	Scope *scope;   /* in which the names in e are looked up; NULL: of the top model */
	bool is_top;    /* ENTRY_MINING: of the top model */
	Val v;
	bool done, busy;
	PType type;     /* ENTRY_DATA */
	Labels *labels; /* ENTRY_DATA: of strings, or of the values that are listed */
	int nvalid;     /* labels that are valid, the first ones; -1: all values are */
} Entry;

struct Scope {
	Scope *outer;
	VEC(Entry *) v;
	int *slot; /* by hash: number + 1 */
	int nslots;
};

/* ---- Scopes ---- */

static int *
entry_slot(const Scope *s, const char *name)
{
	uint32_t mask = (uint32_t)s->nslots - 1, h = (uint32_t)hash_text(name) & mask;

	while (s->slot[h] && strcmp(s->v.v[s->slot[h] - 1]->name, name) != 0)
		h = (h + 1) & mask;
	return &s->slot[h];
}

/* A new entry; one of the same name in the same scope is no longer found. */
static Entry *
add_entry(Pmml *p, Scope *s, const char *name, EntryKind kind, const Xml *e)
{
	Entry *entry = ARENA_NEW(p->a, Entry);

	*entry = (Entry){.name = name, .kind = kind, .e = e, .scope = s, .nvalid = -1};
	VEC_PUSH(p->a, &s->v, entry);
	if (2 * s->v.n > s->nslots) {
		s->nslots = s->nslots ? 2 * s->nslots : 16;
		s->slot = ARENA_ARRAY(p->a, int, s->nslots);
		for (int i = 0; i < s->v.n; i++)
			*entry_slot(s, s->v.v[i]->name) = i + 1;
	}
	*entry_slot(s, name) = s->v.n;
	return entry;
}

static Entry *
find_in(const Scope *s, const char *name)
{
	int i = s && s->nslots ? *entry_slot(s, name) : 0;

	return i ? s->v.v[i - 1] : NULL;
}

static Entry *
find_entry(const Scope *s, const char *name)
{
	for (; s; s = s->outer) {
		Entry *entry = find_in(s, name);

		if (entry)
			return entry;
	}
	return NULL;
}

Scope *
scope_open(Pmml *p)
{
	Scope *outer = p->scope;

	p->scope = ARENA_NEW(p->a, Scope);
	p->scope->outer = outer;
	return outer;
}

void
scope_close(Pmml *p, Scope *outer)
{
	p->scope = outer;
}

void
scope_define(Pmml *p, const char *name, Val v)
{
	Entry *entry = add_entry(p, p->scope, name, ENTRY_VALUE, NULL);

	entry->v = v;
	entry->done = true;
}

bool
scope_define_derived(Pmml *p, const Xml *parent)
{
	for (const Xml *e = xml_child(parent, "DerivedField"); e; e = xml_same(e)) {
		const char *name = pmml_need(p, e, "name");

		if (!name)
			return false;
		add_entry(p, p->scope, name, ENTRY_DERIVED, e);
	}
	return true;
}

bool
scope_read_schema(Pmml *p, const Xml *model, bool is_top)
{
	const Xml *schema = pmml_need_child(p, model, "MiningSchema");

	for (const Xml *e = xml_child(schema, "MiningField"); e; e = xml_same(e)) {
		const char *name = pmml_need(p, e, "name"), *usage = xml_attr(e, "usageType");
		Entry *entry;

		if (!name)
			return false;
		if (usage && (strcmp(usage, "predicted") == 0 || strcmp(usage, "target") == 0))
			continue;
		entry = add_entry(p, p->scope, name, ENTRY_MINING, e);
		entry->is_top = is_top;
	}
	return schema != NULL;
}

/* ---- The data dictionary ---- */

static bool
read_values(Pmml *p, const Xml *field, Entry *entry)
{
	static const char *const properties[] = {"valid", "invalid", "missing", NULL};
	int property;

	entry->labels = labels_new(p);
	for (int want = 0; want < 3; want++) {
		for (const Xml *v = xml_child(field, "Value"); v; v = xml_same(v)) {
			const char *text = pmml_need(p, v, "value");

			if (!text || !pmml_word(p, v, "property", properties, 0, &property))
				return false;
			if (property == want)
				labels_add(p, entry->labels, text);
		}
		if (want == 0 && entry->labels->v.n > 0)
			entry->nvalid = entry->labels->v.n;
	}
	return true;
}

static bool
read_field(Pmml *p, const Xml *field)
{
	const char *name = pmml_need(p, field, "name"), *optype = xml_attr(field, "optype");
	Entry *entry;

	if (!name)
		return false;
	if (find_in(p->scope, name))
		return pmml_error(p, field, "there is another field '%.60s'", name);
	entry = add_entry(p, p->scope, name, ENTRY_DATA, field);
	if (!ptype_attr(p, field, "dataType", TYPE_STRING, &entry->type) ||
	    !read_values(p, field, entry))
		return false;
	/* Files of version 3.0 may leave the type of numbers out. */
	if (!xml_attr(field, "dataType") && optype && strcmp(optype, "continuous") == 0)
		entry->type = TYPE_DOUBLE;
	entry->labels->ordered = optype && strcmp(optype, "ordinal") == 0;
	return true;
}

bool
pmml_read_dictionary(Pmml *p, const Xml *root)
{
	const Xml *dictionary = pmml_need_child(p, root, "DataDictionary");
	const Xml *global = xml_child(root, "TransformationDictionary");

	scope_open(p);
	for (const Xml *e = xml_child(dictionary, "DataField"); e; e = xml_same(e))
		if (!read_field(p, e))
			return false;
	for (const Xml *e = xml_child(global, "DefineFunction"); e; e = xml_same(e))
		VEC_PUSH(p->a, &p->functions, e);
	if (!dictionary || !scope_define_derived(p, global))
		return false;
	for (int i = 0; i < p->scope->v.n; i++)
		if (p->scope->v.v[i]->kind == ENTRY_DERIVED)
			p->scope->v.v[i]->scope = NULL;
	return true;
}

static Entry *
find_data(const Pmml *p, const char *name)
{
	const Scope *s = p->scope;
	Entry *entry;

	while (s->outer)
		s = s->outer;
	entry = find_in(s, name);
	return entry && entry->kind == ENTRY_DATA ? entry : NULL;
}

const Xml *
field_data(const Pmml *p, const char *name)
{
	const Entry *entry = find_data(p, name);

	return entry ? entry->e : NULL;
}


/* ---- Inputs of the graph ---- */

/* Where the field stands among the inputs. */
static Vec *
input_of(Pmml *p, const Entry *entry, Field *f)
{
	Vec **v = &p->numbers;
	const char *name = "numbers";
	DType t = DT_F64;

	*f = (Field){.name = entry->name, .missing = true};
	switch (ptype_info[entry->type].kind) {
	case KIND_LABEL:
	case KIND_BOOLEAN:
		v = &p->categories;
		name = "categories";
		t = DT_I32;
		f->kind = FIELD_category;
		f->other = ptype_info[entry->type].kind == KIND_LABEL;
		break;
	case KIND_FLOAT:
		v = &p->floats;
		name = "floats";
		t = DT_F32;
		break;
	case KIND_NUMBER:
	case KIND_INTEGER: break;
	}
	if (entry->type == TYPE_DATE)
		f->kind = FIELD_date;
	if (entry->type == TYPE_TIME)
		f->kind = FIELD_time;
	if (entry->type == TYPE_DATE_TIME)
		f->kind = FIELD_date_time;
	if (!*v) {
		*v = ARENA_NEW(p->a, Vec);
		**v = (Vec){.type = t, .name = name};
	}
	f->element = (*v)->n++;
	return *v;
}

/* The field as the caller gives it. */
static void
read_input(Pmml *p, Entry *entry)
{
	Vec *vec;
	Field f;
	Expr *e;

	vec = input_of(p, entry, &f);
	VEC_PUSH(p->a, &p->input_fields, ((InputField){f, vec, entry->labels}));
	e = code_at(p, kernel_vec(p, vec), f.element);
	if (f.kind != FIELD_category) {
		entry->v = value_of(p, entry->type, loop_cvt(code(p), DT_F64, e));
	} else if (ptype_info[entry->type].kind == KIND_BOOLEAN) {
		Expr *is_true = code_op(p, KOP_EQ, e, code_int(p, 1));
		Expr *known = code_or(p, is_true, code_op(p, KOP_EQ, e, code_int(p, 0)));

		entry->v = value_bool(p, is_true, code_not(p, known));
	} else {
		entry->v = value_label(p, entry->labels, e);
	}
}

/* ---- Validity ---- */

/* Whether v is one of the values of this property; NULL: there are none. */
static bool
is_listed(Pmml *p, const Entry *entry, const char *property, Val v, Expr **out)
{
	int n = 0;

	*out = NULL;
	for (const Xml *e = xml_child(entry->e, "Value"); e; e = xml_same(e), n++) {
		const char *text = xml_attr(e, "value"), *is = xml_attr(e, "property");
		Val constant;
		Expr *same;
		double number;

		if (strcmp(is ? is : "valid", property) != 0)
			continue;
		if (value_has_number(&v) && !pmml_parse_number(text, &number))
			continue;
		if (!value_constant(p, e, text, entry->type, entry->labels, &constant) ||
		    !value_compare(p, e, KOP_EQ, v, constant, &same))
			return false;
		*out = code_link(p, "listed", *out ? code_or(p, *out, same) : same, n);
	}
	return true;
}

/* Labels that are valid are the first ones. */
static bool
is_valid_label(Pmml *p, const Entry *entry, Val v, Expr **out)
{
	*out = NULL;
	v = value_here(p, v);
	if (entry->nvalid < 0) {
		if (!is_listed(p, entry, "invalid", v, out))
			return false;
		*out = *out ? code_not(p, *out) : NULL;
	} else {
		*out = code_op(p, KOP_LT, v.e, code_int(p, entry->nvalid));
	}
	return true;
}

bool
interval_contains(Pmml *p, const Xml *interval, Expr *x, Expr **out)
{
	static const char *const words[] = {"openClosed", "openOpen", "closedOpen", "closedClosed",
	                                    NULL};
	static const struct {
		KOp left, right;
	} closure[] = {{KOP_GT, KOP_LE}, {KOP_GT, KOP_LT}, {KOP_GE, KOP_LT}, {KOP_GE, KOP_LE}};
	double left, right;
	Expr *e = NULL, *r;
	int c;

	if (!pmml_need(p, interval, "closure") ||
	    !pmml_word(p, interval, "closure", words, 0, &c) ||
	    !pmml_number_or(p, interval, "leftMargin", -HUGE_VAL, &left) ||
	    !pmml_number_or(p, interval, "rightMargin", HUGE_VAL, &right))
		return false;
	if (xml_attr(interval, "leftMargin"))
		e = code_op(p, closure[c].left, x, code_number(p, left));
	if (xml_attr(interval, "rightMargin")) {
		r = code_op(p, closure[c].right, x, code_number(p, right));
		e = e ? code_and(p, e, r) : r;
	}
	*out = e ? e : code_op(p, KOP_EQ, x, x);
	return true;
}

static bool
is_valid_number(Pmml *p, const Entry *entry, Val v, Expr **out)
{
	Expr *bad;
	int n = 0;

	if (!is_listed(p, entry, "valid", v, out) || !is_listed(p, entry, "invalid", v, &bad))
		return false;
	for (const Xml *e = xml_child(entry->e, "Interval"); e; e = xml_same(e), n++) {
		Expr *inside;

		if (!interval_contains(p, e, v.e, &inside))
			return false;
		*out = code_link(p, "inside", *out ? code_or(p, *out, inside) : inside, n);
	}
	if (bad)
		*out = *out ? code_and(p, *out, code_not(p, bad)) : code_not(p, bad);
	return true;
}

/* NULL: every value is valid. */
static bool
is_valid(Pmml *p, const Entry *entry, Val v, Expr **out)
{
	*out = NULL;
	switch (value_kind(&v)) {
	case KIND_LABEL: return is_valid_label(p, entry, v, out);
	case KIND_BOOLEAN: return true;
	case KIND_NUMBER:
	case KIND_FLOAT:
	case KIND_INTEGER: break;
	}
	return is_valid_number(p, entry, v, out);
}

/* ---- The mining schema ---- */

/* Remembers a condition under which there is no result. */
static void
add_invalid(Pmml *p, Expr *condition)
{
	Val v = value_let(p, "invalid", value_bool(p, condition, NULL));

	VEC_PUSH(p->a, &p->invalid, v);
}

static bool
replacement(Pmml *p, const Xml *e, const char *attr, Val like, Val *out)
{
	const char *text = pmml_need(p, e, attr);

	return text && value_constant(p, e, text, like.type, like.labels, out);
}

static bool
treat_invalid(Pmml *p, const Xml *e, const Entry *data, bool is_top, Val *v)
{
	static const char *const words[] = {"returnInvalid", "asIs", "asMissing", "asValue", NULL};
	int how;
	Expr *valid;
	Val other;

	if (!pmml_word(p, e, "invalidValueTreatment", words, is_top ? 0 : 1, &how))
		return false;
	if (how == 1 || !data)
		return true;
	if (!is_valid(p, data, *v, &valid))
		return false;
	if (!valid)
		return true;
	if (how == 0) {
		/* The number of a missing label is below all that are valid. */
		if (value_kind(v) != KIND_LABEL || data->nvalid < 0)
			valid = code_or(p, valid, value_is_missing(p, v));
		add_invalid(p, code_not(p, valid));
		return true;
	}
	other = value_missing(p, v->type, v->labels);
	if (how == 3) {
		if (!replacement(p, e, "invalidValueReplacement", *v, &other))
			return false;
		valid = code_or(p, valid, value_is_missing(p, v));
	}
	return value_select(p, e, valid, *v, other, v);
}

static bool
treat_outliers(Pmml *p, const Xml *e, Val *v)
{
	static const char *const words[] = {"asIs", "asMissingValues", "asExtremeValues", NULL};
	double low, high;
	int how;
	Expr *x;

	if (!pmml_word(p, e, "outliers", words, 0, &how))
		return false;
	if (how == 0 || !value_has_number(v))
		return true;
	if (!pmml_number(p, e, "lowValue", &low) || !pmml_number(p, e, "highValue", &high))
		return false;
	if (how == 1) {
		Expr *inside = code_and(p, code_op(p, KOP_GE, v->e, code_number(p, low)),
		                        code_op(p, KOP_LE, v->e, code_number(p, high)));

		return value_select(p, e, inside, *v, value_missing(p, v->type, NULL), v);
	}
	/* Of a NaN both comparisons are false. */
	x = code_let(p, "value", v->e);
	x = code_select(p, code_op(p, KOP_LT, x, code_number(p, low)), code_number(p, low),
	                code_select(p, code_op(p, KOP_GT, x, code_number(p, high)),
	                            code_number(p, high), x));
	*v = value_of(p, v->type, x);
	return true;
}

static bool
treat_missing(Pmml *p, const Xml *e, Val *v)
{
	const char *treatment = xml_attr(e, "missingValueTreatment");
	Val other;

	if (treatment && strcmp(treatment, "returnInvalid") == 0) {
		add_invalid(p, value_is_missing(p, v));
		return true;
	}
	if (!xml_attr(e, "missingValueReplacement") || v->never_missing)
		return true;
	return replacement(p, e, "missingValueReplacement", *v, &other) &&
	       value_select(p, e, value_is_missing(p, v), other, *v, v);
}

/* Values of the dictionary that stand for a missing one. */
static bool
drop_missing(Pmml *p, const Entry *data, Val *v)
{
	Expr *listed;

	return is_listed(p, data, "missing", *v, &listed) &&
	       (!listed ||
	        value_select(p, data->e, listed, value_missing(p, v->type, v->labels), *v, v));
}

static bool compute_entry(Pmml *p, const Xml *e, Entry *entry);

static bool
compute_mining(Pmml *p, Entry *entry)
{
	Entry *source = find_entry(entry->scope->outer, entry->name);
	const Entry *data = source && source->kind == ENTRY_DATA ? source : NULL;
	Val v;

	if (!source)
		return pmml_error(p, entry->e, "there is no field '%.60s'", entry->name);
	if (!compute_entry(p, entry->e, source))
		return false;
	v = value_here(p, source->v);
	if (data)
		v = value_let(p, entry->name, v);
	if ((data && !drop_missing(p, data, &v)) ||
	    !treat_invalid(p, entry->e, data, entry->is_top, &v) ||
	    !treat_outliers(p, entry->e, &v) || !treat_missing(p, entry->e, &v))
		return false;
	entry->v = v.is_set ? value_let(p, entry->name, v) : v;
	return true;
}

/* ---- Looking up ---- */

static bool
compute_derived(Pmml *p, Entry *entry)
{
	Scope *before = p->scope;
	PType t;
	Val v;
	const Xml *expression = expression_child(entry->e);
	bool ok;

	if (!expression)
		return pmml_error(p, entry->e, "there is no expression in it");
	p->scope = entry->scope ? entry->scope : p->top ? p->top : p->scope;
	ok = expression_read(p, expression, &v) &&
	     ptype_attr(p, entry->e, "dataType", v.type, &t) && value_cast(p, entry->e, v, t, &v);
	p->scope = before;
	if (!ok)
		return false;
	if (v.labels && xml_attr(entry->e, "optype") &&
	    strcmp(xml_attr(entry->e, "optype"), "ordinal") == 0)
		v.labels->ordered = true;
	entry->v = value_let(p, entry->name, v);
	return true;
}

static bool
compute_entry(Pmml *p, const Xml *e, Entry *entry)
{
	bool ok = true;

	if (entry->done)
		return true;
	if (entry->busy)
		return pmml_error(p, e, "the field '%.60s' depends on itself", entry->name);
	if (!pmml_enter(p, e))
		return false;
	entry->busy = true;
	switch (entry->kind) {
	case ENTRY_VALUE: break;
	case ENTRY_DATA: read_input(p, entry); break;
	case ENTRY_MINING: ok = compute_mining(p, entry); break;
	case ENTRY_DERIVED: ok = compute_derived(p, entry); break;
	}
	entry->busy = false;
	entry->done = ok;
	pmml_leave(p);
	return ok;
}

bool
field_value(Pmml *p, const Xml *e, const char *name, Val *out)
{
	Entry *entry = find_entry(p->scope, name);

	if (!entry)
		return pmml_error(p, e, "there is no field '%.60s'", name);
	if (!compute_entry(p, e, entry))
		return false;
	if (!entry->v.is_set)
		return pmml_error(p, e, "the field '%.60s' has no value here", name);
	*out = value_here(p, entry->v);
	return true;
}


bool
field_given(Pmml *p, const Xml *e, const char *name, Val *out)
{
	Entry *entry = find_data(p, name);

	if (!entry)
		return pmml_error(p, e, "there is no field '%.60s'", name);
	if (!compute_entry(p, e, entry))
		return false;
	*out = value_here(p, entry->v);
	return true;
}

bool
field_exists_here(Pmml *p, const char *name)
{
	return find_in(p->scope, name) != NULL;
}

Labels *
field_data_labels(const Pmml *p, const char *name)
{
	const Entry *entry = find_data(p, name);

	return entry ? entry->labels : NULL;
}

/* All fields that the top model's schema calls active are inputs, in its order. */
bool
field_declare_inputs(Pmml *p)
{
	const Scope *s = p->scope;

	for (int i = 0; i < s->v.n; i++) {
		const Entry *entry = s->v.v[i];
		Entry *data = entry->kind == ENTRY_MINING ? find_data(p, entry->name) : NULL;
		const char *usage = data ? xml_attr(entry->e, "usageType") : NULL;

		if (data && (!usage || strcmp(usage, "active") == 0) &&
		    !compute_entry(p, entry->e, data))
			return false;
	}
	return true;
}

static bool
is_field_user(const Xml *e)
{
	return xml_is(e, "SimplePredicate") || xml_is(e, "SimpleSetPredicate") ||
	       xml_is(e, "FieldRef") || xml_is(e, "NormContinuous") || xml_is(e, "NormDiscrete") ||
	       xml_is(e, "Discretize") || xml_is(e, "FieldColumnPair");
}

bool
field_touch(Pmml *p, const Xml *e)
{
	const Xml *stop = e;

	/* A walk without recursion. */
	for (;;) {
		const char *name = is_field_user(e) ? xml_attr(e, "field") : NULL;
		Val v;

		if (name && !field_value(p, e, name, &v))
			return false;
		if (e->first) {
			e = e->first;
			continue;
		}
		while (e != stop && !e->next)
			e = e->parent;
		if (e == stop)
			return true;
		e = e->next;
	}
}
