/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * events_base.cc - interrupts made of event channels: bound, masked, moved, unbound
 *
 *	bind:    words up to the port -> xen_irq in both tables -> MASKED cleared; an event that
 *	         came before is delivered by that
 *	unbind:  DEAD, out of the tables, MASKED, closed -> wait for the handler -> freed
 *
 * A port that is closed while its event is on a queue stays there until the vcpu takes it off: the
 * hypervisor gives out the port's number only then (event_channel.cc), and the vcpu finds no irq.
 */
#include <asm/xen/hypercall.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/slab.h>

#include "xen/events_internal.h"

struct xen_irq *irq_lookup(int irq)
{
	struct irq_table *table = rcu_dereference(current_machine()->xen_events->irqs);
	u32 slot = (u32)irq & ((1u << IRQ_SLOT_BITS) - 1);
	struct xen_irq *i;

	if (irq <= 0 || slot >= table->nr)
		return nullptr;
	i = rcu_dereference(table->slots[slot].irq);
	return i && i->irq == irq ? i : nullptr;
}

struct xen_irq *irq_of_port(struct events_domain *d, evtchn_port_t port)
{
	struct xen_irq **page = rcu_dereference(d->by_port[port / EVENT_WORDS_PER_PAGE]);

	return page ? rcu_dereference(page[port % EVENT_WORDS_PER_PAGE]) : nullptr;
}

void irq_mask(struct xen_irq *i, enum irq_mask why)
{
	guard(spinlock)(&i->lock);
	if (!i->masks)
		events_fifo_mask(&i->domain->fifo, i->port);
	i->masks |= why;
}

void irq_unmask(struct xen_irq *i, enum irq_mask why)
{
	guard(spinlock)(&i->lock);
	if (!(i->masks & why))
		return;
	i->masks &= (u8)~why;
	if (!i->masks)
		events_fifo_unmask(&i->domain->fifo, i->port);
}

static int op(struct events_domain *d, int cmd, void *arg)
{
	return HYPERVISOR_event_channel_op(d->domain, cmd, arg);
}

static void close_port(struct events_domain *d, evtchn_port_t port)
{
	struct evtchn_close close = {.port = port};

	WARN_ON_ONCE(op(d, EVTCHNOP_close, &close) != 0);
}

/* The tables. */

static int table_grow(struct xen_events *events) __must_hold(events->lock);

static int table_grow(struct xen_events *events)
{
	struct irq_table *old = events->irqs;
	u32 nr = old ? old->nr * 2 : IRQ_SLOTS_MIN;

	if (nr > 1u << IRQ_SLOT_BITS)
		return -ENOSPC;
	auto *table = static_cast<struct irq_table *>(kvzalloc(
		sizeof(struct irq_table) + nr * sizeof(struct irq_table::irq_slot), GFP_KERNEL));
	if (!table)
		return -ENOMEM;
	table->nr = nr;
	for (u32 i = 0; old && i < old->nr; i++)
		table->slots[i] = old->slots[i];
	events->next_slot = old ? old->nr : 0;
	rcu_assign_pointer(events->irqs, table);
	if (old)
		kfree_rcu(old, rcu);
	return 0;
}

/* A free slot's index, or an error. Afterwards the search begins behind it (E4). */
static int slot_find(struct xen_events *events) __must_hold(events->lock);

static int slot_find(struct xen_events *events)
{
	const struct irq_table *table = events->irqs;
	int err;

	for (u32 n = 0; n < table->nr; n++) {
		u32 slot = (events->next_slot + n) % table->nr;

		if (table->slots[slot].irq)
			continue;
		events->next_slot = slot + 1;
		return (int)slot;
	}
	err = table_grow(events);
	return err ? err : (int)events->next_slot++;
}

static struct xen_irq **port_slot(struct events_domain *d, evtchn_port_t port)
{
	struct xen_irq ***page = &d->by_port[port / EVENT_WORDS_PER_PAGE];

	if (!*page) {
		auto *fresh = static_cast<struct xen_irq **>(
			kvcalloc(EVENT_WORDS_PER_PAGE, sizeof(struct xen_irq *), GFP_KERNEL));

		if (!fresh)
			return nullptr;
		rcu_assign_pointer(*page, fresh);
	}
	return &(*page)[port % EVENT_WORDS_PER_PAGE];
}

static void eoi_work(struct work_struct *work)
{
	irq_unmask(container_of(to_delayed_work(work), struct xen_irq, eoi_work), MASK_EOI_PENDING);
}

struct binding {
	evtchn_port_t port;
	unsigned int cpu;
	irq_handler_t handler;
	void *dev_id;
	bool lateeoi;
};

static int bind_locked(struct xen_events *events, struct events_domain *d, const struct binding *b)
	__must_hold(events->lock);

