/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The FIFO event channel ABI: its edges, the operations' errors, with every policy.
 *
 *	domain 0 --send(remote)--> domain 1: words, control blocks, turns by hand (events_fifo)
 */
#include <asm/sync_bitops.h>
#include <asm/xen/hypercall.h>
#include <kshim/mmu.h>
#include <kshim/vcpu.h>
#include <linux/gfp.h>
#include <linux/mm.h>

#include "unit/xen_test.h"
#include "xen/events_fifo.h"

using xen_test::machine;

namespace
{

constexpr u32 PENDING = 1u << EVTCHN_FIFO_PENDING, MASKED = 1u << EVTCHN_FIFO_MASKED,
	      LINKED = 1u << EVTCHN_FIFO_LINKED;

template <typename Op>
int op(domid_t self, int cmd, Op &&arg)
{
	return HYPERVISOR_event_channel_op(xen_domain(self), cmd, &arg);
}

int close_port(domid_t self, evtchn_port_t port)
{
	return op(self, EVTCHNOP_close, evtchn_close_t{port});
}

int send(evtchn_port_t remote)
{
	return op(XEN_DOM_BACK, EVTCHNOP_send, evtchn_send_t{remote});
}

int set_priority(evtchn_port_t port, u32 priority)
{
	return op(XEN_DOM_FRONT, EVTCHNOP_set_priority, evtchn_set_priority_t{port, priority});
}

struct channel {
	evtchn_port_t port = 0, remote = 0;
};

/* Two vcpus, no words and no control blocks at first. */
class evtchn : public testing::Test
{
protected:
	explicit evtchn(const std::string &policy = "")
		: params_("evtchn.vcpus=2" + policy),
		  machine_({&mmu_initcall, &mm_initcall, &xen_initcall}, 64ul << 20,
			   params_.c_str())
	{
	}

	void TearDown() override
	{
		for (domid_t d : {XEN_DOM_BACK, XEN_DOM_FRONT})
			EXPECT_EQ(op(d, EVTCHNOP_reset, evtchn_reset_t{DOMID_SELF}), 0);
		events_fifo_exit(&fifo_);
		for (unsigned long page : pages_)
			free_page(page);
	}

	void init() { ASSERT_EQ(events_fifo_init(&fifo_, xen_domain(XEN_DOM_FRONT)), 0); }

	/* Unbound, for domain 0. */
	evtchn_port_t alloc()
	{
		evtchn_alloc_unbound_t a{DOMID_SELF, XEN_DOM_BACK, 0};

		EXPECT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_alloc_unbound, a), 0);
		return a.port;
	}

	channel bind(evtchn_port_t port)
	{
		evtchn_bind_interdomain_t b{XEN_DOM_FRONT, port, 0};

		EXPECT_EQ(op(XEN_DOM_BACK, EVTCHNOP_bind_interdomain, b), 0);
		return {port, b.local_port};
	}

	/* With its word, unmasked. */
	channel open()
	{
		channel c = bind(alloc());

		EXPECT_EQ(events_fifo_expand(&fifo_, c.port), 0);
		events_fifo_unmask(&fifo_, c.port);
		return c;
	}

	u32 word(evtchn_port_t port) { return *events_fifo_word(&fifo_, port); }

	/* What a vcpu's turns deliver, in order. */
	std::vector<evtchn_port_t> drain(unsigned int vcpu = 0)
	{
		std::vector<evtchn_port_t> ports;
		evtchn_port_t port;

		while (events_fifo_turn(&fifo_, vcpu, &port)) {
			if (events_fifo_take(&fifo_, port))
				ports.push_back(port);
		}
		return ports;
	}

	u64 frame()
	{
		pages_.push_back(get_zeroed_page(GFP_KERNEL));
		return xen_frame_number(virt_to_page((void *)pages_.back()));
	}

	int init_control(u64 gfn, u32 offset, u32 vcpu)
	{
		evtchn_init_control_t c{gfn, offset, vcpu, 0, {}};
		int err = op(XEN_DOM_FRONT, EVTCHNOP_init_control, c);

		EXPECT_TRUE(err || c.link_bits == 17);
		return err;
	}

	using ports = std::vector<evtchn_port_t>;

	std::string params_;
	machine machine_;
	struct events_fifo fifo_ = {};
	std::vector<unsigned long> pages_;
};

