/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * asm/xen/page.h - Xen's two kinds of frame numbers, as types that cannot be mixed up
 *
 *      gfn  a frame as the guest counts it      --p2m-->      mfn  a frame of the machine
 *
 * pfn_t, the kernel's own count, is in <kshim/mmu.h>; a machine frame here is a page of the memfd,
 * so an mfn and a pfn of one frame have the same value, and converting says that this is meant.
 */
#ifndef KSHIM_ASM_XEN_PAGE_H
#define KSHIM_ASM_XEN_PAGE_H

#include <kshim/mmu.h>

typedef struct {
	unsigned long val;
} gfn_t;

typedef struct {
	unsigned long val;
} mfn_t;

static inline gfn_t _gfn(unsigned long val)
{
	return {val};
}

static inline mfn_t _mfn(unsigned long val)
{
	return {val};
}

static inline mfn_t page_to_mfn(const struct page *page)
{
	return {page_to_pfn(page)};
}

static inline bool mfn_valid(mfn_t mfn)
{
	return pfn_valid(mfn.val);
}

static inline struct page *mfn_to_page(mfn_t mfn)
{
	return pfn_to_page(mfn.val);
}

#endif
