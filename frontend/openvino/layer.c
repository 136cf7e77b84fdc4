/*
 * One layer: its operator, attributes and inputs.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/openvino/openvino.h"
#include "frontend/openvino/read.h"
#include "ir/num.h"

/* ---- The operator table ---- */

static const OvOp ov_ops[] = {
#define OV_OP(name, since, in_min, in_max, out_min, out_max, reader, op) \
	{name, since, in_min, in_max, out_min, out_max, ov_read_##reader, op},
#include "frontend/openvino/ops.def"
};

enum { NOPS = sizeof ov_ops / sizeof ov_ops[0] };

bool
ov_supported(int i, OvSupported *out)
{
	if (i < 0 || i >= NOPS)
		return false;
	*out = (OvSupported){ov_ops[i].name, ov_ops[i].since};
	return true;
}

static char
lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool
same_name(const char *a, const char *b)
{
	while (*a && lower(*a) == lower(*b)) {
		a++;
		b++;
	}
	return !*a && !*b;
}

/* An opset holds the newest form of every operator up to its own time. */
const OvOp *
ov_find_op(const char *name, int opset)
{
	const OvOp *found = NULL;

	for (int i = 0; i < NOPS; i++)
		if (ov_ops[i].since <= opset && same_name(ov_ops[i].name, name) &&
		    (!found || found->since < ov_ops[i].since))
			found = &ov_ops[i];
	return found;
}

/* ---- Errors ---- */

bool
ov_error(Layer *l, DiagCode code, const char *format, ...)
{
	va_list args;
	const char *text;

	l->failed = true;
	va_start(args, format);
	text = arena_vprintf(l->r->arena, format, args);
	va_end(args);
	return diag_report(l->r->d, &l->b.loc, code, "%s", text);
}

bool
ov_error_in(Layer *l, int i, DiagCode code, const char *format, ...)
{
	const Layer *from = i < l->nins ? l->in_port[i].from : NULL;
	va_list args;
	const char *text;

	l->failed = true;
	va_start(args, format);
	text = arena_vprintf(l->r->arena, format, args);
	va_end(args);
	if (!from)
		return diag_report(l->r->d, &l->b.loc, code, "input %d %s", i, text);
	return diag_report(l->r->d, &l->b.loc, code, "input %d ('%.100s') %s", i, from->name, text);
}

/* ---- Inputs and outputs ---- */

bool
ov_wants(const Layer *l, int i)
{
	return i < l->nouts && l->wanted[i];
}

void
ov_drop_outputs(const Layer *l, Node *n, int first)
{
	for (int i = first; n && i < n->nouts; i++) {
		if (ov_wants(l, i - first))
			continue;
		n->out[i]->def = NULL;
		n->out[i] = NULL;
	}
}

Value *
ov_in(const Layer *l, int i)
{
	return i < l->nins ? l->in[i] : NULL;
}

bool
ov_result(Layer *l, Value *v)
{
	l->out[0] = v;
	return v != NULL;
}

/* ---- Element types ---- */

/* As attributes and as ports spell them.  Elements of 4 bits are unpacked to 8. */
static const struct {
	const char *attr, *port;
	DType dtype;
} types[] = {
	{"f32", "FP32", DT_F32},    {"f16", "FP16", DT_F16}, {"bf16", "BF16", DT_BF16},
	{"f64", "FP64", DT_F64},    {"i8", "I8", DT_I8},     {"i16", "I16", DT_I16},
	{"i32", "I32", DT_I32},     {"i64", "I64", DT_I64},  {"u8", "U8", DT_U8},
	{"u16", "U16", DT_U16},     {"u32", "U32", DT_U32},  {"u64", "U64", DT_U64},
	{"boolean", "BOOL", DT_BOOL}, {"i4", "I4", DT_I8},   {"u4", "U4", DT_U8},
};

DType
ov_dtype(const char *name)
{
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (strcmp(types[i].attr, name) == 0 || strcmp(types[i].port, name) == 0)
			return types[i].dtype;
	return DT_COUNT;
}

/* ---- Attributes ---- */

const char *
ov_attr(const Layer *l, const char *name)
{
	return xml_attr(l->data, name);
}

static bool
bad_attr(Layer *l, const char *name, const char *wanted)
{
	return ov_error(l, E_ATTRIBUTE, "attribute '%s' is '%.60s'; %s is needed", name,
	                ov_attr(l, name), wanted);
}

/* The number that `s` begins with; NULL when there is none. */
static const char *
parse_int(const char *s, int64_t *out)
{
	bool negative = *s == '-';
	int64_t v = 0;

	s += *s == '-' || *s == '+';
	if (*s < '0' || *s > '9')
		return NULL;
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_sub_overflow(v, *s - '0', &v)) /* downwards: INT64_MIN too */
			return NULL;
	if (!negative && v == INT64_MIN)
		return NULL;
	*out = negative ? v : -v;
	return s;
}

