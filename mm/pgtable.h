/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pgtable.h - what the files of address spaces with page tables share (<linux/pgtable.h>)
 *
 *      pgtable.cc    tables: allocated, found, freed; PTE locks
 *      tlb.cc        the processor's part: walks, accessed and dirty bits, TLBs
 *      anon.cc       anonymous memory: faults, copy on write
 *      swap.cc       places in swap, and the pages that have one
 *      anon_rmap.cc  from an anonymous page to its PTEs; page_referenced, try_to_unmap
 *      fork.cc       dup_mm, and what exit does
 *      reclaim.cc    the clock
 *      memfd.cc      files in memory
 *      pin/          read-only and pinned, by five policies
 *
 * Locks, outermost first:
 *
 *      mmap_lock -> page lock -> anon_life (rwsem) -> i_mmap_rwsem, anon_vma->lock (mutex)
 *          -> tables->lock -> PTE lock, pt_page.ptl (parent's mm before child's)
 *              -> vma->tlb_lock | swap lock | lru lock | the hypervisor's
 */
#pragma once

#include "mm_internal.h"

#include <asm/pgtable_types.h>
#include <kshim/direct_map.h>
#include <kshim/xen_mmu.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/pgtable.h>
#include <linux/spinlock.h>

/* What page->private_data of a table points to. */
struct pt_page {
	spinlock_t ptl;
	struct page *page;
	struct mm_tables *tables;
	unsigned int level;
	struct list_head node; /* in tables->list[level], oldest first */
};

struct mm_tables {
	spinlock_t lock;
	u64 *pgd;
	struct list_head list[PT_LEVELS + 1]; /* protected by lock: grow only, until exit */
	u32 nr_tables;                        /* likewise */
	bool pinned; /* changes with mmap_lock held for writing, or before and after all users */

	/* For an oops: what a pin is at. Atomic. */
	const char *pin_phase;
	unsigned long pin_stack[8];
	unsigned int pin_stack_nr;
};

/* Who may have a page of anonymous memory in its VMA: a parent, its children, theirs. */
struct anon_vma {
	struct mutex lock;
	struct list_head vmas __guarded_by(lock);
	refcount_t refs; /* VMAs, on the list or on their way out */
};

struct swap_slot;

struct pgtable_state {
	struct rw_semaphore anon_life; /* written by who frees an anon_vma */

	spinlock_t lru_lock;
	struct list_head lru __guarded_by(lru_lock);
	unsigned long nr_lru __guarded_by(lru_lock);

	spinlock_t swap_lock;
	struct swap_slot **slots; /* protected by swap_lock, as the next two */
	unsigned long nr_slots;
	unsigned long next_slot;

	const struct pin_policy *policy; /* constant, as the next one */
	unsigned long pin_batch;         /* entries of a multicall, at most MC_BATCH */

	spinlock_t cr3_lock;
	/* Protected by cr3_lock: what each virtual processor is to run, and is known to run. */
	struct mm_tables *cr3[XEN_MMU_VCPUS], *current_cr3[XEN_MMU_VCPUS];
	struct shrinker *shrinker;
	struct pgtable_stats stats; /* atomic */
};

static inline struct pgtable_state *current_pgtable(void)
{
	return current_machine()->mm->pgtable;
}

static inline void pgtable_count(u64 *counter, u64 n = 1)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* pgtable.cc: the entry of @va at @level; null: a table above it is missing. No locks. */
u64 *pt_lookup(const struct mm_tables *tables, unsigned long va);
/* The first PTE from *@va on, before @end, that says anything; *@va becomes its. Null: none. */
u64 *pt_next(const struct mm_tables *tables, unsigned long *va, unsigned long end);
/* The PTE of @va, making what is missing. Null: no memory. */
u64 *pt_alloc(struct mm_tables *tables, unsigned long va);
static inline struct pt_page *pt_page_of(const void *entry)
{
	return (struct pt_page *)virt_to_page(entry)->private_data;
}
static inline spinlock_t *pte_lockptr(const u64 *ptep)
{
	return &pt_page_of(ptep)->ptl;
}
void pt_free_all(struct mm_tables *tables);

/* PTEs change by these; tables of an mm that nobody else knows yet, by native_pte_*. */
void set_pte(u64 *ptep, pteval_t value);
/* Replaced in one step with the bits that the processor sets. Return: what was there. */
pteval_t ptep_xchg(u64 *ptep, pteval_t value);
/* A bit is taken away in one step. Return: was it there? */
bool ptep_test_and_clear(u64 *ptep, unsigned int bit);

