// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vunmap_policies.cc - mm's manager, a machine for each policy
 */
#include "vunmap_managers.h"

#include <chrono>
#include <cstring>
#include <optional>
#include <string>

#include <kshim/machine.h>
#include <kshim/mmu.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/vmalloc.h>

namespace vunmap_bench
{

namespace
{

class policy_manager : public manager
{
public:
	explicit policy_manager(const std::string &policy)
		: name_(policy), params_("vmap.policy=" + policy)
	{
		static const machine_initcall *const calls[] = {&mmu_initcall, &mm_initcall,
								nullptr};
		pv_machine_config config;

		config.memory_bytes = 512ul << 20;
		config.lowmem_bytes = 256ul << 20;
		config.params = params_.c_str();
		machine_ = pv_machine_create(&config, calls);
		if (IS_ERR(machine_))
			die("pv_machine_create");
		machine_scope bound(machine_);

		low_.resize(low_frames);
		high_.resize(high_frames);
		if (alloc_pages_bulk(GFP_KERNEL, low_.size(), low_.data()) ||
		    alloc_pages_bulk(GFP_HIGHUSER | __GFP_ZERO, high_.size(), high_.data()))
			die("alloc_pages_bulk");
		for (page *p : low_)
			std::memset(page_address(p), 0, page_size);
	}
	~policy_manager() override
	{
		{
			machine_scope bound(machine_);

			for (page *p : low_)
				put_page(p);
			for (page *p : high_)
				put_page(p);
		}
		if (pv_machine_destroy(machine_))
			die("the machine warned");
	}
	const std::string &name() const override { return name_; }
	void prepare(const frame_lists &lists) override
	{
		machine_scope bound(machine_);

		vm_unmap_aliases();
		how_ = lists.how;
		each_ = lists.each;
		pages_.clear();
		for (std::uint32_t frame : lists.frames)
			pages_.push_back(how_ == api::kmap ? high_[frame] : low_[frame]);
	}
	void enter(unsigned) override { current->machine = machine_; }
	void leave() override { current->machine = nullptr; }
	volatile unsigned *map(std::size_t list) override
	{
		page **pages = &pages_[list * each_];
		void *addr = how_ == api::kmap      ? kmap(*pages)
			     : how_ == api::vmap    ? vmap(pages, each_, VM_MAP, PAGE_KERNEL)
			     : how_ == api::vmap_ro ? vmap(pages, each_, VM_MAP, PAGE_KERNEL_RO)
						    : vm_map_ram(pages, each_, -1);

		if (!addr)
			die("vmap");
		return static_cast<volatile unsigned *>(addr);
	}
	void unmap(std::size_t list, volatile unsigned *addr) override
	{
		if (how_ == api::kmap)
			kunmap(pages_[list]);
		else if (how_ == api::vmap || how_ == api::vmap_ro)
			vunmap(const_cast<unsigned *>(addr));
		else
			vm_unmap_ram(const_cast<unsigned *>(addr), each_);
	}
	void drain() override { vm_unmap_aliases(); }
	double shootdown_ns() override
	{
		constexpr int rounds = 20;
		machine_scope bound(machine_);

		vm_unmap_aliases();
		const auto start = std::chrono::steady_clock::now();

		for (int i = 0; i < rounds; i++) {
			if (vmap_shootdown(low_.data(), low_.size()))
				die("vmap_shootdown");
		}
		const std::chrono::duration<double, std::nano> took =
			std::chrono::steady_clock::now() - start;

		return took.count() / (rounds * (double)low_.size());
	}

	double bytes_per_area(unsigned pages) override
	{
		constexpr std::size_t areas = 1000;
		machine_scope bound(machine_);
		std::vector<void *> live;

		/* What was freed before is gone. */
		vm_unmap_aliases();
		rcu_barrier();
		const slab_stats before = pv_machine_slab_stats(machine_);

		for (std::size_t i = 0; i < areas; i++) {
			live.push_back(vm_map_ram(&low_[i * pages], pages, -1));
			if (!live.back())
				die("vm_map_ram");
		}
		const slab_stats after = pv_machine_slab_stats(machine_);

		for (void *addr : live)
			vm_unmap_ram(addr, pages);
		vm_unmap_aliases();
		/* And a slot of the window's table for each page. */
		return (double)(after.bytes - before.bytes) / areas + pages * sizeof(void *);
	}

private:
	const std::string name_, params_;
	pv_machine *machine_;
	std::vector<page *> low_, high_, pages_;
	api how_ = api::vmap;
	unsigned each_ = 1;
};

} // namespace

std::unique_ptr<manager> make_policy(const std::string &policy)
{
	return std::make_unique<policy_manager>(policy);
}

} // namespace vunmap_bench
