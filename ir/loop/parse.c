/*
 * The parser of the loop IR; ir/loop/text.h describes the text form.
 *
 * It checks what is needed to build the tree: syntax, names and their scopes,
 * types.  What needs more than the place itself (bounds, missing returns, …) is
 * left to the verifier.  Reading stops at the first error.
 *
 * Nothing is simplified, so that printing gives back what was read.
 */
#include <string.h>

#include "ir/loop/lex.h"
#include "ir/loop/math.h"
#include "ir/loop/text.h"
#include "ir/num.h"

/* ---- Names ---- */

typedef struct {
	const char *name;
	LVar *var;    /* one of these */
	LBuf *buf;
	LFunc *fn;
	bool visible; /* in a block that is still open */
} Named;

/* A hash table with open addressing; `cap` is a power of two. */
typedef struct {
	Named **slot;
	size_t n, cap;
} Names;

typedef struct {
	Lexer x;
	LFuncs *out;
	Names functions;
	LFunc *fn;             /* the one that is being read */
	Names names;           /* of fn */
	VEC(Named *) visible;  /* variables in scope, innermost last */
	int depth;             /* of blocks and of nested expressions */
} Parser;

/* An expression and the height of its tree. */
typedef struct {
	Expr *e; /* NULL: failed */
	int height;
} Tree;

static const Tree failed = {NULL, 0};

static size_t
hash(const char *name)
{
	uint64_t h = 0xcbf29ce484222325;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x100000001b3;
	return (size_t)(h ^ h >> 32);
}

/* Where the name is or belongs. */
static Named **
slot_of(const Names *t, const char *name)
{
	size_t i = hash(name) & (t->cap - 1);

	while (t->slot[i] && strcmp(t->slot[i]->name, name) != 0)
		i = (i + 1) & (t->cap - 1);
	return &t->slot[i];
}

static Named *
find_name(const Names *t, const char *name)
{
	return t->cap ? *slot_of(t, name) : NULL;
}

static void
grow_names(Arena *a, Names *t)
{
	Names bigger = {.n = t->n, .cap = t->cap ? 2 * t->cap : 32};

	bigger.slot = ARENA_ARRAY(a, Named *, bigger.cap);
	for (size_t i = 0; i < t->cap; i++)
		if (t->slot[i])
			*slot_of(&bigger, t->slot[i]->name) = t->slot[i];
	*t = bigger;
}

/* Adds a name; NULL when it is taken. */
static Named *
add_name(Arena *a, Names *t, const char *name)
{
	Named **slot;

	if (2 * (t->n + 1) > t->cap)
		grow_names(a, t);
	slot = slot_of(t, name);
	if (*slot)
		return NULL;
	*slot = ARENA_NEW(a, Named);
	(*slot)->name = name;
	(*slot)->visible = true;
	t->n++;
	return *slot;
}

/* ---- Declarations ---- */

/* Skips a token of that kind and gives it. */
static bool
take(Parser *p, TokenKind kind, const char *what, Token *t)
{
	*t = p->x.tok;
	if (t->kind != kind)
		return lex_fail(&p->x, t, E_SYNTAX, "expected %s", what);
	lex_next(&p->x);
	return true;
}

static Named *
declare(Parser *p, const Token *t)
{
	Named *named = add_name(p->x.arena, &p->names, t->name);

	if (!named)
		lex_fail(&p->x, t, E_NAME, "the name '%s' is used twice in this function", t->name);
	return named;
}

static LVar *
declare_var(Parser *p, const Token *t, DType type, bool is_const)
{
	Named *named = declare(p, t);
	LVar *v;

	if (!named)
		return NULL;
	v = ARENA_NEW(p->x.arena, LVar);
	*v = (LVar){.name = t->name, .type = type, .is_const = is_const, .lo = INT32_MIN,
	            .hi = INT32_MAX, .index = p->fn->vars.n};
	VEC_PUSH(p->x.arena, &p->fn->vars, v);
	VEC_PUSH(p->x.arena, &p->visible, named);
	named->var = v;
	return v;
}

/* Closes the scope that began when so many variables were visible. */
static void
close_scope(Parser *p, int n)
{
	while (p->visible.n > n)
		p->visible.v[--p->visible.n]->visible = false;
}

