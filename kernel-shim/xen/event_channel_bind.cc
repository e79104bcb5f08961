/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * event_channel_bind.cc - operations that connect a port, or change where its events go
 *
 * A connection is made under event_lock and the locks of both ends. That keeps senders away for a
 * moment, and they do not wait: what the other end sent before it was bound is lost. Therefore
 * bind_interdomain raises its own end. Changing vcpu or priority must lose nothing, so it takes no
 * lock that senders try to take: the two are one word, and a sender reads it as it was or as it is.
 */
#include <linux/errno.h>

#include "event_fifo.h"

int evtchn_op_alloc_unbound(struct evtchn_domain *d, struct evtchn_alloc_unbound *op)
{
	struct evtchn_state_of_xen *xen = xen_evtchns();
	struct evtchn *e;
	int err;

	guard(mutex)(&xen->event_lock);
	err = evtchn_alloc_port(xen, d, &e);
	if (err)
		return err;
	evtchn_write_lock(e, nullptr);
	e->state = ECS_UNBOUND;
	e->remote = op->remote_dom == DOMID_SELF ? d->domain->domid : op->remote_dom;
	evtchn_write_unlock(e, nullptr);
	op->port = e->port;
	return 0;
}

static void connect(struct evtchn *e, struct evtchn *peer)
{
	e->state = peer->state = ECS_INTERDOMAIN;
	WRITE_ONCE(e->peer, evtchn_peer(peer->domain->domain->domid, peer->port));
	WRITE_ONCE(peer->peer, evtchn_peer(e->domain->domain->domid, e->port));
}

int evtchn_op_bind_interdomain(struct evtchn_domain *d, struct evtchn_bind_interdomain *op)
{
	struct evtchn_state_of_xen *xen = xen_evtchns();
	struct xen_domain *remote =
		op->remote_dom == DOMID_SELF ? d->domain : xen_domain(op->remote_dom);
	struct evtchn *e, *peer;
	int err;

	if (!remote)
		return -ESRCH;
	guard(mutex)(&xen->event_lock);
	peer = evtchn_lookup(evtchn_domain_of(remote), op->remote_port);
	if (!peer || peer->state != ECS_UNBOUND || peer->remote != d->domain->domid)
		return -EINVAL;
	err = evtchn_alloc_port(xen, d, &e);
	if (err)
		return err;
	evtchn_write_lock(e, peer);
	connect(e, peer);
	evtchn_write_unlock(e, peer);
	op->local_port = e->port;
	__atomic_fetch_add(&e->sent, 1, __ATOMIC_RELAXED);
	guard(rcu)();
	evtchn_set_pending(e);
	return 0;
}

/* Once in each vcpu, and bound to it for good. */
static bool virq_is_per_vcpu(unsigned int virq)
{
	return virq == VIRQ_TIMER || virq == VIRQ_DEBUG || virq == VIRQ_XENOPROF ||
	       virq == VIRQ_XENPMU;
}

int evtchn_op_bind_virq(struct evtchn_domain *d, struct evtchn_bind_virq *op)
{
	struct evtchn_state_of_xen *xen = xen_evtchns();
	struct evtchn *e;
	int err;

	if (op->virq >= NR_VIRQS)
		return -EINVAL;
	if (!virq_is_per_vcpu(op->virq) && op->vcpu != 0)
		return -EINVAL;
	if (op->vcpu >= d->nr_vcpus)
		return -ENOENT;
	guard(mutex)(&xen->event_lock);
	if (d->virqs[op->vcpu][op->virq])
		return -EEXIST;
	err = evtchn_alloc_port(xen, d, &e);
	if (err)
		return err;
	WRITE_ONCE(e->where, evtchn_where(op->vcpu, e->where & 0xff));
	evtchn_write_lock(e, nullptr);
	e->state = ECS_VIRQ;
	e->virq = op->virq;
	evtchn_write_unlock(e, nullptr);
	smp_store_release(&d->virqs[op->vcpu][op->virq], e->port);
	op->port = e->port;
	return 0;
}

int evtchn_op_bind_ipi(struct evtchn_domain *d, struct evtchn_bind_ipi *op)
{
	struct evtchn_state_of_xen *xen = xen_evtchns();
	struct evtchn *e;
	int err;

	if (op->vcpu >= d->nr_vcpus)
		return -ENOENT;
	guard(mutex)(&xen->event_lock);
	err = evtchn_alloc_port(xen, d, &e);
	if (err)
		return err;
	WRITE_ONCE(e->where, evtchn_where(op->vcpu, e->where & 0xff));
	evtchn_write_lock(e, nullptr);
	e->state = ECS_IPI;
	evtchn_write_unlock(e, nullptr);
	op->port = e->port;
	return 0;
}

static bool may_move(const struct evtchn *e)
{
	return e->state == ECS_UNBOUND || e->state == ECS_INTERDOMAIN ||
	       (e->state == ECS_VIRQ && !virq_is_per_vcpu(e->virq));
}

/* Both halves of the word have one writer at a time: event_lock. */
static void set_where(struct evtchn *e, u32 where)
{
	/*
	 * Mutant: with the channel's lock, as one might: a sender that meets it gives up, and its
	 * event is lost. (Beside it: 5f2df45ead, where senders began to give up.)
	 */
	if (KSHIM_MUTANT(evtchn_move_excludes_senders)) {
		struct evtchn *peer = evtchn_of_peer(e->domain->domain->xen, e->peer);

		evtchn_write_lock(e, peer);
		WRITE_ONCE(e->where, where);
		evtchn_write_unlock(e, peer);
		return;
	}
	WRITE_ONCE(e->where, where);
}

int evtchn_op_bind_vcpu(struct evtchn_domain *d, const struct evtchn_bind_vcpu *op)
{
	struct evtchn_state_of_xen *xen = xen_evtchns();

	if (op->vcpu >= d->nr_vcpus)
		return -ENOENT;
	guard(mutex)(&xen->event_lock);
	struct evtchn *e = evtchn_lookup(d, op->port);

	if (!e || !may_move(e))
		return -EINVAL;
	/* A global virq is looked up as vcpu 0's, whichever it notifies. */
	set_where(e, evtchn_where(op->vcpu, e->where & 0xff));
	return 0;
}

int evtchn_op_set_priority(struct evtchn_domain *d, const struct evtchn_set_priority *op)
{
	struct evtchn_state_of_xen *xen = xen_evtchns();

	if (op->priority > EVTCHN_FIFO_PRIORITY_MIN)
		return -EINVAL;
	guard(mutex)(&xen->event_lock);
	struct evtchn *e = evtchn_lookup(d, op->port);

	if (!d->fifo)
		return -ENOSYS;
	if (!e || e->state == ECS_FREE)
		return -EINVAL;
	set_where(e, evtchn_where(e->where >> 8, op->priority));
	return 0;
}
