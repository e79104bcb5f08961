/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * events.cc - event channels as plain ports
 *
 *      notify(irq) -> evtchn -> peer: pending? no: queue the port, wake the event thread
 *      event thread: take the first port, clear pending, call its handler without a lock
 *
 * A port is UNBOUND (peer null) or connected (peer->peer == this). Pending is cleared before the
 * handler is called, so that an event which comes while it runs queues the port again.
 *
 * I1: a port is on its domain's queue exactly when it is pending and has a handler; a port that
 *     becomes pending before its handler is bound is queued by the bind.
 * I2: peer links are symmetric whenever evtchn_lock is free.
 * I3: an evtchn is freed only when the event thread is not in its handler, or by that handler.
 * I4: an irq is generation * XEN_NR_IRQS + slot. The generation moves on with every binding, so a
 *     number comes back after 2^21 of them at the earliest.
 * Locks: evtchn_lock guards everything here, for some 100 ns.
 *
 * KSHIM: Xen tells the other end nothing when a channel closes; it becomes UNBOUND again, as here.
 */
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/slab.h>

#include "xen_internal.h"

constexpr u32 IRQ_GENERATIONS = 1u << 21;

struct evtchn {
	struct xen_domain *domain;
	evtchn_port_t port;
	domid_t remote;
	struct evtchn *peer;
	struct list_head pending_node;
	bool pending;
	/* While bound; handler is null otherwise. */
	int irq;
	irq_handler_t handler;
	void *dev_id;
};

static struct evtchn *port_lookup(struct xen_domain *domain, evtchn_port_t port)
{
	return port < XEN_NR_PORTS ? domain->ports[port] : nullptr;
}

static struct evtchn *irq_lookup(struct hypervisor *xen, int irq)
{
	struct evtchn *e = irq > 0 ? xen->irqs[irq % XEN_NR_IRQS] : nullptr;

	return e && e->irq == irq ? e : nullptr;
}

/* Caller holds evtchn_lock. Returns whether the event thread must be woken. */
static bool evtchn_set_pending(struct evtchn *e)
{
	if (e->pending)
		return false;
	e->pending = true;
	if (!e->handler)
		return false;
	list_add_tail(&e->pending_node, &e->domain->pending_ports);
	return true;
}

/* Caller holds evtchn_lock. Puts a new evtchn into a free port of its domain. */
static int port_install(struct evtchn *e)
{
	for (evtchn_port_t port = 1; port < XEN_NR_PORTS; port++) {
		if (e->domain->ports[port])
			continue;
		e->port = port;
		e->domain->ports[port] = e;
		return 0;
	}
	return -ENOSPC;
}

/* Caller holds evtchn_lock. */
static int irq_install(struct evtchn *e, irq_handler_t handler, void *dev_id)
{
	struct hypervisor *xen = e->domain->xen;

	for (unsigned int i = 0; i < XEN_NR_IRQS; i++) {
		unsigned int slot = (xen->irq_next + i) % XEN_NR_IRQS;

		if (xen->irqs[slot])
			continue;
		xen->irq_generation = xen->irq_generation % (IRQ_GENERATIONS - 1) + 1;
		xen->irq_next = slot + 1;
		xen->irqs[slot] = e;
		e->irq = (int)(xen->irq_generation * XEN_NR_IRQS + slot);
		e->dev_id = dev_id;
		e->handler = handler;
		return e->irq;
	}
	return -ENOSPC;
}

static struct evtchn *evtchn_alloc(struct xen_domain *domain, domid_t remote)
{
	auto *e = static_cast<struct evtchn *>(kzalloc(sizeof(struct evtchn), GFP_KERNEL));

	if (!e)
		return nullptr;
	e->domain = domain;
	e->remote = remote;
	INIT_LIST_HEAD(&e->pending_node);
	return e;
}

/* Caller holds evtchn_lock. Takes @e out of everything but the event thread's hands. */
static void evtchn_disconnect(struct evtchn *e)
{
	list_del_init(&e->pending_node);
	if (e->peer)
		e->peer->peer = nullptr;
	e->peer = nullptr;
	if (e->handler)
		e->domain->xen->irqs[e->irq % XEN_NR_IRQS] = nullptr;
	e->handler = nullptr;
	e->domain->ports[e->port] = nullptr;
}

int evtchn_alloc_unbound(struct xen_domain *self, domid_t remote, evtchn_port_t *port)
{
	struct evtchn *e = evtchn_alloc(self, remote);
	int err;

	if (!e)
		return -ENOMEM;
	{
		guard(spinlock_irqsave)(&self->xen->evtchn_lock);
		err = port_install(e);
		if (!err)
			*port = e->port;
	}
	if (err)
		kfree(e);
	return err;
}

int evtchn_close(struct xen_domain *self, evtchn_port_t port)
{
	struct evtchn *e;

	{
		guard(spinlock_irqsave)(&self->xen->evtchn_lock);
		e = port_lookup(self, port);
		if (!e || e->handler || self->running == e)
			return -EINVAL;
		evtchn_disconnect(e);
	}
	kfree(e);
	return 0;
}

int bind_evtchn_to_irqhandler(struct xen_domain *self, evtchn_port_t port, irq_handler_t handler,
			      unsigned long irqflags, const char *devname, void *dev_id)
{
	bool wake = false;
	int irq;

	{
		guard(spinlock_irqsave)(&self->xen->evtchn_lock);
		struct evtchn *e = port_lookup(self, port);

		if (!e || !handler)
			return -EINVAL;
		if (e->handler)
			return -EBUSY;
		irq = irq_install(e, handler, dev_id);
		if (irq > 0 && e->pending) {
			e->pending = false;
			wake = evtchn_set_pending(e);
		}
	}
	if (wake)
		wake_up(&self->event_wq);
	return irq;
}

