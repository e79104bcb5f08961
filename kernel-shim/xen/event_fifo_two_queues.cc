/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * event_fifo_two_queues.cc - policy "two-queue-locks": what Xen has come to
 *
 * The old queue's lock and the new one's, in the order of addresses, and then a look whether these
 * still are the two; three times, then the event is dropped, since someone moves it faster than it
 * can be linked. Only with both locks PENDING is set: nobody sees it set while it is not known
 * where the event will be, and a dropped one is not left PENDING.
 *
 * Locks: two evtchn_fifo_queue.lock, the lower address first.
 */
#include "event_fifo.h"

struct two_queues {
	u32 where;
	struct evtchn_fifo_queue *old_q, *q;
};

static void unlock_two(const struct two_queues *t) __no_thread_safety_analysis
{
	spin_unlock(&t->old_q->lock);
	if (t->q != t->old_q)
		spin_unlock(&t->q->lock);
}

static void lock_two(const struct two_queues *t) __no_thread_safety_analysis
{
	if (t->old_q < t->q)
		spin_lock(&t->old_q->lock);
	spin_lock(&t->q->lock);
	if (t->old_q > t->q)
		spin_lock(&t->old_q->lock);
}

static struct two_queues two_of(struct fifo_raise *r)
{
	u32 where = READ_ONCE(r->e->where);

	return {where, fifo_queue(r->fifo, READ_ONCE(r->e->last)), fifo_queue(r->fifo, where)};
}

/* False: they changed three times. */
static bool lock_queues(struct fifo_raise *r, struct two_queues *t)
{
	for (u32 n = 1; n <= 3; n++) {
		*t = two_of(r);
		lock_two(t);
		struct two_queues now = two_of(r);

		if ((now.old_q == t->old_q && now.q == t->q) ||
		    KSHIM_MUTANT(evtchn_locks_unchecked)) {
			fifo_note_tries(&r->fifo->domain->lock_tries, n);
			return true;
		}
		unlock_two(t);
	}
	fifo_note_tries(&r->fifo->domain->lock_tries, 3);
	return false;
}

static void two_queues_raise(struct fifo_raise *r) __no_thread_safety_analysis
{
	struct evtchn *e = r->e;
	struct two_queues t;

	if (!lock_queues(r, &t)) {
		fifo_drop(r);
		return;
	}
	if (!fifo_target(r, t.where) || !fifo_mark_pending(r) ||
	    sync_test_and_set_bit(EVTCHN_FIFO_LINKED, r->word)) {
		unlock_two(&t);
		return;
	}
	if (t.old_q->tail == e->port)
		t.old_q->tail = 0;
	if (t.old_q != t.q) {
		WRITE_ONCE(e->last, t.where);
		spin_unlock(&t.old_q->lock);
	}
	fifo_append(r, t.q, t.q->tail);
	t.q->tail = e->port;
	spin_unlock(&t.q->lock);
}

const struct evtchn_fifo_policy fifo_two_queue_locks = {"two-queue-locks", two_queues_raise, false};
