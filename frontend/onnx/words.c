#include "frontend/onnx/words.h"

#include <string.h>

#include "frontend/onnx/ml.h"

/* A map from outside. */
typedef struct {
	const Value *value;
	const char *const *name;
} MapRow;

/* The words of one list, by number. */
typedef struct {
	VEC(const char *) v;
	Map number; /* of a word, as a place of `at` */
} List;

struct Words {
	List dictionary;
	VEC(const Value *) inputs;
	VEC(MapRow) maps;
	VEC(int) mark; /* by number of a value: 0, IS_INPUT, or its labels from FIRST_LABELS on */
	int marked;    /* labels that have marks */
};

enum { IS_INPUT = 1, FIRST_LABELS = 2 };

/* ---- Lists ---- */

static int
find_word(const List *l, const char *text)
{
	const int *at = map_get(&l->number, text);

	return at ? *at : -1;
}

static int
add_word(Arena *a, List *l, const char *text)
{
	int at = find_word(l, text), *number;

	if (at >= 0)
		return at;
	if (!l->number.arena)
		map_init(&l->number, a);
	number = ARENA_NEW(a, int);
	*number = l->v.n;
	map_set(&l->number, text, number);
	VEC_PUSH(a, &l->v, text);
	return *number;
}

static const char *
text_of(Arena *a, const ProtobufCBinaryData *s)
{
	return arena_strndup(a, (const char *)s->data, s->len);
}

/* ---- What comes in ---- */

static Words *
words_of(Onnx *r)
{
	if (!r->words)
		r->words = ARENA_NEW(r->arena, Words);
	return r->words;
}

static void
set_mark(Onnx *r, const Value *v, int mark)
{
	Words *w = words_of(r);

	while (w->mark.n <= v->id)
		VEC_PUSH(r->arena, &w->mark, 0);
	w->mark.v[v->id] = mark;
}

static int
mark_of(Onnx *r, const Value *v)
{
	Words *w = words_of(r);

	for (; w->marked < r->labelled.n; w->marked++)
		set_mark(r, r->labelled.v[w->marked].value, FIRST_LABELS + w->marked);
	return v->id < w->mark.n ? w->mark.v[v->id] : 0;
}

void
words_add_input(Onnx *r, const Value *v)
{
	VEC_PUSH(r->arena, &words_of(r)->inputs, v);
	set_mark(r, v, IS_INPUT);
}

void
words_add_map(Onnx *r, const Value *v, const char *const *names)
{
	VEC_PUSH(r->arena, &words_of(r)->maps, ((MapRow){v, names}));
}

bool
words_is_map(const TypeProto *t)
{
	return t && t->value_case == ONNX__TYPE_PROTO__VALUE_MAP_TYPE;
}

/* The keys that an operator knows: the operator says what element of the row they are. */
static int
read_vocabulary(Onnx *r, const NodeProto *p, const char *const **names)
{
	const char **v = NULL;
	size_t n = 0;

	for (size_t i = 0; i < p->n_attribute; i++) {
		const AttributeProto *a = p->attribute[i];
		const char *name = a->name ? a->name : "";

		if (strcmp(name, "string_vocabulary") == 0 && a->n_strings > 0 &&
		    a->n_strings <= ONNX_SMALL) {
			n = a->n_strings;
			v = ARENA_ARRAY(r->arena, const char *, n);
			for (size_t k = 0; k < n; k++)
				v[k] = text_of(r->arena, &a->strings[k]);
		} else if (strcmp(name, "int64_vocabulary") == 0 && a->n_ints > 0 &&
		           a->n_ints <= ONNX_SMALL) {
			n = a->n_ints;
			v = ARENA_ARRAY(r->arena, const char *, n);
			for (size_t k = 0; k < n; k++)
				v[k] = arena_printf(r->arena, "%lld", (long long)a->ints[k]);
		}
	}
	*names = v;
	return (int)n;
}

