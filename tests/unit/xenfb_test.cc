/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Both ends together: what was drawn is what the back end shows, for every geometry and order. */
#include <atomic>

#include "unit/xenfb_test.h"

using namespace xen_test;

namespace
{

struct mode {
	const char *name;
	xenfb_config config;
};

/* Depths, odd widths, padding, an offset as of a file with a header, memory to spare. */
const mode modes[] = {
	{"640x480x32", {.width = 640, .height = 480, .depth = 32}},
	{"1x1x32", {.width = 1, .height = 1, .depth = 32}},
	{"33x77x8", {.width = 33, .height = 77, .depth = 8, .line_length = 36}},
	{"101x43x16 padded", {.width = 101, .height = 43, .depth = 16, .line_length = 256}},
	{"801x601x32 at 3232",
	 {.width = 801, .height = 601, .depth = 32, .line_length = 3232, .offset = 3232}},
	{"255x255x8 at 3",
	 {.width = 255, .height = 255, .depth = 8, .line_length = 255, .offset = 3}},
	{"67x31x24", {.width = 67, .height = 31, .depth = 24, .offset = 5}},
	{"last pixel ends the page", {.width = 1024, .height = 4, .depth = 8, .mem_length = 4096}},
	{"more memory than picture",
	 {.width = 100, .height = 100, .depth = 32, .mem_length = 8 << 20}},
};

void draw(fb_info *info, size_t offset, const std::vector<unsigned char> &bytes)
{
	fb_damage_absorb(info, offset, bytes.data(), bytes.size());
}

std::vector<unsigned char> random_bytes(std::mt19937 &random, size_t n)
{
	std::vector<unsigned char> bytes(n);

	for (auto &b : bytes)
		b = (unsigned char)random();
	return bytes;
}

void expect_copy_is_frame(xenfb *x)
{
	xenfb_geometry g;

	ASSERT_EQ(xenfb_flush(x), 0);
	auto copy = copy_of(xenfb_backend(x), &g);
	auto frame = visible(xenfb_info(x));

	ASSERT_EQ(copy.size(), frame.size());
	for (size_t i = 0; i < copy.size(); i++)
		ASSERT_EQ(copy[i], frame[i]) << "byte " << i << " of a line of " << g.line_length;
}

struct recording_sink : xenfb_sink {
	std::mutex mutex;
	std::vector<fb_rect> rects;
	std::vector<xenfb_geometry> geometries;
	bool outside = false;

	recording_sink() : xenfb_sink{}
	{
		static const xenfb_sink_ops sink_ops = {
			[](xenfb_sink *s, const fb_rect *r, unsigned int n) {
				auto *self = static_cast<recording_sink *>(s);
				std::lock_guard<std::mutex> lock(self->mutex);
				const xenfb_geometry &g = self->geometries.back();

				for (unsigned int i = 0; i < n; i++) {
					if (r[i].x + r[i].width > g.width ||
					    r[i].y + r[i].height > g.height)
						self->outside = true;
					self->rects.push_back(r[i]);
				}
			},
			[](xenfb_sink *s, const xenfb_geometry *g) {
				auto *self = static_cast<recording_sink *>(s);
				std::lock_guard<std::mutex> lock(self->mutex);

				self->geometries.push_back(*g);
			},
		};
		ops = &sink_ops;
	}
};

} // namespace

TEST(xenfb, random_drawing_arrives_in_every_mode)
{
	const unsigned int seed = 219787;
	std::mt19937 random(seed);

	RecordProperty("seed", (int)seed);
	for (const mode &mode : modes) {
		SCOPED_TRACE(mode.name);
		xenfb_machine m;
		xenfb_ptr x = create(m, mode.config);

		ASSERT_TRUE(x);
		fb_info *info = xenfb_info(x.get());

		expect_copy_is_frame(x.get());
		for (int round = 0; round < 20; round++) {
			for (unsigned int n = random() % 100; n; n--) {
				size_t at = random() % info->screen_size;
				size_t len = 1 + random() % std::min<size_t>(
								    5000, info->screen_size - at);

				draw(info, at, random_bytes(random, len));
			}
			expect_copy_is_frame(x.get());
		}
	}
}

