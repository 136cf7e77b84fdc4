#include "codegen/target/arm_products.h"

#include <string.h>

#include "ir/loop/linear.h"
#include "ir/target.h"

enum {
	FEW_PRODUCTS = 8,       /* or sums of values: fewer are not worth it */
	LEAST_TEMPS = 3,
	LEAST_OFFSET = -255, MOST_OFFSET = 4095 /* bytes that a load adds to its base */
};

/* ITEM_STORE is of a sum, ITEM_PUT of a value; ITEM_SUM makes a value of one or two. */
typedef enum {
	ITEM_LOAD, ITEM_EVEN, ITEM_ODD, ITEM_SUM, ITEM_DOT, ITEM_PUT, ITEM_STORE
} ItemKind;

typedef struct {
	ItemKind kind;
	bool is_done;
	int value;      /* that it makes; ITEM_DOT, ITEM_STORE: the sum; ITEM_PUT: what is stored */
	int nargs, arg[2]; /* values */
	int base;       /* of ITEM_LOAD, ITEM_PUT, ITEM_STORE, and */
	int32_t offset; /* the bytes that these add to it */
	DType elem;     /* of ITEM_LOAD: what is loaded, and widened to 32 bits */
	const char *name; /* ITEM_SUM: the instruction */
	int shift;      /* ITEM_SUM: of the last value, to the left */
} Item;

typedef struct {
	int uses;       /* that have not been seen, later that are not done */
	int conversions; /* of the uses */
	int reg;        /* temporary register; -1: none */
	int ready;      /* the cycle in which it can be read, where that is counted */
	bool is_made;
} Value;

typedef struct {
	LVar *var;
	const Stmt *zero; /* the statement of the run that declares it as 0, or NULL */
	int seen;         /* uses */
	int number;       /* of the operand */
	int left;         /* products that are not added */
	bool is_own;      /* nobody else reads it */
	bool is_set;
} Sum;

struct ArmProducts {
	Arena *arena;
	const LFunc *fn;
	bool single;    /* products of two numbers, not of two pairs */
	bool is_dual;   /* two instructions a cycle */
	int *uses;      /* by LVar.index: in the function */
	int *value;     /* by LVar.index: of the run; -1: none */
	Expr **def;     /* by LVar.index: indices that the run declares */
	int *inside;    /* by LVar.index: uses in the run but in bases */
	/* The run: */
	Item item[ARM_RUN_LENGTH];
	Value values[ARM_RUN_LENGTH];
	Sum sum[ARM_RUN_REGISTERS];
	int nitems, nvalues, nopen, nsums;
	bool has_stored;
	Linear form[ARM_RUN_BASES]; /* of the bases */
};

/* ---- Uses ---- */

static void
count_uses(int *uses, const Expr *e, int by)
{
	if (e->kind == E_VAR)
		uses[e->u.var->index] += by;
	for (int i = 0; i < e->nargs; i++)
		count_uses(uses, e->arg[i], by);
}

/* Those in the statements before `past`. */
static void
count_block(int *uses, const Stmt *s, const Stmt *past)
{
	for (; s != past; s = s->next) {
		const Expr *const parts[] = {s->lo, s->hi, s->cond, s->value, s->index};

		for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
			if (parts[i])
				count_uses(uses, parts[i], 1);
		count_block(uses, s->body, NULL);
		count_block(uses, s->other, NULL);
	}
}

ArmProducts *
arm_products_new(Arena *a, const LFunc *fn, unsigned isa)
{
	ArmProducts *p;

	if (!(isa & (ISA_ARM_SINGLE | ISA_ARM_DUAL | ISA_ARM_MLA)))
		return NULL;
	p = arena_alloc(a, sizeof *p);
	p->arena = a;
	p->fn = fn;
	p->single = isa & ISA_ARM_MLA;
	p->is_dual = isa & ISA_ARM_DUAL;
	p->uses = ARENA_ARRAY(a, int, fn->vars.n);
	p->value = ARENA_ARRAY(a, int, fn->vars.n);
	p->def = ARENA_ARRAY(a, Expr *, fn->vars.n);
	p->inside = ARENA_ARRAY(a, int, fn->vars.n);
	count_block(p->uses, fn->body, NULL);
	return p;
}

