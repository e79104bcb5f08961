// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The lazy-flush manager against its history.
 *
 *	page  a: low memory, mapped by vmap()	  page  h: high memory, mapped by kmap()
 *
 * The oracle is kernel_window_reached(): which frame a load at an address reaches on any processor,
 * by the page table or by a TLB that still holds what it was. What is mapped is loaded from
 * (kernel_window_load()), so that it is in a TLB.
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

constexpr unsigned int MEMORY_PAGES = 16, LOWMEM_PAGES = 8;

struct vmap_world {
	struct pv_machine *machine;
	struct page *a, *h;
	u32 maps_no_more; /* the first task: from now on it only unmaps */
	void *handed;     /* an address that a task gives to another */
	struct page *hogged[MEMORY_PAGES];
	unsigned int nr_hogged;
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

	config.memory_bytes = MEMORY_PAGES * PAGE_SIZE;
	config.lowmem_bytes = LOWMEM_PAGES * PAGE_SIZE;
	config.nr_cpus = 2;
	w->machine = pv_machine_create(&config, calls);
	explore_expect(!IS_ERR(w->machine), "no machine");
	machine_scope bound(w->machine);

	w->a = alloc_page(GFP_KERNEL);
	w->h = alloc_page(GFP_HIGHUSER);
	explore_expect(w->a && w->h && PageHighMem(w->h), "no pages");
	return w;
}

/* The allocator has nothing left but what is in lazy areas. */
void *setup_full()
{
	vmap_world *w = world_of(setup());
	machine_scope bound(w->machine);

	while (w->nr_hogged < MEMORY_PAGES) {
		struct page *page = alloc_page(GFP_HIGHUSER | __GFP_NOWARN);

		if (!page)
			break;
		w->hogged[w->nr_hogged++] = page;
	}
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
		while (w->nr_hogged)
			put_page(w->hogged[--w->nr_hogged]);
	}
	explore_machine_destroy(w->machine);
}

explore_scenario scenario(const char *name, std::vector<explore_task> tasks,
			  void *(*make)() = setup)
{
	return {.name = name,
		.setup = make,
		.tasks = std::move(tasks),
		.check = check,
		.teardown = teardown};
}

