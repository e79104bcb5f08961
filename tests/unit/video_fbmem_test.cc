/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of framebuffers, modes, palettes, opening and closing.
 */
#include "unit/video_fixture.h"

using namespace video_test;

TEST(video_fbmem, registered_framebuffers_are_found_by_number_until_unregistered)
{
	world w;
	auto one = std::make_unique<framebuffer>(mode{});
	framebuffer two(mode{});

	EXPECT_EQ((*one)->node, 0);
	EXPECT_EQ(two->node, 1);
	fb_info *found = get_fb_info(1);
	EXPECT_EQ(found, two.info());
	put_fb_info(found);
	EXPECT_EQ(PTR_ERR(get_fb_info(2)), -ENODEV);
	EXPECT_EQ(PTR_ERR(get_fb_info(FB_MAX)), -ENODEV);
	one.reset();
	EXPECT_EQ(PTR_ERR(get_fb_info(0)), -ENODEV);
	framebuffer three(mode{});
	EXPECT_EQ(three->node, 0);
}

TEST(video_fbmem, the_table_has_an_end)
{
	world w;
	std::vector<std::unique_ptr<framebuffer>> all;
	mode m;

	m.width = m.height = 8;
	for (int i = 0; i < FB_MAX; i++)
		all.push_back(std::make_unique<framebuffer>(m));
	fb_info *more = framebuffer_alloc(0, nullptr);
	static const fb_ops ops = {};

	more->fbops = &ops;
	more->screen_buffer = (*all[0])->screen_buffer;
	more->screen_size = (*all[0])->screen_size;
	more->var = (*all[0])->var;
	more->fix = (*all[0])->fix;
	EXPECT_EQ(register_framebuffer(more), -ENXIO);
	framebuffer_release(more);
}

TEST(video_fbmem, two_machines_have_two_tables)
{
	world outer;
	framebuffer fb(mode{});
	{
		world inner;

		EXPECT_EQ(PTR_ERR(get_fb_info(0)), -ENODEV);
	}
	fb_info *found = get_fb_info(0);
	EXPECT_EQ(found, fb.info());
	put_fb_info(found);
}

TEST(video_fbmem, a_geometry_that_does_not_fit_the_frame_is_refused)
{
	world w;
	std::vector<char> frame(PAGE_SIZE);
	static const fb_ops ops = {};
	auto try_register = [&](u32 width, u32 height, u32 bits, u32 line, u32 offset) {
		fb_info *info = framebuffer_alloc(0, nullptr);

		info->fbops = &ops;
		info->screen_buffer = frame.data();
		info->screen_size = frame.size();
		info->var.xres = width;
		info->var.yres = height;
		info->var.bits_per_pixel = bits;
		info->fix.line_length = line;
		info->pixel_offset = offset;
		int err = register_framebuffer(info);

		if (!err)
			unregister_framebuffer(info);
		framebuffer_release(info);
		return err;
	};

	EXPECT_EQ(try_register(32, 32, 32, 128, 0), 0);
	EXPECT_EQ(try_register(32, 1, 32, 128, PAGE_SIZE - 128), 0);
	EXPECT_EQ(try_register(32, 1, 32, 128, PAGE_SIZE - 127), -EINVAL);
	EXPECT_EQ(try_register(33, 1, 32, 128, 0), -EINVAL);
	EXPECT_EQ(try_register(1u << 30, 1, 32, 0, 0), -EINVAL);
	EXPECT_EQ(try_register(32, 32, 24, 96, 0), 0);
	EXPECT_EQ(try_register(43, 32, 24, 128, 0), -EINVAL);
	EXPECT_EQ(try_register(32, 32, 12, 128, 0), -EINVAL);
	EXPECT_EQ(try_register(0, 32, 32, 128, 0), -EINVAL);
	EXPECT_EQ(try_register(32, 0, 32, 128, 0), -EINVAL);
}

