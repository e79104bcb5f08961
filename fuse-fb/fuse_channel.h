/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuse_channel.h - the session with the kernel: mounted, served by several threads, taken down
 *
 * One thread at a time (the leader) waits for requests. So requests are received in a known order,
 * which content.h needs: each gets a ticket, one more than the one before, after it was read. A
 * small request the leader serves itself; with a large one it hands the lead over, so that the next
 * one is read while this one is served.
 *
 *      leader:  read, or poll(fuse, stop) -> ticket -> small: serve, answer, read again
 *                                                   -> large: unlock, serve, answer, lead again
 *      others:  wait for the lead
 *
 * libfuse's own loop reads in all threads at once, starts and ends threads with the load, and can
 * only be ended by cancelling them; here the number of threads is fixed and a still mount wakes
 * nobody.
 * I1: handlers never wait for another request; with that, any number of threads >= 1 is enough, a
 *     handler may run with the lead held, and harvests (which wait for requests) run in none of
 *     these threads.
 * Locks: lead_ (who may read; newest_ticket_ is written under it), outside of all that handlers
 *     take.
 */
#pragma once

#define FUSE_USE_VERSION 35

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <fuse_lowlevel.h>
#include <sys/types.h>

namespace fuse_fb
{

struct channel_config {
	std::string mount_point; /* absolute, prepared by mount_point.h */
	std::string options;     /* as after -o, comma separated; may be empty */
	std::string source;      /* shown by mount(8) */
	unsigned threads = 0;    /* 0: as many as CPUs, between 4 and 8 */
	/* Runs @serve in each serving thread; there to bind the thread to a machine. */
	std::function<void(const std::function<void()> &serve)> in_thread;
	/*
	 * The session ended without stop(): unmounted by somebody, or the connection was aborted.
	 */
	std::function<void()> ended;
};

class fuse_channel
{
public:
	/* Throws startup_error: options unknown, or the mount refused. */
	fuse_channel(const channel_config &config, const fuse_lowlevel_ops &ops, void *userdata);
	/* stop() and unmount. */
	~fuse_channel();
	fuse_channel(const fuse_channel &) = delete;
	fuse_channel &operator=(const fuse_channel &) = delete;

	/* Starts serving. Throws startup_error when the mount does not answer. */
	void start();
	/*
	 * Ends serving and unmounts (lazily: programs that have files open keep them, dead).
	 * Idempotent.
	 */
	void stop();

	/* The number of the last request received; see content.h. Any thread. */
	std::uint64_t newest_ticket() const
	{
		return newest_ticket_.load(std::memory_order_acquire);
	}
	/* The number of the request that the calling thread serves. */
	static std::uint64_t current_ticket();

	/* Drops the cached pages of a file. Not from a serving thread. 0 or negative errno. */
	int invalidate(std::uint64_t ino);

	/*
	 * Opens a file of the mount, wherever the mount has been moved to. A descriptor, or
	 * -1 and errno. Not from a serving thread.
	 */
	int open_file(const std::string &name) const;

	/* The mount's device number; valid after start(). */
	dev_t device() const { return device_; }

private:
	void serve();
	bool lead(fuse_buf *buf);
	bool receive(fuse_buf *buf);
	void wait_for_memory(int *pause_ms);

	const channel_config config_;
	fuse_session *session_ = nullptr;
	std::mutex lead_;
	std::atomic<std::uint64_t> newest_ticket_{0};
	std::atomic<bool> stopping_{false};
	std::atomic<bool> ended_{false};
	bool said_no_memory_ = false; /* under lead_ */
	/*
	 * The folder above the mount point, which may be moved; a mount point itself cannot. A
	 * descriptor of the mount's own root would keep the mount busy.
	 */
	int above_fd_ = -1;
	std::string name_; /* of the mount point in it */
	int stop_fd_ = -1; /* an eventfd, readable once stopping */
	dev_t device_ = 0;
	std::vector<std::thread> threads_;
};

} // namespace fuse_fb
