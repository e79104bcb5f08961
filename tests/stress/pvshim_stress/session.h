/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * session.h - one run of one scenario: its time, its progress, its result
 */
#ifndef PVSHIM_STRESS_SESSION_H
#define PVSHIM_STRESS_SESSION_H

#include "stress.h"

namespace stress
{

struct result {
	std::string name;
	double seconds = 0;
	std::vector<std::pair<std::string, std::uint64_t>> counters;
	std::uint64_t violations = 0;
	std::vector<std::string> texts; /* the first violations */
	std::string again;              /* the command that runs it again */
	bool interrupted = false;       /* by the user, before its time */
	bool hung = false;              /* it still runs: leave with _exit() */

	bool held() const { return !violations && !hung; }
};

/*
 * Runs @what in a thread, shows how it goes on standard error, stops it when its time is over or
 * SIGINT or SIGTERM comes (which must be blocked).
 */
result run_session(const scenario &what, const terms &how);

} // namespace stress

#endif
