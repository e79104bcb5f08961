/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * video/xen_fbfront_private.h - the front end's parts among themselves
 *
 *      xen_fbfront.cc        the device: probe, states of the other end, remove
 *      xen_fbfront_fb.cc     the frame: memory, directories, geometry
 *      xen_fbfront_ring.cc   the shared page: sending, events from the back end
 *
 * One struct per framebuffer, in info->par: it lives as long as the fb_info, so who holds a
 * reference may ask for statistics or draw after the device went away; nothing is sent then.
 */
#pragma once

#include <linux/fb.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/ratelimit.h>
#include <linux/wait.h>
#include <xen/xenbus.h>

#include "video/damage.h"
#include "video/xen_fbfront.h"
#include "video/xenfb_ring.h"

struct page;

struct xenfb_front {
	struct fb_info *info;
	struct xenbus_device *dev; /* the watch thread's; null after remove */
	char *nodename;            /* constant */
	struct list_head node;     /* protected by xenfb_front_state::lock */
	struct fb_deferred_io defio;

	/* Constant from probe on. */
	u64 mem_length;
	struct page *page_frame; /* of the shared page */
	struct xenfb_page *page;
	u32 nr_pd;
	struct page *pd[XENFB_PD_MAX];

	evtchn_port_t port; /* the watch thread's */

	/* Taking damage, filling a slot and moving out_prod on are one step under this lock. */
	struct mutex lock;
	bool connected __guarded_by(lock); /* both ends Connected: may send */
	bool published __guarded_by(lock); /* irq bound: may hear */
	bool update_wanted __guarded_by(lock);
	bool feature_resize __guarded_by(lock);
	bool backlog __guarded_by(lock);        /* rectangles or a resize wait for room */
	int irq __guarded_by(lock);             /* -1: none */
	u32 out_prod __guarded_by(lock);        /* never read back from the page */
	u32 sent_generation __guarded_by(lock); /* the geometry the back end knows */
	struct xenfb_front_stats stats __guarded_by(lock);
	struct ratelimit_state complaints __guarded_by(lock);

	wait_queue_head_t sent_wq; /* backlog became false, or connected did */
};

struct xenfb_front_state {
	struct mutex lock;
	struct list_head fronts; /* protected by lock */
};

/*
 * xen_fbfront_fb.cc: an fb_info with frame, page and directories, not registered. ERR_PTR,
 * reported.
 */
struct fb_info *xenfb_front_alloc(struct xenbus_device *dev);
/* The front end behind an fb_info, or null if it is another driver's. */
struct xenfb_front *xenfb_front_of(struct fb_info *info);

/* xen_fbfront_ring.cc */
/* Sends what is damaged, as far as there is room. Context: may sleep. */
void xenfb_front_send(struct fb_info *info);
/* Both indexes to 0 and the present geometry into the page: nobody else looks at it yet. */
void xenfb_front_page_reset(struct xenfb_front *front);
/*
 * False: out_cons is no index of this ring. A back end that still had the channel of before may
 * have written it after the reset, and read it itself when it connected: then nothing would be sent
 * any more, and the page has to be begun once more. It writes Connected after that, so then is the
 * time to look.
 */
bool xenfb_front_ring_makes_sense(struct xenfb_front *front);
[[nodiscard]] int xenfb_front_bind_irq(struct xenfb_front *front);
/* After it nothing is sent and no event comes. Wakes who waits. */
void xenfb_front_unbind_irq(struct xenfb_front *front);
