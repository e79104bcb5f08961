// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Event channels under load: threads send events both ways through the same few channels, while
 * each masks, unmasks, moves, re-prioritises, closes and opens again those that are its own. In
 * rounds:
 *
 *      all threads: 2000 operations each, then everything unmasked | wait | next round
 *      thread 0:                                                   | wait until all has come, look
 *
 *      oracle: who sends stores first (data + 1); a handler notes what it has read. After the
 *      round each handler has read the newest, and was called no more often than was sent.
 *
 * A channel that was closed in the round gets one event more in the end: what was sent to the one
 * that closed is lost by right. The others get none, so an event that was lost there stays lost.
 *
 * To see it fail for real: let evtchn_op_unmask() forget to raise, or link_event() of the policy
 * not wait for `held`.
 */
#include "catalogue.h"

#include <barrier>
#include <chrono>
#include <thread>

#include <gtest/gtest.h>

#include <kshim/machine.h>
#include <kshim/mmu.h>
#include <kshim/vcpu.h>
#include <kshim/xen.h>
#include <linux/interrupt.h>
#include <linux/mm.h>
#include <xen/events.h>

namespace stress
{

namespace
{

constexpr unsigned int CHANNELS = 24, VCPUS = 4, OPERATIONS = 2000;
constexpr std::chrono::seconds LONGEST{20};

/* One direction of a channel: who is told. */
struct receiver {
	std::atomic<u64> data{0}, seen{0}, sends{0}, calls{0};
	std::atomic<int> irq{-1}; /* the sender's */
	std::atomic<bool> running{false};
	context *ctx = nullptr;

	void send()
	{
		data++;
		sends++;
		const int to = irq;

		if (to > 0)
			notify_remote_via_irq(to);
	}

	void called()
	{
		if (running.exchange(true))
			ctx->violation("a handler runs beside itself");
		calls += ctx->injected("call-twice") && calls % 512 == 0 ? 2 : 1;
		if (calls > sends)
			ctx->violation("%lu events, and the handler is called for the %luth time",
				       (unsigned long)sends.load(), (unsigned long)calls.load());
		seen = data.load();
		running = false;
	}
};

struct channel {
	receiver guest, back;
	int guest_irq = 0, back_irq = 0; /* the owner's, as the rest */
	bool masked = false, reopened = false;
};

irqreturn_t guest_event(int, void *data)
{
	static_cast<channel *>(data)->guest.called();
	return IRQ_HANDLED;
}

irqreturn_t back_event(int irq, void *data)
{
	static_cast<channel *>(data)->back.called();
	xen_irq_lateeoi(irq, 0);
	return IRQ_HANDLED;
}

void open_channel(channel *c)
{
	evtchn_port_t port;

	ASSERT_EQ(evtchn_alloc_unbound(xen_domain(XEN_DOM_FRONT), XEN_DOM_BACK, &port), 0);
	c->guest_irq = bind_evtchn_to_irqhandler(xen_domain(XEN_DOM_FRONT), port, guest_event, 0,
						 "guest", c);
	/* The call at the beginning counts as sent. */
	c->back.sends++;
	c->back_irq = bind_interdomain_evtchn_to_irqhandler_lateeoi(
		xen_domain(XEN_DOM_BACK), XEN_DOM_FRONT, port, back_event, 0, "dom0", c);
	ASSERT_GT(c->guest_irq, 0);
	ASSERT_GT(c->back_irq, 0);
	c->guest.irq = c->back_irq;
	c->back.irq = c->guest_irq;
	c->masked = false;
}

void close_channel(channel *c)
{
	c->guest.irq = c->back.irq = -1;
	unbind_from_irqhandler(c->guest_irq, c);
	unbind_from_irqhandler(c->back_irq, c);
}

void set_masked(channel *c, bool masked)
{
	if (c->masked == masked)
		return;
	c->masked = masked;
	if (masked)
		disable_irq_nosync(c->guest_irq);
	else
		enable_irq(c->guest_irq);
}

class load
{
public:
	load(context &ctx, pv_machine *m) : ctx_(ctx), machine_(m), start_(ctx.threads())
	{
		for (channel &c : channels_) {
			c.guest.ctx = c.back.ctx = &ctx;
			open_channel(&c);
		}
	}
	~load()
	{
		for (channel &c : channels_)
			close_channel(&c);
	}
	load(const load &) = delete;
	load &operator=(const load &) = delete;

