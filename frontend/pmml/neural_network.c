/*
 * NeuralNetwork: layers of neurons over numbers that fields are turned into.
 *
 * The activations of all neurons are one list in the order of the file.  A layer is a
 * loop over its neurons and, in it, over those that any of them is connected to; a
 * connection that is not there has the weight 0.
 */
#include <math.h>
#include <string.h>

#include "frontend/pmml/link.h"
#include "frontend/pmml/pmml.h"

typedef enum {
	ACT_THRESHOLD,
	ACT_LOGISTIC,
	ACT_TANH,
	ACT_IDENTITY,
	ACT_EXPONENTIAL,
	ACT_RECIPROCAL,
	ACT_SQUARE,
	ACT_GAUSS,
	ACT_SINE,
	ACT_COSINE,
	ACT_ELLIOTT,
	ACT_ARCTAN,
	ACT_RECTIFIER,
	ACT_RADIAL
} Transfer;

static const char *const activation_words[] = {
	"threshold", "logistic", "tanh",   "identity", "exponential", "reciprocal", "square",
	"Gauss",     "sine",     "cosine", "Elliott",  "arctan",      "rectifier",  "radialBasis",
	NULL};

static const char *const normalization_words[] = {"none", "simplemax", "softmax", NULL};

/* The function by the model, a layer's own ones by the layer. */
typedef struct {
	Pmml *p;
	const Xml *e;
	Labels *ids;   /* of neurons, inputs first, by their number */
	int inputs;
	LBuf *a;       /* activations */
} Net;

/* ---- Inputs ---- */

static bool
count_neurons(Net *n, int *out)
{
	const Xml *inputs = pmml_need_child(n->p, n->e, "NeuralInputs");

	n->ids = labels_new(n->p);
	*out = 0;
	for (const Xml *c = xml_child(inputs, "NeuralInput"); c; c = xml_same(c), ++*out) {
		const char *id = pmml_need(n->p, c, "id");

		if (!id || labels_add(n->p, n->ids, id) != *out)
			return id && pmml_error(n->p, c, "there is another neuron '%.60s'", id);
	}
	n->inputs = *out;
	for (const Xml *l = xml_child(n->e, "NeuralLayer"); l; l = xml_same(l))
		for (const Xml *c = xml_child(l, "Neuron"); c; c = xml_same(c), ++*out) {
			const char *id = pmml_need(n->p, c, "id");

			if (!id || labels_add(n->p, n->ids, id) != *out)
				return id &&
				       pmml_error(n->p, c, "there is another neuron '%.60s'", id);
		}
	return inputs != NULL;
}

/* Inputs are derived fields without a use of their names. */
static bool
read_inputs(Net *n)
{
	Pmml *p = n->p;
	int i = 0;

	for (const Xml *c = xml_child(xml_child(n->e, "NeuralInputs"), "NeuralInput"); c;
	     c = xml_same(c), i++) {
		const Xml *field = pmml_need_child(p, c, "DerivedField");
		const Xml *expression = field ? expression_child(field) : NULL;
		Expr *x;
		Val v;

		if (!expression)
			return pmml_error(p, c, "there is no expression in it");
		if (!expression_read(p, expression, &v) || !value_to_number(p, expression, v, &x))
			return false;
		code_put(p, n->a, i, x);
	}
	return true;
}

/* ---- Layers ---- */

typedef struct {
	int neurons, first;  /* of the layer, among all */
	int from, width;     /* what it is connected to */
	double *weight, *bias, *radius, *altitude, *fan_in;
} Layer;

