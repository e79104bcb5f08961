/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lazy-flush manager: what is kept, what is given back, and that nothing is reached after it
 * must not be. The invariants I1 to I5 are those of <linux/vmalloc.h>.
 */
#include "unit/vmap_fixture.h"

#include <chrono>

using namespace vmap_test;

/*
 *      pages      a   b   c          not contiguous: three host mappings
 *      addresses [a] [b] [c] |g|     g: guard page, nothing there
 */
TEST(mm_vmap, the_same_pages_get_the_same_address_back_without_a_flush)
{
	world w;
	page_set pages(3);
	char *first = map(pages);

	ASSERT_NE(first, nullptr);
	for (size_t i = 0; i < 3; i++)
		EXPECT_EQ(load(first + i * PAGE_SIZE), stamp_of(pages[i]));
	EXPECT_FALSE(load(first + 3 * PAGE_SIZE));
	vunmap(first);
	EXPECT_EQ(w.stats().lazy_areas, 1u);
	EXPECT_EQ(w.stats().lazy_pages, 3u);
	EXPECT_EQ(w.stats().live_areas, 0u);

	char *second = map(pages);
	EXPECT_EQ(second, first);
	EXPECT_EQ(w.stats().hits, 1u);
	EXPECT_EQ(w.stats().maps, 1u);
	EXPECT_EQ(w.stats().lazy_areas, 0u);
	EXPECT_EQ(w.stats().flushes, 0u);
	/* Live: who maps them too gets other addresses. */
	char *third = map(pages);
	EXPECT_NE(third, second);
	EXPECT_EQ(load(third), stamp_of(pages[0]));
	vunmap(second);
	vunmap(third);
}

TEST(mm_vmap, only_the_same_list_and_protection_are_the_same)
{
	world w;
	page_set pages(3);
	page *other_order[3] = {pages[1], pages[0], pages[2]};
	char *all = map(pages);

	vunmap(all);
	char *two = map(pages.data(), 2), *reordered = map(other_order, 3);
	char *read_only = static_cast<char *>(vmap(pages.data(), 3, VM_MAP, PAGE_KERNEL_RO));
	char *ram = static_cast<char *>(vm_map_ram(pages.data(), 3, -1));

	EXPECT_EQ(w.stats().hits, 0u);
	EXPECT_EQ(w.stats().maps, 5u);
	EXPECT_EQ(load(reordered), stamp_of(pages[1]));
	EXPECT_EQ(load(read_only), stamp_of(pages[0]));
	EXPECT_FALSE(store(read_only, 1));
	EXPECT_TRUE(store(ram, stamp_of(pages[0])));
	vunmap(two);
	vunmap(reordered);
	vunmap(read_only);
	vm_unmap_ram(ram, 3);
}

/* I1, and the bug of the seed: pages that went back to the allocator under an alias. */
TEST(mm_vmap, a_lazy_area_keeps_its_pages_from_the_allocator)
{
	world w;
	page_set pages(4);
	page *first = pages[0];
	char *addr = map(pages);

	vunmap(addr);
	pages.drop();
	EXPECT_EQ(page_ref_count(first), 1);
	EXPECT_EQ(nr_free_pages(), totalram_pages() - 4);
	EXPECT_TRUE(load(addr));
	vm_unmap_aliases();
	EXPECT_EQ(page_ref_count(first), 0);
	EXPECT_EQ(nr_free_pages(), totalram_pages());
	EXPECT_FALSE(load(addr));
}