int64_t
ov_int(Layer *l, const char *name, int64_t otherwise, int64_t lo, int64_t hi)
{
	const char *s = ov_attr(l, name), *end;
	int64_t v = 0;

	if (!s)
		return otherwise;
	end = parse_int(s, &v);
	if (!end || *end) {
		bad_attr(l, name, "a number");
		return otherwise;
	}
	if (v < lo || v > hi) {
		ov_error(l, E_VALUE, "attribute '%s' is %lld; it must be from %lld to %lld", name,
		         (long long)v, (long long)lo, (long long)hi);
		return otherwise;
	}
	return v;
}

double
ov_float(Layer *l, const char *name, double otherwise)
{
	const char *s = ov_attr(l, name);
	char *end;
	double v;

	if (!s)
		return otherwise;
	v = strtod(s, &end);
	if (end == s || *end) {
		bad_attr(l, name, "a number");
		return otherwise;
	}
	return v;
}

bool
ov_bool(Layer *l, const char *name, bool otherwise)
{
	static const char *const words[] = {"false", "true", "0", "1", "False", "True", NULL};

	return ov_word(l, name, words, otherwise) % 2 == 1;
}

int
ov_word(Layer *l, const char *name, const char *const *words, int otherwise)
{
	const char *s = ov_attr(l, name);
	Str wanted;

	if (!s)
		return otherwise;
	for (int i = 0; words[i]; i++)
		if (strcmp(words[i], s) == 0)
			return i;
	str_init(&wanted, l->r->arena);
	for (int i = 0; words[i]; i++)
		str_printf(&wanted, i ? ", %s" : "one of %s", words[i]);
	bad_attr(l, name, wanted.s);
	return otherwise;
}

static const char *
skip_separator(const char *s)
{
	s += strspn(s, " \t\r\n");
	s += *s == ',';
	return s + strspn(s, " \t\r\n");
}

bool
ov_parse_ints(Arena *a, const char *text, Ints *out)
{
	VEC(int64_t) list = {0};
	const char *s = text + strspn(text, " \t\r\n");

	while (*s) {
		int64_t v;
		const char *end = parse_int(s, &v);

		if (!end || (*end && !strchr(", \t\r\n", *end)))
			return false;
		VEC_PUSH(a, &list, v);
		s = skip_separator(end);
	}
	*out = (Ints){list.n, list.v};
	return true;
}

Ints
ov_ints(Layer *l, const char *name)
{
	const char *s = ov_attr(l, name);
	Ints out = NO_INTS;

	if (s && !ov_parse_ints(l->r->arena, s, &out))
		bad_attr(l, name, "a list of numbers");
	return out;
}

Floats
ov_floats(Layer *l, const char *name)
{
	VEC(double) list = {0};
	const char *s = ov_attr(l, name);

	s = s ? s + strspn(s, " \t\r\n") : "";
	while (*s) {
		char *end;
		double v = strtod(s, &end);

		if (end == s || (*end && !strchr(", \t\r\n", *end))) {
			bad_attr(l, name, "a list of numbers");
			break;
		}
		VEC_PUSH(l->r->arena, &list, v);
		s = skip_separator(end);
	}
	return (Floats){list.n, list.v};
}

DType
ov_dtype_attr(Layer *l, const char *name, DType otherwise)
{
	const char *s = ov_attr(l, name);
	DType t = s ? ov_dtype(s) : otherwise;

	if (t == DT_COUNT || (s && strchr("iu", s[0]) && strcmp(s + 1, "4") == 0)) {
		ov_error(l, s ? E_UNSUPPORTED : E_ATTRIBUTE,
		         s ? "the element type '%.40s' is not supported"
		           : "%s is missing: the layer has no such attribute",
		         s ? s : name);
		return otherwise;
	}
	return t;
}

/* ---- Constants ---- */

static bool
must_be_known(Layer *l, int i)
{
	return ov_error_in(l, i, E_DYNAMIC,
	                   "must be known when compiling: it decides about shapes or the kind of "
	                   "computation, and the model does not tell the outcome");
}

static bool
is_list(Layer *l, int i)
{
	const Value *v = ov_in(l, i);

	if (!v)
		return ov_error(l, E_ARITY, "input %d of '%s' is missing", i, l->info->name);
	if (!value_is_const(v))
		return must_be_known(l, i);
	if (v->type.rank > 1)
		return ov_error_in(l, i, E_SHAPE, "has type %s; a list is needed",
		                   type_text(l->r->arena, &v->type));
	if (type_numel(&v->type) > OV_LIST)
		return ov_error_in(l, i, E_SIZE, "has %d elements", type_numel(&v->type));
	return true;
}

