// SPDX-License-Identifier: GPL-2.0-or-later
#include "lookup.h"

#include "options.h"

#include <algorithm>

namespace races
{

/* Insertions, deletions and changes from @a to @b (Levenshtein). */
static size_t distance(const std::string &a, const std::string &b)
{
	std::vector<size_t> row(b.size() + 1);

	for (size_t j = 0; j <= b.size(); j++)
		row[j] = j;
	for (size_t i = 1; i <= a.size(); i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b.size(); j++) {
			size_t change = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			row[j] = std::min({change, row[j] + 1, row[j - 1] + 1});
		}
	}
	return row[b.size()];
}

/* "; near it: a, b, c": those that differ little or have @name in them; at most five. */
static std::string near_names(const std::string &name, std::vector<std::string> names)
{
	std::vector<std::pair<size_t, std::string>> near;
	std::string text;

	for (std::string &n : names) {
		const size_t d = distance(name, n);
		const bool part = !name.empty() && n.find(name) != std::string::npos;

		if (part || d <= 1 + n.size() / 3)
			near.emplace_back(part ? 1 : d, std::move(n));
	}
	std::sort(near.begin(), near.end());
	for (size_t i = 0; i < near.size() && i < 5; i++)
		text += (i ? ", " : "; near it: ") + near[i].second;
	return text;
}

static std::vector<std::string> names_of_scenarios(const catalogue &all)
{
	std::vector<std::string> names;

	for (const race_subsystem &subsystem : all) {
		for (const race_scenario &s : subsystem.scenarios)
			names.push_back(s.scenario.name);
	}
	return names;
}

static found_scenario look_for(const catalogue &all, const std::string &name)
{
	for (const race_subsystem &subsystem : all) {
		for (const race_scenario &s : subsystem.scenarios) {
			if (s.scenario.name == name)
				return {&subsystem, &s};
		}
	}
	return {};
}

found_scenario find_scenario(const catalogue &all, const std::string &name)
{
	const found_scenario found = look_for(all, name);

	if (!found.entry)
		throw usage_error("no scenario is called '" + name + "'" +
				  near_names(name, names_of_scenarios(all)) +
				  "; pvshim-race list shows all");
	return found;
}

const race_subsystem &find_subsystem(const catalogue &all, const std::string &name)
{
	std::string names;

	for (const race_subsystem &subsystem : all) {
		if (subsystem.name == name)
			return subsystem;
		names += (names.empty() ? "" : ", ") + std::string(subsystem.name);
	}
	throw usage_error("no subsystem is called '" + name + "'; there are: " + names);
}

const race_mutant &find_mutant(const race_subsystem &subsystem, const std::string &name)
{
	std::string names;

	for (const race_mutant &m : subsystem.mutants) {
		if (m.name == name || (m.variant && m.variant == name))
			return m;
		names += (names.empty() ? "" : ", ") + std::string(m.name);
		if (m.variant)
			names += std::string(" (") + m.variant + ")";
	}
	throw usage_error("no mutant of " + std::string(subsystem.name) + " is called '" + name +
			  "'; there are: " + names);
}

found_scenario find_scenario_of_token(const catalogue &all, const std::string &token)
{
	const size_t begin = token.find(':');
	const size_t end = begin == std::string::npos ? begin : token.find(':', begin + 1);

	if (end == std::string::npos)
		throw usage_error("'" + token +
				  "' is no token; one looks like "
				  "x1:SCENARIO:MUTANT:65.1 and is printed with a violation");

	const std::string name = token.substr(begin + 1, end - begin - 1);
	const found_scenario found = look_for(all, name);

	if (!found.entry)
		throw usage_error("the token is of scenario '" + name +
				  "', which this program does not have; run it with the program "
				  "that printed it, or search anew: pvshim-race list");
	return found;
}

} // namespace races
