/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * asm/xen/hypercall.h - what a paravirtual guest asks of the hypervisor
 *
 *      HYPERVISOR_event_channel_op  ports between domains          <xen/event_channel.h>
 *      HYPERVISOR_mmu_update        entries of page tables         struct mmu_update, <xen/xen.h>
 *      HYPERVISOR_mmuext_op         pin, unpin, cr3, TLB flushes   struct mmuext_op
 *      HYPERVISOR_update_va_mapping the right to store in a frame's direct map
 *      HYPERVISOR_multicall         up to any number of the last three at once; not within itself
 *
 * They return 0 or -errno. Those on lists stop at the first failure, and *@done is how many
 * succeeded. Those about page tables may sleep, and belong to the current machine, which needs
 * xen_mmu_initcall.
 *
 * KSHIM: in Xen the caller is the vcpu that traps. Here all domains are threads of one process, so
 * a call that two domains make names its own; and it is a plain call. And three calls more than Xen
 * has, which the thread of 2007 and this tree compare:
 *
 *      HYPERVISOR_pte_modify      an atomic read-modify-write of one PTE: Hugh's second choice
 *      XEN_PROTECT_AND_PIN        read-only and pinned, a whole tree, in one call: "whatever marks
 *      XEN_UNPIN_AND_UNPROTECT    the pages RO should not be keeping Xen in ignorance"
 */
#ifndef KSHIM_ASM_XEN_HYPERCALL_H
#define KSHIM_ASM_XEN_HYPERCALL_H

#include <asm/pgtable_types.h>
#include <xen/event_channel.h>
#include <xen/xen.h>

struct xen_domain;

/**
 * HYPERVISOR_event_channel_op - one operation on event channels
 * @self: the calling domain; domain 0 is privileged
 * @cmd: EVTCHNOP_*
 * @arg: its struct evtchn_*
 *
 * send and unmask: any context. The others may sleep. Return: 0 or a negative errno, which
 * kernel-shim/xen/EVENTS.md lists for each operation; -ENOSYS: no such operation.
 */
[[nodiscard]] int HYPERVISOR_event_channel_op(struct xen_domain *self, int cmd, void *arg);

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
