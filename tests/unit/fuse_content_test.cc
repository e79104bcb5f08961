/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuse_content_test.cc - bytes of a file arrive in any order of threads and end in the order of
 * requests
 */
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <thread>
#include <vector>

#include "content.h"
#include "memory_sink.h"

using namespace fuse_fb;

namespace
{

std::unique_ptr<content> make(std::size_t size, content_limits limits)
{
	return std::make_unique<content>(std::make_unique<memory_sink>(limits.max_size), size,
					 limits);
}

std::unique_ptr<content> make_device(std::size_t pages)
{
	return make(pages * page_bytes, {pages * page_bytes, true});
}

std::vector<char> page_of(char c)
{
	return std::vector<char>(page_bytes, c);
}

std::vector<char> read_all(const content &c)
{
	std::vector<char> out;

	c.read(0, c.size(), [&](const std::byte *b, std::size_t n) {
		out.assign(reinterpret_cast<const char *>(b),
			   reinterpret_cast<const char *>(b) + n);
	});
	return out;
}

} // namespace

TEST(fuse_content, write_overtaken_by_a_newer_whole_page_is_left_out)
{
	const auto c = make_device(2);
	const auto old_page = page_of('a'), new_page = page_of('b');

	/* Request 7 carries "aaaa", request 9 the whole page as it was later; 9 is served first. */
	c->write(9, 0, new_page.data(), page_bytes, true);
	const auto r = c->write(7, 10, old_page.data(), 100, false);
	EXPECT_EQ(r.error, 0);
	EXPECT_EQ(r.written, 100u)
		<< "the program is told that all was written: it was, and is gone again";
	EXPECT_EQ(r.changed, 0u);
	EXPECT_EQ(read_all(*c)[10], 'b');
	EXPECT_EQ(c->stats().stale_pages, 1u);
}

TEST(fuse_content, partial_write_does_not_hold_back_an_older_page)
{
	const auto c = make_device(1);
	const auto page = page_of('a');

	/* A part of a page says nothing of the rest: the older page must still be brought in. */
	c->write(9, 0, "xyz", 3, false);
	c->write(7, 0, page.data(), page_bytes, true);
	EXPECT_EQ(read_all(*c)[page_bytes - 1], 'a');
}

TEST(fuse_content, large_write_skips_only_the_overtaken_page)
{
	const auto c = make_device(600);
	const std::vector<char> all(600 * page_bytes, 'o');
	const auto newer = page_of('n');

	/* Page 255 | 256 is the border of two stripes. */
	for (const std::size_t page : {0, 255, 256, 300, 599})
		c->write(20, page * page_bytes, newer.data(), page_bytes, true);
	c->write(10, 0, all.data(), all.size(), true);
	const auto now = read_all(*c);
	for (std::size_t page = 0; page < 600; page++) {
		const bool was_newer =
			page == 0 || page == 255 || page == 256 || page == 300 || page == 599;

		ASSERT_EQ(now[page * page_bytes], was_newer ? 'n' : 'o') << "page " << page;
		ASSERT_EQ(now[page * page_bytes + page_bytes - 1], was_newer ? 'n' : 'o')
			<< "page " << page;
	}
}

/* Looks at one page, as the tracker does. */
static bool look_at(content &c, content::look &look, std::uint64_t ticket, std::size_t page,
		    const std::vector<char> &bytes)
{
	return look.fetch(page * page_bytes, bytes.data(), page_bytes) &&
	       c.bring_in(look, ticket, page * page_bytes, page_bytes);
}

TEST(fuse_content, look_gives_way_to_a_request_received_after_it)
{
	const auto c = make_device(1);
	const auto looked = page_of('l'), written = page_of('w');
	content::look look = c->begin_look();

	c->write(6, 0, written.data(), page_bytes, true);
	EXPECT_TRUE(look_at(*c, look, 5, 0, looked)) << "counts as changed";
	EXPECT_EQ(read_all(*c)[0], 'w');
	EXPECT_EQ(c->stats().stale_pages, 1u);
	EXPECT_TRUE(look_at(*c, look, 6, 0, looked));
	EXPECT_EQ(read_all(*c)[0], 'l');
	EXPECT_FALSE(look_at(*c, look, 7, 0, looked));
	EXPECT_EQ(c->stats().looked_pages, 1u);
	/* And a request received before the look does not undo it. */
	c->write(6, 0, written.data(), 100, false);
	EXPECT_EQ(read_all(*c)[0], 'l');
}

TEST(fuse_content, look_that_outlives_its_storage_brings_its_pages_into_the_new_one)
{
	const auto c = make_device(2);
	const auto looked = page_of('l');
	content::look look = c->begin_look();
	std::unique_ptr<frame_sink> old;

	ASSERT_TRUE(look.fetch(page_bytes, looked.data(), page_bytes));
	ASSERT_EQ(c->replace_storage(std::make_unique<memory_sink>(2 * page_bytes), &old), 0);
	EXPECT_TRUE(c->bring_in(look, 5, page_bytes, page_bytes));
	EXPECT_EQ(read_all(*c)[page_bytes], 'l');
	EXPECT_EQ(static_cast<char>(old->bytes()[page_bytes]), 0);
}