/* ---- What a run consists of ---- */

static int
value_of(const ArmProducts *p, const Expr *e)
{
	return e->kind == E_VAR ? p->value[e->u.var->index] : -1;
}

static Item *
new_item(ArmProducts *p, ItemKind kind, int value)
{
	Item *item = &p->item[p->nitems++];

	*item = (Item){.kind = kind, .value = value};
	return item;
}

static void
new_access(ArmProducts *p, ItemKind kind, int value, int base, int32_t offset)
{
	Item *item = new_item(p, kind, value);

	item->base = base;
	item->offset = offset;
}

/* A value for a variable; all its uses have to be in the run. */
static int
new_value(ArmProducts *p, const LVar *v)
{
	p->values[p->nvalues] = (Value){.uses = p->uses[v->index], .reg = -1};
	p->value[v->index] = p->nvalues;
	p->nopen++;
	return p->nvalues++;
}

static void
use(ArmProducts *p, Item *item, int value)
{
	item->arg[item->nargs++] = value;
	if (--p->values[value].uses == 0)
		p->nopen--;
	p->values[value].conversions += item->kind == ITEM_EVEN || item->kind == ITEM_ODD;
}

static bool
same_terms(const Linear *x, const Linear *y)
{
	for (int i = 0; i < x->n; i++) {
		bool found = false;

		for (int k = 0; k < y->n; k++)
			found |= x->c[i] == y->c[k] && expr_equal(x->atom[i], y->atom[k]);
		if (!found)
			return false;
	}
	return x->n == y->n;
}

/* The base that a load can use, with the bytes that it has to add; -1: too many. */
static int
base_of(ArmProducts *p, ArmRun *run, LBuf *buf, Expr *index, int32_t *offset)
{
	Linear form = {0};
	int64_t bytes = dtype_info[buf->elem].bytes;

	if (!linear_add(&form, index, 1, p->def))
		return -1;
	*offset = 0;
	for (int i = 0; i < run->nbases; i++) {
		int64_t more = (form.k - p->form[i].k) * bytes;

		if (run->base[i].buf != buf || !same_terms(&form, &p->form[i]) ||
		    more < LEAST_OFFSET || more > MOST_OFFSET)
			continue;
		*offset = (int32_t)more;
		return i;
	}
	if (run->nbases == ARM_RUN_BASES)
		return -1;
	p->form[run->nbases] = form;
	run->base[run->nbases] = (ArmBase){buf, index};
	return run->nbases++;
}

static bool
has_registers(const ArmProducts *p, const ArmRun *run)
{
	return p->nsums + run->nbases + LEAST_TEMPS <= ARM_RUN_REGISTERS;
}

static bool
is_pure_index(const Expr *e)
{
	if (e->kind != E_CONST && e->kind != E_VAR && e->kind != E_KOP)
		return false;
	for (int i = 0; i < e->nargs; i++)
		if (!is_pure_index(e->arg[i]))
			return false;
	return e->kind != E_VAR || e->u.var->is_const;
}

/* The load that a value is, of a word or of an element that is widened to one; NULL: none.
 * `elem` is what the instruction loads. */
static const Expr *
load_of(const ArmProducts *p, const Expr *e, DType *elem)
{
	if (e->type != DT_I32 || e->lanes)
		return NULL;
	*elem = DT_I32;
	if (e->kind == E_LOAD)
		return e->u.buf->elem == DT_I32 || (e->u.buf->elem == DT_I8 && !p->single) ? e : NULL;
	if (!p->single || e->kind != E_CVT || e->arg[0]->kind != E_LOAD)
		return NULL;
	e = e->arg[0];
	*elem = e->type;
	return e->type == DT_I8 || e->type == DT_U8 || e->type == DT_I16 ? e : NULL;
}

static bool
add_load(ArmProducts *p, ArmRun *run, const Stmt *s)
{
	DType elem;
	const Expr *e = load_of(p, s->value, &elem);
	int32_t offset;
	int base;

	if (!e)
		return false;
	base = base_of(p, run, e->u.buf, e->arg[0], &offset);
	if (base < 0 || !has_registers(p, run))
		return false;
	run->is_unaligned |= e->u.buf->elem != elem;
	new_access(p, ITEM_LOAD, new_value(p, s->var), base, offset);
	p->item[p->nitems - 1].elem = elem;
	return true;
}

