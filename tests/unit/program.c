/* Programs: what shares memory, and that it does no harm. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/program/program.h"
#include "ir/lower.h"
#include "ir/num.h"
#include "tests/unit/unit_arena.h"

static uint32_t seed;

static uint32_t
random_below(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)(seed >> 4) * n) >> 28);
}

static Graph *
parse(const char *text)
{
	Graph *g = graph_parse(arena, "t", text, strlen(text), &diag);

	if (!g || !graph_verify(g, &diag))
		ck_abort_msg("%s", diag.first ? diag.first->text : "no graph");
	return g;
}

static Program *
build(const Graph *g, ProgramOptions options)
{
	Program *p = program_build(arena, g, &options, &diag);

	if (!p)
		ck_abort_msg("%s", diag.first->text);
	return p;
}

/* ---- Running graphs node by node, each value in memory of its own ---- */

typedef struct {
	void **in, **out, **expected;
} Tensors;

static void
run_node(const Node *n, void **memory)
{
	LFunc *f = node_lower(arena, n);
	void **bufs = ARENA_ARRAY(arena, void *, f->bufs.n);
	int at = 0;

	for (int i = 0; i < n->nins; i++)
		if (n->in[i])
			bufs[at++] = memory[n->in[i]->id];
	for (int i = 0; i < n->nouts; i++)
		if (n->out[i])
			bufs[at++] = memory[n->out[i]->id];
	lfunc_run(arena, f, bufs);
}

static void
fill_random(const Type *t, void *data)
{
	for (int32_t i = 0; i < type_numel(t); i++)
		num_store(t->dtype, data, (size_t)i, (double)random_below(64) / 4 - 6);
}

/* Random inputs, and what the outputs should be. */
static Tensors
make_tensors(const Graph *g)
{
	void **memory = ARENA_ARRAY(arena, void *, g->values.n);
	Tensors t = {ARENA_ARRAY(arena, void *, g->inputs.n), ARENA_ARRAY(arena, void *, g->outputs.n),
	             ARENA_ARRAY(arena, void *, g->outputs.n)};

	for (int i = 0; i < g->values.n; i++) {
		const Value *v = g->values.v[i];

		memory[i] = v->data ? arena_copy(arena, v->data, type_bytes(&v->type))
		                    : arena_alloc(arena, type_bytes(&v->type));
	}
	for (int i = 0; i < g->inputs.n; i++) {
		t.in[i] = memory[g->inputs.v[i]->id];
		fill_random(&g->inputs.v[i]->type, t.in[i]);
	}
	for (const Node *n = g->first; n; n = n->next)
		run_node(n, memory);
	for (int i = 0; i < g->outputs.n; i++) {
		t.expected[i] = memory[g->outputs.v[i]->id];
		t.out[i] = arena_alloc(arena, type_bytes(&g->outputs.v[i]->type));
	}
	return t;
}

static void
check_outputs(const Program *p, const Tensors *t)
{
	const Graph *g = p->graph;
	const void **in = ARENA_ARRAY(arena, const void *, g->inputs.n);

	for (int i = 0; i < g->inputs.n; i++)
		in[i] = t->in[i];
	for (int i = 0; i < g->outputs.n; i++)
		memset(t->out[i], 0x55, type_bytes(&g->outputs.v[i]->type));
	program_run(p, in, t->out);
	for (int i = 0; i < g->outputs.n; i++) {
		if (memcmp(t->out[i], t->expected[i], type_bytes(&g->outputs.v[i]->type)) != 0) {
			Str s;

			str_init(&s, arena);
			graph_print(&s, g);
			program_report(&s, p);
			ck_abort_msg("output %d differs\n%s", i, s.s);
		}
	}
}

static Program *
build_and_check(const Graph *g, ProgramOptions options)
{
	Program *p = build(g, options);
	Tensors t = make_tensors(g);

	check_outputs(p, &t);
	return p;
}

static const Buffer *
buffer_named(const Program *p, const char *name)
{
	for (int i = 0; i < p->buffers.n; i++)
		if (strcmp(p->buffers.v[i]->name, name) == 0)
			return p->buffers.v[i];
	ck_abort_msg("no buffer %s", name);
	return NULL;
}

/* ---- Cases ---- */

START_TEST(a_reshape_is_a_view)
{
	Program *p = build_and_check(parse("graph @g(%x: f32[2,3]) {\n"
	                                   "  %a: f32[2,3] = exp(%x)\n"
	                                   "  %b: f32[6] = reshape(%a) {shape=[6]}\n"
	                                   "  %c: f32[6] = neg(%b)\n"
	                                   "  %d: f32[6] = cum_sum(%c)\n"
	                                   "  return %d\n"
	                                   "}\n"),
	                             (ProgramOptions){0});

	ck_assert_int_eq(p->steps.n, 3);
	ck_assert_int_eq(buffer_named(p, "b")->share, SHARE_VIEW);
	ck_assert_uint_eq(buffer_named(p, "b")->offset, buffer_named(p, "a")->offset);
}
END_TEST

