/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every kind of pixel becomes the same red, green and blue, whichever way it takes.
 */
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <memory>
#include <random>
#include <vector>

#include "viewers/pixel.h"

using namespace fuse_fb;

namespace
{

std::uint32_t one(const pixel_format &f, std::vector<std::uint8_t> bytes)
{
	std::uint32_t out = 0;

	pixel_converter(f).to_xrgb(reinterpret_cast<const std::byte *>(bytes.data()), 1, &out);
	return out;
}

pixel_format masks(unsigned bits, std::uint32_t red, std::uint32_t green, std::uint32_t blue,
		   bool big)
{
	pixel_format f;

	f.bits_per_pixel = f.depth = bits;
	f.red_mask = red;
	f.green_mask = green;
	f.blue_mask = blue;
	f.big_endian = big;
	return f;
}

} // namespace

TEST(viewers_pixel, known_pixels)
{
	EXPECT_EQ(one(default_pixel_format(32), {0x33, 0x22, 0x11, 0xee}), 0x112233u);
	EXPECT_EQ(one(default_pixel_format(24), {0x33, 0x22, 0x11}), 0x112233u);
	EXPECT_EQ(one(masks(32, 0xff0000, 0xff00, 0xff, true), {0xee, 0x11, 0x22, 0x33}),
		  0x112233u);
	EXPECT_EQ(one(masks(32, 0xff, 0xff00, 0xff0000, false), {0x33, 0x22, 0x11, 0}), 0x332211u);
	EXPECT_EQ(one(default_pixel_format(16), {0x00, 0xf8}), 0xff0000u);
	EXPECT_EQ(one(default_pixel_format(16), {0xe0, 0x07}), 0x00ff00u);
	EXPECT_EQ(one(default_pixel_format(16), {0x1f, 0x00}), 0x0000ffu);
	EXPECT_EQ(one(masks(16, 0x7c00, 0x3e0, 0x1f, false), {0x00, 0x7c}), 0xff0000u);
	EXPECT_EQ(one(masks(16, 0xf800, 0x7e0, 0x1f, true), {0xf8, 0x00}), 0xff0000u);
	EXPECT_EQ(one(default_pixel_format(8), {0xff}), 0xffffffu);
	EXPECT_EQ(one(default_pixel_format(8), {0xe0}), 0xff0000u);
	EXPECT_EQ(one(masks(32, 0x3ff00000, 0xffc00, 0x3ff, false), {0xff, 0x03, 0x00, 0x20}),
		  0x8000ffu);
}

TEST(viewers_pixel, palette)
{
	pixel_format f = default_pixel_format(8);

	f.indexed = true;
	f.palette[0x5a] = {1, 2, 3};
	EXPECT_EQ(one(f, {0x5a}), 0x010203u);
	EXPECT_EQ(one(f, {0x5b}), 0u);
}

/* 0 stays 0, all ones are 255, and everything between is the nearest: against floating point. */
TEST(viewers_pixel, channels_are_stretched_to_the_nearest)
{
	for (int bits = 1; bits <= 16; bits++) {
		const std::uint32_t most = (1u << bits) - 1;

		for (std::uint32_t v = 0; v <= most; v++) {
			const std::uint32_t pixel = v << 3;
			const pixel_format f = masks(32, most << 3, 0, 0, false);
			static std::uint32_t out;
			static pixel_format made_for;
			static std::unique_ptr<pixel_converter> c;

			if (!c || made_for != f)
				c = std::make_unique<pixel_converter>(made_for = f);
			c->to_xrgb(reinterpret_cast<const std::byte *>(&pixel), 1, &out);
			ASSERT_EQ(out >> 16, std::lround(255.0 * v / most))
				<< bits << " bits, " << v;
		}
	}
}

/* Masks come from hostile files: any of them, any alignment; and both ways give the same. */
TEST(viewers_pixel, any_masks_and_alignment_agree_both_ways)
{
	std::mt19937 random(7);
	std::vector<std::byte> src(4 * 700 + 1);
	std::vector<std::uint32_t> xrgb(700);
	std::vector<std::uint8_t> bytes(3 * 700);

	for (std::byte &b : src)
		b = static_cast<std::byte>(random());
	for (int i = 0; i < 60; i++) {
		static const unsigned sizes[] = {8, 16, 24, 32};
		pixel_format f = masks(sizes[i % 4], random() & random(), random(),
				       i % 5 ? random() : 0, i % 3 == 0);

		f.indexed = i % 8 == 0;
		for (rgb &c : f.palette)
			c = {static_cast<std::uint8_t>(random()),
			     static_cast<std::uint8_t>(random()), 9};
		const pixel_converter c(f);
		c.to_xrgb(src.data() + 1, 700, xrgb.data());
		c.to_rgb(src.data() + 1, 700, bytes.data());
		for (std::size_t p = 0; p < 700; p++)
			ASSERT_EQ(xrgb[p], std::uint32_t{bytes[3 * p]} << 16 |
						   std::uint32_t{bytes[3 * p + 1]} << 8 |
						   bytes[3 * p + 2]);
	}
}