class evtchn_policy : public evtchn, public testing::WithParamInterface<const char *>
{
protected:
	evtchn_policy() : evtchn(std::string(" evtchn.policy=") + GetParam()) { init(); }
};

} // namespace

TEST_P(evtchn_policy, sixteen_priorities_come_in_order)
{
	ports expected(16);
	std::vector<channel> channels;

	for (u32 i = 0; i < 16; i++) {
		channels.push_back(open());
		/* A permutation: neither ascending nor descending. */
		ASSERT_EQ(set_priority(channels[i].port, i * 7 % 16), 0);
		expected[i * 7 % 16] = channels[i].port;
	}
	for (const channel &c : channels)
		ASSERT_EQ(send(c.remote), 0);
	EXPECT_EQ(drain(), expected);
}

TEST_P(evtchn_policy, a_queue_is_first_in_first_out)
{
	std::vector<channel> channels;
	ports expected;

	for (int i = 0; i < 50; i++)
		channels.push_back(open());
	for (int round = 0; round < 3; round++) {
		expected.clear();
		for (int i = 0; i < 50; i++) {
			const channel &c = channels[(size_t)(i * 17 + round) % 50];

			ASSERT_EQ(send(c.remote), 0);
			ASSERT_EQ(send(c.remote), 0);
			expected.push_back(c.port);
		}
		ASSERT_EQ(drain(), expected);
	}
}

TEST_P(evtchn_policy, a_higher_priority_comes_between_two_events)
{
	channel low[2] = {open(), open()}, high = open();
	evtchn_port_t port;

	ASSERT_EQ(set_priority(high.port, 0), 0);
	(void)send(low[0].remote);
	(void)send(low[1].remote);
	ASSERT_TRUE(events_fifo_turn(&fifo_, 0, &port) && events_fifo_take(&fifo_, port));
	EXPECT_EQ(port, low[0].port);
	(void)send(high.remote);
	EXPECT_EQ(drain(), (ports{high.port, low[1].port}));
}

TEST_P(evtchn_policy, a_masked_event_is_pending_and_on_no_queue)
{
	channel c = open();

	events_fifo_mask(&fifo_, c.port);
	ASSERT_EQ(send(c.remote), 0);
	EXPECT_EQ(word(c.port), PENDING | MASKED);
	EXPECT_EQ(drain(), ports{});
}

TEST_P(evtchn_policy, unmask_while_pending_raises)
{
	channel c = open();

	events_fifo_mask(&fifo_, c.port);
	ASSERT_EQ(send(c.remote), 0);
	ASSERT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_unmask, evtchn_unmask_t{c.port}), 0);
	EXPECT_EQ(word(c.port), PENDING | LINKED);
	EXPECT_EQ(drain(), ports{c.port});
}

TEST_P(evtchn_policy, masked_while_linked_comes_with_the_unmask)
{
	channel c = open();

	ASSERT_EQ(send(c.remote), 0);
	events_fifo_mask(&fifo_, c.port);
	EXPECT_EQ(drain(), ports{});
	EXPECT_EQ(word(c.port), PENDING | MASKED);
	events_fifo_unmask(&fifo_, c.port);
	EXPECT_EQ(drain(), ports{c.port});
}

/* The tail is taken off the moment before: the next event is a head, and READY says so. */
TEST_P(evtchn_policy, append_to_a_tail_that_was_taken_is_a_new_head)
{
	channel a = open(), b = open();
	evtchn_port_t port;

	ASSERT_EQ(send(a.remote), 0);
	ASSERT_TRUE(events_fifo_turn(&fifo_, 0, &port));
	ASSERT_EQ(word(a.port), PENDING) << "LINK and LINKED are gone, a is the old tail";
	ASSERT_EQ(send(b.remote), 0);
	EXPECT_EQ(fifo_.cpus[0].block->head[7], b.port);
	EXPECT_EQ(word(a.port) & EVTCHN_FIFO_LINK_MASK, 0u);
	EXPECT_TRUE(events_fifo_take(&fifo_, a.port));
	EXPECT_EQ(drain(), ports{b.port});
}

