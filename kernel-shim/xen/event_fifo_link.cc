/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * event_fifo_link.cc - what all policies do with words: PENDING, LINK, HEAD, READY
 */
#include "event_fifo.h"

void fifo_note_tries(u32 *most, u32 tries)
{
	/* Rare, and only a maximum: a race loses a statistic. */
	if (tries > 1 && tries > READ_ONCE(*most))
		WRITE_ONCE(*most, tries);
}

void fifo_drop(struct fifo_raise *r)
{
	__atomic_fetch_add(&r->fifo->domain->dropped, 1, __ATOMIC_RELAXED);
}

struct evtchn_fifo_queue *fifo_target(struct fifo_raise *r, u32 where)
{
	/* Mutant (a4e0cea6fc, XSA-107): every vcpu has a control block, has it not? */
	if (!fifo_control_block(r->fifo, where) && !KSHIM_MUTANT(evtchn_trusts_control_block)) {
		fifo_drop(r);
		return nullptr;
	}
	return fifo_queue(r->fifo, where);
}

bool fifo_mark_pending(struct fifo_raise *r)
{
	event_word_t seen;

	if (r->relink) {
		seen = READ_ONCE(*r->word);
		if (!(seen & FIFO_PENDING))
			return false;
	} else {
		seen = sync_fetch_or(FIFO_PENDING, r->word);
		r->raised = r->tell_pollers = !(seen & FIFO_PENDING);
	}
	/*
	 * MASKED: the unmask links it. LINKED: the guest looks at PENDING when it has unlinked it.
	 */
	return !(seen & (FIFO_MASKED | FIFO_LINKED));
}

enum link_result { LINK_RETRY, LINK_DONE, LINK_NO_TAIL };

/* One attempt to write @port into the LINK of a word that was @seen; @seen becomes what it is. */
static enum link_result try_link(event_word_t *word, event_word_t *seen, u32 port)
{
	event_word_t linked = (*seen & ~(FIFO_BUSY | EVTCHN_FIFO_LINK_MASK)) | port;

	if (!(*seen & FIFO_LINKED))
		return LINK_NO_TAIL;
	return try_cmpxchg(word, seen, linked) ? LINK_DONE : LINK_RETRY;
}

/* False: the tail is not in the queue any more, or its word never holds still. */
static bool link_tail(struct fifo_raise *r, event_word_t *word)
{
	event_word_t seen = READ_ONCE(*word);
	enum link_result result = try_link(word, &seen, r->e->port);
	/*
	 * Mutant (dae2a1c5f9): as long as it takes; a guest that rewrites the word keeps the
	 * sender, who is in another domain.
	 */
	const u32 tries = KSHIM_MUTANT(evtchn_links_for_ever) ? 1000 : 4;
	u32 n = 1;

	if (result != LINK_RETRY)
		return result == LINK_DONE;
	/* From here on an honest guest changes it no more than four times. */
	seen = sync_fetch_or(FIFO_BUSY, word) | FIFO_BUSY;
	do {
		result = try_link(word, &seen, r->e->port);
		if (result == LINK_RETRY)
			cpu_relax();
	} while (result == LINK_RETRY && n++ < tries);
	fifo_note_tries(&r->fifo->domain->link_tries, n + 1);
	if (result != LINK_DONE)
		sync_clear_bit(EVTCHN_FIFO_BUSY, word);
	return result == LINK_DONE;
}

void fifo_append(struct fifo_raise *r, struct evtchn_fifo_queue *q, u32 tail)
{
	event_word_t *word = tail ? fifo_word(r->fifo, tail) : nullptr;

	/*
	 * Mutant (70ccddb14a): READY for each event: the guest finds a HEAD that it has consumed.
	 */
	if (KSHIM_MUTANT(evtchn_ready_for_each))
		r->headed = q;
	if (word && link_tail(r, word))
		return;
	WRITE_ONCE(r->fifo->vcpus[q->vcpu].control_block->head[q->priority], r->e->port);
	r->headed = q;
}

void fifo_tell_vcpu(struct fifo_raise *r)
{
	u32 where = evtchn_where(r->headed->vcpu, r->headed->priority);

	/* Mutant (6f6f07b64c): where the channel is now, and not where the event went. */
	if (KSHIM_MUTANT(evtchn_tells_new_vcpu))
		where = READ_ONCE(r->e->where);
	struct evtchn_fifo_control_block *block = fifo_control_block(r->fifo, where);

	/* A full barrier after HEAD (S2). Set already: its upcall is under way. */
	if (!sync_test_and_set_bit(where & 0xff, &block->ready))
		xen_vcpu_send_upcall(&r->fifo->domain->vcpus[where >> 8]);
}

void evtchn_fifo_raise(struct evtchn_fifo *fifo, struct evtchn *e, event_word_t *word, bool relink)
{
	struct fifo_raise r = {.fifo = fifo,
			       .e = e,
			       .word = word,
			       .relink = relink,
			       .raised = false,
			       .tell_pollers = false,
			       .headed = nullptr};

	fifo->policy->raise(&r);
	if (r.headed)
		fifo_tell_vcpu(&r);
	if (r.raised)
		__atomic_fetch_add(&e->raised, 1, __ATOMIC_RELAXED);
	if (r.tell_pollers)
		evtchn_check_pollers(e->domain, e->port);
}