TEST(video_fbmem, set_var_clamps_applies_and_damages_everything)
{
	world w;
	framebuffer fb(mode{}); /* 64 x 48 x 32: three pages */
	struct fb_var_screeninfo var = fb->var;
	fb_rect rects[4];

	fb.take();
	var.xres = var.xres_virtual = 32;
	var.yres = 100000;
	var.bits_per_pixel = 15;
	ASSERT_EQ(fb_set_var(fb.info(), &var), 0);
	EXPECT_EQ(var.bits_per_pixel, 16u);
	EXPECT_EQ(var.xres, 32u);
	EXPECT_EQ(var.yres, fb.size() / 64);
	EXPECT_EQ(fb->var.yres, var.yres);
	EXPECT_EQ(fb->fix.line_length, 64u);
	ASSERT_EQ(fb_damage_take(fb.info(), rects, 4, nullptr), 1u);
	EXPECT_EQ(rects[0].width, 32u);
	EXPECT_EQ(rects[0].height, var.yres);

	var.activate = FB_ACTIVATE_TEST;
	var.xres = 8;
	ASSERT_EQ(fb_set_var(fb.info(), &var), 0);
	EXPECT_EQ(fb->var.xres, 32u); /* only tried */
	var.activate = FB_ACTIVATE_NOW;
	var.xres = 0;
	EXPECT_EQ(fb_set_var(fb.info(), &var), -EINVAL);
	var.xres = 8;
	var.bits_per_pixel = 64;
	EXPECT_EQ(fb_set_var(fb.info(), &var), -EINVAL);
	EXPECT_EQ(fb->var.xres, 32u);
}

TEST(video_fbmem, the_virtual_screen_is_what_has_room)
{
	world w;
	framebuffer fb(mode{}); /* 64 x 48 x 32: 3072 pixels */
	struct fb_var_screeninfo var = fb->var;

	var.xres = 32;
	var.yres = 20;
	var.xres_virtual = 48;
	var.yres_virtual = 64;
	var.xoffset = var.yoffset = 1000;
	var.vmode = FB_VMODE_YWRAP;
	var.rotate = 1;
	ASSERT_EQ(fb_set_var(fb.info(), &var), 0);
	EXPECT_EQ(var.xres_virtual, 48u);
	EXPECT_EQ(var.yres_virtual, 64u);
	EXPECT_EQ(fb->fix.line_length, 192u);
	/* As far as there is something to show. */
	EXPECT_EQ(var.xoffset, 16u);
	EXPECT_EQ(var.yoffset, 44u);
	EXPECT_EQ(var.vmode, 0u);
	EXPECT_EQ(var.rotate, 0u);

	var.yres_virtual = 1000; /* lines are cut first */
	ASSERT_EQ(fb_set_var(fb.info(), &var), 0);
	EXPECT_EQ(var.xres_virtual, 48u);
	EXPECT_EQ(var.yres_virtual, 64u);
	var.xres_virtual = 1000; /* then the width, down to what all visible lines have room for */
	ASSERT_EQ(fb_set_var(fb.info(), &var), 0);
	EXPECT_EQ(var.xres_virtual, 3072u / 20);
	EXPECT_EQ(var.yres_virtual, 20u);
	memset(&var, 0xff, sizeof(var));
	var.bits_per_pixel = 32;
	var.activate = FB_ACTIVATE_NOW;
	ASSERT_EQ(fb_set_var(fb.info(), &var), 0);
	EXPECT_EQ((u64)var.xres_virtual * var.yres_virtual, 3072u);
}

