// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RCU (<linux/rcupdate.h>).
 *
 * Readers and grace periods: liburcu's memb flavour, which only this file knows. A thread is
 * registered at its first read section and unregistered by the host when it ends.
 *
 * Under the explorer a model takes its place:
 *
 *	slot:	   0 0 0 | 1 1 1 | 0 0		a reader counts itself in the slot of the day;
 *	readers[0] 2 ..  0 -> grace period	synchronize_rcu() changes the slot and waits until
 *						the old one is empty
 *
 * M1. Reading the slot and counting is one step (no schedule point between), so when the slot has
 *     changed, the old one only drains. The grace period before drained the new one.
 *
 * call_rcu(): one kthread a machine takes all queued callbacks, waits for one grace period and runs
 * them, bound to the machine. It sleeps while the queue is empty.
 *
 * Locks: rcu_state.lock guards the queue; gp_lock orders grace periods of the model.
 */
#include "core.h"

#include <kshim/mutant.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/wait.h>

#if !KSHIM_EXPLORE
#define _LGPL_SOURCE
/* liburcu has a struct of that name, for its own call_rcu. */
#define rcu_head urcu_rcu_head
#define call_rcu urcu_call_rcu
#include <urcu/urcu-memb.h>
#undef rcu_head
#undef call_rcu
#endif

struct rcu_state {
	spinlock_t lock;
	struct rcu_head *first __guarded_by(lock);
	struct rcu_head **last __guarded_by(lock);
	u64 queued __guarded_by(lock); /* callbacks ever queued, */
	u64 finished;                  /* and ever run; read without the lock */
	struct wait_queue_head more;   /* the kthread sleeps here */
	struct wait_queue_head done;   /* rcu_barrier() sleeps here */
	struct task_struct *task;
	/* The explorer's model. */
	struct mutex gp_lock;
	struct {
		u32 slot;
		u32 readers[2];
	} day;
};

#if KSHIM_EXPLORE
static struct rcu_state *model(void)
{
	struct pv_machine *m = current_machine();

	if (unlikely(!m || !m->rcu))
		kshim_violation("RCU is used by a thread that is bound to no machine");
	return m->rcu;
}

void rcu_read_lock(void)
{
	struct task_struct *task = current;
	struct rcu_state *rcu = model();

	if (task->rcu_nesting++)
		return;
	/* Acquire: who begins in the new slot sees what was done before it became that. */
	kshim_point(KSHIM_RMW, &rcu->day, sizeof(rcu->day), __ATOMIC_ACQUIRE);
	task->rcu_slot = rcu->day.slot;
	rcu->day.readers[task->rcu_slot]++;
}

void rcu_read_unlock(void)
{
	struct task_struct *task = current;
	struct rcu_state *rcu = model();
	u32 *readers;

	BUG_ON(!task->rcu_nesting);
	if (--task->rcu_nesting)
		return;
	readers = &rcu->day.readers[task->rcu_slot];
	/* Release: what was read was read before the grace period ends. */
	kshim_point(KSHIM_RMW, readers, sizeof(*readers), __ATOMIC_RELEASE);
	if (--*readers == 0)
		kshim_wake(readers, 1);
}

static void grace_period(void)
{
	struct rcu_state *rcu = model();
	u32 old_slot, left;

	guard(mutex)(&rcu->gp_lock);
	kshim_point(KSHIM_RMW, &rcu->day, sizeof(rcu->day), __ATOMIC_RELEASE);
	old_slot = rcu->day.slot;
	rcu->day.slot = !old_slot;
	while ((left = smp_load_acquire(&rcu->day.readers[old_slot])) != 0)
		(void)kshim_wait(&rcu->day.readers[old_slot], left, KSHIM_FOREVER, "RCU readers");
}
#else
static void unregister_thread(struct kshim_self *)
{
	urcu_memb_unregister_thread();
}

static void register_thread(struct task_struct *task)
{
	int err = kshim_self_set_exit(unregister_thread);

	if (unlikely(err))
		kshim_violation("rcu_read_lock: cannot arrange for the thread's end: error %d",
				err);
	urcu_memb_register_thread();
	task->rcu_registered = true;
}

