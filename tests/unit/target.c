#define _POSIX_C_SOURCE 200809L
/*
 * Targets: what the words of gcc and clang mean, which combinations cannot be, and
 * that LLVM knows every name of the tables.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "codegen/target/resolve.h"
#include "codegen/target/target.h"
#include "tests/unit/unit_arena.h"

static Machine
resolve(TargetRequest r)
{
	Machine m;

	diag_init(&diag, arena);
	if (!target_resolve(arena, &r, &m, &diag))
		ck_abort_msg("%s", diag.first->text);
	ck_assert_int_eq(diag.errors, 0);
	return m;
}

static void
expect_error(TargetRequest r, const char *part)
{
	Machine m;

	diag_init(&diag, arena);
	ck_assert(!target_resolve(arena, &r, &m, &diag));
	ck_assert_int_eq(diag.errors, 1);
	ck_assert_int_eq(diag.first->code, E_USAGE);
	if (!strstr(diag.first->text, part))
		ck_abort_msg("'%s' lacks '%s'", diag.first->text, part);
}

#define R(...) ((TargetRequest){__VA_ARGS__})

START_TEST(flags_of_a_firmware_build_name_the_target)
{
	Machine m = resolve(R(.cpu = "cortex-m4", .thumb = true, .float_abi = "hard",
	                      .fpu = "fpv4-sp-d16"));

	ck_assert_str_eq(m.facts.name, "armv7em");
	ck_assert_str_eq(m.llvm.triple, "thumbv7em-none-eabihf");
	ck_assert_str_eq(m.llvm.cpu, "cortex-m4");
	ck_assert(m.facts.isa & ISA_FLOAT && !(m.facts.isa & ISA_DOUBLE));
	ck_assert(m.facts.isa & ISA_ARM_DSP);
	m = resolve(R(.arch = "rv32imac", .abi = "ilp32", .code_model = "medany"));
	ck_assert_str_eq(m.facts.name, "riscv32");
	ck_assert_str_eq(m.llvm.abi, "ilp32");
	ck_assert(!(m.facts.isa & ISA_FLOAT) && m.facts.isa & ISA_DIVIDE);
	m = resolve(R(.cpu = "atmega2560"));
	ck_assert_str_eq(m.facts.name, "avr");
	ck_assert_int_eq(m.facts.int_bytes, 2);
	m = resolve(R(.arch = "x86-64-v3"));
	ck_assert_str_eq(m.llvm.cpu, "x86-64-v3");
}
END_TEST

START_TEST(names_triples_and_levels_are_targets)
{
	static const struct {
		const char *given, *name;
	} same[] = {
		{"armv6m", "armv6m"},
		{"thumbv7em-none-eabihf", "armv7em"},
		{"armv8.1m.main-none-eabi", "armv8.1m.main"},
		{"aarch64-linux-gnu", "aarch64"},
		{"x86_64-pc-linux-gnu", "x86-64"},
		{"x86-64-v4", "x86-64"},
		{"riscv64-unknown-elf", "riscv64"},
		{"msp430-elf", "msp430"},
		{"wasm32-wasi", "wasm32"},
	};

	for (size_t i = 0; i < sizeof same / sizeof *same; i++)
		ck_assert_str_eq(resolve(R(.target = same[i].given)).facts.name, same[i].name);
	ck_assert_str_eq(resolve(R(.target = "arm-none-eabi", .cpu = "cortex-m0")).llvm.triple,
	                 "thumbv6m-none-eabi");
	ck_assert_str_eq(resolve(R(0)).facts.name, "generic");
	ck_assert_int_eq(resolve(R(.target = "aarch64-linux-gnu")).llvm.reloc, RELOC_PIC);
	ck_assert_int_eq(resolve(R(.target = "aarch64")).llvm.reloc, RELOC_STATIC);
}
END_TEST

START_TEST(c_needs_no_llvm_that_knows_the_target)
{
	Machine m = resolve(R(.target = "xtensa", .cpu = "esp32", .only_c = true));

	ck_assert_str_eq(m.facts.name, "xtensa");
	ck_assert_int_eq(m.facts.int_bytes, 4);
	ck_assert(m.facts.isa & ISA_MUL && m.facts.isa & ISA_FLOAT);
	if (llvm_major_version() < 22)
		expect_error(R(.target = "xtensa"), "the target xtensa needs LLVM 22");
}
END_TEST

START_TEST(extensions_follow_the_cpu)
{
	Machine m = resolve(R(.cpu = "cortex-m33+nodsp", .float_abi = "softfp"));

	ck_assert(!(m.facts.isa & ISA_ARM_DSP) && m.facts.isa & ISA_FLOAT);
	ck_assert_ptr_nonnull(strstr(m.llvm.features, "-dsp"));
	m = resolve(R(.cpu = "cortex-m55", .float_abi = "hard"));
	ck_assert(m.facts.isa & ISA_ARM_MVE && m.facts.isa & ISA_ARM_MVE_FLOAT);
	ck_assert_int_eq(m.facts.vector_bytes, 16);
	m = resolve(R(.cpu = "cortex-m55+nomve.fp", .float_abi = "hard"));
	ck_assert(m.facts.isa & ISA_ARM_MVE && !(m.facts.isa & ISA_ARM_MVE_FLOAT));
	m = resolve(R(.cpu = "cortex-m55"));
	ck_assert(!(m.facts.isa & (ISA_FLOAT | ISA_ARM_MVE)));
	m = resolve(R(.arch = "armv7e-m+fp.dp", .float_abi = "hard"));
	ck_assert(m.facts.isa & ISA_DOUBLE);
	m = resolve(R(.target = "armv8m.main", .arch = "armv8-m.main"));
	ck_assert(!(m.facts.isa & ISA_ARM_DSP));
	m = resolve(R(.arch = "rv64gcv_zba1p0_zbb"));
	ck_assert_str_eq(m.llvm.abi, "lp64d");
	ck_assert(m.facts.isa & ISA_VECTOR);
	m = resolve(R(.arch = "rv32imac_zve32f"));
	ck_assert_str_eq(m.llvm.abi, "ilp32f");
	ck_assert(m.facts.isa & ISA_FLOAT && m.facts.isa & ISA_VECTOR);
	m = resolve(R(.arch = "rv32e"));
	ck_assert_str_eq(m.llvm.abi, "ilp32e");
	m = resolve(R(.target = "aarch64", .arch = "armv8.2-a+dotprod"));
	ck_assert_str_eq(m.llvm.features, "+v8.2a,+dotprod");
	m = resolve(R(.target = "wasm32", .attrs = (const char *[]){"+simd128,-sign-ext"}, .nattrs = 1));
	ck_assert_str_eq(m.llvm.features, "+simd128,-sign-ext");
}
END_TEST

START_TEST(what_cannot_be_says_what_could)
{
	expect_error(R(.target = "z80"), "armv7em");
	expect_error(R(.target = "arm-none-eabi"), "-mcpu=cortex-m4");
	expect_error(R(.target = "arm-none-eabi", .cpu = "atmega8"), "many processors");
	expect_error(R(.cpu = "cortex-m9"), "which target");
	expect_error(R(.target = "armv7em", .cpu = "cortex-m3"), "cortex-m4, cortex-m7");
	expect_error(R(.target = "avr", .cpu = "cortex-m0"), "and more");
	expect_error(R(.cpu = "cortex-m3", .float_abi = "hard"), "possible is soft");
	expect_error(R(.arch = "armv7e-m", .float_abi = "hard"), "fpv4-sp-d16");
	expect_error(R(.cpu = "cortex-m4", .float_abi = "medium"), "soft, softfp or hard");
	expect_error(R(.cpu = "cortex-m4", .fpu = "neon"), "can have fpv4-sp-d16");
	expect_error(R(.cpu = "cortex-m4", .fpu = "x87"), "there is no such unit");
	expect_error(R(.cpu = "cortex-m4+mve"), "fp, fp.dp, nofp");
	expect_error(R(.cpu = "cortex-m4", .arch = "armv6-m"), "not the architecture");
	expect_error(R(.cpu = "cortex-m4", .arm = true), "only Thumb");
	expect_error(R(.cpu = "cortex-m4", .abi = "ilp32"), "aapcs");
	expect_error(R(.cpu = "cortex-m4", .code_model = "large"), "no code models");
	expect_error(R(.target = "armv7em", .attrs = (const char *[]){"+avx"}, .nattrs = 1), "dsp");
	expect_error(R(.target = "armv7em", .attrs = (const char *[]){"dsp"}, .nattrs = 1), "+ or -");
	expect_error(R(.target = "msp430", .reloc = RELOC_PIC), "position-independent");
	expect_error(R(.arch = "rv32imq"), "unknown extension 'q'");
	expect_error(R(.arch = "rv32imac_zzz"), "zba");
	expect_error(R(.arch = "rv32i_zvl128b"), "needs vectors");
	expect_error(R(.arch = "rv32gc_zcmp"),
	             llvm_major_version() < 19 ? "needs LLVM 19" : "exclude each other");
	expect_error(R(.arch = "rv32x"), "i, e or g");
	expect_error(R(.target = "riscv64", .arch = "rv32i"), "starts with rv64");
	expect_error(R(.arch = "rv32imac", .abi = "ilp32f"), "possible is ilp32");
	expect_error(R(.arch = "rv32imafc", .abi = "ilp32d"), "ilp32, ilp32f");
	expect_error(R(.target = "riscv32", .float_abi = "hard"), "-mabi=");
	expect_error(R(.target = "x86-64", .float_abi = "hard"), "32-bit Arm");
	expect_error(R(.target = "x86-64", .thumb = true), "32-bit Arm");
	expect_error(R(.target = "x86-64", .arch = "i486"), "no such CPU");
	expect_error(R(.target = "aarch64", .arch = "armv8.77-a"), "armv8.1-a to");
	expect_error(R(.target = "aarch64", .arch = "armv8-a+avx"), "'+avx'");
	expect_error(R(.target = "generic", .cpu = "cortex-m4"), "generic");
	expect_error(R(.cpu = "cortex-m4", .tune = "skylake"), "no such CPU");
}
END_TEST

/* ---- LLVM knows every name ---- */