/* The numbers of neurons that the layer is connected to. */
static bool
find_range(Net *n, const Xml *layer, Layer *l)
{
	int lo = n->ids->v.n, hi = -1;

	for (const Xml *c = xml_child(layer, "Neuron"); c; c = xml_same(c)) {
		for (const Xml *con = xml_child(c, "Con"); con; con = xml_same(con)) {
			const char *from = pmml_need(n->p, con, "from");
			int k = from ? labels_find(n->ids, from) : -1;

			if (k < 0 || k >= l->first)
				return from &&
				       pmml_error(n->p, con,
				                  "there is no neuron '%.60s' before this", from);
			lo = k < lo ? k : lo;
			hi = k > hi ? k : hi;
		}
		l->neurons++;
	}
	l->from = hi >= 0 ? lo : 0;
	l->width = hi >= 0 ? hi - lo + 1 : 1;
	return l->neurons > 0 || pmml_error(n->p, layer, "there is no neuron in it");
}

/* An attribute of the neuron, the layer or the model. */
static bool
inherited(Net *n, const Xml *neuron, const char *name, double otherwise, double *out)
{
	const Xml *place[] = {neuron, neuron->parent, n->e};

	for (int i = 0; i < 3; i++)
		if (xml_attr(place[i], name))
			return pmml_number(n->p, place[i], name, out);
	*out = otherwise;
	return true;
}

static bool
read_weights(Net *n, const Xml *layer, Layer *l)
{
	Arena *a = n->p->a;
	int i = 0;

	if ((int64_t)l->neurons * l->width > INT32_MAX / 8)
		return pmml_error(n->p, layer, "the layer is too large");
	l->weight = ARENA_ARRAY(a, double, l->neurons * l->width);
	l->bias = ARENA_ARRAY(a, double, l->neurons);
	l->radius = ARENA_ARRAY(a, double, l->neurons);
	l->altitude = ARENA_ARRAY(a, double, l->neurons);
	l->fan_in = ARENA_ARRAY(a, double, l->neurons);
	for (const Xml *c = xml_child(layer, "Neuron"); c; c = xml_same(c), i++) {
		if (!pmml_number_or(n->p, c, "bias", 0, &l->bias[i]) ||
		    !inherited(n, c, "width", 0, &l->radius[i]) ||
		    !inherited(n, c, "altitude", 1, &l->altitude[i]))
			return false;
		for (const Xml *con = xml_child(c, "Con"); con; con = xml_same(con)) {
			int k = labels_find(n->ids, xml_attr(con, "from")) - l->from;

			if (!pmml_number(n->p, con, "weight", &l->weight[i * l->width + k]))
				return false;
			l->fan_in[i]++;
		}
	}
	return true;
}

static Expr *
activate(Pmml *p, int function, Expr *z, double threshold)
{
	LBuilder *b = code(p);
	Expr *one = code_number(p, 1), *zero = code_number(p, 0);

	switch ((Transfer)function) {
	case ACT_THRESHOLD:
		return code_select(p, code_op(p, KOP_GT, z, code_number(p, threshold)), one, zero);
	case ACT_LOGISTIC: return code_call(p, "sigmoid", z);
	case ACT_TANH: return code_call(p, "tanh", z);
	case ACT_IDENTITY: return z;
	case ACT_EXPONENTIAL: return code_call(p, "exp", z);
	case ACT_RECIPROCAL: return code_op(p, KOP_DIV, one, z);
	case ACT_SQUARE: return code_mul(p, z, z);
	case ACT_GAUSS: return code_call(p, "exp", loop_op1(b, KOP_NEG, code_mul(p, z, z)));
	case ACT_SINE: return code_call(p, "sin", z);
	case ACT_COSINE: return code_call(p, "cos", z);
	case ACT_ELLIOTT:
		return code_op(p, KOP_DIV, z, code_add(p, one, loop_op1(b, KOP_ABS, z)));
	case ACT_ARCTAN:
		return code_mul(p, code_number(p, 0.63661977236758134308), code_call(p, "atan", z));
	case ACT_RECTIFIER: return loop_op2(b, KOP_MAX, z, zero);
	case ACT_RADIAL: break;
	}
	return z;
}

