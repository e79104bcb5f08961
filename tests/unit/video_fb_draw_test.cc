/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's own drawing against a slow oracle: one pixel at a time, straight from what
 * linux/fb.h says. Whatever is drawn, every byte of the frame is the oracle's, and what the
 * rectangles told shows it.
 */
#include <random>

#include <sys/mman.h>

#include "unit/video_fixture.h"
#include "video/fb_draw.h"

using namespace video_test;

namespace
{

/* The frame as it should be. */
class oracle
{
public:
	explicit oracle(framebuffer &fb) : fb_(fb), bytes_(fb.frame(), fb.frame() + fb.size()) {}

	u32 get(u32 x, u32 y) const
	{
		u32 pixel = 0;

		memcpy(&pixel, &bytes_[at(x, y)], depth() / 8);
		return pixel;
	}
	/* Outside of the virtual screen: nothing. */
	void put(u64 x, u64 y, u32 pixel)
	{
		if (x < fb_->var.xres_virtual && y < fb_->var.yres_virtual)
			memcpy(&bytes_[at((u32)x, (u32)y)], &pixel, depth() / 8);
	}
	void fill(const struct fb_fillrect &r)
	{
		for (u64 y = r.dy; y < (u64)r.dy + r.height && y < fb_->var.yres_virtual; y++)
			for (u64 x = r.dx; x < (u64)r.dx + r.width && x < fb_->var.xres_virtual;
			     x++)
				put(x, y,
				    r.rop == ROP_XOR ? get((u32)x, (u32)y) ^ r.color : r.color);
	}
	/* From a picture that nobody changes meanwhile; only pixels that exist on both sides. */
	void copy(const struct fb_copyarea &c)
	{
		const oracle before = *this;

		for (u64 y = 0; y < c.height && y < fb_->var.yres_virtual; y++)
			for (u64 x = 0; x < c.width && x < fb_->var.xres_virtual; x++)
				if (c.sx + x < fb_->var.xres_virtual &&
				    c.sy + y < fb_->var.yres_virtual)
					put(c.dx + x, c.dy + y,
					    before.get((u32)(c.sx + x), (u32)(c.sy + y)));
	}
	void blit(const struct fb_image &i)
	{
		const u32 pitch = i.depth == 1 ? (i.width + 7) / 8 : i.width * (depth() / 8);

		for (u32 y = 0; y < i.height; y++) {
			for (u32 x = 0; x < i.width; x++) {
				const char *line = i.data + (size_t)y * pitch;
				u32 pixel = 0;

				if (i.depth == 1)
					pixel = line[x / 8] >> (7 - x % 8) & 1 ? i.fg_color
									       : i.bg_color;
				else
					memcpy(&pixel, line + (size_t)x * (depth() / 8),
					       depth() / 8);
				put((u64)i.dx + x, (u64)i.dy + y, pixel);
			}
		}
	}
	size_t wrong() const
	{
		size_t n = 0;

		for (size_t i = 0; i < bytes_.size(); i++)
			n += bytes_[i] != fb_.frame()[i];
		return n;
	}

private:
	u32 depth() const { return fb_->var.bits_per_pixel; }
	size_t at(u32 x, u32 y) const
	{
		return fb_->pixel_offset + (size_t)y * fb_->fix.line_length +
		       (size_t)x * (depth() / 8);
	}

	framebuffer &fb_;
	std::vector<char> bytes_;
};

class drawing : public testing::TestWithParam<u32>
{
protected:
	u32 below(u32 end) { return (u32)(random_() % end); }
	/* A coordinate: mostly inside, sometimes at or behind the edge, rarely absurd. */
	u32 somewhere(u32 end)
	{
		const u32 kind = random_() % 20;

		return kind == 0  ? (u32)random_()
		       : kind < 4 ? end - 2 + random_() % 4
				  : random_() % end;
	}
	u32 length(u32 end) { return random_() % 10 ? random_() % (end / 2 + 1) : somewhere(end); }

	std::mt19937 random_{7};
};

} // namespace

