// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * trap.cc - the signals of refused accesses, and kshim_try()
 *
 *      SIGSEGV, SIGBUS of an instruction --> the host's part resolves it    return: made again
 *                                        --> kshim_try() of this thread     jump
 *                                        --> in an explored world           violation, after it
 *                                        --> the disposition before ours    its handler, or death
 *
 * I1. Our handler runs with no signal blocked by it (SA_NODEFER, empty mask), so faults nest and a
 *     jump out of it leaves no mask behind.
 * I2. What was installed before us gets every signal we do not use, called the way it asked for.
 *
 * KSHIM: dispositions belong to the process, so this file has the one piece of state that hangs off
 * no machine: how many need the handlers (each machine; of a search the memory that its worlds
 * share, and the real MMU, explore/real_mmu.cc), and what was there before. `lock` guards changes;
 * the handlers read `previous`, which is written before they can run and stays as it was when they
 * are gone.
 */
#include "mmu_internal.h"

#include <kshim/host.h>
#include <linux/cleanup.h>
#include <linux/sched.h>

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

struct kshim_fixup {
	struct kshim_fixup *outer;
	jmp_buf env;
};

static const int trap_signals[2] = {SIGSEGV, SIGBUS};

/*
 * A lock of the host's: an explored world comes here in the middle of a step, and who else wants it
 * need not be in that world.
 */
struct __capability("mutex") host_mutex
{
	pthread_mutex_t mutex;
};

static void host_mutex_lock(struct host_mutex *lock) __acquires(lock);
static void host_mutex_lock(struct host_mutex *lock) __no_thread_safety_analysis
{
	if (pthread_mutex_lock(&lock->mutex))
		kshim_violation("mmu: the lock of the signal handlers is broken");
}

static void host_mutex_unlock(struct host_mutex *lock) __releases(lock);
static void host_mutex_unlock(struct host_mutex *lock) __no_thread_safety_analysis
{
	if (pthread_mutex_unlock(&lock->mutex))
		kshim_violation("mmu: the lock of the signal handlers is broken");
}

DEFINE_LOCK_GUARD_1(host_mutex, struct host_mutex, host_mutex_lock, host_mutex_unlock)

static struct {
	struct host_mutex lock;
	unsigned int users __guarded_by(lock);
	struct sigaction previous[2];
	/* Somebody's handler was on top of ours when we wanted ours away. */
	bool buried[2] __guarded_by(lock);
} traps = {.lock = {PTHREAD_MUTEX_INITIALIZER}};

static const struct sigaction *previous_action(int sig)
{
	return &traps.previous[sig == SIGBUS];
}

/* As if we were not there. Returns when a handler did, or to let the access kill. */
static void chain(int sig, siginfo_t *info, void *context)
{
	const struct sigaction *previous = previous_action(sig);
	bool from_instruction = info->si_code > 0;
	sigset_t mask, saved;

	if (!(previous->sa_flags & SA_SIGINFO)) {
		if (previous->sa_handler == SIG_IGN && !from_instruction)
			return;
		if (previous->sa_handler == SIG_DFL || previous->sa_handler == SIG_IGN) {
			struct sigaction fatal = {};

			fatal.sa_handler = SIG_DFL;
			sigaction(sig, &fatal, nullptr);
			if (!from_instruction)
				raise(sig);
			return;
		}
	}
	mask = previous->sa_mask;
	if (!(previous->sa_flags & SA_NODEFER))
		sigaddset(&mask, sig);
	pthread_sigmask(SIG_BLOCK, &mask, &saved);
	if (previous->sa_flags & SA_SIGINFO)
		previous->sa_sigaction(sig, info, context);
	else
		previous->sa_handler(sig);
	pthread_sigmask(SIG_SETMASK, &saved, nullptr);
}

#if KSHIM_EXPLORE

/* Nobody expected it: in an explored world that is a finding, with a schedule to it. */
[[noreturn]] static void report_refused(const void *addr, const void *from, bool write)
{
	char what[96], where[96];

	kshim_describe(addr, what, sizeof(what));
	kshim_describe(from, where, sizeof(where));
	kshim_violation("%s %s unmapped memory at %s", where, write ? "writes" : "reads", what);
}

/* As if the instruction at %rsi had called the function at %rax. */
__attribute__((naked)) static void call_from_access(void)
{
	__asm__("push %rsi\n\tjmp *%rax");
}

/*
 * A report allocates, which a signal handler must not: the thread makes it where the access was,
 * when the handler has returned. The registers are lost with the access, which is not made again.
 * Return: false when this thread is in no explored world.
 */
static bool report_in_world(const siginfo_t *info, ucontext_t *uc, bool write)
{
	greg_t *regs = uc->uc_mcontext.gregs;
	constexpr greg_t red_zone = 128, stack_align = 16, direction_flag = 1 << 10;

	if (!kshim_world_mmu())
		return false;
	regs[REG_RDI] = (greg_t)info->si_addr;
	regs[REG_RSI] = regs[REG_RIP];
	regs[REG_RDX] = write;
	regs[REG_RAX] = (greg_t)report_refused;
	regs[REG_RIP] = (greg_t)call_from_access;
	regs[REG_RSP] = (regs[REG_RSP] - red_zone) & -stack_align;
	regs[REG_EFL] &= ~direction_flag;
	return true;
}

