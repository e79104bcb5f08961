// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Timers (<linux/timer.h>): one thread a machine, which sleeps until the earliest deadline.
 *
 *	base->root: a pairing heap by (expires, sequence)
 *
 *	        r                 prev of a first child is its parent,
 *	      / child             prev of any other its left sibling
 *	     a -sibling- b - c
 *
 * I1. A timer is in the heap exactly while `pending`.
 * I2. base->running is the timer whose function the thread is in; it is compared, never followed,
 *     for the function may have freed the timer.
 * I3. The thread sleeps with `word` unchanged and sleep_until no later than the root's deadline:
 *     whoever makes an earlier root changes the word. A later deadline needs no wake-up.
 *
 * Locks: base->lock guards the heap and everything named here. Functions run without it.
 */
#include "core.h"

#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <linux/wait.h>

struct timer_base {
	spinlock_t lock;
	struct timer_list *root __guarded_by(lock);
	u64 sequence __guarded_by(lock);
	u64 sleep_until __guarded_by(lock); /* ns; 0 while the thread is awake */
	bool stop __guarded_by(lock);
	struct timer_list *running;  /* written under lock, read by waiters without */
	u32 word;                    /* changes when the thread must look again */
	struct wait_queue_head idle; /* woken when a function has returned */
	struct task_struct *task;
};

static bool timer_earlier(const struct timer_list *a, const struct timer_list *b)
{
	if (a->expires != b->expires)
		return time_before(a->expires, b->expires);
	return a->sequence < b->sequence;
}

/* Makes the later of two roots the first child of the earlier. */
static struct timer_list *heap_meld(struct timer_list *a, struct timer_list *b)
{
	if (!a || !b)
		return a ? a : b;
	if (timer_earlier(b, a)) {
		struct timer_list *t = a;

		a = b;
		b = t;
	}
	b->sibling = a->child;
	if (b->sibling)
		b->sibling->prev = b;
	b->prev = a;
	a->child = b;
	return a;
}

/* One heap of a list of siblings: melds pairs left to right, then the results right to left. */
static struct timer_list *heap_meld_siblings(struct timer_list *first)
{
	struct timer_list *pairs = nullptr, *root = nullptr;

	while (first) {
		struct timer_list *a = first, *b = a->sibling, *pair;

		first = b ? b->sibling : nullptr;
		a->sibling = a->prev = nullptr;
		if (b)
			b->sibling = b->prev = nullptr;
		pair = heap_meld(a, b);
		pair->sibling = pairs;
		pairs = pair;
	}
	while (pairs) {
		struct timer_list *next = pairs->sibling;

		pairs->sibling = nullptr;
		root = heap_meld(root, pairs);
		pairs = next;
	}
	return root;
}

static void heap_insert(struct timer_base *base, struct timer_list *timer) __must_hold(base->lock);
static void heap_insert(struct timer_base *base, struct timer_list *timer)
{
	timer->child = timer->sibling = timer->prev = nullptr;
	timer->sequence = ++base->sequence;
	WRITE_ONCE(timer->pending, true);
	base->root = heap_meld(base->root, timer);
}

static void heap_remove(struct timer_base *base, struct timer_list *timer) __must_hold(base->lock);
static void heap_remove(struct timer_base *base, struct timer_list *timer)
{
	struct timer_list *children = heap_meld_siblings(timer->child);

	if (timer == base->root) {
		base->root = children;
	} else {
		if (timer->prev->child == timer)
			timer->prev->child = timer->sibling;
		else
			timer->prev->sibling = timer->sibling;
		if (timer->sibling)
			timer->sibling->prev = timer->prev;
		base->root = heap_meld(base->root, children);
	}
	timer->child = timer->sibling = timer->prev = nullptr;
	WRITE_ONCE(timer->pending, false);
}

static u64 timer_deadline_ns(const struct timer_list *timer)
{
	u64 ns;

	if (__builtin_mul_overflow((u64)timer->expires, (u64)KSHIM_NSEC_PER_JIFFY, &ns))
		return KSHIM_FOREVER;
	return ns;
}

static void timer_base_kick(struct timer_base *base) __must_hold(base->lock);
static void timer_base_kick(struct timer_base *base)
{
	base->sleep_until = 0;
	WRITE_ONCE(base->word, base->word + 1);
	kshim_wake(&base->word, 1);
}

