/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads as the kernel side sees them.
 *
 * Every thread has a task_struct: a kthread's is its own object, any other thread's lives in the
 * room the host keeps in the thread (struct kshim_self) and is zero until used. So `current` works
 * in a signal handler and in threads of libraries, and costs no allocation.
 *
 * Sleeping, in Linux's way:
 *
 *	set_current_state(TASK_UNINTERRUPTIBLE);	// orders against the waker's store
 *	if (!condition)
 *		schedule();				// returns once wake_up_process() ran
 *	__set_current_state(TASK_RUNNING);
 *
 * I1. __state is written by its task, and by wakers only to TASK_RUNNING.
 * KSHIM: there are no signals: TASK_INTERRUPTIBLE is TASK_UNINTERRUPTIBLE, and the _interruptible
 * forms of waiting return 0.
 */
#ifndef KSHIM_LINUX_SCHED_H
#define KSHIM_LINUX_SCHED_H

#include <linux/compiler.h>
#include <linux/types.h>

struct kshim_fixup;
struct kthread;
struct mm_struct;
struct pv_machine;
struct work_struct;

#define TASK_RUNNING 0u
#define TASK_INTERRUPTIBLE 1u
#define TASK_UNINTERRUPTIBLE 2u
#define TASK_IDLE TASK_UNINTERRUPTIBLE
#define TASK_NORMAL (TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE)

#define TASK_COMM_LEN 16
#define MAX_SCHEDULE_TIMEOUT ((long)(~0UL >> 1))

struct task_struct {
	u32 __state;
	int pid; /* of kthreads: unique in the machine; 0 for other threads */
	char comm[TASK_COMM_LEN];
	struct pv_machine *machine; /* what current_machine() returns */
	struct mm_struct *mm;       /* the address space that user accesses go to */
	struct kthread *kthread;    /* null unless made by kthread_create() */
	/* Private to core/rcu.cc. */
	unsigned int rcu_nesting;
	unsigned int rcu_slot;
	bool rcu_registered;
	/* Private to core/workqueue.cc: the work this thread is executing. */
	struct work_struct *work;
	/* Private to mmu/trap.cc: the innermost kshim_try() this thread is in. */
	struct kshim_fixup *fixup;
};
static_assert(sizeof(struct task_struct) <= KSHIM_SELF_BYTES,
	      "current must fit in the host's room");

struct task_struct *get_current(void);

/*
 * KSHIM: an object and not a macro, so that the name stays free for members and parameters of
 * other people's headers (std::source_location::current).
 */
struct kshim_current {
	operator struct task_struct *() const { return get_current(); }
	struct task_struct *operator->() const { return get_current(); }
};
inline constexpr struct kshim_current current;

void __set_current_state(u32 state);
void set_current_state(u32 state);

/* Sleeps until the state is TASK_RUNNING; returns at once when it is. */
void schedule(void);

/**
 * schedule_timeout - schedule(), but not past @timeout jiffies
 * Return: the jiffies that were left, 0 when the time ran out.
 */
long schedule_timeout(long timeout);
long schedule_timeout_uninterruptible(long timeout);

/* Return: 1 when @task slept (or was about to), 0 when it ran anyway. Any context. */
int wake_up_process(struct task_struct *task);

/* A place where others may run. Return: 0. */
int cond_resched(void);
void yield(void);

static inline bool signal_pending(struct task_struct *)
{
	return false;
}

static inline int task_pid_nr(const struct task_struct *task)
{
	return task->pid;
}

#define smp_processor_id() kshim_cpu()
#define num_online_cpus() kshim_nr_cpus()
#define might_sleep()                                                                              \
	do {                                                                                       \
	} while (0)

#endif
