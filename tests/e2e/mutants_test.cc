/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mutants_test.cc - the writers' test notices every step of the tracker that is left out
 *
 * Linked with the library that has the switch (fuse-fb/track_mutant.h). A mutant is caught at the
 * first violation, usually within a second or two; the limit is for hosts that are busy with
 * something else.
 */
#include <gtest/gtest.h>

#include <ostream>

#include "writers_rig.h"

using namespace e2e;
using fuse_fb::track_mutant;

namespace
{

struct mutant_case {
	const char *name;
	track_mutant mutant;
};

void PrintTo(const mutant_case &c, std::ostream *out)
{
	*out << c.name;
}

class mutants : public testing::TestWithParam<mutant_case>
{
};

} // namespace

TEST(mutants, none_survives_the_same_test)
{
	rig_options options;

	options.duration = std::chrono::seconds(3);
	options.guests = false;
	const rig_result r = run_rig(options);
	EXPECT_EQ(r.violation, "");
	std::printf("%s\n", r.summary().c_str());
}

TEST_P(mutants, is_caught)
{
	rig_options options;

	options.mutant = GetParam().mutant;
	options.duration = options.give_up = std::chrono::seconds(90);
	options.settle_limit = std::chrono::seconds(4);
	options.guests = false;
	const rig_result r = run_rig(options);
	EXPECT_NE(r.violation, "") << "lived through: " << r.summary();
	std::printf("caught: %s\n        %s\n", r.violation.c_str(), r.summary().c_str());
}

INSTANTIATE_TEST_SUITE_P(
	tracker, mutants,
	testing::Values(
		mutant_case{"sparse_without_pull", track_mutant::sparse_without_pull},
		mutant_case{"pull_without_wait", track_mutant::pull_without_wait},
		mutant_case{"write_lost_in_pull", track_mutant::write_lost_in_pull},
		mutant_case{"dense_look_forgotten", track_mutant::dense_look_forgotten},
		mutant_case{"enter_dense_without_look", track_mutant::enter_dense_without_look},
		mutant_case{"leave_dense_without_pull", track_mutant::leave_dense_without_pull},
		mutant_case{"idle_without_invalidate", track_mutant::idle_without_invalidate},
		mutant_case{"wake_without_kick", track_mutant::wake_without_kick}),
	[](const auto &info) { return info.param.name; });
