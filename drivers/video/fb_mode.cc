/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fb_mode.cc - what a framebuffer shows: its mode, which part of it, nothing at all
 *
 *      |<------------- xres_virtual ------------->|
 *      .  (xoffset, yoffset)                      .
 *      .       |<----- xres ----->|               .   clamp_var makes every such picture lie in
 *      .       | visible, yres    |               .   the memory; apply_var tells damage of it
 *      .       |                  |               .   under the same lock
 *      .                                          .  yres_virtual
 *
 * M1: info->var always describes a picture that lies in the frame. A request is clamped to that
 *     before anybody acts on it, and is undone as a whole when driver or damage refuse it.
 * Locks: info->lock (mutex), see linux/fb.h.
 */
#include <linux/fb.h>

#include "video/damage.h"
#include "video/fb_defio.h"

#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/minmax.h>
#include <linux/string.h>

/* What every device can do: nothing that damage cannot describe, nothing beyond the frame. */
static int clamp_var(struct fb_info *info, struct fb_var_screeninfo *var)
{
	const u64 room = info->screen_size - info->pixel_offset;
	u64 bytes, pixels, lines;

	if (var->bits_per_pixel > 32)
		return -EINVAL;
	bytes = max((var->bits_per_pixel + 7) / 8, 1u);
	pixels = room / bytes;
	var->bits_per_pixel = (u32)bytes * 8;
	if (var->xres == 0 || var->yres == 0 || pixels == 0)
		return -EINVAL;
	var->xres = (u32)min((u64)var->xres, pixels);
	var->yres = (u32)min((u64)var->yres, pixels / var->xres);
	/* Lines as wide as they may be while all visible ones have room; then as many as fit. */
	var->xres_virtual = (u32)min((u64)max(var->xres_virtual, var->xres), pixels / var->yres);
	lines = pixels / var->xres_virtual;
	var->yres_virtual = (u32)min((u64)max(var->yres_virtual, var->yres), lines);
	var->xoffset = min(var->xoffset, var->xres_virtual - var->xres);
	var->yoffset = min(var->yoffset, var->yres_virtual - var->yres);
	/* One plane of plain pixels, every line once, nothing turned. */
	var->grayscale = var->nonstd = var->rotate = 0;
	var->accel_flags = 0;
	var->vmode = FB_VMODE_NONINTERLACED;
	return 0;
}

static bool same_mode(const struct fb_var_screeninfo *a, const struct fb_var_screeninfo *b)
{
	struct fb_var_screeninfo left = *a, right = *b;

	left.activate = right.activate = 0;
	return memcmp(&left, &right, sizeof(left)) == 0;
}

u32 fb_line_length(const struct fb_info *info, const struct fb_var_screeninfo *var)
{
	const u32 old = info->var.xres_virtual * (info->var.bits_per_pixel / 8);
	const u32 pixels = var->xres_virtual * (var->bits_per_pixel / 8);

	return pixels == old ? info->fix.line_length : pixels;
}

static int apply_var(struct fb_info *info, const struct fb_var_screeninfo *var)
	__must_hold(&info->lock)
{
	struct fb_var_screeninfo old_var = info->var;
	struct fb_fix_screeninfo old_fix = info->fix;
	u32 old_offset = info->pixel_offset;
	int err = 0;

	info->fix.line_length = fb_line_length(info, var);
	info->var = *var;
	if (info->fbops->fb_set_par)
		err = info->fbops->fb_set_par(info);
	if (!err)
		err = fb_damage_set_geometry(info);
	if (err) {
		info->var = old_var;
		info->fix = old_fix;
		info->pixel_offset = old_offset;
	}
	return err;
}

int fb_set_var(struct fb_info *info, struct fb_var_screeninfo *var)
{
	int err;

	scoped_guard (mutex, &info->lock) {
		if (info->node < 0)
			return -ENODEV;
		err = clamp_var(info, var);
		if (!err && info->fbops->fb_check_var)
			err = info->fbops->fb_check_var(var, info);
		if (err || (var->activate & FB_ACTIVATE_MASK) != FB_ACTIVATE_NOW)
			return err;
		if (same_mode(var, &info->var))
			return 0;
		err = apply_var(info, var);
	}
	if (!err)
		fb_defio_kick(info);
	return err;
}

int fb_pan_display(struct fb_info *info, struct fb_var_screeninfo *var)
{
	int err;

	scoped_guard (mutex, &info->lock) {
		struct fb_var_screeninfo to = info->var;

		if (info->node < 0)
			return -ENODEV;
		if (var->xoffset > to.xres_virtual - to.xres ||
		    var->yoffset > to.yres_virtual - to.yres || (var->vmode & FB_VMODE_YWRAP))
			return -EINVAL;
		to.xoffset = var->xoffset;
		to.yoffset = var->yoffset;
		if (same_mode(&to, &info->var))
			return 0;
		err = info->fbops->fb_pan_display ? info->fbops->fb_pan_display(&to, info) : 0;
		if (!err)
			err = apply_var(info, &to);
	}
	if (!err)
		fb_defio_kick(info);
	return err;
}

int fb_blank(struct fb_info *info, int blank)
{
	guard(mutex)(&info->lock);
	if (info->node < 0)
		return -ENODEV;
	if (blank < FB_BLANK_UNBLANK || blank > FB_BLANK_POWERDOWN)
		return -EINVAL;
	if (info->fbops->fb_blank) {
		int err = info->fbops->fb_blank(blank, info);

		if (err)
			return err;
	}
	info->blank = blank;
	return 0;
}

void fb_get_vblank(struct fb_info *info, struct fb_vblank *vblank, unsigned long *next)
{
	const unsigned long period = max(info->fbdefio ? info->fbdefio->delay : 0ul, 1ul);
	const unsigned long now = jiffies;

	*vblank = {};
	vblank->flags = FB_VBLANK_HAVE_COUNT;
	vblank->count = (u32)(now / period);
	if (next)
		*next = period - now % period;
}
