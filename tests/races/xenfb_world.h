/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xenfb_world.h - a machine with both ends of a virtual framebuffer of two pages
 *
 *	program's store -> view --fb_defio--> frame --front end, ring, back end--> copy
 *	draw()		-----------------------^
 *
 * The oracle: when nobody has anything left to do, the copy is the frame, and the frame is what was
 * stored, whatever the schedule.
 */
#ifndef TESTS_RACES_XENFB_WORLD_H
#define TESTS_RACES_XENFB_WORLD_H

#include "program.h"

#include <kshim/machine.h>
#include <kshim/mmu.h>
#include <kshim/xen.h>
#include <linux/completion.h>
#include <video/damage.h>
#include <video/fb_defio.h>
#include <xen/events.h>

#include <backend/xenfb_back_private.h>
#include <video/xen_fbfront_private.h>

namespace races
{

/*
 * A domain's watch thread that a task stands in for: it sleeps in a callback until it is let go.
 * What the thread would do the task does, by calling the drivers' otherend_changed(): the same code
 * beside the same senders, and a bus that scans its directories is not part of the search.
 */
struct held_thread {
	struct xenbus_watch watch;
	struct completion let_go;
};

inline void hold_watch_thread(held_thread *h, domid_t domain)
{
	init_completion(&h->let_go);
	h->watch.node = "/@hold";
	h->watch.callback = [](struct xenbus_watch *watch, const char *) {
		wait_for_completion(&container_of(watch, held_thread, watch)->let_go);
	};
	h->watch.domain = xen_domain(domain);
	explore_expect(!register_xenbus_watch(&h->watch), "no watch");
}

/* Also one that was never held. */
inline void let_watch_thread_go(held_thread *h)
{
	if (!h->watch.registered)
		return;
	complete(&h->let_go);
	unregister_xenbus_watch(&h->watch);
}

/* What @dev's end does when it sees the other one in @state. */
inline void sees(struct xenbus_device *dev, enum xenbus_state state)
{
	explore_note("%s sees %s", dev->nodename, xenbus_strstate(state));
	dev->driver->otherend_changed(dev, state);
}

inline constexpr char XENFB_SEED[] = "000 xenfb lets do_no_page race with xenfb_update_screen()";

struct xenfb_world {
	struct pv_machine *machine;
	struct xenfb *xenfb;
	struct fb_info *info;
	struct xenfb_back *back;
	program programs[2];
	held_thread held[2];
};

enum class ends { BOTH, FRONT, BACK };

inline struct pv_machine *xenfb_machine(ends e)
{
	const machine_initcall *calls[9] = {&mmu_initcall,        &mm_initcall,     &xen_initcall,
					    &xen_events_initcall, &xenbus_initcall, &fb_initcall};
	unsigned int nr = 6;
	pv_machine_config config;

	if (e != ends::BACK)
		calls[nr++] = &xenfb_initcall;
	if (e != ends::FRONT)
		calls[nr++] = &xenfb_back_initcall;
	config.memory_bytes = 64 * 1024;
	config.nr_cpus = 2;
	struct pv_machine *m = pv_machine_create(&config, calls);

	explore_expect(!IS_ERR(m), "no machine");
	return m;
}

/* Until both domains have seen what was written into the store, and each other's answers. */
inline void settle()
{
	for (int i = 0; i < 4; i++) {
		xenbus_watch_flush(xen_domain(XEN_DOM_FRONT));
		xenbus_watch_flush(xen_domain(XEN_DOM_BACK));
	}
}

/* Looks at the screen, as a viewer does. */
inline void look(struct xenfb_back *back)
{
	struct xenfb_geometry g;

	if (xenfb_back_lock_copy(back, &g))
		xenfb_back_unlock_copy(back);
}

inline xenfb_world *xenfb_world_of(void *p)
{
	return static_cast<xenfb_world *>(p);
}

/* A period so long that nothing is sent unless a task does it. */
constexpr u32 NEVER_US = 3600u * 1000000;

inline void *xenfb_setup_refreshed(u32 refresh_us)
{
	auto *w = explore_new<xenfb_world>();
	const xenfb_config config = {.width = WIDTH,
				     .height = HEIGHT,
				     .depth = 32,
				     .line_length = 0,
				     .mem_length = 0,
				     .offset = 0,
				     .refresh_us = refresh_us};

	w->machine = xenfb_machine(ends::BOTH);
	explore_expect(!xenfb_create(w->machine, &config, &w->xenfb), "xenfb_create");
	w->info = xenfb_info(w->xenfb);
	w->back = xenfb_backend(w->xenfb);
	machine_scope bound(w->machine);

	/* Somebody has looked: from now on only what is told is copied. */
	explore_expect(!xenfb_flush(w->xenfb), "xenfb_flush");
	look(w->back);
	return w;
}

inline void *xenfb_setup()
{
	return xenfb_setup_refreshed(NEVER_US);
}

/* With two programs that have the framebuffer mapped, and deferred I/O. */
inline void *xenfb_setup_programs()
{
	auto *w = xenfb_world_of(xenfb_setup_refreshed(1000));
	machine_scope bound(w->machine);

	for (program &p : w->programs)
		program_start(&p, w->info);
	return w;
}

/* Both watch threads: the scenario's sees() is in their place. */
inline void xenfb_hold(xenfb_world *w)
{
	hold_watch_thread(&w->held[0], XEN_DOM_BACK);
	hold_watch_thread(&w->held[1], XEN_DOM_FRONT);
}

inline void *xenfb_setup_held()
{
	auto *w = xenfb_world_of(xenfb_setup());
	machine_scope bound(w->machine);

	xenfb_hold(w);
	return w;
}

/* As after four thousand million events: the next index is @index. */
template <u32 index>
void *xenfb_setup_at()
{
	auto *w = xenfb_world_of(xenfb_setup());
	machine_scope bound(w->machine);
	auto *front = static_cast<xenfb_front *>(w->info->par);

	guard(mutex)(&front->lock);
	guard(mutex)(&w->back->ring_lock);
	guard(spinlock)(&w->back->state_lock);
	front->out_prod = w->back->out_cons = w->back->drained = index;
	front->page->out_prod = front->page->out_cons = index;
	return w;
}

/* One pixel of the frame, as the kernel draws it: noted, sent with the next occasion. */
inline void draw(xenfb_world *w, unsigned int page, unsigned int word, u32 value)
{
	fb_damage_absorb(w->info, page * PAGE_SIZE + word * 4, &value, 4);
	explore_note("frame: page %u word %u = %u", page, word, value);
}

/* The copy is the picture in the frame, whatever its geometry is now. */
inline void check_copy(void *p)
{
	auto *w = xenfb_world_of(p);
	machine_scope bound(w->machine);
	struct xenfb_geometry copied;
	struct fb_geometry g;

	fb_damage_geometry(w->info, &g);
	const char *copy = static_cast<const char *>(xenfb_back_lock_copy(w->back, &copied));

	explore_expect(copy, "there is no copy");
	explore_expect(copied.width == g.width && copied.height == g.height &&
			       copied.line_length == g.width * g.bytes_per_pixel,
		       "lost resize: the frame is %ux%u, the copy %ux%u", g.width, g.height,
		       copied.width, copied.height);
	for (u32 y = 0; y < g.height; y++) {
		const char *line = w->info->screen_buffer + g.offset + (size_t)y * g.line_length;

		explore_expect(
			!memcmp(line, copy + (size_t)y * copied.line_length, copied.line_length),
			"lost update: line %u of the copy is not that of the frame", y);
	}
	xenfb_back_unlock_copy(w->back);
}

/* And the frame is what programs stored. */
inline void check_programs_and_copy(void *p)
{
	auto *w = xenfb_world_of(p);

	{
		machine_scope bound(w->machine);

		for (unsigned int page = 0; page < 2; page++) {
			for (unsigned int word = 0; word < 4; word++) {
				u32 stored = program_load(&w->programs[0], page, word);
				u32 frame = word_at(w->info->screen_buffer, page, word);

				explore_expect(frame == stored,
					       "lost update: page %u word %u holds %u, the "
					       "frame %u",
					       page, word, stored, frame);
			}
		}
	}
	check_copy(p);
}

inline void xenfb_teardown(void *p)
{
	auto *w = xenfb_world_of(p);

	{
		machine_scope bound(w->machine);

		for (program &p : w->programs)
			program_exit(&p);
		for (held_thread &h : w->held)
			let_watch_thread_go(&h);
		xenfb_destroy(w->xenfb);
	}
	explore_machine_destroy(w->machine);
}

} // namespace races

#endif
