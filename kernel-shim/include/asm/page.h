/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The size of a page, as the x86-64 host has it.
 *
 * KSHIM: what takes a struct page (page_address and friends) is in <kshim/mmu.h>.
 */
#ifndef KSHIM_ASM_PAGE_H
#define KSHIM_ASM_PAGE_H

#define PAGE_SHIFT 12
#define PAGE_SIZE (1UL << PAGE_SHIFT)
#define PAGE_MASK (~(PAGE_SIZE - 1))

#define PAGE_ALIGN(addr) (((unsigned long)(addr) + PAGE_SIZE - 1) & PAGE_MASK)
#define PAGE_ALIGN_DOWN(addr) ((unsigned long)(addr)&PAGE_MASK)
#define PAGE_ALIGNED(addr) (((unsigned long)(addr) & ~PAGE_MASK) == 0)
#define offset_in_page(p) ((unsigned long)(p) & ~PAGE_MASK)
#define PFN_UP(x) (((unsigned long)(x) + PAGE_SIZE - 1) >> PAGE_SHIFT)
#define PFN_DOWN(x) ((unsigned long)(x) >> PAGE_SHIFT)

#endif