TEST_P(drawing, whatever_is_drawn_is_what_the_oracle_draws)
{
	world w;
	mode m;

	m.width = 401; /* more than one band at each depth */
	m.height = 201;
	m.bits = GetParam();
	m.padding = 5;
	m.offset = 3;
	framebuffer fb(m);
	struct fb_var_screeninfo var = fb->var;
	std::vector<char> data(64 * 64 * 4);

	/* A part of it is visible. */
	var.xres = 100;
	var.yres = 50;
	var.xoffset = 11;
	var.yoffset = 13;
	ASSERT_EQ(fb_set_var(fb.info(), &var), 0);
	oracle o(fb);
	for (int i = 0; i < 900; i++) {
		for (char &byte : data)
			byte = (char)random_();
		if (i % 3 == 0) {
			const struct fb_fillrect r = {somewhere(401), somewhere(201), length(401),
						      length(201),    (u32)random_(), i % 2u};

			ASSERT_EQ(sys_fillrect(fb.info(), &r), 0);
			o.fill(r);
		} else if (i % 3 == 1) {
			const struct fb_copyarea c = {somewhere(401), somewhere(201),
						      length(401),    length(201),
						      somewhere(401), somewhere(201)};

			ASSERT_EQ(sys_copyarea(fb.info(), &c), 0);
			o.copy(c);
		} else {
			const struct fb_image image = {somewhere(401),
						       somewhere(201),
						       below(64),
						       below(64),
						       (u32)random_(),
						       (u32)random_(),
						       (u8)(i % 2 ? 1 : m.bits),
						       data.data(),
						       {}};

			ASSERT_EQ(sys_imageblit(fb.info(), &image), 0);
			o.blit(image);
		}
		ASSERT_EQ(o.wrong(), 0u) << "step " << i;
	}
	fb.take();
	EXPECT_EQ(fb.wrongly_shown(), 0u);
}

TEST_P(drawing, a_program_that_has_it_mapped_sees_it_and_keeps_what_it_stored)
{
	world w;
	mode m;

	m.bits = GetParam();
	m.period = 3600ul * 1000000;
	framebuffer fb(m);
	file *f = fb_open(fb.info());
	mm_struct *mm = mm_alloc();
	const unsigned long addr = vm_mmap(mm, f, fb.size(), PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	auto *view = (volatile char *)addr;
	const struct fb_fillrect r = {10, 10, 20, 20, 0x5a5a5a5a, ROP_COPY};
	const u32 bytes = m.bits / 8;

	ASSERT_FALSE(IS_ERR_VALUE(addr));
	*view = 'p'; /* not harvested yet */
	const size_t at = (size_t)10 * fb->fix.line_length + 10 * bytes;
	EXPECT_EQ(view[at], 0);
	ASSERT_EQ(sys_fillrect(fb.info(), &r), 0);
	EXPECT_EQ(view[at], 0x5a);
	EXPECT_EQ(fb.frame()[at], 0x5a);
	EXPECT_EQ(*view, 'p');
	EXPECT_EQ(fb_fsync(fb.info()), 0);
	EXPECT_EQ(fb.frame()[0], 'p');
	EXPECT_EQ(fb.frame()[at], 0x5a);
	EXPECT_EQ(fb.wrongly_shown(), 0u);
	EXPECT_EQ(vm_munmap(mm, addr, fb.size()), 0);
	mmput(mm);
	fput(f);
}

INSTANTIATE_TEST_SUITE_P(depths, drawing, testing::Values(8u, 16u, 24u, 32u));

TEST(video_fb_draw, what_does_not_exist_is_refused)
{
	world w;
	framebuffer fb(mode{});
	const struct fb_fillrect r = {0, 0, 1, 1, 0, 2};
	const char pixel[4] = {};
	const struct fb_image image = {0, 0, 1, 1, 0, 0, 16, pixel, {}};

	EXPECT_EQ(sys_fillrect(fb.info(), &r), -EINVAL);
	EXPECT_EQ(sys_imageblit(fb.info(), &image), -EINVAL);
	fb.unplug();
	EXPECT_EQ(fb_draw_pattern(fb.info()), -ENODEV);
}

TEST(video_fb_draw, the_test_picture_covers_every_size)
{
	world w;

	for (const u32 bits : {8u, 16u, 24u, 32u}) {
		for (const u32 side : {1u, 2u, 7u, 40u, 300u}) {
			SCOPED_TRACE(bits);
			SCOPED_TRACE(side);
			mode m;

			m.width = side;
			m.height = side * 3 / 4 + 1;
			m.bits = bits;
			framebuffer fb(m);
			ASSERT_EQ(fb_draw_pattern(fb.info()), 0);
			fb.take();
			EXPECT_EQ(fb.wrongly_shown(), 0u);
		}
	}
}
