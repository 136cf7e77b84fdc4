/*
 * Functions: parameters, statements, local tables.
 *
 * Variables that nothing reads are left out with their assignments, as
 * expressions have no side effects.  What is read is known from what was
 * printed, so a body is printed until no variable disappears any more.
 */
#include <assert.h>
#include <string.h>

#include "codegen/c/print.h"

static void put_block(CFunc *f, const Stmt *s, int depth);

/* ---- Lines ---- */

static void
indent(Str *s, int depth)
{
	for (int i = 0; i < depth; i++)
		str_putc(s, '\t');
}

/* The last place in the text, not behind `room`, at which a line can end: a space
 * behind an argument, or only any space that does not tear a pointer from its type. */
static size_t
last_break(const char *text, size_t room, bool behind_argument)
{
	for (size_t at = room; at > 0; at--) {
		bool pointer = text[at + 1] == '*' && text[at + 2] != ' ';
		bool argument = text[at - 1] == ',' || text[at - 1] == ';';

		if (text[at] == ' ' && (behind_argument ? argument : !pointer))
			return at;
	}
	return 0;
}

/* Where to break the text so that at most `room` characters stay, if need be
 * behind a parenthesis, or the first place behind; n: nowhere. */
static size_t
break_at(const char *text, size_t n, size_t room)
{
	size_t at;

	if (n <= room)
		return n;
	at = last_break(text, room, true);
	if (at < room / 2)
		at = last_break(text, room, false);
	if (at > 0)
		return at;
	for (at = room; at > 0; at--)
		if (text[at - 1] == '(')
			return at;
	for (at = room; at < n && text[at] != ' '; at++)
		continue;
	return at;
}

void
line_print(Str *s, int depth, const char *text, size_t n)
{
	for (int d = depth;; d = depth + 2) {
		size_t room = COLUMNS - TAB * d > 40 ? (size_t)(COLUMNS - TAB * d) : 40;
		size_t at = break_at(text, n, room);

		indent(s, d);
		str_write(s, text, at);
		str_putc(s, '\n');
		if (at == n)
			return;
		at += text[at] == ' ';
		text += at;
		n -= at;
	}
}

static void
put_line(CFunc *f, int depth, Str *line)
{
	line_print(&f->body, depth, line->s, line->n);
}

static Str
new_line(const CFunc *f)
{
	Str s;

	str_init(&s, f->file->arena);
	return s;
}

static void
put_text(CFunc *f, int depth, const char *text)
{
	line_print(&f->body, depth, text, strlen(text));
}

/* ---- Statements ---- */

static const char *
var_type(const CFunc *f, const LVar *v)
{
	if (v->lanes)
		return vector_type(f->file, v->type, v->lanes);
	return v->type == DT_BOOL ? "int" : dtype_info[v->type].c_type;
}

/* Whether evaluating it in every iteration gives the same: nothing in it changes. */
static bool
is_fixed(const Expr *e)
{
	if (e->kind == E_LOAD || e->kind == E_CALL || e->kind == E_PACKED ||
	    e->kind == E_DOT || (e->kind == E_VAR && !e->u.var->is_const))
		return false;
	for (int i = 0; i < e->nargs; i++)
		if (!is_fixed(e->arg[i]))
			return false;
	return true;
}

/* The bound of a loop: itself when it may be evaluated again and again, else a
 * variable that is declared before the loop. */
static void
put_bound(CFunc *f, const Stmt *s, int depth, Str *line)
{
	const char **name = &f->end_name[s->var->index];
	Str declaration = new_line(f);

	if (is_fixed(s->hi)) {
		c_expr_print(f, line, s->hi, PREC_ADD);
		return;
	}
	if (!*name)
		*name = names_add(&f->names, arena_printf(f->file->arena, "%s_end",
		                                          f->var_name[s->var->index]));
	str_printf(&declaration, "const int32_t %s = ", *name);
	c_expr_print(f, &declaration, s->hi, PREC_TERNARY);
	str_putc(&declaration, ';');
	put_line(f, depth, &declaration);
	str_puts(line, *name);
}

