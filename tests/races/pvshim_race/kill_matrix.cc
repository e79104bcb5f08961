// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pvshim-race kill-matrix: a row for each mutant, a column for each scenario.
 *
 *	defio                         1      2
 *	(no mutant)                held   held
 *	defio_nopage_zap           1/64      .	   killed with 1 preemption in run 64; survives
 *	defio_cancel_on_close                .	   (nothing: scenario 1 never comes to its code)
 */
#include "commands.h"
#include "lookup.h"
#include "progress.h"

#include <algorithm>
#include <cstdio>

#include <nlohmann/json.hpp>

namespace races
{

namespace
{

constexpr int NAME_WIDTH = 28, CELL_WIDTH = 7;

enum class fate { killed, survives, not_met, gave_up };

struct cell {
	races::fate fate;
	explore_result result;
};

/* What a search with @mutant came to; with null: without one. */
cell search_cell(const race_options &o, const race_scenario &scenario, const race_mutant *mutant)
{
	const std::string &name = scenario.scenario.name;
	explore_options options;
	cell c;

	options.bound = scenario.bound;
	if (mutant) {
		options.mutants = {mutant->name};
		options.memory = mutant->memory;
		if (name == mutant->killer)
			options.bound = std::max(options.bound, mutant->bound);
	}
	options.bound = o.bound.value_or(options.bound);
	options.seconds = o.seconds;
	options.trace = false;
	c.result = explore_shown(name + (mutant ? std::string(", ") + mutant->name : ""),
				 scenario.scenario, options);
	c.fate = c.result.verdict == explore_verdict::violated  ? fate::killed
		 : c.result.verdict == explore_verdict::misused ? fate::not_met
		 : c.result.gave_up                             ? fate::gave_up
								: fate::survives;
	if (c.fate == fate::not_met && !mutant)
		throw usage_error(name + ": " + c.result.reason);
	return c;
}

std::string text_of(const cell &c, bool mutant)
{
	const u64 runs = c.result.runs;

	switch (c.fate) {
	case fate::killed:
		if (!mutant)
			return "FAILS";
		return std::to_string(c.result.preemptions) + "/" +
		       (runs < 100000 ? std::to_string(runs) : std::to_string(runs / 1000) + "k");
	case fate::survives:
		return mutant ? "." : "held";
	case fate::gave_up:
		return "?";
	case fate::not_met:
		break;
	}
	return "";
}

/* What all of it comes to. */
struct tally {
	unsigned int mutants = 0, killed = 0;
	bool scenario_failed = false, gave_up = false;
	std::vector<std::string> remarks;
};

class matrix
{
public:
	matrix(const race_options &o, const race_subsystem &subsystem) : o_(o), of_(subsystem) {}

	void run(tally *t)
	{
		print_head();
		print_name("(no mutant)");
		for (const race_scenario &s : of_.scenarios) {
			const cell c = put_cell(s, nullptr);

			if (c.fate != fate::killed)
				continue;
			t->scenario_failed = true;
			t->remarks.push_back(s.scenario.name +
					     " fails with no mutant: " + c.result.reason +
					     "; pvshim-race replay " + c.result.token);
		}
		end_row();
		for (const race_mutant &m : of_.mutants)
			run_mutant(m, t);
		print_scenarios();
	}

	const nlohmann::json &json() const { return json_; }

private:
	void run_mutant(const race_mutant &m, tally *t)
	{
		bool killed = false, gave_up = false;

		print_name(m.name);
		for (const race_scenario &s : of_.scenarios) {
			const cell c = put_cell(s, &m);

			killed |= c.fate == fate::killed;
			gave_up |= c.fate == fate::gave_up;
		}
		end_row();
		t->mutants++;
		t->killed += killed;
		t->gave_up |= gave_up;
		if (!killed)
			t->remarks.push_back(std::string(m.name) + " survives" +
					     (gave_up ? ", as far as the search went" : ""));
	}

	cell put_cell(const race_scenario &s, const race_mutant *m)
	{
		cell c = search_cell(o_, s, m);

		json_.push_back({{"subsystem", of_.name},
				 {"scenario", s.scenario.name},
				 {"mutant", m ? nlohmann::json(m->name) : nlohmann::json()},
				 {"fate", name_of(c.fate)},
				 {"preemptions", c.result.preemptions},
				 {"runs", c.result.runs},
				 {"seconds", c.result.seconds},
				 {"token", c.result.token}});
		if (!o_.json)
			std::printf("%*s", CELL_WIDTH, text_of(c, m).c_str());
		std::fflush(stdout);
		return c;
	}

	static const char *name_of(fate f)
	{
		switch (f) {
		case fate::killed:
			return "violated";
		case fate::survives:
			return "held";
		case fate::gave_up:
			return "gave up";
		case fate::not_met:
			break;
		}
		return "not met";
	}

	void print_head() const
	{
		if (o_.json)
			return;
		print_name(of_.name);
		for (size_t i = 1; i <= of_.scenarios.size(); i++)
			std::printf("%*zu", CELL_WIDTH, i);
		std::printf("\n");
	}

	void print_name(const char *name) const
	{
		if (!o_.json)
			std::printf("%-*s", NAME_WIDTH, name);
	}

	void end_row() const
	{
		if (!o_.json)
			std::printf("\n");
	}

	void print_scenarios() const
	{
		if (o_.json)
			return;
		for (size_t i = 0; i < of_.scenarios.size(); i++) {
			const race_scenario &s = of_.scenarios[i];

			const int bound = o_.bound.value_or(s.bound);

			std::printf("%4zu %s, at most %d preemption%s\n", i + 1,
				    s.scenario.name.c_str(), bound, bound == 1 ? "" : "s");
		}
		std::printf("\n");
	}

	const race_options &o_;
	const race_subsystem &of_;
	nlohmann::json json_ = nlohmann::json::array();
};

} // namespace

int kill_matrix(const race_options &o)
{
	const catalogue all = race_catalogue();
	nlohmann::json cells = nlohmann::json::array();
	tally t;

	if (!o.name.empty())
		(void)find_subsystem(all, o.name);
	for (const race_subsystem &subsystem : all) {
		if (!o.name.empty() && o.name != subsystem.name)
			continue;

		matrix m(o, subsystem);

		m.run(&t);
		for (const nlohmann::json &c : m.json())
			cells.push_back(c);
	}
	if (o.json) {
		std::printf("%s\n", nlohmann::json({{"cells", cells},
						    {"mutants", t.mutants},
						    {"killed", t.killed},
						    {"remarks", t.remarks}})
					    .dump(2)
					    .c_str());
	} else {
		std::printf("P/N: killed by a schedule with P preemptions, in run N; "
			    ". survives; blank: its code is not met%s\n",
			    t.gave_up ? "; ? gave up" : "");
		for (const std::string &remark : t.remarks)
			std::printf("%s\n", remark.c_str());
		std::printf("%u of %u mutants killed\n", t.killed, t.mutants);
	}
	return t.killed == t.mutants && !t.scenario_failed ? EXIT_HELD : EXIT_VIOLATED;
}

} // namespace races
