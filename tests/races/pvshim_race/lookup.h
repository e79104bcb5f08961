/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lookup.h - names that a user gives, looked up in the catalogue; unknown ones are usage_errors
 *
 * The catalogue outlives what is found in it.
 */
#ifndef PVSHIM_RACE_LOOKUP_H
#define PVSHIM_RACE_LOOKUP_H

#include "catalogue.h"

namespace races
{

using catalogue = std::vector<race_subsystem>;

struct found_scenario {
	const race_subsystem *subsystem;
	const race_scenario *entry;
};

found_scenario find_scenario(const catalogue &all, const std::string &name);
const race_subsystem &find_subsystem(const catalogue &all, const std::string &name);

/* By its name, or its second name in this subsystem. */
const race_mutant &find_mutant(const race_subsystem &subsystem, const std::string &name);

/* A token's scenario; the rest of the token is for explore_run() to judge. */
found_scenario find_scenario_of_token(const catalogue &all, const std::string &token);

} // namespace races

#endif