static void
put_for(CFunc *f, const Stmt *s, int depth)
{
	const char *name = f->var_name[s->var->index];
	Str line = new_line(f);

	str_printf(&line, "for (int32_t %s = ", name);
	c_expr_print(f, &line, s->lo, PREC_TERNARY);
	str_printf(&line, "; %s < ", name);
	put_bound(f, s, depth, &line);
	if (s->cond) {
		str_puts(&line, " && ");
		c_expr_print(f, &line, s->cond, PREC_COMPARE);
	}
	if (s->step == 1)
		str_printf(&line, "; %s++) {", name);
	else
		str_printf(&line, "; %s += %d) {", name, (int)s->step);
	put_line(f, depth, &line);
	put_block(f, s->body, depth + 1);
	put_text(f, depth, "}");
}

static void
put_if(CFunc *f, const Stmt *s, int depth)
{
	const char *start = "if (";

	/* An else branch that is one if goes on in the same chain. */
	for (;;) {
		Str line = new_line(f);

		str_puts(&line, start);
		c_expr_print(f, &line, s->cond, PREC_TERNARY);
		str_puts(&line, ") {");
		put_line(f, depth, &line);
		put_block(f, s->body, depth + 1);
		if (!s->other || s->other->kind != S_IF || s->other->next)
			break;
		s = s->other;
		start = "} else if (";
	}
	if (s->other) {
		put_text(f, depth, "} else {");
		put_block(f, s->other, depth + 1);
	}
	put_text(f, depth, "}");
}

static void
put_var(CFunc *f, const Stmt *s, int depth)
{
	Str line = new_line(f);

	if (!f->var_live[s->var->index])
		return;
	str_printf(&line, "%s%s %s = ", s->var->is_const ? "const " : "", var_type(f, s->var),
	           f->var_name[s->var->index]);
	c_expr_print(f, &line, s->value, PREC_TERNARY);
	str_putc(&line, ';');
	put_line(f, depth, &line);
}

static void
put_set(CFunc *f, const Stmt *s, int depth)
{
	const char *name = f->var_name[s->var->index];
	bool *used = &f->var_used[s->var->index], was_used = *used;
	Str line = new_line(f);

	if (!f->var_live[s->var->index])
		return;
	str_printf(&line, "%s = ", name);
	c_expr_print(f, &line, s->value, PREC_TERNARY);
	/* Compilers warn about an assignment to itself. */
	if (strcmp(line.s + strlen(name) + 3, name) != 0) {
		str_putc(&line, ';');
		put_line(f, depth, &line);
	}
	/* Its old value matters only when somebody else reads the new one. */
	*used = was_used;
}

static void
put_store(CFunc *f, const Stmt *s, int depth)
{
	Str line = new_line(f);

	if (s->value->lanes) {
		vector_store_print(f, &line, s);
		put_line(f, depth, &line);
		return;
	}
	f->buf_used[s->buf->index] = true;
	str_printf(&line, "%s[", f->buf_name[s->buf->index]);
	c_expr_print(f, &line, s->index, PREC_TERNARY);
	str_puts(&line, "] = ");
	if (s->value->type == DT_BOOL && s->value->kind != E_CONST) {
		str_puts(&line, "(uint8_t)");
		c_expr_print(f, &line, s->value, PREC_CAST);
	} else {
		c_expr_print(f, &line, s->value, PREC_TERNARY);
	}
	str_putc(&line, ';');
	put_line(f, depth, &line);
}

static void
put_return(CFunc *f, const Stmt *s, int depth)
{
	Str line = new_line(f);

	str_puts(&line, "return ");
	c_expr_print(f, &line, s->value, PREC_TERNARY);
	str_putc(&line, ';');
	put_line(f, depth, &line);
}

static void
put_comment(CFunc *f, const char *text, int depth)
{
	text = arena_printf(f->file->arena, "/* %s */", name_comment(f->file->arena, text));
	put_text(f, depth, text);
}

static void
put_stmt(CFunc *f, const Stmt *s, int depth)
{
	switch (s->kind) {
	case S_FOR: put_for(f, s, depth); break;
	case S_IF: put_if(f, s, depth); break;
	case S_VAR: put_var(f, s, depth); break;
	case S_SET: put_set(f, s, depth); break;
	case S_STORE: put_store(f, s, depth); break;
	case S_RETURN: put_return(f, s, depth); break;
	case S_COMMENT: put_comment(f, s->text, depth); break;
	}
}

/* ---- Runs of products ---- */

static const char *
temp_name(CFunc *f, int i)
{
	if (!f->temp[i])
		f->temp[i] = names_add(&f->names, arena_printf(f->file->arena, "t%d", i));
	return f->temp[i];
}

