/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * progress.h - one line on standard error about a search that takes a while
 *
 * On a terminal it is written over and over, and wiped in the end; elsewhere a line comes every few
 * seconds, for logs.
 */
#ifndef PVSHIM_RACE_PROGRESS_H
#define PVSHIM_RACE_PROGRESS_H

#include <kshim/explore.h>

namespace races
{

class progress_line
{
public:
	/* @label: what is searched. */
	explicit progress_line(std::string label);
	~progress_line();
	progress_line(const progress_line &) = delete;
	progress_line &operator=(const progress_line &) = delete;

	/* To be called by explore_run(). */
	void show(const explore_progress &p);

private:
	static constexpr double LOG_SECONDS = 5;

	const std::string label_;
	const bool terminal_;
	size_t shown_ = 0; /* characters that stand on the terminal */
	double next_ = LOG_SECONDS;
};

/* explore_run() with a line about how it goes. */
explore_result explore_shown(const std::string &label, const explore_scenario &scenario,
			     explore_options options);

} // namespace races

#endif
