/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * video_fixture.h - a machine and framebuffers for the tests of mm and drivers/video
 */
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <kshim/mmu.h>
#include <linux/fb.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>
#include <video/damage.h>
#include <video/fb_defio.h>

#include "unit/test_machine.h"

namespace video_test
{

constexpr auto deadline = std::chrono::seconds(60);

class world : public test_machine
{
public:
	explicit world(size_t memory = 64ul << 20)
		: test_machine({&mmu_initcall, &mm_initcall, &fb_initcall},
			       {.memory_bytes = memory})
	{
	}
};

struct mode {
	u32 width = 64, height = 48, bits = 32;
	u32 padding = 0; /* bytes behind each line */
	u32 offset = 0;  /* bytes before the first pixel */
	unsigned long period = 2000;
};

/*
 * A driver's fb_info whose frame is vzalloc'ed; counts deferred_io calls and keeps a copy by
 * rectangles.
 */
class framebuffer
{
public:
	explicit framebuffer(const mode &m) : defio_{m.period, refresh}
	{
		u32 line = m.width * (m.bits / 8) + m.padding;

		info_ = framebuffer_alloc(sizeof(framebuffer *), nullptr);
		*(framebuffer **)info_->par = this;
		info_->var.xres = m.width;
		info_->var.yres = m.height;
		info_->var.bits_per_pixel = m.bits;
		info_->fix.line_length = line;
		info_->pixel_offset = m.offset;
		info_->screen_size = PAGE_ALIGN((size_t)line * m.height + m.offset);
		info_->screen_buffer = (char *)vzalloc(info_->screen_size);
		info_->fbops = ops();
		info_->fbdefio = &defio_;
		shown_.resize(info_->screen_size);
		EXPECT_EQ(fb_deferred_io_init(info_), 0);
		EXPECT_EQ(register_framebuffer(info_), 0);
	}
	~framebuffer()
	{
		unplug();
		framebuffer_release(info_);
	}
	framebuffer(const framebuffer &) = delete;
	framebuffer &operator=(const framebuffer &) = delete;

	fb_info *operator->() { return info_; }
	fb_info *info() { return info_; }
	const char *frame() { return info_->screen_buffer; }
	size_t size() { return info_->screen_size; }

	/* The device goes away. */
	void unplug()
	{
		unregister_framebuffer(info_);
		fb_deferred_io_cleanup(info_);
	}

	/* deferred_io calls so far; or wait until there are so many. */
	unsigned int refreshes()
	{
		std::lock_guard lock(mutex_);
		return refreshes_;
	}
	[[nodiscard]] bool wait_refreshes(unsigned int count)
	{
		std::unique_lock lock(mutex_);
		return changed_.wait_for(lock, deadline, [&] { return refreshes_ >= count; });
	}
	std::vector<fb_rect> rects()
	{
		std::lock_guard lock(mutex_);
		return rects_;
	}

	/* Visible bytes in which what the rectangles told differs from the frame. */
	size_t wrongly_shown()
	{
		std::lock_guard lock(mutex_);
		fb_geometry g;
		size_t wrong = 0;

		fb_damage_geometry(info_, &g);
		for (u32 y = 0; y < g.height; y++) {
			size_t at = g.offset + (size_t)y * g.line_length;

			for (size_t i = 0; i < (size_t)g.width * g.bytes_per_pixel; i++)
				wrong += shown_[at + i] != info_->screen_buffer[at + i];
		}
		return wrong;
	}

	/* Takes the damage like a driver and copies these pixels. */
	void take()
	{
		std::lock_guard lock(mutex_);
		fb_rect rects[FB_DAMAGE_MAX];
		fb_geometry g;
		unsigned int nr = fb_damage_take(info_, rects, FB_DAMAGE_MAX, &g);

		for (unsigned int i = 0; i < nr; i++) {
			const fb_rect &r = rects[i];

			ASSERT_GT(r.width, 0u);
			ASSERT_GT(r.height, 0u);
			ASSERT_LE(r.x + r.width, g.width);
			ASSERT_LE(r.y + r.height, g.height);
			for (u32 y = r.y; y < r.y + r.height; y++) {
				size_t at = g.offset + (size_t)y * g.line_length +
					    (size_t)r.x * g.bytes_per_pixel;

				memcpy(&shown_[at], info_->screen_buffer + at,
				       (size_t)r.width * g.bytes_per_pixel);
			}
		}
		rects_.assign(rects, rects + nr);
		refreshes_++;
		changed_.notify_all();
	}

private:
	static void refresh(fb_info *info) { (*(framebuffer **)info->par)->take(); }
	/* As long as the last reference, so not a member. */
	static const fb_ops *ops()
	{
		static const fb_ops driver = {
			.fb_destroy = [](fb_info *info) { vfree(info->screen_buffer); },
		};

		return &driver;
	}

	fb_deferred_io defio_;
	fb_info *info_;
	std::mutex mutex_;
	std::condition_variable changed_;
	unsigned int refreshes_ = 0;
	std::vector<fb_rect> rects_;
	std::vector<char> shown_;
};

} // namespace video_test
