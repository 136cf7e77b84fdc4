/* Tensors of ONNX files, the wire format they come in, and the choice of a format. */
#define _XOPEN_SOURCE 700 /* mkdtemp, symlink */

#include <unistd.h>

#include "frontend/onnx/tensor.h"
#include "tests/unit/onnx_model.h"
#include "tests/unit/unit.h"

static Model m;

static void
setup(void)
{
	model_begin(&m, 13);
	output(&m, "y", 0, NULL);
	node(&m, "Identity", "k", "y");
}

static void
teardown(void)
{
	model_end(&m);
}

/* The constant that the model returns, which has the elements `want`. */
static const Value *
expect_elements(DType t, int n, const double *want)
{
	Graph *g = read_model(&m);
	const Value *v;

	ck_assert_msg(g != NULL, "%s", messages(&m));
	v = g->outputs.v[0];
	ck_assert(value_is_const(v));
	ck_assert_int_eq(v->type.dtype, t);
	ck_assert_int_eq(type_numel(&v->type), n);
	for (int i = 0; i < n; i++)
		ck_assert_double_eq(value_float(v, i), want[i]);
	return v;
}

#define WANT(...) (const double[]){__VA_ARGS__}

/* ---- Data ---- */

static const struct {
	int elem;
	DType dtype;
	int32_t stored[2];
	double want[2];
} stored_in_int32[] = {
	{2, DT_U8, {255, 3}, {255, 3}},
	{3, DT_I8, {-128, 3}, {-128, 3}},
	{4, DT_U16, {65535, 3}, {65535, 3}},
	{5, DT_I16, {-32768, 3}, {-32768, 3}},
	{6, DT_I32, {INT32_MIN, 3}, {INT32_MIN, 3}},
	{9, DT_BOOL, {7, 0}, {1, 0}},
	{10, DT_F16, {0x3c00, 0xc000}, {1, -2}},
	{16, DT_BF16, {0x3f80, 0xc000}, {1, -2}},
};

START_TEST(small_types_lie_in_int32_data)
{
	Onnx__TensorProto *t = tensor(&m, "k", stored_in_int32[_i].elem, "2");

	for (int i = 0; i < 2; i++)
		ADD(&m, t->int32_data, t->n_int32_data, stored_in_int32[_i].stored[i]);
	expect_elements(stored_in_int32[_i].dtype, 2, stored_in_int32[_i].want);
}
END_TEST

START_TEST(large_types_have_their_own_fields)
{
	Onnx__TensorProto *t = tensor(&m, "k", 12, "2"); /* uint32 in uint64_data */

	ADD(&m, t->uint64_data, t->n_uint64_data, 4294967295u);
	ADD(&m, t->uint64_data, t->n_uint64_data, 1);
	expect_elements(DT_U32, 2, WANT(4294967295.0, 1));
}
END_TEST

START_TEST(raw_data_is_little_endian)
{
	raw(&m, tensor(&m, "k", FLOAT, "2"), "\0\0\x80\x3f\0\0\0\xc0", 8);
	expect_elements(DT_F32, 2, WANT(1, -2));
}
END_TEST

START_TEST(raw_bools_become_0_and_1)
{
	raw(&m, tensor(&m, "k", BOOL, "3"), "\x80\x00\x01", 3);
	expect_elements(DT_BOOL, 3, WANT(1, 0, 1));
}
END_TEST

START_TEST(four_bit_elements_are_unpacked)
{
	raw(&m, tensor(&m, "k", 22, "3"), "\xf7\x08", 2);
	expect_elements(DT_I8, 3, WANT(7, -1, -8));
	teardown();
	setup();
	raw(&m, tensor(&m, "k", 21, "3"), "\xf7\x08", 2);
	expect_elements(DT_U8, 3, WANT(7, 15, 8));
}
END_TEST

