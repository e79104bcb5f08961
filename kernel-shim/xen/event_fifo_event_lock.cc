/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * event_fifo_event_lock.cc - policy "event-lock": the seed's first proposal
 *
 * Whoever raises an event holds its lock, so PENDING, LINKED and `last` have one writer at a time.
 * What is left is the old tail, which concerns others: LINKED is set under the old queue's lock,
 * where others ask whether their tail is LINKED, and there the queue forgets it, too.
 *
 *	lock event { lock old queue { forget the tail, LINKED } lock queue { append } }
 *
 * Locks: evtchn.lock_of_event -> evtchn_fifo_queue.lock, one at a time.
 * Price: a lock more for each event, also for one that is PENDING already; two locks, one after the
 * other, for one that moves.
 */
#include "event_fifo.h"

static void link_event(struct fifo_raise *r, struct evtchn_fifo_queue *q, u32 where)
	__no_thread_safety_analysis /* the lock it holds is one queue's, then another's */
{
	struct evtchn *e = r->e;
	struct evtchn_fifo_queue *old_q = fifo_queue(r->fifo, e->last);

	spin_lock(&old_q->lock);
	if (old_q->tail == e->port)
		old_q->tail = 0;
	sync_set_bit(EVTCHN_FIFO_LINKED, r->word);
	if (old_q != q) {
		e->last = where;
		spin_unlock(&old_q->lock);
		spin_lock(&q->lock);
	}
	fifo_append(r, q, q->tail);
	q->tail = e->port;
	spin_unlock(&q->lock);
}

static void event_lock_raise(struct fifo_raise *r)
{
	guard(spinlock)(&r->e->lock_of_event);
	u32 where = READ_ONCE(r->e->where);
	struct evtchn_fifo_queue *q = fifo_target(r, where);

	if (q && fifo_mark_pending(r))
		link_event(r, q, where);
}

const struct evtchn_fifo_policy fifo_event_lock = {"event-lock", event_lock_raise, false};
