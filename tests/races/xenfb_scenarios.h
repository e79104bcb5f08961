/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xenfb_scenarios.h - the parts of xenfb_subsystem()
 */
#ifndef TESTS_RACES_XENFB_SCENARIOS_H
#define TESTS_RACES_XENFB_SCENARIOS_H

#include "catalogue.h"

namespace races
{

/* xenfb_peer_scenarios.cc: one end is a puppet. */
std::vector<race_scenario> xenfb_peer_scenarios();
std::vector<race_mutant> xenfb_peer_mutants();

/* xenfb_reconnect_scenarios.cc: ends that go away and come back. */
std::vector<race_scenario> xenfb_reconnect_scenarios();
std::vector<race_mutant> xenfb_reconnect_mutants();

} // namespace races

#endif