/* The number of a sum; -1: too many. */
static int
sum_of(ArmProducts *p, const ArmRun *run, LVar *v)
{
	for (int i = 0; i < p->nsums; i++)
		if (p->sum[i].var == v)
			return i;
	if (p->nsums + run->nbases + LEAST_TEMPS >= ARM_RUN_REGISTERS)
		return -1;
	p->sum[p->nsums] = (Sum){.var = v};
	return p->nsums++;
}

/* A sum that starts with 0. */
static bool
is_zero_sum(const Stmt *s)
{
	return s->kind == S_VAR && !s->var->is_const && s->var->type == DT_I32 &&
	       !s->var->lanes && s->value->kind == E_CONST && s->value->u.i == 0;
}

static bool
add_zero(ArmProducts *p, const ArmRun *run, const Stmt *s)
{
	int before = p->nsums, sum = sum_of(p, run, s->var);

	if (sum < before)
		return false;
	p->sum[sum].zero = s;
	return true;
}

/* Takes apart e = x << n; n = 0: just x.  Values of x are of the run, else -1. */
static int
shifted_value(const ArmProducts *p, const Expr *e, int *n)
{
	*n = 0;
	if (e->kind != E_KOP || e->op != KOP_SHL || e->arg[1]->kind != E_CONST)
		return value_of(p, e);
	*n = (int)e->arg[1]->u.i;
	return value_of(p, e->arg[0]);
}

/* A value from others by one instruction; `name` is NULL where there is none. */
static Item
sum_item(const ArmProducts *p, const Expr *e)
{
	Item item = {.kind = ITEM_SUM, .nargs = 2};
	bool is_sub = e->kind == E_KOP && e->op == KOP_SUB;
	int shift[2] = {0, 0};

	if (e->kind == E_PACKED && (e->u.pop == POP_ADD2 || e->u.pop == POP_SUB2)) {
		item.arg[0] = value_of(p, e->arg[0]);
		item.arg[1] = value_of(p, e->arg[1]);
		item.name = e->u.pop == POP_ADD2 ? "sadd16" : "ssub16";
	} else if (e->kind == E_KOP && e->type == DT_I32 && (is_sub || e->op == KOP_ADD)) {
		for (int i = 0; i < 2; i++)
			item.arg[i] = shifted_value(p, e->arg[i], &shift[i]);
		item.name = is_sub ? "sub" : "add";
	} else if (e->kind == E_KOP && e->type == DT_I32 && e->op == KOP_SHL) {
		item.arg[0] = item.arg[1] = shifted_value(p, e, &item.shift);
		item.nargs = 1;
		item.name = item.shift > 0 ? "lsl" : NULL;
	}
	if (shift[0] > 0) {
		int first = item.arg[0];

		item.arg[0] = item.arg[1];
		item.arg[1] = first;
		item.name = shift[1] > 0 ? NULL : is_sub ? "rsb" : "add";
	}
	item.shift += shift[0] + shift[1];
	if (item.arg[0] < 0 || item.arg[1] < 0)
		item.name = NULL;
	return item;
}

static bool
add_sum(ArmProducts *p, const Stmt *s)
{
	Item made = sum_item(p, s->value), *item;

	if (!made.name || s->var->type != DT_I32)
		return false;
	item = new_item(p, ITEM_SUM, new_value(p, s->var));
	item->name = made.name;
	item->shift = made.shift;
	for (int i = 0; i < made.nargs; i++)
		use(p, item, made.arg[i]);
	return true;
}

