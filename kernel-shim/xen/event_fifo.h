/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * event_fifo.h - FIFO event queues, the hypervisor's (the producer's) side
 *
 *	control block of a vcpu         event words of the domain
 *	  READY  bit 7                  [2] PENDING LINKED LINK=5   <- head of queue 7
 *	  HEAD[7] = 2                   [5] PENDING LINKED LINK=0   <- tail, known to Xen alone
 *
 * A queue is a list through the LINK fields, one for each vcpu and priority. The hypervisor
 * appends, the guest takes from the front, and clears LINKED and LINK in one step when it takes an
 * event off.
 *
 *	append p:  tail t is LINKED:   t.LINK = p by compare-and-exchange, so not after t was taken
 *	           otherwise:          the queue is empty: HEAD = p, then READY, then an upcall
 *
 * The *old tail*: a queue's tail names the event that was appended last even after the guest has
 * taken it off. Is t LINKED? says nothing any more once t has been linked again, here or on another
 * queue. So who links t again must first make the old queue forget it. How that is made one step
 * with what others do on both queues is what the policies differ in:
 *
 *	event-lock		a lock for each event around everything
 *	old-queue-recheck	the old queue's lock, and a look whether it still is the old queue
 *	two-queue-locks		both queues' locks, in order of address; three tries
 *	lock-free		no queue locks: the tail is exchanged, see event_fifo_lock_free.cc
 *
 * L1: an event that is PENDING and not MASKED is reachable from HEAD of a queue whose READY is set
 *     or that the guest works on, or somebody is about to make it so.
 * S1: a queue is a list without cycle; an event is on one queue at most; LINKED says: on a queue.
 * S2: READY of a queue is set after its HEAD, and once for each HEAD (so the guest never follows a
 *     HEAD that was consumed and is on another queue by now).
 * S3: tail is 0 or an event that was linked here and nowhere since.
 *
 * What is in the guest's pages may change at any time to anything. It is read once for each
 * decision, followed never, and a compare-and-exchange on it is tried 1 + 4 times: BUSY forbids the
 * guest to clear MASKED, so an honest guest can make no more than four changes in between (set
 * MASKED, clear PENDING, clear LINKED; and PENDING that others set).
 */
#ifndef KSHIM_XEN_EVENT_FIFO_H
#define KSHIM_XEN_EVENT_FIFO_H

#include <asm/page.h>
#include <asm/sync_bitops.h>
#include <kshim/mutant.h>

#include "event_channel.h"

constexpr u32 EVTCHN_WORDS_PER_PAGE = PAGE_SIZE / sizeof(event_word_t);
constexpr u32 EVTCHN_MAX_PAGES = EVTCHN_FIFO_NR_CHANNELS / EVTCHN_WORDS_PER_PAGE;

constexpr u32 FIFO_PENDING = 1u << EVTCHN_FIFO_PENDING;
constexpr u32 FIFO_MASKED = 1u << EVTCHN_FIFO_MASKED;
constexpr u32 FIFO_LINKED = 1u << EVTCHN_FIFO_LINKED;
constexpr u32 FIFO_BUSY = 1u << EVTCHN_FIFO_BUSY;

struct alignas(64) evtchn_fifo_queue {
	spinlock_t lock;
	u32 tail; /* 0: none. Protected by lock, or atomic: by policy */
	u8 vcpu, priority;
};

/* A frame of the guest that is mapped here. */
struct fifo_page {
	struct page *page;
	void *addr;
};

struct evtchn_fifo_vcpu {
	struct fifo_page frame;
	/* Null until init_control; stored after all else is ready. */
	struct evtchn_fifo_control_block *control_block;
	struct evtchn_fifo_queue queues[EVTCHN_FIFO_MAX_QUEUES];
};

struct evtchn_fifo {
	struct evtchn_domain *domain;
	const struct evtchn_fifo_policy *policy;
	u32 nr_words; /* event words that exist; stored after the page's address */
	event_word_t *pages[EVTCHN_MAX_PAGES];
	struct fifo_page frames[EVTCHN_MAX_PAGES]; /* protected by event_lock */
	struct evtchn_fifo_vcpu vcpus[];           /* of all vcpus, from the beginning */
};

/* One event on its way onto a queue. */
struct fifo_raise {
	struct evtchn_fifo *fifo;
	struct evtchn *e;
	event_word_t *word;
	bool relink; /* link it if it is PENDING, but do not make it so */
	/* Results. */
	bool raised;                      /* PENDING was not set before */
	bool tell_pollers;                /* and it is where they find it */
	struct evtchn_fifo_queue *headed; /* the queue that got a new HEAD, not told yet */
};

struct evtchn_fifo_policy {
	const char *name;
	void (*raise)(struct fifo_raise *r);
	bool looks_first; /* a send that has nothing to do takes no lock: event_channel_send.cc */
};

extern const struct evtchn_fifo_policy fifo_event_lock, fifo_old_queue_recheck,
	fifo_two_queue_locks, fifo_lock_free;

static inline event_word_t *fifo_word(struct evtchn_fifo *fifo, evtchn_port_t port)
{
	if (port >= smp_load_acquire(&fifo->nr_words))
		return nullptr;
	return READ_ONCE(fifo->pages[port / EVTCHN_WORDS_PER_PAGE]) + port % EVTCHN_WORDS_PER_PAGE;
}

static inline struct evtchn_fifo_queue *fifo_queue(struct evtchn_fifo *fifo, u32 where)
{
	return &fifo->vcpus[where >> 8].queues[where & 0xff];
}

static inline struct evtchn_fifo_control_block *fifo_control_block(struct evtchn_fifo *fifo,
								   u32 where)
{
	return smp_load_acquire(&fifo->vcpus[where >> 8].control_block);
}

/* event_fifo.cc */
int evtchn_op_init_control(struct evtchn_domain *d, struct evtchn_init_control *op);
int evtchn_op_expand_array(struct evtchn_domain *d, const struct evtchn_expand_array *op);
int evtchn_op_reset(struct evtchn_domain *d);
/* Nobody looks any more. */
void evtchn_fifo_free(struct evtchn_fifo *fifo);

/* event_fifo_link.cc */
/* Makes the event pending and links it by the machine's policy, tells vcpu and pollers. */
void evtchn_fifo_raise(struct evtchn_fifo *fifo, struct evtchn *e, event_word_t *word, bool relink);
/* For policies: sets PENDING. False: there is nothing to link. */
bool fifo_mark_pending(struct fifo_raise *r);
/* For policies: the queue's tail, LINKED or not, gets @r's event behind it, or HEAD is it. */
void fifo_append(struct fifo_raise *r, struct evtchn_fifo_queue *q, u32 tail);
/* For policies: one more event that goes nowhere. */
void fifo_drop(struct fifo_raise *r);
/* For policies: the queue; null when its vcpu has no control block: the event is dropped. */
struct evtchn_fifo_queue *fifo_target(struct fifo_raise *r, u32 where);
/* READY of the queue that has a new HEAD, and an upcall when that was news. */
void fifo_tell_vcpu(struct fifo_raise *r);
/* For the statistics: a loop took so many rounds. */
void fifo_note_tries(u32 *most, u32 tries);

#endif
