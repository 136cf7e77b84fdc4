/*
 * Signals: windows, Fourier transforms as products with constant matrices, mel
 * filter banks.
 */
#include <math.h>

#include "frontend/onnx/read.h"
#include "ir/num.h"

static const double pi = 3.14159265358979323846;

/* ---- Windows ---- */

/* a0 - a1 cos(2 pi i / n) + a2 cos(4 pi i / n) */
static bool
window(ONode *n, double a0, double a1, double a2)
{
	DType t = onnx_dtype_attr(n, "output_datatype", DT_F32);
	bool periodic = onnx_flag(n, "periodic", true);
	Type y = {.dtype = t, .rank = 1};
	int64_t size = 0;
	void *data;

	if (n->failed)
		return false;
	if (onnx_is_const(n, 0)) {
		if (!onnx_const_int(n, 0, &size))
			return false;
	} else if (onnx_declared(n, 0, &y) && y.rank == 1) {
		size = y.dim[0];
	} else {
		return onnx_dynamic(n, 0);
	}
	if (size < 0 || size > 1 << 24)
		return onnx_error_in(n, 0, E_VALUE, "a window of %lld elements", (long long)size);
	y = (Type){.dtype = t, .rank = 1, .dim = {(int32_t)size}};
	data = onnx_const_data(n, y);
	for (int64_t i = 0; data && i < size; i++) {
		double span = periodic ? (double)size : (double)size - 1;
		double at = span > 0 ? 2 * pi * (double)i / span : 0;

		num_store(t, data, (size_t)i, a0 - a1 * cos(at) + a2 * cos(2 * at));
	}
	return onnx_result(n, onnx_const(n, y, data));
}

bool
onnx_read_hann_window(ONode *n)
{
	return window(n, 0.5, 0.5, 0);
}

bool
onnx_read_hamming_window(ONode *n)
{
	return window(n, 25.0 / 46, 21.0 / 46, 0);
}

bool
onnx_read_blackman_window(ONode *n)
{
	return window(n, 0.42, 0.5, 0.08);
}

/* ---- Fourier transforms ---- */

typedef struct {
	int32_t length, bins; /* samples, and frequencies that are wanted */
	bool inverse;
} Transform;

/* cos or sin of 2 pi k i / length, as a matrix [length, bins]. */
static Value *
waves(ONode *n, DType dtype, const Transform *f, bool sine)
{
	Type t = {.dtype = dtype, .rank = 2, .dim = {f->length, f->bins}};
	double scale = f->inverse ? 1.0 / f->length : 1.0;
	void *data = onnx_const_data(n, t);
	size_t at = 0;

	for (int64_t i = 0; data && i < f->length; i++)
		for (int64_t k = 0; k < f->bins; k++) {
			double angle = 2 * pi * (double)(i * k % f->length) / f->length;

			num_store(dtype, data, at++, scale * (sine ? sin(angle) : cos(angle)));
		}
	return onnx_const(n, t, data);
}

/*
 * The transform along the last axis of `re` and `im` (NULL: 0), real and
 * imaginary parts in a new last axis:
 *
 *	re' = re C + im S    im' = im C - re S    (inverse: S negated)
 */
static Value *
transform(ONode *n, Value *re, Value *im, const Transform *f)
{
	Value *c, *s, *y[2];

	if (!re)
		return NULL;
	if (f->length <= 0 || f->length > 1 << 14) {
		onnx_error(n, E_SIZE, "a transform of %d samples", f->length);
		return NULL;
	}
	c = waves(n, re->type.dtype, f, false);
	s = waves(n, re->type.dtype, f, true);
	if (f->inverse)
		s = onnx_unary(n, OP_NEG, s);
	y[0] = onnx_binary(n, OP_MATMUL, re, c);
	y[1] = onnx_unary(n, OP_NEG, onnx_binary(n, OP_MATMUL, re, s));
	if (im) {
		y[0] = onnx_binary(n, OP_ADD, y[0], onnx_binary(n, OP_MATMUL, im, s));
		y[1] = onnx_binary(n, OP_ADD, onnx_binary(n, OP_MATMUL, im, c), y[1]);
	}
	for (int i = 0; i < 2; i++)
		y[i] = y[i] ? onnx_unsqueeze(n, y[i], y[i]->type.rank) : NULL;
	return y[0] && y[1] ? onnx_concat(n, 2, y, y[0]->type.rank - 1) : NULL;
}

