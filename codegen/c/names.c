#include "codegen/c/names.h"

#include <stdint.h>
#include <string.h>

#include "base/hash.h"
#include "codegen/c/c.h"

enum { STEM_MAX = 56 }; /* C99 compilers tell 63 characters apart */

/* ---- Sets of names ---- */

void
names_init(Names *n, Arena *a)
{
	*n = (Names){.arena = a, .size = 64};
	n->slot = ARENA_ARRAY(a, NameSlot, n->size);
}

static NameSlot *
find_slot(const Names *n, const char *name)
{
	size_t i = (size_t)hash_text(name) & (n->size - 1);

	for (; n->slot[i].name; i = (i + 1) & (n->size - 1))
		if (strcmp(n->slot[i].name, name) == 0)
			break;
	return &n->slot[i];
}

static void
grow(Names *n)
{
	Names old = *n;

	n->size *= 2;
	n->slot = ARENA_ARRAY(n->arena, NameSlot, n->size);
	for (size_t i = 0; i < old.size; i++)
		if (old.slot[i].name)
			*find_slot(n, old.slot[i].name) = old.slot[i];
}

const char *
names_add(Names *n, const char *name)
{
	NameSlot *first = find_slot(n, name);
	const char *unique = name;

	/* Goes on where the last search for this name ended: thousands of layers may
	 * have one name. */
	if (first->name && !first->next)
		first->next = 2;
	while (find_slot(n, unique)->name)
		unique = arena_printf(n->arena, "%s_%d", name, first->next++);
	if (2 * (n->used + 1) > n->size)
		grow(n);
	find_slot(n, unique)->name = unique;
	n->used++;
	return unique;
}

/* ---- Making identifiers ---- */

static bool
is_word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

const char *
name_stem(Arena *a, const char *text)
{
	char *stem = arena_alloc(a, STEM_MAX + 1);
	size_t n = 0;
	bool gap = false;

	for (; *text && n + 1 < STEM_MAX; text++) {
		if (!is_word_char(*text)) {
			gap = n > 0;
			continue;
		}
		if (gap)
			stem[n++] = '_';
		stem[n++] = *text;
		gap = false;
	}
	return n ? stem : "x";
}

/* Words of C up to C23 and of C++ up to C++20, names of the headers that the
 * generated code includes, macros that compilers define, and names of its own. */
static const char *const reserved[] = {
	"alignas", "alignof", "and", "and_eq", "asm", "auto", "bitand", "bitor", "bool", "break",
	"case", "catch", "char", "char16_t", "char32_t", "char8_t", "class", "compl", "concept",
	"const", "const_cast", "consteval", "constexpr", "constinit", "continue", "co_await",
	"co_return", "co_yield", "decltype", "default", "delete", "do", "double", "dynamic_cast",
	"else", "enum", "explicit", "export", "extern", "false", "float", "for", "friend", "goto",
	"if", "inline", "int", "long", "mutable", "namespace", "new", "noexcept", "not", "not_eq",
	"nullptr", "operator", "or", "or_eq", "private", "protected", "public", "register",
	"reinterpret_cast", "requires", "restrict", "return", "short", "signed", "sizeof",
	"static", "static_assert", "static_cast", "struct", "switch", "template", "this",
	"thread_local", "throw", "true", "try", "typedef", "typeid", "typename", "typeof",
	"typeof_unqual", "union", "unsigned", "using", "virtual", "void", "volatile", "wchar_t",
	"while", "xor", "xor_eq",
	"NULL", "offsetof", "size_t", "ptrdiff_t", "max_align_t", "nullptr_t", "int8_t", "int16_t",
	"int32_t", "int64_t", "uint8_t", "uint16_t", "uint32_t", "uint64_t", "intptr_t",
	"uintptr_t", "intmax_t", "uintmax_t", "SIZE_MAX", "SIG_ATOMIC_MAX", "SIG_ATOMIC_MIN",
	"PTRDIFF_MAX", "PTRDIFF_MIN", "WCHAR_MAX", "WCHAR_MIN", "WINT_MAX", "WINT_MIN",
	"linux", "unix", "i386", "AVR", "mips", "sparc", "sun", "vax", "near", "far", "huge",
	"interrupt", "pascal", "cdecl", "errno", "assert", "main", "std", "arena", "mem"};