TEST(xenfb, glyphs_are_sent_as_exact_rectangles)
{
	xenfb_machine m;
	xenfb_ptr x = create(m, {.width = 640, .height = 480, .depth = 32});
	fb_info *info = xenfb_info(x.get());
	recording_sink sink;

	ASSERT_EQ(xenfb_flush(x.get()), 0);
	xenfb_back_add_sink(xenfb_backend(x.get()), &sink);
	ASSERT_EQ(sink.geometries.size(), 1u);
	EXPECT_EQ(sink.geometries[0].width, 640u);
	EXPECT_EQ(sink.geometries[0].line_length, 2560u);
	/* Three glyphs far apart in one period. */
	for (u32 n = 0; n < 3; n++) {
		for (u32 y = 0; y < 16; y++)
			draw(info, ((n * 150 + y) * 640 + n * 200) * 4,
			     std::vector<unsigned char>(32, 0xff));
	}
	ASSERT_EQ(xenfb_flush(x.get()), 0);
	u64 area = 0;

	for (const fb_rect &r : sink.rects) {
		EXPECT_EQ(r.x % 200, 0u);
		EXPECT_EQ(r.width, 8u);
		area += r.width * r.height;
	}
	EXPECT_EQ(area, 3u * 8 * 16);
	xenfb_back_remove_sink(xenfb_backend(x.get()), &sink);
}

TEST(xenfb, copying_is_lazy)
{
	xenfb_machine m;
	xenfb_ptr x = create(m, {.width = 640, .height = 480, .depth = 32});
	xenfb_back *back = xenfb_backend(x.get());
	struct xenfb_back_stats before, after;
	xenfb_geometry g;

	ASSERT_EQ(xenfb_flush(x.get()), 0);
	copy_of(back, &g);
	xenfb_back_stats(back, &before);
	EXPECT_EQ(before.bytes_copied, 640u * 480 * 4);
	for (int i = 0; i < 10; i++) {
		draw(xenfb_info(x.get()), 4000,
		     std::vector<unsigned char>(400, (unsigned char)(i + 1)));
		ASSERT_EQ(xenfb_flush(x.get()), 0);
	}
	xenfb_back_stats(back, &after);
	EXPECT_EQ(after.bytes_copied, before.bytes_copied) << "nobody looked";
	EXPECT_GE(after.rects, before.rects + 10);
	expect_copy_is_frame(x.get());
	xenfb_back_stats(back, &after);
	EXPECT_EQ(after.bytes_copied, before.bytes_copied + 400) << "one copy for ten updates";
	EXPECT_EQ(after.bad_events + after.bad_indexes, 0u);
}

TEST(xenfb, resize_tells_first_and_then_shows_all)
{
	xenfb_machine m;
	xenfb_ptr x = create(m, {.width = 640, .height = 480, .depth = 32, .mem_length = 4 << 20});
	fb_info *info = xenfb_info(x.get());
	recording_sink sink;
	std::mt19937 random(3);
	const xenfb_front_geometry steps[] = {
		{320, 200, 32, 0, 0},      {1024, 768, 8, 1030, 3232}, {33, 7, 16, 100, 1},
		{1024, 1024, 32, 4096, 0}, {640, 480, 32, 2560, 1000},
	};

	xenfb_back_add_sink(xenfb_backend(x.get()), &sink);
	for (const auto &step : steps) {
		draw(info, 0, random_bytes(random, 100000));
		ASSERT_EQ(xenfb_front_set_geometry(info, &step), 0);
		draw(info, 50000, random_bytes(random, 100000));
		expect_copy_is_frame(x.get());
		std::lock_guard<std::mutex> lock(sink.mutex);

		EXPECT_EQ(sink.geometries.back().width, step.width);
		EXPECT_EQ(sink.geometries.back().depth, step.depth);
	}
	EXPECT_FALSE(sink.outside);
	for (const xenfb_front_geometry &bad : {
		     xenfb_front_geometry{0, 10, 32, 0, 0},
		     {10, 0, 32, 0, 0},
		     {1024, 1025, 32, 0, 0},
		     {1024, 1024, 32, 0, 1},
		     {10, 10, 12, 0, 0},
		     {10, 10, 32, 39, 0},
		     {0xffffffff, 0xffffffff, 32, 0, 0},
		     {10, 10, 32, 0, 0xffffffff},
	     })
		EXPECT_EQ(xenfb_front_set_geometry(info, &bad), -EINVAL);
	expect_copy_is_frame(x.get());
	xenfb_back_remove_sink(xenfb_backend(x.get()), &sink);
}

