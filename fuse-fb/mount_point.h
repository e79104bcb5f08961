/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mount_point.h - is the mount point usable, and what to do about what a dead daemon left
 *
 * The order of the checks matters: a mount whose daemon hangs blocks whoever looks at it, so the
 * table of mounts is read first, without touching the mount.
 *
 *   on top of the mount point            what happens
 *   nothing                              checked: exists, a directory, readable
 *   ours, its daemon lives               startup_error "in use"
 *   ours, its daemon is dead             detached
 *   ours, its daemon was killed and      a thread of it waits for a WRITE that nobody will answer
 *     cannot end                         any more, and the mount with it: the connection is
 *                                        aborted, then detached
 *   something else                       startup_error "in use"
 *
 * Which daemon a mount belongs to is in its source, "pvshim-fb:PID".
 */
#pragma once

#include <string>

#include <sys/types.h>

#include "message.h"

namespace fuse_fb
{

/**
 * prepare_mount_point - make sure that @path can be mounted on
 *
 * Detaches dead mounts of ours. Return: the absolute path. Throws startup_error with one line.
 */
std::string prepare_mount_point(const std::string &path);

/*
 * While it lives no other daemon mounts on @path, which is prepared and has nothing mounted on it.
 * Two that start at the same moment would both find the mount point free, one would cover the other
 * one's mount, and each take down whatever is on top. Throws startup_error to the second.
 */
class mount_turn
{
public:
	explicit mount_turn(const std::string &path);
	~mount_turn();
	mount_turn(const mount_turn &) = delete;
	mount_turn &operator=(const mount_turn &) = delete;

private:
	const int fd_; /* the directory itself, locked */
};

/* Throws startup_error when FUSE is not there at all, or @options ask for what is not permitted. */
void check_fuse_usable(const std::string &options);

/* Detaches what is mounted on @path if it is device @dev. */
void detach_dead_mount(const std::string &path, dev_t dev);

/* "pvshim-fb:PID" of this process. */
std::string mount_source();

/* What to do about @error, as the end of a line, if it is about descriptors; else "". */
const char *descriptors_hint(int error);

/* The line for a mount that was refused in spite of the checks. */
startup_error mount_refused(const std::string &path, const std::string &options, int error,
			    const std::string &why);

/*
 * Lets the daemon's frames exceed the share of memory that the kernel gives FUSE's dirty pages. As
 * root: lifts the limit. Otherwise one line if @frame_bytes is above it.
 */
void raise_dirty_limit(dev_t dev, std::size_t frame_bytes);

/*
 * Collects what libfuse and fusermount3 print, so that a failure is one line. Throws startup_error.
 */
class stderr_capture
{
public:
	stderr_capture();
	~stderr_capture();
	stderr_capture(const stderr_capture &) = delete;
	stderr_capture &operator=(const stderr_capture &) = delete;

	/* Ends the capture. Line feeds become "; ". */
	std::string text();

private:
	int saved_ = -1;
	int file_ = -1;
};

} // namespace fuse_fb
