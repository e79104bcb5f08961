/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viewers/pixel.h - what the bits of a pixel mean, and turning pixels into red, green, blue
 *
 *      source            8 bits: number in a palette, or masks
 *                        16 bits: masks (565, 555, ...)       in the source's byte order
 *                        24, 32 bits: masks
 *      0x00RRGGBB        what VNC is fed with, in the host's byte order
 *      R G B             three bytes, what a PNG holds
 *
 * I1: a channel of n bits becomes 8 bits so that 0 stays 0 and all ones become 255.
 * I2: any masks are accepted: they may come from a hostile file. Nonsense gives a wrong picture, no
 *     access outside of the pixels given.
 * A converter makes its tables when it is constructed, so keep it as long as the format lasts.
 * Immutable after construction: any number of threads may use one.
 */
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace fuse_fb
{

struct rgb {
	std::uint8_t red = 0;
	std::uint8_t green = 0;
	std::uint8_t blue = 0;
	bool operator==(const rgb &) const = default;
};

struct pixel_format {
	unsigned bits_per_pixel = 32; /* 8, 16, 24 or 32 */
	unsigned depth = 24;          /* bits that mean something */
	std::uint32_t red_mask = 0xff0000;
	std::uint32_t green_mask = 0xff00;
	std::uint32_t blue_mask = 0xff;
	bool big_endian = false; /* byte order of a pixel in memory */
	bool indexed = false;    /* the pixel is a number in the palette; masks mean nothing */
	std::array<rgb, 256> palette{};
	bool operator==(const pixel_format &) const = default;
};

/* What programs assume of a framebuffer that says nothing else: 332, 565, 888. */
pixel_format default_pixel_format(unsigned bits_per_pixel);

class pixel_converter
{
public:
	explicit pixel_converter(const pixel_format &format);

	/* @pixels pixels from @src; both buffers hold at least that many. No alignment needed. */
	void to_xrgb(const std::byte *src, std::size_t pixels, std::uint32_t *dst) const;
	void to_rgb(const std::byte *src, std::size_t pixels, std::uint8_t *dst) const;

	const pixel_format &format() const { return format_; }

private:
	std::uint32_t by_masks(std::uint32_t pixel) const;
	std::uint32_t load(const std::byte *src) const;

	pixel_format format_;
	/* 0x00RRGGBB of every pixel, where there are few enough: 8 and 16 bits. */
	std::vector<std::uint32_t> table_;
	bool plain_ = false; /* 0xXXRRGGBB already */
};

} // namespace fuse_fb
