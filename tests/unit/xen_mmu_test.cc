// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Types of frames, pins and updates (<kshim/xen_mmu.h>, <asm/xen/hypercall.h>). What page tables
 * refuse, the host's MMU refuses really: the stores in here are instructions on read-only pages.
 */
#include "xen_mmu_fixture.h"

using namespace xen_mmu_test;

namespace
{

std::string show(struct page *page)
{
	struct xen_frame f = xen_frame(page);

	return std::to_string(f.type) + "x" + std::to_string(f.count) + (f.pinned ? "p" : "") +
	       (f.validated ? "v" : "");
}

std::string show(tree &t)
{
	std::string all;

	for (unsigned int i = 1; i <= 4; i++)
		all += show(t.table[i]) + " ";
	return all + show(t.data[0]) + " " + show(t.data[1]);
}

TEST(xen_mmu, pin_types_every_table_and_unpin_leaves_all_counts_as_before)
{
	world w;
	tree t;
	std::string before = show(t);

	EXPECT_EQ(before, "5x1v 5x1v 5x1v 5x1v 5x1v 5x1v");
	t.pin();
	EXPECT_EQ(show(t), "1x1v 2x1v 3x1v 4x1pv 5x2v 5x1v");
	EXPECT_TRUE(xen_mmu_check()) << w.log();
	t.unpin();
	EXPECT_EQ(show(t), before);
}

TEST(xen_mmu, pin_fails_while_a_table_is_writable_and_changes_nothing)
{
	world w;
	tree t;

	for (unsigned int level = 1; level <= 4; level++) {
		t.protect();
		ASSERT_EQ(set_right(t.table[level], true), 0);
		std::string before = show(t);

		EXPECT_EQ(ext(MMUEXT_PIN_L4_TABLE, t.top()), -EINVAL) << level;
		EXPECT_EQ(show(t), level == 4 ? before : show(t));
		for (unsigned int i = 1; i <= 4; i++)
			EXPECT_EQ(xen_frame(t.table[i]).count, i == level ? 1u : 0u);
		EXPECT_EQ(xen_frame(t.data[0]).count, 1u);
		t.protect(true);
	}
	EXPECT_NE(w.log().find("is of another type"), std::string::npos);
}

TEST(xen_mmu, double_pin_unpin_of_unpinned_and_wrong_type_are_EINVAL_and_change_nothing)
{
	world w;
	tree t;

	EXPECT_EQ(ext(MMUEXT_UNPIN_TABLE, t.top()), -EINVAL);
	t.pin();
	std::string before = show(t);

	EXPECT_EQ(ext(MMUEXT_PIN_L4_TABLE, t.top()), -EINVAL);
	EXPECT_EQ(ext(MMUEXT_PIN_L1_TABLE, t.top()), -EINVAL);
	EXPECT_EQ(ext(MMUEXT_PIN_L2_TABLE, t.table[1]), -EINVAL);
	EXPECT_EQ(ext(MMUEXT_PIN_L4_TABLE, t.data[0]), -EINVAL);
	EXPECT_EQ(ext(MMUEXT_UNPIN_TABLE, t.table[1]), -EINVAL);
	EXPECT_EQ(set_right(t.table[1], true), -EBUSY);
	EXPECT_EQ(xen_writable_get(t.table[2]), -EBUSY);
	EXPECT_EQ(show(t), before);
	EXPECT_EQ(ext(MMUEXT_PIN_L1_TABLE, t.table[1]), 0);
	EXPECT_EQ(show(t.table[1]), "1x2pv");
	EXPECT_EQ(ext(MMUEXT_UNPIN_TABLE, t.table[1]), 0);
	EXPECT_EQ(show(t), before);
	t.unpin();
}

TEST(xen_mmu, cr3_keeps_a_tree_pinned_or_not)
{
	world w;
	tree t;

	EXPECT_EQ(ext(MMUEXT_NEW_BASEPTR, t.data[0]), -EINVAL);
	t.pin();
	EXPECT_EQ(ext(MMUEXT_NEW_BASEPTR, t.top(), 1), 0);
	EXPECT_EQ(ext(MMUEXT_UNPIN_TABLE, t.top()), 0);
	EXPECT_EQ(show(t.top()), "4x1v");
	EXPECT_EQ(set_right(t.top(), true), -EBUSY) << "a processor still uses it";
	EXPECT_EQ(ext(MMUEXT_NEW_BASEPTR, nullptr, 1), 0);
	t.protect(true);
}

TEST(xen_mmu, entries_that_would_break_the_types_are_refused)
{
	world w;
	tree t;

	t.pin();
	std::string before = show(t);

	/* A writable mapping of a table, of each level. */
	for (unsigned int level = 1; level <= 4; level++)
		EXPECT_EQ(update(&t.l1()[2], pte_of(t.table[level], RW)), -EINVAL);
	/* To look at one is fine. */
	EXPECT_EQ(update(&t.l1()[2], pte_of(t.table[2], RO)), 0);
	EXPECT_EQ(update(&t.l1()[2], 0), 0);
	/* No such frame; reserved bits. */
	EXPECT_EQ(update(&t.l1()[2], pfn_pte(1ul << 30, RO)), -EINVAL);
	EXPECT_EQ(update(&t.l1()[2], pte_of(t.data[0], RO) | 1ull << 60), -EINVAL);
	/* A table of the wrong level, one of itself, one that is writable, a large page. */
	EXPECT_EQ(update(&entries(t.table[3])[1], pte_of(t.table[1], _PAGE_TABLE)), -EINVAL);
	EXPECT_EQ(update(&entries(t.table[2])[1], pte_of(t.table[2], _PAGE_TABLE)), -EINVAL);
	EXPECT_EQ(update(&entries(t.table[2])[1], pte_of(t.data[0], _PAGE_TABLE)), -EINVAL);
	EXPECT_EQ(update(&entries(t.table[2])[1], pte_of(t.table[1], _PAGE_TABLE | _PAGE_PSE)),
		  -EINVAL);
	EXPECT_EQ(show(t), before);
	/* The same l1 twice is allowed, and counted. */
	EXPECT_EQ(update(&entries(t.table[2])[1], pte_of(t.table[1], _PAGE_TABLE)), 0);
	EXPECT_EQ(show(t.table[1]), "1x2v");
	EXPECT_EQ(update(&entries(t.table[2])[1], 0), 0);
	EXPECT_EQ(show(t), before);
	t.unpin();
}

TEST(xen_mmu, writable_counts_follow_the_entries)
{
	world w;
	tree t;

	t.pin();
	EXPECT_EQ(update(&t.l1()[1], pte_of(t.data[0], RW)), 0);
	EXPECT_EQ(xen_frame(t.data[0]).count, 3u);
	EXPECT_EQ(update(&t.l1()[0], pte_of(t.data[0], RO)), 0);
	EXPECT_EQ(xen_frame(t.data[0]).count, 2u);
	EXPECT_TRUE(xen_mmu_check());
	/* While a PTE can store to it, it is no table. */
	ASSERT_EQ(set_right(t.data[0], false), 0);
	EXPECT_EQ(ext(MMUEXT_PIN_L1_TABLE, t.data[0]), -EINVAL);
	ASSERT_EQ(update(&t.l1()[1], 0), 0);
	EXPECT_EQ(ext(MMUEXT_PIN_L1_TABLE, t.data[0]), 0);
	EXPECT_EQ(update(&t.l1()[0], pte_of(t.data[0], RW)), -EINVAL);
	EXPECT_EQ(ext(MMUEXT_UNPIN_TABLE, t.data[0]), 0);
	ASSERT_EQ(set_right(t.data[0], true), 0);
	t.unpin();
}

TEST(xen_mmu, preserve_ad_keeps_what_the_processor_set)
{
	world w;
	tree t;
	pteval_t old;

	t.pin();
	pteval_t seen = t.l1()[0];
	ASSERT_TRUE(hv_pte_cmpxchg(&t.l1()[0], &seen, seen | _PAGE_ACCESSED | _PAGE_DIRTY));
	EXPECT_EQ(update(&t.l1()[0], pte_of(t.data[0], RO), MMU_PT_UPDATE_PRESERVE_AD), 0);
	EXPECT_EQ(t.l1()[0], pte_of(t.data[0], RO | _PAGE_ACCESSED | _PAGE_DIRTY));
	EXPECT_EQ(HYPERVISOR_pte_modify(&t.l1()[0], _PAGE_ACCESSED, 0, &old), 0);
	EXPECT_TRUE(pte_young(old) && pte_dirty(old));
	EXPECT_EQ(t.l1()[0], pte_of(t.data[0], RO | _PAGE_DIRTY));
	EXPECT_EQ(HYPERVISOR_pte_modify(&t.l1()[0], ~0ull, 0, &old), 0);
	EXPECT_EQ(t.l1()[0], 0u);
	EXPECT_TRUE(pte_dirty(old));
	t.unpin();
}

TEST(xen_mmu, multicall_does_what_its_entries_say_and_none_is_nested)
{
	world w;
	tree t;
	struct multicall_entry calls[7] = {};
	struct mmuext_op op = {};
	unsigned int i = 0;

	for (unsigned int level = 1; level <= 4; level++, i++) {
		calls[i].op = __HYPERVISOR_update_va_mapping;
		calls[i].args[0] = (unsigned long)page_address(t.table[level]);
		calls[i].args[1] = pte_of(t.table[level], _PAGE_PRESENT);
	}
	calls[i].op = __HYPERVISOR_update_va_mapping; /* another frame than the address's */
	calls[i].args[0] = (unsigned long)page_address(t.data[0]);
	calls[i++].args[1] = pte_of(t.data[1], _PAGE_PRESENT);
	calls[i++].op = __HYPERVISOR_multicall;
	op.cmd = MMUEXT_PIN_L4_TABLE;
	op.arg1.mfn = page_to_pfn(t.top());
	calls[i].op = __HYPERVISOR_mmuext_op;
	calls[i].args[0] = (unsigned long)&op;
	calls[i++].args[1] = 1;
	u64 before = w.stats().hypercalls;
	ASSERT_EQ(HYPERVISOR_multicall(calls, i, 0), 0);
	EXPECT_EQ(w.stats().hypercalls, before + 1);
	EXPECT_EQ(w.stats().multicall_calls, 7u);
	for (unsigned int n = 0; n < i; n++)
		EXPECT_EQ((long)calls[n].result, n == 4 || n == 5 ? -EINVAL : 0) << n;
	EXPECT_EQ(show(t.top()), "4x1pv");
	EXPECT_EQ(show(t.data[0]), "5x2v");
	t.unpin();
}

TEST(xen_mmu, flushes_are_filtered_by_what_processors_flushed_since)
{
	world w;
	tree t;
	u64 before;

	ASSERT_EQ(set_right(t.table[1], false), 0);
	before = w.stats().flushes;
	ASSERT_EQ(ext(MMUEXT_PIN_L1_TABLE, t.table[1]), 0);
	EXPECT_EQ(w.stats().flushes, before + 2) << "both processors may know the old right";
	ASSERT_EQ(ext(MMUEXT_UNPIN_TABLE, t.table[1]), 0);
	ASSERT_EQ(set_right(t.table[1], true), 0);

	ASSERT_EQ(set_right(t.table[1], false, UVMF_TLB_FLUSH | UVMF_ALL), 0);
	before = w.stats().flushes;
	ASSERT_EQ(ext(MMUEXT_PIN_L1_TABLE, t.table[1]), 0);
	EXPECT_EQ(w.stats().flushes, before) << "everybody has flushed";
	EXPECT_EQ(w.stats().flushes_filtered, 2u);
	ASSERT_EQ(ext(MMUEXT_UNPIN_TABLE, t.table[1]), 0);
	ASSERT_EQ(set_right(t.table[1], true), 0);
}

TEST(xen_mmu, protect_and_pin_is_one_call_there_and_back)
{
	world w;
	tree t;
	std::string before = show(t);
	u64 calls = w.stats().hypercalls;

	EXPECT_EQ(ext(XEN_PROTECT_AND_PIN, t.top()), 0);
	EXPECT_EQ(show(t), "1x1v 2x1v 3x1v 4x1pv 5x2v 5x1v");
	for (unsigned int level = 1; level <= 4; level++)
		EXPECT_FALSE(direct_map_writable(t.table[level]));
	EXPECT_TRUE(xen_mmu_check()) << w.log();
	EXPECT_EQ(ext(XEN_PROTECT_AND_PIN, t.top()), -EINVAL);
	EXPECT_EQ(show(t), "1x1v 2x1v 3x1v 4x1pv 5x2v 5x1v");
	EXPECT_EQ(ext(XEN_UNPIN_AND_UNPROTECT, t.top()), 0);
	EXPECT_EQ(show(t), before);
	EXPECT_EQ(ext(XEN_UNPIN_AND_UNPROTECT, t.top()), -EINVAL);
	EXPECT_EQ(w.stats().hypercalls, calls + 4);
}

TEST(xen_mmu, protect_and_pin_that_fails_leaves_everything_writable)
{
	world w;
	tree t;
	std::string before;

	/* Somebody else can store to one of the tables. */
	ASSERT_EQ(xen_writable_get(t.table[2]), 0);
	before = show(t);
	EXPECT_EQ(ext(XEN_PROTECT_AND_PIN, t.top()), -EBUSY);
	EXPECT_EQ(show(t), before);
	for (unsigned int level = 1; level <= 4; level++)
		EXPECT_TRUE(direct_map_writable(t.table[level]));
	xen_writable_put(t.table[2]);
	/* The host refuses. */
	before = show(t);
	for (long nth = 1; nth < 3; nth++) {
		mmu_fail_call(w.machine(), nth);
		int err = ext(XEN_PROTECT_AND_PIN, t.top());

		if (!err) {
			mmu_fail_call(w.machine(), 0);
			EXPECT_EQ(ext(XEN_UNPIN_AND_UNPROTECT, t.top()), 0);
		}
		EXPECT_EQ(show(t), before) << nth;
	}
}

TEST(xen_mmu, native_stores_to_a_pinned_table_fault_and_are_emulated)
{
	world w;
	tree t;

	t.pin();
	EXPECT_TRUE(native_pte_btr(&t.l1()[0], _PAGE_BIT_RW));
	EXPECT_EQ(xen_frame(t.data[0]).count, 1u) << "the entry cannot store any more";
	EXPECT_FALSE(native_pte_btr(&t.l1()[0], _PAGE_BIT_RW));
	native_pte_set(&t.l1()[3], pte_of(t.data[1], RW));
	EXPECT_EQ(xen_frame(t.data[1]).count, 2u);
	EXPECT_EQ(native_pte_xchg(&t.l1()[3], 0), pte_of(t.data[1], RW));
	EXPECT_EQ(xen_frame(t.data[1]).count, 1u);
	EXPECT_EQ(w.stats().emulated, 4u);
	EXPECT_EQ(w.stats().oopses, 0u);
	t.unpin();
	native_pte_set(&t.l1()[3], 0);
	EXPECT_EQ(w.stats().emulated, 4u) << "a writable page needs nobody";
}

TEST(xen_mmu, native_store_to_a_read_only_page_that_is_not_pinned_is_an_oops)
{
	world w;
	tree t;

	t.protect();
	xen_mmu_on_oops([](const struct page *, char *text, size_t bytes) {
		std::snprintf(text, bytes, "the guest says so");
	});
	EXPECT_FALSE(native_pte_btr(&t.l1()[1], _PAGE_BIT_DIRTY));
	EXPECT_EQ(w.stats().oopses, 1u);
	EXPECT_NE(w.log().find("oops: a native store to entry 1 of frame"), std::string::npos)
		<< w.log();
	EXPECT_NE(w.log().find("read-only and not pinned; the guest says so"), std::string::npos);
	EXPECT_NE(w.log().find("stored by"), std::string::npos);
	t.protect(true);
}

TEST(xen_mmu, native_store_above_l1_is_for_nobody)
{
	world w;
	tree t;
	struct access {
		u64 *at;
	} a = {&entries(t.table[2])[5]};

	t.pin();
	EXPECT_FALSE(kshim_try([](void *arg) { native_pte_set(static_cast<access *>(arg)->at, 0); },
			       &a));
	EXPECT_EQ(w.stats().oopses, 1u);
	t.unpin();
}

TEST(xen_mmu, native_store_of_an_entry_that_breaks_the_types_is_refused)
{
	world w;
	tree t;
	struct access {
		u64 *at;
		pteval_t value;
	} a = {&t.l1()[4], pte_of(t.table[3], RW)};

	t.pin();
	EXPECT_FALSE(kshim_try(
		[](void *arg) {
			auto *a = static_cast<access *>(arg);

			native_pte_set(a->at, a->value);
		},
		&a));
	EXPECT_EQ(t.l1()[4], 0u);
	EXPECT_NE(w.log().find("the entry it makes is refused"), std::string::npos) << w.log();
	t.unpin();
}

} // namespace
