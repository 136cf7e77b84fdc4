/*
 * Reading the graph IR's text form; text.c prints it, docs/ir.md is its manual.
 *
 *	graph   = "graph" @name "(" [input {"," input}] ")" "{" {stmt} return "}"
 *	input   = %name ":" type
 *	stmt    = out {"," out} "=" (const | op)
 *	out     = "_" | %name [":" type]
 *	const   = "const" (element | "[" [element {"," element}] "]" | x"hex")
 *	op      = word "(" [arg {"," arg}] ")" ["{" attr {"," attr} "}"] ["as" string]
 *	arg     = "_" | %name
 *	attr    = word "=" (number | "[" numbers "]" | word | string)
 *	return  = "return" [%name ["as" string] {"," ...}] ["states" %name {"," %name}]
 *	          {("input" | "output") field} ["tolerance" lists {"record" lists}]
 *	field   = number "[" number "]" string kind ["missing"] ["other"]
 *	          ["{" string {"," string} "}"]
 *	lists   = "[" numbers "]" "[" numbers "]"
 *
 * A comment runs from ";" to the end of the line.  Behind a node, "; at FILE: WHERE"
 * is the node's place in the file that the graph was made from.  The type of a
 * node's output may be left out; where it stands it is checked.
 *
 * The text is untrusted.  It is read without recursion, and memory is taken only
 * in proportion to its length.  The first error ends the reading.
 */
#include <float.h>
#include <string.h>

#include "ir/graph.h"
#include "ir/num.h"
#include "ir/scan.h"

typedef struct {
	Scan in;
	Graph *g;
} Parser;

/* ---- Types ---- */

static bool
parse_dtype(Scan *p, DType *t)
{
	const char *start;
	size_t n = scan_span(p, scan_is_word_char, &start);

	*t = dtype_find(start, n);
	if (*t == DT_COUNT || *t == DT_IDX) {
		p->p = start;
		return scan_expected(p, "an element type");
	}
	return true;
}

static bool
parse_scale(Scan *p, float *scale)
{
	const char *start;
	double v;

	scan_blanks(p);
	start = p->p;
	if (!scan_double(p, &v))
		return false;
	*scale = (float)v;
	return (*scale > 0 && *scale <= FLT_MAX) ||
	       scan_fail(p, start, (int)(p->p - start), E_VALUE, "a scale has to be positive and finite");
}

static bool
parse_zero(Scan *p, DType t, int32_t *zero)
{
	const char *start;
	int64_t v;

	scan_blanks(p);
	start = p->p;
	if (!scan_int(p, &v))
		return false;
	*zero = (int32_t)v;
	return quant_zero_fits(t, v) ||
	       scan_fail(p, start, (int)(p->p - start), E_VALUE, "no %s has this value",
	                dtype_info[t].name);
}

static bool
parse_zeros(Scan *p, DType t, int32_t *zero, int32_t n)
{
	for (int32_t i = 0; i < n; i++)
		if ((i && !scan_expect(p, ',')) || !parse_zero(p, t, &zero[i]))
			return false;
	return scan_expect(p, ')');
}

/* Behind "q": (scale, zero), or [axis](scales)(zeros), where the last may be left out. */
static bool
parse_quant(Scan *p, Type *t)
{
	Quant *q = ARENA_NEW(p->arena, Quant);
	bool has_axis = scan_accept(p, '[');
	const char *start = p->p;
	int64_t axis = 0;
	float *scale;
	int32_t *zero;

	if (has_axis && (!scan_int(p, &axis) || !scan_expect(p, ']')))
		return false;
	if (has_axis && (axis < 0 || axis >= t->rank || t->dim[axis] == 0))
		return scan_fail(p, start, 1, E_VALUE, "there is no such axis");
	q->axis = (int)axis;
	q->n = has_axis ? t->dim[axis] : 1;
	/* Every scale takes characters of the text, but the shape may lie. */
	if (q->n > p->end - p->p)
		return scan_fail(p, start, 1, E_VALUE, "there are fewer scales than that");
	q->scale = scale = ARENA_ARRAY(p->arena, float, q->n);
	q->zero = zero = ARENA_ARRAY(p->arena, int32_t, q->n);
	t->q = q;
	if (!scan_expect(p, '('))
		return false;
	for (int32_t i = 0; i < q->n; i++)
		if ((i && !scan_expect(p, ',')) || !parse_scale(p, &scale[i]))
			return false;
	if (!has_axis)
		return scan_expect(p, ',') && parse_zeros(p, t->dtype, zero, 1);
	return scan_expect(p, ')') && (!scan_accept(p, '(') || parse_zeros(p, t->dtype, zero, q->n));
}

