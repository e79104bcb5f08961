/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmap_fixture.h - a machine with mm, and pages that carry their frame number, for the tests of
 * vmap
 *
 * What an address reaches is found out by a real load that may fault.
 */
#pragma once

#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <kshim/machine.h>
#include <kshim/mmu.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/vmalloc.h>

namespace vmap_test
{

/* A machine, bound to the constructing thread. Destroying it must not warn. */
class world
{
public:
	explicit world(const char *params = "", size_t memory = 16ul << 20, size_t lowmem = 0)
	{
		static const machine_initcall *const calls[] = {&mmu_initcall, &mm_initcall,
								nullptr};
		pv_machine_config config;

		config.memory_bytes = memory;
		config.lowmem_bytes = lowmem;
		config.nr_cpus = 2;
		config.params = params;
		config.log = [](void *ctx, int, const char *line) {
			world *w = static_cast<world *>(ctx);
			std::lock_guard<std::mutex> g(w->log_lock_);

			w->log_ += line;
			w->log_ += '\n';
		};
		config.log_ctx = this;
		machine_ = pv_machine_create(&config, calls);
		if (IS_ERR(machine_))
			std::abort();
		scope_ = std::make_unique<machine_scope>(machine_);
	}
	~world()
	{
		unsigned int expected = expected_warnings;

		EXPECT_TRUE(vmap_check()) << log();
		scope_.reset();
		EXPECT_EQ(pv_machine_destroy(machine_), expected) << log();
	}
	world(const world &) = delete;
	world &operator=(const world &) = delete;

	std::thread thread(std::function<void()> body)
	{
		return std::thread([this, body = std::move(body)] {
			machine_scope scope(machine_);

			body();
		});
	}
	pv_machine *machine() { return machine_; }
	std::string log()
	{
		std::lock_guard<std::mutex> g(log_lock_);

		return log_;
	}
	struct vmap_stats stats() const
	{
		struct vmap_stats s;

		::vmap_stats(&s);
		return s;
	}

	unsigned int expected_warnings = 0;

private:
	pv_machine *machine_;
	std::unique_ptr<machine_scope> scope_;
	std::mutex log_lock_;
	std::string log_;
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
