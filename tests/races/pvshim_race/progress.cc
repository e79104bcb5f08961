// SPDX-License-Identifier: GPL-2.0-or-later
#include "progress.h"

#include <cstdio>
#include <unistd.h>

namespace races
{

progress_line::progress_line(std::string label)
	: label_(std::move(label)), terminal_(isatty(STDERR_FILENO) == 1)
{
}

progress_line::~progress_line()
{
	if (shown_)
		std::fprintf(stderr, "\r%*s\r", (int)shown_, "");
}

void progress_line::show(const explore_progress &p)
{
	char text[160];

	if (!terminal_ && p.seconds < next_)
		return;
	next_ = p.seconds + LOG_SECONDS;
	/* Before a bound is done the search may begin anew; what it has run is the true measure. */
	std::snprintf(text, sizeof(text), "%s: %lu runs, %.0f/s, %.0f s", label_.c_str(),
		      (unsigned long)p.runs, (double)p.runs / p.seconds, p.seconds);

	std::string line = text;

	if (p.bound >= 0)
		line += ", at most " + std::to_string(p.bound) + " preemptions";
	if (!terminal_) {
		std::fprintf(stderr, "%s\n", line.c_str());
		return;
	}
	std::fprintf(stderr, "\r%s%*s", line.c_str(),
		     (int)(shown_ > line.size() ? shown_ - line.size() : 0), "");
	shown_ = line.size();
}

explore_result explore_shown(const std::string &label, const explore_scenario &scenario,
			     explore_options options)
{
	progress_line line(label);

	options.progress = [&line](const explore_progress &p) { line.show(p); };
	return explore_run(scenario, options);
}

} // namespace races
