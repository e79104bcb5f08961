/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * video/damage.h - which pixels of a frame changed
 *
 * The only way bytes enter a frame. New bytes are compared with the frame while being copied in, so
 * that the rectangles that leave are exact in x and y whatever the granularity of the writer's
 * tracking (a page, a megabyte, a whole frame).
 *
 * D1: when a byte of a visible pixel changed at time t, some rectangle taken after t contains the
 *     pixel. (Copy first, rectangle second; who takes a rectangle reads the frame after taking.)
 * D2: a single changed area gives the tight rectangle around it. Rectangles are merged when they
 *     adjoin and have the same x range, or when their union wastes little; and when there are
 *     more than FB_DAMAGE_MAX. A union never leaves the screen.
 * D3: the geometry has a generation. Whoever copied under an old geometry damages the whole screen.
 * Locks: striped mutexes over ranges of the frame make compare-and-copy of a range one step; one
 *     spinlock guards the rectangle set and the geometry snapshot and is held for some 100 ns.
 *     Callers on different ranges run in parallel.
 */
#pragma once

#include <linux/types.h>

struct fb_info;

/* Most rectangles a set holds. */
constexpr unsigned int FB_DAMAGE_MAX = 256;

/* In pixels; width and height are never 0 in a set. */
struct fb_rect {
	u32 x;
	u32 y;
	u32 width;
	u32 height;
};

/* A consistent snapshot of what the frame holds. */
struct fb_geometry {
	u32 width;           /* visible pixels */
	u32 height;          /* visible lines */
	u32 bytes_per_pixel; /* 1 to 4 */
	u32 line_length;     /* bytes from line to line */
	u32 offset;          /* bytes before the first visible pixel */
	u32 generation;      /* changes with every fb_damage_set_geometry() */
};

struct fb_damage_stats {
	u64 bytes_compared;
	u64 bytes_changed; /* bytes in changed spans, i.e. what was copied */
	u64 rects_added;   /* before merging */
	u64 rects_taken;
	u64 pixels_taken;
};

/**
 * fb_damage_absorb - bring new bytes into the frame
 * @offset: in the frame, bytes
 * @src: the bytes, alignment of any kind; must not overlap the frame
 * @len: bytes; what would go beyond screen_size is ignored
 *
 * @src may change meanwhile. To read it with no lock held, or where it may fault: damage_absorb.h.
 * Bytes outside of visible pixels (header, padding) are copied and make no rectangle. Does not kick
 * deferred I/O: a caller outside of a harvest calls fb_defio_kick() when the result is not 0.
 * Context: any thread that may sleep; parallel callers welcome. Takes the stripe locks and the
 * set's.
 * Return: bytes copied, i.e. the bytes of spans which differed; 0 when the frame had these bytes.
 */
size_t fb_damage_absorb(struct fb_info *info, size_t offset, const void *src, size_t len);

/* Mark pixels which the kernel drew itself. Clipped to the screen. Any context, also interrupts. */
void fb_damage_add(struct fb_info *info, struct fb_rect rect);
void fb_damage_add_all(struct fb_info *info);

/**
 * fb_damage_take - move up to @max rectangles out of the set
 * Return: how many; what does not fit stays for the next call. Every rectangle lies in the screen
 * of the geometry stored in *@geometry (may be null). Any context.
 */
unsigned int fb_damage_take(struct fb_info *info, struct fb_rect *rects, unsigned int max,
			    struct fb_geometry *geometry);
bool fb_damage_pending(struct fb_info *info);

/**
 * fb_damage_set_geometry - var, fix.line_length or pixel_offset changed
 *
 * Call with info->lock held. Takes a new snapshot (height cut to the lines that fit into the
 * frame), drops the old rectangles and damages the whole screen. Return: 0, or -EINVAL for what
 * damage cannot describe (bits per pixel other than 8, 16, 24, 32; a line longer than line_length;
 * no line fits): then the old snapshot stays.
 */
[[nodiscard]] int fb_damage_set_geometry(struct fb_info *info);
void fb_damage_geometry(struct fb_info *info, struct fb_geometry *geometry);
void fb_damage_stats(struct fb_info *info, struct fb_damage_stats *stats);

/* For fbmem: the damage of an fb_info, empty, no geometry yet. */
struct fb_damage *fb_damage_alloc(void);
void fb_damage_free(struct fb_damage *damage);