/* tlb.cc. 0; -EFAULT: the page table does not allow it. */
[[nodiscard]] int tlb_fill(struct vm_area_struct *vma, unsigned long va, bool write);
void tlb_flush(struct vm_area_struct *vma, unsigned long va, unsigned long nr);

static inline unsigned long vma_view(const struct vm_area_struct *vma, unsigned long va)
{
	return mmu_area_start(vma->area) + (va - vma->vm_start);
}

/* anon.cc: vma->vm_mm->mmap_lock is held for reading; there are tables. 0 or -errno. */
[[nodiscard]] int handle_pte_fault(struct vm_area_struct *vma, unsigned long va, bool write);
/* Installs the PTE of a file's page, locked; with a reference of its own. */
[[nodiscard]] int install_file_pte(struct vm_area_struct *vma, unsigned long va, struct page *page,
				   bool write);
/* Takes away the PTEs of a VMA that no program uses any more, and what they hold. */
void zap_vma(struct vm_area_struct *vma, bool pinned);
void zap_file_range(struct vm_area_struct *vma, unsigned long va, unsigned long nr);
void page_add_rmap(struct page *page);
void page_remove_rmap(struct page *page);

/* anon_rmap.cc */
[[nodiscard]] struct anon_vma *anon_vma_alloc(void);
void anon_vma_put(struct anon_vma *anon_vma);
/* Seen, and not seen any more, by who walks from pages to PTEs. */
void vma_link_rmap(struct vm_area_struct *vma);
void vma_unlink_rmap(struct vm_area_struct *vma);

/* swap.cc. An entry is a PTE that is not present: slot + 1 in place of the frame. */
static inline bool pte_is_swap(pteval_t pte)
{
	return pte && !pte_present(pte);
}
static inline pteval_t swap_pte(unsigned long slot)
{
	return (pteval_t)(slot + 1) << PAGE_SHIFT;
}
static inline unsigned long pte_slot(pteval_t pte)
{
	return (unsigned long)(pte >> PAGE_SHIFT) - 1;
}
/* A place for @page, locked: it is in the swap cache then. 0 or -ENOMEM. */
[[nodiscard]] int swap_add(struct page *page);
void swap_get(unsigned long slot); /* a PTE more */
void swap_put(unsigned long slot); /* ... less */
/* The page that is there, with a reference; else null. */
struct page *swap_page(unsigned long slot);
/* @page is what is there from now on, unless somebody was faster (false). */
bool swap_claim(unsigned long slot, struct page *page);
/* PTEs that mean the place of a page. */
unsigned int swap_count(const struct page *page);
void swap_write(struct page *page);
/* Nobody but the caller and the cache has it: it leaves the cache. */
bool swap_remove(struct page *page);
/* A PTE of a cached page went: if that was all, the page leaves the cache. With a reference. */
void swap_drop_orphan(struct page *page);
void swap_exit(struct pgtable_state *state);

/* reclaim.cc */
void lru_add(struct page *page);
void lru_del(struct page *page);
[[nodiscard]] int reclaim_init(struct pgtable_state *state);
void reclaim_exit(struct pgtable_state *state);

static inline void page_set_flags(struct page *page, u32 flags)
{
	kshim_point(KSHIM_RMW, &page->flags, sizeof(page->flags), __ATOMIC_RELAXED);
	__atomic_fetch_or(&page->flags, flags, __ATOMIC_RELAXED);
}
static inline bool page_clear_flags(struct page *page, u32 flags)
{
	kshim_point(KSHIM_RMW, &page->flags, sizeof(page->flags), __ATOMIC_RELAXED);
	return __atomic_fetch_and(&page->flags, ~flags, __ATOMIC_RELAXED) & flags;
}
static inline bool page_has_flags(const struct page *page, u32 flags)
{
	return READ_ONCE(page->flags) & flags;
}

/* mmap.cc */
void detach_vma(struct mm_struct *mm, struct vm_area_struct *vma) __must_hold(&mm->mmap_lock);
void destroy_vma(struct vm_area_struct *vma);
struct vm_area_struct *vma_alloc(struct mm_struct *mm, unsigned long len);
void vma_free(struct vm_area_struct *vma);

/* fork.cc */
[[nodiscard]] int pgtable_state_init(struct mm_state *mm);
void pgtable_state_exit(struct mm_state *mm);
void exit_mm_tables(struct mm_struct *mm);
