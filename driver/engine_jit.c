/*
 * Running the program as compiled in memory.
 *
 * Calls are independent of each other, but where a state goes from one to the next, so
 * threads take the next ones until none is left.  Each has its own arena; results go where the number of the call says, so
 * they do not depend on the number of threads.
 */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "codegen/llvm/llvm.h"
#include "driver/engine.h"
#include "driver/guard.h"

typedef struct {
	const LlvmJit *jit;
	const Arrays *x;
	atomic_size_t next; /* call that nobody has taken */
	bool shows_progress;
	double start;
} Work;

/* What one thread works with. */
typedef struct {
	Work *work;
	const void **in;
	void **out;
	void *arena;
	pthread_t thread;
	bool is_first; /* it shows the progress */
} Worker;

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- Progress ---- */

enum { BAR = 40 };

/* A line on the terminal, once a run takes longer than a second. */
static void
show_progress(const Work *w, size_t done)
{
	static double last;
	double now = seconds(), part = (double)done / (double)w->x->calls;
	char bar[BAR + 1];

	if (!w->shows_progress || now - w->start < 1 || now - last < 0.1)
		return;
	last = now;
	for (int i = 0; i < BAR; i++)
		bar[i] = i < part * (double)BAR ? '#' : '.';
	bar[BAR] = '\0';
	fprintf(stderr, "\r[%s] %zu of %zu, %.0f s left ", bar, done, w->x->calls,
	        (now - w->start) * (1 - part) / part);
}

static void
clear_progress(const Work *w)
{
	if (w->shows_progress && seconds() - w->start >= 1)
		fprintf(stderr, "\r%*s\r", BAR + 60, "");
}

/* ---- Threads ---- */

static void *
work(void *arg)
{
	Worker *me = arg;
	Work *w = me->work;

	for (;;) {
		size_t call = atomic_fetch_add(&w->next, 1);

		if (call >= w->x->calls)
			return NULL;
		engine_memory_of_call(w->x, call, me->in, me->out);
		llvm_jit_run(w->jit, me->in, me->out, me->arena);
		if (me->is_first)
			show_progress(w, call + 1);
	}
}

static int
count_threads(const Arrays *x, int threads)
{
	long n = threads ? threads : sysconf(_SC_NPROCESSORS_ONLN);

	if (n < 1 || (x->nstates && !x->reset_each))
		n = 1;
	return (size_t)n > x->calls ? (int)x->calls : (int)n;
}

static Worker
new_worker(Work *w, const Program *p, Arena *a)
{
	return (Worker){
		.work = w,
		.in = ARENA_ARRAY(a, const void *, w->x->ninputs),
		.out = ARENA_ARRAY(a, void *, w->x->noutputs),
		.arena = engine_arena(p, a),
	};
}

