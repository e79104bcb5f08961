/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xenfb_back_ring.cc - events from the front end
 *
 *      out_prod --(once)--> at most 51 events --(each copied once)--> checked, clipped
 *                       UPDATE -> stale set, sinks        RESIZE -> new layout, all stale, sinks
 *
 * R1: out_prod further than 51 ahead of what we consumed: nothing is consumed, nothing changes.
 * R2: per notification at most 51 events, per event at most one pass over the stale set: a front
 *     end that notifies in a loop costs bounded work per loop.
 * R3: a RESIZE allocates and copies nothing; the copy follows when somebody looks.
 * R4: out_cons moves on when all is taken in; whoever waits for it then finds the rectangles stale.
 */
#include <stdarg.h>

#include <kshim/mutant.h>
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/sprintf.h>
#include <xen/events.h>

#include "backend/xenfb_back_private.h"

void xenfb_back_complain(struct xenfb_back *back, const char *fmt, ...)
{
	char message[192];
	va_list args;

	if (!__ratelimit(&back->complaints))
		return;
	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	pr_err("%s: the front end %s; ignored\n", back->nodename, message);
}

/* Rectangles of one drain for the sinks. */
struct rect_batch {
	unsigned int n;
	struct fb_rect rects[XENFB_OUT_LEN];
};

static void flush_to_sinks(struct xenfb_back *back, struct rect_batch *batch)
{
	struct xenfb_sink *sink;

	if (!batch->n)
		return;
	guard(mutex)(&back->sink_lock);
	list_for_each_entry (sink, &back->sinks, node) {
		if (sink->ops->update)
			sink->ops->update(sink, batch->rects, batch->n);
	}
	batch->n = 0;
}

/* [position, position + extent) within [0, limit); false if nothing is left. */
static bool clip(s32 position, s32 extent, u32 limit, u32 *start, u32 *end)
{
	s64 first = max((s64)position, (s64)0);
	s64 last = min((s64)position + extent, (s64)limit);

	if (extent <= 0 || first >= last)
		return false;
	*start = (u32)first;
	*end = (u32)last;
	return true;
}

static void bad_event(struct xenfb_back *back)
{
	guard(spinlock)(&back->state_lock);
	back->stats.bad_events++;
}

static void handle_update(struct xenfb_back *back, const struct xenfb_update *update,
			  struct rect_batch *batch)
{
	u32 x0, y0, x1, y1;
	bool visible;

	{
		guard(spinlock)(&back->state_lock);
		visible = clip(update->x, update->width, back->layout.width, &x0, &x1) &&
			  clip(update->y, update->height, back->layout.height, &y0, &y1);
		if (visible) {
			fb_rect_set_add(&back->stale, fb_rect_entry_make(x0, y0, x1, y1));
			back->stats.rects++;
			back->stats.pixels += (u64)(x1 - x0) * (y1 - y0);
		}
	}
	if (!visible) {
		bad_event(back);
		xenfb_back_complain(back, "updates %dx%d at %d,%d, which is not on the screen",
				    update->width, update->height, update->x, update->y);
		return;
	}
	/* No more than the ring holds; the drain has made sure. */
	BUG_ON(batch->n == ARRAY_SIZE(batch->rects));
	batch->rects[batch->n++] = {x0, y0, x1 - x0, y1 - y0};
}

void xenfb_back_set_layout(struct xenfb_back *back, const struct xenfb_layout *layout)
{
	struct xenfb_geometry geometry;
	struct xenfb_sink *sink;

	{
		guard(spinlock)(&back->state_lock);
		back->layout = *layout;
		/* 0 means that there never was a picture. */
		back->generation = back->generation == ~0u ? 1 : back->generation + 1;
		back->stale.nr = 0;
		fb_rect_set_add(&back->stale,
				fb_rect_entry_make(0, 0, layout->width, layout->height));
		geometry = xenfb_copy_geometry(layout, back->generation);
	}
	guard(mutex)(&back->sink_lock);
	list_for_each_entry (sink, &back->sinks, node) {
		if (sink->ops->resize)
			sink->ops->resize(sink, &geometry);
	}
}

static void handle_resize(struct xenfb_back *back, const struct xenfb_resize *resize,
			  struct rect_batch *batch) __must_hold(back->ring_lock);
static void handle_event(struct xenfb_back *back, const union xenfb_out_event *event,
			 struct rect_batch *batch) __must_hold(back->ring_lock);

