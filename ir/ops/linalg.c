/*
 * Matrix products and the determinant.
 */
#include <math.h>

#include "ir/lower.h"
#include "ir/ops/infer.h"
#include "ir/ops/dot.h"

enum {
	SET_PRODUCT = SET_FLOAT | 1 << DT_I32 | 1 << DT_U32 | 1 << DT_I64 | 1 << DT_U64
};

/* ---- matmul: y = a b, products added to 0 in the order of k ---- */

/* The type of the leading axes of a stack of matrices. */
static Type
batch_type(const Type *t)
{
	return type_make(t->dtype, t->rank - 2, t->dim);
}

static bool
infer_matmul_shape(const Node *n, Type *out, Diag *d)
{
	const Type *ta = &n->in[0]->type, *tb = &n->in[1]->type;
	Type batch_a, batch_b;

	if (!check_rank(n, d, 0, 2, MAX_RANK) ||
	    !check_rank(n, d, 1, 2, MAX_RANK) ||
	    !check_dim(n, d, 1, tb->rank - 2, ta->dim[ta->rank - 1]))
		return false;
	batch_a = batch_type(ta);
	batch_b = batch_type(tb);
	out->dtype = ta->dtype;
	if (!type_broadcast(&batch_a, &batch_b, out))
		return bad_input(n, d, E_SHAPE, 1, "the leading axes do not broadcast with those of "
		                 "%s", type_text(d->arena, ta));
	return push_dim(n, d, out, ta->dim[ta->rank - 2]) &&
	       push_dim(n, d, out, tb->dim[tb->rank - 1]);
}

bool
infer_matmul(const Node *n, Type *out, Diag *d)
{
	return check_dtypes(n, d, SET_PRODUCT) && infer_matmul_shape(n, out, d);
}

/* Both inputs have one scale; 16-bit numbers are multiplied by 16-bit numbers. */
bool
qinfer_matmul(const Node *n, Type *out, Diag *d)
{
	bool wide = n->in[0]->type.dtype == DT_I16;

	if (!infer_matmul_shape(n, out, d) || !check_all_quantized(n, d))
		return false;
	out[0].dtype = dot_output_type(n);
	if (!wide)
		return check_dot_quantized(n, d, 0);
	return check_same_dtype(n, d, 1) && check_output_like_input(n, d) &&
	       check_symmetric(n, d, 0) && check_symmetric(n, d, 1) &&
	       check_symmetric(n, d, -1) && check_dot_factors(n, d);
}

/* Where matrices and their elements lie. */
typedef struct {
	Expr *at;          /* the first element */
	int32_t row, column; /* elements between neighbours */
} Matrix;

static Expr *
element_at(LowerCtx *cx, const Matrix *m, Expr *row_at, Expr *column)
{
	return loop_add(&cx->b, row_at, loop_affine(&cx->b, column, m->column, 0));
}

static Expr *
row_of(LowerCtx *cx, const Matrix *m, Expr *row)
{
	return loop_add(&cx->b, m->at, loop_affine(&cx->b, row, m->row, 0));
}

/* Adds a[i, :] * b[:, j] to `acc`. */
static void
add_products(LowerCtx *cx, const Dot *l, LVar *acc, const Matrix *ma, const Matrix *mb, Expr *i, Expr *j,
             int32_t count)
{
	int depth = cx->b.depth;
	Expr *k;

	if (count == 0)
		return;
	k = lower_for(cx, "k", count);
	dot_add(cx, l, acc, element_at(cx, ma, row_of(cx, ma, i), k),
	           element_at(cx, mb, row_of(cx, mb, k), j));
	lower_end_to(cx, depth);
}

/* Opens the loops over the leading axes.  Where those of both inputs are the
 * same, or only `a` has some, they count as one axis. */
static void
open_batch(LowerCtx *cx, const Type *a, const Type *b, const Type *y, int32_t *rows, Matrix m[3])
{
	const Type *type[3] = {a, b, y};
	Type batch[3];
	Expr *at[MAX_RANK] = {NULL};

	for (int i = 0; i < 3; i++)
		batch[i] = batch_type(type[i]);
	if (type_numel(&batch[1]) == 1) {
		*rows *= type_numel(&batch[0]);
		for (int i = 0; i < 3; i++)
			m[i].at = loop_idx(&cx->b, 0);
		return;
	}
	if (type_same_shape(&batch[0], &batch[1]))
		for (int i = 0; i < 3; i++)
			batch[i] = type_make(y->dtype, 1, (int32_t[]){type_numel(&batch[i])});
	for (int i = 0; i < batch[2].rank; i++)
		at[i] = lower_for(cx, batch[2].rank == 1 ? "n" : arena_printf(cx->arena, "n%d", i),
		                  batch[2].dim[i]);
	for (int i = 0; i < 3; i++) {
		int32_t size = type_product(type[i], type[i]->rank - 2, type[i]->rank);
		static const char *const name[] = {"a_n", "b_n", "y_n"};
		Expr *e = lower_broadcast_index(cx, &batch[i], batch[2].rank, at);

		m[i].at = lower_let(cx, name[i], loop_affine(&cx->b, e, size, 0));
	}
}

