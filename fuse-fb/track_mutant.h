/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * track_mutant.h - the tracker with one step left out
 *
 * Each mutant removes one step of the table in track_policy.h that no store survives without. They
 * exist only where PV_TRACK_MUTANTS is defined to 1, in the library that tests/e2e/mutants_test.cc
 * links: it shows that the writers' test notices every one of them. In the product mutated() is
 * constant false and the code behind it is gone.
 */
#pragma once

#include <atomic>

#ifndef PV_TRACK_MUTANTS
#define PV_TRACK_MUTANTS 0
#endif

namespace fuse_fb
{

enum class track_mutant {
	none,
	sparse_without_pull,      /* SPARSE: pages are neither fetched nor protected again */
	pull_without_wait,        /* SPARSE: the harvest does not wait for the WRITEs it caused */
	write_lost_in_pull,       /* a WRITE that comes during a pull is answered and dropped */
	dense_look_forgotten,     /* DENSE: the periods' look does not happen */
	enter_dense_without_look, /* SPARSE -> DENSE: neither pull nor look in this period */
	leave_dense_without_pull, /* DENSE -> SPARSE: neither look nor pull in this period */
	idle_without_invalidate, /* SPARSE -> IDLE: pages stay mapped, their next store is silent */
	wake_without_kick,       /* IDLE: the request of the first access wakes nobody */
};

class track_mutant_switch
{
public:
	void set(track_mutant m) { mutant_.store(m, std::memory_order_relaxed); }
	track_mutant get() const { return mutant_.load(std::memory_order_relaxed); }
	/* Set by the tracker around a pull, for write_lost_in_pull. */
	std::atomic<bool> in_pull{false};

private:
	std::atomic<track_mutant> mutant_{track_mutant::none};
};

inline bool mutated([[maybe_unused]] const track_mutant_switch *s, [[maybe_unused]] track_mutant m)
{
#if PV_TRACK_MUTANTS
	return s && s->get() == m;
#else
	return false;
#endif
}

} // namespace fuse_fb