TEST(xenfb, fb_set_var_resizes_too)
{
	xenfb_machine m;
	xenfb_ptr x = create(m, {.width = 640, .height = 480, .depth = 32});
	fb_info *info = xenfb_info(x.get());
	fb_var_screeninfo var = info->var;
	xenfb_geometry g;

	var.xres = 200;
	var.yres = 100;
	var.bits_per_pixel = 16;
	ASSERT_EQ(fb_set_var(info, &var), 0);
	draw(info, 0, std::vector<unsigned char>(1000, 9));
	expect_copy_is_frame(x.get());
	xenfb_back_geometry(xenfb_backend(x.get()), &g);
	EXPECT_EQ(g.width, 200u);
	EXPECT_EQ(g.height, 100u);
	EXPECT_EQ(g.depth, 16u);
	EXPECT_EQ(info->var.green.length, 6u);
}

TEST(xenfb, panning_is_a_picture_at_another_offset)
{
	xenfb_machine m;
	xenfb_ptr x = create(m, {.width = 200, .height = 100, .depth = 24, .mem_length = 120000});
	fb_info *info = xenfb_info(x.get());
	fb_var_screeninfo var = info->var;

	var.yres_virtual = 200;
	ASSERT_EQ(fb_set_var(info, &var), 0);
	draw(info, 59990, std::vector<unsigned char>(5000, 7));
	expect_copy_is_frame(x.get());
	for (u32 y : {100u, 37u, 0u, 100u}) {
		SCOPED_TRACE(y);
		var.yoffset = y;
		ASSERT_EQ(fb_pan_display(info, &var), 0);
		draw(info, y * 600 + 300, std::vector<unsigned char>(2000, (unsigned char)y));
		expect_copy_is_frame(x.get());
	}
	var.yoffset = 101;
	EXPECT_EQ(fb_pan_display(info, &var), -EINVAL);
}

/* Writers, a resizer and lookers at once; at the end all is equal. */
TEST(xenfb, parallel_drawing_resizing_and_looking_converges)
{
	xenfb_machine m;
	xenfb_ptr x = create(m, {.width = 400,
				 .height = 300,
				 .depth = 32,
				 .mem_length = 1 << 20,
				 .refresh_us = 500});
	fb_info *info = xenfb_info(x.get());
	std::atomic<bool> stop{false};
	std::vector<std::thread> threads;

	for (unsigned int seed = 0; seed < 2; seed++) {
		threads.emplace_back([&, seed] {
			machine_scope scope(m.get());
			std::mt19937 random(seed);

			while (!stop) {
				size_t at = random() % (info->screen_size - 3000);

				if (fb_damage_absorb(info, at, random_bytes(random, 3000).data(),
						     3000))
					fb_defio_kick(info);
			}
		});
	}
	threads.emplace_back([&] {
		machine_scope scope(m.get());
		xenfb_geometry g;

		while (!stop) {
			auto copy = copy_of(xenfb_backend(x.get()), &g);

			EXPECT_EQ(copy.size(), (size_t)g.line_length * g.height);
		}
	});
	for (u32 i = 0; i < 200; i++) {
		const xenfb_front_geometry g = {100 + i, 300 - i, i % 3 ? 32u : 8u, 0, i * 7};

		ASSERT_EQ(xenfb_front_set_geometry(info, &g), 0);
		if (i % 10 == 0) {
			ASSERT_EQ(xenfb_flush(x.get()), 0);
		}
	}
	stop = true;
	for (auto &t : threads)
		t.join();
	expect_copy_is_frame(x.get());
	struct xenfb_back_stats stats;

	xenfb_back_stats(xenfb_backend(x.get()), &stats);
	EXPECT_EQ(stats.bad_events + stats.bad_indexes, 0u);
}