START_TEST(empty_tensors_and_scalars_have_data)
{
	tensor(&m, "k", FLOAT, "0,3");
	expect_elements(DT_F32, 0, WANT(0));
	teardown();
	setup();
	floats(&m, "k", "", "2.5");
	expect_elements(DT_F32, 1, WANT(2.5));
}
END_TEST

START_TEST(missing_data_is_an_error)
{
	floats(&m, "k", "3", "1,2");
	expect_error(&m, E_MALFORMED, "has 2 elements of data instead of 3");
	teardown();
	setup();
	raw(&m, tensor(&m, "k", FLOAT, "1"), "123", 3);
	expect_error(&m, E_MALFORMED, "has 3 bytes of data instead of 4");
	teardown();
	setup();
	floats(&m, "k", "1", "1")->data_type = INT64;
	expect_error(&m, E_MALFORMED, "in the field of another type");
}
END_TEST

static const struct {
	int elem;
	const char *words;
} unsupported[] = {{8, "string"}, {14, "complex64"}, {17, "float8e4m3fn"}, {0, "undefined"},
                   {99, "number 99"}, {-1, "number -1"}};

START_TEST(types_that_are_not_supported_are_named)
{
	tensor(&m, "k", unsupported[_i].elem, "1");
	expect_error(&m, E_UNSUPPORTED, unsupported[_i].words);
}
END_TEST

START_TEST(absurd_shapes_are_errors)
{
	tensor(&m, "k", FLOAT, "-1");
	expect_error(&m, E_MALFORMED, "dimension 0 of tensor 'k' is -1");
	teardown();
	setup();
	tensor(&m, "k", FLOAT, "65536,65536");
	expect_error(&m, E_SIZE, "larger than 2 GiB");
	teardown();
	setup();
	tensor(&m, "k", FLOAT, "1,1,1,1,1,1,1,1,1");
	expect_error(&m, E_SIZE, "9 dimensions");
}
END_TEST

/* ---- Sparse tensors ---- */

static Onnx__SparseTensorProto *
sparse(const char *dims, const char *index_dims, const char *indices)
{
	Onnx__SparseTensorProto *t = ARENA_NEW(m.arena, Onnx__SparseTensorProto);

	onnx__sparse_tensor_proto__init(t);
	t->values = new_tensor(&m, "k", FLOAT, "2");
	ADD(&m, t->values->float_data, t->values->n_float_data, 5);
	ADD(&m, t->values->float_data, t->values->n_float_data, 7);
	t->indices = new_tensor(&m, "", INT64, index_dims);
	for (char *part; indices && (part = next_part(&m, &indices)) != NULL;)
		ADD(&m, t->indices->int64_data, t->indices->n_int64_data,
		    strtoll(part, NULL, 10));
	for (char *part; dims && (part = next_part(&m, &dims)) != NULL;)
		ADD(&m, t->dims, t->n_dims, strtoll(part, NULL, 10));
	ADD(&m, m.graph->sparse_initializer, m.graph->n_sparse_initializer, t);
	return t;
}

START_TEST(sparse_tensors_become_dense)
{
	sparse("2,2", "2", "0,3");
	expect_elements(DT_F32, 4, WANT(5, 0, 0, 7));
	teardown();
	setup();
	sparse("2,2", "2,2", "0,1,1,0");
	expect_elements(DT_F32, 4, WANT(0, 5, 7, 0));
}
END_TEST

START_TEST(sparse_tensors_are_checked)
{
	sparse("2,2", "2", "0,4");
	expect_error(&m, E_VALUE, "index 1 is outside");
	teardown();
	setup();
	sparse("20000,20000", "2", "0,3");
	expect_error(&m, E_SIZE, "too large when dense");
	teardown();
	setup();
	sparse("2,2", "3", "0,1,2");
	expect_error(&m, E_MALFORMED, "do not fit");
}
END_TEST

/* ---- External data ---- */

static char folder[64];

