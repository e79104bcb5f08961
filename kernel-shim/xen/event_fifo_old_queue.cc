/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * event_fifo_old_queue.cc - policy "old-queue-recheck": the seed's second proposal
 *
 *	PENDING
 *	lock the old queue, look again whether it is the old queue
 *	test and set LINKED; who finds it set leaves; the old queue forgets its tail
 *	moved? lock the new queue instead
 *	append
 *
 * PENDING is set before any lock. A sets PENDING; B, for which it is set already, sets LINKED; A
 * finds LINKED, is done, and wakes who polls for the event, before B has put it on the new queue:
 * who was woken for an event looks for it in vain, and goes to sleep again. Xen took both locks
 * before PENDING because of that (71ac522909). Here who links it tells the pollers, and nobody
 * else.
 *
 * The patch remembered the old queue as two numbers. They are one word here, since two can be read
 * half old and half new, under the wrong queue's lock as well as under none: the mutant.
 */
#include "event_fifo.h"

static u32 last_of(struct evtchn *e)
{
	u32 vcpu;

	/* Mutant (before 1277cb9dc5): the two halves, one after the other. */
	if (!KSHIM_MUTANT(evtchn_last_in_two))
		return READ_ONCE(e->last);
	vcpu = READ_ONCE(e->last) & ~0xffu;
	return vcpu | (READ_ONCE(e->last) & 0xff);
}

static void set_last(struct evtchn *e, u32 where)
{
	if (KSHIM_MUTANT(evtchn_last_in_two))
		WRITE_ONCE(e->last, (where & ~0xffu) | (e->last & 0xff));
	WRITE_ONCE(e->last, where);
}

/* Null after so many tries as two-queue-locks makes. The lock it returns with is the queue's. */
static struct evtchn_fifo_queue *lock_old_queue(struct fifo_raise *r) __no_thread_safety_analysis
{
	for (u32 n = 1; n <= 3; n++) {
		struct evtchn_fifo_queue *q = fifo_queue(r->fifo, last_of(r->e));

		spin_lock(&q->lock);
		/* Mutant: the code that the seed answers to; it looks once. */
		if (q == fifo_queue(r->fifo, last_of(r->e)) || KSHIM_MUTANT(evtchn_no_recheck)) {
			fifo_note_tries(&r->fifo->domain->lock_tries, n);
			return q;
		}
		spin_unlock(&q->lock);
	}
	fifo_drop(r);
	return nullptr;
}

/* False: another one does it. */
static bool set_linked(struct fifo_raise *r)
{
	/*
	 * Mutant (e33d4257fc; again by de6acb78bf): it was looked at long ago, and is only set
	 * here.
	 */
	if (KSHIM_MUTANT(evtchn_linked_in_two)) {
		sync_set_bit(EVTCHN_FIFO_LINKED, r->word);
		return true;
	}
	return !sync_test_and_set_bit(EVTCHN_FIFO_LINKED, r->word);
}

static void old_queue_raise(struct fifo_raise *r) __no_thread_safety_analysis
{
	struct evtchn *e = r->e;
	u32 where = READ_ONCE(e->where);
	struct evtchn_fifo_queue *q = fifo_target(r, where), *old_q;

	if (!q || !fifo_mark_pending(r))
		return;
	old_q = lock_old_queue(r);
	if (!old_q)
		return;
	if (!set_linked(r)) {
		spin_unlock(&old_q->lock);
		/* Mutant (71ac522909). */
		r->tell_pollers = r->tell_pollers && KSHIM_MUTANT(evtchn_tells_pollers_early);
		return;
	}
	r->tell_pollers = true;
	/*
	 * Mutant (before e33d4257fc): an empty queue's tail is taken for one that is in the queue.
	 */
	if (old_q->tail == e->port && !KSHIM_MUTANT(evtchn_keeps_old_tail))
		old_q->tail = 0;
	if (old_q != q) {
		set_last(e, where);
		spin_unlock(&old_q->lock);
		spin_lock(&q->lock);
	}
	fifo_append(r, q, q->tail);
	q->tail = e->port;
	spin_unlock(&q->lock);
}

const struct evtchn_fifo_policy fifo_old_queue_recheck = {"old-queue-recheck", old_queue_raise,
							  false};
