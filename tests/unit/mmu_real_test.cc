// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Explored worlds on the real MMU: the same worlds as the soft MMU's, with the same schedules.
 *
 *      soft    every schedule within the bound   -->  verdicts, schedules, steps
 *      real    every schedule within the bound   -->  the same; each access compared on the way
 *
 * Killed here: real_keeps_right, real_maps_next_frame (what makes the two disagree must be seen).
 */
#include "forbid_userfaultfd.h"
#include "mmu_explored.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

namespace
{

using namespace mmu_explored;

std::string mmu_name(explore_mmu mmu)
{
	return mmu == explore_mmu::uffd ? "uffd" : "mprotect";
}

class mmu_real : public testing::TestWithParam<explore_mmu>
{
protected:
	void SetUp() override
	{
		explore_result r = explore_run(bits_scenario(), {.bound = 0, .mmu = GetParam()});

		if (r.verdict == explore_verdict::misused)
			GTEST_SKIP() << r.reason;
	}

	/* Every schedule on both: nothing tells them apart. */
	static void expect_agreement(const explore_scenario &s, explore_options options)
	{
		options.reduce = false; /* the real MMU has none */
		explore_result soft = explore_run(s, options);
		options.mmu = GetParam();
		explore_result real = explore_run(s, options);

		EXPECT_EQ(real.verdict, soft.verdict) << real.summary << "\n" << real.trace;
		EXPECT_EQ(real.reason, soft.reason);
		EXPECT_EQ(real.token, soft.token);
		EXPECT_EQ(real.exhausted, soft.exhausted);
		EXPECT_EQ(real.schedules, soft.schedules);
		EXPECT_EQ(real.steps, soft.steps);
		EXPECT_EQ(real.unfit, 0u) << real.summary;
		EXPECT_GT(real.real_faults, 0u);
		EXPECT_GT(real.real_accesses, real.real_faults);
		EXPECT_EQ(soft.real_accesses, 0u);
		std::printf("%s: %s\n", s.name.c_str(), real.summary.c_str());
	}
};

INSTANTIATE_TEST_SUITE_P(, mmu_real, testing::Values(explore_mmu::uffd, explore_mmu::mprotect),
			 [](const testing::TestParamInfo<explore_mmu> &info) {
				 return mmu_name(info.param);
			 });

TEST_P(mmu_real, every_schedule_of_a_protecting_harvester_is_as_on_the_soft_mmu)
{
	expect_agreement(gate_scenario(look_behind_the_gate<protect>), {.bound = 2});
}

TEST_P(mmu_real, every_schedule_of_a_zapping_harvester_is_as_on_the_soft_mmu)
{
	expect_agreement(gate_scenario(look_behind_the_gate<zap>), {.bound = 2});
}

TEST_P(mmu_real, every_schedule_of_an_area_that_goes_away_is_as_on_the_soft_mmu)
{
	expect_agreement(destroy_scenario(), {.bound = 2});
}

TEST_P(mmu_real, bits_and_faults_are_as_on_the_soft_mmu)
{
	expect_agreement(bits_scenario(), {.bound = 0});
}

/* The harvester looks before it takes the right away: a bug that needs no TLB. */
void look_before_protecting(world *w)
{
	u32 seen = *frame(w, 0);

	(void)mmu_pte(w->area, mmu_area_start(w->area));
	explore_expect(*frame(w, 0) == seen, "a store of %u passed after the look", *frame(w, 0));
	protect(w);
}

TEST_P(mmu_real, a_bug_is_found_in_the_same_schedule)
{
	expect_agreement(gate_scenario(look_behind_the_gate<look_before_protecting>), {.bound = 2});
}

TEST_P(mmu_real, random_schedules_are_as_on_the_soft_mmu)
{
	expect_agreement(gate_scenario(look_behind_the_gate<zap>),
			 {.scheduler = explore_scheduler::random, .seed = 7, .max_schedules = 300});
}

/* What only a stale TLB entry lets through does not get a false verdict. */
TEST_P(mmu_real, schedule_that_needs_a_stale_tlb_entry_is_refused)
{
	for (const char *mutant : {"mmu_no_flush", "mmu_early_flush"}) {
		explore_scenario s = gate_scenario(look_behind_the_gate<protect>);
		explore_result soft = explore_run(s, {.bound = 3, .mutants = {mutant}});

		ASSERT_EQ(soft.verdict, explore_verdict::violated) << mutant;
		explore_result real = explore_run(s, {.scheduler = explore_scheduler::replay,
						      .mmu = GetParam(),
						      .token = soft.token});

		EXPECT_EQ(real.verdict, explore_verdict::misused) << real.summary;
		EXPECT_NE(real.reason.find("needs a stale TLB entry (for a store at "),
			  std::string::npos)
			<< real.reason;
		EXPECT_EQ(real.unfit, 1u);
	}
}

/* A search leaves such schedules out, and says how many. */
TEST_P(mmu_real, search_counts_the_schedules_that_need_a_stale_tlb_entry)
{
	explore_result r =
		explore_run(gate_scenario(look_behind_the_gate<protect>),
			    {.bound = 1, .mmu = GetParam(), .mutants = {"mmu_no_flush"}});

	EXPECT_EQ(r.verdict, explore_verdict::held) << r.summary;
	EXPECT_GT(r.unfit, 0u);
	EXPECT_LT(r.unfit, r.runs);
	EXPECT_NE(r.summary.find(std::to_string(r.unfit) + " schedules that it cannot do"),
		  std::string::npos)
		<< r.summary;
}

TEST_P(mmu_real, right_that_stays_too_long_is_a_disagreement)
{
	for (const explore_scenario &s : {gate_scenario(look_behind_the_gate<protect>),
					  gate_scenario(look_behind_the_gate<zap>)}) {
		explore_result r = explore_run(
			s, {.bound = 1, .mmu = GetParam(), .mutants = {"real_keeps_right"}});

		EXPECT_EQ(r.verdict, explore_verdict::violated) << r.summary;
		EXPECT_NE(r.reason.find("the soft MMU and the real one disagree: a store at "),
			  std::string::npos)
			<< r.reason;
		EXPECT_NE(r.reason.find("passes, and the soft one refuses it"), std::string::npos)
			<< r.reason;
	}
}

TEST_P(mmu_real, wrong_frame_is_a_disagreement)
{
	explore_result r =
		explore_run(gate_scenario(look_behind_the_gate<protect>),
			    {.bound = 0, .mmu = GetParam(), .mutants = {"real_maps_next_frame"}});

	EXPECT_EQ(r.verdict, explore_verdict::violated) << r.summary;
	EXPECT_NE(r.reason.find("disagree: a store at "), std::string::npos) << r.reason;
	EXPECT_NE(r.reason.find("goes to another frame"), std::string::npos) << r.reason;
}

/* No model in between: a pointer, as a program would use it, and a thread of the host's. */
struct thread_ids {
	world *w;
	long of[2];
};

void *setup_ids()
{
	auto *ids = explore_new<thread_ids>();

	ids->w = static_cast<world *>(setup());
	return ids;
}

template <int n>
void note_thread(void *p)
{
	auto *ids = static_cast<thread_ids *>(p);
	machine_scope bound(ids->w->machine);

	kshim_user_store32(ids->w->start + n * 4, n + 1);
	ids->of[n] = syscall(SYS_gettid);
}

void check_threads(void *p)
{
	auto *ids = static_cast<thread_ids *>(p);
	const auto *program = reinterpret_cast<const volatile u32 *>(ids->w->start);

	explore_expect(ids->of[0] != ids->of[1] && ids->of[0] != syscall(SYS_gettid),
		       "threads of the world share a thread of the host's");
	explore_expect(program[0] == 1 && program[1] == 2, "the addresses are no real ones");
}

TEST_P(mmu_real, threads_and_addresses_are_the_hosts)
{
	explore_scenario s = {
		.name = "mmu_threads",
		.setup = setup_ids,
		.tasks = {{"A", note_thread<0>}, {"B", note_thread<1>}},
		.check = check_threads,
		.teardown = [](void *p) { teardown(static_cast<thread_ids *>(p)->w); }};
	explore_result r = explore_run(s, {.bound = 1, .mmu = GetParam()});

	EXPECT_EQ(r.verdict, explore_verdict::held) << r.reason << "\n" << r.trace;
}

/* What a process has that a world could leave behind. */
struct left_behind {
	long threads = lines("/proc/self/task/");
	long mappings = lines("/proc/self/maps");
	long descriptors = lines("/proc/self/fd/");
	struct sigaction segv, bus;

