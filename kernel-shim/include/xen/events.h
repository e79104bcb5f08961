/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xen/events.h - event channels as interrupts
 *
 *      front: evtchn_alloc_unbound() -> port 3 --- store: "event-channel" = 3 ---> back
 *      front: bind_evtchn_to_irqhandler(port 3)   back: bind_interdomain_evtchn_to_irqhandler(1, 3)
 *             irq 1026 <------------------------------------> irq 1027
 *
 * An event is one bit per port: notifications which arrive before the handler began are one call of
 * it; a notification which arrives while it runs makes one more call. So a handler that looks at
 * the shared state once after it was called misses nothing. Handlers of a domain run one at a time
 * on that domain's event thread, which sleeps when no port is pending; they may sleep themselves.
 *
 * I1: notify happens-before the start of the call of the handler that it causes.
 * I2: after unbind_from_irqhandler() returns, the handler is not running and never runs again
 *     (unless the handler itself unbinds: then it is the last call).
 * I3: an irq number is not reused for a long time: a late notify of a dead irq does nothing.
 *
 * KSHIM: a plain port table; FIFO queues are a property of the delivery order only, which is by
 * first notification here. Masking, virqs and priorities do not exist.
 */
#pragma once

#include <linux/interrupt.h>
#include <linux/types.h>
#include <xen/event_channel.h>
#include <xen/xen.h>

struct xen_domain;

/* Allocate a port of @self that @remote may bind to. 0, -ENOSPC, -ENOMEM. */
[[nodiscard]] int evtchn_alloc_unbound(struct xen_domain *self, domid_t remote,
				       evtchn_port_t *port);

/* Close a port that no irq is bound to (a bound one goes with its irq). 0, -EINVAL. */
int evtchn_close(struct xen_domain *self, evtchn_port_t port);

/**
 * bind_evtchn_to_irqhandler - receive the events of an own port
 * Return: the irq (> 0), or -EINVAL (no such port), -EBUSY (bound), -ENOMEM. Events that came
 * before are delivered. @devname is not copied. Context: may sleep.
 */
[[nodiscard]] int bind_evtchn_to_irqhandler(struct xen_domain *self, evtchn_port_t port,
					    irq_handler_t handler, unsigned long irqflags,
					    const char *devname, void *dev_id);

/**
 * bind_interdomain_evtchn_to_irqhandler - connect to an unbound port of another domain
 *
 * The handler is called once at the beginning, since an event sent before the connection is lost.
 * Return: the irq (> 0), or -EINVAL: no such port, it is not for @self, or another end has it.
 */
[[nodiscard]] int
bind_interdomain_evtchn_to_irqhandler(struct xen_domain *self, domid_t remote_domain,
				      evtchn_port_t remote_port, irq_handler_t handler,
				      unsigned long irqflags, const char *devname, void *dev_id);

/**
 * unbind_from_irqhandler - no more events
 *
 * Closes the port; the other end's notifications go nowhere. Waits until a running handler has
 * ended, except on the event thread itself. The caller holds no lock that the handler takes.
 * Numbers that are no irq (a negative one, a dead one) are ignored.
 */
void unbind_from_irqhandler(int irq, void *dev_id);

/*
 * Is the other end still there? False once it has closed its port, also before it has bound to
 * ours. What EVTCHNOP_status tells in Xen.
 */
bool evtchn_irq_connected(int irq);

/*
 * Make the port of the other end pending. Any context. No-op for a dead irq or an unconnected one;
 * a number that never was one (-1) is a warning.
 */
void notify_remote_via_irq(int irq);
