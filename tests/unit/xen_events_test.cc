/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Event channels: nothing lost, nothing delivered to the wrong end or after its end. */
#include <atomic>

#include <kshim/mmu.h>
#include <linux/mm.h>

#include "unit/xen_test.h"

using xen_test::machine;
using xen_test::watched;

namespace
{

struct end {
	watched<int> calls{0};
	std::function<void(int irq)> act;

	static irqreturn_t handler(int irq, void *data)
	{
		auto *self = static_cast<end *>(data);

		if (self->act)
			self->act(irq);
		self->calls.update([](int &n) { n++; });
		return IRQ_HANDLED;
	}
};

struct channel {
	end front, back;
	evtchn_port_t port = 0;
	int front_irq = 0, back_irq = 0;

	void open()
	{
		ASSERT_EQ(evtchn_alloc_unbound(xen_domain(XEN_DOM_FRONT), XEN_DOM_BACK, &port), 0);
		front_irq = bind_evtchn_to_irqhandler(xen_domain(XEN_DOM_FRONT), port, end::handler,
						      0, "front", &front);
		ASSERT_GT(front_irq, 0);
		back_irq = bind_interdomain_evtchn_to_irqhandler(xen_domain(XEN_DOM_BACK),
								 XEN_DOM_FRONT, port, end::handler,
								 0, "back", &back);
		ASSERT_GT(back_irq, 0);
		/* The call at the beginning. */
		ASSERT_TRUE(back.calls.wait([](int n) { return n == 1; }));
	}

	void close()
	{
		unbind_from_irqhandler(front_irq, &front);
		unbind_from_irqhandler(back_irq, &back);
	}
};

} // namespace

TEST(xen_events, notify_reaches_the_other_end_and_only_it)
{
	machine m({&mmu_initcall, &mm_initcall, &xen_initcall, &xen_events_initcall});
	channel c;

	c.open();
	EXPECT_TRUE(evtchn_irq_connected(c.front_irq));
	notify_remote_via_irq(c.front_irq);
	EXPECT_TRUE(c.back.calls.wait([](int n) { return n == 2; }));
	EXPECT_EQ(c.front.calls.get(), 0);
	notify_remote_via_irq(c.back_irq);
	EXPECT_TRUE(c.front.calls.wait([](int n) { return n == 1; }));
	EXPECT_EQ(c.back.calls.get(), 2);
	c.close();
}

TEST(xen_events, notify_during_the_handler_makes_one_more_call)
{
	machine m({&mmu_initcall, &mm_initcall, &xen_initcall, &xen_events_initcall});
	channel c;
	watched<int> gate{0};

	c.open();
	c.back.act = [&](int) {
		gate.update([](int &n) { n++; });
		gate.wait([](int n) { return n != 1; });
	};
	notify_remote_via_irq(c.front_irq);
	ASSERT_TRUE(gate.wait([](int n) { return n == 1; }));
	/* The handler runs: these three are one more call. */
	for (int i = 0; i < 3; i++)
		notify_remote_via_irq(c.front_irq);
	gate.update([](int &n) { n = 10; });
	EXPECT_TRUE(c.back.calls.wait([](int n) { return n == 3; }));
	c.close();
	EXPECT_EQ(c.back.calls.get(), 3);
}

TEST(xen_events, event_before_the_bind_is_delivered_by_it)
{
	machine m({&mmu_initcall, &mm_initcall, &xen_initcall, &xen_events_initcall});
	end front, back;
	evtchn_port_t port;

	ASSERT_EQ(evtchn_alloc_unbound(xen_domain(XEN_DOM_FRONT), XEN_DOM_BACK, &port), 0);
	int back_irq = bind_interdomain_evtchn_to_irqhandler(
		xen_domain(XEN_DOM_BACK), XEN_DOM_FRONT, port, end::handler, 0, "back", &back);
	ASSERT_GT(back_irq, 0);
	notify_remote_via_irq(back_irq);
	int front_irq = bind_evtchn_to_irqhandler(xen_domain(XEN_DOM_FRONT), port, end::handler, 0,
						  "front", &front);
	ASSERT_GT(front_irq, 0);
	EXPECT_TRUE(front.calls.wait([](int n) { return n == 1; }));
	unbind_from_irqhandler(back_irq, &back);
	unbind_from_irqhandler(front_irq, &front);
}

TEST(xen_events, unbind_waits_for_the_running_handler)
{
	machine m({&mmu_initcall, &mm_initcall, &xen_initcall, &xen_events_initcall});
	channel c;
	watched<int> gate{0};
	std::atomic<bool> unbound{false};

	c.open();
	c.back.act = [&](int) {
		gate.update([](int &n) { n = 1; });
		gate.wait([](int n) { return n == 2; });
		EXPECT_FALSE(unbound.load());
	};
	notify_remote_via_irq(c.front_irq);
	ASSERT_TRUE(gate.wait([](int n) { return n == 1; }));
	std::thread unbinder([&] {
		machine_scope scope(m.get());

		unbind_from_irqhandler(c.back_irq, &c.back);
		unbound = true;
	});
	/* Disconnected at once, although the handler still runs. */
	EXPECT_TRUE(xen_test::eventually([&] { return !evtchn_irq_connected(c.front_irq); }));
	gate.update([](int &n) { n = 2; });
	unbinder.join();
	notify_remote_via_irq(c.front_irq);
	unbind_from_irqhandler(c.front_irq, &c.front);
	EXPECT_EQ(c.back.calls.get(), 2);
}

