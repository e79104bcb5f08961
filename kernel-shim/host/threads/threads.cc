// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The host that users run on: pthreads, futexes and the monotonic clock (<kshim/host.h>).
 *
 * A kshim_wait() is one FUTEX_WAIT_BITSET with an absolute deadline, so a thread that waits for
 * something costs nothing until it happens. Every result of pthread_* is looked at: what can fail
 * for want of resources is reported to the caller, the rest is a violation.
 */
#include <kshim/host.h>
#include <linux/err.h>

#include <errno.h>
#include <linux/futex.h>
#include <new>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

__thread struct kshim_self kshim_self_of_thread;

struct kshim_thread {
	pthread_t pthread;
	void (*fn)(void *);
	void *arg;
	char name[16]; /* the limit of pthread_setname_np */
};

u64 kshim_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000u + (u64)ts.tv_nsec;
}

int kshim_wait(const u32 *word, u32 expected, u64 deadline_ns, const char *)
{
	struct timespec deadline, *timeout = nullptr;
	int saved_errno = errno, err;

	if (deadline_ns != KSHIM_FOREVER) {
		deadline.tv_sec = (time_t)(deadline_ns / 1000000000u);
		deadline.tv_nsec = (long)(deadline_ns % 1000000000u);
		timeout = &deadline;
	}
	err = syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected, timeout,
		      nullptr, FUTEX_BITSET_MATCH_ANY)
		      ? errno
		      : 0;
	/* Callers include signal handlers, whose errno is somebody else's. */
	errno = saved_errno;
	if (err == ETIMEDOUT)
		return -ETIMEDOUT;
	if (err && err != EAGAIN && err != EINTR)
		kshim_violation("futex wait on %p failed: %s", (const void *)word, strerror(err));
	return 0;
}

void kshim_wake(const u32 *word, int n)
{
	int saved_errno = errno;

	/* EFAULT: the word's memory is gone, and with it everybody who slept on it. */
	if (syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, n) < 0 && errno != EFAULT)
		kshim_violation("futex wake on %p failed: %s", (const void *)word, strerror(errno));
	errno = saved_errno;
}

static void *thread_main(void *arg)
{
	struct kshim_thread *thread = (struct kshim_thread *)arg;

	/* Only a name in ps; a host that refuses it loses nothing else. */
	(void)pthread_setname_np(pthread_self(), thread->name);
	thread->fn(thread->arg);
	return nullptr;
}

struct kshim_thread *kshim_thread_start(const char *name, void (*fn)(void *), void *arg)
{
	struct kshim_thread *thread = new (std::nothrow) kshim_thread{};
	int err;

	if (!thread)
		return ERR_PTR(-ENOMEM);
	thread->fn = fn;
	thread->arg = arg;
	snprintf(thread->name, sizeof(thread->name), "%s", name);
	err = pthread_create(&thread->pthread, nullptr, thread_main, thread);
	if (err) {
		delete thread;
		return ERR_PTR(-err);
	}
	return thread;
}

int kshim_thread_join(struct kshim_thread *thread)
{
	int err = pthread_join(thread->pthread, nullptr);

	if (err)
		return -err;
	delete thread;
	return 0;
}

void kshim_yield(void)
{
	(void)sched_yield(); /* cannot fail on Linux */
}

unsigned kshim_cpu(void)
{
	int cpu = sched_getcpu();

	return cpu < 0 ? 0 : (unsigned)cpu;
}

unsigned kshim_nr_cpus(void)
{
	static const long nr = sysconf(_SC_NPROCESSORS_ONLN);

	return nr > 0 ? (unsigned)nr : 1;
}

static void self_exit(void *p)
{
	struct kshim_self *self = (struct kshim_self *)p;

	if (self->exit_fn)
		self->exit_fn(self);
	self->exit_fn = nullptr;
}

/* The one key of the process; its value in a thread is the thread's own kshim_self. */
struct exit_key {
	pthread_key_t key;
	int err;

	exit_key() : err(pthread_key_create(&key, self_exit)) {}
};

int kshim_self_set_exit(void (*exit_fn)(struct kshim_self *self))
{
	static const exit_key exit_key;
	struct kshim_self *self = kshim_self();

	if (exit_key.err)
		return -exit_key.err;
	self->exit_fn = exit_fn;
	return -pthread_setspecific(exit_key.key, self);
}

void kshim_write_log(const char *line, size_t length)
{
	while (length) {
		ssize_t n = write(STDERR_FILENO, line, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* nowhere left to complain */
		line += n;
		length -= (size_t)n;
	}
}

void kshim_violation(const char *fmt, ...)
{
	char line[1000];
	va_list args;
	int n;

	va_start(args, fmt);
	n = snprintf(line, sizeof(line), "pvshim: BUG: ");
	n += vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, args);
	va_end(args);
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n] = '\n';
	kshim_write_log(line, (size_t)n + 1);
	abort();
}
