/*
 * Text that is built up piece by piece, in an arena.
 */
#ifndef MCC_BASE_STR_H
#define MCC_BASE_STR_H

#include <stdarg.h>
#include <stddef.h>

#include "base/arena.h"

typedef struct {
	Arena *arena;
	char *s; /* always terminated once something was added; "" before */
	size_t n, cap;
} Str;

void str_init(Str *b, Arena *a);
void str_putc(Str *b, char c);
void str_puts(Str *b, const char *s);
void str_write(Str *b, const char *s, size_t n);
__attribute__((format(printf, 2, 3))) void str_printf(Str *b, const char *format, ...);
__attribute__((format(printf, 2, 0))) void str_vprintf(Str *b, const char *format, va_list args);

/* Appends the text as a string of JSON; bytes that are no UTF-8 become U+FFFD. */
void str_put_json(Str *b, const char *text);

#endif
