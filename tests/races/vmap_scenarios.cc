// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The lazy-flush manager against its history.
 *
 *	page  a: low memory, mapped by vmap()	  page  h: high memory, mapped by kmap()
 *
 * The oracle is kernel_window_reached(): which frame a load at an address reaches, whoever has
 * it. There is no PTE apart from a translation in it: unmapping is one call of the host, which
 * takes both away from all processors, so what the window still maps is what a stale address
 * reaches.
 */
#include "catalogue.h"

#include <kshim/machine.h>
#include <kshim/mmu.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>

using namespace races;

namespace
{

constexpr const char *SEED = "002 lazily unmapped aliases upset Xen";

struct vmap_world {
	struct pv_machine *machine;
	struct page *a, *h;
	u32 maps_no_more; /* the first task: from now on it only unmaps */
};

vmap_world *world_of(void *p)
{
	return static_cast<vmap_world *>(p);
}

void *setup()
{
	static const machine_initcall *const calls[] = {&mmu_initcall, &mm_initcall, nullptr};
	auto *w = explore_new<vmap_world>();
	pv_machine_config config;

	config.memory_bytes = 16 * PAGE_SIZE;
	config.lowmem_bytes = 8 * PAGE_SIZE;
	config.nr_cpus = 2;
	w->machine = pv_machine_create(&config, calls);
	explore_expect(!IS_ERR(w->machine), "no machine");
	machine_scope bound(w->machine);

	w->a = alloc_page(GFP_KERNEL);
	w->h = alloc_page(GFP_HIGHUSER);
	explore_expect(w->a && w->h && PageHighMem(w->h), "no pages");
	return w;
}

void check(void *p)
{
	vmap_world *w = world_of(p);
	machine_scope bound(w->machine);

	explore_expect(vmap_check(), "the counters are not the areas'");
}

void teardown(void *p)
{
	vmap_world *w = world_of(p);

	{
		machine_scope bound(w->machine);

		if (w->a)
			put_page(w->a);
		put_page(w->h);
	}
	explore_machine_destroy(w->machine);
}

explore_scenario scenario(const char *name, std::vector<explore_task> tasks)
{
	return {.name = name,
		.setup = setup,
		.tasks = std::move(tasks),
		.check = check,
		.teardown = teardown};
}

void *map_a(vmap_world *w)
{
	void *addr = vmap(&w->a, 1, VM_MAP, PAGE_KERNEL);

	explore_expect(addr && kernel_window_reached(addr) == w->a, "vmap() did not map the page");
	return addr;
}

void map_and_unmap(void *p)
{
	vmap_world *w = world_of(p);
	machine_scope bound(w->machine);
	void *addr = map_a(w);

	WRITE_ONCE(w->maps_no_more, 1u);
	vunmap(addr);
}

/* Whoever lists the area, and when: what I unmapped is gone when vm_unmap_aliases() returns. */
void revive_and_unmap_aliases(void *p)
{
	vmap_world *w = world_of(p);
	machine_scope bound(w->machine);
	bool alone = READ_ONCE(w->maps_no_more);
	void *addr = map_a(w);

	explore_expect(kernel_window_reached(addr) == w->a, "a live area was taken away");
	vunmap(addr);
	vm_unmap_aliases();
	explore_expect(!alone || !kernel_window_reached(addr),
		       "an address reaches its page after vm_unmap_aliases()");
}

void unmap_aliases(void *p)
{
	machine_scope bound(world_of(p)->machine);

	vm_unmap_aliases();
}

void shoot_down(void *p)
{
	vmap_world *w = world_of(p);
	machine_scope bound(w->machine);
	bool alone = READ_ONCE(w->maps_no_more);
	int err = vmap_shootdown(&w->a, 1);

	if (err || !alone)
		return;
	for (unsigned long i = 0; i < 2 * totalram_pages(); i++) {
		const char *first = static_cast<const char *>(kernel_window_start());

		explore_expect(kernel_window_reached(first + i * PAGE_SIZE) != w->a,
			       "an address reaches a page after its shootdown");
	}
	explore_expect(!page_has_lazy_alias(w->a), "a shot down page has a lazy alias");
}

/* The seed's bug: the owner is done with the page while an address still reaches it. */
void map_unmap_and_free(void *p)
{
	vmap_world *w = world_of(p);
	machine_scope bound(w->machine);
	struct page *a = w->a;
	void *addr = map_a(w);

	vunmap(addr);
	w->a = nullptr;
	put_page(a);
	/* In this order: once free it stays so. */
	explore_expect(page_ref_count(a) > 0 || kernel_window_reached(addr) != a,
		       "a free page is mapped");
}

void kmap_and_kunmap(void *p)
{
	vmap_world *w = world_of(p);
	machine_scope bound(w->machine);
	void *addr = kmap(w->h);

	explore_expect(addr && kernel_window_reached(addr) == w->h,
		       "kmap() returned an address that is not mapped");
	kunmap(w->h);
}

} // namespace

races::race_subsystem races::vmap_subsystem()
{
	race_subsystem vmap = {.name = "vmap", .scenarios = {}, .mutants = {}};

	vmap.scenarios = {
		{.scenario = scenario("vmap_aliases", {{"mapper", map_and_unmap},
						       {"reviver", revive_and_unmap_aliases}}),
		 .checks = "vm_unmap_aliases() finds what was revived and unmapped while it was "
			   "listed",
		 .seed = SEED,
		 .bound = 2},
		{.scenario = scenario("vmap_free",
				      {{"owner", map_unmap_and_free}, {"purge", unmap_aliases}}),
		 .checks = "no page is free while an address reaches it",
		 .seed = SEED,
		 .bound = 2},
		{.scenario = scenario("vmap_shootdown", {{"mapper", map_and_unmap},
							 {"purge", unmap_aliases},
							 {"shooter", shoot_down}}),
		 .checks = "a shootdown waits for the purge that has claimed its areas",
		 .seed = SEED,
		 .bound = 1},
		{.scenario = scenario("vmap_kmap",
				      {{"first", kmap_and_kunmap}, {"second", kmap_and_kunmap}}),
		 .checks = "two who kmap() a page both reach it",
		 .seed = nullptr,
		 .bound = 2},
	};
	vmap.mutants = {
		{.name = "vmap_no_references",
		 .variant = "historical",
		 .origin = "XFS of 2007: buffers' pages are freed while their mapping waits for a "
			   "batch of 64",
		 .killer = "vmap_free",
		 .bound = 1,
		 .reason = "a free page is mapped"},
		{.name = "vmap_listed_late",
		 .variant = nullptr,
		 .origin = "a lazy area that is on no list, as full blocks were on none before "
			   "fc1e0d980037: vm_unmap_aliases() does not find it",
		 .killer = "vmap_aliases",
		 .bound = 2,
		 .reason = "after vm_unmap_aliases()"},
		{.name = "vmap_shootdown_trusts_claims",
		 .variant = nullptr,
		 .origin = "what another purge has claimed, and not yet flushed, is taken for gone",
		 .killer = "vmap_shootdown",
		 .bound = 1,
		 .reason = "a shot down page has a lazy alias"},
		{.name = "vmap_published_unmapped",
		 .variant = nullptr,
		 .origin = "published before it is complete, as blocks were before 3e3de7947c75",
		 .killer = "vmap_kmap",
		 .bound = 2,
		 .reason = "not mapped"},
	};
	return vmap;
}
