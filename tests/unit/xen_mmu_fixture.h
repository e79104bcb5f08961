/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xen_mmu_fixture.h - a machine with the hypervisor's page types, and page tables made by hand
 *
 *      l4[0] -> l3[0] -> l2[0] -> l1[0] -> data[0], RW      l1[1] -> data[1], read-only
 */
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <asm/xen/hypercall.h>
#include <kshim/direct_map.h>
#include <kshim/fault.h>
#include <kshim/xen_mmu.h>
#include <linux/mm.h>

#include "unit/test_machine.h"

namespace xen_mmu_test
{

class world : public test_machine
{
public:
	explicit world(size_t memory = 4ul << 20)
		: test_machine({&mmu_initcall, &xen_mmu_initcall, &mm_initcall},
			       {.memory_bytes = memory, .nr_cpus = 2})
	{
	}
	~world() { EXPECT_TRUE(xen_mmu_check()) << log(); }

	struct xen_mmu_stats stats() const
	{
		struct xen_mmu_stats s;

		xen_mmu_stats(&s);
		return s;
	}
};

inline u64 *entries(struct page *table)
{
	return static_cast<u64 *>(page_address(table));
}

inline int set_right(struct page *page, bool writable, unsigned long flags = UVMF_NONE)
{
	return HYPERVISOR_update_va_mapping(
		(unsigned long)page_address(page),
		pfn_pte(page_to_pfn(page), _PAGE_PRESENT | (writable ? _PAGE_RW : 0)), flags);
}

inline int ext(unsigned int cmd, struct page *page, unsigned int vcpu = 0)
{
	struct mmuext_op op = {};

	op.cmd = cmd;
	op.arg1.mfn = page ? page_to_pfn(page) : 0;
	return HYPERVISOR_mmuext_op(&op, 1, nullptr, vcpu);
}

inline int update(u64 *ptep, pteval_t value, u64 kind = MMU_NORMAL_PT_UPDATE)
{
	struct mmu_update req;

	req.ptr = pfn_pte(page_to_pfn(virt_to_page(ptep)), offset_in_page(ptep) | kind);
	req.val = value;
	return HYPERVISOR_mmu_update(&req, 1, nullptr);
}

inline pteval_t pte_of(struct page *page, pteval_t flags)
{
	return pfn_pte(page_to_pfn(page), flags);
}

constexpr pteval_t RO = _PAGE_PRESENT | _PAGE_USER;
constexpr pteval_t RW = RO | _PAGE_RW;

class tree
{
public:
	tree()
	{
		for (struct page *&page : table)
			page = alloc_page(GFP_KERNEL | __GFP_ZERO);
		for (struct page *&page : data)
			page = alloc_page(GFP_KERNEL | __GFP_ZERO);
		for (unsigned int level = 4; level > 1; level--)
			entries(table[level])[0] = pte_of(table[level - 1], _PAGE_TABLE);
		l1()[0] = pte_of(data[0], RW);
		l1()[1] = pte_of(data[1], RO);
	}
	~tree()
	{
		for (struct page *page : table)
			put_page(page);
		for (struct page *page : data)
			put_page(page);
	}
	tree(const tree &) = delete;
	tree &operator=(const tree &) = delete;

	u64 *l1() { return entries(table[1]); }
	struct page *top() { return table[4]; }
	void protect(bool writable = false)
	{
		for (unsigned int level = 1; level <= 4; level++)
			ASSERT_EQ(set_right(table[level], writable), 0);
	}
	void pin()
	{
		protect();
		ASSERT_EQ(ext(MMUEXT_PIN_L4_TABLE, top()), 0);
	}
	void unpin()
	{
		ASSERT_EQ(ext(MMUEXT_UNPIN_TABLE, top()), 0);
		protect(true);
	}

	struct page *table[5]; /* by level; 0: unused, but a page */
	struct page *data[2];
};

} // namespace xen_mmu_test
