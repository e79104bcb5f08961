// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the explorer tells of a violating schedule: functions and named objects, who was preempted
 * where, nothing that nobody else could notice; and that it is a short one.
 */
#include "explore_test.h"

#include <linux/mutex.h>

#include <algorithm>
#include <sstream>

using namespace explore_test;

namespace
{

struct world {
	struct mutex lock;
	u32 counter, own[2];
};

world *world_of(void *p)
{
	return static_cast<world *>(p);
}

void *setup()
{
	auto *w = explore_new<world>();

	mutex_init(&w->lock);
	explore_name(&w->counter, "the counter");
	explore_name(&w->own, "a word of its own");
	return w;
}

__attribute__((noinline)) void count(world *w)
{
	u32 seen;

	scoped_guard (mutex, &w->lock)
		seen = READ_ONCE(w->counter);
	scoped_guard (mutex, &w->lock)
		WRITE_ONCE(w->counter, seen + 1);
}

void count_in_a(void *p)
{
	for (int i = 0; i < 3; i++)
		WRITE_ONCE(world_of(p)->own[0], 1u);
	count(world_of(p));
	explore_note("A has counted");
}

void count_in_b(void *p)
{
	count(world_of(p));
}

explore_scenario scenario()
{
	return {.name = "trace",
		.setup = setup,
		.tasks = {{"A", count_in_a}, {"B", count_in_b}},
		.check =
			[](void *p) {
				explore_expect(world_of(p)->counter == 2, "an increment was lost");
			},
		.teardown = nullptr};
}

explore_result violated(explore_options options = bound(1))
{
	explore_result r = explore_run(scenario(), options);

	expect_violated(r, "an increment was lost");
	return r;
}

size_t count_of(const std::string &text, const std::string &part)
{
	size_t n = 0;

	for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
		n++;
	return n;
}

testing::AssertionResult has(const std::string &text, const std::string &part)
{
	if (count_of(text, part))
		return testing::AssertionSuccess();
	return testing::AssertionFailure() << "no '" << part << "' in:\n" << text;
}

TEST(explore_trace, functions_and_named_objects_are_told_and_no_steps)
{
	const explore_result r = violated();

	EXPECT_TRUE(has(r.trace, "count_in_a"));
	EXPECT_TRUE(has(r.trace, "count()"));
	EXPECT_TRUE(has(r.trace, "mutex_lock(w->lock)"));
	EXPECT_TRUE(has(r.trace, "reads the counter"));
	EXPECT_TRUE(has(r.trace, "writes the counter"));
	EXPECT_TRUE(has(r.trace, "A has counted"));
	EXPECT_EQ(count_of(r.trace, "rmw"), 0u) << r.trace;
	EXPECT_EQ(count_of(r.trace, "lock_word"), 0u) << r.trace;
}

TEST(explore_trace, word_of_one_thread_is_no_row)
{
	explore_options options = bound(1);

	EXPECT_EQ(count_of(violated().trace, "a word of its own"), 0u);
	options.trace_steps = true;
	EXPECT_EQ(count_of(violated(options).trace, "a word of its own"), 3u);
}

TEST(explore_trace, preemption_is_marked_with_the_decision_of_the_token)
{
	const explore_result r = violated();
	const std::string decision = r.token.substr(r.token.rfind(':') + 1);

	EXPECT_EQ(r.preemptions, 1u);
	EXPECT_TRUE(has(r.trace, " is preempted, "));
	EXPECT_TRUE(has(r.trace, "(" + decision + ")"));
}

TEST(explore_trace, reason_comes_last)
{
	const std::string trace = violated().trace;

	EXPECT_GT(trace.rfind("an increment was lost"), trace.rfind("VIOLATION"));
}

TEST(explore_trace, steps_have_their_lines)
{
	explore_options options = bound(1);

	options.trace_steps = true;
	const explore_result r = violated(options);

	EXPECT_TRUE(has(r.trace, "load the counter  count, explore_trace_test.cc:"));
	EXPECT_TRUE(has(r.trace, "store the counter  count, explore_trace_test.cc:"));
	EXPECT_TRUE(has(r.trace, "cas w->lock  lock_word_trylock, locks.cc:"));
}

/* A thread that does much alone. */
TEST(explore_trace, long_stretch_is_thinned_out_and_its_notes_stay)
{
	explore_scenario s = scenario();

	s.tasks[0].run = [](void *p) {
		for (int i = 0; i < 4; i++) {
			scoped_guard (mutex, &world_of(p)->lock)
				explore_note("round %d", i);
			count(world_of(p));
			count(world_of(p));
			count(world_of(p));
		}
	};
	s.check = [](void *) { kshim_violation("as told"); };

	const explore_result r = explore_run(s, bound(0));
	std::istringstream lines(r.trace);
	size_t rows = 0;

	for (std::string line; std::getline(lines, line) && line.find("count_in_b") == line.npos;)
		rows++;
	EXPECT_LE(rows, 20u) << r.trace;
	for (int i = 0; i < 4; i++)
		EXPECT_TRUE(has(r.trace, "round " + std::to_string(i)));
}

void lock_and_leave(void *p) __no_thread_safety_analysis
{
	mutex_lock(&world_of(p)->lock);
}

TEST(explore_trace, lock_that_a_deadlock_is_about_is_named)
{
	explore_scenario s = scenario();

	s.tasks = {{"A", lock_and_leave}, {"B", lock_and_leave}};
	EXPECT_TRUE(has(explore_run(s, bound(0)).reason, "waits for mutex, w->lock"));
}

/*
 * Chance leaves a thread at every eighth point; of that remains what the violation needs. One
 * deviation would do, but not with the orders that were left out before.
 */
TEST(explore_trace, violating_schedule_is_shrunk_to_what_it_needs)
{
	explore_options options;

	options.scheduler = explore_scheduler::random;
	for (options.seed = 1; options.seed <= 20; options.seed++) {
		const explore_result r = violated(options);

		EXPECT_LE(std::count(r.token.begin(), r.token.end(), '.'), 3) << r.token;
		expect_replays(scenario(), r);
	}
}

} // namespace
