/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loads.cc - the programs that draw, and the poller that pvshim-fb is compared with
 *
 * Each maps FILE and works for SECONDS (or until SIGTERM where it says for ever):
 *   memset FILE SECONDS	as fast as it can; prints bytes a second
 *   frames FILE SECONDS	a frame every 1/60 s; prints the median us a frame, and how many
 *   still FILE			maps, touches, does nothing
 *   clock FILE			200x200 pixels once a second
 *   scroll FILE		80x24 characters of 8x16 scroll by a line, 20 times a second
 *   motion FILE		frames, for ever
 *   poll FILE			the plain way to watch a frame: see poll()
 *   copy FILE			copies all of it 60 times a second and looks at nothing
 */
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <time.h>

#include "bench.h"

namespace bench
{

namespace
{

/* Sleeps to points of time that are @period apart, from now on. */
class pace
{
public:
	explicit pace(std::chrono::nanoseconds period) : period_(period), next_(clock::now()) {}

	void wait()
	{
		next_ += period_;
		auto since = next_.time_since_epoch();
		auto whole = std::chrono::duration_cast<std::chrono::seconds>(since);
		struct timespec at = {whole.count(), (since - whole).count()};

		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr) == EINTR)
			;
		/* Late by whole periods: they are lost, as for a program that draws a video. */
		while (clock::now() - next_ > period_)
			next_ += period_;
	}

private:
	std::chrono::nanoseconds period_;
	clock::time_point next_;
};

constexpr std::chrono::nanoseconds frame_time = std::chrono::nanoseconds(1'000'000'000 / 60);

void draw_frame(std::uint32_t *pixels, std::uint32_t number)
{
	/* One value a frame, so that any pixel tells which frame it is of. */
	for (std::size_t i = 0; i < frame_bytes / 4; i++)
		pixels[i] = number;
}

int draw_memset(const mapping &frame, double seconds)
{
	auto begin = clock::now();
	std::size_t rounds = 0;
	double took = 0;

	while (took < seconds) {
		memset(frame.pixels(), (int)rounds, frame_bytes);
		rounds++;
		took = seconds_between(begin, clock::now());
	}
	printf("%.6e\n", (double)rounds * frame_bytes / took);
	return 0;
}

int draw_frames(const mapping &frame, double seconds)
{
	std::vector<double> costs;
	auto begin = clock::now();
	pace pace(frame_time);

	for (std::uint32_t number = 1; seconds_between(begin, clock::now()) < seconds; number++) {
		auto from = clock::now();
		draw_frame(frame.pixels(), number);
		costs.push_back(seconds_between(from, clock::now()) * 1e6);
		pace.wait();
	}
	printf("%.6e %zu\n", median(costs), costs.size());
	return 0;
}

[[noreturn]] void draw_motion(const mapping &frame)
{
	pace pace(frame_time);

	for (std::uint32_t number = 1;; number++) {
		draw_frame(frame.pixels(), number);
		pace.wait();
	}
}

[[noreturn]] void draw_still(const mapping &frame)
{
	pace pace(1h);

	frame.pixels()[0] = 1;
	for (;;)
		pace.wait();
}

[[noreturn]] void draw_clock(const mapping &frame)
{
	pace pace(1s);

	for (std::uint32_t tick = 1;; tick++) {
		for (std::size_t y = 100; y < 300; y++)
			for (std::size_t x = 100; x < 300; x++)
				frame.pixels()[y * width + x] = tick * 0x010203;
		pace.wait();
	}
}

[[noreturn]] void draw_scroll(const mapping &frame)
{
	constexpr std::size_t left = 64, top = 64, wide = 80 * 8, lines = 24, glyph = 16;
	std::uint32_t *pixels = frame.pixels();
	std::uint32_t random = 1;
	pace pace(50ms);

	for (;;) {
		for (std::size_t y = top; y < top + (lines - 1) * glyph; y++)
			memmove(&pixels[y * width + left], &pixels[(y + glyph) * width + left],
				wide * 4);
		for (std::size_t y = top + (lines - 1) * glyph; y < top + lines * glyph; y++) {
			for (std::size_t x = left; x < left + wide; x++) {
				random = random * 1664525 + 1013904223;
				pixels[y * width + x] = random >> 31 ? 0xffffff : 0;
			}
		}
		pace.wait();
	}
}

/*
 * The poller does pvshim-fb's job the plain way: 60 times a second it compares the frame line by
 * line with its copy, finds in each line that differs where the difference begins and ends, copies
 * that, and lets a line's extent grow the rectangle of the line above when they overlap. It works
 * out less than pvshim-fb: it tells nobody.
 */
[[noreturn]] void poll(const mapping &frame)
{
	struct rect {
		std::size_t x1, y1, x2, y2;
	};
	std::vector<std::uint32_t> copy(frame_bytes / 4);
	std::vector<rect> rects;
	pace pace(frame_time);

	for (;;) {
		rects.clear();
		for (std::size_t y = 0; y < height; y++) {
			const std::uint32_t *now = frame.pixels() + y * width;
			std::uint32_t *old = copy.data() + y * width;

			if (memcmp(now, old, line_bytes) == 0)
				continue;
			std::size_t x1 = 0, x2 = width;
			while (x1 < x2 && now[x1] == old[x1])
				x1++;
			while (x2 > x1 && now[x2 - 1] == old[x2 - 1])
				x2--;
			memcpy(old + x1, now + x1, (x2 - x1) * 4);
			if (!rects.empty() && rects.back().y2 == y && rects.back().x1 <= x2 &&
			    rects.back().x2 >= x1) {
				rects.back().y2 = y + 1;
				rects.back().x1 = std::min(rects.back().x1, x1);
				rects.back().x2 = std::max(rects.back().x2, x2);
			} else {
				rects.push_back({x1, y, x2, y + 1});
			}
		}
		pace.wait();
	}
}

/* What full motion costs at least: the memory traffic, and one process that wakes up for it. */
[[noreturn]] void copy(const mapping &frame)
{
	std::vector<std::uint32_t> copy(frame_bytes / 4);
	pace pace(frame_time);

	for (;;) {
		/* In pieces that stay below the size from which memcpy() goes past the caches. */
		for (std::size_t y = 0; y < height; y++)
			memcpy(&copy[y * width], frame.pixels() + y * width, line_bytes);
		/* Else nobody would need the copy. */
		__asm__ __volatile__("" : : "r"(copy.data()) : "memory");
		pace.wait();
	}
}

} // namespace

int child_main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	std::string name = argv[0];
	mapping frame(argv[1], frame_bytes);
	double seconds = argc > 2 ? atof(argv[2]) : 0;

	if (name == "memset")
		return draw_memset(frame, seconds);
	if (name == "frames")
		return draw_frames(frame, seconds);
	if (name == "still")
		draw_still(frame);
	if (name == "clock")
		draw_clock(frame);
	if (name == "scroll")
		draw_scroll(frame);
	if (name == "motion")
		draw_motion(frame);
	if (name == "poll")
		poll(frame);
	if (name == "copy")
		copy(frame);
	fprintf(stderr, "fuse_fb: no load is called '%s'\n", name.c_str());
	return 2;
}

} // namespace bench
