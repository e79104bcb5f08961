/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmalloc and vmap: aliases are real, references are held, ranges are found.
 */
#include "unit/video_fixture.h"

using namespace video_test;

TEST(mm_vmalloc, a_range_is_its_pages)
{
	world w;
	char *range = (char *)vzalloc(10 * PAGE_SIZE + 1);

	ASSERT_NE(range, nullptr);
	for (size_t i = 0; i < 11; i++) {
		page *p = vmalloc_to_page(range + i * PAGE_SIZE + 17);

		ASSERT_NE(p, nullptr);
		EXPECT_EQ(range[i * PAGE_SIZE], 0);
		range[i * PAGE_SIZE + 17] = (char)i;
		EXPECT_EQ(((char *)page_address(p))[17], (char)i);
	}
	EXPECT_EQ(vmalloc_to_page(range + 11 * PAGE_SIZE), nullptr);
	EXPECT_EQ(vmalloc_to_page(range - 1), nullptr);
	EXPECT_TRUE(is_vmalloc_addr(range + 5));
	EXPECT_FALSE(is_vmalloc_addr(&w));
	vfree(range);
	vfree(nullptr);
	vm_unmap_aliases();
	EXPECT_EQ(nr_free_pages(), totalram_pages());
}

TEST(mm_vmalloc, a_frame_of_64_mib)
{
	world w(96ul << 20);
	size_t size = 64ul << 20;
	char *frame = (char *)vzalloc(size);

	ASSERT_NE(frame, nullptr);
	for (size_t at = 0; at < size; at += PAGE_SIZE)
		frame[at] = (char)(at >> PAGE_SHIFT);
	for (size_t at = 0; at < size; at += PAGE_SIZE)
		ASSERT_EQ(frame[at], (char)(at >> PAGE_SHIFT));
	vfree(frame);
}

TEST(mm_vmalloc, vmap_in_any_order_and_pages_outlive_their_owner)
{
	world w;
	page *pages[8];

	for (size_t i = 0; i < 8; i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		*(size_t *)page_address(pages[i]) = i;
	}
	page *mixed[8] = {pages[7], pages[0], pages[3], pages[2],
			  pages[1], pages[4], pages[4], pages[6]};
	char *range = (char *)vmap(mixed, 8, VM_MAP, PAGE_KERNEL);

	ASSERT_NE(range, nullptr);
	for (page *p : pages)
		put_page(p);
	size_t expected[8] = {7, 0, 3, 2, 1, 4, 4, 6};
	for (size_t i = 0; i < 8; i++)
		EXPECT_EQ(*(size_t *)(range + i * PAGE_SIZE), expected[i]);
	EXPECT_EQ(page_ref_count(pages[4]), 2);
	EXPECT_EQ(page_ref_count(pages[5]), 0);
	vunmap(range);
	/* Lazily unmapped: the references stay with the alias. */
	EXPECT_EQ(page_ref_count(pages[0]), 1);
	vm_unmap_aliases();
	EXPECT_EQ(nr_free_pages(), totalram_pages());
}

TEST(mm_vmalloc, an_unmapped_address_is_gone_when_aliases_are)
{
	world w;
	char *range = (char *)vmalloc(PAGE_SIZE);
	auto touch = [](void *arg) { (void)*(volatile char *)arg; };

	EXPECT_TRUE(kshim_try(touch, range));
	vfree(range);
	vm_unmap_aliases();
	EXPECT_FALSE(kshim_try(touch, range));
}

TEST(mm_vmalloc, more_than_there_is_fails)
{
	world w(1ul << 20);
	unsigned long most = totalram_pages() * PAGE_SIZE;

	EXPECT_EQ(vmalloc(0), nullptr);
	EXPECT_EQ(vmalloc(2 * most), nullptr);
	EXPECT_EQ(vmalloc(~0ul), nullptr);
	void *all = vmalloc(most);
	EXPECT_NE(all, nullptr);
	EXPECT_EQ(vmalloc(PAGE_SIZE), nullptr);
	vfree(all);
}

TEST(mm_vmalloc, every_failing_allocation_is_undone)
{
	world w;

	for (long nth = 1;; nth++) {
		pv_machine_fail_alloc(w.machine(), nth);
		void *range = vmalloc(100 * PAGE_SIZE);
		bool done = pv_machine_fail_alloc(w.machine(), 0) != 0;

		/* Alone, the failure of one large block is made good by smaller ones. */
		vfree(range);
		vm_unmap_aliases();
		ASSERT_EQ(nr_free_pages(), totalram_pages());
		if (done) {
			EXPECT_NE(range, nullptr);
			break;
		}
	}
}

TEST(mm_vmalloc, freeing_what_is_no_range_warns)
{
	world w;
	char *range = (char *)vmalloc(2 * PAGE_SIZE);

	vfree(range + PAGE_SIZE);
	EXPECT_EQ(pv_machine_warnings(w.machine()), 1u);
	vfree(range);
	w.expected_warnings = 1;
}
