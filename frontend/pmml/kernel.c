/*
 * Kernels, and what passes between them.
 *
 * Steps are kernels and trees, in the order in which they will run.  Code is added to
 * the current kernel, which is the last one; one that wants to read what trees give
 * starts the next.  A kernel stays open until everything was read: what a later one
 * needs of it is stored at its end, in a vector of numbers or of integers.  So values
 * are expressions of variables at the outermost level of their kernel.
 */
#include <string.h>

#include "frontend/build.h"
#include "frontend/pmml/pmml.h"

struct Step {
	int number;
	Kernel *kernel; /* NULL: trees */
	Ensemble *ensemble;
	Vec *features, *result;
	const char *name;
	Loc loc;
};

typedef struct {
	Vec *vec;
	LBuf *buf;
} Use;

typedef struct {
	const Expr *e;
	int index; /* in the vector of its type */
} Export;

enum { EXPORT_NUMBER, EXPORT_INT, EXPORT_KINDS };

struct Kernel {
	Step *step;
	LBuilder b;
	VEC(Use) in, out;

	Use export[EXPORT_KINDS];
	VEC(Export) exported[EXPORT_KINDS];
	VEC(Expr *) stored[EXPORT_KINDS];
};

struct Steps {
	VEC(Step *) v;
	Kernel *current;
};

static Step *
new_step(Pmml *p)
{
	Step *s = ARENA_NEW(p->a, Step);

	s->number = p->steps->v.n;
	VEC_PUSH(p->a, &p->steps->v, s);
	return s;
}

static Kernel *
start_kernel(Pmml *p)
{
	Kernel *k = ARENA_NEW(p->a, Kernel);

	k->step = new_step(p);
	k->step->kernel = k;
	loop_begin(&k->b, p->a, "row");
	p->steps->current = k;
	return k;
}

Kernel *
kernel_current(Pmml *p)
{
	if (!p->steps)
		p->steps = ARENA_NEW(p->a, struct Steps);
	return p->steps->current ? p->steps->current : start_kernel(p);
}

LBuilder *
code(Pmml *p)
{
	return &kernel_current(p)->b;
}

/* ---- Vectors ---- */

LBuf *
kernel_vec(Pmml *p, Vec *v)
{
	Kernel *k = kernel_current(p);
	Use use = {.vec = v};

	if (v->step && v->step->number > k->step->number)
		k = start_kernel(p);
	for (int i = 0; i < k->in.n; i++)
		if (k->in.v[i].vec == v)
			return k->in.v[i].buf;
	for (int i = 0; i < k->out.n; i++)
		if (k->out.v[i].vec == v)
			return k->out.v[i].buf;
	use.buf = loop_buf(&k->b, v->name, v->type, v->n, LBUF_IN, NULL);
	VEC_PUSH(p->a, &k->in, use);
	return use.buf;
}

LBuf *
kernel_table(Pmml *p, const char *name, DType t, int32_t n, const double *v)
{
	Builder b = {.g = p->g, .d = p->d};
	Vec *vec = ARENA_NEW(p->a, Vec);

	*vec = (Vec){.type = t, .n = n, .name = name, .value = build_vector(&b, t, n, v)};
	if (vec->value)
		graph_rename(p->g, vec->value, name);
	return kernel_vec(p, vec);
}

LBuf *
kernel_scratch(Pmml *p, const char *name, DType t, int32_t n)
{
	return loop_buf(code(p), name, t, n, LBUF_SCRATCH, NULL);
}

static Use
add_output(Pmml *p, Kernel *k, const char *name, DType t, int32_t n)
{
	Use use = {.vec = ARENA_NEW(p->a, Vec)};

	*use.vec = (Vec){.step = k->step, .type = t, .n = n, .name = name};
	use.buf = loop_buf(&k->b, name, t, n, LBUF_OUT, NULL);
	VEC_PUSH(p->a, &k->out, use);
	return use;
}

Vec *
kernel_output(Pmml *p, const char *name, DType t, int32_t n)
{
	return add_output(p, kernel_current(p), name, t, n).vec;
}

LBuf *
kernel_output_buf(Pmml *p, Vec *v)
{
	const Kernel *k = v->step->kernel;

	(void)p;
	for (int i = 0; i < k->out.n; i++)
		if (k->out.v[i].vec == v)
			return k->out.v[i].buf;
	return NULL;
}


/* ---- Values from before ---- */

