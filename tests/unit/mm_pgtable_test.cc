// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Address spaces with page tables: faults, fork, copy on write, reclaim, exit; by each pin policy,
 * and without a hypervisor. Programs are threads whose loads and stores are instructions.
 */
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <kshim/fault.h>
#include <kshim/user.h>
#include <kshim/xen_mmu.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/mman.h>
#include <linux/pgtable.h>
#include <linux/rmap.h>
#include <linux/vmalloc.h>

#include "unit/test_machine.h"

namespace
{

class world : public test_machine
{
public:
	/* @policy "native": below the page tables there is no hypervisor. */
	explicit world(const std::string &policy, size_t memory = 4ul << 20)
		: test_machine(
			  calls(policy),
			  {.memory_bytes = memory, .nr_cpus = 2, .params = params(policy).c_str()}),
		  xen_(policy != "native")
	{
		EXPECT_EQ(pin_policy_name(), policy);
	}
	~world()
	{
		if (xen_) {
			EXPECT_TRUE(xen_mmu_check()) << log();
		}
		vm_unmap_aliases();
		EXPECT_EQ(nr_free_pages(), totalram_pages());
		EXPECT_EQ(stats().tables, 0u);
	}

	struct pgtable_stats stats() const
	{
		struct pgtable_stats s;

		pgtable_stats(&s);
		return s;
	}
	bool has_xen() const { return xen_; }

private:
	static std::string params(const std::string &policy)
	{
		return policy == "native" ? "" : "pin.policy=" + policy;
	}
	static std::vector<const machine_initcall *> calls(const std::string &policy)
	{
		if (policy == "native")
			return {&mmu_initcall, &mm_initcall};
		return {&mmu_initcall, &xen_mmu_initcall, &mm_initcall};
	}
	const bool xen_;
};

struct mm_struct *new_mm()
{
	struct mm_struct *mm = mm_alloc();

