/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * linux/mm_types.h - a page, an address space and what is mapped in it
 */
#pragma once

#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct address_space;
struct anon_vma;
struct file;
struct mm_tables;
struct mmu_area;
struct page;
struct vm_area_struct;

/*
 * One per frame of guest memory, in one array. A free page belongs to the allocator; an allocated
 * one to whoever holds references.
 */
struct page {
	/* Bits PG_*. A word of 32 bits, since threads sleep on it. */
	u32 flags;
	atomic_t _refcount; /* 0: free */
	atomic_t _mapcount; /* PTEs of page tables that map it (linux/pgtable.h) */
	/*
	 * Set by the owner of a page that VMAs map; protected by the page lock. Of an anonymous
	 * page: its anon_vma and PAGE_MAPPING_ANON.
	 */
	struct address_space *mapping;
	pgoff_t index;              /* in mapping, pages */
	unsigned long private_data; /* the owner's; the order of a free block */
	struct list_head lru;       /* the owner's; in a free list while free */
	/* Kernel mappings that hold this page: mm/vmap_internal.h. Empty while free. */
	struct hlist_head vmap_aliases;
};

enum pageflags {
	PG_locked = 1u << 0,
	PG_waiters = 1u << 1,  /* somebody sleeps on flags */
	PG_buddy = 1u << 2,    /* first page of a free block */
	PG_poisoned = 1u << 3, /* free and filled with the poison */
	PG_highmem = 1u << 4,  /* no direct map; constant */
	PG_table = 1u << 5,    /* a page table: private_data is its struct pt_page */
	/* Of anonymous pages, changed atomically: */
	PG_lru = 1u << 6,       /* the reclaimer knows it, by page->lru */
	PG_dirty = 1u << 7,     /* it differs from its copy in swap */
	PG_swapcache = 1u << 8, /* private_data is its place in swap, which has a reference */
};

#define PAGE_MAPPING_ANON 1ul

typedef unsigned int vm_fault_t;

struct vm_fault {
	struct vm_area_struct *vma;
	unsigned int flags; /* FAULT_FLAG_* */
	unsigned long address;
	pgoff_t pgoff; /* in the file: vm_pgoff is added already */
	struct page *page;
};

struct vm_operations_struct {
	void (*open)(struct vm_area_struct *vma);
	/* The VMA is gone from its mm and from the address_space. May sleep; no lock is held. */
	void (*close)(struct vm_area_struct *vma);
	/*
	 * vmf->page = the page of vmf->pgoff with a reference. Return: 0 or VM_FAULT_*. May
	 * sleep.
	 */
	vm_fault_t (*fault)(struct vm_fault *vmf);
	/*
	 * vmf->page is about to become writable. Return: VM_FAULT_LOCKED with the page locked,
	 * and then it stays locked until the PTE is installed; or VM_FAULT_SIGBUS.
	 */
	vm_fault_t (*page_mkwrite)(struct vm_fault *vmf);
};

struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_end;
	unsigned long vm_flags; /* VM_* */
	pgoff_t vm_pgoff;       /* page of the file at vm_start */
	struct mm_struct *vm_mm;
	struct file *vm_file; /* with a reference; null: anonymous memory */
	const struct vm_operations_struct *vm_ops;
	void *vm_private_data;
	struct list_head mm_node;     /* protected by mm->mmap_lock */
	struct list_head shared_node; /* protected by mapping->i_mmap_rwsem */
	/*
	 * The addresses; with page tables, what processors' TLBs hold of [vm_start, vm_end), seen
	 * at mm_view().
	 */
	struct mmu_area *area;
	struct anon_vma *anon_vma;  /* with a reference, unless it is a file's */
	struct list_head anon_node; /* protected by anon_vma->lock */
	spinlock_t tlb_lock;        /* fills and flushes of the TLB: mm/tlb.cc */
	bool unmapped;              /* protected by mm->mmap_lock: faults fail from now on */
};

/* How the faults of a guest program reach the kernel side (<kshim/mmu.h>). */
enum mmu_delivery {
	MMU_DELIVER_INLINE,   /* userfaultfd, in the faulting thread */
	MMU_DELIVER_HANDLER,  /* userfaultfd, in a handler thread: for system calls */
	MMU_DELIVER_MPROTECT, /* mprotect and SIGSEGV, in the faulting thread */
};

/* A guest program's address space. */
struct mm_struct {
	refcount_t mm_users;
	struct rw_semaphore mmap_lock;
	struct list_head vmas __guarded_by(mmap_lock);
	enum mmu_delivery delivery; /* of VMAs made from now on; set by the owner */

	/* Page tables; null: areas of the mmu are all there is (linux/pgtable.h). */
	struct mm_tables *tables;
};
