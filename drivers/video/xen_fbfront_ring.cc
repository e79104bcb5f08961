/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xen_fbfront_ring.cc - what goes through the shared page
 *
 *      deferred I/O (worker, flush)  --\
 *      back end's event (ring was full) +--> xenfb_front_send(): lock { room? take damage, fill
 *      slots,
 *      Connected                     --/                              publish, notify }
 *
 * I1: taking rectangles, their slots and out_prod are one critical section: two senders never use
 *     one slot, and a taken rectangle is in the ring when the lock is free.
 * I2: what finds no room stays in the damage set (and grows there, merged); backlog says so. The
 *     back end that consumes from a full ring sends an event, and that sends the rest.
 * I3: a geometry is told before any rectangle of it, and never to a back end without
 *     feature-resize.
 * I4: out_cons is the back end's word: a number that makes no sense means "no room", nothing else.
 */
#include <kshim/mutant.h>
#include <kshim/xen.h>
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/kcsan-checks.h>
#include <linux/kernel.h>
#include <xen/events.h>

#include "video/xen_fbfront_private.h"

static u32 room_locked(struct xenfb_front *front) __must_hold(front->lock);
static void put_locked(struct xenfb_front *front, const struct xenfb_out_private *event)
	__must_hold(front->lock);
static bool push_resize_locked(struct xenfb_front *front, const struct fb_geometry *g)
	__must_hold(front->lock);
static bool push_rects_locked(struct xenfb_front *front, u32 room) __must_hold(front->lock);
static void send_locked(struct xenfb_front *front) __must_hold(front->lock);

static u32 room_locked(struct xenfb_front *front)
{
	u32 cons = smp_load_acquire(&front->page->out_cons);

	if (front->out_prod - cons > XENFB_OUT_LEN) {
		front->stats.bad_indexes++;
		if (__ratelimit(&front->complaints))
			pr_err("%s: the back end's out_cons is %u with out_prod %u: nothing is "
			       "sent until "
			       "it makes sense\n",
			       front->nodename, cons, front->out_prod);
	}
	/*
	 * Mutant: Linux asks only whether the ring is full; with any other number from the back end
	 * it goes on, over events that nobody has consumed.
	 */
	if (KSHIM_MUTANT(xenfb_trusts_out_cons))
		return front->out_prod - cons == XENFB_OUT_LEN ? 0 : XENFB_OUT_LEN;
	/* Mutant: 51 at any index; but 0xffffffff and 0 are one slot (xenfb_ring.h). */
	if (KSHIM_MUTANT(xenfb_ignores_wrap))
		return front->out_prod - cons < XENFB_OUT_LEN
			       ? XENFB_OUT_LEN - (front->out_prod - cons)
			       : 0;
	return xenfb_out_room(front->out_prod, cons);
}

/* The mutants' way: the lock is dropped, the index is that of the page. */
static void put_unlocked(struct xenfb_front *front, const struct xenfb_out_private *event)
	__must_hold(front->lock)
{
	u32 prod;

	mutex_unlock(&front->lock);
	prod = READ_ONCE(front->page->out_prod);
	xenfb_out_put(front->page, prod, event);
	xenfb_out_publish(front->page, prod + 1);
	mutex_lock(&front->lock);
	front->out_prod = READ_ONCE(front->page->out_prod);
}

static void put_locked(struct xenfb_front *front, const struct xenfb_out_private *event)
{
	/*
	 * Mutants: xen-fbfront takes the rectangle under its lock, and writes it into the ring
	 * without: two senders find the same out_prod, and one event is lost. A RESIZE is sent
	 * under another lock, with the same result.
	 */
	if (event->event.type == XENFB_TYPE_UPDATE && KSHIM_MUTANT(xenfb_send_unlocked)) {
		put_unlocked(front, event);
		return;
	}
	if (event->event.type == XENFB_TYPE_RESIZE && KSHIM_MUTANT(xenfb_resize_unlocked)) {
		put_unlocked(front, event);
		return;
	}
	kcsan_check_write(&front->out_prod, sizeof(front->out_prod));
	xenfb_out_put(front->page, front->out_prod++, event);
}

