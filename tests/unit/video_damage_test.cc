/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * damage against an oracle which knows every byte: before and after are compared pixel by pixel.
 */
#include "unit/video_fixture.h"

#include <kshim/fault.h>
#include <video/damage_absorb.h>

#include <atomic>
#include <memory>
#include <random>
#include <sys/mman.h>
#include <unistd.h>

using namespace video_test;

namespace
{

class painter
{
public:
	painter(framebuffer &fb, unsigned int seed) : fb_(fb), random_(seed)
	{
		fb_damage_geometry(fb_.info(), &g_);
		next_.assign(fb_.frame(), fb_.frame() + fb_.size());
	}
	u32 below(u32 n) { return std::uniform_int_distribution<u32>(0, n - 1)(random_); }
	std::vector<char> &next() { return next_; }
	const fb_geometry &g() const { return g_; }
	size_t at(u32 x, u32 y) const
	{
		return g_.offset + (size_t)y * g_.line_length + (size_t)x * g_.bytes_per_pixel;
	}
	/* Every pixel of the rectangle changes; not every byte of it. */
	void rect(u32 x, u32 y, u32 width, u32 height)
	{
		for (u32 j = y; j < y + height; j++) {
			for (u32 i = x; i < x + width; i++)
				next_[at(i, j) + below(g_.bytes_per_pixel)] ^=
					(char)(1 + below(255));
		}
	}
	/* One of several kinds of change. Returns a range which contains it. */
	std::pair<size_t, size_t> anything()
	{
		size_t from = below((u32)next_.size());
		size_t len = 1 + below((u32)(next_.size() - from));

		switch (below(6)) {
		case 0: /* noise */
			for (size_t i = from; i < from + len; i++)
				next_[i] = (char)random_();
			break;
		case 1: /* one byte */
			next_[from + below((u32)len)] ^= 1;
			break;
		case 2: /* dots */
			for (size_t i = from; i < from + len; i += 1 + below(300))
				next_[i] ^= 0x40;
			break;
		case 3: /* nothing */
			break;
		default: { /* a rectangle, looked at as a whole frame */
			u32 x = below(g_.width), y = below(g_.height);

			rect(x, y, 1 + below(g_.width - x), 1 + below(g_.height - y));
			return {0, next_.size()};
		}
		}
		return {from, len};
	}
	bool pixel_differs(const std::vector<char> &before, u32 x, u32 y) const
	{
		return memcmp(&before[at(x, y)], &next_[at(x, y)], g_.bytes_per_pixel) != 0;
	}

private:
	framebuffer &fb_;
	std::mt19937 random_;
	fb_geometry g_;
	std::vector<char> next_;
};

void check_against_oracle(framebuffer &fb, painter &p)
{
	std::vector<char> before(fb.frame(), fb.frame() + fb.size());
	auto [from, len] = p.anything();
	size_t copied = fb_damage_absorb(fb.info(), from, &p.next()[from], len);
	std::vector<bool> covered(p.g().width * p.g().height);
	fb_rect rects[FB_DAMAGE_MAX];
	unsigned int nr = fb_damage_take(fb.info(), rects, FB_DAMAGE_MAX, nullptr);
	bool visible_change = false;

	ASSERT_EQ(memcmp(fb.frame(), p.next().data(), fb.size()), 0);
	ASSERT_EQ(copied != 0, before != p.next());
	for (unsigned int i = 0; i < nr; i++) {
		ASSERT_LE(rects[i].x + rects[i].width, p.g().width);
		ASSERT_LE(rects[i].y + rects[i].height, p.g().height);
		for (u32 y = rects[i].y; y < rects[i].y + rects[i].height; y++) {
			for (u32 x = rects[i].x; x < rects[i].x + rects[i].width; x++)
				covered[y * p.g().width + x] = true;
		}
	}
	for (u32 y = 0; y < p.g().height; y++) {
		for (u32 x = 0; x < p.g().width; x++) {
			if (!p.pixel_differs(before, x, y))
				continue;
			visible_change = true;
			ASSERT_TRUE(covered[y * p.g().width + x]) << "pixel " << x << "," << y;
		}
	}
	ASSERT_EQ(nr != 0, visible_change);
}

mode random_mode(std::mt19937 &random)
{
	auto below = [&](u32 n) { return std::uniform_int_distribution<u32>(0, n - 1)(random); };
	mode m;

	m.bits = 8u * (1 + below(4));
	m.width = 1 + below(below(2) ? 40 : 1500);
	m.height = 1 + below(40);
	m.padding = below(2) ? 0 : below(200);
	m.offset = below(2) ? 0 : below(5000);
	return m;
}

fb_rect only_rect(framebuffer &fb)
{
	fb_rect rects[2] = {};

	EXPECT_EQ(fb_damage_take(fb.info(), rects, 2, nullptr), 1u);
	return rects[0];
}

} // namespace