TEST(xenfb, errors_are_one_line_and_leave_nothing)
{
	struct {
		const char *name;
		xenfb_config config;
		int err;
		const char *says;
	} const cases[] = {
		{"no width", {.width = 0, .height = 10, .depth = 32}, -EINVAL, "does not fit"},
		{"no height", {.width = 10, .height = 0, .depth = 32}, -EINVAL, "does not fit"},
		{"depth", {.width = 10, .height = 10, .depth = 12}, -EINVAL, "does not fit"},
		{"depth 0", {.width = 10, .height = 10, .depth = 0}, -EINVAL, "does not fit"},
		{"short lines",
		 {.width = 10, .height = 10, .depth = 32, .line_length = 39},
		 -EINVAL,
		 "does not fit"},
		{"short memory",
		 {.width = 10, .height = 10, .depth = 32, .mem_length = 399},
		 -EINVAL,
		 "does not fit"},
		{"larger than the directories",
		 {.width = 10, .height = 10, .depth = 32, .mem_length = (246ull << 20) + 1},
		 -E2BIG,
		 "123 page directories"},
		{"32 bits overflow",
		 {.width = 32767, .height = 32767, .depth = 32},
		 -E2BIG,
		 "123 page directories"},
		{"width 2^32 - 1",
		 {.width = 0xffffffff, .height = 0xffffffff, .depth = 32},
		 -EINVAL,
		 "does not fit"},
		{"larger than memory",
		 {.width = 4096, .height = 4096, .depth = 32},
		 -ENOMEM,
		 "machine's memory"},
	};
	xenfb_machine m(ends::BOTH, 32ul << 20);

	for (const auto &c : cases) {
		SCOPED_TRACE(c.name);
		xenfb *x = nullptr;
		size_t lines = m.log_lines();

		EXPECT_EQ(xenfb_create(m.get(), &c.config, &x), c.err);
		EXPECT_EQ(x, nullptr);
		EXPECT_EQ(m.log_lines(), lines + 1) << m.log();
		EXPECT_GE(m.log_lines_with(c.says), 1u) << m.log();
	}
	/* And it works as before. */
	xenfb_ptr x = create(m, {.width = 64, .height = 64, .depth = 32});

	expect_copy_is_frame(x.get());
}

TEST(xenfb, missing_driver_is_said)
{
	xenfb_machine m(ends::BACK);
	xenfb *x;
	xenfb_config config = {.width = 10, .height = 10, .depth = 32};

	EXPECT_EQ(xenfb_create(m.get(), &config, &x), -ENODEV);
	EXPECT_EQ(m.log_lines_with("no driver took the device"), 1u) << m.log();
	xenfb_machine none(ends::FRONT);

	EXPECT_EQ(xenfb_create(none.get(), &config, &x), -ENODEV);
}

TEST(xenfb, largest_frame_of_123_directories_connects)
{
	xenfb_machine m(ends::BOTH, 300ul << 20);
	/* One line at the very end of the memory, so that the copy is small. */
	const u32 offset = XENFB_MEM_MAX - 8192 * 4;
	xenfb_ptr x = create(m, {.width = 8192,
				 .height = 1,
				 .depth = 32,
				 .mem_length = XENFB_MEM_MAX,
				 .offset = offset});
	fb_info *info = xenfb_info(x.get());

	ASSERT_EQ(info->screen_size, XENFB_MEM_MAX);
	draw(info, XENFB_MEM_MAX - 4, {1, 2, 3, 4});
	expect_copy_is_frame(x.get());
}

TEST(xenfb, several_framebuffers_do_not_disturb_each_other)
{
	xenfb_machine m;
	std::vector<xenfb_ptr> screens;
	std::mt19937 random(4);

	for (u32 i = 0; i < 4; i++)
		screens.push_back(create(
			m,
			{.width = 100 + i, .height = 50, .depth = 8u << (i % 3 == 2 ? 2 : i % 3)}));
	for (auto &x : screens)
		draw(xenfb_info(x.get()), 0, random_bytes(random, 4000));
	screens.erase(screens.begin() + 1);
	for (auto &x : screens)
		expect_copy_is_frame(x.get());
}

