// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mmu_hypercall.cc - <asm/xen/hypercall.h>
 *
 * A multicall's entries are made in order, with one exception that nobody can see: neighbouring
 * changes of direct map rights in one direction are made together, runs of frames by one system
 * call each. That is most of what batching gains here.
 */
#include "xen_mmu_internal.h"

#include <linux/kernel.h>

/* So many changes of rights are made together. */
#define RIGHTS_BATCH 64u

/* A frame that tables can lie in and name. */
static bool is_ours(struct xen_mmu *xen, u64 pfn)
{
	return pfn < xen->nr_frames;
}

static int set_rights(struct page *const *pages, unsigned int nr, bool writable)
{
	return direct_map_protect(pages, nr, writable ? MMU_RW : MMU_RO);
}

int set_direct_map(struct xen_mmu *xen, struct page *const *pages, unsigned int nr, bool writable)
{
	unsigned int done = 0;
	int err = 0;

	if (!writable) {
		/* First the right, then the reference that stands for it. */
		err = set_rights(pages, nr, false);
		for (; !err && done < nr; done++)
			put_frame_type(xen, page_to_pfn(pages[done]));
		return err;
	}
	for (; done < nr && !err; done++)
		err = get_frame_type(xen, page_to_pfn(pages[done]), XEN_PGT_writable);
	if (err)
		done--;
	else
		err = set_rights(pages, nr, true);
	while (err && done > 0)
		put_frame_type(xen, page_to_pfn(pages[--done]));
	return err;
}

/* The frame of @va, if @pte is what its direct map may say; null else. */
static struct page *direct_map_page(struct xen_mmu *xen, unsigned long va, pteval_t pte)
{
	struct page *page = virt_to_page((const void *)va);

	if (!is_ours(xen, pte_pfn(pte)) || pfn_to_page(pte_pfn(pte)) != page || !pte_present(pte))
		return nullptr;
	return page;
}

static void flush_for_flags(struct xen_mmu *xen, unsigned long flags)
{
	if (!(flags & UVMF_FLUSHTYPE_MASK))
		return;
	for (unsigned int vcpu = 0; vcpu < xen->nr_vcpus; vcpu++)
		flush_vcpu(xen, vcpu);
}

static int update_va_mapping(struct xen_mmu *xen, unsigned long va, pteval_t pte,
			     unsigned long flags)
{
	struct page *page = direct_map_page(xen, va, pte);
	int err = 0;

	if (!page)
		return -EINVAL;
	if (direct_map_writable(page) != pte_write(pte))
		err = set_direct_map(xen, &page, 1, pte_write(pte));
	if (!err)
		flush_for_flags(xen, flags);
	return err;
}

struct plain_update {
	pteval_t value;
	bool preserve_ad;
};

static bool plain_next(struct entry_change *change, pteval_t now, pteval_t *next)
{
	const struct plain_update *update = (const struct plain_update *)change->ctx;

	*next = update->value;
	if (update->preserve_ad && pte_present(now))
		*next |= now & (_PAGE_ACCESSED | _PAGE_DIRTY);
	return true;
}

static int change_locked(struct xen_mmu *xen, u64 *ptep, struct entry_change *change)
{
	unsigned long pfn = page_to_pfn(virt_to_page(ptep));

	guard(spinlock)(&frame_info(xen, pfn)->lock);
	return change_entry(xen, pfn, ptep, change);
}

static int mmu_update(struct xen_mmu *xen, const struct mmu_update *reqs, unsigned int count,
		      unsigned int *done)
{
	unsigned int i = 0;
	int err = 0;

	for (; i < count && !err; i++) {
		struct plain_update update = {.value = reqs[i].val,
					      .preserve_ad = (reqs[i].ptr & 3) ==
							     MMU_PT_UPDATE_PRESERVE_AD};
		struct entry_change change = {.next = plain_next, .ctx = &update, .old = 0};
		u64 at = reqs[i].ptr & ~3ull;

		if ((reqs[i].ptr & 3) == MMU_MACHPHYS_UPDATE || at % sizeof(u64) ||
		    !is_ours(xen, at >> PAGE_SHIFT))
			err = -EINVAL;
		else
			err = change_locked(
				xen, table_of(at >> PAGE_SHIFT) + offset_in_page(at) / sizeof(u64),
				&change);
	}
	if (done)
		*done = err ? i - 1 : i;
	return err;
}

