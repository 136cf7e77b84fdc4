/*
 * 32-bit Arm: which floating-point unit there is and how it is used, DSP and vector
 * extensions, Thumb.
 *
 * The CPU's own extensions count unless an architecture is named, which brings only
 * what it says; whatever LLVM would infer is written out as features.
 */
#include <string.h>

#include "codegen/target/resolve.h"

#define USAGE(r, ...) diag_report((r)->d, NULL, E_USAGE, __VA_ARGS__)

enum { FPU_V7EM = 1, FPU_V8M = 2, FPU_V81M = 4, FPU_A = 8 };

typedef struct {
	const char *name; /* NULL at the end of the table */
	unsigned profiles, isa;
	const char *features;
} FpuInfo;

static const FpuInfo fpu_table[] = {
#define FPU(name, profiles, isa, features) {name, profiles, isa, features},
#include "codegen/target/fpus.def"
	{0},
};

static const struct {
	const char *name;
	TargetId id;
} arch_table[] = {
	{"armv6-m", TARGET_ARMV6M},          {"armv6s-m", TARGET_ARMV6M},
	{"armv7-m", TARGET_ARMV7M},          {"armv7e-m", TARGET_ARMV7EM},
	{"armv8-m.base", TARGET_ARMV8M_BASE}, {"armv8-m.main", TARGET_ARMV8M_MAIN},
	{"armv8.1-m.main", TARGET_ARMV81M_MAIN}, {"armv7-a", TARGET_ARMV7A},
	{"armv7ve", TARGET_ARMV7A},
};

/* What an ARM target may have. */
static const struct {
	unsigned fpus;               /* FPU_x */
	const char *fp, *fp_double;  /* the units that +fp and +fp.dp mean */
} arm_info[TARGET_COUNT] = {
	[TARGET_ARMV7EM] = {FPU_V7EM, "fpv4-sp-d16", "fpv5-d16"},
	[TARGET_ARMV8M_MAIN] = {FPU_V8M, "fpv5-sp-d16", "fpv5-d16"},
	[TARGET_ARMV81M_MAIN] = {FPU_V81M, "fp-armv8-fullfp16-sp-d16", "fp-armv8-fullfp16-d16"},
	[TARGET_ARMV7A] = {FPU_A, "vfpv3-d16", "vfpv3"},
	[TARGET_ARMV8A] = {FPU_A, "fp-armv8", "fp-armv8"},
};

typedef struct {
	Resolver *r;
	const CpuInfo *cpu;
	const FpuInfo *fpu; /* NULL: none */
	unsigned extensions;
} Arm;