TEST(video_damage, covers_every_changed_pixel_and_copies_every_byte)
{
	world w;

	for (unsigned int seed = 1; seed <= 60; seed++) {
		SCOPED_TRACE(testing::Message() << "seed " << seed);
		std::mt19937 random(seed);
		framebuffer fb(random_mode(random));
		painter p(fb, seed);

		fb_rect all[FB_DAMAGE_MAX];
		fb_damage_take(fb.info(), all, FB_DAMAGE_MAX, nullptr);
		for (int i = 0; i < 20; i++)
			ASSERT_NO_FATAL_FAILURE(check_against_oracle(fb, p));
	}
}

TEST(video_damage, one_changed_rectangle_gives_exactly_this_rectangle)
{
	world w;

	for (unsigned int seed = 1; seed <= 150; seed++) {
		SCOPED_TRACE(testing::Message() << "seed " << seed);
		std::mt19937 random(seed);
		framebuffer fb(random_mode(random));
		painter p(fb, seed);

		only_rect(fb);
		for (int i = 0; i < 8; i++) {
			u32 x = p.below(p.g().width), y = p.below(p.g().height);
			u32 width = 1 + p.below(p.g().width - x);
			u32 height = 1 + p.below(p.g().height - y);

			p.rect(x, y, width, height);
			fb_damage_absorb(fb.info(), 0, p.next().data(), p.next().size());
			fb_rect r = only_rect(fb);
			ASSERT_EQ(std::tie(r.x, r.y, r.width, r.height),
				  std::tie(x, y, width, height));
		}
	}
}

TEST(video_damage, page_by_page_gives_the_same_rectangle)
{
	world w;
	mode m;

	m.width = 1366; /* lines begin anywhere in a page */
	m.height = 100;
	m.offset = 3232;
	framebuffer fb(m);
	painter p(fb, 1);

	only_rect(fb);
	p.rect(100, 7, 1200, 90);
	for (size_t at = 0; at < fb.size(); at += PAGE_SIZE)
		fb_damage_absorb(fb.info(), at, &p.next()[at], PAGE_SIZE);
	fb_rect r = only_rect(fb);
	EXPECT_EQ(r.x, 100u);
	EXPECT_EQ(r.y, 7u);
	EXPECT_EQ(r.width, 1200u);
	EXPECT_EQ(r.height, 90u);
}

TEST(video_damage, header_and_padding_are_copied_and_make_no_rectangle)
{
	world w;
	mode m;

	m.offset = 3232;
	m.padding = 96;
	framebuffer fb(m);
	painter p(fb, 1);

	only_rect(fb);
	p.next()[0] ^= 1;
	p.next()[3231] ^= 1;
	p.next()[p.at(0, 1) - 1] ^= 1;                   /* last byte of line 0's padding */
	p.next()[p.at(0, 0) + (size_t)m.width * 4] ^= 1; /* its first one */
	p.next()[fb.size() - 1] ^= 1;                    /* behind the last line */
	EXPECT_NE(fb_damage_absorb(fb.info(), 0, p.next().data(), fb.size()), 0u);
	EXPECT_EQ(memcmp(fb.frame(), p.next().data(), fb.size()), 0);
	EXPECT_FALSE(fb_damage_pending(fb.info()));
}

TEST(video_damage, ranges_beyond_the_frame_are_cut)
{
	world w;
	framebuffer fb(mode{});
	std::vector<char> ones(3 * PAGE_SIZE, 1);

	EXPECT_EQ(fb_damage_absorb(fb.info(), fb.size() - 5, ones.data(), ones.size()), 5u);
	EXPECT_EQ(fb_damage_absorb(fb.info(), fb.size(), ones.data(), ones.size()), 0u);
	EXPECT_EQ(fb_damage_absorb(fb.info(), ~0ul - 1, ones.data(), ones.size()), 0u);
	EXPECT_EQ(fb_damage_absorb(fb.info(), 0, ones.data(), 0), 0u);
}