int bind_interdomain_evtchn_to_irqhandler(struct xen_domain *self, domid_t remote_domain,
					  evtchn_port_t remote_port, irq_handler_t handler,
					  unsigned long irqflags, const char *devname, void *dev_id)
{
	struct xen_domain *remote = xen_domain(remote_domain);
	struct evtchn *e, *peer;
	int irq;

	if (!remote || !handler)
		return -EINVAL;
	e = evtchn_alloc(self, remote_domain);
	if (!e)
		return -ENOMEM;
	{
		guard(spinlock_irqsave)(&self->xen->evtchn_lock);
		peer = port_lookup(remote, remote_port);
		if (!peer || peer->peer || peer->remote != self->domid)
			irq = -EINVAL;
		else
			irq = port_install(e);
		if (!irq) {
			irq = irq_install(e, handler, dev_id);
			if (irq < 0)
				self->ports[e->port] = nullptr;
		}
		if (irq > 0) {
			e->peer = peer;
			peer->peer = e;
			evtchn_set_pending(e);
		}
	}
	if (irq < 0)
		kfree(e);
	else
		wake_up(&self->event_wq);
	return irq;
}

static bool handler_is_running(struct xen_domain *domain, struct evtchn *e)
{
	guard(spinlock_irqsave)(&domain->xen->evtchn_lock);
	return domain->running == e;
}

void unbind_from_irqhandler(int irq, void *dev_id)
{
	struct hypervisor *xen = current_xen();
	struct xen_domain *domain;
	struct evtchn *e;

	{
		guard(spinlock_irqsave)(&xen->evtchn_lock);
		e = irq_lookup(xen, irq);
		if (!e)
			return;
		WARN_ON_ONCE(e->dev_id != dev_id);
		domain = e->domain;
		evtchn_disconnect(e);
		/* The handler unbinds itself: let go of e before it is freed. */
		if (domain->running == e && current == domain->event_thread)
			domain->running = nullptr;
	}
	wait_event(domain->event_idle_wq, !handler_is_running(domain, e));
	kfree(e);
}

bool evtchn_irq_connected(int irq)
{
	struct hypervisor *xen = current_xen();

	guard(spinlock_irqsave)(&xen->evtchn_lock);
	struct evtchn *e = irq_lookup(xen, irq);

	return e && e->peer;
}

void notify_remote_via_irq(int irq)
{
	struct hypervisor *xen = current_xen();
	struct xen_domain *domain = nullptr;

	/* A dead irq is bad luck; this is a caller who does not know that he has none. */
	WARN_ON_ONCE(irq <= 0);
	{
		guard(spinlock_irqsave)(&xen->evtchn_lock);
		struct evtchn *e = irq_lookup(xen, irq);

		if (e && e->peer && evtchn_set_pending(e->peer))
			domain = e->peer->domain;
	}
	if (domain)
		wake_up(&domain->event_wq);
}

static bool event_pending(struct xen_domain *domain)
{
	guard(spinlock_irqsave)(&domain->xen->evtchn_lock);
	return !list_empty(&domain->pending_ports);
}

/* Delivers one event. False when there is none. */
static bool event_deliver(struct xen_domain *domain)
{
	irq_handler_t handler;
	void *dev_id;
	int irq;

	{
		guard(spinlock_irqsave)(&domain->xen->evtchn_lock);
		if (list_empty(&domain->pending_ports))
			return false;
		struct evtchn *e =
			list_first_entry(&domain->pending_ports, struct evtchn, pending_node);

		list_del_init(&e->pending_node);
		e->pending = false;
		domain->running = e;
		handler = e->handler;
		dev_id = e->dev_id;
		irq = e->irq;
	}
	handler(irq, dev_id);
	{
		guard(spinlock_irqsave)(&domain->xen->evtchn_lock);
		domain->running = nullptr;
	}
	wake_up_all(&domain->event_idle_wq);
	return true;
}

static int event_thread(void *data)
{
	auto *domain = static_cast<struct xen_domain *>(data);

	while (!kthread_should_stop()) {
		wait_event_interruptible(domain->event_wq,
					 event_pending(domain) || kthread_should_stop());
		while (!kthread_should_stop() && event_deliver(domain))
			;
	}
	return 0;
}

int xen_events_init(struct xen_domain *domain)
{
	INIT_LIST_HEAD(&domain->pending_ports);
	init_waitqueue_head(&domain->event_wq);
	init_waitqueue_head(&domain->event_idle_wq);
	struct task_struct *task = kthread_run(event_thread, domain, "xen-event/%u", domain->domid);

	if (IS_ERR(task))
		return (int)PTR_ERR(task);
	domain->event_thread = task;
	return 0;
}

void xen_events_stop(struct xen_domain *domain)
{
	if (domain->event_thread)
		kthread_stop(domain->event_thread);
	domain->event_thread = nullptr;
}

void xen_events_exit(struct hypervisor *xen)
{
	unsigned int left = 0;

	for (auto &domain : xen->domains) {
		for (struct evtchn *e : domain.ports) {
			if (!e)
				continue;
			left++;
			evtchn_disconnect(e);
			kfree(e);
		}
	}
	WARN(left, "xen: %u event channels were left open\n", left);
}
