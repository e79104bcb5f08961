/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * own_file.cc - a file of our own mount, opened by ourselves; see own_file.h
 */
#include "own_file.h"

#include <bit>
#include <cerrno>
#include <cstdio>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "fb_fs.h"
#include "fuse_channel.h"

namespace fuse_fb
{

/*
 * Before Linux 6.16 FUSE copied pages aside for writeback and called them clean at once, so that
 * waiting for the page cache did not mean that the WRITEs were answered. There an fdatasync waits
 * for the requests themselves.
 */
static bool writeback_ends_early()
{
	utsname name{};
	unsigned major = 0, minor = 0;

	if (uname(&name) || std::sscanf(name.release, "%u.%u", &major, &minor) != 2)
		return true;
	return major < 6 || (major == 6 && minor < 16);
}

own_file::own_file(fb_fs &fs, fuse_channel &channel, std::uint64_t ino, std::string name)
	: fs_(fs), channel_(channel), ino_(ino), name_(std::move(name)),
	  fsync_to_wait_(writeback_ends_early())
{
}

own_file::~own_file()
{
	close();
}

int own_file::open()
{
	struct stat st {
	};

	if (fd_ >= 0)
		return 0;
	const fb_fs::own_open mine(fs_);
	const int fd = channel_.open_file(name_);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || st.st_ino != ino_ || st.st_dev != channel_.device()) {
		::close(fd);
		return -ENOENT;
	}
	fd_ = fd;
	return 0;
}

void own_file::close()
{
	for (const mapping &m : views_)
		munmap(m.at, m.size);
	views_.clear();
	if (fd_ >= 0)
		::close(std::exchange(fd_, -1));
}

bool own_file::close_unused()
{
	const fb_fs::sole_use alone(fs_, ino_);

	if (!alone)
		return false;
	close();
	return true;
}

int own_file::pull(std::size_t size, bool wait)
{
	unsigned flags = SYNC_FILE_RANGE_WRITE;

	/* Without the two waits a congested connection would send nothing and say 0. */
	if (wait)
		flags |= SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER;
	if (sync_file_range(fd_, 0, static_cast<off_t>(size), flags))
		return -errno;
	if (wait && fsync_to_wait_ && fdatasync(fd_))
		return -errno;
	return 0;
}

const std::byte *own_file::map(std::size_t size)
{
	if (size == 0)
		return nullptr;
	if (views_.empty() || views_.back().size < size) {
		/* Twice what is needed, of addresses: a file that grows is mapped a few times. */
		const std::size_t whole = std::bit_ceil(page_round_up(size));
		void *p = mmap(nullptr, whole, PROT_READ, MAP_SHARED, fd_, 0);

		if (p == MAP_FAILED)
			return nullptr;
		/* A child that execs would unmap it, see I3. */
		madvise(p, whole, MADV_DONTFORK);
		views_.push_back({p, whole});
	}
	return static_cast<const std::byte *>(views_.back().at);
}

bool own_file::guarded(const std::function<void()> &touch)
{
	return fs_.guarded(touch);
}

int own_file::store(std::size_t offset, const void *bytes, std::size_t len)
{
	const ssize_t n = pwrite(fd_, bytes, len, static_cast<off_t>(offset));

	if (n < 0)
		return -errno;
	return static_cast<std::size_t>(n) == len ? 0 : -EIO;
}

int own_file::invalidate()
{
	return channel_.invalidate(ino_);
}

void own_file::wait_for_writers()
{
	/*
	 * An fdatasync takes the inode's lock, which a write(2) holds until its WRITE was answered.
	 * The file is clean, so it sends nothing (a first FSYNC tells the kernel that we have
	 * none).
	 */
	if (fd_ >= 0 && fdatasync(fd_))
		return; /* what a failure means, the next pull says */
}

unsigned own_file::users() const
{
	return fs_.users(ino_);
}

} // namespace fuse_fb