bool
words_map_input(Onnx *r, const GraphProto *g, const ValueInfoProto *info, const Loc *loc,
                Type *type, const char *const **names)
{
	const Onnx__TypeProto__Map *m = info->type->map_type;
	const TypeProto *element = m ? m->value_type : NULL;
	DType t = DT_COUNT;
	int n = 0;

	if (element && element->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
		t = onnx_dtype(element->tensor_type->elem_type);
	for (size_t i = 0; i < g->n_node && n == 0; i++) {
		const NodeProto *p = g->node[i];

		if (p->op_type && strcmp(p->op_type, "DictVectorizer") == 0 && p->n_input > 0 &&
		    strcmp(p->input[0], info->name) == 0)
			n = read_vocabulary(r, p, names);
	}
	if (t == DT_COUNT || n == 0)
		return diag_report(r->d, loc, E_UNSUPPORTED,
		                   "input '%s' is a map, which is only supported where a "
		                   "DictVectorizer knows its keys and its values are numbers",
		                   info->name);
	*type = type_make(t, 2, (int32_t[]){1, n});
	return true;
}

/* ---- What a value has ---- */

bool
words_are_map(const Onnx *r, const Value *v)
{
	for (int i = 0; r->words && i < r->words->maps.n; i++)
		if (r->words->maps.v[i].value == v)
			return true;
	return false;
}

/* Whether the node gives elements of its first input, or of all of them. */
static bool
moves_data(const Node *n)
{
	return n->op == OP_RESHAPE || n->op == OP_TRANSPOSE || n->op == OP_SLICE ||
	       n->op == OP_GATHER || n->op == OP_CONCAT || n->op == OP_EXPAND;
}

enum { MAX_MOVES = 100, MAX_JOINED = 1000 };

/* Where the elements of a value are from; what is joined is only looked at when that is
 * all from outside. */
static int
source_mark(Onnx *r, const Value *v, bool may_join)
{
	for (int i = 0; i < MAX_MOVES && !mark_of(r, v); i++) {
		const Node *n = v->def;

		if (!n || !moves_data(n))
			return 0;
		for (int k = 0; n->op == OP_CONCAT && k < n->nins; k++)
			if (!may_join || n->nins > MAX_JOINED ||
			    source_mark(r, n->in[k], false) != IS_INPUT)
				return 0;
		v = n->in[0];
	}
	return mark_of(r, v);
}

bool
words_are_strings(Onnx *r, const Value *v)
{
	return source_mark(r, v, true) != 0;
}

bool
words_may_be_taken(ONode *n)
{
	static const char *const takers[] = {
		"OneHotEncoder", "LabelEncoder", "CategoryMapper", "ArrayFeatureExtractor",
		"Identity",      "Reshape",      "Concat",         "Flatten",
		"Squeeze",       "Unsqueeze",    "Transpose",      "Slice",
		"Gather",        "Expand",       NULL};
	int i = 0;

	/* The labels of a classifier were always numbers, and may go on as such. */
	if (!n->r->words || n->r->words->inputs.n == 0)
		return true;
	while (takers[i] && strcmp(takers[i], n->info->name) != 0)
		i++;
	for (int k = 0; !takers[i] && k < n->nins; k++)
		if (n->in[k] && source_mark(n->r, n->in[k], true) == IS_INPUT)
			return onnx_error_in(n, k, E_TYPE, "'%s' has strings, which '%s' does not take",
			                     n->in[k]->name, n->info->name);
	return true;
}

/* The labels that the value has; NULL: the dictionary's words. */
static const Labelled *
labels_of(const Onnx *r, int mark)
{
	return mark >= FIRST_LABELS ? &r->labelled.v[mark - FIRST_LABELS] : NULL;
}

/* ---- Attributes ---- */

enum { NO_WORD = -2 }; /* what no element is */

bool
words_keys(ONode *n, const char *attr, const Value *x, Floats *out)
{
	Onnx *r = n->r;
	int mark = source_mark(r, x, true), count, at;
	const Labelled *labels = labels_of(r, mark);
	const ProtobufCBinaryData *s = onnx_strings(n, attr, &count);
	List own = {0};
	int *number;
	double *v;

	if (n->failed)
		return false;
	if (!mark)
		return onnx_error_in(n, 0, E_TYPE, "'%s' has no strings", x->name);
	number = ARENA_ARRAY(r->arena, int, labels ? labels->n : 0);
	for (int i = labels ? labels->n - 1 : -1; i >= 0; i--) /* the first of equals stays */
		number[add_word(r->arena, &own, labels->word[i])] = i;
	v = ARENA_ARRAY(r->arena, double, count);
	for (int i = 0; i < count; i++) {
		const char *text = text_of(r->arena, &s[i]);

		at = labels ? find_word(&own, text)
		            : add_word(r->arena, &r->words->dictionary, text);
		v[i] = at < 0 ? NO_WORD : labels ? number[at] : at;
	}
	*out = (Floats){count, v};
	return true;
}

bool
words_result(ONode *n, const char *attr, const char *more, Floats *out, double *number_of_more)
{
	int count;
	const ProtobufCBinaryData *s = onnx_strings(n, attr, &count);
	List list = {0};
	double *v;

	if (n->failed)
		return false;
	v = ARENA_ARRAY(n->r->arena, double, count);
	for (int i = 0; i < count; i++)
		v[i] = add_word(n->r->arena, &list, text_of(n->r->arena, &s[i]));
	*number_of_more = add_word(n->r->arena, &list, more);
	*out = (Floats){count, v};
	n->nlabels = list.v.n;
	n->label = list.v.v;
	return true;
}

/* ---- Fields ---- */

enum { MAX_FIELDS = 4096 };

static const char *
field_name(Onnx *r, const Value *v, const char *const *names, const char *stem, int32_t i)
{
	if (names)
		return names[i];
	return type_numel(&v->type) == 1 ? stem : arena_printf(r->arena, "%s_%d", stem, (int)i);
}

static void
add_fields(Onnx *r, const Value *v, bool is_output, int index, const char *stem)
{
	int mark = source_mark(r, v, true);
	const Labelled *labels = labels_of(r, mark);
	const char *const *names = NULL;
	Field f = {.index = index};

	for (int i = 0; r->words && i < r->words->maps.n; i++)
		if (r->words->maps.v[i].value == v)
			names = r->words->maps.v[i].name;
	if (mark) {
		f.kind = FIELD_category;
		f.nlabels = labels ? labels->n : r->words->dictionary.v.n;
		f.label = labels ? labels->word : r->words->dictionary.v.v;
		f.missing = f.other = !labels;
	}
	for (int32_t i = 0; i < type_numel(&v->type); i++) {
		f.name = field_name(r, v, names, stem, i);
		f.element = i;
		if (is_output)
			VEC_PUSH(r->arena, &r->g->output_fields, f);
		else
			VEC_PUSH(r->arena, &r->g->input_fields, f);
	}
}

/* Outputs of labels alone are fields also where inputs are not. */
void
words_declare(Onnx *r)
{
	const Graph *g = r->g;
	bool all = r->words && (r->words->inputs.n || r->words->maps.n);
	int64_t count = 0;

	for (int i = 0; i < g->inputs.n; i++)
		count += type_numel(&g->inputs.v[i]->type);
	for (int i = 0; i < g->outputs.n; i++)
		count += type_numel(&g->outputs.v[i]->type);
	all = all && count <= MAX_FIELDS;
	for (int i = 0; all && i < g->inputs.n; i++)
		add_fields(r, g->inputs.v[i], false, i, g->inputs.v[i]->name);
	for (int i = 0; i < g->outputs.n; i++)
		if (all || (count <= MAX_FIELDS && words_are_strings(r, g->outputs.v[i])))
			add_fields(r, g->outputs.v[i], true, i, g->output_names.v[i]);
}