START_TEST(a_contiguous_slice_is_a_view_at_an_offset)
{
	Program *p = build_and_check(parse("graph @g(%x: f32[4,3]) {\n"
	                                   "  %a: f32[4,3] = exp(%x)\n"
	                                   "  %b: f32[2,3] = slice(%a) {starts=[1,0], sizes=[2,3], steps=[1,1]}\n"
	                                   "  %c: f32[2,2] = slice(%a) {starts=[1,0], sizes=[2,2], steps=[1,1]}\n"
	                                   "  %d: f32[] = reduce_sum(%b) {axes=[0,1], keepdims=false}\n"
	                                   "  %e: f32[] = reduce_sum(%c) {axes=[0,1], keepdims=false}\n"
	                                   "  return %d, %e\n"
	                                   "}\n"),
	                             (ProgramOptions){0});

	ck_assert_int_eq(p->steps.n, 4);
	ck_assert_uint_eq(buffer_named(p, "b")->offset, buffer_named(p, "a")->offset + 12);
	ck_assert_int_eq(buffer_named(p, "c")->share, SHARE_NONE);
}
END_TEST

START_TEST(what_is_elementwise_runs_in_place)
{
	Program *p = build_and_check(parse("graph @g(%x: f32[8]) {\n"
	                                   "  %a: f32[8] = exp(%x)\n"
	                                   "  %b: f32[8] = neg(%a)\n"
	                                   "  %c: f32[8] = add(%b, %x)\n"
	                                   "  %d: f32[] = reduce_sum(%c) {axes=[0], keepdims=false}\n"
	                                   "  return %d\n"
	                                   "}\n"),
	                             (ProgramOptions){0});

	ck_assert_uint_eq(p->arena_size, 32);
	ck_assert_int_eq(buffer_named(p, "c")->share, SHARE_IN_PLACE);
	ck_assert(p->arena_optimal);
}
END_TEST

START_TEST(what_is_needed_later_is_not_overwritten)
{
	Program *p = build_and_check(parse("graph @g(%x: f32[8]) {\n"
	                                   "  %a: f32[8] = exp(%x)\n"
	                                   "  %b: f32[8] = neg(%a)\n"
	                                   "  %c: f32[8] = cum_sum(%a)\n"
	                                   "  %d: f32[8] = mul(%c, %b)\n"
	                                   "  return %d\n"
	                                   "}\n"),
	                             (ProgramOptions){0});

	ck_assert_int_eq(buffer_named(p, "b")->share, SHARE_NONE);
}
END_TEST

START_TEST(an_element_type_of_another_size_is_not_computed_in_place)
{
	Program *p = build_and_check(parse("graph @g(%x: f32[8]) {\n"
	                                   "  %a: f32[8] = exp(%x)\n"
	                                   "  %b: i32[8] = cast(%a) {to=i32}\n"
	                                   "  %c: i8[8] = cast(%b) {to=i8}\n"
	                                   "  return %c\n"
	                                   "}\n"),
	                             (ProgramOptions){0});

	ck_assert_int_eq(buffer_named(p, "b")->share, SHARE_NONE);
	ck_assert_int_eq(buffer_named(p, "c")->share, SHARE_NONE);
}
END_TEST

START_TEST(pieces_of_a_concat_are_computed_in_place)
{
	Program *p = build_and_check(parse("graph @g(%x: f32[1,3]) {\n"
	                                   "  %a: f32[1,3] = exp(%x)\n"
	                                   "  %b: f32[1,3] = neg(%x)\n"
	                                   "  %c: f32[1,6] = concat(%a, %b) {axis=1}\n"
	                                   "  %d: f32[] = reduce_sum(%c) {axes=[0,1], keepdims=false}\n"
	                                   "  return %d\n"
	                                   "}\n"),
	                             (ProgramOptions){0});

	ck_assert_int_eq(p->steps.n, 3);
	ck_assert_uint_eq(p->arena_size, 24);
	ck_assert_uint_eq(buffer_named(p, "b")->offset, buffer_named(p, "c")->offset + 12);
}
END_TEST