TEST(mm_vmap, after_vm_unmap_aliases_no_old_address_reaches_anything)
{
	world w;
	page_set pages(40);
	std::vector<char *> live, old;

	for (unsigned int i = 0; i < 20; i++) {
		char *addr = map(pages.data() + i, 20);

		(i % 3 ? old : live).push_back(addr);
	}
	for (char *addr : old)
		vunmap(addr);
	/*
	 * Fills blocks to the end: those have no free space left, and are looked at all the same.
	 */
	for (unsigned int i = 0; i < 200; i++) {
		char *addr = static_cast<char *>(vm_map_ram(pages.data() + i % 32, 8, -1));

		old.push_back(addr);
		vm_unmap_ram(addr, 8);
	}
	vm_unmap_aliases();
	for (char *addr : old)
		EXPECT_FALSE(load(addr));
	for (char *addr : live)
		EXPECT_TRUE(load(addr));
	EXPECT_EQ(w.stats().lazy_areas, 0u);
	/* What was flushed is not flushed again. */
	u64 flushes = w.stats().flushes;
	vm_unmap_aliases();
	EXPECT_EQ(w.stats().flushes, flushes);
	for (char *addr : live)
		vunmap(addr);
}

TEST(mm_vmap, before_anything_was_mapped_there_are_no_aliases)
{
	world w;
	page_set pages(2);

	vm_unmap_aliases();
	EXPECT_EQ(vmap_shootdown(pages.data(), 2), 0);
	EXPECT_FALSE(page_has_lazy_alias(pages[0]));
	EXPECT_EQ(w.stats().purges, 0u);
}

/*
 *      x: a b     y: b c     z: d      all lazy;  shootdown(b) takes x and y
 */
TEST(mm_vmap, a_shootdown_takes_the_areas_of_its_pages_and_no_others)
{
	world w;
	page_set pages(4);
	char *x = map(pages.data(), 2), *y = map(pages.data() + 1, 2),
	     *z = map(pages.data() + 3, 1);

	EXPECT_FALSE(page_has_lazy_alias(pages[1]));
	EXPECT_EQ(vmap_shootdown(pages.data() + 1, 1), -EBUSY);
	vunmap(x);
	EXPECT_TRUE(page_has_lazy_alias(pages[1]));
	EXPECT_FALSE(page_has_lazy_alias(pages[2]));
	/* y is live: x goes all the same, and the caller is told. */
	EXPECT_EQ(vmap_shootdown(pages.data() + 1, 1), -EBUSY);
	EXPECT_FALSE(load(x));
	EXPECT_TRUE(load(y));
	vunmap(y);
	vunmap(z);
	EXPECT_EQ(vmap_shootdown(pages.data() + 1, 1), 0);
	EXPECT_FALSE(load(y));
	EXPECT_TRUE(load(z));
	EXPECT_FALSE(page_has_lazy_alias(pages[2]));
	EXPECT_TRUE(page_has_lazy_alias(pages[3]));
	EXPECT_EQ(w.stats().shootdowns, 2u);
	EXPECT_EQ(map(pages.data() + 3, 1), z);
	vunmap(z);
}

TEST(mm_vmap, one_page_in_many_places_of_an_area)
{
	world w;
	page_set pages(1);
	page *same[5] = {pages[0], pages[0], pages[0], pages[0], pages[0]};
	char *addr = map(same, 5);

	EXPECT_EQ(page_ref_count(pages[0]), 6);
	vunmap(addr);
	EXPECT_EQ(vmap_shootdown(same, 5), 0);
	EXPECT_EQ(page_ref_count(pages[0]), 1);
	for (size_t i = 0; i < 5; i++)
		EXPECT_FALSE(load(addr + i * PAGE_SIZE));
}

TEST(mm_vmap, who_turns_a_page_special_is_told_of_aliases)
{
	world w;
	page_set pages(1);
	char *addr = map(pages);

	EXPECT_FALSE(vmap_assert_unaliased(pages[0], "a page table"));
	EXPECT_NE(w.log().find("a live area of 1 pages"), std::string::npos);
	vunmap(addr);
	EXPECT_FALSE(vmap_assert_unaliased(pages[0], "a page table"));
	EXPECT_NE(w.log().find("a lazily unmapped area of 1 pages"), std::string::npos);
	EXPECT_EQ(vmap_shootdown(pages.data(), 1), 0);
	EXPECT_TRUE(vmap_assert_unaliased(pages[0], "a page table"));
	w.expected_warnings = 2;
}

