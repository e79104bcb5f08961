/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * races.h - a race test: the shipped code holds in all schedules, each mutant is killed in one
 */
#ifndef TESTS_RACES_RACES_H
#define TESTS_RACES_RACES_H

#include <kshim/explore.h>

#include <cstdio>
#include <gtest/gtest.h>

namespace races
{

/* All schedules with at most @bound preemptions were run, and none violated anything. */
inline void expect_holds(const explore_scenario &scenario, int bound)
{
	explore_options options;

	options.bound = bound;
	explore_result r = explore_run(scenario, options);

	EXPECT_EQ(r.verdict, explore_verdict::held) << scenario.name << ": " << r.summary << "\n"
						    << r.trace << "token: " << r.token;
	EXPECT_TRUE(r.exhausted) << scenario.name << ": " << r.summary;
	std::printf("%s: %s (%lu runs, %lu steps)\n", scenario.name.c_str(), r.summary.c_str(),
		    (unsigned long)r.runs, (unsigned long)r.steps);
}

/* With @mutant on, a schedule within the bound says @reason; and its token says so every time. */
inline void expect_killed(const explore_scenario &scenario, const char *mutant, int bound,
			  const char *reason)
{
	explore_options options;

	options.bound = bound;
	options.mutants = {mutant};
	explore_result r = explore_run(scenario, options);

	ASSERT_EQ(r.verdict, explore_verdict::violated)
		<< "mutant " << mutant << " survives " << scenario.name << ": " << r.summary;
	EXPECT_NE(r.reason.find(reason), std::string::npos) << mutant << ": " << r.reason;
	std::printf("%s, %s: killed at %u preemptions in run %lu, %s\n", scenario.name.c_str(),
		    mutant, r.preemptions, (unsigned long)r.runs, r.token.c_str());

	options.scheduler = explore_scheduler::replay;
	options.mutants.clear();
	options.token = r.token;
	for (int i = 0; i < 3; i++) {
		explore_result again = explore_run(scenario, options);

		ASSERT_EQ(again.verdict, explore_verdict::violated) << again.summary;
		ASSERT_EQ(again.reason, r.reason);
		ASSERT_EQ(again.token, r.token);
	}
}

} // namespace races

#endif
