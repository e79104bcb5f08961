// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Event channels where they begin and end: words that come late, ports that are used again, resets,
 * pollers; and a guest that writes what it likes.
 */
#include "evtchn_world.h"

#include <kshim/vcpu.h>
#include <linux/gfp.h>

using namespace races;

namespace
{

constexpr evtchn_options DEFAULT = {.params = "evtchn.vcpus=2"};
constexpr evtchn_options NO_WORDS = {.params = "evtchn.vcpus=2", .expand = false};
constexpr evtchn_options RECHECK = {.params = "evtchn.vcpus=2 evtchn.policy=old-queue-recheck"};

void send_0(evtchn_world *w)
{
	event_send(w, 0);
}

void send_0_shared(evtchn_world *w)
{
	event_send_shared(w, 0);
}

void drain_0(evtchn_world *w)
{
	evtchn_drain(w, 0);
}

/* The words come while, or after, an event is sent. */
void expand_and_unmask(evtchn_world *w)
{
	evtchn_expand(w);
	for (unsigned int i = 0; i < 3; i++)
		events_fifo_unmask(&w->fifo, w->channels[i].port);
	evtchn_drain(w, 0);
}

/* Closed, maybe while it is linked, and opened again for vcpu 1. */
void close_and_reopen(evtchn_world *w)
{
	evtchn_channel *c = &w->channels[3];

	WRITE_ONCE(w->channels[0].closed, true);
	events_fifo_mask(&w->fifo, w->channels[0].port);
	explore_expect(!event_op(w->guest, EVTCHNOP_close, evtchn_close_t{w->channels[0].port}),
		       "close");
	evtchn_connect(w, c);
	explore_expect(!(READ_ONCE(*events_fifo_word(&w->fifo, c->port)) & WORD_LINKED),
		       "port %u is used again, and is on a queue of its former user", c->port);
	event_move(w, 3, 1, 3);
	events_fifo_unmask(&w->fifo, c->port);
	event_send(w, 3);
}

/* What a new user of a port finds: the default priority. */
void reuse_priority(evtchn_world *w)
{
	event_move(w, 0, 0, 0);
	explore_expect(
		!event_op(w->guest, EVTCHNOP_close, evtchn_close_t{w->channels[0].port}) &&
			!event_op(w->back, EVTCHNOP_close, evtchn_close_t{w->channels[0].remote}),
		"close");
	evtchn_connect(w, &w->channels[0]);
	event_send(w, 1);
	event_send(w, 0);
	evtchn_drain(w, 0);
	explore_expect(w->calls[0] == w->channels[1].port,
		       "port %u, used again, kept its old priority", w->channels[0].port);
}

/* All ports of the first bucket are taken: the next one begins another. */
void *setup_full_bucket()
{
	evtchn_world *w = evtchn_make(DEFAULT);
	machine_scope bound(w->machine);

	for (int i = 0; i < 60; i++)
		explore_expect(!event_op(w->guest, EVTCHNOP_alloc_unbound,
					 evtchn_alloc_unbound_t{DOMID_SELF, XEN_DOM_BACK, 0}),
			       "alloc");
	return w;
}

void alloc_port(evtchn_world *w)
{
	explore_expect(!event_op(w->guest, EVTCHNOP_alloc_unbound,
				 evtchn_alloc_unbound_t{DOMID_SELF, XEN_DOM_BACK, 0}),
		       "alloc");
}

void send_port_65(evtchn_world *w)
{
	int err = event_op(w->guest, EVTCHNOP_send, evtchn_send_t{65});

	explore_expect(!err || err == -EINVAL, "send: %d", err);
}

void teardown_by_reset(void *p)
{
	evtchn_world *w = evtchn_world_of(p);

	{
		machine_scope bound(w->machine);

		explore_expect(!event_op(w->guest, EVTCHNOP_reset, evtchn_reset_t{DOMID_SELF}),
			       "reset");
	}
	evtchn_teardown(p);
}

/* A reset beside those who use what it takes away. */
void *setup_with_page()
{
	evtchn_world *w = evtchn_make(DEFAULT);
	machine_scope bound(w->machine);

	w->page = get_zeroed_page(GFP_KERNEL);
	return w;
}

void reset_and_resume(evtchn_world *w)
{
	for (evtchn_channel &c : w->channels)
		c.closed = true;
	explore_expect(!event_op(w->guest, EVTCHNOP_reset, evtchn_reset_t{DOMID_SELF}), "reset");
	explore_expect(!events_fifo_resume(&w->fifo), "no queues after a reset");
}

void expand_once_more(evtchn_world *w)
{
	int err = event_op(w->guest, EVTCHNOP_expand_array,
			   evtchn_expand_array_t{xen_frame_number(
				   virt_to_page(reinterpret_cast<void *>(w->page)))});

	explore_expect(!err || err == -EOPNOTSUPP, "expand: %d", err);
}

/* After a reset only the first vcpu has a control block. */
void *setup_one_block()
{
	evtchn_world *w = evtchn_make(DEFAULT);
	machine_scope bound(w->machine);

	evtchn_close_channels(w);
	explore_expect(!event_op(w->guest, EVTCHNOP_reset, evtchn_reset_t{DOMID_SELF}), "reset");
	w->fifo.nr_cpus = 1;
	explore_expect(!events_fifo_resume(&w->fifo), "resume");
	for (unsigned int i = 0; i < 3; i++) {
		evtchn_connect(w, &w->channels[i]);
		events_fifo_unmask(&w->fifo, w->channels[i].port);
	}
	return w;
}

void move_there_and_back(evtchn_world *w)
{
	event_move(w, 0, 1, 7);
	event_move(w, 0, 0, 7);
}

/* What went to the vcpu without is dropped; what comes afterwards is not. */
void check_one_block(void *p)
{
	evtchn_world *w = evtchn_world_of(p);
	machine_scope bound(w->machine);

	event_send(w, 0);
	evtchn_check(p);
	w->fifo.nr_cpus = 2;
}

/* Who is woken for an event finds it. */
template <const evtchn_options &options>
void *setup_moved()
{
	auto *w = evtchn_world_of(evtchn_setup_old_tail<options>());
	machine_scope bound(w->machine);

	event_move(w, 0, 1, 3);
	return w;
}

void poll_for_0(evtchn_world *w)
{
	evtchn_port_t port = w->channels[0].port;
	struct xen_vcpu *v = xen_vcpu(w->guest, 1);
	int ret = xen_vcpu_poll(v, &port, 1, KSHIM_FOREVER);

	/* 1: it was pending already, and may be on its way. */
	if (ret == 0)
		explore_expect(evtchn_drain(w, 1), "woken for an event that is on no queue");
}

template <const evtchn_options &options>
race_scenario poll(const char *name)
{
	return evtchn_scenario(name, setup_moved<options>,
			       {{"vcpu 1", in_evtchn_world<poll_for_0>},
				{"dom0 cpu 0", in_evtchn_world<send_0_shared>},
				{"dom0 cpu 1", in_evtchn_world<send_0_shared>}},
			       "who polls is woken, and then the event is on its queue");
}

/* A back end's handler: from the event to the end of it the channel stays masked. */
void *setup_eoi_pending()
{
	evtchn_world *w = evtchn_make(DEFAULT);
	machine_scope bound(w->machine);

	events_fifo_mask(&w->fifo, w->channels[0].port);
	return w;
}

void end_of_interrupt(evtchn_world *w)
{
	events_fifo_unmask(&w->fifo, w->channels[0].port);
}

void handle_masked(evtchn_world *w)
{
	evtchn_port_t port;

	while (events_fifo_turn(&w->fifo, 0, &port)) {
		if (!events_fifo_take(&w->fifo, port))
			continue;
		events_fifo_mask(&w->fifo, port);
		event_deliver(w, port);
		explore_expect(READ_ONCE(*events_fifo_word(&w->fifo, port)) & WORD_MASKED,
			       "unmasked under its handler");
		events_fifo_unmask(&w->fifo, port);
	}
}

/* The other domain has queues, too: what the guest does to its own must not concern it. */
void *setup_hostile()
{
	evtchn_world *w = evtchn_make(DEFAULT);
	machine_scope bound(w->machine);

	explore_expect(!events_fifo_init(&w->back_fifo, w->back) &&
			       !events_fifo_expand(&w->back_fifo, 3),
		       "domain 0's queues");
	for (unsigned int i = 0; i < 3; i++) {
		events_fifo_unmask(&w->back_fifo, w->channels[i].remote);
		w->channels[i].closed = true;
	}
	evtchn_port_t port;

	/* The bindings' own events. */
	while (events_fifo_turn(&w->back_fifo, 0, &port))
		(void)events_fifo_take(&w->back_fifo, port);
	return w;
}

u32 *hostile_target(evtchn_world *w, int n)
{
	struct evtchn_fifo_control_block *block = w->fifo.cpus[0].block;

	switch (n) {
	case 0:
		return &block->ready;
	case 1:
		return &block->head[EVTCHN_FIFO_PRIORITY_DEFAULT];
	default:
		return events_fifo_word(&w->fifo, (evtchn_port_t)n - 1);
	}
}

void write_anything(evtchn_world *w)
{
	static const u32 values[] = {0, ~0u, WORD_LINKED | 1};

	u32 *target = hostile_target(w, kshim_choose(4, "where the guest writes"));

	WRITE_ONCE(*target, values[kshim_choose(3, "what the guest writes")]);
}

/* The tail's word changes whenever the hypervisor has looked at it, and stays LINKED. */
void rewrite_tail(evtchn_world *w)
{
	event_word_t *word = events_fifo_word(&w->fifo, w->channels[0].port);

	for (u32 i = 0; i < 20; i++) {
		WRITE_ONCE(*word, WORD_LINKED | WORD_PENDING | (i & 1 ? WORD_MASKED : 0));
		cpu_relax();
	}
}

void send_0_1(evtchn_world *w)
{
	event_send(w, 0);
	event_send(w, 1);
}

void send_1(evtchn_world *w)
{
	event_send(w, 1);
}

/* To domain 0, from the guest. */
void send_back(evtchn_world *w)
{
	for (unsigned int i = 0; i < 2; i++)
		explore_expect(
			!event_op(w->guest, EVTCHNOP_send, evtchn_send_t{w->channels[i].port}),
			"send");
}

void check_hostile(void *p)
{
	evtchn_world *w = evtchn_world_of(p);
	machine_scope bound(w->machine);
	struct xen_event_stats stats;
	evtchn_port_t port;
	u32 came = 0;

	xen_event_stats(w->guest, &stats);
	explore_expect(stats.link_tries <= 6 && stats.lock_tries <= 3,
		       "a guest keeps the hypervisor busy: %u tries to link, %u to lock",
		       stats.link_tries, stats.lock_tries);
	while (events_fifo_turn(&w->back_fifo, 0, &port)) {
		if (events_fifo_take(&w->back_fifo, port))
			came |= 1u << port;
	}
	explore_expect(came == (1u << w->channels[0].remote | 1u << w->channels[1].remote),
		       "domain 0 got events %#x", came);
}

void check_rewritten(void *p)
{
	evtchn_world *w = evtchn_world_of(p);
	machine_scope bound(w->machine);

	send_back(w);
	check_hostile(p);
}

void *setup_tail()
{
	auto *w = evtchn_world_of(setup_hostile());
	machine_scope bound(w->machine);

	event_send(w, 0);
	return w;
}

} // namespace