static bool
parse_type(Scan *p, Type *t)
{
	const char *start;
	int64_t dim;

	scan_blanks(p);
	start = p->p;
	*t = (Type){0};
	if (!parse_dtype(p, &t->dtype) || !scan_expect(p, '['))
		return false;
	while (!scan_is(p, ']')) {
		if (t->rank && !scan_expect(p, ','))
			return false;
		scan_blanks(p);
		if (t->rank == MAX_RANK)
			return scan_fail(p, p->p, 1, E_SHAPE, "a type has at most %d dimensions",
					MAX_RANK);
		if (!scan_int(p, &dim))
			return false;
		if (dim < 0 || dim > INT32_MAX)
			return scan_fail(p, start, (int)(p->p - start), E_SHAPE,
			                "a dimension is out of range");
		t->dim[t->rank++] = (int32_t)dim;
	}
	p->p++;
	if (!type_is_representable(t))
		return scan_fail(p, start, 1, E_SIZE, "a tensor of this type is larger than 2 GiB");
	return !scan_accept_word(p, "q") || parse_quant(p, t);
}

/* ---- Constants ---- */

static bool
parse_element(Scan *p, DType t, void *data, size_t i)
{
	uint64_t u = 0;
	int64_t n = 0, again;
	double x = 0;
	bool b = false;
	const char *start;

	scan_blanks(p);
	start = p->p;
	if (dtype_is_float(t)) {
		if (!scan_float(p, t, &x))
			return false;
		num_store(t, data, i, x);
		return true;
	}
	if (t == DT_BOOL) {
		if (!scan_bool(p, &b))
			return false;
		n = b;
	} else if (t == DT_U64) {
		if (!scan_uint(p, &u))
			return false;
		n = (int64_t)u;
	} else if (!scan_int(p, &n)) {
		return false;
	}
	num_store_int(t, data, i, n);
	again = num_load_int(t, data, i);
	if (again != n)
		return scan_fail(p, start, (int)(p->p - start), E_VALUE,
				"the number is out of range of %s", dtype_info[t].name);
	return true;
}

static bool
parse_list(Scan *p, const Type *t, char *data)
{
	int32_t count = type_numel(t), i = 0;

	while (!scan_is(p, ']')) {
		scan_blanks(p);
		if (i == count)
			return scan_fail(p, p->p, 1, E_SHAPE, "more elements than the type has (%d)",
					count);
		if ((i && !scan_expect(p, ',')) || !parse_element(p, t->dtype, data, (size_t)i))
			return false;
		i++;
	}
	if (i < count)
		return scan_fail(p, p->p, 1, E_SHAPE, "%d elements, but the type has %d", i, count);
	p->p++;
	return true;
}

static bool
parse_hex(Scan *p, const Type *t, unsigned char *data)
{
	size_t bytes = type_bytes(t), width = (size_t)dtype_info[t->dtype].bytes;
	const uint16_t one = 1;
	size_t flip = *(const unsigned char *)&one ? 0 : width - 1;

	for (size_t i = 0; i < bytes; i++, p->p += 2) {
		int hi = scan_hex_digit(p->p[0]), lo = scan_hex_digit(p->p[1]);

		if (hi < 0 || lo < 0) {
			p->p += hi >= 0;
			return scan_expected_here(p, "a hexadecimal digit");
		}
		data[i ^ flip] = (unsigned char)(hi << 4 | lo);
	}
	if (p->p == p->end || *p->p != '"')
		return scan_expected_here(p, "'\"'");
	p->p++;
	return true;
}

