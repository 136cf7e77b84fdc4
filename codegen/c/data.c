/*
 * Constant arrays: as many values in a line as fit.
 */
#include "codegen/c/print.h"

void
data_print(CFile *f, Str *s, int depth, DType t, const void *data, size_t n)
{
	size_t room = (size_t)(COLUMNS - TAB * depth), used = 0;
	Str item;

	str_init(&item, f->arena);
	if (t == DT_F64)
		f->uses.doubles = true;
	for (size_t i = 0; i < n; i++) {
		item.n = 0;
		const_print(f, &item, t, data, i);
		if (i + 1 < n)
			str_putc(&item, ',');
		if (used && used + 1 + item.n > room) {
			str_putc(s, '\n');
			used = 0;
		}
		if (used) {
			str_putc(s, ' ');
			used++;
		} else {
			for (int k = 0; k < depth; k++)
				str_putc(s, '\t');
		}
		str_write(s, item.s, item.n);
		used += item.n;
	}
	if (n == 0) {
		for (int k = 0; k < depth; k++)
			str_putc(s, '\t');
		str_putc(s, '0');
	}
	str_putc(s, '\n');
}