/* The instructions, each a string of its line. */
static void
put_instructions(CFunc *f, const ArmRun *run, int depth)
{
	const char *line = run->text.s;

	while (*line) {
		size_t n = strcspn(line, "\n");

		indent(&f->body, depth);
		str_printf(&f->body, "\"%.*s\\n\\t\"\n", (int)n, line);
		line += n + 1;
	}
}

static void
put_operands(CFunc *f, const ArmRun *run, int depth)
{
	Str line = new_line(f);

	for (int i = 0; i < run->nsums; i++)
		str_printf(&line, "%s\"+&r\"(%s)", i ? ", " : ": ",
		           f->var_name[run->sum[i]->index]);
	for (int i = 0; i < run->ntemps; i++)
		str_printf(&line, "%s\"=&r\"(%s)", i + run->nsums ? ", " : ": ", temp_name(f, i));
	put_line(f, depth, &line);
	line = new_line(f);
	for (int i = 0; i < run->nbases; i++) {
		str_printf(&line, "%s\"r\"(&%s[", i ? ", " : ": ",
		           f->buf_name[run->base[i].buf->index]);
		c_expr_print(f, &line, run->base[i].index, PREC_TERNARY);
		str_puts(&line, "])");
	}
	put_line(f, depth, &line);
	put_text(f, depth, ": \"memory\");");
}

static bool
is_declared(const ArmRun *run, const Stmt *s)
{
	for (int i = 0; i < run->lets.n; i++)
		if (run->lets.v[i] == s)
			return true;
	return false;
}

/* The run twice: for compilers that know these instructions, and for others. */
static void
put_run(CFunc *f, const Stmt *s, const ArmRun *run, int depth)
{
	Str temps = new_line(f);

	f->file->uses.products = true;
	for (int i = 0; i < run->lets.n; i++)
		put_stmt(f, run->lets.v[i], depth);
	str_printf(&f->body, "#if defined(%s_PRODUCTS)\n", f->file->upper);
	put_text(f, depth, "{");
	for (int i = 0; i < run->ntemps; i++)
		str_printf(&temps, "%s%s", i ? ", " : "int32_t ", temp_name(f, i));
	str_putc(&temps, ';');
	put_line(f, depth + 1, &temps);
	put_text(f, depth + 1, "__asm__ volatile(");
	put_instructions(f, run, depth + 2);
	put_operands(f, run, depth + 2);
	put_text(f, depth, "}");
	str_puts(&f->body, "#else\n");
	put_text(f, depth, "{");
	for (; s != run->past; s = s->next)
		if (!is_declared(run, s))
			put_stmt(f, s, depth + 1);
	put_text(f, depth, "}");
	str_puts(&f->body, "#endif\n");
}

/* Whether a run starts at a statement, and all its sums are declared. */
static bool
find_run(CFunc *f, const Stmt *s, ArmRun *run)
{
	if (!f->products || !arm_products_find(f->products, s, run))
		return false;
	for (int i = 0; i < run->nsums; i++)
		if (!f->var_live[run->sum[i]->index])
			return false;
	return true;
}

static void
put_block(CFunc *f, const Stmt *s, int depth)
{
	ArmRun run;

	while (s) {
		if (find_run(f, s, &run)) {
			put_run(f, s, &run, depth);
			s = run.past;
		} else {
			put_stmt(f, s, depth);
			s = s->next;
		}
	}
}

/* ---- Functions ---- */

static void
name_all(CFunc *f)
{
	Arena *a = f->file->arena;
	const LFunc *fn = f->fn;

	names_init(&f->names, a);
	f->var_name = ARENA_ARRAY(a, const char *, fn->vars.n);
	f->end_name = ARENA_ARRAY(a, const char *, fn->vars.n);
	f->buf_name = ARENA_ARRAY(a, const char *, fn->bufs.n);
	f->var_live = ARENA_ARRAY(a, bool, fn->vars.n);
	f->var_used = ARENA_ARRAY(a, bool, fn->vars.n);
	f->buf_used = ARENA_ARRAY(a, bool, fn->bufs.n);
	for (int i = 0; i < fn->bufs.n; i++)
		f->buf_name[i] = names_add(&f->names,
		                           name_local(a, fn->bufs.v[i]->name, f->file->prefix));
	for (int i = 0; i < fn->vars.n; i++)
		f->var_name[i] = names_add(&f->names,
		                           name_local(a, fn->vars.v[i]->name, f->file->prefix));
	memset(f->var_live, true, (size_t)fn->vars.n * sizeof *f->var_live);
	f->products = arm_products_new(a, fn, f->file->isa);
}