/* The bytes that the text holds must be there before memory is taken for them. */
static bool
parse_const_data(Scan *p, const Type *t, void **data)
{
	size_t count = (size_t)type_numel(t), left;
	bool is_hex = false, is_list;

	scan_blanks(p);
	if (p->end - p->p > 2 && p->p[0] == 'x' && p->p[1] == '"') {
		p->p += 2;
		is_hex = true;
	}
	is_list = !is_hex && scan_accept(p, '[');
	left = (size_t)(p->end - p->p);
	if (is_hex ? left / 2 < type_bytes(t) : left < count)
		return scan_fail(p, p->p, 1, E_SHAPE,
				"the text holds fewer than the type's %zu elements", count);
	if (!is_hex && !is_list && count != 1)
		return scan_expected(p, "'[' or x\"");
	*data = arena_alloc(p->arena, type_bytes(t));
	if (is_hex)
		return parse_hex(p, t, *data);
	return is_list ? parse_list(p, t, *data) : parse_element(p, t->dtype, *data, 0);
}

/* ---- Attributes ---- */

static bool
parse_int_list(Scan *p, Ints *v)
{
	VEC(int64_t) list = {0};

	if (!scan_expect(p, '['))
		return false;
	while (!scan_is(p, ']')) {
		int64_t x;

		if ((list.n && !scan_expect(p, ',')) || !scan_int(p, &x))
			return false;
		VEC_PUSH(p->arena, &list, x);
	}
	p->p++;
	*v = (Ints){list.n, list.v};
	return true;
}

static bool
parse_float_list(Scan *p, Floats *v)
{
	VEC(double) list = {0};

	if (!scan_expect(p, '['))
		return false;
	while (!scan_is(p, ']')) {
		double x;

		if ((list.n && !scan_expect(p, ',')) || !scan_double(p, &x))
			return false;
		VEC_PUSH(p->arena, &list, x);
	}
	p->p++;
	*v = (Floats){list.n, list.v};
	return true;
}

static bool
parse_enum(Scan *p, const AttrInfo *a, int *v)
{
	const char *start;
	size_t n = scan_span(p, scan_is_word_char, &start);

	for (*v = 0; a->word[*v]; ++*v)
		if (strlen(a->word[*v]) == n && memcmp(a->word[*v], start, n) == 0)
			return true;
	return scan_fail(p, start, n ? (int)n : 1, E_ATTRIBUTE, "'%s' cannot be '%.*s'", a->name,
	                n > 40 ? 40 : (int)n, start);
}

static bool
parse_attr_value(Scan *p, const AttrInfo *a, void *x)
{
	switch (a->kind) {
	case ATTR_KIND_int: return scan_int(p, x);
	case ATTR_KIND_float: return scan_double(p, x);
	case ATTR_KIND_bool: return scan_bool(p, x);
	case ATTR_KIND_ints: return parse_int_list(p, x);
	case ATTR_KIND_floats: return parse_float_list(p, x);
	case ATTR_KIND_dtype: return parse_dtype(p, x);
	case ATTR_KIND_str: return (*(const char **)x = scan_string(p)) != NULL;
	case ATTR_KIND_enum: return parse_enum(p, a, x);
	}
	return false;
}

static bool
parse_attr(Scan *p, Node *n, uint64_t *seen)
{
	const OpInfo *info = &op_info[n->op];
	const char *start;
	size_t length = scan_span(p, scan_is_word_char, &start);

	for (int i = 0; info->attrs[i].name; i++) {
		const AttrInfo *a = &info->attrs[i];

		if (strlen(a->name) != length || memcmp(a->name, start, length) != 0)
			continue;
		if (*seen >> i & 1)
			return scan_fail(p, start, (int)length, E_ATTRIBUTE, "'%s' is given twice",
					a->name);
		*seen |= (uint64_t)1 << i;
		return scan_expect(p, '=') && parse_attr_value(p, a, (char *)n->attr + a->offset);
	}
	if (length == 0)
		return scan_expected(p, "an attribute");
	return scan_fail(p, start, (int)length, E_ATTRIBUTE, "'%s' has no attribute '%.*s'",
			info->name, length > 40 ? 40 : (int)length, start);
}

