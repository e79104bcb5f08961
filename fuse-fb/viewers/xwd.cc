/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viewers/xwd.cc - the header of an X window dump; see xwd.h
 */
#include "viewers/xwd.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace fuse_fb
{

constexpr std::uint32_t xwd_version = 7;
constexpr std::uint32_t z_pixmap = 2;
constexpr std::uint32_t side_most = 32767;
constexpr std::uint32_t header_size_most = 65536;
constexpr std::uint32_t colors_most = 65536;
constexpr std::size_t color_bytes = 12;
constexpr std::uint32_t static_color = 2, pseudo_color = 3, direct_color = 5;

static std::uint32_t be32(const std::byte *p)
{
	return std::to_integer<std::uint32_t>(p[0]) << 24 |
	       std::to_integer<std::uint32_t>(p[1]) << 16 |
	       std::to_integer<std::uint32_t>(p[2]) << 8 | std::to_integer<std::uint32_t>(p[3]);
}

__attribute__((format(printf, 1, 2))) static xwd_result invalid(const char *format, ...)
{
	char text[256];
	xwd_result r;
	va_list args;

	va_start(args, format);
	std::vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	r.kind = xwd_result::kind::invalid;
	r.error = text;
	return r;
}

/*
 * Colours say which pixel they are for; those for no pixel of 8 bits, and those cut off, are left
 * out.
 */
static void read_palette(const xwd_words &w, std::span<const std::byte> bytes, pixel_format *f)
{
	for (std::size_t i = 0; i < std::min<std::size_t>(w.ncolors, f->palette.size()); i++) {
		const std::size_t at = w.header_size + i * color_bytes;

		if (at + color_bytes > bytes.size())
			return;
		const std::uint32_t pixel = be32(&bytes[at]);
		if (pixel < f->palette.size())
			/* The high bytes of 16 bits each. */
			f->palette[pixel] = {std::to_integer<std::uint8_t>(bytes[at + 4]),
					     std::to_integer<std::uint8_t>(bytes[at + 6]),
					     std::to_integer<std::uint8_t>(bytes[at + 8])};
	}
}

static bool mask_fits(std::uint32_t mask, std::uint32_t bits)
{
	return mask != 0 && (bits == 32 || mask >> bits == 0);
}

xwd_result xwd_parse(std::span<const std::byte> bytes, std::uint64_t file_size)
{
	std::uint32_t raw[xwd_fixed_bytes / 4];
	xwd_words w;

	if (bytes.size() < xwd_fixed_bytes)
		return {};
	for (std::size_t i = 0; i < std::size(raw); i++)
		raw[i] = be32(&bytes[i * 4]);
	std::memcpy(&w, raw, sizeof(w));

	if (std::all_of(std::begin(raw), std::end(raw), [](std::uint32_t v) { return v == 0; }))
		return {};
	if (w.file_version != xwd_version)
		return invalid("file version is %u, only %u is known", w.file_version, xwd_version);
	if (w.header_size < xwd_fixed_bytes || w.header_size > header_size_most)
		return invalid("header size %u is not between %zu and %u", w.header_size,
			       xwd_fixed_bytes, header_size_most);
	if (w.pixmap_format != z_pixmap)
		return invalid("pixmap format %u is not %u (whole pixels)", w.pixmap_format,
			       z_pixmap);
	if (w.pixmap_width == 0 || w.pixmap_width > side_most || w.pixmap_height == 0 ||
	    w.pixmap_height > side_most)
		return invalid("size %ux%u is not between 1x1 and %ux%u", w.pixmap_width,
			       w.pixmap_height, side_most, side_most);
	if (w.xoffset != 0)
		return invalid("lines begin with %u pixels to skip, only 0 is known", w.xoffset);
	if (w.byte_order > 1)
		return invalid("byte order %u is neither 0 nor 1", w.byte_order);
	if (w.bits_per_pixel != 8 && w.bits_per_pixel != 16 && w.bits_per_pixel != 32)
		return invalid("%u bits per pixel are none of 8, 16, 32", w.bits_per_pixel);
	if (w.pixmap_depth == 0 || w.pixmap_depth > w.bits_per_pixel)
		return invalid("depth %u does not fit into %u bits per pixel", w.pixmap_depth,
			       w.bits_per_pixel);
	const std::uint64_t least = std::uint64_t{w.pixmap_width} * (w.bits_per_pixel / 8);
	if (w.bytes_per_line < least || w.bytes_per_line > least + 4096)
		return invalid("%u bytes per line do not fit %u pixels of %u bits",
			       w.bytes_per_line, w.pixmap_width, w.bits_per_pixel);
	if (w.visual_class > direct_color)
		return invalid("visual class %u is not between 0 and %u", w.visual_class,
			       direct_color);
	const bool indexed = w.visual_class <= pseudo_color;
	if (indexed && w.bits_per_pixel != 8)
		return invalid(
			"visual class %u has a palette, which goes with 8 bits per pixel, not %u",
			w.visual_class, w.bits_per_pixel);
	if (!indexed && !(mask_fits(w.red_mask, w.bits_per_pixel) &&
			  mask_fits(w.green_mask, w.bits_per_pixel) &&
			  mask_fits(w.blue_mask, w.bits_per_pixel)))
		return invalid("colour masks %#x, %#x, %#x do not fit %u bits per pixel",
			       w.red_mask, w.green_mask, w.blue_mask, w.bits_per_pixel);
	if (!indexed && ((w.red_mask & w.green_mask) | (w.red_mask & w.blue_mask) |
			 (w.green_mask & w.blue_mask)))
		return invalid("colour masks %#x, %#x, %#x overlap", w.red_mask, w.green_mask,
			       w.blue_mask);
	if (w.ncolors > colors_most)
		return invalid("%u colours are more than %u", w.ncolors, colors_most);

	const std::uint64_t offset = w.header_size + std::uint64_t{w.ncolors} * color_bytes;
	const std::uint64_t end = offset + std::uint64_t{w.bytes_per_line} * w.pixmap_height;
	xwd_result r;
	if (end > file_size) {
		r = invalid("%ux%u at %u bytes per line from byte %llu end at byte %llu, the "
			    "file has %llu",
			    w.pixmap_width, w.pixmap_height, w.bytes_per_line,
			    static_cast<unsigned long long>(offset),
			    static_cast<unsigned long long>(end),
			    static_cast<unsigned long long>(file_size));
		r.cut = true;
		return r;
	}
	r.kind = xwd_result::kind::valid;
	r.header.width = w.pixmap_width;
	r.header.height = w.pixmap_height;
	r.header.line_length = w.bytes_per_line;
	r.header.visual_class = w.visual_class;
	r.header.pixel_offset = offset;
	pixel_format &f = r.header.format;
	f.bits_per_pixel = w.bits_per_pixel;
	f.depth = w.pixmap_depth;
	f.red_mask = w.red_mask;
	f.green_mask = w.green_mask;
	f.blue_mask = w.blue_mask;
	f.big_endian = w.byte_order == 1;
	f.indexed = indexed;
	if (w.visual_class < static_color && w.ncolors == 0)
		for (unsigned i = 0; i < f.palette.size(); i++) {
			const auto grey = static_cast<std::uint8_t>(i);

			f.palette[i] = {grey, grey, grey};
		}
	else if (indexed)
		read_palette(w, bytes, &f);
	return r;
}

frame xwd_frame(const xwd_header &header, std::span<const std::byte> file)
{
	return {file.data() + header.pixel_offset, header.width, header.height, header.line_length,
		header.format};
}

std::uint64_t xwd_differing_bytes(const frame &a, const frame &b)
{
	const std::size_t bytes = a.format.bits_per_pixel / 8;
	std::uint64_t differ = 0;

	if (a.width != b.width || a.height != b.height ||
	    a.format.bits_per_pixel != b.format.bits_per_pixel ||
	    a.format.big_endian != b.format.big_endian)
		return ~std::uint64_t{0};
	const unsigned depth = std::min(a.format.depth, b.format.depth);
	for (std::size_t y = 0; y < a.height; y++) {
		const std::byte *pa = a.pixels + y * a.line_length;
		const std::byte *pb = b.pixels + y * b.line_length;

		if (std::memcmp(pa, pb, a.width * bytes) == 0)
			continue;
		for (std::size_t i = 0; i < a.width * bytes; i++) {
			const std::size_t at =
				i % bytes; /* which byte of the pixel, from the lowest bits on */
			const std::size_t low = a.format.big_endian ? bytes - 1 - at : at;

			if (low * 8 < depth)
				differ += pa[i] != pb[i];
		}
	}
	return differ;
}

} // namespace fuse_fb