static int bind_locked(struct xen_events *events, struct events_domain *d, const struct binding *b)
{
	struct xen_irq **by_port = port_slot(d, b->port);
	int slot = by_port && *by_port ? -EBUSY : slot_find(events);
	auto *i = slot >= 0 && by_port ? kzalloc_obj(struct xen_irq, GFP_KERNEL) : nullptr;

	if (!i)
		return slot < 0 ? slot : -ENOMEM;
	struct irq_table::irq_slot *s = &events->irqs->slots[slot];

	s->generation = s->generation % ((1u << (31 - IRQ_SLOT_BITS)) - 1) + 1;
	i->irq = (int)(s->generation << IRQ_SLOT_BITS | (u32)slot);
	i->port = b->port;
	i->domain = d;
	i->handler = b->handler;
	i->dev_id = b->dev_id;
	i->lateeoi = b->lateeoi;
	i->cpu = b->cpu;
	spin_lock_init(&i->lock);
	{
		guard(spinlock)(&i->lock);
		i->masks = MASK_STARTUP;
	}
	INIT_DELAYED_WORK(&i->eoi_work, eoi_work);
	rcu_assign_pointer(s->irq, i);
	rcu_assign_pointer(*by_port, i);
	irq_unmask(i, MASK_STARTUP);
	return i->irq;
}

static int bind(struct events_domain *d, const struct binding *b)
{
	struct xen_events *events = d->events;
	struct evtchn_status status = {.dom = DOMID_SELF, .port = b->port};

	guard(mutex)(&events->lock);
	if (op(d, EVTCHNOP_status, &status) || status.status == EVTCHNSTAT_closed)
		return -EINVAL;
	int err = events_fifo_expand(&d->fifo, b->port);

	return err ? err : bind_locked(events, d, b);
}

int evtchn_alloc_unbound(struct xen_domain *self, domid_t remote, evtchn_port_t *port)
{
	struct evtchn_alloc_unbound alloc = {.dom = DOMID_SELF, .remote_dom = remote};
	int err = op(events_of(self), EVTCHNOP_alloc_unbound, &alloc);

	*port = alloc.port;
	return err;
}

int evtchn_close(struct xen_domain *self, evtchn_port_t port)
{
	struct events_domain *d = events_of(self);
	struct evtchn_close close = {.port = port};

	guard(mutex)(&d->events->lock);
	if (port < EVTCHN_FIFO_NR_CHANNELS && irq_of_port(d, port))
		return -EINVAL;
	return op(d, EVTCHNOP_close, &close);
}

int bind_evtchn_to_irqhandler(struct xen_domain *self, evtchn_port_t port, irq_handler_t handler,
			      unsigned long irqflags, const char *devname, void *dev_id)
{
	const struct binding b = {
		.port = port, .cpu = 0, .handler = handler, .dev_id = dev_id, .lateeoi = false};

	return handler ? bind(events_of(self), &b) : -EINVAL;
}

/* Binds the port that the hypervisor has just made, or closes it. */
static int bind_or_close(struct events_domain *d, const struct binding *b)
{
	int irq = bind(d, b);

	if (irq < 0)
		close_port(d, b->port);
	return irq;
}

static int bind_interdomain(struct xen_domain *self, domid_t remote_domain,
			    evtchn_port_t remote_port, struct binding *b)
{
	struct events_domain *d = events_of(self);
	struct evtchn_bind_interdomain connect = {.remote_dom = remote_domain,
						  .remote_port = remote_port};
	int err = b->handler ? op(d, EVTCHNOP_bind_interdomain, &connect) : -EINVAL;

	b->port = connect.local_port;
	return err ? err : bind_or_close(d, b);
}

int bind_interdomain_evtchn_to_irqhandler(struct xen_domain *self, domid_t remote_domain,
					  evtchn_port_t remote_port, irq_handler_t handler,
					  unsigned long irqflags, const char *devname, void *dev_id)
{
	struct binding b = {
		.port = 0, .cpu = 0, .handler = handler, .dev_id = dev_id, .lateeoi = false};

	return bind_interdomain(self, remote_domain, remote_port, &b);
}

int bind_interdomain_evtchn_to_irqhandler_lateeoi(struct xen_domain *self, domid_t remote_domain,
						  evtchn_port_t remote_port, irq_handler_t handler,
						  unsigned long irqflags, const char *devname,
						  void *dev_id)
{
	struct binding b = {
		.port = 0, .cpu = 0, .handler = handler, .dev_id = dev_id, .lateeoi = true};

	return bind_interdomain(self, remote_domain, remote_port, &b);
}

