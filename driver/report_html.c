/*
 * Pictures are SVG inside the page.  Colours have text beside them or in a title, and the
 * page follows the reader's choice of dark or light.
 */
#include "driver/report_html.h"

#include <math.h>

#include "driver/help.h"
#include "driver/shrink.h"

/* Names come from models: nothing in them may end up as markup. */
static void
put_text(Str *s, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '<' || c == '>' || c == '&' || c == '"' || c == '\'')
			str_printf(s, "&#%u;", (unsigned)c);
		else
			str_putc(s, c < 0x20 || c == 0x7f ? '?' : (char)c);
	}
}

static const char page_head[] =
	"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width\">\n<style>\n"
	":root { color-scheme: light dark; }\n"
	"body { font: 15px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; "
	"padding: 0 1rem; }\n"
	"table { border-collapse: collapse; margin: 1rem 0; font-size: 13px; }\n"
	"th, td { padding: .15rem .6rem; text-align: right; border-bottom: 1px solid #8886; }\n"
	"th:first-child, td:first-child { text-align: left; max-width: 22rem; "
	"overflow-wrap: anywhere; }\n"
	"svg { width: 100%; height: auto; } svg text { font: 11px system-ui; fill: currentColor; }\n"
	".grid { stroke: #8886; } .plan { fill: #4a7fb5; stroke: #fff; stroke-width: .5; }\n"
	".view { fill: #8fb4d6; } .bar { fill: #4a7fb5; } .off { fill: #c8642d; }\n"
	"</style>\n";

/* ---- The memory plan ---- */

enum { WIDTH = 1000, PLAN_HEIGHT = 320, LEFT = 70, BOTTOM = 20 };

/* Of what lies in the arena itself; views are in other buffers' memory. */
static bool
is_in_plan(const Buffer *b)
{
	return b->kind == BUFFER_ARENA && type_bytes(&b->type) > 0;
}

static void
put_block(Str *s, const Program *p, const Buffer *b)
{
	double steps = p->steps.n, height = PLAN_HEIGHT, arena = (double)p->arena_size;
	double first = b->first < 0 ? 0 : b->first;
	double last = b->last < p->steps.n ? b->last : p->steps.n - 1;
	double left = LEFT, width = WIDTH - LEFT;
	double x = left + first / steps * width;
	double w = (last - first + 1) / steps * width;
	double h = (double)type_bytes(&b->type) / arena * height;
	double y = height - (double)b->offset / arena * height - h;

	str_printf(s, "<rect class=\"plan%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>",
	           b->share == SHARE_NONE ? "" : " view", x, y, w, h);
	put_text(s, b->name);
	str_printf(s, ": %zu bytes at %zu, steps %d to %d</title></rect>\n", type_bytes(&b->type),
	           b->offset, (int)first, (int)last);
}

static void
put_plan(Str *s, const Program *p)
{
	if (p->arena_size == 0 || p->steps.n == 0)
		return;
	str_printf(s, "<h2>Memory over time</h2>\n<p>The arena from its start (below) to its end, "
	              "against the steps of a call. A lighter block lies in another one's "
	              "memory.</p>\n<svg viewBox=\"0 0 %d %d\" role=\"img\">\n",
	           WIDTH, PLAN_HEIGHT + BOTTOM);
	for (int i = 0; i <= 4; i++) {
		int y = PLAN_HEIGHT - PLAN_HEIGHT * i / 4;

		str_printf(s, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>"
		              "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%zu</text>\n",
		           LEFT, WIDTH, y, y, LEFT - 6, y < 10 ? 10 : y,
		           p->arena_size / 4 * (size_t)i + p->arena_size % 4 * (size_t)i / 4);
	}
	/* What lies in another block is drawn on it. */
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < p->buffers.n; i++)
			if (is_in_plan(p->buffers.v[i]) &&
			    (p->buffers.v[i]->share != SHARE_NONE) == pass)
				put_block(s, p, p->buffers.v[i]);
	str_printf(s, "<text x=\"%d\" y=\"%d\">step 0</text><text x=\"%d\" y=\"%d\" "
	              "text-anchor=\"end\">step %d</text>\n</svg>\n",
	           LEFT, PLAN_HEIGHT + 15, WIDTH, PLAN_HEIGHT + 15, p->steps.n - 1);
}

/* ---- Bars ---- */

enum { ROW = 18, NAME_WIDTH = 330, NUMBER_WIDTH = 110 };

typedef struct {
	const char *name;
	double length; /* of the bar */
	const char *text;
} Bar;

