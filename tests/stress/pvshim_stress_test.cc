// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The command pvshim-stress, run as a user runs it: each scenario for a short time, and with each
 * of its faults; what it says, what it exits with.
 */
#include "e2e/process.h"

#include <algorithm>
#include <csignal>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

using e2e::finished;
using nlohmann::json;

namespace
{

enum { HELD = 0, VIOLATED = 1, USAGE = 2 };

constexpr std::chrono::seconds LONGEST{300};

finished stress(std::vector<std::string> arguments)
{
	arguments.insert(arguments.begin(), e2e::build_folder() + "/pvshim-stress");
	e2e::child program(arguments);

	EXPECT_TRUE(program.wait(LONGEST)) << "it does not end";
	return {program.code(), program.output()};
}

testing::AssertionResult has(const finished &f, const std::string &text)
{
	if (f.output.find(text) != std::string::npos)
		return testing::AssertionSuccess();
	return testing::AssertionFailure() << "no '" << text << "' in:\n" << f.output;
}

/* Both streams are one here: the report begins at the line that is a brace. */
json report_of(const finished &f)
{
	const size_t at = f.output.rfind("\n{\n");

	return json::parse(f.output.substr(at == std::string::npos ? 0 : at));
}

json catalogue()
{
	return json::parse(stress({"list", "--json"}).output);
}

} // namespace

TEST(pvshim_stress, every_scenario_holds)
{
	for (const json &s : catalogue()) {
		const std::string name = s.at("name");
		const finished f = stress({name, "--seconds", "5", "--json"});
		const json result = report_of(f).at("scenarios").at(0);

		EXPECT_EQ(f.code, HELD) << f.output;
		EXPECT_EQ(result.at("violations"), 0);
		std::uint64_t most = 0;
		for (const json &value : result.at("counters"))
			most = std::max(most, value.get<std::uint64_t>());
		EXPECT_GT(most, 3u) << name << ": too slow, not wrong";
	}
}

TEST(pvshim_stress, every_scenario_finds_its_faults)
{
	for (const json &s : catalogue()) {
		const std::string name = s.at("name");

		EXPECT_FALSE(s.at("faults").empty()) << name << " was never seen to fail";
		for (const json &fault : s.at("faults")) {
			const std::string what = fault.at("name");
			const finished f = stress({name, "--seconds", "60", "--seed", "7",
						   "--threads", "3", "--inject", what});

			EXPECT_EQ(f.code, VIOLATED) << name << " does not find " << what;
			EXPECT_TRUE(has(f, "seed 7"));
			EXPECT_TRUE(has(f, "violation: "));
			EXPECT_TRUE(has(f, "again: pvshim-stress " + name +
						   " --threads 3 --seconds 60 --seed 7 --inject " +
						   what));
		}
	}
}

TEST(pvshim_stress, an_interrupt_ends_it_with_a_report)
{
	e2e::child program({e2e::build_folder() + "/pvshim-stress", "vmap", "--seconds", "1000"});

	ASSERT_TRUE(program.wait_for_output("seed "));
	program.signal(SIGINT);
	ASSERT_TRUE(program.wait());
	EXPECT_EQ(program.code(), HELD) << program.output();
	EXPECT_TRUE(has({0, program.output()}, "interrupted"));
}

TEST(pvshim_stress, what_it_does_not_know_is_one_line_that_says_what_there_is)
{
	const struct {
		std::vector<std::string> arguments;
		std::string says;
	} wrong[] = {
		{{"nothing"}, "no scenario 'nothing'; there are: "},
		{{"vmap", "--inject", "nothing"}, "no fault 'nothing'; it has: skip-flush"},
		{{"--inject", "skip-flush"}, "--inject needs the one scenario"},
		{{"vmap", "--set", "loops"}, "is not NAME=VALUE"},
		{{"vmap", "--set", "loops=many"}, "not a number"},
		{{"vmap", "--set", "nothing=1"}, "setting 'nothing'"},
		{{"--threads", "0"}, "--threads"},
		{{"--nothing"}, "--nothing"},
	};

	for (const auto &w : wrong) {
		const finished f = stress(w.arguments);

		EXPECT_EQ(f.code, USAGE) << f.output;
		EXPECT_TRUE(has(f, w.says));
		EXPECT_EQ(std::count(f.output.begin(), f.output.end(), '\n'), 1) << f.output;
	}
}

TEST(pvshim_stress, the_same_seed_and_another_setting_run)
{
	const finished f =
		stress({"vmap", "--seconds", "0.5", "--seed", "18446744073709551615", "--threads",
			"1", "--set", "params=vmap.policy=batch:3", "--set", "mask=0", "--json"});
	const json report = report_of(f);

	EXPECT_EQ(f.code, HELD) << f.output;
	EXPECT_EQ(report.at("seed"), 18446744073709551615u);
	EXPECT_FALSE(report.at("scenarios").at(0).at("counters").contains("fix_size"));
}
