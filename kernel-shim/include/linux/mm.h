/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * linux/mm.h - pages, and what guest programs map
 *
 * A guest program is a thread of this process; its mappings are real addresses, its faults are real
 * faults, resolved in the steps of a kernel:
 *
 *      access --> mmap_lock (read) --> vm_ops->fault: which page?
 *                   read:  lock the page, check it, install a read-only PTE, unlock
 *                   write: vm_ops->page_mkwrite: noted, and locked;
 *                          install a writable PTE, a step of its own; unlock
 *
 * M1: a PTE is installed or write-protected only with the page's lock held, so whoever holds it
 *     sees PTE and the owner's record of it agree.
 * M2: a mapped page has a reference from its owner until it is unmapped everywhere.
 * Lock order: mmap_lock -> page lock -> i_mmap_rwsem. A driver's locks that its fault callbacks
 *     take lie between mmap_lock and the page lock.
 */
#pragma once

#include <asm/page.h>
#include <kshim/mmu.h>
#include <linux/gfp.h>
#include <linux/mm_types.h>
#include <linux/mman.h>

struct machine_initcall;

#define VM_READ 0x1ul
#define VM_WRITE 0x2ul
#define VM_SHARED 0x8ul

#define FAULT_FLAG_WRITE 0x1u

#define VM_FAULT_SIGBUS 0x2u
#define VM_FAULT_OOM 0x1u
#define VM_FAULT_SIGSEGV 0x40u
#define VM_FAULT_LOCKED 0x200u

/* The allocator, the kernel's mappings, guest programs. Needs mmu_initcall. */
extern const struct machine_initcall mm_initcall;

/* References. The last put frees the page. */
void get_page(struct page *page);
/* False when the page is free. */
[[nodiscard]] bool get_page_unless_zero(struct page *page);
void put_page(struct page *page);
int page_ref_count(const struct page *page);

/* The page lock: sleeps; not recursive; the holder need not be the thread that unlocks. */
void lock_page(struct page *page);
bool trylock_page(struct page *page);
void unlock_page(struct page *page);
bool PageLocked(const struct page *page);

/**
 * page_poison_set - fill freed pages and check them when they are allocated On by default in
 * explore and sanitizer builds. A page that was written after it was freed is reported by WARN
 * when it is allocated again.
 */
void page_poison_set(bool on);

/*
 * An empty address space for guest programs, one user; null without memory. mmput() unmaps what
 * is left.
 */
struct mm_struct *mm_alloc(void);
void mmget(struct mm_struct *mm);
void mmput(struct mm_struct *mm);

/**
 * vm_mmap - map @len bytes of @file from @offset
 * @file: null: anonymous memory, in an mm with page tables
 * @prot: PROT_READ, PROT_WRITE (which implies reading, as on x86)
 * @flags: MAP_SHARED for a file, MAP_PRIVATE for anonymous memory; nothing else is there
 * @offset: bytes, whole pages
 *
 * The addresses are the kernel's choice. Takes a reference to @file. Context: may sleep, takes
 * mm->mmap_lock. Return: the address, or a negative errno to be looked at with IS_ERR_VALUE():
 * -EINVAL, -ENODEV (the file cannot be mapped, or its device is gone), -ENOMEM, the file's error.
 */
unsigned long vm_mmap(struct mm_struct *mm, struct file *file, unsigned long len,
		      unsigned long prot, unsigned long flags, unsigned long offset);

/**
 * vm_munmap - unmap exactly what one vm_mmap() mapped
 * KSHIM: parts of a mapping cannot be unmapped. Return: 0; -EINVAL when [addr, addr+len) is no
 * mapping.
 */
[[nodiscard]] int vm_munmap(struct mm_struct *mm, unsigned long addr, unsigned long len);

/**
 * unmap_mapping_range - take pages out of every VMA of @mapping; the next access faults
 * @holebegin, @holelen: bytes in the file, whole pages; length 0: to the end
 */
void unmap_mapping_range(struct address_space *mapping, u64 holebegin, u64 holelen);
