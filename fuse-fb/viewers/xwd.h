/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viewers/xwd.h - the header of an X window dump, version 7: what Xvfb -fbdir and xwd write
 *
 *      0             100          header_size         header_size + 12 * ncolors
 *      | 25 words, big-endian | name, 0 | colours, 12 bytes each | pixels, line by line ...
 *                                         pixel(4) red(2) green(2) blue(2) flags(1) pad(1)
 *
 * The pixels are in the byte order the header names, the header itself is always big-endian.
 * The header is whatever a program has stored into the file, maybe half of it so far. So
 * I1: a header counts as valid only if every line of the picture lies within the file, with no
 *     arithmetic that can overflow (64 bits, fields of 32 bits, sides limited to 32767 as in X).
 * I2: nothing beyond the bytes given is read; a palette that lies beyond them is black.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "viewers/frame_source.h"
#include "viewers/pixel.h"

namespace fuse_fb
{

/* The words of the header by name; also their order in the file. */
struct xwd_words {
	std::uint32_t header_size, file_version, pixmap_format, pixmap_depth, pixmap_width;
	std::uint32_t pixmap_height, xoffset, byte_order, bitmap_unit, bitmap_bit_order;
	std::uint32_t bitmap_pad, bits_per_pixel, bytes_per_line, visual_class, red_mask;
	std::uint32_t green_mask, blue_mask, bits_per_rgb, colormap_entries, ncolors;
	std::uint32_t window_width, window_height, window_x, window_y, window_border;
};
constexpr std::size_t xwd_fixed_bytes = sizeof(xwd_words);
static_assert(xwd_fixed_bytes == 100);

/* Enough bytes for header, a name as long as X servers write and 256 colours. */
constexpr std::size_t xwd_header_bytes = 4096;

struct xwd_header {
	std::uint32_t width = 0;
	std::uint32_t height = 0;
	std::uint32_t line_length = 0;  /* bytes */
	std::uint32_t visual_class = 0; /* 0 .. 5: StaticGray .. DirectColor */
	std::uint64_t pixel_offset = 0; /* of line 0 in the file, bytes */
	pixel_format format;
};

struct xwd_result {
	/* absent: too short, or nothing but zeros yet: a file that is being made. */
	enum class kind { absent, invalid, valid } kind = kind::absent;
	bool cut = false;  /* of invalid: only because the file ends too early; it may grow */
	std::string error; /* of invalid: one line, what and why */
	xwd_header header; /* of valid */
};

/* @bytes: the beginning of the file. @file_size: all of it. */
xwd_result xwd_parse(std::span<const std::byte> bytes, std::uint64_t file_size);

/*
 * How many bytes of the pictures differ; pixels only, padding of lines does not count, nor bits of
 * a pixel that mean nothing (the top byte of depth 24 in 32 bits). ~0: different sizes or formats.
 */
std::uint64_t xwd_differing_bytes(const frame &a, const frame &b);

/* The picture of a whole file. Valid results only. */
frame xwd_frame(const xwd_header &header, std::span<const std::byte> file);

} // namespace fuse_fb