START_TEST(inputs_and_repeated_pieces_of_a_concat_are_copied)
{
	Program *p = build_and_check(parse("graph @g(%x: f32[3]) {\n"
	                                   "  %a: f32[3] = exp(%x)\n"
	                                   "  %k: f32[2] = const [5.0, 6.0]\n"
	                                   "  %c: f32[11] = concat(%x, %a, %k, %a) {axis=0}\n"
	                                   "  %d: f32[11] = neg(%c)\n"
	                                   "  return %d, %a\n"
	                                   "}\n"),
	                             (ProgramOptions){0});

	/* exp, three or four copies, neg; the output a keeps a out of c. */
	ck_assert_int_eq(p->steps.n, 3);
	p = build_and_check(parse("graph @g(%x: f32[3]) {\n"
	                          "  %a: f32[3] = exp(%x)\n"
	                          "  %k: f32[2] = const [5.0, 6.0]\n"
	                          "  %c: f32[11] = concat(%x, %a, %k, %a) {axis=0}\n"
	                          "  %d: f32[11] = neg(%c)\n"
	                          "  return %d\n"
	                          "}\n"),
	                    (ProgramOptions){0});
	ck_assert_int_eq(p->steps.n, 5);
	ck_assert_uint_eq(p->arena_size, 0);
}
END_TEST

START_TEST(a_concat_along_an_inner_axis_is_computed)
{
	Program *p = build_and_check(parse("graph @g(%x: f32[2,3]) {\n"
	                                   "  %a: f32[2,3] = exp(%x)\n"
	                                   "  %c: f32[2,6] = concat(%a, %x) {axis=1}\n"
	                                   "  return %c\n"
	                                   "}\n"),
	                             (ProgramOptions){0});

	ck_assert_int_eq(p->steps.n, 2);
	ck_assert_int_eq(buffer_named(p, "a")->kind, BUFFER_ARENA);
}
END_TEST

/* The bytes of a beside its slice are not bytes of the concat. */
START_TEST(a_slice_in_a_concat_does_not_bring_its_neighbours)
{
	build_and_check(parse("graph @g(%x: f32[6]) {\n"
	                      "  %a: f32[6] = exp(%x)\n"
	                      "  %s: f32[3] = slice(%a) {starts=[0], sizes=[3], steps=[1]}\n"
	                      "  %b: f32[3] = neg(%s)\n"
	                      "  %c: f32[6] = concat(%s, %b) {axis=0}\n"
	                      "  %d: f32[6] = cum_sum(%c)\n"
	                      "  %e: f32[6] = add(%d, %a)\n"
	                      "  return %e\n"
	                      "}\n"),
	                (ProgramOptions){0});
}
END_TEST

START_TEST(outputs_that_nothing_computes_are_copied)
{
	Program *p = build_and_check(parse("graph @g(%x: f32[2,3]) {\n"
	                                   "  %k: f32[2] = const [5.0, 6.0]\n"
	                                   "  %v: f32[6] = reshape(%x) {shape=[6]}\n"
	                                   "  %w: f32[1] = slice(%k) {starts=[1], sizes=[1], steps=[1]}\n"
	                                   "  %a: f32[2,3] = exp(%x)\n"
	                                   "  return %x, %k, %v, %w, %a, %a, %x\n"
	                                   "}\n"),
	                             (ProgramOptions){0});

	ck_assert_uint_eq(p->arena_size, 0);
	for (int i = 0; i < p->graph->outputs.n; i++) {
		ck_assert_int_eq(p->output[i]->kind, BUFFER_OUTPUT);
		ck_assert_ptr_eq(p->output[i]->base, p->output[i]);
		for (int j = 0; j < i; j++)
			ck_assert_ptr_ne(p->output[i], p->output[j]);
	}
}
END_TEST

START_TEST(two_outputs_do_not_share_memory)
{
	Program *p = build_and_check(parse("graph @g(%x: f32[2,3]) {\n"
	                                   "  %a: f32[2,3] = exp(%x)\n"
	                                   "  %b: f32[6] = reshape(%a) {shape=[6]}\n"
	                                   "  %c: f32[2,3] = neg(%a)\n"
	                                   "  return %a, %b, %c\n"
	                                   "}\n"),
	                             (ProgramOptions){0});

	ck_assert_int_eq(p->steps.n, 3);
	ck_assert_ptr_ne(p->output[0], p->output[1]);
}
END_TEST

START_TEST(what_leads_to_an_output_is_computed_in_it)
{
	Program *p = build_and_check(parse("graph @g(%x: f32[2,3]) {\n"
	                                   "  %a: f32[2,3] = exp(%x)\n"
	                                   "  %b: f32[6] = reshape(%a) {shape=[6]}\n"
	                                   "  %c: f32[6] = neg(%b)\n"
	                                   "  return %c\n"
	                                   "}\n"),
	                             (ProgramOptions){0});

	ck_assert_uint_eq(p->arena_size, 0);
	ck_assert_ptr_eq(buffer_named(p, "a")->base, p->output[0]);
}
END_TEST