void
lower_matmul(LowerCtx *cx, const Node *n)
{
	const Type *ta = &n->in[0]->type, *tb = &n->in[1]->type, *ty = &n->out[0]->type;
	int32_t rows = ta->dim[ta->rank - 2], columns = tb->dim[tb->rank - 1];
	int32_t inner = ta->dim[ta->rank - 1];
	Matrix m[3] = {{NULL, inner, 1}, {NULL, columns, 1}, {NULL, columns, 1}};
	LBuilder *b = &cx->b;
	Dot l = dot_begin(cx, n);
	Expr *i, *j, *y_at;
	LVar *acc;

	lower_name_inputs(cx, n, (const char *const[]){"a", "b"});
	open_batch(cx, ta, tb, ty, &rows, m);
	i = lower_for(cx, "i", rows);
	m[0].at = lower_let(cx, "a_i", row_of(cx, &m[0], i));
	y_at = lower_let(cx, "y_i", row_of(cx, &m[2], i));
	j = lower_for(cx, "j", columns);
	acc = dot_sum(cx, &l, NULL, j);
	add_products(cx, &l, acc, &m[0], &m[1], loop_idx(b, 0), j, inner);
	dot_store(cx, &l, loop_add(b, y_at, j), j, loop_get(b, acc));
	lower_end_to(cx, 0);
}

void
qlower_matmul(LowerCtx *cx, const Node *n)
{
	lower_matmul(cx, n);
}

/*
 * ---- gemm: y = alpha * (a' b') + beta * c ----
 *
 * With alpha = beta = 1 the products are added to c in the order of k.  Else they
 * are added to 0, the sum is multiplied by alpha, and beta * c is added to it.
 * Factors that are 1 are not multiplied by; with beta = 0 c is not looked at.
 */

static bool
check_factor(const Node *n, Diag *d, const char *name, double factor)
{
	/* Exact in every integer type, also in the float types' conversion. */
	if (dtype_is_float(n->in[0]->type.dtype) || (factor == rint(factor) && fabs(factor) < 0x1p31))
		return true;
	return bad_attribute(n, d, name, "%g is not an integer, but the elements are", factor);
}

static bool
infer_gemm_shape(const Node *n, Type *out, Diag *d)
{
	const Attr_GEMM *a = n->attr;
	const Type *ta = &n->in[0]->type, *tb = &n->in[1]->type;

	if (!check_rank(n, d, 0, 2, 2) || !check_rank(n, d, 1, 2, 2) ||
	    !check_dim(n, d, 1, a->trans_b ? 1 : 0, ta->dim[a->trans_a ? 0 : 1]))
		return false;
	*out = type_make(ta->dtype, 2,
	                 (int32_t[]){ta->dim[a->trans_a ? 1 : 0], tb->dim[a->trans_b ? 0 : 1]});
	return check_broadcasts_to(n, d, 2, out);
}

bool
infer_gemm(const Node *n, Type *out, Diag *d)
{
	const Attr_GEMM *a = n->attr;

	return check_dtypes(n, d, SET_PRODUCT) && check_factor(n, d, "alpha", a->alpha) &&
	       check_factor(n, d, "beta", a->beta) && infer_gemm_shape(n, out, d);
}

/* A fully connected layer: the bias is added to the sum as it is. */
bool
qinfer_gemm(const Node *n, Type *out, Diag *d)
{
	const Attr_GEMM *a = n->attr;

	if (a->alpha != 1 || a->beta != 1)
		return bad_attribute(n, d, a->alpha != 1 ? "alpha" : "beta",
		                     "must be 1 for quantised numbers");
	if (!infer_gemm_shape(n, out, d) || !check_vector(n, d, 2, out->dim[1]) ||
	    !check_dot_quantized(n, d, a->trans_b ? 0 : 1))
		return false;
	out->dtype = dot_output_type(n);
	return true;
}

/* factor * x, where the factor is not 1. */
static Expr *
scaled(LBuilder *b, double factor, Expr *x)
{
	return factor == 1 ? x : loop_mul(b, loop_const(b, x->type, factor), x);
}

