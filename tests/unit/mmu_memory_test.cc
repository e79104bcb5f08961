// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Guest memory, the direct map, kernel maps.
 */
#include "mmu_fixture.h"

#include <fstream>
#include <sys/mman.h>

namespace
{

using namespace mmu_test;

size_t host_mappings_in(unsigned long from, unsigned long to)
{
	std::ifstream maps("/proc/self/maps");
	std::string line;
	size_t n = 0;

	while (std::getline(maps, line)) {
		unsigned long start = std::stoul(line, nullptr, 16);

		n += start >= from && start < to;
	}
	return n;
}

TEST(mmu_memory, AddressesPagesAndNumbersAgree)
{
	world w;

	for (unsigned long n : {0ul, 1ul, 500ul, 1023ul}) {
		char *addr = (char *)page_address(w.page(n));

		EXPECT_EQ(page_to_pfn(w.page(n)), n);
		EXPECT_EQ(pfn_to_page(n), w.page(n));
		EXPECT_EQ(virt_to_page(addr), w.page(n));
		EXPECT_EQ(virt_to_page(addr + 4095), w.page(n));
		EXPECT_EQ(pfn_t_to_page(page_to_pfn_t(w.page(n))), w.page(n));
		EXPECT_EQ(addr, (char *)page_address(w.page(0)) + n * PAGE_SIZE);
	}
	EXPECT_TRUE(pfn_valid(1023));
	EXPECT_FALSE(pfn_valid(1024));
	EXPECT_FALSE(pfn_valid(~0ul));
}

TEST(mmu_memory, FramesStartZeroedAndAreZeroAfterDiscard)
{
	world w;

	EXPECT_EQ(*w.word(5), 0u);
	*w.word(5) = 1;
	*w.word(6) = 2;
	mmu_page_discard(w.page(5));
	EXPECT_EQ(*w.word(5), 0u);
	EXPECT_EQ(*w.word(6), 2u);
}

TEST(mmu_memory, ImpossibleSizesAreRefusedWithALine)
{
	static const machine_initcall *const calls[] = {&mmu_initcall, nullptr};

	for (size_t bytes : {size_t{0}, size_t{4097}, MMU_MEMORY_MAX + PAGE_SIZE}) {
		std::string log;
		pv_machine_config config;

		config.memory_bytes = bytes;
		config.log = [](void *ctx, int, const char *line) {
			*static_cast<std::string *>(ctx) += line;
		};
		config.log_ctx = &log;
		pv_machine *m = pv_machine_create(&config, calls);

		EXPECT_TRUE(IS_ERR(m));
		EXPECT_EQ(PTR_ERR(m), -EINVAL);
		EXPECT_NE(log.find("guest memory"), std::string::npos);
	}
}

TEST(mmu_memory, AnyFailingAllocationFailsTheCreationAndLeaksNothing)
{
	static const machine_initcall *const calls[] = {&mmu_initcall, nullptr};

	for (long n = 1; n < 100; n++) {
		pv_machine_config config;

		config.fail_alloc = n;
		config.log = [](void *, int, const char *line) {
			EXPECT_EQ(std::string(line).find("WARNING"), std::string::npos) << line;
		};
		pv_machine *m = pv_machine_create(&config, calls);

		if (!IS_ERR(m)) {
			EXPECT_EQ(pv_machine_destroy(m), 0u);
			return;
		}
	}
	FAIL() << "no creation got through";
}

/* frames 7 8 9 | 3 | 20 21: three runs */
TEST(mmu_kernel_map, ScatteredFramesAreSideBySide)
{
	world w;
	const unsigned long frames[] = {7, 8, 9, 3, 20, 21};
	std::vector<struct page *> pages;

	for (unsigned long f : frames) {
		pages.push_back(w.page(f));
		*w.word(f) = (u32)f;
	}
	char *addr = (char *)kernel_map_create(pages.data(), pages.size(), MMU_RW);

	ASSERT_FALSE(IS_ERR(addr));
	EXPECT_EQ(host_mappings_in((unsigned long)addr, (unsigned long)addr + 6 * PAGE_SIZE), 3u);
	for (size_t i = 0; i < 6; i++) {
		EXPECT_EQ(*(u32 *)(addr + i * PAGE_SIZE), frames[i]);
		*(u32 *)(addr + i * PAGE_SIZE) = 1000 + (u32)i;
	}
	EXPECT_EQ(*w.word(3), 1003u);
	/* The guard behind. */
	EXPECT_FALSE(can_load((unsigned long)addr + 6 * PAGE_SIZE));
	kernel_map_destroy(addr);
	EXPECT_FALSE(can_load((unsigned long)addr));
	EXPECT_EQ(*w.word(21), 1005u);
}

TEST(mmu_kernel_map, ReadOnlyMapsRefuseStoresAndSeeOthers)
{
	world w;
	struct page *pages[2] = {w.page(4), w.page(4)};
	unsigned long addr = (unsigned long)kernel_map_create(pages, 2, MMU_RO);
	u32 value;

	ASSERT_FALSE(IS_ERR((void *)addr));
	EXPECT_FALSE(can_store(addr, 1));
	*w.word(4) = 77;
	EXPECT_TRUE(can_load(addr + PAGE_SIZE, &value));
	EXPECT_EQ(value, 77u);
	kernel_map_destroy((void *)addr);
}

TEST(mmu_kernel_map, BadPagesAndNoPagesAreRefused)
{
	world w;
	struct page *pages[2] = {w.page(0), w.page(1024)};

	EXPECT_EQ(kernel_map_create(pages, 2, MMU_RW), (void *)ERR_PTR(-EINVAL));
	EXPECT_EQ(kernel_map_create(pages, 0, MMU_RW), (void *)ERR_PTR(-EINVAL));
}

TEST(mmu_kernel_map, BudgetIsKeptAndGivenBack)
{
	world w;
	std::vector<struct page *> pages;

	for (unsigned long i = 0; i < 50; i++)
		pages.push_back(w.page(2 * i));
	mmu_set_mapping_budget(w.machine(), 40);
	EXPECT_EQ(kernel_map_create(pages.data(), 50, MMU_RW), (void *)ERR_PTR(-ENOMEM));
	EXPECT_EQ(w.stats().host_mappings, 0u);
	void *addr = kernel_map_create(pages.data(), 30, MMU_RW);

	ASSERT_FALSE(IS_ERR(addr));
	kernel_map_destroy(addr);
	EXPECT_EQ(w.stats().host_mappings, 0u);
}

TEST(mmu_kernel_map, AnyFailingSystemCallLeavesNothingBehind)
{
	world w;
	std::vector<struct page *> pages;
	long nth;

	for (unsigned long i = 0; i < 10; i++)
		pages.push_back(w.page(2 * i));
	for (nth = 1; nth < 50; nth++) {
		mmu_fail_call(w.machine(), nth);
		void *addr = kernel_map_create(pages.data(), 10, MMU_RW);

		if (!IS_ERR(addr)) {
			kernel_map_destroy(addr);
			break;
		}
		EXPECT_EQ(PTR_ERR(addr), -ENOMEM);
		EXPECT_EQ(w.stats().host_mappings, 0u);
	}
	EXPECT_EQ(nth, 12); /* the reservation and ten runs */
}

TEST(mmu_kernel_map, LeaksAreReported)
{
	world w;
	struct page *page = w.page(0);
	static const mmu_area_ops ops = {};

	ASSERT_FALSE(IS_ERR(kernel_map_create(&page, 1, MMU_RW)));
	ASSERT_FALSE(IS_ERR(mmu_area_create(PAGE_SIZE, MMU_DELIVER_MPROTECT, &ops, nullptr)));
	w.expected_mappings = 4;
	w.expected_warnings = 2;
}

} // namespace