TEST(video_damage, random_glyphs_waste_at_most_half_of_their_area)
{
	world w(128ul << 20);
	mode m;

	m.width = 1024;
	m.height = 768;
	for (unsigned int seed = 1; seed <= 10; seed++) {
		SCOPED_TRACE(testing::Message() << "seed " << seed);
		framebuffer fb(m);
		painter p(fb, seed);
		fb_rect rects[FB_DAMAGE_MAX];
		size_t changed = 0, sent = 0;

		only_rect(fb);
		for (int i = 0; i < 200; i++)
			p.rect(p.below(1024 - 8), p.below(768 - 16), 8, 16);
		for (u32 y = 0; y < m.height; y++) {
			for (u32 x = 0; x < m.width; x++)
				changed += memcmp(&p.next()[p.at(x, y)], fb.frame() + p.at(x, y),
						  4) != 0;
		}
		fb_damage_absorb(fb.info(), 0, p.next().data(), fb.size());
		unsigned int nr = fb_damage_take(fb.info(), rects, FB_DAMAGE_MAX, nullptr);
		for (unsigned int i = 0; i < nr; i++)
			sent += (size_t)rects[i].width * rects[i].height;
		EXPECT_LE((double)sent, 1.5 * (double)changed);
	}
}

TEST(video_damage, a_source_that_changes_meanwhile_is_shown_in_the_end)
{
	world w;
	mode m;

	m.width = 500;
	m.height = 60;
	framebuffer fb(m);
	std::vector<u32> source(fb.size() / 4);
	std::atomic<bool> stop = false;

	/*
	 * Stores like another process: no lock, at random places, often the value that is there
	 * already.
	 */
	std::thread writer([&] {
		std::mt19937 random(7);

		while (!stop)
			__atomic_store_n(&source[random() % source.size()], (u32)random() % 4,
					 __ATOMIC_RELAXED);
	});
	for (int i = 0; i < 3000; i++) {
		fb_damage_absorb(fb.info(), 0, source.data(), fb.size());
		fb.take();
	}
	stop = true;
	writer.join();
	fb_damage_absorb(fb.info(), 0, source.data(), fb.size());
	fb.take();
	EXPECT_EQ(memcmp(fb.frame(), source.data(), fb.size()), 0);
	EXPECT_EQ(fb.wrongly_shown(), 0u);
}

TEST(video_damage, many_threads_absorb_at_once)
{
	world w;
	mode m;

	m.width = 800;
	m.height = 300;
	framebuffer fb(m);
	std::vector<std::thread> threads;
	std::vector<char> final(fb.size());

	for (unsigned int t = 0; t < 4; t++) {
		threads.push_back(w.thread([&, t] {
			std::mt19937 random(t);

			/* Pages t, t+4, ...: neighbours share stripes and lines. */
			for (int round = 0; round < 50; round++) {
				for (size_t at = t * PAGE_SIZE; at < fb.size();
				     at += 4 * PAGE_SIZE) {
					for (int i = 0; i < 3; i++)
						final[at + random() % PAGE_SIZE] ^= 1;
					fb_damage_absorb(fb.info(), at, &final[at], PAGE_SIZE);
				}
			}
		}));
	}
	for (int i = 0; i < 200; i++)
		fb.take();
	for (auto &thread : threads)
		thread.join();
	fb.take();
	EXPECT_EQ(memcmp(fb.frame(), final.data(), fb.size()), 0);
	EXPECT_EQ(fb.wrongly_shown(), 0u);
}

/* As a look does: fetch what may fault, bring in what was fetched. False when a page faulted. */
static bool absorb_fragile(fb_info *info, const char *source, size_t len)
{
	struct fetch {
		fb_absorber *a;
		const char *source;
		size_t at;
		bool differs;
	};
	auto a = std::make_unique<fb_absorber>();
	bool whole = true;

	fb_absorb_begin(a.get(), info);
	for (size_t at = 0; at < len && whole; at += PAGE_SIZE) {
		fetch f = {a.get(), source, at, false};

		whole = kshim_try(
			[](void *arg) {
				auto *f = (fetch *)arg;

				f->differs =
					fb_absorb_fetch(f->a, f->at, f->source + f->at, PAGE_SIZE);
			},
			&f);
		if (whole && f.differs) {
			EXPECT_EQ(fb_absorb_page(a.get()), PAGE_SIZE);
		}
	}
	fb_absorb_end(a.get());
	return whole;
}

