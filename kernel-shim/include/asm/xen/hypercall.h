/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * asm/xen/hypercall.h - what a paravirtual guest asks of the hypervisor about its page tables
 *
 *      HYPERVISOR_mmu_update        entries of page tables         struct mmu_update, <xen/xen.h>
 *      HYPERVISOR_mmuext_op         pin, unpin, cr3, TLB flushes   struct mmuext_op
 *      HYPERVISOR_update_va_mapping the right to store in a frame's direct map
 *      HYPERVISOR_multicall         up to any number of these at once; cannot contain another
 *
 * All may sleep, and belong to the current machine, which needs xen_mmu_initcall. They return 0 or
 * -errno; the ones on lists stop at the first failure, and *@done is how many succeeded.
 *
 * KSHIM: three calls more than Xen has. They are what the thread of 2007 and this tree compare:
 *
 *      HYPERVISOR_pte_modify      an atomic read-modify-write of one PTE: Hugh's second choice
 *      XEN_PROTECT_AND_PIN        read-only and pinned, a whole tree, in one call: "whatever marks
 *      XEN_UNPIN_AND_UNPROTECT    the pages RO should not be keeping Xen in ignorance"
 */
#ifndef KSHIM_ASM_XEN_HYPERCALL_H
#define KSHIM_ASM_XEN_HYPERCALL_H

#include <asm/pgtable_types.h>
#include <xen/xen.h>

/* Of MMUEXT_*, private to the shim: arg1.mfn is the top table's. */
#define XEN_PROTECT_AND_PIN 64u
#define XEN_UNPIN_AND_UNPROTECT 65u

[[nodiscard]] int HYPERVISOR_mmu_update(const struct mmu_update *reqs, unsigned int count,
					unsigned int *done);
[[nodiscard]] int HYPERVISOR_mmuext_op(const struct mmuext_op *ops, unsigned int count,
				       unsigned int *done, unsigned int vcpu);

/**
 * HYPERVISOR_update_va_mapping - @va of the direct map becomes @pte
 * @flags: UVMF_*. UVMF_NONE: processors may go on with what they know of the old right.
 * Return: 0; -EINVAL: not the direct map's, or another frame; -EBUSY: a page table cannot become
 * writable.
 */
[[nodiscard]] int HYPERVISOR_update_va_mapping(unsigned long va, pteval_t pte, unsigned long flags);

/**
 * HYPERVISOR_pte_modify - *@ptep = (*@ptep & ~@clear) | @set, in one step
 * @old: what was there, accessed and dirty bits with it
 */
[[nodiscard]] int HYPERVISOR_pte_modify(u64 *ptep, pteval_t clear, pteval_t set, pteval_t *old);

/* Each entry's result is in it; 0 unless the list itself is wrong. */
[[nodiscard]] int HYPERVISOR_multicall(struct multicall_entry *calls, unsigned int nr,
				       unsigned int vcpu);

#endif
