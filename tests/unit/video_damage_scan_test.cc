/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The comparing loops, byte by byte, at every alignment.
 */
#include <cstring>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include <video/damage_scan.h>

TEST(video_damage_scan, a_bit_for_every_block_that_differs_and_no_other)
{
	std::vector<char> a(FB_SCAN_MAX + 128), b(FB_SCAN_MAX + 128);

	for (size_t shift : {0, 1, 17, 63}) {
		for (size_t byte = 0; byte < FB_SCAN_MAX; byte++) {
			b[shift + byte] = 1;
			ASSERT_EQ(fb_scan_blocks(&a[shift], &b[shift], 64),
				  1ull << (byte / FB_SCAN_BLOCK));
			b[shift + byte] = 0;
		}
		ASSERT_EQ(fb_scan_blocks(&a[shift], &b[shift], 64), 0u);
	}
}

TEST(video_damage_scan, looks_at_no_more_blocks_than_asked)
{
	std::vector<char> a(FB_SCAN_MAX), b(FB_SCAN_MAX, 1);

	for (unsigned int nr = 0; nr < 64; nr++) {
		ASSERT_EQ(fb_scan_blocks(a.data(), b.data(), nr), (1ull << nr) - 1);
		std::vector<char> dst(FB_SCAN_MAX, 9);
		ASSERT_EQ(fb_scan_copy(dst.data(), b.data(), a.data(), nr), (1ull << nr) - 1);
		size_t bytes = nr * FB_SCAN_BLOCK;
		ASSERT_EQ(memcmp(dst.data(), b.data(), bytes), 0);
		ASSERT_EQ(dst[bytes], 9);
	}
}

TEST(video_damage_scan, copy_finds_single_bytes_at_any_alignment)
{
	std::vector<char> with(FB_SCAN_MAX), src(FB_SCAN_MAX + 64), dst(FB_SCAN_MAX);

	for (size_t shift : {0, 1, 17, 63}) {
		for (size_t byte = 0; byte < FB_SCAN_MAX; byte++) {
			src[shift + byte] = 3;
			ASSERT_EQ(fb_scan_copy(dst.data(), &src[shift], with.data(), 64),
				  1ull << (byte / FB_SCAN_BLOCK));
			ASSERT_EQ(dst[byte], 3);
			src[shift + byte] = 0;
		}
		ASSERT_EQ(fb_scan_copy(dst.data(), &src[shift], with.data(), 64), 0u);
		ASSERT_EQ(dst, with);
	}
}

TEST(video_damage_scan, first_and_last_are_exact)
{
	std::mt19937 random(1);

	for (int i = 0; i < 20000; i++) {
		size_t len = random() % 200;
		std::vector<char> a(len), b(len);
		size_t first = len, last = 0;

		for (unsigned int n = random() % 4; n > 0 && len > 0; n--) {
			size_t at = random() % len;

			b[at] = (char)(1 + random() % 255);
			first = std::min(first, at);
			last = std::max(last, at + 1);
		}
		ASSERT_EQ(fb_scan_first(a.data(), b.data(), len), first);
		ASSERT_EQ(fb_scan_last(a.data(), b.data(), len), last);
	}
}
