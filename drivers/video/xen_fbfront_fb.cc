/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xen_fbfront_fb.cc - the front end's frame: its memory, its directories, its geometry
 *
 *      shared page.pd[0] -> directory page -> 512 frame numbers -> frames of 2 MiB of the frame
 *                  pd[1] -> ...
 *
 * The frame is vzalloc'ed: pages of the guest, scattered or not. The back end finds them through
 * the directories, which never change; only the geometry does.
 *
 * I1: mem_length is at most what 123 directories describe, and whole frames are allocated for it.
 * I2: a geometry that does not fit into mem_length is never accepted, by either way in.
 */
#include <kshim/mutant.h>
#include <kshim/xen.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "video/fb_defio.h"
#include "video/xen_fbfront_private.h"

static void set_bitfields(struct fb_var_screeninfo *var)
{
	var->red = var->green = var->blue = var->transp = {};
	switch (var->bits_per_pixel) {
	case 8:
		var->red.length = var->green.length = var->blue.length = 8;
		break;
	case 16:
		var->red = {11, 5, 0};
		var->green = {5, 6, 0};
		var->blue = {0, 5, 0};
		break;
	default:
		var->red = {16, 8, 0};
		var->green = {8, 8, 0};
		var->blue = {0, 8, 0};
		/* Where alpha would be: programs name a format by it, and nobody looks at it. */
		if (var->bits_per_pixel == 32)
			var->transp = {24, 0, 0};
		break;
	}
}

static void set_layout(struct fb_info *info, const struct xenfb_layout *l)
{
	info->var.xres = info->var.xres_virtual = l->width;
	info->var.yres = info->var.yres_virtual = l->height;
	info->var.xoffset = info->var.yoffset = 0;
	info->var.bits_per_pixel = l->depth;
	set_bitfields(&info->var);
	info->fix.line_length = l->stride;
	info->fix.visual = l->depth == 8 ? FB_VISUAL_PSEUDOCOLOR : FB_VISUAL_TRUECOLOR;
	info->pixel_offset = l->offset;
}

static bool may_resize(struct xenfb_front *front)
{
	guard(mutex)(&front->lock);
	/* Mutant: Linux's set_par does not ask. */
	return front->feature_resize || KSHIM_MUTANT(xenfb_resize_unasked);
}

static int xenfb_check_var(struct fb_var_screeninfo *var, struct fb_info *info)
{
	auto *front = static_cast<struct xenfb_front *>(info->par);
	const u32 stride = fb_line_length(info, var);
	const struct xenfb_layout whole = {var->xres_virtual, var->yres_virtual, stride,
					   var->bits_per_pixel, info->pixel_offset};
	bool same = var->xres == info->var.xres && var->yres == info->var.yres &&
		    var->bits_per_pixel == info->var.bits_per_pixel &&
		    stride == info->fix.line_length && var->xoffset == info->var.xoffset &&
		    var->yoffset == info->var.yoffset;

	if (!xenfb_layout_valid(whole, front->mem_length))
		return -EINVAL;
	if (!same && !may_resize(front))
		return -EINVAL;
	set_bitfields(var);
	return 0;
}

/* A part of the frame that begins elsewhere is to the back end a picture with another offset. */
static int xenfb_pan_display(struct fb_var_screeninfo *var, struct fb_info *info)
{
	return xenfb_check_var(var, info);
}

/* Called by fb_set_var() with info->var already new, which xenfb_check_var() has accepted. */
static int xenfb_set_par(struct fb_info *info)
{
	info->fix.visual =
		info->var.bits_per_pixel == 8 ? FB_VISUAL_PSEUDOCOLOR : FB_VISUAL_TRUECOLOR;
	return 0;
}

static void xenfb_destroy_frame(struct fb_info *info)
{
	auto *front = static_cast<struct xenfb_front *>(info->par);

	for (u32 i = 0; i < front->nr_pd; i++)
		__free_page(front->pd[i]);
	if (front->page_frame)
		__free_page(front->page_frame);
	vfree(info->screen_buffer);
	kfree(front->nodename);
}

