/*
 * The LSTM kernel computes the bytes of the reference lowering: outputs and both states,
 * for numbers of inputs and units that fill words and that do not.
 */
#include <check.h>
#include <string.h>

#include "codegen/kernels/generate.h"
#include "ir/lower.h"
#include "ir/ops/lstm.h"
#include "tests/unit/unit_arena.h"

static uint32_t seed;

static int32_t
draw(int32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (int32_t)((seed >> 8) % (uint32_t)n);
}

/* Elements of any value, or (extreme) mostly the ends of the range. */
static void
fill(DType t, void *data, int32_t n, bool extreme)
{
	for (int32_t i = 0; i < n; i++) {
		int32_t v = t == DT_I32 ? draw(20001) - 10000 : draw(t == DT_I8 ? 255 : 65535);

		if (t == DT_I8)
			((int8_t *)data)[i] = (int8_t)(extreme && draw(4) ? 127 : v - 127);
		else if (t == DT_I16)
			((int16_t *)data)[i] = (int16_t)(v - 32767);
		else
			((int32_t *)data)[i] = v;
	}
}

static Type
typed(DType t, int rank, const int32_t *dim, float scale, int32_t zero)
{
	float *scales = ARENA_NEW(arena, float);
	int32_t *zeros = ARENA_NEW(arena, int32_t);
	Quant *q = ARENA_NEW(arena, Quant);
	Type type = type_make(t, rank, dim);

	*scales = scale;
	*zeros = zero;
	*q = (Quant){0, 1, scales, zeros};
	type.q = q;
	return type;
}

static Value *
constant(Graph *g, Type t, bool extreme)
{
	void *data = arena_alloc(arena, type_bytes(&t));

	fill(t.dtype, data, type_numel(&t), extreme);
	return graph_const(g, "w", t, data);
}

static Node *
make_lstm(int32_t batch, int32_t steps, int32_t inputs, int32_t units, bool extreme)
{
	Graph *g = graph_new(arena, "g");
	bool time_major = draw(2);
	const int32_t x[] = {time_major ? steps : batch, time_major ? batch : steps, inputs};
	const int32_t state[] = {batch, units};
	Type h = typed(DT_I8, 2, state, 0.008f, draw(256) - 128);
	Type c = typed(DT_I16, 2, state, 1.0f / 2048, 0);
	static const char *const names[] = {"y", "h_next", "c_next"};
	Value *in[15];
	Node *n;

	in[LSTM_X] = graph_input(g, "x", typed(DT_I8, 3, x, 0.02f, draw(256) - 128));
	for (int i = 0; i < GATES; i++) {
		const int32_t w[] = {units, inputs}, r[] = {units, units};

		in[LSTM_W + i] = constant(g, typed(DT_I8, 2, w, 0.01f, 0), extreme);
		in[LSTM_R + i] = constant(g, typed(DT_I8, 2, r, 0.012f, 0), extreme);
		in[LSTM_BIAS + i] = constant(g, type_make(DT_I32, 1, &units), false);
	}
	in[LSTM_H] = graph_input(g, "h", h);
	in[LSTM_C] = graph_input(g, "c", c);
	n = graph_insert(g, NULL, OP_SEQUENCE_LSTM, 15, in, 3, names);
	((Attr_SEQUENCE_LSTM *)n->attr)->time_major = time_major;
	n->out[0]->type = n->out[1]->type = h;
	n->out[2]->type = c;
	g->single_rounding = draw(2);
	ck_assert(node_infer(n, &diag));
	return n;
}

static void *
copy(const uint8_t *data, const Type *t)
{
	return memcpy(arena_alloc(arena, type_bytes(t)), data, type_bytes(t));
}

/* Outputs one behind the other: y, the hidden state, the cell. */
static uint8_t *
run(const LFunc *f, const Node *n, const uint8_t *x, const uint8_t *h, const uint8_t *c)
{
	void **bufs = ARENA_ARRAY(arena, void *, f->bufs.n);
	size_t y_bytes = type_bytes(&n->out[0]->type), h_bytes = type_bytes(&n->out[1]->type);
	uint8_t *out = arena_alloc(arena, y_bytes + h_bytes + type_bytes(&n->out[2]->type) + 1);
	uint8_t *cell = arena_alloc(arena, type_bytes(&n->out[2]->type));

	ck_assert_ptr_null(lfunc_verify(f));
	bufs[LSTM_X] = copy(x, &n->in[LSTM_X]->type);
	bufs[LSTM_H] = copy(h, &n->in[LSTM_H]->type);
	bufs[LSTM_C] = copy(c, &n->in[LSTM_C]->type);
	bufs[15] = out;
	bufs[16] = out + y_bytes;
	bufs[17] = cell;
	lfunc_run(arena, f, bufs);
	memcpy(out + y_bytes + h_bytes, cell, type_bytes(&n->out[2]->type));
	return out;
}

static void
expect_same(const Node *n)
{
	const Type *x = &n->in[LSTM_X]->type, *h = &n->in[LSTM_H]->type, *c = &n->in[LSTM_C]->type;
	size_t bytes = type_bytes(&n->out[0]->type) + type_bytes(h) + type_bytes(c);
	uint8_t *data[3];

	data[0] = arena_alloc(arena, type_bytes(x));
	data[1] = arena_alloc(arena, type_bytes(h));
	data[2] = arena_alloc(arena, type_bytes(c));
	for (int extreme = 0; extreme < 2; extreme++) {
		fill(DT_I8, data[0], type_numel(x), extreme);
		fill(DT_I8, data[1], type_numel(h), extreme);
		fill(DT_I16, data[2], type_numel(c), extreme);
		ck_assert(memcmp(run(node_lower(arena, n), n, data[0], data[1], data[2]),
		                 run(lstm_lower(arena, n), n, data[0], data[1], data[2]),
		                 bytes) == 0);
	}
}

START_TEST(layers_have_the_reference_bytes)
{
	seed = 7;
	for (int32_t inputs = 1; inputs < 30; inputs += 1 + draw(3)) {
		const Node *n = make_lstm(1 + draw(2), 1 + draw(4), inputs, 1 + draw(13), draw(2));

		ck_assert(lstm_fits(n));
		expect_same(n);
	}
}
END_TEST

START_TEST(other_layers_are_left_to_the_reference)
{
	Node *n = make_lstm(1, 2, 4, 3, false);
	Value *w = n->in[LSTM_R + 1], *bias = n->in[LSTM_BIAS];
	Graph *g = graph_new(arena, "other");

	ck_assert(lstm_fits(n));
	n->in[LSTM_R + 1] = graph_input(g, "r", w->type);
	ck_assert(!lstm_fits(n));
	n->in[LSTM_R + 1] = w;
	n->in[LSTM_BIAS] = graph_input(g, "b", bias->type);
	ck_assert(!lstm_fits(n));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("kernel_lstm");
	TCase *tc = tcase_create("kernel_lstm");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, layers_have_the_reference_bytes);
	tcase_add_test(tc, other_layers_are_left_to_the_reference);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