static int load_cr3(struct xen_mmu *xen, unsigned long pfn, unsigned int vcpu)
{
	unsigned long old = xen->cr3[vcpu];

	if (pfn) {
		int err = is_ours(xen, pfn) ? get_frame_type(xen, pfn, XEN_PGT_l4) : -EINVAL;

		if (err)
			return -EINVAL;
	}
	xen->cr3[vcpu] = pfn;
	flush_vcpu(xen, vcpu);
	if (old)
		put_frame_type(xen, old);
	return 0;
}

static int pin(struct xen_mmu *xen, unsigned long pfn, enum xen_frame_type type)
{
	guard(spinlock)(&frame_info(xen, pfn)->lock);
	return pin_table_locked(xen, pfn, type);
}

static int unpin(struct xen_mmu *xen, unsigned long pfn)
{
	guard(spinlock)(&frame_info(xen, pfn)->lock);
	return unpin_table_locked(xen, pfn);
}

static int mmuext_op_one(struct xen_mmu *xen, const struct mmuext_op *op, unsigned int vcpu)
{
	unsigned long pfn = op->arg1.mfn;

	switch (op->cmd) {
	case MMUEXT_PIN_L1_TABLE:
	case MMUEXT_PIN_L2_TABLE:
	case MMUEXT_PIN_L3_TABLE:
	case MMUEXT_PIN_L4_TABLE:
		return is_ours(xen, pfn) ? pin(xen, pfn,
					       (enum xen_frame_type)(XEN_PGT_l1 + op->cmd -
								     MMUEXT_PIN_L1_TABLE))
					 : -EINVAL;
	case MMUEXT_UNPIN_TABLE:
		return is_ours(xen, pfn) ? unpin(xen, pfn) : -EINVAL;
	case MMUEXT_NEW_BASEPTR:
		return load_cr3(xen, pfn, vcpu);
	case MMUEXT_TLB_FLUSH_LOCAL:
		flush_vcpu(xen, vcpu);
		return 0;
	case MMUEXT_TLB_FLUSH_ALL:
		flush_for_flags(xen, UVMF_TLB_FLUSH);
		return 0;
	case XEN_PROTECT_AND_PIN:
		return is_ours(xen, pfn) ? protect_and_pin(xen, pfn) : -EINVAL;
	case XEN_UNPIN_AND_UNPROTECT:
		return is_ours(xen, pfn) ? unpin_and_unprotect(xen, pfn) : -EINVAL;
	default:
		return -EOPNOTSUPP;
	}
}

static int mmuext_op(struct xen_mmu *xen, const struct mmuext_op *ops, unsigned int count,
		     unsigned int *done, unsigned int vcpu)
{
	unsigned int i = 0;
	int err = 0;

	for (; i < count && !err; i++)
		err = mmuext_op_one(xen, &ops[i], vcpu);
	if (done)
		*done = err ? i - 1 : i;
	return err;
}

static bool is_right_of(const struct multicall_entry *call, bool writable)
{
	return call->op == __HYPERVISOR_update_va_mapping && pte_write(call->args[1]) == writable &&
	       !(call->args[2] & UVMF_FLUSHTYPE_MASK);
}

