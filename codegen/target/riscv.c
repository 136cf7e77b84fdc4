/*
 * RISC-V: the ISA string and the ABI.
 */
#include <string.h>

#include "codegen/target/resolve.h"

#define USAGE(r, ...) diag_report((r)->d, NULL, E_USAGE, __VA_ARGS__)

/* The letters of an ISA string that mean something here. */
static const struct {
	char letter;
	const char *feature;
} letters[] = {{'m', "m"}, {'a', "a"}, {'f', "f"}, {'d', "d"}, {'c', "c"},
               {'v', "v"}, {'p', "experimental-p"}};

typedef struct {
	Resolver *r;
	const char *isa;     /* as given */
	bool e, f, d;
} Isa;

/* Vectors of floats, and what they need: LLVM before 19 ends the process without it. */
static const char *
implied_by(const char *feature, size_t n)
{
	if (target_equal(feature, n, "zve32f") || target_equal(feature, n, "zve64f"))
		return "f";
	return target_equal(feature, n, "zve64d") || target_equal(feature, n, "v") ? "d" : NULL;
}

static void
add_implied_features(Resolver *r)
{
	const char *given = arena_strdup(r->arena, r->features.s);

	for (const char *p = given; *p; p += strcspn(p, ","), p += *p == ',') {
		const char *implied = *p == '+' ? implied_by(p + 1, strcspn(p, ",") - 1) : NULL;

		if (implied)
			target_add_features(r, strcmp(implied, "d") == 0 ? "+f,+d" : "+f");
	}
}

/* Pairs of which LLVM accepts no part alone, or not both; it ends the process. */
static bool
check_features(Resolver *r)
{
	bool length = false, vector = false, compressed = false, packed_moves = false;

	for (const char *p = r->features.s; *p; p += strcspn(p, ","), p += *p == ',') {
		size_t n = strcspn(p, ",");

		length = length || strncmp(p, "+zvl", 4) == 0;
		vector = vector || target_equal(p, n, "+v") || strncmp(p, "+zve", 4) == 0;
		compressed = compressed || target_equal(p, n, "+d") || target_equal(p, n, "+zve64d") ||
		             target_equal(p, n, "+v");
		packed_moves = packed_moves || target_equal(p, n, "+zcmp");
	}
	if (length && !vector)
		return USAGE(r, "a length of vectors (zvl...) needs vectors: v, zve32x, zve64d and "
		                "the like");
	if (packed_moves && compressed)
		return USAGE(r, "zcmp and the compressed instructions of d exclude each other");
	return true;
}

TargetId
target_of_riscv_arch(const char *arch)
{
	if (strncmp(arch, "rv32", 4) == 0)
		return TARGET_RISCV32;
	return strncmp(arch, "rv64", 4) == 0 ? TARGET_RISCV64 : TARGET_COUNT;
}

static const FeatureInfo *
find_extension(const char *name, size_t length)
{
	for (const FeatureInfo *f = feature_table; f->name; f++)
		if (f->family == FAMILY_RISCV && target_equal(name, length, f->name))
			return f;
	return NULL;
}

static bool
add_extension(Isa *isa, const FeatureInfo *f)
{
	static const char trial[] = "experimental-"; /* LLVM's word, not that of users */
	Resolver *r = isa->r;
	const char *implied;

	/* Older versions count these to the base. */
	if ((strcmp(f->name, "zicsr") == 0 || strcmp(f->name, "zifencei") == 0) &&
	    llvm_major_version() < f->llvm)
		return true;
	if (!target_needs_llvm(r, arena_printf(r->arena, "'%s' of '-march=%s'",
	                                       strncmp(f->name, trial, strlen(trial)) == 0
	                                               ? f->name + strlen(trial)
	                                               : f->name,
	                                       isa->isa),
	                       f->llvm))
		return false;
	target_add_features(r, arena_printf(r->arena, "+%s", f->name));
	r->out->facts.isa |= f->isa;
	implied = implied_by(f->name, strlen(f->name));
	if (implied && !add_extension(isa, find_extension(implied, 1)))
		return false;
	isa->f = isa->f || strcmp(f->name, "f") == 0 || strcmp(f->name, "d") == 0;
	isa->d = isa->d || strcmp(f->name, "d") == 0;
	return true;
}

static bool
add_named(Isa *isa, const char *name)
{
	return add_extension(isa, find_extension(name, strlen(name)));
}

static const char *
all_extensions(Arena *a)
{
	Str list;

	str_init(&list, a);
	for (const FeatureInfo *f = feature_table; f->name; f++)
		if (f->family == FAMILY_RISCV && f->name[0] == 'z')
			str_printf(&list, "%s%s", list.n ? ", " : "", f->name);
	return list.s;
}

static bool
add_letter(Isa *isa, char letter)
{
	if (letter == 'g')
		return add_named(isa, "m") && add_named(isa, "a") && add_named(isa, "f") &&
		       add_named(isa, "d") && add_named(isa, "zicsr") &&
		       add_named(isa, "zifencei");
	for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
		if (letters[i].letter == letter)
			return add_named(isa, letters[i].feature);
	return USAGE(isa->r, "'-march=%s': unknown extension '%c'; the letters are m, a, f, d, c, v, p",
	             isa->isa, letter);
}

