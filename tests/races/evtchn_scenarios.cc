// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Linking events by each of the policies: two processors of domain 0 that send, and a guest that
 * moves a channel to another queue and takes events off both; three ports.
 */
#include "evtchn_world.h"

using namespace races;

namespace
{

constexpr evtchn_options DEFAULT = {.params = "evtchn.vcpus=2"};
constexpr evtchn_options EVENT_LOCK = {.params = "evtchn.vcpus=2 evtchn.policy=event-lock"};
constexpr evtchn_options RECHECK = {.params = "evtchn.vcpus=2 evtchn.policy=old-queue-recheck"};
constexpr evtchn_options TWO_LOCKS = {.params = "evtchn.vcpus=2 evtchn.policy=two-queue-locks"};
constexpr evtchn_options LOCK_FREE = {.params = "evtchn.vcpus=2 evtchn.policy=lock-free"};

/* Channel 0 has two senders, and is the old tail. */
void send_0_1(evtchn_world *w)
{
	event_send_shared(w, 0);
	event_send(w, 1);
}

void send_0_2(evtchn_world *w)
{
	event_send_shared(w, 0);
	event_send(w, 2);
}

void move_and_drain(evtchn_world *w)
{
	event_move(w, 0, 1, 3);
	evtchn_drain(w, 0);
	evtchn_drain(w, 1);
}

void drain_both(evtchn_world *w)
{
	evtchn_drain(w, 0);
	evtchn_drain(w, 1);
}

/* Moved already, and not linked since: the next event goes from one queue to the other. */
template <const evtchn_options &options>
void *setup_moved()
{
	auto *w = evtchn_world_of(evtchn_setup_old_tail<options>());
	machine_scope bound(w->machine);

	event_move(w, 0, 1, 3);
	return w;
}

/* The seed's second interleaving: an unmask beside a send. */
template <const evtchn_options &options>
void *setup_masked()
{
	evtchn_world *w = evtchn_make(options);
	machine_scope bound(w->machine);

	events_fifo_mask(&w->fifo, w->channels[0].port);
	return w;
}

void send_1_0(evtchn_world *w)
{
	event_send(w, 1);
	event_send(w, 0);
}

/* As a guest of 2013 does it: unmasked here, and by the hypervisor, too, when it is PENDING. */
void unmask_0(evtchn_world *w)
{
	evtchn_port_t port = w->channels[0].port;
	event_word_t *word = events_fifo_word(&w->fifo, port);

	sync_clear_bit(EVTCHN_FIFO_MASKED, word);
	if (READ_ONCE(*word) & WORD_PENDING)
		explore_expect(!event_op(w->guest, EVTCHNOP_unmask, evtchn_unmask_t{port}),
			       "unmask");
}

void drain_0(evtchn_world *w)
{
	evtchn_drain(w, 0);
}

void send_0(evtchn_world *w)
{
	event_send_shared(w, 0);
}

void send_1_0_shared(evtchn_world *w)
{
	event_send(w, 1);
	event_send_shared(w, 0);
}

void send_0_twice(evtchn_world *w)
{
	event_send(w, 0);
	event_send(w, 0);
}

race_scenario seeded(race_scenario s)
{
	s.seed = EVTCHN_SEED;
	return s;
}

template <const evtchn_options &options>
race_scenario queues(const char *name, const char *checks)
{
	return seeded(evtchn_scenario(name, evtchn_setup_old_tail<options>,
				      {{"dom0 cpu 0", in_evtchn_world<send_0_1>},
				       {"dom0 cpu 1", in_evtchn_world<send_0_2>},
				       {"guest", in_evtchn_world<move_and_drain>}},
				      checks));
}

template <const evtchn_options &options>
race_scenario moved(const char *name)
{
	return seeded(
		evtchn_scenario(name, setup_moved<options>,
				{{"dom0 cpu 0", in_evtchn_world<send_0>},
				 {"dom0 cpu 1", in_evtchn_world<send_0>},
				 {"guest", in_evtchn_world<drain_both>}},
				"two senders find the same old queue of an event that has moved"));
}

template <const evtchn_options &options>
race_scenario unmask(const char *name)
{
	return seeded(evtchn_scenario(name, setup_masked<options>,
				      {{"dom0", in_evtchn_world<send_1_0>},
				       {"vcpu 1", in_evtchn_world<unmask_0>},
				       {"vcpu 0", in_evtchn_world<drain_0>}},
				      "an event that is unmasked while it is sent is linked once"));
}

std::vector<race_scenario> scenarios()
{
	std::vector<race_scenario> all = {
		queues<DEFAULT>("evtchn",
				"no event is lost, however channels move: default policy"),
		queues<EVENT_LOCK>("evtchn_event_lock", "the same, a lock for each event"),
		queues<RECHECK>("evtchn_recheck", "the same, the seed's patch"),
		queues<TWO_LOCKS>("evtchn_two_locks", "the same, both queues' locks"),
		queues<LOCK_FREE>("evtchn_lock_free", "the same, no queue locks"),
		unmask<DEFAULT>("evtchn_unmask"),
		unmask<RECHECK>("evtchn_unmask_recheck"),
		unmask<LOCK_FREE>("evtchn_unmask_lock_free"),
		moved<RECHECK>("evtchn_moved_recheck"),
		moved<LOCK_FREE>("evtchn_moved_lock_free"),
		evtchn_scenario("evtchn_claimed", evtchn_setup<LOCK_FREE>,
				{{"dom0 cpu 0", in_evtchn_world<send_1_0_shared>},
				 {"dom0 cpu 1", in_evtchn_world<send_0>},
				 {"vcpu 0", in_evtchn_world<drain_0>}},
				"an event that comes while another one claims its channel is not "
				"lost"),
		evtchn_scenario("evtchn_send", evtchn_setup<DEFAULT>,
				{{"dom0", in_evtchn_world<send_0_twice>},
				 {"vcpu 0", in_evtchn_world<drain_0>}},
				"what was stored before a send is seen by a handler that runs "
				"after it"),
	};

	for (race_scenario &s : evtchn_edge_scenarios())
		all.push_back(std::move(s));
	for (race_scenario &s : evtchn_irq_scenarios())
		all.push_back(std::move(s));
	return all;
}

std::vector<race_mutant> mutants()
{
	std::vector<race_mutant> all = {
		{.name = "evtchn_no_recheck",
		 .variant = "seed",
		 .origin = "Xen before e33d4257fc, the seed's first race: a wrong old queue is "
			   "locked",
		 .killer = "evtchn_recheck",
		 .bound = 2,
		 .reason = "on no queue"},
		{.name = "evtchn_last_in_two",
		 .variant = nullptr,
		 .origin =
			 "until 1277cb9dc5 the last vcpu and priority were read and written apart",
		 .killer = "evtchn_moved_recheck",
		 .bound = 3,
		 .reason = "on no queue"},
		{.name = "evtchn_keeps_old_tail",
		 .variant = nullptr,
		 .origin = "before e33d4257fc: an old tail that moves to another queue stays the "
			   "tail",
		 .killer = "evtchn_recheck",
		 .bound = 2,
		 .reason = "on no queue"},
		{.name = "evtchn_linked_in_two",
		 .variant = "double-link",
		 .origin = "the seed's second race (again from de6acb78bf on): LINKED tested, then "
			   "set",
		 .killer = "evtchn_unmask_recheck",
		 .bound = 2,
		 .reason = "on no queue"},
		{.name = "evtchn_locks_unchecked",
		 .variant = nullptr,
		 .origin = "both locks taken, and no look whether they still are the right ones",
		 .killer = "evtchn_two_locks",
		 .bound = 2,
		 .reason = "on no queue"},
		{.name = "evtchn_tells_new_vcpu",
		 .variant = nullptr,
		 .origin = "6f6f07b64c: vcpu and priority may change while the event is linked",
		 .killer = "evtchn_two_locks",
		 .bound = 2,
		 .reason = "lost"},
		{.name = "evtchn_ready_for_each",
		 .variant = nullptr,
		 .origin = "70ccddb14a: READY for each event: HEAD is stale, and on another queue",
		 .killer = "evtchn_two_locks",
		 .bound = 2,
		 .reason = "on a queue and not LINKED"},
		{.name = "evtchn_move_excludes_senders",
		 .variant = nullptr,
		 .origin = "beside 5f2df45ead: senders give up at a writer, so moving must not be "
			   "one",
		 .killer = "evtchn",
		 .bound = 2,
		 .reason = "lost event"},
		{.name = "evtchn_claim_forgets",
		 .variant = nullptr,
		 .origin = "lock-free: who finds the event claimed leaves word, and it is not read",
		 .killer = "evtchn_claimed",
		 .bound = 2,
		 .reason = "lost event"},
		{.name = "evtchn_relinks_held",
		 .variant = nullptr,
		 .origin =
			 "lock-free: linked again while somebody appends to it (the seed's case 1)",
		 .killer = "evtchn_lock_free",
		 .bound = 2,
		 .reason = "on no queue"},
		{.name = "evtchn_unlinks_in_two",
		 .variant = nullptr,
		 .origin =
			 "the guest reads LINK and clears it: what is appended in between is lost",
		 .killer = "evtchn",
		 .bound = 2,
		 .reason = "on no queue"},
	};

	for (const race_mutant &m : evtchn_edge_mutants())
		all.push_back(m);
	for (const race_mutant &m : evtchn_irq_mutants())
		all.push_back(m);
	return all;
}

} // namespace

race_subsystem races::evtchn_subsystem()
{
	return {.name = "evtchn", .scenarios = scenarios(), .mutants = mutants()};
}