static bool
add_var(ArmProducts *p, ArmRun *run, const Stmt *s)
{
	const Expr *e = s->value;
	bool even = e->kind == E_PACKED && e->u.pop == POP_EVEN8;
	int from;

	if (p->has_stored || s->var->lanes || e->lanes)
		return false;
	if (is_zero_sum(s))
		return add_zero(p, run, s);
	if (!s->var->is_const)
		return false;
	if (s->var->type == DT_IDX && is_pure_index(e)) {
		p->def[s->var->index] = s->value;
		VEC_PUSH(p->arena, &run->lets, s);
		return true;
	}
	if (p->uses[s->var->index] == 0)
		return false;
	if (e->kind == E_LOAD || e->kind == E_CVT)
		return add_load(p, run, s);
	if (p->single || (!even && (e->kind != E_PACKED || e->u.pop != POP_ODD8)))
		return add_sum(p, s);
	from = value_of(p, e->arg[0]);
	if (from < 0)
		return false;
	use(p, new_item(p, even ? ITEM_EVEN : ITEM_ODD, new_value(p, s->var)), from);
	return true;
}

static bool
is_var(const Expr *e, const LVar *v)
{
	return e->kind == E_VAR && e->u.var == v;
}

static bool
is_kop(const Expr *e, KOp op)
{
	return e->kind == E_KOP && e->op == op && e->type == DT_I32 && !e->lanes;
}

/* Whether v becomes what it was and a product, kept, or only what it was, kept (both factors
 * are NULL then). */
static bool
read_set(const ArmProducts *p, const Expr *e, const LVar *v, const Expr *factor[2])
{
	factor[0] = factor[1] = NULL;
	if (e->kind != E_PACKED || e->lanes)
		return false;
	if (e->u.pop == POP_KEEP && is_var(e->arg[0], v))
		return true;
	if (e->u.pop == POP_DOT2 && !p->single && is_var(e->arg[2], v)) {
		factor[0] = e->arg[0];
		factor[1] = e->arg[1];
		return true;
	}
	if (e->u.pop != POP_KEEP || !p->single || !is_kop(e->arg[0], KOP_ADD))
		return false;
	e = e->arg[0];
	if (!is_var(e->arg[0], v) || !is_kop(e->arg[1], KOP_MUL))
		return false;
	factor[0] = e->arg[1]->arg[0];
	factor[1] = e->arg[1]->arg[1];
	return true;
}

static bool
add_set(ArmProducts *p, ArmRun *run, const Stmt *s)
{
	const Expr *factor[2];
	int x, w, sum;
	Item *item;

	if (!read_set(p, s->value, s->var, factor))
		return false;
	sum = sum_of(p, run, s->var);
	if (sum < 0 || p->has_stored)
		return false;
	p->sum[sum].seen++;
	if (!factor[0])
		return true;
	x = value_of(p, factor[0]);
	w = value_of(p, factor[1]);
	if (x < 0 || w < 0)
		return false;
	item = new_item(p, ITEM_DOT, sum);
	use(p, item, x);
	use(p, item, w);
	return true;
}

/* Stores come behind everything else. */
static bool
add_store(ArmProducts *p, ArmRun *run, const Stmt *s)
{
	int32_t offset;
	int sum = 0, base, value;

	if (s->value->kind != E_VAR || s->buf->elem != DT_I32)
		return false;
	value = value_of(p, s->value);
	while (sum < p->nsums && p->sum[sum].var != s->value->u.var)
		sum++;
	if (sum == p->nsums && value < 0)
		return false;
	base = base_of(p, run, s->buf, s->index, &offset);
	if (base < 0 || !has_registers(p, run))
		return false;
	p->has_stored = true;
	if (value >= 0) {
		new_access(p, ITEM_PUT, value, base, offset);
		use(p, &p->item[p->nitems - 1], value);
		return true;
	}
	p->sum[sum].seen++;
	new_access(p, ITEM_STORE, sum, base, offset);
	return true;
}

static bool
add_stmt(ArmProducts *p, ArmRun *run, const Stmt *s)
{
	switch ((int)s->kind) {
	case S_VAR: return add_var(p, run, s);
	case S_SET: return add_set(p, run, s);
	case S_STORE: return add_store(p, run, s);
	default: return false;
	}
}

/* What a run was when nothing that it had loaded was still wanted. */
typedef struct {
	const Stmt *past;
	int nitems, nsums, nbases, nlets;
	int seen[ARM_RUN_REGISTERS]; /* of the sums */
} Mark;

