// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pinned page tables against their history.
 *
 *	parent	| page |	pinned; its page has the value 1, a copy in swap, and a PTE that is
 *				writable and clean
 *	child	| page |	a copy: the fork, or its exit, is what is explored
 *
 *	forker		pins the child's tables, or unpins them
 *	reclaim		clears the accessed bits of the page, as reclaim does, in all PTEs it finds
 *	program		stores 2 in the parent: the processor sets the dirty bit
 *
 * The oracles: an oops is a violation; and when all is done, everything is reclaimed and looked at
 * once more: the parent must say 2, the child 1 or 2. A dirty bit that was lost is a page that was
 * dropped with its copy in swap unwritten.
 */
#include "catalogue.h"

#include <asm/xen/hypercall.h>
#include <kshim/direct_map.h>
#include <kshim/machine.h>
#include <kshim/user.h>
#include <kshim/xen_mmu.h>
#include <linux/err.h>
#include <linux/mman.h>
#include <linux/pgtable.h>

using namespace races;

namespace
{

/* A frame that one makes a page table of, while the other had it writable a moment ago. */
struct type_world {
	struct pv_machine *machine;
	struct page *table;
	bool pinned; /* the pinner's */
};

type_world *type_world_of(void *p)
{
	return static_cast<type_world *>(p);
}

int set_right(struct page *page, bool writable)
{
	return HYPERVISOR_update_va_mapping(
		(unsigned long)page_address(page),
		pfn_pte(page_to_pfn(page), _PAGE_PRESENT | (writable ? _PAGE_RW : 0)), UVMF_NONE);
}

int pin_op(unsigned int cmd, struct page *page)
{
	struct mmuext_op op = {};

	op.cmd = cmd;
	op.arg1.mfn = page_to_pfn(page);
	return HYPERVISOR_mmuext_op(&op, 1, nullptr, kshim_cpu());
}

void *type_setup()
{
	static const machine_initcall *const calls[] = {&mmu_initcall, &xen_mmu_initcall,
							&mm_initcall, nullptr};
	auto *w = explore_new<type_world>();
	pv_machine_config config;

	config.memory_bytes = 8 * PAGE_SIZE;
	config.nr_cpus = 2;
	w->machine = pv_machine_create(&config, calls);
	explore_expect(!IS_ERR(w->machine), "no machine");
	machine_scope bound(w->machine);

	w->table = alloc_page(GFP_KERNEL | __GFP_ZERO);
	explore_expect(w->table && !set_right(w->table, false), "no page");
	return w;
}

/* Fails with -EINVAL as long as the other can store to it. */
void become_a_table(void *p)
{
	type_world *w = type_world_of(p);
	machine_scope bound(w->machine);

	w->pinned = pin_op(MMUEXT_PIN_L1_TABLE, w->table) == 0;
}

void be_writable_for_a_moment(void *p)
{
	type_world *w = type_world_of(p);
	machine_scope bound(w->machine);
	u64 *entry = static_cast<u64 *>(page_address(w->table));

	if (!set_right(w->table, true)) {
		native_pte_set(entry, 0);
		explore_expect(!set_right(w->table, false), "a right cannot be given back");
	}
	/* From now on a store is refused, and emulated: nothing gets past the hypervisor. */
	if (xen_frame(w->table).type == XEN_PGT_l1)
		native_pte_set(entry, 0);
}

void type_check(void *p)
{
	type_world *w = type_world_of(p);
	machine_scope bound(w->machine);
	struct xen_frame frame = xen_frame(w->table);

	explore_expect(xen_mmu_check(), "the counts are wrong");
	explore_expect(frame.pinned == w->pinned && frame.count == w->pinned,
		       "%u references, pinned: %d", frame.count, w->pinned);
}

void type_teardown(void *p)
{
	type_world *w = type_world_of(p);

	{
		machine_scope bound(w->machine);

		explore_expect(!w->pinned || !pin_op(MMUEXT_UNPIN_TABLE, w->table), "unpin failed");
		explore_expect(!set_right(w->table, true), "it stays read-only");
		put_page(w->table);
	}
	explore_machine_destroy(w->machine);
}

struct pin_world {
	struct pv_machine *machine;
	struct mm_struct *parent, *child;
	unsigned long va, view, child_view; /* of the page; where programs have it */
	struct page *page;
};

template <void (*body)(pin_world *)>
void in_world(void *p)
{
	auto *w = static_cast<pin_world *>(p);
	machine_scope bound(w->machine);

	body(w);
}

/* The one page that a place in swap belongs to. */
struct page *find_page()
{
	unsigned long nr;
	struct page *pages = mmu_page_array(&nr);