/* The seed, in one thread: an old tail is moved, linked elsewhere, and its old queue used. */
TEST_P(evtchn_policy, an_old_tail_on_another_queue_is_no_tail)
{
	channel a = open(), b = open();

	ASSERT_EQ(send(a.remote), 0);
	ASSERT_EQ(drain(), ports{a.port});
	ASSERT_EQ(set_priority(a.port, 3), 0);
	ASSERT_EQ(send(a.remote), 0);
	ASSERT_EQ(send(b.remote), 0);
	EXPECT_EQ(word(a.port), PENDING | LINKED) << "b is not behind it";
	EXPECT_EQ(drain(), (ports{a.port, b.port}));
}

TEST_P(evtchn_policy, priority_of_a_linked_event_changes_with_the_next_link)
{
	channel a = open(), b = open();

	(void)send(a.remote);
	(void)send(b.remote);
	ASSERT_EQ(set_priority(b.port, 0), 0);
	EXPECT_EQ(drain(), (ports{a.port, b.port}));
	(void)send(a.remote);
	(void)send(b.remote);
	EXPECT_EQ(drain(), (ports{b.port, a.port}));
}

TEST_P(evtchn_policy, a_moved_event_comes_on_its_new_vcpu)
{
	channel c = open();
	struct xen_vcpu *v1 = xen_vcpu(xen_domain(XEN_DOM_FRONT), 1);

	ASSERT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_bind_vcpu, evtchn_bind_vcpu_t{c.port, 1}), 0);
	EXPECT_FALSE(xen_vcpu_upcall(v1));
	(void)send(c.remote);
	EXPECT_TRUE(xen_vcpu_upcall(v1));
	EXPECT_FALSE(xen_vcpu_upcall(v1)) << "one upcall";
	EXPECT_EQ(drain(0), ports{});
	EXPECT_EQ(drain(1), ports{c.port});
}

TEST_P(evtchn_policy, port_131071_is_the_last_and_works)
{
	evtchn_alloc_unbound_t a{DOMID_SELF, XEN_DOM_BACK, 0};
	evtchn_port_t first = 0, last = 0, n = 0;

	while (!op(XEN_DOM_FRONT, EVTCHNOP_alloc_unbound, a)) {
		first = first ? first : a.port;
		last = a.port;
		n++;
	}
	EXPECT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_alloc_unbound, a), -ENOSPC);
	EXPECT_EQ(n, 131071u);
	ASSERT_EQ(last, 131071u);
	channel c = bind(last), d = bind(first);

	ASSERT_EQ(events_fifo_expand(&fifo_, last), 0);
	events_fifo_unmask(&fifo_, c.port);
	events_fifo_unmask(&fifo_, d.port);
	ASSERT_EQ(send(c.remote), 0);
	ASSERT_EQ(send(d.remote), 0);
	EXPECT_EQ(word(last) & EVTCHN_FIFO_LINK_MASK, first);
	EXPECT_EQ(drain(), (ports{last, first}));
}

TEST_P(evtchn_policy, close_clears_a_stale_pending)
{
	channel c = open();

	events_fifo_mask(&fifo_, c.port);
	ASSERT_EQ(send(c.remote), 0);
	ASSERT_EQ(close_port(XEN_DOM_FRONT, c.port), 0);
	EXPECT_EQ(word(c.port), MASKED);
	ASSERT_EQ(close_port(XEN_DOM_BACK, c.remote), 0);
	channel again = open();

	ASSERT_EQ(again.port, c.port);
	EXPECT_EQ(drain(), ports{});
}

TEST_P(evtchn_policy, a_port_closed_while_linked_is_not_given_out)
{
	channel c = open();

	ASSERT_EQ(send(c.remote), 0);
	ASSERT_EQ(close_port(XEN_DOM_FRONT, c.port), 0);
	EXPECT_NE(alloc(), c.port);
	EXPECT_EQ(drain(), ports{}) << "taken off its queue, and nobody's";
	EXPECT_EQ(alloc(), c.port);
}