TEST(mm_vmap, eager_flushes_each)
{
	world w("vmap.policy=eager");
	page_set pages(3);

	for (unsigned int i = 1; i <= 5; i++) {
		char *addr = map(pages);

		vunmap(addr);
		EXPECT_FALSE(load(addr));
		EXPECT_EQ(w.stats().flushes, i);
		EXPECT_EQ(page_ref_count(pages[0]), 1);
	}
	EXPECT_EQ(w.stats().hits, 0u);
}

TEST(mm_vmap, batch_flushes_when_there_are_so_many)
{
	world w("vmap.policy=batch:8");
	page_set pages(16);
	std::vector<char *> old;

	for (unsigned int i = 0; i < 16; i++) {
		char *addr = static_cast<char *>(vm_map_ram(pages.data() + i, 1, -1));

		vm_unmap_ram(addr, 1);
		old.push_back(addr);
		EXPECT_EQ(w.stats().purges, (i + 1) / 8);
		EXPECT_EQ(w.stats().lazy_areas, (i + 1) % 8);
	}
	for (char *addr : old)
		EXPECT_FALSE(load(addr));
	/* Neighbours went together. */
	EXPECT_EQ(w.stats().flushes, 2u);
	EXPECT_EQ(w.stats().purged_areas, 16u);
}

TEST(mm_vmap, lazy_gives_nothing_back)
{
	world w("vmap.policy=lazy");
	page_set pages(3);
	char *first = map(pages);

	vunmap(first);
	char *second = map(pages);
	EXPECT_NE(second, first);
	EXPECT_EQ(load(first), stamp_of(pages[0]));
	vunmap(second);
}

/*
 *      |x|g|  live |y|g| ...    x and y far apart: what lies between them stays
 */
TEST(mm_vmap, a_flush_spans_nothing_that_is_not_its_own)
{
	world w;
	page_set pages(3);
	char *x = map(pages.data(), 1), *live = map(pages.data() + 1, 1),
	     *y = map(pages.data() + 2, 1);

	vunmap(x);
	vunmap(y);
	vm_unmap_aliases();
	EXPECT_EQ(w.stats().flushes, 2u);
	EXPECT_EQ(load(live), stamp_of(pages[1]));
	vunmap(live);
}

TEST(mm_vmap, lazy_pages_have_a_limit_and_the_longest_unused_go)
{
	world w("vmap.lazy_pages=64");
	page_set pages(256);
	char *kept = map(pages.data(), 8);

	vunmap(kept);
	for (unsigned int i = 1; i < 32; i++) {
		char *addr = map(pages.data() + i * 8, 8);

		vunmap(addr);
		EXPECT_LE(w.stats().lazy_pages, 64u);
		/* Used again and again, it outlives the others. */
		EXPECT_EQ(map(pages.data(), 8), kept);
		vunmap(kept);
	}
	EXPECT_GE(w.stats().purges, 3u);
	EXPECT_EQ(w.stats().hits, 31u);
}

TEST(mm_vmap, what_is_old_goes_by_itself)
{
	world w("vmap.lazy_age_ms=20");
	page_set pages(4);
	auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
	char *addr = map(pages);

	vunmap(addr);
	/* Purged, and not only claimed for it. */
	while (!w.stats().purged_areas && std::chrono::steady_clock::now() < give_up)
		std::this_thread::yield();
	EXPECT_EQ(w.stats().lazy_areas, 0u);
	EXPECT_FALSE(load(addr));
}

