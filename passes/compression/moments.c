#include "passes/compression/moments.h"

#include <string.h>

#include "ir/num.h"

/* Columns of a group that are looked at, and how many are added up at a time. */
enum { MOST_ROWS = 1 << 15, BLOCK = 64 };

void
moments_read(const Type *type, const void *data, float *out)
{
	int32_t n = type_numel(type);

	if (type->dtype == DT_F32 && !type->q) {
		memcpy(out, data, (size_t)n * sizeof *out);
		return;
	}
	for (int32_t i = 0; i < n; i++) {
		int32_t zero = type->q ? type->q->zero[0] : 0;
		float scale = type->q ? type->q->scale[0] : 1;

		out[i] = scale * (float)(num_load_int(type->dtype, data, (size_t)i) - zero);
	}
}

/* What is added up for one group. */
typedef struct {
	int32_t d;
	double *sum, *sum0, *xx, *x0x;
	float *x, *x0; /* BLOCK columns each */
	int held;
} Group;

/*
 * c[i][j] += sum over k of a[k][i] * b[k][j].  The sums of a block are in single
 * precision, whose error is far below that of the samples.
 */
static void
add_products(double *c, const float *a, const float *b, int32_t d, int n)
{
	enum { WIDE = 16 };
	int32_t j = 0;

	for (int32_t i = 0; i < d; i++) {
		for (j = 0; j + WIDE <= d; j += WIDE) {
			float sum[WIDE] = {0};

			for (int k = 0; k < n; k++) {
				float f = a[(size_t)k * (size_t)d + (size_t)i];
				const float *v = &b[(size_t)k * (size_t)d + (size_t)j];

				for (int w = 0; w < WIDE; w++)
					sum[w] += f * v[w];
			}
			for (int w = 0; w < WIDE; w++)
				c[(size_t)i * (size_t)d + (size_t)(j + w)] += (double)sum[w];
		}
		for (; j < d; j++) {
			float sum = 0;

			for (int k = 0; k < n; k++)
				sum += a[(size_t)k * (size_t)d + (size_t)i] *
				       b[(size_t)k * (size_t)d + (size_t)j];
			c[(size_t)i * (size_t)d + (size_t)j] += (double)sum;
		}
	}
}

static void
flush(Group *s)
{
	if (s->xx) {
		add_products(s->xx, s->x, s->x, s->d, s->held);
		add_products(s->x0x, s->x0, s->x, s->d, s->held);
	}
	s->held = 0;
}

static void
add_column(Group *s)
{
	const float *x = &s->x[(size_t)s->held * (size_t)s->d];
	const float *x0 = &s->x0[(size_t)s->held * (size_t)s->d];

	for (int32_t j = 0; j < s->d; j++) {
		s->sum[j] += (double)x[j];
		s->sum0[j] += (double)x0[j];
	}
	if (++s->held == BLOCK)
		flush(s);
}

/* Means of products less products of means. */
static void
finish(Group *s, size_t n)
{
	size_t d = (size_t)s->d;

	flush(s);
	for (size_t j = 0; j < d; j++) {
		s->sum[j] /= (double)n;
		s->sum0[j] /= (double)n;
	}
	for (size_t i = 0; s->xx && i < d; i++)
		for (size_t j = 0; j < d; j++) {
			s->xx[i * d + j] = s->xx[i * d + j] / (double)n - s->sum[i] * s->sum[j];
			s->x0x[i * d + j] = s->x0x[i * d + j] / (double)n - s->sum0[i] * s->sum[j];
		}
}

static Group *
new_groups(const Layer *l, Moments *m, bool second, Arena *a, Arena *scratch)
{
	size_t d = (size_t)l->columns, groups = (size_t)l->groups;
	Group *s = ARENA_ARRAY(scratch, Group, l->groups);

	m->mu = ARENA_ARRAY(a, double, groups * d + 1);
	m->mu0 = ARENA_ARRAY(a, double, groups * d + 1);
	if (second) {
		m->h = arena_calloc(a, groups * d, d * sizeof *m->h);
		m->g = arena_calloc(a, groups * d, d * sizeof *m->g);
	}
	for (size_t g = 0; g < groups; g++) {
		s[g] = (Group){.d = l->columns, .sum = m->mu + g * d, .sum0 = m->mu0 + g * d};
		s[g].x = ARENA_ARRAY(scratch, float, BLOCK * d + 1);
		s[g].x0 = ARENA_ARRAY(scratch, float, BLOCK * d + 1);
		if (second) {
			s[g].xx = m->h + g * d * d;
			s[g].x0x = m->g + g * d * d;
		}
	}
	return s;
}

/* Looks at one call, at `count` positions that are spread evenly but differ by call. */
static void
look(const Layer *l, Group *s, const float *x0, const float *x, int32_t count, size_t call)
{
	uint32_t seed = (uint32_t)call * 2654435761u + 12345u;

	for (int32_t i = 0; i < count; i++) {
		int32_t from = (int32_t)((int64_t)l->positions * i / count);
		int32_t to = (int32_t)((int64_t)l->positions * (i + 1) / count), p;

		seed = seed * 1664525u + 1013904223u;
		p = from + (int32_t)((seed >> 8) % (uint32_t)(to - from));
		for (int32_t g = 0; g < l->groups; g++) {
			size_t at = (size_t)s[g].held * (size_t)s[g].d;

			layer_gather(l, x, p, g, s[g].x + at);
			layer_gather(l, x0, p, g, s[g].x0 + at);
			add_column(&s[g]);
		}
	}
}

Moments
moments_collect(const Layer *l, size_t calls, const CallArray *x0, const CallArray *x,
                const Type *type, bool second, Arena *a)
{
	Moments m = {0};
	Arena *scratch = arena_child(a);
	Group *s = new_groups(l, &m, second, a, scratch);
	float *number = ARENA_ARRAY(scratch, float, type_numel(type) + 1);
	size_t most = calls ? MOST_ROWS / calls + 1 : 1;
	int32_t count = most < (size_t)l->positions ? (int32_t)most : l->positions;

	for (size_t c = 0; c < calls; c++) {
		const char *from = x0->data;

		moments_read(type, (const char *)x->data + c * x->stride, number);
		look(l, s, (const float *)(const void *)(from + c * x0->stride), number, count, c);
	}
	m.n = calls * (size_t)count;
	for (int32_t g = 0; g < l->groups && m.n > 0; g++)
		finish(&s[g], m.n);
	arena_free(scratch);
	return m;
}
