/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viewers/png_file.cc - a picture as a PNG file; see png_file.h
 *
 * libpng reports errors by longjmp, which must not skip destructors: everything that has one lives
 * in png_encode(), and write_png() between setjmp and longjmp touches only what it is given.
 */
#include "viewers/png_file.h"

#include <csetjmp>
#include <cstdio>
#include <new>

#include <png.h>

namespace fuse_fb
{

struct png_sink {
	std::vector<std::byte> out;
	std::vector<png_byte> line;
	char error[160] = "";
	bool no_memory = false;
};

static void png_append(png_structp png, png_bytep data, size_t len)
{
	auto *sink = static_cast<png_sink *>(png_get_io_ptr(png));
	const auto *bytes = reinterpret_cast<const std::byte *>(data);

	try {
		sink->out.insert(sink->out.end(), bytes, bytes + len);
	} catch (const std::bad_alloc &) {
		/* Not through libpng's frames. */
		sink->no_memory = true;
	}
	if (sink->no_memory)
		png_error(png, "no memory for the file");
}

static void png_failed(png_structp png, png_const_charp text)
{
	auto *sink = static_cast<png_sink *>(png_get_error_ptr(png));

	std::snprintf(sink->error, sizeof(sink->error), "%s", text);
	png_longjmp(png, 1);
}

static void png_warned(png_structp, png_const_charp) {}

static bool write_png(const frame &picture, const pixel_converter &converter, png_sink *sink)
{
	png_structp png =
		png_create_write_struct(PNG_LIBPNG_VER_STRING, sink, png_failed, png_warned);
	png_infop info = png ? png_create_info_struct(png) : nullptr;

	if (!info) {
		png_destroy_write_struct(&png, nullptr);
		std::snprintf(sink->error, sizeof(sink->error), "no memory for libpng");
		return false;
	}
	if (setjmp(png_jmpbuf(png))) {
		png_destroy_write_struct(&png, &info);
		return false;
	}
	png_set_write_fn(png, sink, png_append, nullptr);
	png_set_compression_level(png, 3);
	png_set_IHDR(png, info, picture.width, picture.height, 8, PNG_COLOR_TYPE_RGB,
		     PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	png_write_info(png, info);
	for (std::size_t y = 0; y < picture.height; y++) {
		converter.to_rgb(picture.pixels + y * picture.line_length, picture.width,
				 sink->line.data());
		png_write_row(png, sink->line.data());
	}
	png_write_end(png, info);
	png_destroy_write_struct(&png, &info);
	return true;
}

std::vector<std::byte> png_encode(const frame &picture, std::string *error)
{
	const pixel_converter converter(picture.format);
	png_sink sink;

	sink.line.resize(std::size_t{picture.width} * 3);
	if (!write_png(picture, converter, &sink)) {
		if (sink.no_memory)
			throw std::bad_alloc();
		*error = sink.error;
		return {};
	}
	return std::move(sink.out);
}

std::vector<std::byte> png_of(frame_source &source, std::string *error)
{
	snapshot s;

	if (!take_snapshot(source, &s)) {
		*error = "there is no picture";
		return {};
	}
	return png_encode({s.pixels.data(), s.width, s.height,
			   static_cast<std::uint32_t>(s.line_length()), s.format},
			  error);
}

} // namespace fuse_fb
