/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * events_internal.h - interrupts made of event channels: what events_base and events_cpu share
 *
 *	irq number -> table -> xen_irq <- by port <- queue of a vcpu (events_fifo)
 *
 *	state of an xen_irq:	0 --event--> RUNNING --handler has returned--> 0
 *			RUNNING --event on another vcpu--> RUNNING|AGAIN: one more look
 *			any --unbind--> DEAD: no handler begins; freed when not RUNNING
 *
 * E1: RUNNING has one owner, the event thread that set it; so a handler never runs beside itself.
 * E2: an xen_irq is freed a grace period after it has left both tables, and when it is not RUNNING.
 * E3: its event is MASKED exactly while there is a reason to: `masks` is not 0.
 * E4: an irq is generation * 2^18 + slot. A slot's generation moves on with each binding and slots
 *     are taken in turn, so a number comes back after 2^22 bindings at the earliest.
 *
 * Locks: lock (mutex): both tables. xen_irq.lock (spin): masks; the hypervisor's queues come under
 * it. Handlers are called with none. RCU: lookups in the tables.
 */
#ifndef DRIVERS_XEN_EVENTS_INTERNAL_H
#define DRIVERS_XEN_EVENTS_INTERNAL_H

#include <kshim/machine.h>
#include <kshim/xen.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <xen/events.h>

#include "xen/events_fifo.h"

constexpr unsigned int IRQ_SLOT_BITS = 18;
constexpr unsigned int IRQ_SLOTS_MIN = 512;

enum irq_state : u32 { IRQ_RUNNING = 1, IRQ_AGAIN = 2, IRQ_DEAD = 4 };

enum irq_mask : u8 {
	MASK_EXPLICIT = 1,    /* disable_irq() */
	MASK_TEMPORARY = 2,   /* it is being moved */
	MASK_EOI_PENDING = 4, /* until xen_irq_lateeoi() */
	MASK_STARTUP = 8,     /* not bound to its handler yet */
};

struct xen_irq {
	u32 state;
	int irq; /* constant, as the next */
	evtchn_port_t port;
	struct events_domain *domain;
	irq_handler_t handler;
	void *dev_id;
	bool lateeoi;
	spinlock_t lock;
	u8 masks __guarded_by(lock);
	u32 spurious; /* in a row; of whoever calls lateeoi */
	u32 cpu;      /* of events from now on */
	struct delayed_work eoi_work;
};

struct irq_table {
	struct rcu_head rcu;
	u32 nr;
	struct irq_slot {
		struct xen_irq *irq;
		u32 generation;
	} slots[];
};

struct events_cpu {
	struct events_domain *domain;
	unsigned int id;
	bool stopping;
	struct task_struct *thread; /* null: offline */
	struct xen_irq *running;    /* the thread's own: whose handler it is in */
	u64 delivered;
};

struct events_domain {
	struct xen_events *events;
	struct xen_domain *domain;
	struct events_fifo fifo;
	struct events_cpu cpus[XEN_MAX_VCPUS];
	wait_queue_head_t idle_wq;                   /* for those who wait for a handler's end */
	struct xen_irq **by_port[EVENT_ARRAY_PAGES]; /* written under lock */
};

struct xen_events {
	struct mutex lock;
	struct irq_table *irqs; /* written under lock */
	u32 next_slot __guarded_by(lock);
	struct events_domain domains[2];
};

static inline struct events_domain *events_of(struct xen_domain *domain)
{
	return &current_machine()->xen_events->domains[xen_domid(domain)];
}

/* events_base.cc. Inside of an RCU section, or with the lock. */
struct xen_irq *irq_lookup(int irq);
struct xen_irq *irq_of_port(struct events_domain *d, evtchn_port_t port);
void irq_mask(struct xen_irq *i, enum irq_mask why);
void irq_unmask(struct xen_irq *i, enum irq_mask why);
/* Caller holds the lock. */
[[nodiscard]] int irq_rebind(struct xen_irq *i, unsigned int cpu);

/* events_cpu.cc */
[[nodiscard]] int events_cpu_start(struct events_cpu *cpu);
void events_cpu_stop(struct events_cpu *cpu);

#endif
