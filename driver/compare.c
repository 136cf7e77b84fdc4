#include "driver/compare.h"

#include <math.h>

#include "ir/num.h"

/* The difference of two numbers, 0 for what counts as the same. */
static double
distance(double x, double r)
{
	if ((isnan(x) && isnan(r)) || x == r)
		return 0;
	return isfinite(x) && isfinite(r) ? fabs(x - r) : HUGE_VAL;
}

Difference
compare_arrays(DType t, const Npy *x, const Npy *reference, double rtol, double atol)
{
	Difference d = {0};
	double squares = 0, xx = 0, rr = 0, xr = 0;

	for (size_t i = 0; i < reference->count; i++) {
		double a, b, off;
		bool same;

		if (dtype_is_float(t)) {
			a = num_load(t, x->data, i);
			b = num_load(t, reference->data, i);
			off = distance(a, b);
			same = off == 0 || (off != HUGE_VAL && off <= atol + rtol * fabs(b));
		} else {
			int64_t p = num_load_int(t, x->data, i);
			int64_t q = num_load_int(t, reference->data, i);

			a = (double)p;
			b = (double)q;
			same = p == q;
			off = same ? 0 : fabs(a - b);
		}
		if (!same && d.wrong++ == 0)
			d.first_wrong = i;
		d.different += off != 0;
		squares += off * off;
		xx += a * a;
		rr += b * b;
		xr += a * b;
		d.largest = fmax(d.largest, off);
		if (b != 0 && off != 0)
			d.largest_relative = fmax(d.largest_relative, off / fabs(b));
	}
	d.rmse = reference->count ? sqrt(squares / (double)reference->count) : 0;
	d.cosine = xx == 0 && rr == 0 ? 1 : xr / sqrt(xx) / sqrt(rr);
	return d;
}
