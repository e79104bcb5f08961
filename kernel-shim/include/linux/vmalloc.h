/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * linux/vmalloc.h - frames side by side in kernel addresses, unmapped lazily
 *
 *      vmap(pages) --> LIVE --vunmap()--> LAZY --purge--> gone: references dropped, addresses free
 *                       ^                   |
 *                       +--- the same pages +      "revival": no system call
 *
 * Unmapping costs an interrupt on every processor, so it is put off and done for many areas at
 * once, or never, when the same pages are mapped again meanwhile. What that means to others:
 *
 * I1. A page in an area that is live or lazy has a reference from it: it does not return to the
 *     allocator while an address still reaches it.
 * I2. When vm_unmap_aliases() returns, no address that was unmapped before the call reaches its
 *     page; when vmap_shootdown() returns, none that was unmapped before reaches those pages.
 * I3. An address is not handed out again before a flush covers it, unless its area is revived with
 *     the same pages.
 * I4. vmap_stats() equals the sum over all areas whenever nobody is inside of a call.
 * I5. The host's limit of mappings is kept by purging; a call fails for it only when live areas
 *     alone use it up.
 *
 * All functions may sleep unless they say otherwise. Addresses belong to the machine that is
 * current.
 *
 * Parameters (pv_machine_config.params):
 *      vmap.policy         eager, batch, batch:N, lazy, lazy+revive (default)
 *      vmap.lazy_pages     so many lazy pages are kept at most
 *      vmap.lazy_mappings  ... so many host mappings
 *      vmap.lazy_age_ms    ... so long after their vunmap(); 0: no limit
 *      vmap.window_pages   how many addresses there are
 *      vmap.debug          an access to what is lazily unmapped faults, and is reported
 */
#ifndef KSHIM_LINUX_VMALLOC_H
#define KSHIM_LINUX_VMALLOC_H

#include <asm/pgtable.h>
#include <linux/gfp_types.h>
#include <linux/types.h>

struct notifier_block;
struct page;

#define VM_ALLOC 0x2ul    /* vmalloc() */
#define VM_MAP 0x4ul      /* vmap() */
#define VM_MAP_RAM 0x10ul /* vm_map_ram(). KSHIM: no flag in Linux */
#define VM_KMAP 0x20ul    /* kmap(). KSHIM: no flag in Linux */

/* What find_vm_area() tells; belongs to the area. */
struct vm_struct {
	void *addr;
	unsigned long size; /* bytes; behind it: a guard page, for vmalloc() and vmap() */
	unsigned long flags;
	struct page **pages;
	unsigned int nr_pages;
	const void *caller;
};

/* @size bytes, rounded up to pages; null when memory or addresses run out. vfree() takes null. */
void *vmalloc(unsigned long size);
void *vzalloc(unsigned long size);
void vfree(const void *addr);
/* @align: bytes, a power of two. @gfp: without __GFP_RECLAIM nothing is purged to make room. */
void *__vmalloc_node(unsigned long size, unsigned long align, gfp_t gfp, int node,
		     const void *caller);
/* Grows or shrinks to @size bytes, keeps the content; null: @p is as it was. */
void *vrealloc(const void *p, unsigned long size, gfp_t flags);

/**
 * vmap - map pages the caller owns
 * @flags: VM_MAP
 * @prot: PAGE_KERNEL or PAGE_KERNEL_RO
 *
 * The area takes a reference to each page. Return: the address, or null.
 */
void *vmap(struct page **pages, unsigned int count, unsigned long flags, pgprot_t prot);
void vunmap(const void *addr);

/**
 * vm_map_ram - vmap() for short times: without guard page; small ones lie side by side
 * @node: ignored
 */
void *vm_map_ram(struct page **pages, unsigned int count, int node);
/* @count: as it was mapped. */
void vm_unmap_ram(const void *mem, unsigned int count);

/* Unmaps all that is lazily unmapped (I2). */
void vm_unmap_aliases(void);

/* The live area that @addr is in; null for others. Lives until the area is unmapped. No locks. */
struct vm_struct *find_vm_area(const void *addr);
/* The page behind an address in a live area, without a reference; null for others. No locks. */
struct page *vmalloc_to_page(const void *addr);
/* Is this an address of the window, whether or not something is there? No locks. */
bool is_vmalloc_addr(const void *addr);

/**
 * page_has_lazy_alias - does an address that was given back still reach @page?
 * No locks, any context. Looks at the areas that hold this page and at no others: one load when
 * there are none.
 */
bool page_has_lazy_alias(const struct page *page);

/**
 * vmap_shootdown - unmap what is lazily unmapped and reaches one of @pages
 *
 * For those who are about to turn pages special: page tables, pages given away. Other areas stay,
 * lazy ones too. Without an alias a page costs one load.
 * Return: 0: no address reaches them; -EBUSY: live areas do (vmap_assert_unaliased() says which).
 */
[[nodiscard]] int vmap_shootdown(struct page *const *pages, unsigned long nr);

/**
 * vmap_assert_unaliased - for whoever turns a page special: nobody else may reach it
 * @what: what it becomes, for the message
 * Return: true; else false, after a WARN that names the area, live or lazy, and who mapped it.
 */
bool vmap_assert_unaliased(const struct page *page, const char *what);

/*
 * Called when addresses or host mappings run out although everything lazy was purged: unmap what
 * you can do without, and the call that needs room tries again.
 */
int register_vmap_purge_notifier(struct notifier_block *nb);
int unregister_vmap_purge_notifier(struct notifier_block *nb);

struct vmap_stats {
	u64 live_areas, live_pages;
	u64 lazy_areas, lazy_pages; /* unmapped, and still there */
	u64 mappings;               /* of the host, for both */
	u64 maps;                   /* new areas so far */
	u64 hits;                   /* mapped by revival, or by sharing a kmap() */
	u64 purges, purged_areas;
	u64 flushes;    /* ranges taken away: system calls */
	u64 shootdowns; /* areas that vmap_shootdown() took */
};
void vmap_stats(struct vmap_stats *stats);

/* Counts all areas and WARNs where I4 does not hold. Only while nobody is inside of a call. */
bool vmap_check(void);

#endif