int bind_virq_to_irqhandler(struct xen_domain *self, unsigned int virq, unsigned int cpu,
			    irq_handler_t handler, unsigned long irqflags, const char *devname,
			    void *dev_id)
{
	struct events_domain *d = events_of(self);
	struct evtchn_bind_virq virq_op = {.virq = virq, .vcpu = cpu};
	int err = handler ? op(d, EVTCHNOP_bind_virq, &virq_op) : -EINVAL;
	const struct binding b = {.port = virq_op.port,
				  .cpu = cpu,
				  .handler = handler,
				  .dev_id = dev_id,
				  .lateeoi = false};

	return err ? err : bind_or_close(d, &b);
}

int bind_ipi_to_irqhandler(struct xen_domain *self, unsigned int cpu, irq_handler_t handler,
			   unsigned long irqflags, const char *devname, void *dev_id)
{
	struct events_domain *d = events_of(self);
	struct evtchn_bind_ipi ipi = {.vcpu = cpu};
	int err = handler ? op(d, EVTCHNOP_bind_ipi, &ipi) : -EINVAL;
	const struct binding b = {.port = ipi.port,
				  .cpu = cpu,
				  .handler = handler,
				  .dev_id = dev_id,
				  .lateeoi = false};

	return err ? err : bind_or_close(d, &b);
}

/* Whose handler calls this on its event thread; null: no handler of this irq. */
static struct events_cpu *running_here(struct xen_irq *i)
{
	for (struct events_cpu &cpu : i->domain->cpus) {
		if (cpu.thread && cpu.thread == current)
			return cpu.running == i ? &cpu : nullptr;
	}
	return nullptr;
}

/* Out of everything but its handler's hands. Null: it is no irq. */
static struct xen_irq *irq_remove(int irq, void *dev_id)
{
	struct xen_events *events = current_machine()->xen_events;

	guard(mutex)(&events->lock);
	struct xen_irq *i = irq_lookup(irq);

	if (!i)
		return nullptr;
	WARN_ON_ONCE(i->dev_id != dev_id);
	irq_mask(i, MASK_STARTUP);
	rcu_assign_pointer(*port_slot(i->domain, i->port), nullptr);
	rcu_assign_pointer(events->irqs->slots[(u32)irq & ((1u << IRQ_SLOT_BITS) - 1)].irq,
			   nullptr);
	close_port(i->domain, i->port);
	return i;
}

void unbind_from_irqhandler(int irq, void *dev_id)
{
	struct xen_irq *i = irq_remove(irq, dev_id);
	struct events_cpu *here;

	if (!i)
		return;
	u32 seen = READ_ONCE(i->state);

	while (!try_cmpxchg(&i->state, &seen, seen | IRQ_DEAD))
		;
	here = running_here(i);
	if (here)
		here->running = nullptr; /* its thread does not touch it any more */
	else
		wait_event(i->domain->idle_wq, !(smp_load_acquire(&i->state) & IRQ_RUNNING));
	/* Those who have looked it up: they may queue the work once more. */
	synchronize_rcu();
	if (i->lateeoi)
		cancel_delayed_work_sync(&i->eoi_work);
	kfree(i);
}

/* What is done with an irq by number. */

bool evtchn_irq_connected(int irq)
{
	struct xen_events *events = current_machine()->xen_events;

	guard(mutex)(&events->lock);
	struct xen_irq *i = irq_lookup(irq);

	if (!i)
		return false;
	struct evtchn_status status = {.dom = DOMID_SELF, .port = i->port};

	return !op(i->domain, EVTCHNOP_status, &status) && status.status == EVTCHNSTAT_interdomain;
}

void notify_remote_via_irq(int irq)
{
	/* A dead irq is bad luck; this is a caller who does not know that he has none. */
	WARN_ON_ONCE(irq <= 0);
	guard(rcu)();
	struct xen_irq *i = irq_lookup(irq);

	if (!i)
		return;
	struct evtchn_send send = {.port = i->port};

	/* It may be closed at this moment. */
	(void)op(i->domain, EVTCHNOP_send, &send);
}

int xen_set_irq_priority(int irq, unsigned int priority)
{
	struct xen_events *events = current_machine()->xen_events;

	guard(mutex)(&events->lock);
	struct xen_irq *i = irq_lookup(irq);

	if (!i)
		return -EINVAL;
	struct evtchn_set_priority set = {.port = i->port, .priority = priority};

	return op(i->domain, EVTCHNOP_set_priority, &set);
}

/* Masked while it is moved, so that it is not handled on both. */
int irq_rebind(struct xen_irq *i, unsigned int cpu)
{
	struct evtchn_bind_vcpu move = {.port = i->port, .vcpu = cpu};
	int err;

	irq_mask(i, MASK_TEMPORARY);
	err = op(i->domain, EVTCHNOP_bind_vcpu, &move);
	if (!err)
		WRITE_ONCE(i->cpu, cpu);
	irq_unmask(i, MASK_TEMPORARY);
	return err;
}

