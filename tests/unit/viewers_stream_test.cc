/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The streams of a screen without a file system: lines of damage that leave nothing out however
 * slowly they are read, frames of a film that are made when somebody reads.
 */
#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <random>
#include <utility>

#include <nlohmann/json.hpp>

#include "viewers/damage_stream.h"
#include "viewers/film_stream.h"

using namespace fuse_fb;
using nlohmann::json;

namespace
{

/* Everything there is, in pieces of @size. */
std::string read_all(fs_stream &s, std::size_t size)
{
	std::string all;

	for (;;) {
		const fs_stream::piece p = s.take(size);

		if (p.kind != fs_stream::piece::some)
			return all;
		EXPECT_LE(p.bytes.size(), size);
		all += p.bytes;
	}
}

snapshot grey(std::uint32_t width, std::uint32_t height, std::uint32_t pixel)
{
	snapshot s;

	s.width = width;
	s.height = height;
	s.format = default_pixel_format(32);
	s.pixels.resize(std::size_t{width} * height * 4);
	for (std::size_t i = 0; i < s.pixels.size(); i += 4)
		std::memcpy(&s.pixels[i], &pixel, 4);
	return s;
}

} // namespace

TEST(viewers_damage, each_update_is_a_line_for_who_reads_in_time)
{
	int woken = 0;
	damage_stream s([&] { woken++; });

	EXPECT_FALSE(s.ready());
	s.resized(100, 50);
	EXPECT_TRUE(s.ready());
	EXPECT_EQ(read_all(s, 4096), "{\"seq\":1,\"updates\":1,\"width\":100,\"height\":50,"
				     "\"rects\":[[0,0,100,50]]}\n");
	const view_rect r{1, 2, 3, 4};
	s.changed({&r, 1});
	EXPECT_EQ(read_all(s, 7), "{\"seq\":2,\"updates\":1,\"width\":100,\"height\":50,"
				  "\"rects\":[[1,2,3,4]]}\n");
	EXPECT_FALSE(s.ready());
	EXPECT_EQ(woken, 2);
}

TEST(viewers_damage, a_slow_reader_gets_it_merged_bounded_and_whole)
{
	damage_stream s([] {});
	std::mt19937 random(1);
	const auto below = [&](unsigned end) { return static_cast<unsigned>(random() % end); };
	std::vector<bool> want(256 * 256), got(256 * 256);

	s.resized(256, 256);
	read_all(s, 1 << 20);
	for (int i = 0; i < 5000; i++) {
		const view_rect r{below(256), below(256), 1 + below(20), 1 + below(3)};

		s.changed({&r, 1});
		for (unsigned y = r.y; y < std::min(r.y + r.height, 256u); y++)
			for (unsigned x = r.x; x < std::min(r.x + r.width, 256u); x++)
				want[y * 256 + x] = true;
		/* Half of a line, and the rest after many more. */
		if (i == 2000) {
			EXPECT_EQ(s.take(10).bytes.size(), 10u);
		}
	}
	const std::string text = "{\"seq\":20" + read_all(s, 100);
	unsigned lines = 0;
	for (std::size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos;
	     at = end + 1, lines++) {
		const json line = json::parse(text.substr(at, end - at));

		EXPECT_LE(line["rects"].size(), rect_set::most);
		EXPECT_EQ(line["updates"], lines == 0 ? 2001 : 2999);
		for (const json &r : line["rects"])
			for (unsigned y = r[1]; y < r[1].get<unsigned>() + r[3].get<unsigned>();
			     y++)
				for (unsigned x = r[0];
				     x < r[0].get<unsigned>() + r[2].get<unsigned>(); x++)
					got[y * 256 + x] = true;
	}
	EXPECT_EQ(lines, 2u);
	for (std::size_t i = 0; i < want.size(); i++)
		ASSERT_TRUE(got[i] || !want[i]) << i;
}

TEST(viewers_film, frames_are_made_for_who_reads_and_end_with_the_size)
{
	std::deque<std::pair<film_stream::clock::time_point, std::function<void()>>> jobs;
	snapshot screen = grey(4, 2, 0xffffff);
	int woken = 0, made = 0;
	const auto s = std::make_shared<film_stream>(
		screen.width, screen.height, 25,
		[&](snapshot *out) {
			made++;
			*out = screen;
			return true;
		},
		[&](film_stream::clock::time_point due, std::function<void()> job) {
			jobs.emplace_back(due, std::move(job));
			return true;
		},
		[&] { woken++; });

	EXPECT_EQ(read_all(*s, 5), "YUV4MPEG2 W4 H2 F25:1 Ip A1:1 C444\n");
	EXPECT_EQ(s->take(100).kind, fs_stream::piece::nothing_yet);
	ASSERT_EQ(jobs.size(), 1u) << "ordered once, however often it is asked";
	EXPECT_EQ(made, 0);
	jobs[0].second();
	EXPECT_EQ(woken, 1);
	const std::string white = "FRAME\n" + std::string(8, '\353') + std::string(16, '\200');
	EXPECT_EQ(read_all(*s, 1000), white);
	ASSERT_EQ(jobs.size(), 2u);
	EXPECT_EQ(jobs[1].first - jobs[0].first, std::chrono::milliseconds(40));
	screen = grey(5, 2, 0);
	jobs[1].second();
	EXPECT_EQ(s->take(100).kind, fs_stream::piece::end);
	EXPECT_EQ(jobs.size(), 2u);
}

TEST(viewers_film, colours_are_those_of_the_standard)
{
	for (std::uint32_t p = 0; p < 0x1000000; p += 0x10305) {
		const std::string f = film_frame(grey(1, 1, p));
		const double r = p >> 16 & 255, g = p >> 8 & 255, b = p & 255;
		const auto byte = [&](std::size_t i) {
			return double{static_cast<unsigned char>(f[6 + i]) * 1.0};
		};

		ASSERT_EQ(f.size(), 9u);
		EXPECT_NEAR(byte(0), 16 + (65.481 * r + 128.553 * g + 24.966 * b) / 255, 1.0);
		EXPECT_NEAR(byte(1), 128 + (-37.797 * r - 74.203 * g + 112 * b) / 255, 1.0);
		EXPECT_NEAR(byte(2), 128 + (112 * r - 93.786 * g - 18.214 * b) / 255, 1.0);
	}
}
