/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kshim/vcpu.h - virtual processors, as far as events need them
 *
 * A vcpu is whatever thread says so: it blocks, takes upcalls, polls. Its upcall word:
 *
 *	RUNNING --xen_vcpu_block()--> BLOCKED --an event--> UPCALL (and one wake-up)
 *	   \------------an event, no system call-----------> UPCALL --xen_vcpu_upcall()--> RUNNING
 *
 * I1: an event that makes a queue of the vcpu ready after its last xen_vcpu_upcall() leaves it in
 *     UPCALL: it does not block, or it is woken.
 * I2: a vcpu that runs costs the sender one exchange of a word.
 *
 * KSHIM: there is no upcall mask: an upcall interrupts nothing, it is taken when the vcpu asks.
 */
#ifndef KSHIM_VCPU_H
#define KSHIM_VCPU_H

#include <linux/types.h>
#include <xen/event_channel.h>

struct xen_domain;
struct xen_vcpu;

/* How many a domain may have; how many each has is "evtchn.vcpus" (1). */
#define XEN_MAX_VCPUS 8u

unsigned int xen_nr_vcpus(const struct xen_domain *domain);
/* Null when there is none of this number. Lives as long as the machine. */
struct xen_vcpu *xen_vcpu(struct xen_domain *domain, unsigned int id);

/* By the vcpu: has there been an event since the last call? */
bool xen_vcpu_upcall(struct xen_vcpu *v);
/* By the vcpu: sleeps until there is. @deadline_ns as for kshim_wait(). 0 or -ETIMEDOUT. */
int xen_vcpu_block(struct xen_vcpu *v, u64 deadline_ns);
/* Anybody: an upcall with no event behind it, for those who wait for something else, too. */
void xen_vcpu_kick(struct xen_vcpu *v);

/**
 * xen_vcpu_poll - sleep until one of @ports is pending (SCHEDOP_poll), or there is an upcall
 *
 * By the vcpu. A masked port does, too. Return: 0; 1: it was so from the beginning, or an upcall is
 * there; -ETIMEDOUT; -EINVAL: no such port.
 */
int xen_vcpu_poll(struct xen_vcpu *v, const evtchn_port_t *ports, unsigned int nr, u64 deadline_ns);

/**
 * xen_vcpu_down - it takes no events any more (VCPUOP_down)
 *
 * Nothing notifies it any more. On return what was on the way to its queues is there. May sleep.
 */
void xen_vcpu_down(struct xen_vcpu *v);

/* The hypervisor's own events. Dropped when nothing is bound. A global one has no vcpu: use 0. */
void xen_send_virq(struct xen_domain *domain, unsigned int vcpu, unsigned int virq);

/*
 * Since the machine began. sent: by its channels' users; raised: of those sent to it, the ones that
 * made a port pending; upcalls: of its vcpus, wakes: those that found one asleep. dropped: for want
 * of a control block or a queue that holds still. The tries are the largest numbers so far.
 */
struct xen_event_stats {
	u64 sent, raised, upcalls, wakes, dropped;
	u32 lock_tries, link_tries;
};
void xen_event_stats(struct xen_domain *domain, struct xen_event_stats *stats);

#endif