	for (unsigned long i = 0; i < nr; i++) {
		if (pages[i].flags & PG_swapcache)
			return pages + i;
	}
	return nullptr;
}

/* @params: the policy's, or null for the default. */
pin_world *make_world(const char *params)
{
	static const machine_initcall *const calls[] = {&mmu_initcall, &xen_mmu_initcall,
							&mm_initcall, nullptr};
	auto *w = explore_new<pin_world>();
	pv_machine_config config;

	config.memory_bytes = 24 * PAGE_SIZE;
	config.nr_cpus = 2;
	config.params = params;
	w->machine = pv_machine_create(&config, calls);
	explore_expect(!IS_ERR(w->machine), "no machine");
	machine_scope bound(w->machine);

	w->parent = mm_alloc();
	explore_expect(!mm_alloc_tables(w->parent), "no tables");
	w->va = vm_mmap(w->parent, nullptr, PAGE_SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, 0);
	w->view = mm_view(w->parent, w->va);
	explore_expect(!mm_activate(w->parent), "the parent cannot be pinned");
	kshim_user_store32(w->view, 1);
	explore_expect(reclaim_pages(1) == 1, "the page cannot be reclaimed");
	explore_expect(kshim_user_load32(w->view) == 1, "reclaim lost the page");
	w->page = find_page();
	explore_expect(w->page, "the page has no copy in swap");
	return w;
}

void do_fork(pin_world *w)
{
	w->child = dup_mm(w->parent);
	explore_expect(!IS_ERR(w->child), "fork failed: %ld", PTR_ERR(w->child));
}

void do_exit(pin_world *w)
{
	mmput(w->child);
	w->child = nullptr;
}

void clear_young(pin_world *w)
{
	lock_page(w->page);
	(void)page_referenced(w->page);
	unlock_page(w->page);
}

/* Accessed bits are cleared first, and then it goes, unless it was used in between. */
void evict(pin_world *)
{
	(void)reclaim_pages(1);
}

void store_in_child(pin_world *w)
{
	kshim_user_store32(w->child_view, 3);
}

void store(pin_world *w)
{
	kshim_user_store32(w->view, 2);
}

/* A processor that ran the child goes over to the parent, and the hypervisor is told later. */
void leave_lazily(pin_world *w)
{
	switch_mm(1, w->parent, true);
	mmput(w->child);
}

void last_user_exits(pin_world *w)
{
	mmput(w->child);
}

void expect_value(struct mm_struct *mm, unsigned long va, const char *whose, u32 a, u32 b)
{
	u32 value = kshim_user_load32(mm_view(mm, va));

	explore_expect(value == a || value == b, "%s page holds %u: a dirty bit was lost", whose,
		       value);
}

void check_values(pin_world *w, u32 a, u32 b)
{
	explore_expect(xen_mmu_check(), "the counts of types are wrong");
	(void)reclaim_pages(4);
	expect_value(w->parent, w->va, "the parent's", a, b);
	if (w->child)
		expect_value(w->child, w->va, "the child's", 1, 2);
}

void check_stored(pin_world *w)
{
	check_values(w, 2, 2);
}

void check_unchanged(pin_world *w)
{
	check_values(w, 1, 1);
}

void check_copied(pin_world *w)
{
	explore_expect(xen_mmu_check(), "the counts of types are wrong");
	(void)reclaim_pages(4);
	expect_value(w->parent, w->va, "the parent's", 2, 2);
	expect_value(w->child, w->va, "the child's", 3, 3);
}

void check_cr3(pin_world *w)
{
	leave_mm(1);
	w->child = nullptr;
	check_values(w, 1, 1);
}

void pin_teardown(void *p)
{
	auto *w = static_cast<pin_world *>(p);

	{
		machine_scope bound(w->machine);

		mmput(w->child);
		mmput(w->parent);
	}
	explore_machine_destroy(w->machine);
}

constexpr char PTE_LOCK[] = "pin.policy=pte-lock";
constexpr char ATOMIC[] = "pin.policy=atomic";
constexpr char LATE_VISIBLE[] = "pin.policy=late-visible";

template <const char *params>
void *before_fork()
{
	return make_world(params);
}

template <const char *params>
void *before_exit()
{
	pin_world *w = make_world(params);
	machine_scope bound(w->machine);

	do_fork(w);
	/* It has an accessed bit to be cleared. */
	w->child_view = mm_view(w->child, w->va);
	(void)kshim_user_load32(w->child_view);
	return w;
}

void *before_default_fork()
{
	return make_world(nullptr);
}

void *before_default_exit()
{
	pin_world *w = make_world(nullptr);
	machine_scope bound(w->machine);

	do_fork(w);
	w->child_view = mm_view(w->child, w->va);
	(void)kshim_user_load32(w->child_view);
	return w;
}

void *before_lazy_exit()
{
	pin_world *w = make_world(nullptr);
	machine_scope bound(w->machine);

	do_fork(w);
	mmget(w->child);
	switch_mm(1, w->child, false);
	return w;
}

constexpr char SEED[] = "001 pinning races with ptep_clear_flush_young()";

race_scenario fork_scenario(const char *name, void *(*setup)(), const char *checks)
{
	return {.scenario = {.name = name,
			     .setup = setup,
			     .tasks = {{"forker", in_world<do_fork>},
				       {"reclaim", in_world<clear_young>},
				       {"program", in_world<store>}},
			     .check = in_world<check_stored>,
			     .teardown = pin_teardown},
		.checks = checks,
		.seed = SEED,
		.bound = 2};
}

race_scenario exit_scenario(const char *name, void *(*setup)(), const char *checks)
{
	return {.scenario = {.name = name,
			     .setup = setup,
			     .tasks = {{"exiter", in_world<do_exit>},
				       {"reclaim", in_world<clear_young>}},
			     .check = in_world<check_unchanged>,
			     .teardown = pin_teardown},
		.checks = checks,
		.seed = SEED,
		.bound = 2};
}

} // namespace