static void handle_resize(struct xenfb_back *back, const struct xenfb_resize *resize,
			  struct rect_batch *batch)
{
	/* Negative numbers become large ones, which are not valid either. */
	const struct xenfb_layout layout = {(u32)resize->width, (u32)resize->height,
					    (u32)resize->stride, (u32)resize->depth,
					    (u32)resize->offset};

	if (!xenfb_layout_valid(layout, back->mem_length)) {
		bad_event(back);
		xenfb_back_complain(
			back,
			"resizes to %dx%d at %d bits, lines of %d bytes, offset %d, which does "
			"not fit its %llu bytes",
			resize->width, resize->height, resize->depth, resize->stride,
			resize->offset, (unsigned long long)back->mem_length);
		return;
	}
	/* In the order of the events: these are in the old geometry. */
	flush_to_sinks(back, batch);
	{
		guard(spinlock)(&back->state_lock);
		back->stats.resizes++;
	}
	xenfb_back_set_layout(back, &layout);
}

static void handle_event(struct xenfb_back *back, const union xenfb_out_event *event,
			 struct rect_batch *batch)
{
	switch (event->type) {
	case XENFB_TYPE_UPDATE:
		handle_update(back, &event->update, batch);
		break;
	case XENFB_TYPE_RESIZE:
		handle_resize(back, &event->resize, batch);
		break;
	default:
		bad_event(back);
		xenfb_back_complain(back, "sends events of type %u", event->type);
		break;
	}
}

/* The mutant's way with an UPDATE whose fields were checked in another copy of the event. */
static void take_unchecked(struct xenfb_back *back, const struct xenfb_update *update,
			   struct rect_batch *batch)
{
	const struct fb_rect rect = {(u32)update->x, (u32)update->y, (u32)update->width,
				     (u32)update->height};

	{
		guard(spinlock)(&back->state_lock);
		fb_rect_set_add(&back->stale,
				fb_rect_entry_make(rect.x, rect.y, rect.x + rect.width,
						   rect.y + rect.height));
		back->stats.rects++;
	}
	batch->rects[batch->n++] = rect;
}

static bool on_screen(struct xenfb_back *back, const union xenfb_out_event *event)
{
	const struct xenfb_update *u = &event->update;

	guard(spinlock)(&back->state_lock);
	return event->type == XENFB_TYPE_UPDATE && u->x >= 0 && u->y >= 0 && u->width > 0 &&
	       u->height > 0 && (u32)u->x + (u32)u->width <= back->layout.width &&
	       (u32)u->y + (u32)u->height <= back->layout.height;
}

/*
 * More events than the ring holds: the front end lies. Mutants: QEMU once believed it, and went
 * around the ring four thousand million times; the cure refused 51, which is a full ring.
 */
static bool too_many(u32 n)
{
	if (KSHIM_MUTANT(xenfb_trusts_out_prod))
		return false;
	return KSHIM_MUTANT(xenfb_rejects_full_ring) ? n >= XENFB_OUT_LEN : n > XENFB_OUT_LEN;
}

static long use_page(struct xenfb_back *back) __must_hold(back->ring_lock);
static bool read_out_prod(struct xenfb_back *back, u32 *prod) __must_hold(back->ring_lock);
static bool read_event(struct xenfb_back *back, u32 index, struct xenfb_out_private *event)
	__must_hold(back->ring_lock);
static bool write_out_cons(struct xenfb_back *back, u32 cons) __must_hold(back->ring_lock);
static u32 drain_locked(struct xenfb_back *back, int irq) __must_hold(back->ring_lock);

/* A sequence for xen_foreign_retry(); below 0: the page is gone, and cannot be had again. */
static long use_page(struct xenfb_back *back)
{
	const long sequence = xen_foreign_use(back->page_map);

	if (sequence < 0)
		xenfb_back_complain(back, "took its shared page away (error %ld)", sequence);
	return sequence;
}

/* From the ring, and not from scratch memory. False: the page is gone. */
static bool read_out_prod(struct xenfb_back *back, u32 *prod)
{
	long sequence;

	do {
		sequence = use_page(back);
		if (sequence < 0)
			return false;
		/* Pairs with the release in xenfb_out_publish(): the slots up to it are filled. */
		*prod = smp_load_acquire(&back->page->out_prod);
	} while (xen_foreign_retry(back->page_map, sequence));
	return true;
}