#else

static bool report_in_world(const siginfo_t *, ucontext_t *, bool)
{
	return false;
}

#endif

static void trap_handler(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = (ucontext_t *)context;
	int saved_errno = errno;

	/* si_code <= 0: kill(2) and the like, no access to speak of. */
	if (likely(info->si_code > 0)) {
		/* Bit 1 of the page fault's error code: it was a write. */
		bool write = uc->uc_mcontext.gregs[REG_ERR] & 2;

		if (likely(mmu_resolve_trap((unsigned long)info->si_addr, write)) ||
		    (write && mmu_direct_map_trap((unsigned long)info->si_addr, context))) {
			errno = saved_errno;
			return;
		}
		mmu_report_refused((unsigned long)info->si_addr, write);
		errno = saved_errno;
		mmu_fixup_jump();
		if (report_in_world(info, uc, write))
			return;
	}
	chain(sig, info, context);
	errno = saved_errno;
}

static bool is_ours(const struct sigaction *action)
{
	return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == trap_handler;
}

static int install(int sig, struct sigaction *previous)
{
	struct sigaction ours = {};

	/* Before ours can run. */
	if (sigaction(sig, nullptr, previous))
		return -errno;
	ours.sa_sigaction = trap_handler;
	/* On the stack that whoever we chain to counts on. */
	ours.sa_flags = SA_SIGINFO | SA_NODEFER | (previous->sa_flags & SA_ONSTACK);
	sigemptyset(&ours.sa_mask);
	return sigaction(sig, &ours, nullptr) ? -errno : 0;
}

/*
 * Somebody who came after us keeps his handler, and chains to ours if he is kind: it goes on
 * chaining.
 * Return: false when ours is still there below his.
 */
static bool uninstall(int sig, const struct sigaction *previous)
{
	struct sigaction now;

	if (sigaction(sig, nullptr, &now) || !is_ours(&now))
		return false;
	return sigaction(sig, previous, nullptr) == 0;
}

/* Is ours there, on top or below a handler that chains? Then a second time would be a circle. */
static bool is_installed(int sig, bool buried)
{
	struct sigaction now;

	if (sigaction(sig, nullptr, &now))
		return false;
	if (is_ours(&now))
		return true;
	return buried && ((now.sa_flags & SA_SIGINFO) ||
			  (now.sa_handler != SIG_DFL && now.sa_handler != SIG_IGN));
}

int mmu_traps_get(void)
{
	guard(host_mutex)(&traps.lock);
	if (traps.users > 0) {
		traps.users++;
		return 0;
	}
	for (size_t i = 0; i < 2; i++) {
		int err;

		if (is_installed(trap_signals[i], traps.buried[i]))
			continue;
		err = install(trap_signals[i], &traps.previous[i]);
		if (err) {
			if (i == 1)
				traps.buried[0] = !uninstall(trap_signals[0], &traps.previous[0]);
			return err;
		}
	}
	traps.users = 1;
	return 0;
}

void mmu_traps_put(void)
{
	guard(host_mutex)(&traps.lock);
	if (--traps.users > 0)
		return;
	for (size_t i = 0; i < 2; i++)
		traps.buried[i] = !uninstall(trap_signals[i], &traps.previous[i]);
}

void mmu_fixup_jump(void)
{
	struct kshim_fixup *fixup = current->fixup;

	if (fixup)
		_longjmp(fixup->env, 1);
}

bool kshim_try(void (*fn)(void *arg), void *arg)
{
	struct task_struct *task = current;
	struct kshim_fixup fixup;

	fixup.outer = task->fixup;
	if (_setjmp(fixup.env)) {
		current->fixup = fixup.outer;
		return false;
	}
	task->fixup = &fixup;
	fn(arg);
	task->fixup = fixup.outer;
	return true;
}

struct probe {
	void *dst;
	const void *src;
	size_t len;
};

/* Not memcpy(): a sanitizer's would look at the addresses first, and they may be anything. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PROBE_ATTRIBUTES __attribute__((no_sanitize("address", "thread")))
#else
#define PROBE_ATTRIBUTES
#endif

PROBE_ATTRIBUTES static void probe_copy(void *arg)
{
	const struct probe *probe = (const struct probe *)arg;
	void *dst = probe->dst;
	const void *src = probe->src;
	size_t len = probe->len;

	__asm__ __volatile__("rep movsb" : "+D"(dst), "+S"(src), "+c"(len) : : "memory");
}

int kshim_probe_read(void *dst, const void *addr, size_t len)
{
	struct probe probe = {dst, addr, len};

	return kshim_try(probe_copy, &probe) ? 0 : -EFAULT;
}

int kshim_probe_write(void *addr, const void *src, size_t len)
{
	struct probe probe = {addr, src, len};

	return kshim_try(probe_copy, &probe) ? 0 : -EFAULT;
}