static const struct fb_ops xenfb_fb_ops = {
	.fb_check_var = xenfb_check_var,
	.fb_set_par = xenfb_set_par,
	.fb_pan_display = xenfb_pan_display,
	.fb_destroy = xenfb_destroy_frame,
};

struct xenfb_front *xenfb_front_of(struct fb_info *info)
{
	if (info->fbops != &xenfb_fb_ops)
		return nullptr;
	return static_cast<struct xenfb_front *>(info->par);
}

int xenfb_front_set_geometry(struct fb_info *info, const struct xenfb_front_geometry *geometry)
{
	struct xenfb_front *front = xenfb_front_of(info);
	struct xenfb_layout l = {geometry->width, geometry->height, geometry->line_length,
				 geometry->depth, geometry->offset};
	int err;

	if (!front)
		return -ENODEV;
	if (!l.stride && l.width <= XENFB_MAX_EXTENT)
		l.stride = l.width * (l.depth / 8);
	if (!xenfb_layout_valid(l, front->mem_length))
		return -EINVAL;
	{
		guard(mutex)(&info->lock);
		const struct fb_var_screeninfo old_var = info->var;
		const struct fb_fix_screeninfo old_fix = info->fix;
		const u32 old_offset = info->pixel_offset;

		if (info->node < 0)
			return -ENODEV;
		if (!may_resize(front))
			return -EOPNOTSUPP;
		set_layout(info, &l);
		err = fb_damage_set_geometry(info);
		if (err) {
			info->var = old_var;
			info->fix = old_fix;
			info->pixel_offset = old_offset;
		}
	}
	if (!err)
		fb_defio_kick(info);
	return err;
}

/* What the toolstack asked for. Numbers are checked by who uses them. */
static void read_config(struct xenbus_device *dev, struct xenfb_layout *l, u64 *mem_length)
{
	const char *dir = dev->nodename;
	auto node = [dir](const char *name, u32 default_val) {
		u64 value = xenbus_read_unsigned(dir, name, default_val);

		return value > 0xffffffff ? 0xffffffffu : (u32)value;
	};

	l->width = node("width", 0);
	l->height = node("height", 0);
	l->depth = node("depth", 32);
	l->stride = node("line-length", 0);
	if (!l->stride && l->width <= XENFB_MAX_EXTENT)
		l->stride = l->width * (l->depth / 8);
	l->offset = node("offset", 0);
	*mem_length = xenbus_read_unsigned(dir, "mem-length", 0);
	if (!*mem_length && l->height)
		*mem_length = l->offset + (u64)l->stride * l->height;
}

static int check_config(struct xenbus_device *dev, const struct xenfb_layout *l, u64 mem_length)
{
	u64 max_width = xenbus_read_unsigned(dev->otherend, "width", XENFB_MAX_EXTENT);
	u64 max_height = xenbus_read_unsigned(dev->otherend, "height", XENFB_MAX_EXTENT);

	if (mem_length > XENFB_MEM_MAX) {
		xenbus_dev_fatal(
			dev, -E2BIG,
			"a frame of %llu bytes needs more than %u page directories: at most "
			"%llu bytes; choose a smaller mode",
			(unsigned long long)mem_length, XENFB_PD_MAX,
			(unsigned long long)XENFB_MEM_MAX);
		return -E2BIG;
	}
	if (!xenfb_layout_valid(*l, mem_length)) {
		xenbus_dev_fatal(
			dev, -EINVAL,
			"%ux%u at %u bits, lines of %u bytes, offset %u, in %llu bytes: does "
			"not fit; widths and heights are 1 to %u, depths 8, 16, 24 and 32",
			l->width, l->height, l->depth, l->stride, l->offset,
			(unsigned long long)mem_length, XENFB_MAX_EXTENT);
		return -EINVAL;
	}
	if (l->width > max_width || l->height > max_height) {
		xenbus_dev_fatal(dev, -EINVAL, "%ux%u: the back end shows at most %llux%llu",
				 l->width, l->height, (unsigned long long)max_width,
				 (unsigned long long)max_height);
		return -EINVAL;
	}
	return 0;
}