static bool read_event(struct xenfb_back *back, u32 index, struct xenfb_out_private *event)
{
	long sequence;

	do {
		sequence = use_page(back);
		if (sequence < 0)
			return false;
		*event = xenfb_out_get(back->page, index);
	} while (xen_foreign_retry(back->page_map, sequence));
	return true;
}

/* So that it stays where the front end looks. */
static bool write_out_cons(struct xenfb_back *back, u32 cons)
{
	long sequence;

	do {
		sequence = use_page(back);
		if (sequence < 0)
			return false;
		smp_store_release(&back->page->out_cons, cons);
	} while (xen_foreign_retry(back->page_map, sequence));
	return true;
}

static u32 drain_locked(struct xenfb_back *back, int irq)
{
	const u32 first = back->out_cons;
	struct rect_batch batch = {};
	u32 prod, n;

	if (!read_out_prod(back, &prod))
		return 0;
	n = prod - first;
	{
		guard(spinlock)(&back->state_lock);
		back->stats.notifications++;
		if (too_many(n))
			back->stats.bad_indexes++;
		else
			back->stats.events += n;
	}
	if (too_many(n)) {
		xenfb_back_complain(back,
				    "claims %u events in a ring of %u (out_prod %u, out_cons %u)",
				    n, XENFB_OUT_LEN, prod, first);
		return n;
	}
	for (u32 i = 0; i < n; i++) {
		struct xenfb_out_private event;

		if (!read_event(back, first + i, &event))
			break;
		/* Mutant: checked in one copy, used from another (CVE-2015-8550). */
		if (KSHIM_MUTANT(xenfb_double_fetch) && on_screen(back, &event.event)) {
			event = xenfb_out_get(back->page, first + i);
			take_unchecked(back, &event.event.update, &batch);
			continue;
		}
		handle_event(back, &event.event, &batch);
	}
	flush_to_sinks(back, &batch);
	back->out_cons = prod;
	{
		guard(spinlock)(&back->state_lock);
		back->drained = prod;
	}
	wake_up_all(&back->drained_wq);
	if (!write_out_cons(back, prod))
		return n;
	/*
	 * Did the front end see the ring full? It stores out_prod, then loads out_cons; we store
	 * out_cons, then load out_prod (both with a full barrier between): if it missed our store,
	 * we see the out_prod with which it found no room, and it gets an event.
	 */
	smp_mb();
	/* Mutant: a look at the out_prod of before: the ring became full meanwhile. */
	u32 newest = prod;

	if (!KSHIM_MUTANT(xenfb_full_ring_unseen) && !read_out_prod(back, &newest))
		return n;
	if (n && irq && !xenfb_out_room(newest, first))
		notify_remote_via_irq(irq);
	return n;
}

u32 xenfb_back_drain(struct xenfb_back *back, int irq)
{
	guard(mutex)(&back->ring_lock);
	return back->page ? drain_locked(back, irq) : 0;
}

static bool drained_or_gone(struct xenfb_back *back, u32 end, bool *connected)
{
	guard(spinlock)(&back->state_lock);
	*connected = back->connected;
	return !back->connected || (s32)(back->drained - end) >= 0;
}

int xenfb_back_wait_drained(struct xenfb_back *back, u32 end, unsigned long timeout)
{
	bool connected;

	if (!wait_event_timeout(back->drained_wq, drained_or_gone(back, end, &connected), timeout))
		return -ETIMEDOUT;
	return connected ? 0 : -ENOTCONN;
}

void xenfb_back_add_sink(struct xenfb_back *back, struct xenfb_sink *sink)
{
	struct xenfb_geometry geometry;

	guard(mutex)(&back->sink_lock);
	list_add_tail(&sink->node, &back->sinks);
	xenfb_back_geometry(back, &geometry);
	if (geometry.generation && sink->ops->resize)
		sink->ops->resize(sink, &geometry);
}

void xenfb_back_remove_sink(struct xenfb_back *back, struct xenfb_sink *sink)
{
	guard(mutex)(&back->sink_lock);
	list_del_init(&sink->node);
}

void xenfb_back_geometry(struct xenfb_back *back, struct xenfb_geometry *out)
{
	guard(spinlock)(&back->state_lock);
	*out = xenfb_copy_geometry(&back->layout, back->generation);
}

void xenfb_back_stats(struct xenfb_back *back, struct xenfb_back_stats *out)
{
	guard(spinlock)(&back->state_lock);
	*out = back->stats;
	out->connected = back->connected;
}
