/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * page_alloc.cc - frames of guest memory
 *
 * A buddy allocator: a free block of 2^n frames starts at a multiple of 2^n, and two free
 * neighbours of one size become one block. Blocks are handed out whole but freed page by page, as
 * references are dropped, and grow together again.
 *
 *      order 2   |  free  |            one block, PG_buddy and the order in its first page
 *      order 0            |u|f|u|u|    f's buddy is u: stays alone
 *
 * A1: a page is in exactly one free block, or has _refcount > 0.
 * A2: no two free buddies of one order exist.
 * A3: (poison) a free page is filled with PAGE_POISON; a different byte when it is allocated
 *     again was written by somebody who had no reference. (Not of high memory: reaching it would
 *     need a kmap(), whose lazy alias is a reference.)
 * A4: a block lies in one zone. High memory is given to those who ask for it, as long as there is
 *     some; nobody else can get it.
 * Lock: allocator->lock, innermost. Zeroing, filling and checking are done outside of it.
 * KSHIM: one node, no per-CPU lists; who runs out of pages asks the shrinkers once.
 */
#include "pgtable.h"

#include <kshim/mmu.h>
#include <linux/bitops.h>
#include <linux/highmem.h>
#include <linux/minmax.h>
#include <linux/printk.h>
#include <linux/shrinker.h>
#include <linux/string.h>

constexpr unsigned char PAGE_POISON = 0xaa;

#if KSHIM_EXPLORE || defined(__SANITIZE_ADDRESS__)
constexpr bool POISON_DEFAULT = true;
#else
constexpr bool POISON_DEFAULT = false;
#endif

static struct page_allocator *current_allocator(void)
{
	return &current_machine()->mm->allocator;
}

static unsigned long page_index(const struct page_allocator *allocator, const struct page *page)
{
	return (unsigned long)(page - allocator->pages);
}

static enum page_zone zone_of(const struct page_allocator *allocator, const struct page *page)
{
	return page_index(allocator, page) < allocator->nr_lowmem ? ZONE_NORMAL : ZONE_HIGHMEM;
}

static void insert_block(struct page_allocator *allocator, struct page *page, unsigned int order)
	__must_hold(&allocator->lock)
{
	page->flags |= PG_buddy;
	page->private_data = order;
	list_add(&page->lru, &allocator->free[zone_of(allocator, page)][order]);
}

static void remove_block(struct page *page)
{
	page->flags &= ~PG_buddy;
	list_del_init(&page->lru);
}

static void free_block(struct page_allocator *allocator, struct page *page, unsigned int order)
	__must_hold(&allocator->lock)
{
	unsigned long index = page_index(allocator, page);

	allocator->nr_free[zone_of(allocator, page)] += 1ul << order;
	while (order + 1 < NR_PAGE_ORDERS) {
		unsigned long buddy_index = index ^ (1ul << order);
		struct page *buddy = allocator->pages + buddy_index;

		if (buddy_index + (1ul << order) > allocator->nr_pages)
			break;
		if (!(READ_ONCE(buddy->flags) & PG_buddy) || buddy->private_data != order ||
		    zone_of(allocator, buddy) != zone_of(allocator, page))
			break;
		remove_block(buddy);
		index &= ~(1ul << order);
		order++;
	}
	insert_block(allocator, allocator->pages + index, order);
}

/* Null when no block of @order or above is free in the zone. */
static struct page *take_block(struct page_allocator *allocator, enum page_zone zone,
			       unsigned int order) __must_hold(&allocator->lock)
{
	struct list_head *free = allocator->free[zone];
	unsigned int found = order;
	struct page *page;

	while (found < NR_PAGE_ORDERS && list_empty(&free[found]))
		found++;
	if (found == NR_PAGE_ORDERS)
		return nullptr;
	page = list_first_entry(&free[found], struct page, lru);
	remove_block(page);
	/* Keep the lower half, give the upper ones back. */
	while (found > order) {
		found--;
		insert_block(allocator, page + (1ul << found), found);
	}
	allocator->nr_free[zone] -= 1ul << order;
	return page;
}

