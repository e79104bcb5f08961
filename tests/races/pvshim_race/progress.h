/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * progress.h - a search with a line on standard error about how it goes
 */
#ifndef PVSHIM_RACE_PROGRESS_H
#define PVSHIM_RACE_PROGRESS_H

#include <kshim/explore.h>

namespace races
{

/* explore_run() with a line about how it goes. @label: what is searched. */
explore_result explore_shown(const std::string &label, const explore_scenario &scenario,
			     explore_options options);

} // namespace races

#endif
