/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * commands.h - what pvshim-race does; each command returns its exit code and throws usage_error
 */
#ifndef PVSHIM_RACE_COMMANDS_H
#define PVSHIM_RACE_COMMANDS_H

#include "options.h"

namespace races
{

int list_catalogue(const race_options &options);
int run_scenario(const race_options &options);
int run_all(const race_options &options);
int replay_token(const race_options &options);
int kill_matrix(const race_options &options);

} // namespace races

#endif
