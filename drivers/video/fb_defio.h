/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * video/fb_defio.h - deferred I/O, the side of those who map a frame
 *
 * A store into a mapped frame costs nothing until the next refresh period. A *mapping* is a way
 * by which programs store into their copy of the frame; deferred I/O asks it once per period to
 * bring what was stored into the frame ("harvest"), and then tells the driver.
 *
 *      store --> mapping notices the first one, fb_defio_kick()
 *                   ... period/8 after a pause, else one period after the last run ...
 *      worker -> harvest() of every mapping -> fb_damage_absorb() -> driver's deferred_io()
 *                   true: again in a period           (takes the rectangles, sends)
 *
 * I1: after quiescence (no stores, worker run) the frame is what programs stored: a store is either
 *     harvested, or the work is pending.
 * I2: the order inside a mapping is: arrange that the next store is noticed, THEN read the bytes.
 *     The order of a store's notice is: record it, THEN kick.
 * I3: one harvest runs at a time per framebuffer; deferred_io likewise.
 * I4: a close and an fsync flush, and never cancel.
 * Locks: the fb_defio lock (mutex, sleeping, held across harvests and deferred_io). kick takes
 *     none of the sleeping locks.
 */
#pragma once

#include <linux/fb.h>
#include <linux/list.h>
#include <linux/types.h>

struct fb_defio_mapping;

/* Lines of a part of a frame, made beside it. */
struct fb_block {
	size_t offset; /* in the frame, of the first line */
	size_t pitch;  /* from line to line in the frame */
	size_t len;    /* bytes of a line */
	u32 lines;
	const char *bytes; /* lines without padding */
};

enum fb_defio_kind {
	FB_DEFIO_GUEST, /* VMAs of guest programs, fb_defio_vma.cc */
	FB_DEFIO_FILE,  /* a file of the host, fuse-fb */
};

struct fb_defio_mapping_ops {
	const char *name;
	enum fb_defio_kind kind;
	/*
	 * Bring every store made before the call into the frame, through fb_damage_absorb(), and
	 * arrange that later stores are noticed. May sleep. Must not call add, remove or flush.
	 * Return: true = call again next period even if nobody kicks.
	 */
	bool (*harvest)(struct fb_defio_mapping *mapping);
	/*
	 * The device goes away: the next access must fail. Called once, with the defio lock held;
	 * the mapping is off the list and must not be removed afterwards (remove is then a
	 * no-op).
	 */
	void (*zap)(struct fb_defio_mapping *mapping);
	/*
	 * The kernel draws: these bytes into the frame and into what programs see. Returns when
	 * both have them. May sleep; called with the defio lock held, so no harvest runs. 0 or
	 * -errno. What a program stores into the same bytes at the same time may win or lose.
	 */
	int (*store)(struct fb_defio_mapping *mapping, const struct fb_block *block);
};

struct fb_defio_mapping {
	const struct fb_defio_mapping_ops *ops;
	struct list_head node; /* protected by the defio lock */
};

/**
 * fb_defio_add_mapping - let @mapping take part
 *
 * KSHIM: a framebuffer is reached by guest VMAs or by a file, not both: two page caches of one
 * frame cannot be coherent. Return: 0, -EBUSY (a mapping of the other kind is there), -ENODEV
 * (the device is gone, or has no deferred I/O).
 */
[[nodiscard]] int fb_defio_add_mapping(struct fb_info *info, struct fb_defio_mapping *mapping);

/**
 * fb_defio_remove_mapping - harvest once more, then forget @mapping
 *
 * When it returns no callback of @mapping runs or will run. Sleeps for as long as a harvest
 * takes: not for a thread that a harvest waits for (a FUSE request handler).
 */
void fb_defio_remove_mapping(struct fb_info *info, struct fb_defio_mapping *mapping);

/**
 * fb_defio_kick - there is something to harvest, or to send
 *
 * Schedules one run if none is pending: period/8 from now after a pause, otherwise one period
 * after the last run began. Cheap; any context; also from within harvest and deferred_io. No-op
 * once the device is gone.
 */
void fb_defio_kick(struct fb_info *info);

/**
 * fb_defio_flush - run now and wait: harvest, deferred_io
 *
 * Every store made before the call is in the frame and was handed to the driver. Same warning as
 * for remove. Return: 0, or -ENODEV when the device is gone.
 */
[[nodiscard]] int fb_defio_flush(struct fb_info *info);

/**
 * fb_defio_store - bytes that the kernel itself has drawn
 *
 * Into the frame, with damage and a kick, and into what programs have mapped. What lies beyond the
 * frame is ignored. Same warning as for remove. Return: 0, or what a mapping's store() says.
 */
[[nodiscard]] int fb_defio_store(struct fb_info *info, const struct fb_block *block);

/* Change the refresh period (jiffies); takes effect at the next schedule. */
void fb_defio_set_period(struct fb_info *info, unsigned long delay);

struct fb_defio_stats {
	u64 runs;    /* by the worker */
	u64 flushes; /* by callers */
	u64 kicks;   /* calls that scheduled a run */
};
void fb_defio_stats(struct fb_info *info, struct fb_defio_stats *stats);

/* Guest VMAs (fb_defio_vma.cc): the address_space behind every file of the device. For fbmem. */
[[nodiscard]] int fb_defio_mmap(struct fb_info *info, struct file *file,
				struct vm_area_struct *vma);

struct fb_defio_vma_stats {
	u64 read_faults;
	u64 write_faults; /* page_mkwrite calls, i.e. page dirtyings */
	u64 pages_harvested;
};
void fb_defio_vma_stats(struct fb_info *info, struct fb_defio_vma_stats *stats);