/* What the token names, if it can be used here. */
static Named *
lookup(Parser *p, const Token *t)
{
	Named *named = find_name(&p->names, t->name);

	if (named && named->visible)
		return named;
	lex_fail(&p->x, t, E_NAME, "%s '%s'",
	         named ? "outside of the block that declares" : "nothing is called", t->name);
	return NULL;
}

/* ---- Expressions ---- */

static Tree parse_expr(Parser *p);
static Tree parse_binary(Parser *p, int least);

/* One level deeper; the caller takes it back. */
static bool
descend(Parser *p, const Token *at)
{
	if (++p->depth <= TEXT_MAX_DEPTH)
		return true;
	return lex_fail(&p->x, at, E_SIZE, "nested too deeply");
}

static const char *
type_name(DType t)
{
	return dtype_info[t].name;
}

static Tree
make(Parser *p, const Token *at, ExprKind kind, DType type, int nargs, const Tree *arg)
{
	Tree t = {.e = ARENA_NEW(p->x.arena, Expr), .height = 1};

	t.e->kind = kind;
	t.e->type = type;
	t.e->nargs = nargs;
	/* The last argument of all operations is a vector where the result is. */
	if (nargs > 0 && kind != E_LOAD && kind != E_SPLAT)
		t.e->lanes = arg[nargs - 1].e->lanes;
	for (int i = 0; i < nargs; i++) {
		t.e->arg[i] = arg[i].e;
		if (arg[i].height >= t.height)
			t.height = arg[i].height + 1;
	}
	if (t.height > TEXT_MAX_DEPTH) {
		lex_fail(&p->x, at, E_SIZE, "nested too deeply");
		return failed;
	}
	return t;
}

static bool
has_type(Parser *p, const Token *at, const Expr *e, DType want)
{
	if (e->type == want)
		return true;
	return lex_fail(&p->x, at, E_TYPE, "this is %s where %s is needed", type_name(e->type),
	                type_name(want));
}

static Tree
make_kop(Parser *p, const Token *at, KOp op, const Tree *arg)
{
	const KOpInfo *info = &kop_info[op];
	const char *name = info->infix ? info->infix : info->name;
	DType type = arg[0].e->type;
	Tree t;

	if (info->arity == 2 && arg[1].e->type != type) {
		lex_fail(&p->x, at, E_TYPE, "'%s' of %s and %s", name, type_name(type),
		         type_name(arg[1].e->type));
		return failed;
	}
	if (!(info->operands >> type & 1)) {
		lex_fail(&p->x, at, E_TYPE, "'%s' of %s", name, type_name(type));
		return failed;
	}
	t = make(p, at, E_KOP, info->to_bool ? DT_BOOL : type, info->arity, arg);
	if (t.e)
		t.e->op = op;
	return t;
}

/* Reads "(expr, …)" of `n` expressions, or of at most MAX_CALL_ARGS when `n` is
 * -1.  Gives how many there are, -1 after an error. */
static int
parse_args(Parser *p, int n, Tree *arg)
{
	Token at = p->x.tok;
	int found = 0;

	if (!lex_expect(&p->x, "("))
		return -1;
	while (!lex_is(&p->x, ")")) {
		if (found == MAX_CALL_ARGS || found == n)
			return lex_fail(&p->x, &p->x.tok, E_ARITY, "too many arguments"), -1;
		if (found && !lex_expect(&p->x, ","))
			return -1;
		arg[found] = parse_expr(p);
		if (!arg[found++].e)
			return -1;
	}
	if (found < n)
		return lex_fail(&p->x, &at, E_ARITY, "%d arguments are needed", n), -1;
	lex_next(&p->x);
	return found;
}

static LFunc *
find_function(Parser *p, const Token *t)
{
	const char *name =
		t->kind == T_FUNC ? t->name : arena_strndup(p->x.arena, t->s, t->n);
	const Named *named = find_name(&p->functions, name);
	LFunc *f = named ? named->fn : math_find_full(name, strlen(name));

	if (!f)
		lex_fail(&p->x, t, E_NAME, "there is no function '%s' above", name);
	else if (!lfunc_is_scalar(f))
		lex_fail(&p->x, t, E_TYPE, "'%s' is a kernel; it has no value", name);
	else
		return f;
	return NULL;
}

static Tree
parse_call(Parser *p)
{
	Token at = p->x.tok;
	LFunc *f = find_function(p, &at);
	Tree arg[MAX_CALL_ARGS], t;

	if (!f)
		return failed;
	lex_next(&p->x);
	if (parse_args(p, f->params.n, arg) < 0)
		return failed;
	for (int i = 0; i < f->params.n; i++)
		if (!has_type(p, &at, arg[i].e, f->params.v[i]->type))
			return failed;
	t = make(p, &at, E_CALL, f->result, f->params.n, arg);
	if (t.e)
		t.e->u.callee = f;
	return t;
}