START_TEST(alignment_is_that_of_the_elements_or_more)
{
	Graph *g = parse("graph @g(%x: f64[3], %y: i8[5]) {\n"
	                 "  %c: i8[5] = neg(%y)\n"
	                 "  %a: f64[3] = exp(%x)\n"
	                 "  %b: f64[] = reduce_max(%a) {axes=[0], keepdims=false}\n"
	                 "  %d: i8[] = reduce_max(%c) {axes=[0], keepdims=false}\n"
	                 "  return %b, %d\n"
	                 "}\n");
	Program *p = build_and_check(g, (ProgramOptions){0});

	ck_assert_uint_eq(p->arena_align, 8);
	ck_assert_uint_eq(buffer_named(p, "a")->offset % 8, 0);
	p = build_and_check(g, (ProgramOptions){.align = 32});
	ck_assert_uint_eq(p->arena_align, 32);
	for (int i = 0; i < p->buffers.n; i++)
		if (p->buffers.v[i]->kind == BUFFER_ARENA)
			ck_assert_uint_eq(p->buffers.v[i]->offset % 32, 0);
}
END_TEST

START_TEST(empty_tensors_need_no_steps)
{
	Program *p = build_and_check(parse("graph @g(%x: f32[0,3]) {\n"
	                                   "  %a: f32[0,3] = exp(%x)\n"
	                                   "  %b: f32[3] = reduce_sum(%a) {axes=[0], keepdims=false}\n"
	                                   "  %c: f32[3,0] = transpose(%a) {perm=[1,0]}\n"
	                                   "  return %b, %c, %x\n"
	                                   "}\n"),
	                             (ProgramOptions){0});

	ck_assert_int_eq(p->steps.n, 1);
	ck_assert_uint_eq(p->arena_size, 0);
}
END_TEST

START_TEST(the_report_shows_the_plan)
{
	static const char head[] =
		"memory plan of kws: 3 steps\n"
		"arena 8 bytes, aligned to 4; lower bound 8; optimal (greedy by size)\n"
		"constants 32 bytes, 8 multiply-accumulates\n";
	static const char report[] =
		"\n"
		"where      offset      bytes        steps buffer\n"
		"input           0         16     -1..3     x f32[1,4]\n"
		"output          0          4      2..3     e f32[1]\n"
		"const           0         32     -1..3     w f32[4,2]\n"
		"arena           0          8      0..1     a f32[1,2]\n"
		"arena           0          8      1..1     b f32[1,2], in place of a\n"
		"arena           4          4      2..2     d f32[1], view of c\n"
		"arena           0          8      2..2     c f32[2], view of b\n";
	Program *p = build(parse("graph @kws(%x: f32[1,4]) {\n"
	                         "  %w: f32[4,2] = const [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]\n"
	                         "  %a: f32[1,2] = matmul(%x, %w) as \"dense\"\n"
	                         "  %b: f32[1,2] = relu(%a)\n"
	                         "  %c: f32[2] = reshape(%b) {shape=[2]}\n"
	                         "  %d: f32[1] = slice(%c) {starts=[1], sizes=[1], steps=[1]}\n"
	                         "  %e: f32[1] = exp(%d)\n"
	                         "  return %e as \"prob\"\n"
	                         "}\n"),
	                   (ProgramOptions){0});
	Str s;

	str_init(&s, arena);
	program_report(&s, p);
	ck_assert_ptr_nonnull(strstr(s.s, report));
	ck_assert(strncmp(s.s, head, strlen(head)) == 0);
	/* Of the estimates only what they are of. */
	ck_assert_ptr_nonnull(strstr(s.s, "\nflash about "));
	ck_assert_ptr_nonnull(strstr(s.s, " bytes: 32 of constants, about "));
	ck_assert_ptr_nonnull(strstr(s.s, " dense: reference\n"));
}
END_TEST

/* ---- Random graphs ---- */

typedef VEC(Value *) Values;

static Value *
pick(const Values *v)
{
	/* Late values more often. */
	int back = (int)random_below(random_below(3) ? 4 : (uint32_t)v->n);

	return v->v[back < v->n ? v->n - 1 - back : 0];
}

static Value *
add_op(Graph *g, Node *n)
{
	ck_assert(node_infer(n, &diag));
	(void)g;
	return n->out[0];
}

static Ints
ints(int n, const int64_t *v)
{
	return (Ints){n, arena_copy(arena, v, (size_t)n * sizeof *v)};
}

static Value *
random_reshape(Graph *g, Value *x)
{
	Node *n = graph_add(g, OP_RESHAPE, 1, &x, NULL);
	int32_t numel = type_numel(&x->type);
	int64_t shape[3] = {1, numel, 1};

	if (numel % 2 == 0 && random_below(2))
		shape[0] = 2, shape[1] = numel / 2;
	((Attr_RESHAPE *)n->attr)->shape = ints(2 + (int)random_below(2), shape);
	return add_op(g, n);
}

