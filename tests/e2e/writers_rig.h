/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * writers_rig.h - real writers against the tracker, with an oracle
 *
 *      writer processes --stores, write(2)--> mmap of MNT/fb0 --> daemon (in this process)
 *             |                                                       |
 *             the same                                          back end's copy
 *             v                                                       |
 *      oracle (shared memory) <-------- compared, word by word -------+
 *
 *      guest threads  --stores--> userfaultfd mapping of a second framebuffer, the same way
 *
 * The load changes between dense, sparse and still all the time, one writer is killed and started
 * again. Two checks, at random moments, with all writers stopped between two operations:
 *   flush   after a flush the copy is the oracle, at once: a harvest brings every store made
 *           before it, in whatever transition it happens to be
 *   settle  without a flush the copy becomes the oracle and the tracker falls asleep: whatever
 *           notices a store has noticed it (the kernel itself would send a forgotten page after
 *           30 s: the limit is below that)
 * The rig stops at the first violation and says which.
 */
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "track_mutant.h"

namespace e2e
{

struct rig_options {
	std::chrono::milliseconds duration{20000};
	std::chrono::milliseconds settle_limit{25000};
	std::uint64_t at_least_dirtyings = 0; /* goes on until then, and ... */
	unsigned at_least_transitions = 0;    /* ... until each happened so often, */
	std::chrono::seconds give_up{120};    /* but not for longer than this */
	bool guests = true;
	fuse_fb::track_mutant mutant = fuse_fb::track_mutant::none;
	unsigned seed = 1;
};

struct rig_result {
	std::string violation; /* empty: none */
	std::uint64_t dirtyings = 0;
	std::uint64_t guest_stores = 0;
	std::uint64_t transitions[3][3] = {}; /* track_state as index */
	unsigned flush_checks = 0, settle_checks = 0, kills = 0;

	std::string summary() const;
};

rig_result run_rig(const rig_options &options);

} // namespace e2e
