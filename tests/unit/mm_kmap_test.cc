/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages without an address of their own: who gets them, and kmap().
 *
 *      memory  |---- low: 1 MiB ----|-------- high: 3 MiB --------|
 *                direct map            kmap only
 */
#include "unit/vmap_fixture.h"

using namespace vmap_test;

namespace
{

class high_world : public world
{
public:
	explicit high_world(const char *params = "") : world(params, 4ul << 20, 1ul << 20) {}
};

page *high_page(gfp_t gfp = GFP_HIGHUSER)
{
	page *p = alloc_page(gfp);

	EXPECT_TRUE(p && PageHighMem(p));
	return p;
}

} // namespace

TEST(mm_kmap, high_memory_is_for_those_who_ask)
{
	high_world w;
	std::vector<page *> low, high;

	while (page *p = alloc_page(GFP_KERNEL | __GFP_NOWARN)) {
		EXPECT_FALSE(PageHighMem(p));
		EXPECT_NE(page_address(p), nullptr);
		low.push_back(p);
	}
	EXPECT_EQ(low.size(), 256u);
	while (page *p = alloc_page(GFP_HIGHUSER | __GFP_NOWARN)) {
		EXPECT_TRUE(PageHighMem(p));
		EXPECT_EQ(page_address(p), nullptr);
		high.push_back(p);
	}
	EXPECT_EQ(high.size(), 768u);
	/* No direct map: the address where it would be is nothing. */
	EXPECT_FALSE(load(static_cast<char *>(page_address(low[0])) +
			  (page_to_pfn(high[0]) - page_to_pfn(low[0])) * PAGE_SIZE));
	for (page *p : low)
		put_page(p);
	/* Without high memory left they get low memory. */
	page *p = alloc_page(GFP_HIGHUSER);
	EXPECT_FALSE(PageHighMem(p));
	put_page(p);
	for (page *q : high)
		put_page(q);
}

TEST(mm_kmap, a_high_page_is_shared_by_all_who_map_it_and_revived)
{
	high_world w;
	page *p = high_page();
	char *first = static_cast<char *>(kmap(p)), *second = static_cast<char *>(kmap(p));

	ASSERT_NE(first, nullptr);
	EXPECT_EQ(first, second);
	EXPECT_TRUE(store(first, 7));
	EXPECT_EQ(vmalloc_to_page(first), p);
	kunmap(p);
	EXPECT_EQ(w.stats().live_areas, 1u);
	kunmap(p);
	EXPECT_EQ(w.stats().lazy_areas, 1u);
	EXPECT_TRUE(page_has_lazy_alias(p));
	EXPECT_EQ(kmap_local_page(p), first);
	EXPECT_EQ(load(first), 7u);
	kunmap_local(first + 100);
	EXPECT_EQ(w.stats().maps, 1u);
	EXPECT_EQ(w.stats().hits, 2u);
	EXPECT_EQ(vmap_shootdown(&p, 1), 0);
	EXPECT_FALSE(load(first));
	put_page(p);
}

TEST(mm_kmap, a_low_page_has_its_address)
{
	high_world w;
	page *p = alloc_page(GFP_KERNEL);

	EXPECT_EQ(kmap(p), page_address(p));
	kunmap(p);
	EXPECT_EQ(kmap_local_page(p), page_address(p));
	kunmap_local(page_address(p));
	EXPECT_EQ(w.stats().maps, 0u);
	put_page(p);
}

TEST(mm_kmap, a_kmap_that_is_not_there_cannot_be_undone)
{
	high_world w;
	page *p = high_page();

	kunmap(p);
	(void)kmap(p);
	kunmap(p);
	kunmap(p);
	w.expected_warnings = 2;
	put_page(p);
}

TEST(mm_kmap, zeroed_high_pages_are_zero)
{
	high_world w;

	for (int round = 0; round < 2; round++) {
		page *p = high_page(GFP_HIGHUSER | __GFP_ZERO);
		u32 *addr = static_cast<u32 *>(kmap(p));

		for (size_t i = 0; i < PAGE_SIZE / 4; i++)
			ASSERT_EQ(addr[i], 0u);
		memset(addr, 0xff, PAGE_SIZE);
		kunmap(p);
		put_page(p);
		vm_unmap_aliases();
	}
}

TEST(mm_kmap, vmalloc_takes_high_memory_and_is_usable)
{
	high_world w;
	char *memory = static_cast<char *>(vzalloc(2ul << 20));

	ASSERT_NE(memory, nullptr);
	EXPECT_TRUE(PageHighMem(vmalloc_to_page(memory)));
	memset(memory, 3, 2ul << 20);
	EXPECT_EQ(memory[(2ul << 20) - 1], 3);
	vfree(memory);
}

TEST(mm_kmap, threads_share_one_area_of_a_page)
{
	for (const char *params : {"", "vmap.policy=eager", "vmap.policy=lazy", "vmap.debug"}) {
		high_world w(params);
		page *p = high_page();
		std::vector<std::thread> threads;

		for (u32 t = 0; t < 4; t++) {
			threads.push_back(w.thread([&, t] {
				for (u32 i = 0; i < 500; i++) {
					u32 *addr = static_cast<u32 *>(kmap(p));

					ASSERT_NE(addr, nullptr);
					addr[t] = i;
					ASSERT_EQ(((volatile u32 *)addr)[t], i);
					kunmap(p);
				}
			}));
		}
		for (auto &thread : threads)
			thread.join();
		EXPECT_EQ(w.stats().live_areas, 0u);
		EXPECT_TRUE(vmap_check());
		vm_unmap_aliases();
		EXPECT_EQ(page_ref_count(p), 1);
		put_page(p);
	}
}

/* More pages than there may be mappings of the host. */
TEST(mm_kmap, many_pages_one_after_the_other)
{
	high_world w;
	std::vector<page *> pages;

	mmu_set_mapping_budget(w.machine(), 64);
	for (int i = 0; i < 500; i++) {
		pages.push_back(high_page());
		u32 *addr = static_cast<u32 *>(kmap(pages.back()));

		ASSERT_NE(addr, nullptr);
		*addr = stamp_of(pages.back());
		kunmap(pages.back());
	}
	for (page *p : pages) {
		EXPECT_EQ(load(kmap(p)), stamp_of(p));
		kunmap(p);
		put_page(p);
	}
}