/* The longest run from s on. */
static Mark
gather(ArmProducts *p, ArmRun *run, const Stmt *s)
{
	Mark mark = {0};

	p->nitems = p->nvalues = p->nopen = p->nsums = 0;
	p->has_stored = false;
	memset(p->def, 0, (size_t)p->fn->vars.n * sizeof *p->def);
	for (int i = 0; i < p->fn->vars.n; i++)
		p->value[i] = -1;
	for (; s && p->nitems < ARM_RUN_LENGTH && add_stmt(p, run, s); s = s->next) {
		if (s->kind == S_VAR || p->nopen != 0)
			continue;
		mark = (Mark){s->next, p->nitems, p->nsums, run->nbases, run->lets.n, {0}};
		for (int i = 0; i < p->nsums; i++)
			mark.seen[i] = p->sum[i].seen;
	}
	return mark;
}

/* Which sums are the run's own, and the numbers of all; false where one of those that start
 * with 0 gets no product. */
static bool
number_sums(ArmProducts *p, ArmRun *run, const Mark *mark)
{
	int own = 0;

	p->nsums = mark->nsums;
	for (int i = 0; i < p->nsums; i++) {
		Sum *sum = &p->sum[i];

		sum->is_own = sum->zero && mark->seen[i] == p->uses[sum->var->index];
		sum->is_set = !sum->is_own;
		own += sum->is_own;
		if (sum->zero && !sum->is_own)
			VEC_PUSH(p->arena, &run->lets, sum->zero);
		if (!sum->is_own) {
			sum->number = run->nsums;
			run->sum[run->nsums++] = sum->var;
		}
	}
	for (int i = p->nsums, number = p->nsums; i-- > 0;)
		if (p->sum[i].is_own)
			p->sum[i].number = --number;
	for (int i = 0; i < p->nitems && own > 0; i++)
		if (p->item[i].kind == ITEM_DOT && !p->sum[p->item[i].value].is_set) {
			p->sum[p->item[i].value].is_set = true;
			own--;
		}
	return own == 0;
}

/* ---- Instructions ---- */

typedef struct {
	ArmProducts *p;
	ArmRun *run;
	bool is_taken[ARM_RUN_REGISTERS]; /* temporary registers */
	int free;
	int used;       /* of them, so far */
	int first_load; /* items before are no loads that are not done */
	int first;      /* items before are done */
	int reserve;    /* registers that loads leave free */
	int cycle;      /* where cycles are counted */
} Schedule;

static int
take_register(Schedule *c)
{
	int r = 0;

	while (c->is_taken[r])
		r++;
	c->is_taken[r] = true;
	c->free--;
	c->used = r < c->used ? c->used : r + 1;
	return r;
}

static void
drop_use(Schedule *c, int value)
{
	Value *v = &c->p->values[value];

	if (--v->uses > 0)
		return;
	c->is_taken[v->reg] = false;
	c->free++;
}

static int
operand(const Schedule *c, int value)
{
	return c->p->nsums + c->p->values[value].reg;
}

static void
put_offset(Schedule *c, const Item *item)
{
	if (item->offset)
		str_printf(&c->run->text, ",#%d", (int)item->offset);
	str_puts(&c->run->text, "]\n");
}

static const char *
load_name(DType elem)
{
	switch ((int)elem) {
	case DT_I8: return "ldrsb";
	case DT_U8: return "ldrb";
	case DT_I16: return "ldrsh";
	default: return "ldr";
	}
}

static void
put_load(Schedule *c, Item *item)
{
	Value *v = &c->p->values[item->value];

	v->reg = take_register(c);
	v->ready = c->cycle + 2;
	v->is_made = item->is_done = true;
	str_printf(&c->run->text, "%s %%%d,[%%%d", load_name(item->elem), operand(c, item->value),
	           c->run->nsums + c->run->ntemps + item->base);
	put_offset(c, item);
}

/* The result may take the register of an operand that is done with. */
static void
put_conversion(Schedule *c, Item *item)
{
	Value *v = &c->p->values[item->value];
	int from = operand(c, item->arg[0]);

	drop_use(c, item->arg[0]);
	v->reg = take_register(c);
	v->ready = c->cycle + 1;
	v->is_made = item->is_done = true;
	str_printf(&c->run->text, "sxtb16 %%%d,%%%d%s\n", operand(c, item->value), from,
	           item->kind == ITEM_ODD ? ",ror #8" : "");
}

