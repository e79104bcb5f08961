/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * preload/hooks_stat.cc - stat and its many names, access; see preload.h
 *
 * A framebuffer is a character device 29:N to a program, under whichever name or descriptor.
 */
#include "preload/preload.h"

#include <cstdint>
#include <cstring>

#include <linux/major.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

using namespace fb_preload;

namespace
{

constexpr mode_t kept_mode = 07777;

void as_device(unsigned number, struct stat *st)
{
	st->st_mode = S_IFCHR | (st->st_mode & kept_mode);
	st->st_rdev = makedev(FB_MAJOR, number);
	st->st_size = 0;
	st->st_blocks = 0;
}

/* What /sys/class/graphics has; nothing of it exists. */
void as_sysfs(const name &n, bool follow, struct stat *st)
{
	std::memset(st, 0, sizeof(*st));
	st->st_nlink = 1;
	st->st_blksize = 4096;
	if (n.kind == name::attribute) {
		st->st_mode = S_IFREG | 0444;
		st->st_size = 4096;
	} else if (n.kind == name::link && !follow) {
		st->st_mode = S_IFLNK | 0777;
		st->st_size = static_cast<off_t>(std::strlen(n.path));
	} else {
		st->st_mode = S_IFDIR | 0755;
	}
}

bool in_sysfs(const name &n)
{
	return n.kind == name::directory || n.kind == name::link ||
	       (n.kind == name::attribute && attribute_exists(n));
}

int stat_at(int dir, const char *path, struct stat *st, int flags)
{
	name n;

	look_up(path, &n);
	if (in_sysfs(n)) {
		as_sysfs(n, !(flags & AT_SYMLINK_NOFOLLOW), st);
		return 0;
	}
	if (n.kind == name::framebuffer) {
		path = n.path;
		refresh(n.number);
	}
	const int result = static_cast<int>(syscall(SYS_newfstatat, dir, path, st, flags));
	if (result)
		return result;
	const int number = n.kind == name::framebuffer ? static_cast<int>(n.number)
			   : S_ISREG(st->st_mode)      ? number_of(st->st_dev, st->st_ino)
						       : -1;
	if (number >= 0)
		as_device(static_cast<unsigned>(number), st);
	return 0;
}

int access_at(int dir, const char *path, int mode, int flags)
{
	using function = int(int, const char *, int, int);
	auto *next = reinterpret_cast<function *>(next_function("faccessat"));
	name n;

	look_up(path, &n);
	if (in_sysfs(n)) {
		if (!(mode & W_OK))
			return 0;
		errno = EACCES;
		return -1;
	}
	return next(dir, n.kind == name::framebuffer ? n.path : path, mode, flags);
}

} // namespace

