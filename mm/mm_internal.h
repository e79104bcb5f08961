/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mm_internal.h - what the files of mm/ share
 */
#pragma once

#include <kshim/machine.h>
#include <linux/mm.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>

/* Blocks of 1 ... 1024 frames (4 MiB). */
constexpr unsigned int NR_PAGE_ORDERS = 11;

/* Frames with a direct map, and those above pv_machine_config.lowmem_bytes. */
enum page_zone {
	ZONE_NORMAL,
	ZONE_HIGHMEM,
	NR_ZONES,
};

/*
 * The allocator: a free list per zone and power of two. Protected by lock: the lists, and flags,
 * lru and private_data (the order) of free pages.
 */
struct page_allocator {
	spinlock_t lock;
	struct list_head free[NR_ZONES][NR_PAGE_ORDERS] __guarded_by(lock);
	unsigned long nr_free[NR_ZONES] __guarded_by(lock);
	struct page *pages; /* the array; constant */
	unsigned long nr_pages;
	unsigned long nr_lowmem; /* frames from here on are high; constant */
	bool poison;             /* flips between allocations only */
};

/* Who can give pages back (shrinker.cc). */
struct shrinker_state {
	struct rw_semaphore lock;
	struct list_head list __guarded_by(lock);
};

struct vmap_state;    /* vmap_internal.h */
struct pgtable_state; /* pgtable.h */

struct mm_state {
	struct page_allocator allocator;
	struct shrinker_state shrinkers;
	struct vmap_state *vmap;
	struct pgtable_state *pgtable;
};

[[nodiscard]] int page_allocator_init(struct page_allocator *allocator);
/* Reports pages that are still allocated. */
void page_allocator_exit(struct page_allocator *allocator);

void shrinker_state_init(struct shrinker_state *shrinkers);

/* After the allocator; the machine's mm is set. */
[[nodiscard]] int vmap_state_init(struct mm_state *mm);
/* Purges what is lazy, reports what is live. */
void vmap_state_exit(struct mm_state *mm);

/* From the mmu's fault handler: install what a guest's access needs. 0 or -errno. */
int mm_handle_fault(struct mmu_area *area, unsigned long address, bool write);
