/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * video/xenfb_ring.h - the page that both ends of a virtual framebuffer share
 *
 *      0      40                1024               2048                            4096
 *      | head | pd[123]         | in ring: 25 x 40 | out ring: 51 x 40             |
 *             | (pd[256] in the C struct: entries 123.. lie in the rings)
 *
 * Typed accessors for both ends. The other end may write any byte of the page at any time, so a
 * field is read once, by one load, into private memory, and an event is copied out before it is
 * looked at.
 *
 * Indexes are u32 that run free; a slot is index % 51. Since 2^32 % 51 is 1, index 0xffffffff and
 * index 0 are the same slot: around the wrap a ring holds less (xenfb_out_room()).
 *
 * I1: the producer fills slots, then stores prod with release; the consumer loads prod with
 *     acquire, copies slots, then stores cons with release; the producer loads cons with acquire.
 * I2: at most 51 events are in the ring, and never index 0 together with index 0xffffffff.
 */
#pragma once

#include <stddef.h>

#include <asm/barrier.h>
#include <asm/page.h>
#include <linux/compiler.h>
#include <linux/types.h>
#include <xen/io/fbif.h>

static_assert(sizeof(struct xenfb_page) == 2088);
static_assert(offsetof(struct xenfb_page, in_cons) == 0);
static_assert(offsetof(struct xenfb_page, in_prod) == 4);
static_assert(offsetof(struct xenfb_page, out_cons) == 8);
static_assert(offsetof(struct xenfb_page, out_prod) == 12);
static_assert(offsetof(struct xenfb_page, width) == 16);
static_assert(offsetof(struct xenfb_page, height) == 20);
static_assert(offsetof(struct xenfb_page, line_length) == 24);
static_assert(offsetof(struct xenfb_page, mem_length) == 28);
static_assert(offsetof(struct xenfb_page, depth) == 32);
static_assert(offsetof(struct xenfb_page, pd) == 40);
static_assert(sizeof(union xenfb_out_event) == 40 && sizeof(union xenfb_in_event) == 40);
static_assert(sizeof(struct xenfb_update) == 20 && offsetof(struct xenfb_update, x) == 4);
static_assert(sizeof(struct xenfb_resize) == 24 && offsetof(struct xenfb_resize, offset) == 20);
static_assert(sizeof(struct xenfb_refresh_period) == 8);
static_assert(XENFB_IN_RING_OFFS == 1024 && XENFB_IN_RING_LEN == 25);
static_assert(XENFB_OUT_RING_OFFS == 2048 && XENFB_OUT_RING_LEN == 51);

/* Directories that end before the in ring begins. */
constexpr u32 XENFB_PD_MAX =
	(XENFB_IN_RING_OFFS - offsetof(struct xenfb_page, pd)) / sizeof(unsigned long);
static_assert(XENFB_PD_MAX == 123);
/* Frame numbers in a directory page, and bytes of framebuffer in the largest one. */
constexpr u32 XENFB_PD_ENTRIES = PAGE_SIZE / sizeof(unsigned long);
constexpr u64 XENFB_MEM_MAX = (u64)XENFB_PD_MAX * XENFB_PD_ENTRIES * PAGE_SIZE;
static_assert(XENFB_MEM_MAX == 246ull << 20);

constexpr u32 XENFB_OUT_LEN = XENFB_OUT_RING_LEN;
constexpr u32 XENFB_IN_LEN = XENFB_IN_RING_LEN;

/**
 * xenfb_out_room - events that fit into the out ring
 *
 * Return: 0 to 51; 0 also for indexes that make no sense (more than 51 events in the ring).
 */
constexpr u32 xenfb_out_room(u32 prod, u32 cons)
{
	u32 used = prod - cons;
	u32 room = used < XENFB_OUT_LEN ? XENFB_OUT_LEN - used : 0;

	if (prod == 0)
		return used ? 0 : room;
	/* Up to index 0xffffffff; index 0 has to wait until that one was consumed. */
	return room < 0u - prod ? room : 0u - prod;
}