FB_HOOK int stat(const char *path, struct stat *st)
{
	return stat_at(AT_FDCWD, path, st, 0);
}
FB_HOOK int lstat(const char *path, struct stat *st)
{
	return stat_at(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}
FB_HOOK int fstat(int fd, struct stat *st)
{
	return stat_at(fd, "", st, AT_EMPTY_PATH);
}
FB_HOOK int fstatat(int dir, const char *path, struct stat *st, int flags)
{
	return stat_at(dir, path, st, flags);
}

/* The same structure on 64 bits, under the names of large files. */
static_assert(sizeof(struct stat64) == sizeof(struct stat));

static struct stat *plain(struct stat64 *st)
{
	return reinterpret_cast<struct stat *>(st);
}

FB_HOOK int stat64(const char *path, struct stat64 *st)
{
	return stat_at(AT_FDCWD, path, plain(st), 0);
}
FB_HOOK int lstat64(const char *path, struct stat64 *st)
{
	return stat_at(AT_FDCWD, path, plain(st), AT_SYMLINK_NOFOLLOW);
}
FB_HOOK int fstat64(int fd, struct stat64 *st)
{
	return stat_at(fd, "", plain(st), AT_EMPTY_PATH);
}
FB_HOOK int fstatat64(int dir, const char *path, struct stat64 *st, int flags)
{
	return stat_at(dir, path, plain(st), flags);
}

/* What programs built before glibc 2.33 call; the first number is a version, always the same. */
FB_HOOK int __xstat(int, const char *path, struct stat *st)
{
	return stat_at(AT_FDCWD, path, st, 0);
}
FB_HOOK int __lxstat(int, const char *path, struct stat *st)
{
	return stat_at(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}
FB_HOOK int __fxstat(int, int fd, struct stat *st)
{
	return stat_at(fd, "", st, AT_EMPTY_PATH);
}
FB_HOOK int __fxstatat(int, int dir, const char *path, struct stat *st, int flags)
{
	return stat_at(dir, path, st, flags);
}
FB_HOOK int __xstat64(int, const char *path, struct stat64 *st)
{
	return stat_at(AT_FDCWD, path, plain(st), 0);
}
FB_HOOK int __lxstat64(int, const char *path, struct stat64 *st)
{
	return stat_at(AT_FDCWD, path, plain(st), AT_SYMLINK_NOFOLLOW);
}
FB_HOOK int __fxstat64(int, int fd, struct stat64 *st)
{
	return stat_at(fd, "", plain(st), AT_EMPTY_PATH);
}
FB_HOOK int __fxstatat64(int, int dir, const char *path, struct stat64 *st, int flags)
{
	return stat_at(dir, path, plain(st), flags);
}

FB_HOOK int statx(int dir, const char *path, int flags, unsigned mask, struct statx *out)
{
	name n;

	look_up(path, &n);
	if (in_sysfs(n)) {
		struct stat st;

		as_sysfs(n, !(flags & AT_SYMLINK_NOFOLLOW), &st);
		std::memset(out, 0, sizeof(*out));
		out->stx_mask = STATX_TYPE | STATX_MODE | STATX_NLINK | STATX_SIZE;
		out->stx_mode = static_cast<std::uint16_t>(st.st_mode);
		out->stx_nlink = 1;
		out->stx_size = static_cast<std::uint64_t>(st.st_size);
		out->stx_blksize = 4096;
		return 0;
	}
	if (n.kind == name::framebuffer) {
		path = n.path;
		refresh(n.number);
	}
	/* Type and inode are looked at whatever was asked for. */
	const int result = static_cast<int>(
		syscall(SYS_statx, dir, path, flags, mask | STATX_TYPE | STATX_INO, out));
	if (result)
		return result;
	const int number = number_of(makedev(out->stx_dev_major, out->stx_dev_minor), out->stx_ino);
	if (number >= 0) {
		out->stx_mode = static_cast<std::uint16_t>(S_IFCHR | (out->stx_mode & kept_mode));
		out->stx_rdev_major = FB_MAJOR;
		out->stx_rdev_minor = static_cast<std::uint32_t>(number);
		out->stx_size = out->stx_blocks = 0;
	}
	return 0;
}

FB_HOOK int access(const char *path, int mode)
{
	return access_at(AT_FDCWD, path, mode, 0);
}
FB_HOOK int faccessat(int dir, const char *path, int mode, int flags)
{
	return access_at(dir, path, mode, flags);
}
FB_HOOK int eaccess(const char *path, int mode)
{
	return access_at(AT_FDCWD, path, mode, AT_EACCESS);
}
FB_HOOK int euidaccess(const char *path, int mode)
{
	return access_at(AT_FDCWD, path, mode, AT_EACCESS);
}

/* What ls -l and cp ask as well. */
FB_HOOK ssize_t getxattr(const char *path, const char *what, void *value, std::size_t size)
{
	name n;

	look_up(path, &n);
	return syscall(SYS_getxattr, n.kind == name::framebuffer ? n.path : path, what, value,
		       size);
}
FB_HOOK ssize_t lgetxattr(const char *path, const char *what, void *value, std::size_t size)
{
	name n;

	look_up(path, &n);
	return syscall(SYS_lgetxattr, n.kind == name::framebuffer ? n.path : path, what, value,
		       size);
}
