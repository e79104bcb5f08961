/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcpu.cc - vcpus that run, block and poll; see <kshim/vcpu.h>
 *
 * Polling: the vcpu says what for, sets its bit in `polling`, and then looks at the ports; who
 * makes one pending sets PENDING and then looks at `polling` (full barriers between): one sees the
 * other.
 */
#include <asm/sync_bitops.h>
#include <linux/errno.h>

#include "event_fifo.h"

enum upcall_word : u32 { VCPU_RUNNING, VCPU_UPCALL, VCPU_BLOCKED };

unsigned int xen_nr_vcpus(const struct xen_domain *domain)
{
	return domain->xen->evtchns->domains[domain->domid].nr_vcpus;
}

struct xen_vcpu *xen_vcpu(struct xen_domain *domain, unsigned int id)
{
	struct evtchn_domain *d = evtchn_domain_of(domain);

	return id < d->nr_vcpus ? &d->vcpus[id] : nullptr;
}

/* Ends its polling, when it polls. */
static void poll_end(struct xen_vcpu *v)
{
	u32 polls = 1;

	if (try_cmpxchg(&v->poll, &polls, 0u))
		kshim_wake(&v->poll, 1);
}

void xen_vcpu_send_upcall(struct xen_vcpu *v)
{
	u32 before = xchg(&v->upcall, (u32)VCPU_UPCALL);

	__atomic_fetch_add(&v->upcalls, 1, __ATOMIC_RELAXED);
	if (before == VCPU_BLOCKED) {
		__atomic_fetch_add(&v->wakes, 1, __ATOMIC_RELAXED);
		kshim_wake(&v->upcall, 1);
	}
	if (READ_ONCE(v->poll))
		poll_end(v);
}

void xen_vcpu_kick(struct xen_vcpu *v)
{
	xen_vcpu_send_upcall(v);
}

void xen_vcpu_down(struct xen_vcpu *v)
{
	/*
	 * Mutant: who has read the channel's vcpu before it was moved, and links the event only
	 * now, does so for nobody.
	 */
	if (!KSHIM_MUTANT(evtchn_down_does_not_wait))
		synchronize_rcu();
}

bool xen_vcpu_upcall(struct xen_vcpu *v)
{
	return READ_ONCE(v->upcall) == VCPU_UPCALL && xchg(&v->upcall, (u32)VCPU_RUNNING);
}

int xen_vcpu_block(struct xen_vcpu *v, u64 deadline_ns)
{
	u32 runs = VCPU_RUNNING;
	int err = 0;

	if (!try_cmpxchg(&v->upcall, &runs, (u32)VCPU_BLOCKED))
		return 0;
	while (!err && READ_ONCE(v->upcall) == VCPU_BLOCKED)
		err = kshim_wait(&v->upcall, VCPU_BLOCKED, deadline_ns, "upcall");
	if (err) {
		u32 blocked = VCPU_BLOCKED;

		if (!try_cmpxchg(&v->upcall, &blocked, (u32)VCPU_RUNNING))
			err = 0;
	}
	return err;
}

static bool port_is_pending(struct evtchn_fifo *fifo, evtchn_port_t port)
{
	event_word_t *word = fifo ? fifo_word(fifo, port) : nullptr;

	return word && (READ_ONCE(*word) & FIFO_PENDING);
}

static bool poll_is_over(struct xen_vcpu *v, const evtchn_port_t *ports, unsigned int nr)
{
	guard(rcu)();
	struct evtchn_fifo *fifo = rcu_dereference(v->domain->fifo);

	for (unsigned int i = 0; i < nr; i++) {
		if (port_is_pending(fifo, ports[i]))
			return true;
	}
	return READ_ONCE(v->upcall) == VCPU_UPCALL;
}

int xen_vcpu_poll(struct xen_vcpu *v, const evtchn_port_t *ports, unsigned int nr, u64 deadline_ns)
{
	int err = 0;

	for (unsigned int i = 0; i < nr; i++) {
		if (!evtchn_lookup(v->domain, ports[i]))
			return -EINVAL;
	}
	WRITE_ONCE(v->poll_on, nr == 1 ? ports[0] : 0);
	WRITE_ONCE(v->poll, 1);
	/* A full barrier: pairs with that of PENDING, and of an upcall. */
	sync_set_bit(v->id, &v->domain->polling);
	if (poll_is_over(v, ports, nr)) {
		err = 1;
	} else {
		while (!err && READ_ONCE(v->poll))
			err = kshim_wait(&v->poll, 1, deadline_ns, "poll");
	}
	sync_clear_bit(v->id, &v->domain->polling);
	WRITE_ONCE(v->poll, 0);
	return err;
}

void evtchn_check_pollers(struct evtchn_domain *d, evtchn_port_t port)
{
	u32 polling = READ_ONCE(d->polling);

	while (polling) {
		struct xen_vcpu *v = &d->vcpus[__builtin_ctz(polling)];
		evtchn_port_t on = READ_ONCE(v->poll_on);

		polling &= polling - 1;
		if (!on || on == port)
			poll_end(v);
	}
}
