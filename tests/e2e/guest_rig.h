/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_rig.h - guest threads that draw into a second framebuffer of the same machine
 *
 * They map the framebuffer device through userfaultfd, as a guest's programs would, and store into
 * words of their own; an array is the oracle. They stop when the writers stop.
 */
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "writer_shared.h"

struct pv_machine;
struct xenfb;
struct file;
struct mm_struct;

namespace e2e
{

class guest_rig
{
public:
	explicit guest_rig(pv_machine *machine);
	~guest_rig();
	guest_rig(const guest_rig &) = delete;
	guest_rig &operator=(const guest_rig &) = delete;

	void set_load(load how) { how_ = how; }
	void stop();
	void resume();
	/* While stopped: flushes and compares. Return: empty, or what is wrong. */
	std::string check();
	std::uint64_t stores() const { return stores_; }

private:
	static constexpr unsigned threads = 2;

	void draw(unsigned index);

	pv_machine *const machine_;
	xenfb *x_ = nullptr;
	file *file_ = nullptr;
	mm_struct *mm_ = nullptr;
	std::uint32_t *view_ = nullptr;
	std::vector<std::uint32_t> oracle_; /* a word belongs to thread (word % threads) */
	std::atomic<load> how_{load::still};
	std::atomic<std::uint64_t> stores_{0};

	std::mutex lock_;
	std::condition_variable changed_;
	bool stopped_ = false; /* protected by lock_, like the next two */
	bool quit_ = false;
	unsigned parked_ = 0;
	std::atomic<bool> stopping_{false};
	std::vector<std::thread> threads_;
};

} // namespace e2e