/* Prints the body without the variables that are not live. */
static void
put_body(CFunc *f)
{
	f->body.n = 0;
	memset(f->var_used, 0, (size_t)f->fn->vars.n * sizeof *f->var_used);
	memset(f->buf_used, 0, (size_t)f->fn->bufs.n * sizeof *f->buf_used);
	put_block(f, f->fn->body, 1);
}

/* Finds the variables that are read, also indirectly. */
static void
find_live(CFunc *f)
{
	size_t size = (size_t)f->fn->vars.n * sizeof *f->var_live;
	Uses before = f->file->uses;
	bool was_trial = f->file->is_trial, settled = false;

	f->file->is_trial = true;
	while (!settled) {
		put_body(f);
		settled = memcmp(f->var_live, f->var_used, size) == 0;
		memcpy(f->var_live, f->var_used, size);
	}
	f->file->is_trial = was_trial;
	f->file->uses = before;
}

static bool
is_parameter(const CFunc *f, const LBuf *buf)
{
	return lbuf_is_argument(buf) && f->buf_used[buf->index];
}

static void
put_parameters(const CFunc *f, const bool *plain, Str *s)
{
	const LFunc *fn = f->fn;
	size_t start = s->n;

	for (int i = 0; i < fn->params.n; i++)
		str_printf(s, "%s%s %s", s->n > start ? ", " : "", var_type(f, fn->params.v[i]),
		           f->var_name[fn->params.v[i]->index]);
	for (int i = 0; i < fn->bufs.n; i++) {
		const LBuf *buf = fn->bufs.v[i];

		if (!is_parameter(f, buf))
			continue;
		str_printf(s, "%s%s%s *", s->n > start ? ", " : "",
		           buf->role == LBUF_IN ? "const " : "", dtype_info[buf->elem].c_type);
		if (!plain || !plain[i])
			str_printf(s, "%s_RESTRICT ", f->file->upper);
		str_puts(s, f->buf_name[i]);
	}
	if (s->n == start)
		str_puts(s, "void");
}

static void
put_tables(const CFunc *f, Str *s)
{
	for (int i = 0; i < f->fn->bufs.n; i++) {
		const LBuf *buf = f->fn->bufs.v[i];

		if (buf->role != LBUF_TABLE || !f->buf_used[i])
			continue;
		str_printf(s, "\tstatic const %s %s[%d] %s_CONST = {\n", dtype_info[buf->elem].c_type,
		           f->buf_name[i], buf->count ? (int)buf->count : 1, f->file->upper);
		data_print(f->file, s, 2, buf->elem, buf->data, (size_t)buf->count);
		str_puts(s, "\t};\n");
	}
}

static void
put_locals(const CFunc *f, Str *s)
{
	for (int i = 0; i < f->fn->bufs.n; i++) {
		const LBuf *buf = f->fn->bufs.v[i];

		if (buf->role == LBUF_LOCAL && f->buf_used[i])
			str_printf(s, "\t%s %s[%d];\n", dtype_info[buf->elem].c_type, f->buf_name[i],
			           buf->count ? (int)buf->count : 1);
	}
}

/* Parameters that the body ignores. */
static void
put_unused(const CFunc *f, Str *s)
{
	for (int i = 0; i < f->fn->params.n; i++)
		if (!f->var_used[f->fn->params.v[i]->index])
			str_printf(s, "\t(void)%s;\n", f->var_name[f->fn->params.v[i]->index]);
}

void
func_print(CFile *file, const LFunc *fn, const bool *plain, bool *used, Str *params, Str *body)
{
	CFunc f = {.file = file, .fn = fn};

	name_all(&f);
	str_init(&f.body, file->arena);
	find_live(&f);
	put_body(&f);
	str_putc(params, '(');
	put_parameters(&f, plain, params);
	str_putc(params, ')');
	str_puts(body, "{\n");
	put_tables(&f, body);
	put_locals(&f, body);
	put_unused(&f, body);
	str_write(body, f.body.s, f.body.n);
	str_puts(body, "}\n");
	for (int i = 0; used && i < fn->bufs.n; i++)
		used[i] = is_parameter(&f, fn->bufs.v[i]);
}
