/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mm_holder.h - a second owner of the address space, so that a killed daemon can end
 *
 * A process that is killed gives up its memory first and its descriptors afterwards. Ours maps a
 * file of its own mount: giving up the memory sends the file's dirty pages and waits for the
 * answers, which only /dev/fuse's end could replace by errors, and /dev/fuse is among the
 * descriptors. So the daemon would hang, unkillable, and with it whoever looks at the mount.
 *
 * The holder is a process that shares the memory and not the descriptors. It sleeps in a read of a
 * pipe whose other end the daemon holds:
 *
 *      daemon killed -> its memory still has an owner, nothing is sent -> its descriptors close:
 *      /dev/fuse, so the connection ends; the pipe, so the holder ends, and the memory now goes
 *      without anybody to wait for
 *
 * Killed in the same instant, both may hang as before; prepare_mount_point() ends the connection
 * when the next daemon starts. Costs: a process in the list (its memory is the daemon's), a stack
 * of two pages, nothing while it sleeps.
 * H1: made before /dev/fuse is opened: it has no descriptor but its end of the pipe.
 * H2: it runs on the daemon's memory without a thread of its own for the C library: no library
 *     call, no errno, no sanitizer in it.
 */
#pragma once

#include <sys/types.h>

namespace fuse_fb
{

class mm_holder
{
public:
	/* Without one (no processes left, a sandbox) the daemon works: error(). */
	mm_holder();
	/* After the channel has ended. */
	~mm_holder();
	mm_holder(const mm_holder &) = delete;
	mm_holder &operator=(const mm_holder &) = delete;

	/* Why there is none: an errno, or 0. */
	int error() const { return error_; }

private:
	int error_ = 0;
	int lifeline_ = -1; /* the pipe's end that the daemon's death closes */
	pid_t pid_ = -1;
	void *stack_ = nullptr;
};

} // namespace fuse_fb
