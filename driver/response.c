#define _POSIX_C_SOURCE 200809L

#include "driver/response.h"

#include <string.h>
#include <unistd.h>

#include "base/file.h"

/* Both ends of what is sane: a file that names itself, and a huge one. */
enum { MAX_DEPTH = 10, MAX_WORDS = 100000 };

typedef struct {
	Names *out;
	Arena *arena;
	Diag *diag;
} Expansion;

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

/* Takes the next word out of [*p, end); NULL when there is none. */
static const char *
next_word(Arena *a, const char **p, const char *end)
{
	const char *q = *p;
	char quote = 0;
	Str word;

	while (q < end && is_space(*q))
		q++;
	if (q == end)
		return NULL;
	str_init(&word, a);
	for (; q < end && (quote || !is_space(*q)); q++) {
		if (*q == '\\' && q + 1 < end)
			str_putc(&word, *++q);
		else if (quote && *q == quote)
			quote = 0;
		else if (!quote && (*q == '\'' || *q == '"'))
			quote = *q;
		else
			str_putc(&word, *q);
	}
	*p = q;
	return word.s;
}

static bool add_argument(Expansion *e, const char *argument, int depth);

static bool
add_file(Expansion *e, const char *path, int depth)
{
	FileBytes file;
	const char *p, *end, *word;

	if (depth == MAX_DEPTH)
		return diag_report(e->diag, NULL, E_USAGE,
		                   "response files are nested more than %d deep at '@%s'", MAX_DEPTH,
		                   path);
	if (!file_read(e->arena, path, &file, e->diag))
		return false;
	p = (const char *)file.data;
	end = p + file.size;
	if (memchr(p, 0, file.size))
		return diag_report(e->diag, NULL, E_USAGE, "'@%s' is no response file: it is binary",
		                   path);
	while ((word = next_word(e->arena, &p, end)) != NULL)
		if (!add_argument(e, word, depth + 1))
			return false;
	return true;
}

static bool
add_argument(Expansion *e, const char *argument, int depth)
{
	if (argument[0] == '@' && access(argument + 1, F_OK) == 0)
		return add_file(e, argument + 1, depth);
	if (e->out->n == MAX_WORDS)
		return diag_report(e->diag, NULL, E_USAGE, "more than %d arguments", MAX_WORDS);
	VEC_PUSH(e->arena, e->out, argument);
	return true;
}

bool
response_expand(Names *out, int argc, char *const *argv, Arena *a, Diag *d)
{
	Expansion e = {out, a, d};

	for (int i = 0; i < argc; i++)
		if (!add_argument(&e, argv[i], 0))
			return false;
	return true;
}
