// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The catalogue's claims, one test each: a scenario holds with no mutant, in all schedules within
 * its bound; a mutant is killed by the scenario it names, with the reason it names, and the token
 * of the violating schedule says so every time. What the reduction leaves out changes no verdict.
 */
#include "catalogue.h"

#include <algorithm>
#include <cstdio>
#include <gtest/gtest.h>
#include <set>

using namespace races;

namespace
{

constexpr int REPLAYS = 3;

const race_scenario *find_scenario(const race_subsystem &subsystem, const std::string &name)
{
	for (const race_scenario &s : subsystem.scenarios) {
		if (s.scenario.name == name)
			return &s;
	}
	return nullptr;
}

/* A line of the catalogue, as a test's parameter. */
template <typename Entry>
struct line {
	race_subsystem subsystem;
	Entry entry;
};

using scenario_line = line<race_scenario>;
using mutant_line = line<race_mutant>;

std::string name_of(const scenario_line &l)
{
	return l.entry.scenario.name;
}

std::string name_of(const mutant_line &l)
{
	return l.entry.name;
}

template <typename Entry>
std::string name_of_test(const testing::TestParamInfo<line<Entry>> &info)
{
	return name_of(info.param);
}

/* What gtest shows of a parameter when a test fails. */
template <typename Entry>
void PrintTo(const line<Entry> &l, std::ostream *os)
{
	*os << l.subsystem.name << ", " << name_of(l);
}

template <typename Entry>
std::vector<line<Entry>> lines(std::vector<Entry> race_subsystem::*entries)
{
	std::vector<line<Entry>> all;

	for (const race_subsystem &subsystem : race_catalogue()) {
		for (const Entry &entry : subsystem.*entries)
			all.push_back({subsystem, entry});
	}
	return all;
}

class scenario : public testing::TestWithParam<scenario_line>
{
};

class mutant : public testing::TestWithParam<mutant_line>
{
};

/*
 * The schedules without the reduction that are affordable: what one costs is its steps. Of a small
 * world they are all that there are, of a machine with two ends of a framebuffer the first few
 * hundred.
 */
constexpr u64 AFFORDABLE_STEPS = 2000000;

u64 affordable_schedules(const explore_scenario &scenario, explore_options options)
{
	options.max_schedules = 1;
	return std::max<u64>(AFFORDABLE_STEPS / explore_run(scenario, options).steps, 1);
}

/* The reduction has left out none that kills with fewer preemptions than @r, as far as we look. */
void expect_no_cheaper(const explore_scenario &scenario, explore_options options,
		       const explore_result &r)
{
	if (!r.preemptions)
		return;
	options.bound = (int)r.preemptions - 1;
	options.reduce = false;
	options.max_schedules = affordable_schedules(scenario, options);
	explore_result all = explore_run(scenario, options);

	/* Misused is as good: with so few the mutant's code is not met. */
	EXPECT_NE(all.verdict, explore_verdict::violated) << all.summary;
}

void expect_killed(const explore_scenario &scenario, const char *mutant, int bound,
		   const char *reason, explore_memory memory = explore_memory::sc)
{
	explore_options options;

	options.bound = bound;
	options.memory = memory;
	options.mutants = {mutant};
	explore_result r = explore_run(scenario, options);

	ASSERT_EQ(r.verdict, explore_verdict::violated)
		<< "mutant " << mutant << " survives " << scenario.name << ": " << r.summary;
	EXPECT_NE(r.reason.find(reason), std::string::npos) << mutant << ": " << r.reason;
	std::printf("killed by %s at %u preemptions in run %lu, %s\n", scenario.name.c_str(),
		    r.preemptions, (unsigned long)r.runs, r.token.c_str());
	expect_no_cheaper(scenario, options, r);

	options = {.scheduler = explore_scheduler::replay, .token = r.token};
	for (int i = 0; i < REPLAYS; i++) {
		explore_result again = explore_run(scenario, options);

		ASSERT_EQ(again.verdict, explore_verdict::violated) << again.summary;
		ASSERT_EQ(again.reason, r.reason);
		ASSERT_EQ(again.token, r.token);
		ASSERT_EQ(again.trace, r.trace);
	}
}

TEST_P(scenario, holds_in_all_schedules_within_its_bound)
{
	const race_scenario &s = GetParam().entry;
	explore_result r = explore_run(s.scenario, {.bound = s.bound});

	EXPECT_EQ(r.verdict, explore_verdict::held) << r.summary << "\n"
						    << r.trace << "token: " << r.token;
	EXPECT_TRUE(r.exhausted) << r.summary;
	std::printf("%s (%lu runs, %lu steps)\n", r.summary.c_str(), (unsigned long)r.runs,
		    (unsigned long)r.steps);
}

TEST_P(mutant, is_killed_and_the_token_replays)
{
	const race_mutant &m = GetParam().entry;
	const race_scenario *killer = find_scenario(GetParam().subsystem, m.killer);

	ASSERT_TRUE(killer) << "no scenario is called " << m.killer;
	expect_killed(killer->scenario, m.name, m.bound, m.reason, m.memory);
}

/* The line that is printed says whether those were all. */
void expect_holds_unreduced(const race_scenario &s, explore_options options)
{
	options.max_schedules = affordable_schedules(s.scenario, options);
	explore_result r = explore_run(s.scenario, options);

	EXPECT_EQ(r.verdict, explore_verdict::held) << r.summary << "\n"
						    << r.trace << "token: " << r.token;
	std::printf("%s\n", r.summary.c_str());
}

TEST_P(scenario, holds_without_reduction_too)
{
	expect_holds_unreduced(GetParam().entry,
			       {.bound = GetParam().entry.bound, .reduce = false});
}

/* With store buffers, as on x86: one preemption, or one store that arrives early. */
TEST_P(scenario, holds_in_total_store_order)
{
	expect_holds_unreduced(GetParam().entry, {.bound = 1, .memory = explore_memory::tso});
}

INSTANTIATE_TEST_SUITE_P(catalogue, scenario, testing::ValuesIn(lines(&race_subsystem::scenarios)),
			 name_of_test<race_scenario>);
INSTANTIATE_TEST_SUITE_P(catalogue, mutant, testing::ValuesIn(lines(&race_subsystem::mutants)),
			 name_of_test<race_mutant>);

/* Tokens know scenarios by name, and so do users. */
TEST(catalogue, names_are_unique_and_all_there)
{
	std::set<std::string> names, mutants;

	for (const race_subsystem &subsystem : race_catalogue()) {
		std::set<std::string> variants;

		for (const race_scenario &s : subsystem.scenarios) {
			EXPECT_TRUE(names.insert(s.scenario.name).second) << s.scenario.name;
			EXPECT_TRUE(s.checks && *s.checks) << s.scenario.name;
			EXPECT_GE(s.bound, 1) << s.scenario.name;
		}
		for (const race_mutant &m : subsystem.mutants) {
			EXPECT_TRUE(mutants.insert(m.name).second) << m.name;
			EXPECT_TRUE(m.origin && *m.origin) << m.name;
			EXPECT_TRUE(m.reason && *m.reason) << m.name;
			EXPECT_TRUE(!m.variant || variants.insert(m.variant).second) << m.variant;
		}
	}
}

TEST(catalogue, completion_kills_what_keeps_a_wake_up_too)
{
	expect_killed(find_scenario(core_subsystem(), "completion")->scenario, "wait_keeps_wake_up",
		      1, "never ends");
}

} // namespace
