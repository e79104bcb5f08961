/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * event_channel.h - the hypervisor's side of event channels: ports
 *
 *	domain 0                                 domain 1
 *	evtchn 4 INTERDOMAIN <---- peers ----> evtchn 9 INTERDOMAIN
 *	  send(4)  -------- raises ----------> PENDING in word 9, linked on a queue (event_fifo.h)
 *
 * A port's struct evtchn is made with its bucket and stays until the domain goes; only its state
 * changes. So a sender that has found one may look at it without a lock.
 *
 *	FREE -> UNBOUND <-> INTERDOMAIN, FREE -> VIRQ, FREE -> IPI; close: all -> FREE, and the
 *	other end of an INTERDOMAIN -> UNBOUND
 *
 * I1: peers are symmetric whenever event_lock is free.
 * I2: `valid` counts evtchns that can be looked up: it is stored after the bucket's address, and
 *     never shrinks (a port that was valid stays so, also across a reset).
 * I3: a port is raised only by who holds its channel's lock (the sender's end) for reading, or
 *     event_lock; a close takes both for writing. So nothing is raised after its close.
 * I4: what is raised while there is no event word is noted in `missed`; whoever publishes the word
 *     looks there afterwards, whoever notes looks for the word afterwards (a full barrier between).
 *
 * Locks: event_lock (mutex): who is connected to whom, and everything that allocates.
 *   -> evtchn.lock, in the order of addresses; a sender tries to take it, and gives up when there
 *      is a writer: the channel is just being made (then the binding raises it) or closed.
 *   -> queue locks (event_fifo.h).
 * RCU: struct evtchn_fifo and the mappings of its pages.
 *
 * KSHIM: one event_lock where Xen has one a domain: a binding is rare here. Masks and shared_info
 * of the 2-level ABI do not exist: before init_control a domain's events wait in `missed`.
 */
#ifndef KSHIM_XEN_EVENT_CHANNEL_H
#define KSHIM_XEN_EVENT_CHANNEL_H

#include <kshim/vcpu.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>

#include "xen_internal.h"

constexpr unsigned int EVTCHNS_PER_BUCKET = 64;
constexpr unsigned int EVTCHN_BUCKETS = EVTCHN_FIFO_NR_CHANNELS / EVTCHNS_PER_BUCKET;

enum evtchn_state : u8 {
	ECS_FREE,
	ECS_RESERVED, /* port 0 */
	ECS_UNBOUND,
	ECS_INTERDOMAIN,
	ECS_VIRQ,
	ECS_IPI,
};

/* Both of a queue's names in one word, so that they are read and written together. */
static inline u32 evtchn_where(unsigned int vcpu, unsigned int priority)
{
	return vcpu << 8 | priority;
}

/* The other end in one word; 0: none, since port 0 is no end. */
static inline u64 evtchn_peer(domid_t domid, evtchn_port_t port)
{
	return (u64)domid << 32 | port;
}

struct alignas(64) evtchn {
	/* What its own end's users touch. Written with lock held for writing. */
	struct rw_semaphore lock;
	u64 peer; /* read without a lock by senders who only look */
	enum evtchn_state state;
	domid_t remote; /* UNBOUND: who may bind */
	u32 virq;
	u64 sent;
	struct evtchn_domain *domain; /* constant, as the next */
	evtchn_port_t port;

	/* What the other end's users touch: where the event goes. */
	alignas(64) u32 where; /* vcpu and priority; written under event_lock, read at any time */
	u32 missed;            /* I4; a word of its own */
	u64 raised;
	/* Of the last time it was linked: protected by the policy's rules, event_fifo.h. */
	u32 last;
	u32 claim, held;               /* lock-free */
	struct spinlock lock_of_event; /* event-lock */
};

