/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pin.cc - pinning by whichever policy, and what surrounds it
 *
 * Before a pin: nobody else may reach a table through an address of its own. Lazily unmapped
 * aliases are shot down (mm/vmap.cc); one that is in use makes the pin fail, and is named.
 * After it: new tables of a pinned mm are made read-only before an entry names them.
 *
 * A processor in lazy mode runs what `cr3` says, and the hypervisor may still know the one before
 * (`current_cr3`), which keeps those tables in use. An mm that exits looks at the latter.
 *
 * Mutants: pin_historical is the policy of that name, for scenarios that say none. pin_stale_cr3
 * looks at what processors are to run (the bug that Linux's 9f79991d4186 fixed).
 */
#include "pin.h"
#include "multicall.h"

#include <kshim/mutant.h>
#include <linux/bug.h>
#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/sprintf.h>
#include <linux/stacktrace.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

const struct pin_policy pin_native = {
	.name = "native",
	.late_visible = false,
	.pin = nullptr,
	.unpin = nullptr,
	.set = native_pte_set,
	.exchange = native_pte_xchg,
	.test_and_clear = native_pte_btr,
	.pins_l1 = false,
};

static const struct pin_policy *const policies[] = {
	&pin_hypercall, &pin_atomic, &pin_pte_lock, &pin_late_visible, &pin_historical,
};

static int set_policy(const char *value, void *field)
{
	for (const struct pin_policy *policy : policies) {
		if (!strcmp(value, policy->name)) {
			*(const struct pin_policy **)field = policy;
			return 0;
		}
	}
	return -EINVAL;
}

/* For an oops: which mm, what its pin is at, and where the thread is that does it. */
static void describe(const struct page *page, char *text, size_t bytes)
{
	const struct mm_tables *tables;
	char stack[300];

	if (!(__atomic_load_n(&page->flags, __ATOMIC_RELAXED) & PG_table))
		return;
	tables = ((const struct pt_page *)page->private_data)->tables;
	stack_trace_snprint(stack, sizeof(stack), tables->pin_stack, tables->pin_stack_nr, 0);
	snprintf(text, bytes, "its mm is %s%s%s",
		 tables->pin_phase ? tables->pin_phase : "not being pinned", *stack ? ", by " : "",
		 stack);
}

int pin_init(struct pgtable_state *state)
{
	static const struct kernel_param params[] = {
		{"policy", set_policy, offsetof(struct pgtable_state, policy),
		 "hypercall, atomic, pte-lock, late-visible, historical"},
		{"batch", param_set_ulong, offsetof(struct pgtable_state, pin_batch),
		 "so much is told the hypervisor at once, 1 to 32; atomic tells it one thing"},
	};
	int err;

	spin_lock_init(&state->cr3_lock);
	state->policy = KSHIM_MUTANT(pin_historical) ? &pin_historical : policies[0];
	state->pin_batch = MC_BATCH;
	err = parse_params("pin", params, ARRAY_SIZE(params), state);
	if (err)
		return err;
	if (state->pin_batch < 1 || state->pin_batch > MC_BATCH) {
		pr_err("pin.batch=%lu: must be 1 to %u\n", state->pin_batch, MC_BATCH);
		return -ERANGE;
	}
	if (!current_machine()->xen_mmu) {
		state->policy = &pin_native;
		return 0;
	}
	xen_mmu_on_oops(describe);
	return 0;
}

const char *pin_policy_name(void)
{
	return current_pgtable()->policy->name;
}

void pin_set_phase(struct mm_tables *tables, const char *phase)
{
	__atomic_store_n(&tables->pin_phase, phase, __ATOMIC_RELEASE);
}

static void begin(struct mm_tables *tables)
{
	tables->pin_stack_nr =
		stack_trace_save(tables->pin_stack, ARRAY_SIZE(tables->pin_stack), 1);
}

/* Nobody reaches a table by an address of vmap's: 0; else the pin is bound to fail. */
static int shoot_down_aliases(struct mm_tables *tables)
{
	u32 nr = tables->nr_tables, n = 0;
	auto **pages = (struct page **)kvmalloc(nr * sizeof(struct page *), GFP_KERNEL);
	struct pt_page *pt;
	int err;

	if (!pages)
		return -ENOMEM;
	for (struct list_head &list : tables->list) {
		list_for_each_entry (pt, &list, node)
			pages[n++] = pt->page;
	}
	err = vmap_shootdown(pages, nr);
	for (n = 0; err && n < nr; n++) {
		if (!vmap_assert_unaliased(pages[n], "a page table"))
			break;
	}
	kvfree(pages);
	return err ? -EINVAL : 0;
}

int pin_tables(struct mm_tables *tables)
{
	struct pgtable_state *state = current_pgtable();
	u64 start = kshim_now_ns();
	int err;

	if (!state->policy->pin)
		return 0;
	if (WARN_ON(tables->pinned))
		return -EINVAL;
	err = shoot_down_aliases(tables);
	if (err)
		return err;
	begin(tables);
	err = state->policy->pin(tables);
	pin_set_phase(tables, nullptr);
	if (err) {
		pr_err("mm: %u page tables cannot be pinned (%s): error %d\n", tables->nr_tables,
		       state->policy->name, err);
		return err;
	}
	tables->pinned = true;
	pgtable_count(&state->stats.pins);
	pgtable_count(&state->stats.pin_ns, kshim_now_ns() - start);
	return 0;
}

int unpin_tables(struct mm_tables *tables)
{
	struct pgtable_state *state = current_pgtable();
	u64 start = kshim_now_ns();
	int err;

	begin(tables);
	err = state->policy->unpin(tables);
	pin_set_phase(tables, nullptr);
	if (err)
		return err;
	tables->pinned = false;
	pgtable_count(&state->stats.unpins);
	pgtable_count(&state->stats.pin_ns, kshim_now_ns() - start);
	return 0;
}

int pin_new_table(struct pt_page *pt, u64 *parent, pteval_t entry)
{
	bool pins = pt->level == 1 && current_pgtable()->policy->pins_l1;
	struct mmu_update req;
	struct mc_batch batch;
	int err;

	mc_init(&batch, 0);
	mc_right(&batch, pt->page, false);
	if (pins)
		mc_ext(&batch, MMUEXT_PIN_L1_TABLE, page_to_pfn(pt->page));
	err = mc_flush(&batch);
	req.ptr = pfn_pte(page_to_pfn(virt_to_page(parent)), offset_in_page(parent));
	req.val = entry;
	if (!err)
		err = HYPERVISOR_mmu_update(&req, 1, nullptr);
	if (!err)
		return 0;
	mc_init(&batch, 0);
	if (pins && xen_frame(pt->page).pinned)
		mc_ext(&batch, MMUEXT_UNPIN_TABLE, page_to_pfn(pt->page));
	mc_right(&batch, pt->page, true);
	WARN_ON(mc_flush(&batch));
	return err;
}

/* The hypervisor learns what the processor is to run. */
static void load_cr3(struct pgtable_state *state, unsigned int vcpu) __must_hold(&state->cr3_lock)
{
	struct mm_tables *tables = state->cr3[vcpu];
	struct mmuext_op op = {};

	if (state->current_cr3[vcpu] == tables)
		return;
	op.cmd = MMUEXT_NEW_BASEPTR;
	op.arg1.mfn = tables ? page_to_pfn(virt_to_page(tables->pgd)) : 0;
	BUG_ON(HYPERVISOR_mmuext_op(&op, 1, nullptr, vcpu));
	state->current_cr3[vcpu] = tables;
}

void switch_mm(unsigned int vcpu, struct mm_struct *mm, bool lazy)
{
	struct pgtable_state *state = current_pgtable();

	if (!state->policy->pin)
		return;
	guard(spinlock)(&state->cr3_lock);
	state->cr3[vcpu] = mm ? mm->tables : nullptr;
	if (!lazy)
		load_cr3(state, vcpu);
}

void leave_mm(unsigned int vcpu)
{
	switch_mm(vcpu, nullptr, false);
}

void drop_cr3(struct mm_tables *tables)
{
	struct pgtable_state *state = current_pgtable();

	guard(spinlock)(&state->cr3_lock);
	for (unsigned int vcpu = 0; vcpu < XEN_MMU_VCPUS; vcpu++) {
		struct mm_tables *has =
			KSHIM_MUTANT(pin_stale_cr3) ? state->cr3[vcpu] : state->current_cr3[vcpu];

		if (has != tables)
			continue;
		/* As by an interrupt to that processor. */
		if (state->cr3[vcpu] == tables)
			state->cr3[vcpu] = nullptr;
		load_cr3(state, vcpu);
	}
}