void
lower_gemm(LowerCtx *cx, const Node *n)
{
	const Attr_GEMM *a = n->attr;
	const Type *ta = &n->in[0]->type, *tb = &n->in[1]->type, *ty = &n->out[0]->type;
	LBuf *c = n->nins > 2 && a->beta != 0 ? cx->in[2] : NULL;
	bool starts_with_c = c && a->alpha == 1 && a->beta == 1;
	LBuilder *b = &cx->b;
	Dot l = dot_begin(cx, n);
	Expr *zero = loop_idx(b, 0), *start = loop_const(b, l.type, 0);
	Matrix ma = {zero, a->trans_a ? 1 : ta->dim[1], a->trans_a ? ta->dim[1] : 1};
	Matrix mb = {zero, a->trans_b ? 1 : tb->dim[1], a->trans_b ? tb->dim[1] : 1};
	Expr *i, *j, *addend = NULL, *y_at, *sum;
	LVar *acc;

	lower_name_inputs(cx, n, (const char *const[]){"a", "b", "c"});
	i = lower_for(cx, "i", ty->dim[0]);
	ma.at = lower_let(cx, "a_i", row_of(cx, &ma, i));
	y_at = lower_let(cx, "y_i", loop_affine(b, i, ty->dim[1], 0));
	j = lower_for(cx, "j", ty->dim[1]);
	if (c)
		addend = loop_load_compute(b, c,
		                           lower_broadcast_index(cx, &n->in[2]->type, 2,
		                                                 (Expr *[MAX_RANK]){i, j}));
	if (a->trans_b)
		mb.at = lower_let(cx, "b_j", loop_affine(b, j, mb.column, 0));
	if (starts_with_c)
		start = addend->type == l.type ? addend : loop_cvt(b, l.type, addend);
	acc = loop_var(b, "acc", start);
	add_products(cx, &l, acc, &ma, &mb, zero, a->trans_b ? zero : j,
	             ta->dim[a->trans_a ? 0 : 1]);
	sum = loop_get(b, acc);
	if (!starts_with_c) {
		sum = scaled(b, a->alpha, sum);
		if (c)
			sum = loop_add(b, sum, scaled(b, a->beta, addend));
	}
	dot_store(cx, &l, loop_add(b, y_at, j), j, sum);
	lower_end_to(cx, 0);
}

void
qlower_gemm(LowerCtx *cx, const Node *n)
{
	lower_gemm(cx, n);
}

/* ---- squared_distance ---- */

bool
infer_squared_distance(const Node *n, Type *out, Diag *d)
{
	const Type *x = &n->in[0]->type, *y = &n->in[1]->type;

	if (!check_dtypes(n, d, SET_PRODUCT) || !check_rank(n, d, 0, 1, MAX_RANK) ||
	    !check_rank(n, d, 1, 2, 2) || !check_dim(n, d, 1, 1, x->dim[x->rank - 1]))
		return false;
	out->dtype = x->dtype;
	return push_dims(n, d, out, x, 0, x->rank - 1) && push_dim(n, d, out, y->dim[0]);
}

void
lower_squared_distance(LowerCtx *cx, const Node *n)
{
	const Type *x = &n->in[0]->type, *y = &n->in[1]->type;
	int32_t features = y->dim[1], count = y->dim[0];
	LBuilder *b = &cx->b;
	Expr *i = lower_for(cx, "i", type_product(x, 0, x->rank - 1)), *x_i, *j, *k, *difference;
	LVar *acc;

	x_i = lower_let(cx, "x_i", loop_affine(b, i, features, 0));
	j = lower_for(cx, "j", count);
	acc = loop_var(b, "acc", loop_const(b, dtype_compute(x->dtype), 0));
	if (features > 0) {
		int depth = b->depth;

		k = lower_for(cx, "k", features);
		difference = loop_sub(b, loop_load_compute(b, cx->in[0], loop_add(b, x_i, k)),
		                      loop_load_compute(b, cx->in[1],
		                                        loop_add(b, loop_affine(b, j, features, 0),
		                                                 k)));
		difference = loop_let(b, "d", difference);
		loop_set(b, acc, loop_add(b, loop_get(b, acc), loop_mul(b, difference, difference)));
		lower_end_to(cx, depth);
	}
	loop_store_cvt(b, cx->out[0], loop_add(b, loop_affine(b, i, count, 0), j),
	               loop_get(b, acc));
	lower_end_to(cx, 0);
}

/* ---- det: LU decomposition with partial pivoting, the pivots multiplied in order ---- */

