/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * options.h - the command line of pvshim-race
 */
#ifndef PVSHIM_RACE_OPTIONS_H
#define PVSHIM_RACE_OPTIONS_H

#include <kshim/explore.h>

#include <optional>
#include <stdexcept>
#include <string>

namespace races
{

enum exit_code {
	EXIT_HELD = 0,
	EXIT_VIOLATED = 1, /* or: a mutant survives */
	EXIT_USAGE = 2,
	EXIT_GAVE_UP = 3, /* a limit ended the search before all was searched */
};

/* What is wrong with what the user asked for, and what to do: one line. */
class usage_error : public std::runtime_error
{
public:
	using std::runtime_error::runtime_error;
};

enum class command { list, run, replay, kill_matrix };

struct race_options {
	races::command command = command::list;
	std::string name; /* of a scenario; of a subsystem for kill-matrix; the token of replay */
	bool all = false; /* run: every scenario */
	std::string variant;      /* a mutant's name, or its second one */
	std::optional<int> bound; /* else each scenario's own */
	explore_scheduler scheduler = explore_scheduler::dfs;
	unsigned int pct_depth = explore_options().pct_depth;
	double seconds = 0;
	u64 schedules = 0, seed = 1;
	std::optional<explore_memory> memory; /* else what the mutant shows in */
	int faults = 0;
	explore_mmu mmu = explore_mmu::soft;
	bool reduce = true;
	bool steps = false; /* the trace: all of them */
	unsigned int times = 1;
	bool json = false;
};

/**
 * parse_options - the whole command line
 *
 * Return: the options, or nothing after --help or --version (which have been printed).
 * Throws usage_error. Whether names are known is not looked at.
 */
std::optional<race_options> parse_options(int argc, char **argv);

} // namespace races

#endif