/* Cuts the last axis to `length` elements or fills it up with zeros. */
static Value *
fit_length(ONode *n, Value *x, int32_t length)
{
	int axis;
	int64_t *pads;

	if (!x)
		return NULL;
	axis = x->type.rank - 1;
	pads = onnx_new_ints(n, 2 * x->type.rank);
	pads[2 * x->type.rank - 1] = length - x->type.dim[axis];
	if (length < x->type.dim[axis])
		return onnx_slice(n, x, axis, 0, length, 1);
	return onnx_pad(n, x, (Ints){2 * x->type.rank, pads}, PAD_constant, NULL);
}

/* Part 0 or 1 of the last axis, which is taken away. */
static Value *
part(ONode *n, Value *x, int which)
{
	int axis = x->type.rank - 1;

	return onnx_squeeze(n, onnx_slice(n, x, axis, which, 1, 1), axis);
}

/* The axis of DFT: an attribute in opset 17, an operand from 20 on. */
static bool
dft_axis(ONode *n, int rank, int *axis)
{
	int64_t v = n->opset < 20 ? 1 : -2;

	if (n->opset < 20)
		v = onnx_int(n, "axis", 1);
	else if (onnx_in(n, 2) && !onnx_const_int(n, 2, &v))
		return false;
	if (v < -rank || v >= rank - 1 || v == -1)
		return onnx_error(n, E_VALUE, "axis %lld is no axis of the signal", (long long)v);
	*axis = (int)(v < 0 ? v + rank : v);
	return !n->failed;
}

bool
onnx_read_dft(ONode *n)
{
	Value *x = n->in[0], *re, *im = NULL, *y;
	int rank = x->type.rank, axis = 0;
	bool onesided = onnx_flag(n, "onesided", false);
	Transform f = {.inverse = onnx_flag(n, "inverse", false)};
	int64_t length;
	Type t;

	if (n->failed)
		return false;
	if (rank < 2 || (x->type.dim[rank - 1] != 1 && x->type.dim[rank - 1] != 2))
		return onnx_error_in(n, 0, E_SHAPE, "'%s' has type %s; its last axis must have 1 or 2 "
		                     "elements", x->name, type_text(n->r->arena, &x->type));
	if (!dft_axis(n, rank, &axis))
		return false;
	length = x->type.dim[axis];
	if (onnx_is_const(n, 1)) {
		if (!onnx_const_int(n, 1, &length))
			return false;
	} else if (onnx_in(n, 1)) {
		if (onesided || !onnx_declared(n, 0, &t) || t.rank != rank)
			return onnx_dynamic(n, 1);
		length = t.dim[axis];
	}
	if (length < 1 || length > INT32_MAX)
		return onnx_error_in(n, 1, E_VALUE, "a transform of %lld samples",
		                     (long long)length);
	f.length = (int32_t)length;
	f.bins = onesided ? f.length / 2 + 1 : f.length;
	x = onnx_move_axis(n, x, axis, rank - 2);
	if (!x)
		return false;
	re = fit_length(n, part(n, x, 0), f.length);
	if (x->type.dim[rank - 1] == 2)
		im = fit_length(n, part(n, x, 1), f.length);
	y = transform(n, re, im, &f);
	return onnx_result(n, onnx_move_axis(n, y, rank - 2, axis));
}

/* Frames of the signal times the window, each transformed: signal, step, window,
 * frame length. */
