/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Deferred I/O with a mapping that only counts: order, schedule, kinds, removal, unplugging.
 */
#include "unit/video_fixture.h"

#include <atomic>

using namespace video_test;

namespace
{

struct counting_mapping {
	struct fb_defio_mapping mapping;
	std::atomic<unsigned int> harvests = 0, zaps = 0;
	std::atomic<unsigned int> again = 0; /* so many harvests answer "again" */
	fb_info *info = nullptr;
	char value = 0; /* harvest stores it into the first pixel */

	static bool harvest(struct fb_defio_mapping *m)
	{
		auto *self = (counting_mapping *)m;

		self->harvests++;
		if (self->info)
			fb_damage_absorb(self->info, 0, &self->value, 1);
		if (self->again == 0)
			return false;
		self->again--;
		return true;
	}
	static void zap(struct fb_defio_mapping *m) { ((counting_mapping *)m)->zaps++; }

	explicit counting_mapping(enum fb_defio_kind kind) : ops{"a test", kind, harvest, zap}
	{
		mapping.ops = &ops;
	}

private:
	struct fb_defio_mapping_ops ops;
};

constexpr unsigned long never = 3600ul * 1000000; /* the period of an hour: only flushes run */

mode slow()
{
	mode m;

	m.period = never;
	return m;
}

u64 now()
{
	return kshim_now_ns();
}

} // namespace

TEST(video_fb_defio, flush_harvests_and_then_calls_the_driver)
{
	world w;
	framebuffer fb(slow());
	counting_mapping m(FB_DEFIO_FILE);

	fb.take();
	m.info = fb.info();
	m.value = 42;
	ASSERT_EQ(fb_defio_add_mapping(fb.info(), &m.mapping), 0);
	unsigned int before = fb.refreshes();
	ASSERT_EQ(fb_defio_flush(fb.info()), 0);
	EXPECT_EQ(m.harvests, 1u);
	EXPECT_EQ(fb.refreshes(), before + 1);
	/* What the harvest brought was there when the driver was called. */
	ASSERT_EQ(fb.rects().size(), 1u);
	EXPECT_EQ(fb.wrongly_shown(), 0u);
	fb_defio_remove_mapping(fb.info(), &m.mapping);
}

TEST(video_fb_defio, a_kick_runs_once_and_then_nothing_runs)
{
	world w;
	framebuffer fb(mode{});
	counting_mapping m(FB_DEFIO_FILE);

	ASSERT_EQ(fb_defio_add_mapping(fb.info(), &m.mapping), 0);
	fb_defio_kick(fb.info());
	ASSERT_TRUE(fb.wait_refreshes(1));
	/* Nothing is pending: so many runs as kicks that were scheduled. */
	struct fb_defio_stats stats;
	fb_defio_stats(fb.info(), &stats);
	EXPECT_EQ(stats.kicks, 1u);
	EXPECT_EQ(stats.runs, 1u);
	fb_defio_remove_mapping(fb.info(), &m.mapping);
}

TEST(video_fb_defio, harvest_that_wants_more_is_called_again_without_kicks)
{
	world w;
	framebuffer fb(mode{});
	counting_mapping m(FB_DEFIO_FILE);

	m.again = 5;
	ASSERT_EQ(fb_defio_add_mapping(fb.info(), &m.mapping), 0);
	fb_defio_kick(fb.info());
	ASSERT_TRUE(fb.wait_refreshes(6));
	EXPECT_EQ(m.harvests, 6u);
	fb_defio_remove_mapping(fb.info(), &m.mapping);
}

TEST(video_fb_defio, the_first_run_after_a_pause_comes_early_but_not_at_once)
{
	world w;
	mode m;

	m.period = 16000000;
	framebuffer fb(m);
	u64 start = now();

	fb_defio_kick(fb.info());
	ASSERT_TRUE(fb.wait_refreshes(1));
	EXPECT_GE(now() - start, m.period * 1000ull / 8);
	/* Far below the period, and far above what a busy machine adds to an eighth of it. */
	EXPECT_LT(now() - start, m.period * 1000ull);
}

