// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Work queues (<linux/workqueue.h>): the queues and the works in them. Their threads and the
 * lifetime of queues are in worker.cc.
 *
 *	wq->timed:	works whose timer runs
 *	wq->pending:	works that the next free worker takes
 *	worker->scheduled: works that this very worker must take, since it executes them already
 *
 * I1. work->state says which: IDLE (in none; may be executing), TIMED, LISTED. It changes under the
 *     machine's one work lock. A TIMED work's timer is armed, or its function is about to take that
 *     lock; work_stop_timer() waits the latter out.
 * I2. worker->current_work is compared, never followed: a function may free its work. `sequence`
 *     tells executions of one work apart, so a flush waits for those queued before it and for no
 *     others.
 * I3. A work that executes is queued to its own worker, so it never runs beside itself.
 *
 * Locks: work lock, then the timer base's lock.
 */
#include "workqueue.h"
#include "core.h"

#include <kshim/mutant.h>
#include <linux/kernel.h>
#include <linux/workqueue.h>

kshim_system_wq::operator struct workqueue_struct *() const
{
	return current_machine()->workqueues->system;
}

static void delayed_work_timer(struct timer_list *timer);

void kshim_init_work(struct work_struct *work, work_func_t func)
{
	*work = {};
	work->func = func;
	INIT_LIST_HEAD(&work->entry);
}

void kshim_init_delayed_work(struct delayed_work *dwork, work_func_t func)
{
	kshim_init_work(&dwork->work, func);
	(timer_setup)(&dwork->timer, delayed_work_timer, 0);
}

/* The worker, of any queue, that executes @work. */
static struct worker *find_executing(struct workqueue_state *state, struct work_struct *work)
	__must_hold(state->lock);
static struct worker *find_executing(struct workqueue_state *state, struct work_struct *work)
{
	struct workqueue_struct *wq;
	struct worker *worker;

	list_for_each_entry (wq, &state->queues, node) {
		list_for_each_entry (worker, &wq->workers, node) {
			if (worker->current_work == work)
				return worker;
		}
	}
	return nullptr;
}

static void work_list(struct workqueue_struct *wq, struct work_struct *work)
	__must_hold(wq->state->lock);
static void work_list(struct workqueue_struct *wq, struct work_struct *work)
{
	struct worker *worker = find_executing(wq->state, work);

	work->wq = wq;
	work->sequence = ++wq->state->sequence;
	WRITE_ONCE(work->state, WORK_LISTED);
	if (worker) {
		list_add_tail(&work->entry, &worker->scheduled);
		return;
	}
	list_add_tail(&work->entry, &wq->pending);
	wake_up(&wq->more);
}

static void work_arm(struct workqueue_struct *wq, struct delayed_work *dwork, unsigned long delay)
	__must_hold(wq->state->lock);
static void work_arm(struct workqueue_struct *wq, struct delayed_work *dwork, unsigned long delay)
{
	if (!delay) {
		work_list(wq, &dwork->work);
		return;
	}
	dwork->work.wq = wq;
	WRITE_ONCE(dwork->work.state, WORK_TIMED);
	list_add_tail(&dwork->work.entry, &wq->timed);
	mod_timer(&dwork->timer, jiffies + delay);
}

/* Makes a pending work idle. The timer of one that was timed is the caller's business. */
static bool work_grab(struct workqueue_state *state, struct work_struct *work)
	__must_hold(state->lock);
static bool work_grab(struct workqueue_state *state, struct work_struct *work)
{
	if (work->state == WORK_IDLE)
		return false;
	list_del_init(&work->entry);
	WRITE_ONCE(work->state, WORK_IDLE);
	wake_up_all(&state->done);
	return true;
}

/*
 * Stops the timer of a timed work. When it is too late for that, waits (without the lock) for the
 * timer's function, which lists the work: so whoever may free the work after this call does not
 * pull it from under the function's feet. Return: true when the work is still timed.
 */
static bool work_stop_timer(struct workqueue_state *state, struct delayed_work *dwork)
	__must_hold(state->lock);
static bool work_stop_timer(struct workqueue_state *state, struct delayed_work *dwork)
{
	while (dwork->work.state == WORK_TIMED) {
		if (del_timer(&dwork->timer))
			return true;
		spin_unlock(&state->lock);
		timer_wait_running(&dwork->timer);
		spin_lock(&state->lock);
	}
	return false;
}

static void delayed_work_timer(struct timer_list *timer)
{
	struct delayed_work *dwork = container_of(timer, struct delayed_work, timer);
	struct work_struct *work = &dwork->work;
	struct workqueue_state *state = READ_ONCE(work->owner);

	guard(spinlock)(&state->lock);
	/* A cancel_delayed_work_sync() that waits for us has made it idle. */
	if (work->state != WORK_TIMED && !KSHIM_MUTANT(work_timer_blind))
		return;
	work_grab(state, work);
	/* The lock is wq->state->lock, by another name. */
	[&]() __no_thread_safety_analysis { work_list(work->wq, work); }();
}

