/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tlb.cc - what the processor does with page tables
 *
 *      access -> a translation in the TLB that suffices                    (the mmu's area)
 *             -> else a walk: present, and RW for a store?
 *                   yes: A is set in the PTE, for a store D too, and the TLB filled
 *                   no:  page fault
 *
 * The host's mappings of an area are the TLB, filled by faults and emptied by tlb_flush(). A PTE
 * that is writable and not dirty gets a read-only translation, so that the first store comes here
 * and sets D: as hardware does.
 *
 * tlb_lock: a flush waits for a walk in progress, as an interrupt for the instruction's end: what
 * was walked before it is gone when tlb_flush() returns. It is no kernel's lock but the
 * hardware's; hence it may be held across a system call.
 *
 * KSHIM: hardware's bits are set on its way to memory, ours in the handler of a fault; the
 * direct map's rights do not stop either.
 */
#include "pgtable.h"

int tlb_fill(struct vm_area_struct *vma, unsigned long va, bool write)
{
	pteval_t set = _PAGE_ACCESSED | (write ? _PAGE_DIRTY : 0);
	u64 *ptep = pt_lookup(vma->vm_mm->tables, va);
	pteval_t pte;

	if (!ptep)
		return -EFAULT;
	guard(spinlock)(&vma->tlb_lock);
	pte = pte_load(ptep);
	for (;;) {
		if (!pte_present(pte) || (write && !pte_write(pte)))
			return -EFAULT;
		if ((pte & set) == set || hv_pte_cmpxchg(ptep, &pte, pte | set))
			break;
	}
	pte |= set;
	return mmu_map(vma->area, vma_view(vma, va), pfn_to_page(pte_pfn(pte)),
		       pte_write(pte) && pte_dirty(pte) ? MMU_RW : MMU_RO);
}

void tlb_flush(struct vm_area_struct *vma, unsigned long va, unsigned long nr)
{
	guard(spinlock)(&vma->tlb_lock);
	mmu_zap(vma->area, vma_view(vma, va), nr);
}
