// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The command pvshim-race, run as a user runs it: what it says, what it exits with.
 */
#include "catalogue.h"
#include "e2e/process.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sstream>

using e2e::finished;

namespace
{

enum { HELD = 0, VIOLATED = 1, USAGE = 2, GAVE_UP = 3 };

std::string program()
{
	return e2e::build_folder() + "/pvshim-race";
}

finished race(std::vector<std::string> arguments)
{
	arguments.insert(arguments.begin(), program());
	return e2e::run_command(arguments);
}

testing::AssertionResult has(const finished &f, const std::string &text)
{
	if (f.output.find(text) != std::string::npos)
		return testing::AssertionSuccess();
	return testing::AssertionFailure() << "no '" << text << "' in:\n" << f.output;
}

std::vector<std::string> lines_of(const std::string &text)
{
	std::vector<std::string> lines;
	std::istringstream in(text);

	for (std::string line; std::getline(in, line);)
		lines.push_back(line);
	return lines;
}

/* Of "again: pvshim-race replay TOKEN". */
std::string token_of(const finished &f)
{
	const std::string before = "pvshim-race replay ";
	const size_t at = f.output.find(before);

	return at == std::string::npos ? "" : lines_of(f.output.substr(at + before.size()))[0];
}

finished run_historical()
{
	return race({"run", "defio", "--variant", "historical"});
}

TEST(pvshim_race, list_names_every_scenario_and_mutant)
{
	const finished f = race({"list"});

	EXPECT_EQ(f.code, HELD);
	for (const races::race_subsystem &subsystem : races::race_catalogue()) {
		for (const races::race_scenario &s : subsystem.scenarios)
			EXPECT_TRUE(has(f, s.scenario.name));
		for (const races::race_mutant &m : subsystem.mutants)
			EXPECT_TRUE(has(f, m.name));
	}
	for (const std::string &line : lines_of(f.output))
		EXPECT_LE(line.size(), 100u) << line;
}

TEST(pvshim_race, list_for_scripts_has_what_the_catalogue_has)
{
	const nlohmann::json json = nlohmann::json::parse(race({"list", "--json"}).output);
	const std::vector<races::race_subsystem> catalogue = races::race_catalogue();

	ASSERT_EQ(json.size(), catalogue.size());
	for (size_t i = 0; i < catalogue.size(); i++) {
		EXPECT_EQ(json[i]["name"], catalogue[i].name);
		ASSERT_EQ(json[i]["scenarios"].size(), catalogue[i].scenarios.size());
		ASSERT_EQ(json[i]["mutants"].size(), catalogue[i].mutants.size());
		for (size_t k = 0; k < catalogue[i].mutants.size(); k++)
			EXPECT_EQ(json[i]["mutants"][k]["origin"], catalogue[i].mutants[k].origin);
	}
}

TEST(pvshim_race, run_says_that_all_schedules_held)
{
	const finished f = race({"run", "defio_fsync_beside"});

	EXPECT_EQ(f.code, HELD);
	EXPECT_TRUE(has(f, "held; exhausted: all "));
	EXPECT_TRUE(has(f, " schedules with at most 1 preemption\n"));
}

TEST(pvshim_race, run_says_that_store_buffers_are_searched_without_reduction)
{
	EXPECT_TRUE(has(race({"run", "mutex", "--bound", "0", "--memory", "tso"}),
			" schedules with at most 0 preemptions, without reduction (tso)\n"));
}

TEST(pvshim_race, bound_of_the_command_line_is_taken)
{
	EXPECT_TRUE(has(race({"run", "defio_fsync", "--bound", "0"}), "at most 0 preemptions"));
}

/* The seed's interleaving: recorded, protected too early, installed, never seen again. */
TEST(pvshim_race, historical_variant_is_told_as_its_seed_tells_it)
{
	const finished f = run_historical();
	size_t at = 0;

	EXPECT_EQ(f.code, VIOLATED);
	for (const char *part :
	     {"store to PTE 1 faults", "set_bit(dirty bits)", "clear_bit(dirty bits)",
	      "PTE 1: absent, nothing to take away", "PTE 1: absent -> writable", "page 1 word 0 =",
	      "VIOLATION", "lost update", "again: pvshim-race replay x1:defio:defio_nopage_zap:"}) {
		at = f.output.find(part, at);
		ASSERT_NE(at, std::string::npos) << "no '" << part << "', or too early:\n"
						 << f.output;
	}
	EXPECT_TRUE(has(f, "is preempted, "));
}

TEST(pvshim_race, table_is_as_wide_as_a_terminal_and_one_page_or_two_long)
{
	const finished f = run_historical();
	const std::vector<std::string> lines = lines_of(f.output);

	EXPECT_LT(lines.size(), 90u);
	for (const std::string &line : lines)
		EXPECT_LE(line.size(), 120u) << line;
}

TEST(pvshim_race, steps_are_told_with_their_lines)
{
	const finished f = race({"run", "defio", "--variant", "historical", "--steps"});

	EXPECT_EQ(f.code, VIOLATED);
	EXPECT_TRUE(has(f, "rmw dirty bits  harvest_page, fb_defio_vma.cc:"));
	EXPECT_GT(lines_of(f.output).size(), lines_of(run_historical().output).size() * 2);
}

TEST(pvshim_race, second_name_of_a_variant_is_the_same_variant)
{
	EXPECT_EQ(token_of(run_historical()),
		  token_of(race({"run", "defio", "--variant", "defio_nopage_zap"})));
}

TEST(pvshim_race, token_replays_100_of_100_times)
{
	const std::string token = token_of(run_historical());
	const finished f = race({"replay", token, "--times", "100"});

	ASSERT_FALSE(token.empty());
	EXPECT_EQ(f.code, VIOLATED);
	EXPECT_TRUE(has(f, "100 of 100 times the same"));
	EXPECT_EQ(token_of(f), token);
	EXPECT_TRUE(has(f, "lost update"));
}

/* In another process, with other addresses. */
TEST(pvshim_race, replay_prints_the_table_that_the_search_printed)
{
	const finished found = run_historical();
	const finished again = race({"replay", token_of(found)});
	const auto table_of = [](const finished &f) {
		const size_t from = f.output.find("(CPU "), to = f.output.find("VIOLATION");

		return f.output.substr(from, to - from);
	};

	EXPECT_EQ(table_of(again), table_of(found));
}

TEST(pvshim_race, replay_of_a_schedule_that_is_right_holds)
{
	const finished f = race({"replay", "x1:defio::"});

	EXPECT_EQ(f.code, HELD);
	EXPECT_TRUE(has(f, "this schedule violates nothing"));
}

TEST(pvshim_race, search_that_met_its_limit_does_not_claim_to_be_done)
{
	for (const finished &f : {race({"run", "work_flush", "--schedules", "20"}),
				  race({"run", "work_flush", "--seconds", "0.01"})}) {
		EXPECT_EQ(f.code, GAVE_UP);
		EXPECT_TRUE(has(f, "gave up; searched "));
		EXPECT_EQ(f.output.find("exhausted"), std::string::npos) << f.output;
	}
}

TEST(pvshim_race, searches_by_chance_find_the_same_with_the_same_seed)
{
	for (const char *scheduler : {"random", "pct"}) {
		const std::vector<std::string> arguments = {"run",        "defio",   "--variant",
							    "historical", "--sched", scheduler,
							    "--seed",     "7"};
		const finished first = race(arguments), second = race(arguments);

		EXPECT_EQ(first.code, VIOLATED) << scheduler;
		EXPECT_FALSE(token_of(first).empty());
		EXPECT_EQ(token_of(first), token_of(second));
	}
}

TEST(pvshim_race, search_by_chance_says_that_there_are_others)
{
	const finished f = race({"run", "defio", "--sched", "random", "--schedules", "50"});

	EXPECT_EQ(f.code, HELD);
	EXPECT_TRUE(has(f, "searched 50 schedules; there are others"));
}

TEST(pvshim_race, run_for_scripts_has_the_verdict_and_the_token)
{
	const finished f = race({"run", "defio", "--variant", "historical", "--json"});
	const nlohmann::json json = nlohmann::json::parse(f.output);

	EXPECT_EQ(f.code, VIOLATED);
	EXPECT_EQ(json["verdict"], "violated");
	EXPECT_EQ(json["mutants"], nlohmann::json({"defio_nopage_zap"}));
	EXPECT_EQ(json["token"], token_of(run_historical()));
	EXPECT_GT(json["runs"], 0);
}

TEST(pvshim_race, kill_matrix_kills_every_mutant_of_core)
{
	const finished f = race({"kill-matrix", "core", "--bound", "1"});
	const std::string all = std::to_string(races::core_subsystem().mutants.size());

	EXPECT_EQ(f.code, HELD);
	EXPECT_TRUE(has(f, "lock_forgets_sleepers"));
	EXPECT_TRUE(has(f, " 1 mutex, at most 1 preemption"));
	EXPECT_EQ(lines_of(f.output).back(), all + " of " + all + " mutants killed");
}

TEST(pvshim_race, kill_matrix_names_the_survivors)
{
	const finished f = race({"kill-matrix", "core", "--bound", "0"});

	EXPECT_EQ(f.code, VIOLATED);
	EXPECT_TRUE(has(f, "lock_forgets_sleepers survives\n"));
	EXPECT_TRUE(has(f, "work_timer_blind survives\n"));
	EXPECT_FALSE(has(f, "rcu_no_grace_period survives\n"));
}

TEST(pvshim_race, kill_matrix_for_scripts_has_a_cell_for_each_pair)
{
	const finished f = race({"kill-matrix", "core", "--bound", "0", "--json"});
	const nlohmann::json json = nlohmann::json::parse(f.output);
	const races::race_subsystem core = races::core_subsystem();

	EXPECT_EQ(f.code, VIOLATED);
	EXPECT_EQ(json["cells"].size(), core.scenarios.size() * (core.mutants.size() + 1));
	EXPECT_EQ(json["mutants"], core.mutants.size());
	EXPECT_GT(json["killed"], 0);
	EXPECT_LT(json["killed"], core.mutants.size());
}

/* script(1) gives it a terminal. */
TEST(pvshim_race, search_tells_how_it_goes_on_a_terminal)
{
	const finished f = e2e::run_command({"script", "-qec",
					     program() + " run work_flush --bound 3 --seconds 1",
					     "/dev/null"});

	EXPECT_EQ(f.code, GAVE_UP);
	EXPECT_TRUE(has(f, "work_flush: "));
	EXPECT_TRUE(has(f, " runs, "));
	EXPECT_TRUE(has(f, "/s, "));
}

TEST(pvshim_race, help_and_version_are_no_failure)
{
	EXPECT_EQ(race({"--help"}).code, HELD);
	EXPECT_EQ(race({"run", "--help"}).code, HELD);
	EXPECT_EQ(race({"--version"}).code, HELD);
}

struct bad_input {
	const char *name;
	std::vector<std::string> arguments;
	const char *says;
};

void PrintTo(const bad_input &b, std::ostream *os)
{
	*os << b.name;
}

class bad : public testing::TestWithParam<bad_input>
{
};

TEST_P(bad, input_is_refused_in_one_line)
{
	const finished f = race(GetParam().arguments);

	EXPECT_EQ(f.code, USAGE);
	EXPECT_TRUE(has(f, GetParam().says));
	EXPECT_EQ(f.output.find("pvshim-race: "), 0u) << f.output;
	EXPECT_EQ(std::count(f.output.begin(), f.output.end(), '\n'), 1) << f.output;
}

const bad_input bad_inputs[] = {
	{"nothing", {}, "subcommand is required"},
	{"unknown_command", {"walk"}, "see pvshim-race --help"},
	{"unknown_option", {"run", "defio", "--fast"}, "see pvshim-race --help"},
	{"no_scenario", {"run"}, "or --all"},
	{"all_and_one", {"run", "defio", "--all"}, "excludes"},
	{"unknown_scenario", {"run", "deffio"}, "near it: defio"},
	{"unknown_mutant", {"run", "defio", "--variant", "x"}, "defio_nopage_zap (historical)"},
	{"mutant_elsewhere", {"run", "mutex", "--variant", "work_timer_blind"}, "by work_cancel"},
	{"bound_is_no_number", {"run", "defio", "--bound", "two"}, "--bound"},
	{"bound_is_negative", {"run", "defio", "--bound", "-2"}, "--bound"},
	{"no_time", {"run", "defio", "--seconds", "0"}, "--seconds"},
	{"unknown_scheduler", {"run", "defio", "--sched", "best"}, "none of dfs, pct, random"},
	{"no_token", {"replay", "foo"}, "is no token"},
	{"token_of_nowhere", {"replay", "x1:nowhere::"}, "this program does not have"},
	{"token_cut_short", {"replay", "x1:defio:"}, "is cut short"},
	{"token_that_is_none", {"replay", "x1:defio::65"}, "not NUMBER.NUMBER"},
	{"token_of_another_version", {"replay", "x1:defio::3.9"}, "of another version"},
	{"token_of_another_mutant",
	 {"replay", "x1:defio:gone:65.1"},
	 "no code asked for mutant gone"},
	{"token_of_the_future", {"replay", "x9:defio::"}, "does not begin with x1:"},
	{"never", {"replay", "x1:defio::", "--times", "0"}, "--times"},
	{"unknown_subsystem", {"kill-matrix", "cores"}, "there are: core, "},
};

INSTANTIATE_TEST_SUITE_P(pvshim_race, bad, testing::ValuesIn(bad_inputs),
			 [](const testing::TestParamInfo<bad_input> &info) {
				 return std::string(info.param.name);
			 });

} // namespace