static Value *
random_slice(Graph *g, Value *x)
{
	int64_t start[MAX_RANK], size[MAX_RANK], step[MAX_RANK];
	Node *n;
	Attr_SLICE *a;
	bool outer = random_below(2);

	for (int i = 0; i < x->type.rank; i++) {
		int32_t dim = x->type.dim[i];

		start[i] = random_below(3) || (outer && i) ? 0 : random_below((uint32_t)dim);
		size[i] = dim - start[i];
		step[i] = 1;
	}
	n = graph_add(g, OP_SLICE, 1, &x, NULL);
	a = n->attr;
	a->starts = ints(x->type.rank, start);
	a->sizes = ints(x->type.rank, size);
	a->steps = ints(x->type.rank, step);
	return add_op(g, n);
}

static Value *
random_concat(Graph *g, const Values *v)
{
	Value *flat[4];
	int n = 2 + (int)random_below(3);
	Node *node;

	for (int i = 0; i < n; i++) {
		Value *x = pick(v);
		int64_t shape[] = {1, type_numel(&x->type)};

		if (i && random_below(4) == 0) {
			flat[i] = flat[i - 1];
			continue;
		}
		node = graph_add(g, OP_RESHAPE, 1, &x, NULL);
		((Attr_RESHAPE *)node->attr)->shape = ints(2, shape);
		flat[i] = add_op(g, node);
	}
	node = graph_add(g, OP_CONCAT, n, flat, NULL);
	((Attr_CONCAT *)node->attr)->axis = 1;
	return add_op(g, node);
}

static Value *
random_transpose(Graph *g, Value *x)
{
	int64_t perm[MAX_RANK];
	Node *n = graph_add(g, OP_TRANSPOSE, 1, &x, NULL);

	for (int i = 0; i < x->type.rank; i++)
		perm[i] = x->type.rank - 1 - i;
	((Attr_TRANSPOSE *)n->attr)->perm = ints(x->type.rank, perm);
	return add_op(g, n);
}

static Value *
random_constant(Graph *g, const Type *t)
{
	void *data = arena_alloc(arena, type_bytes(t));

	fill_random(t, data);
	return graph_const(g, NULL, *t, data);
}

static Value *
random_op(Graph *g, const Values *v)
{
	static const Op unary[] = {OP_NEG, OP_RELU, OP_ABS, OP_FLOOR};
	Value *x = pick(v), *in[2] = {x, NULL};
	Node *n;

	switch (random_below(9)) {
	case 0:
	case 1: return add_op(g, graph_add(g, unary[random_below(4)], 1, in, NULL));
	case 2: return random_reshape(g, x);
	case 3: return random_slice(g, x);
	case 4:
		if (type_numel(&x->type) < 100)
			return random_concat(g, v);
		return random_slice(g, x);
	case 5: return random_transpose(g, x);
	case 6:
		n = graph_add(g, OP_CUM_SUM, 1, in, NULL);
		((Attr_CUM_SUM *)n->attr)->reverse = random_below(2);
		return add_op(g, n);
	case 7:
		in[1] = random_below(2) ? x : random_constant(g, &x->type);
		return add_op(g, graph_add(g, OP_SUB, 2, in, NULL));
	default:
		in[1] = pick(v);
		if (!type_same_shape(&in[0]->type, &in[1]->type))
			in[1] = in[0];
		return add_op(g, graph_add(g, OP_ADD, 2, in, NULL));
	}
}

static Graph *
random_graph(int nodes)
{
	Graph *g = graph_new(arena, "random");
	Values v = {0};
	int noutputs;

	for (int i = 0; i < 2; i++)
		VEC_PUSH(arena, &v,
		         graph_input(g, NULL, type_make(DT_F32, 2, (int32_t[]){2, 3 + i})));
	for (int i = 0; i < nodes; i++) {
		Value *out = random_op(g, &v);

		VEC_PUSH(arena, &v, out);
	}
	VEC_PUSH(arena, &v, random_constant(g, &v.v[0]->type));
	noutputs = 1 + (int)random_below(3);
	for (int i = 0; i < noutputs; i++)
		graph_output(g, "out", pick(&v));
	return g;
}

START_TEST(random_graphs_compute_the_same_in_planned_memory)
{
	Graph *g;
	Tensors t;
	Program *plain;

	seed = (uint32_t)_i + 1;
	g = random_graph(3 + _i % 25);
	t = make_tensors(g);
	plain = build(g, (ProgramOptions){.no_views = true, .no_concat = true, .no_in_place = true});
	check_outputs(plain, &t);
	for (int set = 0; set < 8; set++) {
		ProgramOptions o = {.no_views = set & 1, .no_concat = set & 2,
		                    .no_in_place = set & 4, .align = _i % 2 ? 16 : 0};
		Program *p = build(g, o);

		check_outputs(p, &t);
		ck_assert_uint_ge(p->arena_size, p->arena_bound);
		if (o.align == 0)
			ck_assert_uint_le(p->arena_size, plain->arena_size);
	}
}
END_TEST