	left_behind()
	{
		sigaction(SIGSEGV, nullptr, &segv);
		sigaction(SIGBUS, nullptr, &bus);
	}

	static long lines(const std::string &what)
	{
		if (what.back() == '/')
			return std::distance(std::filesystem::directory_iterator(what), {});
		std::ifstream file(what);

		return std::count(std::istreambuf_iterator<char>(file), {}, '\n');
	}
};

constexpr int WORLDS = 100;

TEST_P(mmu_real, worlds_that_are_given_up_leave_nothing_behind)
{
	explore_scenario s = gate_scenario(look_behind_the_gate<look_before_protecting>);
	explore_options options = {.bound = 2, .mmu = GetParam()};
	explore_result r = explore_run(s, options);

	ASSERT_EQ(r.verdict, explore_verdict::violated) << r.summary;
	left_behind before;

	options = {.scheduler = explore_scheduler::replay, .mmu = GetParam(), .token = r.token};
	for (int i = 0; i < WORLDS; i++)
		ASSERT_EQ(explore_run(s, options).reason, r.reason);
	left_behind after;

	EXPECT_EQ(after.threads, before.threads);
	EXPECT_EQ(after.descriptors, before.descriptors);
	/* Less than one of each: the allocator's own come and go. */
	EXPECT_LT(after.mappings, before.mappings + WORLDS / 2);
	EXPECT_EQ(after.segv.sa_sigaction, before.segv.sa_sigaction);
	EXPECT_EQ(after.bus.sa_sigaction, before.bus.sa_sigaction);
}

TEST_P(mmu_real, two_worlds_at_once)
{
	explore_result results[2];
	const explore_options options = {.bound = 1, .mmu = GetParam()};
	const auto explore = [&](explore_result *r) {
		*r = explore_run(gate_scenario(look_behind_the_gate<protect>), options);
	};
	std::thread other(explore, &results[0]);

	explore(&results[1]);
	other.join();
	EXPECT_EQ(results[0].verdict, explore_verdict::held) << results[0].reason;
	EXPECT_EQ(results[1].verdict, explore_verdict::held) << results[1].reason;
	EXPECT_EQ(results[0].steps, results[1].steps);
}

/* In a process of its own. 0: as it should be. */
int explore_without_userfaultfd()
{
	explore_scenario s = gate_scenario(look_behind_the_gate<protect>);
	explore_result r = explore_run(s, {.bound = 1, .mmu = explore_mmu::uffd});

	if (r.verdict != explore_verdict::misused)
		return 1;
	if (r.reason.find("the real MMU cannot be had by userfaultfd: userfaultfd cannot be "
			  "opened") != 0 ||
	    r.reason.find('\n') != std::string::npos)
		return 2;
	r = explore_run(s, {.bound = 1, .mmu = explore_mmu::mprotect});
	return r.verdict == explore_verdict::held && r.real_faults ? 0 : 3;
}

TEST(mmu_real_death, missing_userfaultfd_is_one_clear_line)
{
	expect_passes_without_userfaultfd(explore_without_userfaultfd);
}

} // namespace
