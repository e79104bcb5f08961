/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * writers_test.cc - no store is lost, whoever stores, however, and in whatever state the tracker is
 */
#include <gtest/gtest.h>

#include <cstdlib>

#include "track_policy.h"
#include "writers_rig.h"

using namespace e2e;
using fuse_fb::track_state;

TEST(writers, no_store_of_any_process_or_guest_is_lost_in_any_transition)
{
	rig_options options;

	options.at_least_dirtyings = 100000;
	options.at_least_transitions = 3;
	/* Another seed is another order of loads; print it, so that it can be had again. */
	if (const char *seed = std::getenv("PVSHIM_SEED"))
		options.seed = static_cast<unsigned>(std::atoi(seed));
	const rig_result r = run_rig(options);

	std::printf("seed %u: %s\n", options.seed, r.summary().c_str());
	EXPECT_EQ(r.violation, "") << "seed " << options.seed;
	EXPECT_GE(r.dirtyings, options.at_least_dirtyings);
	EXPECT_GT(r.guest_stores, 0u);
	EXPECT_GT(r.kills, 0u);
	const auto n = [&](track_state from, track_state to) {
		return r.transitions[static_cast<int>(from)][static_cast<int>(to)];
	};
	EXPECT_GE(n(track_state::idle, track_state::sparse), 3u);
	EXPECT_GE(n(track_state::sparse, track_state::dense), 3u);
	EXPECT_GE(n(track_state::dense, track_state::sparse), 3u);
	EXPECT_GE(n(track_state::sparse, track_state::idle), 3u);
}
