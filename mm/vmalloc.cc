// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmalloc.cc - pages and addresses together (<linux/vmalloc.h>)
 *
 * The area has the only references to its pages. After vfree() they stay where they are until a
 * purge, as everything does that is unmapped lazily, and nobody gets them back: a vmalloc() takes
 * new ones. When the allocator runs out of pages it purges them (vmap's shrinker).
 */
#include "vmap_internal.h"

#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>

static void put_pages(struct page **pages, unsigned long nr)
{
	while (nr)
		put_page(pages[--nr]);
}

void *__vmalloc_node(unsigned long size, unsigned long align, gfp_t gfp, int node,
		     const void *caller)
{
	unsigned long nr = PFN_UP(size);
	struct page **pages __free(kfree) = nullptr;
	struct vmap_area *area;

	/* Also sizes that PFN_UP() has wrapped around, and alignments that no address has. */
	if (!size || size > totalram_pages() << PAGE_SHIFT || align > 1ul << 40)
		return nullptr;
	pages = (struct page **)kvmalloc(nr * sizeof(pages[0]), GFP_KERNEL);
	if (!pages || alloc_pages_bulk(gfp | __GFP_HIGHMEM, nr, pages))
		return nullptr;
	const struct vmap_request request = {.pages = pages,
					     .nr = nr,
					     .align = max(align >> PAGE_SHIFT, 1ul),
					     .flags = VM_ALLOC,
					     .prot = MMU_RW,
					     .may_purge = (gfp & __GFP_RECLAIM) != 0,
					     .take_refs = false,
					     .caller = caller};

	area = vmap_area_get(&request);
	if (!area) {
		put_pages(pages, nr);
		return nullptr;
	}
	return area->vm.addr;
}

void *vmalloc(unsigned long size)
{
	return __vmalloc_node(size, 1, GFP_KERNEL, 0, __builtin_return_address(0));
}

void *vzalloc(unsigned long size)
{
	return __vmalloc_node(size, 1, GFP_KERNEL | __GFP_ZERO, 0, __builtin_return_address(0));
}

void vfree(const void *addr)
{
	struct vmap_area *area = addr ? vmap_area_at(addr, VM_ALLOC) : nullptr;

	if (area)
		vmap_area_put(area, __builtin_return_address(0));
}

void *vrealloc(const void *p, unsigned long size, gfp_t flags)
{
	const struct vm_struct *old = p ? find_vm_area(p) : nullptr;
	void *fresh;

	if (!size) {
		vfree(p);
		return nullptr;
	}
	if (p && WARN(!old || old->addr != p, "vrealloc: no vmalloc range starts at %p\n", p))
		return nullptr;
	/* KSHIM: Linux keeps the pages when it shrinks; so do we, down to a half. */
	if (old && size <= old->size && size > old->size / 2)
		return old->addr;
	fresh = __vmalloc_node(size, 1, flags, 0, __builtin_return_address(0));
	if (fresh && old) {
		memcpy(fresh, p, min(size, old->size));
		vfree(p);
	}
	return fresh;
}