static bool
parse_attrs(Scan *p, Node *n)
{
	uint64_t seen = 0;

	if (!scan_accept(p, '{'))
		return true;
	do {
		if (!parse_attr(p, n, &seen))
			return false;
	} while (scan_accept(p, ','));
	return scan_expect(p, '}');
}

/* ---- Statements ---- */

typedef struct {
	const char *name; /* NULL: not wanted */
	bool has_type;
	Type type;
	const char *at; /* in the text */
	int length;
} Target;

typedef VEC(Target) Targets;

static bool
parse_target(Parser *p, Targets *list)
{
	Target t = {0};

	if (!scan_accept_word(&p->in, "_")) {
		scan_blanks(&p->in);
		t.at = p->in.p;
		t.name = scan_name(&p->in, '%', "'%' or '_'");
		if (!t.name)
			return false;
		t.length = (int)(p->in.p - t.at);
		if (!*t.name)
			return scan_fail(&p->in, t.at, t.length, E_NAME, "a value's name is empty");
		for (int i = 0; i < list->n; i++)
			if (list->v[i].name && strcmp(list->v[i].name, t.name) == 0)
				return scan_fail(&p->in, t.at, t.length, E_NAME, "'%s' is defined twice",
						t.name);
		if (graph_find(p->g, t.name))
			return scan_fail(&p->in, t.at, t.length, E_NAME, "'%s' is already defined",
					t.name);
		if (scan_accept(&p->in, ':')) {
			t.has_type = true;
			if (!parse_type(&p->in, &t.type))
				return false;
		}
	}
	VEC_PUSH(p->in.arena, list, t);
	return true;
}

static bool
parse_const(Parser *p, const Targets *to)
{
	void *data = NULL;

	if (to->n != 1 || !to->v[0].name || !to->v[0].has_type)
		return scan_fail(&p->in, p->in.p, 1, E_SYNTAX, "a constant needs one name and its type");
	if (!parse_const_data(&p->in, &to->v[0].type, &data))
		return false;
	graph_const(p->g, to->v[0].name, to->v[0].type, data);
	return true;
}

typedef VEC(Value *) Values;

static bool
parse_arg(Parser *p, Values *args)
{
	Value *v = NULL;
	const char *name, *start;

	if (!scan_accept_word(&p->in, "_")) {
		scan_blanks(&p->in);
		start = p->in.p;
		name = scan_name(&p->in, '%', "'%' or '_'");
		if (!name)
			return false;
		v = graph_find(p->g, name);
		if (!v)
			return scan_fail(&p->in, start, (int)(p->in.p - start), E_NAME,
					"'%s' is not defined", name);
	}
	VEC_PUSH(p->in.arena, args, v);
	return true;
}

static bool
parse_args(Parser *p, Values *args)
{
	if (!scan_expect(&p->in, '('))
		return false;
	if (scan_accept(&p->in, ')'))
		return true;
	do {
		if (!parse_arg(p, args))
			return false;
	} while (scan_accept(&p->in, ','));
	return scan_expect(&p->in, ')');
}

/* A comment "; at FILE: WHERE" on the rest of the line. */
static void
parse_place(Scan *p, Loc *loc)
{
	static const char mark[] = "; at ";
	const char *start, *stop, *colon = NULL;

	while (p->p < p->end && (*p->p == ' ' || *p->p == '\t'))
		p->p++;
	if ((size_t)(p->end - p->p) < sizeof mark - 1 || memcmp(p->p, mark, sizeof mark - 1) != 0)
		return;
	start = p->p + sizeof mark - 1;
	stop = memchr(start, '\n', (size_t)(p->end - start));
	if (!stop)
		stop = p->end;
	if (stop > start && stop[-1] == '\r')
		stop--;
	for (const char *c = start; c + 1 < stop && !colon; c++)
		if (c[0] == ':' && c[1] == ' ')
			colon = c;
	*loc = (Loc){
		.file = arena_strndup(p->arena, start, (size_t)((colon ? colon : stop) - start))};
	if (colon)
		loc->where = arena_strndup(p->arena, colon + 2, (size_t)(stop - colon - 2));
	p->p = stop;
}