/* Half of the arena in one memory: places and sizes as promised, and the same results. */
START_TEST(random_graphs_compute_the_same_in_several_regions)
{
	MemoryRegion region[] = {{"A", 0}, {"B", 0}, {"C", 1 << 20}};
	ProgramOptions o = {.io = _i % 3 ? IO_CALLER : IO_ARENA};
	Graph *g;
	Program *p;
	Tensors t;

	seed = (uint32_t)_i + 7000;
	g = random_graph(3 + _i % 25);
	t = make_tensors(g);
	p = build(g, o);
	region[0].size = p->arena_size / 2 + 4;
	region[1].size = 1 + random_below(100);
	o.region = region;
	o.nregions = 3;
	p = build(g, o);
	check_outputs(p, &t);
	ck_assert_int_eq(p->nregions, 3);
	for (int r = 0; r < 3; r++) {
		ck_assert_uint_le(p->region[r].size, region[r].size);
		ck_assert_uint_eq(p->region[r].base % 8, 0);
		ck_assert(!r || p->region[r].base >= p->region[r - 1].base + p->region[r - 1].size);
	}
	for (int i = 0; i < p->buffers.n; i++) {
		const Buffer *b = p->buffers.v[i];

		if (b->kind == BUFFER_ARENA && type_bytes(&b->type))
			ck_assert_uint_le(program_in_region(p, b) + type_bytes(&b->type),
			                  p->region[b->region].size);
	}
}
END_TEST

START_TEST(regions_that_are_too_small_are_refused)
{
	Graph *g = parse("graph @g(%x: f32[64]) {\n"
	                 "  %a = exp(%x)\n"
	                 "  %b = cum_sum(%a) {axis=0}\n"
	                 "  %y: f32[1] = reduce_sum(%b) {axes=[0], keepdims=true}\n"
	                 "  return %y\n"
	                 "}\n");
	const MemoryRegion region[] = {{"A", 100}, {"B", 255}};
	ProgramOptions o = {.region = region, .nregions = 2};

	ck_assert_ptr_null(program_build(arena, g, &o, &diag));
	ck_assert_int_eq(diag.first->code, E_BUDGET);
	ck_assert_ptr_nonnull(strstr(diag.first->text, "'-mregion=B:255'"));
	ck_assert_ptr_nonnull(strstr(diag.first->text, "256 bytes there, 1 more"));
}
END_TEST

/* A value that a loop reads again and again lies in fast memory, one that is read once
 * does not, whatever their order. */
START_TEST(what_is_read_most_lies_in_the_first_region)
{
	Graph *g = parse("graph @g(%x: f32[1,64], %w: f32[16,64]) {\n"
	                 "  %a = exp(%w)\n"
	                 "  %b = exp(%x)\n"
	                 "  %t = transpose(%a) {perm=[1,0]}\n"
	                 "  %y = matmul(%b, %t)\n"
	                 "  return %y\n"
	                 "}\n");
	const MemoryRegion region[] = {{"FAST", 256}, {"SLOW", 1 << 16}};
	ProgramOptions o = {.region = region, .nregions = 2};
	Program *p = build_and_check(g, o);

	ck_assert_int_gt(p->buffers.n, 0);
	for (int i = 0; i < p->buffers.n; i++) {
		const Buffer *b = p->buffers.v[i];

		if (b->kind == BUFFER_ARENA)
			ck_assert_int_eq(b->region, strcmp(b->name, "b") != 0);
	}
	ck_assert_uint_eq(p->region[0].size, 256);
}
END_TEST

/* ---- Constants within constants (constants.c) ---- */

/* y = x times one constant, plus others. */
static Graph *
sums(const char *constants)
{
	return parse(arena_printf(arena, "graph @g(%%x: f32[2,6]) {\n%s"
	                                 "  %%1 = mul(%%x, %%a)\n  %%2 = add(%%1, %%b)\n"
	                                 "  %%3 = add(%%2, %%c)\n  return %%3\n}\n", constants));
}

START_TEST(a_constant_lies_in_one_that_has_its_bytes)
{
	Program *p = build_and_check(sums("  %a: f32[2,6] = const [1,2,3,4,5,6,7,8,9,10,11,12]\n"
	                                  "  %b: f32[6] = const [3,4,5,6,7,8]\n"
	                                  "  %c: f32[2,1] = const [11, 12]\n"),
	                             (ProgramOptions){0});
	const Buffer *a = buffer_named(p, "a"), *b = buffer_named(p, "b");

	ck_assert_ptr_eq(a->base, a);
	ck_assert_ptr_eq(b->base, a);
	ck_assert_uint_eq(b->offset, 8);
	ck_assert_ptr_eq(buffer_named(p, "c")->base, a);
	ck_assert_uint_eq(buffer_named(p, "c")->offset, 40);
	ck_assert_uint_eq(program_const_bytes(p), 48);
}
END_TEST