static const char model[] = "graph @g(%x: f32[4], %i: i32[4]) {\n"
			    "  %y: f32[4] = mul(%x, %x)\n"
			    "  %k: i32[4] = mul(%i, %i)\n"
			    "  return %y, %k\n"
			    "}\n";

/* What LLVM says about code for a machine goes to standard error. */
static void
emit_quietly(const Program *p, const Machine *m, const char *what)
{
	LlvmOptions o = {.target = m->llvm, .prefix = "g", .model_name = "g", .producer = "test"};
	FILE *log = tmpfile();
	int old = dup(STDERR_FILENO);
	bool ok;
	long said;
	Str out;

	ck_assert(log && old >= 0);
	ck_assert_int_ge(dup2(fileno(log), STDERR_FILENO), 0);
	str_init(&out, arena);
	o.opt_level = 1;
	ok = llvm_emit(p, &o, LLVM_OBJECT, &out, &diag);
	fflush(stderr);
	ck_assert_int_ge(dup2(old, STDERR_FILENO), 0);
	close(old);
	fseek(log, 0, SEEK_END);
	said = ftell(log);
	fclose(log);
	ck_assert_msg(ok, "%s: %s", what, diag.first ? diag.first->text : "");
	ck_assert_msg(said == 0, "%s: LLVM has something to say", what);
}

