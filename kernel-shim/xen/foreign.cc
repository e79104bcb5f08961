/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * foreign.cc - frames of the guest, mapped by another domain
 *
 * I1: a mapping owns a reference to each of its frames from before it is mapped until after it is
 *     unmapped.
 * I2: frames are looked up and referenced one by one, each in one step: a frame that is freed
 *     meanwhile is either still owned, and then kept by the mapping, or refused.
 * Locks: foreign_lock guards the list of mappings.
 *
 * KSHIM: a guest frame number is the frame's number in guest memory; there is no second
 * translation.
 */
#include <kshim/mmu.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "xen_internal.h"

struct foreign_map {
	struct list_head node;
	void *addr;
	unsigned int nr;
	struct page *pages[];
};

u64 xen_frame_number(const struct page *page)
{
	return page_to_pfn(page);
}

struct page *xen_frame_get(u64 frame)
{
	struct page *page = pfn_valid(frame) ? pfn_to_page(frame) : nullptr;

	return page && get_page_unless_zero(page) ? page : nullptr;
}

static void frames_put(struct foreign_map *map, unsigned int nr)
{
	while (nr--)
		put_page(map->pages[nr]);
	kvfree(map);
}

void *xen_foreign_map(const u64 *frames, unsigned int nr, bool writable)
{
	struct hypervisor *xen = current_xen();
	struct foreign_map *map;
	void *addr;

	if (!nr)
		return ERR_PTR(-EINVAL);
	map = static_cast<struct foreign_map *>(
		kvmalloc(sizeof(*map) + nr * sizeof(map->pages[0]), GFP_KERNEL));
	if (!map)
		return ERR_PTR(-ENOMEM);
	for (unsigned int i = 0; i < nr; i++) {
		map->pages[i] = xen_frame_get(READ_ONCE(frames[i]));
		if (!map->pages[i]) {
			frames_put(map, i);
			return ERR_PTR(-EINVAL);
		}
	}
	addr = kernel_map_create(map->pages, nr, writable ? MMU_RW : MMU_RO);
	if (IS_ERR_OR_NULL(addr)) {
		frames_put(map, nr);
		return addr ? addr : (void *)ERR_PTR(-ENOMEM);
	}
	map->addr = addr;
	map->nr = nr;
	guard(mutex)(&xen->foreign_lock);
	list_add(&map->node, &xen->foreign_maps);
	return addr;
}

void xen_foreign_unmap(void *addr)
{
	struct hypervisor *xen = current_xen();
	struct foreign_map *map, *found = nullptr;

	if (IS_ERR_OR_NULL(addr))
		return;
	{
		guard(mutex)(&xen->foreign_lock);
		list_for_each_entry (map, &xen->foreign_maps, node) {
			if (map->addr == addr)
				found = map;
		}
		if (found)
			list_del(&found->node);
	}
	if (WARN(!found, "xen: no foreign mapping at %p\n", addr))
		return;
	kernel_map_destroy(addr);
	frames_put(found, found->nr);
}

void xen_foreign_stats(struct xen_foreign_stats *stats)
{
	struct hypervisor *xen = current_xen();
	struct foreign_map *map;

	*stats = {};
	guard(mutex)(&xen->foreign_lock);
	list_for_each_entry (map, &xen->foreign_maps, node) {
		stats->mappings++;
		stats->frames += map->nr;
	}
}

void xen_foreign_exit(struct hypervisor *xen)
{
	WARN(!list_empty(&xen->foreign_maps), "xen: a foreign mapping was left\n");
}
