// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Kernel threads (<linux/kthread.h>).
 *
 * I1. A kthread is on its machine's list from kthread_create() to kthread_stop(), which alone frees
 *     it, after the host's thread has been joined. So its task is valid for whoever may stop it.
 * I2. `result` is written by the thread before it ends and read after the join.
 *
 * Locks: kthread_state.lock guards the list and the numbering.
 */
#include "core.h"

#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include <stdio.h>

struct kthread {
	struct task_struct task;
	int (*threadfn)(void *data);
	void *data;
	struct kshim_thread *thread;
	u32 should_stop;
	int result;
	struct list_head node;
};

struct kthread_state {
	spinlock_t lock;
	struct list_head threads __guarded_by(lock);
	int last_pid __guarded_by(lock);
};

static void kthread_main(void *arg)
{
	struct kthread *kt = (struct kthread *)arg;

	kshim_self()->task = &kt->task;
	schedule(); /* until the first wake_up_process() */
	kt->result = -EINTR;
	if (!READ_ONCE(kt->should_stop))
		kt->result = kt->threadfn(kt->data);
	WARN(kt->task.rcu_nesting, "kthread %s ends inside rcu_read_lock()", kt->task.comm);
}

struct task_struct *kthread_create(int (*threadfn)(void *data), void *data, const char *namefmt,
				   ...)
{
	struct pv_machine *m = current_machine();
	struct kthread_state *state = m->kthreads;
	struct kthread *kt = kzalloc_obj(struct kthread, GFP_KERNEL);
	va_list args;

	if (!kt)
		return ERR_PTR(-ENOMEM);
	kt->threadfn = threadfn;
	kt->data = data;
	kt->task.kthread = kt;
	kt->task.machine = m;
	kt->task.__state = TASK_UNINTERRUPTIBLE;
	va_start(args, namefmt);
	vsnprintf(kt->task.comm, sizeof(kt->task.comm), namefmt, args);
	va_end(args);
	scoped_guard (spinlock, &state->lock) {
		kt->task.pid = ++state->last_pid;
		list_add_tail(&kt->node, &state->threads);
	}
	kt->thread = kshim_thread_start(kt->task.comm, kthread_main, kt);
	if (IS_ERR(kt->thread)) {
		long err = PTR_ERR(kt->thread);

		pr_err("cannot start the thread %s: error %ld; too many threads?\n", kt->task.comm,
		       err);
		scoped_guard (spinlock, &state->lock) {
			list_del(&kt->node);
		}
		kfree(kt);
		return ERR_PTR(err);
	}
	return &kt->task;
}

int kthread_stop(struct task_struct *task)
{
	struct kthread *kt = task->kthread;
	struct kthread_state *state = task->machine->kthreads;
	int result, err;

	/* Pairs with the barrier of the thread's set_current_state(). */
	xchg(&kt->should_stop, 1u);
	wake_up_process(task);
	err = kshim_thread_join(kt->thread);
	if (unlikely(err))
		kshim_violation("kthread_stop(%s): cannot be joined: error %d", task->comm, err);
	scoped_guard (spinlock, &state->lock) {
		list_del(&kt->node);
	}
	result = kt->result;
	kfree(kt);
	return result;
}

bool kthread_should_stop(void)
{
	struct kthread *kt = current->kthread;

	return kt && READ_ONCE(kt->should_stop);
}

int kthreads_init(struct pv_machine *m)
{
	struct kthread_state *state = kzalloc_obj(struct kthread_state, GFP_KERNEL);

	if (!state)
		return -ENOMEM;
	spin_lock_init(&state->lock);
	scoped_guard (spinlock, &state->lock) {
		INIT_LIST_HEAD(&state->threads);
	}
	m->kthreads = state;
	return 0;
}

void kthreads_exit(struct pv_machine *m)
{
	struct kthread_state *state = m->kthreads;

	for (;;) {
		struct kthread *kt = nullptr;

		scoped_guard (spinlock, &state->lock) {
			kt = list_first_entry_or_null(&state->threads, struct kthread, node);
		}
		if (!kt)
			break;
		WARN(true, "kthread %s was never stopped", kt->task.comm);
		(void)kthread_stop(&kt->task);
	}
	m->kthreads = nullptr;
	kfree(state);
}