static Program *
small_program(void)
{
	Graph *g = graph_parse(arena, "t", model, strlen(model), &diag);
	Program *p = g ? program_build(arena, g, &(ProgramOptions){0}, &diag) : NULL;

	ck_assert_ptr_nonnull(p);
	return p;
}

START_TEST(llvm_knows_every_cpu)
{
	Program *p = small_program();

	for (const CpuInfo *c = cpu_table; c->name; c++) {
		const TargetInfo *t = &target_info[c->target];
		Machine m;

		if (c->llvm > llvm_major_version() || t->llvm > llvm_major_version())
			continue;
		m = resolve(R(.target = t->name, .cpu = c->name));
		ck_assert_str_eq(m.llvm.cpu, c->name);
		emit_quietly(p, &m, c->name);
		if (!c->unit || t->family != FAMILY_ARM)
			continue;
		m = resolve(R(.target = t->name, .cpu = c->name, .float_abi = "hard"));
		emit_quietly(p, &m, c->name);
	}
}
END_TEST

START_TEST(llvm_knows_every_feature)
{
	Program *p = small_program();

	for (const FeatureInfo *f = feature_table; f->name; f++)
		for (int id = 0; id < TARGET_COUNT; id++) {
			const char *on = arena_printf(arena, "+%s", f->name);
			const char *off = arena_printf(arena, "-%s", f->name);
			Machine m;

			if (target_info[id].family != f->family || f->llvm > llvm_major_version() ||
			    target_info[id].llvm > llvm_major_version())
				continue;
			m = resolve(R(.target = target_info[id].name, .attrs = &off, .nattrs = 1));
			emit_quietly(p, &m, off);
			/* Lengths need vectors. */
			if (strncmp(f->name, "zvl", 3) == 0)
				continue;
			m = resolve(R(.target = target_info[id].name, .attrs = &on, .nattrs = 1));
			emit_quietly(p, &m, on);
		}
}
END_TEST

START_TEST(llvm_knows_every_floating_point_unit)
{
	static const char *const targets[] = {"armv7em", "armv8m.main", "armv8.1m.main", "armv7a",
	                                      "armv8a"};
	static const char *const units[] = {
#define FPU(name, profiles, isa, features) name,
#include "codegen/target/fpus.def"
	};
	Program *p = small_program();
	int fitting = 0;

	for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
		for (size_t k = 0; k < sizeof units / sizeof *units; k++) {
			TargetRequest r = R(.target = targets[i], .fpu = units[k], .float_abi = "hard");
			Machine m;

			diag_init(&diag, arena);
			if (!target_resolve(arena, &r, &m, &diag))
				continue;
			fitting++;
			emit_quietly(p, &m, units[k]);
		}
	ck_assert_int_ge(fitting, 25);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("target");
	TCase *tc = tcase_create("resolve"), *llvm = tcase_create("llvm");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, flags_of_a_firmware_build_name_the_target);
	tcase_add_test(tc, names_triples_and_levels_are_targets);
	tcase_add_test(tc, c_needs_no_llvm_that_knows_the_target);
	tcase_add_test(tc, extensions_follow_the_cpu);
	tcase_add_test(tc, what_cannot_be_says_what_could);
	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(llvm, setup, teardown);
	tcase_set_timeout(llvm, 500);
	if (llvm_major_version()) {
		tcase_add_test(llvm, llvm_knows_every_cpu);
		tcase_add_test(llvm, llvm_knows_every_feature);
		tcase_add_test(llvm, llvm_knows_every_floating_point_unit);
	}
	suite_add_tcase(s, llvm);
	return unit_run(s);
}
