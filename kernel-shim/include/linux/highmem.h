/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * linux/highmem.h - pages without an address of their own
 *
 * With pv_machine_config.lowmem_bytes, pages above that have no direct map (page_address() is
 * null); alloc_pages() gives them to those who ask with __GFP_HIGHMEM. kmap() maps one for a
 * time: it is vmap's case of one page (<linux/vmalloc.h>), shared by all who map it at the same
 * time. A page with an address of its own costs nothing.
 *
 * KSHIM: Linux's kmap() waits for others to unmap and never fails; ours returns null when the
 * machine has no memory for the area or, everything lazy purged, no host mappings left.
 */
#ifndef KSHIM_LINUX_HIGHMEM_H
#define KSHIM_LINUX_HIGHMEM_H

#include <linux/mm.h>

static inline bool PageHighMem(const struct page *page)
{
	return READ_ONCE(page->flags) & PG_highmem;
}

void *kmap(struct page *page);
void kunmap(struct page *page);

/* KSHIM: Linux's are of one thread, and undone in reverse; ours may be handed on. */
void *kmap_local_page(struct page *page);
/* @addr: anywhere in the page. */
void kunmap_local(const void *addr);

/* 0 or -ENOMEM. */
[[nodiscard]] int clear_highpage(struct page *page);

#endif