static Tree
parse_select(Parser *p)
{
	Token at = p->x.tok;
	Tree arg[MAX_CALL_ARGS];

	lex_next(&p->x);
	if (parse_args(p, 3, arg) < 0 || !has_type(p, &at, arg[0].e, DT_BOOL) ||
	    !has_type(p, &at, arg[2].e, arg[1].e->type))
		return failed;
	return make(p, &at, E_SELECT, arg[1].e->type, 3, arg);
}

/* cvt.TYPE(x) or bits.TYPE(x). */
static Tree
parse_conversion(Parser *p, ExprKind kind)
{
	Token at = p->x.tok;
	size_t prefix = kind == E_CVT ? 4 : 5;
	DType to = dtype_find(at.s + prefix, at.n - prefix), from;
	Tree arg[MAX_CALL_ARGS];

	if (to == DT_COUNT) {
		lex_fail(&p->x, &at, E_TYPE, "unknown element type");
		return failed;
	}
	lex_next(&p->x);
	if (parse_args(p, 1, arg) < 0)
		return failed;
	from = arg[0].e->type;
	if (kind == E_BITS && (dtype_info[from].bytes != dtype_info[to].bytes ||
	                       dtype_info[to].bytes < 4 || from == DT_IDX || to == DT_IDX)) {
		lex_fail(&p->x, &at, E_TYPE, "the bits of %s are not those of %s", type_name(from),
		         type_name(to));
		return failed;
	}
	return make(p, &at, kind, to, 1, arg);
}

/* wide(load) */
static Tree
parse_wide(Parser *p)
{
	Token at = p->x.tok;
	Tree arg[MAX_CALL_ARGS];

	lex_next(&p->x);
	if (parse_args(p, 1, arg) < 0)
		return failed;
	if (arg[0].e->kind != E_LOAD || !dtype_has_wide_load(arg[0].e->type)) {
		lex_fail(&p->x, &at, E_TYPE, "'wide' needs a load of i8, u8 or i16");
		return failed;
	}
	arg[0].e->type = DT_I32;
	return arg[0];
}

/* splat.LANES(x) */
static Tree
parse_splat(Parser *p)
{
	Token at = p->x.tok;
	Tree arg[MAX_CALL_ARGS], t;
	int lanes;

	if (!lex_lanes(&p->x, &at, 6, &lanes))
		return failed;
	lex_next(&p->x);
	if (parse_args(p, 1, arg) < 0)
		return failed;
	t = make(p, &at, E_SPLAT, arg[0].e->type, 1, arg);
	if (t.e)
		t.e->lanes = lanes;
	return t;
}

/* dot(sum, load, load) */
static Tree
parse_dot(Parser *p)
{
	Token at = p->x.tok;
	Tree arg[MAX_CALL_ARGS];

	lex_next(&p->x);
	if (parse_args(p, 3, arg) < 0 || !has_type(p, &at, arg[0].e, DT_I32))
		return failed;
	for (int i = 1; i <= 2; i++)
		if (arg[i].e->kind != E_LOAD || load_elements_of_lane(arg[i].e) > 1 ||
		    (arg[i].e->type != DT_I8 && (i == 2 || arg[i].e->type != DT_I32))) {
			lex_fail(&p->x, &at, E_TYPE, "'dot' needs two loads of i8");
			return failed;
		}
	return make(p, &at, E_DOT, DT_I32, 3, arg);
}

static Tree
make_packed(Parser *p, const Token *at, POp op, const Tree *arg)
{
	const POpInfo *info = &pop_info[op];
	Tree t;

	for (int i = 0; i < info->nargs; i++)
		if (!has_type(p, at, arg[i].e, info->arg[i]))
			return failed;
	t = make(p, at, E_PACKED, info->result, info->nargs, arg);
	if (t.e)
		t.e->u.pop = op;
	return t;
}