bool
infer_det(const Node *n, Type *out, Diag *d)
{
	const Type *t = &n->in[0]->type;

	if (!check_dtype(n, d, 0, SET_FLOAT) || !check_rank(n, d, 0, 2, MAX_RANK) ||
	    !check_dim(n, d, 0, t->rank - 1, t->dim[t->rank - 2]))
		return false;
	*out = batch_type(t);
	return true;
}

/* The square matrix that is decomposed in place. */
typedef struct {
	LowerCtx *cx;
	LBuf *buf;
	int32_t size;
} Lu;

static Expr *
lu_at(const Lu *m, Expr *row, Expr *column)
{
	return loop_add(&m->cx->b, loop_affine(&m->cx->b, row, m->size, 0), column);
}

static Expr *
lu_load(const Lu *m, Expr *row, Expr *column)
{
	return loop_load(&m->cx->b, m->buf, lu_at(m, row, column));
}

/* The row from k on whose element in column k is largest; the first of equals. */
static Expr *
find_pivot(const Lu *m, Expr *k)
{
	LBuilder *b = &m->cx->b;
	LVar *pivot = loop_var_idx(b, "pivot", k, 0, m->size - 1);
	LVar *largest = loop_var(b, "largest", loop_op1(b, KOP_ABS, lu_load(m, k, k)));
	Expr *i = loop_for_expr(b, "i", loop_affine(b, k, 1, 1), loop_idx(b, m->size));
	Expr *size = loop_let(b, "size", loop_op1(b, KOP_ABS, lu_load(m, i, k)));

	loop_if(b, loop_op2(b, KOP_GT, size, loop_get(b, largest)));
	loop_set(b, largest, size);
	loop_set(b, pivot, i);
	loop_end(b);
	loop_end(b);
	return loop_get(b, pivot);
}

static void
swap_rows(const Lu *m, LVar *det, Expr *k, Expr *pivot)
{
	LBuilder *b = &m->cx->b;
	Expr *j, *kept;

	loop_if(b, loop_op2(b, KOP_NE, pivot, k));
	loop_set(b, det, loop_op1(b, KOP_NEG, loop_get(b, det)));
	j = loop_for_expr(b, "j", k, loop_idx(b, m->size));
	kept = loop_let(b, "kept", lu_load(m, k, j));
	loop_store(b, m->buf, lu_at(m, k, j), lu_load(m, pivot, j));
	loop_store(b, m->buf, lu_at(m, pivot, j), kept);
	loop_end(b);
	loop_end(b);
}

/* Clears column k below the diagonal; with a pivot of 0 it is clear already. */
static void
eliminate(const Lu *m, Expr *k, Expr *pivot)
{
	LBuilder *b = &m->cx->b;
	Expr *below = loop_affine(b, k, 1, 1), *end = loop_idx(b, m->size);
	Expr *i, *j, *factor;

	loop_if(b, loop_op2(b, KOP_NE, pivot, loop_const(b, pivot->type, 0)));
	i = loop_for_expr(b, "i", below, end);
	factor = loop_let(b, "factor", loop_op2(b, KOP_DIV, lu_load(m, i, k), pivot));
	j = loop_for_expr(b, "j", below, end);
	loop_store(b, m->buf, lu_at(m, i, j),
	           loop_sub(b, lu_load(m, i, j), loop_mul(b, factor, lu_load(m, k, j))));
	loop_end(b);
	loop_end(b);
	loop_end(b);
}

void
lower_det(LowerCtx *cx, const Node *n)
{
	const Type *t = &n->in[0]->type;
	DType compute = dtype_compute(t->dtype);
	int32_t size = t->dim[t->rank - 1], elements = size * size;
	LBuilder *b = &cx->b;
	Lu m = {cx, NULL, size};
	Expr *batch, *k, *row, *value;
	LVar *det;

	batch = lower_for(cx, "n", type_numel(&n->out[0]->type));
	det = loop_var(b, "det", loop_const(b, compute, 1));
	if (size > 0) {
		m.buf = lower_scratch(cx, "lu", compute, elements);
		k = loop_for(b, "i", 0, elements);
		value = loop_add(b, loop_affine(b, batch, elements, 0), k);
		loop_store(b, m.buf, k, loop_load_compute(b, cx->in[0], value));
		loop_end(b);
		k = loop_for(b, "k", 0, size);
		row = find_pivot(&m, k);
		swap_rows(&m, det, k, row);
		value = loop_let(b, "value", lu_load(&m, k, k));
		loop_set(b, det, loop_mul(b, loop_get(b, det), value));
		eliminate(&m, k, value);
		loop_end(b);
	}
	loop_store_cvt(b, cx->out[0], batch, loop_get(b, det));
	lower_end_to(cx, 0);
}
