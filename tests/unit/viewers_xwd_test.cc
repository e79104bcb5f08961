/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The header of an X window dump is whatever a program has stored: what is accepted lies within the
 * file, everything else is refused with a reason, and nothing beyond the bytes given is read (the
 * bytes are copied to the end of a heap block so that ASan sees it).
 */
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "viewers/xwd.h"

using namespace fuse_fb;

namespace
{

constexpr std::uint32_t grey = 1, pseudo = 3, true_color = 4;

/* A header as an X server of 1024x768x24 writes it. */
xwd_words good_words()
{
	xwd_words w{};

	w.header_size = 160;
	w.file_version = 7;
	w.pixmap_format = 2;
	w.pixmap_depth = 24;
	w.pixmap_width = w.window_width = 1024;
	w.pixmap_height = w.window_height = 768;
	w.bitmap_unit = w.bitmap_pad = 32;
	w.bits_per_pixel = 32;
	w.bytes_per_line = 4096;
	w.visual_class = true_color;
	w.red_mask = 0xff0000;
	w.green_mask = 0xff00;
	w.blue_mask = 0xff;
	w.bits_per_rgb = 8;
	w.colormap_entries = w.ncolors = 256;
	return w;
}

xwd_words indexed_words()
{
	xwd_words w = good_words();

	w.pixmap_depth = w.bits_per_pixel = 8;
	w.bytes_per_line = 1024;
	w.visual_class = pseudo;
	w.red_mask = w.green_mask = w.blue_mask = 0;
	return w;
}

std::uint64_t whole(const xwd_words &w)
{
	return w.header_size + 12ull * w.ncolors +
	       std::uint64_t{w.bytes_per_line} * w.pixmap_height;
}

void put32(std::vector<std::byte> *bytes, std::size_t at, std::uint32_t v)
{
	for (int i = 0; i < 4; i++)
		(*bytes)[at + i] = static_cast<std::byte>(v >> (24 - 8 * i));
}

std::vector<std::byte> bytes_of(const xwd_words &w, std::size_t length = 4096)
{
	std::vector<std::byte> bytes(length);
	std::uint32_t raw[25];

	std::memcpy(raw, &w, sizeof(w));
	for (std::size_t i = 0; i < 25 && i * 4 + 4 <= length; i++)
		put32(&bytes, i * 4, raw[i]);
	return bytes;
}

xwd_result parse(const std::vector<std::byte> &bytes, std::uint64_t file_size)
{
	/* A block of exactly this size: reading on would be seen. */
	const auto block = std::make_unique<std::byte[]>(bytes.size());

	std::copy(bytes.begin(), bytes.end(), block.get());
	return xwd_parse({block.get(), bytes.size()}, file_size);
}

xwd_result parse(const xwd_words &w)
{
	return parse(bytes_of(w), whole(good_words()));
}

} // namespace

TEST(viewers_xwd, reads_what_an_x_server_writes)
{
	const xwd_result r = parse(good_words());

	ASSERT_EQ(r.kind, xwd_result::kind::valid) << r.error;
	EXPECT_EQ(r.header.width, 1024u);
	EXPECT_EQ(r.header.height, 768u);
	EXPECT_EQ(r.header.line_length, 4096u);
	EXPECT_EQ(r.header.pixel_offset, 3232u);
	EXPECT_EQ(whole(good_words()), 3148960u);
	EXPECT_EQ(r.header.format.bits_per_pixel, 32u);
	EXPECT_EQ(r.header.format.depth, 24u);
	EXPECT_EQ(r.header.format.red_mask, 0xff0000u);
	EXPECT_FALSE(r.header.format.indexed);
	EXPECT_FALSE(r.header.format.big_endian);
}

TEST(viewers_xwd, palette_goes_by_the_pixel_each_colour_names)
{
	const xwd_words w = indexed_words();
	std::vector<std::byte> bytes = bytes_of(w);
	/* First entry: colour of pixel 7; second: of a pixel that cannot be. */
	put32(&bytes, 160, 7);
	bytes[164] = std::byte{0x12};
	bytes[166] = std::byte{0x34};
	bytes[168] = std::byte{0x56};
	put32(&bytes, 172, 70000);
	bytes[176] = std::byte{0xff};

	const xwd_result r = parse(bytes, whole(w));
	ASSERT_EQ(r.kind, xwd_result::kind::valid) << r.error;
	EXPECT_TRUE(r.header.format.indexed);
	EXPECT_EQ(r.header.format.palette[7], (rgb{0x12, 0x34, 0x56}));
	EXPECT_EQ(r.header.format.palette[8], rgb{});
}

TEST(viewers_xwd, palette_beyond_the_bytes_given_is_black)
{
	const xwd_words w = indexed_words();
	std::vector<std::byte> bytes = bytes_of(w, 160 + 12 + 5);

	for (std::size_t i = 160; i < bytes.size(); i++)
		bytes[i] = std::byte{0};
	bytes[164] = std::byte{0xaa};
	const xwd_result r = parse(bytes, whole(w));
	ASSERT_EQ(r.kind, xwd_result::kind::valid) << r.error;
	EXPECT_EQ(r.header.format.palette[0], (rgb{0xaa, 0, 0}));
	EXPECT_EQ(r.header.format.palette[1], rgb{});
}

TEST(viewers_xwd, grey_without_colours_is_a_ramp)
{
	xwd_words w = indexed_words();

	w.visual_class = grey;
	w.ncolors = 0;
	const xwd_result r = parse(w);
	ASSERT_EQ(r.kind, xwd_result::kind::valid) << r.error;
	EXPECT_EQ(r.header.format.palette[200], (rgb{200, 200, 200}));
}

