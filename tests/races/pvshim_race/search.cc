// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pvshim-race run and replay: one search and what came of it.
 */
#include "commands.h"
#include "lookup.h"
#include "progress.h"
#include "text.h"

#include <cstdio>

#include <nlohmann/json.hpp>

namespace races
{

/* @scenario under what the user asked for, or under what its line of the catalogue says. */
static explore_options options_for(const race_options &o, const race_scenario &scenario,
				   const race_mutant *mutant)
{
	explore_options options;

	options.scheduler = o.scheduler;
	options.bound = o.bound.value_or(scenario.bound);
	options.pct_depth = o.pct_depth;
	options.seed = o.seed;
	options.max_schedules = o.schedules;
	options.seconds = o.seconds;
	options.reduce = o.reduce;
	options.memory = o.memory.value_or(mutant ? mutant->memory : explore_memory::sc);
	options.faults = o.faults;
	options.mmu = o.mmu;
	options.trace_steps = o.steps;
	if (!mutant)
		return options;
	options.mutants = {mutant->name};
	if (!o.bound && scenario.scenario.name == mutant->killer)
		options.bound = mutant->bound;
	return options;
}

static const char *verdict_name(const explore_result &r)
{
	return r.verdict == explore_verdict::violated ? "violated" : r.gave_up ? "gave up" : "held";
}

/* Throws when the options, the mutant or the token do not fit the scenario. */
static int exit_code_of(const explore_result &r)
{
	if (r.verdict == explore_verdict::misused)
		throw usage_error(r.reason);
	return r.verdict == explore_verdict::violated ? EXIT_VIOLATED
	       : r.gave_up                            ? EXIT_GAVE_UP
						      : EXIT_HELD;
}

static std::string effort(const explore_result &r)
{
	char text[120];

	std::snprintf(text, sizeof(text), "%lu runs, %lu steps, %.2f s, %.0f runs/s",
		      (unsigned long)r.runs, (unsigned long)r.steps, r.seconds,
		      r.seconds > 0 ? (double)r.runs / r.seconds : 0);
	return text;
}

static nlohmann::json to_json(const std::string &scenario, const explore_options &options,
			      const explore_result &r)
{
	return {{"scenario", scenario},
		{"mutants", options.mutants},
		{"verdict", verdict_name(r)},
		{"exhausted", r.exhausted},
		{"bound", options.bound},
		{"schedules", r.schedules},
		{"runs", r.runs},
		{"steps", r.steps},
		{"seconds", r.seconds},
		{"preemptions", r.preemptions},
		{"reason", r.reason},
		{"summary", r.summary},
		{"token", r.token},
		{"trace", r.trace}};
}

static void print(const explore_result &r)
{
	if (r.verdict != explore_verdict::violated) {
		std::printf("%s; %s\n", verdict_name(r), r.summary.c_str());
		return;
	}
	/* The table ends with the reason. */
	std::printf("%s\n%s\n", r.trace.c_str(),
		    r.summary.substr(0, r.summary.find(": " + r.reason)).c_str());
	std::printf("again: pvshim-race replay %s\n", r.token.c_str());
}

static void print_head(const race_scenario &scenario, const race_mutant *mutant)
{
	std::printf("%s: %s\n", scenario.scenario.name.c_str(), scenario.checks);
	if (mutant)
		std::printf("%s\n",
			    wrapped(std::string("with ") + mutant->name + ": " + mutant->origin, 4)
				    .c_str());
	std::printf("\n");
}

/* "no code asked for mutant x in this scenario", with the scenario in which some does. */
static void explain_misuse(const explore_result &r, const race_mutant *mutant)
{
	if (r.verdict == explore_verdict::misused && mutant)
		throw usage_error(r.reason + "; it is killed by " + mutant->killer);
}

int run_scenario(const race_options &o)
{
	const catalogue all = race_catalogue();
	const found_scenario found = find_scenario(all, o.name);
	const race_mutant *mutant =
		o.variant.empty() ? nullptr : &find_mutant(*found.subsystem, o.variant);
	const explore_options options = options_for(o, *found.entry, mutant);
	const explore_result r = explore_shown(o.name, found.entry->scenario, options);

	explain_misuse(r, mutant);

	const int code = exit_code_of(r);

	if (o.json) {
		std::printf("%s\n", to_json(o.name, options, r).dump(2).c_str());
		return code;
	}
	print_head(*found.entry, mutant);
	print(r);
	std::printf("%s\n", effort(r).c_str());
	return code;
}

/* The worse of two: violated, then gave up, then held. */
static int worse(int a, int b)
{
	return a == EXIT_VIOLATED || b == EXIT_HELD ? a : b;
}

int run_all(const race_options &o)
{
	nlohmann::json json = nlohmann::json::array();
	int code = EXIT_HELD, nr = 0, held = 0;

	for (const race_subsystem &subsystem : race_catalogue()) {
		for (const race_scenario &s : subsystem.scenarios) {
			const explore_options options = options_for(o, s, nullptr);
			const explore_result r =
				explore_shown(s.scenario.name, s.scenario, options);
			const int this_code = exit_code_of(r);

			code = worse(code, this_code);
			nr++;
			held += this_code == EXIT_HELD;
			if (o.json) {
				json.push_back(to_json(s.scenario.name, options, r));
				continue;
			}
			std::printf("%-24s %-8s %7.2f s  %s\n", s.scenario.name.c_str(),
				    verdict_name(r), r.seconds, r.summary.c_str());
			if (this_code == EXIT_VIOLATED)
				std::printf("%24s again: pvshim-race replay %s\n", "",
					    r.token.c_str());
			std::fflush(stdout);
		}
	}
	if (o.json)
		std::printf("%s\n", json.dump(2).c_str());
	else
		std::printf("%d of %d scenarios held\n", held, nr);
	return code;
}

int replay_token(const race_options &o)
{
	const catalogue all = race_catalogue();
	const found_scenario found = find_scenario_of_token(all, o.name);
	explore_options options;
	explore_result first;
	unsigned int same = 0;

	options.scheduler = explore_scheduler::replay;
	options.token = o.name;
	options.mmu = o.mmu;
	options.trace_steps = o.steps;
	for (unsigned int i = 0; i < o.times; i++) {
		const explore_result r = explore_run(found.entry->scenario, options);

		if (i == 0)
			first = r;
		same += r.verdict == first.verdict && r.reason == first.reason &&
			r.token == first.token;
		options.trace = false;
	}

	const int code = exit_code_of(first);

	if (o.json) {
		nlohmann::json json = to_json(found.entry->scenario.name, options, first);

		json["times"] = o.times;
		json["same"] = same;
		std::printf("%s\n", json.dump(2).c_str());
		return code;
	}
	print_head(*found.entry, nullptr);
	print(first);
	if (o.times > 1)
		std::printf("%u of %u times the same\n", same, o.times);
	return same == o.times ? code : EXIT_VIOLATED;
}

} // namespace races
