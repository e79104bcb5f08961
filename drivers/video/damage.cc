/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * damage.cc - the rectangles of a framebuffer and the geometry they are in (contract: damage.h)
 *
 * All of it under one spinlock, held shortly: drivers add what they drew from any context.
 */
#include "video/damage_private.h"

#include <linux/err.h>
#include <linux/fb.h>
#include <linux/kcsan-checks.h>
#include <linux/minmax.h>
#include <linux/slab.h>

void fb_damage_add(struct fb_info *info, struct fb_rect rect)
{
	struct fb_damage *damage = info->damage;

	guard(spinlock)(&damage->lock);
	const struct fb_geometry *g = &damage->geometry;

	if (rect.x >= g->width || rect.y >= g->height)
		return;
	rect.width = min(rect.width, g->width - rect.x);
	rect.height = min(rect.height, g->height - rect.y);
	fb_rect_set_add(&damage->set, fb_rect_entry_make(rect.x, rect.y, rect.x + rect.width,
							 rect.y + rect.height));
	damage->stats.rects_added++;
}

void fb_damage_add_all(struct fb_info *info)
{
	fb_damage_add(info, {0, 0, ~0u, ~0u});
}

unsigned int fb_damage_take(struct fb_info *info, struct fb_rect *rects, unsigned int max_rects,
			    struct fb_geometry *geometry)
{
	struct fb_damage *damage = info->damage;

	guard(spinlock)(&damage->lock);
	unsigned int nr = fb_rect_set_take(&damage->set, rects, max_rects);

	if (geometry)
		*geometry = damage->geometry;
	damage->stats.rects_taken += nr;
	for (unsigned int i = 0; i < nr; i++)
		damage->stats.pixels_taken += (u64)rects[i].width * rects[i].height;
	return nr;
}

bool fb_damage_pending(struct fb_info *info)
{
	struct fb_damage *damage = info->damage;

	guard(spinlock)(&damage->lock);
	kcsan_check_read(&damage->set.nr, sizeof(damage->set.nr));
	return damage->set.nr != 0;
}

int fb_damage_set_geometry(struct fb_info *info)
{
	struct fb_damage *damage = info->damage;
	const struct fb_var_screeninfo *var = &info->var;
	u32 bytes_per_pixel = var->bits_per_pixel / 8;
	u64 line = (u64)var->xres * bytes_per_pixel;
	u64 left = (u64)var->xoffset * bytes_per_pixel;
	u64 offset = info->pixel_offset + (u64)var->yoffset * info->fix.line_length + left;
	u64 lines;

	if (var->bits_per_pixel % 8 || bytes_per_pixel < 1 || bytes_per_pixel > 4)
		return -EINVAL;
	if (var->xres == 0 || var->yres == 0 || left + line > info->fix.line_length)
		return -EINVAL;
	if (offset + line > info->screen_size)
		return -EINVAL;
	/* The last line needs its pixels only, not its padding. */
	lines = (info->screen_size - offset - line) / info->fix.line_length + 1;

	guard(spinlock)(&damage->lock);
	kcsan_check_write(&damage->geometry, sizeof(damage->geometry));
	damage->geometry.width = var->xres;
	damage->geometry.height = (u32)min((u64)var->yres, lines);
	damage->geometry.bytes_per_pixel = bytes_per_pixel;
	damage->geometry.line_length = info->fix.line_length;
	damage->geometry.offset = (u32)offset;
	damage->geometry.generation++;
	damage->set.nr = 0;
	fb_rect_set_add(&damage->set,
			fb_rect_entry_make(0, 0, damage->geometry.width, damage->geometry.height));
	return 0;
}

void fb_damage_geometry(struct fb_info *info, struct fb_geometry *geometry)
{
	struct fb_damage *damage = info->damage;

	guard(spinlock)(&damage->lock);
	kcsan_check_read(&damage->geometry, sizeof(damage->geometry));
	*geometry = damage->geometry;
}

void fb_damage_stats(struct fb_info *info, struct fb_damage_stats *stats)
{
	guard(spinlock)(&info->damage->lock);
	*stats = info->damage->stats;
}

struct fb_damage *fb_damage_alloc(void)
{
	struct fb_damage *damage = (struct fb_damage *)kzalloc(sizeof(*damage), GFP_KERNEL);

	if (!damage)
		return nullptr;
	spin_lock_init(&damage->lock);
	for (size_t i = 0; i < fb_stripes::NR; i++)
		mutex_init(&damage->stripes[i].lock);
	guard(spinlock)(&damage->lock);
	/*
	 * No geometry yet: one pixel-less line, so that divisions are defined and nothing is
	 * shown.
	 */
	damage->geometry.line_length = 1;
	damage->geometry.bytes_per_pixel = 1;
	return damage;
}

void fb_damage_free(struct fb_damage *damage)
{
	kfree(damage);
}
