/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tracker.h - notices what programs store into a file of the mount
 *
 *      request threads                          the harvesting thread (one)
 *      READ, WRITE --note_access()--> kick --->  harvest(), once per period while not IDLE
 *                                                  SPARSE: pull -> WRITEs -> content
 *                                                  DENSE:  look -----------> content
 *
 * States, transitions and why no store is lost: the table in track_policy.h.
 * I1: when harvest() returns, every store made before it was called is in the content's storage.
 * I2: harvest() returns false only in IDLE: no page of the file is cached, so the next access is a
 *     request, and note_access() kicks for it.
 * I3: nothing here runs in a request thread but note_access().
 * Locks: harvest_lock_ (one harvest at a time; state_, file_, policy_). note_access() takes none.
 */
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>

#include "content.h"
#include "track_mutant.h"
#include "track_policy.h"
#include "tracked_file.h"

namespace fuse_fb
{

struct tracker_stats {
	track_state state;
	std::uint64_t harvests;
	std::uint64_t pulls;
	std::uint64_t looks;
	std::uint64_t invalidations;
	std::uint64_t errors;            /* pulls, maps and opens that failed */
	std::uint64_t transitions[3][3]; /* [from][to], track_state as index */
};

class tracker
{
public:
	/**
	 * @bytes: what the file holds
	 * @file: the kernel's side of it
	 * @newest_ticket: the number of the last request received so far (content.h)
	 */
	tracker(content &bytes, tracked_file &file, std::function<std::uint64_t()> newest_ticket,
		track_tunables tunables = {}, track_mutant_switch *mutant = nullptr);

	/* Where note_access() sends its kick; replaced while no harvest runs. Must not sleep. */
	void set_kick(std::function<void()> kick);

	/**
	 * harvest - once per period
	 * Return: true = call again in a period even if nobody kicks. May sleep; only one thread at
	 * a time gets in. Not for request threads.
	 */
	bool harvest();

	/**
	 * store - the daemon itself draws
	 *
	 * The bytes are in the storage, and in the pages that programs see, when it returns 0.
	 * Waits for requests, as harvest() does, and never together with one.
	 */
	int store(std::size_t offset, const void *bytes, std::size_t len);

	/*
	 * A READ or WRITE came: before it is answered. Any thread, also
	 * request threads; takes a lock only for as long as the kick takes.
	 */
	void note_access();

	/*
	 * The file goes away: no kick, no pages, nothing is pulled. Its descriptor and mapping go,
	 * too, unless others have it open: then call again when they have closed it.
	 */
	void shut_down();

	tracker_stats stats() const;
	track_state state() const { return state_.load(std::memory_order_acquire); }

private:
	std::size_t pull(std::size_t size);
	std::size_t look(const std::byte *view, std::size_t size);
	bool go_idle(std::size_t size, track_observation &seen);
	void move_to(track_state to);
	void complain(const char *what, int error);

	content &bytes_;
	tracked_file &file_;
	const std::function<std::uint64_t()> newest_ticket_;
	track_mutant_switch *const mutant_;

	mutable std::mutex harvest_lock_;
	track_policy policy_; /* protected by harvest_lock_, like the next two */
	track_state wanted_ = track_state::idle;
	bool can_look_ = true;
	std::atomic<track_state> state_{track_state::idle}; /* written under harvest_lock_ */

	std::mutex kick_lock_;
	std::function<void()> kick_; /* protected by kick_lock_ */
	std::atomic<std::uint64_t> accesses_{0};
	std::uint64_t accesses_seen_ = 0; /* protected by harvest_lock_ */

	std::atomic<std::uint64_t> harvests_{0}, pulls_{0}, looks_{0}, invalidations_{0},
		errors_{0};
	std::atomic<std::uint64_t> transitions_[3][3]{};
};

} // namespace fuse_fb