/* exp(f log(altitude) - |x - w|^2 / (2 width^2)), with f connections. */
static Expr *
radial(Net *n, const Layer *l, Expr *i, Expr *z)
{
	Pmml *p = n->p;
	LBuilder *b = code(p);
	double *scale = ARENA_ARRAY(p->a, double, l->neurons);
	double *height = ARENA_ARRAY(p->a, double, l->neurons);
	LBuf *s, *h;

	for (int k = 0; k < l->neurons; k++) {
		scale[k] = 1 / (2 * l->radius[k] * l->radius[k]);
		height[k] = l->fan_in[k] * log(l->altitude[k]);
	}
	s = kernel_table(p, "scale", DT_F64, l->neurons, scale);
	h = kernel_table(p, "height", DT_F64, l->neurons, height);
	z = code_mul(p, z, loop_load(b, s, i));
	return code_call(p, "exp", code_op(p, KOP_SUB, loop_load(b, h, i), z));
}

static void
write_layer(Net *n, const Layer *l, int function, double threshold)
{
	Pmml *p = n->p;
	LBuf *w = kernel_table(p, "weights", DT_F64, l->neurons * l->width, l->weight);
	LBuf *bias = kernel_table(p, "bias", DT_F64, l->neurons, l->bias);
	LBuilder *b = code(p);
	Expr *i = loop_for(b, "i", 0, l->neurons), *k, *x, *y;
	LVar *z = loop_var(b, "z",
	                   function == ACT_RADIAL ? code_number(p, 0) : loop_load(b, bias, i));

	k = loop_for(b, "k", 0, l->width);
	x = loop_load(b, n->a, loop_affine(b, k, 1, l->from));
	y = loop_load(b, w, loop_add(b, loop_affine(b, i, l->width, 0), k));
	if (function == ACT_RADIAL) {
		x = code_let(p, "d", code_op(p, KOP_SUB, x, y));
		y = x;
	}
	loop_set(b, z, code_add(p, loop_get(b, z), code_mul(p, y, x)));
	loop_end(b);
	x = function == ACT_RADIAL ? radial(n, l, i, loop_get(b, z))
	                           : activate(p, function, loop_get(b, z), threshold);
	loop_store(b, n->a, loop_affine(b, i, 1, l->first), x);
	loop_end(b);
}

/* Of the activations of a layer; the list is part of a longer one. */
static void
normalize(Net *n, const Layer *l, int how)
{
	Pmml *p = n->p;
	LBuilder *b = code(p);
	LBuf *own = kernel_scratch(p, "layer", DT_F64, l->neurons);
	Expr *i = loop_for(b, "i", 0, l->neurons);

	loop_store(b, own, i, loop_load(b, n->a, loop_affine(b, i, 1, l->first)));
	loop_end(b);
	if (how == 1)
		link_simplemax(p, own, l->neurons);
	else
		link_softmax(p, own, l->neurons);
	i = loop_for(b, "i", 0, l->neurons);
	loop_store(b, n->a, loop_affine(b, i, 1, l->first), loop_load(b, own, i));
	loop_end(b);
}

static bool
read_layer(Net *n, const Xml *layer, int *first)
{
	Pmml *p = n->p;
	Layer l = {.first = *first};
	int function, normalization;
	double threshold;

	if (!pmml_word(p, n->e, "activationFunction", activation_words, -1, &function) ||
	    !pmml_word(p, layer, "activationFunction", activation_words, function, &function) ||
	    !pmml_word(p, n->e, "normalizationMethod", normalization_words, 0, &normalization) ||
	    !pmml_word(p, layer, "normalizationMethod", normalization_words, normalization,
	               &normalization) ||
	    !pmml_number_or(p, n->e, "threshold", 0, &threshold) ||
	    !pmml_number_or(p, layer, "threshold", threshold, &threshold) ||
	    !find_range(n, layer, &l) || !read_weights(n, layer, &l))
		return false;
	if (function < 0)
		return pmml_error(p, layer, "there is no activation function");
	write_layer(n, &l, function, threshold);
	/* The model's normalisation is for its last layer. */
	if (normalization && (xml_attr(layer, "normalizationMethod") || !xml_same(layer)))
		normalize(n, &l, normalization);
	*first += l.neurons;
	return true;
}

/* ---- Outputs ---- */