/* How many entries from @calls on are changes of rights that were made together; 0: none. */
static unsigned int make_rights(struct xen_mmu *xen, struct multicall_entry *calls, unsigned int nr)
{
	bool writable = pte_write(calls[0].args[1]);
	struct page *pages[RIGHTS_BATCH];
	unsigned int n = 0;

	while (n < nr && n < RIGHTS_BATCH && is_right_of(&calls[n], writable)) {
		pages[n] = direct_map_page(xen, calls[n].args[0], calls[n].args[1]);
		if (!pages[n] || direct_map_writable(pages[n]) == writable)
			break;
		n++;
	}
	/* If one of them cannot be, each alone finds out which. */
	if (n < 2 || set_direct_map(xen, pages, n, writable))
		return 0;
	for (unsigned int i = 0; i < n; i++)
		calls[i].result = 0;
	return n;
}

static int call_one(struct xen_mmu *xen, const struct multicall_entry *call, unsigned int vcpu)
{
	switch (call->op) {
	case __HYPERVISOR_mmu_update:
		return mmu_update(xen, (const struct mmu_update *)call->args[0],
				  (unsigned int)call->args[1], (unsigned int *)call->args[2]);
	case __HYPERVISOR_mmuext_op:
		return mmuext_op(xen, (const struct mmuext_op *)call->args[0],
				 (unsigned int)call->args[1], (unsigned int *)call->args[2], vcpu);
	case __HYPERVISOR_update_va_mapping:
		return update_va_mapping(xen, call->args[0], call->args[1], call->args[2]);
	case __HYPERVISOR_multicall:
		return -EINVAL; /* not within itself */
	default:
		return -ENOSYS;
	}
}

int HYPERVISOR_multicall(struct multicall_entry *calls, unsigned int nr, unsigned int vcpu)
{
	struct xen_mmu *xen = current_xen_mmu();

	if (vcpu >= xen->nr_vcpus)
		return -EINVAL;
	xen_mmu_count(&xen->stats.hypercalls);
	for (unsigned int i = 0; i < nr;) {
		unsigned int made = make_rights(xen, &calls[i], nr - i);

		if (!made) {
			calls[i].result = (xen_ulong_t)(long)call_one(xen, &calls[i], vcpu);
			made = 1;
		}
		for (unsigned int n = 0; n < made; n++)
			xen_mmu_count(&xen->stats.multicall_calls);
		i += made;
	}
	return 0;
}

int HYPERVISOR_mmu_update(const struct mmu_update *reqs, unsigned int count, unsigned int *done)
{
	struct xen_mmu *xen = current_xen_mmu();

	xen_mmu_count(&xen->stats.hypercalls);
	return mmu_update(xen, reqs, count, done);
}

int HYPERVISOR_mmuext_op(const struct mmuext_op *ops, unsigned int count, unsigned int *done,
			 unsigned int vcpu)
{
	struct xen_mmu *xen = current_xen_mmu();

	if (vcpu >= xen->nr_vcpus)
		return -EINVAL;
	xen_mmu_count(&xen->stats.hypercalls);
	return mmuext_op(xen, ops, count, done, vcpu);
}

int HYPERVISOR_update_va_mapping(unsigned long va, pteval_t pte, unsigned long flags)
{
	struct xen_mmu *xen = current_xen_mmu();

	xen_mmu_count(&xen->stats.hypercalls);
	return update_va_mapping(xen, va, pte, flags);
}

struct modify {
	pteval_t clear, set;
};

static bool modify_next(struct entry_change *change, pteval_t now, pteval_t *next)
{
	const struct modify *modify = (const struct modify *)change->ctx;

	*next = (now & ~modify->clear) | modify->set;
	return *next != now;
}

int HYPERVISOR_pte_modify(u64 *ptep, pteval_t clear, pteval_t set, pteval_t *old)
{
	struct xen_mmu *xen = current_xen_mmu();
	struct modify modify = {clear, set};
	struct entry_change change = {.next = modify_next, .ctx = &modify, .old = 0};
	int err;

	xen_mmu_count(&xen->stats.hypercalls);
	if ((unsigned long)ptep % sizeof(u64) || !is_ours(xen, page_to_pfn(virt_to_page(ptep))))
		return -EINVAL;
	err = change_locked(xen, ptep, &change);
	*old = change.old;
	return err;
}