/* I5. Each area of 8 scattered pages counts for 9 host mappings. */
TEST(mm_vmap, host_mappings_are_kept_within_the_budget_by_purging)
{
	world w;
	page_set pages(256);

	mmu_set_mapping_budget(w.machine(), 100);
	for (unsigned int round = 0; round < 20; round++) {
		for (unsigned int i = 0; i < 31; i++) {
			char *addr = map(pages.data() + i * 8, 8);
			struct mmu_stats stats;

			ASSERT_NE(addr, nullptr);
			mmu_stats(&stats);
			ASSERT_LE(stats.host_mappings, 100u);
			vunmap(addr);
		}
	}
	/* Live areas alone use it up: then, and only then, it fails. */
	std::vector<char *> live;
	while (char *addr = map(pages.data() + live.size() * 8, 8))
		live.push_back(addr);
	EXPECT_EQ(live.size(), 11u);
	vunmap(live.back());
	live.pop_back();
	char *again = map(pages.data() + 200, 8);
	EXPECT_NE(again, nullptr);
	vunmap(again);
	for (char *addr : live)
		vunmap(addr);
}

TEST(mm_vmap, lazy_host_mappings_have_a_limit)
{
	world w("vmap.lazy_mappings=50");
	page_set pages(256);

	for (unsigned int i = 0; i < 31; i++) {
		vunmap(map(pages.data() + i * 8, 8));
		EXPECT_LE(w.stats().mappings, 50u);
	}
}

struct purge_listener {
	notifier_block nb;
	std::vector<char *> spare;
	unsigned int calls = 0;
};

TEST(mm_vmap, addresses_run_out_and_notifiers_are_asked)
{
	world w("vmap.window_pages=64");
	page_set pages(64);
	std::vector<char *> live;
	purge_listener listener = {};

	/* Lazy ones are purged for it. */
	for (unsigned int i = 0; i < 200; i++) {
		char *addr = map(pages.data() + i % 50, 10);

		ASSERT_NE(addr, nullptr) << i;
		vunmap(addr);
	}
	vm_unmap_aliases();
	/* Two nodes of 32 pages: four of 7 and a guard page in each. */
	for (unsigned int i = 0;; i++) {
		char *addr = map(pages.data() + i, 7);

		if (!addr)
			break;
		live.push_back(addr);
	}
	EXPECT_EQ(live.size(), 8u);
	listener.spare = {live[2], live[3]};
	live.erase(live.begin() + 2, live.begin() + 4);
	listener.nb.notifier_call = [](notifier_block *nb, unsigned long, void *) {
		purge_listener *l = reinterpret_cast<purge_listener *>(nb);

		l->calls++;
		if (l->spare.empty())
			return NOTIFY_DONE;
		vunmap(l->spare.back());
		l->spare.pop_back();
		return NOTIFY_OK;
	};
	EXPECT_EQ(register_vmap_purge_notifier(&listener.nb), 0);
	EXPECT_EQ(register_vmap_purge_notifier(&listener.nb), -EEXIST);
	for (int i = 0; i < 2; i++) {
		live.push_back(map(pages.data() + 40, 7));
		EXPECT_NE(live.back(), nullptr);
	}
	EXPECT_EQ(listener.calls, 2u);
	EXPECT_EQ(map(pages.data() + 30, 7), nullptr);
	EXPECT_EQ(listener.calls, 3u);
	EXPECT_EQ(unregister_vmap_purge_notifier(&listener.nb), 0);
	for (char *addr : live)
		vunmap(addr);
}

/* One long-lived page in each block pins one page, not the block. */
TEST(mm_vmap, a_long_lived_page_pins_its_own_address_only)
{
	world w("vmap.window_pages=1024");
	page_set pages(80);
	std::vector<char *> live;

	for (unsigned int i = 0; i < 20; i++) {
		for (unsigned int n = 0; n < 40; n++) {
			char *addr = static_cast<char *>(vm_map_ram(pages.data() + n, 1, -1));

			ASSERT_NE(addr, nullptr);
			vm_unmap_ram(addr, 1);
			if (n == 20) {
				live.push_back(static_cast<char *>(
					vm_map_ram(pages.data() + 40 + i, 1, -1)));
				ASSERT_NE(live.back(), nullptr);
			}
		}
		vm_unmap_aliases();
	}
	/* 1024 - 20 pages are free, in pieces. */
	char *large = map(pages.data(), 80);
	EXPECT_NE(large, nullptr);
	vunmap(large);
	for (char *addr : live)
		vm_unmap_ram(addr, 1);
}

