/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * video/xen_fbfront.h - the front end of the virtual framebuffer, what others may know of it
 *
 * A device of type "vfb" found on the xenbus becomes an fb_info with deferred I/O. What it looks
 * like comes from nodes in its own directory, which the toolstack wrote (backend/xenfb_back.h):
 * width, height, depth (bits per pixel), line-length, mem-length, offset, refresh-us.
 *
 * KSHIM: Linux takes these from a module parameter and from the back end's directory. Here several
 * framebuffers of one machine differ, and a frame may have padding and an offset from the start.
 */
#pragma once

#include <linux/types.h>

struct fb_info;
struct machine_initcall;

/* Registers the front end driver. Needs fb and xenbus. */
extern const struct machine_initcall xenfb_initcall;

struct xenfb_front_geometry {
	u32 width;       /* pixels */
	u32 height;      /* lines */
	u32 depth;       /* bits per pixel: 8, 16, 24 or 32 */
	u32 line_length; /* bytes, 0 = width * depth / 8 */
	u32 offset;      /* bytes before the first pixel */
};

/**
 * xenfb_front_set_geometry - the frame holds another picture now
 *
 * For a frame whose content says how large it is (a file with a header). The memory stays: what
 * does not fit into it is -EINVAL. The back end hears of it by a RESIZE event before any rectangle
 * of the new picture, and copies all of it.
 * Return: 0, -EINVAL, -ENODEV (not such a framebuffer, or gone), -EOPNOTSUPP (the back end has no
 * feature-resize). Context: may sleep, takes info->lock.
 */
[[nodiscard]] int xenfb_front_set_geometry(struct fb_info *info,
					   const struct xenfb_front_geometry *geometry);

struct xenfb_front_stats {
	u64 updates;     /* UPDATE events put into the ring */
	u64 resizes;     /* RESIZE events */
	u64 ring_full;   /* times the ring was full and rectangles had to wait */
	u64 in_events;   /* events from the back end, ignored as such */
	u64 bad_indexes; /* times the back end's out_cons or in_prod made no sense */
	bool connected;
};
void xenfb_front_stats(struct fb_info *info, struct xenfb_front_stats *stats);

/**
 * xenfb_front_wait_sent - until no rectangle waits for room in the ring
 * @end: out: the ring index behind the last event
 * @timeout: jiffies to wait at most
 * Return: 0, -ENOTCONN (no back end), -ETIMEDOUT (the back end does not consume).
 */
[[nodiscard]] int xenfb_front_wait_sent(struct fb_info *info, u32 *end, unsigned long timeout);

/*
 * The fb_info of the front end with this xenstore directory, with a reference, or ERR_PTR(-ENODEV).
 */
struct fb_info *xenfb_front_find(const char *nodename);
