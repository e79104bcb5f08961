/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inside.cc - the sections that look at the back end's copy
 *
 * Here the daemon runs in this process, so that a viewer of ours can note when a pixel is in the
 * copy. The programs that draw are other processes (motion) or a thread with a mapping of the mount
 * (the rest):
 *
 *      store -> page cache -> harvest -> frame -> ring -> back end -> sink -> viewer locks the copy
 */
#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <mutex>
#include <random>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <backend/xenfb_back.h>
#include <kshim/machine.h>

#include "bench.h"
#include "daemon.h"
#include "display.h"
#include "screen.h"

namespace bench
{

namespace
{

/* Looks at the copy whenever the back end says that something changed. */
class viewer
{
public:
	using look_fn = std::function<void(const std::uint32_t *copy, clock::time_point now)>;

	viewer(fuse_fb::daemon &daemon, look_fn look) : daemon_(daemon), look_(std::move(look))
	{
		machine_scope bound(daemon_.machine());

		daemon_.find("fb0")->with_display(
			[this](fuse_fb::display &d, const fuse_fb::screen_geometry &) {
				back_ = d.backend();
			});
		hook_.sink.ops = &ops;
		hook_.owner = this;
		thread_ = std::thread([this] { run(); });
		xenfb_back_add_sink(back_, &hook_.sink);
	}

	~viewer()
	{
		{
			machine_scope bound(daemon_.machine());
			xenfb_back_remove_sink(back_, &hook_.sink);
		}
		{
			std::lock_guard held(lock_);
			stop_ = true;
		}
		woken_.notify_one();
		thread_.join();
	}

	/* Pixels in all rectangles so far. */
	std::uint64_t area() const
	{
		std::lock_guard held(lock_);
		return area_;
	}

private:
	struct hook {
		xenfb_sink sink; /* first: the callbacks get its address */
		viewer *owner;
	};

	static void update(xenfb_sink *sink, const fb_rect *rects, unsigned n)
	{
		viewer *self = reinterpret_cast<hook *>(sink)->owner;
		{
			std::lock_guard held(self->lock_);
			for (unsigned i = 0; i < n; i++)
				self->area_ += (std::uint64_t)rects[i].width * rects[i].height;
			self->news_ = true;
		}
		self->woken_.notify_one();
	}

	static void resize(xenfb_sink *, const xenfb_geometry *) {}

	void run()
	{
		machine_scope bound(daemon_.machine());
		std::unique_lock held(lock_);

		for (;;) {
			woken_.wait(held, [this] { return news_ || stop_; });
			if (stop_)
				return;
			news_ = false;
			held.unlock();
			xenfb_geometry geometry;
			const void *copy = xenfb_back_lock_copy(back_, &geometry);
			if (copy) {
				look_(static_cast<const std::uint32_t *>(copy), clock::now());
				xenfb_back_unlock_copy(back_);
			}
			held.lock();
		}
	}

	static constexpr xenfb_sink_ops ops = {update, resize};

	fuse_fb::daemon &daemon_;
	look_fn look_;
	xenfb_back *back_ = nullptr;
	hook hook_{};
	std::thread thread_;
	mutable std::mutex lock_;
	std::condition_variable woken_;
	std::uint64_t area_ = 0; /* protected by lock_, like the next two */
	bool news_ = false;
	bool stop_ = false;
};

/* A daemon in this process, with a 1080p fb0. */
struct inner_daemon {
	folder mount{std::filesystem::temp_directory_path()};
	fuse_fb::daemon daemon{options()};