/*
 *      | block, full | block, full | block, being cut |        | the other node
 */
TEST(mm_vmap, blocks_end_with_their_last_piece_and_the_current_one_begins_anew)
{
	world w("vmap.window_pages=1024 vmap.policy=eager");
	page_set pages(1);
	std::vector<page *> many(100, pages[0]);
	std::vector<char *> live;

	/* 64 pages are a block of such a small window. */
	for (unsigned int i = 0; i < 40; i++) {
		live.push_back(static_cast<char *>(vm_map_ram(many.data(), 4, -1)));
		ASSERT_NE(live.back(), nullptr);
	}
	char *again = live.back();

	/* The other way round: each block ends with the piece that was cut off it first. */
	while (!live.empty()) {
		vm_unmap_ram(live.back(), 4);
		live.pop_back();
	}
	char *large = map(many.data(), 100);
	EXPECT_LT(large, again) << "the full blocks are not back";
	vunmap(large);
	char *first = static_cast<char *>(vm_map_ram(many.data(), 4, -1));
	EXPECT_LT(first, again) << "the block did not begin anew";
	vm_unmap_ram(first, 4);
	EXPECT_EQ(first, static_cast<char *>(vm_map_ram(many.data(), 4, -1)));
	vm_unmap_ram(first, 4);
}

TEST(mm_vmap, lazily_held_pages_come_back_when_the_allocator_has_none)
{
	world w("", 4ul << 20);
	void *half = vmalloc(totalram_pages() / 2 * PAGE_SIZE);

	vfree(half);
	EXPECT_EQ(nr_free_pages(), totalram_pages() / 2);
	/* Who cannot wait gets none. */
	std::vector<page *> pages(totalram_pages());
	EXPECT_EQ(alloc_pages_bulk(GFP_ATOMIC | __GFP_NOWARN, pages.size(), pages.data()), -ENOMEM);
	EXPECT_EQ(alloc_pages_bulk(GFP_KERNEL, pages.size(), pages.data()), 0);
	for (page *p : pages)
		put_page(p);
}

TEST(mm_vmap, every_failing_allocation_and_host_call_is_undone)
{
	world w;
	page_set pages(20);
	unsigned long free_pages = nr_free_pages();
	typedef long (*fail_fn)(pv_machine *, long);

	for (fail_fn fail :
	     {static_cast<fail_fn>(pv_machine_fail_alloc), static_cast<fail_fn>(mmu_fail_call)}) {
		for (long nth = 1;; nth++) {
			vm_unmap_aliases();
			fail(w.machine(), nth);
			char *addr = map(pages);
			void *ram = vm_map_ram(pages.data(), 5, -1);
			void *memory = vzalloc(30 * PAGE_SIZE);
			bool done = fail(w.machine(), 0) != 0;

			if (addr) {
				EXPECT_EQ(load(addr + PAGE_SIZE), stamp_of(pages[1]));
				vunmap(addr);
			}
			if (ram)
				vm_unmap_ram(ram, 5);
			vfree(memory);
			ASSERT_TRUE(vmap_check()) << w.log();
			vm_unmap_aliases();
			ASSERT_EQ(nr_free_pages(), free_pages);
			ASSERT_EQ(page_ref_count(pages[3]), 1);
			ASSERT_EQ(w.stats().mappings, 0u);
			if (done) {
				EXPECT_TRUE(addr && ram && memory);
				EXPECT_GT(nth, 3);
				break;
			}
		}
	}
}

