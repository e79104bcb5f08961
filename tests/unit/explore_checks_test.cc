// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Checks beside the scenario's own: loops that wait for nothing, objects that RCU freed, pages that
 * are freed under a mapping, who holds what somebody waits for.
 */
#include "explore_rcu.h"
#include "explore_test.h"

#include <kshim/machine.h>
#include <kshim/mmu.h>
#include <kshim/user.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

using namespace explore_test;

namespace
{

/* Spinning. */

struct spin_world {
	u32 ready, other;
	spinlock_t lock;
};

spin_world *spins(void *p)
{
	return static_cast<spin_world *>(p);
}

explore_scenario spinning(void (*a)(void *), void (*b)(void *))
{
	return {.name = "spin",
		.setup = []() -> void * { return explore_new<spin_world>(); },
		.tasks = {{"spinner", a}, {"other", b}}};
}

void spin_until_ready(void *p)
{
	while (!READ_ONCE(spins(p)->ready))
		cpu_relax();
}

void spin_until_other(void *p)
{
	while (!READ_ONCE(spins(p)->other))
		cpu_relax();
	WRITE_ONCE(spins(p)->ready, 1u);
}

void set_ready(void *p)
{
	WRITE_ONCE(spins(p)->ready, 1u);
}

void set_other(void *p)
{
	WRITE_ONCE(spins(p)->other, 1u);
}

TEST(explore_checks, hopeless_spin_names_thread_and_word)
{
	const explore_scenario s = spinning(spin_until_ready, set_other);
	explore_result r = explore_run(s, bound(0));

	expect_violated(r, "endless spin: spinner waits for block 0+0 to change, in ");
	EXPECT_NE(r.reason.find("spin_until_ready"), std::string::npos) << r.reason;
	expect_replays(s, r);
	/* Two that wait for each other. */
	expect_violated(explore_run(spinning(spin_until_ready, spin_until_other), bound(0)),
			"endless spin");
}

static void lock_and_go(void *p) __no_thread_safety_analysis
{
	spin_lock(&spins(p)->lock);
}

TEST(explore_checks, spin_for_a_lock_whose_holder_is_gone_is_hopeless)
{
	expect_violated(explore_run(spinning(
					    [](void *p) {
						    while (!spin_trylock(&spins(p)->lock))
							    cpu_relax();
						    spin_unlock(&spins(p)->lock);
					    },
					    lock_and_go),
				    bound(1)),
			"endless spin: spinner waits for block 0+8");
}

TEST(explore_checks, spins_that_end_are_not_accused)
{
	expect_holds(explore_run(spinning(spin_until_ready, set_ready), bound(-1)));
	/* A loop that gives up by itself, and one that waits for the clock. */
	expect_holds(explore_run(spinning(
					 [](void *p) {
						 for (int i = 0; i < 500; i++) {
							 if (READ_ONCE(spins(p)->ready))
								 break;
							 cpu_relax();
						 }
					 },
					 [](void *) {}),
				 bound(1)));
	expect_holds(explore_run(spinning(
					 [](void *) {
						 u64 end = kshim_now_ns() + 1000;

						 while (kshim_now_ns() < end)
							 cpu_relax();
					 },
					 [](void *) {
						 u32 word = 0;

						 (void)kshim_wait(&word, 0, kshim_now_ns() + 5000,
								  "time");
					 }),
				 bound(0)));
}

/* Who holds it. */

struct rwsem_world {
	struct rw_semaphore a, b;
};

TEST(explore_checks, deadlock_names_the_writer_of_an_rwsem)
{
	explore_scenario s = {.name = "rwsems",
			      .setup = []() -> void * { return explore_new<rwsem_world>(); },
			      .tasks = {{"left",
					 [](void *p) {
						 auto *w = static_cast<rwsem_world *>(p);
						 guard(rwsem_write)(&w->a);
						 guard(rwsem_read)(&w->b);
					 }},
					{"right", [](void *p) {
						 auto *w = static_cast<rwsem_world *>(p);
						 guard(rwsem_write)(&w->b);
						 guard(rwsem_write)(&w->a);
					 }}}};
	explore_result r = explore_run(s, bound(1));

	expect_violated(r, "left waits for rwsem, to read");
	EXPECT_NE(r.reason.find("held by right"), std::string::npos) << r.reason;
	EXPECT_NE(r.reason.find("held by left"), std::string::npos) << r.reason;
}

/* RCU: kfree_rcu()'s and call_rcu()'s objects are gone after the grace period, and not before. */

struct rcu_object {
	u32 value;
	struct rcu_head rcu;
};

using rcu_world = rcu_world_of<rcu_object>;

template <bool careless>
void rcu_reader(void *p)
{
	auto *w = static_cast<rcu_world *>(p);
	machine_scope bound(w->m);
	rcu_object *object = nullptr;

	scoped_guard (rcu) {
		object = rcu_dereference(w->object);
		if (object)
			(void)READ_ONCE(object->value);
	}
	if (careless && object)
		(void)READ_ONCE(object->value);
}

template <bool by_function>
void rcu_remover(void *p)
{
	auto *w = static_cast<rcu_world *>(p);
	machine_scope bound(w->m);
	rcu_object *old = w->object;

	rcu_assign_pointer(w->object, nullptr);
	if (by_function)
		call_rcu(&old->rcu,
			 [](struct rcu_head *head) { kfree(container_of(head, rcu_object, rcu)); });
	else
		kfree_rcu(old, rcu);
}

explore_scenario readers_and(void (*reader)(void *), void (*remover)(void *))
{
	return rcu_scenario<rcu_object>({"reader", reader}, {"remover", remover});
}

TEST(explore_checks, rcu_freed_objects_live_as_long_as_their_readers)
{
	expect_holds(explore_run(readers_and(rcu_reader<false>, rcu_remover<false>), bound(2)));
	expect_holds(explore_run(readers_and(rcu_reader<false>, rcu_remover<true>), bound(2)));
	expect_violated(explore_run(readers_and(rcu_reader<true>, rcu_remover<false>), bound(1)),
			"use after free: reader uses");
	expect_violated(explore_run(readers_and(rcu_reader<true>, rcu_remover<true>), bound(1)),
			"use after free: reader uses");
}

/* Pages. */

struct page_world {
	struct pv_machine *m;
	struct mmu_area *area;
	struct page *page;
};

void *page_setup()
{
	static const machine_initcall *const calls[] = {&mmu_initcall, &mm_initcall, nullptr};
	static const mmu_area_ops ops = {
		.fault = [](struct mmu_area *area, unsigned long addr, bool) {
			auto *w = static_cast<page_world *>(mmu_area_owner(area));

			return mmu_map(area, addr, w->page, MMU_RW);
		}};
	auto *w = explore_new<page_world>();
	struct pv_machine_config config;

	config.memory_bytes = 16 * PAGE_SIZE;
	w->m = pv_machine_create(&config, calls);
	explore_expect(!IS_ERR(w->m), "no machine");
	machine_scope bound(w->m);

	w->page = alloc_page(GFP_KERNEL);
	w->area = mmu_area_create(PAGE_SIZE, MMU_DELIVER_INLINE, &ops, w);
	explore_expect(w->page && !IS_ERR(w->area), "no page, no area");
	return w;
}

template <bool zap>
explore_scenario freeing()
{
	return {.name = "pages",
		.setup = page_setup,
		.tasks = {{"A",
			   [](void *p) {
				   auto *w = static_cast<page_world *>(p);
				   machine_scope bound(w->m);

				   kshim_user_store32(mmu_area_start(w->area), 1);
				   if (zap)
					   mmu_zap(w->area, mmu_area_start(w->area), 1);
				   put_page(w->page);
			   }}},
		.teardown = [](void *p) {
			auto *w = static_cast<page_world *>(p);

			{
				machine_scope bound(w->m);

				mmu_area_destroy(w->area);
			}
			explore_machine_destroy(w->m);
		}};
}

TEST(explore_checks, page_that_is_freed_under_a_mapping_is_found)
{
	expect_holds(explore_run(freeing<true>(), bound(1)));
	expect_violated(explore_run(freeing<false>(), bound(0)), "is freed while it is mapped at");

	explore_options options = bound(0);

	options.mutants = {"mmu_no_flush"};
	expect_violated(explore_run(freeing<true>(), options), "is freed while a TLB still has it");
}

} // namespace
