/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mm_internal.h - what the files of mm/ share
 */
#pragma once

#include <kshim/machine.h>
#include <linux/mm.h>
#include <linux/spinlock.h>

/* Blocks of 1 ... 1024 frames (4 MiB). */
constexpr unsigned int NR_PAGE_ORDERS = 11;

/*
 * The allocator: a free list per power of two. Protected by lock: the lists, and flags, lru and
 * private_data (the order) of free pages.
 */
struct page_allocator {
	spinlock_t lock;
	struct list_head free[NR_PAGE_ORDERS] __guarded_by(lock);
	unsigned long nr_free __guarded_by(lock);
	struct page *pages; /* the array; constant */
	unsigned long nr_pages;
	bool poison; /* flips between allocations only */
};

/* All vmalloc and vmap ranges that exist; simple: a list. */
struct vmap_state {
	spinlock_t lock;
	struct list_head areas __guarded_by(lock);
};

struct mm_state {
	struct page_allocator allocator;
	struct vmap_state vmap;
};

[[nodiscard]] int page_allocator_init(struct page_allocator *allocator);
/* Reports pages that are still allocated. */
void page_allocator_exit(struct page_allocator *allocator);

void vmap_state_init(struct vmap_state *vmap);
void vmap_state_exit(struct vmap_state *vmap);

/* From the mmu's fault handler: install what a guest's access needs. 0 or -errno. */
int mm_handle_fault(struct mmu_area *area, unsigned long address, bool write);