TEST(video_fbmem, panning_moves_what_is_shown_and_damages_it)
{
	world w;
	framebuffer fb(mode{});
	struct fb_var_screeninfo var = fb->var;
	fb_geometry g;
	u32 pixel = 0xffffff;

	var.xres = 32;
	var.yres = 24;
	ASSERT_EQ(fb_set_var(fb.info(), &var), 0);
	fb.take();
	var.xoffset = 5;
	var.yoffset = 7;
	ASSERT_EQ(fb_pan_display(fb.info(), &var), 0);
	fb_damage_geometry(fb.info(), &g);
	EXPECT_EQ(g.offset, 7u * 256 + 5 * 4);
	EXPECT_EQ(g.line_length, 256u);
	fb.take();
	ASSERT_EQ(fb.rects().size(), 1u);
	EXPECT_EQ(fb.rects()[0].width, 32u);
	EXPECT_EQ(fb.rects()[0].height, 24u);

	/* The last pixel that is shown, and the one behind it. */
	fb_damage_absorb(fb.info(), (7 + 23) * 256 + (5 + 31) * 4, &pixel, 4);
	fb_damage_absorb(fb.info(), (7 + 23) * 256 + (5 + 32) * 4, &pixel, 4);
	fb.take();
	ASSERT_EQ(fb.rects().size(), 1u);
	EXPECT_EQ(fb.rects()[0].x, 31u);
	EXPECT_EQ(fb.rects()[0].y, 23u);
	EXPECT_EQ(fb.rects()[0].width, 1u);

	/* Where it is already: nothing to draw. */
	ASSERT_EQ(fb_pan_display(fb.info(), &var), 0);
	EXPECT_FALSE(fb_damage_pending(fb.info()));
	var.xoffset = 33;
	EXPECT_EQ(fb_pan_display(fb.info(), &var), -EINVAL);
	var.xoffset = 32;
	var.yoffset = 0xffffffff;
	EXPECT_EQ(fb_pan_display(fb.info(), &var), -EINVAL);
	EXPECT_EQ(fb->var.yoffset, 7u);
}

TEST(video_fbmem, requests_are_answered_and_unknown_ones_refused)
{
	world w;
	framebuffer fb(mode{});
	struct fb_var_screeninfo var;
	struct fb_fix_screeninfo fix;
	struct fb_vblank vblank;
	unsigned long next = 0;
	u16 red[2], green[2], blue[2];
	struct fb_cmap cmap = {0, 2, red, green, blue, nullptr};
	int level = 1000;

	ASSERT_EQ(fb_ioctl(fb.info(), FBIOGET_VSCREENINFO, &var), 0);
	EXPECT_EQ(var.xres, 64u);
	EXPECT_EQ(fb_ioctl(fb.info(), FBIOPUT_VSCREENINFO, &var), 0);
	ASSERT_EQ(fb_ioctl(fb.info(), FBIOGET_FSCREENINFO, &fix), 0);
	EXPECT_EQ(fix.line_length, 256u);
	ASSERT_EQ(fb_ioctl(fb.info(), FBIOGETCMAP, &cmap), 0);
	EXPECT_EQ(green[1], 0x101);
	cmap.start = 255;
	EXPECT_EQ(fb_ioctl(fb.info(), FBIOGETCMAP, &cmap), -EINVAL);
	EXPECT_EQ(fb_ioctl(fb.info(), FBIOBLANK, &level), 0);
	EXPECT_EQ(fb->blank, FB_BLANK_POWERDOWN);
	level = -1;
	EXPECT_EQ(fb_ioctl(fb.info(), FBIOBLANK, &level), -EINVAL);
	EXPECT_EQ(fb_ioctl(fb.info(), FBIOGET_VBLANK, &vblank), 0);
	EXPECT_EQ(fb_ioctl(fb.info(), FBIO_CURSOR, nullptr), -EINVAL);
	EXPECT_EQ(fb_ioctl(fb.info(), 0x46ff, nullptr), -ENOTTY);
	fb_get_vblank(fb.info(), &vblank, &next);
	EXPECT_GE(next, 1u);
	EXPECT_LE(next, 2000u); /* the period */
	fb.unplug();
	EXPECT_EQ(fb_ioctl(fb.info(), FBIOGET_VSCREENINFO, &var), -ENODEV);
	EXPECT_EQ(fb_ioctl(fb.info(), FBIOGET_FSCREENINFO, &fix), -ENODEV);
	EXPECT_EQ(fb_ioctl(fb.info(), FBIOPAN_DISPLAY, &var), -ENODEV);
}

TEST(video_fbmem, a_driver_that_refuses_a_mode_keeps_the_old_one)
{
	world w;
	framebuffer fb(mode{});
	struct fb_var_screeninfo var = fb->var;
	const fb_ops *driver = fb->fbops;
	fb_ops ops = *driver;

	ops.fb_set_par = [](fb_info *info) {
		info->fix.line_length = 1;
		return -EIO;
	};
	fb->fbops = &ops;
	var.xres = var.xres_virtual = 16;
	EXPECT_EQ(fb_set_var(fb.info(), &var), -EIO);
	EXPECT_EQ(fb->var.xres, 64u);
	EXPECT_EQ(fb->fix.line_length, 256u);
	fb->fbops = driver;
}