/* Computes the types, shows the node's line below an error, compares with what
 * was written. */
static bool
check_types(Scan *p, Node *n, const Targets *to, const char *start)
{
	Message *before = p->d->last;

	if (!node_infer(n, p->d)) {
		Message *m = before ? before->next : p->d->first;

		if (m && !m->snippet) {
			m->snippet = scan_snippet(p, start, &m->caret);
			m->length = (int)strlen(op_info[n->op].name);
		}
		return false;
	}
	for (int i = 0; i < to->n; i++) {
		const Target *t = &to->v[i];

		if (t->has_type && !type_equal(&t->type, &n->out[i]->type))
			return scan_fail(p, t->at, t->length, E_TYPE,
			                "'%s' is written as %s, but '%s' gives %s", t->name,
			                type_text(p->arena, &t->type), op_info[n->op].name,
			                type_text(p->arena, &n->out[i]->type));
	}
	return node_keeps_quant(n) ||
	       scan_fail(p, to->v[0].at, to->v[0].length, E_TYPE,
	                 "'%s' has another quantisation than '%s', whose elements '%s' moves",
	                 n->out[0]->name, n->in[0]->name, op_info[n->op].name);
}

/* Inserts the node with the outputs that are wanted; no name is made for others. */
static Node *
make_node(Parser *p, Op op, const Targets *to, const Values *args)
{
	Node *n = graph_insert(p->g, NULL, op, args->n, args->v, 0, NULL);

	n->nouts = to->n;
	n->out = ARENA_ARRAY(p->in.arena, Value *, to->n);
	for (int i = 0; i < to->n; i++) {
		if (!to->v[i].name)
			continue;
		n->out[i] = graph_value(p->g, to->v[i].name, type_scalar(DT_F32));
		/* What of a quantised type no shape rule can know. */
		if (to->v[i].type.q) {
			n->out[i]->type.q = to->v[i].type.q;
			n->out[i]->type.dtype = to->v[i].type.dtype;
		}
		n->out[i]->def = n;
	}
	return n;
}

static bool
has_outputs(Scan *p, Op op, const Targets *to, const char *word)
{
	const OpInfo *info = &op_info[op];
	bool is_wanted = false;

	for (int i = 0; i < to->n; i++)
		is_wanted |= to->v[i].name != NULL;
	if (is_wanted && to->n >= info->outputs_min && to->n <= info->outputs_max)
		return true;
	return scan_fail(p, word, (int)strlen(info->name), E_ARITY, "'%s' cannot have %d outputs%s",
	                info->name, to->n, is_wanted ? "" : " of which none is wanted");
}

static bool
parse_node(Parser *p, const Targets *to, const char *word, size_t length)
{
	Op op = op_find(word, length);
	Values args = {0};
	Node *n;
	Loc loc = scan_place(&p->in, word);

	if (op == OP_COUNT)
		return scan_fail(&p->in, word, (int)length, E_OP, "'%.*s' is not an operator",
		                length > 40 ? 40 : (int)length, word);
	if (!parse_args(p, &args))
		return false;
	if (!has_outputs(&p->in, op, to, word))
		return false;
	n = make_node(p, op, to, &args);
	n->loc = loc;
	if (!parse_attrs(&p->in, n))
		return false;
	if (scan_accept_word(&p->in, "as") && !(n->name = scan_string(&p->in)))
		return false;
	parse_place(&p->in, &n->loc);
	return check_types(&p->in, n, to, word);
}

static bool
parse_stmt(Parser *p)
{
	Targets to = {0};
	const char *word;
	size_t length;

	do {
		if (!parse_target(p, &to))
			return false;
	} while (scan_accept(&p->in, ','));
	if (!scan_expect(&p->in, '='))
		return false;
	length = scan_span(&p->in, scan_is_word_char, &word);
	if (length == 5 && memcmp(word, "const", 5) == 0)
		return parse_const(p, &to);
	if (length == 0)
		return scan_expected(&p->in, "an operator or 'const'");
	return parse_node(p, &to, word, length);
}