/* False: not to be told. */
static bool push_resize_locked(struct xenfb_front *front, const struct fb_geometry *g)
{
	/* Mutant: Linux's set_par asks for a RESIZE whoever is at the other end. */
	if (!front->feature_resize && !KSHIM_MUTANT(xenfb_resize_unasked))
		return false;
	struct xenfb_out_private event = xenfb_out_resize(g->width, g->height, g->line_length,
							  g->bytes_per_pixel * 8, g->offset);

	put_locked(front, &event);
	front->sent_generation = g->generation;
	front->stats.resizes++;
	return true;
}

/* Up to @room rectangles. False when there is none. */
static bool push_rects_locked(struct xenfb_front *front, u32 room)
{
	struct fb_rect rects[XENFB_OUT_LEN];
	struct fb_geometry g;
	unsigned int n = fb_damage_take(front->info, rects, room, &g);

	if (n && g.generation != front->sent_generation) {
		/* The geometry changed since it was looked at: it has to be told first. */
		for (unsigned int i = 0; i < n; i++)
			fb_damage_add(front->info, rects[i]);
		return true;
	}
	for (unsigned int i = 0; i < n; i++) {
		struct xenfb_out_private event =
			xenfb_out_update(rects[i].x, rects[i].y, rects[i].width, rects[i].height);

		put_locked(front, &event);
		front->stats.updates++;
	}
	return n > 0;
}

static void send_locked(struct xenfb_front *front)
{
	const u32 first = front->out_prod;
	bool more = true;

	front->backlog = false;
	while (more) {
		u32 room = room_locked(front);
		struct fb_geometry g;

		fb_damage_geometry(front->info, &g);
		bool resized = g.generation != front->sent_generation;

		if (!room) {
			front->backlog =
				resized || (front->update_wanted && fb_damage_pending(front->info));
			if (front->backlog)
				front->stats.ring_full++;
			break;
		}
		if (resized)
			more = push_resize_locked(front, &g);
		else
			more = front->update_wanted && push_rects_locked(front, room);
		/*
		 * Published in every turn: room is asked again, and a back end that emptied the
		 * ring must be able to see that it was full (xenfb_back_ring.cc, which has this
		 * barrier's partner).
		 */
		xenfb_out_publish(front->page, front->out_prod);
		smp_mb();
	}
	/* The mutant that resets under a running sender is not the one without an irq. */
	if (front->irq < 0 && KSHIM_MUTANT(xenfb_reset_running))
		return;
	if (front->out_prod != first)
		notify_remote_via_irq(front->irq);
}

void xenfb_front_send(struct fb_info *info)
{
	struct xenfb_front *front = xenfb_front_of(info);
	bool done = true;

	{
		guard(mutex)(&front->lock);
		if (front->connected) {
			send_locked(front);
			done = !front->backlog;
		}
	}
	if (done)
		wake_up_all(&front->sent_wq);
}

/*
 * The back end consumed from a full ring, or has put something into the in ring. All that exists is
 * the refresh period, advice for front ends that cannot say what changed; we say it, so it is
 * ignored.
 */
static irqreturn_t xenfb_front_event(int irq, void *data)
{
	auto *front = static_cast<struct xenfb_front *>(data);
	bool backlog;

	{
		guard(mutex)(&front->lock);
		u32 prod = smp_load_acquire(&front->page->in_prod);
		u32 arrived = prod - READ_ONCE(front->page->in_cons);

		if (!front->published)
			return IRQ_HANDLED;
		if (arrived > XENFB_IN_LEN)
			front->stats.bad_indexes++;
		else
			front->stats.in_events += arrived;
		WRITE_ONCE(front->page->in_cons, prod);
		backlog = front->backlog;
	}
	if (backlog)
		xenfb_front_send(front->info);
	return IRQ_HANDLED;
}