static Tree
parse_function_op(Parser *p)
{
	Token at = p->x.tok;
	Tree arg[MAX_CALL_ARGS];

	for (int i = 0; i < POP_COUNT; i++) {
		if (!lex_is(&p->x, pop_info[i].name))
			continue;
		lex_next(&p->x);
		if (parse_args(p, pop_info[i].nargs, arg) < 0)
			return failed;
		return make_packed(p, &at, (POp)i, arg);
	}
	for (int i = 0; i < KOP_COUNT; i++) {
		if (kop_info[i].infix || !lex_is(&p->x, kop_info[i].name))
			continue;
		lex_next(&p->x);
		if (parse_args(p, kop_info[i].arity, arg) < 0)
			return failed;
		return make_kop(p, &at, (KOp)i, arg);
	}
	return parse_call(p);
}

static bool
starts_with(const Token *t, const char *prefix)
{
	return t->n > strlen(prefix) && memcmp(t->s, prefix, strlen(prefix)) == 0;
}

static Tree
parse_word(Parser *p)
{
	if (lex_is(&p->x, "select"))
		return parse_select(p);
	if (lex_is(&p->x, "wide"))
		return parse_wide(p);
	if (lex_is(&p->x, "dot"))
		return parse_dot(p);
	if (starts_with(&p->x.tok, "splat."))
		return parse_splat(p);
	if (starts_with(&p->x.tok, "cvt."))
		return parse_conversion(p, E_CVT);
	if (starts_with(&p->x.tok, "bits."))
		return parse_conversion(p, E_BITS);
	return parse_function_op(p);
}

/* [index], or of a vector [index, lanes]. */
static bool
parse_index(Parser *p, Tree *index, int *lanes)
{
	Token at;

	*lanes = 0;
	if (!lex_expect(&p->x, "["))
		return false;
	at = p->x.tok;
	*index = parse_expr(p);
	if (!index->e || !has_type(p, &at, index->e, DT_IDX))
		return false;
	if (lex_accept(&p->x, ",")) {
		at = p->x.tok;
		if (!take(p, T_NUMBER, "a number of lanes", &at) ||
		    !lex_lanes(&p->x, &at, 0, lanes))
			return false;
	}
	return lex_expect(&p->x, "]");
}

static Tree
parse_name(Parser *p)
{
	Token at = p->x.tok;
	const Named *named = lookup(p, &at);
	Tree index, t;
	int lanes;

	if (!named)
		return failed;
	lex_next(&p->x);
	if (named->var) {
		t = make(p, &at, E_VAR, named->var->type, 0, NULL);
		t.e->u.var = named->var;
		t.e->lanes = named->var->lanes;
		return t;
	}
	if (!parse_index(p, &index, &lanes))
		return failed;
	t = make(p, &at, E_LOAD, named->buf->elem, 1, &index);
	if (t.e) {
		t.e->u.buf = named->buf;
		t.e->lanes = lanes;
	}
	return t;
}

static Tree
parse_literal(Parser *p, bool negative)
{
	Tree t = {.e = ARENA_NEW(p->x.arena, Expr), .height = 1};

	return lex_literal(&p->x, negative, DT_COUNT, t.e) ? t : failed;
}

static Tree
parse_primary(Parser *p)
{
	Tree t;

	if (lex_at_literal(&p->x))
		return parse_literal(p, false);
	if (lex_accept(&p->x, "(")) {
		t = parse_expr(p);
		return t.e && lex_expect(&p->x, ")") ? t : failed;
	}
	switch (p->x.tok.kind) {
	case T_VAR: return parse_name(p);
	case T_FUNC: return parse_call(p);
	case T_WORD: return parse_word(p);
	case T_END:
	case T_NUMBER:
	case T_COMMENT:
	case T_PUNCT: break;
	}
	lex_fail(&p->x, &p->x.tok, E_SYNTAX, "expected an expression");
	return failed;
}

static Tree
parse_unary(Parser *p)
{
	Token at = p->x.tok;
	Tree t = failed;

	if (!descend(p, &at))
		return failed;
	if (lex_accept(&p->x, "-")) {
		if (lex_at_literal(&p->x))
			t = parse_literal(p, true);
		else if ((t = parse_unary(p)).e)
			t = make_kop(p, &at, KOP_NEG, &t);
	} else if (lex_accept(&p->x, "~")) {
		if ((t = parse_unary(p)).e)
			t = make_kop(p, &at, KOP_NOT, &t);
	} else {
		t = parse_primary(p);
	}
	p->depth--;
	return t;
}

static KOp
binary_op(const Parser *p)
{
	for (int i = 0; i < KOP_COUNT; i++)
		if (kop_info[i].infix && kop_info[i].arity == 2 && lex_is(&p->x, kop_info[i].infix))
			return (KOp)i;
	return KOP_COUNT;
}

