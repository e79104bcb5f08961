// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each way of choosing schedules, on each shape of bug: the wrong program is found out, the right
 * one is not accused, the same seed gives the same run, and what was found can be run again.
 */
#include "explore_shapes.h"
#include "explore_test.h"

#include <asm/barrier.h>
#include <set>

using namespace explore_test;

namespace
{

struct method {
	const char *name;
	explore_options options;
};

const method methods[] = {
	{"dfs", {.bound = 2}},
	{"dfs_of_all", {.bound = 2, .reduce = false}},
	{"pct", {.scheduler = explore_scheduler::pct, .seed = 42, .max_schedules = 2000}},
	{"random", {.scheduler = explore_scheduler::random, .seed = 42, .max_schedules = 2000}},
};

struct shape {
	const char *name;
	explore_scenario wrong, right;
	const char *reason;
};

const shape shapes[] = {
	{"lost_update", counting_scenario(count_bare), counting_scenario(count_locked),
	 "counter is 1, not 2"},
	{"abba", locking_scenario(b_then_a), locking_scenario(a_then_b), "deadlock"},
	{"lost_wake_up", handshake_scenario(sleep_carelessly, announce),
	 handshake_scenario(sleep_on_the_word, announce_on_the_word), "sleeper waits for ready"},
};

class schedulers : public testing::TestWithParam<std::tuple<method, shape>>
{
protected:
	explore_result run(const explore_scenario &scenario) const
	{
		return explore_run(scenario, std::get<method>(GetParam()).options);
	}
	const shape &about() const { return std::get<shape>(GetParam()); }
};

TEST_P(schedulers, find_the_bug_and_its_token_replays)
{
	explore_result r = run(about().wrong);

	expect_violated(r, about().reason);
	expect_replays(about().wrong, r);
}

TEST_P(schedulers, do_not_accuse_the_right_program)
{
	explore_result r = run(about().right);
	const explore_options &options = std::get<method>(GetParam()).options;

	EXPECT_EQ(r.verdict, explore_verdict::held) << r.summary << "\n" << r.trace;
	/* Only a search can say that these were all. */
	EXPECT_EQ(r.exhausted, options.scheduler == explore_scheduler::dfs) << r.summary;
	if (options.max_schedules) {
		EXPECT_EQ(r.schedules, options.max_schedules);
	}
}

TEST_P(schedulers, run_the_same_again)
{
	explore_result first = run(about().wrong), second = run(about().wrong);

	EXPECT_EQ(first.runs, second.runs);
	EXPECT_EQ(first.token, second.token);
	EXPECT_EQ(first.trace, second.trace);
	EXPECT_EQ(run(about().right).steps, run(about().right).steps);
}

INSTANTIATE_TEST_SUITE_P(explore, schedulers,
			 testing::Combine(testing::ValuesIn(methods), testing::ValuesIn(shapes)),
			 [](const auto &info) {
				 return std::string(std::get<method>(info.param).name) + "_" +
					std::get<shape>(info.param).name;
			 });

TEST(explore_pct, seeds_differ)
{
	explore_options options = {.scheduler = explore_scheduler::pct, .max_schedules = 100};
	std::set<u64> steps;

	for (options.seed = 1; options.seed <= 20; options.seed++)
		steps.insert(explore_run(counting_scenario(count_locked), options).steps);
	EXPECT_GT(steps.size(), 1u);
}

/*
 * A lost update needs two things in an order: nobody else between the load and the store. Without a
 * place where priorities change there is no preemption, however many schedules there are.
 */
TEST(explore_pct, depth_one_does_not_preempt)
{
	explore_result r = explore_run(counting_scenario(count_bare),
				       {.scheduler = explore_scheduler::pct, .pct_depth = 1});

	EXPECT_EQ(r.verdict, explore_verdict::held) << r.trace;
	EXPECT_EQ(r.schedules, 10000u);
}

/*
 * At depth 2 each schedule finds it with a probability of at least 1/(n k): two threads, six
 * decisions (a load and a store, the end, of each; the last thread has nobody beside it). So the
 * mean number of schedules up to it is at most n k = 12, and one more: the first has no k yet.
 */
TEST(explore_pct, keeps_its_promise_at_depth_two)
{
	constexpr u64 SEEDS = 300;
	explore_options options = {.scheduler = explore_scheduler::pct, .pct_depth = 2};
	u64 schedules = 0;

	options.trace = false;
	for (options.seed = 1; options.seed <= SEEDS; options.seed++) {
		explore_result r = explore_run(counting_scenario(count_bare), options);

		ASSERT_EQ(r.verdict, explore_verdict::violated) << r.summary;
		schedules += r.schedules;
	}
	EXPECT_LE(schedules, SEEDS * (12 + 1));
	EXPECT_GT(schedules, SEEDS);
}

/* Loops that wait by yielding or sleeping do not keep the one from running that they wait for. */
TEST(explore_pct, who_waits_in_a_loop_lets_others_run)
{
	explore_scenario yields = handshake_scenario(
		[](void *p) {
			while (!READ_ONCE(static_cast<handshake *>(p)->ready))
				cpu_relax();
		},
		announce);
	explore_scenario sleeps = handshake_scenario(
		[](void *p) {
			auto *w = static_cast<handshake *>(p);

			while (!READ_ONCE(w->ready))
				(void)kshim_wait(&w->sleepers, 0, kshim_now_ns() + 1000, "a while");
		},
		announce);

	for (const explore_scenario &s : {yields, sleeps}) {
		explore_result r = explore_run(s, {.scheduler = explore_scheduler::pct});

		EXPECT_EQ(r.verdict, explore_verdict::held) << r.reason << "\n" << r.trace;
	}
}

} // namespace
