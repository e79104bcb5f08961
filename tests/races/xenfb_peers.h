/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xenfb_peers.h - one real end of a virtual framebuffer, the other one a puppet of the scenario
 *
 *	peer_front	the real back end; the scenario's tasks write into page and ring
 *	peer_back	the real front end; the same
 *
 * The real end's part of the oracle: nothing outside of the screen reaches a viewer, work is
 * bounded, an honest peer's events all arrive.
 */
#ifndef TESTS_RACES_XENFB_PEERS_H
#define TESTS_RACES_XENFB_PEERS_H

#include "xenfb_world.h"

#include <linux/gfp.h>
#include <xen/events.h>
#include <xen/io/protocols.h>

namespace races
{

constexpr const char *FRONT_DIR = "/local/domain/1/device/vfb/7";
constexpr const char *BACK_DIR = "/local/domain/0/backend/vfb/1/7";

inline void write_number(const char *dir, const char *node, u64 value)
{
	explore_expect(!xenbus_printf(XBT_NIL, dir, node, "%llu", (unsigned long long)value),
		       "%s/%s cannot be written", dir, node);
}

/* ---- the puppet is the front end ---- */

struct peer_front {
	struct pv_machine *machine;
	struct page *page_frame, *dir, *frames[2];
	struct xenfb_page *page;
	evtchn_port_t port;
	int irq;
	u32 events; /* calls of the handler */
	struct xenfb_back *back;

