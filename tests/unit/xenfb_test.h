/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xenfb_test.h - both ends of a virtual framebuffer, each also as a puppet of the test
 *
 *      xenfb_machine(BOTH)   the real front end and the real back end
 *      xenfb_machine(BACK)   the real back end; raw_front writes what it likes into store and page
 *      xenfb_machine(FRONT)  the real front end; raw_back does
 */
#pragma once

#include <cstring>
#include <memory>
#include <random>

#include <kshim/mmu.h>
#include <linux/fb.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>
#include <xen/io/protocols.h>

#include "backend/xenfb_back.h"
#include "unit/xen_test.h"
#include "video/damage.h"
#include "video/fb_defio.h"
#include "video/xen_fbfront.h"
#include "video/xenfb_ring.h"

namespace xen_test
{

enum class ends { BOTH, FRONT, BACK };

inline std::vector<const machine_initcall *> xenfb_calls(ends e)
{
	std::vector<const machine_initcall *> calls = {&mmu_initcall,    &mm_initcall,
						       &xen_initcall,    &xen_events_initcall,
						       &xenbus_initcall, &fb_initcall};

	if (e != ends::BACK)
		calls.push_back(&xenfb_initcall);
	if (e != ends::FRONT)
		calls.push_back(&xenfb_back_initcall);
	return calls;
}

class xenfb_machine : public machine
{
public:
	explicit xenfb_machine(ends e = ends::BOTH, size_t memory = 64ul << 20)
		: machine(xenfb_calls(e), memory)
	{
	}
};

constexpr const char *FRONT_DIR = "/local/domain/1/device/vfb/7";
constexpr const char *BACK_DIR = "/local/domain/0/backend/vfb/1/7";

inline void settle()
{
	for (int i = 0; i < 4; i++) {
		xenbus_watch_flush(xen_domain(XEN_DOM_FRONT));
		xenbus_watch_flush(xen_domain(XEN_DOM_BACK));
	}
}

inline void write_number(const char *dir, const char *node, long long value)
{
	ASSERT_EQ(xenbus_printf(XBT_NIL, dir, node, "%lld", value), 0);
}

inline bool wait_state(const char *dir, xenbus_state state)
{
	return eventually([&] { return xenbus_read_driver_state(dir) == state; });
}

/* The visible pixels of a frame, without padding, as the back end's copy has them. */
inline std::vector<unsigned char> visible(fb_info *info)
{
	fb_geometry g;

	fb_damage_geometry(info, &g);
	std::vector<unsigned char> pixels;

	for (u32 y = 0; y < g.height; y++) {
		const char *line = info->screen_buffer + g.offset + (size_t)y * g.line_length;

		pixels.insert(pixels.end(), line, line + (size_t)g.width * g.bytes_per_pixel);
	}
	return pixels;
}

inline std::vector<unsigned char> copy_of(xenfb_back *back, xenfb_geometry *g)
{
	auto *copy = static_cast<const unsigned char *>(xenfb_back_lock_copy(back, g));

	if (!copy)
		return {};
	std::vector<unsigned char> pixels(copy, copy + (size_t)g->line_length * g->height);

	xenfb_back_unlock_copy(back);
	return pixels;
}

inline void destroy(xenfb *x)
{
	xenfb_destroy(x);
}
using xenfb_ptr = std::unique_ptr<xenfb, void (*)(xenfb *)>;

inline xenfb_ptr create(machine &m, const xenfb_config &config)
{
	xenfb *x = nullptr;

	EXPECT_EQ(xenfb_create(m.get(), &config, &x), 0) << m.log();
	return xenfb_ptr(x, destroy);
}

/* A front end that does what the test says. */
class raw_front
{
public:
	raw_front(u32 width, u32 height, u32 depth, u32 pages, u32 stride = 0)
	{
		page_frame = alloc_page(GFP_KERNEL | __GFP_ZERO);
		page = static_cast<xenfb_page *>(page_address(page_frame));
		frames.resize(pages);
		for (u32 i = 0; i < pages; i++) {
			if (i % XENFB_PD_ENTRIES == 0) {
				dirs.push_back(alloc_page(GFP_KERNEL | __GFP_ZERO));
				page->pd[dirs.size() - 1] = xen_frame_number(dirs.back());
			}
			frames[i] = alloc_page(GFP_KERNEL | __GFP_ZERO);
			directory(i / XENFB_PD_ENTRIES)[i % XENFB_PD_ENTRIES] =
				xen_frame_number(frames[i]);
		}
		page->width = (s32)width;
		page->height = (s32)height;
		page->line_length = stride ? stride : width * (depth / 8);
		page->mem_length = pages * PAGE_SIZE;
		page->depth = (u8)depth;
		EXPECT_EQ(evtchn_alloc_unbound(xen_domain(XEN_DOM_FRONT), XEN_DOM_BACK, &port), 0);
		irq = bind_evtchn_to_irqhandler(xen_domain(XEN_DOM_FRONT), port, handler, 0, "raw",
						this);
		EXPECT_GT(irq, 0);
	}