bool
onnx_read_stft(ONode *n)
{
	Value *x = n->in[0], *w = onnx_in(n, 2), *index, *re, *im = NULL;
	bool onesided = onnx_flag(n, "onesided", true);
	int64_t step, length, frames, *v;
	Transform f = {.inverse = false};

	if (n->failed || !onnx_const_int(n, 1, &step))
		return false;
	if (onnx_in(n, 3)) {
		if (!onnx_const_int(n, 3, &length))
			return false;
	} else if (w && w->type.rank == 1) {
		length = w->type.dim[0];
	} else {
		return onnx_error(n, E_ARITY, "'STFT' needs a window or a frame length");
	}
	if (x->type.rank < 2 || x->type.rank > 3 || length < 1 || step < 1 ||
	    length > x->type.dim[1] || (x->type.rank == 3 && x->type.dim[2] > 2))
		return onnx_error(n, E_SHAPE, "frames of %lld samples, %lld apart, in a signal %s",
		                  (long long)length, (long long)step,
		                  type_text(n->r->arena, &x->type));
	frames = (x->type.dim[1] - length) / step + 1;
	if (frames * length > 1 << 24)
		return onnx_error(n, E_SIZE, "%lld frames of %lld samples", (long long)frames,
		                  (long long)length);
	f.length = (int32_t)length;
	f.bins = onesided ? f.length / 2 + 1 : f.length;
	v = onnx_new_ints(n, (int)(frames * length));
	for (int64_t i = 0; i < frames * length; i++)
		v[i] = i / length * step + i % length;
	index = onnx_const(n, type_make(DT_I64, 2, (int32_t[]){(int32_t)frames, f.length}), v);
	if (x->type.rank == 3 && x->type.dim[2] == 2)
		im = onnx_gather(n, part(n, x, 1), index, 1);
	re = onnx_gather(n, x->type.rank == 3 ? part(n, x, 0) : x, index, 1);
	if (w)
		re = onnx_binary(n, OP_MUL, re, w);
	if (w && im)
		im = onnx_binary(n, OP_MUL, im, w);
	return onnx_result(n, transform(n, re, im, &f));
}

/* ---- Mel filters ---- */

static double
to_mel(double hertz)
{
	return 2595 * log10(1 + hertz / 700);
}

/*
 * Triangles on the mel scale, as ONNX MelWeightMatrix-17 defines them: bins,
 * length of the transform, sample rate, lowest and highest frequency.
 */
bool
onnx_read_mel_weights(ONode *n)
{
	DType t = onnx_dtype_attr(n, "output_datatype", DT_F32);
	int64_t bins, length, rate, *edge;
	double lo, hi;
	Type y = {.dtype = t, .rank = 2};
	void *data;

	if (n->failed || !onnx_const_int(n, 0, &bins) || !onnx_const_int(n, 1, &length) ||
	    !onnx_const_int(n, 2, &rate))
		return false;
	for (int i = 3; i < 5; i++)
		if (!onnx_is_const(n, i))
			return onnx_dynamic(n, i);
	lo = value_float(n->in[3], 0);
	hi = value_float(n->in[4], 0);
	if (bins < 1 || bins > 4096 || length < 1 || length > 1 << 16 || rate < 1 || !(lo >= 0) ||
	    !(hi >= lo) || hi > (double)rate)
		return onnx_error(n, E_VALUE, "no mel filters have these parameters");
	y.dim[0] = (int32_t)(length / 2 + 1);
	y.dim[1] = (int32_t)bins;
	edge = onnx_new_ints(n, (int)bins + 2);
	for (int64_t i = 0; i < bins + 2; i++) {
		double mel = to_mel(lo) + (to_mel(hi) - to_mel(lo)) / (double)(bins + 2) * (double)i;
		double hertz = 700 * (pow(10, mel / 2595) - 1);

		edge[i] = (int64_t)floor((double)(length + 1) * hertz / (double)rate);
	}
	data = onnx_const_data(n, y);
	for (int64_t b = 0; data && b < bins; b++) {
		int64_t low = edge[b], peak = edge[b + 1], high = edge[b + 2];

		for (int64_t i = low; i < high && i < y.dim[0]; i++) {
			double v = i < peak ? (double)(i - low) / (double)(peak - low)
			                    : (double)(high - i) / (double)(high - peak);

			num_store(t, data, (size_t)(i * bins + b), v);
		}
		if (peak < y.dim[0])
			num_store(t, data, (size_t)(peak * bins + b), 1);
	}
	return onnx_result(n, onnx_const(n, y, data));
}
