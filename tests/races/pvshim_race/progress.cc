// SPDX-License-Identifier: GPL-2.0-or-later
#include "progress.h"

#include "terminal_line.h"

#include <cstdio>

namespace races
{

static std::string text_of(const std::string &label, const explore_progress &p)
{
	char text[160];

	/* Before a bound is done the search may begin anew; what it has run is the true measure. */
	std::snprintf(text, sizeof(text), "%s: %lu runs, %.0f/s, %.0f s", label.c_str(),
		      (unsigned long)p.runs, (double)p.runs / p.seconds, p.seconds);
	std::string line = text;

	if (p.bound >= 0)
		line += ", at most " + std::to_string(p.bound) + " preemptions";
	return line;
}

explore_result explore_shown(const std::string &label, const explore_scenario &scenario,
			     explore_options options)
{
	tests::terminal_line line;

	options.progress = [&](const explore_progress &p) {
		line.show(text_of(label, p), p.seconds);
	};
	return explore_run(scenario, options);
}

} // namespace races
