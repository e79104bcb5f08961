// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Work queues: their threads and their lifetime. See workqueue.cc for works.
 *
 * A queue starts with one worker. A worker that is about to execute while none is idle starts one
 * more, up to max_active, so that the next work need not wait for this one.
 *
 * I1. An idle worker sleeps exclusively on wq->more. Every listing on wq->pending wakes one; a
 *     worker that is awake takes works until the list is empty.
 * I2. nr_idle counts workers that execute nothing and will look at wq->pending before they sleep:
 *     those asleep, those woken, and those that are being started. A worker that begins to execute
 *     and finds none left starts one. So a listed work waits only while max_active works execute.
 */
#include "core.h"
#include "workqueue.h"

#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/slab.h>

#include <stdio.h>

static int worker_thread(void *data);

/*
 * Starts a worker that worker_reserve() has counted; takes it back when that fails. May sleep.
 */
static int worker_start(struct workqueue_struct *wq)
{
	struct worker *worker = kzalloc_obj(struct worker, GFP_KERNEL);
	struct task_struct *task = ERR_PTR(-ENOMEM);

	if (worker) {
		worker->wq = wq;
		INIT_LIST_HEAD(&worker->scheduled);
		task = kthread_create(worker_thread, worker, "kw/%s", wq->name);
	}
	guard(spinlock)(&wq->state->lock);
	if (IS_ERR(task)) {
		kfree(worker);
		wq->nr_workers--;
		wq->nr_idle--;
		return (int)PTR_ERR(task);
	}
	worker->task = task;
	list_add_tail(&worker->node, &wq->workers);
	wake_up_process(task);
	return 0;
}

/* A worker is idle from the moment somebody decides to start it: see I2. */
static void worker_reserve(struct workqueue_struct *wq) __must_hold(wq->state->lock);
static void worker_reserve(struct workqueue_struct *wq)
{
	wq->nr_workers++;
	wq->nr_idle++;
}

/* Called with the work lock, which it drops while it starts a thread. */
static void worker_maybe_grow(struct workqueue_struct *wq) __must_hold(wq->state->lock);
static void worker_maybe_grow(struct workqueue_struct *wq)
{
	if (wq->nr_idle || wq->nr_workers >= wq->max_active || wq->stop)
		return;
	worker_reserve(wq);
	spin_unlock(&wq->state->lock);
	if (worker_start(wq))
		pr_warn("workqueue %s: no further worker; works wait for the %d there are\n",
			wq->name, READ_ONCE(wq->nr_workers));
	spin_lock(&wq->state->lock);
}

static void worker_execute(struct workqueue_struct *wq, struct worker *worker,
			   struct work_struct *work) __must_hold(wq->state->lock);
static void worker_execute(struct workqueue_struct *wq, struct worker *worker,
			   struct work_struct *work)
{
	work_func_t func = work->func;

	list_del_init(&work->entry);
	worker->current_work = work;
	worker->current_sequence = work->sequence;
	WRITE_ONCE(work->state, WORK_IDLE);
	worker_maybe_grow(wq);
	spin_unlock(&wq->state->lock);

	current->work = work;
	func(work);
	current->work = nullptr;
	WARN(current->rcu_nesting, "work function %p returned inside rcu_read_lock()",
	     (void *)func);

	spin_lock(&wq->state->lock);
	worker->current_work = nullptr;
	wake_up_all(&wq->state->done);
}

static int worker_thread(void *data)
{
	struct worker *worker = (struct worker *)data;
	struct workqueue_struct *wq = worker->wq;

	guard(spinlock)(&wq->state->lock);
	wq->nr_idle--; /* counted by worker_reserve() */
	for (;;) {
		struct list_head *from = &wq->pending;

		if (!list_empty(&worker->scheduled))
			from = &worker->scheduled;
		if (!list_empty(from)) {
			worker_execute(wq, worker,
				       list_first_entry(from, struct work_struct, entry));
			continue;
		}
		if (wq->stop)
			return 0;
		wq->nr_idle++;
		spin_unlock(&wq->state->lock);
		wait_event_exclusive(wq->more, !list_empty(&wq->pending) || READ_ONCE(wq->stop));
		spin_lock(&wq->state->lock);
		wq->nr_idle--;
	}
}

static struct workqueue_struct *workqueue_create(struct workqueue_state *state, int max_active)
{
	struct workqueue_struct *wq = kzalloc_obj(struct workqueue_struct, GFP_KERNEL);