	~raw_front()
	{
		xenbus_rm(XBT_NIL, FRONT_DIR, "");
		xenbus_rm(XBT_NIL, BACK_DIR, "");
		settle();
		unbind_from_irqhandler(irq, this);
		for (struct page *p : frames)
			__free_page(p);
		for (struct page *p : dirs)
			__free_page(p);
		__free_page(page_frame);
	}

	unsigned long *directory(size_t i)
	{
		return static_cast<unsigned long *>(page_address(dirs[i]));
	}

	/*
	 * Writes both directories, the front end as Initialised, and waits until the back end has
	 * acted.
	 */
	void publish()
	{
		write_number(FRONT_DIR, "page-ref", (long long)xen_frame_number(page_frame));
		write_number(FRONT_DIR, "event-channel", port);
		write_number(FRONT_DIR, "feature-update", 1);
		EXPECT_EQ(xenbus_write(XBT_NIL, FRONT_DIR, "protocol", XEN_IO_PROTO_ABI_NATIVE), 0);
		write_number(FRONT_DIR, "state", XenbusStateInitialised);
		EXPECT_EQ(xenbus_write(XBT_NIL, BACK_DIR, "frontend", FRONT_DIR), 0);
		write_number(BACK_DIR, "frontend-id", XEN_DOM_FRONT);
		write_number(BACK_DIR, "state", XenbusStateInitialising);
		settle();
	}

	bool connected() const
	{
		return xenbus_read_driver_state(BACK_DIR) == XenbusStateConnected;
	}

	void put(const xenfb_out_private &event) { xenfb_out_put(page, prod++, &event); }

	/* Publishes what was put, tells the back end, waits until it has consumed it. */
	void send()
	{
		xenfb_out_publish(page, prod);
		notify_remote_via_irq(irq);
		/* out_cons is the last thing that a back end writes. */
		EXPECT_TRUE(eventually([&] { return smp_load_acquire(&page->out_cons) == prod; }));
	}

	unsigned char *pixel_memory(size_t offset)
	{
		auto *base = static_cast<unsigned char *>(page_address(frames[offset / PAGE_SIZE]));

		return base + offset % PAGE_SIZE;
	}