static void
put_bars(Str *s, const char *title, const char *class, const Bar *bar, int n)
{
	int room = WIDTH - NAME_WIDTH - NUMBER_WIDTH;
	double most = 0;

	for (int i = 0; i < n; i++)
		most = fmax(most, bar[i].length);
	if (!(most > 0))
		return;
	str_printf(s, "<h2>%s</h2>\n<svg viewBox=\"0 0 %d %d\" role=\"img\">\n", title, WIDTH,
	           n * ROW + 4);
	for (int i = 0; i < n; i++) {
		double w = bar[i].length / most * room;
		int y = i * ROW;

		str_printf(s, "<text x=\"0\" y=\"%d\"><title>", y + 13);
		put_text(s, bar[i].name);
		str_puts(s, "</title>");
		put_text(s, arena_strndup(s->arena, bar[i].name, 52));
		str_printf(s, "</text><rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>"
		              "<text x=\"%.1f\" y=\"%d\">%s</text>\n",
		           class, NAME_WIDTH, y + 3, w, ROW - 6, (double)NAME_WIDTH + w + 6, y + 13,
		           bar[i].text);
	}
	str_puts(s, "</svg>\n");
}

static void
put_layers(Str *s, const Program *p)
{
	Bar *bytes = ARENA_ARRAY(s->arena, Bar, p->steps.n + 1);
	Bar *macs = ARENA_ARRAY(s->arena, Bar, p->steps.n + 1);
	Bar *cycles = ARENA_ARRAY(s->arena, Bar, p->steps.n + 1);

	for (int i = 0; i < p->steps.n; i++) {
		const Step *step = p->steps.v[i];
		ProgramCost cost = program_step_cost(p, step);
		size_t size = cost.constants;

		bytes[i] = (Bar){step->name, (double)size, arena_printf(s->arena, "%zu", size)};
		macs[i] = (Bar){step->name, (double)step->macs,
		                arena_printf(s->arena, "%lld", (long long)step->macs)};
		cycles[i] = (Bar){step->name, (double)cost.cycles,
		                  arena_printf(s->arena, "%lld", (long long)cost.cycles)};
	}
	put_bars(s, "Bytes of constants by layer", "bar", bytes, p->steps.n);
	put_bars(s, "Multiply-accumulates by layer", "bar", macs, p->steps.n);
	put_bars(s, "Modelled cycles by layer", "bar", cycles, p->steps.n);
}

/* ---- Compression ---- */

static void
put_row(Str *s, const char *name, const char *value)
{
	str_printf(s, "<tr><td>%s</td><td>%s</td></tr>\n", name, value);
}

static const char *
part_text(Arena *a, size_t n, size_t all)
{
	return arena_printf(a, "%zu of %zu, %.2f %%", n, all,
	                    all ? 100 * (double)n / (double)all : 0);
}

static void
put_agreement(Str *s, const CompressReport *r)
{
	const Agreement *a = &r->agreement;

	str_printf(s, "<h2>Against the float model</h2>\n<p>On %zu samples%s; %zu were used to "
	              "compress.</p>\n<table>\n",
	           a->samples, r->held_out ? " that were held out" : "", r->used);
	if (a->classes) {
		put_row(s, "same largest output", part_text(s->arena, a->same_class, a->samples));
		put_row(s, "Kullback-Leibler divergence", arena_printf(s->arena, "%.3g", a->kl));
	}
	put_row(s, "largest error", arena_printf(s->arena, "%.4g", a->largest));
	put_row(s, "root mean square error", arena_printf(s->arena, "%.4g", a->rmse));
	put_row(s, "root mean square of the output", arena_printf(s->arena, "%.4g", a->float_rms));
	if (r->has_labels) {
		put_row(s, "right by the labels", part_text(s->arena, a->right, a->samples));
		put_row(s, "right before", part_text(s->arena, a->right_float, a->samples));
	}
	str_puts(s, "</table>\n");
}

/* A cell with a number, empty where there is none. */
static void
put_cell(Str *s, bool has, const char *text)
{
	str_printf(s, "<td>%s</td>", has ? text : "");
}

static void
put_compressed_layer(Str *s, const LayerReport *l, double error)
{
	Arena *a = s->arena;

	str_puts(s, "<tr><td>");
	put_text(s, l->name);
	str_printf(s, "</td><td>%s</td><td>%s</td>", op_info[l->node->op].name,
	           l->integer ? "integers" : "floats");
	put_cell(s, l->bits > 0, arena_printf(a, "%d", l->bits));
	put_cell(s, l->bits > 0, arena_printf(a, "%.1f %%", 100 * l->sparsity));
	str_puts(s, "<td>");
	put_text(s, l->form ? l->form : "no code");
	str_printf(s, "</td><td>%zu</td><td>%zu</td><td>%lld</td>", l->float_bytes, l->flash,
	           (long long)l->macs);
	put_cell(s, l->cycles > 0, arena_printf(a, "%lld", (long long)l->cycles));
	put_cell(s, error > 0, arena_printf(a, "%.1f dB", -10 * log10(error)));
	put_cell(s, l->share > 0, arena_printf(a, "%.1f %%", 100 * l->share));
	str_puts(s, "</tr>\n");
}

