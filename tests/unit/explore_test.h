/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * explore_test.h - what the explorer's tests expect: it holds, in all schedules; or it is violated,
 * for this reason
 */
#ifndef TESTS_UNIT_EXPLORE_TEST_H
#define TESTS_UNIT_EXPLORE_TEST_H

#include <kshim/explore.h>

#include <gtest/gtest.h>

namespace explore_test
{

inline explore_options bound(int n)
{
	explore_options options;

	options.bound = n;
	return options;
}

/* Holds, and every schedule within the bound was run. */
inline void expect_holds(const explore_result &r)
{
	EXPECT_EQ(r.verdict, explore_verdict::held) << r.summary << "\n" << r.trace;
	EXPECT_TRUE(r.exhausted) << r.summary;
	EXPECT_EQ(r.summary.find("exhausted: all "), 0u) << r.summary;
}

inline void expect_violated(const explore_result &r, const char *reason)
{
	EXPECT_EQ(r.verdict, explore_verdict::violated) << r.summary;
	EXPECT_NE(r.reason.find(reason), std::string::npos) << r.reason;
	EXPECT_NE(r.trace.find("VIOLATION"), std::string::npos) << r.trace;
}

/* Its token says the same again. */
inline void expect_replays(const explore_scenario &scenario, const explore_result &found)
{
	explore_options options;

	options.scheduler = explore_scheduler::replay;
	options.token = found.token;
	explore_result again = explore_run(scenario, options);

	EXPECT_EQ(again.verdict, explore_verdict::violated) << again.summary;
	EXPECT_EQ(again.reason, found.reason);
	EXPECT_EQ(again.token, found.token);
	EXPECT_EQ(again.trace, found.trace);
}

} // namespace explore_test

#endif
