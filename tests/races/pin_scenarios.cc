// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pinned page tables against their history: the hypervisor's types of frames.
 */
#include "catalogue.h"

#include <asm/xen/hypercall.h>
#include <kshim/direct_map.h>
#include <kshim/machine.h>
#include <kshim/xen_mmu.h>
#include <linux/mm.h>

using namespace races;

namespace
{

/* A frame that one makes a page table of, while the other had it writable a moment ago. */
struct type_world {
	struct pv_machine *machine;
	struct page *table;
	bool pinned; /* the pinner's */
};

type_world *type_world_of(void *p)
{
	return static_cast<type_world *>(p);
}

int set_right(struct page *page, bool writable)
{
	return HYPERVISOR_update_va_mapping(
		(unsigned long)page_address(page),
		pfn_pte(page_to_pfn(page), _PAGE_PRESENT | (writable ? _PAGE_RW : 0)), UVMF_NONE);
}

int pin_op(unsigned int cmd, struct page *page)
{
	struct mmuext_op op = {};

	op.cmd = cmd;
	op.arg1.mfn = page_to_pfn(page);
	return HYPERVISOR_mmuext_op(&op, 1, nullptr, kshim_cpu());
}

void *type_setup()
{
	static const machine_initcall *const calls[] = {&mmu_initcall, &xen_mmu_initcall,
							&mm_initcall, nullptr};
	auto *w = explore_new<type_world>();
	pv_machine_config config;

	config.memory_bytes = 8 * PAGE_SIZE;
	config.nr_cpus = 2;
	w->machine = pv_machine_create(&config, calls);
	explore_expect(!IS_ERR(w->machine), "no machine");
	machine_scope bound(w->machine);

	w->table = alloc_page(GFP_KERNEL | __GFP_ZERO);
	explore_expect(w->table && !set_right(w->table, false), "no page");
	return w;
}

/* Fails with -EINVAL as long as the other can store to it. */
void become_a_table(void *p)
{
	type_world *w = type_world_of(p);
	machine_scope bound(w->machine);

	w->pinned = pin_op(MMUEXT_PIN_L1_TABLE, w->table) == 0;
}

void be_writable_for_a_moment(void *p)
{
	type_world *w = type_world_of(p);
	machine_scope bound(w->machine);
	u64 *entry = static_cast<u64 *>(page_address(w->table));

	if (!set_right(w->table, true)) {
		native_pte_set(entry, 0);
		explore_expect(!set_right(w->table, false), "a right cannot be given back");
	}
	/* From now on a store is refused, and emulated: nothing gets past the hypervisor. */
	if (xen_frame(w->table).type == XEN_PGT_l1)
		native_pte_set(entry, 0);
}

void type_check(void *p)
{
	type_world *w = type_world_of(p);
	machine_scope bound(w->machine);
	struct xen_frame frame = xen_frame(w->table);

	explore_expect(xen_mmu_check(), "the counts are wrong");
	explore_expect(frame.pinned == w->pinned && frame.count == w->pinned,
		       "%u references, pinned: %d", frame.count, w->pinned);
}

void type_teardown(void *p)
{
	type_world *w = type_world_of(p);

	{
		machine_scope bound(w->machine);

		explore_expect(!w->pinned || !pin_op(MMUEXT_UNPIN_TABLE, w->table), "unpin failed");
		explore_expect(!set_right(w->table, true), "it stays read-only");
		put_page(w->table);
	}
	explore_machine_destroy(w->machine);
}

} // namespace

races::race_subsystem races::pin_subsystem()
{
	race_subsystem pin = {.name = "pin", .scenarios = {}, .mutants = {}};

	pin.scenarios = {
		{.scenario = {.name = "pin_type_change",
			      .setup = type_setup,
			      .tasks = {{"pinner", become_a_table},
					{"writer", be_writable_for_a_moment}},
			      .check = type_check,
			      .teardown = type_teardown},
		 .checks = "no TLB lets a store through to a frame that has become a page table",
		 .seed = nullptr,
		 .bound = 2},
	};
	pin.mutants = {
		{.name = "mmu_type_flush_before_count",
		 .variant = nullptr,
		 .origin = "XSA-401: TLBs are flushed, then the type's reference is taken; a "
			   "writable mapping may come and go in between",
		 .killer = "pin_type_change",
		 .bound = 2,
		 .reason = "a TLB lets a store through"},
		{.name = "mmu_type_flush_by_new_type",
		 .variant = nullptr,
		 .origin = "XSA-408: the first fix of XSA-401 looked at the new type to decide "
			   "whether TLBs are flushed",
		 .killer = "pin_type_change",
		 .bound = 1,
		 .reason = "a TLB lets a store through"},
	};
	return pin;
}