TEST_P(evtchn_policy, reset_takes_everything_and_all_begins_again)
{
	channel c = open();

	ASSERT_EQ(send(c.remote), 0);
	ASSERT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_reset, evtchn_reset_t{DOMID_SELF}), 0);
	EXPECT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_expand_array, evtchn_expand_array_t{frame()}),
		  -EOPNOTSUPP);
	evtchn_status_t s{DOMID_SELF, c.remote, 0, 0, {}};

	ASSERT_EQ(op(XEN_DOM_BACK, EVTCHNOP_status, s), 0);
	EXPECT_EQ(s.status, (u32)EVTCHNSTAT_unbound);
	ASSERT_EQ(events_fifo_resume(&fifo_), 0);
	ASSERT_EQ(close_port(XEN_DOM_BACK, c.remote), 0);
	channel again = open();

	EXPECT_EQ(again.port, c.port);
	ASSERT_EQ(send(again.remote), 0);
	EXPECT_EQ(drain(), ports{again.port});
}

TEST_P(evtchn_policy, poll_ends_with_a_masked_event)
{
	channel c = open();
	struct xen_vcpu *v = xen_vcpu(xen_domain(XEN_DOM_FRONT), 0);

	events_fifo_mask(&fifo_, c.port);
	(void)xen_vcpu_upcall(v);
	EXPECT_EQ(xen_vcpu_poll(v, &c.port, 1, kshim_now_ns() + 1000000), -ETIMEDOUT);
	std::thread sender([&] {
		machine_scope scope(machine_.get());

		(void)send(c.remote);
	});
	EXPECT_GE(xen_vcpu_poll(v, &c.port, 1, KSHIM_FOREVER), 0);
	sender.join();
	EXPECT_EQ(xen_vcpu_poll(v, &c.port, 1, KSHIM_FOREVER), 1) << "pending already";
}

INSTANTIATE_TEST_SUITE_P(policies, evtchn_policy,
			 testing::Values("event-lock", "old-queue-recheck", "two-queue-locks",
					 "lock-free"),
			 [](const auto &p) {
				 std::string name = p.param;

				 for (char &c : name)
					 c = c == '-' ? '_' : c;
				 return name;
			 });

TEST_F(evtchn, event_before_its_array_page_is_not_lost)
{
	init();
	channel c = bind(alloc());

	ASSERT_EQ(send(c.remote), 0);
	ASSERT_EQ(events_fifo_expand(&fifo_, c.port), 0);
	EXPECT_EQ(word(c.port), PENDING | MASKED);
	events_fifo_unmask(&fifo_, c.port);
	EXPECT_EQ(drain(), ports{c.port});
}

TEST_F(evtchn, event_before_the_first_control_block_is_not_lost)
{
	channel c = bind(alloc());

	ASSERT_EQ(send(c.remote), 0);
	init();
	ASSERT_EQ(events_fifo_expand(&fifo_, c.port), 0);
	events_fifo_unmask(&fifo_, c.port);
	EXPECT_EQ(drain(), ports{c.port});
}

TEST_F(evtchn, binding_raises_its_own_end)
{
	init();
	evtchn_alloc_unbound_t a{DOMID_SELF, XEN_DOM_FRONT, 0};

	ASSERT_EQ(op(XEN_DOM_BACK, EVTCHNOP_alloc_unbound, a), 0);
	ASSERT_EQ(op(XEN_DOM_BACK, EVTCHNOP_send, evtchn_send_t{a.port}), 0) << "to nobody";
	evtchn_bind_interdomain_t b{XEN_DOM_BACK, a.port, 0};

	ASSERT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_bind_interdomain, b), 0);
	ASSERT_EQ(events_fifo_expand(&fifo_, b.local_port), 0);
	events_fifo_unmask(&fifo_, b.local_port);
	EXPECT_EQ(drain(), ports{b.local_port});
}