/* What <math.h> defines and hosted code could meet. */
static const char *const math_names[] = {
	"abs", "acos", "acosf", "acosh", "acoshf", "asin", "asinf", "asinh", "asinhf", "atan",
	"atan2", "atan2f", "atanf", "atanh", "atanhf", "ceil", "ceilf", "copysign", "copysignf",
	"cos", "cosf", "cosh", "coshf", "erf", "erff", "exp", "expf", "expm1", "expm1f", "floor",
	"floorf", "fmod", "fmodf", "log", "log1p", "log1pf", "logf", "pow", "powf", "rint",
	"rintf", "sin", "sinf", "sinh", "sinhf", "sqrt", "sqrtf", "tan", "tanf", "tanh", "tanhf",
	"trunc", "truncf", "signbit", "isnan", "isinf", "isfinite", "isnormal", "fpclassify",
	"isgreater", "isless", "islessgreater", "isunordered", "INFINITY", "NAN", "HUGE_VAL",
	"HUGE_VALF", "HUGE_VALL", "MATH_ERRNO", "MATH_ERREXCEPT", "OVERFLOW", "UNDERFLOW",
	"DOMAIN", "SING", "PLOSS", "TLOSS", "MAXFLOAT", "signgam"};

static bool
is_in(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(name, list[i]) == 0)
			return true;
	return false;
}

static bool
starts_with(const char *s, const char *start)
{
	return strncmp(s, start, strlen(start)) == 0;
}

/* INT8_MAX, UINT32_C, INT_FAST16_MIN, M_PI, FP_NAN and the like. */
static bool
looks_like_header_macro(const char *name)
{
	return starts_with(name, "INT") || starts_with(name, "UINT") || starts_with(name, "M_") ||
	       starts_with(name, "FP_");
}

static bool
is_reserved(const char *name)
{
	return is_in(name, reserved, sizeof reserved / sizeof *reserved) ||
	       is_in(name, math_names, sizeof math_names / sizeof *math_names) ||
	       looks_like_header_macro(name);
}

const char *
name_local(Arena *a, const char *text, const char *prefix)
{
	const char *name = name_stem(a, text);
	size_t n = strlen(prefix);

	if (is_digit(*name) || is_reserved(name))
		name = arena_printf(a, "t_%s", name);
	/* Whatever global names there are, no local one can hide them. */
	while (strncmp(name, prefix, n) == 0 && name[n] == '_')
		name = arena_printf(a, "t%s", name);
	return name;
}

const char *
name_upper(Arena *a, const char *text)
{
	char *s = arena_strdup(a, text);

	for (char *p = s; *p; p++)
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
	return s;
}

const char *
name_comment(Arena *a, const char *text)
{
	char *s = arena_strdup(a, text);

	for (char *p = s; *p; p++) {
		bool ends = p > s && ((p[-1] == '*' && *p == '/') || (p[-1] == '/' && *p == '*'));

		/* Also no trigraphs and nothing that an editor could show otherwise. */
		if (ends || *p < ' ' || *p > '~' || *p == '?' || *p == '\\')
			*p = '_';
	}
	return s;
}

/* ---- Prefixes ---- */

bool
c_prefix_is_valid(const char *prefix)
{
	size_t n = strlen(prefix);

	if (n == 0 || n > STEM_MAX || is_digit(prefix[0]) || prefix[0] == '_' ||
	    prefix[n - 1] == '_' || strstr(prefix, "__"))
		return false;
	for (const char *s = prefix; *s; s++)
		if (!is_word_char(*s) && *s != '_')
			return false;
	return true;
}

const char *
c_prefix(Arena *a, const char *file_name)
{
	const char *slash = strrchr(file_name, '/');
	const char *base = slash ? slash + 1 : file_name;
	const char *dot = strrchr(base, '.');
	size_t n = dot && dot != base ? (size_t)(dot - base) : strlen(base);
	const char *stem = name_stem(a, arena_strndup(a, base, n));

	return is_digit(*stem) ? arena_printf(a, "m%s", stem) : stem;
}
