/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The page allocator against a set, poison, leaks, failure injection; page locks.
 */
#include "unit/video_fixture.h"

#include <atomic>
#include <random>
#include <set>

using namespace video_test;

TEST(mm_page_alloc, pages_are_distinct_until_memory_is_full)
{
	world w(4ul << 20);
	std::set<page *> pages;

	while (page *p = alloc_page(GFP_KERNEL | __GFP_NOWARN)) {
		EXPECT_EQ(page_ref_count(p), 1);
		ASSERT_TRUE(pages.insert(p).second);
		memset(page_address(p), (int)pages.size(), PAGE_SIZE);
	}
	EXPECT_EQ(pages.size(), totalram_pages());
	EXPECT_EQ(nr_free_pages(), 0u);
	for (page *p : pages)
		put_page(p);
	EXPECT_EQ(nr_free_pages(), totalram_pages());
}

TEST(mm_page_alloc, freed_pages_grow_together_again)
{
	world w(16ul << 20);
	std::vector<page *> pages;
	std::mt19937 random(1);
	page *large = alloc_pages(GFP_KERNEL, 10);

	ASSERT_NE(large, nullptr);
	__free_pages(large, 10);
	while (page *p = alloc_page(GFP_KERNEL | __GFP_NOWARN))
		pages.push_back(p);
	EXPECT_EQ(alloc_pages(GFP_KERNEL | __GFP_NOWARN, 10), nullptr);
	std::shuffle(pages.begin(), pages.end(), random);
	for (page *p : pages)
		put_page(p);
	large = alloc_pages(GFP_KERNEL, 10);
	ASSERT_NE(large, nullptr);
	__free_pages(large, 10);
}

TEST(mm_page_alloc, random_blocks_never_overlap)
{
	world w(16ul << 20);
	std::mt19937 random(2);
	std::vector<std::pair<page *, unsigned int>> blocks;
	std::set<page *> used;

	for (int i = 0; i < 20000; i++) {
		if (blocks.empty() || random() % 2) {
			unsigned int order = random() % 6;
			page *p = alloc_pages(GFP_KERNEL | __GFP_NOWARN, order);

			if (!p)
				continue;
			for (unsigned long n = 0; n < 1ul << order; n++)
				ASSERT_TRUE(used.insert(p + n).second);
			blocks.emplace_back(p, order);
		} else {
			std::swap(blocks[random() % blocks.size()], blocks.back());
			auto [p, order] = blocks.back();

			blocks.pop_back();
			for (unsigned long n = 0; n < 1ul << order; n++)
				used.erase(p + n);
			__free_pages(p, order);
		}
		ASSERT_EQ(nr_free_pages() + used.size(), totalram_pages());
	}
	for (auto [p, order] : blocks)
		__free_pages(p, order);
}

TEST(mm_page_alloc, bulk_gives_runs_and_all_or_nothing)
{
	world w(16ul << 20);
	std::vector<page *> pages(3000);
	unsigned int breaks = 0;

	ASSERT_EQ(alloc_pages_bulk(GFP_KERNEL, pages.size(), pages.data()), 0);
	for (size_t i = 1; i < pages.size(); i++)
		breaks += pages[i] != pages[i - 1] + 1;
	EXPECT_LT(breaks, 12u);
	std::vector<page *> more(2000);
	EXPECT_EQ(alloc_pages_bulk(GFP_KERNEL | __GFP_NOWARN, more.size(), more.data()), -ENOMEM);
	EXPECT_EQ(nr_free_pages() + pages.size(), totalram_pages());
	for (page *p : pages)
		put_page(p);
}

TEST(mm_page_alloc, zeroed_pages_are_zero_and_the_last_put_frees)
{
	world w(1ul << 20);
	page *p = alloc_page(GFP_KERNEL);

	memset(page_address(p), 1, PAGE_SIZE);
	get_page(p);
	put_page(p);
	EXPECT_EQ(page_ref_count(p), 1);
	put_page(p);
	EXPECT_FALSE(get_page_unless_zero(p));
	for (unsigned long i = 0; i < totalram_pages(); i++) {
		unsigned long addr = get_zeroed_page(GFP_KERNEL);

		ASSERT_NE(addr, 0u);
		for (size_t b = 0; b < PAGE_SIZE; b++)
			ASSERT_EQ(((const char *)addr)[b], 0);
		free_page(addr);
	}
	EXPECT_EQ(nr_free_pages(), totalram_pages());
}

TEST(mm_page_alloc, poison_reports_a_write_after_free)
{
	world w(1ul << 20);

	page_poison_set(true);
	page *p = alloc_page(GFP_KERNEL);
	char *bytes = (char *)page_address(p);

	put_page(p);
	bytes[100] = 7;
	unsigned int before = pv_machine_warnings(w.machine());
	std::vector<page *> all(totalram_pages());
	ASSERT_EQ(alloc_pages_bulk(GFP_KERNEL, all.size(), all.data()), 0);
	EXPECT_EQ(pv_machine_warnings(w.machine()), before + 1);
	w.expected_warnings = before + 1;
	for (page *q : all)
		put_page(q);
}

TEST(mm_page_alloc, a_leak_is_reported)
{
	world w(1ul << 20);

	EXPECT_NE(alloc_page(GFP_KERNEL), nullptr);
	w.expected_warnings = 1;
}

TEST(mm_page_alloc, injected_failures_are_failures)
{
	world w(1ul << 20);
	std::vector<page *> pages(100);

	pv_machine_fail_alloc(w.machine(), 1);
	EXPECT_EQ(alloc_page(GFP_KERNEL), nullptr);
	page *p = alloc_page(GFP_KERNEL);
	EXPECT_NE(p, nullptr);
	put_page(p);
}

TEST(mm_page_lock, excludes_and_nobody_sleeps_for_ever)
{
	world w(1ul << 20);
	page *p = alloc_page(GFP_KERNEL);
	std::vector<std::thread> threads;
	unsigned long counter = 0; /* no atomic: the lock guards it */

	for (int t = 0; t < 4; t++) {
		threads.push_back(w.thread([&] {
			for (int i = 0; i < 20000; i++) {
				lock_page(p);
				counter++;
				unlock_page(p);
			}
		}));
	}
	for (auto &t : threads)
		t.join();
	EXPECT_EQ(counter, 80000u);
	EXPECT_TRUE(trylock_page(p));
	EXPECT_FALSE(trylock_page(p));
	EXPECT_TRUE(PageLocked(p));
	/* Another thread may unlock it. */
	w.thread([&] { unlock_page(p); }).join();
	EXPECT_FALSE(PageLocked(p));
	put_page(p);
}