static bool
parse_return(Parser *p)
{
	if (scan_is(&p->in, '}'))
		return true;
	do {
		Values value = {0};
		const char *name = NULL;

		if (!parse_arg(p, &value))
			return false;
		if (!value.v[0])
			return scan_expected(&p->in, "a value before this");
		if (scan_accept_word(&p->in, "as") && !(name = scan_string(&p->in)))
			return false;
		graph_output(p->g, name ? name : value.v[0]->name, value.v[0]);
	} while (scan_accept(&p->in, ','));
	return true;
}

typedef VEC(const char *) Places;

/* The last inputs and outputs are the states: what each starts with, holds in a call and
 * holds next has one type.  `at` is where each stands in the text. */
static bool
check_states(Parser *p, const Places *at)
{
	const Graph *g = p->g;

	if (g->states.n > g->inputs.n || g->states.n > g->outputs.n)
		return scan_fail(&p->in, at->v[at->n - 1], 1, E_VALUE,
		                "%d states, but %d inputs and %d outputs", g->states.n,
		                g->inputs.n, g->outputs.n);
	for (int i = 0; i < g->states.n; i++) {
		const Value *held = g->inputs.v[graph_plain_inputs(g) + i];
		const Value *next = g->outputs.v[graph_plain_outputs(g) + i];
		const Type *start = &g->states.v[i]->type;

		if (type_equal(&held->type, start) && type_equal(&next->type, start))
			continue;
		return scan_fail(&p->in, at->v[i], 1, E_TYPE,
		                "the state '%s' is %s, starts as %s and is %s next", held->name,
		                type_text(p->in.arena, &held->type), type_text(p->in.arena, start),
		                type_text(p->in.arena, &next->type));
	}
	return true;
}

/* Behind the outputs: the constants that the states start with. */
static bool
parse_states(Parser *p)
{
	Places at = {0};

	if (!scan_accept_word(&p->in, "states"))
		return true;
	do {
		Values value = {0};

		scan_blanks(&p->in);
		VEC_PUSH(p->in.arena, &at, p->in.p);
		if (!parse_arg(p, &value))
			return false;
		if (!value.v[0] || !value_is_const(value.v[0]))
			return scan_expected(&p->in, "a constant before this");
		value.v[0]->nuses++;
		VEC_PUSH(p->g->arena, &p->g->states, value.v[0]);
	} while (scan_accept(&p->in, ','));
	return check_states(p, &at);
}

/* ---- Fields and records ---- */

static bool
parse_index(Scan *p, int64_t limit, const char *what, int64_t *v)
{
	const char *start;

	scan_blanks(p);
	start = p->p;
	return scan_int(p, v) && ((*v >= 0 && *v < limit) ||
	                           scan_fail(p, start, 1, E_VALUE, "there is no such %s", what));
}

static bool
parse_kind(Scan *p, FieldKind *kind)
{
	for (int k = 0; k < FIELD_KIND_COUNT; k++)
		if (scan_accept_word(p, field_kind_name[k])) {
			*kind = (FieldKind)k;
			return true;
		}
	return scan_expected(p, "a kind of field");
}

static bool
parse_labels(Scan *p, Field *f)
{
	VEC(const char *) list = {0};

	if (f->kind != FIELD_category || !scan_accept(p, '{'))
		return true;
	do {
		const char *text = scan_string(p);

		if (!text)
			return false;
		VEC_PUSH(p->arena, &list, text);
	} while (scan_accept(p, ','));
	f->nlabels = list.n;
	f->label = list.v;
	return scan_expect(p, '}');
}