	void run()
	{
		ctx_.in_threads(machine_, ctx_.threads(), [this](unsigned int t) {
			std::mt19937 random = ctx_.random(t);

			while (!over_) {
				round(t, random);
				start_.arrive_and_wait();
				if (!t)
					look();
				start_.arrive_and_wait();
			}
		});
	}

private:
	/* One of the thread's own. */
	channel &own(unsigned int t, std::mt19937 &random)
	{
		const unsigned int n = ctx_.threads();
		const unsigned int mine = (CHANNELS - t % CHANNELS + n - 1) / n;

		return channels_[(t + n * (random() % mine)) % CHANNELS];
	}

	void reopen(channel &c)
	{
		close_channel(&c);
		open_channel(&c);
		c.reopened = true;
		ctx_.count("reopened").add();
	}

	void change(channel &c, unsigned int what, std::mt19937 &random)
	{
		const unsigned int vcpu = random() % VCPUS, priority = random() % 16;

		if (what < 8)
			set_masked(&c, !c.masked);
		else if (what < 13)
			EXPECT_EQ(xen_rebind_irq_to_cpu(c.guest_irq, vcpu), 0);
		else if (what < 18)
			EXPECT_EQ(xen_set_irq_priority(c.guest_irq, priority), 0);
		else
			reopen(c);
	}

	void round(unsigned int t, std::mt19937 &random)
	{
		u64 sends = 0;

		for (unsigned int i = 0; i < OPERATIONS; i++) {
			const unsigned int what = random() % 128;

			/* With more threads than channels the last ones only send. */
			if (what < 19 && t < CHANNELS) {
				change(own(t, random), what, random);
				continue;
			}
			channel &c = channels_[random() % CHANNELS];

			(random() % 4 ? c.guest : c.back).send();
			sends++;
		}
		ctx_.count("sent").add(sends);
		for (unsigned int i = t; i < CHANNELS; i += ctx_.threads())
			set_masked(&channels_[i], false);
	}

	/* Nobody sends. */
	void look()
	{
		for (channel &c : channels_) {
			if (c.reopened) {
				c.guest.send();
				c.back.send();
			}
			c.reopened = false;
		}
		if (ctx_.injected("lose-one"))
			channels_[0].guest.data++;
		for (channel &c : channels_) {
			wait_for(c.guest, "the guest");
			wait_for(c.back, "domain 0");
		}
		ctx_.count("rounds").add();
		over_ = ctx_.over();
	}

	void wait_for(receiver &r, const char *who)
	{
		const auto deadline = std::chrono::steady_clock::now() + LONGEST;

		while (r.seen != r.data) {
			if (std::chrono::steady_clock::now() > deadline) {
				ctx_.violation("lost event: %s was sent %lu and has seen %lu", who,
					       (unsigned long)r.data.load(),
					       (unsigned long)r.seen.load());
				return;
			}
			std::this_thread::yield();
		}
	}

	context &ctx_;
	pv_machine *const machine_;
	std::barrier<> start_;
	std::atomic<bool> over_ = false;
	channel channels_[CHANNELS];
};

void run(context &ctx)
{
	static const machine_initcall *const calls[] = {&mmu_initcall, &mm_initcall, &xen_initcall,
							&xen_events_initcall, nullptr};
	const std::string params =
		"evtchn.vcpus=" + std::to_string(VCPUS) + " evtchn.policy=" + ctx.text("policy");
	pv_machine_config config;

	ctx.count("rounds");
	config.params = params.c_str();
	pv_machine *m = pv_machine_create(&config, calls);

	if (IS_ERR(m)) {
		ctx.violation("no machine with %s", params.c_str());
		return;
	}
	{
		machine_scope bound(m);
		struct xen_irq_stats stats;

		load(ctx, m).run();
		xen_irq_stats(&stats);
		ctx.count("delivered").add(stats.delivered);
		ctx.count("coalesced").add(stats.coalesced);
	}
	if (const unsigned int warnings = pv_machine_destroy(m))
		ctx.violation("%u warnings of the machine", warnings);
}

} // namespace

} // namespace stress

stress::scenario stress::evtchn_scenario()
{
	return {.name = "evtchn",
		.checks = "every event is delivered, once, however its channel is moved and closed",
		.settings = {{"policy", "lock-free", "how events are linked"}},
		.faults =
			{
				{"lose-one", "something is stored and nothing sent"},
				{"call-twice", "some calls of handlers count twice"},
			},
		.run = run};
}
