/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * video/damage_absorb.h - bringing bytes into a frame page by page, a caller's locks in between
 *
 * What fb_damage_absorb() (damage.h) is made of, for who must not hold a lock while the source is
 * read (a fault on it may need the lock), or has to decide after reading whether the bytes may go
 * in.
 *
 *      fb_absorb_begin
 *      for each page:  fb_absorb_fetch       source -> a buffer in the first-level cache; no lock
 *                      fb_absorb_page        buffer -> frame, rectangles; the stripe's mutex
 *      fb_absorb_end                         rectangles -> the set
 *
 * A page at a time, because a buffer of one page stays in the first-level cache: then the copy in
 * between costs nothing beside the memory traffic of source and frame. With a buffer of 16 pages
 * full motion cost half as much again (fuse_fb cpu).
 */
#pragma once

#include <linux/types.h>

#include "video/damage_rects.h"
#include "video/damage_scan.h"

struct fb_info;

/* Rectangles that grow while lines go by. */
constexpr unsigned int FB_ABSORB_OPEN = 32;

/* On the caller's stack, or in an object of its own; one thread at a time. */
struct fb_absorber {
	/*
	 * What was fetched, at the same place in its page as in the frame. (Aligned: a load soon
	 * after a store that is a multiple of 4096 away waits for it.)
	 */
	alignas(FB_SCAN_MAX) char page[FB_SCAN_MAX];
	size_t from; /* the frame's bytes [from, to) were fetched */
	size_t to;
	u64 differs; /* a bit for each block of the page in which frame and @page differed, ... */
	u32 version; /* ... if the stripe still has this version */
	struct fb_info *info;
	struct fb_geometry geometry;
	size_t compared;
	size_t changed;
	bool coarse; /* too many rectangles so far */
	unsigned int nr_open;
	unsigned int nr_closed;
	struct fb_rect_entry open[FB_ABSORB_OPEN];
	struct fb_rect_entry closed[FB_DAMAGE_MAX];
};

void fb_absorb_begin(struct fb_absorber *a, struct fb_info *info);

/**
 * fb_absorb_fetch - read new bytes of one page of the frame
 * @offset: in the frame; [offset, offset + len) lies in one page of it, and in the frame
 * @src: may change meanwhile; each byte is read once
 *
 * Takes no lock. May run in kshim_try(): a fault of the source leaves @a as it was but for what was
 * fetched, which must not be used then.
 * Return: true when the frame has other bytes: call fb_absorb_page(). False: nothing is to be done.
 */
bool fb_absorb_fetch(struct fb_absorber *a, size_t offset, const void *src, size_t len);

/**
 * fb_absorb_page - bring in what was fetched
 * Takes the stripe's mutex, may sleep. Offsets should ascend: then lines grow into rectangles.
 * Return: bytes copied, as of fb_damage_absorb().
 */
size_t fb_absorb_page(struct fb_absorber *a);

/* Only now are all rectangles in the set. */
void fb_absorb_end(struct fb_absorber *a);