void rcu_read_lock(void)
{
	struct task_struct *task = current;

	if (unlikely(!task->rcu_registered))
		register_thread(task);
	task->rcu_nesting++;
	urcu_memb_read_lock();
}

void rcu_read_unlock(void)
{
	struct task_struct *task = current;

	BUG_ON(!task->rcu_nesting);
	urcu_memb_read_unlock();
	task->rcu_nesting--;
}

static void grace_period(void)
{
	urcu_memb_synchronize_rcu();
}
#endif

bool rcu_read_lock_held(void)
{
	return current->rcu_nesting != 0;
}

void synchronize_rcu(void)
{
	if (unlikely(rcu_read_lock_held()))
		kshim_violation("synchronize_rcu inside rcu_read_lock waits for itself");
	grace_period();
}

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	struct rcu_state *rcu = current_machine()->rcu;

	head->next = nullptr;
	head->func = func;
	scoped_guard (spinlock, &rcu->lock) {
		*rcu->last = head;
		rcu->last = &head->next;
		rcu->queued++;
	}
	wake_up(&rcu->more);
}

/* A function pointer below a page is an offset: the object begins that far before the head. */
#define KFREE_RCU_LIMIT 4096

void kshim_kfree_rcu(struct rcu_head *head, size_t offset)
{
	BUG_ON(offset >= KFREE_RCU_LIMIT);
	call_rcu(head, (void (*)(struct rcu_head *))offset);
}

static void run_callback(struct rcu_head *head)
{
	size_t offset = (size_t)head->func;

	if (offset < KFREE_RCU_LIMIT)
		kfree((char *)head - offset);
	else
		head->func(head);
}

static bool have_callbacks(struct rcu_state *rcu)
{
	guard(spinlock)(&rcu->lock);
	return rcu->first != nullptr;
}

static int rcu_thread(void *data)
{
	struct rcu_state *rcu = (struct rcu_state *)data;

	for (;;) {
		struct rcu_head *batch = nullptr;
		u64 count = 0;

		wait_event(rcu->more, have_callbacks(rcu) || kthread_should_stop());
		scoped_guard (spinlock, &rcu->lock) {
			batch = rcu->first;
			rcu->first = nullptr;
			rcu->last = &rcu->first;
		}
		if (!batch)
			return 0;
		if (!KSHIM_MUTANT(rcu_no_grace_period))
			synchronize_rcu();
		while (batch) {
			struct rcu_head *next = batch->next;

			run_callback(batch);
			batch = next;
			count++;
		}
		smp_store_release(&rcu->finished, rcu->finished + count);
		wake_up_all(&rcu->done);
	}
}

void rcu_barrier(void)
{
	struct rcu_state *rcu = current_machine()->rcu;
	u64 target = 0;

	scoped_guard (spinlock, &rcu->lock) {
		target = rcu->queued;
	}
	wait_event(rcu->done, smp_load_acquire(&rcu->finished) >= target);
}

int rcu_init(struct pv_machine *m)
{
	struct rcu_state *rcu = kzalloc_obj(struct rcu_state, GFP_KERNEL);
	struct task_struct *task;

	if (!rcu)
		return -ENOMEM;
	spin_lock_init(&rcu->lock);
	scoped_guard (spinlock, &rcu->lock) {
		rcu->last = &rcu->first;
	}
	init_waitqueue_head(&rcu->more);
	init_waitqueue_head(&rcu->done);
	mutex_init(&rcu->gp_lock);
	m->rcu = rcu;
	task = kthread_run(rcu_thread, rcu, "rcu");
	if (IS_ERR(task)) {
		m->rcu = nullptr;
		kfree(rcu);
		return (int)PTR_ERR(task);
	}
	rcu->task = task;
	return 0;
}

void rcu_exit(struct pv_machine *m)
{
	struct rcu_state *rcu = m->rcu;

	/* Callbacks may queue further ones: the thread ends only with an empty queue. */
	rcu_barrier();
	(void)kthread_stop(rcu->task);
	m->rcu = nullptr;
	kfree(rcu);
}
