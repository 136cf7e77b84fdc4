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

/* ---- JSON ---- */

/* Bytes of the UTF-8 sequence at `p`, 0 when it is none. */
static int
utf8_length(const unsigned char *p)
{
	unsigned lo = 0x80, hi = 0xbf;
	int n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0)
		lo = 0xa0; /* shorter forms exist */
	if (p[0] == 0xed)
		hi = 0x9f; /* surrogates */
	if (p[0] == 0xf0)
		lo = 0x90;
	if (p[0] == 0xf4)
		hi = 0x8f; /* behind U+10FFFF */
	if (p[1] < lo || p[1] > hi)
		return 0;
	for (int i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

void
str_put_json(Str *s, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	str_putc(s, '"');
	while (*p) {
		int n = utf8_length(p);

		if (n == 0)
			str_puts(s, "\\ufffd");
		else if (*p == '"' || *p == '\\')
			str_printf(s, "\\%c", *p);
		else if ((*p < 0x20 || *p == 0x7f))
			str_printf(s, "\\u%04x", (unsigned)*p);
		else
			str_write(s, (const char *)p, (size_t)n);
		p += n ? n : 1;
	}
	str_putc(s, '"');
}