Expr *
kernel_import(Pmml *p, Kernel *home, Expr *e)
{
	int kind = e->type == DT_F64 ? EXPORT_NUMBER : EXPORT_INT;
	DType t = kind == EXPORT_NUMBER ? DT_F64 : DT_I32;
	Use *export = &home->export[kind];
	int i = 0;
	LBuf *buf;
	Expr *load;

	if (home == kernel_current(p) || e->kind == E_CONST)
		return e;
	while (i < home->exported[kind].n && !expr_equal(home->exported[kind].v[i].e, e))
		i++;
	if (i == home->exported[kind].n) {
		Export x = {e, i};

		VEC_PUSH(p->a, &home->exported[kind], x);
		VEC_PUSH(p->a, &home->stored[kind], e);
	}
	if (!export->vec)
		*export = add_output(p, home, kind == EXPORT_NUMBER ? "number" : "code", t, 0);
	export->vec->n = home->exported[kind].n;
	export->buf->count = export->vec->n;
	buf = kernel_vec(p, export->vec);
	load = loop_load(code(p), buf, loop_idx(code(p), i));
	return e->type == DT_BOOL ? loop_op2(code(p), KOP_NE, load, loop_int(code(p), DT_I32, 0))
	                          : load;
}

/* ---- Trees ---- */

Vec *
kernel_trees(Pmml *p, Ensemble *e, Vec *features, DType t, int32_t outputs, const char *name,
             const Loc *loc)
{
	Step *s = new_step(p);

	s->ensemble = e;
	s->features = features;
	s->name = name;
	s->loc = *loc;
	s->result = ARENA_NEW(p->a, Vec);
	*s->result = (Vec){.step = s, .type = t, .n = outputs, .name = "leaf"};
	return s->result;
}

/* ---- The graph ---- */

static void
store_exports(Kernel *k)
{
	LBuilder *b = &k->b;

	for (int kind = 0; kind < EXPORT_KINDS; kind++)
		for (int i = 0; i < k->stored[kind].n; i++)
			loop_store_cvt(b, k->export[kind].buf, loop_idx(b, i),
			               k->stored[kind].v[i]);
}

/* Inputs, outputs, then the kernel's own, as the operator wants them. */
static void
order_buffers(Pmml *p, Kernel *k, LFunc *f)
{
	LBuf **v = ARENA_ARRAY(p->a, LBuf *, f->bufs.n);
	int n = 0;

	for (int i = 0; i < k->in.n; i++)
		v[n++] = k->in.v[i].buf;
	for (int i = 0; i < k->out.n; i++)
		v[n++] = k->out.v[i].buf;
	for (int i = 0; i < f->bufs.n; i++)
		if (f->bufs.v[i]->role == LBUF_SCRATCH || f->bufs.v[i]->role == LBUF_TABLE)
			v[n++] = f->bufs.v[i];
	for (int i = 0; i < n; i++) {
		f->bufs.v[i] = v[i];
		v[i]->index = i;
	}
}

static bool
add_kernel(Pmml *p, Kernel *k, const char *name)
{
	Value **in = ARENA_ARRAY(p->a, Value *, k->in.n);
	const char **names = ARENA_ARRAY(p->a, const char *, k->out.n);
	LFunc *f;
	Node *n;
	Str s;

	store_exports(k);
	for (int i = 0; i < k->in.n; i++) {
		in[i] = k->in.v[i].vec->value;
		k->in.v[i].buf->count = k->in.v[i].vec->n;
	}
	for (int i = 0; i < k->out.n; i++) {
		names[i] = k->out.v[i].vec->name;
		k->out.v[i].buf->count = k->out.v[i].vec->n;
	}
	f = loop_finish(&k->b);
	f->name = name;
	order_buffers(p, k, f);
	str_init(&s, p->a);
	lfunc_print(&s, f);
	n = graph_insert(p->g, NULL, OP_KERNEL, k->in.n, in, k->out.n, names);
	((Attr_KERNEL *)n->attr)->code = s.s;
	n->name = name;
	n->loc = (Loc){.file = p->file->path, .line = p->root->line, .column = p->root->column};
	if (!node_infer(n, p->d))
		return false;
	for (int i = 0; i < k->out.n; i++)
		k->out.v[i].vec->value = n->out[i];
	return true;
}

static bool
add_trees(Pmml *p, Step *s)
{
	Builder b = {.g = p->g, .d = p->d, .loc = s->loc};
	Node *n = ensemble_finish(s->ensemble, p->g, s->features->value, NULL, TREES_sum, "leaf");

	n->loc = s->loc;
	n->name = s->name;
	s->result->value = build_finish(&b, n);
	return s->result->value != NULL;
}

/* Kernels without outputs are left out: nothing in them is needed. */
static const char *
kernel_name(const struct Steps *steps, int i)
{
	int first = 0, last = steps->v.n - 1;

	while (steps->v.v[first] && !steps->v.v[first]->kernel)
		first++;
	while (last > first && !steps->v.v[last]->kernel)
		last--;
	if (i == last)
		return "score";
	return i == first ? "prepare" : "combine";
}

bool
kernel_finish(Pmml *p)
{
	for (int i = 0; i < p->steps->v.n; i++) {
		Step *s = p->steps->v.v[i];

		if (s->kernel && s->kernel->out.n == 0)
			continue;
		if (s->kernel ? !add_kernel(p, s->kernel, kernel_name(p->steps, i))
		              : !add_trees(p, s))
			return false;
	}
	return true;
}