/* The second of two that are equal is nowhere but in the first, and moves with it. */
START_TEST(equal_constants_lie_in_a_third_one)
{
	Program *p = build_and_check(sums("  %b: f32[6] = const [3,4,5,6,7,8]\n"
	                                  "  %c: f32[6] = const [3,4,5,6,7,8]\n"
	                                  "  %a: f32[2,6] = const [1,2,3,4,5,6,7,8,9,10,11,12]\n"),
	                             (ProgramOptions){0});

	ck_assert_uint_eq(program_const_bytes(p), 48);
	ck_assert_ptr_eq(buffer_named(p, "c")->base, buffer_named(p, "a"));
	ck_assert_uint_eq(buffer_named(p, "c")->offset, 8);
	p = build_and_check(sums("  %a: f32[6] = const [1,2,3,4,5,6]\n"
	                         "  %b: f32[6] = const [3,4,5,6,7,8]\n"
	                         "  %c: f32[6] = const [3,4,5,6,7,8]\n"), (ProgramOptions){0});
	ck_assert_uint_eq(program_const_bytes(p), 48);
}
END_TEST

/* Nearly equal, of another type, or between two elements. */
START_TEST(constants_with_other_bytes_stay_apart)
{
	Program *p = build_and_check(sums("  %a: f32[2,6] = const [1,2,3,4,5,6,7,8,9,10,11,12]\n"
	                                  "  %b: f32[6] = const [7,8,9,10,11,13]\n"
	                                  "  %c: f32[6] = const [12,1,2,3,4,5]\n"),
	                             (ProgramOptions){0});

	ck_assert_uint_eq(program_const_bytes(p), 96);
	p = build_and_check(parse("graph @g(%x: i16[8], %u: i8[8]) {\n"
	                          "  %a: i16[8] = const [258,258,258,258,3,258,258,258]\n"
	                          "  %b: i8[8] = const [2,1,2,1,2,1,2,1]\n"
	                          "  %1 = add(%x, %a)\n  %2 = add(%u, %b)\n"
	                          "  return %1, %2\n}\n"), (ProgramOptions){0});
	ck_assert_uint_eq(program_const_bytes(p), 24);
	p = build_and_check(parse("graph @g(%x: i16[8], %u: i16[4]) {\n"
	                          "  %a: i16[8] = const [513,1027,1541,2055,2569,3083,3597,4111]\n"
	                          "  %b: i16[4] = const [770,1284,1798,2312]\n"
	                          "  %1 = add(%x, %a)\n  %2 = add(%u, %b)\n"
	                          "  return %1, %2\n}\n"), (ProgramOptions){0});
	ck_assert_uint_eq(program_const_bytes(p), 24);
}
END_TEST

/* ---- One function for several layers (merge.c) ---- */

static const KernelOptions for_size = {.level = 's'};

/* Without overlap loops run forward. */
static const ProgramOptions in_order = {.kernels = &for_size, .no_overlap = true};

static int
count_functions(const Program *p)
{
	int n = 0;

	for (int i = 0; i < p->steps.n; i++) {
		int k = 0;

		while (p->steps.v[k]->fn != p->steps.v[i]->fn)
			k++;
		n += k == i;
	}
	return n;
}

START_TEST(layers_that_differ_in_sizes_are_one_function)
{
	Graph *g = parse("graph @g(%x: f32[1,3,8,9], %u: f32[2,3,3,3], %v: f32[4,2,3,2], "
	                 "%w: f32[5,4,2,3]) {\n"
	                 "  %1 = conv(%x, %u) {pads=[1,1,1,1]}\n"
	                 "  %2 = conv(%1, %v) {strides=[2,1], pads=[2,1,1,1]}\n"
	                 "  %y = conv(%2, %w) {dilations=[1,2], pads=[1,3,1,2]}\n"
	                 "  return %y\n"
	                 "}\n");
	Program *p = build_and_check(g, in_order);

	ck_assert_int_eq(p->steps.n, 3);
	ck_assert_int_eq(count_functions(p), 1);
	ck_assert_int_eq(count_functions(build_and_check(g, (ProgramOptions){0})), 3);
}
END_TEST

/* Multipliers and shifts of channels are tables of the functions. */
START_TEST(layers_that_differ_in_tables_are_one_function)
{
	Graph *g = parse("graph @g(%x: i8[1,2,5,3] q(0.05, 3)) {\n"
	                 "  %w: i8[2,2,1,1] q[0](0.01, 0.2) = const [7, 100, -3, 4]\n"
	                 "  %v: i8[3,2,1,1] q[0](0.5, 0.25, 0.3) = const [1, 2, 3, 4, 5, 6]\n"
	                 "  %1: i8[1,2,5,3] q(0.1, 0) = conv(%x, %w)\n"
	                 "  %2: i8[1,3,5,3] q(0.2, -9) = conv(%1, %v)\n"
	                 "  return %2\n"
	                 "}\n");
	Program *p = build_and_check(g, in_order);

	ck_assert_int_eq(p->steps.n, 2);
	ck_assert_int_eq(count_functions(p), 1);
}
END_TEST