races::race_subsystem races::pin_subsystem()
{
	race_subsystem pin = {.name = "pin", .scenarios = {}, .mutants = {}};

	pin.scenarios = {
		{.scenario = {.name = "pin_type_change",
			      .setup = type_setup,
			      .tasks = {{"pinner", become_a_table},
					{"writer", be_writable_for_a_moment}},
			      .check = type_check,
			      .teardown = type_teardown},
		 .checks = "no TLB lets a store through to a frame that has become a page table",
		 .seed = nullptr,
		 .bound = 2},
		fork_scenario("pin", before_default_fork,
			      "fork pins beside reclaim and a store, as shipped (hypercall): no "
			      "oops, no dirty bit lost"),
		exit_scenario("pin_exit", before_default_exit,
			      "exit unpins beside reclaim, as shipped (hypercall)"),
		fork_scenario("pin_pte_lock", before_fork<PTE_LOCK>,
			      "the same fork with each table's PTE lock held"),
		exit_scenario("pin_pte_lock_exit", before_exit<PTE_LOCK>,
			      "the same exit with each table's PTE lock held"),
		fork_scenario("pin_atomic", before_fork<ATOMIC>,
			      "the same fork with one hypercall that protects and pins"),
		exit_scenario("pin_atomic_exit", before_exit<ATOMIC>,
			      "the same exit with one hypercall that unpins and unprotects"),
		fork_scenario("pin_late_visible", before_fork<LATE_VISIBLE>,
			      "the same fork of an mm that nobody sees yet"),
		exit_scenario("pin_late_visible_exit", before_exit<LATE_VISIBLE>,
			      "the same exit of an mm that nobody sees any more"),
		{.scenario = {.name = "pin_evict",
			      .setup = before_default_fork,
			      .tasks = {{"forker", in_world<do_fork>},
					{"reclaim", in_world<evict>},
					{"program", in_world<store>}},
			      .check = in_world<check_stored>,
			      .teardown = pin_teardown},
		 .checks = "the page is evicted and comes back while it is copied and stored to",
		 .seed = SEED,
		 .bound = 1},
		{.scenario = {.name = "pin_evict_atomic",
			      .setup = before_fork<ATOMIC>,
			      .tasks = {{"forker", in_world<do_fork>},
					{"reclaim", in_world<evict>},
					{"program", in_world<store>}},
			      .check = in_world<check_stored>,
			      .teardown = pin_teardown},
		 .checks = "the same where the PTEs' stores are emulated",
		 .seed = SEED,
		 .bound = 1},
		{.scenario = {.name = "pin_copy",
			      .setup = before_default_exit,
			      .tasks = {{"program", in_world<store>},
					{"child", in_world<store_in_child>},
					{"reclaim", in_world<evict>}},
			      .check = in_world<check_copied>,
			      .teardown = pin_teardown},
		 .checks = "parent and child store to the page they share while it is evicted",
		 .seed = nullptr,
		 .bound = 1},
		{.scenario = {.name = "pin_dirty",
			      .setup = before_default_fork,
			      .tasks = {{"reclaim", in_world<clear_young>},
					{"program", in_world<store>}},
			      .check = in_world<check_stored>,
			      .teardown = pin_teardown},
		 .checks = "an accessed bit is cleared while the processor sets the dirty bit",
		 .seed = SEED,
		 .bound = 2},
		{.scenario = {.name = "pin_cr3",
			      .setup = before_lazy_exit,
			      .tasks = {{"processor 1", in_world<leave_lazily>},
					{"exiter", in_world<last_user_exits>}},
			      .check = in_world<check_cr3>,
			      .teardown = pin_teardown},
		 .checks = "tables are unpinned that a lazy processor still has in its cr3",
		 .seed = nullptr,
		 .bound = 2},
	};
	pin.mutants = {
		{.name = "pin_historical",
		 .variant = "historical",
		 .origin = "Linux for Xen until 2.6.23: tables are made read-only, then pinned; "
			   "reclaim clears an accessed bit in between",
		 .killer = "pin",
		 .bound = 2,
		 .reason = "oops: a native store"},
		{.name = "pin_unlock_before_flush",
		 .variant = nullptr,
		 .origin = "PTE locks are released when their tables' pins are queued, not when "
			   "they are done",
		 .killer = "pin_pte_lock",
		 .bound = 2,
		 .reason = "oops: a native store"},
		{.name = "pin_generic_clear_young",
		 .variant = nullptr,
		 .origin = "asm-generic's test_and_clear_young, which the seed proposes first: "
			   "read, then write back without the bit",
		 .killer = "pin_dirty",
		 .bound = 1,
		 .reason = "a dirty bit was lost"},
		{.name = "pin_unpin_before_rmap",
		 .variant = nullptr,
		 .origin = "exit unpins while its areas are in rmap: the seed's converse case",
		 .killer = "pin_late_visible_exit",
		 .bound = 2,
		 .reason = "oops: a native store"},
		{.name = "pin_stale_cr3",
		 .variant = nullptr,
		 .origin = "before Linux's 9f79991d4186: exit asks what processors are to run, "
			   "and one in lazy mode still has the old tables",
		 .killer = "pin_cr3",
		 .bound = 1,
		 .reason = "cannot be unpinned"},
		{.name = "mmu_type_flush_before_count",
		 .variant = nullptr,
		 .origin = "XSA-401: TLBs are flushed, then the type's reference is taken; a "
			   "writable mapping may come and go in between",
		 .killer = "pin_type_change",
		 .bound = 2,
		 .reason = "a TLB lets a store through"},
		{.name = "mmu_type_flush_by_new_type",
		 .variant = nullptr,
		 .origin = "XSA-408: the first fix of XSA-401 looked at the new type to decide "
			   "whether TLBs are flushed",
		 .killer = "pin_type_change",
		 .bound = 1,
		 .reason = "a TLB lets a store through"},
	};
	return pin;
}
