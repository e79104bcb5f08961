/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * backend/xenfb_back_private.h - the back end's parts among themselves
 *
 *      xenfb_back.cc          the device: connect, states of the other end, restart
 *      xenfb_back_map.cc      reading the shared page and the directories, mapping the frame
 *      xenfb_back_ring.cc     events: checking, clipping, the stale set, sinks
 *      xenfb_back_copy.cc     the copy of the screen
 *      xenfb_toolstack.cc     xenfb_create and friends
 *
 * One struct per directory name. It survives its device: sinks and lookers hold a reference, and a
 * back end that was restarted (driver or device gone and back) finds the same struct again.
 */
#pragma once

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/ratelimit.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <xen/p2m.h>
#include <xen/xenbus.h>

#include "backend/xenfb_back.h"
#include "video/damage_rects.h"
#include "video/xenfb_ring.h"

struct xenfb_back {
	refcount_t count;
	char *nodename;
	struct list_head node; /* protected by xenfb_back_state::lock */

	/* The watch thread's. */
	struct xenbus_device *dev; /* null: no device */
	int irq;                   /* -1: none */

	/* Who consumes; and who connects, until the page of the new channel is known. */
	struct mutex ring_lock;
	struct xenfb_page *page __guarded_by(ring_lock);      /* null: none */
	struct xen_foreign *page_map __guarded_by(ring_lock); /* where page is; writable */
	u32 out_cons __guarded_by(ring_lock);                 /* never read back from the page */
	u64 mem_length __guarded_by(ring_lock);

	/* Read-only mapping of the frame; whole pages over mem_length. */
	struct mutex copy_lock;
	struct xen_foreign *frame __guarded_by(copy_lock);
	char *copy __guarded_by(copy_lock);
	struct xenfb_geometry copy_geometry __guarded_by(copy_lock);

	spinlock_t state_lock;
	bool connected __guarded_by(state_lock);
	bool feature_update __guarded_by(state_lock);
	struct xenfb_layout layout __guarded_by(state_lock); /* of the frame, checked */
	u32 generation __guarded_by(state_lock);             /* of layout; 0: none yet */
	struct fb_rect_set stale __guarded_by(state_lock);
	u32 drained __guarded_by(state_lock); /* out_cons as of the last drain */
	struct xenfb_back_stats stats __guarded_by(state_lock);
	struct ratelimit_state complaints; /* has its own lock */

	struct mutex sink_lock;
	struct list_head sinks __guarded_by(sink_lock);

	wait_queue_head_t drained_wq;
};

struct xenfb_back_state {
	struct mutex lock;
	struct list_head
		backs __guarded_by(lock); /* each with a reference while its device lives */
	unsigned int next_id __guarded_by(lock);
};

/* With a reference; made if there is none. ERR_PTR(-ENOMEM). */
struct xenfb_back *xenfb_back_get(const char *nodename, bool create);
void xenfb_back_put(struct xenfb_back *back);

/* What a front end published, after all checks: what is mapped is for the caller to unmap. */
struct xenfb_back_mapping {
	struct xen_foreign *page;
	struct xen_foreign *frame;
	struct xenfb_layout layout;
	u64 mem_length;
	u32 out_cons;
};
/* m->page. 0, or an error that was reported. */
[[nodiscard]] int xenfb_back_map_page(struct xenbus_device *dev, struct xenfb_back_mapping *m);
/* All but page and frame, from the page; each number once. 0, or an error that was reported. */
[[nodiscard]] int xenfb_back_read_page(struct xenbus_device *dev, struct xenfb_back_mapping *m);
/* Checks that, and maps m->frame. 0, or an error that was reported. */
[[nodiscard]] int xenfb_back_map_frame(struct xenbus_device *dev, struct xenfb_back_mapping *m);

/*
 * Consumes what is in the ring, if there is one. The event thread, or the watch thread.
 * @irq: to tell the front end by that there is room again; 0: it has gone.
 * Return: 0: there was nothing to do.
 */
u32 xenfb_back_drain(struct xenfb_back *back, int irq);
/* A new picture: geometry, everything stale, sinks told. */
void xenfb_back_set_layout(struct xenfb_back *back, const struct xenfb_layout *layout);
/* Until the ring was drained up to @end. 0, -ENOTCONN, -ETIMEDOUT. */
[[nodiscard]] int xenfb_back_wait_drained(struct xenfb_back *back, u32 end, unsigned long timeout);

/* One line about the front end, if there were not many just now. */
void xenfb_back_complain(struct xenfb_back *back, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static inline struct xenfb_geometry xenfb_copy_geometry(const struct xenfb_layout *l,
							u32 generation)
{
	return {l->width, l->height, l->width * (l->depth / 8), l->depth, generation};
}
