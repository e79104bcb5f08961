/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmalloc.cc - scattered frames at consecutive kernel addresses
 *
 * One descriptor per range, in a list; a machine has a handful of ranges (a frame per screen,
 * some page directories), so that searching the list is cheaper than keeping a tree.
 *
 * V1: a range holds a reference to each of its pages from before it is mapped until after it is
 *     unmapped.
 * Lock: vmap->lock guards the list. Mapping and unmapping are done outside of it.
 * KSHIM: no lazy unmapping: when vfree() or vunmap() returns the addresses are gone.
 */
#include "mm_internal.h"

#include <linux/err.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

struct vmap_range {
	struct list_head node;
	char *addr;
	unsigned long nr_pages;
	struct page *pages[];
};

static struct vmap_state *current_vmap(void)
{
	return &current_machine()->mm->vmap;
}

static struct vmap_range *alloc_range(unsigned long nr_pages)
{
	struct vmap_range *range;

	if (nr_pages == 0 || nr_pages > totalram_pages())
		return nullptr;
	range = (struct vmap_range *)kmalloc(sizeof(*range) + nr_pages * sizeof(range->pages[0]),
					     GFP_KERNEL);
	if (range)
		range->nr_pages = nr_pages;
	return range;
}

static void put_range(struct vmap_range *range)
{
	for (unsigned long i = 0; i < range->nr_pages; i++)
		put_page(range->pages[i]);
	kfree(range);
}

/* Takes @range with its page references, also on failure. */
static void *map_range(struct vmap_range *range)
{
	struct vmap_state *vmap = current_vmap();
	void *addr = kernel_map_create(range->pages, range->nr_pages, MMU_RW);

	if (IS_ERR_OR_NULL(addr)) {
		put_range(range);
		return nullptr;
	}
	range->addr = (char *)addr;
	guard(spinlock)(&vmap->lock);
	list_add(&range->node, &vmap->areas);
	return addr;
}

static void *vmalloc_gfp(unsigned long size, gfp_t gfp)
{
	struct vmap_range *range = alloc_range(PFN_UP(size));

	if (!range)
		return nullptr;
	if (alloc_pages_bulk(gfp, range->nr_pages, range->pages)) {
		kfree(range);
		return nullptr;
	}
	return map_range(range);
}

void *vmalloc(unsigned long size)
{
	return vmalloc_gfp(size, GFP_KERNEL);
}

void *vzalloc(unsigned long size)
{
	return vmalloc_gfp(size, GFP_KERNEL | __GFP_ZERO);
}

void *vmap(struct page **pages, unsigned int count)
{
	struct vmap_range *range = alloc_range(count);

	if (!range)
		return nullptr;
	for (unsigned int i = 0; i < count; i++) {
		get_page(pages[i]);
		range->pages[i] = pages[i];
	}
	return map_range(range);
}

static struct vmap_range *find_range(struct vmap_state *vmap, const void *addr)
	__must_hold(&vmap->lock)
{
	struct vmap_range *range;

	list_for_each_entry (range, &vmap->areas, node) {
		if ((const char *)addr >= range->addr &&
		    (const char *)addr < range->addr + (range->nr_pages << PAGE_SHIFT))
			return range;
	}
	return nullptr;
}

void vunmap(const void *addr)
{
	struct vmap_state *vmap = current_vmap();
	struct vmap_range *range;

	if (!addr)
		return;
	scoped_guard (spinlock, &vmap->lock) {
		range = find_range(vmap, addr);
		if (range && range->addr == addr)
			list_del(&range->node);
	}
	if (WARN(!range || range->addr != addr, "no vmalloc range starts at %p\n", addr))
		return;
	kernel_map_destroy(range->addr);
	put_range(range);
}

void vfree(const void *addr)
{
	vunmap(addr);
}

struct page *vmalloc_to_page(const void *addr)
{
	struct vmap_state *vmap = current_vmap();

	guard(spinlock)(&vmap->lock);
	struct vmap_range *range = find_range(vmap, addr);

	if (!range)
		return nullptr;
	return range->pages[((const char *)addr - range->addr) >> PAGE_SHIFT];
}

bool is_vmalloc_addr(const void *addr)
{
	return vmalloc_to_page(addr) != nullptr;
}

void vmap_state_init(struct vmap_state *vmap)
{
	spin_lock_init(&vmap->lock);
	guard(spinlock)(&vmap->lock);
	INIT_LIST_HEAD(&vmap->areas);
}

void vmap_state_exit(struct vmap_state *vmap)
{
	guard(spinlock)(&vmap->lock);
	WARN(!list_empty(&vmap->areas), "a vmalloc range was never freed\n");
}