static void
put_sum(Schedule *c, Item *item)
{
	Value *v = &c->p->values[item->value];
	int from[2] = {0, 0};

	for (int i = 0; i < item->nargs; i++)
		from[i] = operand(c, item->arg[i]);
	for (int i = 0; i < item->nargs; i++)
		drop_use(c, item->arg[i]);
	v->reg = take_register(c);
	v->ready = c->cycle + 1;
	v->is_made = item->is_done = true;
	str_printf(&c->run->text, "%s %%%d,%%%d", item->name, operand(c, item->value), from[0]);
	if (item->nargs == 1) {
		str_printf(&c->run->text, ",#%d\n", item->shift);
		return;
	}
	str_printf(&c->run->text, ",%%%d", from[1]);
	if (item->shift)
		str_printf(&c->run->text, ",lsl #%d", item->shift);
	str_putc(&c->run->text, '\n');
}

static void
put_value(Schedule *c, Item *item)
{
	str_printf(&c->run->text, "str %%%d,[%%%d", operand(c, item->value),
	           c->run->nsums + c->run->ntemps + item->base);
	put_offset(c, item);
	item->is_done = true;
	drop_use(c, item->value);
}

static void
put_dot(Schedule *c, Item *item)
{
	static const char *const name[2][2] = {{"smuad", "smlad"}, {"mul", "mla"}};
	Sum *sum = &c->p->sum[item->value];

	str_printf(&c->run->text, "%s %%%d,%%%d,%%%d", name[c->p->single][sum->is_set],
	           sum->number, operand(c, item->arg[0]), operand(c, item->arg[1]));
	if (sum->is_set)
		str_printf(&c->run->text, ",%%%d", sum->number);
	str_putc(&c->run->text, '\n');
	item->is_done = sum->is_set = true;
	sum->left--;
	drop_use(c, item->arg[0]);
	drop_use(c, item->arg[1]);
}

/* Whether all has been loaded that a store could write over. */
static bool
may_be_stored(const Schedule *c, const Item *item)
{
	for (const Item *i = c->p->item + c->first_load; i < item; i++)
		if (i->kind == ITEM_LOAD && !i->is_done &&
		    c->run->base[i->base].buf == c->run->base[item->base].buf)
			return false;
	return true;
}

static bool
is_ready(const Schedule *c, const Item *item)
{
	const Value *v = c->p->values;
	bool has_room = c->free > 0;

	if (item->is_done || item->kind == ITEM_LOAD || item->kind == ITEM_STORE)
		return false;
	for (int i = 0; i < item->nargs; i++) {
		if (!v[item->arg[i]].is_made)
			return false;
		has_room |= v[item->arg[i]].uses == 1;
	}
	if (item->kind == ITEM_PUT)
		return may_be_stored(c, item);
	return item->kind == ITEM_DOT || has_room;
}

/* A product that can be added or a value that can be stored, else one that can be made;
 * NULL: none. */
static Item *
ready_item(Schedule *c)
{
	enum { AHEAD = 64 };
	ArmProducts *p = c->p;
	Item *found = NULL;

	while (c->first < p->nitems && p->item[c->first].is_done)
		c->first++;
	for (int i = c->first; i < p->nitems && i < c->first + AHEAD; i++) {
		Item *item = &p->item[i];

		if (!is_ready(c, item))
			continue;
		if (item->kind == ITEM_DOT || item->kind == ITEM_PUT)
			return item;
		found = found ? found : item;
	}
	return found;
}

/* As many loads as there are registers; false: none. */
static bool
put_loads(Schedule *c)
{
	ArmProducts *p = c->p;
	bool any = false;

	for (; c->first_load < p->nitems; c->first_load++) {
		Item *item = &p->item[c->first_load];

		if (item->kind != ITEM_LOAD || item->is_done)
			continue;
		if (c->free <= c->reserve)
			break;
		put_load(c, item);
		any = true;
	}
	return any;
}

static void
put_store(Schedule *c, Item *item)
{
	str_printf(&c->run->text, "str %%%d,[%%%d", c->p->sum[item->value].number,
	           c->run->nsums + c->run->ntemps + item->base);
	put_offset(c, item);
	item->is_done = true;
}

