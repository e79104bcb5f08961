// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Wait queues and completions (<linux/wait.h>, <linux/completion.h>).
 *
 *	head -> others, newest first -> exclusive waiters, oldest first -> head
 *
 * so that a wake-up reaches all the others before it counts exclusive ones.
 *
 * Locks: each queue's own lock guards its ring and, for a completion, `done`. A waker calls the
 * entries' functions with it held; they must not use the same queue.
 */
#include <kshim/mutant.h>
#include <linux/bug.h>
#include <linux/completion.h>
#include <linux/wait.h>

#include <limits.h>

void(init_waitqueue_head)(struct wait_queue_head *wq)
{
	(spin_lock_init)(&wq->lock);
	INIT_LIST_HEAD(&wq->head);
}

bool waitqueue_active(struct wait_queue_head *wq)
{
	return !list_empty(&wq->head);
}

int default_wake_function(struct wait_queue_entry *entry, unsigned, int, void *)
{
	return wake_up_process(entry->task);
}

int autoremove_wake_function(struct wait_queue_entry *entry, unsigned mode, int flags, void *key)
{
	int woken = default_wake_function(entry, mode, flags, key);

	/* A waiter that was awake keeps its place: it is about to leave or to look again. */
	if (woken)
		list_del_init(&entry->entry);
	return woken;
}

void init_wait(struct wait_queue_entry *entry)
{
	init_waitqueue_func_entry(entry, autoremove_wake_function);
}

void init_waitqueue_func_entry(struct wait_queue_entry *entry, wait_queue_func_t func)
{
	entry->flags = 0;
	entry->task = current;
	entry->func = func;
	INIT_LIST_HEAD(&entry->entry);
}

void add_wait_queue(struct wait_queue_head *wq, struct wait_queue_entry *entry)
{
	guard(spinlock)(&wq->lock);
	entry->flags &= ~WQ_FLAG_EXCLUSIVE;
	list_add(&entry->entry, &wq->head);
}

void remove_wait_queue(struct wait_queue_head *wq, struct wait_queue_entry *entry)
{
	guard(spinlock)(&wq->lock);
	list_del_init(&entry->entry);
}

void prepare_to_wait(struct wait_queue_head *wq, struct wait_queue_entry *entry, u32 state)
{
	guard(spinlock)(&wq->lock);
	entry->flags &= ~WQ_FLAG_EXCLUSIVE;
	if (list_empty(&entry->entry))
		list_add(&entry->entry, &wq->head);
	set_current_state(state);
}

void prepare_to_wait_exclusive(struct wait_queue_head *wq, struct wait_queue_entry *entry,
			       u32 state)
{
	guard(spinlock)(&wq->lock);
	entry->flags |= WQ_FLAG_EXCLUSIVE;
	if (list_empty(&entry->entry))
		list_add_tail(&entry->entry, &wq->head);
	set_current_state(state);
}

void finish_wait(struct wait_queue_head *wq, struct wait_queue_entry *entry)
{
	__set_current_state(TASK_RUNNING);
	bool woken;

	/*
	 * Always under the lock: a waker that took the entry off may still be using it, and the
	 * entry is on our stack.
	 */
	scoped_guard (spinlock, &wq->lock) {
		woken = list_empty(&entry->entry);
		list_del_init(&entry->entry);
	}
	/*
	 * A wake-up for one that came after our last look: we leave and do not need it, so it is
	 * for the next. (Two waiters, two tokens: without this the second one slept for ever. The
	 * mutant leaves it out.)
	 */
	if (woken && (entry->flags & WQ_FLAG_EXCLUSIVE) && !KSHIM_MUTANT(wait_keeps_wake_up))
		wake_up(wq);
}

static int __wake_up_locked(struct wait_queue_head *wq, unsigned mode, int nr_exclusive, void *key)
{
	struct wait_queue_entry *entry, *next;
	int woken = 0;

	list_for_each_entry_safe (entry, next, &wq->head, entry) {
		unsigned int flags = entry->flags;

		if (!entry->func(entry, mode, 0, key))
			continue;
		woken++;
		if ((flags & WQ_FLAG_EXCLUSIVE) && --nr_exclusive == 0)
			break;
	}
	return woken;
}

int __wake_up(struct wait_queue_head *wq, unsigned mode, int nr_exclusive, void *key)
{
	guard(spinlock)(&wq->lock);
	return __wake_up_locked(wq, mode, nr_exclusive, key);
}

void(init_completion)(struct completion *x)
{
	x->done = 0;
	(init_waitqueue_head)(&x->wait);
}

void reinit_completion(struct completion *x)
{
	guard(spinlock)(&x->wait.lock);
	x->done = 0;
}

void complete(struct completion *x)
{
	guard(spinlock)(&x->wait.lock);
	if (x->done != UINT_MAX)
		x->done++;
	__wake_up_locked(&x->wait, TASK_NORMAL, 1, nullptr);
}

void complete_all(struct completion *x)
{
	guard(spinlock)(&x->wait.lock);
	x->done = UINT_MAX;
	__wake_up_locked(&x->wait, TASK_NORMAL, 0, nullptr);
}

bool try_wait_for_completion(struct completion *x)
{
	guard(spinlock)(&x->wait.lock);
	if (!x->done)
		return false;
	if (x->done != UINT_MAX)
		x->done--;
	return true;
}

bool completion_done(struct completion *x)
{
	guard(spinlock)(&x->wait.lock);
	return x->done != 0;
}

void wait_for_completion(struct completion *x)
{
	(void)___wait_event(x->wait, try_wait_for_completion(x), true, MAX_SCHEDULE_TIMEOUT);
}

unsigned long wait_for_completion_timeout(struct completion *x, unsigned long timeout)
{
	if (timeout > MAX_SCHEDULE_TIMEOUT)
		timeout = MAX_SCHEDULE_TIMEOUT;
	return (unsigned long)___wait_event(x->wait, try_wait_for_completion(x), true,
					    (long)timeout);
}