/* The output of the second lies over all of the arena, so pixels have to be held. */
START_TEST(layers_hold_their_outputs_where_one_of_them_has_to)
{
	Graph *g = parse("graph @g(%x: i8[1,4,4,2] q(0.05, -128)) {\n"
	                 "  %u: i8[2,1,1,2] q[0](0.01, 0.2) = const [7, 100, -3, 4]\n"
	                 "  %v: i8[4,1,1,2] q[0](0.5, 0.2, 0.3, 0.1) = const [1, 2, 3, 4, 5, 6, 7, 8]\n"
	                 "  %1: i8[1,4,4,2] q(0.1, -128) = conv(%x, %u) {layout=nhwc}\n"
	                 "  %2: i8[1,4,4,4] q(0.2, -128) = conv(%1, %v) {layout=nhwc}\n"
	                 "  %3: i8[1,2,2,4] q(0.2, -128) = max_pool(%2) {kernel=[2,2], strides=[2,2], layout=nhwc}\n"
	                 "  return %3\n"
	                 "}\n");
	Program *p = build_and_check(g, (ProgramOptions){.kernels = &for_size, .io = IO_ARENA});

	ck_assert_int_eq(p->steps.n, 3);
	ck_assert_uint_eq(p->arena_size, 64);
	ck_assert_int_eq(p->steps.v[0]->order, ORDER_HELD);
	ck_assert_int_eq(count_functions(p), 2);
}
END_TEST

/* Dividing by a variable is another thing than dividing by a number. */
START_TEST(layers_with_other_divisors_stay_apart)
{
	Graph *g = parse("graph @g(%x: f32[1,2,6], %w: f32[2,2,3]) {\n"
	                 "  %1 = conv_transpose(%x, %w) {strides=[2]}\n"
	                 "  %2 = conv_transpose(%1, %w) {strides=[3]}\n"
	                 "  %3 = conv_transpose(%2, %w) {strides=[3]}\n"
	                 "  return %3\n"
	                 "}\n");
	Program *p = build_and_check(g, in_order);

	ck_assert_int_eq(p->steps.n, 3);
	ck_assert_int_eq(count_functions(p), 2);
}
END_TEST

START_TEST(random_graphs_compute_the_same_with_shared_functions)
{
	Graph *g;
	Tensors t;
	Program *p;

	seed = (uint32_t)_i + 1000;
	g = random_graph(3 + _i % 40);
	t = make_tensors(g);
	p = build(g, (ProgramOptions){.kernels = &for_size});
	check_outputs(p, &t);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("program");
	TCase *tc = tcase_create("program");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_reshape_is_a_view);
	tcase_add_test(tc, a_contiguous_slice_is_a_view_at_an_offset);
	tcase_add_test(tc, what_is_elementwise_runs_in_place);
	tcase_add_test(tc, what_is_needed_later_is_not_overwritten);
	tcase_add_test(tc, an_element_type_of_another_size_is_not_computed_in_place);
	tcase_add_test(tc, pieces_of_a_concat_are_computed_in_place);
	tcase_add_test(tc, inputs_and_repeated_pieces_of_a_concat_are_copied);
	tcase_add_test(tc, a_concat_along_an_inner_axis_is_computed);
	tcase_add_test(tc, a_slice_in_a_concat_does_not_bring_its_neighbours);
	tcase_add_test(tc, outputs_that_nothing_computes_are_copied);
	tcase_add_test(tc, two_outputs_do_not_share_memory);
	tcase_add_test(tc, what_leads_to_an_output_is_computed_in_it);
	tcase_add_test(tc, alignment_is_that_of_the_elements_or_more);
	tcase_add_test(tc, empty_tensors_need_no_steps);
	tcase_add_test(tc, the_report_shows_the_plan);
	tcase_add_loop_test(tc, random_graphs_compute_the_same_in_planned_memory, 0, 200);
	tcase_add_loop_test(tc, random_graphs_compute_the_same_in_several_regions, 0, 200);
	tcase_add_test(tc, regions_that_are_too_small_are_refused);
	tcase_add_test(tc, what_is_read_most_lies_in_the_first_region);
	tcase_add_test(tc, a_constant_lies_in_one_that_has_its_bytes);
	tcase_add_test(tc, equal_constants_lie_in_a_third_one);
	tcase_add_test(tc, constants_with_other_bytes_stay_apart);
	tcase_add_test(tc, layers_that_differ_in_sizes_are_one_function);
	tcase_add_test(tc, layers_that_differ_in_tables_are_one_function);
	tcase_add_test(tc, layers_hold_their_outputs_where_one_of_them_has_to);
	tcase_add_test(tc, layers_with_other_divisors_stay_apart);
	tcase_add_loop_test(tc, random_graphs_compute_the_same_with_shared_functions, 0, 200);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