/* A chain of operators that bind at least as strongly as `least`. */
static Tree
parse_binary(Parser *p, int least)
{
	Tree arg[2] = {parse_unary(p)};
	KOp op;

	while (arg[0].e && (op = binary_op(p)) != KOP_COUNT && kop_precedence(op) >= least) {
		Token at = p->x.tok;

		lex_next(&p->x);
		arg[1] = parse_binary(p, kop_precedence(op) + 1);
		arg[0] = arg[1].e ? make_kop(p, &at, op, arg) : failed;
	}
	return arg[0];
}

static Tree
parse_expr(Parser *p)
{
	return parse_binary(p, PREC_LOWEST);
}

static Expr *
parse_typed(Parser *p, DType want)
{
	Token at = p->x.tok;
	Tree t = parse_expr(p);

	return t.e && has_type(p, &at, t.e, want) ? t.e : NULL;
}

/* ---- Statements ---- */

static bool parse_block(Parser *p, Stmt **first);

static Stmt *
new_stmt(Parser *p, StmtKind kind)
{
	Stmt *s = ARENA_NEW(p->x.arena, Stmt);

	s->kind = kind;
	return s;
}

/* in [lo, hi] */
static bool
parse_range(Parser *p, int64_t *lo, int64_t *hi)
{
	return lex_expect(&p->x, "[") && lex_int(&p->x, INT32_MIN, INT32_MAX, lo) &&
	       lex_expect(&p->x, ",") && lex_int(&p->x, *lo, INT32_MAX, hi) &&
	       lex_expect(&p->x, "]");
}

static Stmt *
parse_declaration(Parser *p, bool is_const)
{
	Stmt *s = new_stmt(p, S_VAR);
	int64_t lo = INT32_MIN, hi = INT32_MAX;
	Token name;
	DType type;
	int lanes;

	lex_next(&p->x);
	if (!take(p, T_VAR, "a variable", &name) || !lex_expect(&p->x, ":") ||
	    !lex_var_type(&p->x, &type, &lanes))
		return NULL;
	if (type == DT_IDX && lex_accept(&p->x, "in") && !parse_range(p, &lo, &hi))
		return NULL;
	if (!lex_expect(&p->x, "=") || !(s->value = parse_typed(p, type)))
		return NULL;
	s->var = declare_var(p, &name, type, is_const);
	if (!s->var)
		return NULL;
	s->var->lanes = lanes;
	s->var->lo = lo;
	s->var->hi = hi;
	return s;
}

static Stmt *
parse_for(Parser *p)
{
	Stmt *s = new_stmt(p, S_FOR);
	int visible = p->visible.n;
	int64_t step = 1;
	Token name;

	lex_next(&p->x);
	if (!take(p, T_VAR, "a variable", &name) || !lex_expect(&p->x, "in") ||
	    !(s->lo = parse_typed(p, DT_IDX)) || !lex_expect(&p->x, "..") ||
	    !(s->hi = parse_typed(p, DT_IDX)))
		return NULL;
	if (lex_accept(&p->x, "step") && !lex_int(&p->x, 1, INT32_MAX, &step))
		return NULL;
	if (lex_accept(&p->x, "while") && !(s->cond = parse_typed(p, DT_BOOL)))
		return NULL;
	s->step = (int32_t)step;
	s->var = declare_var(p, &name, DT_IDX, true);
	if (!s->var || !parse_block(p, &s->body))
		return NULL;
	close_scope(p, visible);
	return s;
}

static Stmt *
parse_if(Parser *p)
{
	Stmt *s = new_stmt(p, S_IF);
	Token at = p->x.tok;

	lex_next(&p->x);
	if (!(s->cond = parse_typed(p, DT_BOOL)) || !parse_block(p, &s->body))
		return NULL;
	if (!lex_accept(&p->x, "else"))
		return s;
	if (!lex_is(&p->x, "if"))
		return parse_block(p, &s->other) ? s : NULL;
	if (!descend(p, &at) || !(s->other = parse_if(p)))
		return NULL;
	p->depth--;
	return s;
}

