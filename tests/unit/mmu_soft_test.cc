// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The soft MMU of explored worlds: what the race scenarios stand on.
 *
 *      program    store 1, store 2, store 3 ...     faults wait at the gate (a mutex)
 *      harvester  gate shut: protect, look, let others run, look again, gate open
 *
 * Killed here: mmu_no_flush, mmu_early_flush, mmu_pte_not_atomic.
 */
#include <gtest/gtest.h>

#include <kshim/explore.h>
#include <kshim/machine.h>
#include <kshim/mmu.h>
#include <kshim/user.h>
#include <linux/mutex.h>
#include <linux/sched.h>

namespace
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

int map_frame(mmu_area *area, unsigned long addr, bool write)
{
	world *w = static_cast<world *>(mmu_area_owner(area));

	guard(mutex)(&w->gate);
	explore_expect(!w->gone, "a fault callback runs after its area was destroyed");
	(write ? w->write_faults : w->read_faults)++;
	return mmu_map(area, addr, w->pages + ((addr - mmu_area_start(area)) >> PAGE_SHIFT),
		       write ? MMU_RW : MMU_RO);
}

const mmu_area_ops ops = {.fault = map_frame};

void *setup()
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

void teardown(void *p)
{
	world *w = static_cast<world *>(p);

	if (!w->gone) {
		machine_scope bound(w->machine);

		mmu_area_destroy(w->area);
	}
	explore_machine_destroy(w->machine);
}

volatile u32 *frame(const world *w, unsigned long n)
{
	return static_cast<volatile u32 *>(page_address(w->pages + n));
}

void store_three_times(void *p)
{
	world *w = static_cast<world *>(p);
	machine_scope bound(w->machine);

	for (u32 n = 1; n <= 3; n++)
		kshim_user_store32(mmu_area_start(w->area), n);
}

template <void (*take_away)(world *)>
void look_behind_the_gate(void *p)
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

void protect(world *w)
{
	mmu_protect(w->area, mmu_area_start(w->area), 1, MMU_RO);
}

void zap(world *w)
{
	mmu_zap(w->area, mmu_area_start(w->area), 1);
}

void all_stores_arrived(void *p)
{
	explore_expect(*frame(static_cast<world *>(p), 0) == 3,
		       "the last store is not in the frame");
}

explore_scenario scenario(void (*harvester)(void *))
{
	return {.name = "mmu_gate",
		.setup = setup,
		.tasks = {{"program", store_three_times}, {"harvester", harvester}},
		.check = all_stores_arrived,
		.teardown = teardown};
}

class mmu_soft : public testing::TestWithParam<void (*)(void *)>
{
};

INSTANTIATE_TEST_SUITE_P(, mmu_soft,
			 testing::Values(look_behind_the_gate<protect>, look_behind_the_gate<zap>),
			 [](const testing::TestParamInfo<void (*)(void *)> &info) {
				 return info.index == 0 ? "protect" : "zap";
			 });

TEST_P(mmu_soft, NoStorePassesInAnySchedule)
{
	explore_result r = explore_run(scenario(GetParam()), {.bound = 3});

	EXPECT_EQ(r.verdict, explore_verdict::held) << r.reason << "\n" << r.trace;
	EXPECT_TRUE(r.exhausted);
	EXPECT_GT(r.schedules, 10u);
}

TEST_P(mmu_soft, MissingFlushIsSeen)
{
	explore_result r =
		explore_run(scenario(GetParam()), {.bound = 3, .mutants = {"mmu_no_flush"}});

	EXPECT_EQ(r.verdict, explore_verdict::violated) << r.summary;
	EXPECT_NE(r.reason.find("passed after the right was taken away"), std::string::npos)
		<< r.reason;
}

TEST_P(mmu_soft, EarlyFlushIsSeen)
{
	explore_result r =
		explore_run(scenario(GetParam()), {.bound = 3, .mutants = {"mmu_early_flush"}});

	EXPECT_EQ(r.verdict, explore_verdict::violated) << r.summary;
}

/* The program knows its addresses; the area itself may be gone. */
void store_until_it_fails(void *p)
{
	world *w = static_cast<world *>(p);
	machine_scope bound(w->machine);

	for (int i = 0; i < 3 && !w->program_saw_end; i++)
		w->program_saw_end = !kshim_try(
			[](void *a) { kshim_user_store32(static_cast<world *>(a)->start, 1); }, p);
}

void destroy_area(void *p)
{
	world *w = static_cast<world *>(p);
	machine_scope bound(w->machine);

	mmu_area_destroy(w->area);
	w->gone = true;
}

TEST(mmu_soft_area, DestroyWaitsForFaultsInFlight)
{
	explore_scenario s = {
		.name = "mmu_destroy",
		.setup = setup,
		.tasks = {{"program", store_until_it_fails}, {"destroyer", destroy_area}},
		.check = nullptr,
		.teardown = teardown};
	explore_result r = explore_run(s, {.bound = 3});

	EXPECT_EQ(r.verdict, explore_verdict::held) << r.reason << "\n" << r.trace;
	EXPECT_TRUE(r.exhausted);
	EXPECT_GT(r.schedules, 10u);
}

void walk_the_bits(void *p)
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