TEST(video_damage, a_source_that_is_cut_off_tears_no_page_and_loses_none)
{
	world w;
	mode m;

	m.width = 1024;
	m.height = 16; /* a line is a page */
	framebuffer fb(m);
	int fd = memfd_create("source", 0);
	ASSERT_EQ(ftruncate(fd, (off_t)fb.size()), 0);
	char *source = (char *)mmap(nullptr, fb.size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(source, MAP_FAILED);
	memset(source, 5, fb.size());
	only_rect(fb);

	ASSERT_EQ(ftruncate(fd, 4 * (off_t)PAGE_SIZE), 0);
	EXPECT_FALSE(absorb_fragile(fb.info(), source, fb.size()));
	fb.take();
	EXPECT_EQ(fb.frame()[4 * PAGE_SIZE - 1], 5);
	EXPECT_EQ(fb.frame()[4 * PAGE_SIZE], 0);
	EXPECT_EQ(fb.wrongly_shown(), 0u);

	/* No lock stayed behind. */
	ASSERT_EQ(ftruncate(fd, (off_t)fb.size()), 0);
	memset(source, 6, fb.size());
	EXPECT_TRUE(absorb_fragile(fb.info(), source, fb.size()));
	fb.take();
	EXPECT_EQ(fb.wrongly_shown(), 0u);
	munmap(source, fb.size());
	close(fd);
}

TEST(video_damage, frame_that_changes_between_fetch_and_bringing_in_is_compared_again)
{
	world w;
	mode m;

	m.width = 1024;
	m.height = 16; /* a line is a page */
	framebuffer fb(m);
	std::vector<char> fetched(PAGE_SIZE), meanwhile(PAGE_SIZE);
	auto a = std::make_unique<fb_absorber>();

	only_rect(fb);
	/* Against the frame as it is, pixel 10 differs; against what it becomes, 100 does, too. */
	fetched[10 * 4] = 1;
	meanwhile[100 * 4] = 1;
	fb_absorb_begin(a.get(), fb.info());
	ASSERT_TRUE(fb_absorb_fetch(a.get(), 0, fetched.data(), PAGE_SIZE));
	fb_damage_absorb(fb.info(), 0, meanwhile.data(), PAGE_SIZE);
	fb.take();
	EXPECT_NE(fb_absorb_page(a.get()), 0u);
	fb_absorb_end(a.get());
	fb.take();
	EXPECT_EQ(memcmp(fb.frame(), fetched.data(), PAGE_SIZE), 0);
	EXPECT_EQ(fb.wrongly_shown(), 0u);
}

TEST(video_damage, new_geometry_damages_the_whole_new_screen)
{
	world w;
	framebuffer fb(mode{});

	only_rect(fb);
	fb_damage_add(fb.info(), {1, 1, 1, 1});
	mutex_lock(&fb->lock);
	fb->var.xres = 32;
	fb->var.yres = 1000; /* more than fit */
	EXPECT_EQ(fb_damage_set_geometry(fb.info()), 0);
	fb->var.xres = 65; /* longer than a line */
	EXPECT_EQ(fb_damage_set_geometry(fb.info()), -EINVAL);
	fb->var.xres = 32;
	fb->var.bits_per_pixel = 12;
	EXPECT_EQ(fb_damage_set_geometry(fb.info()), -EINVAL);
	mutex_unlock(&fb->lock);
	fb_rect r = only_rect(fb);
	EXPECT_EQ(std::tie(r.x, r.y, r.width, r.height), std::make_tuple(0u, 0u, 32u, 48u));
}

TEST(video_damage, what_is_absorbed_across_a_change_of_geometry_is_shown)
{
	world w;
	mode m;

	m.width = 256;
	m.height = 64; /* lines of 1024 bytes, or of 256 bytes after the change */
	framebuffer fb(m);
	std::atomic<bool> stop = false;
	std::vector<u32> source(fb.size() / 4);
	size_t wrong = 0;

	std::thread other = w.thread([&] {
		for (u32 i = 0; !stop; i++) {
			guard(mutex)(&fb->lock);

			fb->fix.line_length = i % 2 ? 1024 : 256;
			fb->var.xres = i % 2 ? 256 : 64;
			EXPECT_EQ(fb_damage_set_geometry(fb.info()), 0);
			fb.take(); /* the whole screen, before more is absorbed */
		}
	});
	for (u32 i = 1; i <= 3000; i++) {
		std::fill(source.begin(), source.end(), i);
		fb_damage_absorb(fb.info(), 0, source.data(), fb.size());
		guard(mutex)(&fb->lock);

		fb.take();
		wrong += fb.wrongly_shown();
	}
	stop = true;
	other.join();
	EXPECT_EQ(wrong, 0u);
}

TEST(video_damage, rectangles_of_the_kernel_are_clipped)
{
	world w;
	framebuffer fb(mode{});

	only_rect(fb);
	fb_damage_add(fb.info(), {64, 0, 1, 1});
	fb_damage_add(fb.info(), {0, 48, 1, 1});
	fb_damage_add(fb.info(), {0, 0, 0, 5});
	EXPECT_FALSE(fb_damage_pending(fb.info()));
	fb_damage_add(fb.info(), {60, 40, ~0u, ~0u});
	fb_rect r = only_rect(fb);
	EXPECT_EQ(std::tie(r.x, r.y, r.width, r.height), std::make_tuple(60u, 40u, 4u, 8u));
}