TEST(fuse_content, device_ends_where_it_ends)
{
	const auto c = make_device(2);
	const std::size_t size = c->size();
	const auto page = page_of('e');

	EXPECT_EQ(c->write(1, size, "x", 1, false).error, -ENOSPC);
	EXPECT_EQ(c->write(2, size + 1, "x", 1, false).error, -EFBIG);
	EXPECT_EQ(c->write(3, size - 10, page.data(), 100, false).written, 10u);
	EXPECT_EQ(c->resize(0), 0);
	EXPECT_EQ(c->resize(size * 2), 0);
	EXPECT_EQ(c->size(), size);
	bool called = false;
	c->read(size + 5, 10, [&](const std::byte *, std::size_t n) {
		called = true;
		EXPECT_EQ(n, 0u);
	});
	EXPECT_TRUE(called);
	c->read(size - 5, 10, [&](const std::byte *, std::size_t n) { EXPECT_EQ(n, 5u); });
}

TEST(fuse_content, file_grows_by_writing_and_shrinks_to_zeros)
{
	const auto c = make(0, {16 * page_bytes, false});

	EXPECT_EQ(c->write(1, 5000, "hello", 5, false).written, 5u);
	EXPECT_EQ(c->size(), 5005u);
	EXPECT_EQ(c->resize(5002), 0);
	EXPECT_EQ(c->resize(6000), 0);
	const auto now = read_all(*c);
	EXPECT_EQ(std::string(now.data() + 5000, 2), "he");
	for (std::size_t i = 5002; i < now.size(); i++)
		ASSERT_EQ(now[i], 0) << "what was cut off must not come back, byte " << i;
	EXPECT_EQ(c->resize(16 * page_bytes + 1), -EFBIG);
	EXPECT_EQ(c->write(2, 16 * page_bytes, "x", 1, false).error, -EFBIG);
	EXPECT_EQ(c->write(3, 16 * page_bytes - 2, "xyz", 3, false).written, 2u);
}

TEST(fuse_content, storage_is_replaced_with_every_byte)
{
	const auto c = make(0, {64 * page_bytes, false});
	std::vector<char> all(10 * page_bytes + 123);
	std::unique_ptr<frame_sink> old;

	for (std::size_t i = 0; i < all.size(); i++)
		all[i] = static_cast<char>(i * 7 + i / 4096);
	c->write(1, 0, all.data(), all.size(), false);
	EXPECT_EQ(c->replace_storage(std::make_unique<memory_sink>(page_bytes), &old), -EFBIG);
	EXPECT_EQ(read_all(*c), all);
	ASSERT_EQ(c->replace_storage(std::make_unique<memory_sink>(11 * page_bytes), &old), 0);
	EXPECT_EQ(read_all(*c), all);
	EXPECT_TRUE(old);

	/* Growing beyond it asks the owner, who says no, then yes. */
	EXPECT_EQ(c->write(2, 12 * page_bytes, "x", 1, false).error, -ENOSPC);
	std::size_t asked = 0;
	c->on_outgrown([&](std::size_t n) {
		asked = n;
		return c->replace_storage(std::make_unique<memory_sink>(64 * page_bytes), &old) ==
		       0;
	});
	EXPECT_EQ(c->write(3, 12 * page_bytes, "x", 1, false).written, 1u);
	EXPECT_EQ(asked, 12 * page_bytes + 1);
	EXPECT_EQ(c->size(), 12 * page_bytes + 1);
}

TEST(fuse_content, header_changes_are_told_and_only_they)
{
	const auto c = make_device(4);
	int told = 0;

	c->watch_header(100, [&] { told++; });
	c->write(1, 100, "x", 1, false);
	EXPECT_EQ(told, 0);
	c->write(2, 99, "x", 1, false);
	EXPECT_EQ(told, 1);
	c->write(3, 99, "x", 1, false);
	EXPECT_EQ(told, 1) << "the same byte again is no change";
}

TEST(fuse_content, growth_is_told_like_a_change_of_the_header)
{
	content c(std::make_unique<memory_sink>(8 * page_bytes), 0, {8 * page_bytes, false});
	int told = 0;

	c.watch_header(100, [&] { told++; });
	c.write(1, 0, "header", 6, false);
	const int with_header = told;
	EXPECT_GT(with_header, 0);
	c.write(2, page_bytes, "the rest", 8, false);
	EXPECT_GT(told, with_header) << "a header may have been waiting for it";
	const int after_write = told;
	EXPECT_EQ(c.resize(4 * page_bytes), 0);
	EXPECT_GT(told, after_write);
	const int after_resize = told;
	c.write(3, page_bytes, "no news!", 8, false);
	EXPECT_EQ(told, after_resize);
}

TEST(fuse_content, parallel_writers_end_with_the_newest_page)
{
	constexpr int threads = 4;
	constexpr std::uint64_t rounds = 2000;
	const auto c = make_device(8);
	std::atomic<std::uint64_t> tickets{0};
	std::vector<std::thread> all;

	/*
	 * Every page a thread writes is named by its ticket, so the newest wins whoever comes last.
	 */
	for (int t = 0; t < threads; t++)
		all.emplace_back([&] {
			std::vector<std::uint64_t> page(page_bytes / 8);

			for (std::uint64_t i = 0; i < rounds; i++) {
				const std::uint64_t ticket = ++tickets;

				std::fill(page.begin(), page.end(), ticket);
				c->write(ticket, (ticket % 8) * page_bytes, page.data(), page_bytes,
					 true);
			}
		});
	for (auto &t : all)
		t.join();
	const auto now = read_all(*c);
	const std::uint64_t last = tickets;
	for (std::uint64_t ticket = last - 7; ticket <= last; ticket++) {
		std::uint64_t found[page_bytes / 8];

		std::memcpy(found, now.data() + (ticket % 8) * page_bytes, page_bytes);
		for (const std::uint64_t f : found)
			ASSERT_EQ(f, ticket);
	}
}
