/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmap_fixture.h - a machine with mm, and pages that carry their frame number, for the tests of
 * vmap
 *
 * What an address reaches is found out by a real load that may fault.
 */
#pragma once

#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <kshim/mmu.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/vmalloc.h>

#include "unit/test_machine.h"

namespace vmap_test
{

class world : public test_machine
{
public:
	explicit world(const char *params = "", size_t memory = 16ul << 20, size_t lowmem = 0)
		: test_machine({&mmu_initcall, &mm_initcall}, {.memory_bytes = memory,
							       .lowmem_bytes = lowmem,
							       .nr_cpus = 2,
							       .params = params})
	{
	}
	~world() { EXPECT_TRUE(vmap_check()) << log(); }

	struct vmap_stats stats() const
	{
		struct vmap_stats s;

		::vmap_stats(&s);
		return s;
	}
};

/* What a load finds at an address: nothing (it faults), or a word. */
inline std::optional<u32> load(const void *addr)
{
	struct arg {
		const void *addr;
		u32 value;
	} arg = {addr, 0};
	bool ok = kshim_try(
		[](void *p) {
			struct arg *a = static_cast<struct arg *>(p);

			a->value = *static_cast<const volatile u32 *>(a->addr);
		},
		&arg);

	return ok ? std::optional<u32>(arg.value) : std::nullopt;
}

inline bool store(void *addr, u32 value)
{
	struct arg {
		void *addr;
		u32 value;
	} arg = {addr, value};

	return kshim_try(
		[](void *p) {
			struct arg *a = static_cast<struct arg *>(p);

			*static_cast<volatile u32 *>(a->addr) = a->value;
		},
		&arg);
}

inline u32 stamp_of(const page *p)
{
	return 0x51000000u + static_cast<u32>(page_to_pfn(p));
}

/* Pages with a reference of ours each, no two of them contiguous; each begins with its stamp. */
class page_set
{
public:
	explicit page_set(size_t nr, bool scattered = true)
	{
		std::vector<page *> all(scattered ? 2 * nr : nr);

		if (alloc_pages_bulk(GFP_KERNEL, all.size(), all.data()))
			std::abort();
		for (size_t i = 0; i < all.size(); i++) {
			if (scattered && i % 2) {
				put_page(all[i]);
				continue;
			}
			*static_cast<u32 *>(page_address(all[i])) = stamp_of(all[i]);
			pages_.push_back(all[i]);
		}
	}
	~page_set() { drop(); }
	page_set(const page_set &) = delete;
	page_set &operator=(const page_set &) = delete;

	void drop()
	{
		for (page *p : pages_)
			put_page(p);
		pages_.clear();
	}
	page *operator[](size_t i) const { return pages_[i]; }
	page **data() { return pages_.data(); }
	unsigned int size() const { return static_cast<unsigned int>(pages_.size()); }

private:
	std::vector<page *> pages_;
};

inline char *map(page **pages, unsigned int nr)
{
	return static_cast<char *>(vmap(pages, nr, VM_MAP, PAGE_KERNEL));
}

inline char *map(page_set &pages)
{
	return map(pages.data(), pages.size());
}

} // namespace vmap_test
