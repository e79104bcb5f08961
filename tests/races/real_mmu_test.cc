// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the lab found with the soft MMU happens on the real one.
 *
 *	search, soft MMU -> token -> replay, real MMU, a hundred times: the same verdict and reason
 *	                        \-> without its mutant: the shipped code holds in that schedule
 *
 * Real threads, real memory at real addresses, real SIGBUS (userfaultfd) or SIGSEGV (mprotect): the
 * historical driver loses a pixel that a program really stored.
 */
#include "catalogue.h"

#include <cstdio>
#include <gtest/gtest.h>

using namespace races;

namespace
{

constexpr int HISTORICAL_REPLAYS = 100, REPLAYS = 5;

const explore_scenario &scenario_of(const race_subsystem &subsystem, const std::string &name)
{
	for (const race_scenario &s : subsystem.scenarios) {
		if (s.scenario.name == name)
			return s.scenario;
	}
	ADD_FAILURE() << "no scenario is called " << name;
	return subsystem.scenarios[0].scenario;
}

explore_result replay(const explore_scenario &s, const std::string &token, explore_mmu mmu)
{
	return explore_run(s, {.scheduler = explore_scheduler::replay, .mmu = mmu, .token = token});
}

/* The same decisions without the mutant: "x1:SCENARIO::DECISIONS". */
std::string without_mutant(const std::string &token, const char *mutant)
{
	std::string shorter = token;
	size_t at = token.find(std::string(":") + mutant + ":");

	EXPECT_NE(at, std::string::npos) << token;
	return shorter.erase(at + 1, std::string(mutant).size());
}

/* Such an entry cannot be had from the real MMU: see explore_mmu. */
bool needs_stale_tlb(const race_mutant &m)
{
	return std::string(m.name).starts_with("mmu_");
}

class real_mmu : public testing::TestWithParam<explore_mmu>
{
protected:
	void SetUp() override
	{
		explore_result r = explore_run(scenario_of(defio_subsystem(), "defio"),
					       {.bound = 0, .mmu = GetParam()});

		if (r.verdict == explore_verdict::misused)
			GTEST_SKIP() << r.reason;
	}
};

INSTANTIATE_TEST_SUITE_P(, real_mmu, testing::Values(explore_mmu::uffd, explore_mmu::mprotect),
			 [](const testing::TestParamInfo<explore_mmu> &info) {
				 return info.param == explore_mmu::uffd ? "uffd" : "mprotect";
			 });

TEST_P(real_mmu, historical_driver_loses_the_update_each_time_and_the_shipped_one_does_not)
{
	const char *historical = "defio_nopage_zap";
	explore_scenario s = scenario_of(defio_subsystem(), "defio");
	explore_result soft = explore_run(s, {.bound = 2, .mutants = {historical}});

	ASSERT_EQ(soft.verdict, explore_verdict::violated) << soft.summary;
	ASSERT_NE(soft.reason.find("lost update"), std::string::npos) << soft.reason;
	for (int i = 0; i < HISTORICAL_REPLAYS; i++) {
		explore_result real = replay(s, soft.token, GetParam());

		ASSERT_EQ(real.verdict, explore_verdict::violated) << real.summary;
		ASSERT_EQ(real.reason, soft.reason);
		ASSERT_EQ(real.token, soft.token);
		ASSERT_GT(real.real_faults, 0u);
		ASSERT_NE(real.trace.find("signal: a store at "), std::string::npos) << real.trace;
	}
	std::printf("%s: %d times %s\n", soft.token.c_str(), HISTORICAL_REPLAYS,
		    soft.reason.c_str());

	std::string shipped = without_mutant(soft.token, historical);

	for (int i = 0; i < HISTORICAL_REPLAYS; i++) {
		explore_result real = replay(s, shipped, GetParam());

		ASSERT_EQ(real.verdict, explore_verdict::held) << shipped << ": " << real.reason;
		ASSERT_GT(real.real_faults, 0u);
	}
}

TEST_P(real_mmu, every_mutant_of_the_catalogue_dies_in_the_same_schedule)
{
	for (const race_subsystem &subsystem : race_catalogue()) {
		for (const race_mutant &m : subsystem.mutants) {
			SCOPED_TRACE(m.name);
			const explore_scenario &s = scenario_of(subsystem, m.killer);
			explore_result soft = explore_run(
				s, {.bound = m.bound, .memory = m.memory, .mutants = {m.name}});

			ASSERT_EQ(soft.verdict, explore_verdict::violated) << soft.summary;
			for (int i = 0; i < REPLAYS; i++) {
				explore_result real = replay(s, soft.token, GetParam());

				if (needs_stale_tlb(m)) {
					EXPECT_EQ(real.verdict, explore_verdict::misused);
					EXPECT_NE(real.reason.find("stale TLB entry"),
						  std::string::npos)
						<< real.reason;
					continue;
				}
				ASSERT_EQ(real.verdict, explore_verdict::violated) << real.summary;
				ASSERT_EQ(real.reason, soft.reason);
				ASSERT_EQ(real.token, soft.token);
			}
		}
	}
}

/* The seed's bug with real threads: what is refused is an instruction, by a page's protection. */
TEST_P(real_mmu, historical_pin_ends_in_a_real_write_fault_on_a_read_only_page)
{
	race_subsystem pin = pin_subsystem();

	for (const char *name : {"pin", "pin_exit"}) {
		const explore_scenario &s = scenario_of(pin, name);
		explore_result soft = explore_run(s, {.bound = 1, .mutants = {"pin_historical"}});

		ASSERT_EQ(soft.verdict, explore_verdict::violated) << soft.summary;
		for (int i = 0; i < REPLAYS; i++) {
			explore_result real = replay(s, soft.token, GetParam());

			ASSERT_EQ(real.verdict, explore_verdict::violated) << real.summary;
			ASSERT_NE(real.reason.find("read-only and not pinned"), std::string::npos)
				<< real.reason;
			size_t fault = real.trace.rfind("signal: a store at ");

			ASSERT_NE(fault, std::string::npos) << real.trace;
			ASSERT_LT(fault, real.trace.find("VIOLATION"));
		}
		std::printf("%s: %s\n", soft.token.c_str(), soft.reason.c_str());
	}
}

/* One preemption anywhere: each schedule does on the real MMU what it does on the soft one. */
TEST_P(real_mmu, every_schedule_with_one_preemption_is_as_on_the_soft_mmu)
{
	race_subsystem defio = defio_subsystem();

	for (const char *name : {"defio", "defio_one_page", "defio_exit"}) {
		const explore_scenario &s = scenario_of(defio, name);
		explore_options options = {.bound = 1, .reduce = false};
		explore_result soft = explore_run(s, options);
		options.mmu = GetParam();
		explore_result real = explore_run(s, options);

		EXPECT_EQ(real.verdict, explore_verdict::held) << real.summary << "\n"
							       << real.trace;
		EXPECT_TRUE(real.exhausted);
		EXPECT_EQ(real.schedules, soft.schedules);
		EXPECT_EQ(real.steps, soft.steps);
		EXPECT_EQ(real.unfit, 0u);
		EXPECT_GT(real.real_faults, real.schedules);
		std::printf("%s: %s\n", name, real.summary.c_str());
	}
}

} // namespace