/* Behind "input" or "output". */
static bool
parse_field(Parser *p, bool is_input, Field *f)
{
	const Graph *g = p->g;
	int64_t index, element;
	const Type *t;

	if (!parse_index(&p->in, is_input ? g->inputs.n : g->outputs.n, "value", &index))
		return false;
	t = is_input ? &g->inputs.v[index]->type : &g->outputs.v[index]->type;
	if (!scan_expect(&p->in, '[') || !parse_index(&p->in, type_numel(t), "element", &element) ||
	    !scan_expect(&p->in, ']') || !(f->name = scan_string(&p->in)) || !parse_kind(&p->in, &f->kind))
		return false;
	f->index = (int)index;
	f->element = (int32_t)element;
	f->missing = scan_accept_word(&p->in, "missing");
	f->other = scan_accept_word(&p->in, "other");
	return parse_labels(&p->in, f);
}

static bool
parse_fields(Parser *p)
{
	for (;;) {
		bool is_input = scan_accept_word(&p->in, "input");
		Field f = {0};

		if (!is_input && !scan_accept_word(&p->in, "output"))
			return true;
		if (!parse_field(p, is_input, &f))
			return false;
		if (is_input)
			VEC_PUSH(p->g->arena, &p->g->input_fields, f);
		else
			VEC_PUSH(p->g->arena, &p->g->output_fields, f);
	}
}

static bool
parse_two_lists(Scan *p, int nx, int ny, const double **x, const double **y)
{
	Floats fx, fy;

	if (!parse_float_list(p, &fx) || !parse_float_list(p, &fy))
		return false;
	*x = fx.v;
	*y = fy.v;
	return (fx.n == nx && fy.n == ny) ||
	       scan_fail(p, p->p, 1, E_SHAPE, "there have to be %d and %d numbers", nx, ny);
}

static bool
parse_records(Parser *p)
{
	Graph *g = p->g;
	int nin = g->input_fields.n, nout = g->output_fields.n;

	if (!scan_accept_word(&p->in, "tolerance"))
		return true;
	if (!parse_two_lists(&p->in, nout, nout, &g->precision, &g->zero))
		return false;
	while (scan_accept_word(&p->in, "record")) {
		Record r;

		if (!parse_two_lists(&p->in, nin, nout, &r.in, &r.out))
			return false;
		VEC_PUSH(g->arena, &g->records, r);
	}
	return true;
}

static bool
parse_inputs(Parser *p)
{
	if (scan_accept(&p->in, ')'))
		return true;
	do {
		Targets to = {0};
		const char *start;

		scan_blanks(&p->in);
		start = p->in.p;
		if (!parse_target(p, &to))
			return false;
		if (!to.v[0].name || !to.v[0].has_type)
			return scan_fail(&p->in, start, 1, E_SYNTAX,
					"an input needs a name and its type");
		graph_input(p->g, to.v[0].name, to.v[0].type);
	} while (scan_accept(&p->in, ','));
	return scan_expect(&p->in, ')');
}

static bool
parse_graph(Parser *p)
{
	const char *name;

	if (!scan_accept_word(&p->in, "graph"))
		return scan_expected(&p->in, "'graph'");
	name = scan_name(&p->in, '@', "'@' and a name");
	if (!name)
		return false;
	p->g = graph_new(p->in.arena, name);
	if (!scan_expect(&p->in, '(') || !parse_inputs(p) || !scan_expect(&p->in, '{'))
		return false;
	while (!scan_accept_word(&p->in, "return"))
		if (!parse_stmt(p))
			return false;
	if (!parse_return(p) || !parse_states(p) || !parse_fields(p) || !parse_records(p) ||
	    !scan_expect(&p->in, '}'))
		return false;
	scan_blanks(&p->in);
	return p->in.p == p->in.end || scan_expected(&p->in, "nothing more");
}

Graph *
graph_parse(Arena *a, const char *file, const char *text, size_t length, Diag *d)
{
	Parser p = {.in = {
			    .arena = a,
			    .text = text,
			    .p = text,
			    .end = text + length,
			    .line = text,
			    .line_number = 1,
			    .file = file,
			    .d = d,
		    }};
	Loc loc = {.file = file};

	if (length > INT32_MAX) {
		diag_report(d, &loc, E_SIZE, "the text is larger than 2 GiB");
		return NULL;
	}
	return parse_graph(&p) ? p.g : NULL;
}
