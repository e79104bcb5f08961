/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * events_fifo.h - FIFO event channels, the guest's (the consumer's) side of the ABI
 *
 *	READY --exchange with 0--> what is ready, lowest bit first = highest priority
 *	   queue: HEAD -> [2] LINK=5 -> [5] LINK=0      the head is a copy of ours after the first
 *	   take [2] off: LINKED and LINK cleared in one step, LINK is the next head; 0: not ready
 *	   deliver when PENDING and not MASKED
 *	   and look at READY again: one event a turn, so a higher priority waits for one handler at
 *	   most
 *
 * I1: head and ready of a cpu are touched by whoever is that cpu (its event thread; who takes the
 *     cpu offline, when that has ended).
 * I2: a word is MASKED before the hypervisor knows of it, and whenever its port has no user.
 * I3: MASKED is cleared by this end only while the event is not PENDING, in one step with looking;
 *     otherwise the hypervisor does it and links the event. So nobody's unmask hits a MASKED that
 *     somebody else has set meanwhile.
 */
#ifndef DRIVERS_XEN_EVENTS_FIFO_H
#define DRIVERS_XEN_EVENTS_FIFO_H

#include <kshim/vcpu.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <xen/event_channel.h>

struct page;
struct xen_domain;

constexpr unsigned int EVENT_WORDS_PER_PAGE = 1024;
constexpr unsigned int EVENT_ARRAY_PAGES = EVTCHN_FIFO_NR_CHANNELS / EVENT_WORDS_PER_PAGE;

struct fifo_cpu {
	struct evtchn_fifo_control_block *block;
	u32 ready;
	u32 head[EVTCHN_FIFO_MAX_QUEUES];
};

struct events_fifo {
	struct xen_domain *domain;
	unsigned int nr_cpus;
	struct fifo_cpu cpus[XEN_MAX_VCPUS];
	struct mutex lock; /* of those who expand */
	u32 nr_words;      /* written under lock, after the page's address */
	event_word_t *pages[EVENT_ARRAY_PAGES];
};

/**
 * events_fifo_init - control blocks for all vcpus of @domain
 * Context: may sleep. Return: 0, or an error, with nothing left.
 */
[[nodiscard]] int events_fifo_init(struct events_fifo *f, struct xen_domain *domain);
/* Nobody uses @f any more. The hypervisor keeps the pages as long as it writes into them. */
void events_fifo_exit(struct events_fifo *f);

/**
 * events_fifo_resume - after EVTCHNOP_reset: the same pages once more
 * No event is bound and no cpu consumes. Return: 0 or an error.
 */
[[nodiscard]] int events_fifo_resume(struct events_fifo *f);

/* Makes words for ports up to @port. May sleep. 0, -ENOMEM, -ENOSPC, -EINVAL. */
[[nodiscard]] int events_fifo_expand(struct events_fifo *f, evtchn_port_t port);

/* @port below the number that was expanded to. */
event_word_t *events_fifo_word(struct events_fifo *f, evtchn_port_t port);

/* Return: was it MASKED already? */
bool events_fifo_mask(struct events_fifo *f, evtchn_port_t port);
/* An event that is PENDING is delivered. Any context. */
void events_fifo_unmask(struct events_fifo *f, evtchn_port_t port);

/**
 * events_fifo_turn - take one event off the queues of a cpu
 * @port: gets it; it need not be PENDING any more, nor unmasked: events_fifo_take() tells
 *
 * Return: false when no queue is ready; then *@port is 0.
 */
bool events_fifo_turn(struct events_fifo *f, unsigned int cpu, evtchn_port_t *port);

/*
 * Clears PENDING, if it is set and the event is not MASKED. True: deliver. A full barrier: what its
 * sender did before is seen by the handler.
 */
bool events_fifo_take(struct events_fifo *f, evtchn_port_t port);

#endif