TEST_F(evtchn, control_block_has_its_place)
{
	u64 gfn = frame();

	EXPECT_EQ(init_control(gfn, 0, 2), -ENOENT);
	EXPECT_EQ(init_control(gfn, 4, 0), -EINVAL) << "aligned to 8";
	EXPECT_EQ(init_control(gfn, 4096 - 64, 0), -EINVAL) << "across the page's end";
	EXPECT_EQ(init_control(gfn, 4096, 0), -EINVAL);
	EXPECT_EQ(init_control(gfn, 0xfffffff8u, 0), -EINVAL);
	EXPECT_EQ(init_control(1ull << 40, 0, 0), -EINVAL) << "no frame";
	EXPECT_EQ(init_control(gfn, 4096 - 72, 0), 0) << "the last place in a page";
	EXPECT_EQ(init_control(frame(), 0, 0), -EINVAL) << "it has one";
	EXPECT_EQ(init_control(gfn, 0, 1), 0) << "two in one page";
}

TEST_F(evtchn, array_page_129_is_one_too_many)
{
	EXPECT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_expand_array, evtchn_expand_array_t{frame()}),
		  -EOPNOTSUPP);
	init();
	EXPECT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_expand_array, evtchn_expand_array_t{1ull << 40}),
		  -EINVAL);
	for (int i = 0; i < 128; i++)
		ASSERT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_expand_array, evtchn_expand_array_t{frame()}),
			  0)
			<< i;
	EXPECT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_expand_array, evtchn_expand_array_t{frame()}),
		  -ENOSPC);
}

TEST_F(evtchn, two_level_has_4095_ports)
{
	evtchn_alloc_unbound_t a{DOMID_SELF, XEN_DOM_BACK, 0};
	int n = 0;

	while (!op(XEN_DOM_FRONT, EVTCHNOP_alloc_unbound, a))
		n++;
	EXPECT_EQ(n, 4095);
	EXPECT_EQ(set_priority(1, 3), -ENOSYS);
	init();
	EXPECT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_alloc_unbound, a), 0);
	EXPECT_EQ(a.port, 4096u);
}

TEST_F(evtchn, operations_refuse_what_is_not_theirs)
{
	init();
	channel c = open();

	for (evtchn_port_t port : {0u, 999u, 131072u, 0xffffffffu}) {
		EXPECT_EQ(send(port), -EINVAL) << port;
		EXPECT_EQ(close_port(XEN_DOM_FRONT, port), -EINVAL) << port;
		EXPECT_EQ(set_priority(port, 1), -EINVAL) << port;
		EXPECT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_unmask, evtchn_unmask_t{port}), -EINVAL);
		EXPECT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_bind_vcpu, evtchn_bind_vcpu_t{port, 0}),
			  -EINVAL);
		EXPECT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_status,
			     evtchn_status_t{DOMID_SELF, port, 0, 0, {}}),
			  -EINVAL);
	}
	EXPECT_EQ(set_priority(c.port, 16), -EINVAL);
	EXPECT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_bind_vcpu, evtchn_bind_vcpu_t{c.port, 2}), -ENOENT);
	EXPECT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_alloc_unbound, evtchn_alloc_unbound_t{0, 1, 0}),
		  -EPERM);
	EXPECT_EQ(op(XEN_DOM_BACK, EVTCHNOP_alloc_unbound, evtchn_alloc_unbound_t{1, 0, 0}), 0);
	EXPECT_EQ(op(XEN_DOM_BACK, EVTCHNOP_alloc_unbound, evtchn_alloc_unbound_t{9, 0, 0}),
		  -ESRCH);
	EXPECT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_status, evtchn_status_t{0, 1, 0, 0, {}}), -EPERM);
	EXPECT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_reset, evtchn_reset_t{0}), -EPERM);
	EXPECT_EQ(op(XEN_DOM_BACK, EVTCHNOP_bind_interdomain, evtchn_bind_interdomain_t{9, 1, 0}),
		  -ESRCH);
	EXPECT_EQ(op(XEN_DOM_BACK, EVTCHNOP_bind_interdomain,
		     evtchn_bind_interdomain_t{1, c.port, 0}),
		  -EINVAL)
		<< "taken";
	EXPECT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_bind_pirq, evtchn_bind_pirq_t{1, 0, 0}), -EPERM);
	EXPECT_EQ(op(XEN_DOM_FRONT, 99, evtchn_close_t{1}), -ENOSYS);
}