static void
put_item(Schedule *c, Item *item)
{
	switch (item->kind) {
	case ITEM_EVEN:
	case ITEM_ODD: put_conversion(c, item); break;
	case ITEM_SUM: put_sum(c, item); break;
	case ITEM_DOT: put_dot(c, item); break;
	case ITEM_PUT: put_value(c, item); break;
	case ITEM_LOAD: put_load(c, item); break;
	case ITEM_STORE: put_store(c, item); break;
	}
}

/* ---- One instruction at a time ---- */

/* Loads side by side whenever there is nothing else to do; false: registers do not suffice. */
static bool
put_in_order(Schedule *c, int nworks)
{
	for (;;) {
		Item *item = ready_item(c);

		if (item)
			put_item(c, item);
		else if (c->first == nworks)
			return true;
		else if (!put_loads(c))
			return false;
	}
}

/* ---- Two instructions a cycle ---- */

/* Of two instructions in a cycle both are of different units, or the first one is of any.
 * UNIT_FIRST: never the second one. */
typedef enum { UNIT_ANY, UNIT_PRODUCT, UNIT_SHIFT, UNIT_FIRST, UNIT_LOAD, UNIT_STORE } Unit;

static Unit
unit_of(const Item *item)
{
	switch (item->kind) {
	case ITEM_LOAD: return UNIT_LOAD;
	case ITEM_EVEN:
	case ITEM_ODD: return UNIT_SHIFT;
	case ITEM_SUM:
		return item->name[0] == 's' && item->name[1] != 'u' ? UNIT_FIRST
		       : item->nargs > 1 && item->shift             ? UNIT_SHIFT
		                                                    : UNIT_ANY;
	case ITEM_DOT: return UNIT_PRODUCT;
	case ITEM_PUT:
	case ITEM_STORE: break;
	}
	return UNIT_STORE;
}

/* Loads pair when their words are in different banks. */
static bool
can_pair(const Item *first, const Item *second)
{
	Unit older = unit_of(first), younger = unit_of(second);

	if (younger == UNIT_FIRST)
		return false;
	if (older == UNIT_LOAD && younger == UNIT_LOAD)
		return (first->offset ^ second->offset) & 4;
	return older != younger || older == UNIT_ANY;
}

static Item *
next_load(Schedule *c)
{
	ArmProducts *p = c->p;

	while (c->first_load < p->nitems && (p->item[c->first_load].kind != ITEM_LOAD ||
	                                     p->item[c->first_load].is_done))
		c->first_load++;
	return c->first_load < p->nitems && c->free > c->reserve ? &p->item[c->first_load] : NULL;
}

/* Shifted values are read a cycle early, stored ones late. */
static bool
is_in_time(const Schedule *c, const Item *item)
{
	bool is_early = item->kind == ITEM_SUM && item->nargs > 1 && item->shift;
	int now = c->cycle + (item->kind == ITEM_PUT ? 1 : 0);

	for (int i = 0; i < item->nargs; i++)
		if (c->p->values[item->arg[i]].ready + (is_early && i == 1 ? 1 : 0) > now)
			return false;
	return true;
}

/* A sum that is complete, when nothing is loaded any more. */
static bool
may_store_sum(const Schedule *c, const Item *item)
{
	return item->kind == ITEM_STORE && !item->is_done && c->first_load == c->p->nitems &&
	       c->p->sum[item->value].left == 0;
}

/* The next product, store or other item but a load that can start in this cycle, beside
 * `first` if there is one; NULL: none. */
static Item *
item_in_time(Schedule *c, const Item *first)
{
	enum { AHEAD = 64 };
	ArmProducts *p = c->p;
	Item *found = NULL;

	while (c->first < p->nitems && p->item[c->first].is_done)
		c->first++;
	for (int i = c->first; i < p->nitems && i < c->first + AHEAD; i++) {
		Item *item = &p->item[i];

		if (first && !can_pair(first, item))
			continue;
		if (!may_store_sum(c, item) && (!is_ready(c, item) || !is_in_time(c, item)))
			continue;
		if (item->kind == ITEM_DOT || item->kind == ITEM_PUT)
			return item;
		found = found ? found : item;
	}
	return found;
}