/* Starts what threads it can get; this one works too. */
static void
run_calls(Work *w, const Program *p, int threads, Arena *a)
{
	int n = count_threads(w->x, threads), started = 1;
	Worker *worker = ARENA_ARRAY(a, Worker, n > 0 ? n : 1);
	sigset_t all, old;

	if (n == 0)
		return;
	/* Signals go to this thread, which knows what to remove. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	worker[0] = new_worker(w, p, a);
	worker[0].is_first = true;
	for (; started < n; started++) {
		worker[started] = new_worker(w, p, a);
		if (pthread_create(&worker[started].thread, NULL, work, &worker[started]) != 0)
			break;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	work(&worker[0]);
	for (int i = 1; i < started; i++)
		pthread_join(worker[i].thread, NULL);
}

static LlvmJit *
compile(const Program *p, Job *j)
{
	guard_set_activity("compilation in memory", j->input->path);
	timing_begin(&j->timing, "compile");
	return llvm_jit(j->arena, p, j->options->level == '0' ? 0 : 2, &j->diag);
}

bool
engine_jit(const Program *p, const Arrays *x, Job *j)
{
	LlvmJit *jit = compile(p, j);
	Work w = {.jit = jit, .x = x, .shows_progress = isatty(STDERR_FILENO)};

	if (!jit)
		return false;
	guard_set_activity("running", j->input->path);
	timing_begin(&j->timing, "run");
	w.start = seconds();
	run_calls(&w, p, j->options->threads, j->arena);
	clear_progress(&w);
	return true;
}

/* ---- Many runs ---- */

struct EngineModel {
	const Program *p;
	const LlvmJit *jit; /* NULL: interpreted */
};

EngineModel *
engine_prepare(const Program *p, Arena *a, Job *j)
{
	EngineModel *m = ARENA_NEW(a, EngineModel);

	m->p = p;
	if (!llvm_major_version())
		return m;
	m->jit = llvm_jit(a, p, 2, &j->diag);
	return m->jit ? m : NULL;
}

static void
interpret(const Program *p, const Arrays *x, Arena *scratch)
{
	const void **in = ARENA_ARRAY(scratch, const void *, x->ninputs);
	void **out = ARENA_ARRAY(scratch, void *, x->noutputs);

	for (size_t call = 0; call < x->calls; call++) {
		engine_memory_of_call(x, call, in, out);
		program_run(p, in, out);
	}
}

void
engine_call(const EngineModel *m, const Arrays *x, int threads, Arena *scratch)
{
	Work w = {.jit = m->jit, .x = x};

	if (m->jit)
		run_calls(&w, m->p, x->nstates ? 1 : threads, scratch);
	else
		interpret(m->p, x, scratch);
}

void
engine_show_progress(Job *j, const char *what, double part)
{
	static double start, last;
	double now = seconds();
	char bar[BAR + 1];

	if (!isatty(STDERR_FILENO) || j->options->json)
		return;
	start = start > 0 ? start : now;
	if (part >= 1 && now - start >= 1) {
		fprintf(stderr, "\r%*s\r", BAR + 60, "");
		return;
	}
	if (now - start < 1 || now - last < 0.1)
		return;
	last = now;
	for (int i = 0; i < BAR; i++)
		bar[i] = i < part * (double)BAR ? '#' : '.';
	bar[BAR] = '\0';
	fprintf(stderr, "\r[%s] %s ", bar, what);
}

/* ---- Layer by layer ---- */

static void
print_layer(Str *s, const Step *step, double time, double total, size_t calls)
{
	double each = time / (double)calls;

	str_printf(s, "%-32s %-16s %12lld %12.2f %6.1f", step->name,
	           step->node ? op_info[step->node->op].name : "copy", (long long)step->macs,
	           1e6 * each, total > 0 ? 100 * time / total : 0);
	if (step->macs && each > 0)
		str_printf(s, " %10.2f", 1e-9 * (double)step->macs / each);
	str_putc(s, '\n');
}

bool
engine_profile(const Program *p, const Arrays *x, Job *j, Str *s)
{
	LlvmJit *jit = compile(p, j);
	Work w = {.jit = jit, .x = x};
	double *time = ARENA_ARRAY(j->arena, double, p->steps.n), total = 0;
	Worker me;

	if (!jit || x->calls == 0)
		return jit != NULL;
	me = new_worker(&w, p, j->arena);
	guard_set_activity("running", j->input->path);
	timing_begin(&j->timing, "run");
	for (size_t call = 0; call < x->calls; call++) {
		engine_memory_of_call(x, call, me.in, me.out);
		for (int i = 0; i < p->steps.n; i++) {
			double start = seconds();

			llvm_jit_run_step(jit, i, me.in, me.out, me.arena);
			time[i] += seconds() - start;
		}
	}
	for (int i = 0; i < p->steps.n; i++)
		total += time[i];
	str_printf(s, "%-32s %-16s %12s %12s %6s %10s\n", "layer", "operator", "MACs",
	           "microseconds", "%", "GMAC/s");
	for (int i = 0; i < p->steps.n; i++)
		print_layer(s, p->steps.v[i], time[i], total, x->calls);
	str_printf(s, "%-32s %-16s %12lld %12.2f %6.1f\n", "total", "", (long long)program_macs(p),
	           1e6 * total / (double)x->calls, 100.0);
	return true;
}
