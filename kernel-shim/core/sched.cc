// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Threads that sleep and wake (<linux/sched.h>), and sleeping for a time.
 *
 * A task sleeps on the word of its own state. The waker exchanges the state, so of two wakers one
 * wakes; the sleeper's "state = sleeping; look at the condition" and the waker's "condition = true;
 * look at the state" are each ordered by a full barrier, so one of the two sees the other.
 */
#include <kshim/mutant.h>
#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/sched.h>

struct task_struct *get_current(void)
{
	struct kshim_self *self = kshim_self();

	if (self->task)
		return (struct task_struct *)self->task;
	return (struct task_struct *)self->storage;
}

void __set_current_state(u32 state)
{
	WRITE_ONCE(current->__state, state);
}

void set_current_state(u32 state)
{
	/* Mutant: the store waits in its buffer while the condition is looked at (only in tso). */
	if (KSHIM_MUTANT(state_without_barrier)) {
		__set_current_state(state);
		return;
	}
	/* Pairs with the exchange in wake_up_process(). */
	smp_store_mb(current->__state, state);
}

/* Sleeps until the state is TASK_RUNNING. Return: 0 or -ETIMEDOUT. */
static int schedule_until(u64 deadline_ns)
{
	struct task_struct *task = current;
	int ret = 0;
	u32 state;

	while ((state = smp_load_acquire(&task->__state)) != TASK_RUNNING) {
		if (ret)
			return ret;
		ret = kshim_wait(&task->__state, state, deadline_ns, "wake-up");
	}
	return 0;
}

void schedule(void)
{
	(void)schedule_until(KSHIM_FOREVER);
}

long schedule_timeout(long timeout)
{
	u64 now = kshim_now_ns(), deadline;

	if (timeout == MAX_SCHEDULE_TIMEOUT) {
		schedule();
		return timeout;
	}
	if (timeout < 0)
		timeout = 0;
	if (__builtin_mul_overflow((u64)timeout, (u64)KSHIM_NSEC_PER_JIFFY, &deadline) ||
	    __builtin_add_overflow(deadline, now, &deadline))
		deadline = KSHIM_FOREVER - 1;
	(void)schedule_until(deadline);
	__set_current_state(TASK_RUNNING);
	now = kshim_now_ns();
	if (now >= deadline)
		return 0;
	return (long)DIV_ROUND_UP(deadline - now, (u64)KSHIM_NSEC_PER_JIFFY);
}

long schedule_timeout_uninterruptible(long timeout)
{
	__set_current_state(TASK_UNINTERRUPTIBLE);
	return schedule_timeout(timeout);
}

int wake_up_process(struct task_struct *task)
{
	/* A full barrier: pairs with set_current_state(). */
	if (xchg(&task->__state, TASK_RUNNING) == TASK_RUNNING)
		return 0;
	kshim_wake(&task->__state, 1);
	return 1;
}

int cond_resched(void)
{
	kshim_point(KSHIM_YIELD, nullptr, 0);
	return 0;
}

void yield(void)
{
	kshim_yield();
}

/* Sleeps without regard to wake-ups, on a word that nobody else knows. */
static void sleep_ns(u64 ns)
{
	u64 deadline = kshim_now_ns() + ns;
	const u32 word = 0;

	while (kshim_wait(&word, 0, deadline, "time") != -ETIMEDOUT)
		;
}

void msleep(unsigned int ms)
{
	sleep_ns((u64)ms * 1000000);
}

void usleep_range(unsigned long min_us, unsigned long)
{
	sleep_ns((u64)min_us * 1000);
}

void udelay(unsigned long us)
{
	sleep_ns((u64)us * 1000);
}

void ndelay(unsigned long ns)
{
	sleep_ns(ns);
}