bool
ov_const_ints(Layer *l, int i, Ints *out)
{
	const Value *v = ov_in(l, i);
	int64_t *list;
	int count;

	*out = (Ints)NO_INTS;
	if (!is_list(l, i))
		return false;
	if (!dtype_is_integer(v->type.dtype))
		return ov_error_in(l, i, E_TYPE, "has type %s; integers are needed",
		                   type_text(l->r->arena, &v->type));
	count = type_numel(&v->type);
	list = ARENA_ARRAY(l->r->arena, int64_t, count);
	for (int k = 0; k < count; k++)
		list[k] = value_int(v, k);
	*out = (Ints){count, list};
	return true;
}

bool
ov_const_floats(Layer *l, int i, Floats *out)
{
	const Value *v = ov_in(l, i);
	double *list;
	int count;

	*out = (Floats)NO_FLOATS;
	if (!is_list(l, i))
		return false;
	count = type_numel(&v->type);
	list = ARENA_ARRAY(l->r->arena, double, count);
	for (int k = 0; k < count; k++)
		list[k] = value_float(v, k);
	*out = (Floats){count, list};
	return true;
}

bool
ov_const_int(Layer *l, int i, int64_t lo, int64_t hi, int64_t *out)
{
	Ints list;

	*out = 0;
	if (!ov_const_ints(l, i, &list))
		return false;
	if (list.n != 1)
		return ov_error_in(l, i, E_SHAPE, "has %d elements; one is needed", list.n);
	if (list.v[0] < lo || list.v[0] > hi)
		return ov_error_in(l, i, E_VALUE, "is %lld; it must be from %lld to %lld",
		                   (long long)list.v[0], (long long)lo, (long long)hi);
	*out = list.v[0];
	return true;
}

/* ---- Axes ---- */

bool
ov_norm_axis(Layer *l, int64_t axis, int rank, int *out)
{
	*out = 0;
	if (axis < -rank || axis >= rank)
		return ov_error(l, E_VALUE, "axis %lld is outside of a tensor of rank %d",
		                (long long)axis, rank);
	*out = (int)(axis < 0 ? axis + rank : axis);
	return true;
}

bool
ov_norm_axes(Layer *l, Ints axes, int rank, Ints *out)
{
	int64_t *v = ARENA_ARRAY(l->r->arena, int64_t, axes.n);
	bool seen[MAX_RANK] = {false};

	for (int i = 0; i < axes.n; i++) {
		int axis;

		if (!ov_norm_axis(l, axes.v[i], rank, &axis))
			return false;
		if (seen[axis])
			return ov_error(l, E_VALUE, "axis %d is given twice", axis);
		seen[axis] = true;
		v[i] = axis;
	}
	*out = (Ints){axes.n, v};
	return true;
}

bool
ov_sorted_axes(Layer *l, Ints axes, int rank, Ints *out)
{
	bool seen[MAX_RANK] = {false};
	int64_t *v = ARENA_ARRAY(l->r->arena, int64_t, MAX_RANK);
	int n = 0;

	if (!ov_norm_axes(l, axes, rank, out))
		return false;
	for (int i = 0; i < out->n; i++)
		seen[out->v[i]] = true;
	for (int i = 0; i < rank; i++)
		if (seen[i])
			v[n++] = i;
	*out = (Ints){n, v};
	return true;
}

Ints
ov_range(Layer *l, int from, int to)
{
	int n = to > from ? to - from : 0;
	int64_t *v = ARENA_ARRAY(l->r->arena, int64_t, n);

	for (int i = 0; i < n; i++)
		v[i] = from + i;
	return (Ints){n, v};
}

/* ---- Building ---- */

Value *
ov_cast(Layer *l, Value *x, DType to)
{
	return !x || x->type.dtype == to ? x : build_cast(&l->b, x, to);
}

Value *
ov_not_equal(Layer *l, Value *x, Value *y)
{
	return build_unary(&l->b, OP_NOT, build_binary(&l->b, OP_EQUAL, x, y));
}

void *
ov_const_data(Layer *l, const Type *t)
{
	size_t bytes;

	if (!type_is_representable(t) || (bytes = type_bytes(t)) > l->r->bytes_left) {
		ov_error(l, E_SIZE, "a constant of this size is too large");
		return NULL;
	}
	l->r->bytes_left -= bytes;
	return arena_alloc(l->r->arena, bytes);
}

Value *
ov_const_list(Layer *l, DType t, int n, const int64_t *v)
{
	Type type = type_make(t, 1, &(int32_t){n});
	void *data = ov_const_data(l, &type);

	if (!data)
		return NULL;
	for (int i = 0; i < n; i++)
		num_store_int(t, data, (size_t)i, v[i]);
	return graph_const(l->r->g, NULL, type, data);
}
