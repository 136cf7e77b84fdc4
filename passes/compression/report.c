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

/* Whether the program was timed. */
static bool
is_timed(const CompressReport *r)
{
	return r->has_program && r->after.cycles > 0;
}

static void
put_head(Str *s, const CompressReport *r)
{
	str_printf(s, "%-30s %-12s %-5s %4s %6s %9s %9s %10s", "layer", "operator", "in", "bits",
	           "zero %", "bytes", "now", "MACs");
	if (is_timed(r))
		str_printf(s, " %10s", "cycles");
	str_printf(s, " %6s %7s", "SNR dB", "error %");
	str_puts(s, r->has_program ? "  form\n" : "\n");
}

static void
put_layer(Str *s, const CompressReport *r, const LayerReport *l)
{
	double db;

	str_printf(s, "%-30.30s %-12.12s %-5s", l->name, op_info[l->node->op].name,
	           l->integer ? "int" : "float");
	if (l->bits)
		str_printf(s, " %4d %6.1f", l->bits, 100 * l->sparsity);
	else
		str_printf(s, " %4s %6s", "", "");
	str_printf(s, " %9zu %9zu %10lld", l->float_bytes, r->has_program ? l->flash : l->bytes,
	           (long long)l->macs);
	if (is_timed(r))
		str_printf(s, " %10lld", (long long)l->cycles);
	if (decibels(l, &db))
		str_printf(s, " %6.1f", db);
	else
		str_printf(s, " %6s", "");
	if (l->share > 0)
		str_printf(s, " %7.1f", 100 * l->share);
	else
		str_printf(s, " %7s", "");
	if (r->has_program)
		str_printf(s, "  %s", l->form ? l->form : "no code");
	str_putc(s, '\n');
}

static void
put_size(Str *s, const char *name, int64_t now, int64_t before)
{
	str_printf(s, "  %-25s %lld, %lld before", name, (long long)now, (long long)before);
	if (now > 0)
		str_printf(s, " (%.2f times as much)", (double)before / (double)now);
	str_putc(s, '\n');
}

/* Of the whole model as a program. */
static void
put_program(Str *s, const CompressReport *r)
{
	const ProgramSize *now = &r->after, *before = &r->before;

	str_puts(s, "the program:\n");
	put_size(s, "bytes of flash, about", (int64_t)(now->constants + now->code),
	         (int64_t)(before->constants + before->code));
	put_size(s, "of them constants", (int64_t)now->constants, (int64_t)before->constants);
	put_size(s, "bytes of RAM (arena)", (int64_t)now->ram, (int64_t)before->ram);
	put_size(s, "multiply-accumulates", now->macs, before->macs);
	if (is_timed(r))
		put_size(s, "cycles, modelled", now->cycles, before->cycles);
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
	if (r->found)
		str_printf(s, "found by search: %s\n", r->found);
	put_head(s, r);
	for (int i = 0; i < r->layers.n; i++)
		put_layer(s, r, &r->layers.v[i]);
	str_printf(s, "constants: %zu bytes, %zu before\n", r->bytes, r->float_bytes);
	if (r->has_program)
		put_program(s, r);
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
put_json_layer(Str *s, const CompressReport *r, const LayerReport *l)
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
	if (l->weights)
		put_number(s, "error_share", l->share);
	if (r->has_program) {
		str_printf(s, ", \"flash\": %zu, \"form\": ", l->flash);
		if (l->form)
			str_put_json(s, l->form);
		else
			str_puts(s, "null");
	}
	if (is_timed(r))
		str_printf(s, ", \"cycles\": %lld", (long long)l->cycles);
	str_putc(s, '}');
}

static void
put_json_size(Str *s, const char *name, const ProgramSize *p)
{
	str_printf(s, " \"%s\": {\"flash\": %zu, \"constants\": %zu, \"code\": %zu, \"ram\": %zu, "
	              "\"macs\": %lld",
	           name, p->constants + p->code, p->constants, p->code, p->ram,
	           (long long)p->macs);
	if (p->cycles)
		str_printf(s, ", \"cycles\": %lld", (long long)p->cycles);
	str_puts(s, "},\n");
}

void
compress_report_json(Str *s, const CompressReport *r)
{
	const Agreement *a = &r->agreement;

	str_printf(s, "{\"samples\": %zu, \"held_out\": %zu, \"made_up\": %s", r->used,
	           r->held_out, r->made_up ? "true" : "false");
	if (r->found) {
		str_puts(s, ", \"found\": ");
		str_put_json(s, r->found);
	}
	str_puts(s, ", \"layers\": [");
	for (int i = 0; i < r->layers.n; i++) {
		str_puts(s, i ? ",\n " : "\n ");
		put_json_layer(s, r, &r->layers.v[i]);
	}
	str_printf(s, "],\n \"float_bytes\": %zu, \"bytes\": %zu,\n", r->float_bytes, r->bytes);
	if (r->has_program) {
		put_json_size(s, "before", &r->before);
		put_json_size(s, "after", &r->after);
	}
	str_printf(s, " \"agreement\": {\"samples\": %zu", a->samples);
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
