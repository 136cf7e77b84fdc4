/*
 * Linear models, support vector machines and preprocessing of ai.onnx.ml.
 */
#include <string.h>

#include "frontend/onnx/ml.h"

/* ---- Linear models ---- */

/* x w' + b as [N, outputs]. */
static Value *
linear(ONode *n, Value *x, Floats w, Floats b, int outputs)
{
	Node *k;
	Value *in[3] = {x};

	if (!x)
		return NULL;
	if (w.n / outputs != x->type.dim[1] || w.n % outputs != 0) {
		onnx_error_in(n, 0, E_SHAPE, "%d features do not fit %d coefficients of %d outputs",
		              x->type.dim[1], w.n, outputs);
		return NULL;
	}
	in[1] = ml_matrix(n, DT_F32, outputs, w.n / outputs, w.v);
	in[2] = b.n ? ml_vector(n, DT_F32, b.n, b.v) : NULL;
	k = in[1] ? onnx_node(n, OP_GEMM, b.n ? 3 : 2, in, 1) : NULL;
	if (k)
		((Attr_GEMM *)k->attr)->trans_b = true;
	return k ? onnx_finish(n, k) : NULL;
}

/* The transformation of rows of one score is only done for PROBIT. */
static Value *
post_rows(ONode *n, Value *scores, PostTransform post)
{
	bool one = scores && scores->type.dim[1] == 1;

	return ml_post(n, scores, one && post != POST_PROBIT ? POST_NONE : post);
}

bool
onnx_read_linear_regressor(ONode *n)
{
	Floats w = onnx_floats(n, "coefficients"), b = onnx_floats(n, "intercepts");
	int targets = (int)onnx_int_in(n, "targets", 1, 1, 1 << 20);
	PostTransform post = ml_post_attr(n);

	if (n->failed)
		return false;
	if (b.n != 0 && b.n != targets)
		return onnx_error_attr(n, "intercepts", E_ATTRIBUTE,
		                       "there are %d intercepts for %d targets", b.n, targets);
	return onnx_result(n, post_rows(n, linear(n, ml_rows(n, DT_F32), w, b, targets), post));
}

/* One score for two classes: the columns [1 - s, s]. */
static Value *
two_columns(ONode *n, Value *s, PostTransform post)
{
	Value *other = onnx_unary(n, OP_NEG, s);

	if (post == POST_PROBIT) {
		other = onnx_with(n, OP_MUL, s, 0);
		s = ml_post(n, s, post);
		return onnx_concat(n, 2, (Value *[]){s, other}, 1);
	}
	if (post == POST_LOGISTIC) {
		other = onnx_unary(n, OP_SIGMOID, other);
		s = onnx_unary(n, OP_SIGMOID, s);
	} else {
		other = onnx_with(n, OP_ADD, other, 1);
	}
	return s && other ? onnx_concat(n, 2, (Value *[]){other, s}, 1) : NULL;
}

bool
onnx_read_linear_classifier(ONode *n)
{
	Floats w = onnx_floats(n, "coefficients"), b = onnx_floats(n, "intercepts");
	PostTransform post = ml_post_attr(n);
	Labels labels;
	Value *s;

	onnx_ignore(n, "multi_class");
	if (!ml_labels(n, "classlabels_ints", "classlabels_strings", &labels))
		return false;
	if (b.n < 1 || (b.n != labels.n && !(b.n == 1 && labels.n == 2)))
		return onnx_error_attr(n, "intercepts", E_ATTRIBUTE,
		                       "there are %d intercepts for %d labels", b.n, labels.n);
	s = linear(n, ml_rows(n, DT_F32), w, b, b.n);
	if (!s)
		return false;
	if (b.n > 1 || labels.n == 1) {
		n->out[0] = ml_best_label(n, &labels, s);
		n->out[1] = post_rows(n, s, post);
	} else {
		Value *yes = onnx_with(n, OP_GREATER, onnx_squeeze(n, s, 1), 0);

		n->out[0] = ml_choose_label(n, yes, labels.number ? labels.number[1] : 1,
		                            labels.number ? labels.number[0] : 0);
		n->out[1] = two_columns(n, s, post);
	}
	return n->out[0] && n->out[1];
}

/* ---- Support vector machines ---- */

typedef struct {
	int kind; /* index of the kernel's name */
	double gamma, coef0, degree;
} Kernel;

