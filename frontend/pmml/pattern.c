/*
 * A pattern becomes a program whose threads go over the text side by side, the preferred
 * ones first, each with the places of its groups (R. Cox, "Regular Expression Matching:
 * the Virtual Machine Approach").  Jumps are relative, so that parts can be moved and
 * copied.
 */
#include "frontend/pmml/pattern.h"

#include <stdint.h>
#include <string.h>

#include "base/str.h"

enum {
	MAX_CODE = 4000,
	MAX_GROUPS = 10, /* number 0 is the whole */
	MAX_DEPTH = 100,
	SLOTS = 2 * MAX_GROUPS
};

typedef enum {
	PAT_CHAR,  /* x: the character */
	PAT_CLASS, /* x: its number */
	PAT_SPLIT, /* on at x, and with less preference at y */
	PAT_JUMP,
	PAT_SAVE,  /* the place into slot x */
	PAT_BEGIN,
	PAT_END,
	PAT_WORD_EDGE, /* x: whether there is one */
	PAT_MATCH
} PatOp;

typedef struct {
	PatOp op;
	int x, y;
} Instr;

typedef struct {
	uint32_t lo, hi;
} Range;

typedef struct {
	VEC(Range) range;
	bool negated;
} Class;

typedef struct {
	int pc;
	size_t slot[SLOTS];
} Thread;

struct Pattern {
	Arena *a;
	VEC(Instr) code;
	VEC(Class) classes;
	int groups;
	bool ignore_case;
	/* While it is matched. */
	Thread *now, *next, *stack;
	int nnow, nnext;
	size_t *seen; /* by instruction: the place, plus 1, where a thread was there */
	size_t found[SLOTS];
	bool is_found;
};

/* ---- Characters ---- */

/* The character at *s, which is not at its end; what is no UTF-8 is taken as bytes. */
static uint32_t
take_character(const char **s)
{
	const unsigned char *c = (const unsigned char *)*s;
	int more = *c >= 0xf0 ? 3 : *c >= 0xe0 ? 2 : *c >= 0xc0 ? 1 : 0;
	uint32_t v = more == 3 ? *c & 7u : more == 2 ? *c & 15u : more == 1 ? *c & 31u : *c;

	for (int i = 1; i <= more; i++) {
		if ((c[i] & 0xc0) != 0x80) {
			*s += 1;
			return *c;
		}
		v = v << 6 | (c[i] & 0x3fu);
	}
	*s += 1 + more;
	return v;
}