/* A digit behind a letter is a version: 2 or 2p1. */
static const char *
skip_version(const char *p)
{
	while (*p >= '0' && *p <= '9')
		p++;
	if (*p == 'p' && p[1] >= '0' && p[1] <= '9') {
		p++;
		while (*p >= '0' && *p <= '9')
			p++;
	}
	return p;
}

static bool
add_long_extension(Isa *isa, const char *name, size_t n)
{
	const FeatureInfo *f = find_extension(name, n);

	/* Versions as in zba1p0: without them when the name has none. */
	for (size_t k = n; !f && k > 2; k--)
		if (skip_version(name + k) == name + n)
			f = find_extension(name, k);
	if (!f || name[0] != 'z')
		return USAGE(isa->r, "'-march=%s': unknown extension '%.*s'; there are %s",
		             isa->isa, (int)n, name, all_extensions(isa->r->arena));
	return add_extension(isa, f);
}

/* rv32imac_zba_zbb. */
static bool
parse_isa(Isa *isa, const char *text)
{
	const char *p = text + 4;

	isa->isa = text;
	if (target_of_riscv_arch(text) != isa->r->id)
		return USAGE(isa->r, "'-march=%s' is no architecture of %s; it starts with %s", text,
		             target_info[isa->r->id].name,
		             isa->r->id == TARGET_RISCV32 ? "rv32" : "rv64");
	if (*p == 'e') {
		isa->e = true;
		target_add_features(isa->r, "+e");
	} else if (*p == 'g') {
		if (!add_letter(isa, 'g'))
			return false;
	} else if (*p != 'i') {
		return USAGE(isa->r, "'-march=%s': the base is i, e or g, as in rv32imac", text);
	}
	for (p = skip_version(p + 1); *p && *p != '_' && *p != 'z'; p = skip_version(p + 1))
		if (!add_letter(isa, *p))
			return false;
	while (*p) {
		size_t n;

		p += *p == '_';
		n = strcspn(p, "_");
		if (n == 1 ? !add_letter(isa, *p) : !add_long_extension(isa, p, n))
			return false;
		p += n;
	}
	return true;
}

/* ---- ABI ---- */

static const char *
default_abi(const Isa *isa)
{
	bool wide = isa->r->id == TARGET_RISCV64;

	if (isa->e)
		return wide ? "lp64e" : "ilp32e";
	if (isa->d)
		return wide ? "lp64d" : "ilp32d";
	if (isa->f)
		return wide ? "lp64f" : "ilp32f";
	return wide ? "lp64" : "ilp32";
}

static bool
resolve_abi(Isa *isa)
{
	Resolver *r = isa->r;
	const char *abi = r->request->abi ? r->request->abi : default_abi(isa);
	const char *base = r->id == TARGET_RISCV64 ? "lp64" : "ilp32";
	size_t n = strlen(base);
	char kind = '\0';
	bool ok = strncmp(abi, base, n) == 0 && strlen(abi) <= n + 1;

	if (ok)
		kind = abi[n];
	ok = ok && (isa->e ? kind == 'e' : kind == '\0' || (kind == 'f' && isa->f) ||
	                                           (kind == 'd' && isa->d));
	r->out->llvm.abi = abi;
	if (ok)
		return true;
	return USAGE(r, "'-mabi=%s' does not fit; possible %s%s%s%s%s", abi,
	             isa->e ? arena_printf(r->arena, "is %se", base)
	                    : arena_printf(r->arena, isa->f ? "are %s" : "is %s", base),
	             isa->f && !isa->e ? ", " : "",
	             isa->f && !isa->e ? arena_printf(r->arena, "%sf", base) : "",
	             isa->d && !isa->e ? ", " : "",
	             isa->d && !isa->e ? arena_printf(r->arena, "%sd", base) : "");
}

bool
target_resolve_riscv(Resolver *r)
{
	const TargetRequest *q = r->request;
	Isa isa = {.r = r};
	const char *base = r->id == TARGET_RISCV64 ? "rv64imac" : "rv32imac";
	const CpuInfo *cpu = NULL;

	if (q->fpu || q->float_abi)
		return USAGE(r, "'%s%s' is an option of Arm; RISC-V has '-mabi='",
		             q->fpu ? "-mfpu=" : "-mfloat-abi=", q->fpu ? q->fpu : q->float_abi);
	if (q->cpu) {
		cpu = target_cpu(r, "-mcpu=", q->cpu, strlen(q->cpu));
		if (!cpu)
			return false;
	}
	r->out->llvm.cpu = cpu ? cpu->name : target_info[r->id].cpu;
	if (!parse_isa(&isa, q->arch ? q->arch : cpu ? cpu->unit : base) || !resolve_abi(&isa) ||
	    !target_apply_attrs(r))
		return false;
	add_implied_features(r);
	return check_features(r);
}
