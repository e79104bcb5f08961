/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fb_cmap.cc - the palette of a framebuffer: FB_CMAP_LEN colours of 16 bits each channel
 *
 * Every framebuffer has one, also where pixels say their colours themselves: then nobody looks at
 * it, and programs that set one are left in peace.
 * Locks: info->lock (mutex), see linux/fb.h.
 */
#include <linux/fb.h>

#include "video/damage.h"
#include "video/fb_defio.h"
#include "video/fbmem_private.h"

#include <linux/errno.h>
#include <linux/slab.h>

int fb_cmap_init(struct fb_cmap *cmap)
{
	/* One block: red, green, blue, transparency. */
	u16 *colours = (u16 *)kzalloc(4 * FB_CMAP_LEN * sizeof(u16), GFP_KERNEL);

	if (!colours)
		return -ENOMEM;
	*cmap = {0,
		 FB_CMAP_LEN,
		 colours,
		 colours + FB_CMAP_LEN,
		 colours + 2 * FB_CMAP_LEN,
		 colours + 3 * FB_CMAP_LEN};
	/* Until somebody sets a palette, index i is the grey i/255. */
	for (u32 i = 0; i < FB_CMAP_LEN; i++)
		cmap->red[i] = cmap->green[i] = cmap->blue[i] = (u16)(i * 0x101);
	return 0;
}

static bool in_palette(const struct fb_cmap *cmap)
{
	return cmap->start < FB_CMAP_LEN && cmap->len <= FB_CMAP_LEN - cmap->start;
}

int fb_set_cmap(struct fb_cmap *cmap, struct fb_info *info)
{
	if (!in_palette(cmap))
		return -EINVAL;
	scoped_guard (mutex, &info->lock) {
		if (info->node < 0)
			return -ENODEV;
		for (u32 i = 0; i < cmap->len; i++) {
			u32 to = cmap->start + i;
			u16 transp = cmap->transp ? cmap->transp[i] : 0;

			info->cmap.red[to] = cmap->red[i];
			info->cmap.green[to] = cmap->green[i];
			info->cmap.blue[to] = cmap->blue[i];
			info->cmap.transp[to] = transp;
			if (!info->fbops->fb_setcolreg)
				continue;
			int err = info->fbops->fb_setcolreg(to, cmap->red[i], cmap->green[i],
							    cmap->blue[i], transp, info);
			if (err)
				return err;
		}
	}
	/* The same bytes look different now. */
	fb_damage_add_all(info);
	fb_defio_kick(info);
	return 0;
}

int fb_get_cmap(struct fb_cmap *cmap, struct fb_info *info)
{
	if (!in_palette(cmap))
		return -EINVAL;
	guard(mutex)(&info->lock);
	if (info->node < 0)
		return -ENODEV;
	for (u32 i = 0; i < cmap->len; i++) {
		u32 from = cmap->start + i;

		cmap->red[i] = info->cmap.red[from];
		cmap->green[i] = info->cmap.green[from];
		cmap->blue[i] = info->cmap.blue[from];
		if (cmap->transp)
			cmap->transp[i] = info->cmap.transp[from];
	}
	return 0;
}
