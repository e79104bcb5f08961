/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * evtchn_world.h - a guest with two vcpus and three event channels from domain 0
 *
 *	domain 0		hypervisor		domain 1 (the guest)
 *	data++; send	--->	queue (vcpu 0, 7)  --->	turns: seen = data
 *			--->	queue (vcpu 1, 3)  --->
 *
 * The guest is bare: events_fifo without threads, its vcpus are whoever calls drain(). The oracle:
 * when everybody is done and the queues have been emptied, what was stored before the last send of
 * a channel has been seen by its handler (L1), and no handler was called more often than something
 * was sent; before that, each queue is a list that ends, and a word is LINKED exactly when it is on
 * one (S1, S3).
 */
#ifndef TESTS_RACES_EVTCHN_WORLD_H
#define TESTS_RACES_EVTCHN_WORLD_H

#include "catalogue.h"

#include <asm/sync_bitops.h>
#include <asm/xen/hypercall.h>
#include <kshim/machine.h>
#include <kshim/mmu.h>
#include <kshim/vcpu.h>
#include <kshim/xen.h>
#include <linux/mm.h>
#include <xen/events_fifo.h>

namespace races
{

inline constexpr char EVTCHN_SEED[] =
	"004 evtchn/fifo: don't corrupt queues if an old tail is linked";

constexpr u32 WORD_PENDING = 1u << EVTCHN_FIFO_PENDING;
constexpr u32 WORD_MASKED = 1u << EVTCHN_FIFO_MASKED;
constexpr u32 WORD_LINKED = 1u << EVTCHN_FIFO_LINKED;

struct evtchn_channel {
	evtchn_port_t port, remote; /* the guest's, domain 0's */
	u32 sends, delivered;
	u32 data, seen;
	bool closed; /* by its user: what was sent may be lost */
};

struct evtchn_world {
	struct pv_machine *machine;
	struct xen_domain *back, *guest;
	struct events_fifo fifo;
	struct evtchn_channel channels[4]; /* the last one is made by a task */
	unsigned int nr_calls;
	evtchn_port_t calls[8]; /* handlers', in their order */
	bool expanded;
	unsigned long page; /* one to spare */
	struct events_fifo back_fifo;
};

inline evtchn_world *evtchn_world_of(void *p)
{
	return static_cast<evtchn_world *>(p);
}

template <typename Op>
int event_op(struct xen_domain *self, int cmd, Op op)
{
	return HYPERVISOR_event_channel_op(self, cmd, &op);
}

inline void evtchn_connect(evtchn_world *w, evtchn_channel *c)
{
	struct evtchn_alloc_unbound alloc = {
		.dom = DOMID_SELF, .remote_dom = XEN_DOM_BACK, .port = 0};

	explore_expect(!HYPERVISOR_event_channel_op(w->guest, EVTCHNOP_alloc_unbound, &alloc),
		       "alloc_unbound");
	struct evtchn_bind_interdomain bind = {
		.remote_dom = XEN_DOM_FRONT, .remote_port = alloc.port, .local_port = 0};

	explore_expect(!HYPERVISOR_event_channel_op(w->back, EVTCHNOP_bind_interdomain, &bind),
		       "bind_interdomain");
	WRITE_ONCE(c->port, alloc.port);
	c->remote = bind.local_port;
}

inline void evtchn_expand(evtchn_world *w)
{
	explore_expect(!events_fifo_expand(&w->fifo, 3), "expand");
	w->expanded = true;
	kshim_name_array(events_fifo_word(&w->fifo, 0), sizeof(event_word_t), 4, "word");
}

/* Data, then the event. One sender a channel. */
inline void event_send(evtchn_world *w, unsigned int n)
{
	evtchn_channel *c = &w->channels[n];

	WRITE_ONCE(c->sends, c->sends + 1);
	WRITE_ONCE(c->data, c->data + 1);
	explore_expect(!event_op(w->back, EVTCHNOP_send, evtchn_send_t{c->remote}), "send");
}

/* The same for a channel with several senders. */
inline void event_send_shared(evtchn_world *w, unsigned int n)
{
	evtchn_channel *c = &w->channels[n];

	kshim_point(KSHIM_RMW, &c->data, sizeof(c->data) * 2, __ATOMIC_SEQ_CST);
	c->sends++;
	c->data++;
	explore_expect(!event_op(w->back, EVTCHNOP_send, evtchn_send_t{c->remote}), "send");
}

inline void event_move(evtchn_world *w, unsigned int n, u32 vcpu, u32 priority)
{
	evtchn_port_t port = w->channels[n].port;

	explore_expect(
		!event_op(w->guest, EVTCHNOP_set_priority, evtchn_set_priority_t{port, priority}) &&
			!event_op(w->guest, EVTCHNOP_bind_vcpu, evtchn_bind_vcpu_t{port, vcpu}),
		"move");
}

/* A handler's call. */
inline void event_deliver(evtchn_world *w, evtchn_port_t port)
{
	for (evtchn_channel &c : w->channels) {
		if (READ_ONCE(c.port) != port || READ_ONCE(c.closed))
			continue;
		WRITE_ONCE(c.delivered, c.delivered + 1);
		w->calls[w->nr_calls++ % 8] = port;
		WRITE_ONCE(c.seen, READ_ONCE(c.data));
		explore_note("handler of port %u sees %u", port, c.seen);
	}
}

/* Turns of a vcpu until no queue is ready. Return: events delivered. */
inline unsigned int evtchn_drain(evtchn_world *w, unsigned int vcpu)
{
	unsigned int n = 0;
	evtchn_port_t port;

	for (unsigned int turns = 0; events_fifo_turn(&w->fifo, vcpu, &port); turns++) {
		explore_expect(turns < 100, "vcpu %u's queues never end", vcpu);
		explore_expect(port, "READY, and HEAD is no port");
		if (!events_fifo_take(&w->fifo, port))
			continue;
		event_deliver(w, port);
		n++;
	}
	return n;
}

struct evtchn_options {
	const char *params;
	bool expand = true; /* before the tasks */
};

inline void evtchn_names(evtchn_world *w)
{
	static const char *const blocks[] = {"vcpu 0 control block", "vcpu 1 control block"};

	for (unsigned int i = 0; i < w->fifo.nr_cpus; i++)
		explore_name(w->fifo.cpus[i].block, blocks[i]);
}

inline evtchn_world *evtchn_make(const evtchn_options &o)
{
	static const machine_initcall *const calls[] = {&mmu_initcall, &mm_initcall, &xen_initcall,
							nullptr};
	auto *w = explore_new<evtchn_world>();
	pv_machine_config config;

	config.memory_bytes = 16 * PAGE_SIZE;
	config.nr_cpus = 2;
	config.params = o.params;
	w->machine = pv_machine_create(&config, calls);
	explore_expect(!IS_ERR(w->machine), "no machine");
	machine_scope bound(w->machine);

	w->back = xen_domain(XEN_DOM_BACK);
	w->guest = xen_domain(XEN_DOM_FRONT);
	explore_expect(!events_fifo_init(&w->fifo, w->guest), "no control blocks");
	evtchn_names(w);
	for (unsigned int i = 0; i < 3; i++)
		evtchn_connect(w, &w->channels[i]);
	if (o.expand) {
		evtchn_expand(w);
		for (unsigned int i = 0; i < 3; i++)
			events_fifo_unmask(&w->fifo, w->channels[i].port);
	}
	return w;
}

/* Channel 0's event is the old tail of queue (vcpu 0, 7). */
template <const evtchn_options &options>
void *evtchn_setup_old_tail()
{
	evtchn_world *w = evtchn_make(options);
	machine_scope bound(w->machine);

	event_send(w, 0);
	explore_expect(evtchn_drain(w, 0) == 1, "the first event");
	return w;
}

template <const evtchn_options &options>
void *evtchn_setup()
{
	return evtchn_make(options);
}

/* A queue from its head: each word LINKED, and there is an end. Return: how many. */
inline unsigned int evtchn_walk(evtchn_world *w, u32 head, u32 *on_a_queue)
{
	unsigned int n = 0;

	while (head) {
		event_word_t word = *events_fifo_word(&w->fifo, head);

		explore_expect(head < 8 && !(*on_a_queue & (1u << head)),
			       "port %u is on a queue twice, or on two", head);
		explore_expect(word & WORD_LINKED, "port %u is on a queue and not LINKED", head);
		*on_a_queue |= 1u << head;
		head = word & EVTCHN_FIFO_LINK_MASK;
		n++;
	}
	return n;
}

inline void evtchn_check_queues(evtchn_world *w)
{
	u32 on_a_queue = 0;

	for (unsigned int v = 0; v < w->fifo.nr_cpus; v++) {
		struct fifo_cpu *c = &w->fifo.cpus[v];
		u32 ready = c->ready | c->block->ready;

		for (unsigned int q = 0; q < EVTCHN_FIFO_MAX_QUEUES; q++) {
			if (ready & (1u << q))
				evtchn_walk(w, c->head[q] ? c->head[q] : c->block->head[q],
					    &on_a_queue);
		}
	}
	for (evtchn_port_t port = 1; port < 8; port++)
		explore_expect(!(*events_fifo_word(&w->fifo, port) & WORD_LINKED) ||
				       (on_a_queue & (1u << port)),
			       "lost: port %u is LINKED and on no queue", port);
}

inline void evtchn_check(void *p)
{
	evtchn_world *w = evtchn_world_of(p);
	machine_scope bound(w->machine);

	evtchn_check_queues(w);
	for (unsigned int v = 0; v < w->fifo.nr_cpus; v++)
		evtchn_drain(w, v);
	for (const evtchn_channel &c : w->channels) {
		explore_expect(c.closed || c.seen == c.data,
			       "lost event: port %u was sent %u times, its handler has seen %u",
			       c.port, c.data, c.seen);
		/* Who took an event before its port went to another user may call that one's. */
		explore_expect(w->channels[3].port || c.delivered <= c.sends,
			       "port %u: %u events, %u calls", c.port, c.sends, c.delivered);
	}
}

inline void evtchn_close_channels(evtchn_world *w)
{
	for (const evtchn_channel &c : w->channels) {
		if (!c.port)
			continue;
		(void)event_op(w->guest, EVTCHNOP_close, evtchn_close_t{c.port});
		(void)event_op(w->back, EVTCHNOP_close, evtchn_close_t{c.remote});
	}
}

inline void evtchn_teardown(void *p)
{
	evtchn_world *w = evtchn_world_of(p);

	{
		machine_scope bound(w->machine);

		evtchn_close_channels(w);
		events_fifo_exit(&w->fifo);
		events_fifo_exit(&w->back_fifo);
		if (w->page)
			free_page(w->page);
	}
	explore_machine_destroy(w->machine);
}

/* A task's function, with the machine bound. */
template <void (*body)(evtchn_world *)>
constexpr void (*in_evtchn_world)(void *) = [](void *p) {
	machine_scope bound(evtchn_world_of(p)->machine);

	body(evtchn_world_of(p));
};

/* Tasks in the world that @setup has made. Of nobody's seed, two preemptions. */
inline race_scenario evtchn_scenario(const char *name, void *(*setup)(),
				     std::vector<explore_task> tasks, const char *checks,
				     void (*check)(void *) = evtchn_check,
				     void (*teardown)(void *) = evtchn_teardown)
{
	return {.scenario = {.name = name,
			     .setup = setup,
			     .tasks = std::move(tasks),
			     .check = check,
			     .teardown = teardown},
		.checks = checks,
		.seed = nullptr,
		.bound = 2};
}

/* evtchn_edge_scenarios.cc */
std::vector<race_scenario> evtchn_edge_scenarios();
std::vector<race_mutant> evtchn_edge_mutants();
/* evtchn_irq_scenarios.cc */
std::vector<race_scenario> evtchn_irq_scenarios();
std::vector<race_mutant> evtchn_irq_mutants();

} // namespace races

#endif
