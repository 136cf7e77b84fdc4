#define _XOPEN_SOURCE 700

#include "driver/guard.h"

#include <assert.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "driver/help.h"
#include "driver/options.h"

/* ---- Out of memory ---- */

static jmp_buf boundary;
static bool boundary_is_set;
static size_t bytes_wanted;

static void
out_of_memory(void *user, size_t bytes)
{
	(void)user;
	assert(boundary_is_set);
	bytes_wanted = bytes;
	longjmp(boundary, 1);
}

Arena *
guard_arena(size_t limit)
{
	Arena *a = arena_new(out_of_memory, NULL);

	arena_set_limit(a, limit);
	return a;
}

bool
guard_call(void (*fn)(void *arg), void *arg, size_t *bytes)
{
	bool done = setjmp(boundary) == 0;

	boundary_is_set = done;
	if (done)
		fn(arg);
	else
		*bytes = bytes_wanted;
	boundary_is_set = false;
	return done;
}

/* ---- Signals ---- */

enum { COMMAND_SIZE = 4000, STACK_SIZE = 64 << 10 };

/* Read by signal handlers, so all of it is prepared in advance. */
static const char *program_name;
static char command_line[COMMAND_SIZE];
static const char *volatile activity_what;
static const char *volatile activity_file;

void
guard_set_activity(const char *what, const char *file)
{
	activity_what = what;
	activity_file = file;
}

static void
say(const char *text)
{
	ssize_t ignored = write(STDERR_FILENO, text, strlen(text));

	(void)ignored; /* nothing is left to be done about it */
}

/* Ends the process with what to report. */
static _Noreturn void
report_bug(const char *problem)
{
	const char *what = activity_what, *file = activity_file;

	file_remove_pending();
	say(program_name);
	say(": internal error: ");
	say(problem);
	if (what) {
		say(" during ");
		say(what);
	}
	if (file) {
		say(" of '");
		say(file);
		say("'");
	}
	say("\nThis is a bug in mcc ");
	say(mcc_version);
	say(". Please report it with the model and this command:\n  ");
	say(command_line);
	say("\n");
	_exit(EXIT_INTERNAL);
}

static void
on_crash(int signal_number)
{
	signal(signal_number, SIG_DFL);
	report_bug(signal_number == SIGABRT  ? "an assertion failed"
	           : signal_number == SIGSEGV ? "bad memory access or stack overflow"
	           : signal_number == SIGBUS  ? "bad memory access; was the model changed meanwhile?"
	                                      : "bad instruction");
}

void
guard_fatal(const char *reason)
{
	report_bug(reason);
}

static void
on_interrupt(int signal_number)
{
	sigset_t set;

	file_remove_pending();
	signal(signal_number, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, signal_number);
	raise(signal_number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* The handler; a signal that the parent had ignored stays ignored. */
static void
handle(int signal_number, void (*handler)(int), int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags}, old;

	sigfillset(&action.sa_mask);
	if (sigaction(signal_number, NULL, &old) == 0 && old.sa_handler == SIG_IGN)
		return;
	sigaction(signal_number, &action, NULL);
}

static void
remember_command(int argc, char **argv)
{
	Arena *a = arena_new(NULL, NULL);
	Str s;

	str_init(&s, a);
	for (int i = 0; i < argc; i++) {
		if (i)
			str_putc(&s, ' ');
		quote_word(&s, argv[i]);
	}
	snprintf(command_line, sizeof command_line, "%s", s.s);
	arena_free(a);
}

void
guard_install(const char *program, int argc, char **argv)
{
	static char stack[STACK_SIZE]; /* for the handler of a stack overflow */
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};

	program_name = program;
	remember_command(argc, argv);
	handle(SIGINT, on_interrupt, 0);
	handle(SIGTERM, on_interrupt, 0);
	handle(SIGHUP, on_interrupt, 0);
	handle(SIGPIPE, on_interrupt, 0);
	signal(SIGXFSZ, SIG_IGN); /* the write fails instead */
#if !defined(MCC_SANITIZE)
	/* Under sanitizers their own reports are worth more. */
	sigaltstack(&alternate, NULL);
	handle(SIGABRT, on_crash, SA_ONSTACK);
	handle(SIGSEGV, on_crash, SA_ONSTACK);
	handle(SIGBUS, on_crash, SA_ONSTACK);
	handle(SIGFPE, on_crash, SA_ONSTACK);
	handle(SIGILL, on_crash, SA_ONSTACK);
#else
	(void)alternate;
	(void)on_crash;
#endif
}
