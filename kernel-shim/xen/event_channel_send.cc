/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * event_channel_send.cc - events: sent, unmasked, noted while they cannot be delivered
 *
 *	send:  count (a full barrier)
 *	       other end's word PENDING, and LINKED or MASKED?  that was all
 *	       channel's lock (or give up) -> policy: PENDING, LINKED, queue
 *
 * The short way: the guest has not yet cleared PENDING, so its handler is still to run, and what
 * was stored before the barrier is seen by it, since clearing is a full barrier, too. LINKED: the
 * guest will find it; MASKED: the unmask will. No lock, nothing written but the count; when the
 * channel is closed at that moment, the send came before that.
 */
#include <linux/errno.h>

#include "event_fifo.h"

/* An event for @e has no word to be set in; is there one now? */
static event_word_t *note_missed(struct evtchn *e)
{
	struct evtchn_domain *d = e->domain;
	struct evtchn_fifo *fifo;
	event_word_t *word;

	/* Mutant (917c123029): forgotten. */
	if (KSHIM_MUTANT(evtchn_forgets_missed))
		return nullptr;
	/* A full barrier, which pairs with that of expand_array between page and look (I4). */
	(void)xchg(&e->missed, 1u);
	/* Mutant: look, then note; the page came in between, and was looked through. */
	if (KSHIM_MUTANT(evtchn_notes_too_late))
		return nullptr;
	fifo = rcu_dereference(d->fifo);
	word = fifo ? fifo_word(fifo, e->port) : nullptr;
	return word && xchg(&e->missed, 0u) ? word : nullptr;
}

void evtchn_set_pending(struct evtchn *e)
{
	struct evtchn_fifo *fifo = rcu_dereference(e->domain->fifo);
	event_word_t *word = fifo ? fifo_word(fifo, e->port) : nullptr;

	if (!word) {
		word = note_missed(e);
		if (!word)
			return;
		fifo = rcu_dereference(e->domain->fifo);
		if (!fifo)
			return;
	}
	evtchn_fifo_raise(fifo, e, word, false);
}

/* The short way, of a policy that has it. */
static bool is_on_its_way(struct evtchn *e)
{
	struct evtchn_fifo *fifo = rcu_dereference(e->domain->fifo);
	event_word_t *word = fifo && fifo->policy->looks_first ? fifo_word(fifo, e->port) : nullptr;
	event_word_t seen = word ? READ_ONCE(*word) : 0;

	return (seen & FIFO_PENDING) && (seen & (FIFO_LINKED | FIFO_MASKED));
}

static void count_and_fence(struct evtchn *e)
{
	/* Pairs with the guest's clearing of PENDING. */
	kshim_point(KSHIM_RMW, &e->sent, sizeof(e->sent), __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&e->sent, 1, __ATOMIC_SEQ_CST);
}

/* The channel's lock is held, for reading. */
static int send_locked(struct evtchn_domain *d, struct evtchn *e)
{
	struct evtchn *to;

	switch (e->state) {
	case ECS_INTERDOMAIN:
		to = evtchn_of_peer(d->domain->xen, READ_ONCE(e->peer));
		evtchn_set_pending(to);
		return 0;
	case ECS_IPI:
		evtchn_set_pending(e);
		return 0;
	case ECS_UNBOUND:
		/* Nobody there: silently dropped. */
		return 0;
	default:
		return -EINVAL;
	}
}

int evtchn_op_send(struct evtchn_domain *d, evtchn_port_t port) __no_thread_safety_analysis
{
	guard(rcu)();
	struct evtchn *e = evtchn_lookup(d, port);
	struct evtchn *to;
	int ret;

	if (!e)
		return -EINVAL;
	count_and_fence(e);
	to = evtchn_of_peer(d->domain->xen, READ_ONCE(e->peer));
	if (to && is_on_its_way(to))
		return 0;
	if (!down_read_trylock(&e->lock))
		return 0;
	ret = send_locked(d, e);
	up_read(&e->lock);
	return ret;
}

int evtchn_op_unmask(struct evtchn_domain *d, evtchn_port_t port)
{
	guard(rcu)();
	struct evtchn *e = evtchn_lookup(d, port);
	struct evtchn_fifo *fifo = rcu_dereference(d->fifo);

	if (!e)
		return -EINVAL;
	guard(rwsem_read)(&e->lock);
	if (e->state == ECS_FREE)
		return -EINVAL;
	event_word_t *word = fifo ? fifo_word(fifo, port) : nullptr;

	if (!word)
		return 0;
	sync_clear_bit(EVTCHN_FIFO_MASKED, word);
	if (READ_ONCE(*word) & FIFO_PENDING)
		evtchn_fifo_raise(fifo, e, word, true);
	return 0;
}

void xen_send_virq(struct xen_domain *domain, unsigned int vcpu,
		   unsigned int virq) __no_thread_safety_analysis
{
	struct evtchn_domain *d = evtchn_domain_of(domain);

	if (vcpu >= d->nr_vcpus || virq >= NR_VIRQS)
		return;
	guard(rcu)();
	evtchn_port_t port = smp_load_acquire(&d->virqs[vcpu][virq]);
	struct evtchn *e = evtchn_lookup(d, port);

	if (!e || !down_read_trylock(&e->lock))
		return;
	count_and_fence(e);
	if (e->state == ECS_VIRQ && e->virq == virq)
		evtchn_set_pending(e);
	up_read(&e->lock);
}