static void check_poison(struct page *page)
{
	const unsigned char *bytes = (const unsigned char *)page_address(page);

	for (size_t i = 0; i < PAGE_SIZE; i++) {
		if (bytes[i] != PAGE_POISON) {
			WARN(true, "page %lu was written after it was freed: byte %zu is 0x%02x\n",
			     page_index(current_allocator(), page), i, bytes[i]);
			return;
		}
	}
}

/* 0; -ENOMEM: a high page could not be mapped to be zeroed. It has its reference in any case. */
static int prepare_page(struct page *page, gfp_t gfp)
{
	if (page->flags & PG_poisoned)
		check_poison(page);
	page->flags &= PG_highmem;
	page->mapping = nullptr;
	page->index = 0;
	page->private_data = 0;
	INIT_LIST_HEAD(&page->lru);
	atomic_set(&page->_refcount, 1);
	return gfp & __GFP_ZERO ? clear_highpage(page) : 0;
}

static struct page *try_block(struct page_allocator *allocator, gfp_t gfp, unsigned int order)
{
	struct page *page = nullptr;

	guard(spinlock)(&allocator->lock);
	if (gfp & __GFP_HIGHMEM)
		page = take_block(allocator, ZONE_HIGHMEM, order);
	return page ? page : take_block(allocator, ZONE_NORMAL, order);
}

struct page *alloc_pages(gfp_t gfp, unsigned int order)
{
	struct page_allocator *allocator = current_allocator();
	struct page *page;
	int err = 0;

	if (order >= NR_PAGE_ORDERS || !pv_machine_may_alloc(current_machine()))
		return nullptr;
	page = try_block(allocator, gfp, order);
	if (!page && gfp & __GFP_RECLAIM && shrink_slab(gfp, 1ul << order))
		page = try_block(allocator, gfp, order);
	if (!page) {
		if (!(gfp & __GFP_NOWARN))
			pr_err("mm: no block of %lu pages is free; give the machine more memory\n",
			       1ul << order);
		return nullptr;
	}
	for (unsigned long i = 0; i < 1ul << order; i++) {
		if (prepare_page(page + i, gfp))
			err = -ENOMEM;
	}
	if (err) {
		__free_pages(page, order);
		return nullptr;
	}
	return page;
}

/* Pages that a caller with @gfp could get. */
static unsigned long nr_free_for(struct page_allocator *allocator, gfp_t gfp)
{
	guard(spinlock)(&allocator->lock);
	return allocator->nr_free[ZONE_NORMAL] +
	       (gfp & __GFP_HIGHMEM ? allocator->nr_free[ZONE_HIGHMEM] : 0);
}

int alloc_pages_bulk(gfp_t gfp, unsigned long nr, struct page **pages)
{
	unsigned int order = NR_PAGE_ORDERS - 1;
	unsigned long done = 0;

	if (nr > nr_free_for(current_allocator(), gfp) && gfp & __GFP_RECLAIM)
		shrink_slab(gfp, nr);
	if (nr > nr_free_for(current_allocator(), gfp))
		goto full;
	while (done < nr) {
		struct page *block;

		order = min(order, (unsigned int)ilog2(nr - done));
		block = alloc_pages(gfp | __GFP_NOWARN, order);
		if (!block) {
			/* Memory is in pieces, or an allocation was made to fail. */
			if (order-- == 0)
				goto full;
			continue;
		}
		for (unsigned long i = 0; i < 1ul << order; i++)
			pages[done++] = block + i;
	}
	return 0;

full:
	while (done > 0)
		put_page(pages[--done]);
	if (!(gfp & __GFP_NOWARN))
		pr_err("mm: cannot allocate %lu pages, %lu of %lu are free; give the machine more "
		       "memory\n",
		       nr, nr_free_pages(), totalram_pages());
	return -ENOMEM;
}

