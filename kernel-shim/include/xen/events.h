/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xen/events.h - event channels as interrupts
 *
 *      front: evtchn_alloc_unbound() -> port 3 --- store: "event-channel" = 3 ---> back
 *      front: bind_evtchn_to_irqhandler(port 3)   back: bind_interdomain_evtchn_to_irqhandler(1, 3)
 *             irq 262146 <----------------------------------> irq 262147
 *
 * An event is one bit per port: notifications which arrive before the handler began are one call of
 * it; a notification which arrives while it runs makes one more call. So a handler that looks at
 * the shared state once after it was called misses nothing. Handlers run on the event thread of the
 * vcpu that their channel notifies (the domain's first one, unless it was moved), in order of
 * priority and then of arrival; the thread sleeps when no queue is ready. They may sleep
 * themselves.
 *
 * I1: notify happens-before the start of the call of the handler that it causes.
 * I2: after unbind_from_irqhandler() returns, the handler is not running and never runs again
 *     (unless the handler itself unbinds: then it is the last call).
 * I3: an irq number is not reused for a long time: a late notify of a dead irq does nothing.
 * I4: a handler never runs beside itself, whichever vcpus its events arrive on.
 *
 * KSHIM: Linux knows its domain; here both domains' kernels are one process, so who binds says
 * whose port it is.
 */
#pragma once

#include <linux/interrupt.h>
#include <linux/types.h>
#include <xen/event_channel.h>
#include <xen/xen.h>

struct machine_initcall;
struct xen_domain;

/* Both domains' event threads. Needs xen_initcall, and mm_initcall for the shared pages. */
extern const struct machine_initcall xen_events_initcall;

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
 * Return: the irq (> 0), or -ESRCH: no such domain; -EINVAL: no such port, it is not for @self, or
 * another end has it.
 */
[[nodiscard]] int
bind_interdomain_evtchn_to_irqhandler(struct xen_domain *self, domid_t remote_domain,
				      evtchn_port_t remote_port, irq_handler_t handler,
				      unsigned long irqflags, const char *devname, void *dev_id);

/**
 * bind_interdomain_evtchn_to_irqhandler_lateeoi - the same, for a back end
 *
 * The channel is masked before the handler is called and stays so until xen_irq_lateeoi(), so a
 * front end gets no more than the back end says it is ready for (XSA-332).
 */
[[nodiscard]] int bind_interdomain_evtchn_to_irqhandler_lateeoi(
	struct xen_domain *self, domid_t remote_domain, evtchn_port_t remote_port,
	irq_handler_t handler, unsigned long irqflags, const char *devname, void *dev_id);

#define XEN_EOI_FLAG_SPURIOUS 0x00000001u

/**
 * xen_irq_lateeoi - the handler's work is done, further events may come
 * @flags: XEN_EOI_FLAG_SPURIOUS: there was nothing to do. From the second such event in a row on
 *	the next one is delayed, up to a second.
 *
 * Once for each call of the handler, in it or later, from any context. A dead irq is ignored.
 */
void xen_irq_lateeoi(int irq, unsigned int flags);

/* The hypervisor's own events, and those of the domain to itself. Errors as the operations'. */
[[nodiscard]] int bind_virq_to_irqhandler(struct xen_domain *self, unsigned int virq,
					  unsigned int cpu, irq_handler_t handler,
					  unsigned long irqflags, const char *devname,
					  void *dev_id);
[[nodiscard]] int bind_ipi_to_irqhandler(struct xen_domain *self, unsigned int cpu,
					 irq_handler_t handler, unsigned long irqflags,
					 const char *devname, void *dev_id);

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
 * Make the port of the other end pending (of an IPI: the own one). Any context. No-op for a dead
 * irq or an unconnected one; a number that never was one (-1) is a warning.
 */
void notify_remote_via_irq(int irq);

/* 0 (first) to 15; takes effect with the next event. 0, -EINVAL. */
[[nodiscard]] int xen_set_irq_priority(int irq, unsigned int priority);
/* Events go to vcpu @cpu from the next one on. 0, -EINVAL (dead, or bound to its cpu), -ENOENT. */
[[nodiscard]] int xen_rebind_irq_to_cpu(int irq, unsigned int cpu);

/**
 * xen_events_cpu_offline - stop the event thread of a vcpu
 *
 * What is bound to it goes to vcpu 0, also what is on its queues by now. May sleep. Return: 0;
 * -EINVAL: vcpu 0, or it is offline; -ENOENT. IPIs and virqs of that vcpu must be unbound before.
 */
[[nodiscard]] int xen_events_cpu_offline(struct xen_domain *domain, unsigned int cpu);

/* Of both domains, since the machine began; coalesced: found the port pending. */
struct xen_irq_stats {
	u64 sent, delivered, coalesced;
};
void xen_irq_stats(struct xen_irq_stats *stats);
