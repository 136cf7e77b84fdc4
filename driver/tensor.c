#include "driver/tensor.h"

#include <inttypes.h>

#include "ir/num.h"

/* How NumPy describes our element types. */
static const struct {
	char kind;
	int size;
} numpy[DT_COUNT] = {
	[DT_BOOL] = {'b', 1}, [DT_I8] = {'i', 1},   [DT_U8] = {'u', 1},  [DT_I16] = {'i', 2},
	[DT_U16] = {'u', 2},  [DT_I32] = {'i', 4},  [DT_U32] = {'u', 4}, [DT_I64] = {'i', 8},
	[DT_U64] = {'u', 8},  [DT_F16] = {'f', 2},  [DT_BF16] = {'V', 2}, [DT_F32] = {'f', 4},
	[DT_F64] = {'f', 8},
};

bool
tensor_elements_fit(const Npy *n, DType t)
{
	return n->kind == numpy[t].kind && n->size == numpy[t].size;
}

void
tensor_set_elements(Npy *n, DType t)
{
	n->kind = numpy[t].kind;
	n->size = numpy[t].size;
}

const char *
tensor_text(Arena *a, const Npy *n)
{
	DType t = DT_COUNT;
	Str s;

	for (int i = 0; i < DT_COUNT; i++)
		if (tensor_elements_fit(n, (DType)i))
			t = (DType)i;
	str_init(&s, a);
	if (t != DT_COUNT)
		str_puts(&s, dtype_info[t].name);
	else
		str_printf(&s, "'%c%d'", n->kind, n->size);
	str_putc(&s, '[');
	for (int i = 0; i < n->rank; i++)
		str_printf(&s, i ? ",%zu" : "%zu", n->dim[i]);
	str_putc(&s, ']');
	return s.s;
}

static void
put_element(Str *s, const Npy *n, DType t, size_t i)
{
	char text[NUM_TEXT];

	if (t == DT_F64)
		num_double_text(text, num_load(t, n->data, i));
	else if (dtype_is_float(t))
		num_float_text(text, (float)num_load(t, n->data, i));
	if (dtype_is_float(t))
		str_puts(s, text);
	else if (t == DT_U64)
		str_printf(s, "%" PRIu64, (uint64_t)num_load_int(t, n->data, i));
	else
		str_printf(s, "%" PRId64, num_load_int(t, n->data, i));
}

void
tensor_print(Str *s, const Npy *n, DType t)
{
	enum { MOST = 1000, PER_LINE = 10 };
	size_t row = n->rank ? n->dim[n->rank - 1] : 1;
	size_t shown = n->count < MOST ? n->count : MOST;

	for (size_t i = 0; i < shown; i++) {
		size_t column = row ? i % row : 0;

		str_puts(s, column == 0 ? "  " : column % PER_LINE ? " " : "\n    ");
		put_element(s, n, t, i);
		if (column + 1 == row || i + 1 == shown)
			str_putc(s, '\n');
	}
	if (shown < n->count)
		str_printf(s, "  ... %zu more\n", n->count - shown);
}
