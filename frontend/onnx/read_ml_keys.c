/*
 * The operators of ai.onnx.ml that look up keys: numbers, strings, and maps.
 */
#include "frontend/onnx/ml.h"
#include "frontend/onnx/words.h"

/* For each element of x and each key whether they are equal: [.., keys]. */
static Value *
matches(ONode *n, Value *x, Floats keys)
{
	Value *k = ml_vector(n, x->type.dtype, keys.n, keys.v), *hit;
	bool any_nan = false;

	/* NaN finds itself from version 4 on. */
	for (int i = 0; i < keys.n && n->opset >= 4; i++)
		any_nan = any_nan || keys.v[i] != keys.v[i];
	if (x->type.rank == MAX_RANK) {
		onnx_error_in(n, 0, E_SHAPE, "there are too many axes");
		return NULL;
	}
	x = k ? onnx_unsqueeze(n, x, x->type.rank) : NULL;
	hit = x ? onnx_binary(n, OP_EQUAL, x, k) : NULL;
	if (hit && any_nan) {
		Value *both = onnx_unary(n, OP_IS_NAN, x), *nan = onnx_unary(n, OP_IS_NAN, k);

		both = both && nan ? onnx_binary(n, OP_AND, both, nan) : NULL;
		hit = both ? onnx_binary(n, OP_OR, hit, both) : NULL;
	}
	return hit;
}

bool
onnx_read_one_hot_encoder(ONode *n)
{
	Value *x = n->in[0], *hit;
	Floats cats;

	onnx_ignore(n, "zeros"); /* a category that there is not gives zeros */
	if (onnx_has(n, "cats_strings")) {
		if (!words_keys(n, "cats_strings", x, &cats))
			return false;
	} else {
		cats = ml_ints(n, "cats_int64s");
	}
	if (n->failed)
		return false;
	if (x->type.dtype != DT_I64)
		x = onnx_cast(n, x, DT_I64);
	hit = x ? matches(n, x, cats) : NULL;
	return onnx_result(n, hit ? onnx_cast(n, hit, DT_F32) : NULL);
}

/* ---- From keys to values ---- */

typedef struct {
	Floats v;
	DType type;
} Column;

/* Numbers from an attribute of integers or floats or, in version 4, a tensor. */
static bool
read_numbers(ONode *n, const char *stem, Column *out)
{
	Arena *a = n->r->arena;
	const char *ints = arena_printf(a, "%s_int64s", stem);
	const char *floats = arena_printf(a, "%s_floats", stem);
	const char *tensor = arena_printf(a, "%s_tensor", stem);
	const void *data;
	double *v;
	Type type;

	if (onnx_has(n, ints)) {
		*out = (Column){ml_ints(n, ints), DT_I64};
	} else if (onnx_has(n, floats)) {
		*out = (Column){onnx_floats(n, floats), DT_F32};
	} else if (onnx_has(n, tensor) && onnx_tensor_attr(n, tensor, &type, &data)) {
		v = ARENA_ARRAY(a, double, type_numel(&type));
		for (int32_t i = 0; i < type_numel(&type); i++)
			v[i] = value_float(&(Value){.type = type, .data = data}, i);
		*out = (Column){{type_numel(&type), v}, type.dtype};
	} else {
		return n->failed ? false : onnx_error(n, E_ATTRIBUTE, "'%s' has no %s",
		                                      n->info->name, stem);
	}
	return !n->failed;
}

static double
default_value(ONode *n, DType t)
{
	const void *data;
	Type type;

	if (onnx_has(n, "default_tensor") && onnx_tensor_attr(n, "default_tensor", &type, &data) &&
	    type_numel(&type) == 1)
		return value_float(&(Value){.type = type, .data = data}, 0);
	if (t == DT_F32) {
		onnx_ignore(n, "default_int64");
		return onnx_float(n, "default_float", -0.0);
	}
	onnx_ignore(n, "default_float");
	return (double)onnx_int(n, "default_int64", -1);
}

