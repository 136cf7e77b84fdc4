#include "passes/compression/compress.h"

#include <math.h>

/* Signal to noise in decibels; what has no noise is left out. */
static bool
decibels(const LayerReport *l, double *db)
{
	if (!(l->noise > 0) || !(l->signal > 0))
		return false;
	*db = 10 * log10(l->signal / l->noise);
	return true;
}

static double
part(size_t a, size_t b)
{
	return b ? 100 * (double)a / (double)b : 0;
}

static void
put_layer(Str *s, const LayerReport *l)
{
	double db;

	str_printf(s, "%-36.36s %-14s %-5s", l->name, op_info[l->node->op].name,
	           l->integer ? "int" : "float");
	if (l->bits)
		str_printf(s, " %4d %6.1f", l->bits, 100 * l->sparsity);
	else
		str_printf(s, " %4s %6s", "", "");
	str_printf(s, " %9zu %9zu %11lld", l->float_bytes, l->bytes, (long long)l->macs);
	if (decibels(l, &db))
		str_printf(s, " %6.1f", db);
	str_putc(s, '\n');
}

static void
put_agreement(Str *s, const CompressReport *r)
{
	const Agreement *a = &r->agreement;

	str_printf(s, "against the float model, on %zu samples%s:\n", a->samples,
	           r->held_out ? " that were held out"
	                       : r->made_up ? " that were made up" : " that were also used");
	if (a->classes)
		str_printf(s, "  same largest output       %zu, %.2f %%\n"
		              "  Kullback-Leibler          %.3g\n",
		           a->same_class, part(a->same_class, a->samples), a->kl);
	str_printf(s, "  largest error             %.4g\n"
	              "  root mean square error    %.4g (of outputs: %.4g)\n",
	           a->largest, a->rmse, a->float_rms);
	if (r->has_labels)
		str_printf(s, "  right by the labels       %zu, %.2f %% (float: %zu, %.2f %%)\n",
		           a->right, part(a->right, a->samples), a->right_float,
		           part(a->right_float, a->samples));
}

void
compress_report_text(Str *s, const CompressReport *r)
{
	str_puts(s, "compression\n");
	str_printf(s, "%-36s %-14s %-5s %4s %6s %9s %9s %11s %6s\n", "layer", "operator", "in",
	           "bits", "zero %", "bytes", "now", "MACs", "SNR dB");
	for (int i = 0; i < r->layers.n; i++)
		put_layer(s, &r->layers.v[i]);
	str_printf(s, "constants: %zu bytes, %zu before\n", r->bytes, r->float_bytes);
	put_agreement(s, r);
}

/* ---- JSON ---- */

/* JSON has no infinities. */
static void
put_number(Str *s, const char *name, double x)
{
	if (isfinite(x))
		str_printf(s, ", \"%s\": %.9g", name, x);
	else
		str_printf(s, ", \"%s\": null", name);
}

static void
put_json_layer(Str *s, const LayerReport *l)
{
	double db;

	str_puts(s, "{\"name\": ");
	str_put_json(s, l->name);
	str_printf(s, ", \"operator\": \"%s\", \"integer\": %s", op_info[l->node->op].name,
	           l->integer ? "true" : "false");
	if (l->bits) {
		str_printf(s, ", \"bits\": %d", l->bits);
		put_number(s, "sparsity", l->sparsity);
	}
	str_printf(s, ", \"float_bytes\": %zu, \"bytes\": %zu, \"macs\": %lld", l->float_bytes,
	           l->bytes, (long long)l->macs);
	if (decibels(l, &db))
		put_number(s, "snr_db", db);
	str_putc(s, '}');
}

void
compress_report_json(Str *s, const CompressReport *r)
{
	const Agreement *a = &r->agreement;

	str_printf(s, "{\"samples\": %zu, \"held_out\": %zu, \"made_up\": %s, \"layers\": [", r->used,
	           r->held_out, r->made_up ? "true" : "false");
	for (int i = 0; i < r->layers.n; i++) {
		str_puts(s, i ? ",\n " : "\n ");
		put_json_layer(s, &r->layers.v[i]);
	}
	str_printf(s, "],\n \"float_bytes\": %zu, \"bytes\": %zu,\n \"agreement\": {\"samples\": %zu",
	           r->float_bytes, r->bytes, a->samples);
	if (a->classes) {
		str_printf(s, ", \"same_largest\": %zu", a->same_class);
		put_number(s, "kl", a->kl);
	}
	put_number(s, "largest_error", a->largest);
	put_number(s, "rms_error", a->rmse);
	put_number(s, "rms_output", a->float_rms);
	if (r->has_labels)
		str_printf(s, ", \"right\": %zu, \"right_float\": %zu", a->right, a->right_float);
	str_puts(s, "}}");
}