/* The number that a field had before NormContinuous made x of it. */
static bool
denormalize(Pmml *p, const Xml *norm, Expr *x, Expr **out)
{
	double orig[2], value[2];
	Expr *y = NULL, *piece;
	const Xml *a = xml_child(norm, "LinearNorm");

	if (!a || !xml_same(a))
		return pmml_error(p, norm, "it needs at least two <LinearNorm>");
	x = code_let(p, "x", x);
	for (; xml_same(a); a = xml_same(a)) {
		const Xml *b = xml_same(a);
		bool rising;

		if (!pmml_number(p, a, "orig", &orig[0]) || !pmml_number(p, a, "norm", &value[0]) ||
		    !pmml_number(p, b, "orig", &orig[1]) || !pmml_number(p, b, "norm", &value[1]))
			return false;
		rising = value[1] > value[0];
		piece = code_op(p, KOP_DIV, code_op(p, KOP_SUB, x, code_number(p, value[0])),
		                code_number(p, value[1] - value[0]));
		piece = code_add(p, code_number(p, orig[0]),
		                 code_mul(p, piece, code_number(p, orig[1] - orig[0])));
		y = y ? code_select(
				p,
				code_op(p, rising ? KOP_GT : KOP_LT, x, code_number(p, value[0])),
				piece, y)
		      : piece;
		y = code_let(p, "y", y);
	}
	*out = y;
	return true;
}

static bool
neuron_value(Net *n, const Xml *output, Expr **out)
{
	const char *id = pmml_need(n->p, output, "outputNeuron");
	int k = id ? labels_find(n->ids, id) : -1;

	if (k < 0)
		return id && pmml_error(n->p, output, "there is no neuron '%.60s'", id);
	*out = code_at(n->p, n->a, k);
	return true;
}

static const Xml *
output_expression(Net *n, const Xml *output)
{
	const Xml *field = pmml_need_child(n->p, output, "DerivedField"), *e;

	e = field ? expression_child(field) : NULL;
	if (field && !e)
		pmml_error(n->p, output, "there is no expression in it");
	/* One derived field may stand for another. */
	for (int i = 0; e && xml_is(e, "FieldRef") && i < 8; i++) {
		const Xml *found = NULL,
			  *places[] = {xml_child(n->e, "LocalTransformations"),
		                       xml_child(n->p->root, "TransformationDictionary")};

		for (int k = 0; k < 2; k++)
			for (const Xml *d = xml_child(places[k], "DerivedField"); d;
			     d = xml_same(d))
				if (xml_attr(d, "name") && xml_attr(e, "field") &&
				    strcmp(xml_attr(d, "name"), xml_attr(e, "field")) == 0)
					found = expression_child(d);
		if (!found)
			break;
		e = found;
	}
	return e;
}

/* The targets of a model with several are told apart by the fields of the outputs. */
static bool
is_of_target(const Xml *expression, const char *target)
{
	const char *field = xml_attr(expression, "field");

	return !target || !field || strcmp(field, target) == 0;
}

static bool
regress(Net *n, const char *target, Val *out)
{
	Pmml *p = n->p;

	for (const Xml *o = xml_child(xml_child(n->e, "NeuralOutputs"), "NeuralOutput"); o;
	     o = xml_same(o)) {
		const Xml *e = output_expression(n, o);
		Expr *x;

		if (!e)
			return false;
		if (!is_of_target(e, target))
			continue;
		if (!neuron_value(n, o, &x))
			return false;
		if (xml_is(e, "NormContinuous") && !denormalize(p, e, x, &x))
			return false;
		if (!xml_is(e, "NormContinuous") && !xml_is(e, "FieldRef"))
			return pmml_unsupported(p, e, "this expression of an output");
		*out = value_of(p, TYPE_DOUBLE, code_let(p, "predicted", x));
		return true;
	}
	return pmml_error(p, n->e, "there is no <NeuralOutput> for the target");
}

