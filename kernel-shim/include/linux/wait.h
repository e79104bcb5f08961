/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Wait queues: sleep until a condition holds.
 *
 *	waiter				waker
 *	  on the queue, state = sleeping  condition = true
 *	  condition? (no)		  wake_up(): state = running
 *	  schedule()
 *
 * I1. The waiter is on the queue and its state says "sleeping" before it looks at the condition, so
 *     a waker that makes the condition true afterwards finds it: no wake-up is lost.
 * I2. An entry lives on its waiter's stack and is on the queue only between prepare_to_wait() and
 *     finish_wait(), which takes the queue's lock; a waker touches entries under that lock.
 *
 * The condition is evaluated several times, without the queue's lock, in the waiter's thread. It
 * may take mutexes, but must not itself use the task's state (wait_event in wait_event costs a
 * look, it loses nothing).
 */
#ifndef KSHIM_LINUX_WAIT_H
#define KSHIM_LINUX_WAIT_H

#include <linux/list.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

struct wait_queue_entry;
/* Called by a waker under the queue's lock. Return: 0 when the entry did not want to wake. */
typedef int (*wait_queue_func_t)(struct wait_queue_entry *entry, unsigned mode, int flags,
				 void *key);

#define WQ_FLAG_EXCLUSIVE 0x01u

struct wait_queue_entry {
	unsigned int flags;
	struct task_struct *task;
	wait_queue_func_t func;
	struct list_head entry;
};
typedef struct wait_queue_entry wait_queue_entry_t;

struct wait_queue_head {
	spinlock_t lock;
	struct list_head head; /* protected by lock */
};
typedef struct wait_queue_head wait_queue_head_t;

#define DECLARE_WAIT_QUEUE_HEAD(name) wait_queue_head_t name = {{}, LIST_HEAD_INIT((name).head)}
#define DECLARE_WAIT_QUEUE_HEAD_ONSTACK(name) DECLARE_WAIT_QUEUE_HEAD(name)

void init_waitqueue_head(struct wait_queue_head *wq);
#define init_waitqueue_head(wq) (init_waitqueue_head)(kshim_named((wq), #wq))

/* Is anybody waiting? The caller orders its store of the condition before (smp_mb). */
bool waitqueue_active(struct wait_queue_head *wq);

/* Removes itself from the queue when it wakes its task. */
int autoremove_wake_function(struct wait_queue_entry *entry, unsigned mode, int flags, void *key);
/* Stays on the queue. */
int default_wake_function(struct wait_queue_entry *entry, unsigned mode, int flags, void *key);

/* An entry for the calling thread. */
void init_wait(struct wait_queue_entry *entry);
void init_waitqueue_func_entry(struct wait_queue_entry *entry, wait_queue_func_t func);
void add_wait_queue(struct wait_queue_head *wq, struct wait_queue_entry *entry);
void remove_wait_queue(struct wait_queue_head *wq, struct wait_queue_entry *entry);
void prepare_to_wait(struct wait_queue_head *wq, struct wait_queue_entry *entry, u32 state);
void prepare_to_wait_exclusive(struct wait_queue_head *wq, struct wait_queue_entry *entry,
			       u32 state);
void finish_wait(struct wait_queue_head *wq, struct wait_queue_entry *entry);

/**
 * __wake_up - wake the waiters of a queue
 * @nr_exclusive: how many exclusive waiters at most; 0 for all. Others are all woken.
 * @key: handed to the entries' functions
 *
 * Any context. Orders the caller's earlier stores before what the woken read. Return: how many
 * were woken.
 */
int __wake_up(struct wait_queue_head *wq, unsigned mode, int nr_exclusive, void *key);

#define wake_up(wq) __wake_up(wq, TASK_NORMAL, 1, nullptr)
#define wake_up_nr(wq, nr) __wake_up(wq, TASK_NORMAL, nr, nullptr)
#define wake_up_all(wq) __wake_up(wq, TASK_NORMAL, 0, nullptr)
#define wake_up_interruptible(wq) wake_up(wq)
#define wake_up_interruptible_all(wq) wake_up_all(wq)

/* The wait itself. @timeout: jiffies. Value: jiffies left, at least 1 when the condition holds. */
#define ___wait_event(wq, condition, exclusive, timeout)                                           \
	({                                                                                         \
		struct wait_queue_entry __wait_entry;                                              \
		long __wait_left = (timeout);                                                      \
                                                                                                   \
		init_wait(&__wait_entry);                                                          \
		for (;;) {                                                                         \
			if (exclusive)                                                             \
				prepare_to_wait_exclusive(&(wq), &__wait_entry,                    \
							  TASK_UNINTERRUPTIBLE);                   \
			else                                                                       \
				prepare_to_wait(&(wq), &__wait_entry, TASK_UNINTERRUPTIBLE);       \
			if (condition) {                                                           \
				if (__wait_left == 0)                                              \
					__wait_left = 1;                                           \
				break;                                                             \
			}                                                                          \
			if (__wait_left == 0)                                                      \
				break;                                                             \
			__wait_left = schedule_timeout(__wait_left);                               \
		}                                                                                  \
		finish_wait(&(wq), &__wait_entry);                                                 \
		__wait_left;                                                                       \
	})

#define wait_event(wq, condition)                                                                  \
	do {                                                                                       \
		if (condition)                                                                     \
			break;                                                                     \
		(void)___wait_event(wq, condition, false, MAX_SCHEDULE_TIMEOUT);                   \
	} while (0)

/* Exclusive: wake_up() wakes one of these only. */
#define wait_event_exclusive(wq, condition)                                                        \
	(void)___wait_event(wq, condition, true, MAX_SCHEDULE_TIMEOUT)

/* Value: 0 when the condition is still false after @timeout jiffies, else the jiffies left (>0). */
#define wait_event_timeout(wq, condition, timeout) ___wait_event(wq, condition, false, timeout)
#define wait_event_interruptible_timeout(wq, condition, timeout)                                   \
	wait_event_timeout(wq, condition, timeout)

#define wait_event_interruptible(wq, condition)                                                    \
	({                                                                                         \
		wait_event(wq, condition);                                                         \
		0;                                                                                 \
	})
#define wait_event_killable(wq, condition) wait_event_interruptible(wq, condition)

#endif