/* The value of each element's key, or what there is for all others. */
static bool
look_up(ONode *n, Value *x, const Column *keys, const Column *values, double otherwise)
{
	Value *hit, *at, *y, *any;
	Node *k;

	if (keys->v.n != values->v.n || keys->v.n == 0)
		return onnx_error(n, E_ATTRIBUTE, "there are %d keys for %d values", keys->v.n,
		                  values->v.n);
	if (x->type.dtype != keys->type)
		return onnx_error_in(n, 0, E_TYPE, "'%s' has type %s, the keys are %s", x->name,
		                     type_text(n->r->arena, &x->type),
		                     dtype_info[keys->type].name);
	hit = matches(n, x, keys->v);
	hit = hit ? onnx_cast(n, hit, DT_I32) : NULL;
	k = hit ? onnx_node(n, OP_ARG_MAX, 1, &hit, 1) : NULL;
	if (!k)
		return false;
	*(Attr_ARG_MAX *)k->attr = (Attr_ARG_MAX){.axis = x->type.rank, .keepdims = false};
	at = onnx_finish(n, k);
	any = onnx_reduce(n, OP_REDUCE_MAX, hit, onnx_range(n, x->type.rank, x->type.rank + 1),
	                  false);
	y = at ? onnx_gather(n, ml_vector(n, values->type, values->v.n, values->v.v), at, 0) : NULL;
	any = any ? onnx_with(n, OP_GREATER, any, 0) : NULL;
	if (!y || !any)
		return onnx_result(n, NULL);
	return onnx_result(n,
	                   onnx_where(n, any, y, onnx_scalar(n, values->type, otherwise)));
}

/* Strings that an operator makes for all other keys. */
static const char unused[] = "_Unused";

bool
onnx_read_label_encoder(ONode *n)
{
	Column keys = {.type = DT_I64}, values = {.type = DT_I64};
	const char *more = onnx_str(n, "default_string", unused);
	Value *x = n->in[0];
	double otherwise;

	if (onnx_has(n, "keys_strings") ? !words_keys(n, "keys_strings", x, &keys.v)
	                                : !read_numbers(n, "keys", &keys))
		return false;
	if (onnx_has(n, "values_strings")) {
		onnx_ignore(n, "default_int64");
		onnx_ignore(n, "default_float");
		if (!words_result(n, "values_strings", more, &values.v, &otherwise))
			return false;
	} else {
		if (!read_numbers(n, "values", &values))
			return false;
		otherwise = default_value(n, values.type);
	}
	return look_up(n, x, &keys, &values, otherwise);
}

/* Strings become numbers, and numbers strings, by two lists. */
bool
onnx_read_category_mapper(ONode *n)
{
	Column keys = {.type = DT_I64}, values = {.type = DT_I64};
	const char *more = onnx_str(n, "default_string", unused);
	double otherwise = (double)onnx_int(n, "default_int64", -1);
	Value *x = n->in[0];

	if (words_are_strings(n->r, x)) {
		values.v = ml_ints(n, "cats_int64s");
		if (!words_keys(n, "cats_strings", x, &keys.v))
			return false;
	} else {
		keys.v = ml_ints(n, "cats_int64s");
		if (!words_result(n, "cats_strings", more, &values.v, &otherwise))
			return false;
	}
	return look_up(n, x, &keys, &values, otherwise);
}

/* ---- Maps ---- */

/* The map from labels to scores: C has the scores in the order of the labels. */
bool
onnx_read_zip_map(ONode *n)
{
	onnx_ignore(n, "classlabels_int64s");
	onnx_ignore(n, "classlabels_strings");
	return onnx_result(n, n->in[0]);
}

/* A map from outside is the row that this would make of it. */
bool
onnx_read_dict_vectorizer(ONode *n)
{
	onnx_ignore(n, "string_vocabulary");
	onnx_ignore(n, "int64_vocabulary");
	if (!words_are_map(n->r, n->in[0]))
		return onnx_unsupported(n, "a map that is no input of the model");
	return onnx_result(n, n->in[0]);
}