static uint32_t
lower(uint32_t c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

static uint32_t
upper(uint32_t c)
{
	return c >= 'a' && c <= 'z' ? c - ('a' - 'A') : c;
}

static bool
is_word(uint32_t c)
{
	return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || c == '_';
}

/* ---- Classes ---- */

/* Pairs of first and last characters. */
static const struct {
	const char *name, *ranges;
} named[] = {
	{"d", "09"},           {"w", "09AZ__az"},     {"s", " \t\r"}, /* see add_named */
	{"Digit", "09"},       {"Alpha", "AZaz"},     {"Alnum", "09AZaz"},
	{"Upper", "AZ"},       {"Lower", "az"},       {"Space", " \t\r"},
	{"Punct", "!/:@[`{~"}, {"XDigit", "09AFaf"},
};
enum { NAMED = sizeof named / sizeof *named };

static void
add_range(Pattern *p, Class *c, uint32_t lo, uint32_t hi)
{
	Range r = {lo, hi};

	VEC_PUSH(p->a, &c->range, r);
}

/* The class with that name, or what is not in it. */
static bool
add_named(Pattern *p, Class *c, const char *name, size_t n, bool negated)
{
	uint32_t next = 0;
	const char *s;
	int i = 0;

	while (i < NAMED && (strlen(named[i].name) != n || memcmp(named[i].name, name, n) != 0))
		i++;
	if (i == NAMED)
		return false;
	/* Blanks: tabulator to carriage return, and the space. */
	s = named[i].ranges[0] == ' ' ? "\t\r  " : named[i].ranges;
	for (; *s; s += 2) {
		uint32_t lo = (unsigned char)s[0], hi = (unsigned char)s[1];

		if (!negated)
			add_range(p, c, lo, hi);
		else if (lo > next)
			add_range(p, c, next, lo - 1);
		next = hi + 1;
	}
	if (negated)
		add_range(p, c, next, UINT32_MAX);
	return true;
}

static bool
in_ranges(const Class *c, uint32_t x)
{
	for (int i = 0; i < c->range.n; i++)
		if (x >= c->range.v[i].lo && x <= c->range.v[i].hi)
			return true;
	return false;
}

static bool
class_has(const Pattern *p, const Class *c, uint32_t x)
{
	bool in = in_ranges(c, x) ||
	          (p->ignore_case && (in_ranges(c, lower(x)) || in_ranges(c, upper(x))));

	return in != c->negated;
}

/* ---- Reading ---- */

typedef struct {
	Pattern *p;
	const char *s;
	const char *why; /* the first thing that is wrong */
	int depth;
} Reader;

static bool
refuse(Reader *r, const char *why)
{
	if (!r->why)
		r->why = why;
	return false;
}

static bool
emit(Reader *r, PatOp op, int x, int y)
{
	Instr i = {op, x, y};

	if (r->p->code.n == MAX_CODE)
		return refuse(r, "it is too long");
	VEC_PUSH(r->p->a, &r->p->code, i);
	return true;
}

/* Makes room for an instruction before what starts at `at`. */
static bool
insert(Reader *r, int at, PatOp op, int x, int y)
{
	Instr *v;

	if (!emit(r, op, x, y))
		return false;
	v = r->p->code.v;
	memmove(v + at + 1, v + at, (size_t)(r->p->code.n - 1 - at) * sizeof *v);
	v[at] = (Instr){op, x, y};
	return true;
}

static bool
emit_class(Reader *r, const Class *c)
{
	VEC_PUSH(r->p->a, &r->p->classes, *c);
	return emit(r, PAT_CLASS, r->p->classes.n - 1, 0);
}

/* A class after a backslash, as \d or \p{Alpha}; *is_one is false when it is none. */
static bool
read_named_class(Reader *r, Class *c, bool *is_one)
{
	const char *s = r->s, *end;
	char letter = s[0], small = (char)lower((unsigned char)letter);

	*is_one = small && strchr("dwsp", small);
	if (!*is_one)
		return true;
	r->s++;
	if (small != 'p')
		return add_named(r->p, c, &small, 1, letter != small);
	if (s[1] != '{' || !(end = strchr(s, '}')))
		return refuse(r, "\\p needs a name in braces");
	r->s = end + 1;
	return add_named(r->p, c, s + 2, (size_t)(end - s - 2), letter != small) ||
	       refuse(r, "it has a class of characters that is not known");
}

/* The character after a backslash. */
static bool
read_escaped(Reader *r, uint32_t *out)
{
	static const char from[] = "tnrfv", to[] = "\t\n\r\f\v";
	const char *at;

	if (!*r->s)
		return refuse(r, "it ends with a backslash");
	if ((at = strchr(from, *r->s)) != NULL) {
		*out = (unsigned char)to[at - from];
		r->s++;
		return true;
	}
	if (is_word((unsigned char)*r->s))
		return refuse(r, "it has a backslash before a letter or digit that is not known");
	*out = take_character(&r->s);
	return true;
}

static bool
read_class_item(Reader *r, Class *c)
{
	uint32_t lo, hi;
	bool is_one = false;

	if (*r->s == '\\') {
		r->s++;
		if (!read_named_class(r, c, &is_one) || is_one)
			return !r->why;
		if (!read_escaped(r, &lo))
			return false;
	} else {
		lo = take_character(&r->s);
	}
	hi = lo;
	if (r->s[0] == '-' && r->s[1] && r->s[1] != ']') {
		r->s++;
		if (*r->s == '\\') {
			r->s++;
			if (!read_escaped(r, &hi))
				return false;
		} else {
			hi = take_character(&r->s);
		}
	}
	if (hi < lo)
		return refuse(r, "a range ends before it begins");
	add_range(r->p, c, lo, hi);
	return true;
}

/* Behind the bracket. */
static bool
read_class(Reader *r)
{
	Class c = {.negated = *r->s == '^'};
	bool first = true;

	r->s += c.negated;
	for (; *r->s && (*r->s != ']' || first); first = false) {
		if (r->s[0] == '[' || strncmp(r->s, "&&", 2) == 0)
			return refuse(r, "it has classes within classes");
		if (!read_class_item(r, &c))
			return false;
	}
	if (!*r->s++)
		return refuse(r, "a class is not closed");
	return emit_class(r, &c);
}

static bool read_alternatives(Reader *r);

/* Behind the parenthesis. */
static bool
read_group(Reader *r)
{
	bool counts = *r->s != '?';
	int group = 0;

	if (!counts && strncmp(r->s, "?:", 2) != 0)
		return refuse(r, "it looks around, or names a group");
	if (r->depth == MAX_DEPTH)
		return refuse(r, "groups are nested too deep");
	if (counts) {
		if (r->p->groups == MAX_GROUPS)
			return refuse(r, "it has too many groups");
		group = r->p->groups++;
	} else {
		r->s += 2;
	}
	r->depth++;
	if ((counts && !emit(r, PAT_SAVE, 2 * group, 0)) || !read_alternatives(r) ||
	    (counts && !emit(r, PAT_SAVE, 2 * group + 1, 0)))
		return false;
	r->depth--;
	return *r->s++ == ')' || refuse(r, "a group is not closed");
}

static bool
read_escape(Reader *r)
{
	Class c = {0};
	bool is_one;
	uint32_t x;

	if (*r->s == 'b' || *r->s == 'B')
		return emit(r, PAT_WORD_EDGE, *r->s++ == 'b', 0);
	if (!read_named_class(r, &c, &is_one))
		return false;
	if (is_one)
		return emit_class(r, &c);
	return read_escaped(r, &x) && emit(r, PAT_CHAR, (int)x, 0);
}

static bool
read_atom(Reader *r)
{
	Class c = {.negated = true};

	switch (*r->s) {
	case '(': r->s++; return read_group(r);
	case '[': r->s++; return read_class(r);
	case '\\': r->s++; return read_escape(r);
	case '^': r->s++; return emit(r, PAT_BEGIN, 0, 0);
	case '$': r->s++; return emit(r, PAT_END, 0, 0);
	case '.':
		r->s++;
		add_range(r->p, &c, '\n', '\n');
		add_range(r->p, &c, '\r', '\r');
		return emit_class(r, &c);
	case '*':
	case '+':
	case '?': return refuse(r, "nothing is repeated");
	}
	return emit(r, PAT_CHAR, (int)take_character(&r->s), 0);
}

/* ---- Repetition ---- */

enum { NO_END = -1, MAX_TIMES = 1000 };

static bool
read_times(Reader *r, int *out)
{
	*out = 0;
	if (!(*r->s >= '0' && *r->s <= '9'))
		return refuse(r, "a brace has no number");
	for (; *r->s >= '0' && *r->s <= '9'; r->s++) {
		*out = *out * 10 + (*r->s - '0');
		if (*out > MAX_TIMES)
			return refuse(r, "it repeats too often");
	}
	return true;
}

/* {n}, {n,}, {n,m} behind the brace. */
static bool
read_braces(Reader *r, int *least, int *most)
{
	if (!read_times(r, least))
		return false;
	*most = *least;
	if (*r->s == ',') {
		r->s++;
		*most = NO_END;
		if (*r->s != '}' && !read_times(r, most))
			return false;
	}
	if (*most != NO_END && *most < *least)
		return refuse(r, "a range ends before it begins");
	return *r->s++ == '}' || refuse(r, "a brace is not closed");
}

static bool
split(Reader *r, int at, int on, int past, bool lazy)
{
	return insert(r, at, PAT_SPLIT, lazy ? past : on, lazy ? on : past);
}

/* Another copy of the n instructions at `at`, behind all. */
static bool
repeat_code(Reader *r, int at, int n)
{
	for (int i = 0; i < n; i++) {
		Instr c = r->p->code.v[at + i];

		if (!emit(r, c.op, c.x, c.y))
			return false;
	}
	return true;
}

/* What starts at `at`, as often as that: copies, optional ones, or a loop. */
static bool
repeat(Reader *r, int at, int least, int most, bool lazy)
{
	int n = r->p->code.n - at, copies = most == NO_END ? least + 1 : most, start = at;

	if (most == 0) {
		r->p->code.n = at;
		return true;
	}
	for (int i = 1; i < copies; i++)
		if (!repeat_code(r, at, n))
			return false;
	for (int i = 0; i < copies; i++, start += n) {
		if (i < least)
			continue;
		if (!split(r, start, 1, most == NO_END ? n + 2 : n + 1, lazy))
			return false;
		start++;
	}
	return most != NO_END || emit(r, PAT_JUMP, -(n + 1), 0);
}

static bool
read_repeated(Reader *r)
{
	int at = r->p->code.n, least, most;
	bool lazy;

	if (!read_atom(r))
		return false;
	switch (*r->s) {
	case '*': least = 0; most = NO_END; break;
	case '+': least = 1; most = NO_END; break;
	case '?': least = 0; most = 1; break;
	case '{': least = most = 0; break;
	default: return true;
	}
	if (*r->s++ == '{' && !read_braces(r, &least, &most))
		return false;
	lazy = *r->s == '?';
	r->s += lazy;
	if (*r->s && strchr("*+?{", *r->s))
		return refuse(r, "a repetition is repeated");
	return repeat(r, at, least, most, lazy);
}

static bool
read_alternatives(Reader *r)
{
	VEC(int) jumps = {0};
	int start = r->p->code.n;

	for (;;) {
		while (*r->s && *r->s != '|' && *r->s != ')')
			if (!read_repeated(r))
				return false;
		if (*r->s != '|')
			break;
		r->s++;
		if (!split(r, start, 1, r->p->code.n - start + 2, false) ||
		    !emit(r, PAT_JUMP, 0, 0))
			return false;
		VEC_PUSH(r->p->a, &jumps, r->p->code.n - 1);
		start = r->p->code.n;
	}
	for (int i = 0; i < jumps.n; i++)
		r->p->code.v[jumps.v[i]].x = r->p->code.n - jumps.v[i];
	return true;
}

Pattern *
pattern_new(Arena *a, const char *text, const char **why)
{
	Pattern *p = ARENA_NEW(a, Pattern);
	Reader r = {.p = p, .s = text};

	p->a = a;
	p->groups = 1;
	p->ignore_case = strncmp(text, "(?i)", 4) == 0;
	r.s += p->ignore_case ? 4 : 0;
	if (emit(&r, PAT_SAVE, 0, 0) && read_alternatives(&r) && *r.s)
		refuse(&r, "a group is closed that was not opened");
	if (!r.why && emit(&r, PAT_SAVE, 1, 0))
		emit(&r, PAT_MATCH, 0, 0);
	*why = r.why;
	if (r.why)
		return NULL;
	p->now = ARENA_ARRAY(a, Thread, p->code.n);
	p->next = ARENA_ARRAY(a, Thread, p->code.n);
	p->stack = ARENA_ARRAY(a, Thread, 2 * p->code.n + 2); /* two for each, once a place */
	p->seen = ARENA_ARRAY(a, size_t, p->code.n);
	return p;
}

/* ---- Matching ---- */

static bool
is_word_edge(const char *text, size_t at)
{
	bool before = at > 0 && is_word((unsigned char)text[at - 1]);

	return before != is_word((unsigned char)text[at]);
}

static bool
holds_here(const char *text, const Instr *i, size_t at)
{
	switch (i->op) {
	case PAT_BEGIN: return at == 0;
	case PAT_END: return !text[at];
	case PAT_WORD_EDGE: return is_word_edge(text, at) == (i->x == 1);
	case PAT_CHAR:
	case PAT_CLASS:
	case PAT_SPLIT:
	case PAT_JUMP:
	case PAT_SAVE:
	case PAT_MATCH: break;
	}
	return true;
}

/* The thread, as far as it comes without a character, into `list`. */
static void
add_thread(Pattern *p, const char *text, Thread *list, int *n, Thread t, size_t at)
{
	int depth = 0;

	p->stack[depth++] = t;
	while (depth > 0) {
		const Instr *i;

		t = p->stack[--depth];
		i = &p->code.v[t.pc];
		if (p->seen[t.pc] == at + 1 || !holds_here(text, i, at))
			continue;
		p->seen[t.pc] = at + 1;
		switch (i->op) {
		case PAT_CHAR:
		case PAT_CLASS:
		case PAT_MATCH: list[(*n)++] = t; continue;
		case PAT_SPLIT:
			p->stack[depth] = t;
			p->stack[depth++].pc += i->y;
			t.pc += i->x;
			break;
		case PAT_JUMP: t.pc += i->x; break;
		case PAT_SAVE:
			t.slot[i->x] = at;
			t.pc++;
			break;
		case PAT_BEGIN:
		case PAT_END:
		case PAT_WORD_EDGE: t.pc++; break;
		}
		p->stack[depth++] = t;
	}
}

static bool
takes(const Pattern *p, const Instr *i, uint32_t c)
{
	if (i->op == PAT_CLASS)
		return class_has(p, &p->classes.v[i->x], c);
	return p->ignore_case ? lower(c) == lower((uint32_t)i->x) : c == (uint32_t)i->x;
}

/* Every thread by the character c, if there is one; the first that has matched ends those
 * behind it. */
static void
step(Pattern *p, const char *text, size_t at, uint32_t c, size_t after)
{
	p->nnext = 0;
	for (int i = 0; i < p->nnow; i++) {
		const Instr *code = &p->code.v[p->now[i].pc];
		Thread t = p->now[i];

		if (code->op == PAT_MATCH) {
			memcpy(p->found, t.slot, sizeof p->found);
			p->is_found = true;
			break;
		}
		if (!text[at] || !takes(p, code, c))
			continue;
		t.pc++;
		add_thread(p, text, p->next, &p->nnext, t, after);
	}
}

/* The places of the groups are in p->found then. */
static bool
find(Pattern *p, const char *text, size_t from)
{
	Thread start = {0};

	for (int i = 0; i < SLOTS; i++)
		start.slot[i] = SIZE_MAX;
	memset(p->seen, 0, (size_t)p->code.n * sizeof *p->seen);
	p->nnow = 0;
	p->is_found = false;
	for (size_t at = from, after;; at = after) {
		const char *s = text + at;
		Thread *swap = p->now;
		uint32_t c = 0;

		if (!p->is_found)
			add_thread(p, text, p->now, &p->nnow, start, at);
		if (*s)
			c = take_character(&s);
		after = (size_t)(s - text);
		step(p, text, at, c, after);
		if (!text[at] || (p->is_found && p->nnext == 0))
			return p->is_found;
		p->now = p->next;
		p->nnow = p->nnext;
		p->next = swap;
	}
}

bool
pattern_find(Pattern *p, const char *text)
{
	return find(p, text, 0);
}

static void
put_replacement(Str *out, const char *text, const char *by, const size_t *slot)
{
	for (; *by; by++) {
		if (*by == '$' && by[1] >= '0' && by[1] <= '9') {
			const size_t *group = slot + 2 * (*++by - '0');

			if (group[0] != SIZE_MAX && group[1] != SIZE_MAX)
				str_write(out, text + group[0], group[1] - group[0]);
			continue;
		}
		if (*by == '\\' && by[1])
			by++;
		str_write(out, by, 1);
	}
}

const char *
pattern_replace(Pattern *p, const char *text, const char *by)
{
	size_t done = 0, from = 0;
	Str out;

	str_init(&out, p->a);
	while (find(p, text, from)) {
		const char *next = text + p->found[1];

		str_write(&out, text + done, p->found[0] - done);
		put_replacement(&out, text, by, p->found);
		done = from = p->found[1];
		if (p->found[0] < p->found[1])
			continue;
		/* An empty match goes on behind the next character. */
		if (!*next)
			break;
		take_character(&next);
		from = (size_t)(next - text);
	}
	str_puts(&out, text + done);
	return out.n ? out.s : "";
}
