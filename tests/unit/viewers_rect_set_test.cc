/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A rect_set may cover more than was added, never less, and stays small; against a bitmap.
 */
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "viewers/rect_set.h"

using namespace fuse_fb;

TEST(viewers_rect_set, covers_everything_added_and_stays_small)
{
	constexpr std::uint32_t width = 97, height = 61;
	std::mt19937 random(3);

	for (int round = 0; round < 200; round++) {
		std::vector<bool> added(width * height), covered(width * height);
		rect_set set;

		for (int i = 0; i < round * 2; i++) {
			const view_rect r{static_cast<std::uint32_t>(random() % 110),
					  static_cast<std::uint32_t>(random() % 70),
					  static_cast<std::uint32_t>(random() % 12),
					  static_cast<std::uint32_t>(random() % 6)};

			set.add(r);
			for (std::uint32_t y = r.y; y < r.y + r.height && y < height; y++)
				for (std::uint32_t x = r.x; x < r.x + r.width && x < width; x++)
					added[y * width + x] = true;
		}
		EXPECT_LE(set.rects().size(), rect_set::most);
		for (const view_rect &r : set.take(width, height)) {
			ASSERT_LE(r.x + r.width, width);
			ASSERT_LE(r.y + r.height, height);
			for (std::uint32_t y = r.y; y < r.y + r.height; y++)
				for (std::uint32_t x = r.x; x < r.x + r.width; x++)
					covered[y * width + x] = true;
		}
		EXPECT_TRUE(set.empty());
		for (std::size_t i = 0; i < added.size(); i++)
			ASSERT_LE(added[i], covered[i]) << "pixel " << i << " of round " << round;
	}
}

TEST(viewers_rect_set, neighbours_join_and_strangers_stay_apart)
{
	rect_set set;

	set.add({0, 0, 10, 10});
	set.add({20, 0, 10, 10});
	EXPECT_EQ(set.rects().size(), 2u);
	set.add({10, 0, 10, 10});
	ASSERT_EQ(set.rects().size(), 1u);
	EXPECT_EQ(set.rects()[0], (view_rect{0, 0, 30, 10}));
	set.add({5, 5, 2, 2});
	EXPECT_EQ(set.rects().size(), 1u);
	set.add({5, 5, 0, 2});
	EXPECT_EQ(set.rects().size(), 1u);
}

TEST(viewers_rect_set, ends_beyond_32_bits_are_clipped)
{
	rect_set set;

	set.add({0xfffffff0, 0xfffffff0, 0xffffffff, 0xffffffff});
	EXPECT_TRUE(set.take(100, 100).empty());
	set.add({10, 10, 0xffffffff, 0xffffffff});
	const std::vector<view_rect> r = set.take(100, 50);
	ASSERT_EQ(r.size(), 1u);
	EXPECT_EQ(r[0], (view_rect{10, 10, 90, 40}));
}