TEST(video_fb_defio, runs_are_a_period_apart)
{
	world w;
	mode m;

	m.period = 300000;
	framebuffer fb(m);
	u64 start = now();

	/* Four runs, three periods between them, whenever the kicks come. */
	for (unsigned int run = 1; run <= 4; run++) {
		fb_defio_kick(fb.info());
		ASSERT_TRUE(fb.wait_refreshes(run));
	}
	EXPECT_GE(now() - start, 3 * m.period * 1000ull);
}

TEST(video_fb_defio, kicks_in_one_period_are_one_run)
{
	world w;
	framebuffer fb(slow());
	struct fb_defio_stats stats;

	for (int i = 0; i < 1000; i++)
		fb_defio_kick(fb.info());
	fb_defio_stats(fb.info(), &stats);
	EXPECT_EQ(stats.kicks, 1u);
	EXPECT_EQ(stats.runs, 0u);
}

TEST(video_fb_defio, mappings_of_two_kinds_exclude_each_other)
{
	world w;
	framebuffer fb(slow());
	counting_mapping file(FB_DEFIO_FILE), file2(FB_DEFIO_FILE), guest(FB_DEFIO_GUEST);

	ASSERT_EQ(fb_defio_add_mapping(fb.info(), &file.mapping), 0);
	EXPECT_EQ(fb_defio_add_mapping(fb.info(), &guest.mapping), -EBUSY);
	EXPECT_EQ(fb_defio_add_mapping(fb.info(), &file2.mapping), 0);
	fb_defio_remove_mapping(fb.info(), &file.mapping);
	EXPECT_EQ(fb_defio_add_mapping(fb.info(), &guest.mapping), -EBUSY);
	fb_defio_remove_mapping(fb.info(), &file2.mapping);
	EXPECT_EQ(fb_defio_add_mapping(fb.info(), &guest.mapping), 0);
	fb_defio_remove_mapping(fb.info(), &guest.mapping);
}

TEST(video_fb_defio, remove_harvests_once_more_and_never_again)
{
	world w;
	framebuffer fb(slow());
	counting_mapping m(FB_DEFIO_FILE);

	ASSERT_EQ(fb_defio_add_mapping(fb.info(), &m.mapping), 0);
	fb_defio_remove_mapping(fb.info(), &m.mapping);
	EXPECT_EQ(m.harvests, 1u);
	ASSERT_EQ(fb_defio_flush(fb.info()), 0);
	EXPECT_EQ(m.harvests, 1u);
}

TEST(video_fb_defio, unplugging_harvests_zaps_and_cuts_the_driver_off)
{
	world w;
	framebuffer fb(slow());
	counting_mapping m(FB_DEFIO_FILE), late(FB_DEFIO_FILE);

	ASSERT_EQ(fb_defio_add_mapping(fb.info(), &m.mapping), 0);
	fb_defio_kick(fb.info());
	fb.unplug();
	EXPECT_EQ(m.harvests, 1u);
	EXPECT_EQ(m.zaps, 1u);
	unsigned int refreshes = fb.refreshes();

	fb_defio_kick(fb.info());
	EXPECT_EQ(fb_defio_flush(fb.info()), -ENODEV);
	EXPECT_EQ(fb_fsync(fb.info()), -ENODEV);
	EXPECT_EQ(fb_defio_add_mapping(fb.info(), &late.mapping), -ENODEV);
	fb_defio_remove_mapping(fb.info(), &m.mapping);
	EXPECT_EQ(m.harvests, 1u);
	EXPECT_EQ(fb.refreshes(), refreshes);
	fb.unplug(); /* twice is once */
}

TEST(video_fb_defio, a_new_period_counts_from_the_next_schedule)
{
	world w;
	framebuffer fb(slow());

	fb_defio_set_period(fb.info(), 1000);
	fb_defio_kick(fb.info());
	EXPECT_TRUE(fb.wait_refreshes(1));
}