static bool
read_kernel(ONode *n, Kernel *k)
{
	static const char *const words[] = {"LINEAR", "POLY", "RBF", "SIGMOID", NULL};
	Floats p = onnx_floats(n, "kernel_params");

	*k = (Kernel){.kind = onnx_word(n, "kernel_type", words, 0)};
	if (p.n != 0 && p.n != 3)
		return onnx_error_attr(n, "kernel_params", E_ATTRIBUTE, "there must be 3 of them");
	if (p.n == 3) {
		k->gamma = p.v[0];
		k->coef0 = p.v[1];
		k->degree = p.v[2];
	}
	return !n->failed;
}

/* The kernel of each row with each support vector: [N, vectors]. */
static Value *
apply_kernel(ONode *n, const Kernel *k, Value *x, Floats vectors, int count)
{
	Value *y, *v;
	Node *node;

	if (!x)
		return NULL;
	if (k->kind != 2) {
		y = linear(n, x, vectors, (Floats)NO_FLOATS, count);
		if (!y || k->kind == 0)
			return y;
		y = onnx_with(n, OP_ADD, onnx_with(n, OP_MUL, y, k->gamma), k->coef0);
		return k->kind == 3 ? onnx_unary(n, OP_TANH, y) : onnx_with(n, OP_POW, y, k->degree);
	}
	if (vectors.n / count != x->type.dim[1] || vectors.n % count != 0) {
		onnx_error_in(n, 0, E_SHAPE, "%d features do not fit the %d numbers of %d vectors",
		              x->type.dim[1], vectors.n, count);
		return NULL;
	}
	v = ml_matrix(n, DT_F32, count, x->type.dim[1], vectors.v);
	node = v ? onnx_node(n, OP_SQUARED_DISTANCE, 2, (Value *[]){x, v}, 1) : NULL;
	y = node ? onnx_finish(n, node) : NULL;
	return y ? onnx_unary(n, OP_EXP, onnx_with(n, OP_MUL, y, -k->gamma)) : NULL;
}

bool
onnx_read_svm_regressor(ONode *n)
{
	Floats w = onnx_floats(n, "coefficients"), rho = onnx_floats(n, "rho");
	Floats vectors = onnx_floats(n, "support_vectors");
	int count = (int)onnx_int_in(n, "n_supports", 0, 0, 1 << 20);
	bool one_class = onnx_flag(n, "one_class", false);
	Value *x = ml_rows(n, DT_F32), *y;
	Kernel k;

	onnx_ignore(n, "post_transform"); /* ONNX Runtime does none */
	if (!read_kernel(n, &k) || !x)
		return false;
	if (rho.n < 1)
		return onnx_error_attr(n, "rho", E_ATTRIBUTE, "it must have a value");
	rho.n = 1;
	if (count > 0)
		x = apply_kernel(n, &k, x, vectors, count);
	y = linear(n, x, w, rho, 1);
	if (y && one_class)
		y = onnx_where(n, onnx_with(n, OP_GREATER, y, 0), onnx_scalar(n, DT_F32, 1),
		               onnx_scalar(n, DT_F32, -1));
	return onnx_result(n, y);
}

/* One binary machine a pair of classes i < j, as a row of weights of all vectors. */
typedef struct {
	int classes, pairs, vectors;
	double *weight;       /* [pairs, vectors] */
	double *win, *lose;   /* votes of a pair when its score is positive: lose + win */
} Pairs;

