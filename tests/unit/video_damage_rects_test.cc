/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The set of rectangles against a bitmap.
 */
#include <memory>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include <video/damage_rects.h>

namespace
{

std::unique_ptr<fb_rect_set> empty_set()
{
	return std::make_unique<fb_rect_set>();
}

} // namespace

TEST(video_damage_rects, adjoining_rectangles_of_one_width_become_one)
{
	auto set = empty_set();

	for (u32 y = 0; y < 100; y += 2)
		fb_rect_set_add(set.get(), fb_rect_entry_make(300, y, 900, y + 1));
	for (u32 y = 1; y < 100; y += 2)
		fb_rect_set_add(set.get(), fb_rect_entry_make(300, y, 900, y + 1));
	ASSERT_EQ(set->nr, 1u);
	EXPECT_EQ(set->entry[0].x0, 300u);
	EXPECT_EQ(set->entry[0].y0, 0u);
	EXPECT_EQ(set->entry[0].x1, 900u);
	EXPECT_EQ(set->entry[0].y1, 100u);
	EXPECT_EQ(set->entry[0].fill, 600u * 100u);
}

TEST(video_damage_rects, distant_rectangles_stay_apart)
{
	auto set = empty_set();

	fb_rect_set_add(set.get(), fb_rect_entry_make(0, 0, 8, 16));
	fb_rect_set_add(set.get(), fb_rect_entry_make(100, 0, 108, 16));
	fb_rect_set_add(set.get(), fb_rect_entry_make(0, 100, 8, 116));
	EXPECT_EQ(set->nr, 3u);
}

TEST(video_damage_rects, empty_rectangles_are_not_kept)
{
	auto set = empty_set();

	fb_rect_set_add(set.get(), {5, 5, 5, 9, 0});
	fb_rect_set_add(set.get(), {5, 5, 9, 5, 0});
	EXPECT_EQ(set->nr, 0u);
}

TEST(video_damage_rects, taking_in_parts_loses_nothing)
{
	auto set = empty_set();
	fb_rect rects[3];
	unsigned int taken = 0;

	for (u32 i = 0; i < 8; i++)
		fb_rect_set_add(set.get(), fb_rect_entry_make(i * 100, 0, i * 100 + 8, 16));
	while (unsigned int nr = fb_rect_set_take(set.get(), rects, 3)) {
		for (unsigned int i = 0; i < nr; i++)
			EXPECT_EQ(rects[i].x, (taken + i) * 100);
		taken += nr;
	}
	EXPECT_EQ(taken, 8u);
}

TEST(video_damage_rects, covers_all_that_was_added_however_much)
{
	constexpr u32 side = 700;

	for (unsigned int seed = 1; seed <= 20; seed++) {
		SCOPED_TRACE(testing::Message() << "seed " << seed);
		std::mt19937 random(seed);
		auto set = empty_set();
		std::vector<bool> added(side * side), covered(side * side);
		auto fill = [&](std::vector<bool> &map, u32 x0, u32 y0, u32 x1, u32 y1) {
			for (u32 y = y0; y < y1; y++) {
				for (u32 x = x0; x < x1; x++)
					map[y * side + x] = true;
			}
		};

		for (int i = 0; i < 600; i++) {
			u32 x = random() % side, y = random() % side;
			u32 x1 = std::min<u32>(side, x + 1 + random() % 20);
			u32 y1 = std::min<u32>(side, y + 1 + random() % 20);

			fb_rect_set_add(set.get(), fb_rect_entry_make(x, y, x1, y1));
			fill(added, x, y, x1, y1);
			ASSERT_LE(set->nr, FB_DAMAGE_MAX);
		}
		for (unsigned int i = 0; i < set->nr; i++) {
			const fb_rect_entry &e = set->entry[i];

			ASSERT_LT(e.x0, e.x1);
			ASSERT_LT(e.y0, e.y1);
			ASSERT_LE(e.x1, side);
			ASSERT_LE(e.y1, side);
			ASSERT_LE(e.fill, fb_rect_entry_area(&e));
			fill(covered, e.x0, e.y0, e.x1, e.y1);
		}
		for (u32 i = 0; i < side * side; i++)
			ASSERT_TRUE(!added[i] || covered[i]);
	}
}
