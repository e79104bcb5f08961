// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The explorer on programs whose verdict is known: what it finds, what it says about it, what it
 * refuses. (Each scheduler on each shape of bug: explore_schedulers_test.cc.)
 */
#include "explore_rcu.h"
#include "explore_shapes.h"
#include "explore_test.h"

#include <kshim/machine.h>
#include <kshim/mutant.h>
#include <linux/completion.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

using namespace explore_test;

namespace
{

/* Two threads count, with and without a lock. */

TEST(explore, lost_update_is_found_with_one_preemption)
{
	expect_holds(explore_run(counting_scenario(count_bare), bound(0)));
	explore_result r = explore_run(counting_scenario(count_bare), bound(1));

	expect_violated(r, "counter is 1, not 2");
	EXPECT_EQ(r.preemptions, 1u);
	EXPECT_NE(r.trace.find("count_bare"), std::string::npos) << r.trace;
}

TEST(explore, counting_under_a_lock_is_not_accused)
{
	expect_holds(explore_run(counting_scenario(count_locked), bound(2)));
	expect_holds(explore_run(counting_scenario(count_locked), bound(-1)));
}

TEST(explore, without_reduction_the_verdicts_are_the_same_and_the_schedules_more)
{
	explore_options full = bound(2);

	full.reduce = false;
	explore_result reduced = explore_run(counting_scenario(count_locked), bound(2));
	explore_result all = explore_run(counting_scenario(count_locked), full);

	expect_holds(all);
	EXPECT_GE(all.schedules, reduced.schedules);
	expect_violated(explore_run(counting_scenario(count_bare), full), "counter is 1");
}

TEST(explore, limit_of_schedules_is_not_called_exhausted)
{
	explore_options options = bound(2);

	options.max_schedules = 3;
	explore_result r = explore_run(counting_scenario(count_locked), options);

	EXPECT_EQ(r.verdict, explore_verdict::held);
	EXPECT_FALSE(r.exhausted);
	EXPECT_TRUE(r.gave_up);
	EXPECT_EQ(r.summary.find("searched "), 0u) << r.summary;
}

/* Far more schedules than anybody could run, with no bound. */
explore_scenario endless_scenario()
{
	void (*count_often)(void *) = [](void *p) {
		for (int i = 0; i < 20; i++)
			count_locked(p);
	};
	explore_scenario s = counting_scenario(count_often);

	s.check = nullptr;
	return s;
}

TEST(explore, search_ends_when_its_time_is_up_and_tells_how_it_goes)
{
	explore_options options = bound(-1);
	std::vector<explore_progress> told;

	options.seconds = 0.7;
	options.progress = [&](const explore_progress &p) { told.push_back(p); };
	explore_result r = explore_run(endless_scenario(), options);

	EXPECT_EQ(r.verdict, explore_verdict::held) << r.summary;
	EXPECT_TRUE(r.gave_up);
	EXPECT_FALSE(r.exhausted);
	EXPECT_GE(r.seconds, 0.7);
	EXPECT_EQ(r.summary.find("searched "), 0u) << r.summary;
	ASSERT_FALSE(told.empty());
	EXPECT_LE(told.back().runs, r.runs);
	EXPECT_GT(told.back().steps, 0u);
	EXPECT_EQ(told.back().bound, -1);
	for (size_t i = 1; i < told.size(); i++)
		EXPECT_GT(told[i].runs, told[i - 1].runs);
}

/* Chance is never done: the time ends it, and that is no failure. */
TEST(explore, random_search_goes_on_until_its_time_is_up)
{
	explore_options options;

	options.scheduler = explore_scheduler::random;
	options.seconds = 0.2;
	explore_result r = explore_run(endless_scenario(), options);

	EXPECT_EQ(r.verdict, explore_verdict::held) << r.summary;
	EXPECT_FALSE(r.exhausted);
	EXPECT_FALSE(r.gave_up);
	EXPECT_GE(r.seconds, 0.2);
}

TEST(explore, all_interleavings_of_two_times_two_steps_are_six)
{
	explore_scenario s = counting_scenario([](void *p) {
		auto *w = static_cast<counting *>(p);

		WRITE_ONCE(w->counter, 1u);
		WRITE_ONCE(w->counter, 2u);
	});
	explore_options options = bound(-1);

	s.check = nullptr;
	explore_result r = explore_run(s, options);

	expect_holds(r);
	/* Each thread's end is a step of its own, but only main looks at that: 4 over 2. */
	EXPECT_EQ(r.schedules, 6u);
}

/* Two locks in two orders. */

TEST(explore, abba_deadlock_is_found_and_says_who_waits_for_whom)
{
	explore_result r = explore_run(locking_scenario(b_then_a), bound(1));

	expect_violated(r, "deadlock");
	EXPECT_NE(r.reason.find("left waits for mutex"), std::string::npos) << r.reason;
	EXPECT_NE(r.reason.find("held by right"), std::string::npos) << r.reason;
	EXPECT_NE(r.reason.find("right waits for mutex"), std::string::npos) << r.reason;
	EXPECT_NE(r.reason.find("held by left"), std::string::npos) << r.reason;
}

TEST(explore, locks_in_one_order_are_not_accused)
{
	expect_holds(explore_run(locking_scenario(a_then_b), bound(-1)));
}

/* Loops that wait. */

void spin_for_ever(void *p)
{
	auto *w = static_cast<handshake *>(p);

	while (READ_ONCE(w->ready) != 7)
		cpu_relax();
}

void spin_until_ready(void *p)
{
	auto *w = static_cast<handshake *>(p);

	while (!READ_ONCE(w->ready))
		cpu_relax();
}

TEST(explore, endless_loop_is_found)
{
	explore_options options = bound(0);

	options.max_steps = 1000;
	expect_violated(explore_run(handshake_scenario(spin_for_ever, announce), options),
			"endless loop");
}

TEST(explore, loop_that_yields_until_another_is_done_ends)
{
	expect_holds(explore_run(handshake_scenario(spin_until_ready, announce), bound(2)));
}

/* Time. */

struct clock_world {
	u32 word;
	u32 late;
};

void wait_a_while(void *p)
{
	auto *w = static_cast<clock_world *>(p);

	if (kshim_wait(&w->word, 0, kshim_now_ns() + 1000000, "a millisecond") == -ETIMEDOUT)
		WRITE_ONCE(w->late, 1u);
}

void set_word(void *p)
{
	auto *w = static_cast<clock_world *>(p);

	WRITE_ONCE(w->word, 1u);
	kshim_wake(&w->word, 1);
}

TEST(explore, a_deadline_may_pass_before_the_wake_up)
{
	explore_scenario s = {.name = "time",
			      .setup = []() -> void * { return explore_new<clock_world>(); },
			      .tasks = {{"sleeper", wait_a_while}, {"waker", set_word}},
			      .check =
				      [](void *p) {
					      explore_expect(!static_cast<clock_world *>(p)->late,
							     "too late");
				      }};

	expect_holds(explore_run(s, bound(0)));
	expect_violated(explore_run(s, bound(1)), "too late");
}

TEST(explore, virtual_time_passes_at_once)
{
	explore_scenario s = {
		.name = "hour",
		.tasks = {{"sleeper", [](void *) {
				   u64 start = kshim_now_ns();
				   u32 word = 0;

				   (void)kshim_wait(&word, 0, start + 5000000000, "5 s");
				   explore_expect(kshim_now_ns() - start == 5000000000,
						  "slept too short");
			   }}}};

	expect_holds(explore_run(s, bound(2)));
}

TEST(explore, data_choices_are_all_taken)
{
	explore_scenario s = {.name = "dice", .tasks = {{"A", [](void *) {
								 int sum = kshim_choose(6, "die") +
									   kshim_choose(6, "die");

								 explore_expect(sum != 10,
										"two sixes");
							 }}}};

	expect_violated(explore_run(s, bound(0)), "two sixes");
}

/* Memory. */

struct owner_world {
	u32 *object;
};

TEST(explore, use_after_free_is_found)
{
	explore_scenario s = {
		.name = "free",
		.setup = []() -> void * {
			auto *w = explore_new<owner_world>();

			w->object = static_cast<u32 *>(kzalloc(sizeof(u32), GFP_KERNEL));
			return w;
		},
		.tasks = {{"user",
			   [](void *p) {
				   u32 *object = READ_ONCE(static_cast<owner_world *>(p)->object);

				   if (object)
					   WRITE_ONCE(*object, 1u);
			   }},
			  {"freer", [](void *p) {
				   auto *w = static_cast<owner_world *>(p);

				   kfree(xchg(&w->object, nullptr));
			   }}}};

	expect_violated(explore_run(s, bound(1)), "use after free");
}

/* RCU, with a machine and all its threads. */

using rcu_world = rcu_world_of<u32>;

void rcu_reader(void *p)
{
	auto *w = static_cast<rcu_world *>(p);
	machine_scope bound(w->m);
	guard(rcu)();
	u32 *object = rcu_dereference(w->object);

	if (object)
		explore_expect(READ_ONCE(*object) == 0, "the reader sees something else");
}

template <bool wait>
void rcu_replace(void *p)
{
	auto *w = static_cast<rcu_world *>(p);
	machine_scope bound(w->m);
	u32 *old = w->object;

	rcu_assign_pointer(w->object, nullptr);
	if (wait)
		synchronize_rcu();
	kfree(old);
}

explore_scenario reader_beside(void (*writer)(void *))
{
	return rcu_scenario<u32>({"reader", rcu_reader}, {"writer", writer});
}

TEST(explore, free_without_a_grace_period_is_found)
{
	expect_violated(explore_run(reader_beside(rcu_replace<false>), bound(1)), "use after free");
}

TEST(explore, free_after_a_grace_period_is_not_accused)
{
	expect_holds(explore_run(reader_beside(rcu_replace<true>), bound(2)));
}

TEST(explore, leak_of_a_machine_is_found)
{
	explore_scenario s = reader_beside(
		[](void *p) { rcu_assign_pointer(static_cast<rcu_world *>(p)->object, nullptr); });

	expect_violated(explore_run(s, bound(0)), "warned");
}

/* Again. */

TEST(explore, token_replays_the_violation_100_of_100_times)
{
	explore_result found = explore_run(locking_scenario(b_then_a), bound(2));

	ASSERT_EQ(found.verdict, explore_verdict::violated);
	for (int i = 0; i < 100; i++) {
		explore_options again;

		again.scheduler = explore_scheduler::replay;
		again.token = found.token;
		explore_result r = explore_run(locking_scenario(b_then_a), again);

		ASSERT_EQ(r.verdict, explore_verdict::violated);
		ASSERT_EQ(r.reason, found.reason);
		ASSERT_EQ(r.trace, found.trace);
		ASSERT_EQ(r.token, found.token);
	}
}

TEST(explore, bad_tokens_are_refused_with_a_reason)
{
	for (const char *token :
	     {"", "x1", "x2:counting::", "x1:counting", "x1:counting:", "x1:other::1.1",
	      "x1:counting::1", "x1:counting::1.", "x1:counting::2.1,1.1", "x1:counting::1.1,",
	      "x1:counting::-1.1", "x1:counting::99999999999999999999.1"}) {
		explore_options options;

		options.scheduler = explore_scheduler::replay;
		options.token = token;
		explore_result r = explore_run(counting_scenario(count_bare), options);

		EXPECT_EQ(r.verdict, explore_verdict::misused) << token;
		EXPECT_NE(r.reason.find("token"), std::string::npos) << r.reason;
	}
}

TEST(explore, token_of_another_program_does_not_pass_for_a_replay)
{
	explore_options options;

	options.scheduler = explore_scheduler::replay;
	options.token = "x1:counting::0.9";
	EXPECT_EQ(explore_run(counting_scenario(count_bare), options).verdict,
		  explore_verdict::misused);
}

/* Mutants. */

void count_with_mutant(void *p)
{
	if (KSHIM_MUTANT(unlocked))
		count_bare(p);
	else
		count_locked(p);
}

TEST(explore, mutant_is_on_only_when_asked_for)
{
	explore_options options = bound(1);

	expect_holds(explore_run(counting_scenario(count_with_mutant), options));
	options.mutants = {"unlocked"};
	explore_result r = explore_run(counting_scenario(count_with_mutant), options);

	expect_violated(r, "counter is 1");
	/* The token brings its mutant along. */
	options.scheduler = explore_scheduler::replay;
	options.mutants.clear();
	options.token = r.token;
	expect_violated(explore_run(counting_scenario(count_with_mutant), options), "counter is 1");
}

TEST(explore, mutant_that_no_code_knows_is_refused)
{
	explore_options options = bound(1);

	options.mutants = {"mispelt"};
	explore_result r = explore_run(counting_scenario(count_locked), options);

	EXPECT_EQ(r.verdict, explore_verdict::misused);
	EXPECT_NE(r.reason.find("mispelt"), std::string::npos) << r.reason;
}

TEST(explore, program_that_depends_on_something_else_is_noticed)
{
	static u32 runs;

	runs = 0;
	explore_scenario s = counting_scenario([](void *p) {
		auto *w = static_cast<counting *>(p);

		if (runs % 5 != 3)
			count_locked(w);
		count_locked(w);
	});

	s.check = [](void *) { runs++; };
	EXPECT_EQ(explore_run(s, bound(2)).verdict, explore_verdict::misused);
}

} // namespace