std::vector<race_scenario> races::evtchn_edge_scenarios()
{
	const explore_task vcpu_0 = {"vcpu 0", in_evtchn_world<drain_0>};
	const explore_task dom0 = {"dom0", in_evtchn_world<send_0>};

	return {
		evtchn_scenario("evtchn_expand", evtchn_setup<NO_WORDS>,
				{dom0, {"guest", in_evtchn_world<expand_and_unmask>}},
				"an event that is sent before its word exists is not lost"),
		evtchn_scenario("evtchn_reuse", evtchn_setup<DEFAULT>,
				{dom0, vcpu_0, {"vcpu 1", in_evtchn_world<close_and_reopen>}},
				"a port that is used again is on no queue of its former user"),
		evtchn_scenario("evtchn_reuse_priority", evtchn_setup<DEFAULT>,
				{{"guest", in_evtchn_world<reuse_priority>}},
				"a port that is used again has the default priority"),
		evtchn_scenario("evtchn_bucket", setup_full_bucket,
				{{"vcpu 0", in_evtchn_world<alloc_port>},
				 {"vcpu 1", in_evtchn_world<send_port_65>}},
				"a port is valid when it is there", evtchn_check,
				teardown_by_reset),
		evtchn_scenario(
			"evtchn_reset", setup_with_page,
			{{"vcpu 0", in_evtchn_world<reset_and_resume>},
			 {"vcpu 1", in_evtchn_world<expand_once_more>},
			 dom0},
			"a reset frees nothing under those who use it, and all can begin again"),
		evtchn_scenario("evtchn_one_block", setup_one_block,
				{dom0, {"guest", in_evtchn_world<move_there_and_back>}, vcpu_0},
				"a vcpu without control block costs the events that go there",
				check_one_block),
		poll<DEFAULT>("evtchn_poll"),
		poll<RECHECK>("evtchn_poll_recheck"),
		evtchn_scenario("evtchn_eoi", setup_eoi_pending,
				{{"dom0 cpu 0", in_evtchn_world<send_0_shared>},
				 {"dom0 cpu 1", in_evtchn_world<send_0_shared>},
				 {"vcpu 1", in_evtchn_world<end_of_interrupt>},
				 {"vcpu 0", in_evtchn_world<handle_masked>}},
				"what a handler has masked stays masked, whoever unmasked before"),
		evtchn_scenario("evtchn_hostile", setup_hostile,
				{{"guest", in_evtchn_world<write_anything>},
				 {"dom0", in_evtchn_world<send_0_1>},
				 {"guest's vcpu 1", in_evtchn_world<send_back>}},
				"a guest that writes anything anywhere harms nobody else",
				check_hostile),
		evtchn_scenario(
			"evtchn_rewritten", setup_tail,
			{{"dom0", in_evtchn_world<send_1>},
			 {"guest", in_evtchn_world<rewrite_tail>}},
			"a guest that rewrites a word for ever does not keep the hypervisor",
			check_rewritten),
	};
}