	if (!wq)
		return nullptr;
	wq->state = state;
	wq->max_active = max_active > 0 ? min(max_active, WQ_MAX_ACTIVE) : WQ_DFL_ACTIVE;
	INIT_LIST_HEAD(&wq->pending);
	INIT_LIST_HEAD(&wq->timed);
	INIT_LIST_HEAD(&wq->workers);
	init_waitqueue_head(&wq->more);
	return wq;
}

static int workqueue_start(struct workqueue_struct *wq)
{
	scoped_guard (spinlock, &wq->state->lock) {
		list_add_tail(&wq->node, &wq->state->queues);
		worker_reserve(wq);
	}
	return worker_start(wq);
}

static void workqueue_free(struct workqueue_struct *wq)
{
	scoped_guard (spinlock, &wq->state->lock) {
		list_del(&wq->node);
	}
	kfree(wq);
}

struct workqueue_struct *alloc_workqueue(const char *fmt, unsigned int, int max_active, ...)
{
	struct workqueue_struct *wq = workqueue_create(current_machine()->workqueues, max_active);
	va_list args;

	if (!wq)
		return nullptr;
	va_start(args, max_active);
	vsnprintf(wq->name, sizeof(wq->name), fmt, args);
	va_end(args);
	if (workqueue_start(wq)) {
		workqueue_free(wq);
		return nullptr;
	}
	return wq;
}

/* Is a work of @wq listed no later than @sequence, or executing since? */
static bool workqueue_outstanding(struct workqueue_struct *wq, u64 sequence)
{
	struct work_struct *work;
	struct worker *worker;

	guard(spinlock)(&wq->state->lock);
	list_for_each_entry (work, &wq->pending, entry) {
		if (work->sequence <= sequence)
			return true;
	}
	list_for_each_entry (worker, &wq->workers, node) {
		if (worker->current_work && worker->current_sequence <= sequence)
			return true;
		list_for_each_entry (work, &worker->scheduled, entry) {
			if (work->sequence <= sequence)
				return true;
		}
	}
	return false;
}

void flush_workqueue(struct workqueue_struct *wq)
{
	struct workqueue_state *state = wq->state;
	u64 sequence = 0;

	scoped_guard (spinlock, &state->lock) {
		sequence = state->sequence;
	}
	wait_event(state->done, !workqueue_outstanding(wq, sequence));
}

/* Timed works would come to a queue that is gone. */
static void workqueue_drop_timed(struct workqueue_struct *wq)
{
	for (;;) {
		struct work_struct *work;

		scoped_guard (spinlock, &wq->state->lock) {
			work = list_first_entry_or_null(&wq->timed, struct work_struct, entry);
		}
		if (!work)
			return;
		WARN(true, "workqueue %s is destroyed while work %p (function %p) is timed",
		     wq->name, (void *)work, (void *)work->func);
		cancel_delayed_work_sync(to_delayed_work(work));
	}
}

void destroy_workqueue(struct workqueue_struct *wq)
{
	struct workqueue_state *state = wq->state;
	struct worker *worker, *next;

	workqueue_drop_timed(wq);
	/* Until works that list further works are through, too. */
	wait_event(state->done, !workqueue_outstanding(wq, ~0ull));
	scoped_guard (spinlock, &state->lock) {
		WRITE_ONCE(wq->stop, true);
	}
	wake_up_all(&wq->more);
	/* Nobody adds workers any more: that happens only where a work is executed. */
	list_for_each_entry_safe (worker, next, &wq->workers, node) {
		(void)kthread_stop(worker->task);
		scoped_guard (spinlock, &state->lock) {
			list_del(&worker->node);
		}
		kfree(worker);
	}
	workqueue_free(wq);
}

int workqueues_init(struct pv_machine *m)
{
	struct workqueue_state *state = kzalloc_obj(struct workqueue_state, GFP_KERNEL);

	if (!state)
		return -ENOMEM;
	spin_lock_init(&state->lock);
	scoped_guard (spinlock, &state->lock) {
		INIT_LIST_HEAD(&state->queues);
	}
	init_waitqueue_head(&state->done);
	m->workqueues = state;
	state->system = alloc_workqueue("events", 0, 0);
	if (!state->system) {
		m->workqueues = nullptr;
		kfree(state);
		return -ENOMEM;
	}
	return 0;
}

void workqueues_exit(struct pv_machine *m)
{
	struct workqueue_state *state = m->workqueues;

	for (;;) {
		struct workqueue_struct *wq;

		scoped_guard (spinlock, &state->lock) {
			wq = list_last_entry(&state->queues, struct workqueue_struct, node);
		}
		WARN(wq != state->system, "workqueue %s was never destroyed", wq->name);
		destroy_workqueue(wq);
		if (wq == state->system)
			break;
	}
	m->workqueues = nullptr;
	kfree(state);
}