TEST(xen_events, handler_may_unbind_itself)
{
	machine m({&mmu_initcall, &mm_initcall, &xen_initcall, &xen_events_initcall});
	channel c;

	c.open();
	c.back.act = [&](int irq) { unbind_from_irqhandler(irq, &c.back); };
	notify_remote_via_irq(c.front_irq);
	ASSERT_TRUE(c.back.calls.wait([](int n) { return n == 2; }));
	notify_remote_via_irq(c.front_irq);
	EXPECT_FALSE(evtchn_irq_connected(c.front_irq));
	unbind_from_irqhandler(c.front_irq, &c.front);
}

TEST(xen_events, dead_and_absurd_irqs_do_nothing)
{
	machine m({&mmu_initcall, &mm_initcall, &xen_initcall, &xen_events_initcall});
	channel c;
	end other;

	c.open();
	int dead = c.front_irq;
	evtchn_port_t port = c.port;

	unbind_from_irqhandler(dead, &c.front);
	/* Same port, same slot of the table perhaps, but not the same irq. */
	ASSERT_EQ(evtchn_alloc_unbound(xen_domain(XEN_DOM_FRONT), XEN_DOM_BACK, &port), 0);
	c.front_irq = bind_evtchn_to_irqhandler(xen_domain(XEN_DOM_FRONT), port, end::handler, 0,
						"front", &other);
	ASSERT_GT(c.front_irq, 0);
	EXPECT_NE(c.front_irq, dead);
	for (int irq : {dead, -1, 0, 1, 0x7fffffff, (int)0x80000000}) {
		/* That one was never given is a warning. */
		if (irq > 0)
			notify_remote_via_irq(irq);
		unbind_from_irqhandler(irq, &c.front);
		EXPECT_FALSE(evtchn_irq_connected(irq));
	}
	unbind_from_irqhandler(c.front_irq, &other);
	unbind_from_irqhandler(c.back_irq, &c.back);
	EXPECT_EQ(c.back.calls.get(), 1);
}

TEST(xen_events, bind_refuses_what_is_not_for_it)
{
	machine m({&mmu_initcall, &mm_initcall, &xen_initcall, &xen_events_initcall});
	channel c;
	end e;

	c.open();
	auto bind = [&](domid_t self, domid_t remote, evtchn_port_t port) {
		return bind_interdomain_evtchn_to_irqhandler(xen_domain(self), remote, port,
							     end::handler, 0, "test", &e);
	};
	EXPECT_EQ(bind(XEN_DOM_BACK, XEN_DOM_FRONT, c.port), -EINVAL) << "taken";
	EXPECT_EQ(bind(XEN_DOM_FRONT, XEN_DOM_FRONT, c.port), -EINVAL) << "for dom0 only";
	EXPECT_EQ(bind(XEN_DOM_BACK, 7, c.port), -ESRCH);
	for (evtchn_port_t port : {0u, 255u, 131071u, 131072u, 0xffffffffu})
		EXPECT_EQ(bind(XEN_DOM_BACK, XEN_DOM_FRONT, port), -EINVAL) << port;
	EXPECT_EQ(bind_evtchn_to_irqhandler(xen_domain(XEN_DOM_FRONT), c.port, end::handler, 0, "x",
					    &e),
		  -EBUSY);
	EXPECT_EQ(evtchn_close(xen_domain(XEN_DOM_FRONT), c.port), -EINVAL) << "has an irq";
	c.close();
}

TEST(xen_events, ports_run_out_cleanly)
{
	machine m({&mmu_initcall, &mm_initcall, &xen_initcall, &xen_events_initcall});
	std::vector<evtchn_port_t> ports;
	evtchn_port_t port;
	int err;

	while (!(err = evtchn_alloc_unbound(xen_domain(XEN_DOM_FRONT), XEN_DOM_BACK, &port)))
		ports.push_back(port);
	EXPECT_EQ(err, -ENOSPC);
	EXPECT_EQ(ports.size(), 131071u);
	for (evtchn_port_t p : ports)
		EXPECT_EQ(evtchn_close(xen_domain(XEN_DOM_FRONT), p), 0);
}

/*
 * Two ends that answer each other while a third thread unbinds and binds: nothing hangs or leaks.
 */
TEST(xen_events, ping_pong_survives_reconnection)
{
	machine m({&mmu_initcall, &mm_initcall, &xen_initcall, &xen_events_initcall});

	for (int round = 0; round < 50; round++) {
		channel c;

		c.front.act = [&](int irq) { notify_remote_via_irq(irq); };
		c.back.act = [&](int irq) { notify_remote_via_irq(irq); };
		ASSERT_EQ(evtchn_alloc_unbound(xen_domain(XEN_DOM_FRONT), XEN_DOM_BACK, &c.port),
			  0);
		c.front_irq = bind_evtchn_to_irqhandler(xen_domain(XEN_DOM_FRONT), c.port,
							end::handler, 0, "front", &c.front);
		c.back_irq = bind_interdomain_evtchn_to_irqhandler(
			xen_domain(XEN_DOM_BACK), XEN_DOM_FRONT, c.port, end::handler, 0, "back",
			&c.back);
		ASSERT_TRUE(c.front.calls.wait([](int n) { return n >= 5; }));
		ASSERT_TRUE(c.back.calls.wait([](int n) { return n >= 5; }));
		c.close();
		int front = c.front.calls.get(), back = c.back.calls.get();

		std::this_thread::yield();
		EXPECT_EQ(c.front.calls.get(), front);
		EXPECT_EQ(c.back.calls.get(), back);
	}
}