TEST(mm_vmap, an_area_is_found_by_any_of_its_addresses_while_it_is_live)
{
	world w;
	page_set pages(3);
	char *addr = map(pages);
	vm_struct *vm = find_vm_area(addr + 2 * PAGE_SIZE + 5);

	ASSERT_NE(vm, nullptr);
	EXPECT_EQ(vm->addr, addr);
	EXPECT_EQ(vm->size, 3 * PAGE_SIZE);
	EXPECT_EQ(vm->nr_pages, 3u);
	EXPECT_EQ(vm->pages[2], pages[2]);
	EXPECT_EQ(vm->flags, VM_MAP);
	EXPECT_EQ(vmalloc_to_page(addr + PAGE_SIZE), pages[1]);
	EXPECT_EQ(vmalloc_to_page(addr + 3 * PAGE_SIZE), nullptr);
	vunmap(addr);
	EXPECT_EQ(find_vm_area(addr), nullptr);
	EXPECT_EQ(vmalloc_to_page(addr), nullptr);
	EXPECT_TRUE(is_vmalloc_addr(addr));
	EXPECT_FALSE(is_vmalloc_addr(page_address(pages[0])));
}

TEST(mm_vmap, unmapping_what_is_not_mapped_so_warns)
{
	world w;
	page_set pages(2);
	char *addr = map(pages);

	vunmap(addr + PAGE_SIZE);
	vfree(addr);
	vm_unmap_ram(addr, 2);
	EXPECT_EQ(w.stats().live_areas, 1u);
	vunmap(addr);
	vunmap(addr);
	vunmap(nullptr);
	EXPECT_EQ(w.stats().lazy_areas, 1u);
	w.expected_warnings = 4;
}

TEST(mm_vmap, what_was_never_unmapped_is_reported)
{
	world w;
	page_set pages(2);

	EXPECT_NE(map(pages), nullptr);
	EXPECT_EQ(w.stats().live_areas, 1u);
	w.expected_warnings = 1;
}

TEST(mm_vmap, a_wrong_parameter_is_an_error)
{
	static const machine_initcall *const calls[] = {&mmu_initcall, &mm_initcall, nullptr};
	pv_machine_config config;

	config.memory_bytes = 1ul << 20;
	config.log = [](void *ctx, int, const char *line) {
		*static_cast<std::string *>(ctx) += line;
	};
	for (const char *params : {"vmap.policy=quick", "vmap.policy=batch:0", "vmap.lazy_page=7",
				   "vmap.lazy_pages=many", "vmap.debug=perhaps"}) {
		std::string log;

		config.log_ctx = &log;
		config.params = params;
		EXPECT_EQ(pv_machine_create(&config, calls),
			  static_cast<pv_machine *>(ERR_PTR(-EINVAL)))
			<< params;
		EXPECT_NE(log.find("vmap"), std::string::npos) << log;
	}
	/* Others' parameters are others' business. */
	world w("vmapper.x=1  other.lazy_pages=2 vmap.lazy_pages=8");
	page_set pages(9);
	vunmap(map(pages));
	EXPECT_EQ(w.stats().lazy_pages, 0u);
}

TEST(mm_vmap, use_after_vunmap_is_reported_with_its_pages)
{
	world w("vmap.debug");
	page_set pages(2);
	char *addr = map(pages);
	std::string frames = "frames " + std::to_string(page_to_pfn(pages[0])) + " " +
			     std::to_string(page_to_pfn(pages[1])) + ")";

	EXPECT_TRUE(load(addr));
	vunmap(addr);
	EXPECT_EQ(w.log(), "");
	EXPECT_FALSE(load(addr + PAGE_SIZE));
	EXPECT_NE(w.log().find("use after vunmap: a load of"), std::string::npos) << w.log();
	EXPECT_NE(w.log().find("lazily unmapped: page 1 of an area of 2 pages (" + frames),
		  std::string::npos)
		<< w.log();
	EXPECT_EQ(map(pages), addr);
	EXPECT_EQ(load(addr), stamp_of(pages[0]));
	vunmap(addr);
	vm_unmap_aliases();
	EXPECT_FALSE(store(addr, 1));
	EXPECT_NE(w.log().find("unmapped and purged: page 0 of an area of 2 pages (" + frames),
		  std::string::npos)
		<< w.log();
}
