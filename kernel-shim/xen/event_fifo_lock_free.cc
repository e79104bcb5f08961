/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * event_fifo_lock_free.cc - policy "lock-free": a producer without queue locks
 *
 *	PENDING
 *	claim the event            somebody has it: he looks again when he is through
 *	was it a tail?             its queue forgets it; or wait until who appended to it is through
 *	LINKED
 *	t = exchange(tail, event)  the one step that orders appenders
 *	append behind t, let go of t
 *	give the claim back
 *
 * Words. An event is *held* from the moment it becomes a tail until the one that was appended
 * behind it has done with its word (or its own next user has taken it out of the tail).
 *
 * I1: an event has one claimer. So `last` and LINKED's way from 0 to 1 have one writer, whatever
 *     the guest does to the word.
 * I2: an event is linked again only when it is not held: no appender is about to ask of the event's
 *     former life whether it is LINKED. This is what two locks, or the recheck, are for elsewhere.
 * I3: tail of a queue is 0 or held.
 * I4: of the appenders to a queue one at a time finds its tail not LINKED, since what it appends
 *     cannot be taken before its HEAD is written: HEAD has one writer at a time.
 *
 * Waiting for an appender is the one wait here. He is between his exchange and his letting go: one
 * compare-and-exchange, five with a hostile guest, and no wait of his own. So nobody waits for who
 * waits. Working for others: a claimer goes on for as long as others of the sending domain come in
 * between with an event that was taken meanwhile; a guest's unmask waits for the claim instead, so
 * a guest cannot keep another domain's sender busy.
 *
 * PENDING is set before the event is on its queue, and the one who sets it may leave the linking to
 * the claimer. Then the claimer tells the pollers, too, when it is linked.
 */
#include "event_fifo.h"

enum claim_word : u32 {
	CLAIM_FREE,
	CLAIM_TAKEN,
	CLAIM_AGAIN, /* taken, and somebody else came */
};

/* False: whoever has it will look at the word after this. */
static bool claim_or_leave_word(struct evtchn *e)
{
	u32 seen = CLAIM_FREE;

	for (;;) {
		if (try_cmpxchg(&e->claim, &seen,
				seen == CLAIM_FREE ? (u32)CLAIM_TAKEN : (u32)CLAIM_AGAIN))
			return seen == CLAIM_FREE;
	}
}

static void claim_or_wait(struct evtchn *e)
{
	u32 seen = CLAIM_FREE;

	while (!try_cmpxchg(&e->claim, &seen, (u32)CLAIM_TAKEN)) {
		cpu_relax();
		seen = CLAIM_FREE;
	}
}

/* False: another look is due. */
static bool claim_release(struct evtchn *e)
{
	u32 seen = CLAIM_TAKEN;

	if (try_cmpxchg(&e->claim, &seen, (u32)CLAIM_FREE))
		return true;
	/* Mutant: the word that was left is not looked at. */
	if (KSHIM_MUTANT(evtchn_claim_forgets)) {
		(void)xchg(&e->claim, (u32)CLAIM_FREE);
		return true;
	}
	(void)xchg(&e->claim, (u32)CLAIM_TAKEN);
	return false;
}

/* I2. */
static void let_go_of_old_queue(struct fifo_raise *r)
{
	struct evtchn *e = r->e;
	u32 tail = e->port;

	if (!smp_load_acquire(&e->held))
		return;
	if (try_cmpxchg(&fifo_queue(r->fifo, e->last)->tail, &tail, 0u)) {
		WRITE_ONCE(e->held, 0);
		return;
	}
	/* Mutant: linked again under the eyes of the one who appends to it: the seed's case 1. */
	while (!KSHIM_MUTANT(evtchn_relinks_held) && smp_load_acquire(&e->held))
		cpu_relax();
}

static void link_event(struct fifo_raise *r)
{
	struct evtchn *e = r->e;
	u32 where = READ_ONCE(e->where);
	struct evtchn_fifo_queue *q;
	event_word_t seen = READ_ONCE(*r->word);
	u32 tail;

	if (!(seen & FIFO_PENDING) || (seen & (FIFO_MASKED | FIFO_LINKED)))
		return;
	q = fifo_target(r, where);
	if (!q)
		return;
	let_go_of_old_queue(r);
	if (sync_test_and_set_bit(EVTCHN_FIFO_LINKED, r->word))
		return;
	e->last = where;
	WRITE_ONCE(e->held, 1);
	/* Orders `held` before the tail. */
	tail = xchg(&q->tail, e->port);
	fifo_append(r, q, tail);
	if (tail)
		smp_store_release(&evtchn_lookup(e->domain, tail)->held, 0);
}

static void link_and_tell(struct fifo_raise *r)
{
	link_event(r);
	/*
	 * Before the claim is given back: who finds the event LINKED then tells pollers that it is
	 * there. Mutant: afterwards; this is what the lab found in the first form of this policy.
	 */
	if (!r->headed || KSHIM_MUTANT(evtchn_tells_after_release))
		return;
	fifo_tell_vcpu(r);
	r->headed = nullptr;
}

static void link_until_released(struct fifo_raise *r)
{
	link_and_tell(r);
	while (!claim_release(r->e)) {
		r->tell_pollers = true;
		link_and_tell(r);
	}
}

static void lock_free_raise(struct fifo_raise *r)
{
	if (!fifo_target(r, READ_ONCE(r->e->where)) || !fifo_mark_pending(r))
		return;
	if (r->relink) {
		claim_or_wait(r->e);
	} else if (!claim_or_leave_word(r->e)) {
		r->tell_pollers = false;
		return;
	}
	link_until_released(r);
}

const struct evtchn_fifo_policy fifo_lock_free = {"lock-free", lock_free_raise, true};
