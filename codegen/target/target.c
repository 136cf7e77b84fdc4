/*
 * What all families share: finding the row of the table, CPUs, features, relocation
 * and code models.
 */
#include "codegen/target/target.h"

#include <string.h>

#include "codegen/target/resolve.h"

#define USAGE(r, ...) diag_report((r)->d, NULL, E_USAGE, __VA_ARGS__)

const TargetInfo target_info[TARGET_COUNT] = {
#define TARGET(id, name, family, triple, cpu, isa, vector_bytes, llvm, text) \
	[TARGET_##id] = {name, FAMILY_##family, triple, cpu, isa, vector_bytes, llvm, text},
#include "codegen/target/targets.def"
};

const CpuInfo cpu_table[] = {
#define CPU(target, name, unit, extensions, llvm) \
	{TARGET_##target, name, unit, extensions, llvm},
#include "codegen/target/cpus.def"
	{0},
};

const FeatureInfo feature_table[] = {
#define FEATURE(family, name, isa, llvm) {FAMILY_##family, name, isa, llvm},
#include "codegen/target/features.def"
	{0},
};

/* Of a family: sizes, and which options mean something. */
static const struct {
	int int_bytes, pointer_bytes;
	size_t address_space;
	bool has_pic;
	const char *const *code_models; /* NULL: none */
} family_info[FAMILY_COUNT] = {
	[FAMILY_ARM] = {4, 4, 0, true, NULL},
	[FAMILY_AARCH64] = {4, 8, 0, true, (const char *const[]){"tiny", "small", "large", NULL}},
	[FAMILY_RISCV] = {4, 4, 0, true,
                          (const char *const[]){"medlow", "medany", "small", "medium", NULL}},
	[FAMILY_AVR] = {2, 2, 65536, false, NULL},
	[FAMILY_MSP430] = {2, 2, 65536, false, NULL},
	[FAMILY_XTENSA] = {4, 4, 0, false, NULL},
	[FAMILY_X86] = {4, 8, 0, true,
                        (const char *const[]){"small", "kernel", "medium", "large", NULL}},
	[FAMILY_WASM] = {4, 4, 0, false, NULL},
};

/* ---- Words ---- */

bool
target_equal(const char *text, size_t length, const char *name)
{
	return strlen(name) == length && memcmp(text, name, length) == 0;
}

static bool
starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/* Adds a word to a list in a message. */
static void
add_word(Str *list, const char *word)
{
	str_printf(list, "%s%s", list->n ? ", " : "", word);
}

static const char *
all_targets(Arena *a)
{
	Str list;

	str_init(&list, a);
	for (int i = 0; i < TARGET_COUNT; i++)
		add_word(&list, target_info[i].name);
	return list.s;
}

/* ---- LLVM ---- */

bool
target_needs_llvm(Resolver *r, const char *what, int version)
{
	int have = llvm_major_version();

	/* Without LLVM only C can be written, which does not need it. */
	if (version <= have || have == 0 || r->request->only_c)
		return true;
	return USAGE(r, "%s needs LLVM %d, but this mcc has LLVM %s", what, version,
	             llvm_version(r->arena));
}

void
target_add_features(Resolver *r, const char *features)
{
	if (r->features.n && *features)
		str_putc(&r->features, ',');
	str_puts(&r->features, features);
}

/* ---- CPUs ---- */

const CpuInfo *
target_find_cpu(const char *name, size_t length)
{
	for (const CpuInfo *c = cpu_table; c->name; c++)
		if (target_equal(name, length, c->name))
			return c;
	return NULL;
}

enum { LISTED_CPUS = 12 };

/* Some CPUs of a target for a message; --print-supported-cpus has all. */
static const char *
some_cpus(Arena *a, TargetId id)
{
	Str list;
	int n = 0;

	str_init(&list, a);
	for (const CpuInfo *c = cpu_table; c->name; c++)
		if (c->target == id && n++ < LISTED_CPUS)
			add_word(&list, c->name);
	if (n > LISTED_CPUS)
		str_printf(&list, " and more, see '--print-supported-cpus -target %s'",
		           target_info[id].name);
	return list.s;
}

const CpuInfo *
target_cpu(Resolver *r, const char *option, const char *name, size_t length)
{
	const char *target = target_info[r->id].name;

	for (const CpuInfo *c = cpu_table; c->name; c++) {
		if (c->target != r->id || !target_equal(name, length, c->name))
			continue;
		return target_needs_llvm(r, arena_printf(r->arena, "'%s'", c->name), c->llvm) ? c
		                                                                               : NULL;
	}
	USAGE(r, "'%s%.*s': there is no such CPU of %s; there %s", option, (int)length, name, target,
	      arena_printf(r->arena, "are %s", some_cpus(r->arena, r->id)));
	return NULL;
}

/* ---- Features ---- */

static const FeatureInfo *
find_feature(Family family, const char *name, size_t length)
{
	for (const FeatureInfo *f = feature_table; f->name; f++)
		if (f->family == family && target_equal(name, length, f->name))
			return f;
	return NULL;
}

bool
target_apply_feature(Resolver *r, const char *word, size_t length)
{
	Family family = target_info[r->id].family;
	const FeatureInfo *f;
	Str list;

	if (length > 1 && (*word == '+' || *word == '-')) {
		f = find_feature(family, word + 1, length - 1);
		if (f && !target_needs_llvm(r, arena_printf(r->arena, "'%s'", f->name), f->llvm))
			return false;
		if (f) {
			target_add_features(r, arena_strndup(r->arena, word, length));
			if (*word == '+')
				r->out->facts.isa |= f->isa;
			else
				r->out->facts.isa &= ~f->isa;
			return true;
		}
	}
	str_init(&list, r->arena);
	for (f = feature_table; f->name; f++)
		if (f->family == family)
			add_word(&list, f->name);
	return USAGE(r, "'-mattr=%.*s': a feature is + or - and one of %s", (int)length, word,
	             list.n ? list.s : "none that this target has");
}

bool
target_apply_attrs(Resolver *r)
{
	if (!target_apply_flags(r))
		return false;
	for (int i = 0; i < r->request->nattrs; i++) {
		const char *p = r->request->attrs[i];

		for (;; p++) {
			size_t n = strcspn(p, ",");

			if (!target_apply_feature(r, p, n))
				return false;
			p += n;
			if (!*p)
				break;
		}
	}
	return true;
}

/* ---- Which target ---- */

/* The first part of triples that gcc and clang use. */
static const struct {
	const char *start;
	TargetId id;
} architectures[] = {
	{"thumbv6m", TARGET_ARMV6M},
	{"armv6m", TARGET_ARMV6M},
	{"thumbv7em", TARGET_ARMV7EM},
	{"armv7em", TARGET_ARMV7EM},
	{"thumbv7m", TARGET_ARMV7M},
	{"armv7m", TARGET_ARMV7M},
	{"thumbv8m.base", TARGET_ARMV8M_BASE},
	{"thumbv8m.main", TARGET_ARMV8M_MAIN},
	{"thumbv8.1m.main", TARGET_ARMV81M_MAIN},
	{"armv8m.base", TARGET_ARMV8M_BASE},
	{"armv8m.main", TARGET_ARMV8M_MAIN},
	{"armv8.1m.main", TARGET_ARMV81M_MAIN},
	{"armv7a", TARGET_ARMV7A},
	{"thumbv7a", TARGET_ARMV7A},
	{"armv7", TARGET_ARMV7A},
	{"thumbv7", TARGET_ARMV7A},
	{"armv8a", TARGET_ARMV8A},
	{"armv8", TARGET_ARMV8A},
	{"thumbv8a", TARGET_ARMV8A},
	{"aarch64", TARGET_AARCH64},
	{"arm64", TARGET_AARCH64},
	{"riscv32", TARGET_RISCV32},
	{"riscv64", TARGET_RISCV64},
	{"avr", TARGET_AVR},
	{"msp430", TARGET_MSP430},
	{"xtensa", TARGET_XTENSA},
	{"x86_64", TARGET_X86_64},
	{"x86-64", TARGET_X86_64},
	{"amd64", TARGET_X86_64},
	{"wasm32", TARGET_WASM32},
};

static TargetId
target_of_triple(const char *triple)
{
	size_t n = strcspn(triple, "-");

	if (starts_with(triple, "x86-64"))
		n = strlen("x86-64");
	for (size_t i = 0; i < sizeof architectures / sizeof *architectures; i++)
		if (target_equal(triple, n, architectures[i].start))
			return architectures[i].id;
	return TARGET_COUNT;
}

/* arm-none-eabi and thumb-none-eabi leave open which processor it is. */
static bool
is_any_arm(const char *triple)
{
	size_t n = strcspn(triple, "-");

	return target_equal(triple, n, "arm") || target_equal(triple, n, "thumb");
}

/* gcc takes the names of hundreds of these; to LLVM they are one. */
static bool
is_msp430(const char *cpu)
{
	return starts_with(cpu, "msp430") && !strchr(cpu, '+');
}

/* The target that CPU or architecture belong to; TARGET_COUNT: they do not say. */
static TargetId
target_of_machine(const TargetRequest *q)
{
	const CpuInfo *c = q->cpu ? target_find_cpu(q->cpu, strcspn(q->cpu, "+")) : NULL;
	TargetId id = TARGET_COUNT;

	if (c)
		return c->target;
	if (q->cpu && is_msp430(q->cpu))
		return TARGET_MSP430;
	if (q->arch) {
		id = target_of_arm_arch(q->arch);
		if (id == TARGET_COUNT)
			id = target_of_riscv_arch(q->arch);
		if (id == TARGET_COUNT && starts_with(q->arch, "armv8"))
			id = TARGET_AARCH64;
		c = target_find_cpu(q->arch, strlen(q->arch));
		if (id == TARGET_COUNT && c)
			id = c->target;
	}
	return id;
}

static bool
names_system(const char *triple)
{
	return strstr(triple, "linux") || strstr(triple, "darwin") || strstr(triple, "macos") ||
	       strstr(triple, "bsd") || strstr(triple, "windows");
}

/* The host, for "native" and for targets that are not named. */
static bool
take_host(Resolver *r)
{
	r->triple = llvm_host_triple(r->arena);
	r->id = target_of_triple(r->triple);
	return r->id != TARGET_COUNT;
}

static bool
is_native(const TargetRequest *q)
{
	return (q->cpu && strcmp(q->cpu, "native") == 0) ||
	       (q->arch && strcmp(q->arch, "native") == 0);
}

/* x86-64-v3 is a target as well as a CPU. */
static bool
is_level_of_x86(const char *name)
{
	return starts_with(name, "x86-64-v") && target_find_cpu(name, strlen(name));
}

static bool
find_target(Resolver *r)
{
	const TargetRequest *q = r->request;
	const char *name = q->target;
	bool any_arm = name && is_any_arm(name);

	r->id = TARGET_COUNT;
	for (int i = 0; name && i < TARGET_COUNT; i++)
		if (strcmp(name, target_info[i].name) == 0)
			r->id = (TargetId)i;
	if (r->id != TARGET_COUNT) {
		r->triple = target_info[r->id].triple;
		return true;
	}
	if (name && is_level_of_x86(name)) {
		r->id = TARGET_X86_64;
		r->triple = target_info[r->id].triple;
		return true;
	}
	if ((name && strcmp(name, "native") == 0) || (!name && is_native(q)))
		return take_host(r) ||
		       USAGE(r, "this machine, '%s', is none of the targets", r->triple);
	if (name && !any_arm) {
		r->id = target_of_triple(name);
		r->triple = name;
		return r->id != TARGET_COUNT ||
		       USAGE(r, "unknown target '%s'; there are generic, native, %s, and triples "
		                "that start like them", name, all_targets(r->arena));
	}
	r->id = target_of_machine(q);
	if (r->id == TARGET_COUNT || (any_arm && target_info[r->id].family != FAMILY_ARM)) {
		if (any_arm)
			return USAGE(r, "'%s' is many processors; name the one that is meant with "
			                "-mcpu=, as in -mcpu=cortex-m4, or -march=", name);
		return USAGE(r, "'%s%s': which target is that? Name it with -target: %s",
		             q->cpu ? "-mcpu=" : q->arch ? "-march=" : "-mattr=",
		             q->cpu ? q->cpu : q->arch ? q->arch : q->attrs[0],
		             all_targets(r->arena));
	}
	r->triple = any_arm ? name : target_info[r->id].triple;
	return true;
}

/* ---- Families without peculiarities ---- */

/* armv8.2-a+dotprod: a version and features. */
static bool
resolve_aarch64_arch(Resolver *r, const char *arch)
{
	size_t n = strcspn(arch, "+");
	const char *version;

	if (!starts_with(arch, "armv8") && !starts_with(arch, "armv9"))
		return USAGE(r, "'-march=%s': an architecture of aarch64 is armv8-a, armv8.1-a to "
		                "armv8.9-a, armv9-a to armv9.4-a, and features as in "
		                "armv8.2-a+dotprod", arch);
	version = arena_printf(r->arena, "v%.*sa", (int)(n - 4 - 2), arch + 4);
	if (n < 7 || memcmp(arch + n - 2, "-a", 2) != 0 ||
	    (strcmp(version, "v8a") != 0 && !find_feature(FAMILY_AARCH64, version, strlen(version))))
		return USAGE(r, "'-march=%s': there is no such architecture of aarch64; there are "
		                "armv8-a, armv8.1-a to armv8.9-a, armv9-a to armv9.4-a", arch);
	if (strcmp(version, "v8a") != 0)
		target_add_features(r, arena_printf(r->arena, "+%s", version));
	return true;
}

/* The features behind a CPU or an architecture: +dotprod+nofp16. */
static bool
resolve_suffixes(Resolver *r, const char *option, const char *word)
{
	const char *p = word + strcspn(word, "+");

	while (*p) {
		size_t n = strcspn(p + 1, "+");
		bool off = n > 2 && strncmp(p + 1, "no", 2) == 0;
		const char *name = arena_strndup(r->arena, p + 1 + (off ? 2 : 0), n - (off ? 2 : 0));
		Family family = target_info[r->id].family;

		if (strcmp(name, "fp") == 0)
			name = "fp-armv8";
		else if (strcmp(name, "simd") == 0)
			name = "neon";
		else if (strcmp(name, "fp16") == 0)
			name = "fullfp16";
		if (!find_feature(family, name, strlen(name)))
			return USAGE(r, "'%s%s': unknown feature '+%.*s'", option, word, (int)n,
			             p + 1);
		target_apply_feature(r, arena_printf(r->arena, "%c%s", off ? '-' : '+', name),
		           strlen(name) + 1);
		p += n + 1;
	}
	return true;
}

/* Whether a list of features, "+avx,+avx2", has one. */
static bool
has_feature(const char *list, const char *name)
{
	size_t n = strlen(name);

	const char *start = list;

	while ((list = strstr(list, name)) != NULL) {
		if (list > start && list[-1] == '+' && (list[n] == ',' || list[n] == '\0'))
			return true;
		list += n;
	}
	return false;
}

/* What the vectors of this machine, an x86, can do. */
static unsigned
native_isa(const char *features)
{
	bool wide = has_feature(features, "avx512f") && has_feature(features, "avx512bw") &&
	            has_feature(features, "avx512dq") && has_feature(features, "avx512vl");
	unsigned isa = has_feature(features, "avx2") ? ISA_X86_AVX2 : 0;

	if (has_feature(features, "avxvnni") || (wide && has_feature(features, "avx512vnni")))
		isa |= ISA_X86_VNNI;
	return wide ? isa | ISA_X86_AVX512 : isa;
}

static bool
take_native(Resolver *r)
{
	if (target_of_triple(llvm_host_triple(r->arena)) != r->id)
		return USAGE(r, "'native' is this machine, %s, but code is made for %s",
		             llvm_host_triple(r->arena), target_info[r->id].name);
	r->out->llvm.cpu = llvm_host_cpu(r->arena);
	target_add_features(r, llvm_host_features(r->arena));
	if (target_info[r->id].family == FAMILY_X86)
		r->out->facts.isa |= native_isa(llvm_host_features(r->arena));
	if (target_info[r->id].family == FAMILY_AARCH64 &&
	    has_feature(llvm_host_features(r->arena), "dotprod"))
		r->out->facts.isa |= ISA_ARM_DOT;
	return true;
}

/* Whether the extensions of cpus.def are bits of ISA_x. */
static bool
cpus_name_isa(Family family)
{
	return family == FAMILY_AARCH64 || family == FAMILY_X86 || family == FAMILY_XTENSA;
}

/* CPU and architecture where one name says all: -march of x86, -mmcu of AVR. */
static bool
resolve_plain(Resolver *r)
{
	const TargetRequest *q = r->request;
	Family family = target_info[r->id].family;
	bool is_arm64 = family == FAMILY_AARCH64;
	const char *cpu = q->cpu ? q->cpu : is_arm64 ? NULL : q->arch;
	const char *option = q->cpu ? "-mcpu=" : "-march=";
	const CpuInfo *info;

	if (q->fpu || q->float_abi)
		return USAGE(r, "'%s%s' is an option of 32-bit Arm; %s has nothing to choose there",
		             q->fpu ? "-mfpu=" : "-mfloat-abi=", q->fpu ? q->fpu : q->float_abi,
		             target_info[r->id].name);
	if (q->abi)
		return USAGE(r, "'-mabi=%s': %s has only one ABI", q->abi, target_info[r->id].name);
	r->out->llvm.cpu = target_info[r->id].cpu;
	if (q->target && is_level_of_x86(q->target))
		r->out->llvm.cpu = q->target;
	if (cpus_name_isa(family))
		r->out->facts.isa |= target_find_cpu(r->out->llvm.cpu,
		                                     strlen(r->out->llvm.cpu))->extensions;
	if (is_native(q))
		return take_native(r) && target_apply_attrs(r);
	if (is_arm64 && q->arch &&
	    (!resolve_aarch64_arch(r, q->arch) || !resolve_suffixes(r, "-march=", q->arch)))
		return false;
	if (!cpu)
		return target_apply_attrs(r);
	if (family == FAMILY_MSP430 && is_msp430(cpu) && !target_find_cpu(cpu, strlen(cpu)))
		cpu = target_info[r->id].cpu;
	info = target_cpu(r, option, cpu, is_arm64 ? strcspn(cpu, "+") : strlen(cpu));
	if (!info)
		return false;
	r->out->llvm.cpu = info->name;
	if (cpus_name_isa(family))
		r->out->facts.isa |= info->extensions;
	return (!is_arm64 || resolve_suffixes(r, option, cpu)) && target_apply_attrs(r);
}

/* ---- The rest of the options ---- */

static bool
resolve_tune(Resolver *r)
{
	const char *tune = r->request->tune;
	const CpuInfo *c;

	r->out->llvm.tune = "";
	if (!tune || strcmp(tune, "generic") == 0)
		return true;
	if (strcmp(tune, "native") == 0) {
		r->out->llvm.tune = llvm_host_cpu(r->arena);
		return true;
	}
	c = target_find_cpu(tune, strlen(tune));
	if (!c || target_info[c->target].family != target_info[r->id].family)
		return target_cpu(r, "-mtune=", tune, strlen(tune)) != NULL;
	r->out->llvm.tune = c->name;
	return target_needs_llvm(r, arena_printf(r->arena, "'%s'", c->name), c->llvm);
}

static bool
resolve_models(Resolver *r)
{
	const TargetRequest *q = r->request;
	Family family = target_info[r->id].family;
	const char *const *models = family_info[family].code_models;
	Str list;

	r->out->llvm.code_model = q->code_model ? q->code_model : "";
	r->out->llvm.reloc = q->reloc != RELOC_DEFAULT ? q->reloc
	                     : r->is_hosted            ? RELOC_PIC
	                                               : RELOC_STATIC;
	if (q->reloc == RELOC_PIC && !family_info[family].has_pic)
		return USAGE(r, "%s has no position-independent code; leave '-fpic' out",
		             target_info[r->id].name);
	if (!q->code_model)
		return true;
	str_init(&list, r->arena);
	for (; models && *models; models++) {
		if (strcmp(*models, q->code_model) == 0)
			return true;
		add_word(&list, *models);
	}
	return USAGE(r, "'-mcmodel=%s': %s has %s", q->code_model, target_info[r->id].name,
	             list.n ? list.s : "no code models");
}

static void
set_facts(Resolver *r)
{
	const TargetInfo *info = &target_info[r->id];
	bool wide = r->id == TARGET_RISCV64;

	r->out->facts = (Target){
		.name = info->name,
		.int_bytes = family_info[info->family].int_bytes,
		.pointer_bytes = wide ? 8 : family_info[info->family].pointer_bytes,
		.address_space = family_info[info->family].address_space,
		.isa = info->isa,
	};
}

static bool
resolve_family(Resolver *r)
{
	switch (target_info[r->id].family) {
	case FAMILY_ARM: return target_resolve_arm(r);
	case FAMILY_RISCV: return target_resolve_riscv(r);
	case FAMILY_AARCH64:
	case FAMILY_AVR:
	case FAMILY_MSP430:
	case FAMILY_XTENSA:
	case FAMILY_X86:
	case FAMILY_WASM:
	case FAMILY_COUNT: break;
	}
	return resolve_plain(r);
}

/* No target: C for any machine, and where machine code is wanted, this one. */
static void
take_generic(Resolver *r)
{
	Machine *m = r->out;
	bool known = take_host(r);

	m->facts = (Target){.name = "generic", .int_bytes = 2, .pointer_bytes = 4};
	m->llvm = (LlvmTarget){.triple = r->triple,
	                       .cpu = known ? target_info[r->id].cpu : "",
	                       .tune = "",
	                       .features = "",
	                       .abi = "",
	                       .reloc = r->request->reloc == RELOC_DEFAULT ? RELOC_PIC
	                                                                    : r->request->reloc,
	                       .code_model = ""};
}

/* Bytes that vector registers of a RISC-V have at least: "zvl256b" and the like, or what
 * the sets of instructions ask for. */
static int
riscv_vector_bytes(const char *features)
{
	int bits = has_feature(features, "v") ? 128
	           : strstr(features, "+zve64") ? 64
	                                        : 32;

	for (const char *p = features; (p = strstr(p, "+zvl")) != NULL; p++) {
		int length = 0;

		for (const char *c = p + strlen("+zvl"); *c >= '0' && *c <= '9' && length < 1 << 16; c++)
			length = 10 * length + (*c - '0');
		bits = length > bits ? length : bits;
	}
	return bits / 8;
}

/* Sizes and numbers of vector registers. */
static void
set_vectors(const Resolver *r, Target *t)
{
	if (t->vector_bytes || !(t->isa & ISA_VECTOR))
		return;
	t->vector_bytes = t->isa & ISA_X86_AVX512 ? 64 : t->isa & ISA_X86_AVX2 ? 32 : 16;
	t->vector_registers = t->isa & ISA_ARM_MVE ? 8 : 32;
	if (target_info[r->id].family == FAMILY_X86 && !(t->isa & ISA_X86_AVX512))
		t->vector_registers = 16;
	if (target_info[r->id].family == FAMILY_RISCV) {
		enum { MOST = 64 }; /* kernels take whole registers, and vary no more */
		int bytes = riscv_vector_bytes(r->features.s);

		t->vector_bytes = bytes < MOST ? bytes : MOST;
	}
}

static bool
says_nothing(const TargetRequest *q)
{
	return !q->cpu && !q->arch && !q->tune && !q->fpu && !q->float_abi && !q->abi &&
	       !q->code_model && !q->nattrs && !q->nflags && !q->thumb && !q->arm;
}

static const char *
first_option(const TargetRequest *q)
{
	return q->cpu          ? "-mcpu="
	       : q->arch       ? "-march="
	       : q->tune       ? "-mtune="
	       : q->fpu        ? "-mfpu="
	       : q->float_abi  ? "-mfloat-abi="
	       : q->abi        ? "-mabi="
	       : q->code_model ? "-mcmodel="
	       : q->nattrs     ? "-mattr="
	       : q->thumb      ? "-mthumb"
	       : q->arm        ? "-marm"
	                       : "-m";
}

bool
target_resolve(Arena *a, const TargetRequest *q, Machine *out, Diag *d)
{
	Resolver r = {.arena = a, .request = q, .d = d, .out = out};
	bool generic = q->target && strcmp(q->target, "generic") == 0;

	*out = (Machine){0};
	str_init(&r.features, a);
	str_puts(&r.features, "");
	if (generic && !says_nothing(q))
		return USAGE(&r, "'%s' says something about the machine, but '-target generic' is "
		                 "any; name the one that is meant", first_option(q));
	if (generic || (!q->target && says_nothing(q))) {
		take_generic(&r);
		return true;
	}
	if (!q->target && !q->cpu && !q->arch) {
		if (!take_host(&r))
			return USAGE(&r, "'%s' needs '-target'", first_option(q));
	} else if (!find_target(&r)) {
		return false;
	}
	r.is_hosted = names_system(r.triple);
	if (!target_needs_llvm(&r, arena_printf(a, "the target %s", target_info[r.id].name),
	                       target_info[r.id].llvm))
		return false;
	set_facts(&r);
	out->llvm = (LlvmTarget){.triple = r.triple, .tune = "", .abi = ""};
	if ((q->thumb || q->arm) && target_info[r.id].family != FAMILY_ARM)
		return USAGE(&r, "'%s' is an option of 32-bit Arm", q->thumb ? "-mthumb" : "-marm");
	if (!resolve_family(&r) || !resolve_tune(&r) || !resolve_models(&r))
		return false;
	set_vectors(&r, &out->facts);
	out->llvm.features = r.features.s;
	out->llvm.isa = out->facts.isa;
	out->facts.cpu = out->llvm.cpu;
	return true;
}

/* ---- Lists ---- */

void
target_print_all(Str *s)
{
	str_puts(s, "Targets, their default CPU and triple:\n");
	str_printf(s, "  %-15s %-13s %-26s %s\n", "generic", "", "",
	           "C for any compiler; objects for this machine");
	for (int i = 0; i < TARGET_COUNT; i++) {
		const TargetInfo *t = &target_info[i];

		str_printf(s, "  %-15s %-13s %-26s %s", t->name, t->cpu, t->triple, t->text);
		if (t->llvm > llvm_major_version())
			str_printf(s, " (only C; the rest needs LLVM %d)", t->llvm);
		str_putc(s, '\n');
	}
}

bool
target_print_cpus(Str *s, const TargetRequest *q, Diag *d)
{
	Resolver r = {.arena = s->arena, .request = q, .d = d};
	TargetId only = TARGET_COUNT;

	if (q->target && strcmp(q->target, "generic") != 0) {
		if (!find_target(&r))
			return false;
		only = r.id;
	}
	for (int i = 0; i < TARGET_COUNT; i++) {
		int column = 80;

		if (only != TARGET_COUNT && only != (TargetId)i)
			continue;
		str_printf(s, "%sCPUs of %s:", s->n ? "\n" : "", target_info[i].name);
		for (const CpuInfo *c = cpu_table; c->name; c++) {
			int width = (int)strlen(c->name) + 1;

			if (c->target != (TargetId)i || c->llvm > llvm_major_version())
				continue;
			if (column + width > 80) {
				str_puts(s, "\n ");
				column = 1;
			}
			str_printf(s, " %s", c->name);
			column += width;
		}
		str_putc(s, '\n');
	}
	return true;
}
