/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * linux/pgtable.h - address spaces with page tables of their own: fork, exit, reclaim
 *
 *      mm_alloc_tables() -> vm_mmap()  -> mm_activate() -> programs -> mmput()
 *                              dup_mm() = fork: copied, pinned               exit: unpinned, gone
 *
 * An mm that has tables keeps its PTEs in guest pages, in x86-64's four levels, and the mmu's areas
 * below it are only what processors' TLBs hold of them (mm/tlb.cc): an access fills them from the
 * tables, setting accessed and dirty bits in the PTE as hardware does; changing a PTE and flushing
 * are steps of their own.
 *
 * P1. A PTE changes with its table's lock held (struct pt_page), but for the bits that the
 *     processor sets.
 * P2. A page has a reference and a _mapcount for each PTE that maps it. A translation is flushed
 *     before its page's reference goes.
 * P3. A dirty bit in a PTE is never lost: who takes a PTE away, or takes away its dirty bit, has
 *     the page marked.
 * P4. With a hypervisor (xen_mmu_initcall) a pinned mm's tables are read-only in the direct map and
 *     change by its leave: how the kernel gets there and back is the pin policy, parameter
 *     pin.policy (mm/pin/pin.h).
 *
 * KSHIM: two address spaces live in one process, so a child cannot be at its parent's addresses:
 * programs see address @va of an mm at mm_view(mm, va).
 */
#pragma once

#include <linux/mm.h>

struct mm_tables;

/* Page tables for an empty mm of one user. 0 or -ENOMEM. */
[[nodiscard]] int mm_alloc_tables(struct mm_struct *mm);

/**
 * mm_activate - pin the tables: what exec does before the first program runs
 * Context: may sleep. Return: 0; -EINVAL: somebody can store to a table (logged, with the name of
 * the mapping that can); -ENOMEM.
 */
[[nodiscard]] int mm_activate(struct mm_struct *mm);

/**
 * dup_mm - fork: a copy of an address space
 *
 * Anonymous memory is shared until one of both stores to it; files are mapped in both. The copy is
 * pinned. Return: the copy, to be given to mmput(); ERR_PTR(-ENOMEM), or the pin's error.
 */
struct mm_struct *dup_mm(struct mm_struct *old);

/* Where programs see @va of @mm; 0: nothing is mapped there. Takes mmap_lock for reading. */
unsigned long mm_view(struct mm_struct *mm, unsigned long va);

/*
 * A virtual processor runs programs of @mm from now on; null: of none. One thread at a time uses a
 * processor's number. Lazy: the hypervisor is told with the next thing it is told.
 */
void switch_mm(unsigned int vcpu, struct mm_struct *mm, bool lazy);
/* It runs programs of none from now on, and the hypervisor knows. */
void leave_mm(unsigned int vcpu);

/* Gives back pages of anonymous memory to the allocator, at most @nr. Return: how many. */
unsigned long reclaim_pages(unsigned long nr);

/**
 * page_referenced - was @page used since the last time? Clears the accessed bits.
 * The page is locked. May sleep. Return: in how many PTEs.
 */
int page_referenced(struct page *page);

/**
 * try_to_unmap - replace all PTEs of an anonymous page by its place in swap
 * The page is locked, and has a place. Marks the page dirty when a PTE was. May sleep.
 * Return: true: nobody maps it any more.
 */
bool try_to_unmap(struct page *page);

/* A file of @nr_pages that exists in memory only. ERR_PTR(-ENOMEM). */
struct file *memfd_file(unsigned long nr_pages);
/* Its page, if there is one: no reference is taken, it is there as long as the file. */
struct page *memfd_page(struct file *file, unsigned long index);

static inline int page_mapcount(const struct page *page)
{
	return atomic_read(&page->_mapcount);
}

/* What happened in the machine; and what is there now. */
struct pgtable_stats {
	u64 forks, exits;
	u64 anon_faults, cow_copies, cow_reuses, swap_ins, swap_outs, clean_outs;
	u64 reclaimed;
	u64 tables; /* page-table pages, now */
	u64 pins, unpins;
	u64 pin_ns;  /* time spent in them, both */
	u64 lock_ns; /* of that, with a PTE lock held; the longest is */
	u64 lock_ns_max;
	u64 locks_max;   /* PTE locks held at a time by one pin */
	u64 pin_batches; /* hypercalls that pins and unpins made */
};
void pgtable_stats(struct pgtable_stats *stats);
/* Their policy's name. */
const char *pin_policy_name(void);