TEST(video_fbmem, a_palette_change_is_damage)
{
	world w;
	mode m;

	m.bits = 8;
	framebuffer fb(m);
	u16 colours[2] = {0x1111, 0x2222};
	struct fb_cmap cmap = {254, 2, colours, colours, colours, nullptr};

	fb.take();
	ASSERT_EQ(fb_set_cmap(&cmap, fb.info()), 0);
	EXPECT_TRUE(fb_damage_pending(fb.info()));
	EXPECT_EQ(fb->cmap.green[255], 0x2222);
	EXPECT_EQ(fb->cmap.green[1], 0x101);
	cmap.start = 255;
	EXPECT_EQ(fb_set_cmap(&cmap, fb.info()), -EINVAL);
	cmap.start = 0xffffffff;
	EXPECT_EQ(fb_set_cmap(&cmap, fb.info()), -EINVAL);
}

TEST(video_fbmem, open_and_release_reach_the_driver_and_only_the_last_close_flushes)
{
	world w;
	mode m;

	m.period = 3600ul * 1000000;
	framebuffer fb(m);
	file *one = fb_open(fb.info()), *two = fb_open(fb.info());

	ASSERT_FALSE(IS_ERR(one));
	ASSERT_FALSE(IS_ERR(two));
	EXPECT_EQ(fb->open_count, 2u);
	fput(one);
	EXPECT_EQ(fb.refreshes(), 0u);
	fput(two);
	EXPECT_EQ(fb->open_count, 0u);
	EXPECT_EQ(fb.refreshes(), 1u);
}

TEST(video_fbmem, an_open_file_outlives_its_device)
{
	world w;
	auto fb = std::make_unique<framebuffer>(mode{});
	file *f = fb_open(fb->info());

	ASSERT_FALSE(IS_ERR(f));
	fb.reset();
	EXPECT_EQ(vfs_fsync(f), -ENODEV);
	fput(f);
}

TEST(video_fbmem, blank_and_pan_check_their_arguments)
{
	world w;
	framebuffer fb(mode{});
	struct fb_var_screeninfo var = fb->var;

	EXPECT_EQ(fb_blank(fb.info(), FB_BLANK_POWERDOWN), 0);
	EXPECT_EQ(fb_blank(fb.info(), 5), -EINVAL);
	EXPECT_EQ(fb_blank(fb.info(), -1), -EINVAL);
	EXPECT_EQ(fb_pan_display(fb.info(), &var), 0);
	var.yoffset = 1;
	EXPECT_EQ(fb_pan_display(fb.info(), &var), -EINVAL);
	fb.unplug();
	EXPECT_EQ(fb_blank(fb.info(), 0), -ENODEV);
	EXPECT_EQ(fb_set_var(fb.info(), &var), -ENODEV);
}

TEST(video_fbmem, every_failing_allocation_is_undone)
{
	world w;

	w.expected_warnings = 0;
	for (long nth = 1;; nth++) {
		static const fb_ops ops = {};
		static fb_deferred_io defio = {1000, nullptr};

		pv_machine_fail_alloc(w.machine(), nth);
		fb_info *info = framebuffer_alloc(16, nullptr);
		void *frame = info ? vzalloc(3 * PAGE_SIZE) : nullptr;
		int err = -ENOMEM;

		if (frame) {
			info->fbops = &ops;
			info->fbdefio = &defio;
			info->screen_buffer = (char *)frame;
			info->screen_size = 3 * PAGE_SIZE;
			err = fb_deferred_io_init(info);
		}
		framebuffer_release(info);
		vfree(frame);
		vm_unmap_aliases();
		bool done = pv_machine_fail_alloc(w.machine(), 0) != 0;
		ASSERT_EQ(nr_free_pages(), totalram_pages());
		if (done) {
			EXPECT_EQ(err, 0);
			EXPECT_GT(nth, 5);
			break;
		}
	}
}
