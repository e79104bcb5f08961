/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tracked_file.h - what the tracker asks of the host kernel about one file of the mount
 *
 * Implemented by own_file.cc on the daemon's own descriptor of its own mount, and by a model of
 * the page cache in the unit tests.
 * T1: every call may cause requests to this very daemon and waits for them. So they are made by the
 *     harvesting thread only, never by a thread that serves requests, and with no lock held that a
 *     request's handler takes.
 */
#pragma once

#include <cstddef>
#include <functional>

namespace fuse_fb
{

class tracked_file
{
public:
	virtual ~tracked_file() = default;

	/* Makes pull, map, store and invalidate work. 0 or negative errno; 0 when already open. */
	virtual int open() = 0;
	/*
	 * Drops the descriptor and the mapping, so that they do not keep the mount busy, if nobody
	 * else has the file open (why then only: own_file.h). Return: true when they are gone.
	 */
	virtual bool close_unused() = 0;
	virtual bool is_open() const = 0;

	/*
	 * Protects and sends every dirty page of [0, size); when it returns, the WRITEs were
	 * answered.
	 * @wait false (a mutant): does not wait. Return: 0 or negative errno.
	 */
	virtual int pull(std::size_t size, bool wait) = 0;

	/*
	 * At least [0, size), mapped read-only; it stays until the file is closed. Null when it
	 * cannot be mapped.
	 */
	virtual const std::byte *map(std::size_t size) = 0;
	/* Runs @touch, which reads the mapping. Return: false if a page of it could not be had. */
	virtual bool guarded(const std::function<void()> &touch) = 0;

	/*
	 * Writes as a program would: into the cached pages, and as a WRITE, which was answered
	 * when it returns. 0 or negative errno.
	 */
	virtual int store(std::size_t offset, const void *bytes, std::size_t len) = 0;

	/* Drops all clean pages; dirty ones are sent first. 0 or negative errno. */
	virtual int invalidate() = 0;
	/* Waits for every write(2) that is under way. */
	virtual void wait_for_writers() = 0;

	/* How many descriptors and mappings others hold on the file. */
	virtual unsigned users() const = 0;
};

} // namespace fuse_fb