/*
 * Fills the directories with the frame numbers of the frame. -ENOMEM: what there is, destroy frees.
 */
static int alloc_directories(struct xenfb_front *front)
{
	const u64 nr_frames = PFN_UP(front->mem_length);

	front->page_frame = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!front->page_frame)
		return -ENOMEM;
	front->page = static_cast<struct xenfb_page *>(page_address(front->page_frame));
	for (u64 first = 0; first < nr_frames; first += XENFB_PD_ENTRIES) {
		struct page *dir = alloc_page(GFP_KERNEL | __GFP_ZERO);

		if (!dir)
			return -ENOMEM;
		auto *entry = static_cast<unsigned long *>(page_address(dir));

		for (u64 i = first; i < min(nr_frames, first + XENFB_PD_ENTRIES); i++)
			entry[i - first] = xen_frame_number(
				vmalloc_to_page(front->info->screen_buffer + i * PAGE_SIZE));
		front->page->pd[front->nr_pd] = xen_frame_number(dir);
		front->pd[front->nr_pd++] = dir;
	}
	return 0;
}

static int alloc_frame(struct xenbus_device *dev, struct xenfb_front *front)
{
	struct fb_info *info = front->info;

	front->nodename = kstrdup(dev->nodename, GFP_KERNEL);
	info->screen_size = PAGE_ALIGN(front->mem_length);
	info->screen_buffer = static_cast<char *>(vzalloc(info->screen_size));
	if (front->nodename && info->screen_buffer && !alloc_directories(front))
		return 0;
	xenbus_dev_fatal(
		dev, -ENOMEM,
		"a frame of %llu bytes does not fit into the machine's memory: give it more, or "
		"choose a smaller mode",
		(unsigned long long)front->mem_length);
	return -ENOMEM;
}

struct fb_info *xenfb_front_alloc(struct xenbus_device *dev)
{
	struct xenfb_layout l;
	struct xenfb_front *front;
	struct fb_info *info;
	u64 mem_length;
	int err;

	read_config(dev, &l, &mem_length);
	err = check_config(dev, &l, mem_length);
	if (err)
		return ERR_PTR(err);
	info = framebuffer_alloc(sizeof(struct xenfb_front), nullptr);
	if (!info) {
		xenbus_dev_fatal(dev, -ENOMEM, "out of memory for the framebuffer");
		return ERR_PTR(-ENOMEM);
	}
	front = static_cast<struct xenfb_front *>(info->par);
	front->info = info;
	front->dev = dev;
	front->mem_length = mem_length;
	mutex_init(&front->lock);
	{
		guard(mutex)(&front->lock);
		front->irq = -1;
		ratelimit_state_init(&front->complaints, 5 * HZ, 3);
	}
	init_waitqueue_head(&front->sent_wq);
	INIT_LIST_HEAD(&front->node);
	front->defio.delay = xenbus_read_unsigned(dev->nodename, "refresh-us", HZ / 60);
	front->defio.deferred_io = xenfb_front_send;
	info->fbops = &xenfb_fb_ops;
	info->fbdefio = &front->defio;
	strscpy(info->fix.id, "xen", sizeof(info->fix.id));
	info->fix.type = FB_TYPE_PACKED_PIXELS;
	info->fix.xpanstep = info->fix.ypanstep = 1;
	info->var.width = info->var.height = ~0u; /* millimetres: unknown */
	info->var.vmode = FB_VMODE_NONINTERLACED;
	set_layout(info, &l);
	err = alloc_frame(dev, front);
	if (err) {
		framebuffer_release(info);
		return ERR_PTR(err);
	}
	info->fix.smem_len = (u32)info->screen_size;
	return info;
}