static void page_reset_locked(struct xenfb_front *front, const struct fb_geometry *g)
	__must_hold(front->lock)
{
	struct xenfb_page *page = front->page;

	WRITE_ONCE(page->in_cons, 0);
	WRITE_ONCE(page->in_prod, 0);
	WRITE_ONCE(page->out_cons, 0);
	WRITE_ONCE(page->out_prod, 0);
	WRITE_ONCE(page->width, (s32)g->width);
	WRITE_ONCE(page->height, (s32)g->height);
	WRITE_ONCE(page->line_length, g->line_length);
	WRITE_ONCE(page->mem_length, (u32)front->mem_length);
	WRITE_ONCE(page->depth, (u8)(g->bytes_per_pixel * 8));
	kcsan_check_write(&front->out_prod, sizeof(front->out_prod));
	WRITE_ONCE(front->out_prod, 0u);
	/* The page has no field for an offset: with one, the first event must be a RESIZE. */
	front->sent_generation = g->offset ? g->generation - 1 : g->generation;
	front->backlog = false;
	front->feature_resize = false;
	front->update_wanted = false;
}

/* Mutant: xen-fbfront's resume zeroes the indexes while its worker sends. */
static void page_reset_unlocked(struct xenfb_front *front,
				const struct fb_geometry *g) __no_thread_safety_analysis
{
	page_reset_locked(front, g);
}

void xenfb_front_page_reset(struct xenfb_front *front)
{
	struct fb_geometry g;

	fb_damage_geometry(front->info, &g);
	if (KSHIM_MUTANT(xenfb_reset_running)) {
		page_reset_unlocked(front, &g);
		return;
	}
	guard(mutex)(&front->lock);
	page_reset_locked(front, &g);
}

bool xenfb_front_ring_makes_sense(struct xenfb_front *front)
{
	guard(mutex)(&front->lock);
	/* Mutant: nobody looks. Ours was so. */
	return front->out_prod - smp_load_acquire(&front->page->out_cons) <= XENFB_OUT_LEN ||
	       KSHIM_MUTANT(xenfb_late_out_cons);
}

int xenfb_front_bind_irq(struct xenfb_front *front)
{
	struct xenbus_device *dev = front->dev;
	int irq, err;

	err = xenbus_alloc_evtchn(dev, &front->port);
	if (err)
		return err;
	/* Under the lock: a handler that runs at once must find the irq that it came from. */
	guard(mutex)(&front->lock);
	irq = bind_evtchn_to_irqhandler(dev->domain, front->port, xenfb_front_event, 0,
					front->nodename, front);
	if (irq < 0) {
		xenbus_free_evtchn(dev, front->port);
		return irq;
	}
	front->irq = irq;
	/* Mutant: xen-fbfront knows its irq only after the state says Initialised. */
	front->published = !KSHIM_MUTANT(xenfb_irq_late);
	return 0;
}

void xenfb_front_unbind_irq(struct xenfb_front *front)
{
	int irq;

	{
		/* Who was told that he may resize has done so when the page is written anew. */
		guard(mutex)(&front->info->lock);
		guard(mutex)(&front->lock);
		irq = front->irq;
		front->irq = -1;
		/* Mutant: xen-fbfront forgets the irq and lets its worker send on: to irq -1. */
		front->connected = front->connected && (KSHIM_MUTANT(xenfb_sends_when_gone) ||
							KSHIM_MUTANT(xenfb_reset_running));
		front->published = false;
		front->backlog = false;
		front->feature_resize = false;
	}
	/* Without the lock: it waits for the handler, which takes the lock. */
	unbind_from_irqhandler(irq, front);
	wake_up_all(&front->sent_wq);
}

void xenfb_front_stats(struct fb_info *info, struct xenfb_front_stats *stats)
{
	struct xenfb_front *front = xenfb_front_of(info);

	*stats = {};
	if (!front)
		return;
	guard(mutex)(&front->lock);
	*stats = front->stats;
	stats->connected = front->connected;
}

static bool sent_or_gone(struct xenfb_front *front, u32 *end, bool *connected)
{
	guard(mutex)(&front->lock);
	kcsan_check_read(&front->out_prod, sizeof(front->out_prod));
	*end = front->out_prod;
	*connected = front->connected;
	return !front->connected || !front->backlog;
}

int xenfb_front_wait_sent(struct fb_info *info, u32 *end, unsigned long timeout)
{
	struct xenfb_front *front = xenfb_front_of(info);
	bool connected;

	if (!front)
		return -ENOTCONN;
	if (!wait_event_timeout(front->sent_wq, sent_or_gone(front, end, &connected), timeout))
		return -ETIMEDOUT;
	return connected ? 0 : -ENOTCONN;
}