static bool
make_pairs(ONode *n, Ints per_class, Floats w, Pairs *p)
{
	Arena *a = n->r->arena;
	int *start = ARENA_ARRAY(a, int, per_class.n + 1), pair = 0;
	int64_t total = 0;

	for (int i = 0; i < per_class.n; i++) {
		if (per_class.v[i] < 0 || per_class.v[i] > w.n)
			return onnx_error_attr(n, "vectors_per_class", E_VALUE,
			                       "%lld vectors are more than there are coefficients",
			                       (long long)per_class.v[i]);
		total += per_class.v[i];
		start[i + 1] = (int)total;
	}
	p->classes = per_class.n;
	p->pairs = p->classes * (p->classes - 1) / 2;
	p->vectors = (int)total;
	if (total > w.n || (p->classes - 1) * total > w.n || p->pairs * total > 1 << 24)
		return onnx_error_attr(n, "coefficients", E_ATTRIBUTE,
		                       "%d coefficients do not fit %d classes with %lld vectors", w.n,
		                       p->classes, (long long)total);
	p->weight = ARENA_ARRAY(a, double, (size_t)p->pairs * (size_t)p->vectors);
	p->win = ARENA_ARRAY(a, double, (size_t)p->pairs * (size_t)p->classes);
	p->lose = ARENA_ARRAY(a, double, p->classes);
	for (int i = 0; i < p->classes; i++)
		for (int j = i + 1; j < p->classes; j++, pair++) {
			double *row = p->weight + (size_t)pair * (size_t)p->vectors;

			for (int s = start[i]; s < start[i + 1]; s++)
				row[s] = w.v[(j - 1) * total + s];
			for (int s = start[j]; s < start[j + 1]; s++)
				row[s] = w.v[i * total + s];
			p->win[i * p->pairs + pair] = 1;
			p->win[j * p->pairs + pair] = -1;
			p->lose[j]++;
		}
	return true;
}

/* How many pairs each class wins: [N, classes]. */
static Value *
votes(ONode *n, const Pairs *p, Value *scores)
{
	Value *won = scores ? onnx_with(n, OP_GREATER, scores, 0) : NULL;
	Floats win = {p->classes * p->pairs, p->win}, lose = {p->classes, p->lose};

	return won ? linear(n, onnx_cast(n, won, DT_F32), win, lose, p->classes) : NULL;
}

/* Probabilities of classes from the scores of pairs, as libsvm makes them. */
static Value *
svm_probabilities(ONode *n, const Pairs *p, Value *scores, Floats a, Floats b)
{
	Value *v = ml_vector(n, DT_F32, p->pairs, a.v), *k = ml_vector(n, DT_F32, p->pairs, b.v);
	Node *node;

	v = v && scores ? onnx_binary(n, OP_MUL, scores, v) : NULL;
	v = v && k ? onnx_binary(n, OP_ADD, v, k) : NULL;
	v = v ? onnx_with(n, OP_ADD, onnx_unary(n, OP_NEG, onnx_unary(n, OP_SIGMOID, v)), 1) : NULL;
	v = v ? onnx_with(n, OP_MAX, v, (double)1e-7f) : NULL;
	v = v ? onnx_with(n, OP_MIN, v, (double)(1 - 1e-7f)) : NULL;
	node = v ? onnx_node(n, OP_COUPLE_PAIRS, 1, &v, 1) : NULL;
	if (!node)
		return NULL;
	((Attr_COUPLE_PAIRS *)node->attr)->classes = p->classes;
	return onnx_finish(n, node);
}

/* Two classes: their label by the one score, and the scores in two columns. */
static bool
svm_two(ONode *n, const Labels *labels, Value *s, Value *best, PostTransform post)
{
	n->out[0] = ml_label(n, labels, best);
	if (post == POST_NONE && s)
		n->out[1] = onnx_concat(n, 2, (Value *[]){onnx_unary(n, OP_NEG, s), s}, 1);
	else
		n->out[1] = s ? two_columns(n, s, post) : NULL;
	return n->out[0] && n->out[1];
}

static bool
svm_vectors(ONode *n, const Labels *labels, Value *x, const Kernel *k, PostTransform post)
{
	Floats w = onnx_floats(n, "coefficients"), rho = onnx_floats(n, "rho");
	Floats vectors = onnx_floats(n, "support_vectors");
	Floats prob_a = onnx_floats(n, "prob_a"), prob_b = onnx_floats(n, "prob_b");
	Ints per_class = onnx_ints(n, "vectors_per_class");
	Value *s, *v, *best;
	Node *top;
	Pairs p = {0};

	if (per_class.n != labels->n || labels->n < 2 || labels->n > 1000)
		return onnx_error_attr(n, "vectors_per_class", E_ATTRIBUTE,
		                       "it has %d entries for %d labels", per_class.n, labels->n);
	if (!make_pairs(n, per_class, w, &p))
		return false;
	if (rho.n < p.pairs)
		return onnx_error_attr(n, "rho", E_ATTRIBUTE, "%d values do not do for %d pairs",
		                       rho.n, p.pairs);
	rho.n = p.pairs;
	if (prob_a.n > 0 && (prob_a.n < p.pairs || prob_b.n < p.pairs))
		return onnx_error_attr(n, "prob_a", E_ATTRIBUTE,
		                       "%d and %d values in 'prob_b' do not do for %d pairs",
		                       prob_a.n, prob_b.n, p.pairs);
	s = apply_kernel(n, k, x, vectors, p.vectors);
	s = linear(n, s, (Floats){p.pairs * p.vectors, p.weight}, rho, p.pairs);
	v = votes(n, &p, s);
	top = v ? onnx_node(n, OP_ARG_MAX, 1, &v, 1) : NULL;
	if (!top)
		return false;
	*(Attr_ARG_MAX *)top->attr = (Attr_ARG_MAX){.axis = 1, .keepdims = false};
	best = onnx_finish(n, top);
	if (prob_a.n > 0) {
		n->out[0] = ml_label(n, labels, best);
		n->out[1] = ml_post(n, svm_probabilities(n, &p, s, prob_a, prob_b), post);
		return n->out[0] && n->out[1];
	}
	if (p.pairs == 1)
		return svm_two(n, labels, s, best, post);
	n->out[0] = ml_label(n, labels, best);
	n->out[1] = ml_post(n, s, post);
	return n->out[0] && n->out[1];
}

