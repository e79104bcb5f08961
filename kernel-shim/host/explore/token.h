/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A schedule as text: see token.cc.
 */
#ifndef KSHIM_EXPLORE_TOKEN_H
#define KSHIM_EXPLORE_TOKEN_H

#include "scheduler.h"

#include <kshim/explore.h>

std::string make_token(const explore_scenario &scenario, const explore_options &options,
		       const std::vector<deviation> &path);

/* The token's mutants and models into @options. What is wrong with it, or an empty string. */
std::string parse_token(const explore_scenario &scenario, const std::string &token,
			explore_options *options, std::vector<deviation> *path);

#endif