void get_page(struct page *page)
{
	int count = atomic_inc_return(&page->_refcount);

	BUG_ON(count <= 1); /* it was free */
}

bool get_page_unless_zero(struct page *page)
{
	return atomic_inc_not_zero(&page->_refcount);
}

void put_page(struct page *page)
{
	struct page_allocator *allocator = current_allocator();
	int count = atomic_dec_return(&page->_refcount);

	BUG_ON(count < 0);
	if (count > 0)
		return;
	WARN_ON(page->flags & PG_locked);
	if (page->flags & PG_lru)
		lru_del(page);
	mmu_page_freed(page);
	page->mapping = nullptr;
	page->flags &= PG_highmem;
	if (allocator->poison && !PageHighMem(page)) {
		memset(page_address(page), PAGE_POISON, PAGE_SIZE);
		page->flags = PG_poisoned;
	}
	guard(spinlock)(&allocator->lock);
	free_block(allocator, page, 0);
}

int page_ref_count(const struct page *page)
{
	return atomic_read(&page->_refcount);
}

void __free_page(struct page *page)
{
	put_page(page);
}

void __free_pages(struct page *page, unsigned int order)
{
	for (unsigned long i = 0; i < 1ul << order; i++)
		put_page(page + i);
}

unsigned long __get_free_page(gfp_t gfp)
{
	struct page *page = alloc_page(gfp & ~__GFP_HIGHMEM);

	return page ? (unsigned long)page_address(page) : 0;
}

unsigned long get_zeroed_page(gfp_t gfp)
{
	return __get_free_page(gfp | __GFP_ZERO);
}

void free_page(unsigned long addr)
{
	if (addr)
		put_page(virt_to_page((void *)addr));
}

unsigned long nr_free_pages(void)
{
	return nr_free_for(current_allocator(), __GFP_HIGHMEM);
}

unsigned long totalram_pages(void)
{
	return current_allocator()->nr_pages;
}

void page_poison_set(bool on)
{
	current_allocator()->poison = on;
}

/* The largest aligned block that still fits, from the start to the end. */
static void add_zone(struct page_allocator *allocator, unsigned long index, unsigned long end)
	__must_hold(&allocator->lock)
{
	while (index < end) {
		unsigned int order = NR_PAGE_ORDERS - 1;

		while (index & ((1ul << order) - 1) || index + (1ul << order) > end)
			order--;
		free_block(allocator, allocator->pages + index, order);
		index += 1ul << order;
	}
}

int page_allocator_init(struct page_allocator *allocator)
{
	allocator->pages = mmu_page_array(&allocator->nr_pages);
	allocator->nr_lowmem = mmu_lowmem_pages();
	allocator->poison = POISON_DEFAULT;
	spin_lock_init(&allocator->lock);

	guard(spinlock)(&allocator->lock);
	for (auto &zone : allocator->free) {
		for (struct list_head &list : zone)
			INIT_LIST_HEAD(&list);
	}
	for (unsigned long index = allocator->nr_lowmem; index < allocator->nr_pages; index++)
		allocator->pages[index].flags = PG_highmem;
	add_zone(allocator, 0, allocator->nr_lowmem);
	add_zone(allocator, allocator->nr_lowmem, allocator->nr_pages);
	return 0;
}

void page_allocator_exit(struct page_allocator *allocator)
{
	unsigned long leaked;

	scoped_guard (spinlock, &allocator->lock)
		leaked = allocator->nr_pages - allocator->nr_free[ZONE_NORMAL] -
			 allocator->nr_free[ZONE_HIGHMEM];
	if (!leaked)
		return;
	for (unsigned long index = 0; index < allocator->nr_pages; index++) {
		const struct page *page = allocator->pages + index;

		if (page_ref_count(page) == 0)
			continue;
		WARN(true, "%lu pages were never freed; the first is page %lu with %d references\n",
		     leaked, index, page_ref_count(page));
		return;
	}
	WARN(true, "%lu pages are neither free nor referenced\n", leaked);
}