bool
onnx_read_svm_classifier(ONode *n)
{
	Floats w = onnx_floats(n, "coefficients"), rho = onnx_floats(n, "rho");
	PostTransform post = ml_post_attr(n);
	Value *x = ml_rows(n, DT_F32), *s;
	Labels labels;
	Kernel k;

	if (!ml_labels(n, "classlabels_ints", "classlabels_strings", &labels) ||
	    !read_kernel(n, &k) || !x)
		return false;
	if (rho.n < 1)
		return onnx_error_attr(n, "rho", E_ATTRIBUTE, "it must have a value");
	if (onnx_floats(n, "support_vectors").n > 0)
		return svm_vectors(n, &labels, x, &k, post);
	if (onnx_floats(n, "prob_a").n > 0)
		return onnx_unsupported(n, "estimating probabilities without support vectors");
	onnx_ignore(n, "prob_b");
	onnx_ignore(n, "vectors_per_class");
	s = linear(n, x, w, (Floats)NO_FLOATS, labels.n);
	s = s ? onnx_with(n, OP_ADD, s, rho.v[0]) : NULL;
	n->out[0] = ml_best_label(n, &labels, s);
	n->out[1] = ml_post(n, s, post);
	return n->out[0] && n->out[1];
}

/* ---- Preprocessing ---- */

/* A number for all features, or one each, as a constant that broadcasts. */
static Value *
per_feature(ONode *n, const char *name, DType t, Floats v, const Value *x)
{
	int features = x->type.rank > 0 ? x->type.dim[x->type.rank - 1] : 1;

	if (v.n != 1 && v.n != features) {
		onnx_error_attr(n, name, E_ATTRIBUTE, "'%s' has %d entries for %d features", name,
		                v.n, features);
		return NULL;
	}
	return ml_vector(n, t, v.n, v.v);
}

bool
onnx_read_scaler(ONode *n)
{
	Floats offset = onnx_floats(n, "offset"), scale = onnx_floats(n, "scale");
	Value *x = n->in[0], *o, *s;

	if (x->type.dtype != DT_F32)
		x = onnx_cast(n, x, DT_F32);
	if (!x || n->failed)
		return false;
	o = per_feature(n, "offset", DT_F32, offset, x);
	s = o ? per_feature(n, "scale", DT_F32, scale, x) : NULL;
	x = s ? onnx_binary(n, OP_SUB, x, o) : NULL;
	return onnx_result(n, x ? onnx_binary(n, OP_MUL, x, s) : NULL);
}