TEST_F(evtchn, virqs_and_ipis)
{
	init();
	evtchn_bind_virq_t timer{VIRQ_TIMER, 1, 0}, console{VIRQ_CONSOLE, 0, 0};
	evtchn_bind_ipi_t ipi{1, 0};

	EXPECT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_bind_virq, evtchn_bind_virq_t{NR_VIRQS, 0, 0}),
		  -EINVAL);
	EXPECT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_bind_virq, evtchn_bind_virq_t{VIRQ_TIMER, 2, 0}),
		  -ENOENT);
	EXPECT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_bind_virq, evtchn_bind_virq_t{VIRQ_CONSOLE, 1, 0}),
		  -EINVAL)
		<< "a global one";
	EXPECT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_bind_ipi, evtchn_bind_ipi_t{2, 0}), -ENOENT);
	ASSERT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_bind_virq, timer), 0);
	ASSERT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_bind_virq, console), 0);
	ASSERT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_bind_ipi, ipi), 0);
	EXPECT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_bind_virq, timer), -EEXIST);
	for (evtchn_port_t port : {timer.port, console.port, ipi.port}) {
		ASSERT_EQ(events_fifo_expand(&fifo_, port), 0);
		events_fifo_unmask(&fifo_, port);
	}
	EXPECT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_bind_vcpu, evtchn_bind_vcpu_t{timer.port, 0}),
		  -EINVAL);
	EXPECT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_bind_vcpu, evtchn_bind_vcpu_t{ipi.port, 0}), -EINVAL);
	EXPECT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_bind_vcpu, evtchn_bind_vcpu_t{console.port, 1}), 0);
	EXPECT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_send, evtchn_send_t{timer.port}), -EINVAL);

	xen_send_virq(xen_domain(XEN_DOM_FRONT), 1, VIRQ_TIMER);
	xen_send_virq(xen_domain(XEN_DOM_FRONT), 0, VIRQ_TIMER); /* bound to nothing */
	xen_send_virq(xen_domain(XEN_DOM_FRONT), 0, VIRQ_CONSOLE);
	ASSERT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_send, evtchn_send_t{ipi.port}), 0);
	EXPECT_EQ(drain(1), (ports{timer.port, console.port, ipi.port}));
	EXPECT_EQ(drain(0), ports{});
	ASSERT_EQ(close_port(XEN_DOM_FRONT, console.port), 0);
	EXPECT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_bind_virq, console), 0) << "free again";
}

TEST_F(evtchn, a_vcpu_without_control_block_drops)
{
	ASSERT_EQ(init_control(frame(), 0, 0), 0);
	fifo_.domain = xen_domain(XEN_DOM_FRONT);
	channel c = open();
	struct xen_event_stats stats;

	ASSERT_EQ(op(XEN_DOM_FRONT, EVTCHNOP_bind_vcpu, evtchn_bind_vcpu_t{c.port, 1}), 0);
	ASSERT_EQ(send(c.remote), 0);
	EXPECT_EQ(word(c.port), 0u) << "not PENDING: it would never be linked";
	xen_event_stats(xen_domain(XEN_DOM_FRONT), &stats);
	EXPECT_EQ(stats.dropped, 1u);
}

TEST_F(evtchn, sends_are_counted_and_those_that_found_it_pending)
{
	init();
	channel c = open();
	struct xen_event_stats back, front;

	for (int i = 0; i < 5; i++)
		(void)send(c.remote);
	EXPECT_EQ(drain().size(), 1u);
	(void)send(c.remote);
	xen_event_stats(xen_domain(XEN_DOM_BACK), &back);
	xen_event_stats(xen_domain(XEN_DOM_FRONT), &front);
	EXPECT_EQ(back.sent, 6u + 1) << "and the binding's own";
	EXPECT_EQ(front.raised, 2u);
	EXPECT_EQ(front.upcalls, 2u);
}

TEST(evtchn_params, nonsense_is_refused)
{
	for (const char *params :
	     {"evtchn.policy=none", "evtchn.vcpus=0", "evtchn.vcpus=9", "evtchn.threads=1"})
		EXPECT_THROW(machine({&xen_initcall}, 64ul << 20, params), std::runtime_error)
			<< params;
}
