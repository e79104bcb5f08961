/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mmu_fixture.h - a machine with guest memory, and an area whose owner is a test
 */
#pragma once

#include <atomic>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <kshim/mmu.h>
#include <kshim/user.h>

#include "unit/test_machine.h"

namespace mmu_test
{

class world : public test_machine
{
public:
	explicit world(size_t memory = 4ul << 20)
		: test_machine({&mmu_initcall}, {.memory_bytes = memory})
	{
		unsigned long nr;

		pages_ = mmu_page_array(&nr);
		EXPECT_EQ(nr, memory >> PAGE_SHIFT);
	}
	~world()
	{
		mmu_fail_call(machine(), 0);
		EXPECT_EQ(stats().host_mappings, expected_mappings);
	}

	struct page *page(unsigned long n) const { return pages_ + n; }
	volatile u32 *word(unsigned long n) const
	{
		return static_cast<volatile u32 *>(page_address(pages_ + n));
	}
	struct mmu_stats stats() const
	{
		struct mmu_stats s;

		::mmu_stats(&s);
		return s;
	}

	u64 expected_mappings = 0;

private:
	struct page *pages_;
};

/* An area of a machine; a test says what its faults do. */
class area
{
public:
	typedef std::function<int(area &, unsigned long addr, bool write)> fault_fn;

	area(unsigned long nr_pages, mmu_delivery delivery, fault_fn fault)
		: fault_(std::move(fault))
	{
		static const mmu_area_ops ops = {.fault = on_fault};

		area_ = mmu_area_create(nr_pages << PAGE_SHIFT, delivery, &ops, this);
		if (IS_ERR(area_))
			std::abort();
	}
	~area() { destroy(); }
	area(const area &) = delete;
	area &operator=(const area &) = delete;

	void destroy()
	{
		if (area_)
			mmu_area_destroy(area_);
		area_ = nullptr;
	}
	unsigned long at(unsigned long page, unsigned long offset = 0) const
	{
		return mmu_area_start(area_) + (page << PAGE_SHIFT) + offset;
	}
	unsigned long index(unsigned long addr) const
	{
		return (addr - mmu_area_start(area_)) >> PAGE_SHIFT;
	}
	mmu_area *get() const { return area_; }
	struct mmu_pte pte(unsigned long page) const { return mmu_pte(area_, at(page)); }

	std::atomic<int> read_faults{0}, write_faults{0};

private:
	static int on_fault(mmu_area *a, unsigned long addr, bool write)
	{
		area *self = static_cast<area *>(mmu_area_owner(a));

		(write ? self->write_faults : self->read_faults)++;
		return self->fault_(*self, addr, write);
	}

	fault_fn fault_;
	mmu_area *area_;
};

/* Frame base + n for page n: read-only for a load, writable for a store. */
inline area::fault_fn map_frames(const world &w, unsigned long base)
{
	return [&w, base](area &a, unsigned long addr, bool write) {
		return mmu_map(a.get(), addr, w.page(base + a.index(addr)),
			       write ? MMU_RW : MMU_RO);
	};
}

/* The accesses of a program that may end badly. */
inline bool can_load(unsigned long addr, u32 *value = nullptr)
{
	struct arg {
		unsigned long addr;
		u32 value;
	} arg = {addr, 0};
	bool ok = kshim_try(
		[](void *p) {
			struct arg *a = static_cast<struct arg *>(p);

			a->value = kshim_user_load32(a->addr);
		},
		&arg);

	if (ok && value)
		*value = arg.value;
	return ok;
}

inline bool can_store(unsigned long addr, u32 value)
{
	struct arg {
		unsigned long addr;
		u32 value;
	} arg = {addr, value};

	return kshim_try(
		[](void *p) {
			struct arg *a = static_cast<struct arg *>(p);

			kshim_user_store32(a->addr, a->value);
		},
		&arg);
}

} // namespace mmu_test
