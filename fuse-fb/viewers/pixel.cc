/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viewers/pixel.cc - turning pixels into red, green, blue; see pixel.h
 */
#include "viewers/pixel.h"

#include <bit>
#include <cstring>

namespace fuse_fb
{

/*
 * The bits of @mask in @pixel, stretched to 8 bits. A mask with holes counts from its lowest to its
 * highest bit.
 */
static std::uint32_t channel(std::uint32_t pixel, std::uint32_t mask)
{
	if (mask == 0)
		return 0;
	const int low = std::countr_zero(mask);
	const std::uint64_t most = mask >> low;
	const std::uint64_t value = (pixel & mask) >> low;

	return static_cast<std::uint32_t>((value * 255 + most / 2) / most);
}

pixel_format default_pixel_format(unsigned bits_per_pixel)
{
	pixel_format f;

	f.bits_per_pixel = bits_per_pixel;
	f.depth = bits_per_pixel == 32 ? 24 : bits_per_pixel;
	if (bits_per_pixel == 16) {
		f.red_mask = 0xf800;
		f.green_mask = 0x07e0;
		f.blue_mask = 0x001f;
	} else if (bits_per_pixel == 8) {
		f.red_mask = 0xe0;
		f.green_mask = 0x1c;
		f.blue_mask = 0x03;
	}
	return f;
}

pixel_converter::pixel_converter(const pixel_format &format) : format_(format)
{
	const bool host_order = format.big_endian == (std::endian::native == std::endian::big);

	plain_ = format.bits_per_pixel == 32 && !format.indexed && host_order &&
		 format.red_mask == 0xff0000 && format.green_mask == 0xff00 &&
		 format.blue_mask == 0xff;
	if (format.bits_per_pixel > 16)
		return;
	table_.resize(std::size_t{1} << format.bits_per_pixel);
	for (std::uint32_t i = 0; i < table_.size(); i++) {
		/* The table is indexed by what a load in the host's order gives. */
		const std::uint32_t pixel = format.bits_per_pixel == 16 && !host_order
						    ? ((i >> 8) | (i << 8)) & 0xffff
						    : i;

		table_[i] = by_masks(pixel);
	}
}

std::uint32_t pixel_converter::by_masks(std::uint32_t pixel) const
{
	if (format_.indexed) {
		const rgb &c = format_.palette[pixel & 0xff];

		return std::uint32_t{c.red} << 16 | std::uint32_t{c.green} << 8 | c.blue;
	}
	return channel(pixel, format_.red_mask) << 16 | channel(pixel, format_.green_mask) << 8 |
	       channel(pixel, format_.blue_mask);
}

/* A pixel of 24 or 32 bits. */
std::uint32_t pixel_converter::load(const std::byte *src) const
{
	const unsigned bytes = format_.bits_per_pixel / 8;
	std::uint32_t pixel = 0;

	for (unsigned i = 0; i < bytes; i++) {
		const unsigned at = format_.big_endian ? bytes - 1 - i : i;

		pixel |= std::to_integer<std::uint32_t>(src[at]) << (8 * i);
	}
	return pixel;
}

void pixel_converter::to_xrgb(const std::byte *src, std::size_t pixels, std::uint32_t *dst) const
{
	if (plain_) {
		std::memcpy(dst, src, pixels * 4);
		for (std::size_t i = 0; i < pixels; i++)
			dst[i] &= 0xffffff;
		return;
	}
	switch (format_.bits_per_pixel) {
	case 8:
		for (std::size_t i = 0; i < pixels; i++)
			dst[i] = table_[std::to_integer<std::uint8_t>(src[i])];
		return;
	case 16:
		for (std::size_t i = 0; i < pixels; i++) {
			std::uint16_t pixel;

			std::memcpy(&pixel, src + 2 * i, 2);
			dst[i] = table_[pixel];
		}
		return;
	default:
		const std::size_t bytes = format_.bits_per_pixel / 8;
		for (std::size_t i = 0; i < pixels; i++)
			dst[i] = by_masks(load(src + bytes * i));
	}
}

void pixel_converter::to_rgb(const std::byte *src, std::size_t pixels, std::uint8_t *dst) const
{
	const std::size_t bytes = format_.bits_per_pixel / 8;
	std::array<std::uint32_t, 256> piece;

	while (pixels > 0) {
		const std::size_t n = pixels < piece.size() ? pixels : piece.size();

		to_xrgb(src, n, piece.data());
		for (std::size_t i = 0; i < n; i++) {
			*dst++ = static_cast<std::uint8_t>(piece[i] >> 16);
			*dst++ = static_cast<std::uint8_t>(piece[i] >> 8);
			*dst++ = static_cast<std::uint8_t>(piece[i]);
		}
		src += n * bytes;
		pixels -= n;
	}
}

} // namespace fuse_fb
