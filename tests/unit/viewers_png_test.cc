/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A PNG made of a picture holds its pixels: read back by libpng's simplified reader.
 */
#include <gtest/gtest.h>

#include <png.h>

#include "viewers/png_file.h"
#include "viewers_source.h"

using namespace fuse_fb;

static std::vector<std::uint8_t> decode(const std::vector<std::byte> &file, std::uint32_t *width,
					std::uint32_t *height)
{
	png_image image{};
	std::vector<std::uint8_t> pixels;

	image.version = PNG_IMAGE_VERSION;
	if (!png_image_begin_read_from_memory(&image, file.data(), file.size()))
		return {};
	image.format = PNG_FORMAT_RGB;
	pixels.resize(PNG_IMAGE_SIZE(image));
	if (!png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr))
		return {};
	*width = image.width;
	*height = image.height;
	return pixels;
}

TEST(viewers_png, holds_the_pixels_at_every_depth_and_odd_widths)
{
	for (const unsigned bits : {8u, 16u, 24u, 32u}) {
		array_source source(101, 37, default_pixel_format(bits));
		std::string error;
		std::uint32_t width = 0, height = 0;

		source.scribble(bits);
		const std::vector<std::byte> file = png_of(source, &error);
		const std::vector<std::uint8_t> got = decode(file, &width, &height);
		ASSERT_EQ(width, 101u) << error;
		ASSERT_EQ(height, 37u);
		ASSERT_EQ(got, source.rgb_bytes()) << bits << " bits";
	}
}

TEST(viewers_png, of_nothing_is_nothing_and_says_so)
{
	array_source source(1, 1, default_pixel_format(32));
	std::string error;

	source.set_present(false);
	EXPECT_TRUE(png_of(source, &error).empty());
	EXPECT_EQ(error, "there is no picture");
}

TEST(viewers_png, a_picture_libpng_refuses_is_an_error_not_a_crash)
{
	const std::byte pixel[4] = {};
	std::string error;

	/* Beyond the width that libpng is willing to write. */
	EXPECT_TRUE(png_encode({pixel, 0, 1, 0, default_pixel_format(32)}, &error).empty());
	EXPECT_NE(error, "");
}