/* %v = … or %b[…] = … */
static Stmt *
parse_assignment(Parser *p)
{
	Token at = p->x.tok;
	const Named *named = lookup(p, &at);
	Stmt *s;
	Tree index;
	int lanes;

	if (!named)
		return NULL;
	lex_next(&p->x);
	s = new_stmt(p, named->var ? S_SET : S_STORE);
	s->var = named->var;
	s->buf = named->buf;
	if (s->var && s->var->is_const) {
		lex_fail(&p->x, &at, E_NAME, "'%s' cannot be assigned", named->name);
		return NULL;
	}
	if (s->buf && !parse_index(p, &index, &lanes))
		return NULL;
	if (s->buf)
		s->index = index.e;
	if (!lex_expect(&p->x, "="))
		return NULL;
	at = p->x.tok;
	s->value = parse_typed(p, s->var ? s->var->type : s->buf->elem);
	if (s->value && s->buf && s->value->lanes != lanes) {
		lex_fail(&p->x, &at, E_TYPE, "a value with %d lanes where %d are stored",
		         expr_lanes(s->value), lanes ? lanes : 1);
		return NULL;
	}
	return s->value ? s : NULL;
}

static Stmt *
parse_return(Parser *p)
{
	Stmt *s = new_stmt(p, S_RETURN);

	if (!lfunc_is_scalar(p->fn)) {
		lex_fail(&p->x, &p->x.tok, E_SYNTAX, "a kernel returns nothing");
		return NULL;
	}
	lex_next(&p->x);
	s->value = parse_typed(p, p->fn->result);
	return s->value ? s : NULL;
}

static Stmt *
parse_stmt(Parser *p)
{
	Stmt *s;

	if (p->x.tok.kind == T_COMMENT) {
		s = new_stmt(p, S_COMMENT);
		s->text = p->x.tok.name;
		lex_next(&p->x);
		return s;
	}
	if (p->x.tok.kind == T_VAR)
		return parse_assignment(p);
	if (lex_is(&p->x, "let") || lex_is(&p->x, "var"))
		return parse_declaration(p, lex_is(&p->x, "let"));
	if (lex_is(&p->x, "for"))
		return parse_for(p);
	if (lex_is(&p->x, "if"))
		return parse_if(p);
	if (lex_is(&p->x, "return"))
		return parse_return(p);
	lex_fail(&p->x, &p->x.tok, E_SYNTAX, "expected a statement");
	return NULL;
}

static bool
parse_block(Parser *p, Stmt **first)
{
	int visible = p->visible.n;
	Token at = p->x.tok;

	if (!lex_expect(&p->x, "{") || !descend(p, &at))
		return false;
	for (; !lex_is(&p->x, "}"); first = &(*first)->next)
		if (!(*first = parse_stmt(p)))
			return false;
	lex_next(&p->x);
	close_scope(p, visible);
	p->depth--;
	return true;
}

/* ---- Functions ---- */

static bool
parse_role(Parser *p, LBufRole *role)
{
	if (lex_accept(&p->x, "in"))
		*role = LBUF_IN;
	else if (lex_accept(&p->x, "out"))
		*role = LBUF_OUT;
	else if (lex_accept(&p->x, "scratch"))
		*role = LBUF_SCRATCH;
	else if (lex_accept(&p->x, "local"))
		*role = LBUF_LOCAL;
	else if (lex_accept(&p->x, "table"))
		*role = LBUF_TABLE;
	else
		return lex_fail(&p->x, &p->x.tok, E_SYNTAX, "expected in, out, scratch, local or table");
	return true;
}

static void
store_literal(DType t, void *data, size_t i, const Expr *e)
{
	if (t == DT_F32 || t == DT_F64)
		num_store(t, data, i, e->u.f);
	else if (t == DT_F16 || t == DT_BF16)
		num_store_int(DT_U16, data, i, e->u.i);
	else
		num_store_int(t, data, i, e->u.i);
}

/* {1, 2, 3}: as many as the buffer has elements. */
static bool
parse_data(Parser *p, LBuf *b)
{
	Token at = p->x.tok;
	void *data;

	if (!lex_expect(&p->x, "{"))
		return false;
	if (b->count > p->x.end - at.s)
		return lex_fail(&p->x, &at, E_SIZE, "fewer than %d elements", (int)b->count);
	data = arena_calloc(p->x.arena, (size_t)b->count, (size_t)dtype_info[b->elem].bytes);
	for (int32_t i = 0; i < b->count; i++) {
		Expr e = {.kind = E_CONST};
		Token value;
		bool negative;

		if (i && !lex_expect(&p->x, ","))
			return false;
		value = p->x.tok;
		negative = lex_accept(&p->x, "-");
		if (!lex_literal(&p->x, negative, b->elem, &e) ||
		    !has_type(p, &value, &e, b->elem))
			return false;
		store_literal(b->elem, data, (size_t)i, &e);
	}
	b->data = data;
	return lex_expect(&p->x, "}");
}

