/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuse_housekeeper_test.cc - jobs run in order, paces run while they ask for it, and then not at
 * all
 */
#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "housekeeper.h"

using namespace fuse_fb;
using namespace std::chrono_literals;

namespace
{

/* For "happens": generous, never reached when the code is right. */
constexpr auto deadline = 60s;

} // namespace

TEST(fuse_housekeeper, jobs_run_in_order_and_before_the_end)
{
	std::vector<int> order;
	{
		housekeeper k;

		for (int i = 0; i < 100; i++)
			k.run([&order, i] { order.push_back(i); });
	}
	ASSERT_EQ(order.size(), 100u);
	for (int i = 0; i < 100; i++)
		EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
}

TEST(fuse_housekeeper, pace_runs_as_long_as_it_asks)
{
	housekeeper k;
	std::promise<void> third;
	int runs = 0;

	const auto id = k.add_pace(
		[&] {
			if (++runs == 3)
				third.set_value();
			return runs < 3;
		},
		1ms);
	EXPECT_EQ(runs, 0) << "not before a kick";
	k.kick(id);
	ASSERT_EQ(third.get_future().wait_for(deadline), std::future_status::ready);
	k.run_and_wait([&] { EXPECT_EQ(runs, 3); });
	k.kick(id + 100); /* nobody's */
}

TEST(fuse_housekeeper, jobs_wait_for_their_time_and_not_beyond_the_end)
{
	const auto begin = housekeeper::clock::now();
	std::vector<int> order;
	bool late = false;
	{
		housekeeper k;
		std::promise<void> second;

		k.run_at(begin + 20ms, [&] {
			order.push_back(2);
			EXPECT_GE(housekeeper::clock::now(), begin + 20ms);
			second.set_value();
		});
		k.run_at(begin + 10ms, [&] { order.push_back(1); });
		k.run_at(begin + 1h, [&] { late = true; });
		ASSERT_EQ(second.get_future().wait_for(deadline), std::future_status::ready);
		k.run_and_wait([&] { EXPECT_FALSE(late); });
	}
	EXPECT_EQ(order, (std::vector<int>{1, 2}));
	EXPECT_TRUE(late) << "the end waits for nobody and drops nothing";
}

TEST(fuse_housekeeper, kick_during_a_harvest_is_not_lost)
{
	housekeeper k;
	std::promise<void> second;
	std::atomic<int> runs{0};
	std::uint64_t id = 0;

	id = k.add_pace(
		[&] {
			if (++runs == 1)
				k.kick(id);
			else
				second.set_value();
			return false;
		},
		1ms);
	k.kick(id);
	ASSERT_EQ(second.get_future().wait_for(deadline), std::future_status::ready);
}

TEST(fuse_housekeeper, removed_pace_is_not_called)
{
	housekeeper k;
	std::atomic<int> runs{0};
	const auto id = k.add_pace(
		[&] {
			runs++;
			return true;
		},
		1h);

	k.kick(id); /* due in 1h/8 */
	k.run_and_wait([&] { k.remove_pace(id); });
	k.kick(id);
	k.stop();
	EXPECT_EQ(runs, 0);
	EXPECT_FALSE(k.run([] {}));
}
