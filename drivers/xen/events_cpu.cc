/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * events_cpu.cc - event threads: what a vcpu does with an upcall
 *
 *	upcall? -> turns, until no queue is ready -> block
 *
 * An upcall that comes during the turns is found before the block, so nothing sleeps while there is
 * an event. Taking a cpu offline: what is bound to it is moved; its thread ends; then whoever takes
 * it offline is that cpu for the last turns and sends each event that it finds to where it is bound
 * now.
 */
#include <asm/xen/hypercall.h>
#include <kshim/mutant.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/kthread.h>

#include "xen/events_internal.h"

/* Makes @i RUNNING, with a thread that will look at the event. False: dead, or another one will. */
static bool irq_begin(struct xen_irq *i)
{
	u32 seen = READ_ONCE(i->state), next;

	do {
		if (seen & IRQ_DEAD)
			return false;
		next = seen & IRQ_RUNNING ? seen | IRQ_AGAIN : (u32)IRQ_RUNNING;
	} while (!try_cmpxchg(&i->state, &seen, next));
	return next == IRQ_RUNNING;
}

/* False: another event came meanwhile. */
static bool irq_end(struct xen_irq *i)
{
	struct events_domain *d = i->domain;
	u32 seen = IRQ_RUNNING, next;

	do {
		next = seen & IRQ_DEAD ? (u32)IRQ_DEAD : seen & IRQ_AGAIN ? (u32)IRQ_RUNNING : 0u;
	} while (!try_cmpxchg(&i->state, &seen, next));
	if (next == IRQ_RUNNING)
		return false;
	/* It may be freed from here on. The exchange comes before the look: who waits is seen. */
	if (waitqueue_active(&d->idle_wq))
		wake_up_all(&d->idle_wq);
	return true;
}

static void handle(struct events_cpu *cpu, struct xen_irq *i)
{
	cpu->running = i;
	do {
		if (!events_fifo_take(&i->domain->fifo, i->port))
			continue;
		if (i->lateeoi)
			irq_mask(i, MASK_EOI_PENDING);
		WRITE_ONCE(cpu->delivered, cpu->delivered + 1);
		i->handler(i->irq, i->dev_id);
		/* It has unbound itself, and is gone. */
		if (!cpu->running)
			return;
	} while (!irq_end(i));
	cpu->running = nullptr;
}

static void deliver(struct events_cpu *cpu, evtchn_port_t port)
{
	struct xen_irq *i;

	{
		guard(rcu)();
		i = irq_of_port(cpu->domain, port);
		if (!i || !irq_begin(i))
			return;
	}
	handle(cpu, i);
}

static int event_thread(void *data)
{
	auto *cpu = static_cast<struct events_cpu *>(data);
	struct events_fifo *fifo = &cpu->domain->fifo;
	struct xen_vcpu *v = xen_vcpu(cpu->domain->domain, cpu->id);
	evtchn_port_t port;

	while (!READ_ONCE(cpu->stopping)) {
		if (!xen_vcpu_upcall(v)) {
			(void)xen_vcpu_block(v, KSHIM_FOREVER);
			continue;
		}
		while (!READ_ONCE(cpu->stopping) && events_fifo_turn(fifo, cpu->id, &port))
			deliver(cpu, port);
	}
	return 0;
}

int events_cpu_start(struct events_cpu *cpu)
{
	WRITE_ONCE(cpu->stopping, false);
	cpu->thread = kthread_run(event_thread, cpu, "xen-event/%u.%u",
				  xen_domid(cpu->domain->domain), cpu->id);
	if (!IS_ERR(cpu->thread))
		return 0;
	int err = (int)PTR_ERR(cpu->thread);

	cpu->thread = nullptr;
	return err;
}

void events_cpu_stop(struct events_cpu *cpu)
{
	if (!cpu->thread)
		return;
	WRITE_ONCE(cpu->stopping, true);
	/* A full barrier: the thread sees `stopping` when it has taken this upcall. */
	xen_vcpu_kick(xen_vcpu(cpu->domain->domain, cpu->id));
	kthread_stop(cpu->thread);
	cpu->thread = nullptr;
}

/* Everything of that cpu whose channel may be moved. */
static int move_away(struct xen_events *events, struct events_domain *d, unsigned int cpu)
	__must_hold(events->lock);

static int move_away(struct xen_events *events, struct events_domain *d, unsigned int cpu)
{
	const struct irq_table *table = events->irqs;
	int err = 0;

	for (u32 slot = 0; slot < table->nr && !err; slot++) {
		struct xen_irq *i = table->slots[slot].irq;

		if (i && i->domain == d && i->cpu == cpu)
			err = irq_rebind(i, 0);
	}
	return err;
}

/* The cpu's last turns. An event that is found is unmasked by the hypervisor: linked anew. */
static void drain(struct events_domain *d, unsigned int cpu)
{
	evtchn_port_t port;

	while (events_fifo_turn(&d->fifo, cpu, &port)) {
		guard(rcu)();
		struct xen_irq *i = irq_of_port(d, port);

		if (!i)
			continue;
		irq_mask(i, MASK_TEMPORARY);
		irq_unmask(i, MASK_TEMPORARY);
	}
}

int xen_events_cpu_offline(struct xen_domain *domain, unsigned int cpu)
{
	struct xen_events *events = current_machine()->xen_events;
	struct events_domain *d = events_of(domain);
	int err;

	if (cpu >= d->fifo.nr_cpus)
		return -ENOENT;
	guard(mutex)(&events->lock);
	if (!cpu || !d->cpus[cpu].thread)
		return -EINVAL;
	err = move_away(events, d, cpu);
	if (err)
		return err;
	events_cpu_stop(&d->cpus[cpu]);
	/* A sender may have read the old vcpu and still be on its way to the queue. */
	xen_vcpu_down(xen_vcpu(domain, cpu));
	/* Mutant: what is on its queues is forgotten, and LINKED for ever. */
	if (!KSHIM_MUTANT(evtchn_offline_forgets))
		drain(d, cpu);
	return 0;
}