TEST(mmu_soft_area, BitsAndFaultsAreThoseOfAProcessor)
{
	explore_scenario s = {.name = "mmu_bits",
			      .setup = setup,
			      .tasks = {{"program", walk_the_bits}},
			      .check = nullptr,
			      .teardown = teardown};
	explore_result r = explore_run(s);

	EXPECT_EQ(r.verdict, explore_verdict::held) << r.reason << "\n" << r.trace;
}

/*
 * A frame at two kernel addresses, as both ends of a ring have it: the explorer knows that these
 * are one object, and looks at what happens between the steps of the two.
 */
struct shared_frame {
	pv_machine *machine;
	u32 *ends[2];
};

void *setup_shared()
{
	static const machine_initcall *const calls[] = {&mmu_initcall, nullptr};
	auto *w = explore_new<shared_frame>();
	pv_machine_config config;
	unsigned long nr;

	config.memory_bytes = 16 * PAGE_SIZE;
	w->machine = pv_machine_create(&config, calls);
	explore_expect(!IS_ERR(w->machine), "no machine");
	machine_scope bound(w->machine);

	/* Two frames that do not follow each other: the mapping has two runs. */
	struct page *all = mmu_page_array(&nr);
	struct page *frames[] = {all + 7, all + 3};

	w->ends[0] = static_cast<u32 *>(page_address(all + 3));
	w->ends[1] = static_cast<u32 *>(kernel_map_create(frames, 2, MMU_RW)) + PAGE_SIZE / 4;
	return w;
}

template <int end>
void count_at(void *p)
{
	u32 *counter = static_cast<shared_frame *>(p)->ends[end];
	u32 seen = READ_ONCE(*counter);

	WRITE_ONCE(*counter, seen + 1);
}

TEST(mmu_soft_area, frame_at_two_addresses_is_one_object_to_the_explorer)
{
	explore_scenario s = {.name = "alias", .setup = setup_shared};

	s.tasks = {{"direct map", count_at<0>}, {"kernel map", count_at<1>}};
	s.check = [](void *p) {
		explore_expect(*static_cast<shared_frame *>(p)->ends[0] == 2,
			       "an increment was lost");
	};
	s.teardown = [](void *p) {
		auto *w = static_cast<shared_frame *>(p);

		{
			machine_scope bound(w->machine);

			kernel_map_destroy(w->ends[1] - PAGE_SIZE / 4);
		}
		explore_machine_destroy(w->machine);
	};
	explore_result r = explore_run(s, {.bound = 1});

	EXPECT_EQ(r.verdict, explore_verdict::violated) << r.summary;
}

/* D: what the processor notes of a store, and who can lose it. */

void store_once(void *p)
{
	world *w = static_cast<world *>(p);
	machine_scope bound(w->machine);

	kshim_user_store32(mmu_area_start(w->area), 3);
}

/* Gives a right that is there already: the PTE stays what it is. */
void give_right_again(void *p)
{
	world *w = static_cast<world *>(p);
	machine_scope bound(w->machine);

	mmu_protect(w->area, mmu_area_start(w->area), 1, MMU_RW);
}

void check_dirty(void *p)
{
	world *w = static_cast<world *>(p);
	machine_scope bound(w->machine);

	explore_expect(mmu_pte(w->area, mmu_area_start(w->area)).dirty,
		       "a store left no trace in the PTE");
}

explore_scenario dirty_scenario(void (*other)(void *))
{
	explore_scenario s = scenario(other);

	s.tasks[0].run = store_once;
	s.check = check_dirty;
	return s;
}

TEST(mmu_soft_dirty, DirtyBitIsLostByWhoChangesThePteInTwoSteps)
{
	explore_result right = explore_run(dirty_scenario(give_right_again), {.bound = 2});
	explore_result wrong = explore_run(dirty_scenario(give_right_again),
					   {.bound = 2, .mutants = {"mmu_pte_not_atomic"}});

	EXPECT_EQ(right.verdict, explore_verdict::held) << right.reason << "\n" << right.trace;
	EXPECT_TRUE(right.exhausted);
	EXPECT_EQ(wrong.verdict, explore_verdict::violated) << wrong.summary;
	EXPECT_NE(wrong.reason.find("left no trace"), std::string::npos) << wrong.reason;
}

/* The processor sets D when its TLB has none: an entry that was not flushed keeps it from that. */
void clean_and_store_again(void *p)
{
	world *w = static_cast<world *>(p);
	machine_scope bound(w->machine);
	unsigned long addr = mmu_area_start(w->area);

	kshim_user_store32(addr, 1);
	mmu_protect(w->area, addr, 1, MMU_RO); /* and clears D */
	explore_expect(!mmu_pte(w->area, addr).dirty, "protected and still dirty");
	mmu_protect(w->area, addr, 1, MMU_RW);
	kshim_user_store32(addr, 3);
}

TEST(mmu_soft_dirty, StaleTlbEntryWithDDoesNotSetItAgain)
{
	explore_scenario s = dirty_scenario([](void *) {});

	s.tasks[0].run = clean_and_store_again;
	explore_result right = explore_run(s, {.bound = 1});
	explore_result wrong = explore_run(s, {.bound = 1, .mutants = {"mmu_no_flush"}});

	EXPECT_EQ(right.verdict, explore_verdict::held) << right.reason << "\n" << right.trace;
	EXPECT_EQ(wrong.verdict, explore_verdict::violated) << wrong.summary;
	EXPECT_NE(wrong.reason.find("left no trace"), std::string::npos) << wrong.reason;
}

} // namespace
