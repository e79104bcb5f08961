/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fb_draw.cc - fillrect, copyarea, imageblit for all depths (contract: fb_draw.h)
 *
 *      virtual screen                band: as many lines as fit into a buffer
 *      . . . . . . . . . .           +--------------+
 *      . . #########  . .     <----  | made here    |   fb_defio_store()
 *      . . #########  . .            +--------------+
 *
 * The screen's shape is looked at once, under info->lock, which is then let go: storing may wait
 * for programs' pages. A mode that changes meanwhile leaves a strange picture, never a store
 * outside of the frame.
 */
#include "video/fb_draw.h"

#include "video/fb_defio.h"

#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

/* Bytes of a band; a longer line is a band of its own. */
constexpr size_t BAND_BYTES = 64 * 1024;

namespace
{

struct canvas {
	struct fb_info *info;
	u32 width, height; /* virtual */
	u32 bytes;         /* of a pixel */
	u32 pitch;
	u64 origin; /* byte of pixel (0, 0) */
};

/* Part of the virtual screen, cut to it: may be empty. */
struct area {
	u32 x, y, width, height;
};

int look_at(struct fb_info *info, struct canvas *c)
{
	guard(mutex)(&info->lock);
	if (info->node < 0)
		return -ENODEV;
	c->info = info;
	c->width = info->var.xres_virtual;
	c->height = info->var.yres_virtual;
	c->bytes = info->var.bits_per_pixel / 8;
	c->pitch = info->fix.line_length;
	c->origin = info->pixel_offset;
	return 0;
}

struct area cut(const struct canvas *c, u32 x, u32 y, u32 width, u32 height)
{
	if (x >= c->width || y >= c->height)
		return {};
	return {x, y, min(width, c->width - x), min(height, c->height - y)};
}

size_t place(const struct canvas *c, u32 x, u32 y)
{
	return c->origin + (u64)y * c->pitch + (u64)x * c->bytes;
}

/* A pixel's bytes in memory begin with the lowest. */
void put_pixel(char *to, u32 bytes, u32 pixel)
{
	memcpy(to, &pixel, bytes);
}

/* Makes @lines lines from line @first of the area on, without padding. */
typedef void (*line_maker)(const struct canvas *c, const struct area *a, u32 first, u32 lines,
			   char *to, const void *with);

/* @upwards: the lowest lines first. */
int draw(const struct canvas *c, const struct area *a, line_maker make, const void *with,
	 bool upwards = false)
{
	const size_t line = (size_t)a->width * c->bytes;
	char *band;
	u32 most;
	int err = 0;

	if (a->width == 0 || a->height == 0)
		return 0;
	most = min((u32)max(BAND_BYTES / line, (size_t)1), a->height);
	band = (char *)kvmalloc(line * most, GFP_KERNEL);
	if (!band)
		return -ENOMEM;
	for (u32 done = 0, lines; done < a->height && !err; done += lines) {
		lines = min(most, a->height - done);
		const u32 first = upwards ? a->height - done - lines : done;

		make(c, a, first, lines, band, with);
		const struct fb_block block = {place(c, a->x, a->y + first), c->pitch, line, lines,
					       band};

		err = fb_defio_store(c->info, &block);
	}
	kvfree(band);
	return err;
}

void make_filled(const struct canvas *c, const struct area *a, u32, u32 lines, char *to,
		 const void *with)
{
	const u32 pixel = static_cast<const struct fb_fillrect *>(with)->color;
	const size_t line = (size_t)a->width * c->bytes;

	for (u32 x = 0; x < a->width; x++)
		put_pixel(to + (size_t)x * c->bytes, c->bytes, pixel);
	for (u32 y = 1; y < lines; y++)
		memcpy(to + y * line, to, line);
}

void make_inverted(const struct canvas *c, const struct area *a, u32 first, u32 lines, char *to,
		   const void *with)
{
	const u32 pixel = static_cast<const struct fb_fillrect *>(with)->color;

	for (u32 y = 0; y < lines; y++) {
		const char *from = c->info->screen_buffer + place(c, a->x, a->y + first + y);

		for (u32 x = 0; x < a->width; x++, from += c->bytes, to += c->bytes) {
			u32 old = 0;

			memcpy(&old, from, c->bytes);
			put_pixel(to, c->bytes, old ^ pixel);
		}
	}
}

/* @with: the area that is copied, as large as @a. */
void make_copied(const struct canvas *c, const struct area *a, u32 first, u32 lines, char *to,
		 const void *with)
{
	const auto *source = static_cast<const struct area *>(with);
	const size_t line = (size_t)a->width * c->bytes;

	for (u32 y = 0; y < lines; y++)
		memcpy(to + y * line,
		       c->info->screen_buffer + place(c, source->x, source->y + first + y), line);
}

void make_from_bits(const struct canvas *c, const struct area *a, u32 first, u32 lines, char *to,
		    const void *with)
{
	const auto *image = static_cast<const struct fb_image *>(with);
	const size_t line = ((size_t)image->width + 7) / 8;

	for (u32 y = 0; y < lines; y++) {
		const char *bits = image->data + (first + y) * line;

		for (u32 x = 0; x < a->width; x++, to += c->bytes) {
			const bool set = bits[x / 8] & (0x80 >> (x % 8));

			put_pixel(to, c->bytes, set ? image->fg_color : image->bg_color);
		}
	}
}

void make_from_pixels(const struct canvas *c, const struct area *a, u32 first, u32 lines, char *to,
		      const void *with)
{
	const auto *image = static_cast<const struct fb_image *>(with);
	const size_t from = (size_t)image->width * c->bytes, line = (size_t)a->width * c->bytes;

	for (u32 y = 0; y < lines; y++)
		memcpy(to + y * line, image->data + (first + y) * from, line);
}

} // namespace

int sys_fillrect(struct fb_info *info, const struct fb_fillrect *rect)
{
	struct canvas c;
	int err = look_at(info, &c);

	if (err)
		return err;
	if (rect->rop != ROP_COPY && rect->rop != ROP_XOR)
		return -EINVAL;
	const struct area a = cut(&c, rect->dx, rect->dy, rect->width, rect->height);

	return draw(&c, &a, rect->rop == ROP_XOR ? make_inverted : make_filled, rect);
}

int sys_copyarea(struct fb_info *info, const struct fb_copyarea *copy)
{
	struct canvas c;
	int err = look_at(info, &c);

	if (err)
		return err;
	struct area to = cut(&c, copy->dx, copy->dy, copy->width, copy->height);
	struct area from = cut(&c, copy->sx, copy->sy, copy->width, copy->height);

	/* Both are cut alike: the same pixels go to the same places as in the whole. */
	from.width = to.width = min(from.width, to.width);
	from.height = to.height = min(from.height, to.height);
	/* A band is read before it is stored; downwards the lowest first, or it is read anew. */
	return draw(&c, &to, make_copied, &from, to.y > from.y);
}

int sys_imageblit(struct fb_info *info, const struct fb_image *image)
{
	struct canvas c;
	int err = look_at(info, &c);

	if (err)
		return err;
	if (image->depth != 1 && image->depth != c.bytes * 8)
		return -EINVAL;
	const struct area a = cut(&c, image->dx, image->dy, image->width, image->height);

	return draw(&c, &a, image->depth == 1 ? make_from_bits : make_from_pixels, image);
}
