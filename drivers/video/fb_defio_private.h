/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fb_defio_private.h - shared by fb_defio.cc, fb_defio_vma.cc and fbmem.cc
 */
#pragma once

#include "video/fb_defio.h"

#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

struct fb_defio_vmas;

struct fb_defio {
	struct fb_info *info; /* owns us; lives until the last reference */
	struct fb_defio_vmas *vmas;
	struct workqueue_struct *wq;
	struct delayed_work work;

	struct mutex lock;
	struct list_head mappings __guarded_by(lock);
	bool cut_off __guarded_by(lock); /* cleanup has run: no harvest, no deferred_io any more */

	spinlock_t kick_lock;
	bool dead __guarded_by(kick_lock); /* the work is not queued any more */
	u64 last_run_ns __guarded_by(kick_lock);
	unsigned long delay __guarded_by(kick_lock);

	struct fb_defio_stats stats; /* runs, flushes: lock; kicks: kick_lock */
};

/* The last file of the device was closed: flush. */
void fb_defio_last_close(struct fb_info *info);

/* With the last reference of @info. */
void fb_defio_free(struct fb_info *info);

/* What files of the device map; null without deferred I/O. */
struct address_space *fb_defio_address_space(struct fb_info *info);

struct fb_defio_vmas *fb_defio_vmas_alloc(struct fb_info *info);
void fb_defio_vmas_free(struct fb_defio_vmas *vmas);

/* In between no first VMA comes and no last one goes. Before the defio lock. */
void fb_defio_vmas_hold(struct fb_defio_vmas *vmas) __no_thread_safety_analysis;
void fb_defio_vmas_let_go(struct fb_defio_vmas *vmas) __no_thread_safety_analysis;