/* The picture stays for who looks, after either end went; nothing hangs. */
TEST(xenfb, copy_outlives_the_front_end_and_the_device)
{
	xenfb_machine m;
	xenfb_ptr x = create(m, {.width = 64, .height = 64, .depth = 8});
	xenfb_back *back = xenfb_backend(x.get());
	xenfb_geometry g;

	draw(xenfb_info(x.get()), 0, std::vector<unsigned char>(4096, 0x5a));
	ASSERT_EQ(xenfb_flush(x.get()), 0);
	/* Not looked at before: the back end must copy while the frames are still there. */
	write_number("/local/domain/0/backend/vfb/1/0", "state", XenbusStateClosing);
	settle();
	struct xenfb_back_stats stats;

	xenfb_back_stats(back, &stats);
	EXPECT_FALSE(stats.connected);
	EXPECT_EQ(copy_of(back, &g), std::vector<unsigned char>(4096, 0x5a));
	EXPECT_EQ(xenfb_flush(x.get()), -ENOTCONN);
	draw(xenfb_info(x.get()), 0, std::vector<unsigned char>(4096, 0));
	EXPECT_EQ(copy_of(back, &g)[0], 0x5a);
	struct xen_foreign_stats foreign;

	xen_foreign_stats(&foreign);
	EXPECT_EQ(foreign.mappings, 0u);
}

/* A sink and the picture come back with a back end that was restarted, in the middle of drawing. */
TEST(xenfb, back_end_restart_loses_nothing)
{
	xenfb_machine m;
	xenfb_ptr x = create(
		m, {.width = 320, .height = 200, .depth = 32, .line_length = 1400, .offset = 3232});
	fb_info *info = xenfb_info(x.get());
	std::mt19937 random(6);
	recording_sink sink;

	xenfb_back_add_sink(xenfb_backend(x.get()), &sink);
	for (int round = 0; round < 10; round++) {
		SCOPED_TRACE(round);
		draw(info, 0, random_bytes(random, 60000));
		expect_copy_is_frame(x.get());
		/* Half of the times the front end does not get to see that it was gone. */
		xenbus_rm(XBT_NIL, "/local/domain/0/backend/vfb/1/0", "state");
		if (round % 2)
			settle();
		xenbus_watch_flush(xen_domain(XEN_DOM_BACK));
		draw(info, 30000, random_bytes(random, 60000));
		write_number("/local/domain/0/backend/vfb/1/0", "state", XenbusStateInitialising);
		settle();
		expect_copy_is_frame(x.get());
	}
	xenfb_back_remove_sink(xenfb_backend(x.get()), &sink);
}

TEST(xenfb, destroy_while_programs_draw_and_look)
{
	for (int round = 0; round < 20; round++) {
		xenfb_machine m;
		xenfb_ptr x =
			create(m, {.width = 200, .height = 100, .depth = 32, .refresh_us = 200});
		fb_info *info = xenfb_info(x.get());
		std::atomic<bool> stop{false};
		watched<int> drawn{0};

		get_fb_info_ref(info);
		std::thread writer([&] {
			machine_scope scope(m.get());
			std::mt19937 random(round);

			while (!stop) {
				fb_damage_absorb(info, random() % 70000, "0123456789", 10);
				fb_damage_add_all(info);
				fb_defio_kick(info);
				drawn.update([](int &n) { n++; });
			}
		});
		ASSERT_TRUE(drawn.wait([](int n) { return n > 100; }));
		x.reset();
		stop = true;
		writer.join();
		put_fb_info(info);
	}
}
/*
 * Let each allocation fail in turn: create fails cleanly or works; the machine's end reports leaks.
 */
TEST(xenfb, every_failing_allocation_is_survived)
{
	xenfb_machine m;
	bool failed = true;
	int failures = 0;

	for (long nth = 1; failed; nth++) {
		ASSERT_LT(nth, 10000);
		SCOPED_TRACE(nth);
		xenfb *x = nullptr;
		xenfb_config config = {.width = 64, .height = 64, .depth = 32};

		pv_machine_fail_alloc(m.get(), nth);
		int err = xenfb_create(m.get(), &config, &x);
		failed = pv_machine_fail_alloc(m.get(), 0) == 0;
		if (err) {
			failures++;
			ASSERT_EQ(x, nullptr);
			/*
			 * Not by running out of patience: each failure is noticed where it happens.
			 */
			ASSERT_NE(err, -ETIMEDOUT) << m.log();
		} else {
			xenfb_destroy(x);
		}
		struct xen_foreign_stats foreign;

		xen_foreign_stats(&foreign);
		ASSERT_EQ(foreign.mappings, 0u);
		ASSERT_TRUE(failed || !err);
	}
	EXPECT_GT(failures, 20);
	xenfb_ptr x = create(m, {.width = 64, .height = 64, .depth = 32});

	expect_copy_is_frame(x.get());
}
