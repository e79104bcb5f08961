// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The soft MMU of explored worlds: what the race scenarios stand on.
 *
 * Killed here: mmu_no_flush, mmu_early_flush, mmu_pte_not_atomic.
 */
#include "mmu_explored.h"

#include <gtest/gtest.h>

namespace
{

using namespace mmu_explored;

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
	explore_result r = explore_run(gate_scenario(GetParam()), {.bound = 3});

	EXPECT_EQ(r.verdict, explore_verdict::held) << r.reason << "\n" << r.trace;
	EXPECT_TRUE(r.exhausted);
	EXPECT_GT(r.schedules, 10u);
}

TEST_P(mmu_soft, MissingFlushIsSeen)
{
	explore_result r =
		explore_run(gate_scenario(GetParam()), {.bound = 3, .mutants = {"mmu_no_flush"}});

	EXPECT_EQ(r.verdict, explore_verdict::violated) << r.summary;
	EXPECT_NE(r.reason.find("passed after the right was taken away"), std::string::npos)
		<< r.reason;
}

TEST_P(mmu_soft, EarlyFlushIsSeen)
{
	explore_result r = explore_run(gate_scenario(GetParam()),
				       {.bound = 3, .mutants = {"mmu_early_flush"}});

	EXPECT_EQ(r.verdict, explore_verdict::violated) << r.summary;
}

TEST(mmu_soft_area, DestroyWaitsForFaultsInFlight)
{
	explore_result r = explore_run(destroy_scenario(), {.bound = 3});

	EXPECT_EQ(r.verdict, explore_verdict::held) << r.reason << "\n" << r.trace;
	EXPECT_TRUE(r.exhausted);
	EXPECT_GT(r.schedules, 10u);
}

TEST(mmu_soft_area, BitsAndFaultsAreThoseOfAProcessor)
{
	explore_result r = explore_run(bits_scenario());

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
	explore_scenario s = gate_scenario(other);

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

/* Not a program's: the kernel side's own, on the host's MMU. */
TEST(mmu_soft_wild, a_wild_access_is_a_violation_and_kshim_try_survives_it)
{
	explore_scenario wild = bits_scenario();
	auto touch = [](void *) { (void)*(volatile char *)64; };

	wild.tasks = {{"wild", touch}};
	explore_result r = explore_run(wild, {.bound = 0});

	EXPECT_EQ(r.verdict, explore_verdict::violated) << r.summary;
	EXPECT_NE(r.reason.find("reads unmapped memory at"), std::string::npos) << r.reason;
	EXPECT_NE(r.reason.find("(in wild)"), std::string::npos) << r.reason;
	wild.tasks = {{"careful", [](void *) {
			       explore_expect(!kshim_try([](void *) { (void)*(volatile char *)64; },
							 nullptr),
					      "nothing is there");
		       }}};
	r = explore_run(wild, {.bound = 0});
	EXPECT_EQ(r.verdict, explore_verdict::held) << r.summary;
}

} // namespace
