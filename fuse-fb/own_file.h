/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * own_file.h - a file of our own mount, opened by ourselves
 *
 * The descriptor makes the host kernel's page cache of the file reachable: sync_file_range()
 * protects and sends what is dirty, a read-only mapping shows what was stored, a write(2) stores as
 * a program's would. It is opened when the file is first used, and closed when nobody else has it
 * open, so that the daemon never is the reason why a mount is busy.
 *
 * Unmapping is the dangerous part: the kernel sends the file's dirty pages and waits for the
 * answers, and all that while holds the lock of this process's address space. A thread that serves
 * the WRITE and needs that lock, because its malloc() calls mmap(), waits for the thread that waits
 * for it, and nothing but the end of the connection frees the two.
 * I1: the descriptor is of this mount and this inode: the name is looked up again at every open,
 *     and may belong to something else by then (unmounted, removed and made again).
 * I2: our own OPEN and RELEASE are told from others' by the thread that opens, and by the handle.
 * I3: the mapping goes only when no page of the file can be dirty: while nobody else has it open,
 *     with the opens that come meanwhile held back (fb_fs::sole_use), or after the connection has
 *     ended (the destructor), when the kernel sends nothing any more.
 */
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

#include "tracked_file.h"

namespace fuse_fb
{

class fb_fs;
class fuse_channel;

class own_file : public tracked_file
{
public:
	/* @ino: of the node that is called @name; @channel: opens it, sends invalidations. */
	own_file(fb_fs &fs, fuse_channel &channel, std::uint64_t ino, std::string name);
	/* After the channel's end, or after close_unused(): see I3. */
	~own_file() override;
	own_file(const own_file &) = delete;
	own_file &operator=(const own_file &) = delete;

	int open() override;
	bool close_unused() override;
	bool is_open() const override { return fd_ >= 0; }
	int pull(std::size_t size, bool wait) override;
	const std::byte *map(std::size_t size) override;
	bool guarded(const std::function<void()> &touch) override;
	int store(std::size_t offset, const void *bytes, std::size_t len) override;
	int invalidate() override;
	void wait_for_writers() override;
	unsigned users() const override;

private:
	void close();

	fb_fs &fs_;
	fuse_channel &channel_;
	const std::uint64_t ino_;
	const std::string name_;
	int fd_ = -1;
	struct mapping {
		void *at;
		std::size_t size;
	};
	/* The last is in use; before it those that the file has outgrown, each half its size. */
	std::vector<mapping> views_;
	bool fsync_to_wait_; /* this kernel's page writeback ends before the WRITE is answered */
};

} // namespace fuse_fb