TEST(viewers_xwd, a_file_being_made_is_absent_not_wrong)
{
	EXPECT_EQ(parse(std::vector<std::byte>(4096), 1 << 20).kind, xwd_result::kind::absent);
	EXPECT_EQ(parse({}, 0).kind, xwd_result::kind::absent);
	EXPECT_EQ(parse(bytes_of(good_words(), 99), 99).kind, xwd_result::kind::absent);
}

TEST(viewers_xwd, nonsense_is_refused_with_a_reason)
{
	struct {
		std::uint32_t xwd_words::*field;
		std::uint32_t value;
		const char *says;
	} static const table[] = {
		{&xwd_words::file_version, 0, "version is 0"},
		{&xwd_words::file_version, 6, "version is 6"},
		{&xwd_words::header_size, 0, "header size 0"},
		{&xwd_words::header_size, 99, "header size 99"},
		{&xwd_words::header_size, 0xffffffff, "header size 4294967295"},
		{&xwd_words::header_size, 161, "file has"},
		{&xwd_words::pixmap_format, 0, "pixmap format 0"},
		{&xwd_words::pixmap_width, 0, "size 0x768"},
		{&xwd_words::pixmap_width, 0xffffffff, "size 4294967295x768"},
		{&xwd_words::pixmap_width, 1025, "bytes per line"},
		{&xwd_words::pixmap_height, 0, "size 1024x0"},
		{&xwd_words::pixmap_height, 0x80000000, "size 1024x2147483648"},
		{&xwd_words::pixmap_height, 769, "file has"},
		{&xwd_words::xoffset, 1, "pixels to skip"},
		{&xwd_words::byte_order, 2, "byte order 2"},
		{&xwd_words::bits_per_pixel, 0, "0 bits per pixel"},
		{&xwd_words::bits_per_pixel, 24, "24 bits per pixel"},
		{&xwd_words::bits_per_pixel, 0xfffffff8, "bits per pixel"},
		{&xwd_words::pixmap_depth, 0, "depth 0"},
		{&xwd_words::pixmap_depth, 33, "depth 33"},
		{&xwd_words::bytes_per_line, 0, "0 bytes per line"},
		{&xwd_words::bytes_per_line, 4095, "4095 bytes per line"},
		{&xwd_words::bytes_per_line, 0xfffff000, "bytes per line"},
		{&xwd_words::visual_class, 6, "visual class 6"},
		{&xwd_words::visual_class, pseudo, "palette"},
		{&xwd_words::red_mask, 0, "colour masks"},
		{&xwd_words::red_mask, 0xff00, "overlap"},
		{&xwd_words::ncolors, 0xffffffff, "4294967295 colours"},
		{&xwd_words::ncolors, 257, "file has"},
	};

	for (const auto &t : table) {
		xwd_words w = good_words();

		w.*t.field = t.value;
		const xwd_result r = parse(w);
		EXPECT_EQ(r.kind, xwd_result::kind::invalid) << t.says;
		EXPECT_NE(r.error.find(t.says), std::string::npos) << r.error << " / " << t.says;
		EXPECT_EQ(r.error.find('\n'), std::string::npos) << r.error;
	}
	xwd_words w = good_words();
	w.bits_per_pixel = 16;
	w.pixmap_depth = 16;
	EXPECT_EQ(parse(w).kind, xwd_result::kind::invalid); /* masks of 24 bits */
}

TEST(viewers_xwd, whatever_is_accepted_lies_within_the_file)
{
	const unsigned seed = 20;
	std::mt19937 random(seed);
	static const std::uint32_t values[] = {
		0,     1,     2,     3,          4,          7,          8,         16,   24,
		32,    100,   160,   256,        1023,       1024,       4095,      4096, 32767,
		32768, 65535, 65536, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
	int accepted = 0;

	for (int i = 0; i < 200000; i++) {
		xwd_words w = good_words();
		std::uint32_t raw[25];

		std::memcpy(raw, &w, sizeof(w));
		for (unsigned n = random() % 4; n > 0; n--)
			raw[random() % 25] =
				random() % 4 ? values[random() % std::size(values)] : random();
		std::memcpy(&w, raw, sizeof(w));
		const std::uint64_t size = random() % 2 ? 3148960 : random() % 4000000;
		const xwd_result r = xwd_parse(bytes_of(w, 256), size);

		if (r.kind != xwd_result::kind::valid)
			continue;
		accepted++;
		const xwd_header &h = r.header;
		ASSERT_LE(h.pixel_offset + std::uint64_t{h.line_length} * h.height, size)
			<< "seed " << seed;
		ASSERT_LE(std::uint64_t{h.width} * (h.format.bits_per_pixel / 8), h.line_length);
		ASSERT_GT(h.width, 0u);
	}
	EXPECT_GT(accepted, 1000);
}

TEST(viewers_xwd, counts_differing_bytes_but_not_those_that_mean_nothing)
{
	std::vector<std::byte> a(4 * 3 * 2), b(5 * 4 * 2);
	pixel_format f;
	frame fa{a.data(), 3, 2, 12, f}, fb{b.data(), 3, 2, 20, f};

	EXPECT_EQ(xwd_differing_bytes(fa, fb), 0u);
	b[20 + 3] = std::byte{1}; /* the top byte of depth 24 */
	b[12] = std::byte{1};     /* padding */
	EXPECT_EQ(xwd_differing_bytes(fa, fb), 0u);
	b[20 + 2] = std::byte{1};
	a[0] = std::byte{1};
	EXPECT_EQ(xwd_differing_bytes(fa, fb), 2u);
	fa.format.depth = fb.format.depth = 32;
	EXPECT_EQ(xwd_differing_bytes(fa, fb), 3u);
	fb.width = 2;
	EXPECT_EQ(xwd_differing_bytes(fa, fb), ~std::uint64_t{0});
}
