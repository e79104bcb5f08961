/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fb_ioctl.cc - the requests of linux/fb.h, decoded
 *
 * Whoever brings a request has copied its argument in, and copies it out afterwards: nothing here
 * sees memory of a program. What a request means is in fb_mode.cc and fb_cmap.cc.
 * KSHIM: Linux's FBIO requests with a console in them (CON2FBMAP) are unknown here.
 */
#include <linux/fb.h>

#include <asm/ioctl.h>
#include <linux/errno.h>
#include <linux/minmax.h>

static int get_var(struct fb_info *info, struct fb_var_screeninfo *var)
{
	guard(mutex)(&info->lock);
	if (info->node < 0)
		return -ENODEV;
	*var = info->var;
	return 0;
}

static int get_fix(struct fb_info *info, struct fb_fix_screeninfo *fix)
{
	guard(mutex)(&info->lock);
	if (info->node < 0)
		return -ENODEV;
	*fix = info->fix;
	return 0;
}

int fb_ioctl(struct fb_info *info, unsigned int cmd, void *arg)
{
	auto *var = static_cast<struct fb_var_screeninfo *>(arg);
	int err;

	switch (cmd) {
	case FBIOGET_VSCREENINFO:
		return get_var(info, var);
	case FBIOPUT_VSCREENINFO:
		return fb_set_var(info, var);
	case FBIOGET_FSCREENINFO:
		return get_fix(info, static_cast<struct fb_fix_screeninfo *>(arg));
	case FBIOGETCMAP:
		return fb_get_cmap(static_cast<struct fb_cmap *>(arg), info);
	case FBIOPUTCMAP:
		return fb_set_cmap(static_cast<struct fb_cmap *>(arg), info);
	case FBIOPAN_DISPLAY:
		err = fb_pan_display(info, var);
		/* What is shown now, whatever else the program had in there. */
		return err ? err : get_var(info, var);
	case FBIOBLANK:
		return fb_blank(info, min(*static_cast<int *>(arg), FB_BLANK_POWERDOWN + 0));
	case FBIOGET_VBLANK:
		fb_get_vblank(info, static_cast<struct fb_vblank *>(arg), nullptr);
		return 0;
	case FBIO_CURSOR:
		/* Known and refused: no cursor but the one that programs draw. */
		return -EINVAL;
	default:
		return -ENOTTY;
	}
}
