/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuse_track_policy_test.cc - the table of track_policy.h, line by line
 */
#include <gtest/gtest.h>

#include "track_policy.h"

using namespace fuse_fb;

namespace
{

constexpr std::size_t frame = 800; /* pages */

track_observation saw(std::size_t pages)
{
	track_observation o;

	o.frame_pages = frame;
	o.pages = pages;
	return o;
}

/* Feeds @n equal harvests; returns the state after them. */
track_state feed(track_policy &p, track_state s, unsigned n, const track_observation &o)
{
	for (unsigned i = 0; i < n; i++)
		s = p.next(s, o);
	return s;
}

} // namespace

TEST(fuse_track_policy, idle_wakes_by_a_request_only)
{
	track_policy p;
	track_observation o = saw(0);

	EXPECT_EQ(p.next(track_state::idle, o), track_state::idle);
	o.accessed = true;
	EXPECT_EQ(p.next(track_state::idle, o), track_state::sparse);
	EXPECT_EQ(p.next(track_state::idle, saw(1)), track_state::sparse);
}

TEST(fuse_track_policy, sparse_sleeps_after_quiet_periods_in_a_row)
{
	track_policy p;
	const unsigned n = p.tunables().quiet_periods;

	EXPECT_EQ(feed(p, track_state::sparse, n - 1, saw(0)), track_state::sparse);
	EXPECT_EQ(p.next(track_state::sparse, saw(1)), track_state::sparse) << "starts again";
	EXPECT_EQ(feed(p, track_state::sparse, n - 1, saw(0)), track_state::sparse);
	track_observation read = saw(0);
	read.accessed = true;
	EXPECT_EQ(p.next(track_state::sparse, read), track_state::sparse)
		<< "a READ may be followed by a store";
	EXPECT_EQ(feed(p, track_state::sparse, n - 1, saw(0)), track_state::sparse);
	EXPECT_EQ(p.next(track_state::sparse, saw(0)), track_state::idle);
}

TEST(fuse_track_policy, sparse_sleeps_at_once_when_nobody_has_the_file)
{
	track_policy p;
	track_observation o = saw(0);

	o.users = false;
	EXPECT_EQ(p.next(track_state::sparse, o), track_state::idle);
	o.pages = 1;
	EXPECT_EQ(p.next(track_state::sparse, o), track_state::sparse);
}

TEST(fuse_track_policy, dense_needs_many_pages_several_times_in_a_row)
{
	track_policy p;
	const std::size_t much = frame / p.tunables().dense_enter_divisor;
	const unsigned n = p.tunables().dense_enter_periods;

	EXPECT_EQ(feed(p, track_state::sparse, n * 10, saw(much - 1)), track_state::sparse);
	EXPECT_EQ(feed(p, track_state::sparse, n - 1, saw(much)), track_state::sparse);
	EXPECT_EQ(p.next(track_state::sparse, saw(0)), track_state::sparse);
	EXPECT_EQ(feed(p, track_state::sparse, n - 1, saw(much)), track_state::sparse);
	EXPECT_EQ(p.next(track_state::sparse, saw(much)), track_state::dense);
}

TEST(fuse_track_policy, dense_is_never_chosen_without_a_mapping_or_a_user_or_for_small_files)
{
	track_policy p;
	track_observation o = saw(frame);

	o.can_look = false;
	EXPECT_EQ(feed(p, track_state::sparse, 100, o), track_state::sparse);
	o = saw(frame);
	o.users = false;
	EXPECT_EQ(feed(p, track_state::sparse, 100, o), track_state::sparse);
	o = saw(p.tunables().dense_min_pages - 1);
	o.frame_pages = o.pages;
	EXPECT_EQ(feed(p, track_state::sparse, 100, o), track_state::sparse);
}

TEST(fuse_track_policy, dense_ends_when_little_changes_and_never_goes_to_sleep_directly)
{
	track_policy p;
	const std::size_t few = frame / p.tunables().dense_leave_divisor;
	const unsigned n = p.tunables().dense_leave_periods;

	EXPECT_EQ(feed(p, track_state::dense, n * 10, saw(few)), track_state::dense);
	EXPECT_EQ(feed(p, track_state::dense, n - 1, saw(few - 1)), track_state::dense);
	EXPECT_EQ(p.next(track_state::dense, saw(few)), track_state::dense) << "starts again";
	EXPECT_EQ(feed(p, track_state::dense, n - 1, saw(0)), track_state::dense);
	EXPECT_EQ(p.next(track_state::dense, saw(0)), track_state::sparse)
		<< "the pull comes first";
}

TEST(fuse_track_policy, dense_ends_at_once_when_the_mapping_or_the_users_go)
{
	track_policy p;
	track_observation o = saw(frame);

	o.can_look = false;
	EXPECT_EQ(p.next(track_state::dense, o), track_state::sparse);
	o = saw(frame);
	o.users = false;
	EXPECT_EQ(p.next(track_state::dense, o), track_state::sparse);
}

TEST(fuse_track_policy, pages_of_the_pull_that_leaves_dense_are_no_reason_to_go_back)
{
	track_policy p;
	track_observation o = saw(frame);

	o.settling = true;
	EXPECT_EQ(feed(p, track_state::sparse, 100, o), track_state::sparse);
}