bool queue_work(struct workqueue_struct *wq, struct work_struct *work)
{
	guard(spinlock)(&wq->state->lock);
	if (work->state != WORK_IDLE || work->cancelling)
		return false;
	WRITE_ONCE(work->owner, wq->state);
	work_list(wq, work);
	return true;
}

bool queue_delayed_work(struct workqueue_struct *wq, struct delayed_work *dwork,
			unsigned long delay)
{
	guard(spinlock)(&wq->state->lock);
	if (dwork->work.state != WORK_IDLE || dwork->work.cancelling)
		return false;
	WRITE_ONCE(dwork->work.owner, wq->state);
	work_arm(wq, dwork, delay);
	return true;
}

bool mod_delayed_work(struct workqueue_struct *wq, struct delayed_work *dwork, unsigned long delay)
{
	bool was_pending = false;

	guard(spinlock)(&wq->state->lock);
	/* The analysis knows the lock by one name only. */
	[&]() __no_thread_safety_analysis {
		work_stop_timer(wq->state, dwork);
		if (!dwork->work.cancelling)
			was_pending = work_grab(wq->state, &dwork->work);
	}();
	if (dwork->work.cancelling)
		return false;
	WRITE_ONCE(dwork->work.owner, wq->state);
	work_arm(wq, dwork, delay);
	return was_pending;
}

/* Is a queueing of @work no later than @sequence yet to be executed, or being executed? */
static bool work_outstanding(struct workqueue_state *state, struct work_struct *work, u64 sequence)
{
	struct worker *worker;

	guard(spinlock)(&state->lock);
	if (work->state == WORK_LISTED && work->sequence <= sequence)
		return true;
	worker = find_executing(state, work);
	return worker && worker->current_sequence <= sequence;
}

static void check_not_itself(struct work_struct *work, const char *what)
{
	if (unlikely(current->work == work))
		kshim_violation("%s: work %p (function %p) waits for itself", what, (void *)work,
				(void *)work->func);
}

bool flush_work(struct work_struct *work)
{
	struct workqueue_state *state = READ_ONCE(work->owner);
	u64 sequence = 0;

	if (!state)
		return false;
	check_not_itself(work, "flush_work");
	scoped_guard (spinlock, &state->lock) {
		sequence = state->sequence;
	}
	if (!work_outstanding(state, work, sequence))
		return false;
	wait_event(state->done, !work_outstanding(state, work, sequence));
	return true;
}

bool flush_delayed_work(struct delayed_work *dwork)
{
	struct work_struct *work = &dwork->work;
	struct workqueue_state *state = READ_ONCE(work->owner);

	if (!state)
		return false;
	check_not_itself(work, "flush_delayed_work");
	scoped_guard (spinlock, &state->lock) {
		if (work_stop_timer(state, dwork)) {
			work_grab(state, work);
			[&]() __no_thread_safety_analysis { work_list(work->wq, work); }();
		}
	}
	return flush_work(work);
}

static bool cancel(struct work_struct *work, struct delayed_work *dwork)
{
	struct workqueue_state *state = READ_ONCE(work->owner);

	if (!state)
		return false;
	guard(spinlock)(&state->lock);
	if (dwork)
		work_stop_timer(state, dwork);
	return work_grab(state, work);
}

bool cancel_work(struct work_struct *work)
{
	return cancel(work, nullptr);
}

bool cancel_delayed_work(struct delayed_work *dwork)
{
	return cancel(&dwork->work, dwork);
}

static bool cancel_sync(struct work_struct *work, struct delayed_work *dwork)
{
	struct workqueue_state *state = READ_ONCE(work->owner);
	bool was_pending = false;

	if (!state)
		return false;
	check_not_itself(work, "cancel_work_sync");
	scoped_guard (spinlock, &state->lock) {
		work->cancelling++;
		was_pending = work_grab(state, work);
	}
	if (dwork)
		del_timer_sync(&dwork->timer);
	if (!KSHIM_MUTANT(cancel_does_not_wait))
		wait_event(state->done, !work_outstanding(state, work, ~0ull));
	scoped_guard (spinlock, &state->lock) {
		work->cancelling--;
	}
	return was_pending;
}

bool cancel_work_sync(struct work_struct *work)
{
	return cancel_sync(work, nullptr);
}

bool cancel_delayed_work_sync(struct delayed_work *dwork)
{
	return cancel_sync(&dwork->work, dwork);
}

bool work_pending(struct work_struct *work)
{
	return READ_ONCE(work->state) != WORK_IDLE;
}

bool work_busy(struct work_struct *work)
{
	struct workqueue_state *state = READ_ONCE(work->owner);

	return state && (work_pending(work) || work_outstanding(state, work, ~0ull));
}

struct work_struct *current_work(void)
{
	return current->work;
}