std::vector<race_mutant> races::evtchn_edge_mutants()
{
	return {
		{.name = "evtchn_forgets_missed",
		 .variant = nullptr,
		 .origin = "917c123029: raised before its word exists: lost",
		 .killer = "evtchn_expand",
		 .bound = 1,
		 .reason = "lost event"},
		{.name = "evtchn_notes_too_late",
		 .variant = nullptr,
		 .origin = "no word: noted, but the page has come since, and was looked through",
		 .killer = "evtchn_expand",
		 .bound = 1,
		 .reason = "lost event"},
		{.name = "evtchn_reuses_linked",
		 .variant = nullptr,
		 .origin = "78e24c269b: closed while LINKED, and used again: on the wrong queue",
		 .killer = "evtchn_reuse",
		 .bound = 2,
		 .reason = "on a queue of its former user"},
		{.name = "evtchn_keeps_priority",
		 .variant = nullptr,
		 .origin = "470a160402: ports that are used again kept their old priority",
		 .killer = "evtchn_reuse_priority",
		 .bound = 1,
		 .reason = "kept its old priority"},
		{.name = "evtchn_valid_too_early",
		 .variant = nullptr,
		 .origin = "e7719a0dfa (XSA-221), 112992b05b (XSA-340): valid before it is there",
		 .killer = "evtchn_bucket",
		 .bound = 1,
		 .reason = "unmapped memory"},
		{.name = "evtchn_expand_looks_early",
		 .variant = nullptr,
		 .origin = "0e9d647aca (XSA-505): expand_array looks without the lock, beside a "
			   "reset",
		 .killer = "evtchn_reset",
		 .bound = 1,
		 .reason = "use after free"},
		{.name = "evtchn_reset_does_not_wait",
		 .variant = nullptr,
		 .origin = "a reset frees the queues under a sender who has found them",
		 .killer = "evtchn_reset",
		 .bound = 1,
		 .reason = "use after free"},
		{.name = "evtchn_reset_keeps_fifo",
		 .variant = nullptr,
		 .origin = "400b3bd642: a reset left the queues, and the next kernel got none",
		 .killer = "evtchn_reset",
		 .bound = 1,
		 .reason = "no queues after a reset"},
		{.name = "evtchn_trusts_control_block",
		 .variant = nullptr,
		 .origin = "a4e0cea6fc (XSA-107): a vcpu that has no control block",
		 .killer = "evtchn_one_block",
		 .bound = 2,
		 .reason = "unmapped memory"},
		{.name = "evtchn_tells_pollers_early",
		 .variant = nullptr,
		 .origin = "71ac522909: pollers are woken before the event is on its queue",
		 .killer = "evtchn_poll_recheck",
		 .bound = 2,
		 .reason = "woken for an event that is on no queue"},
		{.name = "evtchn_tells_after_release",
		 .variant = nullptr,
		 .origin = "lock-free, its first form: who finds it LINKED wakes pollers before "
			   "READY",
		 .killer = "evtchn_poll",
		 .bound = 2,
		 .reason = "woken for an event that is on no queue"},
		{.name = "evtchn_unmasks_twice",
		 .variant = nullptr,
		 .origin = "Linux f01337197419 (XSA-332): unmasked by guest and hypervisor both",
		 .killer = "evtchn_eoi",
		 .bound = 2,
		 .reason = "unmasked under its handler"},
		{.name = "evtchn_links_for_ever",
		 .variant = nullptr,
		 .origin = "dae2a1c5f9: linking goes on as long as the guest rewrites the word",
		 .killer = "evtchn_rewritten",
		 .bound = 2,
		 .reason = "keeps the hypervisor busy"},
	};
}