static void
put_compressed_layers(Str *s, const CompressReport *r)
{
	Bar *bar = ARENA_ARRAY(s->arena, Bar, r->layers.n + 1);
	Bar *share = ARENA_ARRAY(s->arena, Bar, r->layers.n + 1);

	str_puts(s, "<h2>Layers</h2>\n<table>\n<tr><th>layer</th><th>operator</th><th>computes on</th>"
	            "<th>bits</th><th>zeros</th><th>form</th><th>bytes before</th><th>bytes</th>"
	            "<th>MACs</th><th>cycles</th><th>SNR</th><th>share of the error</th></tr>\n");
	for (int i = 0; i < r->layers.n; i++) {
		const LayerReport *l = &r->layers.v[i];
		double error = l->signal > 0 ? l->noise / l->signal : 0;

		error = isfinite(error) ? error : 0;
		put_compressed_layer(s, l, error);
		bar[i] = (Bar){l->name, sqrt(error),
		               arena_printf(s->arena, "%.3g %%", 100 * sqrt(error))};
		share[i] = (Bar){l->name, l->share,
		                 arena_printf(s->arena, "%.1f %%", 100 * l->share)};
	}
	str_puts(s, "</table>\n<p>The share of the error is what a layer's weights alone do to the "
	            "float model's outputs, against the sum of that over all layers.</p>\n");
	put_bars(s, "Error of each layer's output, against its size (root mean squares)", "off", bar,
	         r->layers.n);
	put_bars(s, "Share of the output's error by layer", "off", share, r->layers.n);
}

static void
put_change(Str *s, const char *name, int64_t before, int64_t now)
{
	str_printf(s, "<tr><td>%s</td><td>%lld</td><td>%lld</td></tr>\n", name, (long long)before,
	           (long long)now);
}

static void
put_sizes(Str *s, const CompressReport *r)
{
	const ProgramSize *b = &r->before, *n = &r->after;

	if (r->found) {
		str_puts(s, "<p>Found by search: ");
		put_text(s, r->found);
		str_puts(s, "</p>\n");
	}
	str_puts(s, "<h2>Before and after</h2>\n<table>\n<tr><th></th><th>float model</th>"
	            "<th>compressed</th></tr>\n");
	put_change(s, "bytes of flash, about", (int64_t)(b->constants + b->code),
	           (int64_t)(n->constants + n->code));
	put_change(s, "of them constants", (int64_t)b->constants, (int64_t)n->constants);
	put_change(s, "bytes of RAM (arena)", (int64_t)b->ram, (int64_t)n->ram);
	put_change(s, "multiply-accumulates", b->macs, n->macs);
	if (n->cycles)
		put_change(s, "cycles, modelled", b->cycles, n->cycles);
	str_puts(s, "</table>\n");
}

/* ---- The page ---- */

void
report_html(Str *s, const Job *j, const Program *p)
{
	const CompressReport *r = j->compression;
	ProgramCost cost = program_cost(p);

	str_puts(s, page_head);
	str_puts(s, "<title>");
	put_text(s, job_model_name(j));
	str_puts(s, "</title>\n</head>\n<body>\n<h1>");
	put_text(s, job_model_name(j));
	str_puts(s, "</h1>\n<table>\n");
	put_row(s, "arena", arena_printf(s->arena, "%zu bytes, aligned to %zu", p->arena_size,
	                                 p->arena_align));
	for (int i = 0; i < p->nregions && p->region[i].memory.name; i++)
		put_row(s, p->region[i].memory.name,
		        arena_printf(s->arena, "%zu of %zu bytes", p->region[i].size,
		                     p->region[i].memory.size));
	put_row(s, "most bytes alive at once", arena_printf(s->arena, "%zu", p->arena_bound));
	put_row(s, "constants", arena_printf(s->arena, "%zu bytes", program_const_bytes(p)));
	put_row(s, "multiply-accumulates", arena_printf(s->arena, "%lld",
	                                                (long long)program_macs(p)));
	put_row(s, "code", arena_printf(s->arena, "about %zu bytes", cost.code));
	if (cost.cycles)
		put_row(s, "modelled cycles", arena_printf(s->arena, "%lld", (long long)cost.cycles));
	put_row(s, "steps", arena_printf(s->arena, "%d", p->steps.n));
	str_puts(s, "</table>\n");
	if (r) {
		put_sizes(s, r);
		put_agreement(s, r);
	}
	if (j->shrunk.n) {
		Str trees;

		str_init(&trees, s->arena);
		shrink_report(&trees, j);
		str_puts(s, "<pre>");
		for (const char *line = trees.s; *line; line++)
			if (*line == '\n')
				str_putc(s, '\n');
			else
				put_text(s, (const char[]){*line, '\0'});
		str_puts(s, "</pre>\n");
	}
	put_plan(s, p);
	put_layers(s, p);
	if (r)
		put_compressed_layers(s, r);
	str_printf(s, "<p>mcc %s</p>\n</body>\n</html>\n", mcc_version);
}
