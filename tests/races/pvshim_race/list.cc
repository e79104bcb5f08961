// SPDX-License-Identifier: GPL-2.0-or-later
#include "commands.h"
#include "lookup.h"
#include "text.h"

#include <cstdio>

#include <nlohmann/json.hpp>

namespace races
{

static nlohmann::json or_null(const char *text)
{
	return text ? nlohmann::json(text) : nlohmann::json();
}

static nlohmann::json to_json(const race_subsystem &subsystem)
{
	nlohmann::json scenarios = nlohmann::json::array(), mutants = nlohmann::json::array();

	for (const race_scenario &s : subsystem.scenarios)
		scenarios.push_back({{"name", s.scenario.name},
				     {"checks", s.checks},
				     {"seed", or_null(s.seed)},
				     {"bound", s.bound}});
	for (const race_mutant &m : subsystem.mutants)
		mutants.push_back({{"name", m.name},
				   {"variant", or_null(m.variant)},
				   {"origin", m.origin},
				   {"killer", m.killer},
				   {"bound", m.bound},
				   {"reason", m.reason}});
	return {{"name", subsystem.name}, {"scenarios", scenarios}, {"mutants", mutants}};
}

static void print(const race_subsystem &subsystem)
{
	constexpr int column = 28;

	std::printf("%s\n", subsystem.name);
	for (const race_scenario &s : subsystem.scenarios) {
		std::printf("  %-*s%s\n", column - 2, s.scenario.name.c_str(),
			    wrapped(s.checks, column).c_str());
		if (s.seed)
			std::printf("%*sseed %s\n", column, "", s.seed);
	}
	if (!subsystem.mutants.empty())
		std::printf("  mutants:\n");
	for (const race_mutant &m : subsystem.mutants) {
		const std::string names =
			m.variant ? std::string(m.name) + ", " + m.variant : std::string(m.name);

		std::printf("    %s\n%*s%s\n%*skilled by %s\n", names.c_str(), column, "",
			    wrapped(m.origin, column).c_str(), column, "", m.killer);
	}
}

int list_catalogue(const race_options &options)
{
	nlohmann::json json = nlohmann::json::array();

	for (const race_subsystem &subsystem : race_catalogue()) {
		if (options.json)
			json.push_back(to_json(subsystem));
		else
			print(subsystem);
	}
	if (options.json)
		std::printf("%s\n", json.dump(2).c_str());
	return EXIT_HELD;
}

} // namespace races