bool
onnx_read_normalizer(ONode *n)
{
	static const char *const words[] = {"MAX", "L1", "L2", NULL};
	static const Op reduce[] = {OP_REDUCE_MAX, OP_REDUCE_L1, OP_REDUCE_L2};
	int kind = onnx_word(n, "norm", words, 0);
	Value *x = ml_rows(n, DT_F32), *norm, *zero;

	if (!x || n->failed)
		return false;
	norm = onnx_reduce(n, reduce[kind], x, onnx_range(n, 1, 2), true);
	if (!norm)
		return false;
	zero = onnx_with(n, OP_EQUAL, norm, 0);
	norm = onnx_where(n, zero, onnx_scalar(n, DT_F32, 1), norm);
	x = onnx_binary(n, OP_DIV, x, norm);
	return onnx_result(n, x && n->in[0]->type.rank == 1 ? onnx_squeeze(n, x, 0) : x);
}
bool
onnx_read_imputer(ONode *n)
{
	Value *x = n->in[0], *hit, *with;
	bool is_float = dtype_is_float(x->type.dtype);
	const char *name = is_float ? "imputed_value_floats" : "imputed_value_int64s";
	Floats v = is_float ? onnx_floats(n, name) : ml_ints(n, name);
	double old = is_float ? onnx_float(n, "replaced_value_float", 0)
	                      : (double)onnx_int(n, "replaced_value_int64", 0);

	onnx_ignore(n, is_float ? "replaced_value_int64" : "replaced_value_float");
	onnx_ignore(n, is_float ? "imputed_value_int64s" : "imputed_value_floats");
	if (n->failed)
		return false;
	with = per_feature(n, name, x->type.dtype, v, x);
	hit = old != old ? onnx_unary(n, OP_IS_NAN, x) : onnx_with(n, OP_EQUAL, x, old);
	return onnx_result(n, with && hit ? onnx_where(n, hit, with, x) : NULL);
}

bool
onnx_read_binarizer(ONode *n)
{
	double threshold = onnx_float(n, "threshold", 0);
	Value *x = n->in[0], *hit;

	if (n->failed)
		return false;
	/* Integers are compared with the number as it is. */
	hit = dtype_is_float(x->type.dtype) ? x : onnx_cast(n, x, DT_F64);
	hit = hit ? onnx_with(n, OP_GREATER, hit, threshold) : NULL;
	return onnx_result(n, hit ? onnx_cast(n, hit, x->type.dtype) : NULL);
}

bool
onnx_read_array_feature_extractor(ONode *n)
{
	Value *x = n->in[0], *at = n->in[1];

	if (x->type.rank == 0)
		return onnx_error_in(n, 0, E_SHAPE, "'%s' has no features", x->name);
	if (at->type.rank != 1)
		at = onnx_reshape(n, at, onnx_list(n, 1, (int64_t[]){type_numel(&at->type)}));
	if (x->type.rank == 1)
		x = onnx_unsqueeze(n, x, 0);
	return onnx_result(n, x && at ? onnx_gather(n, x, at, x->type.rank - 1) : NULL);
}

/* Columns of an input, cut or filled with zeros to the stated number. */
static Value *
feature_columns(ONode *n, int i, int64_t wanted)
{
	Value *x = n->in[i];
	int32_t rows, columns;

	if (!x) {
		onnx_error(n, E_ARITY, "input %d of '%s' is missing", i, n->info->name);
		return NULL;
	}
	rows = x->type.rank > 0 ? x->type.dim[0] : 1;
	columns = x->type.rank > 0 && rows > 0 ? type_numel(&x->type) / rows : 1;
	x = onnx_reshape(n, x, onnx_list(n, 2, (int64_t[]){rows, columns}));
	if (x && x->type.dtype != DT_F32)
		x = onnx_cast(n, x, DT_F32);
	if (x && wanted < columns)
		return ml_columns(n, x, 0, (int)wanted);
	if (x && wanted > columns)
		return onnx_pad(n, x, onnx_list(n, 4, (int64_t[]){0, 0, 0, wanted - columns}),
		                PAD_constant, NULL);
	return x;
}

bool
onnx_read_feature_vectorizer(ONode *n)
{
	Ints dims = onnx_ints(n, "inputdimensions");
	Value **part = ARENA_ARRAY(n->r->arena, Value *, n->nins);

	if (n->failed)
		return false;
	if (dims.n != n->nins)
		return onnx_error_attr(n, "inputdimensions", E_ATTRIBUTE,
		                       "it has %d entries for %d inputs", dims.n, n->nins);
	for (int i = 0; i < n->nins; i++) {
		if (dims.v[i] < 0 || dims.v[i] > INT32_MAX / 2)
			return onnx_error_attr(n, "inputdimensions", E_VALUE, "%lld columns",
			                       (long long)dims.v[i]);
		part[i] = feature_columns(n, i, dims.v[i]);
		if (!part[i])
			return false;
	}
	return onnx_result(n, onnx_concat(n, n->nins, part, 1));
}