	struct xenfb_sink sink;
	struct xenfb_geometry geometry; /* as the sink was told last */
	u32 rects;                      /* told to the sink */
	held_thread held;
};

inline peer_front *peer_front_of(void *p)
{
	return static_cast<peer_front *>(p);
}

inline void peer_sink_update(struct xenfb_sink *sink, const struct fb_rect *r, unsigned int n)
{
	peer_front *f = container_of(sink, peer_front, sink);

	for (unsigned int i = 0; i < n; i++)
		explore_expect(r[i].width && r[i].height &&
				       (u64)r[i].x + r[i].width <= f->geometry.width &&
				       (u64)r[i].y + r[i].height <= f->geometry.height,
			       "a viewer is told of %ux%u at %u,%u, outside of the screen",
			       r[i].width, r[i].height, r[i].x, r[i].y);
	f->rects += n;
}

inline void peer_sink_resize(struct xenfb_sink *sink, const struct xenfb_geometry *g)
{
	container_of(sink, peer_front, sink)->geometry = *g;
}

inline const struct xenfb_sink_ops *peer_sink_ops()
{
	static const struct xenfb_sink_ops ops = {peer_sink_update, peer_sink_resize};

	return &ops;
}

inline irqreturn_t peer_front_event(int, void *data)
{
	peer_front *f = peer_front_of(data);

	WRITE_ONCE(f->events, f->events + 1);
	return IRQ_HANDLED;
}

inline void peer_front_notify(peer_front *f)
{
	notify_remote_via_irq(f->irq);
}

inline void peer_front_make_page(peer_front *f)
{
	f->page_frame = alloc_page(GFP_KERNEL | __GFP_ZERO);
	f->page = static_cast<xenfb_page *>(page_address(f->page_frame));
	f->dir = alloc_page(GFP_KERNEL | __GFP_ZERO);
	for (unsigned int i = 0; i < 2; i++) {
		f->frames[i] = alloc_page(GFP_KERNEL | __GFP_ZERO);
		static_cast<unsigned long *>(page_address(f->dir))[i] =
			xen_frame_number(f->frames[i]);
	}
	f->page->pd[0] = xen_frame_number(f->dir);
	f->page->width = WIDTH;
	f->page->height = HEIGHT;
	f->page->line_length = LINE;
	f->page->mem_length = FRAME_BYTES;
	f->page->depth = 32;
}

/* In state Initialised the back end connects, when its watch thread gets to it. */
inline void peer_front_publish(peer_front *f, enum xenbus_state state)
{
	write_number(FRONT_DIR, "page-ref", xen_frame_number(f->page_frame));
	write_number(FRONT_DIR, "event-channel", f->port);
	write_number(FRONT_DIR, "feature-update", 1);
	write_number(FRONT_DIR, "state", state);
	explore_expect(!xenbus_write(XBT_NIL, BACK_DIR, "frontend", FRONT_DIR), "no node");
	write_number(BACK_DIR, "frontend-id", XEN_DOM_FRONT);
	write_number(BACK_DIR, "state", XenbusStateInitialising);
}

/* A machine with the puppet's page and channel; nothing of it is published. */
inline peer_front *peer_front_make()
{
	auto *f = explore_new<peer_front>();

	f->machine = xenfb_machine(ends::BACK);
	machine_scope bound(f->machine);

	peer_front_make_page(f);
	explore_expect(!evtchn_alloc_unbound(xen_domain(XEN_DOM_FRONT), XEN_DOM_BACK, &f->port),
		       "port");
	f->irq = bind_evtchn_to_irqhandler(xen_domain(XEN_DOM_FRONT), f->port, peer_front_event, 0,
					   "peer", f);
	explore_expect(f->irq > 0, "irq");
	return f;
}

/* Connected, looked at, with a sink. */
inline void *peer_front_setup()
{
	peer_front *f = peer_front_make();
	machine_scope bound(f->machine);

	peer_front_publish(f, XenbusStateInitialised);
	settle();
	explore_expect(xenbus_read_driver_state(BACK_DIR) == XenbusStateConnected, "no back end");
	f->back = xenfb_back_get(BACK_DIR, false);
	f->sink.ops = peer_sink_ops();
	xenfb_back_add_sink(f->back, &f->sink);
	look(f->back);
	return f;
}

inline void peer_front_teardown(void *p)
{
	peer_front *f = peer_front_of(p);

	{
		machine_scope bound(f->machine);

		let_watch_thread_go(&f->held);
		if (f->sink.ops)
			xenfb_back_remove_sink(f->back, &f->sink);
		xenfb_back_put(f->back);
		xenbus_rm(XBT_NIL, FRONT_DIR, "");
		xenbus_rm(XBT_NIL, BACK_DIR, "");
		settle();
		unbind_from_irqhandler(f->irq, f);
		for (struct page *frame : f->frames)
			__free_page(frame);
		__free_page(f->dir);
		__free_page(f->page_frame);
	}
	explore_machine_destroy(f->machine);
}

inline struct xenfb_back_stats back_stats(const peer_front *f)
{
	struct xenfb_back_stats stats;

	xenfb_back_stats(f->back, &stats);
	return stats;
}

inline char *peer_pixel(peer_front *f, size_t offset)
{
	return static_cast<char *>(page_address(f->frames[offset / PAGE_SIZE])) +
	       offset % PAGE_SIZE;
}

/* ---- the puppet is the back end ---- */

struct peer_back {
	struct pv_machine *machine;
	struct fb_info *info;
	struct xenfb_front *front;
	struct xenfb_page *page;
	struct xen_foreign *page_map;
	int irq;
	u32 cons;
	bool drains;                 /* the handler consumes at once, as an honest back end does */
	u32 updates, resizes, lines; /* consumed: events, and which of lines 0 to 31 */
	struct xenbus_watch watch;
	held_thread held;
};

inline peer_back *peer_back_of(void *p)
{
	return static_cast<peer_back *>(p);
}

/* Takes all events out, and tells the front end. */
inline void peer_back_consume(peer_back *b)
{
	u32 prod = smp_load_acquire(&b->page->out_prod);

	explore_expect(prod - b->cons <= XENFB_OUT_LEN, "%u events in a ring of %u", prod - b->cons,
		       XENFB_OUT_LEN);
	for (; b->cons != prod; b->cons++) {
		struct xenfb_out_private e = xenfb_out_get(b->page, b->cons);

		if (e.event.type == XENFB_TYPE_RESIZE)
			b->resizes++;
		if (e.event.type != XENFB_TYPE_UPDATE)
			continue;
		b->updates++;
		for (s32 i = 0; i < e.event.update.height && e.event.update.y + i < 32; i++)
			b->lines |= 1u << (e.event.update.y + i);
	}
	smp_store_release(&b->page->out_cons, b->cons);
	notify_remote_via_irq(b->irq);
}

inline irqreturn_t peer_back_event(int irq, void *data)
{
	peer_back *b = peer_back_of(data);

	b->irq = irq;
	if (b->drains)
		peer_back_consume(b);
	return IRQ_HANDLED;
}

/* Maps the page and binds the channel that the front end has published. */
inline void peer_back_attach(peer_back *b)
{
	u64 number = xenbus_read_unsigned(FRONT_DIR, "page-ref", ~0ull);
	u64 port = xenbus_read_unsigned(FRONT_DIR, "event-channel", 0);

	xen_foreign_config writable;

	writable.writable = true;
	b->page_map = xen_foreign_map(&number, 1, &writable);
	explore_expect(!IS_ERR(b->page_map), "the shared page");
	b->page = static_cast<xenfb_page *>(xen_foreign_addr(b->page_map));
	b->irq = bind_interdomain_evtchn_to_irqhandler(xen_domain(XEN_DOM_BACK), XEN_DOM_FRONT,
						       (evtchn_port_t)port, peer_back_event, 0,
						       "peer", b);
	explore_expect(b->irq > 0, "the event channel");
}

inline void peer_back_write_nodes(bool feature_resize)
{
	write_number(FRONT_DIR, "refresh-us", NEVER_US);
	write_number(FRONT_DIR, "width", WIDTH);
	write_number(FRONT_DIR, "height", HEIGHT);
	explore_expect(!xenbus_write(XBT_NIL, FRONT_DIR, "backend", BACK_DIR), "no node");
	write_number(FRONT_DIR, "backend-id", XEN_DOM_BACK);
	write_number(BACK_DIR, "feature-resize", feature_resize);
	write_number(BACK_DIR, "request-update", 1);
	write_number(BACK_DIR, "state", XenbusStateInitialising);
	write_number(FRONT_DIR, "state", XenbusStateInitialising);
}

/* The front end has said Initialised; nobody has answered. */
inline peer_back *peer_back_make(bool feature_resize)
{
	auto *b = explore_new<peer_back>();

	b->machine = xenfb_machine(ends::FRONT);
	machine_scope bound(b->machine);

	peer_back_write_nodes(feature_resize);
	settle();
	b->info = xenfb_front_find(FRONT_DIR);
	explore_expect(!IS_ERR(b->info), "no front end");
	b->front = static_cast<xenfb_front *>(b->info->par);
	return b;
}

/* Connected. */
template <bool feature_resize>
void *peer_back_setup()
{
	peer_back *b = peer_back_make(feature_resize);
	machine_scope bound(b->machine);

	peer_back_attach(b);
	b->drains = true;
	write_number(BACK_DIR, "state", XenbusStateConnected);
	settle();
	return b;
}

inline void peer_back_teardown(void *p)
{
	peer_back *b = peer_back_of(p);

	{
		machine_scope bound(b->machine);

		let_watch_thread_go(&b->held);
		put_fb_info(b->info);
		xenbus_rm(XBT_NIL, FRONT_DIR, "");
		xenbus_rm(XBT_NIL, BACK_DIR, "");
		settle();
		unbind_from_irqhandler(b->irq, b);
		xen_foreign_unmap(b->page_map);
	}
	explore_machine_destroy(b->machine);
}

} // namespace races

#endif