/* The rest of `%x: f32[490] in`, from the bracket. */
static bool
parse_buf(Parser *p, const Token *name, DType elem, bool scalar)
{
	Named *named;
	LBuf *b = ARENA_NEW(p->x.arena, LBuf);
	int64_t count;

	if (elem == DT_IDX)
		return lex_fail(&p->x, name, E_TYPE, "a buffer cannot hold idx");
	if (!lex_expect(&p->x, "[") ||
	    !lex_int(&p->x, 0, INT32_MAX / dtype_info[elem].bytes, &count) ||
	    !lex_expect(&p->x, "]") || !parse_role(p, &b->role))
		return false;
	b->name = name->name;
	b->elem = elem;
	b->count = (int32_t)count;
	b->index = p->fn->bufs.n;
	VEC_PUSH(p->x.arena, &p->fn->bufs, b);
	named = declare(p, name);
	if (!named)
		return false;
	named->buf = b;
	if (scalar && b->role != LBUF_TABLE)
		return lex_fail(&p->x, name, E_TYPE, "a scalar function has no buffers but tables");
	if (b->role == LBUF_TABLE)
		return lex_expect(&p->x, "=") && parse_data(p, b);
	return b->role != LBUF_IN || !lex_accept(&p->x, "=") || parse_data(p, b);
}

static bool
parse_params(Parser *p, bool scalar)
{
	if (!lex_expect(&p->x, "("))
		return false;
	for (bool first = true; !lex_accept(&p->x, ")"); first = false) {
		Token name;
		DType type;
		LVar *v;

		if (!first && !lex_expect(&p->x, ","))
			return false;
		if (!take(p, T_VAR, "a parameter", &name) || !lex_expect(&p->x, ":") ||
		    !lex_type(&p->x, &type))
			return false;
		if (!scalar || lex_is(&p->x, "[")) {
			if (!parse_buf(p, &name, type, scalar))
				return false;
			continue;
		}
		if (p->fn->params.n == MAX_CALL_ARGS)
			return lex_fail(&p->x, &name, E_ARITY, "too many parameters");
		v = declare_var(p, &name, type, true);
		if (!v)
			return false;
		VEC_PUSH(p->x.arena, &p->fn->params, v);
	}
	return true;
}

static bool
parse_function(Parser *p)
{
	bool scalar = lex_is(&p->x, "func");
	Named *named;
	Token name;

	if (!scalar && !lex_is(&p->x, "kernel"))
		return lex_fail(&p->x, &p->x.tok, E_SYNTAX, "expected func or kernel");
	lex_next(&p->x);
	if (!take(p, T_FUNC, "a name with @", &name))
		return false;
	p->fn = ARENA_NEW(p->x.arena, LFunc);
	p->fn->arena = p->x.arena;
	p->fn->name = name.name;
	p->fn->result = DT_COUNT;
	p->names = (Names){0};
	p->visible.n = 0;
	if (!parse_params(p, scalar))
		return false;
	if (scalar && (!lex_expect(&p->x, "->") || !lex_type(&p->x, &p->fn->result)))
		return false;
	if (!parse_block(p, &p->fn->body))
		return false;
	named = add_name(p->x.arena, &p->functions, name.name);
	if (!named)
		return lex_fail(&p->x, &name, E_NAME, "there is already a function '%s'",
		                name.name);
	named->fn = p->fn;
	VEC_PUSH(p->x.arena, p->out, p->fn);
	return true;
}

bool
lfunc_parse(Arena *a, const char *file, const char *text, size_t length, LFuncs *out, Diag *d)
{
	Parser p = {.out = out};

	for (int i = 0; i < out->n; i++) {
		Named *named = add_name(a, &p.functions, out->v[i]->name);

		if (named)
			named->fn = out->v[i];
	}
	lex_init(&p.x, a, file, text, length, d);
	while (!p.x.failed) {
		if (p.x.tok.kind == T_COMMENT)
			lex_next(&p.x);
		else if (p.x.tok.kind == T_END || !parse_function(&p))
			break;
	}
	return !p.x.failed;
}