static void
make_folder(void)
{
	FILE *f;

	strcpy(folder, "/tmp/onnx-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	m.path = arena_printf(m.arena, "%s/m.onnx", folder);
	f = fopen(arena_printf(m.arena, "%s/w.bin", folder), "wb");
	fwrite("????\0\0\x80\x3f\0\0\0\xc0", 1, 12, f);
	fclose(f);
	ck_assert_int_eq(symlink("/etc/passwd", arena_printf(m.arena, "%s/link", folder)), 0);
}

static void
remove_folder(void)
{
	unlink(arena_printf(m.arena, "%s/w.bin", folder));
	unlink(arena_printf(m.arena, "%s/link", folder));
	rmdir(folder);
}

static void
external(const char *location, const char *offset, const char *length)
{
	const char *const pairs[][2] = {
		{"location", location}, {"offset", offset}, {"length", length}};
	Onnx__TensorProto *t = tensor(&m, "k", FLOAT, "2");

	t->has_data_location = 1;
	t->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
	for (int i = 0; i < 3; i++) {
		Onnx__StringStringEntryProto *e = ARENA_NEW(m.arena, Onnx__StringStringEntryProto);

		onnx__string_string_entry_proto__init(e);
		e->key = text(&m, pairs[i][0]);
		e->value = pairs[i][1] ? text(&m, pairs[i][1]) : NULL;
		if (e->value)
			ADD(&m, t->external_data, t->n_external_data, e);
	}
}

START_TEST(external_data_lies_beside_the_model)
{
	make_folder();
	external("w.bin", "4", _i ? "8" : NULL);
	expect_elements(DT_F32, 2, WANT(1, -2));
	remove_folder();
}
END_TEST

static const struct {
	const char *location, *offset, *length, *words;
} bad_external[] = {
	{NULL, NULL, NULL, "does not say in which file"},
	{"none", NULL, NULL, "there is no file 'none'"},
	{"../w.bin", NULL, NULL, "leaves the model's folder"},
	{"a/../../w.bin", NULL, NULL, "leaves the model's folder"},
	{"/etc/passwd", NULL, NULL, "leaves the model's folder"},
	{"link", NULL, NULL, "the link 'link' leaves"},
	{"w.bin", "13", NULL, "has only 12 bytes"},
	{"w.bin", "4", "9", "has only 12 bytes"},
	{"w.bin", "18446744073709551615", "8", "is no offset"},
	{"w.bin", "-1", NULL, "is no offset"},
	{"w.bin", "4", "4", "4 bytes of data instead of 8"},
};

START_TEST(external_data_is_checked)
{
	make_folder();
	external(bad_external[_i].location, bad_external[_i].offset, bad_external[_i].length);
	expect_error(&m, _i == 10 ? E_MALFORMED : E_EXTERNAL, bad_external[_i].words);
	remove_folder();
}
END_TEST

/* ---- The wire format ---- */

static size_t
good_model(uint8_t **bytes)
{
	Onnx__TensorProto *t = floats(&m, "w", "2,2", "1,2,3,4");
	Node_ *n;

	input(&m, "x", FLOAT, "N,2");
	int64s(&m, "k", "2", "1,2");
	n = node(&m, "Gemm", "x,w", "z");
	set_float(&m, n, "alpha", 0.5f);
	set_int(&m, n, "transB", 1);
	output(&m, "z", FLOAT, "N,2");
	t->doc_string = text(&m, "weights");
	return pack(&m, bytes);
}

/* Reads bytes that may be anything: without a crash, and never silently nothing. */
static bool
read_bytes(const uint8_t *bytes, size_t n)
{
	static const DimValue dims[] = {{"N", 2}};
	static const FrontendOptions o = {.format = "onnx", .dims = dims, .ndims = 1};
	Arena *a = arena_new(NULL, NULL);
	uint8_t *copy = malloc(n ? n : 1); /* so that reading past its end is noticed */
	Diag d;
	Graph *g;

	memcpy(copy, bytes, n);
	diag_init(&d, a);
	g = frontend_read(a, "/nonexistent/m.onnx", copy, n, &o, &d);
	ck_assert((g != NULL) == (d.errors == 0));
	ck_assert(!g || graph_verify(g, &d));
	free(copy);
	arena_free(a);
	return g != NULL;
}

START_TEST(a_file_cut_off_anywhere_is_an_error)
{
	uint8_t *bytes;
	size_t n = good_model(&bytes);

	ck_assert(read_bytes(bytes, n));
	/* The last field is the opset, without which nothing can be read. */
	for (size_t i = 0; i < n; i++)
		ck_assert_msg(!read_bytes(bytes, i), "%zu of %zu bytes", i, n);
}
END_TEST

START_TEST(a_flipped_bit_does_no_harm)
{
	uint8_t *bytes;
	size_t n = good_model(&bytes);

	for (size_t i = 0; i < 8 * n; i++) {
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
		read_bytes(bytes, n);
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
	}
}
END_TEST

START_TEST(messages_nested_too_deep_are_refused)
{
	/* graph.node.attribute.g.node.attribute.g… */
	Graph_ *g = new_graph(&m);

	for (int i = 0; i < 60; i++) {
		Graph_ *outer = new_graph(&m);
		Node_ *n = new_node(&m, "If", "c", "y");

		set_graph(&m, n, "then_branch", g);
		ADD(&m, outer->node, outer->n_node, n);
		g = outer;
	}
	m.model.graph = g;
	expect_error(&m, E_MALFORMED, "messages nested too deep");
}
END_TEST

START_TEST(a_graph_given_twice_is_refused)
{
	uint8_t *bytes;
	size_t n = good_model(&bytes);
	uint8_t *twice = arena_alloc(m.arena, 2 * n);

	memcpy(twice, bytes, n);
	memcpy(twice + n, bytes, n);
	ck_assert(!read_bytes(twice, 2 * n));
}
END_TEST

START_TEST(tensors_are_read_from_files_of_their_own)
{
	Onnx__TensorProto *t = int64s(&m, "k", "2", "3,4");
	uint8_t bytes[100];
	size_t n = onnx__tensor_proto__pack(t, bytes);
	const char *name;
	const void *data;
	Type type;

	ck_assert(onnx_tensor_read(m.arena, "input_0.pb", bytes, n, &type, &data, &name, &m.diag));
	ck_assert_str_eq(name, "k");
	ck_assert_int_eq(type.dtype, DT_I64);
	ck_assert_int_eq(((const int64_t *)data)[1], 4);
	ck_assert(!onnx_tensor_read(m.arena, "input_0.pb", bytes, n - 1, &type, &data, &name,
	                            &m.diag));
}
END_TEST

/* ---- Formats and options ---- */

static const struct {
	const char *path, *bytes, *format;
} formats[] = {
	{"a", "; text\ngraph @g() {", "graph"},
	{"a.onnx", "", "onnx"},
	{"a.onnx", "graph @g() {", "graph"},
	{"a.mcc", "", "graph"},
	{"a", "\x08\x07\x3a\x02\x12\x00", "onnx"},
	{"a", "\x08\x07\x3a\x22\x12", "onnx"}, /* cut off */
	{"a", "<?xml version='1.0'?>", NULL},
	{"a", "{\"learner\":{}}", "xgboost"},
	{"a", "\x1c\x00\x00\x00TFL3", "tflite"},
	{"a.onnx/b", "", NULL},
};

START_TEST(formats_are_told_by_content_then_by_suffix)
{
	const char *bytes = formats[_i].bytes;
	const FrontendOptions none = {.format = NULL};
	/* Two of them have zero bytes. */
	size_t n = _i == 4 ? 6 : _i == 8 ? 8 : strlen(bytes);
	const FrontendFile f = {m.arena, formats[_i].path, (const uint8_t *)bytes, n, &none};
	const FrontendFormat *k = frontend_find(&f, &m.diag);

	if (formats[_i].format) {
		ck_assert_ptr_nonnull(k);
		ck_assert_str_eq(k->name, formats[_i].format);
	} else {
		ck_assert_ptr_null(k);
		ck_assert_int_eq(m.diag.first->code, E_FORMAT);
	}
}
END_TEST

START_TEST(shapes_and_dimensions_are_parsed)
{
	InputShape s;
	DimValue v;

	ck_assert(frontend_parse_shape(m.arena, "a:0:1x3x48", &s, &m.diag));
	ck_assert_str_eq(s.input, "a:0");
	ck_assert_int_eq(s.rank, 3);
	ck_assert_int_eq(s.dim[2], 48);
	ck_assert(frontend_parse_shape(m.arena, "a:", &s, &m.diag));
	ck_assert_int_eq(s.rank, 0);
	ck_assert(frontend_parse_dim(m.arena, "N=2147483647", &v, &m.diag));
	ck_assert_int_eq(v.value, INT32_MAX);
}
END_TEST

static const char *const bad_arguments[] = {"a",     ":1x2",          "a:1x",  "a:x1",
                                            "a:1,2", "a:2147483648", "a:-1x2",
                                            "a:1x2x3x4x5x6x7x8x9"};
static const char *const bad_dims[] = {"N", "=1", "N=", "N=x", "N=2147483648", "N=-1", "N=1x"};

START_TEST(bad_shapes_are_usage_errors)
{
	InputShape s;

	ck_assert(!frontend_parse_shape(m.arena, bad_arguments[_i], &s, &m.diag));
	ck_assert_int_eq(m.diag.first->code, E_USAGE);
}
END_TEST

START_TEST(bad_dimensions_are_usage_errors)
{
	DimValue v;

	ck_assert(!frontend_parse_dim(m.arena, bad_dims[_i], &v, &m.diag));
	ck_assert_int_eq(m.diag.first->code, E_USAGE);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

int
main(void)
{
	Suite *s = suite_create("onnx_tensor");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, small_types_lie_in_int32_data, 0, COUNT(stored_in_int32));
	tcase_add_test(t, large_types_have_their_own_fields);
	tcase_add_test(t, raw_data_is_little_endian);
	tcase_add_test(t, raw_bools_become_0_and_1);
	tcase_add_test(t, four_bit_elements_are_unpacked);
	tcase_add_test(t, empty_tensors_and_scalars_have_data);
	tcase_add_test(t, missing_data_is_an_error);
	tcase_add_loop_test(t, types_that_are_not_supported_are_named, 0, COUNT(unsupported));
	tcase_add_test(t, absurd_shapes_are_errors);
	tcase_add_test(t, sparse_tensors_become_dense);
	tcase_add_test(t, sparse_tensors_are_checked);
	tcase_add_loop_test(t, external_data_lies_beside_the_model, 0, 2);
	tcase_add_loop_test(t, external_data_is_checked, 0, COUNT(bad_external));
	tcase_add_test(t, a_file_cut_off_anywhere_is_an_error);
	tcase_add_test(t, a_flipped_bit_does_no_harm);
	tcase_add_test(t, messages_nested_too_deep_are_refused);
	tcase_add_test(t, a_graph_given_twice_is_refused);
	tcase_add_test(t, tensors_are_read_from_files_of_their_own);
	tcase_add_loop_test(t, formats_are_told_by_content_then_by_suffix, 0, COUNT(formats));
	tcase_add_test(t, shapes_and_dimensions_are_parsed);
	tcase_add_loop_test(t, bad_shapes_are_usage_errors, 0, COUNT(bad_arguments));
	tcase_add_loop_test(t, bad_dimensions_are_usage_errors, 0, COUNT(bad_dims));
	suite_add_tcase(s, t);
	return unit_run(s);
}