/* A load beside each product, so that values come before they are wanted; false: registers do
 * not suffice. */
static bool
put_by_twos(Schedule *c)
{
	enum { LONGEST_WAIT = 4 };
	int waited = 0;

	for (;; c->cycle++) {
		Item *first, *second;

		next_load(c);
		first = item_in_time(c, NULL);
		if (!first)
			first = next_load(c);
		if (!first && c->first == c->p->nitems)
			return true;
		waited = first ? 0 : waited + 1;
		if (waited > LONGEST_WAIT)
			return false;
		if (!first)
			continue;
		put_item(c, first);
		second = next_load(c);
		if (!second || !can_pair(first, second))
			second = item_in_time(c, first);
		if (second)
			put_item(c, second);
	}
}

/* The instructions of a run.  Its own registers; -1: those that there are do not suffice. */
static int
schedule(ArmProducts *p, ArmRun *run)
{
	Schedule c = {.p = p, .run = run, .free = ARM_RUN_REGISTERS - p->nsums - run->nbases};
	int nworks = p->nitems;
	bool is_good;

	str_init(&run->text, p->arena);
	for (int i = 0; i < p->nvalues; i++)
		p->values[i] = (Value){.reg = -1, .conversions = p->values[i].conversions};
	for (int i = 0; i < p->nsums; i++)
		p->sum[i].is_set = !p->sum[i].is_own;
	while (nworks > 0 && p->item[nworks - 1].kind == ITEM_STORE)
		nworks--;
	for (int i = 0; i < p->nitems; i++) {
		Item *item = &p->item[i];

		item->is_done = false;
		for (int k = 0; k < item->nargs; k++)
			p->values[item->arg[k]].uses++;
		if (item->kind == ITEM_SUM)
			c.reserve = 2;
		if (item->kind == ITEM_DOT)
			p->sum[item->value].left++;
	}
	for (int i = 0; i < p->nvalues && c.reserve == 0; i++)
		if (p->values[i].conversions > 1)
			c.reserve = 1;
	is_good = p->is_dual ? put_by_twos(&c) : put_in_order(&c, nworks);
	for (int i = nworks; i < p->nitems && is_good && !p->is_dual; i++)
		put_store(&c, &p->item[i]);
	return is_good ? p->nsums - run->nsums + c.used : -1;
}

/* Leaves out the declarations that only loads of the run need. */
static void
pick_lets(ArmProducts *p, ArmRun *run, const Stmt *s)
{
	int first = run->lets.n;

	memset(p->inside, 0, (size_t)p->fn->vars.n * sizeof *p->inside);
	count_block(p->inside, s, run->past);
	for (int i = 0; i < run->nbases; i++)
		count_uses(p->inside, run->base[i].index, -1);
	for (int i = run->lets.n; i-- > 0;) {
		const Stmt *let = run->lets.v[i];

		if (let->var->is_const && p->inside[let->var->index] == p->uses[let->var->index])
			continue;
		count_uses(p->inside, let->value, -1);
		run->lets.v[--first] = let;
	}
	run->lets.v += first;
	run->lets.n -= first;
}

static bool
may_start(const Stmt *s)
{
	return is_zero_sum(s) || (s->kind == S_VAR && s->var->is_const && s->value->type == DT_I32 &&
	                          (s->value->kind == E_LOAD || s->value->kind == E_CVT));
}

bool
arm_products_find(ArmProducts *p, const Stmt *s, ArmRun *out)
{
	int products = 0;
	Mark mark;

	if (!may_start(s))
		return false;
	*out = (ArmRun){0};
	mark = gather(p, out, s);
	out->past = mark.past;
	out->nbases = mark.nbases;
	out->lets.n = mark.nlets;
	p->nitems = mark.nitems;
	for (int i = 0; i < p->nitems; i++)
		products += p->item[i].kind == ITEM_DOT || p->item[i].kind == ITEM_SUM;
	if (products < FEW_PRODUCTS || !number_sums(p, out, &mark))
		return false;
	pick_lets(p, out, s);
	/* Once more when it is known how many registers there are between sums and bases. */
	out->ntemps = schedule(p, out);
	return out->ntemps >= 0 && schedule(p, out) == out->ntemps;
}
