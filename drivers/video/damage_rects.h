/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * video/damage_rects.h - a bounded set of rectangles, without locks
 *
 * The set covers everything that was added and tries to cover little more. Each entry remembers
 * how many of its pixels were really reported ("fill"), so that unions of unions cannot drift:
 * two entries become one when what their union covers in vain is at most a third of it, or when
 * the union is about the size of a glyph. A full set takes the union which grows least.
 *
 * R1: every pixel added since the last removal is in some entry.
 * R2: no entry is empty; nr <= FB_DAMAGE_MAX; fill <= area.
 */
#pragma once

#include "video/damage.h"

#include <linux/minmax.h>

/*
 * A union of at most so many pixels in each direction is always worth one rectangle: an event
 * costs more than its pixels. In each direction, not in all: else spans of one line would grow
 * across the screen.
 */
constexpr u32 FB_RECT_SMALL = 16;

struct fb_rect_entry {
	u32 x0, y0, x1, y1; /* half open */
	u64 fill;
};

struct fb_rect_set {
	unsigned int nr;
	struct fb_rect_entry entry[FB_DAMAGE_MAX];
};

static inline u64 fb_rect_entry_area(const struct fb_rect_entry *entry)
{
	return (u64)(entry->x1 - entry->x0) * (entry->y1 - entry->y0);
}

static inline struct fb_rect_entry fb_rect_entry_make(u32 x0, u32 y0, u32 x1, u32 y1)
{
	return {x0, y0, x1, y1, (u64)(x1 - x0) * (y1 - y0)};
}

/* The union with the sum of the fills, as one entry. */
struct fb_rect_entry fb_rect_union(const struct fb_rect_entry *a, const struct fb_rect_entry *b);

/* True when one rectangle for both is better than two. */
static inline bool fb_rect_worth_merging(const struct fb_rect_entry *a,
					 const struct fb_rect_entry *b)
{
	u32 width = max(a->x1, b->x1) - min(a->x0, b->x0);
	u32 height = max(a->y1, b->y1) - min(a->y0, b->y0);

	return (width <= FB_RECT_SMALL && height <= FB_RECT_SMALL) ||
	       (u64)width * height * 2 <= (a->fill + b->fill) * 3;
}

/* Adds @entry, which may be empty (then nothing happens). O(nr), rarely O(nr^2). */
void fb_rect_set_add(struct fb_rect_set *set, struct fb_rect_entry entry);

/* Moves the @max oldest entries out. Return: how many. */
unsigned int fb_rect_set_take(struct fb_rect_set *set, struct fb_rect *rects, unsigned int max);