	EXPECT_EQ(mm_alloc_tables(mm), 0);
	return mm;
}

unsigned long map_anonymous(struct mm_struct *mm, unsigned long pages)
{
	unsigned long va = vm_mmap(mm, nullptr, pages * PAGE_SIZE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, 0);

	EXPECT_FALSE(IS_ERR_VALUE(va));
	return va;
}

void store(struct mm_struct *mm, unsigned long va, u32 value)
{
	kshim_user_store32(mm_view(mm, va), value);
}

u32 load(struct mm_struct *mm, unsigned long va)
{
	return kshim_user_load32(mm_view(mm, va));
}

class pgtable : public testing::TestWithParam<const char *>
{
};

INSTANTIATE_TEST_SUITE_P(policies, pgtable,
			 testing::Values("native", "atomic", "pte-lock", "hypercall",
					 "late-visible", "historical"),
			 [](const auto &info) {
				 std::string name = info.param;

				 for (char &c : name)
					 c = c == '-' ? '_' : c;
				 return name;
			 });

TEST_P(pgtable, a_fork_shares_until_one_of_both_stores)
{
	world w(GetParam());
	struct mm_struct *parent = new_mm();
	unsigned long va = map_anonymous(parent, 4);

	ASSERT_EQ(mm_activate(parent), 0);
	for (u32 i = 0; i < 3; i++)
		store(parent, va + i * PAGE_SIZE, 100 + i);
	struct mm_struct *child = dup_mm(parent);
	ASSERT_FALSE(IS_ERR(child)) << w.log();
	for (u32 i = 0; i < 3; i++)
		EXPECT_EQ(load(child, va + i * PAGE_SIZE), 100 + i);
	EXPECT_EQ(w.stats().cow_copies, 0u);
	store(child, va, 200);
	store(parent, va + PAGE_SIZE, 300);
	EXPECT_EQ(w.stats().cow_copies, 2u);
	EXPECT_EQ(load(parent, va), 100u);
	EXPECT_EQ(load(child, va), 200u);
	EXPECT_EQ(load(child, va + PAGE_SIZE), 101u);
	EXPECT_EQ(load(parent, va + PAGE_SIZE), 300u);
	/* Alone again: no copy. */
	store(parent, va, 101);
	EXPECT_EQ(w.stats().cow_copies, 2u);
	EXPECT_EQ(w.stats().cow_reuses, 1u);
	/* Where nobody stored there is nothing, in both. */
	EXPECT_EQ(load(child, va + 3 * PAGE_SIZE), 0u);
	mmput(parent);
	EXPECT_EQ(load(child, va + 2 * PAGE_SIZE), 102u);
	mmput(child);
	if (w.has_xen()) {
		struct xen_mmu_stats xen;

		xen_mmu_stats(&xen);
		EXPECT_EQ(xen.oopses, 0u) << w.log();
		EXPECT_EQ(w.stats().pins, 2u);
		EXPECT_EQ(w.stats().unpins, 2u);
	}
}

TEST_P(pgtable, what_is_reclaimed_comes_back_as_it_was)
{
	world w(GetParam());
	struct mm_struct *parent = new_mm(), *child;
	constexpr u32 pages = 40;
	unsigned long va = map_anonymous(parent, pages);

	ASSERT_EQ(mm_activate(parent), 0);
	for (u32 i = 0; i < pages; i++)
		store(parent, va + i * PAGE_SIZE, i + 1);
	child = dup_mm(parent);
	ASSERT_FALSE(IS_ERR(child));
	EXPECT_EQ(reclaim_pages(pages), pages);
	EXPECT_EQ(w.stats().swap_outs, pages);
	for (u32 i = 0; i < pages; i++)
		EXPECT_EQ(load(child, va + i * PAGE_SIZE), i + 1);
	for (u32 i = 0; i < pages; i += 2)
		store(child, va + i * PAGE_SIZE, 1000 + i);
	EXPECT_EQ(reclaim_pages(2 * pages), pages + pages / 2);
	for (u32 i = 0; i < pages; i++) {
		EXPECT_EQ(load(parent, va + i * PAGE_SIZE), i + 1);
		EXPECT_EQ(load(child, va + i * PAGE_SIZE), i % 2 ? i + 1 : 1000 + i);
	}
	mmput(child);
	/* Alone, clean and with a copy in swap: nothing is written for it. */
	EXPECT_EQ(reclaim_pages(2 * pages), pages);
	for (u32 i = 0; i < pages; i++)
		EXPECT_EQ(load(parent, va + i * PAGE_SIZE), i + 1);
	u64 outs = w.stats().swap_outs;
	EXPECT_EQ(reclaim_pages(2 * pages), pages);
	EXPECT_EQ(w.stats().swap_outs, outs);
	/* Dirtied through a PTE that was writable and clean: it is written. */
	for (u32 i = 0; i < pages; i++)
		EXPECT_EQ(load(parent, va + i * PAGE_SIZE), i + 1);
	store(parent, va, 77);
	EXPECT_EQ(reclaim_pages(2 * pages), pages);
	EXPECT_EQ(w.stats().swap_outs, outs + 1);
	EXPECT_EQ(load(parent, va), 77u);
	mmput(parent);
}

TEST_P(pgtable, a_copy_on_write_leaves_the_dirty_bit_to_those_who_keep_the_page)
{
	world w(GetParam());
	struct mm_struct *parent = new_mm(), *child;
	unsigned long va = map_anonymous(parent, 1);

	ASSERT_EQ(mm_activate(parent), 0);
	store(parent, va, 1);
	EXPECT_EQ(reclaim_pages(1), 1u);
	EXPECT_EQ(load(parent, va), 1u);
	store(parent, va, 2); /* dirty; in swap it says 1 */
	child = dup_mm(parent);
	ASSERT_FALSE(IS_ERR(child));
	store(parent, va, 3);
	EXPECT_EQ(reclaim_pages(2), 2u);
	EXPECT_EQ(load(child, va), 2u);
	EXPECT_EQ(load(parent, va), 3u);
	mmput(child);
	mmput(parent);
}

TEST_P(pgtable, programs_may_have_more_memory_than_there_is)
{
	world w(GetParam(), 512 * 1024); /* 128 pages */
	struct mm_struct *mm = new_mm();
	constexpr u32 pages = 300;
	unsigned long va = map_anonymous(mm, pages);

	ASSERT_EQ(mm_activate(mm), 0);
	for (u32 i = 0; i < pages; i++)
		store(mm, va + i * PAGE_SIZE, i + 1);
	for (u32 i = 0; i < pages; i++)
		ASSERT_EQ(load(mm, va + i * PAGE_SIZE), i + 1);
	EXPECT_GT(w.stats().reclaimed, pages - 128);
	mmput(mm);
}

TEST_P(pgtable, a_file_in_memory_is_shared_and_its_PTEs_are_cleaned)
{
	world w(GetParam());
	struct mm_struct *parent = new_mm();
	struct file *file = memfd_file(2);
	unsigned long va =
		vm_mmap(parent, file, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, 0);

	ASSERT_EQ(mm_activate(parent), 0);
	EXPECT_EQ(load(parent, va), 0u);
	struct mm_struct *child = dup_mm(parent);
	ASSERT_FALSE(IS_ERR(child));
	store(child, va, 5);
	EXPECT_EQ(load(parent, va), 5u);
	store(parent, va, 6);
	EXPECT_EQ(load(child, va), 6u);
	struct page *page = memfd_page(file, 0);
	ASSERT_TRUE(page);
	EXPECT_EQ(page_mapcount(page), 2);
	lock_page(page);
	EXPECT_EQ(page_referenced(page), 2);
	EXPECT_EQ(page_referenced(page), 0);
	EXPECT_EQ(page_mkclean(page), 2);
	EXPECT_EQ(page_mkclean(page), 0);
	unlock_page(page);
	store(child, va, 7);
	lock_page(page);
	EXPECT_EQ(page_mkclean(page), 1);
	unlock_page(page);
	unmap_mapping_range(file->f_mapping, 0, 0);
	EXPECT_EQ(page_mapcount(page), 0);
	EXPECT_EQ(load(parent, va), 7u);
	EXPECT_EQ(load(child, va + PAGE_SIZE), 0u);
	mmput(parent);
	mmput(child);
	fput(file);
}

TEST_P(pgtable, areas_of_a_pinned_mm_come_and_go)
{
	world w(GetParam());
	struct mm_struct *mm = new_mm();

	ASSERT_EQ(mm_activate(mm), 0);
	for (int i = 0; i < 5; i++) {
		unsigned long va = map_anonymous(mm, 600);

		store(mm, va, 1);
		store(mm, va + 599 * PAGE_SIZE, 2);
		EXPECT_EQ(load(mm, va), 1u);
		ASSERT_EQ(vm_munmap(mm, va, 600 * PAGE_SIZE), 0);
	}
	if (w.has_xen()) {
		EXPECT_TRUE(xen_mmu_check()) << w.log();
	}
	mmput(mm);
}

TEST_P(pgtable, a_fork_that_fails_anywhere_leaves_nothing)
{
	world w(GetParam());
	struct mm_struct *parent = new_mm();
	unsigned long va = map_anonymous(parent, 1200);

	ASSERT_EQ(mm_activate(parent), 0);
	for (u32 i = 0; i < 1200; i += 300)
		store(parent, va + i * PAGE_SIZE, i + 1);
	u64 free_before = nr_free_pages(), tables = w.stats().tables;
	for (long nth = 1;; nth++) {
		pv_machine_fail_alloc(w.machine(), nth);
		struct mm_struct *child = dup_mm(parent);
		bool all = pv_machine_fail_alloc(w.machine(), 0) > 0;

		if (!IS_ERR(child))
			mmput(child);
		ASSERT_EQ(nr_free_pages(), free_before) << nth;
		ASSERT_EQ(w.stats().tables, tables) << nth;
		if (all)
			break;
		ASSERT_LT(nth, 1000);
	}
	for (long nth = 1; nth < 40; nth++) {
		mmu_fail_call(w.machine(), nth);
		struct mm_struct *child = dup_mm(parent);

		mmu_fail_call(w.machine(), 0);
		if (!IS_ERR(child))
			mmput(child);
		ASSERT_EQ(nr_free_pages(), free_before) << nth;
	}
	for (u32 i = 0; i < 1200; i += 300)
		EXPECT_EQ(load(parent, va + i * PAGE_SIZE), i + 1);
	mmput(parent);
}

TEST_P(pgtable, a_processor_in_lazy_mode_does_not_keep_an_mm_that_exits)
{
	world w(GetParam());
	struct mm_struct *a = new_mm(), *b = new_mm();

	ASSERT_EQ(mm_activate(a), 0);
	ASSERT_EQ(mm_activate(b), 0);
	switch_mm(0, a, false);
	switch_mm(1, a, false);
	switch_mm(1, b, true); /* the hypervisor is not told yet */
	switch_mm(0, nullptr, true);
	mmput(a);
	leave_mm(1);
	mmput(b);
}

TEST(pin, fails_with_the_name_of_an_alias_that_is_in_use_and_shoots_lazy_ones_down)
{
	world w("atomic");
	struct page *pages[4];
	void *alias[4];

	/* What the mm's tables will be made of, mapped before. */
	for (int i = 0; i < 4; i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		alias[i] = vmap(&pages[i], 1, VM_MAP, PAGE_KERNEL);
		ASSERT_TRUE(alias[i]);
	}
	EXPECT_EQ(xen_frame(pages[0]).count, 2u) << "direct map and alias";
	for (int i = 0; i < 4; i++)
		vunmap(alias[i]);
	EXPECT_EQ(xen_frame(pages[0]).count, 2u) << "lazily unmapped: it still reaches the page";
	for (struct page *page : pages) {
		struct page *one = page;

		EXPECT_EQ(vmap_shootdown(&one, 1), 0);
		EXPECT_EQ(xen_frame(page).count, 1u);
		put_page(page);
	}

	struct mm_struct *mm = new_mm();
	unsigned long va = map_anonymous(mm, 1);
	store(mm, va, 1);
	u64 pgd_frame = 0;
	/* A table of this mm, found by its type's flag. */
	unsigned long nr;
	struct page *all = mmu_page_array(&nr), *table = nullptr;
	for (unsigned long i = 0; i < nr; i++) {
		if (all[i].flags & PG_table) {
			table = all + i;
			pgd_frame = i;
		}
	}
	ASSERT_TRUE(table);
	void *stray = vmap(&table, 1, VM_MAP, PAGE_KERNEL);
	EXPECT_EQ(mm_activate(mm), -EINVAL);
	EXPECT_NE(w.log().find("a page table"), std::string::npos) << w.log();
	vunmap(stray);
	ASSERT_EQ(mm_activate(mm), 0) << "the lazy alias of frame " << pgd_frame << ": " << w.log();
	/* A table cannot be mapped writable again; to look at it is fine. */
	EXPECT_EQ(vmap(&table, 1, VM_MAP, PAGE_KERNEL), nullptr);
	void *look = vmap(&table, 1, VM_MAP, PAGE_KERNEL_RO);
	EXPECT_TRUE(look);
	vunmap(look);
	mmput(mm);
	w.expected_warnings = 1; /* which names the alias */
}

u64 batches_of(u64 entries, u64 per_batch)
{
	return (entries + per_batch - 1) / per_batch;
}

TEST(pin, is_batched)
{
	for (const std::string policy : {"historical", "hypercall", "pte-lock", "atomic"}) {
		world w(policy, 8ul << 20);
		struct mm_struct *mm = new_mm();
		constexpr unsigned long step = 512 * PAGE_SIZE, nr = 70;
		unsigned long va = map_anonymous(mm, nr * 512);

		/* Each page has an L1 table of its own. */
		for (unsigned long i = 0; i < nr; i++)
			store(mm, va + i * step, 1);
		u64 upper = w.stats().tables - nr;
		ASSERT_GE(upper, 3u);
		ASSERT_LE(upper, 6u);
		ASSERT_EQ(mm_activate(mm), 0) << w.log();
		/* 32 entries in a batch; of pte-lock's one is for the pins. */
		u64 expected = policy == "atomic" ? 1
			       : policy == "pte-lock"
				       ? batches_of(nr, 31) + batches_of(upper, 32) + 1
				       : batches_of(nr + upper, 32) + 1;
		EXPECT_EQ(w.stats().pin_batches, expected) << policy;
		EXPECT_EQ(w.stats().locks_max, policy == "pte-lock" ? 31u : 0u);
		mmput(mm);
	}
}

} // namespace
