/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * backend/xenfb_back.h - the back end of the virtual framebuffer, and the toolstack that makes one
 *
 *      guest frames --(read-only foreign mapping, stale rectangles only)--> copy --> who locks it
 *      ring ----UPDATE, RESIZE----> stale rectangles, sinks
 *
 * I1: nothing the front end writes is believed: every field is read once into private memory, then
 *     checked; a bad event costs a counter and one (rate limited) line, and changes nothing.
 * I2: copying is lazy: an event only adds to the stale set. So a screen that nobody looks at costs
 *     no copying, and ten updates of one area between two looks are one copy.
 * I3: between lock_copy and unlock_copy the copy and its geometry do not change. After
 *     xenfb_flush() the next lock_copy sees at least what the frame held when flush was called.
 * I4: work per notification is bounded by the ring's 51 events, per event by the size of the stale
 *     set.
 * Locks: ring_lock (mutex: the shared page and who consumes it; sinks are called under it, too) ->
 *     copy_lock (mutex: the copy, the foreign mapping; sleeps for a copy) -> state_lock
 *     (spinlock: stale set, geometry, counters); sink_lock (mutex: the list of sinks, held while
 *     they are called).
 */
#pragma once

#include <linux/list.h>
#include <linux/types.h>
#include <video/damage.h>

struct fb_info;
struct machine_initcall;
struct pv_machine;
struct xenfb;
struct xenfb_back;
struct xenfb_sink;

/* Registers the back end driver. Needs xenbus. */
extern const struct machine_initcall xenfb_back_initcall;

/* What the copy holds. Of the copy, not of the frame: lines follow each other without padding. */
struct xenfb_geometry {
	u32 width;       /* pixels */
	u32 height;      /* lines */
	u32 line_length; /* bytes: width * depth / 8 */
	u32 depth;       /* bits per pixel: 8, 16, 24 or 32 */
	u32 generation;  /* changes with every connection and resize */
};

struct xenfb_back_stats {
	u64 notifications; /* calls of the event handler */
	u64 events;        /* out events consumed */
	u64 rects;         /* UPDATE events that touched the screen */
	u64 pixels;        /* sum of their areas after clipping */
	u64 resizes;       /* RESIZE events accepted */
	u64 bad_events;    /* unknown, or nonsense in them */
	u64 bad_indexes;   /* out_prod further ahead than the ring is long */
	u64 copies;        /* lock_copy calls that had something to copy */
	u64 bytes_copied;  /* guest frames -> copy */
	u64 connects;
	bool connected;
};

/* ---- the toolstack ---- */

struct xenfb_config {
	u32 width;
	u32 height;
	u32 depth;       /* bits per pixel: 8, 16, 24 or 32 */
	u32 line_length; /* bytes, 0 = width * depth / 8 */
	u64 mem_length;  /* bytes of the frame, 0 = offset + line_length * height */
	u32 offset;      /* bytes before the first pixel */
	u32 refresh_us;  /* refresh period, 0 = 1/60 s */
};

/**
 * xenfb_create - make a framebuffer: both ends, connected
 *
 * Writes both directories in one transaction, lets the bus probe both ends and waits until both are
 * Connected. Context: may sleep; not from a watch or event thread.
 * Return: 0 and *@out, owned by the caller until xenfb_destroy(); or, after one line in the log:
 * -EINVAL (geometry makes no sense), -E2BIG (more than 123 page directories, 246 MiB), -ENOMEM (the
 * machine's memory is too small), -ENODEV (a driver is missing), -EIO (an end closed and gave no
 * reason), -ETIMEDOUT.
 */
[[nodiscard]] int xenfb_create(struct pv_machine *m, const struct xenfb_config *config,
			       struct xenfb **out);

/* Closes both ends, waits until both drivers let go, removes the directories. Accepts null. */
void xenfb_destroy(struct xenfb *x);

struct fb_info *xenfb_info(struct xenfb *x);
struct xenfb_back *xenfb_backend(struct xenfb *x);

/**
 * xenfb_flush - everything drawn before the call can be seen in the copy
 *
 * Runs deferred I/O, waits until the rectangles are in the ring and the back end has consumed them:
 * after it, lock_copy gives the frame as of the call (or newer). Not from a thread that a harvest
 * or a sink waits for. Return: 0, -ENODEV (gone), -ENOTCONN, -ETIMEDOUT (60 s).
 */
[[nodiscard]] int xenfb_flush(struct xenfb *x);

/* ---- the picture ---- */

/**
 * xenfb_back_lock_copy - look at the screen
 *
 * Copies what is stale from the guest's frames, then returns the copy, locked against changes until
 * xenfb_back_unlock_copy(); keep it short. Works after the front end went away: the last picture.
 * Return: the first byte of line 0, or null if there never was a picture (then there is nothing to
 * unlock). Context: may sleep. Takes copy_lock, which stays held.
 */
const void *xenfb_back_lock_copy(struct xenfb_back *back, struct xenfb_geometry *out);
void xenfb_back_unlock_copy(struct xenfb_back *back);

void xenfb_back_geometry(struct xenfb_back *back, struct xenfb_geometry *out);
void xenfb_back_stats(struct xenfb_back *back, struct xenfb_back_stats *out);

/*
 * Both are called from the event thread (or the watch thread, at a connect), must be quick, must
 * not lock the copy, add or remove sinks. Rectangles are clipped to the geometry told last.
 */
struct xenfb_sink_ops {
	void (*update)(struct xenfb_sink *sink, const struct fb_rect *rects, unsigned int n);
	void (*resize)(struct xenfb_sink *sink, const struct xenfb_geometry *geometry);
};

struct xenfb_sink {
	const struct xenfb_sink_ops *ops;
	struct list_head node; /* protected by the back end's sink_lock */
};

/* Calls resize() at once with the present geometry if there is one. */
void xenfb_back_add_sink(struct xenfb_back *back, struct xenfb_sink *sink);
/* When it returns no callback of @sink runs or will run. */
void xenfb_back_remove_sink(struct xenfb_back *back, struct xenfb_sink *sink);