static const FpuInfo *
find_fpu(const char *name)
{
	for (const FpuInfo *f = fpu_table; name && f->name; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

TargetId
target_of_arm_arch(const char *arch)
{
	for (size_t i = 0; i < sizeof arch_table / sizeof *arch_table; i++)
		if (target_equal(arch, strcspn(arch, "+"), arch_table[i].name))
			return arch_table[i].id;
	return TARGET_COUNT;
}

/* A 32-bit target takes the architectures of armv8-a too. */
static bool
is_arch_of(const char *arch, TargetId id)
{
	return target_of_arm_arch(arch) == id ||
	       (id == TARGET_ARMV8A && target_equal(arch, strcspn(arch, "+"), "armv8-a"));
}

static bool
is_m_profile(TargetId id)
{
	return id != TARGET_ARMV7A && id != TARGET_ARMV8A;
}

/* ---- Extensions behind a name: cortex-m33+nodsp ---- */

static bool
is_vector_target(const Arm *m)
{
	return m->r->id == TARGET_ARMV81M_MAIN;
}

static bool
apply_extension(Arm *m, const char *name, size_t n)
{
	TargetId id = m->r->id;
	bool has_dsp = id == TARGET_ARMV8M_MAIN || id == TARGET_ARMV81M_MAIN;

	if (target_equal(name, n, "nofp")) {
		m->fpu = NULL;
		m->extensions &= ~(unsigned)EXT_MVE_FP;
	} else if (arm_info[id].fpus && (target_equal(name, n, "fp") || target_equal(name, n, "fp.sp"))) {
		m->fpu = find_fpu(arm_info[id].fp);
	} else if (arm_info[id].fpus && target_equal(name, n, "fp.dp")) {
		m->fpu = find_fpu(arm_info[id].fp_double);
	} else if (arm_info[id].fpus == FPU_A && target_equal(name, n, "simd")) {
		m->fpu = find_fpu(id == TARGET_ARMV7A ? "neon" : "neon-fp-armv8");
	} else if (arm_info[id].fpus == FPU_A && target_equal(name, n, "nosimd")) {
		m->fpu = find_fpu(id == TARGET_ARMV7A ? "vfpv3" : "fp-armv8");
	} else if (has_dsp && target_equal(name, n, "dsp")) {
		m->extensions |= EXT_DSP;
	} else if (has_dsp && target_equal(name, n, "nodsp")) {
		m->extensions &= ~(unsigned)(EXT_DSP | EXT_MVE | EXT_MVE_FP);
	} else if (is_vector_target(m) && target_equal(name, n, "mve")) {
		m->extensions |= EXT_MVE | EXT_DSP;
	} else if (is_vector_target(m) && target_equal(name, n, "nomve")) {
		m->extensions &= ~(unsigned)(EXT_MVE | EXT_MVE_FP);
	} else if (is_vector_target(m) && target_equal(name, n, "mve.fp")) {
		m->extensions |= EXT_MVE | EXT_MVE_FP | EXT_DSP;
		if (!m->fpu)
			m->fpu = find_fpu(arm_info[id].fp);
	} else if (is_vector_target(m) && target_equal(name, n, "nomve.fp")) {
		m->extensions &= ~(unsigned)EXT_MVE_FP;
	} else {
		return false;
	}
	return true;
}

static const char *
extensions_of(const Arm *m)
{
	switch ((int)m->r->id) {
	case TARGET_ARMV7EM: return "fp, fp.dp, nofp";
	case TARGET_ARMV8M_MAIN: return "fp, fp.dp, nofp, dsp, nodsp";
	case TARGET_ARMV81M_MAIN:
		return "fp, fp.dp, nofp, dsp, nodsp, mve, nomve, mve.fp, nomve.fp";
	case TARGET_ARMV7A:
	case TARGET_ARMV8A: return "fp, nofp, simd, nosimd";
	default: return "none";
	}
}

static bool
apply_extensions(Arm *m, const char *option, const char *word)
{
	const char *p = word + strcspn(word, "+");

	while (*p) {
		size_t n = strcspn(p + 1, "+");

		if (!apply_extension(m, p + 1, n))
			return USAGE(m->r, "'%s%s': '+%.*s' is no extension of %s; there are: %s",
			             option, word, (int)n, p + 1, target_info[m->r->id].name,
			             extensions_of(m));
		p += n + 1;
	}
	return true;
}

/* ---- CPU and architecture ---- */

static bool
find_machine(Arm *m)
{
	Resolver *r = m->r;
	const TargetRequest *q = r->request;
	const char *fallback = target_info[r->id].cpu;

	if (q->arch && !is_arch_of(q->arch, r->id))
		return USAGE(r, "'-march=%s' is not the architecture of %s", q->arch,
		             q->cpu ? q->cpu : target_info[r->id].name);
	m->cpu = q->cpu ? target_cpu(r, "-mcpu=", q->cpu, strcspn(q->cpu, "+"))
	                : target_cpu(r, "-mcpu=", fallback, strlen(fallback));
	if (!m->cpu)
		return false;
	if (q->cpu || !q->arch) {
		m->fpu = find_fpu(m->cpu->unit);
		m->extensions = m->cpu->extensions;
	} else if (r->id == TARGET_ARMV7EM || !is_m_profile(r->id)) {
		m->extensions = EXT_DSP;
	}
	return (!q->cpu || apply_extensions(m, "-mcpu=", q->cpu)) &&
	       (!q->arch || apply_extensions(m, "-march=", q->arch));
}

/* ---- Floating point ---- */

static const char *
possible_fpus(const Arm *m)
{
	Str list;

	str_init(&list, m->r->arena);
	for (const FpuInfo *f = fpu_table; f->name; f++)
		if (f->profiles & arm_info[m->r->id].fpus)
			str_printf(&list, "%s, ", f->name);
	str_puts(&list, "auto, none");
	return list.s;
}

static bool
resolve_fpu(Arm *m)
{
	const char *fpu = m->r->request->fpu;
	const FpuInfo *found;

	if (!fpu || strcmp(fpu, "auto") == 0)
		return true;
	if (strcmp(fpu, "none") == 0) {
		m->fpu = NULL;
		m->extensions &= ~(unsigned)EXT_MVE_FP;
		return true;
	}
	found = find_fpu(fpu);
	if (!found || !(found->profiles & arm_info[m->r->id].fpus))
		return USAGE(m->r, "'-mfpu=%s': %s; %s can have %s", fpu,
		             found ? "that unit does not fit" : "there is no such unit",
		             target_info[m->r->id].name, possible_fpus(m));
	m->fpu = found;
	return true;
}

typedef enum { FLOAT_SOFT, FLOAT_SOFTFP, FLOAT_HARD, FLOAT_COUNT } FloatAbi;

static bool
ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

/* How floats are computed and passed; FLOAT_COUNT when something was reported. */
static FloatAbi
float_abi(const Arm *m)
{
	static const char *const words[] = {"soft", "softfp", "hard"};
	const char *name = m->r->request->float_abi;
	FloatAbi abi = ends_with(m->r->triple, "hf") ? FLOAT_HARD : FLOAT_SOFT;

	if (name) {
		for (abi = FLOAT_SOFT; abi < FLOAT_COUNT && strcmp(name, words[abi]) != 0;)
			abi++;
		if (abi == FLOAT_COUNT) {
			USAGE(m->r, "'-mfloat-abi=%s': the value must be soft, softfp or hard", name);
			return abi;
		}
	}
	if (abi == FLOAT_HARD && !m->fpu) {
		USAGE(m->r, "'-mfloat-abi=hard' needs a floating-point unit, which %s has not; %s",
		      m->r->request->cpu || !m->r->request->arch ? m->cpu->name : m->r->request->arch,
		      arm_info[m->r->id].fpus
			      ? arena_printf(m->r->arena, "name one with -mfpu= (%s) or use soft",
		                             possible_fpus(m))
			      : "possible is soft");
		return FLOAT_COUNT;
	}
	return abi;
}

/* ---- All of it ---- */

static void
add_vectors(Arm *m)
{
	Target *facts = &m->r->out->facts;

	if (m->extensions & EXT_MVE_FP) {
		target_add_features(m->r, "+mve.fp");
		facts->isa |= ISA_ARM_MVE | ISA_ARM_MVE_FLOAT | ISA_VECTOR;
	} else if (m->extensions & EXT_MVE) {
		target_add_features(m->r, "-mve.fp,+mve");
		facts->isa |= ISA_ARM_MVE | ISA_VECTOR;
	} else {
		target_add_features(m->r, "-mve");
	}
}

static void
add_machine(Arm *m, FloatAbi abi)
{
	Resolver *r = m->r;
	Target *facts = &r->out->facts;
	bool has_fpu = m->fpu && abi != FLOAT_SOFT;

	/* Without the registers of the unit there are no vectors either. */
	if (has_fpu)
		target_add_features(r, m->fpu->features);
	else
		target_add_features(r, "-fpregs");
	if (has_fpu)
		facts->isa |= m->fpu->isa;
	if (abi == FLOAT_SOFT)
		m->extensions &= ~(unsigned)(EXT_MVE | EXT_MVE_FP);
	else if (!m->fpu)
		m->extensions &= ~(unsigned)EXT_MVE_FP;
	if (r->id == TARGET_ARMV8M_MAIN || r->id == TARGET_ARMV81M_MAIN)
		target_add_features(r, m->extensions & EXT_DSP ? "+dsp" : "-dsp");
	if (m->extensions & EXT_DSP)
		facts->isa |= ISA_ARM_DSP;
	if ((m->extensions & EXT_DSP) && !(m->extensions & EXT_MVE) && is_m_profile(r->id))
		facts->isa |= strcmp(m->cpu->name, "cortex-m7") == 0 ? ISA_ARM_DUAL : ISA_ARM_SINGLE;
	if (!(m->extensions & EXT_DSP) && is_m_profile(r->id) && (facts->isa & ISA_MUL_HIGH))
		facts->isa |= ISA_ARM_MLA;
	if (is_vector_target(m))
		add_vectors(m);
}

static const char *
triple_of(const Arm *m, FloatAbi abi)
{
	const Resolver *r = m->r;
	const char *arch = target_info[r->id].triple, *dash;
	bool thumb = is_m_profile(r->id) || r->request->thumb;

	if (strncmp(r->triple, "thumb", 5) == 0 && !r->request->arm)
		thumb = true;
	if (thumb && strncmp(arch, "arm", 3) == 0)
		arch = arena_printf(r->arena, "thumb%s", arch + 3);
	dash = strchr(arch, '-');
	if (r->is_hosted)
		return arena_printf(r->arena, "%.*s-unknown-linux-gnueabi%s", (int)(dash - arch),
		                    arch, abi == FLOAT_HARD ? "hf" : "");
	return arena_printf(r->arena, "%s%s", arch, abi == FLOAT_HARD ? "hf" : "");
}

bool
target_resolve_arm(Resolver *r)
{
	Arm m = {.r = r};
	FloatAbi abi;

	if (r->request->arm && is_m_profile(r->id))
		return USAGE(r, "'-marm': %s has only Thumb instructions", target_info[r->id].name);
	if (r->request->abi && strcmp(r->request->abi, "aapcs") != 0)
		return USAGE(r, "'-mabi=%s': the only ABI of Arm here is aapcs", r->request->abi);
	if (!find_machine(&m) || !resolve_fpu(&m))
		return false;
	abi = float_abi(&m);
	if (abi == FLOAT_COUNT)
		return false;
	add_machine(&m, abi);
	r->out->llvm.cpu = m.cpu->name;
	r->out->llvm.triple = triple_of(&m, abi);
	return target_apply_attrs(r);
}
