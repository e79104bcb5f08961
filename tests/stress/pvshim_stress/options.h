/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * options.h - the command line of pvshim-stress
 */
#ifndef PVSHIM_STRESS_OPTIONS_H
#define PVSHIM_STRESS_OPTIONS_H

#include "stress.h"

#include <optional>
#include <stdexcept>

namespace stress
{

enum exit_code {
	EXIT_HELD = 0,
	EXIT_VIOLATED = 1,
	EXIT_USAGE = 2,
};

/* What is wrong with what the user asked for, and what to do: one line. */
class usage_error : public std::runtime_error
{
public:
	using std::runtime_error::runtime_error;
};

struct options {
	bool list = false;
	bool json = false;
	std::vector<scenario> scenarios; /* what is to run; of list: all */
	terms how;
};

/**
 * parse_options - the whole command line, checked against the catalogue
 *
 * Return: the options, or nothing after --help or --version (which have been printed).
 * Throws usage_error.
 */
std::optional<options> parse_options(int argc, char **argv);

} // namespace stress

#endif