void *map_a(vmap_world *w)
{
	void *addr = vmap(&w->a, 1, VM_MAP, PAGE_KERNEL);

	explore_expect(addr && kernel_window_load(addr) == w->a, "vmap() did not map the page");
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

/* Some address in the window that reaches @page; null: none does. */
const void *address_of(const struct page *page)
{
	const char *first = static_cast<const char *>(kernel_window_start());

	for (unsigned long i = 0; i < 2 * totalram_pages(); i++) {
		if (kernel_window_reached(first + i * PAGE_SIZE) == page)
			return first + i * PAGE_SIZE;
	}
	return nullptr;
}

void shoot_down(void *p)
{
	vmap_world *w = world_of(p);
	machine_scope bound(w->machine);
	bool alone = READ_ONCE(w->maps_no_more);
	int err = vmap_shootdown(&w->a, 1);

	if (err || !alone)
		return;
	explore_expect(!address_of(w->a), "an address reaches a page after its shootdown");
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

	explore_expect(addr && kernel_window_load(addr) == w->h,
		       "kmap() returned an address that is not mapped");
	kunmap(w->h);
}

/* XFS: the buffer is given back, its mapping later. It has no idea of who gets the page. */
void release_buffer(void *p)
{
	vmap_world *w = world_of(p);
	machine_scope bound(w->machine);
	struct page *a = w->a;

	vunmap(map_a(w));
	w->a = nullptr;
	put_page(a);
	WRITE_ONCE(w->maps_no_more, 1u);
}

/* The seed's other side: a page from the allocator becomes a page table. Nobody may write to it. */
void pin_a_page_table(void *p)
{
	vmap_world *w = world_of(p);
	machine_scope bound(w->machine);
	const bool released = READ_ONCE(w->maps_no_more);
	struct page *table = alloc_page(GFP_KERNEL | __GFP_NOWARN);

	explore_expect(table || !released, "the allocator did not get back what is lazily held");
	if (!table)
		return;
	explore_expect(!address_of(table),
		       "Xen refuses to pin page %lu: an address can still write to it",
		       page_to_pfn(table));
	put_page(table);
}

/* A block has room for two of these in an explored world. */
char *map_ram(vmap_world *w, struct page *first, struct page *second)
{
	struct page *pages[] = {first, second};
	auto *addr = static_cast<char *>(vm_map_ram(pages, 2, -1));

	explore_expect(addr, "vm_map_ram() failed");
	explore_expect(kernel_window_load(addr) == first &&
			       kernel_window_load(addr + PAGE_SIZE) == second,
		       "a live area was taken away");
	return addr;
}

/* Two fill a block; one is unmapped while the other keeps the block alive. */
void fill_a_block(void *p)
{
	vmap_world *w = world_of(p);
	machine_scope bound(w->machine);
	char *one = map_ram(w, w->a, w->a), *other = map_ram(w, w->h, w->h);

	vm_unmap_ram(one, 2);
	vm_unmap_aliases();
	explore_expect(!kernel_window_reached(one) && !kernel_window_reached(one + PAGE_SIZE),
		       "an address in a full block reaches its page after vm_unmap_aliases()");
	explore_expect(kernel_window_reached(other) == w->h, "a live area was taken away");
	vm_unmap_ram(other, 2);
}

/* The addresses of the first, or others, are the second's, which is looked at when all is over. */
void map_and_map_again(void *p)
{
	vmap_world *w = world_of(p);
	machine_scope bound(w->machine);

	vm_unmap_ram(map_ram(w, w->a, w->h), 2);
	w->handed = map_ram(w, w->h, w->a);
}

void unmap_aliases_twice(void *p)
{
	machine_scope bound(world_of(p)->machine);

	vm_unmap_aliases();
	vm_unmap_aliases();
}

void check_second(void *p)
{
	vmap_world *w = world_of(p);
	machine_scope bound(w->machine);
	const char *addr = static_cast<char *>(w->handed);

	explore_expect(kernel_window_reached(addr) == w->h &&
			       kernel_window_reached(addr + PAGE_SIZE) == w->a,
		       "a live area was taken away");
	vm_unmap_ram(addr, 2);
	explore_expect(vmap_check(), "the counters are not the areas'");
}

/* Maps on one processor what another unmaps, and goes on mapping. */
void map_and_hand_over(void *p)
{
	vmap_world *w = world_of(p);
	machine_scope bound(w->machine);
	char *addr = map_ram(w, w->a, w->a);

	smp_store_release(&w->handed, static_cast<void *>(addr));
	addr = map_ram(w, w->h, w->h);
	vm_unmap_ram(addr, 2);
}

void unmap_what_is_handed_over(void *p)
{
	vmap_world *w = world_of(p);
	machine_scope bound(w->machine);
	void *addr = smp_load_acquire(&w->handed);

	if (!addr)
		return;
	vm_unmap_ram(addr, 2);
	vm_unmap_aliases();
}

/* Left over when nobody took it. */
void check_handed_over(void *p)
{
	vmap_world *w = world_of(p);
	machine_scope bound(w->machine);

	if (w->handed && find_vm_area(w->handed))
		vm_unmap_ram(w->handed, 2);
	explore_expect(vmap_check(), "the counters are not the areas'");
}

void map_tell_and_unmap(void *p)
{
	vmap_world *w = world_of(p);
	machine_scope bound(w->machine);
	void *addr = map_a(w);

	smp_store_release(&w->handed, addr);
	vunmap(addr);
}

/* Somebody's address, while it is unmapped and its area freed. */
void look_up(void *p)
{
	vmap_world *w = world_of(p);
	machine_scope bound(w->machine);
	void *addr = smp_load_acquire(&w->handed);
	struct page *page = addr ? vmalloc_to_page(addr) : nullptr;

	explore_expect(!page || page == w->a, "an address has another's page");
	page_has_lazy_alias(w->a);
}

/* vmalloc's page is lazily held, or in use, or free: then it is mine. */
void vmalloc_and_vfree(void *p)
{
	vmap_world *w = world_of(p);
	machine_scope bound(w->machine);
	void *addr = vmalloc(PAGE_SIZE);

	vfree(addr);
	WRITE_ONCE(w->maps_no_more, 1u);
}

void need_a_page(void *p)
{
	vmap_world *w = world_of(p);
	machine_scope bound(w->machine);
	const bool alone = READ_ONCE(w->maps_no_more);
	struct page *page = alloc_page(GFP_HIGHUSER | __GFP_NOWARN);

	explore_expect(page || !alone, "the allocator did not get back what is lazily held");
	if (!page)
		return;
	explore_expect(!address_of(page), "a page was handed out that an address reaches");
	put_page(page);
}

/* One page is left. */
void *setup_one_left()
{
	vmap_world *w = world_of(setup_full());
	machine_scope bound(w->machine);

	put_page(w->hogged[--w->nr_hogged]);
	return w;
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
		{.scenario =
			 scenario("vmap_pagetable",
				  {{"xfs", release_buffer}, {"xen", pin_a_page_table}}, setup_full),
		 .checks = "no page becomes a page table while an address reaches it",
		 .seed = SEED,
		 .bound = 2},
		{.scenario = scenario("vmap_shootdown", {{"mapper", map_and_unmap},
							 {"purge", unmap_aliases},
							 {"shooter", shoot_down}}),
		 .checks = "a shootdown waits for the purge that has claimed its areas",
		 .seed = SEED,
		 .bound = 2},
		{.scenario = scenario("vmap_kmap",
				      {{"first", kmap_and_kunmap}, {"second", kmap_and_kunmap}}),
		 .checks = "two who kmap() a page both reach it",
		 .seed = nullptr,
		 .bound = 2},
		{.scenario = scenario("vmap_block",
				      {{"filler", fill_a_block}, {"purge", unmap_aliases}}),
		 .checks = "vm_unmap_aliases() finds what lies in blocks with no room left",
		 .seed = nullptr,
		 .bound = 2},
		{.scenario = {.name = "vmap_reuse",
			      .setup = setup,
			      .tasks = {{"mapper", map_and_map_again},
					{"purge", unmap_aliases_twice}},
			      .check = check_second,
			      .teardown = teardown},
		 .checks = "an address is handed out after its flush, and not flushed again",
		 .seed = nullptr,
		 .bound = 2},
		{.scenario = {.name = "vmap_two_nodes",
			      .setup = setup,
			      .tasks = {{"mapper", map_and_hand_over},
					{"unmapper", unmap_what_is_handed_over}},
			      .check = check_handed_over,
			      .teardown = teardown},
		 .checks = "what one processor maps another may unmap",
		 .seed = nullptr,
		 .bound = 2},
		{.scenario = scenario("vmap_lookup", {{"mapper", map_tell_and_unmap},
						      {"purge", unmap_aliases},
						      {"looker", look_up}}),
		 .checks = "looking an address up takes no lock and finds its page or none",
		 .seed = nullptr,
		 .bound = 2},
		{.scenario = scenario("vmap_shrinker",
				      {{"mapper", vmalloc_and_vfree}, {"allocator", need_a_page}},
				      setup_one_left),
		 .checks = "the allocator gets back what is lazily held, and no address reaches it",
		 .seed = nullptr,
		 .bound = 2},
	};
	vmap.mutants = {
		{.name = "vmap_no_references",
		 .variant = "historical",
		 .origin = "XFS of 2007: buffers' pages are freed while their mapping waits for a "
			   "batch of 64",
		 .killer = "vmap_pagetable",
		 .bound = 1,
		 .reason = "Xen refuses to pin page"},
		{.name = "vmap_listed_late",
		 .variant = nullptr,
		 .origin = "an area is lazy before it is on a list: vm_unmap_aliases() does not "
			   "find it",
		 .killer = "vmap_aliases",
		 .bound = 2,
		 .reason = "after vm_unmap_aliases()"},
		{.name = "vmap_shootdown_trusts_claims",
		 .variant = nullptr,
		 .origin = "what another purge has claimed, and not yet flushed, is taken for gone",
		 .killer = "vmap_shootdown",
		 .bound = 1,
		 .reason = "a shot down page has a lazy alias"},
		{.name = "vmap_shootdown_looks_twice",
		 .variant = nullptr,
		 .origin = "our own, found by this scenario: a live area that becomes lazy between "
			   "two looks is taken for gone",
		 .killer = "vmap_shootdown",
		 .bound = 2,
		 .reason = "after its shootdown"},
		{.name = "vmap_published_unmapped",
		 .variant = nullptr,
		 .origin = "published before it is complete, as blocks were before 3e3de7947c75",
		 .killer = "vmap_kmap",
		 .bound = 2,
		 .reason = "not mapped"},
		{.name = "vmap_full_blocks_missed",
		 .variant = nullptr,
		 .origin = "blocks were looked for in the list of those with room, before "
			   "fc1e0d980037: a full one was not flushed",
		 .killer = "vmap_block",
		 .bound = 0,
		 .reason = "in a full block"},
		{.name = "vmap_block_lock_of_processor",
		 .variant = nullptr,
		 .origin = "the queue of the processor at hand was locked and not the block's, "
			   "before 8c61291fd850",
		 .killer = "vmap_two_nodes",
		 .bound = 2,
		 .reason = "data race"},
		{.name = "vmap_flushed_again",
		 .variant = nullptr,
		 .origin = "a range was flushed at every call, before a09fad96ffb1; here it takes "
			   "the next owner's mapping away",
		 .killer = "vmap_reuse",
		 .bound = 2,
		 .reason = "a live area was taken away"},
		{.name = "vmap_addresses_free_early",
		 .variant = nullptr,
		 .origin = "addresses are handed out again before a flush covers them",
		 .killer = "vmap_reuse",
		 .bound = 2,
		 .reason = "no vmalloc range starts"},
		{.name = "vmap_flushed_here_only",
		 .variant = nullptr,
		 .origin = "a flush of the calling processor's TLB alone, which kmap_local's users "
			   "may do and nobody else",
		 .killer = "vmap_aliases",
		 .bound = 0,
		 .reason = "after vm_unmap_aliases()"},
	};
	return vmap;
}