static_assert(xenfb_out_room(7, 7) == 51 && xenfb_out_room(58, 7) == 0);
static_assert(xenfb_out_room(59, 7) == 0 && xenfb_out_room(7, 8) == 0);
static_assert(xenfb_out_room(0xffffffff, 0xffffffff) == 1 && xenfb_out_room(0, 0xffffffff) == 0);
static_assert(xenfb_out_room(0, 0) == 51 && xenfb_out_room(1, 0) == 50);

/* Eight bytes at a time, each byte read or written once; ring slots are aligned to 8. */
static inline void xenfb_slot_copy_out(void *event, const void *slot)
{
	auto *to = static_cast<u64 *>(event);
	auto *from = static_cast<const u64 *>(slot);

	for (unsigned int i = 0; i < XENFB_OUT_EVENT_SIZE / sizeof(u64); i++)
		to[i] = READ_ONCE(from[i]);
}

static inline void xenfb_slot_copy_in(void *slot, const void *event)
{
	auto *to = static_cast<u64 *>(slot);
	auto *from = static_cast<const u64 *>(event);

	for (unsigned int i = 0; i < XENFB_OUT_EVENT_SIZE / sizeof(u64); i++)
		WRITE_ONCE(to[i], from[i]);
}

/* A private event, aligned as the accessors need it, padding zero. */
struct alignas(u64) xenfb_out_private {
	union xenfb_out_event event;
};

/* The consumer's: the event at @index, for good. */
static inline struct xenfb_out_private xenfb_out_get(const struct xenfb_page *page, u32 index)
{
	struct xenfb_out_private copy;

	xenfb_slot_copy_out(&copy,
			    &XENFB_OUT_RING_REF(const_cast<struct xenfb_page *>(page), index));
	return copy;
}

/* The producer's; the event becomes visible with the next xenfb_out_publish(). */
static inline void xenfb_out_put(struct xenfb_page *page, u32 index,
				 const struct xenfb_out_private *event)
{
	xenfb_slot_copy_in(&XENFB_OUT_RING_REF(page, index), event);
}

static inline void xenfb_out_publish(struct xenfb_page *page, u32 prod)
{
	smp_store_release(&page->out_prod, prod);
}

static inline struct xenfb_out_private xenfb_out_update(u32 x, u32 y, u32 width, u32 height)
{
	struct xenfb_out_private e = {};

	e.event.update.type = XENFB_TYPE_UPDATE;
	e.event.update.x = (s32)x;
	e.event.update.y = (s32)y;
	e.event.update.width = (s32)width;
	e.event.update.height = (s32)height;
	return e;
}

static inline struct xenfb_out_private xenfb_out_resize(u32 width, u32 height, u32 stride,
							u32 depth, u32 offset)
{
	struct xenfb_out_private e = {};

	e.event.resize.type = XENFB_TYPE_RESIZE;
	e.event.resize.width = (s32)width;
	e.event.resize.height = (s32)height;
	e.event.resize.stride = (s32)stride;
	e.event.resize.depth = (s32)depth;
	e.event.resize.offset = (s32)offset;
	return e;
}

/* A picture in a frame, as either end checks it. */
struct xenfb_layout {
	u32 width;
	u32 height;
	u32 stride; /* bytes */
	u32 depth;  /* bits per pixel */
	u32 offset; /* bytes */
};

/* What both ends accept at most; keeps all sums below in 64 bits. */
constexpr u32 XENFB_MAX_EXTENT = 32767;

/* Bytes from the frame's start to behind the last pixel; the last line needs no padding. */
constexpr u64 xenfb_layout_bytes(const struct xenfb_layout &l)
{
	return l.offset + (u64)l.stride * (l.height - 1) + (u64)l.width * (l.depth / 8);
}

constexpr bool xenfb_layout_valid(const struct xenfb_layout &l, u64 mem_length)
{
	if (l.depth != 8 && l.depth != 16 && l.depth != 24 && l.depth != 32)
		return false;
	if (l.width - 1 >= XENFB_MAX_EXTENT || l.height - 1 >= XENFB_MAX_EXTENT)
		return false;
	if (l.stride > 0x7fffffff || l.offset > 0x7fffffff || l.stride < l.width * (l.depth / 8))
		return false;
	return xenfb_layout_bytes(l) <= mem_length;
}
