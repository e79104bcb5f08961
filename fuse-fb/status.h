/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * status.h - pvshim-fb --status: what a running daemon does, for a person
 *
 * Reads stats.json once a second and prints the differences: on a terminal again and again until
 * interrupted, otherwise once. Asks nothing else, so that looking costs what a look costs.
 */
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace fuse_fb
{

/* Two readings of stats.json, @seconds apart, as lines. */
std::string status_text(const nlohmann::json &before, const nlohmann::json &now, double seconds);

/* Return: an exit code. Throws startup_error when there is no daemon there. */
int show_status(const std::string &mount_point);

} // namespace fuse_fb