/* Runs the earliest timer when it is due. Drops the lock around its function. */
static bool timer_run_one(struct timer_base *base) __must_hold(base->lock);
static bool timer_run_one(struct timer_base *base)
{
	struct timer_list *timer = base->root;
	void (*function)(struct timer_list *);

	if (!timer || time_after(timer->expires, jiffies))
		return false;
	heap_remove(base, timer);
	function = timer->function;
	WRITE_ONCE(base->running, timer);
	spin_unlock(&base->lock);

	function(timer);

	spin_lock(&base->lock);
	/* Pairs with del_timer_sync(): what the function did is seen by who waited for it. */
	smp_store_release(&base->running, nullptr);
	wake_up_all(&base->idle);
	return true;
}

static int timer_thread(void *data)
{
	struct timer_base *base = (struct timer_base *)data;

	guard(spinlock)(&base->lock);
	while (!base->stop) {
		u32 word;

		if (timer_run_one(base))
			continue;
		base->sleep_until = base->root ? timer_deadline_ns(base->root) : KSHIM_FOREVER;
		word = base->word;
		u64 deadline = base->sleep_until;
		spin_unlock(&base->lock);
		(void)kshim_wait(&base->word, word, deadline, "the next timer");
		spin_lock(&base->lock);
		base->sleep_until = 0;
	}
	return 0;
}

void(timer_setup)(struct timer_list *timer, void (*function)(struct timer_list *), u32 flags)
{
	struct pv_machine *m = current_machine();

	if (unlikely(!m))
		kshim_violation("timer_setup: the calling thread is bound to no machine");
	*timer = {};
	timer->function = function;
	timer->flags = flags;
	timer->base = m->timers;
}

int mod_timer(struct timer_list *timer, unsigned long expires)
{
	struct timer_base *base = timer->base;
	bool was_pending;

	guard(spinlock)(&base->lock);
	was_pending = timer->pending;
	if (was_pending)
		heap_remove(base, timer);
	timer->expires = expires;
	heap_insert(base, timer);
	if (base->root == timer && timer_deadline_ns(timer) < base->sleep_until)
		timer_base_kick(base);
	return was_pending;
}

void add_timer(struct timer_list *timer)
{
	BUG_ON(timer_pending(timer));
	mod_timer(timer, timer->expires);
}

int del_timer(struct timer_list *timer)
{
	struct timer_base *base = timer->base;

	guard(spinlock)(&base->lock);
	if (!timer->pending)
		return 0;
	heap_remove(base, timer);
	return 1;
}

void timer_wait_running(struct timer_list *timer)
{
	struct timer_base *base = timer->base;

	wait_event(base->idle, smp_load_acquire(&base->running) != timer);
}

int del_timer_sync(struct timer_list *timer)
{
	struct timer_base *base = timer->base;
	int was_pending = 0;

	if (unlikely(base->task == current && READ_ONCE(base->running) == timer))
		kshim_violation("del_timer_sync: timer %p waits for itself", (void *)timer);
	/* Its function may have armed it again while we waited for it. */
	do {
		was_pending |= del_timer(timer);
		timer_wait_running(timer);
	} while (timer_pending(timer));
	return was_pending;
}

bool timer_pending(const struct timer_list *timer)
{
	return READ_ONCE(timer->pending);
}

int timers_init(struct pv_machine *m)
{
	struct timer_base *base = kzalloc_obj(struct timer_base, GFP_KERNEL);
	struct task_struct *task;

	if (!base)
		return -ENOMEM;
	spin_lock_init(&base->lock);
	init_waitqueue_head(&base->idle);
	task = kthread_create(timer_thread, base, "ktimers");
	if (IS_ERR(task)) {
		kfree(base);
		return (int)PTR_ERR(task);
	}
	base->task = task;
	m->timers = base;
	wake_up_process(task);
	return 0;
}

void timers_exit(struct pv_machine *m)
{
	struct timer_base *base = m->timers;

	spin_lock(&base->lock);
	WARN(base->root, "timer %p (function %p) is still armed when its machine goes away",
	     (void *)base->root, base->root ? (void *)base->root->function : nullptr);
	base->stop = true;
	timer_base_kick(base);
	spin_unlock(&base->lock);
	(void)kthread_stop(base->task);
	m->timers = nullptr;
	kfree(base);
}