/* The entity of a class is the neuron that speaks for it. */
static bool
name_winner(Net *n, Result *r)
{
	Pmml *p = n->p;
	int count = r->probability->count;
	double *neuron = ARENA_ARRAY(p->a, double, count);
	Val v = value_here(p, r->predicted);

	r->entities = labels_new(p);
	for (int i = 0; i < count; i++)
		neuron[i] = -1;
	for (const Xml *o = xml_child(xml_child(n->e, "NeuralOutputs"), "NeuralOutput"); o;
	     o = xml_same(o))
		neuron[labels_find(r->classes, xml_attr(output_expression(n, o), "value"))] =
			labels_add(p, r->entities, xml_attr(o, "outputNeuron"));
	r->entity = value_label(p, r->entities,
	                        code_lookup(p, kernel_table(p, "neurons", DT_I32, count, neuron),
	                                    count, v.e, code_int(p, -1)));
	r->entity.labelled = true;
	return true;
}

static bool
classify(Net *n, Result *r)
{
	Pmml *p = n->p;
	const Xml *outputs = xml_child(n->e, "NeuralOutputs");
	LBuf *list;
	int count = 0, last = -1;
	Expr *x = NULL;

	r->classes = model_target_labels(p, n->e);
	for (const Xml *o = xml_child(outputs, "NeuralOutput"); o; o = xml_same(o)) {
		const Xml *e = output_expression(n, o);

		if (!e || !xml_is(e, "NormDiscrete") || !pmml_need(p, e, "value"))
			return e && pmml_unsupported(p, e, "this expression of an output");
		labels_add(p, r->classes, xml_attr(e, "value"));
	}
	if (r->classes->v.n == 0)
		return pmml_error(p, n->e, "there are no classes");
	r->home = kernel_current(p);
	r->probability = list = kernel_scratch(p, "probability", DT_F64, r->classes->v.n);
	for (int i = 0; i < list->count; i++)
		code_put(p, list, i, code_number(p, 0));
	for (const Xml *o = xml_child(outputs, "NeuralOutput"); o; o = xml_same(o), count++) {
		last = labels_find(r->classes, xml_attr(output_expression(n, o), "value"));
		if (!neuron_value(n, o, &x))
			return false;
		code_put(p, list, last, x);
	}
	/* One output for two classes: the other one is what it leaves. */
	if (count == 1 && list->count == 2)
		code_put(p, list, 1 - last, code_op(p, KOP_SUB, code_number(p, 1), x));
	return result_from_probability(p, r) && (!r->want_entity || name_winner(n, r));
}

/* Targets beside the first one are outputs of their own. */
static bool
other_targets(Net *n, Result *r)
{
	const char *first = model_target(n->p, n->e);
	const Xml *schema = xml_child(n->e, "MiningSchema");

	for (const Xml *c = xml_child(schema, "MiningField"); c; c = xml_same(c)) {
		const char *usage = xml_attr(c, "usageType"), *name = xml_attr(c, "name");
		Val v;

		if (!usage || (strcmp(usage, "predicted") != 0 && strcmp(usage, "target") != 0) ||
		    strcmp(name, first) == 0)
			continue;
		if (!regress(n, name, &v))
			return false;
		result_add_output(n->p, r, name, v);
	}
	return true;
}

bool
model_neural_network(Pmml *p, const Xml *e, Result *r)
{
	Net n = {.p = p, .e = e};
	Function function;
	int neurons, first;

	if (!model_function(p, e, &function) || !pmml_need_child(p, e, "NeuralOutputs") ||
	    !count_neurons(&n, &neurons))
		return false;
	if (neurons == 0)
		return pmml_error(p, e, "there are no neurons");
	n.a = kernel_scratch(p, "neuron", DT_F64, neurons);
	if (!read_inputs(&n))
		return false;
	first = n.inputs;
	for (const Xml *l = xml_child(e, "NeuralLayer"); l; l = xml_same(l))
		if (!read_layer(&n, l, &first))
			return false;
	if (function == FN_CLASSIFICATION)
		return classify(&n, r);
	return regress(&n, NULL, &r->predicted) && other_targets(&n, r);
}
