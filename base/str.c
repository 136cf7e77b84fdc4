#include "base/str.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static char nothing[1];

void
str_init(Str *b, Arena *a)
{
	*b = (Str){.arena = a, .s = nothing};
}

/* Room for `more` characters and the terminator. */
static void
reserve(Str *b, size_t more)
{
	size_t need = b->n + more + 1;
	size_t cap = b->cap ? b->cap : 128;

	if (need <= b->cap)
		return;
	while (cap < need && cap <= SIZE_MAX / 2)
		cap *= 2;
	b->s = arena_grow(b->arena, b->s, b->n, cap < need ? need : cap, 1);
	b->cap = cap < need ? need : cap;
}

void
str_write(Str *b, const char *s, size_t n)
{
	reserve(b, n);
	memcpy(b->s + b->n, s, n);
	b->n += n;
	b->s[b->n] = '\0';
}

void
str_putc(Str *b, char c)
{
	str_write(b, &c, 1);
}

void
str_puts(Str *b, const char *s)
{
	str_write(b, s, strlen(s));
}

void
str_vprintf(Str *b, const char *format, va_list args)
{
	char small[256];
	va_list again;
	int n;

	va_copy(again, args);
	n = vsnprintf(small, sizeof small, format, args);
	if (n > 0 && (size_t)n < sizeof small) {
		str_write(b, small, (size_t)n);
	} else if (n > 0) {
		reserve(b, (size_t)n);
		vsnprintf(b->s + b->n, (size_t)n + 1, format, again);
		b->n += (size_t)n;
	}
	va_end(again);
}

void
str_printf(Str *b, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	str_vprintf(b, format, args);
	va_end(args);
}
