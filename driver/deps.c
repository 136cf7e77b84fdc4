#include "driver/deps.h"

#include <string.h>

enum { LINE_WIDTH = 76 };

/* Spaces, '#' and '$' mean something to make; backslashes only before a space
 * or '#'. */
const char *
deps_escaped(Arena *a, const char *name)
{
	Str s;

	str_init(&s, a);
	for (const char *p = name; *p; p++) {
		size_t slashes = strspn(p, "\\");

		if (slashes) {
			bool special = p[slashes] == ' ' || p[slashes] == '\t' || p[slashes] == '#';

			for (size_t i = 0; i < (special ? 2 * slashes : slashes); i++)
				str_putc(&s, '\\');
			p += slashes - 1;
			continue;
		}
		if (*p == '$')
			str_putc(&s, '$');
		if (*p == ' ' || *p == '\t' || *p == '#')
			str_putc(&s, '\\');
		str_putc(&s, *p);
	}
	return s.s;
}

static void
put_word(Str *s, const char *word, size_t *column)
{
	size_t n = strlen(word);

	if (*column && *column + 1 + n > LINE_WIDTH) {
		str_puts(s, " \\\n ");
		*column = 1;
	} else if (*column) {
		str_putc(s, ' ');
		*column += 1;
	}
	str_puts(s, word);
	*column += n;
}

void
deps_print(Str *s, const Names *targets, const char *output, const PathList *files,
           bool phony)
{
	size_t column = 0;

	for (int i = 0; i < targets->n; i++)
		put_word(s, targets->v[i], &column);
	if (!targets->n)
		put_word(s, deps_escaped(s->arena, output), &column);
	str_putc(s, ':');
	column++;
	for (int i = 0; i < files->n; i++)
		put_word(s, deps_escaped(s->arena, files->v[i]), &column);
	str_putc(s, '\n');
	for (int i = 1; phony && i < files->n; i++)
		str_printf(s, "\n%s:\n", deps_escaped(s->arena, files->v[i]));
}