	struct page *page_frame;
	xenfb_page *page;
	std::vector<struct page *> dirs, frames;
	evtchn_port_t port = 0;
	int irq = -1;
	u32 prod = 0;
	watched<int> events{0};

private:
	static irqreturn_t handler(int, void *data)
	{
		static_cast<raw_front *>(data)->events.update([](int &n) { n++; });
		return IRQ_HANDLED;
	}
};

/* A back end that does what the test says. */
class raw_back
{
public:
	/* Writes the directories; the front end probes and says Initialised. */
	explicit raw_back(const xenfb_config &c, bool feature_resize = true)
	{
		/* A period so long that nothing is sent unless the test asks. */
		write_number(FRONT_DIR, "refresh-us", 3600ll * 1000000);
		write_number(FRONT_DIR, "width", c.width);
		write_number(FRONT_DIR, "height", c.height);
		write_number(FRONT_DIR, "depth", c.depth);
		write_number(FRONT_DIR, "line-length", c.line_length);
		write_number(FRONT_DIR, "mem-length", (long long)c.mem_length);
		write_number(FRONT_DIR, "offset", c.offset);
		EXPECT_EQ(xenbus_write(XBT_NIL, FRONT_DIR, "backend", BACK_DIR), 0);
		write_number(FRONT_DIR, "backend-id", XEN_DOM_BACK);
		if (feature_resize)
			write_number(BACK_DIR, "feature-resize", 1);
		write_number(BACK_DIR, "request-update", 1);
		write_number(BACK_DIR, "state", XenbusStateInitialising);
		write_number(FRONT_DIR, "state", XenbusStateInitialising);
		settle();
	}

	~raw_back()
	{
		xenbus_rm(XBT_NIL, FRONT_DIR, "");
		xenbus_rm(XBT_NIL, BACK_DIR, "");
		settle();
		detach();
	}

	/* Maps the page and binds the channel that the front end published. */
	void attach()
	{
		u64 number = xenbus_read_unsigned(FRONT_DIR, "page-ref", ~0ull);
		u64 port = xenbus_read_unsigned(FRONT_DIR, "event-channel", 0);
		xen_foreign_config writable;

		writable.writable = true;
		page_map = xen_foreign_map(&number, 1, &writable);
		ASSERT_FALSE(IS_ERR(page_map));
		page = static_cast<xenfb_page *>(xen_foreign_addr(page_map));
		irq = bind_interdomain_evtchn_to_irqhandler(xen_domain(XEN_DOM_BACK), XEN_DOM_FRONT,
							    (evtchn_port_t)port, handler, 0, "raw",
							    this);
		ASSERT_GT(irq, 0);
	}

	void detach()
	{
		unbind_from_irqhandler(irq, this);
		irq = -1;
		xen_foreign_unmap(page_map);
		page_map = nullptr;
		page = nullptr;
	}

	void set_state(xenbus_state state)
	{
		write_number(BACK_DIR, "state", state);
		settle();
	}

	/* attach, Connected */
	void connect()
	{
		attach();
		set_state(XenbusStateConnected);
	}

	/* Takes all events out, as a good back end does, and tells the front end. */
	std::vector<xenfb_out_private> consume()
	{
		std::vector<xenfb_out_private> events;
		u32 prod = smp_load_acquire(&page->out_prod);

		EXPECT_LE(prod - cons, XENFB_OUT_LEN);
		while (cons != prod)
			events.push_back(xenfb_out_get(page, cons++));
		smp_store_release(&page->out_cons, cons);
		notify_remote_via_irq(irq);
		return events;
	}

	xenfb_page *page = nullptr;
	struct xen_foreign *page_map = nullptr;
	int irq = -1;
	u32 cons = 0;
	watched<int> events{0};

private:
	static irqreturn_t handler(int, void *data)
	{
		static_cast<raw_back *>(data)->events.update([](int &n) { n++; });
		return IRQ_HANDLED;
	}
};

/* The real end's structs behind the puppets' directories. */
struct back_ref {
	back_ref();
	~back_ref();
	xenfb_back *back;
};

} // namespace xen_test

#include "backend/xenfb_back_private.h"

inline xen_test::back_ref::back_ref() : back(xenfb_back_get(BACK_DIR, false))
{
	if (IS_ERR(back))
		throw std::runtime_error("no back end at " + std::string(BACK_DIR));
}

inline xen_test::back_ref::~back_ref()
{
	xenfb_back_put(back);
}
