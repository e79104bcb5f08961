/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An entry of a page table as x86-64 has it, and which one of four levels an address uses.
 *
 *      63 62 .. 52 51 ................ 12 11 9  8 7 6 5 4 3 2 1 0
 *      NX|        | frame                | sw |  | |D|A| | |U|W|P|
 *
 *      address  | 47..39  | 38..30  | 29..21  | 20..12  | 11..0  |
 *      table      L4 (pgd)  L3 (pud)  L2 (pmd)  L1 (pte)  512 entries each
 *
 * An entry that is not present is the kernel's own: 0, or a place in swap (mm/pgtable.h).
 *
 * KSHIM: a pteval is a plain u64, as in Xen's interface (struct mmu_update), and not one type for
 * each level: who writes which level is decided by the hypervisor, by the frame's type.
 */
#ifndef KSHIM_ASM_PGTABLE_TYPES_H
#define KSHIM_ASM_PGTABLE_TYPES_H

#include <asm/page.h>
#include <linux/types.h>

typedef u64 pteval_t;

#define _PAGE_PRESENT 0x001ull
#define _PAGE_RW 0x002ull
#define _PAGE_USER 0x004ull
#define _PAGE_PWT 0x008ull
#define _PAGE_PCD 0x010ull
#define _PAGE_ACCESSED 0x020ull
#define _PAGE_DIRTY 0x040ull
#define _PAGE_PSE 0x080ull
#define _PAGE_GLOBAL 0x100ull
#define _PAGE_NX (1ull << 63)

#define _PAGE_BIT_RW 1
#define _PAGE_BIT_ACCESSED 5
#define _PAGE_BIT_DIRTY 6

#define PTE_PFN_MASK 0x000ffffffffff000ull
#define _PAGE_TABLE (_PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_ACCESSED | _PAGE_DIRTY)

#define PTRS_PER_PTE 512u

/* Levels by number, as Xen counts: 1 is the table of PTEs, 4 the one that cr3 points to. */
#define PT_LEVELS 4u
#define PT_LEVEL_SHIFT(level) (PAGE_SHIFT + 9 * ((level)-1))

static inline unsigned int pt_index(unsigned long address, unsigned int level)
{
	return (address >> PT_LEVEL_SHIFT(level)) & (PTRS_PER_PTE - 1);
}

static inline unsigned long pte_pfn(pteval_t pte)
{
	return (unsigned long)((pte & PTE_PFN_MASK) >> PAGE_SHIFT);
}

static inline pteval_t pfn_pte(unsigned long pfn, pteval_t flags)
{
	return ((pteval_t)pfn << PAGE_SHIFT) | flags;
}

static inline bool pte_present(pteval_t pte)
{
	return pte & _PAGE_PRESENT;
}

static inline bool pte_write(pteval_t pte)
{
	return pte & _PAGE_RW;
}

static inline bool pte_dirty(pteval_t pte)
{
	return pte & _PAGE_DIRTY;
}

static inline bool pte_young(pteval_t pte)
{
	return pte & _PAGE_ACCESSED;
}

#endif