int xen_rebind_irq_to_cpu(int irq, unsigned int cpu)
{
	struct xen_events *events = current_machine()->xen_events;

	guard(mutex)(&events->lock);
	struct xen_irq *i = irq_lookup(irq);

	return i ? irq_rebind(i, cpu) : -EINVAL;
}

void disable_irq_nosync(int irq)
{
	guard(rcu)();
	struct xen_irq *i = irq_lookup(irq);

	if (i)
		irq_mask(i, MASK_EXPLICIT);
}

/* By number: it may be unbound while one waits. */
static bool is_running(int irq)
{
	guard(rcu)();
	struct xen_irq *i = irq_lookup(irq);

	return i && (smp_load_acquire(&i->state) & IRQ_RUNNING);
}

void disable_irq(int irq)
{
	struct events_domain *d;

	{
		guard(rcu)();
		struct xen_irq *i = irq_lookup(irq);

		if (!i)
			return;
		irq_mask(i, MASK_EXPLICIT);
		if (running_here(i))
			return;
		d = i->domain;
	}
	wait_event(d->idle_wq, !is_running(irq));
}

void enable_irq(int irq)
{
	guard(rcu)();
	struct xen_irq *i = irq_lookup(irq);

	if (i)
		irq_unmask(i, MASK_EXPLICIT);
}

/* The first one costs nothing, the next ones 1 us, 2 us, ..., 1 s. */
static unsigned long eoi_delay(struct xen_irq *i, unsigned int flags)
{
	u32 n = READ_ONCE(i->spurious);

	if (!(flags & XEN_EOI_FLAG_SPURIOUS)) {
		WRITE_ONCE(i->spurious, 0);
		return 0;
	}
	WRITE_ONCE(i->spurious, n < 32 ? n + 1 : n);
	return n < 2 ? n : min(1ul << (n - 1), HZ);
}

void xen_irq_lateeoi(int irq, unsigned int flags)
{
	guard(rcu)();
	struct xen_irq *i = irq_lookup(irq);
	unsigned long delay;

	if (!i)
		return;
	delay = eoi_delay(i, flags);
	if (delay)
		(void)schedule_delayed_work(&i->eoi_work, delay);
	else
		irq_unmask(i, MASK_EOI_PENDING);
}

void xen_irq_stats(struct xen_irq_stats *stats)
{
	*stats = {};
	for (struct events_domain &d : current_machine()->xen_events->domains) {
		struct xen_event_stats events;

		xen_event_stats(d.domain, &events);
		stats->sent += events.sent;
		/* What is sent is counted by one end, what is raised by the other. */
		stats->coalesced -= events.raised;
		for (unsigned int i = 0; i < d.fifo.nr_cpus; i++)
			stats->delivered += READ_ONCE(d.cpus[i].delivered);
	}
	stats->coalesced += stats->sent;
}

static void domain_exit(struct events_domain *d)
{
	for (unsigned int i = 0; i < d->fifo.nr_cpus; i++)
		events_cpu_stop(&d->cpus[i]);
	events_fifo_exit(&d->fifo);
	for (struct xen_irq **page : d->by_port)
		kvfree(page);
}

static int domain_init(struct events_domain *d, struct xen_domain *domain)
{
	int err;

	d->domain = domain;
	init_waitqueue_head(&d->idle_wq);
	err = events_fifo_init(&d->fifo, domain);
	for (unsigned int i = 0; i < d->fifo.nr_cpus && !err; i++) {
		d->cpus[i].domain = d;
		d->cpus[i].id = i;
		err = events_cpu_start(&d->cpus[i]);
	}
	return err;
}

static void xen_events_exit(struct pv_machine *m)
{
	struct xen_events *events = m->xen_events;
	unsigned int left = 0;

	for (struct events_domain &d : events->domains) {
		if (d.domain)
			domain_exit(&d);
	}
	for (u32 slot = 0; slot < events->irqs->nr; slot++) {
		left += events->irqs->slots[slot].irq != nullptr;
		kfree(events->irqs->slots[slot].irq);
	}
	WARN(left, "xen: %u irqs were left bound\n", left);
	kvfree(events->irqs);
	kfree(events);
	m->xen_events = nullptr;
}

static int xen_events_init(struct pv_machine *m)
{
	auto *events = kzalloc_obj(struct xen_events, GFP_KERNEL);
	int err;

	if (!events)
		return -ENOMEM;
	mutex_init(&events->lock);
	{
		guard(mutex)(&events->lock);
		err = table_grow(events);
	}
	if (err) {
		kfree(events);
		return err;
	}
	m->xen_events = events;
	for (domid_t i = 0; i < 2 && !err; i++) {
		events->domains[i].events = events;
		err = domain_init(&events->domains[i], xen_domain(i));
	}
	if (err)
		xen_events_exit(m);
	return err;
}

const struct machine_initcall xen_events_initcall = {"xen_events", xen_events_init,
						     xen_events_exit};