	std::string frame() const { return mount.path + "/fb0"; }

private:
	fuse_fb::daemon_options options() const
	{
		fuse_fb::daemon_options o;

		o.mount_point = mount.path;
		o.mode = {width, height, 32, line_bytes, 0};
		o.foreground = true;
		return o;
	}
};

} // namespace

void motion()
{
	constexpr double seconds = 5;
	inner_daemon inner;
	std::mutex lock;
	std::set<std::uint32_t> seen;
	double cost_us = 0;
	int drawn = 0;

	print_section("motion: a new 1080p frame every 1/60 s for 5 s, into the back end's copy");
	{
		viewer viewer(inner.daemon, [&](const std::uint32_t *copy, clock::time_point) {
			std::lock_guard held(lock);
			seen.insert(copy[height / 2 * width + width / 2]);
		});
		child drawing = child::self({"frames", inner.frame(), std::to_string(seconds)});
		std::istringstream printed(drawing.output());
		if (!drawing.wait() || !(printed >> cost_us >> drawn))
			throw std::runtime_error("the program that draws failed");
		inner.daemon.find("fb0")->flush();
	}
	printf("  drawn: %.2f a second\n", drawn / seconds);
	judge("different frames a second in the copy", (double)seen.size() / seconds, "", false,
	      58);
}

void latency()
{
	constexpr int stores = 400;
	constexpr double period_ms = 1000.0 / 60;
	inner_daemon inner;
	mapping frame(inner.frame(), frame_bytes);
	std::mt19937 random(1);
	std::uniform_int_distribution<int> gap_us(1'000, 150'000), at(0, width * height - 1);
	std::vector<double> took_ms;
	std::mutex lock;
	std::condition_variable arrived;
	std::uint32_t wanted = 0;
	std::size_t where = 0;
	clock::time_point stored, seen;
	bool waiting = false;

	print_section(
		"latency: from a store of one pixel, at a random time, to the back end's copy");
	viewer viewer(inner.daemon, [&](const std::uint32_t *copy, clock::time_point now) {
		std::lock_guard held(lock);
		if (waiting && copy[where] == wanted) {
			seen = now;
			waiting = false;
			arrived.notify_one();
		}
	});
	for (int i = 1; i <= stores; i++) {
		std::this_thread::sleep_for(std::chrono::microseconds(gap_us(random)));
		std::unique_lock held(lock);
		where = (std::size_t)at(random);
		wanted = 0x01000000u + (std::uint32_t)i;
		waiting = true;
		held.unlock();
		stored = clock::now();
		*(volatile std::uint32_t *)&frame.pixels()[where] = wanted;
		held.lock();
		if (!arrived.wait_for(held, 60s, [&] { return !waiting; }))
			throw std::runtime_error("a store did not arrive in 60 s");
		took_ms.push_back(seconds_between(stored, seen) * 1e3);
	}
	printf("  a period: %.2f ms\n", period_ms);
	judge("p50", quantile(took_ms, 0.5), "ms", true, period_ms + 4);
	judge("p99", quantile(took_ms, 0.99), "ms", true, 2 * period_ms + 10);
}

void damage()
{
	constexpr int glyphs = 200;
	inner_daemon inner;
	mapping frame(inner.frame(), frame_bytes);
	std::mt19937 random(2);
	std::uniform_int_distribution<std::size_t> column(0, width / 8 - 1),
		row(0, height / 16 - 1);
	std::uint64_t changed = 0, rows = 0, before;

	print_section(
		"damage: 200 updates of 8x16 pixels at random places, area sent / area changed");
	viewer viewer(inner.daemon, [](const std::uint32_t *, clock::time_point) {});
	inner.daemon.find("fb0")->flush();
	before = viewer.area();
	for (int i = 0; i < glyphs; i++) {
		std::size_t x = column(random) * 8, y = row(random) * 16;

		for (std::size_t dy = 0; dy < 16; dy++)
			for (std::size_t dx = 0; dx < 8; dx++)
				frame.pixels()[(y + dy) * width + x + dx] += 0x010101;
		changed += 8 * 16;
		/* The lines that lie in the pages from its first byte's to its last one's. */
		std::size_t first = (y * line_bytes + x * 4) & ~4095ul,
			    last = ((y + 15) * line_bytes + x * 4 + 31) | 4095ul;
		rows += (std::min(last, frame_bytes - 1) / line_bytes - first / line_bytes + 1) *
			width;
		std::this_thread::sleep_for(2ms);
	}
	inner.daemon.find("fb0")->flush();
	printf("  whole lines of dirty pages, as Linux's deferred I/O reports them: %.2f\n",
	       (double)rows / (double)changed);
	/* The flush has waited for the back end to consume; its sinks were told before that. */
	judge("area sent / area changed", (double)(viewer.area() - before) / (double)changed, "",
	      true, 1.5);
}

} // namespace bench
