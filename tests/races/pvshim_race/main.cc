// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pvshim-race - the races of this tree, as a command
 *
 *	list		what there is			run NAME	search a scenario
 *	replay TOKEN	one schedule again		kill-matrix	does each mutant die?
 *
 * Results go to standard output, how it goes and what is wrong to standard error.
 */
#include "commands.h"

#include <cstdio>

using namespace races;

static int run_command(const race_options &options)
{
	switch (options.command) {
	case command::list:
		return list_catalogue(options);
	case command::run:
		return options.all ? run_all(options) : run_scenario(options);
	case command::replay:
		return replay_token(options);
	case command::kill_matrix:
		return kill_matrix(options);
	}
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	try {
		const std::optional<race_options> options = parse_options(argc, argv);

		return options ? run_command(*options) : EXIT_HELD;
	} catch (const usage_error &e) {
		std::fprintf(stderr, "pvshim-race: %s\n", e.what());
		return EXIT_USAGE;
	}
}
