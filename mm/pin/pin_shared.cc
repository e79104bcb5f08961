/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pin_shared.cc - what several policies do
 */
#include "multicall.h"
#include "pin.h"

#include <linux/bug.h>

/* Tables of levels @first and above change their right, batched. */
static int right_of_all(struct mm_tables *tables, bool writable, unsigned int first)
{
	struct mc_batch batch;
	struct pt_page *pt;

	mc_init(&batch, 0);
	for (unsigned int level = first; level <= PT_LEVELS; level++) {
		list_for_each_entry (pt, &tables->list[level], node)
			mc_right(&batch, pt->page, writable);
	}
	(void)mc_flush(&batch);
	pgtable_count(&current_pgtable()->stats.pin_batches, batch.flushes);
	return batch.err;
}

int pin_protect_all(struct mm_tables *tables, bool writable, unsigned int first)
{
	int err = right_of_all(tables, writable, first);

	if (err)
		WARN_ON(right_of_all(tables, !writable, first));
	return err;
}

int pin_ext(struct page *page, unsigned int cmd)
{
	struct mmuext_op op = {};

	op.cmd = cmd;
	op.arg1.mfn = page_to_pfn(page);
	pgtable_count(&current_pgtable()->stats.pin_batches);
	return HYPERVISOR_mmuext_op(&op, 1, nullptr, 0);
}

int pin_all_then_l4(struct mm_tables *tables)
{
	struct page *pgd = virt_to_page(tables->pgd);
	int err;

	pin_set_phase(tables, "being made read-only");
	err = pin_protect_all(tables, false, 1);
	if (err)
		return err;
	pin_set_phase(tables, "read-only, not pinned yet");
	err = pin_ext(pgd, MMUEXT_PIN_L4_TABLE);
	if (err)
		WARN_ON(pin_protect_all(tables, true, 1));
	return err;
}

int unpin_l4_then_all(struct mm_tables *tables)
{
	struct page *pgd = virt_to_page(tables->pgd);
	int err;

	pin_set_phase(tables, "being unpinned");
	err = pin_ext(pgd, MMUEXT_UNPIN_TABLE);
	if (err)
		return err;
	pin_set_phase(tables, "unpinned, read-only still");
	return pin_protect_all(tables, true, 1);
}

static u64 machine_address(const u64 *ptep)
{
	return pfn_pte(page_to_pfn(virt_to_page(ptep)), offset_in_page(ptep));
}

void set_by_hypercall(u64 *ptep, pteval_t value)
{
	struct mmu_update req;

	req.ptr = machine_address(ptep) | MMU_NORMAL_PT_UPDATE;
	req.val = value;
	BUG_ON(HYPERVISOR_mmu_update(&req, 1, nullptr));
}

pteval_t xchg_by_hypercall(u64 *ptep, pteval_t value)
{
	pteval_t old;

	BUG_ON(HYPERVISOR_pte_modify(ptep, ~0ull, value, &old));
	return old;
}

bool test_and_clear_by_hypercall(u64 *ptep, unsigned int bit)
{
	pteval_t old;

	BUG_ON(HYPERVISOR_pte_modify(ptep, 1ull << bit, 0, &old));
	return old >> bit & 1;
}
