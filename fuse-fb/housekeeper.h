/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * housekeeper.h - the thread for what request threads must not do
 *
 * Jobs run one after the other: rendering a file that was opened, making a screen of a file whose
 * header arrived, taking one down. A pace is a harvest which is called once per period while it
 * asks for it; deferred I/O does that for screens (fb_defio), this here for files that are not a
 * screen yet.
 * H1: nothing is due, nothing runs: the thread sleeps without a timeout.
 * H2: a kick during a harvest is not lost: it makes the pace due again.
 * Locks: lock_ (the queues). Not held while a job or a harvest runs.
 */
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

namespace fuse_fb
{

class housekeeper
{
public:
	using clock = std::chrono::steady_clock;
	using in_thread = std::function<void(const std::function<void()> &)>;

	/* @bind: runs the thread's body, e.g. bound to a machine; may be empty. */
	explicit housekeeper(in_thread bind = {});
	/* Runs what is queued, then ends. */
	~housekeeper();
	housekeeper(const housekeeper &) = delete;
	housekeeper &operator=(const housekeeper &) = delete;

	/* Any thread; never waits. Return: false after stop(), the job is dropped unrun. */
	bool run(std::function<void()> job);
	/* The same, not before @due. stop() runs what is not due yet at once. */
	bool run_at(clock::time_point due, std::function<void()> job);
	/* Runs @job and waits for it. Not from a job. */
	void run_and_wait(const std::function<void()> &job);

	/*
	 * From a job (or before anybody kicks): @harvest is called a period after each kick or
	 * true.
	 */
	std::uint64_t add_pace(std::function<bool()> harvest, clock::duration period);
	/* From a job: no call of the harvest runs or will run. */
	void remove_pace(std::uint64_t id);
	/* Any thread; never waits. Unknown numbers are ignored. */
	void kick(std::uint64_t id);

	/* Runs what is queued and ends the thread. Idempotent. */
	void stop();

private:
	struct pace {
		std::function<bool()> harvest;
		clock::duration period;
		std::optional<clock::time_point> due;
		clock::time_point last{};
	};

	void work();

	std::mutex lock_;
	std::condition_variable changed_;
	std::deque<std::function<void()>> jobs_; /* protected by lock_, like the next four */
	std::multimap<clock::time_point, std::function<void()>> later_;
	std::map<std::uint64_t, pace> paces_;
	std::uint64_t next_id_ = 1;
	bool stopping_ = false;
	std::thread thread_;
};

} // namespace fuse_fb
