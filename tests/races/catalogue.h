/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * catalogue.h - every scenario and every mutant, by name
 *
 *	core_subsystem()   defio_subsystem()   ...	a file each, *_scenarios.cc
 *	        \                |                 /
 *	         race_catalogue(): list of subsystems
 *	        /                                  \
 *	pvshim-race list, run, replay, kill-matrix   catalogue_test: holds, is killed, replays
 *
 * To add a system: write x_scenarios.cc with `race_subsystem x_subsystem()`, declare it here, name
 * it in race_catalogue(). A scenario must hold with no mutant, exhausted at its bound; a mutant
 * must be killed by the scenario it names.
 */
#ifndef TESTS_RACES_CATALOGUE_H
#define TESTS_RACES_CATALOGUE_H

#include <kshim/explore.h>

#include <string>
#include <vector>

namespace races
{

struct race_scenario {
	explore_scenario scenario;
	const char *checks; /* what must hold, one line */
	const char *seed;   /* "000 xenfb lets do_no_page race with the updater", or null */
	int bound;          /* preemptions within which tests exhaust it, in seconds */
};

/* A bug of history (or one that could have been), compiled in beside the right code. */
struct race_mutant {
	const char *name;    /* of KSHIM_MUTANT() */
	const char *variant; /* a second name for `--variant`, such as "historical", or null */
	const char *origin;  /* what it is and where it comes from, one line */
	const char *killer;  /* the scenario which the tests kill it with */
	int bound;           /* within so many preemptions */
	const char *reason;  /* what the violation says, a part of it */
	explore_memory memory = explore_memory::sc; /* in which it shows */
};

struct race_subsystem {
	const char *name; /* "defio" */
	std::vector<race_scenario> scenarios;
	std::vector<race_mutant> mutants;
};

race_subsystem core_subsystem();
race_subsystem defio_subsystem();
race_subsystem evtchn_subsystem();
race_subsystem p2m_subsystem();
race_subsystem paging_subsystem();
race_subsystem pin_subsystem();
race_subsystem vmap_subsystem();
race_subsystem xenfb_subsystem();

/* All of them. */
std::vector<race_subsystem> race_catalogue();

} // namespace races

#endif