struct evtchn_domain {
	struct xen_domain *domain;
	u32 valid;                /* I2 */
	u32 max;                  /* ports that the domain's ABI has */
	struct evtchn_fifo *fifo; /* null: 2-level; __rcu */
	/* Protected by event_lock. */
	evtchn_port_t free_hint; /* no port below is free */
	/* Written under event_lock. */
	u32 virqs[XEN_MAX_VCPUS][NR_VIRQS]; /* the port, 0: none */
	u32 polling;                        /* vcpus that poll, a bit each */
	u32 nr_vcpus;
	struct xen_vcpu *vcpus;
	u64 dropped; /* statistics; atomic */
	u32 lock_tries, link_tries;
	struct evtchn *buckets[EVTCHN_BUCKETS];
};

struct xen_vcpu {
	struct evtchn_domain *domain;
	unsigned int id;
	u32 upcall;            /* <kshim/vcpu.h> */
	u32 poll;              /* 1: polls; who ends that makes it 0 and wakes */
	evtchn_port_t poll_on; /* 0: several */
	u64 upcalls, wakes;
};

/* Hangs off struct hypervisor. */
struct evtchn_state_of_xen {
	struct mutex event_lock;
	struct kmem_cache *buckets;
	const struct evtchn_fifo_policy *policy;
	struct evtchn_domain domains[XEN_NR_DOMAINS];
};

static inline struct evtchn_state_of_xen *xen_evtchns(void)
{
	return current_xen()->evtchns;
}

static inline struct evtchn_domain *evtchn_domain_of(struct xen_domain *domain)
{
	return &domain->xen->evtchns->domains[domain->domid];
}

/* Null for a number that is no port. */
static inline struct evtchn *evtchn_lookup(struct evtchn_domain *d, evtchn_port_t port)
{
	/* Pairs with the store after the bucket's (I2). */
	if (!port || port >= smp_load_acquire(&d->valid))
		return nullptr;
	return &READ_ONCE(d->buckets[port / EVTCHNS_PER_BUCKET])[port % EVTCHNS_PER_BUCKET];
}

/* event_channel.cc */
[[nodiscard]] int evtchn_alloc_port(struct evtchn_state_of_xen *xen, struct evtchn_domain *d,
				    struct evtchn **found) __must_hold(xen->event_lock);
/* The evtchn that evtchn.peer names; null for 0. */
struct evtchn *evtchn_of_peer(struct hypervisor *xen, u64 peer);
void evtchn_write_lock(struct evtchn *a, struct evtchn *b);
void evtchn_write_unlock(struct evtchn *a, struct evtchn *b);
int evtchn_op_close(struct evtchn_domain *d, evtchn_port_t port);
void evtchn_close_all(struct evtchn_state_of_xen *xen, struct evtchn_domain *d)
	__must_hold(xen->event_lock);

/* event_channel_bind.cc */
int evtchn_op_alloc_unbound(struct evtchn_domain *d, struct evtchn_alloc_unbound *op);
int evtchn_op_bind_interdomain(struct evtchn_domain *d, struct evtchn_bind_interdomain *op);
int evtchn_op_bind_virq(struct evtchn_domain *d, struct evtchn_bind_virq *op);
int evtchn_op_bind_ipi(struct evtchn_domain *d, struct evtchn_bind_ipi *op);
int evtchn_op_bind_vcpu(struct evtchn_domain *d, const struct evtchn_bind_vcpu *op);
int evtchn_op_set_priority(struct evtchn_domain *d, const struct evtchn_set_priority *op);

/* event_channel_send.cc */
int evtchn_op_send(struct evtchn_domain *d, evtchn_port_t port);
int evtchn_op_unmask(struct evtchn_domain *d, evtchn_port_t port);
/* Makes @e pending. The caller keeps it from being closed (I3). Inside of an RCU section. */
void evtchn_set_pending(struct evtchn *e);

/* vcpu.cc */
void xen_vcpu_send_upcall(struct xen_vcpu *v);
/* @port has become pending, and is where a vcpu that looks finds it. */
void evtchn_check_pollers(struct evtchn_domain *d, evtchn_port_t port);

#endif
