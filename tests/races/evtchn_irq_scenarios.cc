// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Event channels as interrupts: event threads, irqs that are unbound, moved, and a vcpu that goes.
 */
#include "evtchn_world.h"

#include <xen/events.h>

using namespace races;

namespace
{

struct irq_world {
	struct pv_machine *machine;
	int irq, back_irq;
	u32 data, seen, calls, in_handler;
	bool unbound;
};

irq_world *irq_world_of(void *p)
{
	return static_cast<irq_world *>(p);
}

irqreturn_t guest_handler(int, void *data)
{
	irq_world *w = irq_world_of(data);

	explore_expect(!xchg(&w->in_handler, 1u), "a handler runs beside itself");
	explore_expect(!READ_ONCE(w->unbound), "a handler runs after it was unbound");
	WRITE_ONCE(w->calls, w->calls + 1);
	WRITE_ONCE(w->seen, READ_ONCE(w->data));
	(void)xchg(&w->in_handler, 0u);
	return IRQ_HANDLED;
}

irqreturn_t no_handler(int, void *)
{
	return IRQ_HANDLED;
}

/* The guest's irq on vcpu 1; domain 0's first event is over. */
void *setup()
{
	static const machine_initcall *const calls[] = {&mmu_initcall, &mm_initcall, &xen_initcall,
							&xen_events_initcall, nullptr};
	auto *w = explore_new<irq_world>();
	pv_machine_config config;
	evtchn_port_t port;

	config.memory_bytes = 16 * PAGE_SIZE;
	config.nr_cpus = 2;
	config.params = "evtchn.vcpus=2";
	w->machine = pv_machine_create(&config, calls);
	explore_expect(!IS_ERR(w->machine), "no machine");
	machine_scope bound(w->machine);

	explore_expect(!evtchn_alloc_unbound(xen_domain(XEN_DOM_FRONT), XEN_DOM_BACK, &port),
		       "port");
	w->irq = bind_evtchn_to_irqhandler(xen_domain(XEN_DOM_FRONT), port, guest_handler, 0,
					   "guest", w);
	w->back_irq = bind_interdomain_evtchn_to_irqhandler(xen_domain(XEN_DOM_BACK), XEN_DOM_FRONT,
							    port, no_handler, 0, "dom0", w);
	explore_expect(w->irq > 0 && w->back_irq > 0, "irqs");
	explore_expect(!xen_rebind_irq_to_cpu(w->irq, 1), "rebind");
	return w;
}

void teardown(void *p)
{
	irq_world *w = irq_world_of(p);

	{
		machine_scope bound(w->machine);

		unbind_from_irqhandler(w->irq, w);
		unbind_from_irqhandler(w->back_irq, w);
	}
	explore_machine_destroy(w->machine);
}

template <void (*body)(irq_world *)>
constexpr void (*in_machine)(void *) = [](void *p) {
	machine_scope bound(irq_world_of(p)->machine);

	body(irq_world_of(p));
};

void notify(irq_world *w)
{
	WRITE_ONCE(w->data, w->data + 1);
	notify_remote_via_irq(w->back_irq);
}

void notify_twice(irq_world *w)
{
	notify(w);
	notify(w);
}

void offline(irq_world *w)
{
	explore_expect(!xen_events_cpu_offline(xen_domain(XEN_DOM_FRONT), 1), "offline");
}

void unbind(irq_world *w)
{
	unbind_from_irqhandler(w->irq, w);
	WRITE_ONCE(w->unbound, true);
}

void move(irq_world *w)
{
	explore_expect(!xen_rebind_irq_to_cpu(w->irq, 0), "rebind");
}

void check_seen(void *p)
{
	irq_world *w = irq_world_of(p);

	explore_expect(w->seen == w->data, "lost event: sent %u, the handler has seen %u", w->data,
		       w->seen);
	explore_expect(w->calls <= w->data, "%u events, %u calls", w->data, w->calls);
}

race_scenario irqs(const char *name, std::vector<explore_task> tasks, const char *checks,
		   void (*check)(void *) = check_seen)
{
	race_scenario s = evtchn_scenario(name, setup, std::move(tasks), checks, check, teardown);

	s.bound = 1;
	return s;
}

} // namespace

std::vector<race_scenario> races::evtchn_irq_scenarios()
{
	return {
		irqs("evtchn_offline",
		     {{"dom0", in_machine<notify>}, {"guest", in_machine<offline>}},
		     "an event that was on its way to a vcpu that goes is not lost"),
		irqs("evtchn_rebind",
		     {{"dom0", in_machine<notify_twice>}, {"guest", in_machine<move>}},
		     "an irq that is moved loses nothing, and runs on one vcpu at a time"),
		irqs("evtchn_unbind", {{"dom0", in_machine<notify>}, {"guest", in_machine<unbind>}},
		     "an irq that is unbound never runs again", nullptr),
	};
}

std::vector<race_mutant> races::evtchn_irq_mutants()
{
	return {
		{.name = "evtchn_offline_forgets",
		 .variant = nullptr,
		 .origin = "a vcpu goes, and what is on its queues is forgotten (Linux until 2015)",
		 .killer = "evtchn_offline",
		 .bound = 1,
		 .reason = "lost event"},
		{.name = "evtchn_down_does_not_wait",
		 .variant = nullptr,
		 .origin = "an event is linked for a vcpu that it was moved away from, and is gone",
		 .killer = "evtchn_offline",
		 .bound = 1,
		 .reason = "lost event"},
	};
}
