// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kmap.cc - pages without an address of their own (<linux/highmem.h>)
 *
 * An area of one page that is shared: however many threads kmap() a page, there is one live area of
 * it (vmap_area.cc, publish()). The last kunmap() leaves it lazy, and the next kmap() revives it.
 */
#include "vmap_internal.h"

#include <linux/highmem.h>
#include <linux/kernel.h>
#include <linux/string.h>

static void *kmap_page(struct page *page, const void *caller)
{
	const struct vmap_request request = {.pages = &page,
					     .nr = 1,
					     .align = 1,
					     .flags = VM_KMAP,
					     .prot = MMU_RW,
					     .may_purge = true,
					     .take_refs = true,
					     .caller = caller};
	struct vmap_area *area;

	if (likely(!PageHighMem(page)))
		return page_address(page);
	area = vmap_area_get(&request);
	return area ? area->vm.addr : nullptr;
}

void *kmap(struct page *page)
{
	return kmap_page(page, __builtin_return_address(0));
}

void kunmap(struct page *page)
{
	struct vmap_area *area;

	if (likely(!PageHighMem(page)))
		return;
	area = vmap_area_of_kmap(page);
	if (!WARN(!area, "kunmap: page %lu is not mapped\n", page_to_pfn(page)))
		vmap_area_put(area, __builtin_return_address(0));
}

void *kmap_local_page(struct page *page)
{
	return kmap_page(page, __builtin_return_address(0));
}

void kunmap_local(const void *addr)
{
	const void *start = (const void *)((unsigned long)addr & PAGE_MASK);
	struct vmap_area *area;

	if (!is_vmalloc_addr(addr))
		return;
	area = vmap_area_at(start, VM_KMAP);
	if (area)
		vmap_area_put(area, __builtin_return_address(0));
}

int clear_highpage(struct page *page)
{
	void *addr = kmap_local_page(page);

	if (!addr)
		return -ENOMEM;
	memset(addr, 0, PAGE_SIZE);
	kunmap_local(addr);
	return 0;
}
