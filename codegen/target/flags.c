/*
 * Further -m options: those of flags.def, and for x86 and WebAssembly -mNAME and
 * -mno-NAME for each of their features.
 */
#include <string.h>

#include "codegen/target/resolve.h"

static const struct {
	Family family;
	const char *name, *features;
} flags[] = {
#define FLAG(family, name, features) {FAMILY_##family, name, features},
#include "codegen/target/flags.def"
};

static bool
fits(const char *flag, const char *name)
{
	size_t n = strlen(name);

	return name[n - 1] == '=' ? strncmp(flag, name, n) == 0 : strcmp(flag, name) == 0;
}

/* What a flag asks of LLVM, as in -mattr=; NULL: the family has no such flag. */
static const char *
features_of(Arena *a, Family family, const char *flag)
{
	bool off = strncmp(flag, "no-", 3) == 0;
	const char *name = off ? flag + 3 : flag;

	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (flags[i].family == family && fits(flag, flags[i].name))
			return flags[i].features;
	if (family != FAMILY_X86 && family != FAMILY_WASM)
		return NULL;
	for (const FeatureInfo *f = feature_table; f->name; f++)
		if (f->family == family && strcmp(f->name, name) == 0)
			return arena_printf(a, "%c%s", off ? '-' : '+', name);
	return NULL;
}

bool
target_knows_flag(Arena *a, const char *flag)
{
	for (int i = 0; i < FAMILY_COUNT; i++)
		if (features_of(a, (Family)i, flag))
			return true;
	return false;
}

bool
target_apply_flags(Resolver *r)
{
	for (int i = 0; i < r->request->nflags; i++) {
		const char *flag = r->request->flags[i];
		const char *features = features_of(r->arena, target_info[r->id].family, flag);

		if (!features)
			return diag_report(r->d, NULL, E_USAGE, "'-m%s' is no option of %s", flag,
			                   target_info[r->id].name);
		if (*features && !target_apply_feature(r, features, strlen(features)))
			return false;
	}
	return true;
}
