/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mmu_explored.h - explored worlds of an area and its program: what the tests of the soft MMU and
 * of the real one beside it run
 *
 *      program    store 1, store 2, store 3 ...     faults wait at the gate (a mutex)
 *      harvester  gate shut: protect, look, let others run, look again, gate open
 */
#ifndef TESTS_UNIT_MMU_EXPLORED_H
#define TESTS_UNIT_MMU_EXPLORED_H

#include <kshim/explore.h>
#include <kshim/machine.h>
#include <kshim/mmu.h>
#include <kshim/user.h>
#include <linux/mutex.h>
#include <linux/sched.h>

namespace mmu_explored
{

struct world {
	pv_machine *machine;
	mmu_area *area;
	unsigned long start;
	struct page *pages;
	struct mutex gate;
	int read_faults, write_faults;
	bool gone;
	bool program_saw_end;
};

inline int map_frame(mmu_area *area, unsigned long addr, bool write)
{
	world *w = static_cast<world *>(mmu_area_owner(area));

	guard(mutex)(&w->gate);
	explore_expect(!w->gone, "a fault callback runs after its area was destroyed");
	(write ? w->write_faults : w->read_faults)++;
	return mmu_map(area, addr, w->pages + ((addr - mmu_area_start(area)) >> PAGE_SHIFT),
		       write ? MMU_RW : MMU_RO);
}

inline const mmu_area_ops ops = {.fault = map_frame};

inline void *setup()
{
	static const machine_initcall *const calls[] = {&mmu_initcall, nullptr};
	world *w = explore_new<world>();
	pv_machine_config config;
	unsigned long nr;

	config.memory_bytes = 16 * PAGE_SIZE;
	w->machine = pv_machine_create(&config, calls);
	explore_expect(!IS_ERR(w->machine), "no machine");
	mutex_init(&w->gate);
	machine_scope bound(w->machine);

	w->pages = mmu_page_array(&nr);
	w->area = mmu_area_create(2 * PAGE_SIZE, MMU_DELIVER_INLINE, &ops, w);
	explore_expect(!IS_ERR(w->area), "no area");
	w->start = mmu_area_start(w->area);
	return w;
}

inline void teardown(void *p)
{
	world *w = static_cast<world *>(p);

	if (!w->gone) {
		machine_scope bound(w->machine);

		mmu_area_destroy(w->area);
	}
	explore_machine_destroy(w->machine);
}

inline volatile u32 *frame(const world *w, unsigned long n)
{
	return static_cast<volatile u32 *>(page_address(w->pages + n));
}

inline void store_three_times(void *p)
{
	world *w = static_cast<world *>(p);
	machine_scope bound(w->machine);

	for (u32 n = 1; n <= 3; n++)
		kshim_user_store32(mmu_area_start(w->area), n);
}

template <void (*take_away)(world *)>
inline void look_behind_the_gate(void *p)
{
	world *w = static_cast<world *>(p);
	machine_scope bound(w->machine);
	guard(mutex)(&w->gate);

	take_away(w);
	u32 seen = *frame(w, 0);

	cond_resched();
	(void)mmu_pte(w->area, mmu_area_start(w->area));
	explore_expect(*frame(w, 0) == seen, "a store of %u passed after the right was taken away",
		       *frame(w, 0));
}

inline void protect(world *w)
{
	mmu_protect(w->area, mmu_area_start(w->area), 1, MMU_RO);
}

inline void zap(world *w)
{
	mmu_zap(w->area, mmu_area_start(w->area), 1);
}

inline void all_stores_arrived(void *p)
{
	explore_expect(*frame(static_cast<world *>(p), 0) == 3,
		       "the last store is not in the frame");
}

inline explore_scenario gate_scenario(void (*harvester)(void *))
{
	return {.name = "mmu_gate",
		.setup = setup,
		.tasks = {{"program", store_three_times}, {"harvester", harvester}},
		.check = all_stores_arrived,
		.teardown = teardown};
}

/* The program knows its addresses; the area itself may be gone. */
inline void store_until_it_fails(void *p)
{
	world *w = static_cast<world *>(p);
	machine_scope bound(w->machine);

	for (int i = 0; i < 3 && !w->program_saw_end; i++)
		w->program_saw_end = !kshim_try(
			[](void *a) { kshim_user_store32(static_cast<world *>(a)->start, 1); }, p);
}

inline void destroy_area(void *p)
{
	world *w = static_cast<world *>(p);
	machine_scope bound(w->machine);

	mmu_area_destroy(w->area);
	w->gone = true;
}

/* An area goes away under its program. */
inline explore_scenario destroy_scenario()
{
	return {.name = "mmu_destroy",
		.setup = setup,
		.tasks = {{"program", store_until_it_fails}, {"destroyer", destroy_area}},
		.check = nullptr,
		.teardown = teardown};
}

inline void walk_the_bits(void *p)
{
	world *w = static_cast<world *>(p);
	machine_scope bound(w->machine);
	unsigned long at = mmu_area_start(w->area) + PAGE_SIZE + 8;
	struct mmu_pte pte = mmu_pte(w->area, at);

	explore_expect(!pte.present, "present before any access");
	*frame(w, 1) = 5;
	explore_expect(kshim_user_load32(at - 8) == 5, "a load does not see its frame");
	pte = mmu_pte(w->area, at);
	explore_expect(pte.present && pte.accessed && !pte.writable && !pte.dirty, "after a load");
	kshim_user_store8(at, 7);
	pte = mmu_pte(w->area, at);
	explore_expect(pte.writable && pte.dirty && pte.page == w->pages + 1, "after a store");
	explore_expect(kshim_user_load8(at) == 7 && *(volatile u8 *)(frame(w, 1) + 2) == 7,
		       "bytes");
	mmu_protect(w->area, at, 1, MMU_RO);
	pte = mmu_pte(w->area, at);
	explore_expect(pte.present && !pte.writable && !pte.dirty, "after protecting");
	explore_expect(mmu_map(w->area, at, w->pages + 9, MMU_RO) == 0, "another frame");
	explore_expect(kshim_user_load32(at - 8) == 0, "the old frame is still there");
	mmu_zap(w->area, at, 1);
	explore_expect(!mmu_pte(w->area, at).present, "after zapping");
	explore_expect(kshim_user_load32(at - 8) == 5, "the fault brings the frame back");
	explore_expect(w->read_faults == 2 && w->write_faults == 1,
		       "%d read faults, %d write faults", w->read_faults, w->write_faults);
	explore_expect(!kshim_try([](void *) { (void)kshim_user_load32(64); }, nullptr),
		       "an access to nothing succeeds");
}

/* One thread, and everything that its PTEs can go through. */
inline explore_scenario bits_scenario()
{
	return {.name = "mmu_bits",
		.setup = setup,
		.tasks = {{"program", walk_the_bits}},
		.check = nullptr,
		.teardown = teardown};
}

} // namespace mmu_explored

#endif
